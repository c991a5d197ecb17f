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
# You will learn that the operator stays as it is, and that thirteen shapes are put around it. Each
# of them runs here, with the library that a practitioner would take, on a free port of this machine,
# and each server is stopped in the cell that started it.
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
# **Needs** no network, and the extra `serve` (in the clone: `pip install ".[serve]"`). The lesson leads
# with real scenes of Bolzano and of Flanders where an archive has them, and else with the embedded
# simulation; the lines printed below say which. Shape 11 is simulated everywhere: no archive here holds
# three sensors of one place.
#
# **Before this.** [Operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb). **Time.** 45
# minutes to read, two minutes to run; each shape can be read alone. Terms are explained where they
# first occur, and in the [glossary](../docs/reference/glossary.md).

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import requests

from geostack.lesson import need

ready = need("fastapi", "litserve", "prefect", "rio_tiler", extra="serve")
folder = Path(tempfile.mkdtemp(prefix="geostack-shapes-"))  # for all that is written below

# %% [markdown]
# ## The pipeline
#
# Vegetation without clouds: bands B04, B08 and SCL in, NDVI out. Clouded pixels become 0, which is
# nodata in digital numbers, and so NaN in reflectance. It names no file, no place and no date.

# %%
from geotoolz import NDVI, ApplyMask, DNToReflectance, MaskFromSCL

vegetation = ApplyMask(MaskFromSCL("SCL"), fill_value=0) | DNToReflectance() | NDVI("B04", "B08")
print(vegetation)
print("hash:", vegetation.config_hash)

# %% [markdown]
# And a scene to work on: Bolzano in South Tyrol, where a source has it, else a simulated shore of
# Lake Tahoe.

# %%
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, NoSceneError, SourceUnavailableError
from geostack import load_s2_chip

BOLZANO = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE}
BOLZANO["date_range"] = "2022-06-01/2022-06-30"
SHORE = {"bbox": (-120.06, 38.92, -119.95, 38.99), "source": "simulated"}
try:
    colour, where = load_s2_chip(**BOLZANO), BOLZANO
except (NoSceneError, SourceUnavailableError):
    colour, where = load_s2_chip(**SHORE), SHORE

BANDS = ("B04", "B08", "SCL")
scene = load_s2_chip(**where, bands=BANDS)
source, item_id = scene.attrs["source"], scene.attrs["item_id"]
place = "Bolzano" if where is BOLZANO else "Lake Tahoe (simulated)"
credit = "" if source == "simulated" else "contains modified Copernicus Sentinel data 2022"
print(f"source: {source} ({item_id})")
print(scene.shape, scene.dtype, scene.attrs["band_names"])

# %% [markdown]
# ## 1. Exploration: look between the steps
#
# A `Sequential` is sliced like a list, so one looks by putting something between two slices. `Tap`
# calls a function in passing, `Snapshot` keeps a value; neither changes a pixel, and neither is in
# the pipeline that goes to production. [Lesson 03](03_operators_lake_tahoe.ipynb) takes such a
# pipeline apart, with checks, a trace and a profile.

# %%
from geotoolz import Snapshot, Tap

snapshot, ranges = Snapshot(), []


def note(raster):
    ranges.append((float(np.nanmin(raster.values)), float(np.nanmax(raster.values))))


opened = vegetation[:1] | Tap(note) | snapshot.at("masked numbers")
opened = opened | vegetation[1:2] | Tap(note) | snapshot.at("reflectance")
opened = opened | vegetation[2:] | Tap(note) | snapshot.at("NDVI")

# %%
greenness = opened(scene)
for name, (low, high) in zip(snapshot.keys(), ranges, strict=True):
    print(f"{name:15} {snapshot[name].dtype!s:8} {low:8.3f} to {high:9.3f}")

# %%
from geotoolz import plot

NDVI_STYLE = {"label": "NDVI (unitless)", "cmap": "YlGn", "vmin": -0.2, "vmax": 0.9}
looks = {
    "masked numbers": {"label": "digital number", "band": "B08", "cmap": "gray"},
    "reflectance": {"label": "reflectance (unitless)", "band": "B08", "cmap": "gray"},
    "NDVI": NDVI_STYLE,
}
fig, axes = plt.subplots(1, 3, figsize=(13, 3.5), layout="constrained")
for ax, (name, look) in zip(axes, looks.items(), strict=True):
    plot(snapshot[name], ax=ax, title=f"After step {list(looks).index(name) + 1}: {name}", **look)
for ax in axes[1:]:
    ax.set_ylabel("")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# The second picture is the first in other units; the third is another quantity. Black in the near
# infrared is water: the rivers of Bolzano, or the simulated lake. The 7.000 above is no reflectance: the
# printed range takes in the SCL, whose highest class here is 7, and classes pass unscaled.
#
# ## 2. Batch: a catalog in, a catalog out
#
# Extract, transform, load is one object: rows come from a catalog, each goes through the pipeline,
# outputs are cloud-optimised GeoTIFFs and a catalog again.
# [From catalog to catalog](catalog/05_patching_bridge.ipynb) builds it step by step; here it is killed.
#
# The archive holds 118 acquisitions of a square of Flanders. Where it is missing, 22 simulated scenes
# of Lake Tahoe stand in, of which a box is read at 20 m. Archives hold broken files: to have one for
# certain, a *copy* of one band is cut off after 2,000 bytes, and one row points to the copy.

