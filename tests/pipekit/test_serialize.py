"""Configs and YAML: exact round trips, and hostile texts refused without running anything."""

import base64
import datetime
import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pipekit as pk
from pipekit.config import canonical


class Bomb(pk.Operator):
    """Tells when it is built."""

    built = 0

    def __init__(self, size=0):
        Bomb.built += 1
        self.size = size


@pytest.fixture
def bombs():
    """A registry with Bomb in it, and the assertion that none was built."""
    Bomb.built = 0
    yield pk.Registry([Bomb, pk.Sequential, pk.Const])
    assert Bomb.built == 0


dtypes = st.sampled_from(
    ["?", "u1", "i2", "u8", "f2", "f4", "f8", "c8", "c16", "U3", "S2", "M8[s]", "m8[ms]", ">i4"]
)
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    )
)
leaf_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "yes",
            "on",
            "1e-4",
            "0x1f",
            "010",
            "~",
            "null",
            "2024-06-14",
            "1_000",
            ".5",
            "a: b",
            "\x85",
        ]
    )
    | st.complex_numbers()
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes(timezones=st.just(datetime.UTC) | st.none())
    | st.timedeltas()
    | st.builds(slice, st.none() | st.integers(0, 9), st.integers(0, 9))
    | st.just(...)
    | arrays
    | arrays.map(lambda a: a.ravel()[0] if a.size else None)
)
keys = st.text(max_size=5) | st.sampled_from(["class", "config", "$tuple", "on"])
values = st.recursive(
    leaf_values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys | st.integers() | st.tuples(st.integers()), inner, max_size=3)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=8,
)


