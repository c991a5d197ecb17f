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
# # Composition core
#
# **Question.** A satellite's thermal band stores numbers such as 28000. A map wants degrees. Between
# the two lie a few small steps that everybody writes again and again. How do we write each of them
# once, so that they snap together, print themselves, survive a file, and say what went wrong?
#
# You will learn
#
# - to write an **operator**: two methods, and everything else follows;
# - to join operators in a line (`Sequential`, `|`), in a fan (`Fanout`) and in a **graph**;
# - to look inside a running pipeline without changing it;
# - to choose between operators while running, and to put a trained model among them;
# - to save a pipeline as text and read it back safely;
# - to read the error of a pipeline that fails in its seventh step.
#
# **Needs** no network and no imagery: everything here is numbers. The lessons on images start with
# [operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb).
#
# **Before this.** Python and a little numpy. **Time.** 25 minutes to read, a few seconds to run.
# Terms are explained where they first occur, and in the [glossary](../docs/reference/glossary.md).

# %%
import json
import math
import pickle
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from pipekit import Branch, Const, Fanout, Graph, Identity, Input, Lambda, ModelOp
from pipekit import NotSerializableError, Operator, Sequential, ShapeTrace, Sink, Snapshot, Switch
from pipekit import Tap, UntrustedOperatorError, from_yaml, register, to_yaml

print("source of pixels: none, this lesson works on numbers")

# %% [markdown]
# ## Functions that fail in four ways
#
# Landsat 8's thermal band (band 10) is turned into radiance by a gain and an offset, and radiance
# into temperature by Planck's law inverted; the constants come from the scene's metadata (USGS,
# *Landsat 8 Data Users Handbook*, section 5). Two functions do it, and look harmless:


# %%
def radiance_of(dn, gain, offset):
    return gain * dn + offset


def celsius_of(radiance, k1, k2):
    return k2 / math.log(k1 / radiance + 1) - 273.15


K1, K2 = 774.8853, 1321.0789
print("right         :", round(celsius_of(radiance_of(28000, 3.342e-4, 0.1), K1, K2), 1))
print("1. swapped    :", round(celsius_of(radiance_of(28000, 3.342e-4, 0.1), K2, K1), 1))
print("2. no data, 0 :", round(celsius_of(radiance_of(0, 3.342e-4, 0.1), K1, K2), 1))
for number, what, attempt in (
    ("3.", "an image    ", lambda: celsius_of(np.array([9.4, 9.5]), K1, K2)),
    ("4.", "into a file ", lambda: json.dumps(partial(celsius_of, k1=K1, k2=K2))),
):
    try:
        attempt()
    except TypeError as error:
        print(number, what, "TypeError:", error)

# %% [markdown]
# The first two give a number, and it is wrong: constants in the wrong order, and a 0 that meant "not
# measured". The third stops with a message that names neither the step nor its input. The fourth leaves
# nothing to keep: from the map one cannot tell which functions and constants made it.
#
# Why not what is there already?
#
# | | does | leaves open |
# |---|---|---|
# | plain functions | compute | arguments are given at each call; nothing to compare, name or save |
# | `table.pipe(f).pipe(g)` | reads from left to right | runs at once; there is no pipeline to hold |
# | scikit-learn's `Pipeline` | holds its steps and arguments | tables of samples and features, one line, one input |
# | an operator | holds its arguments, for any kind of data | this lesson |
#
# ## An operator is a value
#
# Each step becomes a class with two methods: `__init__` stores the arguments **under their own names**,
# `_apply` does the work.


# %%
@register
class Rescale(Operator):
    """Digital number to radiance, W / (m2 sr um): gain * dn + offset."""

    def __init__(self, gain, offset=0.0):
        self.gain = gain
        self.offset = offset

    def _apply(self, dn):
        return self.gain * dn + self.offset


@register
class InversePlanck(Operator):
    """Radiance to brightness temperature in kelvin."""

    def __init__(self, k1, k2):
        self.k1 = k1
        self.k2 = k2

    def _apply(self, radiance):
        return self.k2 / np.log(self.k1 / radiance + 1)


# %% [markdown]
# An instance is called like a function, and it keeps its arguments. Printed, it is the code that would
# make it again.

# %%
to_radiance = Rescale(gain=3.342e-4, offset=0.1)
to_kelvin = InversePlanck(k1=K1, k2=K2)

