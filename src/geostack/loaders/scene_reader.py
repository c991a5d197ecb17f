"""A whole scene as a reader: nothing is read until a window of it is loaded."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import rasterio
from georeader.abstract_reader import GeoData
from georeader.geotensor import GeoTensor
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocatalog.grid import offset_of, part_of, raster_crs
from geocatalog.read.open import gdal_options, is_remote, open_file
from geostack.read import Asset, in_parallel, read_asset

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox


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
        The pixel grid of the result.
    take_offset
        For each band, whether Sentinel-2's +1000 is taken away.
    attrs
        Attributes of what is loaded.
    """

    dtype = np.dtype("uint16")
    """Always digital numbers."""
    dims: ClassVar[list[str]] = ["band", "y", "x"]
    fill_value_default = 0
    """What lies beyond the scene: no data."""

    def __init__(
        self,
        assets: Sequence[Asset],
        grid: GeoBox,
        *,
        take_offset: Sequence[bool],
        attrs: dict[str, Any],
    ) -> None:
        self.assets = tuple(assets)
        self.grid = grid
        self.take_offset = tuple(take_offset)
        self.attrs = dict(attrs)
        self._open = _OpenFiles(self.assets, grid)
        self._window = Window(0, 0, grid.shape[1], grid.shape[0])

    @property
    def crs(self) -> Any:
        """The coordinate reference system."""
        return raster_crs(self.grid)

    @property
    def transform(self) -> Any:
        """The affine transform of the upper left corner."""
        return _part(self.grid, self._window).transform

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return len(self.assets), int(self._window.height), int(self._window.width)

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
            Keep a window that hangs over the edge (filled with 0); otherwise it is clipped.

        Raises
        ------
        rasterio.windows.WindowError
            When a clipped window would be empty.
        """
        if not boundless:
            window = window.intersection(Window(0, 0, self.shape[2], self.shape[1]))
        return self._within(
            Window(
                self._window.col_off + int(window.col_off),
                self._window.row_off + int(window.row_off),
                int(window.width),
                int(window.height),
            )
        )

    def _within(self, window: Window) -> SceneReader:
        """Return a reader of a window in pixels of the scene, on the same open files."""
        part = SceneReader.__new__(SceneReader)
        part.__dict__.update(self.__dict__)
        part._window = window
        return part

    def load(self, boundless: bool = True) -> GeoTensor:
        """Return the pixels, (C, H, W) uint16.

        Parameters
        ----------
        boundless
            Keep what hangs over the scene's edge (filled with 0); otherwise it is cut off.
        """
        rows, cols = self.grid.shape
        if not boundless and not _is_inside(self._window, (rows, cols)):
            return self._within(self._window.intersection(Window(0, 0, cols, rows))).load()
        values = np.zeros(self.shape, dtype=self.dtype)

        def read(index: int) -> None:
            values[index] = self._band(index)

        remote = any(is_remote(asset.href) for asset in self.assets)
        each = in_parallel if remote or self.shape[1] * self.shape[2] > _WORTH_THREADS else map
        list(each(read, range(self.count)))
        return GeoTensor(values, self.transform, self.crs, 0, dict(self.attrs))

    def _band(self, index: int) -> NDArray[Any]:
        from geotoolz.radiometry import harmonize_baseline

        values = self._open.read(index, self._window)
        if values is None:
            asset = self.assets[index]
            (values,) = read_asset(asset, _part(self.grid, self._window))
        return np.asarray(harmonize_baseline(values)) if self.take_offset[index] else values


_WORTH_THREADS = 2048 * 2048
"""Pixels from which reading local bands in threads pays: each opens its own files."""


def _is_inside(window: Window, shape: tuple[int, int]) -> bool:
    return bool(
        window.col_off >= 0
        and window.row_off >= 0
        and window.col_off + window.width <= shape[1]
        and window.row_off + window.height <= shape[0]
    )


def _part(grid: GeoBox, window: Window) -> GeoBox:
    return part_of(grid, window.row_off, window.col_off, int(window.height), int(window.width))


class _OpenFiles:
    """The bands' files, open once in each thread: GDAL's handles are not shared by threads."""

    def __init__(self, assets: tuple[Asset, ...], grid: GeoBox) -> None:
        self._assets = assets
        self._grid = grid
        self._threads = threading.local()

    def __reduce__(self) -> Any:
        return _OpenFiles, (self._assets, self._grid)

    def read(self, index: int, window: Window) -> NDArray[Any] | None:
        """Return a band's window, or None when the plain way is needed."""
        if not _is_inside(window, self._grid.shape.yx):
            return None
        try:
            with rasterio.Env(**gdal_options(self._assets[index].href)):
                return np.asarray(self._dataset(index).read(1, window=window))
        except RasterioError:
            self._handles().pop(index, None)
            return None

    def _handles(self) -> dict[int, tuple[Any, ExitStack]]:
        # A forked process shares the file position of what its parent had open.
        if getattr(self._threads, "process", None) != os.getpid():
            self._threads.handles = {}
            self._threads.process = os.getpid()
        return self._threads.handles

    def _dataset(self, index: int) -> Any:
        handles = self._handles()
        if index not in handles:
            handles[index] = self._opened(self._assets[index])
        return handles[index][0]

    def _opened(self, asset: Asset) -> tuple[Any, ExitStack]:
        from geocatalog.read.onto_grid import as_resampling, grid_of, warped

        stack = ExitStack()
        dataset = stack.enter_context(open_file(asset.href, asset.source.sign))
        own = grid_of(dataset)
        if offset_of(self._grid, own) == (0, 0) and own.shape == self._grid.shape:
            return dataset, stack
        nodata = 0 if dataset.nodata is None else dataset.nodata
        view = warped(dataset, self._grid, as_resampling(asset.method), nodata)
        return stack.enter_context(view), stack
