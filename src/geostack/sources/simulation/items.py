"""STAC items of simulated scenes, with the properties that the Planetary Computer's items carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from .grid import Grid

COG = "image/tiff; application=geotiff; profile=cloud-optimized"

# band: (title, common name, centre wavelength and full width at half maximum in micrometres).
SENTINEL2_BANDS: dict[str, tuple[str, str, float, float]] = {
    "B02": ("Band 2 - Blue - 10m", "blue", 0.49, 0.098),
    "B03": ("Band 3 - Green - 10m", "green", 0.56, 0.045),
    "B04": ("Band 4 - Red - 10m", "red", 0.665, 0.038),
    "B08": ("Band 8 - NIR - 10m", "nir", 0.842, 0.145),
    "B11": ("Band 11 - SWIR (1.6) - 20m", "swir16", 1.61, 0.143),
    "B12": ("Band 12 - SWIR (2.2) - 20m", "swir22", 2.19, 0.242),
}

# SCL class: property that holds its percentage.
SCL_PERCENTAGES: dict[int, str] = {
    2: "s2:dark_features_percentage",
    3: "s2:cloud_shadow_percentage",
    4: "s2:vegetation_percentage",
    5: "s2:not_vegetated_percentage",
    6: "s2:water_percentage",
    7: "s2:unclassified_percentage",
    8: "s2:medium_proba_clouds_percentage",
    9: "s2:high_proba_clouds_percentage",
    10: "s2:thin_cirrus_percentage",
    11: "s2:snow_ice_percentage",
}


def footprint(grid: Grid) -> tuple[dict[str, Any], list[float]]:
    """Return a grid's outline in degrees: a GeoJSON polygon, and (west, south, east, north)."""
    import numpy as np
    from pyproj import Transformer

    west, south, east, north = grid.bounds
    corners = np.array(
        [(east, south), (east, north), (west, north), (west, south), (east, south)], dtype=float
    )
    # Points along the edges: a UTM edge is a curve in degrees.
    steps = np.linspace(0, 1, 5)[:-1, None]
    ring = np.vstack([a + (b - a) * steps for a, b in pairwise(corners)])
    ring = np.vstack([ring, ring[:1]])
    to_degrees = Transformer.from_crs(grid.epsg, 4326, always_xy=True)
    lon, lat = to_degrees.transform(ring[:, 0], ring[:, 1])
    points = [[round(float(x), 7), round(float(y), 7)] for x, y in zip(lon, lat, strict=True)]
    box = [round(float(f(v)), 7) for f, v in
           ((np.min, lon), (np.min, lat), (np.max, lon), (np.max, lat))]  # fmt: skip
    return {"type": "Polygon", "coordinates": [points]}, box


def asset(href: str, grid: Grid, **fields: Any) -> dict[str, Any]:
    """Return a STAC asset of one COG beside its item."""
    return {
        "href": f"./{href}",
        "type": COG,
        "roles": ["data"],
        "gsd": float(grid.res),
        "proj:bbox": [float(v) for v in grid.bounds],
        "proj:shape": list(grid.shape),
        "proj:transform": [float(v) for v in grid.transform],
        **fields,
    }


def item(
    item_id: str,
    collection: str,
    when: datetime,
    grid: Grid,
    properties: Mapping[str, Any],
    assets: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a STAC item as a JSON-ready dict; every one says that it is simulated."""
    geometry, box = footprint(grid)
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.0.0/schema.json",
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        ],
        "id": item_id,
        "collection": collection,
        "geometry": geometry,
        "bbox": box,
        "properties": {
            "datetime": stamp(when),
            "proj:epsg": grid.epsg,
            "proj:code": f"EPSG:{grid.epsg}",
            "geostack:simulated": True,
            **properties,
        },
        "links": [],
        "assets": dict(assets),
    }


def sentinel2_asset(href: str, band: str, grid: Grid) -> dict[str, Any]:
    """Return the asset of a Sentinel-2 band or of the scene classification."""
    if band == "SCL":
        return asset(href, grid, title="Scene classification map (SCL)")
    title, common, centre, width = SENTINEL2_BANDS[band]
    described = {
        "name": band,
        "common_name": common,
        "description": title.rsplit(" - ", 1)[0],
        "center_wavelength": centre,
        "full_width_half_max": width,
    }
    return asset(href, grid, title=title, **{"eo:bands": [described]})


def stamp(when: datetime) -> str:
    """Return a UTC time as STAC writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def processed(when: datetime) -> datetime:
    """Return a plausible processing time: some hours after the acquisition."""
    return when + timedelta(hours=4, minutes=17, seconds=(when.day * 37) % 60)


def write_item(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write an item as FOLDER/ID.json and return the path."""
    path = folder / f"{content['id']}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
