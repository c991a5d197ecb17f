"""Claim: a network over tiles costs what its session costs on as many chips, and nothing more.

From a file 50 ms away it costs what reading or the network alone costs, whichever is more.

Beside it is the tiling of the package that the network comes with, on chips as far apart and
blended as well. Both make classes; how far they agree is told, for no two tilings give a network
the same surroundings.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import networks
import numpy as np
import pytest
from bench_read import remote
from compare import Comparison
from georeader.rasterio_reader import RasterioReader
from peers import unusable

from geotoolz import write_cog

BARE = "the session alone, chips in memory"
READING = "reading alone"


def test_a_network_over_tiles(compare: Comparison, quick: bool) -> None:
    missing = [text for text in map(unusable, networks.MODULES) if text]
    if missing:
        compare.left_out.extend(missing)
        pytest.skip(missing[0])
    shape = (4, 461, 461) if quick else networks.SHAPE
    scene = networks.numbers(shape)
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
        rounds=5,
        warm=True,
    )


def test_a_network_on_a_file_50_ms_away(
    compare: Comparison, quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = [text for text in map(unusable, networks.MODULES) if text]
    if missing or quick:
        pytest.skip("".join(missing[:1]) or "a network is run in memory in the quick run")
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")  # no request for side files
    scene = networks.numbers(networks.AFAR_SHAPE)
    write_cog(scene, tmp_path / "scene.tif")
    batches = networks.chips_of(scene)
    expected = networks.ours(scene)
    with remote(tmp_path) as server:
        numbers = itertools.count()

        def afar() -> RasterioReader:
            return RasterioReader(f"{server.url}/files/{next(numbers)}/scene.tif")

        assert np.array_equal(networks.ours(afar()), expected)
        rivals = {
            READING: lambda: networks.read(afar()),
            BARE: lambda: networks.bare(batches),
            "geostack": lambda: networks.ours(afar()),
        }
        group = compare(networks.AFAR, rivals, baseline=BARE, rounds=3, warm=True)
    reading, model, ours = (np.array(row.times) for row in group.rows)
    compare.values[networks.AFAR] = float(np.median(ours / np.maximum(reading, model)))
