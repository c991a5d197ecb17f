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
# **Question.** A pipeline that works on a good day is half the job. What about the slow step, the
# server that answers at the third try, the file of nonsense, the result that was computed before?
# Written into the steps, each of these doubles the code. Can they be *operators around operators*
# instead?
#
# You will learn fifteen idioms in three groups:
#
# - to **see**: `Profile`, `Histogram`, `ShapeTrace`;
# - to **survive**: `Try`, `Coalesce`, `Retry`, `Cache`, the `Assert` family, `Quarantine`, modes;
# - to **build your own**: a spy, a diff, provenance, subsampling and per-band work in a few lines
#   each, checked against the ones that ship.
#
# **Needs** no network and no imagery. It does talk HTTP, to a server of its own on this machine.
#
# **Before this.** [Composition core](01_composition_core.ipynb). **Time.** 30 minutes to read, ten
# seconds to run.

# %%
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from georeader.geotensor import GeoTensor
from rasterio import Affine

from pipekit import (
    ApplyToBands, AssertDType, AssertHasAttribute, AssertShape, AssertValidFraction,
    AssertValueRange, Cache, Coalesce, CoalesceError, Const, Diff, DiffError, Histogram, Identity,
    Lambda, ModeGated, Operator, Profile, Provenance, QCError, Quarantine, Retry, Sequential,
    ShapeTrace, Spy, Subsample, Try, content_hash, pipeline_mode,
)  # fmt: skip

print("source of pixels: none, small arrays made here")

# %% [markdown]
# The data: three bands of a made-up scene, 120 x 160 pixels of 10 m, with smooth hills, a lake,
# noise, and a georeference. 0 is its *nodata*: the value that says "not measured". Nothing here is a
# measurement of the world.


# %%
y, x = np.mgrid[0:120, 0:160]
LAKE = (x - 110) ** 2 + 1.8 * (y - 70) ** 2 < 30**2


def make_scene(seed=0):
    rng = np.random.default_rng(seed)
    hills = np.sin(x / 17.0) + np.cos(y / 23.0) + np.sin((x + y) / 41.0)
    bands = [900 - 60 * hills, 1000 - 180 * hills, 3200 + 450 * hills]
    water = (600, 500, 250)
    values = np.stack([np.where(LAKE, w, band) for w, band in zip(water, bands, strict=True)])
    values = (values + rng.normal(0, 40, values.shape)).clip(1, 10_000).astype("uint16")
    attrs = {"band_names": ["green", "red", "nir"]}
    return GeoTensor(values, Affine(10, 0, 680_000, 0, -10, 5_150_000), "EPSG:32632", 0, attrs)


scene = make_scene()
print(type(scene).__name__, scene.shape, scene.dtype, scene.attrs["band_names"])


# %% [markdown]
# And three operators to work with: to reflectance, a mean over a square, an index of two bands. A
# pixel that was not measured has no reflectance, so nodata becomes NaN before anything is computed.


# %%
class Reflectance(Operator):
    """Digital numbers to reflectance, float32; nodata becomes NaN."""

    def __init__(self, scale=1e-4):
        self.scale = scale

    def _apply(self, dn):
        numbers = np.asarray(dn)
        values = numbers.astype("float32") * np.float32(self.scale)
        values[numbers == dn.fill_value_default] = np.nan
        return GeoTensor(values, dn.transform, dn.crs, float("nan"), dict(dn.attrs))


# %%
class Smooth(Operator):
    """Mean over a square of 2 * radius + 1 pixels, the slow way; wraps around at the edges."""

    def __init__(self, radius=3):
        self.radius = radius

    def _apply(self, x):
        shifts = range(-self.radius, self.radius + 1)
        total = sum(np.roll(np.asarray(x), (i, j), (-2, -1)) for i in shifts for j in shifts)
        mean = (total / len(shifts) ** 2).astype("float32")
        return GeoTensor(mean, x.transform, x.crs, float("nan"), dict(x.attrs))


class Index(Operator):
    """Normalised difference of two bands, (H, W)."""

    def __init__(self, low=1, high=2):
        self.low = low
        self.high = high

    def _apply(self, x):
        a, b = np.asarray(x)[self.low], np.asarray(x)[self.high]
        return GeoTensor((b - a) / (b + a), x.transform, x.crs, float("nan"))


# %% [markdown]
# ## To see
#
# ### Where does the time go? `Profile`
#
# Wrap what you want to know about; the result does not change. Each wrap has its own row, also
# when one is inside another or a class occurs twice.

