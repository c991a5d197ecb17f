"""Scenes of a catalog: the bands, the mask and the radiometry of one acquisition on a pixel grid.

A scene is what was seen at one time by one sensor over one place: files that a catalog lists. It is
read onto any grid in one step: files onto the grid, its own offset away, clouds marked as nodata.
So whatever mixes scenes afterwards, composites or series, mixes like with like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from geocatalog import CatalogError, CatalogRow, GeoCatalog, from_stac_items
from geocatalog.footprint import as_crs, crs_text, reproject
from geocatalog.grid import as_geotensor, part_of
from geocatalog.read.bands import Bands
from geocatalog.read.onto_grid import Piece, as_resampling, read_piece
from geocatalog.read.open import KeptOpen
from geocatalog.read.signers import signing
from geocatalog.table import is_known
from geotoolz.bands import select_bands, sole_position
from geotoolz.carrier import Mask, Raster, Values, attrs_of, fill_of, nan_floats, rewrap, values_of
from geotoolz.cloud import MaskFromSCL
from geotoolz.mask import checked_mask
from geotoolz.radiometry import PROBABILITIES, harmonize_baseline
from pipekit import Sequential
from pipekit.fingerprint import fingerprint_file
from pipekit.operator import checked_number
from pipekit.pixels import Role, band_key, invalid_mask, role_of
from pipekit.radius import radius_of

if TYPE_CHECKING:
    from georeader.geotensor import GeoTensor
    from odc.geo.geobox import GeoBox

OFFSET_SINCE = pd.Timestamp("2022-01-25", tz="UTC")
"""Sentinel-2's digital numbers carry +1000 from this day on where no baseline says otherwise."""

_BAND_COLUMNS = ("band", "asset", "asset_key")
"""Columns that name the band of a row of one asset."""

Native = tuple[str | None, tuple[float, float] | None, tuple[float, float] | None]
"""CRS, pixel size and upper left corner of the files, each None where it is not known."""

_SAID = ("item_id", "cloud_cover", "processing_baseline", "offset_applied")


@dataclass(frozen=True, eq=False)
class Scene:
    """One acquisition: its files by band, when and where it was taken, and what is known of it.

    Parameters
    ----------
    name
        The item's id, or the file's path.
    time
        Start of the acquisition, UTC.
    files
        Path of each band; several bands may have one file.
    outline
        The footprint, a shapely geometry in `crs`.
    crs
        CRS of the footprint, as text.
    attrs
        What rasters of the scene say: `item_id`, `datetime`, `cloud_cover`, `processing_baseline`,
        `offset_applied` and `source` where they are known.
    native
        CRS of the pixels as text, (x, y) size of the first band's, and (x, y) of one corner; None
        for what is not known without opening a file.
    is_sentinel2
        Whether the digital numbers are those of Sentinel-2's Level-2A or 1C.
    signer
        Who makes the token that the files need, by name.

    Examples
    --------
    >>> import shapely
    >>> outline = shapely.box(0, 0, 100, 100)
    >>> day = pd.Timestamp("2024-06-01", tz="UTC")
    >>> Scene("S2", day, {"B04": "a.tif"}, outline, "EPSG:32632").paths
    ['a.tif']
    """

    name: str
    time: pd.Timestamp
    files: dict[str, str]
    outline: Any
    crs: str
    attrs: dict[str, Any] = field(default_factory=dict)
    native: Native = (None, None, None)
    is_sentinel2: bool = False
    signer: str | None = None

    @property
    def paths(self) -> list[str]:
        """The files, each once."""
        return list(dict.fromkeys(self.files.values()))

    @property
    def cloud_cover(self) -> float | None:
        """Clouded share in percent, or None where it is not known."""
        said = self.attrs.get("cloud_cover")
        return None if said is None else float(said)

    @property
    def told(self) -> list[str]:
        """What tells the scene from another, local files with size and time of change."""
        files = [f"{band} {fingerprint_file(path)}" for band, path in self.files.items()]
        about = self.outline.wkb_hex, repr(sorted(self.attrs.items()))
        return [self.name, self.time.isoformat(), *about, *files]

    def outline_in(self, crs: Any) -> Any:
        """Return the footprint in another CRS.

        Parameters
        ----------
        crs
            In any form pyproj understands.

        Returns
        -------
        A shapely geometry, its edges densified before they were moved.
        """
        return reproject(np.array([self.outline], dtype=object), as_crs(self.crs), as_crs(crs))[0]


