"""What every catalog promises, on both backends."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from footprints import frame, paths_of, utc
from globe import places
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocatalog import (
    CatalogError,
    CatalogRow,
    GeoCatalog,
    GeoSlice,
    InMemoryGeoCatalog,
    intersect,
    query,
)
from geocatalog.catalog import LostChangeWarning
from geocatalog.footprint import reproject_box


def names(catalog):
    return [int(name[:4]) for name in paths_of(catalog)]


def test_touching_edges_and_instants_are_in(four_scenes, as_backend):
    catalog = as_backend(four_scenes)
    assert names(catalog.query(bounds=(200, 100, 250, 150))) == [1, 2]
    assert names(catalog.query(bounds=(200.001, 50, 250, 60))) == [2]
    assert names(catalog.query(time=("2024-06-30", "2024-07-01"))) == [1]
    assert names(catalog.query(time=utc("2024-07-01"))) == [1]
    assert names(catalog.query(time=pd.Timestamp("2024-06-01T23:59:59.999999"))) == [0]
    assert names(catalog.query(time=pd.Timestamp("2024-06-02"))) == []


def test_day_only_dates_cover_their_day(as_backend):
    one = InMemoryGeoCatalog(frame((0, 0, 1, 1), "2024-06-01", "2024-06-01"))
    catalog = as_backend(one)
    assert len(catalog.query(time="2024-06-01")) == 1
    assert len(catalog.query(time="2024-06-01T18:30")) == 1
    assert len(catalog.query(time="2024-06-02")) == 0


def test_zones_are_one_instant(as_backend):
    catalog = as_backend(InMemoryGeoCatalog(frame((0, 0, 1, 1), "2024-06-01T12:00-07:00")))
    assert len(catalog.query(time="2024-06-01T19:00Z")) == 1
    assert len(catalog.query(time="2024-06-01T12:00")) == 0


def test_undated_files_match_every_time(as_backend):
    rows = frame([(0, 0, 1, 1), (0, 0, 1, 1)], [None, "2024-06-01"], [None, "2024-06-01"])
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert names(catalog.query(time="1999")) == [0]
    assert names(catalog.query(time="2024-06")) == [0, 1]
    assert catalog.temporal_extent.left == utc("2024-06-01")
    assert next(r for r in catalog.iter_rows() if r.filepath.endswith("0000.tif")).interval is None


def test_slice_and_keywords_ask_the_same(four_scenes, as_backend):
    catalog = as_backend(four_scenes)
    slice_ = GeoSlice((150, 10, 250, 20), "2024-07/2024-08", 10, 32610)
    by_words = catalog.query(bounds=(150, 10, 250, 20), time=("2024-07", "2024-08"))
    assert paths_of(catalog.query(slice_)) == paths_of(by_words) == paths_of(query(catalog, slice_))
    assert names(by_words) == [1, 2]


def test_a_query_in_degrees_finds_what_the_same_box_in_metres_finds(as_backend):
    cells = [(700000 + 1000 * i, 4300000, 701000 + 1000 * i, 4301000) for i in range(20)]
    catalog = as_backend(InMemoryGeoCatalog(frame(cells)))
    middle = GeoSlice((707500, 4300200, 709500, 4300800), None, 10, 32610)
    assert names(catalog.query(middle)) == [7, 8, 9]
    assert names(catalog.query(middle.to_crs(4326))) == [7, 8, 9]
    assert names(catalog.query(middle.to_crs(3857))) == [7, 8, 9]


def test_a_tilted_box_is_not_its_bounds(as_backend):
    """A box in degrees leans in UTM far from the central meridian: its bounds' corners are empty."""
    box = (-120.0, 39.0, -119.4, 39.7)
    west, south, east, north = reproject_box(box, 4326, 32610).bounds
    corners = [(x, y, x + 100, y + 100) for x in (west, east - 100) for y in (south, north - 100)]
    centre = ((west + east) / 2, (south + north) / 2)
    rows = frame([*corners, (*centre, centre[0] + 100, centre[1] + 100)])
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert len(catalog.query(bounds=(west, south, east, north))) == 5
    inside = {i for i, c in enumerate(corners) if _degrees_touch(c, box)}
    assert len(inside) < 4
    assert set(names(catalog.query(bounds=box, crs=4326))) == inside | {4}


def _degrees_touch(cell, box):
    return reproject_box(cell, 32610, 4326).intersects(shapely.box(*box))


