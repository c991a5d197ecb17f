"""Names of a package that are loaded when they are first used, so that importing it is cheap."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazily(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package (PEP 562).

    Parameters
    ----------
    package
        The package's `__name__`. Its modules are loaded by their names too.
    home
        Name to the module that defines it.

    Examples
    --------
    >>> get, names = lazily("pipekit", {"Retry": "pipekit.retry"})
    >>> get("Retry").__name__
    'Retry'
    >>> get("Retries")
    Traceback (most recent call last):
    AttributeError: module 'pipekit' has no attribute 'Retries'
    """
    namespace = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name in home:
            value = getattr(import_module(home[name]), name)
        elif name[0] != "_" and find_spec(f"{package}.{name}") is not None:
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = value
        return value

    return get, lambda: sorted(namespace["__all__"])


def how_to_install(extra: str) -> str:
    """Return how an extra is installed: from a clone, never by name.

    On the public package index the names of these packages belong to other projects, and to
    install one of them would run a stranger's code.

    Parameters
    ----------
    extra
        The extra of the distribution.

    Examples
    --------
    >>> how_to_install("serve")
    'in a clone of geostack run: python -m pip install ".[serve]"'
    """
    return f'in a clone of geostack run: python -m pip install ".[{extra}]"'
