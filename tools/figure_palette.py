"""Figures of executed notebooks, made small enough to commit and to load."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

LARGE = 60_000
"""Bytes above which a figure is worth a palette."""

EXACT = 16
"""How many of a figure's commonest colours are kept as they are."""


def with_palette(png: str) -> str:
    """Return a base64 PNG with 256 chosen colours when that makes a large figure smaller.

    Lines and letters stay sharp, which JPEG would not give; maps lose differences of colour that
    no eye sees. The commonest colours, the white of the page among them, stay exactly as they are.
    Small figures, and pictures that a palette does not shrink, come back unchanged.

    >>> from PIL import Image
    >>> noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype="uint8")
    >>> buffer = io.BytesIO()
    >>> Image.fromarray(noise).save(buffer, "png")
    >>> png = base64.b64encode(buffer.getvalue()).decode()
    >>> len(with_palette(png)) < len(png) / 2
    True
    """
    raw = base64.b64decode(png)
    if len(raw) < LARGE:
        return png
    from PIL import Image

    with Image.open(io.BytesIO(raw)) as picture:
        rgb = picture.convert("RGB")
    counted: Any = rgb.getcolors(rgb.width * rgb.height)
    common = [colour for _, colour in sorted(counted, reverse=True)[:EXACT]]
    spread = rgb.quantize(
        # k-means moves each colour to the middle of its pixels: a third of the error without
        256 - len(common),
        Image.Quantize.MAXCOVERAGE,
        kmeans=3,
        dither=Image.Dither.NONE,
    )
    indices = np.asarray(spread) + np.uint8(len(common))
    pixels = np.asarray(rgb)
    for index, colour in enumerate(common):  # spreading alone may tint the page's white
        indices[(pixels == colour).all(axis=-1)] = index
    small = Image.fromarray(indices)
    exact = [value for colour in common for value in colour]
    small.putpalette(exact + (spread.getpalette() or []))
    buffer = io.BytesIO()
    small.save(buffer, "png", optimize=True)
    packed = buffer.getvalue()
    return base64.b64encode(packed).decode() if len(packed) < len(raw) else png
