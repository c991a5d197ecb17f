"""A catalog as the input and the output of a pipeline.

Each row goes reader -> operator -> writer, and the outputs are a catalog again:

    catalog row -> Field -> patches -> operator per patch -> stitched raster -> new catalog row
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import nullcontext, suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor
from rasterio.windows import bounds as window_bounds

from geocatalog import CatalogError, CatalogRow, GeoCatalog, GeoSlice, InMemoryGeoCatalog
from geocatalog.build import read_raster_record
from geocatalog.grid import raster_crs
from geocatalog.load.raster import mosaic_rows
from geocatalog.records import DEFAULT_WORKERS, FileRecord, assemble, stored_path
from geocatalog.stac import OF_FILES
from geocatalog.table import CORE_COLUMNS, is_known
from geopatcher.domain import RasterDomain
from geopatcher.fields import RasterField
from geopatcher.fields.raster import LOOKED_THROUGH, in_memory
from geotoolz.carrier import rewrap
from geotoolz.learn import ActiveSampler, Picks
from geotoolz.scenes import no_catalog
from pipekit import NotSerializableError, Operator
from pipekit.files import file_of, files_of, names_of, place_to_write, sample_of
from pipekit.fingerprint import content_hash, fingerprint, fingerprint_file
from pipekit.journal import Journal
from pipekit.operator import checked_count, checked_option
from pipekit.parallel import in_order, in_threads
from pipekit.pixels import last_number
from pipekit.places import Place, store_of
from pipekit.schedulers import check_scheduler, scheduling

__all__ = ["ActiveSampler", "CatalogField", "CatalogPipeline", "Picks", "RunReport", "read_row"]

_UNFINISHED = re.compile(r"\.(.+)\.tif\.[0-9a-f]{32}\.tif")
"""What `write_cog` writes to before it renames."""

_UNFIT = re.compile(r"[^\w.-]+")
_JOINT = "~"
"""What no file's name may have, and what no row's name has."""

_OWN_COLUMNS = {"height", "width", "count", "dtype", *OF_FILES}

_TAKEN = {*CORE_COLUMNS, *_OWN_COLUMNS, "source", "operator_hash", "output"}


_ATTRS = ("item_id", "cloud_cover", "processing_baseline", "offset_applied", "scale", "offset")


class CatalogField:
    """A Field over the files of a catalog: pixels of a window are read when it is selected.

    Its domain is known without opening a file when the catalog recorded the number of bands. What
    is missing in integers of files without a nodata value is marked in every window by one number
    that no valid pixel holds, the last one of the dtype (255, -32768) where it is free. Fields of
    more than 16 million numbers are not read for it: they take the last one, and another in
    windows whose valid pixels hold that.

    Parameters
    ----------
    source
        A `CatalogRow`, or a catalog whose rows are merged.
    slice_
        Grid of the Field; by default the row's own footprint and pixel grid. A catalog needs one.
    band_indexes, resampling, merge_method, nodata, scaled
        As in `geocatalog.load_raster`.

    Raises
    ------
    CatalogError
        For a catalog without a grid, or none of whose files touches it.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from geocatalog import InMemoryGeoCatalog
    >>> frame = gpd.GeoDataFrame({"filepath": ["a.tif"], "count": [4], "resolution": [10.0]},
    ...     geometry=[shapely.box(0, 0, 400, 300)], crs=32610)
    >>> CatalogField(next(InMemoryGeoCatalog(frame).iter_rows())).domain.shape
    (4, 30, 40)
    """

    def __init__(
        self,
        source: CatalogRow | GeoCatalog,
        slice_: GeoSlice | None = None,
        *,
        band_indexes: Sequence[int] | None = None,
        resampling: str = "nearest",
        merge_method: str = "last",
        nodata: float | None = None,
        scaled: bool = True,
    ) -> None:
        if isinstance(source, CatalogRow):
            self.rows = [source]
            self.slice = source.slice() if slice_ is None else slice_
        elif slice_ is None:
            raise CatalogError("a CatalogField over a whole catalog needs slice_=, its grid")
        else:
            self.rows, self.slice = list(source.query(slice_).iter_rows()), slice_
        if not self.rows:
            raise CatalogError(f"no file of {source!r} touches {slice_!r}")
        self.band_indexes = band_indexes
        self.resampling = resampling
        self.merge_method = merge_method
        self.nodata = nodata
        self.scaled = scaled
        self._missing: Any = ...
        grid = self.slice.geobox
        self.domain = RasterDomain((self._count(), *grid.shape), grid.transform, raster_crs(grid))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_missing": ...}  # which each copy finds, as this one has

    @property
    def paths(self) -> list[str]:
        """The files that the Field reads."""
        return [path for row in self.rows for path in _paths_of(row)]

    def _count(self) -> int:
        if self.band_indexes is not None:
            return len(self.band_indexes)
        row = self.rows[0]
        if row.assets:
            return len(row.assets)
        if "count" in row.extras:
            return int(row.extras["count"])
        return int(read_raster_record(row.filepath, None, "", row.signer).extras["count"])

    def select(self, indices: Any) -> GeoTensor:
        """Return the pixels of a window.

        Parameters
        ----------
        indices
            A `rasterio.windows.Window` of the domain.

        Returns
        -------
        (C, h, w) in the files' dtype.
        """
        west, south, east, north = window_bounds(indices, self.domain.transform)
        part = replace(self.slice, bounds=(west, south, east, north), anchor=(west, north))
        return self._load(part)

    def load(self) -> GeoTensor:
        """Return all pixels (C, H, W).

        Returns
        -------
        (C, H, W) `GeoTensor` of the whole Field.
        """
        return self._load(self.slice)

    def _load(self, slice_: GeoSlice) -> GeoTensor:
        how = self.band_indexes, self.resampling, self.merge_method, self.nodata
        raster = mosaic_rows(self.rows, slice_, *how, scaled=self.scaled, mark=self._mark)
        if self.rows[0].assets and len(raster.values) != self.domain.shape[0]:
            raise CatalogError(
                f"{self.rows[0].filepath} has several bands in one asset ({len(raster.values)} in "
                f"{list(self.rows[0].assets)}); a Field of it needs a catalog of that asset alone, "
                "asset_key='...', or load the pixels by load_raster"
            )
        raster.attrs = {**raster.attrs, **_shared_attrs(self.rows)}
        return raster

    def _mark(self, dtype: np.dtype) -> Any:
        """Return what marks missing pixels of files that declare no nodata, in every window."""
        if self._missing is ...:
            found = last_number(dtype)
            if math.prod(self.domain.shape) <= LOOKED_THROUGH:
                how = self.band_indexes, self.resampling, self.merge_method
                with suppress(ValueError):  # every number is in use: each window has its own
                    whole = mosaic_rows(
                        self.rows, self.slice, *how, scaled=self.scaled, mark=last_number
                    )
                    found = whole.fill_value_default
            self._missing = found
        return self._missing

    def with_data(self, array: Any) -> RasterField:
        """Return a Field of other values on the same grid.

        Parameters
        ----------
        array
            (..., H, W).

        Returns
        -------
        A Field in memory at this one's place.
        """
        told = self.rows[0].extras
        nodata = told.get("nodata") if self.nodata is None else self.nodata
        return in_memory(
            array, self.domain, told.get("dtype"), nodata if is_known(nodata) else None
        )

    def __repr__(self) -> str:
        return f"CatalogField({len(self.rows)} files, shape={self.domain.shape})"


def _paths_of(row: CatalogRow) -> list[str]:
    """Return a row's files: its assets, or its one file."""
    assets = row.assets or [row.filepath]
    return list(assets.values() if isinstance(assets, Mapping) else assets)


