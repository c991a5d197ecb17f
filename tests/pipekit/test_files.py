"""Files that are whole or not there, and locks that one process holds at a time."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipekit.files import (
    beside,
    file_of,
    files_of,
    keep_inputs,
    lock,
    locked,
    until_nobody_reads,
)


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"), beside(path) as unfinished:
        unfinished.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_until_its_block_ends(tmp_path):
    path = tmp_path / "deep" / ".lock"
    with locked(path):
        other = os.open(path, os.O_RDWR)
        assert not lock(other, wait=False)
    assert lock(other, wait=False)
    os.close(other)


# ---- one file under many names

NAMES = [
    "{p}", "file://{p}", "file://localhost{p}", "FILE://{p}", "/vsizip/{p}/in.tif", "vrt://{p}?bands=1",
    "/vsizip/{{{p}}}/in.tif", "zip://{p}!in.tif", "zip+file://{p}!/in.tif", 'NETCDF:"{p}":t2m',
    'HDF5:"{p}"://group/t2m', "NETCDF:{p}:t2m", "GTIFF_DIR:2:{p}", "/vsicached?file={p}",
    "/vsicached?chunk_size=9&file={p}", "/vsisubfile/0_100,{p}", "/vsitar/vsigzip/{p}",
    "SENTINEL2_L1C:/vsizip/{p}/MTD.xml:10m:EPSG_32610", "{p}?x=1", "{p}|layername=a",
]  # fmt: skip


@pytest.mark.parametrize("form", NAMES)
def test_every_name_of_a_file_leads_to_it(form, tmp_path):
    path = tmp_path / "scene.tif"
    path.touch()
    name = form.format(p=path)
    assert file_of(name) == path
    with pytest.raises(ValueError, match="over its own input"):
        keep_inputs(path, ["other.tif", name], "the run")
    keep_inputs(tmp_path / "scene2.tif", [name], "the run")


@pytest.mark.parametrize(
    "name",
    ["https://host{p}", "s3://bucket{p}", "/vsicurl/https://host{p}", "/vsis3/bucket{p}", "/vsimem{p}",
     "/vsizip/vsicurl/https://host{p}/a.tif"],
)  # fmt: skip
def test_what_is_elsewhere_is_no_file_of_this_machine(name, tmp_path):
    path = tmp_path / "scene.tif"
    path.touch()
    assert file_of(name.format(p=path)) is None
    keep_inputs(path, [name.format(p=path)], "the run")


@pytest.mark.parametrize("way", ["relative", "symlink", "hard link", "folder link", "case", "dots"])
def test_an_input_is_known_behind_links_and_in_other_case(way, tmp_path, monkeypatch):
    source = tmp_path / "in" / "Scene.tif"
    source.parent.mkdir()
    source.write_text("pixels")
    target = tmp_path / "target.tif"
    if way == "relative":
        monkeypatch.chdir(source.parent)
        target = Path("Scene.tif")
    elif way == "symlink":
        target.symlink_to(source)
    elif way == "hard link":
        os.link(source, target)
    elif way == "folder link":
        (tmp_path / "alias").symlink_to(source.parent)
        target = tmp_path / "alias" / source.name
    elif way == "case":
        target = source.with_name("SCENE.TIF")
    else:
        target = tmp_path / "in" / ".." / "in" / source.name
    for one, other in ((target, source), (source, target)):
        with pytest.raises(KeyError, match="over its own input"):
            keep_inputs(one, [other], "the run", KeyError)


def test_a_store_and_what_lies_in_it_are_one(tmp_path):
    store = tmp_path / "cube.zarr"
    store.mkdir()
    for target, source in ((store, store / "a"), (store / "a", store), (store, store)):
        with pytest.raises(ValueError, match="over its own input"):
            keep_inputs(target, [source], "the run")
    keep_inputs(tmp_path / "cube.zarr2", [store], "the run")


def test_the_files_of_a_mosaic_are_inputs(tmp_path):
    mosaic = tmp_path / "m.vrt"
    mosaic.write_text(
        '<VRTDataset><SourceFilename relativeToVRT="1">in/a.tif</SourceFilename>'
        f'<SourceFilename relativeToVRT="0" shared="0">{tmp_path}/b&amp;c.tif</SourceFilename>'
        "</VRTDataset>"
    )
    for name in ("m.vrt", "in/a.tif", "b&c.tif"):
        with pytest.raises(ValueError, match="over its own input"):
            keep_inputs(tmp_path / name, [mosaic], "the run")
    keep_inputs(tmp_path / "a.tif", [mosaic], "the run")


@given(st.text(max_size=30))
def test_any_text_is_a_name(text):
    assert file_of(text) is None or isinstance(file_of(text), Path)


def test_a_broken_pipe_that_is_not_our_output_is_an_error():
    def fails():
        raise BrokenPipeError("a connection")

    with pytest.raises(BrokenPipeError, match="a connection"):
        until_nobody_reads(fails)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_has_no_letters_for_is_printed(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert until_nobody_reads(lambda: print("München/木.tif") or 3) == 3
    printed = raw.getvalue().decode(encoding).strip()
    assert (
        printed.encode("latin-1", "backslashreplace").decode("unicode_escape") == "München/木.tif"
    )


@pytest.mark.parametrize(
    "name", ["GTIFF_DIR:1:{p}", "vrt://{p}?bands=1", "/vsisubfile/0_9,{p}", 'NETCDF:"{p}":t2m']
)
def test_a_link_to_a_name_of_gdal_s_is_what_it_names(name, tmp_path):
    """Broken for all but GDAL, which opens it."""
    file, link = tmp_path / "a b.tif", tmp_path / "in.tif"
    file.write_bytes(b"pixels")
    link.symlink_to(name.format(p=file))
    assert file_of(link) == file
    for target in (file, link, tmp_path / "A B.tif"):
        with pytest.raises(ValueError, match="over its own input"):
            keep_inputs(target, [link], "it")
    keep_inputs(tmp_path / "out.tif", [link], "it")


def test_a_link_to_nothing_is_its_own_name(tmp_path):
    link, other = tmp_path / "in.tif", tmp_path / "loop.tif"
    link.symlink_to("gone.tif")
    other.symlink_to("loop.tif")
    assert (file_of(link), file_of(other)) == (link, other)
    with pytest.raises(ValueError, match="over its own input"):
        keep_inputs(tmp_path / "gone.tif", [link], "it")


@pytest.mark.parametrize("element", ["SourceFilename", "SourceDataset"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("inline", [False, True])
def test_mosaics_of_mosaics_are_looked_through(element, depth, inline, tmp_path):
    """As gdalbuildvrt and gdalwarp write them, relative to the mosaic or not; circles end."""
    (tmp_path / "a.tif").write_bytes(b"pixels")
    under, xml = "a.tif", ""
    for level in range(depth):
        relative = 0 if inline and level == depth - 1 else level % 2
        source = under if relative else tmp_path / under
        xml = (
            f'<VRTDataset><X><{element} relativeToVRT="{relative}">{source}</{element}></X>'
            f"<SourceFilename>{tmp_path}/0.vrt</SourceFilename></VRTDataset>"
        )
        under = f"{level}.vrt"
        (tmp_path / under).write_text(xml)
    name = f" {xml}" if inline else tmp_path / under
    with pytest.raises(ValueError, match="over its own input"):
        keep_inputs(tmp_path / "a.tif", [name], "it")
    assert files_of(name).count(tmp_path / "a.tif") == 1
