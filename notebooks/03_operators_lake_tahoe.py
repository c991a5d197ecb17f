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
# **Needs** no network. Two real scenes lead where an archive has them, or the live service: Bolzano in
# South Tyrol, without a cloud, and a field in Flanders under many. Lake Tahoe follows where the offset
# has to be seen, which both have lost; without a network it is simulated. Where no source has the real
# scenes, Lake Tahoe takes their place. Each part prints which source it used.
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
from geotoolz import Lambda, MaskFromSCL, Sequential, ShapeTrace, Snapshot, Tap, ToRGB
from geotoolz.cloud import SCL_CLASSES, SCL_CLOUDS_AND_INVALID, SCL_SNOW, SCL_WATER
from geotoolz.viz import plot
from pipekit import AssertDType, AssertShape, Profile, QCError

# %% [markdown]
# ## Find a scene
#
# A search asks for a collection, a box and a time, and answers with STAC items by rising cloud
# cover. No pixel is read.

# %%
BOLZANO = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
BOLZANO["date_range"] = "2022-06-01/2022-06-30"
TAHOE = {"bbox": LAKE_TAHOE_BBOX, "tile": LAKE_TAHOE_TILE}
TAHOE["date_range"] = "2024-06-01/2024-07-15"

where, place, credit = TAHOE, "Lake Tahoe", ""
try:
    load_stac_items("sentinel-2-l2a", **BOLZANO)
    where, place = BOLZANO, "Bolzano"
    credit = "contains modified Copernicus Sentinel data 2022"
except (NoSceneError, SourceUnavailableError) as error:
    print("no source has the scene of Bolzano:", type(error).__name__)
for search in (where, TAHOE):
    items = load_stac_items("sentinel-2-l2a", **search, max_cloud_cover=15)
    for item in items[:3]:
        cover = item.properties["eo:cloud_cover"]
        print(f"{item.datetime:%Y-%m-%d}  cloud {cover:5.2f} %  {item.id}")

# %% [markdown]
# ## Load one chip
#
# `load_s2_chip` takes the clearest scene and reads the window of the box from each band, side by
# side. What comes back is a `GeoTensor`: an array that knows its transform, CRS and band names.

# %%
scene = load_s2_chip(**where)
source = scene.attrs["source"]
print(f"source: {source} ({scene.attrs['item_id']})")
print("shape :", scene.shape, scene.dtype)
print("bands :", scene.attrs["band_names"])
print("crs   :", scene.crs, "bounds:", tuple(scene.bounds))

# %%
rgb = DNToReflectance() | ToRGB(bands=("B04", "B03", "B02"), limits=(0, 0.2))
fig, ax = plt.subplots(figsize=(8, 5.8), layout="constrained")
plot(rgb(scene), ax=ax, title=f"{place}, true colour, {scene.attrs['datetime'][:10]}")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# The city lies between two rivers, orchards in strips on the valley floor, forest on the slopes.
# Reflectance 0 is drawn black and 0.2 as bright as the screen can: the same limits serve for every
# scene, so two of them can be compared by eye. A map of a simulated scene carries that word in its
# corner.

# %% [markdown]
# ## Digital numbers, reflectance, and a matter of -1000
#
# A *digital number* (DN) is the integer in the file. The *processing baseline* is the version of ESA's
# processor that wrote it. From baseline 04.00 on, the processor adds 1000 to every digital number, so
# that dark pixels need not be clipped at zero, and reflectance is `(DN - 1000) / 10000`. That baseline
# came in January 2022, but it is not the date of the picture that counts: ESA has reprocessed older
# scenes since, and they carry the offset too. Ask the product for its baseline. Whoever provided the
# scene of Bolzano had taken the offset away already. At Lake Tahoe the loader asks, and takes it away
# (`harmonize=True`):

# %%
lake, raw = load_s2_chip(**TAHOE), load_s2_chip(**TAHOE, harmonize=False)
print(f"source: {lake.attrs['source']} ({lake.attrs['item_id']})")
for name, chip in (("first scene", scene), ("Lake Tahoe", lake), ("harmonize=False", raw)):
    baseline = chip.attrs["processing_baseline"] or "not told"
    print(f"{name:16} baseline {baseline}, offset removed: {chip.attrs['offset_applied']}")

