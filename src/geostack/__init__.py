"""geostack: real satellite scenes by one call, and the loaders of the notebooks.

Pixels come from a local archive, the live one or the embedded simulation, whichever has them:
`GEOSTACK_SOURCE=auto|planetary-computer|archive|simulated`, or `source=` on a loader.

>>> import geostack
>>> geostack.LAKE_TAHOE_TILE
'10SGJ'

    chip = geostack.load_s2_chip(bands=("B04", "B08"))   # a GeoTensor (2, 3935, 1599) uint16
    chip.attrs["source"]                                 # where the pixels came from
"""

from pipekit.lazy import lazily

__all__, __getattr__, __dir__ = lazily(__name__)
