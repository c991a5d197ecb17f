"""Series over polygons: against exactextract on files as they come, and against geometry."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from dated_scenes import EPSG, NORTH, WEST, dn, item, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio import Affine
from waiting import until

import geotoolz as gz
import geotoolz.zone_pass
import geotoolz.zones
from geocatalog import CatalogError, build_raster_catalog, from_stac_items
from geotoolz import zonal

DATED = r"_(?P<date>\d{8})"
HAS_EXACTEXTRACT = importlib.util.find_spec("exactextract") is not None
needs_exactextract = pytest.mark.skipif(not HAS_EXACTEXTRACT, reason="exactextract is not here")
ALL = ("count", "mean", "std", "min", "max", "sum")


def catalog_of(*paths):
    return build_raster_catalog([str(path) for path in paths], DATED, progress=False)


def series_of(catalog, polygons, *args, **how):
    return zonal(catalog, polygons, *args, progress=False, **how)


def exact(values, polygons, west=WEST, north=NORTH, pixel=10.0):
    """exactextract's statistics of (rows, cols) numbers, NaN being missing; by polygon."""
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    rows, cols = values.shape
    source = NumPyRasterSource(
        values.astype(float),
        xmin=west,
        ymax=north,
        xmax=west + pixel * cols,
        ymin=north - pixel * rows,
    )
    asked = ["count", "mean", "stdev", "min", "max", "sum"]
    some = [each if not each.is_empty else shapely.box(0, 0, 1, 1) for each in polygons]
    table = gpd.GeoDataFrame(geometry=some, crs=EPSG)
    found = exact_extract(source, table, asked, output="pandas")
    return found.set_axis(list(ALL), axis=1)


def awkward_polygons(rng, side: float):
    """Stars with holes, several parts, slivers, touching, outside, inside out; around (0, 0)."""

    def star(points=9):
        angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
        reach = rng.uniform(0.1, 0.5) * side * rng.uniform(0.4, 1, points)
        x, y = rng.uniform(0, side, 2)
        return shapely.Polygon(np.stack([x + reach * np.cos(angle), y - reach * np.sin(angle)], 1))

    holed = star()
    holed = holed - holed.centroid.buffer(side / 30)
    x, y = rng.uniform(0, side, 2)
    return [
        shapely.make_valid(star()),
        holed,
        shapely.MultiPolygon([shapely.box(1, 1, 9, 14), shapely.box(22.5, 3, 28, 17)]),
        shapely.box(x, y, x + 0.7, y + 43),
        shapely.box(x, y, x + 0.02, y + 0.03),
        shapely.box(-50, -50, -10, side),
        shapely.box(-1000, -1000, -900, -900),
        shapely.Polygon([(0, 0), (30, 30), (30, 0), (0, 30)]),
        shapely.Polygon(),
    ]


@needs_exactextract
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"]),
    st.sampled_from(["none", "nodata", "mask", "nan"]),
    st.booleans(),
)
def test_any_file_and_polygon_give_what_exactextract_gives(
    tmp_path, seed, dtype, missing, south_up
):
    rng = np.random.default_rng(seed)
    shape = rng.integers(3, 12, 2)
    numbers = rng.integers(1, 120, shape).astype(dtype)
    gone = rng.random(shape) < 0.2
    if missing == "nan" and numbers.dtype.kind != "f":
        missing = "none"
    stored = numbers.copy()
    if missing == "nodata":
        stored[gone] = 0
    elif missing == "nan":
        stored[gone] = np.nan
    path = tmp_path / f"a_20240601_{seed}_{dtype}_{missing}_{south_up}.tif"
    write(path, stored, nodata=0 if missing == "nodata" else None, south_up=south_up)
    if missing == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask((~gone[::-1] if south_up else ~gone).astype("uint8") * 255)
    truth = np.where(gone & (missing != "none"), np.nan, numbers)
    polygons = [
        shapely.transform(each, lambda xy: xy * [1, -1] + [WEST, NORTH])
        for each in awkward_polygons(rng, 10.0 * max(shape))
    ]
    names = [f"zone {n}" for n in range(len(polygons))]
    table = gpd.GeoSeries(polygons, index=names, crs=EPSG)
    ours = series_of(catalog_of(path), table, statistics=(*ALL, "clear"), workers=1)
    ours = ours.set_index("zone")
    valid = [shapely.make_valid(each) for each in polygons]
    theirs = exact(truth, valid).set_axis(names)
    covered = [n for n in names if exact(np.ones(shape), valid).set_axis(names)["count"][n] > 1e-9]
    assert set(covered) <= set(ours.index) <= set(names)
    for name in ours.index:
        expected = theirs.loc[name]
        if expected["count"] < 1e-9:
            assert ours["count"][name] == 0
            continue
        for column in ALL:
            assert ours[column][name] == pytest.approx(
                expected[column], rel=1e-6, abs=1e-6, nan_ok=True
            ), (name, column)
        area = valid[names.index(name)].area / 100
        assert ours["clear"][name] == pytest.approx(min(expected["count"] / area, 1), rel=1e-6)


