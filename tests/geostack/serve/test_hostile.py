"""A real server on loopback, and clients that mean harm: nothing is opened, believed or echoed."""

import json
import random
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from loopback import Loopback
from tiny_scenes import scene_bbox
from waiting import until

from geostack.serve import Limits, Pipeline, create_app, scene_layer
from geostack.serve.connection import server_options
from geostack.serve.pixels import as_geotiff, as_summary, read_upload
from geostack.serve.problem import Problem
from geotoolz import NDVI, Colormap, DNToReflectance
from pipekit import to_yaml

ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
BANDS = ("B04", "B08")
TO_NDVI = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08")
LIMITS = Limits(max_body=200_000, max_pixels=200_000, seconds=300.0, body_seconds=60.0)


@pytest.fixture(scope="module")
def url(running, scenes) -> Iterator[str]:
    """One server for all: whatever is sent, it is there for the next test."""
    (item,) = scenes.search("sentinel-2-l2a", scene_bbox(), "2024-06-14/2024-06-14")
    layer = scene_layer(item, TO_NDVI | Colormap("BrBG", -1.0, 1.0), BANDS, scenes)
    app = create_app(
        {"ndvi": Pipeline(TO_NDVI, BANDS)},
        {"ndvi": layer},
        source=scenes,
        limits=LIMITS,
        accept_yaml=True,
    )
    server = running(app, server_options(app))
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def hasty_url(running) -> Iterator[str]:
    """A server that waits a second for a head."""
    app = create_app({"ndvi": Pipeline(TO_NDVI, BANDS)}, limits=Limits(body_seconds=1.0))
    server = running(app, server_options(app))
    yield server.url
    server.stop()


def refused(answer: requests.Response, *statuses: int) -> str:
    """Check that an answer is a problem of one of these statuses; return its detail."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-config-hash"]
    return answer.json()["detail"]


def run_yaml(url: str, box, text: str) -> requests.Response:
    body = {"yaml": text, "bands": list(BANDS), "item": ITEM, "bbox": box}
    return requests.post(f"{url}/run", json=body, params={"format": "json"}, timeout=400)


def raw(url: str, request: bytes) -> bytes:
    """The whole answer to bytes that no client library would send."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as client:
        parts = []
        try:
            client.sendall(request)
            while part := client.recv(65_536):
                parts.append(part)
        except ConnectionError:  # hung up already
            parts.append(b"")
    return b"".join(parts)


# ---- YAML


def test_hostile_yaml_is_refused_by_the_server_and_a_good_one_still_runs(url, box, tmp_path):
    proof = tmp_path / "proof"
    hostile = [
        f"!!python/object/apply:os.system ['touch {proof}']",
        f"class: os.system\nconfig: {{command: 'touch {proof}'}}",
        "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]",
        "class: PadTo\nconfig: {size: {$tuple: [400000, 400000]}}",
        "class: Identity\nclass: os.system\nconfig: {}",
    ]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda text: run_yaml(url, box, text), hostile))
    for text, answer in zip(hostile, answers, strict=True):
        assert refused(answer, 422), text
    assert not proof.exists()
    good = run_yaml(url, box, to_yaml(TO_NDVI))
    assert (good.status_code, good.headers["x-config-hash"]) == (200, TO_NDVI.config_hash)


# ---- no address is ever opened


def test_no_address_is_opened_wherever_a_request_puts_it(url, box, upload):
    """Every place of every route; a server on loopback counts, and at the end still counts."""
    with Loopback() as elsewhere:
        address = f"{elsewhere.url}/api/x.tif"
        short = address.removeprefix("http://")
        spellings = [
            address, f"/vsicurl/{address}", f"/vsicurl_streaming/{address}", f"//{short}",
            f"HTTP://{short}", f"/vsicurl?url={address}", f"WMS:{address}", f"STACIT:{address}",
        ]  # fmt: skip
        asked: Counter[int] = Counter()
        with requests.Session() as session:
            for spelt in spellings:
                for answer in _everywhere(session, url, spelt, box, upload()):
                    asked[answer.status_code] += 1
        assert set(asked) <= {200, 404, 422}
        assert asked[422] >= 4 * len(spellings)
        assert asked[404] >= 3 * len(spellings)
        for crs in (address, f"/vsicurl/{address}"):
            refused(run_yaml(url, box, f"class: Reproject\nconfig: {{crs: '{crs}'}}"), 422)
        assert elsewhere.records == []
        requests.get(address, timeout=120)
        assert len(elsewhere.records) == 1, "it does count"


