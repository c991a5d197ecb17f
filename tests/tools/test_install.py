"""What the install says meanwhile: names and sizes, then how many packages are unpacked."""

import tomllib

from install import DOWNLOAD, main, told

PIP = """\
Obtaining file:///somewhere
  Preparing metadata (pyproject.toml): finished with status 'done'
Collecting numpy>=2.0 (from geostack==0.1.0)
  Downloading numpy-2.4.0-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (6.6 kB)
Collecting typing-extensions (from geostack==0.1.0)
  Using cached typing_extensions-4.15.0-py3-none-any.whl (44 kB)
Downloading numpy-2.4.0-cp311-cp311-manylinux_2_28_x86_64.whl (16.4 MB)
Installing collected packages: typing-extensions, numpy, geostack
Successfully installed geostack-0.1.0 numpy-2.4.0 typing-extensions-4.15.0
"""


def test_each_package_is_named_once_with_its_size():
    assert "".join(told(PIP.splitlines(keepends=True))) == (
        "  typing_extensions 44 kB, numpy 16.4 MB\n  unpacking 3 packages ... "
    )


def test_lines_do_not_run_out_of_the_window():
    lines = [f"Downloading package_{i}-1.0-py3-none-any.whl (1.0 MB)" for i in range(200)]
    printed = "".join(told(lines)).splitlines()
    assert len(printed) > 20
    assert max(map(len, printed)) < 120


def test_every_extra_says_how_much_it_downloads(root):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(DOWNLOAD) == set(project["optional-dependencies"])
    assert all("MB" in told_size for told_size in DOWNLOAD.values())


def test_a_pin_after_the_options_reaches_pip(tmp_path, monkeypatch, capfd):
    """As the Makefile calls it; the interpreter is a script that prints what it was given."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    python.chmod(0o755)
    monkeypatch.setattr("install.shutil.which", lambda name: None)
    log = tmp_path / "log"
    assert main(["recipes", "--python", str(python), "--log", str(log), "torch==2.13.0"]) == 0
    words = log.read_text().splitlines()
    assert words[-1] == "torch==2.13.0"
    assert words[-2].endswith("[recipes]")
