"""Draw the diagrams of the concept pages as SVG: python docs/make_diagrams.py [FOLDER].

The same code draws the same bytes, so a test compares the committed files with a fresh run.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

INK, SOFT, PAPER = "#20303c", "#5b6b78", "#ffffff"
FILLS = {"data": "#e3eef6", "operator": "#fbe9d0", "result": "#dff0df"}
EDGES = {"data": "#35688e", "operator": "#a8620b", "result": "#2f7a3a"}


class Drawing:
    """An SVG being drawn; coordinates are pixels from the top left."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def box(self, x: float, y: float, text: str, kind: str, w: float = 130, h: float = 46) -> None:
        """A rounded box with one or two lines of text, its top left at (x, y)."""
        self.rect(x, y, w, h, FILLS[kind], EDGES[kind], radius=8)
        lines = text.split("\n")
        for number, line in enumerate(lines):
            offset = (number - (len(lines) - 1) / 2) * 17
            self.text(x + w / 2, y + h / 2 + offset + 5, line)

    def rect(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: str,
        edge: str = "none",
        radius: float = 0,
        opacity: float = 1,
        dash: str = "",
    ) -> None:
        """A rectangle."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius:g}" '
            f'fill="{fill}" fill-opacity="{opacity:g}" stroke="{edge}" stroke-width="1.5"{dashes}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 14,
        fill: str = INK,
        anchor: str = "middle",
    ) -> None:
        """One line of text, its baseline at y."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{fill}" '
            f'text-anchor="{anchor}">{escape(words)}</text>'
        )

    def arrow(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A straight arrow."""
        self.parts.append(
            f'<line x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1:g}" stroke="{INK}" '
            'stroke-width="1.8" marker-end="url(#head)"/>'
        )

    def dot(self, x: float, y: float, radius: float, fill: str) -> None:
        """A filled circle."""
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>')

    def line(self, points: list[tuple[float, float]], edge: str = INK, width: float = 2) -> None:
        """A polyline."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{edge}" stroke-width="{width:g}"/>'
        )

    def svg(self) -> str:
        """The whole file."""
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            'font-family="system-ui, sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n"
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{INK}"/></marker>'
            f"</defs>\n"
            f'<rect width="{self.width}" height="{self.height}" rx="10" fill="{PAPER}"/>\n'
            f"{body}\n</svg>\n"
        )


def flow() -> Drawing:
    """From catalog row to catalog row."""
    picture = Drawing(900, 130, "From a catalog row to a new catalog row")
    steps = [
        ("catalog row", "data"),
        ("Field", "data"),
        ("patches", "data"),
        ("operator\nper patch", "operator"),
        ("stitched\nraster", "result"),
        ("new catalog\nrow", "result"),
    ]
    notes = ["which file", "opened lazily", "one at a time", "any pipeline", "row by row", "a COG"]
    for number, ((name, kind), note) in enumerate(zip(steps, notes, strict=True)):
        x = 18 + number * 148
        picture.box(x, 28, name, kind, w=118, h=52)
        picture.text(x + 59, 104, note, 12, SOFT)
        if number:
            picture.arrow(x - 29, 54, x - 3, 54)
    return picture


def algebra() -> Drawing:
    """A pipeline is a line; a graph is a line that forks and joins."""
    picture = Drawing(760, 300, "A Sequential is a chain of operators, a Graph forks and joins")
    picture.text(
        20, 32, "DNToReflectance() | NDVI(2, 3) | AssertValueRange(-1, 1)", 14, SOFT, "start"
    )
    for number, (name, kind) in enumerate(
        [
            ("(4, H, W)\nuint16", "data"),
            ("DNTo\nReflectance", "operator"),
            ("NDVI", "operator"),
            ("Assert\nValueRange", "operator"),
            ("(H, W)\nfloat32", "result"),
        ]
    ):
        x = 20 + number * 148
        picture.box(x, 48, name, kind, w=124, h=52)
        if number:
            picture.arrow(x - 23, 74, x - 3, 74)
    picture.text(
        20, 148, 'Graph(inputs={"scene": ..., "scl": ...}, outputs={...})', 14, SOFT, "start"
    )
    picture.box(20, 168, "scene", "data", w=110)
    picture.box(20, 238, "scl", "data", w=110)
    picture.box(176, 168, "NDVI", "operator", w=124)
    picture.box(176, 238, "MaskFromSCL", "operator", w=124)
    picture.box(350, 203, "ApplyMask", "operator", w=124)
    picture.box(524, 168, '"ndvi"', "result", w=110)
    picture.box(524, 238, '"drop"', "result", w=110)
    for arrow in [
        (130, 191, 173, 191),
        (130, 261, 173, 261),
        (300, 196, 347, 216),
        (300, 256, 347, 236),
        (474, 216, 521, 196),
        (300, 270, 521, 270),
    ]:
        picture.arrow(*arrow)
    return picture


