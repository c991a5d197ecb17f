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
# # Time: windows that look back
#
# **Question.** Clouds tear holes into every series of images. What may a value for *today* use,
# and how do pieces of a series become one again without ever looking into the future?
#
# You will learn
#
# - to cut a series with four temporal geometries, all of which end at their anchor;
# - what a temporal window weighs, and why a lookback at the series' start is truncated, not dropped;
# - to fold a state through the dates, to average, to forecast and to check the forecast;
# - to cut in space and time at once, in three couplings.
#
# **Needs** no network. Where the sample archive is there (`GEOSTACK_ARCHIVE`), the series are 118
# real acquisitions over Flemish cropland, clouds and all; else the simulated summer at Lake Tahoe.
#
# **Before this.** [One chip, one band](01_intro.ipynb). **Time.** 35 minutes to read, half a minute
# to run. Terms are explained where they first occur, and in the
# [glossary](../../docs/reference/glossary.md).

# %%
from itertools import pairwise

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from geopatcher import SpatialExplicit, SpatialHann, SpatialPatcher, SpatialRectangular
from geopatcher import SpatialRegularStride, SpatioTemporalPatcher, TemporalCausalBoxcar
from geopatcher import TemporalCausalRolling, TemporalEventTriggered, TemporalExplicit
from geopatcher import TemporalExponentialDecay, TemporalFixedLookback, TemporalFold
from geopatcher import TemporalForecast, TemporalHierarchicalCombine, TemporalLookbackHorizon
from geopatcher import TemporalMean, TemporalMultiScale, TemporalPatcher, TemporalPeriodic
from geopatcher import TemporalPhaseWindow, TemporalRandom, TemporalRegularStride
from geopatcher import TemporalTaperedTukey
from geostack import LAKE_TAHOE_TILE, NoSceneError, SourceUnavailableError, load_s2_timestack
from geotoolz import NDVI, SCL_CLOUDS_AND_INVALID
from geotoolz.carrier import rewrap
from geotoolz.viz import plot

# %% [markdown]
# ## A series with holes
#
# Red, near infrared and SCL of every date, whatever the sky was.

# %%
asked = {"bands": ("B04", "B08", "SCL"), "max_items": 120, "max_cloud_cover": None}
flanders = {
    "bbox": (3.0196, 50.8112, 3.0282, 50.8166),
    "date_range": "2017-08-01/2018-11-30",
    "tile": "31UDS",
}
tahoe = {
    "bbox": (-120.02, 38.93, -120.005, 38.945),
    "date_range": "2024-06-01/2024-07-31",
    "tile": LAKE_TAHOE_TILE,
}
try:
    stack, dates, reference = load_s2_timestack(**flanders, **asked)
except (NoSceneError, SourceUnavailableError):
    stack, dates, reference = load_s2_timestack(**tahoe, **asked)
print(f"source: {stack.attrs['source']} ({stack.attrs['item_ids'][0]} and {len(dates) - 1} more)")
print(f"{stack.shape} (time, band, rows, cols), {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}")

# %% [markdown]
# NDVI of every date at once: the bands lie on axis 1. What the scene classification calls cloud,
# shadow or invalid becomes NaN, and stays NaN until something fills it.

# %%
ndvi = np.array(NDVI(red_idx=0, nir_idx=1, axis=1)(stack))
ndvi[np.isin(stack.values[:, 2], SCL_CLOUDS_AND_INVALID)] = np.nan
clear = np.isfinite(ndvi).mean(axis=(1, 2))
series = xr.DataArray(ndvi, dims=("time", "y", "x"), coords={"time": dates.values})
print(
    f"{(clear > 0.9).sum()} of {len(dates)} dates are more than 90 % clear, "
    f"{(clear < 0.1).sum()} less than 10 %"
)
real = stack.attrs["source"] == "archive" and len(dates) == 118

# %% [markdown]
# The picture of a place through time: six of the clearest dates, in order. Grey pixels, should
# there be any, are clouded, here and below.


