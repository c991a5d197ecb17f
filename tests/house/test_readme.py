"""The README says only what is so."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_those_of_the_notebooks_folder_and_the_results():
    script = load_script("readme_tables")
    assert script.with_tables(README) == README, "run: python docs/readme_tables.py"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:|#)([^)]+)\)", README))))
def test_link_leads_to_a_file(link):
    assert (ROOT / link).exists()


def test_picture_has_an_alternative_text():
    assert all(len(text) > 30 for text in re.findall(r"!\[([^\]]*)\]", README))


def test_commands_are_exactly_two():
    block = re.search(r"## Two commands\n+```sh\n(.*?)```", README, re.DOTALL)[1]
    assert block.split("\n")[:-1] == ["make notebooks", "make test"]


def test_extras_are_those_of_pyproject():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    table = README.split("| extra | brings |\n| --- | --- |\n")[1].split("\n\n")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert told == set(project["optional-dependencies"])


def test_examples_run(tmp_path, monkeypatch):
    pytest.importorskip("georeader")
    from geotoolz import read, write_cog

    monkeypatch.chdir(tmp_path)
    one, archive = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(compile(one, "README.md", "exec"), names)
    scene = names["scene"]
    whole = names["ndvi"](scene)
    tiled = names["tiled"](scene)
    assert tiled.shape == (3935, 1599)
    assert abs(tiled.values - whole.values).max() < 1e-6

    (tmp_path / "scenes").mkdir()
    for day in (1, 2, 3):
        corner = scene.isel({"y": slice(0, 300), "x": slice(0, 300 + day)})
        write_cog(corner, f"scenes/scene_2022010{day}.tif")
    exec(compile(archive, "README.md", "exec"), names)
    assert names["report"].done == 3
    expected = names["ndvi"](corner)
    written = read(names["maps"].gdf.filepath.iloc[-1])
    assert abs(written.squeeze().values - expected.values).max() < 1e-6


def test_the_second_example_says_in_an_empty_folder_that_no_file_matched(tmp_path, monkeypatch):
    from geocatalog import CatalogError

    monkeypatch.chdir(tmp_path)
    _, archive = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with pytest.raises(CatalogError, match="no file or item matched"):
        exec(compile(archive, "README.md", "exec"), {"tiled": None})
