"""Names of a package that are loaded when they are first used, so that importing it is cheap."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazily(package: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__all__`, `__getattr__` and `__dir__` of a package (PEP 562).

    The stub beside the package's `__init__` is the one list of what it offers: type checkers and
    editors read there which module defines a name, and so does this.

    Parameters
    ----------
    package
        The package's `__name__`. Its modules are loaded by their names too.

    Examples
    --------
    >>> names, get, listed = lazily("pipekit")
    >>> "Retry" in names, get("Retry").__name__, listed() == names
    (True, 'Retry', True)
    >>> get("Retries")
    Traceback (most recent call last):
    AttributeError: module 'pipekit' has no attribute 'Retries'
    """
    namespace = vars(sys.modules[package])
    with open(f"{namespace['__file__'].removesuffix('c')}i", encoding="utf-8") as stub:
        imports = (node for node in ast.parse(stub.read()).body if isinstance(node, ast.ImportFrom))
        home = {name.name: str(node.module) for node in imports for name in node.names}

    def get(name: str) -> Any:
        if name in home:
            value = getattr(import_module(home[name]), name)
        elif name[0] != "_" and find_spec(f"{package}.{name}") is not None:
            value = import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = value
        return value

    return sorted(home), get, lambda: sorted(home)


EXTRAS = {
    "dask": "dask",
    "distributed": "dask",
    "folium": "maps",
    "h5netcdf": "labelled",
    "h5py": "labelled",
    "mapclassify": "maps",
    "matplotlib": "plot",
    "onnxruntime": "onnx",
    "rioxarray": "labelled",
    "sklearn": "learn",
    "spyndex": "indices",
    "xvec": "vector",
    "zarr": "labelled",
}
"""What is no part of the core, by the name it is imported under, and the extra that brings it."""


def needed(module: str) -> Any:
    """Return a module of a library that an extra brings, or say how to install it.

    Parameters
    ----------
    module
        The module's full name.

    Raises
    ------
    ModuleNotFoundError
        That names the extra of what is missing, when it is one of `EXTRAS`.

    Examples
    --------
    >>> needed("json").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        raise ModuleNotFoundError(
            f"this needs {missing}, not installed; {how_to_install(EXTRAS[missing])}", name=missing
        ) from None


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


def moved(module: str, told: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose names are in another one now.

    Parameters
    ----------
    module
        Where they are.
    told
        The warning, with `{name}` for the name that is asked for.

    Returns
    -------
    Gives a name's value, with a DeprecationWarning.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True, action="always") as said:
    ...     value = moved("math", "{name} is in math")("pi")
    >>> str(said[0].message)
    'pi is in math'
    """

    def get(name: str) -> Any:
        value = getattr(import_module(module), name)
        warnings.warn(told.format(name=name), DeprecationWarning, stacklevel=2)
        return value

    return get
