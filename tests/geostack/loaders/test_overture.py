"""Overture buildings: the address, and a query that reads only a box."""

import duckdb
import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from globe import Place, places
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geostack import load_overture_buildings_url, query_overture


@pytest.fixture(scope="module")
def buildings(shared_data):
    return shared_data / "vector" / "overture_buildings.parquet"


def test_address():
    assert load_overture_buildings_url("2025-01-22.0").startswith("s3://overturemaps-us-west-2/")
    for bad in ("latest", "2024", "2024-07-22.0/../x", ""):
        with pytest.raises(ValueError, match="an Overture release looks like"):
            load_overture_buildings_url(bad)


def test_the_whole_file(buildings):
    found = query_overture(buildings, bbox=(-180, -90, 180, 90))
    assert len(found) == 100
    assert found.crs.to_epsg() == 4326
    assert (found.geom_type == "Polygon").all()
    assert list(found.columns) == ["id", "height", "class", "geometry"]


def test_a_box_finds_what_geopandas_finds(buildings):
    table = gpd.read_parquet(buildings)
    west, south, east, north = table.total_bounds
    box = (west, south, (west + east) / 2, (south + north) / 2)
    bounds = table.bounds
    # Overture's boxes are float32, rounded outward.
    expected = set(table["id"][(bounds.minx <= box[2]) & (bounds.miny <= box[3])])
    found = query_overture(buildings, bbox=box, columns=("id",))
    assert 0 < len(found) < 100
    assert expected <= set(found["id"])
    assert len(found) - len(expected) <= 1
    assert len(query_overture(buildings, bbox=box, limit=3)) == 3


def test_an_empty_box_is_typed(buildings):
    empty = query_overture(buildings, bbox=(0, 0, 1, 1))
    assert len(empty) == 0
    assert empty.crs.to_epsg() == 4326
    assert "geometry" in empty.columns


def test_row_groups_away_from_the_box_are_skipped(tmp_path):
    x = np.sort(np.random.default_rng(0).uniform(0, 100, 20_000))
    shapes = shapely.box(x, 0, x + 0.001, 0.001)
    table = pa.table(
        {
            "id": [str(number) for number in range(len(x))],
            "geometry": shapely.to_wkb(shapes),
            "bbox": pa.StructArray.from_arrays(
                [pa.array(x), pa.array(x + 0.001), pa.array(0 * x), pa.array(0 * x + 0.001)],
                ["xmin", "xmax", "ymin", "ymax"],
            ),
        }
    )
    path = tmp_path / "b.parquet"
    pq.write_table(table, path, row_group_size=1000)
    found = query_overture(path, bbox=(50, -1, 51, 1), columns=("id",))
    assert len(found) == ((x <= 51) & (x + 0.001 >= 50)).sum()
    # Damage every row group but those near the box: a query that read them would fail.
    metadata = pq.ParquetFile(path).metadata
    data = bytearray(path.read_bytes())
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        low, high = x[number * 1000], x[min(number * 1000 + 999, len(x) - 1)]
        if high < 50 or low > 51:
            start = min(
                group.column(c).dictionary_page_offset or group.column(c).data_page_offset
                for c in range(group.num_columns)
            )
            data[start : start + 500] = b"\xff" * 500
    path.write_bytes(data)
    again = query_overture(path, bbox=(50, -1, 51, 1), columns=("id",))
    assert list(again["id"]) == list(found["id"])
    with pytest.raises((duckdb.Error, OSError, RuntimeError)):
        query_overture(path, bbox=(-1, -1, 101, 1), columns=("id",))


NAMES = [("xmin", "ymin", "xmax", "ymax"), ("minx", "miny", "maxx", "maxy")]


def boxes_file(path, sides, names):
    """A Parquet of boxes in Overture's layout, called by their numbers."""
    shapes = [shapely.box(*each) for each in sides]
    boxes = [dict(zip(names, map(float, each), strict=True)) for each in sides]
    table = {"id": [str(n) for n in range(len(sides))], "geometry": shapely.to_wkb(shapes)}
    pq.write_table(pa.table({**table, "bbox": boxes}), path)
    return path


@pytest.mark.parametrize("names", [*NAMES, ("XMin", "YMin", "XMax", "YMax")])
def test_releases_name_the_sides_of_boxes_in_two_ways(tmp_path, names):
    path = boxes_file(tmp_path / "a.parquet", [(0, 0, 1, 1), (5, 5, 6, 6)], names)
    assert list(query_overture(path, bbox=(0, 0, 2, 2), columns=("id",))["id"]) == ["0"]


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (
            [{"west": 0.0, "east": 1.0}],
            "the bbox column holds (west, east|east, west); .* since release 2024",
        ),
        ([[0.0, 0.0, 1.0, 1.0]], "the bbox column holds double"),
        (["0,0,1,1"], "the bbox column holds varchar"),
    ],
)
def test_other_boxes_are_refused_with_what_each_release_has(tmp_path, boxes, said):
    table = {"id": ["a"], "geometry": shapely.to_wkb([shapely.box(0, 0, 1, 1)]), "bbox": boxes}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=f"(?i){said}"):
        query_overture(tmp_path / "a.parquet", bbox=(0, 0, 2, 2), columns=("id",))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(places(), min_size=1, max_size=5), places(), st.sampled_from(NAMES))
def test_a_box_finds_what_touches_its_cells(tmp_path, held, asked, names):
    # A building lies on one side of 180.
    held = [place for place in held if not place.crosses]
    path = boxes_file(tmp_path / "a.parquet", [each.rfc for each in held] or [(0, 0, 1, 1)], names)
    shared = {str(n) for n, each in enumerate(held) if each.cells() & asked.cells()}
    found = set(query_overture(path, bbox=asked.rfc, columns=("id",))["id"])
    touching = asked.split()
    assert shared <= found
    assert found - shared <= {
        str(n) for n, each in enumerate(held or [Place(0, 0, 1, 1)])
        if touching.intersects(each.split())
    }  # fmt: skip


def test_the_former_place_still_has_the_names():
    from geostack import overture

    with pytest.warns(DeprecationWarning, match="take query_overture from geostack, not"):
        assert overture.query_overture is query_overture
    with pytest.raises(AttributeError):
        _ = overture.nothing


def test_bad_input(buildings, tmp_path):
    with pytest.raises(ValueError, match="no column storeys; there are id, geometry"):
        query_overture(buildings, bbox=(0, 0, 1, 1), columns=("storeys",))
    with pytest.raises(FileNotFoundError, match="no Parquet file at"):
        query_overture(tmp_path / "none.parquet", bbox=(0, 0, 1, 1))
    for limit in (0, -1, "all"):
        with pytest.raises(ValueError, match="limit must be a whole number of at least 1"):
            query_overture(buildings, bbox=(0, 0, 1, 1), limit=limit)
    with pytest.raises(ValueError, match="bbox"):
        query_overture(buildings, bbox=(1, 0, 0, 1))
