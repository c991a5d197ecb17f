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
# # Backends: one patcher, many kinds of data
#
# **Question.** The same scene may come as an array, a file, an xarray, a dask graph; its
# neighbours are tables of polygons and points, or vector cubes. Must the code that cuts them up
# know which?
#
# You will learn
#
# - the Field: three members that make anything patchable;
# - one rectangular patcher over four kinds of raster, with the same pixels and the same result;
# - what is read, and when: a file that is open once, a dask graph that computes what a chip touches;
# - patches of polygons, points and vector cubes;
# - one zonal patcher and one operator across all of them.
#
# **Needs** no network: pixels, elevation and points come from a local archive, the live services
# or the embedded simulation, whichever is there; the lines printed below say which.
#
# **Before this.** [One chip, one band](01_intro.ipynb) and [geometries](02_geometries.ipynb).
# **Time.** 20 minutes to read, under half a minute to run. Terms are explained where they first
# occur, and in the [glossary](../../docs/reference/glossary.md).

# %%
import tempfile
from pathlib import Path

import dask.array as da
import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import rasterio
import rioxarray
import shapely
import xarray as xr
import xvec
from georeader.rasterio_reader import RasterioReader
from rasterio.windows import Window

from geopatcher import DaskField, Field, GeoPandasField, RasterDomain, RasterField, RioXarrayField
from geopatcher import SpatialByIndex, SpatialHann, SpatialKNNGraph, SpatialMean
from geopatcher import SpatialPatcher, SpatialPolygonIntersection, SpatialRectangular
from geopatcher import SpatialRegularStride, XarrayField, XvecField
from geostack import load_s2_chip
from geostack.data import load_dem_chip, load_gbif_points
from geotoolz.indices import ndvi
from geotoolz.io import write_cog
from geotoolz.viz import plot

# %%
scene = RasterField(load_s2_chip(bands=("B04", "B08"))).select(Window(1000, 3300, 599, 635))
source = scene.attrs["source"]
dem = load_dem_chip(bbox=(-120.2, 38.85, -119.9, 39.0))  # the mountains south of the lake
oaks = load_gbif_points(limit=400)
print(f"source: {source} ({scene.attrs['item_id']})")
print(f"elevation: {dem.attrs['source']}; oaks: {oaks.attrs['source']}")
print(scene.shape, scene.dtype, "and", dict(dem.sizes), dem.dtype)

# %% [markdown]
# ## What a Field is
#
# Three members: a `domain` (where), `select(indices)` (a piece), `with_data(array)` (other values
# on the same domain). It is a protocol: a class with these members is a Field, whatever it derives
# from.


# %%
class Plane:
    """A tilted plane that is nowhere stored: the smallest Field."""

    domain = RasterDomain((200, 300))

    def select(self, window):
        """Return the heights in a window, (h, w)."""
        rows, cols = np.indices((window.height, window.width))
        return (rows + window.row_off) + 0.5 * (cols + window.col_off)

    def with_data(self, array):
        """Return the array: it is all there is."""
        return array


patcher = SpatialPatcher(
    SpatialRectangular(96, boundary="shift"), SpatialRegularStride(64), SpatialHann()
)
plane = Plane()
merged = patcher.merge(patcher.split(plane), plane)
assert isinstance(plane, Field)
print("a plane of", merged.shape, "from", patcher.n_anchors(plane), "chips that no file holds")

# %% [markdown]
# ## Four kinds of raster
#
# The scene in memory, as a COG on disk, as an xarray that rioxarray opened, and as a dask array in
# chunks. The patcher is the one from above.

# %%
folder = tempfile.TemporaryDirectory()
path = str(write_cog(scene, Path(folder.name) / "scene.tif"))
rasters = {
    "GeoTensor in memory": RasterField(scene),
    "COG on disk": RasterField(RasterioReader(path)),
    "rioxarray, lazy": RioXarrayField(rioxarray.open_rasterio(path)),
    "dask, 256 x 256 chunks": DaskField(
        da.from_array(scene.values, chunks=(2, 256, 256)), scene.transform, scene.crs
    ),
}
for name, field in rasters.items():
    patch = patcher.patch_at(field, (128, 64))
    print(f"{name:23} {patcher.n_anchors(field)} patches of {type(patch.data).__name__}")

# %% [markdown]
# The pixels are the same; the kind of piece is the backend's own. A piece of an xarray is a
# labelled xarray, under `.da`, and every piece is something that numpy takes as an array.

# %%
piece = patcher.patch_at(rasters["rioxarray, lazy"], (128, 64)).data
print(piece.da.dims, dict(piece.da.sizes), "EPSG", piece.da.rio.crs.to_epsg())


