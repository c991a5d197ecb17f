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
# # Geometries: patches that are not squares
#
# **Question.** A chip of pixels is one shape among many. What if the neighbourhood is "within
# 1,500 km", "the eight nearest trees", or "Nevada"?
#
# You will learn
#
# - what the four boundary policies of a rectangle do at the edge, drawn;
# - spherical caps on a global grid: right at the poles and across the antimeridian;
# - graphs of points: the k nearest, or all within a radius;
# - polygons: which pixels, and how much of each, so that zonal statistics are exact.
#
# **Needs** no network: pixels, points and borders come from a local archive, the live services or
# the embedded simulation, whichever is there; the lines printed below say which.
#
# **Before this.** [One chip, one band](01_intro.ipynb). **Time.** 30 minutes to read, half a minute
# to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import importlib.util

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MultipleLocator
from rasterio.features import rasterize
from rasterio.windows import Window
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geopatcher import GeoPandasField, GridDomain, RasterField, SpatialByIndex, SpatialExplicit
from geopatcher import SpatialKNNGraph, SpatialMean, SpatialPatcher, SpatialPolygonIntersection
from geopatcher import SpatialRadiusGraph, SpatialRectangular, SpatialRegularStride
from geopatcher import SpatialSphericalCap, draw_chips
from geopatcher.sphere import EARTH_RADIUS_KM
from geostack import load_s2_chip
from geostack.data import load_gbif_points, load_natural_earth_admin1
from geotoolz import NDVI, DNToReflectance
from geotoolz.viz import plot

# %%
scene = load_s2_chip(bands=("B04", "B08"))
source = scene.attrs["source"]
oaks = load_gbif_points(limit=400)
states = load_natural_earth_admin1()
print(f"source: {source} ({scene.attrs['item_id']})")
print(f"oaks: {oaks.attrs['source']}, {len(oaks)} points; borders: {states.attrs['source']}")

# %% [markdown]
# ## 1. Rectangles, and what happens at the edge
#
# A scene of 400 x 300 pixels, chips of 128 every 128: neither side divides. The boundary policy is
# an argument that one reads.

# %%
small = RasterField(scene).select(Window(1000, 3400, 300, 400))
policies = {
    "drop": "whole chips only",
    "shift": "the last chips move inward",
    "pad": "chips reach beyond, filled",
    "shrink": "edge chips are smaller",
}
tilings = {
    name: SpatialPatcher(SpatialRectangular(128, boundary=name), SpatialRegularStride(128))
    for name in policies
}

# %%
fig, axes = plt.subplots(1, 4, figsize=(11, 4.3), layout="constrained", sharey=True)
for ax, (name, tiling) in zip(axes, tilings.items(), strict=True):
    ax.imshow(small.values[1], cmap="gray", extent=(0, 300, 400, 0), vmin=0, vmax=4500)
    chips = list(tiling.split(small))
    draw_chips(ax, chips, linewidths=2)
    ax.set(title=f'"{name}": {policies[name]}', xlim=(-8, 400), ylim=(528, -8), xlabel="column")
    ax.title.set_size(9)
    print(f"{name:7} {len(chips):2} chips, shapes {sorted({c.data.shape[1:] for c in chips})}")
axes[0].set_ylabel("row (10 m pixels)")
fig.suptitle(f"Near infrared, {source}; chips of 128 every 128")
plt.show()

# %% [markdown]
# `drop` leaves a margin to no chip: good for training, where every chip should be whole and real.
# `shift` covers everything with whole chips; the last ones overlap more. `pad` makes up pixels
# beyond the edge (here mirrored). `shrink` makes up nothing, but chips differ in shape.

# %% [markdown]
# ## 2. Spherical caps: the same distance everywhere
#
# On a global latitude-longitude grid a square of cells is 111 km per degree at the equator and
# next to nothing at the pole. A cap is all cells within a great-circle distance. Here: 1,500 km on
# a grid of half a degree, at four places.

