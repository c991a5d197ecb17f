"""Tiles show the right pixels, are made once, and cost nothing where there is nothing."""

import asyncio
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window
from tiny_scenes import scene_bbox

from geostack.serve import Layer, create_app, file_layer, scene_layer
from geostack.serve.limits import Gate, Limits
from geostack.serve.tiles import TileService, empty_png, tile_bounds
from geotoolz import NDVI, Colormap, DNToReflectance, ToRGB
from pipekit import Operator

COLOURS = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08") | Colormap("BrBG", -1.0, 1.0)
ZOOM = 13


def tile_of(lon: float, lat: float, z: int) -> tuple[int, int]:
    """The tile that holds a place, by the formula of the OpenStreetMap wiki."""
    side, angle = 1 << z, math.radians(lat)
    return (
        int((lon + 180) / 360 * side),
        int((1 - math.asinh(math.tan(angle)) / math.pi) / 2 * side),
    )


@pytest.fixture
def layer(scenes) -> Layer:
    (item,) = scenes.search("sentinel-2-l2a", scene_bbox(), "2024-06-14/2024-06-14")
    return scene_layer(item, COLOURS, ("B04", "B08"), scenes)


@pytest.fixture
def middle() -> tuple[int, int]:
    west, south, east, north = scene_bbox()
    return tile_of((west + east) / 2, (south + north) / 2, ZOOM)


@pytest.fixture
def url(serve, layer) -> Iterator[str]:
    return serve(create_app(layers={"ndvi": layer}))


def pixels(png: bytes) -> np.ndarray:
    with rasterio.MemoryFile(png) as memory, memory.open() as file:
        return file.read()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_tile_shows_the_place_it_says(tmp_path):
    """A file whose value is its easting, drawn in grey, against GDAL's own reprojection."""
    columns = np.tile(np.arange(200, dtype="uint8"), (200, 1))
    transform = from_origin(750_000, 4_350_000, 30, 30)
    path = tmp_path / "ramp.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200, height=200, count=1, dtype="uint8",
        crs="EPSG:32610", transform=transform,
    ) as file:  # fmt: skip
        file.write(columns, 1)
    ramp = file_layer(path, Colormap("gray", 0, 255), ["ramp"])
    west, south, east, north = ramp.bounds
    x, y = tile_of((west + east) / 2, (south + north) / 2, ZOOM)
    shown = pixels(ramp.tile(ZOOM, x, y))
    left, _, right, top = tile_bounds(ZOOM, x, y)
    step = (right - left) / 256
    expected = np.zeros((256, 256), "float32")
    reproject(
        columns.astype("float32"), expected, src_transform=transform, src_crs=CRS.from_epsg(32610),
        dst_transform=from_origin(left, top, step, step), dst_crs=CRS.from_epsg(3857),
        resampling=Resampling.bilinear, init_dest_nodata=True, dst_nodata=-1,
    )  # fmt: skip
    inside = (shown[3] == 255) & (expected > 1)
    assert inside.mean() > 0.8
    difference = np.abs(shown[0][inside].astype(float) - expected[inside])
    # One value is 30 m, a tile's pixel 15 m.
    assert difference.max() <= 2
    assert np.unique(shown[0][inside]).size > 50


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_halo_leaves_the_place_alone(layer, middle):
    wide = Layer(layer.assets, layer.operator, layer.offsets, halo=3)
    bare, haloed = pixels(layer.tile(ZOOM, *middle)), pixels(wide.tile(ZOOM, *middle))
    assert haloed.shape == bare.shape == (4, 256, 256)
    both = (bare[3] == 255) & (haloed[3] == 255)
    assert both.any()
    difference = np.abs(bare[:3, both].astype(int) - haloed[:3, both])
    assert np.median(difference) == 0


class SeesOffset(Operator):
    """Fails unless the +1000 was taken away."""

    seen: list[int] = []  # noqa: RUF012

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        assert x.attrs["band_names"] == ["B04"]
        self.seen.append(int(x.values.max()))
        return np.zeros((3, *x.shape[1:]), "uint8")


def test_operators_get_harmonised_numbers_and_names(scenes, middle):
    (item,) = scenes.search("sentinel-2-l2a", scene_bbox(), "2024-06-14/2024-06-14")
    scene_layer(item, SeesOffset(), ("B04",), scenes).tile(ZOOM, *middle)
    with rasterio.open(item.assets["B04"].href) as file:
        assert SeesOffset.seen[-1] <= int(file.read(1, window=Window(0, 0, 512, 512)).max()) - 1000


