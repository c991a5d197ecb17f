"""Tiles and pipelines over files on a server that misbehaves: right, or "try again", never wrong."""

from pathlib import Path

import pytest
import requests

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("rio_tiler", reason="needs the serve extra")
pytest.importorskip("prometheus_client", reason="needs the serve extra")

from faulty_server import BANDS, TO_NDVI
from loopback import Fault, Loopback
from serve_load import tile_of
from tiny_scenes import make_scene, scene_bbox

from geostack import load_s2_chip, load_stac_items
from geostack.errors import PixelReadError
from geostack.serve import Layer, Limits, Pipeline, create_app, scene_layer
from geostack.serve.pixels import as_geotiff
from geostack.sources import select
from geostack.sources.archive import ArchiveSource
from geotoolz import Colormap

ZOOM = 13
LIVE = "planetary-computer"
WHEN = "2024-06-14/2024-06-14"
COLOURS = TO_NDVI | Colormap("BrBG", -1.0, 1.0)
KINDS = ("truncated", "wrong-length", "reset", "drip", "status")


@pytest.fixture
def remote(server: Loopback, tmp_path: Path) -> Loopback:
    """A scene of 512 x 512 pixels as files on a server."""
    feature = make_scene(tmp_path)
    server.add_item(feature, tmp_path / "sentinel-2-l2a" / feature["id"])
    return server


@pytest.fixture
def layer(remote: Loopback) -> Layer:
    from geostack.request import Request

    (item,) = load_stac_items("sentinel-2-l2a", scene_bbox(), WHEN, source=LIVE)
    source = select(LIVE, Request("sentinel-2-l2a", scene_bbox(), WHEN, assets=BANDS))
    return scene_layer(item, COLOURS, BANDS, source)


@pytest.fixture
def right(remote: Loopback, tmp_path: Path) -> bytes:
    """The tile from the same files on this machine."""
    local = ArchiveSource([tmp_path])
    (item,) = local.search("sentinel-2-l2a", scene_bbox(), WHEN)
    return scene_layer(item, COLOURS, BANDS, local).tile(ZOOM, *middle())


def middle() -> tuple[int, int]:
    west, south, east, north = scene_bbox()
    return tile_of((west + east) / 2, (south + north) / 2, ZOOM)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_one_fault_is_survived(remote, layer, right, kind, after):
    """Whichever request it meets: the size, the header, the blocks."""
    remote.faults = [
        Fault("B08", kind="latency", times=after),  # so many requests go well before it
        Fault("B08", kind=kind, status=503, times=1),
    ]
    assert layer.tile(ZOOM, *middle()) == right
    assert remote.faults[-1].times == 0, "the fault did happen"


@pytest.mark.parametrize("kind", ["truncated", "wrong-length", "reset", "status"])
def test_a_fault_that_stays_is_an_error_and_no_picture(remote, layer, kind):
    remote.faults = [Fault("B08", kind=kind, status=503, times=10_000)]
    with pytest.raises(PixelReadError, match="B08"):
        layer.tile(ZOOM, *middle())


def test_the_service_says_when_to_come_again_and_is_right_when_the_source_is(
    remote, layer, right, serve
):
    limits = Limits(seconds=300)
    app = create_app(
        {"ndvi": Pipeline(TO_NDVI, BANDS)}, {"ndvi": layer}, source=LIVE, limits=limits
    )
    url, (x, y) = serve(app), middle()
    box = list(scene_bbox(inset=1_500))
    chip = load_s2_chip(bbox=box, date_range=WHEN, bands=BANDS, source=LIVE)
    (item,) = remote.items

    def tile() -> requests.Response:
        return requests.get(f"{url}/tiles/ndvi/{ZOOM}/{x}/{y}.png", timeout=400)

    def ndvi() -> requests.Response:
        body = {"item": item["id"], "bbox": box}
        return requests.post(f"{url}/pipelines/ndvi", json=body, timeout=400)

    remote.faults = [Fault("B0", status=503, times=10_000)]
    for answer in (tile(), ndvi()):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "SECRET" not in answer.text
        assert remote.host not in answer.text
    remote.faults = []
    assert tile().content == right
    assert ndvi().content == as_geotiff(TO_NDVI(chip), None)
