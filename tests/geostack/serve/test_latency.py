"""Every path is asked once, by as many clients as were named, and every failure is counted."""

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from geostack.serve.latency import Latency, ask_all


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    connections: set[int]
    busy = most = 0
    lock = threading.Lock()

    def do_GET(self):
        with self.lock:
            type(self).asked[self.path] += 1
            type(self).connections.add(self.client_address[1])
            type(self).busy += 1
            type(self).most = max(self.most, self.busy)
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
    kind = type("Counting", (Handler,), {"asked": Counter(), "connections": set()})
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
    ask_all(url, [f"/slow{number}" for number in range(12)], clients=3)
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
    from geostack.serve.launch import free_port

    run = ask_all(f"http://127.0.0.1:{free_port()}", ["/a", "/b"], timeout=2)
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
