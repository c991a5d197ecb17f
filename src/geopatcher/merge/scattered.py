"""Merging patches that are no rectangles: cells of a grid, members of a set.

The same reducers as for rectangles, over states as large as the domain: scattered patches come in
no order that would let a part of the domain be finished early.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from geopatcher.domain import Domain, PointDomain, RasterDomain, VectorDomain
from geopatcher.merge.chips import as_scene, check_lead, first_of, warn_uncovered
from geopatcher.merge.row_buffer import DeepeningReducer, Reducer, deepened
from geopatcher.patch import Patch, PatchError, Scattered


def merge_scattered(
    patches: Iterable[Patch], domain: Domain, reducer: Reducer, skipped: dict[Any, str]
) -> Any:
    """Merge scattered patches with a reducer onto a domain.

    Returns (..., H, W) on rasters and grids (a `GeoTensor` when the raster is georeferenced), and
    (..., N) on points and shapes; what no patch covers holds the reducer's fill value. `skipped`
    lists the patches that failed, by the time that all have been read.
    """
    is_set = isinstance(domain, PointDomain | VectorDomain)
    shape = domain.shape if is_set else domain.shape[-2:]
    items, first = first_of(enumerate(patches), skipped)
    lead, dtype = _flat(first, shape)[0].shape[:-2], np.asarray(first.data).dtype
    specs = reducer.start(lead, dtype)
    states = [np.zeros((*s, 1, math.prod(shape)), d) for s, d in specs]
    for _, patch in items:
        if patch is not None:
            _take(states, patch, shape, reducer, lead)
    values, covered = reducer.finish(states)
    values = values.astype(reducer.result(lead, dtype)[1], copy=False)
    warn_uncovered(1 - covered / values.shape[-1], "members" if is_set else "cells")
    values = values.reshape(*values.shape[:-2], *shape)
    if isinstance(domain, RasterDomain):
        return as_scene(values, domain, reducer.fill_for(values.dtype), first.data, skipped)
    return values


def _take(
    states: list[np.ndarray],
    patch: Patch,
    shape: tuple[int, ...],
    reducer: Reducer,
    lead: tuple[int, ...],
) -> None:
    """Take one patch into the states."""
    values, index = _flat(patch, shape)
    check_lead(values, lead, patch)
    weights = None if patch.weights is None else np.asarray(patch.weights)[None]
    parts = [state[..., index] for state in states]
    deeper = isinstance(reducer, DeepeningReducer) and reducer.deeper(parts, values)
    if deeper:
        states[:] = [deepened(state, lead) for state, (lead, _) in zip(states, deeper, strict=True)]
        parts = [state[..., index] for state in states]
    reducer.update(parts, values, weights)
    for state, part in zip(states, parts, strict=True):
        state[..., index] = part


def _flat(patch: Patch, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return a patch's values (..., 1, n) and their positions in the flat domain (n,)."""
    if not isinstance(patch.indices, Scattered):
        raise PatchError(
            f"the patch at anchor {patch.anchor} is no set of cells or members, as the others are; "
            "rectangles and other patches cannot be merged together"
        )
    positions = patch.indices.positions
    values = np.asarray(patch.data).view(np.ndarray)
    if values.shape[-1:] != (len(patch.indices),):
        raise PatchError(
            f"the patch at anchor {patch.anchor} has data of shape {values.shape}, which does not "
            f"end in its {len(patch.indices)} cells or members; to keep one value for each patch, "
            "merge with SpatialByIndex"
        )
    if len(positions) != len(shape) or any(
        p.size and (p.min() < 0 or p.max() >= n) for p, n in zip(positions, shape, strict=True)
    ):
        raise PatchError(
            f"the patch at anchor {patch.anchor} lies outside the domain of {shape}; was it cut "
            "from another one?"
        )
    return values[..., None, :], np.ravel_multi_index(positions, shape)
