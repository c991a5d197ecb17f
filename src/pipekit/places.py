"""Places that are no files of this machine: objects of a store, named by one URL.

An object is read in ranges, and is replaced as a whole: what is being written is seen by nobody
until it is complete. Nothing is appended, renamed or locked on a store, and a listing may lag
behind; so no verb here asks a listing for what is there, and `Place.below` is for looking around.
Keys and endpoints come from the environment, and are in no text that is made here.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipekit import retry
from pipekit.lazy import how_to_install, needed

_URL = re.compile(
    r"(?:(?P<scheme>s3|gs|az|https?)://|/vsi(?P<vsi>s3|gs|az)/)(?P<bucket>[^/?#]+)(?P<key>.*)",
    re.IGNORECASE | re.DOTALL,
)
STORES = ("s3", "gs", "az")
"""Schemes of object stores, which can be written; "https" and "http" are only read."""

_SETTINGS = ("AWS_", "AZURE_", "GOOGLE_")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

PART_BYTES = 8 * 2**20
"""Of a file that is uploaded, in one request: S3 takes at least 5 MiB and 10,000 parts."""

_MOST_PARTS = 9000


class PlaceError(OSError):
    """A store did not do what it was asked: the message names the place and the last answer."""


class ChangedError(PlaceError):
    """An object is another one than that whose tag was given."""


class Found(NamedTuple):
    """What a store says of an object: bytes, and the tag that changes when it is replaced."""

    size: int
    tag: str


@dataclass(frozen=True)
class Place(os.PathLike[str]):
    """An object, or what stands before the names of several, as a folder does.

    Parameters
    ----------
    scheme
        "s3", "gs", "az", "https" or "http".
    bucket
        The bucket, the container, or the host.
    key
        The rest of the URL, without a slash at either end.

    Examples
    --------
    >>> place = Place("s3", "bucket", "run/ndvi.tif")
    >>> str(place / "c"), place.name, place.suffix
    ('s3://bucket/run/ndvi.tif/c', 'ndvi.tif', '.tif')
    """

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.root}/{self.key}"

    def __fspath__(self) -> str:
        return str(self)

    def __truediv__(self, name: str) -> Place:
        return Place(self.scheme, self.bucket, f"{self.key}/{name}".strip("/"))

    @property
    def root(self) -> str:
        """The URL of the bucket."""
        return f"{self.scheme}://{self.bucket}"

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return Path(self.name).suffix

    def with_name(self, name: str) -> Place:
        """Return the place beside this one that has another name.

        Parameters
        ----------
        name
            Without a slash.

        Returns
        -------
        Place
            In the same folder.
        """
        return Place(self.scheme, self.bucket, f"{self.key.rpartition('/')[0]}/{name}".strip("/"))

    def holds(self, other: Place) -> bool:
        """Return whether a place is this one, or lies below it.

        Parameters
        ----------
        other
            Any place.

        Returns
        -------
        bool
            By the names alone; nothing is asked.
        """
        return f"{other}/".startswith(f"{self}/")

    def find(self) -> Found:
        """Return what the store says of the object.

        Returns
        -------
        Found
            Its size in bytes and its tag.

        Raises
        ------
        FileNotFoundError
            There is no such object, or no such bucket.
        PermissionError
            The store refuses.
        PlaceError
            It failed after all tries.
        """
        with self._telling("found"):
            meta = self._store.head(self.key)
            return Found(meta["size"], _tag_of(meta))

    def exists(self) -> bool:
        """Return whether there is such an object; a folder of objects is none.

        Returns
        -------
        bool
            What the store says of the object itself, not of a list.
        """
        with suppress(FileNotFoundError):
            self.find()
            return True
        return False

    def read(self, start: int = 0, stop: int | None = None, tag: str | None = None) -> bytes:
        """Return bytes [start, stop) of the object, all of it by default.

        Parameters
        ----------
        start
            The first byte.
        stop
            The byte after the last; None for the end.
        tag
            Of the version that is to be read.

        Returns
        -------
        bytes
            As many, or fewer where the object ends.

        Raises
        ------
        ChangedError
            The object has another tag.
        OSError
            As `find`.
        """
        known = tag is not None and self.scheme in STORES
        options: Any = {"if_match": tag} if known else {}
        if start or stop is not None:
            options["range"] = {"offset": start} if stop is None else (start, stop)
        with self._telling("read"):
            return bytes(self._store.get(self.key, options=options).bytes())

    def tagged(self) -> tuple[bytes, str]:
        """Return the whole object, and the tag of this version of it, by one request.

        Returns
        -------
        data : bytes
            All of it.
        tag : str
            As `find` gives it.

        Raises
        ------
        OSError
            As `find`.
        """
        with self._telling("read"):
            got = self._store.get(self.key)
            return bytes(got.bytes()), _tag_of(got.meta)

    def reader(self) -> PlaceReader:
        """Return the object as a binary file that is read range by range.

        Returns
        -------
        PlaceReader
            Of the version that is there now.
        """
        return PlaceReader(self, self.find())

    def write(self, data: bytes, over: str | None = None) -> str:
        """Put a whole object, in one request.

        Parameters
        ----------
        data
            All of it.
        over
            Of the version that it replaces; "" where there must be none. By default it replaces
            whatever is there.

        Returns
        -------
        str
            Its tag.

        Raises
        ------
        ChangedError
            There is another version than `over`, of other bytes.
        OSError
            As `find`; nothing of the object is to be seen then.
        """
        mode: Any = None if over is None else {"e_tag": over} if over else "create"
        try:
            with self._telling("written"):
                made = self._store.put(self.key, data, mode=mode, use_multipart=False)
        except ChangedError:
            # The answer to the first try may have been lost, and the second met its own object.
            there, tag = self.tagged()
            if there != data:
                raise
            return tag
        self.forget()
        return made["e_tag"] or ""

    def upload(self, file: Path) -> None:
        """Put a file of this machine, in parts where it is large; it is there whole, or not at all.

        Parameters
        ----------
        file
            What is uploaded.

        Raises
        ------
        OSError
            As `find`; nothing of the object is to be seen then.
        """
        part = max(PART_BYTES, file.stat().st_size // _MOST_PARTS)
        with self._telling("written"):
            self._store.put(self.key, file, chunk_size=part, max_concurrency=4)
        self.forget()

    def remove(self) -> None:
        """Remove the object; one that is not there is removed already.

        Raises
        ------
        OSError
            As `find`.
        """
        with suppress(FileNotFoundError), self._telling("removed"):
            self._store.delete(self.key)
        self.forget()

    def below(self) -> Iterator[Place]:
        """Yield the objects below this place, as far as the store's list has them yet.

        Yields
        ------
        Place
            One object after the other.
        """
        with self._telling("listed"):
            for some in self._store.list(self.key or None):
                for meta in some:
                    yield Place(self.scheme, self.bucket, meta["path"])

    def clear(self) -> None:
        """Remove the objects below this place, as far as the store's list has them yet.

        Raises
        ------
        OSError
            As `find`.
        """
        keys = [place.key for place in self.below()]
        with self._telling("cleared"):
            self._store.delete(keys)

    def forget(self) -> None:
        """Have GDAL forget what it remembers of the object, before it is opened next."""
        if self._gdal_name in _STALE:
            _STALE[self._gdal_name] = True

    def for_gdal(self) -> tuple[str, dict[str, Any]]:
        """Return the name under which GDAL opens the object, and the settings that it needs.

        What GDAL remembers of an object that this process has replaced is forgotten first. Keys
        are no part of the settings: GDAL takes them from the environment itself.

        Returns
        -------
        name : str
            Such as "/vsis3/bucket/a.tif".
        options : dict
            For `rasterio.Env`.
        """
        name, options = self._gdal_name, _PATIENCE | _gdal_options(self.scheme)
        if _STALE.get(name):
            import rasterio
            from rasterio.errors import RasterioError

            # Whoever opens it uncached takes what is remembered along when it is closed.
            uncached = rasterio.Env(**options, CPL_VSIL_CURL_NON_CACHED=name)
            with uncached, suppress(RasterioError):
                rasterio.open(name).close()
        _STALE[name] = False
        return name, options

    def for_zarr(self) -> Any:
        """Return the objects below this place as a store that zarr and xarray read and write.

        Returns
        -------
        zarr.storage.ObjectStore
            It pickles, without keys: a copy takes them from the environment where it is.
        """
        return needed("zarr.storage").ObjectStore(_connected(str(self)))

    @property
    def _gdal_name(self) -> str:
        return f"/vsi{self.scheme}/{self.bucket}/{self.key}" if self.scheme in STORES else str(self)

    @property
    def _store(self) -> Any:
        return _connected(self.root)

    @contextmanager
    def _telling(self, done: str) -> Iterator[None]:
        """Turn what the library raises into errors of Python's own, without keys or queries."""
        from obstore import exceptions

        try:
            yield
        except (exceptions.BaseError, FileNotFoundError) as error:
            raise _told(error, self, done) from None


