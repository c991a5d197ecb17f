"""Remembering results by the content of their input."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from pipekit.carrier import is_carrier
from pipekit.control import checked_operator
from pipekit.encode import NotSerializableError
from pipekit.hashing import content_hash
from pipekit.mode import current_mode
from pipekit.operator import Operator
from pipekit.store import MISSING, FolderStore, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

_IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), np.generic)


class Cache(Operator):
    """Run an operator once per content of its input, and return the remembered result after that.

    A result is known by the hash of the inputs' content (see `content_hash`), the operator's
    `config_hash` and the `pipeline_mode`. Callers that ask for the same result at the same time
    wait for the one that computes it. What is returned is the caller's own copy.

    The code of an operator is no part of its config: after changing what a class does, clear the
    cache or give a `key`.

    Args:
        op: the operator; it should depend on nothing but its inputs and arguments.
        maxsize: the most results kept; the one unused for longest goes first. None: all.
        folder: where results are kept as files instead of in memory. Files are unpickled, so the
            folder must be as trusted as code. A damaged file is computed again.
        key: stands for the operator in place of its `config_hash`; needed when the operator
            holds a function or model.

    Raises:
        TypeError: the operator has no `config_hash` and no `key` is given.

    >>> import numpy as np
    >>> from pipekit import Lambda
    >>> total = Cache(Lambda(np.sum), key="sum")
    >>> int(total(np.arange(4))), int(total(np.arange(4))), total.hits, total.misses
    (6, 6, 1, 1)
    """

    def __init__(
        self,
        op: Operator,
        maxsize: int | None = None,
        folder: str | Path | None = None,
        key: str | None = None,
    ) -> None:
        if maxsize is not None and (type(maxsize) is not int or maxsize < 1):
            raise ValueError(f"maxsize must be a positive integer or None, got {maxsize!r}")
        self.op = checked_operator(op, "op")
        self.maxsize = maxsize
        self.folder = folder
        self.key = key
        self.hits = 0
        self.misses = 0
        # A config from elsewhere must not choose a folder whose files are unpickled.
        self.forbid_in_yaml = folder is not None
        if key is None:
            _check_has_hash(op)
        self._prepare()

    def _prepare(self) -> None:
        self._store = (
            MemoryStore(self.maxsize)
            if self.folder is None
            else FolderStore(self.folder, self.maxsize)
        )
        self._lock = threading.Lock()
        self._computing: dict[str, threading.Event] = {}

    def _apply(self, *inputs: Any) -> Any:
        stands_for = self.op.config_hash if self.key is None else self.key
        # A step that runs in training only must not be remembered for evaluation.
        key = content_hash(stands_for, current_mode(), *inputs)
        while True:
            with self._lock:
                found = self._store.get(key)
                if found is not MISSING:
                    self.hits += 1
                    break
                done = self._computing.get(key)
                if done is None:
                    done = self._computing[key] = threading.Event()
                    self.misses += 1
                    mine = True
                else:
                    mine = False
            if mine:
                return self._compute(key, done, inputs)
            # If that caller fails, there is still no result, and this one computes.
            done.wait()
        return _own_copy(found)

    def _compute(self, key: str, done: threading.Event, inputs: tuple[Any, ...]) -> Any:
        try:
            result = self.op(*inputs)
            with self._lock:
                self._store.put(key, _own_copy(result))
            return result
        finally:
            with self._lock:
                del self._computing[key]
            done.set()

    def clear(self) -> None:
        """Forget all results and counts; files in the folder are removed."""
        with self._lock:
            self._store.clear()
            self.hits = self.misses = 0

    # A copy in another process starts with the files, if any, and no results in memory.
    def __getstate__(self) -> dict[str, Any]:
        left = ("_store", "_lock", "_computing")
        return {name: value for name, value in vars(self).items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.hits = self.misses = 0
        self._prepare()


def _check_has_hash(op: Operator) -> None:
    try:
        _ = op.config_hash
    except NotSerializableError as error:
        raise TypeError(
            f"Cache cannot tell {type(op).__name__} apart from others: {error}; "
            "or give key=, a text that stands for the operator and its version"
        ) from error


def _own_copy(value: Any) -> Any:
    """Return a copy that shares no memory with the value, as far as it can change."""
    if isinstance(value, _IMMUTABLE):
        return value
    if is_carrier(value):
        # GeoTensor's own copy leaves its attributes behind.
        make: Any = type(value)
        return make(
            np.array(value.values),
            transform=value.transform,
            crs=value.crs,
            fill_value_default=value.fill_value_default,
            attrs=copy.deepcopy(value.attrs),
        )
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return value.copy()
    if type(value) in (list, tuple):
        return type(value)(_own_copy(item) for item in value)
    if type(value) is dict:
        return {k: _own_copy(item) for k, item in value.items()}
    return copy.deepcopy(value)
