"""Numbers about a server, for Prometheus to fetch."""

from __future__ import annotations

from collections.abc import Callable

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Metrics:
    """Requests, how long they took, what is under way, and the tiles' cache.

    Each server has its own registry, so that several can live in one process. Labels are routes,
    never addresses: what a client makes up adds no series.

    - `held`: tells how many jobs run or wait.
    """

    def __init__(self, held: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        labels = ("route", "method", "status")
        self._requests = Counter(
            "geostack_requests", "Answers given.", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "geostack_request_seconds",
            "Time from request to answer.",
            ("route",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._tiles = Counter(
            "geostack_tiles", "Tiles, by where they came from.", ("cache",), registry=self._registry
        )
        jobs = Gauge("geostack_jobs", "Jobs that run or wait.", registry=self._registry)
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
