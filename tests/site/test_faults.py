"""Each kind of fault in a page stops the build: a small site is broken in every way."""

import json
import subprocess
import sys

import pytest
from stage import COPIED, ROOT, stage

pytest.importorskip("sphinx", reason="needs the site extra: make site")


RENDER = (
    "import sys, pathlib, build; pages = pathlib.Path(sys.argv[1]);"
    "sys.exit(build.render(pages, pages / 'html', html_favicon=None))"
)


@pytest.fixture
def faults(tmp_path):
    """Build a small site of the page's text under the site's settings; return what is told."""

    def told(text: str, toc: str = "root: index\nentries: [{file: page}]\n") -> str:
        (tmp_path / "docs" / "static").mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / "static" / "site.css").touch()
        (tmp_path / "docs" / "toc.yml").write_text(toc, "utf-8")
        (tmp_path / "index.md").write_text("# Start\n\n[a page](page.md)\n", "utf-8")
        (tmp_path / "page.md").write_text(f"# Page\n\n(here)=\n## Here\n\n{text}\n", "utf-8")
        # each in a process of its own: a second Sphinx in one warns of what is registered twice
        command = [sys.executable, "-W", "ignore", "-c", RENDER, str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT / "docs", capture_output=True, text=True)
        assert bool(done.returncode) == bool(done.stderr), done.stderr
        return done.stderr

    return told


def test_a_sound_page_passes(faults):
    assert faults("[there](#here) and [far](https://nowhere.invalid/page)") == ""


BROKEN = {
    "[gone](nowhere.md)": "nowhere.md",
    "[gone](#no-target)": "no-target",
    "{ref}`no-label`": "no-label",
    "![nothing](nothing.png)": "nothing.png",
    "```{nosuchthing}\ntext\n```": "nosuchthing",
    "{nosuchrole}`text`": "nosuchrole",
    "(here)=\n## Again": "here",
}
"""What a page may hold by mistake -> what the fault about it must name."""


def test_each_fault_in_a_page_is_seen(faults):
    found = faults("\n\n".join(BROKEN))
    missed = [text for text, named in BROKEN.items() if named not in found]
    assert missed == [], found


def test_a_page_missing_from_the_contents_is_seen(faults):
    assert "page" in faults("Text.", toc="root: index\n")


def test_a_stored_error_is_seen(tmp_path):
    notebook = json.loads((ROOT / "notebooks" / "01_composition_core.ipynb").read_text("utf-8"))
    error = {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": []}
    next(c for c in notebook["cells"] if c["cell_type"] == "code")["outputs"] = [error]
    root = tmp_path / "root"
    for name in ("docs", *COPIED):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(ROOT / name)
    (root / "notebooks").mkdir()
    (root / "notebooks" / "bad.ipynb").write_text(json.dumps(notebook), "utf-8")
    with pytest.raises(ValueError, match=r"notebooks/bad.ipynb holds an error: ValueError"):
        stage(tmp_path / "pages", root)
