"""The libraries that a user could pick instead: what is compared with what, and in words.

Numbers come from the run; the words here are what no number says. Each peer is ahead somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec

from networks import PACKAGE, PATCHER
from networks import SHAPE as NETWORK_SHAPE
from networks import TITLE as NETWORK
from scenes import LARGE, SMALL

STITCH = "NDVI stitched by us and by peers"
READING = "loading"
CATALOG = "queries by us and by peers"
MEDIAN = "a median of 60 dates x 4 bands x 2196 x 2196 pixels"
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Measured:
    """One comparison of a peer: its title, the two rows, and the cases of memory."""

    title: str
    label: str
    theirs: str
    ours: str
    memory: tuple[str, str, Shape] | None = None
    """Case of theirs, case of ours, scene."""


@dataclass(frozen=True)
class Peer:
    """One library: its module, where it was measured, and what no number says."""

    name: str
    module: str
    measured: tuple[Measured, ...]
    gain: str
    lose: str


def _stitched(label: str, blended: bool = True, workers: int = 1) -> tuple[Measured, ...]:
    """Ours runs on as many threads as theirs, and blends where they do."""
    how = "blended" if blended else "not blended"
    tail = f", {workers} workers" if workers > 1 else ""
    return tuple(
        Measured(
            f"{STITCH} {shape}",
            f"NDVI {shape}, {how}",
            label,
            f"geostack{'' if blended else ', not blended'}{tail}",
            (label, f"geostack, {'blended' if blended else 'shift'}{tail}", shape),
        )
        for shape in (SMALL, LARGE)
    )


def _read(name: str) -> tuple[Measured, ...]:
    return tuple(
        Measured(f"{READING} {what}", f"{READING} {what}", name, "geostack")
        for what in (
            "a chip, on this machine",
            "a chip, 50 ms away",
            "a stack in time, on this machine",
            "a stack in time, 50 ms away",
        )
    )


def _fields(title: str, theirs: str) -> Measured:
    return Measured(title, title, theirs, "geostack")


def _found(label: str, theirs: str, ours: str) -> tuple[Measured, ...]:
    return tuple(
        Measured(f"{CATALOG} of {count} items", f"{label}, {count} rows", theirs, ours)
        for count in ("100,000", "1,000,000")
    )


PEERS = (
    Peer(
        "MONAI",
        "monai",
        _stitched("MONAI, SlidingWindowInferer, gaussian"),
        "flat memory, georeference, output streamed to a file, no torch needed",
        "GPU tensors from end to end, 3-D windows, a training framework around it",
    ),
    Peer(
        "xbatcher",
        "xbatcher",
        _stitched("xbatcher, own overlap-add"),
        "the merge is there, not left to you, and reaches the scene's edge",
        "batches along any named dimension, loaders for torch and TensorFlow",
    ),
    Peer(
        "tiler",
        "tiler",
        _stitched("tiler, Merger, hann"),
        "exact in the first row and column too, no weight image, georeference",
        "any number of dimensions, numpy as its one dependency",
    ),
    Peer(
        "patchify",
        "patchify",
        _stitched("patchify, unpatchify", blended=False),
        "the whole scene, not what full chips cover; blending for work that is not local",
        "two functions, nothing to learn",
    ),
    Peer(
        "dask",
        "dask",
        _stitched("dask, map_overlap, chunks of 1024", blended=False, workers=2),
        "blending (map_overlap trims its halo, so other work leaves seams); flat memory",
        "any array program, not just chips; a cluster, which we use it for ourselves",
    ),
    Peer(
        "odc-stac",
        "odc.stac",
        (
            *_read("odc-stac"),
            Measured(MEDIAN, "a median of 60 dates", "odc-stac", "geostack"),
        ),
        "search, harmonised radiometry, errors that name the file, retries and renewed tokens",
        "any collection and sensor, any grid, lazy chunks in dask, band aliases",
    ),
    Peer(
        "stackstac",
        "stackstac",
        _read("stackstac"),
        "the same, and no graph to build for what fits in memory",
        "one lazy array of everything, every property of the items as a coordinate",
    ),
    Peer(
        "GeoPandas",
        "geopandas",
        (
            *_found("a box and 30 days, in memory", "GeoPandas, sindex", "geocatalog, in memory"),
            *(
                Measured(
                    f"1,000 queries of {count} footprints in memory",
                    f"the same, counted, {count} rows",
                    "geopandas",
                    "geocatalog",
                )
                for count in ("100,000", "1,000,000")
            ),
        ),
        "time is indexed too; rows stay numbers until asked for; files, not just tables",
        "every other operation on tables and geometries; a catalog gives its `.gdf` for them",
    ),
    Peer(
        "rustac",
        "rustac",
        _found("a box and 30 days, from a file", "rustac, search", "geocatalog, from a file"),
        "a file sorted in space and time, of which a query reads few row groups; set algebra",
        "STAC items as such: CQL2 filters, STAC APIs, object stores, writing and validating",
    ),
    Peer(
        "ukis-csmask",
        "ukis_csmask",
        (
            Measured(
                NETWORK,
                f"its own network on {NETWORK_SHAPE}",
                "ukis-csmask, its own tiling",
                "geostack",
                (PACKAGE, PATCHER, NETWORK_SHAPE),
            ),
        ),
        "any network, chips streamed from a file, a run that resumes, georeference",
        "one call from bands to a mask, with its networks for many products",
    ),
    Peer(
        "exactextract",
        "exactextract",
        (
            _fields("10,000 fields on 20 dates", "exactextract, date by date"),
            _fields("500 fields on one date", "exactextract, a file opened for each field"),
        ),
        "shares of pixels found once for all dates, a journal, dates and clear shares",
        "many more statistics, weights, and the command line",
    ),
    Peer(
        "rasterstats",
        "rasterstats",
        (_fields("500 fields on one date", "rasterstats, a file opened for each field"),),
        "exact shares, not pixels whose centre is inside; each file opened once",
        "one function without a compiler, points as well as polygons",
    ),
    Peer(
        "rasterio",
        "rasterio",
        (
            Measured(
                "a mosaic of 64 overlapping files",
                "rasterio.merge, 64 overlapping files",
                "rasterio.merge",
                "geostack",
            ),
        ),
        "the latest on top, medians, files in other CRS, windows from a catalog",
        "any function of two arrays as the rule, a target written block by block",
    ),
)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def installed(module: str) -> str | None:
    """Return the version of the distribution that holds a module, or None."""
    if find_spec(module) is None:
        return None
    names = _distributions().get(module.partition(".")[0], [])
    own = [name for name in names if name.replace("-", "_") == module.replace(".", "_")]
    return version((own or names)[0]) if names else "of unknown version"


def unusable(module: str) -> str:
    """Return why a peer was left out, or nothing when it is there."""
    return "" if find_spec(module) else f"{module} is not installed; `make bench` installs it"
