"""Graphs: wiring checks, one run per node, memory, names, drawing."""

import pickle
import weakref
from xml.etree import ElementTree

import numpy as np
import pytest

import pipekit as pk

add = pk.Lambda(lambda a, b: a + b, name="add")


def two_inputs():
    return pk.Input("x"), pk.Input("y")


def test_inputs_by_name_by_order_and_single():
    x, y = two_inputs()
    graph = pk.Graph({"x": x, "y": y}, {"z": pk.Lambda(lambda a, b: a - b)(x, y)})
    assert graph(x=5, y=3) == graph(y=3, x=5) == graph(5, 3) == graph(5, y=3) == {"z": 2}
    lone = pk.Graph({"x": x}, {"same": x})
    assert lone(4) == lone(x=4) == {"same": 4}


def test_the_key_names_the_input():
    x = pk.Input("x")
    assert pk.Graph({"scene": x}, {"out": x})(scene=1) == {"out": 1}


@pytest.mark.parametrize(
    ("args", "named", "message"),
    [
        ((), {"x": 1}, "missing 'y'"),
        ((), {"x": 1, "y": 2, "q": 3}, "unknown 'q'"),
        ((), {"z": 1}, "missing 'x', 'y', unknown 'z'"),
        ((1,), {"x": 1}, "missing 'y', given twice: 'x'"),
        ((1, 2, 3), {}, "got 3 inputs"),
    ],
)
def test_wrong_inputs_are_named(args, named, message):
    x, y = two_inputs()
    graph = pk.Graph({"x": x, "y": y}, {"z": add(x, y)})
    with pytest.raises(TypeError, match=f"takes 'x', 'y'.*{message}"):
        graph(*args, **named)


def test_each_node_runs_once():
    calls = []
    x = pk.Input("x")
    shared = pk.Lambda(lambda v: calls.append(v) or v)(x)
    graph = pk.Graph({"x": x}, {"a": add(shared, shared), "b": shared, "c": pk.Identity()(shared)})
    assert graph(x=1) == {"a": 2, "b": 1, "c": 1}
    assert calls == [1]


def test_an_intermediate_is_released_after_its_last_use():
    alive = weakref.WeakSet()
    most = 0

    class Track(np.ndarray):
        """An array that can be counted; a plain one takes no weak references in a set."""

        __hash__ = object.__hash__

    def step(a):
        nonlocal most
        made = np.asarray(a).copy().view(Track)
        alive.add(made)
        most = max(most, len(alive))
        return made

    x = pk.Input("x")
    node = x
    for _ in range(12):
        node = pk.Lambda(step)(node)
    graph = pk.Graph({"x": x}, {"end": node})
    result = graph(x=np.zeros(4))
    assert most == 2
    assert len(alive) == 1
    assert isinstance(result["end"], Track)


def test_undeclared_and_idle_inputs_are_named():
    x, y = two_inputs()
    with pytest.raises(pk.GraphError, match=r"used but not declared: 'y'; declared are 'x'"):
        pk.Graph({"x": x}, {"z": add(x, y)})
    with pytest.raises(pk.GraphError, match=r"no output depends on: 'y'"):
        pk.Graph({"x": x, "y": y}, {"z": pk.Identity()(x)})


def test_duplicate_names_are_refused():
    x, other = pk.Input("x"), pk.Input("x")
    with pytest.raises(pk.GraphError, match="named twice: 'x'"):
        pk.Graph({"a": x, "b": other}, {"z": add(x, other)})
    with pytest.raises(pk.GraphError, match="named twice: 'x'"):
        pk.Graph({"a": x, "b": x}, {"z": x})
    with pytest.raises(pk.GraphError, match="a second Input of the same name"):
        pk.Graph({"x": x}, {"z": add(x, other)})


def test_a_cycle_is_found():
    x = pk.Input("x")
    first = pk.Identity()(x)
    second = add(first, x)
    first.parents = (second,)
    with pytest.raises(pk.GraphError, match="cycle through"):
        pk.Graph({"x": x}, {"z": second})


def test_what_is_no_node_or_input_is_refused():
    x = pk.Input("x")
    with pytest.raises(TypeError, match=r"outputs\['z'\] must be a Node or an Input, got Identity"):
        pk.Graph({"x": x}, {"z": pk.Identity()})
    with pytest.raises(TypeError, match=r"inputs\['x'\] must be an Input, got str"):
        pk.Graph({"x": "x"}, {"z": x})
    with pytest.raises(pk.GraphError, match="at least one output"):
        pk.Graph({"x": x}, {})
    with pytest.raises(TypeError, match="named by a non-empty string"):
        pk.Input(3)
    with pytest.raises(TypeError, match=r"write Node\(operator, \[parent\]\)"):
        pk.Node(pk.Identity(), x)


