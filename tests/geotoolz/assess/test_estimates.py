import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotoolz.assess import (
    area_estimate,
    confusion,
    count_classes,
    estimate_samples,
    sample_design,
)

# Olofsson et al. (2014), table 8: deforestation, forest gain, stable forest, stable non-forest.
OLOFSSON = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
HECTARES = [18_000, 13_500, 288_000, 580_500]


def test_the_example_of_olofsson_2014_to_the_printed_digit():
    found = area_estimate(OLOFSSON, HECTARES)
    assert found.area.round().tolist() == [21158, 11686, 285770, 581386]
    assert (1.96 * found.standard_error).round().tolist() == [6158, 3756, 15510, 16282]
    assert found.users.value.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert (1.96 * found.users.standard_error).round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert found.producers.value.round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    assert (1.96 * found.producers.standard_error).round(2)[[0, 2, 3]].tolist() == [
        0.21,
        0.03,
        0.02,
    ]
    assert round(found.overall.value, 2) == 0.95
    assert round(1.96 * found.overall.standard_error, 2) == 0.02
    assert found.reasons == {}


def test_the_formulas_of_olofsson_2014_written_out():
    """Equations 1 to 11 in plain loops; another implementation prints the same half widths."""
    counts, weights = np.array(OLOFSSON, float), np.array(HECTARES) / 900_000
    found, k = area_estimate(OLOFSSON, HECTARES), range(4)
    n = counts.sum(axis=1)
    p = weights[:, None] * counts / n[:, None]
    users = [p[i, i] / p[i].sum() for i in k]
    assert found.shares == pytest.approx(p)
    assert found.overall.standard_error == pytest.approx(
        np.sqrt(sum(weights[i] ** 2 * users[i] * (1 - users[i]) / (n[i] - 1) for i in k))
    )
    for j in k:
        within = [weights[i] * p[i, j] - p[i, j] ** 2 for i in k]
        area = np.sqrt(sum(within[i] / (n[i] - 1) for i in k))
        assert found.standard_error[j] == pytest.approx(900_000 * area)
        assert found.users.standard_error[j] == pytest.approx(
            np.sqrt(users[j] * (1 - users[j]) / (n[j] - 1))
        )
        truly, right = p[:, j].sum(), p[j, j] / p[:, j].sum()
        own = weights[j] ** 2 * (1 - right) ** 2 * users[j] * (1 - users[j]) / (n[j] - 1)
        others = sum(
            weights[i] ** 2 * counts[i, j] / n[i] * (1 - counts[i, j] / n[i]) / (n[i] - 1)
            for i in k
            if i != j
        )
        assert found.producers.standard_error[j] == pytest.approx(
            np.sqrt(own + right**2 * others) / truly
        )
    printed = [0.21330985, 0.25440836, 0.03432442, 0.01836154]
    assert 1.96 * found.producers.standard_error == pytest.approx(printed, rel=1e-6)


def stehman():
    """The 40 pixels of the numerical example of Stehman (2014), in four strata."""
    sizes = {"A": 40_000, "B": 30_000, "C": 20_000, "D": 10_000}
    samples = pd.DataFrame(
        {
            "stratum": list("A" * 10 + "B" * 10 + "C" * 10 + "D" * 10),
            "map_class": list("A" * 7 + "BBB" + "A" + "B" * 11 + "C" * 6 + "BB" + "D" * 10),
            "reference": list("AAAAACBABC" + "ABBBBBAABB" + "CCCCCDDBBA" + "DDDDDDDCCB"),
        }
    )
    samples["stratum_size"] = samples["stratum"].map(sizes)
    return samples.assign(inclusion=10 / samples["stratum_size"])


