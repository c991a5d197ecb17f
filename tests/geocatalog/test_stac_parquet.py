"""STAC items in Parquet: what is written is read by others, and what others wrote by us."""

import json
import pickle
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from globe import places, with_heights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from shapely.geometry import mapping
from tiny_scenes import make_scene

from geocatalog import (
    CatalogError,
    from_stac_items,
    open_catalog,
    to_geoparquet,
    to_stac_geoparquet,
    to_stac_items,
)
from geocatalog.stac_parquet import TIMES
from geotoolz.catalog_ops import CatalogField

RECORDED = {
    "sentinel-2-l2a-pc": "B04",
    "landsat-c2-l2-pc": "red",
    "naip-pc": "image",
    "cop-dem-glo-30-pc": "data",
}
DEGREES = {"target_crs": "EPSG:4326", "footprint": "geometry"}


def known(value):
    """A JSON value without what is null or empty, which a column cannot tell from absent."""
    if isinstance(value, dict):
        told = {name: known(each) for name, each in value.items()}
        return {name: each for name, each in told.items() if each not in (None, {})}
    return [known(each) for each in value] if isinstance(value, list | tuple) else value


def as_read(item):
    """An item's dictionary with its times as instants."""
    item = known(item)
    for name in TIMES:
        if isinstance(item["properties"].get(name), str):
            text = item["properties"][name].replace("Z", "+00:00")
            item["properties"][name] = datetime.fromisoformat(text)
    return item


def rows_of(catalog, like=None):
    """The rows by item and file, footprints as WKB, with the columns of another catalog's rows."""
    found = {}
    for row in catalog:
        extras = {name: value for name, value in row.extras.items() if str(value) not in UNKNOWN}
        wanted = extras if like is None else {name: extras.get(name) for name in like}
        outline = shapely.to_wkb(shapely.normalize(row.geometry), hex=True)
        told = outline, row.start_time, row.end_time, str(sorted(wanted.items(), key=str))
        found[row.extras["item_id"], row.filepath] = told
    return found


UNKNOWN = ("None", "nan", "NaT", "<NA>")


def columns_of(catalog):
    return [name for name in catalog.columns[4:] if name != "signer"]


def by_reference(path):
    reference = pytest.importorskip("stac_geoparquet.arrow")
    return list(reference.stac_table_to_items(pq.read_table(path)))


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("written_by", ["us", "reference"])
@pytest.mark.parametrize("asks", ["one", "first", "list", "all"])
def test_recorded_items_give_the_rows_of_from_stac_items(
    shared_data, tmp_path, name, written_by, asks
):
    raw = json.loads((shared_data / "stac" / f"{name}.json").read_text())
    items = [pystac.Item.from_dict(each) for each in raw]
    path = tmp_path / "items.parquet"
    if written_by == "us":
        to_stac_geoparquet(raw, path)
    else:
        reference = pytest.importorskip("stac_geoparquet.arrow")
        reference.to_parquet(reference.parse_stac_items_to_arrow(raw), path)
        kept = [field.name for field in pq.read_schema(path).field("assets").type]
        if asks in ("first", "all") and kept[0] != next(iter(raw[0]["assets"])):
            pytest.skip("this pyarrow writes assets in another order, so another is the first")
    key = RECORDED[name]
    asset_key = {"one": key, "first": None, "list": [key], "all": "*"}[asks]
    found, wanted = open_catalog(path, asset_key), from_stac_items(items, asset_key, **DEGREES)
    assert len(found) == len(wanted) == len(items)
    columns = columns_of(wanted)
    assert rows_of(found, columns) == rows_of(wanted, columns)


@pytest.mark.parametrize("name", RECORDED)
def test_the_reference_library_reads_what_is_written(shared_data, tmp_path, name):
    raw = json.loads((shared_data / "stac" / f"{name}.json").read_text())
    found = by_reference(to_stac_geoparquet(raw, tmp_path / "items.parquet"))
    wanted = {item["id"]: as_read(item) for item in raw}
    assert {item["id"]: as_read(item) for item in found} == wanted


