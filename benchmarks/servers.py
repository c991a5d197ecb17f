"""Servers in processes of their own, and how long they take to answer several clients."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_HERE = "127.0.0.1"


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


@contextmanager
def running_module(
    module: str,
    *arguments: str,
    health: str = "/healthz",
    seconds: float = 90.0,
    env: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run `python -m MODULE ARGUMENTS --port PORT` in a process of its own; yield its address.

    At the end of the block it is asked to stop (SIGINT), as by Ctrl-C in a terminal, and has
    thirty seconds to finish what is under way; what it leaves behind of itself and its children
    is killed.

    Parameters
    ----------
    module, *arguments
        What runs; the port is added.
    health
        The path that answers 200 once the server is ready.
    seconds
        How long starting may take.
    env
        Added to this process's environment.

    Yields
    ------
    str
        `http://127.0.0.1:PORT`.

    Raises
    ------
    RuntimeError
        With the end of what it printed, when it ends before it is ready.
    TimeoutError
        When it isn't ready in time.
    """
    port = str(free_port())
    url = f"http://{_HERE}:{port}"
    ends = time.monotonic() + seconds
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--port", port],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            # A group of its own, so that its children can be told apart from ours.
            start_new_session=True,
        )
        try:
            while not _answers(url + health):
                ended = process.poll() is not None
                if ended or time.monotonic() > ends:
                    printed.seek(0)
                    lines = printed.read().decode("utf-8", "replace").splitlines()[-12:]
                    told = "\n".join(lines)
                    if ended:
                        raise RuntimeError(
                            f"{module} ended with status {process.returncode} before it was "
                            f"ready:\n{told}"
                        )
                    raise TimeoutError(
                        f"{module} was not ready within {seconds:g} s; it printed:\n{told}"
                    )
                time.sleep(0.05)
            yield url
        finally:
            _stop(process)


def free_port() -> int:
    """Return a free port below those that the system itself gives to whoever asks for any."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server((_HERE, port)):
            return port
    raise OSError("a hundred ports of this machine are taken")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, reset, timed out, or an answer that is an error
        return False


def _stop(process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            logger.warning("%s did not stop within %g s and is killed", process.args, seconds)
            process.kill()
            process.wait()
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
