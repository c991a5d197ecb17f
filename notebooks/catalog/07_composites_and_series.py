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
# # Composites and series
#
# **Question.** Two things are asked of an archive more than all others: a clear picture of a month,
# and a curve for each field. How does one get both in one call each, and how does one know when
# they are wrong?
#
# You will learn
#
# - `composite`: one raster a month from all scenes of a catalog, with the count of clear looks;
# - what a wrong mask and a forgotten offset do to it, in numbers;
# - `zonal`: the curve of each field, with the share of it that was seen;
# - to find the season and a harvest, and to look at the pictures before and after;
# - to write a cube in time that xarray and GDAL open alike.
#
# **Needs** no network. Where the sample archive is there (`GEOSTACK_ARCHIVE`), the scenes are 118
# real acquisitions over Flemish cropland, clouds and all; else the simulated summer at Lake Tahoe.
#
# **Before this.** [Catalogs](01_intro.ipynb). **Time.** 30 minutes to read, half a minute to run.
# Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import tempfile
from pathlib import Path

import geopandas as gpd
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rasterio
import shapely
import xarray as xr

import geotoolz as gz
from geostack import LAKE_TAHOE_TILE, NoSceneError, SourceUnavailableError, load_stac_items
from geotoolz.breaks import find_breaks
from geotoolz.carrier import rewrap
from geotoolz.season import season
from geotoolz.series import dates_of, whittaker
from geotoolz.viz import plot

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

# %%
flanders = ((3.0196, 50.8112, 3.0282, 50.8166), "2017-08-01/2018-11-30", "31UDS")
tahoe = ((-120.02, 38.93, -120.005, 38.945), "2024-06-01/2024-07-31", LAKE_TAHOE_TILE)
options = {"max_cloud_cover": None, "limit": None, "sign": True}
try:
    items = load_stac_items("sentinel-2-l2a", *flanders[:2], tile=flanders[2], **options)
except (NoSceneError, SourceUnavailableError):
    items = []
real = len(items) == 118
if not real:
    items = load_stac_items("sentinel-2-l2a", *tahoe[:2], tile=tahoe[2], **options)
is_simulated = bool(items[0].properties.get("geostack:simulated"))
items = sorted(items, key=lambda item: item.datetime)
source = "simulated" if is_simulated else "archive" if real else "live"
print(f"source: {source} ({items[0].id} and {len(items) - 1} more)")

# %% [markdown]
# One grid for everything that follows: 640 m of cropland at 10 m; at the lake a piece of that size.

# %%
west, north = (501_360, 5_629_680) if real else (760_000, 4_313_600)
epsg = 32631 if real else 32610
area = shapely.box(west, north - 640, west + 640, north)
everywhere = {
    "area": gpd.GeoSeries([area], crs=epsg),
    "resolution": 10,
    "crs": epsg,
    "progress": False,
}

# %% [markdown]
# ## A clear picture of each month
#
# `composite` takes the scenes of a catalog, or STAC items as here. Each scene is put onto the grid
# with its own clouds dropped and its own offset away; then the median is taken over those that are
# left. `count=True` adds how many there were. Nothing but the blocks under way is in memory, and
# `target=` would write the same to a COG or a Zarr store.

# %%
bands = ("B02", "B03", "B04", "B08") if real else ("B04", "B08")
months = gz.composite(items, bands, every="1MS", count=True, **everywhere)
starts = pd.to_datetime([start for start, _ in months.attrs["periods"]])
print(months.shape, months.attrs["band_names"])
looks = months.values[:, -1]
seen = np.isfinite(months.values[:, 0]).mean(axis=(1, 2))
print(f"{looks.mean():.1f} clear looks a month on average, {looks.max():.0f} at most")
assert ((looks == 0) == np.isnan(months.values[:, 0])).all(), "what nobody saw has no data"

# %% [markdown]
# Above the picture, below how often the ground was really seen: the month that was seen least, and the
# months of a summer. Grey is a place that no scene of the month saw: it has no data, and no
# neighbour's.


# %%
def picture(raster, title, ax, scale_bar=False):
    """Draw a raster (C, rows, cols) in true colours, of two bands in false ones."""
    shown = ("B04", "B03", "B02") if real else ("B08", "B04", "B04")
    rgb = gz.ToRGB(shown, limits=(150, 1600) if real else (0, 3000), gamma=1.3)
    plot(rgb(raster), ax=ax, title=title, axes="none", scale_bar=scale_bar, nodata=None)
    ax.set_facecolor("0.6")  # seen through pixels without data


