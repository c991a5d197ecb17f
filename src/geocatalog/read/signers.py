"""How a place becomes an address that can be opened now, by whoever knows the place."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import entry_points

Signer = Callable[[str], str]
"""Returns an address that can be opened, or its argument where it doesn't know the place."""

_SIGNERS: list[Signer] = []


def add_signer(signer: Signer) -> None:
    """Let a signer be asked, in this process, for places that are no files on this machine.

    Other processes find those that packages declare as entry points in the group
    `geocatalog.signers`.

    Parameters
    ----------
    signer
        Called with a place; returns an address, or the place where it does not know it.
    """
    if signer not in _SIGNERS:
        _SIGNERS.append(signer)


def openable(path: str) -> str:
    """Return the address under which a file can be opened now.

    A file that isn't there may be one that is made when it is asked for.

    Parameters
    ----------
    path
        A path or URL, as a catalog keeps it.

    Returns
    -------
    The signers' address, or the path itself.

    Examples
    --------
    >>> openable("https://host/a.tif")
    'https://host/a.tif'
    """
    if not os.path.exists(path):
        for signer in (*_SIGNERS, *_declared()):
            path = signer(path)
    return path


@lru_cache(maxsize=1)
def _declared() -> tuple[Signer, ...]:
    return tuple(entry.load() for entry in entry_points(group="geocatalog.signers"))
