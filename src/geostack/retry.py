"""The old place of what is in `pipekit.retry` now."""

from pipekit.lazy import moved

__getattr__ = moved("pipekit.retry", "geostack.retry.{name} is in pipekit.retry")
