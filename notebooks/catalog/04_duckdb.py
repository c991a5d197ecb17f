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
# # A million rows: GeoParquet and DuckDB
#
# **Question.** A mission has made a million scenes. Can one still ask *here, last June* and wait no
# longer than for a key press, without a database server and without loading the table?
#
# You will learn
#
# - what makes a Parquet file (a table, stored column by column) quick to ask: order, small row groups,
#   statistics;
# - to see in the query plan what was skipped;
# - how the in-memory catalog and the file compare, measured here;
# - joins, streaming, and the same recipe on Overture's buildings;
# - to keep an archive that grows in a folder, add a day to it, and put it in order.
#
# **Needs** no network. DuckDB, a database that runs inside Python, needs no extension. Rows are
# made up here; no pixels are read.
#
# **Before this.** [Catalogs](01_intro.ipynb) and a little SQL. **Time.** 20 minutes to read, under
# a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import json
import re
import tempfile
import time
from pathlib import Path

import duckdb
import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely

from geocatalog import InMemoryGeoCatalog, append_to, compact, open_catalog, to_geoparquet
from geostack import SourceUnavailableError, load_overture_buildings_url, query_overture

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
print("source: none (rows made up here, no pixels are read)")

# %% [markdown]
# ## A million scenes
#
# Footprints of 1 km scattered over 1000 km, four years of instants, a cloud cover. In random order,
# as an archive grows.

# %%
random = np.random.default_rng(0)
count = 1_000_000
west, south = random.uniform(0, 999_000, (2, count))
start = pd.Timestamp("2020-01-01", tz="UTC")
taken = start + pd.to_timedelta(random.integers(0, 86_400 * 1500, count), unit="s")
table = gpd.GeoDataFrame(
    {
        "filepath": [f"/archive/{number:07d}.tif" for number in range(count)],
        "start_time": taken.as_unit("us"),
        "end_time": taken.as_unit("us"),
        "cloud_cover": random.uniform(0, 100, count),
    },
    geometry=shapely.box(west, south, west + 1000, south + 1000),
    crs="EPSG:32610",
)
catalog = InMemoryGeoCatalog(table)
print(catalog)

# %% [markdown]
# ## Into a file
#
# `to_geoparquet` sorts rows along a Hilbert curve (a line that winds through a square and finishes one
# corner before it enters the next), so that neighbours in the file are neighbours on the ground, and
# writes row groups of 8192 with their minimum and maximum. To see what the order does, the same rows
# are written twice by GeoPandas, with one compression and row groups of one size: as they come, and in
# the order of the catalog's file.

# %%
path = to_geoparquet(catalog, folder / "catalog.parquet")
alike = {"compression": "zstd", "row_group_size": 8192, "schema_version": "1.1.0"}
unsorted, ordered = folder / "unsorted.parquet", folder / "sorted.parquet"
table.to_parquet(unsorted, write_covering_bbox=True, **alike)
open_catalog(path).gdf.to_parquet(ordered, write_covering_bbox=True, **alike)
for name in (path, unsorted, ordered):
    with pq.ParquetFile(name) as file:
        size = Path(name).stat().st_size / 1e6
        print(f"{Path(name).name:18} {file.num_row_groups:4} row groups, {size:.0f} MB")

# %% [markdown]
# Where do the rows of one row group lie? Here are those of ten groups, each in its colour, and for each
# group the box that its statistics tell. A question skips a group only if its own box does not touch
# that one.


# %%
def corners_of(name, number):
    """Return the lower left corners (N, 2) of the footprints in one row group, in km."""
    with pq.ParquetFile(name) as file:
        bbox = file.read_row_group(number, columns=["bbox"]).flatten()
    return np.column_stack([bbox["bbox.xmin"], bbox["bbox.ymin"]]) / 1000


fig, axes = plt.subplots(1, 2, figsize=(8.4, 4.4), layout="constrained", sharey=True)
titles = ("As they come: all ten boxes are the whole area", "Sorted: each box is a small place")
for ax, name, title in zip(axes, (unsorted, ordered), titles, strict=True):
    for number in range(10):
        corners = corners_of(name, 5 + 12 * number)
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        ax.plot(*corners[::16].T, ".", ms=1.5, color=f"C{number}")
        ax.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fc="none", ec=f"C{number}", lw=2))
    ax.set(xlim=(-15, 1015), ylim=(-15, 1015), aspect="equal", title=title)
    ax.set_xlabel("easting (km)")
axes[0].set_ylabel("northing (km)")
plt.show()

# %% [markdown]
# ## Ask the file
#
# `open_catalog` reads the footer, in which a Parquet file lists its row groups, and not the rows. A
# query adds a condition; rows are read when their number, or they themselves, are asked for.