def test_the_example_of_stehman_2014_to_the_printed_digit():
    found = estimate_samples(stehman())
    assert found.classes == ["A", "B", "C", "D"]
    share, error = found.areas.value / 100_000, found.areas.standard_error / 100_000
    assert (round(share[0], 2), round(error[0], 3)) == (0.35, 0.082)
    assert (round(share[2], 2), round(error[2], 3)) == (0.20, 0.064)
    assert (round(found.overall.value, 2), round(found.overall.standard_error, 3)) == (0.63, 0.085)
    users, producers = found.users, found.producers
    assert (round(users.value[1], 3), round(users.standard_error[1], 3)) == (0.574, 0.125)
    assert (round(producers.value[1], 3), round(producers.standard_error[1], 3)) == (0.794, 0.117)
    assert round(found.shares[1, 2], 2) == 0.08


def test_ratio_errors_are_those_of_a_written_out_stehman():
    """Equation 28 with sample variances and the covariance, by numpy."""
    samples = stehman()
    y = ((samples["map_class"] == "B") & (samples["reference"] == "B")).to_numpy(float)
    x = (samples["reference"] == "B").to_numpy(float)
    ratio, whole, variance = found_ratio(samples, y, x)
    found = estimate_samples(samples).producers
    assert found.value[1] == pytest.approx(ratio)
    assert found.standard_error[1] == pytest.approx(np.sqrt(variance) / whole)


def found_ratio(samples, y, x):
    groups = list(samples.groupby("stratum").indices.values())
    sizes = samples["stratum_size"].to_numpy(float)
    whole = sum(sizes[g[0]] * x[g].mean() for g in groups)
    ratio = sum(sizes[g[0]] * y[g].mean() for g in groups) / whole
    variance = 0.0
    for g in groups:
        both = np.cov(y[g], x[g])
        spread = both[0, 0] + ratio**2 * both[1, 1] - 2 * ratio * both[0, 1]
        variance += sizes[g[0]] ** 2 * (1 - len(g) / sizes[g[0]]) * spread / len(g)
    return ratio, whole, variance


@given(st.randoms(use_true_random=False), st.data())
def test_the_order_of_rows_does_not_matter(random, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    samples = pd.DataFrame(
        {
            "stratum": rng.integers(0, 3, 40),
            "map_class": rng.integers(0, 4, 40),
            "reference": rng.integers(0, 4, 40),
            "inclusion": 0.01,
        }
    )
    samples["stratum_size"] = samples["stratum"].map({0: 5000, 1: 700, 2: 90})
    order = list(range(40))
    random.shuffle(order)
    one, other = estimate_samples(samples), estimate_samples(samples.iloc[order])
    for name in ("areas", "users", "producers", "f1"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.value == pytest.approx(b.value, nan_ok=True)
        assert a.standard_error == pytest.approx(b.standard_error, nan_ok=True, abs=1e-9)


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), st.data())
def test_a_perfect_map_has_no_standard_error(drawn, data):
    areas = data.draw(
        st.lists(st.floats(1, 1e6), min_size=len(drawn), max_size=len(drawn)), label="areas"
    )
    found = area_estimate(np.diag(drawn), areas)
    assert found.area == pytest.approx(areas)
    assert found.overall.value == pytest.approx(1)
    for figure in (found.areas, found.users, found.producers, found.f1):
        assert figure.standard_error == pytest.approx(0, abs=1e-6)
    assert found.overall.standard_error == 0


def test_what_no_sample_tells_is_said_and_not_zero():
    found = area_estimate([[9, 1, 0], [2, 8, 0], [0, 0, 0]], [100, 200, 50], classes=[1, 2, 3])
    assert np.isnan(found.area).all()
    assert np.isnan(found.overall.value)
    assert found.users.value[:2].tolist() == [0.9, 0.8]
    assert np.isnan(found.users.value[2])
    assert "stratum 3 (14.3% of the area)" in found.reasons["users"][3]
    assert "no sample in stratum 3" in found.reasons["overall"]["overall"]
    low, high = found.users.interval()
    assert np.isnan([low[2], high[2]]).all()


