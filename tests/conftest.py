"""What every test may ask for: the repository's folder, and the real sample data beside it."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

ROOT = Path(__file__).resolve().parents[1]

# Loopback servers and small scenes that several packages' tests share: `from loopback import ...`.
sys.path.insert(0, str(ROOT / "tests" / "support"))
# What runs and checks the notebooks is no part of the wheel.
sys.path.insert(0, str(ROOT / "tools"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an author's machine: the real sample data, or the site's renderer."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()) or "tests/site" in item.nodeid:
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
def simulated_tahoe() -> Path:
    """The simulated Lake Tahoe scenes, built into the cache folder if they aren't there."""
    from simulated_areas import ensure_area

    from geostack.cache import writable_cache_folder
    from geostack.sources.simulated import KIND

    return ensure_area("lake-tahoe", writable_cache_folder() / KIND)
