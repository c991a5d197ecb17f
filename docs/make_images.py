"""Make the pictures of the README and the site: python docs/make_images.py [FOLDER].

The scene is the real Sentinel-2 sample of South Tyrol, so an archive must hold it
(`GEOSTACK_ARCHIVE`, or the sample data beside the repository).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from geopatcher import SpatialHann, SpatialPatcher, SpatialRectangular, SpatialRegularStride
from geostack import SOUTH_TYROL_BBOX, SOUTH_TYROL_TILE, load_s2_chip
from geotoolz import NDVI, ApplyToChips, DNToReflectance, GridSampler, Sequential, Stitch

ROOT = Path(__file__).resolve().parents[1]
CREDIT = (
    "Bolzano, South Tyrol, at 10 m. "
    "Contains modified Copernicus Sentinel data 2022, processed by openEO Platform"
)
FLANDERS = (3.015, 50.810, 3.028, 50.817)
GAP = 18  # pixels between the chips as they are drawn
CHIP = 176
PAPER = (255, 255, 255)
INK = (32, 43, 54)


def load() -> object:
    """The scene as a (4, H, W) GeoTensor: blue, green, red, near infrared."""
    os.environ.setdefault("GEOSTACK_ARCHIVE", str(ROOT.parent / "shared" / "data" / "archive"))
    return load_s2_chip(
        bbox=SOUTH_TYROL_BBOX,
        date_range="2022-06-01/2022-06-30",
        tile=SOUTH_TYROL_TILE,
        source="archive",
    )


def true_colour(scene: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """(4, h, w) digital numbers -> (h, w, 3) bytes, reflectance 0 to 0.26 with gamma 1.6."""
    reflectance = np.moveaxis(scene[[2, 1, 0]], 0, -1) * 1e-4
    return (np.clip(reflectance / 0.26, 0, 1) ** (1 / 1.6) * 255).astype("uint8")


def green(ndvi: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w) NDVI -> (h, w, 3) bytes, -0.1 to 0.95."""
    return colormaps["YlGn"](np.clip((ndvi + 0.1) / 1.05, 0, 1), bytes=True)[..., :3]


def apart(picture: NDArray[np.uint8]) -> Image.Image:
    """The picture cut into chips that lie a little apart."""
    rows = -(-picture.shape[0] // CHIP)
    cols = -(-picture.shape[1] // CHIP)
    size = (picture.shape[1] + (cols - 1) * GAP, picture.shape[0] + (rows - 1) * GAP)
    sheet = Image.new("RGB", size, PAPER)
    for row in range(rows):
        for col in range(cols):
            chip = picture[row * CHIP : (row + 1) * CHIP, col * CHIP : (col + 1) * CHIP]
            sheet.paste(Image.fromarray(chip), (col * (CHIP + GAP), row * (CHIP + GAP)))
    return sheet


def stitched_ndvi(scene: object) -> NDArray[np.float32]:
    """NDVI computed chip by chip and put back, (H, W)."""
    patcher = SpatialPatcher(
        SpatialRectangular(256, boundary="shift"), SpatialRegularStride(192), SpatialHann()
    )
    ndvi = DNToReflectance() | NDVI(red_idx=2, nir_idx=3)
    return np.asarray(Sequential([GridSampler(patcher), ApplyToChips(ndvi), Stitch()])(scene))


def front(scene: object, width: int = 1600) -> Image.Image:
    """Three pictures in a row: the scene, its chips, the stitched NDVI."""
    pixels = np.asarray(scene)[:, :-1, :-47]  # whole chips: 4 by 5
    whole = true_colour(pixels)
    panels = [
        Image.fromarray(whole),
        apart(whole),
        Image.fromarray(green(stitched_ndvi(scene)[:-1, :-47])),
    ]
    height = panels[1].height
    between, top, bottom = 90, 78, 64
    margin = 40
    total = sum(panel.width for panel in panels) + 2 * (between + margin)
    sheet = Image.new("RGB", (total, top + height + bottom), PAPER)
    draw = ImageDraw.Draw(sheet)
    titles = ("a scene", "its chips", "NDVI, one operator per chip, stitched")
    left = margin
    for number, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        sheet.paste(panel, (left, top + (height - panel.height) // 2))
        draw.text((left, 14), title, INK, font=font(44))
        left += panel.width
        if number < 2:
            arrow(draw, left + between // 2, top + height // 2)
            left += between
    draw.text((margin, top + height + 14), CREDIT, INK, font=font(30))
    return sheet.resize((width, round(sheet.height * width / sheet.width)), Image.LANCZOS)


def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    from matplotlib.font_manager import findfont

    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def arrow(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """A small arrow to the right with its middle at (x, y)."""
    draw.line((x - 26, y, x + 14, y), INK, width=7)
    draw.polygon(((x + 8, y - 18), (x + 30, y), (x + 8, y + 18)), INK)


CARD = (800, 500)


def operators(scene: object) -> Image.Image:
    """The scene in three strips: true colour, NDVI, and the water index of McFeeters."""
    pixels = np.asarray(scene)
    green_band, near = pixels[1].astype("float32"), pixels[3].astype("float32")
    water = (green_band - near) / (green_band + near)
    blue = colormaps["PuOr"](np.clip(water / 2 + 0.5, 0, 1), bytes=True)[..., :3]
    strips = [true_colour(pixels), green(stitched_ndvi(scene)), blue]
    third = pixels.shape[2] // 3
    joined = np.concatenate([s[:, n * third : (n + 1) * third] for n, s in enumerate(strips)], 1)
    joined[:, third - 2 : third + 2] = joined[:, 2 * third - 2 : 2 * third + 2] = 255
    return card(Image.fromarray(joined))


def patcher(scene: object) -> Image.Image:
    """The scene's chips, a little apart."""
    return card(apart(true_colour(np.asarray(scene)[:, :-1, :-47])))


def catalog() -> Image.Image:
    """The scenes of a field in Flanders by date and cloud cover, those of a query marked."""
    import matplotlib.pyplot as plt

    from geocatalog import from_stac_items
    from geostack import load_stac_items

    rows = from_stac_items(
        load_stac_items(
            "sentinel-2-l2a",
            FLANDERS,
            "2017-01-01/2018-12-31",
            max_cloud_cover=100,
            limit=500,
            source="archive",
        ),
        asset_key="B04",
    )
    asked = rows.query(time=("2018-03-01", "2018-10-31")).where("cloud_cover < 20")
    figure, axes = plt.subplots(figsize=(8, 5), dpi=100, layout="constrained")
    for some, colour, size in ((rows, "#9aa7b1", 22), (asked, "#2f7a3a", 70)):
        axes.scatter(some.gdf.start_time, some.gdf.cloud_cover, size, colour)
    axes.set_ylabel("cloud cover (%)", fontsize=17)
    axes.set_title(f"{len(asked)} of {len(rows)} scenes", fontsize=20)
    axes.tick_params(labelsize=14)
    axes.xaxis.set_major_locator(plt.MaxNLocator(5))
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    plt.close(figure)
    return picture


def card(picture: Image.Image) -> Image.Image:
    """The middle of the picture in the size of a card."""
    return ImageOps.fit(picture, CARD, Image.LANCZOS)


def main(folder: Path) -> None:
    """Write every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = load()
    pictures = {
        "front": front(scene),
        "front_operators": operators(scene),
        "front_patcher": patcher(scene),
        "front_catalog": catalog(),
    }
    for name, picture in pictures.items():
        path = folder / f"{name}.png"
        picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
