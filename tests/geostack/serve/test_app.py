"""The service answers what its operators compute, and says what it is."""

import io
import re
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import rasterio
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from geostack import load_s2_chip
from geostack.serve import Limits, Pipeline, create_app
from geotoolz import NDVI, DNToReflectance
from pipekit import (
    AssertValueRange,
    Const,
    Fanout,
    Identity,
    Lambda,
    NotSerializableError,
    Operator,
)
from pipekit.fingerprint import content_hash

ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
TO_NDVI = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08")
NDVI_PIPELINE = Pipeline(TO_NDVI, bands=("B04", "B08"))


class Waits(Operator):
    """Works until it is let go, and counts."""

    ended = 0
    begun = threading.Event()
    go = threading.Event()

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        Waits.begun.set()
        Waits.go.wait(120)
        Waits.ended += 1
        return x


@pytest.fixture
def waits() -> Iterator[Pipeline]:
    """A pipeline whose jobs wait; at the end they are let go."""
    Waits.ended = 0
    Waits.begun.clear()
    Waits.go.clear()
    yield Pipeline(Waits(), ("B04", "B08"))
    Waits.go.set()


@pytest.fixture
def url(serve, scenes) -> str:
    both = Fanout({"ndvi": TO_NDVI, "same": Identity()})
    pipelines = {
        "ndvi": NDVI_PIPELINE,
        "both": Pipeline(both, ("B04", "B08")),
        "number": Pipeline(Const(1.5), ("B04", "B08")),
        "strict": Pipeline(AssertValueRange(0, 1), ("B04", "B08")),
        "broken": Pipeline(NDVI(red_idx="B99", nir_idx="B08"), ("B04", "B08")),
    }
    return serve(create_app(pipelines, source=scenes))


def ask(url: str, box, pipeline: str = "ndvi", item: str = ITEM, **params) -> requests.Response:
    body = {"item": item, "bbox": box}
    return requests.post(f"{url}/pipelines/{pipeline}", json=body, params=params, timeout=120)


def test_a_scene_gives_the_pixels_that_the_library_gives(url, scenes, box):
    answer = ask(url, box)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/tiff"
    assert answer.headers["x-config-hash"] == TO_NDVI.config_hash
    assert answer.headers["content-disposition"] == 'attachment; filename="ndvi.tif"'
    chip = load_s2_chip(
        bbox=box, date_range="2024-06-14/2024-06-14", bands=("B04", "B08"), source=scenes
    )
    expected = TO_NDVI(chip)
    with rasterio.open(io.BytesIO(answer.content)) as file:
        np.testing.assert_array_equal(file.read(1), expected.values)
        assert file.transform == expected.transform
        assert file.crs.to_epsg() == 32610


def test_a_summary_is_of_the_same_pixels(url, scenes, box):
    told = ask(url, box, format="json").json()
    chip = load_s2_chip(
        bbox=box, date_range="2024-06-14/2024-06-14", bands=("B04", "B08"), source=scenes
    )
    expected = TO_NDVI(chip)
    result = told["result"]
    assert told["config_hash"] == TO_NDVI.config_hash
    assert result["shape"] == list(expected.shape)
    assert result["mean"] == pytest.approx(float(expected.values.mean(dtype="float64")))
    assert result["content_hash"] == content_hash(expected)


def test_an_uploaded_geotiff_is_run_in_the_bands_order(url, upload):
    red, nir = np.full((8, 8), 1000, "uint16"), np.full((8, 8), 3000, "uint16")
    for body in (upload([red, nir]), upload([nir, red], names=("B08", "B04"))):
        answer = requests.post(
            f"{url}/pipelines/ndvi", data=body, headers={"Content-Type": "image/tiff"}, timeout=120
        )
        assert answer.status_code == 200, answer.text
        with rasterio.open(io.BytesIO(answer.content)) as file:
            np.testing.assert_allclose(file.read(1), 0.5, atol=1e-6)


def test_one_of_several_outputs_is_chosen(url, box):
    assert ask(url, box, "both").status_code == 422
    assert "ndvi, same" in ask(url, box, "both").json()["detail"]
    assert ask(url, box, "both", output="ndvi").status_code == 200
    told = ask(url, box, "both", format="json").json()["result"]
    assert set(told) == {"ndvi", "same"}
    assert ask(url, box, output="ndvi").status_code == 422


