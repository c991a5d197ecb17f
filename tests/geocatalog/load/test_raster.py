"""Pixels: the right ones, only those, on one grid, with nodata in every merge."""

import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from footprints import write_raster
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from geocatalog import (
    CatalogError,
    GeoSlice,
    InMemoryGeoCatalog,
    build_raster_catalog,
    from_stac_items,
    load_raster,
    load_raster_timeseries,
    open_catalog,
    to_geoparquet,
)
from geocatalog.read.onto_grid import overview_level
from geotoolz import CatalogField

DATED = r"_(?P<date>\d{8})"
SQUARE = (0.0, 0.0, 100.0, 100.0)


@pytest.fixture
def scene(tmp_path):
    """A 10 x 10 file of 2 bands whose value is its own position."""
    data = np.arange(200, dtype="uint16").reshape(2, 10, 10)
    return build_raster_catalog([write_raster(tmp_path / "s_20240601.tif", data)], DATED), data


def test_a_window_is_exactly_those_pixels(scene):
    catalog, data = scene
    got = load_raster(catalog, GeoSlice((20, 30, 60, 80), "2024-06", 10, 32610))
    assert (got.values == data[:, 2:7, 2:6]).all()
    assert got.dtype == np.uint16
    assert got.bounds == (20, 30, 60, 80)
    assert str(got.crs) == "EPSG:32610"


def test_bands_are_chosen_from_one_and_in_order(scene):
    catalog, data = scene
    slice_ = GeoSlice(SQUARE, None, 10, 32610)
    assert (load_raster(catalog, slice_, [2]).values == data[1:]).all()
    assert (load_raster(catalog, slice_, [2, 1]).values == data[::-1]).all()
    for wrong in ([0], [3], []):
        with pytest.raises(CatalogError, match="1-based"):
            load_raster(catalog, slice_, wrong)


def test_two_loads_of_one_slice_align_and_bounds_snap_outward(scene):
    catalog, data = scene
    odd = GeoSlice((21, 33, 59, 78), None, 10, 32610)
    got = load_raster(catalog, odd)
    assert got.bounds == odd.grid_bounds == (20, 30, 60, 80)
    assert (got.values == data[:, 2:7, 2:6]).all()


def test_outside_the_file_is_nodata(scene, tmp_path):
    catalog, data = scene
    got = load_raster(catalog, GeoSlice((-20, 0, 20, 20), None, 10, 32610), nodata=65535)
    assert (got.values[:, :, :2] == 65535).all()
    assert (got.values[:, :, 2:] == data[:, 8:, :2]).all()
    assert got.fill_value_default == 65535
    zeros = load_raster(catalog, GeoSlice((-20, 0, 20, 20), None, 10, 32610))
    assert (zeros.values[:, :, :2] == 0).all()
    floats = write_raster(tmp_path / "f.tif", np.ones((1, 10, 10), "float32"))
    got = load_raster(build_raster_catalog([floats]), GeoSlice((-20, 0, 20, 20), None, 10, 32610))
    assert np.isnan(got.values[:, :, :2]).all()
    assert np.isnan(got.fill_value_default)


