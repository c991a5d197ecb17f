"""A Zarr v3 store made of rows, which xarray, rioxarray and GDAL read with its place and time.

Its coordinates and grid mapping are those of the CF conventions. It has shards, or, where chunks
are given for all axes, plain chunks: GDAL reads no shards.

Shards are written piece by piece, and none is held. A shard is its chunks, one after the other in
any order, and behind them the index that says where each lies (Zarr sharding codec 1.0, ZEP 2).
So chunks go to the file as soon as their rows are final: memory is one row of chunks, and no
thread but the caller's compresses. What goes to an object store is in `on_store`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from geopatcher.config import as_pixel_pair
from geopatcher.domain import is_geographic, lead_names
from geopatcher.files.rows import RasterSpec, Unfinished
from geopatcher.patch import PatchError
from pipekit.carrier import crs_of
from pipekit.files import sync
from pipekit.lazy import needed
from pipekit.parallel import in_threads
from pipekit.places import Place

NAME = "data"
CONVENTIONS: Any = {"Conventions": "CF-1.11"}
CHUNK = 256
SHARD = (512, 2048)
"""(rows, cols) of a shard: 4 MB of float32, and so flat that workers' shares come out even."""

SYNCS = 16
"""Files that wait for the disk at the same time, which writes them together: one after the other
took seven times as long, at the end of a run, when no worker has anything to do."""

LAYOUTS = {"maps": 512, "series": 64}
"""Rows and columns of plain chunks, by what is asked of them: planes, or all of the first axis."""


