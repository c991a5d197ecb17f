"""The files of a catalog in a folder with the connection that reads them.

What each file holds is known when the catalog is opened, so that a question is put to the few files
that can answer it. Files never change, so a catalog keeps the rows that it was opened with.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geocatalog.errors import CatalogError
from geocatalog.expression import explained
from geocatalog.footprint import Region
from geocatalog.manifest import Manifest, Part, read_manifest, spans_of
from geocatalog.parquet import info_of
from geocatalog.parquet_source import (
    ParquetSource,
    both_forms,
    literal,
    pattern_of,
    quoted,
    reading,
)
from pipekit.places import Place, place_of


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
            listed = {part.name for part in now.parts} if now else set()
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
