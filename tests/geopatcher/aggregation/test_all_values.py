"""Median, mode and learned combinations: exact, in memory that does not grow with the scene."""

import tracemalloc

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

from geopatcher import (
    Patch,
    PatchError,
    RasterDomain,
    SpatialLearned,
    SpatialMedian,
    SpatialMode,
)
from geopatcher.merge.row_buffer import RowMerge


def peak_of_a_median(height, patcher_of):
    """Peak memory in bytes while the rows of a median are made and thrown away."""
    scene = GeoTensor(
        np.broadcast_to(np.float32(1), (height, 200)), Affine(10, 0, 0, 0, -10, 0), "EPSG:32610"
    )
    stream = patcher_of(32, 16).stream(scene)
    chip = ((), np.dtype("float32"))
    merge = RowMerge(SpatialMedian(), RasterDomain((height, 200)), chip)
    rows = []
    tracemalloc.start()
    merge.run(
        stream.items(range(len(stream))),
        (0, height),
        lambda row, values: rows.append(values.shape[-2]),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(rows) == height
    return peak


def test_memory_of_a_median_does_not_grow_with_the_scene(patcher_of):
    short, tall = (peak_of_a_median(height, patcher_of) for height in (320, 2560))
    # Lists of anchors grow a little; a plane of the tall scene alone is 2 MB more.
    assert tall - short < 400_000


def test_infinite_values_are_values():
    patches = [Patch(np.full((1, 1), v), (0, 0), Window(0, 0, 1, 1)) for v in (np.inf, np.inf, 1.0)]
    assert SpatialMedian().merge(patches, RasterDomain((1, 1)))[0, 0] == np.inf


@pytest.mark.parametrize(
    ("dtype", "fill"), [("uint8", 255), ("int16", -(2**15)), ("float32", np.nan), ("bool", 255)]
)
def test_a_mode_keeps_its_type_and_marks_uncovered_pixels(dtype, fill):
    patches = [Patch(np.array([[1, 0]], dtype), (0, 0), Window(0, 0, 2, 1))]
    with pytest.warns(UserWarning, match=r"33\.33%"):
        merged = SpatialMode().merge(patches, RasterDomain((1, 3)))
    assert merged.dtype == ("uint8" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(merged, np.array([[1, 0, fill]], merged.dtype))
    with pytest.warns(UserWarning, match="covered by no patch"):
        assert SpatialMode(fill_value=7).merge(patches, RasterDomain((1, 3)))[0, 2] == 7


def test_a_learned_combination_gets_the_values_in_the_patches_order():
    seen = []

    def model(rows):
        seen.append(rows)
        return np.nansum(rows * [1, 10, 100][: rows.shape[1]], axis=1)

    patches = [
        Patch(np.full((1, 2), v), (0, c), Window(c, 0, 2, 1)) for v, c in ((1, 0), (2, 0), (3, 1))
    ]
    merged = SpatialLearned(model).merge(patches, RasterDomain((1, 3)))
    assert merged.tolist() == [[21, 321, 3]]
    np.testing.assert_array_equal(seen[0], [[1, 2, np.nan], [1, 2, 3], [3, np.nan, np.nan]])


def test_an_estimator_learns_from_the_rows_that_it_will_see(scene_of, patcher_of):
    linear = pytest.importorskip("sklearn.linear_model")
    scene = scene_of((40, 40))
    patcher = patcher_of(20, 20, "shift", aggregation=SpatialMedian())
    # Three noisy readings of each chip, of which the second is wrong by a factor.
    readings = [lambda v: v, lambda v: 3 * v, lambda v: v + 1]
    patches = [
        patch.with_data(reading(patch.data.values))
        for patch in patcher.split(scene)
        for reading in readings
    ]
    rows = SpatialLearned(len).training_rows(patches, scene)
    assert rows.shape == (1600, 3)
    model = linear.LinearRegression().fit(rows, scene.values.ravel())
    merged = SpatialLearned(model).merge(patches, scene)
    np.testing.assert_allclose(merged.values, scene.values, rtol=1e-3)


def test_a_model_of_another_depth_and_no_model_are_refused():
    class Two:
        n_features_in_ = 2

        def predict(self, rows):
            return rows[:, 0]

    patches = [Patch(np.ones((1, 1)), (0, 0), Window(0, 0, 1, 1))] * 3
    with pytest.raises(PatchError, match="3 patches overlap, but the model was made for 2"):
        SpatialLearned(Two()).merge(patches, RasterDomain((1, 1)))
    assert SpatialLearned(Two()).merge(patches[:1], RasterDomain((1, 1))).tolist() == [[1]]
    with pytest.raises(PatchError, match="estimator with predict or a function"):
        SpatialLearned("median")
    with pytest.raises(PatchError, match="no patches to learn from"):
        SpatialLearned(len).training_rows([], RasterDomain((1, 1)))


def test_a_model_answers_once_for_each_pixel():
    chip = Patch(np.ones((2, 3)), (0, 0), Window(0, 0, 3, 2))
    with pytest.raises(PatchError, match=r"one number for each of its 6 rows, got shape \(6, 2\)"):
        SpatialLearned(lambda rows: np.hstack([rows, rows])).merge([chip], RasterDomain((2, 3)))
