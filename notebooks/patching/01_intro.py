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
# # Patches: take a raster apart, put it back together
#
# **Question.** What is a patch, what are the four choices behind every tiling, and which of them
# decides whether the seams show?
#
# You will learn
#
# - to split one band into chips, and what a chip knows about itself;
# - the four axes of a patcher: geometry, sampler, window, aggregation;
# - why a window should not be zero at its ends, and how to write your own;
# - to merge chips that disagree, exactly to the scene's edge;
# - to write a patcher into a file and read it back.
#
# **Needs** no network: the scene is a real one of Bolzano where a source has it, else the simulated
# shore of Lake Tahoe; the line printed below says which.
#
# **Before this.** [Patching](../05_patching_grids.ipynb). **Time.** 20 minutes to read, under half
# a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import json

import matplotlib.pyplot as plt
import numpy as np
from rasterio.windows import Window

from geopatcher import PatchError, RasterField, SpatialBoxcar, SpatialCustom, SpatialGaussian
from geopatcher import SpatialHann, SpatialOverlapAdd, SpatialPatcher, SpatialRectangular
from geopatcher import SpatialRegularStride, SpatialTukey, draw_chips
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, NoSceneError, SourceUnavailableError
from geostack import load_s2_chip
from geotoolz import ApplyToChips, GridSampler, Lambda, Sequential, Stitch
from geotoolz.carrier import rewrap
from geotoolz.viz import plot
from pipekit import from_yaml, to_yaml
from pipekit.registry import Registry

# %% [markdown]
# ## One band of one scene
#
# The near infrared (B08) of Bolzano, or of Lake Tahoe's south shore: 400 rows by 300 columns of 10 m.
# Neither number divides by the chip size below. That is on purpose: nothing in this notebook needs it to.

# %%
where = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
where["date_range"] = "2022-06-01/2022-06-30"
try:
    field, corner = RasterField(load_s2_chip(bands=("B08",), **where)), (460, 160)
    place, credit = "Bolzano", "contains modified Copernicus Sentinel data 2022"
except (NoSceneError, SourceUnavailableError):
    field, corner = RasterField(load_s2_chip(bands=("B08",))), (1000, 3400)
    place, credit = "The south shore of Lake Tahoe", ""
scene = field.select(Window(*corner, 300, 400))
source = scene.attrs["source"]
print(f"source: {source} ({scene.attrs['item_id']})")
print(scene.shape, scene.dtype, scene.crs)

# %%
fig, ax = plt.subplots(figsize=(5, 5.4), layout="constrained")
plot(
    scene,
    ax=ax,
    cmap="cividis",
    label="near infrared (digital number)",
    title=f"{place}, near infrared",
)
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# ## Two axes make patches: geometry and sampler
#
# The *geometry* says what shape a patch has and what happens at the scene's edge; the *sampler*
# says where patches lie. Together they are enough to split.

# %%
patcher = SpatialPatcher(
    geometry=SpatialRectangular(size=96, boundary="shift"),
    sampler=SpatialRegularStride(step=64),
)
patches = list(patcher.split(scene))
print(len(patches), "patches; the first lie at", [patch.anchor for patch in patches[:4]])

# %%
fig, ax = plt.subplots(figsize=(5, 5.4), layout="constrained")
plot(scene, ax=ax, cmap="gray", colorbar=False, title="30 chips of 96 x 96, every 64 pixels")
draw_chips(ax, patches, scene.transform, scale=1e-3)
draw_chips(ax, patches[:1], scene.transform, scale=1e-3, colors="tab:red", linewidths=2.5)
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# Chips overlap by 32 pixels. In the last row and column they overlap more: `boundary="shift"`
# moved them inward, so that every pixel lies in some chip and every chip is whole. The red one is
# the first.
#
# ## What a patch knows
#
# Four things: its data (for a raster, a georeferenced piece), its anchor, its indices on the
# domain, and its weights.

# %%
patch = patches[7]
print("data   :", type(patch.data).__name__, patch.data.shape)
print("anchor :", patch.anchor, "(row, col)")
print("indices:", patch.indices)
print("weights:", patch.weights.shape, patch.weights.dtype)
print("a view :", np.shares_memory(patch.data.values, scene.values))

# %% [markdown]
# A patch of a raster in memory is a view: cutting costs nothing and copies nothing. A patch of a
# file is read when the loop asks for it. And any place can be asked for by itself, with the same
# answer.

# %%
again = patcher.patch_at(scene, patch.anchor)
assert np.array_equal(again.data.values, patch.data.values)

# %% [markdown]
# ## The third axis: a window says how much each pixel counts
#
# Where chips overlap, each pixel has several values. The window weighs them: usually a chip's
# middle counts more than its rim, since an operator sees more context there.

# %%
gallery = {
    "SpatialBoxcar()": SpatialBoxcar(),
    "SpatialTukey(0.5)": SpatialTukey(0.5),
    "SpatialHann()": SpatialHann(),
    "SpatialGaussian(16)": SpatialGaussian(16),
}
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, window), line in zip(gallery.items(), ("-", "-", "-", "--"), strict=True):
    ax.plot(np.arange(96), window.profile(96), line, label=name)
