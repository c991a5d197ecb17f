"""A map layer: files of one scene, and the operator that makes a picture of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray

from geostack.loaders.sentinel2 import (
    REFLECTANCE_BANDS,
    band_assets,
    check_bands,
    offset_is_in,
    take_offset,
)
from geostack.read import Asset, with_dataset
from geostack.serve.pipeline import check_operator
from geotoolz.carrier import values_of
from pipekit import Operator

if TYPE_CHECKING:
    from pystac import Item

    from geostack.sources import Source

Box = tuple[float, float, float, float]
"""(west, south, east, north)."""

TILE = 256
_MERCATOR = "EPSG:3857"
_MERCATOR_EDGE = 20037508.342789244
"""Half the width of the Web Mercator square, metres (OGC 17-083r4, annex D)."""
_MAX_ZOOM = 24


@dataclass(frozen=True)
class Layer:
    """Files, one a band, and the operator that turns them into a picture.

    The operator gets a `GeoTensor` (C, H, W) in Web Mercator, NaN or `nodata` where there is no
    data, and returns colours: (3, H, W) or (4, H, W), uint8, or floats from 0 to 1 with NaN where
    there is nothing. Where no file has data the tile is transparent, whatever the operator says.
    It sees one tile at a time: stretches take fixed limits, or each tile gets its own colours.

    - `offsets`: which assets' numbers carry the +1000 that is to be taken away.
    - `halo`: pixels read around a tile and cut off after, for operators that look at neighbours.
    - `nodata`: of whole numbers; None where every number is one.

    Make it with `scene_layer` or `file_layer`.
    """

    assets: tuple[Asset, ...]
    operator: Operator
    offsets: tuple[bool, ...]
    title: str = ""
    halo: int = 0
    nodata: int | None = 0

    def __post_init__(self) -> None:
        check_operator(self.operator)
        if not self.assets or len(self.assets) != len(self.offsets):
            raise ValueError("a layer needs at least one file, and one offset flag for each")
        if not 0 <= self.halo <= TILE:
            raise ValueError(f"halo must be 0 to {TILE} pixels, got {self.halo}")

    @cached_property
    def config_hash(self) -> str:
        """A hash of the operator and of which files it is given, 16 hex digits."""
        parts = [self.operator.config_hash, str(self.halo)]
        for asset, offset in zip(self.assets, self.offsets, strict=True):
            parts += [asset.item_id, asset.key, str(asset.band), str(offset)]
        return sha256("\n".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def mercator_bounds(self) -> Box:
        """(west, south, east, north) in metres of Web Mercator, read once from the first file."""
        return self._bounds_in(_MERCATOR)

    @cached_property
    def bounds(self) -> Box:
        """(west, south, east, north) in degrees."""
        return self._bounds_in("EPSG:4326")

    def _bounds_in(self, crs: str) -> Box:
        from rasterio.warp import transform_bounds

        where, box = with_dataset(self.assets[0], lambda file: (file.crs, tuple(file.bounds)))
        west, south, east, north = transform_bounds(where, crs, *box)
        return west, south, east, north

    def describe(self, name: str) -> dict[str, Any]:
        """Return what `GET /layers` says of it."""
        return {
            "name": name,
            "title": self.title or name,
            "config_hash": self.config_hash,
            "bounds": list(self.bounds),
            "bands": [asset.key for asset in self.assets],
        }

    def is_known_empty(self, z: int, x: int, y: int) -> bool:
        """Return whether a tile lies outside the layer; False until a file was opened once."""
        known: Box | None = vars(self).get("mercator_bounds")
        return known is not None and _apart(tile_bounds(z, x, y), known)

    def tile(self, z: int, x: int, y: int) -> bytes:
        """Return a tile as PNG, 256 x 256 RGBA; `EMPTY` where the layer has nothing.

        No file is opened for a tile outside the layer. Raises ValueError for a tile that the
        pyramid does not have, and for an operator that makes no picture.
        """
        box = tile_bounds(z, x, y)
        if _apart(box, self.mercator_bounds):
            return empty_png()
        read = self._read(z, x, y, box)
        if read is None:
            return empty_png()
        raster, seen = read
        colours, opacity = picture(values_of(self.operator(raster)))
        opacity = np.where(seen, opacity, np.uint8(0))
        inner = slice(self.halo, self.halo + TILE)
        colours, opacity = colours[:, inner, inner], opacity[inner, inner]
        return encode_png(colours, opacity) if opacity.any() else empty_png()

    def _read(self, z: int, x: int, y: int, box: Box) -> tuple[GeoTensor, NDArray[np.bool_]] | None:
        """Return the tile's pixels with their halo, and which (H, W) a file has, or None."""
        from rasterio import Affine

        side = TILE + 2 * self.halo
        bands = []
        seen = np.zeros((side, side), bool)
        for (values, valid), offset in zip(self._each_band(z, x, y), self.offsets, strict=True):
            if offset:
                values = take_offset(values)
            if values.shape != (side, side):
                raise ValueError(f"a tile of {side} x {side} pixels came as {values.shape}")
            values[~valid] = np.nan if values.dtype.kind == "f" else self.nodata or 0
            seen |= valid if self.nodata is None else valid & (values != self.nodata)
            bands.append(values)
        if not seen.any():
            return None
        stack = np.stack(bands)
        step = (box[2] - box[0]) / TILE
        corner = (box[0] - self.halo * step, box[3] + self.halo * step)
        transform = Affine(step, 0, corner[0], 0, -step, corner[1])
        attrs = {"band_names": [asset.key for asset in self.assets]}
        fill = np.nan if stack.dtype.kind == "f" else self.nodata
        return GeoTensor(stack, transform, _MERCATOR, fill, attrs), seen

    def _each_band(
        self, z: int, x: int, y: int
    ) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
        """Yield each band of a tile, (rows, cols), and where it is valid, in the assets' order."""
        # Bands of one file lie in the same blocks: read together, each is decoded once.
        for _, same in groupby(self.assets, lambda asset: (asset.href, _resampling(asset))):
            yield from _read_tile(list(same), z, x, y, self.halo)


