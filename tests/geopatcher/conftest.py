"""Scenes and patchers for the tests of geopatcher."""

from typing import Any

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geopatcher import (
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)


@pytest.fixture(scope="session")
def scene_of():
    """Return a maker of georeferenced scenes with values that differ everywhere."""

    def make(shape: tuple[int, ...], dtype: Any = "float32", seed: int = 0) -> GeoTensor:
        values = np.random.default_rng(seed).uniform(1, 200, shape).astype(dtype)
        transform = Affine(10, 0, 500_000, 0, -10, 4_100_000)
        return GeoTensor(values, transform, "EPSG:32610", fill_value_default=0)

    return make


@pytest.fixture(scope="session")
def patcher_of():
    """Return a maker of rectangular patchers: Hann and overlap-add unless told otherwise."""

    def make(
        size: Any,
        step: Any,
        boundary: str = "shift",
        window: Any = None,
        aggregation: Any = None,
        **options: Any,
    ) -> SpatialPatcher:
        return SpatialPatcher(
            SpatialRectangular(size, boundary=boundary),
            SpatialRegularStride(step),
            SpatialHann() if window is None else window,
            SpatialOverlapAdd() if aggregation is None else aggregation,
            **options,
        )

    return make
