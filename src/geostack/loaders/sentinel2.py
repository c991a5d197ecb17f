"""Sentinel-2 Level-2A: chips, stacks and whole tiles on their own grid, on one scale."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import rasterio
from georeader.abstract_reader import GeoData
from georeader.geotensor import GeoTensor
from rasterio.errors import RasterioError
from rasterio.windows import Window, union

from geocatalog.grid import offset_of, part_of, raster_crs
from geocatalog.read.open import gdal_options, is_remote, open_file
from geostack.areas import LAKE_TAHOE_BBOX, LAKE_TAHOE_TILE
from geostack.grid import as_data_array, cut, share_inside
from geostack.items import acquired, best_item, covering_items
from geostack.read import Asset, in_parallel, item_assets, item_attrs, read_asset, scene_grid
from geostack.request import BBox, Request, as_bands, as_count
from geostack.sources import Source
from geostack.stac import baseline_number, find_items, processing_baseline
from pipekit.carrier import changed
from pipekit.pixels import role_of
from pipekit.validity import nodata_decides

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox
    from pystac import Item

    from geopatcher.fields.raster import OpenDatasets

COLLECTION = "sentinel-2-l2a"

REFLECTANCE_BANDS = (
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12",
)  # fmt: skip
OTHER_BANDS = ("SCL", "AOT", "WVP")
BANDS = (*REFLECTANCE_BANDS, *OTHER_BANDS)
"""What a Level-2A product holds (ESA, Sentinel-2 Products Specification Document)."""

OFFSET_SINCE = datetime(2022, 1, 25, tzinfo=UTC)
"""Baseline 04.00 went live on this day: digital numbers carry +1000 from here on (ESA)."""

OFFSET_BASELINE = 4.0


def load_s2_chip(
    *,
    bbox: Sequence[float] = LAKE_TAHOE_BBOX,
    date_range: str = "2024-06-01/2024-07-15",
    tile: str | None = LAKE_TAHOE_TILE,
    bands: Sequence[str] = ("B02", "B03", "B04", "B08"),
    max_cloud_cover: float | None = 5.0,
    harmonize: bool = True,
    source: str | Source | None = None,
    dtype: str = "uint16",
) -> GeoTensor:
    """Return the clearest scene's bands over a box, as digital numbers.

    Of the scenes that have all of the bands, that is.

    Parameters
    ----------
    bbox
        (west, south, east, north), degrees. Its envelope in the tile's CRS grows outward to whole
        pixels of the first band; what reaches over the tile's edge is cut off (see
        `attrs["box_share"]`).
    date_range
        `start/end`, both days included.
    tile
        MGRS tile, such as "10SGJ"; None for any, preferring scenes that hold the whole box.
    bands
        Of `BANDS`. The first one's pixel grid is the chip's; other resolutions are resampled,
        bilinear, SCL nearest.
    max_cloud_cover
        Percent; None for any.
    harmonize
        Take away the +1000 that digital numbers carry since baseline 04.00. No-data stays 0; a
        valid number never becomes 0.
    source
        See `geostack.sources`.
    dtype
        Any type that holds every uint16: still digital numbers, in floats with NaN where there is
        no data.

    Returns
    -------
    (C, H, W) uint16, 0 where there is no data. Reflectance is DN * 1e-4 where
    `attrs["offset_applied"]` is true, else DN * 1e-4 - 0.1. `attrs` also holds `band_names`,
    `item_id`, `datetime`, `cloud_cover`, `source`, `processing_baseline` and `box_share` (the
    share of the box that lies on the tile, 0 to 1).

    Raises
    ------
    NoSceneError
        When nothing fits; says what there is instead.
    AssetNotFoundError
        When the scene lacks a band; lists those it has.
    OutsideTileError
        When the box lies outside the scene.
    PixelReadError
        When a file can't be read.
    SourceUnavailableError
        When no source can answer.
    ValueError
        For a dtype that cannot hold every uint16.

    Examples
    --------
    >>> box = (-120.05, 39.00, -120.03, 39.01)
    >>> load_s2_chip(bbox=box, bands=("B04", "B08"), source="simulated").shape
    (2, 118, 178)
    """
    kind = _number_type(dtype)
    request = _request(bands, bbox, date_range, tile, max_cloud_cover)
    chosen, item = _clearest(request, source)
    chip = scene_chip(item, request.assets, chosen, request.bbox, harmonize=harmonize)
    if kind.kind == "f":
        from geotoolz.carrier import nan_floats

        return changed(chip, values=nan_floats(chip.values, 0, kind), fill_value_default=np.nan)
    return changed(chip, values=chip.values.astype(kind, copy=False))


def _number_type(dtype: Any) -> np.dtype[Any]:
    kind = np.dtype(dtype)
    if not np.can_cast(np.uint16, kind) or kind.kind not in "iuf":
        raise ValueError(
            "dtype must hold every digital number, 0 to 65535, such as 'uint16', 'int32' or "
            f"'float32', got {kind.name!r}"
        )
    return kind


def load_s2_full_tile(
    *,
    bbox: Sequence[float] = LAKE_TAHOE_BBOX,
    date_range: str = "2024-06-01/2024-07-15",
    tile: str | None = LAKE_TAHOE_TILE,
    bands: Sequence[str] = ("B02", "B03", "B04", "B08"),
    max_cloud_cover: float | None = 5.0,
    harmonize: bool = True,
    source: str | Source | None = None,
) -> SceneReader:
    """Return the clearest scene over a box as a reader of the whole tile; nothing is read yet.

    Parameters are those of `load_s2_chip`; the box only says which scene.

    Returns
    -------
    A `SceneReader` of (C, H, W) uint16, for a tile (C, 10980, 10980): `read_from_window(window)`
    and `load()` read pixels, `RasterField(reader)` patches it.

    Raises
    ------
    NoSceneError, AssetNotFoundError, SourceUnavailableError
        As `load_s2_chip`.

    Examples
    --------
    >>> load_s2_full_tile(bands=("B04",), source="simulated").shape
    (1, 10980, 10980)
    """
    from geopatcher.fields.raster import OpenDatasets

    request = _request(bands, bbox, date_range, tile, max_cloud_cover)
    chosen, item = _clearest(request, source)
    assets = band_assets(item, request.assets, chosen, harmonize=harmonize)
    grid = scene_grid(item, assets[0])
    attrs = scene_attrs(item, request.assets, chosen, harmonize=harmonize)
    whole = Window(0, 0, grid.shape[1], grid.shape[0])
    return SceneReader(assets, grid, whole, attrs, OpenDatasets())


@dataclass(eq=False, repr=False)
class SceneReader(GeoData):
    """Bands of one scene on one pixel grid, read window by window; speaks georeader's protocol.

    Files stay open in each thread that reads, so that blocks shared by neighbouring windows are
    decoded once. A read that fails is repeated through the ordinary, patient path. It pickles; the
    copy opens its own files.

    Parameters
    ----------
    assets
        One per band.
    grid
        The scene's pixel grid.
    window
        Which pixels of it are read; what lies beyond the scene is 0.
    attrs
        Attributes of what is loaded.
    files
        What keeps files open.
    """

    dtype = np.dtype("uint16")
    """Always digital numbers."""
    dims: ClassVar[list[str]] = ["band", "y", "x"]
    fill_value_default = 0
    """What lies beyond the scene: no data."""

    assets: Sequence[Asset]
    grid: GeoBox
    window: Window
    attrs: dict[str, Any]
    files: OpenDatasets

    @property
    def crs(self) -> Any:
        """The coordinate reference system."""
        return raster_crs(self.grid)

    @property
    def transform(self) -> Any:
        """The affine transform of the upper left corner."""
        return self._part.transform

    @property
    def _part(self) -> GeoBox:
        col, row, cols, rows = self.window.flatten()
        return part_of(self.grid, row, col, cols=cols, rows=rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return len(self.assets), int(self.window.height), int(self.window.width)

    @property
    def count(self) -> int:
        """The number of bands."""
        return len(self.assets)

    def __repr__(self) -> str:
        bands = ", ".join(asset.key for asset in self.assets)
        scene = self.attrs.get("item_id", "")
        return f"SceneReader({scene}, bands=({bands}), shape={self.shape}, crs={self.crs})"

    def read_from_window(self, window: Window, boundless: bool = True) -> SceneReader:
        """Return a reader of a window of this one, still unread.

        Parameters
        ----------
        window
            In pixels of this reader.
        boundless
            Keep a window that reaches over the edge (filled with 0); otherwise it is clipped.

        Returns
        -------
        On the same open files.

        Raises
        ------
        rasterio.windows.WindowError
            When a clipped window would be empty.
        """
        if not boundless:
            window = window.intersection(Window(0, 0, self.shape[2], self.shape[1]))
        col, row, cols, rows = map(int, window.flatten())
        own = self.window
        return replace(self, window=Window(own.col_off + col, own.row_off + row, cols, rows))

    def load(self, boundless: bool = True) -> GeoTensor:
        """Return the pixels, (C, H, W) uint16.

        Parameters
        ----------
        boundless
            Keep what reaches over the scene's edge (filled with 0); otherwise it is cut off.

        Returns
        -------
        With the reader's `attrs`; 0 where there is no data.
        """
        whole = Window(0, 0, self.grid.shape[1], self.grid.shape[0])
        is_inside = union(whole, self.window) == whole
        if not boundless and not is_inside:
            return replace(self, window=self.window.intersection(whole)).load()
        values = np.zeros(self.shape, dtype=self.dtype)

        def read(index: int) -> None:
            asset = self.assets[index]
            band = self._quickly(asset) if is_inside else None
            values[index] = read_asset(asset, self._part)[0] if band is None else band

        remote = any(is_remote(asset.href) for asset in self.assets)
        each = in_parallel if remote or self.shape[1] * self.shape[2] > _WORTH_THREADS else map
        list(each(read, range(self.count)))
        return GeoTensor(values, self.transform, self.crs, 0, dict(self.attrs))

    def _quickly(self, asset: Asset) -> NDArray[Any] | None:
        """Return the window from a file that stays open, or None when the plain way is needed."""
        try:
            with rasterio.Env(**gdal_options(asset.href)):
                file = self.files.get(asset.href, lambda _: self._opened(asset))
                own = getattr(file, "src_dataset", file)  # of one that is resampled
                as_is = own.dtypes[0] in ("uint8", "uint16") and own.nodata in (None, 0)
                if as_is and nodata_decides(own, [1]):
                    return asset.without_offset(np.asarray(file.read(1, window=self.window)))
        except RasterioError:
            self.files.close()
        return None

    def _opened(self, asset: Asset) -> Any:
        """Return a file with the reader's pixels: opened as it is, or resampled as it is read."""
        from geocatalog.read.onto_grid import as_resampling, grid_of, warped

        dataset = open_file(asset.href, asset.source.sign)
        own = grid_of(dataset)
        if offset_of(self.grid, own) == (0, 0) and own.shape == self.grid.shape:
            return dataset
        nodata = 0 if dataset.nodata is None else dataset.nodata
        return warped(dataset, self.grid, as_resampling(asset.method), nodata)