def same(a, b):
    """Strict equality: types, dtypes, signs of zero, NaN alike."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return a == b


@settings(max_examples=250)
@given(values)
def test_every_value_comes_back_exactly(value):
    op = pk.Const(value)
    config = json.loads(json.dumps(pk.to_config(op), allow_nan=False))
    assert same(pk.from_config(config).value, value)
    text = pk.to_yaml(op)
    assert same(pk.from_yaml(text).value, value), text
    assert pk.from_yaml(text).config_hash == op.config_hash


def test_the_text_is_the_one_a_person_would_write():
    op = pk.Sequential(
        [pk.AssertShape([4, None]), pk.Fanout({"yes": pk.Identity(), "no": pk.Const(1e-4)})]
    )
    assert pk.to_yaml(op) == (
        "class: Sequential\n"
        "config:\n"
        "  operators:\n"
        "  - class: AssertShape\n"
        "    config:\n"
        "      shape:\n"
        "        $tuple:\n"
        "        - 4\n"
        "        - null\n"
        "      on_fail: raise\n"
        "  - class: Fanout\n"
        "    config:\n"
        "      operators:\n"
        "        yes:\n"
        "          class: Identity\n"
        "          config: {}\n"
        "        no:\n"
        "          class: Const\n"
        "          config:\n"
        "            value: 0.0001\n"
    )


def test_hand_written_words_mean_what_they_say():
    text = "{class: Const, config: {value: [on, yes, 1e-4, 010, 2024-06-14, true, ~, '1', 1:30]}}"
    expected = ["on", "yes", 1e-4, 10, "2024-06-14", True, None, "1", "1:30"]
    assert same(pk.from_yaml(text).value, expected)


def test_defaults_may_be_left_out():
    assert pk.from_yaml("class: AssertDType\nconfig: {dtype: float32}") == pk.AssertDType("float32")


# --- what cannot be written ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "path"),
    [
        (pk.Identity() | pk.Lambda(abs), r"operators\[1\]\.fn holds the function abs"),
        (pk.Fanout({"a": pk.Tap(print)}), r"operators\['a'\]\.fn holds the function print"),
        (pk.ModelOp(np.negative), r"model holds a numpy\.ufunc"),
        (pk.Const([1, {"b": object()}]), r"value\[1\]\['b'\] holds a builtins\.object"),
        (pk.Retry(pk.Identity(), sleep=lambda s: None), r"sleep holds the function"),
        (pk.Profile().wrap(pk.Identity()), r"profile holds a pipekit\.observe\.Profile"),
        (pk.Cache(pk.Identity(), folder="here"), r"is a Cache, which lives in this process only"),
        (pk.Const(np.array([None])), r"value holds a numpy\.ndarray"),
    ],
)
def test_what_has_no_text_form_is_refused_with_its_path(op, path):
    for write in (pk.to_config, pk.to_yaml):
        with pytest.raises(pk.NotSerializableError, match=path):
            write(op)
    with pytest.raises(pk.NotSerializableError):
        _ = op.config_hash
    assert repr(op)
    assert op == op


def test_to_config_takes_operators_only():
    with pytest.raises(TypeError, match="takes an operator, got a dict"):
        pk.to_config({})


# --- what is refused when read ---------------------------------------------------------------------


def node(name="Const", **config):
    return {"class": name, "config": config}


def test_an_unknown_class_is_named_with_its_path(bombs):
    config = node(
        "Sequential", operators=[node("Bomb"), node("Sequential", operators=[node("Evil")])]
    )
    with pytest.raises(
        pk.UntrustedOperatorError, match=r"operators\[1\]\.operators\[0\]: the class 'Evil'"
    ):
        pk.from_config(config, bombs)


@pytest.mark.parametrize(
    "name", ["__import__", "os.system", "Operator", "Lambda", "", "object", "builtins.eval"]
)
def test_no_name_is_looked_up_outside_the_registry(name):
    with pytest.raises(pk.UntrustedOperatorError, match="not in the registry"):
        pk.from_config(node(name))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            node("Const", value=1, extra=2),
            r"the top of the config: Const has no argument 'extra'; it takes value",
        ),
        (node("Const", __class__="x"), "no argument '__class__'"),
        (node("Const"), "Const refuses its arguments.*'value'"),
        ({"class": "Const", "config": [1]}, "config of Const must be a mapping, got list"),
        ({"class": ["Const"], "config": {}}, "the class list is not in the registry"),
        (node(value={"$unknown": 1}), r"value: \['\$unknown'\] is no known tag"),
        (node(value={"$tuple": [], "$set": []}), "is no known tag"),
        (node(value={"$float": "1.5"}), r"cannot read \$float"),
        (node(value={"$type": "eval"}), "'eval' is no plain type"),
        (node(value={"$type": "numpy.load"}), "is no plain type"),
        (node(value={"$exception": "Evil"}), "exception 'Evil' is not in the registry"),
        (node(value={"$exception": "KeyboardInterrupt"}), "not in the registry"),
        (node(value={"$dtype": "O"}), "not a plain one"),
        (
            node(value={"$ndarray": {"dtype": "f4", "shape": [10**12], "values": [1]}}),
            "does not fit 1 values",
        ),
        (
            node(value={"$ndarray": {"dtype": "U99999999", "shape": [9], "values": ["a"] * 9}}),
            "too many",
        ),
        (
            node(value={"$ndarray": {"dtype": "O", "shape": [1], "base64": "AAAA"}}),
            "not a plain one",
        ),
        (node(value={"$ndarray": {"dtype": "f4"}}), r"cannot read \$ndarray"),
        (node(value={1: 2}), "keys are text, got 1"),
        (node(value=print), "holds JSON values, got a builtin_function"),
        ([node(value=1)], "must be an operator.*got a list"),
        ("Const", "must be an operator.*got a str"),
        (node("Graph", inputs=["x"], nodes=[], outputs={"z": 5}), "refers to 5"),
        (node("Graph", inputs=3, nodes=[], outputs={}), "Graph refuses its arguments"),
        (
            node("Cache", op=node("Identity"), folder="/etc"),
            "not built from a config; make it in code",
        ),
    ],
)
def test_malformed_configs_are_refused_with_the_place(config, message):
    with pytest.raises(pk.ConfigError, match=message):
        pk.from_config(config)


def deep(levels):
    config = node("Bomb")
    for _ in range(levels):
        config = node("Sequential", operators=[config])
    return config


def wide_alias(levels):
    shared = [1]
    for _ in range(levels):
        shared = [shared] * 10
    return node("Const", value=shared)


HOSTILE = {
    "deep nesting": lambda: deep(10_000),
    "deep plain lists": lambda: node("Const", value=json.loads("[" * 900 + "]" * 900)),
    "a million operators": lambda: node("Sequential", operators=[node("Bomb")] * 1_000_000),
    "a million values": lambda: node("Const", value=[0] * 1_000_000),
    "a huge text": lambda: node("Bomb", size="x" * 100_000_000),
    "a huge key": lambda: node("Const", value={"x" * 10_000_000: 1}),
    "a huge number": lambda: node("Const", value=1 << 100_000_000),
    "shared lists that explode": lambda: wide_alias(12),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_configs_are_refused_before_anything_is_built(name, bombs):
    config = HOSTILE[name]()
    start = time.process_time()
    with pytest.raises(pk.ConfigError, match=r"deeper than|more than|longer than"):
        pk.from_config(config, bombs)
    assert time.process_time() - start < 5, "a guard against hanging, far above what it takes"


HOSTILE_YAML = {
    "deep flow": "[" * 100_000,
    "deep block": "\n".join(" " * i + "-" for i in range(2_000)),
    "a huge text": "class: " + "x" * 5_000_000,
    "many values": "[" + "0," * 300_000 + "0]",
    "aliases that explode": "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]",
    "an anchor": "class: &x Bomb\nconfig: {}",
    "a python tag": "!!python/object/apply:os.system ['true']",
    "any tag": "class: !!str Bomb\nconfig: {}",
    "a repeated key": "class: Bomb\nclass: Bomb\nconfig: {}",
    "a key that is no text": "class: Bomb\nconfig: {1: 2}",
    "no YAML": "class: [Bomb",
    "two documents": "class: Bomb\n---\nclass: Bomb",
    "an endless number": "class: Bomb\nconfig: {size: " + "9" * 10_000 + "}",
    "nothing": "",
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_hostile_texts_are_refused_before_anything_is_built(name, bombs):
    start = time.process_time()
    with pytest.raises(pk.ConfigError):
        pk.from_yaml(HOSTILE_YAML[name], bombs)
    assert time.process_time() - start < 5, "a guard against hanging, far above what it takes"


def test_limits_are_arguments():
    config = deep(60)
    registry = pk.Registry([Bomb, pk.Sequential])
    with pytest.raises(pk.ConfigError, match="deeper than 100 levels"):
        pk.from_config(config, registry)
    assert isinstance(pk.from_config(config, registry, max_depth=200), pk.Sequential)
    three = node("Sequential", operators=[node("Bomb"), node("Bomb")])
    assert len(pk.from_config(three, registry, max_operators=3)) == 2
    with pytest.raises(pk.ConfigError, match="more than 2 operators"):
        pk.from_config(three, registry, max_operators=2)
    with pytest.raises(pk.ConfigError, match="max_depth=100000 is deeper than Python can read"):
        pk.from_config(deep(5_000), registry, max_depth=100_000, max_operators=10_000)


# --- the registry ----------------------------------------------------------------------------------


def test_register_is_a_decorator_and_a_class_may_be_defined_again():
    def define():
        @pk.register
        class OnlyHere(pk.Operator):
            pass

        return OnlyHere

    first, second = define(), define()
    assert first is not second
    assert type(pk.from_config(node("OnlyHere"))) is second


def test_a_name_belongs_to_one_class():
    class Identity(pk.Operator):
        pass

    with pytest.raises(ValueError, match=r"'Identity' is taken by pipekit\.blocks\.Identity"):
        pk.register(Identity)


def test_a_registry_holds_only_what_can_be_read():
    with pytest.raises(TypeError, match="Lambda holds a Python function"):
        pk.Registry([pk.Lambda])
    with pytest.raises(TypeError, match="holds classes"):
        pk.Registry([pk.Identity()])


def test_another_distribution_offers_operators_by_entry_points(tmp_path, monkeypatch):
    (tmp_path / "offered.py").write_text(
        "from pipekit import Operator\n"
        "class Offered(Operator):\n    def _apply(self, x):\n        return -x\n"
    )
    info = tmp_path / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pipekit.operators]\nOffered = offered:Offered\n")
    code = (
        "import sys, pipekit; known = pipekit.default_registry(); "
        "assert 'Stranger' not in known and 'offered' not in sys.modules; "
        "print(pipekit.from_config({'class': 'Offered', 'config': {}})(3))"
    )
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=where)
    assert (done.stdout, done.stderr) == ("-3\n", "")


def test_registered_dataclasses_and_exceptions_are_arguments_too():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Window:
        alpha: float

    class Late(Exception):
        pass

    op = pk.Try(pk.Const(Window(0.5)), pk.Identity(), on=(Late, ValueError))
    config = pk.to_config(op)
    with pytest.raises(pk.UntrustedOperatorError, match=r"primary\.value: the class 'Window'"):
        pk.from_config(config)
    known = pk.Registry([pk.Try, pk.Const, pk.Identity, Window])
    with pytest.raises(pk.UntrustedOperatorError, match=r"on\[0\]: the exception 'Late'"):
        pk.from_config(config, known)
    known.add(Late)
    assert pk.from_config(config, known) == op


def test_canonical_text_is_ascii_and_sorted():
    assert canonical({"ü": 1, "a": -0.0}) == '{"a":-0.0,"\\u00fc":1}'


def test_large_arrays_are_packed():
    op = pk.Const(np.arange(1000, dtype="uint16"))
    body = pk.to_config(op)["config"]["value"]["$ndarray"]
    assert base64.b64decode(body["base64"]) == op.value.tobytes()
    again = pk.from_config(pk.to_config(op)).value
    again[0] = 7
    assert again[0] == 7


def test_a_registry_is_a_registry():
    with pytest.raises(TypeError, match=r"registry must be a Registry, got a dict; write Registry"):
        pk.from_config(pk.to_config(pk.Identity()), {"Identity": pk.Identity})


def test_the_bits_of_an_unusual_nan_come_back():
    odd = np.array([0x7E01, 0xFE00, 0x3C00], "uint16").view("float16")
    for value in (odd, odd[0], odd[:1].reshape(())):
        back = pk.from_config(pk.to_config(pk.Const(value))).value
        assert same(back, value)
    usual = pk.to_config(pk.Const(np.array([np.nan, 1.0])))
    assert usual["config"]["value"]["$ndarray"]["values"] == [{"$float": "nan"}, 1.0]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Const", {"value": {"$dtype": "(1,,2)i4"}}),
        ("Const", {"value": {"$ndarray": {"dtype": "(1,,2)i4", "shape": [1], "values": [1]}}}),
        ("NDVI", {"eps": 10**400}),
        ("MaskFromSCL", {"classes": {"$tuple": [{"$float": "inf"}]}}),
        ("SpatialGaussian", {"sigma": 10**400}),
        ("MaskPolygon", {"polygons": "no outline"}),
        ("TrueColor", {"gain": -(10**400)}),
    ],
)
def test_whatever_a_value_makes_a_class_raise_is_an_error_of_the_config(name, arguments):
    with pytest.raises(pk.ConfigError, match=r"refuses its arguments|cannot read"):
        pk.from_config({"class": name, "config": arguments})
