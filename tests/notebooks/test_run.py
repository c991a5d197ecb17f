"""The runner: what it writes, what it leaves alone, and what it calls a failure."""

import json
import os
import subprocess
import sys

import pytest

from geostack.run import main

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


@pytest.fixture
def clone(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "geostack"\n')
    (tmp_path / "notebooks" / "catalog").mkdir(parents=True)
    (tmp_path / "notebooks" / "01_good.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEOSTACK_ROOT", str(tmp_path))
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


def test_a_run_writes_the_copy_beside_the_source_and_reports(clone, capsys):
    assert main("walkthrough") == 0
    told = capsys.readouterr().out
    assert "1 of 1 notebooks are well" in told
    assert "pixels from simulated (nowhere): 01_good" in told
    assert str(clone / "notebooks") in told
    copy = clone / "notebooks" / "01_good.ipynb"
    assert printed(copy) == "source: simulated (nowhere)\n1 archive\nTrue notebooks\n"
    first = copy.read_bytes()
    assert main("01_good") == 0
    assert copy.read_bytes() == first
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith(".")] == []


def test_a_failure_keeps_the_old_copy_and_shows_the_cell(clone, capsys):
    (clone / "notebooks" / "02_bad.py").write_text(BAD)
    old = clone / "notebooks" / "02_bad.ipynb"
    old.write_text("old")
    assert main("walkthrough", jobs=2) == 1
    told = capsys.readouterr().out
    assert "FAILED: 02_bad" in told
    assert 'raise ValueError("step must be positive")' in told
    assert "1 of 2 notebooks are well" in told
    assert old.read_text() == "old"


def test_out_leaves_the_repository_alone(clone, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert main("01_good", out=out) == 0
    assert (out / "01_good.ipynb").exists()
    assert not (clone / "notebooks" / "01_good.ipynb").exists()


def test_check_wants_a_copy_in_step_with_its_source(clone, capsys):
    assert main("01_good", check=True) == 1
    assert "there is no executed copy" in capsys.readouterr().out
    assert main("01_good") == 0
    assert main("01_good", check=True) == 0
    source = clone / "notebooks" / "01_good.py"
    source.write_text(GOOD.replace("object()", "dict()"))
    assert main("01_good", check=True) == 1
    assert "cell 3 (dict()) is not the .py's" in capsys.readouterr().out


def test_an_unknown_notebook_is_a_usage_error(clone, capsys):
    assert main("99") == 2
    assert "must be a tier" in capsys.readouterr().err


def test_the_module_is_the_command(clone, monkeypatch):
    monkeypatch.delenv("PYTHONWARNINGS")
    command = [sys.executable, "-m", "geostack.run", "--jobs", "2", "99"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "'99' must be a tier" in ended.stderr


def test_jobs_must_be_positive(clone):
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        main(jobs=0)


def test_the_callers_environment_is_left_as_it_was(clone):
    before = dict(os.environ)
    main("01_good", out=clone / "out")
    assert dict(os.environ) == before
