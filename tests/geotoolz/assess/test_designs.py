import numpy as np
import pandas as pd
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher.axes.draws import Draws
from geotoolz import write_cog
from geotoolz.assess import allocate, sample_design, sample_size
from geotoolz.assess.designs import without_replacement

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
DESIGNS = [
    {"design": "stratified", "size": 40},
    {"design": "stratified", "size": {1: 7, 2: 0, 3: 11}},
    {"design": "stratified", "size": 40, "allocation": "equal"},
    {"design": "random", "size": 40},
    {"design": "systematic", "size": 40},
    {"design": "cluster", "size": 6, "cluster": (4, 3)},
]


def crops(height=64, width=50, seed=0, dtype="uint8"):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 1, 2, 3], (height, width), p=[0.1, 0.6, 0.25, 0.05]).astype(dtype)


@settings(max_examples=30)
@given(
    st.sampled_from(DESIGNS),
    st.integers(1, 70),
    st.sampled_from(["uint8", ">i2", "int64", "float32"]),
    st.integers(0, 3),
)
def test_a_sample_depends_on_map_and_seed_alone(options, rows, dtype, seed):
    mapped = crops(dtype=dtype)
    one = sample_design(mapped, nodata=0, seed=seed, **options)
    other = sample_design(mapped, nodata=0, seed=seed, block_rows=rows, **options)
    assert one.equals(other)
    assert (one["map_class"] != 0).all()
    assert (one["map_class"] == mapped[one["row"], one["col"]]).all()
    assert not one.duplicated(["row", "col"]).any()


def test_a_seed_means_the_same_pixels_for_ever():
    found = sample_design(crops(), 5, "random", seed=7)
    places = list(zip(found["row"].tolist(), found["col"].tolist(), strict=True))
    assert places == [(14, 20), (19, 10), (40, 0), (49, 32), (57, 21)]


@pytest.mark.slow
@pytest.mark.parametrize("options", DESIGNS)
def test_inclusion_is_how_often_a_pixel_is_drawn(options):
    mapped, runs = crops(8, 12), 200
    sizes = {40: 16, 6: 4}
    few = {1: 7, 2: 0, 3: 2} if isinstance(options["size"], dict) else sizes[options["size"]]
    options = {**options, "size": few}
    hits = np.zeros(mapped.shape)
    told = np.zeros(mapped.shape)
    for seed in range(runs):
        drawn = sample_design(mapped, nodata=0, seed=seed, **options)
        hits[drawn["row"], drawn["col"]] += 1
        told[drawn["row"], drawn["col"]] = drawn["inclusion"]
    assert (hits[mapped == 0] == 0).all()
    seen = told > 0
    error = np.sqrt(told * (1 - told) / runs)
    assert (np.abs(hits / runs - told)[seen] <= 5 * error[seen]).all()
    assert seen[(mapped == 1) | (mapped == 3)].mean() > 0.99


def test_weights_are_inverse_inclusions_and_add_up():
    mapped = crops()
    for options in DESIGNS[2:4]:
        drawn = sample_design(mapped, nodata=0, **options)
        assert drawn["weight"].sum() == pytest.approx((mapped > 0).sum())
        assert (drawn["weight"] * drawn["inclusion"]).to_numpy() == pytest.approx(1)


def test_samples_lie_at_pixel_centres_in_the_maps_crs():
    tile = GeoTensor(crops()[None], PLACE, "EPSG:32632", 0)
    drawn = sample_design(tile, 30)
    assert drawn.crs == "EPSG:32632"
    cols, rows = ~PLACE @ (drawn.geometry.x.to_numpy(), drawn.geometry.y.to_numpy())
    assert rows == pytest.approx(drawn["row"].to_numpy() + 0.5)
    assert cols == pytest.approx(drawn["col"].to_numpy() + 0.5)
    assert drawn["reference"].isna().all()
    assert drawn["sample"].tolist() == list(range(30))