print(to_radiance)
print(f"28000 -> {to_radiance(28000):.4f} W/(m2 sr um)")

# %% [markdown]
# ## A line of operators
#
# `a | b` reads "a, then b" and gives a `Sequential`. It is an operator too, so it can be piped on.
# Pipes never nest: however the parts were put together, the result is one flat line.

# %%
to_celsius = Rescale(gain=1.0, offset=-273.15)
thermometer = to_radiance | to_kelvin | to_celsius

print(f"28000 -> {thermometer(28000):.2f} degrees C")
assert (to_radiance | to_kelvin) | to_celsius == to_radiance | (to_kelvin | to_celsius)
thermometer

# %% [markdown]
# A `Sequential` behaves like a list of its steps. A slice of a pipeline is a pipeline: "everything but
# the last step" can be named and run.

# %%
in_kelvin = thermometer[:-1]
print(len(thermometer), "steps; the last one:", thermometer[-1])
print(f"without it: {in_kelvin(28000):.2f} K")

# %% [markdown]
# ## The config: what makes two operators the same
#
# Nobody wrote a `__repr__`, `__eq__` or `__hash__` above. They all come from the **config**, which
# is read from the constructor's signature and the attributes of the same names. Equal configs make
# equal operators, and the `config_hash` is the same on every machine: it can name a file, a cache
# entry or an experiment.

# %%
print(thermometer.get_config()["operators"][0])
print("config hash:", thermometer.config_hash)

again = Rescale(3.342e-4, 0.1) | InversePlanck(K1, K2) | Rescale(1.0, -273.15)
print("written again: the same object?", again is thermometer, "| equal?", again == thermometer)
print("gain 2 and gain 2.0 equal?", Rescale(2) == Rescale(2.0))
assert again == thermometer
assert again.config_hash == thermometer.config_hash

# %% [markdown]
# In numpy, integers times 2 are integers and integers times 2.0 are not, so 2 and 2.0 make two
# different operators. One thing to remember: store **every** argument. An operator that forgets one
# still runs, and says what is missing as soon as somebody asks for its config.


# %%
class Forgetful(Operator):
    def __init__(self, gain):
        self.g = gain

    def _apply(self, x):
        return self.g * x


print("runs:", Forgetful(3)(14))
try:
    Forgetful(3).get_config()
except TypeError as error:
    print("but:", error)

# %% [markdown]
# ## Called with a value, called with a symbol
#
# The same call does one of two things. With a value it runs, now. With an `Input`, a named place
# to be filled later, it returns a `Node`: a promise that knows its operator and its parents.

# %%
dn = Input("dn")
promise = thermometer[:2](dn)
print("eager:", round(thermometer[:2](28000), 2))
print("lazy: ", type(promise).__name__, "of", promise.parents)

# %% [markdown]
# ## A graph: several inputs, several outputs
#
# A line is not always enough. The ground is not a perfect black body, so its temperature also needs
# an emissivity; and one wants the brightness temperature as well. Promises with several parents
# make a **graph**. Here is the usual correction, with wavelength in um and temperature in kelvin
# (Artis and Carnahan, 1982):
#
# $$ T_s = \frac{T}{1 + \frac{\lambda T}{14388} \ln \varepsilon} $$


# %%
@register
class Emissivity(Operator):
    """Brightness temperature and emissivity to surface temperature, kelvin."""

    def __init__(self, wavelength=10.895):
        self.wavelength = wavelength

    def _apply(self, kelvin, emissivity):
        return kelvin / (1 + self.wavelength * kelvin / 14388.0 * np.log(emissivity))


emissivity = Input("emissivity")
brightness = in_kelvin(dn)
surface = Emissivity()(brightness, emissivity)

ground = Graph(
    inputs={"dn": dn, "emissivity": emissivity},
    outputs={"brightness_K": brightness, "surface_C": to_celsius(surface)},
)
ground

# %% [markdown]
# The drawing is the graph's own rich output; `to_mermaid()` gives the same as text for a document.
# A graph is called with its inputs by name. Each node runs once, although the brightness is used
# twice, and what is no longer needed is let go.

# %%
result = ground(dn=28000, emissivity=0.97)
print({name: round(float(value), 2) for name, value in result.items()})
print(ground.to_mermaid())

# %% [markdown]
# The wiring is checked when the graph is built, not when it runs. What is wrong is named.

