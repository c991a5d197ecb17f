"""Every geostack test runs without the user's settings and without the live service."""

from collections.abc import Iterator

import pytest
from loopback import Loopback

from geostack import web
from geostack.sources import planetary_computer
from pipekit import retry

FAST = retry.RetryPolicy(tries=4, base_delay=0.01, max_delay=0.05, total=300.0)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No settings of the user, no archive, no live service, quick retries."""
    monkeypatch.delenv("GEOSTACK_SOURCE", raising=False)
    nowhere = tmp_path_factory.getbasetemp() / "no-archive-here"
    monkeypatch.setenv("GEOSTACK_ARCHIVE", str(nowhere))
    # Port 9 (discard) is closed: whoever would ask the live service is refused at once.
    monkeypatch.setenv("GEOSTACK_STAC_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(retry, "DEFAULT", FAST)
    for module in (web, planetary_computer):  # a busy machine is no service that does not answer
        monkeypatch.setattr(module, "PROBE_SECONDS", 120.0)
    planetary_computer._probed.cache_clear()


@pytest.fixture(scope="session")
def _server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


@pytest.fixture
def server(_server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The loopback service as the live source: its STAC, its tokens, its files."""
    from planetary_computer import sas
    from planetary_computer.settings import Settings

    _server.reset()
    monkeypatch.setenv("GEOSTACK_STAC_URL", f"{_server.url}/stac")
    monkeypatch.setenv("PC_SDK_SAS_URL", f"{_server.url}/sas")
    # The signer only signs addresses of Azure's domain; on loopback that is the server's own.
    monkeypatch.setattr(sas, "BLOB_STORAGE_DOMAIN", _server.host)
    monkeypatch.setattr(planetary_computer, "BLOB_DOMAIN", _server.host)
    Settings.get.cache_clear()
    sas.TOKEN_CACHE.clear()
    return _server
