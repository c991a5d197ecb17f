"""Folders for temporary files that outlive no process for long, not even one that is killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipekit.files import lock


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Give a new folder under the one for temporary files, which is gone when the block ends.

    A process that is killed leaves its own behind; whoever asks for one with the same prefix next
    removes those. A locked file beside each folder says that its process lives.

    Parameters
    ----------
    prefix
        How the folder's name begins.

    Yields
    ------
    Path
        A folder that only this user can read.

    Examples
    --------
    >>> with scratch_folder("pipekit-example-") as folder:
    ...     folder.is_dir(), folder.name[:16]
    (True, 'pipekit-example-')
    >>> folder.exists()
    False
    """
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{prefix}*.lock"):
        _remove_if_left(left)
    while True:
        handle, name = tempfile.mkstemp(".lock", prefix, root)
        if lock(handle, wait=False) and _is(handle, Path(name)):
            break
        os.close(handle)  # another process took it for one that was left, in this very moment
    folder = Path(name).with_suffix("")
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(folder, Path(name), handle)


def _remove_if_left(file: Path) -> None:
    """Remove a folder whose process is no more, unless it is another user's."""
    try:
        if file.is_symlink() or (hasattr(os, "getuid") and file.stat().st_uid != os.getuid()):
            return
        handle = os.open(file, os.O_RDWR)
    except OSError:
        return
    if lock(handle, wait=False) and _is(handle, file):
        _remove(file.with_suffix(""), file, handle)
    else:
        os.close(handle)


def _remove(folder: Path, file: Path, handle: int) -> None:
    """Remove a folder and the file beside it, whose lock is ours; Windows wants it closed first."""
    shutil.rmtree(folder, ignore_errors=True)
    if os.name == "nt":
        os.close(handle)
    with suppress(OSError):
        file.unlink()
    if os.name != "nt":
        os.close(handle)


def _is(handle: int, file: Path) -> bool:
    """Return whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except OSError:
        return False
