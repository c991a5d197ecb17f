"""Choose what to look at next: score candidates, and take those that tell most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pipekit import Operator

MODES = ("top", "bottom", "weighted")
"""Largest scores, smallest scores, or a draw with probability in proportion to the score."""


class Picks(Sequence[Any]):
    """What an `ActiveSampler` chose: items in order of choice, with `scores` and `indices`.

    `all_scores` are those of every candidate, for a histogram or a map.

    >>> picks = Picks(["b"], [1], np.array([0.1, 0.9]))
    >>> picks[0], picks.scores.tolist(), len(picks)
    ('b', [0.9], 1)
    """

    def __init__(self, items: list[Any], indices: list[int], all_scores: np.ndarray) -> None:
        self.items = items
        self.indices = indices
        self.all_scores = all_scores

    @property
    def scores(self) -> np.ndarray:
        """(k,) scores of the chosen items."""
        return self.all_scores[self.indices]

    @property
    def anchors(self) -> list[Any]:
        """Anchors of chosen patches, for `SpatialExplicit`."""
        return [item.anchor for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __repr__(self) -> str:
        return f"Picks({len(self)} of {len(self.all_scores)}, scores {self.scores.round(3)})"


class ActiveSampler(Operator):
    """Field (or nothing) -> the `k` candidates that `score_op` finds most worth a label.

    - `base`: where candidates come from: a `SpatialPatcher`, whose patches of the input are
      scored by their `data`; or any sequence or catalog, whose members are scored themselves.
      With None the input is the sequence.
    - `score_op`: candidate -> score; an array is averaged over what is not NaN. Candidates with
      a NaN score are never chosen.
    - `mode`: "top", "bottom", or "weighted": a draw without replacement in proportion to the
      score, which with `seed` is always the same; a score of 0 is never drawn.

    Candidates are read one at a time, and only the chosen ones are kept (read again).

    >>> ActiveSampler([4.0, 9.0, 7.0], score_op=lambda x: x, k=2)().items
    [9.0, 7.0]
    """

    def __init__(
        self,
        base: Any,
        score_op: Callable[[Any], Any],
        k: int,
        mode: str = "top",
        seed: int | None = None,
    ) -> None:
        if not isinstance(k, int) or k < 1:
            raise ValueError(f"k must be a whole number of at least 1, got {k!r}")
        if mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
        self.base = base
        self.score_op = score_op
        self.k = k
        self.mode = mode
        self.seed = seed

    def _apply(self, field: Any = None) -> Picks:
        candidates = _candidates(self.base, field)
        scores = np.array([_score(self.score_op, value) for value in _values(candidates)])
        chosen = _choose(scores, self.k, self.mode, self.seed)
        return Picks([candidates[index] for index in chosen], chosen, scores)


def _candidates(base: Any, field: Any) -> Sequence[Any]:
    if hasattr(base, "stream"):
        if field is None:
            raise ValueError("an ActiveSampler over a patcher takes the Field to sample")
        stream: Sequence[Any] = base.stream(field)
        return stream
    source = field if base is None else base
    if hasattr(source, "iter_rows"):
        return list(source.iter_rows())
    if not isinstance(source, Sequence | np.ndarray):
        raise TypeError(
            "ActiveSampler chooses from a patcher's patches, a sequence or a catalog, "
            f"got {type(source).__name__}"
        )
    return source  # type: ignore[return-value]


def _values(candidates: Sequence[Any]) -> Iterator[Any]:
    for candidate in candidates:
        is_patch = hasattr(candidate, "anchor") and hasattr(candidate, "data")
        yield candidate.data if is_patch else candidate


def _score(score_op: Callable[[Any], Any], value: Any) -> float:
    score = np.asarray(score_op(value), dtype=float)
    known = score[~np.isnan(score)]
    return float(known.mean()) if known.size else np.nan


def _choose(scores: np.ndarray, k: int, mode: str, seed: int | None) -> list[int]:
    known = np.flatnonzero(~np.isnan(scores))
    if mode == "weighted":
        return _drawn(scores, known, k, seed)
    ranked = scores[known] if mode == "bottom" else -scores[known]
    return [int(index) for index in known[np.argsort(ranked, kind="stable")[:k]]]


def _drawn(scores: np.ndarray, known: np.ndarray, k: int, seed: int | None) -> list[int]:
    weights = scores[known]
    if not np.isfinite(weights).all() or (weights < 0).any():
        wrong = weights[~np.isfinite(weights) | (weights < 0)][0]
        raise ValueError(f"mode='weighted' needs finite scores of at least 0, got {wrong:g}")
    positive = known[weights > 0]
    if not positive.size:
        return []
    share = scores[positive] / scores[positive].sum()
    size = min(k, len(positive))
    drawn = np.random.default_rng(seed).choice(positive, size=size, replace=False, p=share)
    return [int(index) for index in drawn]
