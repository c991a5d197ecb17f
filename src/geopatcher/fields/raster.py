"""What a Field is, and a raster in memory or in a file as one.

Opening a COG costs more than reading a chip of it, and closing it throws away the blocks that
GDAL has cached. So files stay open, per process and thread, and GDAL's cache holds the rows of
blocks that chips share: each byte is read once.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from copy import deepcopy
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import rasterio
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

from geopatcher.config import as_count
from geopatcher.domain import RasterDomain, place_of
from geopatcher.merge.chip import saying
from geopatcher.patch import Cells, PatchError
from pipekit import validity
from pipekit.carrier import holds, index_as_array, keep_place
from pipekit.operator import checked_number
from pipekit.pixels import (
    Role,
    coloured_alpha,
    equal_mask,
    last_number,
    marked,
    nodata_of,
    plain,
    roles_in_file,
)
from pipekit.retry import call_again, doubling


@runtime_checkable
class Field(Protocol):
    """Anything that has a domain and can be asked for a piece of itself.

    A class with these three members is a Field; it need not derive from anything.

    Examples
    --------
    >>> from geopatcher.fields import DaskField
    >>> import dask.array as da
    >>> isinstance(DaskField(da.zeros((4, 4))), Field)
    True
    """

    @property
    def domain(self) -> Any:
        """Where the Field lives."""

    def select(self, indices: Any) -> Any:
        """Return the piece at `indices`, the domain's own address: a window, cells or members.

        Parameters
        ----------
        indices : Window, Cells or Members
            The address of the patch.

        Returns
        -------
        array or Field
            The values there.
        """

    def with_data(self, array: Any) -> Any:
        """Return a Field of other values on the same domain.

        Parameters
        ----------
        array : array-like
            The values.

        Returns
        -------
        Field
            Of the same kind.
        """


def check_fits(array: Any, shape: tuple[int, ...], axes: int) -> np.ndarray:
    """Return data as an array whose last `axes` axes equal those of a domain's shape.

    Parameters
    ----------
    array : array-like
        The values.
    shape : tuple of int
        (..., H, W) of the domain.
    axes : int
        How many of the last axes must agree.

    Returns
    -------
    numpy.ndarray
        The data.

    Examples
    --------
    >>> check_fits([[1, 2]], (5, 1, 2), axes=2).shape
    (1, 2)
    """
    array = plain(array)
    if array.shape[-axes:] != tuple(shape[-axes:]):
        raise PatchError(
            f"data of shape {array.shape} do not end in the domain's {tuple(shape[-axes:])}"
        )
    return array


keep_place(GeoTensor)
index_as_array(GeoTensor)

_CACHE, _LISTING = "GDAL_CACHEMAX", "GDAL_DISABLE_READDIR_ON_OPEN"

MOST_OPEN = 64
"""Files that one thread keeps open; the one that was used longest ago is closed first."""


class _Own(threading.local):
    """A thread's datasets, and the process that opened them."""

    def __init__(self) -> None:
        self.pid = 0
        self.datasets: OrderedDict[Any, Any] = OrderedDict()