def test_the_whole_world_may_be_asked_of_a_projected_catalog(four_scenes, as_backend):
    rows = frame([(700000, 4300000, 700010, 4300010)])
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert len(catalog.query(bounds=(-180, -90, 180, 90), crs=4326)) == 1
    assert len(catalog.query(bounds=(0, -90, 180, 90), crs=4326)) == 0


def test_a_box_across_the_antimeridian_is_two(as_backend):
    rows = frame([(178, -19, 179, -18), (-179, -19, -178, -18), (0, -19, 1, -18)], crs=4326)
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert names(catalog.query(bounds=(177, -20, -177, -17))) == [0, 1]
    assert names(catalog.query(bounds=(177, -20, 180, -17))) == [0]
    assert names(catalog.query(bounds=(-177, -20, 177, -17))) == [2]
    assert names(catalog.query(bounds=(177, -20, 183, -17))) == [0, 1]
    assert names(catalog.query(bounds=(-183, -20, -177, -17))) == [0, 1]
    assert names(catalog.query(bounds=(181, -20, 183, -17))) == [1]
    assert names(catalog.query(GeoSlice((177, -20, 183, -17), None, 1, 4326))) == [0, 1]


def test_degrees_beyond_180_ask_a_projected_catalog_too(as_backend):
    rows = frame([(100_000, 8_000_000, 300_000, 8_200_000)], crs=32701)
    catalog = as_backend(InMemoryGeoCatalog(rows))
    for bounds in [(177, -19, -178, -17), (177, -19, 182, -17), (-183, -19, -178, -17)]:
        assert names(catalog.query(bounds=bounds, crs=4326)) == [0]
    assert names(catalog.query(bounds=(175, -19, 176, -17), crs=4326)) == []


def test_a_footprint_across_the_antimeridian_is_found_from_both_sides(as_backend):
    halves = shapely.MultiPolygon([shapely.box(179, -1, 180, 1), shapely.box(-180, -1, -179, 1)])
    rows = gpd.GeoDataFrame({"filepath": ["/data/0000.tif"]}, geometry=[halves], crs=4326)
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert len(catalog.query(bounds=(179.5, 0, 179.6, 1))) == 1
    assert len(catalog.query(bounds=(-179.6, 0, -179.5, 1))) == 1
    assert len(catalog.query(bounds=(0, 0, 1, 1))) == 0


def test_a_utm_box_across_the_antimeridian_finds_geographic_rows(as_backend):
    rows = frame([(179.5, -18, 179.9, -17), (-179.9, -18, -179.5, -17), (10, 0, 11, 1)], crs=4326)
    catalog = as_backend(InMemoryGeoCatalog(rows))
    fiji = GeoSlice((100000, 8000000, 300000, 8200000), None, 10, 32701)
    assert names(catalog.query(fiji)) == [0, 1]


def test_footprints_that_are_no_boxes_are_tested_exactly(as_backend):
    triangle = shapely.Polygon([(0, 0), (100, 0), (0, 100)])
    rows = gpd.GeoDataFrame({"filepath": ["/data/0000.tif"]}, geometry=[triangle], crs=32610)
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert len(catalog.query(bounds=(90, 90, 100, 100))) == 0
    assert len(catalog.query(bounds=(50, 50, 100, 100))) == 1
    found = catalog.query(bounds=(0, 0, 10, 10))
    assert found.total_bounds == (0, 0, 100, 100)
    assert [row.filepath for row in found.iter_rows()] == ["/data/0000.tif"]


def test_empty_answers_keep_schema_crs_and_backend(four_scenes, as_backend):
    empty = as_backend(four_scenes).query(bounds=(1e6, 1e6, 2e6, 2e6))
    assert len(empty) == 0
    assert empty.crs == four_scenes.crs
    assert empty.backend == "raster"
    assert list(empty.gdf.columns) == empty.columns == four_scenes.columns
    assert empty.gdf.crs == four_scenes.crs
    assert empty.gdf.dtypes["start_time"] == four_scenes.gdf.dtypes["start_time"]
    assert empty.total_bounds is None
    assert empty.temporal_extent is None
    assert list(empty.iter_rows()) == []
    assert len(empty.query(time="2024")) == 0
    assert len(empty.intersect(four_scenes)) == 0
    assert len(empty.union(four_scenes)) == 4
    assert len(empty.where("cloud_cover < 10")) == 0
    assert "undated" in repr(empty)


def test_extents(four_scenes, as_backend):
    catalog = as_backend(four_scenes)
    assert catalog.total_bounds == (0, 0, 400, 100)
    assert catalog.temporal_extent.left == utc("2024-06-01")
    assert catalog.temporal_extent.right == utc("2024-09-01T23:59:59.999999")
    part = catalog.query(bounds=(150, 0, 160, 10)).query(time="2024")
    assert part.total_bounds == (100, 0, 200, 100)
    assert part.temporal_extent.left == utc("2024-07-01")
    assert part.temporal_extent.right == utc("2024-07-01T23:59:59.999999")


