"""Searching: order, re-processed scenes, and what is said when nothing fits."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystac import Item
from tiny_scenes import make_scene, scene_bbox

from geostack import NoSceneError, load_stac_items
from geostack.request import Request
from geostack.sources.archive import ArchiveSource
from geostack.stac import find_items, without_older_versions

BOX = scene_bbox(inset=1000)


def item(name: str, **properties) -> Item:
    return Item.from_dict(
        {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": name,
            "geometry": None,
            "properties": {"datetime": "2024-06-14T18:39:19Z", **properties},
            "links": [],
            "assets": {},
        }
    )


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    for number, (day, cloud) in enumerate([(3, 4.0), (1, 4.0), (2, 1.0), (9, 60.0)]):
        make_scene(
            tmp_path, f"scene-{number}", when=f"2024-06-0{day}T18:39:19Z", cloud=cloud, bands=()
        )
    return tmp_path


def search(date_range="2024-06", **changes):
    asked = {"source": "archive", **changes}
    return load_stac_items("sentinel-2-l2a", BOX, date_range, **asked)


def test_clearest_first_then_earliest(archive):
    assert [found.id for found in search()] == ["scene-2", "scene-1", "scene-0"]
    assert len(search(max_cloud_cover=None)) == 4
    assert [found.id for found in search(limit=1)] == ["scene-2"]


def test_hrefs_are_absolute(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    feature = make_scene(tmp_path, bands=("SCL",))
    expected = tmp_path / "sentinel-2-l2a" / feature["id"] / "SCL.tif"
    assert search()[0].assets["SCL"].href == str(expected)


def test_too_cloudy_says_how_cloudy(archive):
    with pytest.raises(NoSceneError, match=r"cloudier, the clearest scene 60 %; pass max_cloud_cover=61"):  # fmt: skip
        search(date_range="2024-06-09")


def test_another_time_names_the_nearest_dates(archive):
    with pytest.raises(NoSceneError, match=r"nearest dates that exist are 2024-06-02, 2024-06-03, 2024-06-09 \(2 days"):  # fmt: skip
        search(date_range="2024-06-12/2024-06-30")


def test_another_tile_names_the_tile(archive):
    with pytest.raises(NoSceneError, match="that place is on tile 10SGJ; pass tile='10SGJ'"):
        search(tile="10SGH")


def test_another_place(archive):
    with pytest.raises(NoSceneError, match="no scene of that place at any near date"):
        load_stac_items("sentinel-2-l2a", (0, 0, 1, 1), "2024-06", source="archive")


def test_an_unknown_collection_names_those_of_the_loaders(archive):
    with pytest.raises(NoSceneError, match=r"collection 'sentinel-2'.*sentinel-2-l2a, landsat"):
        load_stac_items("sentinel-2", (0, 0, 1, 1), "2024-06", source="archive")


def test_versions_do_not_shorten_the_answer():
    """Five versions of each of four scenes: four scenes are still found."""
    versions = [
        item(
            f"{scene}-{version}",
            **{
                "s2:mgrs_tile": "10SGJ",
                "s2:processing_baseline": f"0{version}.00",
                "datetime": f"2024-06-0{scene}T18:00:00Z",
            },
        )
        for scene in range(1, 5)
        for version in range(1, 6)
    ]

    class Archive(ArchiveSource):
        def search(self, *_, limit=None, **__):
            return versions[:limit]

    request = Request("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    for limit in (1, 2, 3, 4, None):
        found = find_items(request, limit=limit, source=Archive([]))[1]
        assert [one.id[0] for one in found] == list("1234"[:limit])
    assert [one.id for one in found] == ["1-5", "2-5", "3-5", "4-5"]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "many", float("inf")])
def test_bad_limit(archive, limit):
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1"):
        search(limit=limit)


def test_a_source_object_is_taken_as_it_is(archive):
    assert len(search(source=ArchiveSource([archive]))) == 3


def test_the_newest_baseline_wins_and_the_log_says_so(caplog):
    caplog.set_level(logging.INFO, "geostack")
    old = item("old", **{"s2:mgrs_tile": "10SGJ", "s2:processing_baseline": "02.14"})
    new = item("new", **{"s2:mgrs_tile": "10SGJ", "s2:processing_baseline": "05.00"})
    other = item("other", **{"s2:mgrs_tile": "10SGH", "s2:processing_baseline": "02.14"})
    assert {kept.id for kept in without_older_versions([old, new, other])} == {"new", "other"}
    assert {kept.id for kept in without_older_versions([new, old])} == {"new"}
    assert "old is left out: new is newer" in caplog.text


def test_generation_time_decides_between_equal_baselines():
    tile = {"s2:mgrs_tile": "10SGJ", "s2:processing_baseline": "05.10"}
    early = item("z", **tile, **{"s2:generation_time": "2024-06-14T20:00:00Z"})
    late = item("a", **tile, **{"s2:generation_time": "2024-06-15T20:00:00Z"})
    assert [kept.id for kept in without_older_versions([late, early])] == ["a"]


def test_scenes_of_other_collections_are_never_taken_for_versions():
    assert len(without_older_versions([item("a"), item("b")])) == 2


@given(st.permutations(["01.00", "02.14", "04.00", "05.10"]))
def test_order_of_arrival_does_not_matter(baselines):
    items = [
        item(f"v{value}", **{"s2:mgrs_tile": "10SGJ", "s2:processing_baseline": value})
        for value in baselines
    ]
    assert [kept.id for kept in without_older_versions(items)] == ["v05.10"]
