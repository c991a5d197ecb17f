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
# # Catalogs: which files, where, when
#
# **Question.** An archive is a heap of files. How does one ask it for *this place in June*, and get
# pixels on one grid, without opening the files that do not matter?
#
# You will learn
#
# - to go from a search of a STAC service to a catalog, in one call and without opening a file;
# - to query it by box and time, in any CRS, and by the columns of its rows;
# - what a `GeoSlice` is: box, interval, pixel size, and one pixel grid;
# - to load a mosaic and a time series of just that slice.
#
# **Needs** no network: pixels come from a local archive, the live service or the embedded
# simulation, whichever is there; the line printed below says which. The last section reads real
# scenes where `GEOSTACK_ARCHIVE` holds them.
#
# **Before this.** [Operators on a Sentinel-2 scene](../03_operators_lake_tahoe.ipynb). **Time.** 25
# minutes to read, half a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rasterio

from geocatalog import GeoSlice, from_stac_items, from_stac_search
from geocatalog import load_raster, load_raster_timeseries
from geostack import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, NoSceneError, SourceUnavailableError
from geostack import load_stac_items
from geotoolz import NDVI, DNToReflectance, HarmonizeBaseline, MaskFromSCL
from geotoolz.viz import plot

sys.path.append("../servers")
from stac_service import StacService

# %% [markdown]
# ## From a search to a catalog
#
# A STAC service lists the items of an archive, and an item says where its files are, what they cover
# and when: a catalog's row. So that this lesson runs without a network, a service of its own is
# started on this machine, over the items of whichever source is there. A real one is named by its
# address, such as `https://planetarycomputer.microsoft.com/api/stac/v1`.

# %%
items = load_stac_items(
    "sentinel-2-l2a",
    LAKE_TAHOE_BBOX,
    "2024-06-01/2024-07-31",
    tile=LAKE_TAHOE_TILE,
    max_cloud_cover=None,
    limit=None,
)
is_simulated = bool(items[0].properties.get("geostack:simulated"))
source = "simulated" if is_simulated else "real"
print(f"source: {source} ({items[0].id})")

# %%
opened = []
really_open = rasterio.open
rasterio.open = lambda *args, **kwargs: opened.append(args) or really_open(*args, **kwargs)
with StacService(items) as service:
    catalog = from_stac_search(
        service.url,
        collections="sentinel-2-l2a",
        bbox=LAKE_TAHOE_BBOX,
        datetime="2024-06-01/2024-07-31",
        asset_key=["B04", "B08", "SCL"],
        page_size=10,
    )
rasterio.open = really_open

print(catalog)
print("pages asked for:", service.searches, "| files opened:", len(opened))
assert opened == []
same = from_stac_items(items, asset_key=["B04", "B08", "SCL"])

# %% [markdown]
# With several assets a row keeps them all, and they are the bands. Where an archive wants a token,
# rows hold addresses without one, and files are signed when they are opened: a catalog can be saved,
# shared and read after any token has expired.
#
# Four columns are always there: `filepath`, `start_time`, `end_time`, `geometry`. The rest came from
# the items. `.gdf` gives them as a GeoDataFrame, and `get_config()` says in plain JSON what the
# catalog is.

# %%
config = catalog.get_config()["config"]
print({key: config[key] for key in ("backend", "crs", "rows", "temporal_extent")})

# %%
table = catalog.gdf.sort_values("start_time")
table[["stac_item_id", "start_time", "cloud_cover", "processing_baseline", "resolution"]].head(4)

# %%
fig, ax = plt.subplots(figsize=(7.5, 2.6), layout="constrained")
ax.stem(table.start_time.dt.tz_localize(None), table.cloud_cover, basefmt=" ")
title = f"What the catalog knows before a pixel is read ({source})"
ax.set(title=title, ylabel="cloud cover (%)", ylim=(0, None))
ax.tick_params(axis="x", rotation=20)
plt.show()

