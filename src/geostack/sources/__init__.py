"""Where scenes come from: the live archive, a local archive, or the embedded simulation.

A source answers `search` with STAC items and says by `covers`, cheaply, whether it would find
any. `select` picks one:

>>> from geostack.sources import SOURCE_NAMES
>>> SOURCE_NAMES
('auto', 'planetary-computer', 'archive', 'simulated')
"""

from geostack.sources.choice import open_source, select, source_name
from geostack.sources.source import SOURCE_NAMES, Source

__all__ = ["SOURCE_NAMES", "Source", "open_source", "select", "source_name"]