def test_a_class_that_is_never_seen_and_a_stratum_with_one_sample_are_said():
    found = area_estimate([[9, 0, 1], [0, 1, 0], [2, 0, 8]], [100, 5, 200])
    assert found.users.value[1] == 1
    assert np.isnan(found.users.standard_error[1])
    assert found.reasons["users"] == {1: "a single sample in stratum 1"}
    never = area_estimate([[9, 1], [2, 8]], [100, 200])
    assert never.reasons == {}
    absent = area_estimate([[9, 0, 1], [2, 0, 8], [1, 0, 1]], [100, 200, 5])
    assert absent.area[1] == 0
    assert absent.reasons["producers"] == {1: "no sample is of this class in truth"}


@pytest.mark.parametrize(
    ("counts", "area", "said"),
    [
        ([[1, 2]], [1], "square"),
        ([[1.5, 0], [0, 1]], [1, 1], "whole numbers"),
        ([[-1, 0], [0, 1]], [1, 1], "at least 0"),
        ([[1, 0], [0, 1]], [1], "2 numbers"),
        ([[1, 0], [0, 1]], [1, -1], "at least 0"),
        ([[1, 0], [0, 1]], [1, 0], "area of class 1 is 0"),
        ([[1, 0], [0, 1]], [np.nan, 1], "mapped area"),
    ],
)
def test_bad_counts_and_areas_are_named(counts, area, said):
    with pytest.raises(ValueError, match=said):
        area_estimate(counts, area)


def world(seed=0, shape=(120, 150)):
    """A true map of four classes and one that errs on a fifth of it."""
    rng = np.random.default_rng(seed)
    truth = np.digitize(rng.random(shape), [0.5, 0.8, 0.95]).astype("uint8")
    wrong = rng.random(shape) < 0.2
    return np.where(wrong, rng.integers(0, 4, shape), truth).astype("uint8"), truth


DESIGNS = {
    "stratified": {"size": 300, "least": 40},
    "random": {"size": 300, "design": "random"},
    "systematic": {"size": 300, "design": "systematic"},
    "cluster": {"size": 60, "design": "cluster", "cluster": (3, 2)},
    "other strata": {"size": 300, "strata": "west and east"},
    "post-stratified": {"size": 300, "design": "random"},
}


def drawn(name, seed, mapped, truth):
    options = dict(DESIGNS[name])
    if "strata" in options:
        strata = np.zeros(mapped.shape, "uint8")
        strata[:, 40:] = 1
        options["strata"] = strata
    samples = sample_design(mapped, seed=seed, **options)
    samples["reference"] = truth[samples["row"], samples["col"]]
    pixels = count_classes(mapped) if name == "post-stratified" else None
    return estimate_samples(samples, mapped_pixels=pixels, classes=[0, 1, 2, 3])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "runs"), [(name, 1000 if name == "stratified" else 250) for name in DESIGNS]
)
def test_unbiased_over_many_samples_and_errors_tell_the_spread(name, runs):
    mapped, truth = world()
    found = [drawn(name, seed, mapped, truth) for seed in range(runs)]
    areas = np.array([each.area for each in found])
    known = np.bincount(truth.ravel())
    error = areas.std(axis=0) / np.sqrt(runs)
    assert (np.abs(areas.mean(axis=0) - known) < 4 * error).all()
    matrix = confusion(mapped, truth)
    for figure in ("users", "producers", "f1", "overall"):
        values = np.array([getattr(each, figure).value for each in found])
        exact = getattr(matrix, figure)
        # Ratios are unbiased up to terms of one over the number of samples.
        assert values.mean(axis=0) == pytest.approx(exact, abs=0.02), figure
    told = np.array([each.standard_error for each in found]).mean(axis=0)
    if name != "systematic":  # whose error is taken for that of a random sample
        assert told == pytest.approx(areas.std(axis=0), rel=0.15)


