"""A figure with a palette is smaller, and its page stays white."""

import base64
import io

import numpy as np
from figure_palette import LARGE, with_palette
from PIL import Image


def as_png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def as_pixels(png):
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_map_shrinks_keeps_white_and_stays_close():
    rng = np.random.default_rng(0)
    page = np.full((400, 500, 3), 255, np.uint8)
    ramp = np.linspace(0, 230, 300)[:, None, None] + rng.normal(0, 8, (300, 400, 3))
    page[50:350, 50:450] = np.clip(ramp, 0, 240)
    png = as_png(page)
    packed = with_palette(png)
    assert len(packed) < 0.6 * len(png)
    assert (as_pixels(packed)[:50] == 255).all()
    assert (as_pixels(packed)[:, 450:] == 255).all()
    assert np.abs(as_pixels(packed).astype(int) - page).mean() < 8


def test_a_small_figure_is_left_alone():
    png = as_png(np.zeros((20, 20, 3), np.uint8))
    assert len(png) < LARGE
    assert with_palette(png) is png
