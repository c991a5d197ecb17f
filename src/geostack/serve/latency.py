"""How long a server takes to answer, asked by several clients at the same time."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

__all__ = ["Latency", "ask_all"]


@dataclass(frozen=True)
class Latency:
    """What a run of requests found: `seconds` (N,) float64 of each good answer.

    `failed` counts the answers that were no 200, and the connections that broke; `elapsed` is the
    whole run in seconds.

    >>> run = Latency(2, np.array([0.01, 0.03]), failed=0, elapsed=0.02)
    >>> run
    Latency(2 requests, 2 clients: p50 20.0 ms, p95 29.0 ms, p99 29.8 ms, 100 a second, 0 failed)
    """

    clients: int
    seconds: NDArray[np.float64]
    failed: int
    elapsed: float

    def percentile(self, q: float) -> float:
        """Return the time, in milliseconds, within which `q` percent of the answers came.

        NaN when there was none.
        """
        return float(1e3 * np.percentile(self.seconds, q)) if len(self.seconds) else float("nan")

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return len(self.seconds) / self.elapsed

    def __repr__(self) -> str:
        times = ", ".join(f"p{q} {self.percentile(q):.1f} ms" for q in (50, 95, 99))
        asked = f"{len(self.seconds) + self.failed} requests, {self.clients} clients"
        return f"Latency({asked}: {times}, {self.per_second:.0f} a second, {self.failed} failed)"


def ask_all(url: str, paths: Sequence[str], *, clients: int = 1, timeout: float = 60.0) -> Latency:
    """GET every path once from a server and return how long the answers took.

    Each client has one connection, which it keeps, and takes the next path as soon as its last
    answer is read to the end: a closed loop, so that a slower server is asked less often.

    - `url`: of the server, `http://HOST:PORT`.
    - `timeout`: seconds after which an answer counts as failed.

    Raises ValueError for no path or no client.

    >>> from geostack.serve import create_app
    >>> from geostack.serve.launch import running
    >>> with running(create_app()) as url:
    ...     run = ask_all(url, ["/healthz"] * 10 + ["/nowhere"], clients=2)
    >>> len(run.seconds), run.failed
    (10, 1)
    """
    if clients < 1 or not paths:
        raise ValueError(f"needs at least one client and one path, got {clients}, {len(paths)}")
    address = urlsplit(url).netloc
    todo: SimpleQueue[str] = SimpleQueue()
    for path in paths:
        todo.put(path)
    found: list[float] = []  # list.append is atomic: one list serves all threads
    threads = [
        threading.Thread(target=_client, args=(address, todo, found, timeout), daemon=True)
        for _ in range(clients)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    return Latency(clients, np.array(found), len(paths) - len(found), elapsed)


def _client(address: str, todo: SimpleQueue[str], found: list[float], timeout: float) -> None:
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        while True:
            path = todo.get_nowait()
            began = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()  # the next request opens it again
                continue
            if answer.status == 200:
                found.append(time.perf_counter() - began)
    except Empty:
        return
    finally:
        connection.close()
