"""A journal's line outlives a kill at once; syncs to disk are few."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest

from pipekit import journal as module
from pipekit.journal import Journal


@dataclass(frozen=True)
class Part:
    key: str


KILLED = """
import os, signal, sys
from dataclasses import dataclass
from pipekit.journal import Journal

@dataclass(frozen=True)
class Part:
    key: str

journal = Journal(sys.argv[1], {"run": "a"}, Part)
for number in range(50):
    journal.add(Part(str(number)))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_every_part_outlives_a_kill(tmp_path):
    path = tmp_path / "run.jsonl"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Journal(path, {"run": "a"}, Part) as journal:
        assert list(journal.done) == [str(number) for number in range(50)]


def test_syncs_are_spaced_out_and_the_last_line_is_synced(tmp_path, monkeypatch):
    synced, now, sync = [], [0.0], os.fsync
    path = tmp_path / "run.jsonl"

    def noted(handle):
        sync(handle)
        synced.append(path.stat().st_size)

    monkeypatch.setattr(module.os, "fsync", noted)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Journal(path, {"run": "a"}, Part) as journal:
        for number in range(100):
            now[0] += 0.01
            journal.add(Part(str(number)))
            assert path.read_bytes().endswith(b'{"key": "%d"}\n' % number)
        assert len(synced) <= 1.0 / module.SYNC_EVERY
    assert synced[-1] == path.stat().st_size
    journal.close()  # again, which does nothing
