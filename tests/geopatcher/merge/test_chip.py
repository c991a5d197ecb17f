"""Merges count valid pixels only and never mix classes, whatever the chips' kind.

The oracle below knows nothing of the library: plain loops over pixels.
"""

import warnings
from collections import Counter

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import xarray as xr
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine
from shapely import box

from geopatcher import (
    CoverageWarning,
    DaskField,
    Patch,
    PatchError,
    RasterField,
    SpatialBoxcar,
    SpatialExplicit,
    SpatialHann,
    SpatialHardVote,
    SpatialMax,
    SpatialMean,
    SpatialMedian,
    SpatialMin,
    SpatialMode,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialPolygonIntersection,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialSoftVote,
    SpatialSum,
    SpatialVariance,
    TemporalExplicit,
    TemporalFixedLookback,
    TemporalPatcher,
    TemporalRegularStride,
    XarrayField,
    map_patches,
)
from geopatcher.run import BLOCK_ROWS
from pipekit.pixels import GUIDE, band_roles, invalid_mask, plain, roles_in_file

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_000_000)
PLACES = (NORTH_UP, Affine(10, 0, 500_000, 0, 10, 4_000_000), Affine(8, 6, 5e5, 6, -8, 5e6))
INTEGERS = ("uint8", "int16", "uint16", "int32")
NODATA = {"uint8": (None, 0, 255), "int16": (None, 0, -9999), "uint16": (None, 0, 65535)}
NODATA |= {"int32": (None, 0, -1), "float32": (None, np.nan, 0, -9999, 3.4e38)}
NODATA |= {"float64": (None, np.nan, -9999.9)}
SWAPPED = "<" if np.dtype("=i4").byteorder == ">" else ">"


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return function(*args, **options)


def is_missing(value, nodata):
    return value != value or (nodata is not None and nodata == nodata and value == nodata)


def by_pixel(patches, shape):
    """Return for each (band, row, col) the valid (value, weight) pairs, in the patches' order."""
    found = {}
    for patch in patches:
        nodata = getattr(patch.data, "fill_value_default", None)
        nodata = nodata if nodata is None else np.dtype(patch.data.dtype).type(nodata).item()
        values = np.asarray(patch.data)
        window = patch.indices
        for band in range(values.shape[0]):
            for i in range(window.height):
                for j in range(window.width):
                    key = band, window.row_off + i, window.col_off + j
                    value = values[band, i, j].item()
                    if key[1] < shape[-2] and key[2] < shape[-1] and not is_missing(value, nodata):
                        weight = 1.0 if patch.weights is None else float(patch.weights[i, j])
                        found.setdefault(key, []).append((value, weight))
    return found


def mean_of(pairs):
    return sum(v * w for v, w in pairs) / sum(w for _, w in pairs)


def strongest(pairs):
    best = pairs[0]
    for pair in pairs:
        if pair[1] > best[1]:
            best = pair
    return best[0]


def expected_of(patches, shape, of_band):
    pairs = by_pixel(patches, shape)
    out = np.full(shape, np.nan)
    for (band, row, col), found in pairs.items():
        out[band, row, col] = of_band[band](found)
    return out


