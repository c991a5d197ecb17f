"""Patches stitched into a raster: in memory, or row by row into a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from geopatcher.domain import (
    Domain,
    GridDomain,
    PointDomain,
    RasterDomain,
    VectorDomain,
    as_domain,
    as_raster_domain,
)
from geopatcher.fields.open_files import bounded_cache
from geopatcher.files.rows import RasterSpec
from geopatcher.files.target import check_target, open_lazily, open_target, telling_full_disk
from geopatcher.merge.chips import as_scene, riding_attrs, warn_uncovered
from geopatcher.merge.row_buffer import Reducer, RowMerge
from geopatcher.merge.scattered import merge_scattered
from geopatcher.patch import Patch, Scattered
from geopatcher.plan import Plan, chip_spec
from geopatcher.stream import PatchStream, unread


def merge_in_memory(patches: Iterable[Patch], domain: Any, aggregation: Reducer) -> Any:
    """Merge patches onto a domain in memory; warn with the share that no patch covers.

    Parameters
    ----------
    patches : PatchStream or iterable of Patch
        Rectangles, or sets of cells or members.
    domain : domain, Field, GeoTensor, reader or array
        What they are merged onto.
    aggregation : Reducer
        How overlapping patches become one value.

    Returns
    -------
    GeoTensor or numpy.ndarray
        (..., H, W), with its place where the domain has one; (..., N) on points and shapes.
    """
    domain = as_domain(domain)
    patches = unread(patches)
    skipped = patches.skipped if isinstance(patches, PatchStream) else {}
    patches, scattered = _told_scattered(patches, domain)
    if scattered:
        return merge_scattered(patches, domain, aggregation, skipped)
    domain = as_raster_domain(domain)
    plan = Plan(patches, domain, aggregation)
    merge = plan.row_merge(chip_spec(plan.first))
    lead, dtype = merge.spec
    out = np.empty((*lead, domain.height, domain.width), dtype)
    covered = plan.fill(merge, out)
    warn_uncovered(1 - covered / (domain.height * domain.width))
    return as_scene(out, domain, aggregation.fill_for(out.dtype), plan.first.data, plan.skipped)


def merge_to_file(
    patches: Iterable[Patch], domain: Any, aggregation: Any, target: Any, *, chunks: Any = None
) -> Any:
    """Merge patches into a COG or Zarr store, row by row, and open it lazily.

    Memory is O(chip height x scene width), whatever the scene's height. For an aggregation that
    must see all values of a pixel (`streaming_safe` is False) the rows held are as deep as
    patches overlap.

    Parameters
    ----------
    patches : PatchStream or iterable of Patch
        Rectangular patches; an iterator must come by rising row.
    domain : domain, Field, GeoTensor, reader or array
        The raster (..., H, W) that is written.
    aggregation : Reducer
        How overlapping patches become one value.
    target : path
        A COG (.tif) or a Zarr store (.zarr).
    chunks : int or (rows, cols), optional
        The file's tiles in pixels.

    Returns
    -------
    RasterioReader or xarray.DataArray
        The finished file, opened lazily.

    Examples
    --------
    >>> import tempfile
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import *
    >>> scene = GeoTensor(np.ones((70, 70)), Affine(10, 0, 0, 0, -10, 700), "EPSG:32632")
    >>> patcher = SpatialPatcher(SpatialRectangular(16), SpatialRegularStride(9))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     merge_to_file(patcher.split(scene), scene, SpatialOverlapAdd(), folder + "/o.tif").shape
    (1, 70, 70)
    """
    path = check_target(target, chunks)
    domain = _located(domain)
    plan = Plan(unread(patches), domain, aggregation)
    stream = plan.stream
    field, workers = (None, 1) if stream is None else (stream.field, stream.workers)
    with telling_full_disk(path), bounded_cache(field, workers):
        merge = plan.row_merge(chip_spec(plan.first))
        spec = spec_of(aggregation, merge, domain, plan.first)
        opened = open_target(path, spec, chunks)
        try:
            opened.store.create()
            covered = plan.write(merge, lambda: opened.store.begin().write, opened.store.align)
            opened.finish(spec.with_skipped(plan.skipped))
        finally:
            opened.discard()
    warn_uncovered(1 - covered / (domain.height * domain.width))
    return open_lazily(path)


def _told_scattered(patches: Iterable[Patch], domain: Domain) -> tuple[Iterable[Patch], bool]:
    """Return the patches again, and whether they are scattered rather than rectangles."""
    if isinstance(domain, PointDomain | VectorDomain):
        return patches, True
    if isinstance(patches, PatchStream):
        return patches, not patches.is_rectangular
    if isinstance(patches, Sequence):
        return patches, bool(patches) and _is_scattered(patches[0])
    items = iter(patches)
    first = next(items, None)
    return (() if first is None else chain([first], items)), _is_scattered(first)


def _is_scattered(patch: Any) -> bool:
    return isinstance(patch, Patch) and isinstance(patch.indices, Scattered)


def spec_of(
    aggregation: Reducer, merge: RowMerge, domain: RasterDomain, first: Patch
) -> RasterSpec:
    """Return what the merged raster will be, given its first patch."""
    lead, dtype = merge.spec
    dtype = np.dtype(dtype)
    attrs = plain_attrs(riding_attrs(first.data, lead))
    return RasterSpec(lead, dtype, domain, aggregation.fill_for(dtype), attrs)


def plain_attrs(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that JSON can hold.

    >>> plain_attrs({"source": "simulated", "window": object()})
    {'source': 'simulated'}
    """
    kept = {}
    for name, value in attrs.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            continue
        kept[str(name)] = value
    return kept


def _located(domain: Any) -> RasterDomain:
    """Return the raster domain; of an evenly spaced grid with its place, which a file can hold."""
    grid = as_domain(domain)
    if isinstance(grid, GridDomain):
        return RasterDomain(grid.shape, grid.transform, grid.crs)
    return as_raster_domain(grid)
