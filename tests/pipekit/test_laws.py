"""Laws of the algebra, and the round trip of every operator class of every package."""

import importlib
import importlib.util
import json
import pickle
import pkgutil
from inspect import isabstract
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipekit as pk
from pipekit.config import config_values, is_configurable

PACKAGES = ("pipekit", "geotoolz", "geostack")
TESTS = Path(__file__).resolve().parents[1]


class Add(pk.Operator):
    def __init__(self, k):
        self.k = k

    def _apply(self, x):
        return x + self.k


class Multiply(pk.Operator):
    def __init__(self, k):
        self.k = k

    def _apply(self, x):
        return x * self.k


class Combine(pk.Operator):
    def __init__(self, weights):
        self.weights = weights

    def _apply(self, *inputs):
        return sum(w * x for w, x in zip(self.weights, inputs, strict=True))


leaves = st.builds(Add, st.integers(-9, 9)) | st.builds(Multiply, st.integers(-9, 9))
operators = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4).map(pk.Sequential))
numbers = st.integers(-1000, 1000)
law = settings(max_examples=60)


@law
@given(operators, operators, operators, numbers)
def test_pipe_is_associative(a, b, c, x):
    left, right = (a | b) | c, a | (b | c)
    assert left == right
    assert left.config_hash == right.config_hash
    assert left(x) == right(x) == c(b(a(x)))


@law
@given(operators, numbers)
def test_identity_is_neutral(a, x):
    assert (pk.Identity() | a)(x) == (a | pk.Identity())(x) == a(x)


def flat(operator):
    if isinstance(operator, pk.Sequential):
        return [leaf for inner in operator.operators for leaf in flat(inner)]
    return [operator]


@law
@given(st.lists(operators, max_size=4), numbers)
def test_a_sequential_of_sequentials_is_its_flat_form(nested, x):
    pipeline = pk.Sequential(nested)
    straight = pk.Sequential([leaf for a in nested for leaf in flat(a)])
    assert pipeline == straight
    assert pipeline.get_config() == straight.get_config()
    expected = x
    for step in straight:
        expected = step(expected)
    assert pipeline(x) == expected


@law
@given(st.lists(leaves, min_size=1, max_size=6), st.data())
def test_slices_put_together_are_the_whole(steps, data):
    pipeline = pk.Sequential(steps)
    cut = data.draw(st.integers(-len(steps), len(steps)))
    assert pipeline[:cut] | pipeline[cut:] == pipeline
    assert list(pipeline) == [pipeline[i] for i in range(len(pipeline))]


@law
@given(st.dictionaries(st.text(max_size=5), operators, max_size=4), numbers)
def test_a_fanout_is_the_dict_of_its_parts(parts, x):
    assert pk.Fanout(parts)(x) == {name: part(x) for name, part in parts.items()}


@st.composite
def wirings(draw):
    """Nodes as (weights, parents); parent i < n_inputs is an input, else an earlier node."""
    n_inputs = draw(st.integers(1, 3))
    nodes = []
    for i in range(draw(st.integers(1, 7))):
        parents = draw(st.lists(st.integers(0, n_inputs + i - 1), min_size=1, max_size=3))
        weights = draw(st.lists(st.integers(-3, 3), min_size=len(parents), max_size=len(parents)))
        nodes.append((weights, parents))
    return n_inputs, nodes


@law
@given(wirings(), st.lists(numbers, min_size=3, max_size=3))
def test_a_graph_equals_its_hand_evaluated_form(wiring, values):
    n_inputs, nodes = wiring
    inputs = [pk.Input(f"x{i}") for i in range(n_inputs)]
    symbols, expected = [*inputs], list(values[:n_inputs])
    for weights, parents in nodes:
        symbols.append(Combine(weights)(*[symbols[p] for p in parents]))
        expected.append(sum(w * expected[p] for w, p in zip(weights, parents, strict=True)))
    outputs = {f"out{i}": symbol for i, symbol in enumerate(symbols)}
    graph = pk.Graph({x.name: x for x in inputs}, outputs)
    result = graph(**{x.name: v for x, v in zip(inputs, values, strict=False)})
    assert result == {f"out{i}": value for i, value in enumerate(expected)}
    again = pk.from_config(pk.to_config(graph), pk.Registry([pk.Graph, Combine]))
    assert again == graph
    assert again(*values[:n_inputs]) == result


@law
@given(operators)
def test_equal_operators_have_equal_hashes(a):
    b = pk.from_config(pk.to_config(a), pk.Registry([Add, Multiply, pk.Sequential]))
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b}) == 1


# --- every class of every package ---------------------------------------------------------------


def import_all(package_name):
    """Import what can be imported of a package; a module's own tests say why one cannot."""
    package = importlib.import_module(package_name)
    for module in pkgutil.walk_packages(package.__path__, f"{package_name}."):
        try:
            importlib.import_module(module.name)
        except ImportError:
            continue


def subclasses(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def load_examples(package_name):
    path = TESTS / package_name / "operator_examples.py"
    if not path.is_file():
        return []
    spec = importlib.util.spec_from_file_location(f"{package_name}_operator_examples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXAMPLES


def all_classes():
    for name in PACKAGES:
        import_all(name)
    found = {cls for cls in subclasses(pk.Operator) if cls.__module__.split(".")[0] in PACKAGES}
    return sorted(found, key=lambda cls: (cls.__module__, cls.__qualname__))


CLASSES = [cls for cls in all_classes() if not (cls.forbid_in_yaml or isabstract(cls))]
EXAMPLES = [example for name in PACKAGES for example in load_examples(name)]


@pytest.fixture(scope="module")
def registry():
    known = pk.Registry(pk.default_registry())
    for cls in CLASSES:
        known.add(cls)
    for example in EXAMPLES:
        for cls in argument_classes(example):
            known.add(cls)
    return known


def argument_classes(value):
    """The classes within an operator that are no operators, such as a patcher's four axes."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from argument_classes(item)
    elif is_configurable(value):
        if not isinstance(value, pk.Operator):
            yield type(value)
        yield from argument_classes(config_values(value))


def examples_of(cls):
    given_ones = [op for op in EXAMPLES if type(op) is cls]
    if given_ones:
        return given_ones
    try:
        return [cls()]
    except TypeError as error:
        package = cls.__module__.split(".")[0]
        pytest.fail(
            f"{cls.__name__} needs arguments ({error}); add an instance to EXAMPLES in "
            f"tests/{package}/operator_examples.py"
        )


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_operator_survives_its_round_trips(cls, registry):
    for op in examples_of(cls):
        config = pk.to_config(op)
        assert config["class"] == cls.__name__
        for again in (
            pk.from_config(config, registry),
            pk.from_config(json.loads(json.dumps(config, allow_nan=False)), registry),
            pk.from_yaml(pk.to_yaml(op), registry),
            pickle.loads(pickle.dumps(op)),
        ):
            assert type(again) is cls
            assert again == op
            assert again.config_hash == op.config_hash
            assert hash(again) == hash(op)
            assert repr(again) == repr(op)


def test_the_walk_finds_the_classes():
    names = {cls.__name__ for cls in CLASSES}
    assert {"Sequential", "Graph", "Fanout", "Retry", "AssertShape", "BatchedMap"} <= names
    assert "Lambda" not in names


def test_every_public_operator_that_serialises_is_in_the_default_registry():
    exported = [getattr(pk, name) for name in pk.__all__]
    serialisable = {
        value.__name__
        for value in exported
        if isinstance(value, type) and issubclass(value, pk.Operator) and not value.forbid_in_yaml
    } - {"Operator"}
    assert serialisable <= set(pk.default_registry().names())
