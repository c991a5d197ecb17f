"""Neighbourhoods of a place: nearest members, radii, caps of the sphere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio import Affine
from scipy.spatial import cKDTree
from shapely import box

from geopatcher import (
    GridDomain,
    PatchError,
    PointDomain,
    RasterDomain,
    SpatialExplicit,
    SpatialHann,
    SpatialKNNGraph,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRadiusGraph,
    SpatialSphericalCap,
    VectorDomain,
    XarrayField,
)
from geopatcher.sphere import EARTH_RADIUS_KM

SPHERE = Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)


def points_from(seed, count, crs=None):
    rng = np.random.default_rng(seed)
    if crs is None:
        return PointDomain(rng.integers(0, 12, (count, 2)))  # whole numbers: ties on purpose
    return PointDomain(
        np.stack([rng.uniform(-180, 180, count), rng.uniform(-90, 90, count)], 1), crs=crs
    )


def distances(domain, place):
    if domain.crs is None:
        return np.hypot(*(domain.coords - place).T)
    full = np.ones(len(domain))
    lon, lat = domain.coords.T
    return SPHERE.inv(lon, lat, place[0] * full, place[1] * full)[2]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 999),
    count=st.integers(1, 80),
    crs=st.sampled_from([None, "EPSG:4326"]),
    data=st.data(),
)
def test_the_nearest_are_those_of_brute_force(seed, count, crs, data):
    domain = points_from(seed, count, crs)
    k = data.draw(st.integers(1, count))
    anchor = data.draw(st.integers(0, count - 1))
    found = SpatialKNNGraph(k).neighborhood(domain, anchor)
    expected = distances(domain, domain.coords[anchor])
    np.testing.assert_allclose(found.distance, np.sort(expected)[:k], atol=1e-2)
    np.testing.assert_allclose(found.distance, expected[found.index], atol=1e-2)
    assert len(set(found.index)) == k


@settings(max_examples=60)
@given(
    seed=st.integers(0, 999),
    count=st.integers(1, 80),
    anchor=st.integers(0, 79),
    radius=st.floats(0.1, 12),
)
def test_all_within_the_radius_are_found_nearest_first(seed, count, anchor, radius):
    domain = points_from(seed, count)
    anchor %= count
    found = SpatialRadiusGraph(radius).neighborhood(domain, anchor)
    expected = distances(domain, domain.coords[anchor])
    assert set(found.index) == set(np.flatnonzero(expected <= radius))
    assert found.index[0] == anchor
    assert (np.diff(found.distance) >= 0).all()


def test_on_a_geographic_crs_a_radius_is_metres_across_the_antimeridian():
    domain = PointDomain([[179.99, 0.0], [-179.99, 0.0], [179.0, 0.0]], crs="EPSG:4326")
    found = SpatialRadiusGraph(3000).neighborhood(domain, 0)
    assert found.index.tolist() == [0, 1]
    # 0.02 degrees of the equator.
    assert found.distance[1] == pytest.approx(np.radians(0.02) * EARTH_RADIUS_KM * 1000, rel=1e-6)


def test_a_member_is_first_in_its_own_patch_even_among_twins():
    domain = PointDomain([[1, 1], [1, 1], [1, 1]])
    assert SpatialRadiusGraph(1).neighborhood(domain, 2).index.tolist() == [2, 0, 1]


def test_a_tree_that_was_built_before_is_used():
    coords = np.random.default_rng(0).normal(size=(30, 3))
    tree = cKDTree(coords)
    domain = PointDomain(coords, kdtree=tree)
    assert domain.tree is tree
    own = SpatialKNNGraph(5).neighborhood(PointDomain(coords), (0.0, 0.0, 0.0))
    given_tree = SpatialKNNGraph(5).neighborhood(domain, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(own.index, given_tree.index)
    with pytest.raises(PatchError, match="kdtree holds 30 points, coords 29"):
        PointDomain(coords[1:], kdtree=tree)


def test_shapes_stand_for_their_centroids():
    domain = VectorDomain([box(i, 0, i + 1, 1) for i in range(5)])
    assert SpatialKNNGraph(2).neighborhood(domain, (3.6, 0.5)).index.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: SpatialKNNGraph(4).neighborhood(d, 0), "4 nearest of 3 points"),
        (lambda d: SpatialKNNGraph(1).neighborhood(d, 3), "0 to 2, got 3"),
        (lambda d: SpatialKNNGraph(1).neighborhood(d, (1.0,)), "2 coordinates"),
        (lambda d: SpatialRadiusGraph(1).neighborhood(d, (50.0, 50.0)), "larger radius"),
        (lambda d: SpatialKNNGraph(1).neighborhood(RasterDomain((3, 3)), 0), "SpatialRectangular"),
        (lambda d: SpatialKNNGraph(0), "k must be"),
        (lambda d: SpatialRadiusGraph(-1), "radius must be a finite number above 0"),
    ],
)
def test_what_cannot_be_found_is_refused(make, message):
    with pytest.raises(PatchError, match=message):
        make(PointDomain([[0, 0], [1, 0], [2, 0]]))


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_a_member_is_the_first_of_its_patch_wherever_others_lie(crs):
    """Records of a survey often share a place: more of them than neighbours asked for."""
    domain = PointDomain(np.ones((20, 2)), crs=crs)
    for anchor in range(20):
        patch = SpatialKNNGraph(np.int64(3)).neighborhood(domain, anchor)
        assert patch.index[0] == anchor
        assert len(set(patch.index.tolist())) == 3
        assert (patch.distance == 0).all()


@pytest.mark.parametrize("latitude", [0.0, 37.0, -80.0])
@pytest.mark.parametrize("degrees", range(1, 53, 3))
def test_members_at_the_radius_on_the_sphere_are_within_it(latitude, degrees):
    domain = PointDomain([[0, latitude], [0, latitude + degrees]], crs="EPSG:4326")
    radius = EARTH_RADIUS_KM * 1000 * np.radians(degrees)
    assert len(SpatialRadiusGraph(radius).neighborhood(domain, 0)) == 2
    assert len(SpatialRadiusGraph(radius - 0.01).neighborhood(domain, 0)) == 1


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
    with pytest.raises(PatchError, match="radius_km must be a finite number above 0"):
        SpatialSphericalCap(radius)
