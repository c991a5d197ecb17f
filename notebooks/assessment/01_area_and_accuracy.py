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
# # Area and accuracy, with error bars
#
# **Question.** A map says how much water and how much vegetation there is. How far may it be off, and
# how does one know after looking at 300 pixels?
#
# You will learn
#
# - why an area counted from a map's pixels is biased, and in which direction;
# - to draw a sample whose inclusion probabilities are known, and to hand it to whoever looks;
# - areas and accuracies with standard errors and intervals (Olofsson et al., 2014);
# - how often such an interval holds, and which one to take for a rare class.
#
# **Needs** no network: pixels come from a local archive, the live service or the embedded
# simulation, whichever is there; the line printed below says which.
#
# **Before this.** [Chips for machine learning](../06_ml_patches_augment.ipynb). **Time.** 25
# minutes to read, half a minute to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from georeader.geotensor import GeoTensor

from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE
from geostack import NoSceneError, SourceUnavailableError, load_s2_chip
from geotoolz import NDVI, NDWI, SCL_CLOUDS_AND_INVALID, DNToReflectance
from geotoolz.assess import allocate, area_estimate, confusion, count_classes, estimate_samples
from geotoolz.assess import read_answers, sample_design, sample_size, unanswered, write_samples
from geotoolz.viz import plot

# %% [markdown]
# ## A map, and somebody who knows better
#
# The map is made by two thresholds: NDWI above 0 is water, NDVI above 0.5 is vegetation. In a real
# study a person looks at each sampled pixel in a better picture. Here SCL, the scene classification
# that comes with the image, stands in for that person, so that the truth is known everywhere and
# every estimate below can be checked. SCL is a map, too: what follows says how well the thresholds
# agree with it, not how well they agree with the ground.

# %%
CLASSES = {1: ("water", "#0072b2"), 2: ("vegetation", "#009e73"), 3: ("other", "#e69f00")}
NAMES = [name for name, _ in CLASSES.values()]
SEEN = np.full(12, 3, np.uint8)  # SCL id -> class; 0 is nodata
SEEN[6], SEEN[4] = 1, 2
SEEN[list(SCL_CLOUDS_AND_INVALID)] = 0
TYROL = {"bbox": SOUTH_TYROL_BBOX, "tile": SOUTH_TYROL_TILE, "date_range": "2022-06-01/2022-06-30"}


def load(**where):
    """Return a map of three classes by thresholds, and what SCL says."""
    bands = load_s2_chip(bands=("B03", "B04", "B08", "SCL"), **where)
    image = DNToReflectance()(bands)
    wet, green = NDWI()(image).values > 0, NDVI()(image).values > 0.5
    seen = SEEN[bands.values[3].astype(int)]
    labels = np.where(wet, 1, np.where(green, 2, 3)) * (seen > 0)
    place = {"transform": bands.transform, "crs": bands.crs, "fill_value_default": 0}
    attrs = {"source": bands.attrs["source"], "band_roles": "class"}
    print(f"source: {bands.attrs['source']} ({bands.attrs['item_id']})")
    return tuple(GeoTensor(v.astype(np.uint8), attrs=attrs, **place) for v in (labels, seen))


# %%
try:
    mapped, truth = load(**TYROL)
except (NoSceneError, SourceUnavailableError) as error:
    print("no source has the South Tyrol scene, so Lake Tahoe it is:", type(error).__name__)
    mapped, truth = load()
REAL = mapped.attrs["source"] != "simulated"
HECTARES = abs(mapped.transform.determinant) / 10_000  # of a pixel

fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.2), layout="constrained")
plot(mapped, ax=axes[0], classes=CLASSES, title="The map, by two thresholds", legend=False)
plot(truth, ax=axes[1], classes=CLASSES, title="What an observer would see (here SCL)")
axes[1].set_ylabel("")
if REAL:
    fig.supxlabel("contains modified Copernicus Sentinel data 2022", size=8)
plt.show()

# %% [markdown]
# ## The area that pixels tell
#
# Count the pixels of each class, times 0.01 hectares. No error bar comes with it. Where a map takes
# more ground for water than it misses, the count is too large, however many pixels there are: here
# river banks and dark roofs pass for water.

