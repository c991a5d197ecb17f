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
# # Patching a scene, without losing its edge
#
# **Question.** A scene does not fit into a model, or into memory, so it is cut into chips. Does the
# map that is glued together from chips equal the map made in one piece, at every pixel?
#
# You will learn
#
# - the four axes of a patcher: *geometry*, *sampler*, *window*, *aggregation*;
# - `Sequential([GridSampler, ApplyToChips, Stitch])`, the tiled form of any operator;
# - what a grid of whole chips silently leaves out, and the one argument that covers it;
# - why an operator that looks around is exact over chips when it says how far it looks;
# - when a Hann window is worth having, and what the whole thing costs.
#
# **Needs** no network. The scene is a real one of Bolzano in South Tyrol where an archive or the live
# service has it, and else a window of the same size on the simulated shore of Lake Tahoe; the line
# printed below says which. What tiling costs is measured on all of Lake Tahoe, which is larger.
#
# **Before this.** [Operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb). **Time.** 35
# minutes to read, half a minute to run. Terms are explained where they first occur, and in the
# [glossary](../docs/reference/glossary.md).

# %%
import time
import tracemalloc
import warnings

import matplotlib.pyplot as plt
import numpy as np

from geopatcher import CoverageWarning, RasterField, SpatialBoxcar, SpatialHann
from geopatcher import SpatialOverlapAdd, SpatialPatcher, SpatialRectangular
from geopatcher import SpatialRegularStride, SpatialTrim, draw_chips
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, NoSceneError
from geostack import SourceUnavailableError, load_s2_chip
from geotoolz import NDVI, ApplyToChips, DNToReflectance, FocalMean, GridSampler, Lambda
from geotoolz import Sequential, Stitch, Tap
from geotoolz.viz import plot
from pipekit import measure_radius

# %%
where = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
where["date_range"] = "2022-06-01/2022-06-30"
try:
    scene = load_s2_chip(bands=("B04", "B08"), **where)
    place, credit = "Bolzano", "contains modified Copernicus Sentinel data 2022"
except (NoSceneError, SourceUnavailableError):
    scene = load_s2_chip(bands=("B04", "B08"))[:, 3135:3840, 600:1527]
    place, credit = "Lake Tahoe's southern shore", ""
source = scene.attrs["source"]
print(f"source: {source} ({scene.attrs['item_id']})")
print("scene :", scene.shape, scene.dtype, scene.crs, tuple(scene.bounds))

# %% [markdown]
# ## One operator, in one piece
#
# Red (B04) and near infrared (B08) are one `GeoTensor` of shape (2, 705, 927). The operator turns
# digital numbers into reflectance and then into NDVI. Applied to the whole scene it gives the truth
# that every tiled run below is held against.

# %%
ndvi = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
whole = ndvi(scene)

print(ndvi)
print("NDVI:", whole.shape, whole.dtype, "| pixels without data:", np.isnan(whole.values).sum())

# %%
NDVI_STYLE = {"cmap": "YlGn", "vmin": -0.2, "vmax": 0.9, "label": "NDVI (unitless)"}
fig, ax = plt.subplots(figsize=(8, 5.6), layout="constrained")
plot(whole, ax=ax, title=f"NDVI of {place}, in one piece", **NDVI_STYLE)
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# Water is the palest (it reflects less near infrared than red, so its NDVI is below zero), buildings
# and bare ground are pale, and forest is dark green. A few pixels in deep shadow hold no red: their
# digital number is 0, *nodata*, and their NDVI is NaN in every run below.

# %% [markdown]
# ## A Field, and the four axes
#
# A `RasterField` wraps anything that gives pixels for a window: a `GeoTensor` in memory, or a
# georeader reader of a file. The patcher itself never sees pixels when it is defined; it is four
# answers to four questions.
#
# | axis | question | here |
# |---|---|---|
# | geometry | what shape has a patch? | 256 x 256 pixels |
# | sampler | where do patches lie? | every 192 pixels |
# | window | how much does each pixel count? | a Hann bell |
# | aggregation | how do overlaps become one value? | weighted mean |

# %%
field = RasterField(scene)
patcher = SpatialPatcher(
    geometry=SpatialRectangular(size=256),
    sampler=SpatialRegularStride(step=192),
    window=SpatialHann(),
    aggregation=SpatialOverlapAdd(),
)
print(patcher.n_anchors(field), "chips")

# %% [markdown]
# `split` is lazy: it reads a chip when the loop asks for it, and a chip knows where it is.

