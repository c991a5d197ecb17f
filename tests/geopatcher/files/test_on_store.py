"""COGs and Zarr stores on an object store: the same as on this machine, whole or not to be seen."""

import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from georeader.geotensor import GeoTensor
from object_store import Fault
from object_store import __file__ as object_store_file
from rasterio import Affine

from geopatcher import (
    PatchError,
    SpatialHann,
    SpatialOverlapAdd,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
    add_overviews,
    map_patches,
    merge_to_file,
)
from geopatcher.files import on_store as module
from pipekit.places import PlaceError

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
PATCHER = SpatialPatcher(
    SpatialRectangular(64, boundary="shift"), SpatialRegularStride(48), SpatialHann()
)


def scene(rows=2200, cols=150, dtype="float32"):
    values = np.random.default_rng(rows).integers(1, 1000, (2, rows, cols)).astype(dtype)
    values[:, 100:130, 40:90] = 0
    return GeoTensor(values, PLACE, "EPSG:32632", 0, {"band_names": ["B04", "B08"]})


def mean(chip):
    return chip.mean(axis=0)


def run(target, **how):
    how = {"field": scene(), "progress": False, "workers": 2, "block_rows": 128, **how}
    return map_patches(PATCHER, how.pop("field"), mean, target=target, **how)


def objects(place):
    return {each.key.removeprefix(f"{place.key}/"): each.read() for each in place.below()}


def files(folder: Path):
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """The folder for temporary files, which must be as empty at the end as at the beginning."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(module.tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("chunks", [None, 64])
def test_a_zarr_store_has_the_same_bytes_as_on_this_machine(on_store, tmp_path, chunks):
    place = on_store / "a.zarr"
    made = run(str(place), chunks=chunks)
    here = run(tmp_path / "a.zarr", chunks=chunks)
    assert objects(place) == files(tmp_path / "a.zarr")
    assert repr(made.attrs) == repr(here.attrs)
    assert made.rio.crs == here.rio.crs
    np.testing.assert_array_equal(made.values, here.values)


def test_a_cog_has_the_same_bytes_as_on_this_machine(on_store, tmp_path, scratch):
    place = on_store / "a.tif"
    made = run(str(place))
    run(tmp_path / "a.tif")
    assert place.read() == (tmp_path / "a.tif").read_bytes()
    with rasterio.open(tmp_path / "a.tif") as file:
        np.testing.assert_array_equal(made.load().values, file.read())
        assert made.transform == file.transform
    assert files(scratch) == {}


def test_a_run_reads_what_another_has_put(on_store):
    first = run(str(on_store / "a.tif"))
    second = run(str(on_store / "b.tif"), field=first)
    assert second.shape[-2:] == (2200, 150)
    with pytest.raises(PatchError, match="over its own input"):
        run(str(on_store / "a.tif"), field=first)


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_new_run_replaces_an_old_one(on_store, name):
    place = on_store / name
    old, smaller = run(str(place)), scene(200, 130)
    np.asarray(old.load().values if name == "a.tif" else old.values)
    made = run(str(place), field=smaller)
    assert made.shape[-2:] == (200, 130)
    np.testing.assert_array_equal(
        np.squeeze(made.load().values if name == "a.tif" else made.values),
        run(None, field=smaller).values,
    )


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_finished_run_is_made_again_where_another_has_written(on_store, name):
    place, journal = on_store / name, str(on_store / "run.jsonl")
    run(str(place), journal=journal)
    whole = objects(on_store / name) if name == "a.zarr" else place.read()
    run(str(place), journal=journal)
    other = scene()
    other.values[:, :1000] = 7
    run(str(place), field=other)
    assert (objects(on_store / name) if name == "a.zarr" else place.read()) != whole
    run(str(place), journal=journal)
    assert (objects(on_store / name) if name == "a.zarr" else place.read()) == whole


def test_a_map_of_the_same_size_is_told_from_the_own(on_store):
    how = {"target": str(on_store / "a.zarr"), "workers": 1, "progress": False}
    one, two = (GeoTensor(np.full((150, 150), v, "uint16"), PLACE, "EPSG:32632") for v in (1, 2))
    patcher, journal = (
        SpatialPatcher(SpatialRectangular(50), SpatialRegularStride(50)),
        str(on_store / "run.jsonl"),
    )
    map_patches(patcher, one, np.copy, journal=journal, **how)
    map_patches(patcher, two, np.copy, **how)
    assert (map_patches(patcher, one, np.copy, journal=journal, **how).values == 1).all()


@pytest.mark.parametrize("far", [True, False])
def test_a_store_that_is_being_written_gets_no_overviews(on_store, tmp_path, far):
    place = str(on_store / "a.zarr" if far else tmp_path / "a.zarr")
    run(place, chunks=64)
    chips, told = count(), []

    def late(chip):
        if next(chips) < 4:
            return mean(chip)
        try:
            told.append(add_overviews(place, (2,)))
        except PatchError as error:
            told.append(str(error))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_patches(PATCHER, scene(), late, target=place, workers=1, progress=False)
    assert f"{place} is being written by" in told[0]
    assert not far or list(on_store.below()) == []


def test_a_list_that_lags_leaves_no_old_shard(on_store, store_proxy):
    place = on_store / "a.zarr"
    run(str(place), chunks=64)
    empty = scene()
    empty.values[:] = 0
    store_proxy.faults.append(Fault("GET", "list-type=2", "stale", times=1))
    made = run(str(place), field=empty, chunks=64)
    assert np.isnan(made.values).all()


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
@pytest.mark.parametrize("kind", ["torn", "status"])
def test_what_cannot_be_put_whole_is_not_to_be_seen(
    on_store, store_proxy, scratch, name, kind, hasty
):
    place = on_store / name
    late = "a.zarr/data/c/3" if name == "a.zarr" else "a.tif"
    store_proxy.faults.append(Fault("PUT", late, kind, times=99))
    with pytest.raises(PlaceError, match="could not be written after 3 tries"):
        run(str(place), chunks=64 if name == "a.zarr" else None)
    assert list(on_store.below()) == []
    assert files(scratch) == {}


@pytest.mark.parametrize("kind", ["torn", "status"])
def test_a_stitched_store_waits_for_its_last_shards(on_store, store_proxy, kind, hasty):
    place, whole = on_store / "a.zarr", scene(150)
    made = merge_to_file(PATCHER.split(whole), whole, SpatialOverlapAdd(), str(place))
    np.testing.assert_array_equal(made.values, PATCHER.merge(PATCHER.split(whole), whole).values)
    store_proxy.faults.append(Fault("PUT", "a.zarr/data/c/1", kind, times=99))
    with pytest.raises(PlaceError, match="could not be written after 3 tries"):
        merge_to_file(PATCHER.split(whole), whole, SpatialOverlapAdd(), str(place))
    assert list(on_store.below()) == []


KILLED = """
import os, signal, sys
sys.path += sys.argv[1].split(os.pathsep)
from test_on_store import scene, run
from geopatcher.run import Journal