# %%
from geocatalog import from_stac_items
from geostack import load_stac_items


def catalog_of(box, dates, tile, source):
    """Return the catalog of a place: a row for each scene, three bands a row."""
    items = load_stac_items(
        "sentinel-2-l2a", box, dates, tile=tile, max_cloud_cover=None, limit=None, source=source
    )
    return from_stac_items(items, asset_key=list(BANDS))


tahoe = catalog_of(SHORE["bbox"], "2024-06-01/2024-07-31", "10SGJ", "simulated")
try:
    square = (3.019, 50.813, 3.028, 50.819)
    rows, region = catalog_of(square, "2017-08-01/2018-11-30", "31UDS", "archive"), "Flanders"
except (NoSceneError, SourceUnavailableError) as error:
    rows, region = tahoe, "Lake Tahoe (simulated)"
    print("no archive has the Flanders scenes:", type(error).__name__)
rows_credit = "contains modified Copernicus Sentinel data 2017-2018" if rows is not tahoe else ""
print(f"source: {'simulated' if rows is tahoe else 'archive'}, {len(rows)} scenes of {region}")

# %%
from geocatalog import GeoSlice
from geotoolz import CatalogField, CatalogPipeline

table, row = rows.gdf, next(rows.iter_rows())
whole = Path(row.assets["B08"])
damaged = folder / whole.name
damaged.write_bytes(whole.read_bytes()[:2000])
at = table.index[row.index]
table.loc[at, "assets"] = table.loc[at, "assets"].replace(str(whole), str(damaged))
rows = type(rows)(table)


def read_box(row):
    box = (752000, 4312000, 762000, 4322000)  # metres of UTM zone 10
    return CatalogField(row, GeoSlice(box, row.interval, 20, row.crs)).load()


# %%
def summary(ndvi):
    seen = ndvi.values[np.isfinite(ndvi.values)]
    return {"seen": seen.size / ndvi.size, "mean_ndvi": seen.mean() if seen.size else np.nan}


def batch(target, operator):
    """Return the pipeline over the rows; COGs and a journal go to folder / target."""
    return CatalogPipeline(
        rows,
        operator,
        writer=folder / target,
        journal=folder / f"{target}.jsonl",
        columns=summary,
        on_row_error="skip",
        workers=2,
        **({"reader": read_box} if rows.crs == tahoe.crs else {}),
    )


etl = batch("ndvi", vegetation)

# %% [markdown]
# The run is started in a process of its own, since this notebook's must survive, and killed with
# SIGKILL, which no program can catch, as soon as a dozen rows are in its journal. `loky` (a part of
# joblib) carries the whole pipeline over, the functions of this notebook included. Then the same call,
# here, goes on where the journal ends; the damaged file is skipped, and reported by name.

# %%
import os
import signal
import time

from joblib.externals.loky import ProcessPoolExecutor

journal = folder / "ndvi.jsonl"
with ProcessPoolExecutor(1) as process:
    number = process.submit(os.getpid).result()
    run = process.submit(etl.run)
    while not run.done() and not (journal.exists() and journal.read_bytes().count(b"\n") > 12):
        time.sleep(0.01)
    os.kill(number, signal.SIGKILL)
    print("the run ended with", type(run.exception()).__name__)
before = journal.read_bytes().count(b"\n") - 1  # the first line tells what the run is

report, products = etl.run()
failed = report.failed[0]
print(report)
print(f"skipped: {Path(failed.filepath).parent.name}: {failed.error}")
assert report.resumed == before

# %% [markdown]
# What does it cost? The Flanders scenes are chips of 64 x 64 pixels and tell nothing about whole tiles.
# So strips of a simulated scene are timed, the largest a twentieth of a tile of 10980 x 10980 pixels,
# three rounds of three sizes. Each round gives a line, seconds against pixels, that is drawn on to a
# whole tile. How far the three lie apart is the least that the answer is unsure by.

# %%
from geotoolz import write_cog

first = next(tahoe.where("cloud_cover < 1").iter_rows())
sizes, seconds, megabytes = [], [], []  # millions of pixels, seconds, MB written
for height in (2_560, 10_240, 38_400) * 3:
    part = GeoSlice((750400, 4312000, 765760, 4312000 + height), first.interval, 10, first.crs)
    began = time.perf_counter()
    strip = vegetation(CatalogField(first, part).load())
    file = write_cog(strip, folder / "cost.tif", overwrite=True)
    seconds.append(time.perf_counter() - began)
    sizes.append(strip.size / 1e6)
    megabytes.append(Path(file).stat().st_size / 1e6)
