"""A sharded Zarr v3 store made of rows, which xarray and rioxarray read with its georeference."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geopatcher.arguments import as_pixel_pair
from geopatcher.files.target import RasterSpec
from geopatcher.files.zarr_shards import ShardLayout, ShardWriter

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

    def write(self, row: int, values: np.ndarray) -> None:
        """Keep the rows (..., n, W) of whole shards, from `row` on."""
        self.begin().write(row, values)

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
    return {
        "y": transform.f + transform.e * (np.arange(spec.domain.height) + 0.5),
        "x": transform.c + transform.a * (np.arange(spec.domain.width) + 0.5),
    }


def _georeference(group: Any, spec: RasterSpec) -> None:
    """Add the grid mapping that CF conventions and GDAL agree on."""
    from rasterio.crs import CRS

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
