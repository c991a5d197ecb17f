"""Read assets of scenes: signed as they are opened, in parallel, onto one pixel grid."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from geocatalog.read import open as opening
from geostack.errors import AssetNotFoundError, OutsideTileError, PixelReadError
from geostack.grid import check_size, covering_grid, share_inside
from geostack.items import acquired, cloud_cover, declared_grid
from geostack.request import BBox, as_text, format_bbox
from pipekit.pixels import marked, role_of
from pipekit.tokens import without_query

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from pystac import Item

    from geostack.sources import Source

T = TypeVar("T")
R = TypeVar("R")

MAX_CONNECTIONS = 16
"""Files read at the same time: enough to hide latency, few enough to be a polite guest."""


@dataclass(frozen=True)
class Asset:
    """One file of one scene, with the source that can sign its address."""

    item_id: str
    key: str
    href: str
    source: Source
    band: int = 1
    """1-based, in the file."""
    offset: bool = False
    """Whether it is read without the +1000 of Sentinel-2's newer baselines, which it carries."""

    @property
    def method(self) -> Literal["nearest", "bilinear"]:
        """How to resample it: classes and bits keep their values, quantities are interpolated."""
        return "bilinear" if role_of(self.key) == "quantity" else "nearest"

    def without_offset(self, dn: NDArray[Any]) -> NDArray[Any]:
        """Return its digital numbers without the +1000: 0 stays 0, a valid one at least 1.

        Parameters
        ----------
        dn
            As the file has them, of any shape.

        Returns
        -------
        Of the same shape and dtype.

        Examples
        --------
        >>> band = Asset("A", "B04", "B04.tif", None, offset=True)
        >>> band.without_offset(np.array([0, 900, 3000], dtype="uint16"))
        array([   0,    1, 2000], dtype=uint16)
        """
        from geotoolz.radiometry import harmonize_baseline

        return np.asarray(harmonize_baseline(dn)) if self.offset else dn

    def __str__(self) -> str:
        return f"{self.item_id}, asset {self.key}, {without_query(self.href)}"


def item_assets(
    item: Item, keys: Sequence[str], source: Source, known: Sequence[str]
) -> list[Asset]:
    """Return one asset of an item per key.

    Parameters
    ----------
    known
        The keys that hold pixels, for the message.

    Returns
    -------
    In the order of `keys`.

    Raises
    ------
    AssetNotFoundError
        When the item lacks one; the message lists those it has.
    """
    missing = [key for key in keys if key not in item.assets]
    if missing:
        have = ", ".join(key for key in item.assets if key in known) or "none"
        raise AssetNotFoundError(
            f"{item.id} ({source.name}) has no asset {', '.join(missing)}; it has {have}"
        )
    return [Asset(item.id, key, item.assets[key].href, source) for key in keys]


def item_attrs(item: Item, bands: Sequence[str], source: Source) -> dict[str, Any]:
    """Return the attributes that rasters of one scene carry.

    Parameters
    ----------
    item
        The scene.
    bands
        The names of the raster's bands.
    source
        Who had it.

    Returns
    -------
    `band_names`, `item_id`, `datetime`, `cloud_cover` and `source`.
    """
    return {
        "band_names": list(bands),
        "item_id": item.id,
        "datetime": as_text(acquired(item.properties)),
        "cloud_cover": cloud_cover(item.properties),
        "source": source.name,
    }


def in_parallel(function: Callable[[T], R], inputs: Sequence[T]) -> list[R]:
    """Return `function` of each input, in order, computed in threads; the first error is raised.

    Within a thread of its own it runs one by one, so that calls may nest.

    Parameters
    ----------
    function
        Called with one input.
    inputs
        What it is called with.

    Returns
    -------
    One result for each input, in their order.

    Examples
    --------
    >>> in_parallel(len, ["a", "bb"])
    [1, 2]
    """
    nested = threading.current_thread().name.startswith(_THREADS)
    if len(inputs) < 2 or nested:
        return [function(value) for value in inputs]
    futures = [_pool(os.getpid(), MAX_CONNECTIONS).submit(function, value) for value in inputs]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        wait(futures)
        raise


_THREADS = "geostack-read"


@cache
def _pool(process: int, size: int) -> ThreadPoolExecutor:
    """Threads that stay, since GDAL keeps the connections of each for its next read.

    A forked process has none of its parent's threads, so pools belong to a process.
    """
    return ThreadPoolExecutor(size, thread_name_prefix=_THREADS)


def with_dataset(asset: Asset, action: Callable[[Any], T]) -> T:
    """Return `action` of the opened asset: signed, tried again, its errors explained.

    Parameters
    ----------
    asset
        What is opened.
    action
        Reads from the rasterio dataset; it runs again when a read fails.

    Returns
    -------
    What `action` returns.

    Raises
    ------
    PixelReadError
        When the file can't be read.
    """
    return opening.with_dataset(asset.href, action, sign=asset.source.sign, what=str(asset))


