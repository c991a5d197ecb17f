"""Where a Field lives: its shape and its place on the Earth, without its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio import Affine
from rasterio.transform import array_bounds

from geopatcher.patch import PatchError
from geopatcher.sphere import unit_vectors
from pipekit.carrier import crs_of, same_crs
from pipekit.parallel import import_alone

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Box = tuple[float, float, float, float]

_LON_NAMES = ("lon", "longitude", "long")


class _Pixels:
    """What has rows and columns."""

    shape: Any

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.shape[-2]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.shape[-1]


@dataclass(frozen=True, repr=False)
class RasterDomain(_Pixels):
    """A raster's grid: `shape` (..., H, W) in pixels, `transform` and `crs` (None when unknown).

    Parameters
    ----------
    shape : tuple of int
        (..., H, W), in pixels.
    transform : Affine, optional
        From (col, row) to the CRS's coordinates.
    crs : optional
        Anything that rasterio takes as a CRS.

    Raises
    ------
    PatchError
        For a shape without pixels.

    Examples
    --------
    >>> RasterDomain((2, 30, 20), Affine(10, 0, 500_000, 0, -10, 4_000_300), "EPSG:32610").bounds
    (500000.0, 4000000.0, 500200.0, 4000300.0)
    """

    shape: tuple[int, ...]
    transform: Affine | None = None
    crs: Any = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) < 2 or min(shape[-2:]) < 1:
            raise PatchError(f"a raster domain needs a shape (..., H, W) with pixels, got {shape}")
        object.__setattr__(self, "shape", shape)

    def __repr__(self) -> str:
        place = "" if self.transform is None else f", transform={tuple(self.transform)[:6]}"
        crs = "" if self.crs is None else f", crs={crs_name(self.crs)}"
        return f"RasterDomain({self.shape}{place}{crs})"

    @property
    def bounds(self) -> Box:
        """(west, south, east, north) in units of the CRS."""
        if self.transform is None:
            raise PatchError("this domain has no transform, so it has no bounds")
        west, south, east, north = array_bounds(self.height, self.width, self.transform)
        return float(west), float(south), float(east), float(north)

    @property
    def geobox(self) -> GeoBox:
        """The same pixels as an `odc.geo.geobox.GeoBox`; raises `PatchError` without a place."""
        if self.transform is None:
            raise PatchError("this domain has no transform, so it has no GeoBox")
        module = import_alone("odc.geo.geobox")
        made: GeoBox = module.GeoBox((self.height, self.width), self.transform, self.crs)
        return made

    @cached_property
    def grid(self) -> GridDomain:
        """The same pixels as a grid of centre coordinates (y, x)."""
        t = self.transform
        if t is None or t.b or t.d:
            raise PatchError(
                f"coordinates along rows and columns need a transform without rotation, got {t}"
            )
        y = t.f + (np.arange(self.height) + 0.5) * t.e
        x = t.c + (np.arange(self.width) + 0.5) * t.a
        return GridDomain({"y": y, "x": x}, self.crs)


class GridDomain(_Pixels):
    """A grid of labelled axes, such as latitude x longitude.

    `coords`: axis name -> 1-D coordinates of the cells' centres, in the order of the data's axes;
    the last two are rows and columns, each strictly rising or falling.

    Parameters
    ----------
    coords : mapping
        Axis name to the cells' centres, (n,) each; rows and columns come last.
    crs : optional
        Of the last two axes; without it axes named lat and lon are degrees.

    Raises
    ------
    PatchError
        For fewer than two axes, or one that neither rises nor falls.

    Examples
    --------
    >>> domain = GridDomain({"lat": np.arange(89.5, -90, -1), "lon": np.arange(-179.5, 180)})
    >>> domain.shape, domain.bounds, domain.is_geographic
    ((180, 360), (-180.0, -90.0, 180.0, 90.0), True)
    """

    def __init__(self, coords: Mapping[str, Any], crs: Any = None) -> None:
        self.coords = {str(name): np.asarray(axis) for name, axis in coords.items()}
        self.crs = crs
        if len(self.coords) < 2 or any(c.ndim != 1 or not c.size for c in self.coords.values()):
            shapes = {name: axis.shape for name, axis in self.coords.items()}
            raise PatchError(f"a grid needs at least two 1-D axes that are not empty, got {shapes}")
        for name in self.names[-2:]:
            steps = np.diff(self.coords[name])
            if not (np.all(steps > 0) or np.all(steps < 0)):
                raise PatchError(f"the axis {name!r} of a grid must rise or fall strictly")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {axis.size}" for name, axis in self.coords.items())
        return f"GridDomain({sizes}, crs={crs_name(self.crs)})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, GridDomain)
            and self.names == other.names
            and same_crs(self.crs, other.crs, unknown_fits=True)
            and all(np.array_equal(self.coords[n], other.coords[n]) for n in self.names)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The axes' names."""
        return tuple(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells along each axis."""
        return tuple(axis.size for axis in self.coords.values())

    @property
    def y(self) -> np.ndarray:
        """The rows' coordinates (H,), northings or latitudes."""
        return self.coords[self.names[-2]]

    @property
    def x(self) -> np.ndarray:
        """The columns' coordinates (W,), eastings or longitudes."""
        return self.coords[self.names[-1]]

    @property
    def bounds(self) -> Box:
        """(west, south, east, north): the outer edges of the outer cells."""
        (west, east), (south, north) = _outer_edges(self.x), _outer_edges(self.y)
        return west, south, east, north

    @property
    def transform(self) -> Affine | None:
        """The affine transform of an evenly spaced grid, else None."""
        dx, dy = _spacing(self.x), _spacing(self.y)
        if dx is None or dy is None:
            return None
        return Affine(dx, 0, float(self.x[0]) - dx / 2, 0, dy, float(self.y[0]) - dy / 2)

    @property
    def is_geographic(self) -> bool:
        """Whether the coordinates are degrees of longitude and latitude."""
        by_name = self.crs is None and self.names[-1].lower() in _LON_NAMES
        return by_name or is_geographic(self.crs)

    @cached_property
    def sphere_tree(self) -> Any:
        """A KD-tree of all cells (H * W, 3) on the unit sphere, in row-major order."""
        if not self.is_geographic:
            raise PatchError(
                f"great-circle distances need longitudes and latitudes, got axes {self.names[-2:]} "
                f"with crs={self.crs}; name them lat and lon, or give a geographic crs"
            )
        lat, lon = np.meshgrid(self.y, self.x, indexing="ij")
        return _fast_tree(unit_vectors(lon, lat).reshape(-1, 3))


class PointDomain:
    """A set of points: `coords` (N, 2) of (x, y), or (N, 3).

    On a geographic CRS coordinates are (longitude, latitude) in degrees and distances are great
    circles in metres; else distances are straight, in the coordinates' unit. `kdtree` takes a
    `scipy.spatial.cKDTree` that was built over `coords` before.

    Parameters
    ----------
    coords : array-like
        (N, 2) or (N, 3) float64, in the unit of the CRS.
    kdtree : scipy.spatial.cKDTree, optional
        Built over `coords` before; by default it is built when it is first asked for.
    crs : optional
        Of the coordinates; a geographic one makes distances great circles.

    Raises
    ------
    PatchError
        For another shape, or coordinates that are not finite.

    Examples
    --------
    >>> domain = PointDomain([[0, 0], [3, 4], [6, 0]])
    >>> len(domain), domain.bounds
    (3, (0.0, 0.0, 6.0, 4.0))
    """

    def __init__(self, coords: Any, kdtree: Any = None, crs: Any = None) -> None:
        self.coords = np.asarray(coords, np.float64)
        self.crs = crs
        if self.coords.ndim != 2 or self.coords.shape[1] not in (2, 3) or not len(self.coords):
            raise PatchError(
                f"points need coordinates (N, 2) or (N, 3), at least one, got {self.coords.shape}"
            )
        if not np.isfinite(self.coords).all():
            raise PatchError("points need finite coordinates, got NaN or infinity")
        if kdtree is not None and kdtree.n != len(self):
            raise PatchError(f"kdtree holds {kdtree.n} points, coords {len(self)}")
        self._kdtree = kdtree

    @property
    def kdtree(self) -> Any:
        """The `scipy.spatial.cKDTree` over `coords`, in their unit."""
        if self._kdtree is None:
            self._kdtree = _fast_tree(self.coords)
        return self._kdtree

    def __repr__(self) -> str:
        return f"PointDomain({len(self)} points, crs={crs_name(self.crs)})"

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (len(self),)

    @property
    def bounds(self) -> Box:
        """(west, south, east, north)."""
        (west, south), (east, north) = self.coords[:, :2].min(0), self.coords[:, :2].max(0)
        return float(west), float(south), float(east), float(north)

    @cached_property
    def is_geographic(self) -> bool:
        """Whether the coordinates are degrees of longitude and latitude."""
        return is_geographic(self.crs)

    @cached_property
    def tree(self) -> Any:
        """The KD-tree over the points, on the unit sphere when they are geographic."""
        if self.is_geographic:
            return _fast_tree(unit_vectors(self.coords[:, 0], self.coords[:, 1]))
        return self.kdtree


class VectorDomain:
    """A set of shapes: `geometries` (N,) of shapely, in the CRS `crs`.

    Parameters
    ----------
    geometries : array-like
        (N,) shapely geometries.
    crs : optional
        Of the geometries.

    Raises
    ------
    PatchError
        For none.

    Examples
    --------
    >>> from shapely import box
    >>> domain = VectorDomain([box(0, 0, 2, 2), box(4, 0, 6, 2)])
    >>> len(domain), domain.bounds, domain.points.coords.tolist()
    (2, (0.0, 0.0, 6.0, 2.0), [[1.0, 1.0], [5.0, 1.0]])
    """

    def __init__(self, geometries: Any, crs: Any = None) -> None:
        shapes = np.asarray(geometries, object)
        if shapes.ndim != 1 or not shapes.size:
            raise PatchError(
                f"a vector domain needs a 1-D set of shapes that is not empty, got {shapes.shape}"
            )
        self.geometries = shapes
        self.crs = crs

    def __repr__(self) -> str:
        return f"VectorDomain({len(self)} shapes, crs={crs_name(self.crs)})"

    def __len__(self) -> int:
        return len(self.geometries)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (len(self),)

    @property
    def bounds(self) -> Box:
        """(west, south, east, north)."""
        west, south, east, north = shapely.total_bounds(self.geometries)
        return float(west), float(south), float(east), float(north)

    @cached_property
    def points(self) -> PointDomain:
        """The shapes' centroids; raises `PatchError` where a shape is missing or empty."""
        nowhere = shapely.is_missing(self.geometries) | shapely.is_empty(self.geometries)
        if nowhere.any():
            raise PatchError(
                f"{int(nowhere.sum())} of {len(self)} shapes are missing or empty, the first is "
                f"number {int(nowhere.argmax())}, and so lie nowhere; drop them first: "
                "gdf[gdf.geometry.notna() & ~gdf.geometry.is_empty]"
            )
        return PointDomain(shapely.get_coordinates(shapely.centroid(self.geometries)), crs=self.crs)

    @cached_property
    def strtree(self) -> Any:
        """A `shapely.STRtree` over the shapes."""
        return shapely.STRtree(self.geometries)


Domain = RasterDomain | GridDomain | PointDomain | VectorDomain


def as_domain(obj: Any) -> Domain:
    """Return the domain of a domain, a Field, a `GeoTensor`, a reader or an array.

    Parameters
    ----------
    obj : any
        What is looked at.

    Returns
    -------
    domain
        What it lies on.

    Examples
    --------
    >>> as_domain(np.zeros((3, 4))).shape
    (3, 4)
    """
    for found in (obj, getattr(obj, "domain", None)):
        if isinstance(found, Domain):
            return found
    shape = getattr(obj, "shape", None)
    if shape is None:
        raise PatchError(
            f"a domain, a Field, a GeoTensor or a georeader reader is needed, "
            f"got {type(obj).__name__}"
        )
    return RasterDomain(shape, getattr(obj, "transform", None), getattr(obj, "crs", None))


def as_raster_domain(obj: Any, placed: bool = False) -> RasterDomain:
    """Return the raster domain of a domain, a Field, a `GeoTensor`, a reader or an array.

    A grid of labelled axes becomes a raster without georeference: its Field's `with_data` gives
    the labels back. Raises `PatchError` for points and shapes.

    Parameters
    ----------
    obj : any
        What is looked at.
    placed : bool
        Whether an evenly spaced grid keeps its place, as a file can hold it.

    Returns
    -------
    RasterDomain
        What it lies on.

    Examples
    --------
    >>> as_raster_domain(np.zeros((3, 4))).shape
    (3, 4)
    """
    domain = as_domain(obj)
    if isinstance(domain, GridDomain):
        place = (domain.transform, domain.crs) if placed else ()
        return RasterDomain(domain.shape, *place)
    if not isinstance(domain, RasterDomain):
        raise PatchError(f"rectangular patches need a raster or a grid, got {domain}")
    return domain


def place_of(transform: Affine, row: int, col: int) -> Affine:
    """Return the transform of a piece whose upper left pixel is (row, col).

    Parameters
    ----------
    transform : Affine
        Of the whole.
    row : int
        Of the upper left pixel.
    col : int
        Of the upper left pixel.

    Returns
    -------
    Affine
        Of the piece.

    Examples
    --------
    >>> place_of(Affine(10, 0, 500, 0, -10, 900), row=2, col=1).xoff
    510.0
    """
    t = transform
    return Affine(t.a, t.b, t.c + col * t.a + row * t.b, t.d, t.e, t.f + col * t.d + row * t.e)


def lead_names(count: int) -> list[str]:
    """Return names for the axes before rows and columns.

    Parameters
    ----------
    count : int
        How many axes.

    Returns
    -------
    list of str
        One for each.

    Examples
    --------
    >>> lead_names(1), lead_names(2)
    (['band'], ['axis_0', 'axis_1'])
    """
    return ["band"] if count == 1 else [f"axis_{i}" for i in range(count)]


def is_geographic(crs: Any) -> bool:
    """Return whether a CRS has degrees of longitude and latitude; False when it is None.

    Parameters
    ----------
    crs : any CRS, optional
        Anything that rasterio takes.

    Returns
    -------
    bool
        Whether it has.

    Examples
    --------
    >>> is_geographic("EPSG:4326"), is_geographic("EPSG:32610")
    (True, False)
    """
    return crs is not None and bool(crs_of(crs).is_geographic)


def crs_name(crs: Any) -> str:
    """Return a CRS's short name: its authority's code where it has one.

    Parameters
    ----------
    crs : any CRS, optional
        Anything that rasterio takes.

    Returns
    -------
    str
        Such as "EPSG:32610".

    Examples
    --------
    >>> crs_name(32610), crs_name(None)
    ('EPSG:32610', 'None')
    """
    return "None" if crs is None else str(crs_of(crs).to_string())


def _fast_tree(points: np.ndarray) -> Any:
    from scipy.spatial import cKDTree

    # Splitting at the midpoint builds several times faster; queries cost about the same.
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def _outer_edges(axis: np.ndarray) -> tuple[float, float]:
    """Return the (low, high) outer edges of cells around centres; one cell is a point."""
    if axis.size == 1:
        return float(axis[0]), float(axis[0])
    first, last = axis[0] - (axis[1] - axis[0]) / 2, axis[-1] + (axis[-1] - axis[-2]) / 2
    return float(min(first, last)), float(max(first, last))


def _spacing(axis: np.ndarray) -> float | None:
    """Return the spacing of an even axis, else None."""
    if axis.size < 2:
        return None
    step = (float(axis[-1]) - float(axis[0])) / (axis.size - 1)
    return step if np.allclose(np.diff(axis), step, rtol=1e-3, atol=0) else None
