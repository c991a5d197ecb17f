"""OnnxOp against convolutions in plain numpy: layouts, normalisation, nodata, identity, workers."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

pytest.importorskip("onnxruntime", reason="onnxruntime is an extra")
pytest.importorskip("onnx", reason="onnx writes the networks of these tests")

from onnx_files import (
    argmax,
    convolved,
    weights,
    write_convolution,
    write_per_pixel_nhwc,
)

import geotoolz as gz
from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride, map_patches
from pipekit import UntrustedOperatorError, from_config, from_yaml, to_config, to_yaml
from pipekit.fingerprint import fingerprint
from pipekit.pixels import band_roles

KERNEL = weights(3, 4)
MEAN, STD = (0.1, 0.2, 0.3, 0.4), (0.5, 1.0, 2.0, 4.0)
CLASSES = {0: "clear", 1: ("shadow", "#333333"), 2: ("cloud", "#ffffff")}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_convolution(tmp_path_factory.mktemp("models") / "small.onnx", KERNEL)


def scene(shape=(4, 40, 30), dtype="uint16", fill=0, seed=1, **attrs):
    values = np.random.default_rng(seed).integers(1, 10_000, shape).astype(dtype)
    return GeoTensor(values, Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632", fill, attrs)


def normalised(values):
    each = np.reshape(MEAN, (-1, 1, 1)), np.reshape(STD, (-1, 1, 1))
    return (values * 1e-4 - each[0]) / each[1]


def op_of(path, **options):
    return gz.OnnxOp(path, **{"scale": 1e-4, "mean": MEAN, "std": STD, **options})


def test_scores_probabilities_and_classes_are_those_of_plain_numpy(network):
    raster = scene()
    expected = convolved(normalised(raster.values), KERNEL)
    scores = op_of(network, output="scores")(raster)
    np.testing.assert_allclose(scores.values, expected, rtol=1e-4, atol=1e-4)
    shares = np.exp(expected) / np.exp(expected).sum(0)
    made = op_of(network, output="probabilities", classes=CLASSES)(raster)
    np.testing.assert_allclose(made.values, shares, atol=1e-5)
    assert made.attrs["band_names"] == ["clear", "shadow", "cloud"]
    assert band_roles(made) == ("quantity",) * 3
    classes = op_of(network, classes=CLASSES)(raster)
    assert np.array_equal(classes.values, expected.argmax(0))
    assert (classes.dtype, classes.fill_value_default) == (np.uint8, 255)
    assert band_roles(classes) == ("class",)
    assert classes.attrs["classes"]["2"] == ["cloud", "#ffffff"]
    assert (classes.transform, classes.crs) == (raster.transform, raster.crs)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", ">u2", "bool"])
def test_any_dtype_and_kind_of_array_goes_in(network, dtype):
    values = (np.arange(4 * 9 * 8).reshape(4, 9, 8) % 200).astype(dtype)
    op = op_of(network, output="scores")
    expected = convolved(normalised(values.astype("float64")), KERNEL)
    np.testing.assert_allclose(op(values), expected, atol=1e-4)
    assert type(op(values)) is np.ndarray


def test_a_batch_and_a_series_are_their_chips(network):
    raster = scene((5, 4, 12, 10))
    op = op_of(network)
    for size in (None, 1, 2, 5, 9):
        made = op_of(network, batch_size=size)(raster)
        assert made.shape == (5, 12, 10)
        assert all(np.array_equal(made.values[i], op(raster.values[i])) for i in range(5))
    assert op(raster.values[:0]).shape == (0, 12, 10)


def test_missing_pixels_stay_missing_and_the_network_sees_what_it_is_told(network):
    raster = scene()
    raster.values[2, 5:8, 9] = 0
    seen = normalised(np.where(raster.values == 0, 5_000, raster.values))
    expected = convolved(seen, KERNEL).argmax(0)
    expected[5:8, 9] = 255
    made = op_of(network, missing=0.5)(raster)
    assert np.array_equal(made.values, expected)
    probabilities = op_of(network, output="probabilities")(raster)
    assert np.array_equal(np.isnan(probabilities.values).all(0), expected == 255)
    assert np.isnan(probabilities.values).sum() == 9


def test_bands_are_chosen_by_name_and_number(network):
    names = ["B11", "B08", "B04", "B03", "B02"]
    raster = scene((5, 9, 8), band_names=names)
    expected = op_of(network)(raster.values[[4, 3, 2, 1]])
    for bands in (("blue", "green", "red", "nir"), ("B02", "B03", "B04", "B08"), (4, 3, 2, 1)):
        assert np.array_equal(op_of(network, bands=bands)(raster).values, expected)
    with pytest.raises(gz.BandError, match=r"takes 4 bands, got 5 \(B11, .*bands="):
        op_of(network)(raster)


def test_layouts_and_other_outputs(tmp_path):
    matrix = weights(4, 3, 1)[:, :, 0, 0]
    nhwc = write_per_pixel_nhwc(tmp_path / "nhwc.onnx", matrix)
    values = scene((4, 9, 8)).values
    made = op_of(nhwc, layout="NHWC", output="scores")(values)
    np.testing.assert_allclose(
        made, np.einsum("ck,chw->khw", matrix, normalised(values)), atol=1e-4
    )
    by_network = write_convolution(
        tmp_path / "argmax.onnx",
        KERNEL,
        then=[argmax()],
        made="INT64",
        out_dims=("N", "H", "W"),
    )
    expected = convolved(normalised(values), KERNEL).argmax(0)
    assert np.array_equal(op_of(by_network)(values), expected)
    ids = op_of(by_network, classes={10: "a", 20: "b", 300: "c"})(values)
    assert ids.dtype == np.uint16
    assert np.array_equal(ids, np.array([10, 20, 300])[expected])
    with pytest.raises(ValueError, match="gives int64, which are no probabilities"):
        op_of(by_network, output="probabilities")(values)


@pytest.mark.parametrize(("activation", "even"), [("sigmoid", 0.0), ("none", 0.5)])
def test_a_single_channel_is_yes_or_no(tmp_path, activation, even):
    kernel = weights(1, 4)
    path = write_convolution(tmp_path / "one.onnx", kernel)
    values = scene((4, 9, 8)).values
    expected = convolved(normalised(values), kernel)[0]
    made = op_of(path, activation=activation, classes=["clear", "cloud"])(values)
    assert np.array_equal(made, expected > even)
    shares = op_of(path, activation="sigmoid", output="probabilities", classes=["no", "yes"])
    assert shares(scene((4, 9, 8))).attrs["band_names"] == ["yes"]
    np.testing.assert_allclose(shares(values)[0], 1 / (1 + np.exp(-expected)), atol=1e-5)


@pytest.mark.parametrize("kind", ["UINT8", "FLOAT16", "DOUBLE"])
def test_networks_that_take_other_numbers(tmp_path, kind):
    path = write_convolution(tmp_path / "kind.onnx", KERNEL, kind=kind)
    values = np.random.default_rng(2).integers(0, 200, (4, 9, 8)).astype("uint8")
    made = gz.OnnxOp(path, output="scores")(values)
    np.testing.assert_allclose(made, convolved(values, KERNEL), rtol=1e-3, atol=1e-2)


def test_a_network_of_fixed_size_and_batch(tmp_path):
    path = write_convolution(
        tmp_path / "fixed.onnx", KERNEL, dims=(2, 4, 16, 16), out_dims=(2, 3, 16, 16)
    )
    op = op_of(path)
    assert (op.input_bands, op.input_size) == (4, (16, 16))
    values = scene((3, 4, 16, 16)).values
    expected = [convolved(normalised(one), KERNEL).argmax(0) for one in values]
    assert np.array_equal(op(values), expected)
    with pytest.raises(ValueError, match=r"chips of \(16, 16\) pixels .*got \(16, 15\).*shift"):
        op(values[..., 1:])


def test_equality_is_content_and_settings_wherever_the_file_lies(network, tmp_path):
    copy = shutil.copy(network, tmp_path / "small.onnx")
    one, other = op_of(network, classes=CLASSES), op_of(copy, classes=CLASSES)
    assert one == other
    assert one.config_hash == other.config_hash
    assert fingerprint(one) == fingerprint(other)
    assert one != op_of(network, output="scores")
    (tmp_path / "changed").mkdir()
    another = write_convolution(tmp_path / "changed" / "small.onnx", KERNEL + 1)
    assert op_of(another, classes=CLASSES) != one


def test_a_config_holds_the_hash_and_no_place(network, tmp_path, monkeypatch):
    pipeline = gz.Sequential([op_of(network, bands=[3, 2, 1, 0], classes=CLASSES)])
    text = to_yaml(pipeline)
    assert str(network.parent) not in text
    assert "sha256" in text
    with pytest.raises(UntrustedOperatorError, match="files=True"):
        from_yaml(text)
    again = from_yaml(text, files=True)
    assert again == pipeline == from_config(to_config(pipeline), files=True)
    raster = scene()
    assert np.array_equal(again(raster).values, pipeline(raster).values)
    # In another process nothing is known yet: the folder has to be named.
    monkeypatch.setattr("geotoolz.networks._known", {})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="GEOSTACK_MODELS"):
        from_yaml(text, files=True)
    monkeypatch.setenv("GEOSTACK_MODELS", f"{tmp_path}:{network.parent}")
    assert from_yaml(text, files=True) == pipeline


def test_another_content_is_refused(network, tmp_path):
    path = shutil.copy(network, tmp_path / "other.onnx")
    op = op_of(path)
    write_convolution(path, KERNEL + 1)
    with pytest.raises(ValueError, match=r"other\.onnx is not the model.*SHA-256"):
        gz.OnnxOp(path, sha256=op.sha256)
    with pytest.raises(FileNotFoundError, match="there is no model"):
        gz.OnnxOp(tmp_path / "none.onnx")


def test_settings_that_do_not_fit_are_refused_before_any_chip(network):
    with pytest.raises(ValueError, match="mean must be as many as the network's 4 bands, got 3"):
        gz.OnnxOp(network, mean=[1, 2, 3])
    with pytest.raises(ValueError, match="bands must be as many as the network's 4 bands, got 2"):
        gz.OnnxOp(network, bands=("red", "nir"))
    with pytest.raises(ValueError, match=r"classes must name the network's 3 classes, got 2: \['a"):
        gz.OnnxOp(network, classes=["a", "b"])
    with pytest.raises(ValueError, match="std divides"):
        gz.OnnxOp(network, std=[1, 0, 1, 1])
    with pytest.raises(ValueError, match=r"device must be .*CPUExecutionProvider.*got 'abacus'"):
        gz.OnnxOp(network, device="abacus")
    with pytest.raises(ValueError, match=r"output must be 'classes', .*got 'logits'"):
        gz.OnnxOp(network, output="logits")
    with pytest.raises(ValueError, match="output_name must be"):
        gz.OnnxOp(network, output_name="nothing")


def test_an_open_session_lives_here_only(network):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    op = op_of(session)
    raster = scene()
    assert np.array_equal(op(raster).values, op_of(network)(raster).values)
    assert op == op_of(session)
    with pytest.raises(TypeError, match="give OnnxOp the file's path"):
        pickle.dumps(op)
    with pytest.raises(TypeError, match="path holds a"):
        to_config(op)


def test_one_session_for_all_operators_and_threads_of_a_process(network):
    again = pickle.loads(pickle.dumps(op_of(network)))
    assert again == op_of(network)
    assert again.session is op_of(network, output="scores").session
    assert len(pickle.dumps(again)) < 2_000


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_a_tiled_run_is_the_whole_with_a_rim_for_the_kernel(network, scheduler, tmp_path):
    raster = scene((4, 60, 50))
    op = op_of(network, classes=CLASSES, radius=1)
    whole = op(raster)
    patcher = SpatialPatcher(SpatialRectangular(16, boundary="shift"), SpatialRegularStride(16))
    tiled = map_patches(
        patcher, raster, op, scheduler=scheduler, workers=2, block_rows=20, progress=False
    )
    assert np.array_equal(tiled.values, whole.values)
    assert band_roles(tiled) == ("class",)
    assert tiled.attrs["classes"] == whole.attrs["classes"]


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batches_of_a_run_keep_names_roles_and_nodata(network, batch_size, tmp_path):
    raster = scene((5, 70, 50), band_names=["B11", "B08", "B04", "B03", "B02"])
    raster.values[3, 10:14, 20] = 0
    said = {"scale": 1.0, "classes": CLASSES, "radius": 1}
    pipeline = gz.DNToReflectance() | op_of(network, bands=("blue", "green", "red", "nir"), **said)
    by_number = gz.DNToReflectance() | op_of(network, bands=(4, 3, 2, 1), **said)
    whole = pipeline(raster)
    patcher = SpatialPatcher(SpatialRectangular(16, boundary="shift"), SpatialRegularStride(16))
    path = gz.write_cog(raster, tmp_path / "scene.tif")
    for source, op in ((raster, pipeline), (RasterioReader(str(path)), by_number)):
        tiled = map_patches(patcher, source, op, batch_size=batch_size, workers=2, progress=False)
        assert np.array_equal(np.squeeze(tiled.values), whole.values)
        assert (tiled.dtype, tiled.fill_value_default) == (np.uint8, 255)
        assert band_roles(tiled)[0] == "class"
        assert tiled.attrs["classes"] == whole.attrs["classes"]
    stitched = gz.Sequential(
        [gz.GridSampler(patcher), gz.ApplyToChips(pipeline, batch_size=batch_size), gz.Stitch()]
    )(raster)
    assert np.array_equal(stitched.values, whole.values)
    assert stitched.attrs["classes"] == whole.attrs["classes"]


@pytest.mark.parametrize("on_error", ["raise", "skip", "fill"])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_scene_of_other_bands_fails_whatever_a_run_does_with_errors(
    network, on_error, batch_size
):
    asked = []

    class Counted(gz.OnnxOp):
        def _apply(self, raster):
            asked.append(raster.shape)
            return super()._apply(raster)

    patcher = SpatialPatcher(
        SpatialRectangular(8, boundary="shift"), SpatialRegularStride(8), on_error=on_error
    )
    with pytest.raises(gz.BandError, match="the network takes 4 bands, got 3"):
        map_patches(
            patcher,
            scene((3, 40, 40)),
            Counted(network),
            workers=1,
            progress=False,
            batch_size=batch_size,
        )
    assert not asked


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["uint16", ">u2", "float32", "int16"]),
    st.sampled_from([None, 0, 7]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_whatever_kind_of_raster_comes_it_is_the_one_in_floats(network, dtype, fill, masked, seed):
    raster = scene((4, 10, 9), dtype, fill, seed)
    raster.values[:, 2:4, 3] = 7
    hidden = np.zeros((4, 10, 9), bool)
    values = np.asarray(raster.values)
    if masked:
        hidden[1, 5, 5] = True
        raster = np.ma.array(values, mask=hidden)
    elif fill is not None:
        hidden = values == fill
    expected = op_of(network)(np.where(hidden, 0, values.astype("float64")))
    expected[hidden.any(0)] = 255
    made = op_of(network)(raster)
    assert np.array_equal(np.ma.filled(made, 255) if masked else made.values, expected)


class Unreadable:
    """A raster of which no pixel may be read."""

    def __init__(self, bands):
        self.shape, self.dtype = (bands, 40, 40), np.dtype("uint16")
        self.transform, self.crs = Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32632"
        self.fill_value_default, self.attrs = 0, {}

    def read_from_window(self, window, boundless=True):
        raise AssertionError("a chip was read")


def chips_of_eight(**options):
    geometry = SpatialRectangular(8, boundary="shift")
    return SpatialPatcher(geometry, SpatialRegularStride(8), **options)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("before", [None, gz.DNToReflectance(), gz.SelectBands((2, 1, 0))])
def test_a_network_of_other_bands_is_refused_before_a_chip_is_read(
    network, tmp_path, scheduler, on_error, before
):
    op = gz.OnnxOp(network)
    steps = [op] if before is None else [gz.ToFloat32(), before, op]
    if isinstance(before, gz.SelectBands):  # which a pipeline alone can tell
        with pytest.raises(gz.BandError, match="takes 4 bands, got 3") as caught:
            gz.Sequential(steps)
        assert "step 3 of 3: OnnxOp" in caught.value.__notes__[0]
        return
    pipeline, patcher = gz.Sequential(steps), chips_of_eight(on_error=on_error)
    how = {"scheduler": scheduler, "workers": 2, "progress": False}
    with pytest.raises(gz.BandError, match=r"takes 4 bands, got 3; choose them with bands="):
        map_patches(patcher, Unreadable(3), pipeline, target=tmp_path / "o.tif", **how)
    tiled = gz.Sequential([gz.GridSampler(patcher), gz.ApplyToChips(pipeline), gz.Stitch()])
    with pytest.raises(gz.BandError, match="takes 4 bands, got 3"):
        tiled(Unreadable(3))
    assert not list(tmp_path.iterdir())
    with pytest.raises(AssertionError, match="a chip was read"):
        map_patches(chips_of_eight(), Unreadable(4), pipeline, workers=1, progress=False)


def test_bands_that_are_chosen_or_unknown_are_not_refused(network):
    raster = scene((6, 16, 16))
    for pipeline in (
        gz.OnnxOp(network, bands=(0, 2, 4, 5)),
        gz.SelectBands((0, 2, 4, 5)) | gz.OnnxOp(network),
        gz.Lambda(lambda chip: chip[[0, 2, 4, 5]]) | gz.OnnxOp(network),
    ):
        made = map_patches(chips_of_eight(), raster, pipeline, workers=1, progress=False)
        assert made.shape == (16, 16)


def test_a_torch_network_of_other_bands_is_refused_before_a_chip_is_read(torch):
    first = torch.nn.Conv2d(4, 2, 1)
    for model in (first, torch.nn.Sequential(torch.nn.Sequential(first), torch.nn.ReLU())):
        op = gz.ToFloat32() | gz.ModelOp(model)
        with pytest.raises(ValueError, match="takes 4 bands, got 3; choose them before it"):
            map_patches(chips_of_eight(), Unreadable(3), op, batch_size=4, progress=False)
        made = map_patches(chips_of_eight(), scene((4, 16, 16)), op, workers=1, progress=False)
        assert made.shape == (2, 16, 16)


@pytest.mark.parametrize("kind", ["UINT8", "INT8", "UINT16", "INT16", "INT32"])
def test_whole_numbers_beyond_a_network_s_dtype_stop_at_its_limits(tmp_path, kind):
    """They came around at the other end before: 3000 was 184 to a network of bytes."""
    path = write_convolution(tmp_path / "whole.onnx", KERNEL, kind=kind)
    rng = np.random.default_rng(3)
    values = rng.integers(-300, 300, (4, 9, 8)) * 10.0 ** rng.integers(0, 8, (4, 9, 8))
    limits = np.iinfo(kind.lower())
    seen = np.clip(values, limits.min, limits.max)
    made = gz.OnnxOp(path, output="scores")(values)
    np.testing.assert_allclose(
        made, convolved(seen, KERNEL), rtol=1e-4, atol=1e-5 * abs(seen).max()
    )


def test_scores_that_are_none_are_no_class(tmp_path):
    """argmax takes the first NaN for the largest."""
    path = write_convolution(tmp_path / "half.onnx", KERNEL, kind="FLOAT16")
    values = np.ones((4, 9, 8), "float32")
    values[:, 4, 4] = np.inf  # of which weights of both signs make NaN
    scores = gz.OnnxOp(path, output="scores")(values)
    unknown = np.isnan(scores).any(axis=0)
    assert 0 < unknown.sum() < unknown.size
    labels = gz.OnnxOp(path)(values)
    assert np.array_equal(labels == 255, unknown)
    assert np.array_equal(labels[~unknown], scores.argmax(0)[~unknown])


def test_a_class_below_zero_is_none_of_them(tmp_path):
    from onnx import TensorProto, helper

    cast = helper.make_node("Cast", ["y"], ["out"], to=TensorProto.INT64)
    path = write_convolution(tmp_path / "minus.onnx", weights(1, 4), then=[cast], made="INT64")
    with pytest.raises(ValueError, match=r"gives class -[0-9]+, which is none of 0 to"):
        gz.OnnxOp(path)(-np.ones((4, 9, 8)) * np.sign(weights(1, 4).sum()) * 9)


def test_what_a_network_cannot_give_is_refused_when_it_is_opened(tmp_path):
    from onnx import TensorProto, helper

    path = write_convolution(tmp_path / "argmax.onnx", KERNEL, then=[argmax()], made="INT64")
    with pytest.raises(ValueError, match="gives int64, which are no scores"):
        gz.OnnxOp(path, output="scores")
    dims = ("N", 4, "H", "W")
    both = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name in "ab"]
    made = [helper.make_tensor_value_info("c", TensorProto.FLOAT, dims)]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "two", both, made)
    opset = [helper.make_opsetid("", 17)]
    two = tmp_path / "two.onnx"
    two.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
    with pytest.raises(ValueError, match=r"one image tensor, this one takes 2: \['a', 'b'\]"):
        gz.OnnxOp(two)


def test_counts_may_be_numpy_s(network):
    op = op_of(network, batch_size=np.int64(2), threads=np.int32(1), radius=np.uint8(1))
    assert [type(each) for each in (op.batch_size, op.threads, op.radius)] == [int] * 3
    assert op(scene((3, 4, 9, 8))).shape == (3, 9, 8)
