"""Read windows of assets: in parallel, patiently, and saying exactly what failed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from geostack.errors import PixelReadError
from geostack.gdal import gdal_options, is_remote
from geostack.grid import PixelGrid
from geostack.retry import GaveUpError, TransientError, retry, retry_after, tries_text
from geostack.tokens import redact, without_query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geostack.sources import Source

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

Method = Literal["nearest", "bilinear"]

MAX_CONNECTIONS = 16
"""Files read at the same time: enough to hide latency, few enough to be a polite guest."""

_PROBE_TIMEOUT = (5.0, 10.0)


@dataclass(frozen=True)
class Asset:
    """One file of one scene, with the source that can sign its address."""

    item_id: str
    key: str
    href: str
    source: Source
    band: int = 1
    """1-based index in the file."""

    @property
    def method(self) -> Method:
        """How to resample it: classes and bits keep their values, quantities are interpolated."""
        is_coded = self.key == "SCL" or "qa" in self.key.split("_")
        return "nearest" if is_coded else "bilinear"

    def __str__(self) -> str:
        return f"{self.item_id}, asset {self.key}, {without_query(self.href)}"


def connections() -> int:
    """Return how many files are read at the same time: `GEOSTACK_CONNECTIONS`, else 16.

    Raises
    ------
    ValueError
        When the variable is no positive whole number.

    Examples
    --------
    >>> connections() >= 1
    True
    """
    text = os.environ.get("GEOSTACK_CONNECTIONS") or str(MAX_CONNECTIONS)
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"GEOSTACK_CONNECTIONS must be a positive whole number, got {text!r}")
    return int(text)


def in_parallel(function: Callable[[T], R], inputs: Sequence[T]) -> list[R]:
    """Return `function` of each input, in order, computed in threads; the first error is raised.

    Within a thread of its own it runs one by one, so that calls may nest.

    Examples
    --------
    >>> in_parallel(len, ["a", "bb"])
    [1, 2]
    """
    nested = threading.current_thread().name.startswith(_THREADS)
    if len(inputs) < 2 or nested:
        return [function(value) for value in inputs]
    futures = [_pool(connections()).submit(function, value) for value in inputs]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        wait(futures)
        raise


_THREADS = "geostack-read"
_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _pool(size: int) -> ThreadPoolExecutor:
    """Threads that stay, since GDAL keeps the connections of each for its next read.

    A forked process has none of its parent's threads, so pools belong to a process.
    """
    key = (os.getpid(), size)
    if key not in _POOLS:
        _POOLS[key] = ThreadPoolExecutor(size, thread_name_prefix=_THREADS)
    return _POOLS[key]


def asset_grid(asset: Asset) -> PixelGrid:
    """Return an asset's pixel grid, from the file's header."""
    return with_dataset(asset, grid_of)


def read_onto(
    asset: Asset, grid: PixelGrid, method: Method = "bilinear", *, fill: float | None = None
) -> NDArray[Any]:
    """Return an asset's pixels on `grid`, (rows, cols), in the file's dtype.

    Where the file's pixels are the grid's they are copied; otherwise they are resampled, and
    no-data pixels take no part.

    Parameters
    ----------
    method
        How to resample.
    fill
        The value of no data, inside the file and beyond it; by default the file's own, or 0.

    Raises
    ------
    PixelReadError
        When the file can't be read.
    """

    def read(dataset: Any) -> NDArray[Any]:
        own = grid_of(dataset)
        nodata = dataset.nodata if dataset.nodata is not None else 0 if fill is None else fill
        if own.same_pixels(grid):
            values = _copy(dataset, own, grid, asset.band, nodata)
        else:
            with resampled(dataset, grid, method, nodata) as warped:
                values = np.asarray(warped.read(asset.band))
        if fill is not None and nodata != fill:
            values[np.isnan(values) if np.isnan(nodata) else values == nodata] = fill
        return values

    return with_dataset(asset, read)


def with_dataset(asset: Asset, action: Callable[[Any], T]) -> T:
    """Return `action` of the opened asset, retried, signed, its errors explained."""
    state = _ReadState(asset)

    def attempt() -> T:
        href = state.address()
        try:
            options = {**gdal_options(href), **state.fresh_options(href)}
            with rasterio.Env(**options), rasterio.open(href) as dataset:
                return action(dataset)
        except RasterioError as error:
            raise state.judge(error, href) from None

    try:
        return retry(attempt)
    except GaveUpError as error:
        raise PixelReadError(
            f"can't read {asset}: {tries_text(error.tries)}, last answer: {error.answer}"
        ) from None


class _ReadState:
    """What one read has learnt from its failures."""

    def __init__(self, asset: Asset) -> None:
        self.asset = asset
        self.tries = 0
        self.renew = False
        self.renewed = False

    def address(self) -> str:
        self.tries += 1
        renew, self.renew = self.renew, False
        return self.asset.source.sign(self.asset.href, renew=renew)

    def fresh_options(self, href: str) -> dict[str, str]:
        # GDAL remembers that a file could not be opened; a second try must ask again.
        if self.tries == 1 or not is_remote(href):
            return {}
        return {"CPL_VSIL_CURL_NON_CACHED": f"/vsicurl/{href}"}

    def judge(self, error: Exception, href: str) -> Exception:
        """Return what to raise: `TransientError` where another try may succeed."""
        said = redact(str(error.__cause__ or error)).strip()
        said = said.replace(redact(href), "the file").replace("/vsicurl/", "")
        if not is_remote(href):
            return self._final(said)
        status, wait = ask_status(href)
        answer = f"HTTP {status}" if isinstance(status, int) else status
        if status == 403 and not self.renewed:
            self.renew = self.renewed = True
            return TransientError(answer)
        if status in (200, 206):
            # The server is well now: the failure was a broken transfer, or the file is damaged.
            return TransientError(f"{answer}, but the read failed ({_first_line(said)})")
        if isinstance(status, str) or status in (408, 425, 429) or status >= 500:
            return TransientError(answer, wait)
        return self._final(answer)

    def _final(self, answer: str) -> PixelReadError:
        return PixelReadError(
            f"can't read {self.asset}: {tries_text(self.tries)}, last answer: {answer}"
        )


def ask_status(href: str) -> tuple[int | str, float | None]:
    """Return a file's HTTP status, or the error's name, and the seconds a server asks to wait.

    GDAL only says that a read failed; whether to wait, renew a token or give up is in the answer
    to one more request for a single byte.
    """
    import requests

    from geostack.tokens import guard_logs

    guard_logs()
    try:
        with requests.get(
            href, headers={"Range": "bytes=0-0"}, stream=True, timeout=_PROBE_TIMEOUT
        ) as response:
            return response.status_code, retry_after(response.headers.get("Retry-After"))
    except requests.RequestException as error:
        return type(error).__name__, None


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no reason given"


def grid_of(dataset: Any) -> PixelGrid:
    """Return an opened file's pixel grid."""
    return PixelGrid(dataset.crs, dataset.transform, dataset.shape)


