"""Each exercise of each lesson has a folded solution, a check, and two mistakes that the runner plants."""

import re
from collections import Counter

import pytest
from notebook_exercises import read_exercises, read_mistakes, trial_code
from notebook_files import ROOT, find_sources, read_source

SOURCES = find_sources(ROOT, "all")
LESSONS = {
    str(path.relative_to(ROOT / "notebooks").with_suffix("")): read_source(path) for path in SOURCES
}
WITH = [name for name, lesson in LESSONS.items() if read_exercises(lesson)]


@pytest.mark.parametrize("name", WITH)
def test_two_mistakes_can_be_planted_in_each_solution(name):
    mistakes = read_mistakes()
    exercises = read_exercises(LESSONS[name])
    assert {exercise.label: len(mistakes[exercise.label]) for exercise in exercises} == {
        exercise.label: 2 for exercise in exercises
    }
    assert trial_code(exercises, mistakes)  # each text to be replaced is there, once


@pytest.mark.parametrize("name", WITH)
def test_solutions_are_folded(name):
    text = "\n".join(cell.source for cell in LESSONS[name].cells if cell.cell_type == "markdown")
    solutions = re.findall(r"\{solution\} [\w-]+\n(.*)", text)
    assert set(solutions) == {":class: dropdown"}


def test_labels_are_unique_and_no_mistake_is_left_over():
    labels = Counter(e.label for lesson in LESSONS.values() for e in read_exercises(lesson))
    assert max(labels.values()) == 1
    assert set(labels) == set(read_mistakes())
