"""Occurrences: paged, typed, polite, or made up."""

import zipfile

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Fault

from geostack import (
    NoSceneError,
    SourceUnavailableError,
    load_gbif_points,
    read_gbif_download,
)
from geostack.loaders import gbif

BOX = (-121.0, 38.0, -120.0, 39.0)
COLUMNS = ["key", "species", "scientific_name", "date", "basis", "license", "geometry"]


def record(key):
    return {
        "key": key,
        "species": "Quercus kelloggii",
        "scientificName": "Quercus kelloggii Newb.",
        "decimalLongitude": -120.5 + key / 10_000,
        "decimalLatitude": 38.5,
        "eventDate": "2019-05-01/2019-05-03" if key % 2 else "2020-06-07T10:00:00",
        "basisOfRecord": "HUMAN_OBSERVATION",
        "license": "http://creativecommons.org/licenses/by/4.0/legalcode",
    }


@pytest.fixture
def api(server, monkeypatch):
    monkeypatch.setenv("GEOSTACK_GBIF_URL", f"{server.url}/api/gbif")
    monkeypatch.setattr(gbif, "PAUSE", 0.0)

    def page(query, total=700):
        start, size = int(query["offset"]), int(query["limit"])
        keys = range(start, min(start + size, total))
        return {
            "offset": start,
            "endOfRecords": start + size >= total,
            "results": [record(key) for key in keys],
        }

    server.answers["gbif/occurrence/search"] = [page]
    server.answers[f"gbif/species/{gbif.OAK_KEY}"] = [{"key": gbif.OAK_KEY}]
    return server


@pytest.mark.parametrize(("limit", "count", "pages"), [(10, 10, 1), (450, 450, 2), (5000, 700, 3)])
def test_pages_until_the_limit_or_the_end(api, limit, count, pages):
    points = load_gbif_points(bbox=BOX, limit=limit, source="planetary-computer")
    assert len(points) == count
    assert points["key"].is_unique
    asked = api.requests("occurrence")
    assert len(asked) == pages
    assert asked[0].query["decimalLongitude"] == "-121.0,-120.0"
    assert asked[0].query["taxonKey"] == str(gbif.OAK_KEY)
    assert points.attrs["source"] == "gbif"


def test_types_and_dates(api):
    points = load_gbif_points(bbox=BOX, limit=2, source="planetary-computer")
    assert list(points.columns) == COLUMNS
    assert [f"{date:%Y-%m-%d}" for date in points["date"]] == ["2020-06-07", "2019-05-01"]
    assert points.crs.to_epsg() == 4326


def test_nothing_found_is_empty_and_typed(api):
    api.answers["gbif/occurrence/search"] = [{"endOfRecords": True, "results": []}]
    empty = load_gbif_points(bbox=BOX, source="planetary-computer")
    full = load_gbif_points(bbox=BOX, limit=3, source="simulated")
    assert len(empty) == 0
    assert (empty.dtypes == full.dtypes).all()
    assert empty.crs == full.crs


def test_a_busy_service_is_asked_again(api):
    api.faults = [Fault("occurrence", status=429), Fault("occurrence", status=503)]
    assert len(load_gbif_points(bbox=BOX, limit=5, source="planetary-computer")) == 5


def test_auto_takes_the_service_when_it_answers_and_makes_points_up_otherwise(api, monkeypatch):
    assert load_gbif_points(bbox=BOX, limit=5).attrs["source"] == "gbif"
    monkeypatch.setenv("GEOSTACK_GBIF_URL", "http://127.0.0.1:9")
    assert load_gbif_points(bbox=BOX, limit=5).attrs["source"] == "simulated"
    with pytest.raises(SourceUnavailableError, match="did not answer"):
        load_gbif_points(bbox=BOX, limit=5, source="planetary-computer")


def test_made_up_points_are_the_same_every_time_inside_the_box_and_in_clusters():
    points = load_gbif_points(bbox=(2.0, 45.0, 4.0, 46.0), limit=200, source="simulated")
    again = load_gbif_points(bbox=(2.0, 45.0, 4.0, 46.0), limit=200, source="simulated")
    assert points.geometry.equals(again.geometry)
    assert len(points) == 200
    assert points.within(shapely.box(2.0, 45.0, 4.0, 46.0)).all()
    assert set(points["species"]) == {"simulated oak"}
    x, y = points.geometry.x.to_numpy(), points.geometry.y.to_numpy()
    distance = ((x[:, None] - x) ** 2 + (y[:, None] - y) ** 2) ** 0.5
    nearest = (distance + 9 * (distance == 0)).min(1).mean()
    even = 0.5 * (2 / 200) ** 0.5  # of a Poisson process of this density
    assert nearest < 0.7 * even


