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
# # Image processing at the Caldor fire
#
# **Question.** A forest burned in August 2021. From one scene before and one after: where, how
# badly, and how many square kilometres?
#
# You will learn
#
# - a display chain, `ToFloat32 | DNToReflectance | PercentileClip | Gamma`, and what each step does;
# - to keep clouds, shadows and water out of a comparison of two dates;
# - three indices in one pass with `Fanout`, and dNBR with the classes of the USGS;
# - to turn a map of classes into areas, with their unit, an interval, and what a threshold is worth.
#
# **Needs** no network. The display chain is shown on a real scene of Bolzano where a source has it; no
# archive here holds the fire, so without a network that is simulated, and the lines printed below say
# so. In the simulation the scar was
# *drawn* so that the published area burned: its numbers show how the measurement is made, not what
# happened. With a network and `GEOSTACK_SOURCE=planetary-computer` the same cells measure what burned
# inside this box. The box leaves out the ground where the fire began, so its area is smaller than the
# published one, which is of the whole perimeter.
#
# **Before this.** [Operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb). **Time.** 30
# minutes to read, a minute to run. Terms are explained where they first occur, and in the
# [glossary](../docs/reference/glossary.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

from geostack import CALDOR_BBOX, CALDOR_TILE, SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE
from geostack import NoSceneError, SourceUnavailableError, load_s2_chip
from geotoolz import NBR, NDVI, NDWI, ApplyMask, CombineMasks, DilateMask, DNToReflectance
from geotoolz import Fanout, Gamma, MaskFromSCL, Mosaic, PercentileClip, SelectBands, Sequential
from geotoolz import ToFloat32, ToRGB
from geotoolz.assess import estimate_samples, sample_design
from geotoolz.cloud import SCL_CLOUDS_AND_INVALID, SCL_SNOW, SCL_WATER
from geotoolz.viz import plot

# %% [markdown]
# ## From digital numbers to a picture
#
# First a picture: Bolzano in South Tyrol on 12 June 2022, where a source has that scene; else the
# simulated ground of the fire, before it.

# %%
BANDS = ("B02", "B03", "B04", "B08", "B12", "SCL")
try:
    valley = load_s2_chip(
        bbox=SOUTH_TYROL_BBOX, tile=SOUTH_TYROL_TILE, date_range="2022-06-01/2022-06-30"
    )
    credit = "contains modified Copernicus Sentinel data 2022"
except (NoSceneError, SourceUnavailableError):
    valley = load_s2_chip(bbox=CALDOR_BBOX, tile=CALDOR_TILE, date_range="2021-08-01/2021-08-13")
    credit = ""
print(f"source: {valley.attrs['source']} ({valley.attrs['item_id']}), {valley.shape}")

# %% [markdown]
# Reflectance of a forest is a few per cent: drawn as it is, the picture is black. A stretch between
# two percentiles of each band spreads what is there over 0..1, and a gamma above 1 lifts the dark
# half. Each step is one operator, and the chain is a value that can be reused.

# %%
true_colour = SelectBands(("B04", "B03", "B02"))
steps = {
    "reflectance": true_colour | ToFloat32() | DNToReflectance(),
    "stretched": true_colour | ToFloat32() | DNToReflectance() | PercentileClip(2, 98),
}
steps["with gamma"] = steps["stretched"] | Gamma(1.8)
as_it_is = ToRGB(bands=(0, 1, 2), limits=(0, 1))  # 0 is black, 1 is white

fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for ax, (title, chain) in zip(axes, steps.items(), strict=True):
    plot(as_it_is(chain(valley)), ax=ax, title=title)
    ax.set_ylabel("" if ax is not axes[0] else ax.get_ylabel())
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# The last picture shows nothing that the first does not hold, and the stretch has cut off the darkest
# and the brightest 2 % of each band. It is for the eye; every measurement below starts from
# reflectance again.
#
# ## The fire, before and after