def test_south_up_and_rotated_maps_have_their_own_places():
    place = Affine(7, 3, 100, -2, 9, 50)
    drawn = sample_design(GeoTensor(crops(), place, "EPSG:32632", 0), 10)
    x, y = place @ (drawn["col"].iloc[0] + 0.5, drawn["row"].iloc[0] + 0.5)
    assert (drawn.geometry.x.iloc[0], drawn.geometry.y.iloc[0]) == pytest.approx((x, y))


def test_a_file_gives_the_sample_of_its_array(tmp_path):
    tile = GeoTensor(crops(700, 90), PLACE, "EPSG:32632", 0)
    path = write_cog(tile, tmp_path / "crops.tif")
    for options in DESIGNS:
        assert sample_design(path, **options).equals(sample_design(tile, **options))


def test_strata_need_not_be_the_classes():
    mapped, strata = crops(), np.repeat([[5, 6]], 64, axis=0).repeat(25, axis=1).astype("uint8")
    drawn = sample_design(mapped, {5: 10, 6: 20}, strata=strata, nodata=0)
    assert drawn.groupby("stratum").size().to_dict() == {5: 10, 6: 20}
    assert (drawn["stratum"] == strata[drawn["row"], drawn["col"]]).all()
    sizes = drawn.groupby("stratum")["stratum_size"].first()
    assert sizes[5] == ((strata == 5) & (mapped > 0)).sum()


def test_a_systematic_sample_is_a_grid():
    drawn = sample_design(np.ones((100, 80), "uint8"), 80, "systematic", seed=4)
    assert len(drawn) == 80
    assert set(np.diff(np.unique(drawn["row"]))) == set(np.diff(np.unique(drawn["col"]))) == {10}


def test_a_cluster_is_all_valid_pixels_of_a_block():
    mapped = crops()
    drawn = sample_design(mapped, 7, "cluster", cluster=(4, 3), nodata=0)
    assert drawn["cluster"].nunique() == 7
    for _, block in drawn.groupby("cluster"):
        row, col = block["row"].min() // 4 * 4, block["col"].min() // 3 * 3
        assert len(block) == (mapped[row : row + 4, col : col + 3] > 0).sum()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 5, "design": "grid"}, "design must be"),
        ({"size": 0}, "size"),
        ({"size": 10_000}, "at most the map's"),
        ({"size": 10_000, "design": "random"}, "at most the map's"),
        ({"size": 5, "least": 2}, "at least"),
        ({"size": {1: 5, 9: 1}}, "stratum 9, which has 0"),
        ({"size": {1: 5}, "design": "random"}, "a mapping as size goes with design 'stratified'"),
        ({"size": 5, "design": "random", "strata": np.ones((64, 50))}, "strata goes with"),
        ({"size": 5, "design": "random", "allocation": "equal"}, "allocation goes with"),
        ({"size": 5, "design": "cluster"}, "needs cluster"),
        ({"size": 5000, "design": "cluster", "cluster": 2}, "1 to"),
        ({"size": 50, "cluster": 2}, "cluster goes with"),
        ({"size": 50, "strata": np.ones((3, 3), "uint8")}, "same pixels"),
        ({"size": 50, "allocation": "neyman"}, "needs accuracies"),
        ({"size": 50, "seed": -1}, "seed"),
        ({"size": 10_000, "design": "systematic"}, "at most the map's"),
        ({"size": {1: 2.5}}, "whole numbers of pixels"),
        ({"size": {"1": 2}}, "strata, as whole numbers"),
        ({"size": 50, "least": -1}, "least"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, said):
    with pytest.raises((ValueError, TypeError), match=said):
        sample_design(crops(), **options)


