"""The public names of `geotoolz.assess`: type checkers read them here, and so does the package."""

from geotoolz.assess.answers import (
    read_answers as read_answers,
    unanswered as unanswered,
    write_samples as write_samples,
)
from geotoolz.assess.class_map import ClassMap as ClassMap, count_classes as count_classes
from geotoolz.assess.confusion_matrix import Confusion as Confusion, confusion as confusion
from geotoolz.assess.designs import (
    allocate as allocate,
    sample_design as sample_design,
    sample_size as sample_size,
)
from geotoolz.assess.estimates import (
    AreaEstimate as AreaEstimate,
    area_estimate as area_estimate,
    estimate_samples as estimate_samples,
)
from geotoolz.assess.folds import (
    BlockFolds as BlockFolds,
    BufferedFolds as BufferedFolds,
    CheckedFolds as CheckedFolds,
    LeakError as LeakError,
    PlaceTimeFolds as PlaceTimeFolds,
    TimeFolds as TimeFolds,
    check_split as check_split,
)
from geotoolz.assess.intervals import Estimate as Estimate
from geotoolz.assess.uncertainty import (
    Calibration as Calibration,
    ConformalSets as ConformalSets,
    Entropy as Entropy,
    Margin as Margin,
    calibration_curve as calibration_curve,
    conformal_sets as conformal_sets,
    conformal_threshold as conformal_threshold,
    entropy as entropy,
    margin as margin,
)
from geotoolz.assess.variograms import Variogram as Variogram, variogram as variogram