_WORTH_THREADS = 2048 * 2048
"""Pixels from which reading local bands in threads pays: each opens its own files."""


def load_s2_timestack(
    *,
    bbox: Sequence[float] = LAKE_TAHOE_BBOX,
    date_range: str = "2024-06-01/2024-07-31",
    tile: str | None = LAKE_TAHOE_TILE,
    bands: Sequence[str] = ("B04", "B08"),
    max_items: int = 6,
    max_cloud_cover: float | None = 15.0,
    harmonize: bool = True,
    source: str | Source | None = None,
) -> tuple[GeoTensor, pd.DatetimeIndex, xr.DataArray]:
    """Return the clearest scenes over a box as one stack in order of time, on one pixel grid.

    Parameters
    ----------
    bbox, date_range, tile, bands, harmonize, source
        See `load_s2_chip`; SCL may be one of the bands.
    max_items
        At most so many scenes, the clearest of those that show as much of the box as any does.
    max_cloud_cover
        Percent; None for any.

    Returns
    -------
    stack
        (T, C, H, W) uint16 `GeoTensor`, 0 where there is no data; `attrs` hold `band_names`,
        `item_ids`, `cloud_covers`, `processing_baselines`, `source` and `offset_applied` (true
        when it holds for every scene).
    dates
        (T,) acquisition times, UTC, rising.
    reference
        (y, x) uint16, the first scene's first band with coordinates and CRS; SCL says in
        `attrs["band_roles"]` that it holds classes.

    Raises
    ------
    NoSceneError, AssetNotFoundError, OutsideTileError, PixelReadError, SourceUnavailableError
        As `load_s2_chip`.

    Examples
    --------
    >>> box = (-120.05, 39.00, -120.03, 39.01)
    >>> stack, dates, _ = load_s2_timestack(bbox=box, max_items=2, source="simulated")
    >>> stack.shape, list(dates.strftime("%m-%d"))
    ((2, 2, 118, 178), ['06-14', '07-07'])
    """
    import pandas as pd

    request = _request(bands, bbox, date_range, tile, max_cloud_cover)
    names = request.assets
    max_items = as_count("max_items", max_items)
    chosen, items = find_items(request, limit=4 * max_items, source=source)
    items = covering_items(items, request.bbox)[:max_items]
    items = sorted(items, key=lambda item: acquired(item.properties))
    assets = [band_assets(item, names, chosen, harmonize=harmonize) for item in items]
    grid = cut(scene_grid(items[0], assets[0][0]), request.bbox)
    values = _read_stack(assets, grid)
    each = [scene_attrs(item, names, chosen, harmonize=harmonize) for item in items]
    attrs = {
        "band_names": list(names),
        "item_ids": [item.id for item in items],
        "cloud_covers": [own["cloud_cover"] for own in each],
        "processing_baselines": [own["processing_baseline"] for own in each],
        "source": chosen.name,
        "offset_applied": all(own["offset_applied"] for own in each),
    }
    stack = GeoTensor(values, grid.transform, raster_crs(grid), 0, attrs)
    dates = pd.DatetimeIndex([acquired(item.properties).replace(tzinfo=None) for item in items])
    role = {"band_roles": role_of(names[0])} if role_of(names[0]) != "quantity" else {}
    return stack, dates, as_data_array(values[0, 0], grid, names[0], **role)


