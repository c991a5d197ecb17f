import json
import subprocess
import sys

import numpy as np
import pytest
from footprints import write_raster

from geocatalog import from_geoparquet, open_catalog
from geocatalog.cli import NOTHING_FOUND, main


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scenes").mkdir()
    for i in (1, 2, 3):
        path = tmp_path / "scenes" / f"s_2024060{i}.tif"
        write_raster(path, np.ones((1, 4, 4), "uint8"), west=500000.0 + 40 * i, north=4300000)
    return tmp_path


@pytest.fixture
def catalog(folder):
    path = folder / "catalog.parquet"
    assert main(["build", str(path), str(folder / "scenes"), "--regex", r"_(?P<date>\d{8})"]) == 0
    return path


def test_build_query_info(catalog, folder, capsys):
    capsys.readouterr()
    assert main(["query", str(catalog), "--time", "2024-06-02"]) == 0
    assert capsys.readouterr().out.split() == [str(folder / "scenes" / "s_20240602.tif")]
    assert (
        main(["query", str(catalog), "--bounds", "500100", "0", "500110", "4300000", "--count"])
        == 0
    )
    assert capsys.readouterr().out.strip() == "1"
    assert main(["info", str(catalog)]) == 0
    assert "EPSG:32610" in capsys.readouterr().out


def test_json_is_json(catalog, capsys):
    capsys.readouterr()
    assert main(["query", str(catalog), "--where", "nodata is null", "--limit", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 3
    assert len(found["files"]) == 2
    assert found["files"][0]["nodata"] is None
    assert main(["info", str(catalog), "--json", "--check"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["missing"]) == (3, [])


def test_exit_codes(catalog, folder, capsys):
    assert main(["query", str(catalog), "--time", "1999"]) == NOTHING_FOUND
    assert main(["query", str(catalog), "--where", "1; drop table x"]) == 1
    assert "where refuses" in capsys.readouterr().err
    assert main(["query", str(folder / "absent.parquet")]) == 1
    assert main(["query"]) == 2
    assert main(["nonsense"]) == 2
    (folder / "scenes" / "s_20240601.tif").unlink()
    assert main(["info", str(catalog), "--check"]) == NOTHING_FOUND
    assert "s_20240601.tif" in capsys.readouterr().out


def test_errors_in_files_are_skipped_on_request(folder, capsys):
    (folder / "scenes" / "bad_20240604.tif").write_bytes(b"bad")
    arguments = [
        "build",
        str(folder / "c.parquet"),
        str(folder / "scenes"),
        "--regex",
        r"_(?P<date>\d{8})",
    ]
    assert main(arguments) == 1
    assert "pass --skip-errors to leave such files out" in capsys.readouterr().err
    assert not (folder / "c.parquet").exists()
    assert main([*arguments, "--skip-errors"]) == 0
    assert "bad_20240604.tif" in capsys.readouterr().out
    assert main(["build", str(folder / "c.parquet"), str(folder / "nothing*")]) == 1


def test_an_answer_may_be_a_catalog(catalog, folder):
    part = folder / "part.parquet"
    assert main(["query", str(catalog), "--time", "2024-06-02", "--output", str(part)]) == 0
    assert len(open_catalog(part)) == 1


@pytest.mark.parametrize("ending", ["parquet", "geojson", "gpkg", "csv", "json"])
def test_convert(catalog, folder, ending):
    target = folder / f"out.{ending}"
    assert main(["convert", str(catalog), str(target)]) == 0
    assert target.stat().st_size > 0
    if ending in ("geojson", "gpkg", "parquet"):
        again = folder / "again.parquet"
        assert main(["convert", str(target), str(again)]) == 0
        assert sorted(from_geoparquet(again).gdf.filepath) == sorted(
            from_geoparquet(catalog).gdf.filepath
        )
    if ending == "json":
        rebuilt = folder / "rebuilt.parquet"
        assert main(["build", str(rebuilt), str(target), "--kind", "stac", "--asset", "data"]) == 0
        assert open_catalog(rebuilt).total_bounds == open_catalog(catalog).total_bounds


def test_what_cannot_be_converted_is_refused(catalog, folder, capsys):
    assert main(["convert", str(catalog), str(folder / "out.xyz")]) == 1
    assert ".geojson" in capsys.readouterr().err
    assert main(["convert", str(folder / "in.xyz"), str(folder / "out.csv")]) == 1


def test_help_names_every_command():
    run = [
        sys.executable,
        "-W",
        "error",
        "-c",
        "from geocatalog.cli import main; raise SystemExit(main(['--help']))",
    ]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    for command in ("build", "query", "info", "convert"):
        assert command in done.stdout
