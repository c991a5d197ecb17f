"""The runner: what it writes, what it leaves alone, and what it calls a failure."""

import json
import os
import subprocess
import sys

import pytest
from run_notebooks import main

GOOD = """\
# %% [markdown]
# # A notebook

# %%
import os
import warnings

print("source: simulated (nowhere)")
print(os.environ["TQDM_DISABLE"], os.path.basename(os.environ["GEOSTACK_ARCHIVE"]))
print(os.path.isabs(os.environ["GEOSTACK_ARCHIVE"]), os.path.basename(os.getcwd()))

# %%
object()
"""
BAD = """\
# %% [markdown]
# # Another

# %%
1 + 1

# %%
raise ValueError("step must be positive")

# %%
print("never")
"""

BUILDS = """\
# %% [markdown]
# # A third

# %%
import os
from pathlib import Path

pond = Path(os.environ["GEOSTACK_CACHE"], "simulated", "pond")
pond.mkdir(parents=True, exist_ok=True)
_ = (pond / "a.tif").write_bytes(b"x" * 4096)
"""


@pytest.fixture
def clone(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "geostack"\n')
    (tmp_path / "notebooks" / "catalog").mkdir(parents=True)
    (tmp_path / "notebooks" / "01_good.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", "../archive")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    return tmp_path


def printed(path):
    notebook = json.loads(path.read_text("utf-8"))
    return "".join(
        line
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        for line in output.get("text", [])
    )


@pytest.fixture
def archive(clone, monkeypatch):
    """What --inplace asks for: a folder of real scenes."""
    folder = clone / "archive"
    folder.mkdir()
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(folder))
    return folder


def test_a_run_changes_nothing_but_build(clone, capsys):
    (clone / "notebooks" / "01_good.ipynb").write_text("committed")
    assert main(["walkthrough"], clone) == 0
    told = capsys.readouterr().out
    made = clone / "_build" / "notebooks"
    assert "1 of 1 notebooks are well" in told
    assert "pixels from simulated (nowhere): 01_good" in told
    assert told.count(str(made)) == 2, "where the copies go is said before and after"
    copy = made / "01_good.ipynb"
    assert printed(copy) == "source: simulated (nowhere)\n1 archive\nTrue notebooks\n"
    first = copy.read_bytes()
    assert main(["01_good"], clone) == 0
    assert copy.read_bytes() == first
    assert [path.name for path in made.iterdir()] == ["01_good.ipynb"]
    assert (clone / "notebooks" / "01_good.ipynb").read_text() == "committed"


def test_inplace_writes_the_copy_beside_the_source(clone, archive):
    assert main(["01_good", "--inplace"], clone) == 0
    copy = clone / "notebooks" / "01_good.ipynb"
    assert "source: simulated (nowhere)" in printed(copy)
    assert not (clone / "_build").exists()


@pytest.mark.parametrize("place", [None, "", "not/there"])
def test_inplace_without_the_real_scenes_is_refused(clone, monkeypatch, capsys, place):
    if place is None:
        monkeypatch.delenv("GEOSTACK_ARCHIVE")
    else:
        monkeypatch.setenv("GEOSTACK_ARCHIVE", place)
    assert main(["01_good", "--inplace"], clone) == 2
    assert "set GEOSTACK_ARCHIVE" in capsys.readouterr().err
    assert not (clone / "notebooks" / "01_good.ipynb").exists()


def test_a_failure_keeps_the_old_copy_and_shows_the_cell(clone, archive, capsys):
    (clone / "notebooks" / "02_bad.py").write_text(BAD)
    old = clone / "notebooks" / "02_bad.ipynb"
    old.write_text("old")
    assert main(["walkthrough", "--jobs=2", "--inplace"], clone) == 1
    told = capsys.readouterr().out
    assert "FAILED: 02_bad" in told
    assert 'raise ValueError("step must be positive")' in told
    assert "1 of 2 notebooks are well" in told
    assert old.read_text() == "old"


