"""Patchers that take a series apart and put results together: in time, in space and time."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio.windows import Window

from geopatcher.axes.axis import check_axes
from geopatcher.axes.sampler import SpatialExplicit
from geopatcher.config import Configured, as_choice, is_a
from geopatcher.domain import RasterDomain, as_raster_domain
from geopatcher.fields import Field, RasterField, XarrayField, as_field
from geopatcher.merge.chip import fitting_attrs
from geopatcher.patch import CoverageWarning, Patch, PatchError
from geopatcher.patcher import SpatialPatcher
from geopatcher.time.aggregation import TemporalMean
from geopatcher.time.axes import Steps, TemporalCausalBoxcar, TimeScales, TimeSpan
from geopatcher.time.series import TimeDomain, axis_of, series_domain, take_steps
from pipekit.carrier import PER_BAND


@dataclass(frozen=True)
class TemporalPatcher(Configured):
    """Geometry (how far back), sampler (when), window (what weight), aggregation (how merged).

    Works on arrays, `GeoTensor`s and `DataArray`s. `time_axis` is the number or, in xarray, the
    name of the time axis: 0, or "time" where an xarray has it.

    A patch's `anchor` is the number of its last known step, `indices` its steps, `weights` (n,)
    what each step of its lookback counts.

    Parameters
    ----------
    geometry
        Which steps a patch has, such as `TemporalFixedLookback`.
    sampler
        When, such as `TemporalRegularStride`.
    window
        What each step counts; default `TemporalCausalBoxcar()`.
    aggregation
        How results are merged; default `TemporalMean()`.
    time_axis : int or str
        The number or name of the time axis.

    Raises
    ------
    PatchError
        For an axis that lacks the method that makes it one.

    Examples
    --------
    >>> from geopatcher import TemporalFixedLookback, TemporalRegularStride
    >>> patcher = TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(2))
    >>> [patch.data.tolist() for patch in patcher.split(np.arange(6))]
    [[0], [0, 1, 2], [2, 3, 4]]
    """

    geometry: Any
    sampler: Any
    window: Any = field(default_factory=TemporalCausalBoxcar)
    aggregation: Any = field(default_factory=TemporalMean)
    time_axis: int | str = 0

    def __post_init__(self) -> None:
        check_axes(self)

    def domain(self, series: Any) -> TimeDomain:
        """Return the time domain of a series.

        Parameters
        ----------
        series : array, GeoTensor or xarray.DataArray
            With time along `time_axis`.

        Returns
        -------
        TimeDomain
            Its axis, steps and dates.
        """
        return series_domain(series, self.time_axis)

    def anchors(self, series: Any) -> list[int]:
        """Return the numbers of the steps at which patches are anchored, in the order of `split`.

        Parameters
        ----------
        series : array, GeoTensor or xarray.DataArray
            With time along `time_axis`.

        Returns
        -------
        list of int
            Numbers of steps.
        """
        return list(self.sampler.anchors(self.domain(series), self.geometry))

    def n_anchors(self, series: Any) -> int:
        """Return how many patches `split` makes of a series."""
        return len(self.anchors(series))

    def patch_at(self, series: Any, anchor: Any) -> Patch:
        """Return the patch at an anchor: the number of a step, or a date.

        Parameters
        ----------
        series : array, GeoTensor or xarray.DataArray
            With time along `time_axis`.
        anchor : int or date
            A step or a date.

        Returns
        -------
        Patch
            With its data.
        """
        patch = self.at(self.domain(series), anchor)
        axis, indices = patch.domain.axis, patch.indices
        if isinstance(indices, TimeScales):
            return patch.with_data(tuple(take_steps(series, s.steps, axis) for s in indices.spans))
        return patch.with_data(take_steps(series, indices.steps, axis))

    def at(self, domain: TimeDomain, anchor: Any) -> Patch:
        """Return the patch at an anchor, the number of a step or a date, without its data.

        Parameters
        ----------
        domain : TimeDomain
            Of the series.
        anchor : int or date
            A step or a date.

        Returns
        -------
        Patch
            Its steps and their weights.
        """
        step = domain.step_of(anchor)
        indices = self.geometry.neighborhood(domain, step)
        return Patch(None, step, indices, self.weights_of(indices), domain)

    def split(self, series: Any) -> Iterator[Patch]:
        """Yield the patches of a series one by one."""
        return (self.patch_at(series, anchor) for anchor in self.anchors(series))

    def merge(self, patches: Iterable[Patch], domain: Any = None) -> Any:
        """Put patches together on a series or its `TimeDomain`.

        Parameters
        ----------
        patches : iterable of Patch
            What `split` gave, or what was made of it.
        domain : series or TimeDomain, optional
            What they are merged onto; default the series that they were cut from, whose labels
            only the series itself gives.

        Returns
        -------
        numpy.ndarray, xarray.DataArray or dict
            As the aggregation makes it.
        """
        if domain is None:
            patches = iter(patches)
            begun = list(islice(patches, 1))
            patches, domain = chain(begun, patches), begun[0].domain if begun else None
        time = None if domain is None else series_domain(domain, self.time_axis)
        merged = self.aggregation.merge(patches, time)
        return labelled(merged, domain, self.time_axis)

    def weights_of(self, indices: Steps) -> Any:
        """Return the weights of a patch's known steps: (n,), or a tuple of them for scales.

        Parameters
        ----------
        indices : TimeSpan, TimeSteps or TimeScales
            The steps of a patch.

        Returns
        -------
        numpy.ndarray or tuple of them
            (n,) float64.
        """
        if isinstance(indices, TimeScales):
            return tuple(self.weights_of(span) for span in indices.spans)
        length = len(indices)
        if isinstance(indices, TimeSpan):
            length = indices.present - indices.start
        return np.asarray(self.window.weights(self.geometry, length))


def labelled(merged: Any, series: Any, time_axis: int | str) -> Any:
    """Return a merged array as a `DataArray` where the series is one and its axes are known.

    Parameters
    ----------
    merged : any
        What an aggregation made.
    series : array, GeoTensor or xarray.DataArray
        With time along `time_axis`.
    time_axis : int or str
        The number or name of the time axis.

    Returns
    -------
    any
        With labels, or the same.
    """
    if not isinstance(merged, np.ndarray) or not is_a(series, "xarray.DataArray"):
        return merged
    if merged.shape == series.shape:
        return series.copy(data=merged)
    name = series.dims[axis_of(series, time_axis)]
    if merged.shape == (series.sizes[name],):
        import xarray as xr

        coords = {name: series.coords[name]} if name in series.coords else {}
        return xr.DataArray(merged, coords=coords, dims=[name])
    return merged


COUPLINGS = ("product", "aligned", "coupled")


@dataclass(slots=True, eq=False)
class SpatioTemporalPatch:
    """A piece in space and time: its data, and its address in each, as patches without data.

    `space` has the (row, col) anchor, the window and its weights (h, w); `time` the step, the
    steps and their weights (n,).

    Parameters
    ----------
    data : any
        (n, ..., h, w); a tuple of such for scales.
    space : Patch
        Its place, without data.
    time : Patch
        Its steps, without data.

    Examples
    --------
    >>> place, step = Patch(None, (0, 16), None), Patch(None, 4, None)
    >>> SpatioTemporalPatch(np.zeros((3, 16, 16)), place, step).anchor
    ((0, 16), 4)
    """

    data: Any
    space: Patch
    time: Patch

    @property
    def anchor(self) -> tuple[Any, Any]:
        """((row, col), step)."""
        return self.space.anchor, self.time.anchor

    @property
    def indices(self) -> tuple[Any, Any]:
        """(window, steps)."""
        return self.space.indices, self.time.indices

    @property
    def weights(self) -> Any:
        """What each pixel of each known step counts: (n, h, w), a tuple of such for scales."""
        steps, pixels = self.time.weights, self.space.weights
        if steps is None or pixels is None:
            return None
        if isinstance(steps, tuple):
            return tuple(np.multiply.outer(each, pixels) for each in steps)
        return np.multiply.outer(steps, pixels)

    def with_data(self, data: Any) -> SpatioTemporalPatch:
        """Return the same patch with other data, for instance what an operator made of it.

        Parameters
        ----------
        data : any
            The new data.

        Returns
        -------
        SpatioTemporalPatch
            At the same place and time.
        """
        return SpatioTemporalPatch(data, self.space, self.time)


@dataclass(frozen=True)
class SpatioTemporalPatcher(Configured):
    """A spatial and a temporal patcher over a series of rasters, (T, ..., H, W).

    `coupling` says which pairs of anchors there are: "product" (every place at every time, time
    by time), "aligned" (the first place at the first time, the second at the second, ...) or
    "coupled" (`SpatialExplicit` takes `((row, col), t)` pairs, such as plots and the dates of
    their visits; the temporal sampler plays no part).

    The series is an array, a `GeoTensor` or a `DataArray` that ends in (y, x), or a Field of
    such. `time_axis` is the number or, in xarray, the name of the time axis. Of a file's Field a
    patch reads all steps of its window.

    Parameters
    ----------
    spatial : SpatialPatcher
        Cuts in space.
    temporal : TemporalPatcher
        Cuts in time.
    coupling : {"product", "aligned", "coupled"}
        Which pairs of anchors there are.
    time_axis : int or str
        The number or name of the time axis.

    Raises
    ------
    PatchError
        For arguments of another kind, or a coupling without its sampler.

    Examples
    --------
    >>> from geopatcher import *
    >>> space = SpatialPatcher(SpatialRectangular(16), SpatialRegularStride(16))
    >>> time = TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(4))
    >>> patches = list(SpatioTemporalPatcher(space, time).split(np.zeros((8, 2, 32, 32))))
    >>> len(patches), patches[-1].anchor, patches[-1].data.shape
    (8, ((16, 16), 4), (3, 2, 16, 16))
    """

    spatial: SpatialPatcher
    temporal: TemporalPatcher
    coupling: str = "product"
    time_axis: int | str = 0

    def __post_init__(self) -> None:
        for name, kind in (("spatial", SpatialPatcher), ("temporal", TemporalPatcher)):
            if not isinstance(getattr(self, name), kind):
                raise PatchError(
                    f"{name} must be a {kind.__name__}, got {type(getattr(self, name)).__name__}"
                )
        as_choice(self.coupling, "coupling", COUPLINGS)
        if self.spatial.on_error != "raise":
            raise PatchError(
                'a patch in space and time that fails is raised, so on_error is "raise" here, got '
                f"{self.spatial.on_error!r}; catch it around patch_at to leave it out"
            )
        if self.coupling == "coupled" and not isinstance(self.spatial.sampler, SpatialExplicit):
            raise PatchError(
                'coupling="coupled" needs SpatialExplicit([((row, col), t), ...]), got '
                f"{type(self.spatial.sampler).__name__}"
            )

    def anchors(self, series: Any) -> list[tuple[Any, int]]:
        """Return ((row, col), step) of every patch, in the order of `split`.

        Parameters
        ----------
        series : array, GeoTensor or xarray.DataArray
            (T, ..., H, W), with time along `time_axis`.

        Returns
        -------
        list
            ((row, col), step) of each.
        """
        series = _series_of(series)
        time = series_domain(series, self.time_axis)
        if self.coupling == "coupled":
            assert isinstance(self.spatial.sampler, SpatialExplicit)
            return [self._pair(anchor, time) for anchor in self.spatial.sampler.anchors_]
        space = _space_of(series)
        places = list(self.spatial.sampler.anchors(space, self.spatial.geometry))
        steps = list(self.temporal.sampler.anchors(time, self.temporal.geometry))
        if self.coupling == "product":
            return [(place, step) for step in steps for place in places]
        if len(places) != len(steps):
            raise PatchError(
                f"aligned anchors come in pairs, got {len(places)} in space and {len(steps)} in "
                'time; coupling="product" takes every place at every time'
            )
        return list(zip(places, steps, strict=True))

    def n_anchors(self, series: Any) -> int:
        """Return how many patches `split` makes of a series."""
        return len(self.anchors(series))

    def split(self, series: Any) -> Iterator[SpatioTemporalPatch]:
        """Yield the patches of a series one by one."""
        series = _series_of(series)
        for step, group in groupby(self.anchors(series), key=lambda anchor: anchor[1]):
            time = self._at(series, step)
            for place, _ in group:
                yield self._patch(time, series, place)

    def patch_at(self, series: Any, anchor: Any) -> SpatioTemporalPatch:
        """Return the patch at an anchor, ((row, col), step or date).

        Parameters
        ----------
        series : array, GeoTensor or xarray.DataArray
            (T, ..., H, W), with time along `time_axis`.
        anchor : ((row, col), step or date)
            Where and when it lies.

        Returns
        -------
        SpatioTemporalPatch
            With its data.
        """
        series = _series_of(series)
        place, step = self._pair(anchor, series_domain(series, self.time_axis))
        return self._patch(self._at(series, step), series, place)

    def merge(self, patches: Iterable[SpatioTemporalPatch], domain: Any) -> Any:
        """Put patches together: in space at each time, then in time.

        The spatial patcher's aggregation makes one raster of all patches of a step; the temporal
        one's merges these rasters. With "product" one step is in memory at a time.

        Parameters
        ----------
        patches : iterable of SpatioTemporalPatch
            With "product" time by time.
        domain : series
            What they are merged onto.

        Returns
        -------
        numpy.ndarray, GeoTensor, xarray.DataArray or dict
            As the temporal aggregation makes it.
        """
        domain = _series_of(domain)
        space = _space_of(domain)
        time = series_domain(domain, self.time_axis)
        step_of = operator.attrgetter("time.anchor")
        if self.coupling != "product":  # whose patches come time by time
            patches = sorted(patches, key=step_of)
        said: dict[str, Any] = {}
        rasters = (self._raster(list(group), space, said) for _, group in groupby(patches, step_of))
        merged = self.temporal.aggregation.merge(rasters, time)
        is_raster = isinstance(merged, np.ndarray) and merged.shape[-2:] == space.shape[-2:]
        if is_raster and space.transform is not None:
            attrs = fitting_attrs(said, merged.shape[:-2])
            return GeoTensor(merged, space.transform, space.crs, np.nan, attrs)
        return labelled(merged, domain, self.time_axis)

    def _raster(
        self, group: list[SpatioTemporalPatch], space: RasterDomain, said: dict[str, Any]
    ) -> Patch:
        """Return one step's raster; `said` gets the names and roles of its bands."""
        time = group[0].time
        if isinstance(time.indices, TimeScales):
            raise PatchError(
                "results of several scales cannot be merged in space; combine them in the operator"
            )
        chips = [patch.space.with_data(patch.data) for patch in group]
        with warnings.catch_warnings():
            if self.coupling != "product":  # chosen places leave gaps, at each step others
                warnings.simplefilter("ignore", CoverageWarning)
            raster = self.spatial.merge(chips, space)
        if not isinstance(raster, np.ndarray):
            raise PatchError(
                f"{type(self.spatial.aggregation).__name__} made a {type(raster).__name__} of the "
                f"patches at step {time.anchor}; patches in space and time are merged by spatial "
                "aggregations that make rasters in memory"
            )
        attrs = getattr(raster, "attrs", None) or {}
        said |= {name: attrs[name] for name in PER_BAND if name in attrs}
        says = raster.dtype.kind in "biu" or "band_roles" in attrs
        return time.with_data(raster if says else np.asarray(raster))

    def _at(self, series: Any, step: int) -> Patch:
        """Return the steps at an anchor in time, as a patch without data."""
        domain = series_domain(series, self.time_axis)
        if domain.axis >= len(domain.shape) - 2:
            raise PatchError(
                f"a series of rasters ends in (H, W), but time is axis {domain.axis} of "
                f"{domain.shape}"
            )
        return self.temporal.at(domain, step)

    def _patch(self, time: Patch, series: Any, place: Any) -> SpatioTemporalPatch:
        """Return the piece at a place of the steps of a patch in time; a tuple for scales."""
        scales = isinstance(time.indices, TimeScales)
        spans = time.indices.spans if scales else (time.indices,)
        fields = [_Series(series, span.steps, time.domain.axis) for span in spans]
        found = [self.spatial.patch_at(each, place) for each in fields]
        data = tuple(patch.data for patch in found)
        return SpatioTemporalPatch(data if scales else data[0], found[0].with_data(None), time)

    @staticmethod
    def _pair(anchor: Any, time: TimeDomain) -> tuple[Any, int]:
        try:
            place, step = anchor
            row, col = map(operator.index, place)
        except (TypeError, ValueError):
            raise PatchError(
                f"anchors in space and time are ((row, col), t) pairs, got {anchor!r}"
            ) from None
        return (row, col), time.step_of(step)


