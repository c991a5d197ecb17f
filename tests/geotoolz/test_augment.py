import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

import geotoolz as gz
from geotoolz.augment import flip, rotate90

SINGLE = [
    gz.RandomFlip(),
    gz.RandomRotate90(),
    gz.RandomCrop((9, 11)),
    gz.BrightnessJitter((0.5, 1.5)),
    gz.BrightnessJitter((0.5, 1.5), per_band=False),
    gz.ContrastJitter((0.5, 1.5)),
    gz.GaussianNoise(0.05),
    gz.BandDropout(0.5),
    gz.SimulatedClouds(),
]
SPATIAL = SINGLE[:3]
RADIOMETRIC = SINGLE[3:]
EVERYTHING = gz.Compose(SINGLE)

by_name = pytest.mark.parametrize("op", [*SINGLE, EVERYTHING], ids=lambda op: type(op).__name__)


def chip(dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.05, 0.5, (3, 16, 20))
    values = values * 10_000 if np.dtype(dtype).kind == "u" else values
    transform = Affine(10, 0, 5e5, 0, -10, 5e6)
    names = {"band_names": ["B02", "B03", "B04"]}
    fill = 0 if np.dtype(dtype).kind == "u" else np.nan
    return GeoTensor(values.astype(dtype), transform, "EPSG:32632", fill, names)


@by_name
@pytest.mark.parametrize("seed", [0, 7, (3, 41)])
def test_the_same_seed_gives_the_same_chip(op, seed):
    first, second = op(chip(), seed=seed), op(chip(), seed=seed)
    assert np.array_equal(first.values, second.values)
    assert first.transform == second.transform


@pytest.mark.parametrize("seed", [np.random.SeedSequence(1), np.random.default_rng(1), "one"])
def test_a_seed_that_is_no_number_is_refused(seed):
    with pytest.raises(TypeError, match="int or sequence of ints"):
        gz.RandomFlip()(chip(), seed=seed)


@by_name
def test_other_seeds_give_other_chips(op):
    assert len({op(chip(), seed=seed).values.tobytes() for seed in range(12)}) > 1


@by_name
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
def test_dtype_bands_and_caller_s_array_stay(op, dtype):
    given = chip(dtype)
    before = given.values.copy()
    result = op(given, seed=5)
    assert result.dtype == np.dtype(dtype)
    assert result.shape[0] == 3
    assert result.attrs == given.attrs
    assert np.array_equal(given.values, before)


@by_name
def test_nodata_stays_nodata(op):
    for dtype, nodata in (("uint16", 0), ("float32", np.nan)):
        given = chip(dtype)
        given.values[:, 4:8, 4:12] = nodata
        missing = (given.values == 0) | np.isnan(given.values.astype(float))
        result = op(given, seed=5).values
        found = (result == 0) | np.isnan(result.astype(float))
        if not any(op is each for each in (*SPATIAL, EVERYTHING)):
            assert found[missing].all()
        elif op is not EVERYTHING and not isinstance(op, gz.RandomCrop):
            assert found.sum() == missing.sum()


