"""Run every benchmark and write the page and its figures.

python benchmarks/run.py            benchmarks/RESULTS.md and docs/images/bench_*.svg, and the
                                    table of docs/reference/where-time-goes.md; after a stop it
                                    goes on with the files that were not measured yet
python benchmarks/run.py --quick    the same with smaller scenes into .benchmarks/, and which
                                    ratios moved since the committed quick_ratios.json
python benchmarks/run.py --quick --keep    and write that file anew
python benchmarks/run.py --again    write the page anew from the last run's numbers
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

import figures
import memory
import networks
import report
from peers import unusable
from results import Results
from scenes import LARGE, SMALL
from stitchers import STITCHERS
from targets import COG_SHAPES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
QUICK_HOME = ROOT / ".benchmarks"
KEPT = HERE / "quick_ratios.json"
MOVED = 1.15
"""A ratio that grew or shrank by more than this is printed."""
NUMBERS = {False: QUICK_HOME / "results.json", True: QUICK_HOME / "quick.json"}
PARTS = QUICK_HOME / "parts"
"""What each file of benchmarks found, until all have."""
LAST = "bench_kills.py"
"""Takes longest, and no time of it is judged."""
SQUARES = ((4, 1024, 1024), (4, 4096, 4096))
SMALLER = "whole tiles, a million rows, the peers' memory and the walkthrough, as `make bench` does"
AGAIN = 3.0
"""Minutes that executing the walkthrough again may take."""
OURS = (
    "whole-scene call",
    "geostack, shift",
    "geostack, shift, 2 workers",
    "geostack, blended",
    "geostack, blended, 2 workers",
    "usual design",
)


def main() -> int:
    """Measure, write the numbers, the figures and the page; return pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, small scenes only")
    parser.add_argument("--again", action="store_true", help="write the page without measuring")
    parser.add_argument("--keep", action="store_true", help="compare later quick runs with this")
    options = parser.parse_args()
    if options.keep and not options.quick:
        parser.error("--keep goes with --quick: only quick runs are compared with one another")
    if options.again:
        write(Results(**json.loads(NUMBERS[options.quick].read_text("utf-8"))))
        return 0
    began = time.perf_counter()
    results, code = comparisons(options.quick)
    keep(results)  # so that a run that is stopped later has something to show: --again
    results.peaks, failed = peaks(options.quick)
    results.left_out += failed
    keep(results)
    if options.quick:
        results.left_out.append(SMALLER)
    else:
        minutes = walkthrough()
        results.values |= minutes
        results.left_out += [] if minutes else ["the walkthrough: a notebook failed"]
    write(results)
    rmtree(PARTS, ignore_errors=True)
    if options.quick:
        print(moved(results.ratios(), json.loads(KEPT.read_text("utf-8"))))
    if options.keep and not code:
        kept = {name: round(ratio, 4) for name, ratio in results.ratios().items()}
        _replace(KEPT, json.dumps(kept, indent=1) + "\n")
    profile = [sys.executable, str(HERE / "profile_paths.py")]
    code |= subprocess.run([*profile, *(["--quick"] if options.quick else [])]).returncode
    print(f"measured in {(time.perf_counter() - began) / 60:.1f} minutes")
    return code


def comparisons(quick: bool) -> tuple[Results, int]:
    """Run pytest over the benchmarks; return what they found, and its exit code.

    The full run asks file by file, and keeps what each found: one that was stopped goes on, as
    long as the sources are the same.
    """
    if quick:
        return measured(HERE, quick=True)
    found, code, key = Results(), 0, sources()
    for path in sorted(HERE.glob("bench_*.py"), key=lambda path: (path.name == LAST, path.name)):
        kept = PARTS / f"{path.stem}.{key}.json"
        if kept.exists():
            part = Results(**json.loads(kept.read_text("utf-8")))
        else:
            part, failed = measured(path, quick=False)
            code |= failed
            if not failed:
                PARTS.mkdir(parents=True, exist_ok=True)
                _replace(kept, json.dumps(dataclasses.asdict(part)))
        found.groups += part.groups
        found.values |= part.values
        found.left_out += part.left_out
    return found, code


