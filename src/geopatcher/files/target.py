"""Rasters that are written while they are made: rows go to disk as soon as they are final.

A target is a COG (.tif) or a Zarr v3 store (.zarr). Its rows are first kept beside it under a
hidden name, and the finished file is renamed: an interrupted run leaves the old file, or the new
one, and never half of one.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from geopatcher.arguments import as_pixel_pair
from geopatcher.domain import GridDomain, RasterDomain, as_domain, as_raster_domain
from geopatcher.gdal_cache import bounded_cache
from geopatcher.merge.chips import riding_attrs, warn_uncovered
from geopatcher.merge.row_buffer import Spec
from geopatcher.merge.rows import (
    RollingMerge,
    RowMerge,
    RowSink,
    RowWriter,
    merge_to_sink,
)
from geopatcher.pages import return_freed_pages
from geopatcher.patch import Patch, PatchError

SUFFIXES = (".tif", ".tiff", ".zarr")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class RasterSpec:
    """What a raster will be: `lead` axes before the domain's (H, W), dtype, fill value, attrs.

    >>> spec = RasterSpec((2,), np.dtype("float32"), RasterDomain((30, 20)), np.nan)
    >>> spec.shape, spec.nbytes
    ((2, 30, 20), 4800)
    """

    lead: tuple[int, ...]
    dtype: np.dtype
    domain: RasterDomain
    fill: Any
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """(*lead, H, W)."""
        return (*self.lead, self.domain.height, self.domain.width)

    @property
    def nbytes(self) -> int:
        """Bytes of the raster, not compressed."""
        return math.prod(self.shape) * self.dtype.itemsize

    def with_skipped(self, skipped: dict[Any, str]) -> RasterSpec:
        """Return the spec with the patches that failed listed in its attributes."""
        if not skipped:
            return self
        listed = {str(anchor): why for anchor, why in skipped.items()}
        return replace(self, attrs={**self.attrs, "skipped_patches": listed})


class RowStore(RowSink, RowWriter, Protocol):
    """Rows on disk that any process may write, and read again."""

    def create(self, keep: bool = False) -> None:
        """Make room for the rows; with `keep`, rows that an earlier run wrote stay."""

    def read(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""


class Target(Protocol):
    """A file to be: its rows, and what makes it whole."""

    @property
    def store(self) -> RowStore:
        """Where finished rows go."""

    def finish(self, spec: RasterSpec) -> None:
        """Make the file of the rows and give it its name."""

    def discard(self) -> None:
        """Remove everything that is not the finished file."""


@dataclass(frozen=True)
class RawRows:
    """Rows of a raster in one plain file, band after band, native byte order.

    Space for all of it is taken at once, so that a full disk shows before the work is done.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    align: int = 1

    def create(self, keep: bool = False) -> None:
        """Make the file at its full size; with `keep`, one of that size is left as it is."""
        size = math.prod(self.shape) * self.dtype.itemsize
        if keep and self.path.exists() and self.path.stat().st_size == size:
            return
        with self.path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)

    def begin(self) -> RawRows:
        """Return these rows: a plain file takes any piece."""
        return self

    def write(self, row: int, values: np.ndarray) -> None:
        """Keep the rows (..., n, W) from `row` on."""
        height, width = self.shape[-2:]
        bands = np.ascontiguousarray(values, self.dtype).reshape(-1, values.shape[-2], width)
        with self.path.open("r+b") as file:
            for band, block in enumerate(bands):
                file.seek((band * height + row) * width * self.dtype.itemsize)
                file.write(block.data)

    def read(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""
        height, width = self.shape[-2:]
        out = np.empty((math.prod(self.shape[:-2]), rows, width), self.dtype)
        with self.path.open("rb") as file:
            for band, block in enumerate(out):
                file.seek((band * height + row) * width * self.dtype.itemsize)
                file.readinto(block.data)
        return out.reshape(*self.shape[:-2], rows, width)


def check_target(path: Any, chunks: Any = None) -> Path:
    """Return the target's path, or raise `PatchError` when nothing can be written there."""
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise PatchError(
            f"a target is a COG or a Zarr store and ends in {', '.join(SUFFIXES)}, got {path!r}"
        )
    if chunks is not None and target.suffix.lower() != ".zarr":
        rows, cols = as_pixel_pair(chunks, "chunks")
        if rows != cols or rows % 16:
            raise PatchError(
                f"a COG's tiles are square and a multiple of 16 pixels wide, got chunks={chunks!r}"
            )
    return target


def open_target(path: Any, spec: RasterSpec, chunks: Any = None, token: str = "") -> Target:
    """Return the target for a path: what is written meanwhile has `token` in its hidden name."""
    target = check_target(path, chunks)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the target's folder does not exist: {target.parent}")
    is_store = target.suffix.lower() == ".zarr"
    if target.exists() and target.is_dir() != is_store:
        there, wanted = ("file", "folder") if is_store else ("folder", "file")
        raise FileExistsError(f"{target} is a {there} where a {wanted} is to be written; remove it")
    token = token or uuid.uuid4().hex[:8]
    if is_store:
        from geopatcher.files.zarr import ZarrTarget

        return ZarrTarget(target, spec, chunks, token)
    from geopatcher.files.cog import CogTarget

    return CogTarget(target, spec, chunks, token)


def open_lazily(path: Any) -> Any:
    """Open a finished target: a `RasterioReader` for a COG, a `DataArray` for a Zarr store.

    Nothing but the header is read. `attrs` hold what was written there: "band_names", and
    "skipped_patches" when some failed.
    """
    target = check_target(path)
    if target.suffix.lower() == ".zarr":
        from geopatcher.files.zarr import open_zarr

        return open_zarr(target)
    from geopatcher.files.cog import open_cog

    return open_cog(target)


def planned(aggregation: Any, patches: Any, domain: RasterDomain) -> Any:
    """Return the patches that an aggregation would rather merge in place of these."""
    return aggregation.planned(patches, domain) if hasattr(aggregation, "planned") else patches


def row_merge_of(aggregation: Any, patches: Any, domain: RasterDomain) -> RowMerge:
    """Return how an aggregation turns patches into rows; raises `PatchError` when it does not."""
    if hasattr(aggregation, "row_merge"):
        return aggregation.row_merge(patches, domain)
    if all(hasattr(aggregation, name) for name in ("result", "start", "update", "finish")):
        return RollingMerge(aggregation, domain)
    raise PatchError(
        f"{type(aggregation).__name__} makes no raster row by row; to write a file use "
        "SpatialOverlapAdd, SpatialMean, SpatialHardVote or another aggregation of pixels"
    )


def spec_of(aggregation: Any, merge: RowMerge, domain: RasterDomain, first: Patch) -> RasterSpec:
    """Return what the merged raster will be, given its first patch."""
    lead, dtype = merge.result(first)
    dtype = np.dtype(dtype)
    attrs = plain_attrs(riding_attrs(first.data, lead))
    return RasterSpec(lead, dtype, domain, aggregation.fill_for(dtype), attrs)


def merge_to_file(
    patches: Iterable[Patch], domain: Any, aggregation: Any, target: Any, *, chunks: Any = None
) -> Any:
    """Merge patches into a COG or Zarr store, row by row, and open it lazily.

    Memory is O(chip height x scene width), whatever the scene's height. For an aggregation that
    must see all values of a pixel (`streaming_safe` is False) the rows held are as deep as
    patches overlap.

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
    target = check_target(target, chunks)
    domain = _located(domain)
    patches = planned(aggregation, patches, domain)
    merge = row_merge_of(aggregation, patches, domain)
    opened: list[tuple[Target, RasterSpec]] = []

    def open_sink(_: Spec, first: Patch) -> RowSink:
        spec = spec_of(aggregation, merge, domain, first)
        opened.append((open_target(target, spec, chunks), spec))
        store = opened[0][0].store
        store.create()
        return store

    try:
        workers = getattr(patches, "workers", 1)
        with telling_full_disk(target), bounded_cache(getattr(patches, "field", None), workers):
            covered, skipped = merge_to_sink(patches, domain, merge, open_sink)
            return_freed_pages()
            opened[0][0].finish(opened[0][1].with_skipped(skipped))
    finally:
        for made, _ in opened:
            made.discard()
    warn_uncovered(1 - covered / (domain.height * domain.width))
    return open_lazily(target)


def _located(domain: Any) -> RasterDomain:
    """Return the raster domain; of an evenly spaced grid with its place, which a file can hold."""
    grid = as_domain(domain)
    if isinstance(grid, GridDomain):
        return RasterDomain(grid.shape, grid.transform, grid.crs)
    return as_raster_domain(grid)


@contextmanager
def telling_full_disk(target: Path) -> Iterator[None]:
    """Turn an error of a full disk into one that says where, and what is left there."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        free = shutil.disk_usage(target.parent).free / 1e6
        raise OSError(
            error.errno,
            f"no space left to write {target.name} ({error.strerror}; {free:.0f} MB are free); "
            "no part of it was given its name: free some space and run again",
            str(target),
        ) from error


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
