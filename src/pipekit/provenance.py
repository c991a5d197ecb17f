"""Writing into a result how it was made."""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from pipekit.carrier import changed, is_carrier
from pipekit.config import NotSerializableError
from pipekit.fingerprint import content_hash
from pipekit.operator import Operator, checked_operator
from pipekit.radius import operators_within, passed_on
from pipekit.registry import SHIPPED


class Provenance(Operator):
    """Run an operator and note on the result, in `attrs["provenance"]`, how it was made.

    The note is a dictionary of texts: `pipeline_hash` (the operator's `config_hash`, or None when
    it holds a function), `operators` (the steps as they print), `versions` (of Python, numpy and
    the packages of the operators), `time` (UTC, ISO 8601) and `input_hash`. GeoTensors and
    DataArrays have room for it; any other result is returned as it is.

    Parameters
    ----------
    op
        The operator.

    Examples
    --------
    >>> import numpy as np
    >>> from pipekit import Identity
    >>> Provenance(Identity())(np.zeros(2)).tolist()
    [0.0, 0.0]
    >>> Provenance(Identity()).describe(np.zeros(2))["operators"]
    ['Identity()']
    """

    radius = passed_on("op")

    def __init__(self, op: Operator) -> None:
        self.op = checked_operator(op, "op")

    def _apply(self, *inputs: Any) -> Any:
        result = self.op(*inputs)
        if is_carrier(result):
            return changed(result, attrs={**result.attrs, "provenance": self._note(*inputs)})
        assign = getattr(result, "assign_attrs", None)
        return result if assign is None else assign(provenance=self._note(*inputs))

    def describe(self, *inputs: Any) -> Any:
        """Return the note for these inputs, without running the operator.

        Parameters
        ----------
        *inputs
            The inputs of the operator; without any, the table of its steps is returned, as of
            every operator.

        Returns
        -------
        dict
            The note.
        """
        return self._note(*inputs) if inputs else super().describe()

    def _note(self, *inputs: Any) -> dict[str, Any]:
        steps = getattr(self.op, "operators", None)
        listed = list(steps) if isinstance(steps, tuple) else [self.op]
        config_hash = None
        with suppress(NotSerializableError):
            config_hash = self.op.config_hash
        return {
            "pipeline_hash": config_hash,
            "operators": [repr(step) for step in listed],
            "versions": versions(self.op),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "input_hash": content_hash(*inputs),
        }


def versions(op: Operator) -> dict[str, str]:
    """Return the versions of Python, numpy and the packages that an operator's classes come from.

    Parameters
    ----------
    op
        An operator; those within it count, too.

    Returns
    -------
    dict
        Package -> version.

    Examples
    --------
    >>> from pipekit import Identity
    >>> sorted(versions(Identity()))
    ['numpy', 'pipekit', 'python']
    """
    operators = [each for each in operators_within(op) if isinstance(each, Operator)]
    packages = {type(each).__module__.partition(".")[0] for each in operators} - {"__main__"}
    found = {"python": platform.python_version(), "numpy": np.__version__}
    return found | {name: _version(name) for name in sorted(packages)}


@cache
def _version(package: str) -> str:
    """Return a package's version: its own word, or that of the distribution it comes from."""
    from importlib import metadata

    own = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(own, str):
        return own
    try:
        return metadata.version("geostack" if package in SHIPPED else package)
    except metadata.PackageNotFoundError:
        # Asked last, because it reads the file lists of all that is installed.
        names = metadata.packages_distributions().get(package, [])
        return metadata.version(names[0]) if names else "unknown"
