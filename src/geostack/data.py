"""Every loader, in one place: `from geostack.data import load_s2_chip`."""

from geostack import *  # noqa: F403
from geostack import __all__ as __all__  # type: ignore[attr-defined]
