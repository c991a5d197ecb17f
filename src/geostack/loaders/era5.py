"""ERA5 reanalysis: hourly weather on a quarter-degree grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlparse

import numpy as np

from geostack.areas import LAKE_TAHOE_BBOX
from geostack.errors import AssetNotFoundError, NoSceneError, SourceUnavailableError
from geostack.items import acquired
from geostack.loaders.dem import load_dem_chip
from geostack.read import in_parallel, item_assets
from geostack.request import BBox, Request, as_bbox, parse_date_range
from geostack.sources import Source, open_source, select
from geostack.stac import find_items
from pipekit.lazy import needed

if TYPE_CHECKING:
    import xarray as xr
    from pystac import Item

COLLECTION = "era5-pds"
STEP = 0.25
"""Degrees between grid points."""

Backend = Literal["era5-pds", "cop-dem-glo-30"]


def load_era5_chip(
    *,
    bbox: Sequence[float] = LAKE_TAHOE_BBOX,
    date_range: str = "2020-06-01/2020-06-07",
    variable: str = "air_temperature_at_2_metres",
    backend: Backend = "era5-pds",
    source: str | Source | None = None,
) -> xr.DataArray:
    """Return hourly ERA5 weather, or the elevation, over a box.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees; grows outward to whole quarter degrees.
    date_range
        `start/end`, both days included; months are put together.
    variable
        An asset name of ERA5, such as "air_temperature_at_2_metres" (kelvin).
    backend
        "era5-pds", or "cop-dem-glo-30" for `load_dem_chip` of the same box.
    source
        See `geostack.sources`. The simulation makes a plausible temperature from latitude, season
        and hour, and nothing else.

    Returns
    -------
    (time, lat, lon) float32, latitudes falling, longitudes rising from -180..180, and
    on beyond 180 where the box crosses the antimeridian;
    `attrs["source"]` says where it came from. With the DEM: see `load_dem_chip`.

    Raises
    ------
    ValueError
        For an unknown backend or a bad box or date range.
    NoSceneError, AssetNotFoundError, PixelReadError, SourceUnavailableError
        As `load_s2_chip`.

    Examples
    --------
    >>> load_era5_chip(date_range="2020-06-01", source="simulated").shape
    (24, 4, 3)
    """
    import xarray as xr

    if backend == "cop-dem-glo-30":
        return load_dem_chip(bbox=bbox, source=source)
    if backend != "era5-pds":
        raise ValueError(f"backend must be 'era5-pds' or 'cop-dem-glo-30', got {backend!r}")
    request = Request(COLLECTION, bbox, date_range, assets=(variable,))
    try:
        chosen = select(source, request)
    except SourceUnavailableError:
        # Weather can be made up anywhere, so this is the one request that never goes unanswered.
        chosen = open_source("simulated")
    if chosen.name == "simulated":
        return simulated_temperature(request.bbox, date_range, variable)
    _, items = find_items(request, source=chosen)
    # All of them have the variable, or none has.
    item_assets(items[0], [variable], chosen, sorted(items[0].assets))
    items.sort(key=lambda item: acquired(item.properties))

    def read(item: Item) -> xr.DataArray:
        return _cut(_open(item, variable, chosen), request.bbox, date_range).load()

    whole = xr.concat(in_parallel(read, items), dim="time").sortby("time")
    if whole.sizes["time"] == 0:
        raise NoSceneError(f"no hour of {variable} lies in that time")
    whole.attrs["source"] = chosen.name
    return whole.rename(variable)


def simulated_temperature(
    bbox: Sequence[float], date_range: str, variable: str = "air_temperature_at_2_metres"
) -> xr.DataArray:
    """Return a made-up two-metre temperature: latitude, season and hour of the day, no weather.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees.
    date_range
        `start/end`, both days included.
    variable
        Only "air_temperature_at_2_metres".

    Returns
    -------
    (time, lat, lon) float32, kelvin; `attrs["source"]` is "simulated".

    Raises
    ------
    AssetNotFoundError
        For another variable than the two-metre temperature.

    Examples
    --------
    >>> day = simulated_temperature((-120.1, 38.92, -119.93, 39.27), "2020-06-01")
    >>> day.shape, day.attrs["source"]
    ((24, 4, 3), 'simulated')
    """
    import pandas as pd
    import xarray as xr

    if variable != "air_temperature_at_2_metres":
        raise AssetNotFoundError(
            f"the simulation has no {variable}; it has air_temperature_at_2_metres"
        )
    lats, lons = grid_points(as_bbox(bbox))
    start, end = _closed(date_range)
    times = pd.date_range(start, end, freq="h").tz_localize(None)
    season = np.cos(2 * np.pi * (times.day_of_year.to_numpy() - 200) / 365.25)
    warmth = 300.0 - 0.55 * np.abs(lats)
    swing = np.sign(lats) * (2 + 0.25 * np.abs(lats))
    local = times.hour.to_numpy()[:, None] + lons[None, :] / 15
    hour = 6.0 * np.cos(2 * np.pi * (local - 15) / 24)
    values = warmth[None, :, None] + season[:, None, None] * swing[None, :, None] + hour[:, None, :]
    return xr.DataArray(
        values.astype(np.float32),
        dims=("time", "lat", "lon"),
        coords={"time": times, "lat": lats, "lon": lons},
        name=variable,
        attrs={"units": "K", "long_name": "simulated 2 m air temperature", "source": "simulated"},
    )


def grid_points(bbox: BBox) -> tuple[Any, Any]:
    """Return ERA5's latitudes (falling) and longitudes (rising) around a box.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees.

    Returns
    -------
    Two arrays in degrees, multiples of a quarter, that enclose the box; longitudes run beyond 180
    where it crosses the antimeridian (west > east).

    Examples
    --------
    >>> grid_points((-120.1, 38.92, -119.93, 39.27))[0].tolist()
    [39.5, 39.25, 39.0, 38.75]
    """
    west, south, east, north = bbox
    east += 360 * (west > east)
    top, bottom = math.ceil(north / STEP), math.floor(south / STEP)
    left, right = math.floor(west / STEP), math.ceil(east / STEP)
    top, bottom = min(top, int(90 / STEP)), max(bottom, int(-90 / STEP))
    return np.arange(top, bottom - 1, -1) * STEP, np.arange(left, right + 1) * STEP


def _open(item: Item, variable: str, source: Source) -> xr.DataArray:
    import xarray as xr

    needed("zarr")
    asset = item.assets[variable]
    href = zarr_address(asset.href, asset.extra_fields)
    if not href.startswith("http"):
        return xr.open_zarr(href, consolidated=True)[variable]
    from geostack.zarr_http import HttpStore

    return xr.open_zarr(HttpStore(href, source), consolidated=True, zarr_format=2)[variable]


def zarr_address(href: str, fields: dict[str, Any]) -> str:
    """Return an `abfs://` asset's HTTP address; others as they are.

    Parameters
    ----------
    href
        Of the asset.
    fields
        The asset's own fields, which name the storage account.

    Returns
    -------
    What can be opened over HTTP.

    Raises
    ------
    ValueError
        When the fields name no storage account.

    Examples
    --------
    >>> options = {"xarray:open_kwargs": {"storage_options": {"account_name": "store"}}}
    >>> zarr_address("abfs://era5/2020/t2m.zarr", options)
    'https://store.blob.core.windows.net/era5/2020/t2m.zarr'
    """
    url = urlparse(href)
    if url.scheme not in ("abfs", "az"):
        return href
    kwargs = fields.get("xarray:open_kwargs", {})
    options = kwargs.get("storage_options") or kwargs.get("backend_kwargs", {}).get(
        "storage_options"
    )
    options = options or fields.get("xarray:storage_options") or {}
    if "account_name" not in options:
        raise ValueError(f"{href} names no storage account in its xarray:open_kwargs")
    return f"https://{options['account_name']}.blob.core.windows.net/{url.netloc}{url.path}"


def _cut(month: xr.DataArray, bbox: BBox, date_range: str) -> xr.DataArray:
    lats, lons = grid_points(bbox)
    start, end = (moment.replace(tzinfo=None) for moment in _closed(date_range))
    part = month.sel(time=slice(start, end)).sel(lat=lats, method="nearest", tolerance=STEP / 4)
    # ERA5 counts longitudes from 0 to 360; the modulo makes a box across Greenwich one selection.
    part = part.sel(lon=lons % 360, method="nearest", tolerance=STEP / 4)
    return part.assign_coords(lat=lats, lon=lons).astype(np.float32)


def _closed(date_range: str) -> tuple[datetime, datetime]:
    start, end = parse_date_range(date_range)
    if start is None or end is None:
        raise ValueError(f"ERA5 needs a date_range with both ends, got {date_range!r}")
    return start, end