# %%
profile = Profile()
steps = (Reflectance(), Smooth(5), Smooth(1), Index())
index = profile.wrap(Sequential(map(profile.wrap, steps)), name="whole pipeline")
for seed in range(5):
    ndvi = index(make_scene(seed))

report = profile.report()
assert [row["calls"] for row in report.values()] == [5] * 5
assert np.array_equal(ndvi, Sequential(steps)(make_scene(4)))

# %%
fig, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
ax.barh(list(report), [1000 * row["min"] for row in report.values()], color="#0072B2")
ax.invert_yaxis()
ax.set(xlabel="fastest of five calls [ms]", title="Where the time goes")
plt.show()

slowest = max(list(report)[:-1], key=lambda name: report[name]["min"])
share = report[slowest]["min"] / report["whole pipeline"]["min"]
print(f"slowest step: {slowest}, {share:.0%} of the whole")

# %% [markdown]
# The two `Smooth` steps have bars of their own: the first adds 121 shifted copies of the scene, the
# second 9. On a busy machine `min` says more than `mean`, which is why the last line uses it.

# %% [markdown]
# ### What do the values look like on the way? `Histogram`
#
# `.at(key)` counts what passes there and adds up over calls, in fixed memory: a million chips cost
# no more than one. What falls outside the edges is counted too, not dropped in silence.

# %%
histogram = Histogram(bins=60, range=(-0.7, 0.9))
counted = Reflectance() | Index() | histogram.at("raw") | Const(None)
smoothed = Reflectance() | Smooth(3) | Index() | histogram.at("smoothed") | Const(None)
for seed in range(5):
    counted(make_scene(seed)), smoothed(make_scene(seed))

raw = histogram.results["raw"]
assert raw["counts"].sum() + raw["below"] + raw["above"] == 5 * 120 * 160

fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
for name, colour in {"raw": "#999999", "smoothed": "#D55E00"}.items():
    row = histogram.results[name]
    ax.stairs(row["counts"], row["edges"], color=colour, label=name, linewidth=1.5)
ax.set(xlabel="normalised difference", ylabel="pixels", yscale="log")
ax.set_title("Two places in the pipeline")
fig.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# Note the logarithmic axis. The peak on the left is the lake, the wide one on the right the land.
# Smoothing does not act on them alike. The width of a peak is told by its quartiles, which half of the
# pixels lie between. Of the lake only pixels far from the shore are asked, where no land is mixed in:

# %%
deep = (x - 110) ** 2 + 1.8 * (y - 70) ** 2 < 22**2
views = {"raw": Reflectance() | Index(), "smoothed": Reflectance() | Smooth(3) | Index()}
widths = {}
for name, view in views.items():
    values = np.asarray(view(scene))
    for ground, where in {"lake": deep, "land": ~LAKE}.items():
        widths[name, ground] = np.subtract(*np.percentile(values[where], [75, 25]))
        print(f"{name:8} {ground}: half of the pixels within {widths[name, ground]:.3f}")
assert widths["smoothed", "lake"] < 0.5 * widths["raw", "lake"]
assert abs(widths["smoothed", "land"] / widths["raw", "land"] - 1) < 0.1

# %% [markdown]
# The lake has one true value, and what is wide about its peak is noise: the mean takes it away. The
# land is wide because its hills differ, and a mean over a small square leaves them as they are. Between
# the two peaks come pixels of neither kind: the shore, mixed.
#
# ### When does the form change? `ShapeTrace(mode="diff_only")`
#
# One trace between all steps speaks only when type, shape, dtype or CRS differ from the time
# before. Five places, three lines:

# %%
lines = []
trace = ShapeTrace(mode="diff_only", sink=lines.append)
(trace | Reflectance() | trace | Smooth(1) | trace | Index() | trace | Identity() | trace)(scene)
print(*lines, sep="\n")
assert len(lines) == 3

# %% [markdown]
# ## To survive
#
# ### Another way when the first one fails: `Try`
#
# You say which exceptions count. There is no "catch everything": a bug should stay visible, and an
# interruption always passes.

# %%
parse = Lambda(float, name="parse")
forgiving = Try(parse, fallback=Const(float("nan")), on=ValueError)
print([forgiving(text) for text in ("3.5", "n/a", "12")])
try:
    forgiving(None)
except TypeError as error:
    print("not asked to catch:", type(error).__name__)

# %% [markdown]
# ### The first good answer: `Coalesce`
#
# Sources in order of preference, and a question: is this result acceptable? Later sources do not
# run. If none will do, the error says what each gave.

