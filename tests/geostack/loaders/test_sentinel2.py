"""Sentinel-2 chips, tiles and stacks: pixels, grids, one scale, errors."""

import json
import pickle

import numpy as np
import pytest
import rasterio
import tiny_scenes
from georeader.geotensor import GeoTensor
from rasterio.windows import Window
from tiny_scenes import SIDE, WEST, band, make_scene, scene_bbox

import geostack
from geostack import (
    AssetNotFoundError,
    NoSceneError,
    OutsideTileError,
    load_s2_chip,
    load_s2_full_tile,
    load_s2_timestack,
)
from pipekit.pixels import band_roles

BOX = scene_bbox(inset=1000)
CHIP = {"bbox": BOX, "source": "archive"}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    return tmp_path


# the facts of the Lake Tahoe scene


def test_defaults_on_the_simulated_source(simulated_tahoe):
    chip = load_s2_chip(source="simulated")
    assert isinstance(chip, GeoTensor)
    assert chip.shape == (4, 3935, 1599)
    assert chip.values.dtype == np.uint16
    assert chip.crs.to_epsg() == 32610
    assert tuple(chip.bounds) == (750180, 4311890, 766170, 4351240)
    assert chip.fill_value_default == 0
    assert (chip.values > 0).all()
    attrs = chip.attrs
    assert attrs["band_names"] == ["B02", "B03", "B04", "B08"]
    assert attrs["source"] == "simulated"
    assert attrs["item_id"].endswith("_SIM")
    assert attrs["datetime"].startswith("2024-06-14")
    assert attrs["processing_baseline"] == "05.10"
    assert attrs["offset_applied"] is True
    assert attrs["box_share"] == 1.0
    assert attrs["cloud_cover"] < 5


def test_twenty_two_scenes_on_the_true_grid(simulated_tahoe):
    items = geostack.load_stac_items(
        "sentinel-2-l2a",
        geostack.LAKE_TAHOE_BBOX,
        "2024-06-01/2024-07-31",
        max_cloud_cover=15,
        tile=geostack.LAKE_TAHOE_TILE,
        source="simulated",
    )
    assert len(items) == 22
    assert all(item.properties["geostack:simulated"] for item in items)
    reader = load_s2_full_tile(source="simulated", bands=("B04",))
    assert reader.shape == (1, 10980, 10980)
    assert tuple(reader.bounds) == (699960, 4290240, 809760, 4400040)


def test_bands_at_20_m_lie_on_the_10_m_grid(simulated_tahoe):
    box = (-120.05, 39.0, -120.0, 39.05)
    both = load_s2_chip(bbox=box, bands=("B04", "B11", "SCL"), source="simulated")
    red = load_s2_chip(bbox=box, bands=("B04",), source="simulated")
    np.testing.assert_array_equal(both.values[0], red.values[0])
    assert set(np.unique(both.values[2])) <= set(range(12))


# real scenes


def test_south_tyrol(archive_root, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(archive_root))
    chip = load_s2_chip(
        bbox=geostack.SOUTH_TYROL_BBOX, tile=geostack.SOUTH_TYROL_TILE, date_range="2022-06"
    )
    assert chip.attrs["source"] == "archive"
    assert chip.shape == (4, 705, 927)
    assert chip.attrs["offset_applied"] is True
    assert chip.attrs["box_share"] == 1.0
    red, nir = chip.values[2].astype(float), chip.values[3].astype(float)
    ndvi = (nir - red) / (nir + red)
    assert 0.4 < np.nanmedian(ndvi) < 0.95  # forested slopes in June


def test_flanders_stack_is_in_order_of_time_and_on_one_grid(archive_root, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(archive_root))
    stack, dates, reference = load_s2_timestack(
        bbox=(3.021, 50.8135, 3.027, 50.818),
        date_range="2017-08-01/2018-11-30",
        tile="31UDS",
        bands=("B04", "B08", "SCL"),
        max_items=10,
        max_cloud_cover=1,
    )
    assert stack.shape[:2] == (10, 3)
    assert dates.is_monotonic_increasing
    assert reference.shape == stack.shape[2:]
    assert reference.rio.crs.to_epsg() == 32631
    assert reference.rio.transform() == stack.transform
    assert stack.attrs["offset_applied"] is True
    assert stack.attrs["processing_baselines"] == [None] * 10
    assert len(set(stack.attrs["item_ids"])) == 10
    first = load_s2_chip(
        bbox=(3.021, 50.8135, 3.027, 50.818),
        date_range=str(dates[0].date()),
        tile="31UDS",
        bands=("B04",),
    )
    np.testing.assert_array_equal(stack.values[0, 0], first.values[0])


