"""A target that one run at a time writes: the claim lies beside it and says who has it.

On this machine it is a file that is locked for as long as its process lives. On a store, which
locks nothing, it is an object that is made only where there is none: one that a process of this
machine has left when it died is taken over, and so is one of the same journal.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipekit.files import lock
from pipekit.places import ChangedError, Place

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def claimed(
    target: Path | Place, journal: str = "", refusal: type[Exception] = ValueError
) -> AbstractContextManager[None]:
    """Hold the claim on a target, which no other run writes meanwhile.

    Parameters
    ----------
    target
        A file, a folder, or what is on a store; its folder is there.
    journal
        Of the run, if any: who goes on with it takes the claim over at once.
    refusal
        The error for a target that another run writes.

    Raises
    ------
    refusal
        It names who has the claim, since when, and the way out.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, claimed(Path(folder) / "a.tif"):
    ...     with claimed(Path(folder) / "b.tif"):
    ...         sorted(path.name for path in Path(folder).iterdir())
    ['.a.tif.claim', '.b.tif.claim']
    """
    mine = _claim(journal)
    place = target.with_name(f".{target.name}.claim")
    if isinstance(place, Path):
        return _on_disk(place, target, mine, refusal)
    return _on_store(place, target, mine, refusal)


@contextmanager
def _on_disk(path: Path, target: Any, mine: dict[str, Any], refusal: Any) -> Iterator[None]:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            ours = lock(handle, wait=False)
        except OSError as error:
            ours = error.errno in _NO_LOCKS  # of the file system: nobody can be asked
            if not ours:
                os.close(handle)
                raise
        if not ours:
            with suppress(OSError):
                text = os.read(handle, 10_000)
            os.close(handle)
            raise refusal(_refused(target, text, "let it end, or choose another target"))
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            break
        os.close(handle)  # whoever had it has removed it meanwhile
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(mine).encode())
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def _on_store(place: Place, target: Any, mine: dict[str, Any], refusal: Any) -> Iterator[None]:
    text = json.dumps(mine).encode()
    tag = _taken(place, text, mine, target, refusal)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            if place.find().tag == tag:  # another run may have gone on with the journal
                place.remove()


def _taken(place: Place, text: bytes, mine: dict[str, Any], target: Any, refusal: Any) -> str:
    """Return the tag of the claim, which is ours now."""
    way_out = f"let it end, choose another target, or remove {place} if that run is no more"
    theirs = b""
    for _ in range(3):
        with suppress(FileNotFoundError, ChangedError):
            return place.write(text, over="")
        with suppress(FileNotFoundError, ChangedError):  # given back, or taken by a third
            theirs, tag = place.tagged()
            if not _is_free(theirs, mine):
                break
            return place.write(text, over=tag)
    raise refusal(_refused(target, theirs, way_out))


def _claim(journal: str) -> dict[str, Any]:
    """Return who we are, as others are told."""
    if journal and "://" not in journal:
        journal = f"{_machine()}:{journal}"  # another machine may have a file of this name
    return {
        "process": os.getpid(),
        "began": _began(os.getpid()),
        "machine": _machine(),
        "journal": journal,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "token": os.urandom(8).hex(),
    }


def _refused(target: Any, text: bytes, way_out: str) -> str:
    """Say who has a target."""
    try:
        told = json.loads(text)
        by = f"process {told['process']} on {told['machine']} since {told['since']}" + (
            f" with the journal {told['journal']}" if told["journal"] else ""
        )
    except (ValueError, TypeError, KeyError):
        by = "another run"
    return f"{target} is being written by {by}; {way_out}"


def _is_free(text: bytes, mine: dict[str, Any]) -> bool:
    """Return whether a claim is of our own journal, or of a process of this machine that died."""
    try:
        told = json.loads(text)
        if told["journal"] and told["journal"] == mine["journal"]:
            return True
        here = told["machine"] == mine["machine"] and os.name == "posix"
        return here and not _lives(int(told["process"]), told["began"])
    except (ValueError, TypeError, KeyError):
        return False


def _lives(process: int, began: str) -> bool:
    """Return whether a process is there, and not another one with its number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _began(process) == began


def _began(process: int) -> str:
    """Return when a process began, in ticks since the machine did; "" where nobody tells."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def _machine() -> str:
    """Return what tells machines apart, and containers whose processes have numbers of their own.

    >>> _machine() == _machine()
    True
    """
    space = ""
    with suppress(OSError):
        space = "/" + os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return platform.node() + space
