"""Claim: a median of many dates in flat memory, sooner than odc-stac with dask makes it.

Sixty dates of four bands over a fifth of a tile's side (in the quick run eight over a tenth),
clouds dropped by a mask of 20 m, the offset away, to a Zarr store. Each rival runs in a process of
its own, which tells its time and peak memory; what they make is compared before it counts. Cost
against dates and pixels is fitted on log axes: a whole tile takes 25 times as long, which
`composing.py` measures for those who have three quarters of an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compare import Comparison, Group, Row
from composing import make, values_of
from slopes import tell_slope

SIDE, DATES = 2196, 60
SCRIPT = Path(__file__).with_name("composing.py")


@pytest.fixture(scope="module")
def size(request) -> tuple[int, int]:
    """Return (side, dates)."""
    return (1098, 8) if request.config.getoption("--quick") else (SIDE, DATES)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory, size) -> Path:
    folder = tmp_path_factory.mktemp("composite")
    make(folder, size[1], size[0])
    return folder


def run(rival: str, folder: Path, dates: int) -> dict[str, float]:
    """Make a composite in a process of its own; return its seconds and peak memory in MB."""
    told = subprocess.run(
        [sys.executable, str(SCRIPT), rival, str(folder), str(dates)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(told.stdout.splitlines()[-1])


def test_against_odc_stac(scenes: Path, size: tuple[int, int], compare: Comparison) -> None:
    pytest.importorskip("odc.stac")
    side, dates = size
    told = {rival: run(rival, scenes, dates) for rival in ("geostack", "odc-stac")}
    peaks = {rival: one["peak_mb"] for rival, one in told.items()}
    some = slice(0, side, max(1, side // 64))
    ours, theirs = (values_of(scenes / f"{rival}.zarr", some) for rival in peaks)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, atol=0.5)
    title = f"a median of {dates} dates x 4 bands x {side} x {side} pixels"
    # A run of minutes or of seconds, its store included, tells its time itself.
    times = {rival: one["seconds"] for rival, one in told.items()}
    rows = [
        Row(
            rival,
            [took],
            [took / times["geostack"]],
            facts={"peak memory in all": f"{peaks[rival]:,.0f} MB", "the same medians": "all"},
        )
        for rival, took in times.items()
    ]
    compare.groups.append(Group(title, "geostack", rows))
    compare.values[f"{title}: peak MB"] = peaks["geostack"]
    ratio = peaks["odc-stac"] / peaks["geostack"]
    compare.values[f"{title}: memory, odc-stac against geostack"] = ratio


def test_cost_in_dates(
    scenes: Path, size: tuple[int, int], compare: Comparison, quick: bool
) -> None:
    if quick:
        pytest.skip("one composite in the quick run")
    counts = [size[1] // 12, size[1] // 6, size[1] // 3]
    group = compare(
        f"cost of a composite in dates, 4 bands x {size[0]} squared",
        {str(n): lambda n=n: run("geostack", scenes, n) for n in counts},
        baseline=str(counts[0]),
        rounds=1,
        warm=True,
    )
    tell_slope(compare, group, {str(n): float(n) for n in counts}, "date")


def test_cost_in_pixels(
    tmp_path_factory, size: tuple[int, int], compare: Comparison, quick: bool
) -> None:
    if quick:
        pytest.skip("one composite in the quick run")
    sides = [size[0] // 4, size[0] // 2, size[0]]
    folders = {}
    for side in sides:
        folders[str(side)] = tmp_path_factory.mktemp(f"side{side}")
        make(folders[str(side)], 12, side)
    group = compare(
        "cost of a composite in pixels, 12 dates x 4 bands",
        {
            side: lambda folder=folder: run("geostack", folder, 12)
            for side, folder in folders.items()
        },
        baseline=str(sides[0]),
        rounds=1,
        warm=True,
    )
    tell_slope(compare, group, {str(side): side * side / 1e6 for side in sides}, "megapixel")
