"""A whole archive through a pipeline: damaged files are told, killed runs go on, no work is lost."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from footprints import write_raster
from killed_runs import INDEX, WORKERS

from geocatalog import (
    CatalogError,
    GeoSlice,
    build_raster_catalog,
    from_stac_items,
    to_geoparquet,
)
from geotoolz import NDVI, DNToReflectance, Lambda
from geotoolz.catalog_ops import (
    CatalogField,
    CatalogPipeline,
    Finished,
    RowJournal,
    name_of,
    read_row,
)
from pipekit import Identity, Operator

SUPPORT = Path(__file__).resolve().parents[1] / "support"
DATED = r"_(?P<date>\d{8})"
TO_NDVI = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08")


def items_of(archive: Path, starts: str) -> list[pystac.Item]:
    files = sorted(archive.glob(f"sentinel-2-l2a/{starts}*/*.json"))
    items = [pystac.Item.from_file(str(file)) for file in files]
    for item in items:
        item.make_asset_hrefs_absolute()
    return items


@pytest.fixture(scope="module")
def flanders(archive_root: Path) -> list[pystac.Item]:
    """118 real acquisitions of 64 x 64 pixels."""
    items = items_of(archive_root, "S2_T31UDS_")
    assert len(items) == 118
    return items


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A catalog of forty small scenes of two bands, as GeoParquet."""
    random = np.random.default_rng(1)
    folder = tmp_path / "scenes"
    folder.mkdir()
    for day in range(40):
        data = random.integers(500, 5000, (2, 64, 64)).astype("uint16")
        name = f"s_2024{1 + day // 20:02d}{1 + day % 20:02d}.tif"
        write_raster(folder / name, data, west=5e5, north=4.3e6, nodata=0)
    catalog = build_raster_catalog(sorted(folder.glob("s_*.tif")), DATED)
    return Path(to_geoparquet(catalog, tmp_path / "scenes.parquet"))


