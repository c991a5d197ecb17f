# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Honest validation
#
# **Question.** A model is right on two test pixels of three. Will it be in the next valley?
#
# You will learn
#
# - why a random split flatters where neighbours resemble each other, shown by a known truth;
# - folds by blocks, and a variogram that tells how large the blocks must be;
# - why chips that overlap cannot be split at random, and how they can be split;
# - that a confident model is not a right one away from home: margins, calibration, conformal sets.
#
# **Needs** no network: a landscape is simulated in the notebook, so that its truth is known; the last
# section reads a scene from a local archive, the live service or the embedded simulation.
#
# **Before this.** [Chips for machine learning](../06_ml_patches_augment.ipynb). **Time.** 25
# minutes to read, a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import matplotlib.pyplot as plt
import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from geopatcher import SpatialJitteredStride, SpatialPatcher, SpatialRectangular
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE
from geostack import NoSceneError, SourceUnavailableError, load_s2_chip
from geotoolz import SCL_CLOUDS_AND_INVALID, DNToReflectance, Entropy, Margin
from geotoolz.assess import BlockFolds, CheckedFolds, LeakError, calibration_curve
from geotoolz.assess import conformal_sets, variogram
from geotoolz.learn import SklearnOp
from geotoolz.viz import plot

# %% [markdown]
# ## A landscape whose truth is known
#
# 60 by 60 fields of 200 m, three crops. A crop has its own reflectance in three bands; each field
# differs from its crop (soil, sowing date, variety), and pixels of a field differ little. So two
# pixels of one field are nearly copies, and the next field is new.

# %%
FIELD, SIDE = 20, 60  # pixels of a field's side, fields
CROPS = {0: ("wheat", "#e69f00"), 1: ("maize", "#009e73"), 2: ("meadow", "#56b4e9")}
MEAN = np.array([[0.12, 0.20, 0.30], [0.09, 0.23, 0.36], [0.10, 0.19, 0.38]])


def landscape(seed, brightness=1.0):
    """Return reflectance (3, H, W) and crops (H, W) of a simulated landscape."""
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 3, (SIDE, SIDE))
    fields = MEAN[crops] + rng.normal(0, 0.04, (SIDE, SIDE, 3))
    large = [each.repeat(FIELD, axis=0).repeat(FIELD, axis=1) for each in (crops, fields)]
    image = brightness * (large[1] + rng.normal(0, 0.006, large[1].shape))
    return np.moveaxis(image, -1, 0).astype("float32"), large[0]


image, crops = landscape(0)
place = Affine(10, 0, 600_000, 0, -10, 5_000_000)
attrs = {"source": "simulated", "band_names": ["B04", "B03", "B08"]}
scene = GeoTensor(image, place, "EPSG:32632", np.nan, attrs)
print(scene.shape, "of which the western half is labelled")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
plot(scene[[2, 1, 0]], ax=axes[0], title="A simulated landscape: near infrared, green, red")
labels = GeoTensor(crops.astype("uint8"), place, "EPSG:32632", None, {"source": "simulated"})
plot(labels, ax=axes[1], classes=CROPS, title="Its crops")
axes[1].set_ylabel("")
plt.show()

# %% [markdown]
# ## Two scores for one model
#
# 3,000 labelled pixels in the western half train a nearest-neighbour model on the three bands. Five
# random folds judge it, then five folds of 400 m blocks. The truth is what it gets right in the
# eastern half, which it never saw.


