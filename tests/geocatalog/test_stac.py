import json
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from footprints import frame, utc
from geopandas import GeoDataFrame
from globe import item_places, places, written
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geocatalog import (
    CatalogError,
    GeoSlice,
    InMemoryGeoCatalog,
    build_raster_catalog,
    from_geoparquet,
    from_stac_items,
    from_stac_search,
    load_raster,
    open_catalog,
    to_geoparquet,
    to_stac_items,
)
from geocatalog.footprint import wrapped_bounds


def item(item_id="scene", *, geometry=None, bbox=(-120, 38, -119, 39), asset=None, **properties):
    when = properties.pop("when", datetime(2024, 6, 14, 18, 40, tzinfo=UTC))
    made = pystac.Item(item_id, geometry, list(bbox) if bbox else None, when, properties)
    fields = {"gsd": 10.0} if asset is None else asset
    made.add_asset(
        "B04", pystac.Asset("https://host/b04.tif?v=1", roles=["data"], extra_fields=fields)
    )
    made.add_asset("B08", pystac.Asset("https://host/b08.tif", roles=["data"]))
    return made


PROJECTED = {"proj:transform": [10, 0, 699960, 0, -10, 4400040], "proj:shape": [10980, 10980]}


@pytest.fixture
def no_files(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a file was opened")

    monkeypatch.setattr(rasterio, "open", refuse)


def test_projected_items_give_their_file_s_extent_and_open_nothing(no_files):
    items = [
        item(f"s{i}", asset=PROJECTED, **{"proj:code": "EPSG:32610", "eo:cloud_cover": i})
        for i in range(3)
    ]
    catalog = from_stac_items(items, asset_key="B04")
    assert catalog.crs.to_epsg() == 32610
    assert catalog.total_bounds == (699960, 4290240, 809760, 4400040)
    assert {s.shape for s in catalog.iter_slices()} == {(10980, 10980)}
    assert catalog.gdf.cloud_cover.tolist() == [0, 1, 2]
    assert catalog.gdf.filepath[0] == "https://host/b04.tif?v=1"
    assert catalog.temporal_extent.left == utc("2024-06-14T18:40")


def test_thousands_of_items_open_no_file(no_files):
    items = [item(f"s{i}", asset=PROJECTED, **{"proj:epsg": 32610}) for i in range(2_000)]
    assert len(from_stac_items(items, asset_key="B04")) == 2_000


def test_items_without_projection_use_their_geometry():
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 1], [0, 0]]]}
    catalog = from_stac_items([item(geometry=triangle)], asset_key="B04")
    assert catalog.crs.to_epsg() == 4326
    assert catalog.gdf.geometry[0].area == 0.5
    assert from_stac_items([item()], asset_key="B04").total_bounds == (-120, 38, -119, 39)


def test_a_bbox_across_the_antimeridian_becomes_two_halves():
    catalog = from_stac_items([item(bbox=(179, -18, -179, -17))], asset_key="B04")
    assert len(catalog.query(bounds=(179.5, -18, 179.6, -17))) == 1
    assert len(catalog.query(bounds=(0, -18, 1, -17))) == 0


@pytest.mark.parametrize(
    ("bbox", "ring"),
    [
        ((179, -17, -179, -16), [(179, -17), (-179, -17), (-179, -16), (179, -16)]),
        ((179, -17, 181, -16), [(179, -17), (181, -17), (181, -16), (179, -16)]),
        ((179, -17, 0, -179, -16, 9), [(179, -17), (-179, -17), (-179, -16), (179, -16)]),
    ],
)
def test_an_outline_across_the_antimeridian_lies_on_both_sides(bbox, ring):
    outline = shapely.geometry.mapping(shapely.Polygon(ring))
    rows = from_stac_items([item(geometry=outline, bbox=bbox)], asset_key="B04")
    for box, found in [((178, -17, 179.5, -16), 1), ((-179.5, -17, -178, -16), 1),
                       ((0, -17, 10, -16), 0), ((179.5, -17, -179.5, -16), 1)]:  # fmt: skip
        assert len(rows.query(bounds=box)) == found


