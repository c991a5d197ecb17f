"""Snapshot, ShapeTrace, Spy, Profile and Histogram: what is seen, where, and nothing dropped."""

from __future__ import annotations

import pickle
import threading
import time

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.crs import CRS

import pipekit as pk
from pipekit import operator as operator_module


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
    with pytest.raises(ValueError, match="mode must be 'all' or 'diff_only'"):
        pk.ShapeTrace(mode="some")


def test_every_call_of_the_type_fires_inside_the_scope_only():
    pipeline = pk.Lambda(abs) | pk.Fanout({"a": pk.Lambda(str), "b": pk.Identity()})
    seen = []
    pipeline(-1)
    with pk.Spy.scoped() as spy:
        spy.on(pk.Lambda, lambda op, x, y: seen.append((op.fn, x, y)))
        pipeline(-2)
    pipeline(-3)
    assert seen == [(abs, -2, 2), (str, 2, "2")]
    assert operator_module._spying == 0


def test_a_base_class_catches_all_and_graph_nodes_too():
    x = pk.Input("x")
    graph = pk.Graph({"x": x}, {"y": pk.Const(5)(x)})
    seen = []
    with pk.Spy.scoped() as spy:
        spy.on(pk.Operator, lambda op, a, b: seen.append((type(op).__name__, a, b)))
        graph(x=1)
        pk.Const(2)(3, 4)
        pk.Const(2)()
    assert seen == [
        ("Const", 1, 5),
        ("Graph", 1, {"y": 5}),
        ("Const", (3, 4), 2),
        ("Const", (), 2),
    ]


def test_scopes_nest():
    inner_seen, outer_seen = [], []
    op = pk.Identity()
    with pk.Spy.scoped() as outer:
        outer.on(pk.Identity, lambda *call: outer_seen.append(call[1]))
        with pk.Spy.scoped() as inner:
            inner.on(pk.Identity, lambda *call: inner_seen.append(call[1]))
            op(1)
        op(2)
    op(3)
    assert (inner_seen, outer_seen) == ([1], [1, 2])


def test_another_thread_is_not_watched_unless_it_carries_the_context():
    seen = []
    with pk.Spy.scoped() as spy:
        spy.on(pk.Identity, lambda op, x, y: seen.append(x))
        thread = threading.Thread(target=pk.Identity(), args=("elsewhere",))
        thread.start()
        thread.join()
        assert seen == []
        pk.ThreadMap(pk.Identity(), workers=2)([1, 2, 3])
    assert sorted(seen) == [1, 2, 3]


def test_the_scope_closes_on_an_error():
    with pytest.raises(ZeroDivisionError), pk.Spy.scoped() as spy:
        spy.on(pk.Lambda, lambda *call: 1 / 0)
        pk.Lambda(abs)(1)
    assert operator_module._spying == 0
    assert pk.Lambda(abs)(-1) == 1


def test_the_fast_path_does_not_ask_for_listeners(monkeypatch):
    """The cost of an inactive Spy is one integer test: the context variable is never read."""

    class Unreadable:
        def get(self):
            raise AssertionError("listeners were asked for while no scope is open")

    monkeypatch.setattr("pipekit.operator.listeners", Unreadable())
    assert (pk.Identity() | pk.Lambda(abs))(-1) == 1
    assert pk.Const(1)() == 1


def test_wrong_arguments():
    with pk.Spy.scoped() as spy:
        with pytest.raises(TypeError, match="takes a class of operators"):
            spy.on(pk.Identity(), print)
        with pytest.raises(TypeError, match="takes a function"):
            spy.on(pk.Identity, 3)


def test_nested_wraps_and_repeated_names_stay_apart():
    profile = pk.Profile()
    inner = profile.wrap(pk.Identity())
    pipeline = profile.wrap(
        inner | profile.wrap(pk.Identity()) | profile.wrap(pk.Const(1), name="one")
    )
    for _ in range(3):
        pipeline(0)
    inner(0)
    calls = {name: row["calls"] for name, row in profile.report().items()}
    assert calls == {"Identity": 4, "Identity#2": 3, "one": 3, "Sequential": 3}


def test_times_are_seconds_and_consistent():
    profile = pk.Profile()
    op = profile.wrap(pk.Lambda(time.sleep))
    for seconds in (0.01, 0.0):
        op(seconds)
    row = profile.report()["Lambda"]
    assert set(row) == {"calls", "total", "mean", "min", "max"}
    assert 0 <= row["min"] <= row["mean"] <= row["max"] <= row["total"]
    assert row["max"] >= 0.01
    assert row["mean"] == pytest.approx(row["total"] / 2)
    assert row["total"] == pytest.approx(row["min"] + row["max"])


def test_a_call_that_fails_counts_and_an_uncalled_row_is_zero():
    profile = pk.Profile()
    broken = profile.wrap(pk.Lambda(int))
    profile.wrap(pk.Identity())
    with pytest.raises(ValueError):
        broken("many")
    report = profile.report()
    assert report["Lambda"]["calls"] == 1
    assert report["Identity"] == {"calls": 0, "total": 0.0, "mean": 0.0, "min": 0.0, "max": 0.0}


