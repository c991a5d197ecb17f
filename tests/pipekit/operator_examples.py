"""One instance at least of every pipekit operator that needs arguments."""

import datetime
from pathlib import Path

import numpy as np

import pipekit as pk

_x, _y = pk.Input("x"), pk.Input("y")
_fanout = pk.Fanout({"a": pk.Identity(), "b": pk.Const(2)})
_picked = pk.Pick("a")(_fanout(_x))

EXAMPLES: list[pk.Operator] = [
    pk.Sequential([]),
    pk.Sequential([pk.Const(1), pk.Identity(), pk.Const(1)]),
    _fanout,
    pk.Graph({"x": _x}, {"same": _x}),
    pk.Graph({"x": _x, "y": _y}, {"a": _picked, "all": _fanout(_picked), "y": _y}),
    pk.Const({"nested": [1, (2.5, None)], "nan": float("nan")}),
    pk.Const({1: "a", (2, 3): [True]}),
    pk.Const({"class": "Const", "config": {"value": 1}}),
    pk.Const({"$tuple": 1}),
    pk.Const([np.float32(0.1), np.datetime64("2024-06-14"), np.dtype("uint16"), np.uint8]),
    pk.Const([slice(None, 3), ..., 1 + 2j, b"\0\xff", Path("a") / "b", {3, 1}, frozenset("ab")]),
    pk.Const([datetime.date(2024, 6, 14), datetime.datetime(2024, 6, 14, 18, 39, 19)]),
    pk.Const(np.linspace(0, 1, 5, dtype="float32")),
    pk.Const(np.arange(600, dtype="int16").reshape(2, 300)),
    pk.Pick(("a", 1)),
    pk.Branch(pk.Identity(), pk.Const(1)),
    pk.Switch(pk.Identity(), {1: pk.Const("one"), "two": pk.Const("two")}),
    pk.Try(pk.Identity(), pk.Const(0), on=(ValueError, pk.QCError)),
    pk.Coalesce([pk.Identity(), pk.Const(0)], is_ok=pk.Identity(), on=KeyError),
    pk.Retry(pk.Identity(), attempts=2, base_delay=0.25, seed=7),
    pk.Cache(pk.Identity(), maxsize=3, key="v1"),
    pk.AssertShape((4, None, None)),
    pk.AssertDType(np.float32, on_fail="warn"),
    pk.AssertHasAttribute("crs"),
    pk.AssertHasAttribute("crs", value="EPSG:32610"),
    pk.AssertValueRange(float("-inf"), 1.0),
    pk.AssertValidFraction(0.5),
    pk.Quarantine(pk.AssertShape((1,)), sentinel=None),
    pk.Diff(np.zeros((2, 2), "float32"), atol=1e-3),
    pk.Provenance(pk.Identity()),
    pk.Subsample(2),
    pk.Subsample((2, 3)),
    pk.ApplyToBands(pk.Subsample(2), axis=-3),
    pk.ModeGated(pk.Identity(), mode="train"),
    pk.ThreadMap(pk.Identity(), workers=2),
    pk.ProcessMap(pk.Identity(), workers=2),
    pk.BatchedMap(pk.Identity(), batch_size=4),
    pk.ShapeTrace(mode="diff_only", label="in"),
]
