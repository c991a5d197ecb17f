"""Claim: the same pixels as odc-stac and stackstac load, as soon, with as few requests.

A chip of four bands and a stack of six dates (three in the quick run), from files on this machine
and from a server that answers after 50 ms. Peers are handed the items and the pixel grid; ours also
searches. What each loads is compared pixel by pixel before its time is taken. Remote files lie
under addresses that no run has seen, since GDAL remembers what it has read.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_read import BANDS, COPIES, Remote, remote
from compare import Comparison
from georeader.geotensor import GeoTensor
from peers import READING
from pystac import Item

from geostack import load_s2_chip, load_s2_timestack
from geostack.sources.archive import ArchiveSource

CONNECTIONS = 16
"""Reads at the same time from afar, for every rival."""
TILE = "10SGJ"
DATES = "2024-06-01/2024-06-30"

pytestmark = pytest.mark.filterwarnings("ignore")  # what peers warn of is not ours to mend


class AtAddresses(ArchiveSource):
    """An archive whose items' files are said to lie at a server, in addresses not used before."""

    def __init__(self, folder: Path, server: Remote | None) -> None:
        super().__init__([folder])
        self.home, self.server = folder, server
        self.copies = itertools.count()

    def search(self, *args: Any, **options: Any) -> list[Item]:
        items = super().search(*args, **options)
        return items if self.server is None else [self._moved(item) for item in self._copy(items)]

    def _copy(self, items: list[Item]) -> Iterator[Item]:
        self.copy = next(self.copies) % COPIES
        return (item.clone() for item in items)

    def _moved(self, item: Item) -> Item:
        for asset in item.assets.values():
            path = Path(asset.href).relative_to(self.home).as_posix()
            asset.href = f"{self.server.url}/files/{self.copy}/{path}"
        return item


@dataclass(frozen=True)
class Wanted:
    """What every rival loads: a box in degrees, and the grid of pixels that it is."""

    source: AtAddresses
    bbox: tuple[float, float, float, float]
    grid: GeoTensor
    count: int

    def items(self) -> list[Item]:
        found = self.source.search("sentinel-2-l2a", self.bbox, DATES, tile=TILE)
        return sorted(found, key=lambda item: item.datetime)[: self.count]


def with_geostack(wanted: Wanted) -> np.ndarray:
    options = {"bbox": wanted.bbox, "tile": TILE, "bands": BANDS, "date_range": DATES}
    options |= {"harmonize": False, "source": wanted.source, "max_cloud_cover": None}
    if wanted.count == 1:
        return load_s2_chip(**options).values[None]
    return load_s2_timestack(**options, max_items=wanted.count)[0].values


def with_odc_stac(wanted: Wanted) -> np.ndarray:
    import odc.stac
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(cloud_defaults=wanted.source.server is not None)
    grid = wanted.grid
    loaded = odc.stac.load(
        wanted.items(),
        bands=BANDS,
        geobox=GeoBox(grid.shape[-2:], grid.transform, grid.crs),
        dtype="uint16",
        nodata=0,
        pool=threads(wanted),
    )
    return np.stack([loaded[band].values for band in BANDS], axis=1)


def with_stackstac(wanted: Wanted) -> np.ndarray:
    import stackstac

    stack = stackstac.stack(
        wanted.items(),
        assets=list(BANDS),
        epsg=32610,
        resolution=10,
        bounds=wanted.grid.bounds,
        snap_bounds=False,
        dtype="uint16",
        fill_value=np.uint16(0),
        rescale=False,
    )
    return stack.compute(scheduler="threads", num_workers=threads(wanted)).values


def threads(wanted: Wanted) -> int:
    return (os.cpu_count() or 1) if wanted.source.server is None else CONNECTIONS


PEERS = {"odc-stac": ("odc.stac", with_odc_stac), "stackstac": ("stackstac", with_stackstac)}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, request) -> Path:
    """Return a folder of scenes of 2048 x 2048 pixels (in the quick run 1024), five days apart."""
    import tiny_scenes

    quick = request.config.getoption("--quick")
    folder = tmp_path_factory.mktemp("archive")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_scenes, "SIDE", 10_240.0 if quick else 20_480.0)
        patch.setattr(tiny_scenes, "write_cog", partial(tiny_scenes.write_cog, block=512))
        for day in range(1, 13 if quick else 28, 5):
            when = f"2024-06-{day:02d}T18:39:19.024000Z"
            name = f"S2B_MSIL2A_202406{day:02d}T183919_R070_T10SGJ_202406{day:02d}T225657"
            tiny_scenes.make_scene(folder, name, when=when, bands=BANDS)
    return folder


@pytest.mark.parametrize("afar", [False, True], ids=["here", "afar"])
@pytest.mark.parametrize("count", [1, 6], ids=["chip", "stack"])
def test_reading_against_peers(
    archive: Path, afar: bool, count: int, compare: Comparison, quick: bool
) -> None:
    count = min(count, 3) if quick else count
    what = "a chip" if count == 1 else "a stack in time"
    if not afar:
        measure(AtAddresses(archive, None), count, compare, f"{what}, on this machine")
        return
    with remote(archive) as server:
        measure(AtAddresses(archive, server), count, compare, f"{what}, 50 ms away")


@pytest.mark.parametrize("share", [1 / 8, 1 / 4, 0.9])
def test_chips_of_other_sizes(
    archive: Path, share: float, compare: Comparison, quick: bool
) -> None:
    if quick:
        pytest.skip("one size in the quick run")
    what = f"a chip {share:.2g} as wide as the scene, on this machine"
    measure(AtAddresses(archive, None), 1, compare, what, share)


def measure(
    source: AtAddresses, count: int, compare: Comparison, what: str, share: float = 0.5
) -> None:
    bbox = inner_box(source, share)
    grid = load_s2_chip(
        bbox=bbox, tile=TILE, bands=BANDS[:1], date_range=DATES, max_cloud_cover=None,
        source=source,
    )  # fmt: skip
    wanted = Wanted(source, bbox, grid, count)
    rivals: dict[str, Callable[[Wanted], np.ndarray]] = {"geostack": with_geostack}
    rivals |= {name: load for name, (module, load) in PEERS.items() if there(module)}
    expected, facts = with_geostack(wanted), {}
    for name, load in rivals.items():
        before = source.server.requests() if source.server else 0
        loaded = load(wanted)
        assert loaded.dtype == np.uint16
        assert loaded.shape == expected.shape == (count, len(BANDS), *grid.shape[-2:])
        assert np.array_equal(loaded, expected), f"{name} loads other pixels"
        facts[name] = {"the same pixels": "all"}
        if source.server:
            facts[name]["requests"] = f"{source.server.requests() - before}"
    compare(
        f"{READING} {what}",
        {name: (lambda load=load: load(wanted)) for name, load in rivals.items()},
        baseline="geostack",
        facts=facts,
        warm=True,
        rounds=5,
        curve=(READING, grid.size / 1e6) if count == 1 and not source.server else None,
    )


def inner_box(source: AtAddresses, share: float) -> tuple[float, float, float, float]:
    """Return the middle of the scenes, `share` as wide and as high as they are, in degrees."""
    west, south, east, north = source.search("sentinel-2-l2a", (-180, -90, 180, 90), DATES)[0].bbox
    width, height = (east - west) * (1 - share) / 2, (north - south) * (1 - share) / 2
    return west + width, south + height, east - width, north - height


def there(module: str) -> bool:
    return bool(find_spec(module.partition(".")[0])) and bool(find_spec(module))
