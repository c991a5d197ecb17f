"""Graph neighbourhoods against brute force, on the plane and on the sphere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.spatial import cKDTree
from shapely import box

from geopatcher import (
    PatchError,
    PointDomain,
    RasterDomain,
    SpatialKNNGraph,
    SpatialRadiusGraph,
    VectorDomain,
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
        (lambda d: SpatialRadiusGraph(-1), "radius must be positive"),
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
