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
# # Thirteen shapes of one pipeline
#
# **Question.** A pipeline works in a notebook. What has to change before it runs as a batch job, a
# web service, a tile server, a model behind an address, or a task of an orchestrator?
#
# You will learn that the answer is mostly *nothing*: the operator stays as it is, and thirteen
# shapes are put around it. Each of them really runs here, with the library that a practitioner
# would take, on a free port of this machine, and each server is stopped in the cell that started it.
#
# | | shape | | shape |
# |---|---|---|---|
# | 1 | exploration | 8 | quality control |
# | 2 | batch over a catalog (ETL) | 9 | frozen artifact |
# | 3 | one preprocessing for training and use | 10 | active learning |
# | 4 | model server (LitServe) | 11 | fusion of sensors |
# | 5 | web service (FastAPI) | 12 | orchestrators (Prefect, Dask) |
# | 6 | pipelines that clients send | 13 | the next version: diff and backtest |
# | 7 | map tiles | | |
#
# **Needs** no network, and the extra `serve` (in the clone: `pip install ".[serve]"`). Pixels come from a
# local archive, the live service or the embedded simulation; the lines printed below say which.
#
# **Before this.** [Operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb). **Time.** 60
# minutes to read, two minutes to run; each shape can be read alone. Terms are explained where they
# first occur, and in the [glossary](../docs/reference/glossary.md).

# %%
from geostack.lesson import need

ready = need("fastapi", "litserve", "prefect", "rio_tiler", extra="serve")

# %%
import base64
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

# %%
import cloudpickle
import matplotlib.pyplot as plt
import morecantile
import numpy as np
import requests
import yaml
from distributed import Client, LocalCluster
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse
from georeader.geotensor import GeoTensor
from rasterio.io import MemoryFile
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from urllib3 import PoolManager

# %%
from geocatalog import GeoSlice, from_stac_items
from geopatcher import CoverageWarning, SpatialBoxcar, SpatialHardVote, SpatialPatcher
from geopatcher import SpatialRectangular, SpatialRegularStride
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, NoSceneError, SourceUnavailableError
from geostack import artifact, load_dem_chip, load_landsat_chip, load_s2_chip, load_stac_items
from geostack.artifact_tar import read_members, write_members
from geostack.serve import Limits, Pipeline, create_app, running
from geostack.serve.pixels import as_geotiff, read_upload
from geotoolz import NDVI, NDWI, ActiveSampler, AlignAndStack, ApplyMask, ApplyToChips
from geotoolz import CatalogField, CatalogPipeline, Colormap, DilateMask, DNToReflectance, Graph
from geotoolz import GridSampler, Identity, Input, MaskFromSCL, MaskWhere, PerBandStats
from geotoolz import PercentileClip, Sequential, SklearnOp, Snapshot, StandardScale, Stitch, Tap
from geotoolz import ToRGB, fit_pixels, plot, read, write_cog
from pipekit import AssertDType, AssertHasAttribute, AssertShape, AssertValidFraction
from pipekit import AssertValueRange, Quarantine, ab_test, config_diff, to_config, to_yaml
from pipekit.qc import Check

folder = Path(tempfile.mkdtemp(prefix="geostack-shapes-"))

# %% [markdown]
# ## The pipeline
#
# Vegetation without clouds: bands B04, B08 and SCL in, NDVI out. Clouded pixels become 0, which is
# nodata in digital numbers, and so NaN in reflectance. It names no file, no place and no date.

# %%
vegetation = ApplyMask(MaskFromSCL("SCL"), fill_value=0) | DNToReflectance() | NDVI("B04", "B08")
print(vegetation)
print("hash:", vegetation.config_hash)

# %% [markdown]
# And a scene to work on: Bolzano in South Tyrol, where a source has it, else a simulated shore of
# Lake Tahoe.

# %%
BOLZANO = {
    "bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE, "date_range": "2022-06-01/2022-06-30"
}  # fmt: skip
SHORE = {"bbox": (-120.06, 38.92, -119.95, 38.99), "source": "simulated"}
try:
    colour, where = load_s2_chip(**BOLZANO), BOLZANO
except (NoSceneError, SourceUnavailableError):
    colour, where = load_s2_chip(**SHORE), SHORE

scene = load_s2_chip(**where, bands=("B04", "B08", "SCL"))
source, item_id = scene.attrs["source"], scene.attrs["item_id"]
place = "Bolzano" if where is BOLZANO else "Lake Tahoe (simulated)"
credit = "" if source == "simulated" else "contains modified Copernicus Sentinel data 2022"
print(f"source: {source} ({item_id})")
print(scene.shape, scene.dtype, scene.attrs["band_names"])

# %% [markdown]
# ## 1. Exploration: look between the steps
#
# A `Sequential` is sliced like a list, so looking is a matter of putting something between. `Tap`
# calls a function in passing, `Snapshot` keeps a value; neither changes a pixel, and neither is in
# the pipeline that goes to production.

# %%
snapshot, ranges = Snapshot(), []


def note(raster):
    ranges.append((float(np.nanmin(raster.values)), float(np.nanmax(raster.values))))


opened = vegetation[:1] | Tap(note) | snapshot.at("masked numbers")
opened = opened | vegetation[1:2] | Tap(note) | snapshot.at("reflectance")
opened = opened | vegetation[2:] | Tap(note) | snapshot.at("NDVI")
greenness = opened(scene)
for name, (low, high) in zip(snapshot.keys(), ranges, strict=True):
    print(f"{name:15} {snapshot[name].dtype!s:8} {low:8.3f} to {high:9.3f}")
assert np.array_equal(greenness.values, vegetation(scene).values, equal_nan=True)

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.9), layout="constrained")
looks = {
    "masked numbers": {"label": "digital number", "band": "B08", "cmap": "gray"},
    "reflectance": {"label": "reflectance (unitless)", "band": "B08", "cmap": "gray"},
    "NDVI": {"label": "NDVI (unitless)", "cmap": "BrBG", "vmin": -1, "vmax": 1},
}
for ax, (name, look) in zip(axes, looks.items(), strict=True):
    plot(snapshot[name], ax=ax, title=f"After step {list(looks).index(name) + 1}: {name}", **look)
for ax in axes[1:]:
    ax.set_ylabel("")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# The same picture before and after the second step, in other units; the third makes another
# quantity of it. Black in the near infrared is water: the rivers of Bolzano, or the simulated lake.
#
# ## 2. Batch: a catalog in, a catalog out
#
# Extract, transform, load is one object: rows come from a catalog, each goes through the pipeline,
# outputs are cloud-optimised GeoTIFFs and a catalog again. Two archives: real acquisitions of a
# square of Flanders, and 22 simulated scenes of Lake Tahoe, of which a box is read at 20 m.

# %%
tahoe_items = load_stac_items(
    "sentinel-2-l2a", SHORE["bbox"], "2024-06-01/2024-07-31", tile="10SGJ",
    max_cloud_cover=None, limit=None, source="simulated",
)  # fmt: skip
tahoe = from_stac_items(tahoe_items, asset_key=["B04", "B08", "SCL"])
print(f"source: simulated, {len(tahoe)} scenes of Lake Tahoe")
try:
    items = load_stac_items(
        "sentinel-2-l2a", (3.019, 50.813, 3.028, 50.819), "2017-08-01/2018-11-30", tile="31UDS",
        max_cloud_cover=None, limit=None, source="archive",
    )  # fmt: skip
    rows, region = from_stac_items(items, asset_key=["B04", "B08", "SCL"]), "Flanders"
    rows_credit = "contains modified Copernicus Sentinel data 2017-2018"
    print(f"source: archive, {len(rows)} scenes of Flanders")