# %% [markdown]
# What happens to NDVI when nobody does? A constant added to both bands leaves their difference and
# swells their sum, so every NDVI shrinks towards zero, and most where both bands are dark.

# %%
ndvi = DNToReflectance() | NDVI()  # finds B04 and B08 by their names
right, wrong = ndvi(lake), ndvi(raw)
water = right.values < 0
for name, pixels in {"water": water, "land": ~water}.items():
    medians = [float(np.nanmedian(map_.values[pixels])) for map_ in (right, wrong)]
    print(f"median NDVI of {name:5}: right {medians[0]:+.2f}, offset left in {medians[1]:+.2f}")
    assert abs(medians[1]) < 0.7 * abs(medians[0])

fig, ax = plt.subplots(figsize=(7, 3))
bins = np.linspace(-1, 1, 121)
ax.hist(right.values.ravel(), bins, histtype="step", label="offset removed", color="tab:blue")
ax.hist(wrong.values.ravel(), bins, histtype="step", label="offset left in", color="tab:orange")
ax.set(title=f"Lake Tahoe ({lake.attrs['source']}): NDVI and the offset", xlim=(-0.6, 1))
ax.yaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
ax.set(xlabel="NDVI (unitless)", ylabel="pixels (millions)")
ax.legend()
plt.show()

# %% [markdown]
# The whole histogram is squeezed: water, with the lowest reflectance, collapses onto zero, and land
# loses much of its range. Nothing fails, and the map still looks like one: only a series that mixes
# products from before and after baseline 04.00 shows a step. `HarmonizeBaseline` does by hand what
# the loader did, and leaves data alone that say the offset is gone.

# %%
harmonize = HarmonizeBaseline()
print("by hand, the same:", np.array_equal(harmonize(raw).values, lake.values))
print("twice, no change :", np.array_equal(harmonize(lake).values, lake.values))

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
fig, ax = plt.subplots(figsize=(8, 5.6), layout="constrained")
NDVI_STYLE = {"label": "NDVI (unitless)", "cmap": "YlGn", "vmin": -0.2, "vmax": 0.9}
plot(ndvi(scene), ax=ax, title=f"{place}, NDVI: the greener, the more leaves", **NDVI_STYLE)
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# ## Clouds out
#
# Over Flanders, on 14 August 2018, clouds were scattered. A Level-2A product, whose numbers are
# reflectance at the ground, comes with a scene classification, SCL, which tells for each pixel
# what was seen there:

# %%
FLANDERS = {"bbox": (3.0196, 50.8112, 3.0282, 50.8166), "tile": "31UDS", "max_cloud_cover": None}
names = ("B02", "B03", "B04", "B08", "SCL")
try:
    with_scl = load_s2_chip(**FLANDERS, date_range="2018-08-14/2018-08-14", bands=names)
    sky, sky_credit = "Flanders", "contains modified Copernicus Sentinel data 2018"
except (NoSceneError, SourceUnavailableError):
    with_scl = load_s2_chip(**TAHOE, bands=names)[:, 3200:3600, 682:1282]
    sky, sky_credit = "Lake Tahoe", ""
print(f"source: {with_scl.attrs['source']} ({with_scl.attrs['item_id']})")
codes, counts = np.unique(with_scl.values[4], return_counts=True)
for code, count in zip(codes, counts, strict=True):
    print(f"{code:3} {SCL_CLASSES[int(code)][0]:28} {count / counts.sum():7.2%}")

# %% [markdown]
# SCL is made at 20 m. Asking for it *after* a 10 m band puts it on that band's grid, by nearest
# neighbour, because classes cannot be averaged.
#
# `MaskFromSCL` turns it into a mask where True means *drop*, and `ApplyMask` writes NaN there, once
# there are floats that can hold one. `ApplyMask` takes a mask, or an operator that makes one from the
# scene itself, so the pipeline below holds nothing of this scene and runs on the next one. The SCL
# goes through `DNToReflectance` unchanged: its band is known by its name, and a class is never scaled.

