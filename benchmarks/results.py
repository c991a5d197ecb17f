"""What a run found, and how to ask for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Results:
    """Comparisons and peaks of memory (as JSON), single numbers by name, what was not measured."""

    groups: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    peaks: list[dict[str, Any]] = field(default_factory=list)
    quick: bool = False

    def group(self, title: str) -> dict[str, Any] | None:
        """Return the comparison of that title."""
        return next((group for group in self.groups if group["title"] == title), None)

    def row(self, title: str, name: str) -> dict[str, Any] | None:
        """Return a rival's row of a comparison."""
        group = self.group(title)
        return next((row for row in group["rows"] if row["name"] == name), None) if group else None

    def ratio(self, title: str, name: str) -> float | None:
        """Return a rival's median ratio to its baseline."""
        row = self.row(title, name)
        return statistics.median(row["ratios"]) if row else None

    def ratios(self) -> dict[str, float]:
        """Return the median ratio of each rival that is no baseline, by title and name."""
        return {
            f"{group['title']}: {row['name']}": statistics.median(row["ratios"])
            for group in self.groups
            for row in group["rows"]
            if row["name"] != group["baseline"]
        }

    def seconds(self, title: str, name: str) -> float | None:
        """Return a rival's median time for one of what the comparison counts."""
        group, row = self.group(title), self.row(title, name)
        return statistics.median(row["times"]) / group["per"][1] if group and row else None

    def times_faster(self, title: str, ours: str, theirs: str) -> float | None:
        """Return how many times faster `ours` was than `theirs` in the same round, median."""
        mine, other = self.row(title, ours), self.row(title, theirs)
        if not mine or not other:
            return None
        pairs = zip(mine["times"], other["times"], strict=True)
        return statistics.median(slow / fast for fast, slow in pairs)

    def peak(self, case: str, shape: Sequence[int], part: str = "beyond") -> float | None:
        """Return a case's peak memory in MB, `beyond` its input and output or "in all"."""
        for peak in self.peaks:
            if peak["case"] == case and list(peak["shape"]) == list(shape):
                return peak[part]
        return None
