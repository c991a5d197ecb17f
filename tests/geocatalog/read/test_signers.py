"""A file that isn't there is asked for from whoever can make it, in any process."""

import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest

from geocatalog.read import signers


@pytest.fixture
def known(monkeypatch):
    """No signer is known but those of a test."""
    monkeypatch.setattr(signers, "_SIGNERS", [])
    monkeypatch.setattr(signers, "_declared", lambda: ())


def test_a_file_that_is_there_is_opened_as_it_is(known, tmp_path):
    signers.add_signer(lambda path: pytest.fail("asked for a file that is there"))
    path = tmp_path / "a.tif"
    path.touch()
    assert signers.openable(str(path)) == str(path)


def test_a_signer_is_asked_for_what_is_not_there_and_added_once(known):
    def signer(path):
        return path.replace("wanted", "made")

    signers.add_signer(signer)
    signers.add_signer(signer)
    assert [signer] == signers._SIGNERS
    assert signers.openable("/nowhere/wanted.tif") == "/nowhere/made.tif"
    assert signers.openable("https://host/a.tif") == "https://host/a.tif"


def test_other_processes_find_declared_signers(known, monkeypatch, repo_root):
    project = tomllib.loads((repo_root / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["entry-points"]["geocatalog.signers"]
    entries = [EntryPoint(*pair, "geocatalog.signers") for pair in declared.items()]
    monkeypatch.undo()
    monkeypatch.setattr(signers, "entry_points", lambda group: entries)
    signers._declared.cache_clear()
    found = signers._declared()
    signers._declared.cache_clear()
    assert found == (import_module("geostack.sources.simulated").simulated_file,)