def test_over_simulated_lake_tahoe_they_stand_in_the_forest(simulated_tahoe):
    from geostack import load_s2_chip

    points = load_gbif_points(bbox=(-120.09, 38.95, -119.95, 39.2), limit=100, source="simulated")
    scene = load_s2_chip(bands=("SCL",), source="simulated")
    projected = points.to_crs(scene.crs)
    classes = [
        scene.values[0][int((scene.transform.f - p.y) / 20), int((p.x - scene.transform.c) / 20)]
        for p in projected.geometry
    ]
    assert set(classes) == {4}


def test_a_real_download(shared_data, tmp_path, monkeypatch):
    download = shared_data / "vector" / "gbif-puma-concolor.zip"
    points = read_gbif_download(download)
    assert len(points) == 233
    assert set(points["species"].dropna()) == {"Puma concolor"}
    assert list(points.columns) == COLUMNS
    assert points["date"].notna().mean() > 0.5
    (tmp_path / "gbif").mkdir()
    (tmp_path / "gbif" / "2435099.zip").write_bytes(download.read_bytes())
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    west, south, east, north = points.total_bounds
    middle = (west + east) / 2
    some = load_gbif_points(2435099, bbox=(west, south, middle, north), limit=1000)
    assert some.attrs["source"] == "archive"
    assert 0 < len(some) < 233
    assert some.geometry.x.max() <= middle
    with pytest.raises(NoSceneError, match=r"holds no GBIF download 1\.zip"):
        load_gbif_points(1, bbox=BOX, source="archive")


@pytest.mark.parametrize("key", ["oak", 0, None, 1.5])
def test_bad_species_keys(key):
    with pytest.raises(ValueError, match="species_key must be a whole number of at least 1"):
        load_gbif_points(key, source="simulated")


def test_more_than_the_service_gives_names_the_way_out(api):
    with pytest.raises(ValueError, match=r"at most 100,000 .*download from gbif\.org"):
        load_gbif_points(limit=100_001, source="planetary-computer")


@pytest.mark.parametrize("limit", [0, -3, 2.5, "all"])
def test_bad_limits(limit):
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1"):
        load_gbif_points(limit=limit)


# downloads as they come

HEADER = ["gbifID", "species", "decimalLatitude", "decimalLongitude"]
ROWS = [["1", "Quercus alba", "39.1", "-120.1"], ["2", 'a "big" one, old', "39.2", "-120.2"]]


def as_text(header, rows, separator="\t", quote=""):
    lines = [[f"{quote}{cell}{quote}" if quote else cell for cell in row] for row in rows]
    named = [f"{quote}{name}{quote}" for name in header]
    return "".join(separator.join(line) + "\n" for line in [named, *lines])


def as_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize(
    "files",
    [
        {"0001.csv": "table"},
        {"folder/0001.CSV": "table", "__MACOSX/folder/._0001.csv": "x"},
        {"meta.xml": "<archive/>", "occurrence.txt": "table", "verbatim.txt": "table",
         "multimedia.txt": "gbifID\ttype\n", "citations.txt": "who", "dataset/1.xml": "<x/>"},
        {"Occurrence.txt": "table", "rights.txt": "CC0"},
        {"a.csv": "table", "media.csv": "gbifID\turl\n"},
    ],
)  # fmt: skip
def test_the_table_is_found_in_what_gbif_sends(tmp_path, files):
    table = as_text(HEADER, ROWS)
    held = {name: table if text == "table" else text for name, text in files.items()}
    points = read_gbif_download(as_zip(tmp_path / "d.zip", held))
    assert points["key"].tolist() == [1, 2]
    assert points["species"].tolist() == [row[1] for row in ROWS]


@pytest.mark.parametrize("files", [{}, {"readme.md": "x"}, {"a.csv": "b", "c.csv": "d"}])
def test_a_zip_without_one_table_says_what_it_holds(tmp_path, files):
    with pytest.raises(ValueError, match=r"d\.zip holds \d tables of occurrences, not one: "):
        read_gbif_download(as_zip(tmp_path / "d.zip", files))


