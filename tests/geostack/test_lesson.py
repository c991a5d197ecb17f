"""Lessons whose framework is missing: the rest is skipped, saying how to get it."""

import subprocess
import sys

import numpy as np
import pytest

from geostack.lesson import need, peak_memory


def test_what_is_there_lets_the_lesson_go_on(capsys):
    assert need("json", "numpy")
    assert capsys.readouterr().out == ""


def test_a_script_ends_well_saying_what_to_install(capsys):
    code = "from geostack.lesson import need\nneed('no_such_framework')\nraise RuntimeError"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stdout == (
        "skipped: this needs no_such_framework; in a clone of geostack run: "
        'python -m pip install ".[recipes]"\n'
    )


def test_a_lesson_does_not_hide_the_package_it_is_named_after(tmp_path):
    (tmp_path / "yaml.py").write_text("raise RuntimeError('the lesson, not the package')")
    code = "from geostack.lesson import need\nneed('yaml')\nimport yaml; print(yaml.__version__)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_the_cells_after_it_do_nothing(capsys):
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    shell = shell_module.InteractiveShell.instance()
    try:
        before = shell.run_cell("from geostack.lesson import need\nfound = need('no_such_one')")
        assert before.success
        assert shell.user_ns["found"] is False
        assert shell.run_cell("import no_such_one\nfound = 'ran'").success
        assert shell.user_ns["found"] is False
    finally:
        shell_module.InteractiveShell.clear_instance()
    assert 'pip install ".[recipes]"' in capsys.readouterr().out


def test_a_process_remembers_the_most_that_it_held_and_not_what_its_parent_holds():
    held = np.ones(100 << 20, "uint8")
    code = (
        "import numpy as np; from geostack.lesson import peak_memory; before = peak_memory()\n"
        "kept = np.ones(50 << 20, 'uint8'); del kept; print(before, peak_memory())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(float, run.stdout.split())
    assert 40 < after - before < 100
    assert peak_memory() > held.nbytes / 2**20
    assert before < peak_memory()
