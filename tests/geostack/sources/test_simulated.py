"""The simulated source: answers only for its areas, says so, and needs no writable home."""

import time
from pathlib import Path

import pytest
import rasterio

from geostack import CALDOR_BBOX, LAKE_TAHOE_BBOX, NoSceneError, load_stac_items
from geostack.request import Request
from geostack.sources import simulated
from geostack.sources.simulated import SimulatedSource

S2 = "sentinel-2-l2a"


EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache folder that isn't there yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GEOSTACK_CACHE", str(folder))
    monkeypatch.setenv("GEOSTACK_SOURCE", "simulated")
    return folder


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_question_builds_nothing(empty_cache):
    source = SimulatedSource()
    source.search(S2, EVERYWHERE, "../..")  # imports
    began = time.process_time()
    found = {c: source.search(c, EVERYWHERE, "../..") for c in (S2, "naip", "landsat-c2-l2")}
    assert [len(items) for items in found.values()] == [30, 1, 4]
    assert len(source.dates_near(S2, EVERYWHERE, "2024")) == 28
    assert source.covers(S2, LAKE_TAHOE_BBOX, "2024-06")
    assert "lake-tahoe" in source.describe()
    assert load_stac_items(S2, LAKE_TAHOE_BBOX, "2024-06/2024-07", max_cloud_cover=None)
    assert time.process_time() - began < 5  # it computes for 0.1 s; an area takes 20 s
    assert files(empty_cache) == []
    assert not empty_cache.exists()


def test_the_command_builds_nothing(empty_cache, capsys):
    from geostack.cli import main

    with pytest.raises(SystemExit):
        main(["sources"])
    assert "simulated" in capsys.readouterr().out
    assert files(empty_cache) == []


def test_signing_draws_the_file_and_nothing_else(empty_cache):
    source = SimulatedSource()
    (item, *_) = source.search("cop-dem-glo-30", LAKE_TAHOE_BBOX, "../..")
    href = item.assets["data"].href
    afar = f"http://127.0.0.1:9{href}"
    assert source.sign(afar) == afar
    assert files(empty_cache) == []
    assert not Path(href).exists()
    assert source.sign(href) == href
    assert [path.suffix for path in files(empty_cache)] == [".lock", ".json", ".tif"]
    with rasterio.open(href) as file:
        assert file.shape == (3600, 3600)
    assert source.sign("/data/simulated/a.tif") == "/data/simulated/a.tif"
    assert source.sign("https://host/a.tif") == "https://host/a.tif"


def test_a_catalog_of_simulated_items_opens_them_by_itself(empty_cache):
    from geocatalog import GeoSlice, build_raster_catalog, from_stac_items, load_raster

    items = SimulatedSource().search("cop-dem-glo-30", (-119.96, 39.1, -119.94, 39.12), "../..")
    catalog = from_stac_items(items, asset_key="data")
    assert files(empty_cache) == []
    slice_ = GeoSlice((-119.95, 39.10, -119.94, 39.11), None, 1 / 3600, "EPSG:4326")
    assert float(load_raster(catalog, slice_).values.min()) > 1800
    (item,) = SimulatedSource().search("cop-dem-glo-30", (-120.2, 39.1, -120.1, 39.2), "../..")
    assert len(build_raster_catalog([item.assets["data"].href])) == 1


def test_items_for_other_libraries_come_with_their_files(empty_cache):
    box = (-120.2, 39.1, -120.1, 39.2)
    items = load_stac_items("cop-dem-glo-30", box, "../..", max_cloud_cover=None, sign=True)
    assert all(Path(asset.href).is_file() for item in items for asset in item.assets.values())


def test_covering_is_known_without_building():
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
    elsewhere = Request(S2, (0, 0, 1, 1), "2024")
    assert "covers other places only: lake-tahoe (-120.1" in source.why_not(elsewhere)
    another_time = Request(S2, LAKE_TAHOE_BBOX, "2019")
    assert "not at that time or tile (lake-tahoe: tile 10SGJ" in source.why_not(another_time)
    assert source.why_not(Request("moon", (0, 0, 1, 1), "2024")) == "moon is not simulated"


def test_what_was_drawn_is_used_from_a_cache_that_cannot_be_written(simulated_tahoe, monkeypatch):
    monkeypatch.setattr(simulated, "is_writable", lambda folder: False)
    href = SimulatedSource().search(S2, LAKE_TAHOE_BBOX, "2024-06")[0].assets["B04"].href
    assert Path(href).is_relative_to(simulated_tahoe)
    assert SimulatedSource().sign(href) == href


def test_an_unwritable_cache_falls_back_to_the_temporary_folder(tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("GEOSTACK_CACHE", str(blocked))
    monkeypatch.setattr("geostack.cache.fallback_folder", lambda: tmp_path / "fallback")
    (item, *_) = SimulatedSource().search("cop-dem-glo-30", LAKE_TAHOE_BBOX, "../..")
    href = item.assets["data"].href
    assert Path(href).is_relative_to(blocked)
    drawn = SimulatedSource().sign(href)
    assert Path(drawn).is_relative_to(tmp_path / "fallback" / "simulated")
    assert Path(drawn).is_file()
    assert SimulatedSource().sign(href) == drawn


def test_a_failing_draw_in_a_good_cache_is_not_hidden(empty_cache, monkeypatch):
    def fail(*args, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr("geostack.sources.simulation.draw.pixels", fail)
    (item, *_) = SimulatedSource().search("cop-dem-glo-30", LAKE_TAHOE_BBOX, "../..")
    with pytest.raises(OSError, match="no space left"):
        SimulatedSource().sign(item.assets["data"].href)


def test_a_scene_whose_folder_is_another_users_is_drawn_elsewhere(
    empty_cache, tmp_path, monkeypatch
):
    monkeypatch.setattr("geostack.cache.fallback_folder", lambda: tmp_path / "own")
    from geostack.sources.simulation import files as drawing

    ensure = drawing.ensure

    def denied(path, cache):
        if cache.is_relative_to(empty_cache):
            raise PermissionError(13, "Permission denied", str(cache))
        return ensure(path, cache)

    monkeypatch.setattr(drawing, "ensure", denied)
    (item, *_) = SimulatedSource().search("cop-dem-glo-30", LAKE_TAHOE_BBOX, "../..")
    drawn = SimulatedSource().sign(item.assets["data"].href)
    assert Path(drawn).is_relative_to(tmp_path / "own" / "simulated")
    monkeypatch.setattr("geostack.cache.fallback_folder", lambda: empty_cache)
    with pytest.raises(PermissionError):
        SimulatedSource().sign(item.assets["data"].href)


def test_a_cache_emptied_while_a_file_is_drawn_is_filled_again(empty_cache, monkeypatch):
    import shutil

    from geostack.sources.simulation import files as drawing

    write, runs = drawing.write_cog, []

    def emptied(path, *args, **options):
        runs.append(path)
        write(path, *args, **options)
        if len(runs) == 1:
            shutil.rmtree(empty_cache)

    monkeypatch.setattr(drawing, "write_cog", emptied)
    (item, *_) = SimulatedSource().search("cop-dem-glo-30", LAKE_TAHOE_BBOX, "../..")
    drawn = SimulatedSource().sign(item.assets["data"].href)
    assert Path(drawn).is_file()
    assert len(runs) == 2
