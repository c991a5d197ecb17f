"""The files of a catalog with the connection that reads them, and nothing else.

What each file of a folder holds is known when the catalog is opened, so that a question is put to
the few files that can answer it. Files never change, so a catalog keeps the rows that it was opened
with.
"""

from __future__ import annotations

import re
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from geocatalog.errors import CatalogError
from geocatalog.expression import explained, locked_connection, sql_names
from geocatalog.footprint import Region
from geocatalog.manifest import Manifest, Part, read_manifest, spans_of
from geocatalog.parquet import UTC, FileInfo, conformed, digest_of, info_of, read_info
from pipekit.lazy import how_to_install
from pipekit.places import Place, place_of


@dataclass(frozen=True)
class ParquetSource:
    """A file with the connection that reads it, shared by all catalogs cut from it.

    Parameters
    ----------
    info
        What the file says of itself.
    connection
        A connection that may read this file and nothing else.
    """

    info: FileInfo
    connection: duckdb.DuckDBPyConnection
    _local: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(cls, path: Any, digest: str | None = None) -> ParquetSource:
        """Return a catalog file, and a connection to it that can read nothing else.

        Parameters
        ----------
        path
            A catalog file.
        digest
            What its footer must come to, when it was open before.

        Returns
        -------
        The file with a new connection.

        Raises
        ------
        CatalogError
            For a file that is no catalog, or another one than that of the digest.
        """
        info = read_info(path)
        if digest is not None and digest_of(info.path) != digest:
            raise CatalogError(
                f"{info.path} is not the file that this catalog was pickled with: it was replaced, "
                "or differs on this machine; open it again with open_catalog"
            )
        connection = reading(info.path, f"allowed_paths = [{both_forms(info.path)}]")
        return cls(info, connection)

    def __reduce__(self) -> Any:
        # A connection belongs to its process; a copy opens the file anew.
        self.info.check_unchanged()
        return ParquetSource.of, (self.info.path, digest_of(self.info.path))

    def thread_cursor(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's own cursor, for results read at once: a new one costs 3 ms.

        Returns
        -------
        A cursor that no other thread uses.
        """
        self.info.check_unchanged()
        found: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if found is None:
            found = self._local.cursor = self.connection.cursor()
        return found

    def near(self, region: Region | None, times: tuple[int, int] | None) -> ParquetSource:
        """Return what can hold an answer, where that is known before anything is read.

        Parameters
        ----------
        region
            Where; None is everywhere.
        times
            First and last microsecond; None is any time.

        Returns
        -------
        This source: a file is read, or not, by its own statistics.
        """
        return self

    def explaining(self) -> AbstractContextManager[None]:
        """Turn what DuckDB raises, such as for a file that has gone, into a CatalogError.

        Returns
        -------
        A context manager.
        """
        return explained(lambda why: CatalogError(f"cannot read {self.info.path}: {why}"))

    def rows(self) -> str:
        """Return the table expression that reads the file.

        Returns
        -------
        SQL.
        """
        # Folders called "cloud_cover=10" would take the place of the file's own column.
        path = literal(pattern_of(self.info.path))
        file = f"read_parquet({path}, hive_partitioning = false)"
        if any(name != new for name, new in self.names.items()):
            given = ", ".join(quoted(self.names[name]) for name in self.info.types)
            file += f" AS file({given})"
        absent = [f", {_NO_TIME} AS {quoted(self.names[name])}" for name in self._absent]
        for name, known in self.known_numbers.items():
            own = quoted(self.names[name])
            # By its text: of isnan() DuckDB believes the statistics, which leave NaN out.
            number = f"CASE WHEN CAST({own} AS VARCHAR) <> 'nan' THEN {own} END"
            absent.append(f", {number} AS {quoted(known)}")
        return f"(SELECT *{''.join(absent)} FROM {file})" if absent else file

    @cached_property
    def known_numbers(self) -> dict[str, str]:
        """Names in SQL by which conditions ask for columns in which others may write NaN.

        A number that is not known is null to a condition, as it is in a catalog's own file.
        """
        if self.info.version > 0:
            return {}
        floats = [name for name, kind in self.info.types.items() if pa.types.is_floating(kind)]
        hidden = [f"known {name}" for name in floats]
        names = sql_names([*self.names.values(), *hidden])
        return {name: names[other] for name, other in zip(floats, hidden, strict=True)}

    @property
    def _absent(self) -> list[str]:
        return [name for name in ("start_time", "end_time") if name not in self.info.types]

    @cached_property
    def names(self) -> dict[str, str]:
        """Name in SQL of each column of the file, and of the times that it lacks."""
        return sql_names([*self.info.types, *self._absent])

    @property
    def aliases(self) -> dict[str, str]:
        """Further names that a condition may use, and the columns that they mean."""
        return {}

    @cached_property
    def _cross_180(self) -> bool:
        """Whether the box of some row lies on both sides of 180 degrees, as others may write it."""
        if self.info.version > 0 or not self.info.crs.is_geographic:
            return False
        box = quoted(self.names[str(self.info.covering)])
        crossing = f"SELECT 1 FROM {self.rows()} WHERE {box}.xmin > {box}.xmax LIMIT 1"
        with self.explaining():
            return bool(self.connection.cursor().execute(crossing).fetchall())

    def side(self, name: str) -> str:
        """Return the bbox field of that name; a box across 180 degrees reaches around the globe.

        Parameters
        ----------
        name
            "xmin", "ymin", "xmax" or "ymax".

        Returns
        -------
        SQL.
        """
        box = quoted(self.names[str(self.info.covering)])
        if name[0] == "y" or not self._cross_180:
            return f"{box}.{name}"
        around = 180 if name == "xmax" else -180
        return f"(CASE WHEN {box}.xmin > {box}.xmax THEN {around} ELSE {box}.{name} END)"

    def time(self, name: str) -> str | None:
        """Return a time column, or None where the file has none.

        Parameters
        ----------
        name
            "start_time" or "end_time".

        Returns
        -------
        SQL, or None.
        """
        return quoted(self.names[name]) if name in self.info.types else None

    def schema(self, names: list[str]) -> pa.Schema:
        """Return the Arrow types of catalog columns, as the file holds them.

        Parameters
        ----------
        names
            Columns of the catalog.

        Returns
        -------
        One field per name; times that the file lacks are in UTC microseconds.
        """
        types = self.info.types | {"geometry": self.info.types[self.info.geometry]}
        return pa.schema([(name, types.get(name, UTC)) for name in names])

    def columns(self, names: list[str]) -> str:
        """Return the select list for catalog columns.

        Parameters
        ----------
        names
            Columns of the catalog.

        Returns
        -------
        SQL.
        """
        known = self.names | {"geometry": self.names[self.info.geometry]}
        return ", ".join(quoted(known[name]) for name in names)

    def conformed(self, table: pa.Table, names: list[str]) -> pa.Table:
        """Return what DuckDB read with the names and types that the file has.

        Parameters
        ----------
        table
            The result of `columns(names)`.
        names
            Columns of the catalog.

        Returns
        -------
        The same rows.
        """
        return conformed(table.rename_columns(names), ParquetSource.schema(self, names))


def _folder(name: Any) -> Path | Place:
    return place_of(name) or Path(name)


@dataclass(frozen=True)
class FolderSource(ParquetSource):
    """The files of a folder with the connection that reads them.

    Parameters
    ----------
    info
        What all files come to.
    connection
        A connection that may read the files of this folder and nothing else.
    manifest
        The list of files.
    spans
        What each of them holds, as `spans_of` gives it.
    types
        DuckDB's types of the columns.
    picked
        (N,) numbers of the files that are asked.
    """

    manifest: Manifest = field(kw_only=True)
    spans: tuple[np.ndarray, np.ndarray] = field(kw_only=True)
    types: dict[str, str] = field(kw_only=True)
    picked: np.ndarray = field(kw_only=True)

    @classmethod
    def open(cls, folder: Any, text: bytes | None = None) -> FolderSource | None:
        """Return the files of a folder with a new connection.

        Parameters
        ----------
        folder
            On this machine, on an object store or on a web server.
        text
            The list of files, when it was open before; by default that of the folder.

        Returns
        -------
        None for a folder without a list of files.

        Raises
        ------
        CatalogError
            For a list that cannot be read.
        """
        place = _folder(folder)
        manifest = read_manifest(place)[0] if text is None else Manifest.read(text, place)
        if manifest is None:
            return None
        root = str(place)
        connection = reading(root, f"allowed_directories = [{both_forms(root + '/')}]")
        known = connection.from_arrow(manifest.schema.empty_table())
        types = dict(zip(manifest.schema.names, map(str, known.types), strict=True))
        return cls(
            # Without a stamp, since the files that a list names never change.
            info_of(root, manifest.schema, manifest.rows),
            connection,
            manifest=manifest,
            spans=spans_of(manifest.parts),
            types=types,
            picked=np.arange(len(manifest.parts)),
        )

    def __reduce__(self) -> Any:
        return FolderSource.open, (self.info.path, self.manifest.text())

    def near(self, region: Region | None, times: tuple[int, int] | None) -> FolderSource:
        """Return the source with those files only that can hold an answer.

        Parameters
        ----------
        region
            Where; None is everywhere.
        times
            First and last microsecond; None is any time.

        Returns
        -------
        It shares the connection.
        """
        bounds, extents = (each[self.picked] for each in self.spans)
        keep = np.ones(len(self.picked), dtype=bool)
        if region is not None:
            keep &= region.touches_bounds(bounds)
        if times is not None:
            first, last = extents.T
            keep &= (first <= times[1]) & (last >= times[0])
        return replace(self, picked=self.picked[keep])

    @property
    def files(self) -> list[Part]:
        """The files that are asked."""
        return [self.manifest.parts[number] for number in self.picked]

    def explaining(self) -> AbstractContextManager[None]:
        """Turn what DuckDB raises into a CatalogError, which tells of files that have gone.

        Returns
        -------
        A context manager.
        """

        def told(why: str) -> CatalogError:
            now, _ = read_manifest(_folder(self.info.path))
            listed = now.names if now else set()
            if all(part.name in listed for part in self.files):
                return CatalogError(f"cannot read {self.info.path}: {why}")
            return CatalogError(
                f"{self.info.path} was put in order or replaced after it was opened as a catalog; "
                "open it again, and ask anew what was asked of the old one"
            )

        return explained(told)

    def rows(self) -> str:
        """Return the table expression that reads the files.

        Returns
        -------
        SQL.
        """
        groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for part in self.files:
            path = f"{self.info.path}/{part.name}"
            groups.setdefault((part.lacks, part.hollow), []).append(literal(pattern_of(path)))
        if not groups:
            return f"(SELECT {self._selected(self.info.schema.names)} WHERE false)"
        parts = [self._group(lacks, paths) for (lacks, _), paths in groups.items()]
        # A select of all columns around a file costs a tenth of a small question.
        if ((), ()) in groups and len(parts) == 1:
            return parts[0]
        selects = (
            f"SELECT {self._selected(*group)} FROM {part}"
            for group, part in zip(groups, parts, strict=True)
        )
        return f"({' UNION ALL '.join(selects)})"

    def _group(self, lacks: tuple[str, ...], paths: list[str]) -> str:
        """Return SQL of files that lack the same columns."""
        files = f"read_parquet([{', '.join(paths)}], hive_partitioning = false)"
        if all(name == new for name, new in self.names.items()):
            return files
        own = ", ".join(quoted(self.names[n]) for n in self.info.schema.names if n not in lacks)
        return f"{files} AS file({own})"

    def _selected(self, lacks: Any, hollow: Any = ()) -> str:
        """Return the select list of all columns, in which some are empty, or all their lists."""

        def column(name: str) -> str:
            own = quoted(self.names[name])
            if name in lacks or name in hollow:
                return f"CAST({'NULL' if name in lacks else own} AS {self.types[name]}) AS {own}"
            return own

        return ", ".join(map(column, self.info.schema.names))


def reading(path: str, allowed: str) -> duckdb.DuckDBPyConnection:
    """Return a connection that reads catalog files and nothing else.

    Parameters
    ----------
    path
        Of a file or a folder, on this machine or elsewhere.
    allowed
        The setting that names what may be read, as SQL.

    Returns
    -------
    The connection.

    Raises
    ------
    ImportError
        Where the files are elsewhere and fsspec is missing.
    """
    files = None
    if (place := place_of(path)) is not None:
        try:
            from geocatalog.place_files import PlaceFiles
        except ImportError as error:
            raise ImportError(
                f"DuckDB reads {place} through fsspec; {how_to_install('store')}"
            ) from error
        files = PlaceFiles(place)
    return locked_connection(
        "enable_geoparquet_conversion = false",
        "parquet_metadata_cache = true",
        allowed,
        files=files,
    )


_NO_TIME = "CAST(NULL AS TIMESTAMPTZ)"


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier.

    Parameters
    ----------
    name
        Any text.

    Returns
    -------
    SQL.

    Examples
    --------
    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def pattern_of(path: str) -> str:
    """Return what DuckDB reads as this one path: it takes "*", "?" and "[" for patterns.

    Parameters
    ----------
    path
        Of a file or folder; in a URL nothing is a pattern.

    Returns
    -------
    Text.

    Examples
    --------
    >>> pattern_of("/data/what?.parquet")
    '/data/what[?].parquet'
    """
    return path if "://" in path else re.sub(r"([*?[])", r"[\1]", path)


def both_forms(path: str) -> str:
    """Return SQL of a path and of its pattern: DuckDB asks for leave to read each.

    Parameters
    ----------
    path
        Of a file, or of a folder with its slash.

    Returns
    -------
    SQL.

    Examples
    --------
    >>> both_forms("/data/a.parquet"), both_forms("/b[1]/")
    ("'/data/a.parquet'", "'/b[1]/', '/b[[]1]/'")
    """
    return ", ".join(map(literal, dict.fromkeys((path, pattern_of(path)))))


def literal(text: str) -> str:
    """Return text as an SQL string.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    SQL.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
