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
# # Catalogs are sets
#
# **Question.** Images here, borders there, in other projections: which image shows which state, when,
# and where exactly? Is there an algebra that answers, and which laws does it keep?
#
# You will learn
#
# - `union`: two archives in different CRS become one;
# - `intersect`: a join in space and time, every pair clipped to what is shared;
# - `difference`: what one catalog leaves of another;
# - `where` and `query` between them;
# - the laws that hold, checked here as code.
#
# **Needs** no network: items and borders come from whichever source has them; the lines printed
# below say which. The borders are Natural Earth's, in the public domain; eleven states of them come
# with the package. No pixels are read at all.
#
# **Before this.** [Catalogs](01_intro.ipynb). **Time.** 15 minutes to read, under half a minute to
# run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shapely
from matplotlib.dates import DateFormatter

from geocatalog import GeoSlice, InMemoryGeoCatalog, difference, from_stac_items, intersect, union
from geostack import AREAS, load_natural_earth_admin1, load_stac_items


# %%
def scenes(area, date_range):
    place = AREAS[area]
    items = load_stac_items(
        "sentinel-2-l2a", place.bbox, date_range, tile=place.tile, max_cloud_cover=None, limit=None
    )
    simulated = items[0].properties.get("geostack:simulated")
    print("source:", "simulated" if simulated else "real", f"({area}, {len(items)} items)")
    return from_stac_items(items, asset_key="B04")


tahoe = scenes("lake-tahoe", "2024-06-01/2024-07-31")
caldor = scenes("caldor", "2021-08-01/2021-11-30")
lisbon = scenes("lisbon", "2024-06-01/2024-07-31")

# %% [markdown]
# ## Union
#
# Two neighbouring tiles share a CRS, the third lies in another UTM zone. A union puts the second
# catalog's footprints into the first one's CRS, edges densified. A row that is in both counts once.

# %%
west_coast = union(tahoe, caldor)
print("Tahoe and Caldor :", west_coast)
print("with itself again:", len(union(west_coast, tahoe)), "rows")
assert len(union(west_coast, tahoe)) == len(west_coast), "a set holds a row once"

# %% [markdown]
# Lisbon in the metres of California would be far from anything that zone can say. For the world,
# degrees: an empty catalog in EPSG:4326 sets the CRS of all that follow.

# %%
nothing = from_stac_items([], target_crs="EPSG:4326")
world = nothing | tahoe | caldor | lisbon
print(world, "|", [round(side, 2) for side in world.total_bounds])

# %% [markdown]
# ## Polygons are a catalog too
#
# Anything with footprints is: here the states around the lake, undated, so that they match every
# time.

# %%
borders = load_natural_earth_admin1()
source = borders.attrs["source"]
print(f"source: {source} (borders of {len(borders)} states)")
borders = borders[borders["name"].isin(["California", "Nevada", "Oregon"])]
states = InMemoryGeoCatalog(
    gpd.GeoDataFrame(
        {"filepath": "natural-earth/" + borders["name"], "state": borders["name"]},
        geometry=borders.geometry,
        crs=borders.crs,
    ),
    backend="vector",
)
print(states, states.gdf.state.tolist())

# %% [markdown]
# ## Intersect: a join in space and time
#
# SQL joins rows whose columns are equal. Here rows are joined that share ground *and* time: one row
# for each pair that truly meets, with the footprint and the interval they share. The columns of both
# are there; a name that both have gets `_right`. The borders are undated and match every time, so
# this first join is decided by the ground alone.

# %%
seen = intersect(world, states)
table = seen.gdf
table["km2"] = table.to_crs(32610).area / 1e6
print(seen.columns)
summary = table.groupby(["mgrs_tile", "state"]).agg(
    scenes=("filepath", "size"), km2=("km2", "mean")
)
print(summary.round(0))
assert set(table.state) == {"California", "Nevada"}, (
    "Oregon is not on these tiles, Lisbon not in America"
)

# %%
fig, ax = plt.subplots(figsize=(6, 6), layout="constrained")
states.query(bounds=(-123, 37.5, -117, 41)).gdf.boundary.plot(ax=ax, color="0.3", linewidth=1)
colours = {"California": "tab:orange", "Nevada": "tab:blue"}
for (tile, state), part in table.drop_duplicates(["mgrs_tile", "state"]).groupby(
    ["mgrs_tile", "state"]
):
    part.plot(ax=ax, color=colours[state], edgecolor="black", alpha=0.6)
    middle = part.geometry.iloc[0].representative_point()
    ax.annotate(f"{tile}\n{state}", (middle.x, middle.y), ha="center", va="center", size=8)
ax.set(
    xlim=(-122, -118),
    ylim=(37.5, 40.5),
    title="Footprints, clipped to the states they show",
)
ax.set(xlabel="longitude (°)", ylabel="latitude (°)", aspect=1 / np.cos(np.radians(39)))
plt.show()

