import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from scipy.stats import t as student

from geotoolz.assess import confusion, count_classes, estimate_samples, sample_design
from geotoolz.assess.sample_checks import check_pixel_area

STRIPES = np.repeat([[1, 1, 1, 1, 2, 2, 3, 3, 3, 3]], 30, axis=0).astype("uint8")


def looked_at(size=60, truth=STRIPES, mapped=STRIPES, **how):
    samples = sample_design(mapped, size, **how)
    return samples.assign(reference=truth[samples["row"], samples["col"]].astype("int64"))


def every_sample(population, sizes):
    """All stratified samples of a population, stratum by stratum, as tables."""
    frame = pd.DataFrame(population, columns=["stratum", "map_class", "reference"])
    groups = [rows.index for _, rows in frame.groupby("stratum")]
    frame["stratum_size"] = frame.groupby("stratum")["stratum"].transform("size")
    frame["inclusion"] = [sizes[each] for each in frame["stratum"]] / frame["stratum_size"]
    picks = (itertools.combinations(each, n) for each, n in zip(groups, sizes, strict=True))
    for chosen in itertools.product(*picks):
        yield frame.loc[[*itertools.chain(*chosen)]]


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 2)), min_size=7, max_size=7))
def test_over_all_samples_areas_and_their_variances_are_unbiased(pairs):
    population = [(h, said, true) for h, (said, true) in zip((0,) * 4 + (1,) * 3, pairs)]  # noqa: B905
    found = [estimate_samples(each, classes=[0, 1, 2]) for each in every_sample(population, (3, 2))]
    true = [sum(each[2] == label for each in population) for label in range(3)]
    right = sum(said == real for _, said, real in population) / 7
    areas, overall = [each.area for each in found], [each.overall.value for each in found]
    assert np.mean(areas, axis=0) == pytest.approx(true)
    assert np.mean(overall) == pytest.approx(right)
    told = np.mean([each.standard_error**2 for each in found], axis=0)
    assert told == pytest.approx(np.var(areas, axis=0))
    told = np.mean([each.overall.standard_error**2 for each in found])
    assert told == pytest.approx(np.var(overall))


@pytest.mark.parametrize(
    "size", [{1: 30, 2: 30}, {1: 30, 2: 30, 3: 0}, 60], ids=["left out", "none", "dropped later"]
)
def test_a_stratum_without_a_row_leaves_the_whole_unknown(size):
    samples = looked_at(size)
    found = estimate_samples(samples[samples["stratum"] != 3])
    assert found.total_area == STRIPES.size
    assert np.isnan(found.area).all()
    assert np.isnan(found.overall.value)
    assert "stratum 3 (40.0% of the area)" in found.reasons["overall"]["overall"]
    assert found.users.value[:2].tolist() == [1, 1]


def test_strata_named_anew_are_those_of_the_rows():
    samples = looked_at()
    named = samples.assign(stratum=samples["stratum"].map({1: "a", 2: "b", 3: "c"}))
    assert estimate_samples(named).area.tolist() == [120, 60, 120]


