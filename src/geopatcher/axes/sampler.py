"""Where patches are anchored.

A seed fixes the anchors for ever: they are made from the raw bits of PCG64 with exactly rounded
arithmetic (see `geopatcher.axes.draws`), in every process and on every machine. With
`seed=None` each call draws new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np
import shapely

from geopatcher.axes.axis import AxisGrid, RegularGrid
from geopatcher.axes.draws import Draws, as_seed, disk_positions, thin_out
from geopatcher.config import (
    Configured,
    as_count,
    as_pixel_pair,
    as_positive,
    checked,
    is_a,
    share_of,
)
from geopatcher.domain import Domain, GridDomain, PointDomain
from geopatcher.patch import PatchError
from geopatcher.sphere import chord


@dataclass(frozen=True)
class SpatialRegularStride(Configured):
    """Anchors every `step` pixels, one number or (rows, cols), in row-major order.

    On points or polygons it is every step-th one, on a sphere every step-th grid cell.

    Parameters
    ----------
    step : int or (rows, cols)
        Pixels, members or cells from one anchor to the next, at least 1.

    Raises
    ------
    PatchError
        For a step that is no positive whole number.

    Examples
    --------
    >>> from geopatcher import RasterDomain, SpatialRectangular
    >>> domain = RasterDomain((2, 3935, 1599))
    >>> len(SpatialRegularStride(192).anchors(domain, SpatialRectangular(256)))
    140
    """

    step: Any = checked(as_pixel_pair)

    def grid(self, domain: Any, geometry: Any) -> RegularGrid | None:
        """Return the grid of rectangular chips; None for other geometries."""
        candidates = geometry.candidates(domain)
        return candidates.grid(self.step) if isinstance(candidates, PixelCandidates) else None

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return every anchor; for rectangles (row, col) of the upper left pixel."""
        return geometry.candidates(domain).every(self.step)


@dataclass(frozen=True)
class SpatialJitteredStride(Configured):
    """A regular grid whose anchors are moved at random, each by up to `jitter` steps.

    With 0.5 every anchor stays in its own cell of the grid (stratified sampling); with 0 none
    moves. Chips stay inside the scene. A merge may leave gaps: this sampler is for training.

    Parameters
    ----------
    step : int or (rows, cols)
        Of the regular grid, in pixels.
    jitter : float
        How far an anchor moves at most, as a share of the step, 0 to 1.
    seed : int, optional
        Fixes the anchors for ever; None draws new ones at each call.

    Raises
    ------
    PatchError
        For a step, jitter or seed outside these.

    Examples
    --------
    >>> from geopatcher import RasterDomain, SpatialRectangular
    >>> sampler = SpatialJitteredStride(50, jitter=0.2, seed=1)
    >>> sampler.anchors(RasterDomain((200, 100)), SpatialRectangular(50))[:3]
    [(0, 9), (0, 50), (46, 0)]
    """

    step: Any = checked(as_pixel_pair)
    jitter: float = checked(share_of("the step"), 0.5)
    seed: int | None = checked(as_seed, None)

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the moved anchors, in the grid's row-major order."""
        return geometry.candidates(domain).jittered(self.step, self.jitter, Draws(self.seed))


