"""What every answer has: the config's hash, safe headers, a problem body for an error, a count."""

# No `from __future__ import annotations`: FastAPI reads the handlers' annotations, and its classes
# are imported within a function.
import time
from collections.abc import Callable, Mapping
from typing import Any

from geostack.serve.problem import MEDIA_TYPE, Problem

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_SAFE = {"X-Content-Type-Options": "nosniff"}


class Metrics:
    """Numbers about a server, for Prometheus to fetch: answers, their times, jobs, tiles.

    Each server has its own registry, so that several can live in one process. Labels are routes,
    never addresses: what a client makes up adds no series.

    Parameters
    ----------
    held
        Tells how many jobs run or wait.
    """

    def __init__(self, held: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        own = self._registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter("geostack_requests", "Answers given.", labels, registry=own)
        self._seconds = Histogram(
            "geostack_request_seconds",
            "Time from request to answer.",
            ("route",),
            registry=own,
            buckets=_SECONDS,
        )
        self._tiles = Counter(
            "geostack_tiles", "Tiles, by where they came from.", ("cache",), registry=own
        )
        jobs = Gauge("geostack_jobs", "Jobs that run or wait.", registry=own)
        jobs.set_function(held)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def tile(self, hit: bool) -> None:
        """Count a tile."""
        self._tiles.labels("hit" if hit else "miss").inc()

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self._registry))


class Answers:
    """Puts the config's hash and safe defaults on every answer, and counts it.

    HEAD is answered as GET is (RFC 9110, 9.3.2); the server leaves out the content.
    """

    def __init__(self, app: Any, config_hash: str, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        usual = {**_SAFE, "X-Config-Hash": config_hash}
        self._usual = [(name.lower().encode(), value.encode()) for name, value in usual.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, method = time.perf_counter(), 500, scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                added = [pair for pair in self._usual if pair[0] not in named]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.answered(route, method, status, time.perf_counter() - started)


def add_problems(app: Any, config_hash: str) -> None:
    """Answer every error with a problem body (RFC 9457)."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect

    def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
        # Starlette answers a bug outside of every middleware: so the headers are put here too.
        usual = {"X-Config-Hash": config_hash, **_SAFE, **problem.headers()}
        return JSONResponse(
            problem.body(config_hash),
            status_code=problem.status,
            media_type=MEDIA_TYPE,
            headers={**usual, **(headers or {})},
        )

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        places = ", ".join(str(each["loc"][-1]) for each in error.errors())
        return answer(Problem(422, f"these can't be read: {places}"))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        return answer(Problem(error.status_code, str(error.detail)), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def on_gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        # Nobody hears it; without it the log would call this a failure of the server.
        return answer(Problem(400, "the client went away"))

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        return answer(Problem(500, f"the server failed with {type(error).__name__}", 5))