@st.composite
def chipped(draw, dtypes=(*INTEGERS, "float32", "float64"), bands=2):
    """A patcher, a scene's shape, and a function that gives each chip holes of its own."""
    dtype = draw(st.sampled_from(dtypes))
    nodata = draw(st.sampled_from(NODATA[dtype]))
    swapped = draw(st.booleans())
    place = draw(st.sampled_from(PLACES))
    window = draw(st.sampled_from([SpatialBoxcar(), SpatialHann()]))
    boundary = draw(st.sampled_from(["drop", "shift", "pad", "shrink"]))
    step = draw(st.integers(2, 6))
    share = draw(st.sampled_from([0.0, 0.1, 0.6]))
    by_band = draw(st.booleans())
    seed = draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).newbyteorder(SWAPPED if swapped else "=")
    values = rng.integers(1, 100, (bands, 11, 13)).astype(kind)
    scene = GeoTensor(values, place, "EPSG:32632", nodata, {"band_names": ["B04", "SCL"][:bands]})
    patcher = SpatialPatcher(
        SpatialRectangular(6, boundary=boundary), SpatialRegularStride(step), window
    )
    hole = np.nan if np.dtype(dtype).kind == "f" and nodata is None else nodata

    def spoil(chip):
        made = np.array(chip).astype(kind)
        holes = np.random.default_rng(int(made.astype(float).sum()) + seed)
        mask = holes.random(made.shape if by_band else made.shape[-2:]) < share
        if hole is not None:
            np.copyto(made, np.asarray(hole, made.dtype), where=mask)
        return GeoTensor(made, chip.transform, chip.crs, nodata, chip.attrs)

    return patcher, scene, spoil


@given(case=chipped(), as_list=st.booleans())
def test_overlap_add_blends_what_is_valid_and_lets_the_largest_weight_choose_classes(case, as_list):
    patcher, scene, spoil = case
    stream = patcher.stream(scene).map(spoil)
    expected = expected_of(list(stream), scene.shape, (mean_of, strongest))
    merged = quietly(patcher.merge, list(stream) if as_list else stream, scene)
    np.testing.assert_allclose(merged.values, expected, rtol=1e-5)
    assert merged.values.dtype.isnative
    assert band_roles(merged) == ("quantity", "class")
    assert np.isnan(merged.fill_value_default)


@given(case=chipped(bands=1), as_list=st.booleans())
def test_quantities_alone_stay_on_the_grid_and_count_what_is_valid(case, as_list):
    patcher, scene, spoil = case
    stream = patcher.stream(scene).map(spoil)
    expected = expected_of(list(stream), scene.shape, (mean_of,))
    merged = quietly(patcher.merge, list(stream) if as_list else stream, scene)
    np.testing.assert_allclose(merged.values, expected, rtol=1e-5)


STATISTICS = {
    SpatialSum(): lambda pairs: sum(v for v, _ in pairs),
    SpatialMean(): lambda pairs: np.mean([v for v, _ in pairs]),
    SpatialVariance(): lambda pairs: np.var([v for v, _ in pairs]),
    SpatialMin(): lambda pairs: min(v for v, _ in pairs),
    SpatialMax(): lambda pairs: max(v for v, _ in pairs),
    SpatialMedian(): lambda pairs: np.median([v for v, _ in pairs]),
}


@pytest.mark.parametrize("aggregation", STATISTICS, ids=lambda a: type(a).__name__)
@given(case=chipped())
def test_statistics_count_what_is_valid(aggregation, case):
    patcher, scene, spoil = case
    scene.attrs = {}
    stream = patcher.stream(scene).map(spoil)
    expected = expected_of(list(stream), scene.shape, (STATISTICS[aggregation],) * 2)
    merged = quietly(aggregation.merge, stream, scene)
    np.testing.assert_allclose(merged.values, expected, rtol=1e-5, atol=1e-4)


@given(case=chipped(dtypes=("uint8", "int16"), bands=1))
def test_votes_count_what_is_valid(case):
    patcher, scene, spoil = case
    scene.values[:] %= 5
    scene.values[:] += 1
    stream = patcher.stream(scene).map(spoil)
    pairs = by_pixel(list(stream), scene.shape)
    for aggregation in (SpatialMode(), SpatialHardVote(6)):
        merged = quietly(aggregation.merge, stream, scene)
        assert set(band_roles(merged)) == {"class"}
        values = merged.values.reshape(scene.shape)
        fill = merged.fill_value_default
        for (_, row, col), value in np.ndenumerate(values):
            votes = Counter(v for v, _ in pairs.get((0, row, col), ()))
            best = min(votes, key=lambda v: (-votes[v], v)) if votes else fill
            assert value == best


