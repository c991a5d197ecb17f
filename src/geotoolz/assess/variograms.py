"""How far neighbours resemble each other: the variogram, and where it levels off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geopatcher.axes.draws import Draws, as_seed
from geotoolz.assess.designs import without_replacement
from geotoolz.assess.places import boxes_of
from pipekit.operator import checked_count

Floats = NDArray[np.float64]
"""One number a class of distances."""


@dataclass(frozen=True)
class Variogram:
    """Half the mean squared difference of pairs by their distance, and a spherical model of it.

    Parameters
    ----------
    distance
        (L,) mean distance of the pairs of each class of distances.
    semivariance
        (L,) in the squared unit of the values.
    pairs
        (L,) how many there are.
    nugget, sill
        Of the model: at distance 0 and beyond `range`.
    range
        Distance from which on pairs are no more alike than any two samples, in the unit of the
        places: what a block or a buffer has to be at least.

    Examples
    --------
    >>> variogram(np.arange(8.0).reshape(4, 2), [1, 2, 3, 4], lags=2, max_distance=6).pairs.tolist()
    [3, 2]
    """

    distance: Floats
    semivariance: Floats
    pairs: NDArray[np.int64]
    nugget: float
    sill: float
    range: float

    def model(self, distance: ArrayLike) -> Floats:
        """Return the spherical model's semivariance.

        Parameters
        ----------
        distance
            Any shape, in the unit of the places.

        Returns
        -------
        Of that shape.

        Examples
        --------
        >>> one = np.ones(1)
        >>> Variogram(one, one, one, nugget=1, sill=3, range=10).model([0, 10, 20]).tolist()
        [1.0, 3.0, 3.0]
        """
        return _spherical(np.asarray(distance, np.float64), self.nugget, self.sill, self.range)


def _spherical(h: Floats, nugget: float, sill: float, reach: float) -> Floats:
    near = np.minimum(h / reach, 1)
    return nugget + (sill - nugget) * (1.5 * near - 0.5 * near**3)


def variogram(
    places: Any,
    values: ArrayLike,
    *,
    lags: int = 15,
    max_distance: float | None = None,
    most: int = 2000,
    seed: int | None = 0,
) -> Variogram:
    """Return the variogram of values at places, with a spherical model (Matheron, 1963).

    Parameters
    ----------
    places
        (N, 2) coordinates, a GeoSeries or GeoDataFrame, or chips, whose centres count.
    values
        (N,) numbers, or True and False.
    lags
        Classes of distances.
    max_distance
        Pairs farther apart are not looked at; by default half of the longer side of the area.
    most
        So many samples are drawn where there are more; pairs grow with its square.
    seed
        Fixes the draw for ever; None draws anew each time.

    Returns
    -------
    A `Variogram`. Where values go on drifting apart its `range` is `max_distance`: there is no
    distance, within those looked at, from which on samples are independent.

    Raises
    ------
    ValueError
        For values that are not as many as places or do not differ, or no pair within
        `max_distance`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> places = rng.uniform(0, 1000, (1500, 2))
    >>> stripes = np.floor(places[:, 0] / 100) % 2
    >>> bool(40 < variogram(places, stripes, max_distance=150).range < 150)
    True
    """
    from scipy.optimize import least_squares
    from scipy.spatial.distance import pdist

    boxes = boxes_of(places)
    numbers = np.ma.filled(np.ma.asarray(values, np.float64), np.nan)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    if numbers.shape != (len(centres),):
        raise ValueError(
            f"values must be one for each of {len(centres)} places, got {numbers.shape}"
        )
    if len(centres) > checked_count(most, "most"):
        chosen = without_replacement(Draws(as_seed(seed)), len(centres), most)
        centres, numbers = centres[chosen], numbers[chosen]
    if not np.var(numbers) > 0:
        raise ValueError("values must differ and be finite, or nothing is more alike than the rest")
    reach = float(np.ptp(centres, axis=0).max()) / 2 if max_distance is None else max_distance
    apart = pdist(centres)
    if not 0 < reach < np.inf or not (apart <= reach).any():
        raise ValueError(
            f"max_distance must be a distance above 0 within which pairs lie, got {max_distance}; "
            f"the places lie {apart.min():g} to {apart.max():g} apart"
        )
    half = pdist(numbers[:, None], "sqeuclidean") / 2
    edges = np.linspace(0, reach, checked_count(lags, "lags") + 1)
    counts = np.histogram(apart, edges)[0]
    held = counts > 0
    distance = np.histogram(apart, edges, weights=apart)[0][held] / counts[held]
    semivariance = np.histogram(apart, edges, weights=half)[0][held] / counts[held]
    top = float(max(semivariance.max(), np.var(numbers)))
    weight = np.sqrt(counts[held])

    def away(parameters: Floats) -> Floats:
        nugget, rise, scale = parameters
        return weight * (_spherical(distance, nugget, nugget + rise, scale) - semivariance)

    found = least_squares(
        away,
        x0=(semivariance.min() / 2, top / 2, reach / 3),
        bounds=([0, 0, reach / (10 * lags)], [top, 2 * top, reach]),
        x_scale=(top, top, reach),
    )
    nugget, rise, scale = (float(each) for each in found.x)
    return Variogram(distance, semivariance, counts[held], nugget, nugget + rise, scale)
