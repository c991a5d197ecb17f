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
if is_simulated:
    assert len(domain) == 22
    assert {slice_.shape for slice_ in domain.slices()} == {(10980, 10980)}

# %% [markdown]
# A row is a Field as well: `CatalogField` knows its domain without opening a file, and reads the
# window that is asked for.

# %%
row = next(catalog.iter_rows())
field = CatalogField(row)
corner = field.select(Window(col_off=5022, row_off=4876, width=256, height=256))
print(field, "->", corner.shape, corner.attrs["band_names"])
assert field.domain.shape == (3, 10980, 10980)
assert corner.shape == (3, 256, 256)

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
# It works, and it is alone: nothing is written, a bad file ends it, a second run starts afresh, and
# the answer is a dict.
#
# ## The same as one pipeline
#
# reader, operator, writer; each output a cloud-optimised GeoTIFF; the result a catalog. `columns`
# adds what one wants to ask later.


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
assert report.done == len(masks) == len(catalog)

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
assert len(seen) < len(water)

# %%
ordered = table.sort_values("start_time")
fig, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
points = ax.scatter(
    ordered.start_time.dt.tz_localize(None), ordered.water_km2, c=100 * ordered.seen, cmap="viridis"
)
fig.colorbar(points, label="ground seen (%)")
ax.set(title=f"Water in the box, scene by scene ({source})", ylabel="water (km²)")
ax.tick_params(axis="x", rotation=20)
plt.show()

# %% [markdown]
# Scenes that saw less of the ground saw less water. The median of the masks knows better than any
# of them, and it is one call, because the masks are a catalog:

# %%
grid = GeoSlice(shore, "2024-06/2024-07", 20, catalog.crs)
always = load_raster(water, grid, merge_method="median")
fig, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
plot(
    always,
    ax=ax,
    title="Water in the median of all masks",
    cmap="Blues",
    vmin=0,
    vmax=1,
    label="water (0 no, 1 yes)",
)
plt.show()
assert np.isfinite(always.values).mean() > 0.99

# %% [markdown]
# The lake, the ponds behind it, and the canals of the Tahoe Keys. Clouds moved on from date to date,
# so none is left.
#
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
# and in the result, or listed with its error. Once the row is mended, the same call does that row
# and takes the others from the journal.

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
assert "_lost_" in failure.message

# %%
report, all_of_them = CatalogPipeline(catalog, operator, **settings).run()
print(report)
assert (report.resumed, report.done) == (len(catalog) - 1, 1)
assert len(all_of_them) == len(catalog)

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
    fig, ax = plt.subplots(figsize=(7.5, 2.6), layout="constrained")
    ax.plot(by_day.index.tz_localize(None), by_day, "o-", color="tab:green", ms=4)
    ax.set(title="One pipeline over the clear scenes of Flanders", ylabel="mean NDVI (unitless)")
    fig.supxlabel("contains modified Copernicus Sentinel data 2017-2018", size=8)
    plt.show()
    assert report.done == len(greenness) == len(flanders.where("cloud_cover < 10"))

# %% [markdown]
# The one point at zero is a cloud that the classification took for ground: columns are there to be
# asked (`greenness.where("mean_ndvi < 0.1")`), and what they find is worth a look.

# %%
if flanders is not None:
    odd = greenness.where("mean_ndvi < 0.1")
    print("to look at:", odd.gdf.start_time.dt.strftime("%Y-%m-%d").tolist())
    assert len(odd) == 1
scratch.cleanup()

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
