"""The one exception root of the catalog."""

from __future__ import annotations


class CatalogError(ValueError):
    """Input that cannot become, or is not, a catalog.

    >>> issubclass(CatalogError, ValueError)
    True
    """
