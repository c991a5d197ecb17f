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
# # Recipe: patches under `jax.vmap`
#
# **Question.** A JAX function is written for one chip. How does it run on stacks of them, compiled
# once, train on them, and end up as one raster?
#
# You will learn
#
# - to stack patches into one array with `stack_patches`, and to `vmap` over it;
# - to train an Equinox module on batches of patches;
# - to stitch the compiled model, and to check it against the whole-scene call.
#
# **Needs** JAX and Equinox (in the clone: `pip install ".[recipes]"`), no network.
#
# **Before this.** [Patching](../../05_patching_grids.ipynb); JAX's `jit` and `vmap`. **Time.** 15
# minutes to read, half a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../../docs/reference/glossary.md).

# %%
from geostack.lesson import need

ready = need("jax", "equinox")

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax.example_libraries.optimizers import adam
from rasterio.windows import Window

from geopatcher import RasterField, SpatialHann, SpatialPatcher, SpatialRandom, SpatialRectangular
from geopatcher import SpatialRegularStride, stack_patches
from geostack import load_s2_chip
from geotoolz import ApplyToChips, DNToReflectance, GridSampler, Lambda, NDVI, Sequential, Stitch
from geotoolz.viz import plot

# %% [markdown]
# ## One chip, one function
#
# The function below knows nothing of batches: it takes one chip (C, h, w).

# %%
bands = ("B02", "B03", "B04", "B08")
dn = RasterField(load_s2_chip(bands=bands)).select(Window(0, 3300, 1599, 635))
print(f"source: {dn.attrs['source']} ({dn.attrs['item_id']})")
scene = DNToReflectance()(dn)


def ndvi(chip):
    """Return the vegetation index (h, w) of a chip (4, h, w)."""
    red, nir = chip[2], chip[3]
    return (nir - red) / (nir + red + 1e-10)


patcher = SpatialPatcher(SpatialRectangular(64), SpatialRegularStride(64))
chips = stack_patches(patcher.stream(scene[:, :576, :576]))
many = jax.jit(jax.vmap(ndvi))
print(chips.shape, "->", many(chips).shape)
assert np.allclose(many(chips)[7], np.asarray(NDVI(2, 3)(chips[7])), atol=1e-5)

# %% [markdown]
# ## Training on random patches
#
# An Equinox module is a pytree and a function. This one maps the three visible bands of a pixel to
# its NDVI: greenness guessed without the near infrared. The network trains on the western half of
# the scene and is judged on the eastern half. Random anchors are fixed by their seed, so the recipe
# trains on the same patches wherever it runs.
#
# The three bands are small numbers, so the network sees them centred and scaled. A few clouds are ten
# times as bright as the ground and would rule a mean and a standard deviation. Median and percentiles
# of the training patches hardly notice them.

# %%
HALF = scene.shape[2] // 2
west = scene[:, :, :HALF]
stream = SpatialPatcher(SpatialRectangular(32), SpatialRandom(256, seed=3)).stream(west)
seen = stack_patches(stream)[:, :3]
low, MIDDLE, high = np.percentile(seen, (10, 50, 90), axis=(0, 2, 3))[..., None, None]
SPREAD = (high - low) / 2
print("middle:", MIDDLE.ravel().round(3), "spread:", SPREAD.ravel().round(3))


# %%
class Greenness(eqx.Module):
    """A small network for one chip: (4, h, w) -> (h, w), from its three visible bands."""

    layers: list

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.layers = [eqx.nn.Conv2d(3, 24, 1, key=first), eqx.nn.Conv2d(24, 1, 1, key=second)]

    def __call__(self, chip):
        hidden = jax.nn.tanh(self.layers[0]((chip[:3] - MIDDLE) / SPREAD))
        return self.layers[1](hidden)[0]


# %% [markdown]
# Plain gradient descent takes one rate for all weights and is slow here. Adam (Kingma and Ba, 2015)
# scales each weight's step by its own recent gradients. JAX ships it as three functions.

