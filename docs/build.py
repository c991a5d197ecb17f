"""Render the site into _build/html: python docs/build.py [--with mystmd|sphinx] [--out FOLDER].

mystmd needs its theme, which it downloads. Without `--with`, mystmd renders where the theme can be
had, and Sphinx renders the same pages where it cannot.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stage import ROOT, stage, toc

PAGES = ROOT / "_build" / "pages"


def main() -> int:
    """Render the site and say where it is; 0 when it is without fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--with", dest="engine", choices=("mystmd", "sphinx"))
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "html")
    given = parser.parse_args()
    began = time.perf_counter()
    stage(PAGES)
    print(f"{sum(1 for _ in _files(toc(PAGES)))} pages laid out in {PAGES.relative_to(ROOT)}")
    engine = given.engine or "mystmd"
    code = render_with_mystmd(PAGES, given.out) if engine == "mystmd" else 1
    if engine == "sphinx" or (code and given.engine is None):
        if given.engine is None:
            print("mystmd cannot render here (its theme has to be downloaded); taking Sphinx")
        engine = "sphinx"
        code = render_with_sphinx(PAGES, given.out)
    took = time.perf_counter() - began
    print(f"{engine}: {'FAILED' if code else given.out / 'index.html'}, {took:.0f} s")
    return code


def render_with_mystmd(pages: Path, out: Path) -> int:
    """Let mystmd make static HTML; `BASE_URL` is the site's path on its host."""
    program = shutil.which("myst", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    if program is None or shutil.which("node") is None:
        return 1
    done = subprocess.run(
        [program, "build", "--html", "--strict", "--ci"], cwd=pages, capture_output=True, text=True
    )
    made = pages / "_build" / "html"
    if done.returncode or not (made / "index.html").exists():
        (pages / "mystmd.log").write_text(done.stdout + done.stderr, "utf-8")
        return 1
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(made, out)
    return 0


def render_with_sphinx(pages: Path, out: Path) -> int:
    """Render with Sphinx, warnings being errors, all of them told, nothing from other hosts."""
    from sphinx.application import Sphinx

    entries = toc(pages)
    (pages / "_toc.yml").write_text(_external_toc(entries), "utf-8")
    _bring_mathjax(pages / "docs" / "static" / "mathjax")
    shutil.rmtree(out, ignore_errors=True)
    app = Sphinx(
        srcdir=str(pages),
        confdir=None,
        outdir=str(out),
        doctreedir=str(pages / "_build" / "doctrees"),
        buildername="html",
        confoverrides=settings(),
        status=None,
        warning=sys.stderr,
        freshenv=True,
        warningiserror=True,
    )
    app.build()
    return app.statuscode


def settings() -> dict[str, Any]:
    """Sphinx's configuration."""
    return {
        "project": "geostack",
        "author": "The geostack developers",
        "html_title": "geostack",
        "html_favicon": "docs/images/favicon.svg",
        "html_context": {"default_mode": "auto"},
        "html_theme": "sphinx_book_theme",
        "extensions": ["myst_nb", "sphinx_external_toc", "sphinx_exercise", "sphinx_togglebutton"],
        "external_toc_path": "_toc.yml",
        "exclude_patterns": ["_build", "downloads", "**/_build"],
        "nb_execution_mode": "off",
        "nb_ipywidgets_js": {},
        "nb_merge_streams": True,
        "myst_enable_extensions": ["dollarmath", "colon_fence", "attrs_inline"],
        "myst_heading_anchors": 3,
        "html_static_path": ["docs/static"],
        "mathjax_path": "mathjax/tex-mml-chtml.js",
        "html_css_files": ["site.css"],
        "html_theme_options": {
            "show_navbar_depth": 1,
            "use_download_button": False,
            "use_fullscreen_button": False,
            "home_page_in_toc": False,
        },
        "html_copy_source": False,
        "suppress_warnings": ["mystnb.unknown_mime_type", "toc.not_included"],
    }


def _bring_mathjax(folder: Path) -> None:
    """Copy MathJax with its fonts from the package that ships it, so that no page asks a CDN."""
    found = find_spec("sphinx-mathjax-offline")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "rendering with Sphinx needs sphinx-mathjax-offline: pip install -e '.[site]'"
        )
    shipped = Path(found.submodule_search_locations[0]) / "static" / "mathjax"
    fonts = Path("output", "chtml", "fonts", "woff-v2")
    shutil.copytree(shipped / fonts, folder / fonts)
    shutil.copy(shipped / "tex-mml-chtml.js", folder / "tex-mml-chtml.js")


def _files(entries: list[dict[str, Any]]) -> Any:
    for entry in entries:
        if "file" in entry:
            yield entry["file"]
        yield from _files(entry["children"])


def _external_toc(entries: list[dict[str, Any]]) -> str:
    import yaml

    parts = [
        {"caption": part["title"], "chapters": [_chapter(entry) for entry in part["children"]]}
        for part in entries[1:]
    ]
    root = str(Path(entries[0]["file"]).with_suffix(""))
    return yaml.safe_dump({"format": "jb-book", "root": root, "parts": parts}, sort_keys=False)


def _chapter(entry: dict[str, Any]) -> dict[str, Any]:
    chapter: dict[str, Any] = {"file": str(entry["file"]).rsplit(".", 1)[0]}
    # their parent lists the API pages: in every page's sidebar they would only be in the way
    shown = [child for child in entry["children"] if "/api/" not in str(child["file"])]
    if shown:
        chapter["sections"] = [_chapter(child) for child in shown]
    return chapter


if __name__ == "__main__":
    raise SystemExit(main())