def scenes_of(
    catalog: Any,
    bands: Sequence[str] | None = None,
    *,
    time: Any = None,
    bounds: Sequence[float] | None = None,
    crs: Any = None,
    max_cloud_cover: float | None = None,
) -> list[Scene]:
    """Return the scenes of a catalog or of STAC items by rising time; no file is opened.

    Parameters
    ----------
    catalog
        A catalog of rasters: rows of items (`from_stac_items(items, asset_key=[...])`), rows of one
        asset each with a column `band` or `asset` that names it (those of one item, or of one
        time and footprint, are one scene), or rows of files that hold all bands. Or STAC items.
    bands
        Names of the bands that are to be read: assets' keys, or what the files call their bands
        (`band_1`, `band_2` where they call them nothing). By default all that the catalog lists.
    time
        As `GeoCatalog.query` takes it; by default any.
    bounds, crs
        Box (west, south, east, north) that scenes must touch, and its CRS; by default any.
    max_cloud_cover
        Percent; scenes that are known to be cloudier are left out.

    Returns
    -------
    At least one scene.

    Raises
    ------
    CatalogError
        When no scene is left, one is undated, or one lacks a band; names the scene and what it has.
    """
    if not isinstance(catalog, GeoCatalog):
        catalog = _catalog_of_items(_items_of(catalog), bands)
    if catalog.backend != "raster":
        raise CatalogError(f"scenes are raster files, this catalog lists {catalog.backend} files")
    if bounds is not None or time is not None:
        catalog = catalog.query(bounds=bounds, crs=crs, time=time)
    if max_cloud_cover is not None:
        checked_number(max_cloud_cover, "max_cloud_cover", 0, 100, refusal=CatalogError)
    rows = list(catalog.iter_rows())
    most = math.inf if max_cloud_cover is None else max_cloud_cover
    found = [scene for scene in _scenes(rows, bands) if (scene.cloud_cover or 0) <= most]
    if not found:
        why = f"all {len(rows)} rows are cloudier than {max_cloud_cover} %" if rows else "no row"
        raise CatalogError(
            f"no scene of {catalog!r} fits: {why} at time={time!r}, bounds={bounds!r}"
        )
    return sorted(found, key=lambda scene: (scene.time, scene.name))


def no_catalog(given: Any) -> CatalogError:
    """Return the error for what is given as scenes and is none.

    Parameters
    ----------
    given
        Such as a path.

    Returns
    -------
    CatalogError
        Which says what makes a catalog.

    Examples
    --------
    >>> no_catalog("scenes/")
    CatalogError('scenes come as a catalog, got str; build_raster_catalog(paths) or ...
    """
    return CatalogError(
        f"scenes come as a catalog, got {type(given).__name__}; build_raster_catalog(paths) or "
        'from_stac_items(items, asset_key=["B04", "B08"]) makes one'
    )


def _items_of(given: Any) -> list[Any]:
    items = list(given) if isinstance(given, Iterable) else [given]
    if others := [each for each in items if not hasattr(each, "assets")]:
        raise no_catalog(others[0])
    if not items:
        raise CatalogError("scenes need at least one STAC item, got none")
    return items


def _catalog_of_items(items: list[Any], bands: Sequence[str] | None) -> GeoCatalog:
    told = {each.properties.get("proj:code", each.properties.get("proj:epsg")) for each in items}
    keys = list(bands) if bands is not None else data_keys(items[0])
    return from_stac_items(items, keys, None if len(told) == 1 else "EPSG:4326")


