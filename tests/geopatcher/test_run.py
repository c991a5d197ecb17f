"""Whole-scene runs: the same bytes from every scheduler, and after any kill."""

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import rasterio
from georeader.rasterio_reader import RasterioReader
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from geopatcher import (
    Journal,
    PatchError,
    RasterField,
    SpatialHann,
    SpatialHardVote,
    SpatialMedian,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRandom,
    SpatialRectangular,
    SpatialRegularStride,
    SpatialSum,
    map_patches,
    merge_to_file,
    run,
)
from geopatcher.plan import even_shares, gaps
from geopatcher.run import BlockRecord
from pipekit import schedulers
from pipekit.fingerprint import fingerprint
from pipekit.parallel import in_order

# Worker processes cannot import a test module by name.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def digest(path: Path) -> str:
    """One hash of a file, or of all files of a folder with their names."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    whole = hashlib.sha256()
    for file in files:
        whole.update(str(file.relative_to(path)).encode() + file.read_bytes())
    return whole.hexdigest()


def same(made, expected):
    """Assert equal values; plain arrays, since a `GeoTensor` refuses numpy's own comparison."""
    np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


def plain(chip):
    """The chip's values, without its place."""
    return np.array(chip)


def total(chip):
    return chip.sum(axis=0)


@settings(max_examples=25)
@given(
    height=st.integers(10, 90),
    width=st.integers(10, 60),
    size=st.integers(1, 10),
    step=st.integers(1, 10),
    boundary=st.sampled_from(["drop", "shift", "pad", "shrink"]),
    block_rows=st.integers(1, 100),
    workers=st.integers(1, 3),
)
@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_blocks_and_workers_change_no_byte(
    scene_of, patcher_of, height, width, size, step, boundary, block_rows, workers
):
    scene = scene_of((2, height, width))
    patcher = patcher_of(size, step, boundary)
    expected = patcher.merge(patcher.stream(scene).map(total), scene)
    options = {"progress": False, "workers": workers, "block_rows": block_rows}
    made = map_patches(patcher, scene, total, **options)
    assert np.asarray(made).tobytes() == np.asarray(expected).tobytes()
    assert made.transform == scene.transform


@pytest.mark.parametrize("aggregation", [SpatialMedian(), SpatialHardVote(200)])
def test_other_aggregations_run_by_blocks_too(scene_of, patcher_of, aggregation):
    scene = scene_of((90, 60), "uint8")
    patcher = patcher_of(16, 7, aggregation=aggregation)
    expected = patcher.merge(patcher.stream(scene), scene)
    made = map_patches(patcher, scene, plain, block_rows=13, progress=False)
    assert made.dtype == expected.dtype
    same(made, expected)


@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
def test_chips_at_random_are_merged_in_one_order_by_all_blocks(scene_of):
    scene = scene_of((120, 60))
    patcher = SpatialPatcher(SpatialRectangular(16), SpatialRandom(400, seed=3))
    made = [
        np.asarray(map_patches(patcher, scene, plain, block_rows=rows, progress=False))
        for rows in (120, 17)
    ]
    assert made[0].tobytes() == made[1].tobytes()


@pytest.mark.filterwarnings("ignore::geopatcher.CoverageWarning")
@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_without_a_seed_all_workers_draw_the_same_anchors(scheduler, tmp_path, scene_of):
    scene = scene_of((120, 60))
    scene.values[:] = 1
    patcher = SpatialPatcher(SpatialRectangular(16), SpatialRandom(60), SpatialHann(), SpatialSum())
    run = {"scheduler": scheduler, "workers": 2, "block_rows": 17, "progress": False}
    made = np.asarray(map_patches(patcher, scene, plain, **run))
    assert np.nansum(made) == 60 * 16 * 16
    with pytest.raises(PatchError, match=r"same anchors then, got SpatialRandom.*give it a seed"):
        map_patches(patcher, scene, plain, journal=tmp_path / "run.jsonl", **run)