@pytest.mark.parametrize("pixel", [10.0, 7.3, 30.0])
def test_pixels_that_a_zone_touches_by_rounding_are_not_its_own(tmp_path, pixel):
    """Zones of whole pixels, as they are drawn from a map of the same grid."""
    values = np.random.default_rng(0).normal(0, 100, (9, 12)).astype("float32")
    west, north = WEST + pixel * 0.3287613, NORTH + 1.2345
    write(tmp_path / "a_20240301.tif", values, pixel=pixel, west=west, north=north, nodata=None)
    zones = {
        (top, left): shapely.box(
            west + left * pixel,
            north - (top + 2) * pixel,
            west + (left + 3) * pixel,
            north - top * pixel,
        )
        for top in range(1, 6)
        for left in range(1, 8)
    }
    polygons = gpd.GeoSeries([*zones.values()], crs=EPSG)
    found = series_of(
        catalog_of(tmp_path / "a_20240301.tif"), polygons, statistics=("min", "max", "median")
    )
    own = [values[top : top + 2, left : left + 3] for top, left in zones]
    for name, function in {"min": np.min, "max": np.max, "median": np.median}.items():
        np.testing.assert_allclose(found[name], [function(each) for each in own], rtol=1e-4)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3035"])
def test_a_zone_has_the_same_pixels_whichever_others_are_looked_up_with_it(crs):
    """To the last bit: passes come in another order on other threads, or in a run that goes on."""
    rng = np.random.default_rng(4)
    places, sizes = rng.random((8, 2)) * [3, 2] + [7.5, 46], rng.random(8) * 0.02
    shapes = [shapely.Point(at).buffer(by) for at, by in zip(places, sizes, strict=True)]
    polygons = gpd.GeoSeries([*shapes, shapely.box(-0.01, -0.01, 0.013, 0.02)], crs=4326)
    pixel = 0.0003 if crs == "EPSG:4326" else 30
    lattice = gz.zones.Lattice(crs, Affine(pixel, 0, 0, 0, -pixel, 0))
    everywhere = gz.zones.Window(-(10**9), -(10**9), 10**9, 10**9)
    together = gz.zones.Zones(polygons).cells(lattice, everywhere, np.arange(9))
    one_by_one = gz.zones.Zones(polygons)
    for number in rng.permutation(9).tolist():
        alone = one_by_one.cells(lattice, everywhere, np.array([number]))
        for one, other in zip(alone[2:], together.part(number, number + 1)[2:], strict=True):
            assert one.tobytes() == other.tobytes()


def test_rows_are_long_sorted_and_say_where(tmp_path):
    paths = [write(tmp_path / f"a_2024060{d}.tif", dn(d)) for d in (3, 1)]
    table = gpd.GeoDataFrame(
        {"crop": ["rye", "oats"]},
        geometry=[shapely.box(WEST + 15, NORTH - 40, WEST + 60, NORTH - 5)] * 2,
        index=["b", "a"],
        crs=EPSG,
    )
    found = series_of(catalog_of(*paths), table)
    assert list(found.columns) == ["zone", "date", "band", "mean", "count", "clear", "geometry"]
    assert found["zone"].tolist() == ["b", "a", "b", "a"]
    assert found["date"].dt.strftime("%m-%d").tolist() == ["06-01", "06-01", "06-03", "06-03"]
    assert str(found["date"].dtype).endswith("UTC]")
    assert (found.geometry == table.geometry.iloc[0]).all()
    assert found.crs == table.crs
    assert found["count"].tolist() == pytest.approx([4.5 * 3.5] * 4)
    assert (found["clear"] == 1).all()