def test_another_crs_is_resampled_onto_the_slice_s_grid(tmp_path):
    data = np.arange(10_000, dtype="float32").reshape(1, 100, 100)
    path = write_raster(tmp_path / "a.tif", data, west=700000, north=4300000)
    slice_ = GeoSlice((700300, 4299300, 700700, 4299700), None, 10, 32610).to_crs(4326, 0.0001)
    got = load_raster(build_raster_catalog([path]), slice_)
    assert got.shape[1:] == slice_.shape
    assert not np.isnan(got.values).any()
    from pyproj import Transformer

    move = Transformer.from_crs(4326, 32610, always_xy=True)
    rows, cols = np.mgrid[0 : got.shape[1], 0 : got.shape[2]]
    x, y = move.transform(*(got.transform @ (cols + 0.5, rows + 0.5)))
    expected = data[0][((4300000 - y) // 10).astype(int), ((x - 700000) // 10).astype(int)]
    off = np.abs(got.values[0] - expected)
    assert np.isin(off, [0, 1, 99, 100, 101]).all()
    assert (off == 0).mean() > 0.85


@pytest.fixture
def overlapping(tmp_path):
    """Three dates of one place; 0 is nodata, in a corner that moves."""
    values = {"20240601": 10, "20240602": 30, "20240603": 20}
    for i, (day, value) in enumerate(values.items()):
        data = np.full((1, 4, 4), value, "uint16")
        data[0, i, i] = 0
        data[0, 3, 3] = 0
        write_raster(tmp_path / f"s_{day}.tif", data, north=40.0, nodata=0)
    return build_raster_catalog(sorted(tmp_path.glob("*.tif")), DATED)


WHOLE = GeoSlice((0, 0, 40, 40), None, 10, 32610)


@pytest.mark.parametrize(
    ("method", "plain", "holes"),
    [
        ("last", 20, {0: 20, 1: 20, 2: 30}),
        ("first", 10, {0: 30, 1: 10, 2: 10}),
        ("min", 10, {0: 20, 1: 10, 2: 10}),
        ("max", 30, {0: 30, 1: 20, 2: 30}),
        ("mean", 20, {0: 25, 1: 15, 2: 20}),
        ("median", 20, {0: 25, 1: 15, 2: 20}),
    ],
)
@pytest.mark.parametrize("workers", [1, 4])
def test_nodata_takes_no_part_in_any_merge(overlapping, method, plain, holes, workers):
    got = load_raster(overlapping, WHOLE, merge_method=method, workers=workers)
    values = got.values[0]
    assert values[0, 1] == plain
    assert {i: values[i, i] for i in range(3)} == holes
    averaged = method in ("mean", "median")
    assert got.dtype == (np.float32 if averaged else np.uint16)
    assert np.isnan(values[3, 3]) if averaged else values[3, 3] == 0
    assert np.isnan(got.fill_value_default) if averaged else got.fill_value_default == 0


def test_merging_agrees_with_numpy_on_random_stacks(tmp_path):
    random = np.random.default_rng(0)
    stack = random.integers(0, 6, (7, 2, 9, 11)).astype("int16")
    for i, data in enumerate(stack):
        write_raster(tmp_path / f"s_2024060{i + 1}.tif", data, north=90.0, nodata=0)
    catalog = build_raster_catalog(sorted(tmp_path.glob("*.tif")), DATED)
    known = np.where(stack == 0, np.nan, stack)
    slice_ = GeoSlice((0, 0, 110, 90), None, 10, 32610)
    oracles = {"min": np.nanmin, "max": np.nanmax, "mean": np.nanmean, "median": np.nanmedian}
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for method, oracle in oracles.items():
            expected = oracle(known, axis=0)
            got = load_raster(catalog, slice_, merge_method=method).values.astype(float)
            got = np.where(got == 0, np.nan, got)
            np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_files_that_one_dtype_cannot_hold_are_refused_and_never_wrap(tmp_path):
    small = write_raster(tmp_path / "a.tif", np.full((1, 1, 2), 7, "uint8"), west=0, north=10)
    large = write_raster(tmp_path / "b.tif", np.full((1, 1, 2), 3000, "uint16"), west=20, north=10)
    slice_ = GeoSlice((0, 0, 40, 10), None, 10, 32610)
    narrow_first, wide_first = ([small, large], [large, small])
    for method in ("first", "min", "max"):
        with pytest.raises(
            CatalogError, match=r"b\.tif is uint16, which the files .* uint8, cannot"
        ):
            load_raster(build_raster_catalog(narrow_first), slice_, merge_method=method)
        got = load_raster(build_raster_catalog(wide_first), slice_, merge_method=method)
        assert got.values.ravel().tolist() == [7, 7, 3000, 3000]
    for method in ("mean", "median"):
        got = load_raster(build_raster_catalog(narrow_first), slice_, merge_method=method)
        assert got.values.ravel().tolist() == [7, 7, 3000, 3000]


@pytest.mark.parametrize("nodata", [-1, 256, 0.5, np.nan])
def test_a_nodata_value_that_does_not_fit_is_named(tmp_path, nodata):
    path = write_raster(tmp_path / "a.tif", np.full((1, 1, 2), 7, "uint8"), west=0, north=10)
    slice_ = GeoSlice((0, 0, 40, 10), None, 10, 32610)
    with pytest.raises(
        CatalogError, match=f"nodata {nodata} does not fit uint8.*what-a-pixel-means"
    ):
        load_raster(build_raster_catalog([path]), slice_, nodata=nodata)
    averaged = load_raster(build_raster_catalog([path]), slice_, nodata=nodata, merge_method="mean")
    assert averaged.values.ravel()[:2].tolist() == [7, 7]


def test_a_file_s_own_mask_is_honoured_without_nodata(tmp_path):
    path = write_raster(tmp_path / "m.tif", np.full((1, 4, 4), 7, "uint8"), north=40.0)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        mask = np.full((4, 4), 255, "uint8")
        mask[0] = 0
        file.write_mask(mask)
    got = load_raster(build_raster_catalog([path]), WHOLE, merge_method="mean")
    assert np.isnan(got.values[0, 0]).all()
    assert (got.values[0, 1:] == 7).all()
    moved = GeoSlice((0, 0, 40, 40), None, 5, 32610)
    assert np.isnan(
        load_raster(build_raster_catalog([path]), moved, merge_method="mean").values[0, :2]
    ).all()


def test_tiles_side_by_side_make_one_mosaic(tmp_path):
    for i in range(3):
        write_raster(
            tmp_path / f"t{i}.tif", np.full((1, 4, 4), i + 1, "uint8"), west=40.0 * i, north=40.0
        )
    catalog = build_raster_catalog(sorted(tmp_path.glob("*.tif")))
    got = load_raster(catalog, GeoSlice((20, 0, 100, 40), None, 10, 32610)).values[0]
    assert (got == [1, 1, 2, 2, 2, 2, 3, 3]).all()


def test_a_slice_across_the_antimeridian_is_whole(tmp_path):
    """One file in UTM that crosses it, two in degrees that meet there."""
    utm = np.full((1, 400, 800), 7.0, "float32")
    crossing = write_raster(
        tmp_path / "u.tif", utm, west=100_000.0, north=8_100_000.0, size=500.0, crs="EPSG:32701"
    )
    slice_ = GeoSlice((179.0, -18.5, -179.0, -18.0), None, 0.01, 4326)
    got = load_raster(build_raster_catalog([crossing]), slice_)
    assert got.shape == (1, 50, 200)
    covered = ~np.isnan(got.values[0])
    assert covered[:, 100:].all(), "east of the antimeridian"
    assert covered[:, 60:100].any(), "and west of it"
    in_degrees = build_raster_catalog([crossing], target_crs=4326)
    own = next(in_degrees.iter_slices(0.01))
    assert own.bounds[0] > 179
    assert own.bounds[2] < -176
    assert (~np.isnan(load_raster(in_degrees, own).values)).mean() > 0.9
    for name, west, value in [("w", 179.0, 1), ("e", -180.0, 2)]:
        side = np.full((1, 10, 10), value, "uint8")
        write_raster(tmp_path / f"{name}.tif", side, west=west, north=-18.0, size=0.1, crs=4326)
    both = build_raster_catalog([tmp_path / "w.tif", tmp_path / "e.tif"])
    whole = load_raster(both, GeoSlice((179.0, -19.0, -179.0, -18.0), None, 0.1, 4326))
    assert whole.values[0, 0].tolist() == [1] * 10 + [2] * 10
    for west, east in [(179.0, 181.0), (-181.0, -179.0)]:
        same = load_raster(both, GeoSlice((west, -19.0, east, -18.0), None, 0.1, 4326))
        assert same.values[0, 0].tolist() == [1] * 10 + [2] * 10


def test_longitudes_of_0_to_360_are_read_as_they_are(tmp_path):
    globe = np.arange(36, dtype="uint8")[np.newaxis, np.newaxis] * np.ones((1, 18, 1), "uint8")
    path = write_raster(tmp_path / "globe.tif", globe, west=0.0, north=90.0, size=10.0, crs=4326)
    catalog = build_raster_catalog([path])
    own = next(catalog.iter_slices())
    assert load_raster(catalog, own).values[0, 0].tolist() == list(range(36))


class Opened:
    """What rasterio was asked to read: dataset sizes and windows."""

    def __init__(self, monkeypatch):
        self.levels, self.paths = [], []
        real = rasterio.open

        def spy(path, *args, **kwargs):
            self.paths.append(str(path))
            self.levels.append(kwargs.get("overview_level"))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(rasterio, "open", spy)


@pytest.fixture
def pyramid(tmp_path):
    data = np.arange(512 * 512, dtype="float32").reshape(1, 512, 512)
    path = write_raster(
        tmp_path / "p.tif", data, north=5120.0, tiled=True, blockxsize=128, blockysize=128
    )
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.nearest)
    return build_raster_catalog([path])


@pytest.mark.parametrize(
    ("size", "level"), [(10, None), (15, None), (20, 0), (30, 0), (40, 1), (100, 2)]
)
def test_the_overview_that_fits_the_resolution_is_read(pyramid, monkeypatch, size, level):
    opened = Opened(monkeypatch)
    slice_ = GeoSlice((0, 0, 4800, 4800), None, size, 32610)
    got = load_raster(pyramid, slice_)
    assert got.shape[1:] == slice_.shape
    assert opened.levels[-1] == level
    assert len(opened.levels) == (1 if level is None else 2)


def test_only_files_that_touch_are_opened_and_last_stops_when_full(
    overlapping, tmp_path, monkeypatch
):
    far = write_raster(tmp_path / "far_20240604.tif", np.ones((1, 4, 4), "uint16"), west=9e5)
    catalog = overlapping.union(build_raster_catalog([far], DATED))
    opened = Opened(monkeypatch)
    load_raster(catalog, GeoSlice((0, 10, 10, 20), None, 10, 32610), workers=1)
    assert [p.rsplit("/")[-1] for p in opened.paths] == ["s_20240603.tif"]


def test_a_time_series_has_one_mosaic_a_day(tmp_path):
    for day, west, value in [("20240601", 0, 1), ("20240601", 40, 2), ("20240603", 0, 3)]:
        name = f"t{west}_{day}.tif"
        write_raster(
            tmp_path / name,
            np.full((1, 4, 4), value, "uint8"),
            west=float(west),
            north=40.0,
            nodata=0,
        )
    catalog = build_raster_catalog(sorted(tmp_path.glob("*.tif")), DATED)
    for method in ("last", "first", "mean", "median"):
        got = load_raster_timeseries(
            catalog, GeoSlice((0, 0, 80, 40), None, 10, 32610), merge_method=method
        )
        assert got.shape == (2, 1, 4, 8)
        assert got.attrs["dates"] == ["2024-06-01", "2024-06-03"]
        assert got.values[0, 0, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
        assert got.values[1, 0, 0, 0] == 3
        assert (
            got.values[1, 0, 0, 7] == 0
            if method in ("last", "first")
            else np.isnan(got.values[1, 0, 0, 7])
        )


def test_a_time_series_needs_dates_and_equal_bands(tmp_path):
    one = write_raster(tmp_path / "a_20240601.tif", np.ones((1, 4, 4), "uint8"), north=40.0)
    two = write_raster(tmp_path / "b_20240602.tif", np.ones((2, 4, 4), "uint8"), north=40.0)
    with pytest.raises(CatalogError, match="needs dates"):
        load_raster_timeseries(build_raster_catalog([one]), WHOLE)
    both = build_raster_catalog([one, two], DATED)
    with pytest.raises(CatalogError, match="bands"):
        load_raster_timeseries(both, WHOLE)
    with pytest.raises(CatalogError, match="bands"):
        load_raster(both, WHOLE, merge_method="mean")
    assert load_raster_timeseries(both, WHOLE, [1]).shape == (2, 1, 4, 4)


def test_assets_of_one_item_are_bands_of_one_grid(tmp_path):
    import datetime

    import pystac

    fine = np.arange(16, dtype="uint16").reshape(1, 4, 4)
    coarse = np.array([[[1, 2], [3, 4]]], "uint16")
    item = pystac.Item(
        "s", None, [0, 0, 1, 1], datetime.datetime(2024, 6, 1), {"proj:code": "EPSG:32610"}
    )
    for key, data, size in [("B04", fine, 10.0), ("B11", coarse, 20.0)]:
        path = write_raster(tmp_path / f"{key}.tif", data, north=40.0, size=size)
        extent = {"proj:transform": [size, 0, 0, 0, -size, 40], "proj:shape": list(data.shape[1:])}
        item.add_asset(key, pystac.Asset(path, extra_fields=extent))
    catalog = from_stac_items([item], asset_key=["B04", "B11"])
    got = load_raster(catalog, next(catalog.iter_slices()))
    assert got.attrs["band_names"] == ["B04", "B11"]
    assert (got.values[0] == fine[0]).all()
    assert (got.values[1] == np.kron(coarse[0], np.ones((2, 2)))).all()
    swapped = load_raster(catalog, WHOLE, [2, 1])
    assert swapped.attrs["band_names"] == ["B11", "B04"]
    with pytest.raises(CatalogError, match="B04"):
        load_raster(catalog, WHOLE, [3])


def test_what_is_simulated_says_so(overlapping):
    rows = overlapping.gdf
    rows["simulated"] = [True, None, None]
    mixed = InMemoryGeoCatalog(rows)
    assert load_raster(mixed, WHOLE, merge_method="mean").attrs["source"] == "simulated"
    assert "source" not in load_raster(mixed.query(time="2024-06-02"), WHOLE).attrs
    series = load_raster_timeseries(mixed.where("simulated"), WHOLE)
    assert series.attrs["source"] == "simulated"


def test_files_that_have_moved_are_named_or_left_out(overlapping, tmp_path):
    (tmp_path / "s_20240602.tif").unlink()
    assert overlapping.missing_files() == [str(tmp_path / "s_20240602.tif")]
    with pytest.raises(CatalogError, match=r"s_20240602\.tif.*on_error='skip'") as caught:
        load_raster(overlapping, WHOLE, merge_method="max")
    assert type(caught.value) is CatalogError  # what a user catches, prints and pickles
    got = load_raster(overlapping, WHOLE, merge_method="max", on_error="skip")
    assert got.values[0, 0, 1] == 20
    assert [path for path, _ in got.attrs["skipped"]] == [str(tmp_path / "s_20240602.tif")]
    series = load_raster_timeseries(overlapping, WHOLE, on_error="skip")
    assert series.attrs["dates"] == ["2024-06-01", "2024-06-03"]
    for path in tmp_path.glob("*.tif"):
        path.unlink()
    for load in (load_raster, load_raster_timeseries):
        with pytest.raises(CatalogError, match="could be read"):
            load(overlapping, WHOLE, on_error="skip")


def test_assets_are_read_side_by_side_where_rows_leave_threads_idle(tmp_path, monkeypatch):
    import json
    import threading

    from geocatalog.load import raster

    paths = {key: write_raster(tmp_path / f"{key}.tif", np.ones((1, 4, 4), "uint8"), north=40.0)
             for key in "abcd"}  # fmt: skip
    rows = build_raster_catalog([paths["a"]]).gdf.assign(assets=json.dumps(paths))
    together = threading.Barrier(4, timeout=30)
    real = raster.read_piece

    def read(*args, **named):
        together.wait()
        return real(*args, **named)

    monkeypatch.setattr(raster, "read_piece", read)
    assert load_raster(InMemoryGeoCatalog(rows), WHOLE, workers=4).shape == (4, 4, 4)


def test_an_error_shows_no_token(overlapping):
    rows = overlapping.gdf.assign(filepath="/gone/a.tif?sig=SECRET")
    with pytest.raises(CatalogError, match=r"/gone/a\.tif\?sig=\*\*\*: PixelReadError") as caught:
        load_raster(InMemoryGeoCatalog(rows), WHOLE)
    assert "SECRET" not in f"{caught.value} {caught.value.__cause__}"


def test_bad_questions_are_refused(overlapping):
    for options, message in [
        ({"merge_method": "best"}, "merge_method"),
        ({"resampling": "wishful"}, "resampling"),
        ({"workers": 0}, "workers"),
        ({"on_error": "ignore"}, "on_error"),
        ({"band_indexes": [0], "on_error": "skip"}, r"1-based, at least one, got \[0\]"),
        ({"band_indexes": []}, "1-based, at least one"),
    ]:
        for load in (load_raster, load_raster_timeseries):
            with pytest.raises(CatalogError, match=message):
                load(overlapping, WHOLE, **options)
    with pytest.raises(CatalogError, match="touches"):
        load_raster(overlapping, GeoSlice((900, 900, 910, 910), None, 10, 32610))
    with pytest.raises(CatalogError, match="load_vector"):
        load_raster(InMemoryGeoCatalog(overlapping.gdf, "vector"), WHOLE)


def test_a_file_backed_catalog_loads_the_same(overlapping, tmp_path):
    file = open_catalog(to_geoparquet(overlapping, tmp_path / "c.parquet"))
    for method in ("last", "median"):
        one, two = (load_raster(c, WHOLE, merge_method=method).values for c in (overlapping, file))
        np.testing.assert_array_equal(one, two)


def test_overview_choice_is_a_count_of_pixels():
    assert overview_level([2, 4, 8], 8) == 2
    assert overview_level([], 8) is None


def test_the_real_archive(archive_root):
    paths = sorted((archive_root / "sentinel-2-l2a").glob("S2_T31UDS_201805*/*B04*.tif"))
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8}T\d{6})_", "%Y%m%dT%H%M%S")
    slice_ = next(catalog.iter_slices())
    first = load_raster(catalog, slice_)
    with rasterio.open(paths[0]) as file:
        assert (first.values == file.read()).all()
    series = load_raster_timeseries(catalog, GeoSlice(slice_.bounds, "2018-05", 10, slice_.crs))
    assert series.shape == (len(paths), 1, 64, 64)
    assert series.attrs["dates"] == sorted(series.attrs["dates"])