except (NoSceneError, SourceUnavailableError) as error:
    rows, region, rows_credit = tahoe, "Lake Tahoe (simulated)", ""
    print("skipped, no archive has the Flanders scenes:", type(error).__name__)

# %% [markdown]
# Archives hold broken files. To have one for certain, a *copy* of one near-infrared band is cut off
# after 2,000 bytes, and one row of the catalog points to the copy.

# %%
table = rows.gdf
row = next(rows.iter_rows())
band_file = Path(row.assets["B08"])
damaged = folder / band_file.name
damaged.write_bytes(band_file.read_bytes()[:2000])
here = table.index[row.index]
table.loc[here, "assets"] = table.loc[here, "assets"].replace(str(band_file), str(damaged))
rows = type(rows)(table)
print("damaged on purpose:", row.extras["item_id"])

# %%
SQUARE = (752000, 4312000, 762000, 4322000)  # metres of UTM zone 10


def read_box(row):
    return CatalogField(row, GeoSlice(SQUARE, row.interval, 20, row.crs)).load()


def summary(ndvi):
    seen = ndvi.values[np.isfinite(ndvi.values)]
    return {"seen": seen.size / ndvi.size, "mean_ndvi": seen.mean() if seen.size else np.nan}


# %%
def batch(catalog, target, operator=vegetation):
    """Return the pipeline over a catalog; COGs and a journal go to folder / target."""
    at_tahoe = {"reader": read_box} if catalog.crs == tahoe.crs else {}
    return CatalogPipeline(
        catalog,
        operator,
        writer=folder / target,
        journal=folder / f"{target}.jsonl",
        columns=summary,
        on_row_error="skip",
        workers=2,
        **at_tahoe,
    )


etl = batch(rows, "ndvi")

# %% [markdown]
# ### Killed, and resumed
#
# The run is started in a process of its own and killed with SIGKILL, which no program can catch,
# as soon as a dozen rows are in the journal. `cloudpickle` carries the whole pipeline over, the
# functions of this notebook included.

# %%
CHILD = "import sys, cloudpickle; cloudpickle.load(sys.stdin.buffer).run()"


def journalled():
    journal = folder / "ndvi.jsonl"
    lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
    return max(lines - 1, 0)  # the first line tells what the run is


child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE)
child.stdin.write(cloudpickle.dumps(etl))
child.stdin.close()
while journalled() < 12 and child.poll() is None:
    time.sleep(0.01)
child.kill()
child.wait()
before = journalled()
print(f"ended with status {child.returncode}, {before} rows in its journal")
assert child.returncode == -9
assert 12 <= before < len(rows) - 1

# %% [markdown]
# The same call goes on where the journal ends. The damaged file is skipped, and reported by name.

# %%
report, products = etl.run()
failed = report.failed[0]
print(report)
print(f"skipped: {Path(failed.filepath).parent.name}: {failed.error}")
assert report.resumed == before
assert report.done + report.resumed == len(products) == len(rows) - 1
assert len(report.failed) == 1
assert row.extras["item_id"] not in set(products.gdf.item_id)

# %%
done = products.gdf.sort_values("start_time")
fig, ax = plt.subplots(figsize=(9, 3), layout="constrained")
dates = done.start_time.dt.tz_localize(None)
points = ax.scatter(dates, done.mean_ndvi, c=100 * done.seen, cmap="cividis", s=22)
lost = np.datetime64(row.start_time.tz_localize(None))
ax.axvline(lost, color="C3", lw=1, ls="--", label="the damaged one, skipped")
ax.set(title=f"{region}: what the batch tells of each scene", ylabel="mean NDVI (unitless)")
fig.colorbar(points, label="pixels without cloud (%)")
ax.set_ylim(top=ax.get_ylim()[1] + 0.12)
ax.tick_params(axis="x", rotation=20)
ax.legend(frameon=False, loc="upper right")
fig.supxlabel(rows_credit, size=8)
plt.show()
odd = done[(done.seen > 0.95) & (done.mean_ndvi < 0.1)]
assert len(odd) == 1 or region != "Flanders"

# %% [markdown]
# Every point is a row of the resulting catalog. In Flanders the yellow ones, scenes that were seen
# whole, draw the course of the fields; dark ones, of which a few pixels were seen, scatter. One
# yellow point lies near zero, in September 2018: a cloud that SCL took for ground. Nothing in this
# pipeline stops it; section 8 puts the checks inside.
#
# The 22 simulated scenes take the same call:

# %%
report, lake = batch(tahoe, "lake").run()
print(f"{report.total} simulated rows: {report.done} done, {len(report.failed)} failed")
assert report.done == len(lake) == 22

# %% [markdown]
# ### Ten thousand rows, on paper
#
# What would an archive cost? A scene costs something fixed (opening, writing) and something for
# each pixel, so one scene is timed here at four sizes, three times each, and a line is fitted:
#
# $$ t = a + b\,n_{\text{px}}, \qquad T = \frac{N\,t}{W\,e} + s, \qquad
# \text{money} = T\,W\,p $$
#
# with N scenes, W workers of a Dask cluster with one core each, a parallel efficiency e, a time s
# until the cluster is up, and a price p of a core for an hour. The last three are assumptions; put
# your own. Pixels are read from a local disk here; over a network a grows. The largest piece is a
# fiftieth of a whole tile of 10980 x 10980 pixels, so the line is drawn far beyond what was timed. Each
# of the three rounds gives a line of its own: how far they lie apart is the least that the answer is
# unsure by.

# %%
clear = tahoe.where("cloud_cover < 1")
first = next(clear.iter_rows())
megapixels, seconds = [], []
for side in (2_560, 5_120, 10_240, 15_360) * 3:
    part = GeoSlice((752000, 4312000, 752000 + side, 4312000 + side), first.interval, 10, first.crs)
    began = time.perf_counter()
    ndvi = vegetation(CatalogField(first, part).load())
    write_cog(ndvi, folder / "cost.tif", overwrite=True)
    seconds.append(time.perf_counter() - began)
    megapixels.append(ndvi.size / 1e6)
megapixels, seconds = np.array(megapixels), np.array(seconds)
rounds = np.split(np.arange(len(seconds)), 3)
lines = np.array([np.polyfit(megapixels[k], seconds[k], 1, w=1 / seconds[k]) for k in rounds])
per_megapixel, fixed = np.median(lines, axis=0)
for name, column, unit in (("a", 1, "ms"), ("b", 0, "ms a million pixels")):
    low, middle, high = 1e3 * np.sort(lines[:, column])
    print(f"{name} = {middle:.0f} {unit} ({low:.0f} to {high:.0f} in three rounds)")

# %%
N, EFFICIENCY, START, PRICE = 10_000, 0.8, 180, 0.05  # scenes, share, seconds, dollars a core-hour
workers = np.array([1, 10, 50, 200, 1000])


def whole_tiles(line):
    """Return the hours for N whole tiles, by number of workers, and the seconds of one tile."""
    each = line[1] + line[0] * 10_980**2 / 1e6
    return (N * each / (workers * EFFICIENCY) + START) / 3600, each