@pytest.fixture(scope="module")
def local_client():
    from distributed import Client

    with Client(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", set_as_default=False
    ) as client:
        yield client


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
@pytest.mark.parametrize("which", ["threads", "processes", "client"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_scheduler_writes_the_same_bytes(
    tmp_path, scene_of, patcher_of, local_client, name, which
):
    scene = scene_of((2, 300, 90))
    patcher = patcher_of(32, 24)
    factor = 3
    options = {"progress": False, "block_rows": 64, "chunks": 32}

    def scaled(chip):  # a closure: processes get it all the same
        return total(chip) * factor

    map_patches(patcher, scene, scaled, target=tmp_path / name, workers=1, **options)
    expected = digest(tmp_path / name)
    map_patches(
        patcher,
        scene,
        scaled,
        target=tmp_path / name,
        scheduler=local_client if which == "client" else which,
        workers=2,
        **options,
    )
    assert digest(tmp_path / name) == expected
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["o.tif", "o.zarr"])
def test_workers_that_began_in_another_folder_write_where_the_caller_is(
    tmp_path, monkeypatch, scene_of, patcher_of, local_client, name
):
    monkeypatch.chdir(tmp_path)
    run = {"target": name, "workers": 2, "block_rows": 16, "chunks": 16, "progress": False}
    scene = scene_of((2, 64, 48))
    made = map_patches(patcher_of(16, 12), scene, total, scheduler=local_client, **run)
    expected = map_patches(patcher_of(16, 12), scene, total, progress=False)
    values = made.read() if name == "o.tif" else made.values
    same(np.squeeze(values), expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_elsewhere_are_sent_a_scene_in_memory(
    scene_of, patcher_of, local_client, monkeypatch
):
    scene, patcher = scene_of((2, 300, 90)), patcher_of(32, 24)
    options = {"progress": False, "block_rows": 64}
    expected = map_patches(patcher, scene, total, **options)
    assert schedulers.on_this_machine(local_client)
    monkeypatch.setattr(schedulers, "on_this_machine", lambda client: False)
    same(map_patches(patcher, scene, total, scheduler=local_client, **options), expected)


def test_a_file_is_read_by_processes_as_by_threads(tmp_path, scene_of, patcher_of):
    from georeader.rasterio_reader import RasterioReader

    scene = scene_of((2, 200, 90))
    patcher = patcher_of(32, 24)
    map_patches(patcher, scene, plain, target=tmp_path / "in.tif", progress=False)
    field = RasterField(RasterioReader(str(tmp_path / "in.tif")))
    options = {"progress": False, "block_rows": 64, "workers": 2}
    threads = map_patches(patcher, field, total, **options)
    processes = map_patches(patcher, field, total, scheduler="processes", **options)
    assert np.asarray(threads).tobytes() == np.asarray(processes).tobytes()
    np.testing.assert_allclose(np.asarray(threads), scene.values.sum(axis=0), rtol=1e-5)


class Counting:
    """An operator that counts its calls, and fails after `limit` of them."""

    def __init__(self, limit: int = 10**9):
        self.calls = 0
        self.limit = limit

    def get_config(self):
        return {}

    def __call__(self, chip):
        self.calls += 1
        if self.calls > self.limit:
            raise RuntimeError("the power went out")
        return total(chip)


@pytest.mark.parametrize("name", [None, "out.tif", "out.zarr"])
def test_a_run_goes_on_where_it_stopped(tmp_path, scene_of, patcher_of, name):
    scene = scene_of((2, 3200, 64))  # 200 chips; a shard is 512 rows high
    patcher = patcher_of(32, 32)
    options = {
        "target": None if name is None else tmp_path / name,
        "journal": tmp_path / "run.jsonl",
        "workers": 1,
        "progress": False,
        "block_rows": 320,
        "chunks": 32,
    }
    whole = np.asarray(map_patches(patcher, scene, total, progress=False))
    with pytest.raises(RuntimeError, match="power"):
        map_patches(patcher, scene, Counting(limit=150), **options)
    again = Counting()
    made = map_patches(patcher, scene, again, **options)
    values = made.values if name != "out.tif" else made.read()[0]
    same(values, whole)
    assert again.calls < 200 - 120  # blocks with that many chips were there
    once_more = Counting()
    map_patches(patcher, scene, once_more, **options)
    assert once_more.calls <= 1  # it was whole
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"run.jsonl", name or "run.jsonl.rows"}


def test_rows_that_changed_on_disk_are_computed_again(tmp_path, scene_of, patcher_of):
    scene = scene_of((2, 96, 64))
    patcher = patcher_of(32, 32)
    options = {"journal": tmp_path / "run.jsonl", "progress": False, "block_rows": 32}
    first = np.asarray(map_patches(patcher, scene, total, **options))
    rows = tmp_path / "run.jsonl.rows"
    damaged = bytearray(rows.read_bytes())
    damaged[5000] ^= 255
    rows.write_bytes(damaged)
    same(map_patches(patcher, scene, total, **options), first)
    rows.unlink()
    same(map_patches(patcher, scene, total, **options), first)


def test_shards_that_were_damaged_are_computed_again(tmp_path, scene_of, patcher_of):
    scene, patcher = scene_of((2, 3000, 64)), patcher_of(32, 24)
    options = {"target": tmp_path / "o.zarr", "chunks": 32, "progress": False}
    map_patches(patcher, scene, total, **options)
    expected = digest(tmp_path / "o.zarr")
    options |= {"journal": tmp_path / "run.jsonl", "workers": 1}
    with pytest.raises(RuntimeError, match="power"):
        map_patches(patcher, scene, Counting(limit=330), **options)
    shards = sorted(tmp_path.glob(".o.zarr.*/data/c/*/*"))
    assert len(shards) == 5
    shards[0].write_bytes(bytes(100))
    shards[1].unlink()
    map_patches(patcher, scene, Counting(), **options)
    assert digest(tmp_path / "o.zarr") == expected


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_run_goes_on_in_other_blocks_with_other_workers(tmp_path, scene_of, patcher_of, name):
    scene, patcher = scene_of((2, 3200, 64)), patcher_of(32, 24)
    options = {"target": tmp_path / name, "chunks": 32, "progress": False}
    map_patches(patcher, scene, total, **options)
    expected = digest(tmp_path / name)
    options["journal"] = tmp_path / "run.jsonl"
    for limit, workers, rows in ((150, 1, 320), (60, 2, 200), (60, 3, None)):
        with pytest.raises(RuntimeError, match="power"):
            more = {"workers": workers, "block_rows": rows}
            map_patches(patcher, scene, Counting(limit), **options, **more)
    last = Counting()
    map_patches(patcher, scene, last, workers=2, block_rows=100, **options)
    assert digest(tmp_path / name) == expected
    assert last.calls < patcher.n_anchors(scene)


@pytest.mark.parametrize("target", [None, "out.tif", "out.zarr"])
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_no_worker_has_much_more_to_do_than_another(
    tmp_path, scene_of, patcher_of, monkeypatch, target, workers
):
    seen = []

    def noting(submit, blocks, in_flight):
        seen.extend(blocks)
        return in_order(submit, blocks, in_flight)

    monkeypatch.setattr(run, "in_order", noting)
    height = 10980
    map_patches(
        patcher_of((256, 8), (192, 8)), scene_of((1, height, 8)), lambda chip: chip,
        target=target and tmp_path / target, workers=workers, progress=False,
    )  # fmt: skip
    busy = [0] * workers
    for start, stop in seen:  # each block goes to who is done first
        busy[busy.index(min(busy))] += stop - start
    assert sum(busy) == height
    assert max(busy) <= height / workers + 512
    assert workers == 1 or max(stop - start for start, stop in seen) <= 3072


@given(height=st.integers(1, 500), most=st.integers(1, 20), align=st.integers(1, 40))
def test_blocks_cover_every_row_once(height, most, align):
    blocks = even_shares(height, most * align, align)
    assert [row for start, stop in blocks for row in range(start, stop)] == list(range(height))
    assert all(start % align == 0 and 0 < stop - start <= most * align for start, stop in blocks)
    sizes = [stop - start for start, stop in blocks[:-1]]
    assert not sizes or max(sizes) - min(sizes) <= align


@given(cuts=st.sets(st.integers(0, 60), min_size=2), taken=st.integers(0, 3))
def test_gaps_are_what_blocks_leave(cuts, taken):
    edges = sorted(cuts)
    blocks = [pair for i, pair in enumerate(itertools.pairwise(edges)) if (i + taken) % 2]
    left = [row for start, stop in gaps(blocks, 60) for row in range(start, stop)]
    held = [row for start, stop in blocks for row in range(start, stop)]
    assert sorted(left + held) == list(range(60))


def test_a_target_that_was_removed_is_made_again(tmp_path, scene_of, patcher_of):
    scene = scene_of((2, 96, 64))
    options = {"target": tmp_path / "o.tif", "journal": tmp_path / "j", "progress": False}
    map_patches(patcher_of(32, 32), scene, total, **options)
    expected = digest(tmp_path / "o.tif")
    (tmp_path / "o.tif").unlink()
    map_patches(patcher_of(32, 32), scene, total, **options)
    assert digest(tmp_path / "o.tif") == expected


def test_a_journal_of_another_run_is_refused(tmp_path, scene_of, patcher_of):
    options = {"journal": tmp_path / "run.jsonl", "progress": False}
    map_patches(patcher_of(32, 32), scene_of((2, 96, 64)), total, **options)
    with pytest.raises(PatchError, match=r"patcher was .*step: \(32, 32\).* is now .*\(24, 24\)"):
        map_patches(patcher_of(32, 24), scene_of((2, 96, 64)), total, **options)
    with pytest.raises(PatchError, match=r"operator was .*total.* is now .*plain"):
        map_patches(patcher_of(32, 32), scene_of((2, 96, 64)), plain, **options)
    with pytest.raises(PatchError, match="another run: field was"):
        map_patches(patcher_of(32, 32), scene_of((2, 96, 64), seed=1), total, **options)


SCRIPT = """
    import sys, time
    import numpy as np
    from georeader.geotensor import GeoTensor
    from rasterio import Affine
    from geopatcher import *

    def slow(chip):
        time.sleep(0.002)
        return chip.sum(axis=0)

    if __name__ == "__main__":
        target, journal, scheduler = sys.argv[1:]
        scene = GeoTensor(
            np.random.default_rng(0).random((2, 2100, 64), "float32"),
            Affine(10, 0, 0, 0, -10, 0), 32610,
        )
        patcher = SpatialPatcher(
            SpatialRectangular(32, boundary="shift"), SpatialRegularStride(24), SpatialHann()
        )
        print("begun", flush=True)
        map_patches(
            patcher, scene, slow, target=target, journal=journal, scheduler=scheduler,
            workers=2, progress=False, chunks=32, block_rows=96,
        )
"""


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_a_run_killed_before_it_noted_its_end_is_made_again(tmp_path, scene_of, patcher_of, name):
    target, journal = tmp_path / name, tmp_path / "j"
    run = (patcher_of(16, 12), scene_of((2, 70, 50)), total)
    options = {"target": target, "journal": journal, "progress": False, "block_rows": 32}
    map_patches(*run, **options)
    expected = digest(target)
    journal.write_bytes(journal.read_bytes().replace(b'{"finished": true}\n', b""))
    map_patches(*run, **options)
    assert digest(target) == expected
    assert {path.name for path in tmp_path.iterdir()} == {name, "j"}


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize(("name", "scheduler"), [("out.tif", "threads"), ("out.zarr", "processes")])
def test_a_run_killed_at_random_points_resumes_to_the_same_bytes(tmp_path, name, scheduler):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    whole, target, journal = tmp_path / f"whole-{name}", tmp_path / name, tmp_path / "journal"

    def command(path, note):
        return [sys.executable, script, path, note, scheduler]

    subprocess.run(command(whole, tmp_path / "other"), check=True, capture_output=True)
    chance = random.Random(5)
    for _ in range(2):
        run = subprocess.Popen(command(target, journal), stdout=subprocess.PIPE)
        run.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.5) + (0.8 if scheduler == "processes" else 0))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        if journal.exists() and b"finished" in journal.read_bytes():
            break
    subprocess.run(command(target, journal), check=True, capture_output=True)
    assert digest(target) == digest(whole)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("policy", ["skip", "fill"])