def test_a_value_among_the_parents_is_a_constant():
    x = pk.Input("x")
    graph = pk.Graph({"x": x}, {"z": add(x, 10), "w": add(10, x)})
    assert graph(x=1) == {"z": 11, "w": 11}


def test_pipes_on_symbols_make_nodes():
    x = pk.Input("x")
    node = x | pk.Lambda(abs) | pk.Lambda(str)
    assert pk.Graph({"x": x}, {"z": node})(x=-2) == {"z": "2"}
    with pytest.raises(TypeError):
        x | 3


def test_graphs_and_pipelines_nest():
    x, y = two_inputs()
    inner = pk.Graph({"x": x, "y": y}, {"sum": add(x, y)})
    a = pk.Input("a")
    outer = pk.Graph({"a": a}, {"z": (inner(x=a, y=a) | pk.Pick("sum") | pk.Lambda(str))})
    assert outer(a=2) == {"z": "4"}
    assert (outer | pk.Pick("z"))(3) == "6"


def test_an_error_in_a_node_says_where():
    x = pk.Input("x")
    graph = pk.Graph({"x": x}, {"z": pk.AssertDType("uint8")(pk.Identity()(x))})
    with pytest.raises(pk.QCError) as caught:
        graph(np.zeros((2, 3)))
    (note,) = caught.value.__notes__
    assert "node 2 of 2 of a Graph ('x' -> 'z')" in note
    assert "> AssertDType(dtype='uint8', on_fail='raise')" in note
    assert "input: ndarray (2, 3) float64" in note


def test_a_deep_graph_needs_no_recursion():
    x = pk.Input("x")
    node = x
    for _ in range(5000):
        node = pk.Identity()(node)
    graph = pk.Graph({"x": x}, {"z": node})
    assert graph(x=3) == {"z": 3}
    assert pickle.loads(pickle.dumps(graph))(x=4) == {"z": 4}
    assert len(graph.to_mermaid().splitlines()) == 1 + 5002 + 5001


def test_sharing_survives_the_round_trip():
    x = pk.Input("x")
    shared = pk.Const(1)(x)
    apart = pk.Graph({"x": x}, {"a": pk.Const(1)(x), "b": pk.Const(1)(x)})
    together = pk.Graph({"x": x}, {"a": shared, "b": shared})
    assert apart != together
    assert len(pk.from_config(pk.to_config(together)).nodes) == 1


def test_a_config_cannot_refer_forward():
    x = pk.Input("x")
    config = pk.to_config(pk.Graph({"x": x}, {"z": pk.Identity()(x)}))
    config["config"]["nodes"][0]["parents"] = [0]
    with pytest.raises(pk.ConfigError, match="refers to 0, which is neither"):
        pk.from_config(config)


def test_mermaid_text():
    x, y = two_inputs()
    graph = pk.Graph({"x": x, "y": y}, {"z": pk.Fanout({})(pk.Const('"<')(x, y))})
    assert graph.to_mermaid().splitlines() == [
        "flowchart LR",
        '    i0(["x"])',
        '    i1(["y"])',
        "    n0[\"Const(value='#quot;#lt;')\"]",
        '    n1["Fanout(operators={})"]',
        '    o0(["z"])',
        "    i0 --> n0",
        "    i1 --> n0",
        "    n0 --> n1",
        "    n1 --> o0",
    ]


def test_the_picture_is_well_formed_and_holds_every_box():
    x, y = two_inputs()
    graph = pk.Graph({"x": x, "y": y}, {"z": pk.Const("<&>")(x, y), "x2": x})
    svg = ElementTree.fromstring(graph._repr_html_())
    ns = "{http://www.w3.org/2000/svg}"
    assert [t.text for t in svg.iter(f"{ns}text")] == ["x", "y", "Const(value='<&>')", "z", "x2"]
    # x, y into Const, Const into z; x passes Const to x2 by a wire of three parts.
    assert len(list(svg.iter(f"{ns}path"))) == 6
    boxes = [
        tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in svg.iter(f"{ns}rect")
    ]
    for i, (ax, ay, aw, ah) in enumerate(boxes):
        for bx, by, bw, bh in boxes[i + 1 :]:
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay


def test_inputs_and_outputs_that_are_no_dictionaries_are_told_how_to_be():
    x = pk.Input("x")
    node = pk.Identity()(x)
    with pytest.raises(TypeError, match="outputs is a dictionary of names and symbols, got a Node"):
        pk.Graph(inputs={"x": x}, outputs=node)
    with pytest.raises(TypeError, match="inputs is a dictionary of names and symbols, got a list"):
        pk.Graph(inputs=[x], outputs={"y": node})
