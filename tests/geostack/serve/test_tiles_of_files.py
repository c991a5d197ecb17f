"""Where a file has no data a tile is transparent, and where it has a 0 it is not."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

pytest.importorskip("rio_tiler", reason="needs the serve extra")

from rasterio import Affine
from rasterio.transform import from_origin

from geostack.errors import PixelReadError
from geostack.serve import file_layer
from geostack.serve.tiles import TILE, empty_png, tile_bounds
from geotoolz import Colormap
from pipekit import Operator

ZOOM, X, Y = 12, 2150, 1380
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


class AllWhite(Operator):
    """Says that everything is white, data or not."""

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        return np.full((3, *x.shape[1:]), 255, "uint8")


def on_the_tile(path: Path, values: np.ndarray, **profile) -> Path:
    """Write (rows, cols) as a file on the western half of a tile, pixel on pixel."""
    west, _, east, north = tile_bounds(ZOOM, X, Y)
    step = (east - west) / TILE
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=values.shape[0], width=values.shape[1],
        dtype=values.dtype, crs="EPSG:3857", transform=from_origin(west, north, step, step),
        **profile,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return path


def shown(path: Path, operator: Operator) -> np.ndarray:
    """RGBA (4, 256, 256) of the tile."""
    png = file_layer(path, operator, ["value"]).tile(ZOOM, X, Y)
    with rasterio.MemoryFile(png) as memory, memory.open() as file:
        return file.read()


GREY = Colormap("gray", 0.0, 255.0)


def halves(dtype: str, nothing) -> np.ndarray:
    """The upper half 0, the lower half `nothing`."""
    values = np.zeros((TILE, TILE // 2), dtype)
    values[TILE // 2 :] = nothing
    return values


@pytest.mark.parametrize(
    ("dtype", "nothing", "profile"),
    [
        ("float32", np.nan, {}),
        ("float32", -9999.0, {"nodata": -9999.0}),
        ("float64", np.nan, {"nodata": np.nan}),
        ("int16", -32768, {"nodata": -32768}),
        ("uint8", 255, {"nodata": 255}),
    ],
)
def test_zero_is_a_value_and_nodata_is_none(tmp_path, dtype, nothing, profile):
    path = on_the_tile(tmp_path / "half.tif", halves(dtype, nothing), **profile)
    rgba = shown(path, GREY)
    half = TILE // 2
    assert (rgba[:, :half, :half] == np.array([0, 0, 0, 255])[:, None, None]).all()
    assert not rgba[3, half:].any()
    assert not rgba[3, :, half:].any(), "beyond the file there is nothing"


def test_a_file_of_zeros_without_nodata_is_drawn(tmp_path):
    path = on_the_tile(tmp_path / "zeros.tif", np.zeros((TILE, TILE // 2), "uint8"))
    rgba = shown(path, GREY)
    assert rgba[3, :, : TILE // 2].all()
    assert not rgba[3, :, TILE // 2 :].any()


def test_an_operator_can_draw_nothing_where_no_file_has_data(tmp_path):
    values = halves("uint16", 0)
    path = on_the_tile(tmp_path / "white.tif", values, nodata=0)
    assert file_layer(path, AllWhite(), ["value"]).tile(ZOOM, X, Y) == empty_png()
    values[:10] = 7
    rgba = shown(on_the_tile(tmp_path / "stripe.tif", values, nodata=0), AllWhite())
    assert (rgba[3] == 255).sum() == 10 * TILE // 2


def test_a_file_that_is_no_raster_is_refused_when_the_layer_is_made(tmp_path):
    path = tmp_path / "text.tif"
    path.write_text("no raster")
    with pytest.raises(PixelReadError, match=r"text, asset value"):
        file_layer(path, GREY, ["value"])


def test_what_is_known_to_be_outside_takes_no_turn_and_no_place(tmp_path):
    """Once the layer's box is known, empty tiles are answered without the gate or the cache."""
    import asyncio

    from geostack.serve.limits import Gate, Limits
    from geostack.serve.tiles import TileService

    layer = file_layer(
        on_the_tile(tmp_path / "a.tif", np.full((TILE, TILE), 9, "uint8")), GREY, ["value"]
    )
    gate = Gate(Limits(running=1, waiting=0))
    tiles = TileService({"a": layer}, gate, 1 << 20)
    assert not layer.is_known_empty(ZOOM, 0, 0), "no file was opened yet"

    async def ask() -> None:
        _, first = await tiles.tile("a", ZOOM, X, Y)
        held = tiles.cache.currsize
        assert (first, held > 0) == (False, True)
        gate.close()  # whoever needs a turn of it is refused from now on
        for x in range(500):
            tile, there = await tiles.tile("a", ZOOM, x, 0)
            assert (tile.png, there) == (empty_png(), True)
        assert tiles.cache.currsize == held

    asyncio.run(ask())
    for x, y in ((X - 2, Y), (X + 2, Y), (X, Y - 2), (X, Y + 2)):
        assert layer.is_known_empty(ZOOM, x, y)
    assert not layer.is_known_empty(ZOOM - 1, X // 2, Y // 2)


@pytest.mark.parametrize(
    ("crs", "west"),
    [(None, 5e5), ('LOCAL_CS["a room",UNIT["metre",1]]', 5e5), ("EPSG:32610", 1e300)],
)
def test_a_file_without_a_place_is_refused_when_the_layer_is_made(tmp_path, crs, west):
    path = tmp_path / "lost.tif"
    grid = {"crs": crs, "transform": from_origin(west, west, 10, 10)}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=8, width=8, dtype="uint8", **grid
    ) as file:
        file.write(np.ones((1, 8, 8), "uint8"))
    with pytest.raises(ValueError, match="no place on the globe"):
        file_layer(path, GREY, ["value"])


