"""Copies arrive whole or not at all."""

import hashlib
import logging
import threading
import traceback

import numpy as np
import pytest
import rasterio
from loopback import Fault, Loopback
from rasterio import Affine
from spoken import answer, spoken

from geostack import PixelReadError, SourceUnavailableError
from geostack.sources.archive import ArchiveSource
from geostack.sources.planetary_computer import PlanetaryComputerSource
from geostack.transfer import copy_file, multihash
from geostack.web import download

DATA = bytes(range(256)) * 4000


@pytest.fixture
def remote(server: Loopback, tmp_path) -> Loopback:
    source = tmp_path / "source.bin"
    source.write_bytes(DATA)
    server.url_of_data = server.add_file(source, "store/data.bin")
    return server


def copy(server, tmp_path, **changes):
    target = tmp_path / "target" / "data.bin"
    return copy_file(server.url_of_data, target, PlanetaryComputerSource(), **changes)


def test_a_copy_is_the_file_and_its_multihash(remote, tmp_path):
    copied = copy(remote, tmp_path)
    assert copied.path.read_bytes() == DATA
    assert copied.size == copied.transferred == len(DATA)
    assert copied.checksum == "1220" + hashlib.sha256(DATA).hexdigest() == multihash(copied.path)
    assert {path.name for path in copied.path.parent.iterdir()} == {"data.bin", ".data.bin.lock"}


def test_a_whole_copy_is_not_fetched_again(remote, tmp_path):
    first = copy(remote, tmp_path)
    remote.records.clear()
    again = copy(remote, tmp_path, checksum=first.checksum)
    assert again.transferred == 0
    assert remote.records == []


@pytest.mark.parametrize("kind", ["reset", "wrong-length"])
def test_a_broken_transfer_goes_on_where_it_stopped(remote, tmp_path, kind):
    remote.faults = [Fault("data.bin", kind=kind)]
    copied = copy(remote, tmp_path)
    assert copied.path.read_bytes() == DATA
    if kind == "reset":
        assert copied.transferred == len(DATA)
        assert remote.requests("data.bin")[1].range == f"bytes={len(DATA) // 2}-"


def test_a_next_run_goes_on_where_the_last_one_died(remote, tmp_path):
    remote.faults = [Fault("data.bin", kind="reset"), Fault("data.bin", status=404)]
    with pytest.raises(PixelReadError, match="HTTP 404"):
        copy(remote, tmp_path)
    assert not (tmp_path / "target" / "data.bin").exists()
    copied = copy(remote, tmp_path)
    assert copied.path.read_bytes() == DATA
    assert copied.transferred == len(DATA) // 2


def test_more_breaks_than_tries_are_outlasted_while_bytes_arrive(remote, tmp_path):
    remote.faults = [Fault("data.bin", kind="reset", times=9)]  # a round has 4 tries
    copied = copy(remote, tmp_path)
    assert copied.path.read_bytes() == DATA
    assert copied.transferred == len(DATA)
    assert len(remote.requests("data.bin")) == 10


def test_a_server_that_never_sends_it_whole_is_given_up(remote, tmp_path):
    remote.faults = [Fault("data.bin", kind="reset"), Fault("data.bin", status=503, times=99)]
    with pytest.raises(PixelReadError, match=r"gave up after 4 tries .* HTTP 503"):
        copy(remote, tmp_path)
    assert len(remote.requests("data.bin")) == 8  # one more round after the last byte


def test_a_drip_is_broken_off_and_taken_up_again(remote, tmp_path, monkeypatch):
    monkeypatch.setattr("geostack.web.PATIENCE", 0.1)
    monkeypatch.setattr("geostack.web.SLOWEST", 1 << 30)
    remote.faults = [Fault("data.bin", kind="drip")]
    copied = copy(remote, tmp_path)
    assert copied.path.read_bytes() == DATA
    first, *later = remote.requests("data.bin")  # a busy machine may be as slow as a drip
    assert first.range is None
    assert later
    assert all(each.range for each in later)


