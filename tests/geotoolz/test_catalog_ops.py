"""Catalogs in, catalogs out: every row done or listed, resumed, on threads or Dask."""

import json
import os
from concurrent.futures import BrokenExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from footprints import write_raster
from georeader.geotensor import GeoTensor
from rasterio import Affine
from rasterio.windows import Window

from geocatalog import (
    CatalogError,
    GeoSlice,
    InMemoryGeoCatalog,
    build_raster_catalog,
    from_geoparquet,
    to_geoparquet,
)
from geocatalog.read import signers
from geopatcher import (
    SpatialHann,
    SpatialPatcher,
    SpatialRectangular,
    SpatialRegularStride,
)
from geotoolz import (
    NDVI,
    ApplyToChips,
    DNToReflectance,
    Fanout,
    GridSampler,
    Lambda,
    Stitch,
    write_cog,
)
from geotoolz.catalog_ops import (
    CatalogField,
    CatalogPipeline,
    Failure,
    Finished,
    RunReport,
    read_row,
    run_rows,
)
from pipekit import Operator

DATED = r"_(?P<date>\d{8})"
INDEX = DNToReflectance() | NDVI(red_idx=0, nir_idx=1)


@pytest.fixture
def scenes(tmp_path):
    """Four dates of two bands, 40 x 30 pixels."""
    random = np.random.default_rng(1)
    for day in range(1, 5):
        data = random.integers(500, 5000, (2, 40, 30)).astype("uint16")
        write_raster(tmp_path / f"s_2024060{day}.tif", data, west=5e5, north=4.3e6, nodata=0)
    return build_raster_catalog(sorted(tmp_path.glob("s_*.tif")), DATED)


class Fussy(Operator):
    """NDVI that refuses some scenes and counts what it was asked for."""

    def __init__(self, bad=()):
        self.bad = bad
        self.seen = []

    def _apply(self, raster):
        self.seen.append(raster.attrs["datetime"][:10])
        if raster.attrs["datetime"][:10] in self.bad:
            raise RuntimeError("this scene is bad")
        return INDEX(raster)


def test_every_row_becomes_a_file_and_a_row(scenes, tmp_path):
    report, outputs = CatalogPipeline(scenes, INDEX, writer=tmp_path / "ndvi").run()
    assert (report.total, report.done, report.resumed, report.failed) == (4, 4, 0, [])
    table, source = outputs.gdf, scenes.gdf
    assert table.source.tolist() == source.filepath.tolist()
    assert table.start_time.tolist() == source.start_time.tolist()
    assert (table.geometry.geom_equals(source.geometry)).all()
    assert set(table.operator_hash) == {INDEX.config_hash}
    for row in outputs.iter_rows():
        with rasterio.open(row.filepath) as made, rasterio.open(row.extras["source"]) as file:
            red, nir = file.read().astype("float32")
            np.testing.assert_allclose(made.read(1), (nir - red) / (nir + red), atol=1e-5)
            assert made.transform == file.transform
            assert made.tags()["source_file"] == row.extras["source"]


def test_the_result_is_a_catalog_like_any_other(scenes, tmp_path):
    _, outputs = CatalogPipeline(scenes, INDEX, writer=tmp_path / "ndvi").run()
    again = from_geoparquet(to_geoparquet(outputs, tmp_path / "ndvi.parquet"))
    assert len(again.query(time="2024-06-02")) == 1
    _, twice = CatalogPipeline(again, Lambda(lambda x: x * 2), writer=tmp_path / "double").run()
    assert len(twice) == 4


def test_columns_and_several_outputs(scenes, tmp_path):
    both = Fanout({"ndvi": INDEX, "copy": DNToReflectance()})
    pipeline = CatalogPipeline(
        scenes,
        both,
        writer=tmp_path / "out",
        columns=lambda made: {"mean_ndvi": np.nanmean(made["ndvi"].values)},
    )
    _, outputs = pipeline.run()
    table = outputs.gdf
    assert len(table) == 8
    assert sorted(set(table.output)) == ["copy", "ndvi"]
    assert table.mean_ndvi.nunique() == 4


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"day": pd.Timestamp("2024-06-01")}, "Timestamp for 'day'"),
        ({"all": np.arange(3)}, "ndarray for 'all'"),
        ({"geometry": 1}, "'geometry', a column"),
        ({"source": "x"}, "'source', a column"),
    ],
)
@pytest.mark.parametrize("journal", [None, "run.jsonl"])
def test_columns_that_cannot_be_kept_are_row_errors(scenes, tmp_path, columns, says, journal):
    report, outputs = CatalogPipeline(
        scenes,
        INDEX,
        writer=tmp_path / "out",
        columns=lambda ndvi: columns,
        journal=tmp_path / journal if journal else None,
        on_row_error="skip",
    ).run()
    assert (report.done, len(outputs)) == (0, 0)
    assert all(says in failure.message for failure in report.failed)