def test_polygons_in_degrees_are_laid_on_the_scenes_own_pixels(tmp_path):
    path = write(tmp_path / "a_20240601.tif", dn(5, (30, 30)))
    field = gpd.GeoSeries([shapely.box(WEST + 33, NORTH - 207, WEST + 181, NORTH - 64)], crs=EPSG)
    own = series_of(catalog_of(path), field, statistics=ALL)
    moved = series_of(catalog_of(path), field.to_crs(4326), statistics=ALL)
    for name in ALL:
        assert moved[name][0] == pytest.approx(own[name][0], rel=1e-6)


@pytest.mark.parametrize("first", [-180.0, 0.0])
def test_a_polygon_across_the_antimeridian_is_one_zone(tmp_path, first):
    values = np.arange(18 * 36, dtype="float32").reshape(18, 36)
    place = Affine(10, 0, first, 0, -10, 90)
    rolled = np.roll(values, 18, axis=1) if first == 0 else values
    profile = {"driver": "GTiff", "count": 1, "height": 18, "width": 36, "dtype": "float32"}
    path = tmp_path / "globe_20240601.tif"
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, **profile) as file:
        file.write(rolled, 1)
    halves = shapely.MultiPolygon([shapely.box(165, 0, 180, 20), shapely.box(-180, 0, -172, 20)])
    table = gpd.GeoSeries(
        [halves, shapely.box(165, 0, 188, 20), shapely.box(-195, 0, -172, 20)], crs=4326
    )
    found = series_of(catalog_of(path), table, statistics=("count", "mean", "clear"))
    weights = np.array([0.5, 1.0, 0.8])
    rows = values[7:9][:, [34, 35, 0]]
    assert found["count"].tolist() == pytest.approx([4.6] * 3)
    assert found["mean"].tolist() == pytest.approx([(rows * weights).sum() / 4.6] * 3)
    assert found["clear"].tolist() == pytest.approx([1.0] * 3)


def test_overlapping_tiles_of_a_pass_are_counted_once_and_fill_each_others_clouds(tmp_path):
    west, east = dn(1, (20, 30)), dn(2, (20, 30))
    east[:, :10] = west[:, 20:]
    west[3:6, 22:27] = 0  # cloudy in the first tile, clear in the second
    paths = [
        write(tmp_path / "w_20240601.tif", west),
        write(tmp_path / "x_20240601.tif", east, west=WEST + 200),
    ]
    whole = np.concatenate([west[:, :20], east], axis=1)
    polygons = [
        shapely.box(WEST + a, NORTH - 137, WEST + b, NORTH - 21)
        for a, b in [(5, 95), (155, 345), (215, 283)]
    ]
    table = gpd.GeoSeries(polygons, crs=EPSG)
    found = series_of(catalog_of(*paths), table, statistics=(*ALL, "clear"))
    assert found["zone"].tolist() == [0, 1, 2]
    assert found["clear"].tolist() == pytest.approx([1.0] * 3)
    if HAS_EXACTEXTRACT:
        theirs = exact(whole, polygons)
        for name in ALL:
            assert found[name].tolist() == pytest.approx(theirs[name].tolist(), rel=1e-6)
    alone = series_of(catalog_of(*paths), table, same_pass=None)
    assert len(alone) == 5