def test_a_whole_file_of_unknown_checksum_is_told_by_its_size(remote, tmp_path):
    copy(remote, tmp_path)
    remote.records.clear()
    again = copy(remote, tmp_path)
    assert again.transferred == 0
    assert again.checksum == multihash(again.path)
    assert [record.method for record in remote.records] == ["HEAD"]
    again.path.write_bytes(DATA[:-1])
    assert copy(remote, tmp_path).path.read_bytes() == DATA


def test_a_file_that_changed_meanwhile_is_fetched_anew(remote, tmp_path):
    remote.faults = [Fault("data.bin", kind="reset"), Fault("data.bin", status=404)]
    with pytest.raises(PixelReadError):
        copy(remote, tmp_path)
    new = bytes(reversed(DATA))
    (tmp_path / "source.bin").write_bytes(new)
    assert copy(remote, tmp_path).path.read_bytes() == new


def test_a_wrong_checksum_is_refused_and_leaves_nothing(remote, tmp_path):
    with pytest.raises(PixelReadError, match="arrived damaged"):
        copy(remote, tmp_path, checksum="1220" + "0" * 64)
    assert {path.name for path in (tmp_path / "target").iterdir()} == {".data.bin.lock"}


def test_an_expired_token_is_renewed(remote, tmp_path):
    PlanetaryComputerSource().sign(remote.url_of_data)
    remote.expire_tokens()
    assert copy(remote, tmp_path).path.read_bytes() == DATA
    assert len(remote.issued) == 2


def test_the_error_carries_no_token(remote, tmp_path):
    remote.faults = [Fault("data.bin", status=503, times=99)]
    with pytest.raises(PixelReadError, match=r"can't copy http://.*data\.bin: gave up after 4 tries") as caught:  # fmt: skip
        copy(remote, tmp_path)
    assert "SECRET" not in str(caught.value)


