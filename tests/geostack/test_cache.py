"""The cache folder: found, measured, emptied, done without."""

import os
import sys
import tempfile

import pytest

from geostack import cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path))
    for number, name in enumerate(["old", "middle", "new"]):
        part = tmp_path / "simulated" / name
        part.mkdir(parents=True)
        file = part / "pixels.bin"
        file.write_bytes(b"x" * 100_000)
        os.utime(file, (1_000_000 + number, 1_000_000 + number))
    return tmp_path


def test_the_variable_chooses(folder, monkeypatch):
    assert cache.cache_folder() == folder
    monkeypatch.delenv("GEOSTACK_CACHE")
    assert cache.cache_folder().name == "geostack"


def test_entries_are_the_parts_oldest_first(folder):
    entries = cache.cache_entries()
    assert [entry.path.name for entry in entries] == ["old", "middle", "new"]
    assert all(entry.files == 1 for entry in entries)
    assert all(entry.size >= 100_000 for entry in entries)


def test_clearing_removes_all_of_it(folder):
    assert [entry.path.name for entry in cache.clear_cache()] == ["old", "middle", "new"]
    assert cache.cache_entries() == []
    assert cache.clear_cache() == []


def test_hidden_and_missing_things_don_not_count(folder, tmp_path):
    (folder / "simulated" / ".lock").write_text("")
    (folder / "single.txt").write_text("x")
    assert {entry.path.name for entry in cache.cache_entries()} == {
        "old",
        "middle",
        "new",
        "single.txt",
    }
    assert cache.cache_entries(tmp_path / "nowhere") == []


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("GEOSTACK_CACHE", str(blocked / "cache"))
    monkeypatch.setattr(cache, "fallback_folder", lambda: tmp_path / "fallback")
    assert cache.writable_cache_folder() == tmp_path / "fallback"
    monkeypatch.setattr(cache, "fallback_folder", lambda: blocked / "fallback")
    with pytest.raises(OSError, match="set GEOSTACK_CACHE to a folder that can"):
        cache.writable_cache_folder()


def test_what_another_process_removes_meanwhile_does_not_count(folder, monkeypatch):
    measure, remove = cache._measure, cache._remove

    def late(path):
        if path.name == "middle":
            remove(path)
        return measure(path)

    monkeypatch.setattr(cache, "_measure", late)
    assert [entry.path.name for entry in cache.cache_entries()] == ["old", "new"]
    monkeypatch.setattr(cache, "_measure", measure)

    def raced(path):
        remove(path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(cache, "_remove", raced)
    assert cache.clear_cache() == []
    assert cache.cache_entries() == []


def test_what_another_user_owns_stays_and_the_rest_goes(folder, monkeypatch, caplog):
    remove = cache.shutil.rmtree

    def denied(path):
        if "old" in path.name:
            raise PermissionError(13, "Permission denied", str(path))
        remove(path)

    monkeypatch.setattr(cache.shutil, "rmtree", denied)
    assert [entry.path.name for entry in cache.clear_cache()] == ["middle", "new"]
    assert [entry.path.name for entry in cache.cache_entries()] == ["old"]
    assert "old can't be removed" in caplog.text


def test_a_temporary_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("GEOSTACK_CACHE", str(blocked / "cache"))
    monkeypatch.setattr(cache, "fallback_folder", lambda: tmp_path)
    assert cache.writable_cache_folder() == tmp_path
    monkeypatch.setattr(cache.os, "getuid", lambda: tmp_path.stat().st_uid + 1, raising=False)
    assert cache.is_ours(tmp_path / "nowhere")
    with pytest.raises(OSError, match="set GEOSTACK_CACHE"):
        cache.writable_cache_folder()


@pytest.mark.skipif(sys.platform == "win32", reason="links want a privilege there")
def test_a_link_in_the_temporary_folder_is_not_followed(tmp_path, monkeypatch):
    """It is ours to follow by its target's owner, and whoever made it chose that target."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setenv("GEOSTACK_CACHE", "/proc/nowhere")
    cache.fallback_folder().symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="neither"):
        cache.writable_cache_folder()
    assert not list((tmp_path / "mine").iterdir())
