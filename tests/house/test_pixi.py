"""pixi cannot be had everywhere, so its file is checked against the schema and the environment."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
from extras import PROJECT, requirements
from notebook_files import find_sources

ROOT = Path(__file__).resolve().parents[2]
PIXI = tomllib.loads((ROOT / "pixi.toml").read_text("utf-8"))
FEATURE = PIXI["feature"]["geostack"]
EXTRAS = ("all", "dev", "recipes")

CONDA_NAMES = {
    "build": "python-build",
    "dask": "dask-core",
    "duckdb": "python-duckdb",
    "matplotlib": "matplotlib-base",
    "prometheus-client": "prometheus_client",
    "torch": "pytorch",
}
"""What conda-forge calls otherwise than the Python index; the -core and -base ones are lighter."""


def wanted() -> dict[str, str]:
    """Requirement name to version specifier, from pyproject.toml."""
    found: dict[str, str] = {}
    for line in [*PROJECT["dependencies"], *requirements(*EXTRAS)]:
        line = line.split(";")[0]
        name, bounds = re.fullmatch(r"([\w.-]+)(?:\[[^\]]*\])?\s*(.*)", line).groups()
        found[name.lower()] = max(found.get(name.lower(), ""), bounds.strip() or "*")
    return found


def commands() -> list[tuple[str, str]]:
    """Each single command of each task, with the task's name."""
    return [
        (name, part.strip())
        for name, task in FEATURE["tasks"].items()
        for part in task["cmd"].split("&&")
    ]


def resolve(command: str) -> list[str]:
    """The command as the environment that runs the tests would find it."""
    program, *arguments = shlex.split(command)
    if program == "python":
        return [sys.executable, *arguments]
    return [str(Path(sys.executable).with_name(program)), *arguments]


def test_file_is_valid_by_pixis_schema(shared_data):
    schema = json.loads((shared_data / "pixi-schema.json").read_text("utf-8"))
    jsonschema.validate(PIXI, schema)


def test_packages_and_bounds_are_those_of_pyproject():
    from_conda = FEATURE["dependencies"]
    from_index = FEATURE["pypi-dependencies"]
    on_linux, on_mac = (
        FEATURE["target"][name]["pypi-dependencies"] for name in ("linux-64", "osx-arm64")
    )
    assert on_linux == on_mac, "what has no wheel for linux-aarch64"
    from_index = {**from_index, **on_linux}
    ours = {**from_conda, **{k: v for k, v in from_index.items() if isinstance(v, str)}}
    assert ours.pop("python") == PROJECT["requires-python"]
    assert ours == {CONDA_NAMES.get(name, name): bounds for name, bounds in wanted().items()}
    assert not set(from_conda) & set(from_index), "one package from one place"


def test_the_package_itself_is_installed_from_the_clone():
    assert FEATURE["pypi-dependencies"]["geostack"] == {"path": ".", "editable": True}
    assert PIXI["environments"]["geostack"] == ["geostack"]
    assert PIXI["workspace"]["channels"] == ["conda-forge"]


def test_promised_tasks_are_there():
    assert set(FEATURE["tasks"]) >= {
        "execute-geostack",
        "execute-geostack-patching",
        "execute-geostack-catalog",
        "execute-geostack-assessment",
        "execute-geostack-all",
        "test-geostack",
    }


@pytest.mark.parametrize(("task", "command"), commands())
def test_command_runs_here(task, command):
    done = subprocess.run([*resolve(command), "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{task}: {done.stderr}"
    assert done.stdout


@pytest.mark.parametrize(
    ("task", "command"), [pair for pair in commands() if pair[0].startswith("execute-")]
)
def test_task_means_the_notebooks_of_its_tier(task, command):
    tier = task.removeprefix("execute-geostack").strip("-") or "walkthrough"
    folder = ROOT / "notebooks"
    found = find_sources(ROOT, shlex.split(command)[-1])
    listed = [str(path.relative_to(folder).with_suffix("")) for path in found]
    prefix = "" if tier in ("walkthrough", "all") else f"{tier}/"
    # A server that a lesson starts is no lesson.
    lessons = set(folder.rglob("*.py")) - set(folder.glob("servers/*.py"))
    sources = {str(path.relative_to(folder).with_suffix("")) for path in lessons}
    expected = {
        name
        for name in sources
        if name.startswith(prefix) and (tier != "walkthrough" or "/" not in name)
    }
    assert set(listed) == expected
