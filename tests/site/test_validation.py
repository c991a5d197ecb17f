"""The site has no fault, and each kind of fault would be seen: a copy is broken in every way."""

import json
import shutil

import pytest
import yaml
from stage import ROOT
from validation import THEME, faults


def test_the_site_has_no_fault(pages, myst):
    assert faults(pages, myst) == []
    assert not (pages / THEME).exists()


@pytest.fixture
def copy(tmp_path):
    """A small site under the same rules: two pages and a notebook."""
    config = yaml.safe_load((ROOT / "myst.yml").read_text("utf-8"))
    config["project"]["toc"] = [
        {"file": "README.md"},
        {"title": "Pages", "children": [{"file": "page.md"}, {"file": "notebooks/one.ipynb"}]},
    ]
    (tmp_path / "myst.yml").write_text(yaml.safe_dump(config), "utf-8")
    (tmp_path / "README.md").write_text("# Start\n\n[a page](page.md)\n", "utf-8")
    (tmp_path / "page.md").write_text("# Page\n\n(here)=\n## Here\n\n[there](#here)\n", "utf-8")
    (tmp_path / "notebooks").mkdir()
    notebook = {
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Notebook"},
            {
                "cell_type": "code",
                "id": "b",
                "metadata": {},
                "source": "1 + 1",
                "execution_count": 1,
                "outputs": [],
            },
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "notebooks" / "one.ipynb").write_text(json.dumps(notebook), "utf-8")
    return tmp_path


def test_a_sound_copy_passes(copy, myst):
    assert faults(copy, myst) == []


BROKEN = {
    "[gone](nowhere.md)": "nowhere.md",
    "[gone](#no-target)": "no-target",
    "[](#no-text)": "no-text",
    "{ref}`no-label`": "no-label",
    "{cite}`nobody2020`": "nobody2020",
    "![nothing](nothing.png)": "nothing.png",
    "```{nosuchthing}\ntext\n```": "nosuchthing",
    "{nosuchrole}`text`": "nosuchrole",
    "(here)=\n## Again": '"here"',
}
"""What a page may hold by mistake -> what the fault about it must name."""


def test_each_fault_in_a_page_is_seen(copy, myst):
    with (copy / "page.md").open("a", encoding="utf-8") as page:
        page.write("\n" + "\n\n".join(BROKEN) + "\n")
    found = faults(copy, myst)
    missed = [text for text, named in BROKEN.items() if not any(named in fault for fault in found)]
    assert missed == [], found


def test_a_page_missing_from_the_contents_is_seen(copy, myst):
    (copy / "page.md").unlink()
    (copy / "README.md").write_text("# Start\n", "utf-8")
    assert any("page.md" in fault for fault in faults(copy, myst))


def test_a_site_that_builds_nothing_is_seen(copy, myst):
    config = yaml.safe_load((copy / "myst.yml").read_text("utf-8"))
    del config["site"]
    (copy / "myst.yml").write_text(yaml.safe_dump(config), "utf-8")
    assert any("built no page" in fault for fault in faults(copy, myst))


def test_a_stored_error_is_seen(copy, myst):
    path = copy / "notebooks" / "one.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    error = {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": []}
    notebook["cells"][1]["outputs"] = [error]
    path.write_text(json.dumps(notebook), "utf-8")
    assert "notebooks/one.ipynb holds an error: ValueError" in faults(copy, myst)


def test_a_page_of_the_web_is_not_asked_for(copy, myst):
    with (copy / "page.md").open("a", encoding="utf-8") as page:
        page.write("\n[far](https://nowhere.invalid/page)\n")
    assert faults(copy, myst) == []


def test_program_tells_faults_by_its_status(copy, myst, monkeypatch, capsys):
    import runpy
    import sys

    (copy / "page.md").write_text("# Page\n\n[gone](nowhere.md)\n", "utf-8")
    monkeypatch.setenv("PATH", f"{shutil.os.path.dirname(myst)}:{shutil.os.environ['PATH']}")
    monkeypatch.setattr(sys, "argv", ["validation.py", str(copy)])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "tests" / "site" / "validation.py"), run_name="__main__")
    assert stopped.value.code
    assert "nowhere.md" in capsys.readouterr().out
