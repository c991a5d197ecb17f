"""A connection that stands still is let go, and one too many is told when to come again."""

import json
import socket
import time
from contextlib import suppress

import numpy as np
import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from georeader.geotensor import GeoTensor

from geostack.serve import Limits, Pipeline, create_app
from geostack.serve.connection import server_options
from pipekit import Identity, Operator

SECONDS = 0.4
BANDS = ("B04", "B08")
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


class Slow(Operator):
    """Takes its time."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def _apply(self, x):
        time.sleep(self.seconds)
        return x


class Noise(Operator):
    """Makes a picture that no compression makes small, whatever it is given."""

    def __init__(self, side: int):
        self.side = side

    def _apply(self, x):
        values = np.random.default_rng(0).integers(0, 60_000, (2, self.side, self.side))
        return GeoTensor(values.astype("uint16"), x.transform, x.crs, 0)


@pytest.fixture
def start(serve):
    def begin(**limits):
        app = create_app(
            {"same": Pipeline(Identity(), ("B04", "B08"))},
            limits=Limits(**{"body_seconds": SECONDS, **limits}),
        )
        return serve(app, **server_options(app)), app

    return begin


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def ended(client: socket.socket) -> bool:
    """Whether the server closed the connection, without having said anything."""
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def everything(client: socket.socket) -> bytes:
    """Read until the server has said all."""
    parts = []
    while part := client.recv(4000):
        parts.append(part)
        if parts[0].count(b"\r\n\r\n") and part.endswith(b"}"):
            break
    return b"".join(parts)


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD[:10]])
def test_a_head_that_does_not_come_is_not_waited_for(start, sent):
    url, _ = start()
    with connect(url) as client:
        if sent:
            client.sendall(sent)
        assert ended(client)
    assert requests.get(f"{url}/healthz", timeout=20).status_code == 200


def test_dribbling_a_head_gains_no_time(start):
    url, _ = start()
    with connect(url) as client:
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < began + 60:
                client.sendall(b"X")
                time.sleep(0.05)
        assert time.monotonic() < began + 60


def test_the_second_head_of_a_connection_has_a_deadline_too(start):
    url, _ = start(body_seconds=1.0)
    with connect(url) as client:
        client.sendall(HEAD + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200")
        time.sleep(1.5)  # an idle connection is kept a while
        client.sendall(HEAD + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200")
        client.sendall(HEAD)
        assert ended(client)


def test_an_answer_under_way_outlives_the_deadline_of_its_head(start, upload):
    """A body may come after the head's deadline, and is waited for on its own account."""
    url, _ = start(body_seconds=2.0)
    body = upload()
    head = (
        "POST /pipelines/same?format=json HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connect(url) as client:
        time.sleep(1.2)
        client.sendall(head.encode() + body[:50])
        time.sleep(1.2)
        client.sendall(body[50:])
        assert client.recv(4000).startswith(b"HTTP/1.1 200")


def test_a_body_that_drips_on_after_its_answer_holds_no_place(running):
    """Eight such clients would shut everybody else out of a server for one job at a time."""
    app = create_app(limits=Limits(running=1, waiting=0, body_seconds=5))
    server = running(app, server_options(app))
    clients = [connect(server.url) for _ in range(8)]
    for client in clients:
        client.sendall(
            b"POST /pipelines/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert everything(client).startswith(b"HTTP/1.1 404"), "answered before its body came"
    deadline = time.monotonic() + 60
    while server.server.server_state.connections:
        assert time.monotonic() < deadline
        for client in clients:
            with suppress(OSError):
                client.sendall(b"1\r\na\r\n")
        time.sleep(0.05)
    for client in clients:
        client.close()
    assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200
    server.stop()


def test_a_body_that_ends_after_its_answer_is_followed_by_the_next_request(start):
    url, _ = start(body_seconds=5)
    with connect(url) as client:
        client.sendall(b"POST /pipelines/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
        assert everything(client).startswith(b"HTTP/1.1 404")
        client.sendall(b"bc" + HEAD + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200")


BROKEN = {
    "too long": HEAD + b"X-Long: " + b"x" * 40_000,
    "no HTTP": b"GARBAGE\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
}


@pytest.mark.parametrize("request_head", BROKEN.values(), ids=BROKEN)
def test_what_is_no_http_gets_a_problem_with_the_configs_hash(start, request_head):
    url, app = start(body_seconds=5)
    with connect(url) as client:
        client.sendall(request_head)
        answer = everything(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"Content-Type: application/problem+json" in head
    assert f"X-Config-Hash: {app.state.service.config_hash}".encode() in head
    assert json.loads(body)["status"] == 400


def test_a_body_that_breaks_off_is_no_failure_of_the_server(start):
    url, _ = start(body_seconds=20)
    with connect(url) as client:
        client.sendall(
            b"POST /pipelines/same HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
            b"Content-Length: 100\r\n\r\nII*"
        )
    deadline = time.monotonic() + 60
    while 'method="POST"' not in (text := requests.get(f"{url}/metrics", timeout=20).text):
        assert time.monotonic() < deadline
    assert 'method="POST",route="/pipelines/{name}",status="400"} 1.0' in text


def test_stopping_waits_for_a_body_and_then_for_its_answer(running, upload):
    app = create_app(
        {"slow": Pipeline(Slow(0.8), ("B04", "B08"))}, limits=Limits(seconds=1.9, body_seconds=5)
    )
    server, body = running(app, server_options(app)), upload()
    head = (
        "POST /pipelines/slow?format=json HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connect(server.url) as client:
        client.sendall(head.encode() + body[:50])
        while app.state.service.bodies.arriving == 0:
            time.sleep(0.01)
        server.server.should_exit = True
        time.sleep(1.5)
        client.sendall(body[50:])
        assert client.recv(4000).startswith(b"HTTP/1.1 200")
    server.stop()


def test_a_reader_that_takes_nothing_is_let_go(running, upload):
    # More than the system keeps for a connection on both sides together.
    app = create_app({"noise": Pipeline(Noise(2500), BANDS)}, limits=Limits(body_seconds=1.5))
    server, body = running(app, server_options(app)), upload()
    head = (
        "POST /pipelines/noise HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connect(server.url) as client:
        client.settimeout(60)
        client.sendall(head.encode() + body)
        first = client.recv(1000)
        assert first.startswith(b"HTTP/1.1 200")
        length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        deadline = time.monotonic() + 60
        while server.server.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        taken = 0
        try:
            while part := client.recv(1 << 20):
                taken += len(part)
        except ConnectionResetError:
            part = b""
        assert taken < length, "the server let go before it had sent everything"
    assert requests.get(f"{server.url}/healthz", timeout=20).json()["jobs"] == 0
    server.stop()


def test_a_reader_that_keeps_reading_gets_everything(serve, upload):
    app = create_app({"noise": Pipeline(Noise(2000), BANDS)}, limits=Limits(body_seconds=1.5))
    url = serve(app, **server_options(app))
    with requests.post(
        f"{url}/pipelines/noise",
        data=upload(),
        headers={"Content-Type": "image/tiff"},
        stream=True,
        timeout=60,
    ) as answer:
        length, taken = int(answer.headers["content-length"]), 0
        for part in answer.iter_content(256 << 10):
            taken += len(part)
            time.sleep(0.05)
    assert taken == length


def test_one_connection_too_many_is_told_when_to_come_again(start):
    url, app = start(running=1, waiting=0, body_seconds=20)
    idle = [connect(url) for _ in range(8)]
    try:
        deadline = time.monotonic() + 60
        while True:
            with connect(url) as client:
                answer = client.recv(4000)
            if answer or time.monotonic() > deadline:
                break
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in head
        assert f"X-Config-Hash: {app.state.service.config_hash}".encode() in head
        assert json.loads(body)["status"] == 503
    finally:
        for client in idle:
            client.close()
    deadline = time.monotonic() + 60
    while requests.get(f"{url}/healthz", timeout=20).status_code != 200:
        assert time.monotonic() < deadline
