"""Laws of the algebra, over random catalogs on both backends, beside plain loops as the oracle."""

import numpy as np
import pytest
import shapely
from footprints import frame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocatalog import InMemoryGeoCatalog, intersect, open_catalog, to_geoparquet, union
from geocatalog.footprint import reproject

LAWS = settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Whole numbers, few of them: rows that touch, repeat or are contained are then common.
place = st.integers(0, 12)
day = st.integers(1, 9)


@st.composite
def row(draw):
    west, south, first = draw(place), draw(place), draw(day)
    east, north = west + draw(st.integers(1, 5)), south + draw(st.integers(1, 5))
    last = min(9, first + draw(st.integers(0, 3)))
    kind = draw(st.sampled_from(["box", "box", "triangle", "undated"]))
    return west, south, east, north, first, last, kind


@st.composite
def question(draw):
    west, south, first = draw(place), draw(place), draw(day)
    box = (west, south, west + draw(st.integers(0, 8)), south + draw(st.integers(0, 8)))
    return box, (f"2024-06-0{first}", f"2024-06-0{min(9, first + draw(st.integers(0, 4)))}")


rows_of = st.lists(row(), max_size=14)


def catalog_of(rows, offset=0):
    """Return a catalog of drawn rows; `offset` keeps the names of two catalogs apart."""
    bounds = [r[:4] for r in rows] or np.zeros((0, 4))
    starts = [None if r[6] == "undated" else f"2024-06-0{r[4]}" for r in rows]
    ends = [None if r[6] == "undated" else f"2024-06-0{r[5]}" for r in rows]
    table = frame(bounds, starts, ends, number=list(range(offset, offset + len(rows))))
    table["filepath"] = [f"/data/{offset + i:04d}.tif" for i in range(len(rows))]
    for i, r in enumerate(rows):
        if r[6] == "triangle":
            west, south, east, north = r[:4]
            table.loc[i, "geometry"] = shapely.Polygon(
                [(west, south), (east, south), (west, north)]
            )
    return InMemoryGeoCatalog(table)


def keys(catalog):
    """Return the rows as a sorted list of what makes them what they are."""
    table = catalog.gdf
    shapes = shapely.to_wkt(shapely.normalize(table.geometry.to_numpy()), rounding_precision=6)
    extra = table["filepath_right"] if "filepath_right" in table else table["filepath"]
    return sorted(
        zip(
            table.filepath,
            extra,
            map(str, table.start_time),
            map(str, table.end_time),
            shapes,
            strict=True,
        )
    )


def oracle(catalog, box, time=None):
    """Answer a query row by row, by shapely and Python alone."""
    found = []
    for r in catalog.iter_rows():
        touches = r.geometry.intersects(shapely.box(*box))
        dated = str(r.start_time) != "NaT"
        first, last = str(r.start_time)[:10], str(r.end_time)[:10]
        if touches and (time is None or not dated or (first <= time[1] and last >= time[0])):
            found.append(r.filepath)
    return sorted(found)


def paths(catalog):
    return sorted(catalog.gdf.filepath)


@LAWS
@given(rows=rows_of, asked=question())
def test_query_is_what_a_loop_over_the_rows_finds(as_backend, rows, asked):
    memory = catalog_of(rows)
    catalog = as_backend(memory)
    box, time = asked
    assert paths(catalog.query(bounds=box)) == oracle(memory, box)
    assert paths(catalog.query(bounds=box, time=time)) == oracle(memory, box, time)


@LAWS
@given(rows=rows_of, asked=question())
def test_query_is_idempotent_and_its_parts_commute(as_backend, rows, asked):
    catalog = as_backend(catalog_of(rows))
    box, time = asked
    both = catalog.query(bounds=box, time=time)
    assert keys(both.query(bounds=box, time=time)) == keys(both)
    assert keys(catalog.query(bounds=box).query(time=time)) == keys(both)
    assert keys(catalog.query(time=time).query(bounds=box)) == keys(both)
    assert len(both) == len(both.gdf) == sum(1 for _ in both.iter_rows())


