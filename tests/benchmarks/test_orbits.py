"""An archive linked under more names is a catalog of that many more rows."""

from orbits import days_of, repeat

from geocatalog import open_catalog, to_geoparquet


def test_every_row_is_there_so_many_times(tmp_path):
    folder, larger = tmp_path / "built", tmp_path / "linked"
    to_geoparquet(days_of(2_000), folder, partition="month")
    repeat(folder, larger, 3)
    few, many = open_catalog(folder), open_catalog(larger)
    assert (len(few), len(many)) == (2_000, 6_000)
    extent = few.temporal_extent
    box = (-100.0, -60.0, 100.0, 80.0)
    found = [len(each.query(bounds=box, time=extent)) for each in (few, many)]
    assert found[1] == 3 * found[0] > 0
