"""How much each pixel of a patch counts where patches overlap.

All windows that have a profile are strictly positive, so a merge divided by the sum of the weights
is exact to the scene's edge, where one chip stands alone with its smallest weights. Where a
function gives 0, a pixel does not count; nor does it in the margin of a `SpatialTrim`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

import numpy as np

from geopatcher.axes.axis import Separable
from geopatcher.axes.geometry import SpatialRectangular
from geopatcher.config import Configured, as_count, as_positive, checked, share_of
from geopatcher.patch import PatchError

_LEAST = 1e-12
"""The smallest weight of a profile: squared it is still far above float32's smallest number."""

_RIM = 0.999
"""Where, on a taper from 0 to 1, the farthest member lies: it must not vanish."""


class SeparableWindow(Configured, Separable):
    """A window that is the outer product of one 1-D profile along rows and along columns."""

    def weights(self, geometry: SpatialRectangular) -> np.ndarray:
        """Return the chip's weights (h, w) float32.

        Other geometries have no fixed shape: each of their patches carries its own weights.

        Parameters
        ----------
        geometry : SpatialRectangular
            Whose chips are weighed.

        Returns
        -------
        numpy.ndarray
            (h, w) float32, all positive.
        """
        rows, cols = _size(geometry)
        return np.outer(self.profile(rows), self.profile(cols)).astype(np.float32)


@dataclass(frozen=True)
class SpatialBoxcar(SeparableWindow):
    """Every pixel counts the same.

    Examples
    --------
    >>> SpatialBoxcar().weights(SpatialRectangular(2))
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """

    def profile(self, size: int) -> np.ndarray:
        """Return ones (size,)."""
        return np.ones(size)

    def taper(self, distance: np.ndarray, reach: float) -> np.ndarray:
        """Return ones (n,)."""
        return np.ones(len(distance))


@dataclass(frozen=True)
class SpatialHann(SeparableWindow):
    """A raised cosine, sampled half a pixel in: sin(pi (i + 1/2) / n) squared.

    The half-sample (periodic, "DFT-even" shifted by a half) form has no zero at its ends, so
    the scene's outermost pixels survive, and chips at a step of half their size sum to 1.
    Source: Harris, F. J. (1978), On the use of windows for harmonic analysis with the
    discrete Fourier transform, Proc. IEEE 66(1).

    Examples
    --------
    >>> SpatialHann().profile(4).round(3)
    array([0.146, 0.854, 0.854, 0.146])
    """

    def profile(self, size: int) -> np.ndarray:
        """Return the weights (size,), symmetric, largest in the middle."""
        return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2

    def taper(self, distance: np.ndarray, reach: float) -> np.ndarray:
        """Return the weights (n,): 1 at the anchor, falling as a cosine to nearly 0."""
        return np.cos(np.pi / 2 * _share(distance, reach)) ** 2


@dataclass(frozen=True)
class SpatialTukey(SeparableWindow):
    """Flat in the middle, cosine at the sides: `alpha` is the share of the chip that is tapered.

    0 is `SpatialBoxcar`, 1 is `SpatialHann`; sampled half a pixel in, so never zero.
    Source: Harris (1978), as for `SpatialHann`.

    Parameters
    ----------
    alpha : float
        Share of the chip that is tapered, 0 to 1.

    Raises
    ------
    PatchError
        For an alpha outside 0 to 1.

    Examples
    --------
    >>> SpatialTukey(0.5).profile(8).round(3)
    array([0.146, 0.854, 1.   , 1.   , 1.   , 1.   , 0.854, 0.146])
    """

    alpha: float = checked(share_of("the chip"), 0.5)

    def profile(self, size: int) -> np.ndarray:
        """Return the weights (size,), symmetric, 1 in the middle."""
        place = (np.arange(size) + 0.5) / size
        return tukey(np.minimum(place, 1 - place) * 2, self.alpha)

    def taper(self, distance: np.ndarray, reach: float) -> np.ndarray:
        """Return the weights (n,): 1 near the anchor, falling over the last share alpha."""
        return tukey(1 - _share(distance, reach), self.alpha)


def tukey(depth: np.ndarray, alpha: float) -> np.ndarray:
    """Return Tukey's weights (n,) by depth (n,): 0 at the edge, 1 in the middle.

    Parameters
    ----------
    depth : numpy.ndarray
        (n,), 0 to 1.
    alpha : float
        Share that is tapered, 0 to 1.

    Returns
    -------
    numpy.ndarray
        (n,) float64.

    Examples
    --------
    >>> tukey(np.array([0.25, 0.5, 1]), alpha=0.5).round(3)
    array([0.5, 1. , 1. ])
    """
    if alpha == 0:
        return np.ones(len(depth))
    return np.sin(np.pi / 2 * np.minimum(depth / alpha, 1)) ** 2


