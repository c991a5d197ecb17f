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
# # Recipe: patches as a PyTorch data set
#
# **Question.** How do patches reach a `DataLoader`, with shuffling and workers, and how does the
# trained model get back onto the whole scene?
#
# You will learn
#
# - that a `PatchStream` is already a map-style data set: sized, indexable, lazy;
# - to train on shuffled batches read by two worker processes;
# - to stitch the trained model over the scene, and to check it against one whole-scene call;
# - to judge it on ground that it was not trained on.
#
# **Needs** PyTorch (in the clone: `pip install ".[recipes]"`; a CPU build will do), no network.
#
# **Before this.** [Patching](../../05_patching_grids.ipynb). **Time.** 10 minutes to read, under
# half a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../../docs/reference/glossary.md).

# %%
from geostack.lesson import need

ready = need("torch")

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from rasterio.windows import Window
from torch.utils.data import DataLoader, Dataset

from geopatcher import RasterField, SpatialHann, SpatialJitteredStride, SpatialPatcher
from geopatcher import SpatialRectangular, SpatialRegularStride
from geostack import load_s2_chip
from geotoolz import ApplyToChips, DNToReflectance, GridSampler, ModelOp, NDWI, Sequential, Stitch
from geotoolz import ToRGB
from geotoolz.carrier import rewrap
from geotoolz.viz import plot

torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# ## Water, from four bands
#
# The label is made by a rule (NDWI above 0), so the recipe needs no labelled data. The network
# must find the rule from reflectances. It sees the western half of the scene; the eastern half is
# kept for the test.

# %%
bands = ("B02", "B03", "B04", "B08")
dn = RasterField(load_s2_chip(bands=bands)).select(Window(0, 3300, 1599, 635))
print(f"source: {dn.attrs['source']} ({dn.attrs['item_id']})")
scene = DNToReflectance()(dn)
water = np.asarray(NDWI(green_idx=1, nir_idx=3)(scene)) > 0
HALF = scene.shape[2] // 2
print(scene.shape, f"{water[:, :HALF].mean():.0%} water in the west")

# %% [markdown]
# ## The data set is the stream
#
# A stream knows its length and makes the patch that it is asked for. So the bridge is one class of
# two methods.


# %%
class Chips(Dataset):
    """Chips and their labels, as tensors (C, h, w) and (1, h, w) float32."""

    def __init__(self, stream, label):
        self.stream, self.label = stream, label

    def __len__(self):
        return len(self.stream)

    def __getitem__(self, index):
        patch = self.stream[index]
        rows, cols = patch.indices.toslices()
        x = torch.from_numpy(np.array(patch.data, np.float32))
        return x, torch.from_numpy(self.label[None, rows, cols].astype(np.float32))


train = SpatialPatcher(SpatialRectangular(64), SpatialJitteredStride(60, jitter=0.5, seed=1))
chips = Chips(train.stream(RasterField(scene[:, :, :HALF])), water)
loader = DataLoader(chips, batch_size=16, shuffle=True, num_workers=2, persistent_workers=True)
x, y = next(iter(loader))
print(len(chips), "chips; a batch:", tuple(x.shape), tuple(y.shape))

# %% [markdown]
# ## A tiny network
#
# Per pixel, 4 bands to 16 to 1: small enough to train in seconds. It looks at no neighbours, so tiles
# and whole scene must agree.

# %%
net = torch.nn.Sequential(
    torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 16, 1), torch.nn.ReLU(), torch.nn.Conv2d(16, 1, 1)
)
optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
losses = []
for _ in range(12):
    for x, y in loader:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
net.eval()
print(f"loss {losses[0]:.3f} -> {np.mean(losses[-5:]):.3f}")
assert np.mean(losses[-5:]) < 0.5 * losses[0]

# %% [markdown]
# ## Back onto the scene
#
# `ModelOp` runs a torch module without gradients and gives numpy back. `batch_size` in
# `ApplyToChips` stacks chips into (N, C, h, w), which is what the network takes.

# %%
grid = SpatialPatcher(
    SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96), SpatialHann()
)
pipeline = Sequential([GridSampler(grid), ApplyToChips(ModelOp(net), batch_size=8), Stitch()])
logits = pipeline(scene)
with torch.no_grad():
    whole = net(torch.from_numpy(np.array(scene, np.float32))[None])[0].numpy()
