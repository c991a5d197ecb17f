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
# - to drop what a chip's edge makes of a network that looks around;
# - to judge it on ground that it was not trained on, beside two guesses that need no network.
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
from geopatcher import SpatialRectangular, SpatialRegularStride, SpatialTrim
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
# ## A small network that looks around
#
# Two layers of 3 x 3 pixels, 4 bands to 16 to 1: what it says of a pixel depends on the 5 x 5 pixels
# around it, its receptive field. It is trained in seconds.

# %%
first = torch.nn.Conv2d(4, 16, 3, padding="same")
second = torch.nn.Conv2d(16, 1, 3, padding="same")
net = torch.nn.Sequential(torch.nn.BatchNorm2d(4), first, torch.nn.ReLU(), second)
optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
losses = []
for _ in range(40):
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
#
# At a chip's edge the network sees zeros where the scene goes on, and two layers carry them two pixels
# inwards. Blending by a Hann window makes that error small; dropping two pixels makes it nothing.

# %%
shape, step = SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96)


def tiled(window):
    """The network's numbers (1, H, W), stitched from chips under a window."""
    cut = GridSampler(SpatialPatcher(shape, step, window))
    return Sequential([cut, ApplyToChips(ModelOp(net), batch_size=8), Stitch()])(scene)


with torch.no_grad():
    whole = net(torch.from_numpy(np.array(scene, np.float32))[None])[0].numpy()
off = {}
for window in (SpatialHann(), SpatialTrim(2)):
    logits = tiled(window)
    off[type(window).__name__] = np.abs(np.asarray(logits) - whole).max() / np.abs(whole).max()
print({name: f"{error:.1e}" for name, error in off.items()}, "of the largest number, at worst")
assert off["SpatialTrim"] < 1e-4 < off["SpatialHann"]

# %%
found = np.asarray(logits)[0] > 0
east = np.s_[:, HALF:]
west = np.s_[:, :HALF]
right = (found == water)[east].mean()
nothing = 1 - water[east].mean()
infrared = np.asarray(scene)[3]
limits = np.linspace(0.02, 0.3, 57)
agree = [((infrared < limit) == water)[west].mean() for limit in limits]
best = limits[np.argmax(agree)]
dark = ((infrared < best) == water)[east].mean()
print(f"agrees with the rule on {right:.1%} of the east; 'no water' does on {nothing:.1%}, and")
print(f"near infrared below {best:.3f}, the best limit in the west, on {dark:.1%}")
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
# Lake, ponds and canals are found. Grey is doubt. Is it where the rule is close, at an NDWI near zero?

# %%
near = np.abs(np.asarray(NDWI(green_idx=1, nir_idx=3)(scene))) < 0.1
unsure = (chance > 0.2) & (chance < 0.8)
share, others = unsure[near].mean(), unsure[~near].mean()
print(f"in doubt are {share:.0%} of the pixels near zero, and {others:.0%} of the others;")
print(f"of all that is in doubt, {near[unsure].mean():.0%} is near zero")
if scene.attrs["source"] == "simulated":
    assert share > 0.8 > 2 * others

# %% [markdown]
# On clouds over the water, and on snow and cloud in the lower corners, it is. But most of the doubt is
# on the bare and built ground to the right, where the rule is never close: the network calls it land,
# and is less sure than it might be. And one limit on one band does as well as all of it: the label is a
# rule, and water is dark in the near infrared. Print such a guess beside your network before you
# believe in it. [Networks](../07_networks.ipynb) has one that no band replaces.
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
# The network `wide` looks three pixels to each side. Make a patcher `trimmed` of chips of 128 that drops
# as many, with the largest step that leaves no gap.
#
# ```python
# wide = torch.nn.Conv2d(4, 1, 7, padding="same")
# trimmed = ...
#
# # the check
# steps = [GridSampler(trimmed), ApplyToChips(ModelOp(wide), batch_size=8), Stitch()]
# made = np.asarray(Sequential(steps)(scene))
# with torch.no_grad():
#     expected = wide(torch.from_numpy(np.array(scene, np.float32))[None])[0].numpy()
# assert np.allclose(made, expected, atol=1e-4)
# assert len(trimmed.stream(scene)) == 84
# ```
# :::
#
# :::{solution} ex-torch-trim
# :class: dropdown
#
# ```python
# wide = torch.nn.Conv2d(4, 1, 7, padding="same")
# chip, apart = SpatialRectangular(128, boundary="shift"), SpatialRegularStride(122)
# trimmed = SpatialPatcher(chip, apart, SpatialTrim(3))
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
# - Check the stitched map against one call on the whole scene; drop as many pixels as the network looks
#   aside, and the two are equal.
# - Judge on ground that was not trained on, beside a constant and a rule.
#
# **References**
#
# - Paszke, A. et al. (2019), *PyTorch*, [doi:10.48550/arXiv.1912.01703](https://doi.org/10.48550/arXiv.1912.01703)
#
# **Where next.** [JAX](jax_vmap.ipynb) maps a function over stacked chips; [Grain](grain.ipynb) reads
# them with a seedable, resumable loader.
