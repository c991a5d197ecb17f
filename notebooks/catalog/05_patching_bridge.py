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
# # From catalog to catalog
#
# **Question.** A pipeline works on one scene. What does it take to run it over an archive, so that
# the result can be asked in the same way as the input?
#
# You will learn
#
# - `CatalogDomain`: a catalog as slices to iterate;
# - `CatalogField`: a row as a Field, read window by window;
# - the loop over rows that everybody writes, and the same as one `CatalogPipeline`;
# - what happens to a bad row, and to a run that was interrupted.
#
# **Needs** no network: pixels come from a local archive, the live service or the embedded
# simulation; the line printed below says which.
#
# **Before this.** [Catalogs](01_intro.ipynb) and [patching](../05_patching_grids.ipynb). **Time.**
# 20 minutes to read, under half a minute to run. Terms are explained where they first occur, and in
# the [glossary](../../docs/reference/glossary.md).

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rasterio.windows import Window

from geocatalog import CatalogDomain, GeoSlice, from_stac_items, open_catalog, to_geoparquet
from geocatalog import load_raster
from geopatcher import SpatialHann, SpatialPatcher, SpatialRectangular, SpatialRegularStride
from geostack import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, NoSceneError, SourceUnavailableError
from geostack import load_stac_items
from geotoolz import NDVI, SCL_CLOUDS_AND_INVALID, SCL_SNOW, ApplyToChips, CatalogField
from geotoolz import CatalogPipeline, DNToReflectance, GridSampler, HarmonizeBaseline, Lambda
from geotoolz import MaskFromSCL, Stitch
from geotoolz.viz import plot

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

# %%
items = load_stac_items(
    "sentinel-2-l2a",
    LAKE_TAHOE_BBOX,
    "2024-06-01/2024-07-31",
    tile=LAKE_TAHOE_TILE,
    max_cloud_cover=None,
    limit=None,
    sign=True,
)
is_simulated = bool(items[0].properties.get("geostack:simulated"))
source = "simulated" if is_simulated else "real"
print(f"source: {source} ({items[0].id})")
catalog = from_stac_items(items, asset_key=["B04", "B08", "SCL"])

# %% [markdown]
# ## A catalog as a domain
#
# A patcher asks an array for its domain and walks over it. A catalog has one too: its slices, each
# on its own file's grid.

# %%
domain = CatalogDomain(catalog, resolution=10)
print(domain, "within", domain.bounds)
print("each slice:", {slice_.shape for slice_ in domain.slices()})

# %% [markdown]
# A row is a Field as well: `CatalogField` knows its domain without opening a file, and reads the
# window that is asked for.

# %%
row = next(catalog.iter_rows())
field = CatalogField(row)
corner = field.select(Window(col_off=5022, row_off=4876, width=256, height=256))
print(field, "->", corner.shape, corner.attrs["band_names"])

# %% [markdown]
# ## The loop
#
# Water, once a date: negative NDVI, where SCL sees neither cloud nor snow, whose NDVI is negative
# too. A catalog gives the files' own digital numbers, with the +1000 that Sentinel-2 adds since
# baseline 04.00; each row knows its `processing_baseline`, and `HarmonizeBaseline` goes by it. One
# operator for one scene, and the loop around it. The box holds the southern shore, at 20 m.

# %%
shore = (752000, 4312000, 766000, 4322000)
index = HarmonizeBaseline() | DNToReflectance() | NDVI("B04", "B08")
not_ground = MaskFromSCL("SCL", classes=(*SCL_CLOUDS_AND_INVALID, *SCL_SNOW))


def water_mask(scene):
    """(B04, B08, SCL) -> (H, W) uint8: 1 water, 0 land, 255 not seen."""
    mask = np.where(not_ground(scene), 255, index(scene).values < 0).astype("uint8")
    return scene[0].array_as_geotensor(mask, fill_value_default=255)


def read_shore(row):
    slice_ = GeoSlice(shore, row.interval, 20, row.crs)
    return CatalogField(row, slice_).load()


by_hand = {}
for row in catalog.where("cloud_cover < 3"):
    mask = water_mask(read_shore(row)).values
    by_hand[row.start_time] = 4e-4 * (mask == 1).sum()
print("\n".join(f"{day:%Y-%m-%d}  {area:6.2f} km2" for day, area in list(by_hand.items())[:3]))

# %% [markdown]
# It works, but nothing is written, a bad file ends it, a second run starts afresh, and the answer is a
# dict.
#
# ## The same as one pipeline
#
# A row goes through a reader, an operator and a writer. Each output is a cloud-optimised GeoTIFF, and
# the result is a catalog. `columns` adds what one wants to ask later.


# %%
def areas(mask):
    seen = mask.values != 255
    return {"water_km2": 4e-4 * float((mask.values == 1).sum()), "seen": float(seen.mean())}


pipeline = CatalogPipeline(
    catalog,
    Lambda(water_mask, name="water mask"),
    reader=read_shore,
    writer=folder / "water",
    workers=2,
    journal=folder / "water.jsonl",
    columns=areas,
)
report, masks = pipeline.run()
print(report)
print(masks)

