import matplotlib
import pytest

from geotoolz.colours import CATEGORICAL, LOOKS, class_colours, known_classes, look_of, lookup_table


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_every_look_is_a_map_that_matplotlib_has(name):
    assert LOOKS[name].cmap in matplotlib.colormaps
    assert look_of(name.upper()) == LOOKS[name]


def test_bands_differences_and_the_unknown():
    assert look_of("B08 reflectance") == LOOKS["reflectance"]
    assert look_of("dNBR").diverging
    assert look_of("NDVI difference").diverging
    assert look_of("distance").cmap == "viridis"


def test_the_table_is_matplotlib_s_and_built_once():
    table = lookup_table("viridis")
    assert lookup_table("viridis") is table
    assert table.shape == (256, 3)
    expected = matplotlib.colormaps["viridis"](range(256), bytes=True)[:, :3]
    assert (abs(table.astype(int) - expected) <= 1).all()
    with pytest.raises(ValueError, match="no colour map 'virdis'"):
        lookup_table("virdis")


def test_classes():
    many = class_colours({i: f"class {i}" for i in range(10)})
    assert many[9] == ("class 9", CATEGORICAL[1])
    assert known_classes("scl") == known_classes("SCL")
    assert known_classes("NDVI") is None