# %%
near, far = Const({"cloud": 0.8, "from": "near"}), Const({"cloud": 0.1, "from": "far"})
clear = Coalesce([near, far], is_ok=lambda scene: scene["cloud"] < 0.2)
print(clear("2024-06-14"))
try:
    Coalesce([near, Const(None)], is_ok=lambda scene: bool(scene) and scene["cloud"] < 0.2)("?")
except CoalesceError as error:
    print(error)

# %% [markdown]
# ### Again, but later: `Retry`
#
# Here is a real server, on a free port of this machine. It really fails: its first two answers to
# each path are `503 Service Unavailable`, the third is the data.


# %%
asked = Counter()


class Moody(BaseHTTPRequestHandler):
    def do_GET(self):
        asked[self.path] += 1
        busy = asked[self.path] <= 2
        body = b"busy" if busy else b"0.97"
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the notebook's output to what it prints itself."""


# %%
@contextmanager
def moody_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Fetch(Operator):
    """GET a path of a server and read a number."""

    def __init__(self, server):
        self.server = server

    def _apply(self, path):
        with urllib.request.urlopen(self.server + path, timeout=5) as answer:
            return float(answer.read())


# %% [markdown]
# `Retry` waits 50 ms, then 100 ms (doubling each time, with some jitter so that a thousand clients
# do not come back in the same instant), and gets the number. With only two attempts the server's
# own error comes through, unchanged, and there is no wait after the last attempt.

# %%
with moody_server() as address:
    began = time.perf_counter()
    patient = Retry(Fetch(address), attempts=3, base_delay=0.05, on=urllib.error.HTTPError, seed=1)
    value = patient("/a")
    took = time.perf_counter() - began
    print(f"got {value} at attempt {asked['/a']}")
    assert (value, asked["/a"]) == (0.97, 3)
    assert took > 0.05 / 2 + 0.1 / 2

    pauses = []
    impatient = Retry(
        Fetch(address), attempts=2, base_delay=0.05, on=urllib.error.HTTPError, jitter=False,
        sleep=pauses.append,
    )  # fmt: skip
    try:
        impatient("/b")
    except urllib.error.HTTPError as error:
        print(f"two attempts are not enough: {error.code} {error.reason};", *error.__notes__)
        error.close()
    assert pauses == [0.05]

# %% [markdown]
# ### Never twice the same: `Cache`
#
# The key is the **content** of the input (dtype, shape, bytes, transform, CRS, attributes) with the
# operator's `config_hash`. An equal array made elsewhere hits; one changed pixel misses; another
# radius is another key.

# %%
cached = Cache(Smooth(4))
first, second = cached(make_scene(1)), cached(make_scene(1))
changed = make_scene(1)
changed.values[0, 0, 0] += 1
third = cached(changed)

print(f"hits {cached.hits}, misses {cached.misses}; content hash {content_hash(changed)[:12]}...")
assert (cached.hits, cached.misses) == (1, 2)
assert np.array_equal(first, second)
assert not np.array_equal(first, third)
second.values[:] = 0
assert np.array_equal(cached(make_scene(1)), first), "a caller's copy is the caller's own"

# %% [markdown]
# With `folder=` results outlive the process. A file cut short, as by a full disk, is noticed by
# its checksum and computed again; it is never returned.

# %%
with tempfile.TemporaryDirectory() as folder:
    Cache(Smooth(4), folder=folder)(scene)
    (file,) = Path(folder).glob("*.cached")

    tomorrow = Cache(Smooth(4), folder=folder)
    tomorrow(scene)
    print(f"next day:      hits {tomorrow.hits}, misses {tomorrow.misses}")

    file.write_bytes(file.read_bytes()[:-100])
    careful = Cache(Smooth(4), folder=folder)
    assert np.array_equal(careful(scene), Smooth(4)(scene))
    print(f"after damage:  hits {careful.hits}, misses {careful.misses}")
    assert (tomorrow.hits, careful.misses) == (1, 1)

# %% [markdown]
# ### Say what you expect: the `Assert` family
#
# A check is an operator that returns its input or raises `QCError` with what it found. Put one
# where an assumption enters, and the wrong file stops at the door instead of making a wrong map.

# %%
door = (
    AssertShape((3, None, None))
    | AssertDType("uint16")
    | AssertHasAttribute("crs", value="EPSG:32632")
    | AssertValueRange(1, 10_000)
    | AssertValidFraction(0.9)
)
assert door(scene) is scene

holes = make_scene()
holes.values[:, :60] = 0  # nodata
assert np.isnan(Reflectance()(holes).values[:, :60]).all()
for name, bad in {"one band": scene[0], "a float": Reflectance()(scene), "holes": holes}.items():
    try:
        door(bad)
    except QCError as error:
        print(f"{name:9}", error)