def test_an_operator_that_loses_the_place_is_told_so(scenes, tmp_path):
    with pytest.raises(TypeError, match=r"must return a GeoTensor.*got ndarray"):
        CatalogPipeline(scenes, lambda raster: raster.values, writer=tmp_path / "out").run()


def test_a_writer_may_be_a_function(scenes, tmp_path):
    from geotoolz import write_cog

    def writer(raster, row, name):
        assert name == ""
        return write_cog(raster, tmp_path / f"mine_{row.index}.tif")

    _, outputs = CatalogPipeline(scenes, INDEX, writer=writer).run()
    assert [path.rsplit("/", 1)[1] for path in outputs.gdf.filepath] == [
        f"mine_{i}.tif" for i in range(4)
    ]


def test_a_bad_row_stops_the_run_or_is_listed(scenes, tmp_path):
    with pytest.raises(RuntimeError, match="this scene is bad") as caught:
        CatalogPipeline(scenes, Fussy(("2024-06-02",)), writer=tmp_path / "a").run()
    assert "s_20240602.tif" in caught.value.__notes__[0]
    report, outputs = CatalogPipeline(
        scenes, Fussy(("2024-06-02",)), writer=tmp_path / "b", on_row_error="skip", workers=2
    ).run()
    assert (report.done, len(outputs)) == (3, 3)
    assert report.failed == [Failure(scenes.gdf.filepath[1], "RuntimeError", "this scene is bad")]
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == [
        f"s_2024060{i}.tif" for i in (1, 3, 4)
    ]


def test_a_file_that_has_gone_is_a_row_error(scenes, tmp_path):
    (tmp_path / "s_20240603.tif").unlink()
    report, outputs = CatalogPipeline(
        scenes, INDEX, writer=tmp_path / "o", on_row_error="skip"
    ).run()
    assert (report.done, len(outputs)) == (3, 3)
    assert "s_20240603.tif" in report.failed[0].message


def test_nothing_done_is_an_empty_catalog(scenes, tmp_path):
    report, outputs = CatalogPipeline(
        scenes, Lambda(lambda _: 1 / 0, name="broken"), writer=tmp_path / "o", on_row_error="skip"
    ).run()
    assert (report.done, len(report.failed), len(outputs)) == (0, 4, 0)
    assert outputs.crs == scenes.crs


def test_a_journal_takes_up_where_the_run_ended(scenes, tmp_path):
    journal = tmp_path / "run.jsonl"
    first = Fussy(("2024-06-03",))
    with pytest.raises(RuntimeError):
        CatalogPipeline(scenes, first, writer=tmp_path / "o", journal=journal).run()
    assert len(journal.read_text().splitlines()) == 1 + 2, "what the run is, and two rows"
    before = {p.name: p.read_bytes() for p in (tmp_path / "o").iterdir()}

    same = Fussy(("2024-06-03",))
    report, outputs = CatalogPipeline(
        scenes, same, writer=tmp_path / "o", journal=journal, on_row_error="skip"
    ).run()
    assert (report.resumed, report.done, len(report.failed)) == (2, 1, 1)
    assert same.seen == ["2024-06-03", "2024-06-04"]
    assert len(outputs) == 3
    assert all((tmp_path / "o" / name).read_bytes() == data for name, data in before.items())


def test_a_lost_output_and_a_torn_line_are_done_again(scenes, tmp_path):
    journal = tmp_path / "run.jsonl"
    pipeline = CatalogPipeline(scenes, INDEX, writer=tmp_path / "o", journal=journal)
    pipeline.run()
    (tmp_path / "o" / "s_20240601.tif").unlink()
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines[:4], lines[4][:20]]))
    report, outputs = pipeline.run()
    assert (report.resumed, report.done, len(outputs)) == (2, 2, 4)
    keys = [json.loads(line)["key"] for line in journal.read_text().splitlines()[1:]]
    assert (len(keys), len(set(keys))) == (5, 4), "three were kept, two came anew"
    report, _ = pipeline.run()
    assert report.resumed == 4