@given(case=chipped(), suffix=st.sampled_from([".tif", ".zarr", ""]))
def test_files_and_blocks_hold_what_memory_holds(case, suffix, tmp_path_factory):
    patcher, scene, spoil = case
    expected = quietly(patcher.merge, patcher.stream(scene).map(spoil), scene)
    target = tmp_path_factory.mktemp("out") / f"o{suffix}" if suffix else None
    made = quietly(map_patches, patcher, scene, spoil, target=target, progress=False, workers=2)
    values = np.asarray(made.values if suffix != ".tif" else made.load().values)
    np.testing.assert_array_equal(values, expected.values)
    assert band_roles(made) == ("quantity", "class")
    assert scene.shape[-2] < BLOCK_ROWS


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["uint16", ">u2", "float32", ">f8"])
@pytest.mark.parametrize("window", [SpatialBoxcar(), SpatialHann()])
def test_a_scene_with_a_class_band_comes_back_as_it_was(place, dtype, window):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 12, (3, 40, 50)).astype(dtype)
    attrs = {"band_names": ["B04", "B08", "SCL"]}
    scene = GeoTensor(values, place, "EPSG:32632", None, attrs)
    patcher = SpatialPatcher(
        SpatialRectangular(16, boundary="shift"), SpatialRegularStride(7), window
    )
    merged = patcher.merge(patcher.split(scene), scene)
    np.testing.assert_array_equal(merged.values[2], values[2])
    np.testing.assert_allclose(merged.values, values, rtol=1e-5, atol=1e-5)
    assert merged.transform == place


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool"])
@pytest.mark.parametrize("asked", [None, "own"])
def test_one_band_of_classes_bits_or_a_mask_is_exact(dtype, asked):
    rng = np.random.default_rng(3)
    top = {"bool": 2, "uint8": 250, "int32": 2**31 - 2, "int64": 2**53}[dtype]
    values = rng.integers(0, top, (30, 41)).astype(dtype)
    scene = GeoTensor(values, NORTH_UP, "EPSG:32632", None, {"band_roles": "bits"})
    if dtype == "bool":
        scene.attrs = {}
    asked = None if asked is None or dtype == "bool" else dtype
    patcher = SpatialPatcher(
        SpatialRectangular(16, boundary="shift"),
        SpatialRegularStride(7),
        SpatialHann(),
        SpatialOverlapAdd(dtype=asked),
    )
    merged = patcher.merge(patcher.split(scene), scene)
    np.testing.assert_array_equal(merged.values, values)
    assert set(band_roles(merged)) == {"mask" if dtype == "bool" else "bits"}


def scene_of_ids(values, **options):
    return GeoTensor(values, NORTH_UP, "EPSG:32632", None, options)


@given(
    dtype=st.sampled_from(["int32", "uint32", "int64", "uint64", "float64"]),
    step=st.integers(2, 8),
    window=st.sampled_from([SpatialBoxcar(), SpatialHann()]),
    power=st.integers(20, 45),
)
def test_whole_numbers_come_back_exactly_where_they_are_asked_for(dtype, step, window, power):
    out = "int64" if dtype == "float64" else dtype
    most = min(2**power, np.iinfo(out).max)
    values = np.random.default_rng(power).integers(0, most, (17, 19)).astype(dtype)
    patcher = SpatialPatcher(
        SpatialRectangular(8, boundary="shift"),
        SpatialRegularStride(step),
        window,
        SpatialOverlapAdd(dtype=out),
    )
    scene = scene_of_ids(values)
    np.testing.assert_array_equal(patcher.merge(patcher.split(scene), scene).values, values)


def test_identifiers_beyond_floats_are_refused_or_chosen():
    values = np.full((16, 16), 2**62 + 1)
    patcher = SpatialPatcher(
        SpatialRectangular(8), SpatialRegularStride(4), aggregation=SpatialOverlapAdd(dtype="int64")
    )
    scene = scene_of_ids(values)
    with pytest.raises(PatchError, match=r"band_roles.*see docs/reference"):
        patcher.merge(patcher.split(scene), scene)
    scene = scene_of_ids(values, band_roles="class")
    np.testing.assert_array_equal(patcher.merge(patcher.split(scene), scene).values, values)


