"""The small blocks."""

import pytest

import pipekit as pk


def test_sink_and_tap_return_their_very_input():
    seen, x = [], object()
    assert pk.Sink(seen.append)(x) is x
    assert pk.Tap(seen.append, name="look")(x) is x
    assert seen == [x, x]


def test_const_ignores_its_inputs():
    assert pk.Const(3)() == pk.Const(3)(1) == pk.Const(3)(1, 2) == 3


def test_a_fanout_names_the_branch_that_failed():
    with pytest.raises(ValueError) as caught:
        pk.Fanout({"text": pk.Lambda(str), "number": pk.Lambda(int)})("many")
    assert caught.value.__notes__ == ["failed in the branch 'number' of a Fanout"]


def test_pick_says_what_there_is():
    assert pk.Pick(-1)([1, 2]) == 2
    with pytest.raises(KeyError, match=r"no 'c' to pick; it has \['a', 'b'\]"):
        pk.Pick("c")({"a": 1, "b": 2})
    with pytest.raises(IndexError, match="it has 2 items"):
        pk.Pick(5)([1, 2])


@pytest.mark.parametrize("block", [pk.Lambda, pk.Sink, pk.Tap])
def test_what_is_no_function_is_refused(block):
    with pytest.raises(TypeError, match="takes a function, got 3"):
        block(3)
    with pytest.raises(TypeError, match="got the class Identity"):
        block(pk.Identity)
    assert block.forbid_in_yaml


def test_a_fanout_of_what_is_no_operator_is_refused():
    with pytest.raises(TypeError, match=r"operators\['a'\] is a int"):
        pk.Fanout({"a": 3})


def test_a_fanout_takes_a_dictionary():
    with pytest.raises(TypeError, match="takes a dictionary of names and operators, got a list"):
        pk.Fanout([pk.Identity()])