# %%
globe = GridDomain({"lat": np.arange(89.75, -90, -0.5), "lon": np.arange(-179.75, 180, 0.5)})
cap = SpatialSphericalCap(radius_km=1500)
centres = {
    "equator": (20.0, 0.0),
    "mid-latitude": (-100.0, 45.0),
    "North Pole": (0.0, 90.0),
    "antimeridian": (178.0, -35.0),
}
caps = {name: cap.neighborhood(globe, centre) for name, centre in centres.items()}
for name, cells in caps.items():
    print(f"{name:13} {len(cells):5} cells, the farthest {cells.distance.max():.0f} km away")

# %%
distance = np.full(globe.shape, np.nan)
for cells in caps.values():
    distance[cells.rows, cells.cols] = cells.distance
fig, ax = plt.subplots(figsize=(10, 5), layout="constrained")
west, south, east, north = globe.bounds
image = ax.imshow(distance, extent=(west, east, south, north), cmap="viridis_r")
for name, (lon, lat) in centres.items():
    ax.plot(lon, lat, "r+")
    side = "right" if lon > 100 else "left"
    ax.annotate(name, (lon, lat), (0, -32), textcoords="offset points", size=9, ha=side)
ax.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)")
ax.set(title="Four caps of the same radius on a half-degree grid", xticks=range(-180, 181, 60))
ax.grid(alpha=0.3)
fig.colorbar(image, label="great-circle distance (km)", shrink=0.8)
plt.show()

# %% [markdown]
# All four have the same size on the Earth. The polar cap is a band across the whole map, and the
# one in the Pacific is in two pieces. Their areas say so: a cap of radius r on a sphere of radius
# R covers 2 pi R^2 (1 - cos(r / R)).

# %%
exact = 2 * np.pi * EARTH_RADIUS_KM**2 * (1 - np.cos(1500 / EARTH_RADIUS_KM))
per_cell = np.radians(0.5) ** 2 * EARTH_RADIUS_KM**2 * np.cos(np.radians(globe.y))
for name, cells in caps.items():
    area = per_cell[cells.rows].sum()
    print(f"{name:13} {area / 1e6:.3f} million km2, {area / exact - 1:+.2%} against the formula")
    assert abs(area / exact - 1) < 0.02

# %% [markdown]
# What would a naive search by degrees have found? Within 13.5 degrees (1,500 km on a meridian):

# %%
lat, lon = np.meshgrid(globe.y, globe.x, indexing="ij")
for name, (lon0, lat0) in centres.items():
    naive = np.hypot(lat - lat0, lon - lon0) <= np.degrees(1500 / EARTH_RADIUS_KM)
    right = np.zeros(globe.shape, bool)
    right[caps[name].rows, caps[name].cols] = True
    print(f"{name:13} a search by degrees misses {1 - naive[right].mean():4.0%} of the cap")
    if name in ("North Pole", "antimeridian"):
        assert naive[right].mean() < 0.7

# %% [markdown]
# At the equator degrees will do; the farther from it, the worse they are. The caps are looked up by
# distance in three dimensions, on the unit sphere. There is no antimeridian there and no pole, so
# nothing has to be treated specially.
#
# ## 3. Graphs: neighbours among points
#
# Occurrences of oaks come as points, denser in some places. Two neighbourhoods suggest themselves:
# the `k` nearest others, however far; or all within a radius, however many. On a geographic CRS
# both measure great circles, in metres.

# %%
trees = GeoPandasField(oaks, as_points=True)
print(trees.domain)
knn = SpatialPatcher(SpatialKNNGraph(k=9), SpatialRegularStride(1))
radius = SpatialPatcher(SpatialRadiusGraph(radius=5_000), SpatialRegularStride(1))

nearest = [patch.indices for patch in knn.split(trees)]
within = [patch.indices for patch in radius.split(trees)]

# %% [markdown]
# A point is the first member of its own patch. Drawn as edges, both graphs fall apart. A graph's
# *islands* are its parts that no edge joins; a model that passes messages along edges carries nothing
# from one island to another.


