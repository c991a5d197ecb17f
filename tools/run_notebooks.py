"""Execute the repository's notebooks: `python tools/run_notebooks.py [TIER|NOTEBOOK]`.

A tier is `walkthrough` (the default), `patching`, `catalog`, `assessment` or `all`. Each `NAME.py`
is executed in a kernel of its own and written as `NAME.ipynb` into `_build/notebooks/`, so that no
tracked file changes; with `--inplace`, for authors, beside its source. The same source executed
twice gives the same file, but for what its outputs themselves change. After the last cell the
lesson's exercises are tried in the same kernel (`notebook_exercises.py` says how), and its tests
run there: `tests/notebooks/lessons/NAME.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from figure_palette import with_palette
from notebook_exercises import faults_told, read_exercises, read_mistakes, trial_code
from notebook_files import (
    ROOT,
    TIERS,
    find_sources,
    problems,
    read_executed,
    read_source,
    reason_skipped,
    sources_of_pixels,
)

__all__ = ["Outcome", "execute", "main"]

CELL_TIMEOUT = 600.0
"""Seconds that one cell may take before its notebook counts as failed."""

OUT = Path("_build", "notebooks")
"""Where executed copies go, below the repository's top folder."""


@dataclass
class Outcome:
    """What came of one notebook: where its executed copy is, and all that is wrong with it."""

    name: str
    seconds: float = 0.0
    written: Path | None = None
    skipped: str = ""
    pixels: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Execute the notebooks that the arguments name; 0 when all is well, 1 if not, 2 for misuse."""
    parser = argparse.ArgumentParser(
        prog="run_notebooks.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "target", nargs="?", default="walkthrough", help=f"{', '.join(TIERS)}, or a notebook's name"
    )
    parser.add_argument("--jobs", type=int, default=1, help="notebooks that run at the same time")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--out", type=Path, help=f"folder for the executed copies (default: {OUT.as_posix()})"
    )
    where.add_argument(
        "--inplace",
        action="store_true",
        help="write the committed copies, which show real scenes: needs GEOSTACK_ARCHIVE",
    )
    parser.add_argument(
        "--check", action="store_true", help="compare the committed copies with their sources too"
    )
    asked = parser.parse_args(arguments)
    try:
        if asked.jobs < 1:
            raise ValueError(f"--jobs must be at least 1, got {asked.jobs}")
        if asked.inplace:
            _need_archive()
        _need_tools()
        sources = find_sources(root, asked.target)
    except (FileNotFoundError, ValueError, ModuleNotFoundError) as error:
        print(f"run_notebooks.py: {error}", file=sys.stderr)
        return 2
    folder = root / "notebooks" if asked.inplace else (asked.out or root / OUT).resolve()
    began, before = time.perf_counter(), _cached()
    print(f"executing {len(sources)} notebooks into {folder}", flush=True)
    outcomes = asyncio.run(_run_all(sources, root, folder, asked.check, asked.jobs))
    _summarise(outcomes, folder, time.perf_counter() - began)
    _tell_what_was_built(before)
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def _need_archive() -> None:
    """Refuse to replace the committed copies by ones that hold no real scene."""
    places = [place for place in os.environ.get("GEOSTACK_ARCHIVE", "").split(os.pathsep) if place]
    if not any(Path(place).expanduser().is_dir() for place in places):
        raise FileNotFoundError(
            "--inplace replaces the committed copies, which show real scenes; set GEOSTACK_ARCHIVE "
            f"to the folder that holds them (it is {os.pathsep.join(places) or 'not set'}), or "
            "leave --inplace away to write into _build/notebooks"
        )


def _need_tools() -> None:
    missing = [name for name in ("jupytext", "nbclient", "ipykernel") if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"executing notebooks needs {', '.join(missing)}; pip install -e '.[dev]'"
        )


async def _run_all(
    sources: Sequence[Path], root: Path, folder: Path, check: bool, jobs: int
) -> list[Outcome]:
    free = asyncio.Semaphore(jobs)
    done = 0

    async def one(source: Path) -> Outcome:
        nonlocal done
        async with free:
            name = _name(source, root)
            if jobs == 1:
                print(f"[{done + 1}/{len(sources)}] {name} ...", end=" ", flush=True)
            outcome = await execute(source, root, folder)
            if check:
                outcome.faults = [*_committed_faults(source, root), *outcome.faults]
            done += 1
            _report(outcome, None if jobs == 1 else f"[{done}/{len(sources)}] {name}")
            return outcome

    return list(await asyncio.gather(*(one(source) for source in sources)))


def _report(outcome: Outcome, label: str | None) -> None:
    verdict = "FAILED" if outcome.faults else "SKIPPED" if outcome.skipped else "ok"
    print(f"{label + ' ' if label else ''}{verdict} in {outcome.seconds:.1f} s", flush=True)
    for fault in outcome.faults:
        print("    " + fault.replace("\n", "\n    "), flush=True)
    if outcome.skipped:
        print("    " + outcome.skipped, flush=True)


async def execute(source: Path, root: Path, folder: Path) -> Outcome:
    """Execute one `.py` notebook in a fresh kernel and write its `.ipynb`.

    The copy goes to the same relative place in `folder`. Beside its source it is written only when
    every cell ran and the lesson did not skip itself, elsewhere always: a failed one is worth a
    look.
    """
    name = _name(source, root)
    began = time.perf_counter()
    notebook = read_source(source)
    exercises = read_exercises(notebook)
    trial = _code_cell(trial_code(exercises, read_mistakes()) if exercises else "")
    after = [trial, _code_cell(_tests_of(name, root))]
    notebook.cells += after
    stopped = await _execute_cells(notebook, source.parent)
    failures = [*_failures(notebook), *stopped]
    del notebook.cells[-len(after) :]
    _tidy(notebook, name)
    skipped = reason_skipped(notebook)
    if exercises and not (failures or skipped):
        failures = faults_told(trial)
    outcome = Outcome(
        name,
        skipped=skipped,
        pixels=sources_of_pixels(notebook),
        faults=failures or problems(notebook, read_source(source), root),
    )
    if not (failures or outcome.skipped) or folder != root / "notebooks":
        outcome.written = (folder / name).with_name(f"{source.stem}.ipynb")
        _write(notebook, outcome.written)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _execute_cells(notebook: Any, folder: Path) -> list[str]:
    """Run the cells in place; returns what stopped the kernel, if a cell's error did not."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="geostack-kernel-") as settings:
        sockets = {"transport": "ipc", "ip": f"{settings}/kernel"}  # no port open to others
        client = NotebookClient(
            notebook,
            config=Config(KernelManager={} if sys.platform == "win32" else sockets),
            kernel_name="python3",
            timeout=CELL_TIMEOUT,
            coalesce_streams=True,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(folder)}},
        )
        try:
            await client.async_execute(env=_environment(settings))
        except CellExecutionError:
            return []  # the cell's own outputs tell it
        except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
            return [f"the kernel: {str(error).strip()}"]
    return []


