import threading
import zipfile

import numpy as np
import pytest
import shapely
from affine import Affine
from footprints import frame, paths_of, utc, write_raster
from pyproj import CRS

from geocatalog import (
    CatalogError,
    build_raster_catalog,
    from_stac_items,
    open_catalog,
    to_stac_items,
)
from geocatalog.records import FileRecord, read_catalog
from geotoolz.catalog_ops import read_row

DATED = r"_(?P<date>\d{8})"


@pytest.fixture
def scenes(tmp_path):
    data = np.ones((2, 4, 6), "uint16")
    return [
        write_raster(tmp_path / f"scene_2024060{i}.tif", data, west=60.0 * i, nodata=0)
        for i in (1, 2, 3)
    ]


def test_headers_become_rows(scenes):
    catalog = build_raster_catalog(scenes, DATED)
    table = catalog.gdf
    assert table.filepath.tolist() == scenes
    assert catalog.total_bounds == (60, 60, 240, 100)
    assert table.start_time[0] == utc("2024-06-01")
    assert table.end_time[0] == utc("2024-06-01T23:59:59.999999")
    first = table.iloc[0]
    assert (first.height, first.width, first["count"], first["dtype"]) == (4, 6, 2, "uint16")
    assert (first.nodata, first.resolution, first.native_crs) == (0, 10, "EPSG:32610")
    assert [s.shape for s in catalog.iter_slices()] == [(4, 6)] * 3


def test_without_a_pattern_files_are_undated(scenes):
    assert build_raster_catalog(scenes).gdf.start_time.isna().all()


@pytest.mark.parametrize(
    ("name", "pattern", "form", "start", "end"),
    [
        ("a_202406.tif", r"_(?P<date>\d{6})", "%Y%m", "2024-06-01", "2024-06-30T23:59:59.999999"),
        ("a_2024.tif", r"_(?P<date>\d{4})", "%Y", "2024-01-01", "2024-12-31T23:59:59.999999"),
        ("a_2024153.tif", r"_(?P<date>\d{7})", "%Y%j", "2024-06-01", "2024-06-01T23:59:59.999999"),
        (
            "a_20240601T1830.tif",
            r"_(?P<date>\d{8}T\d{4})",
            "%Y%m%dT%H%M",
            "2024-06-01T18:30",
            "2024-06-01T18:30",
        ),
        (
            "a_20240601_20240616.tif",
            r"_(?P<start>\d{8})_(?P<end>\d{8})",
            "%Y%m%d",
            "2024-06-01",
            "2024-06-16T23:59:59.999999",
        ),
    ],
)
def test_how_long_a_date_lasts_is_in_its_format(tmp_path, name, pattern, form, start, end):
    path = write_raster(tmp_path / name, np.ones((1, 2, 2), "uint8"))
    row = next(build_raster_catalog([path], pattern, form).iter_rows())
    assert (row.start_time, row.end_time) == (utc(start), utc(end))


def test_a_signed_url_s_query_does_not_mislead(monkeypatch):
    from geocatalog.build.dates import interval_from_name

    url = "https://host/scene_20240601.tif?sig=ab_20991231&st=_20300101"
    assert interval_from_name(url, DATED, "%Y%m%d").left == utc("2024-06-01")
    bare = "https://host/tile.tif?date=_20240602"
    assert interval_from_name(bare, DATED, "%Y%m%d").left == utc("2024-06-02")
    folder = "/archive/S2_20240603/B04.tif"
    assert interval_from_name(folder, DATED, "%Y%m%d").left == utc("2024-06-03")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"^nothing_(?P<date>\d{8})", r"nothing_.*scene_20240601\.tif"),
        (r"_(?P<date>\d{8}", "not a regular expression"),
        (r"_(\d{8})", r"\(\?P<date>"),
        (r"_(?P<date>\d{4})", "not a date of the form"),
        (r"(?P<end>\d{4})(?P<start>\d{4})", "not a date of the form"),
    ],
)
def test_a_pattern_that_finds_no_date_shows_name_and_pattern(scenes, pattern, message):
    with pytest.raises(CatalogError, match=message):
        build_raster_catalog(scenes, pattern)


def test_an_interval_that_ends_before_it_starts_names_the_file(tmp_path):
    path = write_raster(tmp_path / "a_20240602_20240601.tif", np.ones((1, 2, 2), "uint8"))
    with pytest.raises(CatalogError, match=r"a_20240602.*end before it starts"):
        build_raster_catalog([path], r"_(?P<start>\d{8})_(?P<end>\d{8})")