# %%
def count_islands(neighbourhoods):
    """Return how many parts a graph of neighbourhoods has, and how many points are in the largest."""
    pairs = np.array([(i, j) for i, found in enumerate(neighbourhoods) for j in found.index])
    edges = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(neighbourhoods),) * 2)
    _, part = connected_components(edges, directed=False)
    return np.bincount(part)


islands = {"8 nearest": count_islands(nearest), "within 5 km": count_islands(within)}
for name, sizes in islands.items():
    alone = (sizes == 1).sum()
    print(
        f"{name:11} {len(sizes):3} islands, the largest of {sizes.max()} points, {alone} points alone"
    )
assert (islands["8 nearest"] > 8).all(), "each point is joined to its eight nearest"
assert len(islands["within 5 km"]) > len(islands["8 nearest"]) > 1


# %%
def draw_edges(ax, neighbourhoods, title):
    """Draw a line from each point to its neighbours."""
    xy = trees.domain.coords
    edges = [(xy[i], xy[j]) for i, found in enumerate(neighbourhoods) for j in found.index[1:]]
    ax.add_collection(LineCollection(edges, colors="tab:gray", linewidths=0.4))
    ax.scatter(*xy.T, s=5, color="tab:green", zorder=2)
    ax.set(title=title, xlabel="longitude (degrees)", aspect=1 / np.cos(np.radians(39)))
    ax.xaxis.set_major_locator(MultipleLocator(0.5))


fig, axes = plt.subplots(1, 2, figsize=(10.5, 5), layout="constrained", sharey=True)
draw_edges(axes[0], nearest, f"The 8 nearest others ({oaks.attrs['source']} oaks)")
draw_edges(axes[1], within, "All within 5 km")
axes[0].set_ylabel("latitude (degrees)")
plt.show()

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 2.8), layout="constrained")
axes[0].hist([found.distance[-1] / 1000 for found in nearest], bins=30, color="tab:green")
axes[0].set(title="k nearest: how far is the 8th?", xlabel="distance (km)", ylabel="trees")
sizes = [len(found) for found in within]
axes[1].hist(sizes, bins=np.arange(0.5, max(sizes) + 1.5), color="tab:brown")
axes[1].set(title="Within 5 km: how many, itself included?", xlabel="points", ylabel="trees")
fig.suptitle(f"The same {len(oaks)} {oaks.attrs['source']} oaks, two kinds of neighbourhood")
plt.show()

# %% [markdown]
# That is the choice: a fixed size with a varying reach (a model wants a fixed number of inputs),
# or a fixed reach with a varying size (a density wants a fixed area).
#
# Patches of a table are tables: the chosen rows, with all their columns.

# %%
patch = knn.patch_at(trees, 0)
print(patch.data.gdf[["species", "date"]].head(3).to_string())

# %% [markdown]
# Merging goes the same way as with pixels. A mean over all neighbourhoods that a tree belongs to
# is a smoother on the graph: here of the distance to the nearest other tree.

# %%
gap = np.array([found.distance[1] for found in nearest])
field = trees.with_data(gap)
smoother = SpatialPatcher(knn.geometry, knn.sampler, aggregation=SpatialMean())
stream = smoother.stream(field).map(lambda near: np.full(9, np.asarray(near).mean()))
smooth = smoother.merge(stream, field)
print(f"spread of the gaps: {gap.std():.0f} m before, {smooth.std():.0f} m after smoothing")

# %% [markdown]
# ## 4. Polygons: which pixels, and how much of each
#
# The border of California and Nevada runs through the scene, and through the lake. How much of either
# side is lake, and how green is the land? A pixel on the border belongs to both, in parts; the geometry
# gives the exact share of each.

# %%
ndvi = (DNToReflectance() | NDVI(red_idx=0, nir_idx=1))(scene)
zones = states[states["iso_3166_2"].isin(["US-CA", "US-NV"])].reset_index(drop=True)
zonal = SpatialPatcher(
    SpatialPolygonIntersection(zones), SpatialRegularStride(1), aggregation=SpatialByIndex()
)
parts = list(zonal.split(ndvi))
for patch in parts:
    cut = patch.indices.coverage < 1
    print(
        f"{zones['name'][patch.anchor]:11} {len(patch.indices):8,} pixels, {cut.sum():6,} of them "
        f"cut; {patch.weights.sum(dtype=float) / 1e4:6.1f} km2"
    )