# %%
TILES = (CALDOR_TILE, "10SGJ")  # the box crosses the edge between two tiles


def load(date_range):
    """Load the clearest scene of each tile in a range of dates, and join them."""
    parts = [
        load_s2_chip(bbox=CALDOR_BBOX, tile=tile, date_range=date_range, bands=BANDS)
        for tile in TILES
    ]
    return Mosaic()(*parts)


# %%
before, after = load("2021-08-01/2021-08-13"), load("2021-11-01/2021-11-30")
source = before.attrs["source"]
for name, scene in (("before", before), ("after", after)):
    print(f"source: {scene.attrs['source']} ({name}: {scene.attrs['item_id']} and its neighbour)")
print("shape:", before.shape, before.dtype, "| crs:", before.crs)
print("baselines:", before.attrs["processing_baseline"], after.attrs["processing_baseline"])
assert before.transform == after.transform

# %% [markdown]
# The box crosses the northern edge of tile 10SGH, and the loader gives the part inside the tile it
# is asked for. Neighbouring tiles of one UTM zone share one pixel grid, so `Mosaic` joins them
# without resampling; and both dates share it too, so what follows can subtract them. If one product
# were of processing baseline 04.00 or later and the other older, only one would carry Sentinel-2's
# offset, and the whole forest would seem to have changed; the loader takes it away, as
# [the lesson before](03_operators_lake_tahoe.ipynb) shows.

# %% [markdown]
# ### Short-wave infrared sees the burn
#
# Water in leaves absorbs short-wave infrared (B12, 2.2 um); char and bare soil reflect it. With B12
# as red, B08 as green and B04 as blue, living forest is green, a burn is red, bare rock is pale and
# water is black. The first snow is cyan: it is bright in all but short-wave infrared.

# %%
swir = SelectBands(("B12", "B08", "B04")) | DNToReflectance()
reference = swir(before).values
low, high = np.nanpercentile(reference[:, ::4, ::4], (2, 98), axis=(1, 2), keepdims=True)


def same_stretch(scene):
    """Stretch both dates by the limits of the first, so that colours can be compared."""
    bands = swir(scene)
    bands.values[:] = np.clip((bands.values - low) / (high - low), 0, 1)
    return bands


fig, axes = plt.subplots(1, 2, figsize=(7.4, 4.8), layout="constrained")
for ax, (name, scene) in zip(axes, (("before", before), ("after", after)), strict=True):
    date = scene.attrs["datetime"][:10]
    plot(same_stretch(scene), ax=ax, title=f"{name.capitalize()} the fire, {date}")
fig.suptitle("Red is B12, green is B08, blue is B04: a burn turns red")
plt.show()

# %% [markdown]
# ## What must not be compared
#
# A cloud in one of two scenes, or snow that fell in between, looks like change. `MaskFromSCL` marks
# the classes to drop on each date, and `CombineMasks` drops what either date drops.

# %%
not_land = (*SCL_CLOUDS_AND_INVALID, *SCL_WATER, *SCL_SNOW)
drop = MaskFromSCL(band_idx=5, classes=not_land)
unusable = CombineMasks()(drop(before), drop(after))
for name, mask in (("before", drop(before)), ("after", drop(after)), ("together", unusable)):
    print(f"dropped {name:9} {mask.values.mean():6.2%}")

# %% [markdown]
# ## Three indices in one pass
#
# NBR contrasts B08 with B12 and is made for burns; NDVI and NDWI come along for the price of their
# own arithmetic, since reflectance is computed once.

# %%
indices = Sequential([DNToReflectance(), Fanout({"NDVI": NDVI(), "NBR": NBR(), "NDWI": NDWI()})])
maps = {"before": indices(before), "after": indices(after)}
for date, products in maps.items():
    print(date, {name: round(float(np.nanmedian(p.values)), 3) for name, p in products.items()})