def test_a_zone_in_two_utm_zones_is_counted_once(tmp_path):
    """Two tiles of one pass that overlap, each on its own UTM zone: one is 1, the other 2."""
    size = 400
    near = gpd.GeoSeries([shapely.Point(12.0, 46.0)], crs=4326)
    x32, y = near.to_crs(32632)[0].coords[0]
    x33, y33 = near.to_crs(32633)[0].coords[0]
    ones, twos = (np.full((size, size), v, "float32") for v in (1, 2))
    # The first ends 500 m east of the point, the second begins 300 m east of it.
    left, right = round(x32 + 500, -1) - 10 * size, round(x33 + 300, -1)
    paths = [
        write(
            tmp_path / "a_20240601.tif",
            ones,
            epsg=32632,
            west=left,
            north=round(y, -1) + 2000,
            nodata=None,
        ),
        write(
            tmp_path / "b_20240601.tif",
            twos,
            epsg=32633,
            west=right,
            north=round(y33, -1) + 2000,
            nodata=None,
        ),
    ]
    catalog = build_raster_catalog(paths, DATED, target_crs=4326, progress=False)

    def square(east, half):
        return shapely.box(x32 + east - half, y - half, x32 + east + half, y + half)

    table = gpd.GeoSeries(
        [square(-1000, 100), square(400, 50), square(400, 300), square(1500, 100)], crs=32632
    )
    found = series_of(
        catalog, table.to_crs(4326), statistics=("mean", "count", "clear", "q50", "max")
    )
    assert found["zone"].tolist() == [0, 1, 2, 3]
    assert found["clear"].tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    assert found["mean"][[0, 1, 3]].tolist() == pytest.approx([1, 1, 2])
    first = (left + 10 * size - (x32 + 100)) / 600
    assert found["mean"][2] == pytest.approx(first + 2 * (1 - first), abs=1e-4)
    assert found["count"][2] == pytest.approx(3600, rel=2e-3)


def test_masks_offsets_and_roles_go_with_each_scene(tmp_path):
    values, scl = dn(3), np.full((6, 8), 4, "uint8")
    scl[:3] = 9
    scl[5] = 5
    items = [
        item(tmp_path, day, {"B04": values, "SCL": scl}, baseline=baseline)
        for day, baseline in [("2021-06-01", "03.01"), ("2023-06-01", "05.09")]
    ]
    field = gpd.GeoSeries([shapely.box(WEST, NORTH - 60, WEST + 80, NORTH)], crs=EPSG)
    how = {"mask": gz.SCL_CLOUDS_AND_INVALID, "statistics": ("mean", "count", "clear", "share_5")}
    found = series_of(items, field, ["B04", "SCL"], **how)
    assert found["band"].tolist() == ["B04", "SCL"] * 2
    clear = values[3:].mean()
    assert found["mean"].tolist() == pytest.approx(
        [clear, np.nan, clear - 1000, np.nan], nan_ok=True
    )
    assert found["share_5"].tolist() == pytest.approx([np.nan, 1 / 3] * 2, nan_ok=True)
    assert (found["count"] == 24).all()
    assert (found["clear"] == 0.5).all()
    with pytest.raises(ValueError, match="no number of SCL"):
        series_of(items, field, ["SCL"], statistics=("mean",))


def test_dates_without_a_clear_pixel_have_a_row_that_says_so(tmp_path):
    items = [
        item(tmp_path, day, {"B04": dn(1), "SCL": np.full((6, 8), scl, "uint8")})
        for day, scl in [("2023-06-01", 4), ("2023-06-06", 9)]
    ]
    field = gpd.GeoSeries([shapely.box(WEST, NORTH - 60, WEST + 80, NORTH)], crs=EPSG)
    found = series_of(
        items, field, ["B04"], mask=(9,), statistics=("mean", "count", "clear", "min")
    )
    assert found["clear"].tolist() == [1, 0]
    assert np.isnan(found[["mean", "min"]].iloc[1]).all()


