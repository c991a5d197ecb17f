"""What a whole-scene run notes in its journal: the blocks of rows that are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geopatcher.merge.row_buffer import Rows
from geopatcher.patch import PatchError
from pipekit import journal


@dataclass(frozen=True)
class BlockRecord:
    """One finished block: its rows [start, stop), a checksum of them, and what came of it."""

    rows: Rows
    crc32: int
    covered: int
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        start, stop = self.rows  # a list when it comes from a file
        object.__setattr__(self, "rows", (start, stop))

    @property
    def key(self) -> Rows:
        """Blocks are told apart by their rows."""
        return self.rows


class Journal(journal.Journal[BlockRecord]):
    """The journal of `map_patches`; `done` holds the finished blocks by their rows.

    Raises
    ------
    PatchError
        It belongs to another run (the message says what differs), the file is no journal, or
        another process is writing it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(folder + "/run.jsonl", {"operator": "NDVI"}) as journal:
    ...         journal.add(BlockRecord((0, 512), crc32=7, covered=10))
    ...     with Journal(folder + "/run.jsonl", {"operator": "NDVI"}) as journal:
    ...         list(journal.done)
    [(0, 512)]
    """

    def __init__(self, path: Any, run: Mapping[str, str]) -> None:
        super().__init__(path, run, BlockRecord, PatchError)
