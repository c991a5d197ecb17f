"""The simulated source: answers only for its areas, says so, and needs no writable home."""

import pytest

from geostack import CALDOR_BBOX, LAKE_TAHOE_BBOX, NoSceneError, load_stac_items
from geostack.request import Request
from geostack.sources import simulated
from geostack.sources.simulated import SimulatedSource

S2 = "sentinel-2-l2a"


def test_covering_is_known_without_building(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("covers must not build")

    monkeypatch.setattr(simulated, "build", never)
    source = SimulatedSource()
    assert source.covers(S2, LAKE_TAHOE_BBOX, "2024-06", "10SGJ")
    assert source.covers(S2, LAKE_TAHOE_BBOX, "2024-06")
    assert not source.covers(S2, LAKE_TAHOE_BBOX, "2019")
    assert not source.covers(S2, LAKE_TAHOE_BBOX, "2024-06", "32TPS")
    assert not source.covers(S2, (0, 0, 1, 1), "2024-06")
    assert not source.covers("moon-rocks", LAKE_TAHOE_BBOX, "2024-06")
    west, south, east, north = LAKE_TAHOE_BBOX
    assert not source.covers(S2, (west - 0.5, south, east, north), "2024-06-20")
    assert source.covers(S2, CALDOR_BBOX, "2021-08")


def test_items_say_that_they_are_simulated(simulated_tahoe):
    for item in SimulatedSource().search(S2, LAKE_TAHOE_BBOX, "2024-06-14"):
        assert item.properties["geostack:simulated"] is True
        assert item.id.endswith("_SIM")


def test_no_scene_names_dates_that_exist(simulated_tahoe):
    with pytest.raises(NoSceneError, match=r"nearest dates that exist are 2024-06-0\d"):
        load_stac_items(S2, LAKE_TAHOE_BBOX, "2024-05-01/2024-05-31", source="simulated")


def test_reasons():
    source = SimulatedSource()
    elsewhere = Request.of(S2, (0, 0, 1, 1), "2024")
    assert "covers other places only: lake-tahoe (-120.1" in source.why_not(elsewhere)
    another_time = Request.of(S2, LAKE_TAHOE_BBOX, "2019")
    assert "not at that time or tile (lake-tahoe: tile 10SGJ" in source.why_not(another_time)
    assert source.why_not(Request.of("moon", (0, 0, 1, 1), "2024")) == "moon is not simulated"


def test_a_built_area_is_used_from_a_cache_that_cannot_be_written(simulated_tahoe, monkeypatch):
    monkeypatch.setattr(simulated, "is_writable", lambda folder: False)
    assert simulated.build("lake-tahoe") == simulated_tahoe


def test_an_unwritable_cache_falls_back_to_the_temporary_folder(tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("GEOSTACK_CACHE", str(blocked))
    monkeypatch.setattr("geostack.cache.fallback_folder", lambda: tmp_path / "fallback")
    asked = []

    def ensure(area, folder, *, progress):
        asked.append(folder)
        folder.mkdir(parents=True)
        return folder

    monkeypatch.setattr("geostack.sources.simulation.ensure", ensure)
    assert simulated.build("lake-tahoe") == tmp_path / "fallback" / "simulated"
    assert asked == [blocked / "simulated", tmp_path / "fallback" / "simulated"]


def test_a_failing_build_in_a_good_cache_is_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path))

    def ensure(area, folder, *, progress):
        raise OSError("no space left on device")

    monkeypatch.setattr("geostack.sources.simulation.ensure", ensure)
    with pytest.raises(OSError, match="no space left"):
        simulated.build("lake-tahoe")