# %%
patch = next(patcher.split(field))
print("anchor :", patch.anchor)
print("window :", patch.indices)
print("data   :", patch.data.shape, "upper left at", tuple(patch.data.transform @ (0, 0)))
low, high = patch.weights.min(), patch.weights.max()
print("weights:", patch.weights.shape, f"from {low:.1e} to {high:.2f}")


# %% [markdown]
# ### Chips over the scene
#
# Neighbours overlap by 64 pixels. Look at the lower and the right edge: the next chip would reach beyond
# the scene, so the grid ends early.


# %%
def draw_grid(ax, patcher, title, colour):
    """Draw every chip's outline over the scene, in pixels."""
    rows, cols = whole.shape
    ax.imshow(whole.values, cmap="Greys", extent=(0, cols, rows, 0), vmin=-0.2, vmax=0.9)
    draw_chips(ax, patcher.split(field), colors=colour, linewidths=1.5)
    ax.set(title=title, xlabel="column (10 m pixels)", xlim=(-15, cols + 15), ylim=(rows + 15, -15))


shifted = SpatialPatcher(
    SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True, layout="constrained")
draw_grid(axes[0], patcher, f'boundary="drop": {patcher.n_anchors(field)} chips', "tab:orange")
draw_grid(axes[1], shifted, f'boundary="shift": {shifted.n_anchors(field)} chips', "tab:cyan")
axes[0].set_ylabel("row (10 m pixels)")
fig.supxlabel(credit, size=8)
plt.show()


# %% [markdown]
# On the left a margin of 65 rows and 95 columns belongs to no chip. On the right a last row and a
# last column of chips are moved inward until they touch the edge: 8 chips more, nothing left out.

# %% [markdown]
# ## Cut, apply, stitch
#
# The tiled run is a pipeline like any other: three operators that pass one lazy stream.


# %%
def tiled(operator, patcher, **options):
    """Return the operator's tiled form."""
    return Sequential([GridSampler(patcher), ApplyToChips(operator, **options), Stitch()])


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", CoverageWarning)
    dropped = tiled(ndvi, patcher)(scene)
print(caught[0].message)

# %% [markdown]
# The run says what it did not do. That share holds NaN, not zero: a zero is a legal NDVI and would
# have been believed. Where there are chips, the stitched map equals the whole-scene map.


# %%
def apart(a, b):
    """Return the largest difference of two maps, over the pixels that hold data in both."""
    return float(np.nanmax(np.abs(np.asarray(a) - np.asarray(b))))


rows, cols = (2 * 192 + 256), (3 * 192 + 256)
print(f"covered by chips: {rows} x {cols} pixels, {rows * cols / whole.size:.1%}")
print(f"largest difference there: {apart(dropped, whole):.1e}")
print(f"pixels that hold data beyond them: {np.isfinite(dropped.values[rows:, cols:]).sum()}")


# %% [markdown]
# ### To the very edge
#
# One argument changes: `boundary="shift"`. A Hann window is a bell that is 0 at its two ends; this
# one is sampled half a pixel in (*half-sample*), so it is positive everywhere, and even the
# outermost pixel, seen by a single chip at its smallest weight, comes back whole. A boxcar weighs
# all alike. `Lambda` makes NDVI a function that the stitch knows nothing about, so all 20 chips are
# blended.

# %%
for window in (SpatialHann(), SpatialBoxcar()):
    exact = SpatialPatcher(
        SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), window
    )
    stitched = tiled(Lambda(ndvi), exact)(scene)
    print(f"{window!r:16} largest difference {apart(stitched, whole):.1e}")
    assert apart(stitched, whole) < 1e-6

# %% [markdown]
# Both windows are exact, because NDVI is computed pixel by pixel: overlapping chips agree, and any
# weighted mean of equal values is that value. Map algebra calls this a *local* operation. Operators
# say it of themselves, and then the stitch asks for chips side by side and blends nothing.


# %%
print(f"{ndvi.local = }, {Lambda(ndvi).local = }")
direct = tiled(ndvi, shifted)(scene)
same = np.array_equal(direct.values, whole.values, equal_nan=True)
print(f"equal to the whole-scene map, bit by bit: {same}")

# %% [markdown]
# So each pixel is computed once, and the overlap costs nothing where it is not needed. But a
# per-pixel map agrees with itself however it is cut: it proves little. Two harder cases follow.

# %% [markdown]
# ## An operator that looks around
#
# A 9 x 9 mean takes each pixel from those up to 4 pixels away: its *radius* is 4. Map algebra calls
# it *focal*. Within 4 pixels of a chip's border it misses neighbours, and makes them up by a mirror.
# A radius can be measured: change one pixel, and see how far away the answer changes.