hours, each = whole_tiles((per_megapixel, fixed))
spread = np.array([whole_tiles(line)[0] for line in lines])
print(f"a whole tile, 120.6 million pixels: {each:.0f} s, by the line")
for W, T, low, high in zip(workers, hours, spread.min(0), spread.max(0), strict=True):
    money = ", ".join(f"{t * W * PRICE:.2f}" for t in (low, T, high))
    print(f"{W:5} workers: {T:7.2f} hours; lowest, middle, highest: {money} dollars")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
reach = np.array([0, max(megapixels)])
axes[0].plot(megapixels, seconds, "o", label="timed here")
axes[0].plot(reach, fixed + per_megapixel * reach, color="0.4", label="a + b n")
axes[0].set(title="One simulated scene", xlabel="pixels (millions)", ylabel="time (s)")
axes[0].legend(frameon=False)
bars = PRICE * workers * np.abs(np.stack([spread.min(0), spread.max(0)]) - hours)
axes[1].errorbar(hours, hours * workers * PRICE, yerr=bars, fmt="o-", capsize=3)
axes[1].set_xscale("log")
for W, T in zip(workers, hours, strict=True):
    offset = {"textcoords": "offset points", "xytext": (0, 7)}
    axes[1].annotate(W, (T, T * W * PRICE), **offset)
axes[1].set(title="Ten thousand whole tiles, by number of workers", xlabel="hours")
axes[1].set(ylabel="dollars", ylim=(0, 1.2 * max(spread.max(0) * workers * PRICE)))
plt.show()
assert hours[0] > hours[-1]

# %% [markdown]
# The work costs the same however many workers share it; a large cluster adds the time until it is up,
# which is paid for every worker. Fewer workers than at the bend save nothing. The bars are the three
# rounds on this machine; another processor or a slower disk moves all points by more.
#
# ## 3. One preprocessing, in training and in use
#
# A model learns from standardised bands. The same standardisation has to happen wherever the model
# is used, and the usual mistake is to write it a second time. Here it is one object, fitted on the
# western half; the eastern half is for judging.

# %%
CLASSES = {0: ("water", "#0072b2"), 1: ("vegetation", "#009e73"), 2: ("other", "#e69f00")}
RULE = np.full(12, 2, np.int8)  # SCL id -> class, -1 for clouds and their shadows
RULE[6], RULE[4], RULE[[0, 1, 3, 8, 9, 10]] = 0, 1, -1
truth = RULE[scene.values[2]]

middle = colour.shape[2] // 2
WEST, EAST = slice(0, middle - 10), slice(middle, None)


def preprocessing(image):
    """Return reflectance and standard scale as one operator, fitted on an image."""
    stats = PerBandStats().update(DNToReflectance()(image))
    return DNToReflectance() | StandardScale(mean=stats.mean.tolist(), std=stats.std.tolist())


preprocess = preprocessing(colour[:, :, WEST])
model = LogisticRegression(max_iter=500, class_weight="balanced")
fit_pixels(model, preprocess(colour[:, :, WEST]), truth[:, WEST], per_class=2000)
classifier = preprocess | SklearnOp(model)
print(len(classifier), "steps:", [type(step).__name__ for step in classifier])

# %% [markdown]
# The classifier, as one operator; and a service whose author standardised "in the same way", each
# picture by its own mean and deviation. Both are asked for the eastern half in chips of 1.28 km, as
# clients would send them.

# %%
again = DNToReflectance() | StandardScale() | SklearnOp(model)
cutter = SpatialPatcher(
    SpatialRectangular(128, boundary="shift"), SpatialRegularStride(128),
    SpatialBoxcar(), SpatialHardVote(n_classes=3),
)  # fmt: skip
maps = {}
for name, operator in {"the same object": classifier, "written a second time": again}.items():
    tiled = GridSampler(cutter) | ApplyToChips(operator) | Stitch()
    with warnings.catch_warnings():  # a few dark pixels hold no data, so none votes there
        warnings.simplefilter("ignore", CoverageWarning)
        maps[name] = tiled(colour[:, :, EAST])
right = {}
for name, mapped in maps.items():
    known = truth[:, EAST] >= 0
    hits = [np.mean(mapped.values[known & (truth[:, EAST] == k)] == k) for k in CLASSES]
    right[name] = np.mean(hits)
    print(f"{name:22} {right[name]:.1%} right, mean over the classes")
assert right["the same object"] > right["written a second time"] + 0.05

# %%
labels = GeoTensor(
    truth[:, EAST], maps["the same object"].transform, scene.crs, -1, dict(scene.attrs)
)
labels.attrs.pop("band_names")
fig, axes = plt.subplots(1, 3, figsize=(12, 5), layout="constrained")
pictures = {"Label, from SCL": labels} | {f"Preprocessing: {k}": v for k, v in maps.items()}
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    plot(picture, ax=ax, classes=CLASSES, title=name, legend=ax is axes[2])
for ax in axes[1:]:
    ax.set_ylabel("")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# On the right each chip was stretched by itself: where it holds nothing but forest, the least green
# part of the forest is taken for other ground. No error is raised, and no test of either half fails;
# only one object for both keeps them the same.
#
# ## 4. A model server
#
# LitServe keeps a model in a process of its own, warm, and answers `POST /predict`. A server is a
# class of four steps: load the model, decode a request, predict, encode the answer. It is a file,
# since each worker is a process that imports it:

# %%
server_file = Path("servers", "model_server.py").resolve()
text = server_file.read_text()
print(text[text.index("class ModelAPI") : text.index("@contextmanager")].rstrip())

# %% [markdown]
# Servers get processes of their own here, each for as long as a block lasts:


# %%
def is_up(address):
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