# %% [markdown]
# The border was given in degrees and the scene is in UTM: the geometry reprojected it. A border that is
# straight in degrees is bent in UTM, and to move its corners alone would shift what lies between them,
# so its edges were cut into pieces first. The two states share out the whole scene, so on every pixel
# the shares must add up to one.

# %%
total = np.zeros(ndvi.shape)
for patch in parts:
    total[patch.indices.rows, patch.indices.cols] += patch.indices.coverage
assert np.allclose(total, 1, atol=1e-6)
print("every pixel is shared out completely")

# %%
in_utm = zones.set_geometry(zones.segmentize(0.002)).to_crs(ndvi.crs)  # pieces of some 200 m
nevada = np.zeros(ndvi.shape, "float32")
nevada[parts[1].indices.rows, parts[1].indices.cols] = parts[1].indices.coverage
last = np.argwhere((nevada > 0) & (nevada < 1))[-1]  # where the border leaves the scene
zoom = slice(last[0] - 24, last[0]), slice(last[1] - 30, last[1])
fig, axes = plt.subplots(1, 2, figsize=(9, 6), layout="constrained", width_ratios=(1.9, 1))
fig.get_layout_engine().set(wspace=0.15)
plot(
    ndvi,
    ax=axes[1],
    cmap="YlGn",
    vmin=-0.2,
    vmax=0.9,
    label="NDVI (unitless)",
    title="NDVI, border in red",
)
in_utm.boundary.scale(1e-3, 1e-3, origin=(0, 0)).plot(ax=axes[1], color="red")
west, south, east, north = (v / 1000 for v in ndvi.bounds)
axes[1].set(xlim=(west, east), ylim=(south, north))
extent = (zoom[1].start, zoom[1].stop, zoom[0].stop, zoom[0].start)
shares = axes[0].imshow(nevada[zoom], cmap="cividis", vmin=0, vmax=1, extent=extent)
axes[0].set(title="The border, pixel by pixel", xlabel="column (10 m)", ylabel="row (10 m)")
fig.colorbar(shares, ax=axes[0], label="share of the pixel in Nevada (0 to 1)", shrink=0.6)
plt.show()

# %% [markdown]
# ### Zonal statistics
#
# A zone's mean is weighted by the shares, which are the patch's weights. `SpatialByIndex` keeps
# one result for each polygon. The mean over all pixels mostly tells how much of a zone is lake, where
# NDVI is below zero; so the lake is counted, and the land gets a mean of its own.

# %%
results = [patch.with_data(float(np.average(patch.data, weights=patch.weights))) for patch in parts]
table = zonal.merge(results, ndvi)
for (number, value), patch in zip(table.items(), parts, strict=True):
    values, share = np.asarray(patch.data), patch.weights
    lake = share[values < 0].sum(dtype=float) / share.sum(dtype=float)
    land = np.average(values[values >= 0], weights=share[values >= 0])
    print(
        f"{zones['name'][number]:11} mean NDVI {value:+.4f}: lake {lake:.1%}, land {land:.3f} ({source})"
    )

# %% [markdown]
# Are the shares right? Two independent checks: in the upper 400 rows, burn the polygons onto a grid ten
# times as fine, and average; and ask `exactextract`, the reference for coverage fractions. Both take
# polygons in the grid's CRS, so the border is cut into pieces for them, too.

# %%
fine = ndvi.transform @ ndvi.transform.scale(0.1)
for patch in parts:
    polygon = in_utm.geometry[patch.anchor]
    burnt = rasterize([polygon], out_shape=(4000, 15990), transform=fine, dtype="uint8")
    share = burnt.reshape(400, 10, 1599, 10).mean(axis=(1, 3))
    ours = np.zeros((400, 1599))
    top = patch.indices.rows < 400
    ours[patch.indices.rows[top], patch.indices.cols[top]] = patch.indices.coverage[top]
    print(f"{zones['name'][patch.anchor]:11} largest difference {np.abs(share - ours).max():.3f}")
    assert np.abs(share - ours).max() < 0.06

