"""From a search to a catalog, against a real service on loopback that fails in every way."""

import datetime as dt
import subprocess
import sys

import numpy as np
import pandas as pd
import pystac_client
import pytest
from loopback import Fault, Loopback
from spoken import feature, pages, spoken, stac
from tiny_scenes import make_scene, scene_bbox

from geocatalog import CatalogError, SearchError, from_stac_items, from_stac_search, search
from geocatalog.read import service as transport
from geocatalog.read.service import service_item
from pipekit import retry

FAST = retry.RetryPolicy(tries=4, base_delay=0.01, max_delay=0.05, total=300.0)


@pytest.fixture(scope="module")
def _service():
    with Loopback() as running:
        yield running


@pytest.fixture
def service(_service, tmp_path, monkeypatch):
    """Seven scenes of two bands on a service; three are cloudy."""
    _service.reset()
    monkeypatch.setattr(retry, "DEFAULT", FAST)
    for number in range(7):
        feature = make_scene(
            tmp_path,
            f"scene-{number}",
            when=f"2024-06-{number + 1:02d}T18:39:19Z",
            bands=("B04", "SCL"),
            cloud=10.0 * number,
        )
        _service.add_item(feature, tmp_path / "sentinel-2-l2a" / feature["id"])
    return _service


@pytest.fixture
def client(service):
    return pystac_client.Client.open(f"{service.url}/stac")


ASKED = {"collections": ["sentinel-2-l2a"], "bbox": scene_bbox(), "datetime": "2024-06"}


def test_one_call_from_a_search_to_a_catalog(client, service):
    catalog = from_stac_search(client, **ASKED, query={"eo:cloud_cover": {"lte": 35}})
    table = catalog.gdf
    assert table.stac_item_id.tolist() == [f"scene-{n}" for n in range(4)]
    assert table["eo:cloud_cover"].tolist() == [0.0, 10.0, 20.0, 30.0]
    assert set(table.asset_key) == {"*"}
    assert [list(row.assets) for row in catalog] == [["B04", "SCL"]] * 4
    assert catalog.crs.to_epsg() == 32610
    assert "proj:transform" not in catalog.columns
    assert service.requests("^/files/") == []


def test_one_asset_several_or_a_row_of_each(client):
    one = from_stac_search(client, **ASKED, asset_key="B04", extra_properties=("platform", "nope"))
    assert set(one.gdf.asset_key) == {"B04"}
    assert {"platform", "nope"} <= set(one.columns)
    assert all(row.filepath.endswith("B04.tif") and not row.assets for row in one)
    both = from_stac_search(client, **ASKED, asset_key=["SCL", "B04"])
    assert [list(row.assets) for row in both] == [["SCL", "B04"]] * 7
    each = from_stac_search(client, **ASKED, per="asset")
    assert each.gdf.asset_key.tolist() == ["B04", "SCL"] * 7
    sizes = {row.extras["asset_key"]: row.slice().shape for row in each}
    assert sizes == {"B04": (512, 512), "SCL": (256, 256)}


def test_nothing_found_is_an_empty_catalog(client):
    nothing = from_stac_search(client, **{**ASKED, "datetime": "2019"})
    assert len(nothing) == len(from_stac_items([])) == 0
    assert nothing.crs.to_epsg() == 4326
    assert len(nothing.query(bounds=(0, 0, 1, 1))) == 0


def test_pages_are_taken_until_the_limit(client, service):
    service.records.clear()
    found = from_stac_search(client, **ASKED, page_size=2, max_items=3)
    assert len(found) == 3
    assert len(service.requests("/search")) == 2
    service.records.clear()
    items = search.search_items(client, limit=2, **ASKED)
    next(items)
    assert len(service.requests("/search")) == 1, "the next page is asked for when it is needed"
    assert len(list(items)) == 6
    assert len(from_stac_search(client, **ASKED, page_size=3)) == 7


def test_an_address_or_a_search_will_do(client, service):
    by_address = from_stac_search(f"{service.url}/stac", **ASKED)
    by_search = from_stac_search(client.search(**ASKED))
    assert len(by_address) == len(by_search) == 7