# %%
try:
    Graph(inputs={"dn": dn}, outputs={"surface": surface})
except ValueError as error:
    print("when built: ", error)
try:
    ground(dn=28000, emisivity=0.97)
except TypeError as error:
    print("when called:", error)

# %% [markdown]
# ## A fan: one input, several results
#
# `Fanout` is the common special case: the same input to several operators, a dictionary out.

# %%
to_fahrenheit = to_celsius | Rescale(gain=1.8, offset=32.0)
units = in_kelvin | Fanout({"K": Identity(), "C": to_celsius, "F": to_fahrenheit})
print({unit: round(float(t), 1) for unit, t in units(28000).items()})

# %% [markdown]
# ## Looking without touching
#
# Three operators return their input unchanged and tell somebody about it. `Tap` calls a function,
# `ShapeTrace` logs type, shape and dtype, `Snapshot` keeps what passed for later. They go anywhere
# in a pipe, and taking them out changes nothing.

# %%
snap = Snapshot()
watched = (
    snap.at("digital number")
    | to_radiance
    | snap.at("radiance [W/(m2 sr um)]")
    | ShapeTrace(label="radiance")
    | to_kelvin
    | snap.at("brightness [K]")
    | to_celsius
    | Tap(lambda t: print(f"from {t.min():.1f} to {t.max():.1f} degrees C"))
)
counts = np.linspace(18_000, 36_000, 60)
celsius = watched(counts)
assert np.array_equal(celsius, thermometer(counts)), "watching changed the result"

# %% [markdown]
# The operators were written for one number and worked on sixty, because their `_apply` is arithmetic,
# and numpy's arithmetic takes both. That is not so of every operator, as `Branch` will show. The
# snapshot now holds every stage of the same run.

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained")
stages = dict(snap.captures, **{"temperature [C]": celsius})
counts = stages.pop("digital number")
for ax, (name, values) in zip(axes, stages.items(), strict=True):
    chord = np.interp(counts, counts[[0, -1]], values[[0, -1]])
    ax.plot(counts / 1000, values, color="#0072B2", label="the pipeline")
    ax.plot(counts / 1000, chord, "--", color="0.4", lw=1, label="a straight line")
    ax.set(xlabel="digital number [thousands]", title=name)
    ax.grid(alpha=0.3)
axes[0].legend(frameon=False)
fig.suptitle("One run of the pipeline, stage by stage: radiance is straight, temperature bends")
plt.show()

# %% [markdown]
# Radiance is a straight line of the digital number; temperature is not: Planck's law bends it, so
# averaging digital numbers and averaging temperatures are two different things.
#
# ## Choosing while running
#
# `Branch` asks a yes-or-no question of the input, `Switch` looks up a key. A digital number of 0
# means "no data" in Landsat (its *nodata* value); it must not become a temperature of -126 degrees.

# %%
safe = Branch(lambda dn: dn == 0, if_true=Const(math.nan), if_false=thermometer)
print("28000 ->", round(float(safe(28000)), 2), "   0 ->", safe(0))
try:
    safe(np.array([0, 28000]))
except ValueError as error:
    print("an array:", error)

# %% [markdown]
# An array is neither yes nor no, so `Branch` chooses for whole inputs only. What is to be chosen for
# each element is array code, and belongs into an operator:


# %%
@register
class NodataToNaN(Operator):
    """Numbers equal to `nodata` become NaN, all others become floats."""

    def __init__(self, nodata=0):
        self.nodata = nodata

    def _apply(self, dn):
        return np.where(np.equal(dn, self.nodata), np.nan, dn)


guarded = NodataToNaN() | thermometer
print("one number:", guarded(0), "| an array:", guarded(np.array([0, 28000])).round(2))

# %% [markdown]
# `Switch` takes one of several ways:

# %%
by_band = Switch(
    key=lambda record: record["band"],
    cases={
        "B10": Lambda(lambda record: record["dn"]) | thermometer,
        "B04": Lambda(lambda record: record["dn"]) | Rescale(2e-5, -0.1),
    },
    default=Const(None),
)
for record in ({"band": "B10", "dn": 28000}, {"band": "B04", "dn": 9000}, {"band": "QA", "dn": 1}):
    print(record, "->", by_band(record))