def test_rows_and_slices(four_scenes, as_backend):
    catalog = as_backend(four_scenes)
    rows = list(catalog.iter_rows())
    assert [row.index for row in rows] == [0, 1, 2, 3]
    assert all(isinstance(row, CatalogRow) for row in rows)
    assert {row.bounds for row in rows} == {(100.0 * i, 0, 100.0 * (i + 1), 100) for i in range(4)}
    assert {slice_.shape for slice_ in catalog.iter_slices(10)} == {(10, 10)}
    with pytest.raises(CatalogError, match=r"resolution"):
        next(catalog.iter_slices())


def test_the_frame_is_a_copy(four_scenes, as_backend):
    catalog = as_backend(four_scenes)
    changed = catalog.gdf
    changed["filepath"] = "gone"
    changed.loc[0, "cloud_cover"] = -1
    assert "gone" not in set(catalog.gdf.filepath)
    assert -1 not in set(catalog.gdf.cloud_cover)


def test_materialize_gives_the_same_rows_in_memory(four_scenes, as_backend):
    part = as_backend(four_scenes).query(time="2024-07/2024-08")
    memory = part.materialize()
    assert isinstance(memory, InMemoryGeoCatalog)
    assert paths_of(memory) == paths_of(part)
    assert len(memory.query(bounds=(150, 0, 160, 10))) == 1


def test_config_is_json(four_scenes, as_backend):
    import json

    catalog = (
        as_backend(four_scenes).query(bounds=(0, 0, 50, 50), time="2024").where("cloud_cover<9")
    )
    config = json.loads(json.dumps(catalog.get_config()))
    assert config["class"] == type(catalog).__name__
    assert config["config"]["crs"] == "EPSG:32610"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": (0, 0, 1)}, "four numbers"),
        ({"bounds": (5, 0, 1, 1)}, "east"),
        ({"crs": 4326}, "bounds"),
        ({"bounds": (0, 0, 1, 1), "crs": "nonsense"}, "coordinate reference system"),
        ({"time": ("2024-07-01", "2024-06-01")}, "end before it starts"),
        ({"slice_": (0, 0, 1, 1)}, "GeoSlice"),
        ({"slice_": GeoSlice((0, 0, 1, 1), None, 1, 32610), "time": "2024"}, "not both"),
    ],
)
def test_a_malformed_question_is_refused(four_scenes, as_backend, arguments, message):
    with pytest.raises(CatalogError, match=message):
        as_backend(four_scenes).query(**arguments)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cloud_cover < 50", [0, 1]),
        ("cloud_cover is null", [3]),
        ("not cloud_cover < 50", [2]),
        ("platform = 'a' and cloud_cover between 1 and 90", [0, 2]),
        ("platform in ('b')", [1, 3]),
        ("filepath like '%0002.tif'", [2]),
        ("start_time > '2024-07-15'", [2, 3]),
        ("month(start_time) = 7 or cloud_cover > 79.5", [1, 2]),
        ("coalesce(cloud_cover, 100) >= 80", [2, 3]),
        ("start_time::date = date '2024-06-01'", [0]),
        ("false", []),
    ],
)
def test_where(four_scenes, as_backend, expression, expected):
    catalog = as_backend(four_scenes)
    assert names(catalog.where(expression)) == expected
    inside = catalog.query(bounds=(0, 0, 150, 50))
    assert names(inside.where(expression)) == [i for i in expected if i < 2]
    assert names(catalog.where(expression).query(bounds=(0, 0, 150, 50))) == [
        i for i in expected if i < 2
    ]


def test_both_backends_are_catalogs_with_the_same_surface(four_scenes, as_backend):
    catalog = as_backend(four_scenes)
    assert isinstance(catalog, GeoCatalog)
    public = {name for name in dir(GeoCatalog) if not name.startswith("_")}
    assert public <= set(dir(catalog))
    assert len(list(catalog)) == len(catalog) == 4
    assert repr(catalog).endswith("(4 raster rows, EPSG:32610, 2024-06-01 to 2024-09-01)")


def test_missing_files_are_named_and_the_rest_kept(tmp_path, as_backend):
    here = tmp_path / "here.tif"
    here.write_bytes(b"")
    rows = frame([(0, 0, 1, 1)] * 3)
    rows["filepath"] = [str(here), str(tmp_path / "gone.tif"), "https://host/remote.tif"]
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert catalog.missing_files() == [str(tmp_path / "gone.tif")]
    assert len(catalog) == 3


