"""Read rasters, and write cloud-optimised GeoTIFFs that keep names, nodata and provenance."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray
from rasterio import Affine, DatasetReader

from geocatalog.errors import PixelReadError
from geocatalog.read.bands import Bands, as_asked, data_indexes, lacks_place, read_bands
from geocatalog.read.open import with_dataset
from geotoolz.bands import band_names, position_of
from geotoolz.carrier import NAN, Raster, attrs_of
from geotoolz.warp import Bounds, georeferenced, pixels_within
from pipekit.carrier import crs_of
from pipekit.files import keep_inputs, place_to_write, whole
from pipekit.full_disk import gdal_writes
from pipekit.legend import classes_of, colour_table, write_names
from pipekit.operator import Operator, checked_option
from pipekit.pixels import (
    GUIDE,
    ROLE_TAG,
    band_roles,
    check_fill,
    check_header,
    plain,
    role_of,
    roles_in_file,
)
from pipekit.places import Place
from pipekit.validity import alpha_beside, nodata_decides

PathLike = str | os.PathLike[str]

_BLOCK = 512
_PREDICTING = ("deflate", "lzw", "zstd")
_LOSSLESS = (*_PREDICTING, "lzma", "none")
_OVERVIEWS = (
    "average", "bilinear", "cubic", "cubicspline", "gauss", "lanczos", "mode", "nearest", "rms",
)  # fmt: skip
_NOT_ATTRS = ("AREA_OR_POINT", "OVR_RESAMPLING_ALG")
_SCALING = ("scale_factor", "add_offset")
_STORED = ("#scale_factor", "#add_offset", "#_FillValue", "#missing_value", "#valid_range")
"""How GDAL names what NetCDF files say of stored numbers, which need not hold for what was read."""


def read(
    path: PathLike,
    bounds: Bounds | None = None,
    *,
    crs: Any = None,
    bands: Sequence[int | str] | None = None,
    scaled: bool = True,
) -> GeoTensor:
    """Read a raster file, or the part of it within a box.

    What the file's mask or alpha band hides is nodata. A scale and an offset are applied to bands
    that hold quantities, so that pixels are physical values.

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
        Which, by position from 0 or by name; by default all but an alpha band.
    scaled
        False gives the stored numbers of a file with a scale or an offset.

    Returns
    -------
    A `GeoTensor` (C, H, W) in the file's dtype; physical values are float32, or float64 where the
    file is. `fill_value_default` is the file's nodata value (None if it has none), NaN in floats
    whose pixels a mask hides or that were scaled; hidden pixels of integers have a number that no
    other holds. `attrs` are the file's tags, `attrs["band_names"]` its band descriptions,
    `attrs["band_roles"]` what bands hold where they are not all quantities.

    Raises
    ------
    ValueError
        When the box does not meet the file, or the file has no place that it could meet.
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

    def plan(file: DatasetReader) -> _Plan:
        window = Window(0, 0, file.width, file.height)
        if bounds is not None:
            pointed = file.crs is None and (crs is not None or file.gcps[0] or file.rpcs)
            if pointed:
                raise ValueError(lacks_place(file, os.fspath(path)))
            row, col, rows, cols = pixels_within(file, bounds, crs)
            window = Window(col, row, cols, rows)
        names = [name or "" for name in file.descriptions]
        chosen = data_indexes(file)
        if bands is not None:
            chosen = [position_of(band, names, "file") + 1 for band in bands]
        attrs = {k: _decoded(v) for k, v in file.tags().items() if _is_attr(k)}
        return chosen, file.window_transform(window), attrs, {"scaled": scaled, "window": window}

    return _read(path, plan)


