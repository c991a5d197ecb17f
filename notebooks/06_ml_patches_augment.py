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
# # Chips for machine learning: sample, augment, train, predict
#
# **Question.** A classifier learns from small chips and has to map a whole scene. How does one cut
# the chips, judge the model without fooling oneself, and get a map that does not depend on how the
# scene was cut?
#
# You will learn
#
# - training chips from a jittered grid, with image and label cut alike;
# - augmentation: reproducible by its seed, labels moved along, every pixel still at its place on
#   the map;
# - a scikit-learn classifier, trained on one area and judged on another, class by class, against a
#   constant and a rule, over blocks for training, validation and test;
# - tiled inference with `ModelOp` and `SpatialHardVote`, for a model of single pixels and for one that
#   looks around, and `SpatialSoftVote` for a map of doubt;
# - what that doubt is worth away from home, where a model can be sure and wrong.
#
# **Needs** no network: pixels come from a local archive, the live service or the embedded
# simulation, whichever is there; the line printed below says which.
#
# **Before this.** [Patching](05_patching_grids.ipynb); scikit-learn's `fit` and `predict`.
# **Time.** 40 minutes to read, a minute to run. Terms are explained where they first occur, and in
# the [glossary](../docs/reference/glossary.md).

# %%
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from georeader.geotensor import GeoTensor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# %%
from geopatcher import CoverageWarning, SpatialBoxcar, SpatialHann, SpatialHardVote
from geopatcher import SpatialJitteredStride, SpatialPatcher, SpatialRectangular
from geopatcher import SpatialRegularStride, SpatialSoftVote, SpatialTrim, draw_chips
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, NoSceneError
from geostack import SourceUnavailableError, load_s2_chip
from geotoolz import ApplyToChips, DNToReflectance, FocalMean, GridSampler, Lambda, Margin
from geotoolz import ModelOp, Sequential, Stitch
from geotoolz import NDVI, NDWI, SCL_CLOUDS_AND_INVALID
from geotoolz import augment as aug
from geotoolz.assess import BlockFolds, check_split, confusion
from geotoolz.learn import SklearnOp, fit_pixels, predict_pixels
from geotoolz.viz import ToRGB, plot

# %% [markdown]
# ## Features, and a label made by a rule
#
# The features are the four 10 m bands as reflectance. The label is made from SCL, the scene
# classification of the Level 2A processor: water, vegetation, and all other ground; clouds and
# their shadows get -1 and teach nothing. The processor decides at 20 m, with thresholds on ratios and
# on bands in the short-wave infrared; the embedded simulation, at 20 m too, calls an NDVI above 0.42
# vegetation and knows its water. Either way the model has to find at 10 m, from four numbers a pixel,
# what somebody else's rule would say.

# %%
CLASSES = {0: ("water", "#0072b2"), 1: ("vegetation", "#009e73"), 2: ("other", "#e69f00")}
NAMES = [name for name, _ in CLASSES.values()]

RULE = np.full(12, 2, np.int8)  # SCL id -> class
RULE[6], RULE[4] = 0, 1
RULE[list(SCL_CLOUDS_AND_INVALID)] = -1


def load_pair(**where):
    """Return reflectance (4, H, W) and its label (H, W): 0, 1, 2, or -1 for no label."""
    image = DNToReflectance()(load_s2_chip(**where))
    scl = load_s2_chip(bands=("B04", "SCL"), **where)
    attrs = {"source": scl.attrs["source"]}
    label = GeoTensor(RULE[scl.values[1]], scl.transform, scl.crs, -1, attrs)
    return image, label


scene, truth = load_pair()
source = scene.attrs["source"]
print(f"source: {source} ({scene.attrs['item_id']})")
print("image:", scene.shape, scene.dtype, "| label:", truth.shape, truth.dtype)

# %%
for value, (name, _) in CLASSES.items():
    print(f"{name:11} {np.mean(truth.values == value):7.2%}")
print(f"{'no label':11} {np.mean(truth.values < 0):7.2%}")

rgb = ToRGB(bands=("B04", "B03", "B02"), limits=(0, 0.22))
fig, axes = plt.subplots(1, 2, figsize=(9.4, 8.4), layout="constrained")
plot(rgb(scene), ax=axes[0], title="Features: four bands, three drawn")
plot(truth, ax=axes[1], classes=CLASSES, title="Label: three classes from SCL")
axes[1].set_ylabel("")
plt.show()

