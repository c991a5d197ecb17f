"""Which files of a folder make up one catalog, and what each of them holds.

The rows of a catalog in a folder are those of the files that `_catalog.json` lists, and no others.
Files never change: rows are added as new files, and a file that is no longer listed is removed. So
one small file, replaced at once, decides what a reader sees.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds
from geocatalog.interval import interval_of
from geocatalog.parquet import described
from geocatalog.table import extent_of
from pipekit.files import beside, locked
from pipekit.places import ChangedError, Place, PlaceError

MANIFEST = "_catalog.json"
"""The list of files; readers of Parquet folders pass over names that begin with "_"."""

VERSION = 1
TRIES = 100
"""At a list that others replace at the same time."""

_NAME = re.compile(r"([^/\\]+=[^/\\]+/)?rows-[0-9a-f]{32}\.parquet")

NOWHERE = (np.nan,) * 4
"""The box of what has no footprint."""

UNFINISHED = ".rows-"
"""How the names of folders begin in which rows wait to be sorted."""


@dataclass(frozen=True)
class Part:
    """One file of a catalog.

    Parameters
    ----------
    name
        From the folder, such as "month=2024-06/0b5c.parquet".
    rows
        How many it holds.
    bounds
        (west, south, east, north) around its footprints; None where it has none.
    extent
        Its first and its last known time in microseconds since 1970; None where none is known.
    undated
        Whether a row of it lacks a time, which then matches every one.
    lacks
        Columns of the catalog that it does not have, since they are empty in it.
    hollow
        Columns of lists that are all empty in it, which have got a type since.
    """

    name: str
    rows: int
    bounds: Bounds | None
    extent: tuple[int, int] | None
    undated: bool
    lacks: tuple[str, ...] = ()
    hollow: tuple[str, ...] = ()

    @property
    def partition(self) -> str:
        """The folder that it lies in, such as "month=2024-06"."""
        return self.name.rpartition("/")[0]

    @classmethod
    def of(cls, said: dict[str, Any]) -> Part:
        """Return a file as the list has it.

        Parameters
        ----------
        said
            One entry of the list.

        Returns
        -------
        The file.

        Raises
        ------
        ValueError
            For a name that `new_name` does not make: a list names files of its folder alone.
        """
        if not _NAME.fullmatch(said["name"]):
            raise ValueError(f"{said['name']!r} is no name of a catalog's file")
        pairs = {name: value for name, value in said.items() if isinstance(value, list)}
        return cls(**(said | {name: tuple(value) for name, value in pairs.items()}))


@dataclass(frozen=True)
class Manifest:
    """The files of a catalog, and what they come to.

    Parameters
    ----------
    partition
        What the rows are parted by: one of `geocatalog.folder.PARTITIONS`.
    row_group_size
        Rows that a reader of a file must take together.
    schema
        Arrow's, with the metadata of the whole.
    parts
        The files.
    """

    partition: str
    row_group_size: int
    schema: pa.Schema
    parts: tuple[Part, ...]

    @classmethod
    def read(cls, text: bytes, place: Any) -> Manifest:
        """Return what a list of files says.

        Parameters
        ----------
        text
            What `_catalog.json` holds.
        place
            What messages call the folder.

        Returns
        -------
        The list.

        Raises
        ------
        CatalogError
            For a list of a newer version, or what is none.
        """
        try:
            said = json.loads(text)
            version = int(said["version"])
            if version <= VERSION:
                schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(said["schema"])))
                parts = tuple(map(Part.of, said["parts"]))
                return cls(said["partition"], said["row_group_size"], schema, parts)
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise CatalogError(f"{place}/{MANIFEST} is no list of a catalog's files") from error
        raise CatalogError(
            f"{place} has catalog version {version}; this release reads up to {VERSION}: "
            "upgrade geostack"
        )

    def text(self) -> bytes:
        """Return the list as it is written.

        Returns
        -------
        JSON, which `read` takes.
        """
        schema = base64.b64encode(self.schema.serialize().to_pybytes()).decode()
        said = {"version": VERSION} | vars(self) | {"schema": schema}
        parts = [{k: v for k, v in vars(part).items() if v or k != "hollow"} for part in self.parts]
        return json.dumps(said | {"parts": parts}).encode()

    @property
    def rows(self) -> int:
        """How many rows all files hold."""
        return sum(part.rows for part in self.parts)

    @property
    def names(self) -> set[str]:
        """Of all files."""
        return {part.name for part in self.parts}

    def told(self) -> Manifest:
        """Return the list with metadata that tell what its files come to.

        Returns
        -------
        The same files.
        """
        extents = [part.extent for part in self.parts if part.extent is not None]
        around = extent_of(spans_of(self.parts)[0])
        ends = list(zip(*extents, strict=True))
        known = interval_of(min(ends[0]), max(ends[1])) if ends else None
        undated = any(part.undated for part in self.parts)
        says = described(self.schema.metadata, around, known, undated)
        return replace(self, schema=self.schema.with_metadata(says))

    def widened(self, schema: pa.Schema) -> Manifest:
        """Return the list with the columns of a schema that holds its own.

        Parameters
        ----------
        schema
            As `joined_schema` gives it.

        Returns
        -------
        The same files, which lack what is new.
        """
        own = {each.name: each.type for each in self.schema if not pa.types.is_null(each.type)}
        new = tuple(name for name in schema.names if name not in own)
        typed = tuple(name for name, kind in own.items() if schema.field(name).type != kind)
        parts = (
            replace(
                part,
                lacks=tuple(dict.fromkeys((*part.lacks, *new))),
                hollow=tuple(dict.fromkeys((*part.hollow, *typed))),
            )
            for part in self.parts
        )
        return replace(self, schema=schema, parts=tuple(parts))


def read_manifest(folder: Path | Place) -> tuple[Manifest | None, str]:
    """Return the list of a folder's files, and the tag of this version of it.

    Parameters
    ----------
    folder
        On this machine, or on a store.

    Returns
    -------
    manifest : Manifest or None
        None where there is no list.
    tag : str
        For `write_manifest`; "" where there is no list, and on this machine.
    """
    try:
        if isinstance(folder, Path):
            return Manifest.read((folder / MANIFEST).read_bytes(), folder), ""
        text, tag = (folder / MANIFEST).tagged()
        return Manifest.read(text, folder), tag
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except (PlaceError, PermissionError) as error:
        raise CatalogError(f"cannot read {folder}: {error}") from error


def change_manifest(
    folder: Path | Place, change: Callable[[Manifest | None], Manifest]
) -> tuple[Manifest | None, Manifest]:
    """Replace the list of a folder's files, at once.

    Parameters
    ----------
    folder
        On this machine, where the caller holds its lock, or on a store.
    change
        Makes the new list from the one that is there, or returns that one to keep it. On a store
        it is asked again when somebody else has changed the list meanwhile.

    Returns
    -------
    The list that was there, and the new one.
    """
    made: Any = None
    ours: set[str] = set()
    for _ in range(TRIES):
        old, tag = read_manifest(folder)
        listed = old.names if old else set()
        if ours & listed:  # it was put, though no answer came, and others have gone on from it
            return made
        try:
            new = change(old)
            if new is not old:
                new = new.told()
                made, ours = (old, new), new.names - listed
                if isinstance(folder, Path):
                    with beside(folder / MANIFEST) as unfinished:
                        unfinished.write_bytes(new.text())
                else:
                    (folder / MANIFEST).write(new.text(), over=tag)
            return old, new
        except ChangedError:
            continue
        except FileNotFoundError:  # a file that others may have put in order meanwhile
            if tag == read_manifest(folder)[1]:
                raise
    raise CatalogError(f"{folder} is changed by others all the time; try again later")


@contextmanager
def writing(folder: Path | Place) -> Iterator[tuple[str, Manifest | None]]:
    """Hold a folder for one writer, without what a killed one left behind.

    Parameters
    ----------
    folder
        On this machine, where a second writer waits; on a store nothing is held, and nothing
        removed that might be another writer's.

    Yields
    ------
    room : str
        A folder for rows that wait to be sorted: in the folder, or among temporary files.
    manifest : Manifest or None
        The list of files, which stays as it is while the folder is held; None where there is none.
    """
    near = folder if isinstance(folder, Path) else None
    with nullcontext() if near is None else locked(near / ".lock"):
        manifest, _ = read_manifest(folder)
        if near is not None:
            _remove_unlisted(near, manifest)
        with TemporaryDirectory(prefix=UNFINISHED, dir=near) as room:
            yield room, manifest


def _remove_unlisted(folder: Path, manifest: Manifest | None) -> None:
    """Remove the files that `new_name` made and no list names: nobody has ever read them."""
    import shutil

    listed = manifest.names if manifest else set()
    ours = re.compile(r"\.?rows-[0-9a-f]{32}\.parquet(\.[0-9a-f]{32}\.parquet)?")
    for path in [*folder.glob("*.parquet"), *folder.glob("*=*/*.parquet"), *folder.glob(".rows-*")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif ours.fullmatch(path.name) and path.relative_to(folder).as_posix() not in listed:
            path.unlink(missing_ok=True)


def new_name(partition: str) -> str:
    """Return a name for a file of a partition that no file has had.

    Parameters
    ----------
    partition
        Such as "month=2024-06"; "" for the folder itself.

    Returns
    -------
    From the folder.
    """
    return f"{partition}/rows-{os.urandom(16).hex()}.parquet".lstrip("/")


def remove_parts(folder: Path | Place, parts: tuple[Part, ...]) -> None:
    """Remove files that no list names any more.

    Parameters
    ----------
    folder
        The catalog's.
    parts
        The files.
    """
    for part in parts:
        if isinstance(folder, Place):
            (folder / part.name).remove()
        else:
            (folder / part.name).unlink(missing_ok=True)


def spans_of(parts: tuple[Part, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return what tells which files a question needs, as arrays.

    Parameters
    ----------
    parts
        N files.

    Returns
    -------
    bounds : (N, 4) float64
        NaN where a file has no footprint.
    times : (N, 2) int64
        First and last microsecond, which are all for a file with undated rows.
    """
    every = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)
    bounds = np.array([part.bounds or NOWHERE for part in parts], dtype=float).reshape(-1, 4)
    times = [every if part.undated or part.extent is None else part.extent for part in parts]
    return bounds, np.array(times, dtype=np.int64).reshape(-1, 2)
