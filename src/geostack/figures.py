"""Figures of executed notebooks, made small enough to commit and to load."""

from __future__ import annotations

import base64
import io

LARGE = 60_000
"""Bytes above which a figure is worth a palette."""


def with_palette(png: str) -> str:
    """Return a base64 PNG with 256 chosen colours when that makes a large figure smaller.

    Lines and letters stay sharp, which JPEG would not give; maps lose differences of colour that
    no eye sees. Small figures, and pictures that a palette does not shrink, come back unchanged.

    >>> import numpy as np
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
        colours = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=0)
    buffer = io.BytesIO()
    colours.save(buffer, "png", optimize=True)
    small = buffer.getvalue()
    return base64.b64encode(small).decode() if len(small) < len(raw) else png