# %%
table = masks.gdf
table[["item_id", "start_time", "cloud_cover", "seen", "water_km2", "resolution"]].head(4)

# %%
found = table.set_index("start_time").water_km2
assert all(np.isclose(found[day], area) for day, area in by_hand.items()), "the loop's numbers"

# %% [markdown]
# ## The result is a catalog
#
# It goes into a GeoParquet file, and comes back as anything a catalog can be asked for.

# %%
path = to_geoparquet(masks, folder / "water.parquet")
water = open_catalog(path)
seen = water.where("seen > 0.97").query(time="2024-07")
print(len(water), "masks,", len(seen), "of July that saw nearly everything")

# %% [markdown]
# A mask counts water only where its scene saw the ground. The median of all masks needs no scene to
# see everything, and it is one call, because the masks are a catalog:

# %%
grid = GeoSlice(shore, "2024-06/2024-07", 20, catalog.crs)
median = load_raster(water, grid, merge_method="median")
mostly = np.where(np.isfinite(median.values[0]), median.values[0] >= 0.5, 255).astype("uint8")
mostly_water = median[0].array_as_geotensor(mostly, fill_value_default=255)
print(f"{np.mean(mostly != 255):.1%} of the box was seen at least once")
assert np.mean(mostly != 255) > 0.99

# %%
fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
kinds = {0: ("land", "#e3d9b5"), 1: ("water", "#1f6f9f"), 255: ("never seen", "0.6")}
plot(
    mostly_water,
    ax=ax,
    title=f"Water on at least half of the clear dates ({source})",
    classes=kinds,
)
plt.show()

# %% [markdown]
# The lake, the ponds behind it, and the canals of the Tahoe Keys. Clouds moved on from date to date,
# so none is left. How far does each scene alone fall short of it?

# %%
total = 4e-4 * float((mostly == 1).sum())
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.axhline(
    total, color="0.5", ls="--", label=f"on at least half of the clear dates: {total:.1f} km²"
)
ax.scatter(100 * table.seen, table.water_km2, color="#1f6f9f", zorder=2, label="in one scene")
ax.set(title=f"A scene that sees less ground finds less water ({source})")
ax.set(xlabel="ground seen by the scene (% of the box)", ylabel="water (km²)")
ax.legend(loc="lower right")
plt.show()
assert table.seen.corr(table.water_km2, method="spearman") > 0.5
assert table.water_km2.max() < 1.01 * total

# %% [markdown]
# ## Patches inside rows
#
# With `CatalogField` as the reader the operator may begin with `GridSampler`: a whole scene of
# 10980 x 10980 pixels then passes through in chips, and is never in memory. Here on one smaller
# slice, against the whole-scene call.

# %%
patcher = SpatialPatcher(
    SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96), SpatialHann()
)
tiled = GridSampler(patcher) | ApplyToChips(index) | Stitch()


def shore_field(row):
    return CatalogField(row, GeoSlice(shore, row.interval, 20, row.crs))


two = catalog.query(time="2024-06-12/2024-06-14")
report, chipped = CatalogPipeline(two, tiled, reader=shore_field, writer=folder / "tiled").run()
_, whole = CatalogPipeline(two, index, reader=read_shore, writer=folder / "whole").run()
for row in two:
    at = GeoSlice(shore, row.interval, 20, row.crs)
    difference = load_raster(chipped, at).values - load_raster(whole, at).values
    assert np.nanmax(np.abs(difference)) < 1e-6
print(report, "- the same to 1e-6")

# %% [markdown]
# ## When something breaks
#
# One row names a file that is not there. The run goes on, and says so; a row is either wholly done
# and in the result, or listed with its error, under the name of its first file. Once the row is
# mended, the same call does that row and takes the others from the journal.

# %%
broken = catalog.gdf
broken.loc[3, "assets"] = broken.loc[3, "assets"].replace("_B08_", "_lost_")
damaged = type(catalog)(broken)

settings = {"reader": read_shore, "writer": folder / "again", "journal": folder / "again.jsonl"}
operator = Lambda(water_mask, name="water mask")
report, some = CatalogPipeline(damaged, operator, on_row_error="skip", **settings).run()
print(report)
(failure,) = report.failed
print(f"failed: {failure.error} in {Path(failure.filepath).name}")
assert report.done == len(catalog) - 1

# %%
report, all_of_them = CatalogPipeline(catalog, operator, **settings).run()
print(report)
assert (report.resumed, report.done) == (len(catalog) - 1, 1)

# %% [markdown]
# ## The same on a real archive
#
# 118 real acquisitions in Flanders, of which many are clouds. Their items record no baseline, and
# `HarmonizeBaseline` refuses to guess; they are of 2017 and 2018, processed before there was an
# offset, so the index does without it. Skipped, with a line that says so, when no archive holds
# them.

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
    flanders = from_stac_items(real_items, asset_key=["B04", "B08"])
    print("source: archive,", flanders)
