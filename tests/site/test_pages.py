"""The pages: complete, plain Markdown, and true where they show code."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from stage import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
IDS = [str(path.relative_to(ROOT)) for path in PAGES]


def blocks(path: Path) -> list[str]:
    """The Python code of a page, block by block."""
    text = re.sub(r"^````.*?^````", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_every_lesson_is_on_the_map_by_role():
    text = (ROOT / "docs" / "lessons.md").read_text("utf-8")
    lessons = [path.relative_to(ROOT) for path in (ROOT / "notebooks").rglob("*.ipynb")]
    missing = [str(path) for path in lessons if f"(../{path})" not in text]
    assert lessons
    assert missing == []


def test_first_page_shows_the_figures_of_the_benchmark():
    import front
    from readme_tables import FIGURES

    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    page = front.page(ROOT)
    for target, text in FIGURES.items():
        measured = re.search(rf"\| {re.escape(target)} \| ([^|]+) \|", results)[1]
        said, gap, _ = text.partition("{whole}")
        assert f"**{measured}**\n\n{said}" in page
        assert not gap or re.search(re.escape(said) + r"[\d,]+ MB\n", page)


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_page_begins_with_its_only_title(path):
    text = re.sub(r"^(`{3,}).*?^\1", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_page_is_plain_markdown(path):
    text = re.sub(r"^````.*?^````", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"^:label:", text, re.MULTILINE), "write :name:, not :label:"
    assert not re.search(r"^<\w+", text, re.MULTILINE), "no raw HTML"
    for figure in re.findall(r"```\{figure\}.*?```", text, re.DOTALL):
        assert re.search(r"^:alt: .{20,}", figure, re.MULTILINE), figure


@pytest.mark.parametrize(
    "path", [path for path in PAGES if blocks(path)], ids=lambda path: path.stem
)
def test_code_of_the_page_runs_as_it_stands(path, tmp_path):
    code = tmp_path / "page.py"
    code.write_text("\n".join(blocks(path)), "utf-8")
    done = subprocess.run([sys.executable, str(code)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    "path", [path for path in PAGES if "```pycon" in path.read_text("utf-8")], ids=lambda p: p.stem
)
def test_examples_of_the_page_give_what_it_shows(path):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    done = doctest.testfile(str(path), module_relative=False, optionflags=flags)
    assert done.attempted
    assert not done.failed


def test_diagrams_are_those_of_the_script(tmp_path):
    import make_diagrams

    make_diagrams.main(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        committed = ROOT / "docs" / "images" / path.name
        assert committed.read_text("utf-8") == path.read_text("utf-8"), (
            "python docs/make_diagrams.py"
        )


def test_pictures_are_used_or_gone():
    users = [*PAGES, ROOT / "README.md", ROOT / "docs" / "build.py"]
    text = "\n".join(path.read_text("utf-8") for path in users)
    for path in sorted((ROOT / "docs" / "images").iterdir()):
        assert path.name in text, f"{path.name} is shown nowhere"


def test_pages_name_what_exists():
    import geocatalog
    import geopatcher
    import geostack
    import geotoolz
    import pipekit

    public = {
        name
        for package in (geocatalog, geopatcher, geostack, geotoolz, pipekit)
        for name in dir(package)
    }
    named = {
        (path.name, name)
        for path in PAGES
        for name in re.findall(r"`([A-Za-z]\w+)\(", path.read_text("utf-8"))
        if name[0].isupper() or name.startswith(("build_", "load_", "from_", "to_", "open_"))
    }
    assert {(page, name) for page, name in named if name not in public} == set()


def test_served_file_of_the_page_is_read(tmp_path):
    from geostack.serve.settings import read_settings
    from pipekit import from_config

    text = (ROOT / "docs" / "how-to" / "serve-a-pipeline.md").read_text("utf-8")
    file = tmp_path / "pipelines.yaml"
    file.write_text(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1], "utf-8")
    settings = read_settings(file)
    assert list(settings.pipelines) == ["ndvi"]
    assert settings.limits.max_pixels == 1_000_000
    layer = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["layers"]["ndvi"]
    assert set(layer) == {"item", "bbox", "bands", "pipeline"}
    assert from_config(layer["pipeline"])[-1].name == "BrBG"


def test_every_source_in_the_code_is_in_the_bibliography():
    text = (ROOT / "docs" / "reference" / "bibliography.md").read_text("utf-8")
    cited = {
        doi.rstrip(".,;)") if doi.count("(") < doi.count(")") else doi.rstrip(".,;")
        for path in (ROOT / "src").rglob("*.py")
        for doi in re.findall(r"doi:\s*(10\.[^\s\"]+)", path.read_text("utf-8"))
    }
    assert len(cited) > 20
    assert sorted(doi for doi in cited if doi not in text) == []


def test_requests_of_the_page_are_answered(tmp_path):
    """The service of the page's YAML, asked by its own curl lines with its own chip."""
    import shlex
    import shutil

    import requests

    from geostack.serve import Pipeline, create_app, running
    from geostack.serve.settings import read_settings

    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    page = ROOT / "docs" / "how-to" / "serve-a-pipeline.md"
    text = page.read_text("utf-8")
    served, layers = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[:2]
    file = tmp_path / "pipelines.yaml"
    file.write_text(served + layers, "utf-8")
    settings = read_settings(file)
    assert all(isinstance(value, Pipeline) for value in settings.pipelines.values())
    subprocess.run([sys.executable, "-c", blocks(page)[0]], cwd=tmp_path, check=True)
    app = create_app(pipelines=settings.pipelines, layers=settings.layers, source=settings.source)
    lines = re.search(r"```sh\n(curl.*?)```", text, re.DOTALL)[1].replace("\\\n", " ")
    with running(app) as url:
        for line in re.findall(r"^curl.*?(?=^curl|\Z)", lines, re.DOTALL | re.MULTILINE):
            command = shlex.split(line.replace("localhost:8000", url))
            subprocess.run([*command, "--fail", "--silent"], cwd=tmp_path, check=True)
        (layer,) = requests.get(f"{url}/layers", timeout=30).json()["layers"]
        first = requests.get(url, timeout=30)
    assert (tmp_path / "ndvi.tif").read_bytes()[:2] in (b"II", b"MM")
    assert layer["view"] == [-120.1, 38.92, -119.93, 39.27]
    assert "<title>geostack map</title>" in first.text


def test_run_of_the_page_on_a_store(on_store):
    import numpy as np
    from georeader.geotensor import GeoTensor
    from rasterio import Affine

    from geocatalog import build_raster_catalog, open_catalog, to_geoparquet
    from geotoolz import write_cog

    scene = on_store / "in/scene_20240601.tif"
    place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    write_cog(GeoTensor(np.ones((2, 64, 64), "float32"), place, "EPSG:32632"), scene)
    rows = build_raster_catalog([str(scene)], r"_(?P<date>\d{8})", progress=False)
    to_geoparquet(rows, on_store / "items.parquet")
    text = (ROOT / "docs" / "how-to" / "object-stores.md").read_text("utf-8")
    (code,) = re.findall(r"```py\n(.*?)```", text, re.DOTALL)
    exec(code.replace("s3://archive", str(on_store)), {})
    assert len(open_catalog(on_store / "ndvi.parquet")) == 1
