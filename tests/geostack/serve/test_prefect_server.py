"""Flows run against a server of their own, which calls nobody and leaves nothing behind."""

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    # Looked for, not imported: importing it is what makes it call home.
    pytest.mark.skipif(find_spec("prefect") is None, reason="needs the serve extra"),
]

FLOW = """
import json, os
from collections import Counter
from geostack.serve.prefect_server import prefect_server, task_runs

tried = Counter()

def stumble(number):
    tried[number] += 1
    if tried[number] == 1:
        raise OSError("not now")
    return 2 * number

with prefect_server() as api:
    from prefect import flow, task
    work = task(stumble, retries=1)

    @flow
    def double(numbers):
        return [future.result() for future in work.map(numbers)]

    doubled = double([1, 2, 3])
    runs = [(run["state_type"], run["run_count"]) for run in task_runs(api)]
print(json.dumps({
    "doubled": doubled, "runs": runs, "tried": sorted(tried.values()), "api": api,
    "home": os.environ.get("PREFECT_HOME"), "track": os.environ["DO_NOT_TRACK"],
}))
"""

# Python imports it at its start, in this flow's process and in that of Prefect's server.
WATCH = """
import os, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = arguments[1] if event == "socket.connect" else arguments
        host = address[0] if isinstance(address, tuple) else address
        if str(host) not in ("127.0.0.1", "::1", "localhost", "None"):
            with open(os.environ["CALLS"], "a") as file:
                file.write(f"{event} {host}\\n")

sys.addaudithook(note)
open(os.environ["CALLS"], "a").write("watching\\n")
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the flow in a process of its own; return what it told, and where it could leave traces."""
    root = tmp_path_factory.mktemp("prefect")
    for name in ("home", "temporary", "watch"):
        (root / name).mkdir()
    (root / "watch" / "sitecustomize.py").write_text(WATCH)
    environment = {k: v for k, v in os.environ.items() if "PREFECT" not in k and k != "CI"} | {
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "temporary"),
        "PYTHONPATH": str(root / "watch"),
        "CALLS": str(root / "calls"),
    }
    environment.pop("DO_NOT_TRACK", None)
    run = subprocess.run(
        [sys.executable, "-c", FLOW],
        env=environment,
        cwd=root / "home",
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return root, run


def test_retries_are_made_and_told_by_the_server(ran):
    _, run = ran
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["doubled"] == [2, 4, 6]
    assert told["runs"] == [["COMPLETED", 2]] * 3
    assert told["tried"] == [2, 2, 2]


def test_nothing_is_logged(ran):
    assert ran[1].stderr == ""


def test_nobody_is_called(ran):
    root, run = ran
    lines = (root / "calls").read_text().splitlines()
    assert lines.count("watching") >= 2, "the server's process was not watched"
    assert set(lines) == {"watching"}
    assert json.loads(run.stdout)["track"] == "1"


def test_nothing_is_left(ran):
    root, run = ran
    told = json.loads(run.stdout)
    assert [path for path in (root / "home").rglob("*") if "prefect" in path.name] == []
    assert list((root / "temporary").glob("geostack-prefect-*")) == []
    assert told["home"] is None
    with socket.socket() as probe:
        port = int(told["api"].removesuffix("/api").rsplit(":", 1)[1])
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_missing_prefect_names_the_extra(tmp_path: Path):
    code = (
        "import sys; sys.modules['prefect'] = None\n"
        "from geostack.serve.prefect_server import prefect_server\n"
        "with prefect_server(): pass"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 1
    assert 'pip install "geostack[serve]"' in run.stderr
