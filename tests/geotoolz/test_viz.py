import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgba
from rasterio import Affine

import geotoolz as gz
from geotoolz.viz import average_down, map_frame, nice_length

GRID = Affine(10, 0, 500_000, 0, -10, 5_000_000)


@pytest.fixture(autouse=True)
def _closed_figures():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def geo(values, fill=np.nan, **attrs):
    return GeoTensor(np.asarray(values), GRID, "EPSG:32632", fill, attrs)


def ramp(rows=20, cols=30):
    return np.linspace(-0.2, 0.8, rows * cols).reshape(rows, cols).astype("float32")


def image_of(ax):
    (image,) = ax.images
    return image


def bar_of(ax):
    return next((child for child in ax.child_axes), None)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_one_band_has_a_title_units_and_a_colour_bar():
    ax = gz.plot(geo(ramp(), long_name="height", units="m"), title="Hills")
    assert ax.get_title() == "Hills"
    assert bar_of(ax).get_ylabel() == "height (m)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Easting (km)", "Northing (km)")
    assert image_of(ax).get_extent() == [500.0, 500.3, 4999.8, 5000.0]
    np.testing.assert_allclose(image_of(ax).get_array(), ramp())


def test_the_scale_bar_is_as_long_as_it_says():
    ax = gz.plot(geo(ramp()))
    (text,) = ax.texts
    (line,) = ax.lines
    assert text.get_text() == "50 m"
    share = np.ptp(line.get_xdata())
    assert share * 300 == pytest.approx(50)
    assert ax.get_xlim() == (500.0, 500.3)


def test_a_vegetation_index_diverges_about_zero():
    ax = gz.plot(geo(ramp(), long_name="NDVI"))
    low, high = image_of(ax).get_clim()
    assert image_of(ax).get_cmap().name == "BrBG"
    assert low == -high


def test_colours_and_limits_may_be_chosen():
    ax = gz.plot(geo(ramp(), long_name="NDVI"), cmap="magma", vmin=0, vmax=0.5, label="greenness")
    assert image_of(ax).get_clim() == (0, 0.5)
    assert image_of(ax).get_cmap().name == "magma"
    assert bar_of(ax).get_ylabel() == "greenness"
    with pytest.raises(ValueError, match="vmin must not exceed vmax"):
        gz.plot(ramp(), vmin=1, vmax=0)


def test_nodata_is_not_drawn_and_does_not_count():
    values = np.full((4, 4), 100, "uint16")
    values[0] = 0
    ax = gz.plot(geo(values, fill=0))
    drawn = image_of(ax).get_array()
    assert np.isnan(drawn[0]).all() or np.ma.getmaskarray(drawn)[0].all()
    assert image_of(ax).get_clim() == (99.5, 100.5)
    assert gz.plot(geo(np.full((4, 4), np.nan))).images


def on_page(ax, row, col):
    """The colour that a reader sees at a pixel of an array, 0 to 255."""
    ax.figure.canvas.draw()
    page = np.asarray(ax.figure.canvas.buffer_rgba())
    x, y = ax.transData.transform((col + 0.5, row + 0.5))
    return page[len(page) - 1 - round(y), round(x), :3].tolist()


def with_a_hole(kind):
    """A raster of 4 x 4 pixels whose first row has no data, and what else `plot` is told."""
    values = np.linspace(0.1, 0.9, 16).reshape(4, 4)
    values[0] = np.nan
    if kind == "picture":
        return np.stack([values, values, 1 - values]), {}
    if kind == "classes":
        return np.where(np.isnan(values), np.nan, 1), {"classes": {1: "forest"}}
    return values, {"cmap": "YlGn"}


@pytest.mark.parametrize("kind", ["band", "picture", "classes"])
def test_nodata_is_grey_on_the_page_and_in_the_legend(kind):
    raster, told = with_a_hole(kind)
    ax = gz.plot(raster, **told)
    assert on_page(ax, 0, 1) == [153, 153, 153]
    assert len(set(on_page(ax, 2, 1))) > 1
    assert legend_of(ax)[-1] == "no data"
    swatch = ax.get_legend().legend_handles[-1]
    assert swatch.get_facecolor() == to_rgba("0.6")


