"""What `where` takes, and everything it must not."""

import os
import subprocess
import sys

import pytest
from footprints import frame

from geocatalog import CatalogError, InMemoryGeoCatalog, open_catalog, to_geoparquet
from geocatalog.expression import MAX_LENGTH, compile_expression

COLUMNS = ["filepath", "start_time", "cloud_cover", "platform"]

HOSTILE = [
    "1 = 1; DROP TABLE attributes",
    "1 = 1; SELECT * FROM read_csv('/etc/passwd')",
    "true) OR (true",
    "true) --",
    "1 = 1 UNION SELECT 1",
    "cloud_cover < 10 LIMIT 1",
    "cloud_cover < 10 ORDER BY 1",
    "cloud_cover < 10 WHERE true",
    "cloud_cover < 10 FROM read_parquet('/etc/passwd')",
    "true FROM (SELECT 1)",
    "cloud_cover < (SELECT 10)",
    "cloud_cover IN (SELECT 10)",
    "EXISTS (SELECT 1)",
    "EXISTS (SELECT * FROM read_text('/etc/passwd'))",
    "read_text('/etc/passwd') = 'x'",
    "read_blob('/etc/passwd') IS NULL",
    "filepath = getenv('HOME')",
    "current_setting('allowed_paths') = 'x'",
    "pg_sleep(10)",
    "nextval('s') = 1",
    "write_log('x') = 1",
    "query('SELECT 1') = 1",
    "PRAGMA database_list",
    "COPY attributes TO '/tmp/stolen.csv'",
    "ATTACH '/tmp/other.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "EXPORT DATABASE '/tmp/x'",
    "CREATE TABLE x AS SELECT 1",
    "DELETE FROM attributes",
    "CALL pragma_version()",
    "EXPLAIN SELECT 1",
    "* = 1",
    "COLUMNS('.*') > 1",
    "attributes.cloud_cover < 10",
    "information_schema.tables = 1",
    "rowid = 1",
    "cloud_cover < ?",
    "cloud_cover < $1",
    "#1 = 1",
    "row_number() OVER () = 1",
    "sum(cloud_cover) > 1",
    "count(*) > 1",
    "list_transform([1], x -> x + 1) = [2]",
    "x -> x",
    "cloud_cover::json = '1'",
    "cloud_cover::geometry IS NULL",
    "cloud_cover AS y",
    "cloud_cover < 10, true",
    "DISTINCT cloud_cover",
    "WITH t AS (SELECT 1) SELECT true",
    "main.lower(platform) = 'a'",
    "cloud_cover < 10 USING SAMPLE 1",
    "geometry IS NULL",
    "getvariable('x') = 1",
    "random() < 0.5",
    "no_such_column < 1",
    "cloud_cover <",
    "",
    "   ",
    "cloud_cover",
    "'text'",
    "x" * (MAX_LENGTH + 1),
]


@pytest.fixture(scope="module", params=["memory", "duckdb"])
def victim(request, tmp_path_factory):
    catalog = InMemoryGeoCatalog(frame((0, 0, 1, 1), cloud_cover=[5.0], platform=["a"]))
    if request.param == "memory":
        return catalog
    return open_catalog(to_geoparquet(catalog, tmp_path_factory.mktemp("victim") / "c.parquet"))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_not_one_pure_condition_is_refused(victim, text):
    with pytest.raises(CatalogError, match="where"):
        victim.where(text)
    assert len(victim) == 1


NESTED = {
    "replaces that fold to 10**13 characters": (
        "length(" + "replace(" * 12 + "'aaaaaaaaaa'" + ",'a','aaaaaaaaaa')" * 12 + ") > 1",
        "could grow",
    ),
    "replaces of a column": (
        "length(" + "replace(" * 5 + "platform" + ",'a','aaaaaaaaaa')" * 5 + ") > 1",
        "could grow",
    ),
    "concatenations that double": (
        "length(concat(" + "replace(" * 6 + "platform" + ",'', platform)" * 6 + ", 'a')) > 1",
        "could grow",
    ),
    "a sum of 700 terms": ("+".join(["cloud_cover"] * 700) + " > 1", "nests deeper"),
    "300 cases": ("CASE WHEN true THEN " * 300 + "true" + " END" * 300, "nests deeper"),
    "2,000 brackets": ("(" * 2000 + "true" + ")" * 2000, "where refuses"),
    "2,000 nots": ("NOT " * 2_000 + "true", "where refuses"),
}


