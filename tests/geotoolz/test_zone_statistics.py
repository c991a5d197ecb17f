"""Statistics of weighted pixels: against exactextract, numpy and sums in plain loops."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotoolz.zone_statistics import check_roles, check_statistics, of_zones

OF_QUANTITIES = ("count", "clear", "mean", "std", "min", "max", "sum", "median", "q10", "q87.5")


def zones_of(seed, dtype="float64", zones=5):
    """Random zones one after the other: values, which count, weights, starts and room."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, zones)
    n = sizes.sum()
    values = rng.integers(-5, 6, n).astype(dtype) if rng.random() < 0.5 else rng.normal(size=n)
    weights = rng.uniform(1e-6, 1, n)
    starts = np.cumsum(sizes) - sizes
    return values, rng.random(n) < 0.7, weights, starts, np.add.reduceat(weights, starts) + 1


@given(st.integers(0, 2**32 - 1))
def test_they_are_those_of_plain_loops(seed):
    values, counts, weights, starts, room = zones_of(seed)
    found = of_zones(values, counts, weights, starts, room, OF_QUANTITIES)
    for zone, (first, last) in enumerate(zip(starts, [*starts[1:], len(values)], strict=True)):
        some = np.arange(first, last)[counts[first:last]]
        v, w = values[some], weights[some]
        expected = dict.fromkeys(OF_QUANTITIES, np.nan) | {"count": w.sum()}
        expected["clear"] = w.sum() / room[zone]
        if len(v):
            mean = (w * v).sum() / w.sum()
            expected |= {"mean": mean, "sum": (w * v).sum(), "min": v.min(), "max": v.max()}
            expected["std"] = np.sqrt((w * (v - mean) ** 2).sum() / w.sum())
            for name, share in [("median", 0.5), ("q10", 0.1), ("q87.5", 0.875)]:
                expected[name] = loop_quantile(v, w, share)
        for name, value in expected.items():
            assert found[name][zone] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name


def loop_quantile(v, w, share):
    """The quantile as the module's documentation defines it."""
    order = np.lexsort((w, v))
    v, w, n = v[order], w[order], len(v)
    place = [k * w[k] + (n - 1) * w[:k].sum() for k in range(n)]
    return np.interp(share * place[-1], place, v)


@given(st.integers(0, 2**32 - 1), st.integers(0, 999))
def test_equal_weights_give_numpys_quantile(seed, permille):
    values = np.random.default_rng(seed).integers(0, 12, 17).astype(float)
    name = f"q{permille / 10}"
    found = of_zones(
        values, np.ones(17, bool), np.full(17, 0.3), np.array([0]), np.array([6.0]), [name]
    )
    assert found[name][0] == pytest.approx(np.quantile(values, float(name[1:]) / 100))


@pytest.mark.skipif(
    importlib.util.find_spec("exactextract") is None, reason="exactextract is not built here"
)
@given(st.integers(0, 2**32 - 1))
def test_they_are_those_of_exactextract(seed):
    import geopandas as gpd
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource
    from shapely import Point, affinity

    from geopatcher.axes.polygon import cell_fractions

    rng = np.random.default_rng(seed)
    raster = rng.permutation(72).reshape(9, 8).astype(float)  # equal ones it joins for quantiles
    raster[rng.random(raster.shape) < 0.15] = np.nan
    shape = Point(rng.uniform(2, 6, 2)).buffer(rng.uniform(0.5, 3), quad_segs=3)
    source = NumPyRasterSource(raster, xmin=0, ymin=0, xmax=8, ymax=9)
    table = gpd.GeoDataFrame(geometry=[shape], crs="EPSG:32631")
    asked = ["mean", "count", "stdev", "min", "max", "sum", "median", "quantile(q=0.1)"]
    theirs = exact_extract(source, table, asked, output="pandas").iloc[0]
    rows, cols, weights = cell_fractions(
        affinity.affine_transform(shape, [1, 0, 0, -1, 0, 9]), 9, 8
    )
    values = raster[rows, cols]
    room = np.array([shape.area])
    names = ["mean", "count", "std", "min", "max", "sum", "median", "q10"]
    ours = of_zones(values, ~np.isnan(values), weights, np.array([0]), room, names)
    for name, column in zip(names, theirs.index, strict=True):
        assert ours[name][0] == pytest.approx(theirs[column], rel=1e-6, abs=1e-9, nan_ok=True), name


@given(st.integers(0, 2**32 - 1))
def test_shares_of_classes_add_up_and_the_largest_is_the_majority(seed):
    rng = np.random.default_rng(seed)
    _, counts, weights, starts, room = zones_of(seed)
    values = rng.integers(0, 4, len(weights)).astype("uint8")
    names = ["share_0", "share_1", "share_2", "share_3", "majority", "mean"]
    found = of_zones(values, counts, weights, starts, room, names, "class")
    shares = np.array([found[f"share_{k}"] for k in range(4)])
    seen = ~np.isnan(found["majority"])
    assert np.allclose(shares[:, seen].sum(axis=0), 1)
    assert np.array_equal(shares[:, seen].argmax(axis=0), found["majority"][seen])
    assert np.isnan(shares[:, ~seen]).all()
    assert np.isnan(found["mean"]).all()


def test_of_equal_shares_the_least_class_is_the_majority():
    found = of_zones(
        np.array([9, 4, 4, 9]), np.ones(4, bool), np.ones(4), np.array([0]), np.array([4.0]),
        ["majority"], "class",
    )  # fmt: skip
    assert found["majority"].tolist() == [4]


def test_large_numbers_keep_the_digits_of_their_spread():
    values = 1e8 + np.array([0.0, 1.0, 2.0])
    found = of_zones(values, np.ones(3, bool), np.ones(3), np.array([0]), np.array([3.0]), ["std"])
    assert found["std"][0] == pytest.approx(np.sqrt(2 / 3), rel=1e-9)


def test_names_are_checked():
    for wrong in (["means"], [], ["mean", "mean"], ["q101"], ["share_x"], "average"):
        with pytest.raises(ValueError, match="statistics are count"):
            check_statistics(wrong)
    assert check_statistics("mean") == ("mean",)
    with pytest.raises(ValueError, match="share_4: no number of B04"):
        check_roles(["share_4"], {"B04": "quantity"})
    check_roles(["mean", "share_4"], {"B04": "quantity"})
