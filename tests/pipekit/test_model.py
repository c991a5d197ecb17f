"""ModelOp with scikit-learn, torch, and plain functions."""

import numpy as np
import pytest
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.crs import CRS
from sklearn.linear_model import LinearRegression

import pipekit as pk


class Recorder:
    def __init__(self):
        self.sizes = []

    def score(self, x):
        self.sizes.append(len(x))
        return x.sum(axis=tuple(range(1, x.ndim)))


@pytest.fixture(scope="module")
def line():
    x = np.arange(8.0).reshape(-1, 1)
    return LinearRegression().fit(x, 3 * x[:, 0] + 1)


@pytest.mark.parametrize("batch_size", [None, 1, 3, 10, 100])
def test_batches_give_what_one_call_gives(line, batch_size):
    x = np.linspace(-1, 1, 10).reshape(-1, 1)
    op = pk.ModelOp(line, method="predict", batch_size=batch_size)
    np.testing.assert_allclose(op(x), 3 * x[:, 0] + 1, atol=1e-12)


def test_the_batches_are_as_large_as_asked():
    model = Recorder()
    got = pk.ModelOp(model, method="score", batch_size=4)(np.ones((10, 2)))
    assert model.sizes == [4, 4, 2]
    assert got.tolist() == [2.0] * 10
    pk.ModelOp(model, method="score", batch_size=4)(np.ones((0, 2)))
    assert model.sizes[-1] == 0


def scene(dtype="uint16", fill=0):
    attrs = {"band_names": ["a", "b"], "item_id": "i"}
    return GeoTensor(
        np.ones((2, 3, 4), dtype), Affine.scale(10, -10), CRS.from_epsg(32610), fill, attrs
    )


def test_a_geotensor_keeps_its_place_when_space_is_kept():
    seen = []

    def model(x):
        seen.append(type(x))
        return x.sum(axis=0)

    got = pk.ModelOp(model)(scene())
    assert seen == [np.ndarray]
    assert isinstance(got, GeoTensor)
    assert got.shape == (3, 4)
    assert (got.transform, got.crs) == (scene().transform, scene().crs)
    assert got.attrs == {"item_id": "i"}
    same = pk.ModelOp(lambda x: x)(scene())
    assert same.attrs == scene().attrs
    assert type(pk.ModelOp(lambda x: x.mean())(scene())) is np.ndarray
    assert type(pk.ModelOp(lambda x: x[:, ::2])(scene())) is np.ndarray


def test_a_fill_value_that_does_not_fit_the_result_is_dropped():
    to_bytes = pk.ModelOp(lambda x: x.astype("uint8"))
    # NaN is none of its pixels: 0 may be a class, so nothing marks nodata.
    assert to_bytes(scene("float32", fill=np.nan)).fill_value_default is None
    assert to_bytes(scene("int16", fill=-9999)).fill_value_default is None
    assert to_bytes(scene(fill=7)).fill_value_default == 7
    assert pk.ModelOp(lambda x: x > 0)(scene(fill=0)).fill_value_default == 0


def test_equality_is_the_model_s_identity(line):
    assert pk.ModelOp(line, "predict") == pk.ModelOp(line, "predict")
    assert pk.ModelOp(line, "predict") != pk.ModelOp(LinearRegression(), "predict")
    assert pk.ModelOp.forbid_in_yaml


def test_a_model_s_own_get_config_is_not_its_identity():
    class WithWeights:
        def __init__(self, units):
            self.units = units

        def get_config(self):
            return {"units": self.units}

        def __call__(self, x):
            return x

    one, other = pk.ModelOp(WithWeights(3)), pk.ModelOp(WithWeights(3))
    assert one != other
    assert one == pk.ModelOp(one.model)
    assert repr(one) == "ModelOp(model=<WithWeights>, method='__call__', batch_size=None)"


def test_wrong_arguments(line):
    with pytest.raises(TypeError, match="LinearRegression has no method 'classify' to call"):
        pk.ModelOp(line, method="classify")
    with pytest.raises(TypeError, match="has no method '__call__'"):
        pk.ModelOp(line)
    for size in (0, -1, 2.5):
        with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
            pk.ModelOp(line, method="predict", batch_size=size)
    with pytest.raises(ValueError, match="the input is a single number"):
        pk.ModelOp(abs, batch_size=2)(3)


def test_a_torch_module_runs_without_gradients(torch):
    module = torch.nn.Linear(3, 1)
    states = []
    module.register_forward_hook(lambda *_: states.append(torch.is_grad_enabled()))
    x = np.ones((5, 3), "float32")
    got = pk.ModelOp(module, batch_size=2)(x)
    assert type(got) is np.ndarray
    assert states == [False] * 3
    with torch.no_grad():
        np.testing.assert_allclose(got, module(torch.from_numpy(x)).numpy(), rtol=1e-6)
    x.flags.writeable = False
    assert pk.ModelOp(module)(x).shape == (5, 1)
    assert pk.ModelOp(module)(x[::-1]).shape == (5, 1)


@pytest.mark.parametrize("dtype", ["float64", ">f4", "float16"])
def test_floats_are_given_to_torch_in_the_dtype_of_its_parameters(dtype, torch):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(2, 3, 3, padding=1)
    x = np.arange(24).reshape(2, 3, 4).astype(dtype) / 32
    got = pk.ModelOp(conv)(GeoTensor(x, scene().transform, scene().crs))
    with torch.no_grad():
        expected = conv(torch.from_numpy(x.astype("float32"))).numpy()
    assert isinstance(got, GeoTensor)
    assert got.dtype == np.float32
    assert got.shape == (3, 3, 4)
    assert got.transform == scene().transform
    np.testing.assert_allclose(got.values, expected, rtol=1e-6)


