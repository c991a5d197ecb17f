"""Patches stitched into a raster: in memory, or row by row into a file."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geopatcher.domain import (
    Domain,
    PointDomain,
    RasterDomain,
    VectorDomain,
    as_domain,
    as_raster_domain,
)
from geopatcher.fields.raster import paths_of
from geopatcher.files.block_cache import bounded_cache
from geopatcher.files.rows import RasterSpec
from geopatcher.files.target import check_target, open_lazily, open_target
from geopatcher.layout import laid_out, warn_of_seams
from geopatcher.merge.chip import chip_spec, fitting_attrs, invalid_of, roles_of
from geopatcher.merge.row_buffer import (
    Reducer,
    Spec,
    check_lead,
    covered_by_nodata,
    has_chips,
    settled,
    take,
)
from geopatcher.patch import CoverageWarning, Patch, PatchError, Scattered, level_of_caller
from geopatcher.plan import Plan, first_of
from geopatcher.stream import PatchStream, unread
from pipekit.files import keep_inputs
from pipekit.pixels import plain


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
        if isinstance(patches, PatchStream):
            warn_of_seams(laid_out(patches, domain, agrees=False)[1])
        return merge_scattered(patches, domain, aggregation, skipped)
    domain = as_raster_domain(domain)
    plan = Plan(patches, domain, aggregation)
    spec = spec_of(plan.merge.spec, plan.merge.reducer, domain, plan.first.data)
    out = np.empty(spec.shape, spec.dtype)
    covered = plan.fill(out)
    warn_uncovered(1 - covered / (domain.height * domain.width))
    return as_scene(out, spec.with_skipped(plan.skipped))


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

    Raises
    ------
    PatchError
        For a target that is the file that is read.

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
    if path.exists() or os.path.islink(path):
        read = [*paths_of(domain), *paths_of(getattr(patches, "field", None))]
        keep_inputs(path, read, "merge_to_file", PatchError)
    domain = as_raster_domain(domain, placed=True)
    plan = Plan(unread(patches), domain, aggregation)
    stream = plan.stream
    field, workers = (None, 1) if stream is None else (stream.field, stream.workers)
    with bounded_cache(field, workers):
        spec = spec_of(plan.merge.spec, plan.merge.reducer, domain, plan.first.data)
    with open_target(path, spec, chunks) as opened:
        with bounded_cache(field, workers):
            covered = plan.write(opened.store)
        opened.finish(plan.skipped)  # under a cache of its own, which is smaller
    warn_uncovered(1 - covered / (domain.height * domain.width))
    return open_lazily(path)


def _told_scattered(patches: Iterable[Patch], domain: Domain) -> tuple[Iterable[Patch], bool]:
    """Return the patches again, and whether they are scattered rather than rectangles."""
    if isinstance(domain, PointDomain | VectorDomain):
        return patches, True
    if isinstance(patches, PatchStream):
        return patches, not patches.is_rectangular
    items = iter(patches)
    first = next(items, None)
    if not isinstance(patches, Sequence):
        patches = () if first is None else chain([first], items)
    return patches, isinstance(getattr(first, "indices", None), Scattered)


def spec_of(result: Spec, reducer: Reducer, domain: RasterDomain, like: Any) -> RasterSpec:
    """Return what a merge makes of a result's (leading shape, dtype), as far as it is known.

    The attributes of `like`, the first patch's data, ride along; names and roles of bands do when
    there are as many bands still. What votes makes classes.

    Parameters
    ----------
    result : (tuple of int, dtype)
        Leading shape and type.
    reducer : Reducer
        Which knows the fill value.
    domain : RasterDomain
        The grid.
    like : any
        The first patch's data.

    Returns
    -------
    RasterSpec
        Without what failed.
    """
    lead, dtype = result[0], np.dtype(result[1])
    attrs = fitting_attrs(getattr(like, "attrs", None) or {}, lead)
    roles, makes = roles_of(like), getattr(reducer, "makes", None)
    if set(roles) - {"quantity"}:
        # As the chips had them: a result in floats no longer shows that they were booleans.
        kept = makes != "quantity" and len(roles) == (1, *lead)[-1]
        attrs["band_roles"] = roles if kept else makes or roles[0]
    elif makes == "class":
        attrs["band_roles"] = makes
    return RasterSpec(lead, dtype, domain, reducer.fill_for(dtype), attrs)


def merge_scattered(
    patches: Iterable[Patch], domain: Domain, reducer: Reducer, skipped: dict[Any, str]
) -> Any:
    """Merge scattered patches with a reducer onto a domain.

    Returns (..., H, W) on rasters and grids (a `GeoTensor` when the raster is georeferenced), and
    (..., N) on points and shapes; what no patch covers holds the reducer's fill value. `skipped`
    lists the patches that failed, by the time that all have been read.

    Parameters
    ----------
    patches : iterable of Patch
        Sets of cells or members.
    domain : domain
        What they are merged onto.
    reducer : Reducer
        How overlapping patches become one value.
    skipped : dict
        What went wrong with the patches that failed, by anchor.
    """
    is_set = isinstance(domain, PointDomain | VectorDomain)
    shape = domain.shape if is_set else domain.shape[-2:]
    items: Any = enumerate(patches)
    seen: Any = first_of(items, skipped)
    first = seen[-1][1]
    first_values = _flat(first, shape)[0]
    lead, dtype = first_values.shape[:-2], first_values.dtype
    reducer = settled(reducer, chip_spec(first)._replace(lead=lead, dtype=dtype))
    specs = reducer.start(lead, dtype)
    states = [np.zeros((*s, 1, math.prod(shape)), d) for s, d in specs]
    met = np.zeros((1, math.prod(shape)), bool)
    for _, patch in chain(seen, items):
        values, index = _flat(patch, shape)
        check_lead(values, lead, patch)
        weights = None if patch.weights is None else np.asarray(patch.weights)[None]
        invalid = invalid_of(patch, values)
        if invalid is not None:
            met[..., index] |= has_chips(invalid, values, reducer)
        take(reducer, states, (..., index), values, weights, invalid)
    values, covered = reducer.finish(states)
    values = values.astype(reducer.result(lead, dtype)[1], copy=False)
    covered += covered_by_nodata(values, met, reducer)
    warn_uncovered(1 - covered / values.shape[-1], "members" if is_set else "cells")
    values = values.reshape(*values.shape[:-2], *shape)
    if not isinstance(domain, RasterDomain):
        return values
    spec = spec_of((values.shape[:-2], values.dtype), reducer, domain, first.data)
    return as_scene(values, spec.with_skipped(skipped))


def _flat(patch: Patch, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return a patch's values (..., 1, n) and their positions in the flat domain (n,)."""
    if not isinstance(patch.indices, Scattered):
        raise PatchError(
            f"the patch at anchor {patch.anchor} is no set of cells or members, as the others are; "
            "rectangles and other patches cannot be merged together"
        )
    positions = patch.indices.positions
    values = plain(patch.data)
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


def warn_uncovered(share: float, what: str = "pixels") -> None:
    """Warn once with the share, 0 to 1, of pixels, cells or members that no patch covered.

    Parameters
    ----------
    share : float
        0 to 1.
    what : str
        What it is a share of.
    """
    if share > 0:
        way_out = "more anchors or a larger geometry cover more of them"
        if what == "pixels":
            way_out = 'SpatialRectangular(..., boundary="shift") covers every pixel'
        warnings.warn(
            f"{share:.2%} of the {what} is covered by no patch and holds the fill value; {way_out}",
            CoverageWarning,
            stacklevel=level_of_caller(),
        )


def as_scene(values: np.ndarray, spec: RasterSpec) -> Any:
    """Return `values` (..., H, W) as a `GeoTensor` on the domain, or plain without a transform.

    Parameters
    ----------
    values : numpy.ndarray
        (..., H, W).
    spec : RasterSpec
        What the raster is.

    Returns
    -------
    GeoTensor or numpy.ndarray
        The same values.
    """
    domain = spec.domain
    if domain.transform is None:
        return values
    return GeoTensor(values, domain.transform, domain.crs, spec.fill, spec.attrs)