def test_years_beyond_what_nanoseconds_hold_are_merged_in_their_order(tmp_path):
    for value, year in enumerate(("0850", "1970", "2290"), start=1):
        profile = {"driver": "GTiff", "height": 1, "width": 1, "count": 1, "dtype": "uint8"}
        place = rasterio.Affine(10, 0, 0, 0, -10, 10)
        path = tmp_path / f"run_{year}.tif"
        with rasterio.open(path, "w", **profile, crs="EPSG:32610", transform=place) as file:
            file.write(np.full((1, 1, 1), value, "uint8"))
    catalog = build_raster_catalog(sorted(tmp_path.glob("*.tif")), r"_(?P<date>\d{4})", "%Y")
    slice_ = GeoSlice((0, 0, 10, 10), None, 10, 32610)
    assert load_raster(catalog, slice_).values.ravel().tolist() == [3]
    assert load_raster(catalog, slice_, merge_method="first").values.ravel().tolist() == [1]
    series = load_raster_timeseries(catalog, slice_)
    assert series.attrs["dates"] == ["0850-01-01", "1970-01-01", "2290-01-01"]
    assert series.values.ravel().tolist() == [1, 2, 3]


def _one_row(tmp_path, *layers, names=(None, None), nodata=(None, None), **options):
    """A catalog of files of the same pixels, one for each layer, the last on top."""
    paths = []
    for day, (layer, name, missing) in enumerate(zip(layers, names, nodata, strict=False), 1):
        path = tmp_path / f"a_2024010{day}.tif"
        write_raster(path, np.asarray(layer), west=0, north=10, nodata=missing)
        with rasterio.open(path, "r+") as file:
            for band, text in enumerate(name or (), 1):
                file.set_band_description(band, text)
        paths.append(path)
    return build_raster_catalog(paths, r"_(?P<date>\d{8})", **options)