# %% [markdown]
# Two thirds of the scene are lake. A model that answers "water" everywhere is right two times out
# of three, so overall accuracy flatters; below we look at each class. Grey spots in the label are
# clouds and shadows.
#
# ## Split by area first
#
# Neighbouring pixels are nearly copies of each other. If test pixels are drawn at random, each has
# a twin among the training pixels, and the score measures memory. So the north trains, the south
# tests, and 100 rows (1 km) between them do neither.

# %%
NORTH, SOUTH = slice(0, 1917), slice(2017, None)

cutter = SpatialPatcher(
    geometry=SpatialRectangular(size=128),
    sampler=SpatialJitteredStride(step=128, jitter=0.5, seed=6),
    window=SpatialBoxcar(),
    aggregation=SpatialHardVote(n_classes=3),
)
images = list(cutter.split(scene[:, NORTH]))
labels = [patch.data for patch in cutter.split(truth[NORTH])]
print(len(images), "chips of", images[0].data.shape, "with labels of", labels[0].shape)

# %% [markdown]
# `SpatialJitteredStride` moves each anchor of a regular grid by up to half a step. Chips spread
# evenly over the area, but no class is always cut at the same phase of a field or street pattern.
# The seed fixes the anchors for ever, so image and label are cut by two calls of one patcher.

# %%
fig, ax = plt.subplots(figsize=(4.8, 8.4), layout="constrained")
plot(rgb(scene), ax=ax, title=f"{len(images)} jittered training chips")
draw_chips(ax, images, transform=scene.transform, scale=1e-3)
y_gap = [(scene.transform @ (0, row))[1] / 1000 for row in (NORTH.stop, SOUTH.start)]
ax.axhspan(*y_gap, color="white", alpha=0.5, lw=0)
middle = sum(ax.get_xlim()) / 2
style = {"ha": "center", "weight": "bold", "bbox": {"facecolor": "white", "alpha": 0.8, "lw": 0}}
ax.text(middle, y_gap[0] + 0.4, "trains", va="bottom", **style)
ax.text(middle, y_gap[1] - 0.4, "tests", va="top", **style)
plt.show()

# %% [markdown]
# Jittered chips overlap. How bad would it be to put a random quarter of these chips aside as a test
# set? Count the pixels:

# %%
order = np.random.default_rng(0).permutation(len(images))
seen = {"train": np.zeros(truth[NORTH].shape, bool), "test": np.zeros(truth[NORTH].shape, bool)}
for position, number in enumerate(order):
    part = "test" if position < len(images) // 4 else "train"
    seen[part][images[number].indices.toslices()] = True
leak = (seen["train"] & seen["test"]).sum() / seen["test"].sum()
print(f"test pixels that are also training pixels, chips split at random: {leak:.0%}")
assert leak > 0.25

last = max(patch.indices.row_off + patch.indices.height for patch in images)
print(f"split by area, the nearest test pixel is {(SOUTH.start - last) * 10} m away")

# %% [markdown]
# ## Augmentation
#
# An augmentation is an operator that draws random numbers. Here is one chip under nine of them, all
# drawn with the same stretch. `CutMix` is the only one that needs a batch: it pastes a piece of
# another chip, with its label.

# %%
balance = [min(np.mean(label.values == value) for value in CLASSES) for label in labels]
pick = int(np.argmax(balance))
chip, chip_label = images[pick].data, labels[pick]

ops = {
    "RandomFlip": aug.RandomFlip(p_horizontal=1, p_vertical=0),
    "RandomRotate90": aug.RandomRotate90(p=1),
    "RandomCrop": aug.RandomCrop(64),
    "BrightnessJitter": aug.BrightnessJitter((0.6, 1.4)),
    "ContrastJitter": aug.ContrastJitter((0.4, 0.7)),
    "GaussianNoise": aug.GaussianNoise(0.02),
    "BandDropout": aug.BandDropout(p=0.4),
    "SimulatedClouds": aug.SimulatedClouds(cover=(0.3, 0.3)),
}
gallery = {"as it was cut": chip} | {name: op(chip, seed=48) for name, op in ops.items()}
other = images[int(np.argmin(balance))].data
gallery["CutMix"] = aug.CutMix()(np.stack([chip.values, other.values]), seed=48)[0]

