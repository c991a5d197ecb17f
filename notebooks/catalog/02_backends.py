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
# # Three kinds of file, one catalog
#
# **Question.** Not every archive has STAC items. There are folders of GeoTIFFs whose dates are in
# their names, cubes in NetCDF, and polygons somebody drew. Can all of them be asked in one way, and
# do image and label then lie on the same pixels?
#
# You will learn
#
# - `build_raster_catalog`, `build_xarray_catalog`, `build_vector_catalog`: headers only, in parallel;
# - dates from file names, and what a name that has none says;
# - to load a cube's time steps, and labels on exactly an image's grid;
# - to keep a catalog in a GeoParquet file.
#
# **Needs** no network: pixels come from a local archive, the live service or the embedded
# simulation; the line printed below says which. The files are made here from those pixels.
#
# **Before this.** [Catalogs](01_intro.ipynb). **Time.** 15 minutes to read, under half a minute to
# run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import tempfile
from pathlib import Path

import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import shapely
import xarray as xr
from rasterio.features import shapes

from geocatalog import CatalogError, GeoSlice, build_raster_catalog, build_vector_catalog
from geocatalog import build_xarray_catalog, from_geoparquet, load_raster, load_vector
from geocatalog import load_xarray, open_catalog, to_geoparquet
from geostack import load_s2_timestack
from geotoolz import NDVI, DNToReflectance, GeoTensor, write_cog
from geotoolz.viz import plot

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

# %% [markdown]
# ## Something to file
#
# Four clear dates of the southern shore of Lake Tahoe, red and near infrared.

# %%
shore = (-120.05, 38.93, -119.98, 38.98)
stack, dates, reference = load_s2_timestack(bbox=shore, bands=("B04", "B08"), max_items=4)
print(f"source: {stack.attrs['source']} ({stack.attrs['item_ids'][0]})")
print(stack.shape, [f"{day:%Y-%m-%d}" for day in dates])

# %%
(folder / "scenes").mkdir()
for day, values in zip(dates, stack.values, strict=True):
    attrs = {"band_names": ["B04", "B08"], "source": stack.attrs["source"]}
    scene = GeoTensor(values, stack.transform, stack.crs, fill_value_default=0, attrs=attrs)
    write_cog(scene, folder / "scenes" / f"shore_{day:%Y%m%dT%H%M%S}_10m.tif")

cube = xr.Dataset(
    {
        name: (("time", "y", "x"), (stack.values[:, band] * 1e-4).astype("float32"))
        for band, name in enumerate(("red", "nir"))
    },
    {"time": dates.tz_localize(None), "y": reference.y.values, "x": reference.x.values},
    attrs={"crs": str(stack.crs)},
)
cube.to_netcdf(folder / "shore.nc", engine="h5netcdf")

# %% [markdown]
# ## Rasters: the date is in the name
#
# A regular expression with a group called `date` finds it, and the format says how long it lasts:
# with a time of day an instant, without one the whole day. Headers are read once, many at a time.

# %%
files = sorted((folder / "scenes").glob("*.tif"))
images = build_raster_catalog(files, r"_(?P<date>\d{8}T\d{6})_", "%Y%m%dT%H%M%S")
print(images)
images.gdf[["start_time", "height", "width", "count", "dtype", "nodata", "resolution"]]

# %%
by_day = build_raster_catalog(files, r"_(?P<date>\d{8})T")
first = by_day.gdf.iloc[0]
print("as an instant:", images.gdf.start_time[0])
print("as a day     :", first.start_time, "to", first.end_time)
assert len(by_day.query(time=f"{dates[0]:%Y-%m-%d}T00:00")) == 1
assert len(images.query(time=f"{dates[0]:%Y-%m-%d}T00:00")) == 0

# %% [markdown]
# An error says what is wrong and with which file. A file is left out only when that is asked for, and
# then it is listed:


# %%
def explain(error):
    return str(error).replace(str(folder), "FOLDER")


try:
    build_raster_catalog(files, r"^S2_(?P<date>\d{8})")
except CatalogError as error:
    print(explain(error), "\n")

(folder / "scenes" / "shore_20240801T000000_10m.tif").write_bytes(b"cut short")
everything = sorted((folder / "scenes").glob("*.tif"))
some = build_raster_catalog(everything, r"_(?P<date>\d{8})", on_error="skip")
print(len(some), "rows; skipped:", [Path(path).name for path, _ in some.skipped])
assert len(some) == len(images), "only the broken file is left out"

# %% [markdown]
# ## Cubes
#
# A NetCDF or Zarr dataset is one row, with the time from its first step to its last and their
# number. `load_xarray` gives the steps of a slice.

# %%
cubes = build_xarray_catalog([folder / "shore.nc"])
print(cubes)
print(cubes.gdf[["n_timesteps", "variables", "resolution"]].to_string(index=False))

# %%
days = (f"{dates[0]:%Y-%m-%d}", f"{dates[-1]:%Y-%m-%d}")
grid = GeoSlice(images.total_bounds, days, 10, images.crs)
steps = load_xarray(cubes, grid)
print(steps.shape, steps.attrs["band_names"], [text[:10] for text in steps.attrs["dates"]])
assert np.allclose(steps.values, stack.values * np.float32(1e-4), equal_nan=True)

# %% [markdown]
# ## Vectors
#
# Labels are often outlines that a person drew. Here a threshold on the median NDVI draws land and
# water. The outlines go into a GeoPackage, in degrees, as they often come.