# %%
def maps(images, titles, label="NDVI (unitless)", cmap="YlGn", limits=(0, 0.9)):
    """Draw maps (rows, cols) side by side on one scale."""
    fig, axes = plt.subplots(1, len(images), figsize=(2.1 * len(images), 1.9), layout="constrained")
    for ax, image, title in zip(axes, images, titles, strict=True):
        plot(
            rewrap(stack, np.asarray(image)),
            ax=ax,
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            title=title,
            colorbar=False,
            scale_bar=ax is axes[0],
            axes="none",
        )
    fig.colorbar(axes[-1].images[-1], ax=axes, label=label, shrink=0.8)
    plt.show()


best = np.sort(np.argsort(-clear, kind="stable")[: min(30, len(clear))])
shown = best[np.linspace(0, len(best) - 1, 6).astype(int)]
maps(ndvi[shown], [f"{dates[i]:%Y-%m-%d}" for i in shown])

# %% [markdown]
# ## Four geometries, one anchor
#
# A temporal patch belongs to its *anchor*, the last step that is known. All geometries look back
# from there; only a horizon lies ahead. `FixedLookback` takes the last dates, `LookbackHorizon`
# those and what came next, `MultiScale` a short and a long lookback at once, `PhaseWindow` the same
# season of each year. The drawing shows which steps belong to the patch whose anchor lies 90 % into
# the series.

# %%
today = int(0.9 * len(dates))
geometries = {
    "FixedLookback(10)": TemporalFixedLookback(10),
    "LookbackHorizon(10, 4)": TemporalLookbackHorizon(10, 4),
    "MultiScale((3, 12))": TemporalMultiScale((3, 12)),
    "PhaseWindow(365 d, 20 d)": TemporalPhaseWindow(period=365, half_width=20),
}
domain = TemporalPatcher(TemporalFixedLookback(1), TemporalRegularStride(1)).domain(series)
steps = np.arange(len(dates))

# %%
fig, ax = plt.subplots(figsize=(9, 2.8), layout="constrained")
ax.plot(dates, np.full(len(dates), -0.8), "|", color="0.7", ms=9)
for row, geometry in enumerate(geometries.values()):
    found = geometry.neighborhood(domain, today)
    for k, part in enumerate(getattr(found, "spans", (found,))):
        inside = steps[part.steps]
        ahead = inside > today
        ax.plot(
            dates[inside[~ahead]], np.full((~ahead).sum(), row + 0.25 * k), "o", color="C0", ms=4
        )
        ax.plot(dates[inside[ahead]], np.full(ahead.sum(), row), "o", color="C1", ms=4, mfc="w")
ax.axvline(dates[today], color="k", lw=1)
ax.set_yticks(range(-1, 4), ["all dates", *geometries])
ax.set_title("Which dates belong to a patch: known (filled) and horizon (open)")
ax.set_ylim(-1.4, 3.6)
ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(ax.xaxis.get_major_locator()))
plt.show()

# %% [markdown]
# Near the series' start there is less to look back on. Such a patch is shorter, and it is there:
# a model that warms up must see the first dates too.

# %%
lookback = TemporalPatcher(TemporalFixedLookback(5), TemporalRegularStride(1))
lengths = [len(patch.data) for patch in lookback.split(series)]
print("patches:", len(lengths), "- first lengths:", lengths[:7])
assert lengths == [min(5, step + 1) for step in range(len(dates))]

# %% [markdown]
# ## What a step counts
#
# Windows weigh steps by their age. All weights are positive, and a truncated lookback has the
# newest weights of a whole one.

# %%
windows = {
    "CausalBoxcar()": TemporalCausalBoxcar(),
    "ExponentialDecay(tau=6)": TemporalExponentialDecay(6),
    "TaperedTukey(alpha=0.5)": TemporalTaperedTukey(0.5),
    "Periodic(period=12)": TemporalPeriodic(12),
}
month = TemporalFixedLookback(30)
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2), sharey=True, layout="constrained")
for ax, (name, window) in zip(axes, windows.items(), strict=True):
    weights = window.weights(month, 30)
    ax.bar(np.arange(-29, 1), weights, width=1, color="C0")
    ax.set_title(name, fontsize=10)
    ax.set_xlabel("age (steps)")