def test_a_lessons_tests_run_on_what_it_left_and_are_no_part_of_the_copy(clone, capsys):
    tests = clone / "tests" / "notebooks" / "lessons" / "01_good.py"
    tests.parent.mkdir(parents=True)
    tests.write_text("assert os.environ['TQDM_DISABLE'] == '1'\n")  # `os` is the lesson's
    assert main(["01_good"], clone) == 0
    right = (clone / "_build" / "notebooks" / "01_good.ipynb").read_bytes()
    assert b"TQDM_DISABLE'] ==" not in right
    tests.write_text("assert os.environ['TQDM_DISABLE'] == '2'\n")
    assert main(["01_good"], clone) == 1
    assert "AssertionError" in capsys.readouterr().out


def test_a_lesson_that_skips_itself_is_no_success_and_replaces_nothing(clone, archive, capsys):
    lesson = clone / "notebooks" / "02_needs.py"
    lesson.write_text(
        "# %%\nfrom geostack.lesson import need\n_ = need('no_such_framework')\n\n"
        "# %%\nprint('never')\n"
    )
    committed = lesson.with_suffix(".ipynb")
    committed.write_text("the copy with its outputs")
    assert main(["walkthrough", "--inplace"], clone) == 0
    told = capsys.readouterr().out
    assert "1 of 2 notebooks are well" in told
    assert "SKIPPED" in told
    assert "this needs no_such_framework" in told
    assert "not installed: 02_needs" in told
    assert committed.read_text() == "the copy with its outputs"


def test_out_leaves_the_repository_alone(clone, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert main(["01_good", "--out", str(out)], clone) == 0
    assert (out / "01_good.ipynb").exists()
    assert not (clone / "notebooks" / "01_good.ipynb").exists()
    assert not (clone / "_build").exists()


def test_check_wants_a_copy_in_step_with_its_source(clone, archive, capsys):
    assert main(["01_good", "--check"], clone) == 1
    assert "there is no executed copy" in capsys.readouterr().out
    assert main(["01_good", "--inplace"], clone) == 0
    assert main(["01_good", "--check"], clone) == 0
    source = clone / "notebooks" / "01_good.py"
    source.write_text(GOOD.replace("object()", "dict()"))
    assert main(["01_good", "--check"], clone) == 1
    assert "cell 3 (dict()) is not the .py's" in capsys.readouterr().out


def test_what_was_built_is_told_with_the_cache_folder(clone, capsys, monkeypatch):
    cache = clone / "cache"
    monkeypatch.setenv("GEOSTACK_CACHE", str(cache))
    (clone / "notebooks" / "01_good.py").write_text(BUILDS)
    assert main(["01_good"], clone) == 0
    assert f"built into the cache folder {cache}: pond 4.1 kB" in capsys.readouterr().out
    assert main(["01_good"], clone) == 0
    assert "built into" not in capsys.readouterr().out


def test_an_unknown_notebook_is_a_usage_error(clone, capsys):
    assert main(["99"], clone) == 2
    assert "must be a tier" in capsys.readouterr().err


def test_geostack_run_is_the_same_from_a_clone(clone, root, monkeypatch):
    monkeypatch.delenv("PYTHONWARNINGS")
    monkeypatch.setenv("GEOSTACK_ROOT", str(root))
    command = [sys.executable, "-m", "geostack.cli", "run", "99", "--jobs", "2"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "'99' must be a tier" in ended.stderr


@pytest.mark.parametrize("place", ["chosen", "around"])
def test_geostack_run_outside_a_clone_says_what_to_do(tmp_path, monkeypatch, place):
    from geostack import cli

    if place == "chosen":
        monkeypatch.setenv("GEOSTACK_ROOT", str(tmp_path))
    else:
        monkeypatch.delenv("GEOSTACK_ROOT", raising=False)
        monkeypatch.setattr(cli, "__file__", str(tmp_path / "a" / "b" / "cli.py"))
        monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="clone"):
        cli._clone()


def test_jobs_must_be_positive(clone, capsys):
    assert main(["01_good", "--jobs=0"], clone) == 2
    assert "--jobs must be at least 1, got 0" in capsys.readouterr().err


def test_the_callers_environment_is_left_as_it_was(clone):
    before = dict(os.environ)
    main(["01_good", "--out", str(clone / "out")], clone)
    assert dict(os.environ) == before