@pytest.mark.filterwarnings("ignore")
def test_rustac_reads_what_is_written(shared_data, tmp_path):
    import asyncio

    rustac = pytest.importorskip("rustac")
    raw = json.loads((shared_data / "stac" / "sentinel-2-l2a-pc.json").read_text())
    path = to_stac_geoparquet(raw, tmp_path / "items.parquet")

    async def read():
        return await rustac.read(path)

    found = asyncio.run(read())["features"]
    assert {item["id"] for item in found} == {item["id"] for item in raw}
    first = {item["id"]: item for item in raw}[found[0]["id"]]
    assert found[0]["assets"]["B04"]["href"] == first["assets"]["B04"]["href"]
    assert found[0]["properties"]["eo:cloud_cover"] == first["properties"]["eo:cloud_cover"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False, width=32),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@st.composite
def items(draw):
    """Up to five items: any property, times as instants or ends, boxes anywhere, assets or none."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        place = draw(places())
        ways = [
            (place.rfc, mapping(place.split())),
            (place.rfc, mapping(place.unsplit())),
            (place.turned(0), mapping(shapely.box(*place.turned(0)))),
            (with_heights(place.rfc), mapping(place.split())),
            (place.rfc, None),
        ]
        bbox, geometry = draw(st.sampled_from(ways))
        begin = datetime(2024, 1, 1, tzinfo=UTC) + draw(st.timedeltas(timedelta(0), timedelta(9)))
        end = begin + draw(st.timedeltas(timedelta(0), timedelta(9)))
        properties = draw(st.dictionaries(st.sampled_from(["x:a", "b", "eo:cloud_cover"]), VALUES))
        properties["datetime"] = begin.isoformat()
        if draw(st.booleans()):
            ends = {"start_datetime": begin.isoformat(), "end_datetime": end.isoformat()}
            properties |= {"datetime": None, **ends}
        assets = {
            key: {"href": f"https://host/{number}/{key}.tif", "roles": ["data"], **fields}
            for key, fields in draw(
                st.dictionaries(
                    st.sampled_from(["B04", "it's", "8.A"]),
                    st.fixed_dictionaries({"note": VALUES, "gsd": st.floats(1, 60)}),
                )
            ).items()
        }
        found.append(
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "stac_extensions": [],
                "id": f"item-{number}",
                "collection": draw(st.sampled_from(["one", "two"])),
                "bbox": bbox,
                "geometry": geometry,
                "properties": properties,
                "links": [],
                "assets": assets,
            }
        )
    return found


def as_objects(raw):
    return [pystac.Item.from_dict(each, preserve_dict=True) for each in raw]


@given(items())
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_any_items_come_back_as_they_were(tmp_path_factory, raw):
    path = to_stac_geoparquet(raw, tmp_path_factory.mktemp("items") / "items.parquet")
    with pq.ParquetFile(path) as file:
        text = json.loads(file.schema_arrow.metadata[b"geocatalog"])["json"]

    def told(item):
        item = as_read(item)
        # What has no one type is JSON, as the file says; the outline of a box is one, too.
        parts = {}
        for name, value in item["properties"].items():
            is_text = isinstance(value, str) and name in text
            parts[name] = known(json.loads(value)) if is_text else value
        parts = {name: value for name, value in parts.items() if value not in (None, {})}
        keys = {key: asset["href"] for key, asset in item.get("assets", {}).items()}
        box = item["bbox"]
        return parts, keys, box if len(box) == 4 else [*box[:2], *box[3:5]], item["collection"]

    found = {item["id"]: told(item) for item in by_reference(path)}
    assert found == {item["id"]: told_raw(item, text, told) for item in raw}


def told_raw(item, text, told):
    """An item as the file tells it: values that have no one type are JSON there."""
    written = {
        name: json.dumps(value) if name in text and value is not None else value
        for name, value in item["properties"].items()
    }
    return told({**item, "properties": written})


@given(items(), st.sampled_from(["B04", "it's", None, "*", ["8.A", "B04"]]))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_any_file_gives_the_rows_of_from_stac_items(tmp_path_factory, raw, asset_key):
    path = to_stac_geoparquet(raw, tmp_path_factory.mktemp("items") / "items.parquet")
    every = {key for item in raw for key in item["assets"]}
    asked = {asset_key} if isinstance(asset_key, str | None) else set(asset_key)
    if not (every and every >= asked - {"*", None}):
        with pytest.raises(CatalogError, match="asset"):
            open_catalog(path, asset_key)
        return
    found = open_catalog(path, asset_key)
    order = dict.fromkeys(key for item in raw for key in item["assets"])  # that of the columns
    for item in raw:
        item["assets"] = {key: item["assets"][key] for key in order if key in item["assets"]}
    wanted = from_stac_items(as_objects(raw), asset_key, properties={}, on_error="skip", **DEGREES)
    columns = ["item_id", "collection"]
    assert rows_of(found, columns).keys() == rows_of(wanted, columns).keys()
    for key, row in rows_of(found, columns).items():
        assert row[1:] == rows_of(wanted, columns)[key][1:]
    for row in found:
        same = wanted.where(f"filepath = '{row.filepath.replace(chr(39), chr(39) * 2)}'")
        (other,) = [each for each in same if each.extras["item_id"] == row.extras["item_id"]]
        assert row.geometry.symmetric_difference(other.geometry).area < 1e-9


@pytest.mark.parametrize("asset_key", [None, "*", "B04", ["8.A", "B04"]])
def test_items_without_an_asset_are_items_that_lack_it(tmp_path, asset_key):
    made = make_scene(tmp_path, "item-0", when="2024-06-01T18:39:19Z", bands=("B04",))
    made["assets"] = {}
    path = to_stac_geoparquet([made, {**made, "id": "item-1"}], tmp_path / "items.parquet")
    assert "assets" not in pq.read_schema(path).names
    with pytest.raises(CatalogError, match=r"no item of .* has an asset"):
        open_catalog(path, asset_key)


@given(items(), st.lists(places(), min_size=1, max_size=3))
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_queries_answer_as_in_memory(tmp_path_factory, raw, asked):
    for item in raw:
        item["assets"].setdefault("B04", {"href": f"https://host/{item['id']}.tif"})
    path = to_stac_geoparquet(raw, tmp_path_factory.mktemp("items") / "items.parquet")
    catalog = open_catalog(path, "B04")
    memory = from_stac_items(as_objects(raw), "B04", properties={}, **DEGREES)
    for place in asked:
        for time in (None, "2024-01-03/2024-01-05"):
            found = catalog.query(bounds=place.rfc, time=time)
            wanted = memory.query(bounds=place.rfc, time=time)
            assert {r.filepath for r in found} == {r.filepath for r in wanted}
            assert len(found) == len(wanted) == len(found.gdf)


def scene(tmp_path, item_id, day, **more):
    made = make_scene(
        tmp_path, item_id, when=f"2024-06-{day:02d}T18:39:19Z", bands=("B04",), **more
    )
    folder = tmp_path / "sentinel-2-l2a" / item_id
    made["assets"]["B04"]["href"] = str(folder / "B04.tif")
    return made


@pytest.fixture
def scenes(tmp_path):
    """Three scenes with files, the last with another asset."""
    found = [scene(tmp_path, f"S{day}", day, cloud=10.0 * day) for day in (1, 2, 3)]
    found[2]["assets"]["extra"] = {"href": "/extra.tif", "roles": ["data"], "type": "image/tiff"}
    found[0]["properties"]["only_here"] = {"deep": [1, 2]}
    for item in found:
        item["assets"]["B04"]["raster:bands"] = [{"scale": 1e-4, "offset": -0.1, "nodata": 0}]
    return found


def test_rows_read_on_the_assets_own_grid_with_what_the_item_says(scenes, tmp_path):
    path = to_stac_geoparquet(scenes, tmp_path / "items.parquet")
    row = next(open_catalog(path, "B04").iter_rows())
    assert row.crs.to_epsg() == 4326
    raster = CatalogField(row).load()
    assert str(raster.crs) == "EPSG:32610"
    assert raster.shape == (1, 512, 512)
    assert raster.transform.a == 10
    said = {name: raster.attrs[name] for name in ("processing_baseline", "scale", "offset")}
    assert said == {"processing_baseline": "05.10", "scale": 1e-4, "offset": -0.1}
    again = next(iter(from_stac_items(to_stac_items(open_catalog(path, "B04")), **DEGREES)))
    assert again.slice() == row.slice()


def test_properties_are_columns_under_their_own_names_too(scenes, tmp_path):
    catalog = open_catalog(to_stac_geoparquet(scenes, tmp_path / "items.parquet"), "B04")
    assert len(catalog.where("cloud_cover < 15")) == 1
    assert len(catalog.where('"eo:cloud_cover" BETWEEN 15 AND 35')) == 2
    assert len(catalog.where("platform = 'Sentinel-2B' AND \"s2:mgrs_tile\" = '10SGJ'")) == 3
    with pytest.raises(CatalogError, match="'depth' is not a column"):
        catalog.where("depth > 3")
    said = {row.extras["item_id"]: row.extras.get("only_here") for row in catalog}
    assert said["S1"] == {"deep": [1, 2]}


def test_a_folder_of_partitions_is_one_catalog(scenes, tmp_path):
    folder = tmp_path / "archive"
    for number, item in enumerate(scenes):
        to_stac_geoparquet([item], folder / f"day={number}" / "part.parquet")
    catalog = open_catalog(folder, "B04")
    assert len(catalog) == 3
    assert len(catalog.where("day = 1")) == 1
    assert len(catalog.query(time="2024-06-02/2024-06-03")) == 2
    (extra,) = open_catalog(folder, "extra")
    assert extra.filepath == "/extra.tif"
    with pytest.raises(CatalogError, match="no catalog file at"):
        open_catalog(tmp_path / "nowhere", "B04")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError, match="no Parquet file in the folder"):
        open_catalog(tmp_path / "empty")


def test_a_partition_takes_no_property_s_place(scenes, tmp_path):
    for place in (tmp_path / "id=zz" / "datetime=2020-01-01", tmp_path / "plain"):
        to_stac_geoparquet(scenes, place / "items.parquet")
    below, plain = tmp_path / "id=zz", tmp_path / "plain"
    for path in (below, below / "datetime=2020-01-01" / "items.parquet"):
        assert rows_of(open_catalog(path, "B04")) == rows_of(open_catalog(plain, "B04"))


def test_files_that_lack_an_asset_or_boxes_are_counted_and_asked(scenes, tmp_path):
    """What a file of a folder lacks is null in its rows, in its statistics too."""
    del scenes[0]["assets"]["B04"]
    scenes[0]["assets"]["B08"] = {"href": "/b08.tif", "roles": ["data"]}
    for number, each in enumerate(scenes):
        to_stac_geoparquet([each], tmp_path / "items" / f"{number}.parquet")
    bare = tmp_path / "items" / "1.parquet"
    pq.write_table(pq.read_table(bare).drop_columns(["bbox"]), bare)
    catalog = open_catalog(tmp_path / "items", "B04")
    assert len(catalog) == len(list(catalog)) == len(catalog.gdf) == 2
    (row,) = catalog.where("item_id = 'S2'")
    found = catalog.query(bounds=row.bounds, crs=4326)
    assert "S2" in {each.extras["item_id"] for each in found}


def test_a_system_that_is_told_as_projjson_is_known(scenes, tmp_path):
    for each in scenes:
        for name in ("proj:code", "proj:epsg"):
            each["properties"].pop(name, None)
        each["properties"]["proj:projjson"] = CRS(32610).to_json_dict()
    catalog = open_catalog(to_stac_geoparquet(scenes, tmp_path / "items.parquet"), "B04")
    memory = from_stac_items(as_objects(scenes), "B04", **DEGREES)
    assert {row.extras["native_crs"] for row in catalog} == {"EPSG:32610"}
    assert rows_of(catalog, columns_of(memory)) == rows_of(memory)


def test_dicts_have_the_keys_that_their_item_gave_them(scenes, tmp_path):
    told = [{"a": 1}, {"b": {"c": [{"d": 1}, {"e": 2}]}}, None]
    for each, value in zip(scenes, told, strict=True):
        each["properties"]["deep"] = value
    catalog = open_catalog(to_stac_geoparquet(scenes, tmp_path / "items.parquet"), "B04")
    found = {row.extras["item_id"]: row.extras["deep"] for row in catalog}
    assert [found[f"S{day}"] for day in (1, 2, 3)] == told


def test_items_on_a_store_are_one_catalog_too(scenes, tmp_path, on_store):
    here = tmp_path / "items"
    for number, item in enumerate(scenes):
        path = f"part={number % 2}/{number}.parquet"
        to_stac_geoparquet([item], here / path)
        assert to_stac_geoparquet([item], on_store / path) == str(on_store / path)
    local = open_catalog(here, asset_key="B04")
    for place in (on_store, str(on_store)):
        found = open_catalog(place, asset_key="B04")
        assert rows_of(found) == rows_of(local)
        assert rows_of(pickle.loads(pickle.dumps(found))) == rows_of(local)
    one = open_catalog(on_store / "part=0" / "0.parquet", asset_key="B04")
    assert one.paths == open_catalog(here / "part=0" / "0.parquet", asset_key="B04").paths
    with pytest.raises(CatalogError, match="B99"):
        open_catalog(on_store, asset_key="B99")
    with pytest.raises(CatalogError, match="no catalog file"):
        open_catalog(on_store / "nothing", asset_key=None)


def test_items_without_the_asset_make_no_rows_and_are_not_counted(scenes, tmp_path):
    path = to_stac_geoparquet(scenes, tmp_path / "items.parquet")
    assert len(open_catalog(path, "extra")) == 1
    assert len(open_catalog(path, ["B04", "extra"])) == 1
    (row,) = open_catalog(path, ["B04", "extra"])
    assert list(row.assets) == ["B04", "extra"]
    with pytest.raises(CatalogError, match=r"no item of .* has an asset 'B99'; they have \['B04'"):
        open_catalog(path, "B99")


def test_a_catalog_of_items_pickles_and_notices_another_file(scenes, tmp_path):
    path = to_stac_geoparquet(scenes, tmp_path / "items.parquet")
    catalog = open_catalog(path, "B04").query(time="2024-06-02")
    packed = pickle.dumps(catalog)
    assert rows_of(pickle.loads(packed)) == rows_of(catalog)
    to_stac_geoparquet(scenes[:1], path)
    with pytest.raises(CatalogError, match="was replaced"):
        catalog.gdf.head()
    with pytest.raises(CatalogError, match="not those that this catalog was pickled with"):
        pickle.loads(packed)


def test_a_catalog_is_written_as_items_and_read_as_rows(scenes, tmp_path):
    catalog = from_stac_items(as_objects(scenes), "B04")
    path = to_stac_geoparquet(catalog, tmp_path / "items.parquet")
    again = open_catalog(path, "B04" if "B04" in str(path) else "data")
    assert {row.filepath for row in again} == {row.filepath for row in catalog}
    assert {row.slice().bounds for row in again} == {row.slice().bounds for row in catalog}
    saved = to_geoparquet(again, tmp_path / "catalog.parquet")
    assert rows_of(open_catalog(saved)).keys() == rows_of(again).keys()


def test_no_token_is_written(scenes, tmp_path):
    scenes[0]["assets"]["B04"]["href"] = "https://s.blob.core.windows.net/c/a.tif?sv=1&sig=SECRET"
    scenes[0]["links"] = [{"rel": "self", "href": "https://host/item?token=SECRET"}]
    path = to_stac_geoparquet(scenes, tmp_path / "items.parquet")
    with open(path, "rb") as file:
        assert b"SECRET" not in file.read()
    assert "https://s.blob.core.windows.net/c/a.tif" in set(open_catalog(path, "B04").gdf.filepath)


def test_what_cannot_be_written_or_opened_is_refused(scenes, tmp_path):
    path = to_stac_geoparquet(scenes, tmp_path / "items.parquet")
    catalog = open_catalog(path, "B04")
    with pytest.raises(CatalogError, match="to_stac_geoparquet"):
        to_stac_geoparquet(catalog, path)
    with pytest.raises(CatalogError, match="row_group_size"):
        to_stac_geoparquet(scenes, path, row_group_size=0)
    scenes[0]["properties"]["id"] = "twice"
    with pytest.raises(CatalogError, match="a property called 'id'"):
        to_stac_geoparquet(scenes, tmp_path / "other.parquet")
    plain = to_geoparquet(catalog, tmp_path / "catalog.parquet")
    with pytest.raises(CatalogError, match="asset_key= chooses among the assets of STAC items"):
        open_catalog(plain, "B04")
    pq.write_table(pa.table({"assets": [1]}), tmp_path / "none.parquet")
    with pytest.raises(CatalogError, match="holds no STAC items"):
        open_catalog(tmp_path / "none.parquet", "B04")