def can_be_read(told):
    return told["geometry"] is None or told["geometry"].get("coordinates") != [[[0, 0]]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_box_finds_the_items_that_share_a_cell_with_it_however_both_are_written(data):
    held = data.draw(st.lists(places(), min_size=1, max_size=4))
    told = [data.draw(item_places(place).filter(can_be_read)) for place in held]
    items = [item(f"{n}", geometry=each["geometry"], bbox=each.get("bbox"))
             for n, each in enumerate(told)]  # fmt: skip
    rows = from_stac_items(items, asset_key="B04")
    asked = data.draw(places())
    expected = {f"{n}" for n, each in enumerate(held) if each.cells() & asked.cells()}
    box = data.draw(written(asked))
    # Touching counts, so the box is drawn in a little.
    moved = [0.25, 0.25, -0.25, -0.25] if len(box) == 4 else [0.25, 0.25, 0, -0.25, -0.25, 0]
    found = rows.query(bounds=[side + by for side, by in zip(box, moved, strict=True)], crs=4326)
    assert set(found.gdf["item_id"]) == expected


def test_the_footprint_may_be_the_item_s_own_geometry():
    triangle = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 1], [0, 0]]]}
    one = item(geometry=triangle, asset=PROJECTED, **{"proj:code": "EPSG:32610"})
    assert from_stac_items([one], "B04", footprint="geometry").crs.to_epsg() == 4326
    assert from_stac_items([one], "B04").crs.to_epsg() == 32610


def test_an_interval_of_start_and_end():
    span = {"start_datetime": "2024-06-01T00:00:00Z", "end_datetime": "2024-06-30T23:59:59Z"}
    catalog = from_stac_items([item(when=None, **span)], asset_key="B04")
    assert catalog.temporal_extent.left == utc("2024-06-01")
    assert catalog.temporal_extent.right == utc("2024-06-30T23:59:59")


def test_several_assets_are_the_bands_of_one_row():
    catalog = from_stac_items([item()], asset_key=["B08", "B04"])
    row = next(catalog.iter_rows())
    assert list(row.assets) == ["B08", "B04"]
    assert row.filepath == row.assets["B08"] == "https://host/b08.tif"


def test_mixed_crs_needs_a_target():
    items = [item(asset=PROJECTED, **{"proj:epsg": code}) for code in (32610, 32611)]
    with pytest.raises(CatalogError, match=r"EPSG:32610 \(1\), EPSG:32611 \(1\).*target_crs"):
        from_stac_items(items, asset_key="B04")
    both = from_stac_items(items, asset_key="B04", target_crs=4326)
    assert both.crs.to_epsg() == 4326
    west, _, east, _ = both.total_bounds
    assert east - west > 6


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: item(bbox=None), "no geometry, no bbox"),
        (lambda: item("x").clone(), "no asset 'B99'"),
    ],
)
def test_unusable_items_are_named_or_listed(made, message):
    key = "B99" if "B99" in message else "B04"
    with pytest.raises(CatalogError, match=message):
        from_stac_items([made()], asset_key=key)
    catalog = from_stac_items([made()], asset_key=key, target_crs=4326, on_error="skip")
    assert len(catalog) == 0
    assert message in catalog.skipped[0][1]


def test_a_search_is_read_through():
    class Search:
        def items(self):
            yield item()

    assert len(from_stac_search(Search(), asset_key="B04")) == 1


def test_bad_options_are_refused():
    for options in ({"footprint": "tile"}, {"on_error": "ignore"}, {"asset_key": []}):
        with pytest.raises(CatalogError):
            from_stac_items([item()], **options)