def test_a_result_that_is_no_map_is_told_as_json(url, box):
    assert "format=json" in ask(url, box, "number").json()["detail"]
    assert ask(url, box, "number", format="json").json()["result"]["value"] == 1.5


def test_pipelines_tell_config_hash_and_versions(url):
    listed = requests.get(f"{url}/pipelines", timeout=120).json()["pipelines"]
    assert [each["name"] for each in listed] == ["ndvi", "both", "number", "strict", "broken"]
    told = requests.get(f"{url}/pipelines/ndvi", timeout=120).json()
    from pipekit import from_config

    assert from_config(told["config"]) == TO_NDVI
    assert told["config_hash"] == TO_NDVI.config_hash
    assert told["versions"]["numpy"] == np.__version__
    assert told["bands"] == ["B04", "B08"]


def test_checks_of_the_pipeline_are_the_clients_fault_and_bugs_are_not(url, box):
    failed_check = ask(url, box, "strict")
    assert failed_check.status_code == 422
    assert "checks" in failed_check.json()["detail"]
    bug = ask(url, box, "broken")
    assert bug.status_code == 500
    assert bug.headers["retry-after"]
    assert "Traceback" not in bug.text


def test_every_answer_has_a_config_hash(url, box):
    for path in ("/healthz", "/pipelines", "/metrics", "/map", "/nowhere", "/pipelines/unknown"):
        answer = requests.get(url + path, timeout=120)
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-config-hash"]), path
        assert answer.headers["x-content-type-options"] == "nosniff"
    for answer in (requests.put(f"{url}/healthz", timeout=120), ask(url, [1, 2])):
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-config-hash"])


def test_another_configuration_has_another_hash():
    one = create_app({"ndvi": NDVI_PIPELINE}).state.service.config_hash
    assert create_app({"ndvi": NDVI_PIPELINE}).state.service.config_hash == one
    assert create_app({"green": NDVI_PIPELINE}).state.service.config_hash != one
    swapped = Pipeline(TO_NDVI, bands=("B08", "B04"))
    assert create_app({"ndvi": swapped}).state.service.config_hash != one


def test_head_is_answered_as_get_is_without_the_content(url):
    for path, status in (("/healthz", 200), ("/pipelines/ndvi", 200), ("/nowhere", 404)):
        got, head = requests.get(url + path, timeout=120), requests.head(url + path, timeout=120)
        assert (head.status_code, head.content) == (status, b"")
        for name in ("content-type", "content-length", "x-config-hash"):
            assert head.headers[name] == got.headers[name]
    text = requests.get(f"{url}/metrics", timeout=120).text
    assert 'geostack_requests_total{method="HEAD",route="/healthz",status="200"} 1.0' in text


def test_metrics_count_by_route_and_not_by_address(url, box):
    ask(url, box)
    for number in range(3):
        requests.get(f"{url}/pipelines/unknown{number}", timeout=120)
        requests.get(f"{url}/made-up-{number}", timeout=120)
    text = requests.get(f"{url}/metrics", timeout=120).text
    route = 'route="/pipelines/{name}"'
    assert f'geostack_requests_total{{method="POST",{route},status="200"}} 1.0' in text
    assert f'geostack_requests_total{{method="GET",{route},status="404"}} 3.0' in text
    assert 'method="GET",route="other",status="404"} 3.0' in text
    assert "unknown1" not in text
    assert "made-up" not in text


def test_the_map_page_loads_nothing_from_elsewhere(url):
    page = requests.get(f"{url}/map", timeout=120)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in ("/map", "/map.js", "/map.css"):
        text = requests.get(url + path, timeout=120).text
        assert "http://" not in text
        assert "https://" not in text
    assert (
        requests.get(f"{url}/map.js", timeout=120).headers["content-type"].startswith("text/java")
    )


@pytest.mark.parametrize("item", ["S2B_NO_SUCH", "S2B_MSIL2A_20240614T183919_R070_T10SGJ_OTHER"])
def test_a_scene_that_no_simulated_area_has_is_not_found_without_building_one(
    serve, tmp_path, monkeypatch, item
):
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path))
    app = create_app({"ndvi": NDVI_PIPELINE}, source="simulated", limits=Limits(seconds=300.0))
    answer = ask(serve(app), [-120.05, 38.93, -120.03, 38.95], item=item)
    assert answer.status_code == 404, answer.text
    assert list(tmp_path.rglob("*")) == []


