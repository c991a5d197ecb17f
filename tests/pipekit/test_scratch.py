"""Temporary folders of killed processes are removed, and those of living ones are not."""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from pipekit.scratch import scratch_folder

HOLD = """
import sys
from pipekit.scratch import scratch_folder
with scratch_folder("pipekit-test-") as folder:
    (folder / "part").write_bytes(b"pixels")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temp(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("killed", [True, False])
def test_the_next_start_removes_what_a_killed_process_left(temp, killed):
    job = [sys.executable, "-c", HOLD]
    with subprocess.Popen(job, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        theirs = Path(process.stdout.readline().strip())
        if killed:
            process.kill()
            process.wait(60)
            assert (theirs / "part").exists()
        with scratch_folder("pipekit-test-") as ours:
            assert ours.is_dir()
            assert (theirs / "part").exists() is not killed
        process.stdin.close()
    assert not list(temp.iterdir())


def test_others_are_left_alone(temp):
    (temp / "pipekit-test-abc").mkdir()
    (temp / "elsewhere").mkdir()
    (temp / "pipekit-test-link.lock").symlink_to(temp / "elsewhere")
    with scratch_folder("pipekit-test-"):
        pass
    names = ["elsewhere", "pipekit-test-abc", "pipekit-test-link.lock"]
    assert sorted(path.name for path in temp.iterdir()) == names


def test_many_at_once_never_take_each_others(temp):
    failed = []

    def go():
        for _ in range(20):
            with scratch_folder("pipekit-test-") as folder:
                (folder / "part").write_bytes(b"pixels")
                if (folder / "part").read_bytes() != b"pixels":
                    failed.append(folder)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed
    assert not list(temp.iterdir())
