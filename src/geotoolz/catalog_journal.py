"""The journal of a run over a catalog: which rows are done, and what the run was.

One JSON line a row, on disk before the next row is counted as done, each with what the run was
made of: rows of one run are never taken for another's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from geocatalog import CatalogError
from geopatcher.journal import check_same_run, claim
from pipekit import NotSerializableError, Operator


@dataclass(frozen=True)
class Finished:
    """A row that is wholly done: its outputs by name, and what its operator told of them.

    `run` says what made it: the operator's hash, the reader, the writer, the columns.
    """

    key: str
    filepath: str
    outputs: dict[str, str]
    columns: dict[str, Any] = field(default_factory=dict)
    run: dict[str, str] = field(default_factory=dict)

    @property
    def on_disk(self) -> bool:
        """Whether every output is still there."""
        return all(os.path.exists(path) for path in self.outputs.values())


class RowJournal:
    """Opens a run's journal, or begins one; `finished` holds the rows that are done, by their key.

    - `run`: what the run is made of; a journal of another one is refused.

    A line that a killed run left half-written is taken away, and its row done again. Raises
    `CatalogError` for a journal of another run, saying what differs, for a file that is no
    journal, and, where the system can tell, for one that another process is writing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RowJournal(folder + "/run.jsonl", {"operator": "NDVI"}) as journal:
    ...         journal.add(Finished("k1", "a.tif", {"": "out/a.tif"}, run=journal.run))
    ...     with RowJournal(folder + "/run.jsonl", {"operator": "NDVI"}) as journal:
    ...         list(journal.finished)
    ['k1']
    """

    def __init__(self, path: Any, run: Mapping[str, str]) -> None:
        self.path = Path(os.fspath(path))
        self.run = dict(run)
        self.finished: dict[str, Finished] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            claim(self._file, self.path, CatalogError)
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> RowJournal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def add(self, entry: Finished) -> None:
        """Append a finished row and flush it to disk."""
        self._file.write(json.dumps(asdict(entry)).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.finished[entry.key] = entry

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _load(self) -> None:
        self._file.seek(0)
        text = self._file.read()
        whole, _, torn = text.rpartition(b"\n")
        entries = [self._parsed(line) for line in whole.splitlines()]
        if torn and not whole and not torn.startswith(b"{"):
            raise self._no_journal()
        for entry in entries:
            check_same_run(self.path, entry.run, self.run, CatalogError)
            self.finished[entry.key] = entry
        if torn:
            self._file.truncate(len(text) - len(torn))

    def _parsed(self, line: bytes) -> Finished:
        try:
            return Finished(**json.loads(line))
        except (ValueError, TypeError):
            raise self._no_journal() from None

    def _no_journal(self) -> CatalogError:
        return CatalogError(f"{self.path} is no journal of a run; choose another path")


def name_of(part: Any) -> str:
    """Return a name for a reader or a writer that is the same in every process.

    >>> from functools import partial
    >>> name_of(len), name_of(partial(round, ndigits=2))
    ('len', 'partial(round, ndigits=2)')
    """
    if isinstance(part, partial):
        given = [*map(repr, part.args), *(f"{k}={v!r}" for k, v in part.keywords.items())]
        return f"partial({', '.join([name_of(part.func), *given])})"
    if isinstance(part, Operator):
        try:
            return part.config_hash
        except NotSerializableError:
            return repr(part)
    return str(getattr(part, "__qualname__", type(part).__qualname__))


def stamps(paths: Mapping[str, str] | list[str]) -> list[tuple[int, int] | None]:
    """Return (bytes, time of change) of each local file, None for what is none.

    >>> stamps(["/nowhere.tif", "https://example.org/a.tif"])
    [None, None]
    """
    found: list[tuple[int, int] | None] = []
    for path in paths.values() if isinstance(paths, Mapping) else paths:
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            found.append(None)
        else:
            found.append((state.st_size, state.st_mtime_ns))
    return found
