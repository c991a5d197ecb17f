"""API pages from docstrings: complete, linked, and readable Markdown."""

import importlib
import inspect
import re

import api_pages
import pytest
from docstring import to_markdown


def test_every_module_with_something_public_has_a_page(pages):
    written = {path.stem for path in (pages / "docs" / "reference" / "api").glob("*.md")}
    assert written == {module.name for module in api_pages.modules()}
    assert {"geotoolz.indices", "pipekit.operator", "geopatcher.patcher"} <= written


def test_reference_lists_every_page(pages):
    text = (pages / "docs" / "reference" / "index.md").read_text("utf-8")
    assert all(f"({module.page})" in text for module in api_pages.modules())


def test_targets_are_unique():
    targets = [
        api_pages.label(module.name, name)
        for module in api_pages.modules()
        for name in module.items
    ]
    assert len(targets) == len(set(targets))


def test_signature_is_the_constructors():
    module = next(m for m in api_pages.modules() if m.name == "geotoolz.indices")
    text = "\n".join(api_pages._item(module.name, "NDVI", module.items["NDVI"]))
    assert "(class-geotoolz-indices-ndvi)=\n## NDVI" in text
    assert "```python\nNDVI(" in text
    assert "self" not in text.split("```")[1]


def test_fences_are_closed_on_every_page(pages):
    for path in (pages / "docs" / "reference" / "api").glob("*.md"):
        fences = re.findall(r"^```", path.read_text("utf-8"), re.MULTILINE)
        assert len(fences) % 2 == 0, path.name


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("One line.", "One line."),
        ("Scale by *k*, in [0, 1].", r"Scale by *k*, in \[0, 1\]."),
        ("So a*b and *args.", r"So a\*b and \*args."),
        ("Keep `a*b` as code.", "Keep `a*b` as code."),
        ("Sum.\n\n>>> 1 + 1\n2", "Sum.\n\n```python\n>>> 1 + 1\n2\n```"),
        (
            "Do.\n\nArgs:\n    size: (rows, cols),\n        in pixels.\n    step: whole.\n\nMore.",
            "Do.\n\n**Args**\n\n- `size`: (rows, cols), in pixels.\n- `step`: whole.\n\nMore.",
        ),
        ("Do.\n\nExamples\n--------\n>>> 2\n2", "Do.\n\n**Examples**\n\n```python\n>>> 2\n2\n```"),
        (
            "Do.\n\nParameters\n----------\na, b\n    Sizes,\n    in pixels.\nstep\n    Whole.",
            "Do.\n\n**Parameters**\n\n- `a, b`: Sizes, in pixels.\n- `step`: Whole.",
        ),
        ("As in\n\n    a = b\n\nalways.", "As in\n\n```text\na = b\n```\n\nalways."),
    ],
)
def test_docstring_becomes_markdown(docstring, markdown):
    assert to_markdown(docstring) == markdown


@pytest.mark.parametrize(
    ("module", "name"),
    [("geotoolz.indices", "NDVI"), ("geotoolz.indices", "EVI"), ("geotoolz.radiometry", "Gamma")],
)
def test_signature_of_an_operator_is_what_it_takes_from_its_function(pages, module, name):
    text = (pages / "docs" / "reference" / "api" / f"{module}.md").read_text("utf-8")
    head = text.partition(f"## {name}\n\n```python\n")[2].partition("```")[0]
    written = (
        [line.strip().rstrip(",") for line in head.splitlines()]
        if "\n    " in head
        else [
            part.strip()
            for part in head.strip().removeprefix(f"{name}(").removesuffix(")").split(",")
        ]
    )
    kind = getattr(importlib.import_module(module), name)
    names = [line.partition(":")[0] for line in written if ":" in line]
    assert names == list(inspect.signature(kind).parameters)