# %% [markdown]
# ## Queries
#
# A query takes a box, a time, or both, and returns a catalog again. The box may be in any CRS: its
# edges are cut into short pieces before they are moved, because a straight line in degrees is a
# curve in metres.

# %%
west, south, east, north = LAKE_TAHOE_BBOX
in_degrees = catalog.query(bounds=LAKE_TAHOE_BBOX, crs="EPSG:4326", time="2024-07")
lake = GeoSlice(LAKE_TAHOE_BBOX, "2024-07", 0.0001, "EPSG:4326").to_crs(catalog.crs, resolution=10)
in_metres = catalog.query(lake)

print("July, asked in degrees:", len(in_degrees), "scenes; in metres:", len(in_metres))
print(
    "next door, in Nevada  :", len(catalog.query(bounds=(-116, 39, -115, 40), crs=4326)), "scenes"
)
assert in_degrees.gdf.item_id.tolist() == in_metres.gdf.item_id.tolist()

# %%
fig, ax = plt.subplots(figsize=(5.2, 5), layout="constrained")
catalog.plot(ax=ax, column=None, alpha=0.04)
x0, y0, x1, y1 = lake.bounds
ax.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fc="tab:orange", ec="black", alpha=0.8))
ax.annotate("the lake", ((x0 + x1) / 2, y1), ha="center", va="bottom")
ax.set_title(f"{len(catalog)} footprints on one tile, and a box")
plt.show()

# %% [markdown]
# Rows are also filtered by their columns, with a SQL expression. It is parsed and checked node by
# node before it runs, so a hostile one is refused rather than run.

# %%
clear = in_degrees.where("cloud_cover < 5")
print(
    "clear in July:",
    len(clear),
    "| days:",
    ", ".join(clear.gdf.start_time.dt.strftime("%d").sort_values()),
)
try:
    catalog.where("cloud_cover < 5; DROP TABLE rows")
except ValueError as error:
    print(type(error).__name__ + ":", str(error)[:64], "...")

# %% [markdown]
# ## One rule for time
#
# Everything is UTC. Intervals are closed: what only touches is in. A date written as text covers
# its whole day, a timestamp is an instant.

# %%
first = table.iloc[0]
day = f"{first.start_time:%Y-%m-%d}"
assert len(catalog.query(time=day)) == 1, "a day covers the hour of the overpass"
assert len(catalog.query(time=pd.Timestamp(day))) == 0, "midnight does not"
local = first.start_time.tz_convert("America/Los_Angeles")
print(first.start_time, "is", local)

# %% [markdown]
# ## Slices: one pixel grid
#
# A `GeoSlice` adds a pixel size, and with it a grid: edges lie on multiples of the pixel, bounds are
# snapped outward. Every load of a slice comes on that grid. Each row of a catalog is a slice too, on
# its file's own grid.

# %%
print(lake)
print("pixels:", lake.shape, "| of a whole scene:", next(catalog.iter_slices()).shape)
x0, y0, x1, y1 = lake.grid_bounds
odd = GeoSlice((x0 + 3, y0 + 3, x1 - 3, y1 - 3), lake.interval, 10, lake.crs)
assert odd.grid_bounds == lake.grid_bounds, "three metres less is the same grid"

# %% [markdown]
# ## A mosaic
#
# `load_raster` reads the window of each file that touches the slice, at the overview that fits, and
# merges them. Here at 40 m, from two parts of the catalog: of the scenes with more than 10 % cloud the
# last one on top, and of the others the median. `band_indexes` leaves SCL out, because the median of
# two class numbers is some third class.

# %%
coarse = GeoSlice(lake.bounds, "2024-06/2024-07", 40, lake.crs)
cloudy, others = catalog.where("cloud_cover > 10"), catalog.where("cloud_cover <= 10")
latest = load_raster(cloudy, coarse, band_indexes=[1, 2], merge_method="last")
median = load_raster(others, coarse, band_indexes=[1, 2], merge_method="median")
print(median.attrs["band_names"], median.shape, "from", len(median.attrs["files"]), "files")
assert len(median.attrs["files"]) == len(others)

