"""How a place becomes an address that opens now, by whoever knows the place.

A catalog keeps places: paths, and URLs without tokens. A signer adds what a place needs when it is
opened, in whichever process that is. Rows name their signer; places without one are known by their
looks. A signer of another package is declared as an entry point in the group `geocatalog.signing`,
under its name, so that every process finds it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from importlib.metadata import entry_points
from typing import Any, Protocol
from urllib.parse import urlsplit

from geocatalog.errors import CatalogError
from pipekit.tokens import without_tokens

Sign = Callable[..., str]
"""Called as `sign(place)` whenever a file is opened, and as `sign(place, renew=True)` after its
address was refused; returns the address with an access token."""


class Signer(Protocol):
    """Who can turn places into addresses that open; a `geostack` source is one."""

    @property
    def name(self) -> str:
        """What rows call it."""

    def knows(self, href: str) -> bool:
        """Return whether a place is one that it signs, told by its looks."""

    def sign(self, href: str, *, renew: bool = False) -> str:
        """Return an address that opens now, with a new token where `renew`."""


class TokenWarning(UserWarning):
    """A token was given that nobody here can renew; it is kept in this process only."""


SIGNER_FIELD = "geocatalog:signer"
"""A STAC asset's field that names who makes the token that its file needs."""

_ADDED: dict[str, Signer] = {}
_GIVEN: dict[str, str] = {}
"""Addresses with tokens that nobody here can make, by their places; never written anywhere."""
_WARNED: set[str] = set()


def add_signer(signer: Signer) -> None:
    """Let a signer be asked in this process, before those that packages declare.

    Parameters
    ----------
    signer
        A later one of the same name takes its place.

    Examples
    --------
    >>> class Desk:
    ...     name = "desk"
    ...
    ...     def knows(self, href):
    ...         return href.startswith("https://desk.example/")
    ...
    ...     def sign(self, href, *, renew=False):
    ...         return href + "?token=today"
    >>> add_signer(Desk())
    >>> signer_name("https://desk.example/a.tif"), signer_name("https://host/a.tif")
    ('desk', None)
    """
    _ADDED[signer.name] = signer


def signer_name(place: str) -> str | None:
    """Return the name of who signs a place, or None where nobody here knows it.

    Parameters
    ----------
    place
        A path, or a URL without a token.

    Returns
    -------
    What a row keeps.
    """
    signer = _by_looks(place)
    return None if signer is None else signer.name


def signing(place: str, name: str | None = None) -> Sign | None:
    """Return how a place is signed when it is opened, or None for one that opens as it is.

    Parameters
    ----------
    place
        A path, or a URL without a token.
    name
        Of the signer, where a row names it.

    Returns
    -------
    To be called with the place, and again with `renew=True` after its address was refused.

    Raises
    ------
    CatalogError
        For a signer that this process does not know.
    """
    if name is not None:
        return _by_name(name, place).sign
    signer = _by_looks(place)
    if signer is not None:
        return signer.sign
    given = _GIVEN.get(place)
    return None if given is None else partial(_as_given, given)


def _as_given(address: str, place: str, *, renew: bool = False) -> str:
    return address


def openable(path: str, name: str | None = None) -> str:
    """Return the address under which a file can be opened now.

    A file that isn't there may be one that is made when it is asked for.

    Parameters
    ----------
    path
        A path or URL, as a catalog keeps it.
    name
        Of the signer, where a row names it.

    Returns
    -------
    The signer's address, which must not be shown or stored, or the path itself.

    Examples
    --------
    >>> openable("https://host/a.tif")
    'https://host/a.tif'
    """
    sign = signing(path, name)
    return path if sign is None else sign(path)


def place_of(address: str) -> str:
    """Return the place of an address, and remember its token where nobody here can make another.

    Parameters
    ----------
    address
        A URL or a path; text without a token comes back as it is.

    Returns
    -------
    What is kept and shown.

    Warns
    -----
    TokenWarning
        Once for each host: such a token opens the file in this process while it lasts, and no
        catalog that is saved will open it.
    """
    place = without_tokens(address)
    if place != address and _by_looks(place) is None:
        host = urlsplit(place).netloc
        if host not in _WARNED:
            _WARNED.add(host)
            warnings.warn(
                f"files at {host or place} came with tokens that no signer here can renew: they "
                "are kept in this process only, and a catalog that is saved will not open the "
                "files; geocatalog.read.signers.add_signer adds who can",
                TokenWarning,
                stacklevel=3,
            )
        _GIVEN[place] = address
    return place


def places_of(addresses: Iterable[Any]) -> list[Any]:
    """Return the places of many addresses; see `place_of`.

    Parameters
    ----------
    addresses
        Texts; what is no text comes back as it is.

    Returns
    -------
    As many places.
    """
    return [place_of(each) if isinstance(each, str) else each for each in addresses]


def _by_name(name: str, place: str) -> Signer:
    signer = _ADDED.get(name) or _declared().get(name)
    if signer is None:
        known = ", ".join(sorted({*_ADDED, *_declared()})) or "none"
        raise CatalogError(
            f"{place} is signed by {name!r}, which this process does not know (it knows {known}); "
            "install the package that declares it in the group geocatalog.signing, or call "
            "geocatalog.read.signers.add_signer"
        )
    return signer


def _by_looks(place: str) -> Signer | None:
    if os.path.exists(place):
        return None
    both = {**_declared(), **_ADDED}
    return next((signer for signer in both.values() if signer.knows(place)), None)


@lru_cache(maxsize=1)
def _declared() -> dict[str, Signer]:
    """Return the signers of installed packages, by the names they are declared under."""
    found: dict[str, Signer] = {}
    for entry in entry_points(group="geocatalog.signing"):
        found.setdefault(entry.name, entry.load()())
    return found
