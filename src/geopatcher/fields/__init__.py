"""Fields: anything that can be asked for a piece of itself.

>>> from geopatcher.fields import RasterField
"""

from geopatcher.fields.dask import DaskField
from geopatcher.fields.field import Field
from geopatcher.fields.geopandas import GeoPandasField
from geopatcher.fields.raster import RasterField, as_field
from geopatcher.fields.retry import RetryField
from geopatcher.fields.rioxarray import RioXarrayField
from geopatcher.fields.xarray import XarrayField
from geopatcher.fields.xvec import XvecField

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