# %%
@contextmanager
def serving(*command, ready):
    """Run `python COMMAND --port PORT` on a free port, and yield its address once it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", folder / f"server-{port}.log"
    with (
        log.open("w") as printed,
        subprocess.Popen(
            [sys.executable, *command, f"--port={port}"], stdout=printed, stderr=printed
        ) as server,
    ):
        try:
            while not is_up(url + ready):
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # as Ctrl-C does: what is under way is finished


# %% [markdown]
# The classifier goes there as it is, preprocessing included; clients send digital numbers as a
# GeoTIFF, in base64 because LitServe speaks JSON.


# %%
def ask(url, chip):
    """Send a chip (C, H, W) to the model server; return its labels (H, W), or why it refused."""
    tiff = base64.b64encode(as_geotiff(chip, None)).decode()
    answer = requests.post(f"{url}/predict", json={"tiff": tiff}, timeout=60)
    if not answer.ok:
        return answer.status_code, answer.json()["detail"]
    with MemoryFile(base64.b64decode(answer.json()["tiff"])) as memory, memory.open() as file:
        return GeoTensor(file.read(1), file.transform, file.crs)


saved = folder / "classifier.pkl"
saved.write_bytes(pickle.dumps((classifier, ("B02", "B03", "B04", "B08"))))
chips = [patch.data for patch in cutter.split(colour[:, :, EAST])][:8]

# %%
with serving(str(server_file), str(saved), ready="/health") as url:
    labelled = ask(url, chips[0])
    began = time.perf_counter()
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(partial(ask, url), chips))
    took = time.perf_counter() - began
    refused = ask(url, chips[0][:2])
print("two bands instead of four:", *refused)
print(f"{len(answers)} chips of {chips[0].shape} in {1e3 * took:.0f} ms")
for chip, answer in zip(chips, answers, strict=True):
    assert np.array_equal(answer.values, classifier(chip).values)
    assert answer.transform == chip.transform
assert refused[0] == 422

# %% [markdown]
# Eight chips, four clients at a time, and every label equal to what the operator says in this
# notebook. What is no chip of four bands is refused with a status and a reason.
#
# ## 5. A web service
#
# `create_app` makes a FastAPI application of several pipelines. A client names a scene and a box,
# or sends a GeoTIFF; it never names a file or an address. `running` serves it from a thread.

# %%
BANDS = ("B04", "B08", "SCL")
pipelines = {
    "vegetation": Pipeline(vegetation, BANDS),
    "wet": Pipeline(DNToReflectance() | NDWI("B03", "B08"), ("B03", "B08")),
    "colour": Pipeline(DNToReflectance() | ToRGB(("B04", "B03", "B02"), limits=(0, 0.3))),
}
west, south, east, north = where["bbox"]
small = [west, south, west + 0.03, south + 0.02]
asked = {"item": item_id, "bbox": small}
with running(create_app(pipelines, source=source)) as url:
    known = requests.get(f"{url}/pipelines", timeout=10).json()
    described = requests.get(f"{url}/pipelines/vegetation", timeout=10).json()
    answer = requests.post(f"{url}/pipelines/vegetation", json=asked, timeout=30)
    told = requests.post(f"{url}/pipelines/wet?format=json", json=asked, timeout=30).json()
    lost = requests.post(f"{url}/pipelines/vegetation", json=asked | {"item": "X"}, timeout=30)

# %% [markdown]
# `/pipelines/{name}` tells what would run: the whole config, its hash, and the versions under it.
# Every answer carries the hash, so a map found on a disk a year later can be traced to its config.

# %%
print(*(f"{entry['name']:11} {entry['config_hash']}" for entry in known["pipelines"]), sep="\n")
print(json.dumps(described["config"]["config"]["operators"][-1]))
print("answer:", answer.headers["Content-Type"], answer.headers["X-Config-Hash"])
print("as JSON:", {key: told["result"][key] for key in ("shape", "dtype", "valid_share")})
print("an unknown scene:", lost.status_code, lost.json()["title"])

served = folder / "served.tif"
served.write_bytes(answer.content)
chip = load_s2_chip(**where | {"bbox": small}, bands=BANDS)
assert np.array_equal(np.squeeze(read(served)), vegetation(chip).values, equal_nan=True)
assert answer.headers["X-Config-Hash"] == described["config_hash"] == vegetation.config_hash
assert lost.status_code == 404

# %% [markdown]
# The GeoTIFF that came back holds what the operator makes here, pixel for pixel.
#
# ## 6. Pipelines that clients send
#
# A config is data, so a client can send one. The server builds it from a registry of operators that
# read and write nothing, and runs it in a process of its own with limits on memory, time and size.
# This one asks for something that the service does not offer:

# %%
wanted = to_yaml(DNToReflectance() | NDWI("B03", "B08") | MaskWhere(">", 0.0))
print(wanted)

# %%
every_pixel = SpatialPatcher(  # a chip of 8 x 8 around every single pixel, thirty steps for each
    SpatialRectangular(8), SpatialRegularStride(1), SpatialBoxcar(), SpatialHardVote(n_classes=3)
)
steps = Sequential([PercentileClip(2, 98)] * 30) | NDWI("B03", "B08") | MaskWhere(">", 0.0)
slow = GridSampler(every_pixel) | ApplyToChips(steps) | Stitch()

# %%
SENT = {
    "an honest one": wanted,
    "a command": f"!!python/object/apply:os.system ['touch {folder}/owned']",
    "a module": "class: os.system\nconfig: {command: ls}",
    "a file": "class: WriteCOG\nconfig: {path: owned}",
    "a path in a CRS": "class: Reproject\nconfig: {crs: /etc/passwd}",
    "itself": "&a [*a]",
    "sixty steps": to_yaml(Sequential([Identity()] * 60)),
    "long work": to_yaml(slow),
}


# %%
limits = Limits(seconds=10, max_pixels=1_000_000)


def send(yaml, box=small):
    body = {"yaml": yaml, "bands": ["B03", "B08"], "item": item_id, "bbox": box}
    return requests.post(f"{url}/run?format=json", json=body, timeout=60)


with running(create_app(source=source, limits=limits, accept_yaml=True)) as url:
    with ThreadPoolExecutor(2) as clients:
        answers = dict(zip(SENT, clients.map(send, SENT.values()), strict=True))
    answers["a large box"] = send(wanted, where["bbox"])
with running(create_app(source=source)) as url:
    answers["to a server that takes none"] = send(wanted)

# %%
for name, answer in answers.items():
    told = answer.json()
    said = told.get("detail", f"{told.get('shape')} {told.get('dtype')}")
    said = said.removeprefix("the pipeline is refused: ")
    print(f"{name:28} {answer.status_code}  {textwrap.shorten(said, 76, placeholder=' ...')}")
statuses = {name: answer.status_code for name, answer in answers.items()}
assert statuses.pop("an honest one") == 200
assert statuses.pop("long work") == 504
assert statuses.pop("a large box") == 413
assert statuses.pop("to a server that takes none") == 403
assert set(statuses.values()) == {422}
assert not (folder / "owned").exists()

# %% [markdown]
# The honest one ran. What names a command, a module, a file or itself was never built; what is too
# long, too slow or too large was stopped with a status that says so; and a server takes pipelines
# only when it was told to.
#
# ## 7. Map tiles
#
# A layer is a scene and an operator that ends in colours; `/tiles/LAYER/Z/X/Y.png` is what web maps
# ask for. The server is the command `geostack serve` with a YAML file, in a process of its own, so
# that the clients below don't share its time.

# %%
coloured = vegetation | Colormap("BrBG", -1.0, 1.0)
natural = DNToReflectance() | ToRGB(("B04", "B03", "B02"), limits=(0, 0.3), gamma=1.3)


def layer(operator, bands):
    config = {"bands": list(bands), "pipeline": to_config(operator)}
    return {"item": item_id, "bbox": list(where["bbox"])} | config


settings = folder / "serve.yaml"
layers = {"ndvi": layer(coloured, BANDS), "colour": layer(natural, ("B02", "B03", "B04"))}
settings.write_text(yaml.safe_dump({"source": source, "layers": layers}))
geostack_serve = ("-m", "geostack.cli", "serve", "--pipelines", str(settings))


def tiles(name, zoom):
    """Return the paths of a layer's tiles that touch the place, by (x, y)."""
    grid = morecantile.tms.get("WebMercatorQuad").tiles(*where["bbox"], zooms=[zoom])
    return {(tile.x, tile.y): f"/tiles/{name}/{zoom}/{tile.x}/{tile.y}.png" for tile in grid}


# %%
def ask_all(url, paths, clients):
    """GET every path; return what each answer took, (N,) seconds, and how many came a second.

    Each client keeps its connection, and asks for the next as soon as it has the last.
    """
    pool = PoolManager(maxsize=clients, block=True, retries=False)

    def seconds(path):
        began = time.perf_counter()
        assert pool.request("GET", url + path).status == 200
        return time.perf_counter() - began

    began = time.perf_counter()
    with pool, ThreadPoolExecutor(clients) as threads:
        found = np.array(list(threads.map(seconds, paths)))
    return found, len(paths) / (time.perf_counter() - began)


# %%
SEVERAL = (1, 8, 32)
shuffled = np.random.default_rng(7).permutation(list(tiles("ndvi", 15).values()))
parts = np.array_split(shuffled, len(SEVERAL))
waits, hits = {}, []


