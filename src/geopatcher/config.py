"""Axes and patchers as values: their arguments, checked, are their config."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from geopatcher.patch import PatchError
from pipekit.config import Limits
from pipekit.operator import checked_count, checked_number, checked_option, checked_pair
from pipekit.registry import ConfigError, Registry, UntrustedOperatorError
from pipekit.serialize import decode

_KINDS: dict[str, type[Configured]] = {}


class Configured:
    """A frozen dataclass whose fields are its config.

    Subclasses are dataclasses; `repr` and `==` come with the dataclass. `pipekit.to_config` and
    `pipekit.from_config` write and read it exactly, as they do operators. `get_config` is the same
    as plain JSON for people to read, and `from_config` takes either form.

    Examples
    --------
    >>> from geopatcher import SpatialRegularStride
    >>> config = SpatialRegularStride(192).get_config()
    >>> config, SpatialRegularStride.from_config(config)
    ({'step': [192, 192]}, SpatialRegularStride(step=(192, 192)))
    >>> from pipekit import from_config, to_config
    >>> from_config(to_config(SpatialRegularStride(192)))
    SpatialRegularStride(step=(192, 192))
    """

    forbid_in_yaml: ClassVar[bool] = False
    """True for what holds a function, which no config carries."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if "check" in field.metadata:
                value = field.metadata["check"](getattr(self, field.name), field.name)
                object.__setattr__(self, field.name, value)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = _KINDS.get(cls.__name__)
        if known is not None and known.__module__ != cls.__module__:
            raise PatchError(
                f"the name {cls.__name__} is taken by {known.__module__}, and a config tells "
                "classes apart by name; choose another name"
            )
        _KINDS[cls.__name__] = cls

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name as plain JSON values.

        Nested axes are `{"class": name, "config": {...}}`.

        Returns
        -------
        dict
            Arguments by name.

        Raises
        ------
        PatchError
            An argument has no JSON form, such as a function.
        """
        return {
            name: _plain(value, f"{type(self).__name__}.{name}")
            for name, value in self._config_values().items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build the object that `get_config` described, of the axes that were defined.

        Parameters
        ----------
        config : mapping
            What `get_config` or `pipekit.to_config` made.

        Returns
        -------
        Configured
            Equal to what was described.

        Raises
        ------
        PatchError
            The config names a class that is not defined here, or arguments that are refused.
        """
        known = Registry(kind for kind in _KINDS.values() if not kind.forbid_in_yaml)
        try:
            return cls(**decode(dict(config), known, Limits()))
        except UntrustedOperatorError as error:
            named = str(error).partition(" is not in the registry")[0]
            names = ", ".join(known.names())
            raise PatchError(
                f"{named}, which is not defined here; known classes: {names}"
            ) from None
        except ConfigError as error:
            raise PatchError(str(error)) from error

    def _config_values(self) -> dict[str, Any]:
        """Return the arguments themselves, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init
        }


def checked(check: Callable[[Any, str], Any], default: Any = dataclasses.MISSING) -> Any:
    """Return a dataclass field whose value is what `check(value, name)` makes of the argument.

    Parameters
    ----------
    check : callable
        Takes (value, name), returns the value to keep or raises.
    default : any
        Of the field.

    Returns
    -------
    dataclasses.Field
        For a frozen dataclass.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Every(Configured):
    ...     step: Any = checked(as_pixel_pair)
    >>> Every(192)
    Every(step=(192, 192))
    """
    return dataclasses.field(default=default, metadata={"check": check})


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Configured):
        return {"class": type(value).__name__, "config": value.get_config()}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, where) for key, item in value.items()}
    if isinstance(value, list | tuple | range | np.ndarray):
        return [_plain(item, where) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    try:
        return np.dtype(value).str
    except TypeError:
        raise PatchError(
            f"{where} holds a {type(value).__name__}, which has no JSON form; give plain numbers, "
            "text or axes, or pickle the object instead"
        ) from None


def as_pixel_pair(value: Any, name: str) -> tuple[int, int]:
    """Return (rows, cols) of positive whole pixels from one number or a pair.

    Parameters
    ----------
    value : int or sequence of int
        The argument; a sequence of one number is for data of one dimension, which is one row.
    name : str
        Its name, for the message.

    Returns
    -------
    (int, int)
        (rows, cols).

    Examples
    --------
    >>> as_pixel_pair(256, "size"), as_pixel_pair([16], "size")
    ((256, 256), (1, 16))
    >>> as_pixel_pair((0, 192), "step")
    Traceback (most recent call last):
        ...
    geopatcher.patch.PatchError: step must be positive whole pixels, one number or (rows, cols), \
got (0, 192)
    """
    is_line = isinstance(value, Sequence | np.ndarray) and len(value) == 1
    return checked_pair([1, *value] if is_line else value, name, PatchError)


as_choice = partial(checked_option, refusal=PatchError)
"""`pipekit.operator.checked_option` whose error is a `PatchError`, as those below are."""

as_count = partial(checked_count, refusal=PatchError)
"""Whole numbers of at least 1, or another least."""

as_positive = partial(checked_number, low=0, inside=True, refusal=PatchError)
"""Finite numbers above 0."""


def share_of(what: str) -> Callable[[Any, str], float]:
    """Return a check for `checked` of a share, a number from 0 to 1.

    Parameters
    ----------
    what : str
        What it is a share of, for the message.

    Returns
    -------
    callable
        Takes (value, name), returns the share.

    Examples
    --------
    >>> share_of("the chip")(0.5, "alpha")
    0.5
    """
    unit = f", a share of {what}"
    return partial(checked_number, low=0, high=1, unit=unit, refusal=PatchError)


def is_a(obj: Any, *classes: str) -> bool:
    """Return whether an object is of one of some classes, given by name; nothing is imported.

    An object of a class exists only where somebody has imported the class's module.

    Parameters
    ----------
    obj : any
        What is looked at.
    *classes : str
        Full names of classes.

    Returns
    -------
    bool
        Whether it is.

    Examples
    --------
    >>> is_a(7, "xarray.DataArray", "builtins.int")
    True
    """
    for name in classes:
        module, _, kind = name.rpartition(".")
        if module in sys.modules and isinstance(obj, getattr(sys.modules[module], kind)):
            return True
    return False
