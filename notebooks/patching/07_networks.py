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
# # Networks: does tiling change what a network sees?
#
# **Question.** A U-Net labels chips of 256 x 256 pixels, and a scene is larger than that. A pixel at
# a chip's edge is labelled with half of its surroundings missing. How much does that change, how
# wide a margin makes up for it, and how do clouds of a real network become a file and polygons?
#
# You will learn
#
# - to run a network that comes as an ONNX file as an operator, whose config holds its hash;
# - to measure how far it looks, and why that has no end;
# - to draw the error against the distance to a chip's edge, and choose a margin from it;
# - to compare chips side by side, blended, and trimmed, as maps of their errors;
# - to write a map of classes with its colours, and polygons of it, from a tiled run;
# - to hold the network against Sentinel-2's own classification on real dates, and see who is right.
#
# **Needs** no network connection. It runs `ukis-csmask` (German Aerospace Center, Apache-2.0), a
# package that ships U-Nets for clouds and their shadows; `geostack[recipes]` installs it, and
# without it the lesson says so and stops. The scene is real where an archive holds it.
#
# **Before this.** [Patching](../05_patching_grids.ipynb) and [chips for machine
# learning](../06_ml_patches_augment.ipynb). **Time.** 30 minutes to read, a minute to run. Terms
# are explained where they first occur, and in the [glossary](../../docs/reference/glossary.md).

# %%
import json
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

from geocatalog import GeoSlice, from_stac_items, load_raster_timeseries
from geopatcher import SpatialBoxcar, SpatialHann, SpatialPatcher, SpatialRectangular
from geopatcher import SpatialRegularStride, SpatialTrim, map_patches, margin_errors
from geostack import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE
from geostack import NoSceneError, SourceUnavailableError, load_s2_chip, load_stac_items
from geostack.lesson import need, peak_memory
from geotoolz import DNToReflectance, OnnxOp, SimulatedClouds, plot, polygons_of
from geotoolz import ToRGB, read, write_vectors
from pipekit import Cache, measure_radius

folder = Path(tempfile.mkdtemp(prefix="geostack-networks-"))

# %%
need("onnxruntime", "ukis_csmask")
# %% [markdown]
# ## A network is a file
#
# The package holds four networks. This one takes the four 10 m bands of Level-2A as reflectance,
# each less its mean and divided by its deviation; both are in the JSON file beside it. For each
# pixel it gives three numbers, one a class, which softmax turns into probabilities.

# %%
import ukis_csmask

models = Path(ukis_csmask.__file__).parent
about = json.loads((models / "model_4b_l2a.json").read_text("utf-8"))
mean, deviation = about["data"]["dataset_statistics"]["img"]
classes = {0: ("clear", "#d9d9d9"), 1: ("cloud", "#0072b2"), 2: ("shadow", "#e69f00")}
network = OnnxOp(
    models / "model_4b_l2a.onnx",
    bands=("blue", "green", "red", "nir"),
    mean=mean,
    std=deviation,
    classes=classes,
    output="probabilities",
    batch_size=4,
)
print(f"{network.input_bands} bands, chips of {network.input_size} pixels")
print(f"{Path(network.path).stat().st_size / 1e6:.0f} MB, SHA-256 {network.sha256[:16]}...")

# %% [markdown]
# The operator's config holds the file's name and hash, not its place and not its weights. So two
# machines that hold the same network agree on what it is, and another content is refused.

# %%
config = network.get_config()
print({name: config[name] for name in ("path", "bands", "output")})
try:
    OnnxOp(network.path, mean=mean[:3])
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# ## A scene with clouds whose place is known
#
# Bolzano on 12 June 2022 is a clear day. Clouds are drawn over it, so that there is something to
# find; what they cover is known. Without an archive that holds the scene, a simulated one of Lake
# Tahoe takes its place.

# %%
TYROL = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE, "date_range": "2022-06-01/2022-06-30"}
TAHOE = {"bbox": LAKE_TAHOE_BBOX, "tile": LAKE_TAHOE_TILE, "date_range": "2024-06-14/2024-06-14"}
try:
    scene = load_s2_chip(bands=("B02", "B03", "B04", "B08"), **TYROL)
    credit = "contains modified Copernicus Sentinel data 2022; clouds drawn over it"