@given(
    st.permutations(range(4)),
    st.sampled_from([str, str.upper, str.lower]),
    st.sampled_from([("\t", ""), (",", '"'), ("\t", '"'), (";", '"')]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_come_in_any_order_case_and_quotes(tmp_path, order, case, way, encoding):
    separator, quote = way
    rows = [[row[n].replace('"', "'" if quote else '"') for n in order] for row in ROWS]
    text = as_text([case(HEADER[n]) for n in order], rows, separator, quote)
    (tmp_path / "d.csv").write_text(text, encoding)
    points = read_gbif_download(tmp_path / "d.csv")
    assert points["key"].tolist() == [1, 2]
    assert points["species"].iloc[1].startswith("a ")
    assert points.geometry.x.tolist() == [-120.1, -120.2]
    assert points.attrs["skipped"] == []


def test_rows_without_a_place_on_the_globe_are_listed(tmp_path):
    spots = [("1", "39", "-120"), ("2", "", "5"), ("3", "91", "5"), ("4", "5", "200"),
             ("5", "x", "5"), ("6", "-90", "180"), ("7", "nan", "inf")]  # fmt: skip
    (tmp_path / "d.csv").write_text(as_text(["gbifID", *HEADER[2:]], spots))
    points = read_gbif_download(tmp_path / "d.csv")
    assert points["key"].tolist() == [1, 6]
    assert points.attrs["skipped"] == [
        (2, "no coordinates"),
        (3, "coordinates out of range"),
        (4, "coordinates out of range"),
        (5, "no coordinates"),
        (7, "no coordinates"),
    ]


def test_a_table_of_a_header_only_is_empty_and_typed(tmp_path):
    (tmp_path / "d.csv").write_text(as_text(HEADER, []))
    points = read_gbif_download(tmp_path / "d.csv")
    assert len(points) == 0
    assert points.crs.to_epsg() == 4326
    assert str(points["key"].dtype) == "Int64"


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("\n", "is empty"), ("a\tb\n1\t2\n", "no column decimalLongitude, decimal")],
)
def test_what_is_no_table_of_occurrences_is_named(tmp_path, text, said):
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"d\.csv.*{said}"):
        read_gbif_download(tmp_path / "d.csv")


def test_a_box_across_180_takes_both_sides(tmp_path, monkeypatch):
    spots = [("1", "-17", "179.5"), ("2", "-17", "-179.5"), ("3", "-17", "0"), ("4", "-17", "178")]
    (tmp_path / "gbif").mkdir()
    (tmp_path / "gbif" / "7.csv").write_text(as_text(["gbifID", *HEADER[2:]], spots))
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path))
    for box in ((179, -18, -179, -16), (179, -18, 0, 181, -16, 9)):
        found = load_gbif_points(7, bbox=box, source="archive")
        assert found["key"].tolist() == [1, 2]
    made = load_gbif_points(7, bbox=(179, -18, -179, -16), limit=200, source="simulated")
    assert len(made) == 200
    assert (made.geometry.x.abs() >= 179).all()
    assert {True, False} == set(made.geometry.x > 0)


def test_the_service_is_asked_for_each_side_of_180(api):
    points = load_gbif_points(bbox=(179, -18, -179, -16), limit=1000, source="planetary-computer")
    asked = {record.query["decimalLongitude"] for record in api.requests("/occurrence/search")}
    assert asked == {"179.0,180.0", "-180.0,-179.0"}
    assert len(points) == 700


DATES = {
    "2019-05-01/2019-05-03": "2019-05-01",
    "2019-05-01/03": "2019-05-01",
    "2019-05/2019-06": "2019-05-01",
    "2019/2020": "2019-01-01",
    "2019-05": "2019-05-01",
    "1928": "1928-01-01",
    "1066": "1066-01-01",
    "2019-W20": "2019-05-13",
    "2019-121": "2019-05-01",
    "2019-5-1": "2019-05-01",
    "2019-05-00": "2019-05-01",
    "2019-00-00": "2019-01-01",
    "P1M/2019-05": "2019-05-01",
    "2019-05/..": "2019-05-01",
    "2019-05-01T23:30:00-08:00": "2019-05-01",
    "2019-05-01T00:30:00.000+0000": "2019-05-01",
    "2019-05-01T00:30+08:00/2019-05-02T01:00+08:00": "2019-05-01",
    "2019-05-01 about noon": "2019-05-01",
    "../2019": None,
    "spring": None,
    "2019-13": None,
    "": None,
}


def table(dates):
    rows = [f"{i}\tA b\t{date}\t39.1\t-120.1\n" for i, date in enumerate(dates)]
    head = "gbifID\tspecies\teventDate\tdecimalLatitude\tdecimalLongitude\n"
    return head + "".join(rows)


def test_dates_to_the_year_or_month_and_ranges_count_by_their_first_day(tmp_path):
    (tmp_path / "all.csv").write_text(table(DATES))
    found = read_gbif_download(tmp_path / "all.csv")["date"]
    assert found.dtype == load_gbif_points(bbox=BOX, limit=1, source="simulated")["date"].dtype
    got = [None if day != day else f"{day:%Y-%m-%d}" for day in found]
    assert dict(zip(DATES, got, strict=True)) == DATES


def test_a_column_of_years_is_text_and_no_number(tmp_path):
    (tmp_path / "years.csv").write_text(table(["1928", "", "2019"]))
    found = read_gbif_download(tmp_path / "years.csv")["date"]
    assert found.dt.year.tolist()[::2] == [1928, 2019]
    assert found.isna().tolist() == [False, True, False]


def test_the_former_module_names_the_new_place():
    from geostack import gbif as former

    with pytest.warns(DeprecationWarning, match="take read_gbif_download from geostack"):
        assert former.read_gbif_download is read_gbif_download
    with pytest.raises(AttributeError):
        getattr(former, "nothing")  # noqa: B009
