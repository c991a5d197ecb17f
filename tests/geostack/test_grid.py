"""Cutting a box out of a pixel grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.warp import transform

from geocatalog.grid import offset_of, part_of, pixel_grid, raster_crs
from geostack.areas import CALDOR_BBOX, LAKE_TAHOE_BBOX, SOUTH_TYROL_BBOX
from geostack.errors import OutsideTileError
from geostack.grid import covering_grid, cut, project, share_inside
from geostack.request import as_bbox

TAHOE = pixel_grid(32610, Affine(10, 0, 699960, 0, -10, 4400040), (10980, 10980))


def test_lake_tahoe():
    part = cut(TAHOE, LAKE_TAHOE_BBOX)
    assert part.shape == (3935, 1599)
    assert tuple(part.boundingbox) == (750180, 4311890, 766170, 4351240)


def test_south_tyrol_lies_inside_its_sample_scene():
    scene = pixel_grid(32632, Affine(10, 0, 674990, 0, -10, 5154960), (705, 935))
    assert share_inside(scene, SOUTH_TYROL_BBOX) == pytest.approx(1.0)


def test_a_box_over_the_edge_is_cut_at_the_edge():
    tile = pixel_grid(32610, Affine(10, 0, 699960, 0, -10, 4300020), (10980, 10980))
    part = cut(tile, CALDOR_BBOX)
    assert part.boundingbox[3] == 4300020
    assert 0.6 < share_inside(tile, CALDOR_BBOX) < 0.7


@given(
    st.floats(-120.6, -119.5), st.floats(38.75, 39.5), st.floats(0.001, 0.2), st.floats(0.001, 0.2)
)
@settings(max_examples=60)
def test_every_point_of_the_box_lies_in_the_cut_and_no_pixel_is_wasted(west, south, width, height):
    box = (west, south, west + width, south + height)
    part = cut(TAHOE, box)
    left, bottom, right, top = part.boundingbox
    x, y = np.meshgrid(np.linspace(west, box[2], 15), np.linspace(south, box[3], 15))
    east, north = (
        np.array(values)
        for values in transform("EPSG:4326", raster_crs(TAHOE), x.ravel(), y.ravel())
    )
    inside = (east > 699960) & (east < 809760) & (north > 4290240) & (north < 4400040)
    east, north = east[inside], north[inside]
    assert (east >= left - 0.02).all()
    assert (east <= right + 0.02).all()
    assert (north >= bottom - 0.02).all()
    assert (north <= top + 0.02).all()
    projected = project(TAHOE, box)
    assert projected[0] - left < 10.02
    assert right - projected[2] < 10.02
    assert (left - 699960) % 10 == 0
    assert (4400040 - top) % 10 == 0


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.0, 1.0), (-123.0, 38.9, -122.9, 39.0), (-120.1, 45.0, -120.0, 45.1)]
)
def test_a_box_elsewhere(box):
    with pytest.raises(OutsideTileError, match="outside the scene"):
        cut(TAHOE, box)


@pytest.mark.parametrize("box", [(-180.0, 89.0, 180.0, 90.0), (0.0, -90.0, 10.0, -89.5)])
def test_a_box_at_a_pole(box):
    with pytest.raises(OutsideTileError):
        cut(TAHOE, box)


def test_windows_of_aligned_grids():
    part = cut(TAHOE, LAKE_TAHOE_BBOX)
    offset = offset_of(TAHOE, part)
    assert part_of(TAHOE, *offset, *part.shape) == part
    shifted = pixel_grid(TAHOE.crs, Affine(10, 0, 699965, 0, -10, 4400040), (10, 10))
    assert offset_of(TAHOE, shifted) is None
    coarse = pixel_grid(TAHOE.crs, Affine(20, 0, 699960, 0, -20, 4400040), (9, 9))
    assert offset_of(TAHOE, coarse) is None


def test_a_covering_grid_reaches_beyond_its_tile_on_the_same_pixels():
    tile = pixel_grid(32610, Affine(10, 0, 699960, 0, -10, 4300020), (10980, 10980))
    grid = covering_grid(tile, CALDOR_BBOX)
    assert offset_of(tile, grid) is not None
    west, south, east, north = project(tile, CALDOR_BBOX)
    left, bottom, right, top = grid.boundingbox
    assert left <= west < left + 10
    assert bottom <= south < bottom + 10
    assert right - 10 < east <= right
    assert top - 10 < north <= top
    coarse = covering_grid(tile, CALDOR_BBOX, 60)
    assert coarse.transform.a == 60
    assert coarse.boundingbox[0] <= west


@given(st.integers(1, 20), st.integers(1, 20), st.integers(-70, 70), st.sampled_from([1, 60]))
def test_a_box_across_180_lies_in_the_zones_beside_it(west, east, south, zone):
    box = (180 - west / 10, south, east / 10 - 180, south + 0.5)
    crs = 32600 + zone + 100 * (south < 0)
    grid = pixel_grid(crs, Affine(10, 0, 300_000, 0, -10, 9_000_000), (10, 10))
    lon, lat = np.meshgrid(np.linspace(box[0], box[2] + 360, 21), np.linspace(*box[1::2], 5))
    x, y = (np.array(each) for each in transform("EPSG:4326", crs, lon.ravel(), lat.ravel()))
    left, bottom, right, top = project(grid, box)
    assert (left - 1 <= x).all()
    assert (x <= right + 1).all()
    assert (bottom - 1 <= y).all()
    assert (y <= top + 1).all()
    assert right - left < 1.3 * (x.max() - x.min()) + 1


@given(
    st.floats(-180, 180).map(lambda side: round(side, 2)),
    st.floats(0.1, 30).map(lambda side: round(side, 2)),
    st.sampled_from([-180, 0, 150, 179, -200]),
)
def test_a_box_comes_to_where_a_grid_in_degrees_counts(west, width, left):
    box = as_bbox((west, 10, west + width, 20))
    grid = pixel_grid(4326, Affine(0.5, 0, left, 0, -0.5, 40), (80, 720))
    low, _, high, _ = project(grid, box)
    assert high - low == pytest.approx(width)
    assert min(abs(low - west) % 360, -abs(low - west) % 360) < 1e-9
    # A grid around the globe holds half of any box at least, in one piece.
    assert share_inside(grid, box) > 0.49


def test_a_box_across_180_has_two_places_in_mercator():
    grid = pixel_grid(3857, Affine(10, 0, 19_900_000, 0, -10, -1_800_000), (10, 10))
    with pytest.raises(OutsideTileError, match=r"two ends .* halves \(179, -17, 180, -16\) and"):
        project(grid, (179, -17, -179, -16))
    left, _, right, _ = project(grid, (179, -17, 180, -16))
    assert left < right