# %%
pixels = count_classes(mapped)
counted, known = pixels * HECTARES, count_classes(truth) * HECTARES
print(pd.DataFrame({"counted (ha)": counted, "truth (ha)": known}).round(1).set_axis(NAMES))
off = (counted - known) / known
print({name: f"{share:+.0%}" for name, share in zip(NAMES, off, strict=True)})
assert off[1] > 3 or not REAL

# %% [markdown]
# ## 300 pixels to look at
#
# `sample_design` draws pixels so that each has a known chance to be in the sample. Stratified by the
# map's classes, rare ones get enough: at least 75 pixels here, the rest in proportion to their area.
# The seed fixes the sample for ever, whatever the size of the blocks in which the map is read.

# %%
samples = sample_design(mapped, 300, least=75, seed=2)
shown = samples.groupby("map_class")[["stratum_size", "inclusion", "weight"]].first()
print(shown.assign(drawn=samples.groupby("map_class").size()).set_axis(NAMES).round(5))
assert np.isclose(samples["weight"].sum(), pixels.sum())

# %%
fig, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
plot(mapped, ax=ax, classes=CLASSES, title="300 pixels to look at, stratified by the map")
inside = samples.geometry
ax.scatter(inside.x / 1000, inside.y / 1000, s=9, color="white", edgecolor="black", lw=0.6)
plt.show()

# %% [markdown]
# A pixel of the rare class stands for a few pixels, one of a common class for thousands: `weight`,
# which is one over the chance to be drawn. An estimate that forgets the weights is wrong.
#
# ### Out to whoever looks, and back
#
# A GeoPackage opens in any GIS, a CSV in a spreadsheet. Somebody fills in the column `reference`. On
# the way back only the answers are taken, by the number of the sample, and what is missing is listed.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = write_samples(samples, Path(folder) / "samples.csv")
    sheet = pd.read_csv(path)
    sheet["reference"] = truth.values[sheet["row"], sheet["col"]]
    sheet.loc[[17, 160], "reference"] = None  # two that nobody could tell
    sheet.to_csv(path, index=False)
    answers = read_answers(path, samples)
print("without an answer:", unanswered(answers)["sample"].tolist())

# %% [markdown]
# ## The estimate
#
# `estimate_samples` weighs each answer and says how far each figure may be off. `areas` are by true
# class. A user of the map asks for user's accuracy: which share of what the map calls water is water?
# Its producer asks how much of the water was found: producer's accuracy.

# %%
estimate = estimate_samples(answers, pixel_area=HECTARES)
table = estimate.table(0.95, method="wilson").set_axis(NAMES)
print(table["areas"].round(1))
for figure in ("users", "producers", "f1"):
    value, error = table[figure]["value"].round(2), table[figure]["standard error"].round(2)
    print(f"{figure:10}", {n: f"{v} +- {e}" for n, v, e in zip(NAMES, value, error, strict=True)})
low, high = estimate.overall.interval(method="wilson")
print(f"overall    {estimate.overall.value:.1%} ({low:.1%} to {high:.1%})")
assert estimate.reasons == {}

# %%
low, high = estimate.interval(method="wilson")
fig, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
for k, ax in enumerate(axes):
    reach = [[estimate.area[k] - low[k]], [high[k] - estimate.area[k]]]
    ax.errorbar([1], estimate.area[k], yerr=reach, fmt="o", color="black", capsize=5)
    ax.plot([0], counted.iloc[k], "s", color=CLASSES[k + 1][1], ms=9, mec="black")
    ax.axhline(known.iloc[k], color="tab:red", lw=1, ls="--")
    ax.set(title=NAMES[k], xlim=(-0.6, 1.6), xticks=[0, 1], xticklabels=["counted", "estimated"])
axes[0].set_ylabel("area (ha)")
fig.suptitle("Counted from pixels, estimated from 300 samples (95 %), and the truth (red)")
plt.show()

# %% [markdown]
# The count has no error bar and does not meet the truth. The estimate is a little off as well, and
# says by how much it may be. It was made from 298 answers; the count from all pixels of the scene.
#
# ### Where does the map err?
#
# The confusion matrix in shares of the area: rows are what the map says, columns what is there. The
# samples' own counts would overstate the rare class, of which so many were drawn.

