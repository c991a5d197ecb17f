import datetime as dt
import json
import shlex
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import shapely
from footprints import write_raster

from geocatalog import (
    InMemoryGeoCatalog,
    from_geoparquet,
    open_catalog,
    to_geoparquet,
    to_stac_geoparquet,
)
from geocatalog.cli import NOTHING_FOUND, main
from geocatalog.table import as_json

DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


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


# ---- folders as they are: side files, upper case, hidden files, STAC trees

SIDE = ["a.tif.aux.xml", "a.tif.ovr", "a.tif.msk", "a.TIF.OVR", "a.tfw", "a.prj", "a.aux", ".b.tif",
        "._a.tif", ".hidden/c.tif", "a_MTL.txt", "a_thumb.jpeg"]  # fmt: skip


def rows_of(path):
    return sorted(Path(each).name for each in from_geoparquet(path).gdf.filepath)


@pytest.mark.parametrize("pattern", [[], ["--pattern", "**/*.tif*"], ["--pattern", "**/*"]])
def test_side_files_are_no_rasters_and_upper_case_is(pattern, tmp_path, capsys):
    folder = tmp_path / "LC08_L2SP"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    names = ["LC08_B4.TIF", "a.tif", "b.tiff", "deep/C.TIFF"]
    for name in names:
        write_raster(folder / name, np.ones((1, 4, 4), "uint8"), west=5e5, north=4300000)
    for name in SIDE if "**/*" not in pattern else SIDE[:-2]:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("<PAMDataset/>")
    assert main(["build", str(tmp_path / "c.parquet"), str(folder), *pattern]) == 0
    assert rows_of(tmp_path / "c.parquet") == sorted(Path(name).name for name in names)


def test_a_side_file_is_read_where_it_is_asked_for(tmp_path):
    write_raster(tmp_path / "a.tif", np.ones((1, 4, 4), "uint8"), west=5e5, north=4300000)
    (tmp_path / "a.tif").rename(tmp_path / "a.tif.ovr")
    for inputs in ([str(tmp_path / "a.tif.ovr")], [str(tmp_path), "--pattern", "*.OVR"]):
        assert main(["build", str(tmp_path / "c.parquet"), *inputs]) == 0
        assert rows_of(tmp_path / "c.parquet") == ["a.tif.ovr"]


def test_a_folder_without_such_files_says_what_was_looked_for(tmp_path, capsys):
    assert main(["build", str(tmp_path / "c.parquet"), str(tmp_path)]) == 1
    assert "*.tif, *.tiff" in capsys.readouterr().err


def stac_tree(folder, ids=("i", "j")):
    """A static catalog with a collection and items, as pystac saves it."""
    box = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    extent = pystac.Extent(
        pystac.SpatialExtent([[0, 0, 1, 1]]), pystac.TemporalExtent([[DAY, DAY]])
    )
    root, part = pystac.Catalog("root", "d"), pystac.Collection("part", "d", extent)
    root.add_child(part)
    for name in ids:
        item = pystac.Item(name, box, [0, 0, 1, 1], DAY, {})
        item.add_asset("B04", pystac.Asset("./b04.tif", roles=["data"]))
        part.add_item(item)
    root.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)


@pytest.mark.parametrize("options", [[], ["--skip-errors"]])
def test_a_static_tree_is_its_items(options, tmp_path, capsys):
    stac_tree(tmp_path / "tree")
    (tmp_path / "tree" / "part" / "tilejson.json").write_text('{"tiles": []}')
    out = tmp_path / "c.parquet"
    assert main(["build", str(out), str(tmp_path / "tree"), "--kind", "stac", *options]) == 0
    found = from_geoparquet(out).gdf
    assert sorted(found.item_id) == ["i", "j"]
    assert str(tmp_path / "tree" / "part" / "i" / "b04.tif") in set(found.filepath)
    told = capsys.readouterr().out
    assert "tilejson.json: holds no STAC item" in told
    assert "catalog.json" not in told


MALFORMED = {
    "a leap second": lambda item: item["properties"].update(datetime="2016-12-31T23:59:60Z"),
    "no properties": lambda item: item.pop("properties"),
    "no id": lambda item: item.pop("id"),
    "no assets": lambda item: item.update(assets={}),
    "assets as a list": lambda item: item.update(assets=[1]),
    "no place": lambda item: item.update(geometry=None, bbox=None),
    "geometry of no kind": lambda item: item.update(geometry={"type": "Blob"}),
    "geometry as a text": lambda item: item.update(geometry="POINT (0 0)"),
    "a bbox of three": lambda item: item.update(geometry=None, bbox=[0, 1, 2]),
    "a transform of texts": lambda item: item["assets"]["B04"].update(
        {"proj:epsg": 32610, "proj:transform": ["a"] * 6, "proj:shape": [1, 1]}
    ),
    "an unknown CRS": lambda item: item["assets"]["B04"].update(
        {"proj:code": "EPSG:0", "proj:bbox": [0, 0, 1, 1]}
    ),
    "dates that end first": lambda item: item["properties"].update(
        start_datetime="2024-01-02T00:00:00Z", end_datetime="2024-01-01T00:00:00Z"
    ),
    "no object": lambda item: item.clear(),
}


