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
# # Streaming: a scene larger than memory
#
# **Question.** A Sentinel-2 tile is 10980 x 10980 pixels. How does it go through a tiled operator,
# into a file, with memory that does not depend on how tall it is; and what is left when the
# power fails half-way?
#
# You will learn
#
# - to stream a `Sequential` of chips into a Cloud Optimized GeoTIFF and into Zarr;
# - to see that memory stays flat, in processes of their own;
# - to run a scene by blocks with `map_patches`, on any scheduler, to the same bytes;
# - to kill a run and go on from its journal;
# - to put a patcher into a patcher;
# - which aggregations stream, and what the others need.
#
# **Needs** no network: the tile is simulated, every pixel filled, and made on first use (under a
# minute, 400 MB in the user's cache folder).
#
# **Before this.** [Patching](../05_patching_grids.ipynb). **Time.** 20 minutes to read, two minutes
# to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from joblib.externals.loky import ProcessPoolExecutor
from rasterio.windows import Window

import geopatcher
from geopatcher import RasterField, SpatialBoxcar, SpatialHann, SpatialMedian, SpatialOverlapAdd
from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride, map_patches
from geopatcher import merge_to_file
from geostack import load_s2_full_tile
from geostack.lesson import peak_memory
from geotoolz import NDVI, ApplyToChips, DNToReflectance, GridSampler, Sequential, Stitch
from geotoolz.viz import plot

folder = Path(tempfile.mkdtemp(prefix="geostack-streaming-"))

# %% [markdown]
# ## A reader, not an array
#
# `load_s2_full_tile` opens the tile and reads nothing. As an array it would be 482 MB, and its
# NDVI as much again.

# %%
tile = load_s2_full_tile(
    date_range="2024-08-13/2024-08-13", bands=("B04", "B08"), source="simulated"
)
print(f"source: {tile.attrs['source']} ({tile.attrs['item_id']})")
print(tile.shape, tile.dtype, f"- {np.prod(tile.shape) * 2 / 1e6:.0f} MB if it were read")

# %% [markdown]
# ## The whole tile into a COG
#
# The pipeline is the one of a small scene. Only the aggregation says where its rows go: a row is
# written as soon as no further chip can touch it.

# %%
ndvi = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
geometry, sampler = SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192)
into_cog = SpatialOverlapAdd(streaming=True, target_path=folder / "ndvi.tif")
patcher = SpatialPatcher(geometry, sampler, SpatialHann(), into_cog)
pipeline = Sequential([GridSampler(patcher), ApplyToChips(ndvi, workers=2), Stitch()])

result = pipeline(RasterField(tile))
size = (folder / "ndvi.tif").stat().st_size
print(f"{patcher.n_anchors(RasterField(tile))} chips, {size / 1e6:.0f} MB of COG")
print(type(result).__name__, result.shape, "- opened, not read; overviews", result.overviews())

# %% [markdown]
# The file is a valid COG, so a picture of the whole tile is one small read from its overviews;
# and one window of it is what the whole-scene call gives there.

# %%
small = result.reader_overview(3).load()
small.attrs = {**small.attrs, **result.attrs}
fig, ax = plt.subplots(figsize=(6, 5.2), layout="constrained")
style = {"cmap": "YlGn", "vmin": -0.2, "vmax": 0.9, "label": "NDVI (unitless)"}
plot(small, ax=ax, title="NDVI of tile 10SGJ, from an overview of the file", **style)
plt.show()

# %%
window = Window(5000, 7000, 700, 500)
expected = ndvi(tile.read_from_window(window).load())
streamed = result.read_from_window(window).load()
worst = np.abs(streamed.values[0] - expected.values).max()
print(f"largest difference to the whole-scene call: {worst:.1e}")
assert worst < 1e-6

# %% [markdown]
# ## Memory is flat
#
# Peak memory says what a *process* needed, so each run below has a process of its own: the upper
# eighth, quarter and half of the tile, and all of it, streamed into a COG; and the whole-scene
# call beside it, for as long as it is reasonable.


