"""The page for readers of other libraries: each pair runs, and gives equal numbers."""

import re
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from rasterio import Affine
from shapely import Point
from tiny_scenes import make_scene, scene_bbox

import geostack
from geopatcher import SpatialPatcher, SpatialRandom, SpatialRectangular
from geotoolz import read, write_cog

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "coming-from.md"
PAIRS = re.findall(
    r"^```py\n# ([\w.]+)\n(.*?)^# geostack\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M
)
MARKS = {"torchgeo": pytest.mark.author}
"""It is installed with the recipes' extra, which holds torch."""
PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What the page's code finds: files, a STAC archive, a cube."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    values = rng.integers(1, 5000, (2, 60, 80), dtype=np.uint16)
    scene = GeoTensor(values, PLACE, "EPSG:32610", None)
    write_cog(scene, "scene.tif")
    write_cog(scene[:, :, :50], "west.tif")
    write_cog(scene[:, :, 40:], "east.tif")
    winter = GeoTensor(
        rng.integers(1, 5000, (2, 60, 80), dtype=np.uint16), PLACE, "EPSG:32610", None
    )
    write_cog(scene[:, :, :50], "summer.tif")
    write_cog(winter[:, :, 30:], "winter.tif")
    kinds = rng.integers(0, 5, (1, 60, 80), dtype=np.uint8)
    write_cog(GeoTensor(kinds, PLACE, "EPSG:32610", None)[:, 12:, 20:70], "labels.tif")
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("GEOSTACK_SOURCE", "archive")
    make_scene(tmp_path / "archive")
    bbox = scene_bbox(inset=1000)
    items = geostack.load_stac_items("sentinel-2-l2a", bbox, "2024-06")
    cube = xr.DataArray(
        rng.normal(size=(9, 44, 60)),
        {"y": np.arange(44.0), "x": np.arange(60.0)},
        ("time", "y", "x"),
    )
    chip = geostack.load_s2_chip(bbox=bbox, bands=("B04", "B08"))
    lake = Point(500_400, 4_999_700).buffer(150)
    return {"np": np, "items": items, "bbox": bbox, "chip": chip, "cube": cube, "lake": lake}


@pytest.fixture(scope="session")
def torchgeo(torch):
    """It needs torchvision, whose compiled part for CUDA does not load beside a torch for CPUs."""
    compiled = None
    try:
        pytest.importorskip("torchvision", reason="torchvision is not installed: see the Makefile")
    except RuntimeError:  # two operators of that part are described although they are not there
        compiled = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            compiled.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        datasets = pytest.importorskip("torchgeo.datasets", reason="torchgeo is not installed")
        samplers = pytest.importorskip("torchgeo.samplers")
    yield SimpleNamespace(datasets=datasets, samplers=samplers)
    del compiled  # with it its operators would go


def test_the_page_has_pairs_of_each_library():
    assert Counter(peer for peer, *_ in PAIRS) == {
        "rasterio": 3,
        "odc.stac": 1,
        "stackstac": 1,
        "xbatcher": 2,
        "torchgeo": 6,
    }


@pytest.mark.parametrize(
    ("peer", "theirs", "ours"),
    [
        pytest.param(*pair, id=f"{pair[0]}-{i}", marks=MARKS.get(pair[0], ()))
        for i, pair in enumerate(PAIRS)
    ],
)
def test_a_pair_gives_equal_numbers(peer, theirs, ours, given, request):
    if peer == "torchgeo":
        request.getfixturevalue(peer)
    pytest.importorskip(peer, reason=f"{peer} is not installed: pip install {peer}")
    names = dict(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peers warn of is not ours to mend
        exec(compile(theirs, "theirs", "exec"), names)
    exec(compile(ours, "ours", "exec"), names)
    found, expected = np.squeeze(np.asarray(names["ours"])), np.squeeze(np.asarray(names["theirs"]))
    assert found.size > 100
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.author
def test_drawn_chips_are_those_that_torchgeo_reads_there_and_reach_every_edge(given, torchgeo):
    scene = read("scene.tif")
    patcher = SpatialPatcher(SpatialRectangular(16), SpatialRandom(400, seed=0))
    dataset = torchgeo.datasets.RasterDataset("scene.tif")
    corners = set()
    for patch in patcher.split(scene):
        west, south, east, north = patch.data.bounds
        sample = dataset[slice(west, east), slice(south, north)]
        np.testing.assert_array_equal(patch.data, sample["image"])
        corners.add(patch.anchor)
    rows, cols = (np.array(axis) for axis in zip(*corners, strict=True))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (0, 44, 0, 64)
    places = list(torchgeo.samplers.RandomGeoSampler(dataset, size=16, length=4000))
    east = max(round((x.stop - PLACE.c) / 10) for x, *_ in places)
    north = min(round((PLACE.f - y.stop) / 10) for _, y, _ in places)
    assert (east, north) == (79, 1)  # of 80 columns, and the first row
