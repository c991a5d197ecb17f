"""The libraries that a user could pick instead: what is compared with what, and in words.

Numbers come from the run; the words here are what no number says. Each peer is ahead somewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec

from scenes import LARGE, SMALL

STITCH = "NDVI stitched by us and by peers"
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


def _stitched(label: str, workers: int = 1) -> tuple[Measured, ...]:
    """Ours runs on as many threads as theirs."""
    tail = f", {workers} workers" if workers > 1 else ""
    return tuple(
        Measured(
            f"{STITCH} {shape}",
            f"NDVI {shape}",
            label,
            f"geostack{tail}",
            (label, f"geostack, shift{tail}", shape),
        )
        for shape in (SMALL, LARGE)
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
        _stitched("patchify, unpatchify"),
        "blending; the whole scene, not what full chips cover; flat memory",
        "two functions, nothing to learn",
    ),
    Peer(
        "dask",
        "dask",
        _stitched("dask, map_overlap, chunks of 1024", workers=2),
        "blending: map_overlap trims its halo, so work that sees chunks leaves seams",
        "any array program, not just chips; a cluster, which we use it for ourselves",
    ),
)


def installed(module: str) -> str | None:
    """Return the version of the distribution that holds a module, or None."""
    if find_spec(module) is None:
        return None
    names = packages_distributions().get(module.partition(".")[0], [])
    own = [name for name in names if name.replace("-", "_") == module.replace(".", "_")]
    return version((own or names)[0]) if names else "of unknown version"


def unusable(module: str) -> str:
    """Return why a peer was left out, or nothing when it is there."""
    return "" if find_spec(module) else f"{module} is not installed; `make bench` installs it"
