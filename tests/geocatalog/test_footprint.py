import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer

from geocatalog import CatalogError
from geocatalog.footprint import (
    Region,
    are_boxes,
    as_bounds,
    as_crs,
    degree_box,
    mended,
    reproject,
    reproject_box,
    wrapped_bounds,
)


def test_only_full_rectangles_are_boxes():
    shapes = [
        shapely.box(0, 0, 2, 1),
        shapely.Polygon([(0, 0), (0, 1), (2, 1), (2, 0)]),
        shapely.Polygon([(1, 0), (2, 1), (1, 2), (0, 1)]),
        shapely.Polygon([(0, 0), (2, 0), (2, 2), (2, 2), (0, 0)]),
        shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]),
        shapely.Polygon(),
        shapely.Point(0, 0),
        shapely.box(0, 0, 4, 4) - shapely.box(1, 1, 2, 2),
        None,
    ]
    array = np.array(shapes, dtype=object)
    assert are_boxes(array, shapely.bounds(array)).tolist() == [True, True, *[False] * 7]


def test_densified_edges_follow_the_curve():
    """The north edge of a box in degrees bends in UTM: a chord would miss by kilometres."""
    moved = reproject_box((-126, 40, -120, 50), 4326, 32610)
    x, y = Transformer.from_crs(4326, 32610, always_xy=True).transform(-123.0, 50.0)
    corner_y = Transformer.from_crs(4326, 32610, always_xy=True).transform(-126.0, 50.0)[1]
    assert corner_y - y > 4000
    assert abs(moved.boundary.distance(shapely.Point(x, y))) < 20


def test_a_footprint_over_the_antimeridian_is_split():
    moved = reproject_box((100000, 8000000, 300000, 8200000), 32701, 4326)
    assert moved.geom_type == "MultiPolygon"
    assert moved.area < 5
    west, _, east, _ = wrapped_bounds(moved)
    assert west > 170
    assert east < -170


@pytest.mark.parametrize(("crs", "pole"), [(3413, 1), (3031, -1)])
def test_a_box_around_a_pole_becomes_a_cap(crs, pole):
    moved = reproject_box((-1e6, -1e6, 1e6, 1e6), crs, 4326)
    west, south, east, north = moved.bounds
    assert (west, east) == (-180, 180)
    assert (north if pole > 0 else south) == 90 * pole
    assert (south > 70) if pole > 0 else (north < -70)


def test_a_place_outside_a_crs_is_an_error_that_names_it():
    with pytest.raises(CatalogError, match="target_crs"):
        reproject_box((170, 0, 175, 5), 4326, "+proj=ortho +lat_0=0 +lon_0=0")


def test_empty_and_missing_shapes_pass_through():
    shapes = np.array([None, shapely.Polygon(), shapely.Point(-123, 0)], dtype=object)
    moved = reproject(shapes, 4326, 32610)
    assert moved[0] is None
    assert moved[1].is_empty
    assert round(moved[2].x) == 500000


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0, 5, 1, 1), r"south < north, got south=5.0 and north=1.0; the order is \(west"),
        ((0, 0, float("nan"), 1), "finite"),
        ((0, 0, 1, 1, 1), "four numbers .* six with heights"),
        ("123456", "four numbers"),
        ((0, 0, 1, 91), "latitude and longitude swapped"),
        ((0, 0, 361, 1), "-180..180 or 0..360"),
        ((500_000, 0, 600_000, 100), "looks like metres"),
    ],
)
def test_what_is_no_box_in_degrees_is_refused(box, said):
    with pytest.raises(CatalogError, match=f"place .*{said}"):
        degree_box(box, "place")


@pytest.mark.parametrize(
    ("box", "means"),
    [
        ((-10, 0, 350, 1), (-180, 0, 180, 1)),
        ((180, 0, 190, 1), (-180, 0, -170, 1)),
        ((-190, 0, -180, 1), (170, 0, 180, 1)),
        ((170, 0, -180, 1), (170, 0, 180, 1)),
        ((350, 0, 10, 1), (-10, 0, 10, 1)),
        ((180, 0, 180, 1), (180, 0, 180, 1)),
        ((-360, -90, 360, 90), (-180, -90, 180, 90)),
        ((10, 0, 350, 1), (10, 0, -10, 1)),
    ],
)
def test_a_box_that_touches_180_lies_on_one_side(box, means):
    assert degree_box(box) == means
    assert degree_box(means) == means


