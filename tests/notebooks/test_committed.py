"""Every committed notebook is the executed copy of its source, and fit to be read on the site."""

import base64
import re
import struct
from pathlib import Path

import pytest
from notebook_files import find_sources, problems, read_executed, read_source

ROOT = Path(__file__).resolve().parents[2]
SOURCES = find_sources(ROOT, "all")
IDS = [str(path.relative_to(ROOT / "notebooks").with_suffix("")) for path in SOURCES]

MAX_BYTES = 1_500_000
MAX_FIGURE_PIXELS = 2_600  # a side; wider figures only cost the reader time
MAX_CODE_LINES = 24
LOGGED = re.compile(r"\b(?:INFO|WARNING)\b.{0,40}(?:- | \|)|color: #008080")
SECRETS = re.compile(r"[?&](?:sig|se|sp|sv|token|key)=[\w%]{6,}|Bearer [\w-]{8,}")


def test_each_file_of_tests_belongs_to_a_lesson():
    folder = ROOT / "tests" / "notebooks" / "lessons"
    found = {str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.py")}
    assert found <= set(IDS)


@pytest.fixture(scope="module", params=SOURCES, ids=IDS)
def source(request):
    return request.param


@pytest.fixture(scope="module")
def executed(source):
    path = source.with_suffix(".ipynb")
    assert path.exists(), (
        f"{source.name} has no executed copy; make it with `make notebooks-inplace`"
    )
    return read_executed(path)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_text(notebook):
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    # A comment in a block of code is no title.
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def printed(notebook):
    return "\n".join(
        output.get("text", "")
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "stream"
    )


def figures(notebook):
    return [
        output.data["image/png"]
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]


def test_copy_is_what_the_source_gave_and_leaks_nothing(source, executed):
    assert problems(executed, read_source(source), ROOT) == []


def test_cells_ran_once_from_top_to_bottom(executed):
    counts = [cell.execution_count for cell in code_cells(executed) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))


def test_size(source):
    assert source.with_suffix(".ipynb").stat().st_size < MAX_BYTES


def test_no_token_in_outputs(source):
    assert not SECRETS.search(source.with_suffix(".ipynb").read_text("utf-8"))


def test_no_output_is_a_log(source):
    assert not LOGGED.search(source.with_suffix(".ipynb").read_text("utf-8"))


def test_begins_with_its_only_title(executed):
    first = executed.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert len(re.findall(r"^# ", markdown_text(executed), re.MULTILINE)) == 1


def test_headings_do_not_skip_a_level(executed):
    depth = 1
    for marks in re.findall(r"^(#+) ", markdown_text(executed), re.MULTILINE):
        assert len(marks) <= depth + 1, f"a heading of level {len(marks)} under one of {depth}"
        depth = len(marks)


def test_ends_with_a_recap_table_and_where_to_go_next(executed):
    last = [cell.source for cell in executed.cells if cell.cell_type == "markdown"][-3:]
    ending = "\n\n".join(last)
    assert re.search(r"^\|[-:| ]+\|$", ending, re.MULTILINE), "no recap table at the end"
    assert re.search(r"next", ending, re.IGNORECASE), "the end does not say where to go next"


def test_says_what_comes_before_what_to_keep_and_where_it_is_from(executed):
    text = markdown_text(executed)
    opening, ending = executed.cells[0].source, text[len(text) // 2 :]
    assert "**Before this.**" in opening
    assert "**Time.**" in opening
    assert re.search(r"Key points", ending)
    assert re.search(r"\*\*References\.?\*\*", ending)


def test_says_which_source_the_pixels_came_from(source, executed):
    if not re.search(r"load_(s2|landsat|naip|era5|stac)", source.read_text("utf-8")):
        pytest.skip("it reads no scene")
    assert re.search(r"^source:", printed(executed), re.MULTILINE)


def test_sections_on_real_scenes_hold_real_pixels(source, executed):
    if not re.search(r"SOUTH_TYROL|FLANDERS|31UDS", source.read_text("utf-8")):
        pytest.skip("it asks for no real scene")
    assert re.search(r"^source: archive", printed(executed), re.MULTILINE), (
        "executed without the archive: set GEOSTACK_ARCHIVE=../shared/data/archive"
    )


def test_code_cells_are_short(executed):
    long = [
        f"{len(cell.source.splitlines())} lines: {cell.source.splitlines()[0]}"
        for cell in code_cells(executed)
        if len(cell.source.splitlines()) > MAX_CODE_LINES
    ]
    assert long == []


def test_no_script_stands_in_a_string(executed):
    code = "\n".join(cell.source for cell in code_cells(executed))
    assert not re.search(r"""["']-c["']|dedent\(""", code)


def test_each_shape_of_lesson_07_has_three_to_five_cells():
    (path,) = find_sources(ROOT, "07")
    found, shape = {}, None
    for cell in read_source(path).cells:
        if cell.cell_type == "markdown":
            for title in re.findall(r"^## (.+)$", cell.source, re.MULTILINE):
                shape = title if title[0].isdigit() else None
        elif shape:
            found[shape] = found.get(shape, 0) + 1
    assert len(found) == 13
    assert {shape: count for shape, count in found.items() if not 3 <= count <= 5} == {}


def test_every_figure_has_a_title_and_a_sentence_about_it(executed):
    unexplained = []
    for number, cell in enumerate(executed.cells):
        if cell.cell_type != "code" or not any(
            "image/png" in output.get("data", {}) for output in cell.outputs
        ):
            continue
        near = executed.cells[max(0, number - 2) : number + 3]
        prose = " ".join(c.source for c in near if c.cell_type == "markdown")
        if "title" not in cell.source or not re.search(r"\w[^.\n#|]{40,}[.:]", prose):
            unexplained.append(cell.source.splitlines()[0])
    assert unexplained == []


def test_figures_are_of_a_readable_size(executed):
    for encoded in figures(executed):
        header = base64.b64decode(encoded[:64])
        width, height = struct.unpack(">II", header[16:24])
        assert 100 < width <= MAX_FIGURE_PIXELS
        assert 60 < height <= MAX_FIGURE_PIXELS


def test_kernel_metadata_names_no_machine(executed):
    assert executed.metadata.kernelspec == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert set(executed.metadata) == {"kernelspec", "language_info"}


def test_no_frontmatter_cell(executed):
    assert all(cell.cell_type != "raw" for cell in executed.cells)
    assert not executed.cells[0].source.startswith("---")
