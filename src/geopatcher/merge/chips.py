"""Checks and finishing touches that every merge onto a raster shares."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio.windows import Window

from geopatcher.domain import RasterDomain, crs_name, place_of
from geopatcher.patch import CoverageWarning, Failed, Patch, PatchError
from pipekit.carrier import same_crs

Items = Iterator[tuple[int, Patch | None]]
"""Patches by rising row with their numbers; one that was skipped is None."""


def window_of(patch: Patch) -> Window:
    """Return a rectangular patch's window, or raise `PatchError` for anything else."""
    window = getattr(patch, "indices", None)
    if not isinstance(window, Window):
        raise PatchError(
            "patches with windows are needed to merge onto a raster, got "
            f"{type(patch).__name__} with {type(window).__name__} as its indices; rectangles and "
            "other patches cannot be merged together"
        )
    return window


def chip_values(patch: Patch, domain: RasterDomain) -> tuple[np.ndarray, int, int, int, int]:
    """Return the patch's values cut to the domain, and where they go: row, col, rows, cols.

    Raises `PatchError` when the data has other pixels than the patch's window, or the patch
    does not lie on this domain.
    """
    window = window_of(patch)
    row, col, height, width = window.row_off, window.col_off, window.height, window.width
    data = patch.data
    values = data.view(np.ndarray) if isinstance(data, np.ndarray) else np.asarray(data)
    if values.shape[-2:] != (height, width):
        raise PatchError(
            f"the patch at anchor {patch.anchor} has data of shape {values.shape}, which does "
            f"not end in its window's {(height, width)} pixels; an operator that is stitched "
            "must keep the chip's height and width"
        )
    rows = min(height, domain.height - row)
    cols = min(width, domain.width - col)
    if row < 0 or col < 0 or rows < 1 or cols < 1:
        raise PatchError(
            f"the patch at anchor {patch.anchor} lies outside the domain of "
            f"{domain.height} x {domain.width} pixels; was it cut from another scene?"
        )
    if domain.transform is not None:
        place = data if isinstance(data, GeoTensor) else getattr(data, "domain", None)
        if isinstance(place, GeoTensor | RasterDomain) and place.transform is not None:
            _check_place(place, row, col, domain, patch)
    if rows < height or cols < width:
        values = values[..., :rows, :cols]
    return values, row, col, rows, cols


def _check_place(
    chip: GeoTensor | RasterDomain, row: int, col: int, domain: RasterDomain, patch: Patch
) -> None:
    """Raise `PatchError` when a georeferenced chip lies elsewhere than its window on the domain."""
    t, own = domain.transform, chip.transform
    assert t is not None
    assert own is not None
    here = place_of(t, row, col)
    off_x, off_y = own.c - here.c, own.f - here.f
    pixel = abs(t.a) + abs(t.b)
    if abs(off_x) + abs(off_y) > 0.01 * pixel or not same_crs(
        chip.crs, domain.crs, unknown_fits=True
    ):
        raise PatchError(
            f"the patch at anchor {patch.anchor} begins at ({own.c}, {own.f}) in "
            f"{crs_name(chip.crs)}, {off_x:g} and {off_y:g} away from its place on this domain in "
            f"{crs_name(domain.crs)}; it was cut from another scene"
        )
    stretch = abs(own.a - t.a) + abs(own.b - t.b) + abs(own.d - t.d) + abs(own.e - t.e)
    if stretch and stretch * max(chip.shape[-2:]) > 0.01 * pixel:
        raise PatchError(
            f"the patch at anchor {patch.anchor} has pixels of ({own.a:g}, {own.e:g}), this "
            f"domain of ({t.a:g}, {t.e:g}); it was cut from another scene"
        )


def check_lead(values: np.ndarray, lead: tuple[int, ...], patch: Patch) -> None:
    """Raise `PatchError` when a patch's leading axes differ from those of the first one."""
    if values.shape[:-2] != lead and not isinstance(patch.data, Failed):
        raise PatchError(
            f"patches of one kind are needed to merge: the first gave {lead} before its pixels, "
            f"the one at anchor {patch.anchor} gives {values.shape[:-2]}"
        )


def first_of(
    items: Iterable[tuple[int, Patch | None]], skipped: dict[Any, str]
) -> tuple[Items, Patch]:
    """Return the items again, and the first patch that really holds data.

    Raises `PatchError` when there is none, with the first reason in `skipped`.
    """
    items = iter(items)
    seen: list[tuple[int, Patch | None]] = []
    for item in items:
        seen.append(item)
        patch = item[1]
        if patch is not None and not isinstance(patch.data, Failed):
            return chain(seen, items), patch
    if not seen:
        raise PatchError("there are no patches to merge")
    anchor, why = next(iter(skipped.items()), ("?", "unknown"))
    raise PatchError(f"all {len(seen)} patches failed, the first at anchor {anchor}: {why}")


def warn_uncovered(share: float, what: str = "pixels") -> None:
    """Warn once with the share, 0 to 1, of pixels, cells or members that no patch covered."""
    if share > 0:
        way_out = (
            'SpatialRectangular(..., boundary="shift") covers every pixel'
            if what == "pixels"
            else "more anchors or a larger geometry cover more of them"
        )
        warnings.warn(
            f"{share:.2%} of the {what} is covered by no patch and holds the fill value; {way_out}",
            CoverageWarning,
            stacklevel=_level_of_caller(),
        )


def _level_of_caller() -> int:
    """Return the stack level of the line outside this package that asked for the merge."""
    own = __name__.partition(".")[0]
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] == own:
        frame, level = frame.f_back, level + 1
    return level


def riding_attrs(like: Any, lead: tuple[int, ...]) -> dict[str, Any]:
    """Return the attributes of a patch's data that are true of a raster (*lead, H, W) as well.

    Names of bands are, when there are as many bands still.
    """
    attrs = dict(getattr(like, "attrs", None) or {})
    if "band_names" in attrs and len(attrs["band_names"]) not in lead:
        del attrs["band_names"]
    return attrs


def as_scene(
    values: np.ndarray, domain: RasterDomain, fill: Any, like: Any, skipped: dict[Any, str]
) -> Any:
    """Return `values` (..., H, W) as a `GeoTensor` on the domain, or plain without a transform.

    The attributes of the first patch's data ride along; patches that were skipped are listed
    under "skipped_patches".
    """
    if domain.transform is None:
        return values
    attrs = riding_attrs(like, values.shape[:-2])
    if skipped:
        attrs["skipped_patches"] = {str(anchor): why for anchor, why in skipped.items()}
    return GeoTensor(values, domain.transform, domain.crs, fill_value_default=fill, attrs=attrs)
