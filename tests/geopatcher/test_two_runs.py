"""Runs that meet at one target, and targets that are no longer what a journal says."""

import itertools
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import zarr
from affine import Affine
from georeader.geotensor import GeoTensor

from geopatcher import (
    PatchError,
    SpatialHann,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    map_patches,
)
from geopatcher.files.target import open_lazily
from geopatcher.files.zarr_overviews import add_overviews
from pipekit.files import SAMPLES, beside, sample_of, sync

PATCHER = SpatialPatcher(
    SpatialRectangular(50, boundary="shift"), SpatialRegularStride(40), SpatialHann()
)
SCENE = GeoTensor(np.ones((1, 400, 150), "float32"), Affine(10, 0, 7e5, 0, -10, 4.4e6), 32610)


def values_of(path):
    made = open_lazily(path)
    return np.asarray(made.load().values if hasattr(made, "load") else made).squeeze()


def scaled(factor, began=None, go_on=None):
    calls = itertools.count()

    def operator(chip):
        # The first call only tells what results are like.
        if began is not None and next(calls) > 0:
            began.set()
            assert go_on.wait(120)
        return np.asarray(chip, "float32")[0] * factor

    return operator


def run(folder, name, factor, **more):
    return map_patches(
        PATCHER,
        SCENE,
        scaled(factor, **more),
        target=folder / name,
        journal=folder / f"{factor}.jsonl",
        block_rows=100,
        workers=1,
        progress=False,
    )