# %% [markdown]
# ### Set aside and go on: `Quarantine`
#
# In a run over ten thousand files one bad file should not end the night, nor vanish. `Quarantine`
# replaces bad input by a sentinel and tells somebody.

# %%
aside = []
guarded = Quarantine(door, sentinel=None, on_quarantine=lambda x, error: aside.append(str(error)))
passed = [guarded(x) for x in (make_scene(1), holes, make_scene(2))]

print("passed:", [x is not None for x in passed])
print("aside: ", aside)
assert len(aside) == 1
assert passed[1] is None

# %% [markdown]
# ### Training and evaluation: `pipeline_mode`
#
# Noise helps a model learn and has no business in a map. `ModeGated` runs its operator in one mode
# only. The mode belongs to a `with` block and to this thread; nobody can forget to switch it back. The
# noise is drawn at each call: noise drawn once would be a fixed pattern that the model learns by heart.

# %%
rng = np.random.default_rng(0)


def add_noise(x):
    return np.asarray(x) + rng.normal(0, 50, x.shape)


noisy = ModeGated(Lambda(add_noise), mode="train")
with pipeline_mode("train"):
    first, second = noisy(scene), noisy(scene)
in_use = noisy(scene)

print("two calls while training give the same:", np.array_equal(first, second))
print("changed in use:", in_use is not scene)
assert not np.array_equal(first, second)
assert in_use is scene

# %% [markdown]
# ## Build your own
#
# Nothing above is magic. Five more idioms follow, each first in a few lines of your own and then
# beside the shipped one, which does the same and covers the corners.
#
# ### A spy
#
# To see every call of a class, wrap its `_apply` for a while. Ours changes the class for everybody;
# the shipped `Spy` changes nothing, watches this context only, and costs one integer test when it
# is not in use.


# %%
@contextmanager
def my_spy(kind, fn):
    original = kind._apply

    def watched(self, x):
        result = original(self, x)
        fn(self, x, result)
        return result

    kind._apply = watched
    try:
        yield
    finally:
        kind._apply = original


# %%
def ranges(seen):
    return lambda op, x_in, x_out: seen.append((op.radius, float(np.asarray(x_out).max())))


mine, shipped = [], []
with my_spy(Smooth, ranges(mine)):
    (Smooth(1) | Smooth(2) | Lambda(np.asarray))(scene)
with Spy.scoped() as spy:
    spy.on(Smooth, ranges(shipped))
    (Smooth(1) | Smooth(2) | Lambda(np.asarray))(scene)
(Smooth(1) | Smooth(2))(scene)

print(mine)
assert mine == shipped
assert len(mine) == 2

# %% [markdown]
# ### A diff
#
# A regression test in a pipe: pass if the result is what it was.


# %%
class MyDiff(Operator):
    def __init__(self, reference, atol=1e-6):
        self.reference = reference
        self.atol = atol

    def _apply(self, x):
        difference = np.abs(np.asarray(x, dtype=float) - self.reference)
        if difference.max() > self.atol:
            raise ValueError(f"differs by up to {difference.max():.3g}")
        return x


reference = np.asarray(Index()(Reflectance()(scene)))
off = reference.copy()
off[70, 110] += 0.25
for check in (MyDiff(reference), Diff(reference)):
    assert check(reference) is reference
    try:
        check(off)
    except ValueError as error:
        print(f"{type(check).__name__:6}", error)
assert issubclass(DiffError, QCError)

# %% [markdown]
# The shipped one says where, treats NaN as equal to NaN, does not wrap around on unsigned integers,
# and refuses different shapes. It is a `QCError`, so `Quarantine(Diff(...), ...)` works.

# %%
with_nan = np.array([np.nan, 1.0])
assert Diff(with_nan)(with_nan.copy()) is not None
for result, expected in (([2], [3]), ([1, 2], [1])):
    try:
        Diff(np.array(expected, "uint8"))(np.array(result, "uint8"))
    except DiffError as error:
        print(error)

# %% [markdown]
# ### Provenance
#
# How was this made? Write the answer into the result itself.


# %%
class MyProvenance(Operator):
    def __init__(self, op):
        self.op = op

    def _apply(self, x):
        y = self.op(x)
        note = {"pipeline_hash": self.op.config_hash, "input_hash": content_hash(x)}
        attrs = {**y.attrs, "provenance": note}
        return GeoTensor(y.values, y.transform, y.crs, y.fill_value_default, attrs)