except (NoSceneError, SourceUnavailableError) as error:
    print("no source has the South Tyrol scene:", type(error).__name__)
    scene = load_s2_chip(bands=("B02", "B03", "B04", "B08"), source="simulated", **TAHOE)
    credit = "simulated"
real = scene.attrs["source"] != "simulated"  # what is claimed below, is claimed of the real scene
print(f"source: {scene.attrs['source']} ({scene.attrs['item_id']}), {scene.shape}")

# %%
ground = DNToReflectance()(scene.isel({"y": slice(0, 512), "x": slice(100, 804)}))
cloudy = SimulatedClouds(cover=(0.2, 0.2), scale=0.4, softness=0.5)(ground, seed=5)
print(cloudy.shape, cloudy.dtype)

# %%
chip = cloudy.isel({"y": slice(100, 356), "x": slice(200, 456)})
shares = network(chip)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
plot(ToRGB(limits=(0.0, 0.4))(chip), ax=left, title="One chip in true colour")
plot(shares, ax=right, band="cloud", title="What the network says", cmap="viridis", vmin=0, vmax=1)
fig.supxlabel(credit, size=8)
plt.show()
print("bands:", shares.attrs["band_names"], shares.shape, shares.dtype)

# %% [markdown]
# ## How far does it look?
#
# One pixel in the middle of a clear chip is painted white, and the scores, the network's numbers
# before softmax, are compared. `measure_radius` does that at several places and says how far a
# change is felt; it gives None where that is the far side of the chip.

# %%
scores = OnnxOp(network.path, bands=network.bands, mean=mean, std=deviation, output="scores")
clear = ground.isel({"y": slice(100, 356), "x": slice(200, 456)})
painted = clear.array_as_geotensor(clear.values.copy())
painted.values[:, 128, 128] = 0.8
change = np.abs(scores(painted).values - scores(clear).values).max(axis=0)
rows, cols = np.indices(change.shape)
away = np.maximum(np.abs(rows - 128), np.abs(cols - 128))
felt = [change[away == distance].mean() for distance in range(124)]
radius = measure_radius(network, clear, places=1)
print("radius that was measured:", radius)
for distance in (0, 20, 60, 120):
    print(f"{distance:>3} px away scores change by {felt[distance]:.3f}")
assert radius is None
assert felt[0] > 5 * felt[20] > 5 * felt[60] > 0

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.semilogy(range(124), felt, color="#0072b2")
ax.set(
    xlabel="distance from the painted pixel (pixels)",
    ylabel="mean change of a score (logit)",
    title="Influence fades, and does not end",
)
ax.grid(alpha=0.3)
plt.show()

# %% [markdown]
# The influence of a pixel fades by orders of magnitude, but reaches the whole chip: the encoder
# (EfficientNet) averages over all of it in the blocks that weigh its channels (squeeze and
# excitation). So no rim makes tiles *equal* to the scene, as it does for a focal mean; the question
# is what is small enough.
#
# ## The error against the distance to a chip's edge
#
# The best that the network can say of a pixel is what it says with the pixel well inside. The
# reference takes chips every 96 pixels and keeps their inner 96 x 96. `cached` remembers chips, for
# the runs below to share them.

# %%
cached = Cache(network)


def tiled(step, window):
    """Return the probabilities (3, H, W) from chips of 256 every `step` pixels."""
    geometry = SpatialRectangular(256, boundary="shift")
    patcher = SpatialPatcher(geometry, SpatialRegularStride(step), window)
    return map_patches(patcher, cloudy, cached, workers=1, progress=False)


began = time.perf_counter()
reference = tiled(96, SpatialTrim(80))
side_by_side = tiled(256, SpatialBoxcar())
print(f"{time.perf_counter() - began:.0f} s for the reference and chips side by side")


