"""A server's block ends within its seconds, whatever is under way, and leaves nothing behind."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")
pytest.importorskip("psutil", reason="looks at child processes")

import psutil
from waiting import until

from geostack.serve import Limits, Pipeline, create_app, running
from pipekit import Identity, Operator

SECONDS = 1.5
"""What the block has to stop in; every request below would take many."""
BANDS = ("B04", "B08")
ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
TIFF = {"Content-Type": "image/tiff"}


class Waits(Operator):
    """Works until the test is over, and can't be stopped."""

    over = threading.Event()
    begun = threading.Event()

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        Waits.begun.set()
        Waits.over.wait(900)
        return x


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What the first server imports; the others start at once, which is counted in their seconds."""
    with running(create_app({"same": Pipeline(Identity(), BANDS)})) as url:
        requests.get(f"{url}/healthz", timeout=120)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test there are no more threads that a process waits for, and no more children."""

    def kept() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if not thread.daemon}

    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True)}

    Waits.over.clear()
    Waits.begun.clear()
    before = kept(), children()
    yield
    assert children() <= before[1]
    assert kept() <= before[0]
    Waits.over.set()
    servers = {"geostack-serve", "geostack-server"}
    until(lambda: not servers & {each.name for each in threading.enumerate()}, "an end")


@pytest.fixture
def ask() -> Iterator[Callable[..., list[object]]]:
    """Ask something in a thread; the list that comes back gets the answer, or the error."""
    clients: list[threading.Thread] = []

    def begin(method: str, url: str, **given: object) -> list[object]:
        found: list[object] = []

        def client() -> None:
            try:
                found.append(requests.request(method, url, timeout=120, **given))
            except requests.RequestException as error:
                found.append(error)

        clients.append(threading.Thread(target=client, daemon=True))
        clients[-1].start()
        return found

    yield begin
    for client in clients:
        client.join(300)
        assert not client.is_alive()