def test_round_trip_through_stac_items():
    items = [
        item("a", asset=PROJECTED, **{"proj:code": "EPSG:32610", "eo:cloud_cover": 3.0}),
        item("b", asset=PROJECTED, **{"proj:code": "EPSG:32610", "eo:cloud_cover": 4.0}),
    ]
    first = from_stac_items(items, asset_key=["B04", "B08"])
    again = from_stac_items(to_stac_items(first), asset_key=["B04", "B08"])
    one, two = first.gdf, again.gdf
    assert first.crs == again.crs
    assert (one.geometry.geom_equals(two.geometry)).all()
    for name in (
        "filepath",
        "start_time",
        "end_time",
        "item_id",
        "cloud_cover",
        "assets",
        "resolution",
    ):
        assert one[name].tolist() == two[name].tolist()


def test_footprints_that_fill_no_pixel_grid_come_back_as_they_went():
    across = shapely.MultiPolygon([shapely.box(179, -1, 180, 1), shapely.box(-180, -1, -179, 1)])
    triangle = shapely.Polygon([(0, 0), (30, 0), (0, 30)])
    clipped = shapely.box(0, 0, 34, 26)
    for shapes, crs in [([across], 4326), ([triangle, clipped], 32610)]:
        rows = {"filepath": "/a.tif", "start_time": "2024-06-01", "end_time": "2024-06-01"}
        rows |= {"resolution": 10.0, "native_crs": f"EPSG:{crs}"}
        first = InMemoryGeoCatalog(
            GeoDataFrame(rows, index=range(len(shapes)), geometry=shapes, crs=crs)
        )
        written = [json.loads(json.dumps(made.to_dict())) for made in to_stac_items(first)]
        again = from_stac_items(map(pystac.Item.from_dict, written), asset_key="data")
        assert again.crs == first.crs
        assert again.gdf.geometry.geom_equals(first.gdf.geometry).all()
        assert again.gdf.resolution.tolist() == first.gdf.resolution.tolist()


def test_written_items_are_valid_geojson_in_degrees():
    catalog = InMemoryGeoCatalog(frame((700000, 4300000, 701000, 4301000), "2024-06-01"))
    made = to_stac_items(catalog)[0]
    assert -121 < made.bbox[0] < made.bbox[2] < -120
    assert made.datetime is None
    assert made.properties["start_datetime"] == "2024-06-01T00:00:00Z"
    json.dumps(made.to_dict())


def test_an_undated_row_cannot_be_an_item():
    with pytest.raises(CatalogError, match="undated"):
        to_stac_items(InMemoryGeoCatalog(frame((0, 0, 1, 1), None)))


def test_recorded_searches_of_the_planetary_computer(shared_data):
    recorded = json.loads((shared_data / "stac" / "landsat-c2-l2-pc.json").read_text())
    found = [pystac.Item.from_dict(one) for one in recorded]
    catalog = from_stac_items(found, asset_key="red", target_crs=4326)
    assert len(catalog) == len(found) > 0
    for one, row in zip(found, catalog.iter_rows(), strict=True):
        west, south, east, north = one.bbox
        inside = row.geometry.centroid
        assert west < inside.x < east
        assert south < inside.y < north
        assert row.start_time == utc(one.datetime.replace(tzinfo=None))


def zoned(count, zones):
    projected = {"proj:bbox": [5e5, 4e6, 6e5, 4.1e6]}
    return [
        item(f"i{at}", asset={**projected, "proj:epsg": 32601 + at % zones}) for at in range(count)
    ]


def test_crs_are_compared_once_a_zone_and_not_once_an_item(monkeypatch):
    seen = []
    for name in ("__eq__", "equals", "__hash__", "to_wkt"):
        real = getattr(CRS, name)

        def counted(self, *args, real=real, **kwargs):
            seen.append(real)
            return real(self, *args, **kwargs)

        monkeypatch.setattr(CRS, name, counted)
    counts = []
    for items in (zoned(60, 60), zoned(600, 60)):
        from_stac_items(items, "B04", 4326)  # what is made once is made here
        seen.clear()
        assert len(from_stac_items(items, "B04", 4326)) == len(items)
        counts.append(len(seen))
    assert counts[1] < counts[0] + 600, f"{counts} looks at CRS for 60 and 600 items of 60 zones"