_PATIENCE: dict[str, Any] = {
    # Nothing beside the object is asked for.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # Who says nothing, or less than 1000 bytes a second, is given up after so many seconds.
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 15,
    # A busy store is asked again, after pauses that grow from half a second.
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
}
_STALE: dict[str, bool] = {}
"""GDAL's names of objects that it may remember, and whether this process has replaced them."""


class PlaceReader(io.RawIOBase):
    """An object as a binary file: each read is one request for the bytes it asks for.

    Parameters
    ----------
    place
        Of the object.
    found
        Its size, and the version that is read.
    """

    def __init__(self, place: Place, found: Found) -> None:
        self.place, self.found = place, found
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte, counted from the start, from here, or from the end.

        Parameters
        ----------
        offset
            In bytes.
        whence
            `os.SEEK_SET`, `os.SEEK_CUR` or `os.SEEK_END`.

        Returns
        -------
        int
            The number of the next byte.
        """
        self._at = offset + (0, self._at, self.found.size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer by one request.

        Parameters
        ----------
        buffer
            Writable.

        Returns
        -------
        int
            How many bytes were read.
        """
        wanted = memoryview(buffer).cast("B")
        stop = min(self._at + len(wanted), self.found.size)
        if stop <= self._at:
            return 0
        data = self.place.read(self._at, stop, self.found.tag)
        wanted[: len(data)] = data
        self._at += len(data)
        return len(data)


