"""What is wrong with the site's pages: python tests/site/validation.py FOLDER.

mystmd checks most of it, but not as one would expect: `--strict` lets a broken reference pass
unless `error_rules` name it; an unknown directive and a missing page of the contents print a stop
sign and exit 0; without a `site:` section nothing is built, and that is exit 0 too; a stored error
is no fault to it. So its exit code is not believed alone.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

STUB = (
    "jtex: v1\ntitle: A stand-in for the theme, which would have to be downloaded\nversion: 0.0.0\n"
)
THEME = Path("_build", "templates", "site", "myst", "book-theme")


def faults(folder: Path, program: str = "myst") -> list[str]:
    """Return every fault of the pages in `folder`; mystmd's theme is not needed."""
    return [*_stored_errors(folder), *_from_mystmd(folder, program)]


def _stored_errors(folder: Path) -> Iterator[str]:
    for path in sorted((folder / "notebooks").rglob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    yield f"{path.relative_to(folder)} holds an error: {output['ename']}"


def _from_mystmd(folder: Path, program: str) -> list[str]:
    shutil.rmtree(folder / "_build", ignore_errors=True)
    stub = folder / THEME
    stub.mkdir(parents=True)
    (stub / "template.yml").write_text(STUB, "utf-8")
    try:
        done = subprocess.run(
            [program, "build", "--site", "--strict", "--check-links"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        built = len(list((folder / "_build" / "site" / "content").glob("*.json")))
    finally:
        shutil.rmtree(folder / THEME)  # a real build would take the stub for the theme
    told = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    found = [line.strip() for line in told.splitlines() if line.startswith("⛔")]
    if done.returncode and not found:
        found.append(f"mystmd failed with status {done.returncode}: {told[-400:]}")
    if not built:
        found.append("mystmd built no page: myst.yml must have a `site:` section and a contents")
    return found


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or "no fault")
    raise SystemExit(bool(wrong))
