"""The package's face: light, complete, helpful."""

import subprocess
import sys

import pytest

import geostack
from geostack import data

HEAVY = (
    "dask", "duckdb", "geopandas", "matplotlib", "pandas", "planetary_computer", "pystac",
    "pystac_client", "rasterio", "requests", "rioxarray", "scipy", "sklearn", "torch", "xarray",
    "zarr",
)  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_import_loads_nothing_heavy():
    assert loaded_by("import geostack").isdisjoint(HEAVY)


def test_the_loaders_bring_only_what_reading_pixels_needs():
    heavy = set(HEAVY) - {"rasterio", "scipy"}
    assert loaded_by("import geostack; geostack.load_s2_chip").isdisjoint(heavy)


def test_public_names_exist_and_are_the_same_in_data():
    for name in geostack.__all__:
        assert getattr(geostack, name) is not None
        assert name in dir(geostack)
    for name in data.__all__:
        assert getattr(data, name) == getattr(geostack, name)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'load_moon'"):
        _ = geostack.load_moon


def test_errors_are_also_builtins():
    assert issubclass(geostack.SourceUnavailableError, ConnectionError)
    assert issubclass(geostack.NoSceneError, LookupError)
    assert issubclass(geostack.PixelReadError, OSError)
    assert issubclass(geostack.OutsideTileError, ValueError)
