"""A connection that stands still is let go, and one too many is told when to come again."""

import json
import socket
import time

import numpy as np
import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from geostack.serve import Limits, Pipeline, create_app
from geostack.serve.connection import server_options
from pipekit import Identity

SECONDS = 0.4
HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


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
            while time.monotonic() < began + 20:
                client.sendall(b"X")
                time.sleep(0.05)
        assert time.monotonic() < began + 20


def test_the_second_head_of_a_connection_has_a_deadline_too(start):
    url, _ = start()
    with connect(url) as client:
        client.sendall(HEAD + b"\r\n")
        assert client.recv(4000).startswith(b"HTTP/1.1 200")
        time.sleep(2 * SECONDS)  # an idle connection is kept a while
        client.sendall(HEAD + b"\r\n")
        assert client.recv(4000).startswith(b"HTTP/1.1 200")
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


def test_a_head_that_is_too_long_is_refused(start):
    url, _ = start()
    with connect(url) as client:
        client.sendall(HEAD + b"X-Long: " + b"x" * 40_000)
        assert client.recv(100).split()[1] == b"400"


def test_a_reader_that_takes_nothing_is_let_go(start, upload):
    url, _ = start(max_body=64 << 20, max_pixels=20_000_000, body_seconds=1.5)
    random = np.random.default_rng(0)
    # More than the system keeps for a connection on both sides together.
    body = upload(random.integers(0, 60_000, (2, 2500, 2500)).astype("uint16"))
    head = (
        "POST /pipelines/same HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connect(url) as client:
        client.sendall(head.encode() + body)
        first = client.recv(1000)
        assert first.startswith(b"HTTP/1.1 200")
        length = int(first.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        time.sleep(4)
        taken = 0
        try:
            while part := client.recv(1 << 20):
                taken += len(part)
        except ConnectionResetError:
            part = b""
        assert taken < length, "the server let go before it had sent everything"
    assert requests.get(f"{url}/healthz", timeout=20).json()["jobs"] == 0


def test_a_reader_that_keeps_reading_gets_everything(start, upload):
    url, _ = start(max_body=64 << 20, max_pixels=20_000_000, body_seconds=1.5)
    random = np.random.default_rng(0)
    body = upload(random.integers(0, 60_000, (2, 2000, 2000)).astype("uint16"))
    with requests.post(
        f"{url}/pipelines/same",
        data=body,
        headers={"Content-Type": "image/tiff"},
        stream=True,
        timeout=20,
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
        deadline = time.monotonic() + 10
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
    deadline = time.monotonic() + 10
    while requests.get(f"{url}/healthz", timeout=20).status_code != 200:
        assert time.monotonic() < deadline
