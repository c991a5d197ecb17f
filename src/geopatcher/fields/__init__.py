"""Fields: anything that can be asked for a piece of itself.

>>> from geopatcher.fields import RasterField
"""

from geopatcher.fields.raster import RasterField, as_field

__all__ = ["RasterField", "as_field"]
