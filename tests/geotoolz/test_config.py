import importlib
import pickle
import pkgutil

import pytest

import geocatalog
import geopatcher
import geostack
import geotoolz as gz
import pipekit
from geopatcher import (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from pipekit import (
    Registry,
    UntrustedOperatorError,
    default_registry,
    from_config,
    from_yaml,
    to_config,
    to_yaml,
)

PATCHER = SpatialPatcher(
    SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
)
PIPELINE = gz.Sequential(
    [
        gz.GridSampler(PATCHER),
        gz.ApplyToChips(gz.HarmonizeBaseline() | gz.DNToReflectance() | gz.NDVI()),
        gz.Stitch(),
        gz.ApplyMask(gz.MaskWhere("<", 0.2)),
    ]
)


def test_a_tiled_pipeline_survives_yaml_and_pickle():
    for again in (
        from_config(to_config(PIPELINE)),
        from_yaml(to_yaml(PIPELINE)),
        pickle.loads(pickle.dumps(PIPELINE)),
    ):
        assert again == PIPELINE
        assert again.config_hash == PIPELINE.config_hash


def test_files_are_touched_only_when_allowed():
    writes = to_config(gz.NDVI() | gz.WriteCOG("ndvi.tif"))
    with pytest.raises(UntrustedOperatorError, match=r"operators\[1\].*WriteCOG.*files=True"):
        from_config(writes)
    assert from_config(writes, files=True) == gz.NDVI() | gz.WriteCOG("ndvi.tif")
    assert "WriteCOG" not in Registry(default_registry())


def test_an_aggregation_touches_files_when_it_has_a_target(tmp_path):
    kept, streamed = SpatialOverlapAdd(), SpatialOverlapAdd(True, str(tmp_path / "out.tif"))
    assert from_config(to_config(kept)) == kept
    with pytest.raises(UntrustedOperatorError, match=r"SpatialOverlapAdd with.*files=True"):
        from_yaml(to_yaml(streamed))
    assert from_yaml(to_yaml(streamed), files=True) == streamed


def test_estimators_and_functions_are_not_in_it():
    names = set(default_registry().with_files().names())
    assert {"NDVI", "Compose", "GridSampler", "SpatialHann", "Sequential"} <= names
    assert not {"SklearnOp", "Lambda", "SpatialCustom", "Operator", "Configured"} & names
    with pytest.raises(UntrustedOperatorError, match="make it in code"):
        from_config({"class": "SklearnOp", "config": {}}, files=True)


def shipped_classes():
    """Every operator, axis and patcher that a module of the five packages defines."""
    found = set()
    for package in (pipekit, geopatcher, geocatalog, gz, geostack):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.rpartition(".")[2] == "__main__":
                continue
            try:
                names = vars(importlib.import_module(module.name))
            except ImportError:  # an extra that is not installed
                continue
            found |= {kind for kind in names.values() if isinstance(kind, type)}
    ours = {"pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack"}
    return {
        kind
        for kind in found
        if issubclass(kind, pipekit.Operator | geopatcher.Configured)
        and kind.__module__.partition(".")[0] in ours
    }


def test_every_class_that_is_shipped_can_be_named_or_says_why_not():
    known = default_registry().with_files()
    bases = {base for kind in shipped_classes() for base in kind.__mro__[1:]}
    for kind in shipped_classes():
        if kind.forbid_in_yaml:
            assert kind.__name__ not in known
        elif kind not in bases or kind.__name__ in known:
            assert known[kind.__name__] is kind


def test_a_name_that_is_shipped_is_not_registered_twice():
    class NDVI(pipekit.Operator):
        def _apply(self, x):
            return x

    with pytest.raises(ValueError, match=r"'NDVI' is taken by geotoolz\.indices\.NDVI"):
        pipekit.register(NDVI)