@dataclass(frozen=True)
class SpatialGaussian(SeparableWindow):
    """A bell curve, as wide as `sigma` says in pixels, or `share` in half-widths of the chip.

    Kept above 1e-12, so that chips much wider than the bell still cover their edge.

    Parameters
    ----------
    sigma : float, optional
        Standard deviation in pixels, in the geometry's unit on points; at least 1, since smaller
        numbers are shares in other libraries.
    share : float, optional
        Standard deviation as a share of the chip's half-width, of the reach on points: with 0.3
        the middle of an edge has 4e-3 of the middle's weight, whatever the chip's size.

    Raises
    ------
    PatchError
        For none or both of them, a sigma below 1, or what is not positive and finite.

    Examples
    --------
    >>> SpatialGaussian(sigma=1).profile(4).round(3)
    array([0.325, 0.882, 0.882, 0.325])
    >>> SpatialGaussian(share=0.5).profile(4).round(3)
    array([0.325, 0.882, 0.882, 0.325])
    """

    sigma: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if (self.sigma is None) == (self.share is None):
            raise PatchError(
                f"SpatialGaussian takes sigma= or share=, got sigma={self.sigma}, "
                f"share={self.share}"
            )
        if self.share is not None:
            as_positive(self.share, "share")
        elif as_positive(self.sigma, "sigma") < 1:
            raise PatchError(
                f"sigma={self.sigma} may mean {self.sigma} pixels, a bell that leaves one pixel of "
                "a chip, or, as in other libraries, a share of the chip's half-width; for the "
                f"share write SpatialGaussian(share={self.sigma}), for pixels a sigma of at least 1"
            )

    def profile(self, size: int) -> np.ndarray:
        """Return the weights (size,), symmetric, largest in the middle."""
        return self._bell(np.arange(size) - (size - 1) / 2, size / 2)

    def taper(self, distance: np.ndarray, reach: float) -> np.ndarray:
        """Return the weights (n,): 1 at the anchor, falling with the distance."""
        return self._bell(np.asarray(distance), reach if reach > 0 else 1.0)

    def _bell(self, distance: np.ndarray, half: float) -> np.ndarray:
        sigma = (self.sigma or 0.0) if self.share is None else self.share * half
        return np.maximum(np.exp(-0.5 * (distance / sigma) ** 2), _LEAST)


class ForRectangles(Configured):
    """A window that says nothing about distances: it weighs rectangular chips only."""

    def taper(self, distance: np.ndarray, reach: float) -> NoReturn:
        """Raise, since other geometries weigh their members by distance."""
        raise PatchError(
            f"{type(self).__name__} weighs rectangular chips; use SpatialHann, SpatialTukey or "
            "SpatialGaussian with other geometries"
        )


@dataclass(frozen=True)
class SpatialCustom(ForRectangles):
    """Any weights: `fn((rows, cols))` or `fn(geometry)` returns them as (rows, cols).

    What the function gets is both: the pair (rows, cols), and the geometry by its attributes, such
    as `.size`. A pixel of weight 0 does not count; where all chips give 0 the result has no data.

    Not separable, so a merge sums its weights beside the values. A function has no config: such
    a patcher runs, prints and pickles (when the function does), but is not written to a file.

    Parameters
    ----------
    fn : callable
        Takes (rows, cols) or the geometry, returns weights (rows, cols), finite, at least 0.

    Raises
    ------
    PatchError
        For what cannot be called, weights of another shape, negative ones, or none above 0.

    Examples
    --------
    >>> window = SpatialCustom(lambda shape: np.full(shape, 2.0))
    >>> window.weights(SpatialRectangular(2)).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    >>> hann = SpatialCustom(lambda geometry: SpatialHann().weights(geometry) * geometry.size[0])
    >>> hann.weights(SpatialRectangular(2)).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    fn: Callable[[tuple[int, int]], Any]

    forbid_in_yaml: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise PatchError(f"SpatialCustom takes a function of (rows, cols), got {self.fn!r}")

    def weights(self, geometry: SpatialRectangular) -> np.ndarray:
        """Return the chip's weights (h, w) float32; checked to be finite and at least 0.

        Parameters
        ----------
        geometry : SpatialRectangular
            Whose chips are weighed.

        Returns
        -------
        numpy.ndarray
            (h, w) float32.
        """
        shape = _size(geometry)
        weights = np.asarray(self.fn(_SizeAndGeometry.of(geometry)), np.float32)
        if weights.shape != shape:
            raise PatchError(
                f"a window for chips of {shape} must have that shape, got {weights.shape}"
            )
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise PatchError(
                "weights must be positive and finite, or 0 where a pixel does not count, got "
                f"{weights.min()} to {weights.max()}; np.maximum(weights, 1e-6) keeps edges from "
                "being lost"
            )
        return weights


class _SizeAndGeometry(tuple[int, int]):
    """(rows, cols) of a geometry, with the geometry's attributes."""

    geometry: Any

    @classmethod
    def of(cls, geometry: Any) -> _SizeAndGeometry:
        made = cls(geometry.size)
        made.geometry = geometry
        return made

    def __getattr__(self, name: str) -> Any:
        if name == "geometry":
            raise AttributeError(name)
        return getattr(self.geometry, name)


