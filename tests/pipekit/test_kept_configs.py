"""What version 0.1.0 wrote is still read: a config in a file or an artifact outlives its release.

`configs_0_1_0.json` was written by 0.1.0, an operator a line, and is not to be changed.
"""

import json
from pathlib import Path

import pytest

from pipekit import from_config, to_config

WRITTEN = json.loads(Path(__file__).with_name("configs_0_1_0.json").read_text("utf-8"))


def plain(value):
    """Return a config without the mark that 0.1.0 gave to tuples."""
    if isinstance(value, dict):
        if list(value) == ["$tuple"]:
            return plain(value["$tuple"])
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def holds(now, then):
    """Say whether a config of today has all that one of 0.1.0 had."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(n in now and holds(now[n], then[n]) for n in then)
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(holds, now, then))
    return now == then


@pytest.mark.parametrize("written", WRITTEN, ids=lambda each: each["class"])
def test_an_operator_of_version_0_1_0_is_read_with_all_its_values(written):
    made = from_config(written, files=True)
    assert type(made).__name__ == written["class"]
    assert holds(plain(to_config(made)), plain(written))
