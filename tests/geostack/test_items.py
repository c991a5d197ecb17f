"""Where a STAC item says that it lies."""

import datetime

import pytest
from globe import item_places, places
from hypothesis import given
from hypothesis import strategies as st
from pystac import Item

from geostack.items import acquired, covering_items, footprint_share, item_boxes
from geostack.request import as_bbox, intersects

DAY = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


@given(st.data())
def test_an_item_lies_where_its_cells_do(data):
    place, asked = data.draw(places()), data.draw(places())
    told = data.draw(item_places(place))
    met = any(intersects(box, as_bbox(asked.rfc)) for box in item_boxes(told))
    assert met == bool(place.cells() & asked.cells())


@given(st.data())
def test_the_share_of_a_box_is_that_of_its_cells(data):
    place, asked = data.draw(places()), data.draw(places())
    told = data.draw(item_places(place))
    item = Item("a", told["geometry"], told.get("bbox"), DAY, {})
    shared = len(place.cells() & asked.cells()) / len(asked.cells())
    assert footprint_share(item, as_bbox(asked.rfc)) == pytest.approx(shared)


def test_an_item_that_says_nothing_is_anywhere():
    assert item_boxes({"geometry": None}) == []
    assert item_boxes({"bbox": "all of it"}) == []
    assert footprint_share(Item("a", None, None, DAY, {}), (0, 0, 1, 1)) == 1.0


def test_a_crossed_outline_is_mended():
    bowtie = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    item = Item("a", bowtie, [0, 0, 2, 2], DAY, {})
    assert footprint_share(item, (0, 0, 2, 2)) == pytest.approx(0.5)


def test_a_cap_around_the_pole_lies_at_every_longitude():
    ring = [[lon, 80] for lon in range(-180, 181, 10)] + [[180, 90], [-180, 90], [-180, 80]]
    cap = {"bbox": [-180, 80, 180, 90], "geometry": {"type": "Polygon", "coordinates": [ring]}}
    for asked in ((-180, 85, -170, 86), (175, 85, -175, 90), (0, 88, 10, 90)):
        assert any(intersects(box, asked) for box in item_boxes(cap))
        item = Item("a", cap["geometry"], cap["bbox"], DAY, {})
        assert footprint_share(item, asked) == pytest.approx(1)


@pytest.mark.parametrize("start", [-180, -170, 0, 35])
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("pole", [90, -90])
@pytest.mark.parametrize("told", [True, False])
def test_a_ring_around_the_globe_holds_its_pole(start, turn, pole, told):
    south, north = sorted((pole, pole * 8 // 9))
    ring = [((start + turn * n + 180) % 360 - 180, pole * 8 // 9) for n in range(0, 361, 45)]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    cap = {"geometry": geometry} | ({"bbox": [-180, south, 180, north]} if told else {})
    item = Item("a", geometry, cap.get("bbox"), DAY, {})
    for west, east in ((-180, -170), (175, -175), (0, 10), (-100, 100)):
        asked = (west, south + 1, east, north - 1)
        assert any(intersects(box, asked) for box in item_boxes(cap))
        assert footprint_share(item, asked) == pytest.approx(1)
        assert footprint_share(item, (west, -5, east, 5)) == 0
    assert not any(intersects(box, (0, -5, 10, 5)) for box in item_boxes(cap))


def test_a_ring_drawn_across_180_with_a_box_around_the_globe_is_found():
    ring = [[179, -17], [-179, -17], [-179, -16], [179, -16], [179, -17]]
    told = {"bbox": [-179, -17, 179, -16], "geometry": {"type": "Polygon", "coordinates": [ring]}}
    assert any(intersects(box, (178, -17, 179.5, -16)) for box in item_boxes(told))


def test_the_scene_that_holds_both_sides_of_180_comes_first():
    west = Item("west", None, [178, -18, 180, -16], DAY, {})
    across = Item("across", None, [178, -18, 0, -179, -16, 900], DAY, {})
    assert covering_items([west, across], (179.5, -17, -179.5, -16.5)) == [across]


@pytest.mark.parametrize("text", ["2024-06-01T00:00:00Z", "2024-06-01t00:00:00z", "2024-06-01"])
def test_a_time_may_be_written_in_small_letters(text):
    """RFC 3339, section 5.6."""
    assert acquired({"datetime": text}) == DAY
