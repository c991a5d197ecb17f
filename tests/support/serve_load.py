"""Sixteen clients, a source that fails, and an oracle that knows every right answer.

`run_load` starts a server in a process of its own (`faulty_server.py`), asks it for a while, checks
every answer against the oracle, watches its memory and its open files, and stops it while requests
are under way.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from faulty_server import BANDS, GO_ON, LIMITS, TO_NDVI, layers
from footprints import write_raster
from tiny_scenes import make_scene, scene_bbox
from waiting import until

from geostack import load_s2_chip
from geostack.serve.pixels import as_geotiff, as_summary, read_upload
from geostack.sources.archive import ArchiveSource
from pipekit import to_yaml

HERE = Path(__file__).resolve().parent
ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
ZOOMS = (11, 12, 13, 14)
RETRIED = (503, 504)
SPARE_FILES = 10
"""A leak of each failed read would be dozens."""
UNREADABLE = "the scene can't be read now; try again"
BUSY = "the server is busy; try again"


@dataclass(frozen=True)
class Ask:
    """A request, and the only answer that is right besides "try again"."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    expected: bytes | None = None
    """The answer's bytes; None for a problem, whose text may differ."""


@dataclass
class Outcome:
    """What came of a run."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why answers say "try again"."""
    times: list[float] = field(default_factory=list)
    """Of right answers, in seconds."""
    refused: list[float] = field(default_factory=list)
    """Of answers that say "try again", in seconds."""
    dropped: int = 0
    """Requests of clients that went away before the answer."""
    memory: list[float] = field(default_factory=list)
    """MB resident of the server, at regular times."""
    children: set[psutil.Process] = field(default_factory=set)
    """Processes of posted pipelines that were seen."""
    files: tuple[int, int] = (0, 0)
    """Open files and sockets of the server, before the clients came and after they have gone."""
    finished: list[int] = field(default_factory=list)
    """Statuses of what was under way when the server was told to stop."""
    exit_code: int | None = None
    stopped_in: float = math.inf
    """Seconds from the signal to the process's end."""

    @property
    def left(self) -> int:
        """Processes of posted pipelines that are still there."""
        return sum(child.is_running() for child in self.children)

    @property
    def met(self) -> bool:
        """Whether the run met what it is about, which on a busy machine takes longer."""
        reasons = all(self.reasons[told] > 0 for told in (UNREADABLE, BUSY))
        return reasons and self.statuses[200] > 10 and self.dropped > 5 and len(self.memory) > 20

    def memory_between(self, start: float, end: float) -> float:
        """Median MB within a part of the run, from 0 to 1."""
        count = len(self.memory)
        return median(self.memory[int(start * count) : int(end * count)])

    @property
    def growth(self) -> float:
        """MB that the last fifth of the run holds more than the third fifth."""
        return self.memory_between(0.8, 1.0) - self.memory_between(0.4, 0.6)

    def __str__(self) -> str:
        answers = ", ".join(f"{n} x {status}" for status, n in sorted(self.statuses.items()))
        return (
            f"{sum(self.statuses.values())} answers in {self.seconds:g} s ({answers}), "
            f"{len(self.wrong)} wrong, {self.dropped} dropped by their clients; memory "
            f"{self.memory_between(0.4, 0.6):.0f} -> {self.memory_between(0.8, 1.0):.0f} MB, "
            f"files {self.files[0]} -> {self.files[1]}; stopped in "
            f"{self.stopped_in:.1f} s; {self.left} of {len(self.children)} children left"
        )


def make_archive(root: Path) -> ArchiveSource:
    """An archive of one scene, 512 x 512 pixels."""
    make_scene(root, ITEM)
    return ArchiveSource([root])


def tile_of(lon: float, lat: float, z: int) -> tuple[int, int]:
    """The tile that holds a place, by the formula of the OpenStreetMap wiki."""
    side, angle = 1 << z, math.radians(lat)
    return (
        int((lon + 180) / 360 * side),
        int((1 - math.asinh(math.tan(angle)) / math.pi) / 2 * side),
    )


def oracle(source: ArchiveSource, upload: bytes) -> list[Ask]:
    """Every request of the run with its right answer, made from a source that never fails."""
    return [*_tiles(source), *_boxes(source), *_uploads(upload), *_mistakes()]


