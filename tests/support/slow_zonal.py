"""Runs `zonal`, to be killed: python slow_zonal.py FOLDER FIELDS.parquet TARGET JOURNAL PASSES.

It comes to a stand after so many passes, and so never to its end, however late the kill is.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import geopandas as gpd

from geocatalog import build_raster_catalog
from geotoolz import zonal
from geotoolz.zone_pass import PassJob


def main(folder: str, fields: str, target: str, journal: str, passes: str) -> None:
    """Make so many passes, and take a while over each, which changes nothing of what it makes."""
    make, left = PassJob.__call__, iter(range(int(passes)))

    def some(job, scenes):
        time.sleep(600 if next(left, None) is None else 0.1)
        return make(job, scenes)

    PassJob.__call__ = some
    paths = sorted(str(path) for path in Path(folder).glob("t*_*.tif"))
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    polygons = gpd.read_parquet(fields).geometry
    zonal(catalog, polygons, target=target, journal=journal, progress=False, workers=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