# %%
begin, update, weights_of = adam(0.03)


@eqx.filter_jit
def step(number, state, chips):
    """Return the state after one step down the mean squared error of a batch, and the error."""

    def error(model):
        return jnp.mean((jax.vmap(model)(chips) - jax.vmap(ndvi)(chips)) ** 2)

    value, slope = eqx.filter_value_and_grad(error)(weights_of(state))
    return update(number, slope, state), value


# %%
state, errors = begin(Greenness(jax.random.key(0))), []
for epoch in range(60):
    order = np.random.default_rng(epoch).permutation(len(stream))
    for batch in np.split(order, 8):
        state, value = step(
            jnp.asarray(len(errors)), state, stack_patches(stream[int(i)] for i in batch)
        )
        errors.append(float(value))
model = weights_of(state)
print(f"root mean squared error {errors[0] ** 0.5:.3f} -> {np.mean(errors[-8:]) ** 0.5:.3f}")

# %% [markdown]
# ## Back onto the scene
#
# `ApplyToChips(batch_size=...)` hands over stacks (N, C, h, w): exactly what the compiled, mapped
# model takes. With `boundary="shift"` all chips have one shape, so it compiles at most three times:
# for the first chip, which tells what results are like, for full batches and for the last one.

# %%
traced = []


@eqx.filter_jit
def mapped(chips):
    """Run the trained model over a stack of chips."""
    traced.append(chips.shape)  # runs only while JAX compiles
    return jax.vmap(model)(chips)


grid = SpatialPatcher(
    SpatialRectangular(128, boundary="shift"), SpatialRegularStride(96), SpatialHann()
)
tiled = ApplyToChips(Lambda(lambda chips: np.asarray(mapped(chips))), batch_size=16)
greenness = Sequential([GridSampler(grid), tiled, Stitch()])(scene)
whole = np.asarray(model(jnp.asarray(np.asarray(scene))))
worst = np.abs(np.asarray(greenness) - whole).max()
print(greenness.shape, f"compiled {len(traced)} times, largest difference {worst:.1e}")
assert worst < 1e-4
assert len(traced) <= 3

# %% [markdown]
# ## Is the guess any good?
#
# Only the eastern half counts, which the network has not seen. Beside it stands the simplest model
# that could do the job: a straight line through the three bands, fitted to the same training pixels by
# least squares. The bias is the mean of guess less truth; a map can have a small error and still be
# too green in one class.

# %%
truth = np.asarray(NDVI(2, 3)(scene))
seen_ndvi = np.asarray(jax.vmap(ndvi)(stack_patches(stream)))
table = np.column_stack([seen.transpose(0, 2, 3, 1).reshape(-1, 3), np.ones(seen_ndvi.size)])
line = np.linalg.lstsq(table, seen_ndvi.ravel(), rcond=None)[0]
linear = np.tensordot(line[:3], np.asarray(scene)[:3], axes=1) + line[3]

east = np.s_[:, HALF:]
thin = (truth >= 0) & (truth < 0.6)
kinds = {"all": truth > -2, "water": truth < 0, "thin or no cover": thin, "dense": truth >= 0.6}
guesses = {"network": np.asarray(greenness), "line": linear}
rms, bias = {}, {}
for name, where in kinds.items():
    for guess, values in guesses.items():
        off = (values - truth)[east][where[east]]
        rms[guess, name], bias[guess, name] = np.sqrt(np.mean(off**2)), np.mean(off)
        error, mean = rms[guess, name], bias[guess, name]
        print(f"{name:17} {guess:8} error {error:.3f}, bias {mean:+.3f}")