def test_an_operator_is_counted_not_the_bands_and_sees_beyond_its_block(tmp_path, monkeypatch):
    red, nir = dn(1, (40, 40)), dn(2, (40, 40))
    made = item(tmp_path, "2021-06-01", {"B04": red, "B08": nir}, baseline="03.01")
    field = gpd.GeoSeries([shapely.box(WEST, NORTH - 333, WEST + 333, NORTH)], crs=EPSG)
    index = (nir.astype(float) - red) / (nir.astype(float) + red)
    weights = np.outer(*[np.r_[np.ones(33), 0.3, np.zeros(6)]] * 2)
    found = series_of([made], field, ["B04", "B08"], operator=gz.NDVI("B04", "B08"))
    assert found["band"].tolist() == ["NDVI"]
    assert found["mean"][0] == pytest.approx(np.average(index, weights=weights), rel=1e-6)

    class Smoothed(gz.Operator):
        radius = 2

        def _apply(self, raster):
            from scipy.ndimage import uniform_filter

            filled = np.nan_to_num(raster.values.astype("float64"))
            return uniform_filter(filled, (1, 5, 5), mode="constant")

    from scipy.ndimage import uniform_filter

    monkeypatch.setattr(geotoolz.zone_pass, "BLOCK", 16)
    found = series_of([made], field, ["B04"], operator=Smoothed())
    whole = uniform_filter(red.astype(float), 5, mode="constant")
    assert found["mean"][0] == pytest.approx(np.average(whole, weights=weights), rel=1e-9)
    with pytest.raises(ValueError, match="must say how many pixels"):
        series_of([made], field, ["B04"], operator=lambda raster: raster)


def many(tmp_path, dates=4, tiles=2, side=60):
    """Tiles of several dates, and fields over all of them."""
    paths = [
        write(
            tmp_path / f"t{tile}_2024{1 + date // 28:02}{1 + date % 28:02}.tif",
            dn(100 * tile + date, (side, side)),
            west=WEST + 10 * (side - 10) * tile,
        )
        for date in range(dates)
        for tile in range(tiles)
    ]
    rng = np.random.default_rng(0)
    x = WEST + rng.uniform(-30, 10 * side * tiles * 0.9, 40)
    y = NORTH - rng.uniform(0, 10 * side, 40)
    fields = gpd.GeoSeries(shapely.box(x, y - 70, x + 55, y), crs=EPSG)
    return catalog_of(*paths), fields


def test_each_file_is_opened_once_and_each_zone_laid_on_a_grid_once(tmp_path, monkeypatch):
    catalog, fields = many(tmp_path)
    opened, laid = [], []
    ours, runs = rasterio.open, geotoolz.zones.cell_runs

    def counted(path, *args, **kwargs):
        opened.append(str(path))
        return ours(path, *args, **kwargs)

    def noted(polygons, *size):
        laid.extend(polygons)
        return runs(polygons, *size)

    monkeypatch.setattr(rasterio, "open", counted)
    monkeypatch.setattr(geotoolz.zones, "cell_runs", noted)
    monkeypatch.setattr(geotoolz.zone_pass, "BLOCK", 16)
    found = series_of(catalog, fields, workers=2)
    assert sorted(opened) == sorted(catalog.gdf["filepath"])
    assert len(laid) == found["zone"].nunique()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_blocks_groups_and_schedulers_change_nothing(tmp_path, monkeypatch):
    catalog, fields = many(tmp_path, dates=3)
    how = {"statistics": (*ALL, "median", "q10", "clear")}
    whole = series_of(catalog, fields, workers=1, **how)
    for scheduler in ("processes", "dask"):
        found = series_of(catalog, fields, scheduler=scheduler, workers=2, **how)
        pd.testing.assert_frame_equal(whole, found)
    monkeypatch.setattr(geotoolz.zone_pass, "BLOCK", 7)
    monkeypatch.setattr(geotoolz.zone_pass, "MOST_CELLS", 90)
    pd.testing.assert_frame_equal(whole, series_of(catalog, fields, workers=3, **how))


def test_a_file_has_the_rows_of_the_frame(tmp_path):
    catalog, fields = many(tmp_path)
    fields.index = [f"field {n}" for n in range(len(fields))]
    frame = series_of(catalog, fields)
    path = series_of(catalog, fields, target=tmp_path / "series.parquet")
    read = pd.read_parquet(path)
    pd.testing.assert_frame_equal(pd.DataFrame(frame.drop(columns="geometry")), read)
    assert read.attrs == {"skipped": []}
    assert not list(tmp_path.glob(".series*"))


