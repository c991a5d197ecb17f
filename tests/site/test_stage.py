"""What is laid out to be rendered: notebooks with their source told, their figures described."""

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


def test_every_figure_says_what_its_code_writes_on_it(pages):
    described = 0
    for path, notebook in notebooks(pages).items():
        for cell in notebook["cells"]:
            if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
                alt = cell["metadata"]["mystnb"]["image"]["alt"]
                described += bool(alt)
                words = alt.removeprefix("Figure: ").split("; ")
                source = "".join(cell["source"])
                assert all(part in source for word in words[:-1] for part in word.split("...")), (
                    path
                )
    assert described > 50


def test_names_lead_to_the_reference_and_back(pages):
    text = (pages / "notebooks" / "05_patching_grids.ipynb").read_text("utf-8")
    assert "{py:obj}`SpatialPatcher <geopatcher.SpatialPatcher>`" in text
    page = (pages / "docs/reference/api/geopatcher.patcher.md").read_text("utf-8")
    assert "{py:class} SpatialPatcher(" in page
    assert "../../../notebooks/05_patching_grids.ipynb" in page


def test_pixels_are_those_that_the_run_printed():
    output = {"output_type": "stream", "name": "stdout", "text": ["source: archive (X)\n", "ok\n"]}
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": "# T", "metadata": {}},
            {"cell_type": "code", "source": "", "metadata": {}, "outputs": [output]},
        ]
    }
    stage._stamp(notebook, stage.Path("notebooks/t"), {"NDVI": "x.NDVI"})
    assert "Pixels on this page: `archive (X)`." in notebook["cells"][1]["source"]
    assert notebook["cells"][-1]["source"] == "API on this page: {py:obj}`NDVI <x.NDVI>`."


def test_words_of_a_figure_are_read_from_its_code():
    import ast

    code = 'ax.set(title=f"NDVI, {n} dates", ylabel="NDVI (unitless)"); fig.suptitle("Bolzano")'
    assert stage._words(ast.parse(code)) == ["NDVI, ... dates", "NDVI (unitless)", "Bolzano"]


def test_attributes_of_an_imported_package_are_names_it_uses():
    cell = {"cell_type": "code", "source": "import geotoolz as gz\ngz.NDVI() | gz.Sequential([])"}
    assert stage._used_names({"cells": [cell]}) == {
        "NDVI": "geotoolz.NDVI",
        "Sequential": "pipekit.Sequential",
    }


def test_the_repository_is_left_alone(pages):
    committed = json.loads((ROOT / "notebooks/05_patching_grids.ipynb").read_text("utf-8"))
    assert "Pixels on this page" not in json.dumps(committed)
