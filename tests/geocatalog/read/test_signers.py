"""A place is opened by whoever knows it: named by its row, or told by its looks, in any process."""

import pickle
import tomllib
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest
from footprints import frame

from geocatalog import CatalogError, InMemoryGeoCatalog, from_geoparquet, to_geoparquet
from geocatalog.read import signers


class Desk:
    """Signs the files of one host."""

    def __init__(self, name="desk", host="desk.example"):
        self.name, self.host, self.asked = name, host, []

    def knows(self, href):
        return f"//{self.host}/" in href

    def sign(self, href, *, renew=False):
        self.asked.append((href, renew))
        return f"{href}?token={len(self.asked)}"


@pytest.fixture
def known(monkeypatch):
    """No signer is known but those of a test."""
    for name in ("_ADDED", "_GIVEN"):
        monkeypatch.setattr(signers, name, {})
    monkeypatch.setattr(signers, "_WARNED", set())
    monkeypatch.setattr(signers, "_declared", lambda: {})


def test_a_file_that_is_there_is_opened_as_it_is(known, tmp_path):
    class Jealous(Desk):
        def knows(self, href):
            pytest.fail("asked for a file that is there")

    signers.add_signer(Jealous())
    path = tmp_path / "a.tif"
    path.touch()
    assert signers.openable(str(path)) == str(path)


def test_a_place_is_signed_by_who_knows_it_and_others_open_as_they_are(known):
    signers.add_signer(Desk())
    assert signers.signer_name("https://desk.example/a.tif") == "desk"
    assert signers.openable("https://desk.example/a.tif") == "https://desk.example/a.tif?token=1"
    assert signers.openable("https://host/a.tif") == "https://host/a.tif"
    assert signers.signing("https://host/a.tif") is None


def test_a_named_signer_is_asked_whatever_a_place_looks_like(known):
    one, two = Desk("one"), Desk("two")
    signers.add_signer(one)
    signers.add_signer(two)
    sign = signers.signing("https://desk.example/a.tif", "two")
    assert sign("https://desk.example/a.tif", renew=True).endswith("token=1")
    assert (one.asked, two.asked) == ([], [("https://desk.example/a.tif", True)])


def test_a_signer_that_is_not_known_is_named_with_the_way_out(known):
    signers.add_signer(Desk())
    with pytest.raises(CatalogError, match=r"signed by 'absent'.*it knows desk.*add_signer"):
        signers.openable("https://host/a.tif", "absent")


def test_a_token_that_nobody_can_renew_is_warned_of_once_and_kept_here_only(known):
    signed = ["a.tif?v=1&token=SECRET", "b.tif?token=SECRET"]
    with pytest.warns(signers.TokenWarning, match=r"files at host came with tokens") as warned:
        place, _ = signers.places_of([f"https://host/{name}" for name in signed])
    assert len(warned) == 1
    assert "SECRET" not in str(warned[0].message)
    assert place == "https://host/a.tif?v=1"
    assert signers.openable(place) == "https://host/a.tif?v=1&token=SECRET"


def test_a_token_of_a_known_place_is_dropped(known):
    signers.add_signer(Desk())
    assert signers.place_of("https://desk.example/a.tif?token=old") == "https://desk.example/a.tif"
    assert signers._GIVEN == {}


def test_tables_hold_no_tokens_whatever_they_are_made_of(known, tmp_path):
    table = frame([(0, 0, 1, 1)] * 3)
    table["filepath"] = ["https://host/a.tif?sig=SECRET&se=1", "/b.tif", "https://u:SECRET@host/c"]
    with pytest.warns(signers.TokenWarning):
        catalog = InMemoryGeoCatalog(table)
    assert catalog.gdf.filepath.tolist() == ["https://host/a.tif", "/b.tif", "https://u@host/c"]
    path = to_geoparquet(catalog, tmp_path / "catalog.parquet")
    assert len(from_geoparquet(path)) == 3
    with open(path, "rb") as file:
        assert b"SECRET" not in file.read()
    assert b"SECRET" not in pickle.dumps(catalog)


def test_other_processes_find_declared_signers(known, monkeypatch, repo_root):
    project = tomllib.loads((repo_root / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["entry-points"]["geocatalog.signing"]
    entries = [EntryPoint(*pair, "geocatalog.signing") for pair in declared.items()]
    monkeypatch.undo()
    monkeypatch.setattr(signers, "entry_points", lambda group: entries)
    signers._declared.cache_clear()
    found = signers._declared()
    signers._declared.cache_clear()
    assert {name: type(signer) for name, signer in found.items()} == {
        "simulated": import_module("geostack.sources.simulated").SimulatedSource,
        "planetary-computer": import_module(
            "geostack.sources.planetary_computer"
        ).PlanetaryComputerSource,
    }
    assert all(name == signer.name for name, signer in found.items())