def cache_counts(url):
    """Return how many tiles the server has found in its cache, and how many it has made."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    found = dict(re.findall(r'^geostack_tiles_total\{cache="(\w+)"\} (\S+)', text, re.MULTILINE))
    return [int(float(found.get(kind, 0))) for kind in ("hit", "miss")]


# %%
with serving(*geostack_serve, ready="/healthz") as url:
    for clients, part in zip(SEVERAL, parts, strict=True):  # each part is new to the server
        waits["cold", clients] = ask_all(url, part, clients)
    hits.append(cache_counts(url))
    for clients in SEVERAL:
        waits["warm", clients] = ask_all(url, list(shuffled) * 3, clients)
    hits.append(cache_counts(url))
    mosaic = {at: requests.get(url + path, timeout=30) for at, path in tiles("colour", 13).items()}
print(f"{len(shuffled)} tiles at zoom 15, asked once cold and nine times warm")
assert np.array_equal(hits, [[0, len(shuffled)], [9 * len(shuffled), len(shuffled)]])

# %% [markdown]
# Tiles of zoom 13 laid side by side are the map that a browser would show at `/map`. Each was read,
# put through the operator and encoded by itself, and no seam tells where one ends. Beyond the scene
# tiles are empty, and no file is opened for them.

# %%
columns, lines = (sorted(set(values)) for values in zip(*mosaic, strict=True))
fig, ax = plt.subplots(figsize=(8, 6.2), layout="constrained")
for (x, y), answer in mosaic.items():
    picture = plt.imread(io.BytesIO(answer.content))
    ax.imshow(picture, extent=(x, x + 1, y + 1, y))
ax.set(xlim=(columns[0], columns[-1] + 1), ylim=(lines[-1] + 1, lines[0]), aspect="equal")
ax.set(xticks=columns, yticks=lines, xlabel="x of the tile", ylabel="y of the tile")
ax.grid(color="white", lw=0.6, alpha=0.7)
ax.set_title(f"{place}: {len(mosaic)} tiles of zoom 13, over HTTP")
fig.supxlabel(credit, size=8)
plt.show()
assert all(answer.headers["Content-Type"] == "image/png" for answer in mosaic.values())

# %% [markdown]
# How long does a client wait? Each client has one connection and asks for the next tile as soon as
# it has the last. Cold: a tile nobody asked for before. Warm: one that the server has kept. A third of
# the tiles is too few to tell the slowest hundredth from chance, so the table ends with the slowest
# answer and says how many were asked.

# %%
percentiles = {
    key: dict(zip((50, 90, 100), 1e3 * np.percentile(found, (50, 90, 100)), strict=True))
    for key, (found, _) in waits.items()
}  # milliseconds
print(f"{'':5} clients  asked   p50 ms   p90 ms  slowest   tiles a second")
for (state, clients), (found, per_second) in waits.items():
    told = "".join(f" {each:8.1f}" for each in percentiles[state, clients].values())
    print(f"{state:5} {clients:7} {len(found):6}{told} {per_second:16.0f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.4), layout="constrained", width_ratios=(2.4, 1))
spots = np.arange(6) + np.array([0, 0, 0, 0.5, 0.5, 0.5])
for number, (q, shade) in enumerate({50: "#9ecae1", 90: "#4292c6", 100: "#084594"}.items()):
    found = [each[q] for each in percentiles.values()]
    axes[0].bar(
        spots + 0.27 * (number - 1),
        found,
        width=0.25,
        color=shade,
        label=f"p{q}" if q < 100 else "slowest",
    )
axes[0].set_xticks(spots, [f"{state}\n{clients}" for state, clients in waits])
axes[0].set(title="Waiting for a tile", xlabel="cache, clients", ylabel="time (ms)", yscale="log")
axes[0].legend(frameon=False, ncols=3)
axes[1].bar(["cold", "warm"], [hits[0][1], hits[1][1] - hits[0][1]], color="0.7", label="made")
axes[1].bar(["cold", "warm"], [hits[0][0], hits[1][0] - hits[0][0]], color="C1", label="from cache")
axes[1].set(title="Where tiles came from", ylabel="tiles")
axes[1].legend(frameon=False)
plt.show()
assert percentiles["warm", 1][50] < percentiles["cold", 1][50]

# %% [markdown]
# The first request for a tile pays for reading, warping and drawing; the same tile again costs the
# connection. Cold, more clients get hardly more tiles in a second and wait longer for each, since the
# processors have no time left: that is where a second server, or a cache in front, begins to pay. The
# slowest answer of a few hundred is one answer, and differs from run to run.
#
# ## 8. Quality control, as operators
#
# A check passes its input through or raises `QCError` with a reason, so checks stand between the
# other steps. `Quarantine` turns the error into a sentinel and calls whoever wants to know, so that
# a batch goes on. Most checks are there; one's own is a class with one method.


# %%
class AssertGreen(Check):
    """Check that the greenest tenth of the pixels has an NDVI of at least `least`."""

    def __init__(self, least, on_fail="raise"):
        super().__init__(on_fail)
        self.least = least

    def fault(self, ndvi):
        found = np.nanpercentile(ndvi.values, 90)
        return None if found >= self.least else f"the greenest tenth begins at {found:.2f}"


at_the_door = AssertShape((3, None, None)) | AssertDType("uint16") | AssertHasAttribute("crs")
numbers = vegetation[:1] | AssertValueRange(1, 25_000)
checks = at_the_door | numbers | vegetation[1:] | AssertValidFraction(0.6) | AssertGreen(0.3)

# %% [markdown]
# Through the checks go the scenes of the batch, and three more that are spoilt on purpose: one with
# two bands, one already made into reflectance, one from a sensor that was blinded.

# %%
reasons = Counter()
guard = Quarantine(checks, None, lambda x, error: reasons.update([str(error).split(":")[0]]))

load = read_box if region != "Flanders" else (lambda row: CatalogField(row).load())
archive = {each.start_time: load(each) for each in rows.iter_rows() if each.index != row.index}
sample = next(iter(archive.values()))
spoilt = [sample[:2], DNToReflectance()(sample), np.maximum(sample, np.uint16(60_000))]
verdicts = {day: guard(raster) is not None for day, raster in archive.items()}
for raster in spoilt:
    assert guard(raster) is None
print(f"{sum(verdicts.values())} of {len(archive)} scenes pass")
print("refused:", dict(reasons))
assert sum(reasons.values()) == len(archive) - sum(verdicts.values()) + 3
assert reasons["AssertGreen"] == 1 or region != "Flanders"

# %%
days = sorted(archive)
shares = [100 * np.isfinite(vegetation(archive[day]).values).mean() for day in days]
fig, ax = plt.subplots(figsize=(10, 2.8), layout="constrained")
for good, colour_of, word in ((True, "C0", "passed on"), (False, "C3", "in quarantine")):
    chosen = [number for number, day in enumerate(days) if verdicts[day] is good]
    ax.bar(chosen, [max(shares[n], 1.5) for n in chosen], color=colour_of, width=0.8, label=word)
ax.axhline(60, color="0.3", lw=1, ls="--")
ax.set(title=f"{region}: pixels without cloud, scene by scene", ylabel="valid pixels (%)")
ax.set(xlabel="scene, in order of time", xlim=(-1, len(days)), ylim=(0, 125))
ax.legend(frameon=False, ncols=2, loc="upper left")
fig.supxlabel(rows_credit, size=8)
plt.show()

# %% [markdown]
# The dashed line is the limit of 60 %, and the counter says why a scene was refused. In Flanders one
# red bar stands above the line: the cloud of section 2 that SCL did not see.
#
# So far the checks have only looked. They guard a product when they are in the pipeline that makes it:
# the batch of section 2 once more, with the checks between its steps.

# %%
report, checked_products = batch(rows, "checked", checks).run()
print(report)
written = set(checked_products.gdf.start_time)
print(f"{len(products)} maps without the checks, {len(written)} with them")
assert written == {day for day in archive if verdicts[day]}
assert all(np.isfinite(checked_products.gdf.mean_ndvi))
if region == "Flanders":
    low = checked_products.gdf.query("seen > 0.95 and mean_ndvi < 0.1")
    assert len(low) == 0
    assert len(odd) == 1

# %% [markdown]
# The catalog that comes out holds the scenes that passed, and no others: the odd point of section 2 is
# no product any more. The run's report names each refused scene with its reason.
#
# ## 9. A frozen artifact
#
# What did we publish last year, and can we make it again? `freeze` runs the pipeline and writes its
# config, its inputs, the versions of the packages and the hash of the result into one tar; `verify`
# runs it again and compares bytes.

# %%
cut = scene[:, 200:400, 300:500]
frozen = artifact.freeze(vegetation, cut, folder / "ndvi.tar")
checked = artifact.verify(frozen.path, digest=frozen.digest)
manifest = frozen.manifest
print("result:", frozen.result_hash, "| now:", checked.result_hash)
print("pipeline:", manifest["pipeline_hash"], "| packages:", ", ".join(manifest["versions"]))
assert checked.changed_versions == {}

# %% [markdown]
# Somebody changes it: a bit of one pixel, an argument of the pipeline, the hash of the result. Or
# makes another artifact, consistent in itself, and gives it the old name: against that, keep the
# digest where that person can't write.


# %%
def tampered(change):
    """Return the path of a copy of the artifact that a function has changed."""
    members = read_members(frozen.path)
    told = json.loads(members["manifest.json"])
    change(told, members)
    members["manifest.json"] = json.dumps(told).encode()
    write_members(folder / "tampered.tar", members)
    return folder / "tampered.tar"


def one_bit(told, members):
    pixels = members["inputs/0.npy"]
    members["inputs/0.npy"] = pixels[:-1] + bytes([pixels[-1] ^ 1])


def an_argument(told, members):
    told["pipeline"]["config"]["operators"][2]["config"]["eps"] = 0.5


def the_result(told, members):
    told["result"]["content_hash"] = "0" * 32


# %%
other = artifact.freeze(vegetation[1:], cut, folder / "other.tar")
refused = 0
for change in (one_bit, an_argument, the_result, None):
    path = other.path if change is None else tampered(change)
    digest = frozen.digest if change is None else None
    try:
        artifact.verify(path, digest=digest)
    except artifact.ArtifactError as error:
        name = "another artifact" if change is None else change.__name__.replace("_", " ")
        print(f"{name:17} {textwrap.shorten(str(error), 96, placeholder=' ...')}")
        refused += 1
assert refused == 4
assert artifact.verify(other.path).result_hash == other.result_hash  # it fits itself

# %% [markdown]
# Each refusal says what differs.
#
# ## 10. Active learning
#
# Labels cost an expert's time, so which chips should be labelled next? `ActiveSampler` takes those
# that score highest, here the chips about which the model is least certain (best less second-best
# probability, averaged over the chip). The western half offers 600 chips of 8 x 8 pixels, the
# eastern half judges. A campaign begins with three chips and adds two in each round.


# %%
def halves(image, scl):
    """Return chips of the west (N, 64, bands) with labels (N, 64), and pixels of the east."""
    half = image.shape[2] // 2
    bands = preprocessing(image[:, :, : half - 10])(image).values
    truth = RULE[scl.values]
    rows, cols = truth.shape[0] // 8 * 8, (half - 10) // 8 * 8
    cut = bands[:, :rows, :cols].reshape(4, rows // 8, 8, cols // 8, 8)
    chips = cut.transpose(1, 3, 2, 4, 0).reshape(-1, 64, 4)
    labels = truth[:rows, :cols].reshape(rows // 8, 8, cols // 8, 8)
    labels = labels.transpose(0, 2, 1, 3).reshape(-1, 64)
    usable = np.flatnonzero(np.isfinite(chips).all((1, 2)) & (labels >= 0).all(1))
    usable = np.random.default_rng(0).permutation(usable)[:600]
    east, east_truth = bands[:, ::5, half::5].reshape(4, -1).T, truth[::5, half::5].ravel()
    known = np.isfinite(east).all(1) & (east_truth >= 0)
    return chips[usable], labels[usable], east[known], east_truth[known]


# %%
def beginning(labels, rng, one_of_each):
    """Return three chips: any, or one in which each class has a good share."""
    if not one_of_each:
        return rng.choice(len(labels), 3, replace=False).tolist()
    shares = [(labels == value).mean(axis=1) for value in CLASSES]
    return [int(rng.choice(np.flatnonzero(share > 0.3))) for share in shares]


def doubts(model, chips):
    """Return 1 less the margin of the best over the second-best class, averaged per chip."""
    shares = np.partition(model.predict_proba(chips.reshape(-1, 4)), -2, axis=1)
    return (1 - shares[:, -1] + shares[:, -2]).reshape(len(chips), -1).mean(axis=1)


# %%
def campaign(data, seed, active, one_of_each, rounds=8):
    """Return the accuracy after each round of labelling two more chips, percent."""
    chips, labels, east, truth = data
    rng, scores = np.random.default_rng(seed), []
    chosen = beginning(labels, rng, one_of_each)
    for _ in range(rounds):
        known, said = labels[chosen].ravel(), np.full(len(east), labels[chosen[0], 0])
        worth = rng.random(len(chips))
        if len(np.unique(known)) > 1:  # else there is nothing to learn yet
            model = LogisticRegression(C=10, class_weight="balanced", tol=1e-3, max_iter=200)
            said = model.fit(chips[chosen].reshape(-1, 4), known).predict(east)
            worth = doubts(model, chips) if active else worth
        scores.append(100 * np.mean([np.mean(said[truth == k] == k) for k in CLASSES]))
        worth[chosen] = np.nan  # a labelled chip is not asked about again
        chosen += ActiveSampler(range(len(chips)), worth.__getitem__, k=2)().items
    return scores


# %%
simulated = halves(load_s2_chip(**SHORE), load_s2_chip(**SHORE, bands=("B04", "SCL"))[1])
trials = {"Lake Tahoe (simulated), any three chips": (simulated, False)}
if source != "simulated":
    real = halves(colour, scene[2])
    trials |= {f"{place}, any three chips": (real, False), f"{place}, one of each": (real, True)}
curves = {}
with threadpool_limits(1):  # the problems are small; threads would wait for each other
    for name, (data, one_of_each) in trials.items():
        for how in ("random", "active"):
            runs = [campaign(data, seed, how == "active", one_of_each) for seed in range(20)]
            curves[name, how] = np.array(runs)
        last = [f"{how} {curves[name, how][:, -1].mean():.1f} +- {curves[name, how][:, -1].std():.1f}"
                for how in ("random", "active")]  # fmt: skip
        ahead = curves[name, "active"].mean(axis=1) > curves[name, "random"].mean(axis=1)
        print(f"{name}: {', '.join(last)} %, active ahead in {ahead.sum()} of 20")
        share = np.bincount(data[1].ravel(), minlength=3) / data[1].size
        print("   candidates:", {CLASSES[k][0]: f"{share[k]:.1%}" for k in CLASSES})

# %%
first_trial = next(iter(trials))
gain = curves[first_trial, "active"] - curves[first_trial, "random"]
assert gain[:, -1].mean() > 3
assert (gain.mean(axis=1) > 0).sum() >= 15

fig, axes = plt.subplots(1, len(trials), figsize=(4.6 * len(trials), 3.8), layout="constrained",
                         squeeze=False, sharey=True)  # fmt: skip
labelled = 3 + 2 * np.arange(8)
for ax, name in zip(axes[0], trials, strict=True):
    for how, colour_of in (("random", "0.45"), ("active", "C1")):
        low, high = np.percentile(curves[name, how], [10, 90], axis=0)
        ax.fill_between(labelled, low, high, color=colour_of, alpha=0.25, lw=0)
        average = curves[name, how].mean(axis=0)
        ax.plot(labelled, average, "o-", color=colour_of, label=f"{how}: mean, 10 to 90 %")
    ax.set(title=name, xlabel="labelled chips", xticks=labelled[::2])
axes[0, 0].set_ylabel("accuracy, mean over classes (%)")
axes[0, 0].legend(frameon=False, loc="lower right")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# On the simulated shore the rare class is other ground. The model is unsure where it borders on the
# rest, asks for those chips, and has what it needs after a few rounds; random picks wait for luck,
# and their band stays wide.
#
# In Bolzano, where it is drawn, doubt does not pay. The rare class is water, two pixels in a
# thousand: a model that has never seen a river is in no doubt about it, and asks about the edges of
# gardens. One chip of each class at the beginning is worth more than all rounds of questions, asked
# at random or not. Doubt finds what is confusing, not what is missing; so try it on your own ground,
# with a held-out area and many seeds, before you pay for labels.
#
# ## 11. Fusion of sensors
#
# Sentinel-2 at 10 m, Landsat at 30 m and a relief in degrees, at Lake Tahoe. A `Graph` takes them
# by name. Which grid counts is written in the config, here that of the Sentinel-2 chip; nothing is
# resampled by accident.

# %%
box = (-120.06, 38.92, -119.95, 38.99)
optical = load_s2_chip(bbox=box, bands=("B04", "B08"))
landsat = load_landsat_chip(bbox=box, bands=("red", "nir08"), scale=True)
relief = load_dem_chip(bbox=box)
dem = GeoTensor(relief.values, relief.rio.transform(), relief.rio.crs, np.nan,
                {"band_names": ["elevation"], "source": relief.attrs["source"]})  # fmt: skip
sources = {part.attrs["source"] for part in (optical, landsat, dem)}
print("source:", ", ".join(sorted(sources)), "(Sentinel-2, Landsat, relief)")

s2, l9, height = Input("sentinel2"), Input("landsat"), Input("dem")
both = AlignAndStack(target=optical, resampling="bilinear")(
    (DNToReflectance() | NDVI("B04", "B08"))(s2), NDVI("red", "nir08")(l9), height
)
fusion = Graph(inputs={"sentinel2": s2, "landsat": l9, "dem": height}, outputs={"cube": both})
cube = fusion(sentinel2=optical, landsat=landsat, dem=dem)["cube"]
print("on one grid:", cube.shape, cube.dtype, cube.crs)
assert cube.shape[1:] == optical.shape[1:]
assert cube.transform == optical.transform

# %% [markdown]
# A missing input is an error, when the graph is called as when it is built:

# %%
try:
    fusion(sentinel2=optical, dem=dem)
except TypeError as error:
    print("called:", error)
try:
    Graph(inputs={"sentinel2": s2, "dem": height}, outputs={"cube": both})
except ValueError as error:
    print("built:", error)

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
style = {"label": "NDVI (unitless)", "cmap": "BrBG", "vmin": -1, "vmax": 1}
plot(NDVI("B04", "B08")(DNToReflectance()(optical)), ax=axes[0], title="Sentinel-2, 10 m", **style)
plot(NDVI("red", "nir08")(landsat), ax=axes[1], title="Landsat, 30 m", **style)
plot(dem, ax=axes[2], title="Relief, in degrees", label="elevation (m)", cmap="cividis")
plt.show()

# %%
s2_ndvi, l9_ndvi, metres = cube.values
ground = np.isfinite(cube.values).all(axis=0) & (s2_ndvi > 0) & (l9_ndvi > 0)
steps = np.arange(1900, 2500, 50)
zone = np.digitize(metres, steps)
fig, ax = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
for name, values, shape in (("Sentinel-2", s2_ndvi, "o-"), ("Landsat", l9_ndvi, "s--")):
    per_zone = [np.median(values[ground & (zone == k)]) if (ground & (zone == k)).sum() > 500
                else np.nan for k in range(1, len(steps))]  # fmt: skip
    ax.plot(steps[:-1] + 25, per_zone, shape, label=name, ms=5)
simulated = " (simulated)" if optical.attrs["source"] == "simulated" else ""
ax.set(title=f"Vegetation by elevation, from the fused cube{simulated}")
ax.set(xlabel="elevation (m)", ylabel="median NDVI of land (unitless)")
ax.legend(frameon=False)
plt.show()
print(f"{ground.sum() / 1e4:.1f} km2 of land, seen by both")

# %% [markdown]
# The relief gives the horizontal axis, and each sensor a line. On simulated pixels the two lines must
# be alike, because one simulation draws both sensors: that they agree says the three grids were laid
# on each other rightly, and nothing about Landsat or Sentinel-2.
#
# ## 12. Orchestrators
#
# Somebody has to start the work, wait, and try again when a source stumbles. Here the source really
# stumbles: a file server that answers 503 to the first request for each file. The task is an
# ordinary function that fetches a scene and runs the pipeline.

# %%
landing = folder / "landing"
landing.mkdir()
strips = [scene[:, row : row + 100] for row in range(0, 600, 100)]
for number, strip in enumerate(strips):
    write_cog(strip, landing / f"strip_{number}.tif")
expected = [round(float(np.nanmean(vegetation(strip).values)), 6) for strip in strips]

# %%
requested = Counter()
files = FastAPI()


@files.get("/{name}")
def send_file(name: str):
    requested[name] += 1
    if requested[name] == 1:
        raise HTTPException(503, "not now")
    return FileResponse(landing / name)


def mean_ndvi(url):
    """Fetch a scene and return its mean NDVI; an answer that is no 200 is an error."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        strip = read_upload(answer.read(), ("B04", "B08", "SCL"), Limits())
    return round(float(np.nanmean(vegetation(strip).values)), 6)