# %%
def error_of(made):
    """Return (H, W): how far the probabilities of the three classes are off at most."""
    return np.nan_to_num(np.abs(made.values - reference.values).max(axis=0))


error = error_of(side_by_side)
inner_edges = {0: (256,), 1: (256, 448)}  # where chips meet: not the scene's own edge
to_edge = np.full(error.shape, 999)
for axis, lines in inner_edges.items():
    along = np.arange(error.shape[axis])
    nearest = np.min([np.abs(along + 0.5 - line) for line in lines], axis=0).astype(int)
    shape = (-1, 1) if axis == 0 else (1, -1)
    to_edge = np.minimum(to_edge, nearest.reshape(shape))
distances = range(80)  # further in, some chips are those of the reference
by_distance = [error[to_edge == distance] for distance in distances]
wrong = [np.mean(found > 0.1) for found in by_distance]
for distance in (0, 8, 16, 32, 64):
    print(f"{distance:>3} px from the edge: {wrong[distance]:6.2%} of the pixels off by over 0.1")

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.plot(distances, [100 * share for share in wrong], color="#d55e00")
ax.set(
    xlabel="distance to the chip's edge (pixels)",
    ylabel="pixels off by more than 0.1 (%)",
    title="Probabilities near a chip's edge",
)
ax.grid(alpha=0.3)
plt.show()
near, far = np.mean(wrong[:8]), np.mean(wrong[64:])
print(f"within 8 px {near:.2%}, from 64 px to 80 px {far:.2%}")
assert near > 2 * far or not real

# %% [markdown]
# The first pixels are the worst, and the error falls slowly: of these clouds, which are as large as
# half a chip, the network wants to see 64 pixels more. Some error remains further inside, for the
# average over the whole chip differs from chip to chip.
#
# ## Side by side, blended, trimmed
#
# Chips every 192 pixels overlap by 64, chips every 128 by half. Hann blends them; a trim drops the
# margin of each, so that what is left lies side by side. The network runs once for both, since
# `cached` knows the chips. `margin_errors` then asks for each margin how wrong such tiles are, and
# what they cost.

# %%
made = {
    "side by side": side_by_side,
    "Hann, every 192": tiled(192, SpatialHann()),
    "trim 32, every 192": tiled(192, SpatialTrim(32)),
    "Hann, every 128": tiled(128, SpatialHann()),
    "trim 64, every 128": tiled(128, SpatialTrim(64)),
}
truth = reference.values.argmax(axis=0)
off = {name: np.mean(error_of(each) > 0.1) for name, each in made.items()}
flips = {name: np.mean(each.values.argmax(axis=0) != truth) for name, each in made.items()}
print(f"{'':20}off by over 0.1   another class")
for name in made:
    print(f"{name:20}{off[name]:15.2%}{flips[name]:16.3%}")
assert off["trim 64, every 128"] < off["trim 32, every 192"] < off["side by side"] or not real

# %%
margins = margin_errors(cached, cloudy, 256, (0, 16, 32, 64), reference=reference)
print(margins)
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.plot(margins.margins, margins.mean, "o-", color="#0072b2")
ax.set(
    xlabel="margin dropped (pixels)",
    ylabel="mean error of a probability",
    title="What a margin buys",
    ylim=(0, None),
)
ax.grid(alpha=0.3)
more = ax.twinx()
more.plot(margins.margins, margins.computed, "s--", color="#d55e00")
more.set_ylabel("pixels computed for each of the scene", color="#d55e00")
more.set_ylim(0, None)
plt.show()
assert margins.mean[-1] < margins.mean[0] / 2 or not real

# %%
fig, axes = plt.subplots(2, 3, figsize=(12, 6.2), layout="constrained")
first, *others = axes.flat
shown = first.imshow(reference.values[1], cmap="viridis", vmin=0, vmax=1)
first.set(title="Reference", ylabel="row (pixels)")
fig.colorbar(shown, ax=first, label="probability of cloud", shrink=0.7)
for ax, (name, each) in zip(others, made.items(), strict=True):
    image = ax.imshow(error_of(each), cmap="magma_r", vmin=0, vmax=0.5)
    ax.set(title=f"Error: {name}", xlabel="column (pixels)", ylabel="row (pixels)")
    ax.label_outer()
