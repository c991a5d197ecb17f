"""Flows run against a server of their own, which leaves nothing behind."""

import os
import socket
import tempfile
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("prefect", reason="needs the serve extra")

from geostack.serve.prefect_server import prefect_server, task_runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what Prefect's own imports and shutdown warn about
]


def test_a_flow_with_retries_runs_offline_and_leaves_nothing(capfd, monkeypatch, tmp_path):
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    home = os.environ.get("PREFECT_HOME")
    tried: Counter[int] = Counter()

    def stumble(number: int) -> int:
        tried[number] += 1
        if tried[number] == 1:
            raise OSError("not now")
        return 2 * number

    with prefect_server() as api:
        from prefect import flow, task

        work = task(stumble, retries=1)

        @flow
        def double(numbers: list[int]) -> list[int]:
            return [future.result() for future in work.map(numbers)]

        assert double([1, 2, 3]) == [2, 4, 6]
        runs = task_runs(api)
    assert [(run["state_type"], run["run_count"]) for run in runs] == [("COMPLETED", 2)] * 3
    assert tried == {1: 2, 2: 2, 3: 2}
    assert list(Path(tmp_path).glob("geostack-prefect-*")) == []
    assert os.environ.get("PREFECT_HOME") == home
    port = int(api.split(":")[2].split("/")[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == ""