# %%
fig, axes = plt.subplots(2, 2, figsize=(7.6, 8), layout="constrained")
for row, (date, products) in zip(axes, maps.items(), strict=True):
    for ax, (name, cmap, low) in zip(
        row, (("NDVI", "YlGn", -0.2), ("NBR", "PuOr", -0.9)), strict=True
    ):
        style = {"cmap": cmap, "vmin": low, "vmax": 0.9, "label": f"{name} (unitless)"}
        plot(products[name], ax=ax, title=f"{name} {date} the fire", **style)
    row[1].set_ylabel("")
plt.show()

# %% [markdown]
# Both fall where it burned, NBR further than NDVI: it falls twice, because near infrared drops and
# short-wave infrared rises.
#
# ## dNBR and burn severity
#
# dNBR is NBR before minus NBR after, so it is high where NBR fell. `ApplyMask()` takes the mask as
# its second input here. Key and Benson (2006) gave the thresholds that the USGS uses for its
# severity classes.

# %%
dnbr = ApplyMask()(maps["before"]["NBR"] - maps["after"]["NBR"], unusable)
known = np.isfinite(dnbr.values)

CLASSES = {  # id: (name, lower limit of dNBR, colour)
    1: ("regrowth", -np.inf, "#1a7837"),
    2: ("unburnt", -0.10, "#d9d9d9"),
    3: ("low severity", 0.10, "#ffffb2"),
    4: ("moderate-low", 0.27, "#fecc5c"),
    5: ("moderate-high", 0.44, "#f03b20"),
    6: ("high severity", 0.66, "#7a0177"),
}
limits = [lower for _, lower, _ in CLASSES.values()]
severity = np.where(known, np.digitize(dnbr.values, limits[1:]) + 1, 0).astype(np.uint8)

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
dark = "0.35"  # of nodata: the middle of this colour map is nearly the usual grey
style = {"cmap": "PuOr_r", "vmin": -1, "vmax": 1, "label": "dNBR (unitless)", "nodata": dark}
plot(dnbr, ax=axes[0], title="dNBR: orange burned, dark grey is nodata", **style)
classes = dnbr.array_as_geotensor(severity, fill_value_default=0)
legend = {number: (name, colour) for number, (name, _, colour) in CLASSES.items()}
plot(classes, ax=axes[1], title="Burn severity, USGS classes", classes=legend, nodata=dark)
axes[1].set_ylabel("")
plt.show()

# %% [markdown]
# ## How much burned?
#
# A pixel is 10 m by 10 m, so an area is a count times 100 square metres. One acre is 4046.86 square
# metres.

# %%
PIXEL_KM2 = abs(before.transform.a * before.transform.e) / 1e6
KM2_PER_ACRE = 4046.8564224 / 1e6

areas = {name: (severity == k).sum() * PIXEL_KM2 for k, (name, _, _) in CLASSES.items()}
for name, km2 in areas.items():
    print(f"{name:14} {km2:7.1f} km2  {km2 / KM2_PER_ACRE:10,.0f} acres")
burnt = sum(km2 for name, km2 in areas.items() if name not in ("regrowth", "unburnt"))
print(f"{'burnt':14} {burnt:7.1f} km2  {burnt / KM2_PER_ACRE:10,.0f} acres")

# %%
assert np.isclose(sum(areas.values()), known.sum() * PIXEL_KM2)

fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
colours = [colour for _, _, colour in CLASSES.values()]
ax.barh(list(areas), list(areas.values()), color=colours, edgecolor="black", lw=0.5)
ax.set(title=f"Area per severity class ({source} scene)", xlabel="area (km$^2$)")
ax.invert_yaxis()
plt.show()