# %% [markdown]
# The state line runs through the lake and cuts its tile in two; each half is a row of its own.
#
# With dates on both sides time decides as well, and is clipped. A campaign that lasted ten days
# meets only the scenes of those days:

# %%
campaign = InMemoryGeoCatalog(
    gpd.GeoDataFrame(
        {"filepath": ["campaign.csv"], "start_time": ["2024-06-10"], "end_time": ["2024-06-19"]},
        geometry=[shapely.box(-120.1, 38.9, -119.9, 39.3)],
        crs="EPSG:4326",
    ),
    backend="vector",
)
during = tahoe & campaign
always = tahoe.intersect(campaign, spatial_only=True)
print("during the campaign:", during.gdf.start_time.dt.strftime("%d %B").sort_values().tolist())
assert len(during) == len(tahoe.query(time=("2024-06-10", "2024-06-19")))

# %%
fig, ax = plt.subplots(figsize=(7.5, 1.9), layout="constrained")
days = tahoe.gdf.start_time.dt.tz_localize(None)
ax.plot(days, np.zeros(len(days)), "|", ms=22, color="0.5", label="scenes")
inside = during.gdf.start_time.dt.tz_localize(None)
ax.plot(inside, np.zeros(len(inside)), "|", ms=22, mew=2, color="tab:blue", label="that meet it")
ax.axvspan(
    pd.Timestamp("2024-06-10"),
    pd.Timestamp("2024-06-20"),
    color="tab:orange",
    alpha=0.3,
    label="campaign",
)
ax.set(yticks=[], ylim=(-1, 1), title="Pairs share time as well as space")
ax.xaxis.set_major_formatter(DateFormatter("%d %b"))
ax.legend(ncols=3, loc="lower right")
plt.show()

# %% [markdown]
# ## Difference
#
# The rest of a join: what of each state no scene of either tile shows. A row loses what any row
# covers that it would be joined with; its time and its columns stay.

# %%
unseen = difference(states, west_coast)
whole = states.gdf.set_index("state").geometry
left = unseen.gdf.set_index("state").geometry.reindex(whole.index)
shown = (states & west_coast).gdf.dissolve("state").geometry.reindex(whole.index)
share = 1 - left.to_crs("EPSG:5070").area / whole.to_crs("EPSG:5070").area
print((100 * share).round(1).rename("shown (% of the state)"))
areas = [np.nan_to_num(shapely.area(part.to_numpy())) for part in (shown, left, whole)]
assert np.allclose(areas[0] + areas[1], areas[2]), "join and rest are the whole"

# %%
fig, ax = plt.subplots(figsize=(5, 5.5), layout="constrained")
unseen.gdf.plot(ax=ax, color="0.85", edgecolor="none")
states.gdf.boundary.plot(ax=ax, color="0.3", linewidth=1)
west_coast.gdf.drop_duplicates("mgrs_tile").to_crs(4326).boundary.plot(ax=ax, color="tab:red")
ax.set(title="Grey: what no scene shows of three states", aspect=1 / np.cos(np.radians(40)))
ax.set(xlabel="longitude (°)", ylabel="latitude (°)")
plt.show()

# %% [markdown]
# ## Combined
#
# The pieces compose. Clear scenes of July over the Nevada side of the lake:

# %%
nevada = states.where("state = 'Nevada'")
answer = world.where("cloud_cover < 3").query(time="2024-07") & nevada
print(len(answer), "scenes:", answer.gdf.start_time.dt.strftime("%d July").sort_values().tolist())

# %% [markdown]
# ## Do the laws hold?
#
# The laws are checked over random catalogs in the tests, and here on these.


# %%
def rows(catalog):
    """A catalog as a Python set, to compare with."""
    shapes = shapely.to_wkt(
        shapely.normalize(catalog.gdf.geometry.to_numpy()), rounding_precision=7
    )
    return set(zip(catalog.gdf.filepath, map(str, catalog.gdf.start_time), shapes, strict=True))


box, july = (-120.2, 38.7, -119.8, 39.1), "2024-07"
both = world.query(bounds=box, time=july)
a, b, c = (nothing | one for one in (tahoe, caldor, lisbon))
laws = {
    "queries commute": rows(both) == rows(world.query(bounds=box).query(time=july)),
    "a query is idempotent": rows(both.query(bounds=box, time=july)) == rows(both),
    "a query is monotone": rows(both) <= rows(world.query(bounds=(-121, 38, -119, 40), time=july)),
    "union is associative": rows((a | b) | c) == rows(a | (b | c)),
    "union is commutative": rows(a | b) == rows(b | a),
}
print(*(f"{law}: {holds}" for law, holds in laws.items()), sep="\n")
assert all(laws.values())

