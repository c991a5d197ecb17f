"""Histogram: counts over calls, and nothing dropped in silence."""

import pickle

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

import pipekit as pk


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
    histogram.clear()
    assert histogram.results == {}


def test_it_pickles_with_its_counts():
    probe = pk.Histogram(bins=[0, 1]).at("x")
    probe(np.array([0.5]))
    again = pickle.loads(pickle.dumps(probe))
    again(np.array([0.5]))
    assert again.histogram.results["x"]["counts"].tolist() == [2]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="bins must be at least 1"):
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
