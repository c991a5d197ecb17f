"""Lay out the site's pages in a folder of their own: sources, API pages, stamped notebooks.

The repository's own files are left alone.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import api_pages
import front

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "Containerfile",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "CITATION.cff",
    "benchmarks/RESULTS.md",
)


def stage(folder: Path, root: Path = ROOT, address: str = "") -> Path:
    """Fill `folder` with all that the site is rendered from, and return it.

    `address` is the repository's, from where a lesson in Colab installs what it needs.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, folder / name)
    shutil.copytree(root / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.py", "_*"))
    used: dict[str, list[tuple[str, str]]] = {}
    for source in sorted((root / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in source.parts:
            _stage_notebook(source.relative_to(root), folder, root, used, address)
    api_pages.write_pages(folder / "docs" / "reference" / "api", used)
    with (folder / "docs" / "reference" / "index.md").open("a", encoding="utf-8") as page:
        page.write(api_pages.index())
    (folder / "docs" / "index.md").unlink()
    (folder / "index.md").write_text(_at_the_root(front.page(root)), "utf-8")
    return folder


def _at_the_root(markdown: str) -> str:
    """The page of `docs/` as it has to be one folder higher: its links lead to the same files."""
    return re.sub(
        r"(\]\(|^:link: |^:img-top: )(?!https?:|#)(\S+?)(?=\)|$)",
        lambda match: match[1] + posixpath.normpath(f"docs/{match[2]}"),
        markdown,
        flags=re.MULTILINE,
    )


def _stage_notebook(
    name: Path, folder: Path, root: Path, used: dict[str, list[tuple[str, str]]], address: str
) -> None:
    notebook = json.loads((root / name).read_text("utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    for output in outputs:
        if output["output_type"] == "error":
            raise ValueError(f"{name} holds an error: {output['ename']}")
    links = _used_names(notebook)
    for target in links.values():
        title = str(name.relative_to("notebooks").with_suffix(""))
        used.setdefault(target, []).append((title, f"../../../{name}"))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    _describe_figures(notebook)
    _stamp(notebook, name.with_suffix(""), links, address)
    (folder / name).write_text(json.dumps(notebook, ensure_ascii=False), "utf-8")
    for suffix in (".ipynb", ".py"):
        copy = folder / "downloads" / name.with_suffix(suffix)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy((root / name).with_suffix(suffix), copy)


def _code(cell: Any) -> ast.Module:
    lines = "".join(cell["source"]).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith(("%", "!"))))


def _used_names(notebook: Any) -> dict[str, str]:
    """Names that the notebook takes from the packages -> their full names in the reference."""
    homes = {(e.face, e.name): e.target for e in api_pages.entries()}
    homes |= {(e.home, e.name): e.target for e in api_pages.entries()}
    lower = {e.name: e.target for e in api_pages.entries() if e.face == "pipekit"}
    found: dict[str, str] = {}
    modules: dict[str, str] = {}

    def note(module: str, name: str) -> None:
        target = homes.get((module, name)) or (lower.get(name) if module == "geotoolz" else None)
        if target:
            found[name] = target

    for cell in notebook["cells"]:
        for node in ast.walk(_code(cell)) if cell["cell_type"] == "code" else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    note(node.module, alias.name)
            elif isinstance(node, ast.Import):
                modules |= {alias.asname or alias.name: alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                note(modules.get(node.value.id, ""), node.attr)
    return dict(sorted(found.items()))


TITLES = {"set_title", "title", "suptitle", "set_xlabel", "set_ylabel", "xlabel", "ylabel"}


def _describe_figures(notebook: Any) -> None:
    """Give each figure an alternative text: the words that its own code writes on it.

    What they say is on the picture. Where there are none the text is empty: the prose beside the
    figure tells what is to be seen.
    """
    for cell in notebook["cells"]:
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            words = list(dict.fromkeys(_words(_code(cell))))
            text = f"Figure: {'; '.join(words)}"[:240] if words else ""
            cell["metadata"]["mystnb"] = {"image": {"alt": text}}


def _words(code: ast.Module) -> list[str]:
    """Titles and labels that the code gives to its axes, as far as they are written out."""
    found = []
    for node in ast.walk(code):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = [word.value for word in node.keywords if word.arg in TITLES | {"label"}]
            given += node.args[:1] if name in TITLES else []
            given += [
                v for w in node.keywords if w.arg is None for v in getattr(w.value, "values", [])
            ]
            texts = [_literal(value) for value in given]
            found += [" ".join(text.split()) for text in texts if len(text) > 2]
    return found


def _literal(value: ast.expr) -> str:
    """The text of a string, with three dots for what is put in when it runs."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(_literal(part) or "..." for part in value.values)
    return ""


def _stamp(notebook: Any, name: Path, links: dict[str, str], address: str = "") -> None:
    """Say at the top which pixels the page shows, and at the end where its names are explained."""
    pixels = sorted(
        {
            line.removeprefix("source:").strip()
            for cell in notebook["cells"]
            for output in cell.get("outputs", [])
            for line in "".join(output.get("text", [])).splitlines()
            if line.startswith("source:")
        }
    )
    shown = "; ".join(f"`{line}`" for line in pixels) or "none, this page works on numbers"
    copy = f"{'../' * len(name.parts[:-1])}downloads/{name}"
    colab = f" In Colab, run `%pip install git+{address}` first." if address else ""
    top = (
        f"```{{admonition}} About this page\nPixels on this page: {shown}. "
        f"Download {{download}}`the notebook <{copy}.ipynb>` "
        f"or {{download}}`its source <{copy}.py>`. "
        f"In a clone, `geostack run {name.relative_to('notebooks')}` executes it anew.{colab}\n```"
    )
    notebook["cells"].insert(1, _markdown(top, f"stamp-{name}"))
    if links:
        names = ", ".join(f"{{py:obj}}`{name} <{target}>`" for name, target in links.items())
        notebook["cells"].append(_markdown(f"API on this page: {names}.", f"api-of-{name}"))


def _markdown(text: str, cell_id: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": re.sub(r"\W+", "-", cell_id),
        "metadata": {},
        "source": text,
    }