def read_overview(path: PathLike, max_pixels: int) -> GeoTensor:
    """Read a whole file at a size of about `max_pixels` pixels, from its overviews if it has any.

    Classes, bits and masks are thinned, and so are 8-bit integers, which mostly are classes;
    everything else is averaged. Masks, scale and offset count as in `read`.

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

    def plan(file: DatasetReader) -> _Plan:
        factor = max(1.0, math.sqrt(file.width * file.height / max_pixels))
        rows, cols = math.ceil(file.height / factor), math.ceil(file.width / factor)
        scale = Affine.scale(file.width / cols, file.height / rows)
        chosen = data_indexes(file)
        thinned = file.dtypes[0] == "uint8" or set(roles_in_file(file, chosen)) != {"quantity"}
        # GDAL's means see one thing that hides: nodata values, a mask or an alpha band.
        beside = alpha_beside(file) or any(value is not None for value in file.nodatavals)
        thinned = thinned or bool(beside and not nodata_decides(file, chosen))
        method = Resampling.nearest if thinned else Resampling.average
        how = {"out_shape": (len(chosen), rows, cols), "resampling": method}
        return chosen, file.transform * scale, {}, how

    return _read(path, plan)


_Plan = tuple[list[int], Affine, dict[str, Any], dict[str, Any]]
"""Bands of a file, the transform of what is read, tags to carry, and options of the read."""


def _read(path: PathLike, plan: Callable[[DatasetReader], _Plan]) -> GeoTensor:
    """Return what `plan` chooses of a file with its place, nodata value, and names and roles."""
    from rasterio.errors import RasterioIOError

    def action(file: DatasetReader) -> GeoTensor:
        indexes, place, attrs, how = plan(file)
        crs = None if file.crs is None else file.crs.to_string()
        with as_asked(file, indexes) as asked:
            values, nodata = read_bands(asked, indexes, **how)
            return GeoTensor(values, place, crs, nodata, attrs | Bands.of(asked, indexes).attrs)

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
) -> Path | Place:
    """Write a cloud-optimised GeoTIFF with overviews, beside its target and then renamed.

    One for an object store ("s3://bucket/a.tif") is written here and put in one upload. A reader
    sees the old file or the whole new one, never a part. No raster takes the place of a file that
    its `attrs["files"]` name as one it was made of, as those of a catalog do.

    Parameters
    ----------
    raster
        `GeoTensor` (H, W) or (C, H, W) with a CRS. Booleans are written as 0 and 1. What bands hold
        is kept as their metadata item `band_role`. A map of classes whose `attrs["classes"]` name
        them has its colour table, and the names beside it (.aux.xml). `attrs["scale_factor"]` and
        `attrs["add_offset"]` become the bands' scale and offset, which readers apply.
    path
        In a folder that exists, or on an object store.
    tags
        To add to those made of the attributes. Attributes become tags, what is not text as JSON
        (`attrs["provenance"]` among them), `attrs["band_names"]` the band descriptions.
    overwrite
        Whether an existing file is replaced.
    compress
        "deflate", "lzw", "zstd", "lzma" or "none"; all keep every bit.
    overview_resampling
        "average" by default; "mode" for classes; "nearest" for other 8-bit integers, and where a
        band holds bits or a mask, which take "mode" beside it.

    Returns
    -------
    The path.

    Raises
    ------
    FileExistsError
        For an existing file unless `overwrite`.
    FileNotFoundError
        For a missing folder.
    ValueError
        For a nodata value that the dtype cannot hold, or averages of bands that are no quantities.

    Examples
    --------
    >>> import tempfile
    >>> tile = GeoTensor(np.ones((1, 8, 8), "float32"), Affine(10, 0, 0, 0, -10, 80), "EPSG:32632")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read(write_cog(tile, f"{folder}/ones.tif", tags={"author": "me"})).attrs
    {'author': 'me'}
    """
    source = georeferenced(raster, "writing a COG")
    target = place_to_write(path, "path must be a file")
    if not overwrite and target.exists():
        raise FileExistsError(f"{target} exists; give overwrite=True to replace it")
    made_of = attrs_of(source).get("files")
    keep_inputs(target, made_of if isinstance(made_of, list | tuple) else (), "write_cog")
    if isinstance(target, Path) and not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; create it first")
    checked_option(compress.lower(), "compress", _LOSSLESS)
    values = _as_bands(source)
    roles = band_roles(source)
    method = overview_resampling or _overview_method(values, roles)
    checked_option(method, "overview_resampling", _OVERVIEWS)
    if method not in ("nearest", "mode") and set(roles) != {"quantity"}:
        raise ValueError(
            f"overview_resampling={method!r} would mix numbers of bands that hold {roles}; "
            f"leave it out, or give 'nearest' or 'mode'; {GUIDE}"
        )
    single = len(values) == 1 and set(roles) == {"class"}
    classes = classes_of(attrs_of(source)) if single else {}
    colours = colour_table(classes, values.dtype.name)
    with whole(target) as made, gdal_writes(target if isinstance(target, Path) else made):
        _write(made, source, values, _tags(source, tags), compress, method, colours)
    if isinstance(target, Path):
        write_names(target, classes)
    return target


def _write(
    path: Path,
    source: GeoTensor,
    values: NDArray[Any],
    tags: Mapping[str, str],
    compress: str,
    overview_resampling: str,
    colours: Mapping[int, tuple[int, ...]],
) -> None:
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    fill = None if source.values.dtype == np.bool_ else source.fill_value_default
    fill = check_fill(fill, values.dtype, "fill_value_default")
    check_header(fill, values.dtype)
    if fill is None and values.dtype.kind == "f":
        fill = NAN
    header = {
        "count": len(values),
        "height": values.shape[1],
        "width": values.shape[2],
        "dtype": values.dtype.name,
        "crs": crs_of(source.crs),
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
            names = _descriptions(source, len(values)) or ("",) * len(values)
            said = "band_roles" in attrs_of(source)
            told = zip(names, band_roles(source), strict=True)
            for position, (name, role) in enumerate(told, start=1):
                file.set_band_description(position, name)
                if role != role_of(name) and (said or role != "quantity"):
                    file.update_tags(position, **{ROLE_TAG: role})
            _say_numbers(file, attrs_of(source), colours)
        if indirect:
            copy(memory.name, path, driver="COG", **options)


def _say_numbers(file: Any, attrs: Mapping[str, Any], colours: Mapping[int, Any]) -> None:
    """Write what stored numbers stand for: colours of classes, or a scale and an offset."""
    if colours:
        file.write_colormap(1, colours)
    for property_, name in zip(("scales", "offsets"), _SCALING, strict=True):
        if name in attrs:
            setattr(file, property_, (float(attrs[name]),) * file.count)


def _overview_method(values: NDArray[Any], roles: Sequence[str]) -> str:
    if set(roles) == {"class"}:
        return "mode"
    plainly = values.dtype.itemsize > 1 and set(roles) == {"quantity"}
    return "average" if plainly else "nearest"


def _as_bands(source: GeoTensor) -> NDArray[Any]:
    pixels = plain(source.values)
    values = pixels[None] if pixels.ndim == 2 else pixels
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
    own = ("band_names", "band_roles", *_SCALING)
    attrs = {k: v for k, v in attrs_of(source).items() if k not in own}
    return {str(k): _encoded(v) for k, v in {**attrs, **(extra or {})}.items()}


def _is_attr(tag: str) -> bool:
    return tag not in _NOT_ATTRS and not tag.endswith(_STORED)


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
        Which, by position from 0 or by name; by default all but an alpha band.
    scaled
        False gives the stored numbers of a file with a scale or an offset.

    Examples
    --------
    >>> ReadGeoTensor(bands=("B04",))
    ReadGeoTensor(bounds=None, crs=None, bands=('B04',), scaled=True)
    """

    touches_files = True

    bounds: Bounds | None = None
    crs: str | int | None = None
    bands: Sequence[int | str] | None = None
    scaled: bool = True

    def _apply(self, path: PathLike) -> GeoTensor:
        return read(path, self.bounds, crs=self.crs, bands=self.bands, scaled=self.scaled)


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
