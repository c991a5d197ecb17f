"""Composites of a catalog: one raster for each period of time, made by blocks.

A block of the result reads the scenes that touch it, each once, and reduces them; it holds no
more than its own (T, C, h, w). A composite is a Field, so that a patcher can cut it, and a whole
one runs as any other run does: on any scheduler, with a journal, into memory, a COG or a Zarr
store.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely
from georeader.geotensor import GeoTensor
from numpy.typing import DTypeLike

from geocatalog import CatalogError, GeoSlice
from geocatalog.footprint import (
    as_bounds,
    as_crs,
    box_outline,
    mended,
    reproject,
    turned_onto,
    wrapped_bounds,
)
from geocatalog.grid import as_geotensor, crs_of, part_of, raster_crs
from geocatalog.read.open import KeptOpen, is_remote
from geopatcher import (
    SpatialBoxcar,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geopatcher.domain import RasterDomain
from geopatcher.fields import RasterField
from geopatcher.fields.raster import in_memory
from geopatcher.run import map_patches
from geotoolz.carrier import Raster, Values, attrs_of, fill_of, nan_floats, rewrap, values_of
from geotoolz.cloud import SCL_CLOUDS_AND_INVALID
from geotoolz.compositing import (
    GeometricMedianComposite,
    MeanComposite,
    MedianComposite,
    clear_count,
)
from geotoolz.scenes import Scene, SceneReading, alike, passes_of, scenes_to_read
from pipekit import Identity
from pipekit.parallel import in_threads
from pipekit.pixels import check_fill, equal_mask, whole_numbers
from pipekit.radius import radius_of

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

REDUCERS: dict[str, Callable[[], Any]] = {
    "median": MedianComposite,
    "mean": MeanComposite,
    "geometric median": GeometricMedianComposite,
}
"""Reducers that go by a name; any operator of a stack (T, C, H, W) is one."""

CHIP = 512
"""Rows and columns of a chip: a tile of most COGs, so that each is decoded once."""

STACK_BYTES = 256 * 2**20
"""What the stack of one chip takes at most, as float32; half of it in digital numbers."""

ROWS_BYTES = 512 * 2**20
"""What finished rows of chips take at most in a run, while they have more than `LEAST_ROWS`."""

LEAST_ROWS = 64
"""Rows of a chip at least."""

MOST_OPEN = 128
"""Files that stay open between chips: each holds a tile's buffer, and of more none would stay."""

CONNECTIONS = {"here": 2, "afar": 8}
"""Scenes that a block reads at the same time: on this machine blocks fill the cores already."""


