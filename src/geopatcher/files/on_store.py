"""Targets on an object store, where nothing can be appended or renamed.

A COG is built on this machine, since its overviews come before its pixels, and put in one upload:
it is there whole, or not at all. A Zarr store is written in place, a shard being one object; the
group's own metadata, without which nobody opens it, come last. Of an older store of the same name
they are removed first.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from geopatcher.files.cog import CogTarget
from geopatcher.files.zarr import (
    CONVENTIONS,
    NAME,
    ChunkWriter,
    ShardWriter,
    ZarrRows,
    ZarrTarget,
)
from pipekit.files import drop_side_files
from pipekit.lazy import needed
from pipekit.parallel import in_threads
from pipekit.places import Place

AT_ONCE = 8
"""Shards of one block that are on their way at a time, and share what a round trip takes."""

_GROUP = "zarr.json"


def scratch_for(place: Place) -> Path:
    """Return where the rows of a COG wait on this machine: the same for the same place.

    Parameters
    ----------
    place : Place
        Of the COG to be.

    Returns
    -------
    Path
        In a folder of this user's under the one for temporary files (`TMPDIR`).

    Raises
    ------
    PermissionError
        The folder is another user's.
    """
    mine = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"geopatcher-{mine}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != mine or folder.is_symlink():
        raise PermissionError(f"{folder} is another user's; set TMPDIR to a folder of your own")
    return folder / f"{sha256(str(place).encode()).hexdigest()[:16]}.tif"


@dataclass(frozen=True, kw_only=True)
class CogOnStore(CogTarget):
    """A COG that is built at `path` on this machine, and put to a store when it is whole.

    Parameters
    ----------
    place : Place
        Where it goes.
    """

    place: Place

    def finish(self, skipped: dict[Any, str]) -> None:
        """Make the file of the rows, and upload it."""
        super().finish(skipped)
        self.place.upload(self.path)

    def discard(self) -> None:
        """Remove everything from this machine."""
        super().discard()
        drop_side_files(self.path)
        self.path.unlink(missing_ok=True)


class RowsOnStore(ZarrRows):
    """The array of a Zarr store on an object store."""

    def create(self, keep: bool = False) -> None:
        """Make the arrays without their group, so that nobody opens it yet."""
        if keep and (self.path / NAME / _GROUP).exists():
            return
        (self.path / _GROUP).remove()
        self.path.clear()
        laid_out = self.laid_out({})
        del laid_out[_GROUP]
        for _ in in_threads(
            lambda name: (self.path / name).write(laid_out[name]), laid_out, AT_ONCE
        ):
            continue

    def laid_out(self, attributes: dict[str, Any]) -> dict[str, bytes]:
        """Return the objects of a store without pixels by their names.

        Made in memory: zarr asks a store for each before it puts it, one after the other.

        Parameters
        ----------
        attributes : dict
            Of the array.

        Returns
        -------
        dict of str to bytes
            Metadata and coordinates.
        """
        zarr = needed("zarr")

        made: dict[str, Any] = {}
        group = zarr.open_group(made, mode="w", zarr_format=3, attributes=CONVENTIONS)
        self.lay_out(group.create_array)
        group[NAME].update_attributes(attributes)
        return {name: held.to_bytes() for name, held in made.items()}

    def begin(self) -> ShardWriter:
        """Return what puts shards when their rows have come."""
        return ObjectShards(self) if self.depth is None else ObjectChunks(self)


@dataclass(frozen=True, kw_only=True)
class ZarrOnStore(ZarrTarget):
    """The rows of a Zarr store that is written where it stays.

    Parameters
    ----------
    place : Place
        Where it goes.
    """

    place: Place

    @property
    def store(self) -> RowsOnStore:
        """Where finished rows go."""
        return RowsOnStore(self.place, self.spec, *self._sizes)

    def finish(self, skipped: dict[Any, str]) -> None:
        """Write the attributes, which list the patches that failed, and the group's metadata."""
        laid_out = self.store.laid_out(self._attrs(skipped))
        for name in (f"{NAME}/{_GROUP}", _GROUP):
            (self.place / name).write(laid_out[name])

    def discard(self) -> None:
        """Remove what a failed run has put."""
        if not (self.place / _GROUP).exists():
            self.place.clear()


class _Putting(ShardWriter):
    """Puts what a writer makes as objects, several at a time."""

    def __init__(self, store: RowsOnStore) -> None:
        super().__init__(store)
        self._parts: dict[Place, list[bytes]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._under_way: deque[Future[Any]] = deque()

    def end(self) -> None:
        """Wait until all objects are there; the first that could not be put raises its error."""
        with self._pool:
            while self._under_way:
                self._under_way.popleft().result()

    def _put(self, file: Any, data: bytes) -> None:
        # What is nothing but fill values is no object, and an old one must not stand for it.
        job = self._pool.submit(file.write, data) if data else self._pool.submit(file.remove)
        self._under_way.append(job)
        if len(self._under_way) > AT_ONCE:
            self._under_way.popleft().result()


class ObjectChunks(_Putting, ChunkWriter):
    """Takes rows as `ChunkWriter` does, and puts each chunk."""


class ObjectShards(_Putting):
    """Takes rows as `ShardWriter` does, holds shards in memory, and puts each when it ends."""

    def _clear(self, file: Any) -> None:
        self._parts[file] = []

    def _add(self, file: Any, parts: list[bytes]) -> int:
        at = sum(map(len, self._parts[file]))
        self._parts[file] += parts
        return at

    def _end(self, file: Any) -> None:
        super()._end(file)
        self._put(file, b"".join(self._parts.pop(file)))
