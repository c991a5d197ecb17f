"""Reading over HTTP: what is asked of the server, what is survived, what is said."""

import logging
import traceback
from pathlib import Path

import numpy as np
import pytest
from loopback import Fault, Loopback
from tiny_scenes import NORTH, WEST, band, make_scene, scene_bbox, write_cog

from geostack import PixelReadError, load_s2_chip
from geostack.loaders import dem, landsat, naip, sentinel2
from geostack.read import Asset, in_parallel
from pipekit.pixels import role_of

CHIP = {"bbox": scene_bbox(inset=1000), "source": "planetary-computer", "harmonize": False}
FOUR = ("B02", "B03", "B04", "B08")


@pytest.fixture
def scene(server: Loopback, tmp_path: Path) -> Loopback:
    feature = make_scene(tmp_path)
    server.add_item(feature, tmp_path / "sentinel-2-l2a" / feature["id"])
    return server


def expected(name_index: int) -> np.ndarray:
    """The chip's pixels by plain slicing."""
    import rasterio.windows
    from rasterio.transform import from_origin
    from rasterio.warp import transform_bounds

    bounds = transform_bounds("EPSG:4326", "EPSG:32610", *CHIP["bbox"], densify_pts=21)
    window = rasterio.windows.from_bounds(*bounds, from_origin(WEST, NORTH, 10, 10))
    top, left = int(np.floor(window.row_off)), int(np.floor(window.col_off))
    bottom = int(np.ceil(window.row_off + window.height))
    right = int(np.ceil(window.col_off + window.width))
    return band(10, name_index)[top:bottom, left:right]


def test_the_chip_is_the_files_pixels(scene):
    chip = load_s2_chip(**CHIP)
    for index in range(4):
        np.testing.assert_array_equal(chip.values[index], expected(index))


def test_only_the_bands_own_files_are_asked_for_and_no_folder_is_listed(scene):
    load_s2_chip(**CHIP)
    files = scene.requests("^/files/")
    assert {Path(record.path).name for record in files} == {f"{name}.tif" for name in FOUR}
    # One HEAD for the size; every GET asks for a part.
    assert [record.method for record in files].count("HEAD") == 4
    assert all(record.range for record in files if record.method == "GET")


def test_a_small_chip_reads_a_small_part(scene):
    whole = sum(path.stat().st_size for path in scene.files.values() if path.stem in FOUR)
    box = scene_bbox(inset=2300)
    load_s2_chip(**{**CHIP, "bbox": box})
    sent = sum(record.sent for record in scene.requests("^/files/"))
    # 52 x 52 pixels lie in 4 of 16 blocks; the headers are what remains.
    assert sent < whole / 2
    # For each band its size, its header, and one range for each of two rows of blocks.
    assert len(scene.requests("^/files/")) == 4 * 4


@pytest.mark.parametrize(("allowed", "busy"), [(16, 4), (2, 2), (1, 1)])
def test_headers_are_read_at_the_same_time_and_no_more_than_allowed(
    scene, monkeypatch, allowed, busy
):
    from geostack.read import Asset, asset_grid
    from geostack.sources.planetary_computer import PlanetaryComputerSource

    monkeypatch.setattr("geostack.read.MAX_CONNECTIONS", allowed)
    source = PlanetaryComputerSource()
    hrefs = [f"{scene.url}/files/{key}" for key in scene.files]
    source.sign(hrefs[0])
    scene.together, scene.latency = busy, 0.2  # time for more to come, if more may
    in_parallel(lambda href: asset_grid(Asset("scene", "B", href, source)), hrefs[:4])
    assert scene.most_active == busy


def test_a_chip_reads_all_its_bands_at_the_same_time(scene):
    scene.together = 4
    load_s2_chip(**CHIP)
    assert scene.most_active >= 4


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_file_server_is_asked_again(scene, status):
    scene.faults = [Fault("B04", status=status, times=2)]
    chip = load_s2_chip(**CHIP, bands=("B04",))
    np.testing.assert_array_equal(chip.values[0], expected(2))


