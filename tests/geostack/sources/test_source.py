"""Which source answers."""

import json

import pytest
from globe import Place, item_places, places, with_heights, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_scenes import make_scene, scene_bbox

from geostack import (
    LAKE_TAHOE_BBOX,
    NoSceneError,
    SourceUnavailableError,
    load_natural_earth_admin1,
    load_s2_chip,
    load_stac_items,
)
from geostack.request import Request
from geostack.sources import SOURCE_NAMES, Source, open_source, select, source_name
from geostack.sources.archive import ArchiveSource
from geostack.sources.planetary_computer import PlanetaryComputerSource

BOX = scene_bbox(inset=1000)


def request(box=BOX, dates="2024-06", **changes):
    return Request("sentinel-2-l2a", box, dates, **changes)


@pytest.mark.parametrize("name", SOURCE_NAMES[1:])
def test_every_source_keeps_the_protocol(name):
    source = open_source(name)
    assert isinstance(source, Source)
    assert source.name == name
    assert "\n" not in source.describe()
    assert source.sign("/a/file.tif") == "/a/file.tif"


def test_a_typo_in_the_variable(monkeypatch):
    monkeypatch.setenv("GEOSTACK_SOURCE", "planetery-computer")
    with pytest.raises(ValueError, match=r"GEOSTACK_SOURCE must be one of auto, planetary-computer, archive, simulated; got 'planetery-computer'"):  # fmt: skip
        load_s2_chip()


def test_a_typo_in_the_argument():
    with pytest.raises(ValueError, match=r"source must be one of .* got 'archiv'"):
        load_s2_chip(source="archiv")


def test_an_object_that_is_no_source():
    with pytest.raises(TypeError, match="or a Source, got 3"):
        load_s2_chip(source=3)


def test_an_object_counts_by_its_name_where_there_are_no_items():
    states = load_natural_earth_admin1(source=open_source("simulated"))
    assert states.attrs["source"] == "natural-earth-cut"


def test_the_argument_beats_the_variable(monkeypatch):
    monkeypatch.setenv("GEOSTACK_SOURCE", "archive")
    assert source_name() == "archive"
    assert source_name("simulated") == "simulated"
    monkeypatch.setenv("GEOSTACK_SOURCE", "")
    assert source_name() == "auto"
    assert source_name("Planetary_Computer") == "planetary-computer"


def test_the_archive_comes_first(tmp_path, monkeypatch, server):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    make_scene(tmp_path, bands=("B04",))
    assert select(None, request(assets=("B04",))).name == "archive"
    assert server.records == []


def test_then_the_live_service(tmp_path, monkeypatch, server):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    make_scene(tmp_path, bands=("B04",), cloud=50)
    assert select(None, request(max_cloud_cover=5)).name == "planetary-computer"
    assert select(None, request(dates="2023")).name == "planetary-computer"


def test_then_the_simulation():
    chosen = select(None, request(LAKE_TAHOE_BBOX, "2024-06", tile="10SGJ"))
    assert chosen.name == "simulated"


def test_none_lists_what_was_tried_and_each_cure():
    with pytest.raises(SourceUnavailableError) as caught:
        select(None, request((0, 0, 1, 1)))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("no source has sentinel-2-l2a, box (0, 0, 1, 1), 2024-06")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "archive",
        "fix",
        "planetary-computer",
        "fix",
        "simulated",
        "fix",
    ]
    assert "geostack archive fetch --bbox=0,0,1,1 --dates=2024-06" in lines[2]


def test_a_collection_that_nobody_has(server):
    asked = Request("moon-rocks", LAKE_TAHOE_BBOX, "2024")
    assert select(None, asked).name == "planetary-computer"
    with pytest.raises(NoSceneError, match="no scene in planetary-computer fits moon-rocks"):
        load_stac_items("moon-rocks", LAKE_TAHOE_BBOX, "2024", max_cloud_cover=None)


def test_a_collection_that_is_not_simulated():
    asked = Request("moon-rocks", LAKE_TAHOE_BBOX, "2024")
    with pytest.raises(SourceUnavailableError, match="moon-rocks is not simulated"):
        select(None, asked)


def bare_item(name, told):
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "sentinel-2-l2a",
        "properties": {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 1},
        "assets": {"B04": {"href": "https://nowhere/a.tif"}},
        "links": [],
        **told,
    }


def found_by(source, box):
    return sorted(item.id for item in source.find(request(box)))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_live_service_and_archive_find_what_shares_a_cell_with_the_box(data, server, tmp_path):
    live = PlanetaryComputerSource(f"{server.url}/stac")
    held = data.draw(st.lists(places(), min_size=1, max_size=4))
    asked = data.draw(places())
    root = tmp_path / str(len(list(tmp_path.iterdir())))
    server.reset()
    for number, place in enumerate(held):
        feature = bare_item(f"item-{number}", data.draw(item_places(place)))
        file = root / "sentinel-2-l2a" / feature["id"] / f"{feature['id']}.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(feature))
        server.add_item(feature)
    expected = [f"item-{n}" for n, each in enumerate(held) if each.cells() & asked.cells()]
    box = data.draw(written(asked))
    archive = ArchiveSource([root])
    assert found_by(archive, box) == found_by(live, box) == expected
    assert archive.covers("sentinel-2-l2a", box, "2024-06") == bool(expected)
    assert archive.holds(request(box, assets=("B04",))) == bool(expected)


def test_a_box_across_180_is_asked_of_the_service_in_two_halves(server):
    live = PlanetaryComputerSource(f"{server.url}/stac")
    place = Place(178, -18, 4, 2)
    server.add_item(bare_item("fiji", {"bbox": place.rfc, "geometry": None}))
    assert [item.id for item in live.search("sentinel-2-l2a", (179, -17, -179, -16), "2024")] == [
        "fiji"
    ]
    assert len(server.requests("/search")) == 2


@given(st.integers(-124, -116), st.integers(36, 42), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=40)
def test_the_simulation_is_where_it_is_in_every_notation(west, south, width, height):
    source = open_source("simulated")
    place = Place(west, south, width, height)
    plain = found_by(source, place.rfc)
    lake = LAKE_TAHOE_BBOX
    meets = west < lake[2] and lake[0] < west + width and south < lake[3] and lake[1] < place.north
    assert bool(plain) or not meets
    for box in (place.turned(360), with_heights(place.rfc), with_heights(place.turned(360))):
        assert found_by(source, box) == plain
        assert source.covers("sentinel-2-l2a", box, "2024-06") == source.covers(
            "sentinel-2-l2a", place.rfc, "2024-06"
        )


def test_the_simulation_covers_lake_tahoe_counted_from_0_to_360():
    west, south, east, north = LAKE_TAHOE_BBOX
    box = (west + 360, south, 1890, east + 360, north, 3000)
    assert open_source("simulated").covers("sentinel-2-l2a", box, "2024-06")
