"""A disk that fills up while a file is written: one error, which says where and what helps."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The system's numbers for a disk, a quota or a limit on files that is used up."""

# These write through code of their own, whose errors have no number, nor a class in common.
_WRITERS = ("rasterio", "pyarrow", "duckdb", "pyogrio", "h5py")
_SAID = re.compile(r"no space left|write error|error writing|disk (is )?full|file too large", re.I)


class UnwrittenError(OSError):
    """A file was not written, and not given its name: there is no room, or GDAL failed."""


@contextmanager
def telling_full_disk(target: Path, also: str = "") -> Iterator[None]:
    """Turn an error of a full disk, the system's or a library's, into one that says where.

    Parameters
    ----------
    target
        What is written inside.
    also
        What the reader can do beside freeing some space.

    Raises
    ------
    UnwrittenError
        With the error's number, the folder, and what is left there.

    Examples
    --------
    >>> with telling_full_disk(Path("/data/a.tif")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    pipekit.full_disk.UnwrittenError: [Errno 28] no space left to write a.tif in /data (No space \
left on device); no part of it was given its name: free some space and run again
    """
    try:
        yield
    except UnwrittenError as error:
        if also:
            raise UnwrittenError(error.errno, f"{error.strerror}, or {also}") from error
        raise
    except Exception as error:
        number = _number(error)
        if number not in FULL and not _library_says(error):
            raise
        raise UnwrittenError(
            number or errno.ENOSPC,
            f"no space left to write {target.name} in {target.parent} "
            f"({getattr(error, 'strerror', None) or error}{_left(target.parent)}); no part of it "
            f"was given its name: free some space and run again{f', or {also}' if also else ''}",
        ) from error


@contextmanager
def gdal_writes(target: Path) -> Iterator[None]:
    """Turn what GDAL raises while it does nothing but write a file into one of ours.

    Its errors are private classes, and of a full disk it may say anything: by then it has removed
    the unfinished file, and there is room again.

    Parameters
    ----------
    target
        What is written inside.

    Raises
    ------
    UnwrittenError
        With the folder, and what is left there.

    Examples
    --------
    >>> with gdal_writes(Path("/data/a.tif")):
    ...     raise ValueError("of Python, and not GDAL's")
    Traceback (most recent call last):
    ValueError: of Python, and not GDAL's
    """
    try:
        with telling_full_disk(target):
            yield
    except Exception as error:
        if not _of_a_library(error) or _number(error) is not None:
            raise
        raise UnwrittenError(
            errno.EIO,
            f"GDAL could not write {target.name} in {target.parent} "
            f"({error.__cause__ or error}{_left(target.parent)}); no part of it was given its "
            "name: free some space there, or choose another folder",
        ) from error


def _number(error: Exception) -> int | None:
    """Return the system's number of an error; those of GDAL are not the system's."""
    return error.errno if isinstance(error, OSError) else None


def _left(folder: Path) -> str:
    """Say how much room is left where a folder lies."""
    try:
        return f"; {shutil.disk_usage(folder).free / 1e6:.0f} MB are free"
    except OSError:  # there is no such folder
        return ""


def _of_a_library(error: BaseException) -> bool:
    """Return whether an error is of a library that writes by itself."""
    return type(error).__module__.partition(".")[0] in _WRITERS


def _library_says(error: BaseException) -> bool:
    """Return whether a library's error says by its words that the disk is full."""
    chain: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in chain:
        chain.append(each)
        each = each.__cause__ or each.__context__
    return any(_of_a_library(each) and _SAID.search(str(each)) for each in chain)