def test_rows_of_one_name_do_not_overwrite_each_other(scenes, tmp_path):
    twice = scenes.gdf
    (tmp_path / "other").mkdir()
    data = np.full((2, 40, 30), 900, "uint16")
    path = write_raster(tmp_path / "other" / "s_20240601.tif", data, west=5e5, north=4.3e6)
    twice.loc[1, "filepath"] = path
    _, outputs = CatalogPipeline(InMemoryGeoCatalog(twice), INDEX, writer=tmp_path / "o").run()
    assert len(set(outputs.gdf.filepath)) == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_few_rows_are_held_at_a_time(workers):
    held, most = set(), []

    def work(row):
        held.add(row)
        most.append(len(held))
        return row

    for row, _ in run_rows(work, range(50), workers, None):
        held.discard(row)
    assert max(most) <= 2 * workers + 1


def test_dask_gives_the_same_files(scenes, tmp_path):
    from distributed import Client

    _, one = CatalogPipeline(scenes, INDEX, writer=tmp_path / "threads", workers=2).run()
    with Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0"
    ) as client:
        report, two = CatalogPipeline(
            scenes, INDEX, writer=tmp_path / "dask", scheduler=client, journal=tmp_path / "j"
        ).run()
    assert report.done == 4
    for a, b in zip(one.gdf.filepath, two.gdf.filepath, strict=True):
        with rasterio.open(a) as x, rasterio.open(b) as y:
            np.testing.assert_array_equal(x.read(), y.read())


def test_a_pipeline_over_a_field_never_holds_the_scene(scenes, tmp_path):
    patcher = SpatialPatcher(
        SpatialRectangular(16, boundary="shift"), SpatialRegularStride(12), SpatialHann()
    )
    tiled = GridSampler(patcher) | ApplyToChips(INDEX) | Stitch()
    _, outputs = CatalogPipeline(
        scenes, tiled, reader=CatalogField, writer=tmp_path / "tiled"
    ).run()
    _, whole = CatalogPipeline(scenes, INDEX, writer=tmp_path / "whole").run()
    for a, b in zip(outputs.gdf.filepath, whole.gdf.filepath, strict=True):
        with rasterio.open(a) as x, rasterio.open(b) as y:
            np.testing.assert_allclose(x.read(), y.read(), atol=1e-6)


def test_a_field_reads_windows(scenes):
    row = next(scenes.iter_rows())
    field = CatalogField(row)
    whole = read_row(row)
    assert field.domain.shape == whole.shape == (2, 40, 30)
    assert field.domain.bounds == row.bounds
    part = field.select(Window(5, 7, 11, 13))
    np.testing.assert_array_equal(part.values, whole.values[:, 7:20, 5:16])
    assert part.transform == whole.transform @ rasterio.Affine.translation(5, 7)
    assert part.attrs["datetime"] == "2024-06-01T00:00:00+00:00"
    assert field.with_data(np.zeros((40, 30))).domain.shape == (40, 30)
    assert CatalogField(row, band_indexes=[2]).select(Window(0, 0, 4, 4)).shape == (1, 4, 4)
    row.extras["cloud_cover"] = pd.NA
    assert "cloud_cover" not in read_row(row).attrs


def test_a_field_over_a_catalog_merges_its_files(scenes):
    slice_ = GeoSlice((5e5, 4.3e6 - 200, 5e5 + 200, 4.3e6), None, 10, 32610)
    field = CatalogField(scenes, slice_, merge_method="max")
    stack = np.stack([read_row(row).values for row in scenes.iter_rows()])
    np.testing.assert_array_equal(field.load().values, stack.max(axis=0)[:, :20, :20])
    baselines = ["03.01", "05.10", "05.10", "05.10"]
    known = scenes.gdf.assign(processing_baseline=baselines, offset_applied=False, cloud_cover=3.0)
    mixed = CatalogField(InMemoryGeoCatalog(known), slice_).load().attrs
    assert (mixed["cloud_cover"], mixed["offset_applied"]) == (3.0, False)
    assert not {"processing_baseline", "datetime"} & mixed.keys()
    later = InMemoryGeoCatalog(known[1:])
    assert CatalogField(later, slice_).load().attrs["processing_baseline"] == "05.10"
    with pytest.raises(CatalogError, match="slice_="):
        CatalogField(scenes)
    with pytest.raises(CatalogError, match="touches"):
        CatalogField(scenes, GeoSlice((0, 0, 10, 10), None, 10, 32610))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "writer="),
        ({"writer": "x", "on_row_error": "ignore"}, "on_row_error"),
        ({"writer": "x", "workers": 0}, "workers"),
        ({"writer": "x", "scheduler": "slurm"}, "scheduler"),
    ],
)
def test_bad_options_are_refused(scenes, options, message):
    with pytest.raises(ValueError, match=message):
        CatalogPipeline(scenes, INDEX, **options)


