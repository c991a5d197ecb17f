"""Figures of time and memory against size, on log axes, as SVG that is legible on any page."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from peers import CATALOG, READING, STITCH
from results import Results

COLOURS = ("#c44e2b", "#5d8c2a", "#7a4fa3", "#b8860b", "#1b9e8f")
"""Of peers; ours are blue."""
MARKS = "s^Dv<>P"
BLUES = {"blended": "#0b3d66", "not blended": "#4a9ae0"}
CASES = {
    "geostack": "geostack, blended",
    "geostack, 2 workers": "geostack, blended, 2 workers",
    "geostack, not blended": "geostack, shift",
    "geostack, not blended, 2 workers": "geostack, shift, 2 workers",
}
OURS = (*CASES, "geocatalog, in memory", "geocatalog, from a file", "whole-scene call")
NOT_DRAWN = ("usual design",)
SIZE = (8.2, 4.4)

Curves = dict[str, list[tuple[float, float]]]


def draw(results: Results, folder: Path) -> list[tuple[Path, str]]:
    """Draw what was measured at two sizes or more; return each file and what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        (
            "bench_stitch_time.svg",
            times(results, STITCH),
            "Time to stitch an NDVI, chips of 256, step 192",
            "scene of four bands, million pixels each",
            "time, s",
            "Time of a stitched NDVI against scene size, for geostack and each peer, log axes",
        ),
        (
            "bench_stitch_memory.svg",
            stitch_memory(results),
            "Peak memory of the same, beyond input and output",
            "scene of four bands, million pixels each",
            "memory, MB (1 stands for less)",
            "Peak memory of a stitched NDVI against scene size, for each peer, log axes",
        ),
        (
            "bench_read_time.svg",
            times(results, READING),
            "Time to load a chip of four bands from COGs on this machine",
            "chip, million pixels a band",
            "time, s",
            "Time to load a chip against its size, for geostack, odc-stac and stackstac, log axes",
        ),
        (
            "bench_catalog_time.svg",
            times(results, CATALOG),
            "Time of a query by a box and 30 days, with its rows",
            "rows of the catalog",
            "time of one query, s",
            "Time of a query against a catalog's rows, for us, GeoPandas and rustac, log axes",
        ),
    ]
    drawn = []
    for name, curves, title, across, up, text in wanted:
        if any(len(points) > 1 for points in curves.values()):
            _plot(folder / name, curves, title, across, up)
            drawn.append((folder / name, text))
    return drawn


def times(results: Results, figure: str) -> Curves:
    """Return rival -> (size, seconds for one run or query) of the comparisons of a figure."""
    curves: Curves = {}
    for group in results.groups:
        if group["curve"] is not None and group["curve"][0] == figure:
            for row in group["rows"]:
                seconds = statistics.median(row["times"]) / group["per"][1]
                curves.setdefault(row["name"], []).append((group["curve"][1], seconds))
    return _ours_first(curves)


def stitch_memory(results: Results) -> Curves:
    """Return rival -> (million pixels, MB), at least 1 MB so that a log axis can show it."""
    names = {case: name for name, case in CASES.items()}
    curves: Curves = {}
    for peak in results.peaks:
        bands, height, width = peak["shape"]
        if bands == 4 and peak["case"] not in NOT_DRAWN:
            name = names.get(peak["case"], peak["case"])
            curves.setdefault(name, []).append((height * width / 1e6, max(peak["beyond"], 1.0)))
    return _ours_first(curves)


def _ours_first(curves: Curves) -> Curves:
    order = sorted(curves, key=lambda name: (*OURS, name).index(name))
    return {name: sorted(curves[name]) for name in order}


def _plot(path: Path, curves: Curves, title: str, across: str, up: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # fixed ids and no date, so that the same numbers give the same file
    with plt.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none", "font.size": 10}):
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained", facecolor="white")
        peers = [name for name in curves if name not in OURS]
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), label=name, markersize=5, **_style(name, peers))
        axes.set(xscale="log", yscale="log", title=title, xlabel=across, ylabel=up)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        axes.grid(True, which="major", color="#dddddd")
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _style(name: str, peers: list[str]) -> dict[str, Any]:
    """Ours are thick and blue, dashed with two workers or from a file; each peer has its colour."""
    if name in peers:
        number = peers.index(name)
        return {"color": COLOURS[number % len(COLOURS)], "marker": MARKS[number % len(MARKS)]}
    if name == "whole-scene call":
        return {"color": "#777777", "linestyle": ":", "marker": "."}
    dashed = name.endswith(("2 workers", "from a file"))
    colour = BLUES["not blended" if "not blended" in name else "blended"]
    return {"color": colour, "linewidth": 2.4, "linestyle": "--" if dashed else "-", "marker": "o"}