def _request(
    bands: Sequence[str], bbox: Any, dates: str, tile: str | None, most_cloud: float | None
) -> Request:
    names = check_bands(bands)
    return Request(COLLECTION, bbox, dates, tile=tile, max_cloud_cover=most_cloud, assets=names)


def _clearest(request: Request, source: str | Source | None) -> tuple[Source, Item]:
    """Return who answers, and the clearest scene that shows most of the box."""
    chosen, items = find_items(request, source=source)
    return chosen, best_item(items, request.bbox)


def scene_chip(
    item: Item,
    names: Sequence[str],
    source: Source,
    bbox: BBox,
    *,
    harmonize: bool = True,
    check: Callable[[GeoBox], object] = lambda grid: None,
) -> GeoTensor:
    """Return the part of a scene that lies in a box, as `load_s2_chip` does.

    Parameters
    ----------
    item
        A Level-2A scene.
    names
        Its bands, of `BANDS`.
    source
        Signs their files.
    bbox
        (west, south, east, north), degrees.
    harmonize
        Take away the +1000 of baseline 04.00.
    check
        Called with the chip's grid before a pixel is read, to refuse it by an error.

    Returns
    -------
    (C, H, W) uint16, 0 where there is no data.

    Raises
    ------
    AssetNotFoundError
        When the scene lacks a band.
    OutsideTileError
        When the box lies outside the scene.
    PixelReadError
        When a file can't be read.
    """
    assets = band_assets(item, names, source, harmonize=harmonize)
    scene = scene_grid(item, assets[0])
    grid = cut(scene, bbox)
    check(grid)
    attrs = scene_attrs(item, names, source, harmonize=harmonize)
    attrs["box_share"] = round(share_inside(scene, bbox), 4)
    (values,) = _read_stack([assets], grid)
    return GeoTensor(values, grid.transform, raster_crs(grid), 0, attrs)


