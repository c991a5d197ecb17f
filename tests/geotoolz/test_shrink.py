import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geotoolz.shrink import shrink


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 400))
def test_blocks_are_averaged_to_the_very_edge(rows, cols, max_pixels):
    values = np.random.default_rng(rows * cols).random((2, rows, cols))
    values[values < 0.1] = np.nan
    small = shrink(values, max_pixels)
    step = next(n for n in range(1, 99) if rows * cols <= n * n * max_pixels)
    assert small.shape == (2, -(-rows // step), -(-cols // step))
    for band in range(2):
        for i, j in np.ndindex(small.shape[1:]):
            block = values[band, i * step : (i + 1) * step, j * step : (j + 1) * step]
            expected = np.nan if np.isnan(block).all() else np.nanmean(block)
            assert small[band, i, j] == pytest.approx(expected, nan_ok=True, rel=1e-5)


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 400))
def test_classes_are_thinned_not_averaged(rows, cols, max_pixels):
    classes = np.random.default_rng(0).integers(0, 2, (rows, cols)) * 7
    small = shrink(classes, max_pixels, average=False)
    assert small.dtype == classes.dtype
    assert set(np.unique(small)) <= {0, 7}
    assert small.size >= 1


def test_sizes():
    assert shrink(np.zeros((3935, 1599)), 600_000).size <= 600_000
    assert shrink(np.zeros((10, 10), "uint16"), 100).dtype == np.float32
    with pytest.raises(ValueError, match="max_pixels must be positive"):
        shrink(np.zeros((2, 2)), 0)


def test_nodata_is_left_out_of_the_mean():
    values = np.array([[0, 10], [20, 30]], "uint16")
    assert shrink(values, 1, 0).tolist() == [[20]]
    assert np.isnan(shrink(np.zeros((2, 2), "uint16"), 1, 0)).all()
