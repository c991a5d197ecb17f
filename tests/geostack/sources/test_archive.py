"""The archive source: a path list of STAC folders."""

import json
import os

import numpy as np
import pytest
from object_store import Fault
from spoken import feature, pages
from tiny_scenes import make_scene, scene_bbox

from geostack import SourceUnavailableError, load_s2_chip
from geostack.archiving import fetch
from geostack.request import Request
from geostack.sources.archive import ArchiveSource, archive_folders, read_folder

BOX = scene_bbox(inset=1000)


def test_the_first_folder_of_the_path_list_wins(tmp_path, monkeypatch):
    make_scene(tmp_path / "a", "same", bands=("B04",))
    make_scene(tmp_path / "b", "same", bands=("B04",))
    make_scene(tmp_path / "b", "other", bands=("B04",))
    monkeypatch.setenv(
        "GEOSTACK_ARCHIVE", os.pathsep.join(map(str, (tmp_path / "a", tmp_path / "b")))
    )
    found = {item.id: item for item in ArchiveSource().search("sentinel-2-l2a", BOX, "2024")}
    assert set(found) == {"same", "other"}
    assert str(tmp_path / "a") in found["same"].assets["B04"].href


@pytest.mark.parametrize("value", [None, "", os.pathsep])
def test_without_the_variable_it_is_the_users_own_folder(monkeypatch, value):
    monkeypatch.delenv("GEOSTACK_ARCHIVE")
    if value is not None:
        monkeypatch.setenv("GEOSTACK_ARCHIVE", value)
    assert archive_folders()[0].parts[-2:] == ("geostack", "archive")


def test_scenes_on_a_store_are_searched_and_read_beside_those_here(tmp_path, monkeypatch, on_store):
    make_scene(tmp_path / "there", "far", bands=("B04",))
    make_scene(tmp_path / "there", "odd", bands=())
    (tmp_path / "there" / "sentinel-2-l2a" / "odd" / "odd.json").write_text("no JSON")
    make_scene(tmp_path / "here", "near", bands=("B04",))
    for path in (tmp_path / "there").rglob("*.*"):
        (on_store / path.relative_to(tmp_path / "there").as_posix()).upload(path)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", os.pathsep.join([str(on_store), str(tmp_path / "here")]))
    assert archive_folders() == [tmp_path / "here"]
    source = ArchiveSource()
    found = {item.id: item for item in source.search("sentinel-2-l2a", BOX, "2024")}
    assert set(found) == {"far", "near"}
    far = found["far"].assets["B04"].href
    assert far == f"{on_store}/sentinel-2-l2a/far/B04.tif"
    assert str(on_store) in source.describe()
    assert read_folder(on_store) is read_folder(on_store)
    asked = {"bbox": BOX, "date_range": "2024", "bands": ("B04",)}
    both = load_s2_chip(**asked, source="archive").values
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path / "there"))
    np.testing.assert_array_equal(both, load_s2_chip(**asked, source="archive").values)
    make_scene(tmp_path / "later", "later", bands=("B04",))
    for path in (tmp_path / "later").rglob("*.*"):
        (on_store / path.relative_to(tmp_path / "later").as_posix()).upload(path)
    assert len(read_folder(on_store).features) == 2


def test_a_store_that_does_not_answer_is_named(on_store, store_proxy, hasty):
    store_proxy.faults.append(Fault("GET", "", times=99))
    with pytest.raises(SourceUnavailableError, match=str(on_store)):
        ArchiveSource([on_store]).search("sentinel-2-l2a", BOX, "2024")


def test_an_archive_on_a_store_is_not_fetched_into(monkeypatch):
    monkeypatch.setenv("GEOSTACK_ARCHIVE", "s3://bucket/archive")
    with pytest.raises(ValueError, match="folder="):
        fetch(Request("sentinel-2-l2a", BOX, "2024"), ("B04",))


def test_a_missing_folder_is_an_error_with_its_cure(tmp_path):
    source = ArchiveSource([tmp_path / "nothing"])
    assert not source.covers("sentinel-2-l2a", BOX, "2024")
    with pytest.raises(SourceUnavailableError, match="fix: geostack archive fetch"):
        source.search("sentinel-2-l2a", BOX, "2024")


def test_folders_are_given_as_people_write_them(tmp_path):
    make_scene(tmp_path, "one", bands=())
    for folders in (str(tmp_path), tmp_path, [str(tmp_path)], (tmp_path,)):
        found = ArchiveSource(folders).search("sentinel-2-l2a", BOX, "2024")
        assert [item.id for item in found] == ["one"]


def test_new_scenes_are_seen_and_the_index_is_read_once(tmp_path):
    make_scene(tmp_path, "one", bands=())
    index = read_folder(tmp_path)
    assert read_folder(tmp_path) is index
    make_scene(tmp_path, "two", bands=())
    assert len(read_folder(tmp_path).features) == 2