@pytest.mark.parametrize("kind", ["band", "picture", "classes"])
def test_the_colour_of_nodata_may_be_chosen_or_left_to_what_is_behind(kind):
    raster, told = with_a_hole(kind)
    assert on_page(gz.plot(raster, nodata="red", **told), 0, 1) == [255, 0, 0]
    for quiet in (gz.plot(raster, nodata=None, **told), gz.plot(raster[..., 1:, :], **told)):
        legend = quiet.get_legend()
        assert legend is None or legend_of(quiet) == ["forest"]
    below = gz.plot(np.ones((3, 4, 4)) * np.array([0, 1, 0])[:, None, None])
    assert on_page(gz.plot(raster, ax=below, nodata=None, **told), 0, 1) == [0, 255, 0]


def test_nodata_is_hatched_where_the_map_is_grey_itself():
    values = np.linspace(0, 1, 64).reshape(8, 8)
    values[:4] = np.nan
    ax = gz.plot(values, cmap="gray")
    ax.figure.canvas.draw()
    page = np.asarray(ax.figure.canvas.buffer_rgba())[..., :3]
    (left, top), (right, bottom) = ax.transData.transform([(1, 1), (7, 3)]).round().astype(int)
    seen = {
        tuple(each)
        for each in page[len(page) - top : len(page) - bottom, left:right].reshape(-1, 3)
    }
    assert {(153, 153, 153), (255, 255, 255)} <= seen
    assert legend_of(ax) == ["no data"]


def test_maps_that_share_a_bar_need_no_legend_of_their_own():
    values, _ = with_a_hole("band")
    ax = gz.plot(values, colorbar=False)
    assert ax.get_legend() is None
    assert on_page(ax, 0, 1) == [153, 153, 153]


def test_three_bands_are_a_picture():
    picture = np.random.default_rng(0).random((3, 20, 30)).astype("float32")
    picture[:, 0] = np.nan
    ax = gz.plot(geo(picture))
    drawn = image_of(ax).get_array()
    assert drawn.shape == (20, 30, 4)
    np.testing.assert_allclose(drawn[1:, :, :3], np.moveaxis(picture, 0, -1)[1:])
    assert (drawn[0, :, 3] == 0).all()
    assert bar_of(ax) is None


def test_reflectances_and_numbers_are_stretched_into_a_picture(bolzano):
    for raster in (bolzano, gz.DNToReflectance()(bolzano)):
        drawn = image_of(gz.plot(raster)).get_array()
        assert drawn[..., :3].min() == 0
        assert drawn[..., :3].max() == 1
        assert 0.1 < drawn[..., :3].mean() < 0.8


def test_bytes_are_a_picture_as_they_are():
    drawn = image_of(gz.plot(np.full((3, 4, 4), 51, "uint8"))).get_array()
    np.testing.assert_allclose(drawn[..., :3], 0.2)


def test_a_band_is_named_on_its_bar(bolzano):
    ax = gz.plot(gz.DNToReflectance()(bolzano), band="nir")
    assert bar_of(ax).get_ylabel() == "B08 reflectance"
    assert image_of(ax).get_cmap().name == "gray"


def test_many_bands_without_colours_need_a_name():
    with pytest.raises(ValueError, match=r"got 2 \(B11, B12\); name one as band="):
        gz.plot(geo(np.zeros((2, 4, 4)), band_names=["B11", "B12"]))
    with pytest.raises(ValueError, match="plot draws"):
        gz.plot(np.zeros((2, 3, 4, 4)))
    with pytest.raises(ValueError, match="no pixels to draw"):
        gz.plot(np.zeros((0, 4)))


def test_a_mask_has_a_legend_for_both_its_values():
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    ax = gz.plot(geo(mask, long_name="burnt"))
    assert legend_of(ax) == ["not burnt", "burnt"]
    assert image_of(ax).get_array()[0, 0].tolist() == pytest.approx(to_rgba("#d55e00"))
    assert bar_of(ax) is None
    assert legend_of(gz.plot(gz.MaskFromSCL()(geo(np.array([[9, 4]], "uint8"), fill=None)))) == [
        "kept",
        "dropped",
    ]


