"""Composites by blocks against a whole cube in numpy: real dates, mixed offsets, grids and gaps."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
import rioxarray  # noqa: F401  gives arrays their .rio
import shapely
import xarray as xr
from dated_scenes import EPSG, NORTH, WEST, dn, grid_of, item, write
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

import geotoolz as gz
from geocatalog import CatalogError, GeoSlice, build_raster_catalog, from_stac_items
from geopatcher import add_overviews
from geotoolz import composites
from geotoolz.composites import CompositeField, composite, periods_of
from geotoolz.scenes import scenes_of

quiet = {"progress": False}


@pytest.fixture(scope="session")
def flanders(archive_root):
    """The catalog of 118 real dates, and the same as cubes read by rasterio alone."""
    folders = sorted((archive_root / "sentinel-2-l2a").glob("S2_T31UDS_*_SAMPLE"))
    items, cubes, times = [], {"B04": [], "B08": [], "SCL": []}, []
    for folder in folders:
        path = folder / f"{folder.name}.json"
        made = pystac.Item.from_file(str(path))
        made.make_asset_hrefs_absolute()
        items.append(made)
        times.append(pd.Timestamp(made.datetime))
        for band, layers in cubes.items():
            with rasterio.open(made.assets[band].href) as file:
                layers.append(file.read(1))
    cubes = {band: np.stack(layers) for band, layers in cubes.items()}
    cubes["SCL"] = cubes["SCL"].repeat(2, axis=1).repeat(2, axis=2)
    assert len(items) == 118
    return from_stac_items(items, ["B04", "B08", "SCL"]), cubes, pd.DatetimeIndex(times)


def clear_cube(cubes, dropped=gz.SCL_CLOUDS_AND_INVALID):
    """(T, 2, H, W) float64, NaN where it is not clear or without data."""
    cube = np.stack([cubes["B04"], cubes["B08"]], axis=1).astype(float)
    cube[(cube == 0) | np.isin(cubes["SCL"], dropped)[:, None]] = np.nan
    return cube


def nan_over_time(function, cube):
    out = np.full(cube.shape[1:], np.nan)
    some = ~np.isnan(cube).all(axis=0)
    out[some] = function(cube[:, some], axis=0)
    return out


def test_months_of_flanders_are_those_of_the_whole_cube(flanders, monkeypatch):
    monkeypatch.setattr(composites, "CHIP", 64)
    monkeypatch.setattr(composites, "STACK_BYTES", 12 * 2 * 4 * 32 * 32)
    catalog, cubes, times = flanders
    made = composite(catalog, ("B04", "B08"), every="1MS", count=True, **quiet)
    cube, months = clear_cube(cubes), times.strftime("%Y-%m-01T00:00:00+00:00")
    assert [start for start, _ in made.attrs["periods"]] == sorted(set(months))
    assert made.attrs["band_names"] == ["B04", "B08", "clear"]
    assert made.shape == (16, 3, 64, 64)
    for number, (start, _) in enumerate(made.attrs["periods"]):
        own = cube[months == start]
        np.testing.assert_allclose(
            made.values[number, :2], nan_over_time(np.nanmedian, own), rtol=1e-6
        )
        np.testing.assert_array_equal(
            made.values[number, 2], (~np.isnan(own).any(axis=1)).sum(axis=0)
        )
    assert made.transform == rasterio.Affine(10, 0, 501360, 0, -10, 5629680)


@pytest.mark.parametrize(
    ("reducer", "oracle"),
    [
        ("mean", np.nanmean),
        (gz.QuantileComposite(0.2), lambda cube, axis: np.nanquantile(cube, 0.2, axis=axis)),
        (gz.QuantileComposite(1.0), np.nanmax),
    ],
)
def test_statistics_of_all_dates_of_flanders(flanders, reducer, oracle):
    catalog, cubes, _ = flanders
    made = composite(catalog, ("B04", "B08"), reducer=reducer, **quiet)
    np.testing.assert_allclose(made.values, nan_over_time(oracle, clear_cube(cubes)), rtol=1e-5)


def test_the_greenest_pixel_and_its_date(flanders):
    catalog, cubes, times = flanders
    made = composite(
        catalog, ("B04", "B08"), reducer=gz.BestPixelComposite(gz.NDVI(), date_band=True), **quiet
    )
    cube = clear_cube(cubes)
    ndvi = (cube[:, 1] - cube[:, 0]) / (cube[:, 1] + cube[:, 0])
    best = np.nanargmax(ndvi, axis=0)
    for band in range(2):
        np.testing.assert_array_equal(
            made.values[band], np.take_along_axis(cube[:, band], best[None], 0)[0]
        )
    days = (times.tz_localize(None).normalize() - pd.Timestamp("1970-01-01")).days.to_numpy()
    np.testing.assert_array_equal(made.values[2], days[best])
    assert made.attrs["band_names"] == ["B04", "B08", "date"]


def test_clear_enough_scenes_only_and_only_those_are_opened(flanders, monkeypatch):
    catalog, cubes, times = flanders
    opened = []
    real = rasterio.open
    monkeypatch.setattr(
        "geocatalog.read.open.rasterio.open",
        lambda path, *a, **k: (opened.append(str(path)), real(path, *a, **k))[1],
    )
    made = composite(catalog, "B04", time="2018-06/2018-08", max_cloud_cover=20, mask=None, **quiet)
    cloud = np.isin(cubes["SCL"][:, ::2, ::2], (8, 9, 10)).mean(axis=(1, 2)) * 100
    chosen = (times >= "2018-06-01") & (times < "2018-09-01") & (cloud <= 20.005)
    assert len(opened) == len(set(opened)) == chosen.sum()
    np.testing.assert_allclose(made.values[0], np.median(cubes["B04"][chosen], axis=0), rtol=1e-6)


def mixed_items(folder):
    """Scenes of two baselines, on two tiles, one of 20 m and one in the neighbouring zone."""
    gap = dn(3)
    gap[2:4] = 0
    return [
        item(folder, "2022-01-10", {"B04": dn(0)}, baseline="03.01"),
        item(folder, "2022-02-10", {"B04": dn(1)}, baseline="04.00"),
        item(folder, "2022-02-12", {"B04": gap}, baseline="04.00", west=WEST + 40),
        item(folder, "2022-02-14", {"B04": dn(4, (3, 4))}, pixel={"B04": 20.0}),
    ]


def oracle_of_mixed(shape=(6, 12)):
    cube = np.full((4, *shape), np.nan)
    cube[0, :, :8] = dn(0)
    cube[1, :, :8] = dn(1) - 1000.0
    moved = dn(3) - 1000.0
    moved[2:4] = np.nan
    cube[2, :, 4:12] = moved
    cube[3, :, :8] = (dn(4, (3, 4)) - 1000.0).repeat(2, 0).repeat(2, 1)
    return cube


@pytest.mark.parametrize("dtype", ["float32", "uint16", "int32"])
@pytest.mark.parametrize("chip", [512, 4])
def test_mixed_baselines_tiles_and_pixel_sizes(tmp_path, monkeypatch, dtype, chip):
    monkeypatch.setattr(composites, "CHIP", chip)
    nodata = None if dtype == "float32" else 7
    made = composite(
        mixed_items(tmp_path),
        "B04",
        mask=None,
        every="1MS",
        count=True,
        dtype=dtype,
        nodata=nodata,
        **quiet,
    )
    cube = oracle_of_mixed()
    assert made.dtype == dtype
    for number, own in enumerate((cube[:1], cube[1:])):
        expected = nan_over_time(np.nanmedian, own)
        if dtype != "float32":
            expected = np.where(np.isnan(expected), 7, np.rint(expected))
        np.testing.assert_allclose(made.values[number, 0], expected, rtol=1e-6)
        np.testing.assert_array_equal(made.values[number, 1], (~np.isnan(own)).sum(axis=0))


def test_a_month_without_a_scene_is_there_without_data(tmp_path):
    items = [item(tmp_path, day, {"B04": dn(0)}) for day in ("2023-01-05", "2023-03-05")]
    made = composite(items, "B04", mask=None, every="1MS", count=True, dtype="uint16", **quiet)
    assert made.shape[0] == 3
    assert (made.values[1] == 0).all()
    assert made.fill_value_default == 0


def test_scenes_of_two_zones_lie_on_the_grid_that_is_asked_for(tmp_path):
    """A plane in map coordinates: wherever a pixel comes from, its value tells its place."""

    def plane(west, pixel=10.0, side=60):
        x = west + pixel * (np.arange(side) + 0.5) - 200_000
        return np.broadcast_to((x / 20).astype("uint16"), (side, side)).copy()

    west_of_zone = 800_000.0 - 300
    here = item(
        tmp_path, "2023-06-01", {"B04": plane(west_of_zone)}, west=west_of_zone, baseline="03.01"
    )
    (x,), (y,) = rasterio.warp.transform(f"EPSG:{EPSG}", "EPSG:32633", [west_of_zone], [NORTH])
    other = write_other(tmp_path, round(x, -1), round(y, -1))
    grid = grid_of(20, 20, west=west_of_zone + 200, north=NORTH - 200)
    made = composite([here, other], "B04", area=grid, mask=None, count=True, **quiet)
    assert made.values[1].min() == 2
    assert (made.transform, str(made.crs)) == (grid.transform, f"EPSG:{EPSG}")
    alone = composite([other], "B04", area=grid, mask=None, **quiet).values[0]
    assert np.abs(alone - 500).max() == 0


def write_other(folder, west, north):
    values = np.full((80, 80), 500, "uint16")
    made = item(
        folder, "2023-06-02", {"B04": values}, west=west - 100, epsg=32633, baseline="03.01"
    )
    path = folder / "moved.tif"
    write(path, values, west=west - 100, north=north + 100, epsg=32633)
    asset = made.assets["B04"]
    asset.href = str(path)
    asset.extra_fields["proj:transform"] = [10.0, 0, west - 100, 0, -10.0, north + 100]
    return made


def test_a_polygon_has_data_where_pixels_centres_lie_in_it(tmp_path):
    items = [item(tmp_path, "2023-06-01", {"B04": dn(0)}, baseline="03.01")]
    triangle = shapely.Polygon([(WEST, NORTH), (WEST + 80, NORTH), (WEST, NORTH - 60)])
    made = composite(
        items, "B04", area=gpd.GeoSeries([triangle], crs=EPSG), mask=None, count=True, **quiet
    )
    rows, cols = np.mgrid[:6, :8] + 0.5
    inside = shapely.contains_xy(triangle, WEST + 10 * cols, NORTH - 10 * rows)
    np.testing.assert_array_equal(made.values[0], np.where(inside, dn(0), np.nan))
    np.testing.assert_array_equal(made.values[1], np.where(inside, 1, np.nan))
    same = composite(items, "B04", area=triangle, area_crs=EPSG, mask=None, count=True, **quiet)
    np.testing.assert_array_equal(same.values, made.values)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_files_hold_what_memory_holds(tmp_path, monkeypatch, scheduler, suffix):
    monkeypatch.setattr(composites, "CHIP", 32)
    items = [
        item(
            tmp_path, f"2023-06-0{day}", {"B04": dn(day, (100, 70)), "B08": dn(day + 20, (100, 70))}
        )
        for day in range(1, 6)
    ]
    whole = composite(items, ("B04", "B08"), mask=None, count=True, **quiet)
    target = tmp_path / f"out{suffix}"
    made = composite(
        items, ("B04", "B08"), mask=None, count=True, target=target, workers=2, scheduler=scheduler,
        journal=tmp_path / "run.jsonl", **quiet,
    )  # fmt: skip
    values = made.load().values if suffix == ".tif" else made.values
    np.testing.assert_array_equal(values, whole.values)
    assert list(made.attrs["band_names"]) == ["B04", "B08", "clear"]


def test_a_journal_knows_another_reducer_and_a_changed_file(tmp_path):
    items = [item(tmp_path, f"2023-06-0{day}", {"B04": dn(day)}) for day in (1, 2)]
    run = {"mask": None, "target": tmp_path / "a.tif", "journal": tmp_path / "a.jsonl", **quiet}
    first = composite(items, "B04", **run).load().values
    again = composite(items, "B04", **run).load().values
    np.testing.assert_array_equal(first, again)
    with pytest.raises(ValueError, match="belongs to another run"):
        composite(items, "B04", reducer="mean", **run)
    write(items[0].assets["B04"].href, dn(7))
    with pytest.raises(ValueError, match="belongs to another run"):
        composite(items, "B04", **run)


def test_one_cog_for_each_period(tmp_path):
    items = [
        item(tmp_path, day, {"B04": dn(k)}, baseline="03.01")
        for k, day in enumerate(("2023-06-01", "2023-07-01"))
    ]
    made = composite(
        items, "B04", every="1MS", mask=None, target=tmp_path / "m_{period}.tif", **quiet
    )
    assert sorted(path.name for path in tmp_path.glob("m_*")) == [
        "m_2023-06-01.tif",
        "m_2023-07-01.tif",
    ]
    for seed, reader in enumerate(made):
        np.testing.assert_array_equal(reader.load().values[0], dn(seed))


def test_no_input_is_written_over(tmp_path):
    items = [item(tmp_path, "2023-06-01", {"B04": dn(0)})]
    with pytest.raises(ValueError, match="B04"):
        composite(items, "B04", mask=None, target=items[0].assets["B04"].href, **quiet)


def test_a_folder_of_geotiffs_and_a_field_that_is_cut_by_a_patcher(tmp_path):
    stack = np.stack([dn(day, (40, 50)) for day in range(3)]).astype("float32")
    paths = [
        write(tmp_path / f"a_2023060{day + 1}.tif", layer, nodata=-1)
        for day, layer in enumerate(stack)
    ]
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    made = composite(catalog, mask=None, **quiet)
    np.testing.assert_allclose(made.values[0], np.median(stack, axis=0), rtol=1e-6)
    field = composites.field_of(catalog, mask=None)
    assert isinstance(field, CompositeField)
    part = field.select(Window(10, 20, 7, 5))
    np.testing.assert_array_equal(part.values, made.values[:, 20:25, 10:17])


def test_any_operator_masks_and_reduces(tmp_path):
    items = [
        item(tmp_path, f"2023-06-0{day}", {"B04": dn(day), "B08": dn(day + 9)}) for day in (1, 2, 3)
    ]
    bright = gz.MaskWhere(">", 2500, band="B04")
    made = composite(
        items,
        "B08",
        mask=bright,
        mask_bands=("B04",),
        reducer=gz.ClearCount(),
        nodata=255,
        dtype="uint8",
        **quiet,
    )
    expected = sum((dn(day) - 1000 <= 2500).astype(int) for day in (1, 2, 3))
    np.testing.assert_array_equal(made.values[0], expected)
    assert made.attrs["band_names"] == ["clear"]


def test_a_score_that_looks_around_sees_beyond_its_chip(tmp_path, monkeypatch):
    items = [item(tmp_path, f"2023-06-0{day}", {"B04": dn(day, (40, 40))}) for day in (1, 2, 3)]
    best = gz.BestPixelComposite(gz.SelectBands(["B04"]) | gz.FocalMean(5))
    whole = composite(items, "B04", mask=None, reducer=best, **quiet)
    monkeypatch.setattr(composites, "CHIP", 16)
    chips = composite(items, "B04", mask=None, reducer=best, **quiet)
    np.testing.assert_array_equal(chips.values, whole.values)


def test_chips_are_lower_where_many_periods_are_wide(tmp_path):
    field = composites.field_of([item(tmp_path, "2023-06-01", {"B04": dn(0)})], "B04", mask=None)
    assert field.patcher.geometry.size == (512, 512)
    field.domain = type(field.domain)((48, 10980, 10980))
    assert field.patcher.geometry.size == (128, 512)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"reducer": "middle"}, "reducer must be one of 'median', 'mean', 'geometric median'"),
        ({"every": "1ME"}, "told by its start"),
        ({"every": "fortnight"}, "every must be a period"),
        ({"every": "1MS", "target": "a.tif"}, "write '{period}' into its name"),
        ({"dtype": "uint8", "nodata": -1}, "nodata -1 does not fit uint8"),
        ({"nodata": 5}, "floats have no data where they are NaN"),
        ({"dtype": "complex64"}, "dtype must be of floats or integers"),
        ({"mask": gz.SCL_CLOUDS}, "no asset 'SCL'"),
        ({"area": shapely.Point(9, 46)}, "area must cover something"),
        ({"max_cloud_cover": 5}, "cloudier than 5"),
        ({"time": "1999"}, "no row"),
        ({"every": "0D"}, "every must be a period"),
        ({"every": "-1D"}, "every must be a period"),
        ({"every": 5}, "every must be a period"),
        ({"every": "ns"}, "every must be a period"),
        ({"same_pass": "ten"}, "same_pass must be a time"),
        ({"same_pass": 10}, "same_pass must be a time"),
        ({"same_pass": "-5min"}, "same_pass must be a time"),
        ({"mask": "SCL"}, "mask must be SCL classes"),
        ({"mask": 8}, "mask must be SCL classes"),
        ({"mask": gz.MaskWhere(">", 1, band="B04"), "mask_bands": "B05"}, "no asset 'B05'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, asked, message):
    items = [item(tmp_path, "2023-06-01", {"B04": dn(0)}, cloud=60.0)]
    with pytest.raises(CatalogError, match=message):
        composite(items, "B04", **{"mask": None, **quiet, **asked})


@pytest.mark.parametrize("bands", [[], ["B04", "B04"]])
def test_bands_are_asked_for_once_each(tmp_path, bands):
    with pytest.raises(CatalogError, match="bands must name at least one band, and each once"):
        composite([item(tmp_path, "2023-06-01", {"B04": dn(0)})], bands, mask=None, **quiet)


@pytest.mark.parametrize(("every", "count"), [("1MS", 3), ("QS", 1), ("10D", 8), ("YS", 1)])
def test_periods_hold_every_scene_once(every, count, tmp_path):
    days = ("2023-01-05", "2023-02-01", "2023-03-20")
    scenes = scenes_of([item(tmp_path, day, {"B04": dn(0)}) for day in days])
    periods = periods_of(scenes, every)
    assert len(periods) == count
    for scene in scenes:
        assert sum(start <= scene.time < stop for start, stop in periods) == 1
    assert all(one[1] == other[0] for one, other in pairwise(periods))


def test_a_slice_gives_grid_and_time(tmp_path):
    items = [
        item(tmp_path, f"2023-06-0{day}", {"B04": dn(day)}, baseline="03.01") for day in (1, 5)
    ]
    asked = GeoSlice(
        (WEST + 10, NORTH - 40, WEST + 50, NORTH - 10), "2023-06-04/2023-06-06", 10, EPSG
    )
    made = composite(items, "B04", area=asked, mask=None, **quiet)
    np.testing.assert_array_equal(made.values[0], dn(5)[1:4, 1:5])


def test_items_may_be_read_from_json(tmp_path):
    made = item(tmp_path, "2023-06-01", {"B04": dn(0)}, baseline="03.01")
    path = Path(tmp_path / "item.json")
    path.write_text(json.dumps(made.to_dict()))
    again = composite([pystac.Item.from_file(str(path))], "B04", mask=None, **quiet)
    np.testing.assert_array_equal(again.values[0], dn(0))


@pytest.mark.parametrize("reducer", ["median", "mean", "geometric median"])
@pytest.mark.parametrize(
    ("stored", "dtype"), [("int32", "int32"), ("uint32", "float64"), ("float64", "float64")]
)
def test_wide_numbers_keep_their_digits(tmp_path, stored, dtype, reducer):
    values = (np.arange(48).reshape(6, 8) + 16_777_217.25).astype(stored)
    paths = [
        write(tmp_path / f"a_2024060{k}.tif", values + np.dtype(stored).type(k)) for k in (1, 2, 3)
    ]
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    made = composite(catalog, mask=None, reducer=reducer, dtype=dtype, **quiet)
    np.testing.assert_allclose(made.values[0], values + 2.0, rtol=0, atol=1e-3)


def test_periods_of_one_day_do_not_write_over_each_other(tmp_path):
    items = [item(tmp_path, f"2023-06-01T{hour}:00", {"B04": dn(0)}) for hour in ("01", "13")]
    with pytest.raises(CatalogError, match=r"several periods begin on 2023-06-01; give a \.zarr"):
        composite(items, "B04", every="12h", mask=None, target=tmp_path / "m_{period}.tif", **quiet)
    folder = tmp_path / "{tile}"
    folder.mkdir()
    composite(items, "B04", every="1MS", mask=None, target=folder / "m_{period}.tif", **quiet)
    assert (folder / "m_2023-06-01.tif").exists()


def test_the_grid_has_the_pixel_size_of_most_scenes(tmp_path):
    items = [item(tmp_path, "2023-06-01", {"B04": dn(0, (3, 4))}, pixel={"B04": 20.0})]
    items += [item(tmp_path, f"2023-06-0{day}", {"B04": dn(day)}) for day in (2, 3)]
    made = composite(items, "B04", mask=None, **quiet)
    assert made.transform == rasterio.Affine(10, 0, WEST, 0, -10, NORTH)


def test_a_journal_knows_another_baseline_and_another_date(tmp_path):
    made = item(tmp_path, "2023-06-01", {"B04": dn(0)})
    run = {"mask": None, "target": tmp_path / "a.tif", "journal": tmp_path / "a.jsonl", **quiet}
    composite([made], "B04", **run)
    for name, other in (("s2:processing_baseline", "03.01"), ("eo:cloud_cover", 5.0)):
        changed = made.clone()
        changed.properties[name] = other
        with pytest.raises(ValueError, match="belongs to another run"):
            composite([changed], "B04", **run)


ACROSS = shapely.MultiPolygon([shapely.box(175, 0, 180, 10), shapely.box(-180, 0, -175, 10)])


@pytest.mark.parametrize("chip", [4, 512])
@pytest.mark.parametrize(
    "area",
    [
        (175, 0, -175, 10),
        (175, 0, 185, 10),
        GeoSlice((175, 0, -175, 10), None, 1),
        ACROSS,
        gpd.GeoSeries([ACROSS], crs=4326),
        shapely.box(175, 0, 185, 10),
    ],
    ids=["box", "beyond", "slice", "halves", "series", "polygon"],
)
def test_an_area_across_the_antimeridian_has_both_sides(tmp_path, monkeypatch, area, chip):
    monkeypatch.setattr(composites, "CHIP", chip)
    place = {"pixel": 1.0, "north": 10.0, "epsg": 4326}
    sides = [dn(1, (10, 10)), dn(2, (10, 10))]
    paths = [
        write(tmp_path / f"{west}_20240601.tif", values, west=west, **place)
        for west, values in zip((170.0, -180.0), sides, strict=True)
    ]
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    made = composite(catalog, mask=None, area=area, count=True, **quiet)
    expected = np.concatenate(sides, axis=1)[:, 5:15]
    np.testing.assert_array_equal(made.values, [expected, np.ones((10, 10))])
    assert made.transform[2] == 175
    whole = composite(catalog, mask=None, **quiet)
    np.testing.assert_array_equal(whole.values[0], np.concatenate(sides, axis=1))


def test_scenes_beside_the_area_make_no_period_and_no_date(tmp_path):
    items = [
        item(tmp_path, day, {"B04": dn(0)}, west=WEST + east, baseline="03.01")
        for day, east in (("2023-06-01", 0), ("2023-09-01", 5000))
    ]
    area = {"area": (WEST, NORTH - 60, WEST + 80, NORTH), "area_crs": EPSG}
    made = composite(items, "B04", mask=None, **area, **quiet)
    assert (made.attrs["scenes"], made.attrs["end_datetime"][:10]) == (1, "2023-06-01")
    months = composite(items, "B04", mask=None, every="1MS", **area, **quiet)
    assert [start[:7] for start, _ in months.attrs["periods"]] == ["2023-06"]
    beyond = (WEST + 9000, NORTH - 60, WEST + 9080, NORTH)
    with pytest.raises(CatalogError, match="touches the area"):
        composite(items, "B04", mask=None, area=beyond, area_crs=EPSG, **quiet)


@pytest.mark.parametrize("chip", [4, 512])
def test_passes_are_those_of_all_scenes_whatever_part_is_read(tmp_path, monkeypatch, chip):
    """The first begins a pass that the second joins and the third does not."""
    monkeypatch.setattr(composites, "CHIP", chip)
    items = [
        item(tmp_path, f"2023-05-31T23:{minute}", {"B04": dn(0, (4, 16))}, west=WEST + east)
        for minute, east in ((44, 0), (52, 200), (58, 280))
    ]
    items.append(item(tmp_path, "2023-06-01T00:03", {"B04": dn(0, (4, 16))}, west=WEST + 280))
    grid = grid_of(4, 44)
    made = composite(
        items, "B04", area=grid, mask=None, count=True, every="1MS", same_pass="10min", **quiet
    )
    clear = np.zeros(44)
    clear[:16] += 1
    clear[20:36] += 1
    clear[28:44] += 1
    np.testing.assert_array_equal(made.values[0, 1], np.tile(clear, (4, 1)))
    assert (made.values[1, 1] == 0).all()


def test_polygons_that_cross_themselves_are_mended(tmp_path):
    items = [item(tmp_path, "2023-06-01", {"B04": dn(0)}, baseline="03.01")]
    bow = shapely.Polygon(
        [(WEST, NORTH - 60), (WEST + 60, NORTH), (WEST + 60, NORTH - 60), (WEST, NORTH)]
    )
    whole = shapely.make_valid(bow)
    for area, known in (
        (gpd.GeoSeries([bow], crs=EPSG), gpd.GeoSeries([whole], crs=EPSG)),
        (gpd.GeoSeries([bow, None], crs=EPSG), gpd.GeoSeries([whole], crs=EPSG)),
    ):
        ours, theirs = (composite(items, "B04", area=a, mask=None, **quiet) for a in (area, known))
        np.testing.assert_array_equal(ours.values, theirs.values)
        assert np.isfinite(ours.values).any()


CUBES = [("EPSG:32632", 10.0, WEST, NORTH), ("EPSG:4326", 0.001, 9.0, 46.0)]


@pytest.mark.parametrize(("crs", "pixel", "west", "north"), CUBES)
@pytest.mark.parametrize(("every", "dtype"), [("1MS", "float32"), ("36h", "uint16")])
def test_xarray_and_gdal_agree_on_the_place_and_the_time_of_a_cube(
    tmp_path, crs, pixel, west, north, every, dtype
):
    epsg = int(crs.split(":")[1])
    place = {"west": west, "north": north, "pixel": pixel, "epsg": epsg}
    paths = [
        write(tmp_path / f"a_{day}.tif", dn(k, (30, 40)), **place)
        for k, day in enumerate(("20230110", "20230204", "20230225"))
    ]
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    memory = composite(catalog, mask=None, every=every, count=True, dtype=dtype, **quiet)
    target = tmp_path / "cube.zarr"
    composite(
        catalog, mask=None, every=every, count=True, dtype=dtype, target=target, chunks="series", **quiet
    )  # fmt: skip
    assert add_overviews(target, (2,)) == ["overview_2"]
    starts = pd.DatetimeIndex([start for start, _ in memory.attrs["periods"]]).tz_localize(None)

    with xr.open_zarr(target, consolidated=False, mask_and_scale=False) as cube:
        assert cube.data.dims == ("time", "band", "y", "x")
        np.testing.assert_array_equal(cube.data.values, memory.values)
        assert (cube.time.to_index() == starts).all()
        np.testing.assert_array_equal(cube.time_bnds[1:, 0].values, cube.time_bnds[:-1, 1].values)
        assert cube.band.attrs["flag_meanings"] == "band_1 clear"
        assert cube.data.rio.crs == rasterio.CRS.from_user_input(crs)
        by_xarray = cube.data.rio.transform(recalc=True)
    np.testing.assert_allclose(by_xarray[:6], memory.transform[:6], rtol=1e-9)

    with rasterio.open(f'ZARR:"{as_gdal_knows_it(target)}":/data') as file:
        assert file.crs == rasterio.CRS.from_user_input(crs)
        np.testing.assert_allclose(file.transform[:6], memory.transform[:6], rtol=1e-9)
        assert file.count == len(starts) * 2
        np.testing.assert_array_equal(file.read(), memory.values.reshape(-1, 30, 40))
        times = []
        for number in range(1, file.count + 1, 2):
            told = file.tags(number)
            unit, _, origin = told["DIM_time_UNIT"].partition(" since ")
            times.append(pd.Timestamp(origin) + pd.Timedelta(int(told["DIM_time_VALUE"]), unit))
        assert (pd.DatetimeIndex(times) == starts).all()

    with (
        xr.open_zarr(target, group="overview_2", consolidated=False, mask_and_scale=False) as half,
        rasterio.open(f'ZARR:"{as_gdal_knows_it(target)}":/overview_2/data') as file,
    ):
        twice = memory.transform * rasterio.Affine.scale(2)
        np.testing.assert_allclose(half.data.rio.transform(recalc=True)[:6], twice[:6], rtol=1e-9)
        np.testing.assert_allclose(file.transform[:6], twice[:6], rtol=1e-9)
        assert file.crs == half.data.rio.crs == rasterio.CRS.from_user_input(crs)
        np.testing.assert_array_equal(file.read(), half.data.values.reshape(-1, 15, 20))
        assert (half.time.to_index() == starts).all()


def as_gdal_knows_it(store):
    """A copy whose codec of bytes has the name that GDAL knew it by before 3.11."""
    copy = store.with_name("gdal.zarr")
    shutil.copytree(store, copy, dirs_exist_ok=True)
    if tuple(map(int, rasterio.__gdal_version__.split(".")[:2])) < (3, 11):
        for file in copy.rglob("zarr.json"):
            file.write_text(file.read_text().replace('"bytes"', '"endian"'))
    return copy


@pytest.mark.parametrize("first", [-185, -180, -175, 0, 175, 178, 350])
@pytest.mark.parametrize("begin", [-180, 0])
def test_scenes_are_found_however_longitudes_are_counted(tmp_path, first, begin):
    """Two halves of the globe, whose pixels hold their longitude: each is found at any count."""
    paths = []
    for half in (0, 1):
        lon = begin + 180 * half + np.arange(180) + 0.5
        values = np.broadcast_to((lon + 180) % 360 - 180, (1, 4, 180)).astype("float32")
        place = Affine(1, 0, begin + 180 * half, 0, -1, 2)
        paths.append(tmp_path / f"{half}_20240601.tif")
        gz.write_cog(GeoTensor(values, place, "EPSG:4326", np.nan), paths[-1])
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})")
    area = GeoSlice((first, -2, first + 10, 2), None, 1, 4326)
    made = composite(catalog, area=area, mask=None, progress=False).values[0]
    wanted = (first + np.arange(10) + 0.5 + 180) % 360 - 180
    np.testing.assert_array_equal(made, np.broadcast_to(wanted, made.shape))


@pytest.mark.parametrize("begin", [-180, 0])
def test_an_area_across_the_antimeridian_is_as_wide_as_it_is(tmp_path, begin):
    lon = begin + np.arange(360) + 0.5
    values = np.broadcast_to((lon + 180) % 360 - 180, (1, 4, 360)).astype("float32")
    path = tmp_path / "a_20240601.tif"
    gz.write_cog(GeoTensor(values, Affine(1, 0, begin, 0, -1, 2), "EPSG:4326", np.nan), path)
    catalog = build_raster_catalog([path], r"_(?P<date>\d{8})")
    halves = [shapely.box(175, -2, 180, 2), shapely.box(-180, -2, -175, 2)]
    for area in ((175, -2, -175, 2), (175, -2, 185, 2), shapely.MultiPolygon(halves)):
        made = composite(catalog, area=area, mask=None, progress=False)
        assert made.shape == (1, 4, 10)
        wanted = (175 + np.arange(10) + 0.5 + 180) % 360 - 180
        np.testing.assert_array_equal(made.values[0], np.broadcast_to(wanted, (4, 10)))