def _copy(dataset: Any, own: PixelGrid, grid: PixelGrid, band: int, nodata: float) -> NDArray[Any]:
    window = own.window_of(grid)
    inside = (
        window.col_off >= 0
        and window.row_off >= 0
        and window.col_off + window.width <= own.shape[1]
        and window.row_off + window.height <= own.shape[0]
    )
    if inside:
        return np.asarray(dataset.read(band, window=window))
    values = np.full(grid.shape, nodata, dtype=dataset.dtypes[band - 1])
    top, left = max(window.row_off, 0), max(window.col_off, 0)
    bottom = min(window.row_off + window.height, own.shape[0])
    right = min(window.col_off + window.width, own.shape[1])
    if bottom <= top or right <= left:
        return values
    part = rasterio.windows.Window(left, top, right - left, bottom - top)
    rows = slice(top - window.row_off, bottom - window.row_off)
    columns = slice(left - window.col_off, right - window.col_off)
    values[rows, columns] = dataset.read(band, window=part)
    return values


def resampled(dataset: Any, grid: PixelGrid, method: Method, nodata: float) -> WarpedVRT:
    """Return an opened file as one on `grid`, to be closed by the caller."""
    rows, cols = grid.shape
    return WarpedVRT(
        dataset,
        crs=grid.crs,
        transform=grid.transform,
        width=cols,
        height=rows,
        resampling=Resampling[method],
        src_nodata=nodata,
        nodata=nodata,
    )
