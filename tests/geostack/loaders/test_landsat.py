"""Landsat: recorded items, made pixels."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from geostack import AssetNotFoundError, load_landsat_chip
from geostack.loaders.landsat import scaled

SIDE = 200


@pytest.fixture
def landsat(shared_data, tmp_path, monkeypatch):
    """A recorded Planetary Computer item whose files are made here: (item, pixels by band)."""
    feature = json.loads((shared_data / "stac" / "landsat-c2-l2-pc.json").read_text())[0]
    folder = tmp_path / "landsat-c2-l2" / feature["id"]
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    epsg, west, north = feature["properties"]["proj:epsg"], 600_000.0, -4_700_000.0
    pixels = {}
    for name in ("red", "nir08", "lwir11", "qa_pixel"):
        values = random.integers(7_000, 40_000, (SIDE, SIDE)).astype("uint16")
        values[:20] = 0
        pixels[name] = values
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="COG", width=SIDE, height=SIDE, count=1,
            dtype="uint16", crs=f"EPSG:{epsg}", transform=from_origin(west, north, 30, 30), nodata=0,
        ) as target:  # fmt: skip
            target.write(values, 1)
        feature["assets"][name]["href"] = f"./{name}.tif"
    feature["assets"] = {name: feature["assets"][name] for name in pixels}
    feature["properties"].pop("proj:transform")
    feature["properties"].pop("proj:shape")
    feature["properties"]["eo:cloud_cover"] = 3.0
    (folder / f"{feature['id']}.json").write_text(json.dumps(feature))
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    bounds = (west, north - SIDE * 30, west + SIDE * 30, north)
    box = transform_bounds(f"EPSG:{epsg}", "EPSG:4326", *bounds)
    return {"bbox": box, "date_range": "2024-04", "source": "archive"}, pixels


def test_digital_numbers_are_the_files(landsat):
    asked, pixels = landsat
    chip = load_landsat_chip(**asked, bands=("red", "nir08"))
    assert chip.shape == (2, SIDE, SIDE)
    assert chip.values.dtype == np.uint16
    np.testing.assert_array_equal(chip.values[0], pixels["red"])
    assert chip.attrs["band_names"] == ["red", "nir08"]
    assert chip.attrs["cloud_cover"] == 3.0
    assert chip.transform.a == 30


def test_scale_and_offset_of_collection_2(landsat):
    asked, pixels = landsat
    chip = load_landsat_chip(**asked, bands=("red", "lwir11"), scale=True)
    assert chip.values.dtype == np.float32
    assert np.isnan(chip.values[:, :20]).all()
    assert np.isnan(chip.fill_value_default)
    expected = pixels["red"][20:].astype("float64") * 2.75e-5 - 0.2
    np.testing.assert_allclose(chip.values[0, 20:], expected, atol=1e-6)
    expected = pixels["lwir11"][20:].astype("float64") * 0.00341802 + 149
    np.testing.assert_allclose(chip.values[1, 20:], expected, rtol=1e-6)


def test_numbers_of_the_product_guide():
    # Valid range of surface reflectance 7273 to 43636 is 0 to 1 (USGS product guide).
    values = scaled(np.array([[[7273, 43636]]], dtype="uint16"), ["red"])
    np.testing.assert_allclose(values[0, 0], [0.0, 1.0], atol=2e-5)


@pytest.mark.parametrize(
    ("bands", "scale", "said"),
    [
        (("B04",), False, "unknown Landsat band 'B04'; known bands: coastal, blue"),
        ((), False, "at least one of coastal, blue"),
        (("red", "red"), False, "must be different"),
        (("red", "qa_pixel"), True, "qa_pixel holds bits"),
    ],
)
def test_bad_bands(bands, scale, said):
    with pytest.raises(ValueError, match=said):
        load_landsat_chip(bands=bands, scale=scale, source="archive")


def test_a_band_that_the_scene_lacks(landsat):
    with pytest.raises(AssetNotFoundError, match="has no asset swir16; it has "):
        load_landsat_chip(**landsat[0], bands=("red", "swir16"))
