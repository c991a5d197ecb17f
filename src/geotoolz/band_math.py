"""New bands from bands: by an expression, or by any operator that makes one band.

An expression is read by Python's own parser and then checked node by node: numbers, names of bands,
arithmetic, comparisons, `&`, `|`, `~`, and calls of the numpy functions listed here. Attributes,
subscripts, keywords and anything else are refused, and nothing but what was checked is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from geotoolz.bands import Band, band_names, coded_bands, put_codes, take_bands
from geotoolz.carrier import NAN, Raster, fill_of, float_dtype, nan_floats, rewrap, values_of
from geotoolz.function_operator import PerPixel, check_band, parameters_of
from pipekit import Operator
from pipekit.operator import checked_operator
from pipekit.pixels import band_roles
from pipekit.radius import passed_on

MAX_LENGTH = 1000
"""Characters that an expression may have."""

MAX_DEPTH = 40
"""How deep an expression may be nested."""

_OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Invert: np.logical_not,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_ONE = (
    "sqrt exp log log2 log10 log1p expm1 sin cos tan arctan tanh floor ceil rint sign square isnan"
)
_CALLS: Mapping[str, tuple[Callable[..., Any], int]] = {
    **{name: (getattr(np, name), 1) for name in _ONE.split()},
    **{
        name: (getattr(np, name), 2) for name in ("minimum", "maximum", "power", "arctan2", "hypot")
    },
    "abs": (np.abs, 1),
    "where": (np.where, 3),
    "clip": (np.clip, 3),
}
"""Functions that may be called, and how many arguments each takes."""

Step = tuple[Any, ...]
"""("number", x), ("band", name), or (function, steps of its arguments)."""


def expression_bands(expression: str) -> tuple[str, ...]:
    """Return the names of the bands that an expression uses, in the order of their first use.

    Parameters
    ----------
    expression
        As in `band_math`.

    Returns
    -------
    Each name once.

    Raises
    ------
    ValueError
        For anything but one expression of what is listed above; the message says what is wrong.

    Examples
    --------
    >>> expression_bands("(nir - red) / (nir + red)")
    ('nir', 'red')
    """
    found: list[str] = []
    waiting: list[Any] = [_parsed(expression)]
    while waiting:
        kind, *rest = waiting.pop()
        if kind == "band":
            found.append(rest[0])
        elif kind != "number":
            waiting.extend(reversed(rest))
    if not found:
        raise ValueError(f"expression {expression!r} names no band")
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=256)
def _parsed(expression: str) -> Step:
    if not isinstance(expression, str) or not expression.strip():
        raise ValueError(f"expression must be text such as '(nir - red) / nir', got {expression!r}")
    if len(expression) > MAX_LENGTH:
        raise ValueError(f"expression takes at most {MAX_LENGTH} characters, got {len(expression)}")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"expression {expression!r} does not parse: {error}") from None
    return _checked(tree.body, expression, 0)


def _checked(node: ast.AST, text: str, depth: int) -> Step:
    """Return what a node of the syntax tree does, or raise ValueError where it may not be."""
    if depth > MAX_DEPTH:
        raise ValueError(f"expression is nested more than {MAX_DEPTH} deep")

    def inner(part: ast.AST) -> Step:
        return _checked(part, text, depth + 1)

    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return "number", float(np.float64(number))
        case ast.Name(id=name):
            return "band", name
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)], inner(left), inner(right)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)], inner(operand)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _OPERATORS for op in ops
        ):
            parts = [inner(part) for part in (left, *others)]
            pairs = [(_OPERATORS[type(op)], *parts[i : i + 2]) for i, op in enumerate(ops)]
            return reduce(lambda a, b: (np.logical_and, a, b), pairs)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS:
            function, count = _CALLS[name]
            if len(args) != count or any(isinstance(arg, ast.Starred) for arg in args):
                raise ValueError(f"{name} in {text!r} takes {count} arguments, got {len(args)}")
            return function, *map(inner, args)
    part = ast.get_source_segment(text.strip(), node) or type(node).__name__
    raise ValueError(
        f"expression {text!r} may not hold {part!r}: it takes numbers, bands, + - * / % **, "
        f"comparisons, & | ~, and {', '.join(sorted(_CALLS))}"
    )


def _computed(step: Step, bands: Mapping[str, Any]) -> Any:
    kind, *rest = step
    if kind == "number":
        return rest[0]
    if kind == "band":
        return bands[rest[0]]
    return kind(*(_computed(part, bands) for part in rest))


def band_math(
    raster: Raster,
    expression: str,
    bands: Mapping[str, Band] | None = None,
    axis: int = 0,
    dtype: str = "float32",
) -> Raster:
    """Return what an expression makes of a raster's bands, pixel by pixel.

    Parameters
    ----------
    raster
        (C, H, W), any numeric dtype; bands are taken as floats, so nothing wraps.
    expression
        Such as "(b8 - b4) / (b8 + b4)": numbers, names of bands, + - * / % **, comparisons, & | ~,
        and functions of numpy such as sqrt, minimum, where and clip.
    bands
        Names in the expression to band indices or names. Names left out are looked up among the
        raster's own and the common ones; b8 is Sentinel-2's B08, too.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.

    Returns
    -------
    (H, W) of `dtype`, NaN where a band that is used has no data; bool, a mask, for a comparison,
    and False there.

    Raises
    ------
    ValueError
        For an expression that may not be, or one without a band.
    BandError
        For a band that is not there.

    Examples
    --------
    >>> chip = np.array([[[1000.0]], [[3000.0]]])
    >>> band_math(chip, "(b8 - b4) / (b8 + b4)", bands={"b4": 0, "b8": 1})
    array([[0.5]], dtype=float32)
    """
    names = expression_bands(expression)
    kind, given, own = float_dtype(dtype), bands or {}, band_names(raster)
    taken = take_bands(raster, [given.get(name, _own_name(name, own)) for name in names], axis)
    fill = fill_of(raster)
    floats = {name: nan_floats(band, fill, kind) for name, band in zip(names, taken, strict=True)}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        out = np.asarray(_computed(_parsed(expression), floats))
    attrs = {"long_name": expression, "units": ""}
    drop = ("band_names", "stretch")
    if out.dtype == np.bool_:
        for band in floats.values():
            out &= ~np.isnan(band)
        return rewrap(raster, out, fill=None, attrs=attrs, drop=drop)
    out = out.astype(kind, copy=False)
    for band in floats.values():
        out[np.isnan(band)] = NAN
    return rewrap(raster, out, fill=NAN, attrs=attrs, drop=drop)


def _own_name(name: str, own: tuple[str, ...]) -> str:
    """Return the name by which a raster has a band: b8 is B08 where that is one."""
    padded = f"B0{name[1:]}" if len(name) == 2 and name[0] in "bB" and name[1].isdigit() else name
    return padded if padded in own else name


class BandMath(PerPixel):
    """A new band by an expression over bands: `band_math` as an operator.

    Raises
    ------
    ValueError
        For a band that the expression does not have.

    Examples
    --------
    >>> ratio = BandMath("nir / red", bands={"red": 0, "nir": 1})
    >>> ratio(np.array([[[2.0]], [[3.0]]]))
    array([[1.5]], dtype=float32)
    """

    @parameters_of(band_math)
    def __init__(self) -> None:
        names = expression_bands(self.expression)
        for name, band in (self.bands or {}).items():
            check_band(band, f"bands[{name!r}]")
        unused = sorted(set(self.bands or {}) - set(names))
        if unused:
            raise ValueError(f"expression {self.expression!r} has no band {unused}; it has {names}")


@dataclass(repr=False, eq=False)
class AppendIndex(Operator):
    """The raster with what an operator makes of it as a further band.

    Quantities become floats of the index' dtype, nodata NaN; classes and bits keep their numbers.

    Parameters
    ----------
    index
        Makes (H, W) of the raster, such as `NDVI()` or `BandMath(...)`.
    name
        Of the new band; by default the index' `attrs["long_name"]`, else its class.

    Raises
    ------
    ValueError
        When it is called, for an index that is no (H, W) of the raster.

    Examples
    --------
    >>> from geotoolz import NDVI
    >>> AppendIndex(NDVI(0, 1))(np.array([[[1000]], [[3000]]], "uint16"))[:, 0, 0]
    array([1.e+03, 3.e+03, 5.e-01], dtype=float32)
    """

    takes_batches = False

    index: Operator
    name: str | None = None
    radius = passed_on("index")

    def __post_init__(self) -> None:
        checked_operator(self.index, "index")

    def _apply(self, raster: Raster) -> Raster:
        made = self.index(raster)
        values, extra = values_of(raster), values_of(made)
        if values.ndim != 3 or extra.shape != values.shape[1:]:
            raise ValueError(
                f"an index is appended as (H, W) to (C, H, W), got {extra.shape} and {values.shape}"
            )
        kind = np.result_type(extra, np.float32) if extra.dtype.kind == "f" else np.float32
        out = np.empty((len(values) + 1, *extra.shape), kind)
        out[:-1] = nan_floats(values, fill_of(raster), kind)
        put_codes(out[:-1], raster, coded_bands(raster))
        out[-1] = nan_floats(extra, fill_of(made), kind)
        said = getattr(made, "attrs", {}).get("long_name")
        names = band_names(raster) or tuple(f"band_{n}" for n in range(1, len(values) + 1))
        attrs: dict[str, Any] = {
            "band_names": [*names, self.name or said or type(self.index).__name__]
        }
        roles = [*band_roles(raster), *band_roles(made)]
        if set(roles) != {"quantity"}:
            attrs["band_roles"] = roles
        return rewrap(raster, out, fill=NAN, attrs=attrs)