def test_a_layer_takes_as_many_bands_as_its_file_has_and_whole_pixels(tmp_path):
    path = on_the_tile(tmp_path / "one.tif", halves("uint8", 1))
    with pytest.raises(ValueError, match="has 1 bands, 2 names"):
        file_layer(path, GREY, ["one", "two"])
    with pytest.raises(ValueError, match="at least one file"):
        file_layer(path, GREY, [])
    for halo in (True, 1.5, "3", float("nan")):
        with pytest.raises(ValueError, match="halo must be"):
            file_layer(path, GREY, ["value"], halo=halo)


@pytest.mark.parametrize("bands", [1, 2])
def test_a_file_across_180_degrees_is_shown_on_both_sides_and_nowhere_else(tmp_path, bands):
    """Its box in Web Mercator is as wide as the world, and most tiles of that hold nothing."""
    path = tmp_path / "across.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=128, width=128, dtype="uint8",
        crs="EPSG:32601", transform=from_origin(200_000, 4_350_000, 1000, 1000),
    ) as file:  # fmt: skip
        file.write(np.full((bands, 128, 128), 9, "uint8"))
    layer = file_layer(path, AllWhite(), [f"b{n}" for n in range(bands)])
    shown_at = {x for x in range(32) if layer.tile(5, x, 12) != empty_png()}
    assert shown_at == {0, 31}


TURNED = {
    "as maps are": Affine(1, 0, 0, 0, -1, 0),
    "south up": Affine(1, 0, 0, 0, 1, 0),
    "east left": Affine(-1, 0, 0, 0, -1, 0),
    "aslant": Affine(0.8, 0.6, 0, 0.6, -0.8, 0),
}
PLACES = {
    "mercator": ("EPSG:3857", 1e6, 5e6, 10.0),
    "degrees": ("EPSG:4326", 11.0, 46.0, 1e-4),
    "degrees from 0 to 360": ("EPSG:4326", 250.0, 40.0, 1e-4),
    "UTM": ("EPSG:32633", 5e5, 4.35e6, 10.0),
}


@pytest.mark.parametrize("hidden", ["nothing", "by a mask", "by nodata"])
@pytest.mark.parametrize("turned", TURNED)
@pytest.mark.parametrize("place", PLACES)
def test_each_pixel_is_shown_where_it_lies(tmp_path, place, turned, hidden):
    """The tile's pixels, each looked up in the file by the place of its middle."""
    crs, x, y, size = PLACES[place]
    transform = Affine.translation(x, y) @ Affine.scale(size) @ TURNED[turned]
    values = np.arange(24 * 31, dtype="uint16").reshape(24, 31) % 250 + 1
    hole = np.zeros(values.shape, bool)
    hole[5:12, 3:20] = hidden != "nothing"
    path = tmp_path / "a.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", count=1, height=24, width=31, dtype="uint16", crs=crs,
            transform=transform, nodata=0 if hidden == "by nodata" else None,
        ) as file,
    ):  # fmt: skip
        file.write(np.where(hole & (hidden == "by nodata"), 0, values).astype("uint16"), 1)
        file.update_tags(1, band_role="class")
        if hidden == "by a mask":
            file.write_mask(~hole)
    layer = file_layer(path, Colormap("gray", 0.0, 255.0), ["class"])
    west, south, east, north = layer.bounds
    assert -180 <= west < east <= 180
    assert south < north
    lon, lat = (west + east) / 2, (south + north) / 2
    z = 15
    tile_x = int((lon + 180) / 360 * 2**z)
    tile_y = int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**z)
    with rasterio.MemoryFile(layer.tile(z, tile_x, tile_y)) as memory, memory.open() as file:
        png = file.read()
    left, _, right, top = tile_bounds(z, tile_x, tile_y)
    step = (right - left) / TILE
    down, across = np.mgrid[:TILE, :TILE] + 0.5
    xs, ys = rasterio.warp.transform(
        "EPSG:3857", crs, (left + across * step).ravel(), (top - down * step).ravel()
    )
    turn = 360 if "360" in place else 0
    col, row = ~transform @ (np.array(xs) + turn, np.array(ys))
    inside = (row >= 0) & (row < 24) & (col >= 0) & (col < 31)
    at = np.floor(row[inside]).astype(int), np.floor(col[inside]).astype(int)
    expected = np.zeros((2, TILE * TILE))
    expected[:, inside] = np.where(hole[at], 0, values[at]), ~hole[at] * 255
    assert expected[1].any()
    # GDAL looks places up to an eighth of a pixel.
    assert (png[3].ravel() != expected[1]).mean() < 0.02
    both = (png[3].ravel() > 0) & (expected[1] > 0)
    assert (np.abs(png[0].ravel()[both] - expected[0, both]) <= 1).mean() > 0.9


@pytest.mark.parametrize(
    ("west", "wide", "bounds"),
    [
        (0, 360, (-180, 180)),
        (-0.5, 360, (-180, 180)),
        (170, 20, (170, -170)),
        (200, 20, (-160, -140)),
    ],
)
def test_longitudes_are_counted_as_maps_count_them(tmp_path, west, wide, bounds):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=10, width=20, dtype="uint8", crs="EPSG:4326",
        transform=Affine(wide / 20, 0, west, 0, -12, 60),
    ) as file:  # fmt: skip
        file.write(np.full((10, 20), 9, "uint8"), 1)
    layer = file_layer(path, AllWhite(), ["value"])
    assert (layer.bounds[0], layer.bounds[2]) == bounds
    lasts = [(west + 0.01 * wide), (west + 0.99 * wide)]
    for lon in lasts:
        x = int(((lon + 180) % 360) / 360 * 2**9)
        assert layer.tile(9, x, 200) != empty_png(), lon
