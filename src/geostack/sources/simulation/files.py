"""The files of simulated scenes: each is drawn when it is first asked for, whole or not at all."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipekit.files import locked

from .scenes import AREAS, Scene, simulated_scenes

IDLE_SECONDS = 60.0
"""For how long the ground of an area is kept in memory after a file was drawn on it."""

_DRAWING = threading.Semaphore(min(4, os.cpu_count() or 1))
_TOLD: set[Path] = set()


def find(path: Path) -> tuple[Scene, str] | None:
    """Return the scene that a path is a file of, and which asset; None for any other path."""
    scene = simulated_scenes().get(path.parent.name)
    if scene is None or Path(*path.parts[-4:-1]) != scene.folder:
        return None
    for key, asset in scene.item["assets"].items():
        if Path(asset["href"]).name == path.name:
            return scene, key
    return None


def ensure(path: Path, cache: Path) -> Path:
    """Return where a simulated scene's file is under `cache`, drawing it if it isn't there.

    The file is written beside its place and renamed when it is whole: what was interrupted leaves
    nothing that a later call would take for finished. Whoever else asks for the same scene, thread
    or process, waits.

    Raises
    ------
    ValueError
        When no simulated scene has such a file.
    OSError
        When the cache can't be written.
    """
    found = find(path)
    if found is None:
        raise ValueError(f"no simulated scene has a file {path}")
    scene, key = found
    folder = cache / scene.folder
    target = folder / path.name
    if not target.is_file():
        with locked(folder.with_name(f".{scene.id}.lock")):
            if not target.is_file():
                _tell(scene, cache)
                with _one_more(scene.area), _DRAWING:
                    _draw(scene, key, target)
    return target


def _draw(scene: Scene, key: str, target: Path) -> None:
    """Draw a file, and write the item anew with the assets that are there; the lock is held."""
    from . import draw
    from .cog import write_cog

    target.parent.mkdir(parents=True, exist_ok=True)
    # Whoever holds the lock is alone, so other unfinished files are of processes that were killed.
    for stale in target.parent.glob(".part-*"):
        stale.unlink(missing_ok=True)
    part = target.with_name(f".part-{target.name}")
    try:
        drawn = draw.pixels(scene, key)
        write_cog(
            part,
            drawn.array,
            drawn.window,
            scene.file_grid(key),
            nodata=drawn.nodata,
            categorical=drawn.categorical,
            threads=os.cpu_count() or 1,
        )
        os.replace(part, target)
        there = {
            name: asset
            for name, asset in scene.item["assets"].items()
            if (target.parent / asset["href"]).is_file()
        }
        text = json.dumps({**scene.item, "assets": there}, indent=1) + "\n"
        part.write_text(text, encoding="utf-8")
        os.replace(part, target.parent / f"{scene.id}.json")
    finally:
        part.unlink(missing_ok=True)


def _tell(scene: Scene, cache: Path) -> None:
    """Say once on a terminal what is made and where."""
    root = cache / AREAS[scene.area].folder
    if root not in _TOLD and sys.stderr.isatty():
        print(f"simulating {scene.area}, not real scenes, into {root}", file=sys.stderr)
    _TOLD.add(root)


_BAR: Any = None
_WAITING = 0
_FORGET: threading.Timer | None = None
_COUNTING = threading.Lock()


@contextmanager
def _one_more(area: str) -> Iterator[None]:
    """Show files that are asked for and drawn on a terminal, and forget the ground after the last.

    The bar lasts as long as any thread waits for a file.
    """
    global _BAR, _WAITING, _FORGET
    from tqdm import tqdm

    from . import draw

    with _COUNTING:
        if _FORGET is not None:
            _FORGET.cancel()
        if _BAR is None:
            # disable=None shows it only when standard error is a terminal.
            _BAR = tqdm(total=0, desc=f"simulating {area}", unit="file", disable=None)
        _WAITING += 1
        _BAR.total += 1
        _BAR.refresh()
    try:
        yield
    finally:
        with _COUNTING:
            _BAR.update()
            _WAITING -= 1
            if _WAITING == 0:
                _BAR.close()
                _BAR = None
                _FORGET = threading.Timer(IDLE_SECONDS, draw.forget)
                _FORGET.daemon = True
                _FORGET.start()