def test_files_that_cannot_be_read_are_named_or_listed(tmp_path):
    catalog, fields = many(tmp_path, dates=3, tiles=1)
    broken = Path(sorted(catalog.gdf["filepath"])[1])
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(Exception, match=broken.name) as caught:
        series_of(catalog, fields)
    assert any("on_error" in note for note in caught.value.__notes__)
    found = series_of(catalog, fields, on_error="skip")
    assert found["date"].nunique() == 2
    ((name, why),) = found.attrs["skipped"]
    assert broken.name in name
    assert "PixelReadError" in why
    path = series_of(catalog, fields, on_error="skip", target=tmp_path / "s.parquet")
    assert pd.read_parquet(path).attrs["skipped"] == [[name, why]]


def test_a_killed_run_goes_on_and_writes_the_same_bytes(tmp_path):
    catalog, fields = many(tmp_path, dates=25)
    fields.index = [f"field {n}" for n in range(len(fields))]
    (tmp_path / "whole").mkdir()
    whole = series_of(catalog, fields, target=tmp_path / "whole" / "s.parquet")
    fields.to_frame("geometry").to_parquet(tmp_path / "fields.parquet")
    target, journal = tmp_path / "s.parquet", tmp_path / "run.jsonl"
    script = Path(__file__).parents[1] / "support" / "slow_zonal.py"
    asked = [sys.executable, script, tmp_path, tmp_path / "fields.parquet", target, journal]
    for wanted in (4, 11):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.Popen([*asked, str(wanted + 1)], env=environment)
        until(
            lambda: journal.exists() and journal.read_bytes().count(b"\n") >= wanted,  # noqa: B023
            "so many passes are noted",
        )
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert not target.exists()
    before = journal.read_bytes().count(b"\n")
    assert 11 <= before < 27
    series_of(catalog, fields, target=target, journal=journal)
    assert target.read_bytes() == whole.read_bytes()
    lines = journal.read_bytes()
    assert lines.count(b"\n") == 27  # the run, 25 passes once each, the end
    assert not list(tmp_path.glob(".s.parquet*"))
    changed = target.stat().st_mtime_ns
    assert series_of(catalog, fields, target=target, journal=journal) == target
    assert target.stat().st_mtime_ns == changed


def test_a_journal_is_for_one_run_and_follows_its_files(tmp_path):
    catalog, fields = many(tmp_path)
    how = {"target": tmp_path / "s.parquet", "journal": tmp_path / "run.jsonl"}
    series_of(catalog, fields, **how)
    with pytest.raises(CatalogError, match="statistics was mean, count, clear, is now max"):
        series_of(catalog, fields, statistics=("max",), **how)
    with pytest.raises(CatalogError, match="polygons was"):
        series_of(catalog, fields.buffer(1), **how)
    first = sorted(catalog.gdf["filepath"])[0]
    write(first, np.full((60, 60), 7000, "uint16"))
    again = pd.read_parquet(series_of(catalog, fields, **how))
    assert (again["mean"] == 7000).any()


def test_bad_arguments_are_refused_before_anything_is_read(tmp_path):
    catalog, fields = many(tmp_path, dates=1, tiles=1)
    for polygons, error, says in [
        (list(fields), TypeError, "GeoDataFrame or GeoSeries"),
        (gpd.GeoSeries(list(fields)), ValueError, "no CRS"),
        (
            gpd.GeoSeries(list(fields[:2]), index=["a", "a"], crs=EPSG),
            ValueError,
            "'a' comes twice",
        ),
        (gpd.GeoSeries([shapely.Point(0, 0)], crs=EPSG), TypeError, "buffer"),
        (
            gpd.GeoSeries(list(fields[:1]), index=pd.MultiIndex.from_tuples([(1, 2)]), crs=EPSG),
            ValueError,
            "several levels",
        ),
        (gpd.GeoSeries([shapely.box(0, 0, 1, 1)], crs=4326), CatalogError, "no scene"),
    ]:
        with pytest.raises(error, match=says):
            series_of(catalog, polygons)
    for how, says in [
        ({"target": tmp_path / "s.csv"}, "end in .parquet"),
        ({"journal": tmp_path / "j"}, "needs target"),
        ({"scheduler": "thread"}, "scheduler must be"),
        ({"on_error": "ignore"}, "on_error must be"),
        ({"workers": 0}, "workers"),
        ({"statistics": ("average",)}, "statistics are"),
        ({"mask": gz.SCL_CLOUDS}, "no band"),
    ]:
        with pytest.raises(ValueError, match=says):
            series_of(catalog, fields, **how)


