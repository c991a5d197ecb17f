"""What the numbers of a map of classes stand for, as attributes and in a raster file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from pipekit.files import SIDE_FILES, beside

Classes = dict[int, tuple[str, str]]
"""Id -> (name, colour as #rrggbb)."""

_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_LARGEST: Final = {"uint8": 255, "uint16": 65535}
"""The types that a TIFF's colour table serves, and the largest id of each."""


def classes_of(attrs: Mapping[str, Any] | None) -> Classes:
    """Return the classes that a raster's attributes name, by rising id.

    Parameters
    ----------
    attrs
        With "classes": id -> (name, colour), ids as text as JSON has them; or without.

    Returns
    -------
    dict
        Id -> (name, colour); {} where they name none.

    Raises
    ------
    ValueError
        For an id or a colour that is none.

    Examples
    --------
    >>> classes_of({"classes": {"2": ["cloud", "#ffffff"], "0": ["clear", "#0072b2"]}})
    {0: ('clear', '#0072b2'), 2: ('cloud', '#ffffff')}
    """
    said = (attrs or {}).get("classes") or {}
    try:
        found = {int(key): (str(name), str(colour)) for key, (name, colour) in said.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"attrs['classes'] must map ids to (name, colour), got {said!r}") from None
    wrong = [colour for _, colour in found.values() if not _COLOUR.fullmatch(colour)]
    if wrong:
        raise ValueError(f"colours of classes are written as #rrggbb, got {wrong[0]!r}")
    return dict(sorted(found.items()))


def colour_table(classes: Classes, dtype: str) -> dict[int, tuple[int, int, int, int]]:
    """Return the colours of classes for a file of one band, {} where its dtype takes none.

    Parameters
    ----------
    classes
        As `classes_of` gives them.
    dtype
        The file's, by name.

    Returns
    -------
    dict
        Id -> (red, green, blue, alpha), 0 to 255.

    Examples
    --------
    >>> colour_table({2: ("cloud", "#ff8000")}, "uint8"), colour_table({}, "float32")
    ({2: (255, 128, 0, 255)}, {})
    """
    if not classes or not 0 <= min(classes) <= max(classes) <= _LARGEST.get(dtype, -1):
        return {}
    return {key: (*bytes.fromhex(colour[1:]), 255) for key, (_, colour) in classes.items()}


def write_names(path: Path, classes: Classes) -> None:
    """Write the names of classes beside a raster, where GDAL looks for them: TIFF has no place.

    Parameters
    ----------
    path
        The raster's.
    classes
        As `classes_of` gives them; nothing is written for none, or for ids that are no list.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_names(Path(folder, "map.tif"), {1: ("water", "#0000ff")})
    ...     print(Path(folder, "map.tif.aux.xml").read_text())
    <PAMDataset><PAMRasterBand band="1"><CategoryNames><Category></Category><Category>water...
    """
    if not classes or not 0 <= min(classes) <= max(classes) <= _LARGEST["uint16"]:
        return
    names = (classes.get(key, ("", ""))[0] for key in range(max(classes) + 1))
    listed = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    with beside(path.with_name(path.name + SIDE_FILES[0])) as unfinished:
        unfinished.write_text(
            f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{listed}</CategoryNames>'
            "</PAMRasterBand></PAMDataset>",
            "utf-8",
        )