# %%
fig, axes = plt.subplots(2, 5, figsize=(11, 5.2), layout="constrained")
natural = ToRGB(bands=(2, 1, 0), limits=(0, 0.22))
for ax, (name, picture) in zip(axes.flat, gallery.items(), strict=True):
    plot(natural(np.asarray(picture)), ax=ax, title=name, axes="none")
fig.suptitle(f"One training chip ({source}), 1.28 km wide, and nine ways to change it")
fig.get_layout_engine().set(h_pad=0.12)
plt.show()

# %% [markdown]
# Flips, turns and crops move pixels; the others change values and leave every pixel where it is.
# (Pictures are drawn as arrays, in row and column order. On a map a flipped chip would look as
# before, because its transform is flipped too.)
#
# ### Same seed, same result
#
# In this process, in another one, and whatever was drawn before. With `(epoch, chip number)` as
# the seed a training run can be repeated exactly.

# %%
augment = aug.Compose(
    [aug.RandomFlip(), aug.RandomRotate90(), aug.BrightnessJitter((0.8, 1.2), per_band=False)]
)
here = augment(chip, seed=(0, pick)).values

with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
    elsewhere = pool.submit(augment, chip.values, seed=(0, pick)).result()
print(augment)
print("the same in another process:", np.array_equal(here, elsewhere))

# %% [markdown]
# ### Every pixel keeps its place on the map
#
# A point of the map is looked up before and after, in the image and in the label that rides along.
# Twenty seeds, fifty points each; a point that a crop cut away is left out.


# %%
def value_at(raster, x, y):
    """Return the value at a map point, None outside the raster."""
    col, row = ~raster.transform @ (x, y)
    height, width = raster.shape[-2:]
    inside = 0 <= row < height and 0 <= col < width
    return raster.values[..., int(row), int(col)] if inside else None


moves = aug.Compose([aug.RandomFlip(), aug.RandomRotate90(), aug.RandomCrop((100, 80))])
points = np.random.default_rng(1).integers(0, 128, (50, 2)) + 0.5  # pixel centres (col, row)
compared = 0
for seed in range(20):
    moved, moved_label = moves(chip, chip_label, seed=seed)
    for x, y in (chip.transform @ tuple(point) for point in points):
        if value_at(moved, x, y) is not None:
            assert np.array_equal(value_at(moved, x, y), value_at(chip, x, y))
            assert value_at(moved_label, x, y) == value_at(chip_label, x, y)
            compared += 1
print(compared, "points looked up, all as before")

# %%
turned, turned_label = augment(chip, chip_label, seed=3)
fig, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
for pair, (image, label), word in (
    (axes[:2], (chip, chip_label), "before"),
    (axes[2:], (turned, turned_label), "after"),
):
    plot(natural(image.values), ax=pair[0], title=f"image {word}", axes="none")
    plot(
        label.values, ax=pair[1], classes=CLASSES, title=f"label {word}", axes="none", legend=False
    )
fig.suptitle(f"Image and label under the same draw ({source})")
plt.show()

# %% [markdown]
# Blue is water, green vegetation, orange other ground: the label has moved as the image did, and
# only the image has changed in brightness.
#
# ## Train, with and without
#
# The model is a logistic regression on the four bands, 4,000 pixels of each class, so that the lake
# does not outvote the shore. It is trained twice: on the chips as they were cut, and on the
# augmented ones. Both are asked about the south, as it is and under a haze that is added here: 10 %
# less light from the ground, and scattered light on top, most of it blue. Beside them stands a rule of
# two thresholds (NDWI above 0 is water, NDVI above 0.5 vegetation) that has learned nothing.

# %%
plain = [patch.data for patch in images]
pairs = [
    augment(image, label, seed=(0, number))
    for number, (image, label) in enumerate(zip(plain, labels, strict=True))
]
models = {}
for name, (x, y) in {"as cut": (plain, labels), "augmented": zip(*pairs, strict=True)}.items():
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    models[name] = fit_pixels(estimator, x, y, per_class=4000, seed=0)