# %%
cloud = MaskFromSCL("SCL")
masked_ndvi = DNToReflectance() | ApplyMask(cloud, fill_value=np.nan) | NDVI()
clear, drop = masked_ndvi(with_scl), cloud(with_scl).values
print("mask:", drop.shape, drop.dtype, f"{drop.mean():.1%} to drop")
assert np.isnan(clear.values[drop]).all()

# %%
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3), layout="constrained")
bright = DNToReflectance() | ToRGB(bands=("B04", "B03", "B02"), limits=(0, 0.3))
plot(bright(with_scl[:4]), ax=axes[0], title=f"{sky}: clouds and their shadows")
plot(with_scl, band="SCL", ax=axes[1], title="What SCL makes of them")
plot(clear, ax=axes[2], title="NDVI; grey is nodata", **NDVI_STYLE)
for ax in axes[1:]:
    ax.set_ylabel("")
fig.supxlabel(sky_credit, size=8)
plt.show()

# %% [markdown]
# The classification misses thin rims and small clouds, and takes some of them for bare soil. So a
# mask is often grown by a pixel or ten before it is used (`DilateMask`).

# %% [markdown]
# ## Two products in one pass
#
# `Fanout` gives one input to several operators and returns a dict. NDWI is positive over water, and
# also over some snow, cloud and shadow. An area is counted, so everything that shows no ground is
# masked first: clouds and their shadows, snow, and what SCL could not classify.

# %%
UNCLASSIFIED = 7
no_ground = MaskFromSCL("SCL", classes=(*SCL_CLOUDS_AND_INVALID, *SCL_SNOW, UNCLASSIFIED))
reflectance = DNToReflectance() | ApplyMask(no_ground, fill_value=np.nan)
both = reflectance | Fanout({"ndvi": NDVI(), "ndwi": NDWI()})

KM2 = 100 / 1e6  # a pixel of 10 m by 10 m
for name, here in {place: where, "Lake Tahoe": TAHOE}.items():
    chip = load_s2_chip(**here, bands=("B03", "B04", "B08", "SCL"))
    everywhere = (DNToReflectance() | NDWI())(chip[:3]).values > 0
    water = both(chip)["ndwi"].values > 0
    print(
        f"{name:10} ({chip.attrs['source']}): NDWI above 0 on {everywhere.sum() * KM2:.2f} km2, "
        f"masked first {water.sum() * KM2:.2f}; SCL sees water on "
        f"{np.isin(chip.values[3], SCL_WATER).sum() * KM2:.2f}"
    )
    assert water.sum() <= everywhere.sum()
products = both(load_s2_chip(**where, bands=("B03", "B04", "B08", "SCL")))

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
styles = {"ndvi": ("NDVI: plants", "YlGn"), "ndwi": ("NDWI: open water", "PuOr")}
for ax, (name, (title, cmap)) in zip(axes, styles.items(), strict=True):
    label = f"{name.upper()} (unitless)"
    limits = {"vmin": -0.2, "vmax": 0.9} if name == "ndvi" else {"vmin": -0.9, "vmax": 0.9}
    plot(products[name], ax=ax, title=f"{title} (grey: nodata)", label=label, cmap=cmap, **limits)
axes[1].set_ylabel("")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# The rivers are purple; the rest of the valley lies below zero, forest furthest. An index sorts
# what it was made for and says little about the rest: clouds, snow and roads lie near zero in both,
# on either side of it. So the counts are not areas of water yet. At Bolzano, without a cloud, only
# pixels that SCL could not classify were masked; roofs and river banks lie above 0 as well, and SCL
# sees water on about a quarter of what is left; [area and
# accuracy](assessment/01_area_and_accuracy.ipynb) says how far such a count is off. At Lake Tahoe
# the lake goes on under the clouds, so it is larger than the count.
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

assert np.array_equal(result.values, ndvi(scene).values, equal_nan=True)
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

# %% [markdown]
# The operators hold nothing of one place. The same instrumented pipeline on the other scenes:

# %%
for name, chip in {sky: with_scl[:4], "Lake Tahoe": lake}.items():
    print(name, "median NDVI:", round(float(np.nanmedian(instrumented(chip).values)), 2))

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
# expected = (nir - green) / (nir + green)
# assert np.allclose(gndvi(scene).values, expected, atol=1e-4, equal_nan=True)
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