def _shared_attrs(rows: Sequence[CatalogRow]) -> dict[str, Any]:
    """Return what all rows say alike: a baseline of one scene must not stand for another's."""
    first, *others = [_row_attrs(row) for row in rows]
    return {k: v for k, v in first.items() if all(each.get(k) == v for each in others)}


def _row_attrs(row: CatalogRow) -> dict[str, Any]:
    """Return what a raster's attributes should say of the scene it comes from."""
    found = {name: row.extras[name] for name in _ATTRS if is_known(row.extras.get(name))}
    if row.interval is not None:
        found["datetime"] = row.interval.left.isoformat()
    return found


def read_row(row: CatalogRow) -> GeoTensor:
    """Return all pixels (C, H, W) of one row's file or assets, on its own grid.

    The default reader of `CatalogPipeline`. `CatalogField` as the reader gives a Field instead,
    for operators that begin with `GridSampler` and so never hold the scene.

    Parameters
    ----------
    row
        Of a catalog of rasters.

    Returns
    -------
    (C, H, W) in the file's dtype, with what the catalog knows of the scene in its attributes.
    """
    return CatalogField(row).load()


@dataclass(repr=False, eq=False)
class CatalogPipeline:
    """Run an operator over every row of a catalog; the outputs are a catalog again.

    A row is wholly done, with all its outputs in the result, or it is listed with its error, in the
    report and in the result's `skipped`. No output takes the place of one of the catalog's files,
    nor of another row's output. At most `workers` + 1 rows are held at a time.

    Parameters
    ----------
    catalog
        Rows of rasters.
    operator
        What `reader` gave -> `GeoTensor`, or a dict of them (one output each).
    reader
        Row -> the operator's input; by default `read_row`. Give `CatalogField` for an operator that
        begins with `GridSampler`.
    writer
        A folder, of this machine or of an object store, for cloud-optimised GeoTIFFs named after
        the rows (`scene.tif`, with a key of the operator's dict `scene_key.tif`; rows of one name
        get their positions), or a function (raster, row, name) -> path, where name is "" or a key
        of the operator's dict.
    on_row_error
        "raise" stops at the first row that fails, "skip" lists it in the report.
    workers
        Rows worked on at once.
    scheduler
        None or "threads", "processes", "dask", or a `distributed.Client`.
    journal
        File, or object of a store, that lists finished rows. A run with the same journal takes up
        where the last one ended: rows whose files have changed since are done again (those of this
        machine: a URL tells no more than its name), rows that the catalog has gained are done. One
        of another operator, reader, writer or `columns` is refused with a
        `CatalogError` that says what differs. An operator is known by its arguments and by what it
        holds, such as a model's weights, and by its code where that is no library's. Readers,
        writers and `columns` that are plain functions are known by their names only: take another
        journal after changing one.
    columns
        Output raster -> dict of numbers, texts and truth values that become columns of the result.

    Raises
    ------
    ValueError
        Without a writer, or for an option that is none.
    CatalogError
        For what is no catalog; and when it is run, for an output that would take the place of a
        file of the catalog.
    concurrent.futures.BrokenExecutor
        When it is run and a worker process dies, whatever `on_row_error` says.

    Examples
    --------
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

    catalog: GeoCatalog
    operator: Callable[[Any], Any]
    _: KW_ONLY
    reader: Callable[[CatalogRow], Any] | None = None
    writer: Callable[[Any, CatalogRow, str], Any] | str | os.PathLike[str] | None = None
    on_row_error: str = "raise"
    workers: int = 1
    scheduler: Any = None
    journal: str | os.PathLike[str] | None = None
    columns: Callable[[Any], dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        checked_option(self.on_row_error, "on_row_error", ("raise", "skip"))
        checked_count(self.workers, "workers")
        if not isinstance(self.catalog, GeoCatalog):
            raise no_catalog(self.catalog)
        if self.writer is None:
            raise ValueError(
                "writer= says where the outputs go: a folder, or a function "
                "(raster, row, name) -> path"
            )
        check_scheduler(self.scheduler or "threads")

    @property
    def operator_hash(self) -> str:
        """The operator's config hash, or one of what it holds when that cannot be written."""
        if isinstance(self.operator, Operator):
            with suppress(NotSerializableError):
                return self.operator.config_hash
        return content_hash(fingerprint(self.operator))

    def run(self) -> tuple[RunReport, InMemoryGeoCatalog]:
        """Work through the catalog.

        Returns
        -------
        The report, and the catalog of the outputs.

        Raises
        ------
        Exception
            The first row's error, with a note that names the row, when `on_row_error` is "raise";
            what was finished before stays in the journal.
        CatalogError
            When the journal is another run's, or no journal, and when an output would take the
            place of a file of the catalog or of another row's output.
        """
        began = time.perf_counter()
        rows = list(self.catalog.iter_rows())
        report = RunReport(total=len(rows))
        work = self.operator_hash
        tasks = _tasks(rows, work)
        self._spare_inputs(tasks)
        opened = nullcontext() if self.journal is None else RowJournal(self.journal, self._parts())
        with opened as journal:
            entries = [None if journal is None else journal.done.get(task.key) for task in tasks]
            whole = in_threads(
                lambda entry: entry if entry and entry.on_disk else None, entries, DEFAULT_WORKERS
            )
            known = zip(tasks, whole, strict=True)
            finished = {task.row.index: entry for task, entry in known if entry is not None}
            todo = [task for task in tasks if task.row.index not in finished]
            report.resumed = len(finished)
            for task, made in self._work(todo, report):
                if journal is not None:
                    journal.add(made)
                finished[task.row.index] = made
                report.done += 1
        report.seconds = time.perf_counter() - began
        _check_own_paths(tasks, finished)
        outputs = [
            (row, finished[row.index], name, path, work)
            for row in rows
            if row.index in finished
            for name, path in finished[row.index].outputs.items()
        ]
        records = in_threads(lambda output: _output_record(*output), outputs, DEFAULT_WORKERS)
        skipped = [(each.filepath, f"{each.error}: {each.message}") for each in report.failed]
        return report, assemble(list(records), self.catalog.crs, "raster", skipped)

    def _folder(self) -> Path | Place | None:
        """Return the folder that outputs go to; None where a function writes them."""
        if callable(self.writer):
            return None
        found = place_to_write(str(self.writer), "writer= must be a folder", CatalogError)
        return found.absolute() if isinstance(found, Path) else found

    def _spare_inputs(self, tasks: list[_Task]) -> None:
        """Tell each task which files of the catalog lie where its outputs go, and begin like it.

        What a row makes, one raster or a dict of them, is known when it is done.
        """
        folder = self._folder()
        inputs = {path for task in tasks for path in task.paths}
        spared: dict[str, str] = {}
        if isinstance(folder, Place):
            places = ((store_of(path), path) for path in inputs)
            spared = {p.name.casefold(): path for p, path in places if p and folder / p.name == p}
        elif folder is not None and folder.is_dir():
            known = {key: path for path in inputs for f in files_of(path) for key in names_of(f)}
            for file in folder.iterdir():
                source = next((known[key] for key in names_of(file) if key in known), None)
                if source is not None:
                    spared[file.name.casefold()] = source
        names = sorted(spared)
        for task in tasks:
            head = task.stem.casefold()
            first = bisect_left(names, head)
            last = bisect_left(names, f"{head}\U0010ffff", first)
            task.spared = {name: spared[name] for name in names[first:last]}

    def _work(self, tasks: list[_Task], report: RunReport) -> Iterator[tuple[_Task, Finished]]:
        """Yield the tasks that are done; list the others in the report, or raise their error."""
        writer: Any = self._folder() or self.writer
        if isinstance(writer, Path):
            writer.mkdir(parents=True, exist_ok=True)
            _remove_unfinished(writer, {task.stem for task in tasks})
        step = partial(_do_row, self.operator, self.reader or read_row, writer, self.columns)
        for task, outcome in run_rows(step, tasks, self.workers, self.scheduler):
            if not isinstance(outcome, Exception):
                yield task, outcome
            elif self.on_row_error == "raise":
                outcome.add_note(f"in row {task.row.index} of the catalog: {task.row.filepath}")
                raise outcome
            else:
                name = type(outcome).__name__
                report.failed.append(Failure(task.row.filepath, name, str(outcome)))

    def _parts(self) -> dict[str, str]:
        """Return what outputs depend on besides their row, for the journal."""
        to = self.writer
        return {
            "operator": fingerprint(self.operator),
            "reader": name_of(self.reader or read_row),
            "writer": name_of(to) if callable(to) else str(self._folder()),
            "columns": "" if self.columns is None else name_of(self.columns),
        }

    def get_config(self) -> dict[str, Any]:
        """Return the operator, its hash and how rows are run, as JSON values.

        Returns
        -------
        Name -> JSON value.
        """
        return {
            **self._parts(),
            "catalog": self.catalog.get_config(),
            "operator": repr(self.operator),
            "operator_hash": self.operator_hash,
            "on_row_error": self.on_row_error,
            "workers": self.workers,
        }

    def __repr__(self) -> str:
        return f"CatalogPipeline({self.catalog!r}, {self.operator!r})"


