"""A Cloud Optimized GeoTIFF made of rows.

The format puts the overviews before the pixels, so it can only be written when all rows are
known: they wait in a plain file, which GDAL's COG driver then reads once, tile by tile.
"""

from __future__ import annotations

import errno
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import rasterio
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import Interleaving

from geopatcher.files.block_cache import block_cache
from geopatcher.files.rows import RasterSpec, RawRows, Unfinished
from geopatcher.patch import PatchError
from pipekit.carrier import crs_of
from pipekit.files import drop_side_files, sync
from pipekit.full_disk import gdal_writes
from pipekit.legend import Classes, classes_of, colour_table, write_names
from pipekit.pixels import ROLE_TAG, band_roles

TILE = 512
CACHE_MEGABYTES = 24
"""GDAL's block cache while it builds the file: a row of tiles, not the 5 % of memory it takes."""
OVERVIEW_BYTES = 2_000_000
"""What GDAL holds of the pixels under a piece of overview, several times; not its 10 MB."""

SCALING = ("scale_factor", "add_offset")
"""CF's names of what makes stored numbers physical: number * scale_factor + add_offset."""

_ATTRS_TAG = "GEOPATCHER_ATTRS"


@dataclass(frozen=True)
class CogTarget(Unfinished):
    """The rows of a COG, and the COG made of them: one band for each index of the leading axis."""

    def __post_init__(self) -> None:
        if len(self.spec.lead) > 1:
            raise PatchError(
                f"a GeoTIFF holds (H, W) or (C, H, W), got a result of shape {self.spec.shape}; "
                "use a .zarr target"
            )
        if 0 in self.spec.lead:
            raise PatchError(f"a GeoTIFF holds at least one band, got {self.spec.shape}")
        if self.spec.dtype.name not in dtype_rev:
            raise PatchError(
                f"a GeoTIFF holds integers, floats of 32 or 64 bits and complex numbers of them, "
                f"got {self.spec.dtype.name}; use a .zarr target"
            )

    @property
    def store(self) -> RawRows:
        """Where finished rows go."""
        return RawRows(self.hidden(".rows"), self.spec.shape, self.spec.dtype)

    def finish(self, skipped: dict[Any, str]) -> None:
        """Make the file of the rows, which lists the patches that failed, and give it its name.

        Raises `OSError` when GDAL cannot write it.
        """
        from rasterio.shutil import copy

        spec = self.spec.with_skipped(skipped)
        header, made = self.hidden(".vrt"), self.hidden(".tif")
        header.write_text(_header(spec, self.store.path.name))
        side = TILE if self.chunks is None else int(np.ravel(self.chunks)[0])
        kind, roles = spec.dtype.kind, set(band_roles(spec))
        resampling = "MODE" if roles == {"class"} else "NEAREST"
        if kind in "fc" and roles == {"quantity"}:
            resampling = "AVERAGE"
        options = {
            "BLOCKSIZE": side,
            "COMPRESS": "DEFLATE",
            "PREDICTOR": "YES" if kind in "iuf" else "NO",
            # The low bits of floats are noise: level 6 takes 1.4 to 1.6 times as long for 1 %.
            "LEVEL": "1" if kind in "fc" else "6",
            "OVERVIEW_RESAMPLING": resampling,
            "BIGTIFF": "IF_SAFER",
            "NUM_THREADS": "2",
        }
        lean = rasterio.Env(GDAL_OVR_CHUNK_MAX_SIZE=OVERVIEW_BYTES)
        with gdal_writes(self.path), block_cache(CACHE_MEGABYTES * 2**20), lean:
            copy(str(header), str(made), driver="COG", **options)
            if not ends_within(made):
                raise OSError(errno.ENOSPC, f"it was cut short at {made.stat().st_size} bytes")
        sync(made)
        drop_side_files(self.path)
        made.replace(self.path)
        write_names(self.path, _classes_of(spec))

    def discard(self) -> None:
        """Remove everything that is not the finished file."""
        for suffix in (".rows", ".vrt", ".tif", ".tif.ovr.tmp", ".tif.msk.ovr.tmp"):
            self.hidden(suffix).unlink(missing_ok=True)


def open_cog(name: str, options: dict[str, Any] | None = None) -> Any:
    """Open a COG as a georeader `RasterioReader`, with the attributes it was written with.

    Parameters
    ----------
    name : str
        What GDAL calls the COG.
    options : dict, optional
        What GDAL needs to open it.

    Returns
    -------
    RasterioReader
        Nothing but the header is read.
    """
    from georeader.geotensor import RIO_ENV_OPTIONS_DEFAULT
    from georeader.rasterio_reader import RasterioReader

    if options is not None:
        options = {**RIO_ENV_OPTIONS_DEFAULT, **options}
    reader = RasterioReader(name, rio_env_options=options)
    with rasterio.Env(**(options or {})), rasterio.open(name) as file:
        attrs = json.loads(file.tags().get(_ATTRS_TAG, "{}"))
        if reader.real_transform != file.transform:  # undefined where the file has none
            reader.real_transform = file.transform
            reader.set_window(reader.window_focus, relative=False)
    reader.attrs = {**reader.attrs, **attrs}
    return reader


