"""The page that a run is written as: peers first, then targets, then every comparison."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from peers import PEERS, Measured, installed, unusable
from results import Results
from targets import TARGETS, Target

PACKAGES = ("numpy", "scipy", "rasterio", "georeader-spaceml", "geopandas", "shapely", "duckdb")
PEERS_TITLE = "Against each peer"
LEGEND = (
    "Each does the same work on the same data in the same run, on as many threads; what it makes "
    "was compared with the whole-scene call, or with each other, before its time counted. A jump "
    "at a seam is the largest step between neighbouring pixels, as a share of that between two "
    "chips, of work that differs from chip to chip: 100% is a seam. Extra memory is the peak "
    "beyond interpreter, input and output, in a process of its own."
)
TARGETS_TITLE = "Targets"
KILLED = "killed: "
"""How the numbers of runs that were killed begin."""
COUNTED = ("kills", "targets")


def page(results: Results, tried: str, figures: Sequence[tuple[str, str]]) -> str:
    """Return RESULTS.md; `figures` are (path from the page, what it shows)."""
    lines = [*_head(results.quick), *against_peers(results), *_left_out(results)]
    for path, text in figures:
        lines += [f"![{text}]({path})", ""]
    lines += [*against_targets(results), "### Where not, and what was tried", "", tried.strip(), ""]
    lines += ["## Every comparison", "", *_how_measured(), ""]
    for group in results.groups:
        lines += comparison(group)
    lines += [*memory(results), *killed(results)]
    return "\n".join(lines).rstrip() + "\n"


def _head(quick: bool) -> list[str]:
    versions = [f"{name} {version(name)}" for name in PACKAGES]
    known = {peer.module: peer.name for peer in PEERS if peer.module not in PACKAGES}
    versions += [
        f"{name} {installed(module)}" for module, name in known.items() if installed(module)
    ]
    return [
        "# Benchmark results",
        "",
        f"Made by `make {'bench-quick' if quick else 'bench'}` on {datetime.now(UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(dict.fromkeys(versions))}.",
        "",
    ]


def _how_measured() -> list[str]:
    return [
        "Rivals run in turn in one process, forth and back, after a round of warm-up; a ratio is "
        "the median over rounds of time divided by the baseline's time in the same round, with its "
        "lowest and highest value. Columns beside the times were checked before the times were "
        "taken."
    ]


# ---- peers


def against_peers(results: Results) -> list[str]:
    """Return the table of what a user gains and loses here."""
    heads = [
        "instead of",
        "measured",
        "time, it → here",
        "extra memory, it → here",
        "what it makes",
    ]
    heads += ["you gain here", "you lose here"]
    lines = [f"## {PEERS_TITLE}", "", _line(heads), _line(["---"] * len(heads))]
    for peer in PEERS:
        rows = [row for row in (_peer_row(one, results) for one in peer.measured) if row]
        for number, row in enumerate(rows):
            name = f"{peer.name} {installed(peer.module)}"
            words = [peer.gain, peer.lose]
            lines.append(
                _line([name if number == 0 else "", *row, *(words if number == 0 else ["", ""])])
            )
    return [*lines, "", LEGEND, ""]


def _peer_row(one: Measured, results: Results) -> list[str] | None:
    theirs = results.seconds(one.title, one.theirs)
    ours = results.seconds(one.title, one.ours)
    times = results.times_faster(one.title, one.ours, one.theirs)
    row = results.row(one.title, one.theirs)
    if theirs is None or ours is None or times is None or row is None:
        return None
    speed = f"{times:.2g} x faster" if times >= 1 else f"{1 / times:.2g} x slower"
    facts = "; ".join(f"{name}: {found}" for name, found in row["facts"].items())
    return [
        one.label,
        f"{duration(theirs)} → {duration(ours)}, {speed}",
        _peer_memory(one, results),
        facts or "the same",
    ]


def _peer_memory(one: Measured, results: Results) -> str:
    if one.memory is None:
        return ""
    *cases, shape = one.memory
    peaks = [results.peak(case, shape) for case in cases]
    return "" if None in peaks else " → ".join(megabytes(peak) for peak in peaks)


def _left_out(results: Results) -> list[str]:
    texts = [unusable(module) for module in dict.fromkeys(peer.module for peer in PEERS)]
    texts = list(dict.fromkeys([*filter(None, texts), *results.left_out]))
    if not texts:
        return []
    return ["Left out of this run:", "", *(f"- {text}" for text in texts), ""]


# ---- targets


def against_targets(results: Results) -> list[str]:
    """Return the table of targets, each with what was measured."""
    lines = [
        f"## {TARGETS_TITLE}",
        "",
        "A target is judged only at the size it is stated for.",
        "",
        "| | target | measured | limit | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for target in TARGETS:
        found = target.measure(results)
        lines.append(
            f"| {target.number} | {target.claim} | {_measured(target, found)} "
            f"| {target.limit_text()} | {target.verdict(found)} |"
        )
    return [*lines, ""]


def _measured(target: Target, found: float | None) -> str:
    return "" if found is None else f"{found:.3g}{target.unit}"


# ---- details


def comparison(group: dict) -> list[str]:
    """Return one comparison as a section with its table."""
    unit, count = group["per"]
    facts = list(dict.fromkeys(name for row in group["rows"] for name in row["facts"]))
    aimed = any(row["target"] is not None for row in group["rows"])
    heads = ["", f"median a {unit}", f"ratio to {group['baseline']}", "lowest to highest", *facts]
    heads += ["target", ""] if aimed else []
    lines = [f"### {group['title']}", "", _line(heads), _line(["---"] * len(heads))]
    for row in group["rows"]:
        ratio = statistics.median(row["ratios"])
        cells = [
            row["name"],
            duration(statistics.median(row["times"]) / count),
            f"{ratio:.3g}",
            f"{min(row['ratios']):.3g} to {max(row['ratios']):.3g}",
            *(row["facts"].get(name, "") for name in facts),
        ]
        if aimed:
            target = row["target"]
            verdict = "" if target is None else "met" if ratio <= target else "not met"
            cells += ["" if target is None else f"at most {target:.3g}", verdict]
        lines.append(_line(cells))
    return [*lines, ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def memory(results: Results) -> list[str]:
    """Return the peaks of memory as one table, a row a case and a column a scene."""
    if not results.peaks:
        return []
    shapes = sorted({tuple(peak["shape"]) for peak in results.peaks}, key=_pixels)
    heads = ["", *(str(shape) for shape in shapes)]
    lines = [
        "### Peak memory, each case in a process of its own",
        "",
        "Beyond the interpreter, the input and the output; in brackets in all.",
        "",
        _line(heads),
        _line(["---"] * len(heads)),
    ]
    for case in dict.fromkeys(peak["case"] for peak in results.peaks):
        lines.append(_line([case, *(_both_peaks(results, case, shape) for shape in shapes)]))
    return [*lines, ""]


def _both_peaks(results: Results, case: str, shape: Sequence[int]) -> str:
    beyond, whole = results.peak(case, shape), results.peak(case, shape, "in all")
    return "" if beyond is None or whole is None else f"{megabytes(beyond)} ({megabytes(whole)})"


def killed(results: Results) -> list[str]:
    """Return how often runs of each kind were killed; one with other bytes stops the benchmark."""
    found = {name: n for name, n in results.values.items() if name.startswith(KILLED)}
    kinds = [name.removesuffix(", kills") for name in found if name.endswith(", kills")]
    if not kinds:
        return []
    rows = [
        _line([kind.removeprefix(KILLED), *(f"{found[f'{kind}, {n}']:.0f}" for n in COUNTED)])
        for kind in kinds
    ]
    return [
        "### Runs that were killed",
        "",
        "Killed (SIGKILL) at a random moment and called again, until the target was whole. Each "
        "had the bytes of a run that nobody killed, and nothing was left beside it.",
        "",
        _line(["", *COUNTED]),
        _line(["---"] * 3),
        *rows,
        "",
    ]


def _pixels(shape: Sequence[int]) -> tuple[int, int]:
    return shape[1] * shape[2], shape[0]


def megabytes(found: float) -> str:
    """Return MB as text; less than nothing, which is noise, is 0."""
    return f"{max(found, 0):,.0f} MB"


def duration(seconds: float) -> str:
    """Return a time with three digits and its unit.

    >>> duration(0.00123)
    '1.23 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