def test_chips_that_fail_follow_on_error_and_are_listed_once(scene_of, patcher_of, policy):
    scene = scene_of((96, 64))

    def failing(chip):
        if chip.transform.f == 4_100_000 - 240:
            raise ValueError("no water")
        return chip

    patcher = patcher_of(32, 24, on_error=policy)
    made = map_patches(patcher, scene, failing, block_rows=30, progress=False)
    columns = [0, 24, 32]
    assert made.attrs["skipped_patches"] == {f"(24, {c})": "ValueError: no water" for c in columns}
    missing = np.isnan(np.asarray(made)).any(axis=1)
    expected = np.zeros(96, bool)
    # rows 24 to 31 have another chip above, 48 to 55 one below; filled, their NaN is in the sum
    expected[slice(32, 48) if policy == "skip" else slice(24, 56)] = True
    same(missing, expected)
    with pytest.raises(ValueError, match="no water") as raised:
        map_patches(patcher_of(32, 24), scene, failing, progress=False)
    assert "at anchor (24, 0)" in raised.value.__notes__[0]


class Flaky:
    """A georeader-like reader that fails a number of times at each place, or at one only."""

    def __init__(self, scene, failures, at=None):
        self.scene, self.failures, self.at, self.seen = scene, failures, at, {}
        self.shape, self.transform, self.crs = scene.shape, scene.transform, scene.crs

    def read_from_window(self, window, boundless=False):
        place = (window.row_off, window.col_off)
        self.seen[place] = self.seen.get(place, 0) + 1
        if self.at in (None, place) and self.seen[place] <= self.failures:
            raise OSError(f"connection reset at {place}")
        return self.scene.read_from_window(window, boundless=False)


