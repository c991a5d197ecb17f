"""Where patches are anchored.

A seed fixes the anchors for ever: they are made from the raw bits of PCG64 with exactly rounded
arithmetic (see `geopatcher.axes.draws`), in every process and on every machine. With
`seed=None` each call draws new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from geopatcher.arguments import as_count, as_pixel_pair, as_positive
from geopatcher.axes.candidates import Sampled, plain_anchor
from geopatcher.axes.draws import Draws, check_seed
from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.axes.grid import RegularGrid
from geopatcher.config import Configured
from geopatcher.domain import Domain
from geopatcher.patch import PatchError


@dataclass(frozen=True)
class SpatialRegularStride(Configured):
    """Anchors every `step` pixels, one number or (rows, cols), in row-major order.

    On points or polygons it is every step-th one, on a sphere every step-th grid cell.

    >>> from geopatcher import RasterDomain
    >>> domain = RasterDomain((2, 3935, 1599))
    >>> len(SpatialRegularStride(192).anchors(domain, SpatialRectangular(256)))
    140
    """

    step: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", as_pixel_pair(self.step, "step"))

    def grid(self, domain: Any, geometry: Any) -> RegularGrid | None:
        """Return the grid of rectangular chips; None for other geometries."""
        if not isinstance(geometry, SpatialRectangular):
            return None
        return geometry.candidates(domain).grid(self.step)

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return every anchor; for rectangles (row, col) of the upper left pixel."""
        return geometry.candidates(domain).every(self.step)


@dataclass(frozen=True)
class SpatialJitteredStride(Configured):
    """A regular grid whose anchors are moved at random, each by up to `jitter` steps.

    With 0.5 every chip moves within its own cell of the grid (stratified sampling); with 0 none
    moves. Chips stay inside the scene. A merge may leave gaps: this sampler is for training.

    >>> from geopatcher import RasterDomain
    >>> sampler = SpatialJitteredStride(50, jitter=0.2, seed=1)
    >>> sampler.anchors(RasterDomain((200, 100)), SpatialRectangular(50))[:3]
    [(0, 9), (0, 50), (46, 0)]
    """

    step: Any
    jitter: float = 0.5
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", as_pixel_pair(self.step, "step"))
        object.__setattr__(self, "seed", check_seed(self.seed))
        if not 0 <= self.jitter <= 1:
            raise PatchError(f"jitter is a share of the step, 0 to 1, got {self.jitter!r}")

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the moved anchors, in the grid's row-major order."""
        return geometry.candidates(domain).jittered(self.step, self.jitter, Draws(self.seed))


@dataclass(frozen=True)
class SpatialRandom(Configured):
    """`n_samples` anchors at random, each place equally likely.

    Pixels may repeat; the first ten of a hundred anchors are those of ten. On points and polygons
    the members are distinct; on a sphere the anchors are even by area.

    >>> from geopatcher import RasterDomain
    >>> SpatialRandom(2, seed=1).anchors(RasterDomain((200, 100)), SpatialRectangular(50))
    [(77, 48), (21, 48)]
    """

    n_samples: int
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_seed(self.seed))
        object.__setattr__(self, "n_samples", as_count(self.n_samples, "n_samples"))

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the anchors in the order drawn."""
        return geometry.candidates(domain).scattered(self.n_samples, Draws(self.seed))


@dataclass(frozen=True)
class SpatialPoissonDisk(Configured):
    """Random anchors no two of which are closer than `min_dist`, nearly as many as fit.

    `min_dist` is in pixels on rasters; on points in the CRS unit, or in metres along great circles
    on a geographic CRS. Source: Bridson, R. (2007), Fast Poisson disk sampling in arbitrary
    dimensions, SIGGRAPH sketches; with 30 tries around each sample. A set of points is thinned
    out in random order.

    >>> from geopatcher import RasterDomain
    >>> anchors = SpatialPoissonDisk(60, seed=1).anchors(
    ...     RasterDomain((200, 100)), SpatialRectangular(50)
    ... )
    >>> len(anchors), anchors[:2]
    (3, [(77, 48), (146, 1)])
    """

    min_dist: float
    seed: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_seed(self.seed))
        as_positive(self.min_dist, "min_dist")

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the anchors in the order found."""
        return geometry.candidates(domain).apart(self.min_dist, Draws(self.seed))


@dataclass(frozen=True)
class SpatialExplicit(Configured):
    """The anchors that are given, in their order; one outside the domain is an error.

    Coupled with time (`SpatioTemporalPatcher`) they are `((row, col), t)` pairs.

    >>> from geopatcher import RasterDomain
    >>> SpatialExplicit([(0, 10), (5, 5)]).anchors(RasterDomain((20, 20)), SpatialRectangular(8))
    [(0, 10), (5, 5)]
    """

    anchors_: Any

    def __post_init__(self) -> None:
        anchors = tuple(plain_anchor(anchor) for anchor in self.anchors_)
        if not anchors:
            raise PatchError("SpatialExplicit needs at least one anchor, got none")
        object.__setattr__(self, "anchors_", anchors)

    def anchors(self, domain: Domain, geometry: Sampled) -> list[Any]:
        """Return the anchors after checking that each lies in the domain."""
        for anchor in self.anchors_:
            geometry.check_anchor(domain, anchor)
        return list(self.anchors_)
