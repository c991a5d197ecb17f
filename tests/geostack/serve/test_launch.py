"""Servers live exactly as long as their block."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn")

from geostack.serve.launch import free_port, running, running_module

BEGUN = threading.Event()


async def tell_path(scope, receive, send):
    """Answer every path but /slow with itself at once."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        import asyncio

        BEGUN.set()
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def is_listening(url: str) -> bool:
    port = int(url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_application_answers_inside_the_block_and_not_after():
    with running(tell_path) as url, urlopen(f"{url}/here") as answer:
        assert answer.read() == b"/here"
    assert not is_listening(url)
    assert "geostack-server" not in {thread.name for thread in threading.enumerate()}


def test_two_applications_get_two_ports():
    with running(tell_path) as one, running(tell_path) as other:
        assert one != other
        assert is_listening(one)
        assert is_listening(other)


def test_what_is_under_way_is_finished():
    read: list[bytes] = []

    def ask(url: str) -> None:
        with urlopen(f"{url}/slow") as answer:
            read.append(answer.read())

    with running(tell_path) as url:
        client = threading.Thread(target=ask, args=(url,))
        client.start()
        assert BEGUN.wait(60)
    client.join()
    assert read == [b"/slow"]


def test_an_error_in_the_block_stops_the_server_too():
    with pytest.raises(ZeroDivisionError), running(tell_path) as url:
        raise ZeroDivisionError
    assert not is_listening(url)


def test_an_application_that_fails_to_start_is_an_error():
    from starlette.applications import Starlette

    def fail(app):
        raise OSError("no database")

    with pytest.raises(RuntimeError, match="failed to start"), running(Starlette(lifespan=fail)):
        pass


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make an importable module of a text, and return its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(text: str) -> str:
        (tmp_path / "small_server.py").write_text(text)
        return "small_server"

    return make


# A child of the server writes its id, and would live for a minute.
FAMILY = """
import http.server, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, though nobody has asked how


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
def test_a_module_and_its_children_end_with_the_block(module, tmp_path: Path):
    told = tmp_path / "pids"
    with running_module(module(FAMILY), str(told)) as url:
        pids = [int(pid) for pid in told.read_text().split()]
        assert all(is_alive(pid) for pid in pids)
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{url}/other")
    for _ in range(3000):
        if not any(is_alive(pid) for pid in pids):
            break
        time.sleep(0.02)
    assert not any(is_alive(pid) for pid in pids)
    with pytest.raises(URLError):
        urlopen(url)


def test_a_module_that_ends_at_once_says_why(module):
    name = module("raise SystemExit('the settings name no layer')")
    with (
        pytest.raises(RuntimeError, match=r"(?s)ended with status 1.*the settings name no layer"),
        running_module(name),
    ):
        pass


def test_a_module_that_is_never_ready_is_stopped(module):
    name = module("import time\nprint('still loading', flush=True)\ntime.sleep(60)")
    began = time.monotonic()
    with (
        pytest.raises(TimeoutError, match=r"(?s)not ready within 3 s.*still loading"),
        running_module(name, seconds=3),
    ):
        pass
    assert time.monotonic() - began < 55


def test_a_module_that_ignores_interrupts_is_killed(module, monkeypatch: pytest.MonkeyPatch):
    from geostack.serve import launch

    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, "
            "flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    launch._stop(process, seconds=0.3)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_the_environment_reaches_the_module(module):
    name = module("import os\nraise SystemExit(os.environ['COLOUR'] + os.environ['PYTHONPATH'])")
    with (
        pytest.raises(RuntimeError, match="green" + os.environ["PYTHONPATH"]),
        running_module(name, env={"COLOUR": "green"}),
    ):
        pass


def test_a_free_port_can_be_bound():
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))