def test_a_run_whose_reads_failed_goes_on_with_more_attempts(tmp_path, scene_of, patcher_of):
    class Flaky(RasterField):
        def select(self, indices):
            if self.scaled and indices.row_off > 40:
                raise OSError("busy")
            return super().select(indices)

        def __reduce__(self):
            return Flaky, (self.reader,)

    field, patcher = Flaky(scene_of((2, 90, 60))), patcher_of(16, 12)
    options = {"journal": tmp_path / "run.jsonl", "block_rows": 10, "progress": False}
    with pytest.raises(OSError, match="busy"):
        map_patches(patcher, field, total, read_attempts=1, workers=1, **options)
    done = len((tmp_path / "run.jsonl").read_text().splitlines())
    field.scaled = False
    map_patches(patcher, field, total, read_attempts=3, **options)
    assert done > 2


def test_a_read_that_fails_is_tried_again_then_follows_on_error(scene_of, patcher_of):
    scene = scene_of((64, 64))
    options = {"progress": False, "workers": 1}
    made = map_patches(patcher_of(32, 32), Flaky(scene, 2), plain, **options)
    same(made, scene.values)
    with pytest.raises(OSError, match="connection reset"):
        map_patches(patcher_of(32, 32), Flaky(scene, 9), plain, read_attempts=2, **options)
    made = map_patches(
        patcher_of(32, 32, on_error="skip"), Flaky(scene, 9, at=(32, 0)), plain, **options
    )
    reason = "OSError: connection reset at (32, 0)"
    assert made.attrs["skipped_patches"] == {"(32, 0)": reason}
    assert np.isnan(np.asarray(made)[32:, :32]).all()