def test_broken_files_are_named_or_skipped_and_listed(scenes, tmp_path):
    broken = tmp_path / "broken_20240604.tif"
    broken.write_bytes(b"II*\0 not a raster")
    no_crs = write_raster(tmp_path / "nocrs_20240605.tif", np.ones((1, 2, 2), "uint8"), crs=None)
    paths = [*scenes, str(broken), no_crs, str(tmp_path / "absent_20240606.tif")]
    with pytest.raises(CatalogError, match=r"broken_20240604\.tif"):
        build_raster_catalog(paths, DATED)
    with pytest.raises(CatalogError, match=r"nocrs_20240605\.tif has no CRS"):
        build_raster_catalog([no_crs], DATED)
    catalog = build_raster_catalog(paths, DATED, on_error="skip")
    assert paths_of(catalog) == [f"scene_2024060{i}.tif" for i in (1, 2, 3)]
    assert [path for path, _ in catalog.skipped] == paths[3:]
    assert all(reason for _, reason in catalog.skipped)


def test_mixed_crs_need_a_target(tmp_path):
    data = np.ones((1, 2, 2), "uint8")
    paths = [
        write_raster(tmp_path / "a.tif", data, west=500000, north=4300000),
        write_raster(tmp_path / "b.tif", data, west=500000, north=4300000, crs="EPSG:32611"),
    ]
    with pytest.raises(CatalogError, match=r"2 CRS: EPSG:32610 \(1\), EPSG:32611 \(1\)"):
        build_raster_catalog(paths)
    both = build_raster_catalog(paths, target_crs="EPSG:4326")
    west, _, east, _ = both.total_bounds
    assert (round(west), round(east)) == (-123, -117)
    assert both.gdf.native_crs.tolist() == ["EPSG:32610", "EPSG:32611"]


def test_nothing_to_build_from():
    with pytest.raises(CatalogError, match="target_crs="):
        build_raster_catalog([])
    assert len(build_raster_catalog([], target_crs=4326)) == 0


def test_a_rotated_raster_gets_its_true_outline(tmp_path):
    from affine import Affine

    move = Affine.translation(500000, 4300000) @ Affine.rotation(45) @ Affine.scale(10, -10)
    path = write_raster(tmp_path / "turned.tif", np.ones((1, 10, 10), "uint8"), transform=move)
    shape = build_raster_catalog([path]).gdf.geometry[0]
    assert shape.area == pytest.approx(100 * 100)
    assert shape.envelope.area == pytest.approx(2 * 100 * 100)


def test_headers_are_read_side_by_side_and_stay_in_order():
    running, most, together = [], [], threading.Event()

    def read(path):
        running.append(path)
        most.append(len(running))
        if len(running) > 1:
            together.set()
        together.wait(20)  # the first waits for a second: read one by one, no two ever run
        running.remove(path)
        return [FileRecord(path, shapely.box(0, 0, 1, 1), CRS(32610), None)]

    paths = [f"/data/{i}.tif" for i in range(24)]
    catalog = read_catalog(paths, read, None, "raster", workers=8)
    assert catalog.gdf.filepath.tolist() == paths
    assert catalog.skipped == []
    assert 2 <= max(most) <= 8


def test_bad_options_are_refused(scenes):
    for options in ({"on_error": "ignore"}, {"workers": 0}):
        with pytest.raises(CatalogError):
            build_raster_catalog(scenes, **options)
    for lone in (scenes[0], str(scenes[0])):
        with pytest.raises(CatalogError, match=r"list of paths.*write \[path\]"):
            build_raster_catalog(lone)


def test_the_real_archive(archive_root):
    paths = sorted((archive_root / "sentinel-2-l2a").glob("S2_T31UDS*/*B04*.tif"))
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8}T\d{6})_", "%Y%m%dT%H%M%S")
    assert len(catalog) == 118
    assert catalog.crs.to_epsg() == 32631
    assert catalog.total_bounds == (501360, 5629040, 502000, 5629680)
    assert catalog.temporal_extent.left == utc("2017-08-04T10:53:28")
    assert frame((0, 0, 1, 1)).columns[0] in catalog.columns


@pytest.mark.parametrize("size", [(15, 10), (1 / 24, 1 / 36), (10, 10)])
@pytest.mark.parametrize("up", [1, -1])
@pytest.mark.parametrize("across", [1, -1])
def test_pixels_keep_their_size_and_place_whatever_their_shape(tmp_path, size, up, across):
    crs = 4326 if size[0] < 1 else 32610
    move = Affine(across * size[0], 0, 10, 0, up * size[1], 40)
    path = tmp_path / "a_20240601.tif"
    values = np.arange(1, 7, dtype="uint16").reshape(1, 3, 2)
    write_raster(path, values, crs=crs, transform=move)
    catalog = build_raster_catalog([path], r"_(?P<date>\d{8})")
    got = read_row(next(iter(catalog)))
    assert np.array_equal(got.values, values[:, ::-up, ::across])
    assert got.transform.almost_equals(
        Affine(size[0], 0, got.bounds[0], 0, -size[1], got.bounds[3]), 1e-12
    )
    (item,) = to_stac_items(catalog)
    assert item.assets["data"].extra_fields["proj:shape"] == [3, 2]
    back = from_stac_items([item])
    assert next(iter(back)).slice().shape == (3, 2)
    assert read_row(next(iter(back))).values.tolist() == got.values.tolist()


