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

# %%
from geostack.lesson import need

ready = need("jax", "equinox")

# %%
import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
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
assert many(chips).shape == (81, 64, 64)
assert np.allclose(many(chips)[7], np.asarray(NDVI(2, 3)(chips[7])), atol=1e-5)

# %% [markdown]
# ## Training on random patches
#
# An Equinox module is a pytree and a function. This one maps the three visible bands of a pixel to
# its NDVI: greenness guessed without the near infrared. Random anchors are fixed by their seed, so
# the recipe trains on the same patches wherever it runs.


# %%
class Greenness(eqx.Module):
    """A small network for one chip: (4, h, w) -> (h, w), from its three visible bands."""

    layers: list

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.layers = [eqx.nn.Conv2d(3, 24, 1, key=first), eqx.nn.Conv2d(24, 1, 1, key=second)]

    def __call__(self, chip):
        hidden = jax.nn.tanh(self.layers[0](chip[:3] * 10))
        return self.layers[1](hidden)[0]


# %%
@eqx.filter_jit
def step(model, chips, rate):
    """Return the model after one step down its mean squared error, and the error."""

    def error(model):
        return jnp.mean((jax.vmap(model)(chips) - jax.vmap(ndvi)(chips)) ** 2)

    value, slope = eqx.filter_value_and_grad(error)(model)
    return eqx.apply_updates(model, jax.tree.map(lambda g: -rate * g, slope)), value


# %%
stream = SpatialPatcher(SpatialRectangular(32), SpatialRandom(256, seed=3)).stream(scene)
model, errors = Greenness(jax.random.key(0)), []
for epoch in range(30):
    order = np.random.default_rng(epoch).permutation(len(stream))
    for batch in np.split(order, 8):
        model, value = step(model, stack_patches(stream[int(i)] for i in batch), 0.3)
        errors.append(float(value))
print(f"root mean squared error {errors[0] ** 0.5:.3f} -> {np.mean(errors[-8:]) ** 0.5:.3f}")
assert np.mean(errors[-8:]) < 0.5 * errors[0]

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

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 2.9), layout="constrained")
style = {"cmap": "YlGn", "vmin": -0.2, "vmax": 0.9, "label": "NDVI"}
plot(NDVI(2, 3)(scene), ax=axes[0], title="NDVI, with the near infrared", **style)
plot(greenness, ax=axes[1], title="Guessed from the visible bands", **style)
plt.show()

# %%
truth = np.asarray(NDVI(2, 3)(scene))
off = (np.asarray(greenness) - truth) ** 2
kinds = {
    "water": truth < 0,
    "thin or no cover": (truth >= 0) & (truth < 0.6),
    "dense": truth >= 0.6,
}
errors = {name: float(np.sqrt(off[where].mean())) for name, where in kinds.items()}
print({name: round(error, 2) for name, error in errors.items()}, "root mean squared error")
assert min(errors, key=errors.get) == "dense" or scene.attrs["source"] != "simulated"

# %% [markdown]
# Dense forest is guessed well; water and thin cover come out too green, because what tells them apart
# is in the band that the network does not see. The recipe shows how patches travel; whether to
# believe a map is a question to numbers like these.
#
# ## Recap
#
# | step | is |
# |---|---|
# | a batch | `stack_patches(stream[i] for i in batch)` -> (N, C, h, w) |
# | one chip's function on many | `jax.jit(jax.vmap(f))` |
# | back | `ApplyToChips(..., batch_size=16)`, `Stitch()` |
# | one shape, one compilation | `boundary="shift"` |
#
# **Where next.** [Grain](grain.ipynb) feeds such batches from a loader that can be stopped and resumed.
