"""The four axes of a temporal patcher: geometry, sampler, window, aggregation.

>>> from geopatcher.time import TemporalFixedLookback
>>> TemporalFixedLookback(7).length
7
"""

from geopatcher.time.aggregation import (
    TemporalFold,
    TemporalForecast,
    TemporalHierarchicalCombine,
    TemporalMean,
)
from geopatcher.time.geometry import (
    TemporalFixedLookback,
    TemporalLookbackHorizon,
    TemporalMultiScale,
    TemporalPhaseWindow,
)
from geopatcher.time.patcher import TemporalPatcher
from geopatcher.time.sampler import (
    TemporalCausalRolling,
    TemporalEventTriggered,
    TemporalExplicit,
    TemporalRandom,
    TemporalRegularStride,
)
from geopatcher.time.series import TimeDomain
from geopatcher.time.window import (
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
