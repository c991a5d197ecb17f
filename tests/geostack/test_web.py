"""However slowly a server answers, whoever waits for it is let go."""

import gzip
import time
from uuid import uuid4

import pytest
from planetary_computer.settings import Settings
from spoken import answer, spoken, stac

from geocatalog.read import open as opening
from geocatalog.read import service
from geostack import PixelReadError, SourceUnavailableError, load_gbif_points, web, zarr_http
from geostack.sources import planetary_computer
from geostack.sources.planetary_computer import PlanetaryComputerSource
from geostack.transfer import copy_file
from geostack.zarr_http import HttpStore
from pipekit import retry
from pipekit.retry import RetryPolicy, TransientError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
PATIENCE = RetryPolicy(tries=2, base_delay=0.01, total=60.0)


def dripping(head: bytes):
    """A server that says `head`, and then a byte now and then for as long as it is asked."""

    def drip(path, headers):
        yield head
        while True:
            time.sleep(0.05)
            yield b"x"

    return spoken(drip)


def ask_status(url, folder):
    status, _ = opening.ask_status(f"{url}/a.tif")
    raise TransientError(str(status))


def a_chunk(url, folder):
    HttpStore(url, PlanetaryComputerSource())._fetch("c/0", None)


WAITS = {
    "a download": lambda url, folder: web.download(f"{url}/a.json", folder / "a.json"),
    "a copy": lambda url, folder: copy_file(
        f"{url}/a.tif", folder / "a.tif", PlanetaryComputerSource()
    ),
    "a chunk": a_chunk,
    "JSON": lambda url, folder: web.get_json(url, {}),
    "a search": lambda url, folder: PlanetaryComputerSource(url).search(
        "sentinel-2-l2a", (0, 0, 1, 1), "2024"
    ),
    "a token": lambda url, folder: PlanetaryComputerSource().sign(
        f"https://account.blob.core.windows.net/{uuid4().hex}/a.tif"  # whose token nobody has
    ),
    "a status": ask_status,
}


@pytest.mark.parametrize(
    ("what", "head"),
    [
        *((what, b"HTTP/1.1 200 OK\r\nX: ") for what in WAITS),
        *((what, HEAD) for what in WAITS if what != "a status"),  # which waits for no body
    ],
)
def test_a_drip_holds_nobody_for_ever(tmp_path, monkeypatch, what, head):
    for module in (web, service, opening, planetary_computer, zarr_http):
        monkeypatch.setattr(module, "WHOLE", 0.3)
    monkeypatch.setattr(web, "PATIENCE", 0.3)
    monkeypatch.setattr(retry, "DEFAULT", PATIENCE)
    with dripping(head) as url:
        monkeypatch.setenv("PC_SDK_SAS_URL", url)
        Settings.get.cache_clear()  # the signer reads its address once
        with pytest.raises((SourceUnavailableError, PixelReadError, TransientError)):
            WAITS[what](url, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".json", ".tif")]


def test_a_body_that_never_ends_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "LONGEST", 0.3)
    monkeypatch.setattr(retry, "DEFAULT", PATIENCE)
    with (
        dripping(HEAD) as url,
        pytest.raises(SourceUnavailableError, match="it had not ended after"),
    ):
        web.download(f"{url}/a.json", tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [b"", b"{", b"<html>", b"\xff\xfe"])
def test_what_is_no_json_is_a_source_that_is_unavailable(server, answer, tmp_path):
    (tmp_path / "a.json").write_bytes(answer)
    with pytest.raises(SourceUnavailableError, match="answered no JSON"):
        web.get_json(server.add_file(tmp_path / "a.json", "a.json"), {})


def endless():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n["
    while True:
        yield b"0," * 50_000


PACKED = gzip.compress(b"[" + b" " * 5_000_000 + b"]")


@pytest.mark.parametrize("say", [endless, lambda: answer(PACKED, content_encoding="gzip")])
@pytest.mark.parametrize("what", ["JSON", "a search", "a token", "a chunk", "a page"])
def test_an_answer_is_read_up_to_so_many_bytes(tmp_path, monkeypatch, what, say):
    """However fast it comes, and however small it is on its way."""
    monkeypatch.setattr(service, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(zarr_http, "_MOST_BYTES", 1_000_000)
    monkeypatch.setattr(retry, "DEFAULT", PATIENCE)

    def says(path, headers):
        return stac(None, url, path) if what == "a page" and "search" not in path else say()

    ask = {**WAITS, "a page": WAITS["a search"]}[what]
    with spoken(says) as url:
        monkeypatch.setenv("PC_SDK_SAS_URL", url)
        Settings.get.cache_clear()
        with pytest.raises((SourceUnavailableError, PixelReadError), match=r"longer than|no token"):
            ask(url, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.json"])
@pytest.mark.parametrize(
    "page", [b"<html>log in", b"\xef\xbb\xbf\n<!-- x --><HTML>", b"<!DOCTYPE html>"]
)
def test_a_login_page_is_never_kept_as_a_file(tmp_path, name, page):
    with (
        spoken(lambda path, headers: answer(page)) as url,
        pytest.raises(SourceUnavailableError, match="a web page came"),
    ):
        web.download(f"{url}/{name}", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_half_an_archive_is_never_kept(tmp_path):
    with (
        spoken(lambda path, headers: answer(b"PK\3\4 and no more")) as url,
        pytest.raises(SourceUnavailableError, match=r"no whole \.zip"),
    ):
        web.download(f"{url}/a.zip", tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_json_that_is_nested_too_deeply_or_means_something_else_is_unavailable(monkeypatch):
    with (
        spoken(lambda path, headers: answer(b"[" * 100_000)) as url,
        pytest.raises(SourceUnavailableError, match="nested too deeply"),
    ):
        web.get_json(url, {})
    for told in (None, [], 5, {"results": 5}, {"results": [{}]}, {"results": [5]}):
        with spoken(lambda path, headers, told=told: answer(told)) as url:
            monkeypatch.setenv("GEOSTACK_GBIF_URL", url)
            with pytest.raises(SourceUnavailableError, match="answered no JSON that can"):
                load_gbif_points(bbox=(0, 0, 1, 1), limit=5, source="planetary-computer")


@pytest.mark.parametrize(
    "place", ["http://[bad/", "gopher://host/", "file:///etc/hostname", "//:x/"]
)
@pytest.mark.parametrize("what", WAITS)
def test_a_redirect_to_no_address_is_no_answer(tmp_path, monkeypatch, what, place):
    monkeypatch.setattr(retry, "DEFAULT", PATIENCE)
    with spoken(lambda path, headers: answer(b"", 302, location=f"{place}?sig=SECRET")) as url:
        monkeypatch.setenv("PC_SDK_SAS_URL", url)
        Settings.get.cache_clear()
        with pytest.raises((SourceUnavailableError, PixelReadError, TransientError)) as error:
            WAITS[what](url, tmp_path)
        assert web.probe(url, 20.0).startswith("does not answer")
    assert "SECRET" not in str(error.value)
