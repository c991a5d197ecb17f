import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine

import geotoolz as gz
from geotoolz import carrier, compositing

quick = settings(max_examples=40)
GRID = Affine(10, 0, 5e5, 0, -10, 5e6)


def geo(values, fill=np.nan, names=None):
    attrs = {"band_names": list(names)} if names else {}
    return GeoTensor(np.asarray(values), GRID, "EPSG:32632", fill, attrs)


@quick
@given(
    arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
           elements=st.one_of(st.just(np.nan), st.floats(-100, 100, width=16)))
)  # fmt: skip
def test_median_against_nanmedian(stack):
    found = gz.MedianComposite()(stack)
    empty = np.isnan(stack).all(axis=0)
    assert np.array_equal(np.isnan(found), empty)
    if not empty.all():
        expected = np.nanmedian(stack[:, ~empty], axis=0)
        np.testing.assert_allclose(found[~empty], expected, rtol=1e-6, atol=1e-6)


def test_median_in_blocks_is_the_median_in_one_piece(monkeypatch):
    stack = np.random.default_rng(0).random((5, 2, 33, 20)).astype("float32")
    stack[stack < 0.2] = np.nan
    whole = gz.MedianComposite()(stack)
    monkeypatch.setattr(compositing, "_BLOCK_BYTES", 1000)
    assert np.array_equal(gz.MedianComposite()(stack), whole, equal_nan=True)


def test_integer_nodata_does_not_count():
    stack = geo(np.array([[[[0]]], [[[10]]], [[[30]]]], "uint16"), fill=0)
    result = gz.MedianComposite()(stack)
    assert result.values.tolist() == [[[20]]]
    assert result.dtype == np.float32
    assert np.isnan(
        gz.MedianComposite()(geo(np.zeros((2, 1, 1, 1), "uint16"), fill=0)).values
    ).all()


def test_a_sequence_of_rasters_is_a_stack():
    parts = [geo(np.full((2, 3, 3), value)) for value in (1.0, 5.0, 2.0)]
    result = gz.MedianComposite()(parts)
    assert result.shape == (2, 3, 3)
    assert (result.transform, result.crs) == (GRID, "EPSG:32632")
    assert (result.values == 2).all()


def test_rasters_of_a_stack_must_be_alike():
    one = geo(np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 3, 3\) and \(2, 3, 4\)"):
        gz.MedianComposite()([one, geo(np.ones((2, 3, 4)))])
    moved = GeoTensor(np.ones((2, 3, 3)), GRID * Affine.translation(1, 0), "EPSG:32632")
    with pytest.raises(ValueError, match="must lie on one grid"):
        gz.MedianComposite()([one, moved])
    with pytest.raises(TypeError, match="not of both"):
        gz.MedianComposite()([one, np.ones((2, 3, 3))])
    with pytest.raises(ValueError, match="at least one raster"):
        gz.MedianComposite()([])
    with pytest.raises(ValueError, match=r"a stack is \(T, C, H, W\)"):
        gz.MedianComposite()(np.ones((3, 3)))


@quick
@given(st.integers(0, 1000))
def test_max_ndvi_takes_whole_pixels_from_the_greenest_date(seed):
    stack = np.random.default_rng(seed).uniform(0.01, 0.6, (4, 3, 5, 6))
    result = gz.MaxNDVIComposite(0, 1)(stack)
    ndvi = (stack[:, 1] - stack[:, 0]) / (stack[:, 1] + stack[:, 0])
    for row, col in np.ndindex(5, 6):
        best = ndvi[:, row, col].argmax()
        assert np.array_equal(result[:, row, col], stack[best, :, row, col])


def test_max_ndvi_passes_over_nodata_and_keeps_the_dtype():
    stack = geo(
        np.array([[[[0]], [[9000]]], [[[400]], [[600]]]], "uint16"), fill=0, names=["B04", "B08"]
    )
    result = gz.MaxNDVIComposite()(stack)
    assert result.values.ravel().tolist() == [400, 600]
    assert result.dtype == np.uint16


def test_min_cloud_takes_the_clearest_date_and_the_first_of_equals():
    stack = np.array([[[[1.0, 1.0]], [[50, 0]]], [[[2, 2]], [[20, 0]]], [[[3, 3]], [[np.nan, 5]]]])
    assert gz.MinCloudComposite(1)(stack)[0].tolist() == [[2, 1]]


def test_min_cloud_passes_over_dates_without_data_though_their_score_is_clear():
    dates = [[[[0, 600]], [[0, 5]]], [[[500, 700]], [[90, 4]]]]
    result = gz.MinCloudComposite(1)(geo(np.array(dates, "uint16"), fill=0))
    assert result.values.tolist() == [[[500, 700]], [[90, 4]]]
    beyond_swath = np.array([[[[np.nan]], [[1.0]]], [[[0.3]], [[80.0]]]])
    assert gz.MinCloudComposite(-1)(beyond_swath)[:, 0, 0].tolist() == [0.3, 80.0]


def test_cloud_free_ignores_cloudy_dates_and_drops_the_classes():
    values = np.array(
        [[[[1.0, 1, 1]], [[4, 9, 9]]], [[[3, 3, 3]], [[4, 4, 3]]], [[[5, 5, 5]], [[8, 4, 0]]]]
    )
    result = gz.CloudFreeComposite()(geo(values, names=["B04", "SCL"]))
    assert result.attrs["band_names"] == ["B04"]
    np.testing.assert_array_equal(result.values, [[[2, 4, np.nan]]])


