"""Every axis and patcher comes back from its config as what it was, by way of JSON."""

import json

import numpy as np
import pytest
from shapely import box

import geopatcher
from geopatcher import Configured, PatchError, SpatialPatcher
from geopatcher.config import _KINDS
from geotoolz.patch_ops import GridSampler
from pipekit import default_registry, from_config, from_yaml, to_config, to_yaml
from pipekit.config import Encoder, NotSerializableError, refuse
from pipekit.registry import Registry

ARGUMENTS = {
    "SpatialRectangular": {
        "size": (4, 8),
        "boundary": "pad",
        "pad_mode": "constant",
        "pad_value": 1.5,
    },
    "SpatialSphericalCap": {"radius_km": 500.5},
    "SpatialKNNGraph": {"k": 3},
    "SpatialRadiusGraph": {"radius": 3.25},
    "SpatialPolygonIntersection": {"polygons": [box(0, 0, 1 / 3, 1)], "crs": "EPSG:4326"},
    "SpatialRegularStride": {"step": 192},
    "SpatialJitteredStride": {"step": (10, 20), "jitter": 0.25, "seed": 2**40},
    "SpatialRandom": {"n_samples": 5, "seed": None},
    "SpatialPoissonDisk": {"min_dist": 4.5, "seed": 1},
    "SpatialExplicit": {"anchors_": [((3, 4), 1), ((5, 6), 2)]},
    "SpatialTukey": {"alpha": 0.25},
    "SpatialGaussian": {"sigma": 12.0},
    "SpatialTrim": {"margin": 8},
    "SpatialOverlapAdd": {"dtype": np.uint16, "fill_value": 0},
    "SpatialHardVote": {"n_classes": 4},
    "SpatialSoftVote": {"n_classes": 4, "output": "labels"},
    "SpatialMode": {"fill_value": 9},
}
FUNCTIONS = {"SpatialCustom": {"fn": np.ones}, "SpatialLearned": {"model": len}}


def spatial_classes():
    kinds = [getattr(geopatcher, name) for name in geopatcher.__all__]
    axes = ("geopatcher.axes.", "geopatcher.aggregation.")
    return [kind for kind in kinds if kind.__module__.startswith(axes)]


@pytest.mark.parametrize("kind", spatial_classes(), ids=lambda k: k.__name__)
def test_a_config_is_json_and_gives_the_object_back(kind):
    if kind.__name__ in FUNCTIONS:
        axis = kind(**FUNCTIONS[kind.__name__])
        with pytest.raises(PatchError, match=rf"{kind.__name__}\.\w+ holds a .*no JSON form"):
            axis.get_config()
        return
    axis = kind(**ARGUMENTS.get(kind.__name__, {}))
    text = json.dumps(axis.get_config())
    again = kind.from_config(json.loads(text))
    assert again == axis
    assert again.get_config() == axis.get_config()


@pytest.mark.parametrize("kind", spatial_classes(), ids=lambda k: k.__name__)
def test_operators_that_hold_an_axis_can_be_written_down(kind):
    # pipekit reads the same arguments, so that a GridSampler's patcher is part of its config.
    if kind.__name__ in FUNCTIONS:
        with pytest.raises(NotSerializableError):
            Encoder(refuse)(kind(**FUNCTIONS[kind.__name__]))
        return
    axis = kind(**ARGUMENTS.get(kind.__name__, {}))
    node = json.loads(json.dumps(to_config(axis)))
    assert from_config(node) == axis
    assert node["class"] == kind.__name__
    assert set(node["config"]) == set(axis.get_config())


@pytest.mark.parametrize(
    "patcher",
    [
        SpatialPatcher(geopatcher.SpatialRectangular((16, 8)), geopatcher.SpatialRegularStride(12)),
        SpatialPatcher(
            geopatcher.SpatialPolygonIntersection([box(0, 0, 1 / 3, 1)], crs="EPSG:4326"),
            geopatcher.SpatialExplicit([0]),
            aggregation=geopatcher.SpatialByIndex(),
        ),
    ],
)
def test_an_operator_comes_back_from_yaml_with_its_patcher(patcher):
    axes = [k for k in spatial_classes() if k.__name__ not in FUNCTIONS]
    trusted = Registry([GridSampler, SpatialPatcher, *axes])
    again = from_yaml(to_yaml(GridSampler(patcher)), trusted)
    assert again == GridSampler(patcher)
    assert again.patcher == patcher


def test_a_patcher_is_nested_by_class(patcher_of):
    patcher = patcher_of((16, 8), 12, on_error="skip")
    config = json.loads(json.dumps(patcher.get_config()))
    assert config["sampler"] == {"class": "SpatialRegularStride", "config": {"step": [12, 12]}}
    assert config["on_error"] == "skip"
    assert SpatialPatcher.from_config(config) == patcher


def test_only_classes_that_are_defined_are_built(patcher_of):
    config = patcher_of(8, 8).get_config()
    config["window"] = {"class": "os.system", "config": {"command": "true"}}
    with pytest.raises(PatchError, match=r"'os.system', which is not defined here.*SpatialHann"):
        SpatialPatcher.from_config(config)


def test_a_name_stands_for_one_class():
    with pytest.raises(PatchError, match=r"SpatialHann is taken by geopatcher\.axes\.window"):
        type("SpatialHann", (Configured,), {})
    assert _KINDS["SpatialHann"] is geopatcher.SpatialHann


def test_what_holds_a_function_is_trusted_by_no_registry():
    for name in (*FUNCTIONS, "TemporalFold"):
        assert getattr(geopatcher, name).forbid_in_yaml
        assert name not in default_registry()
    assert "TemporalMean" in default_registry()


def test_names_that_are_imported_late_are_seen():
    assert {"map_patches", "merge_to_file", "SpatialHann"} <= set(dir(geopatcher))


def test_a_truth_value_is_no_count():
    for made in (lambda: geopatcher.SpatialRandom(True), lambda: geopatcher.SpatialTrim(True)):
        with pytest.raises(PatchError, match="must be a whole number of at least 1, got True"):
            made()
