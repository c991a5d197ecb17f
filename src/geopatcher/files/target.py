"""The file that a raster is written to: a COG (.tif) or a Zarr v3 store (.zarr).

Its rows are first kept beside it under a hidden name, and the finished file is renamed: an
interrupted run leaves the old file, or the new one, and never half of one.
"""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geopatcher.config import as_pixel_pair
from geopatcher.files.cog import CogTarget, open_cog
from geopatcher.files.rows import RasterSpec, Target
from geopatcher.files.zarr import ZarrTarget, open_zarr
from geopatcher.patch import PatchError

SUFFIXES = (".tif", ".tiff", ".zarr")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        return ZarrTarget(target, spec, chunks, token)
    return CogTarget(target, spec, chunks, token)


def open_lazily(path: Any) -> Any:
    """Open a finished target: a `RasterioReader` for a COG, a `DataArray` for a Zarr store.

    Nothing but the header is read. `attrs` hold what was written there: "band_names", and
    "skipped_patches" when some failed.
    """
    target = check_target(path)
    if target.suffix.lower() == ".zarr":
        return open_zarr(target)
    return open_cog(target)


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