# one radiometric scale


@pytest.mark.parametrize(
    ("baseline", "when", "applied", "shift"),
    [
        ("05.10", "2024-06-14", None, 1000),
        ("04.00", "2022-02-14", None, 1000),
        ("03.01", "2021-06-14", None, 0),
        # re-processed: an old date with a new baseline
        ("05.00", "2019-06-14", None, 1000),
        # the provider has taken it away
        ("05.10", "2024-06-14", True, 0),
        ("05.10", "2024-06-14", False, 1000),
        # no baseline: the date decides
        (None, "2022-01-25", None, 1000),
        (None, "2022-01-24", None, 0),
        ("n/a", "2022-01-25", None, 1000),
        (None, "2024-06-14", True, 0),
        (None, "2024-06-14", False, 1000),
    ],
)
def test_the_offset_is_taken_away_by_metadata(archive, baseline, when, applied, shift):
    properties = {} if applied is None else {"earthsearch:boa_offset_applied": applied}
    make_scene(archive, bands=("B04",), baseline=baseline, when=f"{when}T18:39:19Z", **properties)
    asked = {**CHIP, "bands": ("B04",), "date_range": when}
    raw, chip = load_s2_chip(**asked, harmonize=False), load_s2_chip(**asked)
    np.testing.assert_array_equal(raw.values.astype(int) - shift, chip.values)
    assert chip.attrs["offset_applied"] is True
    assert raw.attrs["offset_applied"] is (shift == 0)


def test_no_data_stays_zero_and_nothing_wraps(archive):
    pixels = band(10, 0)
    pixels[:200, :200] = 0
    pixels[200:300, 200:300] = 1
    pixels[300:400, 300:400] = 999
    make_scene(archive, bands=("B04", "SCL"), values={"B04": pixels})
    asked = {**CHIP, "bands": ("B04", "SCL")}
    raw, chip = load_s2_chip(**asked, harmonize=False), load_s2_chip(**asked)
    before, after = raw.values[0], chip.values[0]
    np.testing.assert_array_equal(before == 0, after == 0)
    assert (after[(before > 0) & (before < 1001)] == 1).all()
    assert after.max() == before.max() - 1000
    np.testing.assert_array_equal(raw.values[1], chip.values[1])  # classes have no offset


def test_a_mixed_stack_comes_out_on_one_scale(archive):
    pixels = band(10, 0)
    for when, baseline, values in [
        ("2021-12-01", "03.01", pixels - 1000),
        ("2022-02-01", "04.00", pixels),
        ("2022-03-01", None, pixels),
    ]:
        make_scene(
            archive, f"s-{when}", when=f"{when}T18:39:19Z", baseline=baseline, bands=("B04",),
            values={"B04": values},
        )  # fmt: skip
    asked = {**CHIP, "bands": ("B04",), "date_range": "2021-11/2022-04"}
    stack, _, _ = load_s2_timestack(**asked)
    assert stack.shape[0] == 3
    np.testing.assert_array_equal(stack.values[0], stack.values[1])
    np.testing.assert_array_equal(stack.values[0], stack.values[2])
    assert stack.attrs["offset_applied"] is True
    raw, _, _ = load_s2_timestack(**asked, harmonize=False)
    assert raw.attrs["offset_applied"] is False


# resampling


def test_bilinear_keeps_planes_and_scl_keeps_classes(archive):
    side = int(SIDE / 20)
    ramp = (2000 + 4 * np.arange(side))[None, :].repeat(side, 0).astype("uint16")
    make_scene(archive, bands=("B04", "B11", "SCL"), values={"B11": ramp})
    chip = load_s2_chip(**CHIP, bands=("B04", "B11", "SCL"), harmonize=False)
    columns = (chip.transform.c - WEST) / 10 + np.arange(chip.shape[2]) + 0.5
    exact = 2000 + 4 * (columns / 2 - 0.5)
    assert np.abs(chip.values[1] - exact[None, :]).max() <= 0.5 + 1e-6
    coarse = load_s2_chip(**CHIP, bands=("SCL",))
    assert coarse.transform.a == 20
    assert set(np.unique(chip.values[2])) <= set(np.unique(coarse.values[0]))


