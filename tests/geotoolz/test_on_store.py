"""From rasters on an object store to rasters on it, by a catalog on it; killed runs go on."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from georeader.geotensor import GeoTensor
from killed_runs import INDEX
from object_store import Fault
from rasterio import Affine
from rasterio.errors import RasterioIOError

from geocatalog import (
    CatalogError,
    GeoSlice,
    build_raster_catalog,
    from_geoparquet,
    load_raster,
    open_catalog,
    to_geoparquet,
)
from geotoolz import NDVI, CatalogPipeline, read, write_cog
from geotoolz.catalog_ops import CatalogField
from pipekit.places import PlaceError

RUNS = 2
"""Each is killed twice, at random."""

SUPPORT = Path(__file__).resolve().parents[1] / "support"


def raster(number, side=64):
    values = np.random.default_rng(number).integers(1, 9000, (2, side, side), dtype="uint16")
    place = Affine(10, 0, 500_000 + 640 * number, 0, -10, 5_000_000)
    return GeoTensor(values, place, "EPSG:32632", 0, {"band_names": ["B04", "B08"]})


@pytest.fixture
def catalog(on_store):
    """Eight scenes on the store, and their catalog there; its place."""
    for number in range(8):
        write_cog(raster(number), on_store / f"in/scene_2024060{number + 1}.tif")
    paths = [f"{on_store}/in/scene_2024060{number + 1}.tif" for number in range(8)]
    made = build_raster_catalog(paths, r"_(?P<date>\d{8})")
    return on_store / "scenes.parquet" if to_geoparquet(made, on_store / "scenes.parquet") else None


def objects(place):
    return {each.name: each.read() for each in place.below()}


def test_a_cog_comes_back_as_it_went(on_store, tmp_path):
    there = str(on_store / "a~b.tif")
    assert str(write_cog(raster(1), there, tags={"author": "me"})) == there
    write_cog(raster(1), tmp_path / "a.tif", tags={"author": "me"})
    assert (on_store / "a~b.tif").read() == (tmp_path / "a.tif").read_bytes()
    found, here = read(there), read(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.values, here.values)
    assert (found.transform, found.crs, found.attrs) == (here.transform, here.crs, here.attrs)
    box = (500_700, 4_999_700, 500_900, 4_999_900)
    np.testing.assert_array_equal(read(there, box).values, read(tmp_path / "a.tif", box).values)


def test_what_is_there_is_replaced_only_when_asked(on_store):
    place = str(on_store / "a.tif")
    write_cog(raster(1), place)
    np.testing.assert_array_equal(read(place).values, raster(1).values)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_cog(raster(2, side=32), place)
    write_cog(raster(2, side=32), place, overwrite=True)
    np.testing.assert_array_equal(read(place).values, raster(2, side=32).values)


def test_a_scene_that_was_missing_is_read_once_it_is_there(on_store, hasty):
    place = str(on_store / "a.tif")
    with pytest.raises(RasterioIOError, match="no such object"):
        read(place)
    write_cog(raster(1), place)
    np.testing.assert_array_equal(read(place).values, raster(1).values)


def test_a_failed_put_leaves_nothing(on_store, store_proxy, hasty):
    store_proxy.faults.append(Fault("PUT", "a.tif", "torn", times=99))
    with pytest.raises(PlaceError, match="3 tries"):
        write_cog(raster(1), on_store / "a.tif")
    assert list(on_store.below()) == []


@pytest.mark.parametrize("kind", ["status", "cut", "lost"])
def test_reads_are_tried_again(on_store, store_proxy, hasty, kind):
    write_cog(raster(1), on_store / "a.tif")
    store_proxy.faults.append(Fault("GET", "a.tif", kind, times=2))
    np.testing.assert_array_equal(read(on_store / "a.tif").values, raster(1).values)
    assert store_proxy.faults[0].times < 2


def test_refusals_are_told_without_keys(on_store, monkeypatch, hasty):
    write_cog(raster(1), on_store / "a.tif")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET-OF-MINE")
    with pytest.raises(RasterioIOError, match="refuses") as caught:
        read(on_store / "b.tif")
    assert "OF-MINE" not in str(caught.value)


def test_a_catalog_on_the_store_is_asked_where_it_lies(catalog):
    lazy, whole = open_catalog(str(catalog)), from_geoparquet(str(catalog))
    box = (500_700, 4_999_500, 501_900, 4_999_900)
    found = lazy.query(bounds=box, time="2024-06-02/2024-06-03")
    expected = whole.query(bounds=box, time="2024-06-02/2024-06-03")
    assert found.gdf.filepath.tolist() == expected.gdf.filepath.tolist()
    assert len(found) == 2
    pixels = load_raster(found, GeoSlice(box, None, 10, found.crs))
    assert (pixels.values[:, :, :58] == raster(1).values[:, 10:50, 6:]).all()


def test_a_pipeline_goes_from_the_store_to_the_store(catalog, on_store, tmp_path):
    how = {"operator": NDVI(red_idx=0, nir_idx=1), "workers": 3}
    pipeline = CatalogPipeline(
        open_catalog(catalog), writer=str(on_store / "out"), journal=on_store / "j", **how
    )
    report, outputs = pipeline.run()
    assert (report.done, len(outputs)) == (8, 8)
    assert set(outputs.gdf.filepath) == {str(place) for place in (on_store / "out").below()}
    CatalogPipeline(from_geoparquet(catalog), writer=tmp_path / "out", **how).run()
    assert objects(on_store / "out") == {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
    }
    (on_store / "out/scene_20240603.tif").remove()
    report, outputs = pipeline.run()
    assert (report.resumed, report.done, len(outputs)) == (7, 1, 8)
    row = next(outputs.iter_rows())
    assert CatalogField(row).load().shape == (1, 64, 64)


def test_outputs_never_take_the_place_of_inputs(catalog, on_store):
    pipeline = CatalogPipeline(
        from_geoparquet(catalog), NDVI(red_idx=0, nir_idx=1), writer=on_store / "in"
    )
    before = objects(on_store / "in")
    with pytest.raises(CatalogError, match="an input of this run"):
        pipeline.run()
    assert objects(on_store / "in") == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_run_killed_at_random_ends_with_the_same_objects(catalog, on_store, tmp_path):
    once = on_store / "once"
    CatalogPipeline(from_geoparquet(catalog), INDEX, writer=once).run()
    wanted, killed = objects(once), 0
    for seed in range(RUNS):
        out, journal = on_store / f"{seed}/out", on_store / f"{seed}/run.jsonl"
        names = [catalog, out, journal, tmp_path / f"{seed}.txt", seed, 2]
        command = [sys.executable, str(SUPPORT / "killed_runs.py"), *map(str, names)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        killed += int(done.stdout)
        assert objects(out) == wanted, "the same objects, and nothing is left over"
    assert killed >= RUNS


def test_gdal_is_told_where_the_store_is(on_store):
    write_cog(raster(1), on_store / "a.tif")
    name, options = (on_store / "a.tif").for_gdal()
    with rasterio.Env(**options), rasterio.open(name) as file:
        assert file.shape == (64, 64)