def whole(values, nodata=None, attrs=None):
    values = np.asarray(values)
    return Patch(
        GeoTensor(values, NORTH_UP, "EPSG:32632", nodata, attrs),
        (0, 0),
        rasterio.windows.Window(0, 0, values.shape[-1], values.shape[-2]),
    )


def test_chips_of_different_nodata_keep_each_others_classes():
    one = whole(np.array([[[0, 5, 255]]], "uint8"), 0)  # 255 is a value
    other = whole(np.array([[[0, 255, 255]]], "uint8"), 255)  # 0 is a value
    onto = GeoTensor(np.zeros((1, 1, 3)), NORTH_UP, "EPSG:32632")
    for aggregation in (SpatialOverlapAdd(), SpatialMean(), SpatialMax(), SpatialMedian()):
        merged = aggregation.merge([one, other], onto)
        np.testing.assert_array_equal(merged.values, [[[0, 5, 255]]])
        assert np.isnan(merged.fill_value_default)
    with pytest.raises(PatchError, match=GUIDE):  # 0 would mark what has no vote
        SpatialMode().merge([one, other], onto)
    assert SpatialMode(fill_value=7).merge([one, other], onto).values.tolist() == [[[0, 5, 255]]]


def test_a_valid_whole_number_does_not_become_nodata():
    chips = [whole(np.array([[value]], "int16"), 0) for value in (-3, 3)]
    onto = GeoTensor(np.zeros((1, 1)), NORTH_UP, "EPSG:32632")
    merged = SpatialOverlapAdd(dtype="int16").merge(chips, onto)
    assert merged.fill_value_default == 0
    assert merged.values.tolist() == [[1]]
    none = [whole(np.array([[0]], "int16"), 0)] * 2
    assert SpatialOverlapAdd(dtype="int16").merge(none, onto).values.tolist() == [[0]]


@pytest.mark.parametrize(
    "aggregation", [SpatialSum(), SpatialMean(), SpatialVariance(), SpatialMax(), SpatialMedian()]
)
@pytest.mark.parametrize("attrs", [{"band_roles": "class"}, {"band_names": ["QA_PIXEL"]}])
def test_statistics_refuse_classes_and_bits_with_the_way_out(aggregation, attrs):
    chip = whole(np.zeros((1, 2, 2), "uint8"), None, attrs)
    with pytest.raises(PatchError, match=r"SpatialHardVote.*see docs/reference"):
        aggregation.merge([chip], chip.data)


def test_masked_arrays_and_roles_of_labelled_arrays_enter_by_the_same_door():
    hidden = np.ma.array([[1.0, 20.0]], mask=[[False, True]])
    window = rasterio.windows.Window(0, 0, 2, 1)
    chips = [Patch(hidden, (0, 0), window), Patch(np.array([[3.0, 4.0]]), (0, 0), window)]
    assert SpatialMean().merge(chips, np.zeros((1, 2))).tolist() == [[2.0, 4.0]]
    whole_numbers = [Patch(hidden.astype(int), (0, 0), window), chips[1]]
    assert SpatialOverlapAdd().merge(whole_numbers, np.zeros((1, 2))).tolist() == [[2.0, 4.0]]

    scl = xr.DataArray(
        np.arange(12).reshape(3, 4).astype(">i2"),
        dims=("y", "x"),
        name="SCL",
        attrs={"_FillValue": 0},
    )
    patcher = SpatialPatcher(
        SpatialRectangular(2, boundary="shift"), SpatialRegularStride(1), SpatialHann()
    )
    merged = patcher.merge(patcher.split(XarrayField(scl)), XarrayField(scl))
    assert merged.dtype == np.int16, "classes that say their nodata stay what they are"
    np.testing.assert_array_equal(merged.ravel(), np.arange(12))
    with pytest.raises(PatchError, match="class"):
        SpatialMean().merge(patcher.split(XarrayField(scl)), XarrayField(scl))


