"""The checks themselves: each fault that a committed notebook can have is seen."""

from copy import deepcopy
from pathlib import Path

import nbformat.v4 as nbf
import pytest
from notebook_files import find_sources, problems, sources_of_pixels

HERE = Path("/somewhere/clone")


def pair(*outputs, count=1):
    source = nbf.new_notebook(cells=[nbf.new_markdown_cell("# T"), nbf.new_code_cell("x")])
    executed = deepcopy(source)
    executed.cells[1].update(execution_count=count, outputs=list(outputs))
    return executed, source


def stream(text, name="stdout"):
    return nbf.new_output("stream", name=name, text=text)


def test_a_sound_copy_has_no_problem():
    executed, source = pair(stream("140 chips\n"))
    assert problems(executed, source, HERE) == []


def test_a_changed_cell_is_seen():
    executed, source = pair()
    source.cells[1].source = "y"
    assert problems(executed, source, HERE) == ["cell 2 (y) is not the .py's"]


def test_a_missing_cell_is_seen():
    executed, source = pair()
    source.cells.append(nbf.new_markdown_cell("more"))
    assert problems(executed, source, HERE) == ["it has 2 cells, its .py has 3"]


def test_a_cell_that_did_not_run_is_seen():
    executed, source = pair(count=None)
    assert problems(executed, source, HERE) == ["cell 2 (x) was not executed"]


def test_a_stored_error_is_seen():
    error = nbf.new_output("error", ename="ValueError", evalue="bad", traceback=[])
    executed, source = pair(error)
    assert problems(executed, source, HERE) == ["cell 2 (x) holds an error: ValueError: bad"]


def test_a_warning_is_seen():
    executed, source = pair(stream("UserWarning: mind\n", "stderr"))
    assert problems(executed, source, HERE) == ["cell 2 (x) wrote to stderr: UserWarning: mind"]


@pytest.mark.parametrize(
    "text",
    [
        "read /somewhere/clone/data/a.tif",
        "read /somewhere/other/a.tif",
        f"cached in {Path.home()}/.cache/geostack",
        "wrote /tmp/abc/out.tif",
        "file:///tmp/abc/out.tif",
    ],
)
@pytest.mark.parametrize("kind", ["stdout", "text/html", "image/svg+xml"])
def test_a_path_of_this_machine_is_seen(text, kind):
    output = stream(text) if kind == "stdout" else nbf.new_output("display_data", data={kind: text})
    executed, source = pair(output)
    assert len(problems(executed, source, HERE)) == 1


@pytest.mark.parametrize("text", ["/vsicurl/x.tif", "a/tmp/b", "s3://bucket/tmp/x", "~/.cache/x"])
def test_other_paths_pass(text):
    executed, source = pair(stream(text))
    assert problems(executed, source, HERE) == []


def test_sources_of_pixels_are_told_once():
    executed, _ = pair(stream("source: simulated (Lake Tahoe)\nok\nsource: simulated (Lake Tahoe)"))
    assert sources_of_pixels(executed) == ["source: simulated (Lake Tahoe)"]


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "geostack"\n')
    lessons = ("patching/01_intro", "catalog/01_intro", "patching/recipes/r", "assessment/02_c")
    for name in ("01_a", "03_b", *lessons):
        path = tmp_path / "notebooks" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# %% [markdown]\n# # T\n")
    return tmp_path


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("walkthrough", ["01_a", "03_b"]),
        ("patching", ["patching/01_intro", "patching/recipes/r"]),
        ("catalog", ["catalog/01_intro"]),
        ("assessment", ["assessment/02_c"]),
        ("03", ["03_b"]),
        ("03_b.py", ["03_b"]),
        ("03_b.ipynb", ["03_b"]),
        ("r", ["patching/recipes/r"]),
        ("catalog/01_intro", ["catalog/01_intro"]),
    ],
)
def test_target_names_notebooks(clone, target, names):
    found = find_sources(clone, target)
    folder = clone / "notebooks"
    assert [str(path.relative_to(folder).with_suffix("")) for path in found] == names


def test_an_ambiguous_name_lists_what_it_could_be(clone):
    with pytest.raises(ValueError, match="patching/01_intro, catalog/01_intro"):
        find_sources(clone, "01_intro")


def test_an_unknown_name_lists_what_there_is(clone):
    with pytest.raises(ValueError, match="there are 01_a, 03_b"):
        find_sources(clone, "99")


def test_an_empty_tier_is_an_error(clone):
    (clone / "notebooks/catalog/01_intro.py").unlink()
    with pytest.raises(FileNotFoundError, match="catalog"):
        find_sources(clone, "catalog")