ROW = GeoSlice((0, 0, 30, 10), None, 10, 32610)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nodata_of_one_file_is_no_hole_in_another(data):
    numbers = st.lists(st.integers(0, 4), min_size=3, max_size=3)
    dtype = data.draw(st.sampled_from(["uint8", "int16", "float32"]))
    nodata = [data.draw(st.sampled_from([None, 0, 1, 255])) for _ in range(2)]
    layers = [np.array([[data.draw(numbers)]], dtype) for _ in nodata]
    method = data.draw(st.sampled_from(["last", "first", "min", "max", "mean", "median"]))
    with tempfile.TemporaryDirectory() as folder:
        catalog = _one_row(Path(folder), *layers, nodata=nodata)
        got = load_raster(catalog, ROW, merge_method=method)
    hidden = [
        np.zeros(each.shape, bool) if value is None else each == value
        for each, value in zip(layers, nodata, strict=True)
    ]
    seen = np.ma.stack(
        [np.ma.array(each, mask=hide) for each, hide in zip(layers, hidden, strict=True)]
    )
    order = seen[::-1] if method == "last" else seen
    top = np.ma.where(np.ma.getmaskarray(order[0]), order[1], order[0])
    expected = {
        "last": top, "first": top, "min": seen.min(axis=0), "max": seen.max(axis=0),
        "mean": seen.mean(axis=0), "median": seen.mean(axis=0),
    }[method]  # fmt: skip
    fill, valid = got.fill_value_default, ~np.ma.getmaskarray(expected)
    holes = np.isnan(got.values) if got.dtype.kind == "f" else np.zeros(got.shape, bool)
    if fill is not None:
        holes |= got.values == fill
    assert np.array_equal(holes, ~valid)
    assert np.array_equal(got.values[valid], np.ma.getdata(expected)[valid].astype(got.dtype))