@pytest.mark.parametrize("op", SPATIAL, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("seed", range(6))
def test_every_pixel_keeps_its_place_on_the_map(op, seed, at_point, centres):
    given = chip()
    moved = op(given, seed=seed)
    for x, y in centres(moved)[::7]:
        assert np.array_equal(at_point(moved, x, y), at_point(given, x, y))


@pytest.mark.parametrize("op", SPATIAL, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("seed", range(6))
def test_labels_move_with_their_chip(op, seed):
    given = chip()
    label = given.array_as_geotensor((given.values[0] > 0.25).astype("uint8"))
    moved, moved_label = op(given, label, seed=seed)
    assert np.array_equal(moved_label.values, moved.values[0] > 0.25)
    assert moved_label.transform == moved.transform


@pytest.mark.parametrize("op", RADIOMETRIC, ids=lambda op: type(op).__name__)
def test_changes_of_brightness_leave_labels_and_places_alone(op):
    given = chip()
    label = np.arange(16 * 20).reshape(16, 20)
    moved, same = op(given, label, seed=3)
    assert np.array_equal(same, label)
    assert moved.transform == given.transform
    assert moved.shape == given.shape


def test_another_process_draws_the_same():
    code = (
        "import numpy as np, geotoolz as gz\n"
        "op = gz.Compose([gz.RandomFlip(), gz.RandomRotate90(), gz.GaussianNoise(0.1),\n"
        "                 gz.SimulatedClouds(), gz.BandDropout(0.5)])\n"
        "x = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)\n"
        "print(float(op(x, seed=(2, 11)).sum()))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    op = gz.Compose(
        [
            gz.RandomFlip(),
            gz.RandomRotate90(),
            gz.GaussianNoise(0.1),
            gz.SimulatedClouds(),
            gz.BandDropout(0.5),
        ]
    )
    here = float(op(np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8), seed=(2, 11)).sum())
    assert [float(run.stdout) for run in runs] == [here, here]


def test_any_number_of_threads_draws_the_same():
    chips = [chip(seed=i) for i in range(8)]

    def augmented(numbered):
        number, each = numbered
        return EVERYTHING(each, seed=(0, number))

    one = [augmented(each) for each in enumerate(chips)]
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(augmented, enumerate(chips)))
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(a.values, b.values)


# --- each does what it says and nothing else ----------------------------------------------------


def test_flips_follow_their_probabilities():
    values = np.arange(6.0).reshape(1, 2, 3)
    assert np.array_equal(gz.RandomFlip(0, 0)(values, seed=0), values)
    assert np.array_equal(gz.RandomFlip(1, 0)(values, seed=0), values[..., ::-1])
    assert np.array_equal(gz.RandomFlip(0, 1)(values, seed=0), values[:, ::-1])
    flipped = sum(gz.RandomFlip(0.3, 0)(values, seed=s)[0, 0, 0] == 2 for s in range(400))
    assert 80 < flipped < 160


def test_turns_are_all_drawn_and_never_none_when_certain():
    values = np.arange(4).reshape(2, 2)
    seen = {gz.RandomRotate90(p=1.0)(values, seed=s).tobytes() for s in range(40)}
    assert seen == {np.rot90(values, turns).tobytes() for turns in (1, 2, 3)}
    assert np.array_equal(gz.RandomRotate90(p=0.0)(values, seed=0), values)


def test_brightness_is_one_factor_a_band():
    given = chip()
    result = gz.BrightnessJitter((0.5, 1.5))(given, seed=1).values / given.values
    assert np.ptp(result, axis=(1, 2)).max() < 1e-5
    assert np.ptp(result[:, 0, 0]) > 0.01
    together = gz.BrightnessJitter((0.5, 1.5), per_band=False)(given, seed=1).values / given.values
    assert np.ptp(together) < 1e-5
    assert 0.5 <= together.min() <= 1.5