# %%
if importlib.util.find_spec("exactextract"):
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    values = ndvi.values.astype(float)
    raster = NumPyRasterSource(values, *ndvi.bounds, srs_wkt=in_utm.crs.to_wkt())
    means = exact_extract(raster, in_utm, ["mean"], output="pandas")["mean"]
    for name, mean in zip(zones["name"], means, strict=True):
        print(f"exactextract: mean NDVI in {name:11} {mean:+.4f}")
    assert np.allclose(means, list(table.values()), atol=1e-5)
else:
    print("skipped: exactextract is not installed (pip install exactextract)")

# %% [markdown]
# A tenth of a pixel's side is as fine as that grid sees; the difference stays below it. A pixel of
# the fine grid counts or does not, so the burnt shares come in steps, and the exact ones do not.
#
# One anchor at a time works too: `SpatialExplicit` picks polygons by number.

# %%
only = SpatialPatcher(zonal.geometry, SpatialExplicit([1]), aggregation=SpatialByIndex())
mean = only.merge(only.stream(ndvi).map(lambda values: float(np.mean(values))), ndvi)
print("unweighted:", {zones["name"][k]: round(v, 4) for k, v in mean.items()})

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-geo-south
# Which cells of `globe` lie within 1,000 km of the South Pole?
#
# ```python
# south = ...
#
# # the check
# area = per_cell[south.rows].sum()
# assert set(south.cols) == set(range(720))
# assert globe.y[south.rows].max() < -80
# assert abs(area / (2 * np.pi * EARTH_RADIUS_KM**2 * (1 - np.cos(1000 / EARTH_RADIUS_KM))) - 1) < 0.05
# ```
# :::
#
# :::{solution} ex-geo-south
# :class: dropdown
#
# ```python
# south = SpatialSphericalCap(radius_km=1000).neighborhood(globe, (0.0, -90.0))
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-geo-wider
# Make a patcher `wider` whose patches are all oaks within 10 km of each. Has its graph fewer islands?
#
# ```python
# wider = ...
#
# # the check
# found = [patch.indices for patch in wider.split(trees)]
# assert len(count_islands(found)) < len(islands["within 5 km"])
# assert 9_000 < max(near.distance.max() for near in found) <= 10_000
# ```
# :::
#
# :::{solution} ex-geo-wider
# :class: dropdown
#
# ```python
# wider = SpatialPatcher(SpatialRadiusGraph(radius=10_000), SpatialRegularStride(1))
# ```
# :::

# %% [markdown]
# ## Recap
#
# | geometry | anchor | a patch is | use it for |
# |---|---|---|---|
# | `SpatialRectangular(size, boundary)` | (row, col) | a window | maps, networks |
# | `SpatialSphericalCap(radius_km)` | (longitude, latitude) | cells or points in reach | global grids |
# | `SpatialKNNGraph(k)` | a point's number, or (x, y) | the k nearest | graph models |
# | `SpatialRadiusGraph(radius)` | a point's number, or (x, y) | all in reach | densities |
# | `SpatialPolygonIntersection(polygons)` | a polygon's number | cells with shares, or rows | zonal statistics |
#
# **Key points**
#
# - On the Earth a distance is along a great circle; degrees are not a distance.
# - A graph of neighbours has islands. Count them before a model passes messages along it.
# - A fixed number of neighbours, or a fixed reach: one of the two varies.
# - Shares of pixels are exact, so zones add up. A mean over a zone mixes what lies in it: count the parts.
#
# **References**
#
# - Sinnott, R. W. (1984), *Virtues of the Haversine*, Sky and Telescope 68, 159
# - Baston, D., *exactextract*, <https://github.com/isciences/exactextract>: exact coverage fractions
#
# **Where next.** [Sampling](03_sampling.ipynb) asks where patches should lie.
