"""The page for readers of other libraries: each pair runs, and gives equal numbers."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from georeader.geotensor import GeoTensor
from rasterio import Affine
from shapely import Point
from tiny_scenes import make_scene, scene_bbox

import geostack
from geotoolz import write_cog

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "coming-from.md"
PAIRS = re.findall(
    r"^```py\n# ([\w.]+)\n(.*?)^# geostack\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M
)
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


def test_the_page_has_pairs_of_each_library():
    assert {peer for peer, *_ in PAIRS} == {"rasterio", "odc.stac", "stackstac", "xbatcher"}
    assert len(PAIRS) == 7


@pytest.mark.parametrize(
    ("peer", "theirs", "ours"), PAIRS, ids=[f"{pair[0]}-{i}" for i, pair in enumerate(PAIRS)]
)
def test_a_pair_gives_equal_numbers(peer, theirs, ours, given):
    pytest.importorskip(peer, reason=f"{peer} is not installed: pip install {peer}")
    names = dict(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what peers warn of is not ours to mend
        exec(compile(theirs, "theirs", "exec"), names)
    exec(compile(ours, "ours", "exec"), names)
    found, expected = np.squeeze(np.asarray(names["ours"])), np.squeeze(np.asarray(names["theirs"]))
    assert found.size > 100
    np.testing.assert_allclose(found, expected, rtol=1e-6)
