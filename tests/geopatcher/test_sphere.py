"""Great circles by chords agree with PROJ's geodesics on the same sphere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geopatcher import GridDomain, PatchError, PointDomain
from geopatcher.sphere import EARTH_RADIUS_KM, arc_km, chord, unit_vectors

SPHERE = Geod(a=EARTH_RADIUS_KM * 1000, b=EARTH_RADIUS_KM * 1000)
LON, LAT = st.floats(-360, 360), st.floats(-90, 90)


@given(lon=st.tuples(LON, LON), lat=st.tuples(LAT, LAT))
def test_distances_are_those_of_proj(lon, lat):
    vectors = unit_vectors(lon, lat)
    ours = float(arc_km(np.linalg.norm(vectors[0] - vectors[1])))
    proj = SPHERE.inv(lon[0], lat[0], lon[1], lat[1])[2] / 1000
    # Near the antipode a chord changes little with the arc, so digits are lost: a metre remains.
    assert abs(ours - proj) < 1e-3


@given(st.floats(0, np.pi * EARTH_RADIUS_KM - 1))
def test_chord_and_arc_undo_each_other(distance):
    assert abs(float(arc_km(chord(distance))) - distance) < 1e-3


def test_beyond_the_antipode_the_chord_is_the_diameter():
    assert chord(50_000) == 2


def test_latitudes_beyond_the_poles_are_swapped_coordinates():
    with pytest.raises(PatchError, match=r"got 120.0; points are \(longitude, latitude\)"):
        PointDomain([[45, 10], [45, 120]], crs="EPSG:4326").tree  # noqa: B018
    across = GridDomain({"lon": np.arange(-180, 180, 10.0), "lat": [0.0, 10.0]}, crs=4326)
    with pytest.raises(PatchError, match="a grid's rows are latitudes"):
        across.sphere_tree  # noqa: B018
    poles = GridDomain({"lat": np.linspace(-90, 90, 181), "lon": [0.0, 10.0]})
    assert poles.sphere_tree.n == 362
