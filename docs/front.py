"""The site's first page: docs/index.md with the figures that benchmarks/RESULTS.md holds."""

from __future__ import annotations

from pathlib import Path

from readme_tables import table

FIGURES = {
    "peak memory in all from a file (2, 10980, 10980) to a COG": (
        "at most, for the NDVI of a whole Sentinel-2 tile, from a file to a COG"
    ),
    "tiled NDVI (4, 10980, 10980), two workers, against the whole-scene call": (
        "the time of the whole-scene call: a tile in chips, on two cores"
    ),
    "blended NDVI (4, 10980, 10980) against the fastest peer that blends": (
        "the time of the fastest other library that blends its chips"
    ),
    "queries of 1,000,000 rows in memory, faster than GeoPandas": (
        "faster than GeoPandas: a box and 30 days, of a million rows"
    ),
    "row groups of 1,000,000 rows read by a box of 1 km and 30 days": (
        "of a catalog file of a million rows is read for a box of 1 km and 30 days"
    ),
}
"""A target of the benchmark -> what its figure says, in the order of the page."""

MARK = "<!-- figures -->"


def page(root: Path) -> str:
    """The first page's Markdown, its figures those of the last benchmark."""
    rows = table((root / "benchmarks" / "RESULTS.md").read_text("utf-8"), "Targets").splitlines()
    measured = {
        cells[1]: cells[2] for cells in ([c.strip() for c in r.split("|")[1:]] for r in rows)
    }
    missing = set(FIGURES) - set(measured)
    if missing:
        raise ValueError(f"docs/front.py shows what benchmarks/RESULTS.md lacks: {missing}")
    head = ":::{grid-item-card}\n:class-body: figure-that-matters"
    cards = [f"{head}\n**{measured[name]}**\n\n{text}\n:::" for name, text in FIGURES.items()]
    grid = "\n".join(["::::{grid} 2 2 5 5", ":gutter: 2", *cards, "::::"])
    text = (root / "docs" / "index.md").read_text("utf-8")
    if MARK not in text:
        raise ValueError(f"docs/index.md must hold {MARK} where the figures go")
    return text.replace(MARK, grid)
