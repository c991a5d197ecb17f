"""Standardise bands, and gather the statistics for it over any number of chips."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geotoolz.bands import PerBand, band_views, on_quantities, per_band
from geotoolz.carrier import Fill, Raster, Values, fill_of, valid_values, values_of
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.radiometry import check_percentiles, percentiles_of, stretched


@on_quantities
def standard_scale(
    raster: Raster,
    mean: PerBand | None = None,
    std: PerBand | None = None,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return (raster - mean) / std, band by band.

    Nodata stays NaN. A band of `std` 0 becomes 0.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W) taken as one band.
    mean, std
        One number or one per band, such as those of `PerBandStats`; where not given, the raster's
        own, over valid pixels.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`, nodata as NaN.

    Raises
    ------
    ValueError
        For a negative spread, or not as many numbers as bands.

    Examples
    --------
    >>> standard_scale(np.array([[[1.0, 3.0]]]))
    array([[[-1.,  1.]]], dtype=float32)
    """
    if mean is None or std is None:
        own = PerBandStats(axis).update(raster)
        mean = own.mean if mean is None else mean
        std = own.std if std is None else std
    values = values_of(raster)
    centre, spread = (
        np.ravel(per_band(numbers, values, axis, np.dtype(np.float64), name))
        for numbers, name in ((mean, "mean"), (std, "std"))
    )
    if np.any(spread < 0):
        raise ValueError(f"a spread can't be negative, got {spread}")
    return stretched(raster, (centre, spread), axis, dtype, clip=False)


@on_quantities
def robust_scale(
    raster: Raster,
    p_min: float = 25.0,
    p_max: float = 75.0,
    axis: int = 0,
    dtype: DTypeLike = "float32",
) -> Raster:
    """Return (raster - median) / (p_max percentile - p_min percentile), band by band.

    Outliers such as clouds hardly move the median and the quartiles. Nodata does not count and
    stays NaN; a band without spread becomes 0.

    Parameters
    ----------
    raster
        (C, H, W), or (H, W) taken as one band.
    p_min
        Lower percentile of the spread.
    p_max
        Upper percentile of the spread.
    axis
        Of the bands in the raster.
    dtype
        Of the result, a float type.

    Returns
    -------
    (C, H, W) of `dtype`, nodata as NaN.

    Examples
    --------
    >>> robust_scale(np.array([[[0.0, 1.0, 2.0, 3.0, 100.0]]]))
    array([[[-1. , -0.5,  0. ,  0.5, 49. ]]], dtype=float32)
    """
    check_percentiles(p_min, p_max)
    low, median, high = percentiles_of(raster, (p_min, 50.0, p_max), axis)
    return stretched(raster, (median, high - low), axis, dtype, clip=False)


