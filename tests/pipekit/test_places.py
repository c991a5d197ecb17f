"""Places on an object store: named, read, replaced as a whole, against a real S3-compatible one."""

import os
import pickle
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from object_store import Fault

from pipekit import places
from pipekit.files import keep_inputs
from pipekit.places import ChangedError, Place, PlaceError, PlaceReader, place_of, store_of

PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/?#\0", exclude_categories=("Cs", "Cc")),
    min_size=1,
    max_size=12,
).filter(lambda part: part not in (".", ".."))


@given(st.sampled_from(places.STORES), st.lists(PARTS, min_size=1, max_size=4))
def test_a_place_is_its_text(scheme, parts):
    place = Place(scheme, "bucket", "/".join(parts))
    assert place_of(str(place)) == place_of(place) == place
    assert place_of(f"/vsi{scheme}/bucket/{place.key}") == place
    assert os.fspath(place) == str(place)
    assert pickle.loads(pickle.dumps(place)) == place
    assert place.with_name("other").with_name(place.name) == place
    assert place.holds(place / "below")
    assert not (place / "below").holds(place)


@pytest.mark.parametrize(
    "name", ["a.tif", "/a/b.tif", "s3:/b/a", "file:///a.tif", "c:/a.tif", "/vsizip/a.zip/b.tif",
             "ftp://host/a", "https://host/a.tif?sig=secret", b"s3://bytes/a"]
)  # fmt: skip
def test_what_is_no_place(name):
    assert place_of(name) is None


def test_the_web_is_read_only():
    assert place_of("https://host:8443/a.tif") == Place("https", "host:8443", "a.tif")
    assert store_of("https://host/a.tif") is None


@pytest.mark.parametrize("key", ["a//b", "../a", "a/./b"])
def test_parts_without_a_name_are_refused(key):
    with pytest.raises(ValueError, match="have names"):
        place_of(f"s3://bucket/{key}")


@pytest.mark.parametrize(
    ("target", "source"),
    [("s3://b/a.tif", "/vsis3/b/a.tif"), ("s3://b/a.zarr", "s3://b/a.zarr/c/0"),
     ("gs://b/folder/a", "gs://b/folder")],
)  # fmt: skip
def test_an_input_on_a_store_is_not_written_over(target, source):
    with pytest.raises(ValueError, match="over its own input"):
        keep_inputs(target, ["/a.tif", source], "the run")
    keep_inputs(target, [f"{target}-2", "s3://other/a.tif", "a.tif"], "the run")


def test_the_verbs(on_store):
    place = on_store / "a~b é%20+.bin"
    assert not place.exists()
    tag = place.write(b"0123456789")
    assert place.exists()
    assert place.find() == (10, tag)
    assert place.read() == b"0123456789"
    assert (place.read(3), place.read(2, 4), place.read(8, 99)) == (b"3456789", b"23", b"89")
    assert list(on_store.below()) == [place]
    assert not on_store.exists(), "a folder of objects is no object"
    place.remove()
    place.remove()
    assert not place.exists()


def test_a_version_is_only_replaced_or_read_by_who_knows_it(on_store):
    place = on_store / "a"
    first = place.write(b"1", over="")
    with pytest.raises(ChangedError):
        place.write(b"2", over="")
    second = place.write(b"22", over=first)
    with pytest.raises(ChangedError):
        place.write(b"3", over=first)
    with pytest.raises(ChangedError):
        place.read(tag=first)
    assert place.read(tag=second) == b"22"


def test_a_reader_asks_for_what_is_read(on_store, store_proxy):
    data = os.urandom(100_000)
    (on_store / "a").write(data)
    with (on_store / "a").reader() as file:
        assert isinstance(file, PlaceReader)
        before = len(store_proxy.seen)
        assert (file.seek(-5, os.SEEK_END), file.read()) == (99_995, data[-5:])
        assert (file.seek(10), file.read(20), file.tell()) == (10, data[10:30], 30)
        assert file.read(0) == b""
        assert sum(each.received for each in store_proxy.since(before)) == 25
        (on_store / "a").write(b"another")
        with pytest.raises(ChangedError):
            file.read(10)


