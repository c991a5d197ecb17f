"""Noise that is a function of the place: a hash of integer coordinates, never a random stream.

The same ground point gets the same value in every scene, at every resolution and in every window
that contains it, so a DEM, a Landsat scene and a Sentinel-2 scene of one place agree. Only 32-bit
integer arithmetic decides the values, which keeps them the same across numpy versions.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

import numpy as np
from numpy.typing import NDArray

from .grid import F32, Grid

_PRIME_X, _PRIME_Y, _PRIME_SEED = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), 0xC2B2AE3D


def hash2d(ix: NDArray[np.integer], iy: NDArray[np.integer], seed: int) -> NDArray[np.uint32]:
    """Hash pairs of integers to 32 well-mixed bits (the finaliser of MurmurHash3).

    `ix` and `iy` broadcast against each other; negative coordinates are fine.

    Parameters
    ----------
    ix, iy
        Integers that broadcast against each other; negative ones are fine.
    seed
        Another seed is another hash.

    Returns
    -------
    Of the broadcast shape.

    Examples
    --------
    >>> import numpy as np
    >>> hash2d(np.arange(2), np.zeros(2, int), seed=1).tolist()
    [2605812845, 2652692110]
    """
    # Prime multiples are taken per axis, before broadcasting: one full-size pass less each.
    x = ix.astype(np.uint32) * _PRIME_X
    y = iy.astype(np.uint32) * _PRIME_Y + np.uint32(seed * _PRIME_SEED & 0xFFFFFFFF)
    h = x ^ y
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def uniform(ix: NDArray[np.integer], iy: NDArray[np.integer], seed: int) -> F32:
    """Return hashed values in [0, 1) for integer coordinates, float32.

    Parameters
    ----------
    ix, iy
        Integers that broadcast against each other.
    seed
        Another seed is another field.

    Returns
    -------
    Of the broadcast shape.
    """
    return (hash2d(ix, iy, seed) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def white(grid: Grid, seed: int) -> F32:
    """Return near-normal white noise, one value a pixel, mean 0, standard deviation 1, float32.

    The four bytes of a hash are summed (Irwin-Hall, n = 4): exact integer arithmetic, no tails
    beyond 3.5 standard deviations.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    seed
        Another seed is another field.

    Returns
    -------
    (rows, cols) float32.
    """
    # Half a pixel is rounded up, in every window alike: Landsat's edges lie between ours.
    col, row = floor(grid.west / grid.res + 0.5), floor(grid.north / grid.res + 0.5)
    h = hash2d(
        np.arange(col, col + grid.cols)[None, :], np.arange(row, row - grid.rows, -1)[:, None], seed
    )
    total = (h & np.uint32(0xFF00FF)) + ((h >> np.uint32(8)) & np.uint32(0xFF00FF))
    total = (total + (total >> np.uint32(16))) & np.uint32(0xFFFF)
    # Variance of a byte is (256**2 - 1) / 12; four of them: 147.8**2.
    return (total.astype(np.float32) - np.float32(510)) * np.float32(1 / 147.8)


def spline_surface(
    grid: Grid, cell: float, values: Callable[[NDArray[np.int64], NDArray[np.int64]], F32]
) -> F32:
    """Join values by cubic B-splines, (rows, cols) float32.

    `values` gives, for columns and rows of a lattice of `cell` metres, (len(rows), len(cols)).

    Parameters
    ----------
    grid
        The pixels that are drawn.
    cell
        Metres between the points of the lattice.
    values
        Gives, for columns and rows of the lattice, (len(rows), len(cols)) float32.

    Returns
    -------
    (rows, cols) float32.
    """
    first_col, across = _spline_taps(grid.x / cell)
    first_row, down = _spline_taps(grid.y / cell)
    lattice_cols = np.arange(first_col.min(), first_col.max() + 4)
    lattice_rows = np.arange(first_row.min(), first_row.max() + 4)
    lattice = values(lattice_cols, lattice_rows)
    rows, cols = first_row - lattice_rows[0], first_col - lattice_cols[0]
    partial = sum(lattice[rows + k] * weight[:, None] for k, weight in enumerate(down))
    partial = np.asarray(partial, dtype=np.float32)
    out = partial[:, cols] * across[0]
    for k in (1, 2, 3):
        out += partial[:, cols + k] * across[k]
    return out


def _spline_taps(coordinate: NDArray[np.float64]) -> tuple[NDArray[np.int64], list[F32]]:
    """Return the first lattice index and the four cubic B-spline weights at each coordinate."""
    start = np.floor(coordinate).astype(np.int64)
    t = coordinate - start
    u = 1 - t
    weights = [
        u**3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (3 * u**3 - 6 * u**2 + 4) / 6,
        t**3 / 6,
    ]
    return start - 1, [w.astype(np.float32) for w in weights]


def lattice_noise(grid: Grid, cell: float, seed: int) -> F32:
    """Return smooth noise with features of about `cell` metres, about -1 to 1, float32.

    Hashed lattice values are joined by cubic B-splines: unlike bilinear value noise there are no
    creases along the lattice.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    cell
        Metres between the points of the lattice.
    seed
        Another seed is another field.

    Returns
    -------
    (rows, cols) float32.

    Examples
    --------
    >>> from geostack.sources.simulation.grid import Grid
    >>> wide = Grid(32610, 0, 4000, 10, rows=8, cols=8)
    >>> part = Grid(32610, 20, 3970, 10, rows=4, cols=4)
    >>> bool((lattice_noise(wide, 300, 1)[3:7, 2:6] == lattice_noise(part, 300, 1)).all())
    True
    """

    def values(x: NDArray[np.int64], y: NDArray[np.int64]) -> F32:
        return uniform(x[None, :], y[:, None], seed) * np.float32(2) - np.float32(1)

    return spline_surface(grid, cell, values) * np.float32(1.7)


def fractal(grid: Grid, cell: float, seed: int, octaves: int = 4, gain: float = 0.5) -> F32:
    """Return fractional Brownian motion: octaves of `lattice_noise`, about -1 to 1, float32.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    cell
        Metres of the largest features.
    seed
        Another seed is another field.
    octaves
        Each with features of half the size.
    gain
        The amplitude of an octave as a share of the one before.

    Returns
    -------
    (rows, cols) float32.
    """
    out = np.zeros(grid.shape, np.float32)
    amplitude, norm = 1.0, 0.0
    for octave in range(octaves):
        out += np.float32(amplitude) * lattice_noise(grid, cell / 2**octave, seed + 101 * octave)
        norm += amplitude**2
        amplitude *= gain
    out *= np.float32(1 / norm**0.5)
    return out


def ridged(grid: Grid, cell: float, seed: int, octaves: int = 5, gain: float = 0.55) -> F32:
    """Return ridged multifractal noise, 0 (valleys) to about 1 (sharp crests), float32.

    After F. K. Musgrave in Ebert et al., "Texturing and Modeling", 2003, chapter 16: each octave
    is weighted by the one before it, so that crests carry detail and valley floors stay smooth.

    Parameters
    ----------
    grid
        The pixels that are drawn.
    cell
        Metres of the largest features.
    seed
        Another seed is another field.
    octaves
        Each with features of half the size.
    gain
        The amplitude of an octave as a share of the one before.

    Returns
    -------
    (rows, cols) float32.
    """
    out = np.zeros(grid.shape, np.float32)
    weight = np.ones(grid.shape, np.float32)
    amplitude, norm = 1.0, 0.0
    for octave in range(octaves):
        signal = lattice_noise(grid, cell / 2**octave, seed + 131 * octave)
        # Rounded by 0.12: knife-edged crests would show the closed curves where noise is zero.
        crest = np.sqrt(signal * signal + np.float32(0.0144)) * np.float32(1.6)
        signal = np.square(1 - np.minimum(crest, 1))
        signal *= weight
        out += np.float32(amplitude) * signal
        weight = np.clip(signal * np.float32(2), 0, 1)
        norm += amplitude
        amplitude *= gain
    out *= np.float32(1.35 / norm)
    return out