def test_a_census_has_no_error():
    mapped, truth = world(shape=(20, 30))
    samples = sample_design(mapped, 600, "random")
    samples["reference"] = truth[samples["row"], samples["col"]]
    found = estimate_samples(samples)
    assert found.area == pytest.approx(np.bincount(truth.ravel()))
    assert found.standard_error == pytest.approx(0)
    assert found.overall.value == pytest.approx(confusion(mapped, truth).overall)


def test_samples_within_mapped_classes_are_the_matrix_of_counts():
    mapped, truth = world()
    samples = sample_design(mapped, 400, least=50)
    samples["reference"] = truth[samples["row"], samples["col"]]
    one = estimate_samples(samples)
    pixels = count_classes(mapped)
    other = area_estimate(one.counts, pixels)
    assert one.area == pytest.approx(other.area)
    # A matrix does not say how many pixels an area has, so that 300 of 900 count as 300 of many.
    assert (one.standard_error < other.standard_error).all()
    few = 1 - np.bincount(samples["stratum"]) / pixels
    assert one.users.standard_error == pytest.approx(other.users.standard_error * np.sqrt(few))


def test_pixels_without_an_answer_are_left_out():
    mapped, truth = world()
    samples = sample_design(mapped, 400)
    samples["reference"] = pd.array(truth[samples["row"], samples["col"]], "Int64")
    samples.loc[::7, "reference"] = pd.NA
    found = estimate_samples(samples)
    assert found.counts.sum() == samples["reference"].notna().sum()
    assert found.total_area == mapped.size
    with pytest.raises(ValueError, match="no sample has an answer"):
        estimate_samples(samples.assign(reference=pd.NA))
    with pytest.raises(KeyError, match=r"'stratum'.*sample_design"):
        estimate_samples(samples.drop(columns="stratum"))
    with pytest.raises(ValueError, match="classes must hold every label"):
        estimate_samples(samples, classes=[0, 1])


def test_clusters_of_equal_pixels_count_once():
    """Nine copies of a pixel say no more than one: the error is that of one pixel a cluster."""
    rng = np.random.default_rng(2)
    coarse, right = rng.integers(0, 2, (40, 40)), rng.integers(0, 2, (40, 40))
    big, true = (
        np.kron(each, np.ones((3, 3), "uint8")).astype("uint8") for each in (coarse, right)
    )
    samples = sample_design(big, 80, "cluster", cluster=3, seed=5)
    samples["reference"] = true[samples["row"], samples["col"]]
    ones = samples.groupby("cluster").first().reset_index()
    found = estimate_samples(samples)
    single = estimate_samples(ones.drop(columns="cluster").assign(stratum_size=1600), pixel_area=9)
    assert found.areas.value == pytest.approx(single.areas.value)
    assert found.standard_error == pytest.approx(single.standard_error)


def test_post_strata_must_be_those_of_the_same_map():
    mapped, truth = world()
    samples = sample_design(mapped, 100, "random")
    samples["reference"] = truth[samples["row"], samples["col"]]
    pixels = count_classes(mapped)
    with pytest.raises(ValueError, match="add up to"):
        estimate_samples(samples, mapped_pixels=pixels * 2)
    with pytest.raises(ValueError, match="without strata"):
        estimate_samples(sample_design(mapped, 100).assign(reference=1), mapped_pixels=pixels)
    other = pixels.rename({0: 9})
    with pytest.raises(ValueError, match="lack class 0"):
        estimate_samples(samples, mapped_pixels=other)


def test_the_table_holds_every_figure():
    table = area_estimate(OLOFSSON, HECTARES, list("abcd")).table(0.9, "wilson")
    assert table.index.tolist() == list("abcd")
    assert table["areas", "value"]["a"].round() == 21158
    assert (table["users", "low"] < table["users", "value"]).all()
    assert (table["users", "high"] > table["users", "value"]).all()
