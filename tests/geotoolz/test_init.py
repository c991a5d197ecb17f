import subprocess
import sys

import pytest

import geotoolz as gz


@pytest.mark.parametrize("name", gz.__all__)
def test_every_public_name_loads(name):
    assert getattr(gz, name) is not None
    assert name in dir(gz)


def test_modules_are_attributes_without_importing_them_first():
    code = "import geotoolz; print(geotoolz.indices.ndvi.__name__, geotoolz.io.write_cog.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["ndvi", "write_cog"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'NVDI'"):
        _ = gz.NVDI


def test_importing_and_making_operators_loads_no_heavy_library():
    code = (
        "import geotoolz as gz, sys\n"
        "gz.DNToReflectance() | gz.NDVI() | gz.ApplyMask(gz.MaskFromSCL())\n"
        "gz.Resample(20.0), gz.WriteCOG('a.tif'), gz.SklearnOp, gz.Compose([gz.SimulatedClouds()])\n"
        "heavy = {'scipy', 'xarray', 'geopandas', 'pandas', 'sklearn', 'matplotlib', 'spyndex'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