TILE = 10_980**2 / 1e6
rounds = [np.polyfit(sizes[k : k + 3], seconds[k : k + 3], 1) for k in (0, 3, 6)]
low, middle, high = np.sort([np.polyval(line, TILE) for line in rounds])
print(
    f"a whole tile: {middle:.0f} s ({low:.0f} to {high:.0f}), a file of about "
    f"{TILE * megabytes[-1] / sizes[-1]:.0f} MB"
)
hours = 10_000 * np.array([middle, low, high]) / 0.8 / 3600
print(
    "ten thousand: {:.0f} core-hours ({:.0f} to {:.0f}), ".format(*hours)
    + "{:.0f} dollars ({:.0f} to {:.0f})".format(*(0.05 * hours))
)

# %% [markdown]
# The last line assumes cores that are busy 80 % of the time, at 5 cents an hour; put your own numbers.
# Another processor, or reading over a network, moves it by more than the rounds differ.
# [A thousand scenes](../docs/how-to/thousand-scenes.md) says how many workers are worth having.
#
# ## 3. One preprocessing, in training and in use
#
# A model learns from standardised bands. The same standardisation has to happen wherever the model
# is used, and the usual mistake is to write it a second time. Here it is one object, fitted on the
# western half; the eastern half is for judging. How such a model is trained and judged is the subject
# of [lesson 06](06_ml_patches_augment.ipynb).

# %%
from sklearn.linear_model import LogisticRegression

from geotoolz import PerBandStats, SklearnOp, StandardScale, fit_pixels

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
# Beside the classifier, a service whose author standardised "in the same way", each picture by its own
# mean and deviation. Both are asked for the eastern half in chips of 1.28 km, as clients would send
# them.

# %%
import warnings

from geopatcher import CoverageWarning, SpatialBoxcar, SpatialHardVote, SpatialPatcher
from geopatcher import SpatialRectangular, SpatialRegularStride
from geotoolz import ApplyToChips, GridSampler, Stitch

again = DNToReflectance() | StandardScale() | SklearnOp(model)
shape, stride = SpatialRectangular(128, boundary="shift"), SpatialRegularStride(128)
cutter = SpatialPatcher(shape, stride, SpatialBoxcar(), SpatialHardVote(n_classes=3))
maps, right = {}, {}
for name, operator in {"the same object": classifier, "written a second time": again}.items():
    tiled = GridSampler(cutter) | ApplyToChips(operator) | Stitch()
    with warnings.catch_warnings():  # a few dark pixels hold no data, so none votes there
        warnings.simplefilter("ignore", CoverageWarning)
        maps[name] = tiled(colour[:, :, EAST])
    hits = [np.mean(maps[name].values[truth[:, EAST] == k] == k) for k in CLASSES]
    right[name] = np.mean(hits)
    print(f"{name:22} {right[name]:.1%} right, mean over the classes")
assert right["the same object"] > right["written a second time"] + 0.05

# %%
from georeader.geotensor import GeoTensor

transform = maps["the same object"].transform
labels = GeoTensor(truth[:, EAST], transform, scene.crs, -1, {"source": source})
fig, axes = plt.subplots(1, 3, figsize=(11, 5), layout="constrained")
pictures = {"Label, from SCL": labels} | {f"Preprocessing: {k}": v for k, v in maps.items()}
for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
    plot(picture, ax=ax, classes=CLASSES, title=name, legend=ax is axes[2], axes="none")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# On the right each chip was stretched by itself: where it holds nothing but forest, the least green
# part of the forest is taken for other ground. No error is raised, and no test of either half fails;
# only one object for both keeps them the same. Grey has no label, or no data.
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
import socket
import subprocess
import sys
from contextlib import contextmanager


def is_up(address):
    try:
        return requests.get(address, timeout=5).ok
    except requests.ConnectionError:
        return False


