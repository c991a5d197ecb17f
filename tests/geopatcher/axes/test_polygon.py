"""Coverage fractions are exact: against areas of whole intersections, and exactextract."""

import importlib.util

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio import Affine
from shapely import LineString, Point, Polygon, box

from geopatcher import (
    Configured,
    GeoPandasField,
    GridDomain,
    PatchError,
    PointDomain,
    RasterDomain,
    RasterField,
    SpatialByIndex,
    SpatialPatcher,
    SpatialPolygonIntersection,
    SpatialRegularStride,
    VectorDomain,
)
from geopatcher.axes.polygon import cell_fractions


def star(seed, centre, radius, points=40):
    """A jagged polygon with a hole."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    reach = radius * rng.uniform(0.4, 1.0, points)
    x, y = centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)
    return Polygon(np.stack([x, y], 1)) - Point(centre).buffer(radius / 8)


def every_cell(polygon, height, width):
    """The fractions (height, width) by clipping the whole polygon with every cell."""
    rows, cols = np.indices((height, width))
    return shapely.area(shapely.intersection(polygon, shapely.box(cols, rows, cols + 1, rows + 1)))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    centre=st.tuples(st.floats(-5, 45), st.floats(-5, 35)),
    radius=st.floats(0.05, 60),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 40)),
)
def test_fractions_are_the_areas_of_every_single_cell(seed, centre, radius, shape):
    polygon = star(seed, centre, radius)
    rows, cols, fractions = cell_fractions(polygon, *shape)
    dense = np.zeros(shape)
    dense[rows, cols] = fractions
    np.testing.assert_allclose(dense, every_cell(polygon, *shape), atol=1e-8)
    assert ((fractions > 0) & (fractions <= 1)).all()
    assert (np.diff(rows * shape[1] + cols) > 0).all()


def test_boxes_larger_than_a_block_are_filled_exactly():
    rows, _, fractions = cell_fractions(box(10, 20, 310.5, 250), 400, 400)
    assert len(rows) == 230 * 301
    assert fractions.sum() == pytest.approx(300.5 * 230)
    assert set(np.round(fractions, 12)) == {0.5, 1.0}


def test_a_polygon_that_only_touches_a_cell_does_not_cover_it():
    rows, cols, _ = cell_fractions(box(1, 1, 2, 2), 4, 4)
    assert (rows.tolist(), cols.tolist()) == ([1], [1])


TRANSFORMS = [
    Affine(10, 0, 500_000, 0, -10, 4_000_300),
    Affine(10, 0, 500_000, 0, 10, 4_000_000),
    Affine.translation(500_000, 4_000_300) * Affine.rotation(30) * Affine.scale(10, -10),
]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_areas_are_kept_under_any_transform(transform):
    domain = RasterDomain((30, 20), transform)
    centre = transform * (10, 15)
    polygon = star(1, centre, 80)
    cells = SpatialPolygonIntersection([polygon]).neighborhood(domain, 0)
    assert cells.coverage.sum() * 100 == pytest.approx(polygon.area, rel=1e-9)


@pytest.mark.skipif(
    importlib.util.find_spec("exactextract") is None, reason="exactextract is not installed"
)
def test_fractions_are_those_of_exactextract(scene_of):
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    values = scene_of((60, 50)).values.astype("float64")
    domain = RasterDomain((60, 50), Affine(10, 0, 0, 0, -10, 600))
    polygons = [star(i, (250 + 7 * i, 300), 240) for i in range(5)]
    crs = CRS(32610)
    raster = NumPyRasterSource(values, xmin=0, ymin=0, xmax=500, ymax=600, srs_wkt=crs.to_wkt())
    frame = gpd.GeoDataFrame(geometry=polygons, crs=crs)
    table = exact_extract(raster, frame, ["coverage", "cell_id", "mean"], output="pandas")
    geometry = SpatialPolygonIntersection(frame)
    for number in range(5):
        cells = geometry.neighborhood(domain, number)
        ours = dict(zip(cells.rows * 50 + cells.cols, cells.coverage, strict=True))
        theirs = dict(zip(table.cell_id[number], table.coverage[number], strict=True))
        assert set(ours) == {key for key, share in theirs.items() if share > 1e-8}
        for key, share in ours.items():
            assert share == pytest.approx(theirs[key], abs=1e-5)
        mean = np.average(values[cells.rows, cells.cols], weights=cells.coverage)
        assert mean == pytest.approx(table["mean"][number], rel=1e-6)


def test_zonal_means_by_polygon(scene_of):
    scene = scene_of((2, 40, 30))
    west, south, east, north = RasterField(scene).domain.bounds
    halves = [box(west, south, west + 145, north), box(west + 145, south, east, north)]
    patcher = SpatialPatcher(
        SpatialPolygonIntersection(halves),
        SpatialRegularStride(1),
        aggregation=SpatialByIndex(),
    )
    means = {
        patch.anchor: np.average(patch.data, axis=-1, weights=patch.weights)
        for patch in patcher.split(scene)
    }
    left = np.ones(30)
    left[14], left[15:] = 0.5, 0
    for number, share in enumerate((left, 1 - left)):
        expected = (scene.values * share).sum(axis=(1, 2)) / (share.sum() * 40)
        np.testing.assert_allclose(means[number], expected, rtol=1e-6)
    sums = patcher.merge(patcher.stream(scene).map(lambda v: v.sum(axis=-1)), scene)
    assert list(sums) == [0, 1]


def test_polygons_in_another_crs_are_reprojected():
    domain = RasterDomain((10, 10), Affine(10, 0, 500_000, 0, -10, 4_000_100), "EPSG:32610")
    frame = gpd.GeoDataFrame(geometry=[box(500_000, 4_000_000, 500_050, 4_000_100)], crs=32610)
    here = SpatialPolygonIntersection(frame).neighborhood(domain, 0)
    there = SpatialPolygonIntersection(frame.to_crs(4326)).neighborhood(domain, 0)
    assert len(here) == 50
    shares = np.zeros((10, 10))
    shares[there.rows, there.cols] = there.coverage
    assert shares[:, :4].min() > 0.99
    assert abs(shares.sum() - 50) < 0.1


def test_grids_points_and_shapes_lie_under_polygons_too():
    geometry = SpatialPolygonIntersection([box(0, 0, 15, 10)])
    grid = GridDomain({"y": [5.0, 15.0], "x": [5.0, 15.0, 25.0]})
    cells = geometry.neighborhood(grid, 0)
    assert (cells.rows.tolist(), cells.cols.tolist()) == ([0, 0], [0, 1])
    assert cells.coverage.tolist() == [1, 0.5]
    points = PointDomain([[1, 1], [15, 10], [15.1, 5], [-1, 5]])
    assert geometry.neighborhood(points, 0).index.tolist() == [0, 1]
    shapes = VectorDomain(
        [box(10, 0, 20, 10), box(15, 0, 20, 10), LineString([(-5, 5), (5, 5)]), Point(3, 3)]
    )
    found = geometry.neighborhood(shapes, 0)
    assert found.index.tolist() == [0, 2, 3]
    np.testing.assert_allclose(found.coverage, [0.5, 0.5, 1])


def test_patches_of_shapes_are_rows_of_the_table():
    fields = gpd.GeoDataFrame(
        {"yield_t": [1.0, 2.0, 4.0]}, geometry=[box(i, 0, i + 1, 1) for i in range(3)]
    )
    patcher = SpatialPatcher(
        SpatialPolygonIntersection([box(0, 0, 1.5, 1)]), SpatialRegularStride(1)
    )
    (patch,) = patcher.split(GeoPandasField(fields))
    assert patch.data.gdf.yield_t.tolist() == [1, 2]
    np.testing.assert_allclose(patch.weights, [1, 0.5])


def test_the_config_keeps_polygons_and_crs():
    geometry = SpatialPolygonIntersection(gpd.GeoSeries([star(3, (0, 0), 1 / 3)], crs="EPSG:4326"))
    again = SpatialPolygonIntersection.from_config(geometry.get_config())
    assert isinstance(again, Configured)
    assert again == geometry
    assert hash(again) == hash(geometry)
    assert again.polygons[0].equals_exact(geometry.polygons[0])
    assert again != SpatialPolygonIntersection([box(0, 0, 1, 1)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpatialPolygonIntersection([]), "at least one polygon"),
        (lambda: SpatialPolygonIntersection([Point(0, 0)]), r"number 0.*\.buffer"),
        (lambda: SpatialPolygonIntersection([box(0, 0, 1, 1), None]), "number 1"),
        (
            lambda: SpatialPolygonIntersection([box(0, 0, 1, 1)]).neighborhood(
                RasterDomain((4, 4), Affine.translation(50, 50)), 0
            ),
            "polygon 0 covers nothing",
        ),
        (
            lambda: SpatialPolygonIntersection([box(0, 0, 1, 1)]).neighborhood(
                RasterDomain((4, 4)), 0
            ),
            "transform",
        ),
        (
            lambda: SpatialPolygonIntersection([box(0, 0, 1, 1)]).neighborhood(
                RasterDomain((4, 4), Affine.identity()), 1
            ),
            "0 to 0, got 1",
        ),
    ],
)
def test_what_is_no_zone_is_refused(make, message):
    with pytest.raises(PatchError, match=message):
        make()


def test_a_polygon_outside_the_scene_follows_on_error(scene_of):
    scene = scene_of((10, 10))
    west, south, east, north = RasterField(scene).domain.bounds
    zones = [box(west, south, east, north), box(0, 0, 1, 1)]
    for policy in ("skip", "fill"):
        patcher = SpatialPatcher(
            SpatialPolygonIntersection(zones), SpatialRegularStride(1), on_error=policy
        )
        stream = patcher.stream(scene)
        assert [patch.anchor for patch in stream] == [0]
        assert list(stream.skipped) == [1]


def test_an_invalid_polygon_is_repaired():
    bow_tie = Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])
    cells = SpatialPolygonIntersection([bow_tie]).neighborhood(
        RasterDomain((4, 4), Affine.identity()), 0
    )
    assert cells.coverage.sum() == pytest.approx(8)


@pytest.mark.parametrize("one", [box(0, 0, 1, 1), "POLYGON ((0 0, 1 0, 1 1, 0 0))"])
def test_one_polygon_is_not_taken_for_many(one):
    with pytest.raises(PatchError, match=r"a sequence of shapes, got one: write polygons=\["):
        SpatialPolygonIntersection(one)


@settings(max_examples=60)
@given(
    west=st.integers(-36, 35),
    width=st.integers(1, 35),
    begin=st.sampled_from([-180, 0, 180, -90]),
    columns=st.integers(2, 36),
    labelled=st.booleans(),
)
def test_longitudes_of_a_grid_may_be_counted_otherwise(west, width, begin, columns, labelled):
    """Against the cells of the globe, of which a longitude is one modulo 360."""
    zone = SpatialPolygonIntersection([box(10 * west, -10, 10 * (west + width), 10)])
    lon, lat = begin + 10 * (np.arange(columns) + 0.5), np.array([15.0, 5.0, -5.0, -15.0])
    if labelled:
        domain = GridDomain({"lat": lat, "lon": lon})
    else:
        domain = RasterDomain((4, columns), Affine(10, 0, begin, 0, -10, 20), "EPSG:4326")
    covered = {cell % 36 for cell in range(west, west + width)}
    inside = [(begin // 10 + column) % 36 in covered for column in range(columns)]
    wanted = np.array([0.0, 1.0, 1.0, 0.0])[:, None] * np.array(inside)
    if not any(inside):
        with pytest.raises(PatchError, match="covers nothing"):
            zone.neighborhood(domain, 0)
        return
    cells = zone.neighborhood(domain, 0)
    shares = np.zeros((4, columns))
    shares[cells.rows, cells.cols] = cells.coverage
    np.testing.assert_allclose(shares, wanted, atol=1e-9)


def test_long_edges_bend_where_they_do():
    """A box in degrees on a grid in metres: against the middles of the pixels."""
    domain = RasterDomain((60, 60), Affine(8000, 0, 300_000, 0, -8000, 5_300_000), "EPSG:32632")
    zone = gpd.GeoSeries([box(7, 44, 12, 46.5)], crs=4326)
    cells = SpatialPolygonIntersection(zone).neighborhood(domain, 0)
    shares = np.zeros((60, 60))
    shares[cells.rows, cells.cols] = cells.coverage
    x, y = domain.transform @ (np.indices((60, 60))[::-1].reshape(2, -1) + 0.5)
    lon, lat = Transformer.from_crs(32632, 4326, always_xy=True).transform(x, y)
    inside = ((lon > 7) & (lon < 12) & (lat > 44) & (lat < 46.5)).reshape(60, 60)
    np.testing.assert_array_equal(shares > 0.51, inside & (shares > 0.51))
    np.testing.assert_array_equal(shares < 0.49, ~inside & (shares < 0.49))
