"""The four axes of a temporal patcher: geometry, sampler, window, aggregation.

>>> from geopatcher.temporal import TemporalFixedLookback
>>> TemporalFixedLookback(7).length
7
"""

from geopatcher.temporal.aggregation import (
    TemporalFold,
    TemporalForecast,
    TemporalHierarchicalCombine,
    TemporalMean,
)
from geopatcher.temporal.geometry import (
    TemporalFixedLookback,
    TemporalLookbackHorizon,
    TemporalMultiScale,
    TemporalPhaseWindow,
)
from geopatcher.temporal.patcher import TemporalPatcher
from geopatcher.temporal.sampler import (
    TemporalCausalRolling,
    TemporalEventTriggered,
    TemporalExplicit,
    TemporalRandom,
    TemporalRegularStride,
)
from geopatcher.temporal.series import TimeDomain
from geopatcher.temporal.window import (
    TemporalCausalBoxcar,
    TemporalExponentialDecay,
    TemporalPeriodic,
    TemporalTaperedTukey,
)

__all__ = [
    "TemporalCausalBoxcar",
    "TemporalCausalRolling",
    "TemporalEventTriggered",
    "TemporalExplicit",
    "TemporalExponentialDecay",
    "TemporalFixedLookback",
    "TemporalFold",
    "TemporalForecast",
    "TemporalHierarchicalCombine",
    "TemporalLookbackHorizon",
    "TemporalMean",
    "TemporalMultiScale",
    "TemporalPatcher",
    "TemporalPeriodic",
    "TemporalPhaseWindow",
    "TemporalRandom",
    "TemporalRegularStride",
    "TemporalTaperedTukey",
    "TimeDomain",
]
