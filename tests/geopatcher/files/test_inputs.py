"""A target that is what is read: refused before a row is written, by whatever name."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rioxarray
import xarray as xr
from georeader.rasterio_reader import RasterioReader
from rasterio import Affine
from rasterio import open as open_raster

from geopatcher import (
    DaskField,
    PatchError,
    RasterField,
    RetryField,
    RioXarrayField,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    XarrayField,
    map_patches,
    merge_to_file,
)
from geopatcher.fields.raster import as_field, paths_of

PATCHER = SpatialPatcher(
    SpatialRectangular(16), SpatialRegularStride(16), aggregation=SpatialOverlapAdd()
)
GEOTIFF = {
    "a reader": lambda path: RasterioReader(path),
    "a Field": lambda path: RasterField(RasterioReader(path)),
    "tries": lambda path: RetryField(RasterioReader(path)),
    "rioxarray": lambda path: RioXarrayField(rioxarray.open_rasterio(path)),
    "chunks": lambda path: RioXarrayField(rioxarray.open_rasterio(path).chunk({"y": 16})),
}
ZARR = {
    "lazy": lambda path: XarrayField(xr.open_dataset(path, engine="zarr", chunks=None)["v"]),
    "chunks": lambda path: XarrayField(xr.open_zarr(path)["v"]),
    "computed": lambda path: XarrayField(xr.open_zarr(path)["v"] * 2 + 1),
    "dask": lambda path: DaskField(xr.open_zarr(path)["v"].data),
}


def runs(field, target):
    yield lambda: map_patches(PATCHER, field, abs, target=target, progress=False)
    yield lambda: merge_to_file(PATCHER.stream(field), field, SpatialOverlapAdd(), target)
    yield lambda: merge_to_file(
        PATCHER.stream(field), as_field(field).domain, SpatialOverlapAdd(), target
    )


def scene(path):
    how = {"driver": "GTiff", "count": 1, "height": 32, "width": 32, "dtype": "float32"}
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 0, 0, -10, 320)}
    with open_raster(path, "w", **how, **place) as file:
        file.write(np.ones((1, 32, 32), "float32"))


@pytest.mark.parametrize("kind", GEOTIFF)
@pytest.mark.parametrize("way", ["same", "relative", "symlink", "hard link"])
def test_a_file_is_not_written_over_itself(kind, way, tmp_path, monkeypatch):
    path = target = tmp_path / "scene.tif"
    scene(path)
    before = path.read_bytes()
    if way == "relative":
        monkeypatch.chdir(tmp_path)
        target = "scene.tif"
    elif way != "same":
        target = tmp_path / "other.tif"
        (os.link if way == "hard link" else os.symlink)(path, target)
    for run in runs(GEOTIFF[kind](str(path)), target):
        with pytest.raises(PatchError, match="over its own input"):
            run()
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} <= {"scene.tif", "other.tif"}


@pytest.mark.parametrize("kind", ZARR)
def test_a_store_is_not_written_over_itself(kind, tmp_path):
    path = tmp_path / "cube.zarr"
    cube = xr.DataArray(np.ones((32, 32)), {"y": np.arange(32.0), "x": np.arange(32.0)}, ("y", "x"))
    cube.chunk(16).to_dataset(name="v").to_zarr(path, zarr_format=2, consolidated=True)
    field = ZARR[kind](path)
    for run in runs(field, path):
        with pytest.raises(PatchError, match="over its own input"):
            run()
    assert float(xr.open_zarr(path)["v"].sum()) == 32 * 32


def test_a_result_is_not_written_over_itself(tmp_path):
    scene(tmp_path / "scene.tif")
    reader = RasterioReader(str(tmp_path / "scene.tif"))
    for name in ("out.zarr", "out.tif"):
        made = map_patches(PATCHER, reader, abs, target=tmp_path / name, progress=False)
        field = RioXarrayField(made) if name == "out.zarr" else made
        with pytest.raises(PatchError, match="over its own input"):
            map_patches(PATCHER, field, abs, target=tmp_path / name, progress=False)
        # The scene was the input, and may be run again.
        map_patches(PATCHER, reader, abs, target=tmp_path / name, progress=False)


def test_what_is_in_memory_comes_from_no_file(tmp_path):
    scene(tmp_path / "scene.tif")
    read = RasterioReader(str(tmp_path / "scene.tif")).load()
    assert paths_of(read) == paths_of(RasterField(read)) == paths_of(None) == []