@needs_exactextract
def test_the_flanders_stack_is_exactextract_on_each_date(archive_root):
    import pystac

    folder = archive_root / "sentinel-2-l2a"
    items = [
        pystac.Item.from_file(str(path)) for path in sorted(folder.glob("S2_T31UDS_201806*/*.json"))
    ]
    catalog = from_stac_items(items, ["B04", "B08", "SCL"])
    x, y = 501_360, 5_629_680
    polygons = [
        shapely.box(x + 103, y - 257, x + 231, y - 148),
        shapely.Point(x + 400, y - 400).buffer(77),
    ]
    fields = gpd.GeoSeries(polygons, crs=32631)
    found = series_of(
        catalog, fields, ["B04", "B08"], mask=gz.SCL_CLOUDS_AND_INVALID, statistics=(*ALL, "clear")
    )
    assert len(found) == 2 * 2 * len(items)
    for each in items:
        rows = found[found["date"] == pd.Timestamp(each.datetime)]
        scl = (
            rasterio.open(each.assets["SCL"].get_absolute_href()).read(1).repeat(2, 0).repeat(2, 1)
        )
        for band in ("B04", "B08"):
            numbers = rasterio.open(each.assets[band].get_absolute_href()).read(1).astype(float)
            numbers[np.isin(scl, gz.SCL_CLOUDS_AND_INVALID) | (numbers == 0)] = np.nan
            theirs = exact(numbers, polygons, x, y)
            ours = rows[rows["band"] == band].reset_index(drop=True)
            for name in ALL:
                expected = theirs[name].to_numpy(float)
                if name != "count":
                    expected = np.where(theirs["count"] > 0, expected, np.nan)
                assert ours[name].to_numpy() == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_what_was_skipped_is_tried_again_by_a_run_that_raises(tmp_path):
    catalog, fields = many(tmp_path, dates=2, tiles=1)
    broken = Path(sorted(catalog.gdf["filepath"])[0])
    whole, kept = broken.read_bytes(), os.stat(broken)
    broken.write_bytes(whole[:200])
    os.utime(broken, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    how = {"target": tmp_path / "s.parquet", "journal": tmp_path / "run.jsonl"}
    assert pd.read_parquet(series_of(catalog, fields, on_error="skip", **how)).attrs["skipped"]
    with pytest.raises(Exception, match=broken.name):
        series_of(catalog, fields, **how)
    broken.write_bytes(whole)
    found = pd.read_parquet(series_of(catalog, fields, **how))
    assert found["date"].nunique() == 2


@pytest.mark.parametrize("names", [[1, "a"], ["1", 1], [(1, 2), (3, 4)]])
def test_labels_that_no_column_holds_are_refused_before_anything_is_read(tmp_path, names):
    catalog, fields = many(tmp_path, dates=1, tiles=1)
    index = pd.Index(names, tupleize_cols=False, dtype=object)
    with pytest.raises(ValueError, match="labels of one kind"):
        series_of(catalog, gpd.GeoSeries(list(fields[:2]), index=index, crs=EPSG))
    months = pd.period_range("2024-01", periods=2, freq="M")
    table = gpd.GeoSeries(list(fields[:2]), index=months, crs=EPSG)
    assert set(series_of(catalog, table)["zone"]) <= set(months)
    for labels in (months, pd.to_timedelta([1, 2], "D")):
        with pytest.raises(ValueError, match="labels of one kind"):
            series_of(catalog, table.set_axis(labels), target=tmp_path / "s.parquet")
