"""The journal of a run: what is being made, and which blocks of it are done.

One file of JSON lines: the first describes the run, each further one a finished block. A line is
written when the block's rows are on disk, so a run that is killed at any point can go on from its
last finished block.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geopatcher.merge.row_buffer import Rows
from geopatcher.patch import PatchError

_FORMAT = 1


@dataclass(frozen=True)
class BlockRecord:
    """One finished block: its rows [start, stop), a checksum of them, and what came of it."""

    rows: Rows
    crc32: int
    covered: int
    skipped: dict[str, str] = field(default_factory=dict)


class Journal:
    """Opens a run's journal, or begins one; `done` holds the finished blocks by their rows.

    Raises `PatchError` when the journal belongs to another run, saying what differs, or when
    another process is writing it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(Path(folder) / "run.jsonl", {"operator": "NDVI"}) as journal:
    ...         journal.add(BlockRecord((0, 512), crc32=7, covered=10))
    ...     with Journal(Path(folder) / "run.jsonl", {"operator": "NDVI"}) as journal:
    ...         list(journal.done)
    [(0, 512)]
    """

    def __init__(self, path: Any, run: dict[str, str]) -> None:
        self.path = Path(path)
        self.run = run
        self.done: dict[Rows, BlockRecord] = {}
        self.finished = False
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"the journal's folder does not exist: {self.path.parent}")
        self._file = self.path.open("a+b")
        try:
            claim(self._file, self.path, PatchError)
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, record: BlockRecord) -> None:
        """Note a block whose rows are on disk."""
        self.done[record.rows] = record
        self._write(asdict(record))

    def finish(self) -> None:
        """Note that the run's target is whole."""
        self.finished = True
        self._write({"finished": True})

    def restart(self) -> None:
        """Forget all blocks: their rows are gone."""
        self.done.clear()
        self.finished = False
        self._file.truncate(0)
        self._write({"geopatcher_journal": _FORMAT, "run": self.run})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def _load(self) -> None:
        self._file.seek(0)
        text = self._file.read()
        whole, _, torn = text.rpartition(b"\n")  # a killed run may leave half a line
        if torn:
            self._file.truncate(len(text) - len(torn))
        lines = [self._parsed(line) for line in whole.splitlines()]
        if not lines:
            self.restart()
            return
        self._check(lines[0])
        for line in lines[1:]:
            if line.get("finished"):
                self.finished = True
                continue
            start, stop = line.pop("rows")
            self.done[start, stop] = BlockRecord(rows=(start, stop), **line)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise PatchError(f"{self.path} is no journal of a run; choose another path")
        return parsed

    def _check(self, head: dict[str, Any]) -> None:
        if head.get("geopatcher_journal") != _FORMAT or not isinstance(head.get("run"), dict):
            raise PatchError(f"{self.path} is no journal of a run; choose another path")
        check_same_run(self.path, head["run"], self.run, PatchError)


def check_same_run(
    path: Path, then: Mapping[str, str], now: Mapping[str, str], refusal: type[Exception]
) -> None:
    """Raise `refusal`, saying what differs, when a journal was begun by a run of other parts."""
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if names:
        told = "; ".join(f"{name} was {then.get(name)}, is now {now.get(name)}" for name in names)
        raise refusal(
            f"the journal {path} belongs to another run: {told}; give another journal=, "
            "or remove this one to begin again"
        )


def claim(file: Any, path: Path, refusal: type[Exception]) -> None:
    """Hold a journal until the file is closed or the process ends, where the system can.

    Raises `refusal` when another run holds it.
    """
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise refusal(f"the journal {path} is in use by another run") from None
