"""Work packed once and unpacked once in each process that takes part in it.

Large arrays are laid out in a file that every process on the machine maps: a scene in memory is
shared, not copied to each worker.
"""

from __future__ import annotations

import io
import pickle
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import cloudpickle
import numpy as np
from georeader.geotensor import GeoTensor

from geopatcher.fields import RasterField

_unpacked: dict[str, Any] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Payload:
    """An object as bytes, and the large buffers of its arrays; `load()` gives it back.

    >>> scene = GeoTensor(np.ones((2, 3)), None, "EPSG:32632")
    >>> pack({"scene": scene}).load()["scene"].crs
    'EPSG:32632'
    """

    pickled: bytes
    buffers: list[Any]
    token: str = field(default_factory=lambda: uuid4().hex)

    def load(self) -> Any:
        """Return the object, the same one whenever this process asks again."""
        with _lock:
            if self.token not in _unpacked:
                _unpacked.clear()  # one run at a time: the last one's scene is not kept alive
                _unpacked[self.token] = pickle.loads(self.pickled, buffers=self.buffers)
            return _unpacked[self.token]


def pack(obj: Any) -> Payload:
    """Return the object packed: closures and notebook functions too, by cloudpickle."""
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(obj)
    return Payload(stream.getvalue(), [np.frombuffer(b.raw(), np.uint8) for b in buffers])


def save(payload: Payload, folder: Path) -> None:
    """Lay a payload out in a folder for the processes of this machine."""
    for number, buffer in enumerate(payload.buffers):
        np.save(folder / f"{number}.npy", buffer)
    (folder / "object.pickle").write_bytes(payload.pickled)


def load_saved(folder: Path) -> Any:
    """Return the object of a saved payload, its arrays mapped from the file, read-only."""
    files = sorted(folder.glob("*.npy"), key=lambda path: int(path.stem))
    buffers = [np.load(path, mmap_mode="r") if _has_bytes(path) else b"" for path in files]
    return pickle.loads((folder / "object.pickle").read_bytes(), buffers=buffers)


def _has_bytes(path: Path) -> bool:
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return shape != (0,)


class _Pickler(cloudpickle.Pickler):
    """Pickles a `GeoTensor` with its georeference, which numpy's own way forgets."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is GeoTensor:
            parts = (obj.values, obj.transform, obj.crs, obj.fill_value_default, obj.attrs)
            return GeoTensor, parts
        if type(obj) is RasterField and isinstance(obj.reader, GeoTensor):
            return RasterField, (obj.reader,)
        return super().reducer_override(obj)
