"""Snapshot and ShapeTrace."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS

import pipekit as pk


def test_snapshot_keeps_the_latest_object_under_each_key():
    snap = pk.Snapshot()
    pipeline = snap.at("in") | pk.Lambda(lambda x: x + 1) | snap.at("out")
    assert [pipeline(1), pipeline(10)] == [2, 11]
    assert snap.captures == {"in": 10, "out": 11}
    assert snap["out"] == 11
    assert list(snap.keys()) == ["in", "out"]
    with pytest.raises(KeyError, match=r"nothing captured at 'mid'; captured: \['in', 'out'\]"):
        snap["mid"]
    snap.clear()
    assert list(snap.keys()) == []


def test_a_capture_stays_in_its_process():
    with pytest.raises(pk.NotSerializableError, match=r"a pipekit\.observe\.Snapshot"):
        pk.to_config(pk.Snapshot().at("x"))


def test_shape_trace_lines():
    lines = []
    trace = pk.ShapeTrace(label="now", sink=lines.append)
    tensor = GeoTensor(np.zeros((2, 4, 5), "uint16"), Affine.identity(), CRS.from_epsg(32610))
    for x in (tensor, np.float32([1, 2]), 3, [1], {"a": 1}, "b", None):
        assert trace(x) is x
    assert lines == [
        "now: GeoTensor (2, 4, 5) uint16 EPSG:32610",
        "now: ndarray (2,) float32",
        "now: int 3",
        "now: list of 1",
        "now: dict of 1: a",
        "now: str 'b'",
        "now: NoneType",
    ]


def test_diff_only_logs_changes_only():
    lines = []
    trace = pk.ShapeTrace(mode="diff_only", sink=lines.append)
    for shape in ((2,), (2,), (3,), (2,)):
        trace(np.zeros(shape))
    assert lines == ["ndarray (2,) float64", "ndarray (3,) float64", "ndarray (2,) float64"]


def test_shape_trace_serialises_unless_it_writes_elsewhere():
    assert pk.to_config(pk.ShapeTrace())["config"] == {"mode": "all", "label": None}
    with pytest.raises(pk.NotSerializableError, match="sink holds the function"):
        pk.to_config(pk.ShapeTrace(sink=[].append))
    with pytest.raises(ValueError, match="mode must be one of"):
        pk.ShapeTrace(mode="some")