recipe = Reflectance() | Smooth(2) | Index()
mine, shipped = MyProvenance(recipe)(scene), Provenance(recipe)(scene)
for key, text in shipped.attrs["provenance"].items():
    if key not in ("versions", "time"):  # they differ from machine to machine
        print(f"{key}: {text}")
assert mine.attrs["provenance"].items() <= shipped.attrs["provenance"].items()
assert np.array_equal(mine, recipe(scene))
assert "provenance" not in scene.attrs

# %% [markdown]
# ### Subsample
#
# Every n-th pixel is one slice. The georeference is the part that is easily forgotten: the pixels
# are n times as large now.


# %%
class MySubsample(Operator):
    def __init__(self, stride):
        self.stride = stride

    def _apply(self, x):
        n = self.stride
        larger = x.transform * Affine.scale(n)
        return GeoTensor(x.values[..., ::n, ::n], larger, x.crs, x.fill_value_default, x.attrs)


mine, shipped = MySubsample(4)(scene), Subsample(4)(scene)
assert np.array_equal(mine, shipped)
assert mine.transform == shipped.transform
assert shipped.bounds == scene.bounds, "120 and 160 divide by 4, so the box is the same"
sizes = [f"{s.shape} of {s.res[0]:g} m" for s in (scene, shipped)]
print(" -> ".join(sizes), "with the same bounds")

# %% [markdown]
# ### Apply to bands
#
# An operator for one band, run on each. The shipped one hands every band its own name and place,
# and follows the operator when it changes the grid.


# %%
class MyApplyToBands(Operator):
    def __init__(self, op):
        self.op = op

    def _apply(self, x):
        bands = [np.asarray(self.op(band)) for band in x.values]
        return GeoTensor(np.stack(bands), x.transform, x.crs, x.fill_value_default, x.attrs)


def to_unit_range(band):
    band = np.asarray(band)
    return (band - band.min()) / np.ptp(band)


stretch = Lambda(to_unit_range)
mine, shipped = MyApplyToBands(stretch)(scene), ApplyToBands(stretch)(scene)
assert np.array_equal(mine, shipped)
assert shipped.transform == scene.transform
assert shipped.values.min() == 0
assert shipped.values.max() == 1
small = ApplyToBands(Subsample(4))(scene)
assert small.transform == Subsample(4)(scene).transform
assert small.attrs == scene.attrs

# %%
fig, axes = plt.subplots(1, 4, figsize=(10, 2.6), layout="constrained")
pictures = {"each band 0 to 1": np.moveaxis(shipped.values[::-1], 0, -1), "every 4th pixel": small.values[2] / 1e4,
            "index": reference, "index, smoothed": np.asarray(recipe(scene))}  # fmt: skip
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    is_index = title.startswith("index")
    limits = {"vmin": -0.5, "vmax": 0.7, "cmap": "cividis"} if is_index else {"cmap": "gray"}
    image = ax.imshow(picture, **limits, extent=(0, 1.6, 0, 1.2))
    ax.set(title=title, xlabel="km", yticks=[])
fig.colorbar(image, ax=axes[3], label="normalised difference")
fig.suptitle("The made-up scene through four of the operators above")
plt.show()

# %% [markdown]
# From the left: near infrared, red and green, each stretched by itself, so that plants are red; the
# near infrared at 40 m, whose pixels show; the index, speckled by noise; and the same after a mean,
# which quiets the speckle and blurs the shore. The outermost two pixels of the last one are not to be
# trusted: `Smooth` wraps around, so they are mixed with the opposite side of the scene. What happens
# at the edge is the first question to ask any operator that looks at neighbours.

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
# | timers around calls | `profile.wrap(op)`, then `profile.report()` |
# | a list of all values to plot later | `histogram.at(key)` |
# | `print(x.shape, x.dtype)` after each line | `ShapeTrace(mode="diff_only")` |
# | `try: ... except Exception: pass` | `Try(op, fallback, on=ValueError)` |
# | a chain of `if result is None` | `Coalesce([a, b, c], is_ok)` |
# | a loop with `time.sleep` | `Retry(op, attempts, base_delay, on)` |
# | a dictionary keyed by file name | `Cache(op, folder=...)` |
# | `assert x.shape == ...` in the middle | `AssertShape(...) \| AssertDType(...)` |
# | a `continue` that hides a bad file | `Quarantine(check, sentinel, on_quarantine)` |
# | a `training=True` argument in every function | `ModeGated(op, "train")` in `pipeline_mode` |
# | editing a class to see its inputs | `Spy.scoped()` |
# | a golden file compared by hand | `Diff(reference, atol)` |
# | a README beside the result | `Provenance(op)` |
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