def test_bad_arguments_say_what_is_accepted(tmp_path, scene_of, patcher_of):
    scene = scene_of((64, 64))
    run = (patcher_of(32, 32), scene, plain)
    with pytest.raises(PatchError, match=r"one of threads, processes, dask or a .*got 'ray'"):
        map_patches(*run, scheduler="ray")
    with pytest.raises(PatchError, match="workers must be a whole number of at least 1, got 0"):
        map_patches(*run, workers=0)
    with pytest.raises(PatchError, match="block_rows must be"):
        map_patches(*run, block_rows=1.5)
    with pytest.raises(PatchError, match=r"ends in .tif, .tiff, .zarr"):
        map_patches(*run, target=tmp_path / "o.nc")


def test_the_aggregations_own_target_is_used(tmp_path, scene_of, patcher_of):
    scene = scene_of((64, 64))
    own = SpatialOverlapAdd(streaming=True, target_path=tmp_path / "own.tif")
    reader = map_patches(patcher_of(32, 32, aggregation=own), scene, plain, progress=False)
    same(reader.read()[0], scene.values)


def test_fingerprints_tell_functions_by_what_they_do():
    def make(n):
        return lambda chip: chip + n

    assert fingerprint(make(1)) == fingerprint(make(1))
    assert fingerprint(make(1)) != fingerprint(make(2))
    assert fingerprint(np.zeros(2)) != fingerprint(np.zeros((1, 2)))


