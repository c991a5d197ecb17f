"""Overviews of a Zarr store: the same raster at half, a quarter, an eighth of its resolution.

Zarr itself has none, so each is a group of its own inside the store, `overview_2` and so on, laid
out as the store is: `data` with coordinates and grid mapping, which xarray and GDAL read as they
read the whole. The store's attribute `multiscales` lists them, after the GeoZarr draft's layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from rasterio import Affine

from geopatcher.domain import RasterDomain
from geopatcher.files.rows import RasterSpec
from geopatcher.files.zarr import NAME, ZarrRows, for_zarr
from geopatcher.patch import PatchError
from pipekit.claim import claimed
from pipekit.lazy import needed
from pipekit.pixels import invalid_mask, whole_numbers
from pipekit.places import store_of

SMALLEST = 512
"""Rows and columns that the smallest overview has at most, unless factors are given."""


def add_overviews(store: Any, factors: Sequence[int] | None = None) -> list[str]:
    """Add overviews to a finished Zarr store, and return the names of their groups.

    Quantities are averaged over what is valid, classes take the most frequent one (of several the
    least), bits and masks the pixel at the upper left. Those that are there are made anew.
    Memory is a few rows of shards or chunks of one plane.

    Parameters
    ----------
    store : path
        A Zarr store that this package has written, of this machine or of an object store.
    factors : sequence of int, optional
        Powers of 2, rising by one each; by default 2, 4, 8 and on, until both sides have at most
        512 pixels.

    Returns
    -------
    list of str
        Such as ["overview_2", "overview_4"]: `xarray.open_zarr(store, group="overview_2")`.

    Raises
    ------
    PatchError
        For what is no such store, one that a run writes now, or other factors.

    Examples
    --------
    >>> import tempfile
    >>> from georeader.geotensor import GeoTensor
    >>> from geopatcher import *
    >>> scene = GeoTensor(np.ones((40, 60)), Affine(10, 0, 0, 0, -10, 700), "EPSG:32632")
    >>> patcher = SpatialPatcher(SpatialRectangular(20), SpatialRegularStride(20))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = map_patches(patcher, scene, np.sqrt, target=folder + "/o.zarr", progress=False)
    ...     add_overviews(folder + "/o.zarr", (2, 4))
    ['overview_2', 'overview_4']
    """
    zarr = needed("zarr")

    target = store_of(store) or Path(store).absolute()
    with claimed(target, refusal=PatchError):  # a run's unfinished store must get no attributes
        group: Any = zarr.open_group(for_zarr(target), mode="r+", zarr_format=3)
        if NAME not in group or "spatial_ref" not in group:
            raise PatchError(f"{store} holds no raster {NAME!r} with a grid mapping")
        group.attrs.pop("multiscales", None)  # who is killed on the way leaves no list of halves
        parent, levels = group, _levels(group[NAME].shape[-2:], factors)
        for factor in levels:
            parent = _halved(group, parent, factor)
        group.attrs["multiscales"] = {"layout": _layout(levels)}
    return [f"overview_{factor}" for factor in levels]


def _levels(size: tuple[int, int], factors: Sequence[int] | None) -> list[int]:
    """Return 2, 4, 8 and on."""
    enough = max(0, int(np.ceil(np.log2(max(size) / SMALLEST))))
    levels = [2 ** (n + 1) for n in range(enough if factors is None else len(factors))]
    if factors is not None and list(factors) != levels:
        raise PatchError(f"factors must be 2, 4, 8 and on, one after the other, got {factors!r}")
    return levels


def _layout(levels: list[int]) -> list[dict[str, Any]]:
    whole: dict[str, Any] = {"asset": ".", "transform": {"scale": [1.0, 1.0]}}
    before = [".", *(f"overview_{factor}" for factor in levels)]
    return [whole] + [
        {"asset": name, "derived_from": origin, "transform": {"scale": [2.0, 2.0]}}
        for origin, name in pairwise(before)
    ]


def _halved(root: Any, parent: Any, factor: int) -> Any:
    """Make the overview of a factor from the group of half of it, and return its group."""
    data, said = parent[NAME], dict(parent[NAME].attrs)
    fill = said.get("nodata")
    fill = data.dtype.type(fill) if fill is not None else None
    mapping = dict(parent["spatial_ref"].attrs)
    place = Affine.from_gdal(*map(float, mapping["GeoTransform"].split())) * Affine.scale(2)
    height, width = (-(-side // 2) for side in data.shape[-2:])
    domain = RasterDomain((height, width), place, mapping["crs_wkt"])
    spec = RasterSpec(data.shape[:-2], data.dtype, domain, fill, said)
    made = root.create_group(f"overview_{factor}", overwrite=True, attributes=dict(root.attrs))
    depth = None if data.shards else data.chunks[:-2]
    size, sides = (height, width), (data.shards or data.chunks)[-2:]
    chunk = [min(own, side) for own, side in zip(data.chunks[-2:], size, strict=True)]
    most = map(min, sides, size)
    shard = chunk if depth else [n // own * own for n, own in zip(most, chunk, strict=True)]
    rows = ZarrRows(Path(), spec, (chunk[0], chunk[1]), (shard[0], shard[1]), depth)
    rows.lay_out(made.create_array)
    made[NAME].update_attributes(said)
    _fill(made[NAME], data, rows, _roles(said, data))
    return made


def _fill(half: Any, whole: Any, rows: ZarrRows, roles: list[str]) -> None:
    """Write half of an array, whole shards or chunks at a time."""
    deep = rows.depth or (1,) * (half.ndim - 2)
    planes = (range(0, count, step) for count, step in zip(half.shape[:-2], deep, strict=True))
    for *start, top in product(*planes, range(0, half.shape[-2], rows.align)):
        at = tuple(slice(n, n + step) for n, step in zip(start, deep, strict=True))
        below = min(top + rows.align, half.shape[-2])
        part = np.asarray(whole[*at, 2 * top : 2 * below, :])
        half[*at, top:below, :] = halved(part, rows.spec.fill, roles[at[-1]] if at else roles)


def _roles(said: dict[str, Any], data: Any) -> list[str]:
    """Return the role of each band, bands being the third axis from the end."""
    roles = said.get("band_roles") or ("mask" if data.dtype == bool else "quantity")
    bands = data.shape[-3] if data.ndim > 2 else 1
    return [roles] * bands if isinstance(roles, str) else list(roles)


def halved(values: np.ndarray, nodata: Any, roles: Sequence[str]) -> np.ndarray:
    """Return a raster of half the rows and columns, the last ones of odd ones alone.

    Parameters
    ----------
    values : numpy.ndarray
        (..., H, W), or (..., C, H, W) with a role for each band.
    nodata : number or None
        Marks what does not count.
    roles : sequence of str
        One for each band.

    Returns
    -------
    numpy.ndarray
        (..., ceil(H / 2), ceil(W / 2)) of the same type.

    Examples
    --------
    >>> halved(np.array([[[1, 3, 5]], [[4, 4, 8]]], "uint8"), 0, ["quantity", "class"]).tolist()
    [[[2, 5]], [[4, 8]]]
    """
    layers = values[None] if values.ndim == 2 else values
    height, width = layers.shape[-2:]
    out = np.empty((*layers.shape[:-2], -(-height // 2), -(-width // 2)), values.dtype)
    for band, role in enumerate(roles):
        own, into = layers[..., band, :, :], out[..., band, :, :]
        if role in ("bits", "mask"):
            into[...] = own[..., ::2, ::2]
            continue
        four, there = _fours(own, nodata)
        into[...] = (_mean if role == "quantity" else _most)(four, there, nodata, values.dtype)
    return out[0] if values.ndim == 2 else out


def _fours(values: np.ndarray, nodata: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the four pixels of each pair of rows and columns, (4, ...), and which count."""
    missing = invalid_mask(values, nodata)
    there = np.ones(values.shape, bool) if missing is None else ~missing
    beyond = [(0, 0)] * (values.ndim - 2) + [(0, side % 2) for side in values.shape[-2:]]
    values, there = np.pad(values, beyond), np.pad(there, beyond)
    corners = [(..., slice(r, None, 2), slice(c, None, 2)) for r in (0, 1) for c in (0, 1)]
    return np.stack([values[at] for at in corners]), np.stack([there[at] for at in corners])


def _mean(four: np.ndarray, there: np.ndarray, nodata: Any, dtype: np.dtype) -> np.ndarray:
    count = there.sum(axis=0)
    total = np.sum(four, axis=0, dtype=np.float64, where=there)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    if dtype.kind in "iu":
        return whole_numbers(mean, dtype, nodata)
    if nodata is not None and nodata == nodata:
        mean[count == 0] = nodata
    return mean.astype(dtype)


def _most(four: np.ndarray, there: np.ndarray, nodata: Any, dtype: np.dtype) -> np.ndarray:
    """Return the most frequent of the four that count, of several the least."""
    votes = ((four[:, None] == four) & there[:, None] & there).sum(axis=0)
    wins = there & (votes == votes.max(axis=0))
    top = dtype.type(np.inf if dtype.kind == "f" else np.iinfo(dtype).max)
    best = np.where(wins, four, top).min(axis=0)
    empty = four[0] if nodata is None else dtype.type(nodata)
    return np.where(wins.any(axis=0), best, empty)
