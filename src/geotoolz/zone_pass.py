"""Statistics of zones in one pass: what a satellite sees within minutes is one observation.

A zone that several scenes of a pass see is counted once:

- Where scenes share a lattice of pixels (tiles of one UTM zone), a pixel that several have is taken
  from the first in which it is clear.
- Where they do not (tiles of two UTM zones, two sensors), the zone is laid on the lattice whose
  scenes hold most of it, and only what they do not reach is taken from the next.

Each file is opened once, for all the zones that it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geocatalog.footprint import reproject
from geocatalog.read.onto_grid import grid_of
from geocatalog.read.open import KeptOpen, with_dataset
from geotoolz.carrier import attrs_of, fill_of, values_of
from geotoolz.scenes import Scene, SceneReading
from geotoolz.zone_statistics import check_roles, of_zones
from geotoolz.zones import (
    Cells,
    Lattice,
    Numbers,
    Window,
    Zones,
    from_pixels,
    in_pixels,
    lattice_of,
)
from pipekit.pixels import Role, band_roles, invalid_mask
from pipekit.radius import radius_of

Columns = dict[str, NDArray[np.float64]]
Tables = list[tuple[Numbers, tuple[str, ...], Columns]]
"""Numbers of zones (n,), names of bands (C,), and statistic -> (n, C), as often as bands differ."""

Skipped = list[tuple[str, str]]
"""Scenes that could not be read, and why."""

BLOCK = 1024
"""Rows and columns read at a time: COGs have tiles of 256 to 1024."""

MOST_CELLS = 4_000_000
"""Pixels of zones held at a time, in each pass that is worked on; a zone's own are never split."""

_REMEMBERED = 8  # layouts of zones over grounds, in a process


class Ground(NamedTuple):
    """The scenes of a pass on one lattice, and the pixels that each has.

    Parameters
    ----------
    lattice
        Of all of them.
    scenes
        In the order in which their pixels count.
    windows
        Of each.
    """

    lattice: Lattice
    scenes: list[Scene]
    windows: list[Window]

    @property
    def whole(self) -> Window:
        """The window around all."""
        top, left, bottom, right = zip(*self.windows, strict=True)
        return Window(min(top), min(left), max(bottom), max(right))

    def outline(self) -> Any:
        """Return the shape of all windows, in pixels."""
        boxes = [shapely.box(w.left, w.top, w.right, w.bottom) for w in self.windows]
        return shapely.union_all(boxes)


Plan = tuple[Cells, list[tuple[Window, Numbers]]]
"""Cells of zones, and the windows in which they are read, each with the numbers of its cells."""


Part = tuple[Numbers, dict[int, Any]]
"""Zones that count on a ground, and parts in the CRS's units where not whole zones count."""


class Values(NamedTuple):
    """What was read for some cells: (C, n) numbers, which of them count, and what bands are."""

    numbers: NDArray[np.float64]
    counts: NDArray[np.bool_]
    bands: tuple[str, ...]
    roles: tuple[Role, ...]


