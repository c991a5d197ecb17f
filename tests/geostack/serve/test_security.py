"""What a stranger sends is refused clearly, cheaply, and without being believed."""

import math
import socket
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from loopback import Loopback
from rasterio import Affine
from tiny_scenes import scene_bbox
from waiting import until

from geostack.errors import PixelReadError, SourceUnavailableError
from geostack.serve import Limits, Pipeline, create_app
from geotoolz import NDVI

ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
NDVI_PIPELINE = Pipeline(NDVI(red_idx="B04", nir_idx="B08"), bands=("B04", "B08"))
LIMITS = Limits(max_body=100_000, max_pixels=200_000, body_seconds=60.0)
TIFF = {"Content-Type": "image/tiff"}


@pytest.fixture(scope="module")
def url(running, scenes) -> Iterator[str]:
    """One server for all: whatever is sent, it is there for the next test."""
    server = running(create_app({"ndvi": NDVI_PIPELINE}, source=scenes, limits=LIMITS), {})
    yield server.url
    server.stop()


def refused(answer: requests.Response, *statuses: int) -> str:
    """Check that an answer is a problem of one of these statuses; return its detail."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["title"]
    return told["detail"]


def post(url: str, body, **headers: str) -> requests.Response:
    if isinstance(body, bytes):
        return requests.post(
            f"{url}/pipelines/ndvi",
            data=body,
            headers={"Content-Type": "application/json", **headers},
            timeout=120,
        )
    return requests.post(f"{url}/pipelines/ndvi", json=body, timeout=120)


@pytest.mark.parametrize(
    "item",
    [
        "../../etc/passwd",
        "..",
        "/etc/passwd",
        "a/b",
        "S2A\r\nX-Evil: 1",
        "S2A\x00",
        "",
        "x" * 129,
        "http://127.0.0.1:9/x.tif",
        "/vsicurl/http://127.0.0.1:9/x.tif",
        None,
        7,
        ["S2A"],
        {"$path": "/etc/passwd"},
    ],
)
def test_an_item_is_an_id_and_nothing_else(url, box, item):
    assert "id" in refused(post(url, {"item": item, "bbox": box}), 422)


def test_an_unknown_item_is_not_found(url, box):
    refused(post(url, {"item": "S2B_MSIL2A_20240614T183919_OTHER", "bbox": box}), 404)
    refused(post(url, {"item": "S2B_99999999T000000", "bbox": box}), 404)
    refused(post(url, {"item": ITEM, "bbox": [10, 10, 10.1, 10.1]}), 404)


@pytest.mark.parametrize(
    "bbox",
    [
        None,
        [],
        [1, 2, 3],
        "1,2,3,4",
        [3, 2, 1, 4],
        [0, 0, 0, 0],
        [-1e308, -1e308, 1e308, 1e308],
        [10**400, 0, 1, 1],
        ["-120", "39", "-119", "40"],
        [True, False, True, True],
        [750_000, 4_300_000, 760_000, 4_350_000],
    ],
)
def test_boxes_that_cannot_be_right(url, bbox):
    refused(post(url, {"item": ITEM, "bbox": bbox}), 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"item": "a", "bbox": [NaN, 0, 1, 1]}',
        b'{"item": "a", "bbox": [1, 2, 3, 4], "url": "http://127.0.0.1/"}',
        b'{"item": "a"}',
    ],
)
def test_bodies_that_are_not_what_is_asked(url, body):
    refused(post(url, body), 422)


def test_no_address_from_a_request_is_ever_opened(url, box, upload):
    with Loopback() as elsewhere:
        address = f"{elsewhere.url}/api/x.tif"
        vrt = f"<VRTDataset rasterXSize='1' rasterYSize='1'><SourceFilename>{address}</SourceFilename></VRTDataset>"
        for body, headers in (
            ({"item": address, "bbox": box}, {}),
            ({"item": ITEM, "bbox": box, "source": address}, {}),
            (vrt.encode(), TIFF),
            (f"/vsicurl/{address}".encode(), TIFF),
            (b"II*\0" + address.encode() * 4, TIFF),
        ):
            answer = post(url, body, **headers)
            refused(answer, 422)
        query = {"source": address, "url": address, "href": address}
        answer = requests.post(
            f"{url}/pipelines/ndvi", params=query, data=upload(), headers=TIFF, timeout=120
        )
        assert answer.status_code == 200
        refused(requests.get(f"{url}/tiles/{address}/1/0/0.png", timeout=120), 404)
        assert elsewhere.records == []
        requests.get(address, timeout=120)
        assert len(elsewhere.records) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/pipelines/../../etc/passwd",
        "/pipelines/..%2f..%2fetc%2fpasswd",
        "/pipelines/unknown",
        "/pipelines/ndvi%0d%0aX-Evil:%201",
        "/tiles/..%2f..%2fetc/1/0/0.png",
        "/tiles/unknown/1/0/0.png",
        "/tiles/ndvi/1/0/0.png/../../../../etc/passwd",
        "/map/../map.html",
        "/assets/map.html",
        "//etc/passwd",
        "/docs",
    ],
)
def test_paths_lead_nowhere_else(url, path):
    with requests.Session() as session:
        ask = requests.Request("GET", url).prepare()
        ask.url = url + path
        answer = session.send(ask, timeout=120)
    refused(answer, 404)
    assert "x-evil" not in answer.headers
    assert "root:" not in answer.text


def test_headers_of_a_request_come_back_in_no_answer(url):
    answer = requests.get(
        f"{url}/pipelines/ndvi", headers={"X-Evil": "1", "If-None-Match": "x"}, timeout=120
    )
    assert "x-evil" not in answer.headers
    refused(
        requests.post(
            f"{url}/pipelines/ndvi?output=a%0d%0aX-Evil:1&format=x%0d%0a",
            data=b"{}",
            headers={"Content-Type": "application/json"},
            timeout=120,
        ),
        422,
    )


def test_a_body_of_another_kind_is_refused(url):
    for kind in ("", "text/xml", "multipart/form-data", "image/png"):
        refused(post(url, b"x", **{"Content-Type": kind}), 415)


def test_a_body_that_is_too_long_is_refused(url):
    refused(post(url, b"x" * 100_001, **TIFF), 413)

    def endless():
        for _ in range(200):
            yield b"x" * 1000

    answer = requests.post(f"{url}/pipelines/ndvi", data=endless(), headers=TIFF, timeout=120)
    refused(answer, 413)


def test_an_announced_length_is_believed_before_the_body_comes(url):
    host, port = url.removeprefix("http://").split(":")
    for length in (b"1000000000000", b"9" * 19):
        with socket.create_connection((host, int(port)), timeout=120) as client:
            client.sendall(
                b"POST /pipelines/ndvi HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
                b"Content-Length: " + length + b"\r\n\r\n"
            )
            assert client.recv(1000).split()[1] in (b"413", b"400")


def test_a_slow_client_is_let_go_while_others_are_served(running, upload):
    app = create_app({"ndvi": NDVI_PIPELINE}, limits=LIMITS)
    server = running(app, {}, still=True)
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=120) for _ in range(12)]
    for client in slow:
        client.sendall(
            b"POST /pipelines/ndvi HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
            b"Content-Length: 1000\r\n\r\nII*"
        )
    until(lambda: app.state.service.bodies.arriving == 12, "twelve bodies arrive")
    assert post(server.url, upload(), **TIFF).status_code == 200
    server.let_pass(LIMITS.body_seconds)
    assert [client.recv(1000).split()[1] for client in slow] == [b"408"] * 12
    for client in slow:
        client.close()
    server.stop()


def test_more_pixels_than_allowed_are_not_read(url, upload):
    west, south, east, north = scene_bbox()
    big = post(url, {"item": ITEM, "bbox": [west, south, east, north]})
    assert "smaller box" in refused(big, 413)
    bomb = upload(np.zeros((2, 1000, 1000), "uint16"), compress="deflate")
    assert len(bomb) < LIMITS.max_body
    assert "2000000 pixels" in refused(post(url, bomb, **TIFF), 413)


def tiff(width: int, height: int, tile: int = 16, compression: int = 1) -> bytes:
    """A classic TIFF of two 16-bit bands, whose header says what it is told to."""
    data = zlib.compress(b"\0" * 1024)
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 16),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (277, 3, 1, 2),
        (284, 3, 1, 1),
        (322, 4, 1, tile),
        (323, 4, 1, tile),
        (324, 4, 1, 8),
        (325, 4, 1, len(data)),
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = 8 + len(data) + len(data) % 2
    head = b"II*\0" + struct.pack("<I", start) + data + b"\0" * (len(data) % 2)
    return head + struct.pack("<H", len(entries)) + body + b"\0" * 4


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    "body",
    [
        tiff(1_000_000_000, 1),
        tiff(1_000_000_000, 1_000_000_000),
        tiff(0, 0),
        tiff(0, 16),
        tiff(16, 16, tile=1 << 20),
        tiff(16, 16, tile=1 << 30, compression=8),
        tiff(16, 16, compression=8)[:40],
        tiff(16, 16, compression=9999),
        b"II*\0",
        b"II*\0" + b"\xff" * 1000,
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II+\0\x08\0\0\0" + b"\xff" * 100,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"\0" * 1000,
        b"",
    ],
)
def test_malformed_images_are_one_clear_refusal(url, body):
    refused(post(url, body, **TIFF), 413, 422)
    assert requests.get(f"{url}/healthz", timeout=120).status_code == 200


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_uploads_that_do_not_fit_the_pipeline(url, upload):
    assert "2 bands" in refused(post(url, upload(np.zeros((3, 4, 4), "uint16")), **TIFF), 422)
    assert "reference system" in refused(post(url, upload(crs=None), **TIFF), 422)
    assert "dtype" in refused(post(url, upload(np.zeros((2, 4, 4), "complex64")), **TIFF), 422)
    named = upload(names=("B02", "B03"))
    assert "names others" in refused(post(url, named, **TIFF), 422)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    "where",
    [
        {"transform": Affine(10, 0, 1e300, 0, -10, 1e300)},
        {"transform": Affine(math.nan, 0, 0, 0, -10, 0)},
        {"transform": Affine(10, 0, 750_000, 0, 0, 4_350_000)},
        {"crs": 'LOCAL_CS["a room",UNIT["metre",1]]'},
    ],
)
def test_an_upload_that_lies_nowhere_is_refused(url, upload, where):
    assert "nowhere on Earth" in refused(post(url, upload(**where), **TIFF), 422)


def test_an_upload_of_the_whole_world_is_not(url, upload):
    mollweide = {"crs": "ESRI:54009", "transform": Affine(5e6, 0, -2e7, 0, -2.5e6, 1e7)}
    assert post(url, upload(**mollweide), **TIFF).status_code == 200


@pytest.mark.parametrize("content", range(6))
def test_noise_never_breaks_the_reader(url, upload, content):
    good = bytearray(upload(compress="deflate"))
    random = np.random.default_rng(content)
    for place in random.integers(8, len(good), 20):
        good[place] = random.integers(256)
    answer = post(url, bytes(good), **TIFF)
    if answer.status_code != 200:
        refused(answer, 413, 422)


class Faulty:
    """A source that fails now and then, in every way a source can."""

    name = "faulty"

    def __init__(self, source):
        self.source = source
        self.asked = 0

    def search(self, *args, **kwargs):
        self.asked += 1
        if self.asked % 3 == 1:
            raise SourceUnavailableError("https://secret.example/?sig=abc is down")
        if self.asked % 3 == 2:
            raise PixelReadError("can't read /srv/secret/B04.tif")
        return self.source.search(*args, **kwargs)

    def covers(self, *args, **kwargs):
        return self.source.covers(*args, **kwargs)

    def dates_near(self, *args, **kwargs):
        return self.source.dates_near(*args, **kwargs)

    def describe(self):
        return f"{self.source.describe()}, failing now and then"

    def sign(self, href, *, renew=False):
        return href


def test_faults_of_the_source_are_never_a_wrong_picture(serve, scenes, box):
    app = create_app({"ndvi": NDVI_PIPELINE}, source=Faulty(scenes), limits=Limits())
    url, right, answers = serve(app), set(), []
    for _ in range(12):
        answer = post(url, {"item": ITEM, "bbox": box})
        answers.append(answer.status_code)
        if answer.status_code == 200:
            right.add(answer.content)
        else:
            assert "secret" not in answer.text
            assert int(refused(answer, 503) and answer.headers["retry-after"]) > 0
    assert answers == [503, 503, 200] * 4
    assert len(right) == 1


@pytest.mark.parametrize("name", ["max_body", "running", "seconds", "waiting"])
@pytest.mark.parametrize("value", [-1, True, "3", None])
def test_limits_are_positive_numbers(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("running", 1.5), ("seconds", math.nan)])
def test_limits_are_finite_and_counts_are_whole(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})
    assert Limits(seconds=0.5, waiting=0).running == 4