# %%
def stream(height, target):
    """Write the NDVI of the tile's upper rows into a COG, row by row."""
    part = tile.read_from_window(Window(0, 0, 10980, height))
    into = SpatialOverlapAdd(streaming=True, target_path=target)
    patcher = SpatialPatcher(geometry, sampler, SpatialHann(), into)
    Sequential([GridSampler(patcher), ApplyToChips(ndvi), Stitch()])(RasterField(part))


def at_once(height, target):
    """Write the NDVI of the tile's upper rows from one call on all of them."""
    part = tile.read_from_window(Window(0, 0, 10980, height))
    np.save(target, np.asarray(ndvi(part.load())))


# %% [markdown]
# `loky` (a part of joblib, which scikit-learn brings) starts fresh processes and takes functions that
# are written in a notebook, with what they use. The pool of one worker below is such a process. It runs
# the function, says how much memory it held at most, and ends with the block.


# %%
def peak(run, height, target):
    """Return the peak memory in MB of a process that does nothing but `run(height, target)`."""
    with ProcessPoolExecutor(1) as process:
        process.submit(run, height, target).result()
        megabytes = process.submit(peak_memory).result()
    target.unlink()
    return megabytes


heights = [1372, 2745, 5490, 10980]
memory = {height: peak(stream, height, folder / "part.tif") for height in heights}
whole = {height: peak(at_once, height, folder / "part.npy") for height in heights[:2]}
for height, peaked in memory.items():
    print(f"{height:6} rows: streamed {peaked:4.0f} MB", end="")
    print(f", whole-scene call {whole[height]:5.0f} MB" if height in whole else "")

# %%
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
ax.plot(heights, list(memory.values()), "o-", label="streamed into a COG")
ax.plot(list(whole), list(whole.values()), "s--", color="C1", label="whole-scene call")
ax.axhline(300, color="0.6", lw=1, label="300 MB")
ax.set(xlabel="height of the scene (rows of 10,980 pixels)", ylabel="peak memory (MB)")
ax.set(title="The memory that a process needs", ylim=(0, None))
ax.legend(frameon=False)
plt.show()
assert max(memory.values()) < 300
assert memory[10980] < 1.25 * memory[5490]  # twice as tall

# %% [markdown]
# ## By blocks, on any scheduler: `map_patches`
#
# The stream above rolls down the scene in one process. `map_patches` cuts the *output* into
# blocks of rows; whoever runs a block reads the input with the halo that its chips need, and
# writes only its own rows. So no two workers write one chunk, any block can be run again, and the
# bytes are the same whoever ran it. Below: the upper 2,500 rows into a sharded Zarr store.

# %%
part = tile.read_from_window(Window(0, 0, 10980, 2500))
plain = SpatialPatcher(geometry, sampler, SpatialHann())


def digest(path):
    """Return one hash of all files under a path, with their names."""
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    whole = hashlib.sha256()
    for file in files:
        whole.update(str(file.relative_to(path)).encode() + file.read_bytes())
    return whole.hexdigest()[:16]


digests = {}
for scheduler, workers in (("threads", 1), ("threads", 2), ("processes", 2)):
    how = {"scheduler": scheduler, "workers": workers, "progress": False}
    cube = map_patches(plain, part, ndvi, target=folder / "ndvi.zarr", **how)
    digests[scheduler, workers] = digest(folder / "ndvi.zarr")
    print(f"{scheduler:9} {workers}: {digests[scheduler, workers]}")
assert len(set(digests.values())) == 1

# %% [markdown]
# What comes back is a lazy `DataArray`: CRS, coordinates and one dask chunk for each shard.

# %%
print(cube.dims, cube.shape, cube.dtype, "- dask chunks of", cube.data.chunksize)

# %% [markdown]
# ## Kill it, and go on
#
# With `journal=` each finished block leaves a line in a file. `go` is the run, and it is called twice:
# first in a process of its own, since this notebook's must survive. That process is killed with
# SIGKILL, which no program can catch, once two blocks are in the journal.

