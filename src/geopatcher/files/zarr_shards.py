"""Shards of a Zarr v3 array written piece by piece, without holding a shard.

A shard is its chunks, one after the other in any order, and behind them the index that says where
each lies (Zarr sharding codec 1.0, ZEP 2). So chunks go to the file as soon as their rows are
final: memory is one row of chunks, and no thread but the caller's compresses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

_MISSING = np.iinfo(np.uint64).max
"""What the index says of a chunk that holds nothing but the fill value."""


@dataclass(frozen=True)
class ShardLayout:
    """A raster (*lead, H, W) in a Zarr array: `chunk` and `shard` are (rows, cols) of one plane."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    fill: Any
    chunk: tuple[int, int]
    shard: tuple[int, int]

    def codecs(self) -> dict[str, Any]:
        """Return the codecs as `Group.create_array` takes them: those that are written here."""
        from zarr.codecs import BytesCodec, ZstdCodec

        return {
            "serializer": BytesCodec(endian="little"),
            "compressors": ZstdCodec(level=_LEVEL, checksum=False),
        }

    def file(self, plane: tuple[int, ...], row: int, col: int) -> Path:
        """Return the file of the shard that holds pixel (row, col) of a plane."""
        place = (*plane, row // self.shard[0], col // self.shard[1])
        return self.folder.joinpath("c", *map(str, place))


_LEVEL = 0
"""Zstandard's own default, which is zarr's too."""


@dataclass
class ShardWriter:
    """Takes rows from the top of a row of shards down, and writes the shards that they make.

    >>> import tempfile, zarr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     layout = ShardLayout(
    ...         Path(folder), (5, 6), np.dtype("int16"), 0, chunk=(2, 2), shard=(4, 4)
    ...     )
    ...     array = zarr.create_array(
    ...         folder, shape=(5, 6), dtype="int16", chunks=(2, 2), shards=(4, 4), fill_value=0,
    ...         **layout.codecs(),
    ...     )
    ...     ShardWriter(layout).write(0, np.arange(30, dtype="int16").reshape(5, 6))
    ...     array[:].sum()
    np.int64(435)
    """

    layout: ShardLayout
    _rows: np.ndarray = field(init=False)
    _open: dict[Path, np.ndarray] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        from numcodecs.zstd import Zstd

        layout = self.layout
        height, width = layout.chunk
        padded = -(-layout.shape[-1] // width) * width
        self._rows = np.full((*layout.shape[:-2], height, padded), layout.fill, layout.dtype)
        self._encode = Zstd(level=_LEVEL, checksum=False).encode
        self._empty = self._encode(np.full(layout.chunk, layout.fill, self._stored))

    @property
    def align(self) -> int:
        """Rows of a shard: where it may begin."""
        return self.layout.shard[0]

    @property
    def _stored(self) -> np.dtype:
        return self.layout.dtype.newbyteorder("<")

    def write(self, row: int, values: np.ndarray) -> None:
        """Take rows (..., n, W) from `row` on: the next ones below those taken before."""
        height, (rows, _) = self.layout.shape[-2], self.layout.chunk
        taken = 0
        while taken < values.shape[-2]:
            at = (row + taken) % rows
            count = min(rows - at, values.shape[-2] - taken)
            self._rows[..., at : at + count, : values.shape[-1]] = values[
                ..., taken : taken + count, :
            ]
            taken += count
            if row + taken == height:
                self._rows[..., at + count :, :] = self.layout.fill
            if at + count == rows or row + taken == height:
                self._flush(row + taken - at - count)

    def _flush(self, row: int) -> None:
        """Write the row of chunks that begins at `row`, and the index where shards end."""
        layout = self.layout
        height, width = layout.shape[-2:]
        last = (row + layout.chunk[0]) % layout.shard[0] == 0 or row + layout.chunk[0] >= height
        for plane in product(*map(range, layout.shape[:-2])):
            for left in range(0, width, layout.shard[1]):
                file = layout.file(plane, row, left)
                if row % layout.shard[0] == 0:
                    self._begin(file)
                right = min(left + layout.shard[1], width)
                self._append(file, self._chunks(plane, left, right), row)
                if last:
                    self._end(file)

    def _chunks(self, plane: tuple[int, ...], left: int, right: int) -> list[bytes]:
        step = self.layout.chunk[1]
        return [
            self._encode(np.ascontiguousarray(self._rows[plane][:, col : col + step], self._stored))
            for col in range(left, right, step)
        ]

    def _begin(self, file: Path) -> None:
        file.unlink(missing_ok=True)  # of a run before this one
        sides = zip(self.layout.shard, self.layout.chunk, strict=True)
        self._open[file] = np.full((*(a // b for a, b in sides), 2), _MISSING, "<u8")

    def _append(self, file: Path, chunks: list[bytes], row: int) -> None:
        """Put one row of chunks at the shard's end; what is only fill value is left out."""
        places = self._open[file][row % self.layout.shard[0] // self.layout.chunk[0]]
        full = [(place, chunk) for place, chunk in zip(places, chunks, strict=False)]
        full = [(place, chunk) for place, chunk in full if chunk != self._empty]
        if not full:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            at = opened.tell()
            for place, chunk in full:
                place[:] = at, len(chunk)
                at += len(chunk)
            opened.writelines(chunk for _, chunk in full)

    def _end(self, file: Path) -> None:
        index = self._open.pop(file)
        if (index == _MISSING).all():
            return
        raw = index.tobytes()
        with file.open("ab") as opened:
            opened.write(raw + crc32c(raw).to_bytes(4, "little"))


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes, as RFC 3720, appendix B.4, defines it.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    rest = 0xFFFFFFFF
    for byte in data:
        rest = _table()[(rest ^ byte) & 0xFF] ^ (rest >> 8)
    return rest ^ 0xFFFFFFFF


@cache
def _table() -> list[int]:
    table = []
    for entry in range(256):
        for _ in range(8):
            entry = (entry >> 1) ^ (0x82F63B78 if entry & 1 else 0)
        table.append(entry)
    return table
