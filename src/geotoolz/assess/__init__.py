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

__all__, __getattr__, __dir__ = lazily(__name__)
