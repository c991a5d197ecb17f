"""Servers live exactly as long as their block."""

import socket
import threading
from urllib.request import urlopen

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn")

from geostack.serve.launch import running

BEGUN = threading.Event()


async def tell_path(scope, receive, send):
    """Answer every path but /slow with itself at once."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        import asyncio

        BEGUN.set()
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def is_listening(url: str) -> bool:
    port = int(url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_application_answers_inside_the_block_and_not_after():
    with running(tell_path) as url, urlopen(f"{url}/here") as answer:
        assert answer.read() == b"/here"
    assert not is_listening(url)
    assert "geostack-server" not in {thread.name for thread in threading.enumerate()}


def test_two_applications_get_two_ports():
    with running(tell_path) as one, running(tell_path) as other:
        assert one != other
        assert is_listening(one)
        assert is_listening(other)


def test_what_is_under_way_is_finished():
    read: list[bytes] = []

    def ask(url: str) -> None:
        with urlopen(f"{url}/slow") as answer:
            read.append(answer.read())

    with running(tell_path) as url:
        client = threading.Thread(target=ask, args=(url,))
        client.start()
        assert BEGUN.wait(60)
    client.join()
    assert read == [b"/slow"]


def test_an_error_in_the_block_stops_the_server_too():
    with pytest.raises(ZeroDivisionError), running(tell_path) as url:
        raise ZeroDivisionError
    assert not is_listening(url)


def test_an_application_that_fails_to_start_is_an_error():
    from starlette.applications import Starlette

    def fail(app):
        raise OSError("no database")

    with pytest.raises(RuntimeError, match="failed to start"), running(Starlette(lifespan=fail)):
        pass
