"""Files that are there whole or not at all, that one process at a time writes, and their names."""

from __future__ import annotations

import html
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from pipekit.full_disk import telling_full_disk
from pipekit.places import Place, store_of


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a path beside a file, which takes the file's place when the block ends well.

    A run that is stopped leaves the old file or the new one, and so does a power cut: the new one
    is on the disk before it takes the name.

    Parameters
    ----------
    path
        The file to be written.

    Yields
    ------
    Path
        A path in the same folder with the same suffix.

    Raises
    ------
    UnwrittenError
        There is no room for it.

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
        with telling_full_disk(path):
            yield unfinished
            sync(unfinished)
            os.replace(unfinished, path)
    finally:
        # GDAL's own unfinished files have longer names.
        for left in path.parent.glob(f"{escape(unfinished.name)}*"):
            left.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until what was written to a file is on the disk.

    A rename may reach the disk before what is in the file: after a power cut the name would then
    stand for a part of it, or for zeros.

    Parameters
    ----------
    path
        A file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     sync(Path(file.name))
    """
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


SAMPLES = 16
"""Places at which `sample_of` looks into a file: a disk is slow, and files are many."""


def sample_of(name: str | os.PathLike[str]) -> str:
    """Return a file's size, with a checksum of pieces spread over it, or an object's with its tag.

    What was cut, emptied or written over differs; one changed byte between the pieces does not.

    Parameters
    ----------
    name
        A file of this machine, in any form that `file_of` reads, or an object of a store.

    Returns
    -------
    str
        Bytes and a CRC-32 of up to a megabyte of them, or an object's tag; "" for a folder, and
        for what is elsewhere.

    Raises
    ------
    FileNotFoundError
        When nothing is there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.bin"
    ...     _ = file.write_bytes(b"abc")
    ...     sample_of(file)
    '3-352441c2'
    """
    if (place := store_of(name)) is not None:
        return "{}-{}".format(*place.find())
    path = file_of(name)
    if path is None or path.is_dir():
        return ""
    piece, crc = 2**16, 0
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        starts: Sequence[int] = range(0, size, piece)
        if size > SAMPLES * piece:
            starts = [(size - piece) * number // (SAMPLES - 1) for number in range(SAMPLES)]
        for start in starts:
            file.seek(start)
            crc = zlib.crc32(file.read(piece), crc)
    return f"{size}-{crc:08x}"


@contextmanager
def whole(target: Path | Place) -> Iterator[Path]:
    """Give a path of this machine, whose file becomes the target when the block ends well.

    Parameters
    ----------
    target
        A file, whose side files of GDAL are dropped with the old one, or an object of a store.

    Yields
    ------
    Path
        With the target's suffix: beside the file, or in the folder for temporary files.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "a.txt") as unfinished:
    ...         written = unfinished.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text()
    'whole'
    """
    if isinstance(target, Path):
        with beside(target) as unfinished:
            yield unfinished
            drop_side_files(target)
        return
    with TemporaryDirectory() as folder:
        unfinished = Path(folder) / target.name
        with telling_full_disk(unfinished, "set TMPDIR to another folder"):
            yield unfinished
            target.upload(unfinished)


SIDE_FILES = (".aux.xml", ".ovr", ".msk")
"""Endings of what GDAL keeps beside a raster and reads with it: statistics, overviews, a mask."""


def drop_side_files(path: Path) -> None:
    """Remove what GDAL has put beside a raster that is about to be replaced, as GDAL does.

    The overviews and the mask of an old raster would be taken for those of the new one.

    Parameters
    ----------
    path
        The raster's.

    Examples
    --------
    >>> drop_side_files(Path("no such raster.tif"))
    """
    for ending in SIDE_FILES:
        path.with_name(path.name + ending).unlink(missing_ok=True)


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


# What stands before a path of this machine: a scheme, a file system or a driver of GDAL.
_HEAD = re.compile(
    r"(?:(?:zip|tar|gzip)\+)*(?P<url>file|zip|tar|gzip|vrt)://(?:localhost(?=/))?"
    r"|/vsi(?:zip|tar|gzip|7z|rar|cached|subfile|sparse|crypt)(?:/(?!vsi)|(?=/vsi)|\?)"
    r"|(?!/vsi)(?:[a-z0-9_]{2,}:(?!//)(?:\d+:)?|\d+_\d*,|(?:[a-z_]+=[^,&/]*[,&])*file=|[\"{])",
    re.IGNORECASE,
)
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|/vsi", re.IGNORECASE)
_TAIL = re.compile(r"[?!\"|:}]")


def file_of(name: str | os.PathLike[str]) -> Path | None:
    """Return the file or folder on this machine that a path, a URL or a name of GDAL stands for.

    Parameters
    ----------
    name
        A path, a `file://` URL, a member of an archive (`/vsizip/`, `zip://`) or a subdataset
        (`NETCDF:"a.nc":t2m`). An archive's member stands for the archive.

    Returns
    -------
    Path or None
        None for what is elsewhere, such as `https://` and `/vsis3/`.

    Examples
    --------
    >>> file_of("file:///data/a%20b.tif").as_posix(), file_of("https://host/a.tif")
    ('/data/a b.tif', None)
    """
    text = os.fspath(name)
    if not isinstance(text, str) or os.path.exists(text):
        return Path(os.fsdecode(text))
    if os.path.islink(text) and _HEAD.match(said := os.readlink(text)):
        text = said  # a link to a name of GDAL's is broken for all but GDAL, which follows it
    while head := _HEAD.match(text):
        text = text[head.end() :]
        text = unquote(text) if head["url"] else text
    if not text or _REMOTE.match(text):
        return None
    ends = [len(text), *sorted((tail.start() for tail in _TAIL.finditer(text)), reverse=True)]
    for candidate in (Path(text[:end]) for end in ends if end):
        if os.path.exists(candidate):
            return candidate
        archive = next(filter(os.path.isfile, candidate.parents), None)
        if archive is not None:
            return archive
    return Path(text)


def file_to_write(name: str | os.PathLike[str]) -> Path | None:
    """Return the file or folder on this machine that is to be written under a name.

    Nothing is cut off, as it is from names that GDAL reads: "a?b.tif" is no question to "a", and
    "run1:b.tif" no "b.tif".

    Parameters
    ----------
    name
        A path, or a `file://` URL.

    Returns
    -------
    Path or None
        None for what is elsewhere.

    Examples
    --------
    >>> file_to_write("run1:b.tif").as_posix(), file_to_write("https://host/a.tif")
    ('run1:b.tif', None)
    """
    text = os.fspath(name)
    head = _HEAD.match(text)
    if head is not None and (head["url"] or "").lower() == "file":
        return Path(unquote(text[head.end() :]))
    return None if _REMOTE.match(text) else Path(text)


def place_to_write(
    name: str | os.PathLike[str], rule: str, refusal: type[Exception] = ValueError
) -> Path | Place:
    """Return the file or folder, or the place on a store, that is to be written under a name.

    Parameters
    ----------
    name
        A path, or the URL of a place.
    rule
        What the name must be, for the message: "path must be a file".
    refusal
        What is raised.

    Returns
    -------
    Path or Place
        Whether anything is there or not.

    Raises
    ------
    ValueError
        Or `refusal`, for what is elsewhere, such as on a web server.

    Examples
    --------
    >>> place_to_write("https://host/a.tif", "path must be a file")
    Traceback (most recent call last):
    ValueError: path must be a file on this machine or on an object store (s3, gs, az), got ...
    """
    found = store_of(name) or file_to_write(name)
    if found is None:
        raise refusal(f"{rule} on this machine or on an object store (s3, gs, az), got {name!r}")
    return found


def files_of(name: str | os.PathLike[str]) -> list[Path]:
    """Return the file that `file_of` finds, if any, and the files that a GDAL mosaic (.vrt) reads.

    A mosaic may read others, and may be given as its own XML.

    Parameters
    ----------
    name
        As in `file_of`.

    Returns
    -------
    list of Path
        Files on this machine, whether they are there or not.

    Examples
    --------
    >>> [path.name for path in files_of("scene.tif")], files_of("s3://bucket/scene.tif")
    (['scene.tif'], [])
    """
    found: dict[Path, None] = {}
    waiting = [os.fsdecode(name)]
    while waiting:
        text = waiting.pop()
        mosaic, folder = text, ""
        if not text.lstrip().startswith("<VRT"):
            path = file_of(text)
            if path is None or path in found:
                continue
            found |= dict.fromkeys([path, Path(text)] if os.path.islink(text) else [path])
            if path.suffix.lower() != ".vrt" or not os.path.isfile(path):
                continue
            mosaic, folder = path.read_text("utf-8", errors="replace"), str(path.parent)
        for near, source in _VRT_SOURCE.findall(mosaic):
            source = html.unescape(source)
            waiting.append(os.path.join(folder, source) if near else source)
    return list(found)


_VRT_SOURCE = re.compile(r'<Source(?:Filename|Dataset)(?:[^>]*(relativeToVRT="1"))?[^>]*>([^<]+)<')


def keep_inputs(
    target: str | os.PathLike[str],
    inputs: Iterable[Any],
    who: str,
    error: type[Exception] = ValueError,
) -> None:
    """Refuse a target that is one of the inputs, before anything is written to it.

    Parameters
    ----------
    target
        What is to be written.
    inputs
        Paths and names that `file_of` understands, and places on a store.
    who
        What writes, named by the error.
    error
        Its class.

    Raises
    ------
    error
        The target is an input by another name too: through a link, in other case (some file
        systems hold `A.tif` and `a.tif` for one), or as a folder that holds it or lies in it.

    Examples
    --------
    >>> keep_inputs("ndvi.tif", ["scene.tif"], "the run")
    >>> keep_inputs("Scene.tif", ["./scene.tif"], "the run")
    Traceback (most recent call last):
    ValueError: the run would write Scene.tif over its own input ./scene.tif; choose another name
    """
    if (goal := store_of(target)) is not None:
        for name in inputs:
            source = store_of(name)
            if source is not None and (goal.holds(source) or source.holds(goal)):
                raise error(_over_input(who, target, name))
        return
    path = file_to_write(target)
    if path is None:
        return
    mine, place = names_of(path), _folded(path)
    for name, file in ((each, file) for each in inputs for file in files_of(each)):
        other = _folded(file)
        inside = place.startswith(other + os.sep) or other.startswith(place + os.sep)
        if inside or not mine.isdisjoint(names_of(file)):
            raise error(_over_input(who, target, name))


def _over_input(who: str, target: str | os.PathLike[str], name: str | os.PathLike[str]) -> str:
    """Return what to say of a target that is an input."""
    return (
        f"{who} would write {os.fspath(target)} over its own input {os.fspath(name)}; "
        "choose another name"
    )


def names_of(path: Path) -> set[Any]:
    """Return what tells a file: its real place without case, and its number on the disk.

    Parameters
    ----------
    path
        Of a file that may be there.

    Returns
    -------
    set
        Two files with a member in common are one, or would be on some disk.

    Examples
    --------
    >>> names_of(Path("scene.tif")) == names_of(Path("./SCENE.tif"))
    True
    """
    try:
        stat = path.stat()
    except OSError:
        return {_folded(path)}
    return {_folded(path), (stat.st_dev, stat.st_ino)}


def _folded(path: Path) -> str:
    """Return a path's real place in lower case."""
    return os.path.realpath(path).casefold()


READER_GONE = 141
"""Exit code of a command whose output nobody reads any more, as shells have it (128 + SIGPIPE)."""


def until_nobody_reads(command: Callable[[], Any]) -> Any:
    """Run a command; end it quietly when whoever reads its standard output has gone.

    What a terminal or a pipe has no letters for, such as a file's name, is written as escapes.

    Parameters
    ----------
    command
        Prints, and returns an exit code.

    Returns
    -------
    object
        What the command returned, or `READER_GONE`, as after `command | head -1`.

    Examples
    --------
    >>> until_nobody_reads(lambda: 0)
    0
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a real one
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return command()
        finally:
            # What is still in the buffer meets a closed pipe here, and not when Python ends.
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE


def _nobody_reads() -> bool:
    """Tell whether it is standard output that is broken, and not a connection."""
    import select

    try:
        stream = sys.stdout.fileno()
    except (AttributeError, OSError):  # none, or one of Python's own
        return False
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(stream, 0)
    return bool(poll.poll(0))
