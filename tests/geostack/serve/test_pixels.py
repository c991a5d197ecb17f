"""An uploaded file means what it means to the library: what counts, and what its numbers are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geostack.serve.limits import Limits
from geostack.serve.pixels import as_geotiff, as_summary, read_upload
from geostack.serve.problem import Problem
from geotoolz import read
from pipekit.pixels import invalid_mask, nodata_of, plain

BANDS = ("B04", "B08")
HOLE = np.zeros((6, 5), bool)
HOLE[1:3, 2:] = True


def as_stored(file) -> None:
    """Leave the file as it is."""


def masked(file) -> None:
    """Hide the hole by a mask within the file."""
    file.write_mask(~HOLE)


def scaled(file) -> None:
    """Say what the numbers stand for."""
    file.scales, file.offsets = (0.5, 0.5), (-3.0, -3.0)


def in_classes(file) -> None:
    """Say that they are no quantities."""
    for band in (1, 2):
        file.update_tags(band, band_role="class")


def swapped(file) -> None:
    """Name the bands, in another order."""
    file.descriptions = BANDS[::-1]


def written(
    path: Path, say: Callable = as_stored, kind: str = "uint16", count: int = 2, **profile: object
) -> Path:
    """A file of numbers from 0 on, zeros and the hole's sevens among them."""
    values = np.arange(count * 30).reshape(count, 6, 5).astype(kind)
    values[:, HOLE] = 7
    shape = {"count": count, "height": 6, "width": 5, "dtype": kind, "crs": "EPSG:32610"}
    where = {"driver": "GTiff", "transform": from_origin(500_000, 4_350_000, 10, 10)}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **{**where, **shape, **profile}) as file,
    ):
        file.write(values)
        say(file)
    return path


def seen(raster) -> np.ma.MaskedArray:
    """The numbers of a raster, and which count."""
    values = plain(raster)
    missing = invalid_mask(values, nodata_of(raster))
    return np.ma.array(values, mask=np.zeros(values.shape, bool) if missing is None else missing)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("say", [as_stored, masked, scaled, in_classes, swapped])
@pytest.mark.parametrize("profile", [{}, {"nodata": 7}, {"nodata": 0, "ENDIANNESS": "BIG"}])
def test_an_upload_is_what_the_library_reads(tmp_path, kind, say, profile):
    path = written(tmp_path / "a.tif", say, kind, **profile)
    asked = read(path, bands=[1, 0] if say is swapped else [0, 1])
    got = read_upload(path.read_bytes(), BANDS, Limits())
    expected = seen(asked)
    assert got.values.dtype == asked.values.dtype
    assert got.attrs.get("band_roles") == asked.attrs.get("band_roles")
    made = tmp_path / "made.tif"
    made.write_bytes(as_geotiff(got, None))
    for each in (got, read(made)):
        np.testing.assert_array_equal(seen(each).mask, expected.mask)
        np.testing.assert_array_equal(seen(each).filled(0), expected.filled(0))
    told = as_summary(got, None)
    assert (told["min"], told["max"]) == (expected.min(), expected.max())
    assert told["valid_share"] == expected.count() / expected.size


def with_alpha(file) -> None:
    """Hide the hole by the last band."""
    file.write(np.where(HOLE, 0, 255).astype(file.dtypes[0]), file.count)


def test_an_alpha_band_hides_and_is_no_band_of_the_pipeline(tmp_path):
    path = written(tmp_path / "a.tif", with_alpha, "uint8", alpha="yes")
    got = read_upload(path.read_bytes(), ("B04",), Limits())
    np.testing.assert_array_equal(seen(got).mask[0], HOLE)


def test_a_last_band_that_is_asked_for_is_data_whatever_its_colour(tmp_path):
    """Four bands of bytes are written as red, green, blue and alpha."""
    path = written(tmp_path / "a.tif", with_alpha, "uint8", 4, alpha="yes")
    got = read_upload(path.read_bytes(), ("B02", "B03", "B04", "B08"), Limits())
    assert not seen(got).mask.any()
    np.testing.assert_array_equal(got.values[3] == 0, HOLE)


@pytest.mark.parametrize("names", [(None, "B04"), ("B08", None), ("B04", "B04"), ("B02", None)])
def test_names_that_do_not_fit_the_places_of_the_others_are_refused(tmp_path, names):
    def say(file) -> None:
        for number, name in enumerate(names, start=1):
            if name:
                file.set_band_description(number, name)

    path = written(tmp_path / "a.tif", say)
    with pytest.raises(Problem, match="names others"):
        read_upload(path.read_bytes(), BANDS, Limits())
