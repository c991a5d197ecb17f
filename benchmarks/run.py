"""Run every benchmark and write `benchmarks/RESULTS.md`.

python benchmarks/run.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEMORY_CASES = ("whole-scene call", "geostack, shift", "hand-written loop", "usual design")
PACKAGES = ("numpy", "scipy", "rasterio", "georeader-spaceml", "geopandas", "shapely", "duckdb")


def main() -> int:
    """Run pytest over the benchmarks, measure memory in fresh processes, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, small scenes only")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", "-q", str(HERE), f"--results={results}"]
        command += ["-o", "python_files=bench_*.py", "-o", "testpaths=", f"--rootdir={HERE}"]
        command += ["-o", f"pythonpath={HERE}", "--import-mode=prepend"]
        code = subprocess.run([*command, *(["--quick"] if quick else [])]).returncode
        groups = json.loads(results.read_text()) if results.exists() else []
    page = [*_head(quick), *(line for group in groups for line in _table(group)), *_memory(quick)]
    target = HERE / "RESULTS.md"
    part = target.with_suffix(".md.part")
    part.write_text("\n".join(page) + "\n")
    part.replace(target)
    print(f"wrote {target.relative_to(HERE.parent)}")
    return code


def _head(quick: bool) -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        "# Benchmark results",
        "",
        f"Made by `make {'bench-quick' if quick else 'bench'}` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}.",
        "",
        "Rivals run in turn in one process; a ratio is the median over rounds of time divided by "
        "the baseline's time in the same round, with its lowest and highest value.",
        "",
    ]


def _table(group: dict) -> list[str]:
    unit, count = group["per"]
    lines = [
        f"## {group['title']}",
        "",
        f"| | median a {unit} | ratio to {group['baseline']} | lowest to highest | target | |",
        "|---|---|---|---|---|---|",
    ]
    for row in group["rows"]:
        ratio = statistics.median(row["ratios"])
        target = row["target"]
        verdict = "" if target is None else ("met" if ratio <= target else "not met")
        lines.append(
            f"| {row['name']} | {_time(statistics.median(row['times']) / count)} | {ratio:.3g} "
            f"| {min(row['ratios']):.3g} to {max(row['ratios']):.3g} "
            f"| {'' if target is None else f'at most {target:g}'} | {verdict} |"
        )
    return [*lines, ""]


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _memory(quick: bool) -> list[str]:
    lines = [
        "## Peak memory of a stitched NDVI, each case in a process of its own",
        "",
        "| | scene | peak in all | beyond input and output | target |",
        "|---|---|---|---|---|",
    ]
    for size in ("small",) if quick else ("small", "large"):
        for name in MEMORY_CASES:
            command = [sys.executable, str(HERE / "memory.py"), name, size]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peak, beyond = done.stdout.split()
            target = "under 64 MB" if name.startswith("geostack") else ""
            lines.append(f"| {name} | {size} | {peak} MB | {beyond} MB | {target} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
