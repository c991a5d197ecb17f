"""Patches of scattered members merge like rectangles do: same reducers, same errors."""

import pickle

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio.windows import Window
from shapely import Point, box

from geopatcher import (
    Cells,
    CoverageWarning,
    GeoPandasField,
    Members,
    Patch,
    PatchError,
    PointDomain,
    RasterDomain,
    SpatialCustom,
    SpatialExplicit,
    SpatialHann,
    SpatialHardVote,
    SpatialKNNGraph,
    SpatialMax,
    SpatialMean,
    SpatialMedian,
    SpatialMode,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialPolygonIntersection,
    SpatialRadiusGraph,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialSum,
)

POINTS = PointDomain(np.random.default_rng(0).uniform(0, 100, (60, 2)))


class PointField:
    """Values (C, N) on points: the least that a Field is."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.domain = POINTS

    def select(self, indices):
        return self.values[..., indices.index]

    def with_data(self, array):
        return PointField(array)


FIELD = PointField(np.random.default_rng(1).integers(0, 9, (2, 60)).astype(float))


@pytest.mark.parametrize("aggregation", [SpatialOverlapAdd(), SpatialMean(), SpatialMedian()])
def test_neighbourhoods_merge_back_to_the_points_they_came_from(aggregation):
    patcher = SpatialPatcher(
        SpatialKNNGraph(7), SpatialRegularStride(1), SpatialHann(), aggregation
    )
    merged = patcher.merge(patcher.split(FIELD), FIELD)
    assert merged.shape == (2, 60)
    np.testing.assert_allclose(merged, FIELD.values, rtol=1e-5)


@pytest.mark.parametrize(
    ("aggregation", "statistic"),
    [(SpatialSum(), np.sum), (SpatialMax(), np.max), (SpatialMedian(), np.median)],
)
def test_statistics_over_neighbourhoods_are_those_of_the_loop(aggregation, statistic):
    patcher = SpatialPatcher(SpatialKNNGraph(9), SpatialRegularStride(1), aggregation=aggregation)
    stream = patcher.stream(FIELD).map(lambda values: values + values[:, :1])
    merged = patcher.merge(stream, FIELD)
    found = [[] for _ in range(60)]
    for patch in stream:
        for position, member in enumerate(patch.indices.index):
            found[member].append(patch.data[:, position])
    expected = np.stack([statistic(np.array(values), axis=0) for values in found], axis=1)
    np.testing.assert_allclose(merged, expected, rtol=1e-5)


def test_votes_on_points_stay_integers():
    patcher = SpatialPatcher(
        SpatialKNNGraph(5), SpatialRegularStride(1), aggregation=SpatialHardVote(9)
    )
    stream = patcher.stream(FIELD).map(lambda values: values[0].astype("int64"))
    merged = patcher.merge(stream, FIELD)
    assert merged.dtype == np.uint8
    np.testing.assert_array_equal(merged, FIELD.values[0])


def test_uncovered_members_hold_the_fill_value_and_are_warned_of():
    patcher = SpatialPatcher(SpatialKNNGraph(6), SpatialExplicit([0]))
    with pytest.warns(CoverageWarning, match=r"90\.00% of the members"):
        merged = patcher.merge(patcher.split(FIELD), POINTS)
    inside = SpatialKNNGraph(6).neighborhood(POINTS, 0).index
    assert np.isnan(merged).sum() == 2 * 54
    np.testing.assert_allclose(merged[:, inside], FIELD.values[:, inside])


def test_cells_under_polygons_merge_onto_the_scene(scene_of):
    scene = scene_of((2, 30, 20))
    west, north = scene.transform * (0, 0)
    zones = [
        box(west, north - 300, west + 95, north),
        box(west + 95, north - 300, west + 200, north),
    ]
    patcher = SpatialPatcher(
        SpatialPolygonIntersection(zones),
        SpatialRegularStride(1),
        aggregation=SpatialOverlapAdd(),
    )
    stream = patcher.stream(scene).map(
        lambda values: np.zeros_like(values) + values.mean(axis=1, keepdims=True)
    )
    merged = patcher.merge(stream, scene)
    assert merged.transform == scene.transform
    left, right = (scene.values[..., s].mean(axis=(1, 2)) for s in (slice(0, 10), slice(9, 20)))
    np.testing.assert_allclose(merged.values[:, 5, 0], left, rtol=1e-5)
    np.testing.assert_allclose(merged.values[:, 5, 19], right, rtol=1e-5)
    # The ninth column is covered by halves, so it is their mean.
    np.testing.assert_allclose(merged.values[:, 5, 9], (left + right) / 2, rtol=1e-5)


def test_a_failed_read_follows_on_error():
    class Broken(PointField):
        def select(self, indices):
            if indices.index[0] == 3:
                raise OSError("cannot read")
            return super().select(indices)

    field = Broken(FIELD.values)
    make = {"geometry": SpatialKNNGraph(1), "sampler": SpatialRegularStride(1)}
    filled = SpatialPatcher(**make, on_error="fill", aggregation=SpatialMean())
    merged = filled.merge(filled.stream(field), field)
    assert np.flatnonzero(np.isnan(merged[0])).tolist() == [3]
    skipping = SpatialPatcher(**make, on_error="skip", aggregation=SpatialMode())
    with pytest.warns(CoverageWarning):
        merged = skipping.merge(skipping.stream(field), field)
    assert np.flatnonzero(np.isnan(merged[0])).tolist() == [3]
    with pytest.raises(OSError, match="cannot read") as caught:
        list(SpatialPatcher(**make).split(field))
    assert caught.value.__notes__ == ["in the patch at anchor 3, number 3 of 60"]


def members(values, index):
    return Patch(np.asarray(values), 0, Members(index=np.asarray(index)))


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        ([], "no patches to merge"),
        ([members(np.ones((2, 3)), [0, 1])], "SpatialByIndex"),
        ([members(np.ones((2, 2)), [0, 60])], "outside the domain"),
        (
            [members(np.ones((2, 2)), [0, 1]), members(np.ones((3, 2)), [0, 1])],
            "patches of one kind",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused(patches, message):
    with pytest.raises(PatchError, match=message):
        SpatialMean().merge(patches, POINTS)


def test_rectangles_and_cells_do_not_mix():
    cells = Patch(np.ones(1), 0, Cells(rows=np.array([0]), cols=np.array([0])))
    from rasterio.windows import Window

    chip = Patch(np.ones((1, 1)), (0, 0), Window(0, 0, 1, 1))
    with pytest.raises(PatchError, match="cannot be merged together"):
        SpatialMean().merge([cells, chip], RasterDomain((2, 2)))


def test_a_merged_raster_indexes_and_compares_like_an_array(scene_of, patcher_of):
    scene = scene_of((2, 50, 70))
    patcher = patcher_of(16, 12)
    merged = patcher.merge(patcher.split(scene), scene)
    for other in (scene, scene.values):
        np.testing.assert_allclose(other, merged, rtol=1e-6)
        np.testing.assert_allclose(merged, other, rtol=1e-6)
    with pytest.raises(AssertionError, match="Mismatched elements: 3500 / 7000"):
        np.testing.assert_array_equal(merged, merged.values * np.array([[[1]], [[2]]]))
    np.testing.assert_allclose(merged[0, 0], scene.values[0, 0], rtol=1e-6)
    assert merged[0, 3, 4] == merged.values[0, 3, 4]
    np.testing.assert_array_equal(merged[merged > 50], merged.values[merged.values > 50])
    again = pickle.loads(pickle.dumps(merged))
    assert isinstance(again, GeoTensor)
    assert again.transform == merged.transform == scene.transform
    assert again[:, 5:, 7:].bounds == (500_070, 4_099_500, 500_700, 4_099_950)


@pytest.mark.parametrize(
    "aggregation",
    [
        SpatialOverlapAdd(),
        SpatialMean(),
        SpatialSum(),
        SpatialMax(),
        SpatialMedian(),
        SpatialMode(fill_value=9),
        SpatialHardVote(3),
    ],
    ids=lambda case: type(case).__name__,
)
def test_what_has_no_weight_does_not_count(aggregation):
    first = Patch(np.array([[1, 1, 1]]), (0, 0), Window(0, 0, 3, 1), np.array([[1, 0, 0]]))
    second = Patch(np.array([[2, 2, 2]]), (0, 1), Window(1, 0, 3, 1), np.array([[1, 1, 0]]))
    with pytest.warns(CoverageWarning, match="25.00%"):
        merged = aggregation.merge([first, second], np.zeros((1, 4)))
    assert merged[0, :3].tolist() == [1, 2, 2]
    assert np.isnan(merged[0, 3]) or merged[0, 3] == aggregation.fill_for(merged.dtype)


def test_a_window_that_drops_the_rim_leaves_it_to_the_neighbours(scene_of):
    scene = scene_of((40, 60))

    def inside(size):
        weights = np.zeros(size)
        weights[4:-4, 4:-4] = 1
        return weights

    def wrong_at_the_rim(chip):
        made = np.full(chip.shape, 1e6)
        made[4:-4, 4:-4] = chip.values[4:-4, 4:-4]
        return made

    patcher = SpatialPatcher(
        SpatialRectangular(16, boundary="shift"), SpatialRegularStride(8), SpatialCustom(inside)
    )
    with pytest.warns(CoverageWarning, match="uncovered|covered by no patch"):
        merged = patcher.merge(patcher.stream(scene).map(wrong_at_the_rim), scene)
    np.testing.assert_allclose(merged[4:-4, 4:-4], scene.values[4:-4, 4:-4], rtol=1e-6)
    assert np.isnan(merged[:4]).all()


def test_members_and_cells_index_arrays_in_a_fields_own_way():
    geometry = SpatialKNNGraph(k=5)
    members = geometry.neighborhood(POINTS, 7)
    np.testing.assert_array_equal(POINTS.coords[members], POINTS.coords[members.index])
    assert members.tolist() == list(members) == members.index.tolist()
    assert members[0] == 7
    assert isinstance(members[0], int)
    nearest = members[:3]
    np.testing.assert_array_equal(nearest.index, members.index[:3])
    np.testing.assert_array_equal(nearest.distance, members.distance[:3])
    np.testing.assert_array_equal(members[members.distance > 0].index, members.index[1:])

    class Own:
        """A Field that knows nothing of addresses but that they index arrays."""

        domain = POINTS

        def select(self, indices):
            return np.arange(60.0)[indices]

        def with_data(self, array):
            return self

    patcher = SpatialPatcher(geometry, SpatialExplicit([3, 7]))
    assert [patch.data[0] for patch in patcher.split(Own())] == [3, 7]

    grid = np.arange(35).reshape(5, 7)
    cells = Cells(rows=np.array([0, 4, 2]), cols=np.array([6, 0, 1]), coverage=np.ones(3))
    np.testing.assert_array_equal(grid[cells], [6, 28, 15])
    np.testing.assert_array_equal(
        np.stack([grid, -grid])[..., *cells], [[6, 28, 15], [-6, -28, -15]]
    )
    assert cells.tolist() == [(0, 6), (4, 0), (2, 1)]
    assert cells[1:].tolist() == [(4, 0), (2, 1)]
    assert (len(cells), len(cells[:2].coverage)) == (3, 2)
    assert cells != Cells(rows=np.array([1]), cols=np.array([1]))
    again = pickle.loads(pickle.dumps(cells))
    assert (again.tolist(), again.coverage.tolist()) == (cells.tolist(), [1, 1, 1])


def test_shapely_points_are_places_on_vector_fields():
    gpd = pytest.importorskip("geopandas")
    table = gpd.GeoDataFrame({"a": range(60)}, geometry=gpd.points_from_xy(*POINTS.coords.T))
    places = [Point(10, 20), Point(60, 70)]
    for geometry in (SpatialKNNGraph(k=4), SpatialRadiusGraph(radius=20)):
        by_point = SpatialPatcher(geometry, SpatialExplicit(places))
        by_pair = SpatialPatcher(geometry, SpatialExplicit([(10, 20), (60, 70)]))
        field = GeoPandasField(table)
        for one, two in zip(by_point.split(field), by_pair.split(field), strict=True):
            assert one.data.gdf.a.tolist() == two.data.gdf.a.tolist()
    with pytest.raises(PatchError, match=r"table\.geometry\.to_crs"):
        SpatialExplicit(gpd.GeoSeries(places))