def measured(what: Path, quick: bool) -> tuple[Results, int]:
    """Run pytest over a file of benchmarks, or a folder of them."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", "-q", str(what), f"--results={found}"]
        command += ["-o", "python_files=bench_*.py", "-o", "testpaths=", f"--rootdir={HERE}"]
        command += ["-o", f"pythonpath={HERE}", "--import-mode=prepend", "--durations=15"]
        code = subprocess.run([*command, *(["--quick"] if quick else [])]).returncode
        told = json.loads(found.read_text("utf-8")) if found.exists() else {"quick": quick}
        return Results(**told), code


def sources() -> str:
    """Return what the measured code and the benchmarks are, in a few letters."""
    files = sorted([*ROOT.glob("src/**/*.py"), *HERE.glob("*.py")])
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def moved(now: dict[str, float], before: dict[str, float]) -> str:
    """Return a line for each ratio that moved, largest first; for information, not a verdict."""
    both = {name: now[name] / before[name] for name in now if before.get(name) and now[name]}
    far = {name: change for name, change in both.items() if not 1 / MOVED <= change <= MOVED}
    lines = [f"{len(far)} of {len(both)} ratios moved by more than 15 % since the committed run"]
    for name in sorted(far, key=lambda name: max(far[name], 1 / far[name]), reverse=True):
        lines.append(f"  {far[name]:5.2f}  {name}: {before[name]:.3g} then, {now[name]:.3g} now")
    unknown = len(now.keys() ^ before.keys())
    lines += [f"  {unknown} are in one of the two only"] if unknown else []
    return "\n".join(lines)


def peaks(quick: bool) -> tuple[list[dict], list[str]]:
    """Measure the peak memory of each case on each scene, each in a process of its own.

    Returns the peaks, and a line for each case that failed.
    """
    print("peak memory, a process a case", flush=True)
    shapes = (SMALL,) if quick else (SMALL, *SQUARES, LARGE)
    peers = {} if quick else STITCHERS
    there = [name for name, one in peers.items() if not unusable(one.module)]
    cases = [(case, shape) for shape in shapes for case in (*OURS, *there)]
    cases += [(memory.FILE_TO_COG, shape) for shape in (COG_SHAPES[:1] if quick else COG_SHAPES)]
    if not any(map(unusable, networks.MODULES)):
        shape = (4, 461, 461) if quick else networks.SHAPE
        cases += [(case, shape) for case in (networks.PATCHER, networks.PACKAGE)]
    found, failed = [], []
    with ThreadPoolExecutor(2) as pool:  # what a process holds is its own, whoever runs beside it
        measured = list(pool.map(lambda case: _peak(*case), cases))
    for (case, shape), peak in zip(cases, measured, strict=True):
        if isinstance(peak, str):
            failed.append(f"memory of {case}, {shape}: {peak}")
        else:
            found.append(peak)
    return found, failed


def _peak(case: str, shape: tuple[int, int, int]) -> dict | str:
    """Return the peaks of a case, or the last thing that its process said."""
    command = [sys.executable, str(HERE / "memory.py"), case, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.splitlines() or [f"ended with {done.returncode}"])[-1]
    whole, beyond = (float(number) for number in done.stdout.split()[-2:])
    return {"case": case, "shape": shape, "in all": whole, "beyond": beyond}


def walkthrough() -> dict[str, float]:
    """Execute the walkthrough with an empty cache of its own; return minutes by name.

    A first run also builds the sources that a second finds in the cache, so where it keeps the
    second's limit, it stands for both.
    """
    print("the walkthrough", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        first = _minutes_to_execute(Path(folder))
        if first is None:
            return {}
        again = first if first <= AGAIN else _minutes_to_execute(Path(folder))
    found = {"walkthrough, first run, min": first}
    return found if again is None else found | {"walkthrough again, min": again}


def _minutes_to_execute(folder: Path) -> float | None:
    settings = {**os.environ, "GEOSTACK_CACHE": str(folder / "cache")}
    command = [sys.executable, str(ROOT / "tools" / "run_notebooks.py"), "walkthrough", "--jobs=2"]
    command += ["--out", str(folder / "executed")]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
        return None
    return (time.perf_counter() - began) / 60


def keep(results: Results) -> None:
    """Keep the numbers beside the working tree, for `--again`."""
    QUICK_HOME.mkdir(exist_ok=True)
    _replace(NUMBERS[results.quick], json.dumps(dataclasses.asdict(results)))


def write(results: Results) -> None:
    """Write the figures and the page, a quick run's into a folder that is not committed."""
    home = QUICK_HOME if results.quick else HERE
    images = QUICK_HOME if results.quick else ROOT / "docs" / "images"
    home.mkdir(exist_ok=True)
    keep(results)
    drawn = [(os.path.relpath(path, home), text) for path, text in figures.draw(results, images)]
    tried = (HERE / "tried.md").read_text("utf-8")
    target = home / "RESULTS.md"
    _replace(target, report.page(results, tried, drawn))
    print(f"wrote {target.relative_to(ROOT)} and {len(drawn)} figures")


def _replace(target: Path, text: str) -> None:
    part = target.with_name(target.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(target)


if __name__ == "__main__":
    sys.exit(main())
