"""The page for readers of other libraries: each pair runs, and gives equal numbers."""

import pickle
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
import geotoolz as gz
from geocatalog import build_raster_catalog, from_stac_items
from geopatcher import (
    CoverageWarning,
    PatchError,
    SpatialGaussian,
    SpatialHann,
    SpatialPatcher,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialTukey,
)
from geotoolz import read, write_cog
from pipekit import from_config, to_config

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "coming-from.md"
PAIRS = re.findall(
    r"^```py\n# ([\w.]+)\n(.*?)^# geostack\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M
)


def _section(title):
    """The page's text under one of its headings."""
    return PAGE.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]


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


def test_the_page_names_the_torchgeo_that_is_installed():
    (pin,) = re.findall(r"torchgeo==([\d.]+)", (PAGE.parents[2] / "Makefile").read_text("utf-8"))
    assert f"torchgeo {pin}" in _section("torchgeo")


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


# the table of what differs on purpose

ROWS = re.findall(r"^\| (.+) \| .+ \|$", _section("What differs on purpose"), re.M)[2:]
CHIPS = SpatialPatcher(
    SpatialRectangular(16, boundary="shift"), SpatialRegularStride(16), SpatialHann()
)


def _not_covered(given):
    scene = read("scene.tif")
    patches = list(CHIPS.split(scene))
    with pytest.warns(CoverageWarning, match="covered by no patch"):
        merged = CHIPS.merge(patches[:-1], scene)
    return np.isnan(merged.values).any() and not (merged.values == 0).any()


def _a_raster_without_bands(given):
    made = gz.Lambda(lambda raster: raster[0])(read("scene.tif"))
    return made.shape == (60, 80) and isinstance(made, GeoTensor)


def _float32(given):
    scene = read("scene.tif")
    wide = GeoTensor(scene.values.astype("float64"), PLACE, scene.crs, None)
    merged = CHIPS.merge(CHIPS.split(scene), scene)
    return {merged.dtype, gz.NDVI(0, 1)(wide).dtype} == {np.dtype("float32")}


def _in_utc(given):
    table = from_stac_items(given["items"], asset_key="B04").gdf
    return str(table.start_time.dt.tz) == "UTC"


def _nodata(given):
    scene = GeoTensor(np.zeros((1, 2, 2), "uint16"), PLACE, "EPSG:32610", None)
    write_cog(scene, "zeros.tif")
    other = read("zeros.tif")
    valid = gz.MaskValid()(other).values
    return (given["chip"].fill_value_default, other.fill_value_default) == (
        0,
        None,
    ) and not valid.any()


def _positive(given):
    return all(
        window.weights(SpatialRectangular(16)).min() > 0
        for window in (SpatialHann(), SpatialTukey(1.0), SpatialGaussian(share=0.3))
    )


def _drops(given):
    mask = GeoTensor(np.eye(60, 80, dtype=bool), PLACE, "EPSG:32610", None)
    made = gz.ApplyMask(mask, fill_value=0)(read("scene.tif"))
    return ((made.values == 0) == mask.values).all()


def _sigma(given):
    with pytest.raises(PatchError, match="share"):
        SpatialGaussian(sigma=0.3)
    return SpatialGaussian(share=0.5) != SpatialGaussian(sigma=0.5 * 16)


def _side_by_side(given):
    scene = read("scene.tif")
    for name, cut in (("left.tif", scene[:, :, :40]), ("right.tif", scene[:, :, 40:])):
        write_cog(cut, name)
    left, right = (build_raster_catalog([f"{name}.tif"]) for name in ("left", "right"))
    return (len(left & right), len(left.intersect(right, touching=True))) == (0, 1)


def _a_value(given):
    op = gz.NDVI(0, 1)
    again = pickle.loads(pickle.dumps(op))
    return op == again == from_config(to_config(op)) and repr(op) == repr(again)


def _everywhere(given):
    anchors = SpatialPatcher(SpatialRectangular(16), SpatialRandom(400, seed=0)).anchors(
        read("scene.tif")
    )
    return np.max(anchors, axis=0).tolist() == [44, 64]


HOLDS = {
    "NaN where nothing was covered": _not_covered,
    "(H, W) out of an operator": _a_raster_without_bands,
    "float32": _float32,
    "times of catalogs in UTC": _in_utc,
    "0 of Sentinel-2's": _nodata,
    "windows are positive": _positive,
    "a random chip": _everywhere,
    "True in a mask means drop": _drops,
    "shadows are no clouds": lambda given: not {*gz.SCL_CLOUDS} & {*gz.SCL_SHADOWS},
    "`SpatialGaussian": _sigma,
    "footprints that only touch": _side_by_side,
    "an operator is a value": _a_value,
}


@pytest.mark.parametrize("row", ROWS)
def test_what_differs_on_purpose_does(row, given):
    (holds,) = [check for start, check in HOLDS.items() if row.startswith(start)]
    assert holds(given)


def test_what_is_other_projects_work_is_told():
    told = _section("What other projects are for")
    for work in ("plumes", "matched filters", "segmentation", "point clouds", "co-registration"):
        assert work in told
