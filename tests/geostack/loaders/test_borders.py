"""States and provinces."""

import zipfile

import geopandas as gpd
import pytest
import shapely

from geostack import (
    LAKE_TAHOE_BBOX,
    NoSceneError,
    SourceUnavailableError,
    load_natural_earth_admin1,
)


@pytest.fixture(autouse=True)
def no_server(monkeypatch, tmp_path):
    monkeypatch.setenv("GEOSTACK_NATURAL_EARTH_URL", "http://127.0.0.1:9/admin1.zip")
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path / "cache"))
    for module in ("loaders.borders", "cache"):
        monkeypatch.setattr(f"geostack.{module}.fallback_folder", lambda: tmp_path / "fallback")


def test_the_cut_tiles_the_west_without_overlaps_and_gaps():
    states = load_natural_earth_admin1()
    assert states.attrs["source"] == "natural-earth-cut"
    assert len(states) == 11
    assert states.is_valid.all()
    assert list(states.columns) == ["name", "postal", "iso_3166_2", "admin", "geometry"]
    union = states.geometry.union_all()
    overlap = sum(shape.area for shape in states.geometry) - union.area
    assert overlap < 1e-3
    assert union.geom_type == "Polygon"
    assert len(union.interiors) == 0


def test_the_state_line_crosses_lake_tahoe():
    states = load_natural_earth_admin1(source="simulated").set_index("postal")
    lake = shapely.box(*LAKE_TAHOE_BBOX)
    assert states.loc["CA"].geometry.intersects(lake)
    assert states.loc["NV"].geometry.intersects(lake)
    assert not states.loc["OR"].geometry.intersects(lake)


def test_the_cut_is_the_truth_rounded(shared_data):
    drawn = load_natural_earth_admin1(source="simulated").set_index("name").geometry
    true = gpd.read_file(shared_data / "vector" / "admin1-us.geojson")
    column = next(name for name in true.columns if "California" in set(true[name].astype(str)))
    true = true.set_index(column).geometry
    for name in drawn.index:
        shared = drawn[name].intersection(true[name]).area
        assert shared / drawn[name].union(true[name]).area > 0.999, name


@pytest.mark.parametrize("writable", [True, False])
def test_the_server_is_asked_once_and_then_the_cache(
    server, shared_data, tmp_path, monkeypatch, writable
):
    if not writable:
        (tmp_path / "cache").write_text("a file where the cache folder should be")
    table = gpd.read_file(shared_data / "vector" / "admin1-us.geojson").head(5)
    table = table[[table.geometry.name]].assign(NAME=list("abcde"), admin="USA")
    table.to_file(tmp_path / "ne.shp")
    with zipfile.ZipFile(tmp_path / "ne.zip", "w") as archive:
        for path in tmp_path.glob("ne.*"):
            if path.suffix != ".zip":
                archive.write(path, path.name)
    url = server.add_file(tmp_path / "ne.zip", "ne/admin1.zip")
    monkeypatch.setenv("GEOSTACK_NATURAL_EARTH_URL", url)
    first = load_natural_earth_admin1(source="planetary-computer")
    again = load_natural_earth_admin1()
    assert list(first["name"]) == list("abcde") == list(again["name"])
    assert again.attrs["source"] == "natural-earth"
    assert len(server.requests("admin1")) == 1


def test_the_archive_comes_first(shared_data, tmp_path, monkeypatch):
    folder = tmp_path / "natural-earth"
    folder.mkdir()
    data = (shared_data / "vector" / "admin1-us.geojson").read_bytes()
    (folder / "admin1.geojson").write_bytes(data)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    states = load_natural_earth_admin1()
    assert states.attrs["source"] == "archive"
    assert len(states) == 51


def test_what_is_not_there_is_said():
    with pytest.raises(NoSceneError, match=r"put a file at .*natural-earth/admin1\.geojson"):
        load_natural_earth_admin1(source="archive")
    with pytest.raises(SourceUnavailableError, match="did not answer"):
        load_natural_earth_admin1(source="planetary-computer")