def test_no_call_is_lost_between_threads():
    profile = pk.Profile()
    pk.ThreadMap(profile.wrap(pk.Identity()), workers=8)(range(2000))
    assert profile.report()["Identity"]["calls"] == 2000


def test_a_pickled_copy_starts_empty():
    profile = pk.Profile()
    op = profile.wrap(pk.Identity())
    op(1)
    again = pickle.loads(pickle.dumps(op))
    again(1)
    again(2)
    assert again.profile.report()["Identity"]["calls"] == 2
    assert profile.report()["Identity"]["calls"] == 1


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(st.floats(-10, 10) | st.just(float("nan")), max_size=20), min_size=1, max_size=5
    )
)
def test_counts_of_parts_are_the_counts_of_the_whole(parts):
    parts = [np.array(part, dtype=float) for part in parts]
    histogram = pk.Histogram(bins=7, range=(-4, 5))
    probe = histogram.at("x")
    for part in parts:
        assert probe(part) is part
    whole = np.concatenate(parts)
    row = histogram.results["x"]
    expected = np.histogram(whole[np.isfinite(whole)], bins=7, range=(-4, 5))
    np.testing.assert_array_equal(row["counts"], expected[0])
    np.testing.assert_allclose(row["edges"], expected[1])
    assert row["counts"].sum() + row["below"] + row["above"] + row["invalid"] == whole.size


def test_the_first_call_with_values_fixes_the_edges():
    histogram = pk.Histogram(bins=2)
    probe = histogram.at("x")
    probe(np.array([np.nan, np.inf]))
    assert histogram.results == {}
    probe(np.array([0.0, 4.0]))
    probe(np.array([-1.0, 1.0, 9.0]))
    row = histogram.results["x"]
    assert row["edges"].tolist() == [0, 2, 4]
    assert row["counts"].tolist() == [2, 1]
    assert (row["below"], row["above"], row["invalid"]) == (1, 1, 2)


def test_points_are_apart_and_to_array_is_used():
    histogram = pk.Histogram(bins=[0, 1, 2], to_array=lambda record: record["values"])
    histogram.at("a")({"values": [0.5, 1.5, 1.5]})
    histogram.at("b")({"values": np.array([True, False])})
    assert histogram.results["a"]["counts"].tolist() == [1, 2]
    assert histogram.results["b"]["counts"].tolist() == [1, 1]


def test_it_pickles_with_its_counts():
    probe = pk.Histogram(bins=[0, 1]).at("x")
    probe(np.array([0.5]))
    again = pickle.loads(pickle.dumps(probe))
    again(np.array([0.5]))
    assert again.keeper.results["x"]["counts"].tolist() == [2]


def test_a_histogram_refuses_wrong_arguments():
    with pytest.raises(ValueError, match="bins must be a whole number of at least 1"):
        pk.Histogram(bins=0)
    with pytest.raises(ValueError, match="low < high"):
        pk.Histogram(range=(1, 1))
    assert pk.Histogram(bins=np.int64(4)).bins == 4


def test_edges_that_do_not_rise_and_values_that_are_no_numbers():
    for edges in ([3, 2, 1], [1], [0, 0, 1]):
        with pytest.raises(ValueError, match="edges must be at least two numbers that rise"):
            pk.Histogram(bins=edges)
    for values in (np.array(["a"]), np.array([1j])):
        with pytest.raises(TypeError, match=r"counts real numbers, got .*; give to_array="):
            pk.Histogram().at("x")(values)


def test_the_fill_value_of_a_geotensor_is_no_value():
    scene = GeoTensor(np.array([[0, 1, 3]], "uint16"), Affine(10, 0, 0, 0, -10, 0), None, 0)
    histogram = pk.Histogram(bins=2, range=(0, 4))
    histogram.at("scene")(scene), histogram.at("array")(scene.values)
    row = histogram.results["scene"]
    assert (row["counts"].tolist(), row["invalid"]) == ([1, 1], 1)
    row = histogram.results["array"]
    assert (row["counts"].tolist(), row["invalid"]) == ([2, 1], 0)


def test_a_snapshot_is_a_mapping():
    snap = pk.Snapshot()
    pipeline = snap.at("in") | pk.Lambda(abs) | snap.at("out")
    assert not snap
    pipeline(-3)
    assert "in" in snap
    assert "between" not in snap
    assert list(snap) == list(snap.keys()) == ["in", "out"]
    assert dict(snap.items()) == {"in": -3, "out": 3}
    assert (len(snap), snap.get("between"), list(snap.values())) == (2, None, [-3, 3])
    assert pipeline == snap.at("in") | pk.Lambda(abs) | snap.at("out")
    assert pk.Snapshot() != pk.Snapshot()