# %% [markdown]
# Prefect keeps the state of every task in a server of its own. Its test harness runs one while a
# block lasts, with a temporary database. Prefect reads its settings when it is imported: its files
# go to this notebook's folder, and nothing is reported to its makers.

# %%
os.environ |= {
    "DO_NOT_TRACK": "1",
    "PREFECT_HOME": str(folder / "prefect"),
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

# %% [markdown]
# Two retries are allowed for each task; one is needed.

# %%
fetch = task(mean_ndvi, name="mean NDVI", retries=2, retry_delay_seconds=0.1)


@flow(name="strips")
def fetch_all(urls):
    return [future.result() for future in fetch.map(urls)]


# %%
with running(files) as url, prefect_test_harness(300), get_client(sync_client=True) as server:
    by_prefect = fetch_all([f"{url}/strip_{number}.tif" for number in range(6)])
    for _ in range(300):  # a minute at most: it writes its runs down a little later
        runs = server.read_task_runs()
        if len(runs) == 6 and all(run.state and run.state.is_final() for run in runs):
            break
        time.sleep(0.2)
states = Counter((run.state_name, run.run_count) for run in runs)
for (state, attempts), count in states.items():
    print(f"Prefect's server tells: {count} task runs, {state}, {attempts} attempts each")
print("mean NDVI:", by_prefect)
assert by_prefect == expected
assert [run.run_count for run in runs] == [2] * 6
assert set(requested.values()) == {2}

# %% [markdown]
# The same function on a Dask cluster of two worker processes on this machine:

# %%
requested.clear()
cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                       local_directory=str(folder), silence_logs=50)  # fmt: skip
with running(files) as url, cluster, Client(cluster) as client:
    urls = [f"{url}/strip_{number}.tif" for number in range(6)]
    by_dask = client.gather(client.map(mean_ndvi, urls, retries=2, pure=False))
    print(len(client.scheduler_info()["workers"]), "workers")