def place_of(name: str | os.PathLike[str]) -> Place | None:
    """Return the place that a URL, or a name of GDAL, stands for; None for a local path.

    Parameters
    ----------
    name
        Text, a path, or a `Place`.

    Returns
    -------
    Place or None
        None too for a URL with a query, which holds a token: such a one is read by GDAL alone.

    Raises
    ------
    ValueError
        A URL of a store with a part that no object's name can have.

    Examples
    --------
    >>> place_of("s3://bucket/run/"), place_of("a.tif")
    (Place(scheme='s3', bucket='bucket', key='run'), None)
    >>> str(place_of("/vsigs/bucket/a.tif"))
    'gs://bucket/a.tif'
    """
    if isinstance(name, Place):
        return name
    text = os.fspath(name)
    match = _URL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    scheme, key = (match["scheme"] or match["vsi"]).lower(), match["key"].strip("/")
    if scheme not in STORES and ("?" in key or "#" in key):
        return None
    if any(part in ("", ".", "..") for part in key.split("/")[: None if key else 0]):
        raise ValueError(f"the parts of a place have names, not '', '.' or '..', got {text!r}")
    return Place(scheme, match["bucket"], key)


def store_of(name: str | os.PathLike[str]) -> Place | None:
    """Return the place that a name stands for where it is on a store, which can be written.

    Parameters
    ----------
    name
        As in `place_of`.

    Returns
    -------
    Place or None
        None for local paths and for what is only read.

    Examples
    --------
    >>> store_of("https://host/a.tif"), store_of("s3://bucket/a.tif").key
    (None, 'a.tif')
    """
    place = place_of(name)
    return place if place is not None and place.scheme in STORES else None


def _tag_of(meta: Any) -> str:
    """Return what tells a version of an object: when it was put, where the store has no tags."""
    return meta["e_tag"] or str(meta["last_modified"])


def _connected(root: str) -> Any:
    """Return the store of a URL, made once for what the environment says now."""
    settings = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_SETTINGS)))
    return _store(root, settings, retry.DEFAULT)


@lru_cache(maxsize=32)
def _store(root: str, settings: tuple[tuple[str, str], ...], policy: retry.RetryPolicy) -> Any:
    from datetime import timedelta

    try:
        from obstore.store import from_url
    except ImportError as error:
        raise ImportError(
            f"{root} is on an object store, which needs obstore; {how_to_install('store')}"
        ) from error
    scheme, options = root.partition("://")[0], _store_options(root)
    pauses = {
        "init_backoff": timedelta(seconds=policy.base_delay),
        "max_backoff": timedelta(seconds=policy.max_delay),
        "base": 2,
    }
    again: Any = {
        "max_retries": policy.tries - 1,
        "retry_timeout": timedelta(seconds=policy.total),
        "backoff": pauses,
    }
    client: Any = {
        "timeout": timedelta(seconds=policy.total),
        "connect_timeout": timedelta(seconds=min(10.0, policy.total)),
        "allow_http": scheme == "http" or options.pop("plain", False),
    }
    return from_url(root, client_options=client, retry_config=again, **options)