def _tiles(source: ArchiveSource) -> Iterator[Ask]:
    west, south, east, north = scene_bbox()
    for name, layer in layers(source, source).items():
        for z in ZOOMS:
            (left, top), (right, bottom) = tile_of(west, north, z), tile_of(east, south, z)
            # One column more, so that empty tiles are among them.
            for x in range(left - 1, right + 1):
                for y in range(top, bottom + 1):
                    png = layer.tile(z, x, y)
                    path = f"/tiles/{name}/{z}/{x}/{y}.png"
                    yield Ask("GET", path, expected=png)
        tag = {"If-None-Match": f'"{sha256(png).hexdigest()[:16]}"'}
        yield Ask("GET", path, headers=tag, status=304, expected=b"")


def _boxes(source: ArchiveSource) -> Iterator[Ask]:
    told = {"Content-Type": "application/json"}
    for inset in (1_200.0, 1_700.0, 2_200.0):
        box = scene_bbox(inset)
        chip = load_s2_chip(
            bbox=box, date_range="2024-06-14/2024-06-14", bands=BANDS, source=source
        )
        result = TO_NDVI(chip)
        body = json.dumps({"item": ITEM, "bbox": box}).encode()
        summary = {
            "pipeline": "ndvi",
            "config_hash": TO_NDVI.config_hash,
            "result": as_summary(result, None),
        }
        text = json.dumps(summary, separators=(",", ":")).encode()
        yield Ask("POST", "/pipelines/ndvi", body, told, expected=as_geotiff(result, None))
        yield Ask("POST", "/pipelines/ndvi?format=json", body, told, expected=text)
        posted = {"item": ITEM, "bbox": box, "bands": BANDS, "yaml": to_yaml(TO_NDVI)}
        body = json.dumps(posted).encode()
        yield Ask("POST", "/run", body, told, expected=as_geotiff(result, None))


