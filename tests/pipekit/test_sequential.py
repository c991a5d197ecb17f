"""Pipelines: shape, flattening, and what an error inside a step looks like."""

import pickle

import numpy as np
import pytest

import pipekit as pk


class Divide(pk.Operator):
    def __init__(self, by):
        self.by = by

    def _apply(self, x):
        if self.by == 0:
            raise ZeroDivisionError("by is 0")
        return x / self.by


def test_len_iteration_indexing_slicing():
    steps = [Divide(1), Divide(2), Divide(4)]
    pipeline = pk.Sequential(steps)
    assert len(pipeline) == 3
    assert list(pipeline) == steps
    assert pipeline[-1] is steps[-1]
    assert pipeline[::-1] == pk.Sequential(steps[::-1])
    assert pipeline(8) == 1.0
    with pytest.raises(IndexError):
        pipeline[3]


def test_the_first_step_may_take_several_inputs_and_an_empty_pipeline_one():
    add = pk.Lambda(lambda a, b: a + b)
    assert (add | Divide(2))(1, 3) == 2
    assert pk.Sequential([])(5) == 5
    with pytest.raises(TypeError, match="takes one input, got 2"):
        pk.Sequential([])(1, 2)


def test_a_subclass_of_sequential_is_not_taken_apart():
    class Named(pk.Sequential):
        pass

    inner = Named([Divide(2)])
    assert (inner | Divide(2))[0] is inner


def test_an_error_keeps_its_type_and_says_where():
    pipeline = pk.Sequential([Divide(1)] * 6 + [Divide(0)] + [Divide(3)] * 3)
    with pytest.raises(ZeroDivisionError) as caught:
        pipeline(np.ones((4, 5), "float32"))
    (note,) = caught.value.__notes__
    assert "step 7 of 10" in note
    assert ">  7. Divide(by=0)" in note
    assert "   6. Divide(by=1)" in note
    assert "input: ndarray (4, 5) float32" in note


def test_the_failing_one_of_two_same_operators_is_told_apart():
    class Once(pk.Operator):
        def __init__(self):
            self._calls = 0

        def _apply(self, x):
            self._calls += 1
            if self._calls == 2:
                raise RuntimeError("worn out")
            return x

    step = Once()
    with pytest.raises(RuntimeError) as caught:
        pk.Sequential([step, pk.Identity(), step])(1)
    assert "step 3 of 3" in caught.value.__notes__[0]


def test_nested_notes_run_from_the_inside_out():
    class Inner(pk.Sequential):
        pass

    with pytest.raises(ZeroDivisionError) as caught:
        pk.Sequential([pk.Identity(), Inner([Divide(0)])])(1)
    inner, outer = caught.value.__notes__
    assert "step 1 of 1" in inner
    assert "step 2 of 2" in outer


def test_several_inputs_and_spied_runs_have_the_note_too():
    add = pk.Lambda(lambda a, b: a + b)
    with pytest.raises(TypeError) as caught:
        (pk.Identity() | Divide(0))(1, 2)
    assert "step 1 of 2" in caught.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as caught, pk.Spy.scoped():
        (add | Divide(0))(1, 2)
    assert "input: int 3" in caught.value.__notes__[0]


def test_an_interruption_gets_no_note():
    def interrupt(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        (pk.Identity() | pk.Lambda(interrupt))(1)
    assert not hasattr(caught.value, "__notes__")


def test_a_step_that_overrides_call_is_called():
    class Loud(pk.Operator):
        def __call__(self, x):
            return f"{x}!"

    assert (pk.Identity() | Loud())("hey") == "hey!"


def test_pickled_pipelines_run():
    pipeline = pk.AssertDType("int64") | pk.Identity()
    again = pickle.loads(pickle.dumps(pipeline))
    assert again == pipeline
    assert again(np.int64(3)) == 3


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([pk.Identity(), 3], r"operators\[1\] must be an operator, got a int"),
        ([abs], r"operators\[0\] must be an operator, got a builtin_function_or_method.*Lambda"),
        ([pk.Identity], r"is the class Identity; write Identity\(\.\.\.\)"),
        (pk.Identity(), r"takes a list of operators, got one Identity"),
    ],
)
def test_what_is_no_operator_is_refused_when_built(steps, message):
    with pytest.raises(TypeError, match=message):
        pk.Sequential(steps)


def test_rich_repr_is_small_and_escaped():
    html = pk.Sequential([pk.Const("<b>"), pk.Identity()])._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.count("<span") == 2
    assert len(html) < 1000


def test_what_is_no_list_and_a_step_that_is_not_there():
    with pytest.raises(TypeError, match="takes a list of operators, got a int"):
        pk.Sequential(3)
    with pytest.raises(IndexError, match="no step 7; this Sequential has 2"):
        (pk.Identity() | pk.Const(1))[7]


def test_compose_runs_from_the_first_to_the_last():
    made = pk.compose(pk.Lambda(abs), str, lambda text: text + "!")
    assert made(-3) == "3!"
    assert len(made) == 3
    assert pk.compose(pk.Identity(), pk.Identity()) == pk.Identity() | pk.Identity()
    with pytest.raises(TypeError, match=r"operators\[0\] is the class Identity; write Identity"):
        pk.compose(pk.Identity)
    with pytest.raises(TypeError, match="must be an operator"):
        pk.compose(3)
