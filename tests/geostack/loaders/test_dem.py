"""Elevation: one tile, and a box across two."""

import datetime
import json

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.transform import from_origin

from geostack import load_dem_chip, load_era5_chip
from geostack.sources.archive import ArchiveSource

STEP = 1 / 360


def tile(root, name, west, north, count=360):
    """A made tile of 1 x 1 degree: elevation is 1000 x longitude + latitude."""
    folder = root / "cop-dem-glo-30" / name
    folder.mkdir(parents=True)
    lon = west + (np.arange(count) + 0.5) * STEP
    lat = north - (np.arange(count) + 0.5) * STEP
    values = (1000 * lon[None, :] + lat[:, None]).astype("float32")
    with rasterio.open(
        folder / "data.tif", "w", driver="COG", width=count, height=count, count=1, dtype="float32",
        crs="EPSG:4326", transform=from_origin(west, north, STEP, STEP),
    ) as target:  # fmt: skip
        target.write(values, 1)
    feature = {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "cop-dem-glo-30",
        "bbox": [west, north - 1, west + 1, north], "geometry": None,
        "properties": {"datetime": "2021-04-22T00:00:00Z", "proj:epsg": 4326},
        "links": [], "assets": {"data": {"href": "./data.tif"}},
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(feature))


def test_a_box_across_two_tiles_is_one_surface(tmp_path, monkeypatch):
    tile(tmp_path, "a", 10, 47)
    tile(tmp_path, "b", 11, 47)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    dem = load_dem_chip(bbox=(10.9, 46.4, 11.2, 46.6), source="archive")
    assert dem.dtype == np.float32
    assert not dem.isnull().any()
    expected = 1000 * dem.x + dem.y
    np.testing.assert_allclose(dem, expected.transpose("y", "x"), rtol=1e-5)
    assert set(dem.attrs["item_ids"]) == {"a", "b"}
    assert dem.attrs["units"] == "m"
    assert dem.rio.crs.to_epsg() == 4326


def test_where_no_tile_reaches_is_nan(tmp_path, monkeypatch):
    tile(tmp_path, "a", 10, 47)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    dem = load_dem_chip(bbox=(10.9, 46.4, 11.2, 46.6), source="archive")
    assert dem.sel(x=slice(11.01, None)).isnull().all()
    assert not dem.sel(x=slice(None, 10.99)).isnull().any()


def test_real_tile(archive_root, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(archive_root))
    dem = load_era5_chip(bbox=(6.5, 0.2, 6.8, 0.5), backend="cop-dem-glo-30", source="archive")
    assert dem.dims == ("y", "x")
    assert dem.attrs["source"] == "archive"
    # Sao Tome's Pico is 2,024 m high; the sea around it is 0.
    assert 1900 < float(dem.max()) < 2050
    assert float(dem.min()) <= 0


def test_one_latitude_row_is_the_files(archive_root, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(archive_root))
    dem = load_dem_chip(bbox=(6.5, 0.2, 6.52, 0.22), source="archive")
    path = next((archive_root / "cop-dem-glo-30").rglob("*.tif"))
    with rasterio.open(path) as dataset:
        rows, cols = rasterio.transform.rowcol(dataset.transform, dem.x.values, dem.y.values[:1])
        expected = dataset.read(1)[rows[0], cols]
    np.testing.assert_array_equal(dem.values[0], expected)


def test_a_bad_backend():
    with pytest.raises(ValueError, match="backend must be 'era5-pds' or 'cop-dem-glo-30'"):
        load_era5_chip(backend="srtm")


def test_a_box_across_180_is_one_surface_beyond_180(tmp_path, monkeypatch):
    tile(tmp_path, "w", 179, -16)
    tile(tmp_path, "e", -180, -16)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    for box in ((179.7, -16.6, -179.9, -16.4), (179.7, -16.6, 0, 180.1, -16.4, 100)):
        dem = load_dem_chip(bbox=box, source="archive")
        assert set(dem.attrs["item_ids"]) == {"w", "e"}
        assert float(dem.x[0]) == pytest.approx(179.7 + STEP / 2)
        assert float(dem.x[-1]) == pytest.approx(180.1 - STEP / 2)
        lon = ((dem.x + 180) % 360) - 180
        np.testing.assert_allclose(dem, (1000 * lon + dem.y).transpose("y", "x"), rtol=1e-5)
    east = load_dem_chip(bbox=(180.2, -16.6, 180.3, -16.4), source="archive")
    assert float(east.x[0]) == pytest.approx(-179.8 + STEP / 2)


@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
@pytest.mark.parametrize(
    ("kind", "nodata"),
    [("int16", -32768), ("int16", None), ("int32", -9999), ("uint16", 0), ("float64", -9999.0)],
)
def test_where_no_tile_has_a_height_is_nan_in_whole_metres_too(tmp_path, kind, nodata, order):
    """Heights in metres are often stored as integers, which have no NaN."""
    folder = tmp_path / "cop-dem-glo-30" / "a"
    folder.mkdir(parents=True)
    heights = np.full((100, 100), 50, kind)
    if nodata is not None:
        heights[60:70, 40:50] = nodata
    with rasterio.open(
        folder / "a.tif", "w", driver="GTiff", count=1, height=100, width=100, dtype=kind,
        crs="EPSG:4326", transform=rasterio.Affine(0.01, 0, 10, 0, -0.01, 50), nodata=nodata,
        ENDIANNESS=order,
    ) as file:  # fmt: skip
        file.write(heights, 1)
    item = pystac.Item(
        "a", None, [10, 49, 11, 50], datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC), {},
        collection="cop-dem-glo-30", assets={"data": pystac.Asset("./a.tif")},
    )  # fmt: skip
    (folder / "a.json").write_text(json.dumps(item.to_dict(include_self_link=False)))
    dem = load_dem_chip(bbox=(10.2, 49.2, 11.2, 49.8), source=ArchiveSource(tmp_path))
    hole = 0 if nodata is None else 100
    assert dem.dtype == "float32"
    assert int(np.isnan(dem).sum()) == 60 * 20 + hole
    assert float(dem.min()) == float(dem.max()) == 50
