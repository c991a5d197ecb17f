"""Footprints and intervals as packed arrays: everything a query reads, shared by its results."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from geopandas import GeoDataFrame
from pyproj import CRS

from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, Region, are_boxes, as_crs, mended
from geocatalog.interval import OPEN_END, OPEN_START, pack_column, unpack_column, utc_column
from geocatalog.read.signers import places_of

CORE_COLUMNS = ("filepath", "start_time", "end_time", "geometry")
"""What every catalog has, in this order; extras follow."""


class FootprintTable:
    """An immutable table of rows, with the packed arrays and the tree that queries read.

    `frame` has the core columns first, UTC microsecond times and a 0..N-1 index. All derived
    arrays are made when first needed and then shared by every catalog cut from this table.

    Parameters
    ----------
    frame
        A frame as `normalise_frame` gives it.

    Examples
    --------
    >>> from geopandas import GeoDataFrame
    >>> frame = GeoDataFrame({"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
    >>> FootprintTable(normalise_frame(frame)).bounds
    array([[0., 0., 1., 1.]])
    """

    def __init__(self, frame: GeoDataFrame) -> None:
        self.frame = frame
        """The rows as a GeoDataFrame; not to be changed."""

    @classmethod
    def of(cls, frame: GeoDataFrame) -> FootprintTable:
        """Return the table of any frame of footprints, put in order as `normalise_frame` does.

        Parameters
        ----------
        frame
            As for `normalise_frame`.

        Returns
        -------
        A new table; what was worked out to check the footprints stays with it.

        Raises
        ------
        CatalogError
            As `normalise_frame`.
        """
        table = cls(_ordered_frame(frame))
        paths = table.frame["filepath"].array
        geometry = mended(table.geometry, paths, table.is_box)
        if geometry is table.geometry:
            return table
        return cls(table.frame.set_geometry(geometry, crs=table.crs))

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """Columns by name, as pandas holds them; not to be changed."""
        return arrays_of(self.frame)

    @cached_property
    def crs(self) -> CRS:
        """The one CRS of all footprints."""
        return as_crs(self.frame.crs)

    @cached_property
    def geometry(self) -> np.ndarray:
        """(N,) shapely geometries."""
        return np.asarray(self.frame.geometry.to_numpy(), dtype=object)

    @cached_property
    def bounds(self) -> np.ndarray:
        """(N, 4) float64: west, south, east, north; NaN for an empty footprint."""
        return shapely.bounds(self.geometry)

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) int64 microseconds; `OPEN_START` where not known."""
        return pack_column(self.frame["start_time"], OPEN_START)

    @cached_property
    def ends(self) -> np.ndarray:
        """(N,) int64 microseconds; `OPEN_END` where not known."""
        return pack_column(self.frame["end_time"], OPEN_END)

    @cached_property
    def is_box(self) -> np.ndarray:
        """(N,) bool: the footprint fills its own bounds."""
        return are_boxes(self.geometry, self.bounds)

    @cached_property
    def all_boxes(self) -> bool:
        """Whether no footprint needs more than its bounds."""
        return bool(self.is_box.all())

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Packed tree of the footprints' bounds."""
        return shapely.STRtree(self.geometry)

    @property
    def columns(self) -> list[str]:
        """Column names, core ones first."""
        return [str(name) for name in self.frame.columns]

    @cached_property
    def extent(self) -> Bounds | None:
        """(west, south, east, north) of all footprints; None when there is none."""
        return extent_of(self.bounds)

    @cached_property
    def json_columns(self) -> list[str]:
        """Columns that a file holds as JSON: of dicts, and of lists that mix types."""
        return [name for name in self.columns if _needs_json(self.frame[name])]

    @property
    def shape_columns(self) -> list[str]:
        """Further columns of geometries, which a file holds as WKB."""
        kinds = self.frame.dtypes
        return [name for name in self.columns[4:] if str(kinds[name]) == "geometry"]

    @cached_property
    def attributes(self) -> pa.Table:
        """All columns but the geometry, as Arrow, with the types that a file would hold."""
        plain = pd.DataFrame(self.frame.drop(columns="geometry"))
        for name in self.shape_columns:
            plain[name] = shapely.to_wkb(np.asarray(plain[name], dtype=object))
        for name in self.json_columns:
            plain[name] = [json_text(each) if is_known(each) else None for each in plain[name]]
        for label, kind in plain.dtypes.items():
            if kind == np.dtype("f2"):  # neither Arrow nor DuckDB takes halves; the numbers stay
                plain[label] = plain[label].astype("f4")
        try:
            table = pa.Table.from_pandas(plain, preserve_index=False)
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise CatalogError(
                f"a column mixes types, or holds one, that a file's column cannot: {error}; "
                "write it as text or numbers, or drop it"
            ) from error
        return table.replace_schema_metadata(None)

    def __len__(self) -> int:
        return len(self.frame)

    def __reduce__(self) -> Any:
        # Arrays and tree are made anew: they are larger than the rows, and pairs hold two tables.
        return FootprintTable, (self.frame,)

    def select(self, region: Region | None, times: tuple[int, int] | None, rows: Any) -> np.ndarray:
        """Return the numbers of the rows that touch a place and a time.

        Parameters
        ----------
        region
            In the table's CRS; None is everywhere.
        times
            (first, last) in microseconds since 1970; None is any time.
        rows
            Sorted numbers of the rows to ask, or None for the whole table.

        Returns
        -------
        (N,) sorted row numbers.
        """
        if region is not None:
            hits = self._touching(region, rows)
        else:
            hits = np.arange(len(self)) if rows is None else rows
        if times is not None:
            first, last = times
            hits = hits[(self.starts[hits] <= last) & (self.ends[hits] >= first)]
        if region is None or not len(hits) or (region.is_boxes and self.all_boxes):
            return hits
        keep = self.is_box[hits] if region.is_boxes else np.zeros(len(hits), dtype=bool)
        keep[~keep] = region.touches(self.geometry[hits[~keep]])
        return hits[keep]

    def _touching(self, region: Region, rows: np.ndarray | None) -> np.ndarray:
        if not region.parts:
            return np.zeros(0, dtype=np.intp)
        if rows is not None and len(rows) < SMALL:
            return rows[region.touches_bounds(self.bounds[rows])]
        found = [self.tree.query(shapely.box(*part)) for part in region.parts]
        hits = np.sort(found[0]) if len(found) == 1 else np.unique(np.concatenate(found))
        if rows is None:
            return hits
        at = np.minimum(np.searchsorted(rows, hits), len(rows) - 1)
        return hits[rows[at] == hits]


@dataclass(eq=False, repr=False)
class PairTable(FootprintTable):
    """A table of pairs (row of `left`, row of `right`), both in one CRS.

    Counting pairs and asking for their columns costs nothing more; geometry and frame are made
    when needed.

    Parameters
    ----------
    left, right
        Two tables in one CRS.
    in_left, in_right
        (N,) row numbers: the pairs.
    spatial_only
        Whether pairs keep the left row's times.

    Examples
    --------
    >>> from geopandas import GeoDataFrame
    >>> frame = GeoDataFrame({"filepath": ["a"]}, geometry=[shapely.box(0, 0, 4, 4)], crs=32610)
    >>> table, none = FootprintTable(normalise_frame(frame)), np.array([0])
    >>> PairTable(table, table, none, none, spatial_only=False).columns[-1]
    'filepath_right'
    """

    left: FootprintTable
    right: FootprintTable
    in_left: np.ndarray
    in_right: np.ndarray
    spatial_only: bool

    @cached_property
    def crs(self) -> CRS:
        """The one CRS of both tables."""
        return self.left.crs

    def __len__(self) -> int:
        return len(self.in_left)

    def partners(self) -> dict[int, np.ndarray]:
        """Return the rows of `right` that each row of `left` is paired with.

        Returns
        -------
        Row of `left` -> (N,) rows of `right`.
        """
        rows, firsts = np.unique(self.in_left, return_index=True)
        # Of nothing numpy makes one empty part.
        return dict(zip(rows.tolist(), np.split(self.in_right, firsts[1:]), strict=False))

    @property
    def columns(self) -> list[str]:
        """Column names, core ones first."""
        return [*self.left.columns, *self._right_names.values()]

    @cached_property
    def _right_names(self) -> dict[str, str]:
        taken = set(self.left.columns)
        found: dict[str, str] = {}
        for name in self.right.columns:
            if name in CORE_COLUMNS and name != "filepath":
                continue
            new = name
            while new in taken:
                new += "_right"
            taken.add(new)
            found[name] = new
        return found

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) int64 microseconds, clipped to the pair's shared interval."""
        own = self.left.starts[self.in_left]
        return own if self.spatial_only else np.maximum(own, self.right.starts[self.in_right])

    @cached_property
    def ends(self) -> np.ndarray:
        """(N,) int64 microseconds, clipped to the pair's shared interval."""
        own = self.left.ends[self.in_left]
        return own if self.spatial_only else np.minimum(own, self.right.ends[self.in_right])

    def share_more_than_a_rim(self) -> np.ndarray:
        """Return which pairs share an area, or the length of a line, or a point.

        Returns
        -------
        (N,) bool.
        """
        low, high, boxes = self._common
        found: np.ndarray = (low < high).all(axis=1)
        other = np.flatnonzero(~boxes)
        a, b = self._shapes(other)
        least = np.minimum(shapely.get_dimensions(a), shapely.get_dimensions(b))
        found[other] = shapely.get_dimensions(shapely.intersection(a, b)) >= least
        return found

    @property
    def _common(self) -> tuple[Any, Any, np.ndarray]:
        """The corners (N, 2) of what the bounds of each pair share, and whether both are boxes."""
        one, two = self.left.bounds[self.in_left], self.right.bounds[self.in_right]
        low, high = np.maximum(one[:, :2], two[:, :2]), np.minimum(one[:, 2:], two[:, 2:])
        return low, high, self.left.is_box[self.in_left] & self.right.is_box[self.in_right]

    def _shapes(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        left, right = self.in_left[pairs], self.in_right[pairs]
        return self.left.geometry[left], self.right.geometry[right]

    @cached_property
    def geometry(self) -> np.ndarray:
        """(N,) shapely geometries: what each pair shares."""
        low, high, boxes = self._common
        fill = boxes & (low < high).all(axis=1)
        shared = np.empty(len(self), dtype=object)
        shared[fill] = shapely.box(*low[fill].T, *high[fill].T)
        shared[~fill] = shapely.intersection(*self._shapes(~fill))
        return shared

    @cached_property
    def frame(self) -> GeoDataFrame:
        """The rows as a GeoDataFrame; not to be changed."""
        left = self.left.frame.drop(columns="geometry").iloc[self.in_left].reset_index(drop=True)
        left["start_time"], left["end_time"] = unpack_column(self.starts), unpack_column(self.ends)
        right = pd.DataFrame(self.right.frame.drop(columns="geometry"))
        right = right[list(self._right_names)].rename(columns=self._right_names)
        right = right.iloc[self.in_right].reset_index(drop=True)
        left.insert(CORE_COLUMNS.index("geometry"), "geometry", self.geometry)
        return GeoDataFrame(pd.concat([left, right], axis=1), geometry="geometry", crs=self.crs)


def pairs_of(
    own: FootprintTable, other: FootprintTable, spatial_only: bool, touching: bool = False
) -> PairTable:
    """Return the pairs of rows of two tables that share space and time.

    Parameters
    ----------
    own, other
        Two tables in one CRS.
    spatial_only
        Whether to leave times alone.
    touching
        Whether footprints that only touch are a pair.

    Returns
    -------
    The pairs, in the order of the rows of `own`.
    """
    in_other = in_own = np.zeros(0, dtype=np.intp)
    if len(own) and len(other):
        in_other, in_own = _touching_pairs(other, own)
    if not spatial_only:
        keep = own.starts[in_own] <= other.ends[in_other]
        keep &= own.ends[in_own] >= other.starts[in_other]
        in_own, in_other = in_own[keep], in_other[keep]
    pairs = PairTable(own, other, in_own, in_other, spatial_only)
    if touching or not len(pairs):
        return pairs
    keep = pairs.share_more_than_a_rim()
    return pairs if keep.all() else replace(pairs, in_left=in_own[keep], in_right=in_other[keep])


def _touching_pairs(asking: FootprintTable, asked: FootprintTable) -> tuple[np.ndarray, np.ndarray]:
    """Return (row in asking, row in asked), sorted by the second, of all that truly touch."""
    in_asking, in_asked = asked.tree.query(asking.geometry)
    order = np.lexsort((in_asking, in_asked))
    in_asking, in_asked = in_asking[order], in_asked[order]
    plain = np.ones(len(in_asking), dtype=bool)
    if not (asking.all_boxes and asked.all_boxes):
        plain = asking.is_box[in_asking] & asked.is_box[in_asked]
    doubtful = np.flatnonzero(~plain)
    shapely.prepare(asking.geometry[np.unique(in_asking[doubtful])])
    plain[doubtful] = shapely.intersects(
        asking.geometry[in_asking[doubtful]], asked.geometry[in_asked[doubtful]]
    )
    return in_asking[plain], in_asked[plain]


def is_known(value: Any) -> bool:
    """Say whether an entry of a row says anything: neither None nor NaN, NaT or NA.

    Parameters
    ----------
    value
        Any entry of a column.

    Returns
    -------
    False for None, NaN, NaT and NA.

    Examples
    --------
    >>> is_known(0.0), is_known(float("nan")), is_known(pd.NA), is_known([])
    (True, False, False, True)
    """
    return bool(pd.api.types.is_list_like(value) or not pd.isna(value))


def as_json(value: Any) -> Any:
    """Return an entry of a row as a JSON value: unknown ones as None, times as ISO text.

    Parameters
    ----------
    value
        Any entry of a column; numpy scalars become plain numbers, arrays become lists, and so does
        what lists and dicts hold. What JSON has no type for becomes text.

    Returns
    -------
    A value that `json.dumps` takes.

    Examples
    --------
    >>> as_json(np.float32(0.5)), as_json(pd.NaT), as_json(pd.Timestamp("2024-06-01"))
    (0.5, None, '2024-06-01T00:00:00')
    >>> as_json({"sensors": np.array(["a", "b"])})
    {'sensors': ['a', 'b']}
    """
    if isinstance(value, dict):
        return {str(key): as_json(each) for key, each in value.items()}
    if pd.api.types.is_list_like(value):
        return [as_json(each) for each in value]
    if not is_known(value):
        return None
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, str | int | float) else str(plain)


def json_text(value: Any) -> str:
    """Return an entry of a row as JSON, numpy's arrays and scalars as lists and numbers.

    Parameters
    ----------
    value
        Any entry of a column.

    Returns
    -------
    JSON; NaN is written as Python writes it.

    Raises
    ------
    TypeError
        For what JSON does not know.

    Examples
    --------
    >>> json_text({"b": np.array([1, 2])})
    '{"b": [1, 2]}'
    """

    def plain(part: Any) -> Any:
        if isinstance(part, np.generic | np.ndarray) and part.dtype.kind in "biufU":
            return part.tolist()
        raise TypeError(f"JSON has no {type(part).__name__}")

    return json.dumps(value, default=plain)


def _needs_json(values: pd.Series) -> bool:
    """Whether entries hold dicts or lists that Arrow's types would not give back as they are."""
    known = [value for value in values if is_known(value)] if values.dtype == object else []
    if not any(map(pd.api.types.is_list_like, known)):
        return False
    try:
        text = json_text(known)
    except TypeError:
        return False
    if any(map(_holds_dict, known)):
        return True
    try:
        return json_text(pa.array(json.loads(text)).to_pylist()) != text
    except pa.ArrowException:
        return True


def _holds_dict(value: Any) -> bool:
    # Arrow gives structs of one set of keys, and Parquet none without any.
    if isinstance(value, dict):
        return True
    return isinstance(value, list | tuple) and any(map(_holds_dict, value))


def column_of(values: list[Any]) -> pd.Series:
    """Return entries as a column in which whole numbers stay whole beside missing ones.

    Parameters
    ----------
    values
        Entries, None where there is none.

    Returns
    -------
    A series of pandas' own choice, but "Int64" for whole numbers with gaps.

    Examples
    --------
    >>> column_of([2**60 + 1, None]).tolist()
    [1152921504606846977, <NA>]
    """
    known = {type(value) for value in values if value is not None}
    whole = known == {int} and None in values
    if whole and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype=object if known & {dict, list, tuple} else None)