def data_keys(item: Any) -> list[str]:
    """Return the keys of an item's assets that hold quantities.

    Parameters
    ----------
    item
        A STAC item.

    Returns
    -------
    Those of the role "data" but classes and bits, in the item's order.

    Raises
    ------
    CatalogError
        When it has none; lists its assets.
    """
    data = [key for key, asset in item.assets.items() if "data" in (asset.roles or [])]
    keys = [key for key in data if role_of(key) == "quantity"]
    if not keys:
        raise CatalogError(
            f"item {item.id} has no asset with the role 'data' among {sorted(item.assets)}; "
            "give bands="
        )
    return keys


def _scenes(rows: list[CatalogRow], bands: Sequence[str] | None) -> Iterator[Scene]:
    singles: dict[Any, list[tuple[str, CatalogRow]]] = {}
    for row in rows:
        if row.start_time is None or pd.isna(row.start_time):
            raise CatalogError(
                f"scenes need dates, {row.filepath} is undated; build the catalog with "
                "filename_regex= or from STAC items"
            )
        own = next((row.extras.get(n) for n in _BAND_COLUMNS if is_known(row.extras.get(n))), None)
        if own is None or row.assets:
            yield _scene(row, row.assets or None, bands)
        else:
            item = row.extras.get("item_id"), str(row.extras.get("collection"))
            key = item if is_known(item[0]) else (row.start_time, row.geometry.wkb)
            singles.setdefault(key, []).append((str(own), row))
    for group in singles.values():
        yield _scene(group[0][1], {band: row.filepath for band, row in group}, bands)


def _scene(row: CatalogRow, assets: dict[str, str] | None, bands: Sequence[str] | None) -> Scene:
    """Return the scene of a row; without assets all bands are in its one file."""
    if assets is None:
        count = int(row.extras.get("count") or 1)
        names = bands or [f"band_{n + 1}" for n in range(count)]
        files = dict.fromkeys(names, row.filepath)
    else:
        files = {
            band: path
            for band in bands or assets
            if (path := assets.get(band, assets.get(band.rpartition("_")[0]))) is not None
        }
        _check_bands(_name(row), bands or (), files, assets)
    extras = {k: row.extras[k] for k in _SAID if is_known(row.extras.get(k))}
    names = ("collection", "constellation", "platform")
    says = [str(row.extras.get(name)).lower().startswith("sentinel-2") for name in names]
    version = str(row.extras.get("processing_version"))  # what Copernicus calls the baseline
    if any(says) and re.fullmatch(r"\d\d\.\d\d", version):
        extras.setdefault("processing_baseline", version)
    # Products that others make of its scenes, such as HLS, have neither a baseline nor its offset.
    others = is_known(row.extras.get("collection")) and "processing_baseline" not in extras
    is_sentinel2 = says[0] if others else any(says)
    time = row.start_time
    attrs: dict[str, Any] = {**extras, "datetime": time.isoformat()}
    if row.extras.get("simulated") in (True, "true"):
        attrs["source"] = "simulated"
    if is_sentinel2 and "processing_baseline" not in attrs and time < OFFSET_SINCE:
        attrs["offset_applied"] = True
    size = row.pixel_size
    native = row.extras.get("native_crs")
    west, _, _, north = row.bounds
    kept = crs_text(as_crs(native)) if is_known(native) else None
    resolution: Any = row.extras.get("resolution")
    known = (float(resolution),) * 2 if is_known(resolution) else None
    place = (kept, size or known, (west, north) if size and kept else None)
    where = row.geometry, crs_text(row.crs)
    return Scene(_name(row), time, files, *where, attrs, place, is_sentinel2, row.signer)


