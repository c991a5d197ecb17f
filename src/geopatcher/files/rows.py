"""Rows of a raster on disk: what the raster will be, and where its finished rows go."""

from __future__ import annotations

import json
import math
import os
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geopatcher.domain import RasterDomain


@dataclass(frozen=True)
class RasterSpec:
    """What a raster will be: `lead` axes before the domain's (H, W), dtype, fill value, attrs.

    Parameters
    ----------
    lead : tuple of int
        Axes before the domain's (H, W).
    dtype : numpy.dtype
        Type of its values.
    domain : RasterDomain
        Its grid.
    fill : number
        Value of pixels without data.
    attrs : dict
        Its attributes.

    Examples
    --------
    >>> spec = RasterSpec((2,), np.dtype("float32"), RasterDomain((30, 20)), np.nan)
    >>> spec.shape
    (2, 30, 20)
    """

    lead: tuple[int, ...]
    dtype: np.dtype
    domain: RasterDomain
    fill: Any
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """(*lead, H, W)."""
        return (*self.lead, self.domain.height, self.domain.width)

    def with_skipped(self, skipped: dict[Any, str]) -> RasterSpec:
        """Return the spec with the patches that failed listed in its attributes.

        Parameters
        ----------
        skipped : dict
            What went wrong with the patches that failed, by anchor.

        Returns
        -------
        RasterSpec
            With "skipped_patches" where some failed.
        """
        if not skipped:
            return self
        listed = {str(anchor): why for anchor, why in skipped.items()}
        return replace(self, attrs={**self.attrs, "skipped_patches": listed})


def plain_attrs(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that JSON can hold.

    Parameters
    ----------
    attrs : dict
        Attributes by name.

    Returns
    -------
    dict
        Those that are kept.

    Examples
    --------
    >>> plain_attrs({"source": "simulated", "window": object()})
    {'source': 'simulated'}
    """
    kept = {}
    for name, value in attrs.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            continue
        kept[str(name)] = value
    return kept


@dataclass(frozen=True)
class RawRows:
    """Rows of a raster in one plain file, band after band, native byte order.

    Space for all of it is taken at once, so that a full disk shows before the work is done.

    Parameters
    ----------
    path : Path
        Of the plain file.
    shape : tuple of int
        (..., H, W).
    dtype : numpy.dtype
        Type of the values.
    align : int
        Blocks may begin at any row.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    align: int = 1

    def create(self, keep: bool = False) -> None:
        """Make the file at its full size; with `keep`, one of that size is left as it is.

        Parameters
        ----------
        keep : bool
            Whether rows of an earlier run stay.
        """
        size = math.prod(self.shape) * self.dtype.itemsize
        if keep and self.path.exists() and self.path.stat().st_size == size:
            return
        with self.path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)

    def begin(self) -> RawRows:
        """Return these rows: a plain file takes any piece.

        Returns
        -------
        RawRows
            With a method `write(row, values)`.
        """
        return self

    def write(self, row: int, values: np.ndarray) -> None:
        """Keep the rows (..., n, W) from `row` on.

        Parameters
        ----------
        row : int
            The first row.
        values : numpy.ndarray
            (..., n, W).
        """
        height, width = self.shape[-2:]
        bands = np.ascontiguousarray(values, self.dtype).reshape(-1, values.shape[-2], width)
        with self.path.open("r+b") as file:
            for band, block in enumerate(bands):
                file.seek((band * height + row) * width * self.dtype.itemsize)
                file.write(block.data)

    def end(self) -> None:
        """Do nothing: rows are in the file as soon as they are written."""

    def read(self, row: int, rows: int) -> np.ndarray:
        """Return rows (..., rows, W) from `row` on.

        Parameters
        ----------
        row : int
            The first row.
        rows : int
            How many rows.

        Returns
        -------
        numpy.ndarray
            (..., rows, W).
        """
        kept = np.memmap(self.path, self.dtype, "r", shape=self.shape)
        return np.array(kept[..., row : row + rows, :])


@dataclass(frozen=True)
class Unfinished:
    """A file to be: until it is whole, what is written lies beside it under hidden names.

    Parameters
    ----------
    path : Path
        Of the finished file.
    spec : RasterSpec
        What it will hold.
    chunks : int or (rows, cols), optional
        Its tiles in pixels.
    token : str
        Part of the hidden names.
    """

    path: Path
    spec: RasterSpec
    chunks: Any
    token: str

    def hidden(self, suffix: str) -> Path:
        """Return the hidden path that ends in a suffix.

        Parameters
        ----------
        suffix : str
            What tells it from other hidden paths.

        Returns
        -------
        Path
            Beside the finished file.
        """
        return self.path.with_name(f".{self.path.name}.{self.token}{suffix}")


def checksum(values: np.ndarray, begun: int = 0) -> int:
    """Return the CRC-32 of rows (..., n, W), going on from that of the rows above them.

    Row by row, each with all its bands: so it does not matter in which pieces rows come.

    Parameters
    ----------
    values : numpy.ndarray
        (..., n, W).
    begun : int
        The checksum of the rows above.

    Returns
    -------
    int
        CRC-32.

    Examples
    --------
    >>> rows = np.arange(12, dtype="uint8").reshape(2, 3, 2)
    >>> checksum(rows[:, 1:], checksum(rows[:, :1])) == checksum(rows)
    True
    """
    by_rows = np.ascontiguousarray(np.moveaxis(values, -2, 0))
    return zlib.crc32(by_rows.reshape(-1).view(np.uint8).data, begun)
