"""What git ignores is build output: no source file may hide behind a rule meant for that."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_no_source_is_ignored():
    sources = [
        str(path.relative_to(ROOT))
        for folder in ("src", "tests", "notebooks", "benchmarks", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".ipynb", ".svg", ".png"}
        and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        cwd=ROOT,
        input="\n".join(sources),
        capture_output=True,
        text=True,
    )
    if done.returncode == 128:
        pytest.skip("needs a git clone")
    assert sources
    assert done.stdout.split() == []
