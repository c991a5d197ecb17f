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
# the two lie four small steps that everybody writes again and again. How do we write each of them
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

# %%
import math
import pickle

import matplotlib.pyplot as plt
import numpy as np

from pipekit import (
    Branch, Const, Fanout, Graph, Identity, Input, Lambda, ModelOp, NotSerializableError,
    Operator, Sequential, ShapeTrace, Sink, Snapshot, Switch, Tap, UntrustedOperatorError,
    from_yaml, register, to_yaml,
)  # fmt: skip

print("source of pixels: none, this lesson works on numbers")

# %% [markdown]
# ## An operator is a value
#
# Landsat 8's thermal band (band 10) is turned into radiance by a gain and an offset, and radiance
# into temperature by Planck's law inverted; the constants come from the scene's metadata (USGS,
# *Landsat 8 Data Users Handbook*, section 5). Each step becomes a class with two methods:
# `__init__` stores the arguments **under their own names**, `_apply` does the work.


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
# An instance is a function with a memory: it is called like one, and it knows its arguments. The
# printed form is the code that would make it again.

# %%
to_radiance = Rescale(gain=3.342e-4, offset=0.1)
to_kelvin = InversePlanck(k1=774.8853, k2=1321.0789)

print(to_radiance)
print(f"28000 -> {to_radiance(28000):.4f} W/(m2 sr um)")
assert math.isclose(to_radiance(28000), 9.4576)

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
# A `Sequential` behaves like a list of its steps. A slice of a pipeline is a pipeline, which makes
# "everything but the last step" a thing one can name and run.

# %%
in_kelvin = thermometer[:-1]
print(len(thermometer), "steps; the last one:", thermometer[-1])
print(f"without it: {in_kelvin(28000):.2f} K")
assert in_kelvin | thermometer[-1:] == thermometer
assert [type(step).__name__ for step in thermometer] == ["Rescale", "InversePlanck", "Rescale"]

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

again = Rescale(3.342e-4, 0.1) | InversePlanck(774.8853, 1321.0789) | Rescale(1.0, -273.15)
assert again == thermometer
assert again is not thermometer
assert again.config_hash == thermometer.config_hash
assert len({again, thermometer, to_celsius}) == 2
assert Rescale(2) != Rescale(2.0), "an integer gain keeps integers, a float gain does not"

# %% [markdown]
# The one thing to remember: store **every** argument. An operator that forgets one still runs, and
# says what is missing as soon as somebody asks for its config.


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
assert result["brightness_K"] == in_kelvin(28000)
assert result["surface_C"] > thermometer(28000), "a grey body is warmer than it looks"

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
assert units(28000)["C"] == thermometer(28000)

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
# The operators were written for one number and worked on sixty: `_apply` is ordinary array code.
# The snapshot now holds every stage of the same run.

# %%
fig, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained")
stages = dict(snap.captures, **{"temperature [C]": celsius})
counts = stages.pop("digital number")
for ax, (name, values) in zip(axes, stages.items(), strict=True):
    ax.plot(counts / 1000, values, color="#0072B2")
    ax.set(xlabel="digital number [thousands]", title=name)
    ax.grid(alpha=0.3)
fig.suptitle("One run of the pipeline, stage by stage")
plt.show()

# %% [markdown]
# Radiance is a straight line of the digital number; temperature is not: Planck's law bends it, so
# averaging digital numbers and averaging temperatures are two different things.
#
# ## Choosing while running
#
# `Branch` asks a yes-or-no question of the input, `Switch` looks up a key. A digital number of 0
# means "no data" in Landsat; it must not become a temperature of -126 degrees.

# %%
safe = Branch(lambda dn: dn == 0, if_true=Const(math.nan), if_false=thermometer)
print("28000 ->", round(float(safe(28000)), 2), "   0 ->", safe(0))
assert math.isnan(safe(0))
assert round(thermometer(0)) == -126

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
# `Identity` is the one of this algebra: piping it changes nothing. `Const` ignores its input.
# `Lambda` wraps a function that is not worth a class. `Sink` hands the input to something that
# keeps it (a file, a list, a queue) and passes it on.