@dataclass(frozen=True)
class ZarrRows:
    """The store's array: `chunk` and `shard` are (rows, cols) of one plane.

    Blocks of rows that begin at a multiple of `align` own whole shards.

    Parameters
    ----------
    path : Path or Place
        Of the store.
    spec : RasterSpec
        What it holds.
    chunk : (rows, cols)
        In pixels.
    shard : (rows, cols)
        In pixels: whole chunks.
    depth : tuple of int, optional
        Of a plain chunk along the leading axes; shards have one plane each.
    """

    path: Any
    spec: RasterSpec
    chunk: tuple[int, int]
    shard: tuple[int, int]
    depth: tuple[int, ...] | None = None

    @property
    def align(self) -> int:
        """Rows of a shard."""
        return self.shard[0]

    def create(self, keep: bool = False) -> None:
        """Make the store and its array; with `keep`, one that is there is left as it is."""
        zarr = needed("zarr")

        if keep and (self.path / NAME / "zarr.json").is_file():
            return
        shutil.rmtree(self.path, ignore_errors=True)
        group = zarr.open_group(self.path, mode="w", zarr_format=3)
        group.attrs.update(CONVENTIONS)
        self.lay_out(group.create_array)

    def lay_out(self, create_array: Callable[..., Any]) -> None:
        """Make the arrays, all of them empty but the coordinates.

        Parameters
        ----------
        create_array : callable
            As `zarr.Group.create_array`.
        """
        spec = self.spec
        planes = (1,) * len(spec.lead) if self.depth is None else self.depth
        shards = (*planes, *self.shard) if self.depth is None else None
        create_array(
            NAME,
            shape=spec.shape,
            dtype=spec.dtype,
            chunks=(*planes, *self.chunk),
            shards=shards,
            fill_value=_empty_of(spec),
            dimension_names=[*_lead_names(spec), "y", "x"],
            **codecs(spec.dtype if shards is None else None),
        )
        for name, (dims, values, attributes) in _coordinates(spec).items():
            array = create_array(
                name,
                shape=values.shape,
                dtype=values.dtype,
                chunks=values.shape,
                dimension_names=dims,
                attributes=attributes,
                compressors=None,  # a few numbers, which any reader then understands
            )
            array[...] = values

    def begin(self) -> ShardWriter:
        """Return what writes while rows come, from the top row of a shard or chunk down."""
        return ShardWriter(self) if self.depth is None else ChunkWriter(self)

    def read(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""
        zarr = needed("zarr")

        array: Any = zarr.open_array(for_zarr(self.path / NAME), mode="r", zarr_format=3)
        return np.asarray(array[..., row : row + rows, :])

    def file(self, plane: tuple[int, ...], row: int, col: int) -> Any:
        """Return the file or object of the shard that holds pixel (row, col) of a plane.

        Parameters
        ----------
        plane : tuple of int
            Its number on each leading axis.
        row : int
            Of the pixel.
        col : int
            Of the pixel.

        Returns
        -------
        Path or Place
            Of the shard.
        """
        place = (*plane, row // self.shard[0], col // self.shard[1])
        return self.path / "/".join((NAME, "c", *map(str, place)))


def for_zarr(path: Path | Place) -> Any:
    """Return a store as zarr takes it.

    Parameters
    ----------
    path : Path or Place
        Of the store.

    Returns
    -------
    Path or zarr.storage.ObjectStore
        The same store.
    """
    return path.for_zarr() if isinstance(path, Place) else path


class ZarrTarget(Unfinished):
    """The rows of a Zarr store, and the store when it is whole."""

    @property
    def store(self) -> ZarrRows:
        """Where finished rows go: the store itself, under a hidden name."""
        return ZarrRows(self.hidden(".part"), self.spec, *self._sizes)

    @property
    def _sizes(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, ...] | None]:
        """Chunk, shard and depth, as `ZarrRows` takes them."""
        plain = _plain_chunk(self.spec, self.chunks)
        if plain is not None:
            side = (plain[-2], plain[-1])
            return side, side, plain[:-2]
        wanted = (CHUNK, CHUNK) if self.chunks is None else as_pixel_pair(self.chunks, "chunks")
        size = self.spec.shape[-2:]
        rows, cols = map(min, wanted, size)
        shard = [
            side * max(1, min(most, length) // side)
            for side, most, length in zip((rows, cols), SHARD, size, strict=True)
        ]
        return (rows, cols), (shard[0], shard[1]), None

    def finish(self, skipped: dict[Any, str]) -> None:
        """Write the attributes, which list the patches that failed, and give the store its name.

        Folders cannot be swapped at one stroke: an old store is moved aside just before.
        """
        zarr = needed("zarr")

        part, old = self.store.path, self.hidden(".old")
        zarr.open_group(part, mode="r+")[NAME].update_attributes(self._attrs(skipped))
        files = (file for file in part.rglob("*") if file.is_file())
        for _ in in_threads(sync, files, SYNCS):
            continue
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        part.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def _attrs(self, skipped: dict[Any, str]) -> dict[str, Any]:
        """Return the array's attributes, which list the patches that failed."""
        spec, place = self.spec.with_skipped(skipped), {}
        if spec.domain.crs is not None:
            # By "coordinates" xarray makes the grid mapping one, which rioxarray then finds.
            place = {"grid_mapping": "spatial_ref", "coordinates": "spatial_ref"}
        said = {} if spec.fill is None else {"nodata": _plain_number(spec.fill)}
        return {**spec.attrs, **place, **said}

    def discard(self) -> None:
        """Remove everything that is not the finished store."""
        shutil.rmtree(self.store.path, ignore_errors=True)


def open_zarr(path: Any) -> Any:
    """Open a store as an xarray `DataArray` of dask chunks, one for each shard, nothing read.

    Parameters
    ----------
    path : Path or zarr store
        Of the store.

    Returns
    -------
    xarray.DataArray
        Of dask chunks.
    """
    import xarray as xr

    needed("rioxarray")  # gives a DataArray its .rio
    needed("dask.array")
    dataset = xr.open_zarr(path, consolidated=False, mask_and_scale=False, chunks=None)
    data = dataset[NAME]
    shard = data.encoding.get("shards") or data.encoding["chunks"]
    data = data.chunk(dict(zip(data.dims, shard, strict=True)))
    if "spatial_ref" in dataset:
        data = data.assign_coords(spatial_ref=dataset["spatial_ref"])
    if isinstance(data.attrs.get("nodata"), str):
        data.attrs["nodata"] = float(data.attrs["nodata"])
    return data


def check_chunks(chunks: Any) -> None:
    """Raise `PatchError` for what is no chunks of a store.

    Parameters
    ----------
    chunks : int, (rows, cols), one number for each axis, "maps" or "series"
        In pixels; None is the default.
    """
    if isinstance(chunks, str):
        if chunks not in LAYOUTS:
            raise PatchError(
                f"chunks must be 'maps', 'series', pixels, or one number for each axis, got "
                f"{chunks!r}"
            )
    elif np.ndim(chunks) == 1 and len(chunks) > 2:
        if any(int(side) != side or side < 1 for side in chunks):
            raise PatchError(f"chunks must be positive whole numbers, got {chunks!r}")
    elif chunks is not None:
        as_pixel_pair(chunks, "chunks")


def _plain_chunk(spec: RasterSpec, chunks: Any) -> tuple[int, ...] | None:
    """Return the shape of plain chunks, one number for each axis; None for shards."""
    shape = spec.shape
    if isinstance(chunks, str):
        first = shape[:1] if chunks == "series" and len(shape) > 2 else (1,) * (len(shape) > 2)
        chunks = (*first, *([1] * (len(shape) - 3)), LAYOUTS[chunks], LAYOUTS[chunks])
    elif chunks is None or np.ndim(chunks) == 0 or len(chunks) == 2:
        return None
    if len(chunks) != len(shape):
        raise PatchError(f"chunks={chunks!r} has {len(chunks)} numbers for the axes of {shape}")
    return tuple(min(int(side), length) for side, length in zip(chunks, shape, strict=True))


def _lead_names(spec: RasterSpec) -> list[str]:
    """Return names for the axes before rows and columns: time and band of several periods."""
    if len(spec.lead) == 2 and len(spec.attrs.get("periods", ())) == spec.lead[0]:
        return ["time", "band"]
    return lead_names(len(spec.lead))


Coordinate = tuple[list[str], np.ndarray, dict[str, Any]]
"""Dimensions, values and attributes."""


def _coordinates(spec: RasterSpec) -> dict[str, Coordinate]:
    """Return the CF coordinates, and the grid mapping that CF conventions and GDAL agree on."""
    made: dict[str, Coordinate] = {}
    place, crs = spec.domain.transform, spec.domain.crs
    if place is not None and not (place.b or place.d):
        kinds = ("projection_y_coordinate", "projection_x_coordinate")
        units = ("m", "m")
        if is_geographic(crs):
            kinds, units = ("latitude", "longitude"), ("degrees_north", "degrees_east")
        elif crs is not None and crs_of(crs).linear_units_factor[1] != 1:
            units = (crs_of(crs).linear_units,) * 2
        told = zip(spec.domain.grid.coords.items(), "YX", kinds, units, strict=True)
        for (name, values), axis, kind, unit in told:
            named = {} if crs is None else {"standard_name": kind, "units": unit}
            made[name] = [name], values, {"axis": axis, **named}
    names = _lead_names(spec)
    if names == ["time", "band"]:
        made |= _times(spec.attrs["periods"])
    bands = [str(name) for name in spec.attrs.get("band_names", ())]
    if names[-1:] == ["band"] and len(bands) == spec.lead[-1] and bands:
        numbers = np.arange(1, len(bands) + 1, dtype="int32")
        meanings = " ".join("_".join(name.split()) or "-" for name in bands)
        attributes = {"flag_values": numbers.tolist(), "flag_meanings": meanings}
        made["band"] = ["band"], numbers, attributes
    if crs is not None:
        made["spatial_ref"] = [], np.array(0), _georeference(spec)
    return made


def _times(periods: list[Any]) -> dict[str, Coordinate]:
    """Return the starts of periods, and their bounds, as CF has them."""
    ends = np.array([[str(end).split("+")[0] for end in each] for each in periods])
    bounds = ends.astype("datetime64[s]").astype(np.int64)
    unit, kind = ("days", "int32") if not (bounds % 86400).any() else ("seconds", "int64")
    bounds = (bounds // 86400 if unit == "days" else bounds).astype(kind)
    told = {"units": f"{unit} since 1970-01-01", "calendar": "proleptic_gregorian"}
    named = {**told, "standard_name": "time", "axis": "T", "bounds": "time_bnds"}
    return {
        "time": (["time"], bounds[:, 0].copy(), named),
        "time_bnds": (["time", "nv"], bounds, told),
    }


def _georeference(spec: RasterSpec) -> dict[str, Any]:
    """Return the attributes of the grid mapping."""
    from pyproj import CRS as PROJ

    wkt = crs_of(spec.domain.crs).to_wkt()
    attributes = {**PROJ.from_wkt(wkt).to_cf(), "crs_wkt": wkt, "spatial_ref": wkt}
    if spec.domain.transform is not None:
        numbers = spec.domain.transform.to_gdal()
        attributes["GeoTransform"] = " ".join(repr(float(n)) for n in numbers)
    return attributes


def _empty_of(spec: RasterSpec) -> Any:
    """Return what chunks that are not stored hold: nodata where there is any."""
    return spec.dtype.type(0) if spec.fill is None else spec.fill


def _plain_number(value: Any) -> Any:
    """Return a fill value as JSON holds it: not-a-number and infinities by name.

    >>> _plain_number(np.float32("nan")), _plain_number(np.uint8(255))
    ('nan', 255)
    """
    number = np.asarray(value).item()
    return str(number) if isinstance(number, float) and not math.isfinite(number) else number


_MISSING = np.iinfo(np.uint64).max
"""What the index says of a chunk that holds nothing but the fill value."""


_LEVEL = 0
"""Zstandard's own default, which is zarr's too."""


_BLOSC = {"cname": "zstd", "clevel": 3}
"""Plain chunks are shuffled and in Blosc, which GDAL reads as well."""


def codecs(plain: Any = None) -> dict[str, Any]:
    """Return the codecs as `Group.create_array` takes them: those that are written here.

    Parameters
    ----------
    plain : dtype, optional
        Of plain chunks; by default those of shards.

    Returns
    -------
    dict
        Arguments by name.
    """
    codecs = needed("zarr.codecs")

    made: dict[str, Any] = {"serializer": codecs.BytesCodec(endian="little")}
    if plain is None:
        return {**made, "compressors": codecs.ZstdCodec(level=_LEVEL, checksum=False)}
    size = np.dtype(plain).itemsize
    shuffled: Any = {"typesize": size, "shuffle": "shuffle", "blocksize": 0, **_BLOSC}
    return {**made, "compressors": codecs.BloscCodec(**shuffled)}


class ShardWriter:
    """Takes rows from the top of a row of shards down, and writes the shards that they make.

    Parameters
    ----------
    store : ZarrRows
        Where the shards lie.

    Examples
    --------
    >>> import tempfile
    >>> from geopatcher.domain import RasterDomain
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spec = RasterSpec((), np.dtype("int16"), RasterDomain((5, 6)), 0)
    ...     store = ZarrRows(Path(folder) / "o.zarr", spec, chunk=(2, 2), shard=(4, 4))
    ...     store.create()
    ...     ShardWriter(store).write(0, np.arange(30, dtype="int16").reshape(5, 6))
    ...     store.read(0, 5).sum()
    np.int64(435)
    """

    def __init__(self, store: ZarrRows) -> None:
        spec = store.spec
        height, width = store.chunk
        padded = -(-spec.shape[-1] // width) * width
        self._store = store
        self._open: dict[Any, np.ndarray] = {}
        self._fill = _empty_of(spec)
        self._rows = np.full((*spec.lead, height, padded), self._fill, spec.dtype)
        self._stored = spec.dtype.newbyteorder("<")
        self._encode = self._encoder()
        planes = store.depth or ()
        self._empty = self._encode(np.full((*planes, *store.chunk), self._fill, self._stored))

    def _encoder(self) -> Any:
        from numcodecs.checksum32 import CRC32C
        from numcodecs.zstd import Zstd

        self._with_checksum = CRC32C(location="end").encode
        return Zstd(level=_LEVEL, checksum=False).encode

    def write(self, row: int, values: np.ndarray) -> None:
        """Take rows (..., n, W) from `row` on: the next ones below those taken before.

        Parameters
        ----------
        row : int
            The first row.
        values : numpy.ndarray
            (..., n, W).
        """
        height, rows = self._store.spec.shape[-2], self._store.chunk[0]
        taken = 0
        while taken < values.shape[-2]:
            at = (row + taken) % rows
            count = min(rows - at, values.shape[-2] - taken)
            part = values[..., taken : taken + count, :]
            self._rows[..., at : at + count, : part.shape[-1]] = part
            taken += count
            if row + taken == height:
                self._rows[..., at + count :, :] = self._fill
            if at + count == rows or row + taken == height:
                self._flush(row + taken - at - count)

    def end(self) -> None:
        """Do nothing: rows are in their files as soon as they make whole chunks."""

    def _flush(self, row: int) -> None:
        """Write the row of chunks that begins at `row`, and the index where shards end."""
        store = self._store
        height, width = store.spec.shape[-2:]
        last = (row + store.chunk[0]) % store.shard[0] == 0 or row + store.chunk[0] >= height
        for plane in product(*map(range, store.spec.lead)):
            for left in range(0, width, store.shard[1]):
                file = store.file(plane, row, left)
                if row % store.shard[0] == 0:
                    self._begin(file)
                right = min(left + store.shard[1], width)
                self._append(file, self._chunks(plane, left, right), row)
                if last:
                    self._end(file)

    def _chunks(self, plane: tuple[int, ...], left: int, right: int) -> list[bytes]:
        step = self._store.chunk[1]
        return [
            self._encode(np.ascontiguousarray(self._rows[plane][:, col : col + step], self._stored))
            for col in range(left, right, step)
        ]

    def _begin(self, file: Any) -> None:
        self._clear(file)
        sides = zip(self._store.shard, self._store.chunk, strict=True)
        self._open[file] = np.full((*(a // b for a, b in sides), 2), _MISSING, "<u8")

    def _append(self, file: Any, chunks: list[bytes], row: int) -> None:
        """Put one row of chunks at the shard's end; what is only fill value is left out."""
        places = self._open[file][row % self._store.shard[0] // self._store.chunk[0]]
        full = [pair for pair in zip(places, chunks, strict=False) if pair[1] != self._empty]
        if not full:
            return
        at = self._add(file, [chunk for _, chunk in full])
        for place, chunk in full:
            place[:] = at, len(chunk)
            at += len(chunk)

    def _end(self, file: Any) -> None:
        index = self._open.pop(file)
        if not (index == _MISSING).all():
            self._add(file, [self._with_checksum(index.tobytes())])

    def _clear(self, file: Path) -> None:
        """Remove what a run before this one has left of a shard."""
        file.unlink(missing_ok=True)

    def _add(self, file: Path, parts: list[bytes]) -> int:
        """Put bytes at a shard's end; return where they begin."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            at = opened.tell()
            opened.writelines(parts)
        return at

    def _put(self, file: Path, data: bytes) -> None:
        """Put a whole file; without bytes there is to be none."""
        if not data:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


class ChunkWriter(ShardWriter):
    """Takes rows from the top of a row of plain chunks down, and writes their files.

    Parameters
    ----------
    store : ZarrRows
        Where the chunks lie.

    Examples
    --------
    >>> import tempfile
    >>> from geopatcher.domain import RasterDomain
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spec = RasterSpec((3,), np.dtype("int16"), RasterDomain((5, 6)), 0)
    ...     store = ZarrRows(Path(folder) / "o.zarr", spec, (4, 4), (4, 4), depth=(2,))
    ...     store.create()
    ...     ChunkWriter(store).write(0, np.arange(90, dtype="int16").reshape(3, 5, 6))
    ...     store.read(0, 5).sum()
    np.int64(4005)
    """

    def _encoder(self) -> Any:
        from numcodecs.blosc import Blosc

        return Blosc(shuffle=Blosc.SHUFFLE, **_BLOSC).encode

    def _flush(self, row: int) -> None:
        """Write the row of chunks that begins at `row`; what is only fill value takes no file."""
        store, (height, width) = self._store, self._store.chunk
        planes = store.depth or ()
        sides = zip(store.spec.lead, planes, strict=True)
        for place in product(*(range(-(-count // deep)) for count, deep in sides)):
            at = tuple(slice(i * d, (i + 1) * d) for i, d in zip(place, planes, strict=True))
            for col in range(0, store.spec.shape[-1], width):
                values = self._rows[at][..., col : col + width]
                block = np.full((*planes, height, width), self._fill, self._stored)
                block[tuple(slice(0, side) for side in values.shape)] = values
                file = store.file(place, row, col)
                encoded = self._encode(block)
                self._put(file, b"" if encoded == self._empty else encoded)
