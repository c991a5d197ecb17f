"""Runs over files that need tokens outlive the tokens, and leave none behind."""

import logging
import re
import subprocess
import sys
import traceback
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from loopback import Fault
from tiny_scenes import make_scene, scene_bbox

from geocatalog import (
    GeoSlice,
    build_raster_catalog,
    from_geoparquet,
    from_stac_items,
    load_raster,
    open_catalog,
    to_geoparquet,
    to_stac_items,
)
from geocatalog.read import signers
from geostack import PixelReadError, SourceUnavailableError, load_stac_items, mpc_catalog
from geostack.sources import planetary_computer
from geostack.sources.planetary_computer import PlanetaryComputerSource
from geotoolz import NDVI
from geotoolz.catalog_ops import CatalogField, CatalogPipeline
from pipekit import retry

SCENES = 14
SIGNER = '''
import os
from geostack.sources.planetary_computer import PlanetaryComputerSource

class Signer(PlanetaryComputerSource):
    """The live source, for the files of one server."""

    name = "loopback"

    def knows(self, href):
        return os.environ["LOOPBACK_HOST"] in href
'''
LEAK = re.compile(rb"SECRET|sig=(?!\*\*\*)|sig%3D(?!\*\*\*)")


@pytest.fixture
def no_tokens_given(monkeypatch):
    """No process has been given a token before."""
    monkeypatch.setattr(signers, "_GIVEN", {})
    monkeypatch.setattr(signers, "_WARNED", set())
    monkeypatch.setattr(signers, "_ADDED", dict(signers._ADDED))


@pytest.fixture
def scenes(server, tmp_path):
    """Scenes of two bands on a server whose files need tokens."""
    for number in range(SCENES):
        feature = make_scene(
            tmp_path / "scenes",
            f"S2B_{number:02d}",
            when=f"2024-06-{number + 1:02d}T18:39:19Z",
            bands=("B04", "B08"),
            cloud=float(number) / 2,
            tile=f"10S{number:02d}",
        )
        server.add_item(feature, tmp_path / "scenes" / "sentinel-2-l2a" / feature["id"])
    server.valid = set()
    return server


@pytest.fixture
def source(scenes, tmp_path, monkeypatch, no_tokens_given):
    """A signer that a package declares, so that every process finds it, as a user's would be."""
    package = tmp_path / "package"
    info = package / "loopback_signer-1.0.dist-info"
    info.mkdir(parents=True)
    (package / "loopback_signer.py").write_text(SIGNER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loopback-signer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[geocatalog.signing]\nloopback = loopback_signer:Signer\n"
    )
    monkeypatch.setenv("LOOPBACK_HOST", scenes.host)
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.syspath_prepend(str(package))
    # Only its own looks tell who signs these files.
    monkeypatch.setattr(planetary_computer, "BLOB_DOMAIN", ".nowhere.example")
    monkeypatch.setattr(signers, "_declared", lru_cache(signers._declared.__wrapped__))
    sys.modules.pop("loopback_signer", None)
    from loopback_signer import Signer

    return Signer()


def search(source=None):
    return load_stac_items(
        "sentinel-2-l2a",
        scene_bbox(inset=100),
        "2024-06",
        max_cloud_cover=None,
        source=source or "planetary-computer",
    )


def leaks(*texts, folder=None):
    """Return what of the texts, and of the files under a folder, holds a token."""
    found = [text[:200] for text in texts if LEAK.search(text.encode())]
    for path in folder.rglob("*") if folder else ():
        if path.is_file() and LEAK.search(path.read_bytes()):
            found.append(str(path))
    return found


