"""What the catalog and its reader raise."""

from __future__ import annotations


class CatalogError(ValueError):
    """Input that cannot become, or is not, a catalog.

    Examples
    --------
    >>> issubclass(CatalogError, ValueError)
    True
    """


class PixelReadError(OSError):
    """A file could not be read; the message names the file, the tries and the last answer."""