def month(number):
    """Return one month of the composites, (C, rows, cols)."""
    return rewrap(months, months.values[number])


# %%
months_of_summer = np.arange(len(starts))[-8:-2] if real else np.arange(len(starts))
shown = np.unique([np.argmin(seen), *months_of_summer])
counts = plt.get_cmap("viridis").with_extremes(under="0.6")
style = {"cmap": counts, "vmin": 0.5, "vmax": looks.max(), "colorbar": False, "axes": "none"}
fig, axes = plt.subplots(2, len(shown), figsize=(10.5, 3.5), layout="constrained", squeeze=False)
for (upper, lower), number in zip(axes.T, shown, strict=True):
    picture(month(number), f"{starts[number]:%b %Y}", upper, scale_bar=number == shown[0])
    title = f"{looks[number].mean():.1f} looks"
    plot(month(number), band="clear", ax=lower, title=title, scale_bar=False, **style)
label = "clear looks (grey: none)"
fig.colorbar(lower.images[0], ax=axes, label=label, extend="min", shrink=0.9)
fig.suptitle(f"Composites of months ({source}), and how often each pixel was seen")
plt.show()

# %% [markdown]
# The month that was seen least is a warning: where one look counts, the median is that look, with
# whatever cloud the mask left in it.
#
# The same by hand, as a check: the whole cube of one month in memory, clouds as NaN, numpy's own
# median.


# %%
def cube_of(chosen, keys=("B04", "B08", "SCL")):
    """Read (T, C, rows, cols) on the grid by rasterio alone."""
    layers = []
    for item in chosen:
        own = []
        for key in keys:
            with rasterio.open(item.assets[key].href) as file:
                wide = file.window(west, north - 640, west + 640, north)
                own.append(file.read(1, window=wide, out_shape=(64, 64)))
        layers.append(own)
    return np.array(layers, float)


number = int(np.argmax(looks.mean(axis=(1, 2))))
inside = [item for item in items if f"{item.datetime:%Y-%m}" == f"{starts[number]:%Y-%m}"]
cube = cube_of(inside)
offset = 0 if real else 1000
clear = ~np.isin(cube[:, 2], gz.SCL_CLOUDS_AND_INVALID)
values = np.where(clear[:, None], np.maximum(cube[:, :2] - offset, 1), np.nan)
some = clear.any(axis=0)
by_hand = np.full((2, 64, 64), np.nan)
by_hand[:, some] = np.nanmedian(values[:, :, some], axis=0)
assert np.allclose(months.values[number, -3:-1], by_hand, rtol=1e-6, equal_nan=True)
print(f"{starts[number]:%B %Y}: {len(inside)} scenes, the same medians to 1e-6")

# %% [markdown]
# ## What a wrong mask does
#
# Three composites of one month's NDVI: without a mask, with a mask that knows only the surest
# clouds (class 9), and with all classes that are no ground. The first two look like pictures, too.

# %%
cloudiest = min(shown, key=lambda each: looks[each].mean() if looks[each].min() > 0 else np.inf)
when = f"{starts[cloudiest]:%Y-%m}"
masks = {"no mask": None, "class 9 alone": (9,), "all that is no ground": gz.SCL_CLOUDS_AND_INVALID}
maps = {
    name: gz.NDVI()(gz.composite(items, ("B04", "B08"), time=when, mask=mask, **everywhere))
    for name, mask in masks.items()
}


# %%
def side_by_side(maps, title):
    """Draw maps of NDVI with one colour bar, and the mean above each."""
    size = (3.1 * len(maps) + 0.8, 3.4)
    fig, axes = plt.subplots(1, len(maps), figsize=size, layout="constrained")
    style = {"cmap": "YlGn", "vmin": -0.2, "vmax": 0.9, "axes": "none", "colorbar": False}
    for ax, (name, each) in zip(axes, maps.items(), strict=True):
        above = f"{name}: mean {np.nanmean(each.values):.2f}"
        plot(each, ax=ax, title=above, scale_bar=ax is axes[0], **style)
    fig.colorbar(axes[0].images[0], ax=axes, label="NDVI (unitless)")
    fig.suptitle(title)
    plt.show()


side_by_side(maps, title=f"Composites of {starts[cloudiest]:%B %Y} with three masks ({source})")
whole, thin, good = (float(np.nanmean(each.values)) for each in maps.values())
print(f"mean NDVI: {whole:.2f} without a mask, {thin:.2f} with class 9 alone, {good:.2f} with all")
if real:
    assert whole < good - 0.05