test, test_truth = scene.values[:, SOUTH][:, ::4, ::4], truth.values[SOUTH][::4, ::4]
scattered = np.array([0.03, 0.02, 0.012, 0.004], np.float32).reshape(4, 1, 1)
labelled = test_truth >= 0
scores = {}
for name, model in models.items():
    for sky, bands in {"clear": test, "hazy": 0.9 * test + scattered}.items():
        right = predict_pixels(model, bands) == test_truth
        scores[name, sky] = right[labelled].mean()
        print(f"{name:10} {sky:6} {scores[name, sky]:.1%} of the southern pixels right")
for sky, bands in {"clear": test, "hazy": 0.9 * test + scattered}.items():
    said = np.where(NDWI(1, 3)(bands) > 0, 0, np.where(NDVI(2, 3)(bands) > 0.5, 1, 2))
    scores["rule", sky] = (said == test_truth)[labelled].mean()
    print(f"two thresholds {sky:6} {scores['rule', sky]:.1%}")

# %% [markdown]
# The two models are practically the same, and that is a result; and neither is a good one yet, since two
# thresholds do about as well on this score. A model that sees one pixel at a time can
# learn nothing from flips and turns, and a linear one with thousands of pixels little from
# brightness. Augmentation pays for models that look at shapes and have few chips; the way to know
# is this table, on an area the model has not seen.

# %% [markdown]
# ## Better than what? Blocks, baselines, seeds
#
# One split is one number. Here blocks of 4 km are shared out anew for each of five seeds: chips of three
# folds train, those of a fourth choose how strongly the model is held back (`C`), those of the fifth are
# looked at once, at the end. Chips of two folds never share a pixel, nor a rim of 500 m. Beside the
# model stand two that learn nothing: the most frequent class of the training blocks, and a rule
# (NDWI above 0 is water, NDVI above 0.5 vegetation). *Precision* is the share of what is called a
# class that is of it, *recall* the share of a class that is found, and *F1* their harmonic mean.

# %%
stream, marks = cutter.stream(scene), cutter.stream(truth)


def parts(seed):
    """Return chips and labels for training, validation and test, from blocks 500 m apart."""
    fold = BlockFolds(block_size=4000, n_splits=5, buffer=500, seed=seed).fold_of(stream)
    check_split(stream, np.flatnonzero(np.isin(fold, range(4))), np.flatnonzero(fold == 4), 499)
    chosen = {"train": np.isin(fold, range(3)), "validation": fold == 3, "test": fold == 4}
    found = {}
    for name, picked in chosen.items():
        numbers = np.flatnonzero(picked)
        chips = np.concatenate([stream[i].data.values[:, ::4, ::4] for i in numbers], axis=2)
        found[name] = (
            chips,
            np.concatenate([marks[i].data.values[::4, ::4] for i in numbers], axis=1),
        )
    return found


# %%
def judge(said, true):
    """Return precision, recall and F1 of each class where there is a label."""
    matrix = confusion(said[true >= 0], true[true >= 0], classes=[0, 1, 2])
    return np.stack([matrix.users, matrix.producers, matrix.f1])


def fitted(chips, labels, c):
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
    return fit_pixels(estimator, chips, labels, per_class=2000, seed=0)


by_seed = {"most frequent": [], "rule": [], "model": []}
for seed in range(5):
    part = parts(seed)
    tried = [fitted(*part["train"], c) for c in (0.01, 1.0, 100.0)]
    chips, true = part["validation"]
    best = max(tried, key=lambda m: np.nanmean(judge(predict_pixels(m, chips), true)[2]))
    chips, true = part["test"]
    labels = part["train"][1]
    wet, green = NDWI(1, 3)(chips) > 0, NDVI(2, 3)(chips) > 0.5
    constant = np.full(true.shape, np.bincount(labels[labels >= 0]).argmax())
    by_seed["most frequent"].append(judge(constant, true))
    by_seed["rule"].append(judge(np.where(wet, 0, np.where(green, 1, 2)), true))
    by_seed["model"].append(judge(predict_pixels(best, chips), true))

# %%
rows = {}
for name, found in by_seed.items():
    values = np.nan_to_num(found)  # a class that is never said has no precision
    for number, word in enumerate(NAMES):
        mean, spread = (
            100 * values[:, :, number].mean(axis=0),
            100 * values[:, :, number].std(axis=0),
        )
        rows[name, word] = [f"{m:.1f} +- {s:.1f}" for m, s in zip(mean, spread, strict=True)]