def test_the_scene_classification_knows_its_classes(bolzano_scl):
    scl = geo(bolzano_scl.values[0], fill=0, long_name="SCL")
    labels = legend_of(gz.plot(scl))
    assert {"vegetation", "bare soil", "water"} <= set(labels)
    assert "thin cirrus" not in labels
    named = geo(bolzano_scl.values, fill=0, band_names=["SCL"])
    assert legend_of(gz.plot(named)) == labels


def test_classes_given_by_hand():
    ax = gz.plot(geo(np.array([[0, 1], [2, 2]])), classes={0: "water", 2: ("forest", "#009e73")})
    assert legend_of(ax) == ["water", "forest", "no class"]
    drawn = image_of(ax).get_array()
    assert drawn[1, 0].tolist() == pytest.approx(to_rgba("#009e73"))
    assert drawn[0, 1, 3] == 0
    assert gz.plot(geo(np.array([[0]])), classes={0: "water"}, legend=False).get_legend() is None


def test_big_rasters_are_averaged_before_they_are_drawn():
    ax = gz.plot(np.ones((3935, 1599), "float32"))
    drawn = image_of(ax).get_array()
    assert drawn.size <= 600_000
    assert image_of(ax).get_extent() == [0, 1599, 3935, 0]
    assert gz.plot(np.ones((100, 100)), max_pixels=400).images[0].get_array().shape == (20, 20)


def test_axes_may_be_given_or_made_or_left_out():
    _, ax = plt.subplots()
    assert gz.plot(ramp(), ax=ax) is ax
    bare = gz.plot(geo(ramp()), axes="none", scale_bar=False, colorbar=False)
    assert len(bare.get_xticks()) == 0
    assert not bare.lines
    assert bar_of(bare) is None
    with pytest.raises(ValueError, match="axes must be 'km', 'map' or 'none'"):
        gz.plot(ramp(), axes="miles")


@pytest.mark.parametrize("shape", [(10, 400), (400, 10), (3, 3)])
def test_figures_fit_a_page_whatever_the_scene(shape):
    ax = gz.plot(geo(np.random.default_rng(0).random(shape)))
    width, height = ax.figure.get_size_inches()
    assert 3 <= width <= 8
    assert 2 <= height <= 8
    ax.figure.canvas.draw()


def test_flipped_and_turned_chips_can_be_drawn():
    for op in (gz.RandomFlip(1, 0), gz.RandomRotate90(1.0)):
        gz.plot(op(geo(ramp()), seed=0)).figure.canvas.draw()


def test_a_file_is_drawn_from_its_overviews(shared_data):
    (path,) = (shared_data / "archive" / "cop-dem-glo-30").glob("*/*.tif")
    ax = gz.quicklook(path, title="Sao Tome", label="elevation (m)", cmap="cividis")
    assert image_of(ax).get_array().size <= 600_000
    assert ax.get_xlabel() == "Longitude (°)"
    assert mpl.colormaps["cividis"].name == image_of(ax).get_cmap().name


