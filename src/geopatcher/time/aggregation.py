"""How results of patches in time become one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from geopatcher.aggregation.overlap_add import SpatialOverlapAdd
from geopatcher.config import Configured, as_count, checked
from geopatcher.merge.chip import Chip, invalid_of, roles_of
from geopatcher.merge.row_buffer import take
from geopatcher.patch import Patch, PatchError
from geopatcher.time.axes import TimeSpan, TimeSteps
from geopatcher.time.series import TimeDomain, series_domain
from pipekit.pixels import Role, invalid_mask, nodata_of, plain


@dataclass(frozen=True)
class TemporalFold(Configured):
    """Carries a state through the patches: `state = fold_fn(state, patch)`, in their order.

    What is carried may be anything: a running maximum, a filter's state, an alarm. `merge`
    returns the last state; `initial_state` is copied, so that each merge begins anew.

    Parameters
    ----------
    fold_fn : callable
        Takes (state, patch), returns the next state.
    initial_state : optional
        What the first patch finds.

    Examples
    --------
    >>> patches = [Patch(np.full(3, level), step, None) for step, level in enumerate((2, 5, 1))]
    >>> TemporalFold(lambda state, patch: max(state, patch.data.max()), 0).merge(patches, None)
    np.int64(5)
    """

    fold_fn: Callable[[Any, Patch], Any]
    initial_state: Any = None

    streaming_safe: ClassVar[bool] = True
    forbid_in_yaml: ClassVar[bool] = True

    def merge(self, patches: Iterable[Patch], domain: Any = None) -> Any:
        """Return the state after the last patch; the domain plays no part.

        Parameters
        ----------
        patches : iterable of Patch
            In the order in which they count.
        domain : optional
            Not used.

        Returns
        -------
        any
            The last state.
        """
        state = copy.deepcopy(self.initial_state)
        for patch in patches:
            state = self.fold_fn(state, patch)
        return state


@dataclass(frozen=True)
class TemporalMean(Configured):
    """The mean over overlapping patches, weighted by the window: the series' shape, with NaN gaps.

    A result with as many axes as the series holds a value for each of its patch's known steps;
    one with fewer holds one value, for the patch's anchor; `keeps_time` says which where an
    operator drops another axis. Nodata and NaN do not count. Bands that hold classes, bits or masks
    are not averaged: the patch with the largest weight decides, of equal ones the first.

    Parameters
    ----------
    keeps_time : bool, optional
        Whether results have the time axis; by default their number of axes tells.

    Raises
    ------
    PatchError
        When it merges no patches, or patches of other shapes.

    Examples
    --------
    >>> from geopatcher import TemporalFixedLookback, TemporalPatcher, TemporalRegularStride
    >>> series = np.array([1.0, 2.0, 6.0, 7.0])
    >>> patcher = TemporalPatcher(TemporalFixedLookback(2), TemporalRegularStride(1))
    >>> patcher.merge(patcher.split(series), series)
    array([1., 2., 6., 7.])
    >>> means = (patch.with_data(patch.data.mean()) for patch in patcher.split(series))
    >>> patcher.merge(means, series)
    array([1. , 1.5, 4. , 6.5])
    """

    keeps_time: bool | None = None

    streaming_safe: ClassVar[bool] = True

    def merge(self, patches: Iterable[Patch], domain: Any) -> np.ndarray:
        """Return (..., T, ...) float with time where the series has it.

        Parameters
        ----------
        patches : iterable of Patch
            In any order.
        domain : TimeDomain or series
            What they are merged onto.

        Returns
        -------
        numpy.ndarray
            NaN where no patch came.
        """
        domain = series_domain(domain)
        axis, reducer = domain.axis, None
        for patch in patches:
            values, steps, weights, invalid = _placed(patch, domain, self.keeps_time)
            others = (*values.shape[:axis], *values.shape[axis + 1 :])
            if reducer is None:
                first, kind = others, values.dtype
                lead = others[:-2]
                chip = Chip(lead, np.result_type(kind, np.float64), None, _roles_in(patch, lead))
                reducer = SpatialOverlapAdd().settled(chip)
                size = (domain.length, math.prod(others[-2:]))
                states = [np.zeros((*s, *size), d) for s, d in reducer.start(*chip[:2])]
            if others != first:
                raise PatchError(
                    f"patches of one shape are needed to merge, got {others} beside the time axis "
                    f"where the first one has {first}"
                )
            rows, hidden = (_as_rows(each, axis) for each in (values, invalid))
            take(reducer, states, (..., steps, slice(None)), rows, weights[:, None], hidden)
        if reducer is None:
            raise PatchError("there are no patches to merge")
        merged = np.moveaxis(reducer.finish(states)[0], -2, 0).reshape(domain.length, *first)
        return np.moveaxis(merged, 0, axis).astype(np.result_type(kind, np.float32), copy=False)


@dataclass(frozen=True)
class TemporalForecast(Configured):
    """Forecasts by their anchor: `{anchor: block}`, each block `horizon` steps long.

    A patch's data is the forecast (horizon, ...), or the whole patch of a
    `TemporalLookbackHorizon`, whose horizon is taken: what a forecast is compared with. Near the
    series' end that is shorter, at its last step empty.

    Parameters
    ----------
    horizon : int
        Steps of each forecast.

    Raises
    ------
    PatchError
        For two forecasts at one step, one of another length, or a patch near the end whose past
        and horizon are together as long as a forecast, which could be either.

    Examples
    --------
    >>> patches = [Patch(np.arange(2) + step, step, None) for step in (4, 9)]
    >>> TemporalForecast(horizon=2).merge(patches, np.zeros(12))
    {4: array([4, 5]), 9: array([ 9, 10])}
    """

    horizon: int = checked(as_count)

    streaming_safe: ClassVar[bool] = True

    def merge(self, patches: Iterable[Patch], domain: Any) -> dict[Any, np.ndarray]:
        """Return the horizon's block of each anchor, in the patches' order.

        Parameters
        ----------
        patches : iterable of Patch
            In any order.
        domain : TimeDomain or series
            What they are merged onto.

        Returns
        -------
        dict
            Blocks (horizon, ...) by anchor.
        """
        axis = series_domain(domain).axis
        found: dict[Any, np.ndarray] = {}
        for patch in patches:
            if patch.anchor in found:
                raise PatchError(
                    f"two forecasts were made at step {patch.anchor}, of which one would be lost"
                )
            found[patch.anchor] = self._block(patch, axis)
        return found

    def _block(self, patch: Patch, axis: int) -> np.ndarray:
        values = plain(patch.data)
        steps = values.shape[axis] if values.ndim > axis else 0
        span = patch.indices
        whole = isinstance(span, TimeSpan) and steps == len(span) and span.asked
        if steps == self.horizon and whole:
            raise PatchError(
                f"the patch at step {patch.anchor} may be a forecast of {steps} steps or a past "
                "and the few steps left after it; leave it out, or cut by TemporalFixedLookback"
            )
        if steps == self.horizon:
            return values
        if whole:
            ahead = slice(span.present - span.start, span.present - span.start + self.horizon)
            return values[(slice(None),) * axis + (ahead,)]
        raise PatchError(
            f"the forecast at step {patch.anchor} has shape {values.shape}; {self.horizon} steps "
            f"are needed on axis {axis}"
        )


@dataclass(frozen=True)
class TemporalHierarchicalCombine(Configured):
    """Combines the results of several scales into one for each anchor: their weighted mean.

    A patch's data is a tuple, one result for each scale (`TemporalMultiScale`), of one shape and
    without the time axis; `weights` say what each scale counts, default the same. A scale that
    is NaN at a pixel leaves it to the others. Output: the series' shape, NaN between anchors.

    Parameters
    ----------
    weights : sequence of float, optional
        One for each scale, at least 0; default the same.

    Raises
    ------
    PatchError
        For negative weights, or results of another number or shape.

    Examples
    --------
    >>> patches = [Patch((np.float64(1.0), np.float64(4.0)), 2, None)]
    >>> TemporalHierarchicalCombine(weights=(2, 1)).merge(patches, np.zeros(4))
    array([nan, nan,  2., nan])
    """

    weights: Any = None

    streaming_safe: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        weights = tuple(float(weight) for weight in self.weights)
        if not weights or min(weights) < 0 or sum(weights) == 0:
            raise PatchError(f"weights must be at least 0 and not all 0, got {self.weights!r}")
        object.__setattr__(self, "weights", weights)

    def merge(self, patches: Iterable[Patch], domain: Any) -> np.ndarray:
        """Return (..., T, ...) float with time where the series has it.

        Parameters
        ----------
        patches : iterable of Patch
            In any order.
        domain : TimeDomain or series
            What they are merged onto.

        Returns
        -------
        numpy.ndarray
            NaN between anchors.
        """
        combined = (patch.with_data(self._combined(patch)) for patch in patches)
        return TemporalMean(keeps_time=False).merge(combined, domain)

    def _combined(self, patch: Patch) -> np.ndarray:
        if not isinstance(patch.data, tuple | list):
            raise PatchError(
                f"the patch at step {patch.anchor} holds a {type(patch.data).__name__}; a result "
                "for each scale is needed, as a tuple"
            )
        parts = [_floats(part) for part in patch.data]
        weights = (1.0,) * len(parts) if self.weights is None else self.weights
        if len(weights) != len(parts) or len({part.shape for part in parts}) != 1:
            raise PatchError(
                f"the patch at step {patch.anchor} holds results of shapes "
                f"{[part.shape for part in parts]}; {len(weights)} of one shape are needed"
            )
        known = np.ma.array(parts, mask=np.isnan(parts))
        return np.ma.filled(np.ma.average(known, axis=0, weights=weights), np.nan)


def _floats(part: Any) -> np.ndarray:
    """Return a result in floats, NaN where it has no data."""
    values = plain(part)
    missing = invalid_mask(values, nodata_of(part))
    return values.astype(float) if missing is None else np.where(missing, np.nan, values)


def _as_rows(values: Any, axis: int) -> Any:
    """Return values as a raster whose rows are steps and whose columns are all pixels of one."""
    if values is None:
        return None
    steps = np.moveaxis(values, axis, 0)
    return np.moveaxis(steps.reshape(*steps.shape[: max(values.ndim - 2, 1)], -1), 0, -2)


def _roles_in(patch: Patch, lead: tuple[int, ...]) -> tuple[Role, ...]:
    """Return what each band holds, or the one role of all where bands are not told apart."""
    bands, roles = (1, *lead)[-1], roles_of(patch.data)
    if len(roles) == bands:
        return roles
    return (roles[0] if "quantity" not in roles else "quantity",) * bands


def _placed(
    patch: Patch, domain: TimeDomain, keeps_time: bool | None
) -> tuple[np.ndarray, Any, np.ndarray, Any]:
    """Return a result with a time axis, its steps, their weights, and where it has no data."""
    values = plain(patch.data)
    invalid = invalid_of(patch, values)
    axis = domain.axis
    if keeps_time is False or (keeps_time is None and values.ndim < len(domain.shape)):
        step = domain.step_of(patch.anchor)
        invalid = None if invalid is None else np.expand_dims(invalid, axis)
        return np.expand_dims(values, axis), slice(step, step + 1), np.ones(1), invalid
    steps: Any
    match patch.indices:
        case TimeSpan() as span:
            steps, count = span.lookback, span.present - span.start
            if values.shape[axis] == len(span):  # what lies ahead is no result of this patch
                past = (slice(None),) * axis + (slice(0, count),)
                values, invalid = values[past], None if invalid is None else invalid[past]
        case TimeSteps(steps=steps):
            count = len(steps)
        case _:
            raise PatchError(
                f"the patch at step {patch.anchor} holds several scales; merge them with "
                "TemporalHierarchicalCombine"
            )
    if values.shape[axis] != count:
        raise PatchError(
            f"the patch at step {patch.anchor} has {values.shape[axis]} steps on axis {axis} and "
            f"its window {count}; give one value for each step, or one without that axis"
        )
    weights = np.ones(count) if patch.weights is None else np.asarray(patch.weights)
    return values, steps, weights, invalid