class OpenDatasets:
    """Datasets by path, opened when first asked for, one set for each process and thread.

    GDAL datasets must not be shared by threads, nor used after a fork. The object pickles as an
    empty one.

    Examples
    --------
    >>> len(OpenDatasets())
    0
    """

    def __init__(self) -> None:
        self._own = _Own()

    def __reduce__(self) -> Any:
        return OpenDatasets, ()

    def __len__(self) -> int:
        return len(self._mine())

    def holds(self, path: str, **options: Any) -> bool:
        """Return whether this thread has that dataset open.

        Parameters
        ----------
        path : str
            As rasterio takes it.
        **options : any
            Of `rasterio.open`.

        Returns
        -------
        bool
            Whether it has.
        """
        return _key(path, options) in self._mine()

    def get(self, path: str, opener: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Return the open dataset of a path.

        Parameters
        ----------
        path : str
            As the opener takes it.
        opener : callable, optional
            Opens what is not open yet; default `rasterio.open`.
        **options : any
            Of the opener.

        Returns
        -------
        rasterio.DatasetReader
            To be left open.
        """
        mine = self._mine()
        key = _key(path, options)
        dataset = mine.pop(key, None)
        if dataset is None:
            dataset = (opener or rasterio.open)(path, **options)
            while len(mine) >= MOST_OPEN:
                mine.popitem(last=False)[1].close()
        mine[key] = dataset
        return dataset

    def close(self) -> None:
        """Close this thread's datasets."""
        mine = self._mine()
        while mine:
            mine.popitem()[1].close()

    def _mine(self) -> OrderedDict[Any, Any]:
        own = self._own
        if own.pid != os.getpid():
            own.pid, own.datasets = os.getpid(), OrderedDict()
        return own.datasets


def _key(path: str, options: dict[str, Any]) -> Any:
    return path, tuple(sorted(options.items()))


class RasterField:
    """A `GeoTensor`, or any georeader reader, as a Field; a reader is read chip by chip.

    The files of a `RasterioReader` stay open, once per thread: chips that share a block of the
    file read it once. The Field pickles, and opens its files anew where it arrives.

    Parameters
    ----------
    reader : GeoTensor or georeader reader
        A raster (..., H, W) in memory or in files.
    scaled : bool
        Whether pixels that a `RasterioReader` reads are physical values where its files have a
        scale or an offset: float32, nodata as NaN. False gives the stored numbers.

    Raises
    ------
    PatchError
        For what is none of these; the message says what takes it.

    Examples
    --------
    >>> scene = GeoTensor(np.zeros((2, 30, 20)), Affine(10, 0, 0, 0, -10, 300), "EPSG:32610")
    >>> RasterField(scene).select(Window(5, 10, 4, 4)).bounds
    (50.0, 160.0, 90.0, 200.0)
    """

    def __init__(self, reader: Any, *, scaled: bool = True) -> None:
        needed = ("shape", "transform", "crs", "read_from_window")
        missing = [name for name in needed if not hasattr(reader, name)]
        if missing:
            raise PatchError(
                f"RasterField needs a GeoTensor or a georeader reader, got "
                f"{type(reader).__name__} without {', '.join(missing)}; a file is read by "
                "georeader's RasterioReader(path), a numpy array becomes a GeoTensor(array, "
                "transform, crs), an xarray.DataArray goes into RioXarrayField or XarrayField, a "
                "dask array into DaskField, a GeoDataFrame into GeoPandasField"
            )
        self.reader = reader
        self._transform: Affine = reader.transform
        self.domain = RasterDomain(tuple(reader.shape), reader.transform, reader.crs)
        # A plain view once: slicing a GeoTensor costs ten times what slicing its values does.
        self._values = plain(reader.values) if isinstance(reader, GeoTensor) else None
        self._nodata = _nodata_said(reader)
        self._files = OpenDatasets() if self._values is None and _is_plain_file(reader) else None
        self.scaled = scaled
        self._looked, self._differ, self._physical = False, False, False
        self._roles: tuple[Role, ...] = ()
        self._told: dict[str, Any] = {}
        self._hides: list[bool | None] = []
        self._scales: Any = None
        self._kind: Any = getattr(reader, "dtype", None)

    def __reduce__(self) -> Any:
        return partial(type(self), scaled=self.scaled), (self.reader,)

    def __repr__(self) -> str:
        return f"RasterField(shape={self.domain.shape}, crs={self.domain.crs})"

    def select(self, indices: Window | Cells) -> Any:
        """Return the pixels of a window inside the domain: a `GeoTensor` (..., h, w).

        In memory it is a view, not a copy. `Cells` give a plain array (..., n).

        Parameters
        ----------
        indices : Window or Cells
            Inside the domain.

        Returns
        -------
        GeoTensor or numpy.ndarray
            (..., h, w), or (..., n) of cells.
        """
        if isinstance(indices, Cells):
            return self._select_cells(indices)
        if self._values is None and self._files is None:
            piece = self.reader.read_from_window(indices, boundless=True).load()
            return self._as_chip(piece.values, piece.transform, piece.attrs)
        row, col = indices.row_off, indices.col_off
        if self._values is None:
            self._look()
            values = self._joined(indices)
        else:
            values = self._values[..., row : row + indices.height, col : col + indices.width]
        return self._as_chip(values, place_of(self._transform, row, col), self.reader.attrs)

    def with_data(self, array: Any) -> RasterField:
        """Return a Field of other values (..., H, W) on the same grid.

        Parameters
        ----------
        array : array-like
            (..., H, W).

        Returns
        -------
        RasterField
            On the same grid.
        """
        if self._files is not None:
            self._look()
        kind, nodata = np.dtype(self._kind), self._nodata
        if self._physical:
            kind, nodata = validity.physical_dtype(kind), np.nan
        return in_memory(array, self.domain, kind, nodata)

    def _as_chip(self, values: Any, place: Affine, attrs: dict[str, Any]) -> GeoTensor:
        nodata = np.nan if self._physical else self._nodata
        if self._values is None and np.ma.is_masked(values):
            hidden, wished = np.ma.getmaskarray(values), values.fill_value
            values, nodata = marked(plain(values.data.copy()), hidden, wished, self._roles)
        elif self._values is None:
            values = plain(values)
        if self._told and not {"band_roles", "band_names"} & set(attrs or ()):
            attrs = {**(attrs or {}), **deepcopy(self._told)}
        return GeoTensor(values, place, self.reader.crs, nodata, attrs)

    def _select_cells(self, cells: Cells) -> np.ndarray:
        rows, cols = cells.positions
        if self._values is not None:
            return saying(self._values[..., rows, cols], self._nodata)
        top, left = int(rows.min()), int(cols.min())
        window = Window(left, top, int(cols.max()) - left + 1, int(rows.max()) - top + 1)
        chip = self.select(window)
        return saying(plain(chip)[..., rows - top, cols - left], chip.fill_value_default)

    def _each_file(self) -> Iterator[Any]:
        """Yield the reader's files, which stay open, each under GDAL's settings for it."""
        files, level = self._files, self.reader.overview_level
        assert files is not None
        options = {} if level is None else {"overview_level": level}
        for path in self.reader.paths:
            remote = "://" in path or path.startswith("/vsi")
            # One of this machine needs settings to be opened, no more.
            held = not remote and files.holds(path, **options)
            with nullcontext() if held else rasterio.Env(**_reading_options(self.reader, path)):
                yield files.get(path, **options)

    def _look(self) -> None:
        """Ask the files once what marks their pixels; seek a number for it where they say none."""
        if self._looked:
            return
        indexes, (rows, cols) = self.reader.indexes, self.reader.window_focus.toranges()
        alphas, by_value, said, scales, kinds = [], [], [], [], []
        names: list[list[Any]] = []
        roles: tuple[Role, ...] = ()
        inside = min(rows[0], cols[0]) >= 0
        for file in self._each_file():
            if not roles:
                roles = roles_in_file(file, indexes)
                # The reader does not look beside its file, nor does it know what its header rounds.
                if self._nodata is None or self._nodata == file.nodata:
                    self._nodata = validity.header_nodata(file, indexes[0])
            # A band of near infrared may be coloured as alpha: its name tells, or who asks for it.
            # Nobody asks by number who takes all bands, as a reader does by itself.
            asked = () if list(indexes) == list(file.indexes) else indexes
            alphas.append(not coloured_alpha(file, asked))
            by_value.append(validity.nodata_decides(file, indexes, alpha=alphas[-1]))
            inside &= rows[1] <= file.height and cols[1] <= file.width
            said += [validity.header_nodata(file, index) for index in indexes]
            scales.append([(file.scales[index - 1], file.offsets[index - 1]) for index in indexes])
            kinds.append(validity.stored_dtype(file, indexes))
            names.append([file.descriptions[index - 1] for index in indexes])
        self._differ = not all(validity.same_nodata(each, said[0]) for each in said)
        self._hides = [
            None if decides and not self._differ else alpha
            for decides, alpha in zip(by_value, alphas, strict=True)
        ]
        self._roles = roles if set(roles) != {"quantity"} else ()
        every = self._roles * (self.domain.shape[-3] // len(indexes))
        told = {"band_roles": every, "band_names": _names_of(names, self.reader.stack)}
        self._told = {key: value for key, value in told.items() if value}
        if self.scaled:
            self._take_scales(np.array(scales, np.float64), roles)
        # Whole numbers that no file marks get a number for it, the same in all windows.
        said_once = self._nodata is not None and not self._differ
        self._kind = np.result_type(*kinds)
        whole = self._kind.kind in "iu" and not self._physical
        few = math.prod(self.domain.shape) <= LOOKED_THROUGH
        if whole and few and not said_once and not (inside and all(by_value)):
            height, width = self.domain.shape[-2:]
            with suppress(TypeError):  # every number is in use: each window has one of its own
                self._nodata = nodata_of(self._joined(Window(0, 0, width, height)))
        self._looked = True

    def _take_scales(self, scales: np.ndarray, roles: tuple[Role, ...]) -> None:
        """Take (files, C, 2) scales and offsets; classes, bits and masks are never scaled."""
        scales[:, [role != "quantity" for role in roles]] = 1, 0
        physical = (scales != (1, 0)).any(axis=(1, 2))
        self._physical = bool(physical[0])
        if self._physical:
            self._scales = np.moveaxis(scales, 2, 1)[..., None, None]
        elif physical.any():
            raise PatchError(
                f"{self.reader.paths[physical.argmax()]} has a scale or an offset and "
                f"{self.reader.paths[0]} has none; "
                "give RasterField(..., scaled=False) to take the numbers as stored"
            )

    def _joined(self, window: Window) -> np.ndarray:
        """Read a window from the reader's files through datasets that stay open."""
        focus, stack = self.reader.window_focus, self.reader.stack
        row, col = focus.row_off + window.row_off, focus.col_off + window.col_off
        inside = Window(col, row, window.width, window.height)
        parts = [self._of_file(at, file, inside) for at, file in enumerate(self._each_file())]
        if len(parts) == 1 and not stack:
            return parts[0]
        masked = [part for part in parts if isinstance(part, np.ma.MaskedArray)]
        join: Any = np.ma if masked else np
        joined = join.stack(parts) if stack else join.concatenate(parts)
        if masked:
            joined.fill_value = masked[0].fill_value
        return joined  # type: ignore[no-any-return]

    def _of_file(self, at: int, file: Any, window: Window) -> np.ndarray:
        """Return a window of a file's bands, masked where it hides them by more than one value."""
        values, hidden = self._stored(file, window, self._hides[at])
        if self._scales is None and hidden is None:
            return values
        if not self._differ and (marks := equal_mask(values, self._nodata)) is not None:
            hidden = marks if hidden is None else hidden | marks
        if self._scales is None:
            said = self._nodata is not None and holds(values.dtype, self._nodata)
            mark = self._nodata if said else last_number(values.dtype)
            return np.ma.array(values, mask=hidden, fill_value=mark)
        scale, offset = self._scales[at]
        out = (values * scale + offset).astype(validity.physical_dtype(values.dtype))
        if hidden is not None:
            out[hidden] = np.nan
        return out

    def _stored(self, file: Any, window: Window, alpha: bool | None) -> tuple[np.ndarray, Any]:
        """Return numbers as stored, and where the file hides them or ends, or None.

        `alpha` says whether an alpha band hides, None that one nodata value tells all.
        """
        indexes = self.reader.indexes
        top, left = max(window.row_off, 0), max(window.col_off, 0)
        rows = min(window.row_off + window.height, file.height) - top
        cols = min(window.col_off + window.width, file.width) - left
        if (rows, cols) == (window.height, window.width):
            values = validity.read_stored(file, indexes, window=window)
            if alpha is None:
                return values, None
            return values, validity.hidden_by(file, indexes, values, alpha=alpha, window=window)
        shape = len(indexes), window.height, window.width
        values = np.zeros(shape, validity.stored_dtype(file, indexes))
        hidden = np.ones(shape, bool)
        if rows > 0 and cols > 0:
            down, across = top - window.row_off, left - window.col_off
            at = np.s_[:, down : down + rows, across : across + cols]
            values[at], masked = self._stored(file, Window(left, top, cols, rows), alpha)
            hidden[at] = False if masked is None else masked
        return values, hidden


LOOKED_THROUGH = 2**24
"""Numbers of a Field that is read once for one that none of its valid pixels holds."""


def in_memory(array: Any, domain: RasterDomain, dtype: Any = None, nodata: Any = None) -> Any:
    """Return a Field of values (..., H, W) on a raster's grid, which say what they hide.

    Parameters
    ----------
    array : array-like
        (..., H, W); a masked array says what it hides.
    domain : RasterDomain
        The grid.
    dtype : dtype, optional
        Of what they were made of.
    nodata : number, optional
        Of what they were made of.

    Returns
    -------
    RasterField
        Its nodata is that of `nodata_after`.
    """
    values = check_fits(array, domain.shape, axes=2)
    fill = nodata_after(array, values, values.dtype if dtype is None else dtype, nodata)
    return RasterField(GeoTensor(values, domain.transform, domain.crs, fill))


def _names_of(files: list[list[Any]], stack: bool) -> list[str]:
    """Return what files call their bands, where that tells them apart; else nothing.

    Files that are stacked have one name for each band if they agree, others all their bands.
    """
    if stack and any(names != files[0] for names in files):
        return []
    names = files[0] if stack else [name for each in files for name in each]
    named = [name or f"band_{index}" for index, name in enumerate(names)]
    return named if any(names) and len(set(named)) == len(named) else []


def _nodata_said(reader: Any) -> Any:
    """Return a reader's nodata, None where its file declares none: 0 is a value then.

    georeader's `RasterioReader` says 0 for such a file.
    """
    fill = getattr(reader, "fill_value_default", None)
    return None if fill == 0 and getattr(reader, "nodata", fill) is None else fill


def nodata_after(made: Any, values: np.ndarray, dtype: Any, nodata: Any) -> Any:
    """Return what marks nodata in plain numbers that were made of others.

    Numbers of another type are others: a model's probabilities do not know the 0 of its inputs.

    Parameters
    ----------
    made : array
        What was made; a masked array says what it hides.
    values : numpy.ndarray
        Its plain numbers.
    dtype : dtype
        Of what they were made of.
    nodata : number or None
        Of what they were made of.

    Returns
    -------
    number or None
        None where nothing but NaN does.

    Examples
    --------
    >>> dn = np.zeros(3, "uint16")
    >>> nodata_after(dn, dn, "uint16", 0), nodata_after(dn / 3, dn / 3, "uint16", 0)
    (0, None)
    """
    if isinstance(made, np.ma.MaskedArray) and np.ma.is_masked(made):
        return nodata_of(made)
    return nodata if values.dtype == np.dtype(dtype).newbyteorder("=") else None


def _is_plain_file(reader: Any) -> bool:
    """Return whether a reader is a `RasterioReader`, whose files are read here."""
    from georeader.rasterio_reader import RasterioReader

    if type(reader) is not RasterioReader:
        return False
    focus = reader.window_focus
    if not all(float(v).is_integer() for v in focus.flatten()):
        raise PatchError(
            f"the reader's focus, {focus}, begins or ends within pixels, which no copy of pixels "
            "can give; round it: window.round_offsets().round_lengths()"
        )
    return True


def _reading_options(reader: Any, path: str) -> dict[str, Any]:
    """Return the reader's options for GDAL, without the cache of 2 GB that it gives by default.

    Set and taken back around each chip, it let a scene fill memory, and a run's own limit emptied
    the cache each time.
    """
    from georeader.geotensor import RIO_ENV_OPTIONS_DEFAULT

    options = reader._get_rio_options_path(path)
    # A mask or a nodata value may lie in a file beside a local one; at a server each is a request.
    remote = "://" in path or path.startswith("/vsi")
    dropped = (_CACHE,) if remote else (_CACHE, _LISTING)
    usual = RIO_ENV_OPTIONS_DEFAULT
    return {k: v for k, v in options.items() if k not in dropped or v != usual.get(k)}


def as_field(obj: Any) -> Any:
    """Return `obj` when it is a Field, else wrap a `GeoTensor` or a reader in a `RasterField`.

    Parameters
    ----------
    obj : Field, GeoTensor or reader
        What is read.

    Returns
    -------
    Field
        It, or a `RasterField` of it.

    Examples
    --------
    >>> scene = GeoTensor(np.zeros((2, 30, 20)), Affine(10, 0, 0, 0, -10, 300), "EPSG:32610")
    >>> as_field(scene)
    RasterField(shape=(2, 30, 20), crs=EPSG:32610)
    """
    if hasattr(obj, "domain") and hasattr(obj, "select"):
        return obj
    return RasterField(obj)


class RetryField:
    """A Field, `GeoTensor` or reader whose failing reads are tried again, after growing pauses.

    The pause after attempt i is `base_delay * 2**(i - 1)` seconds. After the last attempt its
    exception is raised, with a note that says how often it was tried; the patcher's `on_error`
    then decides. `on` names the exceptions worth another attempt; rasterio's read errors are
    `OSError`s.

    Parameters
    ----------
    field : Field, GeoTensor or reader
        What is read.
    attempts : int
        How often a read is tried, at least 1.
    base_delay : float
        Seconds of the first pause; each further one is twice as long.
    on : tuple of exceptions
        Those worth another attempt.

    Raises
    ------
    PatchError
        For fewer than one attempt, or a negative pause.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> scene = GeoTensor(np.zeros((2, 30, 20)), Affine(10, 0, 0, 0, -10, 300), "EPSG:32610")
    >>> RetryField(scene, attempts=5).domain.shape
    (2, 30, 20)
    """

    def __init__(
        self,
        field: Any,
        attempts: int = 3,
        base_delay: float = 0.5,
        on: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        as_count(attempts, "attempts")
        checked_number(base_delay, "base_delay", low=0, unit=" seconds", refusal=PatchError)
        self.field = as_field(field)
        self.attempts = attempts
        self.base_delay = base_delay
        self.on = on

    def __repr__(self) -> str:
        return f"RetryField({self.field!r}, attempts={self.attempts})"

    @property
    def domain(self) -> Any:
        """The inner Field's domain."""
        return self.field.domain

    def select(self, indices: Any) -> Any:
        """Return the piece at `indices`, reading it up to `attempts` times.

        Parameters
        ----------
        indices : Window, Cells or Members
            The address of the patch.

        Returns
        -------
        array or Field
            The values there.
        """
        pauses = doubling(self.attempts, self.base_delay)
        try:
            return call_again(partial(self.field.select, indices), pauses, self.on)
        except self.on as error:
            error.add_note(f"this was attempt {self.attempts} of {self.attempts} to read it")
            raise

    def with_data(self, array: Any) -> Any:
        """Return the inner Field with other values; what is in memory needs no retries."""
        return self.field.with_data(array)


def reader_of(field: Any) -> Any:
    """Return what reads a Field's pixels: of a Field around another, the inner one's reader.

    Parameters
    ----------
    field : Field
        What is read.

    Returns
    -------
    any
        A reader, or an array in memory.
    """
    while getattr(field, "field", None) is not None:
        field = field.field
    return getattr(field, "reader", field)


def paths_of(field: Any) -> list[str]:
    """Return the files and stores that a Field reads, as far as it can be known without reading.

    Parameters
    ----------
    field : Field, reader or array
        What is read; one may say it as `paths`, as georeader's readers do. An xarray object knows
        the file that it was opened from, and its chunks their Zarr store.

    Returns
    -------
    list of str
        Paths or URLs, some perhaps twice.

    Examples
    --------
    >>> paths_of(np.zeros((3, 3)))
    []
    """
    reader = reader_of(field)
    if not isinstance(reader, np.ndarray) and hasattr(reader, "paths"):
        return [str(path) for path in reader.paths]
    data = next((getattr(reader, name) for name in ("da", "ds") if hasattr(reader, name)), reader)
    source = getattr(data, "encoding", {}).get("source")
    parts = [getattr(getattr(data, "variable", data), "_data", None)]
    graph = getattr(parts[0] if parts[0] is not None else reader, "dask", None)
    if graph is None and hasattr(reader, "array"):
        graph = getattr(reader.array, "dask", None)
    parts += [] if graph is None else [getattr(task, "value", task) for task in graph.values()]
    stores = filter(None, map(_store_of, parts))
    return [str(each) for each in (source, *stores) if each]


def readers_of(field: Any, most: int) -> int:
    """Return how many threads read a Field ahead best: several only where answers are waited for.

    Each thread has datasets of its own, and so decodes for itself the blocks that its chips share
    with others'. Files of this machine are decoded once by one thread in less time than by several.

    Parameters
    ----------
    field : Field
        What is read.
    most : int
        Threads for what is no file of this machine.

    Returns
    -------
    int
        1 for files of this machine, else `most`.

    Examples
    --------
    >>> readers_of(np.zeros((3, 3)), most=4)
    4
    """
    paths = paths_of(field)
    return 1 if paths and all(map(os.path.exists, paths)) else most


def _store_of(part: Any) -> Any:
    """Return the Zarr store under xarray's wrappers, or None."""
    for _ in range(9):
        if hasattr(part, "store_path"):
            return part.store
        part = getattr(part, "array", getattr(part, "_array", None))
    return None


def is_in_memory(field: Any) -> bool:
    """Return whether a Field's pixels are in memory already.

    Parameters
    ----------
    field : Field
        What is read.

    Returns
    -------
    bool
        Whether they are.
    """
    return isinstance(reader_of(field), np.ndarray)
