"""Render the site into _build/html with Sphinx: python docs/build.py [--out FOLDER].

What is published is what is tested: the deployment runs the same program, and a warning is an
error. Nothing is needed of another host; where those of other libraries answer, code leads to them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inventories import readable
from stage import ROOT, stage

PAGES = ROOT / "_build" / "pages"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def main() -> int:
    """Render the site and say where it is; 0 when it is without fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "html")
    given = parser.parse_args()
    began = time.perf_counter()
    others = readable(PAGES.parent / "inventories")
    code = render(stage(PAGES, address=repository()), given.out, intersphinx_mapping=others)
    took = time.perf_counter() - began
    print(f"site: {'FAILED' if code else given.out / 'index.html'}, {took:.0f} s")
    print(f"code leads to the pages of {', '.join(others) or 'no other library: none answered'}")
    return code


def render(pages: Path, out: Path, **changed: Any) -> int:
    """Render `pages` into `out`; warnings are told on stderr, and any makes the result 1."""
    from sphinx.application import Sphinx

    if not (pages / "docs" / "static" / "mathjax").exists():
        _bring_mathjax(pages / "docs" / "static" / "mathjax")
    shutil.rmtree(out, ignore_errors=True)
    app = Sphinx(
        srcdir=str(pages),
        confdir=None,
        outdir=str(out),
        doctreedir=str(pages / "_build" / "doctrees"),
        buildername="html",
        confoverrides={**settings(), **changed},
        status=None,
        warning=sys.stderr,
        freshenv=True,
        warningiserror=True,
    )
    with _not_imported("torchgeo"):
        app.build()
    return app.statuscode


@contextmanager
def _not_imported(module: str) -> Iterator[None]:
    """Let nobody import a module: beside a torch for CPUs, torchgeo's ends in an error of torch."""
    kept = sys.modules.pop(module, None)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if kept is not None:
            sys.modules[module] = kept


def settings() -> dict[str, Any]:
    """Sphinx's configuration."""
    address = repository()
    return {
        "project": "geostack",
        "author": "The geostack developers",
        "version": PROJECT["version"],
        "release": PROJECT["version"],
        "html_title": f"geostack {PROJECT['version']}",
        "html_favicon": "docs/images/favicon.svg",
        "html_context": {"default_mode": "auto"},
        "html_theme": "sphinx_book_theme",
        "extensions": [
            "myst_nb",
            "sphinx.ext.intersphinx",
            "sphinx_external_toc",
            "sphinx_design",
            "sphinx_copybutton",
            "sphinx_codeautolink",
            "sphinx_exercise",
            "sphinx_togglebutton",
            "page_links",
        ],
        "external_toc_path": "docs/toc.yml",
        "exclude_patterns": ["_build", "downloads", "**/_build"],
        "nb_execution_mode": "off",
        "nb_ipywidgets_js": {},
        "nb_merge_streams": True,
        "myst_enable_extensions": ["dollarmath", "colon_fence", "attrs_inline", "deflist"],
        "myst_heading_anchors": 3,
        "add_module_names": False,
        "toc_object_entries_show_parents": "hide",
        "python_maximum_signature_line_length": 76,
        "codeautolink_concat_default": True,
        "codeautolink_warn_on_missing_inventory": False,
        "codeautolink_warn_on_failed_resolve": False,
        "copybutton_prompt_text": r">>> |\.\.\. |\$ ",
        "copybutton_prompt_is_regexp": True,
        "html_static_path": ["docs/static"],
        "mathjax_path": "mathjax/tex-mml-chtml.js",
        "html_css_files": ["site.css"],
        "html_theme_options": {
            "show_navbar_depth": 1,
            "use_download_button": False,
            "use_fullscreen_button": False,
            "home_page_in_toc": False,
            **(_buttons(address) if address else {}),
        },
        "html_copy_source": False,
        "html_use_index": False,  # the reference's first page lists every name
        "html_domain_indices": False,
        "suppress_warnings": ["mystnb.unknown_mime_type"],
    }


def repository() -> str:
    """The repository's address: of the project's metadata, the host that builds, or the clone."""
    named = PROJECT.get("urls", {}).get("Repository")
    built = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}"
    if named is None and "GITHUB_REPOSITORY" in os.environ:
        named = built.format_map({"GITHUB_SERVER_URL": "https://github.com", **os.environ})
    if named is None:
        asked = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
        named = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return named.removesuffix(".git") if named.startswith("https://") else ""


def _buttons(address: str) -> dict[str, Any]:
    """What a page offers beside itself where the repository's address is known."""
    return {
        "repository_url": address,
        "repository_branch": "main",
        "path_to_docs": "",
        "use_repository_button": True,
        "use_edit_page_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }


def _bring_mathjax(folder: Path) -> None:
    """Copy MathJax with its fonts from the package that ships it, so that no page asks a CDN."""
    found = find_spec("sphinx-mathjax-offline")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "rendering the site needs sphinx-mathjax-offline: pip install -e '.[site]'"
        )
    shipped = Path(found.submodule_search_locations[0]) / "static" / "mathjax"
    fonts = Path("output", "chtml", "fonts", "woff-v2")
    shutil.copytree(shipped / fonts, folder / fonts)
    shutil.copy(shipped / "tex-mml-chtml.js", folder / "tex-mml-chtml.js")


if __name__ == "__main__":
    raise SystemExit(main())