except (NoSceneError, SourceUnavailableError) as error:
    flanders = None
    print("skipped, no archive has the Flanders scenes:", type(error).__name__)

# %%
if flanders is not None:
    vegetation = CatalogPipeline(
        flanders.where("cloud_cover < 10"),
        DNToReflectance() | NDVI("B04", "B08"),
        writer=folder / "flanders",
        workers=2,
        columns=lambda ndvi: {"mean_ndvi": np.nanmean(ndvi.values)},
    )
    report, greenness = vegetation.run()
    print(report)
    by_day = greenness.gdf.set_index("start_time").mean_ndvi.sort_index()
    by_day.index = by_day.index.tz_localize(None)
    fig, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
    ax.plot(by_day, "o-", color="tab:green", ms=4, label="a scene with less than 10 % cloud")
    ax.plot(by_day[by_day < 0.1], "o", ms=11, mfc="none", color="tab:red", label="to look at")
    ax.set(title="Cropland in Flanders, scene by scene", ylabel="mean NDVI (unitless)")
    ax.set_ylim(-0.05, 0.9)
    ax.legend(loc="lower left", ncols=2)
    fig.supxlabel("contains modified Copernicus Sentinel data 2017-2018", size=8)
    plt.show()

# %% [markdown]
# The one point at zero is a cloud that the classification took for ground: columns are there to be
# asked (`greenness.where("mean_ndvi < 0.1")`), and what they find is worth a look.

# %%
if flanders is not None:
    odd = greenness.where("mean_ndvi < 0.1")
    print("to look at:", odd.gdf.start_time.dt.strftime("%Y-%m-%d").tolist())

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-bridge-column
# Add a column of your own. `hidden` is a function that a pipeline takes as `columns`: it gives the
# part of the box that a scene did not see, `hidden_km2`. A pixel is 20 m wide.
#
# ```python
# def hidden(mask): ...
#
#
# pipeline = CatalogPipeline(
#     two, operator, reader=read_shore, writer=folder / "hidden", columns=hidden
# )
# _, mine = pipeline.run()
#
# # the check
# per_scene = masks.gdf.set_index("item_id").seen
# box_km2 = 14 * 10
# for row in mine:
#     share = row.extras["hidden_km2"] / box_km2
#     assert np.isclose(share, 1 - per_scene[row.extras["item_id"]])
# ```
# :::
#
# :::{solution} ex-bridge-column
# :class: dropdown
#
# ```python
# def hidden(mask):
#     return {"hidden_km2": 4e-4 * float((mask.values == 255).sum())}
#
#
# pipeline = CatalogPipeline(
#     two, operator, reader=read_shore, writer=folder / "hidden", columns=hidden
# )
# _, mine = pipeline.run()
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-bridge-ever
# Which pixels were water on at least one date? Make `ever`, a raster in which they are 1, by one call
# of `load_raster` over the masks. Nodata (not seen) does not count.
#
# ```python
# ever = ...
#
# # the check
# masks_on_grid = [load_raster(water.where(f"item_id = '{name}'"), grid).values for name in table.item_id]
# by_hand = np.any([mask == 1 for mask in masks_on_grid], axis=0)
# assert np.array_equal(ever.values == 1, by_hand)
# assert by_hand.sum() > (mostly == 1).sum()
# ```
# :::
#
# :::{solution} ex-bridge-ever
# :class: dropdown
#
# ```python
# ever = load_raster(water, grid, merge_method="max")
# ```
# :::

# %% [markdown]
# ## At ten thousand scenes
#
# | what | here | then |
# |---|---|---|
# | the catalog | in memory | `open_catalog("archive.parquet").query(...)`: rows are read as needed |
# | workers | 2 threads | `scheduler="dask"` or a `distributed.Client`: same code, same files |
# | memory | workers + 1 rows | the same; `CatalogField` and `GridSampler` for whole tiles |
# | a bad scene | listed | `on_row_error="skip"`, then `report.failed` is the list to look at |
# | a crash | the journal | the same: run again, only what is missing is done |
# | the answer | a catalog | a GeoParquet file that DuckDB, GeoPandas and a colleague can read |
#
# ## Recap
#
#     catalog row -> Field -> patches -> operator per patch -> stitched raster -> new catalog row
#
# **Key points**
#
# - A catalog goes in and a catalog comes out, so results are asked like inputs.
# - A bad row is skipped and named; an interrupted run goes on from its journal.
#
# **References**
#
# - STAC specification, <https://stacspec.org>
# - European Space Agency, *Sentinel-2 Products Specification Document* and *Level-2A Algorithm Theoretical Basis Document*, <https://sentiwiki.copernicus.eu/web/s2-documents>
#
# **Where next.** [Deployment](../07_deployment_shapes.ipynb) kills such a run, resumes it, and works
# out what ten thousand scenes cost; [DuckDB](04_duckdb.ipynb) for catalogs of a million rows;
# [streaming](../patching/06_streaming.ipynb) for scenes that do not fit into memory.
