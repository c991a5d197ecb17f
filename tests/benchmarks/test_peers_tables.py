"""What peers are handed is what ours holds: items as a file, files under new addresses."""

import geopandas as gpd
import pyarrow.parquet as pq
import pytest
import tiny_scenes
from bench_peers_catalog import asked_in_degrees, equality, in_degrees, search_with_rustac
from bench_peers_read import AtAddresses, inner_box
from bench_read import COPIES, Remote
from stac_table import rustac_client, write_stac_geoparquet


@pytest.fixture(scope="module")
def table():
    return in_degrees(500)


def test_items_are_the_tables_rows_in_its_order(table, tmp_path):
    path = write_stac_geoparquet(table, tmp_path / "items.parquet")
    back = gpd.read_parquet(path)
    assert back.id.tolist() == table.filepath.tolist()
    assert back.crs.name == "WGS 84 (CRS84)"
    assert (back.geometry.to_numpy() == table.geometry.to_numpy()).all()
    assert (back["datetime"] == table.start_time).all()
    assert pq.read_metadata(path).num_rows == 500


def test_boxes_of_items_say_where_they_are(table, tmp_path):
    path = write_stac_geoparquet(table, tmp_path / "items.parquet")
    box = (2.0, 2.0, 6.0, 6.0)
    by_covering = gpd.read_parquet(path, bbox=box)
    assert 0 < len(by_covering) < 500
    assert sorted(by_covering.id) == sorted(table.cx[2.0:6.0, 2.0:6.0].filepath)


def test_rustac_finds_the_same_rows(table, tmp_path):
    rustac = pytest.importorskip("rustac")
    try:
        client = rustac_client(tmp_path / "extensions")
    except rustac.RustacError as error:
        pytest.skip(f"rustac's DuckDB lacks its extensions: {error}")
    search = search_with_rustac(client, write_stac_geoparquet(table, tmp_path / "items.parquet"))
    asked = [((0.0, 0.0, 9.0, 9.0), time) for _, time in asked_in_degrees(3)]

    def oracle(box, time):
        hits = table.cx[box[0] : box[2], box[1] : box[3]]
        return hits[(hits.start_time <= time.right) & (hits.end_time >= time.left)]

    told = equality(search, oracle, asked)["the same rows"]
    assert told.endswith("of 3 queries")
    assert not told.startswith("all 0,")


def test_another_answer_is_not_taken_for_the_same(table):
    asked = asked_in_degrees(1)
    with pytest.raises(AssertionError):
        equality(lambda box, time: table.iloc[:1], lambda box, time: table.iloc[1:3], asked)


def test_every_search_gives_addresses_not_seen_before(tmp_path):
    tiny_scenes.make_scene(tmp_path, bands=("B02", "B04"))
    source = AtAddresses(tmp_path, Remote("http://127.0.0.1:9", None))
    seen = set()
    for _ in range(COPIES):
        (item,) = source.search("sentinel-2-l2a", tiny_scenes.scene_bbox(), "2024-06-01/2024-06-30")
        seen |= {asset.href for asset in item.assets.values()}
    assert len(seen) == 2 * COPIES
    assert all(href.startswith("http://127.0.0.1:9/files/") for href in seen)
    here = AtAddresses(tmp_path, None)
    (item,) = here.search("sentinel-2-l2a", tiny_scenes.scene_bbox(), "2024-06-01/2024-06-30")
    assert {asset.href for asset in item.assets.values()} == {
        str(path) for path in tmp_path.rglob("*.tif")
    }


def test_box_is_the_middle_of_the_scene(tmp_path):
    tiny_scenes.make_scene(tmp_path, bands=("B02",))
    west, south, east, north = inner_box(AtAddresses(tmp_path, None), 0.5)
    whole = tiny_scenes.scene_bbox()
    assert (east - west) * 2 == pytest.approx(whole[2] - whole[0])
    assert (north + south) / 2 == pytest.approx((whole[1] + whole[3]) / 2)