def _header(spec: RasterSpec, rows: str) -> str:
    """Return a GDAL virtual dataset over the plain file: the place, the names, the tags."""
    height, width = spec.shape[-2:]
    size = spec.dtype.itemsize
    parts = [f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">']
    if spec.domain.crs is not None:
        parts.append(f"<SRS>{escape(crs_of(spec.domain.crs).to_wkt())}</SRS>")
    if spec.domain.transform is not None:
        numbers = ", ".join(repr(float(n)) for n in spec.domain.transform.to_gdal())
        parts.append(f"<GeoTransform>{numbers}</GeoTransform>")
    parts.append("<Metadata>" + _item(_ATTRS_TAG, json.dumps(spec.attrs)))
    for name, value in spec.attrs.items():
        if isinstance(value, str | int | float) and name.isidentifier() and name not in SCALING:
            parts.append(_item(name, str(value)))
    if _classes_of(spec):
        parts.append(_item("classes", json.dumps(spec.attrs["classes"])))
    parts.append("</Metadata>")
    names, about = spec.attrs.get("band_names", []), _about_numbers(spec)
    roles = band_roles(spec)
    plain = set(roles) == {"quantity"}
    kind = typename_fwd[dtype_rev[spec.dtype.name]]
    order = "LSB" if sys.byteorder == "little" else "MSB"
    for band in range(math.prod(spec.lead)):
        parts += [
            f'<VRTRasterBand dataType="{kind}" band="{band + 1}" subClass="VRTRawRasterBand">',
            f"<Description>{escape(str(names[band]))}</Description>" if band < len(names) else "",
            f"<NoDataValue>{spec.fill}</NoDataValue>" if spec.fill is not None else "",
            about,
            "" if plain else f"<Metadata>{_item(ROLE_TAG, roles[band])}</Metadata>",
            f'<SourceFilename relativeToVRT="1">{escape(rows)}</SourceFilename>',
            f"<ImageOffset>{band * height * width * size}</ImageOffset>",
            f"<PixelOffset>{size}</PixelOffset><LineOffset>{width * size}</LineOffset>",
            f"<ByteOrder>{order}</ByteOrder></VRTRasterBand>",
        ]
    return "".join([*parts, "</VRTDataset>"])


def _classes_of(spec: RasterSpec) -> Classes:
    """Return the classes of a map of one band, {} for anything else."""
    single = math.prod(spec.lead) == 1 and set(band_roles(spec)) == {"class"}
    return classes_of(spec.attrs) if single else {}


def _about_numbers(spec: RasterSpec) -> str:
    """Return what a band's stored numbers stand for: scale and offset, or colours of classes."""
    colours = colour_table(_classes_of(spec), spec.dtype.name)
    if colours:
        none = (0, 0, 0, 0)
        entries = (colours.get(key, none) for key in range(max(colours) + 1))
        listed = "".join(
            '<Entry c1="{}" c2="{}" c3="{}" c4="{}"/>'.format(*entry) for entry in entries
        )
        return f"<ColorInterp>Palette</ColorInterp><ColorTable>{listed}</ColorTable>"
    said = zip(("Scale", "Offset"), SCALING, strict=True)
    return "".join(
        f"<{tag}>{float(spec.attrs[name])!r}</{tag}>" for tag, name in said if name in spec.attrs
    )


def _item(name: str, value: str) -> str:
    return f"<MDI key={quoteattr(name)}>{escape(value)}</MDI>"


def ends_within(path: Path) -> bool:
    """Return whether no tile of a TIFF lies beyond the file's end.

    Where tiles without pixels are left out, GDAL reads a file that was cut as if they were such.

    Parameters
    ----------
    path : Path
        Of a file of this machine that GDAL can open.

    Returns
    -------
    bool
        False for a file that was cut, as by a full disk, which does not always tell.
    """
    size = path.stat().st_size
    with rasterio.open(path) as file:
        for band in file.indexes if file.interleaving == Interleaving.band else (1,):
            for (row, col), _ in file.block_windows(band):
                place = [
                    file.get_tag_item(f"{what}_{col}_{row}", "TIFF", bidx=band)
                    for what in ("BLOCK_OFFSET", "BLOCK_SIZE")
                ]
                if None not in place and sum(map(int, place)) > size:
                    return False
    return True