@pytest.mark.parametrize("scheduler", ["threads", "processes", "dask"])
def test_a_run_outlives_its_tokens_and_leaves_none(
    source, scenes, tmp_path, scheduler, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    scenes.token_uses = 20
    items = search(source)
    catalog = from_stac_items(items, asset_key=["B04", "B08"])
    assert set(catalog.gdf.signer) == {"loopback"}
    left = tmp_path / "left"
    to_geoparquet(catalog, left / "in.parquet")
    # The run reads what another session saved.
    saved = open_catalog(left / "in.parquet")
    pipeline = CatalogPipeline(
        saved,
        NDVI(0, 1),
        writer=left / "out",
        journal=left / "journal.jsonl",
        scheduler=scheduler,
        workers=2,
    )
    report, outputs = pipeline.run()
    assert report.done == SCENES
    refused = sum(uses >= scenes.token_uses for uses in scenes.uses.values())
    assert refused >= 3, f"only {refused} tokens ran out, so nothing was renewed"
    to_geoparquet(outputs, left / "out.parquet")
    again, _ = pipeline.run()
    assert again.resumed == SCENES, "a journal's key does not change with the token"

    row = next(catalog.iter_rows())
    field = CatalogField(row)
    raster = field.load()
    scenes.faults = [Fault("B04", status=503, times=9999)]
    with pytest.raises(Exception, match="B04") as caught:
        CatalogPipeline(catalog, NDVI(0, 1), writer=left / "failed", scheduler=scheduler).run()
    said = "".join(traceback.format_exception(caught.value))
    skipped, _ = CatalogPipeline(
        catalog, NDVI(0, 1), writer=left / "skipped", on_row_error="skip"
    ).run()
    assert len(skipped.failed) >= SCENES - 1  # GDAL may still hold the file that was just read
    shown = [
        repr(each) for each in (catalog, row, field, report, skipped, skipped.failed, pipeline)
    ]
    shown += [str(raster.attrs), str(pipeline.get_config()), str(catalog.gdf.to_dict())]
    shown += [str([item.to_dict() for item in (*items, *to_stac_items(catalog))])]
    assert len(scenes.issued) >= 4
    assert not leaks(said, caplog.text, *capfd.readouterr(), *shown, folder=left)
    assert "sig=***" in caplog.text or scheduler != "threads"  # the logs were there, and redacted


def test_unsigned_hrefs_of_the_live_source_open_in_builders_and_loaders(scenes, no_tokens_given):
    items = search()
    hrefs = [item.assets["B04"].href for item in items]
    assert not leaks(*hrefs)
    built = build_raster_catalog(hrefs)
    assert set(built.gdf.signer) == {"planetary-computer"}
    scenes.expire_tokens()
    slice_ = GeoSlice(built.total_bounds, None, 10, built.crs)
    from_headers = load_raster(built, slice_)
    from_items = load_raster(from_stac_items(items, asset_key="B04"), slice_)
    np.testing.assert_array_equal(from_headers.values, from_items.values)
    assert not leaks(repr(from_headers.attrs))


def test_signed_hrefs_of_a_known_place_are_the_same_place(scenes, no_tokens_given):
    client = mpc_catalog()
    signed = list(client.search(collections=["sentinel-2-l2a"]).items())
    assert all("sig=" in item.assets["B04"].href for item in signed)
    catalog = from_stac_items(signed, asset_key="B04")
    assert not leaks(str(catalog.gdf.to_dict()))
    assert set(catalog.gdf.signer) == {"planetary-computer"}
    scenes.expire_tokens()
    assert CatalogField(next(catalog.iter_rows())).load().shape == (1, 512, 512)


def test_signed_hrefs_of_an_unknown_place_open_here_and_a_saved_catalog_says_why_not(
    scenes, tmp_path, monkeypatch, no_tokens_given
):
    signed = [PlanetaryComputerSource().sign(item.assets["B04"].href) for item in search()[:2]]
    monkeypatch.setattr(planetary_computer, "BLOB_DOMAIN", ".nowhere.example")
    with pytest.warns(signers.TokenWarning, match="in this process only"):
        catalog = build_raster_catalog(signed)
    assert "signer" not in catalog.columns
    assert CatalogField(next(catalog.iter_rows())).load().shape == (1, 512, 512)
    path = to_geoparquet(catalog, tmp_path / "left" / "catalog.parquet")
    assert not leaks(repr(list(catalog)), folder=tmp_path / "left")
    program = f"""
from geocatalog import open_catalog
from geotoolz.catalog_ops import CatalogField
CatalogField(next(open_catalog({path!r}).iter_rows())).load()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode != 0
    assert "HTTP 403" in run.stderr
    assert not leaks(run.stderr)


def test_a_saved_catalog_names_a_signer_that_another_machine_lacks(source, tmp_path, monkeypatch):
    catalog = from_stac_items(search(source), asset_key="B04")
    path = to_geoparquet(catalog, tmp_path / "catalog.parquet")
    monkeypatch.setattr(signers, "_ADDED", {})
    monkeypatch.setattr(signers, "_declared", lambda: {})
    with pytest.raises(ValueError, match="signed by 'loopback', which this process does not know"):
        CatalogField(next(from_geoparquet(path).iter_rows())).load()


@pytest.mark.parametrize("kind", ["latency", "drip"])
def test_a_token_that_never_comes_is_given_up_within_the_policy(scenes, monkeypatch, kind):
    href = search()[0].assets["B04"].href
    monkeypatch.setattr(planetary_computer, "WHOLE", 0.1)
    scenes.faults = [Fault("/sas/", kind=kind, seconds=5.0 * (kind == "latency"), times=99)]
    source = PlanetaryComputerSource(policy=retry.RetryPolicy(tries=2, base_delay=0.01, total=20))
    with pytest.raises(SourceUnavailableError, match=r"2 tries .* no whole answer within 0\.1 s"):
        source.sign(href)


def test_a_page_of_items_that_comes_in_drips_is_given_up(scenes, monkeypatch):
    monkeypatch.setattr(planetary_computer, "WHOLE", 0.1)
    scenes.faults = [Fault("/search", kind="drip", times=99)]
    with pytest.raises(SourceUnavailableError, match="no whole answer within"):
        search()


def test_a_password_in_an_address_is_not_shown(scenes):
    source = PlanetaryComputerSource("http://me:SECRET@127.0.0.1:9/stac")
    assert not leaks(source.describe(), source.why_not(), source.fix())
    with pytest.raises(SourceUnavailableError) as caught:
        source.search("sentinel-2-l2a", scene_bbox(), "2024")
    assert not leaks(str(caught.value))


def test_a_file_that_stays_refused_is_an_error_without_a_token(scenes):
    scenes.faults = [Fault("B04", status=403, times=99)]
    catalog = from_stac_items(search(), asset_key="B04")
    with pytest.raises((PixelReadError, ValueError), match="HTTP 403") as caught:
        CatalogField(next(catalog.iter_rows())).load()
    assert not leaks("".join(traceback.format_exception(caught.value)))
    assert Path(next(iter(catalog)).filepath).name == "B04.tif"