# %%
target, journal = folder / "killed.tif", folder / "killed.jsonl"


def go():
    """Write the NDVI of the upper rows into the target, or go on where the journal ends."""
    how = {"block_rows": 512, "workers": 1, "progress": False}
    map_patches(plain, part, ndvi, target=target, journal=journal, **how)


def blocks_done():
    """Return the blocks of rows that the journal holds, in the order they were finished."""
    text = journal.read_text() if journal.exists() else ""
    whole = text.rpartition("\n")[0]  # a line that is being written does not count yet
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line["rows"] for line in lines if "rows" in line]


# %%
with ProcessPoolExecutor(1) as process:
    number = process.submit(os.getpid).result()
    run = process.submit(go)
    while len(blocks_done()) < 2 and not run.done():
        time.sleep(0.02)
    os.kill(number, signal.SIGKILL)
    print("the run ended with", type(run.exception()).__name__)

survived = blocks_done()
print("finished blocks:", survived)
assert not target.exists()

# %% [markdown]
# The same call goes on. It computes the blocks that are missing, and the file is what an
# undisturbed run makes, to the byte.

# %%
go()
added = blocks_done()[len(survived) :]
print("done by the second run:", added)
map_patches(plain, part, ndvi, target=folder / "whole.tif", block_rows=512, progress=False)
print("resumed:    ", digest(target))
print("undisturbed:", digest(folder / "whole.tif"))
assert digest(target) == digest(folder / "whole.tif")

# %% [markdown]
# A journal belongs to one run. Asked to go on with another operator, it refuses and says what
# differs.

# %%
try:
    map_patches(plain, part, DNToReflectance(), target=target, journal=journal, progress=False)
except geopatcher.PatchError as error:
    print(type(error).__name__ + ":", str(error).split("another run: ")[1][:200], "...")

# %% [markdown]
# ## A patcher in a patcher
#
# A pipeline of chips is itself an operator, so it can be what another patcher runs on each of its
# chips: large outer chips suit the file, small inner ones suit the model.

# %%
axes = SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96), SpatialHann()
inner = Sequential([GridSampler(SpatialPatcher(*axes)), ApplyToChips(ndvi), Stitch()])
axes = SpatialRectangular(1024, boundary="shift"), SpatialRegularStride(960), SpatialBoxcar()
outer = SpatialPatcher(*axes)
corner = tile.read_from_window(Window(4000, 6000, 3000, 2100))
nested = map_patches(outer, corner, inner, progress=False)
flat = ndvi(corner.load())
print(outer.n_anchors(corner), "outer chips;", nested.shape)
assert np.abs(np.asarray(nested) - flat.values).max() < 1e-6

# %% [markdown]
# ## Which aggregations stream
#
# An aggregation streams when what it must remember of a pixel has a fixed size, and it looks at no
# other pixel. Those that need *all* values of a pixel (`SpatialMedian`) write by rows as well, and
# hold the rows at hand as deep as chips overlap. What makes no raster says so.

# %%
kinds = [getattr(geopatcher, name) for name in geopatcher.__all__ if name.startswith("Spatial")]
kinds = [kind for kind in kinds if hasattr(kind, "streaming_safe")]
for safe in (True, False):
    names = [kind.__name__.removeprefix("Spatial") for kind in kinds if kind.streaming_safe is safe]
    print("fixed state:" if safe else "all values: ", ", ".join(names))

# %%
shaky = SpatialPatcher(SpatialRectangular(128, boundary="shift"), SpatialRegularStride(64))
crop = tile.read_from_window(Window(4000, 6000, 700, 600)).load()


def stretched(chip):
    """Return the chip's NDVI less its own median: chips disagree where they overlap."""
    values = ndvi(chip).values
    return values - np.median(values)