def test_contrast_keeps_the_mean_and_scales_the_spread():
    given = chip()
    result = gz.ContrastJitter((2.0, 2.0))(given, seed=1).values
    np.testing.assert_allclose(result.mean((1, 2)), given.values.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(result.std((1, 2)), 2 * given.values.std((1, 2)), rtol=1e-5)


def test_noise_has_its_sigma():
    result = gz.GaussianNoise(0.1)(np.zeros((1, 200, 200), "float32"), seed=0)
    assert abs(result.mean()) < 0.002
    assert result.std() == pytest.approx(0.1, rel=0.02)


def test_integers_saturate_instead_of_wrapping():
    bright = gz.BrightnessJitter((3.0, 3.0))(np.full((1, 1, 2), 40_000, "uint16"), seed=0)
    assert (bright == 65535).all()
    noisy = gz.GaussianNoise(50.0)(np.full((1, 50, 50), 5, "uint8"), seed=0)
    assert noisy.min() == 0


def test_dropped_bands_are_whole_and_one_always_remains():
    given = chip().values
    for seed in range(20):
        result = gz.BandDropout(0.9)(given, seed=seed)
        gone = [(band == 0).all() for band in result]
        assert not all(gone)
        for band, original, dropped in zip(result, given, gone, strict=True):
            assert dropped or np.array_equal(band, original)


@pytest.mark.parametrize("cover", [0.1, 0.35, 0.8])
def test_clouds_cover_their_share_and_are_bright(cover):
    dark = np.zeros((2, 64, 64), "float32")
    cloudy = gz.SimulatedClouds(cover=(cover, cover), brightness=0.7)(dark, seed=1)
    assert (cloudy[0] > 0.35).mean() == pytest.approx(cover, abs=0.03)
    assert np.array_equal(cloudy[0], cloudy[1])
    assert 0 <= cloudy.min() <= cloudy.max() <= 0.7 + 1e-6


def test_crops_have_their_size():
    assert gz.RandomCrop(5)(chip(), seed=0).shape == (3, 5, 5)
    with pytest.raises(ValueError, match=r"can't crop \(rows, cols\) = \(17, 5\) from \(16, 20\)"):
        gz.RandomCrop((17, 5))(chip(), seed=0)


def test_cutmix_pastes_one_rectangle_with_its_labels():
    batch = np.arange(4.0).reshape(4, 1, 1, 1) * np.ones((1, 2, 12, 12))
    labels = batch[:, 0].astype(int)
    changed = 0
    for seed in range(10):
        mixed, moved = gz.CutMix()(batch, labels, seed=seed)
        assert np.array_equal(mixed[:, 0], moved)
        assert np.array_equal(mixed[:, 0], mixed[:, 1])
        for number, plane in enumerate(moved):
            foreign = np.argwhere(plane != number)
            if len(foreign):
                changed += 1
                (r0, c0), (r1, c1) = foreign.min(0), foreign.max(0)
                assert len(foreign) == (r1 - r0 + 1) * (c1 - c0 + 1)
                assert len(set(plane[plane != number])) == 1
    assert changed > 5
    with pytest.raises(ValueError, match=r"takes a batch \(N, C, H, W\), got shape \(2, 12, 12\)"):
        gz.CutMix()(batch[0], seed=0)


def test_compose_is_skipped_with_its_probability():
    values = np.arange(6.0).reshape(1, 2, 3)
    op = gz.Compose([gz.RandomFlip(1, 0)], p=0.25)
    done = sum(not np.array_equal(op(values, seed=s), values) for s in range(200))
    assert 25 < done < 80


def test_compose_takes_ordinary_operators_and_nests():
    op = gz.Compose([gz.Compose([gz.RandomFlip(1, 0)]), gz.MinMax()])
    result = op(np.arange(6.0).reshape(1, 2, 3), seed=0)
    assert result[0, 0].tolist() == pytest.approx([0.4, 0.2, 0])
    with pytest.raises(TypeError, match="ops must be operators"):
        gz.Compose([np.fliplr])


def test_augmentations_run_in_a_sequence_and_a_graph():
    values = np.ones((1, 4, 4))
    assert (gz.DNToReflectance(1.0) | gz.RandomFlip())(values).shape == (1, 4, 4)
    node = gz.RandomFlip()(gz.Input("x"))
    assert gz.Graph({"x": node.parents[0]}, {"y": node})(values)["y"].shape == (1, 4, 4)


def test_labels_must_fit_the_chip():
    with pytest.raises(ValueError, match=r"must end in the chip's \(H, W\), got \(4, 4\)"):
        gz.RandomFlip()(chip(), np.zeros((4, 4)), seed=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gz.RandomFlip(1.5), "p_horizontal must be 0 to 1, a probability"),
        (lambda: gz.RandomRotate90(-0.1), "p must be 0 to 1, a probability"),
        (lambda: gz.BrightnessJitter((1.2, 0.8)), "0 <= low <= high"),
        (lambda: gz.GaussianNoise(-1), "sigma must be a finite number of at least 0"),
        (lambda: gz.SimulatedClouds(cover=(0.5, 1.5)), "within 0 and 1"),
        (lambda: gz.RandomCrop(0), "size must be positive"),
        (lambda: gz.CutMix(alpha=0), "alpha must be a finite number above 0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: gz.BrightnessJitter(0.2), "factor must be .low, high."),
        (lambda: gz.ContrastJitter((1.2, 0.8)), "factor must be .low, high."),
        (lambda: gz.RandomCrop((1, 2, 3)), "size must be positive"),
        (lambda: gz.RandomCrop(0), "size must be positive"),
        (
            lambda: gz.BandDropout(1.0, fill_value=-1)(np.ones((3, 2, 2), "uint8"), seed=0),
            "fill_value -1 does not fit uint8",
        ),
        (
            lambda: gz.BandDropout(1.0, fill_value=np.nan)(np.ones((3, 2, 2), "uint8"), seed=0),
            "nan does not fit uint8",
        ),
    ],
)
def test_bad_ranges_sizes_and_fills_are_refused(act, message):
    with pytest.raises(ValueError, match=message):
        act()


