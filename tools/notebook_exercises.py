"""The exercises of a lesson: read them, and prove in its kernel that they can be solved and failed.

An exercise is a markdown cell that MyST and Sphinx both understand: an `exercise` directive with a
blank and, below the line `# the check`, asserts; and a folded `solution` directive that takes the
blank's place. `tools/exercise_mistakes.yaml` holds two mistakes for each, as text to be replaced in
the solution. A lesson is at fault when the untouched blank passes, the solution fails, or a mistake
passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["CHECK", "Exercise", "faults_told", "read_exercises", "read_mistakes", "trial_code"]

CHECK = "# the check\n"
"""The line between a blank and the asserts."""

MISTAKES = Path(__file__).with_name("exercise_mistakes.yaml")
"""Two planted mistakes for each exercise, by its label."""

_DIRECTIVE = re.compile(
    r"^:::+\{(exercise|solution)\}(?: ([\w-]+))?\n(.*?)^:::+$", re.DOTALL | re.MULTILINE
)
_CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LABEL = re.compile(r"^:label: ([\w-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """One exercise: what the reader finds, what checks it, and what solves it."""

    label: str
    blank: str
    check: str
    solution: str

    def attempts(self, mistakes: Sequence[Sequence[str]]) -> Iterator[tuple[str, str, bool]]:
        """Yield (name, code, whether the check must pass) of the blank, solution and mistakes."""
        yield "the untouched blank", self.blank + self.check, False
        yield "the solution", self.solution + self.check, True
        for right, wrong in mistakes:
            if self.solution.count(right) != 1:
                raise ValueError(f"{self.label}: the solution must hold {right!r} once")
            wronged = self.solution.replace(right, wrong)
            yield f"the mistake {wrong!r}", wronged + self.check, False


def read_exercises(notebook: Any) -> list[Exercise]:
    """Return the exercises of a notebook, in order.

    Raises
    ------
    ValueError
        When an exercise has no label, no check or no solution.
    """
    asked: dict[str, str] = {}
    solved: dict[str, str] = {}
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for kind, of, body in _DIRECTIVE.findall(cell.source):
            label = _LABEL.search(body)
            name = of if kind == "solution" else label.group(1) if label else ""
            code = _CODE.findall(body)
            if not name or len(code) != 1 or (kind == "exercise" and CHECK not in code[0]):
                raise ValueError(f"{kind} {name or body[:60]!r} needs a label, code and a check")
            (solved if kind == "solution" else asked)[name] = code[0]
    if asked.keys() != solved.keys():
        raise ValueError(f"without exercise or solution: {sorted(asked.keys() ^ solved.keys())}")
    found = []
    for label, text in asked.items():
        blank, _, check = text.partition(CHECK)
        found.append(Exercise(label, blank, check, solved[label]))
    return found


def read_mistakes(path: Path = MISTAKES) -> dict[str, list[list[str]]]:
    """Return the planted mistakes, label to two pairs (right, wrong)."""
    return yaml.safe_load(path.read_text("utf-8")) or {}


def trial_code(
    exercises: Sequence[Exercise], mistakes: Mapping[str, Sequence[Sequence[str]]]
) -> str:
    """Return a cell that tries every attempt on a copy of the namespace, and prints the faults."""
    attempts = [
        [exercise.label, *attempt]
        for exercise in exercises
        for attempt in exercise.attempts(mistakes.get(exercise.label, ()))
    ]
    return f"""
def _try_exercises(attempts):
    import contextlib, io, json, matplotlib.pyplot as plt
    faults = []
    for label, name, code, must_pass in attempts:
        said = None
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, label, "exec"), dict(globals()))
        except Exception as error:
            said = f"{{type(error).__name__}}: {{error}}"
        plt.close("all")
        if (said is None) != must_pass:
            verdict = f"fails: {{said}}" if said else "passes"
            faults.append(f"exercise {{label}}: {{name}} {{verdict}}")
    print(json.dumps(faults))

_try_exercises(__import__("json").loads({json.dumps(attempts)!r}))
"""


def faults_told(cell: Any) -> list[str]:
    """Return the faults that an executed cell of `trial_code` printed, or why it printed none."""
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            faults: list[str] = json.loads(output.text)
            return faults
    return ["the exercises could not be tried"]
