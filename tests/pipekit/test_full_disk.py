"""Whatever writes a file says the same of a disk that is full, and leaves nothing behind."""

import subprocess
import sys
import textwrap

import pytest

WRITERS = {
    "a COG": "geotoolz.write_cog(scene, folder / 'o.tif')",
    "a COG of whole numbers of 64 bits": "geotoolz.write_cog(wide, folder / 'o.tif')",
    "a COG by blocks": "by_blocks('o.tif')",
    "a Zarr store": "by_blocks('o.zarr')",
    "a Zarr store of plain chunks": "by_blocks('o.zarr', chunks='maps')",
    "a run's journal": "fill_journal()",
    "a GeoParquet file": "to_geoparquet(catalog, folder / 'o.parquet')",
    "a simulated scene": "load_s2_chip(bands=('B04',), source='simulated')",
    "a copy": "copy_file(str(big), folder / 'o.bin', ArchiveSource([]))",
    "any file": "whole_file()",
}

SCRIPT = """
    import os, resource, sys
    from dataclasses import dataclass
    from pathlib import Path
    import geopandas, numpy as np, shapely
    from georeader.geotensor import GeoTensor
    from rasterio import Affine
    import geotoolz
    from geocatalog import InMemoryGeoCatalog, to_geoparquet
    from geopatcher import *
    from geostack.data import load_s2_chip
    from geostack.sources.archive import ArchiveSource
    from geostack.transfer import copy_file
    from pipekit.files import beside
    from pipekit.journal import Journal

    folder = Path(sys.argv[1])
    rng = np.random.default_rng(0)
    place = Affine(10, 0, 7e5, 0, -10, 4.4e6), "EPSG:32610"
    scene = GeoTensor(rng.random((1, 700, 600), "float32"), *place)
    wide = GeoTensor(rng.integers(0, 2**60, (1, 400, 600)), *place)
    shapes = [shapely.box(x, y, x + 1, y + 1) for x, y in rng.random((20_000, 2))]
    catalog = InMemoryGeoCatalog(
        geopandas.GeoDataFrame({"filepath": map(str, range(20_000))}, geometry=shapes, crs=4326)
    )
    big = Path(sys.argv[1] + ".big")
    big.write_bytes(bytes(2_000_000))

    def by_blocks(name, **more):
        patcher = SpatialPatcher(SpatialRectangular(100), SpatialRegularStride(100))
        map_patches(patcher, scene, np.asarray, target=folder / name, progress=False, **more)

    @dataclass(frozen=True)
    class Tile:
        key: str

    def fill_journal():
        with Journal(folder / "run.jsonl", {}, Tile) as journal:
            for number in range(3000):
                journal.add(Tile(f"{number:01000}"))

    def whole_file():
        with beside(folder / "a.bin") as unfinished:
            unfinished.write_bytes(bytes(2_000_000))

    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # no file may grow beyond
    for line in sys.stdin.read().splitlines():
        try:
            exec(line)
            print("nothing")
        except Exception as error:
            print(type(error).__name__, error)
        left = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_size]
        print([file.name for file in left])
        for file in left:
            file.unlink()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_told_the_same_by_all_who_write(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setenv("GEOSTACK_CACHE", str(folder))
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), folder],
        input="\n".join(WRITERS.values()),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 2 * len(WRITERS), run.stdout + run.stderr
    kept = {"a run's journal": "run.jsonl", "a copy": ".o.bin.part"}
    for (what, _), told, left in zip(WRITERS.items(), lines[::2], lines[1::2], strict=True):
        assert told.startswith("UnwrittenError"), f"{what}: {told}"
        for part in (str(folder), "MB are free", "free some space"):
            assert part in told, f"{what}: {told}"
        # A copy goes on from what has come, and a journal's lines count.
        assert left == str([kept[what]] if what in kept else []), f"{what}: {left}"
    assert "GEOSTACK_CACHE" in lines[2 * list(WRITERS).index("a simulated scene")]
