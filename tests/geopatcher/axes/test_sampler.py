"""Samplers: the anchors of a seed are these for ever, lie where patches fit, and keep their rules."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geopatcher import (
    GridDomain,
    PatchError,
    PointDomain,
    RasterDomain,
    SpatialExplicit,
    SpatialJitteredStride,
    SpatialKNNGraph,
    SpatialPoissonDisk,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialSphericalCap,
)

SCENE = RasterDomain((3935, 1599))
CHIP = SpatialRectangular(256)
GLOBE = GridDomain({"lat": np.arange(-90, 91, 10.0), "lon": np.arange(-180, 180, 10.0)})
POINTS = PointDomain(np.stack([np.arange(50) % 7, np.arange(50) // 7], axis=1))

# Golden values: committed once and never changed. A change here breaks every result that someone
# has published with a seed.
GOLDEN = [
    (
        SpatialJitteredStride(700, 0.5, seed=42),
        SCENE,
        CHIP,
        [
            *[(192, 0), (251, 838), (416, 333), (883, 900), (1140, 0), (1310, 999)],
            *[(2201, 226), (2060, 509), (2838, 0), (3029, 792), (3679, 0), (3679, 975)],
        ],
    ),
    (
        SpatialRandom(8, seed=42),
        SCENE,
        CHIP,
        [
            *[(2848, 589), (3159, 937), (346, 1311), (2800, 1056)],
            *[(471, 605), (1364, 1245), (2369, 1105), (1631, 305)],
        ],
    ),
    (
        SpatialPoissonDisk(700, seed=42),
        SCENE,
        CHIP,
        [
            *[(2848, 589), (2084, 742), (1077, 893), (3368, 20), (3665, 864)],
            *[(2100, 7), (1184, 27), (39, 263), (3004, 1331), (289, 937)],
        ],
    ),
    (
        SpatialRandom(4, seed=7),
        GLOBE,
        SpatialSphericalCap(1000),
        [
            *[(40.034367978, 52.601224596), (94.246848488, -33.338589416)],
            *[(-76.940137432, 48.340385482), (-183.104490356, 39.975264541)],
        ],
    ),
    (SpatialRandom(6, seed=7), POINTS, SpatialKNNGraph(3), [37, 6, 32, 24, 23, 46]),
    (SpatialPoissonDisk(3, seed=7), POINTS, SpatialKNNGraph(3), [37, 6, 33, 3, 14]),
]


@pytest.mark.parametrize(("sampler", "domain", "geometry", "expected"), GOLDEN)
def test_a_seed_gives_the_same_anchors_for_ever(sampler, domain, geometry, expected):
    assert sampler.anchors(domain, geometry) == expected
    assert pickle.loads(pickle.dumps(sampler)).anchors(domain, geometry) == expected


def test_another_process_finds_the_same_anchors():
    code = (
        "from geopatcher import *; print(SpatialRandom(8, seed=42).anchors("
        "RasterDomain((3935, 1599)), SpatialRectangular(256)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(GOLDEN[1][3])


@st.composite
def places(draw):
    boundary = draw(st.sampled_from(["drop", "shift", "pad", "shrink"]))
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    room = shape if boundary in ("drop", "shift") else (70, 70)
    size = tuple(draw(st.integers(1, n)) for n in room)
    return RasterDomain(shape), SpatialRectangular(size, boundary=boundary)


SEEDED = st.one_of(
    st.builds(
        SpatialJitteredStride,
        step=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        jitter=st.floats(0, 1),
        seed=st.integers(0, 2**63),
    ),
    st.builds(SpatialRandom, n_samples=st.integers(1, 30), seed=st.integers(0, 2**63)),
    st.builds(SpatialPoissonDisk, min_dist=st.floats(2, 50), seed=st.integers(0, 2**63)),
)


@given(place=places(), sampler=SEEDED)
def test_every_anchor_holds_a_patch(place, sampler):
    domain, geometry = place
    anchors = sampler.anchors(domain, geometry)
    assert anchors
    assert all(type(value) is int for anchor in anchors for value in anchor)
    for anchor in anchors:
        geometry.neighborhood(domain, anchor)


@given(place=places(), min_dist=st.floats(1, 40), seed=st.integers(0, 99))
def test_poisson_anchors_keep_their_distance(place, min_dist, seed):
    anchors = np.array(SpatialPoissonDisk(min_dist, seed).anchors(*place))
    gaps = anchors[:, None] - anchors[None]
    squared = (gaps**2).sum(axis=2)
    assert (squared[~np.eye(len(anchors), dtype=bool)] >= min_dist**2).all()


def test_poisson_anchors_fill_the_scene():
    # Bridson's samples leave no room for a disk: no pixel is 2 distances away from all of them.
    domain, geometry = RasterDomain((300, 200)), SpatialRectangular(1)
    anchors = np.array(SpatialPoissonDisk(20, seed=3).anchors(domain, geometry))
    pixels = np.indices((300, 200)).reshape(2, -1).T
    nearest = np.sqrt(((pixels[:, None] - anchors[None]) ** 2).sum(2)).min(1)
    assert nearest.max() < 2 * 20
    # Close packing holds 1.15 area / d^2, Poisson disks about 0.7 of that.
    assert 0.6 < len(anchors) / (300 * 200 / 20**2) < 1.0


def test_jitter_moves_at_most_its_share_of_the_step_and_none_is_the_regular_grid():
    regular = np.array(SpatialRegularStride(200).anchors(SCENE, CHIP))
    still = SpatialJitteredStride(200, jitter=0, seed=1).anchors(SCENE, CHIP)
    np.testing.assert_array_equal(still, regular)
    moved = np.array(SpatialJitteredStride(200, jitter=0.25, seed=1).anchors(SCENE, CHIP))
    assert np.abs(moved - regular).max() == 50
    assert len(np.unique(moved - regular, axis=0)) > 50


def test_the_first_random_anchors_do_not_depend_on_how_many_follow():
    ten = SpatialRandom(10, seed=5).anchors(SCENE, CHIP)
    assert SpatialRandom(100, seed=5).anchors(SCENE, CHIP)[:10] == ten


def test_random_anchors_are_even_over_the_scene():
    anchors = np.array(
        SpatialRandom(20_000, seed=5).anchors(RasterDomain((8, 8)), SpatialRectangular(1))
    )
    counts = np.bincount(anchors[:, 0] * 8 + anchors[:, 1], minlength=64)
    # Chi-squared with 63 degrees of freedom: mean 63, standard deviation 11.
    assert ((counts - 312.5) ** 2 / 312.5).sum() < 63 + 5 * 11


def test_random_anchors_on_the_sphere_are_even_by_area():
    anchors = np.array(SpatialRandom(20_000, seed=5).anchors(GLOBE, SpatialSphericalCap(100)))
    # Half of the sphere lies between 30 S and 30 N.
    assert abs((np.abs(anchors[:, 1]) < 30).mean() - 0.5) < 0.02


def test_random_members_are_distinct():
    assert sorted(SpatialRandom(50, seed=1).anchors(POINTS, SpatialKNNGraph(1))) == list(range(50))
    with pytest.raises(PatchError, match="51 distinct of 50"):
        SpatialRandom(51, seed=1).anchors(POINTS, SpatialKNNGraph(1))


def test_poisson_members_keep_their_distance_and_leave_none_out():
    chosen = SpatialPoissonDisk(2.5, seed=1).anchors(POINTS, SpatialKNNGraph(1))
    gaps = np.linalg.norm(POINTS.coords[:, None] - POINTS.coords[chosen][None], axis=2)
    assert (gaps.min(axis=1) < 2.5).all()
    among = gaps[chosen]
    assert among[~np.eye(len(chosen), dtype=bool)].min() >= 2.5


def test_without_a_seed_anchors_are_new_every_time():
    sampler = SpatialRandom(20)
    assert sampler.anchors(SCENE, CHIP) != sampler.anchors(SCENE, CHIP)


def test_explicit_anchors_are_kept_in_their_order_as_plain_numbers():
    sampler = SpatialExplicit(np.array([[5, 7], [0, 0]]))
    assert sampler == SpatialExplicit([(5, 7), (0, 0)])
    assert sampler.anchors(SCENE, CHIP) == [(5, 7), (0, 0)]
    with pytest.raises(PatchError, match=r"\(3900, 0\) reaches over the edge"):
        SpatialExplicit([(3900, 0)]).anchors(SCENE, CHIP)
    with pytest.raises(PatchError, match=r"anchor among 50 points is 0 to 49, got 50"):
        SpatialExplicit([0, 50]).anchors(POINTS, SpatialKNNGraph(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpatialRegularStride((0, 192)), r"step must be positive.*\(0, 192\)"),
        (
            lambda: SpatialJitteredStride(8, jitter=1.5),
            "jitter must be 0 to 1, a share of the step",
        ),
        (lambda: SpatialRandom(0), "n_samples"),
        (lambda: SpatialRandom(3, seed=-1), "seed must be a whole number"),
        (lambda: SpatialRandom(3, seed=1.5), "seed must be a whole number"),
        (lambda: SpatialPoissonDisk(0), "min_dist must be a finite number above 0"),
        (lambda: SpatialExplicit([]), "at least one anchor"),
        (
            lambda: SpatialJitteredStride(8).anchors(POINTS, SpatialKNNGraph(1)),
            "cannot be jittered; use SpatialRandom",
        ),
        (
            lambda: SpatialPoissonDisk(8).anchors(GLOBE, SpatialSphericalCap(9)),
            "SpatialRandom, which is even by area",
        ),
        (
            lambda: SpatialRegularStride((2, 3)).anchors(POINTS, SpatialKNNGraph(1)),
            "a step over points is one number",
        ),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_a_way_out(make, message):
    with pytest.raises(PatchError, match=message):
        make()


def test_a_step_over_points_takes_every_so_manieth():
    assert SpatialRegularStride(20).anchors(POINTS, SpatialKNNGraph(1)) == [0, 20, 40]
    every = SpatialRegularStride((9, 18)).anchors(GLOBE, SpatialSphericalCap(100))
    assert every == [(lon, lat) for lat in (-90, 0, 90) for lon in (-180, 0)]


@pytest.mark.parametrize("min_dist", [0.01, 0.5, 1.0])
def test_disks_smaller_than_a_pixel_leave_room_for_every_pixel(min_dist):
    domain = RasterDomain((30, 20))
    anchors = SpatialPoissonDisk(min_dist, seed=0).anchors(domain, SpatialRectangular(1))
    assert len(set(anchors)) == len(anchors) > 550


@pytest.mark.parametrize("anchors", [None, 5, shapely.Point(1, 2), shapely.MultiPoint([(1, 2)])])
def test_anchors_that_are_no_sequence_are_named(anchors):
    with pytest.raises(PatchError, match=r"anchors are a sequence, got .*write \[anchor\] for one"):
        SpatialExplicit(anchors)