ax.set(title="Windows along one side of a chip", xlabel="pixel", ylabel="weight (unitless)")
ax.legend(loc="lower center")
plt.show()
assert all((window.profile(96) > 0).all() for window in gallery.values())

# %% [markdown]
# Look at the ends. The textbook Hann window is zero there, and a zero weight loses the outermost
# pixels of the scene, which only one chip sees. These windows are sampled half a pixel in:
# positive everywhere.
#
# In two dimensions they are products of rows and columns. A window of your own may be anything
# positive: here a ring, which trusts neither the rim nor the very middle.


# %%
def ring(shape):
    """Weights (rows, cols) that are largest on a circle of half the chip's radius."""
    rows, cols = np.indices(shape)
    centre = (np.array(shape) - 1) / 2
    radius = np.hypot(rows - centre[0], cols - centre[1]) / centre.min()
    return np.exp(-(((radius - 0.5) / 0.2) ** 2)) + 0.01


gallery["SpatialCustom(ring)"] = SpatialCustom(ring)
fig, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained", sharey=True)
for ax, (name, window) in zip(axes, gallery.items(), strict=True):
    weights = window.weights(patcher.geometry)
    image = ax.imshow(weights, cmap="viridis", vmin=0, vmax=1)
    ax.set(title=name, xlabel="column")
axes[0].set_ylabel("row")
fig.colorbar(image, ax=axes, label="weight (unitless)")
plt.show()

# %% [markdown]
# A weight of 0 says that a pixel does not count. NumPy's own Hann window has zeros at the rim, so
# those pixels need another chip that covers them. Weights below 0 are refused, with the way out.

# %%
hann = np.hanning(96)[:, None] * np.hanning(96)
assert SpatialCustom(lambda shape: hann).weights(patcher.geometry).min() == 0
try:
    SpatialCustom(lambda shape: hann - 0.1).weights(patcher.geometry)
except PatchError as error:
    print("PatchError:", error)

# %% [markdown]
# ## An operator per chip
#
# An operator is any function of the data. This one looks at the whole chip, as a network with a
# normalisation layer does: it takes the chip's own mean away. A chip of the city and a chip of forest
# then disagree about the same pixel.


# %%
def above_mean(chip):
    """Return how far each pixel lies above its chip's mean, (h, w) float32, digital numbers."""
    values = chip.values[0].astype("float32")
    return rewrap(chip, values - values.mean(), drop=("band_names",))


made = [patch.with_data(above_mean(patch.data)) for patch in patches]
left, right = made[0].data.values[:, 64:], made[1].data.values[:, :32]
print(f"two neighbours differ by {np.abs(left - right).mean():.0f} where they overlap")

# %% [markdown]
# ## The fourth axis: an aggregation puts them together
#
# `SpatialOverlapAdd` takes the weighted mean of all values of a pixel. The same chips, merged with
# the same aggregation; only the window differs.

# %%
merged = {}
for name in ("SpatialBoxcar()", "SpatialHann()", "SpatialCustom(ring)"):
    tiling = SpatialPatcher(patcher.geometry, patcher.sampler, gallery[name], SpatialOverlapAdd())
    stream = tiling.stream(scene).map(above_mean)
    merged[name] = tiling.merge(stream, scene)
    print(f"{name:20} {merged[name].shape} {merged[name].dtype}")

# %%
part = np.s_[180:330, 100:300]  # where seams are easiest to see
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", sharey=True)
for ax, (name, result) in zip(axes, merged.items(), strict=True):
    plot(
        result[part],
        ax=ax,
        cmap="cividis",
        vmin=-1500,
        vmax=1500,
        colorbar=name == "SpatialCustom(ring)",
        label="above the chip's mean (digital number)",
        title=name,
    )
for ax in axes[1:]:
    ax.set_ylabel("")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# With the boxcar the grid shows: each chip ends in a step. With the Hann window one chip fades
# into the next; the ring, nearly as faint at its rim, does almost as well. The step across the
# lines where chips begin says the same in numbers.

# %%
borders = sorted({row - 1 for row, _ in patcher.anchors(scene) if row})
seams = {}
for name, result in merged.items():
    steps = np.abs(np.diff(result.values, axis=0)).mean(axis=1)
    seams[name] = steps[borders].mean() / np.median(steps)
    print(f"{name:20} mean step across seams over the usual step: {seams[name]:.2f}")
assert seams["SpatialHann()"] < seams["SpatialBoxcar()"]

# %% [markdown]
# ## Exact to the edge
#
# When chips agree, because the operator looks at one pixel at a time, any weighted mean gives
# their common value back. So split and merge without an operator must be the identity: not inside
# only, but at every pixel, the corners included, whatever the window.

# %%
for name, window in gallery.items():
    tiling = SpatialPatcher(patcher.geometry, patcher.sampler, window, SpatialOverlapAdd())
    back = tiling.merge(tiling.split(scene), scene)
    error = np.abs(back.values / scene.values - 1)
    print(f"{name:20} largest relative error {error.max():.1e}, in the corner {error[0, 0, 0]:.1e}")
    assert error.max() < 1e-6