@LAWS
@given(rows=rows_of, asked=question(), grow=st.integers(0, 4))
def test_query_is_monotone(as_backend, rows, asked, grow):
    catalog = as_backend(catalog_of(rows))
    (west, south, east, north), time = asked
    small = catalog.query(bounds=(west, south, east, north), time=time)
    large = catalog.query(bounds=(west - grow, south - grow, east + grow, north + grow), time=time)
    assert set(paths(small)) <= set(paths(large)) <= set(paths(catalog))


@LAWS
@given(rows=rows_of, asked=question(), limit=st.integers(0, 14))
def test_where_and_query_commute(as_backend, rows, asked, limit):
    catalog = as_backend(catalog_of(rows))
    box, time = asked
    one = catalog.where(f"number < {limit}").query(bounds=box, time=time)
    two = catalog.query(bounds=box, time=time).where(f"number < {limit}")
    assert keys(one) == keys(two)


@LAWS
@given(first=rows_of, second=rows_of, third=rows_of)
def test_union_is_associative_commutative_and_idempotent(as_backend, first, second, third):
    a, b, c = (as_backend(catalog_of(r, 100 * i)) for i, r in enumerate((first, second, third)))
    assert keys(union(union(a, b), c)) == keys(union(a, union(b, c)))
    assert keys(union(a, b)) == keys(union(b, a))
    assert keys(union(a, a)) == keys(union(a, a.query(bounds=(-1, -1, 30, 30))))
    assert len(union(a, b)) == len({*keys(a)}) + len({*keys(b)})


@LAWS
@given(first=rows_of, second=rows_of, spatial_only=st.booleans(), touching=st.booleans())
def test_intersect_is_the_clipped_pairs_of_a_double_loop(
    as_backend, first, second, spatial_only, touching
):
    left, right = catalog_of(first), catalog_of(second, 100)
    found = intersect(as_backend(left), as_backend(right), spatial_only, touching)
    expected = []
    for a in left.iter_rows():
        for b in right.iter_rows():
            start = max(t for t in (a.start_time.value, b.start_time.value))
            end = min(_end(a), _end(b))
            shared = a.geometry.intersection(b.geometry)
            meet = not shared.is_empty if touching else shared.area > 0
            if meet and (spatial_only or start <= end):
                expected.append((a.filepath, b.filepath))
    pairs = sorted(zip(found.gdf.filepath, found.gdf.filepath_right, strict=True))
    assert pairs == sorted(expected)
    assert len(found) == len(expected)


def _end(r):
    return np.iinfo(np.int64).max if str(r.end_time) == "NaT" else r.end_time.value


@LAWS
@given(first=rows_of, second=rows_of)
def test_intersect_lies_inside_both_and_commutes_in_footprints(as_backend, first, second):
    left, right = catalog_of(first), catalog_of(second, 100)
    found = intersect(as_backend(left), as_backend(right))
    by_path = {r.filepath: r for c in (left, right) for r in c.iter_rows()}
    for r in found.iter_rows():
        for source in (by_path[r.filepath], by_path[r.extras["filepath_right"]]):
            assert source.geometry.buffer(1e-9).covers(r.geometry)
            assert str(source.start_time) == "NaT" or r.start_time >= source.start_time
            assert str(source.end_time) == "NaT" or r.end_time <= source.end_time
    back = intersect(as_backend(right), as_backend(left))
    mirrored = sorted((k[1], k[0], *k[2:]) for k in keys(back))
    assert mirrored == keys(found)


@LAWS
@given(rows=rows_of, asked=question())
def test_both_backends_give_the_same_rows(tmp_path, rows, asked):
    memory = catalog_of(rows)
    file = open_catalog(to_geoparquet(memory, tmp_path / "catalog.parquet", row_group_size=4))
    box, time = asked
    for one, two in [
        (memory, file),
        (memory.query(bounds=box, time=time), file.query(bounds=box, time=time)),
    ]:
        assert keys(one) == keys(two)
        assert one.total_bounds == two.total_bounds
        assert one.temporal_extent == two.temporal_extent
        assert one.columns == two.columns
        assert (one.gdf.dtypes == two.gdf.dtypes).all()


