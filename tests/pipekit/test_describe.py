"""An operator told as a table."""

import pytest

from geotoolz import NDVI, ApplyMask, DNToReflectance, MaskFromSCL
from pipekit import Branch, Const, Fanout, Graph, Identity, Input, Lambda, Sequential


def test_a_pipeline_is_a_row_for_each_step_and_for_what_a_step_holds():
    pipeline = DNToReflectance() | ApplyMask(MaskFromSCL("SCL"), fill_value=0) | NDVI(0, 1)
    rows = pipeline.describe()
    assert [row.step for row in rows] == ["1", "2", "2.mask", "3"]
    assert [row.operator for row in rows] == ["DNToReflectance", "ApplyMask", "MaskFromSCL", "NDVI"]
    assert rows[1].arguments == "fill_value=0"
    assert rows[2].arguments.startswith("band_idx='SCL', classes=(0, 1, 3, 8, 9, 10)")
    assert [row.looks for row in rows] == ["0 px"] * 4
    lines = repr(rows).splitlines()
    assert len(lines) == 5
    assert len({line.index("0 px") for line in lines[1:]}) == 1  # a column stands in line


def test_operators_in_lists_and_dicts_are_named():
    held = Fanout({"a": NDVI(0, 1), "b": Lambda(abs)})
    assert [row.step for row in held.describe()] == ["1", "1.operators['a']", "1.operators['b']"]
    branch = Identity() | Branch(Lambda(bool), NDVI(0, 1))
    assert "2.if_true" in [row.step for row in branch.describe()]
    x = Input("x")
    assert Graph({"x": x}, {"y": NDVI(0, 1)(x)}).describe()[0].operator == "Graph"
    assert len(Sequential([]).describe()) == 1


def test_a_notebook_and_pandas_get_a_table():
    pd = pytest.importorskip("pandas")
    rows = (DNToReflectance() | Lambda(lambda x: x < 3, name="<low>")).describe()
    html = rows._repr_html_()
    assert html.count("<tr>") == 3
    assert "&lt;low&gt;" in html
    assert list(pd.DataFrame(rows).columns) == ["step", "operator", "arguments", "looks"]


def test_no_password_of_an_address_is_shown():
    op = Const("https://user:SECRET@host/a.tif?sig=SECRET&v=2")
    for text in (repr(op), repr(op.describe()), op.describe()._repr_html_()):
        assert "SECRET" not in text
        assert "user:***@host" in text
