"""What the packages offer has a type: `Typing :: Typed` says so, and a type checker reads it."""

import ast
import importlib
import re
import subprocess
import sys

import pytest

PACKAGES = ("pipekit", "geopatcher", "geocatalog", "geotoolz", "geotoolz.assess", "geostack")
UNTYPED = ("geotoolz", "GeoTensor")
"""The carrier is georeader's, which ships no types."""


@pytest.fixture(scope="module")
def revealed(tmp_path_factory, root):
    """(package, name) to what mypy says of it, from one run with no settings of ours."""
    asked = [
        (package, name)
        for package in PACKAGES
        for name in [*importlib.import_module(package).__all__, "no_such_name"]
    ]
    folder = tmp_path_factory.mktemp("user")
    lines = [f"import {package}" for package in PACKAGES]
    lines += [f"reveal_type({package}.{name})" for package, name in asked]
    (folder / "uses.py").write_text("\n".join(lines), "utf-8")
    options = "--config-file= --ignore-missing-imports --follow-imports=silent"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options.split(), "--no-implicit-reexport", "uses.py"],
        cwd=folder,
        env={"MYPYPATH": str(root / "src"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    said = re.findall(r'^uses\.py:(\d+): note: Revealed type is "(.*)"$', done.stdout, re.M)
    types = {asked[int(line) - len(PACKAGES) - 1]: kind for line, kind in said}
    assert len(types) == len(asked), done.stdout + done.stderr
    return types


def test_every_public_name_has_a_type(revealed):
    unknown = [pair for pair, kind in revealed.items() if kind == "Any"]
    wrong = [(package, "no_such_name") for package in PACKAGES]
    assert sorted(unknown) == sorted([*wrong, UNTYPED])


def test_classes_and_functions_are_told_apart(revealed):
    assert revealed["geotoolz", "NDVI"].startswith("def (")
    assert revealed["geotoolz", "NDVI"].endswith("geotoolz.indices.NDVI")
    assert revealed["geocatalog", "GeoSlice"].endswith("geocatalog.geoslice.GeoSlice")
    assert revealed["geostack", "load_s2_chip"].startswith("def (*, bbox: typing.Sequence[float]")


def test_a_stub_names_where_each_thing_is_defined_or_kept(root):
    """The package reads the stub as it runs: what is no import in it would be lost."""
    for package in PACKAGES:
        stub = root / "src" / package.replace(".", "/") / "__init__.pyi"
        doc, *imports = ast.parse(stub.read_text("utf-8")).body
        assert isinstance(doc, ast.Expr)
        names = [name for node in imports for name in node.names]
        assert all(name.asname == name.name for name in names), "else it is not re-exported"
        assert sorted(name.name for name in names) == importlib.import_module(package).__all__