# %%
archive = open_catalog(path)
june = archive.query(bounds=(400_000, 400_000, 420_000, 420_000), time="2022-06")
print(june.sql.split(" FROM ")[0], "\nFROM the file WHERE", june.sql.split(" WHERE ")[1])
print(len(june), "of", len(archive), "rows")
in_memory = catalog.query(bounds=(400_000, 400_000, 420_000, 420_000), time="2022-06")
assert sorted(june.paths) == sorted(in_memory.paths)

# %% [markdown]
# The question marks are values, bound when the query runs: no text of a user ever becomes SQL but
# in `where`, and that is parsed and checked first. The plan tells what was read:


# %%
def row_groups(catalog):
    """Return (read, all) row groups from the plan of a query that was run."""
    read, groups = re.search(r"Row Groups Scanned: (\d+) / (\d+)", catalog.explain()).groups()
    return int(read), int(groups)


for side in (1_000, 20_000, 200_000, 600_000):
    box = (400_000, 400_000, 400_000 + side, 400_000 + side)
    read, groups = row_groups(archive.query(bounds=box))
    print(
        f"box of {side / 1000:3.0f} km: {read:4} of {groups} row groups read ({read / groups:.1%})"
    )
read, groups = row_groups(june)
print(f"20 km in June 2022: {read:4} of {groups} row groups read")
assert read / groups < 0.04

# %% [markdown]
# ## How long does it take?
#
# Twenty questions, each a box of 20 km and 30 days, in turn, and each gives its rows. Two engines,
# DuckDB's SQL and our catalog, read two orders of rows: of the four, any two that differ in one word
# differ in one thing. The catalog's rows are a table with footprints; SQL's are tuples.

# %%
questions = []
for x, y, day in zip(
    *random.uniform(0, 980_000, (2, 20)), random.integers(0, 1470, 20), strict=True
):
    first = start + pd.Timedelta(days=int(day))
    questions.append(((x, y, x + 20_000, y + 20_000), (first, first + pd.Timedelta(days=30))))

connection = duckdb.connect()


# %%
def by_sql(file):
    """Return a function that asks a file by DuckDB's SQL, and counts the rows it got."""
    query = f"""SELECT * EXCLUDE (bbox) FROM read_parquet('{file}')
        WHERE bbox.xmin <= ? AND bbox.xmax >= ? AND bbox.ymin <= ? AND bbox.ymax >= ?
        AND start_time <= ? AND end_time >= ?"""

    def ask(box, times):
        west, south, east, north = box
        values = [east, west, north, south, times[1].to_pydatetime(), times[0].to_pydatetime()]
        return len(connection.execute(query, values).fetchall())

    return ask


# %%
def by_catalog(rows):
    return lambda box, times: len(rows.query(bounds=box, time=times).gdf)


def by_geopandas(box, times):
    hits = table.iloc[table.sindex.query(shapely.box(*box), predicate="intersects")]
    return len(hits[(hits.start_time <= times[1]) & (hits.end_time >= times[0])])


files = {
    "SQL, unsorted": by_sql(unsorted),
    "SQL, sorted": by_sql(ordered),
    "catalog, unsorted": by_catalog(open_catalog(unsorted)),
    "catalog, sorted": by_catalog(open_catalog(ordered)),
}
others = {
    "catalog, its own file": by_catalog(archive),
    "catalog, in memory": by_catalog(catalog),
    "the same, counted": lambda box, times: len(catalog.query(bounds=box, time=times)),
    "GeoPandas, in memory": by_geopandas,
}

# %%
milliseconds = {name: [] for name in files | others}
for ask in (files | others).values():
    ask(*questions[0])  # warm: trees are built, footers read
for question in questions:
    answers = set()
    for name, ask in (files | others).items():
        began = time.perf_counter()
        answers.add(ask(*question))
        milliseconds[name].append(1e3 * (time.perf_counter() - began))
    assert len(answers) == 1, "all eight agree"
medians = {name: float(np.median(times)) for name, times in milliseconds.items()}

fig, axes = plt.subplots(2, 1, figsize=(7.5, 4.2), layout="constrained", sharex=True)
for ax, group in zip(axes, (files, others), strict=True):
    colours = ["tab:orange" if "SQL" in n else "0.7" if "Geo" in n else "tab:blue" for n in group]
    bars = ax.barh(list(group), [medians[name] for name in group], color=colours)
    told = [medians[name] for name in group]
    ax.bar_label(bars, [f" {ms:.0f} ms" if ms >= 10 else f" {ms:.2g} ms" for ms in told])
    ax.invert_yaxis()
axes[0].set(title="A box of 20 km and 30 days of a million rows: two engines, two orders")
axes[1].set(title="The same question, asked in other ways", xlabel="median of 20 questions (ms)")
axes[1].set(xscale="log", xlim=(0.05, 5 * max(medians.values())))
plt.show()

