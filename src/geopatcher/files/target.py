"""The file that a raster is written to: a COG (.tif) or a Zarr v3 store (.zarr).

Its rows are first kept beside it under a hidden name, and the finished file is renamed: an
interrupted run leaves the old file, or the new one, and never half of one. What goes to an object
store is in `on_store`.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from geopatcher.config import as_pixel_pair
from geopatcher.files.cog import CogTarget, open_cog
from geopatcher.files.on_store import CogOnStore, ZarrOnStore, scratch_for
from geopatcher.files.rows import RasterSpec, RawRows, plain_attrs
from geopatcher.files.zarr import NAME, ZarrRows, ZarrTarget, check_chunks, for_zarr, open_zarr
from geopatcher.patch import PatchError
from pipekit.claim import claimed
from pipekit.files import SAMPLES, sample_of
from pipekit.full_disk import telling_full_disk
from pipekit.parallel import in_threads
from pipekit.places import Place, place_of, store_of

SUFFIXES = (".tif", ".tiff", ".zarr")

RowStore = RawRows | ZarrRows
"""Rows on disk that any process may write, in blocks in any order, and read again."""

Target = CogTarget | ZarrTarget
"""A file to be: its rows, and what makes it whole."""


def check_target(path: Any, chunks: Any = None) -> Path | Place:
    """Return the target's path or place, or raise `PatchError` when nothing can be written there.

    Parameters
    ----------
    path : path
        A COG (.tif) or Zarr store (.zarr), of this machine or of an object store; a folder that is
        there and empty becomes a store.
    chunks : int, (rows, cols), one number for each axis, "maps" or "series", optional
        The file's tiles in pixels; the last three are a Zarr store's.

    Returns
    -------
    Path or Place
        The same.
    """
    target: Path | Place = store_of(path) or Path(path).absolute()  # workers may be elsewhere
    if isinstance(target, Path) and place_of(path) is not None:
        raise PatchError(f"a target is a path or on an object store (s3, gs, az), got {path!r}")
    if target.suffix.lower() not in SUFFIXES and not _may_hold_store(target):
        raise PatchError(
            f"a target is a COG or a Zarr store and ends in {', '.join(SUFFIXES)}, got {path!r}; "
            "an empty folder becomes a store"
        )
    if is_store(target):
        check_chunks(chunks)
    elif chunks is not None:
        rows, cols = as_pixel_pair(chunks, "chunks")
        if rows != cols or rows % 16:
            raise PatchError(
                f"a COG's tiles are square and a multiple of 16 pixels wide, got chunks={chunks!r}"
            )
    return target


def is_store(target: Path | Place) -> bool:
    """Return whether a target is a Zarr store: by its name, or as a folder without one of ours.

    Parameters
    ----------
    target : Path or Place
        As `check_target` gives it.

    Returns
    -------
    bool
        False for a COG.

    Examples
    --------
    >>> is_store(Path("a.zarr")), is_store(Path("a.tif"))
    (True, False)
    """
    return target.suffix.lower() == ".zarr" or target.suffix.lower() not in SUFFIXES


def _may_hold_store(target: Path | Place) -> bool:
    """Return whether a folder is empty, or a store that is written anew."""
    if isinstance(target, Place) or not target.is_dir():
        return False
    return (target / "zarr.json").is_file() or next(target.iterdir(), None) is None


@contextmanager
def open_target(
    path: Any,
    spec: RasterSpec,
    chunks: Any = None,
    journal: str | None = None,
    keep: bool = False,
) -> Iterator[Target]:
    """Open the target for a path, which the caller fills with rows and finishes.

    Parameters
    ----------
    path : path
        A COG (.tif) or Zarr store (.zarr) to be, in a folder that exists.
    spec : RasterSpec
        What the raster will be.
    chunks : int or (rows, cols), optional
        The file's tiles in pixels.
    journal : str, optional
        Where the run's journal is: what a failed run has written then stays, for the next run with
        that journal to go on with, and for no other.
    keep : bool
        Whether to go on with what is there.

    Yields
    ------
    CogTarget or ZarrTarget
        With room made for its rows.

    Raises
    ------
    FileNotFoundError
        For a folder that does not exist.
    FileExistsError
        For a file where a folder is to be written, or the other way round.
    PatchError
        For a target that another run writes now.
    OSError
        For a disk that is full.
    """
    target = check_target(path, chunks)
    as_store = is_store(target)
    token = uuid.uuid4().hex[:8]
    if journal is not None:
        token = "part-" + hashlib.sha256(journal.encode()).hexdigest()[:8]
    made = replace(spec, attrs=plain_attrs(spec.attrs)), chunks, token
    if isinstance(target, Place):
        file, kind = scratch_for(target), ZarrOnStore if as_store else CogOnStore
        opened: Target = kind(file, *made, place=target)
    else:
        _check_folder(target, as_store)
        file = target
        opened = ZarrTarget(target, *made) if as_store else CogTarget(target, *made)
    with claimed(target, journal or "", PatchError), telling_full_disk(file):
        try:
            opened.store.create(keep)
            yield opened
        except BaseException:
            if journal is None:
                opened.discard()
            raise
        opened.discard()


def _check_folder(target: Path, as_store: bool) -> None:
    """Raise unless a file, or a store as a folder, can be made at a path."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the target's folder does not exist: {target.parent}")
    if target.exists() and target.is_dir() != as_store:
        there, wanted = ("file", "folder") if as_store else ("folder", "file")
        raise FileExistsError(f"{target} is a {there} where a {wanted} is to be written; remove it")


def is_as_made(target: Path | Place, made: str) -> bool:
    """Return whether a target is there, and no other or shorter file in its place.

    Parameters
    ----------
    target : Path or Place
        As `check_target` returns it.
    made : str
        What `made_of` said when it was finished; "" where that was not noted.

    Returns
    -------
    bool
        Whether it is.
    """
    whole = target / "zarr.json" if isinstance(target, Place) and is_store(target) else target
    return whole.exists() and (not made or made_of(target) == made)


def made_of(target: Path | Place) -> str:
    """Return what tells a finished target from a part of it, and from another in its place.

    Parameters
    ----------
    target : Path or Place
        As `check_target` returns it, finished.

    Returns
    -------
    str
        Size and a checksum of samples, or an object's tag; of a Zarr store, how many shards of
        pixels there are, and the samples of some. Overviews and attributes may be added later.
    """
    if not is_store(target):
        return sample_of(target)
    data = target / NAME / "c"
    files = data.below() if isinstance(data, Place) else filter(Path.is_file, data.rglob("*"))
    shards = sorted(files, key=str)
    # Together: on an object store each is a request.
    some = in_threads(sample_of, shards[:: 1 + len(shards) // SAMPLES], SAMPLES)
    return f"{len(shards)}: {' '.join(some)}"


def open_lazily(path: Any) -> Any:
    """Open a finished target: a `RasterioReader` for a COG, a `DataArray` for a Zarr store.

    Nothing but the header is read. `attrs` hold what was written there: "band_names", and
    "skipped_patches" when some failed.

    Parameters
    ----------
    path : path
        A COG (.tif) or Zarr store (.zarr).

    Returns
    -------
    RasterioReader or xarray.DataArray
        (..., H, W).
    """
    target = check_target(path)
    if is_store(target):
        return open_zarr(for_zarr(target))
    if isinstance(target, Place):
        return open_cog(*target.for_gdal())
    return open_cog(str(target))
