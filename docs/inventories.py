"""What other libraries' sites describe, so that code in lessons leads to their pages, too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

SITES = {
    "geopandas": "https://geopandas.org/en/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "python": "https://docs.python.org/3/",
    "rasterio": "https://rasterio.readthedocs.io/en/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "shapely": "https://shapely.readthedocs.io/en/stable/",
    "sklearn": "https://scikit-learn.org/stable/",
    "xarray": "https://docs.xarray.dev/en/stable/",
}
HEAD = b"# Sphinx inventory version 2"
MOST = 16 << 20


def readable(
    folder: Path, sites: Mapping[str, str] = SITES, seconds: float = 5.0
) -> dict[str, tuple[str, str]]:
    """Return Sphinx's `intersphinx_mapping` of the sites whose inventories came in time.

    All are asked at once, and kept in `folder`. Where there is no network the mapping is empty:
    a site without these links is as good as one with them, so none is worth a warning or a wait.
    """
    found: dict[str, bytes] = {}

    def ask(name: str, address: str) -> None:
        with suppress(OSError, HTTPException):
            with urlopen(f"{address}objects.inv", timeout=seconds) as answer:
                content = answer.read(MOST)
            if content.startswith(HEAD):  # and no page that asks who one is
                found[name] = content

    # Daemons, since looking up a name may take longer than any timeout that is asked for.
    asking = [Thread(target=ask, args=pair, daemon=True) for pair in sites.items()]
    ends = time.monotonic() + seconds
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(max(0.0, ends - time.monotonic()))
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: folder / f"{name}.inv" for name in sites if name in found}
    for name, path in kept.items():
        path.write_bytes(found[name])
    return {name: (sites[name], str(path)) for name, path in kept.items()}