# %%
smooth = ndvi | FocalMean(9)
print(
    f"said {smooth.radius}, measured {measure_radius(smooth)}; NDVI alone: {measure_radius(ndvi)}"
)
assert smooth.radius == measure_radius(smooth) == 4

# %% [markdown]
# First the stitch is told nothing (`Lambda` hides the radius), so it does what the patcher says:
# average overlapping chips, by a boxcar or by a Hann window. A third patcher drops a margin of 4
# pixels of each chip, except at the scene's edge. Last, the stitch is told.

# %%
smooth_whole = smooth(scene)
trimmed = SpatialPatcher(
    SpatialRectangular(256, boundary="shift"), SpatialRegularStride(248), SpatialTrim(4)
)
boxcar = SpatialPatcher(SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192))
runs = {
    "Boxcar, step 192": (Lambda(smooth), boxcar),
    "Hann, step 192": (Lambda(smooth), shifted),
    "margin of 4, step 248": (Lambda(smooth), trimmed),
    "told the radius": (smooth, shifted),
}
focal_errors = {}
for name, (operator, patcher) in runs.items():
    made = tiled(operator, patcher)(scene)
    focal_errors[name] = np.abs(made.values - smooth_whole.values)
    print(f"{name:22} largest difference {apart(made, smooth_whole):.1e}")
assert apart(made, smooth_whole) < 1e-6, "the last one was told the radius"

# %% [markdown]
# ### What the windows add up to
#
# The sums of the weights tell why. Along one line of chips the boxcar's sum jumps where a chip ends:
# there a chip's wrong rim counts as much as its neighbour's right pixels. Hann's rims count little,
# but not nothing. The trimmed chips lie side by side, but for the last one, which is moved inward: a
# rim counts only at the scene's edge, where no neighbour is missing.


# %%
def weights_along(patcher, length=900):
    """Return each chip's weights along one row of pixels, (chips, length)."""
    strip = scene[:, :256, :length]
    lines = []
    for patch in patcher.split(strip):
        line = np.full(length, np.nan)
        line[patch.indices.col_off :][:256] = patch.weights[128]
        lines.append(line)
    return np.array(lines)


fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
windows = (("Boxcar, step 192", boxcar), ("Hann, step 192", shifted), ("margin of 4", trimmed))
for ax, (name, patcher) in zip(axes, windows, strict=True):
    lines = weights_along(patcher)
    ax.plot(lines.T, color="tab:blue", linewidth=0.8)
    ax.plot(np.nansum(lines, axis=0), color="tab:orange", linewidth=1.6)
    ax.set(title=name, xlabel="column (10 m pixels)", ylim=(0, 2.1))
axes[0].set_ylabel("weight (unitless)")
fig.suptitle("Each chip's weights (blue) and their sum (orange)")
plt.show()

# %% [markdown]
# ### An exact tiling
#
# The stitch that knows the radius lays chips side by side and reads each with a rim of 4 pixels, cut
# at the scene's edge: the filter sees what it sees in the whole scene, so that even its mirror at the
# edge is the right one. Hardly a pixel is computed twice.


# %%
pixels = []
counted = Tap(lambda chip: pixels.append(chip.shape[-2] * chip.shape[-1])) | smooth
tiled(counted, shifted)(scene)
share, blended_share = sum(pixels) / whole.size, shifted.n_anchors(field) * 256**2 / whole.size
print(f"pixels computed for each one of the scene: {share:.3f}; blended {blended_share:.2f}")

# %% [markdown]
# ## When chips disagree
#
# Other operators look at the whole chip: a contrast stretch, a normalisation layer. They have no
# radius. Here each chip is stretched to its own 2nd and 98th percentile. A chip of the city and one
# full of forest then disagree where they overlap.


# %%
def stretch(chip):
    """Scale a chip to 0..1 between its own 2nd and 98th percentile."""
    values = chip.values
    low, high = np.nanpercentile(values, (2, 98))
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1)


own_stretch = ndvi | Lambda(stretch)
results = {}
for name, window in (("Boxcar", SpatialBoxcar()), ("Hann", SpatialHann())):
    exact = SpatialPatcher(
        SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), window
    )
    results[name] = tiled(own_stretch, exact)(scene).values

# %%
km = (0, whole.shape[1] / 100, whole.shape[0] / 100, 0)
fig, axes = plt.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
for ax, (name, values) in zip(axes, results.items(), strict=True):
    corner = values[330:, 460:]  # where seams are easiest to see
    image = ax.imshow(corner, cmap="cividis", vmin=0, vmax=1, extent=(4.6, 9.27, 7.05, 3.3))
    ax.set(title=f"{name}: each chip stretched by itself", xlabel="east (km)")
