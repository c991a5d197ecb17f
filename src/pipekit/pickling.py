"""Pickling that keeps the georeference of carriers, which numpy's own way of pickling forgets."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from pipekit.carrier import is_carrier


def dumps(value: Any) -> bytes:
    """Return a value as bytes that `pickle.loads` turns back, carriers within it being whole.

    >>> pickle.loads(dumps({"bands": (4, 3, 2)}))
    {'bands': (4, 3, 2)}
    """
    stream = io.BytesIO()
    _CarrierPickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return stream.getvalue()


class _CarrierPickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, np.ndarray) and is_carrier(obj):
            place = {
                "transform": obj.transform,
                "crs": obj.crs,
                "fill_value_default": obj.fill_value_default,
                "attrs": obj.attrs,
            }
            return _carrier, (type(obj), obj.values, place)
        return NotImplemented


def _carrier(make: Any, values: Any, place: dict[str, Any]) -> Any:
    return make(values, **place)