def axes() -> Drawing:
    """Geometry, sampler, window, aggregation."""
    picture = Drawing(900, 250, "The four axes: geometry, sampler, window, aggregation")
    titles = ("geometry", "sampler", "window", "aggregation")
    notes = ("what a chip is", "where chips go", "how much a pixel counts", "how chips become one")
    for number, (title, note) in enumerate(zip(titles, notes, strict=True)):
        x = 20 + number * 222
        picture.rect(x, 44, 194, 160, "#f6f8fa", "#d3dae0", radius=8)
        picture.text(x + 97, 30, title, 16)
        picture.text(x + 97, 230, note, 13, SOFT)
    picture.rect(62, 74, 110, 100, FILLS["operator"], EDGES["operator"])
    picture.text(117, 129, "256 x 256")
    for row in range(4):
        for col in range(5):
            x, y = 264 + col * 28, 66 + row * 28
            picture.rect(x, y, 40, 40, FILLS["data"], EDGES["data"], opacity=0.35)
            picture.dot(x, y, 3, EDGES["operator"])
    hann = [
        (478 + t * 1.6, 184 - 112 * math.sin(math.pi * (t + 0.5) / 101) ** 2) for t in range(101)
    ]
    picture.line([(474, 188), (648, 188)], SOFT, 1)
    picture.line(hann, EDGES["operator"], 3)
    picture.text(561, 68, "Hann, above 0 everywhere", 12, SOFT)
    for number, colour in enumerate(("data", "operator", "data")):
        start = 702 + number * 43
        bump = [(start + t, 176 - 70 * math.sin(math.pi * (t + 0.5) / 89) ** 2) for t in range(89)]
        picture.line(bump, EDGES[colour], 2)
    picture.line([(702, 92), (876, 92)], EDGES["result"], 3)
    picture.text(789, 78, "weighted sum / weights", 12, SOFT)
    return picture


def catalog() -> Drawing:
    """Footprints in space, intervals in time, a slice through both."""
    picture = Drawing(760, 280, "A catalog is a set of footprints with time intervals")
    picture.text(170, 30, "footprints", 16)
    picture.text(560, 30, "time intervals", 16)
    shapes = [(40, 60, 110, 90), (110, 100, 120, 100), (60, 150, 130, 90), (210, 60, 90, 80)]
    for number, (x, y, w, h) in enumerate(shapes):
        hit = number < 3
        colour = "data" if hit else "operator"
        picture.rect(x, y, w, h, FILLS[colour], EDGES[colour], opacity=0.55)
        y_time = 70 + number * 46
        start = (420, 470, 520, 620)[number]
        picture.line([(400, y_time), (730, y_time)], "#d3dae0", 1)
        picture.rect(start, y_time - 9, 84, 18, FILLS[colour], EDGES[colour], radius=4)
    picture.rect(90, 120, 90, 70, "none", INK, dash="6 4")
    picture.text(135, 212, "bounds", 13)
    picture.rect(486, 48, 90, 200, "none", INK, dash="6 4")
    picture.text(531, 266, "interval", 13)
    return picture


def sources() -> Drawing:
    """What `auto` tries, in order."""
    picture = Drawing(900, 170, "What the source auto tries, in order")
    steps = [
        ("archive\nholds it?", "data"),
        ("live service\nanswers in 3 s?", "data"),
        ("simulation\ncovers it?", "data"),
        ("error: what was tried,\nand what would fix it", "operator"),
    ]
    for number, (name, kind) in enumerate(steps):
        x = 20 + number * 222
        picture.box(x, 24, name, kind, w=180, h=56)
        if number:
            picture.arrow(x - 41, 52, x - 3, 52)
            picture.text(x - 22, 44, "no", 12, SOFT)
        if number < 3:
            picture.arrow(x + 90, 80, x + 90, 114)
            picture.text(x + 106, 102, "yes", 12, SOFT)
            name = ("archive", "planetary-computer", "simulated")[number]
            picture.box(x + 10, 117, name, "result", w=160, h=36)
    return picture


def house() -> Drawing:
    """Which package stands on which."""
    picture = Drawing(760, 330, "Five packages, and what stands on what")
    rooms = [
        (200, 20, 360, "geostack\nscenes by one call, servers", "result"),
        (200, 100, 360, "geotoolz\nnamed operators over pure functions", "operator"),
        (40, 180, 330, "geopatcher\nfour axes take a raster apart", "data"),
        (390, 180, 330, "geocatalog\nfiles as a set, and their one reader", "data"),
        (40, 260, 680, "pipekit\nan operator is a value; what all need, once", "operator"),
    ]
    for x, y, width, text, kind in rooms:
        picture.box(x, y, text, kind, w=width, h=52)
    for x0, y0, x1, y1 in (
        (380, 72, 380, 97),
        (280, 152, 230, 177),
        (480, 152, 530, 177),
        (205, 232, 205, 257),
        (555, 232, 555, 257),
    ):
        picture.arrow(x0, y0, x1, y1)
    return picture


def favicon() -> Drawing:
    """Four chips, one of them green."""
    picture = Drawing(32, 32, "geostack")
    for number, kind in enumerate(("data", "operator", "data", "result")):
        x, y = 3 + 14 * (number % 2), 3 + 14 * (number // 2)
        picture.rect(x, y, 12, 12, EDGES[kind], radius=2)
    return picture


DIAGRAMS = {
    "house": house,
    "flow": flow,
    "algebra": algebra,
    "axes": axes,
    "catalog": catalog,
    "sources": sources,
    "favicon": favicon,
}


def main(folder: Path) -> None:
    """Write every diagram into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (folder / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here / "images")
