import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.warp import transform as warp_points

import geotoolz as gz
from geocatalog.grid import pixel_grid
from geocatalog.read.onto_grid import read_piece
from geotoolz.warp import bounds_in_crs, grid_in_bounds, grid_of, reproject, reproject_to, resample


def ramp(rows=40, cols=50, dtype="float64"):
    """A raster whose value at a map point is easting - 500 km + 2 (northing - 5000 km)."""
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    col, row = np.meshgrid(np.arange(cols) + 0.5, np.arange(rows) + 0.5)
    x, y = transform * (col, row)
    values = (x - 500_000) + 2 * (y - 5_000_000) + 1000
    return GeoTensor(
        values[None].astype(dtype), transform, "EPSG:32632", np.nan, {"band_names": ["v"]}
    )


def value_at(x, y):
    return (x - 500_000) + 2 * (y - 5_000_000) + 1000


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "EPSG:4326", "EPSG:3035"])
@pytest.mark.parametrize(("resampling", "tolerance"), [("nearest", 18.0), ("bilinear", 3.0)])
def test_a_map_point_keeps_its_value_in_another_crs(crs, resampling, tolerance, at_point):
    source = ramp()
    moved = reproject(source, crs, resampling=resampling)
    assert moved.crs == crs
    assert moved.attrs == source.attrs
    step_x, step_y = abs(moved.transform.a), abs(moved.transform.e)
    for x in np.linspace(500_060, 500_440, 7):
        for y in np.linspace(4_999_660, 4_999_940, 7):
            (px,), (py,) = warp_points("EPSG:32632", crs, [x], [y])
            found = at_point(moved, px, py)[0]
            # The pixel's centre is up to half a pixel from the point.
            col, row = ~moved.transform * (px, py)
            cx, cy = moved.transform * (int(col) + 0.5, int(row) + 0.5)
            assert abs(cx - px) <= step_x
            assert abs(cy - py) <= step_y
            (bx,), (by,) = warp_points(crs, "EPSG:32632", [cx], [cy])
            assert found == pytest.approx(value_at(bx, by), abs=tolerance)


@pytest.mark.parametrize("resolution", [5.0, 20.0, (15.0, 30.0)])
def test_resampled_pixels_have_the_value_of_their_place(resolution):
    source = ramp()
    result = resample(source, resolution, "bilinear")
    sizes = (resolution, resolution) if isinstance(resolution, float) else resolution
    assert result.res == sizes
    assert (result.bounds[0], result.bounds[3]) == (source.bounds[0], source.bounds[3])
    for row in range(3, result.shape[1] - 3, 3):
        for col in range(3, result.shape[2] - 3, 3):
            x, y = result.transform * (col + 0.5, row + 0.5)
            assert result.values[0, row, col] == pytest.approx(value_at(x, y), abs=0.5)