# %% [markdown]
# A catalog gives the numbers that are in the files, and since processing baseline 04.00 Sentinel-2's
# hold an offset of +1000. A mosaic of many files has no baseline of its own, so
# `HarmonizeBaseline` is told: the rows know. Rows from before and after 04.00 must not be merged
# as they are; harmonise each before, as the last lesson of this part does.

# %%
baselines = set(catalog.gdf.processing_baseline)
print("processing baselines:", baselines)
index = HarmonizeBaseline(baseline=min(baselines)) | DNToReflectance() | NDVI("B04", "B08")

style = {"label": "NDVI (unitless)", "cmap": "YlGn", "vmin": -0.2, "vmax": 0.9}
fig, axes = plt.subplots(1, 2, figsize=(7.6, 6.6), layout="constrained")
plot(index(latest), ax=axes[0], title="The last of the cloudy scenes", colorbar=False, **style)
plot(index(median), ax=axes[1], title="Median of the others", **style)
plt.show()

# %% [markdown]
# A cloud is rarely twice in one place, so the median is clear although hardly a scene is.
#
# ## A time series
#
# One mosaic for each acquisition date. A square kilometre by the lake, in its own 10 m pixels, through
# the operators of the walkthrough. What grows there? SCL's clearest date says.

# %%
square = GeoSlice((764500, 4316000, 765500, 4317000), "2024-06/2024-07", 10, catalog.crs)
series = load_raster_timeseries(catalog, square)
print(series.shape, "from", series.attrs["dates"][0], "to", series.attrs["dates"][-1])
scl = min(series, key=lambda step: MaskFromSCL("SCL")(step).values.mean()).values[2]
cover = {
    name: float(np.mean(scl == code)) for code, name in {4: "vegetation", 5: "bare soil"}.items()
}
print("the clearest date:", ", ".join(f"{name} {share:.0%}" for name, share in cover.items()))


# %%
def mean_ndvi(series, index):
    """Return the mean NDVI of each date: as it comes, and where SCL sees ground in most pixels."""
    raw, masked = [], []
    for step in series:  # (B04, B08, SCL)
        ndvi, hidden = index(step).values, MaskFromSCL("SCL")(step).values
        raw.append(np.nanmean(ndvi))
        masked.append(np.nanmean(ndvi[~hidden]) if hidden.mean() < 0.5 else np.nan)
    days = pd.to_datetime(series.attrs["dates"])
    return pd.DataFrame({"as it comes": raw, "masked": masked}, index=days)


by_date = mean_ndvi(series, index)

fig, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
ax.plot(by_date["as it comes"], "o-", color="0.7", label="as it comes")
ax.plot(by_date["masked"].dropna(), "o-", color="tab:green", label="clouds masked by SCL")
title = f"A square kilometre by the lake, {cover['vegetation']:.0%} vegetation ({source})"
ax.set(title=title, ylabel="mean NDVI (unitless)")
ax.tick_params(axis="x", rotation=20)
ax.legend()
plt.show()

# %% [markdown]
# ## The same on a real archive
#
# 118 acquisitions of cropland in Flanders, 2017 and 2018, where clouds are real. One thing changes:
# these scenes are older than the offset, and nothing is to be taken away. The section is skipped,
# and says so, when no archive holds them.

# %%
try:
    real_items = load_stac_items(
        "sentinel-2-l2a",
        (3.019, 50.813, 3.028, 50.819),
        "2017-08-01/2018-11-30",
        tile="31UDS",
        max_cloud_cover=None,
        limit=None,
        source="archive",
    )
    flanders = from_stac_items(real_items, asset_key=["B04", "B08", "SCL"])
    print("source: archive,", flanders)