@dataclass(frozen=True)
class SpatialTrim(ForRectangles):
    """Another window within a margin that is dropped, since there a model sees a cut neighbourhood.

    The margin stops at the scene's edge, where no other chip would tell what it drops. With chips
    of `size` every `size - 2 * margin` pixels what is left covers the scene; where it does not,
    the merge warns of pixels without a chip.

    Parameters
    ----------
    margin : int
        Pixels dropped along each side of a chip.
    window : Window
        Weighs what is left; default `SpatialBoxcar()`.

    Raises
    ------
    PatchError
        For a margin below 1, one that leaves nothing of a chip, or a window that is not separable.

    Examples
    --------
    >>> SpatialTrim(1).weights(SpatialRectangular(4))
    array([[0., 0., 0., 0.],
           [0., 1., 1., 0.],
           [0., 1., 1., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    """

    margin: int = checked(as_count)
    window: Any = field(default_factory=SpatialBoxcar)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.window, Separable):
            raise PatchError(
                f"SpatialTrim weighs what is left by a separable window such as SpatialHann(), "
                f"got {self.window!r}"
            )

    def weights(self, geometry: SpatialRectangular) -> np.ndarray:
        """Return the weights (h, w) float32 of a chip that touches no edge of the scene.

        Parameters
        ----------
        geometry : SpatialRectangular
            Whose chips are weighed.

        Returns
        -------
        numpy.ndarray
            (h, w) float32, 0 in the margin.
        """
        spans = [(size, self.margin, size - self.margin) for size in _size(geometry)]
        return self._outer(spans)

    def weights_at(self, geometry: Any, chip: Any, domain: Any) -> np.ndarray:
        """Return the weights (h, w) float32 of a chip, whose margin stops at the scene's edge.

        Parameters
        ----------
        geometry : SpatialRectangular
            Whose chips are weighed.
        chip : rasterio.windows.Window
            On the scene.
        domain : RasterDomain
            The scene.

        Returns
        -------
        numpy.ndarray
            (h, w) float32, 0 in the margin.
        """
        if 2 * self.margin >= min(_size(geometry)):
            raise PatchError(
                f"a margin of {self.margin} leaves nothing of chips of {geometry.size} pixels; "
                f"margin must be below {(min(geometry.size) + 1) // 2}"
            )
        rows = kept_span(chip.row_off, chip.height, domain.height, self.margin)
        cols = kept_span(chip.col_off, chip.width, domain.width, self.margin)
        return self._outer([(chip.height, *rows), (chip.width, *cols)])

    def _outer(self, spans: list[tuple[int, int, int]]) -> np.ndarray:
        """Return weights from (size, first, stop) of what is left along rows and columns."""
        profiles = []
        for size, first, stop in spans:
            profile = np.zeros(size)
            if stop > first:
                profile[first:stop] = self.window.profile(stop - first)
            profiles.append(profile)
        return np.outer(*profiles).astype(np.float32)


def kept_span(start: int, size: int, length: int, margin: int) -> tuple[int, int]:
    """Return (first, stop), within a chip, of what a margin leaves along one axis.

    Parameters
    ----------
    start : int
        The chip's first pixel on the axis.
    size : int
        The chip's pixels.
    length : int
        The scene's pixels, at whose ends the margin stops.
    margin : int
        In pixels.

    Returns
    -------
    (int, int)
        In the chip's own pixels; equal where nothing is left.

    Examples
    --------
    >>> kept_span(0, 16, 100, 4), kept_span(8, 16, 100, 4), kept_span(84, 16, 100, 4)
    ((0, 12), (4, 12), (4, 16))
    """
    first = margin if start > 0 else 0
    stop = size - margin if start + size < length else size
    return min(first, size), max(first, stop)


def _size(geometry: Any) -> tuple[int, int]:
    if not isinstance(geometry, SpatialRectangular | _SizeAndGeometry):
        raise PatchError(
            f"a window's weights (h, w) need a SpatialRectangular, got {type(geometry).__name__}, "
            "whose patches carry weights of their own: patch.weights"
        )
    return tuple(geometry.size)


def _share(distance: Any, reach: float) -> np.ndarray:
    """Return distances as shares of the reach, kept below 1; 0 where all members coincide."""
    distance = np.asarray(distance, np.float64)
    if reach <= 0:
        return np.zeros(len(distance))
    return np.minimum(distance / reach, 1) * _RIM
