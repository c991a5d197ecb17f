"""Build what is published, look into it, and try the wheel with nothing but the core.

python tools/wheel_check.py                # build, check, install in a fresh environment, try
python tools/wheel_check.py --only-build   # build and check the two archives
python tools/wheel_check.py --here DIR     # try what this interpreter has, without installing
"""

from __future__ import annotations

import argparse
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack")
BESIDE = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO"}


def main() -> int:
    """Run what the arguments say; return how many things were wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only-build", action="store_true", help="no environment is made")
    parser.add_argument("--here", type=Path, metavar="DIR", help="try it here, in this folder")
    asked = parser.parse_args()
    if asked.here:
        os.chdir(asked.here)
        return examples() + doctests()
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build(Path(scratch, "dist"))
        if asked.only_build:
            return 0
        place = Path(scratch, "core")
        venv.create(place, with_pip=True)
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        count = len(list(place.rglob("*.dist-info")))
        size = sum(file.lstat().st_size for file in place.rglob("*") if file.is_file())
        print(f"the core alone: {count} packages, {size / 2**20:,.0f} MB", flush=True)
        settings = {"GEOSTACK_SOURCE": "simulated", "GEOSTACK_CACHE": str(Path(scratch, "cache"))}
        tried = [python, "-W", "error::ImportWarning", __file__, "--here", scratch]
        return subprocess.run(tried, env={**os.environ, **settings}).returncode


def run(*command: object) -> None:
    """Run a command; stop when it fails."""
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True)


def build(into: Path) -> Path:
    """Make both archives as an uploader would, check them, and return the wheel."""
    run(sys.executable, "-m", "build", "--outdir", into)
    archives = sorted(into.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *archives)
    source, wheel = (next(into.glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
    with zipfile.ZipFile(wheel) as file:
        held = [name for name in file.namelist() if ".dist-info/" not in name]
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "src"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wanted = {name.removeprefix("src/") for name in tracked.stdout.split("\0") if name}
    assert sorted(held) == sorted(wanted), set(held) ^ wanted
    assert {f"{name}/py.typed" for name in PACKAGES} <= wanted
    with tarfile.open(source) as file:
        inside = [name.partition("/")[2] for name in file.getnames()]
    odd = [name for name in inside if not name.startswith("src/") and name not in BESIDE]
    assert set(odd) <= {".gitignore"}, odd
    print("wheel and sdist hold the five packages and nothing else", flush=True)
    return wheel


def examples() -> int:
    """Run the examples of the README, the second on what the first has shown."""
    text = (ROOT / "README.md").read_text("utf-8")
    one, archive = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(one, "README.md", "exec"), names)
    from geotoolz import write_cog

    Path("scenes").mkdir(exist_ok=True)
    for day in (1, 2, 3):
        part = names["scene"].isel({"y": slice(0, 300), "x": slice(0, 300 + day)})  # type: ignore[attr-defined]
        write_cog(part, f"scenes/scene_2022010{day}.tif")
    exec(compile(archive, "README.md", "exec"), names)
    done = names["report"].done  # type: ignore[attr-defined]
    print(f"README: both examples run; {done} scenes of an archive", flush=True)
    return int(done != 3)


def doctests() -> int:
    """Run every doctest; one that needs an extra is skipped for that reason, and counted."""
    from pipekit.lazy import EXTRAS

    optional = {**EXTRAS, "onnx": "onnx", "onnxruntime": "onnx", "obstore": "store"}
    served = [
        "fastapi",
        "fsspec",
        "h11",
        "prometheus_client",
        "pydantic",
        "rio_tiler",
        "starlette",
        "uvicorn",
    ]
    optional |= {**dict.fromkeys(served, "serve"), "torch": "torch"}
    ran, wrong, skipped = 0, 0, Counter[str]()
    finder, checks = doctest.DocTestFinder(), doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    for name in sorted(module for package in PACKAGES for module in modules(package)):
        try:
            tests = finder.find(importlib.import_module(name))
        except ModuleNotFoundError as error:
            skipped[reason(error, optional)] += 1
            continue
        for test in tests:
            if not test.examples:
                continue
            try:
                doctest.DebugRunner(optionflags=checks).run(test)
                ran += 1
            except doctest.DocTestFailure as failure:
                wrong += 1
                print(f"{test.name}: expected {failure.example.want!r}, got {failure.got!r}")
            except doctest.UnexpectedException as failure:
                error = failure.exc_info[1]
                try:
                    skipped[reason(error, optional)] += 1
                except BaseException:
                    wrong += 1
                    print(f"{test.name}: {error!r}")
    reasons = ", ".join(f"{count} for {name}" for name, count in sorted(skipped.items()))
    print(f"doctests: {ran} ran, {wrong} wrong, skipped: {reasons or 'none'}", flush=True)
    return wrong


def modules(package: str) -> list[str]:
    """Return the names of a package and all its modules."""
    found = importlib.import_module(package)
    inside = pkgutil.walk_packages(found.__path__, f"{package}.")
    return [package, *(module.name for module in inside)]


def reason(error: BaseException | None, optional: dict[str, str]) -> str:
    """Return the extra that an error names; raise the error when it is of another kind."""
    words = re.findall(r"\w+", f"{getattr(error, 'name', '')} {error}")
    extra = next((optional[word] for word in words if word in optional), None)
    if isinstance(error, ImportError) and extra:
        return extra
    assert error is not None
    raise error


if __name__ == "__main__":
    sys.exit(min(main(), 1))