# %% [markdown]
# ### One operator, one result
#
# NDVI of each chip, merged with the Hann window. The operator sees arrays and does not know where
# they came from.


# %%
def index_of(chip):
    """Return the NDVI (h, w) of a chip whose bands are red and near infrared."""
    red, nir = np.asarray(chip)
    return ndvi(red, nir)


results = {}
for name, field in rasters.items():
    stitched = patcher.merge(patcher.stream(field).map(index_of), field)
    results[name] = stitched
    print(f"{name:23} -> {type(stitched).__name__} {stitched.shape} {stitched.dtype}")

reference = results["GeoTensor in memory"]
for stitched in results.values():
    assert stitched.values.tobytes() == reference.values.tobytes()

# %%
fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
reference.attrs["source"] = source
style = {"cmap": "YlGn", "vmin": -0.2, "vmax": 0.9, "label": "NDVI (unitless)"}
plot(reference, ax=ax, title="NDVI, the same bytes from four backends", **style)
plt.show()

# %% [markdown]
# ### What is read, and when
#
# Nothing until a patch is asked for. A COG stays open, once in each thread, so that chips which
# share a block of the file find it in the cache of GDAL, the library that reads it. For a file on a
# server each opening would be one more request; so here they are counted.

# %%
opened = []
really_open = rasterio.open
rasterio.open = lambda *args, **kwargs: opened.append(args) or really_open(*args, **kwargs)
field = RasterField(RasterioReader(path))
before_chips = len(opened)
chips = sum(1 for _ in patcher.split(field))
rasterio.open = really_open
print(f"{chips} chips read, the file opened {len(opened) - before_chips} time for them")
assert len(opened) - before_chips == 1

# %% [markdown]
# A dask graph computes the chunks that a chip touches: one, for a chip that fits the chunks.

# %%
computed = []


def watched(block):
    """Note that a chunk was computed, and pass it on."""
    if block.size:
        computed.append(block.shape)
    return block


lazy = da.from_array(scene.values, chunks=(2, 128, 128)).map_blocks(watched, dtype=scene.dtype)
field = DaskField(lazy, scene.transform, scene.crs)
computed.clear()
stream = patcher.stream(field)
print("a stream of", len(stream), "chips computes", len(computed))
field.select(Window(128, 256, 128, 128))
print("a chip on a chunk computes", len(computed))
field.select(Window(100, 200, 128, 128))
print("a chip across corners computes", len(computed) - 1, "more")
assert len(computed) == 1 + 4

# %% [markdown]
# ## Labelled grids: elevation
#
# A DEM comes as an xarray with coordinates but no band axis. `XarrayField` needs nothing but the
# last two dimensions being rows and columns. The operator: how high a place lies above the mean of
# its surroundings, a simple measure of ridges and valleys.

# %%
terrain = XarrayField(dem)
relief = SpatialPatcher(
    SpatialRectangular(64, boundary="shift"), SpatialRegularStride(16), SpatialHann()
)


def above_surroundings(chip):
    """Return heights above the chip's mean (h, w), metres."""
    height = np.asarray(chip)
    return height - height.mean()


values = relief.merge(relief.stream(terrain).map(above_surroundings), terrain)
above = terrain.with_data(values).da
print(type(above).__name__, above.dims, f"{float(above.min()):.0f} to {float(above.max()):.0f} m")
assert above.coords.equals(dem.coords)

# %%
fig, axes = plt.subplots(2, 1, figsize=(7, 7.4), layout="constrained", sharex=True)
west, south, east, north = terrain.domain.bounds
degrees = north < 90
shape = {"extent": (west, east, south, north)}
shape["aspect"] = 1 / np.cos(np.radians(39)) if degrees else 1
image = axes[0].imshow(dem.values, cmap="cividis", **shape)
fig.colorbar(image, ax=axes[0], label="elevation (m)")
image = axes[1].imshow(values, cmap="RdBu_r", vmin=-150, vmax=150, **shape)
fig.colorbar(image, ax=axes[1], label="above the surroundings (m)", extend="both")
unit = "degrees" if degrees else "m"
axes[0].set(title=f"Elevation south of Lake Tahoe ({dem.attrs['source']})")
axes[1].set(title="Ridges in red, valleys in blue", xlabel=f"east ({unit})")
for ax in axes:
    ax.set_ylabel(f"north ({unit})")
    ax.ticklabel_format(useOffset=False)
plt.show()

# %% [markdown]
# ## Tables: polygons and points
#
# A grid of plots of 1 km with their mean digital numbers, made by the zonal patcher of
# [geometries](02_geometries.ipynb); then the plots are a Field themselves. `as_points=True` takes
# their centroids instead.