class PerBandStats:
    """Count, mean, standard deviation, minimum and maximum per band, over any number of chips.

    Chips are merged exactly (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115), so
    statistics gathered by several workers add up: `a + b`. Nodata does not count.

    Parameters
    ----------
    axis
        Of the bands in the chips; a chip (H, W) is a single band.

    Raises
    ------
    ValueError
        By `update`, for another number of bands than before.

    Examples
    --------
    >>> stats = PerBandStats()
    >>> for chip in np.arange(8.0).reshape(2, 1, 2, 2):
    ...     _ = stats.update(chip)
    >>> stats.count, stats.mean, stats.std.round(3)
    (array([8]), array([3.5]), array([2.291]))
    """

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis
        self._moments: Values = np.zeros((5, 0))

    def update(self, chip: Raster) -> PerBandStats:
        """Add a chip's valid pixels.

        Parameters
        ----------
        chip
            (C, H, W), or (H, W) as a single band; any numeric dtype.

        Returns
        -------
        These statistics themselves.

        Raises
        ------
        ValueError
            For another number of bands than before.
        """
        fill = fill_of(chip)
        bands = band_views(values_of(chip), self.axis)
        return self._add(np.transpose([_moments(band, fill) for band in bands]))

    def merge(self, other: PerBandStats) -> PerBandStats:
        """Add what other statistics have gathered.

        Parameters
        ----------
        other
            Statistics of as many bands.

        Returns
        -------
        These statistics themselves.

        Raises
        ------
        ValueError
            For another number of bands.
        """
        return self._add(other._moments) if other.count.size else self

    def __add__(self, other: PerBandStats) -> PerBandStats:
        return PerBandStats(self.axis).merge(self).merge(other)

    def _add(self, moments: Values) -> PerBandStats:
        if self.count.size == 0:
            self._moments = moments.copy()
            return self
        if moments.shape != self._moments.shape:
            raise ValueError(f"expected {self.count.size} bands as before, got {moments.shape[1]}")
        n, mean, squares, low, high = self._moments
        n_new, mean_new, squares_new, *limits = moments
        share = n_new / np.maximum(n + n_new, 1)
        step = mean_new - mean
        squares = squares + squares_new + step**2 * n * share
        low, high = np.minimum(low, limits[0]), np.maximum(high, limits[1])
        self._moments = np.array([n + n_new, mean + step * share, squares, low, high])
        return self

    def _seen(self, statistic: Values) -> NDArray[np.float64]:
        return np.where(self.count > 0, statistic, np.nan)

    @property
    def count(self) -> NDArray[np.int64]:
        """The number of valid pixels of each band, (C,)."""
        return self._moments[0].astype(np.int64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean of each band, (C,); NaN where no pixel was valid, as in the others."""
        return self._seen(self._moments[1])

    @property
    def var(self) -> NDArray[np.float64]:
        """The population variance of each band, (C,)."""
        return self._seen(self._moments[2] / np.maximum(self.count, 1))

    @property
    def std(self) -> NDArray[np.float64]:
        """The population standard deviation of each band, (C,)."""
        return np.sqrt(self.var)

    @property
    def min(self) -> NDArray[np.float64]:
        """The smallest valid value of each band, (C,)."""
        return self._seen(self._moments[3])

    @property
    def max(self) -> NDArray[np.float64]:
        """The largest valid value of each band, (C,)."""
        return self._seen(self._moments[4])

    def __repr__(self) -> str:
        return (
            f"PerBandStats(count={self.count.tolist()}, mean={self.mean.round(6).tolist()}, "
            f"std={self.std.round(6).tolist()})"
        )


def _moments(band: Values, fill: Fill) -> tuple[float, ...]:
    """Return count, mean, sum of squared deviations, minimum and maximum of the valid values."""
    valid = valid_values(band, fill)
    if valid.size == 0:
        return 0, 0.0, 0.0, np.inf, -np.inf
    mean = float(valid.mean(dtype=np.float64))
    deviation = valid.astype(np.float64) - mean
    return valid.size, mean, float(deviation @ deviation), float(valid.min()), float(valid.max())


class StandardScale(FunctionOperator):
    """Centre on the mean and divide by the standard deviation: `standard_scale` as an operator.

    Examples
    --------
    >>> StandardScale(mean=2.0, std=0.5)(np.array([[[1.0, 3.0]]]))
    array([[[-2.,  2.]]], dtype=float32)
    """

    @parameters_of(standard_scale)
    def __init__(self) -> None: ...

    @property
    def radius(self) -> int | None:
        """0 for a given mean and deviation; without them the whole chip's are computed."""
        return None if self.mean is None or self.std is None else 0


class RobustScale(FunctionOperator):
    """Centre on the median and divide by a percentile range: `robust_scale` as an operator.

    Examples
    --------
    >>> RobustScale()(np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]]]))
    array([[[-1. , -0.5,  0. ,  0.5,  1. ]]], dtype=float32)
    """

    @parameters_of(robust_scale)
    def __init__(self) -> None:
        check_percentiles(self.p_min, self.p_max)
