"""Runs `zonal` slowly, to be killed: python slow_zonal.py FOLDER FIELDS.parquet TARGET JOURNAL."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import geopandas as gpd

from geocatalog import build_raster_catalog
from geotoolz import zonal
from geotoolz.zone_pass import PassJob


def main(folder: str, fields: str, target: str, journal: str) -> None:
    """Take a while over each pass, which changes nothing of what it makes."""
    quick = PassJob.__call__

    def slow(job, scenes):
        time.sleep(0.1)
        return quick(job, scenes)

    PassJob.__call__ = slow
    paths = sorted(str(path) for path in Path(folder).glob("t*_*.tif"))
    catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    polygons = gpd.read_parquet(fields).geometry
    zonal(catalog, polygons, target=target, journal=journal, progress=False, workers=2)


if __name__ == "__main__":
    main(*sys.argv[1:])