# %% [markdown]
# ## The small blocks
#
# `Identity` returns its input, so piping it changes nothing. `Const` ignores its input.
# `Lambda` wraps a function that is not worth a class. `Sink` hands the input to something that
# keeps it (a file, a list, a queue) and passes it on.

# %%
kept = []
logbook = thermometer | Lambda(lambda t: round(float(t), 1), name="round") | Sink(kept.append)
logged = [logbook(dn) for dn in (24000, 28000, 32000)]
print("returned:", logged, "| kept:", kept)

# %% [markdown]
# ## A trained model among the operators
#
# `ModelOp` calls a method of any trained object. Here scikit-learn learns how temperature falls
# with height from a made-up morning in the Alps; its slope is the lapse rate. With `batch_size` the
# model sees a few rows at a time, and the result is the same.

# %%
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(7)
height = rng.uniform(300, 3200, (200, 1))
measured = 22 - 0.0065 * height[:, 0] + rng.normal(0, 0.8, 200)
batches = []


class Regression(LinearRegression):
    def predict(self, rows):
        batches.append(len(rows))
        return super().predict(rows)


regression = Regression().fit(height, measured)
lapse = 1000 * float(regression.coef_[0])
at_once = ModelOp(regression, method="predict")
in_batches = ModelOp(regression, method="predict", batch_size=64)
assert np.allclose(at_once(height), in_batches(height))
print(f"lapse rate: {lapse:.2f} K per km; the model saw {batches} rows a call")

# %%
profile = np.linspace(300, 3200, 30).reshape(-1, 1)
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.scatter(measured, height / 1000, s=8, alpha=0.5, color="#999999", label="stations (made up)")
ax.plot(in_batches(profile), profile / 1000, color="#D55E00", label="ModelOp(regression)")
ax.set(xlabel="temperature [C]", ylabel="height [km]", title="A model is one more operator")
ax.legend()
plt.show()

# %% [markdown]
# ## Saved and read back
#
# Operators pickle. Better for a file that people read: YAML. Reading builds only classes that were
# **registered** (`@register` above put ours on the list; pipekit's own are on it), so a file from
# elsewhere cannot run anything that you did not offer.

# %%
text = to_yaml(thermometer)
print(text)
assert from_yaml(text) == thermometer
print("the graph too:", from_yaml(to_yaml(ground)) == ground)
print("and by pickle:", pickle.loads(pickle.dumps(thermometer)) == thermometer)

# %% [markdown]
# Two things are refused, each with the place where it sits: a Python function, which has no text
# form, and a class that nobody registered. A pipeline that holds a function has no hash either, for
# the same reason.

# %%
try:
    to_yaml(thermometer | Lambda(lambda t: t + 1))
except NotSerializableError as error:
    print("writing:", error, end="\n\n")
try:
    print((thermometer | Lambda(lambda t: t + 1)).config_hash)
except NotSerializableError as error:
    print("hashing:", error, end="\n\n")
try:
    from_yaml(text.replace("InversePlanck", "os.system"))
except UntrustedOperatorError as error:
    print("reading:", error)

# %% [markdown]
# ## When step seven fails
#
# When a long pipeline fails, the exception keeps its own type, so that an `except` elsewhere still
# works, and carries a note: which step, with which arguments, given what.


# %%
@register
class Invert(Operator):
    """One over the input; refuses zeros."""

    def _apply(self, x):
        if np.any(x == 0):
            raise ZeroDivisionError("an element is 0")
        return 1 / x


long_run = Sequential(
    [to_radiance, to_kelvin, to_celsius, Identity(), Rescale(1), Rescale(0), Invert(), Identity()]
)
try:
    long_run(np.full((3, 2), 28000, dtype="uint16"))
except ZeroDivisionError as error:
    print(type(error).__name__ + ":", error)
    print(*error.__notes__, sep="\n")
    (note,) = error.__notes__
assert "step 7 of 8" in note

# %% [markdown]
# ## All together
#
# One pipeline from a digital number to a report: a guard, the thermal line, and a fan
# over what to report. None of its steps is a Python function, so all of it can be compared, hashed,
# written to a file and read back. `thermal_report` is a value like any other.


# %%
@register
class Round(Operator):
    """Round to a number of decimals."""

    def __init__(self, decimals=1):
        self.decimals = decimals

    def _apply(self, x):
        return np.round(x, self.decimals)