def test_days_of_a_series_share_one_nodata_value_that_none_of_their_pixels_holds(tmp_path):
    catalog = _one_row(tmp_path, [[[0, 1, 2]]], [[[5, 0, 255]]], nodata=(1, 0))
    series = load_raster_timeseries(catalog, ROW)
    fill = series.fill_value_default
    assert fill not in (0, 2, 5, 255)
    assert series.values.tolist() == [[[[0, fill, 2]]], [[[5, fill, 255]]]]


def test_where_nothing_is_missing_there_is_no_nodata(tmp_path):
    got = load_raster(_one_row(tmp_path, np.array([[[0, 1, 2]]], "uint8")), ROW)
    assert got.values.tolist() == [[[0, 1, 2]]]
    assert got.fill_value_default is None


def test_bands_are_joined_by_their_names(tmp_path):
    one, other = [[[1, 1, 1]], [[4, 4, 4]]], [[[8, 0, 8]], [[2, 0, 2]]]
    catalog = _one_row(tmp_path, np.uint8(one), np.uint8(other), names=("ab", "ba"), nodata=(0, 0))
    last = load_raster(catalog, ROW)
    assert last.attrs["band_names"] == ["b", "a"]
    assert last.values.tolist() == [[[8, 4, 8]], [[2, 1, 2]]]
    series = load_raster_timeseries(catalog, ROW)
    assert series.values[:, :, 0, 0].tolist() in ([[4, 1], [8, 2]], [[1, 4], [2, 8]])
    with pytest.raises(CatalogError, match=r"has the bands \('a',\), the files before it \('b',\)"):
        load_raster(catalog, ROW, [1])