@pytest.fixture
def real(flanders: list[pystac.Item], tmp_path: Path) -> Path:
    """The catalog of the 118 real scenes, as GeoParquet."""
    catalog = from_stac_items(flanders, asset_key=["B04", "B08"])
    return Path(to_geoparquet(catalog, tmp_path / "flanders.parquet"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Content by name of everything in a folder, hidden files included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- an archive with a damaged file


def test_every_real_scene_is_made_once(flanders, tmp_path):
    catalog = from_stac_items(flanders, asset_key=["B04", "B08"])
    report, outputs = CatalogPipeline(catalog, TO_NDVI, writer=tmp_path / "o", workers=2).run()
    assert (report.total, report.done, report.failed, len(outputs)) == (118, 118, [], 118)
    assert set(outputs.gdf.item_id) == {item.id for item in flanders}
    for row in list(outputs.iter_rows())[::25]:
        item = next(item for item in flanders if item.id == row.extras["item_id"])
        with rasterio.open(item.assets["B04"].href) as red, rasterio.open(row.filepath) as made:
            near = rasterio.open(item.assets["B08"].href)
            r, n = (file.read(1).astype("float64") for file in (red, near))
            near.close()
            seen = (r > 0) & (n > 0)
            expected = (n - r) / (n + r)
            np.testing.assert_allclose(made.read(1)[seen], expected[seen], atol=1e-5)
            assert made.transform == red.transform


@pytest.mark.parametrize("length", [0, 60, 2000, -40])
def test_one_damaged_file_is_skipped_and_named_with_its_reason(flanders, tmp_path, length):
    """A copy cut to nothing, in its header, in its data, or by its last bytes."""
    bad = flanders[17].clone()
    whole = Path(bad.assets["B08"].href)
    cut = tmp_path / whole.name
    shutil.copyfile(whole, cut)
    with cut.open("r+b") as file:
        file.truncate(length if length >= 0 else whole.stat().st_size + length)
    bad.assets["B08"].href = str(cut)
    items = [*flanders[:17], bad, *flanders[18:40]]
    catalog = from_stac_items(items, asset_key=["B04", "B08"])
    journal = tmp_path / "run.jsonl"
    report, outputs = CatalogPipeline(
        catalog, TO_NDVI, writer=tmp_path / "o", on_row_error="skip", workers=2, journal=journal
    ).run()
    assert (report.total, report.done, len(report.failed)) == (40, 39, 1)
    (failure,) = report.failed
    row = next(row for row in catalog.iter_rows() if row.extras["item_id"] == bad.id)
    assert failure.filepath == row.filepath
    assert str(cut) in failure.message, "the file that is damaged, not only its scene"
    assert "Error" in failure.message
    assert "See previous exception" not in failure.message, "the reason, not where it is"
    assert bad.id not in set(outputs.gdf.item_id)
    assert len(bytes_of(tmp_path / "o")) == 39
    # Mended, it alone is done.
    shutil.copyfile(whole, cut)
    report, outputs = CatalogPipeline(
        catalog, TO_NDVI, writer=tmp_path / "o", workers=2, journal=journal
    ).run()
    assert (report.resumed, report.done, len(outputs)) == (39, 1, 40)


def test_simulated_scenes_by_a_box(simulated_tahoe, tmp_path):
    items = items_of(simulated_tahoe, "")
    catalog = from_stac_items(items, asset_key=["B04", "B08"])
    box = (752_000, 4_312_000, 753_280, 4_313_280)

    def read_box(row):
        return CatalogField(row, GeoSlice(box, row.interval, 20, row.crs)).load()

    report, outputs = CatalogPipeline(
        catalog, TO_NDVI, reader=read_box, writer=tmp_path / "o", workers=2
    ).run()
    assert report.total == report.done == len(outputs) == len(items) == 22
    assert all(item.id.endswith("_SIM") for item in items)
    for path in outputs.gdf.filepath:
        with rasterio.open(path) as file:
            assert file.shape == (64, 64)
            assert tuple(file.bounds) == box


# ---- killed and resumed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
@pytest.mark.parametrize(("archive", "kills"), [("many", 5), ("real", 5)])
def test_a_run_killed_at_random_ends_with_the_same_bytes(archive, kills, tmp_path, request):
    scenes = request.getfixturevalue(archive)
    computed = tmp_path / "computed.txt"
    names = [scenes, tmp_path / "o", tmp_path / "run.jsonl", computed, kills, kills]
    command = [sys.executable, str(SUPPORT / "killed_runs.py"), *map(str, names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    killed = int(done.stdout)
    assert killed >= 2
    from geocatalog import from_geoparquet

    catalog = from_geoparquet(scenes)
    CatalogPipeline(catalog, INDEX, writer=tmp_path / "once").run()
    assert bytes_of(tmp_path / "o") == bytes_of(tmp_path / "once"), "nor is anything left over"
    counts = Counter(computed.read_text().splitlines())
    assert set(counts) == set(catalog.gdf.filepath)
    again = sum(count - 1 for count in counts.values())
    assert again <= killed * (WORKERS + 1), "only what was in flight is done again"
    entries = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()[1:]]
    assert len(entries) == len({entry["key"] for entry in entries}) == len(catalog)


def test_a_resumed_run_computes_nothing_that_is_done(many, tmp_path):
    from geocatalog import from_geoparquet

    seen = []

    def read(row):
        seen.append(row.index)
        if row.index == 7 and len(seen) == 8:
            raise KeyboardInterrupt
        return read_row(row)

    pipeline = CatalogPipeline(
        from_geoparquet(many), INDEX, reader=read, writer=tmp_path / "o", journal=tmp_path / "j"
    )
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    report, outputs = pipeline.run()
    assert (report.resumed, report.done, len(outputs)) == (7, 33, 40)
    assert seen == [*range(8), *range(7, 40)]
    report, outputs = pipeline.run()
    assert (report.resumed, report.done, len(outputs), len(seen)) == (40, 0, 40, 41)


def test_what_a_killed_run_left_is_removed_and_nothing_else(many, tmp_path):
    from geocatalog import from_geoparquet

    catalog = from_geoparquet(many)
    out = tmp_path / "o"
    out.mkdir()
    ours = [f".s_20240101.tif.{'0a' * 16}.tif", f".s_20240102_ndvi.tif.{'b' * 32}.tif"]
    others = [f".other.tif.{'0a' * 16}.tif", ".s_20240101.tif.short.tif", "s_2024.tif.txt"]
    for name in [*ours, *others]:
        (out / name).write_text("left")
    CatalogPipeline(catalog, INDEX, writer=out).run()
    left = {path.name for path in out.iterdir()}
    assert not left & set(ours)
    assert left >= set(others)


# ---- journals


def test_the_journal_of_another_run_is_refused_saying_what_differs(many, tmp_path):
    from geocatalog import from_geoparquet

    catalog, journal = from_geoparquet(many), tmp_path / "run.jsonl"
    CatalogPipeline(catalog, INDEX, writer=tmp_path / "o", journal=journal).run()
    before = journal.read_bytes()

    def read_other(row):
        return read_row(row)

    for changed, says in (
        ({"operator": NDVI(0, 1)}, "operator was .*, is now NDVI{"),
        ({"writer": tmp_path / "p"}, "writer was .*/o, is now .*/p;"),
        ({"reader": read_other}, "reader was read_row, is now .*read_other"),
        ({"columns": dict}, "columns was , is now dict"),
    ):
        options = {"operator": INDEX, "writer": tmp_path / "o", "journal": journal, **changed}
        with pytest.raises(CatalogError, match=f"belongs to another run: {says}"):
            CatalogPipeline(catalog, options.pop("operator"), **options).run()
    assert journal.read_bytes() == before
    assert not (tmp_path / "p").exists()


def test_a_scene_that_changed_is_done_again_and_a_new_one_is_done(many, tmp_path):
    from geocatalog import from_geoparquet

    first = from_geoparquet(many)
    options = {"writer": tmp_path / "o", "journal": tmp_path / "j"}
    CatalogPipeline(first, INDEX, **options).run()
    changed = Path(first.gdf.filepath[3])
    write_raster(changed, np.full((2, 64, 64), 900, "uint16"), west=5e5, north=4.3e6)
    write_raster(
        changed.with_name("s_20240401.tif"),
        np.full((2, 64, 64), 5, "uint16"),
        west=5e5,
        north=4.3e6,
    )
    grown = build_raster_catalog(sorted(changed.parent.glob("s_*.tif")), DATED)
    report, outputs = CatalogPipeline(grown, INDEX, **options).run()
    assert (report.resumed, report.done, len(outputs)) == (39, 2, 41)
    with rasterio.open(tmp_path / "o" / changed.name) as file:
        assert not file.read(1).any(), "equal bands have an NDVI of 0"


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "[]\n", '{"key": 1}\n', "null\n", "no newline", '{"key": "k"}\n{"a": 1}\n']
)  # fmt: skip
def test_a_file_that_is_no_journal_is_left_alone(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(CatalogError, match="is no journal of a run"):
        RowJournal(path, {})
    assert path.read_text() == text


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_half_a_line_is_taken_away(tmp_path, cut):
    path, run = tmp_path / "deep" / "run.jsonl", {"operator": "abc"}
    with RowJournal(path, run) as journal:
        for key in ("one", "two"):
            journal.add(Finished(key, "a.tif", {}))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with RowJournal(path, run) as journal:
        assert list(journal.done) == ["one"]
        journal.add(Finished("two", "a.tif", {}))
    assert path.read_bytes() == whole


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_two_runs_cannot_write_one_journal(tmp_path):
    with RowJournal(tmp_path / "j", {}), pytest.raises(CatalogError, match="in use by another"):
        RowJournal(tmp_path / "j", {})
    RowJournal(tmp_path / "j", {}).close()


def test_names_are_the_same_in_every_process():
    from functools import partial

    class Reader:
        def __call__(self, row):
            return row

    assert "at 0x" not in name_of(Reader())
    assert name_of(CatalogField) == "CatalogField"
    assert name_of(TO_NDVI) == name_of(DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08"))
    bands = [np.arange(2000), np.arange(2000), -np.arange(2000)]
    first, again, other = (name_of(partial(read_row, 1, a=each)) for each in bands)
    assert first == again != other
    assert "at 0x" not in name_of(Lambda(read_row))


class Model:
    def __init__(self, weight):
        self.weight = np.full(3, weight)

    def predict(self, raster):
        return raster * self.weight[0]


def test_a_run_with_an_operator_whose_code_changed_is_refused(many, tmp_path):
    from geocatalog import from_geoparquet

    def pipeline(number):
        names = {"Operator": Operator}
        exec(f"class Own(Operator):\n    def _apply(self, raster): return raster + {number}", names)
        options = {"writer": tmp_path / "o", "journal": tmp_path / "j"}
        return CatalogPipeline(from_geoparquet(many), names["Own"]() | Identity(), **options)

    assert pipeline(1).run()[0].done == 40
    assert pipeline(1).run()[0].resumed == 40
    with pytest.raises(CatalogError, match="belongs to another run: operator was"):
        pipeline(2).run()


@pytest.mark.parametrize("wrapped", [Lambda, lambda function: function], ids=["Lambda", "bare"])
def test_a_run_with_another_models_weights_is_refused(many, tmp_path, wrapped):
    from geocatalog import from_geoparquet

    def pipeline(weight):
        operator = wrapped(Model(weight).predict)
        options = {"writer": tmp_path / "o", "journal": tmp_path / "j"}
        return CatalogPipeline(from_geoparquet(many), operator, **options)

    assert pipeline(1.0).run()[0].done == 40
    assert pipeline(1.0).run()[0].resumed == 40
    with pytest.raises(CatalogError, match="belongs to another run: operator was "):
        pipeline(2.0).run()
