"""Files that are whole or not there, and locks that one process holds at a time."""

import os

import pytest

from pipekit.files import beside, lock, locked


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"), beside(path) as unfinished:
        unfinished.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_until_its_block_ends(tmp_path):
    path = tmp_path / "deep" / ".lock"
    with locked(path):
        other = os.open(path, os.O_RDWR)
        assert not lock(other, wait=False)
    assert lock(other, wait=False)
    os.close(other)
