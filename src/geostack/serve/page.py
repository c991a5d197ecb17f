"""The map page: three files of this package, and nothing from anywhere else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}


@cache
def page_file(name: str) -> bytes:
    """Return one of the page's files.

    >>> page_file("map.html")[:15]
    b'<!doctype html>'
    """
    return (Path(__file__).parent / "assets" / name).read_bytes()