class _Task:
    """A row to do, the name that its outputs get, and the input files they must not replace."""

    def __init__(self, row: CatalogRow, stem: str, joint: str, work: str) -> None:
        self.row, self.stem, self.joint, self.work = row, stem, joint, work
        self.spared: dict[str, str] = {}
        self.paths = _paths_of(row)
        self.files = [fingerprint_file(path) for path in self.paths]

    def outputs(self, folder: Any, keys: Iterable[str]) -> list[Any]:
        """Return where the outputs of these keys go, or refuse to write any."""
        ends = [_UNFIT.sub("_", key) for key in keys]
        names = [f"{self.stem}{self.joint}{end}.tif" if end else f"{self.stem}.tif" for end in ends]
        folded = [name.casefold() for name in names]
        for name, count in Counter(folded).items():
            if count > 1:
                raise ValueError(
                    f"{count} of the operator's outputs {list(keys)} would be the file {name}; "
                    "give them keys that differ in letters or digits, not by case alone"
                )
            if name in self.spared:
                raise CatalogError(
                    f"the output {name} would replace {self.spared[name]}, an input of this run; "
                    "give writer= another folder"
                )
        return [folder / name for name in names]

    @property
    def key(self) -> str:
        """What a journal knows the row by: its place, its files as they were, and the work."""
        row = self.row
        told = [row.filepath, row.extras.get("assets"), self.files, row.geometry.wkt]
        told += [str(row.interval), self.stem + self.joint.strip("_"), self.work]
        return content_hash(json.dumps(told, default=str))

    def see_files_made(self) -> None:
        """Note the size and time of files that were made when they were read, and only of these."""
        self.files = [
            fingerprint_file(path) if known == path else known
            for known, path in zip(self.files, self.paths, strict=True)
        ]


