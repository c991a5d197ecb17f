"""What the loaders give without a network shows one and the same place."""

import numpy as np
import pytest
from rasterio.warp import Resampling, reproject, transform

from geostack import load_dem_chip, load_landsat_chip, load_naip_chip, load_s2_chip

SHORE = (-120.05, 38.93, -119.97, 38.97)
"""Lake Tahoe's south-west shore: water, forest, rock."""


@pytest.fixture(autouse=True)
def simulated(simulated_tahoe, monkeypatch):
    monkeypatch.setenv("GEOSTACK_SOURCE", "simulated")


def ndvi(red, nir):
    red, nir = red.astype(np.float64), nir.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return (nir - red) / (nir + red)


def like(values, grid, other):
    """Values on one carrier's grid as averages on another's."""
    result = np.full(other.shape[1:], np.nan)
    reproject(
        values,
        result,
        src_transform=grid.transform,
        src_crs=grid.crs,
        src_nodata=np.nan,
        dst_transform=other.transform,
        dst_crs=other.crs,
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    return result


def agreement(a, b):
    both = np.isfinite(a) & np.isfinite(b)
    assert both.mean() > 0.8
    return np.corrcoef(a[both], b[both])[0, 1]


def test_landsat_sees_what_sentinel_2_sees():
    landsat = load_landsat_chip(bbox=SHORE, bands=("red", "nir08"), scale=True)
    sentinel = load_s2_chip(bbox=SHORE, bands=("B04", "B08"))
    assert landsat.attrs["source"] == sentinel.attrs["source"] == "simulated"
    assert landsat.attrs["item_id"].endswith("_SIM")
    seen = like(ndvi(*sentinel.values), sentinel, landsat)
    assert agreement(ndvi(*landsat.values), seen) > 0.9


def test_the_photograph_sees_what_sentinel_2_sees():
    photograph = load_naip_chip(resolution=10)
    sentinel = load_s2_chip(bbox=(-120.015, 38.930, -120.005, 38.938), bands=("B04", "B08"))
    assert photograph.attrs["item_ids"][0].endswith("_SIM")
    seen = like(ndvi(*sentinel.values), sentinel, photograph)
    assert agreement(ndvi(photograph.values[0], photograph.values[3]), seen) > 0.9


def test_water_is_level_in_the_elevation_model():
    water = load_s2_chip(bbox=SHORE, bands=("SCL",))
    dem = load_dem_chip(bbox=SHORE)
    assert dem.attrs["source"] == "simulated"
    x, y = np.meshgrid(
        water.transform.c + (np.arange(water.shape[2]) + 0.5) * water.transform.a,
        water.transform.f + (np.arange(water.shape[1]) + 0.5) * water.transform.e,
    )
    lon, lat = transform(water.crs, "EPSG:4326", x.ravel(), y.ravel())
    cols = np.abs(dem.x.to_numpy() - np.asarray(lon)[:, None]).argmin(axis=1)
    rows = np.abs(dem.y.to_numpy() - np.asarray(lat)[:, None]).argmin(axis=1)
    heights = dem.to_numpy()[rows, cols].reshape(x.shape)
    is_water = water.values[0] == 6
    assert is_water.mean() > 0.2
    assert abs(np.median(heights[is_water]) - 1897) < 1
    assert np.median(heights[~is_water]) > 1897
