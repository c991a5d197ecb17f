"""Both rivals make the same mosaic of the same files, whatever the order."""

import mosaicking
import numpy as np
import pytest
import rasterio


@pytest.mark.parametrize("count", [16, 20])
def test_rivals_make_one_mosaic(tmp_path, count):
    mosaicking.make(tmp_path, count, 96)
    files = mosaicking.paths(tmp_path, count)
    ours, theirs = (known(files, 96)() for known in mosaicking.RIVALS.values())
    assert ours.shape == (mosaicking.BANDS, 96, 96)
    assert (ours > 0).all(), "sixteen cover it"
    np.testing.assert_array_equal(ours, theirs)
    with rasterio.open(files[0]) as first:
        assert (ours[:, :24, :24] >= first.read()).all()