@pytest.mark.parametrize(("cut", "drawn_bands"), [(slice(3), [2, 1, 0]), (slice(1, 4), [1, 2, 3])])
def test_three_bands_of_a_slice_are_true_colour_where_their_names_are(cut, drawn_bands):
    names = ["B02", "B03", "B04", "B08"]
    values = np.random.default_rng(0).random((4, 6, 6))
    scene = GeoTensor(
        values, Affine(10, 0, 0, 0, -10, 0), "EPSG:32632", np.nan, {"band_names": names}
    )
    ax = gz.plot(scene[cut])
    drawn = np.asarray(ax.images[0].get_array())[..., :3]
    np.testing.assert_allclose(drawn, np.moveaxis(values[drawn_bands], 0, -1), atol=0.01)
    plt.close(ax.figure)


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 400))
def test_blocks_are_averaged_to_the_very_edge(rows, cols, max_pixels):
    values = np.random.default_rng(rows * cols).random((2, rows, cols))
    values[values < 0.1] = np.nan
    small = average_down(values, max_pixels)
    step = next(n for n in range(1, 99) if rows * cols <= n * n * max_pixels)
    assert small.shape == (2, -(-rows // step), -(-cols // step))
    for band in range(2):
        for i, j in np.ndindex(small.shape[1:]):
            block = values[band, i * step : (i + 1) * step, j * step : (j + 1) * step]
            expected = np.nan if np.isnan(block).all() else np.nanmean(block)
            assert small[band, i, j] == pytest.approx(expected, nan_ok=True, rel=1e-5)


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 400))
def test_classes_are_thinned_not_averaged(rows, cols, max_pixels):
    classes = np.random.default_rng(0).integers(0, 2, (rows, cols)) * 7
    small = average_down(classes, max_pixels, average=False)
    assert small.dtype == classes.dtype
    assert set(np.unique(small)) <= {0, 7}
    assert small.size >= 1


def test_sizes():
    assert average_down(np.zeros((3935, 1599)), 600_000).size <= 600_000
    assert average_down(np.zeros((10, 10), "uint16"), 100).dtype == np.float32
    with pytest.raises(ValueError, match="max_pixels must be positive"):
        average_down(np.zeros((2, 2)), 0)


def test_nodata_is_left_out_of_the_mean():
    values = np.array([[0, 10], [20, 30]], "uint16")
    assert average_down(values, 1, 0).tolist() == [[20]]
    assert np.isnan(average_down(np.zeros((2, 2), "uint16"), 1, 0)).all()


def at(crs, transform=None, shape=(20, 30)):
    return GeoTensor(np.zeros(shape), transform or Affine(10, 0, 500_000, 0, -10, 5_000_000), crs)


def test_metres_are_shown_as_kilometres_or_as_they_are():
    frame = map_frame(at("EPSG:32632"))
    assert frame.extent == (500.0, 500.3, 4999.8, 5000.0)
    assert (frame.x_label, frame.y_label) == ("Easting (km)", "Northing (km)")
    assert frame.metres == 1000
    raw = map_frame(at("EPSG:32632"), "map")
    assert raw.extent == (500_000, 500_300, 4_999_800, 5_000_000)
    assert (raw.x_label, raw.metres) == ("Easting (m)", 1)
    assert not map_frame(at("EPSG:32632"), "none").visible


def test_degrees_keep_the_ground_s_proportions():
    frame = map_frame(at("EPSG:4326", Affine(0.01, 0, 11, 0, -0.01, 60.1)))
    assert frame.x_label == "Longitude (°)"
    assert frame.aspect == pytest.approx(2, rel=0.01)
    assert frame.metres == pytest.approx(111_320 / 2, rel=0.01)


def test_feet_are_no_metres():
    frame = map_frame(at("EPSG:2263"))
    assert frame.x_label == "Easting (km)"
    assert frame.extent[0] == pytest.approx(500_000 * 0.3048006 / 1000)
    assert frame.metres == pytest.approx(1000, rel=1e-6)


def test_without_an_upright_place_axes_are_pixels():
    turned = at("EPSG:32632", Affine(10, 0, 0, 0, -10, 0) * Affine.rotation(90))
    for raster in (np.zeros((20, 30)), turned):
        frame = map_frame(raster)
        assert frame.extent == (0, 30, 20, 0)
        assert frame.x_label == "column (px)"
        assert frame.metres is None
    assert map_frame(at(None)).x_label == "Easting"


@given(st.floats(1e-3, 1e7))
def test_bar_lengths_are_one_two_or_five(longest):
    length = nice_length(longest)
    assert length <= longest * (1 + 1e-6) < length * 2.5 * (1 + 1e-5)
    lead = length / 10 ** np.floor(np.log10(length) + 1e-9)
    assert min(abs(lead - each) for each in (1, 2, 5)) < 1e-6


def test_a_bar_has_a_length():
    with pytest.raises(ValueError, match="must be positive"):
        nice_length(0)
