"""Checks that pass good data through and stop bad data, or set it aside."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any, Literal

import numpy as np

from pipekit.operator import Operator, checked_function, checked_number, checked_option, summarise
from pipekit.pixels import equal_mask, nodata_of, plain

OnFail = Literal["raise", "warn"]


class QCError(ValueError):
    """Data that failed a quality check.

    Examples
    --------
    >>> AssertDType("uint16")(np.zeros(1))
    Traceback (most recent call last):
    pipekit.qc.QCError: AssertDType: dtype float64 is not uint16 (input: ndarray (1,) float64)
    """


class QCWarning(UserWarning):
    """Data that failed a quality check whose `on_fail` is "warn".

    Examples
    --------
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     x = AssertDType("uint16", on_fail="warn")(np.zeros(1))
    >>> caught[0].category.__name__
    'QCWarning'
    """


class Check(Operator):
    """A quality check: a subclass says in `fault` what is wrong with a value, if anything.

    Parameters
    ----------
    on_fail
        "raise" stops with `QCError`; "warn" issues a `QCWarning` and goes on.

    Examples
    --------
    >>> class NotEmpty(Check):
    ...     def fault(self, x):
    ...         return None if len(x) else "it is empty"
    >>> NotEmpty()([])
    Traceback (most recent call last):
    pipekit.qc.QCError: NotEmpty: it is empty (input: list of 0)
    """

    def __init__(self, on_fail: OnFail = "raise") -> None:
        self.on_fail = checked_option(on_fail, "on_fail", OnFail)

    def fault(self, x: Any) -> str | None:
        """Return what is wrong with a value, or None.

        Parameters
        ----------
        x
            What is checked.

        Returns
        -------
        str or None
            What is wrong, in words that follow the class's name.

        Raises
        ------
        NotImplementedError
            A subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fault(self, x)")

    def _apply(self, x: Any) -> Any:
        fault = self.fault(x)
        if fault is None:
            return x
        message = f"{type(self).__name__}: {fault} (input: {summarise(x)})"
        if self.on_fail == "raise":
            raise QCError(message)
        warnings.warn(message, QCWarning, stacklevel=3)
        return x


class AssertShape(Check):
    """Check the shape; None stands for any length.

    Parameters
    ----------
    shape
        The length of each axis, None for any.
    on_fail
        "raise" or "warn".

    Raises
    ------
    QCError
        When it is called, for another shape.

    Examples
    --------
    >>> import numpy as np
    >>> AssertShape((4, None, None))(np.zeros((4, 3, 5))).shape
    (4, 3, 5)
    >>> AssertShape((4, None, None))(np.zeros((2, 3, 5)))
    Traceback (most recent call last):
    pipekit.qc.QCError: AssertShape: shape (2, 3, 5) is not (4, any, any) ...
    """

    def __init__(self, shape: Sequence[int | None], on_fail: OnFail = "raise") -> None:
        super().__init__(on_fail)
        self.shape = _checked_shape(shape)

    def fault(self, x: Any) -> str | None:
        """Return how the shape differs, or None.

        Parameters
        ----------
        x
            An array, or what has a shape.

        Returns
        -------
        str or None
            What is wrong.
        """
        shape = tuple(np.shape(x))
        fits = len(shape) == len(self.shape) and all(
            wanted is None or wanted == got for wanted, got in zip(self.shape, shape, strict=True)
        )
        return None if fits else f"shape {shape} is not {self.shape}".replace("None", "any")


def _checked_shape(shape: Any) -> tuple[int | None, ...]:
    """Return a shape as a tuple, or say what one is."""
    lengths = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (-1,)
    lengths = tuple(int(n) if isinstance(n, np.integer) else n for n in lengths)
    if not all(n is None or (isinstance(n, int) and n >= 0) for n in lengths):
        raise ValueError(
            "shape is a tuple of lengths of at least 0, None for any length, such as "
            f"(4, None, None); got {shape!r}"
        )
    return lengths