# %%
@contextmanager
def serving(*command, ready):
    """Run `python COMMAND --port PORT` on a free port, and yield its address once it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = "http://127.0.0.1:{1}".format(*probe.getsockname())
    command = [sys.executable, *command, f"--port={url.rpartition(':')[2]}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:
        try:
            while not is_up(url + ready):
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # as Ctrl-C does: what is under way is finished


# %% [markdown]
# The classifier goes there as it is, preprocessing included; clients send digital numbers as a
# GeoTIFF, in base64 because LitServe speaks JSON.


# %%
import base64
import pickle

from rasterio.io import MemoryFile

from geostack.serve import Limits, running
from geostack.serve.pixels import as_geotiff, read_upload


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
from concurrent.futures import ThreadPoolExecutor
from functools import partial

with serving(str(server_file), str(saved), ready="/health") as url:
    ask(url, chips[0])
    began = time.perf_counter()
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(partial(ask, url), chips))
    took = time.perf_counter() - began
    refused = ask(url, chips[0][:2])
print("two bands instead of four:", *refused)
print(f"{len(answers)} chips of {chips[0].shape}, four clients: {1e3 * took:.0f} ms")
for chip, answer in zip(chips, answers, strict=True):
    assert np.array_equal(answer.values, classifier(chip).values)

# %% [markdown]
# Every label equals what the operator says in this notebook. What is no chip of four bands is refused
# with a status and a reason.
#
# ## 5. A web service
#
# Twenty lines of FastAPI make a service of an operator: a GeoTIFF is sent, its NDVI comes back, and
# with it the hash of the config that made it. A map found on a disk a year later can be traced.

# %%
from fastapi import FastAPI, Request, Response

from pipekit import to_config

small_service = FastAPI()


@small_service.get("/ndvi")
def describe():
    return {"bands": BANDS, "config": to_config(vegetation)}


@small_service.post("/ndvi")
async def run_it(request: Request):
    chip = read_upload(await request.body(), BANDS, Limits())
    tiff = as_geotiff(vegetation(chip), None)
    return Response(tiff, media_type="image/tiff", headers={"X-Hash": vegetation.config_hash})


cut = scene[:, 200:400, 300:500]
with running(small_service) as url:
    by_hand = requests.post(f"{url}/ndvi", data=as_geotiff(cut, None), timeout=30)
    broken = requests.post(f"{url}/ndvi", data=b"no picture", timeout=30)
print("a chip:", by_hand.status_code, by_hand.headers["X-Hash"], "| rubbish:", broken.status_code)

# %% [markdown]
# `running` serves it from a thread for as long as the block lasts. What the twenty lines leave open is
# what takes the time: rubbish should be the client's fault (422), not the server's (500); large and slow
# requests need limits, the next client an answer meanwhile. `create_app` does that for several
# pipelines, and takes a scene's name and a box instead of pixels. A client never names a file or an
# address.

# %%
from geostack.serve import Pipeline, create_app
from geotoolz import NDWI, ToRGB

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

# %%
print(*(f"{entry['name']:11} {entry['config_hash']}" for entry in known["pipelines"]), sep="\n")
print("one of them:", described["config"]["config"]["operators"][-1])
print("answer:", answer.headers["Content-Type"], answer.headers["X-Config-Hash"])
print("as JSON:", {key: told["result"][key] for key in ("shape", "dtype", "valid_share")})
print("an unknown scene:", lost.status_code, lost.json()["title"])
served = read_upload(answer.content, ("NDVI",), Limits())
chip = load_s2_chip(**where | {"bbox": small}, bands=BANDS)
assert np.array_equal(np.squeeze(served.values), vegetation(chip).values, equal_nan=True)

# %% [markdown]
# The GeoTIFF that came back holds what the operator makes here, pixel for pixel.
# [Serve a pipeline](../docs/how-to/serve-a-pipeline.md) puts the service behind a proxy and into a
# container.
#
# ## 6. Pipelines that clients send
#
# A config is data, so a client can send one. The server builds it from a registry of operators that
# read and write nothing, and runs it in a process of its own with limits on memory, time and size.
# This one asks for something that the service does not offer:

# %%
from geotoolz import Identity, MaskWhere, PercentileClip, Sequential
from pipekit import to_yaml

wanted = to_yaml(DNToReflectance() | NDWI("B03", "B08") | MaskWhere(">", 0.0))
print(wanted)

# %% [markdown]
# Others are sent to do harm, or will not end: one asks for a chip of 8 x 8 around every single pixel,
# and thirty steps for each.

# %%
every = SpatialPatcher(
    SpatialRectangular(8), SpatialRegularStride(1), SpatialBoxcar(), SpatialHardVote(n_classes=3)
)
steps = Sequential([PercentileClip(2, 98)] * 30) | NDWI("B03", "B08") | MaskWhere(">", 0.0)
SENT = {
    "an honest one": wanted,
    "a command": f"!!python/object/apply:os.system ['touch {folder}/owned']",
    "a module": "class: os.system\nconfig: {command: ls}",
    "a file": "class: WriteCOG\nconfig: {path: owned}",
    "a path in a CRS": "class: Reproject\nconfig: {crs: /etc/passwd}",
    "itself": "&a [*a]",
    "sixty steps": to_yaml(Sequential([Identity()] * 60)),
    "long work": to_yaml(GridSampler(every) | ApplyToChips(steps) | Stitch()),
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
import textwrap

for name, answer in answers.items():
    told = answer.json()
    said = told.get("detail", f"{told.get('shape')} {told.get('dtype')}")
    said = said.removeprefix("the pipeline is refused: ")
    print(f"{name:28} {answer.status_code}  {textwrap.shorten(said, 76, placeholder=' ...')}")
accepted = [name for name, answer in answers.items() if answer.ok]
assert accepted == ["an honest one"]
print("the command ran:", (folder / "owned").exists())

# %% [markdown]
# What names a command, a module, a file or itself was never built; what is too long, too slow or too
# large was stopped with a status that says so; and a server takes pipelines only when it was told to.
#
# ## 7. Map tiles
#
# A layer is a scene and an operator that ends in colours; `/tiles/LAYER/Z/X/Y.png` is what web maps
# ask for. The server is the command `geostack serve` with a YAML file, in a process of its own, so
# that the clients below don't share its time.

# %%
import morecantile
import yaml

from geotoolz import Colormap

coloured = vegetation | Colormap("YlGn", -0.2, 0.9)
natural = DNToReflectance() | ToRGB(("B04", "B03", "B02"), limits=(0, 0.3), gamma=1.3)


def layer(operator, bands):
    place = {"item": item_id, "bbox": list(where["bbox"])}
    return place | {"bands": list(bands), "pipeline": to_config(operator)}


layers = {"ndvi": layer(coloured, BANDS), "colour": layer(natural, ("B02", "B03", "B04"))}
settings = folder / "serve.yaml"
settings.write_text(yaml.safe_dump({"source": source, "layers": layers}))


def tiles(name, zoom):
    """Return the paths of a layer's tiles that touch the place, by (x, y)."""
    grid = morecantile.tms.get("WebMercatorQuad").tiles(*where["bbox"], zooms=[zoom])
    return {(tile.x, tile.y): f"/tiles/{name}/{zoom}/{tile.x}/{tile.y}.png" for tile in grid}


