"""The journal of a run: what is being made, and which parts of it are done.

JSON lines: the first describes the run, each further one a finished part. A line has left the
process before the next part counts as done, so a run that is killed at any point can go on from
its last finished part.

On this machine they are one file, which is locked and appended to. A store does neither. There
they are objects of at most `PIECE_BYTES`: the last is put anew with each line, and only over the
version that this run has put itself, so that of two runs with one journal the slower stops.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from pipekit.files import lock
from pipekit.full_disk import telling_full_disk
from pipekit.places import ChangedError, Place, store_of

_HEAD = b'{"journal": 2, "run": '

SYNC_EVERY = 0.5
"""Seconds between two syncs of a journal to disk, at least.

A written line outlives a kill of the process without a sync; only a power cut takes it, and its
part is then done again. A sync for each line took 5.6 ms of ext4 on an SSD: a run over 200 small
blocks took 1.3 s with, 0.25 s without.
"""


PIECE_BYTES = 2**18
"""Of a journal's object on a store: what each line puts anew, 128 KiB in the mean, is short of what
a round trip takes, and ten thousand blocks of a run are read back by some ten requests."""


class Entry(Protocol):
    """What a journal notes of a finished part: a dataclass of what JSON can hold.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Row:
    ...     key: int
    ...     path: str
    >>> Row(3, "ndvi.tif").key
    3
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> Any:
        """What tells this part from the others.

        Returns
        -------
        object
            What is hashable and the same for the same part.
        """


AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Journal(Generic[AnyEntry]):
    """Opens a run's journal, or begins one; `done` holds what is finished, by its key.

    A line that a killed run left half-written is taken away, and its part done again.

    Parameters
    ----------
    path
        The file, in a folder that exists, or an object of a store ("s3://bucket/run.jsonl").
    run
        What the run is made of, by name, as texts that can be compared.
    entry
        The dataclass of the lines; its `key` tells one part from another.
    refusal
        The error for a journal that cannot be used.

    Raises
    ------
    refusal
        It belongs to another run (the message says what differs), the file is no journal, or
        another process is writing it.

    Examples
    --------
    >>> import tempfile
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Tile:
    ...     key: str
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(Path(folder) / "run.jsonl", {"operator": "NDVI"}, Tile) as journal:
    ...         journal.add(Tile("10SGJ"))
    ...     with Journal(Path(folder) / "run.jsonl", {"operator": "NDVI"}, Tile) as journal:
    ...         list(journal.done)
    ['10SGJ']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        run: Mapping[str, str],
        entry: type[AnyEntry],
        refusal: type[Exception] = ValueError,
    ) -> None:
        place = store_of(path)
        self.path: Path | Place = Path(path) if place is None else place
        self.run = dict(run)
        self.done: dict[Any, AnyEntry] = {}
        self.finished, self.made = False, ""
        self._entry = entry
        self._refusal = refusal
        kind: Any = _File if place is None else _Objects
        self._lines: _File | _Objects = kind(self.path, refusal)
        try:
            self._load()
        except BaseException:
            self._lines.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what holds the lines, so that another run may go on."""
        self._lines.close()

    def add(self, entry: AnyEntry) -> None:
        """Note a part that is wholly done.

        Parameters
        ----------
        entry
            The part, as a dataclass of what JSON can hold.
        """
        self._write(asdict(entry))
        self.done[entry.key] = entry

    def finish(self, made: str = "") -> None:
        """Note that the whole is done.

        Parameters
        ----------
        made
            What tells what was made from a part of it, such as `pipekit.files.sample_of`.
        """
        self.finished, self.made = True, made
        self._write({"finished": True, "made": made})

    def restart(self) -> None:
        """Forget all parts: what they had made is gone."""
        self.done.clear()
        self.finished, self.made = False, ""
        self._lines.keep(0)
        self._write({"journal": 2, "run": self.run})

    def _write(self, line: dict[str, Any]) -> None:
        """Append a line, which has left the process when this returns."""
        self._lines.append(json.dumps(line).encode() + b"\n")

    def _load(self) -> None:
        """Read what an earlier run has written, or begin anew."""
        text = self._lines.read()
        whole, _, torn = text.rpartition(b"\n")
        if not whole:
            if not _HEAD.startswith(torn[: len(_HEAD)]):
                raise self._no_journal()
            self.restart()
            return
        try:
            head, *lines = map(json.loads, whole.splitlines())
            then = dict(head["run"]) if head["journal"] == 2 else None
        except (ValueError, TypeError, KeyError):
            then = None
        if then is None:
            raise self._no_journal()
        self._check_same_run(then)
        ends = [line for line in lines if "finished" in line]
        self.finished, self.made = bool(ends), str(ends[-1].get("made", "")) if ends else ""
        try:
            entries = [self._entry(**line) for line in lines if "finished" not in line]
        except TypeError:
            raise self._no_journal() from None
        self.done = {entry.key: entry for entry in entries}
        if torn:
            self._lines.keep(len(text) - len(torn))

    def _no_journal(self) -> Exception:
        """Return the refusal of a file that is no journal."""
        return self._refusal(f"{self.path} is no journal of a run; choose another path")

    def _check_same_run(self, then: Mapping[str, str]) -> None:
        """Refuse the journal of another run, saying what differs."""
        names = [name for name in {**then, **self.run} if then.get(name) != self.run.get(name)]
        if names:
            told = "; ".join(f"{n} was {then.get(n)}, is now {self.run.get(n)}" for n in names)
            raise self._refusal(
                f"the journal {self.path} belongs to another run: {told}; give another journal=, "
                "or remove this one to begin again"
            )