def _check_bands(name: str, asked: Sequence[str], found: Any, has: Any) -> None:
    if missing := [band for band in asked if band not in found]:
        raise CatalogError(
            f"{name} has no band {', '.join(missing)}, it has {', '.join(has)}; catalog it with "
            "that asset, or ask for other bands= or another mask= (None for none)"
        )


def _name(row: CatalogRow) -> str:
    return str(row.extras["item_id"]) if is_known(row.extras.get("item_id")) else row.filepath


def passes_of(scenes: Iterable[Scene], within: str | None = "10min") -> list[list[Scene]]:
    """Return scenes by pass: neighbouring tiles that one overflight saw are one observation.

    Parameters
    ----------
    scenes
        By rising time.
    within
        How long after a pass's first scene the others begin at most, as pandas writes it. None
        takes each scene for a pass of its own, so that a pixel in two tiles counts twice.

    Returns
    -------
    Each with at least one scene.

    Raises
    ------
    CatalogError
        For a `within` that is no time, or a negative one.

    Examples
    --------
    >>> import shapely
    >>> times = pd.to_datetime(["2024-06-01T10:30", "2024-06-01T10:31", "2024-06-03T10:30"])
    >>> scenes = [Scene("", time, {}, shapely.box(0, 0, 1, 1), "EPSG:4326") for time in times]
    >>> [len(each) for each in passes_of(scenes)]
    [2, 1]
    """
    if within is None:
        return [[scene] for scene in scenes]
    known = within if isinstance(within, str | timedelta) else "NaT"
    longest = pd.to_timedelta(known, errors="coerce")
    if not longest >= pd.Timedelta(0):
        raise CatalogError(f"same_pass must be a time such as '10min', or None, got {within!r}")
    passes: list[list[Scene]] = []
    for scene in scenes:
        if passes and scene.time - passes[-1][0].time <= longest:
            passes[-1].append(scene)
        else:
            passes.append([scene])
    return passes