print(pd.DataFrame(rows, ["precision", "recall", "F1"]).T)

f1 = {name: np.nan_to_num(found)[:, 2].mean(axis=0) for name, found in by_seed.items()}
assert (f1["model"] > f1["most frequent"]).all()

# %% [markdown]
# The numbers are means and standard deviations over five seeds, in per cent. "Water everywhere" is right
# on most pixels and useless: two of its three F1 are 0. The rule is the one to beat. Rule and model are
# asked about the same blocks, so what tells is the lead of the model in each draw, not the spread of
# either:

# %%
lead = 100 * (np.nan_to_num(by_seed["model"]) - np.nan_to_num(by_seed["rule"]))[:, 2, 2]
reach = 2.78 * lead.std(ddof=1) / np.sqrt(len(lead))  # 2.78: Student's, 95 %, five draws
ends = lead.mean() - reach, lead.mean() + reach
print("F1 of other ground, model less rule, in points:", lead.round(1))
print(f"mean lead {lead.mean():.1f}, 95 % interval {ends[0]:.1f} to {ends[1]:.1f}")

# %% [markdown]
# On other ground the model is ahead in four draws of five, by more in some than in others, and the
# interval of the mean lead holds 0: five draws of blocks do not show that it is better.

# %% [markdown]
# ## The map, chip by chip
#
# `ModelOp(model, method="predict")` makes an operator of anything that has a method for arrays.
# scikit-learn wants a table with one row a pixel, so a small class stands between. A pixel without
# data gets NaN, which does not vote.


# %%
class PixelModel:
    """A fitted estimator that is asked about images: (C, H, W) in, labels (H, W) out."""

    def __init__(self, estimator):
        self.estimator = estimator

    def predict(self, image):
        """Return the class of each pixel as float32, NaN where a band has no data."""
        classes = predict_pixels(self.estimator, image, nodata=-1)
        return np.where(classes < 0, np.nan, classes).astype(np.float32)


model = models["augmented"]
classify = ModelOp(PixelModel(model), method="predict")
voting = SpatialPatcher(
    geometry=SpatialRectangular(256, boundary="shift"),
    sampler=SpatialRegularStride(224),
    window=SpatialBoxcar(),
    aggregation=SpatialHardVote(n_classes=3),
)
tiled = Sequential([GridSampler(voting), ApplyToChips(classify), Stitch()])

# %%
whole = classify(scene)
stitched = tiled(scene)
agreement = np.mean(stitched.values == whole.values)
print(f"{voting.n_anchors(scene)} chips -> {stitched.shape} {stitched.dtype}")
print(f"tiled and whole-scene inference agree on {agreement:.0%} of the pixels")

# %% [markdown]
# Every pixel, to the last row and column: `boundary="shift"` leaves none out. But the agreement proves
# no more than that. This model sees one pixel at a time, so no way of cutting can change its answer.
#
# A model with *context* is the harder test. Here the same classifier is asked about means over 9 x 9
# pixels, so that each answer depends on pixels up to 4 away. Near a chip's edge some of those are
# missing, and chips disagree there. Votes alone do not repair that; leaving out a margin of 4 pixels of
# each chip does. ([Networks](patching/07_networks.ipynb) does this with a convolutional one.)

# %%
context = Lambda(FocalMean(9) | classify)  # Lambda hides how far it looks
ways = {
    "all votes": (224, SpatialBoxcar()),
    "margin of 4 left out": (248, SpatialTrim(4)),
}
southern = scene[:, 2935:]
in_one_piece, disagree = context(southern).values, {}
for name, (step, window) in ways.items():
    cut = SpatialPatcher(voting.geometry, SpatialRegularStride(step), window, voting.aggregation)
    made = Sequential([GridSampler(cut), ApplyToChips(context), Stitch()])(southern)
    disagree[name] = int((made.values != in_one_piece).sum())
    print(f"{name:21} {disagree[name]:6} of {made.size} pixels differ from the map in one piece")
assert disagree["all votes"] > 0 == disagree["margin of 4 left out"]

# %% [markdown]
# ### What the model gets wrong
#
# Only the south counts. Each row of the matrix is one true class and adds up to 100 %.


