"""What the catalog and its reader raise."""

from __future__ import annotations

from pipekit.operator import checked_count, checked_option


class CatalogError(ValueError):
    """Input that cannot become, or is not, a catalog.

    Examples
    --------
    >>> issubclass(CatalogError, ValueError)
    True
    """


class PixelReadError(OSError):
    """A file could not be read; the message names the file, the tries and the last answer."""


class SearchError(ConnectionError):
    """A STAC service did not answer, or not to the end; the message names it and the last answer.

    Examples
    --------
    >>> issubclass(SearchError, ConnectionError)
    True
    """


def check_reading(workers: int, on_error: str) -> None:
    """Refuse a number of workers below 1, and an `on_error` other than "raise" or "skip".

    Parameters
    ----------
    workers
        Files read at once.
    on_error
        What is done about a file that cannot be read.

    Raises
    ------
    CatalogError
        Names the argument and its value.

    Examples
    --------
    >>> check_reading(8, "skip")
    """
    checked_option(on_error, "on_error", ("raise", "skip"), CatalogError)
    checked_count(workers, "workers", refusal=CatalogError)