class PassJob:
    """Computes the statistics of a pass; every worker has one.

    Parameters
    ----------
    zones
        All zones.
    reading
        How scenes are read.
    statistics
        Names.
    operator
        Made of a scene's bands (C, h, w) before anything is counted, or None.
    on_error
        "raise", or "skip" to list a pass that cannot be read.

    Raises
    ------
    ValueError
        For an operator that does not say how far it looks.
    """

    def __init__(
        self,
        zones: Zones,
        reading: SceneReading,
        statistics: Sequence[str],
        operator: Callable[[Any], Any] | None = None,
        on_error: str = "raise",
    ) -> None:
        self.zones, self.reading, self.statistics = zones, reading, tuple(statistics)
        self.operator, self.on_error = operator, on_error
        halo = 0 if operator is None else radius_of(operator)
        if halo is None:
            raise ValueError(
                f"operator= must say how many pixels it looks around each, {operator!r} does not; "
                "set operator.radius to a number, 0 where it looks at none"
            )
        self.halo = halo
        when, numbers = pa.timestamp("us", tz="UTC"), [(n, pa.float64()) for n in statistics]
        told = ("zone", pa.array(zones.names).type), ("date", when), ("band", pa.string())
        self.schema = pa.schema([*told, *numbers])
        self._known: dict[Any, tuple[list[int], list[list[Plan]]]] = {}
        self._lock = Lock()

    def __reduce__(self) -> Any:
        return PassJob, (self.zones, self.reading, self.statistics, self.operator, self.on_error)

    def __call__(self, scenes: list[Scene]) -> tuple[pa.Table, Skipped]:
        """Return the statistics of one pass, by zone and band, and what could not be read."""
        files = KeptOpen()
        try:
            return self._rows(scenes[0].time.to_pydatetime(), self._tables(scenes, files)), []
        except Exception as error:
            if self.on_error == "raise":
                names = ", ".join(scene.name for scene in scenes)
                error.add_note(f'in the pass of {names}; on_error="skip" leaves such passes out')
                raise
            skipped = [(scene.name, f"{type(error).__name__}: {error}") for scene in scenes]
            return self.schema.empty_table(), skipped
        finally:
            files.close()

    def _tables(self, scenes: list[Scene], files: KeptOpen) -> Tables:
        grounds = _grounds(scenes, files)
        tables: Tables = []
        pieces: dict[int, list[tuple[Cells, Values]]] = {}
        shared, layout = self._layout(grounds)
        for ground, plans in zip(grounds, layout, strict=True):
            for plan in plans:
                cells, values = plan[0], self._read(ground, plan, files)
                if values is None:
                    continue
                alone = ~np.isin(cells.zones, shared)
                made = self._statistics(cells, values)
                kept = {name: column[alone] for name, column in made.items()}
                tables.append((cells.zones[alone], values.bands, kept))
                for at in np.flatnonzero(~alone).tolist():
                    own = _of_one(cells, values, at)
                    pieces.setdefault(int(cells.zones[at]), []).append(own)
        for found in pieces.values():
            cells, values = _joined(found)
            tables.append((cells.zones, values.bands, self._statistics(cells, values)))
        return tables

    def _rows(self, date: datetime, tables: Tables) -> pa.Table:
        """Return the rows of all tables by zone, then by band."""
        if not tables:
            return self.schema.empty_table()
        zones = np.concatenate([np.repeat(numbers, len(own)) for numbers, own, _ in tables])
        bands = [band for numbers, own, _ in tables for band in own * len(numbers)]
        order = np.argsort(zones, kind="stable")
        told = {"zone": self.zones.names.take(zones[order]), "date": [date] * len(zones)}
        told["band"] = [bands[at] for at in order]
        for name in self.statistics:
            told[name] = np.concatenate([found[name].ravel() for *_, found in tables])[order]
        return pa.Table.from_pydict(told, schema=self.schema)

    def _layout(self, grounds: list[Ground]) -> tuple[list[int], list[list[Plan]]]:
        """Return zones on several lattices, and how each ground is read; a few are remembered."""
        near = []
        for ground in grounds:
            outlines = (scene.outline_in("EPSG:4326") for scene in ground.scenes)
            near.append(np.unique(np.concatenate([self.zones.near(each) for each in outlines])))
        both = zip(grounds, near, strict=True)
        key = tuple((on.lattice, tuple(on.windows), some.tobytes()) for on, some in both)
        with self._lock:
            made = self._known.pop(key, None)
            if made is None:
                shared, parts = self._split(grounds, near)
                made = shared, [self._plans_of(*each) for each in zip(grounds, parts, strict=True)]
            self._known[key] = made  # behind all others, of which the first is let go
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
            return made

    def _split(self, grounds: list[Ground], near: list[Numbers]) -> tuple[list[int], list[Part]]:
        """Say which zones, or parts of them, count on which lattice."""
        every, counts = np.unique(np.concatenate(near), return_counts=True)
        shared = every[counts > 1].tolist()
        own: list[list[int]] = [np.setdiff1d(some, shared).tolist() for some in near]
        cuts: list[dict[int, Any]] = [{} for _ in grounds]
        for number in shared:
            on = [at for at, some in enumerate(near) if number in some]
            wholes = {at: self.zones.on(grounds[at].lattice, [number])[0] for at in on}
            share = {
                at: shapely.area(shapely.intersection(whole, grounds[at].outline()))
                / max(shapely.area(whole), 1e-300)
                for at, whole in wholes.items()
            }
            # To a billionth, for lattices that both hold a whole zone to keep their order.
            first, *others = sorted(on, key=lambda at: (-round(share[at], 9), at))
            own[first].append(number)
            missing = shapely.difference(wholes[first], grounds[first].outline())
            lattice = grounds[first].lattice
            for at in others if share[first] < 1 - 1e-9 else ():
                ground = grounds[at]
                moved = np.array([from_pixels(missing, lattice)], object)
                moved = reproject(moved, lattice.crs, ground.lattice.crs)
                own[at].append(number)
                cuts[at][number], lattice = moved[0], ground.lattice
                missing = shapely.difference(in_pixels(moved[0], lattice), ground.outline())
        zones = (np.array(sorted(numbers), int) for numbers in own)
        return shared, list(zip(zones, cuts, strict=True))

    def _plans_of(self, ground: Ground, part: Part) -> list[Plan]:
        """Return the cells of zones by groups, and those of a group by blocks."""
        cells = self.zones.cells(ground.lattice, ground.whole, *part)
        ends = np.append(cells.starts, len(cells.rows))
        plans: list[Plan] = []
        first = 0
        while first < len(cells.zones):
            limit = ends[first] + MOST_CELLS
            last = max(int(np.searchsorted(ends, limit, side="right")) - 1, first + 1)
            some = cells.part(first, last)
            plans.append((some, list(_blocks(some, ground.whole))))
            first = last
        return plans

    def _read(self, ground: Ground, plan: Plan, files: KeptOpen) -> Values | None:
        """Return the numbers under all cells of a plan; None where no scene has any."""
        made: Values | None = None
        cells, blocks = plan
        for w, some in blocks:
            top, left = w.top - self.halo, w.left - self.halo
            rows, cols = w.bottom + self.halo - top, w.right + self.halo - left
            both = zip(ground.scenes, ground.windows, strict=True)
            there = [scene for scene, own in both if own.meets(w)]
            grid = ground.lattice.grid(top, left, rows, cols)
            raster = self.reading.of_pass(there, grid, files)
            if raster is None:
                continue
            at = cells.rows[some] - top, cells.cols[some] - left
            numbers, counts, bands, roles = _under(raster, at, self.operator)
            if made is None:
                size = len(bands), len(cells.rows)
                made = Values(np.zeros(size), np.zeros(size, bool), bands, roles)
            made.numbers[:, some] = numbers
            made.counts[:, some] = counts
        return made

    def _statistics(self, cells: Cells, values: Values) -> Columns:
        """Return name -> (z, C)."""
        check_roles(self.statistics, dict(zip(values.bands, values.roles, strict=True)))
        how = cells.weights, cells.starts, cells.room, self.statistics
        layers = zip(values.numbers, values.counts, values.roles, strict=True)
        found = [of_zones(numbers, counts, *how, role) for numbers, counts, role in layers]
        return {name: np.stack([each[name] for each in found], axis=1) for name in self.statistics}