axes[0].set_ylabel("south (km)")
fig.colorbar(image, ax=axes, label="stretched NDVI (0 to 1)", shrink=0.85)
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# With the boxcar a chip ends in a step: near Bolzano a straight edge runs through the forest at 3.8
# km south, where a row of chips begins. With the Hann window one chip fades into the next. The
# seams can be counted: the mean jump across the lines where chips begin, against the mean jump
# anywhere.


# %%
def seam_contrast(values, anchors):
    """Return the mean step across chip borders over the mean step between any neighbours."""
    steps = np.nanmean(np.abs(np.diff(values, axis=0)), axis=1)
    borders = sorted({row - 1 for row, _ in anchors if row > 0})
    return steps[borders].mean() / steps.mean()


contrast = {name: seam_contrast(v, shifted.anchors(field)) for name, v in results.items()}
print({name: f"{value:.2f}" for name, value in contrast.items()})
assert contrast["Hann"] < contrast["Boxcar"]

# %% [markdown]
# A Hann window hides disagreement; it does not remove it: against the stretch of the whole scene
# either map is wrong nearly everywhere, as the right picture below shows.
#
# ### Three kinds of operators
#
# The same overlapping chips under a Hann window, the stitch told nothing, against the same operator
# on the whole scene.

# %%
stretched_whole = stretch(whole)
cases = {
    "local: NDVI": np.abs(tiled(Lambda(ndvi), shifted)(scene).values - whole.values),
    "focal: its 9 x 9 mean": focal_errors["Hann, step 192"],
    "chip-wide: its stretch": np.abs(results["Hann"] - stretched_whole),
}
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
for ax, (name, error) in zip(axes, cases.items(), strict=True):
    # The largest error of each block of 3 x 3 pixels, so that thin seams stay visible.
    part = np.nan_to_num(error).reshape(235, 3, 309, 3).max(axis=(1, 3))
    image = ax.imshow(
        np.maximum(part, 1e-8), cmap="cividis", norm="log", vmin=1e-8, vmax=1, extent=km
    )
    ax.set(title=f"{name}, largest {np.nanmax(error):.0e}", xlabel="east (km)")
axes[0].set_ylabel("south (km)")
fig.colorbar(image, ax=axes, label="difference to the whole (log)", shrink=0.9)
plt.show()
assert np.nanmax(cases["local: NDVI"]) < 1e-6
assert np.nanmean(cases["chip-wide: its stretch"]) > 0.01

# %% [markdown]
# Rounding for the local operator, thin lines along the chips' borders for the focal one, a wrong
# contrast all over for the third. The first two need no window once they say how far they look. For
# the third no layout of chips helps: its result depends on the chip, and that is a question to its
# author.

# %% [markdown]
# ## What it costs
#
# Cost is measured on a scene that is long enough to show it: all of Lake Tahoe, 3935 rows by 1599
# columns, in 140 chips, or 168 that reach the edge. Time is the median of five runs; memory is what
# Python and numpy allocate beyond the scene.