@pytest.mark.parametrize("method", ["mean", "median"])
@pytest.mark.parametrize("name", ["SCL", "QA_PIXEL", "cloud_mask"])
def test_numbers_of_classes_are_not_averaged_over_files(tmp_path, method, name):
    layers = np.uint8([[[4, 8, 9]]]), np.uint8([[[8, 4, 9]]])
    catalog = _one_row(tmp_path, *layers, names=([name], [name]))
    with pytest.raises(CatalogError, match=rf"would average {name}.*'last'.*what-a-pixel-means"):
        load_raster(catalog, ROW, merge_method=method)
    assert load_raster(catalog, ROW).values.tolist() == [[[8, 4, 9]]]


@pytest.mark.parametrize("method", ["bilinear", "cubic", "average", "mode"])
def test_classes_are_resampled_to_classes(tmp_path, method):
    values = np.random.default_rng(0).choice([3, 8, 11], (1, 40, 40)).astype("uint8")
    path = write_raster(tmp_path / "a.tif", values, west=0, north=400)
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, "SCL")
    catalog = build_raster_catalog([path])
    got = load_raster(catalog, GeoSlice((30, 30, 330, 330), None, 23, 32610), resampling=method)
    assert set(np.unique(got.values)) <= {3, 8, 11}
    rows = catalog.gdf.assign(assets='{"scl": "%s"}' % path)  # noqa: UP031
    named = InMemoryGeoCatalog(rows)
    got = load_raster(named, GeoSlice((30, 30, 330, 330), None, 23, 32610), resampling=method)
    assert set(np.unique(got.values)) <= {3, 8, 11}


