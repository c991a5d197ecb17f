"""Which source answers a request: the one asked for, else the first that can."""

from __future__ import annotations

import os

from geostack.errors import SourceUnavailableError
from geostack.request import Request
from geostack.sources.archive import ArchiveSource
from geostack.sources.planetary_computer import PlanetaryComputerSource
from geostack.sources.simulated import SimulatedSource
from geostack.sources.source import SOURCE_NAMES, Source

_KINDS: tuple[type[ArchiveSource | PlanetaryComputerSource | SimulatedSource], ...]
_KINDS = ArchiveSource, PlanetaryComputerSource, SimulatedSource
"""In the order in which `auto` asks them."""


def source_name(source: str | Source | None = None) -> str:
    """Return the name of the source asked for: the argument, else `GEOSTACK_SOURCE`, else auto.

    A `Source` object counts by its name, for what isn't read from STAC items.

    Parameters
    ----------
    source
        The argument that a loader was given; None asks the variable.

    Returns
    -------
    One of `SOURCE_NAMES`.

    Raises
    ------
    ValueError
        For a name that is none of `SOURCE_NAMES`.

    Examples
    --------
    >>> source_name("simulated")
    'simulated'
    """
    origin = "source" if source is not None else "GEOSTACK_SOURCE"
    asked = source if source is not None else os.environ.get("GEOSTACK_SOURCE") or "auto"
    name = str(getattr(asked, "name", asked)).strip().lower().replace("_", "-")
    if name not in SOURCE_NAMES:
        raise ValueError(f"{origin} must be one of {', '.join(SOURCE_NAMES)}; got {asked!r}")
    return name


def open_source(name: str) -> Source:
    """Return the source called `name` (not `auto`).

    Parameters
    ----------
    name
        One of `SOURCE_NAMES` but auto.

    Returns
    -------
    A new object.

    Raises
    ------
    ValueError
        For any other name.

    Examples
    --------
    >>> open_source("archive").name
    'archive'
    """
    known = {kind.name: kind for kind in _KINDS}
    if name not in known:
        raise ValueError(f"a source is one of {', '.join(known)}; got {name!r}")
    return known[name]()


def select(source: str | Source | None, request: Request) -> Source:
    """Return the source that answers `request`.

    A named source, or a `Source` object, is taken as it is. `auto` takes the archive if it holds
    what is asked, else the live service if it answers within 3 s, else the simulation if it
    covers the request.

    Parameters
    ----------
    source
        A name, a `Source`, or None for `GEOSTACK_SOURCE` or auto.
    request
        The question.

    Returns
    -------
    Who is asked.

    Raises
    ------
    SourceUnavailableError
        When `auto` finds none; the message lists what was tried and the command that would fix
        each.
    ValueError, TypeError
        For an unknown name, or an object that is no source.

    Examples
    --------
    >>> from geostack.areas import AREAS
    >>> place = AREAS["lake-tahoe"]
    >>> asked = Request("sentinel-2-l2a", place.bbox, place.date_range)
    >>> select("simulated", asked).name
    'simulated'
    """
    if source is not None and not isinstance(source, str):
        if not callable(getattr(source, "search", None)):
            raise TypeError(
                f"source must be one of {', '.join(SOURCE_NAMES)} or a Source, got {source!r}"
            )
        return source
    name = source_name(source)
    return _auto(request) if name == "auto" else open_source(name)


def _auto(request: Request) -> Source:
    tried = []
    for kind in _KINDS:  # none is made that is not asked
        source = kind()
        if source.holds(request):
            return source
        tried.append(source)
    lines = "\n".join(
        f"  {each.name}: {each.why_not(request)}\n    fix: {each.fix(request)}" for each in tried
    )
    raise SourceUnavailableError(f"no source has {request}; tried\n{lines}")