def composite(
    catalog: Any,
    bands: Sequence[str] | None = None,
    *,
    area: Any = None,
    area_crs: Any = None,
    crs: Any = None,
    resolution: float | Sequence[float] | None = None,
    time: Any = None,
    every: str | None = None,
    mask: Any = SCL_CLOUDS_AND_INVALID,
    mask_bands: Sequence[str] | None = None,
    radiometry: Any = "auto",
    reducer: Any = "median",
    count: bool = False,
    max_cloud_cover: float | None = None,
    same_pass: str | None = "10min",
    resampling: str = "nearest",
    dtype: DTypeLike = "float32",
    nodata: float | None = None,
    target: Any = None,
    scheduler: Any = "threads",
    workers: int | None = None,
    connections: int | None = None,
    journal: Any = None,
    progress: bool = True,
    chunks: Any = None,
    lazy: bool = False,
) -> Any:
    r"""Return a catalog's scenes as one raster, or as one for each period of time.

    Parameters
    ----------
    catalog
        A catalog of rasters or STAC items; see `geotoolz.scenes.scenes_of`. No file is opened for
        a scene that does not touch the area, the time or `max_cloud_cover`.
    bands
        Of the result; by default all that the catalog lists but the mask's.
    area
        Box (west, south, east, north) or shapely polygon in `area_crs`, a GeoSeries or GeoDataFrame
        with a CRS, or a `GeoSlice` or `GeoBox`, whose grid is taken. Pixels whose centre lies
        outside a polygon have no data. By default all that scenes cover.
    area_crs
        CRS of a box or polygon, by default degrees, EPSG:4326.
    crs, resolution
        Of the result, by default those of most scenes' pixels, on whose grid it lies.
    time
        As `GeoCatalog.query` takes it; by default any.
    every
        A period as pandas writes it, by its start: "1MS", "10D", "QS", "YS"; a pass belongs to the
        one in which it begins. By default one composite of all.
    mask
        Sentinel-2's SCL classes that do not count, or an operator that makes a mask of a scene,
        True where a pixel is dropped: `MaskFromQABits()`, a network. None drops nothing but nodata.
    mask_bands
        Bands that only the mask needs; those of the operators of this package are known.
    radiometry
        "auto" takes Sentinel-2's +1000 away where a scene's own baseline has it; an operator of a
        scene, such as `HarmonizeBaseline() | DNToReflectance()`; or None.
    reducer
        "median", "mean", "geometric median", or an operator from a stack (T, C, H, W) to
        (C, H, W): `QuantileComposite(0.2)`, `BestPixelComposite(NDVI(), date_band=True)`. It is
        tried once on a stack without data, which tells its bands.
    count
        Whether to add the band "clear": how many observations count.
    max_cloud_cover
        Percent; scenes that are known to be cloudier are not read.
    same_pass
        Scenes that begin within this time of each other are one observation; None takes each for
        one.
    resampling
        Rasterio's name of the method, for pixels that are not the grid's.
    dtype, nodata
        Of the result: floats have NaN, integers are rounded and hold `nodata`, by default 0.
    target
        A COG (.tif) or Zarr store (.zarr); by default an array in memory. COGs of several periods
        need "{period}" in the name, which becomes the day on which a period begins.
    scheduler, workers, journal, progress, chunks
        As in `geopatcher.map_patches`.
    connections
        Scenes that a block reads at the same time, by default 2, or 8 of a server.
    lazy
        Whether to return a Field, nothing of which is made yet, and to run nothing.

    Returns
    -------
    GeoTensor, RasterioReader or xarray.DataArray
        (C, H, W), or (P, C, H, W) with `every`; `attrs["periods"]` are the P periods' first and
        last instants as ISO text, those of one raster its `start_datetime` and `end_datetime`. A
        list of readers for COGs of several periods.

    Raises
    ------
    CatalogError
        For arguments that do not fit the catalog, before anything is read.
    PixelReadError
        When a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from rasterio import Affine
    >>> from geocatalog import build_raster_catalog
    >>> from geotoolz import write_cog
    >>> place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [
    ...         write_cog(GeoTensor(np.full((1, 8, 8), day, "float32"), place, "EPSG:32632"),
    ...                   f"{folder}/scene_202406{day:02}.tif")
    ...         for day in (1, 2, 9)
    ...     ]
    ...     catalog = build_raster_catalog(paths, r"_(?P<date>\d{8})", progress=False)
    ...     made = composite(catalog, mask=None, count=True, progress=False)
    >>> made.shape, made.values[:, 0, 0].tolist()
    ((2, 8, 8), [2.0, 3.0])
    """
    slice_time = area.interval if isinstance(area, GeoSlice) and time is None else time
    scenes, reading = scenes_to_read(
        catalog,
        bands,
        mask=mask,
        mask_bands=mask_bands,
        radiometry=radiometry,
        resampling=resampling,
        time=slice_time,
        max_cloud_cover=max_cloud_cover,
    )
    grid, outline = grid_over(scenes, area, area_crs, resolution, crs)
    if area is not None:
        near = shapely.intersects(_footprints(scenes, grid), shapely.box(*grid.boundingbox))
        scenes = [scene for scene, touches in zip(scenes, near, strict=True) if touches]
    if not scenes:
        raise CatalogError(f"no scene of {catalog!r} touches the area, {tuple(grid.boundingbox)}")
    periods = None if every is None else tuple(periods_of(scenes, every))
    passes = passes_of(scenes, same_pass)
    pixels = _reducer_of(reducer, dtype), count, dtype, nodata, outline
    field = CompositeField(passes, reading, grid, periods, connections, *pixels)
    if lazy:
        return field
    how = {"scheduler": scheduler, "workers": workers, "progress": progress, "chunks": chunks}
    if target is None or every is None or Path(target).suffix.lower() == ".zarr":
        return field.run(target, journal=journal, **how)
    return _cog_of_each(field, str(target), journal, how)