def test_zones_share_no_crs_so_degrees_do_and_rows_keep_their_own_grids(client, service):
    service.items[0]["properties"]["proj:epsg"] = 32611
    catalog = from_stac_search(client, **ASKED, asset_key="B04")
    assert catalog.crs.to_epsg() == 4326
    zones = [row.slice().crs.to_epsg() for row in catalog]
    assert zones == [32611, *[32610] * 6]
    assert {row.slice().resolution for row in catalog} == {(10.0, 10.0)}


def test_a_box_across_180_is_asked_by_halves_and_items_come_once(client, service):
    service.records.clear()
    found = from_stac_search(client, bbox=(170, -80, -100, 80), collections="sentinel-2-l2a")
    assert len(found) == 7
    assert len(service.requests("/search")) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_asked_again(client, service, status):
    service.faults = [Fault("/search", status=status, times=2)]
    assert len(from_stac_search(client, **ASKED)) == 7


def test_what_cannot_succeed_is_an_error_at_once(client, service):
    service.faults = [Fault("/search", status=400, times=9)]
    service.records.clear()
    with pytest.raises(SearchError, match="did not answer"):
        from_stac_search(client, **ASKED)
    assert len(service.requests("/search")) == 1


def test_a_service_in_drips_is_given_up_by_its_total_time(client, service, monkeypatch):
    monkeypatch.setattr(transport, "WHOLE", 0.1)
    service.faults = [Fault("/search", kind="drip", times=99)]
    with pytest.raises(SearchError, match=r"4 tries .* no whole answer within 0\.1 s"):
        from_stac_search(client, **ASKED)


def test_pages_that_repeat_are_an_error_and_no_endless_loop(client, service):
    service.repeat_pages = True
    with pytest.raises(SearchError, match="same page of results twice"):
        from_stac_search(client, **ASKED, page_size=2)


def test_a_service_that_is_not_there_is_named_without_its_password():
    with pytest.raises(SearchError, match=r"http://me:\*\*\*@127\.0\.0\.1:9/stac did not"):
        from_stac_search("http://me:SECRET@127.0.0.1:9/stac", policy=FAST)


def test_bad_questions_are_refused(client):
    for wrong in ({"page_size": 0}, {"max_items": 0}, {"per": "band"}, {"footprint": "x"},
                  {"bbox": (0, 0)}, {"asset_key": []}):  # fmt: skip
        with pytest.raises(CatalogError):
            from_stac_search(client, **{**ASKED, **wrong})


FIRST_ITEMS = """
import threading, time
from importlib.metadata import EntryPoint

from pystac.extensions.hooks import ExtensionHooks

load, kinds = EntryPoint.load, ExtensionHooks._get_stac_object_types
EntryPoint.load = lambda self: (time.sleep(0.005), load(self))[1]
ExtensionHooks._get_stac_object_types = lambda self: (time.sleep(0.005), kinds(self))[1]
from geocatalog.read.service import ready_pystac
from pystac import Item

item = {"type": "Feature", "stac_version": "1.0.0", "id": "x", "geometry": None, "links": [],
        "assets": {}, "properties": {"datetime": "2024-01-01T00:00:00Z"}}
together, failed = threading.Barrier(8), []

def read(number):
    together.wait()
    time.sleep(0.02 * number)
    ready_pystac()
    try:
        Item.from_dict(item)
    except Exception as error:
        failed.append(error)

threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
"""