print("the same numbers:", by_dask == by_prefect)
print("requests for each file:", set(requested.values()))
assert by_dask == expected
assert set(requested.values()) == {2}

# %% [markdown]
# Twelve requests for six files each time: one refused, one answered. The function knows nothing of
# either orchestrator, so a third would be another three lines.
#
# ## 13. The next version
#
# Clouds have soft edges, so version two grows the mask by three pixels. What changes in the config,
# and what changes on the scenes?

# %%
grown = MaskFromSCL("SCL") | DilateMask(3)
second = ApplyMask(grown, fill_value=0) | DNToReflectance() | NDVI("B04", "B08")
print(config_diff(vegetation, second))

# %% [markdown]
# This is a *backtest*: both versions run over the same past scenes, here those that passed the checks of
# section 8, and a metric says how much it matters, here by how much the mean NDVI of a scene moves. (An
# A/B test would give users one of the two at random and look at what they do. The function is called
# `ab_test` for its two arguments.)


# %%
def shift(a, b):
    return abs(np.nanmean(a.values) - np.nanmean(b.values))


good = [day for day in days if verdicts[day]]
trial = ab_test(vegetation, second, [archive[day] for day in good], metric=shift)
moved = np.array(trial.per_input)
print(f"{len(good)} scenes: mean shift {trial.mean:.4f}, worst {trial.worst:.4f}")
print(f"untouched: {np.mean(moved == 0):.0%}, more than 0.01: {np.sum(moved > 0.01)}")

