"""Classes as attributes, colours and names: what is accepted, and what is no legend."""

import pytest

from pipekit.legend import classes_of, colour_table, write_names


def test_nothing_said_is_no_class():
    assert classes_of(None) == classes_of({}) == classes_of({"classes": None}) == {}
    assert colour_table({}, "uint8") == {}


@pytest.mark.parametrize(
    "said", [["a", "b"], {"a": ["b", "#000000"]}, {"0": "clear"}, {"0": ["clear"]}, 7]
)
def test_what_is_no_legend_is_named(said):
    with pytest.raises(ValueError, match="must map ids to"):
        classes_of({"classes": said})


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "123456", ""])
def test_what_is_no_colour_is_named(colour):
    with pytest.raises(ValueError, match="written as #rrggbb"):
        classes_of({"classes": {"0": ["clear", colour]}})


def test_a_table_holds_ids_that_its_type_holds():
    classes = {0: ("a", "#010203"), 300: ("b", "#ffffff")}
    assert colour_table(classes, "uint16")[0] == (1, 2, 3, 255)
    assert colour_table(classes, "uint8") == {}
    assert colour_table(classes, "int16") == {}
    assert colour_table({-1: ("a", "#010203")}, "uint8") == {}


def test_names_of_ids_that_are_no_list_are_left_out(tmp_path):
    write_names(tmp_path / "a.tif", {-1: ("a", "#010203")})
    write_names(tmp_path / "a.tif", {70_000: ("a", "#010203")})
    assert list(tmp_path.iterdir()) == []
