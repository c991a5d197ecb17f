"""A server from a YAML file: read strictly, started by the command line."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from tiny_scenes import make_scene, scene_bbox

from geostack import cli
from geostack.serve import app
from geostack.serve.settings import read_settings
from geotoolz import NDVI, Colormap
from pipekit import ConfigError, UntrustedOperatorError, to_yaml

ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"
NDVI_OP = NDVI(red_idx="B04", nir_idx="B08")
COLOURS = NDVI_OP | Colormap("BrBG", -1.0, 1.0)


def indented(operator, by: int) -> str:
    return "\n".join(" " * by + line for line in to_yaml(operator).splitlines())


def text(**replace: str) -> str:
    west, south, east, north = scene_bbox()
    whole = f"""
source: archive
limits: {{max_pixels: 1000000}}
pipelines:
  ndvi:
    bands: [B04, B08]
    pipeline:
{indented(NDVI_OP, 6)}
layers:
  ndvi:
    item: {ITEM}
    bbox: [{west}, {south}, {east}, {north}]
    bands: [B04, B08]
    title: Vegetation
    pipeline:
{indented(COLOURS, 6)}
"""
    for old, new in replace.values():
        assert old in whole
        whole = whole.replace(old, new, 1)
    return whole


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_scene(tmp_path / "archive", ITEM)
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(tmp_path / "archive"))
    return tmp_path / "archive"


@pytest.fixture
def file(tmp_path: Path, archive: Path) -> Path:
    path = tmp_path / "serve.yaml"
    path.write_text(text())
    return path


def test_a_file_is_read_exactly(file: Path):
    settings = read_settings(file)
    assert settings.source == "archive"
    assert settings.limits.max_pixels == 1_000_000
    assert settings.pipelines["ndvi"].operator == NDVI_OP
    assert settings.pipelines["ndvi"].bands == ("B04", "B08")
    layer = settings.layers["ndvi"]
    assert (layer.operator, layer.title) == (COLOURS, "Vegetation")
    assert [asset.key for asset in layer.assets] == ["B04", "B08"]
    assert layer.offsets == (True, True)


def test_a_layer_of_a_file_beside_it(file: Path, archive: Path):
    band = archive / "sentinel-2-l2a" / ITEM / "B04.tif"
    (file.parent / "red.tif").write_bytes(band.read_bytes())
    start = text().index("layers:")
    layer = "layers:\n  red:\n    file: red.tif\n    bands: [red]\n    pipeline:\n"
    file.write_text(text()[:start] + layer + indented(Colormap("gray", 0.0, 5000.0), 6))
    (asset,) = read_settings(file).layers["red"].assets
    assert asset.href == str(file.parent / "red.tif")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("source: archive", "sauce: archive", "unknown sauce"),
        ("max_pixels: 1000000", "max_pixels: -1", "limits: max_pixels must be"),
        ("max_pixels: 1000000", "pixels: 1", "unknown pixels"),
        ("bands: [B04, B08]", "bands: []", "pipelines.ndvi.bands must list"),
        ("bands: [B04, B08]", "bands: B04", "pipelines.ndvi.bands must list"),
        ("title: Vegetation", "colour: green", "unknown colour"),
        ("source: archive", "accept_yaml: 1", "accept_yaml must be"),
        (ITEM, "S2B_20240614T000000_NONE", "layers.ndvi: archive has no scene"),
        ("pipelines:", "pipelines: &a", "anchors"),
    ],
)
def test_what_is_wrong_is_named(file: Path, old: str, new: str, says: str):
    file.write_text(text(change=(old, new)))
    with pytest.raises(ConfigError, match=says):
        read_settings(file)


def test_a_class_outside_the_registry_is_refused(file: Path):
    file.write_text(text(change=("class: NDVI", "class: os.system")))
    with pytest.raises(UntrustedOperatorError, match=r"pipelines\.ndvi\.pipeline.*os\.system"):
        read_settings(file)


def test_names_and_sources_are_checked(file: Path):
    file.write_text(text(change=("  ndvi:", "  '../ndvi':")))
    with pytest.raises(ValueError, match="is named by"):
        read_settings(file)
    file.write_text(text(change=("source: archive", "source: http://x")))
    with pytest.raises(ValueError, match="must be one of"):
        read_settings(file)
    file.write_text("source: archive\n")
    with pytest.raises(ConfigError, match="nothing to serve"):
        read_settings(file)


def test_without_the_extra_the_command_says_what_to_install(file: Path, capsys, monkeypatch):
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["serve", "--pipelines", str(file)])
    assert stop.value.code == 1
    assert 'pip install ".[serve]"' in capsys.readouterr().err


def test_a_missing_file_is_one_clear_message(capsys, tmp_path: Path):
    with pytest.raises(SystemExit) as stop:
        cli.main(["serve", "--pipelines", str(tmp_path / "none.yaml")])
    assert stop.value.code == 1
    assert "none.yaml" in capsys.readouterr().err


def test_a_port_that_there_is_not_is_refused(file: Path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["serve", "--pipelines", str(file), "--port", "99999"])
    told = capsys.readouterr().err
    assert "--port" in told
    assert "65536" in told


def test_the_command_serves_and_stops(file: Path):
    pytest.importorskip("fastapi", reason="needs the serve extra")
    pytest.importorskip("rio_tiler", reason="needs the serve extra")
    pytest.importorskip("prometheus_client", reason="needs the serve extra")
    command = [sys.executable, "-m", "geostack.cli", "serve", "--pipelines", str(file), "--port=0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        url = found.group()
        told = requests.get(f"{url}/layers", timeout=120).json()["layers"]
        assert [each["title"] for each in told] == ["Vegetation"]
        body = {"item": ITEM, "bbox": list(scene_bbox(inset=2_000))}
        answer = requests.post(f"{url}/pipelines/ndvi", json=body, timeout=120)
        assert answer.status_code == 200
        assert "server" not in answer.headers
        process.send_signal(signal.SIGINT)
        assert process.wait(300) in (0, -signal.SIGINT, 128 + signal.SIGINT)
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


@pytest.mark.parametrize("part", ["pipelines", "layers", "limits"])
@pytest.mark.parametrize("value", ["5", "[a]", "words", "true", "-0.5"])
def test_a_part_that_is_no_mapping_is_named(tmp_path: Path, part: str, value: str):
    given = {"pipelines": "{same: {bands: [B04], pipeline: {class: Identity, config: {}}}}"}
    file = tmp_path / "serve.yaml"
    file.write_text("\n".join(f"{key}: {text}" for key, text in {**given, part: value}.items()))
    with pytest.raises(ConfigError, match=f"{part} must be a mapping"):
        read_settings(file)


def test_a_file_that_is_no_text_is_named(tmp_path: Path):
    file = tmp_path / "serve.yaml"
    file.write_bytes(b"\xff\xfe\0p")
    with pytest.raises(ConfigError, match=r"serve\.yaml is no text in UTF-8"):
        read_settings(file)
