"""Pixels of a slice from the raster files of a catalog: read in parallel, merged one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geocatalog.catalog import CatalogRow, GeoCatalog, rows_under
from geocatalog.errors import CatalogError, check_reading
from geocatalog.geoslice import GeoSlice
from geocatalog.grid import as_geotensor
from geocatalog.interval import pack_time
from geocatalog.read.bands import Bands
from geocatalog.read.onto_grid import Piece, as_resampling, read_piece
from geocatalog.read.signers import signing
from pipekit.operator import checked_option
from pipekit.parallel import in_threads
from pipekit.pixels import GUIDE, check_fill, equal_mask, marked
from pipekit.tokens import redact, redacted

if TYPE_CHECKING:
    from georeader.geotensor import GeoTensor
    from odc.geo.geobox import GeoBox

DEFAULT_WORKERS = 8
"""Files read at once: reads wait for the network or for decompression, which releases the GIL."""

MERGE_METHODS = ("last", "first", "min", "max", "mean", "median")
"""How pixels that several files cover are merged; order is by time, then by row."""

_STRIP_BYTES = 32 * 2**20


@dataclass
class _Request:
    """Everything that a load reads with, and what it had to leave out."""

    grid: GeoBox
    band_indexes: Sequence[int] | None = None
    resampling: str = "nearest"
    merge_method: str = "last"
    nodata: float | None = None
    workers: int = DEFAULT_WORKERS
    on_error: str = "raise"
    scaled: bool = True
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        as_resampling(self.resampling)
        check_reading(self.workers, self.on_error)
        checked_option(self.merge_method, "merge_method", MERGE_METHODS, CatalogError)
        indexes = self.band_indexes
        if indexes is not None and not (len(indexes) and min(indexes) >= 1):
            raise CatalogError(f"band_indexes are 1-based, at least one, got {list(indexes)}")


def load_raster(
    catalog: GeoCatalog,
    slice_: GeoSlice,
    band_indexes: Sequence[int] | None = None,
    resampling: str = "nearest",
    merge_method: str = "last",
    nodata: float | None = None,
    workers: int = DEFAULT_WORKERS,
    *,
    on_error: str = "raise",
    scaled: bool = True,
) -> GeoTensor:
    """Return one mosaic (C, H, W) of all files that touch the slice, on the slice's grid.

    Only windows are read, at the overview that fits the slice's resolution, files in parallel.

    Pixels that a file's nodata value, mask or alpha band hides take no part. Bands that hold
    classes, bits or a mask are never averaged or interpolated. Files whose bands have names are
    joined by name.

    `attrs` holds `band_names` where known, `files` in merge order, `skipped`, and
    `source = "simulated"` when a row says that it is (column `simulated`).

    Parameters
    ----------
    catalog
        A catalog of raster files.
    slice_
        Where, when and on which pixel grid.
    band_indexes
        1-based bands, by default all but an alpha band; for rows made from several STAC assets,
        1-based assets, with all their bands.
    resampling
        Rasterio's name of the method; not used where file and grid share pixel edges.
    merge_method
        "last" (latest on top), "first", "min", "max", "mean" or "median". Averages of integers come
        as float32.
    nodata
        Marks missing pixels in files and result; by default the files' own. Without any, and where
        a valid pixel of another file holds it, missing pixels are NaN in floats, and in integers 0
        or another number that no valid pixel holds: `fill_value_default` says it.
    workers
        Files read at once.
    on_error
        "raise" names the file that cannot be read; "skip" leaves it out and lists it in
        `attrs["skipped"]`.
    scaled
        Whether the files' scale and offset are applied; False gives the stored numbers.

    Returns
    -------
    `GeoTensor` (C, H, W) in the files' dtype; physical values of scaled files are floats.

    Raises
    ------
    CatalogError
        When nothing touches the slice, the catalog is not of raster files, their bands have other
        names, or bands of classes would be averaged.

    Examples
    --------
    >>> import tempfile
    >>> from geocatalog import build_raster_catalog
    >>> import rasterio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     profile = dict(driver="GTiff", height=2, width=3, count=1, dtype="uint16",
    ...         crs="EPSG:32610", transform=rasterio.Affine(10, 0, 0, 0, -10, 20))
    ...     with rasterio.open(folder + "/a.tif", "w", **profile) as file:
    ...         file.write(np.arange(6, dtype="uint16").reshape(1, 2, 3))
    ...     catalog = build_raster_catalog([folder + "/a.tif"])
    ...     load_raster(catalog, GeoSlice((10, 0, 30, 20), None, 10, 32610)).values.tolist()
    [[[1, 2], [4, 5]]]
    """
    options = (band_indexes, resampling, merge_method, nodata, workers, on_error, scaled)
    return mosaic_rows(_touching_rows(catalog, slice_), slice_, *options)


def mosaic_rows(
    rows: Sequence[CatalogRow],
    slice_: GeoSlice,
    *options: Any,
    mark: Callable[[np.dtype], Any] | None = None,
    **named: Any,
) -> GeoTensor:
    """Return one mosaic of rows already found.

    Parameters
    ----------
    rows
        Rows of a raster catalog; those outside the slice add nothing.
    slice_
        Where and on which pixel grid; its interval is not looked at.
    *options, **named
        As in `load_raster`, from `band_indexes` on.
    mark
        Gives the number that marks what is missing in integers of files that declare no nodata,
        of their dtype; by default 0. Windows of one Field have one.

    Returns
    -------
    `GeoTensor` (C, H, W) in the files' dtype.
    """
    request = _Request(slice_.geobox, *options, **named)
    ordered = _in_merge_order(rows, request.merge_method)
    mosaic, attrs = _merged(_pieces(ordered, request), request, slice_)
    if mark is not None and mosaic.fill is None:
        mosaic.fill = mark(mosaic.dtype)
    values, fill = mosaic.settled(*mosaic.merged())
    return as_geotensor(values, request.grid, fill, attrs)


def load_raster_timeseries(
    catalog: GeoCatalog,
    slice_: GeoSlice,
    band_indexes: Sequence[int] | None = None,
    resampling: str = "nearest",
    merge_method: str = "last",
    nodata: float | None = None,
    workers: int = DEFAULT_WORKERS,
    *,
    on_error: str = "raise",
    scaled: bool = True,
) -> GeoTensor:
    r"""Return (T, C, H, W): one mosaic per acquisition date (UTC day of `start_time`), in order.

    Days are only those with a file that touches the slice.

    Parameters
    ----------
    catalog, slice_, band_indexes, resampling, merge_method, nodata, workers, on_error, scaled
        As in `load_raster`.

    Returns
    -------
    `GeoTensor` (T, C, H, W); `attrs["dates"]` are the T days as ISO text.

    Raises
    ------
    CatalogError
        Also for undated files, and when days differ in their bands.

    Examples
    --------
    >>> import tempfile
    >>> from geocatalog import build_raster_catalog
    >>> import rasterio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     profile = dict(driver="GTiff", height=2, width=3, count=1, dtype="uint16",
    ...         crs="EPSG:32610", transform=rasterio.Affine(10, 0, 0, 0, -10, 20))
    ...     paths = [f"{folder}/a_2024060{day}.tif" for day in (1, 2)]
    ...     for path in paths:
    ...         with rasterio.open(path, "w", **profile) as file:
    ...             file.write(np.ones((1, 2, 3), "uint16"))
    ...     catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})")
    ...     series = load_raster_timeseries(catalog, GeoSlice((0, 0, 30, 20), None, 10, 32610))
    >>> series.shape, series.attrs["dates"]
    ((2, 1, 2, 3), ['2024-06-01', '2024-06-02'])
    """
    options = (band_indexes, resampling, merge_method, nodata, workers, on_error, scaled)
    request = _Request(slice_.geobox, *options)
    rows = _in_merge_order(_touching_rows(catalog, slice_), merge_method)
    undated = [row.filepath for row in rows if pd.isna(row.start_time)]
    if undated:
        raise CatalogError(f"a time series needs dates; {len(undated)} undated, e.g. {undated[0]}")
    days: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    attrs: dict[str, Any] = {}
    mosaic: Mosaic | None = None
    for day, group in groupby(
        _pieces(rows, request), key=lambda read: read[0].start_time.isoformat()[:10]
    ):
        mosaic, said = _merged(group, request, slice_, mosaic)
        days[day] = mosaic.merged()
        attrs |= said
        counts = {other: len(values) for other, (values, _) in days.items()}
        if len(set(counts.values())) > 1:
            raise CatalogError(f"days differ in bands: {counts}; choose with band_indexes=")
    if mosaic is None:
        raise CatalogError(f"none of the {len(rows)} files could be read: {request.skipped[:3]}")
    del attrs["files"]
    attrs |= {"skipped": list(request.skipped), "dates": sorted(days)}
    stacked, empty = (np.stack([days[day][part] for day in sorted(days)]) for part in (0, 1))
    values, fill = mosaic.settled(stacked, empty)
    return as_geotensor(values, request.grid, fill, attrs)


def _touching_rows(catalog: GeoCatalog, slice_: GeoSlice) -> list[CatalogRow]:
    rows = rows_under(catalog, slice_, "raster")
    if not rows:
        raise CatalogError(f"no file of {catalog!r} touches {slice_!r}")
    return rows


def _in_merge_order(rows: Sequence[CatalogRow], method: str) -> list[CatalogRow]:
    ordered = sorted(rows, key=lambda row: pack_time(row.start_time)[0])
    return ordered[::-1] if method == "last" else ordered


Pixels = tuple[Piece | None, Bands]
Read = tuple[CatalogRow, Piece | None, Bands]


class _UnreadError(CatalogError):
    """A file that could not be read: of a row of several, the one that is at fault."""

    def __init__(self, path: str, error: Exception) -> None:
        # rasterio keeps what GDAL said in the cause; its own words only point there.
        self.path, self.reason = path, redacted(error)
        super().__init__(
            f"cannot read {redact(path)}: {self.reason}; "
            "pass on_error='skip' to leave such files out"
        )


def _pieces(rows: list[CatalogRow], request: _Request) -> Iterator[Read]:
    """Yield each row's pixels in order, reading ahead; what fails is raised or listed."""
    workers = max(1, min(request.workers, len(rows)))
    # Threads that rows leave idle read the assets of each side by side.
    read_row = partial(_read_row, request=request, threads=request.workers // workers)
    for row, read in zip(rows, in_threads(read_row, rows, workers), strict=False):
        if not isinstance(read, _UnreadError):
            yield row, *read
        elif request.on_error == "raise":
            raise CatalogError(*read.args) from read.__cause__
        else:
            request.skipped.append((read.path, read.reason))


def _read_row(row: CatalogRow, request: _Request, threads: int) -> Pixels | _UnreadError:
    try:
        if not row.assets:
            return _read(row.filepath, row.signer, request, request.band_indexes)
        names, paths = list(row.assets), list(row.assets.values())
        if request.band_indexes is not None:
            chosen = list(request.band_indexes)
            if max(chosen) > len(names):
                wrong = CatalogError(f"band_indexes are 1-based over {names}, got {chosen}")
                raise _UnreadError(row.filepath, wrong)
            names, paths = [names[i - 1] for i in chosen], [paths[i - 1] for i in chosen]
        assets = list(zip(paths, names, strict=True))
        found = list(
            in_threads(
                lambda each: _read(each[0], row.signer, request, None, each[1:]), assets, threads
            )
        )
        return _stacked(names, found)
    except _UnreadError as error:
        return error


def _read(
    path: str,
    signer: str | None,
    request: _Request,
    indexes: Sequence[int] | None,
    names: Sequence[str] | None = None,
) -> Pixels:
    how = indexes, request.resampling, request.nodata
    try:
        sign = signing(path, signer)
        return read_piece(path, request.grid, *how, scaled=request.scaled, names=names, sign=sign)
    except Exception as error:
        raise _UnreadError(path, error) from error


def _stacked(names: list[str], read: list[Pixels]) -> Pixels:
    """Return assets as one piece; those of an asset with several bands are called key_1, key_2."""
    dtype = np.result_type(*(bands.dtype for _, bands in read))
    each = [
        [name] if bands.count == 1 else [f"{name}_{band + 1}" for band in range(bands.count)]
        for name, (_, bands) in zip(names, read, strict=True)
    ]
    roles = tuple(role for _, bands in read for role in bands.roles)
    flat = tuple(name for own in each for name in own)
    bands = Bands(dtype, len(flat), read[0][1].nodata, flat, roles)
    firsts = np.cumsum([0, *map(len, each)]).tolist()
    known = [(at, piece) for at, (piece, _) in zip(firsts, read, strict=False) if piece is not None]
    return Piece.stacked(known, bands) if known else None, bands


def _merged(
    read: Iterator[Read], request: _Request, slice_: GeoSlice, before: Mosaic | None = None
) -> tuple[Mosaic, dict[str, Any]]:
    """Return the mosaic of what is read, with what its files said about their bands.

    Its bands are in the order of those of the mosaic before it.
    """
    mosaic: Mosaic | None = None
    attrs: dict[str, Any] = {"files": []}
    for row, piece, bands in read:
        known = mosaic or before
        order = None if known is None else _joined(row, bands, known)
        if order is not None:
            piece, bands = None if piece is None else piece.reordered(order), bands.reordered(order)
        if mosaic is None:
            mosaic = Mosaic(request.merge_method, bands, request.grid.shape.yx, request.nodata)
            attrs |= bands.attrs
        mosaic.check_roles(row.filepath, bands)
        # A row read from a file holds numpy's own true, which is not Python's.
        if row.extras.get("simulated") in (True, "true"):
            attrs["source"] = "simulated"
        if piece is not None:
            mosaic.add(piece)
            attrs["files"].append(row.filepath)
        if mosaic.is_complete:
            break
    if mosaic is None:
        raise CatalogError(f"no file could be read for {slice_!r}: {request.skipped[:3]}")
    attrs["skipped"] = list(request.skipped)
    return mosaic, attrs


def _joined(row: CatalogRow, bands: Bands, mosaic: Mosaic) -> list[int] | None:
    """Return the order in which a file's bands are those of a mosaic; None where they are."""
    if bands.count != mosaic.bands.count:
        raise CatalogError(
            f"{row.filepath} has {bands.count} bands, the files before it {mosaic.bands.count}; "
            "choose with band_indexes="
        )
    if not mosaic.holds(bands.dtype):
        raise CatalogError(
            f"{row.filepath} is {bands.dtype}, which the files before it, {mosaic.bands.dtype}, "
            "cannot hold; load them apart, or merge by 'mean' or 'median', which give floats"
        )
    theirs, ours = bands.names, mosaic.bands.names
    if theirs == ours or not (all(theirs) and all(ours)):
        return None
    if set(theirs) != set(ours) or len(set(ours)) < len(ours):
        raise CatalogError(
            f"{row.filepath} has the bands {theirs}, the files before it {ours}; load files of "
            "other bands apart, or correct the names (rasterio's set_band_description)"
        )
    return [theirs.index(name) for name in ours]


class Mosaic:
    """A raster that pieces are added to; `result()` gives the merged pixels.

    `first` keeps what came first, so the caller gives pieces latest first for `last`, which
    behaves the same. Only "median" keeps every piece until the end. `nodata` marks missing pixels;
    see `fill_for`.

    Parameters
    ----------
    method
        One of `MERGE_METHODS`.
    bands
        What the bands of the first file are.
    shape
        (rows, cols) of the grid.
    nodata
        Marks missing pixels; see `fill_for`.

    Examples
    --------
    >>> bands = Bands(np.dtype("uint16"), 1, 0, (None,))
    >>> mosaic = Mosaic("max", bands, (1, 2))
    >>> for value in (3, 5):
    ...     data = np.full((1, 1, 2), value, "uint16")
    ...     mosaic.add(Piece(0, 0, data, np.array([[[True, value == 3]]])))
    >>> mosaic.result()
    array([[[5, 3]]], dtype=uint16)
    """

    def __init__(
        self, method: str, bands: Bands, shape: tuple[int, int], nodata: float | None = None
    ) -> None:
        self.method = method
        self.bands = bands
        self.shape = (bands.count, *shape)
        self.averages = method in ("mean", "median")
        made_float = self.averages and bands.dtype.kind != "f"
        self.dtype = np.dtype(np.float32) if made_float else bands.dtype
        self.asked = nodata is not None
        self.fill = fill_for(self.dtype, bands, nodata)
        self._pieces: list[Piece] = []
        # Pieces over a pixel for a mean; else whether there is none, as `merged` gives it.
        mean = method == "mean"
        self._count: Any = np.zeros(self.shape, np.int32) if mean else None
        self._empty: Any = None if mean else np.ones(self.shape, bool)
        kind = np.float64 if method == "mean" else self.dtype
        self._data: Any = None if method == "median" else np.zeros(self.shape, dtype=kind)

    def holds(self, dtype: np.dtype) -> bool:
        """Whether values of another file's dtype keep their meaning in this raster.

        Parameters
        ----------
        dtype
            The other file's dtype.

        Returns
        -------
        Whether they do.
        """
        both_float = dtype.kind == self.dtype.kind == "f"
        return self.averages or both_float or bool(np.can_cast(dtype, self.dtype))

    def add(self, piece: Piece) -> None:
        """Merge one piece into the raster.

        Parameters
        ----------
        piece
            Pixels on the grid of the mosaic.
        """
        if self.method == "median":
            self._pieces.append(piece)
            return
        where = (slice(None), *piece.window)
        data = self._data[where]
        if self._empty is None:
            np.add(data, piece.data, out=data, where=piece.valid)
            self._count[where] += piece.valid
            return
        empty = self._empty[where]
        if self.method in ("min", "max"):
            choose = np.minimum if self.method == "min" else np.maximum
            choose(data, piece.data, out=data, where=piece.valid & ~empty)
        np.copyto(data, piece.data, where=piece.valid & empty, casting="unsafe")
        empty &= ~piece.valid

    @property
    def is_complete(self) -> bool:
        """Whether further pieces cannot change the result."""
        return self.method in ("first", "last") and not self._empty.any()

    def check_roles(self, path: str, bands: Bands) -> None:
        """Refuse to average bands that hold no quantities.

        Parameters
        ----------
        path
            The file, for the message.
        bands
            What its bands are.

        Raises
        ------
        CatalogError
            Names the file, the bands and the way out.
        """
        coded = [
            f"{name or f'band {number}'} ({role})"
            for number, (name, role) in enumerate(zip(bands.names, bands.roles, strict=False), 1)
            if role != "quantity"
        ]
        if self.averages and coded:
            raise CatalogError(
                f"merge_method={self.method!r} would average {', '.join(coded)} of {path}; use "
                f"'last' or 'first', or choose other bands with band_indexes=; {GUIDE}"
            )

    def result(self) -> np.ndarray:
        """Return (C, H, W) merged pixels; those that no file has are marked as `settled` says."""
        return self.settled(*self.merged())[0]

    def merged(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (C, H, W) merged pixels, and where no file has a valid one.

        Returns
        -------
        values, empty
            Each (C, H, W).
        """
        if self.method == "median":
            return self._median()
        empty = self._empty
        if empty is None:
            empty = self._count == 0
            self._data = np.divide(self._data, self._count, where=~empty, out=self._data)
        return self._data.astype(self.dtype, copy=False), empty

    def settled(self, values: np.ndarray, empty: np.ndarray) -> tuple[np.ndarray, float | None]:
        """Return merged pixels, the empty ones marked by a value that no other holds; and it.

        Parameters
        ----------
        values, empty
            As from `merged`, or stacks of such. Values are changed.

        Returns
        -------
        The pixels, and their nodata value.
        """
        fill = self.fill
        if not self.asked and values.dtype.kind in "iu":
            return marked(values, empty, fill, self.bands.roles)
        clash = equal_mask(values, fill)
        if clash is not None and (clash := clash & ~empty).any():
            if self.asked:
                # Only averages can fall on what was asked for.
                values[clash] = np.nextafter(values.dtype.type(fill), np.inf)
            else:
                fill = np.nan
        values[empty] = fill
        return values, fill

    def _median(self) -> tuple[np.ndarray, np.ndarray]:
        merged, empty = np.zeros(self.shape, dtype=self.dtype), np.ones(self.shape, bool)
        count, rows, cols = self.shape
        depth = max(len(self._pieces), 1)
        strip = max(1, _STRIP_BYTES // (depth * count * cols * self.dtype.itemsize))
        for top in range(0, rows, strip):
            bottom = min(top + strip, rows)
            stack = np.full((depth, count, bottom - top, cols), np.nan, dtype=self.dtype)
            for layer, piece in zip(stack, self._pieces, strict=False):
                rows_in, cols_in = piece.window
                first, last = max(rows_in.start, top), min(rows_in.stop, bottom)
                if first < last:
                    inside = slice(first - rows_in.start, last - rows_in.start)
                    target = layer[:, first - top : last - top, cols_in]
                    np.copyto(target, piece.data[:, inside], where=piece.valid[:, inside])
            merged[:, top:bottom] = middle = nan_median(stack)
            np.isnan(middle, out=empty[:, top:bottom])
        return merged, empty


def nan_median(stack: np.ndarray) -> np.ndarray:
    """Return the median along axis 0 of the values that are not NaN; NaN where there is none.

    Parameters
    ----------
    stack
        (N, ...) floats.

    Returns
    -------
    (...) floats.

    Examples
    --------
    >>> nan_median(np.array([[1.0, np.nan], [5.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]))
    array([ 3., nan])
    """
    ordered = np.sort(stack, axis=0)
    count = (~np.isnan(ordered)).sum(axis=0, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=0)
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(stack) - 1), axis=0)
    middle: np.ndarray = ((low + high) / 2)[0]
    return middle


def fill_for(kind: np.dtype, bands: Bands, nodata: float | None) -> float | None:
    """Return what is to mark missing pixels: `nodata`, else the files' own, else NaN for floats.

    Parameters
    ----------
    kind
        The merged raster's dtype.
    bands
        What the files' bands are.
    nodata
        The value that was asked for, or None.

    Returns
    -------
    A value that pixels of `kind` can hold; None for integers of files that declare none.

    Raises
    ------
    CatalogError
        For a `nodata` that the result's dtype cannot hold.

    Examples
    --------
    >>> fill_for(np.dtype("uint16"), Bands(np.dtype("uint16"), 1, 0, (None,)), None)
    0
    """
    if nodata is not None:
        try:
            return check_fill(nodata, kind, "nodata")  # type: ignore[no-any-return]
        except ValueError as error:
            raise CatalogError(str(error)) from None
    if kind.kind == "f":
        return bands.nodata if bands.nodata is not None and bands.dtype.kind == "f" else np.nan
    return bands.nodata
