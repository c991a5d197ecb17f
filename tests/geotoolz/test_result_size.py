"""What a few words ask for too much of is refused before it is made, whoever runs it."""

import json
import tracemalloc

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geostack.artifact import freeze, load, rerun
from geostack.artifact_tar import MANIFEST, read_members, write_members
from geotoolz import (
    DilateMask,
    FindBreaks,
    FocalMean,
    FocalMedian,
    HarmonicFit,
    Mosaic,
    PadTo,
    Reproject,
    ReprojectLike,
    Resample,
    Resize,
)
from pipekit import Identity, Operator, from_config, to_config
from pipekit.result_size import ResultSizeError, at_most, check_size, run_bounded

MOST = 2**20
PLACE = Affine(10, 0, 600_000, 0, -10, 5_000_000)
FAR = {"crs": "EPSG:32632", "transform": [1.0, 0.0, 0.0, 0.0, -1.0, 0.0], "shape": [10**6, 10**6]}
DATES = [f"2020-{month:02}-01" for month in range(1, 9)]

HUGE = [
    PadTo(400_000),
    PadTo((1, 10**9), mode="reflect"),
    Resize(10**6),
    Resample(0.001),
    Reproject("EPSG:3857", 0.001),
    ReprojectLike(FAR),
    FocalMean(10**6 + 1),
    FocalMedian((1, 10**7 + 1)),
    FindBreaks(DATES, max_breaks=10**8),
    HarmonicFit(DATES, harmonics=10**5),
]


def scene(shape=(8, 20, 30), dtype="float32"):
    values = np.random.default_rng(0).random(shape).astype(dtype)
    return GeoTensor(values, PLACE, "EPSG:32632", None)


def name_of(operator: Operator) -> str:
    return type(operator).__name__


@pytest.mark.parametrize("operator", HUGE, ids=name_of)
@pytest.mark.parametrize("within", [False, True])
def test_a_huge_result_is_refused_before_it_is_made(operator, within):
    run = Identity() | operator if within else operator
    raster = scene()
    tracemalloc.start()
    try:
        with pytest.raises(ResultSizeError, match=f"at most {MOST}; ask for fewer pixels"):
            run_bounded(run, MOST, raster)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()


def test_a_mask_that_grows_beyond_everything_is_refused():
    with pytest.raises(ResultSizeError, match="looks 1000000 pixels around"):
        run_bounded(DilateMask(1e6), MOST, scene(dtype=bool))


def test_a_mosaic_of_far_places_is_refused():
    there = scene()
    far = GeoTensor(there.values, Affine.translation(10**6, 0) * PLACE, "EPSG:32632", None)
    with pytest.raises(ResultSizeError, match="mosaic would make"):
        run_bounded(Mosaic(), MOST, there, far)


@pytest.mark.parametrize(
    "operator",
    [PadTo(64), Resize(40), Resample(5.0), FocalMean(31), HarmonicFit(DATES)],
    ids=name_of,
)
def test_what_is_not_too_large_is_what_it_is_without_a_limit(operator):
    raster = scene()
    made = run_bounded(operator, MOST, raster)
    np.testing.assert_array_equal(made.values, operator(raster).values)


def test_the_limit_holds_within_its_block_only():
    with at_most(10), pytest.raises(ResultSizeError):
        check_size((11,), "uint8", "it")
    check_size((10**9, 10**9), "uint8", "it")
    with at_most(10):
        with at_most(20):
            check_size((11,), "uint8", "it")
        with pytest.raises(ResultSizeError):
            check_size((11,), "uint8", "it")


def test_an_artifact_of_a_strangers_makes_nothing_huge(tmp_path):
    """Its parts fit each other, so it loads; it is refused when it runs, before it has begun."""
    raster = scene((1, 8, 8))
    freeze(PadTo(9), raster, tmp_path / "a.tar")
    members = dict(read_members(tmp_path / "a.tar"))
    manifest = json.loads(members[MANIFEST])
    huge = PadTo(400_000)
    manifest["pipeline"], manifest["pipeline_hash"] = to_config(huge), huge.config_hash
    from geostack.artifact import _seal

    manifest["sha256"] = {part: _seal(manifest[part]) for part in manifest["sha256"]}
    write_members(tmp_path / "b.tar", {**members, MANIFEST: json.dumps(manifest).encode()})
    artifact = load(tmp_path / "b.tar")
    assert artifact.operator == from_config(to_config(huge))
    with pytest.raises(ResultSizeError, match="400000 x 400000 of float32"):
        rerun(artifact)
