"""The former place of `geostack.query_overture` and `geostack.load_overture_buildings_url`."""

from pipekit.lazy import moved

__getattr__ = moved("geostack.loaders.overture", "take {name} from geostack, not geostack.overture")