def _tasks(rows: list[CatalogRow], work: str) -> list[_Task]:
    """Return a task for each row, under a name that no other has, in whatever case.

    A name that several rows have gets the row's position. Where one name goes on as another does
    (`a` and `a_b`), the key of an output is joined to it by what no name has.
    """
    stems = [_stem(row) for row in rows]
    counts = Counter(stem.casefold() for stem in stems)
    taken = {stem for stem, count in counts.items() if count == 1}
    for position, stem in enumerate(stems):
        if counts[stem.casefold()] > 1:
            name = f"{stem}_{position}"
            while name.casefold() in taken:
                name += "_"
            taken.add(name.casefold())
            stems[position] = name
    heads = {
        "_".join(parts[:n]) for parts in (t.split("_") for t in taken) for n in range(len(parts))
    }
    joints = [_JOINT if stem.casefold() in heads else "_" for stem in stems]
    return [_Task(*each, work) for each in zip(rows, stems, joints, strict=True)]


def _check_own_paths(tasks: list[_Task], finished: dict[int, Finished]) -> None:
    """Refuse two rows with one output, or an output in an input's place: a function's mistakes."""
    owner = {_on_disk(path): f"the input {path}" for task in tasks for path in task.paths}
    for made in finished.values():
        for name, path in made.outputs.items():
            file, own = _on_disk(path), f"the output {name!r} of {made.filepath}"
            if file is not None and owner.setdefault(file, own) != own:
                raise CatalogError(
                    f"writer= wrote {own} to {path}, in the place of {owner[file]}; it must give "
                    "every output a path of its own"
                )