# %%
west, south, east, north = scene.bounds
corners = [
    (x, y) for y in np.arange(north, south + 999, -1000) for x in np.arange(west, east - 999, 1000)
]
plots = gpd.GeoDataFrame(
    geometry=[shapely.box(x, y - 1000, x + 1000, y) for x, y in corners], crs=scene.crs
)
zonal = SpatialPatcher(
    SpatialPolygonIntersection(plots), SpatialRegularStride(1), aggregation=SpatialByIndex()
)
means = [
    patch.with_data(np.average(patch.data, axis=-1, weights=patch.weights))
    for patch in zonal.split(scene)
]
table = np.array(list(zonal.merge(means, scene).values()))
plots["red"], plots["nir"] = table.T
print(len(plots), "plots;", plots.drop(columns="geometry").round(0).head(2).to_dict("records"))

# %%
polygons = GeoPandasField(plots)
points = GeoPandasField(plots, as_points=True)
trees = GeoPandasField(oaks, as_points=True)
around = SpatialPatcher(SpatialKNNGraph(k=5), SpatialRegularStride(1), aggregation=SpatialMean())
for name, field in {"polygons": polygons, "points": points, "oaks": trees}.items():
    patch = around.patch_at(field, 0)
    print(f"{name:9} {field.domain}: a patch is {len(patch.data.gdf)} rows")

# %% [markdown]
# A vector cube is an xarray whose coordinate is geometry. Here: bands x plots.

# %%
cube = xr.Dataset(
    {"dn": (("band", "plot"), table.T)},
    {"band": ["red", "nir"], "plot": plots.geometry.to_numpy()},
).xvec.set_geom_indexes("plot", crs=plots.crs)
vector = XvecField(cube["dn"])
patch = around.patch_at(vector, 7)
print(f"xvec {xvec.__version__}:", vector.domain, "->", dict(patch.data.ds.sizes))
assert np.array_equal(patch.indices.index, around.patch_at(polygons, 7).indices.index)

# %% [markdown]
# The graph patcher merges over tables as the rectangular one does over pixels: each plot gets the
# mean of all neighbourhoods that it belongs to.


# %%
def mean_of_all(near):
    """Give every member of a patch (bands, n) the patch's mean."""
    values = np.asarray(near)
    return np.broadcast_to(values.mean(axis=1, keepdims=True), values.shape)


stream = around.stream(vector).map(mean_of_all)
smooth = around.merge(stream, vector)
plots["smooth"] = vector.with_data(smooth).ds["value"].values[1]
fig, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained", sharey=True)
titles = {"nir": "Near infrared of each plot", "smooth": "Mean of the plots around"}
in_km = plots.set_geometry(plots.scale(1e-3, 1e-3, origin=(0, 0)))
for ax, (column, title) in zip(axes, titles.items(), strict=True):
    in_km.plot(column, ax=ax, cmap="viridis", vmin=0, vmax=plots["nir"].max(), edgecolor="0.4")
    ax.set(title=f"{title} ({source})", xlabel="Easting (km)", ylabel="")
    ax.ticklabel_format(useOffset=False)
    ax.margins(0.01)
axes[0].set_ylabel("Northing (km)")
fig.colorbar(axes[0].collections[0], ax=axes, label="near infrared (digital number)")
plt.show()

# %% [markdown]
# ## One patcher, one operator, everything
#
# A polygon means something on every domain: cells with shares, rows with shares, points inside. So
# one zonal patcher runs over all eight Fields, and one operator, "how much lies there", answers
# for each.

# %%
shore = shapely.box(west + 1000, north - 4000, west + 4000, north - 1500)
everywhere = SpatialPatcher(
    SpatialPolygonIntersection([shore], crs=scene.crs),
    SpatialRegularStride(1),
    aggregation=SpatialByIndex(),
)
fields = {**rasters, "DEM": XarrayField(dem, crs=dem.rio.crs), "plots": polygons}
fields |= {"plots' centres": points, "vector cube": vector}

# %% [markdown]
# The operator knows one thing of its input: that the last axis runs over members, be they pixels,
# rows or points. Its mean is of digital numbers of red, and of metres where the Field is elevation.


# %%
def size_and_mean(data):
    """Return (members, mean of the first variable) of a piece (..., n)."""
    values = np.atleast_2d(np.asarray(data))
    return values.shape[-1], float(values[0].mean())


found = {}
for name, field in fields.items():
    answers = everywhere.merge(everywhere.stream(field).map(size_and_mean), field)
    found[name] = answers[0]
    print(
        f"{name:23} {found[name][0]:6,} members, mean of the first variable {found[name][1]:8.1f}"
    )

