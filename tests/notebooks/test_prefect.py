"""With the settings of lesson 07, Prefect calls nobody, logs nothing and leaves nothing behind."""

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = [
    pytest.mark.slow,
    # Looked for, not imported: importing it is what makes it call home.
    pytest.mark.skipif(find_spec("prefect") is None, reason="needs the serve extra"),
]

LESSON = Path(__file__).resolve().parents[2] / "notebooks" / "07_deployment_shapes.py"

# What the lesson's own cell sets and imports stands between these two.
BEFORE = """
import json, os, shutil, tempfile, time
from collections import Counter
from pathlib import Path
folder = Path(tempfile.mkdtemp(prefix="geostack-shapes-"))
"""
AFTER = """
tried = Counter()

def stumble(number):
    tried[number] += 1
    if tried[number] == 1:
        raise OSError("not now")
    return 2 * number

work = task(stumble, retries=1)

@flow
def double(numbers):
    return [future.result() for future in work.map(numbers)]

with prefect_test_harness(300), get_client(sync_client=True) as server:
    api, doubled = str(server.api_url), double([1, 2, 3])
    for _ in range(300):
        runs = server.read_task_runs()
        if len(runs) == 3 and all(run.state and run.state.is_final() for run in runs):
            break
        time.sleep(0.2)
shutil.rmtree(folder)
print(json.dumps({
    "doubled": doubled, "runs": [(run.state_name, run.run_count) for run in runs],
    "tried": sorted(tried.values()), "api": api, "track": os.environ["DO_NOT_TRACK"],
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
    """Run a flow in a process of its own; return what it told, and where it could leave traces."""
    (cell,) = (cell for cell in LESSON.read_text().split("\n# %%") if "PREFECT_HOME" in cell)
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
        [sys.executable, "-c", BEFORE + cell + AFTER],
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
    assert told["runs"] == [["Completed", 2]] * 3
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
    assert list((root / "temporary").iterdir()) == []
    with socket.socket() as probe:
        port = urlsplit(told["api"]).port
        assert probe.connect_ex(("127.0.0.1", port)) != 0
