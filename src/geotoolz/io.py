"""Read rasters, and write cloud-optimised GeoTIFFs that keep names, nodata and provenance."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray
from rasterio import Affine

from geocatalog.errors import PixelReadError
from geocatalog.read.open import with_dataset
from geotoolz.bands import band_names
from geotoolz.carrier import NAN, Raster, attrs_of, fill_of
from geotoolz.function_operator import check_choice
from geotoolz.warp import Bounds, georeferenced, pixels_within
from pipekit import Operator
from pipekit.files import beside

if TYPE_CHECKING:
    from rasterio import DatasetReader

PathLike = str | os.PathLike[str]

_BLOCK = 512
_PREDICTING = ("deflate", "lzw", "zstd")
_LOSSLESS = (*_PREDICTING, "lzma", "none")
_OVERVIEWS = (
    "average", "bilinear", "cubic", "cubicspline", "gauss", "lanczos", "mode", "nearest", "rms",
)  # fmt: skip
_NOT_ATTRS = ("AREA_OR_POINT", "OVR_RESAMPLING_ALG")


def read(
    path: PathLike,
    bounds: Bounds | None = None,
    *,
    crs: Any = None,
    bands: Sequence[int | str] | None = None,
) -> GeoTensor:
    """Read a raster file, or the part of it within a box.

    Parameters
    ----------
    path
        Anything rasterio opens, URLs included.
    bounds
        (west, south, east, north) in `crs`; the whole pixels that touch it are read, and nothing
        else.
    crs
        Of the box, in any form; by default the file's own.
    bands
        Which, by position from 0 or by name; all by default.

    Returns
    -------
    A `GeoTensor` (C, H, W) in the file's dtype. `fill_value_default` is the file's nodata value
    (None if it has none), `attrs` its tags, `attrs["band_names"]` its band descriptions.

    Raises
    ------
    ValueError
        When the box does not meet the file.
    KeyError, IndexError
        For a band that the file does not have.
    rasterio.errors.RasterioIOError
        When it can't be opened.

    Examples
    --------
    >>> import tempfile
    >>> tile = GeoTensor(np.ones((1, 8, 8), "float32"), Affine(10, 0, 0, 0, -10, 80), "EPSG:32632")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_cog(tile, f"{folder}/ones.tif")
    ...     read(path, bounds=(0, 40, 40, 80)).shape
    (1, 4, 4)
    """
    from rasterio.windows import Window

    def action(file: DatasetReader) -> GeoTensor:
        window = Window(0, 0, file.width, file.height)
        if bounds is not None:
            row, col, rows, cols = pixels_within(file, bounds, crs)
            window = Window(col, row, cols, rows)
        chosen = range(file.count) if bands is None else _positions(file, bands)
        values = file.read([i + 1 for i in chosen], window=window)
        attrs = {k: _decoded(v) for k, v in file.tags().items() if k not in _NOT_ATTRS}
        return _carried(file, values, file.window_transform(window), chosen, attrs)

    return _opened(path, action)


def read_overview(path: PathLike, max_pixels: int) -> GeoTensor:
    """Read a whole file at a size of about `max_pixels` pixels, from its overviews if it has any.

    Classes in 8-bit integers are thinned, everything else averaged.

    Parameters
    ----------
    path
        Anything rasterio opens, URLs included.
    max_pixels
        About how many the result has.

    Returns
    -------
    A `GeoTensor` (C, H, W) in the file's dtype, as from `read`, without the file's tags.

    Raises
    ------
    rasterio.errors.RasterioIOError
        When it can't be opened.

    Examples
    --------
    >>> import tempfile
    >>> tile = GeoTensor(np.ones((1, 80, 80), "float32"), Affine(1, 0, 0, 0, -1, 80), "EPSG:32632")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_overview(write_cog(tile, f"{folder}/ones.tif"), 400).shape
    (1, 20, 20)
    """
    from rasterio.enums import Resampling

    def action(file: DatasetReader) -> GeoTensor:
        factor = max(1.0, math.sqrt(file.width * file.height / max_pixels))
        rows, cols = math.ceil(file.height / factor), math.ceil(file.width / factor)
        method = Resampling.nearest if file.dtypes[0] == "uint8" else Resampling.average
        values = file.read(out_shape=(file.count, rows, cols), resampling=method)
        scale = Affine.scale(file.width / cols, file.height / rows)
        return _carried(file, values, file.transform * scale, range(file.count), {})

    return _opened(path, action)


def _carried(
    file: DatasetReader,
    values: NDArray[Any],
    transform: Affine,
    positions: Sequence[int],
    attrs: dict[str, Any],
) -> GeoTensor:
    """Return pixels of a file with its CRS, nodata value and names of bands."""
    names = [file.descriptions[i] for i in positions]
    if any(names):
        attrs["band_names"] = [name or f"band_{i}" for i, name in enumerate(names)]
    crs = None if file.crs is None else file.crs.to_string()
    return GeoTensor(values, transform, crs, _nodata(file.nodata, values.dtype), attrs)


def _opened(path: PathLike, action: Callable[[DatasetReader], GeoTensor]) -> GeoTensor:
    """Return `action` of an opened file, failures of the network tried again."""
    from rasterio.errors import RasterioIOError

    try:
        return with_dataset(os.fspath(path), action)
    except PixelReadError as error:
        raise RasterioIOError(str(error)) from None


def write_cog(
    raster: Raster,
    path: PathLike,
    tags: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
    compress: str = "deflate",
    overview_resampling: str | None = None,
) -> Path:
    """Write a cloud-optimised GeoTIFF with overviews, beside its target and then renamed.

    A reader sees the old file or the whole new one, never a part.

    Parameters
    ----------
    raster
        `GeoTensor` (H, W) or (C, H, W) with a CRS. Booleans are written as 0 and 1.
    path
        In a folder that exists.
    tags
        To add to those made of the attributes. Attributes become tags, what is not text as JSON
        (`attrs["provenance"]` among them), `attrs["band_names"]` the band descriptions.
    overwrite
        Whether an existing file is replaced.
    compress
        "deflate", "lzw", "zstd", "lzma" or "none"; all keep every bit.
    overview_resampling
        "average" by default, "nearest" for 8-bit integers and masks, which are mostly classes.

    Returns
    -------
    The path.

    Raises
    ------
    FileExistsError
        For an existing file unless `overwrite`.
    FileNotFoundError
        For a missing folder.

    Examples
    --------
    >>> import tempfile
    >>> tile = GeoTensor(np.ones((1, 8, 8), "float32"), Affine(10, 0, 0, 0, -10, 80), "EPSG:32632")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read(write_cog(tile, f"{folder}/ones.tif", tags={"author": "me"})).attrs
    {'author': 'me'}
    """
    source = georeferenced(raster, "writing a COG")
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists; give overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; create it first")
    check_choice(compress.lower(), "compress", _LOSSLESS)
    values = _as_bands(source)
    method = overview_resampling or ("nearest" if values.dtype.itemsize == 1 else "average")
    check_choice(method, "overview_resampling", _OVERVIEWS)
    with beside(target) as unfinished:
        _write(unfinished, source, values, _tags(source, tags), compress, method)
    return target


def _write(
    path: Path,
    source: GeoTensor,
    values: NDArray[Any],
    tags: Mapping[str, str],
    compress: str,
    overview_resampling: str,
) -> None:
    import rasterio
    from rasterio.crs import CRS
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    fill = None if source.values.dtype == np.bool_ else fill_of(source)
    if fill is None and values.dtype.kind == "f":
        fill = NAN
    header = {
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": values.dtype.name,
        "crs": CRS.from_user_input(source.crs),
        "transform": source.transform,
        "nodata": fill,
    }
    predicts = compress.lower() in _PREDICTING and values.dtype.kind in "iuf"
    options = {
        "compress": compress,
        "predictor": "YES" if predicts else "NO",
        "blocksize": _BLOCK,
        "bigtiff": "IF_SAFER",
        "overview_resampling": overview_resampling,
        "num_threads": "ALL_CPUS",
    }
    # Written directly, a COG of 64-bit integers loses its nodata value; copied, it does not.
    indirect = values.dtype.name in ("int64", "uint64")
    driver: Any = (
        {"driver": "GTiff", "bigtiff": "IF_SAFER"} if indirect else {"driver": "COG", **options}
    )
    with MemoryFile() as memory:
        with rasterio.open(memory.name if indirect else path, "w", **driver, **header) as file:
            file.write(values)
            file.update_tags(**tags)
            for position, name in enumerate(_descriptions(source, len(values)), start=1):
                file.set_band_description(position, name)
        if indirect:
            copy(memory.name, path, driver="COG", **options)


def _as_bands(source: GeoTensor) -> NDArray[Any]:
    values = source.values[None] if source.values.ndim == 2 else source.values
    if values.ndim != 3 or values.size == 0:
        raise ValueError(f"a COG holds (H, W) or (C, H, W) with pixels, got shape {source.shape}")
    writable = {np.dtype(np.bool_): np.uint8, np.dtype(np.float16): np.float32}
    return values.astype(writable.get(values.dtype, values.dtype), copy=False)


def _descriptions(source: GeoTensor, count: int) -> tuple[str, ...]:
    names, title = band_names(source), attrs_of(source).get("long_name")
    if len(names) == count:
        return names
    return (str(title),) if count == 1 and title else ()


def _tags(source: GeoTensor, extra: Mapping[str, Any] | None) -> dict[str, str]:
    attrs = {k: v for k, v in attrs_of(source).items() if k != "band_names"}
    return {str(k): _encoded(v) for k, v in {**attrs, **(extra or {})}.items()}


def _encoded(value: Any) -> str:
    """Return text that `_decoded` turns back: text as it is, unless it would read as JSON."""
    if isinstance(value, str) and isinstance(_decoded(value), str) and value == _decoded(value):
        return value
    # Numpy's numbers and arrays as Python's, anything else that JSON lacks as its text.
    numpys = np.generic | np.ndarray
    return json.dumps(value, default=lambda v: v.tolist() if isinstance(v, numpys) else str(v))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nodata(nodata: float | None, kind: np.dtype[Any]) -> float | int | None:
    if nodata is None:
        return NAN if kind.kind == "f" else None
    return int(nodata) if kind.kind in "iu" and float(nodata).is_integer() else float(nodata)


def _positions(file: DatasetReader, bands: Sequence[int | str]) -> list[int]:
    names, count = [name or "" for name in file.descriptions], file.count
    found = []
    for band in bands:
        if isinstance(band, str) and band not in names:
            raise KeyError(f"no band {band!r}; the file has {names}")
        position = names.index(band) if isinstance(band, str) else band
        if not -count <= position < count:
            raise IndexError(f"band {band} is out of range for a file of {count} bands")
        found.append(position % count)
    return found


@dataclass(repr=False, eq=False)
class ReadGeoTensor(Operator):
    """A path in, a `GeoTensor` out: `read` as an operator.

    Parameters
    ----------
    bounds
        (west, south, east, north) in `crs`; the whole file by default.
    crs
        Of the box, in any form; by default the file's own.
    bands
        Which, by position from 0 or by name; all by default.

    Examples
    --------
    >>> ReadGeoTensor(bands=("B04",))
    ReadGeoTensor(bounds=None, crs=None, bands=('B04',))
    """

    touches_files = True

    bounds: Bounds | None = None
    crs: str | int | None = None
    bands: Sequence[int | str] | None = None

    def _apply(self, path: PathLike) -> GeoTensor:
        return read(path, self.bounds, crs=self.crs, bands=self.bands)


@dataclass(repr=False, eq=False)
class WriteCOG(Operator):
    """Write a raster to `path` and pass it on: `write_cog` as an operator.

    Parameters
    ----------
    path
        In a folder that exists.
    tags
        To add to those made of the attributes.
    overwrite
        Whether an existing file is replaced.

    Examples
    --------
    >>> WriteCOG("ndvi.tif", overwrite=True).path
    'ndvi.tif'
    """

    touches_files = True

    path: PathLike
    tags: Mapping[str, Any] | None = None
    overwrite: bool = False

    def _apply(self, raster: Raster) -> Raster:
        write_cog(raster, self.path, self.tags, overwrite=self.overwrite)
        return raster
