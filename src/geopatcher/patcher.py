"""The patcher: four axes that take a Field apart and put it back together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geopatcher.aggregation.overlap_add import SpatialOverlapAdd
from geopatcher.axes.axis import Aggregation, Axes, Geometry, Sampler, Window, check_axes
from geopatcher.axes.window import SpatialBoxcar
from geopatcher.config import as_choice, is_a
from geopatcher.domain import RasterDomain, as_raster_domain, lead_names
from geopatcher.fields import XarrayField, as_field
from geopatcher.patch import Patch
from geopatcher.stream import ON_ERROR, PatchIterator, PatchStream, unread
from pipekit.lazy import needed
from pipekit.pixels import nodata_of, plain


@dataclass(frozen=True)
class SpatialPatcher(Axes):
    """Four axes that take a Field apart and put it back together.

    Parameters
    ----------
    geometry : Geometry
        What shape patches have, such as `SpatialRectangular`.
    sampler : Sampler
        Where they are anchored, such as `SpatialRegularStride`.
    window : Window
        How much each of their pixels counts where they overlap; default `SpatialBoxcar()`.
    aggregation : Aggregation
        How overlapping patches become one value; default `SpatialOverlapAdd()`.
    on_error : {"raise", "skip", "fill"}
        What happens to a patch whose read fails: "skip" leaves it out and lists it, "fill" makes
        its pixels NaN and lists it.

    Raises
    ------
    PatchError
        For an axis that lacks the method that makes it one.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import SpatialRectangular, SpatialRegularStride, SpatialHann
    >>> scene = GeoTensor(np.ones((2, 50, 70), "uint16"), Affine(10, 0, 0, 0, -10, 500), 32632)
    >>> patcher = SpatialPatcher(
    ...     SpatialRectangular(16, boundary="shift"), SpatialRegularStride(12), SpatialHann()
    ... )
    >>> patcher.n_anchors(scene)
    24
    >>> merged = patcher.merge(patcher.split(scene), scene)
    >>> merged.shape, bool(np.allclose(merged, 1))
    ((2, 50, 70), True)
    """

    geometry: Geometry
    sampler: Sampler
    window: Window = field(default_factory=SpatialBoxcar)
    aggregation: Aggregation = field(default_factory=SpatialOverlapAdd)
    on_error: str = "raise"

    def __post_init__(self) -> None:
        check_axes(self)
        as_choice(self.on_error, "on_error", ON_ERROR)

    def anchors(self, field: Any) -> list[Any]:
        """Return the anchors of the patches of a Field, in the order of `split`.

        Parameters
        ----------
        field : Field, GeoTensor or reader
            What is cut.

        Returns
        -------
        list
            Anchors, as the geometry takes them.
        """
        return list(self.sampler.anchors(as_field(field).domain, self.geometry))

    def n_anchors(self, field: Any) -> int:
        """Return how many patches `split` makes of a Field, without reading it.

        Parameters
        ----------
        field : Field, GeoTensor or reader
            What is cut.

        Returns
        -------
        int
            Number of patches.
        """
        return len(self.stream(field))

    def patch_at(self, field: Any, anchor: Any) -> Patch:
        """Return the patch at `anchor`, the same that `split` yields there.

        Parameters
        ----------
        field : Field, GeoTensor or reader
            What is cut.
        anchor : (row, col), int or (lon, lat)
            Where the patch lies: its anchor.

        Returns
        -------
        Patch
            With its data read.
        """
        return self.stream(field).at(anchor)

    def stream(self, field: Any) -> PatchStream:
        """Return the Field's patches as a lazy sequence: sized, indexable, re-iterable.

        Parameters
        ----------
        field : Field, GeoTensor or reader
            What is cut.

        Returns
        -------
        PatchStream
            Nothing is read yet.
        """
        return PatchStream(self, as_field(field))

    def split(self, field: Any) -> Iterator[Patch]:
        """Yield the Field's patches one by one; nothing is read before it is asked for.

        Parameters
        ----------
        field : Field, GeoTensor or reader
            What is cut.

        Returns
        -------
        iterator of Patch
            In the order of `anchors`.
        """
        return PatchIterator(self.stream(field))

    def merge(self, patches: Iterable[Patch], domain: Any) -> Any:
        """Put patches together on a domain.

        Parameters
        ----------
        patches : PatchStream or iterable of Patch
            What `split` or `stream` gave, or what was made of it; an iterator must come by
            rising row.
        domain : domain, Field, GeoTensor, reader or array
            What they are merged onto.

        Returns
        -------
        GeoTensor, numpy.ndarray or what the aggregation makes
            For aggregations of pixels (..., H, W) with the leading axes of the patches' data.
        """
        return self.aggregation.merge(unread(patches), domain)


def merge_to_xarray(patches: Iterable[Patch], domain: Any, aggregation: Any = None) -> Any:
    """Put patches together as a `DataArray` with coordinates and CRS.

    Parameters
    ----------
    patches : PatchStream or iterable of Patch
        As `SpatialPatcher.merge` takes them.
    domain : domain, Field, GeoTensor, reader or array
        What they are merged onto: a raster or a grid. An `XarrayField` gives its own labels.
    aggregation : Aggregation, optional
        How overlapping patches become one value; default `SpatialOverlapAdd()`.

    Returns
    -------
    xarray.DataArray
        (..., y, x), the coordinates those of the pixels' centres; bands by their names, nodata in
        `attrs["nodata"]`, rioxarray's `.rio.crs` and `.rio.transform()`.

    Raises
    ------
    PatchError
        For points and shapes, which are no grid.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import SpatialRectangular, SpatialRegularStride
    >>> scene = GeoTensor(np.ones((2, 4, 6)), Affine(10, 0, 0, 0, -10, 40), "EPSG:32632")
    >>> patcher = SpatialPatcher(SpatialRectangular(2), SpatialRegularStride(2))
    >>> merged = merge_to_xarray(patcher.split(scene), scene)
    >>> merged.dims, merged.x.values[:2].tolist(), merged.rio.crs.to_epsg()
    (('band', 'y', 'x'), [5.0, 15.0], 32632)
    """
    how = SpatialOverlapAdd() if aggregation is None else aggregation
    merged = how.merge(unread(patches), domain)
    if is_a(merged, "xarray.DataArray"):  # a store that was streamed to
        return merged
    merged = merged.load() if hasattr(merged, "load") else merged
    if isinstance(domain, XarrayField):
        return domain.with_data(merged).da
    attrs, fill = dict(getattr(merged, "attrs", None) or {}), nodata_of(merged)
    said = {} if fill is None else {"nodata": fill}
    return labelled_raster(plain(merged), as_raster_domain(domain, placed=True), attrs | said)


def labelled_raster(values: np.ndarray, place: RasterDomain, attrs: dict[str, Any]) -> Any:
    """Return pixels as a `DataArray` with the coordinates of their centres and their CRS.

    Parameters
    ----------
    values : numpy.ndarray
        (..., H, W).
    place : RasterDomain
        Their grid.
    attrs : dict
        Of the array; `band_names` become the coordinates of its bands.

    Returns
    -------
    xarray.DataArray
        (..., y, x), with rioxarray's `spatial_ref`.
    """
    import xarray as xr

    needed("rioxarray")  # gives a DataArray its .rio

    attrs = dict(attrs)
    names = lead_names(values.ndim - 2)
    coords: dict[str, Any] = {}
    bands = attrs.pop("band_names", ())
    if "band" in names and len(bands) == values.shape[names.index("band")]:
        coords["band"] = list(bands)
    t = place.transform
    if t is not None and not (t.b or t.d):
        coords |= {"y": place.grid.y, "x": place.grid.x}
    made = xr.DataArray(values, coords, (*names, "y", "x"), attrs=attrs)
    if place.crs is not None:
        made = made.rio.write_crs(place.crs)
    return made if t is None else made.rio.write_transform(t)
