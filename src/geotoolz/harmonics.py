"""Waves in time: level, trend and harmonics of (T, ...) stacks by least squares.

Missing observations take no part. The system of each pixel is small; those of all pixels of a
block are solved together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.carrier import NAN, Raster, float_dtype, rewrap, values_of
from geotoolz.function_operator import PerPixel, parameters_of
from geotoolz.series import YEAR, Floats, date_texts, days_of, per_pixel
from pipekit.operator import checked_count, checked_number
from pipekit.result_size import check_size

_SINGULAR = 1e-10
"""Share of a column's length that must be left beside the columns before it."""


def harmonic_names(harmonics: int, trend: bool = False) -> list[str]:
    """Return what the coefficients of a harmonic fit are called, in their order.

    Parameters
    ----------
    harmonics
        Waves: the period, its half, its third, ...
    trend
        Whether there is a slope.

    Returns
    -------
    One name each.

    Examples
    --------
    >>> harmonic_names(1, trend=True)
    ['level', 'trend', 'cos1', 'sin1']
    """
    waves = [f"{name}{k}" for k in range(1, harmonics + 1) for name in ("cos", "sin")]
    return ["level", *["trend"] * trend, *waves]


def harmonic_matrix(
    days: Floats, period: float = YEAR, harmonics: int = 2, trend: bool = False
) -> Floats:
    """Return the columns of a harmonic fit: 1, years since 2000, and waves from 2000-01-01 on.

    Parameters
    ----------
    days
        (T,), since 2000-01-01.
    period
        Of the first wave, days.
    harmonics
        How many waves.
    trend
        Whether there is a slope, per year of 365.25 days.

    Returns
    -------
    (T, K).

    Examples
    --------
    >>> harmonic_matrix(np.array([0.0, 50.0]), period=400.0, harmonics=1).round(3)
    array([[1.   , 1.   , 0.   ],
           [1.   , 0.707, 0.707]])
    """
    checked_count(harmonics, "harmonics")
    checked_number(period, "period", 0, inside=True, unit=" days")
    unknowns = 1 + trend + 2 * harmonics
    check_size((len(days), unknowns, unknowns), days.dtype, "a harmonic fit")
    angle = 2 * np.pi / period * days[:, None] * np.arange(1, harmonics + 1)
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(days), -1)
    slope = [days[:, None] / YEAR] if trend else []
    return np.concatenate([np.ones((len(days), 1)), *slope, waves], axis=1)


