"""Filling, checking and listing an archive."""

import json
import subprocess
import sys

import numpy as np
import pystac
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from loopback import Fault, Loopback
from tiny_scenes import make_scene, scene_bbox

from geostack import NoSceneError, PixelReadError, load_s2_chip
from geostack.archiving import _file_names, check, fetch, holdings
from geostack.request import Request

BOX = scene_bbox(inset=1000)
REQUEST = Request("sentinel-2-l2a", BOX, "2024-06", max_cloud_cover=5)


@pytest.fixture
def remote(server: Loopback, tmp_path) -> Loopback:
    for number in (1, 2):
        when = f"2024-06-1{number}T18:39:19Z"
        feature = make_scene(tmp_path / "origin", f"scene-{number}", cloud=number, when=when)
        server.add_item(feature, tmp_path / "origin" / "sentinel-2-l2a" / feature["id"])
    return server


def test_what_is_fetched_is_what_is_loaded_later(remote, tmp_path, monkeypatch):
    archive = tmp_path / "archive"
    done = fetch(REQUEST, ("B04", "B08"), folder=archive, limit=2)
    assert done.items == ["scene-1", "scene-2"]
    live = load_s2_chip(bbox=BOX, bands=("B04", "B08"), source="planetary-computer")
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(archive))
    local = load_s2_chip(bbox=BOX, bands=("B04", "B08"))
    assert local.attrs["source"] == "archive"
    assert (local.values == live.values).all()
    assert check(archive) == []
    held = holdings()
    assert [(h.collection, h.items, h.first) for h in held] == [("sentinel-2-l2a", 2, "2024-06-11")]


def test_no_token_is_written(remote, tmp_path):
    fetch(REQUEST, ("B04",), folder=tmp_path / "archive")
    for path in (tmp_path / "archive").rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes()
    item = json.loads(next((tmp_path / "archive").rglob("scene-1.json")).read_text())
    assert item["assets"]["B04"]["href"] == "./B04.tif"
    assert set(item["assets"]) == {"B04"}


def test_a_second_run_copies_nothing_and_more_bands_are_added(remote, tmp_path):
    archive = tmp_path / "archive"
    fetch(REQUEST, ("B04",), folder=archive)
    remote.records.clear()
    again = fetch(REQUEST, ("B04",), folder=archive)
    assert again.transferred == 0
    assert remote.requests("^/files/") == []
    more = fetch(REQUEST, ("B04", "SCL", "B12"), folder=archive)
    assert more.missing == ["scene-1: B12"]
    item = json.loads(next(archive.rglob("scene-1.json")).read_text())
    assert set(item["assets"]) == {"B04", "SCL"}
    assert check(archive) == []


def test_an_interrupted_fetch_shows_no_item_and_goes_on(remote, tmp_path):
    archive = tmp_path / "archive"
    remote.faults = [Fault("B08", status=404)]
    with pytest.raises(PixelReadError, match="B08"):
        fetch(REQUEST, ("B04", "B08"), folder=archive)
    assert list(archive.rglob("scene-1.json")) == []
    remote.records.clear()
    assert fetch(REQUEST, ("B04", "B08"), folder=archive).items == ["scene-1"]
    assert "GET" not in {record.method for record in remote.requests("B04")}


def test_a_scene_with_none_of_the_files_leaves_no_item(remote, tmp_path):
    done = fetch(REQUEST, ("B12",), folder=tmp_path / "archive")
    assert (done.items, done.missing) == ([], ["scene-1: B12"])
    assert list((tmp_path / "archive").rglob("*.json")) == []


def test_nothing_that_fits(remote, tmp_path):
    with pytest.raises(NoSceneError):
        fetch(Request("sentinel-2-l2a", BOX, "2019"), ("B04",), folder=tmp_path)


def test_two_processes_fill_one_archive(remote, tmp_path):
    program = f"""
from geostack.sources import planetary_computer
planetary_computer.BLOB_DOMAIN = {remote.host!r}
from pathlib import Path
from geostack.archiving import fetch
from geostack.request import Request
fetch(Request("sentinel-2-l2a", {BOX!r}, "2024-06"), ("B04", "B08"), folder=Path({str(tmp_path / "archive")!r}), limit=2)
"""
    runs = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in "ab"]
    for run in runs:
        _, said = run.communicate(timeout=120)
        assert run.returncode == 0, said.decode()
    assert check(tmp_path / "archive") == []
    assert len(list((tmp_path / "archive").rglob("*.tif"))) == 4