def test_overlapping_boxes_agree(archive):
    make_scene(archive, bands=("B04", "B11"))
    whole = load_s2_chip(**CHIP, bands=("B04", "B11"))
    west, south, east, north = BOX
    part = load_s2_chip(
        **{**CHIP, "bbox": ((west + east) / 2, south, east, (south + north) / 2)},
        bands=("B04", "B11"),
    )
    left = round((part.transform.c - whole.transform.c) / 10)
    top = round((whole.transform.f - part.transform.f) / 10)
    rows, cols = part.shape[1:]
    np.testing.assert_array_equal(
        whole.values[:, top : top + rows, left : left + cols], part.values
    )


def test_items_that_declare_no_grid_are_asked_for_it(archive):
    make_scene(archive, declare_grid=False)
    assert load_s2_chip(**CHIP).shape[0] == 4


def test_the_scene_whose_swath_holds_the_box_is_preferred(archive):
    make_scene(archive, "clear-but-aslant", cloud=0.0, bands=("B04",), when="2024-06-10T18:00:00Z")
    make_scene(archive, "whole", cloud=2.0, bands=("B04",))
    path = archive / "sentinel-2-l2a" / "clear-but-aslant" / "clear-but-aslant.json"
    west, south, east, north = scene_bbox()
    feature = json.loads(path.read_text())
    # The swath's edge runs through the tile: half of it is empty, though its box is the tile's.
    feature["geometry"]["coordinates"] = [
        [[west, south], [east, south], [east, north], [west, south]]
    ]
    path.write_text(json.dumps(feature))
    for tile in (None, "10SGJ"):
        assert load_s2_chip(**CHIP, bands=("B04",), tile=tile).attrs["item_id"] == "whole"
    _, dates, _ = load_s2_timestack(**CHIP, bands=("B04",), date_range="2024-06")
    assert [f"{date:%d}" for date in dates] == ["14"]


# bad input


def test_unknown_band_lists_the_known_ones(archive):
    with pytest.raises(ValueError, match=r"unknown Sentinel-2 band 'B99'; known bands: B01, B02"):
        load_s2_chip(**CHIP, bands=("B04", "B99"))


@pytest.mark.parametrize("number", [0, -1, 1.5, "six", None])
def test_bad_number_of_scenes(archive, number):
    with pytest.raises(ValueError, match="max_items must be a whole number of at least 1"):
        load_s2_timestack(**CHIP, max_items=number)


@pytest.mark.parametrize(
    ("bands", "said"), [((), "at least one"), (("B04", "b4"), "must be different")]
)
def test_bad_band_lists(archive, bands, said):
    with pytest.raises(ValueError, match=said):
        load_s2_chip(**CHIP, bands=bands)


def test_a_band_that_the_scene_lacks_lists_those_it_has(archive):
    make_scene(archive, bands=("B04", "SCL"))
    with pytest.raises(AssetNotFoundError, match=r"has no asset B08; it has B04, SCL"):
        load_s2_chip(**CHIP, bands=("B04", "B08"))


def test_a_box_outside_the_tile(archive):
    feature = make_scene(archive, bands=("B04",))
    path = archive / "sentinel-2-l2a" / feature["id"] / f"{feature['id']}.json"
    _, south, east, north = scene_bbox()
    # An item may promise more than its pixels hold.
    path.write_text(path.read_text().replace(str(east), str(east + 1)))
    with pytest.raises(OutsideTileError, match="lies outside the scene"):
        load_s2_chip(bbox=(east + 0.5, south, east + 0.6, north), bands=("B04",), source="archive")


def test_a_box_over_the_edge_is_cut_and_said(archive):
    make_scene(archive, bands=("B04",))
    west, south, east, north = BOX
    chip = load_s2_chip(bbox=(west, south, east + 0.03, north), bands=("B04",), source="archive")
    assert chip.bounds[2] == WEST + SIDE
    assert 0.4 < chip.attrs["box_share"] < 0.9


def test_reversed_boxes_and_metres(archive):
    for box in [(1, 0, 0, 1), (0, 1, 1, 0), (750180, 4311890, 766170, 4351240)]:
        with pytest.raises(ValueError, match="bbox"):
            load_s2_chip(bbox=box, source="archive")