def test_items_of_many_zones_lie_where_each_alone_does():
    together = from_stac_items(zoned(7, 3), "B04", 4326)
    for row, each in zip(together, zoned(7, 3), strict=True):
        (alone,) = from_stac_items([each], "B04", 4326)
        assert row.geometry.equals(alone.geometry)


ODD = {
    "instruments": ["msi", "x"],
    "proc": {"levels": [1, 2.5, None, "a"], "done": True, "by": {"name": "é"}},
    "mixed": [1, "two", [3], {}],
    "flag": False,
    "count": 2**60 + 1,
    "share": 0.5,
    "none": None,
}


@pytest.mark.parametrize("through", [from_geoparquet, open_catalog])
def test_properties_keep_their_json_types_through_a_file(tmp_path, through):
    catalog = from_stac_items(
        [item("a", **ODD), item("b", count=3)], "B04", properties={name: name for name in ODD}
    )
    path = to_geoparquet(catalog, tmp_path / "c.parquet")
    again = through(path)
    told = {each.id: each for each in to_stac_items(again)}
    json.dumps(told["a"].to_dict(), allow_nan=False)
    for name, value in ODD.items():
        assert json.dumps(told["a"].properties.get(name)) == json.dumps(value)
    assert type(told["b"].properties["count"]) is int
    assert told["b"].collection_id is None
    assert len(catalog | again) == len(again | catalog) == 2


@pytest.mark.parametrize(
    ("bbox", "west", "east"),
    [([170, -5, -170, 5], 170, -170), ([170, -5, 0, -170, 5, 99], 170, -170), ([1, 2, 3, 4], 1, 3)],
)
@pytest.mark.parametrize("where", ["bbox", "proj:bbox"])
def test_boxes_of_six_numbers_and_across_the_antimeridian(bbox, west, east, where):
    fields = {"proj:epsg": 4326, "proj:bbox": bbox} if where == "proj:bbox" else None
    made = from_stac_items(
        [item(bbox=bbox if where == "bbox" else None, asset=fields)], "B04", 4326
    )
    assert wrapped_bounds(made.gdf.geometry[0])[::2] == (west, east)
    assert len(made.query(bounds=(0, -90, 0.5, 90))) == 0
    assert len(made.query(bounds=(west, 0, -100, west, 5, 100))) == 1