def test_check_names_what_is_missing_damaged_or_unreadable(remote, tmp_path):
    archive = tmp_path / "archive"
    fetch(REQUEST, ("B02", "B03", "B04", "B08"), folder=archive)
    home = archive / "sentinel-2-l2a" / "scene-1"
    (home / "B02.tif").unlink()
    damaged = bytearray((home / "B03.tif").read_bytes())
    damaged[-100] ^= 0xFF
    (home / "B03.tif").write_bytes(damaged)
    (home / "B04.tif").write_bytes((home / "B04.tif").read_bytes()[:-100])
    torn = archive / "sentinel-2-l2a" / "torn"
    torn.mkdir()
    (torn / "torn.json").write_text("{")
    found = {problem.path.name: problem.what for problem in check(archive)}
    assert found["B02.tif"] == "missing"
    assert "checksum differs" in found["B03.tif"]
    assert "bytes, expected" in found["B04.tif"]
    assert "torn.json" in found
    assert len(found) == 4


def test_check_sees_that_a_file_was_cut_where_gdal_reads_it_as_empty(tmp_path):
    """Tiles that are left out of a file read as nodata, and so do those that were cut off."""
    feature = make_scene(tmp_path, bands=("B04",))
    path = tmp_path / "sentinel-2-l2a" / feature["id"] / "B04.tif"
    values = np.zeros((1, 1200, 1200), "uint16")
    values[:, :600, :600] = np.random.default_rng(0).integers(1, 9000, (600, 600))
    profile = {"driver": "COG", "count": 1, "width": 1200, "height": 1200, "dtype": "uint16"}
    place = {"nodata": 0, "SPARSE_OK": True, "transform": rasterio.Affine.scale(2)}
    with rasterio.open(path, "w", crs="EPSG:32632", **profile, **place) as file:
        file.write(values)
    assert check(tmp_path) == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut short" in check(tmp_path)[0].what


def test_check_opens_files_that_record_no_checksum(tmp_path):
    feature = make_scene(tmp_path, bands=("B04",))
    path = tmp_path / "sentinel-2-l2a" / feature["id"] / "B04.tif"
    assert check(tmp_path) == []
    path.write_bytes(path.read_bytes()[:2000])
    assert "can't be read" in check(tmp_path)[0].what


def test_the_real_archive_is_well(archive_root):
    assert check(archive_root) == []


def item_of(hrefs):
    item = pystac.Item("scene", None, None, None, {"start_datetime": "x", "end_datetime": "y"})
    item.assets = {key: pystac.Asset(href) for key, href in hrefs.items()}
    return item


def test_files_keep_their_names_where_these_are_their_own():
    hrefs = {"B04": "https://host/a/B04.tif?sig=1", "B08": "https://host/a/B08.tif"}
    assert _file_names(item_of(hrefs), {}) == {"B04": "B04.tif", "B08": "B08.tif"}


KEYS = st.dictionaries(
    st.sampled_from(["red", "nir", "Red", "a/b", "a b", "..", "metadata"]),
    st.sampled_from(
        ["image.tif", "IMAGE.tif", "scene.json", "red-image.tif", "..", ".lock", "b.tif/"]
    ),
)


@given(KEYS, KEYS)
def test_no_two_files_of_a_scene_have_one_name(hrefs, more):
    item = item_of({key: f"https://host/{key}/{name}?v=1" for key, name in hrefs.items()})
    names = _file_names(item, {})
    folded = [name.casefold() for name in names.values()]
    assert len({*folded, "scene.json"}) == len(hrefs) + 1
    assert not any("/" in name or name.startswith(".") for name in folded)
    # What was fetched before keeps its place when the service has other files since.
    known = {key: {"href": f"./{name}"} for key, name in names.items()}
    for key, name in more.items():
        item.assets.setdefault(key, pystac.Asset(f"https://host/{name}"))
    later = _file_names(item, known)
    assert later | names == later
    assert len({name.casefold() for name in later.values()}) == len(later)


@pytest.mark.parametrize("name", ["../out", "a/b", "..", ""])
def test_a_scene_whose_id_leads_elsewhere_is_refused(name, tmp_path):
    from geostack.archiving import Fetched, _fetch_item

    item = item_of({"B04": "https://host/B04.tif"})
    item.id = name
    with pytest.raises(ValueError, match="names its folder"):
        _fetch_item(item, "c", ["B04"], None, Fetched(tmp_path / "archive"), lambda n: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["{", "[]", '{"assets": 5}', "[" * 100_000, ""])
def test_a_damaged_item_is_written_anew(remote, tmp_path, damage):
    archive = tmp_path / "archive"
    fetch(REQUEST, ("B04",), folder=archive)
    path = next(archive.rglob("scene-1.json"))
    whole = path.read_text()
    path.write_text(damage)
    assert check(archive)
    assert fetch(REQUEST, ("B04",), folder=archive).items == ["scene-1"]
    assert path.read_text() == whole
    assert check(archive) == []


def test_a_name_that_no_file_has_is_a_missing_file(remote, tmp_path):
    archive = tmp_path / "archive"
    fetch(REQUEST, ("B04",), folder=archive)
    path = next(archive.rglob("scene-1.json"))
    for href in ("x" * 5000, "a\0b"):
        item = json.loads(path.read_text())
        item["assets"]["B04"]["href"] = href
        path.write_text(json.dumps(item))
        (problem,) = check(archive)
        assert problem.what == "missing"
