"""Which classes a config may name: nothing is ever imported or evaluated from a name."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from pipekit.operator import Operator

AnyClass = TypeVar("AnyClass", bound=type)

SHIPPED = ("pipekit", "geotoolz", "geopatcher", "geocatalog", "geostack")
"""The packages whose public operators, axes and patchers a config may name by default."""

ENTRY_POINTS = "pipekit.operators"
"""The entry point group by which other distributions offer operators: `Name = "module:Name"`."""


class ConfigError(ValueError):
    """A config that is malformed, refused or beyond its limits; the message names the place.

    Examples
    --------
    >>> from pipekit import from_config
    >>> from_config({"class": "AssertDType", "config": {"type": "uint8"}})
    Traceback (most recent call last):
    pipekit.registry.ConfigError: the top of the config: AssertDType has no argument 'type'; ...
    """


class UntrustedOperatorError(ConfigError):
    """A config asks for a class that the registry does not allow.

    Examples
    --------
    >>> from pipekit import from_config
    >>> from_config({"class": "Stranger", "config": {}}, Registry())
    Traceback (most recent call last):
    pipekit.registry.UntrustedOperatorError: the top of the config: the class 'Stranger' is not ...
    """


class Registry:
    """A set of classes by name: the only classes that `from_config` builds.

    Operators, the dataclasses they take as arguments, and exception classes may be added.

    Parameters
    ----------
    classes
        What it holds at first.
    files
        Whether it offers classes that touch files (`touches_files`), too. Without it they are
        left out, and an object that would touch files by its arguments is refused.

    Raises
    ------
    TypeError
        For what is no class, or one that no config can carry.
    ValueError
        For a name that another class has.

    Examples
    --------
    >>> from pipekit import AssertDType, Identity
    >>> registry = Registry([Identity, AssertDType])
    >>> registry.names()
    ['AssertDType', 'Identity']
    """

    def __init__(self, classes: Iterable[type] = (), *, files: bool = True) -> None:
        self.files = files
        self._classes: dict[str, type] = {}
        self._offers: tuple[str, ...] = ()
        for cls in classes:
            self.add(cls)

    def with_files(self) -> Registry:
        """Return a copy that also offers the classes that touch files.

        Returns
        -------
        Registry
            A copy; what is added to it is not in this one.
        """
        copy = Registry(files=True)
        copy._classes |= self._classes
        copy._offers = self._offers
        return copy

    def _offered(self, name: str, loaded: bool = False) -> Any:
        """Return what the modules offer under a name, whatever it is, or None."""
        for module in self._offers:
            if (not loaded or module in sys.modules) and name in (homes := _homes(module)):
                return getattr(import_module(homes[name]), name)
        return None

    def _get(self, name: str) -> type | None:
        """Return the class that a config may build under this name, or None."""
        if name in self._classes:
            return self._classes[name]
        offered = self._offered(name)
        is_allowed = _is_addable(offered) and (self.files or not touches_files(offered))
        return offered if is_allowed else None

    def add(self, cls: AnyClass) -> AnyClass:
        """Add one class and return it, so that it serves as a decorator.

        Defining a class again under the same module and name replaces it, as when a notebook
        cell is run twice.

        Parameters
        ----------
        cls
            An operator, a dataclass, an axis or an exception class.

        Returns
        -------
        type
            `cls` itself.

        Raises
        ------
        ValueError
            The name is taken by another class.
        TypeError
            It is no class, or one whose operators never serialise.
        """
        if not isinstance(cls, type):
            raise TypeError(f"a registry holds classes, got {cls!r}")
        if getattr(cls, "forbid_in_yaml", False):
            raise TypeError(
                f"{cls.__name__} holds a Python function or object, which a config cannot carry; "
                "it cannot be registered"
            )
        # Of the packages only those that are loaded: to add a class costs no import.
        offered = self._offered(cls.__name__, loaded=True)
        taken = self._classes.get(cls.__name__) or (offered if _is_addable(offered) else None)
        if taken is not None and _address(taken) != _address(cls):
            raise ValueError(
                f"the name {cls.__name__!r} is taken by {'.'.join(_address(taken))}; "
                "rename the class or use a Registry of its own"
            )
        self._classes[cls.__name__] = cls
        return cls

    def names(self) -> list[str]:
        """Return the known names, sorted; this imports all modules that offer any.

        Returns
        -------
        list of str
            The names that a config may use.
        """
        offered = map(_homes, self._offers)
        return sorted(name for name in {*self._classes}.union(*offered) if name in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._get(name) is not None

    def __iter__(self) -> Iterator[type]:
        return (self[name] for name in self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __getitem__(self, name: str) -> type:
        found = self._get(name)
        if found is None:
            raise KeyError(name)
        return found

    def exception(self, name: str) -> type[Exception] | None:
        """Return a built-in or registered exception class by name.

        Parameters
        ----------
        name
            Such as "OSError".

        Returns
        -------
        type or None
            None when it is no exception that is known.
        """
        found = self[name] if name in self else getattr(builtins, str(name), None)
        is_exception = isinstance(found, type) and issubclass(found, Exception)
        return found if is_exception else None

    def way_out(self, name: str) -> str:
        """Return what makes a config with a class that is not here build, for an error.

        Parameters
        ----------
        name
            The name in the config.

        Returns
        -------
        str
            A clause without a full stop.
        """
        found = self._offered(name)
        if not self.files and touches_files(found):
            return "it reads or writes files where the config says; give files=True if you trust it"
        if getattr(found, "forbid_in_yaml", False):
            return "it holds a function or an object, which no config carries; make it in code"
        return "add it with registry.add(cls) or @register if you trust it"


def _is_addable(value: Any) -> bool:
    """Tell whether a value is a class that a config may name.

    These are exceptions, operators that do something, and the axes and patchers of geopatcher.
    """
    if not isinstance(value, type) or getattr(value, "forbid_in_yaml", False):
        return False
    if issubclass(value, Operator | Exception):
        return getattr(value, "_apply", None) is not Operator._apply
    return hasattr(value, "_config_values") and hasattr(value, "__dataclass_fields__")


def touches_files(value: object) -> bool:
    """Tell whether a class, or an object by its arguments, reads or writes files.

    Parameters
    ----------
    value
        A class or an object.

    Returns
    -------
    bool
        What it says of itself.

    Examples
    --------
    >>> from pipekit import Identity
    >>> touches_files(Identity)
    False
    """
    return getattr(value, "touches_files", False) is True


def _address(cls: type) -> tuple[str, str]:
    """Return where a class is defined: two of one address are the same, defined again."""
    return cls.__module__, cls.__qualname__


@cache
def _homes(module: str) -> dict[str, str]:
    """Return the public names of a package, or of all entry points, with the modules to ask."""
    if module == ENTRY_POINTS:
        from importlib.metadata import entry_points

        return {point.attr: point.module for point in entry_points(group=ENTRY_POINTS)}
    return dict.fromkeys(import_module(module).__all__, module)


_default = Registry(files=False)
_default._offers = (*SHIPPED, ENTRY_POINTS)


def default_registry() -> Registry:
    """Return the registry used when none is given.

    It holds what the five packages ship, without what touches files or holds a function, what
    `register` adds, and what other distributions offer as entry points.

    Returns
    -------
    Registry
        One and the same in a process.

    Examples
    --------
    >>> "Sequential" in default_registry(), "Lambda" in default_registry()
    (True, False)
    >>> "WriteCOG" in default_registry(), "WriteCOG" in default_registry().with_files()
    (False, True)
    """
    return _default


def register(cls: AnyClass) -> AnyClass:
    """Add a class to the default registry; a decorator.

    Parameters
    ----------
    cls
        The class.

    Returns
    -------
    type
        `cls` itself.

    Raises
    ------
    ValueError
        The name is taken by another class.
    TypeError
        It is no class, or one whose operators never serialise.

    Examples
    --------
    >>> from pipekit import Operator, from_config
    >>> @register
    ... class Shift(Operator):
    ...     def __init__(self, by):
    ...         self.by = by
    ...     def _apply(self, x):
    ...         return x + self.by
    >>> from_config({"class": "Shift", "config": {"by": 2}})(40)
    42
    """
    return default_registry().add(cls)
