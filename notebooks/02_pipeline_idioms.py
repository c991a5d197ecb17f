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
# # Pipeline idioms
#
# **Question.** A pipeline works at your desk. At night it runs over an archive: the server is busy, one
# file is cut short, one scene was only half measured, one sensor was blinded. What do you find in the
# morning? Written into the steps, each remedy doubles the code. Can remedies be *operators around
# operators* instead?
#
# You will learn eight idioms, each at the place where the night goes wrong:
#
# - `Retry` for a server that answers at the third try, `Try` and `Coalesce` for another source;
# - the `Assert` family and `Quarantine` for scenes that must not become maps;
# - `Profile` and `Cache` for the step that takes the time;
# - `Provenance`, so that a map says how it was made.
#
# **Needs** no network and no imagery. It does talk HTTP, to a server of its own on this machine.
#
# **Before this.** [Composition core](01_composition_core.ipynb). **Time.** 25 minutes to read, ten
# seconds to run. Terms are explained where they first occur, and in the
# [glossary](../docs/reference/glossary.md).

# %%
import io
import tempfile
import textwrap
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine

from pipekit import AssertDType, AssertShape, AssertValidFraction, AssertValueRange, Branch, Cache
from pipekit import Coalesce, Const, Operator, Profile, Provenance, QCError, Quarantine, Retry
from pipekit import Sequential, Try, content_hash

print("source of pixels: none, small arrays made here")

# %% [markdown]
# ## An archive of eight scenes
#
# Three bands each, 120 x 160 pixels of 10 m, with smooth hills, a lake and noise. 0 is their *nodata*:
# the value that says "not measured". Each scene is a `GeoTensor`: an array that knows where it lies
# (transform and CRS) and what its nodata is. Nothing here is a measurement of the world.

# %%
y, x = np.mgrid[0:120, 0:160]
LAKE = (x - 110) ** 2 + 1.8 * (y - 70) ** 2 < 30**2
TRANSFORM, CRS = Affine(10, 0, 680_000, 0, -10, 5_150_000), "EPSG:32632"


def as_scene(values):
    return GeoTensor(values, TRANSFORM, CRS, 0, {"band_names": ["green", "red", "nir"]})


def make_scene(seed=0):
    rng = np.random.default_rng(seed)
    hills = np.sin(x / 17.0) + np.cos(y / 23.0) + np.sin((x + y) / 41.0)
    bands = [900 - 60 * hills, 1000 - 180 * hills, 3200 + 450 * hills]
    water = (600, 500, 250)
    values = np.stack([np.where(LAKE, w, band) for w, band in zip(water, bands, strict=True)])
    values = values + rng.normal(0, 40, values.shape)
    return as_scene(values.clip(1, 10_000).astype("uint16"))


scene, holes = make_scene(), make_scene(4)
holes.values[:, :, :80] = 0  # half of it was not measured

# %% [markdown]
# A server hands them out, a free port on this machine. Five scenes are sound. Of *b* and *d* the first
# answers are `503 Service Unavailable`, as of any server that is busy; *c* was cut short when it was
# copied; *e* was half measured; in *f* the sensor was blinded.


# %%
def as_file(scene):
    buffer = io.BytesIO()
    np.save(buffer, scene.values)
    return buffer.getvalue()


NAMES = "abcdefgh"
files = {name: as_file(make_scene(seed)) for seed, name in enumerate(NAMES)}
files["mirror/c"] = files["c"]  # another archive has it too
files["c"] = files["c"][:2000]
files["e"] = as_file(holes)
files["f"] = as_file(as_scene(np.full(scene.shape, 65_535, "uint16")))
BUSY = {"b": 2, "d": 1}  # how many answers are 503
asked = Counter()