# %% [markdown]
# How long does a client wait? Each client has one connection and asks for the next tile as soon as it
# has the last. *Cold* is a tile that nobody asked for before, *warm* one that the server has kept.

# %%
from urllib3 import PoolManager


def ask_all(url, paths, clients):
    """GET every path; return how long each answer took, (N,) milliseconds, and how many a second."""
    pool = PoolManager(maxsize=clients, block=True, retries=False)

    def milliseconds(path):
        began = time.perf_counter()
        assert pool.request("GET", url + path).status == 200
        return 1e3 * (time.perf_counter() - began)

    began = time.perf_counter()
    with pool, ThreadPoolExecutor(clients) as threads:
        found = np.array(list(threads.map(milliseconds, paths)))
    return found, len(paths) / (time.perf_counter() - began)


# %%
SEVERAL = (1, 8, 32)
shuffled = np.random.default_rng(7).permutation(list(tiles("ndvi", 15).values()))
waits = {}
command = ("-m", "geostack.cli", "serve", "--pipelines", str(settings))
with serving(*command, ready="/healthz") as url:
    for clients, part in zip(SEVERAL, np.array_split(shuffled, len(SEVERAL)), strict=True):
        waits["cold", clients] = ask_all(url, part, clients)  # each part is new to the server
    for clients in SEVERAL:
        waits["warm", clients] = ask_all(url, list(shuffled) * 3, clients)
    counted = requests.get(f"{url}/metrics", timeout=10).text
    mosaic = {at: requests.get(url + path, timeout=30) for at, path in tiles("colour", 13).items()}
print(*(line for line in counted.splitlines() if line.startswith("geostack_tiles_total")), sep="\n")
print(f"{'':5} clients  asked   p50 ms   p90 ms  slowest   tiles a second")
for (state, clients), (found, per_second) in waits.items():
    told = "".join(f" {each:8.1f}" for each in np.percentile(found, (50, 90, 100)))
    print(f"{state:5} {clients:7} {len(found):6}{told} {per_second:16.0f}")

# %% [markdown]
# The server counts what it made (`miss`) and what it had kept (`hit`). A third of the tiles is too few
# to tell the slowest hundredth from chance, so the table says how many were asked and ends with the
# slowest answer. Cold, more clients get hardly more tiles in a second and wait longer for each, since
# the processors have no time left: that is where a second server, or a cache in front, begins to pay.

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharex=True, sharey=True)
for ax, clients in zip(axes, SEVERAL, strict=True):
    for state, shade in (("cold", "#0072b2"), ("warm", "#e69f00")):
        found = np.sort(waits[state, clients][0])
        share = 100 * np.arange(1, len(found) + 1) / len(found)
        ax.step(found, share, where="post", color=shade, label=state)
    ax.set(xscale="log", xlabel="waited at most (ms)", title=f"clients at a time: {clients}")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("share of the tiles (%)")
fig.legend(*ax.get_legend_handles_labels(), loc="outside right center", frameon=False)
plt.show()

# %% [markdown]
# Further left is faster. Tiles of zoom 13 laid side by side are the map that a browser would show at
# `/map`:

# %%
import io

columns, lines = (sorted(set(values)) for values in zip(*mosaic, strict=True))
fig, ax = plt.subplots(figsize=(7.4, 6), layout="constrained")
ax.set_facecolor("0.6")
for (x, y), answer in mosaic.items():
    ax.imshow(plt.imread(io.BytesIO(answer.content)), extent=(x, x + 1, y + 1, y))
ax.set(xlim=(columns[0], columns[-1] + 1), ylim=(lines[-1] + 1, lines[0]), aspect="equal")
ax.set(xticks=columns, yticks=lines, xlabel="x of the tile", ylabel="y of the tile")
ax.grid(color="white", lw=0.6, alpha=0.7)
ax.set_title(f"{place}: {len(mosaic)} tiles of zoom 13, over HTTP (grey: no scene)")
fig.supxlabel(credit, size=8)
plt.show()

# %% [markdown]
# Each tile was read, put through the operator and encoded by itself, and no seam tells where one ends.
#
# ## 8. Quality control, inside the pipeline
#
# A check passes its input through, or raises `QCError` with a reason. It guards a product when it is a
# step of the pipeline that makes the product. Most checks are there; one's own is a class with one
# method.


# %%
from pipekit import AssertDType, AssertHasAttribute, AssertShape, AssertValidFraction
from pipekit import AssertValueRange
from pipekit.qc import Check


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
guarded = at_the_door | numbers | vegetation[1:] | AssertValidFraction(0.6) | AssertGreen(0.3)
guarded