# %%
for name in (unsorted, ordered):
    counts = [
        row_groups(open_catalog(name).query(bounds=box, time=times)) for box, times in questions
    ]
    read, groups = np.mean(counts, axis=0)
    print(f"{name.name:18} {read:5.1f} of {groups:.0f} row groups read by a question")
    assert (read / groups < 0.05) == (name == ordered), "only the sorted file can be skipped"

# %% [markdown]
# The order decides for either engine: of the sorted file most row groups are skipped, of the other
# none can be. The catalog's own file also says that its footprints are boxes and in order, so none
# is looked at twice. In memory the catalog answers with row numbers, and a table is made only when
# asked for. Times are this machine's and this run's; `benchmarks/` compares them in many rounds.
#
# ## Filters, streams, joins
#
# `where` is pushed down into the file as well. `iter_rows` reads rows in batches, so a loop over a
# million rows holds a few thousand.

# %%
clear = archive.where("cloud_cover < 1 AND year(start_time) = 2022")
print(len(clear), "clear scenes of 2022; the first three:")
for row, _ in zip(clear.iter_rows(), range(3), strict=False):
    print(f"  {row.start_time:%Y-%m-%d}  {row.extras['cloud_cover']:.2f} %  {row.filepath}")

# %% [markdown]
# A join finds all pairs that share space and time. Ten thousand plots, each seen for a week, against
# a hundred thousand scenes:

# %%
plots = table.iloc[:10_000].copy()
plots["end_time"] = plots["start_time"] + pd.Timedelta(days=7)
scenes = InMemoryGeoCatalog(table.iloc[10_000:110_000])
began = time.perf_counter()
pairs = scenes.intersect(InMemoryGeoCatalog(plots))
print(f"{len(pairs)} pairs in {time.perf_counter() - began:.2f} s, trees included")

# %% [markdown]
# ## An archive that grows
#
# A file is written whole, and an archive gets new scenes every day. `partition="month"` writes a
# folder of files instead, one or a few a month, each sorted in space. Rows may come in pieces: here
# ten, elsewhere as many as a search gives, and never all of them in memory.

# %%
pieces = (table.iloc[first : first + 100_000] for first in range(0, count, 100_000))
parted = to_geoparquet(pieces, folder / "archive", partition="month")
grown = open_catalog(parted)
files = sorted(Path(parted).glob("*/*.parquet"))
print(len(grown), "rows in", len(files), "files, such as", files[0].parent.name)
near = {"bounds": (400_000, 400_000, 420_000, 420_000), "time": ("2022-06-10", "2022-07-09")}
asked = grown.query(**near)
read = re.search(r"Total Files Read: (\d+)", asked.explain()).group(1)
print(f"20 km and 30 days: {len(asked)} rows, of {read} files")
assert sorted(asked.paths) == sorted(archive.query(**near).paths)

# %% [markdown]
# A day more is a file more. What is there is not written again, and a row that is listed already is
# not listed twice, so an append that was stopped is run once more. `compact` makes one file of a
# month's many.

# %%
today = table.iloc[:300].copy()
today["start_time"] = today["end_time"] = start + pd.Timedelta(days=1501)
print(append_to(parted, today), "rows more, then", append_to(parted, today))
assert set(files) < set(Path(parted).glob("*/*.parquet")), "the files that were there stay"
print(compact(parted), "file fewer;", len(open_catalog(parted)), "rows")
assert len(open_catalog(parted)) == count + len(today)

# %% [markdown]
# ## Other programs read the file
#
# GeoParquet 1.1 with a bbox covering: GeoPandas reads the part it needs, DuckDB reads it as plain
# Parquet, and the metadata says what it is.

# %%
part = gpd.read_parquet(path, bbox=(400_000, 400_000, 420_000, 420_000))
counted = duckdb.sql(
    f"SELECT count(*) FROM '{path}' WHERE bbox.xmin <= 420000 AND bbox.xmax >= 400000 "
    "AND bbox.ymin <= 420000 AND bbox.ymax >= 400000"
).fetchall()[0][0]
with pq.ParquetFile(path) as file:
    metadata = file.schema_arrow.metadata
print("GeoPandas:", len(part), "rows | DuckDB:", counted, "rows")
told = json.loads(metadata[b"geocatalog"])
print({key: value for key, value in told.items() if key != "temporal_extent"})
assert len(part) == counted == len(archive.query(bounds=(400_000, 400_000, 420_000, 420_000)))

# %% [markdown]
# ## The recipe elsewhere: buildings of Overture
#
# Overture Maps publishes the buildings of the world in the same layout: sorted Parquet files, with
# each outline in binary and its box in a column `bbox`. The query is the same. First on a file in
# that layout, made here; then on the real one, if it can be reached.

