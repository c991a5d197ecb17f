"""Which classes a config may name: nothing is ever imported or evaluated from a name."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from pipekit.operator import Operator

AnyClass = TypeVar("AnyClass", bound=type)


class ConfigError(ValueError):
    """A config that is malformed, refused or beyond its limits; the message names the place."""


class UntrustedOperatorError(ConfigError):
    """A config asks for a class that the registry does not allow."""


class Registry:
    """A set of classes by name: the only classes that `from_config` builds.

    Operators, the dataclasses they take as arguments, and exception classes may be added.

    Args:
        classes: what it holds at first.

    >>> from pipekit import AssertDType, Identity
    >>> registry = Registry([Identity, AssertDType])
    >>> registry.names()
    ['AssertDType', 'Identity']
    """

    def __init__(self, classes: Iterable[type] = ()) -> None:
        self._classes: dict[str, type] = {}
        self._later: dict[str, str] = {}
        for cls in classes:
            self.add(cls)

    @classmethod
    def from_modules(cls, *modules: ModuleType) -> Registry:
        """Return a registry of the serialisable operators that these modules define or export."""
        registry = cls()
        for module in modules:
            registry.add_module(module)
        return registry

    def add_module(self, module: ModuleType) -> None:
        """Add every serialisable operator class among a module's public names."""
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        for name in names:
            value = getattr(module, name)
            if is_serialisable_class(value):
                self.add(value)

    def add_later(self, module: str, names: Iterable[str]) -> None:
        """Add a module's operators (and exceptions) by name, loading it when one is asked for.

        It lets a package of many operators be registered at no cost when it is imported. The
        module is fixed here, by code: a config can only choose among the names.

        Args:
            module: the module's full name; its attributes of these names are looked up.
            names: the names to offer; those that turn out to be neither serialisable operators nor
            exceptions are left out.

        >>> registry = Registry()
        >>> registry.add_later("pipekit", ["Identity", "Lambda", "content_hash"])
        >>> registry.names()
        ['Identity']
        """
        self._later.update({name: module for name in names if name not in self._classes})

    def _load(self, name: str) -> None:
        """Add a name that was announced by `add_later`, if it is what can be added."""
        module = self._later.pop(name, None)
        if module is None:
            return
        found = getattr(import_module(module), name)
        is_exception = isinstance(found, type) and issubclass(found, Exception)
        if is_exception or is_serialisable_class(found):
            self.add(found)

    def _load_all(self) -> None:
        for name in list(self._later):
            self._load(name)

    def add(self, cls: AnyClass) -> AnyClass:
        """Add one class and return it, so that it serves as a decorator.

        Defining a class again under the same module and name replaces it, as when a notebook
        cell is run twice.

        Raises:
            ValueError: the name is taken by another class.
            TypeError: it is no class, or one whose operators never serialise.
        """
        if not isinstance(cls, type):
            raise TypeError(f"a registry holds classes, got {cls!r}")
        if getattr(cls, "forbid_in_yaml", False):
            raise TypeError(
                f"{cls.__name__} holds a Python function or object, which a config cannot carry; "
                "it cannot be registered"
            )
        self._load(cls.__name__)
        taken = self._classes.get(cls.__name__)
        if taken is not None and _address(taken) != _address(cls):
            raise ValueError(
                f"the name {cls.__name__!r} is taken by {'.'.join(_address(taken))}; "
                "rename the class or use a Registry of its own"
            )
        self._classes[cls.__name__] = cls
        return cls

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        self._load_all()
        return sorted(self._classes)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._load(name)
        return name in self._classes

    def __iter__(self) -> Iterator[type]:
        self._load_all()
        return iter(list(self._classes.values()))

    def __len__(self) -> int:
        self._load_all()
        return len(self._classes)

    def __getitem__(self, name: str) -> type:
        self._load(name)
        return self._classes[name]

    def exception(self, name: str) -> type[Exception] | None:
        """Return a built-in or registered exception class by name."""
        self._load(name)
        found = self._classes.get(name) or getattr(builtins, str(name), None)
        is_exception = isinstance(found, type) and issubclass(found, Exception)
        return found if is_exception else None


def is_serialisable_class(value: Any) -> bool:
    """Tell whether a value is an operator class that does something and can be written down."""
    is_operator = isinstance(value, type) and issubclass(value, Operator)
    return is_operator and not value.forbid_in_yaml and value._apply is not Operator._apply


def _address(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


_default: Registry | None = None


def default_registry() -> Registry:
    """Return the registry used when none is given: pipekit's operators, and what `register` adds.

    >>> "Sequential" in default_registry(), "Lambda" in default_registry()
    (True, False)
    """
    global _default
    if _default is None:
        import pipekit

        _default = Registry()
        _default.add_later("pipekit", pipekit.__all__)
    return _default


def register(cls: AnyClass) -> AnyClass:
    """Add a class to the default registry; a decorator.

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