# %% [markdown]
# The batch of section 2 once more, with the checks between its steps:

# %%
from collections import Counter

report, checked = batch("checked", guarded).run()
refusals = [failure.message.partition("Assert")[2].split(":")[0] for failure in report.failed]
reasons = Counter(refusals)
print(f"{len(products)} maps without the checks, {len(checked)} with them")
print("refused by Assert...:", {name or "(the damaged file)": n for name, n in reasons.items()})
odd = products.gdf.query("seen > 0.95 and mean_ndvi < 0.1")
odd_and_checked = checked.gdf.query("seen > 0.95 and mean_ndvi < 0.1")
print(
    f"seen whole and not green at all: {len(odd)} without the checks, {len(odd_and_checked)} with"
)

# %%
done = products.gdf.sort_values("start_time")
passed = done.start_time.isin(checked.gdf.start_time)
fig, ax = plt.subplots(figsize=(9.5, 3.2), layout="constrained")
for kept, mark, shade, word in (
    (passed, "o", "#0072b2", "passed on"),
    (~passed, "x", "#d55e00", "refused"),
):
    some = done[kept & (done.seen > 0)]
    ax.scatter(
        some.start_time.dt.tz_localize(None), some.mean_ndvi, marker=mark, c=shade, label=word
    )
ax.set(title=f"{region}: a map for each scene, and which the checks let pass")
ax.set(ylabel="mean NDVI (unitless)", ylim=(-0.05, 1))
ax.legend(frameon=False, ncols=2, loc="upper left")
fig.supxlabel(rows_credit, size=8)
plt.show()

# %% [markdown]
# Most crosses are scenes of which a few pixels were seen. Over Flanders, the one near zero in September
# 2018 was seen whole: a cloud that SCL took for ground, which only the check for green stops.
# A service that must answer every request puts `Quarantine` around the checks: it gives a sentinel instead
# of an error, and tells whoever wants to know. Three inputs that were spoilt on purpose:

# %%
from pipekit import Quarantine

said = []
gate = Quarantine(guarded, None, lambda x, error: said.append(str(error)))
good = next(day for day in rows.iter_rows() if day.start_time in set(checked.gdf.start_time))
sample = etl.reader(good) if rows.crs == tahoe.crs else CatalogField(good).load()
spoilt = [sample[:2], DNToReflectance()(sample), np.maximum(sample, np.uint16(60_000))]
outcomes = [gate(raster) for raster in (*spoilt, sample)]
print(*said, sep="\n")
print("the sample itself:", outcomes[-1].shape)

# %% [markdown]
# ## 9. A frozen artifact
#
# What did we publish last year, and can we make it again? `freeze` runs the pipeline and writes its
# config, its inputs, the versions of the packages and the hash of the result into one tar; `verify`
# runs it again and compares bytes.

# %%
import json

from geostack import artifact

frozen = artifact.freeze(vegetation, cut, folder / "ndvi.tar")
verified = artifact.verify(frozen.path, digest=frozen.digest)
manifest = frozen.manifest
print("result:", frozen.result_hash, "| now:", verified.result_hash)
print("pipeline:", manifest["pipeline_hash"], "| packages:", ", ".join(manifest["versions"]))

# %% [markdown]
# Somebody changes it: a bit of one pixel, an argument of the pipeline, the hash of the result. Or
# makes another artifact, consistent in itself, and gives it the old name: against that, keep the
# digest where that person can't write.

# %%
from geostack.artifact_tar import read_members, write_members


def one_bit(told, members):
    pixels = members["inputs/0.npy"]
    members["inputs/0.npy"] = pixels[:-1] + bytes([pixels[-1] ^ 1])


def an_argument(told, members):
    told["pipeline"]["config"]["operators"][2]["config"]["eps"] = 0.5


def the_result(told, members):
    told["result"]["content_hash"] = "0" * 32


def tampered(change):
    """Return the path of a copy of the artifact that a function has changed."""
    members = read_members(frozen.path)
    told = json.loads(members["manifest.json"])
    change(told, members)
    members["manifest.json"] = json.dumps(told).encode()
    write_members(folder / "tampered.tar", members)
    return folder / "tampered.tar"


# %%
other = artifact.freeze(vegetation[1:], cut, folder / "other.tar")
refused = []
for change in (one_bit, an_argument, the_result, None):
    path = other.path if change is None else tampered(change)
    digest = frozen.digest if change is None else None
    try:
        artifact.verify(path, digest=digest)
    except artifact.ArtifactError as error:
        name = "another artifact" if change is None else change.__name__.replace("_", " ")
        print(f"{name:17} {textwrap.shorten(str(error), 96, placeholder=' ...')}")
        refused.append(name)
assert len(refused) == 4