def scene_layer(
    item: Item,
    operator: Operator,
    bands: Sequence[str],
    source: Source,
    *,
    title: str = "",
    halo: int = 0,
) -> Layer:
    """Return a layer of one Sentinel-2 scene; `operator` gets harmonised digital numbers.

    Raises `AssetNotFoundError` when the item lacks a band, ValueError for an unknown one.
    """
    names = check_bands(bands)
    shift = offset_is_in(item)
    offsets = tuple(shift and name in REFLECTANCE_BANDS for name in names)
    assets = tuple(band_assets(item, names, source))
    return Layer(assets, operator, offsets, title or item.id, halo)


def file_layer(
    path: str | Path, operator: Operator, bands: Sequence[str], *, title: str = "", halo: int = 0
) -> Layer:
    """Return a layer of one local raster, whose bands, from the first, get the names `bands`.

    Raises FileNotFoundError for no file, `PixelReadError` for one that is no raster.
    """
    from geostack.sources.archive import ArchiveSource

    file = Path(path).absolute()
    if not file.is_file():
        raise FileNotFoundError(f"a layer needs a file, there is none at {path}")
    here = ArchiveSource([])
    assets = tuple(
        Asset(file.stem, name, str(file), here, band) for band, name in enumerate(bands, start=1)
    )
    offsets = (False,) * len(assets)
    return Layer(
        assets, operator, offsets, title or file.stem, halo, with_dataset(assets[0], _whole_nodata)
    )


def _whole_nodata(dataset: Any) -> int | None:
    """Return the nodata value of a file of whole numbers, or None when it has none."""
    value, kind = dataset.nodata, np.dtype(dataset.dtypes[0])
    if value is None or kind.kind not in "iu" or not float(value).is_integer():
        return None
    return int(value) if np.iinfo(kind).min <= value <= np.iinfo(kind).max else None


def tile_bounds(z: int, x: int, y: int) -> Box:
    """Return a tile's (west, south, east, north) in metres of Web Mercator.

    Raises ValueError for a tile that the pyramid does not have.

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


def _resampling(asset: Asset) -> Literal["nearest", "bilinear"]:
    return "nearest" if asset.key == "SCL" else "bilinear"


def _read_tile(
    assets: Sequence[Asset], z: int, x: int, y: int, halo: int
) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Return bands of one file on a tile, (rows, cols) each, and where each is valid."""
    from rio_tiler.io import Reader

    method = _resampling(assets[0])

    def read(dataset: Any) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
        with Reader(None, dataset=dataset) as reader:
            image = reader.tile(
                x,
                y,
                z,
                tilesize=TILE,
                indexes=[asset.band for asset in assets],
                buffer=halo or None,
                resampling_method=method,
                reproject_method=method,
            )
        masked = np.ma.getmaskarray(image.array)
        return [(np.array(image.array.data[n]), ~masked[n]) for n in range(len(assets))]

    return with_dataset(assets[0], read)


def picture(values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return colours (3, H, W) and opacity (H, W) of what an operator made.

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
    """Return a picture as PNG."""
    from rio_tiler.utils import render

    # Level 1: tiles are sent once and cached, and level 6 takes three times as long.
    return bytes(render(colours, opacity, img_format="PNG", ZLEVEL=1))


_empty: bytes | None = None
_empty_lock = threading.Lock()


def empty_png() -> bytes:
    """Return the tile without anything, made once."""
    global _empty
    with _empty_lock:
        if _empty is None:
            nothing = np.zeros((TILE, TILE), np.uint8)
            _empty = encode_png(np.stack([nothing] * 3), nothing)
    return _empty