# %% [markdown]
# The corner pixel is seen by one chip, at the Hann window's smallest weight:

# %%
smallest = SpatialHann().weights(patcher.geometry).min()
print(f"smallest weight of a Hann window of 96 x 96: {smallest:.1e}")

# %% [markdown]
# The pixel's value is weighted by that number and divided by it again, which needs a weight above zero.
#
# ## The same as a pipeline
#
# Splitting, applying and merging are operators too. In a `Sequential` they pass one lazy stream,
# so a few rows of chips are in memory at a time, whatever the scene's height.

# %%
hann = SpatialPatcher(patcher.geometry, patcher.sampler, SpatialHann(), SpatialOverlapAdd())
pipeline = Sequential([GridSampler(hann), ApplyToChips(Lambda(above_mean)), Stitch()])
result = pipeline(scene)
assert result.values.tobytes() == merged["SpatialHann()"].values.tobytes()
print("the same bytes:", result.shape, result.crs)

# %% [markdown]
# ## A patcher is a value
#
# It compares, pickles, and has a config: plain JSON that names each class and its arguments.
# Reading a config builds only classes that are known; it imports and runs nothing.

# %%
text = json.dumps(hann.get_config(), indent=1)
print(*text.splitlines()[:19], "...", sep="\n")
assert SpatialPatcher.from_config(json.loads(text)) == hann

# %% [markdown]
# As part of an operator it is part of the operator's config, and so of its hash and its YAML.

# %%
axes_used = (SpatialRectangular, SpatialRegularStride, SpatialHann, SpatialOverlapAdd)
trusted = Registry([GridSampler, SpatialPatcher, *axes_used])
yaml = to_yaml(GridSampler(hann))
assert from_yaml(yaml, trusted) == GridSampler(hann)
print("config hash:", GridSampler(hann).config_hash)

# %% [markdown]
# A function is not data, so a patcher with a `SpatialCustom` window runs, but says that it cannot
# be written down.

# %%
try:
    SpatialPatcher(patcher.geometry, patcher.sampler, gallery["SpatialCustom(ring)"]).get_config()
except PatchError as error:
    print("PatchError:", error)

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-patch-tent
# Write a window of your own, `tent`: largest in the middle of a chip, falling in a straight line
# towards each side, and positive everywhere.
#
# ```python
# def tent(shape):
#     ...
#
# # the check
# weights = SpatialCustom(tent).weights(patcher.geometry)
# assert weights.shape == (96, 96)
# assert weights[48, 48] > weights[48, 10] > weights[48, 0] >= weights.min() > 0
# assert np.allclose(np.diff(weights[48, :40], 2), 0, atol=1e-6)
# ```
# :::
#
# :::{solution} ex-patch-tent
# :class: dropdown
#
# ```python
# def tent(shape):
#     sides = [1 - np.abs(np.arange(n) - (n - 1) / 2) / (n / 2) for n in shape]
#     return np.outer(*sides)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-patch-coarse
# Make a patcher `coarse`: chips of 128 x 128 pixels, one every 100 pixels, to the very edge.
#
# ```python
# coarse = ...
#
# # the check
# assert coarse.n_anchors(scene) == 4 * 3
# assert coarse.anchors(scene)[1] == (0, 100)
# back = coarse.merge(coarse.split(scene), scene)
# assert np.abs(back.values / scene.values - 1).max() < 1e-6
# ```
# :::
#
# :::{solution} ex-patch-coarse
# :class: dropdown
#
# ```python
# coarse = SpatialPatcher(
#     SpatialRectangular(128, boundary="shift"), SpatialRegularStride(100), SpatialHann()
# )
# ```
# :::

# %% [markdown]
# ## Recap
#
# | axis | question | here | others |
# |---|---|---|---|
# | geometry | what shape, what at the edge? | `SpatialRectangular(96, boundary="shift")` | caps, graphs, polygons |
# | sampler | where? | `SpatialRegularStride(64)` | jittered, random, Poisson disk, explicit |
# | window | how much does a pixel count? | `SpatialHann()` | boxcar, Tukey, Gaussian, your own |
# | aggregation | how do overlaps become one value? | `SpatialOverlapAdd()` | mean, median, votes, tables |
#
# **Key points**
#
# - Four choices make a tiling: geometry, sampler, window, aggregation.
# - A window that is zero at its ends loses the scene's edge, which only one chip sees.
# - Seams come from operators that look at the whole chip. A window fades them, and does not cure them.
# - A patcher is plain data, so it can be written down, compared and read back.
#
# **References**
#
# - Allen, J. B. and Rabiner, L. R. (1977), *Proceedings of the IEEE* 65, 1558-1564, [doi:10.1109/PROC.1977.10770](https://doi.org/10.1109/PROC.1977.10770): overlap-add
# - Harris, F. J. (1978), *Proceedings of the IEEE* 66, 51-83, [doi:10.1109/PROC.1978.10837](https://doi.org/10.1109/PROC.1978.10837): windows
#
# **Where next.** [Geometries](02_geometries.ipynb) leaves the rectangle: spherical caps, graphs of
# points, polygons.