def field_of(catalog: Any, bands: Sequence[str] | None = None, **what: Any) -> CompositeField:
    """Return a composite as a Field, nothing of which is made yet.

    Parameters
    ----------
    catalog, bands, **what
        As in `composite`.

    Returns
    -------
    A Field (C, H, W), or (P, C, H, W) with `every`, that a patcher can cut.

    Raises
    ------
    CatalogError
        As in `composite`.
    """
    field: CompositeField = composite(catalog, bands, lazy=True, **what)
    return field


def _cog_of_each(
    field: CompositeField, target: str, journal: Any, how: dict[str, Any]
) -> list[Any]:
    """Return the readers of one COG for each period."""
    periods = field.periods or ()
    if "{period}" not in target:
        raise CatalogError(
            f"{len(periods)} periods do not fit one COG, got target={target!r}; write "
            "'{period}' into its name, or give a .zarr target"
        )
    days = [f"{start:%Y-%m-%d}" for start, _ in periods]
    if len({*days}) < len(days):
        raise CatalogError(
            "COGs have the day on which a period begins in their names, and several periods begin "
            f"on {max(days, key=days.count)}; give a .zarr target"
        )
    made = []
    for number, day in enumerate(days):
        noted = None if journal is None else f"{journal}.{day}"
        path = target.replace("{period}", day)
        made.append(field.of(number).run(path, journal=noted, **how))
    return made


def _reducer_of(reducer: Any, dtype: DTypeLike) -> Any:
    if callable(reducer):
        return reducer
    if reducer not in REDUCERS:
        raise CatalogError(
            f"reducer must be one of {', '.join(map(repr, REDUCERS))} or an operator of a stack "
            f"such as QuantileComposite(0.2), got {reducer!r}"
        )
    # Of 32-bit integers and doubles float32 would lose digits.
    wide = np.dtype(dtype).kind in "iuf" and np.result_type(dtype, np.float32) == np.float64
    made: Any = REDUCERS[reducer]
    return made(dtype="float64" if wide else "float32")


def grid_over(
    scenes: Sequence[Scene],
    area: Any = None,
    area_crs: Any = None,
    resolution: float | Sequence[float] | None = None,
    crs: Any = None,
) -> tuple[GeoBox, Any]:
    """Return a pixel grid over an area, on that of the scenes where they share one.

    Parameters
    ----------
    scenes
        At least one.
    area, area_crs, resolution, crs
        As in `composite`.

    Returns
    -------
    The grid, and the polygon in its CRS outside of which there is no data, or None.

    Raises
    ------
    CatalogError
        For an area that is none, or a resolution that is not known.
    """
    if isinstance(area, GeoSlice):
        return area.geobox, None
    if hasattr(area, "boundingbox"):
        return area, None
    native = Counter(scene.native[0] for scene in scenes if scene.native[0] is not None)
    if crs is None and not native:
        raise CatalogError("the scenes do not tell their CRS; give crs= and resolution=")
    to = as_crs(native.most_common(1)[0][0] if crs is None else crs)
    own = [s.native for s in scenes if s.native[0] is not None and as_crs(s.native[0]) == to]
    sizes = Counter(size for _, size, _ in own if size is not None)
    most = sizes.most_common(1)[0][0] if sizes else None
    size = most if resolution is None else resolution
    if size is None:
        raise CatalogError(f"no scene tells its pixel size in {to.to_string()}; give resolution=")
    corners = [corner for _, held, corner in own if corner is not None and held == most]
    corner = corners[0] if corners else (0.0, 0.0)
    outline, polygon = _outline_of(scenes, area, area_crs, to)
    bounds = wrapped_bounds(outline) if to.is_geographic else outline.bounds
    grid = GeoSlice(bounds, None, size, to, corner).geobox
    if polygon is not None and to.is_geographic:
        box = grid.boundingbox
        polygon = turned_onto(np.array([polygon], dtype=object), box.left, box.right)[0]
    return grid, polygon