@contextmanager
def first_run_under_way(folder, name):
    """A run of factor 1 with its own journal, which holds the target in this block."""
    began, go_on, failed = threading.Event(), threading.Event(), []

    def first():
        try:
            run(folder, name, 1, began=began, go_on=go_on)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert began.wait(120)
        yield
    finally:
        go_on.set()
        thread.join(120)
    assert not failed


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_second_run_on_a_target_is_refused_and_told_who_has_it(tmp_path, name):
    with first_run_under_way(tmp_path, name):
        held = rf"process {os.getpid()} on .* with the journal .*1\.jsonl; let it end, or choose"
        with pytest.raises(PatchError, match=held):
            run(tmp_path, name, 2)
    np.testing.assert_allclose(values_of(tmp_path / name), 1, rtol=1e-6)
    run(tmp_path, name, 2)
    np.testing.assert_allclose(values_of(tmp_path / name), 2, rtol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.jsonl", "2.jsonl", name]


JOB = """
import itertools, sys, time
import numpy as np
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_two_runs import run

import test_two_runs
sys.calls = itertools.count()  # where a fingerprint of the operator does not look
# One that is to be killed never comes to its end, however late the kill is.
test_two_runs.scaled = lambda factor: lambda chip: (
    time.sleep(600 if next(sys.calls) > 32 and sys.argv[4:] else 0.02),
    np.asarray(chip, "float32")[0] * factor,
)[1]
run(Path(sys.argv[2]), sys.argv[3], 7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX systems do")
@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
@pytest.mark.parametrize("other", [False, True])
def test_what_a_killed_run_has_claimed_is_free_at_once(tmp_path, name, other):
    here = os.path.dirname(__file__)
    job = [sys.executable, "-W", "ignore", "-c", JOB, here, str(tmp_path), name]
    with subprocess.Popen([*job, "killed"]) as process:
        journal = tmp_path / "7.jsonl"
        deadline = time.monotonic() + 300
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert not (tmp_path / name).exists()
    assert (tmp_path / f".{name}.claim").exists()
    if other:
        run(tmp_path, name, 2)
    else:
        subprocess.run(job, check=True, timeout=600)
    np.testing.assert_allclose(values_of(tmp_path / name), 2 if other else 7, rtol=1e-6)
    assert not (tmp_path / f".{name}.claim").exists()


@pytest.mark.parametrize("hurt", ["cut", "emptied", "zeros", "replaced", "removed"])
def test_a_finished_target_that_is_not_whole_is_made_again(tmp_path, hurt):
    target = tmp_path / "out.tif"
    run(tmp_path, "out.tif", 3)
    whole = target.read_bytes()
    if hurt == "cut":
        os.truncate(target, len(whole) // 2)
    elif hurt == "emptied":
        os.truncate(target, 0)
    elif hurt == "zeros":
        target.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    elif hurt == "replaced":
        target.write_bytes(b"another file")
    else:
        target.unlink()
    run(tmp_path, "out.tif", 3)
    np.testing.assert_allclose(values_of(target), 3, rtol=1e-6)


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_target_that_another_run_has_written_over_is_made_again(tmp_path, name):
    run(tmp_path, name, 3)
    run(tmp_path, name, 7)
    np.testing.assert_allclose(values_of(tmp_path / name), 7, rtol=1e-6)
    run(tmp_path, name, 3)
    np.testing.assert_allclose(values_of(tmp_path / name), 3, rtol=1e-6)


@pytest.mark.parametrize("hurt", ["cut", "removed"])
def test_a_finished_store_without_a_shard_is_made_again(tmp_path, hurt):
    run(tmp_path, "out.zarr", 3)
    shard = next(path for path in (tmp_path / "out.zarr/data/c").rglob("*") if path.is_file())
    if hurt == "cut":
        os.truncate(shard, shard.stat().st_size // 2)
    else:
        shard.unlink()
    run(tmp_path, "out.zarr", 3)
    np.testing.assert_allclose(values_of(tmp_path / "out.zarr"), 3, rtol=1e-6)


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_whole_target_is_not_made_again(tmp_path, name):
    run(tmp_path, name, 3)
    if name == "out.zarr":
        add_overviews(tmp_path / name)
        zarr.open_group(tmp_path / name)["data"].attrs["said"] = "of the pixels, not to them"
    files = [path for path in (tmp_path / name, *(tmp_path / name).rglob("*")) if path.is_file()]
    before = {file: file.stat().st_mtime_ns for file in files}
    run(tmp_path, name, 3)
    assert {file: file.stat().st_mtime_ns for file in files} == before


@pytest.mark.parametrize("size", [0, 1, 2**16, SAMPLES * 2**16, SAMPLES * 2**16 + 1, 3 * 2**20])
def test_a_sample_sees_what_is_cut_or_zeroed(tmp_path, size):
    file = tmp_path / "a.bin"
    content = np.random.default_rng(size).integers(1, 256, size, dtype=np.uint8).tobytes()
    file.write_bytes(content)
    sample = sample_of(file)
    assert sample == sample_of(file)
    if size:
        for cut in (0, size // 2, size - 1):
            file.write_bytes(content[:cut])
            assert sample_of(file) != sample
            file.write_bytes(content[:cut].ljust(size, b"\0"))
            assert sample_of(file) != sample
    assert sample_of(tmp_path) == ""
    with pytest.raises(FileNotFoundError):
        sample_of(tmp_path / "b.bin")


@pytest.mark.skipif(sys.platform != "linux", reason="system calls are looked at on Linux")
def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path):
    code = (
        "import os, sys\n"
        "calls = []\n"
        "real_sync, real_replace = os.fsync, os.replace\n"
        "os.fsync = lambda handle: (calls.append(os.readlink(f'/proc/self/fd/{handle}')), "
        "real_sync(handle))[1]\n"
        "os.replace = lambda a, b: (calls.append('named ' + str(a)), real_replace(a, b))[1]\n"
        "from pathlib import Path\n"
        "from pipekit.files import beside\n"
        "with beside(Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_text('whole')\n"
        "assert calls == [str(unfinished), 'named ' + str(unfinished)], calls\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path.resolve() / "a.txt"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with beside(tmp_path / "b.txt") as unfinished:
        unfinished.write_text("x")
        sync(unfinished)
