"""Provenance: the note, and where it goes."""

import json

import numpy as np
import xarray as xr
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS

import pipekit as pk

pipeline = pk.AssertDType("uint8") | pk.Subsample(2)


def scene():
    return GeoTensor(
        np.ones((2, 4, 4), "uint8"), Affine.scale(10, -10), CRS.from_epsg(32610), 0, {"a": 1}
    )


def test_the_result_is_the_same_with_a_note():
    x = scene()
    got, plain = pk.Provenance(pipeline)(x), pipeline(x)
    np.testing.assert_array_equal(got.values, plain.values)
    assert (got.transform, got.crs) == (plain.transform, plain.crs)
    note = got.attrs["provenance"]
    assert note["pipeline_hash"] == pipeline.config_hash
    assert note["operators"] == [repr(step) for step in pipeline]
    assert note["input_hash"] == pk.content_hash(x)
    assert note["versions"]["numpy"] == np.__version__
    assert set(note["versions"]) == {"python", "numpy", "pipekit"}
    assert note["versions"]["pipekit"][0].isdigit()
    assert json.loads(json.dumps(note)) == note
    assert x.attrs == {"a": 1}
    assert got.attrs["a"] == 1


def test_a_data_array_has_a_note_and_an_array_has_none():
    labelled = pk.Provenance(pk.Identity())(xr.DataArray(np.zeros(3), dims="x"))
    assert labelled.attrs["provenance"]["operators"] == ["Identity()"]
    plain = np.zeros(3)
    assert pk.Provenance(pk.Identity())(plain) is plain


def test_a_closure_has_no_hash_but_a_note():
    note = pk.Provenance(pk.Lambda(abs) | pk.Identity()).describe(1)
    assert note["pipeline_hash"] is None
    assert note["operators"] == ["Lambda(fn=abs, name=None)", "Identity()"]


def test_classes_deep_inside_count_for_the_versions():
    class Foreign(pk.Operator):
        pass

    Foreign.__module__ = "hypothesis.made_up"
    nested = pk.Fanout({"a": pk.Branch(pk.Identity(), pk.Sequential([Foreign()]))})
    import hypothesis

    assert pk.Provenance(nested).describe(1)["versions"]["hypothesis"] == hypothesis.__version__
