"""One answer to whether two coordinate reference systems are the same."""

import pytest
from rasterio.crs import CRS

from pipekit.carrier import same_crs

UTM = {"proj": "utm", "zone": 32, "datum": "WGS84"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (32632, "EPSG:32632", True),
        (CRS.from_epsg(32632), CRS.from_epsg(32632).to_wkt(), True),
        (CRS.from_epsg(32632), CRS.from_epsg(32633), False),
        ("EPSG:4326", "OGC:CRS84", True),
        (UTM, 32632, True),
        (UTM, dict(UTM), True),
        (None, None, True),
    ],
)
def test_the_form_and_the_order_of_axes_do_not_count(first, second, same):
    for pair in ((first, second), (second, first)):
        assert same_crs(*pair) is same_crs(*pair, unknown_fits=True) is same


def test_unknown_is_not_the_same_as_known_unless_asked_for():
    assert not same_crs(None, 32632)
    assert same_crs(32632, None, unknown_fits=True)