@dataclass(frozen=True)
class SceneReading:
    """How a scene is read onto a grid: which bands, what is done to them, which pixels are dropped.

    Parameters
    ----------
    bands
        Of the result.
    mask
        A function or operator of the scene (C, h, w), bands and mask bands, radiometry done, to
        (h, w) bool, True where a pixel is dropped: `MaskFromSCL("SCL")`, a network, any other.
        None drops nothing. An operator that says how many pixels it looks (`radius`) gets as many
        around the grid.
    mask_bands
        Bands that only the mask needs.
    radiometry
        "auto" takes Sentinel-2's +1000 away where the scene's baseline has it. A function or
        operator of the scene (C, h, w) takes its place; its attributes tell the baseline. None
        leaves the numbers as they are.
    resampling
        Rasterio's name of the method, for pixels that are not the grid's.
    nodata
        Marks missing pixels in the files, whatever they say.

    Raises
    ------
    CatalogError
        For a mask or radiometry that is no operator.

    Examples
    --------
    >>> SceneReading(("B04", "B08"), mask_bands=("SCL",)).all_bands
    ('B04', 'B08', 'SCL')
    """

    bands: tuple[str, ...]
    mask: Callable[[Any], Any] | None = None
    mask_bands: tuple[str, ...] = ()
    radiometry: Any = "auto"
    resampling: str = "nearest"
    nodata: float | None = None

    def __post_init__(self) -> None:
        as_resampling(self.resampling)
        if self.radiometry not in ("auto", None) and not callable(self.radiometry):
            raise CatalogError(
                f'radiometry must be "auto", None, or an operator, got {self.radiometry!r}'
            )
        if self.mask is not None and not callable(self.mask):
            raise CatalogError(f"mask must be None or an operator, got {self.mask!r}")

    @property
    def all_bands(self) -> tuple[str, ...]:
        """The bands, then those that only the mask needs."""
        return (*self.bands, *(band for band in self.mask_bands if band not in self.bands))

    @property
    def halo(self) -> int:
        """Pixels around the grid that the mask looks at; 0 where it does not say."""
        return 0 if self.mask is None else radius_of(self.mask) or 0

    def __call__(
        self, scene: Scene, grid: GeoBox, files: KeptOpen | None = None
    ) -> GeoTensor | None:
        """Return a scene's bands on a grid.

        Parameters
        ----------
        scene
            What is read.
        grid
            Where its pixels are wanted.
        files
            Keeps files open for the next read; by default they are closed.

        Returns
        -------
        (C, h, w); nodata, dropped pixels and those beyond the scene are `fill_value_default`: the
        files' nodata value in integers that have one, else NaN in floats. None where the scene
        lies outside the grid.

        Raises
        ------
        PixelReadError
            When a file cannot be read.
        """
        halo, (rows, cols) = self.halo, grid.shape.yx
        area = part_of(grid, -halo, -halo, rows + 2 * halo, cols + 2 * halo)
        read = self._stored(scene, area, files)
        if read is None:
            return None
        raster, drop, others = read
        raster = self._corrected(scene, raster, others)
        if self.mask is not None:
            made = checked_mask(self.mask(raster), raster.shape[-2:])
            drop = made if drop is None else made | drop
        count = len(self.bands)
        kept = select_bands(raster, range(count)) if len(raster) > count else raster
        inner = slice(halo, halo + rows), slice(halo, halo + cols)
        values = values_of(kept)[:, *inner]
        if drop is not None:
            own = self.radiometry in ("auto", None)  # what an operator returns may be kept by it
            values, kept = _marked(values if own else values.copy(), drop[inner], kept)
        return as_geotensor(np.ascontiguousarray(values), grid, fill_of(kept), dict(attrs_of(kept)))

    def of_pass(
        self, scenes: Sequence[Scene], grid: GeoBox, files: KeptOpen | None = None
    ) -> GeoTensor | None:
        """Return the bands of one pass's scenes on a grid: where tiles overlap, the first counts.

        Parameters
        ----------
        scenes, grid, files
            As in a call; each scene's own offset is away before they are put together.

        Returns
        -------
        As of a call; None where all lie outside the grid.
        """
        made: Any = None
        gaps: Any = None
        for scene in scenes:
            raster = self(scene, grid, files)
            if raster is None:
                continue
            if made is None:
                made = raster
            else:
                made, raster = alike(made, raster)
                np.copyto(values_of(made), values_of(raster), where=gaps)
            gaps = invalid_mask(values_of(made), fill_of(made))
            if gaps is None:
                break
        return made

    def _corrected(self, scene: Scene, raster: Raster, others: list[int]) -> Raster:
        """Return a scene's bands without their offset, which `others` have not."""
        if self.radiometry is None:
            return raster
        if self.radiometry != "auto":
            return self.radiometry(raster)  # type: ignore[no-any-return]
        if not scene.is_sentinel2 or len(others) == len(raster):
            return raster
        known = {"offset_applied", "processing_baseline"} & scene.attrs.keys()
        made = harmonize_baseline(raster, baseline=None if known else "04.00")
        if others:
            values_of(made)[others] = values_of(raster)[others]
        return made

    def _stored(
        self, scene: Scene, grid: GeoBox, files: KeptOpen | None
    ) -> tuple[Raster, Mask | None, list[int]] | None:
        """Return the files' numbers on a grid, as `_joined` does."""
        by_path: dict[str, list[str]] = {}
        for band in self.all_bands:
            by_path.setdefault(scene.files[band], []).append(band)
        found: dict[str, tuple[Piece | None, Bands, int]] = {}
        for path, bands in by_path.items():
            keys = {band_key(band) for band in bands}
            piece, told = read_piece(
                path,
                grid,
                partial(_indexes_in, bands=bands),
                self.resampling,
                self.nodata,
                assumed_nodata=None if PROBABILITIES & keys or not scene.is_sentinel2 else 0,
                scaled=True,
                names=bands,
                sign=signing(path, scene.signer),
                what=f"{scene.name}, {path}",
                files=files,
            )
            found |= {band: (piece, told, at) for at, band in enumerate(bands)}
        if all(found[band][0] is None for band in self.bands):
            return None
        return self._joined(scene, grid, found)

    def _joined(
        self, scene: Scene, grid: GeoBox, found: dict[str, tuple[Piece | None, Bands, int]]
    ) -> tuple[Raster, Mask | None, list[int]]:
        """Return bands of files as one raster: whole numbers where all mark nodata by one.

        With it come where a band that the mask needs is missing, and which bands are no digital
        numbers of Sentinel-2: those of bytes, and floats, which are physical values already.
        """
        dtype = np.result_type(*(told.dtype for _, told, _ in found.values()))
        fills = {found[band][1].nodata for band in self.bands}
        fill: Any = fills.pop() if len(fills) == 1 and dtype.kind in "iu" else math.nan
        if fill is None or fill != fill:
            fill, dtype = math.nan, np.result_type(dtype, np.float32)
        values = np.full((len(found), *grid.shape.yx), fill, dtype)
        unknown: Mask | None = None
        roles: list[Role] = []
        others = []
        for number, (target, band) in enumerate(zip(values, self.all_bands, strict=True)):
            piece, told, at = found[band]
            if told.dtype.kind not in "iu" or told.dtype.itemsize == 1:
                others.append(number)
            roles.append(told.roles[at] if told.roles else role_of(band))
            missing = np.ones(target.shape, bool)
            if piece is not None:
                valid = _valid(piece, at, roles[-1])
                np.copyto(target[piece.window], piece.data[at], where=valid, casting="unsafe")
                missing[piece.window] = ~valid
            if band not in self.bands and missing.any():
                unknown = missing if unknown is None else unknown | missing
        attrs = {**scene.attrs, "band_names": list(self.all_bands)}
        if set(roles) != {"quantity"}:
            attrs["band_roles"] = roles
        return as_geotensor(values, grid, fill, attrs), unknown, others


