"""How much each pixel of a chip counts when chips overlap.

All windows are strictly positive, so a merge divided by the sum of the weights is exact to
the scene's edge, where one chip stands alone with its smallest weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geopatcher.config import Configured
from geopatcher.spatial.geometry import SpatialRectangular


class SeparableWindow(Configured):
    """A window that is the outer product of one 1-D profile along rows and along columns."""

    def profile(self, size: int) -> np.ndarray:
        """Return the 1-D weights (size,) float64, all positive."""
        raise TypeError(f"{type(self).__name__} must define profile(size)")

    def weights(self, geometry: SpatialRectangular) -> np.ndarray:
        """Return the chip's weights (h, w) float32."""
        rows, cols = geometry.size
        return np.outer(self.profile(rows), self.profile(cols)).astype(np.float32)


@dataclass(frozen=True)
class SpatialBoxcar(SeparableWindow):
    """Every pixel counts the same.

    >>> SpatialBoxcar().weights(SpatialRectangular(2))
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """

    def profile(self, size: int) -> np.ndarray:
        """Return ones (size,)."""
        return np.ones(size)


@dataclass(frozen=True)
class SpatialHann(SeparableWindow):
    """A raised cosine, sampled half a pixel in: sin(pi (i + 1/2) / n) squared.

    The half-sample (periodic, "DFT-even" shifted by a half) form has no zero at its ends, so
    the scene's outermost pixels survive, and chips at a step of half their size sum to 1.
    Source: Harris, F. J. (1978), On the use of windows for harmonic analysis with the
    discrete Fourier transform, Proc. IEEE 66(1).

    >>> SpatialHann().profile(4).round(3)
    array([0.146, 0.854, 0.854, 0.146])
    """

    def profile(self, size: int) -> np.ndarray:
        """Return the weights (size,), symmetric, largest in the middle."""
        return np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
