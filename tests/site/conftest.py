"""The scripts of docs/, and the programs that render what they lay out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests" / "site")]


@pytest.fixture(scope="session")
def myst() -> str:
    """The mystmd program, of which the site extra brings the Python part and node the rest."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which("myst", path=beside)
    if program is None:
        pytest.skip("needs mystmd: make site, or pip install -e '.[site]'")
    if shutil.which("node") is None:
        pytest.skip("needs node, which mystmd runs in")
    version = subprocess.run([program, "--version"], capture_output=True, text=True)
    if version.returncode:
        pytest.skip(f"needs a mystmd that starts, got: {version.stderr.strip()[:200]}")
    return program


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> Path:
    """All that the site is rendered from, laid out in a folder."""
    from stage import stage

    return stage(tmp_path_factory.mktemp("site") / "pages")