@pytest.mark.parametrize("size", [0, 1, places.PART_BYTES, 2 * places.PART_BYTES + 1])
def test_a_file_is_uploaded_whole(on_store, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    (on_store / "a").upload(tmp_path / "a")
    assert (on_store / "a").read() == data


def test_what_is_cleared_is_gone(on_store):
    for number in range(12):
        (on_store / f"{number}" / "x").write(b"x")
    beside = on_store.with_name(f"{on_store.name}-2") / "x"
    beside.write(b"x")
    on_store.clear()
    assert list(on_store.below()) == []
    assert beside.exists()


# what goes wrong


@pytest.mark.parametrize("verb", ["read", "find", "write"])
def test_missing_buckets_and_objects_are_named(on_store, verb):
    calls = {"read": Place.read, "find": Place.find, "write": lambda place: place.write(b"")}
    with pytest.raises(FileNotFoundError, match="s3://no-such-bucket/a could not be"):
        calls[verb](Place("s3", "no-such-bucket", "a"))
    if verb != "write":
        with pytest.raises(FileNotFoundError, match="no such object"):
            calls[verb](on_store / "a")


@pytest.mark.parametrize("verb", ["read", "find", "write", "remove", "below"])
def test_wrong_keys_are_refused_and_never_shown(on_store, monkeypatch, verb, hasty):
    (on_store / "a").write(b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET-OF-MINE")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "TOKEN-OF-MINE")
    calls = {"write": lambda place: place.write(b""), "below": lambda place: list(place.below())}
    with pytest.raises(PermissionError, match="refuses") as caught:
        calls.get(verb, lambda place: getattr(place, verb)())(on_store / "a")
    shown = [str(caught.value), repr(on_store), repr(on_store._store), repr(on_store.for_gdal())]
    shown += [repr(on_store.for_zarr()), str(pickle.dumps(on_store.for_zarr()))]
    assert not [text for text in shown if "OF-MINE" in text]
    assert caught.value.__suppress_context__


def test_a_store_without_keys_is_asked_without_a_signature(on_store, monkeypatch, hasty):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(PermissionError, match="403"):
        (on_store / "a").read()


def test_keys_do_not_travel_in_the_clear(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example:9000")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(PermissionError, match="AWS_ALLOW_HTTP=true"):
        Place("s3", "bucket", "a").find()
    with pytest.raises(PermissionError, match=r"store\.example"):
        Place("s3", "bucket", "a").for_gdal()


@pytest.mark.parametrize(
    ("method", "kind"),
    [("GET", "status"), ("GET", "cut"), ("GET", "lost"), ("PUT", "status"), ("PUT", "torn"),
     ("PUT", "lost"), ("HEAD", "status"), ("HEAD", "lost")],
)  # fmt: skip
def test_what_passes_is_tried_again(on_store, store_proxy, hasty, method, kind):
    place, data = on_store / "a", os.urandom(50_000)
    place.write(data)
    store_proxy.faults.append(Fault(method, on_store.key, kind, times=2))
    calls = {"GET": place.read, "PUT": lambda: place.write(data), "HEAD": place.find}
    before = len(store_proxy.seen)
    answer = calls[method]()
    assert len(store_proxy.since(before, method)) == 3
    assert store_proxy.faults[0].times == 0
    assert answer == data if method == "GET" else place.read() == data


def test_what_does_not_pass_tells_how_often_it_was_tried(on_store, store_proxy, hasty):
    store_proxy.faults.append(Fault("PUT", on_store.key, times=99))
    # older obstore tells no more than the number
    with pytest.raises(
        PlaceError, match=r"written after 3 tries: the last answer was 503(, SlowDown)?$"
    ):
        (on_store / "a").write(b"1")
    store_proxy.faults.clear()
    assert not (on_store / "a").exists()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "store.invalid:9000"])
def test_a_store_that_is_not_there_is_said(monkeypatch, hasty, host):
    pytest.importorskip("obstore")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        address = host.format(port=closed.getsockname()[1])
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{address}")
        with pytest.raises(PlaceError, match=r"the last answer was (tcp connect error|dns error)"):
            Place("s3", "bucket", "a").find()


def test_keys_that_are_nowhere_are_missing_keys():
    said = "Error performing PUT http://169.254.169.254/latest/api/token in 1s - error sending"
    told = places._told(RuntimeError(said), Place("s3", "bucket", "a"), "read")
    assert isinstance(told, PermissionError)
    assert "object-stores.md" in str(told)


def test_a_slow_body_ends_in_time(on_store, store_proxy, monkeypatch):
    (on_store / "a").write(bytes(10_000))  # at 5 bytes a second: half an hour
    policy = places.retry.RetryPolicy(tries=2, base_delay=0.01, max_delay=0.05, total=1.0)
    monkeypatch.setattr(places.retry, "DEFAULT", policy)
    store_proxy.faults.append(Fault("GET", on_store.key, "drip", times=99))
    began = time.monotonic()
    with pytest.raises(PlaceError, match="could not be read"):
        (on_store / "a").read()
    assert time.monotonic() - began < 300


@pytest.mark.parametrize("kind", ["torn", "status"])
def test_half_an_upload_is_not_to_be_seen(on_store, store_proxy, tmp_path, hasty, kind):
    place = on_store / "a"
    place.write(b"old")
    (tmp_path / "a").write_bytes(bytes(3 * places.PART_BYTES))
    store_proxy.faults.append(Fault("PUT", "partNumber=2", kind, times=99))
    with pytest.raises(PlaceError, match="could not be written"):
        place.upload(tmp_path / "a")
    assert place.read() == b"old"


def test_a_list_that_lags_hides_nothing(on_store, store_proxy):
    (on_store / "a").write(b"1")
    store_proxy.faults.append(Fault("GET", "list-type=2", "stale", times=1))
    assert list(on_store.below()) == []
    assert (on_store / "a").exists()
    assert (on_store / "a").read() == b"1"


def test_a_missing_library_names_the_extra(monkeypatch):
    import sys

    places._store.cache_clear()
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(ImportError, match=r'pip install "\.\[store\]"'):
        Place("s3", "bucket", "a").for_zarr()