# %%
class Archive(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        asked[name] += 1
        busy = asked[name] <= BUSY.get(name, 0)
        body = b"busy" if busy else files[name]
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the notebook's output to what it prints itself."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
thread = threading.Thread(target=server.serve_forever, daemon=True)
thread.start()
address = f"http://127.0.0.1:{server.server_port}"

# %% [markdown]
# ## The pipeline that works at the desk
#
# Fetch a scene, digital numbers to reflectance, a mean over a square, an index of two bands. A pixel
# that was not measured has no reflectance, so nodata becomes NaN before anything is computed.


# %%
class Fetch(Operator):
    """GET a scene of an archive by its name, (3, H, W)."""

    def __init__(self, server):
        self.server = server

    def _apply(self, name):
        with urllib.request.urlopen(f"{self.server}/{name}", timeout=5) as answer:
            return as_scene(np.load(io.BytesIO(answer.read())))


class Reflectance(Operator):
    """Digital numbers to reflectance, float32; nodata becomes NaN."""

    def _apply(self, dn):
        numbers = np.asarray(dn)
        values = np.where(numbers == dn.fill_value_default, np.nan, numbers * 1e-4)
        return GeoTensor(values.astype("float32"), dn.transform, dn.crs, float("nan"), dn.attrs)


# %%
class Smooth(Operator):
    """Mean over a square of 2 * radius + 1 pixels, the slow way; wraps around at the edges."""

    def __init__(self, radius=3):
        self.radius = radius

    def _apply(self, x):
        shifts = range(-self.radius, self.radius + 1)
        total = sum(np.roll(np.asarray(x), (i, j), (-2, -1)) for i in shifts for j in shifts)
        mean = (total / len(shifts) ** 2).astype("float32")
        return GeoTensor(mean, x.transform, x.crs, float("nan"), x.attrs)


class Index(Operator):
    """Normalised difference of red and near infrared, (H, W)."""

    def _apply(self, x):
        _, red, nir = np.asarray(x)
        return GeoTensor((nir - red) / (nir + red), x.transform, x.crs, float("nan"))


# %%
product = Reflectance() | Smooth(5) | Index()
naive = Fetch(address) | product
for name in NAMES:
    try:
        print(name, f"mean index {np.nanmean(naive(name).values):.3f}")
    except urllib.error.HTTPError as error:
        print(name, "the night ends here:", error)
        error.close()
        break
asked.clear()

# %% [markdown]
# The second scene ends the night. And the two worst faults would have raised no error at all:

# %%
for name in "ef":
    made = np.asarray(naive(name))
    print(
        f"{name}: {np.isfinite(made).mean():4.0%} of the map has a value, mean {np.nanmean(made):.3f}"
    )
assert np.nanmean(np.asarray(naive("f"))) == 0, "the blinded sensor makes a map"

# %% [markdown]
# ## Again, but later: `Retry`
#
# `Retry` waits 50 ms, then 100 ms (doubling each time, with some jitter so that a thousand clients
# do not come back in the same instant). You say which error is worth another try. With only two
# attempts the server's own error comes through, unchanged, and there is no wait after the last attempt.

# %%
busy = urllib.error.HTTPError
patient = Retry(Fetch(address), attempts=3, base_delay=0.05, on=busy, seed=1)
print("b:", patient("b").shape, f"at attempt {asked['b']}")
assert asked["b"] == 3

asked.clear()
pauses = []
hasty = Retry(
    Fetch(address), attempts=2, base_delay=0.05, on=busy, jitter=False, sleep=pauses.append
)
try:
    hasty("b")
except urllib.error.HTTPError as error:
    print(f"two attempts are not enough: {error.code} {error.reason};", *error.__notes__)
    error.close()
print("its waits, in seconds:", pauses)
asked.clear()

# %% [markdown]
# ## Another source: `Try` and `Coalesce`
#
# No number of attempts makes a file whole that was cut short. `Try` turns the error that you name into
# a value. There is no "catch everything": a bug should stay visible. `Coalesce` asks sources in order
# of preference until an answer is acceptable; later ones do not run.

# %%
try:
    patient("c")
except ValueError as error:
    print("c:", error)

first = Try(patient, fallback=Const(None), on=ValueError)
mirror = Retry(Fetch(f"{address}/mirror"), attempts=3, base_delay=0.05, on=busy, seed=2)
source = Coalesce([first, mirror], is_ok=lambda scene: scene is not None)
from_mirror = source("c")
print("c, from the mirror:", from_mirror.shape)
source("a")
assert asked["mirror/a"] == 0, "the mirror is not asked for what the archive has"

# %% [markdown]
# ## Say what you expect: the `Assert` family
#
# A check is an operator that returns its input or raises `QCError` with what it found. Put one
# where an assumption enters, and the wrong scene stops at the door instead of making a wrong map.

# %%
door = (
    AssertShape((3, None, None))
    | AssertDType("uint16")
    | AssertValueRange(1, 10_000)
    | AssertValidFraction(0.9)
)
for name in "ef":
    try:
        door(source(name))
    except QCError as error:
        print(f"{name}:", error)

# %% [markdown]
# ## Set aside and go on: `Quarantine`
#
# In a run over ten thousand scenes one bad scene should not end the night, nor vanish. `Quarantine`
# gives a value of your choice instead, here None, and tells somebody why.

# %%
reasons = {}
guarded = Quarantine(
    door, None, lambda scene, error: reasons.update({content_hash(scene): str(error)})
)
answers = {name: guarded(source(name)) for name in NAMES}
print("passed:", [name for name, answer in answers.items() if answer is not None])
print("aside :", [reason.split(":")[0] for reason in reasons.values()])
assert [name for name, answer in answers.items() if answer is None] == ["e", "f"]

# %% [markdown]
# ## Where does the time go? `Profile`
#
# Wrap what you want to know about; the result does not change. On a busy machine the fastest of several
# calls says more than their mean.

# %%
profile = Profile()
steps = Sequential(map(profile.wrap, product))
for _ in range(5):
    measured = steps(scene)
report = profile.report()

fig, ax = plt.subplots(figsize=(6, 1.9), layout="constrained")
ax.barh(list(report), [1000 * row["min"] for row in report.values()], color="#0072B2")
ax.invert_yaxis()
ax.set(xlabel="fastest of five calls (ms)", title="Where the time goes")
plt.show()
slowest = max(report, key=lambda name: report[name]["min"])
print("slowest step:", slowest)

# %% [markdown]
# ## Never twice the same, and how it was made: `Cache` and `Provenance`
#
# `Smooth` adds 121 shifted copies of the scene and takes nearly all of the time. `Cache` keeps results
# in a folder. The key is the **content** of the input (dtype, shape, bytes, transform, CRS, attributes)
# with the operator's `config_hash`: an equal array made elsewhere hits, one changed pixel misses,
# another radius is another key. Inside it, `Provenance` writes into each map which pipeline made it,
# of what, and with which versions.

# %%
scratch = tempfile.TemporaryDirectory()
recipe = Provenance(product)
cached = Cache(recipe, folder=scratch.name)
first, second = cached(make_scene(1)), cached(make_scene(1))
changed = make_scene(1)
changed.values[0, 0, 0] += 1
cached(changed)
print(f"hits {cached.hits}, misses {cached.misses}")

note = second.attrs["provenance"]
print("pipeline:", note["pipeline_hash"], "| input:", note["input_hash"])
print("steps   :", ", ".join(note["operators"]))
assert note["pipeline_hash"] == product.config_hash

# %% [markdown]
# A cached file cut short, as by a full disk, is noticed by its checksum and computed again; it is never
# returned.

# %%
for each in Path(scratch.name).glob("*.cached"):
    each.write_bytes(each.read_bytes()[:-100])
careful = Cache(recipe, folder=scratch.name)
assert np.array_equal(careful(make_scene(1)), first)
print(f"after damage: hits {careful.hits}, misses {careful.misses}")
assert (careful.hits, careful.misses) == (0, 1)

# %% [markdown]
# ## The night, and the next one
#
# All of them together, but for `Profile`, which only looks. The steps of the product have not
# changed by a letter; what surrounds them is written once, and reads from left to right.


# %%
def run_night(folder):
    """Return (map or None by name, the cache that was used, the reasons for what was refused)."""
    cache, refused = Cache(recipe, folder=folder), []
    guarded = Quarantine(door, None, lambda scene, error: refused.append(str(error)))
    guarded_product = Branch(lambda scene: scene is None, Const(None), cache)
    night = source | guarded | guarded_product
    return {name: night(name) for name in NAMES}, cache, refused


asked.clear()
with tempfile.TemporaryDirectory() as folder:
    maps, cache, refused = run_night(folder)
    print(
        f"first night : {cache.misses} maps made, {cache.hits} from the cache, {len(refused)} refused"
    )
    again, cache, _ = run_night(folder)
    print(f"second night: {cache.misses} maps made, {cache.hits} from the cache")
assert cache.hits == 6
server.shutdown()
server.server_close()
scratch.cleanup()

# %%
why = dict(zip([name for name in NAMES if maps[name] is None], refused, strict=True))
fig, axes = plt.subplots(2, 4, figsize=(10, 4.6), layout="constrained")
for ax, (name, made) in zip(axes.flat, maps.items(), strict=True):
    ax.set(title=name, xticks=[], yticks=[], facecolor="0.85")
    if made is None:
        text = textwrap.fill(why[name].split(" (")[0].replace(":", ""), 22)
        ax.text(0.5, 0.5, text, ha="center", va="center", size=9, transform=ax.transAxes)
        ax.set_box_aspect(120 / 160)
        ax.set_title(f"{name}: refused")
    else:
        image = ax.imshow(np.asarray(made), vmin=-0.5, vmax=0.8, cmap="cividis")
fig.colorbar(image, ax=axes, label="normalised difference (unitless)", shrink=0.8)
fig.suptitle("In the morning: six maps, and two reasons")
plt.show()

# %% [markdown]
# The scenes that were late or came from the mirror are there; the two that would have made wrong maps
# are not, and each says why. The outermost pixels of a map are not to be trusted: `Smooth` wraps around,
# so they are mixed with the opposite side. What happens at the edge is the first question to ask of any
# operator that looks at neighbours; [patching](05_patching_grids.ipynb) answers it.

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-02-first-whole
# Two sources hold the scene: one with holes, one whole. Make an operator `best` that takes the first
# source of which more than 90 % of the numbers are not 0.
#
# ```python
# sources = [Const(holes), Const(scene)]
# best = ...
#
# # the check
# assert np.array_equal(best("any date"), scene)
# ```
# :::
#
# :::{solution} ex-02-first-whole
# :class: dropdown
#
# ```python
# sources = [Const(holes), Const(scene)]
# best = Coalesce(sources, is_ok=lambda x: np.mean(np.asarray(x) != 0) > 0.9)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-02-aside
# Send three rasters through `door`. What it refuses becomes `None`, and its reason goes into the list
# `reasons`.
#
# ```python
# reasons = []
# guarded = ...
#
# # the check
# answers = [guarded(x) for x in (scene, scene[0], holes)]
# assert [answer is None for answer in answers] == [False, True, True]
# assert [reason.split(":")[0] for reason in reasons] == ["AssertShape", "AssertValidFraction"]
# ```
# :::
#
# :::{solution} ex-02-aside
# :class: dropdown
#
# ```python
# reasons = []
# guarded = Quarantine(
#     door, sentinel=None, on_quarantine=lambda x, error: reasons.append(str(error))
# )
# ```
# :::

# %% [markdown]
# ## Instead of writing X, compose Y
#
# | instead of | compose |
# |---|---|
# | a loop with `time.sleep` | `Retry(op, attempts, base_delay, on)` |
# | `try: ... except Exception: pass` | `Try(op, fallback, on=ValueError)` |
# | a chain of `if result is None` | `Coalesce([a, b, c], is_ok)` |
# | `assert x.shape == ...` in the middle | `AssertShape(...) \| AssertDType(...)` |
# | a `continue` that hides a bad file | `Quarantine(check, sentinel, on_quarantine)` |
# | timers around calls | `profile.wrap(op)`, then `profile.report()` |
# | a dictionary keyed by file name | `Cache(op, folder=...)` |
# | a README beside the result | `Provenance(op)` |
#
# More of the kind, each with an example in the [reference](../docs/reference/index.md):
#
# | instead of | compose |
# |---|---|
# | a list of all values to plot later | `Histogram(bins, range).at(key)` |
# | `print(x.shape, x.dtype)` after each line | `ShapeTrace(mode="diff_only")` |
# | a `training=True` argument in every function | `ModeGated(op, "train")` in `pipeline_mode("train")` |
# | editing a class to see its inputs | `Spy.scoped()` |
# | a golden file compared by hand | `Diff(reference, atol)` |
# | `x[:, ::4, ::4]` with the old transform | `Subsample(4)` |
# | a loop over bands | `ApplyToBands(op)` |
#
# **Key points**
#
# - What surrounds a step (timing, retries, caching, checks) is an operator too, and goes around it.
# - Say which failures you expect; everything else should stop the run.
# - Nodata becomes NaN first, before anything is computed with it.
#
# **References**
#
# - Nygard, M. T. (2018), *Release It!*, 2nd edition, Pragmatic Bookshelf: time-outs, retries and what they do to a server
# - Brooker, M. (2015), *Exponential Backoff and Jitter*, AWS Architecture Blog, <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
#
# **Where next.** [Operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb) puts these around
# real steps: reflectance, cloud masks and vegetation indices.