def _everywhere(session, url: str, address: str, box, tiff: bytes):
    """Answers to requests that name an address in each place there is."""
    quoted = requests.utils.quote(address, safe="")
    told = {
        "Referer": address, "Origin": address, "Forwarded": f"host={address}",
        "X-Forwarded-Host": address, "X-Original-URL": address, "If-None-Match": address,
        "Link": f"<{address}>; rel=item",
    }  # fmt: skip
    query = dict.fromkeys(("url", "href", "source", "item", "path", "layer", "output"), address)
    pipelines = f"{url}/pipelines/ndvi"
    yield session.get(f"{url}/tiles/{quoted}/1/0/0.png", timeout=120)
    yield session.get(f"{url}/pipelines/{quoted}", timeout=120)
    yield session.get(f"{url}/{quoted}", timeout=120)
    yield session.get(f"{url}/tiles/ndvi/1/0/0.png", params=query, headers=told, timeout=120)
    yield session.get(f"{url}/map", params=query, headers=told, timeout=120)
    for body in (
        {"item": address, "bbox": box},
        {"item": ITEM, "bbox": address},
        {"item": ITEM, "bbox": box, "href": address},
        {"item": {"href": address}, "bbox": box},
    ):
        yield session.post(pipelines, json=body, params={"format": "json"}, timeout=400)
    for content in (address.encode(), _vrt(address), b"II*\0" + address.encode() * 9):
        kind = {"Content-Type": "image/tiff"}
        yield session.post(pipelines, data=content, headers=kind, timeout=120)
    kind = {"Content-Type": "image/tiff", **told}
    del query["output"]
    yield session.post(pipelines, params=query, data=tiff, headers=kind, timeout=120)


def _vrt(address: str) -> bytes:
    return (
        "<VRTDataset rasterXSize='8' rasterYSize='8'><VRTRasterBand dataType='UInt16' band='1'>"
        f"<SimpleSource><SourceFilename>{address}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    ).encode()


# ---- images


def outcome(body: bytes) -> str:
    """What becomes of an upload: "good", or the problem's status; any other error is raised."""
    try:
        result = TO_NDVI(read_upload(body, BANDS, LIMITS))
        as_geotiff(result, None)
        as_summary(result, None)
    except Problem as problem:
        return str(problem.status)
    return "good"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("dtype", "profile"),
    [
        ("uint16", {"compress": "deflate"}),
        ("float32", {"nodata": float("nan")}),
        ("uint8", {"nodata": 255, "tiled": True, "blockxsize": 16, "blockysize": 16}),
    ],
)
def test_no_damage_to_an_image_is_an_error_of_the_server(upload, dtype, profile):
    """Two hundred files, a few bytes of each changed, most of them in the header."""
    whole, chosen = upload(np.full((2, 8, 8), 100, dtype), **profile), random.Random(dtype)
    seen: Counter[str] = Counter()
    for _ in range(200):
        body = bytearray(whole)
        for _ in range(chosen.randint(1, 7)):
            place = chosen.randrange(4, min(len(body), 420))
            body[place] = chosen.choice((0, 1, 127, 128, 255, chosen.randrange(256)))
        seen[outcome(bytes(body))] += 1
    assert set(seen) <= {"good", "413", "422"}
    assert seen["422"] > 20


def directory(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A classic TIFF of one directory, as told."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + struct.pack("<I", following)
    )


