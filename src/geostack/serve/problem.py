"""What went wrong, as a body that programs and people can read (RFC 9457, problem details)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from geostack.errors import (
    AssetNotFoundError,
    NoSceneError,
    OutsideTileError,
    PixelReadError,
    SourceUnavailableError,
)
from pipekit import QCError
from pipekit.full_disk import UnwrittenError
from pipekit.tokens import redact

logger = logging.getLogger(__name__)

_RETRY = 5
"""Seconds after which a read that failed is worth another try."""


class Problem(Exception):  # noqa: N818  named as RFC 9457 names it
    """An answer that is an error: its status, what is wrong, and when to come again.

    Parameters
    ----------
    status
        The HTTP status, 400 to 599.
    detail
        What is wrong, for the client to read: no address or path of the server.
    retry_after
        Seconds after which another try may succeed; None where none will.

    Examples
    --------
    >>> body, headers = Problem(503, "the server is busy", retry_after=5).answer("0123")
    >>> headers["Content-Type"], headers["Retry-After"]
    ('application/problem+json', '5')
    >>> import json
    >>> json.loads(body)["title"]
    'Service Unavailable'
    """

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def title(self) -> str:
        """The status in words."""
        return HTTPStatus(self.status).phrase

    def answer(self, config_hash: str) -> tuple[bytes, dict[str, str]]:
        """Return the body that tells the problem, and the headers that go with it.

        Parameters
        ----------
        config_hash
            Of the server, told in both.

        Returns
        -------
        body : bytes
            JSON, as RFC 9457 has it.
        headers : dict of str to str
            With `Retry-After` where another try may succeed.
        """
        body = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "config_hash": config_hash,
        }
        headers = {"Content-Type": "application/problem+json", "X-Config-Hash": config_hash}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return json.dumps(body).encode(), headers


def problem_of(error: Exception) -> Problem:
    """Return what a client is told about an error that a job raised.

    Addresses and paths of the server stay in its log.

    Parameters
    ----------
    error
        What the job raised; a `Problem` is returned as it is.

    Returns
    -------
    Problem
        404 or 422 for what the client asked wrongly, 503 with the time of another try for what may
        be well in a moment, 507 for a full disk, 500 for the rest.

    Examples
    --------
    >>> problem_of(SourceUnavailableError("https://a.b/c?sig=1 is down")).status
    503
    >>> problem_of(UnwrittenError(28, "no space left to write /a")).status
    507
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, NoSceneError):
        return Problem(404, "the source has no such scene at that place")
    if isinstance(error, OutsideTileError | AssetNotFoundError):
        return Problem(422, str(error))
    if isinstance(error, QCError):
        return Problem(422, f"the pixels did not pass the pipeline's checks: {error}")
    if isinstance(error, SourceUnavailableError | PixelReadError):
        logger.warning("a read failed: %s", redact(str(error)))
        return Problem(503, "the scene can't be read now; try again", _RETRY)
    if isinstance(error, UnwrittenError):
        logger.error("a job had no room: %s", redact(str(error)))
        return Problem(507, "the server has no room left on its disk", _RETRY)
    logger.error("a job failed", exc_info=error)
    return Problem(500, f"the pipeline failed with {type(error).__name__}", _RETRY)
