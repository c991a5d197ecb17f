"""The temporal patcher: four axes that take a series apart and put results together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geopatcher.arguments import is_a
from geopatcher.axes.axis import check_axes
from geopatcher.config import Configured
from geopatcher.patch import Patch
from geopatcher.time.aggregation import TemporalMean
from geopatcher.time.axes import Steps, TemporalCausalBoxcar, TimeScales, TimeSpan
from geopatcher.time.series import TimeDomain, axis_of, series_domain, take_steps


@dataclass(frozen=True)
class TemporalPatcher(Configured):
    """Geometry (how far back), sampler (when), window (what weight), aggregation (how merged).

    Works on arrays, `GeoTensor`s and `DataArray`s. `time_axis` is the number or, in xarray, the
    name of the time axis: 0, or "time" where an xarray has it.

    A patch's `anchor` is the number of its last known step, `indices` its steps, `weights` (n,)
    what each step of its lookback counts.

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
        """Return the time domain of a series."""
        return series_domain(series, self.time_axis)

    def anchors(self, series: Any) -> list[int]:
        """Return the numbers of the steps at which patches hang, in the order of `split`."""
        return list(self.sampler.anchors(self.domain(series), self.geometry))

    def n_anchors(self, series: Any) -> int:
        """Return how many patches `split` makes of a series."""
        return len(self.anchors(series))

    def patch_at(self, series: Any, anchor: Any) -> Patch:
        """Return the patch at an anchor: the number of a step, or a date."""
        domain = self.domain(series)
        step = domain.step_of(anchor)
        indices = self.geometry.neighborhood(domain, step)
        axis = axis_of(series, self.time_axis) % len(domain.shape)
        return Patch(taken(series, indices, axis), step, indices, self.weights_of(indices))

    def split(self, series: Any) -> Iterator[Patch]:
        """Yield the patches of a series one by one."""
        return (self.patch_at(series, anchor) for anchor in self.anchors(series))

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Put patches together on a series or its `TimeDomain`."""
        merged = self.aggregation.merge(patches, series_domain(domain, self.time_axis))
        return labelled(merged, domain, self.time_axis)

    def weights_of(self, indices: Steps) -> Any:
        """Return the weights of a patch's known steps: (n,), or a tuple of them for scales."""
        if isinstance(indices, TimeScales):
            return tuple(self.weights_of(span) for span in indices.spans)
        length = len(indices)
        if isinstance(indices, TimeSpan):
            length = indices.present - indices.start
        return np.asarray(self.window.weights(self.geometry, length))


def taken(series: Any, indices: Steps, axis: int) -> Any:
    """Return the steps of a patch from a series; a tuple of pieces for scales."""
    if isinstance(indices, TimeScales):
        return tuple(take_steps(series, span.steps, axis) for span in indices.spans)
    return take_steps(series, indices.steps, axis)


def labelled(merged: Any, series: Any, time_axis: int | str) -> Any:
    """Return a merged array as a `DataArray` where the series is one and its axes are known."""
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
