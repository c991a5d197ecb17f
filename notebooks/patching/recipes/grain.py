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
# # Recipe: patches through Grain
#
# **Question.** Grain, a library that feeds training data to models, shuffles, batches and reads
# ahead, by a seed, and can stop and go on. What does it need from patches, and what comes back onto
# the map?
#
# You will learn
#
# - that a `PatchStream` is a Grain source as it stands: random access, sized;
# - to shuffle by a seed, batch, and read with several threads;
# - to stop in the middle of an epoch and go on with the very next batch;
# - to train batch by batch, stitch with votes, and judge on ground that was not trained on.
#
# **Needs** Grain (in the clone: `pip install ".[recipes]"`), no network.
#
# **Before this.** [Patching](../../05_patching_grids.ipynb). **Time.** 10 minutes to read, under
# half a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../../docs/reference/glossary.md).

# %%
from geostack.lesson import need

ready = need("grain")

# %%
import json

import grain
import matplotlib.pyplot as plt
import numpy as np
from rasterio.windows import Window
from sklearn.linear_model import SGDClassifier

from geopatcher import RasterField, SpatialBoxcar, SpatialHardVote, SpatialPatcher
from geopatcher import SpatialPoissonDisk, SpatialRectangular, SpatialRegularStride
from geostack import load_s2_chip
from geotoolz import ApplyToChips, DNToReflectance, GridSampler, Lambda, NDVI, NDWI, Sequential
from geotoolz import Stitch, ToRGB
from geotoolz.carrier import rewrap
from geotoolz.viz import plot

# %% [markdown]
# ## A source: chips, with labels made by a rule
#
# Chips are drawn from the western half of the scene. The eastern half is kept for the test.

# %%
bands = ("B02", "B03", "B04", "B08")
dn = RasterField(load_s2_chip(bands=bands)).select(Window(0, 3300, 1599, 635))
print(f"source: {dn.attrs['source']} ({dn.attrs['item_id']})")
scene = DNToReflectance()(dn)
CLASSES = {0: ("bare or built", "#c9a66b"), 1: ("vegetation", "#2c7a3f"), 2: ("water", "#2b6cb0")}
label = np.where(np.asarray(NDVI(2, 3)(scene)) > 0.4, 1, 0)
label[np.asarray(NDWI(1, 3)(scene)) > 0] = 2

patcher = SpatialPatcher(SpatialRectangular(48), SpatialPoissonDisk(min_dist=40, seed=2))
half = scene.shape[2] // 2
stream = patcher.stream(scene[:, :, :half])
print(len(stream), "chips, apart from each other by 40 pixels or more")

# %% [markdown]
# ## From patches to batches
#
# `grain.MapDataset.source` takes anything with `len` and `[i]`: the stream itself. Each step is lazy;
# `ReadOptions` says how many threads read ahead.


# %%
def example(patch):
    """Return one training example: pixels (n, C) and their classes (n,)."""
    rows, cols = patch.indices.toslices()
    pixels = np.asarray(patch.data).reshape(4, -1).T
    return {"pixels": pixels[::16], "classes": label[rows, cols].reshape(-1)[::16]}


data = grain.MapDataset.source(stream).seed(7).shuffle().map(example).batch(16, drop_remainder=True)
batches = data.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=8))
first = next(iter(batches))
print(len(data), "batches an epoch;", {name: value.shape for name, value in first.items()})
again = next(iter(batches))
assert all(np.array_equal(first[name], again[name]) for name in first)

# %% [markdown]
# ## Stop and go on
#
# The iterator's state is a small JSON. A loader set to it gives the batch that would have come
# next.

# %%
reader = iter(batches)
for _ in range(2):
    next(reader)
state = reader.get_state()
expected = next(reader)
fresh = iter(batches)
fresh.set_state(state)
resumed = next(fresh)
print("state:", json.dumps(state)[:70])
assert all(np.array_equal(expected[name], resumed[name]) for name in expected)

# %% [markdown]
# ## Train batch by batch
#
# A linear classifier, which learns from one batch at a time. Reflectances are small numbers, so they
# are multiplied by ten.

