import pytest
from footprints import frame

from geocatalog import CatalogDomain, InMemoryGeoCatalog


def test_one_slice_a_row_at_one_resolution(four_scenes, as_backend):
    domain = CatalogDomain(as_backend(four_scenes), resolution=20)
    slices = domain.slices()
    assert len(domain) == len(slices) == 4
    assert domain.bounds == (0, 0, 400, 100)
    assert domain.crs == four_scenes.crs
    assert {s.shape for s in slices} == {(5, 5)}
    assert {s.interval.left.month for s in slices} == {6, 7, 8, 9}
    assert "4 slices" in repr(domain)
    assert domain.get_config()["config"]["resolution"] == 20


def test_a_row_s_own_grid_is_kept():
    rows = frame((15, 15, 3015, 3015), resolution=[30.0], native_crs=["EPSG:32610"])
    (slice_,) = CatalogDomain(InMemoryGeoCatalog(rows)).slices()
    assert slice_.shape == (100, 100)
    assert slice_.grid_bounds == (15, 15, 3015, 3015)


def test_a_resolution_recorded_in_another_crs_is_not_taken_for_granted():
    rows = frame((0, 0, 1, 1), crs=4326, resolution=[30.0], native_crs=["EPSG:32610"])
    with pytest.raises(ValueError, match="pass resolution="):
        CatalogDomain(InMemoryGeoCatalog(rows)).slices()
