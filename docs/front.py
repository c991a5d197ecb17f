"""The site's first page: docs/index.md with the figures that benchmarks/RESULTS.md holds."""

from __future__ import annotations

from pathlib import Path

from readme_tables import figures

MARK = "<!-- figures -->"


def page(root: Path) -> str:
    """The first page's Markdown, its figures those of the last benchmark."""
    head = ":::{grid-item-card}\n:class-body: figure-that-matters"
    found = figures((root / "benchmarks" / "RESULTS.md").read_text("utf-8"))
    cards = [f"{head}\n**{figure}**\n\n{text}\n:::" for figure, text in found]
    grid = "\n".join(["::::{grid} 2 2 5 5", ":gutter: 2", *cards, "::::"])
    text = (root / "docs" / "index.md").read_text("utf-8")
    if MARK not in text:
        raise ValueError(f"docs/index.md must hold {MARK} where the figures go")
    return text.replace(MARK, grid)