# %%
model = SGDClassifier(loss="log_loss", random_state=0, average=True)
for batch in data.repeat(8).to_iter_dataset(grain.ReadOptions(num_threads=2)):
    pixels = batch["pixels"].reshape(-1, 4) * 10
    model.partial_fit(pixels, batch["classes"].reshape(-1), classes=list(CLASSES))


def classify(chip):
    """Return the classes (h, w) of a chip (4, h, w)."""
    values = np.asarray(chip)
    found = model.predict(values.reshape(4, -1).T * 10)
    return found.reshape(values.shape[-2:]).astype(np.uint8)


# %% [markdown]
# ## Back onto the scene, by votes
#
# Chips overlap, and each votes for a class. The model looks at one pixel at a time, so votes must
# give what one call on the whole scene gives. How good it is, the eastern half says; beside it
# stands the share that one would get right by calling everything by the class that is commonest in
# the west.

# %%
geometry, sampler = SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96)
grid = SpatialPatcher(geometry, sampler, SpatialBoxcar(), SpatialHardVote(n_classes=3))
voted = Sequential([GridSampler(grid), ApplyToChips(Lambda(classify), workers=2), Stitch()])(scene)
whole = classify(scene)
east, commonest = label[:, half:], np.bincount(label[:, :half].ravel()).argmax()
right, lazy = (np.asarray(voted)[:, half:] == east).mean(), (east == commonest).mean()
print(f"agrees with the rule on {right:.1%} of the east; '{CLASSES[commonest][0]}' on {lazy:.1%}")
assert np.array_equal(np.asarray(voted), whole)
assert right > 0.85 > lazy

# %%
fig, axes = plt.subplots(1, 2, figsize=(10.5, 2.9), layout="constrained")
true_colour = ToRGB(bands=("B04", "B03", "B02"), limits=(0, 0.22))
plot(true_colour(scene), ax=axes[0], title="The south shore of Lake Tahoe in true colour")
plot(rewrap(scene, np.asarray(voted)), ax=axes[1], classes=CLASSES, title="Its classes, by votes")
axes[1].set_ylabel("")
plt.show()

# %% [markdown]
# The clouds over the lake came out as "bare or built": the rule has no class for them, so neither has
# the model. It has to answer with one of the classes it knows, and does so with something wrong.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-grain-halves
# Two machines share an epoch. Make two data sets, `mine` and `yours`, so that each chip is in exactly
# one of them. A `MapDataset` can be sliced as a list can.
#
# ```python
# mine, yours = ..., ...
#
# # the check
# anchors = [[patch.anchor for patch in half] for half in (mine, yours)]
# assert sorted(anchors[0] + anchors[1]) == sorted(stream.anchors)
# assert abs(len(mine) - len(yours)) <= 1
# ```
# :::
#
# :::{solution} ex-grain-halves
# :class: dropdown
#
# ```python
# source = grain.MapDataset.source(stream)
# mine, yours = source[0::2], source[1::2]
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-grain-wet
# Make a data set `wet` of the examples in which at least one pixel is water, class 2. `filter` takes
# a function that says whether an example stays.
#
# ```python
# wet = ...
#
# # the check
# classes = [each["classes"] for each in wet]
# assert all(2 in found for found in classes)
# assert len(classes) == sum(2 in example(patch)["classes"] for patch in stream)
# ```
# :::
#
# :::{solution} ex-grain-wet
# :class: dropdown
#
# ```python
# examples = grain.MapDataset.source(stream).map(example)
# wet = examples.filter(lambda each: (each["classes"] == 2).any())
# ```
# :::

# %% [markdown]
# ## Recap
#
# | step | is |
# |---|---|
# | source | `grain.MapDataset.source(patcher.stream(field))` |
# | shuffled batches, by a seed | `.seed(7).shuffle().map(example).batch(16)` |
# | several threads | `.to_iter_dataset(grain.ReadOptions(num_threads=2))` |
# | stop, go on | `get_state()`, `set_state()` |
# | back | `ApplyToChips`, `Stitch` with `SpatialHardVote` |
#
# **Key points**
#
# - A stream of patches is a source as it stands: it has a length and gives any item.
# - The state of a loader is a few numbers: save it with the model.
#
# **References**
#
# - Grain, <https://google-grain.readthedocs.io>
#
# **Where next.** [From catalog to catalog](../../catalog/05_patching_bridge.ipynb) makes whole catalogs
# of scenes the source.