def test_a_file_servers_retry_after_is_honoured_or_given_up(scene):
    import time

    # One answer to GDAL, one to the question what it was.
    scene.faults = [Fault("B04", status=503, times=2, headers={"Retry-After": "1"})]
    start = time.monotonic()
    load_s2_chip(**CHIP, bands=("B04",))
    assert time.monotonic() - start >= 1.0  # a promise to the server, not a speed
    scene.faults = [Fault("B08", status=429, times=9, headers={"Retry-After": "3600"})]
    with pytest.raises(PixelReadError, match="1 try, last answer: HTTP 429"):
        load_s2_chip(**CHIP, bands=("B08",))


@pytest.mark.parametrize("kind", ["reset", "wrong-length", "truncated"])
def test_a_broken_transfer_is_read_again(scene, kind):
    scene.faults = [Fault("B04", kind=kind, times=2)]
    chip = load_s2_chip(**CHIP, bands=("B04",))
    np.testing.assert_array_equal(chip.values[0], expected(2))


def test_a_slow_drip_is_waited_for(scene):
    scene.faults = [Fault("B04", kind="drip", times=1)]
    chip = load_s2_chip(**CHIP, bands=("B04",))
    np.testing.assert_array_equal(chip.values[0], expected(2))
    assert len(scene.requests("B04")) <= 3


def test_an_expired_token_is_renewed_once(scene):
    load_s2_chip(**CHIP, bands=("B08",))
    scene.expire_tokens()
    scene.records.clear()
    chip = load_s2_chip(**CHIP, bands=("B04",))
    np.testing.assert_array_equal(chip.values[0], expected(2))
    assert len(scene.requests("/sas/")) == 1


def test_a_token_that_stays_refused_is_given_up_after_one_renewal(scene):
    scene.faults = [Fault("B04", status=403, times=99)]
    with pytest.raises(
        PixelReadError, match=r"asset B04, http.*B04\.tif: 2 tries, last answer: HTTP 403"
    ):
        load_s2_chip(**CHIP, bands=("B04",))
    assert len(scene.requests("/sas/")) == 2


def test_a_missing_file_is_asked_for_once(scene):
    scene.files = {key: path for key, path in scene.files.items() if path.stem != "B04"}
    with pytest.raises(PixelReadError, match=r"B04\.tif: 1 try, last answer: HTTP 404"):
        load_s2_chip(**CHIP, bands=("B04",))
    # one by GDAL, one to learn the status
    assert len(scene.requests("B04")) == 2


def test_a_range_that_cannot_be_served_is_final(scene):
    scene.faults = [Fault("B04", status=416, times=99)]
    with pytest.raises(PixelReadError, match="1 try, last answer: HTTP 416"):
        load_s2_chip(**CHIP, bands=("B04",))


def test_giving_up_names_item_asset_url_tries_and_answer(scene):
    scene.faults = [Fault("B04", status=503, times=99)]
    with pytest.raises(PixelReadError) as caught:
        load_s2_chip(**CHIP, bands=("B04",))
    message = str(caught.value)
    for part in ("S2B_MSIL2A_20240614", "asset B04", f"{scene.url}/files/", "4 tries", "HTTP 503"):
        assert part in message
    assert "?" not in message


def test_a_damaged_file_on_the_server_is_an_error(scene, tmp_path):
    for key, path in scene.files.items():
        if path.stem == "B04":
            short = tmp_path / "B04.tif"
            short.write_bytes(path.read_bytes()[:3000])
            scene.files[key] = short
    with pytest.raises(
        PixelReadError, match=r"4 tries, last answer: HTTP 206, but the read failed"
    ):
        load_s2_chip(**CHIP, bands=("B04",))


