"""Claim: a network over tiles costs what its session costs on as many chips, and nothing more.

Beside it is the tiling of the package that the network comes with, on chips as far apart and
blended as well. Both make classes; how far they agree is told, for no two tilings give a network
the same surroundings.
"""

from __future__ import annotations

import networks
import numpy as np
import pytest
from compare import Comparison
from peers import unusable

BARE = "the session alone, chips in memory"


def test_a_network_over_tiles(compare: Comparison, quick: bool) -> None:
    missing = [text for text in map(unusable, networks.MODULES) if text]
    if missing:
        compare.left_out.extend(missing)
        pytest.skip(missing[0])
    shape = (4, 512, 512) if quick else networks.SHAPE
    scene = networks.reflectance(shape)
    batches = networks.chips_of(scene)
    count = sum(map(len, batches))
    rivals = {
        BARE: lambda: networks.bare(batches),
        "geostack": lambda: networks.ours(scene),
        "ukis-csmask, its own tiling": lambda: networks.theirs(scene),
    }
    networks.bare(batches[:1])
    made = {"geostack": networks.ours(scene), "ukis-csmask, its own tiling": networks.theirs(scene)}
    first, second = made.values()
    agree = f"{np.mean(first == second):.2%}"
    compare(
        f"clouds by a network {shape}",
        rivals,
        baseline=BARE,
        targets=None if quick else {"geostack": 1.05},
        facts={BARE: {"chips": str(count)}, **{name: {"the same class": agree} for name in made}},
        rounds=3,
        warm=True,
    )