def _valid(piece: Piece, at: int, role: Role) -> Values:
    """Return where a band of a piece counts: bits of 0 say that no flag is set, and count."""
    if role == "bits" and piece.mask is None and piece.nodata == 0:
        return np.ones(piece.data.shape[-2:], bool)
    return piece.valid[at]


def _indexes_in(source: Any, bands: list[str]) -> list[int]:
    """Return the 1-based numbers of bands in an opened file: by its names, or as `band_1`."""
    if source.count == len(bands) == 1:
        return [1]
    names = [str(name) for name in source.descriptions]
    indexes = []
    for band in bands:
        head, _, number = band.rpartition("_")
        if band in names:
            indexes.append(sole_position(band, names) + 1)
        elif head and number.isdigit() and 1 <= int(number) <= source.count:
            indexes.append(int(number))
        else:
            own = ", ".join(name for name in source.descriptions if name)
            raise CatalogError(
                f"{source.name} has no band {band!r}; it has {own or 'bands without names'}, "
                f"or band_1 to band_{source.count}"
            )
    return indexes


def _marked(values: Values, drop: Mask, raster: Raster) -> tuple[Values, Raster]:
    """Return pixels with those that are dropped as nodata; integers without any become floats."""
    fill: Any = fill_of(raster)
    if fill is None and values.dtype.kind != "f":
        values = values.astype(np.result_type(values.dtype, np.float32))
    if values.dtype.kind == "f" and fill is None:
        fill = math.nan
    np.copyto(values, fill, where=drop)
    return values, rewrap(raster, values_of(raster), fill=fill)


