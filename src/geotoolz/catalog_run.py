"""How a run over a catalog goes: rows in flight, their journal, and a report of what became."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from geocatalog import CatalogError
from pipekit import NotSerializableError, Operator
from pipekit.journal import Journal
from pipekit.parallel import in_order
from pipekit.schedulers import scheduling


@dataclass(frozen=True)
class Failure:
    """A row that gave no output, and why."""

    filepath: str
    error: str
    message: str


@dataclass
class RunReport:
    """What became of every row.

    Examples
    --------
    >>> RunReport(total=3, done=2, resumed=0, failed=[Failure("a.tif", "OSError", "gone")])
    RunReport(3 rows: 2 done, 0 resumed, 1 failed, 0.0 s)
    """

    total: int = 0
    done: int = 0
    resumed: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return (
            f"RunReport({self.total} rows: {self.done} done, {self.resumed} resumed, "
            f"{len(self.failed)} failed, {self.seconds:.1f} s)"
        )


@dataclass(frozen=True)
class Finished:
    """A row that is wholly done: its outputs by name, and what its operator told of them."""

    key: str
    filepath: str
    outputs: dict[str, str]
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def on_disk(self) -> bool:
        """Whether every output is still there."""
        return all(os.path.exists(path) for path in self.outputs.values())


class RowJournal(Journal[Finished]):
    """The journal of a run over a catalog; `done` holds the rows that are done, by their key.

    Raises
    ------
    CatalogError
        It belongs to another run (the message says what differs), the file is no journal, or
        another process is writing it.
    """

    def __init__(self, path: Any, run: Mapping[str, str]) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, run, Finished, CatalogError)


def run_rows(
    work: Callable[[Any], Any], rows: Iterable[Any], workers: int, scheduler: Any
) -> Iterator[tuple[Any, Any]]:
    """Yield (row, result or exception) in order, a bounded number of rows in flight.

    Parameters
    ----------
    work
        What is done with a row.
    rows
        Taken one by one.
    workers
        Rows at the same time; a cluster has its own number.
    scheduler
        One of `pipekit.schedulers`, or None for threads.

    Examples
    --------
    >>> [result for _, result in run_rows(lambda n: 2 * n, range(3), 2, None)]
    [0, 2, 4]
    """
    if workers == 1 and scheduler in (None, "threads"):
        for row in rows:
            yield row, _outcome(partial(work, row))
        return
    with scheduling(scheduler or "threads", workers, work) as chosen:
        limit = workers + 1 if scheduler in (None, "threads") else 2 * chosen.workers + 1
        yield from in_order(chosen.submit, rows, limit, lambda future: _outcome(future.result))


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def name_of(part: Any) -> str:
    """Return a name for a reader or a writer that is the same in every process.

    Examples
    --------
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

    Examples
    --------
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