def harmonic_fit(
    stack: Raster,
    dates: Any,
    period: float = YEAR,
    harmonics: int = 2,
    trend: bool = False,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return the least-squares waves of each pixel's observations; missing ones take no part.

    Parameters
    ----------
    stack
        (T, ...) integers or floats.
    dates
        (T,), as in `days_of`.
    period
        Of the first wave, days.
    harmonics
        How many waves: the period, its half, its third, ...
    trend
        Whether to fit a slope too, per year.
    dtype
        Of the result, a float type.

    Returns
    -------
    (K, ...) floats, as `harmonic_names` calls them; NaN where the observations do not determine
    them: fewer than K, or all in the same part of the period.

    Examples
    --------
    >>> dates = ["2000-01-01", "2000-04-10", "2000-07-19", "2000-10-27"]
    >>> series = np.array([3.0, 3.0, 1.0, 1.0])
    >>> harmonic_fit(series, dates, period=400, harmonics=1).round(4)
    array([2., 1., 1.], dtype=float32)
    """
    days = days_of(dates)
    middle = days.mean() if trend and len(days) else 0.0
    # The slope is fitted around the middle of the dates: beside 1, years since 2000 say little.
    columns = harmonic_matrix(days, period, harmonics, trend)
    if trend:
        columns[:, 1] -= middle / YEAR

    def fit(series: Floats, _: Floats) -> Floats:
        seen = ~np.isnan(series)
        normal = (columns[:, :, None] * columns[:, None, :]).reshape(len(days), -1).T @ seen
        right = columns.T @ np.where(seen, series, 0.0)
        size = columns.shape[1]
        found = solve_small(normal.reshape(size, size, -1), right[:, None])[:, 0]
        if trend:
            found[0] -= found[1] * middle / YEAR
        return found

    return per_pixel(stack, dates, fit, dtype, harmonic_names(harmonics, trend))


def harmonic_curve(
    coefficients: Raster,
    dates: Any,
    period: float = YEAR,
    harmonics: int = 2,
    trend: bool = False,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return the curve of a harmonic fit at any dates.

    Parameters
    ----------
    coefficients
        (K, ...), as `harmonic_fit` gives them.
    dates
        (T,), as in `days_of`.
    period, harmonics, trend
        Those of the fit.
    dtype
        Of the result, a float type.

    Returns
    -------
    (T, ...) floats.

    Examples
    --------
    >>> harmonic_curve(np.array([2.0, 1.0, 0.0]), ["2000-01-01"], harmonics=1)
    array([3.], dtype=float32)
    """
    values = values_of(coefficients)
    columns = harmonic_matrix(days_of(dates), period, harmonics, trend)
    if len(values) != columns.shape[1]:
        raise ValueError(
            f"a fit of {harmonics} harmonics{' and a trend' * trend} has {columns.shape[1]} "
            f"coefficients, got {len(values)}"
        )
    curve = np.tensordot(columns, values.astype(np.float64), axes=1)
    return rewrap(coefficients, curve.astype(float_dtype(dtype)), fill=NAN, drop=("band_names",))


def lower_triangle(normal: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the Cholesky factors of many small matrices, and which of them are singular.

    Parameters
    ----------
    normal
        (K, K, n), each symmetric.

    Returns
    -------
    (K, K, n) lower triangles, and (n,) bool.

    Examples
    --------
    >>> lower_triangle(np.array([[[4.0, 1.0]], ]))
    (array([[[2., 1.]]]), array([False, False]))
    """
    size, _, count = normal.shape
    factor = np.zeros(normal.shape)
    singular = np.zeros(count, bool)
    for j in range(size):
        left = normal[j, j] - np.einsum("kn,kn->n", factor[j, :j], factor[j, :j])
        bad = ~(left > _SINGULAR * normal[j, j])
        singular |= bad
        factor[j, j] = np.sqrt(np.where(bad, 1.0, left))
        for i in range(j + 1, size):
            rest = normal[i, j] - np.einsum("kn,kn->n", factor[i, :j], factor[j, :j])
            factor[i, j] = rest / factor[j, j]
    return factor, singular


def solve_lower(factor: Floats, right: Floats) -> Floats:
    """Return what lower triangles give `right` for, by forward substitution.

    Parameters
    ----------
    factor
        (K, K, n).
    right
        (K, m, n).

    Returns
    -------
    (K, m, n).

    Examples
    --------
    >>> solve_lower(np.array([[[2.0]]]), np.array([[[6.0]]]))
    array([[[3.]]])
    """
    out = np.array(right)
    for i in range(len(out)):
        for j in range(i):
            out[i] -= factor[i, j] * out[j]
        out[i] /= factor[i, i]
    return out


def solve_small(normal: Floats, right: Floats) -> Floats:
    """Return the solutions of many small symmetric systems; NaN where one is singular.

    Parameters
    ----------
    normal
        (K, K, n).
    right
        (K, m, n).

    Returns
    -------
    (K, m, n).

    Examples
    --------
    >>> solve_small(np.array([[[4.0, 0.0]]]), np.array([[[8.0, 1.0]]]))
    array([[[ 2., nan]]])
    """
    factor, singular = lower_triangle(normal)
    # Read from its end, what is left is a lower triangle, too.
    back = factor[::-1, ::-1].transpose(1, 0, 2)
    out = solve_lower(back, solve_lower(factor, right)[::-1])[::-1]
    out[..., singular] = np.nan
    return out


class HarmonicFit(PerPixel):
    """Level and waves of each pixel's series: `harmonic_fit` as an operator.

    Examples
    --------
    >>> dates = [f"2020-{month:02}-01" for month in range(1, 13)]
    >>> HarmonicFit(dates, harmonics=1)(np.ones((12, 2, 2))).shape
    (3, 2, 2)
    """

    dates: Any

    @parameters_of(harmonic_fit)
    def __init__(self) -> None:
        self.dates = date_texts(self.dates)
        harmonic_matrix(np.zeros(1), self.period, self.harmonics, self.trend)
