"""Setting bad data aside without stopping the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipekit.control import checked_choice
from pipekit.operator import Operator
from pipekit.qc import QCError


class Quarantine(Operator):
    """Replace an input that fails a check by a sentinel, and tell who wants to know.

    Args:
        check: an operator that raises `QCError` for bad input, or a function that returns
            whether the input is good.
        sentinel: what stands for bad input from here on.
        on_quarantine: called with the bad input and the `QCError`.

    >>> import numpy as np
    >>> from pipekit import AssertDType
    >>> Quarantine(AssertDType("float32"), sentinel=None)(np.zeros(2, "int16")) is None
    True
    """

    def __init__(
        self,
        check: Callable[[Any], Any],
        sentinel: Any,
        on_quarantine: Callable[[Any, QCError], object] | None = None,
    ) -> None:
        self.check = checked_choice(check, "Quarantine", "check")
        self.sentinel = sentinel
        self.on_quarantine = on_quarantine
        self.forbid_in_yaml = not isinstance(check, Operator) or on_quarantine is not None

    def _apply(self, x: Any) -> Any:
        try:
            self._inspect(x)
        except QCError as error:
            if self.on_quarantine is not None:
                self.on_quarantine(x, error)
            return self.sentinel
        return x

    def _inspect(self, x: Any) -> None:
        verdict = self.check(x)
        if not isinstance(self.check, Operator) and not verdict:
            raise QCError(f"the check refused the input: it returned {verdict!r}")