def test_real_flanders_dates_make_a_clear_composite(archive_root):
    items = sorted((archive_root / "sentinel-2-l2a").glob("S2_T31UDS_2018*_SAMPLE"))[:20]
    stack = np.stack([_with_scl(folder) for folder in items])
    result = gz.CloudFreeComposite(scl_idx=1)(stack)
    cloudy = np.isin(stack[:, 1], gz.SCL_CLOUDS_AND_INVALID)
    assert cloudy.mean() > 0.2
    seen = ~cloudy.all(axis=0)
    assert np.array_equal(np.isfinite(result[0]), seen)
    masked = np.where(cloudy, np.nan, stack[:, 0])
    np.testing.assert_allclose(result[0][seen], np.nanmedian(masked[:, seen], axis=0), rtol=1e-6)


def _with_scl(folder):
    red = gz.read(next(folder.glob("*_B04_10m.tif"))).values[0]
    scl = gz.read(next(folder.glob("*_SCL_20m.tif"))).values[0]
    return np.stack([red.astype(float), np.kron(scl, np.ones((2, 2)))])


def test_rasters_of_a_stack_have_one_nodata_value_and_one_order_of_bands():
    def scene(fill, names, dtype="uint16"):
        values = np.ones((2, 3, 3), dtype)
        return GeoTensor(values, GRID, "EPSG:32632", fill, {"band_names": names})

    composite = gz.MedianComposite()
    with pytest.raises(ValueError, match="one nodata value, got 0 and 65535; put ToFloat32"):
        composite([scene(0, ["a", "b"]), scene(65535, ["a", "b"])])
    with pytest.raises(ValueError, match="one nodata value, got 0 and None"):
        composite([scene(0, ["a", "b"]), scene(None, ["a", "b"])])
    with pytest.raises(ValueError, match=r"bands in one order.*SelectBands"):
        composite([scene(0, ["a", "b"]), scene(0, ["b", "a"])])
    floats = [scene(np.nan, ["a", "b"], "float32"), scene(None, ["a", "b"], "float32")]
    assert (composite(floats).values == 1).all()


def test_dates_half_a_pixel_apart_are_refused_in_degrees_too():
    step = 1e-4
    dates = [
        GeoTensor(np.ones((1, 2, 2)), Affine(step, 0, 11 + shift * step, 0, -step, 46), "EPSG:4326")
        for shift in (0.0, 0.5)
    ]
    with pytest.raises(ValueError, match="must lie on one grid"):
        gz.MedianComposite()(dates)
    assert gz.MedianComposite()([dates[0], dates[0]]).shape == (1, 2, 2)


def test_dates_on_both_sides_of_1970_keep_their_days():
    stack = GeoTensor(
        np.array([[[[5, 3]]], [[[3, 5]]]], "uint8"),
        Affine.identity(),
        "EPSG:32632",
        0,
        {"dates": ["1969-12-01", "1970-02-01"]},
    )
    made = compositing.best_pixel_composite(stack, lambda scene: scene[0], date_band=True)
    assert made.values[1].tolist() == [[-31, 31]]


@pytest.mark.parametrize(("dtype", "fill"), [("uint16", 0), ("int16", 1), ("uint8", 255)])
def test_a_date_that_has_the_number_of_nodata_is_no_missing_pixel(dtype, fill):
    """Dates that are not known go by their place in the stack: 0, 1, ..."""
    values = np.array([[[[5, 3, fill]]], [[[3, 7, fill]]]], dtype)
    stack = GeoTensor(values, Affine.identity(), "EPSG:32632", fill)
    made = compositing.best_pixel_composite(stack, lambda scene: scene[0], date_band=True)
    found = carrier.nan_floats(made.values, carrier.fill_of(made))
    np.testing.assert_array_equal(found, [[[5, 7, np.nan]], [[0, 1, np.nan]]])


@quick
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.just(1), st.just(1), st.integers(1, 4)),
        elements=st.sampled_from([-np.inf, np.inf, np.nan, 0.0, 1.0, 2.0, -3.0]),
    ),
    st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]),
)
def test_an_infinite_date_hides_no_other(stack, q):
    """Against places in the sorted series: infinity minus infinity is no number, and not needed."""
    found = gz.QuantileComposite(q)(stack)
    for pixel in np.ndindex(found.shape):
        series = np.sort(stack[:, *pixel][~np.isnan(stack[:, *pixel])]).astype(float)
        at = q * (len(series) - 1)
        low, part = int(at), at - int(at)
        wanted = np.nan
        if len(series):
            with np.errstate(invalid="ignore"):
                ends = series[low], series[min(low + 1, len(series) - 1)]
                wanted = ends[0] if not part else (1 - part) * ends[0] + part * ends[1]
        np.testing.assert_allclose(found[pixel], wanted, rtol=1e-6, atol=1e-6)


def test_half_floats_do_not_overflow_in_the_middle_of_two():
    stack = np.full((2, 1, 1, 1), 40_000, "uint16")
    assert gz.MedianComposite("float16")(stack).tolist() == [[[40_000]]]
