"""JSON and files from the web, by the one retry policy."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import is_zipfile

from geocatalog.read.service import json_of
from geostack.errors import PixelReadError, SourceUnavailableError
from pipekit.files import beside
from pipekit.retry import TRANSIENT_STATUS, GaveUpError, TransientError, retry, retry_after, within
from pipekit.tokens import redacted, without_query

if TYPE_CHECKING:
    from geostack.sources import Source

T = TypeVar("T")

_TIMEOUT = (10.0, 60.0)
WHOLE = 120.0
"""Seconds for one whole answer of JSON, however it drips."""
LONGEST = 6 * 3600.0
"""Seconds for one body, however large."""
SLOWEST = 1000
"""Bytes a second: what is slower for `PATIENCE` seconds is a broken connection."""
PATIENCE = 15.0
_PIECE = 1 << 20
PROBE_SECONDS = 3.0
"""How long a service may take to show that it is there."""
logger = logging.getLogger(__name__)
_AGENT = {"User-Agent": "geostack", "Accept-Encoding": "identity"}


def first_that_answers(name: str, held: str | None, url: str, made_up: str) -> str:
    """Return which source serves what isn't read from STAC items.

    Parameters
    ----------
    name
        The source asked for; any but "auto" is taken as it is.
    held
        The source whose files are on this machine already, if any.
    url
        Of the service, which is taken when it answers.
    made_up
        What is used otherwise, for the log.

    Returns
    -------
    str
        A source's name.

    Examples
    --------
    >>> first_that_answers("auto", "archive", "https://example.com", "made-up points")
    'archive'
    """
    if name != "auto":
        return name
    if held:
        return held
    answer = probe(url, PROBE_SECONDS)
    if answer is None:
        return "planetary-computer"
    logger.info("%s %s; using %s", without_query(url), answer, made_up)
    return "simulated"


def probe(url: str, seconds: float) -> str | None:
    """Return None when `url` answers within `seconds`, else what went wrong.

    The request runs in a thread of its own, because looking a name up can wait for longer than
    any timeout that a client takes.

    Parameters
    ----------
    url
        What is asked.
    seconds
        How long an answer may take.

    Returns
    -------
    str or None

    Examples
    --------
    >>> probe("http://127.0.0.1:9", 5.0)
    'does not answer (ConnectionError)'
    """
    try:
        # The request itself ends, too, if later.
        with answered(url, seconds=seconds, timeout=2 * seconds, stream=True) as response:
            bad = response.status_code >= 400
            return f"answered HTTP {response.status_code}" if bad else None
    except TransientError as error:
        return f"does not answer ({error})"


@contextmanager
def answered(
    url: str, method: str = "GET", *, seconds: float | None = None, **options: Any
) -> Iterator[Any]:
    """Yield a service's answer, of `requests`, whose head comes in time.

    Parameters
    ----------
    url
        What is asked.
    method
        HTTP's.
    seconds
        Until the head is there; None for `WHOLE`.
    **options
        Of `requests.request`.

    Yields
    ------
    requests.Response

    Raises
    ------
    TransientError
        When no answer came, or the connection broke while the block read it.

    Examples
    --------
    >>> with answered("http://127.0.0.1:9"):
    ...     pass
    Traceback (most recent call last):
    pipekit.retry.TransientError: ConnectionError
    """
    import requests

    waited_for = True

    def ask() -> Any:
        response = requests.request(method, url, **{"timeout": _TIMEOUT, **options})
        if not waited_for:  # its head came too late
            response.close()
        return response

    try:
        response = within(WHOLE if seconds is None else seconds, ask)
    except (requests.RequestException, ValueError) as error:  # a redirect to what is no address
        raise TransientError(type(error).__name__) from None
    finally:
        waited_for = False
    try:
        with response:
            yield response
    except requests.RequestException as error:
        raise TransientError(type(error).__name__) from None


def pieces(stream: Any) -> Iterator[bytes]:
    """Yield a body as it comes; one that drips, or never ends, is given up.

    Parameters
    ----------
    stream
        A file, or the `raw` of an answer.

    Yields
    ------
    bytes

    Raises
    ------
    TransientError
        For fewer than `SLOWEST` bytes a second in `PATIENCE` seconds, a body that lasts longer
        than `LONGEST`, or a connection that breaks.

    Examples
    --------
    >>> import io
    >>> list(pieces(io.BytesIO(b"abc")))
    [b'abc']
    """
    from urllib3.exceptions import HTTPError

    # Whatever has come is handed over at once, so that a drip is noticed.
    read = getattr(stream, "read1", stream.read)
    began = since = time.monotonic()
    arrived = 0
    packed = getattr(stream, "headers", {}).get("Content-Encoding", "identity")
    if packed != "identity":  # which nobody has asked for
        raise TransientError(f"the file came packed by {packed}")
    try:
        while piece := read(_PIECE):
            arrived += len(piece)
            now = time.monotonic()
            if now - began > LONGEST:
                raise TransientError(f"it had not ended after {now - began:.0f} s")
            if now - since > PATIENCE:
                if arrived < SLOWEST * (now - since):
                    raise TransientError(f"{arrived} bytes in {now - since:.0f} s")
                since, arrived = now, 0
            yield piece
    except (HTTPError, OSError) as error:
        raise TransientError(type(error).__name__) from None


def get_json(
    url: str, parameters: Mapping[str, Any], read: Callable[[Any], T] = lambda told: told
) -> T:
    """Return what a service answers in JSON.

    Parameters
    ----------
    url
        Of the service.
    parameters
        What is asked, by name.
    read
        Takes from the answer what is returned; by default all of it.

    Returns
    -------
    dict, list or a plain value, or what `read` returned.

    Raises
    ------
    SourceUnavailableError
        When it doesn't answer, not with JSON, or with none that `read` can read.
    """

    def attempt() -> Any:
        with answered(url, params=parameters, headers=_AGENT, stream=True) as response:
            check_answer(response, _refusal(response, url))
            return read(json_of(response))

    return _patiently(lambda: within(WHOLE, attempt), url)


def download(url: str, path: Path) -> Path:
    """Save what is at a URL as `path`, whole or not at all.

    Parameters
    ----------
    url
        Of the file.
    path
        Where it goes; its folder is made.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    SourceUnavailableError
        When it can't be had, or something else comes in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    def attempt() -> None:
        with answered(url, stream=True, headers=_AGENT) as response:
            check_answer(response, _refusal(response, url))
            with beside(path) as unfinished:
                with unfinished.open("wb") as file:
                    file.writelines(pieces(response.raw))
                if is_page(unfinished):
                    raise TransientError("a web page came in the place of a file")
                if path.suffix == ".zip" and not is_zipfile(unfinished):
                    raise TransientError("no whole .zip came")

    _patiently(attempt, url)
    return path


