"""The trial of a lesson's exercises tells a blank that passes, a failing solution and a missed mistake."""

import json

import nbformat
import pytest
from notebook_exercises import read_exercises, trial_code

CELL = """\
## Try it

:::{{exercise}}
:label: ex-double
Double `seven`, which the lesson made.

```python
{blank}

# the check
assert answer == 14
```
:::

:::{{solution}} ex-double
:class: dropdown

```python
{solution}
```
:::
"""
MISTAKES = {"ex-double": [["2 *", "3 *"], ["2 *", "2 +"]]}


def notebook(blank="answer = ...", solution="answer = 2 * seven"):
    cells = [
        nbformat.v4.new_code_cell("seven = 7"),
        nbformat.v4.new_markdown_cell(CELL.format(blank=blank, solution=solution)),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def faults(asked, mistakes, capsys):
    """Run the trial cell as a kernel does: in the namespace that the lesson left."""
    exec(trial_code(read_exercises(asked), mistakes), {"seven": 7})
    return json.loads(capsys.readouterr().out)


def test_a_good_exercise_has_no_fault(capsys):
    (exercise,) = read_exercises(notebook())
    assert (exercise.label, exercise.solution) == ("ex-double", "answer = 2 * seven\n")
    assert faults(notebook(), MISTAKES, capsys) == []


@pytest.mark.parametrize(
    ("cells", "mistakes", "told"),
    [
        ({"blank": "answer = 14"}, MISTAKES, "the untouched blank passes"),
        ({"solution": "answer = 2 * eight"}, {}, "the solution fails: NameError"),
        ({}, {"ex-double": [["2 *", "seven + 1 *"]]}, "seven + 1 *' passes"),
    ],
)
def test_each_fault_is_told(cells, mistakes, told, capsys):
    (fault,) = faults(notebook(**cells), mistakes, capsys)
    assert "ex-double" in fault
    assert told in fault


def test_a_mistake_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match="must hold '4' once"):
        trial_code(read_exercises(notebook()), {"ex-double": [["4", "5"]]})


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("# the check\n", ""),
        (":label: ex-double\n", ""),
        ("{solution} ex-double", "{solution} ex-x"),
    ],
)
def test_an_incomplete_exercise_is_refused(was, becomes):
    asked = notebook()
    asked.cells[1].source = asked.cells[1].source.replace(was, becomes)
    with pytest.raises(ValueError, match=r"needs a label|without exercise or solution"):
        read_exercises(asked)
