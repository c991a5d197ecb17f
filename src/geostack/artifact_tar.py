"""The tar behind an artifact: written to the same bytes each time, and not believed when read.

A plain tar, never a compressed one: what it holds cannot be larger than the file itself. Members
are read into memory by name; nothing in the file decides where anything is written.
"""

from __future__ import annotations

import io
import math
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipekit.files import beside

MANIFEST = "manifest.json"
MAX_BYTES = 2 << 30
MAX_MEMBERS = 64

_NAME = re.compile(r"manifest\.json|inputs/[0-9]{1,3}\.npy")
_NPY_HEADER = 10_000
_MODE = 0o644


class ArtifactError(ValueError):
    """An artifact that is malformed, tampered with, or does not give its result again."""


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Write members as a tar, beside its target and then renamed; equal members, equal bytes.

    Parameters
    ----------
    path
        The tar.
    members
        Contents by name, in this order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_members(Path(folder, "a.tar"), {MANIFEST: b"{}"})
    ...     Path(folder, "a.tar").stat().st_size
    10240
    """
    with (
        beside(path) as unfinished,
        # USTAR has no extension headers, and every field that could differ between runs is fixed.
        tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = _MODE
            archive.addfile(info, io.BytesIO(content))


def read_members(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, bytes]:
    """Return a tar's members by name.

    What is not a plain file as `freeze` writes it is refused: links, devices, folders, sparse
    files, absolute or climbing names, a name given twice, compression, an owner, a date, bytes
    between or after the members.

    Parameters
    ----------
    path
        The tar.
    max_bytes
        Refuse a larger file.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    ArtifactError
        For anything else, for a file of more than `max_bytes`, or for more than `MAX_MEMBERS`
        members.
    FileNotFoundError
        When there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_members(Path(folder, "a.tar"), {MANIFEST: b"{}"})
    ...     read_members(Path(folder, "a.tar"))
    {'manifest.json': b'{}'}
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise ArtifactError(f"{path.name} has {size} bytes, more than max_bytes={max_bytes}")
    found: dict[str, bytes] = {}
    with path.open("rb") as file:
        # Header by header: tarfile would follow extension headers to wherever they point.
        while (head := file.read(tarfile.BLOCKSIZE)).strip(b"\0"):
            try:
                info = tarfile.TarInfo.frombuf(head, "ascii", "strict")
            except (tarfile.TarError, UnicodeError) as error:
                raise ArtifactError(f"{path.name} is no plain tar: {error}") from error
            _check_member(info, found, size - file.tell())
            found[info.name] = file.read(info.size)
            if file.read(-info.size % tarfile.BLOCKSIZE).strip(b"\0"):
                raise ArtifactError(f"{path.name} hides bytes behind {info.name!r}")
        end = head + file.read()
    spare = len(end) - 2 * tarfile.BLOCKSIZE
    if size % tarfile.RECORDSIZE or not 0 <= spare < tarfile.RECORDSIZE or end.strip(b"\0"):
        raise ArtifactError(f"{path.name} is cut short, or goes on after the mark of its end")
    if MANIFEST not in found:
        raise ArtifactError(f"{path.name} holds no {MANIFEST}: it is no artifact")
    return found


def _check_member(info: tarfile.TarInfo, found: Mapping[str, bytes], left: int) -> None:
    if len(found) >= MAX_MEMBERS:
        raise ArtifactError(f"it holds more than {MAX_MEMBERS} members")
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ArtifactError(f"the member {info.name!r} is no plain file; links are refused")
    if not _NAME.fullmatch(info.name):
        raise ArtifactError(
            f"the member {info.name!r} is none that an artifact has ({MANIFEST}, inputs/N.npy)"
        )
    if info.name in found:
        raise ArtifactError(f"the member {info.name!r} is given twice")
    if not 0 <= info.size <= left:
        raise ArtifactError(f"{info.name!r} claims {info.size} bytes, the file has {left} more")
    told = (info.mode, info.uid, info.gid, info.mtime, info.uname, info.gname, info.linkname)
    if told != (_MODE, 0, 0, 0, "", "", ""):
        raise ArtifactError(f"the member {info.name!r} tells more than its name: {told}")


def array_bytes(values: NDArray[Any]) -> bytes:
    """Return an array as the bytes of an `.npy` file, C order.

    Parameters
    ----------
    values
        Any shape and plain dtype.

    Returns
    -------
    bytes

    Examples
    --------
    >>> read_array(array_bytes(np.arange(3)), "three")
    array([0, 1, 2])
    """
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(values, order="C"), allow_pickle=False)
    return stream.getvalue()


def read_array(content: bytes, name: str) -> NDArray[Any]:
    """Return the array of an `.npy` file; nothing is allocated on a header's word.

    Parameters
    ----------
    content
        The file.
    name
        What messages call it.

    Returns
    -------
    ndarray
        Writable.

    Raises
    ------
    ArtifactError
        When the header is malformed, asks for Python objects, or announces more pixels than follow.

    Examples
    --------
    >>> read_array(b"GIF89a", "x")
    Traceback (most recent call last):
    geostack.artifact_tar.ArtifactError: x is no array: ...
    """
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("its format is not 1.0")
        header = np.lib.format.read_array_header_1_0(stream, max_header_size=_NPY_HEADER)
        shape, fortran, dtype = header
        if not all(type(side) is int for side in shape):
            raise ValueError(f"its shape is {shape}")
    except Exception as error:  # numpy reads it as Python, and fails as Python does
        raise ArtifactError(f"{name} is no array: {type(error).__name__}: {error}") from error
    if dtype.hasobject or dtype.names or dtype.subdtype or fortran or not dtype.itemsize:
        raise ArtifactError(f"{name} is no plain array in C order, its dtype is {dtype}")
    follows = len(content) - stream.tell()
    expected = math.prod(shape) * dtype.itemsize
    if expected != follows or min(shape, default=0) < 0:
        raise ArtifactError(
            f"{name} announces {expected} bytes of shape {shape}, but {follows} follow"
        )
    try:
        # A bytearray, for operators that work in place.
        return np.frombuffer(bytearray(content[stream.tell() :]), dtype=dtype).reshape(shape)
    except ValueError as error:  # more sides, or longer ones, than an array has
        raise ArtifactError(f"{name} is no array: {error}") from error
