"""Objects of a store as the file system that DuckDB reads a catalog through.

DuckDB's own extension for this is not in its wheel. It asks a registered file system for the
ranges that it needs, after it has compared a query to the statistics in the file's footer.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import fsspec

from pipekit.places import Found, Place, PlaceReader, place_of


class PlaceFiles(fsspec.AbstractFileSystem):
    """A file system with one object, or those of a folder, each in the version found first.

    Parameters
    ----------
    place
        Of the object, or of the folder.

    Examples
    --------
    >>> PlaceFiles(Place("s3", "bucket", "catalogs")).exists("s3://bucket/other.parquet")
    False
    """

    cachable = False

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.protocol = place.scheme
        self._place = place
        self._found: dict[Place, Found] = {}

    def _of(self, path: str) -> tuple[Place, Found]:
        """Return an object of this file system, and the version that is read of it."""
        place = place_of(self.unstrip_protocol(path))
        if place is None or not self._place.holds(place):
            raise FileNotFoundError(f"only {self._place} is read here, not {path}")
        if place not in self._found:
            self._found[place] = place.find()
        return place, self._found[place]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> PlaceReader:
        return PlaceReader(*self._of(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return what is known of an object.

        Parameters
        ----------
        path
            Its URL.

        Returns
        -------
        Name, size in bytes, and type.
        """
        place, found = self._of(path)
        return {"name": str(place), "size": found.size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether a path is that of an object here.

        Parameters
        ----------
        path
            A URL.

        Returns
        -------
        Whether it is.
        """
        try:
            self._of(path)
        except FileNotFoundError:
            return False
        return True

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
        self._of(path)
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