fig.colorbar(image, ax=axes[:, 2], label="error of a probability", shrink=0.7, extend="max")
plt.show()

# %% [markdown]
# Side by side, clouds are cut where chips meet. Overlap takes most of that away, and more of it the
# wider it is, at the price of more chips; blending is ahead of a narrow trim, a wide trim ahead of
# blending. A margin of 16 buys nothing here: seams just lie elsewhere. What is left lies inside
# large clouds, where the network itself is not sure.
#
# ## A map of classes, and polygons
#
# Asked for classes, the operator gives each pixel its most probable one, and says their names and
# colours. They reach the file: any GIS shows the map in these colours. Classes are never averaged:
# where chips overlap, one decides. (`Quantize` stores probabilities as bytes instead.)

# %%
labels = OnnxOp(
    network.path, bands=network.bands, mean=mean, std=deviation, classes=classes, batch_size=4
)
geometry, step = SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192)
trim = SpatialPatcher(geometry, step, SpatialTrim(32))
map_patches(trim, cloudy, labels, target=folder / "clouds.tif", progress=False)
mask = read(folder / "clouds.tif")
print(mask.shape, mask.dtype, mask.attrs["classes"])
agreement = np.mean(mask.values[0] == made["trim 32, every 192"].values.argmax(axis=0))
print(f"the same class as the most probable one: {agreement:.3%}")

# %% [markdown]
# Polygons are drawn from the file by blocks. Those that cross blocks are whole: how the file is cut
# makes no difference.

# %%
polygons = polygons_of(folder / "clouds.tif", values=[1, 2], min_pixels=20)
again = polygons_of(folder / "clouds.tif", values=[1, 2], min_pixels=20, block=100)
path = write_vectors(polygons, folder / "clouds.parquet")
print(polygons.drop(columns="geometry").groupby("name")[["pixels", "area"]].sum())
print(f"{len(polygons)} polygons, {path.stat().st_size / 1e3:.0f} kB")
assert polygons.area.tolist() == again.area.tolist()

# %%
fig, ax = plt.subplots(figsize=(7.5, 5.2), layout="constrained")
plot(ToRGB(limits=(0.0, 0.4))(cloudy), ax=ax, axes="map", title="Polygons of clouds and shadows")
for name, colour in classes.values():
    found = polygons[polygons["name"] == name]
    if len(found):
        found.boundary.plot(ax=ax, color=colour, linewidth=1.2, label=f"{name} ({len(found)})")
ax.legend(loc="upper right")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# ## Against the package's own tiling
#
# The package tiles by itself, with chips that overlap by a fifth, blended. Both run on the scene as
# it was, without the clouds drawn over it.

# %%
from ukis_csmask.mask import CSmask


def by_patcher(scene):
    """Return the classes (H, W) from chips every 192 pixels, blended."""
    patcher = SpatialPatcher(geometry, step, SpatialHann())
    made = map_patches(patcher, scene, network, batch_size=1, workers=1, progress=False)
    return made.values.argmax(axis=0)


def by_package(scene):
    """Return the classes (H, W) from the package's own tiling, which wants the bands last."""
    image = np.ascontiguousarray(np.moveaxis(scene.values, 0, -1))
    cpu = ["CPUExecutionProvider"]
    found = CSmask(image, list(network.bands), product_level="l2a", providers=cpu)
    return found.csm[..., 0]


# %% [markdown]
# For memory to be its own, each runs in a fresh process: a pool of one worker, by `loky` (a part of
# joblib), which takes functions that are written in a notebook, with what they use.

# %%
whole = ground.array_as_geotensor(np.nan_to_num(ground.values))


def timed(tiling, scene):
    """Return what a tiling makes of a scene, and how many seconds it took."""
    began = time.perf_counter()
    return tiling(scene), time.perf_counter() - began


