"""Work packed once and unpacked once in each process that takes part in it.

Large arrays are laid out in a file that every process on the machine maps: a scene in memory is
shared, not copied to each worker.
"""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import cloudpickle
import numpy as np

_unpacked: dict[str, Any] = {}
_lock = threading.Lock()


class Packed(Protocol):
    """What can be sent to a worker and unpacked there."""

    def load(self) -> Any:
        """Return the object, the same one whenever this process asks again."""


@dataclass(frozen=True)
class Payload:
    """An object as bytes, and the large buffers of its arrays; `load()` gives it back.

    >>> from georeader.geotensor import GeoTensor
    >>> scene = GeoTensor(np.ones((2, 3)), None, "EPSG:32632")
    >>> pack({"scene": scene}).load()["scene"].crs
    'EPSG:32632'
    """

    pickled: bytes
    buffers: list[Any]
    token: str = field(default_factory=lambda: uuid4().hex)

    @property
    def nbytes(self) -> int:
        """Bytes to send."""
        return len(self.pickled) + sum(buffer.nbytes for buffer in self.buffers)

    def load(self) -> Any:
        """Return the object, the same one whenever this process asks again."""
        with _lock:
            return _once(self.token, self._unpack)

    def _unpack(self) -> Any:
        return pickle.loads(self.pickled, buffers=self.buffers)


@dataclass(frozen=True)
class SavedPayload:
    """A payload laid out in a folder of this machine; its arrays are mapped, read-only."""

    folder: Path

    def load(self) -> Any:
        """Return the object, the same one whenever this process asks again."""
        with _lock:
            return _once(str(self.folder), self._unpack)

    def _unpack(self) -> Any:
        files = sorted(self.folder.glob("*.npy"), key=lambda path: int(path.stem))
        buffers = [np.load(path, mmap_mode="r") if _has_bytes(path) else b"" for path in files]
        return pickle.loads((self.folder / "object.pickle").read_bytes(), buffers=buffers)


def pack(obj: Any) -> Payload:
    """Return the object packed: closures and notebook functions too, by cloudpickle."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = cloudpickle.dumps(obj, protocol=5, buffer_callback=buffers.append)
    return Payload(pickled, [np.frombuffer(b.raw(), np.uint8) for b in buffers])


def save(payload: Payload, folder: Path) -> SavedPayload:
    """Lay a payload out in a folder for the processes of this machine.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(pack(np.arange(3)), Path(folder)).load().tolist()
    [0, 1, 2]
    """
    for number, buffer in enumerate(payload.buffers):
        np.save(folder / f"{number}.npy", buffer)
    (folder / "object.pickle").write_bytes(payload.pickled)
    return SavedPayload(folder)


def _once(token: str, unpack: Any) -> Any:
    if token not in _unpacked:
        _unpacked.clear()  # one run at a time: the last one's scene is not kept alive
        _unpacked[token] = unpack()
    return _unpacked[token]


def _has_bytes(path: Path) -> bool:
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
    return shape != (0,)
