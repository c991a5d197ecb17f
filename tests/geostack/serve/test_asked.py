"""A JSON body is read strictly, and what is wrong with it is told without repeating it."""

import json

import pytest

pytest.importorskip("pydantic", reason="needs the serve extra")

from geostack.serve.asked import PostedRun, SceneBox, parse
from geostack.serve.problem import Problem

GOOD = {"item": "S2A_X", "bbox": [1, 2, 3, 4.5]}
POSTED = GOOD | {"yaml": "class: Identity", "bands": ["b4", "SCL"]}


def test_what_is_asked_is_read():
    assert parse(json.dumps(GOOD).encode(), SceneBox).bbox == (1.0, 2.0, 3.0, 4.5)
    assert parse(json.dumps(POSTED).encode(), PostedRun).bands == ("B04", "SCL")


@pytest.mark.parametrize(
    ("told", "box"),
    [
        ([179, -17, 10, -179, -16, 900.5], (179.0, -17.0, -179.0, -16.0)),
        ([179, -17, 181, -16], (179.0, -17.0, -179.0, -16.0)),
        ([238, 38, 239, 39], (-122.0, 38.0, -121.0, 39.0)),
    ],
)
def test_a_box_means_what_it_means_to_the_loaders(told, box):
    assert parse(json.dumps(GOOD | {"bbox": told}).encode(), SceneBox).bbox == box


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"item": "../x"}, "item is an id of letters"),
        ({"item": "S2A\n"}, "item is an id of letters"),
        ({"bbox": [1, 2, 3]}, "bbox is four numbers"),
        ({"bbox": [1, 2, 3, True]}, "bbox is four numbers"),
        ({"bbox": [1, 2, 3, "4"]}, "bbox is four numbers"),
        ({"bbox": [1, 2, 3, 10**400]}, "bbox is four numbers"),
        ({"bbox": [3, 2, 1, 4]}, "bbox is four numbers"),
        ({"yaml": 7}, "yaml is a text"),
        ({"bands": "B04"}, "bands is a list"),
        ({"bands": ["B99"]}, "B99"),
        ({"zzmarkerzz": 1}, "JSON object of item, bbox, yaml, bands"),
    ],
)
def test_what_is_wrong_is_named_and_never_a_key_of_the_clients(wrong: dict, says: str):
    with pytest.raises(Problem, match=says) as told:
        parse(json.dumps(POSTED | wrong).encode(), PostedRun)
    assert told.value.status == 422
    assert "zzmarkerzz" not in told.value.detail


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 60_000, b'{"item": NaN}'])
def test_what_is_no_object_is_refused(body: bytes):
    with pytest.raises(Problem, match="JSON object of item, bbox") as told:
        parse(body, SceneBox)
    assert told.value.status == 422


def test_a_body_of_any_length_is_not_read():
    with pytest.raises(Problem) as told:
        parse(b" " * 70_000, SceneBox)
    assert told.value.status == 413