SIZES = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 16), (262, 3, 1, 1), (277, 3, 1, 2)]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    "body",
    [
        directory(*SIZES, following=8),
        directory(*SIZES, (273, 4, 0xFFFFFFFF, 8), (279, 4, 0xFFFFFFFF, 8)),
        directory((256, 4, 1, 0xFFFFFFFF), (257, 4, 1, 0xFFFFFFFF), *SIZES[2:]),
        directory(*SIZES[:2], (258, 3, 1, 65535), *SIZES[3:]),
        directory(*SIZES[:4], (277, 3, 1, 65535)),
        directory(*SIZES, (278, 4, 1, 0), (273, 4, 1, 8), (279, 4, 1, 0)),
        directory(*SIZES, (322, 4, 1, 0), (323, 4, 1, 0)),
        directory(),
        directory(*SIZES * 5_000),
    ],
    ids=[
        "a circle of directories", "four billion strips", "a picture of 2**64 pixels",
        "65535 bits a sample", "65535 bands", "no rows in a strip", "tiles of no size", "no tags",
        "25000 tags",
    ],
)  # fmt: skip
def test_headers_that_lie_are_refused_without_being_believed(url, body):
    kind = {"Content-Type": "image/tiff"}
    answer = requests.post(f"{url}/pipelines/ndvi", data=body, headers=kind, timeout=120)
    refused(answer, 413, 422)


def test_a_compressed_body_is_not_unpacked(url, upload):
    """HTTP's own compression is a bomb too: what arrives is taken as it is."""
    packed = zlib.compress(b"\0" * 50_000_000)
    assert len(packed) < LIMITS.max_body
    for encoding in ("deflate", "gzip", "br"):
        told = {"Content-Type": "image/tiff", "Content-Encoding": encoding}
        answer = requests.post(f"{url}/pipelines/ndvi", data=packed, headers=told, timeout=120)
        refused(answer, 422)


# ---- heads


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /healthz\r\nX-Evil: 1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: 1\x00\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"POST /pipelines/ndvi HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_heads_that_are_no_http_get_nothing_but_a_refusal(hasty_url, request_head):
    answer = raw(hasty_url, request_head)
    # uvicorn routes HTTP/2's preface before it sees that it is none: to nowhere.
    assert not answer or answer.split()[1] in (b"400", b"404"), answer
    assert b"evil" not in answer.lower()
    health = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    until(lambda: raw(hasty_url, health).startswith(b"HTTP/1.1 200"), "it is there for the next")


def test_a_body_in_a_body_is_no_second_request(url):
    """Both lengths given: whoever reads them differently would see two requests."""
    inner = b"GET /pipelines HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = raw(
        url,
        b"POST /pipelines/ndvi HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(inner) + 5).encode() + b"\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\n" + inner,
    )
    assert b"config_hash" not in answer.partition(b"HTTP/1.1 200")[2]
    assert answer.count(b"HTTP/1.1 200") == 0


@pytest.mark.parametrize("place", ["path", "query", "header", "name"])
@pytest.mark.parametrize(
    "evil", ["\r\nX-Evil: 1", "\nX-Evil: 1", "\r\n\r\n<script>", "\u010a\u010dX-Evil: 1"]
)
def test_line_ends_that_are_sent_never_split_an_answer(url, place, evil):
    quoted = requests.utils.quote(evil, safe="")
    targets = {
        "path": f"/tiles/ndvi{quoted}/1/0/0.png",
        "query": f"/tiles/ndvi/1/0/0.png?v={quoted}&format={quoted}",
        "header": "/tiles/ndvi/1/0/0.png",
        "name": f"/pipelines/{quoted}",
    }
    tag = f'If-None-Match: "{quoted}"' if place == "header" else "X-Harmless: 1"
    head = f"GET {targets[place]} HTTP/1.1\r\nHost: x\r\n{tag}\r\nConnection: close\r\n\r\n"
    answer = raw(url, head.encode())
    heads, _, body = answer.partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 "), answer
    assert b"evil" not in heads.lower()
    assert b"<script>" not in heads
    assert b"<script>" not in body


def test_a_problem_never_repeats_what_was_sent(url):
    marker = "zzmarkerzz"
    for answer in (
        requests.get(f"{url}/tiles/{marker}/1/0/0.png", timeout=120),
        requests.get(f"{url}/pipelines/{marker}", timeout=120),
        requests.get(f"{url}/{marker}", timeout=120),
        requests.post(f"{url}/pipelines/ndvi", json={marker: 1}, timeout=120),
        requests.post(f"{url}/pipelines/ndvi?format={marker}", data="{}", timeout=120),
    ):
        assert 400 <= answer.status_code < 500
        assert marker not in answer.text
        assert marker not in json.dumps(dict(answer.headers))