class AssertDType(Check):
    """Check the dtype, given as a name, a numpy dtype or a numpy type.

    Parameters
    ----------
    dtype
        What `numpy.dtype` takes; it is kept as its name.
    on_fail
        "raise" or "warn".

    Raises
    ------
    TypeError
        For what numpy knows no dtype by.
    QCError
        When it is called, for another dtype.

    Examples
    --------
    >>> import numpy as np
    >>> AssertDType("float32")(np.zeros(2))
    Traceback (most recent call last):
    pipekit.qc.QCError: AssertDType: dtype float64 is not float32 ...
    """

    radius = 0

    def __init__(self, dtype: Any, on_fail: OnFail = "raise") -> None:
        super().__init__(on_fail)
        try:
            known = np.dtype(dtype)
        except TypeError:
            raise TypeError(
                f"dtype must be one that numpy knows, such as 'float32', got {dtype!r}"
            ) from None
        # The short names lose the byte order, and the length of texts.
        plain = known.isnative and known.kind in "biufc"
        self.dtype = known.name if plain else known.str

    def fault(self, x: Any) -> str | None:
        """Return how the dtype differs, or None.

        Parameters
        ----------
        x
            An array, or what has a dtype.

        Returns
        -------
        str or None
            What is wrong.
        """
        dtype = getattr(x, "dtype", None)
        if dtype is None:
            return f"a {type(x).__name__} has no dtype; it should be {self.dtype}"
        return None if dtype == np.dtype(self.dtype) else f"dtype {dtype} is not {self.dtype}"


class AssertHasAttribute(Check):
    """Check that an attribute (or an entry of `attrs`) is there and not None, or has a value.

    Parameters
    ----------
    name
        The attribute, such as "crs", or a key of the carrier's `attrs`.
    value
        What it must equal; by default (`...`) any value will do. A CRS may be given as
        any library's object or as its text, such as "EPSG:32610".
    on_fail
        "raise" or "warn".

    Raises
    ------
    QCError
        When it is called, for an attribute that is missing or has another value.

    Examples
    --------
    >>> AssertHasAttribute("real", value=2)(2)
    2
    """

    radius = 0

    def __init__(
        self, name: str, value: Any | EllipsisType = ..., on_fail: OnFail = "raise"
    ) -> None:
        super().__init__(on_fail)
        self.name = name
        self.value = value

    def fault(self, x: Any) -> str | None:
        """Return that the attribute is missing or different, or None.

        Parameters
        ----------
        x
            Anything.

        Returns
        -------
        str or None
            What is wrong.
        """
        found = getattr(x, self.name, None)
        if found is None:
            attrs = getattr(x, "attrs", None)
            found = attrs.get(self.name) if isinstance(attrs, dict) else None
        if found is None:
            return f"there is no {self.name}"
        if self.value is ... or _same(found, self.value):
            return None
        return f"{self.name} is {found}, not {self.value}"


def _same(found: Any, wanted: Any) -> bool:
    # Two libraries' objects for one CRS are not equal, but read the same.
    """Tell whether an attribute is the wanted one, a CRS in any library's form."""
    has_text = any(isinstance(x, str) or hasattr(x, "to_wkt") for x in (found, wanted))
    if has_text and str(found) == str(wanted):
        return True
    return bool(np.all(found == wanted)) and np.shape(found) == np.shape(wanted)


