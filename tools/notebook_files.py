"""Where the repository's notebooks are, and whether an executed copy is fit to be committed.

A notebook is a pair: `NAME.py` (py:percent, what is edited and reviewed) and `NAME.ipynb` (its
executed copy). Nothing here runs a notebook; `run_notebooks.py` does.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geostack.lesson import SKIPPED

__all__ = [
    "ROOT",
    "TIERS",
    "find_sources",
    "problems",
    "read_executed",
    "read_source",
    "reason_skipped",
    "sources_of_pixels",
]

ROOT = Path(__file__).resolve().parents[1]
"""The repository's top folder."""

TIERS: dict[str, tuple[str, ...]] = {
    "walkthrough": ("*.py",),
    "patching": ("patching/*.py", "patching/recipes/*.py"),
    "catalog": ("catalog/*.py",),
    "assessment": ("assessment/*.py",),
    "all": ("*.py", "patching/*.py", "patching/recipes/*.py", "catalog/*.py", "assessment/*.py"),
}
"""Tier name to the glob patterns of its notebooks, below `notebooks/`."""


def find_sources(root: Path, target: str = "walkthrough") -> list[Path]:
    """Return the `.py` sources that `target` means, in reading order.

    Parameters
    ----------
    root
        The repository's top folder.
    target
        A tier (a key of `TIERS`), the path of a notebook (`.py` or `.ipynb`), its name below
        `notebooks/` (`patching/01_intro`), or a prefix of that name (`03`).

    Raises
    ------
    ValueError
        When no notebook, or more than one, has that name.
    FileNotFoundError
        When the tier has no notebook.
    """
    folder = root / "notebooks"
    if target in TIERS:
        found = [path for pattern in TIERS[target] for path in sorted(folder.glob(pattern))]
        if not found:
            raise FileNotFoundError(f"there is no notebook in the tier {target!r} of {folder}")
        return found
    everything = [path for pattern in TIERS["all"] for path in sorted(folder.glob(pattern))]
    wanted = target.removesuffix(".ipynb").removesuffix(".py")
    as_path = Path(wanted).resolve().with_suffix(".py") if wanted else folder
    names = {str(path.relative_to(folder).with_suffix("")): path for path in everything}
    for match in (
        [path for path in everything if path.resolve() == as_path],
        [path for name, path in names.items() if name == wanted],
        [path for name, path in names.items() if name.split("/")[-1] == wanted],
        [path for name, path in names.items() if wanted and name.startswith(wanted)],
    ):
        if len(match) == 1:
            return match
        if match:
            several = ", ".join(name for name, path in names.items() if path in match)
            raise ValueError(f"{target!r} must name one notebook, got several: {several}")
    raise ValueError(
        f"{target!r} must be a tier ({', '.join(TIERS)}) or a notebook; "
        f"there are {', '.join(names) or 'none'}"
    )


def read_source(path: Path) -> Any:
    """Return the py:percent file as an unexecuted notebook (`nbformat.NotebookNode`)."""
    import jupytext

    return jupytext.read(path, fmt="py:percent")


def read_executed(path: Path) -> Any:
    """Return the executed copy as an `nbformat.NotebookNode`, checked against nbformat's schema."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def problems(executed: Any, source: Any, root: Path) -> list[str]:
    """Return what makes an executed copy unfit to be committed, one sentence each.

    That is: its cells are not those of the source, a code cell was not run, an output is an error,
    something was written to stderr, or an output tells a path of this machine.
    """
    found = [*_differences(executed, source)]
    for number, cell in enumerate(executed.cells, start=1):
        if cell.cell_type != "code":
            continue
        where = f"cell {number} ({_first_line(cell.source)})"
        if cell.execution_count is None and cell.source.strip():
            found.append(f"{where} was not executed")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"{where} holds an error: {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"{where} wrote to stderr: {_first_line(output.text)}")
            found += [
                f"{where} shows a path of this machine: {leak}" for leak in _leaks(output, root)
            ]
    return found


def sources_of_pixels(executed: Any) -> list[str]:
    """Return the distinct lines that begin with `source:` in the printed outputs, in order."""
    return list(dict.fromkeys(line for line in _lines(executed) if line.startswith("source:")))


def reason_skipped(executed: Any) -> str:
    """Return what a notebook printed where it skipped itself, or nothing when it did not."""
    return next((line for line in _lines(executed) if line.startswith(SKIPPED)), "")


def _lines(executed: Any) -> Iterator[str]:
    """Yield the printed lines of a notebook's cells, in order."""
    for cell in executed.cells:
        if cell.cell_type == "code":
            for text in _printed(cell):
                yield from map(str.strip, text.splitlines())


def _printed(cell: Any) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif "data" in output:
            yield output.data.get("text/plain", "")


def _differences(executed: Any, source: Any) -> Iterator[str]:
    ours = [(cell.cell_type, cell.source.strip()) for cell in executed.cells]
    theirs = [(cell.cell_type, cell.source.strip()) for cell in source.cells]
    if len(ours) != len(theirs):
        yield f"it has {len(ours)} cells, its .py has {len(theirs)}"
    for number, (mine, its) in enumerate(zip(ours, theirs, strict=False), start=1):
        if mine != its:
            yield f"cell {number} ({_first_line(its[1])}) is not the .py's"
            return  # everything after a shifted cell differs too


def _first_line(text: str) -> str:
    stripped = text.strip()
    return stripped.splitlines()[0][:60] if stripped else "empty"


def _leaks(output: Any, root: Path) -> Iterator[str]:
    places = {str(root), str(Path.home()) + "/", str(Path(tempfile.gettempdir())) + "/", "/tmp/"}
    if root.parent != Path(root.anchor):
        places.add(f"{root.parent}/")
    pattern = re.compile(
        r"(?<![\w.~])(?:" + "|".join(map(re.escape, sorted(places))) + r")\S{0,60}"
    )
    for text in _texts(output):
        yield from dict.fromkeys(match.group() for match in pattern.finditer(text))


def _texts(output: Any) -> Iterator[str]:
    """Every output text a person can read; encoded images are none."""
    if output.output_type == "stream":
        yield output.text
    elif output.output_type == "error":
        yield "\n".join(output.traceback)
    else:
        for kind, value in output.data.items():
            if not kind.startswith("image/") or kind == "image/svg+xml":
                yield value if isinstance(value, str) else repr(value)