# %% [markdown]
# In Flanders, without a mask, cloud lies over the fields and much of the NDVI is gone. With class 9
# alone the mean is close here, and the picture smoother than with all classes, which leave fewer
# looks in places. The mean does not say that thin cloud is out: compare masks on your own scenes.
#
# ## What a forgotten offset does
#
# Since baseline 04.00 Sentinel-2's numbers carry +1000. An archive of several years mixes both
# kinds. The Flemish dates are older, so here every second of them is written as it would be
# delivered today, with 1000 added and the new baseline in its item; at the lake all scenes have it.


# %%
def delivered_today(item):
    """Return an item whose B04 and B08 carry +1000, as baseline 05.10 has it."""
    newer = item.clone()
    newer.properties["s2:processing_baseline"] = "05.10"
    for key in ("B04", "B08"):
        with rasterio.open(item.assets[key].href) as file:
            pixels, profile = file.read(), file.profile
        path = folder / f"{item.id}_{key}.tif"
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.where(pixels > 0, pixels + 1000, 0).astype(pixels.dtype))
        newer.assets[key].href = str(path)
    return newer


# %%
summer = [
    item
    for item in items
    if item.datetime.month in (6, 7, 8) and item.datetime.year in (2018, 2024)
]
mixed = [delivered_today(item) if real and k % 2 else item for k, item in enumerate(summer)]
ndvi = {
    name: gz.NDVI()(gz.composite(mixed, ("B04", "B08"), radiometry=how, **everywhere))
    for name, how in (("each by its own baseline", "auto"), ("offset forgotten", None))
}

# %%
side_by_side(ndvi, title=f"Composites of the summer with two radiometries ({source})")
right, wrong = (float(np.nanmean(each.values)) for each in ndvi.values())
print(f"mean NDVI: {right:.2f}; with the offset forgotten {wrong:.2f}")
assert wrong < right - 0.05
if real:
    before = gz.NDVI()(gz.composite(summer, ("B04", "B08"), **everywhere))
    assert np.allclose(before.values, ndvi["each by its own baseline"].values, atol=1e-6)
    print("and the mixed archive gives the map of the old one, pixel by pixel")

# %% [markdown]
# Nothing in the right map warns the reader. It is as smooth as the left one, and too low everywhere.
# So the offset is taken away scene by scene, before anything is mixed; `radiometry=` takes any
# operator in its place.
#
# ## Fields, and their curves
#
# Four fields, drawn by hand where the pictures show one kind of ground. What grows there is not in
# the data, so they are called by their place. `zonal` opens each file once, weighs each pixel by the
# share of it that lies in the field, and tells beside each mean which share was clear.


# %%
def rectangle(left, top, right, bottom):
    """Return a box between pixel edges of the grid."""
    return shapely.box(west + 10 * left, north - 10 * bottom, west + 10 * right, north - 10 * top)


fields = gpd.GeoSeries(
    {
        "centre": rectangle(37, 29, 45, 37),
        "south": rectangle(40, 50, 47, 54),
        "north-east": rectangle(47, 3, 60, 14),
        "west": rectangle(28.5, 36, 33.5, 42),
    },
    crs=epsg,
)

# %%
how = {"operator": gz.NDVI("B04", "B08"), "mask": gz.SCL_CLOUDS_AND_INVALID, "progress": False}
rows = gz.zonal(items, fields, ["B04", "B08"], **how)
mean, share = (rows.pivot(index="date", columns="zone", values=name) for name in ("mean", "clear"))
curves = mean.where(share > 0.9)
print(
    f"{len(rows)} rows; {int(curves.notna().any(axis=1).sum())} of {len(curves)} dates show a field"
)
assert mean[share == 0].isna().all().all(), "no mean where nothing was seen"

# %%
colours = dict(zip(curves.columns, ("#0072b2", "#e69f00", "#009e73", "#cc79a7"), strict=True))
fig, (above, below) = plt.subplots(
    2, 1, figsize=(9, 4.4), sharex=True, height_ratios=(3, 1), layout="constrained"
)
for (name, colour), mark in zip(colours.items(), "os^D", strict=True):
    above.plot(curves[name].dropna(), mark + "-", ms=3, lw=1, color=colour, label=name)
title = f"NDVI of four fields, where more than 90 % of one was seen ({source})"
above.set(ylabel="NDVI (unitless)", ylim=(-0.05, 1.05), title=title)
fig.legend(ncols=4, frameon=False, loc="outside lower center", title="field")
below.bar(share.index, share["centre"], width=3, color=colours["centre"])
below.set(ylabel="clear share\nof centre", ylim=(0, 1))
below.xaxis.set_major_formatter(mdates.ConciseDateFormatter(below.xaxis.get_major_locator()))
plt.show()

