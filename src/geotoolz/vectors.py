"""Shapes into pixels, and pixels into shapes."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from georeader.geotensor import GeoTensor
from numpy.typing import NDArray

from geocatalog.footprint import reproject_box, turned_onto
from geocatalog.grid import crs_of
from geotoolz.carrier import Raster, fill_of, single_band, values_of
from geotoolz.function_operator import FunctionOperator, parameters_of
from geotoolz.warp import GridLike, geobox_of, georeferenced, grid_given, grid_of
from pipekit.carrier import kilometre_in, same_crs
from pipekit.files import beside, file_to_write
from pipekit.operator import Operator, checked_option
from pipekit.pixels import check_fill, invalid_mask
from pipekit.result_size import check_size

_POLYGON_DTYPES = ("uint8", "uint16", "int16", "int32", "float32")

if TYPE_CHECKING:
    import geopandas as gpd
    from odc.geo.geobox import GeoBox


def rasterize(
    shapes: gpd.GeoDataFrame,
    like: GridLike,
    column: str | None = None,
    fill_value: float = 0,
    all_touched: bool = False,
    dtype: str = "uint8",
) -> GeoTensor:
    """Burn geometries into a raster (H, W) on the grid of `like`.

    Parameters
    ----------
    shapes
        A GeoDataFrame or GeoSeries with a CRS; it is reprojected to the grid's.
    like
        The grid: a `GeoTensor`, a `GeoBox` or a `Grid`.
    column
        Whose numbers to burn; 1 by default. Later rows win.
    fill_value
        Where there is no shape; also the result's nodata value.
    all_touched
        Every pixel touched, instead of those whose centre is inside.
    dtype
        Of the result, an integer or float type.

    Returns
    -------
    (H, W) of `dtype`.

    Raises
    ------
    TypeError
        For what is no GeoDataFrame or GeoSeries.
    KeyError
        For a column it lacks.
    ValueError
        For shapes without a CRS, or values that `dtype` can't hold.

    Examples
    --------
    >>> from rasterio import Affine
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 40), 32632)
    >>> field = gpd.GeoSeries([box(0, 0, 20, 40)], crs=32632)
    >>> int(rasterize(field, tile).sum())
    8
    """
    from rasterio.features import rasterize as burn

    grid = geobox_of(like)
    check_shapes(shapes)
    placed = _placed(shapes, grid)
    numbers = np.ones(len(shapes)) if column is None else _numbers(shapes, column)
    kind = np.dtype(dtype).newbyteorder("=")
    _check_fits(numbers, kind)
    fill_value = check_fill(fill_value, kind, "fill_value")
    drawn = ~(placed.isna() | placed.is_empty).to_numpy()
    check_size(grid.shape.yx, kind, "rasterize")
    out = np.full(grid.shape.yx, fill_value, kind)
    if drawn.any() and out.size:
        # GDAL burns float64, which rounds 64-bit identifiers, and knows no half floats: of these
        # the shapes' positions are burnt.
        indirect = kind == np.float16 or (kind.kind in "iu" and kind.itemsize > 4)
        burnt = np.arange(1, drawn.sum() + 1) if indirect else numbers[drawn]
        into = np.zeros(out.shape, np.int32) if indirect else out
        burnable = placed[drawn].to_numpy()
        if crs_of(grid).is_geographic:
            box = grid.boundingbox
            burnable = turned_onto(burnable, box.left, box.right)
        pairs = zip(burnable, burnt, strict=True)
        burn(pairs, out=into, transform=grid.transform, all_touched=all_touched)
        if indirect:
            np.copyto(out, numbers[drawn].astype(kind)[into - 1], where=into > 0)
    attrs = {"long_name": column or "shapes"}
    return GeoTensor(out, grid.transform, str(grid.crs), fill_value, attrs)


_FAR = 90.0
"""Degrees from which on a shape need not have a place in a local CRS: its part there is moved."""


def _placed(shapes: gpd.GeoDataFrame, grid: GeoBox) -> gpd.GeoSeries:
    """Return geometries in a grid's CRS, where what is straight in their own is no longer so."""
    own, to = shapes.geometry, crs_of(grid)
    if same_crs(own.crs, to):
        return own
    dense = own.segmentize(kilometre_in(own.crs))
    moved = dense.to_crs(to)
    bounds = own.bounds.to_numpy()
    far = ~np.isfinite(moved.bounds.to_numpy()).all(axis=1) & np.isfinite(bounds).all(axis=1)
    if own.crs.is_geographic:
        far |= (bounds[:, 2:] - bounds[:, :2] > _FAR).any(axis=1)
    if far.any():
        here = reproject_box(grid.boundingbox.bbox, to, own.crs)
        near = here.buffer(0.01 * math.hypot(*np.subtract(here.bounds[2:], here.bounds[:2])))
        moved[far] = dense[far].make_valid().intersection(near).to_crs(to)
    return moved


