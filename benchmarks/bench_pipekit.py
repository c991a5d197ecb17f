"""Claim: composing costs next to nothing: calls, pipelines, an inactive Spy, hashing, importing.

Targets beyond the ratios: a call under 100 ns over the plain function, ten steps on an int under
2 us, 100 MB hashed in under 0.1 s.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256

import numpy as np
from compare import Comparison

import pipekit as pk

STEPS = 10
CALLS = 20_000


class Increment(pk.Operator):
    """The least an operator can do."""

    def _apply(self, x):
        return x + 1


class Bare:
    """What a class that can be called costs, with nothing of an algebra."""

    def __call__(self, x):
        return self._apply(x)

    def _apply(self, x):
        return x + 1


def increment(x):
    return x + 1


FUNCTIONS = [increment] * STEPS


def plain_loop(x):
    for function in FUNCTIONS:
        x = function(x)
    return x


def many(call: Callable[[int], int]) -> Callable[[], None]:
    """Return a function that makes CALLS calls on an int."""

    def run() -> None:
        for _ in range(CALLS):
            call(3)

    return run


def watched(call: Callable[[int], int]) -> Callable[[], None]:
    """Return the same within an open Spy scope that watches another class."""

    def run() -> None:
        with pk.Spy.scoped() as spy:
            spy.on(pk.Const, lambda *seen: None)
            many(call)()

    return run


def chain() -> pk.Graph:
    x = node = pk.Input("x")
    for _ in range(STEPS):
        node = Increment()(node)
    return pk.Graph({"x": x}, {"y": node})


def test_one_call(compare: Comparison) -> None:
    operator = Increment()
    assert operator(3) == increment(3) == Bare()(3)
    compare(
        "one call on an int",
        {
            "plain function": many(increment),
            "bare class": many(Bare()),
            "Operator": many(operator),
            "Operator, a Spy scope open": watched(operator),
        },
        baseline="plain function",
        rounds=25,
        per=("call", CALLS),
    )


def test_ten_steps(compare: Comparison) -> None:
    pipeline, graph = pk.Sequential([Increment() for _ in range(STEPS)]), chain()
    assert pipeline(3) == plain_loop(3) == graph(3)["y"] == 3 + STEPS
    compare(
        "ten steps on an int",
        {
            "plain loop": many(plain_loop),
            "Sequential": many(pipeline),
            "Sequential, a Spy scope open": watched(pipeline),
            "Graph": many(graph),
        },
        baseline="plain loop",
        targets={"Sequential": 2.5},
        rounds=25,
        per=("call", CALLS),
    )


def test_hash(compare: Comparison, quick: bool) -> None:
    side = 5_000 if quick else 20_000
    rows = np.random.default_rng(0).integers(0, 255, (side, side // 2), "uint16")
    total = 10**8 if quick else 10**9
    turns = total // rows.nbytes

    def repeated(run: Callable[[], object]) -> Callable[[], None]:
        def turn() -> None:
            for _ in range(turns):
                run()

        return turn

    compare(
        f"hash of {rows.nbytes // 1_000_000} MB",
        {
            "sha256 of the bytes": repeated(lambda: sha256(rows).hexdigest()),
            "content_hash": repeated(lambda: pk.content_hash(rows)),
            "content_hash of a transposed view": repeated(lambda: pk.content_hash(rows.T)),
        },
        baseline="sha256 of the bytes",
        targets={"content_hash": 1.1},
        rounds=3,
        per=("100 MB", total // 10**8),
    )


def test_config(compare: Comparison) -> None:
    registry = pk.Registry([Increment, pk.Sequential])
    pipeline = pk.Sequential([Increment() for _ in range(STEPS)])
    other, config = pk.Sequential(list(pipeline)), pk.to_config(pipeline)
    assert pk.from_config(config, registry) == other
    compare(
        "config of ten steps",
        {
            "to_config": lambda: pk.to_config(pipeline),
            "config_hash": lambda: pipeline.config_hash,
            "==": lambda: pipeline == other,
            "from_config": lambda: pk.from_config(config, registry),
            "to_yaml": lambda: pk.to_yaml(pipeline),
        },
        baseline="to_config",
        rounds=25,
    )


def test_import(compare: Comparison) -> None:
    def fresh(module: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    compare(
        "a fresh interpreter that imports",
        {"numpy": fresh("numpy"), "pipekit": fresh("pipekit")},
        baseline="numpy",
        targets={"pipekit": 1.2},
        rounds=21,
    )