@pytest.mark.parametrize("scaled", [True, False])
def test_scaled_files_load_as_physical_values(tmp_path, scaled):
    path = write_raster(
        tmp_path / "a.tif", np.int16([[[-9999, 1500, 0]]]), west=0, north=10, nodata=-9999
    )
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.01,), (-5.0,)
    wide = GeoSlice((-10, 0, 30, 10), None, 10, 32610)
    got = load_raster(build_raster_catalog([path]), wide, scaled=scaled)
    if scaled:
        assert got.dtype == "float32"
        assert np.allclose(got.values, [[[np.nan, np.nan, 10, -5]]], equal_nan=True)
    else:
        assert got.values.tolist() == [[[-9999, -9999, 1500, 0]]]
        assert got.fill_value_default == -9999


@pytest.mark.parametrize("keys", [["visual"], ["visual", "B05"], ["B05", "visual"]])
def test_an_asset_of_several_bands_gives_them_all(tmp_path, keys):
    levels = {"visual": [10, 20, 30], "B05": [7]}
    item = pystac.Item("a", None, [-123, 36, -122.9, 36.2], datetime(2024, 6, 1), {})
    for key, values in levels.items():
        data = np.stack([np.full((4, 3), value, "uint8") for value in values])
        path = write_raster(tmp_path / f"{key}.tif", data, north=40)
        projected = {"proj:epsg": 32610, "proj:shape": [4, 3]}
        projected["proj:transform"] = [10, 0, 0, 0, -10, 40]
        item.add_asset(key, pystac.Asset(path, extra_fields=projected))
    catalog = from_stac_items([item], keys)
    got = load_raster(catalog, GeoSlice((0, 0, 30, 40), None, 10, 32610))
    assert got.values[:, 0, 0].tolist() == [value for key in keys for value in levels[key]]
    names = {"visual": ["visual_1", "visual_2", "visual_3"], "B05": ["B05"]}
    assert got.attrs["band_names"] == [name for key in keys for name in names[key]]
    one = load_raster(catalog, GeoSlice((0, 0, 30, 40), None, 10, 32610), band_indexes=[1])
    assert one.values[:, 0, 0].tolist() == levels[keys[0]]
    with pytest.raises(CatalogError, match="several bands"):
        CatalogField(next(iter(catalog))).load()