def test_bands_that_are_added_to_a_scene_are_seen(tmp_path):
    """As `geostack archive fetch` in another process does it."""
    make_scene(tmp_path, "one", bands=("B04",))
    source = ArchiveSource([tmp_path])
    assert set(source.search("sentinel-2-l2a", BOX, "2024")[0].assets) == {"B04"}
    path = tmp_path / "sentinel-2-l2a" / "one" / "one.json"
    feature = json.loads(path.read_text())
    feature["assets"]["B08"] = {"href": "./B08.tif"}
    path.write_text(json.dumps(feature))
    assert set(source.search("sentinel-2-l2a", BOX, "2024")[0].assets) == {"B04", "B08"}
    path.unlink()
    assert source.search("sentinel-2-l2a", BOX, "2024") == []


def test_a_damaged_item_is_left_out_and_listed(tmp_path, caplog):
    make_scene(tmp_path, "good", bands=())
    whole = make_scene(tmp_path / "elsewhere", "whole", bands=("B04",))
    texts = {
        "torn": '{"id": "torn", ',
        "empty": "{}",
        "list": "[]",
        "timeless": json.dumps({**whole, "properties": None}),
        "undated": json.dumps({**whole, "properties": {"datetime": "yesterday"}}),
        "typeless": json.dumps({**whole, "type": "Catalog"}),
        "homeless": json.dumps({**whole, "assets": {"B04": {}}}),
        "listed": json.dumps({**whole, "assets": ["B04.tif"]}),
    }
    for name, text in texts.items():
        folder = tmp_path / "sentinel-2-l2a" / name
        folder.mkdir()
        (folder / f"{name}.json").write_text(text)
    index = read_folder(tmp_path)
    assert len(index.features) == 1
    assert {path.stem for path in index.skipped} == set(texts)
    assert caplog.text.count("no readable STAC item") == len(texts)


def test_items_are_copies(tmp_path):
    make_scene(tmp_path, bands=("B04",))
    source = ArchiveSource([tmp_path])
    source.search("sentinel-2-l2a", BOX, "2024")[0].assets["B04"].href = "changed"
    assert source.search("sentinel-2-l2a", BOX, "2024")[0].assets["B04"].href != "changed"


def test_holding_means_clear_enough_and_with_the_assets(tmp_path):
    make_scene(tmp_path, bands=("B04",), cloud=30)
    source = ArchiveSource([tmp_path])

    def request(**changes):
        return Request("sentinel-2-l2a", BOX, "2024", **changes)

    assert source.holds(request())
    assert not source.holds(request(max_cloud_cover=5))
    assert "clearest with 30 % cloud" in source.why_not(request(max_cloud_cover=5))
    assert not source.holds(request(assets=("B04", "B12")))
    assert "none with B12" in source.why_not(request(assets=("B04", "B12")))
    assert "--dates=2024" in source.fix(request())


def test_description_counts(archive_root):
    assert "119 x sentinel-2-l2a" in ArchiveSource([archive_root]).describe()


def test_earth_search_items_and_items_over_a_month(tmp_path):
    feature = make_scene(tmp_path, bands=())
    path = tmp_path / "sentinel-2-l2a" / feature["id"] / f"{feature['id']}.json"
    properties = feature["properties"]
    properties["grid:code"] = "MGRS-" + properties.pop("s2:mgrs_tile")
    properties.update(
        datetime=None, start_datetime="2024-06-01T00:00:00Z", end_datetime="2024-06-30T00:00:00Z"
    )
    path.write_text(json.dumps(feature))
    source = ArchiveSource([tmp_path])
    assert source.covers("sentinel-2-l2a", BOX, "2024-06-20", "10SGJ")
    assert not source.covers("sentinel-2-l2a", BOX, "2024-07", "10SGJ")
    assert not source.covers("sentinel-2-l2a", BOX, "2024-06-20", "10SGH")


def test_an_item_that_is_malformed_hides_no_others(tmp_path):
    """Whatever an item's file holds, and however late it is noticed."""
    texts = {
        name: page["features"][0]
        for name, page in pages().items()
        if isinstance(page, dict) and isinstance(page["features"], list) and "links" in page
    }
    places = [{"type": "Point", "coordinates": [1e400, 0]}, {"type": "Polygon", "coordinates": [5]}]
    texts |= {f"place {n}": feature(geometry=place, bbox=None) for n, place in enumerate(places)}
    texts |= {"a good one": feature(id="good"), "deep": None}
    for name, told in texts.items():
        folder = tmp_path / "sentinel-2-l2a" / name
        folder.mkdir(parents=True)
        text = "[" * 100_000 if told is None else json.dumps(told)
        (folder / f"{name}.json").write_text(text)
    source = ArchiveSource([tmp_path])
    for _ in range(2):
        found = source.search("sentinel-2-l2a", (0, 0, 1, 1), "2024")
        assert "good" in [item.id for item in found]
    assert source.dates_near("sentinel-2-l2a", (0, 0, 1, 1), "2024")
    left_out = {path.stem for path in read_folder(tmp_path).skipped}
    assert {"deep", "a number as version", "a list as id", "no properties"} <= left_out