def test_plot_draws_one_shape_a_row(four_scenes, as_backend):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ax = as_backend(four_scenes).plot()
    assert "4 footprints" in ax.get_title()
    assert sum(len(c.get_paths()) for c in ax.collections if hasattr(c, "get_paths")) >= 4
    for column in ("cloud_cover", "platform", None):
        ax = four_scenes.plot(column=column)
        assert ax.get_xlabel() == "easting (km)"
        ax.figure.canvas.draw()
        shown = [float(tick.get_text()) for tick in ax.get_yticklabels()]
        assert shown == pytest.approx([place / 1000 for place in ax.get_yticks()])
        assert ax.yaxis.get_offset_text().get_text() == ""
    plt.close("all")


def test_explore_says_what_it_needs(four_scenes):
    pytest.importorskip("geopandas")
    try:
        import folium  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match=r"\.\[maps\]"):
            four_scenes.explore()
    else:
        assert "0000.tif" in four_scenes.explore().get_root().render()


def test_a_frame_that_is_no_catalog_is_refused():
    good = frame((0, 0, 1, 1))
    with pytest.raises(CatalogError, match="filepath"):
        InMemoryGeoCatalog(good.drop(columns="filepath"))
    with pytest.raises(CatalogError, match="CRS"):
        InMemoryGeoCatalog(good.set_crs(None, allow_override=True))
    with pytest.raises(CatalogError, match="backend"):
        InMemoryGeoCatalog(good, backend="tape")
    with pytest.raises(CatalogError, match="DataFrame"):
        InMemoryGeoCatalog(pd.DataFrame(good))
    with pytest.raises(CatalogError, match=r"end before it starts: /data/0000\.tif"):
        InMemoryGeoCatalog(frame((0, 0, 1, 1), "2024-06-02", "2024-06-01"))


def test_empty_and_missing_geometry_never_match(as_backend):
    rows = frame([(0, 0, 1, 1)] * 3)
    rows.loc[1, "geometry"] = None
    rows.loc[2, "geometry"] = shapely.Polygon()
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert names(catalog.query(bounds=(-1, -1, 2, 2))) == [0]
    assert catalog.total_bounds == (0, 0, 1, 1)
    assert np.isclose(len(catalog.query(time="2024")), 3)


def test_a_difference_is_what_the_other_leaves_in_space_and_time():
    first = InMemoryGeoCatalog(
        frame([(0, 0, 10, 10), (20, 0, 30, 10)], ["2024-06-01", "2024-07-01"])
    )
    taken = [(5, 0, 12, 10), (0, 0, 2, 10), (20, 0, 30, 10), (10, 0, 20, 10)]
    days = ["2024-06-01", "2024-06-01", "2024-08-01", "2024-06-01"]
    second = InMemoryGeoCatalog(frame(taken, days))
    left = first - second
    assert [row.bounds for row in left] == [(2, 0, 5, 10), (20, 0, 30, 10)]
    assert left.gdf.start_time.tolist() == first.gdf.start_time.tolist()
    assert [row.bounds for row in first.difference(second, spatial_only=True)] == [(2, 0, 5, 10)]
    assert len(first - first) == 0
    assert len(first - InMemoryGeoCatalog(first.gdf[:0])) == 2


def test_difference_and_intersection_make_up_the_whole():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (2, 30, 2))
    one, two = (
        InMemoryGeoCatalog(frame([(x, y, x + 9, y + 7) for x, y in each])) for each in corners
    )
    shared = one.intersect(two).gdf.dissolve("filepath").area
    left = (one - two).gdf.set_index("filepath").area
    for row in one:
        parts = shared.get(row.filepath, 0.0) + left.get(row.filepath, 0.0)
        assert parts == pytest.approx(row.geometry.area)


def test_touching_footprints_are_no_pair_unless_asked_for(as_backend, four_scenes):
    scenes = as_backend(four_scenes)
    assert len(scenes & scenes) == 4
    both = scenes.intersect(scenes, spatial_only=True, touching=True)
    assert len(both) == 10  # four with themselves, three edges from either side
    assert sorted(both.gdf.geometry.geom_type.unique()) == ["LineString", "Polygon"]
    assert (intersect(scenes, scenes, spatial_only=True).gdf.area > 0).all()


