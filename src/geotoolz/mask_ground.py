"""Masks that know the ground: inside or outside polygons, and rims as wide as so many metres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geotoolz.carrier import Raster, rewrap, values_of
from geotoolz.function_operator import FunctionOperator, PerPixel, parameters_of
from geotoolz.mask import checked_mask
from geotoolz.vectors import rasterize
from geotoolz.warp import georeferenced
from pipekit.operator import checked_number, checked_option

if TYPE_CHECKING:
    from geopandas import GeoSeries

SIDES = ("outside", "inside")
"""Which pixels a polygon's mask drops."""


def mask_polygon(
    raster: Raster,
    polygons: Any,
    crs: Any = None,
    drop: str = "outside",
    all_touched: bool = False,
) -> Raster:
    """Return which pixels lie outside all polygons, or inside any; True means drop.

    Parameters
    ----------
    raster
        `GeoTensor` (..., H, W) with a CRS, of which only the grid counts.
    polygons
        A GeoDataFrame or GeoSeries, or shapely geometries, one or several, or their hexadecimal
        WKB.
    crs
        Of polygons that have none of their own; by default the raster's.
    drop
        "outside" keeps what the polygons cover, "inside" what they leave.
    all_touched
        Whether every pixel that a polygon touches is in it, or those whose centre is.

    Returns
    -------
    (H, W) bool.

    Raises
    ------
    TypeError
        For a raster without a place.
    ValueError
        For no polygon, or an unknown `drop`.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from shapely import box
    >>> tile = GeoTensor(np.ones((1, 4)), Affine(10, 0, 0, 0, -10, 10), 32632)
    >>> mask_polygon(tile, box(0, 0, 20, 10)).values
    array([[False, False,  True,  True]])
    """
    checked_option(drop, "drop", SIDES)
    source = georeferenced(raster, "masking by polygons")
    shapes = _series(polygons, source.crs if crs is None else crs)
    inside = values_of(rasterize(shapes, source, all_touched=all_touched)) != 0
    out = ~inside if drop == "outside" else inside
    return rewrap(source, out, fill=None, attrs={"long_name": "dropped"}, drop=("band_names",))


def _series(polygons: Any, crs: Any) -> GeoSeries:
    """Return polygons as a GeoSeries that knows its CRS."""
    import geopandas as gpd
    import shapely

    if not hasattr(polygons, "to_crs"):
        given = [polygons] if hasattr(polygons, "geom_type") else list(polygons)
        is_wkb = all(isinstance(each, str) and each.isalnum() for each in given)
        polygons = gpd.GeoSeries(shapely.from_wkb(given) if is_wkb else given)
    shapes = polygons.geometry
    if not len(shapes):
        raise ValueError("a mask by polygons needs at least one, got none")
    return shapes.set_crs(crs) if shapes.crs is None else shapes


class MaskPolygon(PerPixel):
    """Mask what lies outside polygons, or inside: `mask_polygon` as an operator.

    Parameters
    ----------
    polygons
        A GeoDataFrame or GeoSeries, shapely geometries, one or several, or their hexadecimal WKB,
        as which they are kept.
    crs
        Of polygons that have none of their own; by default the raster's.
    drop
        "outside" or "inside".
    all_touched
        Whether every pixel that a polygon touches is in it.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from shapely import box
    >>> tile = GeoTensor(np.ones((1, 4)), Affine(10, 0, 0, 0, -10, 10), 32632)
    >>> MaskPolygon([box(0, 0, 20, 10)], drop="inside")(tile).values
    array([[ True,  True, False, False]])
    """

    @parameters_of(mask_polygon)
    def __init__(self) -> None:
        checked_option(self.drop, "drop", SIDES)
        shapes = _series(self.polygons, self.crs)
        # WKB keeps every bit of the coordinates, which WKT does not.
        kept = tuple(shapes.to_wkb(hex=True))
        vars(self).update(polygons=kept, crs=shapes.crs and shapes.crs.to_string())


def buffer_mask(mask: Raster, distance: float) -> Raster:
    """Return the mask grown, or with a negative distance shrunk, by a distance on the ground.

    `dilate_mask` counts in pixels. A cut-out chip does not see the True pixels beyond its edge;
    beyond the raster nothing is True, and shrinking does not eat from there.

    Parameters
    ----------
    mask
        `GeoTensor` (..., H, W) bool; each (H, W) plane by itself.
    distance
        In the CRS's unit, usually metres, between pixels' centres.

    Returns
    -------
    (..., H, W) bool.

    Raises
    ------
    TypeError
        When the mask is not boolean, or has no place.
    ValueError
        For a CRS in degrees, whose unit is no distance, or a distance that is not finite.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> cloud = np.array([[False, False, True, False]])
    >>> buffer_mask(GeoTensor(cloud, Affine(20, 0, 0, 0, -20, 0), 32632, None), 30).values
    array([[False,  True,  True,  True]])
    """
    from scipy.ndimage import distance_transform_edt

    checked_number(distance, "distance")
    source = georeferenced(mask, "buffering a mask")
    from pyproj import CRS

    if CRS.from_user_input(source.crs).is_geographic:
        raise ValueError(
            f"a buffer needs a CRS in metres or feet, got {source.crs} in degrees; put "
            "Reproject(...) before, or use DilateMask(radius) in pixels"
        )
    drop = checked_mask(source, source.shape)
    grows, t = distance >= 0, source.transform
    pixel = np.hypot(t.b, t.e), np.hypot(t.a, t.d)
    out = drop.copy()
    for index in np.ndindex(drop.shape[:-2]):
        part = drop[index] if grows else ~drop[index]
        if part.any() and distance:
            near = distance_transform_edt(~part, sampling=pixel) <= abs(distance)
            out[index] = near if grows else ~near
    return rewrap(mask, out)


class BufferMask(FunctionOperator):
    """Grow or shrink a mask by metres: `buffer_mask` as an operator.

    How far it looks in pixels depends on the raster, so its radius is not known.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> lake = GeoTensor(np.array([[True, True, False]]), Affine(10, 0, 0, 0, -10, 0), 32632, None)
    >>> BufferMask(-10)(lake).values
    array([[ True, False, False]])
    """

    @parameters_of(buffer_mask)
    def __init__(self) -> None:
        checked_number(self.distance, "distance")
