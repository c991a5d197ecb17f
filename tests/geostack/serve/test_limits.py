"""What waits is bounded, what is refused says when to come again, what was made late is kept."""

import asyncio
import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from geostack.errors import NoSceneError, PixelReadError, SourceUnavailableError
from geostack.serve.limits import Bodies, Gate, Limits
from geostack.serve.problem import Problem
from geostack.serve.tiles import TileService


def raised(gate: Gate, job) -> Problem:
    with pytest.raises(Problem) as caught:
        asyncio.run(gate.run(job))
    return caught.value


def fails(error: Exception):
    def job():
        raise error

    return job


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SourceUnavailableError("https://a.b/?sig=secret is down"), 503),
        (PixelReadError("can't read /srv/secret.tif"), 503),
        (NoSceneError("none at /srv/secret"), 404),
        (TimeoutError("a socket to secret.example timed out"), 500),
        (RuntimeError("/srv/secret"), 500),
        (MemoryError("secret"), 500),
        (Problem(413, "too large"), 413),
    ],
)
def test_an_error_becomes_a_problem_that_tells_no_secret(error, status):
    gate = Gate(Limits(running=1))
    problem = raised(gate, fails(error))
    assert problem.status == status
    assert "secret" not in problem.detail
    assert (problem.retry_after or 0) > 0 or status < 500
    assert gate.held == 0
    gate.close()


def test_a_closed_gate_refuses_and_holds_nothing():
    gate = Gate(Limits(running=1))
    gate.close()
    problem = raised(gate, lambda: 1)
    assert (problem.status, problem.retry_after) == (503, 5)
    assert gate.held == 0


def test_closing_waits_for_what_is_under_way():
    gate, ended = Gate(Limits(running=1, waiting=3)), []

    async def begin() -> None:
        tasks = [
            asyncio.ensure_future(gate.run(lambda n=n: time.sleep(0.1) or ended.append(n)))
            for n in range(3)
        ]
        await asyncio.sleep(0.02)
        await asyncio.to_thread(gate.close)
        await asyncio.gather(*tasks)

    asyncio.run(begin())
    assert ended == [0, 1, 2]


def test_what_is_ready_when_time_is_up_is_given(monkeypatch):
    async def too_late(job, seconds):
        await job
        raise TimeoutError

    monkeypatch.setattr(asyncio, "wait_for", too_late)
    gate = Gate(Limits(running=1))
    assert asyncio.run(gate.run(lambda: 42)) == 42
    gate.close()


def test_a_job_that_nobody_waits_for_any_more_never_begins():
    gate, began, go = Gate(Limits(running=1, waiting=1)), [], threading.Event()

    async def leave() -> None:
        first = asyncio.ensure_future(gate.run(go.wait))
        second = asyncio.ensure_future(gate.run(lambda: began.append(1)))
        while gate.held < 2:
            await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go.set()
        await first

    asyncio.run(leave())
    gate.close()
    assert began == []
    assert gate.held == 0


class SlowLayer:
    """A layer whose tile takes longer than an answer may."""

    def __init__(self) -> None:
        self.made = 0
        self.go = threading.Event()

    def is_known_empty(self, z: int, x: int, y: int) -> bool:
        return False

    def tile(self, z: int, x: int, y: int) -> bytes:
        self.made += 1
        self.go.wait(60)
        return b"png"


def test_a_tile_that_came_too_late_is_there_for_the_next():
    gate, layer = Gate(Limits(running=1, seconds=0.1)), SlowLayer()
    tiles = TileService({"slow": layer}, gate, 1000)

    async def ask_twice() -> tuple[bytes, bool]:
        status = 503
        while status == 503:  # a busy machine had no time to begin it
            with pytest.raises(Problem) as late:
                await tiles.tile("slow", 1, 0, 0)
            status = late.value.status
        assert (late.value.status, late.value.retry_after) == (504, 30)
        layer.go.set()
        while gate.held:
            await asyncio.sleep(0.01)
        tile, hit = await tiles.tile("slow", 1, 0, 0)
        return tile.png, hit

    assert asyncio.run(ask_twice()) == (b"png", True)
    assert layer.made == 1
    gate.close()


class Arriving:
    """A request whose body comes when it is told to."""

    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, come: asyncio.Event) -> None:
        self.come = come

    async def stream(self):
        await self.come.wait()
        yield b"body"


def test_only_so_many_bodies_arrive_at_a_time():
    limits = Limits(running=2, waiting=1, body_seconds=5)

    async def post() -> None:
        bodies, come = Bodies(limits), asyncio.Event()
        tasks = [asyncio.ensure_future(bodies.read(Arriving(come))) for _ in range(3)]
        await asyncio.sleep(0)
        assert bodies.arriving == 3
        with pytest.raises(Problem) as busy:
            await bodies.read(Arriving(come))
        assert (busy.value.status, busy.value.retry_after) == (503, 1)
        come.set()
        assert await asyncio.gather(*tasks) == [b"body"] * 3
        assert bodies.arriving == 0

    asyncio.run(post())


def test_a_body_that_fails_gives_its_place_back():
    bodies = Bodies(Limits(running=1, waiting=0, body_seconds=0.05, max_body=3))

    async def post() -> None:
        with pytest.raises(Problem) as slow:
            await bodies.read(Arriving(asyncio.Event()))
        come = asyncio.Event()
        come.set()
        with pytest.raises(Problem) as long:
            await bodies.read(Arriving(come))
        assert (slow.value.status, long.value.status) == (408, 413)
        assert bodies.arriving == 0

    asyncio.run(post())
