"""Servers end with their block; every path is asked once, and every failure is counted."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import numpy as np
import pytest
from servers import Latency, _stop, ask_all, free_port, running_module
from waiting import until


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    connections: set[int]
    busy = most = 0
    lock = threading.Lock()
    together: threading.Event

    def do_GET(self):
        with self.lock:
            type(self).asked[self.path] += 1
            type(self).connections.add(self.client_address[1])
            type(self).busy += 1
            type(self).most = max(self.most, self.busy)
            if self.busy > 1:
                self.together.set()
        if self.path.startswith("/together"):
            self.together.wait(300)
        time.sleep(0.02 if self.path.startswith("/slow") else 0.001)
        with self.lock:
            type(self).busy -= 1
        if self.path == "/cut":
            self.close_connection = True
            return
        self.send_response(500 if self.path == "/error" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    """A server that counts who asks for what."""
    own = {"asked": Counter(), "connections": set(), "together": threading.Event()}
    kind = type("Counting", (Handler,), own)
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}", kind
        made.shutdown()
        thread.join()


def test_each_path_is_asked_once_over_kept_connections(server):
    url, kind = server
    paths = [f"/{number}" for number in range(50)]
    run = ask_all(url, paths, clients=4)
    assert kind.asked == Counter(paths)
    assert len(kind.connections) <= 4
    assert (len(run.seconds), run.failed, run.clients) == (50, 0, 4)


def test_no_more_clients_than_named_ask_at_the_same_time(server):
    url, kind = server
    ask_all(url, [f"/together{number}" for number in range(12)], clients=3, timeout=400)
    assert 1 < kind.most <= 3


def test_times_are_those_of_the_answers(server):
    url, _ = server
    run = ask_all(url, ["/slow"] * 5)
    assert (run.seconds >= 0.02).all()
    assert run.elapsed >= run.seconds.sum()


def test_errors_and_broken_connections_are_counted_and_the_rest_goes_on(server):
    url, kind = server
    run = ask_all(url, ["/a", "/cut", "/error", "/b"])
    assert (len(run.seconds), run.failed) == (2, 2)
    assert kind.asked["/b"] == 1


def test_nobody_at_home_means_all_failed():
    with socket.socket() as held:  # nobody else gets its port, and it does not listen
        held.bind(("127.0.0.1", 0))
        run = ask_all(f"http://127.0.0.1:{held.getsockname()[1]}", ["/a", "/b"])
    assert (len(run.seconds), run.failed) == (0, 2)
    assert np.isnan(run.percentile(50))


def test_percentiles_are_in_milliseconds():
    run = Latency(1, np.arange(1, 102) / 1e3, 0, 2.0)
    assert [round(run.percentile(q), 9) for q in (0, 50, 99, 100)] == [1, 51, 100, 101]
    assert run.per_second == 50.5


@pytest.mark.parametrize(("paths", "clients"), [([], 1), (["/a"], 0)])
def test_nothing_to_ask_is_refused(paths, clients):
    with pytest.raises(ValueError, match="at least one client and one path"):
        ask_all("http://127.0.0.1:1", paths, clients=clients)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make an importable module of a text, and return its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(text: str) -> str:
        (tmp_path / "small_server.py").write_text(text)
        return "small_server"

    return make


# A child of the server writes its id, and would live for long.
FAMILY = """
import http.server, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"])
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
    except (FileNotFoundError, ProcessLookupError):
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
    until(lambda: not any(map(is_alive, pids)), "both have ended")
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
    name = module("import time\nprint('still loading', flush=True)\ntime.sleep(900)")
    began = time.monotonic()
    for seconds in (3, 120):  # a busy machine may not even have begun in time
        with (
            pytest.raises(TimeoutError, match=f"not ready within {seconds} s") as told,
            running_module(name, seconds=seconds),
        ):
            pass
        if "still loading" in str(told.value):
            break
    else:
        pytest.fail(str(told.value))
    assert time.monotonic() - began < 800


def test_a_module_that_ignores_interrupts_is_killed(module, monkeypatch: pytest.MonkeyPatch):
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
    _stop(process, seconds=0.3)
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