def test_dask_arrays_declare_nodata_or_none():
    import dask.array as da

    values = np.array([[0, 2, 3, 4]], ">i2")
    patcher = SpatialPatcher(SpatialRectangular((1, 2)), SpatialRegularStride((1, 1)))
    for place in (None, NORTH_UP):
        merged = {}
        for nodata in (None, 0):
            field = DaskField(da.from_array(values, chunks=2), place, None, nodata)
            merged[nodata] = np.asarray(patcher.merge(patcher.split(field), field))
        np.testing.assert_array_equal(merged[None], [[0, 2, 3, 4]])
        np.testing.assert_array_equal(merged[0], [[np.nan, 2, 3, 4]])


def test_structured_arrays_are_named():
    chip = Patch(np.zeros((2, 2), [("a", "f4")]), (0, 0), rasterio.windows.Window(0, 0, 2, 2))
    with pytest.raises(TypeError, match="structured"):
        SpatialMean().merge([chip], np.zeros((2, 2)))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("nodata", [None, 7])
def test_a_field_says_the_nodata_of_its_file_and_hides_what_the_file_masks(tmp_path, dtype, nodata):
    values = np.arange(16).reshape(1, 4, 4).astype(dtype)
    shown = np.ones((4, 4), bool)
    shown[0, 1:3] = False
    profile = {"driver": "GTiff", "height": 4, "width": 4, "count": 1, "dtype": dtype}
    for name, mask in (("plain", None), ("masked", shown)):
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                tmp_path / f"{name}.tif",
                "w",
                **profile,
                nodata=nodata,
                crs=32632,
                transform=NORTH_UP,
            ) as file,
        ):
            file.write(values)
            if mask is not None:
                file.write_mask(mask)
        field = RasterField(RasterioReader(str(tmp_path / f"{name}.tif")))
        patcher = SpatialPatcher(SpatialRectangular(2), SpatialRegularStride(1), SpatialHann())
        chip = field.select(rasterio.windows.Window(0, 0, 4, 4))
        hidden = np.zeros((4, 4), bool) if mask is None else ~mask
        if nodata is not None:  # a mask and a nodata value both hide, as for every reader
            hidden = hidden | (values[0] == nodata)
        if mask is None:
            assert chip.fill_value_default == nodata
        found = invalid_mask(plain(chip), chip.fill_value_default)
        np.testing.assert_array_equal(
            np.zeros((1, 4, 4), bool) if found is None else found, [hidden]
        )
        merged = patcher.merge(patcher.split(field), field)
        np.testing.assert_allclose(merged.values, np.where(hidden, np.nan, values), rtol=1e-6)


def test_what_a_batched_function_makes_declares_what_its_type_can_know():
    scene = GeoTensor(np.full((2, 4, 4), 3, "uint16"), NORTH_UP, "EPSG:32632", 0)
    scene.attrs = {"band_names": ["B04", "SCL"], "band_roles": ("quantity", "class")}
    patcher = SpatialPatcher(SpatialRectangular(2), SpatialRegularStride(2))
    stream = patcher.stream(scene)
    same = stream.map(lambda batch: batch * np.uint16(2), batch_size=3)[0].data
    assert (same.fill_value_default, band_roles(same)) == (0, ("quantity", "class"))
    share = stream.map(lambda batch: batch[:, 0] * np.float32(0), batch_size=3)
    assert share[0].data.fill_value_default is None
    assert share[0].data.attrs == {}
    np.testing.assert_array_equal(patcher.merge(share, scene).values, np.zeros((4, 4)))


