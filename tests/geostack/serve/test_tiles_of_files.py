"""Where a file has no data a tile is transparent, and where it has a 0 it is not."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

pytest.importorskip("rio_tiler", reason="needs the serve extra")

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
