"""A catalog as the input and the output of a pipeline.

Each row goes reader -> operator -> writer, and the outputs are a catalog again:

    catalog row -> Field -> patches -> operator per patch -> stitched raster -> new catalog row
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from georeader.geotensor import GeoTensor

from geocatalog import CatalogRow, GeoCatalog, InMemoryGeoCatalog
from geocatalog.build.raster import read_raster_record
from geocatalog.build.records import FileRecord, assemble
from geocatalog.table import CORE_COLUMNS
from geotoolz.catalog_field import CatalogField, read_row
from geotoolz.catalog_run import (
    Failure,
    Finished,
    RowJournal,
    RunReport,
    name_of,
    run_rows,
    stamps,
)
from geotoolz.learn import ActiveSampler, Picks
from pipekit import NotSerializableError, Operator
from pipekit.fingerprint import fingerprint
from pipekit.schedulers import check_scheduler

__all__ = ["ActiveSampler", "CatalogField", "CatalogPipeline", "Picks", "RunReport", "read_row"]

_UNFINISHED = re.compile(r"\.(.+)\.tif\.[0-9a-f]{32}\.tif")
"""What `write_cog` writes to before it renames."""

_OWN_COLUMNS = frozenset(
    {"native_crs", "height", "width", "count", "dtype", "nodata", "resolution", "assets"}
)

_TAKEN = {*CORE_COLUMNS, *_OWN_COLUMNS, "source", "operator_hash", "output"}


class CatalogPipeline:
    """Run an operator over every row of a catalog; the outputs are a catalog again.

    Parameters
    ----------
    catalog : rows of rasters.
    operator : what `reader` gave -> `GeoTensor`, or a dict of them (one output each).
    reader : row -> the operator's input; by default `read_row`. Give `CatalogField` for an
        operator that begins with `GridSampler`.
    writer : a folder for cloud-optimised GeoTIFFs named after the rows, or a function
        (raster, row, name) -> path, where name is "" or a key of the operator's dict.
    on_row_error : "raise" stops at the first row that fails, "skip" lists it in the report.
    workers : rows worked on at once.
    scheduler : None or "threads", "processes", "dask", or a `distributed.Client`.
    journal : file that lists finished rows. A run with the same journal takes up where the last
        one ended: rows whose files have changed since are done again, rows that the catalog has
        gained are done. One of another operator, reader, writer or `columns` is refused with a
        `CatalogError` that says what differs. An operator is known by its config, else by what it
        holds: a model's weights, a function's code. Readers, writers and `columns` that are plain
        functions are known by their names only: take another journal after changing one.
    columns : output raster -> dict of numbers, texts and truth values that become columns of the
        result.

    A row is wholly done, with all its outputs in the result, or it is listed with its error. At
    most `workers` + 1 rows are held at a time.

    >>> import tempfile
    >>> import numpy as np
    >>> from rasterio import Affine
    >>> from geocatalog import build_raster_catalog
    >>> from geotoolz import NDVI, write_cog
    >>> scene = GeoTensor(np.full((2, 8, 8), 0.5, "float32"), Affine(10, 0, 0, 0, -10, 80), 32632)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_cog(scene, folder + "/scene.tif")
    ...     pipeline = CatalogPipeline(build_raster_catalog([path]), NDVI(0, 1),
    ...                                writer=folder + "/ndvi")
    ...     report, outputs = pipeline.run()
    ...     report.done, [Path(p).name for p in outputs.gdf.filepath]
    (1, ['scene.tif'])
    """

    def __init__(
        self,
        catalog: GeoCatalog,
        operator: Callable[[Any], Any],
        *,
        reader: Callable[[CatalogRow], Any] | None = None,
        writer: Callable[[Any, CatalogRow, str], Any] | str | os.PathLike[str] | None = None,
        on_row_error: str = "raise",
        workers: int = 1,
        scheduler: Any = None,
        journal: str | os.PathLike[str] | None = None,
        columns: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        if on_row_error not in ("raise", "skip"):
            raise ValueError(f"on_row_error must be 'raise' or 'skip', got {on_row_error!r}")
        if not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers must be a whole number of at least 1, got {workers!r}")
        if writer is None:
            raise ValueError(
                "writer= says where the outputs go: a folder, or a function "
                "(raster, row, name) -> path"
            )
        self.catalog = catalog
        self.operator = operator
        self.reader = read_row if reader is None else reader
        self.writer = writer
        self.on_row_error = on_row_error
        self.workers = workers
        if scheduler is not None:
            check_scheduler(scheduler)
        self.scheduler = scheduler
        self.journal = journal
        self.columns = columns

    @property
    def operator_hash(self) -> str:
        """The operator's config hash, or one of what it holds when that cannot be written."""
        if isinstance(self.operator, Operator):
            with suppress(NotSerializableError):
                return self.operator.config_hash
        return _digest(fingerprint(self.operator))

    def run(self) -> tuple[RunReport, InMemoryGeoCatalog]:
        """Work through the catalog; return the report and the catalog of the outputs.

        Raises the first row's error, with a note that names the row, when `on_row_error` is
        "raise"; what was finished before stays in the journal.
        """
        began = time.perf_counter()
        rows = list(self.catalog.iter_rows())
        report = RunReport(total=len(rows))
        journal = None if self.journal is None else RowJournal(self.journal, self._parts())
        finished: dict[int, Finished] = {}
        try:
            todo = list(self._unfinished(rows, journal, finished))
            report.resumed = len(finished)
            self._work(todo, journal, finished, report)
        finally:
            if journal is not None:
                journal.close()
        report.seconds = time.perf_counter() - began
        done = [(row, finished[row.index]) for row in rows if row.index in finished]
        return report, self._result(done)

    def _unfinished(
        self, rows: list[CatalogRow], journal: RowJournal | None, finished: dict[int, Finished]
    ) -> Iterator[_Task]:
        """Yield tasks for rows to do; note in `finished` those that a journal has as done."""
        stems = _unique_stems(rows)
        known = {} if journal is None else journal.done
        work = self.operator_hash
        for row, stem in zip(rows, stems, strict=True):
            task = _Task(row, stem, _row_key(row, stem, work))
            entry = known.get(task.key)
            if entry is not None and entry.on_disk:
                finished[row.index] = entry
            else:
                yield task

    def _work(
        self,
        tasks: list[_Task],
        journal: RowJournal | None,
        finished: dict[int, Finished],
        report: RunReport,
    ) -> None:
        step = partial(_do_row, self.operator, self.reader, self._writer(tasks), self.columns)
        for task, outcome in run_rows(step, tasks, self.workers, self.scheduler):
            if isinstance(outcome, Exception):
                if self.on_row_error == "raise":
                    outcome.add_note(f"in row {task.row.index} of the catalog: {task.row.filepath}")
                    raise outcome
                name = type(outcome).__name__
                report.failed.append(Failure(task.row.filepath, name, str(outcome)))
                continue
            if journal is not None:
                journal.add(outcome)
            finished[task.row.index] = outcome
            report.done += 1

    def _parts(self) -> dict[str, str]:
        """Return what outputs depend on besides their row, for the journal."""
        to = self.writer
        return {
            "operator": self.operator_hash,
            "reader": name_of(self.reader),
            "writer": name_of(to) if callable(to) else os.path.abspath(os.fspath(to)),
            "columns": "" if self.columns is None else name_of(self.columns),
        }

    def _writer(self, tasks: list[_Task]) -> Callable[[Any, _Task, str], str]:
        if callable(self.writer):
            return partial(_call_writer, self.writer)
        folder = Path(os.fspath(self.writer)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(folder, {task.stem for task in tasks})
        return partial(_write_cog, folder, self.operator_hash)

    def _result(self, done: list[tuple[CatalogRow, Finished]]) -> InMemoryGeoCatalog:
        records = [
            _output_record(row, entry, name, path, self.operator_hash)
            for row, entry in done
            for name, path in entry.outputs.items()
        ]
        return assemble(records, self.catalog.crs, "raster")

    def get_config(self) -> dict[str, Any]:
        """Return the operator, its hash and how rows are run, as JSON values."""
        return {
            "catalog": self.catalog.get_config(),
            "operator": repr(self.operator),
            "operator_hash": self.operator_hash,
            "reader": getattr(self.reader, "__name__", repr(self.reader)),
            "writer": getattr(self.writer, "__qualname__", str(self.writer)),
            "on_row_error": self.on_row_error,
            "workers": self.workers,
        }

    def __repr__(self) -> str:
        return f"CatalogPipeline({self.catalog!r}, {self.operator!r})"


class _Task:
    """A row to do, with the name its outputs get and the key it has in a journal."""

    def __init__(self, row: CatalogRow, stem: str, key: str) -> None:
        self.row, self.stem, self.key = row, stem, key


def _do_row(
    operator: Callable[[Any], Any],
    reader: Callable[[CatalogRow], Any],
    write: Callable[[Any, _Task, str], str],
    columns: Callable[[Any], dict[str, Any]] | None,
    task: _Task,
) -> Finished:
    """Read, operate and write one row, here or on a Dask worker."""
    made = operator(reader(task.row))
    named = made if isinstance(made, dict) else {"": made}
    told = _scalars(columns(made)) if columns is not None else {}
    outputs = {str(name): write(raster, task, str(name)) for name, raster in named.items()}
    return Finished(task.key, task.row.filepath, outputs, told)


def _call_writer(
    function: Callable[[Any, CatalogRow, str], Any], raster: Any, task: _Task, name: str
) -> str:
    return os.path.abspath(os.fspath(function(raster, task.row, name)))


def _write_cog(folder: Path, operator_hash: str, raster: Any, task: _Task, name: str) -> str:
    from geotoolz.io import write_cog

    if not isinstance(raster, GeoTensor):
        raise TypeError(
            "the operator must return a GeoTensor, or a dict of them, got "
            f"{type(raster).__name__}; a function as writer= takes anything"
        )
    end = f"_{name}.tif" if name else ".tif"
    tags = {"source_file": task.row.filepath, "operator_hash": operator_hash}
    path = folder / (task.stem + end)
    return str(write_cog(_without_lists(raster), path, tags=tags, overwrite=True))


def _remove_unfinished(folder: Path, stems: set[str]) -> None:
    """Remove what a killed run left of the files of rows that are to be done."""
    for path in folder.iterdir():
        left = _UNFINISHED.fullmatch(path.name)
        if left and any(name in stems for name in _stems_within(left[1])):
            path.unlink(missing_ok=True)


def _stems_within(name: str) -> Iterator[str]:
    """Yield each stem that an output of this name may have: it is followed by _ and a key."""
    yield name
    for found in re.finditer("_", name):
        yield name[: found.start()]


def _without_lists(raster: GeoTensor) -> GeoTensor:
    """Return a raster whose attributes leave out what only its reading was about."""
    kept = {k: v for k, v in (raster.attrs or {}).items() if k not in ("files", "skipped")}
    return GeoTensor(raster.values, raster.transform, raster.crs, raster.fill_value_default, kept)


def _scalars(values: dict[str, Any]) -> dict[str, Any]:
    """Return plain scalars, which a journal gives back as they were."""
    plain = {name: v.item() if getattr(v, "shape", None) == () else v for name, v in values.items()}
    for name, value in plain.items():
        if name in _TAKEN:
            raise ValueError(f"columns= gives {name!r}, a column that the result has already")
        if not isinstance(value, str | int | float | None):
            raise TypeError(
                f"columns= must give numbers, texts or truth values, got a {type(value).__name__} "
                f"for {name!r}"
            )
    return plain


def _unique_stems(rows: Iterable[CatalogRow]) -> list[str]:
    stems = [_stem(row) for row in rows]
    counts = Counter(stems)
    return [s if counts[s] == 1 else f"{s}_{i}" for i, s in enumerate(stems)]


def _stem(row: CatalogRow) -> str:
    item = row.extras.get("item_id")
    name = item if isinstance(item, str) else Path(row.filepath.split("?", 1)[0]).stem
    return re.sub(r"[^\w.-]+", "_", name) or f"row_{row.index}"


def _row_key(row: CatalogRow, stem: str, work: str) -> str:
    times, files = row.interval, stamps(row.assets or [row.filepath])
    assets = row.extras.get("assets")
    parts = [row.filepath, assets, files, row.geometry.wkt, str(times), stem, work]
    return _digest(json.dumps(parts, default=str))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _output_record(
    row: CatalogRow, entry: Finished, name: str, path: str, operator_hash: str
) -> FileRecord:
    header = read_raster_record(path, None, "")
    kept = {key: value for key, value in row.extras.items() if key not in _OWN_COLUMNS}
    named = {"output": name} if name else {}
    own = {"source": row.filepath, "operator_hash": operator_hash, **named, **entry.columns}
    return FileRecord(
        path, header.footprint, header.crs, row.interval, {**header.extras, **kept, **own}
    )