def _grounds(scenes: list[Scene], files: KeptOpen) -> list[Ground]:
    """Return the scenes of a pass by lattice, in their order; each one's first file is opened."""
    grounds: dict[Lattice, Ground] = {}
    for scene in scenes:
        grid = with_dataset(next(iter(scene.files.values())), grid_of, files=files)
        lattice, window = lattice_of(grid)
        ground = grounds.setdefault(lattice, Ground(lattice, [], []))
        ground.scenes.append(scene)
        ground.windows.append(window)
    return list(grounds.values())


def _blocks(cells: Cells, ground: Window) -> Iterator[tuple[Window, Numbers]]:
    """Yield the blocks of a ground that have cells, and the smallest window around those."""
    across = -(-(ground.right - ground.left) // BLOCK)
    number = (cells.rows - ground.top) // BLOCK * across + (cells.cols - ground.left) // BLOCK
    order = np.argsort(number, kind="stable")
    begins = np.flatnonzero(np.diff(number[order], prepend=-1))
    for some in np.split(order, begins[1:]):
        rows, cols = cells.rows[some], cells.cols[some]
        top, left = int(rows.min()), int(cols.min())
        yield Window(top, left, int(rows.max()) + 1, int(cols.max()) + 1), some


def _under(raster: Any, at: tuple[Any, Any], operator: Callable[[Any], Any] | None) -> Values:
    """Return the numbers of a raster, or of what an operator makes of it, at (rows, cols)."""
    shape = raster.shape[-2:]
    made = raster if operator is None else operator(raster)
    values = values_of(made)
    if values.shape[-2:] != shape or values.ndim not in (2, 3):
        raise ValueError(
            f"operator= must keep the pixels of a scene {shape} and make (h, w) or (C, h, w), it "
            f"made {values.shape}"
        )
    roles = band_roles(made)
    layers = values[None] if values.ndim == 2 else values
    names = attrs_of(made).get("band_names") or ()
    if len(names) != len(layers):
        own = attrs_of(made).get("long_name") or type(operator).__name__
        names = [own] if len(layers) == 1 else [f"band_{n + 1}" for n in range(len(layers))]
    numbers = layers[:, *at]
    counts = np.ones(numbers.shape, bool)
    for band, role, known in zip(numbers, roles, counts, strict=True):
        # Bits of 0 say that no flag is set, even where 0 marks nodata in the bands beside them.
        fill = fill_of(made)
        missing = invalid_mask(band, (fill or None) if role == "bits" else fill)
        if missing is not None:
            known[missing] = False
    return Values(numbers, counts, tuple(map(str, names)), roles)


def _of_one(cells: Cells, values: Values, at: int) -> tuple[Cells, Values]:
    """Return the cells of one zone, and what was read for them."""
    one = cells.part(at, at + 1)
    inner = slice(int(cells.starts[at]), int(cells.starts[at]) + len(one.rows))
    numbers, counts = values.numbers[:, inner], values.counts[:, inner]
    return one, values._replace(numbers=numbers, counts=counts)


def _joined(pieces: list[tuple[Cells, Values]]) -> tuple[Cells, Values]:
    """Return a zone's pixels on several lattices as one list, weighted in pixels of the first."""
    (first, values), *others = pieces
    for _, each in others:
        if each.bands != values.bands:
            raise ValueError(f"scenes of a pass have other bands: {values.bands} and {each.bands}")
    weights = [cells.weights * first.room / cells.room for cells, _ in pieces]
    cells = first._replace(
        rows=np.concatenate([cells.rows for cells, _ in pieces]),
        cols=np.concatenate([cells.cols for cells, _ in pieces]),
        weights=np.concatenate(weights),
    )
    numbers = np.concatenate([each.numbers for _, each in pieces], axis=1)
    counts = np.concatenate([each.counts for _, each in pieces], axis=1)
    return cells, values._replace(numbers=numbers, counts=counts)