def test_a_box_counted_from_0_to_360_with_heights_is_the_same_chip(archive):
    make_scene(archive, bands=("B04",))
    west, south, east, north = CHIP["bbox"]
    plain = load_s2_chip(**CHIP, bands=("B04",))
    turned = (west + 360, south, 0, east + 360, north, 3000)
    again = load_s2_chip(**{**CHIP, "bbox": turned}, bands=("B04",))
    np.testing.assert_array_equal(again.values, plain.values)
    assert again.transform == plain.transform


def test_a_scene_across_180_is_one_chip_in_every_notation(archive, monkeypatch):
    for name, value in {"EPSG": 32760, "WEST": 817_000.0, "NORTH": 8_118_000.0}.items():
        monkeypatch.setattr(tiny_scenes, name, value)
    make_scene(archive, bands=("B04", "SCL"), tile="60KYF")
    west, south, east, north = tiny_scenes.scene_bbox(inset=1000)
    assert west > 179
    assert east < -179
    place = {"source": "archive", "tile": None, "bands": ("B04", "SCL"), "harmonize": False}
    chip = load_s2_chip(bbox=(west, south, east, north), **place)
    assert chip.attrs["box_share"] == 1
    with rasterio.open(next(archive.rglob("B04.tif"))) as file:
        left, top = ~file.transform @ (chip.transform.c, chip.transform.f)
        window = Window(left, top, *chip.shape[:0:-1])
        np.testing.assert_array_equal(chip.values[0], file.read(1, window=window))
    for box in ((west, south, east + 360, north), (west, south, 0, east, north, 9)):
        again = load_s2_chip(bbox=box, **place)
        np.testing.assert_array_equal(again.values, chip.values)
    halves = [(west, south, 180, north), (-180, south, east, north)]
    shapes = [load_s2_chip(bbox=half, **place).shape for half in halves]
    assert sum(shape[2] for shape in shapes) >= chip.shape[2]
    assert max(shape[2] for shape in shapes) < chip.shape[2]


def test_chips_stacks_and_readers_say_which_band_holds_classes(archive):
    make_scene(archive, bands=("B04", "SCL"))
    asked = {**CHIP, "bands": ("B04", "SCL")}
    assert band_roles(load_s2_chip(**asked)) == ("quantity", "class")
    assert band_roles(load_s2_full_tile(**asked).load()) == ("quantity", "class")
    stack, _, reference = load_s2_timestack(**asked)
    assert band_roles(stack) == ("quantity", "class")
    assert "band_roles" not in reference.attrs
    _, _, classes = load_s2_timestack(**{**CHIP, "bands": ("SCL",)})
    assert band_roles(classes) == ("class",)


def test_a_time_with_no_scene(archive):
    make_scene(archive, bands=("B04",))
    with pytest.raises(NoSceneError, match=r"2023-06.*nearest dates that exist are 2024-06-14"):
        load_s2_chip(**CHIP, date_range="2023-06")


# lazy tiles


def test_a_reader_reads_what_a_chip_reads(archive):
    make_scene(archive)
    bands = ("B04", "B11", "SCL")
    chip = load_s2_chip(**CHIP, bands=bands)
    reader = load_s2_full_tile(**CHIP, bands=bands)
    left = round((chip.transform.c - WEST) / 10)
    top = round((reader.transform.f - chip.transform.f) / 10)
    part = reader.read_from_window(Window(left, top, chip.shape[2], chip.shape[1]))
    loaded = part.load()
    np.testing.assert_array_equal(loaded.values, chip.values)
    assert loaded.transform == chip.transform == part.transform
    assert loaded.attrs["band_names"] == list(bands)
    np.testing.assert_array_equal(reader.load().values[:, top, left], chip.values[:, 0, 0])