# %% [markdown]
# The bars matter as much as the curves: on nearly half of the dates no field was seen almost whole.
# Those that were not seen at all are in the table with a share of 0 and no mean. They are not zeros,
# and nothing is filled in.
#
# ## Seasons
#
# A smoother that knows the dates' distances (Whittaker's) goes through what was seen. Start and end
# of a season are where it passes half of its height.

# %%
smooth = whittaker(curves.to_numpy(), curves.index, smoothing=300.0)
within = ("2018-04-26", "2018-10-15") if real else ("2024-06-01", "2024-07-31")
start, peak, end, base, height = season(smooth, curves.index, share=0.5, within=within)


def told(days):
    """Return days as dates in text, a dash where there is none."""
    return ["-" if pd.isna(day) else f"{pd.Timestamp(day):%Y-%m-%d}" for day in dates_of(days)]


seasons = pd.DataFrame(
    {"start": told(start), "peak": told(peak), "end": told(end), "height": np.round(height, 2)},
    index=curves.columns,
)
print(seasons.to_string())

# %% [markdown]
# Two of the fields were green since winter: their season has no start in this window, and none is
# made up.
#
# ## A harvest, found and looked at
#
# A break is a date at which the level of a curve changes more than its noise explains. 16 months are
# little more than one cycle, so each break has to be checked in the pictures.

# %%
found = find_breaks(
    curves.to_numpy(), curves.index, harmonics=1, level=0.01, max_breaks=6, trim=0.05
)
breaks = pd.DataFrame(
    [
        (name, *pd.to_datetime(dates_of(found[k, :2, column])).date, found[k, 2, column].round(2))
        for column, name in enumerate(curves.columns)
        for k in range(len(found))
        if np.isfinite(found[k, 2, column])
    ],
    columns=["field", "last before", "first after", "step"],
)
print(breaks.to_string(index=False))

# %% [markdown]
# A break is told by two dates: the last look before it and the first after it. What happened lies
# between them. A single low value is no break: on 23 September 2018 the scene
# classification takes cloud for ground, and the index is near 0 in all four fields at once. No cloud
# is called a harvest here, because the level has to stay low.

# %%
if real:
    missed = curves.loc["2018-09-23"].iloc[0]
    print(f"NDVI on 23 September 2018: {missed.min():.2f} to {missed.max():.2f} in four fields")
    assert not (breaks["first after"].astype(str) == "2018-09-23").any()

# %% [markdown]
# The largest fall of the field in the centre, in the pictures on either side:

# %%
falls = breaks[(breaks["field"] == "centre") & (breaks["step"] < -0.3)]
pair = []
if len(falls):
    harvest = falls.loc[falls["step"].idxmin()]
    pair = [harvest["last before"], harvest["first after"]]
else:  # nothing is harvested at the lake: its clearest dates
    best = share["centre"].sort_values(ascending=False, kind="stable").index[:2].sort_values()
    pair = list(best)
views = {}
for day in pair:
    (item,) = [each for each in items if f"{each.datetime:%Y-%m-%d}" == f"{day:%Y-%m-%d}"][:1]
    views[f"{day:%d %B %Y}"] = gz.composite([item], bands, mask=None, **everywhere)

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
for ax, (day, view) in zip(axes, views.items(), strict=True):
    picture(view, title=day, ax=ax, scale_bar=ax is axes[0])
    left, right, bottom, top = ax.images[0].get_extent()
    x, y = np.array(fields["centre"].exterior.xy)
    across, up = (x - west) / 640, (y - north + 640) / 640
    ax.plot(left + across * (right - left), bottom + up * (top - bottom), color="w", lw=1)
    ax.text(left + across.max() * (right - left), bottom + up.max() * (top - bottom), " centre")
    ax.texts[-1].set(color="w", va="bottom")
plt.show()
if real:
    drop = -float(curves["centre"].loc[str(pair[0]) : str(pair[1])].dropna().diff().sum())
    print(
        f"NDVI of the field in the centre: {drop:.2f} lower {(pair[1] - pair[0]).days} days later"
    )
    assert drop > 0.5

# %% [markdown]
# Green before, bare soil after, sharp along the field's edges: a harvest between the two looks. A
# cloud has no such edges. (The step in the table is between fitted levels, the fall here between
# two looks.)
#
# ## A cube to give away
#
# The same composites as a Zarr store: time, band, y and x, described as the CF conventions have it,
# so that other programs find dates and CRS. `chunks="series"` lays the dates of a place side by
# side, for curves; `"maps"` a date's pixels.

