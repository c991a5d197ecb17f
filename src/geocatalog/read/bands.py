"""What the bands of an opened file mean: roles, nodata, scale, and the pixels that masks hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from pipekit import validity
from pipekit.pixels import (
    ROLE_TAG,
    Role,
    coloured_alpha,
    equal_mask,
    is_alpha,
    marked,
    role_of,
    roles_in_file,
)

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
        each = tuple(
            (scales[i - 1], offsets[i - 1]) if role == "quantity" else (1.0, 0.0)
            for i, role in zip(indexes, roles, strict=True)
        )
        return cls(
            dtype=validity.stored_dtype(source, indexes),
            count=len(indexes),
            nodata=validity.header_nodata(source, indexes[0]),
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
    def attrs(self) -> dict[str, Any]:
        """What a raster of these bands says: their names where one has any, and their roles."""
        named = [name or f"band_{index}" for index, name in enumerate(self.names)]
        said: dict[str, Any] = {"band_names": named} if any(self.names) else {}
        if self.roles != tuple(role_of(name or "") for name in self.names):
            said["band_roles"] = list(self.roles)
        return said

    @property
    def scaled(self) -> Bands:
        """The same bands as physical values."""
        if not self.scales:
            return self
        return replace(self, dtype=validity.physical_dtype(self.dtype), nodata=np.nan, scales=())


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
    if not coloured_alpha(source, indexes if alpha else source.indexes):
        yield source
        return
    from rasterio.shutil import copy

    colours = [ColorInterp.undefined if c.name == "alpha" else c for c in source.colorinterp]
    with rasterio.MemoryFile(ext=".vrt") as view:
        copy(source, view.name, driver="VRT")
        with rasterio.open(view.name, "r+") as written:
            written.colorinterp = colours
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
        values = validity.read_stored(file, indexes, **options)
        if validity.nodata_decides(file, indexes):
            if not bands.scales:
                return values, bands.nodata
            hidden = equal_mask(values, bands.nodata)
        else:
            hidden = validity.hidden_by(file, indexes, values, **options)
    if bands.scales:
        return bands.physical(values, hidden), np.nan
    return marked(values, hidden, bands.nodata, bands.roles)


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
