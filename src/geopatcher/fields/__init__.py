"""Fields: anything that can be asked for a piece of itself.

>>> from geopatcher.fields import RasterField
"""

from geopatcher.fields.labelled import DaskField as DaskField
from geopatcher.fields.labelled import GeoPandasField as GeoPandasField
from geopatcher.fields.labelled import RioXarrayField as RioXarrayField
from geopatcher.fields.labelled import XarrayField as XarrayField
from geopatcher.fields.labelled import XvecField as XvecField
from geopatcher.fields.raster import Field as Field
from geopatcher.fields.raster import RasterField as RasterField
from geopatcher.fields.raster import RetryField as RetryField
from geopatcher.fields.raster import as_field as as_field