def measured(tiling):
    """Return seconds, MB at the peak and the classes of a tiling, in a process of its own."""
    with ProcessPoolExecutor(1) as process:
        made, seconds = process.submit(timed, tiling, whole).result()
        return seconds, process.submit(peak_memory).result(), made


ours, theirs = measured(by_patcher), measured(by_package)
for name, (seconds, megabytes, _) in (("patcher", ours), ("its own tiling", theirs)):
    print(f"{name:15} {seconds:5.1f} s, {megabytes:5.0f} MB at its peak")
same = np.mean(ours[2] == theirs[2])
print(f"the same class on {same:.2%} of the pixels")
assert same > 0.99 or not real

# %% [markdown]
# The two choose other chips, and agree on nearly every pixel of a clear scene. Its own tiling holds
# all chips and all their probabilities at once; the patcher holds a few rows of chips, whatever the
# scene's size, which on this small one hardly shows.
#
# ## Real clouds: the network and Sentinel-2's own classification
#
# 118 acquisitions of 64 x 64 pixels in Flanders come with the scene classification (SCL), which uses
# bands that the network does not see, among them one for cirrus. Each is mirrored to 256 x 256, and
# every fourth is labelled. The section is skipped, and says so, without an archive that has them.

# %%
try:
    where, when = (3.019, 50.813, 3.028, 50.819), "2017-08-01/2018-11-30"
    every = {"tile": "31UDS", "max_cloud_cover": None, "limit": None, "source": "archive"}
    items = load_stac_items("sentinel-2-l2a", where, when, **every)
    rows = from_stac_items(items, asset_key=["B02", "B03", "B04", "B08", "SCL"])
    series = load_raster_timeseries(
        rows, GeoSlice(rows.total_bounds, "2017-08/2018-11", 10, rows.crs)
    )
    print("source: archive,", series.shape, "dates, bands, rows, columns")
except (NoSceneError, SourceUnavailableError) as error:
    series = None
    print("skipped, no archive has the Flanders scenes:", type(error).__name__)

# %%
if series is not None:
    some, dates = series.values[::4], series.attrs["dates"][::4]
    mirrored = np.pad(some[:, :4] * 1e-4, [(0, 0), (0, 0), (96, 96), (96, 96)], mode="reflect")
    by_order = OnnxOp(network.path, mean=mean, std=deviation, batch_size=4)  # bands in its order
    by_network = by_order(mirrored.astype("float32"))[:, 96:160, 96:160]
    by_scl = np.where(np.isin(some[:, 4], (8, 9, 10)), 1, np.where(some[:, 4] == 3, 2, 0))
    ours_cloud, scl_cloud = by_network == 1, by_scl == 1
    agree = np.mean(ours_cloud == scl_cloud)
    iou = np.sum(ours_cloud & scl_cloud) / np.sum(ours_cloud | scl_cloud)
    print(f"{len(some)} dates: cloud or not the same on {agree:.0%} of the pixels, IoU {iou:.2f}")
    assert 0.75 < agree < 0.9

# %%
if series is not None:
    difference = (scl_cloud.mean(axis=(1, 2)) - ours_cloud.mean(axis=(1, 2))).round(3)
    order = np.argsort(difference)
    shown = sorted([*order[:2], *order[-3:]])  # cloud to the network alone, and to SCL alone
    for index in shown:
        cloud = [each[index].mean() for each in (ours_cloud, scl_cloud)]
        shade = [np.mean(each[index] == 2) for each in (by_network, by_scl)]
        light = some[index, :4].mean() * 1e-4
        print(
            f"{dates[index]}: by network and SCL cloud {cloud[0]:4.0%} and {cloud[1]:4.0%}, "
            f"shadow {shade[0]:4.0%} and {shade[1]:4.0%}; mean reflectance {light:.2f}"
        )