def _on_disk(path: str) -> Any:
    """Return what tells a file, or an object of a store; None for a folder and for the rest."""
    if (place := store_of(path)) is not None:
        return place
    file = file_of(path)
    if file is None or not file.is_file():
        return None
    stat = file.stat()
    return stat.st_dev, stat.st_ino


def _do_row(
    operator: Callable[[Any], Any],
    reader: Callable[[CatalogRow], Any],
    writer: Callable[[Any, CatalogRow, str], Any] | Path | Place,
    columns: Callable[[Any], dict[str, Any]] | None,
    task: _Task,
) -> Finished:
    """Read, operate and write one row, here or on a Dask worker."""
    made = operator(reader(task.row))
    task.see_files_made()
    named = made if isinstance(made, dict) else {"": made}
    told = _scalars(columns(made)) if columns is not None else {}
    keys, rasters = [str(key) for key in named], named.values()
    if callable(writer):
        each = zip(rasters, keys, strict=True)
        paths = [stored_path(writer(raster, task.row, key)) for raster, key in each]
    else:
        places = zip(rasters, task.outputs(writer, keys), strict=True)
        paths = [_written(raster, task, path) for raster, path in places]
    outputs = dict(zip(keys, paths, strict=True))
    samples = {key: sample_of(path) for key, path in outputs.items()}
    return Finished(task.key, task.row.filepath, outputs, told, samples)