except (NoSceneError, SourceUnavailableError) as error:
    flanders = None
    print("skipped, no archive has the Flanders scenes:", type(error).__name__)

# %%
if flanders is not None:
    whole = GeoSlice(flanders.total_bounds, "2017-08/2018-11", 10, flanders.crs)
    series = load_raster_timeseries(flanders, whole)
    field = mean_ndvi(series, DNToReflectance() | NDVI("B04", "B08"))
    seen = field["masked"].dropna()
    fig, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
    ax.plot(field["as it comes"], ".", color="0.6", label=f"as it comes, {len(field)} dates")
    ax.plot(seen, "o-", ms=4, color="tab:green", label=f"mostly clear and masked, {len(seen)}")
    ax.set(title="Cropland in Flanders, real clouds", ylabel="mean NDVI (unitless)")
    ax.set_ylim(-0.05, 1.05)
    ax.legend(ncols=2)
    fig.supxlabel("contains modified Copernicus Sentinel data 2017-2018", size=8)
    plt.show()

# %%
if flanders is not None:
    cloudy_days = flanders.where("cloud_cover > 50")
    print(len(cloudy_days), "of", len(flanders), "acquisitions are more than half cloud")

# %% [markdown]
# Grey points near zero are clouds. What is left moves slowly, as fields do; a lone green point at
# zero is a cloud that the classification took for ground.

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-cat-june
# Which scenes of June 2024 over the lake have less than 10 % cloud? Answer with a catalog `june`.
#
# ```python
# june = ...
#
# # the check
# table = catalog.gdf
# asked = table[(table.cloud_cover < 10) & (table.start_time.dt.strftime("%Y-%m") == "2024-06")]
# assert set(june.gdf.item_id) == set(asked.item_id)
# ```
# :::
#
# :::{solution} ex-cat-june
# :class: dropdown
#
# ```python
# june = catalog.query(bounds=LAKE_TAHOE_BBOX, crs="EPSG:4326", time="2024-06")
# june = june.where("cloud_cover < 10")
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-cat-slice
# Make the slice `half`: the lake's box and time, in pixels of 20 m. Its edges are snapped outward to
# whole pixels.
#
# ```python
# half = ...
#
# # the check
# assert half.shape == (1968, 800)
# assert half.crs == lake.crs
# assert half.interval == lake.interval
# ```
# :::
#
# :::{solution} ex-cat-slice
# :class: dropdown
#
# ```python
# half = GeoSlice(lake.bounds, lake.interval, 20, lake.crs)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | you ask | you write | files opened |
# |---|---|---|
# | what is there | `from_stac_items(items, asset_key=[...])` | 0 |
# | where and when | `catalog.query(bounds=..., crs=..., time="2024-07")` | 0 |
# | which of them | `catalog.where("cloud_cover < 5")` | 0 |
# | on which grid | `GeoSlice(bounds, interval, resolution, crs)` | 0 |
# | the pixels | `load_raster(catalog, slice_)` | those that touch, windows only |
# | over time | `load_raster_timeseries(catalog, slice_)` | as above, a mosaic a day |
#
# **Key points**
#
# - A query opens no file; pixels are read when a slice is loaded.
# - A slice fixes place, time and one pixel grid, so loads of it can be compared.
# - Say of a mosaic which scenes are in it.
#
# **References**
#
# - STAC specification, <https://stacspec.org>
# - GeoParquet specification 1.1, <https://geoparquet.org>
# - European Space Agency, *Sentinel-2 Products Specification Document* and *Level-2A Algorithm Theoretical Basis Document*, <https://sentiwiki.copernicus.eu/web/s2-documents>
#
# **Where next.** [Backends](02_backends.ipynb): files without STAC, cubes and vectors;
# [set algebra](03_set_algebra.ipynb): catalogs combined; [DuckDB](04_duckdb.ipynb): a million rows.
