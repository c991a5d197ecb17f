"""The reference: what is public and nothing else, with true signatures, for other sites to use."""

import importlib
import inspect
import json
import re

import api_pages
import pytest
from docstring import to_markdown


def names() -> set[str]:
    return {entry.target for entry in api_pages.entries()}


def test_every_public_name_has_one_entry():
    for face in api_pages.FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            value = getattr(module, name)
            told = [e for e in api_pages.entries() if e.name == name and e.value is value]
            assert len(told) == (not inspect.ismodule(value)), f"{face}.{name}"
    assert len(names()) == len(api_pages.entries())


def test_internals_are_hidden():
    allowed = {(e.face, e.name) for e in api_pages.entries() if e.face in api_pages.FACES}
    twins = {e.name.replace("_", "") for e in api_pages.entries() if e.face not in api_pages.FACES}
    operators = {name.lower() for face, name in allowed if face.startswith("geotoolz")}
    assert twins <= operators
    assert not any(part.startswith("_") for name in names() for part in name.split("."))


def test_pages_hold_every_entry(pages):
    folder = pages / "docs" / "reference" / "api"
    assert {path.stem for path in folder.glob("*.md")} == set(api_pages.rooms())
    index = (pages / "docs" / "reference" / "index.md").read_text("utf-8")
    for page, listed in api_pages.rooms().items():
        text = (folder / f"{page}.md").read_text("utf-8")
        for entry in listed:
            assert re.search(rf"^:+\{{py:\w+\}} {entry.name}\b", text, re.MULTILINE), entry
            assert f"<{entry.target}>`" in index


def test_fences_are_closed_on_every_page(pages):
    for path in (pages / "docs" / "reference" / "api").glob("*.md"):
        fences = re.findall(r"^(?:```|:::+)", path.read_text("utf-8"), re.MULTILINE)
        assert len(fences) % 2 == 0, path.name


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("One line.", "One line."),
        ("Scale by *k*, in [0, 1].", r"Scale by *k*, in \[0, 1\]."),
        ("So a*b and *args.", r"So a\*b and \*args."),
        ("Keep `a*b` as code.", "Keep `a*b` as code."),
        ("Sum.\n\n>>> 1 + 1\n2", "Sum.\n\n```pycon\n>>> 1 + 1\n2\n```"),
        (
            "Do.\n\nArgs:\n    size: (rows, cols),\n        in pixels.\n    step: whole.\n\nMore.",
            "Do.\n\n**Args**\n\n- `size`: (rows, cols), in pixels.\n- `step`: whole.\n\nMore.",
        ),
        ("Do.\n\nExamples\n--------\n>>> 2\n2", "Do.\n\n**Examples**\n\n```pycon\n>>> 2\n2\n```"),
        (
            "Do.\n\nParameters\n----------\na, b\n    Sizes,\n    in pixels.\nstep\n    Whole.",
            "Do.\n\n**Parameters**\n\n- `a, b`: Sizes, in pixels.\n- `step`: Whole.",
        ),
        ("As in\n\n    a = b\n\nalways.", "As in\n\n```text\na = b\n```\n\nalways."),
    ],
)
def test_docstring_becomes_markdown(docstring, markdown):
    assert to_markdown(docstring) == markdown


def test_a_signature_is_what_is_called():
    def one(a: "int", /, b=3, *rest: str, c: "float | None" = None, **more): ...
    def two(x, *, flag=True) -> "list[str]": ...

    assert api_pages.signature(one) == (
        "(a: int, /, b=3, *rest: str, c: float | None = None, **more)"
    )
    assert api_pages.signature(two) == "(x, *, flag=True) -> list[str]"


def test_every_signature_names_the_parameters_in_their_order():
    import ast

    for entry in api_pages.entries():
        written = api_pages.signature(entry.value) if callable(entry.value) else ""
        if written:
            arguments = ast.parse(f"def f{written.replace('...', 'None')}: pass").body[0].args
            every = [*arguments.posonlyargs, *arguments.args, arguments.vararg]
            every += [*arguments.kwonlyargs, arguments.kwarg]
            assert [a.arg for a in every if a] == list(inspect.signature(entry.value).parameters)


def test_other_sites_can_refer_to_every_name(rendered):
    from sphinx.util.inventory import InventoryFile

    with (rendered / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    known = {name for kind, found in inventory.items() if kind.startswith("py:") for name in found}
    assert names() <= known
    assert "geocatalog.GeoCatalog.query" in known
    assert "geotoolz.indices.NDVI" in known, "where it is defined is known too"


def test_names_in_code_and_prose_lead_to_their_entry(rendered):
    lesson = (rendered / "notebooks" / "05_patching_grids.html").read_text("utf-8")
    assert 'class="sphinx-codeautolink-a" href="../docs/reference/api/geopatcher' in lesson
    concept = (rendered / "docs" / "concepts" / "four-axes.html").read_text("utf-8")
    assert re.search(r'<a class="reference internal" href="[^"]*#geopatcher.SpatialTrim"', concept)


def test_a_page_offers_what_readers_look_for(rendered):
    from build import PROJECT

    lesson = (rendered / "notebooks" / "05_patching_grids.html").read_text("utf-8")
    path = "notebooks/05_patching_grids"
    assert f"mybinder.org/v2/gh/owner/geostack/main?urlpath=lab/tree/{path}.ipynb" in lesson
    assert f"colab.research.google.com/github/owner/geostack/blob/main/{path}.ipynb" in lesson
    assert f"github.com/owner/geostack/edit/main/{path}.py" in lesson
    first = (rendered / "index.html").read_text("utf-8")
    assert 'http-equiv="refresh"' not in first
    assert f"geostack {PROJECT['version']}" in first
    assert "github.com/owner/geostack/edit/main/docs/index.md" in first
    for path in rendered.glob("docs/*/*.html"):
        assert re.search(r'<meta name="description" content=".{40}', path.read_text("utf-8")), path


def test_citation_is_that_of_the_file():
    import yaml
    from stage import ROOT

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    text = (ROOT / "docs" / "citation.md").read_text("utf-8")
    for key in ("title", "version", "date-released", "license"):
        assert str(cited[key]) in text, key
    assert json.dumps(cited["authors"][0]["name"]).strip('"') in text
