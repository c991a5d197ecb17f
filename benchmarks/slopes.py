"""How cost grows: the slope of time against size on log axes, 1 where it is linear."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np
from compare import Comparison, Group


def slope(sizes: list[float], times: list[float]) -> float:
    """Return the exponent of the power law that fits best.

    >>> slope([1, 2, 4], [3.0, 6.0, 12.0])
    1.0
    """
    return round(float(np.polyfit(np.log(sizes), np.log(times), 1)[0]), 3)


def tell_slope(
    compare: Comparison, group: Group, sizes: Mapping[str, float], unit: str | None = None
) -> float:
    """Note the group's slope beside its largest rival, and each one's time for one `unit`.

    `sizes` are the rivals' by name. The slope is also a value of the run, by the group's title.
    """
    medians = {row.name: statistics.median(row.times) for row in group.rows}
    for row in group.rows if unit else ():
        row.facts[f"for one {unit}"] = _time(medians[row.name] / sizes[row.name])
    found = slope(list(sizes.values()), [medians[name] for name in sizes])
    largest = max(sizes, key=lambda name: sizes[name])
    for row in group.rows:
        row.facts["slope on log axes"] = f"{found:.2f}" if row.name == largest else ""
    compare.values[f"slope of {group.title}"] = found
    return found


def _time(seconds: float) -> str:
    unit, factor = next(
        ((u, f) for u, f in (("s", 1.0), ("ms", 1e3), ("us", 1e6)) if seconds * f >= 1), ("ns", 1e9)
    )
    return f"{seconds * factor:.3g} {unit}"
