import numpy as np
import pytest

from geotoolz.moves import crop, flip, rotate90


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_flips_keep_every_pixel_in_its_place(tile, at_point, centres, horizontal, vertical):
    moved = flip(tile, horizontal=horizontal, vertical=vertical)
    for x, y in centres(tile):
        assert np.array_equal(at_point(moved, x, y), at_point(tile, x, y))
    assert not np.shares_memory(moved, tile)


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 4, 7])
def test_quarter_turns_keep_every_pixel_in_its_place(tile, at_point, centres, turns):
    moved = rotate90(tile, turns)
    assert moved.shape == ((3, 7, 5) if turns % 2 else (3, 5, 7))
    for x, y in centres(tile):
        assert np.array_equal(at_point(moved, x, y), at_point(tile, x, y))
    assert np.array_equal(moved.values, np.rot90(tile.values, turns, axes=(1, 2)))
    assert not np.shares_memory(moved, tile)


def test_four_quarter_turns_and_two_flips_are_nothing(tile):
    around = tile
    for _ in range(4):
        around = rotate90(around)
    assert np.array_equal(around.values, tile.values)
    assert around.transform.almost_equals(tile.transform)
    back = flip(flip(tile, horizontal=True), horizontal=True)
    assert back.transform.almost_equals(tile.transform)


def test_crops_keep_every_pixel_in_its_place(tile, at_point, centres):
    cut = crop(tile, 1, 2, 3, 4)
    assert cut.shape == (3, 3, 4)
    for x, y in centres(cut):
        assert np.array_equal(at_point(cut, x, y), at_point(tile, x, y))


@pytest.mark.parametrize("window", [(-1, 0, 2, 2), (0, 0, 6, 2), (4, 6, 1, 2), (0, 0, 0, 2)])
def test_a_window_outside_is_refused(tile, window):
    with pytest.raises(ValueError, match=r"is not inside a raster of \(5, 7\)"):
        crop(tile, *window)