# %% [markdown]
# These are areas of this box, less what was dropped, and of nothing else. The area that an agency
# publishes is that of a perimeter: another extent, which also encloses islands that did not burn. Two
# areas are compared when both are of one piece of ground, and not otherwise.
#
# ### How far may it be off?
#
# Two things are uncertain. Where is the line between burnt and not? The count is made again for
# thresholds around 0.10. And where does the map err? 300 pixels are drawn, some in each class of
# the map (*stratified*), and somebody looks at each; here a rule on NDVI, which fell by more than
# 0.05 where leaves burned, stands in for that person. It is a weak stand-in: NDVI and NBR share the
# band B08, so they err together, and the true interval is wider. [Area and
# accuracy](assessment/01_area_and_accuracy.ipynb) explains both.

# %%
lost = maps["before"]["NDVI"].values - maps["after"]["NDVI"].values
tried = np.arange(0.05, 0.205, 0.01)
by_limit = [np.count_nonzero(dnbr.values >= limit) * PIXEL_KM2 for limit in tried]

binary = np.where(known, np.where(dnbr.values >= 0.1, 1, 2), 0).astype(np.uint8)
samples = sample_design(
    dnbr.array_as_geotensor(binary, fill_value_default=0), 300, least=100, seed=4
)
samples["reference"] = np.where(lost[samples["row"], samples["col"]] > 0.05, 1, 2)
estimate = estimate_samples(samples, pixel_area=PIXEL_KM2)
low, high = (bound[0] for bound in estimate.interval(0.95, method="wilson"))
print(f"counted, dNBR at least 0.10: {burnt:.0f} km2")
print(f"counted, at least 0.08 or 0.12: {np.interp([0.08, 0.12], tried, by_limit).round()} km2")
print(
    f"estimated from 300 pixels: {estimate.area[0]:.0f} km2, 95 % interval {low:.0f} to {high:.0f}"
)

