"""Servers that live as long as a `with` block: in a thread, or in a process of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

__all__ = ["free_port", "running", "running_module"]

logger = logging.getLogger(__name__)

_HERE = "127.0.0.1"


@contextmanager
def running(app: Any, *, seconds: float = 20.0) -> Iterator[str]:
    """Serve an ASGI application from a thread of this process, and yield its address.

    It listens on a free port that only this machine can reach. At the end of the block the server
    finishes what is under way, for three quarters of its time; then it cuts off what is left: the
    client is answered with a 503 or finds the connection closed, and a warning in the log names
    the requests. The block itself never fails because of a request.

    Parameters
    ----------
    app
        The application.
    seconds
        How long starting, and then stopping, may take.

    Yields
    ------
    str
        `http://127.0.0.1:PORT`.

    Raises
    ------
    TimeoutError
        When it doesn't start in time.
    RuntimeError
        When the application fails to start.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> from geostack.serve import create_app
    >>> with running(create_app()) as url, urlopen(url + "/healthz") as answer:
    ...     answer.status
    200
    """
    watched = _Watched(app)
    server = _server(watched, 0.75 * seconds)
    # A daemon, as are the threads that it starts: a route that can't be stopped holds up nobody.
    thread = threading.Thread(target=_serve, args=(server,), name="geostack-server", daemon=True)
    thread.start()
    ends = time.monotonic() + seconds
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the application failed to start; its lifespan raised an error")
            if time.monotonic() > ends:
                raise TimeoutError(f"the server did not start within {seconds:g} s")
            time.sleep(0.01)
        yield f"http://{_HERE}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(seconds)
        late = [*watched.cut_off, *watched.under_way.values()]
        if late or thread.is_alive():
            logger.warning(
                "the server stopped after %g s; cut off were %s", seconds, ", ".join(late) or "none"
            )


class _Watched:
    """An application that knows which of its requests have no whole answer yet."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.under_way: dict[int, str] = {}
        self.cut_off: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name, started = f"{scope['method']} {quote(scope['path'])}", False

        async def send_noted(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        self.under_way[id(scope)] = name
        try:
            await self.app(scope, receive, send_noted)
        except asyncio.CancelledError:  # by uvicorn, whose time to stop is over
            self.cut_off.append(name)
            if started:
                raise
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            told = f"{name} was cut off: the server stopped before it was done"
            await send({"type": "http.response.body", "body": told.encode()})
        finally:
            del self.under_way[id(scope)]


def _server(app: Any, grace: float) -> Any:
    """Return a uvicorn server that finishes its requests for `grace` seconds, then drops them."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await super().shutdown(sockets)
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    config = uvicorn.Config(app, host=_HERE, port=0, log_level="critical", ws="none")
    config.timeout_graceful_shutdown = grace  # type: ignore[assignment]  # awaited as a float
    return Server(config)


def _serve(server: Any) -> None:
    # uvicorn leaves the process when an application can't start; here that ends the thread only.
    with suppress(SystemExit):
        server.run()


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

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> with running_module("geostack.serve.launch", health="/") as url:
    ...     pass
    Traceback (most recent call last):
    RuntimeError: geostack.serve.launch ended with status 0 before it was ready:...
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
    """Return a port of this machine that nobody listens on at this moment.

    >>> 1024 <= free_port() < 65536
    True
    """
    with socket.socket() as probe:
        probe.bind((_HERE, 0))
        return int(probe.getsockname()[1])


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
