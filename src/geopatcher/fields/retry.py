"""A Field that reads again when reading fails."""

from __future__ import annotations

from functools import partial
from typing import Any

from geopatcher.arguments import as_count
from geopatcher.fields.raster import as_field
from geopatcher.patch import PatchError
from pipekit.retry import call_again, doubling


class RetryField:
    """A Field, `GeoTensor` or reader whose failing reads are tried again, after growing pauses.

    The pause after attempt i is `base_delay * 2**(i - 1)` seconds. After the last attempt its
    exception is raised, with a note that says how often it was tried; the patcher's `on_error`
    then decides. `on` names the exceptions worth another attempt; rasterio's read errors are
    `OSError`s.

    >>> from georeader.geotensor import GeoTensor
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> scene = GeoTensor(np.zeros((2, 30, 20)), Affine(10, 0, 0, 0, -10, 300), "EPSG:32610")
    >>> RetryField(scene, attempts=5).domain.shape
    (2, 30, 20)
    """

    def __init__(
        self,
        field: Any,
        attempts: int = 3,
        base_delay: float = 0.5,
        on: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        as_count(attempts, "attempts")
        if not base_delay >= 0:
            raise PatchError(f"base_delay must be at least 0 seconds, got {base_delay!r}")
        self.field = as_field(field)
        self.attempts = attempts
        self.base_delay = base_delay
        self.on = on

    def __repr__(self) -> str:
        return f"RetryField({self.field!r}, attempts={self.attempts})"

    @property
    def domain(self) -> Any:
        """The inner Field's domain."""
        return self.field.domain

    def select(self, indices: Any) -> Any:
        """Return the piece at `indices`, reading it up to `attempts` times."""
        pauses = doubling(self.attempts, self.base_delay)
        try:
            return call_again(partial(self.field.select, indices), pauses, self.on)
        except self.on as error:
            error.add_note(f"this was attempt {self.attempts} of {self.attempts} to read it")
            raise

    def with_data(self, array: Any) -> Any:
        """Return the inner Field with other values; what is in memory needs no retries."""
        return self.field.with_data(array)
