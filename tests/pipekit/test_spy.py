"""Spy: what fires, where, and for how long."""

import threading

import pytest

import pipekit as pk
from pipekit import operator as operator_module


def test_every_call_of_the_type_fires_inside_the_scope_only():
    pipeline = pk.Lambda(abs) | pk.Fanout({"a": pk.Lambda(str), "b": pk.Identity()})
    seen = []
    pipeline(-1)
    with pk.Spy.scoped() as spy:
        spy.on(pk.Lambda, lambda op, x, y: seen.append((op.fn, x, y)))
        pipeline(-2)
    pipeline(-3)
    assert seen == [(abs, -2, 2), (str, 2, "2")]
    assert operator_module._spying == 0


def test_a_base_class_catches_all_and_graph_nodes_too():
    x = pk.Input("x")
    graph = pk.Graph({"x": x}, {"y": pk.Const(5)(x)})
    seen = []
    with pk.Spy.scoped() as spy:
        spy.on(pk.Operator, lambda op, a, b: seen.append((type(op).__name__, a, b)))
        graph(x=1)
        pk.Const(2)(3, 4)
        pk.Const(2)()
    assert seen == [
        ("Const", 1, 5),
        ("Graph", 1, {"y": 5}),
        ("Const", (3, 4), 2),
        ("Const", (), 2),
    ]


def test_scopes_nest():
    inner_seen, outer_seen = [], []
    op = pk.Identity()
    with pk.Spy.scoped() as outer:
        outer.on(pk.Identity, lambda *call: outer_seen.append(call[1]))
        with pk.Spy.scoped() as inner:
            inner.on(pk.Identity, lambda *call: inner_seen.append(call[1]))
            op(1)
        op(2)
    op(3)
    assert (inner_seen, outer_seen) == ([1], [1, 2])


def test_another_thread_is_not_watched_unless_it_carries_the_context():
    seen = []
    with pk.Spy.scoped() as spy:
        spy.on(pk.Identity, lambda op, x, y: seen.append(x))
        thread = threading.Thread(target=pk.Identity(), args=("elsewhere",))
        thread.start()
        thread.join()
        assert seen == []
        pk.ThreadMap(pk.Identity(), workers=2)([1, 2, 3])
    assert sorted(seen) == [1, 2, 3]


def test_the_scope_closes_on_an_error():
    with pytest.raises(ZeroDivisionError), pk.Spy.scoped() as spy:
        spy.on(pk.Lambda, lambda *call: 1 / 0)
        pk.Lambda(abs)(1)
    assert operator_module._spying == 0
    assert pk.Lambda(abs)(-1) == 1


def test_the_fast_path_does_not_ask_for_listeners(monkeypatch):
    """The cost of an inactive Spy is one integer test: the context variable is never read."""

    class Unreadable:
        def get(self):
            raise AssertionError("listeners were asked for while no scope is open")

    monkeypatch.setattr("pipekit.operator.listeners", Unreadable())
    assert (pk.Identity() | pk.Lambda(abs))(-1) == 1
    assert pk.Const(1)() == 1


def test_wrong_arguments():
    with pk.Spy.scoped() as spy:
        with pytest.raises(TypeError, match="takes a class of operators"):
            spy.on(pk.Identity(), print)
        with pytest.raises(TypeError, match="takes a function"):
            spy.on(pk.Identity, 3)