def test_a_tile_comes_with_a_tag_and_is_made_once(url, middle):
    address = f"{url}/tiles/ndvi/{ZOOM}/{middle[0]}/{middle[1]}.png"
    first = requests.get(address, timeout=20)
    second = requests.get(address, timeout=20)
    assert first.status_code == second.status_code == 200
    assert first.headers["content-type"] == "image/png"
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert first.content == second.content != empty_png()
    assert "max-age" in first.headers["cache-control"]
    tag = first.headers["etag"]
    known = requests.get(address, headers={"If-None-Match": tag}, timeout=20)
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    other = requests.get(address, headers={"If-None-Match": '"other"'}, timeout=20)
    assert other.status_code == 200
    for held in ("*", f"W/{tag}", f'"other", {tag}', f'"other",W/{tag},"another"'):
        answer = requests.get(address, headers={"If-None-Match": held}, timeout=20)
        assert answer.status_code == 304, held
    text = requests.get(f"{url}/metrics", timeout=20).text
    assert 'geostack_tiles_total{cache="hit"} 7.0' in text


class Counted(Operator):
    """Counts how often it runs, slowly."""

    runs = 0

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        import time

        Counted.runs += 1
        time.sleep(0.3)
        return np.full((3, *x.shape[1:]), 9, "uint8")