def arrays_of(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the columns of a frame by name, as arrays whose `tolist` gives Python's own values.

    Parameters
    ----------
    frame
        Any frame.

    Returns
    -------
    numpy's arrays for numbers and objects, pandas' for times, text and the rest.

    Examples
    --------
    >>> arrays_of(pd.DataFrame({"cloud_cover": [3.0]}))["cloud_cover"].tolist()
    [3.0]
    """
    return {
        str(name): column.to_numpy() if type(column.dtype) in _OF_NUMPY else column.array
        for name, column in frame.items()
    }


_OF_NUMPY = tuple(type(np.dtype(code)) for code in "?bhilqBHILQefdO")


def column_values(array: Any) -> np.ndarray:
    """Return a column of pandas as a numpy array: times as datetime64[us] in UTC.

    Parameters
    ----------
    array
        A pandas array.

    Returns
    -------
    (N,) numbers, times, or objects.

    Examples
    --------
    >>> column_values(pd.to_datetime(["2024-06-01"], utc=True).array)
    array(['2024-06-01T00:00:00.000000'], dtype='datetime64[us]')
    """
    if isinstance(array.dtype, pd.DatetimeTZDtype):
        return array.to_numpy(dtype="datetime64[us]")
    return np.asarray(array)


def with_footprints(table: pa.Table, geometry: np.ndarray) -> pa.Table:
    """Return an Arrow table with the footprints as WKB in their place among the columns.

    Parameters
    ----------
    table
        The other columns.
    geometry
        (N,) shapely geometries.

    Returns
    -------
    A new table.
    """
    shapes = pa.array(shapely.to_wkb(geometry), type=pa.binary())
    return table.add_column(CORE_COLUMNS.index("geometry"), "geometry", shapes)


def extent_of(bounds: np.ndarray) -> Bounds | None:
    """Return (west, south, east, north) around (N, 4) bounds, empty ones left out; None if none.

    Parameters
    ----------
    bounds
        (N, 4) float64; NaN for an empty footprint.

    Returns
    -------
    Four floats, or None.

    Examples
    --------
    >>> extent_of(np.array([[0.0, 0.0, 1.0, 1.0], [5.0, -1.0, 6.0, 1.0]]))
    (0.0, -1.0, 6.0, 1.0)
    """
    finite = bounds[np.isfinite(bounds).all(axis=1)]
    if len(finite) == 0:
        return None
    west, south = finite[:, :2].min(axis=0).tolist()
    east, north = finite[:, 2:].max(axis=0).tolist()
    return west, south, east, north


SMALL = 2048
"""Below this many rows a pass over their bounds is quicker than a tree of the whole table."""


def normalise_frame(frame: GeoDataFrame) -> GeoDataFrame:
    """Return the frame as a table keeps it: columns ordered, times in UTC, index 0..N-1.

    A missing `start_time` or `end_time` column means undated rows.

    Parameters
    ----------
    frame
        Footprints with a `filepath` column; further columns are kept.

    Returns
    -------
    A new frame.

    Raises
    ------
    CatalogError
        For another type, without a `filepath` column or a CRS, for two columns of one name, or when
        an interval ends before it starts.

    Examples
    --------
    >>> from geopandas import GeoDataFrame
    >>> frame = GeoDataFrame({"filepath": ["a.tif"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32610)
    >>> list(normalise_frame(frame).columns)
    ['filepath', 'start_time', 'end_time', 'geometry']
    """
    return FootprintTable.of(frame).frame


def _ordered_frame(frame: GeoDataFrame) -> GeoDataFrame:
    if not isinstance(frame, GeoDataFrame):
        raise CatalogError(f"a catalog is made from a GeoDataFrame, got {type(frame).__name__}")
    if "filepath" not in frame.columns:
        raise CatalogError(
            f"a catalog needs a 'filepath' column, got {list(map(str, frame.columns))}"
        )
    if frame.crs is None:
        raise CatalogError(
            "a catalog needs a CRS; call frame.set_crs(...) with the footprints' own"
        )
    names = Counter(map(str, frame.columns))
    names["geometry"] += frame.geometry.name != "geometry"
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise CatalogError(
            f"a catalog's columns need names of their own, got {twice[0]!r} twice (the footprints, "
            f"here {frame.geometry.name!r}, become 'geometry'); rename or drop one"
        )
    # Neither Arrow nor pandas 2 takes rows of numbers in another byte order.
    kinds = {name: kind for name, kind in frame.dtypes.items() if isinstance(kind, np.dtype)}
    odd = {name: kind.newbyteorder("=") for name, kind in kinds.items() if not kind.isnative}
    frame = frame.astype(odd) if odd else frame
    plain = pd.DataFrame(frame.drop(columns=frame.geometry.name)).reset_index(drop=True)
    extras = plain.drop(columns=list(CORE_COLUMNS), errors="ignore").rename(columns=str)
    lacking = np.flatnonzero(plain["filepath"].isna().to_numpy())
    if len(lacking):
        raise CatalogError(
            f"row {lacking[0]} has no filepath ({len(lacking)} such rows); drop such rows first: "
            "frame[frame.filepath.notna()]"
        )
    start, end = (
        utc_column(plain.get(name, [None] * len(plain)), end=name == "end_time")
        for name in ("start_time", "end_time")
    )
    wrong = np.flatnonzero((end < start).to_numpy())
    if len(wrong):
        first = int(wrong[0])
        raise CatalogError(
            f"an interval must not end before it starts: {plain['filepath'][first]} runs from "
            f"{start[first]} to {end[first]} ({len(wrong)} such rows)"
        )
    core: dict[str, Any] = {
        "filepath": _places(plain["filepath"].astype(str)),
        "start_time": start,
        "end_time": end,
        "geometry": np.asarray(frame.geometry.to_numpy()),
    }
    if "assets" in extras:
        extras["assets"] = [_asset_places(each) for each in extras["assets"]]
    columns = {name: _in_one_piece(each) for name, each in (core | dict(extras.items())).items()}
    return GeoDataFrame(columns, geometry="geometry", crs=frame.crs)


def _in_one_piece(column: Any) -> Any:
    """Return a column as one piece of Arrow, which copies several to take a few rows of them."""
    array = getattr(column, "array", None)
    if not isinstance(array, pd.arrays.ArrowExtensionArray):
        return column
    pieces = array.__arrow_array__()
    if pieces.num_chunks < 2:
        return column
    kind: Any = type(array)
    whole = kind._from_sequence(pieces.combine_chunks(), dtype=array.dtype)
    return pd.Series(whole, column.index, name=column.name)


def _places(paths: pd.Series) -> pd.Series:
    """Return paths without the tokens that came with some: a token is no part of a place."""
    suspect = paths.str.contains("?", regex=False) | paths.str.contains("@", regex=False)
    if suspect.any():
        paths = paths.mask(suspect, pd.Series(places_of(paths[suspect]), paths.index[suspect]))
    return paths


def _asset_places(assets: Any) -> Any:
    if not isinstance(assets, str) or "://" not in assets or not ("?" in assets or "@" in assets):
        return assets
    try:
        paths = json.loads(assets)
        return json.dumps(dict(zip(paths, places_of(paths.values()), strict=True)))
    except (ValueError, AttributeError):  # a column of that name need not be ours
        return assets


def joined_frames(frames: list[GeoDataFrame]) -> GeoDataFrame:
    """Return the rows of frames in one CRS, equal ones once, with the columns of any.

    Parameters
    ----------
    frames
        Frames as `normalise_frame` gives them.

    Returns
    -------
    A new frame.
    """
    names = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    shared = set.intersection(*(set(frame.columns) for frame in filled))
    rows = pd.concat([_whole(frame, shared) for frame in filled], ignore_index=True)
    rows = rows.reindex(columns=names)
    whole = GeoDataFrame(rows, geometry="geometry", crs=frames[0].crs)
    keys = pd.DataFrame(whole.drop(columns="geometry"))
    for name in [name for name in keys.columns if pd.api.types.is_object_dtype(keys[name])]:
        # From a file a list may be an array, and what is missing has several names.
        keys[name] = [json.dumps(as_json(v), sort_keys=True, default=repr) for v in keys[name]]
    keys["geometry"] = shapely.to_wkb(shapely.normalize(whole.geometry.to_numpy()), hex=True)
    return whole[~keys.duplicated().to_numpy()].reset_index(drop=True)


def _whole(frame: GeoDataFrame, shared: set[str]) -> GeoDataFrame:
    """Return a frame whose whole numbers stay whole where other rows lack the column."""
    kinds = {name: str(kind) for name, kind in frame.dtypes.items() if name not in shared}
    nullable = {
        name: kind.replace("uint", "UInt").replace("int", "Int")
        for name, kind in kinds.items()
        if kind.startswith(("int", "uint"))
    }
    return frame.astype(nullable) if nullable else frame