# %%
assert len({found[name] for name in rasters}) == 1
assert found["plots"] == found["vector cube"]
folder.cleanup()

# %% [markdown]
# The four rasters agree to the last digit. The plots and their cube agree; their mean differs from
# the pixels' because this operator leaves the shares aside: they are in `patch.weights`.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-back-index
# Write a Field that is the NDVI of another Field with red and near infrared: its domain is the
# other's, and a piece of it is the index of the other's piece.
#
# ```python
# class IndexField:
#     def __init__(self, inner):
#         self.inner, self.domain = inner, inner.domain
#
#     def select(self, window): ...
#
#     def with_data(self, array):
#         return self.inner.with_data(array)
#
# # the check
# field = IndexField(rasters["GeoTensor in memory"])
# merged = patcher.merge(patcher.split(field), field)
# assert isinstance(field, Field)
# assert np.abs(merged.values - reference.values).max() < 1e-6
# ```
# :::
#
# :::{solution} ex-back-index
# :class: dropdown
#
# ```python
# class IndexField:
#     def __init__(self, inner):
#         self.inner, self.domain = inner, inner.domain
#
#     def select(self, window):
#         red, nir = np.asarray(self.inner.select(window))
#         return ndvi(red, nir)
#
#     def with_data(self, array):
#         return self.inner.with_data(array)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-back-thrifty
# The graph `lazy` has 5 x 5 chunks of 128 pixels. Make a patcher `thrifty` whose chips cover the whole
# scene and compute each chunk once. Chips at the edge may be smaller.
#
# ```python
# thrifty = ...
#
# # the check
# computed.clear()
# chips = list(thrifty.split(DaskField(lazy, scene.transform, scene.crs)))
# assert sum(np.asarray(chip.data)[0].size for chip in chips) == 635 * 599
# assert len(computed) == 25
# ```
# :::
#
# :::{solution} ex-back-thrifty
# :class: dropdown
#
# ```python
# thrifty = SpatialPatcher(
#     SpatialRectangular(128, boundary="shrink"), SpatialRegularStride(128)
# )
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-back-shares
# The operator above counts a plot that lies half in the polygon as much as one that lies in it as a
# whole. Write `weighted`: the mean of the first variable of a Field in the polygon, each member by its
# share.
#
# ```python
# def weighted(field):
#     patch = next(iter(everywhere.split(field)))
#     ...
#
# # the check
# inside = plots.geometry.intersection(shore).area
# assert np.isclose(weighted(polygons), np.average(plots["red"], weights=inside))
# assert np.isclose(weighted(vector), weighted(polygons))
# ```
# :::
#
# :::{solution} ex-back-shares
# :class: dropdown
#
# ```python
# def weighted(field):
#     patch = next(iter(everywhere.split(field)))
#     first = np.atleast_2d(np.asarray(patch.data))[0]
#     return np.average(first, weights=patch.weights)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | Field | domain | a patch's data | lazy |
# |---|---|---|---|
# | `RasterField(geotensor)` | raster | `GeoTensor`, a view | in memory |
# | `RasterField(reader)` | raster | `GeoTensor`, read | yes; each file open once a thread |
# | `RioXarrayField(da)` | raster | Field with `.da` | as the xarray is |
# | `XarrayField(da)` | labelled grid | Field with `.da` | as the xarray is |
# | `DaskField(array)` | raster | `GeoTensor` or array | chunk by chunk |
# | `GeoPandasField(gdf, as_points)` | shapes or points | Field with `.gdf` | in memory |
# | `XvecField(ds)` | shapes or points | Field with `.ds` | as the xarray is |
#
# - The patcher asks a Field for its domain and for pieces, and nothing else.
# - Choose the geometry by the domain: rectangles for grids, graphs for points, polygons for all.
# - `with_data` puts results back into the form that they came in.
#
# **Key points**
#
# - A Field says what its domain is and gives pieces of it; the patcher needs no more.
# - What is read, and when, is the Field's affair: count it before you rely on it.
#
# **References**
#
# - Hoyer, S. and Hamman, J. (2017), *Journal of Open Research Software* 5, 10, [doi:10.5334/jors.148](https://doi.org/10.5334/jors.148): xarray
# - Rocklin, M. (2015), *Proceedings of the 14th Python in Science Conference*, 126-132, [doi:10.25080/Majora-7b98e3ed-013](https://doi.org/10.25080/Majora-7b98e3ed-013): Dask
#
# **Where next.** [Time](05_time.ipynb) adds the time axis, and [streaming](06_streaming.ipynb) a scene
# that does not fit into memory.