def _uploads(upload: bytes) -> Iterator[Ask]:
    result = TO_NDVI(read_upload(upload, BANDS, LIMITS))
    told = {"Content-Type": "image/tiff"}
    yield Ask("POST", "/pipelines/ndvi", upload, told, expected=as_geotiff(result, None))
    yield Ask("POST", "/pipelines/ndvi", upload[: len(upload) // 2], told, status=422)


def _mistakes() -> Iterator[Ask]:
    told = {"Content-Type": "application/json"}
    box = json.dumps({"item": "S2B_20240614_OTHER", "bbox": scene_bbox(1_200)}).encode()
    yield Ask("GET", "/tiles/unknown/1/0/0.png", status=404)
    yield Ask("GET", "/tiles/ndvi/3/8/0.png", status=404)
    yield Ask("POST", "/pipelines/ndvi", box, told, status=404)
    yield Ask("POST", "/pipelines/ndvi", b"{", told, status=422)
    yield Ask("POST", "/pipelines/ndvi", b"x", {"Content-Type": "text/xml"}, status=415)


@contextmanager
def faulty_server(archive: Path, scratch: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start `faulty_server.py`; yield its address and its process."""
    command = [sys.executable, str(HERE / "faulty_server.py"), str(archive), str(scratch)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}", process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def small_upload(folder: Path) -> bytes:
    """A GeoTIFF of two bands, 16 x 16 pixels."""
    values = np.random.default_rng(0).integers(1, 5_000, (2, 16, 16)).astype("uint16")
    return Path(write_raster(folder / "upload.tif", values)).read_bytes()


def run_load(folder: Path, *, seconds: float, clients: int = 16) -> Outcome:
    """Ask a failing server for `seconds`, then stop it under load; `folder` is for its files.

    It is asked for longer until the run has met what it is about, but for some minutes at most.
    """
    archive, scratch = folder / "archive", folder / "scratch"
    scratch.mkdir(parents=True)
    upload = small_upload(folder)
    asks = oracle(make_archive(archive), upload)
    outcome = Outcome(seconds)
    with faulty_server(archive, scratch) as (address, process):
        until(lambda: _is_up(address), "the server answers")
        _see_a_child(address, process.pid, asks, outcome)
        server, over = psutil.Process(process.pid), threading.Event()
        before = server.num_fds()
        client = partial(_client, address, asks, outcome, over)
        rude = partial(_rude_client, address, asks, outcome, over)
        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(clients)]
        threads += [threading.Thread(target=rude, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        _watch(server, outcome)
        over.set()
        for thread in threads:
            thread.join()
        _wait_for_jobs(address, 0)
        with suppress(AssertionError):  # what is left open is told
            until(lambda: server.num_fds() <= before + SPARE_FILES, "files are closed", 60)
        outcome.files = before, server.num_fds()
        _stop_under_way(address, process, upload, outcome, scratch / GO_ON)
    return outcome


def _see_a_child(address: str, pid: int, asks: list[Ask], outcome: Outcome) -> None:
    """Post pipelines until the process of one was seen: under load all may be refused."""
    ask = next(ask for ask in asks if ask.path == "/run")
    server = psutil.Process(pid)

    def post() -> None:
        connection = http.client.HTTPConnection(address, timeout=300)
        connection.request(ask.method, ask.path, ask.body, ask.headers)
        connection.getresponse().read()
        connection.close()

    ends = time.monotonic() + 300
    while not outcome.children:
        assert time.monotonic() < ends, "no posted pipeline got a process"
        thread = threading.Thread(target=post)
        thread.start()
        while thread.is_alive():
            outcome.children.update(server.children(recursive=True))
            thread.join(0.005)


def _client(
    address: str, asks: list[Ask], outcome: Outcome, over: threading.Event, seed: int
) -> None:
    chosen = random.Random(seed)
    connection = http.client.HTTPConnection(address, timeout=300)
    while not over.is_set():
        ask = chosen.choice(asks)
        began = time.perf_counter()
        try:
            connection.request(ask.method, ask.path, ask.body or None, ask.headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            outcome.wrong.append(f"{ask.method} {ask.path}: {type(error).__name__} {error}")
            connection.close()
            continue
        took = time.perf_counter() - began
        outcome.statuses[answer.status] += 1
        fault = fault_of(ask, answer.status, answer.headers, content)
        if fault:
            outcome.wrong.append(f"{ask.method} {ask.path}: {fault}")
        if answer.status in RETRIED:
            outcome.refused.append(took)
            outcome.reasons[json.loads(content)["detail"]] += 1
        else:
            outcome.times.append(took)
    connection.close()


def fault_of(ask: Ask, status: int, headers: Any, content: bytes) -> str:
    """What is wrong with an answer; "" when nothing is."""
    if not headers.get("X-Config-Hash"):
        return f"{status} without a config hash"
    if b"secret" in content:
        return f"{status} tells what only the server should know"
    if status >= 400 and headers.get("Content-Type") != "application/problem+json":
        return f"{status} is no problem body"
    if status in RETRIED:
        return "" if int(headers.get("Retry-After", "0")) > 0 else f"{status} without Retry-After"
    if status != ask.status:
        return f"{status} instead of {ask.status}"
    if ask.expected is not None and content != ask.expected:
        return f"{len(content)} bytes that are not the oracle's {len(ask.expected)}"
    return ""


def _rude_client(
    address: str, asks: list[Ask], outcome: Outcome, over: threading.Event, seed: int
) -> None:
    """Asks, and goes away before the answer, or in the middle of its own body."""
    chosen = random.Random(1000 + seed)
    while not over.is_set():
        ask = chosen.choice(asks)
        connection = http.client.HTTPConnection(address, timeout=300)
        connection.putrequest(ask.method, ask.path)
        for name, value in ask.headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(ask.body)))
        connection.endheaders(ask.body[: chosen.randint(0, len(ask.body))])
        connection.close()
        outcome.dropped += 1
        _jobs(address)  # a server that is behind has seen by now that it is gone
        time.sleep(0.05)


def _watch(server: psutil.Process, outcome: Outcome) -> None:
    began = time.monotonic()
    while (now := time.monotonic() - began) < outcome.seconds or (now < 300 and not outcome.met):
        outcome.memory.append(server.memory_info().rss / 2**20)
        outcome.children.update(server.children(recursive=True))
        time.sleep(min(0.25, outcome.seconds / 50))


def _stop_under_way(
    address: str, process: subprocess.Popen[str], upload: bytes, outcome: Outcome, go_on: Path
) -> None:
    def wait() -> None:
        connection = http.client.HTTPConnection(address, timeout=300)
        told = {"Content-Type": "image/tiff"}
        connection.request("POST", "/pipelines/wait?format=json", upload, told)
        answer = connection.getresponse()
        complete = len(answer.read()) == int(answer.headers["Content-Length"])
        outcome.finished.append(answer.status if complete else 0)
        connection.close()

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    _wait_for_jobs(address, len(threads))
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    until(lambda: not _listens(address), "it takes no more")
    go_on.touch()
    outcome.exit_code = process.wait(300)
    outcome.stopped_in = time.monotonic() - began
    for thread in threads:
        thread.join()


def _listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _jobs(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=300)
    try:
        connection.request("GET", "/healthz")
        return int(json.loads(connection.getresponse().read())["jobs"])
    finally:
        connection.close()


def _wait_for_jobs(address: str, wanted: int) -> None:
    until(lambda: _jobs(address) == wanted, f"the server has {wanted} jobs")


def _is_up(address: str) -> bool:
    try:
        return _jobs(address) >= 0
    except OSError:
        return False