# %%
shares = pd.DataFrame(100 * estimate.shares, NAMES, NAMES).round(2)
print("mapped in rows, true in columns, % of the area\n", shares, sep="")
census = confusion(mapped, truth)
print(f"overall, all pixels compared: {census.overall:.1%}")
low, high = estimate.overall.interval(0.99, method="wilson")
assert low < census.overall < high

# %% [markdown]
# ## How often does the interval hold?
#
# A 95 % interval holds the truth in 95 of 100 samples; it does not promise to be among these. Since the
# truth is known here, the study can be done 1,000 times: from the matrix of all pixels, draw the
# same number of each mapped class again, and look which intervals hold the true area.

# %%
rng = np.random.default_rng(0)
drawn = estimate.counts.sum(axis=1)
rows = [census.counts[k] for k in range(3)]
true_area = census.counts.sum(axis=0) * HECTARES
mapped_area = census.counts.sum(axis=1) * HECTARES


def held(drawn, runs=1000):
    """Return the areas of many studies, and how often their intervals hold the truth."""
    areas, hits = [], {"wald": np.zeros(3), "wilson": np.zeros(3)}
    for _ in range(runs):
        both = zip(rows, drawn, strict=True)
        found = area_estimate([rng.multivariate_hypergeometric(r, n) for r, n in both], mapped_area)
        areas.append(found.area)
        for method in hits:
            low, high = found.interval(0.95, method)
            hits[method] += (low <= true_area) & (true_area <= high)
    return np.array(areas), {method: count / runs for method, count in hits.items()}


# %%
areas, hits = held(drawn)
print(pd.DataFrame(hits, NAMES).map("{:.1%}".format))
bias = areas.mean(axis=0) / true_area - 1
print(
    "mean of 1,000 estimates, off by:", {n: f"{b:+.1%}" for n, b in zip(NAMES, bias, strict=True)}
)
assert (abs(bias) < 4 * areas.std(axis=0) / true_area / np.sqrt(1000)).all()
assert (hits["wilson"] > 0.9).all()

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained")
for k, ax in enumerate(axes):
    ax.hist(areas[:, k], 40, color="0.7")
    ax.axvline(true_area[k], color="tab:red", ls="--", label="truth")
    ax.axvline(mapped_area[k], color=CLASSES[k + 1][1], lw=3, label="counted")
    ax.set(title=NAMES[k], xlabel="area (ha)")
axes[0].set_ylabel("studies")
axes[2].legend(frameon=False)
fig.suptitle("Areas estimated by 1,000 studies of some 300 pixels each")
plt.show()

# %% [markdown]
# Estimates scatter around the truth, counts stand beside it. The usual interval (Wald: plus and minus
# 1.96 standard errors, as papers print it) is too short for the rare class: what the map misses of
# it hides in the common classes, where one sampled pixel in hundreds meets it, or none. `wilson`
# makes the limits stratum by stratum, where "none of 100" still means "up to 4 in 100", and combines
# them: 92 of 100 for water and 95 to 96 for the others, at the price of longer intervals.
#
# ## How many pixels does it take?
#
# Cochran's formula (Olofsson et al., 2014, equation 13) tells how many give a wished standard error of
# the overall accuracy, from a guess of the user's accuracies. `allocate` shares them out.

# %%
guess = {1: 0.8, 2: 0.9, 3: 0.8}
for error in (0.02, 0.015, 0.01):
    size = sample_size(pixels, list(guess.values()), error)
    rules = {rule: allocate(size, pixels, rule, accuracies=guess) for rule in ("equal", "neyman")}
    proportional = allocate(size, pixels, least=75)
    print(f"{error:.1%}: {size} pixels;", f"at least 75 each: {proportional};", rules)

