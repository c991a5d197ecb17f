"""One object of a store as the file system that DuckDB reads a catalog through.

DuckDB's own extension for this is not in its wheel. It asks a registered file system for the
ranges that it needs, after it has compared a query to the statistics in the file's footer.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import fsspec

from pipekit.places import Found, Place, PlaceReader


class PlaceFiles(fsspec.AbstractFileSystem):
    """A file system with one object, in the version that was found.

    Parameters
    ----------
    place
        Of the object.
    found
        Its size and version: another one is never read in its stead.

    Examples
    --------
    >>> place = Place("s3", "bucket", "catalog.parquet")
    >>> PlaceFiles(place, Found(4711, '"tag"')).info(str(place))["size"]
    4711
    """

    cachable = False

    def __init__(self, place: Place, found: Found) -> None:
        super().__init__()
        self.protocol = place.scheme
        self._place, self._found = place, found

    def _open(self, path: str, mode: str = "rb", **_: Any) -> PlaceReader:
        self._check(path)
        return PlaceReader(self._place, self._found)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return what is known of the object; nothing is asked.

        Parameters
        ----------
        path
            Its URL.

        Returns
        -------
        Name, size in bytes, and type.
        """
        self._check(path)
        return {"name": str(self._place), "size": self._found.size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether a path is the object's.

        Parameters
        ----------
        path
            A URL.

        Returns
        -------
        Whether it is.
        """
        return self.unstrip_protocol(path) == str(self._place)

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the object's URL for its path: no name stands for several here.

        Parameters
        ----------
        path
            A URL.

        Returns
        -------
        One, or none.
        """
        return [path] if self.exists(path) else []

    def modified(self, path: str) -> dt.datetime:
        """Return one time for all: what is read is one version.

        Parameters
        ----------
        path
            Its URL.

        Returns
        -------
        The first second of 1970.
        """
        self._check(path)
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

    def _check(self, path: str) -> None:
        if not self.exists(path):
            raise FileNotFoundError(f"only {self._place} is read here, not {path}")