# %%
median = load_raster(images, grid, merge_method="median")
median.attrs = {**median.attrs, "source": stack.attrs["source"]}
ndvi = (DNToReflectance() | NDVI(red_idx=0, nir_idx=1))(median)
water = ndvi.values < 0
outlines = [
    (shapely.geometry.shape(outline), value)
    for outline, value in shapes(water.astype("uint8"), transform=grid.transform)
]
large = [(outline, value) for outline, value in outlines if outline.area > 20_000]
drawn = gpd.GeoDataFrame(
    {"kind": ["water" if value else "land" for _, value in large]},
    geometry=[outline for outline, _ in large],
    crs=grid.crs,
)
drawn.to_crs(4326).to_file(folder / "shore.gpkg")
labels = build_vector_catalog([folder / "shore.gpkg"])
print(labels, "|", labels.gdf.n_features[0], "outlines,", labels.gdf.geometry_type[0])

# %% [markdown]
# ## Labels on the image's pixels
#
# Image and label are loaded by the same slice, and so lie on the same grid, whatever projection the
# file is in. Text is numbered in alphabetical order over the whole catalog, so that all slices
# agree.

# %%
label = load_vector(labels, grid, task="semantic_segmentation", label_field="kind")
print("classes:", label.attrs["classes"], "| label:", label.shape, "| image:", median.shape)
assert (label.transform, label.crs) == (median.transform, median.crs)

# %%
agree = (label.values[0] == label.attrs["classes"]["water"]) == water
print(f"{agree.mean():.3%} of the labels are what the threshold said of their pixel")
assert agree.mean() > 0.99

fig, axes = plt.subplots(1, 2, figsize=(9.4, 4), layout="constrained", sharey=True)
style = {"label": "NDVI (unitless)", "cmap": "BrBG", "vmin": -0.9, "vmax": 0.9}
plot(ndvi, ax=axes[0], title="NDVI, the median of four dates", **style)
kinds = {0: ("not drawn", "0.6"), 1: ("land", "tab:olive"), 2: ("water", "tab:blue")}
label.attrs["source"] = stack.attrs["source"]
plot(label, ax=axes[1], title="Labels from the outlines, on its pixels", classes=kinds)
axes[1].set_ylabel("")
fig.get_layout_engine().set(wspace=0.06)
plt.show()

# %% [markdown]
# What differs are ponds and islands under two hectares, which were not drawn (grey).
#
# `task="instance_segmentation"` numbers the features instead:

# %%
instances = load_vector(labels, grid, task="instance_segmentation")
print("features on the grid:", len(np.unique(instances.values[instances.values > 0])))

# %% [markdown]
# ## Into a file and back
#
# All three kinds go through GeoParquet, and come back the same: into memory, or lazily.

# %%
for catalog in (images, cubes, labels):
    path = to_geoparquet(catalog, folder / f"{catalog.backend}.parquet")
    memory, lazy = from_geoparquet(path), open_catalog(path)
    assert set(memory.gdf.filepath) == set(lazy.gdf.filepath) == set(catalog.gdf.filepath)
    print(f"{catalog.backend:7} {len(lazy)} rows | {type(memory).__name__}, {type(lazy).__name__}")

# %% [markdown]
# And GeoPandas reads the file as any other:

# %%
read = gpd.read_parquet(folder / "raster.parquet")
print(type(read).__name__, len(read), "rows in", read.crs.to_string())

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-file-month
# Suppose that these were monthly products. Make the catalog `monthly`, in which each file counts for
# its whole month: let the group `date` take the year and the month alone, and the format say so.
#
# ```python
# monthly = ...
#
# # the check
# table = monthly.gdf
# assert len(monthly) == len(files)
# assert (table.start_time.dt.day == 1).all()
# assert (table.end_time.dt.days_in_month == table.end_time.dt.day).all()
# assert (table.start_time.dt.month == table.end_time.dt.month).all()
# ```
# :::
#
# :::{solution} ex-file-month
# :class: dropdown
#
# ```python
# monthly = build_raster_catalog(files, r"_(?P<date>\d{6})\d{2}T", "%Y%m")
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-file-coarse
# Put the labels on pixels of 20 m, as `label_20`, over the same box and time. The image of the same
# slice then lies on the same pixels.
#
# ```python
# coarse = ...
# label_20 = ...
#
# # the check
# image_20 = load_raster(images, coarse, merge_method="median")
# assert coarse.resolution == (20, 20)
# assert (label_20.transform, label_20.shape[1:]) == (image_20.transform, image_20.shape[1:])
# share, share_20 = np.mean(label.values == 2), np.mean(label_20.values == 2)
# assert abs(share_20 - share) < 0.01, "as much of it is water"
# ```
# :::
#
# :::{solution} ex-file-coarse
# :class: dropdown
#
# ```python
# coarse = GeoSlice(grid.bounds, grid.interval, 20, grid.crs)
# label_20 = load_vector(labels, coarse, label_field="kind")
# ```
# :::

# %% [markdown]
# ## Recap
#
# | kind of file | build | a row is | load |
# |---|---|---|---|
# | GeoTIFF, COG, URL | `build_raster_catalog` | a file | `load_raster`, `load_raster_timeseries` |
# | STAC item | `from_stac_items` | an item, assets as bands | the same |
# | NetCDF, Zarr | `build_xarray_catalog` | a dataset, `n_timesteps` | `load_xarray` |
# | GeoPackage, GeoJSON, GeoParquet | `build_vector_catalog` | a layer | `load_vector` |
#
# **Key points**
#
# - Headers are enough to make a catalog; pixels are read later.
# - Ask for labels on the image's grid, and they lie on its pixels.
#
# **References**
#
# - GDAL, *Raster drivers* and *Vector drivers*, <https://gdal.org>
# - GeoParquet specification 1.1, <https://geoparquet.org>
#
# **Where next.** [Set algebra](03_set_algebra.ipynb): catalogs of different kinds, intersected.