def test_a_reader_is_told_by_its_file_and_its_time(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"1234")
    before = fingerprint(path)
    os.utime(path, ns=(0, 0))
    assert fingerprint(path) != before


RUN = {"patcher": "P(step=192)", "operator": "NDVI"}
BLOCK = BlockRecord((0, 512), crc32=7, covered=10, skipped={"(0, 0)": "ValueError: bad"})


def test_finished_blocks_are_found_again(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
        assert not journal.finished
    with Journal(path, RUN) as journal:
        assert journal.done == {(0, 512): BLOCK}
        journal.finish()
    with Journal(path, RUN) as journal:
        assert journal.finished


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_a_kill_tore_is_forgotten(tmp_path, cut):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
        journal.add(BlockRecord((512, 1024), crc32=8, covered=11))
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, RUN) as journal:
        assert journal.done == {(0, 512): BLOCK}
        journal.add(BlockRecord((512, 1024), crc32=9, covered=11))
    with Journal(path, RUN) as journal:
        assert journal.done[512, 1024].crc32 == 9


@pytest.mark.parametrize("length", [0, 1, 20])
def test_a_torn_head_begins_the_journal_again(tmp_path, length):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN):
        whole = path.read_bytes()
    path.write_bytes(whole[:length])
    with Journal(path, RUN) as journal:
        assert journal.done == {}
    assert path.read_bytes() == whole


def test_the_journal_of_another_run_is_refused_saying_what_differs(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
    before = path.read_bytes()
    with pytest.raises(PatchError, match="another run: operator was NDVI, is now NDWI; give"):
        Journal(path, RUN | {"operator": "NDWI"})
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["not a journal\n", "[1, 2]\n", '{"a": 1}\n'])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(PatchError, match="is no journal of a run"):
        Journal(path, RUN)
    assert path.read_text() == text


def test_two_runs_do_not_write_one_journal(tmp_path):
    pytest.importorskip("fcntl", reason="needs locks on files")
    with (
        Journal(tmp_path / "run.jsonl", RUN),
        pytest.raises(PatchError, match="in use by another run"),
    ):
        Journal(tmp_path / "run.jsonl", RUN)
    with Journal(tmp_path / "run.jsonl", RUN):
        pass  # free again


def test_a_journal_in_no_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="journal's folder does not exist"):
        Journal(tmp_path / "no" / "run.jsonl", RUN)


def test_each_line_is_json(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, RUN) as journal:
        journal.add(BLOCK)
        journal.finish()
    head, block, end = map(json.loads, path.read_text().splitlines())
    assert head["run"] == RUN
    assert block["rows"] == [0, 512]
    assert end == {"finished": True, "made": ""}


@pytest.mark.parametrize("form", ["GTIFF_DIR:1:{p}", "vrt://{p}?bands=1", "{p}"])
def test_a_link_that_is_read_is_not_written_over(tmp_path, form):
    """Nor is what it leads to, by a name that is broken for all but GDAL."""
    file, link = tmp_path / "a.tif", tmp_path / "in.tif"
    place = Affine(10, 0, 0, 0, -10, 80)
    profile = {"driver": "GTiff", "count": 1, "height": 8, "width": 8, "dtype": "float32"}
    with rasterio.open(file, "w", **profile, crs="EPSG:32632", transform=place) as made:
        made.write(np.ones((1, 8, 8), "float32"))
    link.symlink_to(form.format(p=file))
    before = file.read_bytes()
    patcher = SpatialPatcher(SpatialRectangular(4), SpatialRegularStride(4))
    field = RasterField(RasterioReader(str(link)))
    for target in (file, link):
        with pytest.raises(PatchError, match="over its own input"):
            map_patches(patcher, field, np.sqrt, target=target, progress=False)
        with pytest.raises(PatchError, match="over its own input"):
            merge_to_file(patcher.stream(field), field, SpatialOverlapAdd(), target)
    assert (file.read_bytes(), link.is_symlink()) == (before, True)
