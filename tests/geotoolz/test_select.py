"""Chosen bands come in the order asked for, with their names and their place."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine

from geotoolz import NDVI, SelectBands

NAMES = ["B02", "B03", "B04", "B08"]


@pytest.fixture
def scene():
    values = np.arange(4, dtype=np.uint16)[:, None, None] * np.ones((4, 3, 5), np.uint16)
    attrs = {"band_names": NAMES, "item_id": "x"}
    return GeoTensor(values, Affine(10, 0, 0, 0, -10, 30), "EPSG:32632", attrs=attrs)


@pytest.mark.parametrize(
    "bands", [("B08", "B02"), (3, 0), (-1, "B02"), ("nir", "blue"), np.array([3, 0])]
)
def test_names_and_indices_choose_the_same_and_keep_the_bands_own_names(scene, bands):
    chosen = SelectBands(bands)(scene)
    assert chosen.values[:, 0, 0].tolist() == [3, 0]
    assert chosen.attrs == {"band_names": ["B08", "B02"], "item_id": "x"}
    assert (chosen.transform, chosen.crs, chosen.dtype) == (scene.transform, scene.crs, np.uint16)
    assert scene.attrs["band_names"] == NAMES


def test_names_stay_in_step_for_the_next_operator(scene):
    direct, through = NDVI()(scene), (SelectBands(("B08", "B04")) | NDVI())(scene)
    assert np.array_equal(direct.values, through.values)


def test_the_input_is_not_touched_by_the_result(scene):
    SelectBands((0,))(scene).values[:] = 9
    assert scene.values[0].max() == 0


def test_a_band_that_is_not_there_lists_those_that_are(scene):
    with pytest.raises(LookupError, match=r"B02.*B08"):
        SelectBands(("B12",))(scene)
    with pytest.raises(ValueError, match="at least one band"):
        SelectBands(())(scene)
