"""Count the lines of code in the wheel that are neither blank, nor comment, nor docstring.

python tools/net_lines.py                # by package, with the median and the largest file
python tools/net_lines.py --functions 60 # and every function longer than 60 net lines
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).resolve().parents[1] / "src"
PACKAGES = ("pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack")
SILENT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def net_lines(text: str) -> set[int]:
    r"""Return the numbers of the lines that hold code.

    Examples
    --------
    >>> sorted(net_lines('"doc"\n\nx = 1  # one\n# two\n'))
    [3]
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*SILENT, tokenize.ENDMARKER):
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - {line for node in _docstrings(ast.parse(text)) for line in _span(node)}


def long_functions(text: str, limit: int) -> Iterator[tuple[str, int]]:
    """Yield the name and the net lines of every function that is longer than `limit`."""
    lines = net_lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = len(lines.intersection(_span(node)))
            if count > limit:
                yield node.name, count


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    """The string statements of a module: docstrings, and those under an attribute."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and (isinstance(node.value.value, str))
        ):
            yield node


def _span(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--functions", type=int, metavar="N", help="list functions longer than N")
    parser.add_argument("--files", action="store_true", help="list every file")
    asked = parser.parse_args()
    everything: dict[Path, int] = {}
    print(f"{'package':<12}{'files':>6}{'lines':>8}{'median':>8}{'largest':>9}")
    for package in PACKAGES:
        counts = {p: len(net_lines(p.read_text("utf-8"))) for p in (SRC / package).rglob("*.py")}
        everything |= counts
        _row(package, list(counts.values()))
    _row("total", list(everything.values()))
    if asked.files:
        for path, count in sorted(everything.items(), key=lambda pair: pair[1]):
            print(f"{count:>6} {path.relative_to(SRC)}")
    if asked.functions:
        for path in everything:
            for name, count in long_functions(path.read_text("utf-8"), asked.functions):
                print(f"{count:>6} {path.relative_to(SRC)}:{name}")


def _row(name: str, counts: list[int]) -> None:
    print(
        f"{name:<12}{len(counts):>6}{sum(counts):>8}"
        f"{statistics.median(counts):>8.0f}{max(counts):>9}"
    )


if __name__ == "__main__":
    main()
