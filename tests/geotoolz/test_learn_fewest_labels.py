"""Asking for the labels that a model doubts most beats asking at random, on an area held out.

A scene made for the test: red and near infrared vary smoothly, forest is where NDVI is high, which
is rare. Labels are asked for in the western half only; the eastern half says how good the map is.
"""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from geotoolz.learn import ActiveSampler

SEEDS = range(20)
SIDE, FIRST, BATCH, ROUNDS = 96, 10, 5, 6


def make_scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance (2, H, W) of red and near infrared, and forest (H, W) bool, about one in six."""
    random = np.random.default_rng(seed)
    smooth = gaussian_filter(random.normal(size=(2, SIDE, SIDE)), (0, 4, 4), mode="wrap")
    smooth /= smooth.std(axis=(1, 2), keepdims=True)
    red, nir = 0.12 + 0.03 * smooth[0], 0.30 + 0.06 * smooth[1]
    ndvi = (nir - red) / (nir + red)
    noise = random.normal(scale=0.01, size=ndvi.shape)
    return np.stack([red, nir]), ndvi + noise > np.quantile(ndvi, 5 / 6)


def logit(features: np.ndarray) -> np.ndarray:
    """Columns of a linear model: standardised by fixed numbers, and a constant."""
    scaled = (features - (0.12, 0.30)) / (0.03, 0.06)
    return np.column_stack([scaled, np.ones(len(scaled))])


def fitted(features: np.ndarray, labels: np.ndarray, ridge: float = 1e-2) -> np.ndarray:
    """Weights of a logistic regression, by Newton's method."""
    x, weights = logit(features), np.zeros(3)
    for _ in range(25):
        share = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (share - labels) + ridge * weights
        curve = (x.T * (share * (1 - share))) @ x + ridge * np.eye(3)
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def f1(predicted: np.ndarray, true: np.ndarray) -> float:
    return 2 * (predicted & true).sum() / max(1, predicted.sum() + true.sum())


def first_labels(labels: np.ndarray, random: np.random.Generator) -> list[int]:
    """Positions of the labels to begin with, both classes among them."""
    each = [random.choice(np.flatnonzero(labels == kind), FIRST // 2, False) for kind in (0, 1)]
    return [int(index) for index in np.concatenate(each)]


def learnt(seed: int, actively: bool) -> float:
    """F1 of forest in the eastern half after `FIRST + BATCH * ROUNDS` labels of the western one."""
    bands, forest = make_scene(seed)
    west, east = np.s_[:, : SIDE // 2], np.s_[:, SIDE // 2 :]
    # Every fourth pixel is a candidate: enough of both classes, and quick to score.
    pool, labels = bands[:, *west].reshape(2, -1).T[::4], forest[west].ravel()[::4]
    held, truth = bands[:, *east].reshape(2, -1).T, forest[east].ravel()
    random = np.random.default_rng(1000 + seed)
    known = first_labels(labels, random)
    for _ in range(ROUNDS):
        weights = fitted(pool[known], labels[known])
        doubt = -np.abs(logit(pool) @ weights) if actively else random.random(len(pool))
        doubt[known] = np.nan  # a candidate without a score is never chosen
        known += ActiveSampler(range(len(pool)), doubt.__getitem__, BATCH)().indices
    assert len(set(known)) == FIRST + BATCH * ROUNDS, "no label is asked for twice"
    return f1(logit(held) @ fitted(pool[known], labels[known]) > 0, truth)


@cache
def scores() -> tuple[np.ndarray, np.ndarray]:
    """F1 over the seeds: actively, at random."""
    return tuple(np.array([learnt(seed, how) for seed in SEEDS]) for how in (True, False))


def test_doubt_beats_chance_on_the_held_out_area():
    active, chance = scores()
    gain = active - chance
    assert gain.mean() > 0.02
    assert (gain > 0).sum() >= 15
    # The mean gain over its standard error: far from luck.
    assert gain.mean() / (gain.std(ddof=1) / len(gain) ** 0.5) > 3
    assert active.std() < chance.std(), "and it depends less on luck"
