"""What is measured is what each library makes, checked on scenes that chips don't divide."""

import importlib

import numpy as np
import pytest
from bench_peers_stitch import exactness, jump
from scenes import ndvi_in_numpy
from stitchers import MEAN_WORK, NDVI_WORK, STITCHERS

pytestmark = pytest.mark.filterwarnings("ignore")  # what peers warn of is not ours to mend


@pytest.fixture(params=list(STITCHERS))
def stitcher(request):
    one = STITCHERS[request.param]
    pytest.importorskip(one.module)
    return one


def test_the_same_index_wherever_a_peer_makes_one(stitcher):
    bands = np.random.default_rng(0).integers(1, 10_000, (2, 700, 611), dtype=np.uint16)
    made = stitcher.run(bands, NDVI_WORK)
    expected = ndvi_in_numpy(*bands)[: made.shape[0], : made.shape[1]]
    inner = np.s_[1:600, 1:400]
    np.testing.assert_allclose(made[inner], expected[inner], atol=1e-3)


def test_torch_and_numpy_do_the_same_work():
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    if torch is None:
        pytest.skip("torch is not installed")
    chip = np.random.default_rng(0).integers(1, 10_000, (2, 8, 6)).astype(np.float32)
    for work in (NDVI_WORK, MEAN_WORK):
        by_torch = work.torch(torch.from_numpy(chip)[None])[0, 0].numpy()
        np.testing.assert_allclose(by_torch, work.numpy(chip), rtol=1e-5)


def test_pixels_cropped_missing_or_wrong_are_counted():
    expected = np.zeros((4, 5), np.float32)
    made = np.zeros((4, 4), np.float32)  # a column is cropped
    made[0, 0], made[1, 1], made[2, 2] = np.nan, 1.0, 5e-5
    found = exactness(made, expected)
    assert found["pixels missing or wrong"] == "6 (30.0%)"
    assert found["largest difference elsewhere"] == "5e-05"
    assert exactness(expected, expected)["pixels missing or wrong"] == "0"


def test_jump_is_the_largest_step_over_that_between_chips():
    steps = np.repeat([0.0, 192.0], 400)
    assert jump(np.broadcast_to(steps, (800, 800)), 192) == 1
    ramp = np.linspace(0, 192, 801)
    assert jump(np.broadcast_to(ramp, (801, 801)), 192) == pytest.approx(192 / 800 / 192)
