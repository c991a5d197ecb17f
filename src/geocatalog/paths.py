"""Paths and URLs: which is which, and what a file's name is."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit

_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


def is_remote(path: str) -> bool:
    """Say whether a path is a URL or a GDAL virtual path rather than a local file.

    >>> is_remote("https://host/a.tif"), is_remote("/vsizip/a.zip/a.tif"), is_remote("a.tif")
    (True, True, False)
    """
    return bool(_SCHEME.match(path)) or path.startswith("/vsi")


def stored_path(path: Any) -> str:
    """Return a path as a catalog keeps it: URLs unchanged, local paths absolute.

    >>> stored_path("https://host/a.tif?sig=x")
    'https://host/a.tif?sig=x'
    """
    text = os.fspath(path) if not isinstance(path, str) else path
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
    return text if is_remote(text) else os.path.abspath(text)


def candidate_names(path: str) -> list[str]:
    """Return what a file-name pattern is tried on: name, path without query, whole path.

    >>> candidate_names("https://host/x/S2_20240601.tif?sig=ab%2F20991231")[0]
    'S2_20240601.tif'
    """
    bare = urlsplit(path).path if is_remote(path) and not path.startswith("/vsi") else path
    bare = unquote(bare.split("?", 1)[0])
    return list(dict.fromkeys([bare.rstrip("/").rsplit("/", 1)[-1], bare, path]))
