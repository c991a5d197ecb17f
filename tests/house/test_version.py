"""The version, the licence and the summary are told in several files; they must agree."""

import re
import tomllib
from importlib.metadata import version

import yaml


def read_toml(path):
    return tomllib.loads(path.read_text("utf-8"))


def test_version_is_one_everywhere(root):
    told = {
        "pyproject.toml": read_toml(root / "pyproject.toml")["project"]["version"],
        "pixi.toml": read_toml(root / "pixi.toml")["workspace"]["version"],
        "CITATION.cff": str(yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))["version"]),
        "CHANGELOG.md": re.search(r"^## (\d\S+)", (root / "CHANGELOG.md").read_text(), re.M)[1],
        "installed": version("geostack"),
    }
    assert len(set(told.values())) == 1, told


def test_release_date_is_one(root):
    cited = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))["date-released"]
    newest = re.search(r"^## \d\S+ - (\S+)", (root / "CHANGELOG.md").read_text("utf-8"), re.M)[1]
    assert str(cited) == newest


def test_licence_is_mit_everywhere(root):
    assert (root / "LICENSE").read_text("utf-8").startswith("MIT License")
    assert read_toml(root / "pyproject.toml")["project"]["license"] == "MIT"
    assert read_toml(root / "pixi.toml")["workspace"]["license"] == "MIT"
    assert yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))["license"] == "MIT"


def test_summary_is_one(root):
    project = read_toml(root / "pyproject.toml")["project"]["description"]
    assert read_toml(root / "pixi.toml")["workspace"]["description"] == project
