"""A folder of results that others share: what is gone or not ours is a miss, never a crash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import pipekit as pk
from pipekit.store import MISSING, FolderStore

RUNS = []


def doubled(x):
    RUNS.append(x)
    return x * 2


def gone(path, *rest, **more):
    Path(path).unlink()
    raise FileNotFoundError(path)


def denied(path, *rest, **more):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("fault", [gone, denied])
def test_what_cannot_be_touched_is_still_read(fault, tmp_path, monkeypatch):
    store = FolderStore(tmp_path, None)
    store.put("k", [1])
    monkeypatch.setattr(os, "utime", fault)
    assert store.get("k") == [1]


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, IsADirectoryError, OSError])
def test_what_cannot_be_read_is_missing(error, tmp_path, monkeypatch):
    store = FolderStore(tmp_path, None)
    store.put("k", [1])

    def fails(self):
        raise error(str(self))

    monkeypatch.setattr(Path, "read_bytes", fails)
    assert store.get("k") is MISSING


@pytest.mark.parametrize("state", ["removed", "emptied", "a file", "a folder in the way"])
def test_a_folder_that_changes_meanwhile_is_computed_through(state, tmp_path):
    folder = tmp_path / "shared"
    cache = pk.Cache(pk.Lambda(doubled), key="double", folder=folder, maxsize=2)
    RUNS.clear()
    assert cache(3) == 6
    (path,) = folder.iterdir()
    if state == "a folder in the way":
        path.unlink()
        path.mkdir()
        (path / "x").touch()
    else:
        shutil.rmtree(folder)
        if state == "emptied":
            folder.mkdir()
        elif state == "a file":
            folder.write_text("not a folder")
    assert (cache(3), cache(3)) == (6, 6)
    cache.clear()
    assert RUNS.count(3) == (2 if state in ("removed", "emptied") else 3)


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch, caplog):
    cache = pk.Cache(pk.Lambda(doubled), key="double", folder=tmp_path, maxsize=1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", denied)
        assert (cache(1), cache(1)) == (2, 2)
    assert "not remembered" in caplog.text
    assert list(tmp_path.iterdir()) == []
    assert (cache.hits, cache.misses) == (0, 2)


def test_what_another_user_owns_is_not_removed_by_force(tmp_path, monkeypatch):
    store = FolderStore(tmp_path, 1)
    store.put("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: denied(self))
        store.clear()
    assert store.get("a") == 1


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize(
    ("folder", "file"), [(0o700, 0o600), (0o750, 0o640), (0o2770, 0o640), (0o755, 0o644)]
)
def test_who_may_read_the_folder_may_read_its_files(umask, folder, file, tmp_path):
    tmp_path.chmod(folder)
    before = os.umask(umask)
    try:
        FolderStore(tmp_path, None).put("k", 1)
    finally:
        os.umask(before)
    assert (tmp_path / "k.cached").stat().st_mode & 0o777 == file


class Changes:
    """A class whose pickles a later version cannot read."""

    def __setstate__(self, state):
        raise KeyError("a name that older files lack")

    def __getstate__(self):
        return {"old": 1}


def test_a_class_that_changed_is_computed_again(tmp_path):
    store = FolderStore(tmp_path, None)
    store.put("k", Changes())
    assert store.get("k") is MISSING
