"""Open raster files: GDAL's settings, addresses signed as they are opened, failures tried again."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import rasterio
from rasterio.errors import RasterioError

from geocatalog.errors import PixelReadError
from geocatalog.read.service import WHOLE
from geocatalog.read.signers import Sign, signing
from pipekit.places import store_of
from pipekit.retry import (
    TRANSIENT_STATUS,
    GaveUpError,
    TransientError,
    retry,
    retry_after,
    tries_text,
    within,
)
from pipekit.tokens import (
    guard_logs,
    redact,
    redacted,
    without_query,
    without_tokens,
)

T = TypeVar("T")

GDAL_OPTIONS: dict[str, Any] = {
    # One file is opened, so never list its folder nor probe for .aux.xml, .ovr or .msk beside it:
    # each would be a request that can only fail.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # A file's size is asked for by HEAD: the alternative is a GET of the whole file, broken off.
    "CPL_VSIL_CURL_USE_HEAD": "YES",
    # A COG's header, its tile index included, fits here: one request opens a whole-tile band.
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    # Neighbouring blocks come in one request instead of one each.
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    # Several ranges of one file travel on one HTTP/2 connection where the server speaks it.
    "GDAL_HTTP_MULTIPLEX": "YES",
    # Retries are ours: GDAL's own can neither renew a token nor stop in time.
    "GDAL_HTTP_MAX_RETRY": 0,
    # A server that accepts and then says nothing fails this soon, in seconds.
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    # Slower than this many bytes a second for this many seconds is a broken connection.
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 15,
    # No single request lasts longer, in seconds: neighbouring blocks add up to tens of megabytes.
    "GDAL_HTTP_TIMEOUT": 300,
    # One thread a file: bands are read side by side already, and GDAL's own threads would write
    # their errors, addresses and all, to stderr.
    "GDAL_NUM_THREADS": "1",
}

_DATASET_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_+.-]+:(?!//)|\s*<")
_SCHEME = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_PROBE_TIMEOUT = (5.0, 10.0)


def is_remote(path: str) -> bool:
    """Say whether a path is a URL or a GDAL virtual path rather than a local file.

    Parameters
    ----------
    path
        A path or URL.

    Returns
    -------
    Whether it is no local file.

    Examples
    --------
    >>> is_remote("https://host/a.tif"), is_remote("/vsizip/a.zip/a.tif"), is_remote("a.tif")
    (True, True, False)
    """
    return bool(_SCHEME.match(path)) or path.startswith("/vsi")


def is_dataset_name(path: str) -> bool:
    """Say whether text is one of GDAL's own names of a dataset rather than a file's.

    Parameters
    ----------
    path
        A path, a URL, a name such as `NETCDF:"a.nc":t2m` or `GTIFF_DIR:1:a.tif`, or a VRT's text.

    Returns
    -------
    Whether it begins with a driver's prefix, or is XML, and no file has this name.

    Examples
    --------
    >>> is_dataset_name('NETCDF:"a.nc":t2m'), is_dataset_name("a.tif"), is_dataset_name("c:/a.tif")
    (True, False, False)
    """
    return bool(_DATASET_NAME.match(path)) and not os.path.exists(path)


def is_http(path: str) -> bool:
    """Say whether a path is read over HTTP, so that a server can be asked why it failed.

    Parameters
    ----------
    path
        A path or URL.

    Returns
    -------
    Whether it begins with http:// or https://.

    Examples
    --------
    >>> is_http("https://host/a.tif"), is_http("s3://bucket/a.tif")
    (True, False)
    """
    return path.startswith(("http://", "https://"))


def gdal_options(path: str) -> dict[str, Any]:
    """Return the settings under which a file is opened and read.

    Parameters
    ----------
    path
        A path or URL.

    Returns
    -------
    Options for `rasterio.Env`.

    Examples
    --------
    >>> gdal_options("/data/a.tif")["GDAL_DISABLE_READDIR_ON_OPEN"]
    'TRUE'
    """
    if not is_remote(path):
        # Its masks, overviews and metadata may lie beside it, and are asked for by name.
        return {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE", "GDAL_NUM_THREADS": "1"}
    place = store_of(path)
    options = GDAL_OPTIONS if place is None else place.for_gdal()[1] | GDAL_OPTIONS
    if not without_query(path).lower().endswith((".tif", ".tiff")):
        return dict(options)
    # A refused or missing file is then one answer, not a search for the same name in upper case.
    return options | {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.TIF,.TIFF"}


def gdal_name(path: str) -> str:
    """Return the name under which GDAL opens a file, with the settings of `gdal_options`.

    Parameters
    ----------
    path
        A path or URL.

    Returns
    -------
    GDAL's own name for an object of a store, else the path.

    Examples
    --------
    >>> gdal_name("s3://bucket/a.tif"), gdal_name("a.tif")
    ('/vsis3/bucket/a.tif', 'a.tif')
    """
    place = store_of(path)
    return path if place is None else place.for_gdal()[0]


class KeptOpen:
    """Files that stay open between reads, each used by one thread at a time.

    Opening a COG costs more than reading a tile of it, and over a network it is a request. A
    process has its own: a pickled or forked copy begins empty.

    Parameters
    ----------
    most
        Idle files at most; the one that was used longest ago is closed first.

    Examples
    --------
    >>> len(KeptOpen())
    0
    """

    def __init__(self, most: int = 512) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._idle: list[tuple[str, Any]] = []

    def __reduce__(self) -> Any:
        return KeptOpen, (self.most,)

    def __len__(self) -> int:
        return len(self._mine())

    def _mine(self) -> list[tuple[str, Any]]:
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []
        return self._idle

    @contextmanager
    def opened(self, href: str, address: str) -> Iterator[Any]:
        """Give a file that is open already, or open it; one that fails is closed.

        Parameters
        ----------
        href
            What the file is known by.
        address
            Where it is opened, with a token where one is needed.

        Yields
        ------
        A dataset that no other thread uses.
        """
        with self._lock:
            idle = self._mine()
            at = next((i for i in range(len(idle) - 1, -1, -1) if idle[i][0] == href), None)
            dataset = None if at is None else idle.pop(at)[1]
        dataset = dataset or rasterio.open(gdal_name(address))
        try:
            yield dataset
        except BaseException:
            dataset.close()
            raise
        with self._lock:
            idle = self._mine()
            idle.append((href, dataset))
            extra = idle[: max(0, len(idle) - self.most)]
            del idle[: len(extra)]
        for _, old in extra:
            old.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._mine(), []
        for _, dataset in idle:
            dataset.close()


def with_dataset(
    href: str,
    action: Callable[[Any], T],
    *,
    sign: Sign | None = None,
    what: str | None = None,
    files: KeptOpen | None = None,
) -> T:
    """Return `action` of an opened file; what may pass is tried again, a refused token renewed.

    Parameters
    ----------
    href
        Anything rasterio opens.
    action
        Reads from the opened dataset. It runs again from the start when a read fails.
    sign
        Adds the access token; by default that of the `geocatalog.read.signers` who knows the place.
    what
        What messages call the file, by default its address without the query.
    files
        Where the file stays open for the next read; by default it is closed.

    Returns
    -------
    What `action` returned.

    Raises
    ------
    PixelReadError
        When the file can't be read; says how often it was tried and what the last answer was.
    """
    attempts = _Attempts(href, sign, what)

    def read(address: str) -> T:
        with rasterio.Env(**attempts.options(address)):
            opened = (
                rasterio.open(gdal_name(address))
                if files is None
                else files.opened(attempts.href, address)
            )
            with opened as dataset:
                return action(dataset)

    return attempts.run(read, (RasterioError,))


def with_address(href: str, action: Callable[[str], T], *, sign: Sign | None = None) -> T:
    """Return `action` of the address of a file that another library opens.

    What needs no token and no server is read as it is. Elsewhere failures are tried again, a
    refused token is renewed, and no error holds one.

    Parameters
    ----------
    href, sign
        As in `with_dataset`.
    action
        Opens and reads the address; it runs again from the start when that fails.

    Returns
    -------
    What `action` returned.

    Raises
    ------
    PixelReadError
        When a file on a server can't be read.

    Examples
    --------
    >>> with_address("/data/fields.gpkg", len)
    17
    """
    attempts = _Attempts(href, sign)
    if not is_http(href):
        return action(attempts.address())
    try:
        return attempts.run(action, (OSError, RuntimeError))
    except Exception as error:
        if redact(str(error)) == str(error):
            raise
        raise PixelReadError(f"can't read {attempts.what}: {redacted(error)}") from None


def open_file(href: str, sign: Sign | None = None) -> Any:
    """Return an opened file for a reader that keeps it open, and closes it.

    A read that fails there is to be repeated through `with_dataset`.

    Parameters
    ----------
    href
        Anything rasterio opens.
    sign
        As in `with_dataset`.

    Returns
    -------
    A dataset that the caller closes.

    Raises
    ------
    RasterioError
        When the file cannot be opened.

    Examples
    --------
    >>> open_file("/nowhere/a.tif")
    Traceback (most recent call last):
    rasterio.errors.RasterioIOError: /nowhere/a.tif: No such file or directory
    """
    address = _Attempts(href, sign).address()
    with rasterio.Env(**gdal_options(address)):
        return rasterio.open(gdal_name(address))


class _Attempts:
    """What the attempts to read one file have learnt from their failures."""

    def __init__(self, href: str, sign: Sign | None, what: str | None = None) -> None:
        place = without_tokens(href)
        self.sign = signing(place) if sign is None else sign
        # A token that nobody can renew is used while it lasts.
        self.href = href if self.sign is None else place
        self.what = what or redact(without_query(href))
        self.tries = 0
        self.renew = False
        self.renewed = False

    def run(self, action: Callable[[str], T], failures: tuple[type[Exception], ...]) -> T:
        """Return `action` of an address, tried again where that may help."""

        def attempt() -> T:
            address = self.address()
            try:
                return action(address)
            except failures as error:
                raise self.judge(error, address) from None

        try:
            return retry(attempt)
        except GaveUpError as error:
            raise self.failure(error.answer, error.tries) from None

    def address(self) -> str:
        """Return where the next attempt reads, with a token where one is needed."""
        self.tries += 1
        renew, self.renew = self.renew, False
        if self.sign is None:
            return self.href
        guard_logs()
        return self.sign(self.href, renew=renew)

    def options(self, address: str) -> dict[str, Any]:
        """Return the settings of the next attempt; GDAL forgets that one failed before."""
        options = gdal_options(address)
        if self.tries > 1 and is_http(address):
            options["CPL_VSIL_CURL_NON_CACHED"] = f"/vsicurl/{address}"
        return options

    def judge(self, error: Exception, address: str) -> Exception:
        """Return what to raise: `TransientError` where another attempt may succeed."""
        said = redact(str(error.__cause__ or error)).strip()
        said = said.replace(redact(address), "the file").replace("/vsicurl/", "")
        place = store_of(address)
        if place is not None:
            place.forget()
            try:
                place.find()  # waits while the store says that it is busy
            except OSError as why:
                return self.failure(str(why), self.tries)
            return TransientError(f"it is there, but the read failed ({said.splitlines()[:1]})")
        if not is_http(address):
            return self.failure(said, self.tries)
        status, wait = ask_status(address)
        answer = f"HTTP {status}" if isinstance(status, int) else status
        if status == 403 and self.sign is not None and not self.renewed:
            self.renew = self.renewed = True
            return TransientError(answer)
        if status in (200, 206):
            # The server is well now: the failure was a broken transfer, or the file is damaged.
            reason = said.splitlines()[0] if said else "no reason given"
            return TransientError(f"{answer}, but the read failed ({reason})")
        if isinstance(status, str) or status in TRANSIENT_STATUS or status >= 500:
            return TransientError(answer, wait)
        return self.failure(answer, self.tries)

    def failure(self, answer: str, tries: int) -> PixelReadError:
        """Return the error that names the file, the tries and the last answer."""
        return PixelReadError(f"can't read {self.what}: {tries_text(tries)}, last answer: {answer}")


def ask_status(href: str) -> tuple[int | str, float | None]:
    """Return a file's HTTP status, or the error's name, and the seconds a server asks to wait.

    GDAL only says that a read failed; whether to wait, renew a token or give up is in the answer
    to one more request for a single byte.

    Parameters
    ----------
    href
        An http or https URL.

    Returns
    -------
    Status or name of the error; seconds, or None.
    """
    import requests

    guard_logs()
    one = {"Range": "bytes=0-0"}
    ask = partial(requests.get, href, headers=one, stream=True, timeout=_PROBE_TIMEOUT)
    try:
        with within(WHOLE, ask) as response:
            return response.status_code, retry_after(response.headers.get("Retry-After"))
    except (requests.RequestException, ValueError) as error:  # a redirect to no address
        return type(error).__name__, None
    except TransientError as error:
        return str(error), None