if scene.attrs["source"] == "simulated":
    assert rms["network", "all"] < 0.5 * rms["line", "all"]
    assert all(abs(bias["network", name]) < 0.05 for name in kinds)

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 4.5), layout="constrained")
style = {"cmap": "YlGn", "vmin": -0.2, "vmax": 0.9, "label": "NDVI (unitless)"}
plot(NDVI(2, 3)(scene), ax=axes[0, 0], title="NDVI, with the near infrared", **style)
plot(greenness, ax=axes[0, 1], title="Network, from the visible bands", **style)
style = {"cmap": "RdBu", "vmin": -0.3, "vmax": 0.3, "label": "guess less truth (NDVI)"}
for ax, name in zip(axes[1], ("line", "network"), strict=True):
    values = guesses[name]
    off = scene.array_as_geotensor((values - truth).astype("float32"), fill_value_default=np.nan)
    plot(off, ax=ax, title=f"Error of the {name}: blue is too green", **style)
for ax in axes.flat:
    ax.label_outer()
plt.show()

# %% [markdown]
# The network makes less than half of the line's error, and is hardly too green or too brown in any
# class. So the visible bands of this scene tell most of its NDVI. That may be no more than a habit of
# the simulation, which draws all bands of a pixel from the same few kinds of ground. A guess from too
# few steps or from numbers of the wrong size would have looked the same and been wrong: judge the
# training before the data.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-jax-ndwi
# Write `ndwi` for one chip (4, h, w), the index of water from green and near infrared, and run it over
# the stack `chips` as `wet`.
#
# ```python
# def ndwi(chip): ...
#
# wet = ...
#
# # the check
# from geotoolz import NDWI
#
# assert wet.shape == (81, 64, 64)
# assert np.allclose(wet[7], np.asarray(NDWI(1, 3)(chips[7])), atol=1e-5)
# ```
# :::
#
# :::{solution} ex-jax-ndwi
# :class: dropdown
#
# ```python
# def ndwi(chip):
#     green, nir = chip[1], chip[3]
#     return (green - nir) / (green + nir + 1e-10)
#
# wet = jax.jit(jax.vmap(ndwi))(chips)
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-jax-hardest
# Which of the 81 chips does the network guess worst? Write `off`, the root mean squared error of one
# chip, run it over the stack, and put the number of the worst chip into `hardest`.
#
# ```python
# def off(chip): ...
#
# hardest = ...
#
# # the check
# guesses, truths = (np.asarray(jax.vmap(f)(chips)) for f in (model, ndvi))
# by_hand = np.sqrt(((guesses - truths) ** 2).mean(axis=(1, 2)))
# assert hardest == by_hand.argmax()
# assert np.isclose(off(chips[hardest]), by_hand.max(), atol=1e-4)
# ```
# :::
#
# :::{solution} ex-jax-hardest
# :class: dropdown
#
# ```python
# def off(chip):
#     return jnp.sqrt(jnp.mean((model(chip) - ndvi(chip)) ** 2))
#
# hardest = int(jnp.argmax(jax.vmap(off)(chips)))
# ```
# :::

# %% [markdown]
# ## Recap
#
# | step | is |
# |---|---|
# | a batch | `stack_patches(stream[i] for i in batch)` -> (N, C, h, w) |
# | one chip's function on many | `jax.jit(jax.vmap(f))` |
# | back | `ApplyToChips(..., batch_size=16)`, `Stitch()` |
# | one shape, one compilation | `boundary="shift"` |
#
# **Key points**
#
# - Scale inputs by what clouds cannot rule, and train until it pays no more, before blaming the data.
# - Judge on ground that was not trained on, beside a straight line, with the bias of each class.
#
# **References**
#
# - Kingma, D. P. and Ba, J. (2015), *Adam: A Method for Stochastic Optimization*, [doi:10.48550/arXiv.1412.6980](https://doi.org/10.48550/arXiv.1412.6980)
# - Bradbury, J. et al. (2018), *JAX: composable transformations of Python+NumPy programs*, <https://github.com/jax-ml/jax>
#
# **Where next.** [Grain](grain.ipynb) feeds such batches from a loader that can be stopped and resumed.