def _tests_of(name: str, root: Path) -> str:
    """Return the lesson's tests, which run on the namespace that it left, or nothing."""
    path = root / "tests" / "notebooks" / "lessons" / f"{name}.py"
    return path.read_text("utf-8") if path.exists() else ""


def _code_cell(code: str) -> Any:
    import nbformat

    return nbformat.v4.new_code_cell(code)


def _environment(settings: str) -> dict[str, str]:
    """The kernel's environment: the caller's, less what would change the outputs."""
    dropped = ("PYTHONWARNINGS", "PYTHONSTARTUP", "PYTHONINSPECT", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    for name in ("GEOSTACK_ARCHIVE", "GEOSTACK_CACHE"):
        if kept.get(name):  # given relative to where the command was typed, not to the notebook
            parts = kept[name].split(os.pathsep)
            kept[name] = os.pathsep.join(str(Path(part).expanduser().resolve()) for part in parts)
    return kept | {
        "IPYTHONDIR": settings,  # a reader's start-up files are no part of the notebook
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
        "TZ": "UTC",
    }


def _failures(notebook: Any) -> list[str]:
    return [
        f"cell {number} failed:\n{_indented(cell.source)}\n{_plain(output)}"
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]


def _indented(code: str) -> str:
    return "\n".join(f"  | {line}" for line in code.strip().splitlines())


def _plain(error: Any) -> str:
    colours = re.compile(r"\x1b\[[0-9;]*m")
    tail = "\n".join(colours.sub("", "\n".join(error.traceback)).splitlines()[-12:])
    return tail or f"{error.ename}: {error.evalue}"


def _tidy(notebook: Any, name: str) -> None:
    """Take out what differs between two runs or two machines without meaning anything.

    A cell's id comes from the notebook's name and its own text, so that it is unique on the site
    and an inserted cell changes no other.
    """
    notebook.metadata = type(notebook.metadata)(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{name}\n{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell.metadata = type(cell.metadata)(
            {key: value for key, value in cell.metadata.items() if key == "tags"}
        )
        for output in cell.get("outputs", []):
            _forget_addresses(output)
            picture = output.get("data", {}).get("image/png")
            if picture:
                output.data["image/png"] = with_palette(picture)


def _forget_addresses(output: Any) -> None:
    text = output.get("data", {}).get("text/plain")
    if text:
        output.data["text/plain"] = re.sub(r" at 0x[0-9a-f]{6,}", "", text)


def _write(notebook: Any, path: Path) -> None:
    import nbformat

    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _committed_faults(source: Path, root: Path) -> list[str]:
    committed = source.with_suffix(".ipynb")
    if not committed.exists():
        return ["there is no executed copy; make it with: make notebooks-inplace"]
    return [
        f"the committed copy: {fault}"
        for fault in problems(read_executed(committed), read_source(source), root)
    ]


def _name(source: Path, root: Path) -> str:
    return str(source.relative_to(root / "notebooks").with_suffix(""))


def _summarise(outcomes: list[Outcome], folder: Path, took: float) -> None:
    failed = [outcome.name for outcome in outcomes if outcome.faults]
    skipped = [outcome.name for outcome in outcomes if outcome.skipped and not outcome.faults]
    well = len(outcomes) - len(failed) - len(skipped)
    print(f"\n{well} of {len(outcomes)} notebooks are well, {took:.0f} s")
    if skipped:
        print(f"skipped, since what they need is not installed: {', '.join(skipped)}")
    print(f"executed copies: {folder}")
    by_line: dict[str, list[str]] = {}
    for outcome in outcomes:
        for line in outcome.pixels:
            by_line.setdefault(line.removeprefix("source:").strip(), []).append(outcome.name)
    for line, names in by_line.items():
        print(f"pixels from {line}: {', '.join(names)}")
    if failed:
        print(f"FAILED: {', '.join(failed)}")


def _cached() -> dict[Path, int]:
    """Return the parts of the cache folder with their sizes in bytes."""
    from geostack.cache import cache_entries

    return {entry.path: entry.size for entry in cache_entries()}


def _tell_what_was_built(before: dict[Path, int]) -> None:
    from rich.filesize import decimal

    from geostack.cache import cache_folder

    grown = {path: size - before.get(path, 0) for path, size in _cached().items()}
    new = {path: size for path, size in grown.items() if size > 0}
    if new:
        told = ", ".join(f"{path.name} {decimal(size)}" for path, size in new.items())
        print(f"built into the cache folder {cache_folder()}: {told}")


if __name__ == "__main__":
    sys.exit(main())