@settings(LAWS, max_examples=6)
@given(
    cells=st.lists(st.tuples(place, place), min_size=1, max_size=8, unique=True),
    at=st.tuples(place, place),
)
def test_cross_crs_is_same_crs_after_reprojection(as_backend, cells, at):
    """Kilometre cells in UTM, asked in degrees: the same as asking the moved footprints."""
    east, north = 700_000.0, 4_300_000.0

    def cell(x, y):
        return east + 1000 * x, north + 1000 * y, east + 1000 * x + 800, north + 1000 * y + 800

    memory = InMemoryGeoCatalog(frame([cell(x, y) for x, y in cells]))
    centre = reproject(np.array([shapely.Point(*cell(*at)[:2]).buffer(1)]), 32610, 4326)[0]
    box = (
        centre.bounds[0] - 0.01,
        centre.bounds[1] - 0.01,
        centre.bounds[2] + 0.01,
        centre.bounds[3] + 0.01,
    )
    moved = reproject(memory.gdf.geometry.to_numpy(), 32610, 4326)
    expected = {
        p
        for p, shape in zip(memory.gdf.filepath, moved, strict=True)
        if shape.intersects(shapely.box(*box))
    }
    assert set(paths(as_backend(memory).query(bounds=box, crs=4326))) == expected


def test_a_union_across_crs_is_in_the_first_one_s(as_backend):
    here = InMemoryGeoCatalog(frame((700000, 4300000, 701000, 4301000)))
    there = frame((-121, 38, -120, 39), crs=4326)
    there["filepath"] = ["/data/degrees.tif"]
    both = union(as_backend(here), as_backend(InMemoryGeoCatalog(there)))
    assert both.crs == here.crs
    assert len(both) == 2
    west, south, east, north = both.total_bounds
    assert 650000 < west < 700000 < 701000 < east < 800000
    assert 4.19e6 < south < north < 4.33e6
    assert len(union(both, here)) == 2


def test_an_intersection_across_crs(as_backend):
    here = InMemoryGeoCatalog(frame((700000, 4300000, 701000, 4301000)))
    there = InMemoryGeoCatalog(frame((-121, 38, -120, 39), crs=4326))
    shared = intersect(as_backend(here), as_backend(there))
    assert shared.total_bounds == pytest.approx(here.total_bounds)
    assert intersect(as_backend(there), as_backend(here)).crs == there.crs


def test_columns_of_both_survive_under_names_of_their_own():
    left = InMemoryGeoCatalog(frame((0, 0, 2, 2), kind=["image"], cloud=[1.0]))
    right = InMemoryGeoCatalog(frame((1, 1, 3, 3), kind=["label"], name=["field"]), "vector")
    shared = left & right
    row = shared.gdf.iloc[0]
    assert (row.kind, row.kind_right, row["name"], row.cloud) == ("image", "label", "field", 1.0)
    assert shared.columns == list(shared.gdf.columns)
    assert shared.backend == "raster"
    assert row.geometry.bounds == (1, 1, 2, 2)
    again = (shared & right).gdf
    assert "filepath_right_right" in again


def test_a_union_keeps_columns_that_only_one_has_and_refuses_two_kinds():
    left = InMemoryGeoCatalog(frame((0, 0, 2, 2), cloud=[1.0]))
    other = frame((0, 0, 2, 2), tile=["T1"])
    other["filepath"] = ["/data/other.tif"]
    both = (left | InMemoryGeoCatalog(other)).gdf
    assert both.cloud.isna().tolist() == [False, True]
    assert both.tile.tolist()[1] == "T1"
    with pytest.raises(ValueError, match="raster and vector"):
        left.union(InMemoryGeoCatalog(other, "vector"))