# %%
if series is not None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([colour for _, colour in classes.values()])
    fig, axes = plt.subplots(3, len(shown), figsize=(11, 7), layout="constrained")
    for column, index in enumerate(shown):
        picture = np.moveaxis(some[index, 2::-1], 0, -1) * 1e-4 / 0.4
        axes[0, column].imshow(picture.clip(0, 1))
        axes[0, column].set_title(dates[index])
        for row, made_by in ((1, by_network), (2, by_scl)):
            axes[row, column].imshow(made_by[index], cmap=colours, vmin=0, vmax=2)
        for ax in axes[:, column]:
            ax.set(xticks=[], yticks=[])
    fig.suptitle("Five dates on which the network and SCL differ most")
    for ax, name in zip(axes[:, 0], ("true colour", "network", "SCL"), strict=True):
        ax.set_ylabel(name)
    fig.supxlabel(
        "blue: cloud, orange: shadow, grey: clear; contains modified Copernicus "
        "Sentinel data 2017-2018",
        size=8,
    )
    plt.show()

# %% [markdown]
# Who is right? Neither, everywhere.
#
# - A picture that is white from side to side is cloud, as SCL says. The network calls it clear: it
#   knows clouds by their texture and rims, and this chip, mirrored, has none.
# - Under thin haze, and under cirrus that only SCL's own band shows, the ground is seen. The network
#   calls it clear, SCL cloud. For a map of fields the first may do, for reflectance the second.
# - Where clouds are broken, the network finds thin parts of them that SCL misses. Of shadows SCL sees
#   none in June 2018, where the network sees them beside the clouds; on the dark day of November 2017
#   both call much of the ground shadow.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-net-usable
# Near a cloud the ground is hazy. Grow cloud and shadow of `mask` by a disc of 50 m with `DilateMask`,
# whose radius counts pixels of 10 m, and put the share of the scene that is left into `usable`.
#
# ```python
# from geotoolz import DilateMask
#
# usable = ...
#
# # the check
# from scipy.ndimage import distance_transform_edt
#
# bad = mask.values[0] > 0
# assert 0 < usable < 1 - bad.mean()
# assert np.isclose(usable, np.mean(distance_transform_edt(~bad) > 5))
# ```
# :::
#
# :::{solution} ex-net-usable
# :class: dropdown
#
# ```python
# from geotoolz import DilateMask
#
# grown = DilateMask(5)(mask.values[0] > 0)
# usable = 1 - grown.mean()
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-net-large
# Draw from the file only the clouds, class 1, of at least one hectare, as `large`. A pixel is
# 10 m x 10 m.
#
# ```python
# large = ...
#
# # the check
# expected = polygons[(polygons["value"] == 1) & (polygons.area >= 10_000)]
# assert len(large) == len(expected) > 0
# assert np.isclose(large.area.sum(), expected.area.sum())
# ```
# :::
#
# :::{solution} ex-net-large
# :class: dropdown
#
# ```python
# large = polygons_of(folder / "clouds.tif", values=[1], min_pixels=100)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | question | answer here |
# |---|---|
# | what is a network to a pipeline? | an operator: a file's name and hash, normalisation, names of classes |
# | how far does it look? | over the whole chip, fading; `measure_radius` gives None |
# | what does a chip's edge cost? | most within 64 pixels; `margin_errors` says what a margin buys |
# | how are clouds handed on? | `map_patches(..., target="clouds.tif")`, `polygons_of("clouds.tif")` |
# | is it right? | compare with another source on dates you can look at |
#
# **Key points**
#
# - A network that averages over a chip has no radius: measure what a margin buys.
# - Draw the error against the distance to the chip's edge, and choose the margin from it.
#
# **References**
#
# - Ronneberger, O., Fischer, P. and Brox, T. (2015), *U-Net*, [doi:10.48550/arXiv.1505.04597](https://doi.org/10.48550/arXiv.1505.04597)
# - Wieland, M., Li, Y. and Martinis, S. (2019), *Remote Sensing of Environment* 230, 111203, [doi:10.1016/j.rse.2019.05.022](https://doi.org/10.1016/j.rse.2019.05.022): cloud and shadow by a U-Net
#
# **Where next.** The recipes train networks on chips: [PyTorch](recipes/torch_dataset.ipynb),
# [JAX](recipes/jax_vmap.ipynb), [Grain](recipes/grain.ipynb).
