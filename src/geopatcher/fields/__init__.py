"""Fields: anything that can be asked for a piece of itself.

>>> from geopatcher.fields import RasterField
"""

from geopatcher.fields.labelled import (
    DaskField,
    GeoPandasField,
    RioXarrayField,
    XarrayField,
    XvecField,
)
from geopatcher.fields.raster import Field, RasterField, RetryField, as_field

__all__ = [
    "DaskField",
    "Field",
    "GeoPandasField",
    "RasterField",
    "RetryField",
    "RioXarrayField",
    "XarrayField",
    "XvecField",
    "as_field",
]