def test_a_sample_lists_the_strata_of_the_map_and_takes_sizes_as_a_series():
    drawn = sample_design(crops(), pd.Series({1: 7, 3: 11}), nodata=0)
    assert drawn.equals(sample_design(crops(), {1: 7, 3: 11}, nodata=0))
    assert dict(drawn.attrs["strata"]) == {k: (crops() == k).sum() for k in (1, 2, 3)}
    assert sample_design(crops().tolist(), 9).equals(sample_design(crops(), 9))


def test_classes_beyond_64_bits_with_a_sign_are_refused():
    with pytest.raises(TypeError, match="up to 9223372036854775807"):
        sample_design(np.full((3, 3), 2**63 + 1, "uint64"), 2)
    with pytest.raises(TypeError, match="whole numbers, got inf"):
        sample_design(np.full((3, 3), np.inf), 2)


@pytest.mark.parametrize(
    "pixels", [{1: 5, 2: -1}, {1: 5.5}, {"a": 5}, {1.5: 5}, {1: np.nan}], ids=str
)
def test_an_allocation_is_to_whole_numbers_of_pixels(pixels):
    with pytest.raises(ValueError, match="must map strata"):
        allocate(3, pixels)


def test_a_map_of_nodata_has_nothing_to_draw():
    with pytest.raises(ValueError, match="no valid pixel"):
        sample_design(np.zeros((4, 4), "uint8"), 2, nodata=0)


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=8),
    st.integers(0, 30),
    st.sampled_from(["proportional", "equal", "neyman"]),
    st.floats(0, 1),
)
def test_an_allocation_adds_up_within_its_bounds(sizes, least, rule, share):
    pixels = dict(enumerate(sizes))
    floor = sum(min(least, each) for each in sizes)
    size = max(1, floor, round(share * sum(sizes)))
    accuracies = {each: 1 - each / 10 for each in pixels}
    found = allocate(size, pixels, rule, accuracies=accuracies, least=least)
    assert sum(found.values()) == size
    assert all(min(least, pixels[each]) <= count <= pixels[each] for each, count in found.items())


def test_neyman_gives_the_least_error():
    pixels, accuracies = {1: 1000, 2: 9000}, {1: 0.6, 2: 0.98}

    def variance(counts):
        return sum(
            (pixels[h] / 10_000) ** 2 * accuracies[h] * (1 - accuracies[h]) / counts[h]
            for h in pixels
        )

    best = allocate(200, pixels, "neyman", accuracies=accuracies)
    others = [{1: n, 2: 200 - n} for n in range(2, 199)]
    assert variance(best) == pytest.approx(min(map(variance, others)), rel=1e-3)


def test_sample_size_is_what_gives_the_wished_error():
    shares, accuracies = [0.2, 0.8], [0.7, 0.9]
    spread = sum(w * np.sqrt(u * (1 - u)) for w, u in zip(shares, accuracies, strict=True))
    n = sample_size(shares, accuracies, 0.02)
    # With Neyman's allocation the error of the overall accuracy is spread / sqrt(n).
    assert spread / np.sqrt(n) <= 0.02 < spread / np.sqrt(n - 1)
    assert sample_size(shares, accuracies, 0.02, population=500) < n
    assert sample_size([1], [0.5], 0.05) == 100
    for size in range(1, 500):
        assert sample_size([1], [0.5], 0.5 / np.sqrt(size)) == size
    for population in (0, -5, np.nan):
        with pytest.raises(ValueError, match="population"):
            sample_size(shares, accuracies, 0.02, population=population)
    with pytest.raises(ValueError, match="standard_error"):
        sample_size(shares, accuracies, 0)
    with pytest.raises(ValueError, match="accuracies"):
        sample_size(shares, [0.7, 1.2], 0.02)


@given(st.integers(1, 400), st.floats(0, 1), st.integers(0, 9))
def test_numbers_without_replacement_are_distinct(population, share, seed):
    count = round(share * population)
    found = without_replacement(Draws(seed), population, count)
    assert len(np.unique(found)) == count
    assert (np.diff(found) > 0).all()
    assert not count or 0 <= found.min() <= found.max() < population
