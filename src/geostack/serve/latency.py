"""How long a server takes to answer, asked by several clients at the same time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

__all__ = ["Latency", "ask_all"]


@dataclass(frozen=True)
class Latency:
    """What a run of requests found.

    Parameters
    ----------
    clients
        How many asked at the same time.
    seconds
        (N,) float64, of each good answer.
    failed
        The number of answers that were no 200, and of connections that broke.
    elapsed
        Seconds of the whole run.

    Examples
    --------
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

    Parameters
    ----------
    url
        Of the server, `http://HOST:PORT`.
    paths
        What to ask for, in this order.
    clients
        How many ask at the same time.
    timeout
        Seconds after which an answer counts as failed.

    Returns
    -------
    Latency
        The times of the good answers, and how many others there were.

    Raises
    ------
    ValueError
        For no path or no client.

    Examples
    --------
    >>> from geostack.serve import create_app
    >>> from geostack.serve.launch import running
    >>> with running(create_app()) as url:
    ...     run = ask_all(url, ["/healthz"] * 10 + ["/nowhere"], clients=2)
    >>> len(run.seconds), run.failed
    (10, 1)
    """
    if clients < 1 or not paths:
        raise ValueError(f"needs at least one client and one path, got {clients}, {len(paths)}")
    todo: SimpleQueue[str] = SimpleQueue()
    for path in paths:
        todo.put(path)
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(_ask, urlsplit(url).netloc, todo, timeout) for _ in range(clients)]
        found = [seconds for client in asking for seconds in client.result()]
    elapsed = time.perf_counter() - began
    return Latency(clients, np.array(found), len(paths) - len(found), elapsed)


def _ask(address: str, todo: SimpleQueue[str], timeout: float) -> list[float]:
    """Be one client: return the times of its good answers once nothing is left to ask for."""
    found: list[float] = []
    with closing(HTTPConnection(address, timeout=timeout)) as connection, suppress(Empty):
        while path := todo.get_nowait():
            began = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException):
                connection.close()  # the next request opens it again
                continue
            if answer.status == 200:
                found.append(time.perf_counter() - began)
    return found
