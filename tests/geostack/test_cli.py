"""The command line, run in this process."""

import io
import os
import shlex
import subprocess
import sys

import pytest
from tiny_scenes import make_scene, scene_bbox

from geostack import cli

BOX = ",".join(f"{value:.5f}" for value in scene_bbox(inset=1000))


@pytest.fixture(autouse=True)
def wide(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path / "cache"))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out = capsys.readouterr()
    return ended.value.code, out.out, out.err


def test_sources(capsys):
    code, out, _ = run(capsys, "sources")
    assert code == 0
    for name in ("planetary-computer", "archive", "simulated", "lake-tahoe", "caldor", "lisbon"):
        assert name in out
    line = next(line for line in out.splitlines() if "lake-tahoe " in line and "10SGJ" in line)
    assert "simulated" in line


def test_sources_of_one_area(capsys, tmp_path, monkeypatch):
    code, out, _ = run(capsys, "sources", "south_tyrol")
    assert code == 0
    assert "south-tyrol" in out
    assert "caldor " not in out.split("Areas")[1]


def test_sources_with_a_typo(capsys, monkeypatch):
    monkeypatch.setenv("GEOSTACK_SOURCE", "typo")
    code, out, err = run(capsys, "sources")
    assert code == 2
    assert "GEOSTACK_SOURCE must be one of" in err
    assert out == ""
    assert run(capsys, "sources", "atlantis")[0] == 2


def test_cache(capsys, tmp_path):
    part = tmp_path / "cache" / "simulated" / "area-v1"
    part.mkdir(parents=True)
    (part / "a.tif").write_bytes(b"x" * 50_000)
    code, out, _ = run(capsys, "cache", "info")
    assert code == 0
    assert "simulated/area-v1" in out
    code, out, _ = run(capsys, "cache", "clear", "--yes")
    assert code == 0
    assert "removed" in out
    assert not part.exists()
    assert "is empty" in run(capsys, "cache", "info")[1]
    code, out, _ = run(capsys, "cache", "clear")
    assert code == 0
    assert "nothing to remove" in out


def test_cache_clear_asks(capsys, tmp_path, monkeypatch):
    part = tmp_path / "cache" / "simulated"
    part.mkdir(parents=True)
    (part / "a.tif").write_bytes(b"x")
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert run(capsys, "cache", "clear")[0] == 1
    assert (part / "a.tif").exists()


def test_cache_clear_where_nobody_answers(capsys, tmp_path, monkeypatch):
    part = tmp_path / "cache" / "simulated"
    part.mkdir(parents=True)
    (part / "a.tif").write_bytes(b"x")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, out, _ = run(capsys, "cache", "clear")
    assert (code, "--yes removes without asking" in out) == (1, True)
    assert (part / "a.tif").exists()


def test_cache_clear_with_standard_input_closed(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSTACK_CACHE", str(tmp_path))
    (tmp_path / "kind" / "part").mkdir(parents=True)
    (tmp_path / "kind" / "part" / "file").write_text("x")
    monkeypatch.setattr("sys.stdin", None)  # as Python starts with `<&-`
    code, out, _ = run(capsys, "cache", "clear")
    assert code == 1
    assert "left as it is" in out
    assert (tmp_path / "kind" / "part" / "file").is_file()


def test_archive_fetch_check_list(capsys, tmp_path, server, monkeypatch):
    feature = make_scene(tmp_path / "origin", bands=("B04", "SCL"))
    server.add_item(feature, tmp_path / "origin" / "sentinel-2-l2a" / feature["id"])
    archive = tmp_path / "archive"
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(archive))
    fetch = ("archive", "fetch", f"--bbox={BOX}", "--dates=2024-06", "--bands", "B04", "B12")
    code, out, err = run(capsys, *fetch)
    assert code == 1, err  # one of the bands is not there
    assert f"{feature['id']} is in {archive}" in out
    assert "not there: " in out
    assert "1 scenes" in out
    code, out, _ = run(capsys, "archive", "check")
    assert (code, out.startswith("all well")) == (0, True)
    code, out, _ = run(capsys, "archive", "list")
    assert "2024-06-14" in out
    next(archive.rglob("B04.tif")).unlink()
    code, out, _ = run(capsys, "archive", "check", str(archive))
    assert code == 1
    assert "B04.tif: missing" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fetch",), "say where"),
        (("fetch", "lake-tahoe", f"--bbox={BOX}"), "not both"),
        (("fetch", f"--bbox={BOX}"), "say when"),
        (("fetch", "lake-tahoe", "--collection=moon-rocks"), "say which files"),
        (("fetch", "--bbox=1,2,3", "--dates=2024"), "four numbers"),
        (("fetch", "--bbox=a,2,3,4", "--dates=2024"), "WEST,SOUTH,EAST,NORTH in degrees, got 'a"),
        (("fetch", "lake-tahoe", "--bands", "B99"), "unknown Sentinel-2 band 'B99'; known bands"),
        (("fetch", "lake-tahoe", "--limit=0"), "Must be >= 1"),
    ],
)
def test_archive_fetch_says_what_it_needs(capsys, arguments, said):
    code, _, err = run(capsys, "archive", *arguments)
    assert code == 2
    assert said in err


def test_archive_without_a_folder(capsys):
    code, _, err = run(capsys, "archive", "check")
    assert code == 1
    assert "geostack archive fetch AREA" in err


def test_unreachable_is_one_line(capsys):
    code, _, err = run(capsys, "archive", "fetch", "lake-tahoe")
    assert code == 1
    assert err.count("\n") == 1
    assert "did not answer" in err


def test_help_names_every_command(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in ("sources", "cache", "archive", "run", "GEOSTACK_SOURCE"):
        assert name in out


def test_run_hands_over(capfd, root, monkeypatch):
    monkeypatch.setenv("GEOSTACK_ROOT", str(root))
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(root))
    code, _, err = run(capfd, "run", "99", "--inplace", "--check", "--jobs=2")
    assert code == 2
    assert "'99' must be a tier" in err


@pytest.mark.parametrize(
    "words",
    [
        ["archive", "fetch", "lake-tahoe", "--limit", "0"],
        ["archive", "fetch", "lake-tahoe", "--limit", "-1"],
        ["archive", "fetch", "lake-tahoe", "--max-cloud-cover", "-1"],
        ["archive", "fetch", "lake-tahoe", "--max-cloud-cover", "nan"],
        ["archive", "fetch", "lake-tahoe", "--max-cloud-cover", "x"],
        ["run", "--jobs", "0"],
        ["serve", "--pipelines", "x.yaml", "--port", "65536"],
        ["serve", "--pipelines", "x.yaml", "--port", "-1"],
        ["nonsense"],
    ],
)
def test_bad_numbers_are_usage_errors(words, capsys):
    status, *_ = run(capsys, *words)
    assert status == 2


@pytest.mark.parametrize(
    "words", [["sources", "lake-tahoe"], ["cache", "info"], ["archive", "list"], ["--help"]]
)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_closed_pipe_ends_every_command_quietly(words, reader, tmp_path):
    (tmp_path / "archive").mkdir()
    environment = os.environ | {
        "GEOSTACK_CACHE": str(tmp_path),
        "GEOSTACK_ARCHIVE": str(tmp_path / "archive"),
        "GEOSTACK_SOURCE": "simulated",
    }
    line = shlex.join([sys.executable, "-m", "geostack.cli", *words]) + f" | {reader}"
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.stderr == ""