def _written(raster: Any, task: _Task, path: Path | Place) -> str:
    """Write one output by the function, or as a COG to the path; return its path."""
    from geotoolz.io import write_cog

    if not isinstance(raster, GeoTensor):
        raise TypeError(
            "the operator must return a GeoTensor, or a dict of them, got "
            f"{type(raster).__name__}; a function as writer= takes anything"
        )
    tags = {"source_file": task.row.filepath, "operator_hash": task.work}
    # Lists of files and of failures are about the reading only.
    kept = rewrap(raster, raster.values, drop=("files", "skipped"))
    return str(write_cog(kept, path, tags=tags, overwrite=True))


def _remove_unfinished(folder: Path, stems: set[str]) -> None:
    """Remove what a killed run left of the files of rows that are to be done."""
    for path in folder.iterdir():
        left = _UNFINISHED.fullmatch(path.name)
        parts = left[1].split(_JOINT)[0].split("_") if left else []
        # An output is named after its row, with _ and a key where the operator gave a dict.
        if any("_".join(parts[: n + 1]) in stems for n in range(len(parts))):
            path.unlink(missing_ok=True)


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


def _stem(row: CatalogRow) -> str:
    item = row.extras.get("item_id")
    name = item if isinstance(item, str) else Path(row.filepath.split("?", 1)[0]).stem
    return _UNFIT.sub("_", name) or f"row_{row.index}"


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


@dataclass(frozen=True)
class Failure:
    """A row that gave no output, and why."""

    filepath: str
    error: str
    message: str


@dataclass
class RunReport:
    """What became of every row.

    Parameters
    ----------
    total, done, resumed
        How many rows there are, were done by this run, and had been done by an earlier one.
    failed
        The rows that gave no output, and why.
    seconds
        How long the run took.

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
        rows = f"{self.done} done, {self.resumed} resumed, {len(self.failed)} failed"
        return f"RunReport({self.total} rows: {rows}, {self.seconds:.1f} s)"


@dataclass(frozen=True)
class Finished:
    """A row that is wholly done: its outputs by name, and what its operator told of them."""

    key: str
    filepath: str
    outputs: dict[str, str]
    columns: dict[str, Any] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)

    @property
    def on_disk(self) -> bool:
        """Whether every output is still there, as it was written."""
        with suppress(OSError):
            return all(
                sample_of(path) == sample if sample else (store_of(path) or Path(path)).exists()
                for path, sample in ((p, self.samples.get(n)) for n, p in self.outputs.items())
            )
        return False


class RowJournal(Journal[Finished]):
    """The journal of a run over a catalog; `done` holds the rows that are done, by their key.

    Raises
    ------
    CatalogError
        It belongs to another run (the message says what differs), the file is no journal, or
        another process is writing it.
    """

    def __init__(self, path: Any, run: Mapping[str, str]) -> None:
        if store_of(path) is None:
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

    Yields
    ------
    A row, and what `work` returned or raised for it.

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
    except BrokenExecutor:
        raise  # no row's fault alone: none is worked on any more
    except Exception as error:
        return error


def name_of(part: Any) -> str:
    """Return a name for a reader or a writer that is the same in every process.

    Parameters
    ----------
    part
        A function, a class, a partial of one, an operator, or any callable object.

    Returns
    -------
    Text.

    Examples
    --------
    >>> name_of(len), name_of(read_row)
    ('len', 'read_row')
    """
    if isinstance(part, partial | Operator):
        return fingerprint(part)
    return str(getattr(part, "__qualname__", type(part).__qualname__))