def _endpoint() -> str:
    """Return the URL of the S3-compatible service that the environment names, or ""."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next(filter(None, map(os.environ.get, names)), "").rstrip("/")


def _unsigned(endpoint: str) -> bool:
    """Return whether requests to S3 carry no signature: asked for, or a service without keys."""
    said = os.environ.get("AWS_NO_SIGN_REQUEST", "").lower()
    return said in ("1", "yes", "true") or bool(endpoint and "AWS_ACCESS_KEY_ID" not in os.environ)


def _plain(endpoint: str) -> bool:
    """Return whether an endpoint may be reached without TLS: on this machine, or if asked for."""
    parts = urlsplit(endpoint)
    if parts.scheme != "http":
        return False
    asked = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "yes", "true")
    if not asked and parts.hostname not in _LOOPBACK:
        raise PermissionError(
            f"AWS_ENDPOINT_URL is {parts.scheme}://{parts.hostname}, and keys do not travel "
            "without TLS to another machine; use https://, or set AWS_ALLOW_HTTP=true"
        )
    return True


def _store_options(root: str) -> dict[str, Any]:
    """Return what the store of a URL is told beside the keys, which it finds by itself."""
    if not root.startswith("s3:"):
        account = os.environ.get("AZURE_STORAGE_ACCOUNT")
        return {"account_name": account} if root.startswith("az:") and account else {}
    endpoint = _endpoint()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    options: dict[str, Any] = {"region": region, "plain": _plain(endpoint)}
    if endpoint:
        options["endpoint"] = endpoint
    if _unsigned(endpoint):
        options["skip_signature"] = True
    return options


def _gdal_options(scheme: str) -> dict[str, Any]:
    """Return what GDAL is told of a kind of store beside the keys, which it finds by itself."""
    if scheme == "az":
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        return {"AZURE_STORAGE_ACCOUNT": account} if account else {}
    endpoint = _endpoint()
    if scheme != "s3" or not endpoint:
        return {"AWS_NO_SIGN_REQUEST": "YES"} if scheme == "s3" and _unsigned("") else {}
    address = urlsplit(endpoint)
    return {
        "AWS_S3_ENDPOINT": f"{address.netloc}{address.path}",
        "AWS_HTTPS": "NO" if _plain(endpoint) else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES" if _unsigned(endpoint) else "NO",
    }


_STATUS = re.compile(
    r"status(?: code)?:? (\d{3})|<Code>([^<]+)</Code>|\b(timed out|timeout)\b|"
    r'ConnectError\(\s*"([\w ]+)"|message: "([\w ]+)"'
)
_TRIES = re.compile(r"after (\d+) retries")


def _told(error: Exception, place: Place, done: str) -> OSError:
    """Return the error that a reader of Python knows, which says what the store answered.

    The library's own text is not passed on: it holds addresses, and these may hold tokens.
    """
    text, kind = str(error), type(error).__name__
    said = list(dict.fromkeys(next(filter(None, parts)) for parts in _STATUS.findall(text)))
    answer = ", ".join(said) or kind.removesuffix("Error")
    again = _TRIES.search(text)
    tried = f" after {retry.tries_text(int(again[1]) + 1)}" if again and int(again[1]) else ""
    what = f"{place} could not be {done}{tried}: "
    if kind in ("NotFoundError", "FileNotFoundError") or "404" in said:
        return FileNotFoundError(f"{what}no such object, or no such bucket ({answer})")
    # The last place where Amazon's keys are looked for is an address that its machines know.
    if "//169.254.169.254/" in text or not {"401", "403"}.isdisjoint(said):
        return PermissionError(
            f"{what}the store refuses ({answer}); see docs/how-to/object-stores.md for the "
            "environment variables that hold the keys"
        )
    if kind in ("AlreadyExistsError", "PreconditionError", "NotModifiedError"):
        return ChangedError(f"{what}another version of it is there ({answer})")
    return PlaceError(f"{what}the last answer was {answer}")