# %%
def scores(image, crops, block=400, seed=0):
    """Return the score by random folds, by blocks, and the truth in the unseen east."""
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(0, crops.shape[0], 3000), rng.integers(0, crops.shape[1] // 2, 3000)
    features, known = image[:, rows, cols].T, crops[rows, cols]
    places = np.column_stack([10 * cols + 5, -10 * rows - 5])
    model = KNeighborsClassifier(3)
    random = cross_val_score(model, features, known, cv=KFold(5, shuffle=True, random_state=0))
    folds = BlockFolds(block, n_splits=5)
    blocked = cross_val_score(model, features, known, cv=folds, groups=places)
    east = image[:, ::7, crops.shape[1] // 2 :: 7].reshape(3, -1).T
    truth = model.fit(features, known).score(east, crops[::7, crops.shape[1] // 2 :: 7].ravel())
    return random.mean(), blocked.mean(), truth, (places, known, model)


random, blocked, truth, (places, known, model) = scores(image, crops)
print(f"random folds {random:.1%}, blocks {blocked:.1%}, truth {truth:.1%}")
assert random - truth > 0.05

# %% [markdown]
# The random folds promise what the model does not keep: each test pixel has neighbours of its own
# field among the training pixels, and the score measures whether a field is recognised again. Is
# that one lucky landscape? Ten of them:

# %%
worlds = np.array([scores(*landscape(seed), seed=seed)[:3] for seed in range(10)])
off = 100 * (worlds[:, :2] - worlds[:, 2:])
print("random folds are off by", off[:, 0].round(1), "points")
print("blocks are off by      ", off[:, 1].round(1), "points")
assert abs(off[:, 1].mean()) < 2
assert off[:, 0].mean() > 5

# %%
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, values, colour in (
    ("random folds", off[:, 0], "#d55e00"),
    ("blocks", off[:, 1], "#0072b2"),
):
    ax.plot(values, "o", color=colour, label=name)
ax.axhline(0, color="black", lw=0.8)
ax.set(title="How far scores are from the truth, ten landscapes", xlabel="landscape")
ax.set(ylabel="score less truth (points)", xticks=range(10))
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Blocks scatter around the truth, some above, some below; random folds lie far above it in all ten.
#
# ## How large must a block be?
#
# As large as neighbours resemble each other. The variogram tells: half the mean squared difference of
# pairs of pixels, by their distance. It rises as long as pairs are more alike than any two, and is
# level beyond its range.

# %%
curve = variogram(places, known == 1, max_distance=1500, lags=20)
print(f"range {curve.range:.0f} m")

sizes = [10, 25, 50, 100, 200, 400, 800]
by_size = [scores(image, crops, block)[1] for block in sizes]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
axes[0].plot(curve.distance, curve.semivariance, "o", color="0.4")
axes[0].plot(np.linspace(0, 1500), curve.model(np.linspace(0, 1500)), color="#0072b2")
axes[0].axvline(curve.range, color="0.6", ls="--")
axes[0].set(title="Variogram of 'is maize'", xlabel="distance (m)", ylabel="semivariance")
axes[1].semilogx(sizes, by_size, "o-", color="#0072b2", label="blocks of this size")
axes[1].axhline(truth, color="black", lw=0.8, label="truth")
axes[1].axhline(random, color="#d55e00", ls="--", label="random folds")
axes[1].set(title="The score by the size of blocks", xlabel="side of a block (m)")
axes[1].set_ylabel("share right")
axes[1].legend(frameon=False)
plt.show()
assert by_size[0] - truth > 0.05 > by_size[-1] - truth

# %% [markdown]
# Blocks of one pixel are a random split. From about the size of a field on the score is honest, and
# larger blocks cost nothing but a rougher balance of the folds.
#
# ## Chips
#
# Chips cut on a jittered grid overlap. Split at random, most test pixels are training pixels as well.
# `CheckedFolds` refuses such a split and says the share; `BlockFolds` takes chips as it takes
# points, and leaves out those that reach into two folds, or into a rim between them.

# %%
cutter = SpatialPatcher(SpatialRectangular(40), SpatialJitteredStride(30, jitter=0.5, seed=1))
chips = cutter.stream(scene)
try:
    list(CheckedFolds(KFold(5, shuffle=True, random_state=0)).split(chips))
except LeakError as error:
    print("refused:", error)

folds = BlockFolds(block_size=2400, n_splits=4, buffer=200)
fold = folds.fold_of(chips)
used = np.mean(fold >= 0)
print(f"{len(chips)} chips, {used:.0%} of them in one of 4 folds, 200 m apart")

# %%
fig, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
colours = np.array(["#0072b2", "#009e73", "#e69f00", "#cc79a7", "#dddddd"])
for number in (-1, 0, 1, 2, 3):
    for anchor in np.array(chips.anchors)[fold == number]:
        ax.add_patch(plt.Rectangle(anchor[::-1], 40, 40, color=colours[number], alpha=0.6, lw=0))
ax.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0), aspect="equal")
ax.set(title="Chips by fold; grey ones belong to none", xlabel="column", ylabel="row")
plt.show()

# %% [markdown]
# Between two colours lies a grey seam of chips that reach into both: the price of a clean split.
#
# ## Sure, and away from home
#
# The model gives probabilities. At home, in unseen fields of the same landscape, we can ask how sure it
# is, how often it is right, and build sets of crops that hold the true one in 90 % of the pixels.
# Then the same model goes to a landscape under haze, a quarter brighter.

# %%
sure = KNeighborsClassifier(30).fit(
    image[:, :, :600].reshape(3, -1).T[::40], crops[:, :600].ravel()[::40]
)
ask = SklearnOp(sure, method="predict_proba")
home = (image[:, ::6, 600::6], crops[::6, 600::6])
hazy = landscape(1, brightness=1.25)
away = (hazy[0][:, ::6, ::6], hazy[1][::6, ::6])
half = slice(0, home[1].shape[0] // 2), slice(home[1].shape[0] // 2, None)
calibration = ask(home[0][:, half[0]])

found = {}
for name, (bands, true) in {"home": (home[0][:, half[1]], home[1][half[1]]), "away": away}.items():
    shares = ask(bands)
    right = (shares.argmax(axis=0) == true).mean()
    sets = conformal_sets(calibration, home[1][half[0]], shares, level=0.9)
    holds = np.take_along_axis(sets, true[None], axis=0).mean()
    found[name] = (right, Margin()(shares).mean(), holds, calibration_curve(shares, true))
    print(
        f"{name}: {right:.0%} right, margin {found[name][1]:.2f}, entropy "
        f"{Entropy()(shares).mean():.2f}, sets of {sets.sum(axis=0).mean():.1f} crops hold {holds:.0%}"
    )

# %%
fig, ax = plt.subplots(figsize=(4.4, 4), layout="constrained")
ax.plot([0.3, 1], [0.3, 1], color="0.6", lw=0.8)
for name, colour in (("home", "#0072b2"), ("away", "#d55e00")):
    curve = found[name][3]
    ax.plot(
        curve.confidence, curve.accuracy, "o-", color=colour, label=f"{name}, off {curve.error:.0%}"
    )
ax.set(title="Is it as right as it is sure?", xlabel="confidence", ylabel="share right")
ax.set(xlim=(0.3, 1.02), ylim=(0, 1.02))
ax.legend(frameon=False)
plt.show()
assert abs(found["home"][2] - 0.9) < 0.05
assert found["away"][2] < 0.8
assert found["away"][1] > found["home"][1]

# %% [markdown]
# At home the sets keep their promise, though the model says more than it knows: its neighbours are
# fields that it was trained on. Away it errs more often, its sets miss a quarter of the true crops,
# and its margin is *larger* than at home: it does not know that it is away. Nothing made of a model's
# own probabilities can tell; labels from the new place can.
#
# ## On real pixels
#
# South Tyrol, 12 June 2022: vegetation or not, as SCL says, from four bands and the pixel's
# coordinates. Coordinates are a popular feature, and the surest way to remember a place. The western
# half is labelled, the eastern half is the truth.

# %%
try:
    where = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
    dates = "2022-06-01/2022-06-30"
    real = load_s2_chip(bands=("B02", "B03", "B04", "B08", "SCL"), date_range=dates, **where)
    print(f"source: {real.attrs['source']} ({real.attrs['item_id']})")
except (NoSceneError, SourceUnavailableError) as error:
    real = None
    print("skipped, no source has the South Tyrol scene:", type(error).__name__)

# %%
if real is not None:
    scl, bands = real.values[4], DNToReflectance()(real).values[:4]
    usable = ~np.isin(scl, SCL_CLOUDS_AND_INVALID) & np.isfinite(bands).all(axis=0)
    rows, cols = np.nonzero(usable)
    chosen = np.random.default_rng(0).permutation(len(rows))[:12_000]
    rows, cols = rows[chosen], cols[chosen]
    colours, where_it_is = bands[:, rows, cols].T, np.column_stack([rows, cols]) / 200
    green, west = scl[rows, cols] == 4, cols < real.shape[2] // 2
    places = np.column_stack([10 * cols, -10 * rows])[west]

    results = {}
    for name, x in {"with": np.hstack([colours, where_it_is]), "without": colours}.items():
        model, mine = KNeighborsClassifier(5), (x[west], green[west])
        random = cross_val_score(model, *mine, cv=KFold(5, shuffle=True, random_state=0)).mean()
        blocks = cross_val_score(model, *mine, cv=BlockFolds(1000, 5), groups=places).mean()
        east = model.fit(*mine).score(x[~west], green[~west])
        results[name] = random, blocks, east
        print(f"{name} coordinates: random {random:.1%}, blocks {blocks:.1%}, east {east:.1%}")
    random, blocks, east = results["with"]
    assert random > blocks > east

# %% [markdown]
# With coordinates the model looks best where it was made, and is worst in the east. The random split
# sees nothing of it, the blocks something: a block has neighbours on all sides, and the east has none,
# so a score tells about places like those that were left out, and no further. Where a map is to reach
# beyond its labels, leave out a whole side, as here. Without coordinates all three agree within a few
# points, and the model is right far more often.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-fold-finer
# Make folds of `chips` in blocks of 1,200 m with a rim of 100 m, as `finer`, and put the share of the chips
# that they use into `share`.
#
# ```python
# finer = ...
# share = ...
#
# # the check
# assert len(list(CheckedFolds(finer, buffer=99).split(chips))) == 4
# assert 0 < share < used
# assert np.isclose(share, 1 - np.mean(finer.fold_of(chips) == -1))
# ```
# :::
#
# :::{solution} ex-fold-finer
# :class: dropdown
#
# ```python
# finer = BlockFolds(block_size=1200, n_splits=4, buffer=100)
# share = np.mean(finer.fold_of(chips) >= 0)
# ```
#
# The smaller the blocks, the more chips reach into two of them.
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-fold-sets
# Sets that were calibrated at home miss a quarter of the crops away. Calibrate them with the upper 100
# rows of `away`, and make the `sets` of the rows below, at a level of 0.9.
#
# ```python
# sets = ...
#
# # the check
# lower = away[1][100:]
# holds = np.take_along_axis(sets, lower[None], axis=0).mean()
# assert sets.shape == (3, *lower.shape)
# assert holds > 0.88
# ```
# :::
#
# :::{solution} ex-fold-sets
# :class: dropdown
#
# ```python
# upper, lower = ask(away[0][:, :100]), ask(away[0][:, 100:])
# sets = conformal_sets(upper, away[1][:100], lower, level=0.9)
# print(f"sets of {sets.sum(axis=0).mean():.1f} crops")
# ```
#
# With labels from the place the sets keep their promise, and show the price. In more than one pixel of
# ten the model gives the true crop no chance at all, so only sets of all three crops will do. They say
# rightly that the model is of no use there.
# :::

# %% [markdown]
# ## Key points
#
# | question | write |
# |---|---|
# | how good is a model elsewhere? | `cross_val_score(model, X, y, cv=BlockFolds(400), groups=places)` |
# | how large a block? | `variogram(places, values).range`, or more |
# | chips | `BlockFolds(...).split(patcher.stream(scene))`, `CheckedFolds(splitter)` |
# | time, place and time | `TimeFolds(gap="30D")`, `PlaceTimeFolds(BlockFolds(...), TimeFolds(...))` |
# | doubt, pixel by pixel | `Margin`, `Entropy`, `conformal_sets`, `calibration_curve` |
#
# **Where next.** [Area and accuracy](01_area_and_accuracy.ipynb) judges the map that the model made;
# [chips for machine learning](../06_ml_patches_augment.ipynb) trains, validates and tests by blocks.
#
# **References**
#
# - Roberts, D. R. et al. (2017), Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure, *Ecography* 40, 913-929, [doi:10.1111/ecog.02881](https://doi.org/10.1111/ecog.02881)
# - Meyer, H. et al. (2018), Improving performance of spatio-temporal machine learning models, *Environmental Modelling & Software* 101, 1-9, [doi:10.1016/j.envsoft.2017.12.001](https://doi.org/10.1016/j.envsoft.2017.12.001)
# - Sadinle, M., Lei, J. and Wasserman, L. (2019), Least ambiguous set-valued classifiers with bounded error levels, *Journal of the American Statistical Association* 114, 223-234, [doi:10.1080/01621459.2017.1395341](https://doi.org/10.1080/01621459.2017.1395341)