def test_an_empty_chip_stays_an_empty_chip():
    empty = np.zeros((3, 0, 4), "float32")
    for op in (gz.SimulatedClouds(), gz.GaussianNoise(), gz.ContrastJitter(), gz.RandomFlip()):
        assert op(empty, seed=0).shape == empty.shape


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_flips_keep_every_pixel_in_its_place(tile, at_point, centres, horizontal, vertical):
    moved = flip(tile, horizontal=horizontal, vertical=vertical)
    for x, y in centres(tile):
        assert np.array_equal(at_point(moved, x, y), at_point(tile, x, y))
    assert not np.shares_memory(moved, tile)


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 4, 7])
def test_quarter_turns_keep_every_pixel_in_its_place(tile, at_point, centres, turns):
    moved = rotate90(tile, turns)
    assert moved.shape == ((3, 7, 5) if turns % 2 else (3, 5, 7))
    for x, y in centres(tile):
        assert np.array_equal(at_point(moved, x, y), at_point(tile, x, y))
    assert np.array_equal(moved.values, np.rot90(tile.values, turns, axes=(1, 2)))
    assert not np.shares_memory(moved, tile)


def test_four_quarter_turns_and_two_flips_are_nothing(tile):
    around = tile
    for _ in range(4):
        around = rotate90(around)
    assert np.array_equal(around.values, tile.values)
    assert around.transform.almost_equals(tile.transform)
    back = flip(flip(tile, horizontal=True), horizontal=True)
    assert back.transform.almost_equals(tile.transform)


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int32", "float32"])
@pytest.mark.parametrize("fill", [0, 9, np.nan])
@pytest.mark.parametrize("codes", [[], ["SCL"], ["SCL", "QA_PIXEL"]])
def test_dropped_bands_keep_nodata_and_codes(dtype, fill, codes):
    if np.dtype(dtype).kind != "f" and fill != fill:
        pytest.skip("integers hold no NaN")
    rng = np.random.default_rng(0)
    names = ["B04", *codes, "B08", "B11"]
    values = rng.integers(1, 9, (len(names), 6, 5)).astype(dtype)
    values[:, 2, :3] = fill
    raster = GeoTensor(values, Affine.scale(10, -10), 32632, fill, {"band_names": names})
    missing = np.isnan(values) if fill != fill else values == fill
    for seed in range(8):
        made = gz.BandDropout(0.8)(raster, seed=seed).values
        after = np.isnan(made) if fill != fill else made == fill
        assert np.array_equal(after, missing)
        changed = [
            not np.array_equal(a, b, equal_nan=True) for a, b in zip(made, values, strict=True)
        ]
        assert not any(changed[names.index(code)] for code in codes)
        assert sum(changed) < len(names) - len(codes)