def is_page(path: Path) -> bool:
    """Return whether a file is a web page: a proxy's login page has the status 200, too.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    bool

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder, "B04.tif")
    ...     _ = page.write_text("<!-- welcome --><HTML>")
    ...     is_page(page)
    True
    """
    with path.open("rb") as file:
        head = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return head.startswith(b"<") and (b"<html" in head or b"<!doctype html" in head)


class SignedUrl:
    """An address that its source signs for each request, anew when a token is refused.

    Parameters
    ----------
    href
        Unsigned.
    source
        Signs it.
    purpose
        What messages say was tried, such as "copy".

    Examples
    --------
    >>> from geostack.sources.archive import ArchiveSource
    >>> SignedUrl("https://example.com/a.tif?sig=1", ArchiveSource([]), "copy").failed
    "can't copy https://example.com/a.tif"
    """

    def __init__(self, href: str, source: Source, purpose: str) -> None:
        self.href, self.source = href, source
        self.failed = f"can't {purpose} {without_query(href)}"
        self._renewed = False

    def get(self, **options: Any) -> AbstractContextManager[Any]:
        """Return a block in which the signed address has answered; see `answered`.

        Parameters
        ----------
        **options
            Of `answered`.

        Returns
        -------
        context manager
            Yields a `requests.Response`.
        """
        return answered(self.source.sign(self.href), **options)

    def check(self, response: Any) -> None:
        """Let a good answer pass; a first 403 renews the token.

        Parameters
        ----------
        response
            Of `requests`.

        Raises
        ------
        TransientError
            For an answer that may pass.
        PixelReadError
            For one that will not.
        """
        if response.status_code == 403 and not self._renewed:
            self._renewed = True
            self.source.sign(self.href, renew=True)
            raise TransientError("HTTP 403")
        check_answer(response, PixelReadError(f"{self.failed}: HTTP {response.status_code}"))


def check_answer(response: Any, refusal: Exception) -> None:
    """Let a good HTTP answer pass.

    Parameters
    ----------
    response
        Of `requests`.
    refusal
        What to raise for an answer that another try will not change.

    Raises
    ------
    TransientError
        For an answer that may pass, with the seconds that the server asks to wait.

    Examples
    --------
    >>> from requests import Response
    >>> response = Response()
    >>> response.status_code = 404
    >>> check_answer(response, LookupError("there is no such file"))
    Traceback (most recent call last):
    LookupError: there is no such file
    """
    status = response.status_code
    if status in TRANSIENT_STATUS:
        raise TransientError(f"HTTP {status}", retry_after(response.headers.get("Retry-After")))
    # A redirect without an address and an empty answer are no file, nor is a part unasked for.
    asked = response.request.headers if response.request is not None else {}
    if status not in (200, 203) and not (status == 206 and "Range" in asked):
        raise refusal


def _refusal(response: Any, url: str) -> SourceUnavailableError:
    return SourceUnavailableError(f"{without_query(url)} answered HTTP {response.status_code}")


def _patiently(attempt: Any, url: str) -> Any:
    try:
        return retry(attempt)
    except GaveUpError as error:
        raise SourceUnavailableError(f"{without_query(url)} did not answer: {error}") from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        said = f"{without_query(url)} answered no JSON that can be read"
        raise SourceUnavailableError(f"{said}: {redacted(error)}") from None
