"""`make` is the front door: it lists what there is, and each target brings its own set-up."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "install",
    "notebooks",
    "notebooks-patching",
    "notebooks-catalog",
    "notebooks-assessment",
    "notebooks-all",
    "notebooks-check",
    "notebooks-inplace",
    "test",
    "test-author",
    "lint",
    "bench",
    "bench-quick",
    "site",
    "clean",
}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments, env=None):
    return subprocess.run(
        [shutil.which("make"), "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=env,
    )


def listed() -> dict[str, str]:
    """Target to description, as `make` alone prints them."""
    return dict(line.split(None, 1) for line in make().stdout.splitlines())


def test_make_alone_lists_every_target_with_what_it_does():
    assert set(listed()) >= PROMISED
    assert all(len(text) > 10 for text in listed().values())


def test_list_is_complete():
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {name for line in phony for name in line.split()} == set(listed())


@pytest.mark.parametrize("target", sorted(PROMISED - {"clean"}))
def test_target_sets_up_first_in_an_empty_folder(target, tmp_path):
    planned = make("-n", target, f"VENV={tmp_path / 'fresh'}").stdout
    assert "tools/install.py" in planned
    assert planned.index("-m venv") < planned.index("tools/install.py")


def test_tests_and_walkthrough_bring_what_the_service_needs(tmp_path):
    """Always: without the extra the service's tests would be skipped, and nobody would notice."""
    for target in ("test", "notebooks", "notebooks-check"):
        assert (
            "tools/install.py serve" in make("-n", target, f"VENV={tmp_path / 'fresh'}").stdout
        ), target


def test_nothing_is_installed_twice(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    for stamp in (".made", ".have-dev", ".have-serve"):
        (venv / stamp).touch()
    assert "tools/install.py" not in make("-n", "test", f"VENV={venv}").stdout


def test_a_changed_pyproject_installs_again(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    for stamp in (".made", ".have-dev", ".have-serve"):
        (venv / stamp).touch()
    assert (
        "tools/install.py" in make("-n", "install", f"VENV={venv}", "-W", "pyproject.toml").stdout
    )


def test_a_machine_without_python_is_told_what_to_do(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "make", "touch"):
        (programs / name).symlink_to(shutil.which(name))
    done = make("install", f"VENV={tmp_path / 'venv'}", env={"PATH": str(programs)})
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()
