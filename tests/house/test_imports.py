"""What `import` costs is what it loads: heavy modules wait until they are used."""

import subprocess
import sys

import pytest

HEAVY = {
    "IPython",
    "PIL",
    "cloudpickle",
    "cyclopts",
    "dask",
    "distributed",
    "duckdb",
    "equinox",
    "exactextract",
    "fastapi",
    "fsspec",
    "geopandas",
    "google_crc32c",
    "grain",
    "h5netcdf",
    "h5py",
    "httpx",
    "jax",
    "litserve",
    "matplotlib",
    "numba",
    "numcodecs",
    "odc",
    "pandas",
    "planetary_computer",
    "platformdirs",
    "prefect",
    "pyarrow",
    "pyogrio",
    "pyproj",
    "pystac",
    "pystac_client",
    "requests",
    "rich",
    "rio_tiler",
    "rioxarray",
    "scipy",
    "sklearn",
    "spyndex",
    "starlette",
    "tenacity",
    "torch",
    "tqdm",
    "urllib3",
    "uvicorn",
    "xarray",
    "xvec",
    "yaml",
    "zarr",
}


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def unavoidable() -> set[str]:
    """What the carrier itself brings: a GeoTensor cannot be had without it."""
    return loaded_by("import georeader.geotensor")


@pytest.mark.parametrize(
    "statement",
    [
        "import pipekit",
        "import geopatcher",
        "import geocatalog",
        "import geotoolz",
        "import geostack",
        "from geostack import load_s2_chip, LAKE_TAHOE_BBOX",
        "from geotoolz import NDVI, Sequential, DNToReflectance",
    ],
)
def test_nothing_heavy_is_loaded(statement, unavoidable):
    assert not (loaded_by(statement) & HEAVY) - unavoidable


OURS = {"pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack"}


@pytest.mark.parametrize("package", sorted(OURS - {"pipekit"}))
def test_a_package_loads_nothing_beyond_the_carrier(package, unavoidable):
    """Whatever its name: no list can be forgotten to be kept up."""
    beyond = loaded_by(f"import {package}") - unavoidable - OURS
    assert {name for name in beyond if name not in sys.stdlib_module_names} == set()


def test_pipekit_needs_numpy_only():
    beyond = loaded_by("import pipekit") - loaded_by("import numpy") - {"pipekit"}
    assert {name for name in beyond if name not in sys.stdlib_module_names} == set()


def test_the_list_names_modules_that_exist():
    assert {"geopandas", "xarray"} <= loaded_by("import geopandas, xarray") & HEAVY