def test_no_log_of_a_copy_carries_a_token(remote, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    remote.faults = [Fault("data.bin", kind="reset"), Fault("data.bin", status=503, times=99)]
    with pytest.raises(PixelReadError) as caught:
        copy(remote, tmp_path)
    said = "".join(traceback.format_exception(caught.value))
    assert remote.issued
    assert "sig=***" in caplog.text  # the requests were logged
    assert "SECRET" not in caplog.text + said
    assert not any(b"SECRET" in path.read_bytes() for path in (tmp_path / "target").iterdir())


def test_two_at_once_copy_once(remote, tmp_path):
    checksum = "1220" + hashlib.sha256(DATA).hexdigest()
    threads = [
        threading.Thread(target=copy, args=(remote, tmp_path), kwargs={"checksum": checksum})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(remote.requests("data.bin")) == 1
    assert (tmp_path / "target" / "data.bin").read_bytes() == DATA


PAGES = {
    "a login page": b"\n<!DOCTYPE html><html><body>Log in</body></html>",
    "another one": b"<HTML><head></head></HTML>",
    "a message": b'{"error": "please log in"}',
    "nothing": b"",
}


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES)
def test_what_is_no_raster_never_takes_a_rasters_name(server, tmp_path, content):
    there = tmp_path / "B04.tif"
    there.write_bytes(content)
    href = server.add_file(there, "store/B04.tif")
    target = tmp_path / "target" / "B04.tif"
    with pytest.raises(PixelReadError, match=r"came in the place of a \.tif"):
        copy_file(href, target, PlanetaryComputerSource())
    assert not target.exists()
    assert not list(target.parent.glob("*.part"))
    there.write_bytes(whole := cog(there))
    assert copy_file(href, target, PlanetaryComputerSource()).path.read_bytes() == whole


def cog(path):
    """A COG whose last tiles hold nothing and are left out, as those of a scene's rim are."""
    values = np.zeros((1, 1200, 1200), "uint16")
    values[:, :600, :600] = np.random.default_rng(0).integers(1, 9000, (600, 600))
    profile = {"driver": "COG", "count": 1, "width": 1200, "height": 1200, "dtype": "uint16"}
    place = {"nodata": 0, "SPARSE_OK": True, "BLOCKSIZE": 256, "transform": Affine.scale(2)}
    with rasterio.open(path, "w", crs="EPSG:32632", **profile, **place) as file:
        file.write(values)
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_a_part_of_a_raster_never_takes_its_name(server, tmp_path, share):
    """A server that announces the half and sends the half contradicts itself nowhere."""
    there = tmp_path / "B04.tif"
    whole = cog(there)
    there.write_bytes(whole[: int(share * len(whole))])
    with rasterio.open(there) as file:
        assert not file.read(1, window=list(file.block_windows(1))[-1][1]).any(), "GDAL reads it"
    href = server.add_file(there, "store/B04.tif")
    target = tmp_path / "target" / "B04.tif"
    with pytest.raises(PixelReadError, match=r"a part of a TIFF came in the place of a \.tif"):
        copy_file(href, target, PlanetaryComputerSource())
    assert not target.exists()
    there.write_bytes(whole)
    assert copy_file(href, target, PlanetaryComputerSource()).path.read_bytes() == whole


def test_a_page_is_taken_for_one_where_no_kind_is_known(server, tmp_path):
    there = tmp_path / "data.bin"
    there.write_bytes(PAGES["a login page"])
    href = server.add_file(there, "store/data.bin")
    with pytest.raises(PixelReadError, match="a web page"):
        copy_file(href, tmp_path / "target" / "data.bin", PlanetaryComputerSource())


def whole_or_part(content, asked, first, tag='"1"'):
    """A server's answer: all of it, or for a request of a part whatever it takes for that part."""
    if "range" not in asked:
        return answer(content, etag='"1"')
    span = f"bytes {first}-{len(content) - 1}/{len(content)}"
    return answer(content[first:], 206, content_range=span, etag=tag)


@pytest.mark.parametrize(
    ("what", "say"),
    [
        ("from the start", lambda content, asked: whole_or_part(content, asked, 0)),
        ("from a little before", lambda content, asked: whole_or_part(content, asked, 493)),
        ("from a little after", lambda content, asked: whole_or_part(content, asked, 507)),
        ("of another file", lambda content, asked: whole_or_part(bytes(1000), asked, 500, '"2"')),
        ("as a piece of the same length", lambda content, asked: answer(
            content[:500], 206, content_range="bytes 0-499/1000", etag='"1"')),
        ("in several pieces", lambda content, asked: answer(
            content[500:], 206, content_type="multipart/byteranges; boundary=x", etag='"1"')),
        ("without a place", lambda content, asked: answer(content, 206, etag='"1"')),
    ],
)  # fmt: skip
def test_a_part_that_was_not_asked_for_is_no_part_of_the_file(tmp_path, what, say):
    """Half of it is there; servers and caches answer a request for the rest wrongly."""
    content = bytes(range(250)) * 4
    part = tmp_path / ".a.bin.part"
    part.write_bytes(content[:500])
    (tmp_path / ".a.bin.part.etag").write_text('"1"')

    def answers(path, asked):
        return say(content, asked) if "range" in asked else answer(content, etag='"1"')

    with spoken(answers) as url:
        copied = copy_file(f"{url}/a.bin", tmp_path / "a.bin", ArchiveSource([]))
    assert copied.path.read_bytes() == content


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (204, {"content_length": "0"}),
        (206, {"content_range": "bytes 0-4/100"}),
        (300, {}),
        (302, {}),
        (304, {"content_length": "0"}),
        (200, {"content_encoding": "gzip"}),
    ],
)
def test_an_answer_that_is_no_whole_file_is_none(tmp_path, status, headers):
    with spoken(lambda path, asked: answer(b"moved", status, **headers)) as url:
        with pytest.raises(PixelReadError):
            copy_file(f"{url}/a.bin", tmp_path / "a.bin", ArchiveSource([]))
        with pytest.raises(SourceUnavailableError):
            download(f"{url}/a.json", tmp_path / "a.json")
    assert not (tmp_path / "a.bin").exists()
    assert not (tmp_path / "a.json").exists()