# %%
corner = np.array([11.33, 46.48]) + random.uniform(0, 0.05, (2000, 2))
houses = gpd.GeoDataFrame(
    {
        "id": [f"house-{number}" for number in range(2000)],
        "height": random.uniform(3, 30, 2000),
        "class": random.choice(["house", "barn", "church"], 2000),
    },
    geometry=shapely.box(*corner.T, *(corner + 1e-4).T),
    crs="EPSG:4326",
)
local = folder / "buildings.parquet"
houses.to_parquet(local, write_covering_bbox=True, schema_version="1.1.0")
town = (11.34, 46.49, 11.36, 46.51)
nearby = query_overture(local, bbox=town)
print(
    len(nearby), "of", len(houses), f"made-up buildings; mean height {nearby.height.mean():.1f} m"
)

# %%
try:
    real = query_overture(load_overture_buildings_url(), bbox=town, limit=500)
    print("source: Overture Maps,", len(real), "buildings of Bolzano")
except (SourceUnavailableError, OSError) as error:
    print("skipped, Overture's bucket cannot be reached from here:", type(error).__name__)

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-duck-clear
# Which scenes of 2022 in a box of 20 km at (600 km, 200 km) have less than 10 % cloud? Ask the file,
# and answer with a catalog `clear_here`.
#
# ```python
# clear_here = ...
#
# # the check
# rows = table[table.intersects(shapely.box(600_000, 200_000, 620_000, 220_000))]
# rows = rows[(rows.start_time.dt.year == 2022) & (rows.cloud_cover < 10)]
# assert sorted(clear_here.paths) == sorted(rows.filepath)
# assert row_groups(clear_here)[0] < 10, "few row groups were read"
# ```
# :::
#
# :::{solution} ex-duck-clear
# :class: dropdown
#
# ```python
# here = archive.query(bounds=(600_000, 200_000, 620_000, 220_000), time="2022")
# clear_here = here.where("cloud_cover < 10")
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-duck-order
# Another order: write the first 100,000 rows of `table` sorted by time, in row groups of 8192, as
# `by_time`. How many row groups does a question read that gives 30 days and no box, and how many one
# that gives a box of 20 km and no days?
#
# ```python
# by_time = folder / "by_time.parquet"
# ...
# days = open_catalog(by_time).query(time=("2022-06-01", "2022-06-30"))
# place = open_catalog(by_time).query(bounds=(400_000, 400_000, 420_000, 420_000))
#
# # the check
# with pq.ParquetFile(by_time) as file:
#     assert file.num_row_groups == 13
# assert row_groups(days)[0] <= 2, "30 days are one row group or two"
# assert row_groups(place)[0] == 13, "and the place may be in all of them"
# ```
# :::
#
# :::{solution} ex-duck-order
# :class: dropdown
#
# ```python
# by_time = folder / "by_time.parquet"
# rows = table.iloc[:100_000].sort_values("start_time")
# rows.to_parquet(by_time, write_covering_bbox=True, **alike)
# days = open_catalog(by_time).query(time=("2022-06-01", "2022-06-30"))
# place = open_catalog(by_time).query(bounds=(400_000, 400_000, 420_000, 420_000))
# ```
# :::

# %% [markdown]
# ## Recap
#
# | you need | you write |
# |---|---|
# | a catalog as a file | `to_geoparquet(catalog, path)` |
# | to ask it without loading it | `open_catalog(path).query(...).where(...)` |
# | to see what was read | `.explain()`, the line "Row Groups Scanned" |
# | rows one by one | `.iter_rows()` |
# | all of it in memory, for many questions | `.materialize()` |
# | pairs | `.intersect(other)` |
# | an archive that grows | `to_geoparquet(rows, folder, partition="month")`, `append_to`, `compact` |
#
# **Key points**
#
# - Order decides how much of a file a question reads; compression and engine change the rest.
# - Change one thing at a time when two times are compared.
# - Look at the query plan: it says how many row groups were read.
#
# **References**
#
# - Raasveldt, M. and Mühleisen, H. (2019), *DuckDB: an Embeddable Analytical Database*, SIGMOD, [doi:10.1145/3299869.3320212](https://doi.org/10.1145/3299869.3320212)
# - Moon, B. et al. (2001), *IEEE Transactions on Knowledge and Data Engineering* 13, 124-141, [doi:10.1109/69.908985](https://doi.org/10.1109/69.908985): the Hilbert curve
# - GeoParquet specification 1.1, <https://geoparquet.org>
#
# **Where next.** [From catalog to catalog](05_patching_bridge.ipynb): run a pipeline over what a
# query found.
