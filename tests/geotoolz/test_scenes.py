"""Scenes of a catalog on a grid: bands, own offsets, masks, passes; against plain numpy."""

from __future__ import annotations

import pickle
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from dated_scenes import WEST, dn, grid_of, item, write

import geotoolz as gz
from geocatalog import CatalogError, build_raster_catalog, from_stac_items
from geocatalog.read.open import KeptOpen
from geotoolz.scenes import SceneReading, passes_of, scenes_of


def test_each_scene_loses_the_offset_of_its_own_baseline(tmp_path):
    values = dn(0)
    cases = {
        "2021-06-01": ("03.01", {}, values),
        "2022-06-01": ("04.00", {}, values - 1000),
        "2023-06-01": ("05.09", {"earthsearch:boa_offset_applied": True}, values),
        "2020-06-01": (None, {}, values),
        "2024-06-01": (None, {}, values - 1000),
    }
    items = [
        item(tmp_path, day, {"B04": values}, baseline=baseline, **own)
        for day, (baseline, own, _) in cases.items()
    ]
    reading, grid = SceneReading(("B04",)), grid_of(6, 8)
    for scene in scenes_of(from_stac_items(items, ["B04"])):
        raster = reading(scene, grid)
        np.testing.assert_array_equal(raster.values[0], cases[f"{scene.time:%Y-%m-%d}"][2])
        assert raster.attrs.get("offset_applied") or raster.attrs["processing_baseline"] == "03.01"
    left = SceneReading(("B04",), radiometry=None)
    np.testing.assert_array_equal(left(scene, grid).values[0], values)
    physical = SceneReading(
        ("B04",), radiometry=gz.HarmonizeBaseline(baseline="04.00") | gz.DNToReflectance()
    )
    np.testing.assert_allclose(physical(scene, grid).values[0], (values - 1000) * 1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("day", "collection", "own", "offset"),
    [
        ("2018-06-01", "sentinel-2-l2a", {"processing:version": "05.00"}, 1000),
        ("2024-06-01", "sentinel-2-l2a", {"processing:version": "05.11"}, 1000),
        ("2018-06-01", "sentinel-2-l2a", {"processing:version": "02.14"}, 0),
        ("2024-06-01", "sentinel-2-l2a", {"processing:version": "1.2.3"}, 1000),
        ("2024-06-01", "my-scenes", {"s2:processing_baseline": "05.11"}, 1000),
        ("2024-06-01", "my-scenes", {"processing:version": "05.11"}, 1000),
        ("2024-06-01", "HLSS30.v2.0", {}, 0),
        ("2024-06-01", "ga_s2am_ard_3", {"processing:version": "3.2.1"}, 0),
    ],
)
def test_the_offset_is_told_by_the_baseline_before_the_date(tmp_path, day, collection, own, offset):
    """Copernicus writes it as the version, also of years that it processed again; others have none."""
    made = item(tmp_path, day, {"B04": dn(0)}, baseline=None, platform="sentinel-2a", **own)
    made.collection_id = collection
    (scene,) = scenes_of([made], ["B04"])
    raster = SceneReading(("B04",))(scene, grid_of(6, 8))
    np.testing.assert_array_equal(raster.values[0], dn(0) - offset)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("nodata", [0, 255, None])
def test_a_probability_stays_beside_bands_that_lose_their_offset(tmp_path, dtype, nodata):
    """Whatever its file is made of: 0 percent of cloud is no missing pixel, unless it says so."""
    percent = np.tile(np.array([0, 20, 60, 90], dtype), (6, 2))
    made = item(tmp_path, "2023-06-01", {"B04": dn(0), "CLD": percent})
    write(made.assets["CLD"].href, percent, nodata=nodata)
    (scene,) = scenes_of([made], ("B04", "CLD"))
    reading = SceneReading(("B04",), lambda scene: scene.values[-1] > 50, ("CLD",))
    raster = reading(scene, grid_of(6, 8))
    clear = (percent <= 50) & ((percent > 0) | (nodata != 0))
    values = np.where(raster.values[0] == raster.fill_value_default, np.nan, raster.values[0])
    np.testing.assert_array_equal(values, np.where(clear, dn(0) - 1000.0, np.nan))


@pytest.mark.parametrize(("name", "other"), [("B08", dn(1)), ("NDVI", dn(1) / np.float32(5000))])
def test_each_file_loses_its_own_offset_whatever_lies_beside_it(tmp_path, name, other):
    """Two nodata values, or a file of physical values, make the whole scene one of floats."""
    made = item(tmp_path, "2023-06-01", {"B04": dn(0), name: other})
    write(made.assets[name].href, other, nodata=65535)
    (scene,) = scenes_of([made], ("B04", name))
    raster = SceneReading(("B04", name))(scene, grid_of(6, 8))
    np.testing.assert_array_equal(raster.values[0], dn(0) - 1000)
    np.testing.assert_array_equal(raster.values[1], other - 1000 * (name == "B08"))