class _File:
    """Lines in one file of this machine, which nobody else writes meanwhile."""

    def __init__(self, path: Path, refusal: type[Exception]) -> None:
        if not path.parent.is_dir():
            raise FileNotFoundError(f"the journal's folder does not exist: {path.parent}")
        self._synced = time.monotonic()
        self._path, self._file = path, path.open("a+b", buffering=0)
        if not lock(self._file.fileno(), wait=False):
            self._file.close()
            raise refusal(f"the journal {path} is in use by another run")

    def read(self) -> bytes:
        """Return all lines."""
        self._file.seek(0)
        return self._file.read()

    def keep(self, length: int) -> None:
        """Keep so many bytes from the start."""
        self._file.truncate(length)

    def append(self, line: bytes) -> None:
        """Append a line, hand it to the system, and sync it to disk now and then."""
        with telling_full_disk(self._path):
            while line:  # of which a disk that fills up takes a part
                line = line[self._file.write(line) :]
            if time.monotonic() - self._synced >= SYNC_EVERY:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            with self._file:
                os.fsync(self._file.fileno())


class _Objects:
    """Lines in objects of a store: `run.jsonl`, then `run.jsonl.1` and so on as they fill.

    Which are there is found by asking for one after the other, since a list may lag behind.
    """

    def __init__(self, place: Place, refusal: type[Exception]) -> None:
        self._place, self._refusal = place, refusal
        self._number, self._tag, self._piece = 0, "", b""

    def read(self) -> bytes:
        """Return all lines, and remember the last object's."""
        pieces: list[bytes] = []
        while True:
            try:
                piece, tag = self._object(len(pieces)).tagged()
            except FileNotFoundError:
                return b"".join(pieces)
            self._number, self._tag, self._piece = len(pieces), tag, piece
            pieces.append(piece)

    def keep(self, length: int) -> None:
        """Keep so many bytes from the start: all of them, or none."""
        if length == 0:
            for number in range(self._number, 0, -1):  # a kill between two leaves no gap
                self._object(number).remove()
            if self._number:
                self._tag = self._place.find().tag
            self._number, self._piece = 0, b""

    def append(self, line: bytes) -> None:
        """Put the last object anew with one line more, or a new one where it is full."""
        number, tag, piece = self._number, self._tag, self._piece
        if len(piece) + len(line) > PIECE_BYTES and piece:
            number, tag, piece = number + 1, "", b""
        place, piece = self._object(number), piece + line
        try:
            tag = place.write(piece, over=tag)
        except ChangedError:
            raise self._refusal(
                f"the journal {self._place} was taken over by another run, which writes it now; "
                "let one of the two go on, or give them different journals"
            ) from None
        self._number, self._tag, self._piece = number, tag, piece

    def close(self) -> None:
        """Do nothing: what was written is there."""

    def _object(self, number: int) -> Place:
        name = self._place.name
        return self._place.with_name(f"{name}.{number}" if number else name)
