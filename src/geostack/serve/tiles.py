"""Map layers: files of one scene, the operator that makes a picture of them, and their tiles."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray
from rasterio import Affine

from geocatalog.grid import pixel_grid, raster_crs
from geocatalog.read.bands import marked
from geocatalog.read.onto_grid import grid_of, read_piece
from geostack.errors import PixelReadError
from geostack.items import declared_grid
from geostack.loaders.sentinel2 import band_assets, check_bands
from geostack.read import Asset, with_dataset
from geostack.serve.limits import Gate
from geostack.serve.pipeline import check_operator
from geostack.serve.problem import Problem, problem_of
from geotoolz.carrier import values_of
from geotoolz.radiometry import harmonize_baseline
from pipekit import Operator
from pipekit.validity import header_nodata

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from pystac import Item

    from geostack.sources import Source

Box = tuple[float, float, float, float]
"""(west, south, east, north)."""
Key = tuple[str, int, int, int]
"""(layer's name, z, x, y)."""
"""Values (rows, cols), and where they are valid."""

TILE = 256
"""Rows and columns of a tile."""
_MERCATOR = "EPSG:3857"
_MERCATOR_EDGE = 20037508.342789244
"""Half the width of the Web Mercator square, metres (OGC 17-083r4, annex D)."""
_MAX_ZOOM = 24


@dataclass(frozen=True)
class Layer:
    """Files, one a band, and the operator that turns them into a picture.

    Make it with `scene_layer` or `file_layer`. The operator gets a `GeoTensor` (C, H, W) in Web
    Mercator, NaN or `nodata` where there is no data, and returns colours: (3, H, W) or (4, H, W),
    uint8, or floats from 0 to 1 with NaN where there is nothing. Where no file has data the tile
    is transparent, whatever the operator returns. It sees one tile at a time: with stretches that
    depend on the data each tile would get its own colours.

    Parameters
    ----------
    assets
        The file of each band, in the operator's order.
    operator
        From bands to colours.
    offsets
        Which assets' numbers carry the +1000 of newer baselines, which is taken away.
    title
        For the map page.
    halo
        Pixels read around a tile and cut off after, for operators that look at neighbours.
    nodata
        Marks what is missing; None where every number is a value.
    grid
        The first file's pixels where its item declares them: the layer is listed without opening
        a file.
    view
        (west, south, east, north) in degrees that the map opens on, where that is not the first
        file's box.

    Raises
    ------
    ValueError
        For no file, not one offset flag a file, or a halo wider than a tile.
    NotSerializableError
        For an operator that holds a function.

    Examples
    --------
    >>> from geotoolz import Colormap
    >>> from geostack.sources.archive import ArchiveSource
    >>> file = Asset("relief", "shade", "relief.tif", ArchiveSource([]))
    >>> Layer((file,), Colormap("gray", 0, 255), (False,), "Relief").title
    'Relief'
    """

    assets: tuple[Asset, ...]
    operator: Operator
    offsets: tuple[bool, ...]
    title: str = ""
    halo: int = 0
    nodata: float | None = 0
    grid: GeoBox | None = None
    view: Box | None = None

    def __post_init__(self) -> None:
        check_operator(self.operator)
        if not self.assets or len(self.assets) != len(self.offsets):
            raise ValueError("a layer needs at least one file, and one offset flag for each")
        if type(self.halo) is not int or not 0 <= self.halo <= TILE:
            raise ValueError(f"halo must be 0 to {TILE} whole pixels, got {self.halo!r}")

    @cached_property
    def config_hash(self) -> str:
        """A hash of the operator and of which files it is given, 16 hex digits."""
        parts = [self.operator.config_hash, str(self.halo)]
        for asset, offset in zip(self.assets, self.offsets, strict=True):
            parts += [asset.item_id, asset.key, str(asset.band), str(offset)]
        return sha256("\n".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def mercator_bounds(self) -> Box:
        """(west, south, east, north) in metres of Web Mercator that hold the first file."""
        west, south, east, north = self.bounds
        if west > east:  # on both sides of 180 degrees
            west, east = -180.0, 180.0
        y = [math.asinh(math.tan(math.radians(max(-89.9, min(89.9, d))))) for d in (south, north)]
        scale = _MERCATOR_EDGE / math.pi
        return math.radians(west) * scale, y[0] * scale, math.radians(east) * scale, y[1] * scale

    @cached_property
    def bounds(self) -> Box:
        """(west, south, east, north) in degrees of the first file; west > east across 180."""
        return self._degrees()

    def _degrees(self) -> Box:
        from rasterio.warp import transform_bounds

        grid = self.grid or with_dataset(self.assets[0], grid_of)
        box = grid.boundingbox.bbox
        west, south, east, north = transform_bounds(raster_crs(grid), "EPSG:4326", *box)
        if east - west >= 360:
            west, east = -180.0, 180.0
        elif west < -180 or east > 180:  # such as longitudes from 0 to 360
            west, east = ((side + 180) % 360 - 180 for side in (west, east))
        return west, south, east, north

    def describe(self, name: str) -> dict[str, Any]:
        """Return what `GET /layers` says of it; of one that can't be read now, its problem.

        Parameters
        ----------
        name
            The layer's.

        Returns
        -------
        dict
            Name, title, hash, boxes in degrees and bands, ready for JSON.
        """
        told: dict[str, Any] = {"name": name, "title": self.title or name}
        try:
            bounds = list(self.bounds)
        except Exception as error:  # one that can't be placed hides no others
            return {**told, "problem": problem_of(error).detail}
        bands = [asset.key for asset in self.assets]
        if self.view is not None:
            told["view"] = list(self.view)
        return {**told, "config_hash": self.config_hash, "bounds": bounds, "bands": bands}

    def is_known_empty(self, z: int, x: int, y: int) -> bool:
        """Return whether a tile lies outside the layer; False until a file was opened once.

        Parameters
        ----------
        z, x, y
            Zoom, column from the west and row from the north.

        Returns
        -------
        bool
        """
        known: Box | None = vars(self).get("mercator_bounds")
        return known is not None and _apart(tile_bounds(z, x, y), known)

    def tile(self, z: int, x: int, y: int) -> bytes:
        """Return a tile as PNG, 256 x 256 RGBA; `empty_png()` where the layer has nothing.

        No file is opened for a tile outside the layer.

        Parameters
        ----------
        z, x, y
            Zoom, column from the west and row from the north.

        Returns
        -------
        bytes

        Raises
        ------
        ValueError
            For a tile that the pyramid does not have, and for an operator that makes no picture.
        PixelReadError
            When a file can't be read.
        """
        box = tile_bounds(z, x, y)
        if _apart(box, self.mercator_bounds):
            return empty_png()
        step, side = (box[2] - box[0]) / TILE, TILE + 2 * self.halo
        west, north = box[0] - self.halo * step, box[3] + self.halo * step
        grid = pixel_grid(_MERCATOR, Affine(step, 0, west, 0, -step, north), (side, side))
        stack, seen, fill = self._read(grid)
        if not seen.any():
            return empty_png()
        attrs = {"band_names": [asset.key for asset in self.assets]}
        raster = GeoTensor(stack, grid.transform, _MERCATOR, fill, attrs)
        colours, opacity = picture(values_of(self.operator(raster)))
        inner = slice(self.halo, self.halo + TILE)
        opacity = np.where(seen, opacity, np.uint8(0))[inner, inner]
        return encode_png(colours[:, inner, inner], opacity) if opacity.any() else empty_png()

    def _read(self, grid: GeoBox) -> tuple[NDArray[Any], NDArray[np.bool_], float | None]:
        """Return a grid's pixels (C, H, W), which (H, W) a file has, and what marks the others.

        Quantities are interpolated; classes, bits and masks come by the nearest pixel.
        """
        read: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
        # Bands of one file lie in the same blocks: read together, each is decoded once.
        for href, group in groupby(self.assets, lambda asset: asset.href):
            same = list(group)
            piece, bands = read_piece(
                href,
                grid,
                [asset.band for asset in same],
                "bilinear",
                assumed_nodata=self.nodata,
                names=[asset.key for asset in same],
                sign=same[0].source.sign,
                what=str(same[0]),
            )
            values = np.zeros((bands.count, *grid.shape), bands.dtype)
            valid = np.zeros(values.shape, bool)
            if piece is not None:
                values[:, *piece.window], valid[:, *piece.window] = piece.data, piece.valid
            read += zip(values, valid, strict=True)
        shifted = [
            np.asarray(harmonize_baseline(values)) if offset else values
            for (values, _), offset in zip(read, self.offsets, strict=True)
        ]
        seen = np.stack([valid for _, valid in read])
        stack, fill = marked(np.stack(shifted), ~seen, self.nodata)
        return stack, np.logical_or.reduce(seen), fill


def scene_layer(
    item: Item,
    operator: Operator,
    bands: Sequence[str],
    source: Source,
    *,
    title: str = "",
    halo: int = 0,
    view: Box | None = None,
) -> Layer:
    """Return a layer of one Sentinel-2 scene.

    Parameters
    ----------
    item
        The scene.
    operator
        Gets harmonised digital numbers (C, H, W) uint16, and returns colours.
    bands
        Names of the bands that the operator gets, in its order.
    source
        Where the item comes from; it signs the addresses.
    title, halo, view
        See `Layer`.

    Returns
    -------
    Layer

    Raises
    ------
    AssetNotFoundError
        When the item lacks a band.
    ValueError
        For an unknown band.

    Examples
    --------
    >>> from geostack import LAKE_TAHOE_BBOX, load_stac_items
    >>> from geostack.sources import open_source
    >>> from geotoolz import NDVI, Colormap
    >>> (item,) = load_stac_items("sentinel-2-l2a", LAKE_TAHOE_BBOX, "2024-06", limit=1,
    ...                           source="simulated")
    >>> colours = NDVI("B04", "B08") | Colormap("BrBG", -1.0, 1.0)
    >>> scene_layer(item, colours, ("B04", "B08"), open_source("simulated")).offsets
    (True, True)
    """
    names = check_bands(bands)
    assets = tuple(band_assets(item, names, source))
    offsets = tuple(asset.offset for asset in assets)
    grid = declared_grid(item, names[0])
    return Layer(assets, operator, offsets, title or item.id, halo, grid=grid, view=view)


def file_layer(
    path: str | Path, operator: Operator, bands: Sequence[str], *, title: str = "", halo: int = 0
) -> Layer:
    """Return a layer of one local raster.

    Parameters
    ----------
    path
        The raster; bands, from its first, get the names `bands`.
    operator
        Gets the file's numbers (C, H, W), and returns colours.
    bands
        Names of the bands.
    title, halo
        See `Layer`.

    Returns
    -------
    Layer

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    PixelReadError
        For a file that is no raster.
    ValueError
        For a file without a place on the globe, or with fewer bands.

    Examples
    --------
    >>> import tempfile
    >>> from rasterio import Affine
    >>> from geotoolz import Colormap, write_cog
    >>> relief = GeoTensor(np.ones((1, 64, 64), "uint8"), Affine(10, 0, 0, 0, -10, 0), "EPSG:32610")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_cog(relief, f"{folder}/relief.tif")
    ...     file_layer(path, Colormap("gray", 0, 255), ["shade"]).title
    'relief'
    """
    from geostack.sources.archive import ArchiveSource

    file = Path(path).absolute()
    if not file.is_file():
        raise FileNotFoundError(f"a layer needs a file, there is none at {path}")
    here = ArchiveSource([])
    assets = tuple(
        Asset(file.stem, name, str(file), here, band) for band, name in enumerate(bands, start=1)
    )
    layer = Layer(assets, operator, (False,) * len(assets), title or file.stem, halo, None)
    held, nodata = with_dataset(assets[0], lambda file: (file.count, header_nodata(file, 1)))
    if len(assets) > held:
        raise ValueError(f"{path} has {held} bands, {len(assets)} names are given")
    layer = replace(layer, nodata=nodata)
    try:
        placed = layer._degrees()  # not kept: a file may go
    except PixelReadError:
        raise
    except Exception:  # GDAL's own error of a CRS that leads nowhere has no public class
        placed = (math.nan,) * 4
    if not all(map(math.isfinite, placed)):
        raise ValueError(f"{path} has no place on the globe: give it a coordinate reference system")
    return layer


def tile_bounds(z: int, x: int, y: int) -> Box:
    """Return a tile's (west, south, east, north) in metres of Web Mercator.

    Parameters
    ----------
    z, x, y
        Zoom, column from the west and row from the north.

    Returns
    -------
    tuple of float

    Raises
    ------
    ValueError
        For a tile that the pyramid does not have.

    Examples
    --------
    >>> tile_bounds(1, 0, 0)[2:]
    (0.0, 20037508.342789244)
    """
    if not (0 <= z <= _MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise ValueError(
            f"there is no tile {z}/{x}/{y}: z is 0 to {_MAX_ZOOM}, x and y are 0 to 2**z - 1"
        )
    side = 2 * _MERCATOR_EDGE / (1 << z)
    west, north = x * side - _MERCATOR_EDGE, _MERCATOR_EDGE - y * side
    return west, north - side, west + side, north


def _apart(one: Box, other: Box) -> bool:
    return one[0] >= other[2] or one[2] <= other[0] or one[1] >= other[3] or one[3] <= other[1]


def picture(values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return colours (3, H, W) and opacity (H, W) of what an operator made.

    Parameters
    ----------
    values
        (3 or 4, H, W), uint8, or floats from 0 to 1 with NaN where there is nothing.

    Returns
    -------
    colours : ndarray
        (3, H, W) uint8.
    opacity : ndarray
        (H, W) uint8, 0 where there is nothing.

    Raises
    ------
    ValueError
        For what is no picture.

    Examples
    --------
    >>> picture(np.full((3, 1, 1), np.nan))[1].tolist()
    [[0]]
    """
    if values.ndim != 3 or values.shape[0] not in (3, 4) or values.dtype.kind not in "uf":
        raise ValueError(
            "a layer's operator returns colours, (3 or 4, H, W) of uint8 or of floats from 0 to 1, "
            f"got {values.dtype} {values.shape}; end it with Colormap(...) or ToRGB(...)"
        )
    opaque = np.full(values.shape[1:], 255, np.uint8)
    if values.dtype.kind == "f":
        seen = np.isfinite(values).all(axis=0)
        values = np.rint(np.clip(np.where(seen, values, 0), 0, 1) * 255)
        opaque = np.where(seen, opaque, 0).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise ValueError(f"colours of whole numbers are uint8, got {values.dtype}")
    if values.shape[0] == 4:
        opaque = np.minimum(opaque, values[3].astype(np.uint8))
    return values[:3].astype(np.uint8), opaque


def encode_png(colours: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> bytes:
    """Return colours (3, H, W) and opacity (H, W) as PNG.

    Parameters
    ----------
    colours
        (3, H, W) uint8.
    opacity
        (H, W) uint8.

    Returns
    -------
    bytes

    Examples
    --------
    >>> encode_png(np.zeros((3, 2, 2), np.uint8), np.zeros((2, 2), np.uint8))[1:4]
    b'PNG'
    """
    from rio_tiler.utils import render

    # Level 1: tiles are sent once and cached, and level 6 takes three times as long.
    return bytes(render(colours, opacity, img_format="PNG", ZLEVEL=1))


@cache
def empty_png() -> bytes:
    """Return the tile without anything, made once.

    Returns
    -------
    bytes

    Examples
    --------
    >>> empty_png() is empty_png()
    True
    """
    nothing = np.zeros((3, TILE, TILE), np.uint8)
    return encode_png(nothing, nothing[0])


@dataclass(frozen=True)
class Tile:
    """A PNG, and the tag that says whether a browser has it already: a hash of the bytes.

    Parameters
    ----------
    png
        The file.

    Examples
    --------
    >>> Tile(b"").etag
    '"e3b0c44298fc1c14"'
    """

    png: bytes

    @cached_property
    def etag(self) -> str:
        """The tag as the header `ETag` has it."""
        return f'"{sha256(self.png).hexdigest()[:16]}"'


class TileService:
    """Makes each tile once, however many ask for it, and keeps those used last.

    Parameters
    ----------
    layers
        By name.
    gate
        Where tiles are made.
    max_bytes
        Of the tiles that are kept.
    """

    def __init__(self, layers: dict[str, Layer], gate: Gate, max_bytes: int) -> None:
        from cachetools import LRUCache

        self.layers = layers
        self.cache: LRUCache[Key, Tile] = LRUCache(max_bytes, lambda tile: len(tile.png))
        self._lock = threading.Lock()
        self._gate = gate
        self._making: dict[Key, asyncio.Task[Tile]] = {}

    async def tile(self, name: str, z: int, x: int, y: int) -> tuple[Tile, bool]:
        """Return a tile, made unless it is kept or known to be empty.

        Parameters
        ----------
        name
            Of the layer.
        z, x, y
            Zoom, column from the west and row from the north, in the Web Mercator pyramid.

        Returns
        -------
        tile : Tile
            256 x 256 pixels RGBA as PNG, transparent where the layer has nothing.
        hit : bool
            Whether it was there without being made.

        Raises
        ------
        Problem
            404 for an unknown layer or tile, and what `Gate.run` raises.
        """
        layer = self.layers.get(name)
        if layer is None:
            raise Problem(404, f"there is no such layer; there are: {', '.join(self.layers)}")
        try:
            tile_bounds(z, x, y)
        except ValueError:
            raise Problem(404, "there is no such tile: z is 0 to 24, x and y below 2**z") from None
        if layer.is_known_empty(z, x, y):
            # Costs no turn of the gate, and takes no place from tiles that show something.
            return Tile(empty_png()), True
        key = (name, z, x, y)
        with self._lock:
            kept = self.cache.get(key)
        if kept is not None:
            return kept, True
        if (task := self._making.get(key)) is None:
            task = self._making[key] = asyncio.create_task(
                self._gate.run(partial(self._make, layer, key))
            )
            task.add_done_callback(lambda done: self._made(key, done))
        # Shielded: one client that goes away takes the tile from nobody else.
        return await asyncio.shield(task), False

    def close(self) -> None:
        """Give up what is being made: those who asked are gone when the server stops."""
        for task in self._making.values():
            task.cancel()

    def _make(self, layer: Layer, key: Key) -> Tile:
        tile = Tile(layer.tile(*key[1:]))
        # Kept by the job itself: one that came too late for its answer is there for the next.
        with self._lock, suppress(ValueError):  # larger than the whole cache
            self.cache[key] = tile
        return tile

    def _made(self, key: Key, task: asyncio.Task[Tile]) -> None:
        del self._making[key]
        if not task.cancelled():
            # Looked at here, so that a failure whose client went away is no unheard one.
            task.exception()
