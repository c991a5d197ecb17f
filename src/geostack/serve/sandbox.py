"""A stranger's pipeline, run in a process of its own that can be stopped.

The text is read, built and run by a child with limits on memory, time and file size, in an empty
folder and without the server's environment. It builds only operators of a registry that reads and
writes nothing; what it returns is bytes, never a pickle. Needs a POSIX system.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geostack.child import answering
from geostack.serve.problem import Problem, problem_of
from pipekit import ConfigError, Operator, Registry, default_registry, from_config
from pipekit.carrier import dumps
from pipekit.config import Limits
from pipekit.result_size import run_bounded
from pipekit.scratch import scratch_folder

if TYPE_CHECKING:
    from georeader.geotensor import GeoTensor

_LIMITS = Limits(max_depth=20, max_operators=50, max_values=2_000, max_bytes=32_000)
_MEMORY = 2 << 30
_FILE = 256 << 20
_STRAY = 256

# They read or write files, start threads and processes, wait, or print.
_LEFT_OUT = ("Cache", "ProcessMap", "Retry", "ShapeTrace", "SpatialOverlapAdd", "ThreadMap")

# A CRS given as a text may name a file or an address; EPSG codes need none of these.
_PATH_SIGNS = ("/", "\\", "+", "@")


class Ran(NamedTuple):
    """What a posted pipeline gave.

    Parameters
    ----------
    content
        A GeoTIFF or JSON.
    config_hash
        Of the pipeline.

    Examples
    --------
    >>> Ran(b"{}", "0123456789abcdef").config_hash
    '0123456789abcdef'
    """

    content: bytes
    config_hash: str


def is_possible() -> bool:
    """Return whether this system can limit a process, as POSIX systems can.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_possible() == (os.name == "posix")
    True
    """
    return os.name == "posix"


def visitors_registry() -> Registry:
    """Return the operators that a posted pipeline may use.

    Returns
    -------
    Registry

    Examples
    --------
    >>> "NDVI" in visitors_registry(), "WriteCOG" in visitors_registry()
    (True, False)
    """
    kept = (cls for cls in default_registry() if cls.__name__ not in _LEFT_OUT)
    return Registry(kept, files=False)


def build(text: str) -> Operator:
    """Return the operator that a posted YAML describes.

    Parameters
    ----------
    text
        YAML.

    Returns
    -------
    Operator

    Raises
    ------
    ConfigError
        For what is malformed, too large, outside `visitors_registry`, or holds a text that could
        be a path.

    Examples
    --------
    >>> build("{class: NDVI, config: {red_idx: B04, nir_idx: B08}}").red_idx
    'B04'
    """
    from pipekit.yaml_text import parse

    config = parse(text, _LIMITS)
    _refuse_paths(config)
    return from_config(config, visitors_registry(), **_LIMITS._asdict())


def _refuse_paths(value: Any) -> None:
    if isinstance(value, str) and any(sign in value for sign in _PATH_SIGNS):
        raise ConfigError(f"texts hold no {' '.join(_PATH_SIGNS)} here; give a CRS as EPSG:CODE")
    if isinstance(value, dict) and _holds_text(value.get("dtype")):
        raise ConfigError(f"arrays hold numbers here, got dtype {value['dtype']!r}")
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(parts, list):
        for part in parts:
            _refuse_paths(part)


def _holds_text(dtype: Any) -> bool:
    """Whether an array of a dtype could hold text, which a look at texts would not see."""
    try:
        return isinstance(dtype, str) and np.dtype(dtype).kind in "USOV"
    except TypeError:
        return True


class Children:
    """The processes of posted pipelines that run now, so that a server that stops ends them.

    >>> children = Children()
    >>> children.close()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def run(
        self, text: str, chip: GeoTensor, *, kind: str, output: str | None, seconds: float
    ) -> Ran:
        """Return what a posted pipeline makes of a chip, in a process of its own.

        Parameters
        ----------
        text
            The pipeline as YAML.
        chip
            (C, H, W), what the pipeline is given.
        kind
            "tiff" or "json".
        output
            Which output of several.
        seconds
            The child is killed after that.

        Returns
        -------
        Ran

        Raises
        ------
        Problem
            422 for a refused pipeline or result, 504 when it takes too long, 503 once the children
            are closed.
        """
        # To the child a pickle may go: this process made it. None ever comes back.
        sent = dumps((text, kind, output, int(seconds) + 1, chip))
        with scratch_folder("geostack-serve-") as folder, self._start(str(folder)) as child:
            try:
                answer = child.communicate(sent, timeout=seconds)[0]
            except subprocess.TimeoutExpired:
                raise Problem(504, f"the pipeline took longer than {seconds:g} s", 30) from None
            finally:
                child.kill()
                with self._lock:
                    self._running.discard(child)
        head, _, content = answer.partition(b"\n")
        try:
            told = json.loads(head)
        except ValueError:
            # Killed from outside, for memory or time, before it could say anything.
            raise Problem(422, "the pipeline went beyond its limits of memory or time") from None
        if told["status"] != 200:
            raise Problem(told["status"], told["detail"])
        return Ran(content, told["config_hash"])

    def _start(self, folder: str) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise Problem(503, "the server is stopping; try again", 5)
            child = subprocess.Popen(
                [sys.executable, "-I", "-m", __name__, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=_environment(folder),
                # Ctrl-C in the server's terminal is not meant for it: it is let finish.
                start_new_session=True,
            )
            self._running.add(child)
            return child

    def close(self) -> None:
        """Start no more children, and kill those that run."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            child.kill()
            child.wait()


def _environment(folder: str) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LC_ALL": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PROJ_NETWORK": "OFF",
    }


def _limit(seconds: int) -> None:
    import resource

    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_NOFILE, _STRAY),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))


def _refusal(error: Exception) -> Problem:
    """Return what the poster is told; no message that could name a file of the server."""
    if isinstance(error, ConfigError):
        return Problem(422, f"the pipeline is refused: {str(error)[:500]}")
    if isinstance(error, MemoryError):
        return Problem(422, "the pipeline needs more memory than it may have")
    problem = problem_of(error)
    if problem is error or problem.status == 422:
        return problem
    # A posted pipeline that fails is the poster's mistake, whatever it is.
    name, message = type(error).__name__, str(error)[:300]
    told = message and not any(sign in message for sign in ("/", "\\"))
    return Problem(422, f"it failed with {name}: {message}" if told else f"it failed with {name}")


def main() -> None:
    """Be the child: read a job from standard input, write the answer to standard output."""
    answer = answering(int(sys.argv[1]))
    from geostack.serve.pixels import as_geotiff, as_summary

    text, kind, output, seconds, chip = pickle.load(sys.stdin.buffer)
    _limit(seconds)
    content = b""
    try:
        operator = build(text)
        result = run_bounded(operator, _FILE, chip)
        if kind == "tiff":
            content = as_geotiff(result, output)
        else:
            content = json.dumps(as_summary(result, output)).encode()
        head = {"status": 200, "config_hash": operator.config_hash}
    except Exception as error:
        problem = _refusal(error)
        head = {"status": problem.status, "detail": problem.detail}
    answer.write(json.dumps(head).encode() + b"\n" + content)
    answer.flush()


if __name__ == "__main__":
    main()