# %%
outputs = {
    "looks like [C]": to_celsius | Round(),
    "looks like [F]": to_fahrenheit | Round(),
    "brightness [K]": Round(2),
}
thermal_report = NodataToNaN() | in_kelvin | Fanout(outputs)
for dn_of_pixel in (28000, 24000, 0):
    print(dn_of_pixel, {name: float(v) for name, v in thermal_report(dn_of_pixel).items()})
thermal_report

# %%
saved = to_yaml(thermal_report)
read_back = from_yaml(saved)
print("\n".join(saved.splitlines()[:8]), "\n...")
print(len(saved.splitlines()), "lines of YAML; hash", thermal_report.config_hash)
assert read_back == thermal_report

# %% [markdown]
# The file rebuilds the same pipeline, with the same hash, on any machine that knows the classes. What
# cannot be written is only used while looking: `Tap`, `Sink` and `Lambda` hold Python functions, and
# go around the pipeline, not into it. The graph of two inputs takes the emissivity beside the number:

# %%
reports = {
    material: round(float(ground(dn=28000, emissivity=epsilon)["surface_C"]), 1)
    for material, epsilon in {"water": 0.99, "forest": 0.98, "dry sand": 0.92}.items()
}
print(reports)

# %% [markdown]
# The same digital number means 26.6 degrees on water and 31.6 on dry sand: the lower the
# emissivity, the warmer the ground must be to look the same from above.

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-01-kelvin
# Write the operator `Kelvin`: degrees Celsius to kelvin. What it adds is an argument, 273.15 unless
# told otherwise. Two of them are equal when their arguments are.
#
# ```python
# class Kelvin(Operator):
#     ...
#
# # the check
# to_k = Kelvin()
# assert abs(to_k(25.87) - 299.02) < 1e-9
# assert Kelvin(zero=273) != Kelvin() == Kelvin(zero=273.15)
# ```
# :::
#
# :::{solution} ex-01-kelvin
# :class: dropdown
#
# ```python
# class Kelvin(Operator):
#     def __init__(self, zero=273.15):
#         self.zero = zero
#
#     def _apply(self, celsius):
#         return celsius + self.zero
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-01-fahrenheit
# Make a pipeline `in_fahrenheit` of the four steps from digital number to degrees Fahrenheit, so that
# it can still be written to a file.
#
# ```python
# in_fahrenheit = ...
#
# # the check
# assert abs(in_fahrenheit(28000) - (1.8 * thermometer(28000) + 32)) < 1e-9
# assert in_fahrenheit[:3] == thermometer
# assert from_yaml(to_yaml(in_fahrenheit)) == in_fahrenheit
# ```
# :::
#
# :::{solution} ex-01-fahrenheit
# :class: dropdown
#
# ```python
# in_fahrenheit = thermometer | Rescale(gain=1.8, offset=32.0)
# ```
# :::

# %% [markdown]
# ## Recap
#
# | you want | you write |
# |---|---|
# | a step | a class with `__init__` and `_apply` |
# | one after the other | `a \| b`, `Sequential([a, b])` |
# | several results of one input | `Fanout({"x": a, "y": b})` |
# | several inputs, shared parts | `Graph(inputs, outputs)` on `Input` and `Node` |
# | to look | `Tap`, `Snapshot`, `ShapeTrace` |
# | to choose | `Branch`, `Switch` |
# | glue | `Identity`, `Const`, `Lambda`, `Sink` |
# | a model | `ModelOp(model, method, batch_size)` |
# | to compare, name, save | `==`, `config_hash`, `to_yaml`, pickle |
#
# **Key points**
#
# - An operator is its class and its arguments: that is what is compared, hashed, written and read back.
# - A pipeline of operators with plain arguments can go into a file; one that holds a Python function cannot.
# - What chooses for a whole input is a `Branch`; what chooses for each element is array code in an operator.
#
# **References**
#
# - Artis, D. A. and Carnahan, W. H. (1982), *Remote Sensing of Environment* 12, 313-329, [doi:10.1016/0034-4257(82)90043-8](https://doi.org/10.1016/0034-4257%2882%2990043-8): surface temperature from emissivity
# - U.S. Geological Survey, *Landsat 8 (L8) Data Users Handbook*, LSDS-1574: gain, offset and thermal constants
#
# **Where next.** [Pipeline idioms](02_pipeline_idioms.ipynb) builds retries, caches, checks and
# profiles from the same parts; [operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb) puts
# them to work on an image.