def test_an_invalid_footprint_is_mended_or_named_by_its_item():
    ring = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    (row,) = from_stac_items([item(geometry={"type": "Polygon", "coordinates": [ring]})], "B04")
    assert row.geometry.area == 2
    for wrong in (
        {"type": "Polygon", "coordinates": [[[0, 0], [1, float("inf")], [1, 0], [0, 0]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {"type": "Blob", "coordinates": []},
        {},
    ):
        items = [item("bad", geometry=wrong), item("good")]
        with pytest.raises(CatalogError, match="item bad"):
            from_stac_items(items, "B04")
        made = from_stac_items(items, "B04", on_error="skip")
        assert [row.extras["item_id"] for row in made] == ["good"]
        assert made.skipped[0][0] == "bad"


def test_a_row_without_a_footprint_is_an_item_without_a_place():
    rows = frame([(0, 0, 1, 1)] * 2)
    rows["geometry"] = [None, shapely.Polygon()]
    for made in to_stac_items(InMemoryGeoCatalog(rows)):
        assert (made.geometry, made.bbox) == (None, None)
        json.dumps(made.to_dict(), allow_nan=False)


ORIENTATIONS = {
    "north-up": rasterio.Affine(10, 0, 500_000, 0, -20, 4_000_000),
    "south-up": rasterio.Affine(10, 0, 500_000, 0, 20, 3_999_600),
    "mirrored": rasterio.Affine(-10, 0, 500_300, 0, -20, 4_000_000),
    "rotated": rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000) @ rasterio.Affine.rotation(30),
    "sheared": rasterio.Affine(10, 4, 500_000, 0, -10, 4_000_000),
}


@pytest.mark.parametrize("target", [None, 4326])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_an_item_says_how_its_file_lies(tmp_path, name, target):
    transform = ORIENTATIONS[name]
    values = np.arange(1, 601, dtype="uint16").reshape(1, 20, 30)
    path = tmp_path / "scene_20240614.tif"
    form = {"driver": "GTiff", "count": 1, "height": 20, "width": 30, "dtype": "uint16"}
    with rasterio.open(path, "w", crs=32610, transform=transform, nodata=0, **form) as file:
        file.write(values)
    catalog = build_raster_catalog([path], r"_(?P<date>\d{8})", target_crs=target)
    stored = open_catalog(to_geoparquet(catalog, tmp_path / "catalog.parquet"))
    for source in (catalog, stored, from_stac_items(to_stac_items(catalog), target_crs=target)):
        (made,) = to_stac_items(source)
        fields = made.assets["data"].extra_fields
        assert fields["proj:code"] == "EPSG:32610"
        assert rasterio.Affine(*fields["proj:transform"]).almost_equals(transform)
        assert fields["proj:shape"] == [20, 30]
        again = from_stac_items([made])
        box = GeoSlice((500_000, 3_999_500, 500_300, 4_000_100), None, 10, 32610)
        expected, found = (load_raster(each, box) for each in (catalog, again))
        assert (expected.values != 0).sum() > 100
        np.testing.assert_array_equal(found.values, expected.values)


def test_items_of_a_collection_have_ids_of_their_own(tmp_path):
    """Rows of each asset, and pairs, have one item: its id alone would name two."""
    rows = from_stac_items([item("one"), item("two")], "*", per="asset")
    ids = [each.id for each in to_stac_items(rows)]
    assert ids == ["one-B04", "one-B08", "two-B04", "two-B08"]
    pairs = from_stac_items([item("one")]) & rows
    assert len({each.id for each in to_stac_items(pairs)}) == len(pairs) == 4
    (alone,) = to_stac_items(from_stac_items([item("one")]))
    assert alone.id == "one"


def test_what_is_no_item_is_named():
    item = pystac.Item("scene", None, [-120, 38, -119, 39], datetime(2024, 6, 1), {})
    item.add_asset("B04", pystac.Asset("https://host/b04.tif", roles=["data"]))
    assert len(from_stac_items(iter([item]))) == 1
    answer = pystac.ItemCollection([item]).to_dict()
    for wrong, said in ((item, "Item"), (None, "NoneType"), ("a", "str"), (answer, "FeatureColl")):
        with pytest.raises(CatalogError, match=f"list of pystac.Items .*got {said}"):
            from_stac_items(wrong)
    for wrong in ([item.to_dict()], [1]):
        with pytest.raises(
            CatalogError, match=r"got one of type (dict|int); pystac.Item.from_dict"
        ):
            from_stac_items(wrong)


@pytest.mark.parametrize(
    ("bounds", "means"),
    [
        ((190, 0, 200, 10), (-170, 0, -160, 10)),
        ((170, 0, 190, 10), (170, 0, -170, 10)),
        ((-190, -95, -185, -85), (170, -90, 175, -85)),
        ((0, -90.5, 360, 90.5), (-180, -90, 180, 90)),
    ],
)
def test_items_lie_where_geojson_has_numbers(bounds, means):
    """Grids count to 360, and have cells whose middles are the poles; the row stays as it is."""
    rows = InMemoryGeoCatalog(frame(bounds, crs=4326))
    (made,) = to_stac_items(rows)
    assert tuple(made.bbox) == means
    assert shapely.geometry.shape(made.geometry).is_valid
    assert from_stac_items([made]).total_bounds == rows.total_bounds