def test_the_first_searches_of_a_process_may_be_made_at_once():
    """Finding its extensions, pystac changes a dictionary that other threads go through."""
    code = [sys.executable, "-W", "ignore", "-c", FIRST_ITEMS]
    done = subprocess.run(code, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("wrong", sorted({*pages()} - {"a cloud cover in words"}))
def test_what_is_no_page_of_items_is_a_search_error(wrong, monkeypatch):
    monkeypatch.setattr(retry, "DEFAULT", FAST)
    with (
        spoken(lambda path, headers: stac(pages()[wrong], url, path)) as url,
        pytest.raises((SearchError, CatalogError), match=r"answered what is no STAC|item a"),
    ):
        from_stac_search(url)


def test_a_service_on_this_machine_may_name_its_files_and_no_other_may(tmp_path):
    file = tmp_path / "b04.tif"
    file.touch()
    for href in (str(file), file.as_uri()):
        found = {"features": [feature(assets={"B04": {"href": href, "roles": ["data"]}})]}
        with spoken(lambda path, headers, page=found: stac(page, url, path)) as url:
            assert from_stac_search(url).gdf.filepath.tolist() == [str(file)]
        (item,) = found["features"]
        if href.startswith("file:"):
            with pytest.raises(ValueError, match="is a file of this machine"):
                service_item(item, "https://host/stac", files=True)
        else:
            asset = service_item(item, "https://host/stac", files=True).assets["B04"]
            assert asset.href == f"https://host{file}"


FIRST_THREE = [
    ("2024-06-01", "2024-06-03"),
    (np.datetime64("2024-06-01"), np.datetime64("2024-06-03")),
    np.array(["2024-06-01", "2024-06-03"], "M8[D]"),
    [dt.date(2024, 6, 1), dt.date(2024, 6, 3)],
    (None, dt.date(2024, 6, 3)),
    (np.datetime64("NaT"), pd.Timestamp("2024-06-03T23:00")),
    slice("2024-06-01", "2024-06-03"),
    pd.Interval(pd.Timestamp("2024-06-01"), pd.Timestamp("2024-06-03T23:00"), closed="both"),
    pd.DatetimeIndex(["2024-06-01", "2024-06-03T23:00"]),
    (pd.Timestamp("2024-06-01"), pd.Timestamp("2024-06-04T00:00", tz="Europe/Rome")),
]


@pytest.mark.parametrize("time", FIRST_THREE, ids=str)
def test_a_search_takes_the_times_that_a_query_takes(client, time):
    whole = from_stac_search(client, collections="sentinel-2-l2a")
    found = from_stac_search(client, collections="sentinel-2-l2a", datetime=time)
    assert found.gdf.item_id.tolist() == whole.query(time=time).gdf.item_id.tolist()
    assert len(found) == 3


@pytest.mark.parametrize(
    "day", [dt.date(2024, 6, 2), np.datetime64("2024-06-02"), pd.Period("2024-06-02")]
)
def test_a_date_is_all_of_its_day(client, day):
    assert len(from_stac_search(client, collections="sentinel-2-l2a", datetime=day)) == 1


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, dict.fromkeys])
def test_names_may_come_as_anything_that_lists_them(client, kind):
    """A generator's names were those of the first item only."""
    some = {"asset_key": kind(["SCL", "B04"]), "extra_properties": kind(["eo:cloud_cover"])}
    catalog = from_stac_search(client, **ASKED, **some)
    assert [list(row.assets) for row in catalog] == [["SCL", "B04"]] * 7
    assert set(catalog.gdf.asset_key) == {"SCL,B04"}
    assert catalog.gdf["eo:cloud_cover"].tolist() == [10.0 * number for number in range(7)]


def test_one_property_is_no_list_of_letters(client):
    columns = from_stac_search(client, **ASKED, extra_properties="eo:cloud_cover").columns
    assert "eo:cloud_cover" in columns
    assert not set("eo:cloud_cover") & set(columns)
    assert set(columns) > set(from_stac_search(client, **ASKED, extra_properties=None).columns)


def test_numbers_of_numpy_are_numbers(client):
    query = {"eo:cloud_cover": {"lte": np.int64(35)}}
    count = {"max_items": np.int64(2), "page_size": np.int32(1)}
    catalog = from_stac_search(client, **ASKED, query=query, **count)
    assert catalog.gdf.item_id.tolist() == ["scene-0", "scene-1"]


def test_what_cannot_be_asked_is_named(client):
    for time in ("yesterday", 2024, ("a", "b"), pd.date_range("2024", periods=3)):
        with pytest.raises(CatalogError, match=r"time|question"):
            from_stac_search(client, collections="sentinel-2-l2a", datetime=time)
    for number in (0, 2.5, "3"):
        with pytest.raises(
            CatalogError, match="max_items must be a whole number of at least 1 or None"
        ):
            from_stac_search(client, **ASKED, max_items=number)
    for nobody in (None, 5, {"type": "Catalog"}, client.search(**ASKED).item_collection()):
        with pytest.raises(CatalogError, match=r"client must be .*from_stac_items takes items"):
            from_stac_search(nobody)
    for key in (5, 2.5):
        with pytest.raises(CatalogError, match=f"asset_key must be a name or several, got {key}"):
            from_stac_search(client, **ASKED, asset_key=key)
