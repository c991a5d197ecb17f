"""Whole scenes, block by block, on threads, processes or a cluster, resumable.

Owner computes: a block is some rows of the *output*; whoever runs it reads the input with the
halo that its chips need, and writes only these rows. Any block can be run again, anywhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geopatcher.aggregation.overlap_add import SpatialOverlapAdd
from geopatcher.axes.sampler import SpatialExplicit
from geopatcher.config import as_count
from geopatcher.domain import RasterDomain
from geopatcher.fields import RetryField, as_field
from geopatcher.fields.raster import is_in_memory, paths_of, readers_of
from geopatcher.files.block_cache import bounded_cache
from geopatcher.files.rows import RasterSpec, RawRows, checksum
from geopatcher.files.target import (
    RowStore,
    check_target,
    is_as_made,
    made_of,
    open_lazily,
    open_target,
)
from geopatcher.merge.row_buffer import Rows
from geopatcher.patch import PatchError
from geopatcher.patcher import SpatialPatcher
from geopatcher.plan import BLOCK_ROWS, Plan, aligned_rows, even_shares, gaps
from geopatcher.stitch import as_scene, spec_of, warn_uncovered
from geopatcher.stream import READERS, PatchStream
from pipekit import journal
from pipekit.files import keep_inputs
from pipekit.fingerprint import fingerprint
from pipekit.full_disk import telling_full_disk
from pipekit.operator import summarise
from pipekit.parallel import in_order
from pipekit.places import Place
from pipekit.schedulers import all_workers, check_scheduler, in_a_process, scheduling, shares_memory

MOST_ROWS = 3072
"""Rows of a block at most: chips made twice are then one in twenty, and the bar still moves."""


def map_patches(
    patcher: SpatialPatcher,
    field: Any,
    operator: Callable[[Any], Any],
    *,
    target: Any = None,
    scheduler: Any = "threads",
    workers: int | None = None,
    journal: Any = None,
    progress: bool = True,
    chunks: Any = None,
    block_rows: int | None = None,
    read_attempts: int = 3,
    batch_size: int | None = None,
    prefetch: int | None = None,
) -> Any:
    """Run `operator` on every chip of a field and merge the results, by blocks of output rows.

    Parameters
    ----------
    patcher : SpatialPatcher
        Its chips are rectangles.
    field : Field, GeoTensor or reader
        A raster (..., H, W).
    operator : callable
        Takes a chip, returns (..., h, w) with the chip's h and w; with `batch_size` (N, ...) of
        chips, as a plain array. One that says how far it looks (`radius`, as indices and focal
        filters do) gets chips side by side with a rim of that many pixels: the result is that of
        the whole scene, without the overlaps' work.
    target : path, optional
        A COG (.tif) or Zarr store (.zarr), also on an object store ("s3://bucket/a.zarr");
        default: an array in memory.
    scheduler : {"threads", "processes", "dask"} or distributed.Client
        "dask" is the current client, else a cluster on this machine for the run; a client's
        workers must see the target's folder.
    workers : int, optional
        Blocks at the same time; default: all cores, or all threads of a cluster. At most one
        more waits for each.
    journal : path, optional
        A file, or an object of a store, that makes the run resumable: after a crash the same call
        goes on. It is made for one run and refused by another, saying what differs.
    progress : bool
        Whether a bar is shown.
    chunks : int, (rows, cols), one number for each axis, "maps" or "series", optional
        The target's tiles in pixels. A Zarr store has shards of them; chunks for each axis are
        plain files, which GDAL reads too: "maps" are planes of 512 pixels, "series" all of the
        first axis and 64 pixels.
    block_rows : int, optional
        Rows of a block, rounded up to where chips begin or to whole shards of a Zarr store;
        default all of them for one thread without a journal, else 1024 to 3072, as many blocks for
        each worker. Blocks that touch make the chips on their border twice.
    read_attempts : int
        How often a failing read is tried before the patcher's `on_error` decides.
    batch_size : int, optional
        Chips of one shape that are stacked for one call of the operator. What is a function of one
        raster, as indices and filters are, gets one after the other.
    prefetch : int, optional
        Bytes of chips and results that each worker may hold so that it reads, runs the operator
        and writes at the same time; 0 for one after the other. Default: 32 MiB with `batch_size`,
        else 0.

    Returns
    -------
    GeoTensor, RasterioReader or xarray.DataArray
        (..., H, W), or the target opened lazily. Chips that failed under `on_error="skip"` or
        "fill" are listed in its `attrs["skipped_patches"]`. The result has the same bytes
        whatever the scheduler, the workers and the block size.

    Raises
    ------
    PatchError
        For an argument that is none of the above, chips that are no rectangles of a raster, or a
        target that is the file that is read.

    Notes
    -----
    Dask tells the C library of its workers to return the memory of each freed chip, which makes a
    block take 1.8 times the processor time. The workers started here are told otherwise; those of
    your own cluster are when they start with the environment `pipekit.schedulers.WORKER_MEMORY`.

    While a block is read from a file, GDAL's cache of blocks is limited to the rows that chips
    share, unless `GDAL_CACHEMAX` is set; it is what it was before when the block is done.

    Examples
    --------
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import *
    >>> scene = GeoTensor(np.ones((2, 70, 90)), Affine(10, 0, 0, 0, -10, 700), "EPSG:32632")
    >>> patcher = SpatialPatcher(
    ...     SpatialRectangular(16, boundary="shift"), SpatialRegularStride(12), SpatialHann()
    ... )
    >>> map_patches(patcher, scene, lambda chip: chip.sum(axis=0), progress=False).shape
    (70, 90)
    """
    if not isinstance(patcher, SpatialPatcher):
        raise PatchError(
            f"map_patches takes (patcher, field, operator), got {summarise(patcher)} as its patcher"
        )
    check_scheduler(scheduler, PatchError)
    counts = {"workers": workers, "block_rows": block_rows, "read_attempts": read_attempts}
    for name, value in (counts | {"batch_size": batch_size, "prefetch": prefetch}).items():
        if value is not None:
            as_count(value, name, least=0 if name == "prefetch" else 1)
    target, chunks = _target_of(patcher.aggregation, target, chunks)
    if isinstance(target, Place) or (target and (target.exists() or target.is_symlink())):
        keep_inputs(target, paths_of(field), "map_patches", PatchError)
    source = _retrying(as_field(field), read_attempts)
    patcher = _with_fixed_anchors(patcher, source, journal)
    if workers is None:
        workers = all_workers(scheduler)
    ahead = batch_size if prefetch is None else prefetch
    readers = in_a_process(scheduler, workers) * (readers_of(source, READERS) if ahead else 1)
    batches: Any = {"batch_size": batch_size, "prefetch": prefetch}
    plan = _plan_of(patcher.stream(source).map(operator, on_error=patcher.on_error, **batches))
    run = _Run(plan, operator, readers, target, chunks, scheduler, workers, progress, block_rows)
    with ExitStack() as stack:
        record = None
        if journal is not None:
            record = stack.enter_context(Journal(journal, run.identity()))
            if record.finished and target is not None:
                if is_as_made(target, record.made):
                    return open_lazily(target)
                record.restart()  # its rows went with the target
        return run.run(record)


@dataclass(frozen=True)
class BlockRecord:
    """One finished block: its rows [start, stop), a checksum of them, and what came of it.

    Parameters
    ----------
    rows : (start, stop)
        The output rows.
    crc32 : int
        Of the rows, 0 where none was asked for.
    covered : int
        Pixels covered.
    skipped : dict
        What went wrong with the patches that failed, by anchor.
    """

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

    Parameters
    ----------
    path
        A file, or an object of a store.
    run
        What the run is: name -> text. A journal of other texts is refused.

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


@dataclass(frozen=True)
class BlockJob:
    """Computes a block of output rows; every worker has one.

    Rows go to `store`, or into `out` (..., H, W) of this process, or back as values.

    Parameters
    ----------
    plan : Plan
        Which chips there are.
    readers : int
        Threads that read side by side in this process, and so share GDAL's cache.
    store : RawRows or ZarrRows, optional
        Where rows go.
    out : numpy.ndarray, optional
        (..., H, W), where rows go in this process.
    checked : bool
        Whether a checksum of the rows is taken.
    watch : callable, optional
        Told the first row of each chip before it is read; what it raises ends the block.
    """

    plan: Plan
    readers: int
    store: RowStore | None = None
    out: np.ndarray | None = None
    checked: bool = False
    watch: Callable[[int], None] | None = None

    def __call__(self, rows: Rows) -> tuple[BlockRecord, np.ndarray | None]:
        """Return what came of rows [start, stop), and their values where no store has them."""
        assert self.plan.stream is not None
        patches = self.plan.stream.again()

        def watched(indices: list[int]) -> Iterator[int]:
            for index in indices:
                if self.watch is not None:
                    self.watch(patches.anchors[index][0])
                yield index

        items = self.plan.items(rows, patches, watched)
        values, crc = None, 0
        with bounded_cache(patches.field, self.readers), closing(items):
            if self.store is not None:
                covered, crc = self.plan.stored(items, rows, self.store, self.checked)
            else:
                lead, dtype = self.plan.merge.spec
                size = (*lead, rows[1] - rows[0], self.plan.domain.width)
                out = self.out
                values = np.empty(size, dtype) if out is None else out[..., slice(*rows), :]
                covered = self.plan.merge.fill(items, rows, values)
        skipped = {str(anchor): why for anchor, why in patches.skipped.items()}
        return BlockRecord(rows, crc, covered, skipped), values


def _place_name(path: Path | Place) -> str:
    """Return the one name of a file of this machine, or the URL of an object."""
    return str(path.resolve() if isinstance(path, Path) else path)


@dataclass
class _Run:
    """One call of `map_patches`: what is made, where its rows go, and who runs its blocks."""

    plan: Plan
    operator: Any
    readers: int
    target: Path | Place | None
    chunks: Any
    scheduler: Any
    workers: int
    progress: bool
    block_rows: int | None
    covered: int = 0
    skipped: dict[Any, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.domain: RasterDomain = self.plan.domain
        self.stream: Any = self.plan.stream

    def identity(self) -> dict[str, str]:
        """Return what makes this run this run, for its journal."""
        read = self.stream.field  # how often it is tried changes no pixel
        return {
            "patcher": fingerprint(self.stream.patcher),
            "operator": fingerprint(self.operator),
            "field": fingerprint(read.field if isinstance(read, RetryField) else read),
            "target": "memory" if self.target is None else _place_name(self.target),
            "chunks": fingerprint(self.chunks),
        }

    def run(self, journal: Journal | None) -> Any:
        merge = self.plan.merge
        spec = spec_of(merge.spec, merge.reducer, self.domain, self.plan.first.data)
        job = BlockJob(self.plan, self.readers, checked=journal is not None)
        if self.target is None:
            values = self._in_memory(spec, job, journal)
            warn_uncovered(1 - self.covered / (self.domain.height * self.domain.width))
            return as_scene(values, spec.with_skipped(self.skipped))
        # What a run with another journal has left is not this one's to go on with.
        own = None if journal is None else _place_name(journal.path)
        keep = journal is not None and bool(journal.done)
        with open_target(self.target, spec, self.chunks, own, keep) as target:
            self._all(replace(job, store=target.store), target.store, journal)
            target.finish(self.skipped)
        if journal is not None:
            # Last, for a run that is killed before to clear away what it left.
            journal.finish(made_of(self.target))
        warn_uncovered(1 - self.covered / (self.domain.height * self.domain.width))
        return open_lazily(self.target)

    def _blocks(self, gap: Rows, align: int, kept: bool) -> list[Rows]:
        """Return the blocks of a gap: the higher, the fewer chips are made for two of them.

        Unless told otherwise there are as many for every worker, so that none waits for another,
        and one in all for a single thread.

        `kept` blocks are those that a journal notes, or that come back as arrays: they cost no
        more to lose, or to hold, than `BLOCK_ROWS`.
        """
        height, workers, wanted = self.domain.height, self.workers, self.block_rows
        if wanted is None and workers == 1 and not kept and shares_memory(self.scheduler):
            return [gap]
        if wanted is None:
            rounds = -(-height // (workers * MOST_ROWS))
            share = 0 if kept else -(-height // (workers * rounds))
            wanted = max(share, BLOCK_ROWS)
        top, rows = gap[0], gap[1] - gap[0]
        grid = self.stream.grid
        step = 1 if grid is None else grid.rows.step
        if step % align == 0 and 2 * step <= wanted < rows:
            align = step  # a line where chips begin cuts the fewest
        blocks = even_shares(rows, aligned_rows(align, wanted), align)
        return [(top + start, top + stop) for start, stop in blocks]

    def _in_memory(self, spec: RasterSpec, job: BlockJob, journal: Journal | None) -> np.ndarray:
        if journal is not None:
            if isinstance(journal.path, Place):
                raise PatchError(
                    f"a run whose journal is on a store ({journal.path}) keeps its rows there too; "
                    "give it a target= on the store, or the journal a path of this machine"
                )
            rows_file = journal.path.with_name(journal.path.name + ".rows")
            store = RawRows(rows_file, spec.shape, spec.dtype)
            with telling_full_disk(journal.path):
                store.create(keep=bool(journal.done))
                self._all(replace(job, store=store), store, journal)
            return store.read(0, self.domain.height)
        out = np.empty(spec.shape, spec.dtype)
        shared = shares_memory(self.scheduler)
        blocks = self._blocks((0, self.domain.height), 1, kept=not shared)
        for record, values in self._each(blocks, replace(job, out=out) if shared else job):
            out[..., slice(*record.rows), :] = values  # no copy of what is there already
        return out

    def _all(self, job: BlockJob, store: RowStore, journal: Journal | None) -> None:
        """Have every row in the store: from the journal where it is there, else computed."""
        done = [] if journal is None else self._found(store, journal)
        waiting = [
            rows
            for gap in gaps(done, self.domain.height)
            for rows in self._blocks(gap, store.align, kept=journal is not None)
        ]
        for record, _ in self._each(waiting, job):
            if journal is not None:
                journal.add(record)

    def _found(self, store: RowStore, journal: Journal) -> list[Rows]:
        """Return the blocks of the journal whose rows are in the store as they were written."""
        found: list[Rows] = []
        for (start, stop), record in sorted(journal.done.items()):
            if found and start < found[-1][1]:
                continue  # made again, in other blocks, after its rows had changed on disk
            if record.crc32 == _checksum_of(store, (start, stop)):
                self._note(record)
                found.append((start, stop))
        return found

    def _each(
        self, blocks: list[Rows], job: BlockJob
    ) -> Iterator[tuple[BlockRecord, np.ndarray | None]]:
        from tqdm import tqdm

        if not blocks:
            return
        workers, height = min(self.workers, len(blocks)), self.domain.height
        done = height - sum(stop - start for start, stop in blocks)
        stopped = threading.Event()
        bar = tqdm(total=height, initial=done, unit="row", disable=not self.progress)

        def watch(row: int) -> None:
            if stopped.is_set():
                raise CancelledError("the run has ended before its blocks")
            if len(blocks) == 1:  # that is all there is to do, so the bar follows its chips
                bar.update(max(0, done + row - blocks[0][0] - bar.n))

        if shares_memory(self.scheduler):
            job = replace(job, watch=watch)
        with bar, scheduling(self.scheduler, workers, job) as chosen:
            try:
                for rows, result in in_order(chosen.submit, blocks, 2 * chosen.workers):
                    self._note(result[0])
                    yield result
                    done += rows[1] - rows[0]
                    bar.update(done - bar.n)
            finally:
                stopped.set()

    def _note(self, record: BlockRecord) -> None:
        self.covered += record.covered
        self.skipped.update(record.skipped)


def _target_of(aggregation: Any, target: Any, chunks: Any) -> tuple[Path | Place | None, Any]:
    """Return the target asked for, else the aggregation's own."""
    if isinstance(aggregation, SpatialOverlapAdd):
        target = aggregation.target_path if target is None else target
        chunks = aggregation.chunks if chunks is None else chunks
    if target is None:
        return None, None
    return check_target(target, chunks), chunks


