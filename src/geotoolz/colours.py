"""What colours a quantity is drawn in: colour-blind-safe maps, chosen by the quantity's name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geotoolz.cloud import SCL_CLASSES


class Look(NamedTuple):
    """A matplotlib colour map, and whether its middle stands for zero."""

    cmap: str
    diverging: bool


_VEGETATION = Look("BrBG", True)
_WATER = Look("RdBu", True)

# Diverging maps without red against green, and perceptually even sequential ones (Crameri et al.
# 2020, doi:10.1038/s41467-020-19160-7, on why).
LOOKS: Mapping[str, Look] = {
    **dict.fromkeys(("ndvi", "gndvi", "ndre", "evi", "savi", "arvi"), _VEGETATION),
    **dict.fromkeys(("ndwi", "mndwi", "ndmi", "ndsi"), _WATER),
    "nbr": Look("PuOr_r", True),
    "bsi": Look("BrBG_r", True),
    "bais2": Look("magma", False),
    "reflectance": Look("gray", False),
    "digital number": Look("gray", False),
    "elevation": Look("cividis", False),
}

SEQUENTIAL = Look("viridis", False)
DIFFERENCE = Look("PuOr", True)

MASK_COLOURS = ("#e6e6e6", "#d55e00")
"""False and True: light grey and vermilion, of the Okabe-Ito palette."""

# Okabe and Ito (2008), Color Universal Design: eight colours that the colour-blind tell apart.
CATEGORICAL = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#000000",
)


def look_of(name: str) -> Look:
    """Return how a quantity is drawn, by its name.

    >>> look_of("NDVI")
    Look(cmap='BrBG', diverging=True)
    """
    key = name.lower()
    # A band's quantity comes after its own name: "B08 reflectance".
    for known in (key, key.partition(" ")[2]):
        if known in LOOKS:
            return LOOKS[known]
    if "difference" in key or (key.startswith(("d", "delta")) and key[1:] in LOOKS):
        return DIFFERENCE
    return SEQUENTIAL


def class_colours(classes: Mapping[Any, Any]) -> dict[int, tuple[str, str]]:
    """Return id -> (name, colour) from names, pairs, or `SCLClass`es.

    >>> class_colours({0: "water", 1: ("land", "#996633")})
    {0: ('water', '#0072b2'), 1: ('land', '#996633')}
    """
    found: dict[int, tuple[str, str]] = {}
    for position, (key, entry) in enumerate(classes.items()):
        if isinstance(entry, str):
            found[int(key)] = entry, CATEGORICAL[position % len(CATEGORICAL)]
        else:
            name, colour = entry
            found[int(key)] = str(name), str(colour)
    return found


def known_classes(name: str) -> dict[int, tuple[str, str]] | None:
    """Return the classes of a band that is known by its name, such as "SCL"; else None.

    >>> known_classes("SCL")[6]
    ('water', '#0000ff')
    """
    return class_colours(SCL_CLASSES) if name.upper() == "SCL" else None


@lru_cache(maxsize=32)
def lookup_table(name: str) -> NDArray[np.uint8]:
    """Return a matplotlib colour map as 256 rows of RGB bytes; ValueError for an unknown one.

    >>> lookup_table("gray")[[0, 255]].tolist()
    [[0, 0, 0], [255, 255, 255]]
    """
    import matplotlib

    if name not in matplotlib.colormaps:
        raise ValueError(f"matplotlib has no colour map {name!r}; see matplotlib.colormaps")
    table = matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3]
    result: NDArray[np.uint8] = np.rint(table * 255).astype(np.uint8)
    result.flags.writeable = False
    return result
