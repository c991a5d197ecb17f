import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module

import pytest

from geostack.sources.simulation import AREAS, ensure
from geostack.sources.simulation.cache import _BUILDERS, MARK

AREA = "lake-tahoe-dem"
# Each process tells where the area is, and whether it was the one that built it.
SCRIPT = """
import sys
from pathlib import Path
from geostack.sources.simulation import cache

built = []
build = cache._build
cache._build = lambda *arguments: (built.append(arguments), build(*arguments))
print(cache.ensure(sys.argv[1], Path(sys.argv[2]), progress=False), len(built))
"""


def start(cache, area=AREA):
    command = [sys.executable, "-c", SCRIPT, area, str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def names(cache):
    return sorted(path.name for path in cache.iterdir())


def test_a_killed_build_leaves_nothing_for_whole_and_the_next_one_succeeds(tmp_path):
    root = tmp_path / AREAS[AREA].folder
    process = start(tmp_path)
    deadline = time.monotonic() + 60
    # Killed when it has begun to write pixels: neither before nor after.
    while not list(tmp_path.glob(f".{root.name}.part-*/*/*/*.tif")):
        assert process.poll() is None, "the build ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not root.exists()
    assert any(name.startswith(f".{root.name}.part-") for name in names(tmp_path))
    assert ensure(AREA, tmp_path, progress=False) == root
    assert names(tmp_path) == [f".{root.name}.lock", root.name]
    mark = json.loads((root / MARK).read_text())
    assert mark["process"] == os.getpid()
    assert len(list(root.glob("cop-dem-glo-30/*/*.tif"))) == 4


def test_processes_at_once_build_once(tmp_path):
    processes = [start(tmp_path) for _ in range(3)]
    answers = [process.communicate(timeout=120)[0].strip() for process in processes]
    root = tmp_path / AREAS[AREA].folder
    assert sorted(answers) == [f"{root} 0", f"{root} 0", f"{root} 1"]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert json.loads((root / MARK).read_text())["process"] in [p.pid for p in processes]


def test_a_built_area_is_not_built_again_and_needs_no_writing(tmp_path):
    root = tmp_path / AREAS[AREA].folder
    root.mkdir()
    (root / MARK).write_text("{}")
    assert ensure(AREA, tmp_path) == root
    assert names(tmp_path) == [root.name]


def test_a_failing_build_cleans_up_and_says_why(tmp_path, monkeypatch):
    from geostack.sources.simulation import dem

    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dem, "write_cog", fail)
    with pytest.raises(OSError, match="No space left"):
        ensure(AREA, tmp_path, progress=False)
    assert names(tmp_path) == [f".{AREAS[AREA].folder}.lock"]


def test_an_unknown_area_lists_those_there_are(tmp_path):
    with pytest.raises(ValueError, match="'lake-taho'; there are: lake-tahoe, caldor"):
        ensure("lake-taho", tmp_path)
    assert names(tmp_path) == []


def test_importing_the_areas_costs_no_heavy_module():
    code = (
        "import sys, geostack.sources.simulation.areas; "
        "print([m for m in ('scipy', 'rasterio', 'pyproj', 'tqdm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_area_has_a_builder_and_says_when_it_has_scenes():
    assert set(_BUILDERS) == set(AREAS)
    for name, area in AREAS.items():
        assert callable(import_module(f"geostack.sources.simulation.{_BUILDERS[name]}").build)
        west, south, east, north = area.bbox
        assert -180 <= west < east <= 180
        assert -90 <= south < north <= 90
        assert area.collections
        assert all(dates.count("/") == 1 for dates in area.date_ranges)
