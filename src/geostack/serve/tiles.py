"""Tiles that were made already, and tiles that are being made."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from geostack.serve.gate import Gate
from geostack.serve.layer import Layer, empty_png, tile_bounds
from geostack.serve.problem import Problem, problem_of

Key = tuple[str, int, int, int]


@dataclass(frozen=True)
class Tile:
    """A PNG, and the tag that says whether a browser has it already."""

    png: bytes
    etag: str


def tile_of(png: bytes) -> Tile:
    """Return a PNG with its tag: a hash of the bytes.

    >>> tile_of(b"").etag
    '"e3b0c44298fc1c14"'
    """
    return Tile(png, f'"{sha256(png).hexdigest()[:16]}"')


class TileCache:
    """The tiles used last, up to so many bytes.

    >>> cache = TileCache(max_bytes=4)
    >>> for x in range(3):
    ...     cache.put(("layer", 2, x, 0), Tile(b"ab", "t"))
    >>> cache.get(("layer", 2, 0, 0)) is None, cache.held
    (True, 4)
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._tiles: OrderedDict[Key, Tile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Tile | None:
        """Return a tile, now the one used last, or None."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: Key, tile: Tile) -> None:
        """Keep a tile, letting go of those not used for longest."""
        with self._lock:
            old = self._tiles.pop(key, None)
            self.held += len(tile.png) - (len(old.png) if old else 0)
            self._tiles[key] = tile
            while self.held > self.max_bytes:
                _, gone = self._tiles.popitem(last=False)
                self.held -= len(gone.png)


class TileService:
    """Makes each tile once, however many ask for it at the same time."""

    def __init__(self, layers: dict[str, Layer], gate: Gate, max_bytes: int) -> None:
        self.layers = layers
        self.cache = TileCache(max_bytes)
        self._gate = gate
        self._making: dict[Key, asyncio.Task[Tile]] = {}

    def describe(self) -> list[dict[str, Any]]:
        """Return what `GET /layers` says: of a layer that can't be read now, its problem."""
        told = []
        for name, layer in self.layers.items():
            try:
                told.append(layer.describe(name))
            except OSError as error:
                known = {"name": name, "title": layer.title or name}
                told.append({**known, "problem": problem_of(error).detail})
        return told

    async def tile(self, name: str, z: int, x: int, y: int) -> tuple[Tile, bool]:
        """Return a tile, and whether it was there without being made.

        Raises Problem: 404 for an unknown layer or tile, and what the gate raises.
        """
        layer = self.layers.get(name)
        if layer is None:
            raise Problem(404, f"there is no such layer; there are: {', '.join(self.layers)}")
        try:
            tile_bounds(z, x, y)
        except ValueError:
            raise Problem(404, "there is no such tile: z is 0 to 24, x and y below 2**z") from None
        if layer.is_known_empty(z, x, y):
            # Costs no turn of the gate, and takes no place from tiles that show something.
            return tile_of(empty_png()), True
        key = (name, z, x, y)
        kept = self.cache.get(key)
        if kept is not None:
            return kept, True
        task = self._making.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(layer, key))
            self._making[key] = task
            task.add_done_callback(lambda done: self._made(key, done))
        # Shielded: one client that goes away takes the tile from nobody else.
        return await asyncio.shield(task), False

    def close(self) -> None:
        """Give up what is being made: those who asked are gone when the server stops."""
        for task in self._making.values():
            task.cancel()

    async def _make(self, layer: Layer, key: Key) -> Tile:
        def make() -> Tile:
            tile = tile_of(layer.tile(*key[1:]))
            # Kept by the job itself: one that came too late for its answer is there for the next.
            self.cache.put(key, tile)
            return tile

        return await self._gate.run(make)

    def _made(self, key: Key, task: asyncio.Task[Tile]) -> None:
        del self._making[key]
        if not task.cancelled():
            # Looked at here, so that a failure whose client went away is no unheard one.
            task.exception()
