"""Domains: shapes, bounds, coordinates, and what is refused."""

import numpy as np
import pytest
from rasterio import Affine
from shapely import Point, Polygon, box

from geopatcher import GridDomain, PatchError, PointDomain, RasterDomain, VectorDomain
from geopatcher.domain import as_domain, as_raster_domain


def test_a_raster_becomes_a_grid_of_pixel_centres_and_back():
    domain = RasterDomain((3, 4, 5), Affine(10, 0, 100, 0, -20, 900), "EPSG:32610")
    grid = domain.grid
    assert grid.x.tolist() == [105, 115, 125, 135, 145]
    assert grid.y.tolist() == [890, 870, 850, 830]
    assert grid.bounds == domain.bounds == (100, 820, 150, 900)
    assert grid.transform.almost_equals(domain.transform)


def test_rising_rows_and_uneven_axes():
    rising = GridDomain({"y": [0.0, 1.0, 2.0], "x": [0.0, 1.0]})
    assert rising.transform == Affine(1, 0, -0.5, 0, 1, -0.5)
    uneven = GridDomain({"y": [0.0, 1.0, 4.0], "x": [0.0, 1.0]})
    assert uneven.transform is None
    assert uneven.bounds == (-0.5, -0.5, 1.5, 5.5)


@pytest.mark.parametrize(
    ("names", "crs", "expected"),
    [
        (("lat", "lon"), None, True),
        (("latitude", "longitude"), None, True),
        (("y", "x"), None, False),
        (("y", "x"), "EPSG:4326", True),
        (("y", "x"), "EPSG:32610", False),
    ],
)
def test_which_grids_are_in_degrees(names, crs, expected):
    domain = GridDomain({name: [0.0, 1.0] for name in names}, crs)
    assert domain.is_geographic is expected


def test_grids_are_equal_by_their_coordinates():
    assert GridDomain({"y": [0, 1], "x": [0, 1]}) == GridDomain({"y": [0.0, 1.0], "x": [0, 1]})
    assert GridDomain({"y": [0, 1], "x": [0, 1]}) != GridDomain({"y": [0, 2], "x": [0, 1]})


def test_whatever_has_a_domain_gives_it(scene_of):
    scene = scene_of((2, 4, 5))
    assert as_domain(scene).shape == (2, 4, 5)
    points = PointDomain([[0, 0]])
    assert as_domain(points) is points
    assert as_raster_domain(GridDomain({"y": [0, 1], "x": [0, 1, 2]})) == RasterDomain((2, 3))
    with pytest.raises(PatchError, match="need a raster or a grid"):
        as_raster_domain(points)
    with pytest.raises(PatchError, match="got int"):
        as_domain(3)


def test_shapes_have_bounds_and_centroids():
    domain = VectorDomain([box(0, 0, 2, 2), box(4, 0, 6, 4)], "EPSG:32610")
    assert domain.bounds == (0, 0, 6, 4)
    assert domain.points.coords.tolist() == [[1, 1], [5, 2]]
    assert domain.points.crs == "EPSG:32610"
    assert (len(domain), domain.shape) == (2, (2,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RasterDomain((5,)), "shape"),
        (lambda: RasterDomain((2, 0, 5)), "shape"),
        (lambda: RasterDomain((4, 4)).bounds, "no transform"),
        (lambda: RasterDomain((4, 4), Affine.rotation(30)).grid, "without rotation"),
        (lambda: GridDomain({"x": [0, 1]}), "at least two 1-D axes"),
        (lambda: GridDomain({"y": [], "x": [0, 1]}), "not empty"),
        (lambda: GridDomain({"y": [0, 2, 1], "x": [0, 1]}), "'y'.*strictly"),
        (lambda: GridDomain({"y": [0, 1], "x": [0, 1]}).sphere_tree, "name them lat and lon"),
        (lambda: PointDomain([1.0, 2.0]), r"\(N, 2\)"),
        (lambda: PointDomain(np.empty((0, 2))), "at least one"),
        (lambda: PointDomain([[0, np.nan]]), "finite"),
        (lambda: VectorDomain([]), "not empty"),
    ],
)
def test_what_is_no_domain_is_refused(make, message):
    with pytest.raises(PatchError, match=message):
        make()


@pytest.mark.parametrize("nowhere", [None, Point(), Polygon()])
def test_a_shape_that_lies_nowhere_shifts_no_other(nowhere):
    domain = VectorDomain([Point(0, 0), nowhere, Point(2, 0)])
    with pytest.raises(PatchError, match=r"1 of 3 shapes .* the first is number 1.*drop them"):
        domain.points  # noqa: B018


def test_a_raster_domain_is_a_geobox_where_it_has_a_place():
    domain = RasterDomain((2, 30, 20), Affine(10, 0, 500_000, 0, -10, 4_000_300), 32610)
    assert domain.geobox.shape == (30, 20)
    assert tuple(domain.geobox.boundingbox) == domain.bounds
    assert domain.geobox.crs.epsg == 32610
    with pytest.raises(PatchError, match="no transform"):
        _ = RasterDomain((30, 20)).geobox


def test_the_tree_of_points_is_built_when_it_is_asked_for():
    coords = np.random.default_rng(0).uniform(size=(30, 2))
    domain = PointDomain(coords)
    distance, index = domain.kdtree.query([0.5, 0.5])
    apart = np.hypot(*(coords - 0.5).T)
    assert (index, distance) == (apart.argmin(), pytest.approx(apart.min()))
    assert domain.kdtree is domain.kdtree is domain.tree