def test_a_mask_at_twice_the_pixel_size_drops_pixels_and_is_not_a_band(tmp_path):
    scl = np.full((3, 4), 4, "uint8")
    scl[1, 2] = 9
    made = item(
        tmp_path, "2023-06-01", {"B04": dn(0), "B08": dn(1), "SCL": scl}, pixel={"SCL": 20.0}
    )
    (scene,) = scenes_of([made], ("B04", "B08", "SCL"))
    reading = SceneReading(("B04", "B08"), gz.MaskFromSCL("SCL"), ("SCL",))
    raster = reading(scene, grid_of(6, 8))
    assert raster.attrs["band_names"] == ["B04", "B08"]
    assert raster.fill_value_default == 0
    dropped = np.zeros((6, 8), bool)
    dropped[2:4, 4:6] = True
    np.testing.assert_array_equal(raster.values[0], np.where(dropped, 0, dn(0) - 1000))
    np.testing.assert_array_equal(raster.values[1] == 0, dropped)


def test_where_the_mask_is_not_known_nothing_is_clear(tmp_path):
    """The scene classification ends before the band does: no cloud may be taken for ground."""
    made = item(tmp_path, "2023-06-01", {"B04": dn(0), "SCL": np.full((6, 5), 4, "uint8")})
    (scene,) = scenes_of([made], ("B04", "SCL"))
    raster = SceneReading(("B04",), gz.MaskFromSCL("SCL", classes=(9,)), ("SCL",))(
        scene, grid_of(6, 8)
    )
    assert (raster.values[0, :, :5] > 0).all()
    assert (raster.values[0, :, 5:] == 0).all()


def test_a_mask_that_looks_around_sees_beyond_the_grid(tmp_path):
    scl = np.full((20, 20), 4, "uint8")
    scl[10, 4] = 9
    made = item(tmp_path, "2023-06-01", {"B04": dn(0, (20, 20)), "SCL": scl})
    (scene,) = scenes_of([made], ("B04", "SCL"))
    mask = gz.MaskFromSCL("SCL") | gz.DilateMask(3)
    reading = SceneReading(("B04",), mask, ("SCL",))
    assert reading.halo == 3
    whole = reading(scene, grid_of(20, 20)).values
    right = reading(scene, grid_of(20, 14, west=WEST + 60)).values
    assert (whole[:, 10, 6:8] == 0).all()
    np.testing.assert_array_equal(right, whole[:, :, 6:])


def test_bits_of_zero_are_clear_though_zero_marks_nodata(tmp_path):
    made = item(tmp_path, "2023-06-01", {"B04": dn(0), "QA60": np.zeros((6, 8), "uint16")})
    (scene,) = scenes_of([made], ("B04", "QA60"))
    raster = SceneReading(("B04",), gz.MaskFromQABits("QA60", flags=(10, 11)), ("QA60",))(
        scene, grid_of(6, 8)
    )
    assert (raster.values > 0).all()


def test_tiles_of_one_pass_are_one_observation_each_with_its_own_offset(tmp_path):
    one, two = dn(0), dn(1)
    one[:, 6:] = 0
    items = [
        item(tmp_path, "2023-06-01T10:30:00", {"B04": one}),
        item(tmp_path, "2023-06-01T10:30:20", {"B04": two}, baseline="03.01", west=WEST + 40),
        item(tmp_path, "2023-06-04T10:30:00", {"B04": two}),
    ]
    passes = passes_of(scenes_of(items, ("B04",)))
    assert [len(each) for each in passes] == [2, 1]
    raster = SceneReading(("B04",)).of_pass(passes[0], grid_of(6, 14))
    expected = np.zeros((6, 14), "uint16")
    expected[:, 4:12] = two
    expected[:, :6] = one[:, :6] - 1000
    np.testing.assert_array_equal(raster.values[0], expected)


