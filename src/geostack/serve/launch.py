"""A server that lives as long as a `with` block, in a thread of this process."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

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
