"""The operator: running, config, equality, hash, printing, pickling, piping."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import pipekit as pk


class Scale(pk.Operator):
    def __init__(self, factor, offset=0.0):
        self.factor = factor
        self.offset = offset

    def _apply(self, x):
        return x * self.factor + self.offset


class Total(pk.Operator):
    def __init__(self, *weights, **options):
        self.weights = weights
        self.options = options

    def _apply(self, *inputs):
        return sum(inputs) + sum(self.weights)


class Forgetful(pk.Operator):
    def __init__(self, kept, forgotten):
        self.kept = kept

    def _apply(self, x):
        return x


def test_call_with_one_several_and_no_inputs():
    assert Scale(2)(21) == 42
    assert Total(1, 2)(10, 20) == 33
    assert Total(1, 2)() == 3


def test_config_holds_the_arguments_by_name():
    assert Scale(2).get_config() == {"factor": 2, "offset": 0.0}
    assert Total(1, 2, mode="a").get_config() == {"weights": (1, 2), "options": {"mode": "a"}}
    assert pk.Identity().get_config() == {}


def test_nested_operators_appear_as_class_and_config():
    inner = {"class": "Scale", "config": {"factor": 2, "offset": 0.0}}
    assert (Scale(2) | pk.Identity()).get_config() == {
        "operators": [inner, {"class": "Identity", "config": {}}]
    }
    assert pk.Fanout({"a": Scale(2)}).get_config() == {"operators": {"a": inner}}


def test_star_arguments_round_trip():
    op = Total(1, 2.5, mode="a")
    assert pk.from_config(pk.to_config(op), pk.Registry([Total])) == op


def test_a_forgotten_argument_is_named_at_first_use():
    op = Forgetful(1, 2)
    assert op(5) == 5
    for use in (
        op.get_config,
        lambda: op.config_hash,
        lambda: hash(op),
        lambda: op == Forgetful(1, 2),
    ):
        with pytest.raises(
            TypeError, match=r"takes 'forgotten' but does not store it.*self\.forgotten"
        ):
            use()
    assert repr(op) == "Forgetful(<arguments not stored>)"


def test_a_method_of_the_argument_s_name_is_no_stored_argument():
    class Shadow(pk.Operator):
        def __init__(self, scale):
            del scale

        def scale(self):
            return 1

    with pytest.raises(TypeError, match="'scale'"):
        Shadow(3).get_config()


def test_an_operator_without_apply_says_so():
    class Empty(pk.Operator):
        def __init__(self):
            self.ready = True

    with pytest.raises(NotImplementedError, match="Empty does not say what it does"):
        Empty()(1)


def test_a_dataclass_is_an_operator_too():
    @dataclass(frozen=True, eq=False, repr=False)
    class Shift(pk.Operator):
        by: int = 1

        def _apply(self, x):
            return x + self.by

    assert Shift(2)(1) == 3
    assert Shift(2) == Shift(by=2)
    assert repr(Shift()) == "Shift(by=1)"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ([1, 2], (1, 2)),
        (np.float32(1), np.float64(1)),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2, "int16"), np.zeros(2, "int32")),
        (None, "None"),
        ({"a": 1}, {"a": 2}),
    ],
)
def test_values_that_may_act_differently_are_not_equal(a, b):
    assert pk.Const(a) != pk.Const(b)
    assert pk.Const(a).config_hash != pk.Const(b).config_hash


def test_nan_arguments_are_equal_and_dict_order_does_not_count():
    assert pk.Const(float("nan")) == pk.Const(float("nan"))
    assert pk.Const({"a": 1, "b": 2}) == pk.Const({"b": 2, "a": 1})
    assert pk.Const({1: "a", 2: "b"}).config_hash == pk.Const({2: "b", 1: "a"}).config_hash


def test_classes_of_one_name_are_different_operators():
    def make():
        class Scale(pk.Operator):
            def _apply(self, x):
                return x

        return Scale

    one, two = make(), make()
    assert one() != two()
    assert pk.Sequential([one()]) != pk.Sequential([two()])
    assert one() != 1


def test_functions_are_equal_by_identity():
    def same(x):
        return x

    log: list[int] = []
    assert pk.Lambda(same) == pk.Lambda(same)
    assert pk.Lambda(same) != pk.Lambda(lambda x: x)
    assert pk.Tap(log.append) == pk.Tap(log.append)
    assert hash(pk.Lambda(same) | pk.Identity()) == hash(pk.Lambda(same) | pk.Identity())
    with pytest.raises(pk.NotSerializableError, match=r"operators\[0\].fn holds the function"):
        _ = (pk.Lambda(same) | pk.Identity()).config_hash


HASHES = """
import pickle, sys
import pipekit as pk
op = pickle.loads(sys.stdin.buffer.read())
print(op.config_hash, hash(op), repr(op))
"""


@pytest.mark.parametrize("seed", ["0", "1"])
def test_hashes_and_pickles_hold_in_another_process(seed):
    op = pk.Const({"b", "a", "c"}) | pk.AssertValueRange(0, 1) | pk.Const((1, float("inf")))
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", HASHES],
        input=pickle.dumps(op),
        capture_output=True,
        env=env,
        check=True,
    )
    digest, number, _ = done.stdout.decode().split(maxsplit=2)
    assert digest == op.config_hash
    assert int(number) == hash(op)


def test_config_hash_is_the_documented_one():
    import hashlib

    text = '{"class":"Const","config":{"value":{"$tuple":[1,null]}}}'
    assert pk.Const((1, None)).config_hash == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_repr_is_the_constructor_call():
    class Point(NamedTuple):
        row: int

    assert repr(Scale(2)) == "Scale(factor=2, offset=0.0)"
    assert repr(pk.Const([(1,), {"a": np.zeros(20)}])) == (
        "Const(value=[(1,), {'a': array(shape=(20,), dtype=float64)}])"
    )
    assert repr(pk.Lambda(lambda x: x)) == "Lambda(fn=<lambda>, name=None)"
    assert repr(pk.Const(object())) == "Const(value=<object>)"


class Handwritten(pk.Operator):
    """Overrides its config: the inner operator is stored under another name."""

    def __init__(self, inner, times):
        self._inner = inner
        self._times = times

    def get_config(self):
        return {
            "inner": {"class": "Scale", "config": self._inner.get_config()},
            "times": self._times,
        }

    def _apply(self, x):
        for _ in range(self._times):
            x = self._inner(x)
        return x


def test_a_hand_written_config_serves_equality_and_round_trip():
    op = Handwritten(Scale(2), 3)
    again = pk.from_config(pk.to_config(op), pk.Registry([Handwritten, Scale]))
    assert again == op
    assert again(1) == 8
    assert op != Handwritten(Scale(3), 3)


@pytest.mark.parametrize(
    ("stranger", "way_out"),
    [
        (3, "wrap a function as Lambda"),
        (abs, r"wrap a function as Lambda\(function\)"),
        (Scale, r"Scale is a class: write Scale\(\.\.\.\)"),
    ],
)
def test_pipe_says_what_can_be_piped(stranger, way_out):
    with pytest.raises(TypeError, match=f"only operators can be piped.*{way_out}"):
        pk.Identity() | stranger


def test_an_array_piped_into_an_operator_is_refused_whole():
    with pytest.raises(TypeError, match="call it: operator"):
        np.zeros(3) | Scale(2)


def test_a_keyword_shows_the_values_it_was_given():
    assert Scale(offset=1, factor=2) == Scale(2, 1)


class Draw(pk.Operator):
    """Takes a keyword."""

    def __init__(self, scale=1):
        self.scale = scale

    def _apply(self, x, *, seed=None):
        return x * self.scale, seed


def test_keyword_arguments_reach_apply():
    class Both(pk.Operator):
        def _apply(self, x, y=0, **more):
            return x, y, more

    class Silent(Draw):
        """Has what `Draw` has."""

    assert Draw(2)(3, seed=1) == (6, 1)
    assert Draw(2)(3) == (6, None)
    assert Silent()(3, seed=1) == (3, 1)
    assert Both()(1, y=2, z=3) == (1, 2, {"z": 3})
    assert Both()(1, 2, z=3) == (1, 2, {"z": 3})
    assert (pk.Identity() | Draw(2))(3) == (6, None)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        Draw()(3, colour=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        pk.Identity()(3, seed=1)
    with pk.Spy.scoped() as spy:
        seen = []
        spy.on(Draw, lambda op, x, y: seen.append((x, y)))
        Draw(2)(3, seed=1)
    assert seen == [(3, (6, 1))]


def test_a_node_has_no_keywords():
    assert isinstance(Draw()(pk.Input("x")), pk.Node)
    for call in (lambda: Draw()(pk.Input("x"), seed=1), lambda: Draw()(1, seed=pk.Input("seed"))):
        with pytest.raises(TypeError, match=r"inputs by position, got seed by keyword.*Draw\("):
            call()


def test_a_plain_operator_is_called_without_a_dictionary_of_keywords():
    """What costs a plain call nothing must stay so: the general form is for those that need it."""
    assert pk.Identity.__call__ is pk.Operator.__call__
    assert Draw.__call__ is not pk.Operator.__call__