class AssertValueRange(Check):
    """Check that all valid values lie between two bounds, both included.

    NaN and the carrier's fill value are no values and are not looked at.

    Parameters
    ----------
    min_val
        The lowest value that passes, in the units of the data.
    max_val
        The highest.
    on_fail
        "raise" or "warn".

    Raises
    ------
    ValueError
        For a `min_val` above `max_val`.
    QCError
        When it is called, for values beyond the bounds.

    Examples
    --------
    >>> import numpy as np
    >>> AssertValueRange(0, 1)(np.array([0.2, np.nan, 1.5]))
    Traceback (most recent call last):
    pipekit.qc.QCError: AssertValueRange: values run from 0.2 to 1.5, beyond [0, 1] ...
    """

    radius = 0

    def __init__(self, min_val: float, max_val: float, on_fail: OnFail = "raise") -> None:
        super().__init__(on_fail)
        if not min_val <= max_val:
            raise ValueError(f"min_val must not exceed max_val, got {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def fault(self, x: Any) -> str | None:
        """Return the range found, if it goes beyond the bounds.

        Parameters
        ----------
        x
            An array of numbers, of any shape.

        Returns
        -------
        str or None
            What is wrong.
        """
        values = np.asarray(x)[valid_mask(x)]
        if values.size == 0:
            return None
        low, high = values.min().item(), values.max().item()
        if self.min_val <= low and high <= self.max_val:
            return None
        return f"values run from {low:g} to {high:g}, beyond [{self.min_val:g}, {self.max_val:g}]"


class AssertValidFraction(Check):
    """Check that enough values are valid: neither NaN nor infinite nor the carrier's fill value.

    Parameters
    ----------
    min_valid
        The least share of valid values, 0 to 1.
    on_fail
        "raise" or "warn".

    Raises
    ------
    ValueError
        For a share outside 0 to 1.
    QCError
        When it is called, for fewer valid values.

    Examples
    --------
    >>> import numpy as np
    >>> AssertValidFraction(0.5)(np.array([1.0, np.nan, np.nan]))
    Traceback (most recent call last):
    pipekit.qc.QCError: AssertValidFraction: 33.3% of the values are valid, less than 50.0% ...
    """

    def __init__(self, min_valid: float, on_fail: OnFail = "raise") -> None:
        super().__init__(on_fail)
        self.min_valid = checked_number(min_valid, "min_valid", 0, 1)

    def fault(self, x: Any) -> str | None:
        """Return the share of valid values, if it is too small.

        Parameters
        ----------
        x
            An array, of any shape.

        Returns
        -------
        str or None
            What is wrong.
        """
        valid = valid_mask(x)
        share = float(valid.mean()) if valid.size else 0.0
        if share >= self.min_valid:
            return None
        return f"{share:.1%} of the values are valid, less than {self.min_valid:.1%}"


def valid_mask(x: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where a value is finite and not the carrier's fill value, in the shape of `x`.

    Parameters
    ----------
    x
        An array or carrier of any dtype.

    Returns
    -------
    ndarray of bool
        True where the value is valid.

    Examples
    --------
    >>> import numpy as np
    >>> valid_mask(np.array([1.0, np.inf, np.nan])).tolist()
    [True, False, False]
    """
    values = plain(x)
    is_inexact = values.dtype.kind in "fc"
    valid = np.isfinite(values) if is_inexact else np.ones(values.shape, dtype=bool)
    marked = equal_mask(values, nodata_of(x))
    if marked is not None:
        valid &= ~marked
    return valid


class Quarantine(Operator):
    """Replace an input that fails a check by a sentinel, and tell who wants to know.

    Parameters
    ----------
    check
        An operator that raises `QCError` for bad input, or a function that returns
        whether the input is good.
    sentinel
        What stands for bad input from here on.
    on_quarantine
        Called with the bad input and the `QCError`, or with the input alone where it takes but one
        argument.

    Examples
    --------
    >>> import numpy as np
    >>> from pipekit import AssertDType
    >>> bad = []
    >>> check = Quarantine(AssertDType("float32"), sentinel=None, on_quarantine=bad.append)
    >>> check(np.zeros(2, "int16")) is None, bad
    (True, [array([0, 0], dtype=int16)])
    """

    def __init__(
        self,
        check: Callable[[Any], Any],
        sentinel: Any,
        on_quarantine: Callable[..., object] | None = None,
    ) -> None:
        self.check = checked_function(check, "Quarantine", "check")
        self.sentinel = sentinel
        self.on_quarantine = on_quarantine
        self.forbid_in_yaml = not isinstance(check, Operator) or on_quarantine is not None

    def _apply(self, x: Any) -> Any:
        try:
            verdict = self.check(x)
            if not isinstance(self.check, Operator) and not verdict:
                raise QCError(f"the check refused the input: it returned {verdict!r}")
        except QCError as error:
            if self.on_quarantine is not None:
                told = (x, error) if _takes_two(self.on_quarantine) else (x,)
                self.on_quarantine(*told)
            return self.sentinel
        return x


def _takes_two(function: Callable[..., object]) -> bool:
    """Tell whether a function can be called with two arguments."""
    from inspect import signature

    try:
        signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a function of C that does not tell
        return True
    return True