def alike(one: Raster, other: Raster) -> tuple[Raster, Raster]:
    """Return two rasters in one dtype with one nodata value: as floats where they differ.

    Parameters
    ----------
    one, other
        (..., H, W).

    Returns
    -------
    The two, or copies in floats with NaN for nodata.

    Examples
    --------
    >>> one, other = alike(np.array([[1, 2]], "uint16"), np.array([[0.5, 1.5]], "float32"))
    >>> one.dtype == other.dtype
    True
    """
    fills = fill_of(one), fill_of(other)
    if one.dtype == other.dtype and (fills[0] == fills[1] or all(each != each for each in fills)):
        return one, other
    kind = np.result_type(one.dtype, other.dtype, np.float32)
    return as_floats(one, kind), as_floats(other, kind)


def scenes_to_read(
    catalog: Any,
    bands: Sequence[str] | None = None,
    *,
    mask: Any = None,
    mask_bands: Sequence[str] | None = None,
    radiometry: Any = "auto",
    resampling: str = "nearest",
    **which: Any,
) -> tuple[list[Scene], SceneReading]:
    """Return the scenes of a catalog and how they are read, from what users say of both.

    Parameters
    ----------
    catalog
        As in `scenes_of`.
    bands
        Of the result; by default all that the catalog lists but the mask's.
    mask
        Sentinel-2's SCL classes that do not count, an operator as in `SceneReading`, or None.
    mask_bands
        Bands that only the mask needs; those of the operators of this package are known.
    radiometry, resampling
        As in `SceneReading`.
    **which
        Which scenes: `time`, `bounds`, `crs` and `max_cloud_cover` of `scenes_of`.

    Returns
    -------
    The scenes by rising time, and the reading.

    Raises
    ------
    CatalogError
        As `scenes_of`, and when a scene lacks a band.
    """
    if not isinstance(catalog, GeoCatalog):
        catalog = _items_of(catalog)
    mask, mask_bands = _mask_of(mask, mask_bands)
    names = [bands] if isinstance(bands, str) else None if bands is None else list(bands)
    if names is not None and len({*names}) != max(len(names), 1):
        raise CatalogError(f"bands must name at least one band, and each once, got {bands!r}")
    asked = names
    if asked is None and not isinstance(catalog, GeoCatalog):
        asked = data_keys(catalog[0])
    if asked is not None:
        asked = [*asked, *(band for band in mask_bands if band not in asked)]
    scenes = scenes_of(catalog, asked, **which)
    names = names or [band for band in scenes[0].files if band not in mask_bands]
    reading = SceneReading(tuple(names), mask, mask_bands, radiometry, resampling)
    for scene in scenes:
        _check_bands(scene.name, reading.all_bands, scene.files, scene.files)
    return scenes, reading


def _mask_of(mask: Any, mask_bands: Sequence[str] | None) -> tuple[Any, tuple[str, ...]]:
    """Return the operator that makes a scene's mask, and the bands that only it needs."""
    mask_bands = [mask_bands] if isinstance(mask_bands, str) else mask_bands
    if mask is None:
        return None, tuple(mask_bands or ())
    if not callable(mask):
        try:
            mask = MaskFromSCL("SCL", classes=tuple(map(int, mask)))
        except (TypeError, ValueError):
            raise CatalogError(
                f"mask must be SCL classes such as (8, 9), an operator, or None, got {mask!r}"
            ) from None
    if mask_bands is None:
        first = mask.operators[0] if isinstance(mask, Sequential) else mask
        band = getattr(first, "band_idx", None)
        mask_bands = (band,) if isinstance(band, str) else ()
    return mask, tuple(mask_bands)


def as_floats(raster: Raster, kind: Any = np.float32) -> Raster:
    """Return a raster in floats, nodata as NaN.

    Parameters
    ----------
    raster
        (..., H, W).
    kind
        A float dtype.

    Returns
    -------
    A copy.

    Examples
    --------
    >>> as_floats(np.array([[1, 2]], "uint16")).dtype
    dtype('float32')
    """
    return rewrap(raster, nan_floats(values_of(raster), fill_of(raster), kind), fill=math.nan)
