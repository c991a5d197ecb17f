"""Branch, Switch, Try, Coalesce; training and evaluation mode."""

from __future__ import annotations

import threading

import pytest

import pipekit as pk

number = pk.Lambda(int, name="number")


def test_branch_runs_one_side_only():
    ran = []
    yes, no = pk.Tap(lambda x: ran.append("yes")), pk.Tap(lambda x: ran.append("no"))
    branch = pk.Branch(lambda x: x > 0, yes, no)
    assert (branch(1), branch(-1)) == (1, -1)
    assert ran == ["yes", "no"]
    assert pk.Branch(lambda x: x > 0, pk.Const("positive"))(-5) == -5


def test_switch_falls_back_to_its_default():
    switch = pk.Switch(lambda x: x % 3, {0: pk.Const("none left"), 1: pk.Const("one left")})
    assert [switch(x) for x in (3, 4, 5)] == ["none left", "one left", 5]


def test_a_predicate_that_is_an_operator_serialises_and_a_function_does_not():
    assert not pk.Branch(pk.Identity(), pk.Const(1)).forbid_in_yaml
    with pytest.raises(pk.NotSerializableError, match="predicate holds the function"):
        pk.to_config(pk.Branch(lambda x: True, pk.Const(1)))
    with pytest.raises(pk.NotSerializableError, match=r"operators\[1\]\.key holds the function"):
        pk.to_config(pk.Identity() | pk.Switch(lambda x: x, {}))


def test_try_falls_back_on_the_named_exceptions_only():
    safe = pk.Try(number, pk.Const(None), on=(ValueError,))
    assert safe("12") == 12
    assert safe("many") is None
    with pytest.raises(TypeError):
        safe([])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_always_passes(interruption):
    def interrupt(x):
        raise interruption

    broken = pk.Lambda(interrupt)
    for op in (
        pk.Try(broken, pk.Const(0), on=Exception),
        pk.Coalesce([broken, pk.Const(0)], is_ok=bool, on=Exception),
    ):
        with pytest.raises(interruption):
            op(1)
    with pytest.raises(TypeError, match="always pass"):
        pk.Try(broken, pk.Const(0), on=interruption)
    with pytest.raises(TypeError, match="always pass"):
        pk.Try(broken, pk.Const(0), on=(ValueError, BaseException))


def test_try_has_no_catch_all():
    with pytest.raises(TypeError, match="'on'"):
        pk.Try(number, pk.Const(0))


def test_coalesce_stops_at_the_first_acceptable_result():
    ran = []
    sources = [pk.Const(None), pk.Const(5), pk.Sink(lambda x: ran.append(x))]
    assert pk.Coalesce(sources, is_ok=lambda result: result is not None)(0) == 5
    assert ran == []


def test_coalesce_says_what_each_source_gave():
    sources = [pk.Const(None), number, pk.Const([1, 2])]
    with pytest.raises(pk.CoalesceError) as caught:
        pk.Coalesce(sources, is_ok=lambda result: False, on=ValueError)("many")
    message = str(caught.value)
    assert "Const(value=None) gave NoneType" in message
    assert "raised ValueError: invalid literal" in message
    assert "gave list of 2" in message


def test_coalesce_raises_what_it_was_not_told_to_take():
    with pytest.raises(ValueError, match="invalid literal"):
        pk.Coalesce([number, pk.Const(1)], is_ok=bool)("many")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: pk.Branch(3, pk.Identity()), "Branch takes a function or operator as predicate"),
        (lambda: pk.Branch(pk.Identity, pk.Identity()), r"predicate, .* write Identity\("),
        (lambda: pk.Branch(abs, abs), "if_true must be an operator.*Lambda"),
        (lambda: pk.Branch(abs, pk.Identity), r"if_true is the class Identity; write Identity\("),
        (lambda: pk.Switch(abs, {1: 2}), r"cases\[1\] must be an operator, got a int"),
        (lambda: pk.Switch(abs, [pk.Identity()]), "Switch takes a dictionary .* got a list"),
        (lambda: pk.Profile().wrap(abs), "op must be an operator.*Lambda"),
        (lambda: pk.ShapeTrace(sink=3), "ShapeTrace takes a function, got 3"),
        (lambda: pk.Coalesce([3], abs), r"sources\[0\] must be an operator"),
    ],
)
def test_wrong_arguments_are_refused_when_built(build, message):
    with pytest.raises(TypeError, match=message):
        build()


def test_a_coalesce_without_sources_is_refused_when_built():
    with pytest.raises(ValueError, match="at least one source"):
        pk.Coalesce([], is_ok=bool)


gated = pk.ModeGated(pk.Lambda(lambda x: x + 100), mode="train")


def test_the_mode_is_scoped_and_never_sticky():
    assert gated(1) == 1
    with pk.pipeline_mode("train"):
        assert gated(1) == 101
        with pk.pipeline_mode("eval"):
            assert gated(1) == 1
        assert pk.current_mode() == "train"
    with pytest.raises(RuntimeError), pk.pipeline_mode("train"):
        raise RuntimeError
    assert pk.current_mode() == "eval"


def test_a_plain_thread_has_its_own_mode_and_a_thread_map_the_caller_s():
    seen = []
    with pk.pipeline_mode("train"):
        thread = threading.Thread(target=lambda: seen.append(pk.current_mode()))
        thread.start()
        thread.join()
        assert pk.ThreadMap(gated, workers=2)([1, 2]) == [101, 102]
    assert seen == ["eval"]


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode must be 'train' or 'eval', got 'training'"):
        pk.ModeGated(pk.Identity(), mode="training")
    with (
        pytest.raises(ValueError, match="mode must be 'train' or 'eval'"),
        pk.pipeline_mode("test"),
    ):
        pass
