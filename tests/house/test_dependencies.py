"""What the code imports is what pyproject.toml declares; nothing is there by luck of another."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from extras import PROJECT, requirements

from pipekit.lazy import EXTRAS

ROOT = Path(__file__).resolve().parents[2]
OURS = {"pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack"}
OPTIONAL = {"rio_tiler", "IPython"}
"""Looked for, used where they are, and done without where they are not."""
SERVERS = {path.stem for path in (ROOT / "notebooks" / "servers").glob("*.py")}
"""What lessons start, from a file beside them."""
CARRIED = {
    "affine",
    "georeader",
    "h11",
    "joblib",
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
    lines = [*PROJECT["dependencies"], *requirements(*extras)]
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


def test_what_an_extra_brings_is_taken_through_the_helper_that_names_it():
    """Else the core alone would end in a bare ModuleNotFoundError."""
    unguarded = {
        module: sorted(files - {"src/geostack/zarr_http.py"})  # which is taken after zarr is
        for module, files in imported("src").items()
        if module in EXTRAS and files - {"src/geostack/zarr_http.py"}
    }
    for module, files in list(unguarded.items()):
        typed = [name for name in files if only_for_types(ROOT / name, module)]
        unguarded[module] = sorted(set(files) - set(typed))
    assert not any(unguarded.values()), unguarded


def only_for_types(path: Path, module: str) -> bool:
    tree = ast.parse(path.read_text("utf-8"))
    guarded = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]
    return all(
        node in guarded
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and module
        in {n.split(".")[0] for n in [getattr(node, "module", None) or node.names[0].name]}
    )


def test_each_library_is_in_the_extra_that_its_absence_names():
    distributions = packages_distributions()
    for module, extra in EXTRAS.items():
        names = {normal(name) for name in distributions.get(module, [module])}
        brought = {normal(re.match(r"[\w.-]+", line)[0]) for line in requirements(extra)}
        assert names & brought, (module, extra)
        assert not names & declared(), f"{module} is in the core"


def test_all_brings_every_extra_of_a_job():
    jobs = {*EXTRAS.values(), "onnx", "torch", "store", "serve"}
    assert {line for job in jobs for line in requirements(job)} == set(requirements("all"))


def test_the_service_brings_what_its_settings_need(tmp_path):
    """The how-to's layers and pipelines, without any library that the extra does not declare."""
    guide = (ROOT / "docs" / "how-to" / "serve-a-pipeline.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    (block,) = [block for block in blocks if "layers:" in block]
    (tmp_path / "pipelines.yaml").write_text(block)
    hidden = [name for name in EXTRAS if normal(name.split(".")[0]) not in declared("serve")]
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({hidden!r}))\n"
        "from geostack.serve.settings import read_settings\n"
        "read_settings(sys.argv[1])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "pipelines.yaml")],
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