# %%
worst = [index for index, _ in trial.ranked(3)]
fig, axes = plt.subplots(3, 3, figsize=(9.5, 8.4), layout="constrained")
style = {"cmap": "BrBG", "vmin": -1, "vmax": 1, "label": "NDVI (unitless)"}
for line, index in zip(axes, worst, strict=True):
    day = good[index]
    versions = [operator(archive[day]) for operator in (vegetation, second)]
    for ax, version, name in zip(line, versions, ("version 1", "version 2"), strict=False):
        plot(version, ax=ax, title=f"{day:%Y-%m-%d}, {name}", axes="none", **style)
    lost = np.isfinite(versions[0].values) & ~np.isfinite(versions[1].values)
    lost = GeoTensor(lost, versions[0].transform, versions[0].crs)
    plot(lost, ax=line[2], title=f"dropped: {lost.values.mean():.0%}, shift {moved[index]:.3f}",
         axes="none", legend=False)  # fmt: skip
fig.supxlabel(rows_credit, size=8)
plt.show()

# %% [markdown]
# The scenes that move most are those with broken cloud, where the mask's edge is long. Look at them
# before the new hash goes to production. What this notebook wrote is removed:

# %%
shutil.rmtree(folder)

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-07-dry
# Write the check `AssertDry(most)`: it refuses an NDVI map of which more than the share `most` lies
# below 0. Like `AssertGreen` above it needs two methods.
#
# ```python
# class AssertDry(Check):
#     ...
#
# # the check
# from pipekit import QCError
#
# three_of_four = GeoTensor(np.array([[-0.5, -0.4, -0.3, 0.5]]), scene.transform, scene.crs)
# assert AssertDry(0.8)(three_of_four) is three_of_four
# try:
#     AssertDry(0.7)(three_of_four)
# except QCError as error:
#     print(error)
# else:
#     raise AssertionError("three pixels of four are more than 70 %")
# ```
# :::
#
# :::{solution} ex-07-dry
# :class: dropdown
#
# ```python
# class AssertDry(Check):
#     def __init__(self, most, on_fail="raise"):
#         super().__init__(on_fail)
#         self.most = most
#
#     def fault(self, ndvi):
#         wet = np.mean(ndvi.values < 0)
#         return None if wet <= self.most else f"{wet:.0%} of the pixels lie below 0"
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-07-tile
# Which tile of zoom 15 holds the middle of the box `where["bbox"]`? `morecantile` knows the grid.
#
# ```python
# tile = ...
#
# # the check
# from math import asinh, pi, radians, tan
#
# west, south, east, north = where["bbox"]
# x = int(((west + east) / 2 + 180) / 360 * 2**15)
# y = int((1 - asinh(tan(radians((south + north) / 2))) / pi) / 2 * 2**15)
# assert (tile.x, tile.y, tile.z) == (x, y, 15)
# ```
# :::
#
# :::{solution} ex-07-tile
# :class: dropdown
#
# ```python
# west, south, east, north = where["bbox"]
# grid = morecantile.tms.get("WebMercatorQuad")
# tile = grid.tile((west + east) / 2, (south + north) / 2, 15)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | shape | what is put around the operator | what came with it |
# |---|---|---|
# | 1 exploration | `Tap`, `Snapshot` | no change of a pixel |
# | 2 batch | `CatalogPipeline(..., journal=, on_row_error="skip")` | killed, resumed, a catalog |
# | 3 train and use | one `preprocess` in both | no skew |
# | 4 model server | a `LitAPI` of four methods | warm, in its own process |
# | 5 service | `create_app(pipelines=...)` | config and hash at an address |
# | 6 sent pipelines | `accept_yaml=True`, `Limits` | a registry, a sandbox |
# | 7 tiles | `geostack serve --pipelines FILE` | a cache, percentiles |
# | 8 quality control | `Assert...` between the steps, `Quarantine` | reasons, counted; no bad map |
# | 9 artifact | `freeze`, `verify` | the same bytes, or why not |
# | 10 active learning | `ActiveSampler` | labels where they tell most |
# | 11 fusion | `Graph`, `AlignAndStack(target=...)` | one grid, chosen |
# | 12 orchestrators | Prefect's `task`, Dask's `map` | retries |
# | 13 next version | `config_diff`, `ab_test` over past scenes | the worst scenes first |
#
# **Key points**
#
# - The operator stays as it is; shapes are put around it.
# - A check guards a product only when it is a step of the pipeline that makes the product.
# - Say how many answers a percentile comes from, and how far a cost was extrapolated.
#
# **References**
#
# - Sculley, D. et al. (2015), *Hidden Technical Debt in Machine Learning Systems*, NeurIPS 28: training and use that drift apart
# - Open Geospatial Consortium (2022), *OGC API - Tiles*, 20-057, <https://docs.ogc.org/is/20-057/20-057.html>
# - Settles, B. (2009), *Active Learning Literature Survey*, University of Wisconsin-Madison, TR 1648
#
# **Where next.** [From catalog to catalog](catalog/05_patching_bridge.ipynb) takes shape 2 apart;
# [streaming](patching/06_streaming.ipynb) is for scenes that don't fit into memory; and
# `geostack serve --help` is the shortest way to an address of your own.
