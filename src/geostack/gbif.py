"""The former place of `geostack.load_gbif_points` and `geostack.read_gbif_download`."""

from pipekit.lazy import moved

__getattr__ = moved("geostack.loaders.gbif", "take {name} from geostack, not geostack.gbif")
