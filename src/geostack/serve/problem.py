"""What went wrong, as a body that programs and people can read (RFC 9457, problem details)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from geocatalog.read.tokens import redact
from geostack.errors import (
    AssetNotFoundError,
    NoSceneError,
    OutsideTileError,
    PixelReadError,
    SourceUnavailableError,
)
from pipekit import QCError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_RETRY = 5
"""Seconds after which a read that failed is worth another try."""


class Problem(Exception):  # noqa: N818  named as RFC 9457 names it
    """An answer that is an error: its status, what is wrong, and when to come again.

    >>> Problem(404, "there is no pipeline 'x'").body("0123")["title"]
    'Not Found'
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

    def body(self, config_hash: str) -> dict[str, Any]:
        """Return the problem's JSON."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "config_hash": config_hash,
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def problem_of(error: Exception) -> Problem:
    """Return what a client is told about an error that a job raised.

    Addresses and paths of the server stay in its log. What may be well in a moment is a 503 that
    says when to try again.

    >>> problem_of(SourceUnavailableError("https://a.b/c?sig=1 is down")).status
    503
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
    logger.error("a job failed", exc_info=error)
    return Problem(500, f"the pipeline failed with {type(error).__name__}", _RETRY)