@pytest.mark.parametrize(("dtype", "value"), [("bool", 2), ("uint8", 0.5), ("int16", np.nan)])
def test_chips_are_padded_with_what_they_hold(dtype, value):
    scene = GeoTensor(np.ones((3, 3), dtype), NORTH_UP, "EPSG:32632", None)
    geometry = SpatialRectangular(2, boundary="pad", pad_mode="constant", pad_value=value)
    patcher = SpatialPatcher(geometry, SpatialRegularStride(2))
    with pytest.raises(PatchError, match="cannot be padded"):
        list(patcher.split(scene))


def test_a_mean_in_time_counts_valid_steps_and_chooses_classes():
    series = GeoTensor(
        np.array([[4, 0], [8, 6], [8, 0]], "uint8").reshape(3, 1, 1, 2), NORTH_UP, 32632, 0
    )
    patcher = TemporalPatcher(TemporalFixedLookback(2), TemporalRegularStride(1))
    merged = patcher.merge(patcher.split(series), series)
    np.testing.assert_array_equal(merged.ravel(), [4, np.nan, 8, 6, 8, np.nan])
    classes = [
        patch.with_data(
            GeoTensor(np.full((1, 1, 2), c), NORTH_UP, 32632, None, {"band_roles": "class"})
        )
        for patch, c in zip(patcher.split(series), (4, 8, 8), strict=True)
    ]
    merged = patcher.merge(classes, series)
    np.testing.assert_array_equal(merged.ravel(), [4, 4, 8, 8, 8, 8])
    masked = np.ma.array([[1], [5]], mask=[[True], [False]])
    patcher = TemporalPatcher(TemporalFixedLookback(1), TemporalExplicit([0, 1]))
    np.testing.assert_array_equal(patcher.merge(patcher.split(masked), masked), [[np.nan], [5]])


def test_roles_of_a_file_are_those_of_its_chips_and_of_the_file_made_of_them(tmp_path):
    values = np.random.default_rng(2).integers(0, 12, (2, 20, 20)).astype("uint8")
    profile = {"driver": "GTiff", "height": 20, "width": 20, "count": 2, "dtype": "uint8"}
    path = tmp_path / "scene.tif"
    with rasterio.open(path, "w", **profile, crs=32632, transform=NORTH_UP) as file:
        file.write(values)
        file.descriptions = ("B04", "SCL")
    patcher = SpatialPatcher(
        SpatialRectangular(8, boundary="shift"), SpatialRegularStride(5), SpatialHann()
    )
    field = RasterField(RasterioReader(str(path)))
    target = tmp_path / "o.tif"
    made = map_patches(patcher, field, lambda chip: chip, target=target, progress=False)
    assert band_roles(made) == ("quantity", "class")
    np.testing.assert_array_equal(made.load().values[1], values[1])
    with rasterio.open(target) as file:
        assert roles_in_file(file) == ("quantity", "class")


def test_cells_say_their_nodata():
    scene = GeoTensor(np.array([[[0, 4], [6, 0]]], "uint16"), NORTH_UP, "EPSG:32632", 0)
    patcher = SpatialPatcher(
        SpatialPolygonIntersection(gpd.GeoSeries([box(*scene.bounds)], crs=32632)),
        SpatialExplicit([0]),
        aggregation=SpatialMean(),
    )
    merged = patcher.merge(patcher.split(scene), scene)
    np.testing.assert_array_equal(merged.values, [[[np.nan, 4], [6, np.nan]]])


def test_sums_and_probabilities_are_quantities():
    chip = whole(np.ones((2, 2, 2), bool))
    assert band_roles(SpatialSum().merge([chip], chip.data)) == ("quantity", "quantity")
    assert band_roles(SpatialMax().merge([chip], chip.data)) == ("mask", "mask")
    odds = whole(np.full((2, 2, 2), 0.5), None, {"band_roles": "class"})
    soft = SpatialSoftVote(2).merge([odds], odds.data)
    assert band_roles(soft) == ("quantity", "quantity")
    labels = SpatialSoftVote(2, output="labels").merge([odds], odds.data)
    assert band_roles(labels) == ("class",)
