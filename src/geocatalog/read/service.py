"""How a STAC service is talked to: each answer whole within a time, and asked for again."""

from __future__ import annotations

import threading
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from pipekit.retry import (
    TRANSIENT_STATUS,
    RetryPolicy,
    TransientError,
    retry,
    retry_after,
    within,
)
from pipekit.tokens import guard_logs

if TYPE_CHECKING:
    from pystac_client.stac_api_io import StacApiIO

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two bytes of an answer."""
WHOLE = 60.0
"""Seconds for one whole answer, such as a page of items or a token."""


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

    guard_logs()
    ready_pystac()
    own = getattr(like, "_req_modifier", None)
    said = threading.local()

    def marked(modify: Any, request: Any) -> Any:
        request = (modify(request) if modify else None) or request
        request.register_hook("response", remember)
        return request

    def remember(response: Any, *_: Any, **__: Any) -> None:
        said.retry_after = response.headers.get("Retry-After")

    class PatientIO(StacApiIO):
        # A client that is opened with a transport sets its modifier anew, to None by default.
        @property
        def _req_modifier(self) -> Any:
            return partial(marked, self._given)

        @_req_modifier.setter
        def _req_modifier(self, given: Any) -> None:
            self._given = given

        def request(self, *args: Any, **kwargs: Any) -> str:
            ask = partial(self._once, *args, **kwargs)
            return retry(partial(within, WHOLE if seconds is None else seconds, ask), policy)

        def _once(self, *args: Any, **kwargs: Any) -> str:
            said.retry_after = None
            try:
                return super().request(*args, **kwargs)
            except APIError as error:
                status = getattr(error, "status_code", None)
                if status is None:
                    raise TransientError(type(error.__context__ or error).__name__) from None
                if status in TRANSIENT_STATUS:
                    raise TransientError(f"HTTP {status}", retry_after(said.retry_after)) from None
                raise

    timeout = getattr(like, "timeout", None) or TIMEOUT
    made = PatientIO(timeout=timeout, max_retries=None, request_modifier=own)
    session = getattr(like, "session", None)
    if session is not None:
        made.session = session
    return made