axes[0].set_ylabel("weight (unitless)")
plt.show()
least = [window.weights(month, 30).min() for window in windows.values()]
pairs = [(each.weights(month, 8), each.weights(month, 30)[-8:]) for each in windows.values()]
print(f"least weight: {min(least):.1e}; truncated alike:", all((a == b).all() for a, b in pairs))

# %% [markdown]
# ## When: five samplers
#
# Anchors are numbers of steps; dates are understood where the series has them. An event takes
# the last date *up to* it: what was known when it came.

# %%
events = [str((dates[len(dates) // 3]).date()), str((dates[-2]).date())]
samplers = [
    TemporalRegularStride(len(dates) // 5),
    TemporalCausalRolling(len(dates) // 6),
    TemporalEventTriggered(events),
    TemporalRandom(5, seed=7),
    TemporalExplicit([0, events[0]]),
]
for sampler in samplers:
    anchors = sampler.anchors(domain, TemporalFixedLookback(10))
    print(f"{type(sampler).__name__:24}", anchors)

# %% [markdown]
# ## Filling clouds from the past: `TemporalMean`
#
# For each date: the mean of its lookback, weighted by the window, clouds left out. The operator
# drops the time axis, so each patch gives one map, put at its anchor. Only holes are filled: where a
# date was clear, its own observation stays, and what was filled is told apart.

# %%
decay = TemporalPatcher(
    TemporalFixedLookback(10), TemporalRegularStride(1), TemporalExponentialDecay(3), TemporalMean()
)


def composite(patch):
    """Return the weighted mean over time of what is clear, (rows, cols)."""
    values = np.asarray(patch.data)
    weights = np.isfinite(values) * patch.weights[:, None, None]
    with np.errstate(invalid="ignore"):
        return np.nansum(values * weights, axis=0) / weights.sum(axis=0)


means = decay.merge((patch.with_data(composite(patch)) for patch in decay.split(series)), series)
kept = np.isfinite(series)
filled = series.where(kept, means)
is_filled = np.isfinite(filled) & ~kept
print(
    f"missing before: {np.isnan(series).mean().item():.0%}, after: {np.isnan(filled).mean().item():.1%}"
)
assert np.array_equal(filled.values[kept.values], series.values[kept.values])
print(f"{is_filled.mean().item():.0%} of all values are filled, no clear one is changed")

# %%
cloudy = np.sort(np.argsort(np.abs(clear[10:] - 0.5), kind="stable")[:3]) + 10
images = [image for step in cloudy for image in (ndvi[step], filled[step])]
titles = [f"{dates[step]:%Y-%m-%d}{word}" for step in cloudy for word in ("", ", filled")]
maps(images, titles)

# %% [markdown]
# The pale rims are cloud that the classification missed: they count as observations, so they stay,
# and go into later fills.
#
# Nothing here saw the future. Replace all later dates by nonsense, and today's map is the same,
# to the byte.

# %%
spoilt = series.copy(data=np.where((steps > today)[:, None, None], -99.0, series.values))
honest = composite(decay.patch_at(series, today))
assert honest.tobytes() == composite(decay.patch_at(spoilt, today)).tobytes()
print("step", today, "knows nothing of what came after it")

# %% [markdown]
# ## Carrying a state: `TemporalFold`
#
# Some questions need a memory and no window: the greenest each pixel ever was, and when. A fold
# carries a state through the patches, in order; one date is in memory at a time.


# %%
def greenest(state, patch):
    """Keep each pixel's highest NDVI so far and the step it came at."""
    highest, when = state
    values = np.asarray(patch.data)[-1]
    better = values > highest
    return np.where(better, values, highest), np.where(better, patch.anchor, when)


shape = ndvi.shape[1:]
fold = TemporalFold(greenest, (np.full(shape, -np.inf), np.full(shape, -1)))
one_by_one = TemporalPatcher(TemporalFixedLookback(1), TemporalRegularStride(1), aggregation=fold)
highest, when = one_by_one.merge(one_by_one.split(series), series)

# %%
day = np.array(dates.strftime("%j"), float)[when]
day[when < 0] = np.nan
fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
plot(
    rewrap(stack, highest),
    ax=axes[0],
    cmap="YlGn",
    vmin=0,
    vmax=1,
    label="NDVI",
    axes="none",
    title="Greenest each pixel was",
)
plot(
    rewrap(stack, day),
    ax=axes[1],
    cmap="twilight",
    vmin=1,
    vmax=366,
    label="day of the year",
    title="... and when",
    axes="none",
)
plt.show()

# %% [markdown]
# The right map's colours meet at the turn of the year. Which date wins most pixels, and can it be
# believed? A look at the bands behind the index:

# %%
winner = np.bincount(when[when >= 0]).argmax()
red, nir = (np.median(stack.values[winner, band][when == winner]) * 1e-4 for band in (0, 1))
print(f"{dates[winner]:%Y-%m-%d} wins {np.mean(when == winner):.0%} of the pixels")
print(f"median reflectance of those pixels on that day: red {red:.4f}, near infrared {nir:.3f}")

# %% [markdown]
# In Flanders it is two days after Christmas. Under so low a sun the atmospheric correction leaves next
# to nothing of red, and the index of next to nothing is 1. A maximum keeps the worst outlier that a
# series holds, and keeps it for ever; so maps of greenness take a high percentile or a median, or
# leave dates of low sun out.
#
# ## Forecasts that can be checked
#
# `TemporalLookbackHorizon` holds the past *and* what came; `TemporalForecast` keeps one block for
# each anchor. The same aggregation merges forecasts and truth, so comparing is a loop over
# anchors.
#
# What is a forecast judged on? On observations, of dates that were seen almost whole; never on
# filled values, which are made of the very past that the forecast uses. And observations are days
# apart, not steps: four looks ahead may be 10 days or 60, so models and errors are told in days. One
# of the Flemish dates, 23 September 2018, is a cloud that the classification missed; it stays, and
# counts against every model.

# %%
whole = np.flatnonzero(clear > 0.9)
observed = series[whole].mean(("y", "x"))
days = (observed.time.values - observed.time.values[0]) / np.timedelta64(1, "D")
ahead = TemporalPatcher(
    TemporalLookbackHorizon(lookback=8, horizon=4),
    TemporalCausalRolling(step=1),
    aggregation=TemporalForecast(horizon=4),
)
truth = ahead.merge(ahead.split(observed), observed)
judged = [anchor for anchor in truth if len(truth[anchor]) == 4 and anchor >= 7]
leads = np.array([days[a + 1 : a + 5] - days[a] for a in judged])
print(
    f"{len(whole)} dates were seen almost whole; {len(judged)} forecasts of 4 looks, "
    f"{leads.min():.0f} to {leads.max():.0f} days ahead"
)
assert all(np.array_equal(truth[a], observed.values[a + 1 : a + 5]) for a in truth)


# %%
def persistence(past, when, later):
    """Any day is like the last one seen."""
    return np.repeat(past[-1], len(later))


def trend(past, when, later):
    """A straight line in days through the lookback, half believed."""
    slope, _ = np.polyfit(when, past, 1)
    return past[-1] + 0.5 * slope * (later - when[-1])


# %%
def forecast(model):
    """Return the model's blocks, {anchor: (4,)}, each made of its lookback and the days alone."""
    made = []
    for patch in ahead.split(observed):
        count = len(patch.weights)
        if len(patch.data) - count < 4:
            continue  # what it would be judged on is not there yet
        when = (patch.data.time.values - observed.time.values[0]) / np.timedelta64(1, "D")
        values = model(patch.data.values[:count], when[:count], when[count:])
        made.append(patch.with_data(values))
    return ahead.merge(made, observed)


# %%
errors = {
    model.__name__: np.array([forecast_of[a] - truth[a] for a in judged])
    for model in (persistence, trend)
    for forecast_of in [forecast(model)]
}
limits = (0, 7, 15, 30, 90)
print("days ahead   " + "".join(f"{low:>5}-{high}" for low, high in pairwise(limits)))
for name, error in errors.items():
    inside = [(leads > low) & (leads <= high) for low, high in pairwise(limits)]
    told = [
        f"{np.sqrt(np.mean(error[each] ** 2)):8.3f}" if each.any() else "       -"
        for each in inside
    ]
    print(f"{name:12}" + "".join(told), " rmse")

# %% [markdown]
# Is one better? Forecasts that overlap share their errors, so single forecasts are no independent
# draws. A block bootstrap draws runs of neighbouring anchors, as long as what they share.


# %%
def block_interval(values, block, draws=2000, seed=0):
    """Return the 2.5 and 97.5 % quantiles of the mean of resampled runs of `block` values."""
    rng = np.random.default_rng(seed)
    count = -(-len(values) // block)
    starts = rng.integers(0, len(values) - block + 1, (draws, count))
    runs = values[starts[..., None] + np.arange(block)].reshape(draws, -1)[:, : len(values)]
    return np.quantile(runs.mean(axis=1), (0.025, 0.975))


gain = np.abs(errors["persistence"]).mean(axis=1) - np.abs(errors["trend"]).mean(axis=1)
block = min(8, len(gain) // 2)
low, high = block_interval(gain, block)
print(
    f"mean absolute error, persistence less trend: {gain.mean():+.4f}, "
    f"95 % interval {low:+.4f} to {high:+.4f}"
)
better = "the trend" if low > 0 else "persistence" if high < 0 else "neither, as far as is shown"
print("better:", better)
if real:
    assert high < 0

# %%
fig, ax = plt.subplots(figsize=(9, 2.6), layout="constrained")
ax.plot(observed.time, observed, "o-", ms=3, lw=0.8, color="0.3", label="observed, 90 % clear")
blocks = forecast(trend)
for anchor in judged[:: max(1, len(judged) // 10)]:
    later = observed.time.values[anchor : anchor + 5]
    ax.plot(later, [observed.values[anchor], *blocks[anchor]], color="C1", lw=2)
ax.plot([], [], color="C1", label="forecast, from its anchor on")
ax.set(ylabel="NDVI", title="Four looks ahead, made only of what lay behind")
ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(ax.xaxis.get_major_locator()))
ax.legend(loc="lower left", frameon=False)
plt.show()

# %% [markdown]
# On the real series persistence wins, by a hundredth of NDVI, and the interval ends just below
# zero: a harvest breaks a trend. The error doubles from the first week to beyond a month, which a
# mean over steps would have hidden. Forecasts are compared like this: made without the future,
# judged on what was seen, beside a model that knows nothing.
#
# ## Several scales at once
#
# A short lookback follows, a long one is calm. `TemporalMultiScale` gives both; the operator
# answers once for each, and `TemporalHierarchicalCombine` weighs the answers, leaving out a scale
# that saw only clouds.

# %%
scales = TemporalPatcher(
    TemporalMultiScale((3, 15)),
    TemporalRegularStride(1),
    TemporalCausalBoxcar(),
    TemporalHierarchicalCombine(weights=(2, 1)),
)


def means_of(patch):
    """Return the clear mean of each scale, (rows, cols) each, NaN where all was clouded."""
    totals = [(np.nansum(part, axis=0), np.isfinite(part).sum(axis=0)) for part in patch.data]
    return tuple(np.where(n > 0, total / np.maximum(n, 1), np.nan) for total, n in totals)


combined = scales.merge((p.with_data(means_of(p)) for p in scales.split(series)), series)
gaps = [float(np.isnan(x).mean()) for x in (series, combined)]
print(f"missing: {gaps[0]:.0%} in the series, {gaps[1]:.1%} with two scales")

# %% [markdown]
# ## Space and time
#
# A `SpatioTemporalPatcher` couples a spatial and a temporal patcher. Each patch has `.space` and
# `.time`, its two addresses. *product*: every place at every time. Splitting and merging the
# unchanged cube gives it back.

# %%
cube = rewrap(stack, filled.values)
size = min(24, *shape)
space = SpatialPatcher(
    SpatialRectangular(size, boundary="shift"),
    SpatialRegularStride(max(1, size // 2)),
    SpatialHann(),
)
time = TemporalPatcher(
    TemporalFixedLookback(4), TemporalRegularStride(2), TemporalExponentialDecay(2)
)
product = SpatioTemporalPatcher(space, time, coupling="product")
patch = next(product.split(cube))
print(product.n_anchors(cube), "patches; the first:", patch.anchor, patch.data.shape)
print("space:", patch.space.indices)
print("time: ", patch.time.indices)
merged = np.asarray(product.merge(product.split(cube), cube))
assert np.nanmax(np.abs(merged - cube.values)) < 1e-6

# %% [markdown]
# *aligned*: the first place at the first time, the second at the second, such as a flight along a
# track. *coupled*: pairs that belong together, such as plots and the dates of their visits.

# %%
corner = (shape[0] - size, shape[1] - size)
track = SpatialPatcher(SpatialRectangular(size), SpatialExplicit([(0, 0), (0, corner[1]), corner]))
days = TemporalExplicit([4, 8, 12])
aligned = SpatioTemporalPatcher(
    track, TemporalPatcher(TemporalFixedLookback(4), days), coupling="aligned"
)
print("aligned:", aligned.anchors(cube))

visits = SpatialExplicit([((0, 0), 4), ((0, 0), 12), (corner, 12)])
coupled = SpatioTemporalPatcher(
    SpatialPatcher(SpatialRectangular(size), visits), time, coupling="coupled"
)
print("coupled:", [(patch.anchor, patch.data.shape) for patch in coupled.split(cube)])

# %% [markdown]
# An operator sees a cube and may give back a map. Here: how much lower a pixel is after its anchor
# than before it. A harvest, a mown meadow or a fire shows as a drop that *stays*; a cloud that the
# classification missed is gone at the next look. So the median of three looks before is compared
# with that of three looks after, of observations only: one bad look moves neither.


# %%
def drop(values, count):
    """Return the median of the first `count` looks less that of the others, (rows, cols)."""
    values = np.asarray(values)
    before, after = values[:count], values[count:]
    enough = [np.isfinite(side).sum(axis=0) >= 2 for side in (before, after)]
    known = enough[0] & enough[1]
    out = np.full(values.shape[1:], np.nan)
    out[known] = np.nanmedian(before[:, known], axis=0) - np.nanmedian(after[:, known], axis=0)
    return out


looks = rewrap(stack, series.values[whole])
every = SpatioTemporalPatcher(
    space, TemporalPatcher(TemporalLookbackHorizon(3, 3), TemporalRegularStride(1))
)
made = (p.with_data(drop(p.data, len(p.time.weights))) for p in every.split(looks))
drops = np.asarray(every.merge(made, looks))
whole_scene = [drop(p.data, len(p.weights)) for p in every.temporal.split(looks.values)]
assert np.nanmax(np.abs(drops - np.stack(whole_scene))) < 1e-6

# %% [markdown]
# How often would a single low look have been called one? A pixel that falls by more than 0.4 from
# one look to the next, and is back within 0.1 of where it was at the look after that, has not been
# harvested.

# %%
fall = looks.values[:-2] - looks.values[1:-1]
back = np.abs(looks.values[2:] - looks.values[:-2]) < 0.1
gone = (fall > 0.4) & back
where = int(gone.mean(axis=(1, 2)).argmax())
false_day = dates[whole][where + 1]
print(
    f"{false_day:%Y-%m-%d}: {gone[where].mean():.0%} of the pixels fall and are back at the next look"
)
if gone[where].any():
    share = [float((each[gone[where]] > 0.4).mean()) for each in (fall[where], drops[where])]
    print(
        f"called a harvest: {share[0]:.0%} of them by one look, {share[1]:.0%} by three on either side"
    )
    assert share[1] < 0.1 * share[0]

# %% [markdown]
# The six looks after which the place lost most, in order: brown is what was higher before.

# %%
steps_seen = np.isfinite(drops).mean(axis=(1, 2)) > 0.5
score = np.where(steps_seen, np.nanmean(np.where(np.isfinite(drops), drops, 0), axis=(1, 2)), -1)
largest = np.sort(np.argsort(score)[-6:])
titles = [f"after {dates[whole][i]:%Y-%m-%d}" for i in largest]
maps(drops[largest], titles, "drop in NDVI", "PuOr_r", (-0.6, 0.6))

# %% [markdown]
# ## Try it yourself
#
# Copy a block into a cell of your own, replace what is missing, and run it. The asserts below
# `# the check` say when you are there.

# %% [markdown]
# :::{exercise}
# :label: ex-time-sparse
# Make a patcher `sparse` that looks back 3 dates from every tenth date.
#
# ```python
# sparse = ...
#
# # the check
# patches = list(sparse.split(series))
# assert [patch.anchor for patch in patches] == list(range(0, len(dates), 10))
# assert [len(patch.data) for patch in patches[:3]] == [1, 3, 3]
# ```
# :::
#
# :::{solution} ex-time-sparse
# :class: dropdown
#
# ```python
# sparse = TemporalPatcher(TemporalFixedLookback(3), TemporalRegularStride(10))
# ```
# :::

# %% [markdown]
# :::{exercise}
# :label: ex-time-middle
# Write a third model, `middle`: every day ahead is like the median of the lookback. `forecast` takes it
# as it took the others.
#
# ```python
# def middle(past, when, later): ...
#
# # the check
# made = forecast(middle)
# looked_back = {a: observed.values[a - 7 : a + 1] for a in judged}
# assert all(np.allclose(made[a], np.median(looked_back[a])) for a in judged)
# assert {len(block) for block in made.values()} == {4}
# ```
# :::
#
# :::{solution} ex-time-middle
# :class: dropdown
#
# ```python
# def middle(past, when, later):
#     return np.repeat(np.median(past), len(later))
# ```
# :::

# %% [markdown]
# ## Recap
#
# | question | axis | here |
# |---|---|---|
# | how far back, and ahead? | geometry | `TemporalFixedLookback`, `LookbackHorizon`, `MultiScale`, `PhaseWindow` |
# | when? | sampler | `TemporalRegularStride`, `CausalRolling`, `EventTriggered`, `Random`, `Explicit` |
# | what does a step count? | window | `TemporalCausalBoxcar`, `ExponentialDecay`, `TaperedTukey`, `Periodic` |
# | how do results become one? | aggregation | `TemporalMean`, `Fold`, `Forecast`, `HierarchicalCombine` |
# | where and when? | coupling | `SpatioTemporalPatcher(..., "product" / "aligned" / "coupled")` |
#
# Figures from the sample archive contain modified Copernicus Sentinel data 2017, 2018.
#
# **Key points**
#
# - A patch in time ends at its anchor; only a horizon lies ahead. Early patches are shorter, not dropped.
# - Fill holes, keep observations, and tell the two apart.
# - Judge a forecast on what was seen, beside persistence, with an interval and by days ahead.
#
# **References**
#
# - Holben, B. N. (1986), *International Journal of Remote Sensing* 7, 1417-1434, [doi:10.1080/01431168608948945](https://doi.org/10.1080/01431168608948945): maximum-value composites
# - Kuensch, H. R. (1989), *Annals of Statistics* 17, 1217-1241, [doi:10.1214/aos/1176347265](https://doi.org/10.1214/aos/1176347265): the block bootstrap
# - European Space Agency, *Sentinel-2 Products Specification Document* and *Level-2A Algorithm Theoretical Basis Document*, <https://sentiwiki.copernicus.eu/web/s2-documents>
#
# **Where next.** [Streaming](06_streaming.ipynb) runs a scene that should not fit into memory.