# %%
kept = []
logbook = thermometer | Lambda(lambda t: round(float(t), 1), name="round") | Sink(kept.append)

assert (Identity() | thermometer)(28000) == thermometer(28000) == (thermometer | Identity())(28000)
assert [logbook(dn) for dn in (24000, 28000, 32000)] == kept
print("kept:", kept)

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
assert batches == [200, 64, 64, 64, 8]
assert abs(lapse + 6.5) < 0.3

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
assert from_yaml(to_yaml(ground)) == ground
assert pickle.loads(pickle.dumps(thermometer))(28000) == thermometer(28000)

# %% [markdown]
# Two things are refused, each with the place where it sits: a Python function, which has no text
# form, and a class that nobody registered.

# %%
try:
    to_yaml(thermometer | Lambda(lambda t: t + 1))
except NotSerializableError as error:
    print("writing:", error, end="\n\n")
try:
    from_yaml(text.replace("InversePlanck", "os.system"))
except UntrustedOperatorError as error:
    print("reading:", error)

# %% [markdown]
# ## When step seven fails
#
# A long pipeline fails in the middle of the night. The exception keeps its own type, so that an
# `except` elsewhere still works, and carries a note: which step, with which arguments, given what.


# %%
@register
class Invert(Operator):
    """One over the input; refuses zeros."""

    def _apply(self, x):
        if np.any(x == 0):
            raise ZeroDivisionError("an element is 0")
        return 1 / x


night_run = Sequential(
    [to_radiance, to_kelvin, to_celsius, Identity(), Rescale(1), Rescale(0), Invert(), Identity()]
)
try:
    night_run(np.full((3, 2), 28000, dtype="uint16"))
except ZeroDivisionError as error:
    print(type(error).__name__ + ":", error)
    print(*error.__notes__, sep="\n")
    (note,) = error.__notes__
assert "step 7 of 8" in note
assert "(3, 2) float64" in note

# %% [markdown]
# ## All together
#
# One pipeline from a pixel's record to a report: a guard, the thermal graph, a snapshot of what it
# gave, a fan over what to report, and a sink. It is still one value: it has a length, a picture,
# and one way to call it. The guard turns a digital number of 0, "no data", into NaN before the
# graph sees it, and NaN goes through all that follows.

# %%
reports = []
look = Snapshot()
report = (
    Branch(lambda record: record["dn"] > 0, Identity(), Const({"dn": math.nan, "emissivity": 1.0}))
    | Lambda(lambda record: ground(**record), name="thermal graph")
    | look.at("graph")
    | Fanout({
        "surface [C]": Lambda(lambda r: round(float(r["surface_C"]), 1)),
        "looks like [C]": Lambda(lambda r: r["brightness_K"]) | to_celsius | Lambda(lambda t: round(float(t), 1)),
    })
    | Sink(reports.append)
)  # fmt: skip
for material, epsilon in {"water": 0.99, "forest": 0.98, "dry sand": 0.92}.items():
    print(f"{material:9}", report({"dn": 28000, "emissivity": epsilon}))
print("no data  ", report({"dn": 0, "emissivity": 0.97}))

assert len(report) == 5
assert [r["surface [C]"] for r in reports[:3]] == [26.6, 27.2, 31.6]
assert all(math.isnan(value) for value in reports[3].values())
assert math.isnan(look["graph"]["surface_C"])
report

# %% [markdown]
# The same digital number means 26.6 degrees on water and 31.6 on dry sand: the lower the
# emissivity, the warmer the ground must be to look the same from above.
#
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
# **Where next.** [Pipeline idioms](02_pipeline_idioms.ipynb) builds retries, caches, checks and
# profiles from the same parts; [operators on a Sentinel-2 scene](03_operators_lake_tahoe.ipynb) puts
# them to work on an image.