@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_item_is_left_out_and_listed(what, collected, tmp_path, capsys):
    stac_tree(tmp_path / "tree")
    good = tmp_path / "tree" / "part" / "i" / "i.json"
    bad = json.loads(good.read_text())
    MALFORMED[what](bad)
    path = tmp_path / "bad.json"
    items = [json.loads(good.read_text()), bad]
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": items} if collected else bad)
    )
    files = [str(path)] if collected else [str(good), str(path)]
    arguments = ["build", str(tmp_path / "c.parquet"), *files, "--kind", "stac"]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "--skip-errors" in error or "item" in error
    assert main([*arguments, "--skip-errors"]) == 0
    assert capsys.readouterr().out.count("skipped ") == 1
    assert len(from_geoparquet(tmp_path / "c.parquet")) == 1


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3", '{"type": "FeatureCollection"}'])
def test_json_that_is_no_item_is_listed(text, tmp_path, capsys):
    stac_tree(tmp_path / "tree", ids=["i"])
    (tmp_path / "x.json").write_text(text)
    files = [str(tmp_path / "tree"), str(tmp_path / "x.json")]
    arguments = ["build", str(tmp_path / "c.parquet"), *files, "--kind", "stac"]
    assert main(arguments) == 1
    assert main([*arguments, "--skip-errors"]) == 0
    assert "skipped" in capsys.readouterr().out
    assert len(from_geoparquet(tmp_path / "c.parquet")) == 1


# ---- nothing is overwritten


@pytest.mark.parametrize("way", ["same", "relative", "link"])
def test_no_command_writes_over_what_it_reads(way, catalog, folder, capsys, monkeypatch):
    before, target = catalog.read_bytes(), str(catalog)
    if way == "relative":
        monkeypatch.chdir(folder)
        target = "./" + catalog.name
    elif way == "link":
        (folder / "alias.parquet").symlink_to(catalog)
        target = str(folder / "alias.parquet")
    assert main(["convert", str(catalog), target]) == 1
    assert main(["query", str(catalog), "--time", "2024-06-02", "--output", target]) == 1
    assert main(["build", target, str(catalog), "--kind", "vector"]) == 1
    assert capsys.readouterr().err.count("over its own input") == 3
    assert catalog.read_bytes() == before


def test_a_forgotten_output_does_not_cost_a_scene(folder, capsys):
    scenes = sorted(map(str, (folder / "scenes").iterdir()))
    before = Path(scenes[0]).read_bytes()
    assert main(["build", *scenes]) == 1
    assert "the first path is that of the catalog to write" in capsys.readouterr().err
    assert Path(scenes[0]).read_bytes() == before


def test_a_catalog_is_built_again_in_its_place(catalog, folder):
    assert main(["build", str(catalog), str(folder / "scenes")]) == 0


# ---- pipes and numbers


@pytest.mark.parametrize("command", ["query", "query --json", "info --check", "--help", "build"])
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_closed_pipe_ends_every_command_quietly(command, reader, tmp_path):
    n = 4000
    frame = {"filepath": [f"/d/{'x' * 40}{i}.tif" for i in range(n)]}
    shapes = [shapely.box(0, 0, 1, 1)] * n
    path = to_geoparquet(
        InMemoryGeoCatalog(gpd.GeoDataFrame(frame, geometry=shapes, crs=4326)),
        tmp_path / "c.parquet",
    )
    name, *options = command.split()
    if name == "build":
        options = [path, "--kind", "vector", "--json"]
        path = str(tmp_path / "d.parquet")
    words = [name] if name == "--help" else [name, path, *options]
    script = "import sys; from geocatalog.cli import main; sys.exit(main(sys.argv[1:]))"
    line = shlex.join([sys.executable, "-c", script, *words]) + f" | {reader}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ["query", "c.parquet", "--limit", "-1"],
        ["query", "c.parquet", "--limit", "9" * 30],
        ["query", "c.parquet", "--bounds", "1", "2", "3", "x"],
        ["build", "c.parquet", "x", "--workers", "0"],
        ["build", "c.parquet", "x", "--workers", "-3"],
    ],
)
def test_bad_numbers_are_usage_errors(words, capsys):
    assert main(words) == 2