worst = np.abs(np.asarray(logits) - whole).max()
print(logits.shape, f"largest difference to the whole-scene call: {worst:.1e}")
assert worst < 1e-4 * np.abs(whole).max()

# %%
found = np.asarray(logits)[0] > 0
east = np.s_[:, HALF:]
right = (found == water)[east].mean()
nothing = 1 - water[east].mean()
print(f"agrees with the rule on {right:.1%} of the east; 'no water' does on {nothing:.1%}")
assert right > 0.95 > nothing
fig, axes = plt.subplots(1, 2, figsize=(10, 2.9), layout="constrained")
true_colour = ToRGB(bands=("B04", "B03", "B02"), limits=(0, 0.22))
plot(true_colour(scene), ax=axes[0], title="The south shore of Lake Tahoe in true colour")
chance = torch.sigmoid(torch.from_numpy(np.asarray(logits)[0])).numpy()
style = {"cmap": "cividis", "vmin": 0, "vmax": 1, "label": "probability of water"}
shown = rewrap(scene, chance, drop=("band_names",))
plot(shown, ax=axes[1], title="What the network says, stitched from chips", **style)
axes[1].set_ylabel("")
plt.show()

# %% [markdown]
# Lake, ponds and canals are found, and the doubt sits where it belongs: on clouds over the water and
# on snow and cloud in the lower corners, whose NDWI lies near zero.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-torch-flip
# Chips are few, and the rule is the same in a mirror. Write a data set `Flipped` that mirrors each chip of
# `Chips` from left to right, and its label with it.
#
# ```python
# class Flipped(Chips):
#     def __getitem__(self, index): ...
#
# # the check
# flipped = Flipped(chips.stream, water)
# for index in range(0, len(chips), 5):
#     (x, y), (mirrored, label) = chips[index], flipped[index]
#     assert torch.equal(mirrored, x.flip(-1))
#     assert torch.equal(label, y.flip(-1))
# ```
# :::
#
# :::{solution} ex-torch-flip
# :class: dropdown
#
# ```python
# class Flipped(Chips):
#     def __getitem__(self, index):
#         pixels, label = super().__getitem__(index)
#         return pixels.flip(-1), label.flip(-1)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-torch-trim
# The network `wide` looks one pixel to each side, so what it says at a chip's edge is not what it says in
# the whole scene. Make a patcher `trimmed` that drops that rim, with a step that leaves no gap.
#
# ```python
# wide = torch.nn.Conv2d(4, 1, 3, padding="same")
# trimmed = ...
#
# # the check
# steps = [GridSampler(trimmed), ApplyToChips(ModelOp(wide), batch_size=8), Stitch()]
# tiled = np.asarray(Sequential(steps)(scene))
# with torch.no_grad():
#     whole = wide(torch.from_numpy(np.array(scene, np.float32))[None])[0].numpy()
# assert np.allclose(tiled, whole, atol=1e-4)
# ```
# :::
#
# :::{solution} ex-torch-trim
# :class: dropdown
#
# ```python
# from geopatcher import SpatialTrim
#
# wide = torch.nn.Conv2d(4, 1, 3, padding="same")
# shape, step = SpatialRectangular(128, boundary="shift"), SpatialRegularStride(126)
# trimmed = SpatialPatcher(shape, step, SpatialTrim(1))
# ```
#
# At the scene's own edge nothing is dropped: there both see the same zeros.
# :::

# %% [markdown]
# ## Recap
#
# | step | is |
# |---|---|
# | random access | `patcher.stream(field)`: `len`, `[i]`, lazy |
# | `Dataset` | two methods around it |
# | shuffled batches, workers | `DataLoader(chips, shuffle=True, num_workers=2)` |
# | back | `ApplyToChips(ModelOp(net), batch_size=8)`, `Stitch()` |
#
# **Key points**
#
# - A stream of patches is a map-style data set as it stands.
# - Check the stitched map against one call on the whole scene.
#
# **References**
#
# - Paszke, A. et al. (2019), *PyTorch*, [doi:10.48550/arXiv.1912.01703](https://doi.org/10.48550/arXiv.1912.01703)
#
# **Where next.** [JAX](jax_vmap.ipynb) maps a function over stacked chips; [Grain](grain.ipynb) reads
# them with a seedable, resumable loader.