def _read_stack(assets: Sequence[Sequence[Asset]], grid: GeoBox) -> NDArray[np.uint16]:
    values = np.zeros((len(assets), len(assets[0]), *grid.shape), dtype=np.uint16)

    def read(job: tuple[int, ...]) -> None:
        time, band = job
        (values[job],) = read_asset(assets[time][band], grid)

    in_parallel(read, list(np.ndindex(values.shape[:2])))
    return values


def check_bands(bands: Sequence[str]) -> tuple[str, ...]:
    """Return band names as Level-2A writes them.

    Parameters
    ----------
    bands
        One name or several, in any case; b4 is B04.

    Returns
    -------
    Of `BANDS`, in the order asked for.

    Raises
    ------
    ValueError
        For no band, a repeated or an unknown one; the message lists the known ones.

    Examples
    --------
    >>> check_bands(["b4", "SCL"])
    ('B04', 'SCL')
    """
    names = (bands,) if isinstance(bands, str) else () if bands is None else bands
    padded = (re.sub(r"^B(\d)$", r"B0\1", str(name).strip().upper()) for name in names)
    return as_bands(list(padded), BANDS, "Sentinel-2")


def band_assets(
    item: Item, names: Sequence[str], source: Source, *, harmonize: bool = True
) -> list[Asset]:
    """Return one asset per band.

    Parameters
    ----------
    item
        A Level-2A scene.
    names
        Of `BANDS`.
    source
        Signs their files.
    harmonize
        Let them be read without the +1000 of baseline 04.00 where they carry it.

    Returns
    -------
    In the order of `names`.

    Raises
    ------
    AssetNotFoundError
        When the item lacks one; the message lists those it has.
    """
    shift = harmonize and offset_is_in(item)
    assets = item_assets(item, names, source, BANDS)
    return [replace(each, offset=shift and each.key in REFLECTANCE_BANDS) for each in assets]


def offset_is_in(item: Item) -> bool:
    """Return whether an item's digital numbers carry the +1000 offset.

    By processing baseline (04.00 and later carry it) unless the provider says that it is taken
    away (`earthsearch:boa_offset_applied`); by date where no baseline is recorded.

    Parameters
    ----------
    item
        A Level-2A scene.

    Returns
    -------
    Whether they do.
    """
    if item.properties.get("earthsearch:boa_offset_applied"):
        return False
    baseline = baseline_number(item)
    if baseline is not None:
        return baseline >= OFFSET_BASELINE
    return acquired(item.properties) >= OFFSET_SINCE


def scene_attrs(
    item: Item, names: Sequence[str], source: Source, *, harmonize: bool
) -> dict[str, Any]:
    """Return the attributes that every Sentinel-2 carrier of ours has.

    Parameters
    ----------
    item
        The scene.
    names
        The names of the raster's bands.
    source
        Who had it.
    harmonize
        Whether the offset was taken away.

    Returns
    -------
    Those of `geostack.read.item_attrs`, `processing_baseline` and `offset_applied`.
    """
    return {
        **item_attrs(item, names, source),
        "processing_baseline": processing_baseline(item),
        "offset_applied": harmonize or not offset_is_in(item),
    }
