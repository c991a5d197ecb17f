"""Merging patches that are no rectangles: cells of a grid, members of a set.

The same reducers as for rectangles, over states as large as the domain: scattered patches come in
no order that would let a part of the domain be finished early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np

from geopatcher.domain import PointDomain, RasterDomain, VectorDomain, as_domain
from geopatcher.merge.chips import as_scene, warn_uncovered
from geopatcher.merge.row_buffer import Reducer
from geopatcher.patch import Failed, Patch, PatchError
from geopatcher.scattered import Scattered


class ScatterReducer(Reducer, Protocol):
    """A reducer that says what uncovered cells hold."""

    def fill_for(self, dtype: np.dtype) -> Any:
        """Return the value of uncovered cells in a result of `dtype`."""


def tell_scattered(patches: Iterable[Patch], domain: Any) -> tuple[Iterable[Patch], bool]:
    """Return the patches again, and whether they are scattered rather than rectangles."""
    stream = getattr(patches, "unread_stream", None)
    if stream is not None:
        patches = stream
    if isinstance(domain, PointDomain | VectorDomain):
        return patches, True
    geometry = getattr(getattr(patches, "patcher", None), "geometry", None)
    if geometry is not None:
        return patches, not hasattr(geometry, "size")
    if isinstance(patches, Sequence):
        return patches, bool(patches) and _is_scattered(patches[0])
    items = iter(patches)
    first = next(items, None)
    if first is None:
        return (), False
    return chain([first], items), _is_scattered(first)


def _is_scattered(patch: Any) -> bool:
    return isinstance(getattr(patch, "indices", None), Scattered)


def merge_scattered(patches: Iterable[Patch], domain: Any, reducer: ScatterReducer) -> Any:
    """Merge scattered patches with a reducer onto a domain.

    Returns (..., H, W) on rasters and grids (a `GeoTensor` when the raster is georeferenced), and
    (..., N) on points and shapes; what no patch covers holds the reducer's fill value.
    """
    domain = as_domain(domain)
    shape = domain.shape if isinstance(domain, PointDomain | VectorDomain) else domain.shape[-2:]
    states: list[np.ndarray] = []
    first: Patch | None = None
    waiting: list[Patch] = []
    spec: tuple[tuple[int, ...], Any] = ((), None)
    for patch in patches:
        if first is None:
            waiting.append(patch)
            if isinstance(patch.data, Failed):
                continue
            first = patch
            spec = _flat(patch, shape)[0].shape[:-2], np.asarray(patch.data).dtype
            size = int(np.prod(shape))
            states = [np.zeros((*lead, 1, size), d) for lead, d in reducer.start(*spec)]
        for ready in waiting or [patch]:
            states = _take(states, ready, shape, reducer, spec[0])
        waiting = []
    if first is None:
        raise PatchError("there are no patches to merge, or all of them failed")
    values, covered = reducer.finish(states)
    values = values.astype(reducer.result(*spec)[1], copy=False)
    warn_uncovered(1 - covered / values.shape[-1], "cells" if len(shape) == 2 else "members")
    values = values.reshape(*values.shape[:-2], *shape)
    skipped = getattr(patches, "skipped", {})
    if isinstance(domain, RasterDomain):
        return as_scene(values, domain, reducer.fill_for(values.dtype), first.data, skipped)
    return values


def _take(
    states: list[np.ndarray],
    patch: Patch,
    shape: tuple[int, ...],
    reducer: Reducer,
    lead: tuple[int, ...],
) -> list[np.ndarray]:
    values, index = _flat(patch, shape)
    if values.shape[:-2] != lead and not isinstance(patch.data, Failed):
        raise PatchError(
            f"patches of one kind are needed to merge: the first gave {lead} before its values, "
            f"the one at anchor {patch.anchor} gives {values.shape[:-2]}"
        )
    weights = None if patch.weights is None else np.asarray(patch.weights)[None]
    parts = [state[..., index] for state in states]
    deeper = getattr(reducer, "deeper", None)
    specs = deeper(parts, values) if deeper is not None else None
    if specs is not None:
        states = [_deepened(state, lead) for state, (lead, _) in zip(states, specs, strict=True)]
        parts = [state[..., index] for state in states]
    reducer.update(parts, values, weights)
    for state, part in zip(states, parts, strict=True):
        state[..., index] = part
    return states


def _deepened(state: np.ndarray, lead: tuple[int, ...]) -> np.ndarray:
    """Return a state with more room along its first axis, zero where it is new."""
    if state.shape[:-2] == lead:
        return state
    grown = np.zeros((*lead, *state.shape[-2:]), state.dtype)
    grown[: len(state)] = state
    return grown


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
