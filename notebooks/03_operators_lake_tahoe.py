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
# # Operators on a Sentinel-2 scene
#
# **Question.** How do digital numbers from a catalog become a vegetation map that one can trust, in
# a pipeline that says at each step what it did?
#
# You will learn
#
# - to find a scene and load it: one call each, from whichever source has it;
# - what the offset of -1000 does to NDVI, and who has to take care of it;
# - `Sequential` and `Fanout`, with clouds masked;
# - to instrument a pipeline: checks, snapshots, traces and a profile, none of which change a pixel.
#
# **Needs** no network: pixels come from a local archive, the live service or the embedded
# simulation, whichever is there; the line printed below says which.
#
# **Before this.** [Composition core](01_composition_core.ipynb). **Time.** 30 minutes to read, half
# a minute to run. Terms are explained where they first occur, and in the
# [glossary](../docs/reference/glossary.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

from geostack import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE
from geostack import NoSceneError, SourceUnavailableError, load_s2_chip, load_stac_items
from geotoolz import NDVI, NDWI, ApplyMask, DNToReflectance, Fanout, HarmonizeBaseline
from geotoolz import Lambda, MaskFromSCL, Sequential, ShapeTrace, Snapshot, Tap, ToFloat32, ToRGB
from geotoolz.cloud import SCL_CLASSES, SCL_CLOUDS_AND_INVALID, SCL_SNOW
from geotoolz.viz import plot
from pipekit import AssertDType, AssertShape, Profile, QCError

# %% [markdown]
# ## Find a scene
#
# A search asks for a collection, a box and a time, and answers with STAC items by rising cloud
# cover. No pixel is read.

# %%
items = load_stac_items(
    "sentinel-2-l2a",
    LAKE_TAHOE_BBOX,
    "2024-06-01/2024-07-31",
    tile=LAKE_TAHOE_TILE,
    max_cloud_cover=15,
)
print(len(items), "scenes; the three clearest:")
for item in items[:3]:
    cloud_cover = item.properties["eo:cloud_cover"]
    print(f"  {item.datetime:%Y-%m-%d}  cloud {cloud_cover:5.2f} %  {item.id}")

# %% [markdown]
# ## Load one chip
#
# `load_s2_chip` takes the clearest scene and reads the window of the box from each band, side by
# side. What comes back is a `GeoTensor`: an array that knows its transform, CRS and band names.

# %%
scene = load_s2_chip()
source = scene.attrs["source"]
print(f"source: {source} ({scene.attrs['item_id']})")
print("shape :", scene.shape, scene.dtype)
print("bands :", scene.attrs["band_names"])
print("crs   :", scene.crs, "bounds:", tuple(scene.bounds))
assert scene.shape == (4, 3935, 1599)
assert tuple(scene.bounds) == (750180, 4311890, 766170, 4351240)

# %%
rgb = DNToReflectance() | ToRGB(bands=("B04", "B03", "B02"), limits=(0, 0.2))
fig, ax = plt.subplots(figsize=(4.4, 8.4))
plot(rgb(scene), ax=ax, title=f"True colour, {scene.attrs['datetime'][:10]}")
plt.show()

# %% [markdown]
# Reflectance 0 is drawn black and 0.2 as bright as the screen can: the same limits serve for every
# scene, so two of them can be compared by eye. Bright shelves along the shore, dark deep water, towns
# and meadows on the flat land, forest on the slopes, and a few clouds with their shadows beside them. A map of a simulated scene carries
# that word in its corner.

# %% [markdown]
# ## Digital numbers, reflectance, and a matter of -1000
#
# A *digital number* (DN) is the integer in the file. The *processing baseline* is the version of ESA's
# processor that wrote it. From baseline 04.00 on, the processor adds 1000 to every digital number, so
# that dark pixels need not be clipped at zero, and reflectance is `(DN - 1000) / 10000`. That baseline
# came in January 2022, but it is not the date of the picture that counts: ESA has reprocessed older
# scenes since, and they carry the offset too. Ask the product for its baseline. The loader did, and has
# taken the offset away (`harmonize=True`):

# %%
print("baseline:", scene.attrs["processing_baseline"])
print("offset already removed:", scene.attrs["offset_applied"])
raw = load_s2_chip(harmonize=False)
print("with harmonize=False:", raw.attrs["offset_applied"])

# %% [markdown]
# What happens to NDVI when nobody does? A constant added to both bands leaves their difference and
# swells their sum, so every NDVI shrinks towards zero: dark forest and water the most.

