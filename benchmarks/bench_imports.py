"""Claim: importing the operators costs hardly more than importing the array they work on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from compare import Comparison


def fresh_import(module: str) -> Callable[[], object]:
    """Return what starts a fresh interpreter that imports a module."""
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def test_import_of_geotoolz(compare: Comparison) -> None:
    modules = ("georeader.geotensor", "geotoolz", "geopatcher", "geocatalog", "geostack")
    compare(
        "a fresh interpreter that imports the array, or one of the packages on it",
        {module: fresh_import(module) for module in modules},
        baseline="georeader.geotensor",
        targets={"geotoolz": 1.3},
        rounds=9,
    )