def _plan_of(stream: PatchStream) -> Plan:
    patcher, domain = stream.patcher, stream.domain
    if not stream.is_rectangular or not isinstance(domain, RasterDomain):
        raise PatchError(
            "map_patches makes rasters of rectangular chips, got the geometry "
            f"{type(patcher.geometry).__name__} on a {type(domain).__name__}; use "
            "patcher.merge(patcher.split(field), field)"
        )
    return Plan(stream, domain, patcher.aggregation)


def _with_fixed_anchors(patcher: SpatialPatcher, source: Any, journal: Any) -> SpatialPatcher:
    """Return a patcher whose anchors are the same for every worker: drawn here without a seed."""
    sampler = patcher.sampler
    if getattr(sampler, "seed", 0) is not None:
        return patcher
    if journal is not None:
        raise PatchError(
            f"a run that may go on later needs the same anchors then, got {sampler!r}; give it a "
            "seed"
        )
    return replace(patcher, sampler=SpatialExplicit(patcher.anchors(source)))


def _retrying(source: Any, attempts: int) -> Any:
    if attempts == 1 or isinstance(source, RetryField) or is_in_memory(source):
        return source
    return RetryField(source, attempts=attempts, base_delay=0.1)


def _checksum_of(store: RowStore, rows: Rows) -> int | None:
    """Return the checksum of stored rows, or None when they cannot be read: they are made again."""
    try:
        return checksum(store.read(rows[0], rows[1] - rows[0]))
    except Exception:  # a damaged chunk fails in the codec, each in its own way
        return None