def test_average_is_the_mean_of_the_pixels():
    source = ramp()
    result = resample(source, 20.0, "average")
    blocks = source.values.reshape(1, 20, 2, 25, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(result.values, blocks, atol=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_nearest_onto_the_same_grid_changes_nothing(dtype):
    source = ramp(dtype="float64")
    values = (source.values % 200 + 1).astype(dtype)
    raster = GeoTensor(
        values, source.transform, source.crs, 0 if np.dtype(dtype).kind != "f" else np.nan
    )
    result = reproject_to(raster, raster)
    assert result.dtype == np.dtype(dtype)
    assert np.array_equal(result.values, values)


def test_outside_the_source_is_nodata():
    source = ramp(4, 4)
    grid = pixel_grid("EPSG:32632", source.transform * Affine.translation(-2, -2), (8, 8))
    floats = reproject_to(source, grid)
    assert np.isnan(floats.values[0, :2]).all()
    assert np.array_equal(floats.values[0, 2:6, 2:6], source.values[0])
    integers = GeoTensor(np.full((4, 4), 7, "uint16"), source.transform, source.crs, 999)
    result = reproject_to(integers, grid)
    assert (result.values[0] == 999).all()
    assert result.fill_value_default == 999


def test_nodata_of_one_band_bleeds_into_no_neighbour():
    values = np.full((2, 8, 8), 10.0, "float32")
    values[0, :4] = np.nan
    raster = GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", np.nan)
    result = resample(raster, 5.0, "bilinear").values
    assert set(np.unique(result[1])) == {10.0}
    assert set(np.unique(result[0][~np.isnan(result[0])])) == {10.0}
    integers = np.full((2, 8, 8), 100, "uint16")
    integers[0, :4] = 0
    raster = GeoTensor(integers, raster.transform, raster.crs, 0)
    assert set(np.unique(resample(raster, 5.0, "bilinear").values)) == {0, 100}


def test_a_float_fill_value_becomes_nan():
    values = np.array([[-9999.0, 1.0], [1.0, 1.0]])
    raster = GeoTensor(values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", -9999.0)
    result = resample(raster, 5.0)
    assert np.isnan(result.values[:2, :2]).all()
    assert np.isnan(result.fill_value_default)


def test_masks_stay_masks():
    mask = GeoTensor(np.eye(4, dtype=bool), Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", None)
    fine = resample(mask, 5.0, "bilinear")
    assert fine.dtype == bool
    assert np.array_equal(fine.values, np.kron(np.eye(4, dtype=bool), np.ones((2, 2), bool)))


def test_time_stacks_are_warped_plane_by_plane():
    source = ramp()
    stack = GeoTensor(
        np.stack([source.values, source.values + 1]), source.transform, source.crs, np.nan
    )
    result = resample(stack, 20.0, "average")
    assert result.shape == (2, 1, 20, 25)
    np.testing.assert_allclose(result.values[1] - result.values[0], 1)


def test_real_pixels_there_and_back(bolzano):
    raster = gz.DNToReflectance()(bolzano)
    there = gz.Reproject("EPSG:3035", 10.0, "bilinear")(raster)
    back = gz.ReprojectLike(raster, "bilinear")(there)
    assert back.shape == raster.shape
    difference = np.abs(back.values - raster.values)[:, 5:-5, 5:-5]
    assert np.isnan(difference).mean() < 0.01  # the scene's own few pixels without data
    assert np.nanmedian(difference) < 0.01


def test_resampling_needs_a_place():
    with pytest.raises(TypeError, match=r"needs a GeoTensor, .* got ndarray"):
        gz.Reproject("EPSG:4326")(np.ones((2, 2)))
    with pytest.raises(ValueError, match="needs a CRS, but the raster's crs is None"):
        gz.Resample(20.0)(GeoTensor(np.ones((2, 2)), Affine.identity(), None))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"resampling must be one of .* got 'linear'"):
        gz.Resample(20.0, "linear")
    with pytest.raises(ValueError, match="resolution must be positive"):
        gz.Resample(-1.0)
    turned = GeoTensor(np.ones((2, 2)), Affine.rotation(30), "EPSG:32632")
    with pytest.raises(ValueError, match="the transform is rotated"):
        gz.Resample(20.0)(turned)
    with pytest.raises(TypeError, match="complex64 can't be resampled by 'average'"):
        gz.Resample(20.0, "average")(
            GeoTensor(np.ones((2, 2), "complex64"), Affine.scale(10, -10), "EPSG:32632")
        )
    with pytest.raises(TypeError, match="a grid is a GeoTensor, or a dictionary"):
        grid_of("EPSG:32632")


def test_a_grid_survives_its_round_trip():
    grid = grid_of(ramp())
    assert grid_of(grid) == grid
    assert grid == {
        "crs": "EPSG:32632", "transform": (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), "shape": (40, 50),
    }  # fmt: skip


def test_grids_cover_their_box():
    grid = grid_in_bounds("EPSG:32632", (0, 0, 101, 99), (10, 10))
    assert grid.shape == (10, 11)
    assert grid.transform.c == 0
    assert grid.transform.f == 99


def test_boxes_are_densified():
    west, south, east, north = bounds_in_crs((0, 60, 20, 61), "EPSG:4326", "EPSG:3035")
    # The middle of the parallel lies south of both of the box's lower corners.
    xs, ys = warp_points("EPSG:4326", "EPSG:3035", [0.0, 10.0, 20.0], [60.0, 60.0, 60.0])
    assert ys[1] < min(ys[0], ys[2]) - 10_000
    assert south <= ys[1] < north
    assert all(west <= x <= east for x in xs)
    with pytest.raises(ValueError, match="which is empty"):
        bounds_in_crs((1, 0, 0, 1), None, None)


def test_like_may_come_as_the_second_input():
    source = ramp()
    coarse = resample(source, 20.0)
    assert gz.ReprojectLike(resampling="average")(source, coarse).shape == coarse.shape
    with pytest.raises(TypeError, match="ReprojectLike has no grid"):
        gz.ReprojectLike()(source)


def test_resample_like_keeps_the_extent_and_wants_one_crs():
    source, other = ramp(), resample(ramp(8, 8), 20.0)
    result = gz.ResampleLike(other)(source)
    assert (result.res, result.bounds) == (other.res, source.bounds)
    with pytest.raises(ValueError, match="needs one CRS, got EPSG:32632 and EPSG:3857"):
        gz.ResampleLike(reproject(source, "EPSG:3857"))(source)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("resampling", ["nearest", "mode", "bilinear"])
def test_wide_integers_are_resampled_as_narrow_ones_are(dtype, resampling):
    values = np.random.default_rng(0).integers(1, 9, (6, 6))
    wide, narrow = (
        GeoTensor(values.astype(kind), Affine(10, 0, 0, 0, -10, 60), "EPSG:32632", 0)
        for kind in (dtype, "int32")
    )
    out = gz.Resample(20.0, resampling)(wide)
    assert out.dtype == dtype
    assert np.array_equal(out.values, gz.Resample(20.0, resampling)(narrow).values)


@pytest.mark.parametrize("fill", [None, -1])
def test_wide_identifiers_come_by_the_nearest_pixel_exactly(fill):
    ids = np.array([[2**60 + 1, 2**60 + 3]])
    tile = GeoTensor(ids, Affine(10, 0, 0, 0, -10, 10), "EPSG:32632", fill)
    out = gz.Resample((5, 10))(tile)
    assert out.values.tolist() == [[2**60 + 1, 2**60 + 1, 2**60 + 3, 2**60 + 3]]
    beyond = gz.Resample((15, 10))(tile)
    assert beyond.values[0, 0] == 2**60 + 1
    with pytest.raises(TypeError, match="int64 can't be resampled by 'bilinear'; use 'nearest'"):
        gz.Resample(5.0, "bilinear")(tile)


@pytest.mark.parametrize("role", ["class", "bits", "mask"])
@pytest.mark.parametrize("method", ["nearest", "average", "mode", "max", "bilinear"])
def test_codes_are_resampled_in_memory_as_from_a_file(tmp_path, role, method):
    values = np.random.default_rng(2).integers(1, 9, (1, 8, 8)).astype("uint8")
    place = Affine(10, 0, 5e5, 0, -10, 5e6)
    tile = GeoTensor(values, place, "EPSG:32632", 0, {"band_roles": role})
    coarse = pixel_grid(32632, Affine(20, 0, 5e5, 0, -20, 5e6), (4, 4))
    piece, _ = read_piece(str(gz.io.write_cog(tile, tmp_path / "a.tif")), coarse, None, method)
    assert np.array_equal(reproject_to(tile, coarse, method).values, piece.data)
