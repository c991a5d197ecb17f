"""A sharded Zarr v3 store made of rows, which xarray and rioxarray read with its georeference.

Shards are written piece by piece, and none is held. A shard is its chunks, one after the other in
any order, and behind them the index that says where each lies (Zarr sharding codec 1.0, ZEP 2).
So chunks go to the file as soon as their rows are final: memory is one row of chunks, and no
thread but the caller's compresses.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS

from geopatcher.config import as_pixel_pair
from geopatcher.files.rows import RasterSpec

NAME = "data"
CHUNK = 256
SHARD = (512, 2048)
"""(rows, cols) of a shard: 4 MB of float32, and so flat that workers' shares come out even."""


@dataclass(frozen=True)
class ZarrRows:
    """The store's array; blocks of rows that begin at a multiple of `align` own whole shards."""

    path: Path
    spec: RasterSpec
    chunk: tuple[int, int]

    @property
    def shard(self) -> tuple[int, int]:
        """(rows, cols) of a shard: whole chunks, about `SHARD` pixels."""
        rows, cols = (
            side * max(1, min(wanted, length) // side)
            for side, wanted, length in zip(self.chunk, SHARD, self.spec.shape[-2:], strict=True)
        )
        return rows, cols

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
            fill_value=spec.fill,
            dimension_names=_dimensions(spec),
            **self._layout.codecs(),
        )
        for name, values in _coordinates(spec).items():
            group.create_array(name, data=values, chunks=values.shape, dimension_names=[name])
        if spec.domain.crs is not None:
            _georeference(group, spec)

    def begin(self) -> ShardWriter:
        """Return what writes shards while their rows come, from a shard's top row down."""
        return ShardWriter(self._layout)

    def read(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on."""
        return np.asarray(self._array[..., row : row + rows, :])

    @property
    def _layout(self) -> ShardLayout:
        spec = self.spec
        folder = self.path / NAME
        return ShardLayout(folder, spec.shape, spec.dtype, spec.fill, self.chunk, self.shard)

    @cached_property
    def _array(self) -> Any:
        import zarr

        return zarr.open_group(self.path, mode="r+")[NAME]

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("path", "spec", "chunk")}


@dataclass(frozen=True)
class ZarrTarget:
    """The rows of a Zarr store, and the store when it is whole."""

    path: Path
    spec: RasterSpec
    chunks: Any
    token: str

    @property
    def store(self) -> ZarrRows:
        """Where finished rows go: the store itself, under a hidden name."""
        wanted = (CHUNK, CHUNK) if self.chunks is None else as_pixel_pair(self.chunks, "chunks")
        rows, cols = (min(w, n) for w, n in zip(wanted, self.spec.shape[-2:], strict=True))
        return ZarrRows(self._hidden("part"), self.spec, (rows, cols))

    def finish(self, spec: RasterSpec) -> None:
        """Write the attributes and give the store its name.

        Folders cannot be swapped at one stroke: an old store is moved aside just before.
        """
        import zarr

        part, old = self.store.path, self._hidden("old")
        array = zarr.open_group(part, mode="r+")[NAME]
        place = {"grid_mapping": "spatial_ref"} if spec.domain.crs is not None else {}
        array.update_attributes({**spec.attrs, **place, "nodata": _plain_number(spec.fill)})
        shutil.rmtree(old, ignore_errors=True)
        if self.path.exists():
            self.path.rename(old)
        part.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything that is not the finished store."""
        shutil.rmtree(self.store.path, ignore_errors=True)

    def _hidden(self, word: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{self.token}.{word}")


def open_zarr(path: Path) -> Any:
    """Open a store as an xarray `DataArray` of dask chunks, one for each shard, nothing read."""
    import rioxarray  # noqa: F401  gives the DataArray its .rio
    import xarray as xr

    dataset = xr.open_zarr(path, consolidated=False, mask_and_scale=False, chunks=None)
    data = dataset[NAME]
    shard = data.encoding.get("shards") or data.encoding["chunks"]
    data = data.chunk(dict(zip(data.dims, shard, strict=True)))
    if "spatial_ref" in dataset:
        data = data.assign_coords(spatial_ref=dataset["spatial_ref"])
    if "nodata" in data.attrs:
        data.attrs["nodata"] = _number(data.attrs["nodata"])
    return data


def _dimensions(spec: RasterSpec) -> list[str]:
    names = ["band"] if len(spec.lead) == 1 else [f"axis_{i}" for i in range(len(spec.lead))]
    return [*names, "y", "x"]


def _coordinates(spec: RasterSpec) -> dict[str, np.ndarray]:
    """Return the pixel centres along y and x, where the grid is not rotated."""
    transform = spec.domain.transform
    if transform is None or transform.b or transform.d:
        return {}
    return spec.domain.grid.coords


def _georeference(group: Any, spec: RasterSpec) -> None:
    """Add the grid mapping that CF conventions and GDAL agree on."""
    wkt = CRS.from_user_input(spec.domain.crs).to_wkt()
    attributes = {"crs_wkt": wkt, "spatial_ref": wkt}
    if spec.domain.transform is not None:
        numbers = spec.domain.transform.to_gdal()
        attributes["GeoTransform"] = " ".join(repr(float(n)) for n in numbers)
    group.create_array("spatial_ref", data=np.array(0), attributes=attributes)


def _plain_number(value: Any) -> Any:
    """Return a fill value as JSON holds it: not-a-number and infinities by name.

    >>> _plain_number(np.float32("nan")), _plain_number(np.uint8(255))
    ('nan', 255)
    """
    number = np.asarray(value).item()
    return str(number) if isinstance(number, float) and not math.isfinite(number) else number


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


_MISSING = np.iinfo(np.uint64).max
"""What the index says of a chunk that holds nothing but the fill value."""


@dataclass(frozen=True)
class ShardLayout:
    """A raster (*lead, H, W) in a Zarr array: `chunk` and `shard` are (rows, cols) of one plane."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    fill: Any
    chunk: tuple[int, int]
    shard: tuple[int, int]

    def codecs(self) -> dict[str, Any]:
        """Return the codecs as `Group.create_array` takes them: those that are written here."""
        from zarr.codecs import BytesCodec, ZstdCodec

        return {
            "serializer": BytesCodec(endian="little"),
            "compressors": ZstdCodec(level=_LEVEL, checksum=False),
        }

    def file(self, plane: tuple[int, ...], row: int, col: int) -> Path:
        """Return the file of the shard that holds pixel (row, col) of a plane."""
        place = (*plane, row // self.shard[0], col // self.shard[1])
        return self.folder.joinpath("c", *map(str, place))


_LEVEL = 0
"""Zstandard's own default, which is zarr's too."""


@dataclass
class ShardWriter:
    """Takes rows from the top of a row of shards down, and writes the shards that they make.

    >>> import tempfile, zarr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     layout = ShardLayout(
    ...         Path(folder), (5, 6), np.dtype("int16"), 0, chunk=(2, 2), shard=(4, 4)
    ...     )
    ...     array = zarr.create_array(
    ...         folder, shape=(5, 6), dtype="int16", chunks=(2, 2), shards=(4, 4), fill_value=0,
    ...         **layout.codecs(),
    ...     )
    ...     ShardWriter(layout).write(0, np.arange(30, dtype="int16").reshape(5, 6))
    ...     array[:].sum()
    np.int64(435)
    """

    layout: ShardLayout
    _rows: np.ndarray = field(init=False)
    _open: dict[Path, np.ndarray] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        from numcodecs.checksum32 import CRC32C
        from numcodecs.zstd import Zstd

        layout = self.layout
        height, width = layout.chunk
        padded = -(-layout.shape[-1] // width) * width
        self._rows = np.full((*layout.shape[:-2], height, padded), layout.fill, layout.dtype)
        self._encode = Zstd(level=_LEVEL, checksum=False).encode
        self._with_checksum = CRC32C(location="end").encode
        self._empty = self._encode(np.full(layout.chunk, layout.fill, self._stored))

    @property
    def _stored(self) -> np.dtype:
        return self.layout.dtype.newbyteorder("<")

    def write(self, row: int, values: np.ndarray) -> None:
        """Take rows (..., n, W) from `row` on: the next ones below those taken before."""
        height, (rows, _) = self.layout.shape[-2], self.layout.chunk
        taken = 0
        while taken < values.shape[-2]:
            at = (row + taken) % rows
            count = min(rows - at, values.shape[-2] - taken)
            self._rows[..., at : at + count, : values.shape[-1]] = values[
                ..., taken : taken + count, :
            ]
            taken += count
            if row + taken == height:
                self._rows[..., at + count :, :] = self.layout.fill
            if at + count == rows or row + taken == height:
                self._flush(row + taken - at - count)

    def _flush(self, row: int) -> None:
        """Write the row of chunks that begins at `row`, and the index where shards end."""
        layout = self.layout
        height, width = layout.shape[-2:]
        last = (row + layout.chunk[0]) % layout.shard[0] == 0 or row + layout.chunk[0] >= height
        for plane in product(*map(range, layout.shape[:-2])):
            for left in range(0, width, layout.shard[1]):
                file = layout.file(plane, row, left)
                if row % layout.shard[0] == 0:
                    self._begin(file)
                right = min(left + layout.shard[1], width)
                self._append(file, self._chunks(plane, left, right), row)
                if last:
                    self._end(file)

    def _chunks(self, plane: tuple[int, ...], left: int, right: int) -> list[bytes]:
        step = self.layout.chunk[1]
        return [
            self._encode(np.ascontiguousarray(self._rows[plane][:, col : col + step], self._stored))
            for col in range(left, right, step)
        ]

    def _begin(self, file: Path) -> None:
        file.unlink(missing_ok=True)  # of a run before this one
        sides = zip(self.layout.shard, self.layout.chunk, strict=True)
        self._open[file] = np.full((*(a // b for a, b in sides), 2), _MISSING, "<u8")

    def _append(self, file: Path, chunks: list[bytes], row: int) -> None:
        """Put one row of chunks at the shard's end; what is only fill value is left out."""
        places = self._open[file][row % self.layout.shard[0] // self.layout.chunk[0]]
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
