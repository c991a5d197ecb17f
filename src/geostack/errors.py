"""What can go wrong between a request and its pixels."""

from __future__ import annotations

from geocatalog.errors import PixelReadError as PixelReadError


class SourceUnavailableError(ConnectionError):
    """No source can answer; the message says what was tried and the command that would fix it.

    Examples
    --------
    >>> issubclass(SourceUnavailableError, ConnectionError)
    True
    """


class NoSceneError(LookupError):
    """A source answered, but holds nothing that fits; the message says what it does hold.

    Examples
    --------
    >>> issubclass(NoSceneError, LookupError)
    True
    """


class AssetNotFoundError(LookupError):
    """A scene lacks the band that was asked for; the message lists those it has.

    Examples
    --------
    >>> issubclass(AssetNotFoundError, LookupError)
    True
    """


class OutsideTileError(ValueError):
    """The box and the scene's pixel grid don't meet.

    Examples
    --------
    >>> issubclass(OutsideTileError, ValueError)
    True
    """