# %%
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.plot(tried, by_limit, "o-", color="0.4", label="counted")
reach = [[estimate.area[0] - low], [high - estimate.area[0]]]
ax.errorbar(
    [0.1], estimate.area[:1], yerr=reach, fmt="s", color="#d55e00", capsize=5, label="estimated"
)
ax.set(title=f"Burnt area of this box ({source} scene)", xlabel="threshold of dNBR")
ax.set(ylabel="area (km$^2$)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# The interval says how far the estimate may be off when the observer is right; the curve says what the
# choice of a threshold moves. A single number with four digits hides both.
#
# And regrowth, three months after a fire? That cannot be. Where do those pixels lie?

# %%
snow = MaskFromSCL("SCL", classes=SCL_SNOW)(after)
near_snow = DilateMask(radius=10)(snow).values
for number in (1, 2):
    share = near_snow[severity == number].mean()
    print(f"{CLASSES[number][0]:8} within 100 m of snow on the second date: {share:.0%}")
if source == "simulated":
    assert near_snow[severity == 1].mean() > 0.8

# %% [markdown]
# It is the rim of the first snow, which SCL calls bare ground and NBR calls green. A mask that is to be
# relied on is grown: `drop | DilateMask(10)` in the cell of the masks leaves the rims out, and some
# good ground with them.
#
# ## A histogram, and what NDVI lost
#
# How sharp are those classes? Left, all values of dNBR with the thresholds between the classes;
# right, how much NDVI was lost in each.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3), layout="constrained")
axes[0].hist(dnbr.values[known], np.linspace(-0.3, 1.2, 151), color="0.6")
for name, lower, _ in list(CLASSES.values())[1:]:
    axes[0].axvline(lower, color="black", lw=0.6)
    axes[0].text(lower + 0.01, axes[0].get_ylim()[1] * 0.97, name, rotation=90, va="top", size=7)
axes[0].yaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
axes[0].set(title=f"No gap at any threshold ({source} scene)", xlabel="dNBR (unitless)")
axes[0].set_ylabel("pixels (millions)")

groups = [lost[severity == number] for number in range(2, 7)]
names = [CLASSES[number][0] for number in range(2, 7)]
axes[1].boxplot(groups, orientation="horizontal", tick_labels=names, showfliers=False)
axes[1].set(title=f"NDVI lost, by severity class ({source} scene)")
axes[1].set_xlabel("NDVI before minus after (unitless)")
plt.show()

# %%
medians = [float(np.nanmedian(group)) for group in groups]
print("median NDVI lost:", {n: round(m, 2) for n, m in zip(names, medians, strict=True)})
if source == "simulated":
    assert medians == sorted(medians)

# %% [markdown]
# The more severe the class, the more NDVI is lost. That is no second witness: both indices use B08, and
# a simulated fire changes all bands by one rule. Evidence would be a visit, a photograph from the air,
# or another sensor. The left picture has a peak of unburnt ground and one broad hump, with no gap at any
# threshold: the classes cut a continuum, so areas per class move with the thresholds, and the sum of
# the burnt ones with the lowest of them. On real scenes the peak is wider and seldom at zero, since
# August and November differ in sun and season as well; its place outside of the fire is what is
# subtracted first (Key and Benson, 2006, call it the offset of the pair).

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-04-threshold
# How many square kilometres burned with moderate severity or worse, that is with a dNBR of at least
# 0.27?
#
# ```python
# moderate_km2 = ...
#
# # the check
# names = ("moderate-low", "moderate-high", "high severity")
# assert np.isclose(moderate_km2, sum(areas[name] for name in names))
# ```
# :::
#
# :::{solution} ex-04-threshold
# :class: dropdown
#
# ```python
# moderate_km2 = np.count_nonzero(dnbr.values >= 0.27) * PIXEL_KM2
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-04-grow
# Grow the mask `unusable` by 10 pixels. How many square kilometres of regrowth are left outside it?
#
# ```python
# regrowth_km2 = ...
#
# # the check
# from scipy.ndimage import distance_transform_edt
#
# away = distance_transform_edt(~unusable.values)
# most, least = (PIXEL_KM2 * ((severity == 1) & (away > far)).sum() for far in (9, 15))
# assert least <= regrowth_km2 <= most
# ```
# :::
#
# :::{solution} ex-04-grow
# :class: dropdown
#
# ```python
# grown = DilateMask(radius=10)(unusable).values
# regrowth_km2 = ((severity == 1) & ~grown).sum() * PIXEL_KM2
# ```
# :::

# %% [markdown]
# ## Recap
#
# | step | operator |
# |---|---|
# | a picture for the eye | `ToFloat32` then `DNToReflectance`, `PercentileClip`, `Gamma` |
# | one stretch for two dates | limits of the first, applied to both |
# | leave out what cannot be compared | `MaskFromSCL`, `CombineMasks` |
# | several indices of one reflectance | `Fanout({"NDVI": NDVI(), "NBR": NBR(), ...})` |
# | burn severity | dNBR and the thresholds of Key and Benson (2006) |
# | an area with its interval | `estimate_samples(sample_design(...))`, for one extent |
#
# **Key points**
#
# - Compare two dates in reflectance, on one grid, where both show ground.
# - A class map cuts a continuum: its areas move with the thresholds, so say by how much.
# - Two indices that share a band are one witness, not two.
#
# **References**
#
# - Key, C. H. and Benson, N. C. (2006), *Landscape Assessment*, in FIREMON, USDA Forest Service RMRS-GTR-164-CD, [doi:10.2737/RMRS-GTR-164](https://doi.org/10.2737/RMRS-GTR-164): dNBR and its classes
# - Olofsson, P. et al. (2014), *Remote Sensing of Environment* 148, 42-57, [doi:10.1016/j.rse.2014.02.015](https://doi.org/10.1016/j.rse.2014.02.015): areas with their intervals
# - European Space Agency, *Sentinel-2 Products Specification Document* and *Level-2A Algorithm Theoretical Basis Document*, <https://sentiwiki.copernicus.eu/web/s2-documents>
#
# **Where next.** [Patching](05_patching_grids.ipynb) runs such a chain chip by chip, exactly; the
# [catalog](catalog/01_intro.ipynb) runs it over every scene of an archive.