# %%
store = folder / "months.zarr"
gz.composite(items, bands, every="1MS", count=True, target=store, chunks="series", **everywhere)
with xr.open_zarr(store, consolidated=False) as cube:
    print(cube["data"].dims, cube["data"].shape, "from", str(cube.time.values[0])[:10])

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-comp-mean
# Make the composite of the month that was seen most often again, `starts[number]`, with the mean in
# the place of the median, as `by_mean`: red and near infrared. Where do the two differ most?
#
# ```python
# by_mean = ...
#
# # the check
# expected = np.nanmean(values[:, :, some], axis=0)
# assert np.allclose(by_mean.values[:, some], expected, rtol=1e-5)
# ```
# :::
#
# :::{solution} ex-comp-mean
# :class: dropdown
#
# ```python
# by_mean = gz.composite(
#     items, ("B04", "B08"), time=f"{starts[number]:%Y-%m}", reducer="mean", **everywhere
# )
# ```
#
# Most at the edges of clouds that the mask left: one bright value moves a mean, and moves a median
# hardly at all.
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-comp-grow
# Clouds have edges that the classification misses. Grow the mask of the same month by 30 m, which are
# three pixels, and count the clear looks of each pixel, as `grown` (rows, cols). How many are lost?
#
# ```python
# grown = ...
# print(f"{looks[number].mean() - grown.mean():.1f} of {looks[number].mean():.1f} looks are lost")
#
# # the check
# from scipy.ndimage import binary_dilation
#
# across, down = np.mgrid[-3:4, -3:4]
# disc = (across**2 + down**2 <= 9)[None]
# kept = ~binary_dilation(~clear, disc)
# inside = slice(3, -3), slice(3, -3)  # a cloud outside the area may grow into it
# assert np.array_equal(grown[inside], kept.sum(axis=0)[inside])
# ```
# :::
#
# :::{solution} ex-comp-grow
# :class: dropdown
#
# ```python
# wider = gz.MaskFromSCL("SCL") | gz.DilateMask(3)
# when = f"{starts[number]:%Y-%m}"
# counted = gz.composite(items, ("B04",), time=when, mask=wider, count=True, **everywhere)
# grown = counted.values[-1]
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-comp-inner
# Pixels on the edge of a field are half of something else. Shrink each field by 10 m and make the
# table `inner` of its means, as `rows` was made: four sides of 10 m less, and a count that shows it.
#
# ```python
# inner = ...
#
# # the check
# assert len(inner) == len(rows)
# whole = inner[inner.clear == 1]
# pixels = fields.buffer(-10).area / 100
# assert np.allclose(whole["count"], pixels.loc[whole.zone])
# ```
# :::
#
# :::{solution} ex-comp-inner
# :class: dropdown
#
# ```python
# inner = gz.zonal(items, fields.buffer(-10), ["B04", "B08"], **how)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | question | call | how to know that it is wrong |
# |---|---|---|
# | a clear picture of each month | `composite(items, bands, every="1MS", count=True)` | the count of looks beside it |
# | clouds away | `mask=` SCL classes, bits, any operator | compare with `mask=None` |
# | one scale for all years | `radiometry="auto"`, each scene by its own baseline | an index that is too low everywhere |
# | a curve for each field | `zonal(items, fields, operator=NDVI())` | the clear share beside each mean |
# | when did it change | `find_breaks` | the pictures before and after |
#
# Figures from the sample archive contain modified Copernicus Sentinel data 2017, 2018.
#
# **Key points**
#
# - Put the count of clear looks beside a composite, and the clear share beside a mean.
# - Look at the pictures before and after a break before you call it a harvest.
#
# **References**
#
# - Flood, N. (2013), *Remote Sensing* 5, 6481-6500, [doi:10.3390/rs5126481](https://doi.org/10.3390/rs5126481): medoid composites
# - Verbesselt, J. et al. (2010), *Remote Sensing of Environment* 114, 106-115, [doi:10.1016/j.rse.2009.08.014](https://doi.org/10.1016/j.rse.2009.08.014): breaks in series
# - European Space Agency, *Sentinel-2 Products Specification Document* and *Level-2A Algorithm Theoretical Basis Document*, <https://sentiwiki.copernicus.eu/web/s2-documents>
#
# **Where next.** [Time: windows that look back](../patching/05_time.ipynb) asks what a value of
# today may use; [Make a cloud-free composite](../../docs/how-to/cloud-free-composite.md) makes a
# map of a folder of files.
