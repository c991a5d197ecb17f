"""Requests are checked where they are made."""

import pytest

from geostack.request import Request, as_tile

BOX = (11.3, 46.4, 11.4, 46.5)


@pytest.mark.parametrize("tile", ["10SGI", "99", "10sgj!", "", "61ABC1"])
def test_bad_tiles(tile):
    with pytest.raises(ValueError, match="10SGJ"):
        as_tile(tile)


def test_tiles_of_one_digit_zones():
    assert as_tile("t1ccv") == "01CCV"


@pytest.mark.parametrize("cover", [-1, 101, "few", float("nan")])
def test_bad_cloud_cover(cover):
    with pytest.raises(ValueError, match="0 to 100"):
        Request.of("sentinel-2-l2a", BOX, "2024", max_cloud_cover=cover)


def test_bad_collection():
    with pytest.raises(ValueError, match="collection must be a name"):
        Request.of("", BOX, "2024")


def test_text_says_everything():
    request = Request.of("sentinel-2-l2a", BOX, "2024", tile="32TPS", max_cloud_cover=5)
    assert str(request) == (
        "sentinel-2-l2a, box (11.3, 46.4, 11.4, 46.5), 2024, tile 32TPS, at most 5 % cloud"
    )