@pytest.mark.parametrize(
    ("shape", "pairs"),
    [
        (shapely.Point(100, 50), 2),  # on the edge of two tiles: the point itself is shared
        (shapely.LineString([(100, 0), (100, 100)]), 2),
        (shapely.LineString([(0, 100), (-50, 200)]), 0),
        (shapely.Polygon([(100, 100), (150, 200), (50, 200)]), 0),
        (shapely.Polygon([(100, 99), (150, 200), (50, 200)]), 2),
    ],
)
def test_a_pair_shares_what_the_lesser_of_the_two_is(four_scenes, shape, pairs):
    frame = gpd.GeoDataFrame({"filepath": ["p"]}, geometry=[shape], crs=four_scenes.crs)
    other = InMemoryGeoCatalog(frame, "vector")
    for one, two in ((four_scenes, other), (other, four_scenes)):
        assert len(one.intersect(two, spatial_only=True)) == pairs


def test_columns_are_assigned_to_a_catalog_and_lost_on_a_copy(as_backend, four_scenes):
    scenes = as_backend(four_scenes)
    named = scenes.assign(
        mission="S2", number=range(4), path=lambda rows: rows.filepath.str.upper()
    )
    assert named.where("mission = 'S2' and number > 1").gdf.number.tolist() == [2, 3]
    assert named.gdf.path.tolist() == [path.upper() for path in scenes.gdf.filepath]
    assert "mission" not in scenes.columns
    with pytest.raises(CatalogError, match="must not end before it starts"):
        scenes.assign(end_time="1999-01-01")
    with pytest.warns(LostChangeWarning, match=r"catalog\.assign\(mission=\.\.\.\)"):
        scenes.gdf["mission"] = "S2"
    assert "mission" not in scenes.gdf
    frame = scenes.gdf  # a copy with a name may be changed: warnings are errors here
    frame["mission"] = "S2"
    frame.loc[0, "mission"] = "L8"
    changed = frame.assign(n=1).to_crs(4326).set_geometry("geometry").rename(columns={"n": "m"})
    assert InMemoryGeoCatalog(changed).where("mission = 'L8' and m = 1").gdf.shape[0] == 1


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pairs_share_cells_of_the_globe_however_longitudes_are_counted(as_backend, data):
    """0 to 360 in one catalog, -180 to 180 in the other: the plain count has no seam."""
    sets = [data.draw(st.lists(places(), min_size=1, max_size=4)) for _ in range(2)]
    counts = [data.draw(st.booleans()) for _ in range(2)]

    def catalog(group, to_360):
        # Counted to 360, what lies west of Greenwich lies beyond 180.
        shapes = [
            shapely.box(*each.turned(360 * (each.west < 0))) if to_360 else each.split()
            for each in group
        ]
        names = [str(number) for number in range(len(group))]
        return as_backend(
            InMemoryGeoCatalog(gpd.GeoDataFrame({"filepath": names}, geometry=shapes, crs=4326))
        )

    one, two = map(catalog, sets, counts)
    shared = {
        (str(a), str(b)): len(own.cells() & other.cells())
        for a, own in enumerate(sets[0])
        for b, other in enumerate(sets[1])
    }
    found = one & two
    pairs = zip(found.column("filepath"), found.column("filepath_right"), strict=True)
    areas = dict(zip(pairs, shapely.area(found.column("geometry")), strict=True))
    assert areas == pytest.approx({pair: float(count) for pair, count in shared.items() if count})
    left = one - two
    taken = [own.cells().difference(*(each.cells() for each in sets[1])) for own in sets[0]]
    areas = dict(zip(left.paths, shapely.area(left.column("geometry")), strict=True))
    assert areas == pytest.approx({str(at): float(len(c)) for at, c in enumerate(taken) if c})


def test_a_difference_keeps_rows_without_a_place(four_scenes):
    rows = frame([(0, 0, 1, 1)] * 2)
    rows.loc[0, "geometry"] = None
    rows.loc[1, "geometry"] = shapely.Polygon()
    assert len(InMemoryGeoCatalog(rows) - four_scenes) == 2


def test_a_row_without_a_path_is_refused():
    rows = frame([(0, 0, 1, 1)] * 2)
    rows.loc[1, "filepath"] = None
    with pytest.raises(CatalogError, match="row 1 has no filepath"):
        InMemoryGeoCatalog(rows)


@pytest.mark.parametrize("join", ["intersect", "union", "difference"])
def test_a_catalog_is_joined_with_a_catalog(four_scenes, join):
    catalog = four_scenes
    for other in (None, catalog.gdf, [catalog]):
        with pytest.raises(CatalogError, match=f"with a catalog, got a {type(other).__name__}"):
            getattr(catalog, join)(other)
