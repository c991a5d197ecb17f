"""Rasters written while they are made: the same values as in memory, whole files or none."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
import xarray as xr
import zarr
from dask import array as da
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio._err import CPLE_AppDefinedError
from rio_cogeo.cogeo import cog_validate

from geopatcher import (
    CoverageWarning,
    DaskField,
    PatchError,
    RioXarrayField,
    SpatialByIndex,
    SpatialHardVote,
    SpatialMax,
    SpatialMean,
    SpatialMedian,
    SpatialOverlapAdd,
    XarrayField,
    merge_to_file,
)
from geopatcher.files.rows import RawRows, plain_attrs
from geopatcher.files.target import open_lazily


def values_of(opened):
    """The pixels of a reader (C, H, W) or a DataArray, read now."""
    return (
        opened.values if hasattr(opened, "dims") and hasattr(opened, "compute") else opened.read()
    )


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@settings(max_examples=12)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 70),
    size=st.integers(1, 40),
    step=st.integers(1, 40),
    lead=st.sampled_from([(), (2,)]),
    workers=st.integers(1, 3),
    suffix=st.sampled_from([".tif", ".zarr"]),
)
def test_a_stream_has_the_values_of_the_merge_in_memory(
    tmp_path_factory, scene_of, patcher_of, height, width, size, step, lead, workers, suffix
):
    size = min(size, height, width)
    scene = scene_of((*lead, height, width))
    patcher = patcher_of(size, min(step, size))
    expected = np.asarray(patcher.merge(patcher.stream(scene), scene))
    target = tmp_path_factory.mktemp("stream") / f"out{suffix}"
    streaming = SpatialOverlapAdd(streaming=True, target_path=target)
    patches = patcher.stream(scene).map(lambda chip: chip, workers=workers)
    opened = streaming.merge(patches, scene)
    np.testing.assert_array_equal(values_of(opened).reshape(expected.shape), expected)
    assert hidden(target.parent) == []


def test_a_cog_is_valid_and_says_where_and_what_it_is(tmp_path, scene_of, patcher_of):
    scene = scene_of((2, 700, 600))
    scene.attrs = {"band_names": ["B04", "B08"], "source": "simulated"}
    target = tmp_path / "out.tif"
    patcher = patcher_of(128, 96, aggregation=SpatialOverlapAdd(True, target, 256))
    reader = patcher.merge(patcher.split(scene), scene)
    valid, errors, warnings = cog_validate(target)
    assert (valid, errors, warnings) == (True, [], [])
    assert reader.transform == scene.transform
    assert reader.crs.to_epsg() == 32610
    assert np.isnan(reader.fill_value_default)
    assert reader.attrs == {"band_names": ["B04", "B08"], "source": "simulated"}
    import rasterio

    with rasterio.open(target) as file:
        assert file.descriptions == ("B04", "B08")
        assert file.block_shapes == [(256, 256)] * 2
        assert file.tags()["source"] == "simulated"


def test_a_zarr_store_is_sharded_version_3_and_opens_lazily(tmp_path, scene_of, patcher_of):
    scene = scene_of((2, 90, 70))
    target = tmp_path / "out.zarr"
    patcher = patcher_of(16, 12)
    opened = merge_to_file(patcher.stream(scene), scene, SpatialMean(), target, chunks=(16, 32))
    array = zarr.open_group(target, mode="r")["data"]
    assert array.metadata.zarr_format == 3
    assert array.shards == (1, 80, 64)
    assert array.chunks == (1, 16, 32)
    assert opened.chunks is not None  # dask: nothing is read yet
    assert opened.dims == ("band", "y", "x")
    assert opened.rio.crs.to_epsg() == 32610
    assert opened.rio.transform() == scene.transform
    assert np.isnan(opened.attrs["nodata"])
    assert float(opened.x[0]) == 500_005
    assert float(opened.y[0]) == 4_099_995


def test_votes_stay_integers_and_their_fill_value_is_known(tmp_path, scene_of, patcher_of):
    labels = np.zeros((70, 50), np.uint8)
    labels[20:] = 2
    scene = scene_of((70, 50)).copy()
    scene = type(scene)(labels, scene.transform, scene.crs, None)
    patcher = patcher_of(20, 15, "drop", aggregation=SpatialHardVote(3))
    with pytest.warns(CoverageWarning, match="pixels"):
        expected = patcher.merge(patcher.stream(scene), scene)
    for name in ("votes.tif", "votes.zarr"):
        with pytest.warns(CoverageWarning, match="pixels"):
            opened = merge_to_file(
                patcher.stream(scene), scene, SpatialHardVote(3), tmp_path / name
            )
        values = np.squeeze(values_of(opened))
        assert values.dtype == np.uint8
        np.testing.assert_array_equal(values, np.asarray(expected))
        assert set(np.unique(values)) == {0, 2, 255}


@pytest.mark.parametrize("aggregation", [SpatialMean(), SpatialMax(), SpatialMedian()])
def test_every_aggregation_of_pixels_streams(tmp_path, scene_of, patcher_of, aggregation):
    scene = scene_of((80, 60))
    patcher = patcher_of(20, 7, aggregation=aggregation)

    def noisy(chip):
        values = np.asarray(chip)
        return values + values[0, 0]  # chips disagree where they overlap

    patches = patcher.stream(scene).map(noisy)
    expected = np.asarray(patcher.merge(patches, scene))
    opened = merge_to_file(patches, scene, aggregation, tmp_path / "out.tif")
    np.testing.assert_array_equal(values_of(opened)[0], expected)


def test_what_makes_no_rows_says_so(tmp_path, scene_of, patcher_of):
    scene = scene_of((20, 20))
    with pytest.raises(PatchError, match=r"SpatialByIndex makes no raster row by row; .* SpatialM"):
        merge_to_file(patcher_of(10, 10).stream(scene), scene, SpatialByIndex(), tmp_path / "o.tif")


def test_streaming_and_its_path_go_together():
    with pytest.raises(PatchError, match="go together, got streaming=True, target_path=None"):
        SpatialOverlapAdd(streaming=True)
    with pytest.raises(PatchError, match="go together"):
        SpatialOverlapAdd(target_path="o.tif")
    with pytest.raises(PatchError, match=r"ends in .tif, .tiff, .zarr, got 'o.png'"):
        SpatialOverlapAdd(streaming=True, target_path="o.png")
    with pytest.raises(PatchError, match=r"multiple of 16 pixels wide, got chunks=\(100, 100\)"):
        SpatialOverlapAdd(streaming=True, target_path="o.tif", chunks=100)
    assert SpatialOverlapAdd(True, "o.zarr", chunks=100).chunks == (100, 100)


def test_a_target_in_no_folder_is_refused_before_work(tmp_path, scene_of, patcher_of):
    scene = scene_of((20, 20))
    with pytest.raises(FileNotFoundError, match="folder does not exist"):
        merge_to_file(
            patcher_of(10, 10).stream(scene), scene, SpatialMean(), tmp_path / "no" / "o.tif"
        )


def test_four_axes_go_into_zarr_but_no_geotiff(tmp_path, scene_of, patcher_of):
    scene = scene_of((3, 2, 40, 30))
    patcher = patcher_of(10, 7)
    with pytest.raises(PatchError, match=r"got a result of shape \(3, 2, 40, 30\).*\.zarr"):
        merge_to_file(patcher.stream(scene), scene, SpatialMean(), tmp_path / "o.tif")
    opened = merge_to_file(patcher.stream(scene), scene, SpatialMean(), tmp_path / "o.zarr")
    np.testing.assert_allclose(opened.values, scene.values, rtol=1e-6)


@pytest.mark.parametrize("name", ["o.tif", "o.zarr"])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, scene_of, patcher_of, name):
    scene = scene_of((60, 40))
    patcher = patcher_of(10, 10)
    before = values_of(merge_to_file(patcher.stream(scene), scene, SpatialMean(), tmp_path / name))

    def failing(chip):
        if chip.transform.f < 4_100_000 - 300:
            raise RuntimeError("no more")
        return chip * 2

    with pytest.raises(RuntimeError, match="no more"):
        merge_to_file(patcher.stream(scene).map(failing), scene, SpatialMean(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(values_of(open_lazily(tmp_path / name)), before)


@pytest.mark.parametrize("name", ["o.tif", "o.zarr"])
def test_patches_that_failed_are_listed_in_the_file(tmp_path, scene_of, patcher_of, name):
    scene = scene_of((60, 40))

    def failing(chip):
        if chip.transform.f == 4_100_000 - 200 and chip.transform.c == 500_000:
            raise RuntimeError("too dark")
        return chip

    patches = patcher_of(10, 10).stream(scene).map(failing, on_error="skip")
    opened = merge_to_file(patches, scene, SpatialOverlapAdd(), tmp_path / name)
    assert opened.attrs["skipped_patches"] == {"(20, 0)": "RuntimeError: too dark"}
    missing = np.isnan(np.squeeze(values_of(opened)))
    assert missing.sum() == 100
    assert missing[20:30, :10].all()


FULL_DISK = """
    import resource, sys
    import numpy as np
    from georeader.geotensor import GeoTensor
    from rasterio import Affine
    from geopatcher import *

    scene = GeoTensor(
        np.random.default_rng(0).random((2000, 500), "float32"), Affine(10, 0, 0, 0, -10, 0), 32610
    )
    patcher = SpatialPatcher(SpatialRectangular(100), SpatialRegularStride(100))
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # no file may grow beyond
    try:
        merge_to_file(patcher.stream(scene), scene, SpatialOverlapAdd(), sys.argv[1])
    except OSError as error:
        print("OSError", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize(
    ("name", "limit"), [("o.tif", 10**6), ("o.tif", 4_000_001), ("o.zarr", 10**5)]
)
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path, scene_of, patcher_of, name, limit):
    """4,000,001 bytes hold the rows and not the COG with its overviews."""
    scene = scene_of((20, 20))
    merge_to_file(patcher_of(10, 10).stream(scene), scene, SpatialMean(), tmp_path / name)
    before = values_of(open_lazily(tmp_path / name))
    script = [sys.executable, "-c", textwrap.dedent(FULL_DISK), tmp_path / name, str(limit)]
    run = subprocess.run(script, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("OSError"), run.stdout + run.stderr
    assert "no part of it was given its name" in run.stdout
    assert "MB are free" in run.stdout
    assert [path.name for path in tmp_path.iterdir()] == [name]
    np.testing.assert_array_equal(values_of(open_lazily(tmp_path / name)), before)


def test_errors_of_gdals_own_are_told_as_those_of_the_disk(
    tmp_path, scene_of, patcher_of, monkeypatch
):
    """On a file system without room GDAL raises what no class of rasterio.errors covers."""

    def out_of_room(*_, **__):
        raise CPLE_AppDefinedError(3, 1, "TIFFAppendToStrip:Write error at scanline 7")

    monkeypatch.setattr(rasterio.shutil, "copy", out_of_room)
    scene = scene_of((20, 20))
    with pytest.raises(OSError, match=r"to write o.tif in .*TIFFAppendToStrip.*MB are free"):
        merge_to_file(patcher_of(10, 10).stream(scene), scene, SpatialMean(), tmp_path / "o.tif")
    assert not list(tmp_path.iterdir())


def test_raw_rows_give_back_what_was_written_in_any_order(tmp_path):
    values = np.arange(2 * 9 * 5, dtype="int32").reshape(2, 9, 5)
    rows = RawRows(tmp_path / "rows", values.shape, values.dtype)
    rows.create()
    for start, stop in ((6, 9), (0, 4), (4, 6)):
        rows.write(start, values[:, start:stop])
    np.testing.assert_array_equal(rows.read(0, 9), values)
    np.testing.assert_array_equal(rows.read(3, 4), values[:, 3:7])
    rows.create(keep=True)
    np.testing.assert_array_equal(rows.read(0, 9), values)
    rows.create()
    assert not rows.read(0, 9).any()


def test_only_attributes_that_json_holds_are_kept():
    assert plain_attrs({"a": [1], "b": {2}, "c": None}) == {"a": [1], "c": None}


@pytest.mark.parametrize("name", ["dem.tif", "dem.zarr"])
def test_a_grid_of_longitudes_and_latitudes_is_written_in_its_place(tmp_path, patcher_of, name):
    grid = {"lat": 50 - 0.5 * np.arange(20), "lon": 7 + 0.25 * np.arange(30)}
    values = np.random.default_rng(0).random((20, 30))
    field = XarrayField(xr.DataArray(values, grid, ("lat", "lon")), crs="EPSG:4326")
    made = merge_to_file(patcher_of(8, 6).split(field), field, SpatialMean(), tmp_path / name)
    where = made if name.endswith(".tif") else RioXarrayField(made).domain
    assert where.transform.almost_equals(Affine(0.25, 0, 6.875, 0, -0.5, 50.25), 1e-9)
    assert where.crs == "EPSG:4326"
    np.testing.assert_array_equal(values_of(made).reshape(20, 30), values)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pixels_without_a_place_are_read_back_without_one(tmp_path, patcher_of):
    field = DaskField(da.ones((16, 16), chunks=8))
    made = merge_to_file(patcher_of(8, 8).split(field), field, SpatialMean(), tmp_path / "o.tif")
    assert made.transform == Affine.identity()
    assert tuple(made.bounds) == (0, 0, 16, 16)


def test_what_stands_in_the_targets_place_is_told(tmp_path, scene_of, patcher_of):
    scene = scene_of((8, 8))
    (tmp_path / "o.tif").mkdir()
    (tmp_path / "o.zarr").touch()
    for name, message in (("o.tif", "is a folder where a file"), ("o.zarr", "is a file where a")):
        with pytest.raises(FileExistsError, match=message):
            merge_to_file(patcher_of(8, 8).split(scene), scene, SpatialMean(), tmp_path / name)


def test_a_geotiff_has_a_band(tmp_path, scene_of, patcher_of):
    scene = scene_of((0, 8, 8))
    with pytest.raises(PatchError, match=r"at least one band, got \(0, 8, 8\)"):
        merge_to_file(patcher_of(8, 8).split(scene), scene, SpatialMean(), tmp_path / "o.tif")


def test_an_empty_folder_becomes_a_store_and_others_are_left_alone(tmp_path, scene_of, patcher_of):
    scene = scene_of((2, 50, 70))
    for name in ("empty", "empty.zarr"):
        folder = tmp_path / name
        folder.mkdir()
        aggregation = SpatialOverlapAdd(streaming=True, target_path=folder)
        patcher = patcher_of(16, 12, aggregation=aggregation)
        for _ in range(2):  # and may be written anew
            written = patcher.merge(patcher.split(scene), scene)
            np.testing.assert_allclose(values_of(written), scene.values, rtol=1e-6)
            np.testing.assert_allclose(values_of(open_lazily(folder)), scene.values, rtol=1e-6)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    with pytest.raises(PatchError, match="an empty folder becomes a store"):
        SpatialOverlapAdd(streaming=True, target_path=taken)
    assert [path.name for path in taken.iterdir()] == ["notes.txt"]
