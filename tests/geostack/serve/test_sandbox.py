"""A pipeline that a client posts runs alone, within limits, and reaches nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import requests
from georeader.geotensor import GeoTensor
from loopback import Loopback
from rasterio import Affine
from waiting import until

from geostack.serve.problem import Problem
from geostack.serve.sandbox import Children, _refusal, build, is_possible, visitors_registry
from geotoolz import NDVI, DNToReflectance, PadTo
from pipekit import ConfigError, Fanout, to_yaml

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs a POSIX system")

ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
PIPELINE = DNToReflectance() | NDVI(red_idx="B04", nir_idx="B08")


def chip() -> GeoTensor:
    values = np.random.default_rng(0).integers(1, 4000, (2, 9, 7)).astype("uint16")
    where = Affine(10, 0, 600_000, 0, -10, 5_000_000)
    return GeoTensor(values, where, "EPSG:32610", 0, {"band_names": ["B04", "B08"]})


def run(text: str, seconds: float = 300.0, kind: str = "json"):
    return Children().run(text, chip(), kind=kind, output=None, seconds=seconds)


def test_a_posted_pipeline_gives_what_it_gives_here():
    import rasterio

    ran = run(to_yaml(PIPELINE), kind="tiff")
    assert ran.config_hash == PIPELINE.config_hash
    with rasterio.MemoryFile(ran.content) as memory, memory.open() as file:
        np.testing.assert_array_equal(file.read(1), PIPELINE(chip()).values)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['true']",
        "class: os.system\nconfig: {}",
        "class: WriteCOG\nconfig: {path: evil.tif}",
        "class: ReadGeoTensor\nconfig: {}",
        "class: ProcessMap\nconfig: {op: {class: Identity, config: {}}, workers: 4000}",
        "class: Cache\nconfig: {op: {class: Identity, config: {}}, folder: x}",
        "class: Reproject\nconfig: {crs: 'http://127.0.0.1:9/x'}",
        "class: Reproject\nconfig: {crs: /etc/passwd}",
        "class: Reproject\nconfig: {crs: '+proj=utm +nadgrids=x'}",
        "class: Const\nconfig: {value: {$path: /etc/passwd}}",
        "a: &a [x, x]\nb: [*a, *a]",
        "[" * 3000,
        "class: Identity",
        "x" * 40_000,
        "\x00",
        "",
    ],
)
def test_hostile_texts_are_refused(text: str):
    with pytest.raises(ConfigError):
        build(text)


def test_too_many_steps_are_refused():
    step = "{class: Identity, config: {}}"
    many = f"class: Sequential\nconfig: {{operators: [{', '.join([step] * 60)}]}}"
    with pytest.raises(ConfigError, match="more than 50 operators"):
        build(many)


def test_refusals_come_back_from_the_child():
    with pytest.raises(Problem, match=r"refused.*os\.system") as told:
        run("class: os.system\nconfig: {}")
    assert told.value.status == 422


def test_a_pipeline_that_fails_is_the_posters_mistake():
    with pytest.raises(Problem, match=r"failed with BandError.*B99") as told:
        run("class: NDVI\nconfig: {red_idx: B99, nir_idx: B08}")
    assert told.value.status == 422


@pytest.mark.parametrize(
    "text",
    [
        "class: PadTo\nconfig: {size: 400000}",
        "class: Resize\nconfig: {size: 400000}",
        "class: Resample\nconfig: {resolution: 0.0001}",
        "class: FocalMedian\nconfig: {size: 400001}",
    ],
)
def test_a_huge_result_is_refused_by_its_size_before_it_is_made(text):
    with pytest.raises(Problem, match=r"here a result has at most 268435456") as told:
        run(text)
    assert told.value.status == 422


def test_a_message_that_may_name_a_file_of_the_server_is_not_told():
    assert _refusal(ValueError("no /srv/secret")).detail == "it failed with ValueError"
    assert _refusal(ValueError("no C:\\secret")).detail == "it failed with ValueError"
    assert _refusal(ValueError("no such band")).detail == "it failed with ValueError: no such band"
    assert _refusal(ValueError()).detail == "it failed with ValueError"


def test_an_interrupt_of_the_servers_terminal_is_not_meant_for_the_child(tmp_path):
    """Ctrl-C goes to every process of the terminal's group; what is under way is finished."""
    begun, go_on, python = (tmp_path / name for name in ("begun", "go_on", "python"))
    python.write_text(
        f"#!/bin/sh\ntouch {begun}\nwhile [ ! -e {go_on} ]; do sleep 0.05; done\n"
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o700)
    program = f"""
import signal, sys
signal.signal(signal.SIGINT, lambda *_: None)
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_sandbox
sys.executable = {str(python)!r}
print(test_sandbox.run(test_sandbox.to_yaml(test_sandbox.PIPELINE)).config_hash)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    until(lambda: begun.exists() or server.poll() is not None, "the child is there")
    os.killpg(server.pid, signal.SIGINT)
    go_on.touch()
    assert server.communicate(timeout=300)[0].strip() == PIPELINE.config_hash


def test_one_that_takes_too_long_is_killed(tmp_path, monkeypatch):
    never, began = tmp_path / "never", time.monotonic()
    never.write_text("#!/bin/sh\nexec sleep 600\n")
    never.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(never))
    with pytest.raises(Problem) as told:
        run(to_yaml(PIPELINE), seconds=0.05)
    assert (told.value.status, told.value.retry_after) == (504, 30)
    assert time.monotonic() - began < 500, "the child is not waited for"


def test_one_that_wants_too_much_memory_is_refused():
    with pytest.raises(Problem, match="memory") as told:
        run(to_yaml(Fanout({str(number): PadTo(8000) for number in range(12)})))
    assert told.value.status == 422


def test_the_child_does_not_see_the_servers_environment(monkeypatch, tmp_path):
    from geostack.serve import sandbox

    monkeypatch.setenv("SECRET_TOKEN", "abc")
    assert "SECRET_TOKEN" in os.environ
    assert not {"SECRET_TOKEN", "GEOSTACK_ARCHIVE"} & set(sandbox._environment(str(tmp_path)))


def test_nothing_that_reads_or_writes_can_be_named():
    names = set(visitors_registry().names())
    assert {"NDVI", "Sequential", "Colormap"} <= names
    assert not names & {
        "WriteCOG",
        "ReadGeoTensor",
        "CatalogPipeline",
        "Cache",
        "SpatialOverlapAdd",
    }
    assert not names & {"ProcessMap", "ThreadMap", "Retry", "Lambda", "ModelOp", "Sink"}


def ask(url: str, box, text: str, **more) -> requests.Response:
    body = {"yaml": text, "bands": ["B04", "B08"], "item": ITEM, "bbox": box, **more}
    return requests.post(f"{url}/run", json=body, params={"format": "json"}, timeout=400)


@pytest.fixture
def extra() -> None:
    for name in ("fastapi", "rio_tiler", "prometheus_client"):
        pytest.importorskip(name, reason="needs the serve extra")


def test_posting_is_off_unless_enabled(extra, serve, scenes, box):
    from geostack.serve import create_app

    url = serve(create_app({"ndvi": PIPELINE}, source=scenes))
    answer = ask(url, box, to_yaml(PIPELINE))
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_server_that_accepts_pipelines(extra, serve, scenes, box):
    from geostack.serve import Limits, create_app

    limits = Limits(seconds=300.0)
    url = serve(create_app({}, source=scenes, limits=limits, accept_yaml=True))
    good = ask(url, box, to_yaml(PIPELINE))
    assert good.status_code == 200, good.text
    assert good.headers["x-config-hash"] == PIPELINE.config_hash
    assert good.json()["dtype"] == "float32"
    with Loopback() as elsewhere:
        address = f"{elsewhere.url}/api/crs"
        assert ask(url, box, f"class: Reproject\nconfig: {{crs: '{address}'}}").status_code == 422
        assert elsewhere.records == []
    assert ask(url, box, "class: os.system\nconfig: {}").status_code == 422
    assert ask(url, box, to_yaml(PIPELINE), bands=["B99"]).status_code == 422
    assert ask(url, box, to_yaml(PIPELINE), bands="B04").status_code == 422
    assert ask(url, box, 7).status_code == 422
    assert ask(url, box, to_yaml(PIPELINE), href="http://127.0.0.1").status_code == 422
    assert ask(url, box, to_yaml(PIPELINE), item="../x").status_code == 422