class Timed:
    """How long the end of a block took, and what was said about it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        self.began = 0.0

    def now(self) -> None:
        self.began = time.monotonic()

    def check(self, *names: str) -> None:
        # Ten times its seconds, for a machine that does something else.
        assert time.monotonic() - self.began < 10 * SECONDS
        (told,) = [r.getMessage() for r in self.caplog.records if "cut off" in r.getMessage()]
        for name in names:
            assert name in told


@pytest.fixture
def ending(caplog: pytest.LogCaptureFixture) -> Timed:
    caplog.set_level(logging.WARNING, "geostack.serve")
    return Timed(caplog)


def small_app(begun: threading.Event):
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def sleeps(request):
        import asyncio

        begun.set()
        await asyncio.sleep(900)

    async def hangs(request):
        async def parts():
            yield b"first"
            await sleeps(request)

        return StreamingResponse(parts())

    def blocks(request):
        begun.set()
        Waits.over.wait(900)

    async def stops_the_loop(request):
        begun.set()
        Waits.over.wait(900)

    routes = [Route(f"/{each.__name__}", each) for each in (sleeps, hangs, blocks, stops_the_loop)]
    return Starlette(routes=routes)


@pytest.mark.parametrize("path", ["sleeps", "hangs", "blocks", "stops_the_loop"])
def test_a_route_that_takes_minutes_is_cut_off_and_named(ask, ending, path):
    begun = threading.Event()
    with running(small_app(begun), seconds=SECONDS) as url:
        found = ask("GET", f"{url}/{path}")
        assert begun.wait(60)
        ending.now()
    ending.check(f"GET /{path}")
    Waits.over.set()
    if path == "sleeps":
        until(lambda: found, "the client got an answer")
        assert found[0].status_code == 503
        assert "GET /sleeps was cut off" in found[0].text


def test_a_job_that_computes_holds_up_nobody(ask, ending, upload):
    app = create_app({"waits": Pipeline(Waits(), BANDS)})
    with running(app, seconds=SECONDS) as url:
        found = ask("POST", f"{url}/pipelines/waits", data=upload(), headers=TIFF)
        assert Waits.begun.wait(60)
        ending.now()
    ending.check("POST /pipelines/waits")
    until(lambda: found, "the client got an answer")
    assert not isinstance(found[0], requests.Response) or found[0].status_code == 503


def test_a_job_that_nobody_waits_for_any_more_is_not_waited_for(upload):
    app = create_app({"waits": Pipeline(Waits(), BANDS)}, limits=Limits(seconds=0.3))
    with running(app, seconds=60) as url:
        ask = partial(requests.post, f"{url}/pipelines/waits", headers=TIFF, timeout=120)
        while (answer := ask(data=upload())).status_code == 503:  # it had no time to begin
            pass
        assert answer.status_code == 504
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert not Waits.over.is_set()


def test_a_posted_pipeline_ends_with_its_server(ask, ending, scenes, box, tmp_path, monkeypatch):
    never = tmp_path / "never"
    never.write_text("#!/bin/sh\nexec sleep 900\n")
    never.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(never))
    body = {"yaml": "class: Identity", "bands": list(BANDS), "item": ITEM, "bbox": box}
    others = set(psutil.Process().children())  # such as the tracker that multiprocessing starts
    with running(create_app(source=scenes, accept_yaml=True), seconds=SECONDS) as url:
        ask("POST", f"{url}/run", json=body)
        until(lambda: set(psutil.Process().children()) - others, "the child is there")
        ending.now()
    ending.check("POST /run")
    until(lambda: not set(psutil.Process().children()) - others, "the child is gone")


def test_a_body_that_drips_is_not_waited_for(ending):
    app = create_app({"same": Pipeline(Identity(), BANDS)}, limits=Limits(body_seconds=60))
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        while not over.wait(0.05):
            try:
                client.sendall(b"1\r\na\r\n")
            except OSError:
                return

    with running(app, seconds=SECONDS) as url:
        host, port = url.removeprefix("http://").split(":")
        client = socket.create_connection((host, int(port)), timeout=120)
        client.sendall(
            b"POST /pipelines/same HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        until(lambda: app.state.service.bodies.arriving, "the body arrives")
        dripping = threading.Thread(target=drip, args=(client,), daemon=True)
        dripping.start()
        ending.now()
    ending.check("POST /pipelines/same")
    with client:
        answer = client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 503")
        over.set()
        dripping.join(300)


def test_a_block_that_fails_fails_with_its_own_error(ask, ending):
    begun = threading.Event()
    with pytest.raises(ZeroDivisionError), running(small_app(begun), seconds=SECONDS) as url:
        ask("GET", f"{url}/sleeps")
        assert begun.wait(60)
        ending.now()
        raise ZeroDivisionError
    ending.check("GET /sleeps")


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
def test_the_child_of_a_posted_pipeline_ends_when_its_server_is_killed():
    program = """
import os, subprocess, sys
command = [sys.executable, "-I", "-m", "geostack.serve.sandbox", str(os.getpid())]
child = subprocess.Popen(command)
print(child.pid, flush=True)
child.wait()
"""
    pipe = subprocess.PIPE  # kept open: what ends the child is not that its input ends
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as server:
        try:
            child = psutil.Process(int(server.stdout.readline()))
            until(lambda: child.num_threads() > 1, "the child has begun")
            time.sleep(0.5)
            assert child.is_running()
            server.kill()
            until(partial(is_gone, child), "the child is gone")
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def test_a_process_ends_though_a_job_of_its_does_not():
    program = """
import asyncio, time
from geostack.serve.limits import Gate
from geostack.serve.limits import Limits
status, gate = 503, Gate(Limits(seconds=0.2))
while status == 503:  # a busy machine had no time to begin it
    try:
        asyncio.run(gate.run(lambda: time.sleep(300)))
    except Exception as error:
        status = error.status
print(status)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.stdout.strip() == "504", run.stderr
