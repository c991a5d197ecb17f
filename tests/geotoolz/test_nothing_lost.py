"""A run over a catalog never replaces a file it reads, nor one output by another."""

from __future__ import annotations

import os
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from footprints import write_raster
from hypothesis import given, settings
from hypothesis import strategies as st

from geocatalog import CatalogError, InMemoryGeoCatalog, build_raster_catalog, load_raster
from geopatcher import SpatialPatcher, SpatialRectangular, SpatialRegularStride, map_patches
from geotoolz import NDVI, Fanout, Lambda, write_cog
from geotoolz.catalog_ops import CatalogPipeline, _tasks
from geotoolz.io import read

TO_NDVI = NDVI(0, 1)


def scene(path, value=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(write_raster(path, np.full((2, 8, 8), value, "float32"), west=5e5, north=4.3e6))


def run(paths, operator=TO_NDVI, **options):
    return CatalogPipeline(build_raster_catalog(paths), operator, **options).run()


def bands(path):
    with rasterio.open(path) as file:
        return file.count


@pytest.mark.parametrize(
    "way",
    ["same", "relative", "url", "folder link", "file link", "hard link", "case", "a VRT's tile"],
)
@pytest.mark.parametrize("on_row_error", ["raise", "skip"])
def test_an_output_never_replaces_an_input(way, on_row_error, tmp_path, monkeypatch):
    path = scene(tmp_path / "in" / "a.tif")
    given, folder = [path], tmp_path / "in"
    if way == "relative":
        monkeypatch.chdir(tmp_path)
        folder = Path("in/../in")
    elif way == "url":
        folder = f"file://{folder}"
    elif way == "folder link":
        folder = tmp_path / "alias"
        folder.symlink_to(path.parent)
    elif way in ("file link", "hard link"):
        folder = tmp_path / "out"
        folder.mkdir()
        make = os.link if way == "hard link" else os.symlink
        make(path, folder / "a.tif")
    elif way == "case":
        given = [path.rename(path.with_name("A.tif"))]
        monkeypatch.setattr("geotoolz.catalog_ops._stem", lambda row: "a")
    elif way == "a VRT's tile":
        (tmp_path / "vrt").mkdir()
        mosaic = tmp_path / "vrt" / "a.vrt"
        text = f"<SourceFilename>{path}</SourceFilename><SourceBand>{{}}</SourceBand>"
        made = "".join(
            f'<VRTRasterBand dataType="Float32" band="{b}"><SimpleSource>{text.format(b)}'
            "</SimpleSource></VRTRasterBand>"
            for b in (1, 2)
        )
        mosaic.write_text(
            '<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>EPSG:32610</SRS><GeoTransform>'
            f"5e5,10,0,4.3e6,0,-10</GeoTransform>{made}</VRTDataset>"
        )
        given = [mosaic]
    options = {"writer": folder, "on_row_error": on_row_error}
    if on_row_error == "raise":
        with pytest.raises(CatalogError, match=r"a\.tif would replace .*another folder"):
            run(given, **options)
    else:
        report, outputs = run(given, **options)
        assert [failure.error for failure in report.failed] == ["CatalogError"]
        assert [path for path, _ in outputs.skipped] == [str(given[0])]
        assert len(outputs) == 0
    kept = given[0] if way == "case" else path
    assert bands(kept) == 2


def test_outputs_beside_the_inputs_are_fine_under_other_names(tmp_path):
    path = scene(tmp_path / "a.tif")
    both = Fanout({"ndvi": TO_NDVI, "twice": Lambda(lambda x: x * 2)})
    _, outputs = run([path], both, writer=tmp_path)
    assert sorted(Path(p).name for p in outputs.gdf.filepath) == ["a_ndvi.tif", "a_twice.tif"]
    assert bands(path) == 2
    other = scene(tmp_path / "a_ndvi.tif")
    _, outputs = run([path, other], both, writer=tmp_path)
    assert len(set(outputs.gdf.filepath)) == 4
    assert (bands(path), bands(other)) == (2, 2)
    scene(tmp_path / "more" / "b.tif")
    (tmp_path / "b_ndvi.tif").symlink_to(path)
    with pytest.raises(CatalogError, match=r"b_ndvi\.tif would replace"):
        run([path, tmp_path / "more" / "b.tif"], both, writer=tmp_path)


STEMS = st.text("aAb_0~.", min_size=1, max_size=4)


@settings(max_examples=200)
@given(st.lists(st.tuples(STEMS, st.lists(STEMS, max_size=2)), min_size=1, max_size=7))
def test_no_two_outputs_of_a_run_have_one_name(rows):
    table = gpd.GeoDataFrame(
        {"filepath": [f"/in/{i}.tif" for i in range(len(rows))], "item_id": [s for s, _ in rows]},
        geometry=[shapely.box(0, 0, 1, 1)] * len(rows),
        crs=32610,
    )
    catalog, names = InMemoryGeoCatalog(table), []
    for task, (_, keys) in zip(_tasks(list(catalog.iter_rows()), ""), rows, strict=True):
        fine = len({re.sub(r"[^\w.-]+", "_", key).casefold() for key in keys}) == len(keys)
        paths = task.outputs(Path("out"), keys if keys and fine else [""])
        assert {path.parent for path in paths} == {Path("out")}
        names += [path.name.casefold() for path in paths]
    assert len(set(names)) == len(names)


def test_names_are_what_they_were_where_nothing_is_in_doubt():
    table = gpd.GeoDataFrame(
        {"filepath": [f"/in{i}/{n}.tif" for i, n in enumerate(["s_1", "s_2", "x", "x", "X"])]},
        geometry=[shapely.box(0, 0, 1, 1)] * 5,
        crs=32610,
    )
    tasks = _tasks(list(InMemoryGeoCatalog(table).iter_rows()), "")
    assert [task.stem for task in tasks] == ["s_1", "s_2", "x_2", "x_3", "X_4"]
    assert {task.joint for task in tasks} == {"_"}
    assert tasks[0].outputs(Path("o"), ["ndvi"]) == [Path("o/s_1_ndvi.tif")]


def test_a_row_named_as_anothers_output_keeps_its_own(tmp_path):
    paths = [
        scene(tmp_path / "in" / f"{name}.tif", value) for name, value in (("a", 1), ("a_b", 2))
    ]

    def operator(raster):
        return {"b": raster} if raster.values.max() == 1 else raster

    _, outputs = run(paths, Lambda(operator), writer=tmp_path / "out")
    by_name = {Path(p).name: read(p).values.max() for p in outputs.gdf.filepath}
    assert by_name == {"a~b.tif": 1, "a_b.tif": 2}


@pytest.mark.parametrize("keys", [("NDVI", "ndvi"), ("a/b", "a b")])
def test_keys_that_make_one_name_are_refused(keys, tmp_path):
    path = scene(tmp_path / "a.tif")
    both = Fanout(dict.fromkeys(keys, TO_NDVI))
    with pytest.raises(ValueError, match="differ in letters or digits"):
        run([path], both, writer=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_key_leads_out_of_no_folder(tmp_path):
    path = scene(tmp_path / "a.tif")
    _, outputs = run([path], Fanout({"../x": TO_NDVI}), writer=tmp_path / "out")
    assert Path(outputs.gdf.filepath[0]).parent == tmp_path / "out"


def test_a_function_that_writes_two_rows_to_one_path_is_told_so(tmp_path):
    paths = [scene(tmp_path / f"{i}.tif") for i in range(2)]
    out = tmp_path / "out.tif"
    with pytest.raises(CatalogError, match="in the place of the output"):
        run(paths, writer=lambda raster, row, name: write_cog(raster, out, overwrite=True))


def test_a_function_cannot_write_what_was_read_back_over_it(tmp_path):
    path = scene(tmp_path / "a.tif")
    catalog = build_raster_catalog([path])
    pipeline = CatalogPipeline(
        catalog, TO_NDVI, writer=lambda r, row, name: write_cog(r, row.filepath, overwrite=True)
    )
    with pytest.raises(ValueError, match="over its own input"):
        pipeline.run()
    with pytest.raises(ValueError, match="over its own input"):
        write_cog(load_raster(catalog, next(catalog.iter_rows()).slice()), path, overwrite=True)
    assert bands(path) == 2

    def spoils(raster, row, name):
        write_raster(row.filepath, raster.values[None], west=5e5, north=4.3e6)
        return row.filepath

    with pytest.raises(CatalogError, match="in the place of the input"):
        CatalogPipeline(catalog, TO_NDVI, writer=spoils).run()


@pytest.mark.parametrize("where", ["https://host/out", "/vsicurl/https://host/out"])
def test_outputs_go_where_one_can_write(where, tmp_path):
    with pytest.raises(CatalogError, match="folder on this machine"):
        run([scene(tmp_path / "a.tif")], writer=where)


def test_a_cog_may_be_named_by_url(tmp_path):
    raster = read(scene(tmp_path / "a.tif"))
    assert write_cog(raster, f"file://{tmp_path}/b.tif") == tmp_path / "b.tif"
    with pytest.raises(ValueError, match="on this machine"):
        write_cog(raster, "https://host/b.tif")


@pytest.mark.parametrize("writes", ["write_cog", "map_patches", "a pipeline"])
def test_the_mask_and_overviews_of_an_old_file_are_not_those_of_the_new(writes, tmp_path):
    source = scene(tmp_path / "in" / "a.tif", 7)
    path = scene(tmp_path / "a.tif", 1)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(np.zeros((8, 8), bool))
    Path(f"{path}.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "a.tif.txt").write_text("mine")
    assert len(list(tmp_path.glob("a.tif*"))) == 5
    if writes == "write_cog":
        write_cog(read(source), path, overwrite=True)
    elif writes == "map_patches":
        patcher = SpatialPatcher(SpatialRectangular(8), SpatialRegularStride(8))
        map_patches(patcher, read(source), np.asarray, target=path, progress=False)
    else:
        run([source], Lambda(lambda x: x), writer=tmp_path)
    assert {each.name for each in tmp_path.glob("a.tif*")} == {"a.tif", "a.tif.txt"}
    with rasterio.open(path) as file:
        assert (file.read() == 7).all()
        assert file.read_masks(1).all()
