"""What lessons share: they say which framework they need, and how much memory a process held."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from pipekit.lazy import how_to_install

__all__ = ["need", "peak_memory"]

SKIPPED = "skipped: this needs"
"""How the line begins that a skipped lesson prints."""


def need(*frameworks: str, extra: str = "recipes") -> bool:
    """Return True when all frameworks can be imported; else say how to get them and skip the rest.

    In a notebook the cells that follow do nothing; a script ends there, with status 0. The current
    folder leaves the import path: a lesson called `grain.py` must not hide the package `grain`.

    Parameters
    ----------
    *frameworks
        Names of modules.
    extra
        The extra of geostack that installs them.

    Returns
    -------
    bool
        Whether all can be imported.

    Raises
    ------
    SystemExit
        In a script, when one is missing.

    Examples
    --------
    >>> need("json", "math")
    True
    """
    here = {"", str(Path.cwd())}
    sys.path[:] = [entry for entry in sys.path if entry not in here]
    missing = [name for name in frameworks if find_spec(name) is None]
    if not missing:
        return True
    print(f"{SKIPPED} {' and '.join(missing)}; {how_to_install(extra)}")
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        raise SystemExit(0)
    shell.input_transformers_cleanup.append(_nothing)
    return False


def peak_memory() -> float:
    """Return the most memory that this process has held so far.

    Returns
    -------
    float
        MB (2**20 bytes).

    Examples
    --------
    >>> peak_memory() > 1
    True
    """
    told = Path("/proc/self/status")
    if told.exists():  # getrusage's answer begins with that of the process that started this one
        line = next(line for line in told.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _nothing(lines: list[str]) -> list[str]:
    """Turn a cell into one that does nothing."""
    return ["pass\n"]