def test_windows_of_windows_and_beyond_the_edge(archive):
    make_scene(archive)
    reader = load_s2_full_tile(**CHIP, bands=("B04",))
    whole = reader.load().values
    inner = reader.read_from_window(Window(100, 50, 200, 100))
    again = inner.read_from_window(Window(10, 20, 30, 40)).load()
    np.testing.assert_array_equal(again.values, whole[:, 70:110, 110:140])
    beyond = reader.read_from_window(Window(500, 500, 20, 30)).load()
    assert beyond.shape == (1, 30, 20)
    np.testing.assert_array_equal(beyond.values[:, :12, :12], whole[:, 500:, 500:])
    assert beyond.values[:, 12:].max() == 0
    clipped = reader.read_from_window(Window(500, 500, 20, 30), boundless=False)
    assert clipped.shape == (1, 12, 12)
    loaded = reader.read_from_window(Window(-5, 500, 20, 30)).load(boundless=False)
    np.testing.assert_array_equal(loaded.values, whole[:, 500:, :15])
    assert loaded.transform == reader.read_from_window(Window(0, 500, 15, 12)).transform


def test_a_reader_pickles_and_says_what_it_is(archive):
    make_scene(archive)
    reader = load_s2_full_tile(**CHIP, bands=("B04",)).read_from_window(Window(5, 6, 7, 8))
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.load().values, reader.load().values)
    assert copy.transform == reader.transform
    assert "bands=(B04), shape=(1, 8, 7)" in repr(reader)


def test_a_reader_is_a_field(archive):
    from geopatcher import RasterField

    make_scene(archive)
    field = RasterField(load_s2_full_tile(**CHIP, bands=("B04", "B08")))
    patch = field.select(Window(10, 20, 32, 16))
    assert patch.shape == (2, 16, 32)


# the clearest scene that has what is asked for


def test_the_clearest_scene_that_has_the_bands_is_taken_from_the_simulation():
    few = {"date_range": "2024-06-01/2024-09-30", "source": "simulated"}
    box = (-120.05, 39.00, -120.03, 39.01)
    chip = load_s2_chip(bbox=box, **few)
    assert chip.shape[0] == 4
    clearest = load_s2_chip(bbox=box, bands=("B04", "B08"), **few)
    assert clearest.attrs["cloud_cover"] < chip.attrs["cloud_cover"]
    assert "FULL" in clearest.attrs["item_id"]


