"""Connections: so many at a time, and those that stand still are let go.

uvicorn has a limit for the size of a head and for an idle connection, and they are used. It waits
for ever for a request's head, for the rest of a body that was answered already, and for a reader of
an answer: anyone could hold these open, at no cost. Its limit of connections is answered without a
hint when to come again, and what is no HTTP without a problem body.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from functools import partial
from math import ceil, inf
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from geostack.serve.limits import Limits
from geostack.serve.problem import Problem

HEAD_BYTES = 16_384
"""Bytes after which a head that has not ended is refused."""
LEAST_RATE = 8_192
"""Bytes a second that a reader must take, or it is let go."""
LINGER = 2.0
"""Seconds in which a body that was answered before its end may end."""


def server_options(app: Any) -> dict[str, Any]:
    """Return the arguments of `uvicorn.run` that suit an application of `create_app`.

    At most `8 * (running + waiting)` connections; a head has `body_seconds` to arrive, and what
    is read of an answer within each `body_seconds` must be 8 KiB a second; stopping finishes what
    is under way.

    Parameters
    ----------
    app
        What `create_app` returned.

    Returns
    -------
    dict
        For `uvicorn.run(app, port=8000, **server_options(app))`.

    Examples
    --------
    >>> from geostack.serve import create_app
    >>> server_options(create_app())["timeout_keep_alive"]
    5
    """
    service = app.state.service
    limits = service.limits
    return {
        "http": partial(GuardedProtocol, limits=limits, config_hash=service.config_hash),
        "ws": "none",
        "server_header": False,
        "h11_max_incomplete_event_size": HEAD_BYTES,
        "timeout_keep_alive": 5,
        # A body that has begun to arrive, and the answer to it.
        "timeout_graceful_shutdown": ceil(limits.body_seconds + limits.seconds) + 1,
    }


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with deadlines for heads, bodies and readers, and a limit of connections.

    Parameters
    ----------
    limits
        `body_seconds` is the deadline of a head and of a reader.
    config_hash
        What a refused connection is told with, as every answer is.
    """

    def __init__(self, *arguments: Any, limits: Limits, config_hash: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._seconds = limits.body_seconds
        self._most = 8 * (limits.running + limits.waiting)
        self._config_hash = config_hash
        self._awaited: Any = None
        self._deadline: TimerHandle | None = None
        self._reader: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a head, or refuse at once.

        Parameters
        ----------
        transport
            Of the connection.
        """
        super().connection_made(transport)
        if len(self.connections) > self._most:
            self._refuse(Problem(503, "the server has too many connections; try again", 1))
        else:
            self._await(h11.IDLE, self._seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more.

        Parameters
        ----------
        exc
            Why, or None.
        """
        self._await(None)
        _cancel(self._reader)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the deadline holds until they make a whole head.

        Parameters
        ----------
        data
            What came.
        """
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await(h11.IDLE, self._seconds)
        elif self.conn.our_state is not h11.DONE:
            self._await(None)

    def on_response_complete(self) -> None:
        """Hang up soon on who was answered before the end of its body and goes on sending it."""
        super().on_response_complete()
        # Not at once: what is sent and never read would take the answer with it (RFC 9112, 9.6).
        unread = self.conn.their_state is h11.SEND_BODY
        self._await(h11.SEND_BODY if unread else None, LINGER)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless an answer has begun: nothing can be said within it.

        Parameters
        ----------
        msg
            uvicorn's reason, which is not told.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(Problem(400, "the request is no HTTP/1.1"))
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """Watch a reader that does not keep up."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Stop watching a reader that does."""
        super().resume_writing()
        _cancel(self._reader)

    def _refuse(self, problem: Problem) -> None:
        body, headers = problem.answer(self._config_hash)
        headers |= {"Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"HTTP/1.1 {problem.status} {problem.title}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        self.transport.close()

    def _await(self, what: Any, seconds: float = 0.0) -> None:
        """Hang up unless what is awaited comes in time; a part of it gains no time."""
        if what is not self._awaited:
            _cancel(self._deadline)
            self._awaited = what
            if what is not None:
                self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _watch_reader(self, before: float = inf) -> None:
        """Hang up on a reader who took too little since so many bytes were left, or look later."""
        left = self.transport.get_write_buffer_size()
        if before - left < LEAST_RATE * self._seconds:
            self.transport.abort()
        else:
            self._reader = self.loop.call_later(self._seconds, self._watch_reader, left)


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
