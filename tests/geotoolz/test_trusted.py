import pickle

import pytest

import geotoolz as gz
from geopatcher import SpatialHann, SpatialPatcher, SpatialRectangular, SpatialRegularStride
from pipekit import UntrustedOperatorError, from_config, from_yaml, to_config, to_yaml

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
        from_config(to_config(PIPELINE), gz.registry()),
        from_yaml(to_yaml(PIPELINE), gz.registry()),
        pickle.loads(pickle.dumps(PIPELINE)),
    ):
        assert again == PIPELINE
        assert again.config_hash == PIPELINE.config_hash


def test_files_are_touched_only_when_allowed():
    writes = to_config(gz.NDVI() | gz.WriteCOG("ndvi.tif"))
    with pytest.raises(UntrustedOperatorError, match="WriteCOG"):
        from_config(writes, gz.registry())
    assert from_config(writes, gz.registry(files=True)) == gz.NDVI() | gz.WriteCOG("ndvi.tif")


def test_estimators_and_functions_are_not_in_it():
    names = set(gz.registry(files=True).names())
    assert {"NDVI", "Compose", "GridSampler", "SpatialHann", "Sequential"} <= names
    assert not {"SklearnOp", "Lambda", "SpatialCustom", "Operator"} & names