@pytest.mark.parametrize("name", NESTED)
def test_what_would_take_memory_or_depth_is_refused_before_it_runs(name):
    text, why = NESTED[name]
    with pytest.raises(CatalogError, match=why):
        compile_expression(text, COLUMNS)


def test_long_but_flat_expressions_are_fine():
    many = " OR ".join(f"platform = 'S2{number}'" for number in range(90))
    assert "S289" in compile_expression(many, COLUMNS)
    listed = ", ".join(f"'T{number}'" for number in range(900))
    assert "T899" in compile_expression(f"platform IN ({listed})", COLUMNS)
    assert compile_expression("lower(replace(platform, 'sentinel', 'S')) = 's2a'", COLUMNS)


def test_what_is_not_text_is_refused():
    for value in (None, 3, b"true", ["true"]):
        with pytest.raises(CatalogError, match="where takes"):
            compile_expression(value, COLUMNS)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cloud_cover<10", "(cloud_cover < 10)"),
        ("platform='it''s'", "(platform = 'it''s')"),
        ("platform = 'x; DROP TABLE t --'", "(platform = 'x; DROP TABLE t --')"),
        ("cloud_cover < 10 -- a remark", "(cloud_cover < 10)"),
        ("cloud_cover /* inside */ < 10", "(cloud_cover < 10)"),
        ("CLOUD_COVER < 10", "(CLOUD_COVER < 10)"),
        ("year(start_time) = 2024", '("year"(start_time) = 2024)'),
        ("try_cast(platform AS integer) = 1", "(TRY_CAST(platform AS INTEGER) = 1)"),
    ],
)
def test_what_runs_is_the_tree_written_out_again(text, canonical):
    assert compile_expression(text, COLUMNS) == canonical


def test_canonical_text_is_a_fixed_point():
    for text in (
        "cloud_cover between 1 and 2 or not platform like 'S%'",
        "coalesce(cloud_cover, 1) < 3",
    ):
        once = compile_expression(text, COLUMNS)
        assert compile_expression(once, COLUMNS) == once


def test_quoted_names_that_look_hostile_are_only_names(as_backend):
    rows = frame((0, 0, 1, 1), **{'a"; DROP TABLE t; --': [1], "select": [2]})
    catalog = as_backend(InMemoryGeoCatalog(rows))
    assert len(catalog.where('"a""; DROP TABLE t; --" = 1 AND "select" = 2')) == 1
    assert catalog.columns[-2:] == ['a"; DROP TABLE t; --', "select"]


def test_a_failure_at_run_time_is_a_catalog_error(as_backend):
    catalog = as_backend(InMemoryGeoCatalog(frame((0, 0, 1, 1), platform=["a"])))
    with pytest.raises(CatalogError):
        len(catalog.where("platform::integer = 1"))


IN_ANOTHER_ZONE = """
import sys
import geopandas, pandas, shapely
from geocatalog import InMemoryGeoCatalog, open_catalog, to_geoparquet
times = pandas.to_datetime(["2021-12-31T20:00Z", "2022-01-01T03:00Z", "2022-12-31T20:00Z"])
rows = {"filepath": list("abc"), "start_time": times, "end_time": times}
boxes = [shapely.box(0, 0, 1, 1)] * 3
memory = InMemoryGeoCatalog(geopandas.GeoDataFrame(rows, geometry=boxes, crs=4326))
for catalog in (memory, open_catalog(to_geoparquet(memory, sys.argv[1]))):
    for text in ("year(start_time) = 2022", "start_time >= '2022-01-01'"):
        print("".join(row.filepath for row in catalog.where(text)))
"""


def test_times_are_utc_whatever_the_machine_s_zone(tmp_path):
    command = [sys.executable, "-c", IN_ANOTHER_ZONE, str(tmp_path / "rows.parquet")]
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["bc"] * 4