# %%
forth, back = a & states, states & a
footprints = [
    sorted(shapely.to_wkt(shapely.normalize(one.gdf.geometry.to_numpy()), rounding_precision=6))
    for one in (forth, back)
]
shapes = dict(zip(states.gdf.state, states.gdf.geometry, strict=True))
inside = all(shapes[row.extras["state"]].buffer(1e-9).covers(row.geometry) for row in forth)
print(f"{len(forth)} pairs; the same footprints both ways: {footprints[0] == footprints[1]}")
print("each pair lies inside its state:", inside)
assert footprints[0] == footprints[1]

# %% [markdown]
# One rule decides about the edges of a query: sets are closed. What touches, in space or time, is
# in. A pair of `intersect` shares an area: `touching=True` takes those that share an edge, too.

# %%
west, south, east, north = tahoe.total_bounds
beside = GeoSlice((east, south, east + 1000, north), None, 10, tahoe.crs)
beyond = GeoSlice((east + 0.01, south, east + 1000, north), None, 10, tahoe.crs)
print(
    "touching:", len(tahoe.query(beside)), "rows; a centimetre further:", len(tahoe.query(beyond))
)

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-set-outside
# What do the scenes of `world` show outside of California? Answer with a catalog `outside`.
#
# ```python
# outside = ...
#
# # the check
# california = states.where("state = 'California'").gdf.geometry.iloc[0]
# assert len(outside) > len(lisbon)
# assert set(lisbon.gdf.filepath) <= set(outside.gdf.filepath)
# assert outside.gdf.geometry.intersection(california).area.max() < 1e-9
# ```
# :::
#
# :::{solution} ex-set-outside
# :class: dropdown
#
# ```python
# outside = world - states.where("state = 'California'")
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-set-visits
# A second campaign went to the same place twice, from 1 to 3 July and from 20 to 25 July 2024. Write
# the catalog `visits` with a row for each time, and `met`, the pairs of scenes of `tahoe` and visits.
#
# ```python
# place = campaign.gdf.geometry.iloc[0]
# visits = ...
# met = ...
#
# # the check
# days = tahoe.gdf.start_time.dt.strftime("%m-%d")
# expected = days.between("07-01", "07-03").sum() + days.between("07-20", "07-25").sum()
# assert len(visits) == 2
# assert len(met) == expected > 0
# assert met.gdf.geometry.to_crs(4326).area.max() <= place.area * 1.001
# ```
# :::
#
# :::{solution} ex-set-visits
# :class: dropdown
#
# ```python
# place = campaign.gdf.geometry.iloc[0]
# times = {"start_time": ["2024-07-01", "2024-07-20"], "end_time": ["2024-07-03", "2024-07-25"]}
# visits = InMemoryGeoCatalog(
#     gpd.GeoDataFrame(
#         {"filepath": ["first.csv", "second.csv"], **times},
#         geometry=[place, place],
#         crs="EPSG:4326",
#     ),
#     backend="vector",
# )
# met = tahoe & visits
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-set-only
# Which ground of California does the tile of the Caldor fire show, and the tile of the lake not? Answer
# with a catalog `only`. Mind the time: the scenes of the two lie three years apart, and only the borders
# match every date.
#
# ```python
# only = ...
#
# # the check
# california = states.where("state = 'California'").gdf.to_crs(caldor.crs).geometry.iloc[0]
# fire, lake = (shapely.box(*one.total_bounds) for one in (caldor, tahoe))
# expected = california.intersection(fire).difference(lake).area
# found = only.gdf.to_crs(caldor.crs).geometry.union_all().area
# assert np.isclose(found, expected, rtol=0.01)
# assert set(only.gdf.mgrs_tile) == set(caldor.gdf.mgrs_tile)
# ```
# :::
#
# :::{solution} ex-set-only
# :class: dropdown
#
# ```python
# only = (states.where("state = 'California'") - tahoe) & caldor
# ```
# :::

# %% [markdown]
# ## Recap
#
# | operation | gives | footprint and time |
# |---|---|---|
# | `a.query(bounds=, crs=, time=)` | rows that touch | unchanged |
# | `a.where("...")` | rows for which it is true | unchanged |
# | `a & b`, `a.intersect(b)` | pairs | clipped to what is shared |
# | `a.intersect(b, spatial_only=True)` | pairs | footprint clipped, time of `a` |
# | `a - b`, `a.difference(b)` | rows of `a` of which something is left | without what `b` covers |
# | `a \| b`, `a.union(b)` | rows of either, once | in the CRS of `a` |
#
# **Key points**
#
# - A pair of an intersection shares space and time, and is clipped to what is shared.
# - Queries commute, unions are associative: what is asked first does not matter.
#
# **References**
#
# - Allen, J. F. (1983), *Communications of the ACM* 26, 832-843, [doi:10.1145/182.358434](https://doi.org/10.1145/182.358434): relations between intervals of time
# - Natural Earth, *Admin 1 - States, Provinces*, <https://www.naturalearthdata.com>
#
# **Where next.** [DuckDB](04_duckdb.ipynb): the same algebra over a million rows in a file.