@pytest.mark.parametrize("live", [False, True])
def test_the_clearest_scene_that_has_the_bands_is_taken(live, tmp_path, request, monkeypatch):
    """Also where a clearer one, or a newer baseline of it, lacks one."""
    full = {"bands": ("B04", "B08")}
    scenes = [
        (
            "S2B_MSIL2A_20240604T183919_R070_T10SGJ_1",
            "2024-06-04T18:39:19Z",
            0.0,
            {"bands": ("B04",)},
        ),
        ("S2B_MSIL2A_20240614T183919_R070_T10SGJ_2", "2024-06-14T18:39:19Z", 1.0, full),
        (
            "S2B_MSIL2A_20240614T183919_R070_T10SGJ_3",
            "2024-06-14T18:39:19Z",
            1.0,
            {"bands": ("B08",), "baseline": "05.11"},
        ),
        ("S2B_MSIL2A_20240624T183919_R070_T10SGJ_4", "2024-06-24T18:39:19Z", 4.0, full),
    ]
    features = [
        make_scene(tmp_path, name, when=when, cloud=cloud, **how)
        for name, when, cloud, how in scenes
    ]
    if live:
        server = request.getfixturevalue("server")
        for feature in features:
            server.add_item(feature, tmp_path / "sentinel-2-l2a" / feature["id"])
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    asked = {"bbox": BOX, "source": "planetary-computer" if live else "archive"}
    assert load_s2_chip(**asked, bands=("B04", "B08")).attrs["item_id"] == scenes[1][0]
    assert load_s2_full_tile(**asked, bands=("B04", "B08")).attrs["item_id"] == scenes[1][0]
    assert load_s2_chip(**asked, bands=("B04",)).attrs["item_id"] == scenes[0][0]
    stack, _, _ = load_s2_timestack(**asked, max_items=2)
    assert stack.attrs["item_ids"] == [scenes[1][0], scenes[3][0]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint32", "uint16"])
def test_a_chip_in_another_dtype_holds_the_same_numbers(dtype, archive):
    values = band(10.0, 0)
    values[100:120, 100:120] = 0
    make_scene(archive, bands=("B04", "SCL"), values={"B04": values})
    plain = load_s2_chip(**CHIP, bands=("B04", "SCL"))
    chip = load_s2_chip(**CHIP, bands=("B04", "SCL"), dtype=dtype)
    assert chip.dtype == dtype
    if np.dtype(dtype).kind == "f":
        assert np.isnan(chip.fill_value_default)
        expected = np.where(plain.values == 0, np.nan, plain.values)
    else:
        assert chip.fill_value_default == 0
        expected = plain.values
    np.testing.assert_array_equal(chip, expected)
    assert (chip.transform, chip.attrs) == (plain.transform, plain.attrs)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float16", "bool"])
def test_a_dtype_that_loses_numbers_is_refused_before_anything_is_read(dtype):
    with pytest.raises(ValueError, match=f"every digital number.*got '{dtype}'"):
        load_s2_chip(dtype=dtype, source="archive")


def test_dates_of_a_stack_print_as_dates(archive):
    make_scene(archive)
    make_scene(archive, "S2B_2", when="2024-07-04T18:39:19Z")
    _, dates, _ = load_s2_timestack(**CHIP, max_items=2)
    assert [str(date)[:10] for date in dates] == ["2024-06-14", "2024-07-04"]
    assert [str(date)[:10] for date in dates.values] == ["2024-06-14", "2024-07-04"]
    assert str(dates[-1:][0].date()) == "2024-07-04"


STORED = [
    ("uint16", 0), ("uint16", 65535), ("uint16", 255), ("uint8", 255), ("int16", -32768),
    ("int16", -9999), ("int32", -9999), ("float32", np.nan), ("float32", -9999), ("float32", 65535),
]  # fmt: skip


@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
@pytest.mark.parametrize(("kind", "nodata"), [*STORED, ("uint16", "mask"), ("int16", "mask")])
def test_what_a_file_calls_no_data_is_zero(archive, kind, nodata, order):
    """Other producers mark it by other numbers, or by a mask."""
    make_scene(archive, "a", bands=("B04", "B08"), baseline="05.10")
    (path,) = archive.glob("*/*/B04.tif")
    with rasterio.open(path) as file:
        profile, values = file.profile, file.read(1)
    values = (values % 200 + 1 if kind == "uint8" else values).astype(kind)
    hole = np.zeros(values.shape, bool)
    hole[200:260, 200:280] = True
    by_mask = nodata == "mask"
    profile |= {"driver": "GTiff", "dtype": kind, "nodata": None if by_mask else nodata}
    path.unlink()
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", ENDIANNESS=order, **profile) as file,
    ):
        file.write(values if by_mask else np.where(hole, nodata, values).astype(kind), 1)
        if by_mask:
            file.write_mask(~hole)
    expected = np.where(hole, 0, np.maximum(values.astype("int64") - 1000, 1)).astype("uint16")
    asked = {**CHIP, "bands": ("B04",), "date_range": "2024-06"}
    tile = load_s2_full_tile(**asked)
    window = Window(190, 190, 80, 80)
    np.testing.assert_array_equal(tile.load().values[0], expected)
    np.testing.assert_array_equal(
        tile.read_from_window(window).load().values[0], expected[window.toslices()]
    )
    chip = load_s2_chip(**asked)
    stack, *_ = load_s2_timestack(**asked)
    col, row = map(round, ~tile.transform @ (chip.transform.c, chip.transform.f))
    under = expected[row : row + chip.shape[1], col : col + chip.shape[2]]
    for pixels in (chip.values[0], stack.values[0, 0]):
        np.testing.assert_array_equal(pixels, under)


@pytest.mark.parametrize("kind", ["float32", "int16", "int32"])
def test_numbers_that_are_no_digital_numbers_are_refused(archive, kind):
    make_scene(archive, "a", bands=("B04",))
    (path,) = archive.glob("*/*/B04.tif")
    with rasterio.open(path) as file:
        profile, values = file.profile, file.read(1)
    odd = {
        "float32": values * 1e-4,
        "int16": -values.astype("int16"),
        "int32": values.astype("int32") + 70_000,
    }
    path.unlink()
    with rasterio.open(path, "w", **{**profile, "driver": "GTiff", "dtype": kind}) as file:
        file.write(odd[kind].astype(kind), 1)
    asked = {**CHIP, "bands": ("B04",), "date_range": "2024-06"}
    for load in (load_s2_chip, load_s2_timestack, lambda **k: load_s2_full_tile(**k).load()):
        with pytest.raises(geostack.PixelReadError, match=f"B04.* holds {kind} from"):
            load(**asked)