def test_a_tile_asked_for_by_many_at_once_is_made_once(serve, layer, middle):
    Counted.runs = 0
    url = serve(create_app(layers={"counted": Layer(layer.assets, Counted(), layer.offsets)}))
    address, answers = f"{url}/tiles/counted/{ZOOM}/{middle[0]}/{middle[1]}.png", []
    threads = [
        threading.Thread(target=lambda: answers.append(requests.get(address, timeout=20)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.content for each in answers}) == 1
    assert [each.status_code for each in answers] == [200] * 6
    assert Counted.runs == 1


def test_an_empty_tile_opens_no_file(url, layer, tmp_path):
    answer = requests.get(f"{url}/tiles/ndvi/{ZOOM}/0/0.png", timeout=20)
    assert (answer.status_code, answer.content) == (200, empty_png())
    assert layer.mercator_bounds
    gone = Layer(layer.assets, layer.operator, layer.offsets)
    vars(gone)["mercator_bounds"] = layer.mercator_bounds
    lost = tuple(
        type(asset)(asset.item_id, asset.key, str(tmp_path / "gone.tif"), asset.source)
        for asset in layer.assets
    )
    object.__setattr__(gone, "assets", lost)
    assert gone.tile(ZOOM, 0, 0) == empty_png()


@pytest.mark.parametrize(
    "place", ["25/0/0", "3/8/0", "3/0/8", "3/-1/0", "-1/0/0", f"3/{10**30}/0", "99999/0/0"]
)
def test_tiles_out_of_range_are_not_found(url, place):
    answer = requests.get(f"{url}/tiles/ndvi/{place}.png", timeout=20)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("place", ["3/a/0", "3/1.5/0", "3/0x1/0", f"3/{'9' * 6000}/0", "nan/0/0"])
def test_tiles_that_are_no_numbers_are_refused(url, place):
    answer = requests.get(f"{url}/tiles/ndvi/{place}.png", timeout=20)
    assert answer.status_code in (404, 422)
    assert answer.json()["status"] == answer.status_code


def test_layers_are_listed_with_their_boxes(url, layer):
    (told,) = requests.get(f"{url}/layers", timeout=20).json()["layers"]
    assert (told["name"], told["bands"]) == ("ndvi", ["B04", "B08"])
    assert told["config_hash"] == layer.config_hash
    assert told["bounds"] == pytest.approx(scene_bbox(), abs=1e-6)


def test_a_layer_that_cannot_be_read_does_not_hide_the_others(serve, layer, tmp_path):
    path = tmp_path / "secret-place.tif"
    path.write_bytes(Path(layer.assets[0].href).read_bytes())
    lost = file_layer(path, Colormap("gray", 0, 5000), ["red"], title="Red")
    path.unlink()
    url = serve(create_app(layers={"lost": lost, "ndvi": layer}))
    gone, there = requests.get(f"{url}/layers", timeout=20).json()["layers"]
    assert gone == {
        "name": "lost",
        "title": "Red",
        "problem": "the scene can't be read now; try again",
    }
    assert there["name"] == "ndvi"
    assert len(there["bounds"]) == 4


def test_an_operator_that_makes_no_picture_is_a_server_error(serve, layer, middle):
    plain = Layer(layer.assets, DNToReflectance(), layer.offsets)
    url = serve(create_app(layers={"plain": plain}))
    address = f"{url}/tiles/plain/{ZOOM}/{middle[0]}/{middle[1]}.png"
    assert requests.get(address, timeout=20).status_code == 500
    with pytest.raises(ValueError, match="end it with Colormap"):
        plain.tile(ZOOM, *middle)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_true_colour_is_transparent_where_there_is_nothing(scenes):
    (item,) = scenes.search("sentinel-2-l2a", scene_bbox(), "2024-06-14/2024-06-14")
    rgb = DNToReflectance() | ToRGB(("B04", "B03", "B02"), limits=(0, 0.4))
    made = scene_layer(item, rgb, ("B02", "B03", "B04"), scenes)
    west, _, _, north = scene_bbox()
    corner = pixels(made.tile(ZOOM, *tile_of(west, north, ZOOM)))
    share = (corner[3] == 255).mean()
    assert 0 < share < 1
    assert set(np.unique(corner[3])) == {0, 255}


def test_a_layer_of_a_missing_file_is_refused_when_it_is_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_layer(tmp_path / "none.tif", COLOURS, ["B04"])


class Numbered:
    """A layer whose tile x has x bytes, and which counts what it makes."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def is_known_empty(self, z: int, x: int, y: int) -> bool:
        return False

    def tile(self, z: int, x: int, y: int) -> bytes:
        self.made.append(x)
        return bytes(x)


def test_tiles_used_last_are_kept_up_to_so_many_bytes():
    layer, gate = Numbered(), Gate(Limits(running=1))
    tiles = TileService({"a": layer}, gate, 10)

    async def ask(*asked: int) -> list[int]:
        layer.made.clear()
        for x in asked:
            tile, _ = await tiles.tile("a", 4, x, 0)
            assert len(tile.png) == x
        return layer.made.copy()

    assert asyncio.run(ask(1, 3, 1, 3)) == [1, 3]
    assert asyncio.run(ask(1, 7, 1)) == [7], "1 + 3 + 7 are one too many: the 3 is not used since"
    assert tiles.cache.currsize == 8
    assert asyncio.run(ask(11, 11)) == [11, 11], "larger than all that is kept"
    gate.close()


class Spy(Operator):
    """Remembers the numbers that it is given."""

    seen: list[set[int]] = []  # noqa: RUF012

    def __init__(self):
        """Nothing to keep."""

    def _apply(self, x):
        self.seen.append(set(np.unique(x.values[0]).tolist()))
        return np.zeros((3, *x.shape[1:]), "uint8")


@pytest.mark.parametrize(
    ("key", "told"),
    [("SCL", None), ("QA_PIXEL", None), ("landcover", None), ("a", "class"), ("a", "bits"), ("a", "mask"),
     ("a", "palette"), ("a", "name"), ("a", None)],
)  # fmt: skip
def test_codes_are_not_interpolated_between_pixels(tmp_path, key, told):
    codes = np.where(np.indices((60, 60)).sum(axis=0) // 5 % 2, 8, 4).astype("uint8")
    place = from_origin(1_000_000, 5_000_000, 100, 100)
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=60, height=60, count=1, dtype="uint8",
        crs="EPSG:3857", transform=place,
    ) as file:  # fmt: skip
        file.write(codes, 1)
        if told == "palette":
            file.write_colormap(1, {4: (1, 2, 3, 255), 8: (3, 4, 5, 255)})
        elif told == "name":
            file.set_band_description(1, "SCL")
        elif told is not None:
            file.update_tags(1, band_role=told)
    shown = file_layer(tmp_path / "a.tif", Spy(), [key])
    west, south, east, north = shown.bounds
    shown.tile(15, *tile_of((west + east) / 2, (south + north) / 2, 15))
    # 0 lies beyond the file.
    assert (Spy.seen[-1] <= {0, 4, 8}) == (key != "a" or told is not None)