def test_what_the_disk_refuses_is_one_line(catalog, folder, capsys):
    assert main(["build", str(folder / "scenes"), str(folder / "scenes")]) == 1
    assert main(["convert", str(catalog), str(folder / "no" / "c.csv")]) == 1
    assert capsys.readouterr().err.count("geocatalog: ") == 2


def test_every_command_takes_places_on_a_store(folder, on_store, capsys):
    for path in (folder / "scenes").iterdir():
        (on_store / "scenes" / path.name).upload(path)
    (on_store / "scenes" / "a.tif.aux.xml").write(b"<a/>")
    table, answer = str(on_store / "all.parquet"), str(on_store / "one.parquet")
    words = [f"{on_store}/scenes/", "--regex", r"_(?P<date>\d{8})"]
    assert main(["build", table, *words]) == 0
    assert main(["query", table, "--time", "2024-06-02", "--output", answer]) == 0
    assert capsys.readouterr().out.split()[-1] == f"{on_store}/scenes/s_20240602.tif"
    assert main(["info", answer]) == 0
    assert main(["convert", table, str(on_store / "all.geojson")]) == 0
    assert main(["convert", str(on_store / "all.geojson"), str(folder / "back.parquet")]) == 0
    assert len(open_catalog(folder / "back.parquet")) == 3
    items = [str(on_store / "items.json"), str(on_store / "again.parquet")]
    assert main(["convert", table, items[0]]) == 0
    assert main(["build", items[1], items[0], "--kind", "stac"]) == 0
    assert sorted(open_catalog(items[1]).paths) == sorted(open_catalog(table).paths)
    assert main(["build", str(on_store / "scenes/s_20240602.tif"), *words]) == 1
    assert "own input" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["geojson", "gpkg", "csv"])
def test_lists_and_dicts_are_json_in_other_forms(folder, ending):
    told = {"lists": [[1, 2], [], None], "dicts": [{"a": None}, {"b": [1]}, None]}
    rows = gpd.GeoDataFrame(
        {"filepath": list("abc"), **told}, geometry=[shapely.box(0, 0, 1, 1)] * 3, crs=4326
    )
    source = to_geoparquet(InMemoryGeoCatalog(rows), folder / "rows.parquet")
    target = folder / f"rows.{ending}"
    assert main(["convert", source, str(target)]) == 0
    found = pd.read_csv(target) if ending == "csv" else gpd.read_file(target)
    found = found.set_index("filepath")
    for name, values in told.items():
        for path, value in zip("abc", values, strict=True):
            read = as_json(found[name][path])
            assert (json.loads(read) if isinstance(read, str) else read) == value


def test_geojson_lies_on_both_sides_of_180(folder):
    """What crosses 180 in metres would go once around the globe."""
    rows = gpd.GeoDataFrame(
        {"filepath": ["a"]}, geometry=[shapely.box(3e5, 8e6, 9e5, 8.1e6)], crs=32760
    )
    source = to_geoparquet(InMemoryGeoCatalog(rows), folder / "rows.parquet")
    assert main(["convert", source, str(folder / "rows.geojson")]) == 0
    (shape,) = gpd.read_file(folder / "rows.geojson").geometry
    assert shape.geom_type == "MultiPolygon"
    assert shape.area < 10


def test_a_folder_and_items_are_converted_too(folder, catalog):
    source = to_geoparquet(from_geoparquet(catalog), folder / "parted", partition="day")
    assert main(["convert", source, str(folder / "parted.parquet")]) == 0
    assert rows_of(folder / "parted.parquet") == rows_of(catalog)
    items = to_stac_geoparquet(from_geoparquet(catalog), folder / "items.parquet")
    assert main(["convert", items, str(folder / "again.parquet")]) == 0
    assert rows_of(folder / "again.parquet") == rows_of(catalog)
    assert main(["convert", str(folder / "nowhere"), str(folder / "x.csv")]) == 1
    assert main(["convert", source, str(folder / "no" / "x.geojson")]) == 1


def test_a_row_without_a_place_is_json_too(folder, capsys):
    rows = gpd.GeoDataFrame({"filepath": ["a"]}, geometry=[shapely.Polygon()], crs=4326)
    source = to_geoparquet(InMemoryGeoCatalog(rows), folder / "rows.parquet")
    assert main(["query", source, "--json"]) == 0

    def refuse(text):
        raise AssertionError(text)

    (found,) = json.loads(capsys.readouterr().out, parse_constant=refuse)["files"]
    assert found["bounds"] == [None] * 4
