"""From what a pipeline made to bytes: a GeoTIFF, or a summary as JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geostack.serve.problem import Problem
from geotoolz.carrier import nodata_mask
from geotoolz.io import write_cog
from pipekit import content_hash


def as_geotiff(result: Any, output: str | None) -> bytes:
    """Return a raster as a cloud-optimised GeoTIFF.

    - `output`: which, for a pipeline that makes several.

    Raises Problem 422 when there is no such output or it is no map.
    """
    raster = _chosen(result, output)
    if not isinstance(raster, GeoTensor):
        raise Problem(422, "the pipeline's result is no map; ask for ?format=json")
    with tempfile.TemporaryDirectory(prefix="geostack-serve-") as folder:
        return write_cog(raster, Path(folder) / "result.tif").read_bytes()


def as_summary(result: Any, output: str | None) -> dict[str, Any]:
    """Return what a result is: kind, shape, dtype, hash, least, greatest and mean valid value.

    >>> as_summary(np.array([1.0, 3.0, np.nan]), None)["mean"]
    2.0
    """
    value = result if output is None else _chosen(result, output)
    if isinstance(value, Mapping):
        return {str(name): as_summary(part, None) for name, part in value.items()}
    if isinstance(value, np.generic | int | float | bool | str):
        return {"kind": type(value).__name__, "value": _plain(value)}
    if not isinstance(value, np.ndarray):
        return {"kind": type(value).__name__}
    return _array_summary(value)


def _array_summary(value: Any) -> dict[str, Any]:
    values = np.asarray(value)
    missing = nodata_mask(values, getattr(value, "fill_value_default", None))
    valid = values if missing is None else values[~missing]
    summary = {
        "kind": type(value).__name__,
        "shape": list(values.shape),
        "dtype": values.dtype.name,
        "content_hash": content_hash(value),
        "valid_share": valid.size / values.size if values.size else 0.0,
    }
    if valid.size and values.dtype.kind in "biuf":
        summary |= {"min": _plain(valid.min()), "max": _plain(valid.max())}
        summary["mean"] = _plain(valid.mean(dtype=np.float64))
    return summary


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if not isinstance(plain, float) or np.isfinite(plain) else repr(plain)


def _chosen(result: Any, output: str | None) -> Any:
    if not isinstance(result, Mapping):
        if output is not None:
            raise Problem(422, "the pipeline has one output; leave out ?output=")
        return result
    if output not in result:
        raise Problem(422, f"choose ?output= from {', '.join(map(str, result))}")
    return result[output]
