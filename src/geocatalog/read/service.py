"""How a STAC service is talked to: each answer whole within a time, and asked for again."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from pipekit.retry import (
    TRANSIENT_STATUS,
    GaveUpError,
    RetryPolicy,
    TransientError,
    retry,
    retry_after,
    within,
)
from pipekit.tokens import guard_logs, redact, redacted

if TYPE_CHECKING:
    from pystac import Item
    from pystac_client.stac_api_io import StacApiIO

T = TypeVar("T")

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two bytes of an answer."""
WHOLE = 60.0
"""Seconds for one whole answer, such as a page of items or a token."""
_HERE = ("localhost", "127.0.0.1", "::1")
MOST_BYTES = 64 << 20
"""Of one such answer, unpacked: a page of a hundred items has two million."""


_READYING = threading.Lock()


@lru_cache(maxsize=1)
def _ready() -> None:
    from pystac import Item

    moment = "2000-01-01T00:00:00Z"
    properties = {"datetime": moment}
    Item.from_dict({"type": "Feature", "stac_version": "1.0.0", "id": "x", "geometry": None,
                    "properties": properties, "links": [], "assets": {}})  # fmt: skip


def ready_pystac() -> None:
    """Have pystac find its extensions before several threads read items.

    It does so with the first object, and whoever reads another meanwhile sees a dictionary change
    while he iterates.

    Examples
    --------
    >>> ready_pystac()
    """
    with _READYING:
        _ready()


def patient_io(
    policy: RetryPolicy | None = None, seconds: float | None = None, like: Any = None
) -> StacApiIO:
    """Return pystac-client's transport under our policy: tried again, each answer within a time.

    Parameters
    ----------
    policy
        How often and how long to try; by default `pipekit.retry.DEFAULT`.
    seconds
        For one whole answer; by default `WHOLE`.
    like
        A client's own transport, whose session, with its headers, and whose modifier of requests
        are used.

    Returns
    -------
    To be given to `pystac_client.Client.open`.
    """
    from pystac_client.exceptions import APIError
    from pystac_client.stac_api_io import StacApiIO
    from requests import Request, RequestException

    guard_logs()
    ready_pystac()

    class PatientIO(StacApiIO):
        def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
            # A service may name any place as its search: a path would be read from this machine.
            if isinstance(source, str) and not source.startswith(("http://", "https://")):
                raise APIError(f"{source} is no address of a service")
            return super().read_text(source, *args, **kwargs)

        def request(self, *args: Any, **kwargs: Any) -> str:
            ask = partial(self._once, *args, **kwargs)
            return retry(partial(within, WHOLE if seconds is None else seconds, ask), policy)

        def _once(
            self, href: str, method: str | None = None, headers: Any = None, parameters: Any = None
        ) -> str:
            method = (method or "GET").upper()
            given = {"params" if method == "GET" else "json": parameters}
            request = Request(method, href, headers=headers, **given)
            request = (self._req_modifier and self._req_modifier(request)) or request
            try:
                ready = self.session.prepare_request(request)
                how = self.session.merge_environment_settings(ready.url, {}, True, None, None)
                with self.session.send(ready, timeout=self.timeout, **how) as response:
                    text = body_of(response).decode()
            except RequestException as error:
                raise TransientError(type(error).__name__) from None
            status = response.status_code
            if status in TRANSIENT_STATUS:
                wait = retry_after(response.headers.get("Retry-After"))
                raise TransientError(f"HTTP {status}", wait)
            if not 200 <= status < 300:
                raise APIError(f"HTTP {status} {text[:500]}")
            return text

    timeout = getattr(like, "timeout", None) or TIMEOUT
    modifier = getattr(like, "_req_modifier", None)
    made = PatientIO(timeout=timeout, max_retries=None, request_modifier=modifier)
    session = getattr(like, "session", None)
    if session is not None:
        made.session = session
    return made


def body_of(response: Any, most: int | None = None) -> bytes:
    """Return the body of an answer of `requests`, unpacked, unless it is too long.

    Parameters
    ----------
    response
        Asked for with `stream=True`.
    most
        Bytes; None for `MOST_BYTES`.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        For a longer one, as soon as that is known.
    TransientError
        For one that takes twice `WHOLE`: who waited for it, `within` a time, is gone by then.
    """
    body, until = bytearray(), time.monotonic() + 2 * WHOLE
    most = MOST_BYTES if most is None else most
    for piece in response.iter_content(1 << 16):
        body += piece
        if len(body) > most:
            raise ValueError(f"the answer is longer than {most:,} bytes")
        if time.monotonic() > until:
            raise TransientError(f"no whole answer within {2 * WHOLE:g} s")
    return bytes(body)


def json_of(response: Any) -> Any:
    """Return what an answer of `requests` says in JSON.

    Parameters
    ----------
    response
        As for `body_of`.

    Returns
    -------
    object
        Lists, mappings and plain values.

    Raises
    ------
    ValueError
        For what is no JSON, is too long, or is nested too deeply to be read.
    """
    try:
        return json.loads(body_of(response))
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def asking(url: str, question: Callable[[], T], failure: type[Exception], way_out: str = "") -> T:
    """Return what a question to a STAC service gives; whatever else comes is one kind of error.

    Parameters
    ----------
    url
        Of the service.
    question
        Asks and reads the answer.
    failure
        What is raised.
    way_out
        The end of its message where nothing was answered.

    Returns
    -------
    object
        What `question` returns.

    Raises
    ------
    Exception
        A `failure` where the service does not answer, or with something else than STAC.

    Examples
    --------
    >>> asking("https://host/stac", lambda: {}["features"], OSError)
    Traceback (most recent call last):
    OSError: the STAC service https://host/stac answered what is no STAC (KeyError: 'features')
    """
    from pystac_client.exceptions import APIError

    service = f"the STAC service {redact(url)}"
    try:
        return question()
    except failure:
        raise
    except (GaveUpError, APIError) as error:
        raise failure(f"{service} did not answer: {redact(str(error))}{way_out}") from None
    except Exception as error:  # each malformed field fails in its own way
        said = redacted(error)[:300]
        raise failure(f"{service} answered what is no STAC ({said})") from None


def service_item(feature: dict[str, Any], url: str, *, files: bool = False) -> Item:
    """Return an item that a service gave, its assets at addresses: a path is one of the service.

    Parameters
    ----------
    feature
        The item as a dictionary, which may be changed.
    url
        Of the service, which relative addresses start from where the item says no other.
    files
        Whether a service on this machine may name files of it; no other may.

    Returns
    -------
    pystac.Item

    Raises
    ------
    TypeError, ValueError
        For an id that is no text, and an asset that is a file of this machine.

    Examples
    --------
    >>> feature = {"type": "Feature", "stac_version": "1.0.0", "id": "a", "geometry": None,
    ...            "properties": {"datetime": "2024-06-01T00:00:00Z"}, "links": [],
    ...            "assets": {"B04": {"href": "/data/b04.tif"}}}
    >>> service_item(feature, "https://host/stac/").assets["B04"].href
    'https://host/data/b04.tif'
    """
    from pystac import Item

    item = Item.from_dict(feature, preserve_dict=False)
    if not isinstance(item.id, str):
        raise TypeError(f"the id of an item is a text, got {item.id!r}")
    here = files and urlsplit(url).hostname in _HERE
    for asset in item.assets.values():
        if here and os.path.isabs(asset.href):
            continue
        asset.href = urljoin(item.get_self_href() or url, asset.href)
        if not here and asset.href.lower().startswith("file:"):
            raise ValueError(f"{asset.href} is a file of this machine, not of the service")
    return item
