"""The live source against a loopback service that serves what the real one was recorded to."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from loopback import Fault, Loopback
from spoken import answer, feature, pages, spoken, stac
from tiny_scenes import make_scene, scene_bbox

from geostack import NoSceneError, SourceUnavailableError, load_s2_chip, load_stac_items
from geostack.sources.planetary_computer import PlanetaryComputerSource, mpc_catalog, probe
from geostack.transfer import copy_file
from pipekit.retry import RetryPolicy

ARCTIC = (92.7, 80.95, 97.0, 81.9)
CHIP = {"bbox": scene_bbox(inset=1000), "source": "planetary-computer"}


@pytest.fixture
def recorded(server: Loopback, shared_data: Path) -> Loopback:
    for name in ("sentinel-2-l2a-pc", "landsat-c2-l2-pc"):
        for item in json.loads((shared_data / "stac" / f"{name}.json").read_text()):
            server.add_item(item)
    return server


@pytest.fixture
def scene(server: Loopback, tmp_path: Path) -> Loopback:
    made = make_scene(tmp_path)
    folder = tmp_path / "sentinel-2-l2a" / made["id"]
    server.add_item(made, folder)
    return server


def search(server: Loopback, **changes):
    asked = {
        "collection": "sentinel-2-l2a",
        "bbox": ARCTIC,
        "date_range": "2024-04-19",
        "max_cloud_cover": 100,
        "source": "planetary-computer",
        **changes,
    }
    return load_stac_items(
        asked.pop("collection"), asked.pop("bbox"), asked.pop("date_range"), **asked
    )


def test_recorded_items_come_sorted_by_cloud_then_time_then_id(recorded):
    items = search(recorded)
    covers = [item.properties["eo:cloud_cover"] for item in items]
    assert covers == sorted(covers)
    assert len(items) >= 2
    assert all(item.properties["s2:processing_baseline"] == "05.10" for item in items)


def test_hrefs_come_unsigned_unless_asked(recorded):
    assert not any("?" in asset.href for item in search(recorded) for asset in item.assets.values()
                   if asset.href.endswith("tif"))  # fmt: skip
    assert recorded.requests("/sas/") == []


def test_filters_are_checked_again_when_the_service_ignores_them(recorded):
    recorded.ignore_filters = True
    tile = search(recorded)[0].properties["s2:mgrs_tile"]
    items = search(recorded, tile=tile, max_cloud_cover=99.5)
    assert {item.properties["s2:mgrs_tile"] for item in items} == {tile}
    assert {item.properties["datetime"][:10] for item in items} == {"2024-04-19"}
    assert max(item.properties["eo:cloud_cover"] for item in items) <= 99.5


def test_pages_until_the_limit(server, tmp_path):
    first = make_scene(tmp_path, bands=())
    for number in range(250):
        again = {**first, "id": f"scene-{number:03d}"}
        again["properties"] = {
            **first["properties"],
            "eo:cloud_cover": number % 90,
            "datetime": f"2024-06-14T18:{number // 60:02d}:{number % 60:02d}Z",
        }
        server.add_item(again)
    everything = search(server, bbox=scene_bbox(), date_range="2024-06", limit=None)
    assert len(everything) == 250
    assert len(server.requests("/search")) == 3
    server.records.clear()
    few = search(server, bbox=scene_bbox(), date_range="2024-06", limit=10)
    assert [item.id for item in few] == [item.id for item in everything[:10]]
    assert len(server.requests("/search")) == 1


def test_a_service_that_cannot_sort_is_read_to_the_end(server, tmp_path):
    first = make_scene(tmp_path, bands=())
    for number in range(100):
        again = {**first, "id": f"scene-{number:03d}"}
        again["properties"] = {
            **first["properties"],
            "eo:cloud_cover": float(number * 37 % 100),
            "datetime": f"2024-06-14T18:{number // 60:02d}:{number % 60:02d}Z",
        }
        server.add_item(again)
    server.ignores_sorting = True
    found = search(server, bbox=scene_bbox(), date_range="2024-06", limit=3)
    assert [item.properties["eo:cloud_cover"] for item in found] == [0.0, 1.0, 2.0]


def test_a_page_that_repeats_is_an_error_and_not_an_endless_loop(server, tmp_path):
    first = make_scene(tmp_path, bands=())
    for number in range(150):
        server.add_item({**first, "id": f"scene-{number:03d}"})
    server.repeat_pages = True
    with pytest.raises(SourceUnavailableError, match="same page of results twice after 100 items"):
        search(server, bbox=scene_bbox(), date_range="2024-06", limit=None)
    assert len(server.requests("/search")) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_service_that_fails_for_a_while_is_asked_again(scene, status):
    scene.faults = [Fault("/search", status=status, times=2)]
    assert len(search(scene, bbox=scene_bbox(), date_range="2024-06")) == 1
    assert len(scene.requests("/search")) == 3


def test_retry_after_is_honoured(scene):
    import time

    scene.faults = [Fault("/search", status=429, headers={"Retry-After": "1"})]
    start = time.monotonic()
    search(scene, bbox=scene_bbox(), date_range="2024-06")
    assert time.monotonic() - start >= 1.0  # a promise to the server, not a speed


def test_a_wait_beyond_the_time_limit_is_not_begun(scene):
    scene.faults = [Fault("/search", status=503, headers={"Retry-After": "3600"}, times=9)]
    with pytest.raises(SourceUnavailableError, match=r"gave up after 1 try .* HTTP 503"):
        search(scene, bbox=scene_bbox(), date_range="2024-06")
    assert len(scene.requests("/search")) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_cannot_succeed_is_asked_once(scene, status):
    scene.faults = [Fault("/search", status=status, times=9)]
    with pytest.raises(SourceUnavailableError, match="did not answer"):
        search(scene, bbox=scene_bbox(), date_range="2024-06")
    assert len(scene.requests("/search")) == 1


def test_giving_up_names_tries_and_last_answer(scene):
    scene.faults = [Fault("/search", status=500, times=99)]
    with pytest.raises(SourceUnavailableError, match=r"4 tries .* last answer: HTTP 500"):
        search(scene, bbox=scene_bbox(), date_range="2024-06")


def test_unreachable_is_a_clear_error():
    with pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1:9 did not answer"):
        load_s2_chip(**CHIP)


def test_probe_gives_up_on_a_silent_service(scene):
    scene.faults = [Fault("/stac", kind="latency", seconds=2.0)]
    said = probe(f"{scene.url}/stac", 0.2)
    assert said == "does not answer (no whole answer within 0.2 s)"


def test_probe_is_remembered(scene, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: 90.0)  # the same minute
    monkeypatch.setattr("geostack.sources.planetary_computer.time", clock)
    source = PlanetaryComputerSource()
    assert source.reachable()
    assert source.reachable()
    assert len(scene.requests("^/stac$")) == 1


def test_signed_catalog(scene):
    items = list(mpc_catalog().search(collections=["sentinel-2-l2a"]).items())
    assert "sig=SECRET0" in items[0].assets["B04"].href


def test_no_scene_names_the_nearest_dates(scene):
    with pytest.raises(NoSceneError, match=r"nearest dates that exist are 2024-06-14 \(47 days"):
        load_s2_chip(**CHIP, date_range="2024-08")


def test_token_endpoint_is_asked_again_and_once_for_all_bands(scene):
    scene.faults = [Fault("/sas/", status=503, times=2)]
    load_s2_chip(**CHIP)
    assert len(scene.requests("/sas/")) == 3
    assert len(scene.issued) == 1


def test_a_refused_token_is_final(scene):
    scene.faults = [Fault("/sas/", status=404, times=99)]
    with pytest.raises(SourceUnavailableError, match=r"no token for 127/files from .*: HTTP 404"):
        load_s2_chip(**CHIP, bands=("B04",))
    assert len(scene.requests("/sas/")) == 1


def test_tokens_are_renewed_before_they_expire(scene):
    scene.token_lifetime = 30
    load_s2_chip(**CHIP, bands=("B04",))
    load_s2_chip(**CHIP, bands=("B04",))
    assert len(scene.issued) == 2


def test_policy_is_the_callers(scene):
    scene.faults = [Fault("/search", status=500, times=99)]
    source = PlanetaryComputerSource(policy=RetryPolicy(tries=2, base_delay=0.0))
    with pytest.raises(SourceUnavailableError, match="2 tries"):
        source.search("sentinel-2-l2a", scene_bbox(), "2024-06")


def test_one_scene_is_asked_for_by_its_id_and_never_by_a_whole_collection(server, tmp_path):
    first = make_scene(tmp_path, bands=())
    for number in range(250):
        server.add_item({**first, "id": f"scene-{number:03d}"})
    source = PlanetaryComputerSource(f"{server.url}/stac")
    world = ("sentinel-2-l2a", (-180.0, -90.0, 180.0, 90.0), "../..")
    assert [item.id for item in source.search(*world, item="scene-137")] == ["scene-137"]
    assert source.search(*world, item="NOPE") == []
    assert len(server.requests("/search")) == 2
    server.records.clear()
    server.ignore_filters = True  # a service that does not know ids is not gone through
    assert source.search(*world, item="NOPE") == []
    assert len(server.requests("/search")) == 1


def test_a_search_that_does_not_end_is_broken_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr("geostack.sources.planetary_computer.MOST_ITEMS", 150)
    first = make_scene(tmp_path, bands=())
    for number in range(400):
        server.add_item({**first, "id": f"scene-{number:03d}"})
    with pytest.raises(SourceUnavailableError, match="shorter date range"):
        search(server, bbox=scene_bbox(), date_range="2024-06", limit=None)
    assert len(server.requests("/search")) == 2


HERE = ("sentinel-2-l2a", (0, 0, 1, 1), "2024")


@pytest.mark.parametrize("wrong", pages())
def test_what_is_no_page_of_items_is_a_service_that_does_not_answer(wrong):
    with (
        spoken(lambda path, headers: stac(pages()[wrong], url, path)) as url,
        pytest.raises(SourceUnavailableError, match="answered what is no STAC"),
    ):
        PlanetaryComputerSource(url).search(*HERE)


@pytest.mark.parametrize("wrong", ["nothing", "a login page", "null", "a number", "a deep nest"])
def test_what_is_no_service_is_one_that_does_not_answer(wrong):
    with (
        spoken(lambda path, headers: answer(pages()[wrong])) as url,
        pytest.raises(SourceUnavailableError, match="answered what is no STAC"),
    ):
        PlanetaryComputerSource(url).search(*HERE)


def test_a_path_of_a_service_is_read_from_the_service_and_not_from_this_machine(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"of this machine")
    assets = {"path": {"href": str(secret)}, "relative": {"href": "../b.tif"}}
    assets["elsewhere"] = {"href": "s3://bucket/c.tif"}
    found = {"features": [feature(assets=assets)]}

    def say(path, headers):
        return stac(found, url, path) if path in ("/", "/search") else answer(b"of the service")

    with spoken(say) as url:
        (item,) = PlanetaryComputerSource(url).search(*HERE)
        copied = copy_file(item.assets["path"].href, tmp_path / "copy", PlanetaryComputerSource())
    assert copied.path.read_bytes() == b"of the service"
    assert item.assets["relative"].href == f"{url}/b.tif"
    assert item.assets["elsewhere"].href == "s3://bucket/c.tif"


def test_a_search_that_is_a_path_is_not_read_from_this_machine(tmp_path):
    (tmp_path / "page.json").write_text(json.dumps({"features": [feature()]}))

    def say(path, headers):
        told = json.loads(stac(None, url, path).partition(b"\r\n\r\n")[2])
        told["links"] = [{**link, "href": str(tmp_path / "page.json")} for link in told["links"]]
        return answer(told)

    with spoken(say) as url, pytest.raises(SourceUnavailableError):
        PlanetaryComputerSource(url).search(*HERE)


def test_the_signers_key_does_not_follow_a_redirect(monkeypatch):
    from planetary_computer.settings import Settings

    heard: list = []
    token = {"token": "sig=x", "msft:expiry": "2099-01-01T00:00:00Z"}
    with (
        spoken(lambda path, headers: answer(token), heard) as elsewhere,
        spoken(lambda path, headers: answer(b"", 302, location=elsewhere + path)) as url,
    ):
        monkeypatch.setenv("PC_SDK_SAS_URL", url)
        source = PlanetaryComputerSource(url)
        for key, followed in (("SECRETKEY", 0), ("", 1)):
            monkeypatch.setenv("PC_SDK_SUBSCRIPTION_KEY", key)
            Settings.get.cache_clear()
            place = f"https://account.blob.core.windows.net/{os.urandom(8).hex()}/a.tif"
            if key:
                with pytest.raises(SourceUnavailableError, match="HTTP 302"):
                    source.sign(place)
            else:
                assert source.sign(place).endswith("?sig=x")
            assert len(heard) == followed
    Settings.get.cache_clear()
    assert "SECRETKEY" not in repr(heard)