def test_rows_of_one_asset_make_the_scenes_of_rows_of_items(tmp_path):
    items = [
        item(tmp_path, day, {"B04": dn(k), "B08": dn(k + 9)})
        for k, day in enumerate(("2023-06-01", "2023-06-04"))
    ]
    single = []
    for band in ("B04", "B08"):
        frame = from_stac_items(items, band).gdf
        single.append(frame.assign(band=band))
    rows = type(from_stac_items(items, "B04"))(pd.concat(single, ignore_index=True))
    assert len(rows) == 4
    reading, grid = SceneReading(("B04", "B08")), grid_of(6, 8)
    ours, theirs = scenes_of(rows, ("B04", "B08")), scenes_of(items, ("B04", "B08"))
    assert [scene.name for scene in ours] == [scene.name for scene in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(reading(one, grid).values, reading(other, grid).values)


def test_one_item_id_in_two_collections_is_two_scenes(tmp_path):
    """A scene of Level-1C and Level-2A may have one id in both, and rows of one asset each."""
    items = []
    for number, level in enumerate(("sentinel-2-l1c", "sentinel-2-l2a")):
        (tmp_path / level).mkdir()
        made = item(tmp_path / level, "2023-06-01", {"B04": dn(number)})
        made.collection_id = level
        items.append(made)
    scenes = scenes_of(from_stac_items(items, ["B04"], per="asset"), ["B04"])
    found = [SceneReading(("B04",))(scene, grid_of(6, 8)).values[0] for scene in scenes]
    np.testing.assert_array_equal(found, [dn(0) - 1000, dn(1) - 1000])


def test_files_of_several_bands_by_name_or_number_and_south_up(tmp_path):
    values = np.stack([dn(0), dn(1), dn(2)])
    path = write(tmp_path / "a_20230601.tif", values, names=("blue", "red", "nir"), south_up=True)
    catalog = build_raster_catalog([path], r"_(?P<date>\d{8})", progress=False)
    grid = grid_of(6, 8)
    (scene,) = scenes_of(catalog, ("nir", "red"))
    np.testing.assert_array_equal(SceneReading(("nir", "red"))(scene, grid).values, values[[2, 1]])
    (scene,) = scenes_of(catalog)
    assert list(scene.files) == ["band_1", "band_2", "band_3"]
    np.testing.assert_array_equal(SceneReading(("band_3",))(scene, grid).values, values[2:])
    (scene,) = scenes_of(catalog, ("green",))
    with pytest.raises(CatalogError, match="no band 'green'; it has blue, red, nir"):
        SceneReading(("green",))(scene, grid)


def test_integers_without_nodata_become_floats_where_something_is_missing(tmp_path):
    path = write(tmp_path / "a_20230601.tif", np.zeros((6, 8), "int16"), nodata=None)
    (scene,) = scenes_of(build_raster_catalog([path], r"_(?P<date>\d{8})", progress=False))
    raster = SceneReading(("band_1",))(scene, grid_of(6, 10))
    assert raster.dtype == np.float32
    assert (raster.values[0, :, :8] == 0).all()
    assert np.isnan(raster.values[0, :, 8:]).all()


def test_files_stay_open_between_reads_and_the_pool_pickles_empty(tmp_path):
    made = item(tmp_path, "2023-06-01", {"B04": dn(0), "B08": dn(1)})
    (scene,) = scenes_of([made], ("B04", "B08"))
    files, reading = KeptOpen(most=1), SceneReading(("B04", "B08"))
    for _ in range(3):
        reading(scene, grid_of(6, 8), files)
    assert len(files) == 1
    assert len(pickle.loads(pickle.dumps(files))) == 0
    files.close()
    assert len(files) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda items: scenes_of(items, ("B04", "B99")), "no asset 'B99'"),
        (lambda items: scenes_of(items, ("B04",), max_cloud_cover=5), "cloudier than 5 %"),
        (
            lambda items: scenes_of(items, ("B04",), max_cloud_cover=500),
            "max_cloud_cover must be 0 to 100, got 500",
        ),
        (lambda items: scenes_of([], ("B04",)), "at least one STAC item"),
        (lambda items: SceneReading(("B04",), mask="SCL"), "mask must be None or an operator"),
        (
            lambda items: SceneReading(("B04",), radiometry="none"),
            'radiometry must be "auto", None',
        ),
        (lambda items: SceneReading(("B04",), resampling="best"), "resampling must be one of"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_read(tmp_path, call, message):
    with pytest.raises(CatalogError, match=message):
        call([item(tmp_path, "2023-06-01", {"B04": dn(0)}, cloud=80.0)])


@pytest.mark.parametrize("given", [Path("a.tif"), "scenes/", [Path("a.tif")], ["a.tif"], [{}]])
@pytest.mark.parametrize("bands", [None, ["B04"]])
def test_what_is_no_catalog_is_told_how_to_become_one(given, bands):
    field = gpd.GeoSeries([shapely.box(0, 0, 100, 100)], crs=32632)
    for call in (
        lambda: gz.composite(given, bands),
        lambda: gz.zonal(given, field, bands),
        lambda: gz.CatalogPipeline(given, gz.NDVI(0, 1), writer="ndvi"),
    ):
        with pytest.raises(CatalogError, match=r"come as a catalog, got \w+; build_raster_catalog"):
            call()


def test_no_scene_at_all_is_said():
    with pytest.raises(CatalogError, match="at least one STAC item"):
        gz.composite([])