# %% [markdown]
# Each refusal says what differs.
#
# ## 10. Active learning
#
# Labels cost an expert's time, so which chips should be labelled next? `ActiveSampler` takes those
# that score highest, here the chips about which the model is least certain (best less second-best
# probability, averaged over the chip). Doubt is not error, as [lesson 06](06_ml_patches_augment.ipynb)
# shows on its map of margins, so the same campaigns are run with chips picked at random;
# [sampling](patching/03_sampling.ipynb) has other ways to place chips. The western half offers 600 chips of 8 x 8 pixels, the
# eastern half judges. A campaign begins with three chips and adds two in each round.


# %%
from threadpoolctl import threadpool_limits

from geotoolz import ActiveSampler


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
            runs = [campaign(data, seed, how == "active", one_of_each) for seed in range(12)]
            curves[name, how] = np.array(runs)
        ends = {how: curves[name, how][:, -1] for how in ("random", "active")}
        told = [f"{how} {end.mean():.1f} +- {end.std():.1f}" for how, end in ends.items()]
        ahead = curves[name, "active"].mean(axis=1) > curves[name, "random"].mean(axis=1)
        print(f"{name}: {', '.join(told)} %, active ahead in {ahead.sum()} of 12")
        share = np.bincount(data[1].ravel(), minlength=3) / data[1].size
        print("   candidates:", {CLASSES[k][0]: f"{share[k]:.1%}" for k in CLASSES})

# %%
size = (4.6 * len(trials), 3.8)
fig, axes = plt.subplots(
    1, len(trials), figsize=size, layout="constrained", squeeze=False, sharey=True
)
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
# Sentinel-2 at 10 m, Landsat at 30 m and a relief in degrees, at Lake Tahoe, all three simulated where
# no service is asked. A `Graph` takes them by name ([lesson 01](01_composition_core.ipynb) builds
# graphs). Which grid counts is written in the config, here that of the Sentinel-2 chip; nothing is
# resampled by accident. What resampling does to a pixel is told in
# [what a pixel means](../docs/reference/what-a-pixel-means.md).

# %%
from geostack import load_dem_chip, load_landsat_chip
from geotoolz import AlignAndStack, Graph, Input

box = SHORE["bbox"]
optical = load_s2_chip(bbox=box, bands=("B04", "B08"))
landsat = load_landsat_chip(bbox=box, bands=("red", "nir08"), scale=True)
relief = load_dem_chip(bbox=box)
about = {"band_names": ["elevation"], "source": relief.attrs["source"]}
dem = GeoTensor(relief.values, relief.rio.transform(), relief.rio.crs, np.nan, about)
sources = {part.attrs["source"] for part in (optical, landsat, dem)}
print("source:", ", ".join(sorted(sources)), "(Sentinel-2, Landsat, relief)")

s2, l9, height = Input("sentinel2"), Input("landsat"), Input("dem")
both = AlignAndStack(target=optical, resampling="bilinear")(
    (DNToReflectance() | NDVI("B04", "B08"))(s2), NDVI("red", "nir08")(l9), height
)
fusion = Graph(inputs={"sentinel2": s2, "landsat": l9, "dem": height}, outputs={"cube": both})
cube = fusion(sentinel2=optical, landsat=landsat, dem=dem)["cube"]
print("on one grid:", cube.shape, cube.dtype, cube.crs)

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.7), layout="constrained")
s2_map = (DNToReflectance() | NDVI("B04", "B08"))(optical)
plot(s2_map, ax=axes[0], title="Sentinel-2, pixels of 10 m", colorbar=False, **NDVI_STYLE)
plot(NDVI("red", "nir08")(landsat), ax=axes[1], title="Landsat, pixels of 30 m", **NDVI_STYLE)
axes[1].set_ylabel("")
heights = {"label": "elevation (m)", "cmap": "cividis", "vmin": 1890, "vmax": 2300}
plot(dem, ax=axes[2], title="Relief, in degrees: lake level is darkest", **heights)
plt.show()

# %% [markdown]
# Three grids of one shore. Water has an NDVI below zero and is the palest; the clouds, pale too, lie
# elsewhere on each date. From the fused cube, the vegetation of each zone of elevation:

# %%
s2_ndvi, l9_ndvi, metres = cube.values
ground = np.isfinite(cube.values).all(axis=0) & (s2_ndvi > 0) & (l9_ndvi > 0)
steps = np.arange(1900, 2500, 50)
zone = np.digitize(metres, steps)
zones = [k for k in range(1, len(steps)) if (ground & (zone == k)).sum() > 500]
fig, ax = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
for name, values, shape in (("Sentinel-2", s2_ndvi, "o-"), ("Landsat", l9_ndvi, "s--")):
    medians = [np.median(values[ground & (zone == k)]) for k in zones]
    ax.plot(steps[zones] - 25, medians, shape, label=name, ms=5)
simulated = " (simulated)" if optical.attrs["source"] == "simulated" else ""
ax.set(title=f"Vegetation by elevation, from the fused cube{simulated}")
ax.set(xlabel="elevation (m)", ylabel="median NDVI of land (unitless)")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# On simulated pixels the two lines must be alike, because one simulation draws both sensors: that they
# agree says the three grids were laid on each other rightly, and nothing about Landsat or Sentinel-2.
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