@dataclass(frozen=True)
class SpatialRandom(Configured):
    """`n_samples` anchors at random, each place equally likely.

    Pixels may repeat; the first ten of a hundred anchors are those of ten. On points and polygons
    the members are distinct; on a sphere the anchors are even by area.

    Parameters
    ----------
    n_samples : int
        How many anchors are drawn.
    seed : int, optional
        Fixes the anchors for ever; None draws new ones at each call.

    Raises
    ------
    PatchError
        For fewer than one sample, or more than there are members.

    Examples
    --------
    >>> from geopatcher import RasterDomain, SpatialRectangular
    >>> SpatialRandom(2, seed=1).anchors(RasterDomain((200, 100)), SpatialRectangular(50))
    [(77, 48), (21, 48)]
    """

    n_samples: int = checked(as_count)
    seed: int | None = checked(as_seed, None)

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the anchors in the order drawn."""
        return geometry.candidates(domain).scattered(self.n_samples, Draws(self.seed))


@dataclass(frozen=True)
class SpatialPoissonDisk(Configured):
    """Random anchors no two of which are closer than `min_dist`, until hardly another fits between.

    `min_dist` is in pixels on rasters; on points in the CRS unit, or in metres along great circles
    on a geographic CRS. Source: Bridson, R. (2007), Fast Poisson disk sampling in arbitrary
    dimensions, SIGGRAPH sketches; with 30 tries around each sample. A set of points is thinned
    out in random order.

    Parameters
    ----------
    min_dist : float
        Least distance of two anchors: pixels, the unit of the CRS, or metres on a geographic one.
    seed : int, optional
        Fixes the anchors for ever; None draws new ones at each call.

    Raises
    ------
    PatchError
        For a distance that is not positive and finite.

    Examples
    --------
    >>> from geopatcher import RasterDomain, SpatialRectangular
    >>> anchors = SpatialPoissonDisk(60, seed=1).anchors(
    ...     RasterDomain((200, 100)), SpatialRectangular(50)
    ... )
    >>> len(anchors), anchors[:2]
    (3, [(77, 48), (146, 1)])
    """

    min_dist: float = checked(as_positive)
    seed: int | None = checked(as_seed, None)

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the anchors in the order found."""
        return geometry.candidates(domain).apart(self.min_dist, Draws(self.seed))


