"""Spherical caps hold exactly the cells within the distance, everywhere on the globe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio import Affine

from geopatcher import (
    GridDomain,
    PatchError,
    PointDomain,
    RasterDomain,
    SpatialExplicit,
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialSphericalCap,
    XarrayField,
)
from geopatcher.sphere import EARTH_RADIUS_KM

GLOBE = GridDomain({"lat": np.arange(-90, 91, 2.0), "lon": np.arange(-180, 180, 2.0)})
SPHERE = Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)


def distances_km(lon, lat):
    """Great-circle distances to every cell, by PROJ's geodesics on a sphere."""
    lats, lons = np.meshgrid(GLOBE.y, GLOBE.x, indexing="ij")
    full = np.full(lats.shape, 1.0)
    return SPHERE.inv(lons, lats, lon * full, lat * full)[2] / 1000


@settings(max_examples=40)
@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90), radius=st.floats(250, 19_000))
def test_a_cap_is_all_cells_within_the_distance(lon, lat, radius):
    cap = SpatialSphericalCap(radius).neighborhood(GLOBE, (lon, lat))
    expected = distances_km(lon, lat)
    inside = np.zeros(GLOBE.shape, bool)
    inside[cap.rows, cap.cols] = True
    clear = np.abs(expected - radius) > 1e-3  # a metre: where both must agree
    np.testing.assert_array_equal(inside[clear], (expected <= radius)[clear])
    np.testing.assert_allclose(cap.distance, expected[cap.rows, cap.cols], atol=1e-3)


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_over_a_pole_every_longitude_belongs(pole):
    cap = SpatialSphericalCap(500).neighborhood(GLOBE, (37.0, pole))
    # 4 degrees are 445 km, 6 are 667: three rings of all 180 longitudes.
    assert np.unique(np.abs(GLOBE.y[cap.rows])).tolist() == [86, 88, 90]
    assert len(cap) == 3 * 180


def test_across_the_antimeridian_both_sides_belong():
    east = SpatialSphericalCap(800).neighborhood(GLOBE, (179.0, 10.0))
    moved = SpatialSphericalCap(800).neighborhood(GLOBE, (-1.0, 10.0))
    assert set(GLOBE.x[east.cols]) >= {-180.0, -178.0, 178.0}
    turned = (GLOBE.x[east.cols] + 180 + 180) % 360 - 180
    pairs = set(zip(east.rows, turned, strict=True))
    assert pairs == set(zip(moved.rows, GLOBE.x[moved.cols], strict=True))


def test_longitudes_from_0_to_360_find_the_same_places():
    shifted = GridDomain({"lat": GLOBE.y, "lon": np.arange(0, 360, 2.0)})
    cap = SpatialSphericalCap(1500).neighborhood(GLOBE, (-3.0, 40.0))
    other = SpatialSphericalCap(1500).neighborhood(shifted, (357.0, 40.0))
    places = {(GLOBE.y[r], GLOBE.x[c] % 360) for r, c in zip(cap.rows, cap.cols, strict=True)}
    assert places == {
        (shifted.y[r], shifted.x[c]) for r, c in zip(other.rows, other.cols, strict=True)
    }


def test_a_geographic_raster_and_points_have_caps_too():
    raster = RasterDomain((18, 36), Affine(10, 0, -180, 0, -10, 90), "EPSG:4326")
    cap = SpatialSphericalCap(600).neighborhood(raster, (5.0, 5.0))
    assert list(zip(cap.rows, cap.cols, strict=True)) == [(8, 18)]
    points = PointDomain([[179.9, 0], [-179.9, 0], [0, 0]], crs="EPSG:4326")
    assert SpatialSphericalCap(50).neighborhood(points, 0).index.tolist() == [0, 1]
    assert SpatialSphericalCap(50).neighborhood(points, (180.0, 0.0)).index.tolist() == [0, 1]


def test_overlapping_caps_merge_back_to_the_field(xr):
    field = XarrayField(
        xr.DataArray(
            np.random.default_rng(0).normal(size=GLOBE.shape).astype("float32"),
            {"lat": GLOBE.y, "lon": GLOBE.x},
            ("lat", "lon"),
        )
    )
    anchors = [(lon, lat) for lat in range(-90, 91, 15) for lon in range(-180, 180, 15)]
    patcher = SpatialPatcher(
        SpatialSphericalCap(1500), SpatialExplicit(anchors), SpatialHann(), SpatialOverlapAdd()
    )
    merged = patcher.merge(patcher.split(field), field)
    np.testing.assert_allclose(merged, np.asarray(field), atol=1e-5)
    assert field.with_data(merged).da.dims == ("lat", "lon")


@pytest.fixture(scope="module")
def xr():
    return pytest.importorskip("xarray")


@pytest.mark.parametrize(
    ("domain", "anchor", "message"),
    [
        (GLOBE, (10.0, 95.0), "-90 <= latitude <= 90"),
        (GLOBE, 7, r"\(longitude, latitude\)"),
        (GLOBE, (1.0, 1.0), "no cell or point lies within 5 km"),
        (RasterDomain((4, 4), Affine(10, 0, 0, 0, -10, 0), "EPSG:32610"), (0, 0), "reproject"),
        (PointDomain([[0, 0]], crs="EPSG:32610"), (0, 0), "reproject"),
    ],
)
def test_what_has_no_cap_is_refused(domain, anchor, message):
    with pytest.raises(PatchError, match=message):
        SpatialSphericalCap(5).neighborhood(domain, anchor)


@pytest.mark.parametrize("radius", [0, -1, float("nan"), float("inf")])
def test_a_radius_is_positive(radius):
    with pytest.raises(PatchError, match="radius_km must be positive"):
        SpatialSphericalCap(radius)