def _footprints(scenes: Sequence[Scene], grid: GeoBox) -> Values:
    """Return (N,) footprints where a grid has them, in its CRS."""
    crs, box = crs_of(grid), grid.boundingbox
    found = np.array([scene.outline_in(crs) for scene in scenes], dtype=object)
    return turned_onto(found, box.left, box.right) if crs.is_geographic else found


def _outline_of(scenes: Sequence[Scene], area: Any, area_crs: Any, to: Any) -> tuple[Any, Any]:
    """Return an area's outline in a CRS, and the same again where it is no box."""
    if area is None:
        return shapely.union_all([scene.outline_in(to) for scene in scenes]), None
    stated = as_crs("EPSG:4326" if area_crs is None else area_crs)
    if hasattr(area, "geom_type") and hasattr(area, "bounds") and not hasattr(area, "crs"):
        shape, is_box = mended(np.array([area], dtype=object))[0], False
    elif hasattr(area, "geometry"):
        if area.crs is None:
            raise CatalogError("area= has no CRS; set it with area.set_crs(...)")
        shape = shapely.union_all(mended(np.array(area.geometry.to_numpy(), dtype=object)))
        stated, is_box = as_crs(area.crs), False
    else:
        shape, is_box = box_outline(as_bounds(area, stated, "area")), True
    if shape.is_empty or (not is_box and shape.area == 0):
        raise CatalogError(f"area must cover something, got {shape.wkt[:80]}")
    moved = reproject(np.array([shape], dtype=object), stated, to)[0]
    return moved, None if is_box else moved


def periods_of(scenes: Sequence[Scene], every: str) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Return the periods from the first scene's to the last one's: start, and the next one's start.

    Parameters
    ----------
    scenes
        At least one.
    every
        A period as pandas writes it, by its start.

    Returns
    -------
    (start, stop) of each, UTC; those without a scene are there too.

    Raises
    ------
    CatalogError
        For text that is no period, or one that is told by its end.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-01-09", "2024-03-01"], utc=True)
    >>> scenes = [Scene("", day, {}, None, "") for day in days]
    >>> [f"{start:%m-%d}" for start, _ in periods_of(scenes, "1MS")]
    ['01-01', '02-01', '03-01']
    """
    times = pd.Series(0, index=pd.DatetimeIndex([scene.time for scene in scenes]).as_unit("us"))
    try:
        step = pd.tseries.frequencies.to_offset(every)
        if type(step).__name__.endswith("End"):
            raise ValueError("it is told by its end; put S for E, as '1MS' for months")
        if step is None or not times.index[0] + step > times.index[0]:
            raise ValueError("it takes no time")
        starts = times.resample(every, closed="left", label="left").sum().index
    except (ValueError, TypeError, ArithmeticError, NotImplementedError) as error:
        raise CatalogError(
            "every must be a period told by its start, such as '1MS', '10D', 'QS' or 'YS', got "
            f"{every!r}: {error}"
        ) from None
    return [(start, start + step) for start in starts]


def _between(start: pd.Timestamp, stop: pd.Timestamp) -> dict[str, str]:
    """What a raster says of its time, under STAC's names."""
    return {"start_datetime": start.isoformat(), "end_datetime": stop.isoformat()}