@dataclass(frozen=True)
class SpatialExplicit(Configured):
    """The anchors that are given, in their order; one outside the domain is an error.

    Coupled with time (`SpatioTemporalPatcher`) they are `((row, col), t)` pairs.

    Parameters
    ----------
    anchors_ : sequence
        (row, col), member numbers or (longitude, latitude), as the geometry takes them; places
        among points and shapes may be shapely points, too, in the domain's CRS.

    Raises
    ------
    PatchError
        For no anchors, one outside the domain, or a table, whose CRS would be lost.

    Examples
    --------
    >>> from geopatcher import RasterDomain, SpatialRectangular
    >>> SpatialExplicit([(0, 10), (5, 5)]).anchors(RasterDomain((20, 20)), SpatialRectangular(8))
    [(0, 10), (5, 5)]
    """

    anchors_: Any

    def __post_init__(self) -> None:
        if is_a(self.anchors_, "geopandas.GeoSeries", "geopandas.GeoDataFrame"):
            raise PatchError(
                f"anchors are a sequence, got a {type(self.anchors_).__name__}; give its points in "
                "the CRS of what is cut: list(table.geometry.to_crs(...))"
            )
        if not isinstance(self.anchors_, Iterable):
            raise PatchError(
                f"anchors are a sequence, got {self.anchors_!r}; write [anchor] for one"
            )
        anchors = tuple(plain_anchor(anchor) for anchor in self.anchors_)
        if not anchors:
            raise PatchError("SpatialExplicit needs at least one anchor, got none")
        object.__setattr__(self, "anchors_", anchors)

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the anchors after checking that each lies in the domain."""
        for anchor in self.anchors_:
            geometry.check_anchor(domain, anchor)
        return list(self.anchors_)


Step = tuple[int, int]

_DECIMALS = 9
"""Of degrees (0.1 mm): they hide the last bits, in which sines differ between machines."""


class Sampled(Protocol):
    """A geometry that can be sampled: it knows where its patches may be anchored."""

    def candidates(self, domain: Any) -> Candidates:
        """Return where patches may be anchored on a domain.

        Parameters
        ----------
        domain : domain
            Where patches lie: their anchors.

        Returns
        -------
        PixelCandidates, MemberCandidates or SphereCandidates
            Places to choose anchors from.
        """

    def check_anchor(self, domain: Any, anchor: Any) -> None:
        """Raise `PatchError` for an anchor where no patch can be.

        Parameters
        ----------
        domain : domain
            Where patches lie: their anchors.
        anchor : (row, col), int or (lon, lat)
            Where the patch lies: its anchor.
        """


@dataclass(frozen=True)
class PixelCandidates:
    """Upper left pixels (row, col) of rectangles of one size: up to `last`, at least (0, 0).

    Parameters
    ----------
    size : (rows, cols)
        Of a rectangle, in pixels.
    shape : (rows, cols)
        Of the scene, in pixels.
    boundary : {"drop", "shift", "pad", "shrink"}
        What happens at the scene's edge.
    """

    size: Step
    shape: Step
    boundary: str

    @property
    def last(self) -> Step:
        """The last (row, col) where a rectangle may be anchored."""
        if self.boundary in ("pad", "shrink"):
            return self.shape[0] - 1, self.shape[1] - 1
        return self.shape[0] - self.size[0], self.shape[1] - self.size[1]

    def grid(self, step: Step) -> RegularGrid:
        """Return the regular grid.

        Parameters
        ----------
        step : (rows, cols)
            From one anchor to the next.

        Returns
        -------
        RegularGrid
            Of the rectangles.
        """
        rows, cols = (
            AxisGrid(length, size, every, self.boundary)
            for length, size, every in zip(self.shape, self.size, step, strict=True)
        )
        return RegularGrid(rows, cols)

    def every(self, step: Step) -> list[Step]:
        """Return the regular grid's anchors.

        Parameters
        ----------
        step : (rows, cols)
            From one anchor to the next.

        Returns
        -------
        list
            Anchors, row-major.
        """
        return list(self.grid(step).anchors())

    def jittered(self, step: Step, jitter: float, draws: Draws) -> list[Step]:
        """Return the regular grid's anchors, moved and kept inside the scene.

        Parameters
        ----------
        step : (rows, cols)
            From one anchor to the next.
        jitter : float
            How far an anchor moves at most, as a share of the step.
        draws : Draws
            The random numbers.

        Returns
        -------
        list
            Anchors, row-major.
        """
        base = np.array(self.every(step), np.int64)
        moves = (2 * draws.uniform(base.size).reshape(-1, 2) - 1) * jitter * np.array(step)
        moved = base + np.floor(moves + 0.5).astype(np.int64)
        return _pairs(np.clip(moved, 0, self.last))

    def scattered(self, count: int, draws: Draws) -> list[Step]:
        """Return independent anchors: the first ten of a hundred are those of ten.

        Parameters
        ----------
        count : int
            How many are drawn.
        draws : Draws
            The random numbers.

        Returns
        -------
        list
            Anchors, in the order drawn.
        """
        room = np.array(self.last) + 1
        return _pairs(np.floor(draws.uniform(2 * count).reshape(-1, 2) * room).astype(np.int64))

    def apart(self, min_dist: float, draws: Draws) -> list[Step]:
        """Return Poisson-disk anchors, `min_dist` in pixels.

        Parameters
        ----------
        min_dist : float
            Least distance of two anchors: pixels, the unit of the CRS, or metres on a
            geographic one.
        draws : Draws
            The random numbers.

        Returns
        -------
        list
            Anchors, in the order found.
        """
        row, col = self.last
        return disk_positions(row + 1, col + 1, min_dist, draws)


@dataclass(frozen=True)
class MemberCandidates:
    """The members of a set, by number; `points` says where they are, for distances.

    Parameters
    ----------
    count : int
        How many members there are.
    points : PointDomain or None
        Where they are.
    what : str
        What they are called, for messages.
    """

    count: int
    points: PointDomain | None
    what: str = "points"

    def every(self, step: Step) -> list[int]:
        """Return every step-th member."""
        if step[0] != step[1]:
            raise PatchError(f"a step over {self.what} is one number, got {step}")
        return list(range(0, self.count, step[0]))

    def jittered(self, step: Step, jitter: float, draws: Draws) -> NoReturn:
        """Raise: members of a set cannot be moved."""
        raise PatchError(f"{self.what} cannot be jittered; use SpatialRandom or SpatialPoissonDisk")

    def scattered(self, count: int, draws: Draws) -> list[int]:
        """Return distinct members in random order."""
        if count > self.count:
            raise PatchError(
                f"{count} distinct of {self.count} {self.what} cannot be drawn; give a smaller "
                "n_samples"
            )
        return [int(i) for i in draws.shuffled(self.count)[:count]]

    def apart(self, min_dist: float, draws: Draws) -> list[int]:
        """Return members at least `min_dist` apart, in the unit of the domain's distances."""
        if self.points is None:
            raise PatchError(f"{self.what} have no distances to keep; use SpatialRandom")
        tree = self.points.tree
        apart = chord(min_dist / 1000) if self.points.is_geographic else min_dist
        return thin_out(tree, np.asarray(tree.data), apart, draws)