# %%
ndvi = DNToReflectance() | NDVI()  # finds B04 and B08 by their names
right, wrong = ndvi(scene), ndvi(raw)
water = right.values < 0
for name, where in {"water": water, "land": ~water}.items():
    medians = [float(np.nanmedian(map_.values[where])) for map_ in (right, wrong)]
    print(f"median NDVI of {name:5}: right {medians[0]:+.2f}, offset left in {medians[1]:+.2f}")
    if scene.attrs["processing_baseline"] >= "04.00":
        assert abs(medians[1]) < 0.7 * abs(medians[0])

fig, ax = plt.subplots(figsize=(7, 3))
bins = np.linspace(-1, 1, 121)
ax.hist(right.values.ravel(), bins, histtype="step", label="offset removed", color="tab:blue")
ax.hist(wrong.values.ravel(), bins, histtype="step", label="offset left in", color="tab:orange")
ax.set(title=f"NDVI with and without the offset ({source})", xlim=(-0.6, 1))
ax.set(xlabel="NDVI (unitless)", ylabel="pixels")
ax.legend()
plt.show()

# %% [markdown]
# The whole histogram is squeezed: water, with the lowest reflectance, collapses onto zero, and land
# loses much of its range. Nothing fails, and the map still looks like one: only a series that
# mixes products from before and after baseline 04.00 shows a step. `HarmonizeBaseline` does by hand what the loader did, and
# leaves data alone that say the offset is gone.

# %%
harmonized = HarmonizeBaseline()(raw)
assert np.array_equal(harmonized.values, scene.values)
assert np.array_equal(HarmonizeBaseline()(scene).values, scene.values)

# %% [markdown]
# ## NDVI as a pipeline
#
# `a | b` is a `Sequential`. It is a value: it prints as it was written, compares, hashes, and can be
# sliced.

# %%
print(ndvi)
print("steps:", len(ndvi), "| first:", ndvi[0], "| hash:", ndvi.config_hash)
assert ndvi == Sequential([DNToReflectance(), NDVI()])

# %%
fig, ax = plt.subplots(figsize=(4.4, 8.4))
NDVI_STYLE = {"label": "NDVI (unitless)", "cmap": "YlGn", "vmin": -0.2, "vmax": 0.9}
plot(right, ax=ax, title="NDVI: the greener, the more leaves", **NDVI_STYLE)
plt.show()

# %% [markdown]
# ## Clouds out
#
# Level 2A comes with a scene classification, SCL. `MaskFromSCL` turns it into a mask where True
# means *drop*, and `ApplyMask` writes NaN there, once there are floats that can hold one.

# %%
scl = load_s2_chip(bands=("SCL",))
codes, counts = np.unique(scl.values, return_counts=True)
for code, count in zip(codes, counts, strict=True):
    name, _ = SCL_CLASSES[int(code)]
    print(f"{code:3} {name:28} {count / scl.values.size:7.2%}")

# %% [markdown]
# SCL is made at 20 m, so its chip has half as many rows and columns. Asking for it *after* a 10 m
# band puts it on that band's grid, by nearest neighbour, because classes cannot be averaged.
#
# `ApplyMask` takes a mask, or an operator that makes one from the scene itself, so the pipeline
# below holds nothing of this scene and runs on the next one. The mask comes first: `DNToReflectance`
# would scale the class numbers too.

# %%
with_scl = load_s2_chip(bands=("B03", "B04", "B08", "SCL"))
cloud = MaskFromSCL("SCL")
masked_ndvi = ToFloat32() | ApplyMask(cloud, fill_value=np.nan) | DNToReflectance() | NDVI()
clear, drop = masked_ndvi(with_scl), cloud(with_scl).values
print("mask:", drop.shape, drop.dtype, f"{drop.mean():.2%} to drop")
print(f"valid pixels: {np.isfinite(clear.values).mean():.2%}")
assert np.isnan(clear.values[drop]).all()
assert np.array_equal(clear.values[~drop], right.values[~drop], equal_nan=True)

# %%
middle = int(drop.mean(axis=1)[200:-200].argmax())  # look where the most is dropped
around = {"y": slice(middle, middle + 400)}
fig, axes = plt.subplots(2, 1, figsize=(7.6, 4.3), layout="constrained", sharex=True)
plot(rgb(scene).isel(around), ax=axes[0], title="Clouds and their shadows")
plot(clear.isel(around), ax=axes[1], title="NDVI; grey is nodata, what SCL marks", **NDVI_STYLE)
axes[1].set_facecolor("0.6")  # seen through pixels without data
axes[0].set_xlabel("")
plt.show()

