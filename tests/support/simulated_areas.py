"""Simulated areas with every file drawn."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from geostack.sources.simulation import AREAS, simulated_scenes
from geostack.sources.simulation.files import ensure


def ensure_area(area: str, cache: Path) -> Path:
    """Return the folder of an area's STAC items and COGs, every file of it drawn."""
    paths = [
        cache / scene.folder / asset["href"]
        for scene in simulated_scenes().values()
        if scene.area == area
        for asset in scene.item["assets"].values()
    ]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda path: ensure(path, cache), paths))
    return cache / AREAS[area].folder
