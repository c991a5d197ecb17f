"""Files of simulated scenes: drawn when asked for, whole or not at all, once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import simulated_areas
from rio_cogeo import cog_validate
from simulated_areas import ensure_area
from waiting import until

from geostack.sources.simulation import AREAS, simulated_scenes
from geostack.sources.simulation.files import ensure, find, write_cog
from geostack.sources.simulation.grid import Grid

AREA = "lake-tahoe-dem"
SCENES = [scene for scene in simulated_scenes().values() if scene.area == AREA]
# Each process tells where the files are, and how many it drew. One that is to be killed comes to a
# stand when it has written a file's pixels, so that it can't be too late.
SCRIPT = """
import sys, time
from pathlib import Path
from geostack.sources.simulation import files
from simulated_areas import ensure_area

drawn = []
draw = files._draw
files._draw = lambda *arguments: (drawn.append(arguments), draw(*arguments))
if sys.argv[3:]:
    write = files.write_cog
    files.write_cog = lambda *given, **named: (write(*given, **named), time.sleep(600))
print(ensure_area(sys.argv[1], Path(sys.argv[2])), len(drawn))
"""


def start(cache, *more):
    command = [sys.executable, "-c", SCRIPT, AREA, str(cache), *more]
    environment = {**os.environ, "PYTHONPATH": str(Path(simulated_areas.__file__).parent)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def place(cache, scene=SCENES[0]):
    (asset,) = scene.item["assets"].values()
    return cache / scene.folder / asset["href"].removeprefix("./")


def whole(cache):
    return sorted(path.name for path in cache.rglob("*.tif") if not path.name.startswith("."))


def test_a_killed_process_leaves_nothing_for_whole_and_the_next_one_succeeds(tmp_path):
    process = start(tmp_path, "killed")
    until(lambda: list(tmp_path.rglob(".*.tif")), "it has begun to write pixels", 600)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(whole(tmp_path)) < 4
    root = ensure_area(AREA, tmp_path)
    assert len(whole(root)) == 4
    assert not list(root.rglob(".*.tif"))


def test_processes_at_once_draw_each_file_once(tmp_path):
    processes = [start(tmp_path) for _ in range(3)]
    answers = [process.communicate(timeout=600)[0].split() for process in processes]
    assert {answer[0] for answer in answers} == {str(tmp_path / AREAS[AREA].folder)}
    assert sum(int(answer[1]) for answer in answers) == 4
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_only_what_is_asked_for_is_drawn_with_its_item(tmp_path):
    path = ensure(place(tmp_path), tmp_path)
    assert whole(tmp_path) == [path.name]
    item = json.loads((path.parent / f"{SCENES[0].id}.json").read_text())
    assert item == SCENES[0].item


def test_a_file_that_is_there_is_not_drawn_again_and_needs_no_writing(tmp_path):
    path = place(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text("as good as any")
    before = sorted(tmp_path.rglob("*"))
    assert ensure(path, tmp_path) == path
    assert path.read_text() == "as good as any"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failing_draw_cleans_up_and_says_why(tmp_path, monkeypatch):
    from geostack.sources.simulation import files

    def fail(path, *args, **options):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_cog", fail)
    with pytest.raises(OSError, match="No space left"):
        ensure(place(tmp_path), tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [
        f".{SCENES[0].id}.lock"
    ]


def test_only_files_of_simulated_scenes_are_found(tmp_path):
    path = place(tmp_path)
    found = find(path)
    assert found is not None
    assert found[0] is SCENES[0]
    assert find(path.with_name("other.tif")) is None
    assert find(Path("/data/archive/cop-dem-glo-30") / SCENES[0].id / path.name) is None
    with pytest.raises(ValueError, match="no simulated scene has a file"):
        ensure(path.with_name("other.tif"), tmp_path)


def test_one_line_is_said_where_standard_error_is_no_terminal(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    ensure(place(tmp_path), tmp_path)
    printed, said = capfd.readouterr()
    assert printed == ""
    assert said.count("\n") == 1
    root = tmp_path / AREAS[AREA].folder
    assert f"simulating {AREA}, not real scenes, into {root}: some" in said


def test_nothing_is_said_where_bars_are_hidden(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    ensure(place(tmp_path), tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_is_told_what_is_made_and_where(tmp_path):
    import fcntl
    import pty
    import struct
    import termios

    code = (
        "import sys; from pathlib import Path; from geostack.sources.simulation.files import "
        "ensure; ensure(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-c", code, str(place(tmp_path)), str(tmp_path)]
    subprocess.run(command, stderr=theirs, check=True)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    root = tmp_path / AREAS[AREA].folder
    assert f"simulating {AREA}, not real scenes, into {root}" in said
    assert "1/1" in said


def test_knowing_the_scenes_costs_no_heavy_module():
    code = (
        "import sys; from geostack.sources.simulation import simulated_scenes; simulated_scenes(); "
        "print([m for m in ('scipy', 'rasterio', 'pyproj', 'tqdm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_area_has_scenes_in_its_times_collections_and_tiles():
    for name, area in AREAS.items():
        west, south, east, north = area.bbox
        assert -180 <= west < east <= 180
        assert -90 <= south < north <= 90
        ranges = [dates.split("/") for dates in area.date_ranges]
        own = [scene for scene in simulated_scenes().values() if scene.area == name]
        assert own
        for scene in own:
            day = scene.item["properties"]["datetime"][:10]
            assert any(start <= day <= end for start, end in ranges)
            assert scene.item["collection"] in area.collections
            assert not area.tiles or scene.item["properties"]["s2:mgrs_tile"] in area.tiles
            assert scene.item["properties"]["geostack:simulated"] is True
            assert scene.id.endswith("_SIM")


TILE = Grid(32610, 699960.0, 4400040.0, 10.0, 3000, 3000)


@pytest.mark.parametrize(
    ("rows", "cols"),
    [(slice(512, 1024), slice(1024, 2048)), (slice(1301, 1702), slice(33, 1100))],
)
def test_a_window_of_a_tile_is_a_valid_sparse_cog(tmp_path, rows, cols):
    window = TILE.window(rows, cols)
    values = np.random.default_rng(1).integers(1, 4000, window.shape).astype(np.uint16)
    path = tmp_path / "band.tif"
    write_cog(path, values, window, TILE)
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as file:
        assert (file.width, file.height) == (3000, 3000)
        assert file.bounds == TILE.bounds
        assert file.crs.to_epsg() == 32610
        assert file.nodata == 0
        whole = file.read(1)
    np.testing.assert_array_equal(whole[rows, cols], values)
    whole[rows, cols] = 0
    assert not whole.any()
    # Noise does not compress: were empty blocks written, the file would be far larger.
    assert path.stat().st_size < values.nbytes * 1.5


def test_overviews_are_means_or_nearest(tmp_path):
    window = TILE.window(slice(512, 1024), slice(512, 1024))
    values = np.random.default_rng(1).integers(1, 12, window.shape).astype(np.uint8)
    for categorical in (False, True):
        path = tmp_path / f"{categorical}.tif"
        write_cog(path, values, window, TILE, categorical=categorical)
        with rasterio.open(path, OVERVIEW_LEVEL=0) as file:
            half = file.read(1)[256:512, 256:512]
        means = values.reshape(256, 2, 256, 2).mean(axis=(1, 3))
        expected = values[::2, ::2] if categorical else np.floor(means + 0.5)
        np.testing.assert_array_equal(half, expected)


def test_several_bands_and_floats(tmp_path):
    grid = Grid(4326, -120.0, 39.0, 1 / 3600, 700, 600)
    values = np.random.default_rng(2).normal(2000, 300, (2, 700, 600)).astype(np.float32)
    write_cog(tmp_path / "dem.tif", values, grid, nodata=-32767.0)
    assert cog_validate(tmp_path / "dem.tif", strict=True)[0]
    with rasterio.open(tmp_path / "dem.tif") as file:
        np.testing.assert_array_equal(file.read(), values)
        assert file.nodata == -32767


def test_a_small_raster_needs_no_overviews(tmp_path):
    grid = Grid(32610, 0.0, 1000.0, 10.0, 100, 100)
    write_cog(tmp_path / "small.tif", np.ones((100, 100), np.uint8), grid)
    with rasterio.open(tmp_path / "small.tif") as file:
        assert file.overviews(1) == []
        assert (file.read(1) == 1).all()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_pixels_are_the_same_bytes_whatever_the_threads(tmp_path, threads):
    window = TILE.window(slice(512, 1536), slice(512, 2048))
    values = np.random.default_rng(3).integers(1, 4000, window.shape).astype(np.uint16)
    for name, workers in (("a.tif", 1), ("b.tif", threads)):
        write_cog(tmp_path / name, values, window, TILE, threads=workers)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