patches = shaky.stream(RasterField(crop)).map(stretched)
on_disk = merge_to_file(patches, crop, SpatialMedian(), folder / "median.tif")
in_memory = SpatialMedian().merge(patches, crop)
assert np.array_equal(on_disk.load().values[0], np.asarray(in_memory))
print("median, streamed:", on_disk.shape, "the same values as in memory")

# %%
try:
    merge_to_file(patches, crop, geopatcher.SpatialByIndex(), folder / "table.tif")
except geopatcher.PatchError as error:
    print("PatchError:", error)
shutil.rmtree(folder)

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-stream-journal
# Write `run`: the NDVI of `crop` into `run.tif` in a folder, in blocks of about 256 rows and with a
# journal, `run.jsonl`, so that a run that is killed loses no more than a block.
#
# ```python
# def run(there): ...
#
# # the check
# with tempfile.TemporaryDirectory() as there:
#     made = run(Path(there)).load().values[0]
#     lines = (Path(there) / "run.jsonl").read_text().splitlines()
# blocks = sorted(each["rows"] for each in map(json.loads, lines) if "rows" in each)
# assert len(blocks) >= 3
# assert blocks[0][0] == 0 and blocks[-1][1] == 600
# assert np.abs(made - ndvi(crop).values).max() < 1e-6
# ```
# :::
#
# :::{solution} ex-stream-journal
# :class: dropdown
#
# ```python
# def run(there):
#     keep = {"target": there / "run.tif", "journal": there / "run.jsonl"}
#     return map_patches(plain, crop, ndvi, **keep, block_rows=256, progress=False)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-stream-spread
# Where do overlapping chips disagree? Write `spread`: the largest of what the chips in `patches` say of
# each pixel, less the smallest, (rows, columns). Both go through a file in the folder, not through
# memory.
#
# ```python
# def spread(there): ...
#
# # the check
# with tempfile.TemporaryDirectory() as there:
#     found = spread(Path(there))
#     assert len(list(Path(there).glob("*.tif"))) == 2
# kinds = geopatcher.SpatialMax(), geopatcher.SpatialMin()
# both = [np.asarray(kind.merge(patches, crop)) for kind in kinds]
# assert found.max() > 0
# assert np.allclose(found, both[0] - both[1])
# ```
# :::
#
# :::{solution} ex-stream-spread
# :class: dropdown
#
# ```python
# def spread(there):
#     most = merge_to_file(patches, crop, geopatcher.SpatialMax(), there / "most.tif")
#     least = merge_to_file(patches, crop, geopatcher.SpatialMin(), there / "least.tif")
#     return most.load().values[0] - least.load().values[0]
# ```
# :::

# %% [markdown]
# ## Recap
#
# | to | write | memory |
# |---|---|---|
# | stream a pipeline into a file | `SpatialOverlapAdd(streaming=True, target_path="x.tif")` | a chip's height of rows |
# | stream any aggregation of pixels | `merge_to_file(patches, domain, SpatialMean(), "x.zarr")` | the same, times its state |
# | use all cores, processes, a cluster | `map_patches(..., target=, scheduler=)` | a chip's height of rows for each worker |
# | survive a crash | `map_patches(..., journal="run.jsonl")` | the same |
# | keep the result in memory | `map_patches(..., target=None)` | the result |
#
# **Key points**
#
# - Blocks of the output, each owned by one worker: the same bytes from every scheduler.
# - Memory grows with a chip's height and the scene's width, not with the scene's height.
# - A file appears under its name when it is whole; until then there is the old one, or none.
# - A journal of finished blocks lets a killed run go on to the same bytes.
#
# **References**
#
# - Open Geospatial Consortium (2023), *OGC Cloud Optimized GeoTIFF Standard*, 21-026, <https://docs.ogc.org/is/21-026/21-026.html>
# - Zarr specification, version 3, <https://zarr-specs.readthedocs.io>
#
# **Where next.** The recipes feed patches to models: [PyTorch](recipes/torch_dataset.ipynb),
# [JAX](recipes/jax_vmap.ipynb), [Grain](recipes/grain.ipynb).
