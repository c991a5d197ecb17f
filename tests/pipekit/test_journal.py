"""A journal's line outlives a kill at once; syncs to disk are few."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
from object_store import Fault

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


# on an object store


def test_a_journal_on_a_store_goes_on(on_store, monkeypatch):
    monkeypatch.setattr(module, "PIECE_BYTES", 200)
    path, run = str(on_store / "run.jsonl"), {"operator": "NDVI"}
    with Journal(path, run, Part) as journal:
        for number in range(40):
            journal.add(Part(f"part {number}"))
    assert len(list(on_store.below())) > 3
    with Journal(path, run, Part) as journal:
        assert list(journal.done) == [f"part {number}" for number in range(40)]
        assert not journal.finished
        journal.finish()
    with Journal(path, run, Part) as journal:
        assert journal.finished
        journal.restart()
        journal.add(Part("new"))
    assert [place.name for place in on_store.below()] == ["run.jsonl"]
    with Journal(path, run, Part) as journal:
        assert list(journal.done) == ["new"]
    with pytest.raises(ValueError, match="belongs to another run"):
        Journal(path, {"operator": "NDWI"}, Part)


def test_of_two_runs_with_one_journal_the_slower_stops(on_store):
    path = str(on_store / "run.jsonl")
    with Journal(path, {}, Part) as first, Journal(path, {}, Part) as second:
        second.add(Part("second"))
        with pytest.raises(ValueError, match="taken over by another run"):
            first.add(Part("first"))
        second.add(Part("again"))
    with Journal(path, {}, Part) as journal:
        assert list(journal.done) == ["second", "again"]


def test_a_lost_answer_is_no_other_run(on_store, store_proxy, hasty):
    with Journal(str(on_store / "run.jsonl"), {}, Part) as journal:
        store_proxy.faults.append(Fault("PUT", on_store.key, "lost"))
        journal.add(Part("a"))
        store_proxy.faults.append(Fault("PUT", on_store.key, "status"))
        journal.add(Part("b"))
    assert not any(fault.times for fault in store_proxy.faults)
    with Journal(str(on_store / "run.jsonl"), {}, Part) as journal:
        assert list(journal.done) == ["a", "b"]


def test_what_is_no_journal_stays_as_it_is(on_store):
    place = on_store / "run.jsonl"
    place.write(b"precious\n")
    with pytest.raises(ValueError, match="no journal"):
        Journal(place, {}, Part)
    assert place.read() == b"precious\n"
