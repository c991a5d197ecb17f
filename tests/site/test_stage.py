"""What is laid out for the renderers: notebooks with their source told, their figures described."""

import json

import stage
from stage import ROOT


def notebooks(pages):
    return {
        path: json.loads(path.read_text("utf-8")) for path in pages.glob("notebooks/**/*.ipynb")
    }


def test_every_notebook_tells_its_pixels_and_can_be_downloaded(pages):
    found = notebooks(pages)
    assert found
    for path, notebook in found.items():
        stamp = notebook["cells"][1]["source"]
        assert "Pixels on this page:" in stamp
        name = path.relative_to(pages)
        for suffix in (".ipynb", ".py"):
            copy = pages / "downloads" / name.with_suffix(suffix)
            assert copy.read_bytes() == (ROOT / name.with_suffix(suffix)).read_bytes()
            assert str(name.with_suffix(suffix)) in stamp


def test_every_figure_is_described(pages):
    for path, notebook in notebooks(pages).items():
        for cell in notebook["cells"]:
            if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 25, path.name


def test_names_lead_to_the_reference_and_back(pages):
    text = (pages / "notebooks" / "05_patching_grids.ipynb").read_text("utf-8")
    assert "#class-geopatcher-patcher-spatialpatcher" in text
    page = (pages / "docs/reference/api/geopatcher.patcher.md").read_text("utf-8")
    assert "(class-geopatcher-patcher-spatialpatcher)=" in page
    assert "../../../notebooks/05_patching_grids.ipynb" in page


def test_pixels_are_those_that_the_run_printed():
    output = {"output_type": "stream", "name": "stdout", "text": ["source: archive (X)\n", "ok\n"]}
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": "# T", "metadata": {}},
            {"cell_type": "code", "source": "", "metadata": {}, "outputs": [output]},
        ]
    }
    stage._stamp(notebook, stage.Path("notebooks/t"), {"NDVI": "class-x-ndvi"})
    assert "Pixels on this page: `archive (X)`." in notebook["cells"][1]["source"]
    assert notebook["cells"][-1]["source"] == "API on this page: [NDVI](#class-x-ndvi)."


def test_first_sentence_is_plain():
    text = "## Head\n\nLook. The *lake* at [Tahoe](x.md) is blue, and the snow is white. And more."
    assert stage._first_sentence(text) == "Look. The lake at Tahoe is blue, and the snow is white."


def test_the_repository_is_left_alone(pages):
    committed = json.loads((ROOT / "notebooks/05_patching_grids.ipynb").read_text("utf-8"))
    assert "Pixels on this page" not in json.dumps(committed)
