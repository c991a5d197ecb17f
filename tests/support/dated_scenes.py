"""Dated scenes made for a test: small GeoTIFFs at a known place, and their STAC items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pystac
import rasterio
import shapely
from rasterio import Affine
from rasterio.warp import transform_bounds

from geocatalog.grid import pixel_grid

EPSG = 32632
WEST, NORTH = 600_000.0, 5_100_000.0


def write(
    path,
    values,
    *,
    pixel=10.0,
    nodata=0,
    epsg=EPSG,
    west=WEST,
    north=NORTH,
    names=(),
    south_up=False,
):
    """Write (rows, cols) or (bands, rows, cols) as a GeoTIFF."""
    layers = values[None] if values.ndim == 2 else values
    place = Affine(pixel, 0, west, 0, -pixel, north)
    if south_up:
        layers = layers[:, ::-1]
        place = Affine(pixel, 0, west, 0, pixel, north - pixel * layers.shape[1])
    profile = {
        "driver": "GTiff",
        "count": len(layers),
        "height": layers.shape[1],
        "width": layers.shape[2],
    }
    with rasterio.open(
        path, "w", dtype=layers.dtype, crs=f"EPSG:{epsg}", transform=place, nodata=nodata, **profile
    ) as file:
        file.write(layers)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return str(path)


def item(
    folder,
    when,
    bands,
    *,
    baseline="05.10",
    cloud=None,
    pixel=None,
    west=WEST,
    epsg=EPSG,
    **properties,
):
    """A Sentinel-2 item with an asset for each of `bands` (name -> (rows, cols))."""
    name = f"S2_{when.replace(':', '')}_{int(west)}_{epsg}"
    own = {"constellation": "sentinel-2", "proj:epsg": epsg, **properties}
    if baseline is not None:
        own["s2:processing_baseline"] = baseline
    if cloud is not None:
        own["eo:cloud_cover"] = cloud
    made = pystac.Item(name, None, None, pd.Timestamp(when, tz="UTC").to_pydatetime(), own)
    for band, values in bands.items():
        size = (pixel or {}).get(band, 10.0)
        path = write(folder / f"{name}_{band}.tif", values, pixel=size, west=west, epsg=epsg)
        height, width = values.shape
        fields = {"proj:shape": [height, width], "proj:transform": [size, 0, west, 0, -size, NORTH]}
        made.add_asset(band, pystac.Asset(path, roles=["data"], extra_fields=fields))
        box = transform_bounds(
            f"EPSG:{epsg}", "EPSG:4326", west, NORTH - size * height, west + size * width, NORTH
        )
    made.bbox, made.geometry = list(box), shapely.geometry.mapping(shapely.box(*box))
    return made


def grid_of(rows, cols, west=WEST, north=NORTH, pixel=10.0, epsg=EPSG):
    """A grid whose upper left corner is the scenes' unless it is told."""
    return pixel_grid(epsg, Affine(pixel, 0, west, 0, -pixel, north), (rows, cols))


def dn(seed, shape=(6, 8)):
    """Random digital numbers above 1000, none of them nodata."""
    return np.random.default_rng(seed).integers(1001, 5000, shape).astype("uint16")