# %%
def draw_confusion(ax, true, predicted, title):
    """Draw which share of each true class was given which label; return the shares (3, 3)."""
    used = (true >= 0) & (predicted < 3)
    shares = confusion_matrix(true[used], predicted[used], labels=[0, 1, 2], normalize="true")
    image = ax.imshow(100 * shares, cmap="cividis", vmin=0, vmax=100)
    for (row, col), share in np.ndenumerate(shares):
        colour = "black" if share > 0.5 else "white"
        ax.text(col, row, f"{share:.1%}", ha="center", va="center", color=colour)
    ax.set(title=title, xlabel="model says", ylabel="SCL says")
    ax.set(xticks=range(3), yticks=range(3), xticklabels=NAMES, yticklabels=NAMES)
    ax.figure.colorbar(image, ax=ax, label="share of the true class (%)", shrink=0.8)
    return shares


fig, axes = plt.subplots(1, 2, figsize=(10, 4.8), width_ratios=(1, 1.2), layout="constrained")
title = "The south, as the model sees it"
plot(stitched[SOUTH], ax=axes[0], classes=CLASSES, title=title, legend=False)
title = f"Held-out south ({source})"
shares = draw_confusion(axes[1], truth.values[SOUTH], stitched.values[SOUTH], title)
plt.show()

# %% [markdown]
# Water is easy. What costs accuracy is the line between thin vegetation and bare ground: the rule
# draws it at 20 m with a ratio, the model at 10 m with a plane through four bands. Clouds have no
# label, so what the model makes of them ("other") is not judged.
#
# ## How sure is it?
#
# `SpatialSoftVote` averages class probabilities, weighted by the window, instead of counting
# labels. `SklearnOp` asks the estimator for them pixel by pixel. `Margin` is the best probability
# less the second best: 1 is certain, 0 is a coin toss.


# %%
soft = SpatialPatcher(voting.geometry, voting.sampler, SpatialHann(), SpatialSoftVote(n_classes=3))
ask = SklearnOp(model, method="predict_proba")
probabilities = Sequential([GridSampler(soft), ApplyToChips(ask), Stitch()])(scene)
doubt = Margin()(probabilities)

print("probabilities:", probabilities.shape, probabilities.dtype)
same = probabilities.values.argmax(axis=0) == stitched.values
print(f"largest mean probability = most votes: {same.mean():.4%} of the pixels")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.4, 8.4), layout="constrained")
plot(stitched, ax=axes[0], classes=CLASSES, title="Most votes", legend=False)
label = "margin (0 a toss-up, 1 certain)"
plot(doubt, ax=axes[1], title="Margin", label=label, cmap="magma", vmin=0, vmax=1)
axes[1].set_ylabel("")
plt.show()

# %% [markdown]
# The lake is certain. Doubt sits where one class turns into another, along the shore and through
# thin forest. Does the doubt tell where the model is wrong? In the south we can ask:

# %%
used = truth.values[SOUTH] >= 0
wrong = (stitched.values[SOUTH] != truth.values[SOUTH])[used]
unsure = doubt.values[SOUTH][used]
edges = np.linspace(0, 1, 11)
pixels, errors = np.histogram(unsure, edges)[0], np.histogram(unsure[wrong], edges)[0]
rate = 100 * errors / np.maximum(pixels, 1)

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.bar(edges[:-1], rate, width=0.09, align="edge", color="tab:blue")
ax.set(title=f"The model errs where it doubts (held-out south, {source})")
ax.set(xlabel="margin", ylabel="wrong pixels (%)", xticks=edges)
plt.show()

few = unsure < 0.5
print(f"margin under 0.5: {few.mean():.1%} of the pixels, {few[wrong].mean():.0%} of the errors")
assert rate[0] > 3 * rate[-1]

# %% [markdown]
# At home, then, the margin map is a list of where to look first. It is the model's own opinion, and
# holds where pixels are like those it learned from. The next section takes it away from home.
#
# ## The same on a real scene
#
# Bolzano in South Tyrol, Sentinel-2 on 12 June 2022: a city, two rivers, orchards and forest. The
# model comes from Lake Tahoe (or from its simulation) and has seen none of it. The cells are
# skipped, and say so, when no source holds that scene.

