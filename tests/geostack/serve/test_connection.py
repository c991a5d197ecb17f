"""A connection that stands still is let go, and one too many is told when to come again.

The time of the servers here stands until a test lets it pass.
"""

import json
import socket
import time

import numpy as np
import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from georeader.geotensor import GeoTensor
from waiting import until

from geostack.serve import Limits, Pipeline, create_app
from geostack.serve.connection import LINGER, server_options
from pipekit import Identity, Operator

SECONDS = 2.0
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
def start(running):
    started = []

    def begin(operator=None, still=True, **limits):
        app = create_app(
            {"same": Pipeline(operator or Identity(), BANDS)},
            limits=Limits(**{"body_seconds": SECONDS, **limits}),
        )
        started.append(running(app, server_options(app), still))
        return started[-1], app

    yield begin
    for server in started:
        server.stop()


def connect(server) -> socket.socket:
    """A connection that the server has accepted."""
    before = len(server.connections)
    client = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    until(lambda: len(server.connections) > before, "the connection is accepted")
    return client


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


def posting(body: bytes, query: str = "") -> bytes:
    """The head of a request that posts a GeoTIFF."""
    return (
        f"POST /pipelines/same{query} HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD[:10]])
def test_a_head_that_does_not_come_is_not_waited_for(start, sent):
    server, _ = start()
    with connect(server) as client:
        client.sendall(sent)
        server.let_pass(0.9 * SECONDS)
        assert server.connections
        server.let_pass(0.1 * SECONDS)
        assert ended(client)
    assert requests.get(f"{server.url}/healthz", timeout=120).status_code == 200


def test_dribbling_a_head_gains_no_time(start):
    server, _ = start()
    with connect(server) as client:
        for _ in range(8):
            assert server.connections
            client.sendall(b"X")
            server.let_pass(SECONDS / 8)
        assert ended(client)


def test_the_second_head_of_a_connection_has_a_deadline_too(start):
    server, _ = start()
    with connect(server) as client:
        client.sendall(HEAD + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200")
        server.let_pass(1.5 * SECONDS)  # an idle connection is kept a while
        client.sendall(HEAD + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200")
        client.sendall(HEAD)
        (connection,) = server.connections
        until(lambda: connection.conn.trailing_data[0] == HEAD, "half a head is there")
        server.let_pass(SECONDS)
        assert ended(client)


def test_an_answer_under_way_outlives_the_deadline_of_its_head(start, upload):
    """A body may come after the head's deadline, and is waited for on its own account."""
    server, app = start()
    body = upload()
    with connect(server) as client:
        server.let_pass(0.6 * SECONDS)
        client.sendall(posting(body, "?format=json") + body[:50])
        until(lambda: app.state.service.bodies.arriving, "the body arrives")
        server.let_pass(0.6 * SECONDS)
        client.sendall(body[50:])
        assert client.recv(4000).startswith(b"HTTP/1.1 200")


def test_a_body_that_drips_on_after_its_answer_holds_no_place(start):
    """Eight such clients would shut everybody else out of a server for one job at a time."""
    server, _ = start(running=1, waiting=0, body_seconds=5)
    clients = [connect(server) for _ in range(8)]
    for client in clients:
        client.sendall(
            b"POST /pipelines/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert everything(client).startswith(b"HTTP/1.1 404"), "answered before its body came"
    for _ in range(4):
        assert len(server.connections) == 8
        for client in clients:
            client.sendall(b"1\r\na\r\n")
        server.let_pass(LINGER / 4)
    until(lambda: not server.connections, "those who drip are let go")
    for client in clients:
        client.close()
    assert requests.get(f"{server.url}/healthz", timeout=120).status_code == 200


def test_a_body_that_ends_after_its_answer_is_followed_by_the_next_request(start):
    server, _ = start()
    with connect(server) as client:
        client.sendall(b"POST /pipelines/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
        assert everything(client).startswith(b"HTTP/1.1 404")
        server.let_pass(0.9 * LINGER)
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
    server, app = start()
    with connect(server) as client:
        client.sendall(request_head)
        answer = everything(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"Content-Type: application/problem+json" in head
    assert f"X-Config-Hash: {app.state.service.config_hash}".encode() in head
    assert json.loads(body)["status"] == 400


def test_a_body_that_breaks_off_is_no_failure_of_the_server(start):
    server, _ = start()
    with connect(server) as client:
        client.sendall(posting(bytes(100)) + b"II*")

    def counted() -> str:
        text = requests.get(f"{server.url}/metrics", timeout=120).text
        return text if 'method="POST"' in text else ""

    text = until(counted, "the broken request is counted")
    assert 'method="POST",route="/pipelines/{name}",status="400"} 1.0' in text


def test_stopping_waits_for_a_body_and_then_for_its_answer(start, upload):
    server, app = start(Slow(0.5), still=False, seconds=120, body_seconds=120)
    body = upload()
    with connect(server) as client:
        client.sendall(posting(body, "?format=json") + body[:50])
        until(lambda: app.state.service.bodies.arriving, "the body arrives")
        server.server.should_exit = True
        until(lambda: not server.server.servers[0].sockets, "it has begun to stop")
        client.sendall(body[50:])
        assert client.recv(4000).startswith(b"HTTP/1.1 200")


def test_a_reader_that_takes_nothing_is_let_go(start, upload):
    # More than the system keeps for a connection on both sides together.
    server, _ = start(Noise(2500))
    body = upload()
    with connect(server) as client:
        client.sendall(posting(body) + body)
        first = client.recv(1000)
        assert first.startswith(b"HTTP/1.1 200")
        length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        until(lambda: server.let_pass(SECONDS) or not server.connections, "the reader is let go")
        taken = 0
        try:
            while part := client.recv(1 << 20):
                taken += len(part)
        except ConnectionResetError:
            part = b""
        assert taken < length, "the server let go before it had sent everything"
    assert requests.get(f"{server.url}/healthz", timeout=120).json()["jobs"] == 0


def test_a_reader_that_keeps_reading_gets_everything(start, upload):
    server, _ = start(Noise(2000), still=False, body_seconds=6.0)
    with requests.post(
        f"{server.url}/pipelines/same",
        data=upload(),
        headers={"Content-Type": "image/tiff"},
        stream=True,
        timeout=120,
    ) as answer:
        length, taken = int(answer.headers["content-length"]), 0
        for part in answer.iter_content(256 << 10):
            taken += len(part)
            time.sleep(0.12)
    assert taken == length


def test_one_connection_too_many_is_told_when_to_come_again(start):
    server, app = start(running=1, waiting=0)
    idle = [connect(server) for _ in range(8)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as client:
        answer = client.recv(4000)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in head
    assert f"X-Config-Hash: {app.state.service.config_hash}".encode() in head
    assert json.loads(body)["status"] == 503
    for client in idle:
        client.close()
    until(lambda: not server.connections, "the idle ones are gone")
    assert requests.get(f"{server.url}/healthz", timeout=120).status_code == 200