def write_vectors(
    shapes: gpd.GeoDataFrame, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write shapes as GeoParquet or GeoPackage, beside the target and then renamed.

    Parameters
    ----------
    shapes
        A GeoDataFrame with a CRS.
    path
        Ends in .parquet or .gpkg, in a folder that exists.
    overwrite
        Whether an existing file is replaced.

    Returns
    -------
    The path.

    Raises
    ------
    FileExistsError
        For an existing file unless `overwrite`.
    ValueError
        For another ending, a path that is not on this machine, or shapes without a CRS.

    Examples
    --------
    >>> import tempfile
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> field = gpd.GeoDataFrame({"class": [3]}, geometry=[box(0, 0, 20, 40)], crs=32632)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gpd.read_file(write_vectors(field, f"{folder}/field.gpkg")).area.tolist()
    [800.0]
    """
    target = file_to_write(path)
    if target is None or target.suffix.lower() not in (".parquet", ".gpkg"):
        raise ValueError(
            f"path must be a file on this machine that ends in .parquet or .gpkg, got {path!r}"
        )
    check_shapes(shapes)
    if target.exists() and not overwrite:
        raise FileExistsError(f"{target} exists; give overwrite=True to replace it")
    with beside(target) as unfinished:
        if target.suffix.lower() == ".parquet":
            shapes.to_parquet(unfinished, write_covering_bbox=True)
        else:
            shapes.to_file(unfinished, driver="GPKG", layer=target.stem)
    return target


def check_shapes(shapes: Any, name: str = "shapes") -> None:
    """Raise unless shapes know their CRS.

    Parameters
    ----------
    shapes
        What was given.
    name
        What the messages call them.

    Raises
    ------
    TypeError
        For anything but a GeoDataFrame or GeoSeries.
    ValueError
        Without a CRS.

    Examples
    --------
    >>> check_shapes([], "polygons")
    Traceback (most recent call last):
    TypeError: the polygons must be a GeoDataFrame or GeoSeries, got list; wrap geometries as ...
    """
    if not hasattr(shapes, "to_crs"):
        raise TypeError(
            f"the {name} must be a GeoDataFrame or GeoSeries, got {type(shapes).__name__}; "
            "wrap geometries as gpd.GeoSeries(geometries, crs=...)"
        )
    if shapes.crs is None:
        raise ValueError(f"the {name} have no CRS; use {name}.set_crs(...) first")


def _numbers(shapes: gpd.GeoDataFrame, column: str) -> NDArray[Any]:
    columns = list(getattr(shapes, "columns", ()))
    if column not in columns:
        raise KeyError(f"the shapes have no column {column!r}; they have {columns}")
    numbers: NDArray[Any] = shapes[column].to_numpy()
    if not np.issubdtype(numbers.dtype, np.number):
        raise TypeError(f"column {column!r} must be numeric, got {numbers.dtype}")
    return numbers


def vectorize(raster: Raster, connectivity: int = 4, column: str = "value") -> gpd.GeoDataFrame:
    """Return polygons around connected pixels of equal value, nodata left out.

    Parameters
    ----------
    raster
        `GeoTensor` (H, W) or (1, H, W), integer, float or boolean (True only).
    connectivity
        4 or 8 neighbours.
    column
        What the column of values is called.

    Returns
    -------
    A GeoDataFrame with `column` and geometry, in the raster's CRS.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.eye(2, dtype=bool), Affine(10, 0, 0, 0, -10, 20), 32632)
    >>> vectorize(tile).area.tolist()
    [100.0, 100.0]
    """
    import geopandas as gpd
    from rasterio.features import shapes
    from shapely.geometry import shape

    source = georeferenced(raster, "vectorizing")
    checked_option(connectivity, "connectivity", (4, 8))
    values = single_band(values_of(source))
    boolean = values.dtype == np.bool_
    invalid = invalid_mask(values, fill_of(source))
    mask = values if boolean else None if invalid is None else ~invalid
    codes, meaning = _coded(values)
    found = list(shapes(codes, mask=mask, connectivity=connectivity, transform=source.transform))
    numbers = [code for _, code in found]
    if meaning is not None:
        numbers = [meaning[int(code)] for code in numbers]
    data = {column: np.array(numbers, dtype=values.dtype)}
    return gpd.GeoDataFrame(data, geometry=[shape(each) for each, _ in found], crs=source.crs)


def _coded(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the values in a dtype that GDAL polygonises, and what they stand for unless as is."""
    kind = values.dtype
    if kind == np.bool_:
        return values.astype(np.uint8), None
    if kind.kind not in "iuf":
        raise TypeError(f"{kind.name} can't be vectorized")
    if kind.name in _POLYGON_DTYPES:
        return values, None
    # Wider numbers would be cut: each distinct one gets a number of its own instead.
    meaning, codes = np.unique(values, return_inverse=True)
    return codes.reshape(values.shape).astype(np.int32), meaning


def _check_fits(numbers: np.ndarray[Any, Any], kind: np.dtype[Any]) -> None:
    if kind.kind not in "iuf":
        raise TypeError(
            f"dtype must be an integer or float type, got {kind.name!r}; for a mask add "
            "MaskWhere('==', 1)"
        )
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        whole = np.clip(np.rint(numbers), limits.min, limits.max)
        bad = numbers[numbers != whole]
        if bad.size:
            raise ValueError(f"{kind.name} can't hold {bad[:3].tolist()}; choose another dtype")


@dataclass(repr=False, eq=False)
class Rasterize(Operator):
    """Geometries in, raster out: `rasterize` as an operator.

    Parameters
    ----------
    like
        The grid; or nothing, when a raster comes as the second input: `op(shapes, raster)`.
    column, fill_value, all_touched, dtype
        As in `rasterize`.

    Examples
    --------
    >>> from rasterio import Affine
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> tile = GeoTensor(np.ones((4, 4)), Affine(10, 0, 0, 0, -10, 40), 32632)
    >>> int(Rasterize(tile)(gpd.GeoSeries([box(0, 0, 20, 40)], crs=32632)).sum())
    8
    """

    like: GridLike | None = None
    column: str | None = None
    fill_value: float = 0
    all_touched: bool = False
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        self.like = None if self.like is None else grid_of(self.like)

    def _apply(self, shapes: gpd.GeoDataFrame, like: GridLike | None = None) -> GeoTensor:
        grid = grid_given(self, like)
        return rasterize(shapes, grid, self.column, self.fill_value, self.all_touched, self.dtype)


class Vectorize(FunctionOperator):
    """Raster in, polygons out: `vectorize` as an operator.

    Examples
    --------
    >>> from rasterio import Affine
    >>> tile = GeoTensor(np.eye(2, dtype=bool), Affine(10, 0, 0, 0, -10, 20), 32632)
    >>> len(Vectorize(connectivity=8)(tile))
    1
    """

    @parameters_of(vectorize)
    def __init__(self) -> None:
        checked_option(self.connectivity, "connectivity", (4, 8))