# %%
WHERE = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
try:
    tyrol, tyrol_truth = load_pair(date_range="2022-06-01/2022-06-30", **WHERE)
    print(f"source: {tyrol.attrs['source']} ({tyrol.attrs['item_id']}), {tyrol.shape}")
except (NoSceneError, SourceUnavailableError) as error:
    tyrol = None
    print("skipped, no source has the South Tyrol scene:", type(error).__name__)

# %%
WEST, EAST = slice(0, 410), slice(510, None)  # columns: train, test, 1 km between


def map_tyrol(estimator):
    """Return the map of Bolzano, made chip by chip."""
    operator = ModelOp(PixelModel(estimator), method="predict")
    with warnings.catch_warnings():  # a few dark pixels hold no data, so none votes there
        warnings.simplefilter("ignore", CoverageWarning)
        mapped = Sequential([GridSampler(voting), ApplyToChips(operator), Stitch()])(tyrol)
    return mapped


# %%
if tyrol is not None:
    fresh = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    fit_pixels(fresh, tyrol[:, :, WEST], tyrol_truth[:, WEST], per_class=800, seed=0)
    maps = {"Trained at Tahoe": map_tyrol(model), "Trained in the west": map_tyrol(fresh)}
    for name, mapped in maps.items():
        true, said = tyrol_truth.values[:, EAST], mapped.values[:, EAST]
        used = (true >= 0) & (said < 3)
        right = np.mean(true[used] == said[used])
        print(f"{name}: {right:.1%} of the eastern pixels right")

# %%
if tyrol is not None:
    fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    water = []
    for ax, (name, mapped) in zip(axes, maps.items(), strict=True):
        true, said = tyrol_truth.values[:, EAST], mapped.values[:, EAST]
        title = f"{name}, tested in the east"
        water.append(draw_confusion(ax, true, said, title)[0, 0])
    axes[1].set_ylabel("")
    plt.show()

# %% [markdown]
# Both models are right on more than nine pixels in ten, and the first finds hardly any river. Water
# is a third of a percent of this scene, so overall accuracy does not notice. Does the first model at
# least doubt where it is wrong?

# %%
if tyrol is not None:
    sure = Margin()(ask(tyrol)).values
    true, said = tyrol_truth.values, maps["Trained at Tahoe"].values
    missed = (true == 0) & (said != 0) & np.isfinite(sure)
    print(f"median margin on true water: {np.median(sure[(true == 0) & np.isfinite(sure)]):.3f}")
    print(f"water it missed with a margin above 0.9: {np.mean(sure[missed] > 0.9):.0%}")
    assert np.mean(sure[missed] > 0.9) > 0.5 or source != "simulated"

# %% [markdown]
# It is sure and wrong. A margin compares classes that the model knows; it cannot say that a pixel is
# like nothing it has seen. So doubt is no test of a model in a new place; labels from there are. Why
# does it fail?

# %%
if tyrol is not None:
    lake = np.median(scene.values[:, truth.values == 0], axis=1)
    river = np.median(tyrol.values[:, tyrol_truth.values == 0], axis=1)
    for name, a, b in zip(("B02", "B03", "B04", "B08"), lake, river, strict=True):
        print(f"median reflectance of water in {name}: training lake {a:.3f}, rivers {b:.3f}")

# %% [markdown]
# The water it learned from is deep, clear and dark; rivers are bright in every band, and their
# pixels touch their banks. Where the training lake is the simulated one, the gap between simulation and
# nature comes on top. The second model had at most eight hundred pixels of each class from the western
# part of the same scene. How much of the river does it bring back, and what is the price?

# %%
if tyrol is not None:
    water_scores = {}
    for name, mapped in maps.items():
        true, said = tyrol_truth.values[:, EAST], mapped.values[:, EAST]
        called, is_water = (said == 0) & (true >= 0), true == 0
        recall = np.mean(called[is_water])
        precision = np.mean(is_water[called]) if called.any() else np.nan
        water_scores[name] = recall, precision
        print(
            f"{name:20} {called.sum():5} pixels called water, {is_water.sum()} are; "
            f"found {recall:.0%}, right {precision:.0%}"
        )
    assert water_scores["Trained in the west"][0] > 0.5 or source != "simulated"

