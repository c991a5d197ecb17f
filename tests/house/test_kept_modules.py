"""Modules of version 0.1.0 that are there still: others import from them, public or not."""

import importlib.util

import pytest

KEPT = {
    "geocatalog": """
        build build.dates build.headers catalog cli duckdb errors expression footprint
        geoslice interval load load.raster load.vector load.xarray parquet parquet_source
        plot stac table
    """,
    "geopatcher": """
        config draw fields fields.raster patch patcher sphere stream
    """,
    "geostack": """
        archiving areas artifact artifact_tar cache cli data errors gbif grid items lesson
        overture read request retry serve serve.app serve.connection serve.launch
        serve.limits serve.pipeline serve.pixels serve.problem serve.sandbox serve.settings
        serve.tiles sources sources.archive sources.choice sources.planetary_computer
        sources.simulated sources.simulation sources.simulation.grid
        sources.simulation.landscape sources.simulation.noise sources.simulation.shapes
        sources.simulation.terrain stac transfer web zarr_http
    """,
    "geotoolz": """
        augment bands carrier catalog_ops cloud colours compositing geom indices io learn
        mask normalize patch_ops radiometry vectors viz warp
    """,
    "pipekit": """
        blocks cache carrier compare config control graph model observe operator parallel
        provenance qc registry retry sequential serialize store yaml_text
    """,
}


@pytest.mark.parametrize("package", KEPT)
def test_modules_of_version_0_1_0_stay_where_they_are(package):
    names = [f"{package}.{name}" for name in KEPT[package].split()]
    assert [name for name in names if importlib.util.find_spec(name) is None] == []
