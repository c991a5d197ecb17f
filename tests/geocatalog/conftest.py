"""Catalogs on all backends."""

import numpy as np
import pytest
from footprints import frame

from geocatalog import InMemoryGeoCatalog, open_catalog, to_geoparquet

BACKENDS = ("memory", "duckdb", "folder")


@pytest.fixture(params=BACKENDS)
def as_backend(request, tmp_path_factory):
    """Return a function: in-memory catalog -> the same rows in the backend under test."""
    if request.param == "memory":
        return lambda catalog: catalog

    def through_file(catalog):
        folder = tmp_path_factory.mktemp("catalog")
        if request.param == "duckdb":
            folder = folder / "catalog.parquet"
        partition = "day" if request.param == "folder" else None
        return open_catalog(to_geoparquet(catalog, folder, row_group_size=16, partition=partition))

    return through_file


@pytest.fixture
def four_scenes():
    """Four touching 100 m tiles in a row, one a month from June 2024, clouds 5, 40, 80, missing."""
    bounds = [(100 * i, 0, 100 * (i + 1), 100) for i in range(4)]
    days = ["2024-06-01", "2024-07-01", "2024-08-01", "2024-09-01"]
    clouds = [5.0, 40.0, 80.0, np.nan]
    return InMemoryGeoCatalog(
        frame(bounds, days, cloud_cover=clouds, platform=["a", "b", "a", "b"])
    )