# %% [markdown]
# Most of the river comes back, and most of what is called water is none. The training set held classes
# in nearly equal numbers, so the model takes water for common, where it is a third of a percent. A few
# labels from the place mend what the model could not see; they do not make the map good. For that it
# needs labels of what water is mistaken for, and classes in the numbers in which they occur.

# %%
if tyrol is not None:
    fig, axes = plt.subplots(1, 3, figsize=(12.4, 3.7), layout="constrained")
    plot(rgb(tyrol), ax=axes[0], title="Bolzano, true colour")
    for ax, (name, mapped) in zip(axes[1:], maps.items(), strict=True):
        plot(mapped, ax=ax, classes=CLASSES, title=name, legend=ax is axes[-1])
        ax.set_ylabel("")
    fig.supxlabel("contains modified Copernicus Sentinel data 2022", size=8)
    plt.show()

# %% [markdown]
# The rivers appear in the right map only, as thin blue lines through the valley floor, with blue specks
# around them that are no water.

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-06-precision
# Of the southern pixels that the map `stitched` calls "other" (class 2) and that have a label, which
# share is labelled so?
#
# ```python
# precision = ...
#
# # the check
# from sklearn.metrics import precision_score
#
# says, is_so = stitched.values[SOUTH].ravel(), truth.values[SOUTH].ravel()
# expected = precision_score(is_so[is_so >= 0], says[is_so >= 0], labels=[2], average=None)[0]
# assert np.isclose(precision, expected)
# ```
# :::
#
# :::{solution} ex-06-precision
# :class: dropdown
#
# ```python
# true, said = truth.values[SOUTH], stitched.values[SOUTH]
# precision = np.mean(true[(true >= 0) & (said == 2)] == 2)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-06-flip
# Turn `chip` and its label left for right, by one call of an augmentation.
#
# ```python
# flipped, flipped_label = ...
#
# # the check
# assert np.array_equal(flipped.values, chip.values[..., ::-1])
# assert np.array_equal(flipped_label.values, chip_label.values[..., ::-1])
# ```
# :::
#
# :::{solution} ex-06-flip
# :class: dropdown
#
# ```python
# flip = aug.RandomFlip(p_horizontal=1, p_vertical=0)
# flipped, flipped_label = flip(chip, chip_label, seed=0)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | step | write | what to hold on to |
# |---|---|---|
# | training chips | `SpatialJitteredStride(step, jitter, seed)` | one seed cuts image and label alike |
# | augmentation | `augment(chip, label, seed=(epoch, number))` | same seed, same result, anywhere |
# | training | `fit_pixels(estimator, chips, labels, per_class=...)` | split by area, not by pixel |
# | judgement | `confusion`, blocks by `BlockFolds`, baselines | accuracy hides small classes |
# | labels, tiled | `ModelOp(model, method="predict")`, `SpatialHardVote(3)` | `boundary="shift"`; with context, `SpatialTrim` |
# | doubt | `SklearnOp(..., method="predict_proba")`, `SpatialSoftVote(3)` | of use at home, not in a new place |
#
# **Key points**
#
# - Split by area; judge each class; put a constant and a rule beside the model.
# - That a map does not depend on its tiling is a result only for a model that looks around.
# - A margin tells where to look at home. In a new place a model can be sure and wrong.
# - Report precision beside recall: most of a river found, and most of what was found no river.
#
# **References**
#
# - Roberts, D. R. et al. (2017), *Ecography* 40, 913-929, [doi:10.1111/ecog.02881](https://doi.org/10.1111/ecog.02881): validation by blocks
# - Shorten, C. and Khoshgoftaar, T. M. (2019), *Journal of Big Data* 6, 60, [doi:10.1186/s40537-019-0197-0](https://doi.org/10.1186/s40537-019-0197-0): augmentation
# - Guo, C. et al. (2017), *On Calibration of Modern Neural Networks*, [doi:10.48550/arXiv.1706.04599](https://doi.org/10.48550/arXiv.1706.04599): what a probability of a model is worth
#
# **Where next.** [Deployment](07_deployment_shapes.ipynb) puts such a model behind an address;
# [patching, one chip, one band](patching/01_intro.ipynb) opens the patcher itself; the
# [recipes](patching/recipes/torch_dataset.ipynb) feed the same chips to PyTorch, JAX and Grain.
