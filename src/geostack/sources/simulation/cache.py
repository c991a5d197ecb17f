"""Building an area once, whole or not at all, whoever asks first."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from geostack.locks import locked

from .areas import AREAS, SimulatedArea

Builder = Callable[[SimulatedArea, Path, bool], None]

# area: the module of this package whose `build` makes it.
_BUILDERS: dict[str, str] = {
    "lake-tahoe": "tahoe",
    "caldor": "caldor",
    "full-tile": "fulltile",
    "lake-tahoe-dem": "dem",
    "lake-tahoe-landsat": "landsat",
    "caldor-landsat": "landsat",
    "lake-tahoe-naip": "naip",
    "lisbon": "lisbon",
}

MARK = "built.json"
"""A file at the root of a whole area: what was built, by which version, in how many bytes."""


def ensure(area: str, cache: Path, *, progress: bool = True) -> Path:
    """Return the folder of an area's STAC items and COGs under `cache`, building it if needed.

    The folder is made beside its final place and renamed when it is whole: an interrupted build
    leaves nothing that a later call would take for finished. Two processes that ask at once build
    it once; the second waits. `progress` shows a bar on a terminal.

    Raises `ValueError` for an unknown area and `OSError` when the cache can't be written.
    """
    if area not in AREAS:
        raise ValueError(f"no simulated area is called {area!r}; there are: {', '.join(AREAS)}")
    described = AREAS[area]
    root = Path(cache) / described.folder
    if (root / MARK).is_file():
        return root
    with locked(root.with_name(f".{described.folder}.lock")):
        if not (root / MARK).is_file():
            _build(described, root, progress)
    return root


def _build(area: SimulatedArea, root: Path, progress: bool) -> None:
    """Build into a scratch folder beside `root` and rename it; the lock is held."""
    # Whoever holds the lock is alone, so other scratch folders are of builds that were killed.
    for stale in root.parent.glob(f".{area.folder}.part-*"):
        shutil.rmtree(stale, ignore_errors=True)
    scratch = root.with_name(f".{area.folder}.part-{uuid.uuid4().hex[:8]}")
    scratch.mkdir()
    try:
        builder: Builder = import_module(f".{_BUILDERS[area.name]}", __package__).build
        started = time.perf_counter()
        builder(area, scratch, progress)
        _mark(scratch, area, time.perf_counter() - started)
        if root.exists():
            shutil.rmtree(root)
        os.replace(scratch, root)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _mark(scratch: Path, area: SimulatedArea, seconds: float) -> None:
    import json

    files = [p for p in scratch.rglob("*") if p.is_file()]
    content = {
        "area": area.name,
        "folder": area.folder,
        "files": len(files),
        "bytes": sum(p.stat().st_size for p in files),
        "seconds": round(seconds, 1),
        "process": os.getpid(),
    }
    (scratch / MARK).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
