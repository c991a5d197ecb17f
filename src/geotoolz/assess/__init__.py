"""Maps with honest numbers: samples, accuracies and areas with error bars, splits, uncertainty.

>>> import numpy as np
>>> from geotoolz.assess import area_estimate
>>> counts = [[90, 10], [5, 95]]  # 90 of 100 mapped as burnt are, and 5 of 100 mapped as not
>>> estimate = area_estimate(counts, area=[300, 700])  # mapped square kilometres
>>> low, high = estimate.interval(0.95)
>>> round(float(estimate.area[0])), round(float(low[0])), round(float(high[0]))
(305, 270, 340)
"""

from pipekit.lazy import lazily

_NAMES = {
    "geotoolz.assess.class_map": "ClassMap count_classes",
    "geotoolz.assess.designs": "sample_design sample_size allocate",
    "geotoolz.assess.answers": "write_samples read_answers unanswered",
    "geotoolz.assess.confusion": "Confusion confusion",
    "geotoolz.assess.intervals": "Estimate",
    "geotoolz.assess.estimates": "AreaEstimate area_estimate estimate_samples",
    "geotoolz.assess.folds": (
        "BlockFolds BufferedFolds TimeFolds PlaceTimeFolds CheckedFolds LeakError check_split"
    ),
    "geotoolz.assess.variogram": "Variogram variogram",
    "geotoolz.assess.uncertainty": (
        "Margin Entropy ConformalSets margin entropy conformal_threshold conformal_sets "
        "Calibration calibration_curve"
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOME)
__getattr__, __dir__ = lazily(__name__, _HOME)