add, left = Journal.add, [int(sys.argv[4])]
def until(self, record):
    add(self, record)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.add = until
run(sys.argv[2], journal=sys.argv[3], chunks=64, workers=1)
"""


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_killed_run_goes_on_to_the_same_bytes(on_store, store_proxy, tmp_path, scratch, name):
    place, journal = on_store / name, str(on_store / "run.jsonl")
    paths = os.pathsep.join(map(str, (Path(__file__).parent, Path(object_store_file).parent)))

    def until(blocks):
        command = [sys.executable, "-c", KILLED, paths, str(place), journal, str(blocks)]
        environment = {**os.environ, "TMPDIR": str(scratch)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    for _ in range(2):
        done = until(2)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not (place / "zarr.json" if name == "a.zarr" else place).exists()
    if name == "a.zarr":
        (place / "data/c/4/0").write(b"of nobody's journal")
    before = len(store_proxy.seen)
    assert until(-1).returncode == 0
    shards = [each.target[-3:] for each in store_proxy.since(before, "PUT") if "/c/" in each.target]
    run(tmp_path / name, chunks=64)
    if name == "a.zarr":
        assert objects(place) == files(tmp_path / name)
        assert {*shards} == {"4/0", "4/1"}, "blocks of the journal are kept, and no others"
    else:
        assert place.read() == (tmp_path / name).read_bytes()
    before = len(store_proxy.seen)
    assert until(-1).returncode == 0
    assert store_proxy.since(before, "PUT") == [], "it is done"


def test_processes_put_their_own_shards(on_store, tmp_path):
    run(str(on_store / "a.zarr"), scheduler="processes", chunks=64)
    run(tmp_path / "a.zarr", chunks=64)
    assert objects(on_store / "a.zarr") == files(tmp_path / "a.zarr")


def test_what_cannot_be_is_said_at_once(on_store, store_proxy):
    with pytest.raises(PatchError, match="path or on an object store"):
        run("https://host/a.tif")
    with pytest.raises(PatchError, match="ends in"):
        run(str(on_store / "a.nc"))
    with pytest.raises(PatchError, match="give it a target="):
        run(None, journal=str(on_store / "run.jsonl"))


def test_xarray_opens_the_store(on_store):
    place = on_store / "a.zarr"
    run(str(place))
    with xr.open_zarr(place.for_zarr(), consolidated=False) as opened:
        assert opened["data"].dims == ("y", "x")
        assert "spatial_ref" in opened.variables
