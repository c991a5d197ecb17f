"""Files that are there whole or not at all, and that one process at a time writes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a path beside a file, which takes the file's place when the block ends well.

    A run that is stopped leaves the old file or the new one.

    Parameters
    ----------
    path
        The file to be written.

    Yields
    ------
    Path
        A path in the same folder with the same suffix.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with beside(Path(folder) / "a.txt") as unfinished:
    ...         written = unfinished.write_text("whole")
    ...     [(file.name, file.read_text()) for file in Path(folder).iterdir()]
    [('a.txt', 'whole')]
    """
    unfinished = path.with_name(f".{path.name}.{os.urandom(16).hex()}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, waiting for whoever has it; released if we die.

    The file stays: removing it would let a third process lock another file of the same name.

    Parameters
    ----------
    path
        The file to lock; it and its folder are made where they are missing.

    Yields
    ------
    None
        The lock is held within the block.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder) / ".lock"):
    ...     "ours"
    'ours'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(handle)
        yield
    finally:
        os.close(handle)


def lock(handle: int, wait: bool = True) -> bool:
    """Lock an open file until it is closed or the process ends; tell whether it is ours.

    Parameters
    ----------
    handle
        The file's descriptor.
    wait
        Whether to wait for whoever has it.

    Returns
    -------
    bool
        False when another process has it and `wait` is False.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     lock(file.fileno(), wait=False)
    True
    """
    if os.name == "nt":
        return _lock_a_byte(handle, wait)
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_a_byte(handle: int, wait: bool) -> bool:
    """Lock as Windows does: one byte far beyond the end, for the rest to stay writable."""
    import msvcrt

    while True:
        os.lseek(handle, 1 << 40, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            return True
        except OSError:
            if not wait:
                return False
        time.sleep(0.1)