@dataclass(eq=False, repr=False)
class CompositeField:
    """A composite as a Field: a window is read and reduced when it is selected.

    Parameters
    ----------
    passes
        The scenes, by rising time: each pass is one observation.
    reading
        How each scene is read.
    grid
        The pixels.
    periods
        (start, stop) of each, or None for all scenes as one.
    connections
        Scenes read at the same time, by default 2, or 8 of a server.
    reducer
        An operator from a stack (T, C, H, W) to (C, H, W).
    count
        Whether the band "clear" is added.
    dtype, nodata
        Of the pixels.
    outline
        A polygon in the grid's CRS outside of which there is no data, or None.

    Raises
    ------
    CatalogError
        For a `nodata` that the dtype cannot hold.
    """

    passes: list[list[Scene]]
    reading: SceneReading
    grid: GeoBox
    periods: tuple[tuple[pd.Timestamp, pd.Timestamp], ...] | None
    connections: int | None
    reducer: Callable[[Any], Any]
    count: bool = False
    dtype: Any = "float32"
    nodata: float | None = None
    outline: Any = None

    def __post_init__(self) -> None:
        self.scenes = list(chain.from_iterable(self.passes))
        where = "afar" if any(map(is_remote, self.paths)) else "here"
        self.connections = CONNECTIONS[where] if self.connections is None else self.connections
        self._files = KeptOpen(MOST_OPEN) if len(self.paths) <= MOST_OPEN else None
        nodata, self.dtype = self.nodata, np.dtype(self.dtype)
        if self.dtype.kind not in "iuf":
            raise CatalogError(f"dtype must be of floats or integers, got {self.dtype.name}")
        if self.dtype.kind == "f" and nodata is not None and nodata == nodata:
            raise CatalogError(
                f"floats have no data where they are NaN, got nodata={nodata!r}; give an integer "
                "dtype, or leave it out"
            )
        try:
            kept = math.nan if self.dtype.kind == "f" else 0 if nodata is None else nodata
            self.nodata = check_fill(kept, self.dtype, "nodata")
        except ValueError as error:
            raise CatalogError(str(error)) from None
        self._attrs = self._tried()
        grid, names = self.grid, self._attrs["band_names"]
        lead = (len(names),) if self.periods is None else (len(self.periods), len(names))
        self.domain = RasterDomain((*lead, *grid.shape.yx), grid.transform, raster_crs(grid))

    def __repr__(self) -> str:
        return f"CompositeField({len(self.scenes)} scenes, {self.domain})"

    @property
    def paths(self) -> list[str]:
        """The files of all scenes."""
        return [path for scene in self.scenes for path in scene.paths]

    def get_config(self) -> dict[str, Any]:
        """Return what the pixels are made of, which a journal tells runs apart by.

        Returns
        -------
        Name -> value; local files with size and time of change.
        """
        return {
            "passes": [[scene.told for scene in scenes] for scenes in self.passes],
            "reading": self.reading,
            "grid": str(self.grid),
            "periods": str(self.periods),
            "reducer": self.reducer,
            "count": self.count,
            "outline": None if self.outline is None else self.outline.wkt,
            "dtype": self.dtype.name,
            "nodata": self.nodata,
        }

    def of(self, period: int) -> CompositeField:
        """Return the Field of one period alone, (C, H, W).

        Parameters
        ----------
        period
            Its number.

        Returns
        -------
        A Field on the same grid.
        """
        start, stop = (self.periods or ())[period]
        passes = [each for each in self.passes if start <= each[0].time < stop]
        made = replace(self, passes=passes, periods=None)
        made._attrs["periods"] = [self._attrs["periods"][period]]
        made._attrs |= _between(start, stop)
        return made

    def _tried(self) -> dict[str, Any]:
        """Return what the reducer says of its bands, tried on a stack without data."""
        bands, periods = self.reading.bands, self.periods
        part = part_of(self.grid, 0, 0, 16, 16)
        empty = np.full((1, len(bands), 16, 16), np.nan, np.float32)
        attrs = {"band_names": list(bands), "dates": ["1970-01-01"]}
        made = self.reducer(as_geotensor(empty, part, math.nan, attrs))
        count = 1 if made.ndim == 2 else len(made)
        said = list((made.attrs or {}).get("band_names") or ())
        names = said if len(said) == count else list(bands) if len(bands) == count else None
        names = names or [f"band_{number + 1}" for number in range(count)]
        roles = (made.attrs or {}).get("band_roles") or "quantity"
        roles = [roles] * count if isinstance(roles, str) else list(roles)
        if self.count:
            names, roles = [*names, "clear"], [*roles, "quantity"]
        told: dict[str, Any] = {"band_names": names}
        if set(roles) != {"quantity"}:
            told["band_roles"] = roles
        if periods is not None:
            told["periods"] = [[start.isoformat(), stop.isoformat()] for start, stop in periods]
        elif times := [scene.time for scene in self.scenes]:
            told |= _between(min(times), max(times))
        if any(scene.attrs.get("source") == "simulated" for scene in self.scenes):
            told["source"] = "simulated"
        return told | {"scenes": len(self.scenes)}

    def select(self, indices: Any) -> GeoTensor:
        """Return the pixels of a window.

        Parameters
        ----------
        indices
            A `rasterio.windows.Window` of the domain.

        Returns
        -------
        (C, h, w), or (P, C, h, w) of P periods.
        """
        row, col = int(indices.row_off), int(indices.col_off)
        part = part_of(self.grid, row, col, int(indices.height), int(indices.width))
        values = np.full((*self.domain.shape[:-2], *part.shape.yx), self.nodata, self.dtype)
        inside: Values | None = None  # all pixels
        if self.outline is not None:
            from rasterio.features import geometry_mask

            inside = ~geometry_mask([self.outline], part.shape.yx, part.transform)
        if inside is None or inside.any():
            periods = values if self.periods is not None else values[None]
            for number, out in enumerate(periods):
                self._reduce(part, number, out, inside)
        return as_geotensor(values, part, self.nodata, dict(self._attrs))

    def _reduce(self, part: GeoBox, period: int, out: Values, inside: Values | None) -> None:
        """Put one period's composite into `out` (C, h, w)."""
        rim, (rows, cols) = radius_of(self.reducer) or 0, part.shape.yx
        area = part_of(part, -rim, -rim, rows + 2 * rim, cols + 2 * rim)
        inner = slice(rim, rim + rows), slice(rim, rim + cols)
        stack = self.stack(area, period)
        bands = len(out) - self.count
        if stack is not None:
            made = self.reducer(stack)
            values = values_of(made)
            layers = values[None] if values.ndim == 2 else values
            if len(layers) != bands:
                raise CatalogError(
                    f"the reducer made {len(layers)} bands of {tuple(stack.shape)} and {bands} "
                    "of a stack without data; it must make as many of any"
                )
            out[:bands] = self._settled(layers[:, *inner], made)
        if self.count:
            clear = 0 if stack is None else values_of(clear_count(stack))[0][inner]
            most = np.iinfo(self.dtype).max if self.dtype.kind in "iu" else np.inf
            out[bands] = np.minimum(clear, most)
        if inside is not None:
            out[:, ~inside] = self.nodata

    @cached_property
    def _outlines(self) -> Values:
        """(N,) footprints of the scenes in the grid's CRS."""
        return _footprints(self.scenes, self.grid)

    def _passes(self, period: int, part: GeoBox) -> list[list[Scene]]:
        """Return the passes of a period that touch a part of the grid."""
        near = iter(shapely.intersects(self._outlines, shapely.box(*part.boundingbox)).tolist())
        passes = [[scene for scene in each if next(near)] for each in self.passes]
        span = None if self.periods is None else self.periods[period]
        begins = (each[0].time for each in self.passes)
        among = (span is None or span[0] <= begin < span[1] for begin in begins)
        return [scenes for scenes, inside in zip(passes, among, strict=True) if scenes and inside]

    def stack(self, part: GeoBox, period: int = 0) -> GeoTensor | None:
        """Return the observations of a part of the grid in one period.

        Parameters
        ----------
        part
            Pixels of the grid.
        period
            Its number.

        Returns
        -------
        (T, C, h, w) in the files' dtype where they share it and their nodata value, else in floats;
        `attrs["dates"]` are the T times as ISO text. None where no scene has a pixel.
        """
        passes = self._passes(period, part)
        workers = max(1, min(self.connections or 1, len(passes)))
        read = partial(self.reading.of_pass, grid=part, files=self._files)
        stack: Any = None
        dates: list[str] = []
        simulated = False
        for scenes, raster in zip(passes, in_threads(read, passes, workers), strict=True):
            if raster is None:
                continue
            if stack is None:
                stack = rewrap(raster, np.zeros((len(passes), *raster.shape), raster.dtype))
            stack, raster = alike(stack, raster)
            stack.values[len(dates)] = values_of(raster)
            dates.append(scenes[0].time.isoformat())
            simulated |= attrs_of(raster).get("source") == "simulated"
        if stack is None:
            return None
        said = ("band_names", "band_roles", "long_name", "units")
        attrs = {name: stack.attrs[name] for name in said if name in stack.attrs}
        attrs |= {"dates": dates} | ({"source": "simulated"} if simulated else {})
        return as_geotensor(stack.values[: len(dates)], part, fill_of(stack), attrs)

    def _settled(self, layers: Values, made: Raster) -> Values:
        fill = fill_of(made)
        if self.dtype.kind == "f":
            return nan_floats(layers, fill, self.dtype)
        return whole_numbers(layers, self.dtype, self.nodata, equal_mask(layers, fill))

    def load(self) -> GeoTensor:
        """Return the whole composite, in memory, on threads."""
        made: GeoTensor = self.run(progress=False)
        return made

    def with_data(self, array: Any) -> RasterField:
        """Return a Field of other values on the same grid.

        Parameters
        ----------
        array
            (..., H, W).

        Returns
        -------
        A Field in memory at this one's place.
        """
        return in_memory(array, self.domain, self.dtype, self.nodata)

    @property
    def patcher(self) -> SpatialPatcher:
        """Chips side by side, as large as a stack of `STACK_BYTES` allows."""
        most = (len(self._passes(n, self.grid)) for n in range(len(self.periods or [0])))
        depth = max(1, *most) * len(self.reading.bands) * 4
        rows = cols = CHIP
        # A run holds the rows of a chip over the whole width, of all periods.
        across = math.prod(self.domain.shape[:-2]) * self.domain.width * 4
        while rows > LEAST_ROWS and rows * across > ROWS_BYTES:
            rows //= 2
        while depth * rows * cols > STACK_BYTES and cols > LEAST_ROWS:
            rows, cols = (rows, cols // 2) if cols >= rows else (rows // 2, cols)
        size = (rows, cols)
        whole = self.dtype.kind in "iu"
        merge = SpatialOverlapAdd(dtype=self.dtype.name, fill_value=self.nodata if whole else None)
        geometry = SpatialRectangular(size, boundary="shrink")
        return SpatialPatcher(geometry, SpatialRegularStride(size), SpatialBoxcar(), merge)

    def run(self, target: Any = None, **how: Any) -> Any:
        """Return the whole composite, made by blocks.

        Parameters
        ----------
        target, **how
            As in `geopatcher.map_patches`.

        Returns
        -------
        GeoTensor, RasterioReader or xarray.DataArray
            (C, H, W), or (P, C, H, W) of P periods.
        """
        try:
            return map_patches(
                self.patcher, self, Identity(), target=target, read_attempts=1, **how
            )
        finally:
            if self._files is not None:  # they are opened again when needed
                self._files.close()