# %% [markdown]
# Each cloud is grey, and its shadow beside it. The classification is made at 20 m and misses thin
# rims, so a mask is often grown by a pixel or ten before it is used (`DilateMask`).

# %% [markdown]
# ## Two products in one pass
#
# `Fanout` gives one input to several operators and returns a dict. NDWI is positive over water, and
# also over some snow, cloud and shadow. An area is counted, so everything that shows no ground is
# masked first: clouds and their shadows, snow, and what SCL could not classify.

# %%
UNCLASSIFIED = 7
no_ground = MaskFromSCL("SCL", classes=(*SCL_CLOUDS_AND_INVALID, *SCL_SNOW, UNCLASSIFIED))
reflectance = ToFloat32() | ApplyMask(no_ground, fill_value=np.nan) | DNToReflectance()
products = (reflectance | Fanout({"ndvi": NDVI(), "ndwi": NDWI()}))(with_scl)
print({name: product.shape for name, product in products.items()})

KM2 = 100 / 1e6  # a pixel of 10 m by 10 m
everywhere = (DNToReflectance() | NDWI())(scene).values > 0
water = products["ndwi"].values > 0
hidden = everywhere & no_ground(with_scl).values
print(f"NDWI above 0, all pixels: {everywhere.sum() * KM2:.1f} km2 ({source})")
print(f"of which masked         : {hidden.sum() * KM2:.1f} km2")
print(f"water, masked first     : {water.sum() * KM2:.1f} km2")
assert np.array_equal(water, everywhere & ~hidden)

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.6, 8.4), layout="constrained")
styles = {"ndvi": ("NDVI: plants", "YlGn"), "ndwi": ("NDWI: open water", "PuOr")}
for ax, (name, (title, cmap)) in zip(axes, styles.items(), strict=True):
    label = f"{name.upper()} (unitless)"
    limits = {"vmin": -0.2, "vmax": 0.9} if name == "ndvi" else {"vmin": -0.9, "vmax": 0.9}
    plot(products[name], ax=ax, title=f"{title} (grey: nodata)", label=label, cmap=cmap, **limits)
    ax.set_facecolor("0.6")
axes[1].set_ylabel("")
fig.get_layout_engine().set(wspace=0.08)
plt.show()

# %% [markdown]
# An index sorts what it was made for and says little about the rest: clouds, snow and roads lie near
# zero in both, on either side of it. The count above is of water that was seen. The lake goes on under
# the clouds, so it is larger than that.
#
# ## A pipeline that explains itself
#
# In production one wants to know: did the input look as expected, what came out between, where did
# the time go? Each of these is an operator, so it slots between steps and changes no pixel.

# %%
profile, snapshot = Profile(), Snapshot()
ranges = []
instrumented = (
    AssertShape((4, None, None))
    | Tap(lambda x: ranges.append((int(x.values.min()), int(x.values.max()))))
    | profile.wrap(DNToReflectance())
    | snapshot.at("reflectance")
    | ShapeTrace(label="before the index")
    | profile.wrap(NDVI("B04", "B08"))
    | AssertDType("float32")
)
result = instrumented(scene)

assert np.array_equal(result.values, right.values, equal_nan=True)
print("range of the digital numbers:", ranges[0])
print("snapshot:", list(snapshot.keys()), snapshot["reflectance"].shape)

# %%
report = profile.report()
fig, ax = plt.subplots(figsize=(7, 1.8))
ax.barh(list(report), [entry["total"] * 1e3 for entry in report.values()], color="tab:blue")
ax.set(title="Where the time went", xlabel="time (ms)")
ax.invert_yaxis()
plt.show()

# %% [markdown]
# And when something is wrong, the check says what, before any time is spent:

# %%
try:
    instrumented(scene[:2])
except QCError as error:
    print("QCError:", error)
else:
    raise AssertionError("two bands must not pass a check for four")

# %% [markdown]
# ## When to use which
#
# | you want to | use |
# |---|---|
# | look at a value in passing | `Tap(fn)` |
# | keep a value for later | `Snapshot().at(key)` |
# | see types and shapes flow by | `ShapeTrace()` |
# | know where time goes | `Profile().wrap(op)` |
# | stop bad input at the door | `AssertShape`, `AssertDType`, `AssertHasAttribute` |
# | several products of one input | `Fanout({...})` |
# | something nobody has written yet | a class with `__init__` and `_apply`, or `Lambda(fn)` |

# %%
brightness = DNToReflectance() | Lambda(lambda x: x.values.mean(axis=0), name="brightness")
print(brightness, "->", brightness(scene).shape)
assert brightness(scene).shape == scene.shape[1:]