def test_tokens_reach_no_log_repr_error_or_attribute(scene, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    chip = load_s2_chip(**CHIP, bands=("B04",))
    scene.faults = [Fault("B03", kind="reset", times=2)]
    load_s2_chip(**CHIP, bands=("B02", "B03"))
    scene.faults = [Fault("B08", status=503, times=99)]
    with pytest.raises(PixelReadError) as caught:
        load_s2_chip(**CHIP, bands=("B08",))
    said = "".join(traceback.format_exception(caught.value))
    printed = "".join(capfd.readouterr())
    assert len(scene.issued) == 1
    assert "ERROR" not in printed  # GDAL writes nothing past Python
    for text in (caplog.text, said, printed, repr(chip), repr(chip.attrs)):
        assert "SECRET" not in text
    assert "sig=***" in caplog.text  # the logs were there, and redacted


def test_an_unreadable_local_file_is_an_error(tmp_path, monkeypatch):
    feature = make_scene(tmp_path)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    path = tmp_path / "sentinel-2-l2a" / feature["id"] / "B04.tif"
    path.write_bytes(b"this is no TIFF")
    with pytest.raises(PixelReadError, match=r"asset B04, /.*B04\.tif: 1 try, last answer: "):
        load_s2_chip(bbox=CHIP["bbox"], bands=("B04",), source="archive")


def test_a_truncated_local_file_is_an_error(tmp_path, monkeypatch):
    feature = make_scene(tmp_path)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    path = tmp_path / "sentinel-2-l2a" / feature["id"] / "B04.tif"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(PixelReadError, match=r"asset B04"):
        load_s2_chip(bbox=CHIP["bbox"], bands=("B04",), source="archive")


def test_a_lazy_tile_over_http_reads_only_its_window(scene):
    from rasterio.windows import Window

    from geostack import load_s2_full_tile

    scene.together, scene.latency = 4, 0.2  # time for more to come, if more may
    reader = load_s2_full_tile(**CHIP, bands=FOUR)
    assert scene.requests("^/files/") == []
    part = reader.read_from_window(Window(130, 130, 60, 60)).load()
    assert scene.most_active == 4
    for index in range(4):
        np.testing.assert_array_equal(part.values[index], band(10, index)[130:190, 130:190])
    # Its size, its header, its one block.
    assert len(scene.requests("B04")) == 3


def test_a_lazy_tile_survives_an_expired_token(scene):
    from rasterio.windows import Window

    from geostack import load_s2_full_tile

    reader = load_s2_full_tile(**CHIP, bands=("B04",))
    reader.read_from_window(Window(0, 0, 60, 60)).load()
    scene.expire_tokens()
    part = reader.read_from_window(Window(300, 300, 60, 60)).load()
    np.testing.assert_array_equal(part.values[0], band(10, 2)[300:360, 300:360])
    assert len(scene.issued) == 2


def test_parallel_calls_nest():
    def inner(value):
        return sum(in_parallel(lambda other: value * other, range(5)))

    assert in_parallel(inner, range(40)) == [10 * value for value in range(40)]


def test_the_first_error_in_parallel_is_raised():
    def fail(value):
        raise OSError(f"no {value}")

    with pytest.raises(OSError, match="no 0"):
        in_parallel(fail, range(3))


def test_write_cog_has_overviews(tmp_path):
    import rasterio

    path = write_cog(tmp_path / "a.tif", band(10, 0), 10)
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1) == [2, 4]


def test_bands_of_classes_and_bits_keep_their_values_and_say_so():
    coded = {"SCL": "class", **dict.fromkeys(landsat.MASK_BANDS, "bits")}
    for name in (*sentinel2.BANDS, *landsat.BANDS, *naip.BANDS, dem.ASSET):
        asset = Asset("a", name, f"/{name}.tif", None)
        assert asset.method == ("nearest" if name in coded else "bilinear")
        assert role_of(name) == coded.get(name, "quantity")
