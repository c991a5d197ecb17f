"""Which source answers."""

import pytest
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
    assert states.attrs["source"] == "simulated"


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