def asset_grid(asset: Asset) -> GeoBox:
    """Return an asset's pixel grid, from the file's header.

    Parameters
    ----------
    asset
        What is opened.

    Returns
    -------
    The grid of the file's full resolution.
    """
    from geocatalog.read.onto_grid import grid_of

    return with_dataset(asset, grid_of)


def scene_grid(item: Item, asset: Asset) -> GeoBox:
    """Return an asset's pixel grid, from its item if that says it, else from the file's header.

    Parameters
    ----------
    item
        The scene.
    asset
        One of its assets.

    Returns
    -------
    The grid of the file's full resolution.
    """
    return declared_grid(item, asset.key) or asset_grid(asset)


def read_asset(asset: Asset, grid: GeoBox) -> NDArray[np.uint16]:
    """Return the digital numbers of an asset's band on a grid, (1, rows, cols) uint16.

    Where the file's pixels are the grid's they are copied; otherwise they are resampled by the
    asset's method, and no-data pixels take no part.

    Parameters
    ----------
    asset
        What is opened. What its file says is no data, or lies beyond it, is 0; in bits it is the
        file's own value for that, or 0.
    grid
        Where the pixels are wanted.

    Returns
    -------
    (1, rows, cols) uint16.

    Raises
    ------
    PixelReadError
        When the file can't be read, or holds numbers that are no digital numbers.
    """
    from geocatalog.read.onto_grid import read_onto

    asked = asset.href, grid, [asset.band], asset.method
    fill = None if role_of(asset.key) == "bits" else 0
    values = read_onto(*asked, fill=fill, sign=asset.source.sign, what=str(asset))
    with np.errstate(invalid="ignore"):
        numbers = values.astype(np.uint16, copy=False)
    if numbers is not values and not np.array_equal(numbers, values):
        raise PixelReadError(
            f"{asset} holds {values.dtype} from {values.min():g} to {values.max():g}, and the "
            "loader gives digital numbers, whole and from 0 to 65535; read it with geotoolz.read"
        )
    return asset.without_offset(numbers)


def read_mosaic(
    bbox: BBox,
    items: Sequence[Item],
    key: str,
    source: Source,
    indexes: Sequence[int] | None = None,
    *,
    resolution: float | None = None,
    nodata: float = 0,
    alpha: bool = True,
) -> tuple[NDArray[Any], float | None, GeoBox, list[Item]]:
    """Return the pixels of neighbouring scenes over a box, put together.

    The pixels are those of the scene that holds most of the box. Where scenes overlap, the one that
    holds more of the box wins, as far as it has data. A file that declares no nodata value has data
    everywhere: 0 is a value there.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees; grows outward to whole pixels.
    items
        The scenes.
    key
        The asset that is read.
    source
        Signs the files.
    indexes
        1-based bands of the files; by default the first.
    resolution
        Another pixel size, in units of the scenes' CRS.
    nodata
        The value where no scene has data, unless a pixel of a scene holds it.
    alpha
        Whether files may have an alpha band; False where their product has none.

    Returns
    -------
    values
        (C, rows, cols), in the files' dtype.
    nodata
        What marks missing pixels; None where none is missing and some hold the value asked for.
    grid
        Its pixel grid.
    items
        The scenes, first the one that holds most of the box.

    Raises
    ------
    OutsideTileError
        When none reaches the box.
    AssetNotFoundError
        When an item lacks the asset.
    PixelReadError
        When a file can't be read.
    ValueError
        For a box too large for the memory.
    """
    sheets = []
    for item in items:
        (asset,) = item_assets(item, [key], source, [key])
        own = scene_grid(item, asset)
        sheets.append((share_inside(own, bbox), own, asset, item))
    sheets.sort(key=lambda sheet: -sheet[0])
    shares, grids, assets, ordered = zip(*sheets, strict=True)
    if shares[0] == 0:
        raise OutsideTileError(f"the box {format_bbox(bbox)} lies outside every scene found")
    grid = covering_grid(grids[0], bbox, resolution)
    check_size(grid, len(indexes or [1]), bbox)
    from geocatalog.load.raster import Mosaic
    from geocatalog.read.onto_grid import read_piece

    def read(asset: Asset) -> Any:
        how = asset.href, grid, indexes or [asset.band], asset.method
        return read_piece(*how, alpha=alpha, sign=asset.source.sign, what=str(asset))

    read_in_order = in_parallel(read, assets)
    bands = read_in_order[0][1]
    mosaic = Mosaic("first", bands, grid.shape.yx)
    for piece in (piece for piece, _ in read_in_order if piece is not None):
        mosaic.add(piece)
    values, fill = marked(*mosaic.merged(), nodata, bands.roles)
    return values, fill, grid, list(ordered)