# %% [markdown]
# ## The same pipeline on a real scene
#
# Bolzano in South Tyrol, 12 June 2022. The operators do not change; the loader's arguments do. The
# cell is skipped, and says so, when no source holds that scene.

# %%
where = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
where["date_range"] = "2022-06-01/2022-06-30"
try:
    tyrol = load_s2_chip(**where)
    print(f"source: {tyrol.attrs['source']} ({tyrol.attrs['item_id']}), {tyrol.shape}")
except (NoSceneError, SourceUnavailableError) as error:
    tyrol = None
    print("skipped, no source has the South Tyrol scene:", type(error).__name__)

# %%
if tyrol is not None:
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    plot(rgb(tyrol), ax=axes[0], title="Bolzano, true colour")
    plot(instrumented(tyrol), ax=axes[1], title="Bolzano, NDVI", **NDVI_STYLE)
    fig.supxlabel("contains modified Copernicus Sentinel data 2022", size=8)
    plt.show()
    assert np.nanmax(np.abs(snapshot["reflectance"].values)) < 2

# %% [markdown]
# The city between two rivers, orchards in strips on the valley floor, and forest on the slopes
# above. The operators that were written on Lake Tahoe needed no change. Nor does the cloud-aware
# pipeline, which makes its mask from whatever scene it is given:

# %%
if tyrol is not None:
    clear = masked_ndvi(load_s2_chip(bands=("B04", "B08", "SCL"), **where))
    print(f"a cloudless day: SCL leaves {np.isfinite(clear.values).mean():.2%} of the pixels")
    assert clear.shape == tyrol.shape[1:]

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-03-grow
# Clouds have thin rims that SCL misses. Make an operator `grown` that marks what `cloud` marks and
# all pixels up to 3 pixels away. `DilateMask` grows a mask.
#
# ```python
# from geotoolz import DilateMask
#
# grown = ...
#
# # the check
# from scipy.ndimage import distance_transform_edt
#
# wide = grown(with_scl).values
# assert wide[drop].all()
# assert 3 <= distance_transform_edt(~drop)[wide].max() < 4.3
# ```
# :::
#
# :::{solution} ex-03-grow
# :class: dropdown
#
# ```python
# from geotoolz import DilateMask
#
# grown = cloud | DilateMask(3)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-03-green
# NDVI contrasts the near infrared with red. Contrast it with green (B03) instead: make a pipeline
# `gndvi` from digital numbers.
#
# ```python
# gndvi = ...
#
# # the check
# _, green, _, nir = DNToReflectance()(scene).values
# assert np.allclose(gndvi(scene).values, (nir - green) / (nir + green), atol=1e-4)
# ```
# :::
#
# :::{solution} ex-03-green
# :class: dropdown
#
# ```python
# gndvi = DNToReflectance() | NDVI("B03", "B08")
# ```
# :::

# %% [markdown]
# ## Recap
#
# | step | operator | output |
# |---|---|---|
# | search | `load_stac_items` | STAC items by rising cloud cover |
# | load | `load_s2_chip` | (C, H, W) uint16, offset removed |
# | reflectance | `DNToReflectance()` | float32, nodata as NaN |
# | mask | `ApplyMask(MaskFromSCL("SCL"))` | NaN where cloud or shadow |
# | index | `NDVI()`, `NDWI()` | (H, W) float32 |
# | observe | `Tap`, `Snapshot`, `ShapeTrace`, `Profile`, `Assert...` | the same pixels |
#
# **Key points**
#
# - The offset belongs to the product's processing baseline, not to its date.
# - Mask first, then count: an index says little about what it was not made for.
# - A check, a trace or a profile is a step like any other, and changes no pixel.
#
# **References**
#
# - European Space Agency, *Sentinel-2 Products Specification Document* and *Level-2A Algorithm Theoretical Basis Document*, <https://sentiwiki.copernicus.eu/web/s2-documents>
# - Tucker, C. J. (1979), *Remote Sensing of Environment* 8, 127-150, [doi:10.1016/0034-4257(79)90013-0](https://doi.org/10.1016/0034-4257%2879%2990013-0): NDVI
# - McFeeters, S. K. (1996), *International Journal of Remote Sensing* 17, 1425-1432, [doi:10.1080/01431169608948714](https://doi.org/10.1080/01431169608948714): NDWI
#
# **Where next.** [Image processing at the Caldor fire](04_image_processing_caldor.ipynb) measures a
# burn; [patching](05_patching_grids.ipynb) runs this pipeline chip by chip.