def test_rows_whose_files_are_made_when_they_are_read_are_resumed_too(
    scenes, tmp_path, monkeypatch
):
    """Simulated scenes are: a file has no size and no time before its first read."""
    paths = [Path(row.filepath) for row in scenes.iter_rows()]
    contents = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()

    class Maker:
        name = "maker"

        def knows(self, href):
            return Path(href) in contents

        def sign(self, href, *, renew=False):
            Path(href).write_bytes(contents[Path(href)])
            return href

    monkeypatch.setattr(signers, "_ADDED", {"maker": Maker()})
    journal = tmp_path / "j"

    def run():
        return CatalogPipeline(scenes, INDEX, writer=tmp_path / "o", journal=journal).run()[0]

    first, again = run(), run()
    assert (first.done, first.resumed) == (4, 0)
    assert (again.done, again.resumed) == (0, 4)
    paths[1].write_bytes(contents[paths[2]])  # other pixels, so this row is done anew
    assert (run().done, run().resumed) == (1, 4)


def test_reports_journals_and_configs_print(scenes, tmp_path):
    assert (
        repr(RunReport(3, 2, 0, [], 1.0)) == "RunReport(3 rows: 2 done, 0 resumed, 0 failed, 1.0 s)"
    )
    assert not Finished("k", "a", {"": str(tmp_path / "none.tif")}).on_disk
    config = CatalogPipeline(scenes, INDEX, writer=tmp_path / "o").get_config()
    assert json.loads(json.dumps(config))["operator_hash"] == INDEX.config_hash
    function = CatalogPipeline(scenes, Lambda(lambda x: x), writer=tmp_path / "o")
    assert len(function.operator_hash) == 32


@pytest.mark.parametrize("hurt", ["cut", "removed"])
def test_an_output_that_is_not_whole_is_made_again(tmp_path, hurt):
    from affine import Affine
    from georeader.geotensor import GeoTensor

    from geotoolz import write_cog

    values = np.random.default_rng(0).integers(200, 4000, (2, 300, 300)).astype("uint16")
    place = Affine(10, 0, 760000, 0, -10, 4320000)
    scene = GeoTensor(values, place, "EPSG:32610", fill_value_default=0)
    catalog = build_raster_catalog([write_cog(scene, tmp_path / "scene.tif")])

    def run():
        return CatalogPipeline(
            catalog, NDVI(0, 1), writer=tmp_path / "made", journal=tmp_path / "run.jsonl"
        ).run()

    _, outputs = run()
    (path,) = map(Path, outputs.gdf.filepath)
    whole = path.read_bytes()
    assert run()[0].resumed == 1
    if hurt == "cut":
        os.truncate(path, len(whole) // 2)
    else:
        path.unlink()
    report, _ = run()
    assert (report.done, report.resumed) == (1, 0)
    assert path.read_bytes() == whole
    assert run()[0].resumed == 1


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_windows_of_one_field_mark_what_is_missing_alike(tmp_path, dtype):
    """Files that declare no nodata, with a gap between them: 0 is a value in the first alone."""
    for name, west in (("a", 0), ("b", 160)):
        values = np.full((1, 16, 12), 7, dtype)
        values[0, 0, 0] = 0 if name == "a" else 3
        tile = GeoTensor(values, Affine(10, 0, west, 0, -10, 160), "EPSG:32610", None)
        write_cog(tile, tmp_path / f"{name}.tif")
    catalog = build_raster_catalog(sorted(tmp_path.glob("*.tif")))
    field = CatalogField(catalog, GeoSlice((0, 0, 320, 160), None, 10, 32610))
    ends = np.iinfo(dtype)
    fills = {field.select(Window(col, 0, 16, 16)).fill_value_default for col in (0, 16)}
    assert fills == {ends.min or ends.max} == {field.load().fill_value_default}


@pytest.mark.parametrize("on_row_error", ["raise", "skip"])
def test_a_worker_that_dies_is_no_row_that_fails(scenes, tmp_path, on_row_error):
    deadly = Lambda(lambda _: os._exit(1), name="deadly")
    few = scenes.query(time="2024-06-01")  # no more rows than are in flight
    pipeline = CatalogPipeline(
        few, deadly, writer=tmp_path / "o", on_row_error=on_row_error, scheduler="processes"
    )
    with pytest.raises(BrokenExecutor) as failed:
        pipeline.run()
    assert "a worker process died" in failed.value.__notes__[0]