@dataclass(frozen=True)
class SphereCandidates:
    """(longitude, latitude) in degrees on a geographic grid.

    Parameters
    ----------
    domain : GridDomain
        In degrees.
    """

    domain: GridDomain

    @cached_property
    def _box(self) -> tuple[float, float, float, float]:
        west, south, east, north = self.domain.bounds
        return west, max(south, -90.0), east, min(north, 90.0)

    def every(self, step: Step) -> list[tuple[float, float]]:
        """Return the cells' centres every `step` (rows, cols)."""
        lat, lon = self.domain.y[:: step[0]], self.domain.x[:: step[1]]
        return [(float(x), float(y)) for y in lat for x in lon]

    def jittered(self, step: Step, jitter: float, draws: Draws) -> list[tuple[float, float]]:
        """Return the cells' centres every `step`, moved by up to `jitter` of the spacing."""
        west, south, east, north = self._box
        height, width = (north - south) / self.domain.height, (east - west) / self.domain.width
        reach = np.array([step[1] * width, step[0] * height]) * jitter
        base = np.array(self.every(step))
        moved = base + (2 * draws.uniform(base.size).reshape(-1, 2) - 1) * reach
        return _pairs(np.clip(moved, (west, south), (east, north)).round(_DECIMALS))

    def scattered(self, count: int, draws: Draws) -> list[tuple[float, float]]:
        """Return anchors spread evenly by area, so no denser towards the poles."""
        west, south, east, north = self._box
        u = draws.uniform(2 * count).reshape(-1, 2)
        low, high = np.sin(np.radians([south, north]))
        lat = np.degrees(np.arcsin(low + u[:, 1] * (high - low)))
        return _pairs(np.stack([west + u[:, 0] * (east - west), lat], axis=1).round(_DECIMALS))

    def apart(self, min_dist: float, draws: Draws) -> NoReturn:
        """Raise: Bridson's algorithm is for the plane."""
        raise PatchError(
            "SpatialPoissonDisk needs pixels or points, got a geographic grid with a spherical "
            "geometry; use SpatialRandom, which is even by area"
        )


Candidates = PixelCandidates | MemberCandidates | SphereCandidates
"""Where patches may be anchored."""


def _pairs(array: np.ndarray) -> list[Any]:
    """Return the rows of an array (n, 2) as plain pairs."""
    return list(map(tuple, array.tolist()))


def check_members(anchor: Any, count: int, what: str) -> int:
    """Return an anchor that is a member's number, 0 to count - 1.

    Parameters
    ----------
    anchor : any
        What is to be a number.
    count : int
        How many members there are.
    what : str
        What they are called, for the message.

    Returns
    -------
    int
        The number.

    Examples
    --------
    >>> check_members(np.int64(2), 3, "points")
    2
    """
    if not isinstance(anchor, int | np.integer) or not 0 <= anchor < count:
        raise PatchError(f"an anchor among {count} {what} is 0 to {count - 1}, got {anchor!r}")
    return int(anchor)


def plain_anchor(anchor: Any) -> Any:
    """Return an anchor as plain numbers and tuples, whatever sequence it came as.

    Parameters
    ----------
    anchor : number, array, sequence or shapely.Point
        An anchor.

    Returns
    -------
    number or tuple
        The same, which compares and hashes.

    Examples
    --------
    >>> plain_anchor([np.int64(3), 4]), plain_anchor(shapely.Point(2.5, 1))
    ((3, 4), (2.5, 1.0))
    """
    if isinstance(anchor, shapely.Point):
        return tuple(anchor.coords[0]) if not anchor.is_empty else ()
    if isinstance(anchor, np.generic | np.ndarray):
        return plain_anchor(anchor.tolist())
    if isinstance(anchor, Sequence) and not isinstance(anchor, str):
        return tuple(plain_anchor(item) for item in anchor)
    return anchor
