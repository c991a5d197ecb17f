"""What a band holds, and which pixels count."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from pipekit.pixels import ROLE_TAG, roles_in_file

PROFILE = {"driver": "GTiff", "height": 2, "width": 2, "dtype": "uint8", "crs": "EPSG:32632"}
PLACE = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)


def roles(path, write, count=1, **options):
    with rasterio.open(path, "w", count=count, transform=PLACE, **PROFILE, **options) as file:
        write(file)
        file.write(np.ones((count, 2, 2), "uint8"))
    with rasterio.open(path) as file:
        return roles_in_file(file)


def interpret(*colours):
    return lambda file: setattr(file, "colorinterp", [ColorInterp[colour] for colour in colours])


@pytest.mark.parametrize(
    ("write", "role"),
    [
        (lambda file: None, "quantity"),
        (lambda file: file.write_colormap(1, {1: (0, 0, 255, 255)}), "class"),
        (lambda file: file.set_band_description(1, "SCL"), "class"),
        (lambda file: file.set_band_description(1, "QA_PIXEL"), "bits"),
        (lambda file: file.update_tags(1, flag_values="1, 2"), "class"),
        (lambda file: file.update_tags(1, flag_masks="1, 2"), "bits"),
        (lambda file: file.update_tags(1, **{ROLE_TAG: "mask"}), "mask"),
        (lambda file: file.update_tags(1, **{ROLE_TAG: "nonsense"}), "quantity"),
    ],
)
def test_a_file_tells_what_its_band_holds(tmp_path, write, role):
    assert roles(tmp_path / "a.tif", write) == (role,)


def test_what_a_writer_noted_beats_the_name(tmp_path):
    def write(file):
        file.set_band_description(1, "SCL")
        file.update_tags(1, **{ROLE_TAG: "quantity"})

    assert roles(tmp_path / "a.tif", write) == ("quantity",)


def test_an_alpha_band_is_a_mask_unless_it_has_another_name(tmp_path):
    colours = interpret("gray", "alpha")
    assert roles(tmp_path / "a.tif", colours, 2) == ("quantity", "mask")

    def named(file):
        colours(file)
        file.set_band_description(2, "nir")

    assert roles(tmp_path / "b.tif", named, 2) == ("quantity", "quantity")


def test_names_of_categories_beside_the_file_mean_classes(tmp_path):
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="2"><CategoryNames><Category>sea</Category>'
        "</CategoryNames></PAMRasterBand></PAMDataset>"
    )
    assert roles(tmp_path / "a.tif", lambda file: None, 2) == ("quantity", "class")
