"""Fields: anything that can be asked for a piece of itself.

>>> from geopatcher.fields import RasterField
"""

from geopatcher.fields.field import Field
from geopatcher.fields.labelled import DaskField, RioXarrayField, XarrayField
from geopatcher.fields.raster import RasterField, as_field
from geopatcher.fields.retry import RetryField
from geopatcher.fields.tables import GeoPandasField, XvecField

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
