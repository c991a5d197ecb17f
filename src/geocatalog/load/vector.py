"""Labels of a slice, burnt from the vector files of a catalog onto the slice's own pixel grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from geocatalog.build import is_parquet
from geocatalog.catalog import CatalogRow, GeoCatalog, rows_under
from geocatalog.errors import CatalogError
from geocatalog.footprint import Bounds, as_crs, reproject, reproject_box
from geocatalog.geoslice import GeoSlice
from geocatalog.grid import as_geotensor
from geocatalog.read.open import with_address
from geocatalog.read.signers import signing
from pipekit.carrier import full_turns, same_crs
from pipekit.operator import checked_option

if TYPE_CHECKING:
    from georeader.geotensor import GeoTensor

TASKS = ("semantic_segmentation", "instance_segmentation")
"""What pixels say: the class of the feature they lie in, or which feature it is."""


def load_vector(
    catalog: GeoCatalog,
    slice_: GeoSlice,
    task: str = "semantic_segmentation",
    label_field: str | None = None,
    *,
    classes: Mapping[Any, int] | None = None,
    all_touched: bool = False,
) -> GeoTensor:
    """Return (1, H, W) labels on exactly the grid that `load_raster` gives for the same slice.

    0 is background, also all of a slice that no feature touches. Later features overwrite earlier
    ones. `attrs["classes"]` maps values to numbers, `attrs["band_names"]` is the label field. The
    dtype is uint8, or int32 where a number is negative or beyond 255.

    Parameters
    ----------
    catalog
        A catalog of vector files.
    slice_
        Where, when and on which pixel grid.
    task
        "semantic_segmentation" burns classes, "instance_segmentation" numbers features from 1 in
        reading order.
    label_field
        Attribute that holds the class. Integers are burnt as they are; text is numbered from 1 in
        sorted order over the catalog's files, so that all slices of one catalog agree. None burns 1
        everywhere.
    classes
        Attribute value to class number, instead; values not listed are left out.
    all_touched
        Burn every pixel a feature touches, instead of those whose centre it holds.

    Returns
    -------
    `GeoTensor` (1, H, W).

    Raises
    ------
    CatalogError
        When the catalog is not of vector files, one lacks the label field, or a number does not fit
        int32.

    Examples
    --------
    >>> import geopandas as gpd, shapely, tempfile
    >>> from geocatalog import build_vector_catalog
    >>> field = gpd.GeoDataFrame({"crop": [7]}, geometry=[shapely.box(0, 0, 20, 10)], crs=32610)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     field.to_file(folder + "/fields.gpkg")
    ...     catalog = build_vector_catalog([folder + "/fields.gpkg"])
    ...     slice_ = GeoSlice((0, 0, 30, 20), None, 10, 32610)
    ...     load_vector(catalog, slice_, label_field="crop").values.tolist()
    [[[0, 0, 0], [7, 7, 0]]]
    """
    from rasterio.features import rasterize

    checked_option(task, "task", TASKS, CatalogError)
    rows = rows_under(catalog, slice_, "vector")
    grid = slice_.undivided("load_vector")
    shapes = [shape for row in rows for shape in _features(row, slice_, label_field)]
    if task == "instance_segmentation":
        numbers: dict[Any, int] = {"instances": len(shapes)}
        burnt = [(shape, index) for index, (shape, _) in enumerate(shapes, start=1)]
    else:
        numbers = _class_numbers(catalog, label_field) if classes is None else dict(classes)
        burnt = [(shape, numbers[value]) for shape, value in shapes if value in numbers]
    labels = np.zeros(grid.shape.yx, dtype=_label_dtype([number for _, number in burnt]))
    if burnt:
        rasterize(burnt, out=labels, transform=grid.transform, all_touched=all_touched)
    name = label_field or ("instance" if task == "instance_segmentation" else "label")
    files = [row.filepath for row in rows]
    attrs = {"classes": numbers, "band_names": [name], "files": files}
    return as_geotensor(labels[np.newaxis], grid, 0, attrs)


def _features(
    row: CatalogRow, slice_: GeoSlice, label_field: str | None
) -> Iterable[tuple[Any, Any]]:
    """Return (shape in the slice's CRS, label) of the features near the slice."""
    native = as_crs(row.extras.get("native_crs") or row.crs)
    box = slice_.grid_bounds
    if not same_crs(native, slice_.crs):
        box = reproject_box(box, slice_.crs, native).bounds
    turns = [0.0]
    if native.is_geographic:  # longitudes may be counted otherwise
        own = row.bounds if same_crs(native, row.crs) else (-180.0, -90.0, 180.0, 90.0)
        turns = [360.0 * turn for turn in full_turns(own[0], own[2], box[0], box[2])]
    return [found for by in turns for found in _features_in(row, slice_, label_field, box, by)]


def _features_in(
    row: CatalogRow, slice_: GeoSlice, label_field: str | None, box: Bounds, by: float
) -> Iterable[tuple[Any, Any]]:
    """Return what `_features` does, of those that lie in a box after a turn by some degrees."""
    import geopandas as gpd

    box = box[0] - by, box[1], box[2] - by, box[3]
    if is_parquet(row.filepath):
        frame = _opened(row, gpd.read_parquet)
        frame = frame.iloc[np.sort(frame.sindex.query(shapely.box(*box)))]
    else:
        layer = row.extras.get("layer")
        frame = _opened(row, lambda address: gpd.read_file(address, bbox=box, layer=layer))
    if label_field is not None and label_field not in frame.columns:
        raise CatalogError(
            f"{row.filepath} has no field {label_field!r}; it has "
            f"{[name for name in frame.columns if name != frame.geometry.name]}"
        )
    if frame.crs is None:
        raise CatalogError(f"{row.filepath} has no CRS, so its features cannot be placed")
    shapes = np.asarray(frame.geometry.to_numpy(), dtype=object)
    keep = np.array([shape is not None and not shape.is_empty for shape in shapes], dtype=bool)
    labels = frame[label_field].to_numpy() if label_field else np.ones(len(frame), dtype=int)
    turned = (
        shapely.transform(shapes[keep], lambda xy: xy + np.array([by, 0.0])) if by else shapes[keep]
    )
    moved = reproject(turned, frame.crs, slice_.crs)
    return [(s, v) for s, v in zip(moved, labels[keep], strict=True) if not pd.isna(v)]


def _opened(row: CatalogRow, read: Callable[[str], Any]) -> Any:
    """Return what `read` makes of a row's file, signed as it is opened."""
    return with_address(row.filepath, read, sign=signing(row.filepath, row.signer))


def _class_numbers(catalog: GeoCatalog, label_field: str | None) -> dict[Any, int]:
    """Return a number for each label of all files of a catalog, so that any slice numbers alike."""
    import pyogrio

    if label_field is None:
        return {1: 1}
    found: set[Any] = set()
    for row in catalog.iter_rows():
        if is_parquet(row.filepath):
            table = _opened(row, partial(pd.read_parquet, columns=[label_field]))
            column = table[label_field]
        else:
            how = {"layer": row.extras.get("layer"), "columns": [label_field]}
            plain = _opened(row, partial(pyogrio.read_dataframe, read_geometry=False, **how))
            if label_field not in plain.columns:
                raise CatalogError(f"{row.filepath} has no field {label_field!r}")
            column = plain[label_field]
        found.update(column.dropna().tolist())
    values = sorted(found)
    # A column of integers with a missing one is read as floats.
    if all(isinstance(value, int | float | np.number) and value == int(value) for value in values):
        return {value: int(value) for value in values}
    return {value: number for number, value in enumerate(values, start=1)}


def _label_dtype(numbers: list[int]) -> str:
    low, high = min(numbers, default=0), max(numbers, default=0)
    limits = np.iinfo("int32")
    if low < limits.min or high > limits.max:
        raise CatalogError(
            f"class numbers must fit int32, got {low} to {high}; number them with classes="
        )
    return "uint8" if low >= 0 and high < 256 else "int32"
