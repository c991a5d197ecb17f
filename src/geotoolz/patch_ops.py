"""The patcher as operators: sample a grid, apply an operator to each chip, stitch.

The three pass one lazy stream, so a `Sequential` of them holds a few rows of chips at a time,
whatever the scene's height.

>>> import numpy as np
>>> from georeader.geotensor import GeoTensor
>>> from rasterio import Affine
>>> from geopatcher import SpatialHann, SpatialPatcher, SpatialRectangular, SpatialRegularStride
>>> from geotoolz import NDVI, DNToReflectance, Sequential
>>> scene = GeoTensor(
...     np.full((2, 500, 300), 2000, "uint16"), Affine(10, 0, 0, 0, -10, 5000), "EPSG:32632"
... )
>>> patcher = SpatialPatcher(
...     SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
... )
>>> ndvi = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)
>>> tiled = Sequential([GridSampler(patcher), ApplyToChips(ndvi), Stitch()])
>>> tiled(scene).shape
(500, 300)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geopatcher.config import as_choice, as_count
from geopatcher.patch import Patch, PatchError
from geopatcher.patcher import SpatialPatcher
from geopatcher.stream import ON_ERROR, PatchStream, mapped, unread
from pipekit import Operator
from pipekit.config import where_given


class GridSampler(Operator):
    """Field, `GeoTensor` or reader -> its patches under a patcher, as a lazy `PatchStream`.

    Parameters
    ----------
    patcher
        A `SpatialPatcher`, which says where chips lie and how they overlap.

    Raises
    ------
    PatchError
        When `patcher` is none.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride
    >>> patcher = SpatialPatcher(SpatialRectangular(2), SpatialRegularStride(2))
    >>> place = Affine.scale(10, -10)
    >>> scene = GeoTensor(np.arange(16.0).reshape(1, 4, 4), place, 32632, fill_value_default=None)
    >>> [float(patch.data.values.max()) for patch in GridSampler(patcher)(scene)]
    [5.0, 7.0, 13.0, 15.0]
    """

    def __init__(self, patcher: SpatialPatcher) -> None:
        if not isinstance(patcher, SpatialPatcher):
            raise PatchError(f"GridSampler takes a SpatialPatcher, got {patcher!r}")
        self.patcher = patcher

    def _apply(self, field: Any) -> PatchStream:
        return self.patcher.stream(field)


@dataclass(repr=False, eq=False)
class ApplyToChips(Operator):
    """Patches -> patches with `operator(data)` as their data.

    A stream stays a lazy stream; any other patches, in space or in time, give a list of theirs.

    Parameters
    ----------
    operator
        A chip (C, h, w) -> its result; with `batch_size` (N, C, h, w) -> N results.
    workers
        Threads that run chips side by side, each filling its own rows when stitched.
    batch_size
        How many chips of one shape are stacked into a plain array (N, ...) for each call; one
        chip at a time by default. Indices, filters and other functions of one raster get one chip
        after the other whatever it says.
    on_error
        For a chip that the operator fails on: "raise", "skip" (left to the chips that overlap it)
        or "fill" (NaN), both listed in the stream's `skipped` and the stitched raster's
        `attrs["skipped_patches"]`. A list has no room for that, so there it is raised.
    prefetch
        Of a stream: bytes of chips and results that may be held so that reading, the operator and
        the stitch go on at the same time; 0 for one after the other. By default 32 MiB with
        `batch_size`, else 0. Of a list nothing is read.

    Raises
    ------
    PatchError
        When `workers`, `batch_size`, `on_error` or `prefetch` is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride
    >>> patcher = SpatialPatcher(SpatialRectangular(2), SpatialRegularStride(2))
    >>> place = Affine.scale(10, -10)
    >>> scene = GeoTensor(np.arange(16.0).reshape(1, 4, 4), place, 32632, fill_value_default=None)
    >>> negative = GridSampler(patcher) | ApplyToChips(np.negative)
    >>> [float(patch.data.values.min()) for patch in negative(scene)]
    [-5.0, -7.0, -13.0, -15.0]
    >>> [patch.anchor for patch in ApplyToChips(np.negative)(list(patcher.split(scene))[:2])]
    [(0, 0), (0, 2)]
    """

    operator: Callable[[Any], Any]
    workers: int = 1
    batch_size: int | None = None
    on_error: str = "raise"
    prefetch: int | None = None

    def __post_init__(self) -> None:
        as_count(self.workers, "workers")
        if self.prefetch is not None:
            as_count(self.prefetch, "prefetch", least=0)
        if self.batch_size is not None:
            as_count(self.batch_size, "batch_size")
        as_choice(self.on_error, "on_error", ON_ERROR)

    def _apply(self, patches: Iterable[Patch]) -> Sequence[Patch]:
        patches = unread(patches)
        if not isinstance(patches, PatchStream):
            return mapped(self._held(patches), self.operator, self.workers, self.batch_size)
        how: Any = {"batch_size": self.batch_size, "on_error": self.on_error}
        return patches.map(self.operator, workers=self.workers, prefetch=self.prefetch, **how)

    def _config_values(self) -> dict[str, Any]:
        return where_given(super()._config_values(), "prefetch")

    def _held(self, patches: Any) -> list[Any]:
        """Return patches that are no stream, or say what ApplyToChips takes."""
        held = list(patches) if isinstance(patches, Iterable) else [patches]
        if isinstance(patches, np.ndarray) or not all(hasattr(p, "with_data") for p in held):
            raise PatchError(
                "ApplyToChips takes the stream that GridSampler makes, or a list of patches, got "
                f"{type(patches).__name__}; SpatialPatcher.stream(field) makes a stream as well"
            )
        if self.on_error != "raise":
            raise PatchError(
                f"on_error={self.on_error!r} needs a stream, whose `skipped` lists what failed, "
                "and not a list of patches; give SpatialPatcher.stream(field), or on_error='raise'"
            )
        return held


@dataclass(repr=False, eq=False)
class Stitch(Operator):
    """Patches -> one raster (..., H, W) on the scene's grid.

    Parameters
    ----------
    aggregation
        How overlapping chips become one value; by default the patcher's.
    domain
        A `GeoTensor`, a reader, a Field or a domain; by default the scene that was sampled.

    Raises
    ------
    PatchError
        When it is called without `aggregation` and `domain` on patches that are not the stream
        of one patcher.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride
    >>> patcher = SpatialPatcher(SpatialRectangular(2), SpatialRegularStride(2))
    >>> place = Affine.scale(10, -10)
    >>> scene = GeoTensor(np.arange(16.0).reshape(1, 4, 4), place, 32632, fill_value_default=None)
    >>> negative = GridSampler(patcher) | ApplyToChips(np.negative) | Stitch()
    >>> bool((negative(scene).values == -scene.values).all())
    True
    """

    aggregation: Any = None
    domain: Any = None

    def _apply(self, patches: Iterable[Patch]) -> Any:
        aggregation, domain = self.aggregation, self.domain
        if isinstance(patches, PatchStream):
            aggregation = patches.patcher.aggregation if aggregation is None else aggregation
            domain = patches.domain if domain is None else domain
        if aggregation is None or domain is None:
            raise PatchError(
                "Stitch needs aggregation= and domain= when its patches are not the stream of "
                "a GridSampler"
            )
        return aggregation.merge(patches, domain)