def test_too_many_jobs_are_refused_at_once_and_late_ones_answered_for(serve, upload, waits):
    limits = Limits(running=1, waiting=1, seconds=1.0)
    app = create_app({"slow": waits}, limits=limits)
    url, body = serve(app), upload()
    answers: list[requests.Response] = []

    def post() -> None:
        answers.append(
            requests.post(
                f"{url}/pipelines/slow",
                data=body,
                headers={"Content-Type": "image/tiff"},
                timeout=120,
            )
        )

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
        assert Waits.begun.wait(60)  # the first, before the others come
    for thread in threads:
        thread.join()
    # One runs too long, one waits too long, two find no room.
    assert sorted(each.status_code for each in answers) == [503, 503, 503, 504]
    assert all(int(each.headers["retry-after"]) > 0 for each in answers)
    assert requests.get(f"{url}/healthz", timeout=120).status_code == 200


def test_stopping_finishes_what_is_under_way(running, upload, waits):
    server = running(create_app({"slow": waits}), {})
    body, answers = upload(), []

    def post() -> None:
        headers = {"Content-Type": "image/tiff"}
        answers.append(
            requests.post(f"{server.url}/pipelines/slow", data=body, headers=headers, timeout=120)
        )

    client = threading.Thread(target=post)
    client.start()
    assert Waits.begun.wait(60)
    threading.Timer(0.3, Waits.go.set).start()
    server.stop()
    client.join()
    assert [each.status_code for each in answers] == [200]
    assert Waits.ended == 1


def test_what_cannot_be_told_is_not_served():
    with pytest.raises(NotSerializableError, match="tells its config"):
        create_app({"fn": Lambda(lambda x: x)})
    with pytest.raises(TypeError, match="is an Operator"):
        create_app({"fn": 3})
    with pytest.raises(ValueError, match="unknown Sentinel-2 band"):
        Pipeline(TO_NDVI, bands=("B99",))
    for name in ("../etc", "a/b", "", "UPPER", "a\r\nb", "x" * 65):
        with pytest.raises(ValueError, match="is named by"):
            create_app({name: NDVI_PIPELINE})


def test_questions_to_a_server_of_simulated_scenes_draw_no_pixel(serve, tmp_path, monkeypatch):
    """Its health, its layers, and a scene that isn't there: seconds on a cache that is empty."""
    from geostack.serve import scene_layer
    from geostack.sources.simulated import SimulatedSource
    from geotoolz import Colormap

    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path / "cache"))
    box = [-120.06, 38.92, -119.95, 38.99]
    source = SimulatedSource()
    item = source.search("sentinel-2-l2a", tuple(box), "2024-06")[0]
    operator = NDVI("B04", "B08") | Colormap("BrBG", -1.0, 1.0)
    layers = {"lake": scene_layer(item, operator, ("B04", "B08"), source)}
    url = serve(create_app({"ndvi": NDVI("B04", "B08")}, layers, source="simulated"))
    assert requests.get(f"{url}/healthz").status_code == 200
    assert "lake" in str(requests.get(f"{url}/layers").json()["layers"])
    for name in ("X", "S2A_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657_SIM"):
        assert ask(url, box, item=name).status_code == 404
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/healthz", {"GET", "HEAD"}),
        ("/pipelines/ndvi", {"GET", "HEAD", "POST"}),
        ("/run", {"POST"}),
        ("/map.js", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_is_not_there_is_told_all_that_are(url, method, path, allowed):
    answer = requests.request(method, url + path, timeout=20)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("span", ["bytes=0-9", "bytes=abc", "bytes=99999-", "bytes=0-0,2-2", "x"])
@pytest.mark.parametrize("path", ["/map.js", "/map", "/healthz"])
def test_a_range_is_answered_with_the_whole(url, path, span):
    """As RFC 9110 (14.2) lets a server do; none is refused by a text that is no problem body."""
    part = requests.get(url + path, headers={"Range": span}, timeout=20)
    whole = requests.get(url + path, timeout=20)
    assert (part.status_code, part.content) == (200, whole.content)
