"""Windows: positive everywhere, symmetric, and equal to their formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import windows as reference

from geopatcher import (
    PatchError,
    SpatialBoxcar,
    SpatialCustom,
    SpatialGaussian,
    SpatialHann,
    SpatialRectangular,
    SpatialSphericalCap,
    SpatialTukey,
)

SEPARABLE = (
    SpatialBoxcar(),
    SpatialHann(),
    SpatialTukey(0.25),
    SpatialGaussian(5.0),
    SpatialGaussian(share=0.3),
)


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    window=st.sampled_from([*SEPARABLE, SpatialGaussian(1), SpatialTukey(0.0), SpatialTukey(1)]),
)
def test_weights_are_positive_symmetric_and_of_the_chips_shape(size, window):
    weights = window.weights(SpatialRectangular(size))
    assert weights.shape == size
    assert weights.dtype == np.float32
    assert (weights > 0).all()
    np.testing.assert_allclose(weights, weights[::-1, ::-1], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 7, 16, 255])
def test_profiles_are_the_textbook_windows_sampled_half_a_pixel_in(size):
    # A window of 2n + 1 points has its odd points half-way between those of one of n + 1.
    np.testing.assert_allclose(
        SpatialHann().profile(size), reference.hann(2 * size + 1)[1::2], atol=1e-12
    )
    for alpha in (0.1, 0.5, 1.0):
        np.testing.assert_allclose(
            SpatialTukey(alpha).profile(size),
            reference.tukey(2 * size + 1, alpha)[1::2],
            atol=1e-12,
        )
    np.testing.assert_allclose(
        SpatialGaussian(4.0).profile(size),
        np.maximum(reference.gaussian(size, 4.0), 1e-12),
        atol=1e-12,
    )


def test_tukey_reaches_from_boxcar_to_hann():
    np.testing.assert_array_equal(SpatialTukey(0).profile(9), SpatialBoxcar().profile(9))
    np.testing.assert_allclose(SpatialTukey(1).profile(9), SpatialHann().profile(9), atol=1e-15)


@pytest.mark.parametrize("size", [8, 64, 256])
def test_hann_at_half_steps_sums_to_one_by_itself(size):
    profile = SpatialHann().profile(size)
    np.testing.assert_allclose(profile[: size // 2] + profile[size // 2 :], 1, atol=1e-12)


@given(
    distance=st.lists(st.floats(0, 10), min_size=1, max_size=20),
    window=st.sampled_from(SEPARABLE),
)
def test_tapers_are_positive_and_fall_with_the_distance(distance, window):
    distance = np.sort(distance)
    weights = window.taper(distance, reach=10.0)
    assert (weights > 0).all()
    assert (np.diff(weights) <= 1e-12).all()
    assert np.isclose(window.taper(np.array([0.0]), 10.0)[0], 1)


def test_a_custom_window_is_what_the_function_gives():
    def ring(shape):
        rows, cols = np.indices(shape)
        radius = np.hypot(rows - (shape[0] - 1) / 2, cols - (shape[1] - 1) / 2)
        return np.exp(-((radius - 5) ** 2)) + 1e-3

    weights = SpatialCustom(ring).weights(SpatialRectangular((16, 20)))
    np.testing.assert_allclose(weights, ring((16, 20)), rtol=1e-6)


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (np.zeros, "positive and finite"),
        (lambda shape: np.full(shape, np.nan), "positive and finite"),
        (lambda shape: -np.eye(*shape), "or 0 where a pixel does not count"),
        (lambda shape: np.ones(shape[0]), "must have that shape"),
    ],
)
def test_a_custom_window_that_loses_pixels_is_refused(fn, message):
    with pytest.raises(PatchError, match=message):
        SpatialCustom(fn).weights(SpatialRectangular(4))


@pytest.mark.parametrize(
    "fn",
    [
        lambda shape: np.hanning(shape[0])[:, None] * np.hanning(shape[1]),
        lambda shape: np.outer(np.hanning(shape[0]), np.ones(shape))[:, : shape[1]],
        lambda geometry: np.outer(*map(np.hanning, geometry.size)),
        lambda geometry: SpatialHann().weights(geometry),
        lambda geometry: np.full(geometry, 2.0) if geometry.boundary == "drop" else None,
    ],
)
def test_a_custom_window_gets_the_size_and_the_geometry(fn):
    assert SpatialCustom(fn).weights(SpatialRectangular((16, 20))).shape == (16, 20)


def test_a_sigma_that_may_be_a_share_is_refused_with_both_readings():
    with pytest.raises(PatchError, match=r"0\.3 pixels.*half-width.*SpatialGaussian\(share=0\.3\)"):
        SpatialGaussian(0.3)
    for size in (7, 64, 256):
        np.testing.assert_array_equal(
            SpatialGaussian(share=0.5).profile(size), SpatialGaussian(size / 4).profile(size)
        )
    np.testing.assert_allclose(
        SpatialGaussian(share=0.5).taper(np.array([0.0, 3.0]), reach=3.0), [1, np.exp(-2)]
    )


def test_windows_of_other_geometries_are_made_patch_by_patch():
    with pytest.raises(PatchError, match=r"patch\.weights"):
        SpatialHann().weights(SpatialSphericalCap(10))
    with pytest.raises(PatchError, match="SpatialGaussian"):
        SpatialCustom(np.ones).taper(np.ones(3), 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpatialTukey(1.5), "0 to 1"),
        (lambda: SpatialGaussian(0), "sigma must be a finite number above 0"),
        (lambda: SpatialGaussian(share=-1), "share must be a finite number above 0"),
        (lambda: SpatialGaussian(), "sigma= or share="),
        (lambda: SpatialGaussian(2, share=0.3), "sigma= or share="),
        (lambda: SpatialCustom(3), "function"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(PatchError, match=message):
        make()
