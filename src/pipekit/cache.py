"""Remembering an operator's results by the content of their input."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from pipekit.carrier import changed, is_carrier
from pipekit.config import NotSerializableError
from pipekit.control import current_mode
from pipekit.fingerprint import content_hash
from pipekit.operator import Operator, checked_count, checked_operator
from pipekit.radius import passed_on
from pipekit.store import MISSING, FolderStore, MemoryStore


class Cache(Operator):
    """Run an operator once per content of its input, and return the remembered result after that.

    A result is known by the hash of the inputs' content (see `content_hash`), the operator's
    `config_hash` and the `pipeline_mode`. Callers that ask for the same result at the same time
    wait for the one that computes it. What is returned is the caller's own copy.

    The code of an operator is no part of its config: after changing what a class does, clear the
    cache or give a `key`.

    Parameters
    ----------
    op
        The operator; it should depend on nothing but its inputs and arguments.
    maxsize
        The most results kept; the one unused for longest goes first. None: all.
    folder
        Where results are kept as files instead of in memory. Files are unpickled, so the
        folder must be as trusted as code. It may be shared with other processes and users: what
        is damaged, gone or not ours to read is computed again, and where nothing can be written
        nothing is remembered (the log says so).
    key
        Stands for the operator in place of its `config_hash`; needed when the operator
        holds a function or model.

    Raises
    ------
    TypeError
        The operator has no `config_hash` and no `key` is given.

    Examples
    --------
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
        self.op = checked_operator(op, "op")
        self.maxsize = checked_count(maxsize, "maxsize", none=True)
        self.folder = folder
        self.key = key
        # A config from elsewhere must not choose a folder whose files are unpickled.
        self.forbid_in_yaml = folder is not None
        if key is None:
            try:
                _ = op.config_hash
            except NotSerializableError as error:
                raise TypeError(
                    f"Cache cannot tell {type(op).__name__} apart from others: {error}; "
                    "or give key=, a text that stands for the operator and its version"
                ) from error
        self._prepare()

    radius = passed_on("op")

    def _prepare(self) -> None:
        """Make the store and the locks, which do not travel with a pickle."""
        self._store: MemoryStore | FolderStore = MemoryStore(self.maxsize)
        if self.folder is not None:
            self._store = FolderStore(self.folder, self.maxsize)
        self.hits = self.misses = 0
        self._lock = threading.Lock()
        self._computing: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def _apply(self, *inputs: Any) -> Any:
        stands_for = self.op.config_hash if self.key is None else self.key
        # A step that runs in training only must not be remembered for evaluation.
        key = content_hash(stands_for, current_mode(), *inputs)
        with self._lock:
            # If the caller that computes fails, the next one finds no result, and computes.
            computing = self._computing.setdefault(key, threading.Lock())
        with computing:
            with self._lock:
                found = self._store.get(key)
                self.hits += found is not MISSING
                self.misses += found is MISSING
            if found is MISSING:
                result = self.op(*inputs)
                with self._lock:
                    self._store.put(key, _own_copy(result))
                return result
        return _own_copy(found)

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
        self._prepare()


def _own_copy(value: Any) -> Any:
    """Return a copy that shares no memory with the value, as far as it can change."""
    if is_carrier(value):
        # GeoTensor's own copy leaves its attributes behind, and np.array a mask.
        return changed(value, values=value.values.copy(), attrs=copy.deepcopy(value.attrs))
    if type(value) in (list, tuple):
        return type(value)(_own_copy(item) for item in value)
    if type(value) is dict:
        return {k: _own_copy(item) for k, item in value.items()}
    return copy.deepcopy(value)


Memoize = Cache
"""Another name of `Cache`."""
