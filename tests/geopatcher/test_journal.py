"""The journal of a run: what a kill leaves is read, what is another run's is refused."""

import json

import pytest

from geopatcher import Journal, PatchError
from geopatcher.run import BlockRecord

RUN = {"patcher": "P(step=192)", "operator": "NDVI"}
BLOCK = BlockRecord((0, 512), crc32=7, covered=10, skipped={"(0, 0)": "ValueError: bad"})


def test_finished_blocks_are_found_again(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
        assert not journal.finished
    with Journal(path, RUN) as journal:
        assert journal.done == {(0, 512): BLOCK}
        journal.finish()
    with Journal(path, RUN) as journal:
        assert journal.finished


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_a_kill_tore_is_forgotten(tmp_path, cut):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
        journal.add(BlockRecord((512, 1024), crc32=8, covered=11))
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, RUN) as journal:
        assert journal.done == {(0, 512): BLOCK}
        journal.add(BlockRecord((512, 1024), crc32=9, covered=11))
    with Journal(path, RUN) as journal:
        assert journal.done[512, 1024].crc32 == 9


@pytest.mark.parametrize("length", [0, 1, 20])
def test_a_torn_head_begins_the_journal_again(tmp_path, length):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN):
        whole = path.read_bytes()
    path.write_bytes(whole[:length])
    with Journal(path, RUN) as journal:
        assert journal.done == {}
    assert path.read_bytes() == whole


def test_the_journal_of_another_run_is_refused_saying_what_differs(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
    before = path.read_bytes()
    with pytest.raises(PatchError, match="another run: operator was NDVI, is now NDWI; give"):
        Journal(path, RUN | {"operator": "NDWI"})
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["not a journal\n", "[1, 2]\n", '{"a": 1}\n'])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(PatchError, match="is no journal of a run"):
        Journal(path, RUN)
    assert path.read_text() == text


def test_two_runs_do_not_write_one_journal(tmp_path):
    pytest.importorskip("fcntl", reason="needs locks on files")
    with (
        Journal(tmp_path / "run.jsonl", RUN),
        pytest.raises(PatchError, match="in use by another run"),
    ):
        Journal(tmp_path / "run.jsonl", RUN)
    with Journal(tmp_path / "run.jsonl", RUN):
        pass  # free again


def test_a_journal_in_no_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="journal's folder does not exist"):
        Journal(tmp_path / "no" / "run.jsonl", RUN)


def test_each_line_is_json(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
        journal.finish()
    head, block, end = map(json.loads, path.read_text().splitlines())
    assert head["run"] == RUN
    assert block["rows"] == [0, 512]
    assert end == {"finished": True}