def test_integers_reach_torch_as_they_are_and_the_mode_is_left_alone(torch):
    table = torch.nn.Embedding(4, 2)
    labels = np.array([3, 0, 3], "int64")
    got = pk.ModelOp(table, batch_size=2)(labels)
    assert np.array_equal(got, table.weight.detach().numpy()[labels])
    dropout = torch.nn.Dropout(0.5)
    assert dropout.training
    pk.ModelOp(dropout)(np.ones(4, "float32"))
    assert dropout.training
    assert np.array_equal(pk.ModelOp(dropout.eval())(np.ones(4, "float32")), np.ones(4))


@pytest.mark.parametrize("result", [None, {"logits": None}, {"a": {"b": np.ones(2)}}])
def test_what_is_no_array_is_refused(result):
    with pytest.raises(TypeError, match="which is no array; wrap the model in a function"):
        pk.ModelOp(lambda x: result)(np.ones(2))


@pytest.mark.parametrize("batch_size", [None, 1, 2, 7])
def test_a_torch_module_is_moved_to_its_device_and_batches_keep_their_order(batch_size, torch):
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        torch.manual_seed(0)
        module = torch.nn.Conv2d(2, 3, 3, padding=1)
        x = np.random.default_rng(0).normal(size=(5, 2, 8, 9)).astype("float32")
        expected = pk.ModelOp(module)(x)
        op = pk.ModelOp(module, batch_size=batch_size, device=device)
        assert next(module.parameters()).device.type == device
        np.testing.assert_allclose(op(x), expected, rtol=1e-4, atol=1e-5)
        assert f"device='{device}'" in repr(op)


def test_lower_precision_is_asked_for_and_comes_back_as_numpy(torch):
    torch.manual_seed(0)
    module, x = torch.nn.Conv2d(2, 3, 3), np.ones((2, 2, 8, 8), "float32")
    seen = []
    module.register_forward_hook(lambda _, __, made: seen.append(made.dtype))
    got = pk.ModelOp(module, autocast="bfloat16")(x)
    assert seen == [torch.bfloat16]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, pk.ModelOp(module)(x), rtol=0.05, atol=0.05)


def test_device_and_precision_are_torch_s():
    with pytest.raises(TypeError, match="are for torch modules, got a ufunc"):
        pk.ModelOp(np.negative, device="cuda")


def test_an_unknown_precision_is_refused(torch):
    with pytest.raises(ValueError, match="autocast must be 'bfloat16' or 'float16', got 'int8'"):
        pk.ModelOp(torch.nn.Identity(), autocast="int8")


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_model_that_gives_several_arrays_gives_them_by_name(batch_size):
    def model(x):
        return {"twice": 2 * x, "mean": x.mean(axis=(1, 2))}

    tile = GeoTensor(np.arange(60.0).reshape(3, 4, 5), Affine.scale(10, -10), "EPSG:32632")
    found = pk.ModelOp(model, batch_size=batch_size)(tile)
    assert list(found) == ["twice", "mean"]
    assert (found["twice"].transform, found["twice"].crs) == (tile.transform, tile.crs)
    np.testing.assert_array_equal(found["twice"].values, 2 * tile.values)
    assert type(found["mean"]) is np.ndarray
    np.testing.assert_array_equal(found["mean"], tile.values.mean(axis=(1, 2)))


def test_batches_that_differ_in_names_are_refused():
    names = iter("ab")
    with pytest.raises(TypeError, match="arrays of the same names"):
        pk.ModelOp(lambda x: {next(names): x}, batch_size=1)(np.ones(2))


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3])
@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_several_arrays_without_names_are_no_rows_of_one(batch_size, kind, count):
    """As many outputs as a batch has rows were taken for the answers to these rows."""
    op = pk.ModelOp(lambda x: kind(x * n for n in range(count)), batch_size=batch_size)
    with pytest.raises(TypeError, match=f"gave a {kind.__name__} of {count}, where one array is"):
        op(np.ones((4, 3, 5, 5)))


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_a_list_of_rows_is_rows(batch_size):
    x = np.random.default_rng(0).random((4, 3, 5))
    means = pk.ModelOp(lambda rows: [row.mean() for row in rows], batch_size=batch_size)(x)
    np.testing.assert_array_equal(means, [row.mean() for row in x])
    twice = pk.ModelOp(lambda rows: [2 * row for row in rows], batch_size=batch_size)(x)
    np.testing.assert_array_equal(twice, 2 * x)


@pytest.mark.parametrize("answer", [lambda x: x[:1], lambda x: x.mean(), lambda x: {"a": x[:1]}])
def test_a_batch_is_answered_row_by_row(answer):
    with pytest.raises(ValueError, match=r"gives one row for each of its 2, got an array of shape"):
        pk.ModelOp(answer, batch_size=2)(np.ones((4, 3)))


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device, torch):
    with pytest.raises(ValueError, match=f"device must be one that torch has here, got '{device}'"):
        pk.ModelOp(torch.nn.Conv2d(1, 1, 1), device=device)
