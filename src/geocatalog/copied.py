"""The rows of a catalog as a frame of one's own, which says so where a change would be lost."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from geopandas import GeoDataFrame


class LostChangeWarning(UserWarning):
    """A column was set on a copy of a catalog's rows that nobody holds.

    Examples
    --------
    >>> issubclass(LostChangeWarning, UserWarning)
    True
    """


class CopiedFrame(GeoDataFrame):
    """A copy of a catalog's rows: `catalog.gdf["x"] = ...` warns, since it changes no catalog.

    A copy that has a name may be changed in silence.

    Examples
    --------
    >>> import shapely
    >>> frame = CopiedFrame({"a": [1]}, geometry=[shapely.Point(0, 0)])
    >>> frame["b"] = 2
    >>> frame.b.tolist()
    [2]
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if sys.getrefcount(self) <= _UNNAMED:
            warnings.warn(
                f"catalog.gdf is a copy, so setting {key!r} on it changes nothing; write "
                f"catalog = catalog.assign({key}=...), or give the copy a name first",
                LostChangeWarning,
                stacklevel=2,
            )
        super().__setitem__(key, value)


class _Counted:
    """Counts the references to itself when an item is set."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = counts

    def __setitem__(self, key: Any, value: Any) -> None:
        self.counts.append(sys.getrefcount(self))


def _references_without_name() -> int:
    """Return how many references an object has that is set an item and has no name, 0 if as many.

    Interpreters count differently, so it is tried out; pandas tells lost changes the same way.
    """
    counts: list[int] = []
    _Counted(counts)[0] = 0
    named = _Counted(counts)
    named[0] = 0
    return counts[0] if counts[0] < counts[1] else 0


_UNNAMED = _references_without_name()