def test_six_numbers_are_a_box_with_heights():
    assert as_bounds([1, 2, -5, 3, 4, 900]) == (1, 2, 3, 4)
    assert as_bounds([170, 2, 0, -170, 4, 9], as_crs(4326)) == (170, 2, -170, 4)
    for wrong in ([1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7, 8]):
        with pytest.raises(CatalogError, match="four numbers"):
            as_bounds(wrong)


@pytest.mark.parametrize("size", [0, 1e-9])
def test_a_point_that_is_asked_for_is_found(size):
    region = Region([(1.0, 1.0, 1.0 + size, 1.0)])
    shapes = [shapely.Point(1, 1), shapely.Polygon([(0, 0), (2, 0), (0, 2)]), shapely.Point(1, 2)]
    assert region.touches(np.array(shapes)).tolist() == [True, True, False]


def test_valid_footprints_are_not_copied():
    shapes = np.array([shapely.box(0, 0, 1, 1), None, shapely.Polygon()])
    assert mended(shapes) is shapes


@pytest.mark.parametrize(
    "crs", ['LOCAL_CS["site",UNIT["metre",1]]', "+proj=longlat +R=1737400 +type=crs"]
)
def test_places_without_a_way_to_the_globe_are_named(crs):
    """A mine's own grid; the Moon."""
    outline = np.array([shapely.box(0, 0, 8, 8)], dtype=object)
    with pytest.raises(CatalogError, match="no coordinates lead from"):
        reproject(outline, crs, 4326)


FERRO = as_crs(4326).to_wkt().replace('PRIMEM["Greenwich",0', 'PRIMEM["Ferro",-17.6666666666667')


@pytest.mark.parametrize("source", [FERRO, 4807, 4269, 4230])
@pytest.mark.parametrize("west", [-190, -175, -160, 10, 150, 165, 175, 185, 350])
def test_degrees_of_another_system_keep_their_size_and_side(source, west):
    """Another prime meridian, grads, or longitudes beyond 180: a place is found by its middle."""
    turn = 400 if source == 4807 else 360
    west = west * turn / 360
    moved = reproject(np.array([shapely.box(west, 10, west + 9, 20)]), source, 4326)[0]
    assert moved.is_valid
    assert -180 <= moved.bounds[0] <= moved.bounds[2] <= 180
    assert moved.area == pytest.approx(90 * (360 / turn) ** 2, rel=1e-2)
    middle = Transformer.from_crs(source, 4326, always_xy=True).transform(west + 4.5, 15)
    assert moved.covers(shapely.Point((middle[0] + 180) % 360 - 180, middle[1]))


def test_the_whole_globe_is_whole_in_another_system():
    world = np.array([shapely.box(-180, -90, 180, 90)])
    assert reproject(world, FERRO, 4326)[0].area == pytest.approx(360 * 180)


def test_a_crs_may_be_a_dictionary():
    for said in (CRS(32633).to_json_dict(), {"proj": "utm", "zone": 33, "datum": "WGS84"}):
        assert as_crs(said).to_epsg() in (32633, None)
        assert as_crs(said).coordinate_operation.name.lower() in ("utm zone 33n", "unknown")
    for wrong in ({"proj": "nothing"}, [1, 2]):
        with pytest.raises(CatalogError, match="not a coordinate reference system"):
            as_crs(wrong)


def test_a_box_beyond_a_projection_is_an_error_that_names_both():
    """PROJ gives NaN there, of which no ring is closed."""
    with pytest.raises(CatalogError, match=r"cannot be expressed in WGS 84"):
        reproject_box((-2e7, -2e7, 2e7, 2e7), 6933, 4326)
