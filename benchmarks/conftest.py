"""Fixtures of the benchmarks; results are handed to `benchmarks/run.py` as JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from compare import Comparison

_KEY = pytest.StashKey[Comparison]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="fewer rounds, small scenes only")
    parser.addoption("--results", type=Path, help="write the comparisons as JSON to this file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEY] = Comparison(quick=config.getoption("--quick"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    target = session.config.getoption("--results")
    if target is not None:
        found = dataclasses.asdict(session.config.stash[_KEY])
        target.write_text(json.dumps(found))


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Comparison:
    return request.config.stash[_KEY]


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))