@pytest.mark.parametrize("name", ["GTIFF_DIR:1:{}", "GTIFF_DIR:1:a.tif", "/vsizip/{0}.zip/a.tif"])
def test_names_of_datasets_stay_names(tmp_path, monkeypatch, name):
    path = write_raster(tmp_path / "a.tif", np.ones((1, 4, 3), "uint8"))
    with zipfile.ZipFile(f"{path}.zip", "w") as archive:
        archive.write(path, "a.tif")
    monkeypatch.chdir(tmp_path)
    catalog = build_raster_catalog([name.format(path)])
    monkeypatch.chdir("/")
    assert read_row(next(iter(catalog))).shape == (1, 4, 3)
    assert catalog.missing_files() == []


@pytest.mark.parametrize("crs", [4326, 32610])
@pytest.mark.parametrize("first", [0, -180])
def test_a_world_is_found_under_any_number_of_a_longitude(tmp_path, crs, first):
    path = write_raster(
        tmp_path / "a.tif", np.ones((1, 180, 360), "uint8"), west=first, north=90, size=1, crs=4326
    )
    east = write_raster(
        tmp_path / "b.tif", np.ones((1, 2, 2), "uint8"), west=first % 360, north=2, size=1, crs=4326
    )
    catalog = build_raster_catalog([path, east])
    box = (-124, 30, -123, 31) if crs == 4326 else (400_000, 4_000_000, 500_000, 4_100_000)
    assert catalog.query(bounds=box, crs=crs).gdf.filepath.tolist() == [path]
    if crs == 4326:
        there = (236, 30, 237, 31)
        assert catalog.query(bounds=there, crs=crs).gdf.filepath.tolist() == [path]


def test_alpha_is_not_counted_among_the_bands(tmp_path):
    path = write_raster(
        tmp_path / "a.tif", np.ones((4, 2, 2), "uint8"), photometric="RGB", alpha="YES"
    )
    catalog = build_raster_catalog([path])
    assert catalog.gdf["count"].tolist() == [3]
    assert read_row(next(iter(catalog))).shape == (3, 2, 2)


def test_a_catalog_goes_straight_to_a_file(scenes, tmp_path):
    plain = build_raster_catalog(scenes, r"_(?P<date>\d{8})")
    path = tmp_path / "made" / "catalog.parquet"
    filed = build_raster_catalog(scenes, r"_(?P<date>\d{8})", out_path=path)
    assert type(filed).__name__ == "DuckDBGeoCatalog"
    assert filed.path == str(path)
    for catalog in (filed, open_catalog(path), open_catalog(path, engine="memory")):
        assert sorted(catalog.gdf.filepath) == sorted(plain.gdf.filepath)
        assert catalog.total_bounds == plain.total_bounds
        assert len(catalog.query(time="2024-06-02")) == 1
    assert type(open_catalog(path, engine="memory")).__name__ == "InMemoryGeoCatalog"
    with pytest.raises(CatalogError, match="engine must be 'duckdb' or 'memory'"):
        open_catalog(path, engine="sqlite")
    with pytest.raises(CatalogError, match="over its own input"):
        build_raster_catalog(scenes, out_path=scenes[0])
    bad = tmp_path / "no.tif"
    bad.write_text("none")
    filed = build_raster_catalog([*scenes, bad], out_path=path, on_error="skip")
    assert [name for name, _ in filed.skipped] == [str(bad)]


def test_files_are_appended_as_the_builder_reads_them(scenes, tmp_path):
    pattern = {"filename_regex": r"_(?P<date>\d{8})"}
    first = build_raster_catalog(scenes[:1], **pattern)
    whole = first.append(scenes, **pattern)
    assert len(first) == 1
    assert (
        whole.gdf.filepath.tolist() == build_raster_catalog(scenes, **pattern).gdf.filepath.tolist()
    )
    path = tmp_path / "catalog.parquet"
    lazily = build_raster_catalog(scenes[:1], out_path=path, **pattern)
    assert len(lazily.append(scenes[1:], **pattern)) == len(scenes)
    degrees = build_raster_catalog(scenes[:1], target_crs=4326, **pattern)
    assert degrees.append(scenes[1:], **pattern).crs == degrees.crs


@pytest.mark.parametrize("path", [None, 5, b"a.tif", {"a": 1}])
def test_what_is_no_path_is_named(path):
    with pytest.raises(CatalogError, match="a path is text or a path object, got"):
        build_raster_catalog([path])
    if not isinstance(path, bytes | dict):
        with pytest.raises(CatalogError, match=f"paths must be a list of paths .*got one: {path}"):
            build_raster_catalog(path)