class _Series:
    """A series of rasters as a Field: some of its steps, window by window, the kind kept."""

    def __init__(self, series: Any, steps: Any = slice(None), axis: int = 0) -> None:
        self._series, self._steps, self._axis = series, steps, axis
        self.domain = series.domain if hasattr(series, "domain") else _space_of(series)
        self.shape = tuple(self.domain.shape)

    def select(self, window: Window) -> Any:
        if isinstance(self._series, GeoTensor) or hasattr(self._series, "select"):
            piece = as_field(self._series).select(window)
        else:
            piece = self._series[(..., *window.toslices())]
        return take_steps(piece, self._steps, self._axis)


def _series_of(series: Any) -> Any:
    """Return a series as it is cut: of a Field the array in it, or one that reads windows."""
    if isinstance(series, XarrayField):
        return series.da
    if isinstance(series, RasterField) and isinstance(series.reader, GeoTensor):
        return series.reader
    is_field = isinstance(series, Field) and not hasattr(series, "shape")
    return _Series(series) if is_field else series


def _space_of(series: Any) -> RasterDomain:
    if isinstance(series, RasterDomain):
        return series
    shape = getattr(series, "shape", None)
    if shape is None or len(shape) < 3:
        raise PatchError(f"a series of rasters (T, ..., H, W) is needed, got shape {shape}")
    if isinstance(series, GeoTensor):
        return RasterDomain(series.shape, series.transform, series.crs)
    if isinstance(series, _Series):
        return as_raster_domain(series.domain)
    return RasterDomain(tuple(shape))
