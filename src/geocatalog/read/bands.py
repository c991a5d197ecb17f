"""What the bands of an opened file mean: roles, nodata, scale, and the pixels that masks hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from geocatalog.errors import CatalogError
from pipekit.pixels import (
    GUIDE,
    ROLE_TAG,
    Role,
    coloured_alpha,
    equal_mask,
    is_alpha,
    nodata_of,
    role_of,
    roles_in_file,
)
from pipekit.validity import as_number, header_nodata, hidden_by, nodata_decides

_AVERAGING = ("average", "rms", "sum")
_KEEPING = ("nearest", "mode", "min", "max", "med", "q1", "q3")


@dataclass(frozen=True)
class Bands:
    """What a file's bands are: dtype, nodata, and their names where the file has them.

    Parameters
    ----------
    dtype
        One that holds all bands.
    count
        How many there are.
    nodata
        Marks missing pixels, or None.
    names
        `count` descriptions, None where a band has none.
    roles
        What each holds; () where nobody said.
    scales
        (scale, offset) of each band's physical values; () where pixels are kept as stored.
    """

    dtype: np.dtype
    count: int
    nodata: float | None
    names: tuple[str | None, ...]
    roles: tuple[Role, ...] = ()
    scales: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls,
        source: Any,
        indexes: Sequence[int],
        *,
        scaled: bool = True,
        names: Sequence[str] | None = None,
    ) -> Bands:
        """Return what bands of an opened file are.

        Parameters
        ----------
        source
            A dataset that rasterio opened.
        indexes
            1-based bands.
        scaled
            Whether a scale and an offset are to be applied, to bands that hold quantities.
        names
            What others call the bands, such as a STAC item its assets; one name is for all.

        Returns
        -------
        As stored: the dtype and the first band's nodata value are the file's.
        """
        roles = roles_in_file(source, indexes)
        if names is not None:
            called = list(names) * (len(indexes) if len(names) == 1 else 1)
            told = [ROLE_TAG in source.tags(index) for index in indexes]
            roles = tuple(
                role if role != "quantity" or known else role_of(name)
                for role, known, name in zip(roles, told, called, strict=True)
            )
        scales, offsets, names_there = source.scales, source.offsets, source.descriptions
        every = tuple((scales[i - 1], offsets[i - 1]) for i in indexes)
        each = tuple(
            pair if role == "quantity" else (1.0, 0.0)
            for pair, role in zip(every, roles, strict=True)
        )
        return cls(
            dtype=np.result_type(*(source.dtypes[index - 1] for index in indexes)),
            count=len(indexes),
            nodata=header_nodata(source, indexes[0]),
            names=tuple(names_there[index - 1] for index in indexes),
            roles=roles,
            scales=each if scaled and any(pair != (1.0, 0.0) for pair in each) else (),
        )

    def physical(self, values: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
        """Return stored numbers as physical values: scale and offset applied, nodata as NaN.

        Parameters
        ----------
        values
            (C, ...) as stored.
        hidden
            Where there is no data, of that shape; None where there is everywhere.

        Returns
        -------
        float32, or float64 where the file has that.

        Examples
        --------
        >>> bands = Bands(np.dtype("int16"), 1, None, (None,), scales=((0.01, -5.0),))
        >>> bands.physical(np.array([[1500, 0]], "int16"), np.array([[False, True]]))
        array([[10., nan]], dtype=float32)
        """
        out = np.empty(values.shape, self.scaled.dtype)
        for band, stored, (scale, offset) in zip(out, values, self.scales, strict=True):
            band[...] = stored * np.float64(scale) + offset
        if hidden is not None:
            out[hidden] = np.nan
        return out

    def reordered(self, order: Sequence[int]) -> Bands:
        """Return the bands in another order.

        Parameters
        ----------
        order
            Where each is now, from 0.

        Returns
        -------
        As many bands.
        """
        return replace(
            self,
            names=tuple(self.names[i] for i in order),
            roles=tuple(self.roles[i] for i in order) if self.roles else (),
            scales=tuple(self.scales[i] for i in order) if self.scales else (),
        )

    @property
    def scaled(self) -> Bands:
        """The same bands as physical values."""
        if not self.scales:
            return self
        kind = self.dtype if self.dtype in ("f8", "c8", "c16") else np.dtype("float32")
        return replace(self, dtype=kind, nodata=np.nan, scales=())


def data_indexes(source: Any) -> list[int]:
    """Return the 1-based bands of data: all but an alpha band that has no name of its own.

    Parameters
    ----------
    source
        A dataset that rasterio opened.

    Returns
    -------
    All bands where none is left.

    Raises
    ------
    ValueError
        For a file of parts, such as a Zarr store, that has no band of its own.
    """
    if not source.count:
        raise ValueError(
            "the file has parts and no band of its own, as Zarr and NetCDF have; open it "
            "with xarray.open_dataset and give one of its variables"
        )
    named = zip(source.indexes, source.colorinterp, source.descriptions, strict=True)
    kept = [i for i, colour, name in named if not is_alpha(colour.name, name)]
    return kept or list(source.indexes)


@contextmanager
def as_asked(source: Any, indexes: Sequence[int], *, alpha: bool = True) -> Iterator[Any]:
    """Give an opened file as its bands are meant: what is no alpha band has not its colour.

    Four bytes a pixel are often written as red, green, blue and alpha when the fourth is near
    infrared, so that pixels of water would be taken for missing. A band of that colour is data
    where it has another name, where somebody asks for it by its number, and where the product says
    so. Everything that looks at masks, resampling included, then reads a file without it.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands that were asked for.
    alpha
        Whether the product may have an alpha band; False where all its bands hold data.

    Yields
    ------
    The file itself, or a view of it.
    """
    colours = source.colorinterp
    if ColorInterp.alpha not in colours or not (
        coloured_alpha(source, source.indexes if not alpha else indexes)
    ):
        yield source
        return
    from rasterio.shutil import copy

    with rasterio.MemoryFile(ext=".vrt") as view:
        copy(source, view.name, driver="VRT")
        with rasterio.open(view.name, "r+") as written:
            plain = (ColorInterp.undefined if each.name == "alpha" else each for each in colours)
            written.colorinterp = list(plain)
        with rasterio.open(view.name) as opened:
            yield opened


def read_bands(
    source: Any, indexes: Sequence[int], *, scaled: bool = True, **options: Any
) -> tuple[np.ndarray, float | None]:
    """Return pixels of an opened file, and the value that marks those that do not count.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands.
    scaled
        Whether to apply the file's scale and offset.
    **options
        Of rasterio's `read`: `window`, `out_shape`, `resampling`.

    Returns
    -------
    values
        (C, rows, cols) in the file's dtype, or as physical values in floats.
    nodata
        The file's own. What a mask, an alpha band or nodata values that differ hide is NaN in
        floats; in integers the file's value, or one that no valid pixel holds. None for none.
    """
    with as_asked(source, indexes) as file:
        bands = Bands.of(file, indexes, scaled=scaled)
        values = read_stored(file, indexes, bands.dtype, **options)
        if nodata_decides(file, indexes):
            if not bands.scales:
                return values, bands.nodata
            hidden = equal_mask(values, bands.nodata)
        else:
            hidden = hidden_by(file, indexes, values, **options)
    if bands.scales:
        return bands.physical(values, hidden), np.nan
    return marked(values, hidden, bands.nodata)


def read_stored(source: Any, indexes: Sequence[int], dtype: np.dtype, **options: Any) -> np.ndarray:
    """Return an opened file's numbers as they are stored; its bands may differ in dtype.

    Parameters
    ----------
    source
        A dataset that rasterio opened.
    indexes
        1-based bands.
    dtype
        One that holds them all.
    **options
        Of rasterio's `read`.

    Returns
    -------
    (C, rows, cols).
    """
    if len({source.dtypes[index - 1] for index in indexes}) == 1:
        values: np.ndarray = source.read(list(indexes), **options)
        return values
    shape = {"out_shape": options["out_shape"][-2:]} if "out_shape" in options else {}
    each = [source.read(index, **{**options, **shape}) for index in indexes]
    return np.stack(each).astype(dtype, copy=False)


def marked(
    values: np.ndarray, hidden: np.ndarray | None, wished: float | None
) -> tuple[np.ndarray, float | None]:
    """Return pixels of which some do not count, and the value that marks them.

    Parameters
    ----------
    values
        Pixels, changed in place.
    hidden
        Those that do not count; None for none.
    wished
        The value to mark them with where no other pixel of integers holds it, or None.

    Returns
    -------
    The pixels, and NaN for floats, a number that no valid pixel holds for others; what was wished
    where nothing is hidden and nothing holds it.

    Raises
    ------
    CatalogError
        When every number of the dtype is in use.

    Examples
    --------
    >>> marked(np.array([0, 7], "uint8"), np.array([False, True]), None)
    (array([  0, 255], dtype=uint8), 255)
    """
    if values.dtype.kind in "fc":
        if hidden is None or not hidden.any():
            return values, np.nan if wished is None else wished
        values[hidden] = np.nan
        return values, np.nan
    wished = as_number(wished, values.dtype)
    if hidden is None or not hidden.any():
        return values, None if equal_mask(values, wished) is not None else wished
    masked = np.ma.array(values, mask=hidden, fill_value=0 if wished is None else wished)
    try:
        fill = nodata_of(masked)
    except TypeError as error:
        raise CatalogError(
            f"no number of {values.dtype.name} is left to mark pixels without data; give nodata=, "
            f"the value that marks them, or read with scale, mean or median as floats; {GUIDE}"
        ) from error
    values[hidden] = fill
    return values, fill


def resampling_for(role: Role, method: str) -> str:
    """Return how a band is resampled: as asked for if it holds quantities, else by its own numbers.

    Parameters
    ----------
    role
        What the band holds.
    method
        Rasterio's name of the method asked for.

    Returns
    -------
    The same; "mode" for classes that would be averaged, "nearest" for what else would be mixed.

    Examples
    --------
    >>> resampling_for("class", "average"), resampling_for("bits", "cubic")
    ('mode', 'nearest')
    """
    if role == "quantity" or method in _KEEPING:
        return method
    return "mode" if role == "class" and method in _AVERAGING else "nearest"


def lacks_place(source: Any, what: str) -> str:
    """Return what to say of a file that cannot be placed on the map, and the way out.

    Parameters
    ----------
    source
        A dataset that rasterio opened, without a CRS.
    what
        What the message calls the file.

    Returns
    -------
    A sentence that names ground control points and RPCs where the file has them.
    """
    if source.gcps[0]:
        return (
            f"{what} has no CRS and transform, only ground control points; warp it first: "
            "gdalwarp IN OUT"
        )
    if source.rpcs is not None:
        return (
            f"{what} has no CRS and transform, only RPCs; warp it first: gdalwarp -rpc IN OUT, "
            "best with -to RPC_DEM=FILE"
        )
    return (
        f"{what} has no CRS, so its place is unknown; write one into it "
        "(rio edit-info --crs EPSG:CODE FILE, or gdal_edit.py -a_srs), or read it without a place"
    )