# %%
def measure(run):
    """Return (median seconds of five runs, peak MB allocated by one)."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return float(np.median(times)), peak


# %%
lake = load_s2_chip(bands=("B04", "B08"))
print(f"source: {lake.attrs['source']} ({lake.attrs['item_id']}), {shifted.n_anchors(lake)} chips")
local, blended = tiled(ndvi, shifted), tiled(Lambda(ndvi), shifted)
costs = {
    "whole scene": measure(lambda: ndvi(lake)),
    "tiled, local": measure(lambda: local(lake)),
    "tiled, blended (Hann)": measure(lambda: blended(lake)),
}
for name, (seconds, peak) in costs.items():
    print(f"{name:22} {seconds * 1e3:6.0f} ms   peak {peak:6.1f} MB")
blended_pixels = shifted.n_anchors(lake) * 256**2 / lake[0].size
print(f"blending computes {blended_pixels:.2f} pixels for each one of the scene")

# %%
output = 4 * lake[0].size / 2**20  # the map itself, float32
beyond = {name: peak - output for name, (_, peak) in costs.items()}
fig, axes = plt.subplots(1, 2, figsize=(9, 2.4), layout="constrained")
axes[0].barh(list(costs), [seconds * 1e3 for seconds, _ in costs.values()], color="tab:blue")
axes[0].set(title="Time", xlabel="median of 5 runs (ms)")
axes[1].barh(list(beyond), list(beyond.values()), color="tab:orange")
axes[1].set(title="Memory beyond input and output", xlabel="peak (MB)", yticklabels=[])
for ax in axes:
    ax.invert_yaxis()
plt.show()
assert beyond["tiled, blended (Hann)"] < 64

# %% [markdown]
# The whole-scene call holds both bands of the scene as floats; the tiled ones hold a strip as high
# as a chip. For a scene ten times as tall the first bar of the right chart grows tenfold, and the
# others stay ([streaming](patching/06_streaming.ipynb) measures it). What blending computes twice is
# the price of no seams, paid only by operators that may have some.
#
# ## Which combination for which task
#
# | task | geometry | window | aggregation |
# |---|---|---|---|
# | a per-pixel map (index, mask) | `boundary="shift"`, step = size | `SpatialBoxcar` | `SpatialOverlapAdd` |
# | a filter that says its radius | the same: rims are read where they are needed | `SpatialBoxcar` | `SpatialOverlapAdd` |
# | a network with edge effects | `boundary="shift"`, step = size - 2 margins | `SpatialTrim(margin)` | `SpatialOverlapAdd` |
# | chips that disagree in contrast | `boundary="shift"`, overlap 25 to 50 % | `SpatialHann` | `SpatialOverlapAdd` |
# | class labels | `boundary="shift"`, any overlap | any | `SpatialHardVote(n_classes)` |
# | training chips of one shape | `boundary="drop"` | `SpatialBoxcar` | none |
# | an exact count of tiles | `boundary="pad"` or `"shrink"` | `SpatialBoxcar` | `SpatialOverlapAdd` |

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-05-side-by-side
# Make a patcher `side_by_side`: chips of 256 pixels, no more overlap than needed, and none of the scene
# left out.
#
# ```python
# side_by_side = ...
#
# # the check
# assert side_by_side.n_anchors(field) == 3 * 4
# assert apart(tiled(Lambda(ndvi), side_by_side)(scene), whole) < 1e-6
# ```
# :::
#
# :::{solution} ex-05-side-by-side
# :class: dropdown
#
# ```python
# side_by_side = SpatialPatcher(
#     SpatialRectangular(256, boundary="shift"), SpatialRegularStride(256)
# )
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-05-margin
# A mean over 15 x 15 pixels is hidden in a `Lambda`, so the stitch cannot know how far it looks.
# Which `margin` of each chip has to be left out, and no more?
#
# ```python
# margin = ...
#
# # the check
# part = scene[:, :600, :600]
# wide = ndvi | FocalMean(15)
# error = {}
# for width in (margin, margin - 1):
#     cut = SpatialPatcher(
#         SpatialRectangular(256, boundary="shift"),
#         SpatialRegularStride(256 - 2 * width),
#         SpatialTrim(width),
#     )
#     made = tiled(Lambda(wide), cut)(part)
#     error[width] = apart(made, wide(part))
# assert error[margin] < 1e-6 < error[margin - 1]
# ```
# :::
#
# :::{solution} ex-05-margin
# :class: dropdown
#
# ```python
# margin = 15 // 2
# ```
# :::

# %% [markdown]
# ## Recap
#
# | you want | write |
# |---|---|
# | chips of a scene, lazily | `patcher.split(field)` |
# | a tiled operator | `Sequential([GridSampler(patcher), ApplyToChips(op), Stitch()])` |
# | every pixel covered | `SpatialRectangular(size, boundary="shift")` |
# | an exact filter over chips | `tiled(ndvi \| FocalMean(9), patcher)`: it says how far it looks |
# | a margin dropped | `SpatialTrim(margin)`, chips every size - 2 margins |
# | no seams from chips that disagree | `SpatialHann()` and some overlap |
# | two cores | `ApplyToChips(op, workers=2)` |
#
# **Key points**
#
# - Ask of every operator how far it looks: not at all, some pixels, or over the whole chip.
# - `boundary="shift"` covers a scene to its edge; an operator that says its radius is exact over chips.
# - A Hann window hides that chips disagree. It does not make them agree.
#
# **References**
#
# - Tomlin, C. D. (1990), *Geographic Information Systems and Cartographic Modeling*, Prentice Hall: local and focal operations
# - Harris, F. J. (1978), *Proceedings of the IEEE* 66, 51-83, [doi:10.1109/PROC.1978.10837](https://doi.org/10.1109/PROC.1978.10837): windows, Hann's among them
# - Huang, B. et al. (2018), *Tiling and Stitching Segmentation Output for Remote Sensing*, [doi:10.48550/arXiv.1805.12219](https://doi.org/10.48550/arXiv.1805.12219)
#
# **Where next.** [Chips for machine learning](06_ml_patches_augment.ipynb) trains a classifier on
# patches; the patching deep dives begin with [one chip, one band](patching/01_intro.ipynb).
