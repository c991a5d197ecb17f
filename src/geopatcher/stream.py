"""Patches as a lazy sequence, and operators mapped over it.

A stream is re-iterable, sized and indexable, and holds no patch: each is made when asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import groupby, islice
from typing import Any

import numpy as np
from georeader.geotensor import GeoTensor

from geopatcher.axes.axis import Axes, ByPlace, OnGrid, Rectangular, RegularGrid
from geopatcher.fields.raster import is_in_memory, nodata_after, readers_of
from geopatcher.merge.chip import chip_nodata, fitting_attrs, saying
from geopatcher.patch import Failed, Patch, PatchError
from pipekit.operator import checked_function
from pipekit.parallel import beside, in_threads, read_ahead
from pipekit.pixels import plain
from pipekit.radius import radius_of

ON_ERROR = ("raise", "skip", "fill")

READERS = 4
"""Threads that read chips ahead of a function where a server's answer is waited for."""

PREFETCH = 32 * 2**20
"""Bytes of chips and results held at most, beyond the batch in hand, where chips are batched."""

Item = tuple[int, Patch | None]


class BatchError(PatchError):
    """A function made another number of results than it got chips."""


class PatchStream(Sequence[Patch]):
    """The patches of one Field under one patcher, read when asked for.

    `skipped` maps the anchor of each patch that failed under `on_error="skip"` or "fill" to
    what went wrong; it grows as the stream is read, and begins anew with each pass.

    Parameters
    ----------
    patcher : SpatialPatcher
        How the Field is cut.
    field : Field
        What is cut.

    Examples
    --------
    >>> import numpy as np
    >>> from georeader.geotensor import GeoTensor
    >>> from rasterio import Affine
    >>> from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride
    >>> scene = GeoTensor(np.ones((2, 50, 70)), Affine(10, 0, 0, 0, -10, 500), "EPSG:32632")
    >>> stream = SpatialPatcher(SpatialRectangular(20), SpatialRegularStride(20)).stream(scene)
    >>> len(stream), stream[-1].anchor, float(stream.map(np.mean)[0].data)
    (6, (20, 40), 1.0)
    """

    workers: int = 1

    def __init__(self, patcher: Axes, field: Any) -> None:
        self.patcher = patcher
        self.field = field
        self.domain = field.domain
        self.on_error = patcher.on_error
        self.skipped: dict[Any, str] = {}

    @cached_property
    def grid(self) -> RegularGrid | None:
        """The regular grid that the patches lie on, or None."""
        sampler = self.patcher.sampler
        if not isinstance(sampler, OnGrid):
            return None
        return sampler.grid(self.domain, self.patcher.geometry)

    @property
    def is_rectangular(self) -> bool:
        """Whether patches are rectangles, rather than sets of cells or members."""
        return isinstance(self.patcher.geometry, Rectangular)

    @cached_property
    def anchors(self) -> list[Any]:
        """The anchor of each patch."""
        if self.grid is not None:
            return list(self.grid.anchors())
        return list(self.patcher.sampler.anchors(self.domain, self.patcher.geometry))

    @cached_property
    def _weights(self) -> Any:
        """The weights (h, w) of a whole rectangle; other patches have each their own."""
        geometry, window = self.patcher.geometry, self.patcher.window
        if not self.is_rectangular or isinstance(window, ByPlace):
            return None
        return window.weights(geometry)

    def __len__(self) -> int:
        return len(self.grid) if self.grid is not None else len(self.anchors)

    def __getitem__(self, index: Any) -> Any:
        """Return one patch, or a list of patches for a slice; a failure is raised."""
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"patch {index} of a stream of {len(self)}")
        return self._make(position)

    def __iter__(self) -> Iterator[Patch]:
        self.skipped.clear()
        return (patch for _, patch in self.items(range(len(self))) if patch is not None)

    def items(self, indices: Iterable[int]) -> Generator[Item, None, None]:
        """Yield (index, patch) in the order asked for; a skipped patch is None.

        Parameters
        ----------
        indices : iterable of int
            Numbers of patches.

        Returns
        -------
        iterator of (int, Patch or None)
            In the order asked for.
        """
        return ((index, self._guarded(index)) for index in indices)

    @cached_property
    def _by_row(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of rectangular patches by rising row, and their first rows."""
        tops = np.array([anchor[0] for anchor in self.anchors])
        order = np.argsort(tops, kind="stable")
        return order, tops[order]

    def touching(self, rows: tuple[int, int]) -> list[int]:
        """Return the rectangular patches that touch a block of rows, in merging order.

        Parameters
        ----------
        rows : (start, stop)
            Of the scene.

        Returns
        -------
        list of int
            Numbers of patches, by rising row.
        """
        (start, stop), (order, tops) = rows, self._by_row
        height = int(self.patcher.geometry.size[0])
        return order[(tops < stop) & (tops + height > start)].tolist()

    def map(
        self,
        function: Callable[[Any], Any],
        *,
        workers: int = 1,
        batch_size: int | None = None,
        on_error: str = "raise",
        prefetch: int | None = None,
    ) -> MappedStream:
        """Return the stream of the same patches with `function(data)` as their data.

        Parameters
        ----------
        function : callable
            Takes a patch's data; with `batch_size` a plain array (N, ...) of chips of one shape.
        workers : int
            Threads that run it side by side.
        batch_size : int, optional
            Chips that are stacked for one call, which must return as many results.
        on_error : {"raise", "skip", "fill"}
            What happens to a chip that the function fails on; both others list it in `skipped`.
        prefetch : int, optional
            Bytes of chips and results that may be held so that reading, the function and what is
            done with its results go on at the same time; 0 for one after the other. Default: 32
            MiB with `batch_size`, else 0.

        Returns
        -------
        MappedStream
            Nothing is run yet.
        """
        return MappedStream(self, function, workers, batch_size, on_error, prefetch)

    def again(self, patcher: Axes | None = None) -> PatchStream:
        """Return the stream anew with failures of its own: its anchors, or another patcher's.

        Parameters
        ----------
        patcher : SpatialPatcher, optional
            Default the same.

        Returns
        -------
        PatchStream
            Of the same Field.
        """
        stream = copy.copy(self) if patcher is None else PatchStream(patcher, self.field)
        stream.skipped = {}
        return stream

    def at(self, anchor: Any) -> Patch:
        """Return the patch at `anchor`, which need not be one of the sampler's.

        Parameters
        ----------
        anchor : (row, col), int or (lon, lat)
            Where the patch lies: its anchor.

        Returns
        -------
        Patch
            With its data read.
        """
        geometry = self.patcher.geometry
        indices = geometry.neighborhood(self.domain, anchor)
        return Patch(geometry.read(self.field, indices), anchor, indices, self._weights_of(indices))

    def _weights_of(self, indices: Any) -> Any:
        """Return the weights (h, w) of a rectangle, (n,) float32 of cells or members."""
        whole = self._weights
        if whole is not None:
            rows, cols = indices.height, indices.width
            # A chip of the usual size has them as they are, without a view of its own.
            return whole if whole.shape == (rows, cols) else whole[:rows, :cols]
        window = self.patcher.window
        if isinstance(window, ByPlace) and self.is_rectangular:
            return window.weights_at(self.patcher.geometry, indices, self.domain)
        weights = np.ones(len(indices))
        if indices.distance is not None:
            weights = self.patcher.window.taper(indices.distance, indices.reach)
        if indices.coverage is not None:
            weights = weights * indices.coverage
        return weights.astype(np.float32)

    def _make(self, index: int) -> Patch:
        return self.at(self.anchors[index])

    def _guarded(self, index: int) -> Patch | None:
        try:
            return self._make(index)
        except Exception as error:
            return self._failed(index, error)

    def _failed(self, index: int, error: Exception) -> Patch | None:
        anchor = self.anchors[index]
        # What is wrong with the function is wrong for all chips: none is worth another attempt.
        if self.on_error == "raise" or getattr(error, "concerns_all_chips", False):
            error.add_note(f"in the patch at anchor {anchor}, number {index} of {len(self)}")
            raise error
        self.skipped[anchor] = f"{type(error).__name__}: {error}"
        if self.on_error == "skip":
            return None
        try:
            indices = self.patcher.geometry.neighborhood(self.domain, anchor)
        except PatchError:
            return None  # what has no place cannot be filled
        weights = self._weights_of(indices)
        return Patch(Failed(weights.shape), anchor, indices, weights)


class PatchIterator(Iterator[Patch]):
    """The patches of a stream one by one; a merge that gets it unread takes the stream itself.

    So patches of any sampler merge straight from `split`: a merge reads a stream by rising row,
    whatever the order of its anchors.
    """

    def __init__(self, stream: PatchStream) -> None:
        self._stream = stream
        self._patches: Iterator[Patch] | None = None

    def __next__(self) -> Patch:
        if self._patches is None:
            self._patches = iter(self._stream)
        return next(self._patches)


def unread(patches: Iterable[Patch]) -> Iterable[Patch]:
    """Return the stream behind a `split` of which nothing has been read, else the patches.

    Parameters
    ----------
    patches : iterable of Patch
        What goes into a merge.

    Returns
    -------
    iterable of Patch
        The stream, or the same.
    """
    if isinstance(patches, PatchIterator) and patches._patches is None:
        return patches._stream
    return patches


class FollowingStream(PatchStream):
    """A stream that changes the patches of another one, which lie where those do.

    Parameters
    ----------
    parent : PatchStream
        Whose patches are changed.
    """

    def __init__(self, parent: PatchStream) -> None:
        super().__init__(parent.patcher, parent.field)
        self.parent = parent
        self.on_error, self.skipped, self.workers = parent.on_error, parent.skipped, parent.workers

    @property
    def grid(self) -> RegularGrid | None:  # type: ignore[override]
        """The regular grid that the patches lie on, or None."""
        return self.parent.grid

    @property
    def anchors(self) -> list[Any]:  # type: ignore[override]
        """The anchor of each patch."""
        return self.parent.anchors


class MappedStream(FollowingStream):
    """A stream whose patches' data went through a function.

    `workers` threads run it, in order and bounded in flight; with `batch_size` the function
    gets stacked plain arrays (N, ...) of chips of one shape and must return N results. With
    `prefetch` threads read chips ahead, one runs the function, and who asks gets results meanwhile.
    """

    def __init__(
        self,
        parent: PatchStream,
        function: Callable[[Any], Any],
        workers: int = 1,
        batch_size: int | None = None,
        on_error: str = "raise",
        prefetch: int | None = None,
    ) -> None:
        super().__init__(parent)
        self.function = checked_function(function, "map")
        self.workers = max(workers, parent.workers)
        self.batch_size = batch_size
        self.on_error = on_error
        if prefetch is None:
            prefetch = 0 if batch_size is None else PREFETCH
        self.prefetch = prefetch
        self._check_bands()

    def _check_bands(self) -> None:
        """Let every function say, before anything is read, that it takes other bands."""
        shape: Any = getattr(self.domain, "shape", ())
        count = shape[-3] if self.is_rectangular and len(shape) > 2 else None
        for stage in self.stages:
            count = getattr(stage.function, "bands_made", lambda count: None)(count)

    @property
    def stages(self) -> list[MappedStream]:
        """The streams that map a function, this one last."""
        before = self.parent.stages if isinstance(self.parent, MappedStream) else []
        return [*before, self]

    @property
    def radius(self) -> int | None:
        """How many pixels away the functions look, one after the other; None when unknown."""
        radii = [radius_of(stage.function) for stage in self.stages]
        return None if None in radii else sum(radii)  # type: ignore[arg-type]

    def again(self, patcher: Axes | None = None) -> MappedStream:
        """Return the stream anew with failures of its own: its anchors, or another patcher's."""
        parent = self.parent.again(patcher)
        how = self.workers, self.batch_size, self.on_error, self.prefetch
        return MappedStream(parent, self.function, *how)

    def items(self, indices: Iterable[int]) -> Generator[Item, None, None]:
        """Yield (index, patch) in the order asked for; a skipped patch is None."""
        if not self.prefetch:
            return self._made(self.parent.items(indices))
        half = self.prefetch // 2
        read = self._read_ahead(indices, half)
        if self.batch_size is None:
            return beside(self._made(read), half, _nbytes)
        made = (self._apply_batch(batch) for batch in batched(read, self.batch_size))
        batches = beside(made, half, lambda batch: sum(map(_nbytes, batch)))
        return (item for batch in batches for item in batch)

    def _made(self, read: Iterator[Item]) -> Generator[Item, None, None]:
        """Yield what the function makes of patches that are read."""
        if self.batch_size is None:
            return ((i, self._apply(i, patch)) for i, patch in read)
        batches = batched(read, self.batch_size)
        return (item for batch in batches for item in self._apply_batch(batch))

    def _read_ahead(self, indices: Iterable[int], most_bytes: int) -> Iterator[Item]:
        """Yield patches that threads read, in order; what is in memory needs no reading."""
        parent = self.parent
        if is_in_memory(self.field) and not isinstance(parent, MappedStream):
            return parent.items(indices)

        def read(index: int) -> Item:
            return next(parent.items([index]))

        readers = readers_of(self.field, READERS)
        return read_ahead(read, indices, readers, most_bytes, _nbytes)

    def __iter__(self) -> Iterator[Patch]:
        if self.workers == 1 or self.prefetch:
            return super().__iter__()
        self.skipped.clear()
        return self._threaded()

    def _make(self, index: int) -> Patch:
        patch = self.parent._make(index)
        if self.batch_size is None:
            return patch.with_data(self.function(patch.data))
        return self._run_batch([(index, patch)])[0]

    def _apply(self, index: int, patch: Patch | None) -> Patch | None:
        if patch is None or isinstance(patch.data, Failed):
            return patch
        try:
            return Patch(self.function(patch.data), patch.anchor, patch.indices, patch.weights)
        except Exception as error:
            return self._failed(index, error)

    def _apply_batch(self, batch: list[Item]) -> list[Item]:
        if _shape_of(batch[0][1]) is None:
            return batch
        try:
            made = self._run_batch(batch)
        except BatchError as error:  # the function is wrong for every batch, not for one chip
            error.add_note(f"in the batch that begins with the patch at {batch[0][1].anchor}")  # type: ignore[union-attr]
            raise
        except Exception as error:
            if len(batch) == 1:
                return [(batch[0][0], self._failed(batch[0][0], error))]
            # One bad chip must not cost its neighbours: run them one by one.
            return [item for single in batch for item in self._apply_batch([single])]
        return [(index, patch) for (index, _), patch in zip(batch, made, strict=True)]

    def _run_batch(self, batch: Sequence[tuple[int, Any]]) -> list[Patch]:
        return run_batch(self.function, [patch for _, patch in batch])

    def _threaded(self) -> Iterator[Patch]:
        step = self.batch_size or 1
        batches = (
            range(start, min(start + step, len(self))) for start in range(0, len(self), step)
        )
        made = in_threads(
            lambda indices: list(self.items(indices)), batches, self.workers, self.workers + 1
        )
        yield from (patch for items in made for _, patch in items if patch is not None)


def mapped(
    patches: Iterable[Any],
    function: Callable[[Any], Any],
    workers: int = 1,
    batch_size: int | None = None,
) -> list[Any]:
    """Return patches that somebody holds with `function(data)` as their data; failures are raised.

    Parameters
    ----------
    patches : iterable of Patch
        In space, in time, or in both.
    function : callable
        Takes a patch's data; with `batch_size` a plain array (N, ...) of chips of one shape.
    workers : int
        Threads that run it side by side.
    batch_size : int, optional
        Chips that are stacked for one call, which must return as many results.

    Returns
    -------
    list of Patch
        In their order.

    Examples
    --------
    >>> [patch.data for patch in mapped([Patch(3, (0, 0), None)], abs, workers=2)]
    [3]
    """
    if batch_size is None:
        done = in_threads(lambda p: [p.with_data(function(p.data))], patches, workers, workers + 1)
    else:
        batches = batched(enumerate(patches), batch_size)
        run = partial(run_batch, function)
        held = ([patch for _, patch in batch] for batch in batches)
        done = in_threads(run, held, workers, workers + 1)
    return [patch for some in done for patch in some]


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield up to `size` neighbours of one shape, or of those that failed.

    Parameters
    ----------
    items : iterable of (int, Patch or None)
        Patches with their numbers.
    size : int
        How many at most.

    Returns
    -------
    iterator of list
        In their order.
    """
    for _, run in groupby(items, key=lambda item: _shape_of(item[1])):
        while batch := list(islice(run, size)):
            yield batch


def run_batch(function: Callable[[Any], Any], patches: Sequence[Any]) -> list[Any]:
    """Return patches of one shape with the results of one call as their data.

    Parameters
    ----------
    function : callable
        Takes a plain array (N, ...) of chips, returns N results. One that says so
        (`takes_batches = True`) gets a `GeoTensor`, whose names of bands and nodata it can ask,
        and what its result says of itself is kept; one that says False gets one chip after the
        other.
    patches : sequence of Patch
        Of one shape.

    Returns
    -------
    list of Patch
        In their order.

    Raises
    ------
    BatchError
        When the function returns another number of results.
    """
    takes = getattr(function, "takes_batches", None)
    if takes is False:
        return [patch.with_data(function(patch.data)) for patch in patches]
    stacked = np.stack([plain(patch.data) for patch in patches])
    if takes is True and isinstance(patches[0].data, GeoTensor):
        first = patches[0].data
        if len({repr(patch.data.fill_value_default) for patch in patches}) > 1:  # NaN is like NaN
            return [patch.with_data(function(patch.data)) for patch in patches]
        stacked = _as_carrier(stacked, first, first)
    results = function(stacked)
    if not isinstance(results, Sequence) and not hasattr(results, "shape"):
        raise BatchError(
            f"a function with batch_size must return an array (N, ...) or a list of N results, got "
            f"{type(results).__name__}; take the one that is to be merged"
        )
    if len(results) != len(patches):
        raise BatchError(
            f"a function with batch_size must return one result for each of its "
            f"{len(patches)} chips along axis 0, got {len(results)}"
        )
    if isinstance(results, GeoTensor):
        each = zip(patches, results.values, strict=True)
        return [p.with_data(_as_carrier(values, p.data, results)) for p, values in each]
    return [p.with_data(_like(p.data, r)) for p, r in zip(patches, results, strict=True)]


def _nbytes(item: Item) -> int:
    """Return the bytes of a patch's data."""
    data = None if item[1] is None else item[1].data
    return int(getattr(data, "nbytes", 0))


def _as_carrier(values: np.ndarray, place: Any, like: Any) -> GeoTensor:
    """Return values where one raster lies, and with the nodata and attributes of another."""
    nodata, attrs = like.fill_value_default, like.attrs
    return GeoTensor(values, place.transform, place.crs, nodata, attrs)


def _shape_of(patch: Patch | None) -> tuple[int, ...] | None:
    """Return the shape of a patch's data, None where it failed."""
    return None if patch is None or isinstance(patch.data, Failed) else np.shape(patch.data)


def _like(chip: Any, values: Any) -> Any:
    """Return `values` with the chip's georeference when the pixels are still the same."""
    made, values = values, plain(values)
    if isinstance(chip, GeoTensor) and values.ndim >= 2 and values.shape[-2:] == chip.shape[-2:]:
        nodata = nodata_after(made, values, chip.dtype, chip.fill_value_default)
        attrs = fitting_attrs(chip.attrs or {}, values.shape[:-2])
        return GeoTensor(values, chip.transform, chip.crs, nodata, attrs)
    said = None if np.ma.isMA(made) else chip_nodata(chip)
    if said is None:
        return made if np.ma.isMA(made) else values
    return saying(values, nodata_after(made, values, chip.dtype, said))
