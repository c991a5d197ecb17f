"""A sharded Zarr v3 store made of rows, which xarray and rioxarray read with its georeference.

Shards are written piece by piece, and none is held. A shard is its chunks, one after the other in
any order, and behind them the index that says where each lies (Zarr sharding codec 1.0, ZEP 2).
So chunks go to the file as soon as their rows are final: memory is one row of chunks, and no
thread but the caller's compresses.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS

from geopatcher.config import as_pixel_pair
from geopatcher.domain import lead_names
from geopatcher.files.rows import RasterSpec, Unfinished

NAME = "data"
CHUNK = 256
SHARD = (512, 2048)
"""(rows, cols) of a shard: 4 MB of float32, and so flat that workers' shares come out even."""


@dataclass(frozen=True)
class ZarrRows:
    """The store's array: `chunk` and `shard` are (rows, cols) of one plane.

    Blocks of rows that begin at a multiple of `align` own whole shards.

    Parameters
    ----------
    path : Path
        Of the store.
    spec : RasterSpec
        What it holds.
    chunk : (rows, cols)
        In pixels.
    shard : (rows, cols)
        In pixels: whole chunks.
    """

    path: Path
    spec: RasterSpec
    chunk: tuple[int, int]
    shard: tuple[int, int]

    @property
    def align(self) -> int:
        """Rows of a shard."""
        return self.shard[0]

    def create(self, keep: bool = False) -> None:
        """Make the store and its array; with `keep`, one that is there is left as it is."""
        import zarr

        if keep and (self.path / NAME / "zarr.json").is_file():
            return
        shutil.rmtree(self.path, ignore_errors=True)
        spec = self.spec
        group = zarr.open_group(self.path, mode="w", zarr_format=3)
        group.create_array(
            NAME,
            shape=spec.shape,
            dtype=spec.dtype,
            chunks=(*([1] * len(spec.lead)), *self.chunk),
            shards=(*([1] * len(spec.lead)), *self.shard),
            fill_value=_empty_of(spec),
            dimension_names=[*lead_names(len(spec.lead)), "y", "x"],
            **codecs(),
        )
        place = spec.domain.transform
        if place is not None and not (place.b or place.d):
            for name, values in spec.domain.grid.coords.items():
                group.create_array(name, data=values, chunks=values.shape, dimension_names=[name])
        if spec.domain.crs is not None:
            _georeference(group, spec)

    def begin(self) -> ShardWriter:
        """Return what writes shards while their rows come, from a shard's top row down."""
        return ShardWriter(self)

    def read(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""
        import zarr

        array: Any = zarr.open_group(self.path, mode="r")[NAME]
        return np.asarray(array[..., row : row + rows, :])

    def file(self, plane: tuple[int, ...], row: int, col: int) -> Path:
        """Return the file of the shard that holds pixel (row, col) of a plane.

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
        Path
            Of the shard.
        """
        place = (*plane, row // self.shard[0], col // self.shard[1])
        return self.path.joinpath(NAME, "c", *map(str, place))


class ZarrTarget(Unfinished):
    """The rows of a Zarr store, and the store when it is whole."""

    @property
    def store(self) -> ZarrRows:
        """Where finished rows go: the store itself, under a hidden name."""
        wanted = (CHUNK, CHUNK) if self.chunks is None else as_pixel_pair(self.chunks, "chunks")
        size = self.spec.shape[-2:]
        rows, cols = map(min, wanted, size)
        shard = [
            side * max(1, min(most, length) // side)
            for side, most, length in zip((rows, cols), SHARD, size, strict=True)
        ]
        return ZarrRows(self.hidden(".part"), self.spec, (rows, cols), (shard[0], shard[1]))

    def finish(self, skipped: dict[Any, str]) -> None:
        """Write the attributes, which list the patches that failed, and give the store its name.

        Folders cannot be swapped at one stroke: an old store is moved aside just before.
        """
        import zarr

        spec = self.spec.with_skipped(skipped)
        part, old = self.store.path, self.hidden(".old")
        array = zarr.open_group(part, mode="r+")[NAME]
        place = {"grid_mapping": "spatial_ref"} if spec.domain.crs is not None else {}
        said = {} if spec.fill is None else {"nodata": _plain_number(spec.fill)}
        array.update_attributes({**spec.attrs, **place, **said})
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        part.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything that is not the finished store."""
        shutil.rmtree(self.store.path, ignore_errors=True)


def open_zarr(path: Path) -> Any:
    """Open a store as an xarray `DataArray` of dask chunks, one for each shard, nothing read.

    Parameters
    ----------
    path : Path
        Of the store.

    Returns
    -------
    xarray.DataArray
        Of dask chunks.
    """
    import rioxarray  # noqa: F401  gives the DataArray its .rio
    import xarray as xr

    dataset = xr.open_zarr(path, consolidated=False, mask_and_scale=False, chunks=None)
    data = dataset[NAME]
    shard = data.encoding.get("shards") or data.encoding["chunks"]
    data = data.chunk(dict(zip(data.dims, shard, strict=True)))
    if "spatial_ref" in dataset:
        data = data.assign_coords(spatial_ref=dataset["spatial_ref"])
    if isinstance(data.attrs.get("nodata"), str):
        data.attrs["nodata"] = float(data.attrs["nodata"])
    return data


def _georeference(group: Any, spec: RasterSpec) -> None:
    """Add the grid mapping that CF conventions and GDAL agree on."""
    wkt = CRS.from_user_input(spec.domain.crs).to_wkt()
    attributes = {"crs_wkt": wkt, "spatial_ref": wkt}
    if spec.domain.transform is not None:
        numbers = spec.domain.transform.to_gdal()
        attributes["GeoTransform"] = " ".join(repr(float(n)) for n in numbers)
    group.create_array("spatial_ref", data=np.array(0), attributes=attributes)


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


def codecs() -> dict[str, Any]:
    """Return the codecs as `Group.create_array` takes them: those that are written here.

    Returns
    -------
    dict
        Arguments by name.
    """
    from zarr.codecs import BytesCodec, ZstdCodec

    return {
        "serializer": BytesCodec(endian="little"),
        "compressors": ZstdCodec(level=_LEVEL, checksum=False),
    }


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
        from numcodecs.checksum32 import CRC32C
        from numcodecs.zstd import Zstd

        spec = store.spec
        height, width = store.chunk
        padded = -(-spec.shape[-1] // width) * width
        self._store = store
        self._open: dict[Path, np.ndarray] = {}
        self._fill = _empty_of(spec)
        self._rows = np.full((*spec.lead, height, padded), self._fill, spec.dtype)
        self._stored = spec.dtype.newbyteorder("<")
        self._encode = Zstd(level=_LEVEL, checksum=False).encode
        self._with_checksum = CRC32C(location="end").encode
        self._empty = self._encode(np.full(store.chunk, self._fill, self._stored))

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
            self._rows[..., at : at + count, : values.shape[-1]] = values[
                ..., taken : taken + count, :
            ]
            taken += count
            if row + taken == height:
                self._rows[..., at + count :, :] = self._fill
            if at + count == rows or row + taken == height:
                self._flush(row + taken - at - count)

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

    def _begin(self, file: Path) -> None:
        file.unlink(missing_ok=True)  # of a run before this one
        sides = zip(self._store.shard, self._store.chunk, strict=True)
        self._open[file] = np.full((*(a // b for a, b in sides), 2), _MISSING, "<u8")

    def _append(self, file: Path, chunks: list[bytes], row: int) -> None:
        """Put one row of chunks at the shard's end; what is only fill value is left out."""
        places = self._open[file][row % self._store.shard[0] // self._store.chunk[0]]
        full = [(place, chunk) for place, chunk in zip(places, chunks, strict=False)]
        full = [(place, chunk) for place, chunk in full if chunk != self._empty]
        if not full:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            at = opened.tell()
            for place, chunk in full:
                place[:] = at, len(chunk)
                at += len(chunk)
            opened.writelines(chunk for _, chunk in full)

    def _end(self, file: Path) -> None:
        index = self._open.pop(file)
        if (index == _MISSING).all():
            return
        with file.open("ab") as opened:
            opened.write(self._with_checksum(index.tobytes()))
