"""What the code imports is what pyproject.toml declares; nothing is there by luck of another."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = {"pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack"}
OPTIONAL = {"rio_tiler", "IPython"}
"""Looked for, used where they are, and done without where they are not."""
SERVERS = {path.stem for path in (ROOT / "notebooks" / "servers").glob("*.py")}
"""What lessons start, from a file beside them."""
CARRIED = {
    "affine",
    "georeader",
    "h11",
    "morecantile",
    "mpl_toolkits",
    "traitlets",
    "nbformat",
    "numcodecs",
    "PIL",
    "threadpoolctl",
}
"""Part of the interface of a declared library (rasterio's Affine, uvicorn's h11, ...)."""


def declared(*extras: str) -> set[str]:
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in lines}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: str) -> dict[str, set[str]]:
    """Top-level module -> files of `folder` that import it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("src", ("dev", "store", "serve", "recipes")),
        ("notebooks", ("dev", "store", "serve", "recipes")),
    ],
)
def test_imports_are_declared(folder, extras):
    distributions = packages_distributions()
    allowed = declared(*extras)
    missing = {}
    for module, files in imported(folder).items():
        if module in sys.stdlib_module_names or module in OURS | OPTIONAL | CARRIED | SERVERS:
            continue
        names = {normal(name) for name in distributions.get(module, [module])}
        if not names & allowed:
            missing[module] = sorted(files)
    assert missing == {}


def test_xarrays_netcdf_reader_has_what_it_needs():
    assert {"h5netcdf", "h5py"} <= declared(), "h5netcdf reads through h5py and does not ask for it"