# %% [markdown]
# Half the error takes four times the pixels. Which rule is best depends on the question: equal numbers
# serve user's accuracies, Neyman's the overall one. For the area of a rare class what counts is how
# many pixels lie in the *common* classes, where its missed parts hide.
#
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-area-random
# Draw 300 pixels of the map without strata, so that each pixel has the same chance, as `scattered`. How
# many pixels of water are among them?
#
# ```python
# scattered = ...
#
# # the check
# assert len(scattered) == 300
# assert scattered["inclusion"].nunique() == 1
# assert np.isclose(scattered["weight"].sum(), pixels.sum())
# ```
# :::
#
# :::{solution} ex-area-random
# :class: dropdown
#
# ```python
# scattered = sample_design(mapped, 300, "random", seed=2)
# print((scattered["map_class"] == 1).sum(), "of them are mapped as water")
# ```
#
# A sample without strata gets of a rare class what chance gives, a handful here. A figure that
# needs more is NaN, and `estimate.reasons` says why.
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-area-grouped
# The map knows how large its classes are, even where the sample was drawn without strata. Estimate from
# `loose` once more, as `grouped`, with the pixels of each mapped class.
#
# ```python
# loose = sample_design(mapped, 300, "random", seed=1)
# loose["reference"] = truth.values[loose["row"], loose["col"]]
# alone = estimate_samples(loose, pixel_area=HECTARES, classes=[1, 2, 3])
# grouped = ...
#
# # the check
# assert np.isclose(grouped.area.sum(), alone.area.sum())
# assert grouped.standard_error[1] < 0.7 * alone.standard_error[1]
# ```
# :::
#
# :::{solution} ex-area-grouped
# :class: dropdown
#
# ```python
# loose = sample_design(mapped, 300, "random", seed=1)
# loose["reference"] = truth.values[loose["row"], loose["col"]]
# alone = estimate_samples(loose, pixel_area=HECTARES, classes=[1, 2, 3])
# grouped = estimate_samples(
#     loose, mapped_pixels=pixels, pixel_area=HECTARES, classes=[1, 2, 3]
# )
# ```
#
# This is called post-stratification. The standard error of the area of vegetation is about halved, for
# nothing but a count of the map's pixels.
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-area-cluster
# Somebody who has opened a picture could look at nine pixels as well as at one. Draw 40 clusters of
# 3 x 3 pixels as `clustered`. Are they worth as many pixels apart?
#
# ```python
# clustered = ...
#
# # the check
# apart = sample_design(mapped, len(clustered), "random", seed=2)
# errors = []
# for drawn in (clustered, apart):
#     drawn["reference"] = truth.values[drawn["row"], drawn["col"]]
#     errors.append(estimate_samples(drawn, classes=[1, 2, 3]).standard_error[1])
# assert clustered["cluster"].nunique() == 40
# assert errors[0] > 1.5 * errors[1]
# ```
# :::
#
# :::{solution} ex-area-cluster
# :class: dropdown
#
# ```python
# clustered = sample_design(mapped, 40, "cluster", cluster=3, seed=2)
# ```
#
# No: neighbours resemble each other, and the standard error of the area of vegetation is more than
# twice that of as many pixels apart.
# :::

# %% [markdown]
# ## Key points
#
# | question | write |
# |---|---|
# | where to look | `sample_design(mapped, 300, least=75, seed=...)` |
# | out and back | `write_samples`, `read_answers`, `unanswered` |
# | how much, how right | `estimate_samples(answers)`, or `area_estimate(counts, area)` |
# | with which interval | `.interval(0.95, method="wilson")`, above all for rare classes |
# | how many | `sample_size`, `allocate` |
#
# **Where next.** [Honest validation](02_honest_validation.ipynb) judges a model before there is a map;
# [the burnt area of the Caldor fire](../04_image_processing_caldor.ipynb) has an interval now.
#
# **References**
#
# - Olofsson, P. et al. (2014), Good practices for estimating area and assessing accuracy of land change, *Remote Sensing of Environment* 148, 42-57, [doi:10.1016/j.rse.2014.02.015](https://doi.org/10.1016/j.rse.2014.02.015)
# - Stehman, S. V. (2014), Estimating area and map accuracy for stratified random sampling when the strata are different from the map classes, *International Journal of Remote Sensing* 35, 4923-4939, [doi:10.1080/01431161.2014.930207](https://doi.org/10.1080/01431161.2014.930207)
# - Zou, G. Y. and Donner, A. (2008), Construction of confidence limits about effect measures, *Statistics in Medicine* 27, 1693-1702, [doi:10.1002/sim.3095](https://doi.org/10.1002/sim.3095)
