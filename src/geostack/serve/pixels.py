"""From a scene or an upload to pixels, within limits; and from what a pipeline made to bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor

from geocatalog.read.bands import data_indexes, read_bands
from geostack.loaders.sentinel2 import COLLECTION
from geostack.request import Request
from geostack.serve.limits import Limits
from geostack.serve.problem import Problem
from geostack.sources import Source, select
from geostack.transfer import TIFF_STARTS
from geotoolz.io import write_cog
from pipekit import content_hash
from pipekit.pixels import invalid_mask, nodata_of, plain, role_of, roles_in_file
from pipekit.scratch import scratch_folder

if TYPE_CHECKING:
    from pystac import Item

_DATE = re.compile(r"(?:^|[_.-])(\d{4})(\d{2})(\d{2})(?=T|_|\.|-|$)")
_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


def find_item(
    source: str | Source | None, item_id: str, bbox: Sequence[float], bands: Sequence[str]
) -> tuple[Source, Item]:
    """Return an item by its id and a box that it touches, and the source that has it.

    Parameters
    ----------
    source
        Where it is looked for, as on a loader.
    item_id
        Its id; a date in it narrows the search.
    bbox
        (west, south, east, north), degrees.
    bands
        What is asked of it, for the choice of a source.

    Returns
    -------
    Source
        It signs what it names.
    Item

    Raises
    ------
    Problem
        404 when the source has none.
    SourceUnavailableError
        When the source can't answer.
    """
    request = Request(COLLECTION, bbox, "../..", assets=bands)
    chosen = select(source, request)
    if found := _DATE.search(item_id):
        with suppress(ValueError):  # digits that are no date
            request = Request(COLLECTION, bbox, "-".join(found.groups()))
    # What merely has the methods of a source need not know how to ask for one scene.
    one: Any = {"item": item_id} if isinstance(chosen, Source) else {}
    for item in chosen.search(**request.query(), **one):
        if item.id == item_id:
            return chosen, item
    raise Problem(404, f"{chosen.name} has no scene {item_id} at that place")


def check_size(bands: int, rows: int, cols: int, limits: Limits) -> None:
    """Refuse more pixels than the limits allow.

    Parameters
    ----------
    bands, rows, cols
        How many.
    limits
        `max_pixels` is looked at.

    Raises
    ------
    Problem
        413 for more.

    Examples
    --------
    >>> check_size(2, 100, 100, Limits())
    """
    pixels = bands * rows * cols
    if pixels > limits.max_pixels:
        raise Problem(
            413,
            f"{bands} bands of {rows} x {cols} are {pixels} pixels, more than {limits.max_pixels}; "
            "ask for a smaller box",
        )


def read_upload(body: bytes, bands: tuple[str, ...], limits: Limits) -> GeoTensor:
    """Return an uploaded GeoTIFF as (C, H, W), its bands named.

    Only GDAL's GeoTIFF driver sees it; size, bands and blocks are counted from its header before
    a pixel is decoded. Its mask, alpha band, nodata, scale and offset count as in `geotoolz.read`.

    Parameters
    ----------
    body
        The file.
    bands
        Names of the bands it must have; those that the file names are put into this order.
    limits
        `max_pixels` is looked at.

    Returns
    -------
    GeoTensor
        In the file's dtype; physical values of a file with a scale or an offset are floats.

    Raises
    ------
    Problem
        413 for too many pixels, 422 for what is no such GeoTIFF.

    Examples
    --------
    >>> read_upload(b"GIF89a", ("B04",), Limits())
    Traceback (most recent call last):
    geostack.serve.problem.Problem: the body is no TIFF
    """
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile

    if not body.startswith(TIFF_STARTS):
        raise Problem(422, "the body is no TIFF")
    try:
        with MemoryFile(body) as memory, memory.open(driver="GTiff") as file:
            order = _checked_order(file, bands, limits)
            values, nodata = read_bands(file, order)
            attrs = {"band_names": list(bands), "source": "upload"}
            if (roles := roles_in_file(file, order)) != tuple(map(role_of, bands)):
                attrs["band_roles"] = list(roles)
            return GeoTensor(values, file.transform, file.crs, nodata, attrs)
    except (RasterioError, ValueError, MemoryError):
        raise Problem(422, "the body can't be read as a GeoTIFF") from None


def _checked_order(file: Any, bands: tuple[str, ...], limits: Limits) -> list[int]:
    """Return which band of a file each of `bands` is, 1-based, or raise Problem."""
    if file.width < 1 or file.height < 1:
        raise Problem(422, "the file has no pixels")
    # One more band than asked for may be alpha; as many are all data, whatever their colours.
    held = list(file.indexes) if file.count == len(bands) else data_indexes(file)
    if len(held) != len(bands):
        raise Problem(
            422, f"the pipeline takes {len(bands)} bands ({', '.join(bands)}), got {len(held)}"
        )
    check_size(file.count, file.height, file.width, limits)
    # A small picture may be cut into blocks of any size, each decoded whole.
    for rows, cols in file.block_shapes:
        check_size(1, rows, cols, limits)
    if any(dtype not in _DTYPES for dtype in file.dtypes):
        raise Problem(422, f"the file's dtype {file.dtypes[0]} is none of {', '.join(_DTYPES)}")
    _check_place(file)
    # A band without a name has that of its place.
    named = [file.descriptions[i - 1] or name for i, name in zip(held, bands, strict=True)]
    if set(named) != set(bands):
        raise Problem(422, f"the pipeline takes bands {', '.join(bands)}, the file names others")
    return [held[named.index(band)] for band in bands]


def _check_place(file: Any) -> None:
    """Raise Problem 422 for a file whose middle lies nowhere: no map could be made of it."""
    from rasterio.warp import transform

    if file.crs is None:
        raise Problem(422, "the file has no coordinate reference system")
    x, y = file.transform @ (file.width / 2, file.height / 2)
    try:
        degrees = [value for (value,) in transform(file.crs, "EPSG:4326", [x], [y])]
    # Errors of GDAL come in a class that rasterio does not show.
    except Exception:
        degrees = [math.nan]
    if file.transform.is_degenerate or not all(map(math.isfinite, degrees)):
        raise Problem(422, "the file's georeference places it nowhere on Earth")


def as_geotiff(result: Any, output: str | None) -> bytes:
    """Return a raster as a cloud-optimised GeoTIFF.

    Parameters
    ----------
    result
        What a pipeline made.
    output
        Which, for a pipeline that makes several.

    Returns
    -------
    bytes

    Raises
    ------
    Problem
        422 when there is no such output or it is no map.

    Examples
    --------
    >>> from rasterio import Affine
    >>> where = Affine(10, 0, 0, 0, -10, 0)
    >>> as_geotiff(GeoTensor(np.zeros((1, 4, 4), "uint8"), where, "EPSG:32610"), None)[:2]
    b'II'
    """
    raster = _chosen(result, output)
    if not isinstance(raster, GeoTensor):
        raise Problem(422, "the pipeline's result is no map; ask for ?format=json")
    with scratch_folder("geostack-serve-") as folder:
        path = folder / "result.tif"
        write_cog(raster, path)
        return path.read_bytes()


def as_summary(result: Any, output: str | None) -> dict[str, Any]:
    """Return what a result is: kind, shape, dtype, hash, least, greatest and mean valid value.

    Parameters
    ----------
    result
        What a pipeline made.
    output
        Which, for a pipeline that makes several; None for all of them.

    Returns
    -------
    dict
        Ready for JSON.

    Raises
    ------
    Problem
        422 when there is no such output.

    Examples
    --------
    >>> as_summary(np.array([1.0, 3.0, np.nan]), None)["mean"]
    2.0
    """
    value = result if output is None else _chosen(result, output)
    if isinstance(value, Mapping):
        return {str(name): as_summary(part, None) for name, part in value.items()}
    kind = {"kind": type(value).__name__}
    if isinstance(value, np.generic | int | float | bool | str):
        return {**kind, "value": _plain(value)}
    if not isinstance(value, np.ndarray):
        return kind
    values = plain(value)
    missing = invalid_mask(values, nodata_of(value))
    valid = values if missing is None else values[~missing]
    summary = {
        **kind,
        "shape": list(values.shape),
        "dtype": values.dtype.name,
        "content_hash": content_hash(value),
        "valid_share": valid.size / values.size if values.size else 0.0,
    }
    if valid.size and values.dtype.kind in "biuf":
        summary |= {"min": _plain(valid.min()), "max": _plain(valid.max())}
        summary["mean"] = _plain(valid.mean(dtype=np.float64))
    return summary


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if not isinstance(plain, float) or np.isfinite(plain) else repr(plain)


def _chosen(result: Any, output: str | None) -> Any:
    if not isinstance(result, Mapping):
        if output is not None:
            raise Problem(422, "the pipeline has one output; leave out ?output=")
        return result
    if output not in result:
        raise Problem(422, f"choose ?output= from {', '.join(map(str, result))}")
    return result[output]
