"""The scripts of docs/, and the pages that they lay out and render."""

import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests" / "site")]


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> Path:
    """All that the site is rendered from, laid out in a folder."""
    from stage import stage

    return stage(tmp_path_factory.mktemp("site") / "pages")


@pytest.fixture(scope="session")
def rendered(pages, tmp_path_factory) -> Path:
    """The site as it is published, but for a repository that tests can name."""
    pytest.importorskip("sphinx_book_theme", reason="needs the site extra: make site")
    import build

    out = tmp_path_factory.mktemp("html")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Sphinx's extensions say of each other
        patch.setattr(build, "repository", lambda: "https://github.com/owner/geostack")
        assert build.render(pages, out) == 0
    return out
