"""NAIP sheets, put together."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from tiny_scenes import EPSG, NORTH, WEST

from geostack import NoSceneError, OutsideTileError, load_naip_chip

SIDE = 256


def sheet(root, name, west, year=2022, shift=0.0):
    """A four-band sheet of 1 m pixels; its red band counts columns from WEST."""
    folder = root / "naip" / name
    folder.mkdir(parents=True)
    columns = (west - WEST + np.arange(SIDE)) % 200 + 10
    values = np.stack([np.broadcast_to(columns, (SIDE, SIDE)) + band for band in range(4)])
    with rasterio.open(
        folder / "image.tif", "w", driver="COG", width=SIDE, height=SIDE, count=4, dtype="uint8",
        crs=f"EPSG:{EPSG}", transform=from_origin(west, NORTH, 1, 1), blocksize=128,
    ) as target:  # fmt: skip
        target.write(values.astype("uint8"))
    box = transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", west, NORTH - SIDE, west + SIDE, NORTH)
    feature = {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "naip",
        "bbox": list(box), "geometry": None,
        "properties": {"datetime": f"{year}-07-01T00:00:00Z", "proj:epsg": EPSG},
        "links": [], "assets": {"image": {"href": "./image.tif"}},
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(feature))


def box_of(west, east):
    return transform_bounds(
        f"EPSG:{EPSG}", "EPSG:4326", WEST + west, NORTH - 150, WEST + east, NORTH - 50
    )


@pytest.fixture
def sheets(tmp_path, monkeypatch):
    sheet(tmp_path, "left", WEST)
    sheet(tmp_path, "right", WEST + SIDE)
    sheet(tmp_path, "older", WEST, year=2020)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    return {"source": "archive", "date_range": "2018/2024"}


def expected(chip):
    columns = round(chip.transform.c - WEST) + np.arange(chip.shape[2])
    return columns % 200 + 10


def test_one_sheet(sheets):
    chip = load_naip_chip(bbox=box_of(50, 150), **sheets)
    assert chip.values.dtype == np.uint8
    assert chip.attrs["band_names"] == ["red", "green", "blue", "nir"]
    np.testing.assert_array_equal(chip.values[0, 50], expected(chip))
    np.testing.assert_array_equal(chip.values[3], chip.values[0] + 3)
    assert chip.attrs["datetime"].startswith("2022")


def test_a_box_across_two_sheets_has_no_seam(sheets):
    chip = load_naip_chip(bbox=box_of(200, 330), bands=("red",), **sheets)
    np.testing.assert_array_equal(chip.values[0, 50], expected(chip))
    assert set(chip.attrs["item_ids"]) == {"left", "right"}


def test_black_pixels_are_pixels(sheets, tmp_path):
    """0 is a value, since the files declare no nodata, and near infrared is no alpha band."""
    sheet(tmp_path, "over", WEST + 30)
    with rasterio.open(tmp_path / "naip" / "left" / "image.tif") as file:
        black = file.read()
        profile = file.profile
    black[:, 60:140, 60:140] = 0
    with rasterio.open(tmp_path / "naip" / "left" / "image.tif", "w", **profile) as file:
        file.write(black)
    chip = load_naip_chip(bbox=box_of(12, 150), **sheets)
    assert chip.attrs["item_ids"][0] == "left"
    assert (chip.values == 0).sum() == 4 * 80 * 80
    assert chip.fill_value_default is None
    beyond = load_naip_chip(bbox=box_of(-50, 150), **sheets)
    assert (beyond.values == 0).sum() == 4 * 80 * 80
    missing = beyond.values == beyond.fill_value_default
    assert beyond.fill_value_default not in (0, None)
    assert missing.any()
    west = round(WEST - beyond.transform.c)
    assert missing[..., :west].all()
    assert not missing[..., west:].any()


@pytest.mark.parametrize("resolution", [None, 4])
def test_near_infrared_in_the_colour_of_alpha_is_data(sheets, tmp_path, resolution):
    """Water is black there, and red is not missing where it is."""
    path = tmp_path / "naip" / "left" / "image.tif"
    with rasterio.open(path) as file:
        pixels, profile = file.read(), file.profile
    pixels[3] = 0
    profile |= {"driver": "GTiff", "photometric": "RGB", "alpha": "YES"}
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    for bands in (("red",), ("nir",), ("red", "green", "blue", "nir")):
        chip = load_naip_chip(bbox=box_of(50, 150), bands=bands, resolution=resolution, **sheets)
        assert [bool(band.any()) for band in chip.values] == [name != "nir" for name in bands]
        assert chip.fill_value_default != 0 or "nir" not in bands


def test_an_older_year_is_there_when_asked_for(sheets):
    chip = load_naip_chip(bbox=box_of(50, 150), **{**sheets, "date_range": "2020"})
    assert chip.attrs["item_ids"] == ["older"]


def test_a_coarser_resolution(sheets):
    chip = load_naip_chip(bbox=box_of(50, 150), resolution=4, **sheets)
    assert chip.transform.a == 4
    assert chip.shape[1] < 40


def test_a_box_that_would_fill_the_memory(sheets, monkeypatch):
    monkeypatch.setattr("geostack.grid.MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="smaller box or a coarser resolution"):
        load_naip_chip(bbox=box_of(50, 150), **sheets)


def test_bad_input(sheets):
    with pytest.raises(ValueError, match="unknown NAIP band 'swir'"):
        load_naip_chip(bands=("swir",), **sheets)
    with pytest.raises(ValueError, match="bands must be different, got red, red"):
        load_naip_chip(bands=("red", "red"), **sheets)
    for resolution in (0, -1, float("nan"), float("inf")):
        with pytest.raises(
            ValueError, match="resolution must be a finite number above 0 metres, or None"
        ):
            load_naip_chip(bbox=box_of(50, 150), resolution=resolution, **sheets)
    with pytest.raises(NoSceneError):
        load_naip_chip(bbox=(0, 0, 0.1, 0.1), **sheets)


def test_outside_every_sheet(sheets, tmp_path):
    path = tmp_path / "naip" / "left" / "left.json"
    feature = json.loads(path.read_text())
    feature["bbox"] = [0, 0, 1, 1]
    path.write_text(json.dumps(feature))
    with pytest.raises(OutsideTileError, match="lies outside"):
        load_naip_chip(bbox=(0.1, 0.1, 0.2, 0.2), **sheets)


def test_four_bands_of_one_file_cost_the_requests_of_one(sheets, tmp_path, server):
    feature = json.loads((tmp_path / "naip" / "left" / "left.json").read_text())
    counts = []
    for bands in (("red",), ("red", "green", "blue", "nir")):
        server.reset()
        server.add_item(feature, tmp_path / "naip" / "left")
        chip = load_naip_chip(bbox=box_of(50, 150), bands=bands, source="planetary-computer")
        assert chip.shape[0] == len(bands)
        counts.append(len(server.requests("^/files/")))
    assert counts[1] == counts[0] > 0