# %% [markdown]
# ## 12. Orchestrators
#
# Somebody has to start the work, wait, and try again when a source stumbles. Here the source really
# stumbles: a file server that answers 503 to the first request for each file. The task is an
# ordinary function that fetches a scene and runs the pipeline.

# %%
import urllib.request

from fastapi import HTTPException
from fastapi.responses import FileResponse

strips = [scene[:, row : row + 100] for row in range(0, 600, 100)]
for number, strip in enumerate(strips):
    write_cog(strip, folder / f"strip_{number}.tif")
expected = [round(float(np.nanmean(vegetation(strip).values)), 6) for strip in strips]
requested, files = Counter(), FastAPI()


@files.get("/{name}")
def send_file(name: str):
    requested[name] += 1
    if requested[name] == 1:
        raise HTTPException(503, "not now")
    return FileResponse(folder / name)


# %%
def mean_ndvi(url):
    """Fetch a scene and return its mean NDVI; an answer that is no 200 is an error."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return round(
            float(np.nanmean(vegetation(read_upload(answer.read(), BANDS, Limits())).values)), 6
        )


# %% [markdown]
# Prefect keeps the state of every task in a server of its own. Its test harness runs one while a
# block lasts, with a temporary database. Prefect reads its settings when it is imported: its files
# go to this notebook's folder, and nothing is reported to its makers.

# %%
import os

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


with running(files) as url, prefect_test_harness(300), get_client(sync_client=True) as server:
    by_prefect = fetch_all([f"{url}/strip_{number}.tif" for number in range(6)])
    for _ in range(300):  # a minute at most: it writes its runs down a little later
        runs = server.read_task_runs()
        if len(runs) == 6 and all(run.state and run.state.is_final() for run in runs):
            break
        time.sleep(0.2)
for (state, attempts), count in Counter((run.state_name, run.run_count) for run in runs).items():
    print(f"Prefect's server tells: {count} task runs, {state}, {attempts} attempts each")
print("mean NDVI:", by_prefect)

# %% [markdown]
# The same function on a Dask cluster of two worker processes on this machine:

# %%
import logging

import dask
from distributed import Client, LocalCluster

requested.clear()
dask.config.set(temporary_directory=str(folder))
logging.getLogger("distributed").setLevel("ERROR")  # or Prefect shows all that it says
quiet = {"dashboard_address": None, "silence_logs": 50}
cluster = LocalCluster(n_workers=2, threads_per_worker=1, **quiet)
with running(files) as url, cluster, Client(cluster) as client:
    urls = [f"{url}/strip_{number}.tif" for number in range(6)]
    by_dask = client.gather(client.map(mean_ndvi, urls, retries=2, pure=False))
print("requests for each file:", set(requested.values()))
assert by_dask == by_prefect == expected

# %% [markdown]
# The same six numbers. Each file was asked for twice: one request refused, one answered. The function
# knows nothing of either orchestrator, so a third would be another three lines.
#
# ## 13. The next version
#
# Clouds have soft edges, so version two grows the mask by three pixels. What changes in the config,
# and what changes on the scenes?

# %%
from geotoolz import DilateMask
from pipekit import ab_test, config_diff

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


load = read_box if rows.crs == tahoe.crs else (lambda row: CatalogField(row).load())
days = [row for row in rows.iter_rows() if row.start_time in set(checked.gdf.start_time)]
past = [load(row) for row in days]
trial = ab_test(vegetation, second, past, metric=shift)
moved = np.array(trial.per_input)
print(f"{len(past)} scenes: mean shift {trial.mean:.4f}, worst {trial.worst:.4f}")
print(f"untouched: {np.mean(moved == 0):.0%}, more than 0.01: {np.sum(moved > 0.01)}")

# %%
worst = sorted((index for index, _ in trial.ranked(3)), key=lambda i: days[i].start_time)
KEPT = {0: ("cloud by version 1", "0.6"), 1: ("kept", "#a6d96a"), 2: ("dropped now", "#d55e00")}
fig, axes = plt.subplots(2, 3, figsize=(11, 7.4), layout="constrained")
for (top, bottom), index in zip(axes.T, worst, strict=True):
    one, two = (operator(past[index]) for operator in (vegetation, second))
    last = index == worst[-1]
    title = f"{days[index].start_time:%Y-%m-%d}, version 1"
    plot(one, ax=top, title=title, axes="none", colorbar=last, **NDVI_STYLE)
    fate = np.isfinite(one.values) * (1 + (np.isfinite(one.values) & np.isnan(two.values)))
    title = f"{np.mean(fate == 2):.0%} dropped, shift {moved[index]:.3f}"
    fate = GeoTensor(fate.astype("int8"), one.transform, one.crs, -1)
    plot(fate, ax=bottom, title=title, axes="none", classes=KEPT, legend=last, scale_bar=False)
fig.supxlabel(rows_credit, size=8)
plt.show()

# %% [markdown]
# Grey is what version 1 took for cloud. The scenes that move most are those with broken cloud, where
# the mask's edge is long. Look at them before the new hash goes to production. What this notebook wrote
# is removed:

# %%
import shutil

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
# | 8 quality control | `Assert...` between the steps, `Quarantine` | no bad map, and a reason for each refusal |
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
