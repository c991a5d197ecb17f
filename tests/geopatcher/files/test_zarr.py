"""Shards written piece by piece: what zarr reads back, and the bytes that zarr would write."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from geopatcher.domain import RasterDomain
from geopatcher.files.rows import RasterSpec
from geopatcher.files.target import open_target
from geopatcher.files.zarr import NAME, ShardWriter, ZarrRows, codecs
from geopatcher.patch import PatchError


def array_and_store(folder, shape, dtype, fill, chunk, factors):
    """An empty array, and its store with shards of `factors` chunks each way."""
    shard = (chunk[0] * factors[0], chunk[1] * factors[1])
    lead = (1,) * (len(shape) - 2)
    spec = RasterSpec(shape[:-2], np.dtype(dtype), RasterDomain(shape[-2:]), fill)
    store = ZarrRows(Path(folder), spec, chunk, shard)
    array = zarr.create_array(
        Path(folder) / NAME, shape=shape, dtype=dtype, fill_value=fill, overwrite=True,
        chunks=(*lead, *chunk), shards=(*lead, *shard), **codecs(),
    )  # fmt: skip
    return array, store


sides = st.integers(1, 30)


@settings(max_examples=30)
@given(
    lead=st.sampled_from([(), (1,), (3,), (2, 2)]),
    height=sides,
    width=sides,
    chunk=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    factors=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64", "complex64", ">i4", "bool"]),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=30),
    empty=st.booleans(),
)
def test_zarr_reads_what_was_written_in_any_pieces(
    tmp_path_factory, lead, height, width, chunk, factors, dtype, cuts, empty
):
    folder = tmp_path_factory.mktemp("store")
    fill = np.nan if np.dtype(dtype).kind == "f" else 0
    array, store = array_and_store(folder, (*lead, height, width), dtype, fill, chunk, factors)
    values = np.random.default_rng(0).integers(0, 2 if empty else 99, array.shape).astype(dtype)
    if empty:
        values[..., : height // 2, :] = fill
    row = 0
    writer = ShardWriter(store)
    for count in cuts * height:
        if row < height:
            writer.write(row, values[..., row : row + count, :])
            row += min(count, height - row)
    np.testing.assert_array_equal(array[...], values)


def test_shards_are_the_bytes_that_zarr_writes(tmp_path):
    """Two chunks a shard, one below the other: more of them zarr lays out in Morton order."""
    shape, chunk = (2, 20, 24), (5, 6)
    values = np.arange(2 * 20 * 24, dtype="float32").reshape(shape)
    made = {}
    for name in ("theirs", "ours"):
        folder = tmp_path / name
        array, store = array_and_store(folder, shape, "float32", np.nan, chunk, (2, 1))
        if name == "theirs":
            array[...] = values
        else:
            ShardWriter(store).write(0, values)
        files = [path for path in folder.rglob("*") if path.is_file()]
        made[name] = {path.relative_to(folder): path.read_bytes() for path in files}
    assert made["ours"] == made["theirs"]
    assert len(made["ours"]) == 1 + 2 * 2 * 4


def test_what_is_only_fill_value_takes_no_file(tmp_path):
    array, store = array_and_store(tmp_path, (8, 8), "float32", np.nan, (2, 2), (2, 2))
    values = np.full((8, 8), np.nan, "float32")
    values[5, 5] = 1
    ShardWriter(store).write(0, values)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("*/c/*/*")) == [
        "data/c/1/1"
    ]
    np.testing.assert_array_equal(array[...], values)


def test_a_shard_of_an_earlier_run_is_replaced(tmp_path):
    array, store = array_and_store(tmp_path, (8, 8), "int16", 0, (2, 2), (2, 2))
    ShardWriter(store).write(0, np.full((8, 8), 7, "int16"))
    ShardWriter(store).write(0, np.zeros((4, 8), "int16"))
    assert array[:4].max() == 0
    assert array[4:].min() == 7


@pytest.mark.parametrize("begin", [4, 8])
def test_any_row_of_shards_may_be_written_alone(tmp_path, begin):
    array, store = array_and_store(tmp_path, (11, 8), "int16", -1, (2, 2), (2, 2))
    ShardWriter(store).write(begin, np.ones((3, 8), "int16"))
    if begin == 8:
        assert (array[8:] == 1).all()
    assert (array[:4] == -1).all()


@settings(max_examples=30)
@given(
    lead=st.sampled_from([(), (1,), (3,), (5, 2)]),
    height=sides,
    width=sides,
    chunk=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    deep=st.integers(1, 4),
    dtype=st.sampled_from(["uint8", "int16", "float32", "float64", ">i4"]),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=30),
    empty=st.booleans(),
)
def test_plain_chunks_of_all_axes_are_read_by_zarr(
    tmp_path_factory, lead, height, width, chunk, deep, dtype, cuts, empty
):
    folder = tmp_path_factory.mktemp("store")
    fill = np.nan if np.dtype(dtype).kind == "f" else 0
    spec = RasterSpec(lead, np.dtype(dtype), RasterDomain((height, width)), fill)
    planes = tuple(min(deep, count) for count in lead)
    chunk = (min(chunk[0], height), min(chunk[1], width))
    store = ZarrRows(folder / "a.zarr", spec, chunk, chunk, planes)
    store.create()
    values = np.random.default_rng(0).integers(0, 2 if empty else 99, spec.shape).astype(dtype)
    if empty:
        values[..., : height // 2, :] = fill
    row, writer = 0, store.begin()
    for count in cuts * height:
        if row < height:
            writer.write(row, values[..., row : row + count, :])
            row += min(count, height - row)
    array = zarr.open_group(folder / "a.zarr", mode="r")[NAME]
    assert array.chunks == (*planes, *chunk)
    np.testing.assert_array_equal(array[...], values)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ("maps", (1, 1, 30, 40)),
        ("series", (4, 1, 30, 40)),
        ((2, 3, 8, 9), (2, 3, 8, 9)),
        ((9, 9, 99, 99), (4, 3, 30, 40)),
    ],
)
def test_chunks_by_what_is_asked_of_a_store(tmp_path, chunks, expected):
    spec = RasterSpec((4, 3), np.dtype("float32"), RasterDomain((30, 40)), np.nan)
    with open_target(tmp_path / "a.zarr", spec, chunks) as target:
        target.finish({})
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")[NAME]
    assert (array.chunks, array.shards) == (expected, None)


@pytest.mark.parametrize("chunks", ["curves", (1, 2, 0, 4), (1, 2, 3)])
def test_chunks_that_are_none_are_refused(tmp_path, chunks):
    spec = RasterSpec((4, 3), np.dtype("float32"), RasterDomain((30, 40)), np.nan)
    with pytest.raises(PatchError, match="chunks"), open_target(tmp_path / "a.zarr", spec, chunks):
        pass