BROKEN = {
    "twice": (lambda s: pd.concat([s, s.iloc[:1]]), "is in two rows"),
    "two draws": (lambda s: pd.concat([s, looked_at(30)]), "two rows|must be the same"),
    "two sizes": (lambda s: s.assign(stratum_size=range(300, 360)), "stratum_size must be the"),
    "two chances": (lambda s: s.assign(inclusion=np.linspace(0.1, 0.2, 60)), "inclusion must be"),
    "no chance": (lambda s: s.assign(inclusion=0.0), "above 0"),
    "more than all": (lambda s: s.assign(stratum_size=3), "more than its stratum_size"),
    "no stratum": (lambda s: s.assign(stratum=s["stratum"].where(s["stratum"] > 1)), "stratum in"),
    "no class": (lambda s: s.assign(map_class=s["map_class"].where(s["row"] > 5)), "map_class in"),
    "text": (lambda s: s.assign(reference=s["reference"].astype(str)), "all text or all numbers"),
    "blank": (lambda s: s.assign(reference=" "), "no sample has an answer"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rows_that_contradict_each_other_are_refused(name):
    change, said = BROKEN[name]
    with pytest.raises(ValueError, match=said):
        estimate_samples(change(looked_at()))


def test_blank_text_is_no_answer():
    names = np.array(["", "field", "wood", "lake"])
    samples = looked_at()
    text = samples.assign(
        map_class=names[samples["map_class"]], reference=names[samples["row"] % 4]
    )
    found = estimate_samples(text)
    assert found.classes == ["field", "lake", "wood"]
    assert found.counts.sum() == (samples["row"] % 4 > 0).sum()


def test_truth_values_are_the_classes_0_and_1():
    mask = STRIPES > 1
    samples = looked_at(mapped=mask, truth=mask)
    found = estimate_samples(samples.assign(reference=samples["reference"].astype(bool)))
    assert (found.classes, found.area.tolist()) == ([0, 1], [120, 180])


@pytest.mark.parametrize(
    ("crs", "place", "differ"),
    [
        ("EPSG:4326", Affine(0.1, 0, 10, 0, -2, 60), True),
        ("EPSG:4326", Affine(0.001, 0, 10, 0, -0.001, 45), False),
        ("EPSG:3857", Affine(10_000, 0, 1e6, 0, -200_000, 8e6), True),
        ("EPSG:6933", Affine(10_000, 0, 1e6, 0, -200_000, 7e6), False),
        ("EPSG:32632", Affine(10, 0, 500_000, 0, 10, 5_000_000), False),
        ("EPSG:2263", Affine(30, 0, 980_000, 0, -30, 200_000), False),
        (None, Affine(1, 0, 0, 0, 1, 0), False),
    ],
)
def test_one_pixel_area_is_refused_where_pixels_differ(crs, place, differ):
    tile = GeoTensor(STRIPES, place, crs, None)
    samples = sample_design(tile, 60).assign(reference=1)
    assert estimate_samples(samples).total_area == 300
    if differ:
        with pytest.raises(ValueError, match="equal-area"):
            estimate_samples(samples, pixel_area=100)
    else:
        assert estimate_samples(samples, pixel_area=100).total_area == pytest.approx(30_000)


def test_a_pixel_area_is_above_zero():
    for area in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="pixel_area must be a finite number above 0"):
            check_pixel_area(gpd.GeoDataFrame(), area)


def test_matrix_and_areas_of_one_map_meet_by_their_labels():
    from geotoolz.assess import area_estimate

    rng = np.random.default_rng(0)
    mapped, truth = rng.choice([3, 5, 9], (2, 900), p=[0.6, 0.3, 0.1])
    counts, pixels = confusion(mapped, truth), count_classes(mapped[None])
    plain = area_estimate(counts.counts, pixels.to_numpy(), classes=[3, 5, 9])
    frame = counts.frame
    for table in (counts, frame, frame[[9, 3, 5]], frame.loc[[5, 9, 3]]):
        for area in (pixels, pixels[::-1], pixels.to_dict()):
            found = area_estimate(table, area)
            by_label = dict(zip(found.classes, found.area, strict=True))
            assert by_label == pytest.approx(dict(zip([3, 5, 9], plain.area, strict=True)))
    named = area_estimate(counts, pixels, classes=["a", "b", "c"])
    assert (named.classes, named.area.tolist()) == (["a", "b", "c"], plain.area.tolist())
    with pytest.raises(ValueError, match="same labels"):
        area_estimate(frame.rename(columns={9: 8}), pixels)
    with pytest.raises(ValueError, match="area has class 7"):
        area_estimate(counts, {3: 1, 5: 1, 7: 1})
    with pytest.raises(ValueError, match="there twice"):
        area_estimate(counts, pixels, classes=["a", "b", "a"])


def clusters_of(population, seed=0):
    """Samples of clusters of 1 to 11 pixels in two strata, with their mapped and true classes."""
    rng, rows = np.random.default_rng(seed), []
    for cluster in range(population):
        stratum, pixels = cluster % 2, rng.integers(1, 12)
        right = rng.uniform(size=pixels) < 0.5 + 0.3 * stratum
        mapped = rng.integers(1, 3, pixels)
        true = np.where(right, mapped, 3 - mapped)
        rows += [(stratum, cluster, m, t) for m, t in zip(mapped, true, strict=True)]
    table = pd.DataFrame(rows, columns=["stratum", "cluster", "map_class", "reference"])
    return table.assign(stratum_size=table["stratum"].map({0: 400, 1: 900}), inclusion=0.1)


def test_clusters_of_several_strata_have_the_error_of_their_ratios_written_out():
    """Cochran (1977), equation 6.45: deviations from what a cluster's pixels let expect."""
    table = clusters_of(24)
    variance = 0.0
    for size, rows in ((400, table[table["stratum"] == 0]), (900, table[table["stratum"] == 1])):
        counts = rows.groupby("cluster")["reference"].agg([lambda r: (r == 1).sum(), "size"])
        y, m = counts.to_numpy(float).T
        rest = y - y.sum() / m.sum() * m
        variance += 0.9 * (size / m.mean()) ** 2 / len(y) * np.sum(rest**2) / (len(y) - 1)
    found = estimate_samples(table)
    assert found.standard_error[0] == pytest.approx(np.sqrt(variance))
    assert found.standard_error[0] == pytest.approx(found.standard_error[1])


def test_clusters_that_are_all_right_are_few_looks():
    found = estimate_samples(looked_at(5, design="cluster", cluster=(3, 10)))
    assert found.overall.count == 5
    low, high = found.overall.interval(method="wilson")
    assert (low, high) == pytest.approx((1 / (1 + 2.776445**2 / 5), 1))  # t of 4 degrees


def test_intervals_of_few_clusters_take_students_distribution():
    found, reach = estimate_samples(clusters_of(24)), student.ppf(0.95, 22)
    low, high = found.interval(0.9)
    assert low == pytest.approx(found.area - reach * found.standard_error)
    assert high == pytest.approx(found.area + reach * found.standard_error)


def test_a_cluster_lies_in_one_stratum():
    table = clusters_of(8)
    with pytest.raises(ValueError, match="number the clusters of each stratum anew"):
        estimate_samples(table.assign(cluster=table["cluster"] // 2))
