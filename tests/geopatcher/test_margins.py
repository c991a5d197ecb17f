"""The error of tiles against the margin that is dropped: measured, printed, drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import ndimage

from geopatcher import PatchError, SpatialTrim, margin_errors
from geopatcher.margins import MarginErrors
from pipekit import ModelOp

plt.switch_backend("agg")


def fading(chip):
    """A blur whose influence fades and never ends within a chip."""
    return ndimage.gaussian_filter(np.asarray(chip, "float64"), 3, truncate=20, axes=(-2, -1))


@pytest.mark.parametrize("radius", [1, 3, 6])
def test_a_window_needs_a_margin_of_its_radius(scene_of, radius):
    def widest(chip):
        return ndimage.maximum_filter(np.asarray(chip), (1, 2 * radius + 1, 2 * radius + 1))

    errors = margin_errors(widest, scene_of((2, 130, 90)), 24, range(9))
    assert errors.smallest(0) == radius
    assert errors.largest[0] > 0
    assert errors.differing[radius:] == (0,) * (9 - radius)
    widest.radius = 0  # what it says of itself is not asked
    assert margin_errors(widest, scene_of((2, 130, 90)), 24, range(9)) == errors


def test_an_influence_that_fades_is_measured(scene_of, patcher_of):
    scene = scene_of((130, 110))
    errors = margin_errors(fading, scene, 48, (0, 2, 4, 8, 16, 20))
    assert list(errors.mean) == sorted(errors.mean, reverse=True)
    margin = errors.smallest(0.01)
    assert margin in (8, 16)
    patcher = patcher_of(48, 48 - 2 * margin, window=SpatialTrim(margin))
    made = patcher.merge(patcher.stream(scene).map(fading), scene)
    assert np.abs(made.values - fading(scene)).max() <= 0.01
    assert errors.smallest(1e-30) is None
    assert errors.computed[0] < errors.computed[-1]


def test_batches_and_models_of_one_size(scene_of):
    scene = scene_of((1, 96, 96))
    blur = margin_errors(fading, scene, 32, (0, 4, 8))
    batched = margin_errors(
        lambda batch: np.stack([fading(c) for c in batch]), scene, 32, (0, 4, 8), batch_size=4
    )
    assert batched == blur
    model = ModelOp(fading)
    by_tiles = margin_errors(model, scene, 32, (0, 4, 8))
    assert by_tiles.margins == (0, 4)  # the largest is what the others are held against
    assert margin_errors(model, scene, 32, (0, 4, 8), reference=fading(scene)) == blur


def test_classes_are_told_by_the_share_that_differs(scene_of):
    def classes(chip):
        return (fading(chip) > 100).astype("uint8")

    errors = margin_errors(classes, scene_of((96, 96)), 32, (0, 4, 12))
    assert errors.largest[0] == 1
    assert errors.differing[0] > errors.differing[2]
    assert errors.smallest(0.01, "differing") in (4, 12)


def test_it_is_drawn():
    errors = MarginErrors(
        (0, 4, 8), (0.3, 0.001, 0.0), (0.1, 1e-4, 0.0), (0.5, 0.1, 0), (1, 1.1, 1.3)
    )
    ax = errors.plot(plt.subplots()[1], tolerance=0.01, unit="(NDVI)")
    assert ax.get_ylabel() == "error of tiles (NDVI)"
    assert [line.get_label() for line in ax.lines] == ["largest", "mean", "tolerance 0.01"]
    assert ax.get_xlabel() == "margin dropped (pixels)"
    plt.close("all")


def test_bad_arguments_say_what_is_accepted(scene_of):
    scene = scene_of((60, 60))
    with pytest.raises(
        PatchError, match=r"margins must leave something .* the largest is at most 9"
    ):
        margin_errors(fading, scene, 20, (0, 10))
    with pytest.raises(PatchError, match="margins must be a whole number of at least 0, got -1"):
        margin_errors(fading, scene, 20, (-1,))
    with pytest.raises(PatchError, match="larger than the scene"):
        margin_errors(fading, scene, 80, (0,))
    with pytest.raises(PatchError, match="the reference has the shape"):
        margin_errors(fading, scene, 20, (0,), reference=np.zeros((3, 3)))
    with pytest.raises(PatchError, match="statistic must be 'largest', 'mean' or 'differing'"):
        MarginErrors((0,), (0.0,), (0.0,), (0.0,), (1.0,)).smallest(0, "median")


def test_one_margin_is_no_list_of_them():
    with pytest.raises(PatchError, match=r"margins are a sequence of pixels, got 2; write \[2\]"):
        margin_errors(np.negative, np.zeros((1, 40, 40)), 16, 2)
