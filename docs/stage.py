"""Lay out the site's pages in a folder of their own: sources, API pages, stamped notebooks.

Both renderers read that folder; the repository's own files are left alone.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import api_pages
import yaml

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "myst.yml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "CITATION.cff",
    "benchmarks/RESULTS.md",
)


def stage(folder: Path, root: Path = ROOT) -> Path:
    """Fill `folder` with all that the site is rendered from, and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, folder / name)
    shutil.copytree(root / "docs", folder / "docs", ignore=shutil.ignore_patterns("*.py", "_*"))
    homes = _homes()
    used: dict[str, list[tuple[str, str]]] = {}
    for source in sorted((root / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in source.parts:
            continue
        name = source.relative_to(root)
        notebook = json.loads(source.read_text("utf-8"))
        links = _used_names(notebook, homes)
        for target in links.values():
            used.setdefault(target, []).append(
                (str(name.relative_to("notebooks").with_suffix("")), f"../../../{name}")
            )
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _describe_figures(notebook)
        _stamp(notebook, name.with_suffix(""), links)
        (folder / name).write_text(json.dumps(notebook, ensure_ascii=False), "utf-8")
        for suffix in (".ipynb", ".py"):
            copy = folder / "downloads" / name.with_suffix(suffix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source.with_suffix(suffix), copy)
    found = api_pages.write_pages(folder / "docs" / "reference" / "api", used)
    with (folder / "docs" / "reference" / "index.md").open("a", encoding="utf-8") as page:
        page.write(api_pages.index(found))
    return folder


def _homes() -> dict[tuple[str, str], str]:
    """(package, public name) -> the label of its class or function."""
    return {
        (package, name): api_pages.label(module.name, name)
        for module in api_pages.modules()
        for name in module.items
        for package in {module.package, module.name}
    }


def _used_names(notebook: Any, homes: dict[tuple[str, str], str]) -> dict[str, str]:
    """Names that the notebook imports from the packages -> label of their API entry."""
    found: dict[str, str] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        code = "\n".join(
            line for line in "".join(cell["source"]).splitlines() if not line.startswith(("%", "!"))
        )
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    target = homes.get((node.module, alias.name)) or homes.get(
                        ("pipekit" if node.module == "geotoolz" else "", alias.name)
                    )
                    if target:
                        found[alias.name] = target
    return dict(sorted(found.items()))


def _describe_figures(notebook: Any) -> None:
    """Give each figure an alternative text: the first sentence of the prose after or before it."""
    cells = notebook["cells"]
    for number, cell in enumerate(cells):
        if not any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            continue
        before = [c for c in reversed(cells[:number]) if c["cell_type"] == "markdown"]
        after = [c for c in cells[number + 1 : number + 2] if c["cell_type"] == "markdown"]
        # a heading after the figure begins a section about something else
        near = [c for c in after if not "".join(c["source"]).startswith("#")] + before
        sentences = (_first_sentence("".join(c["source"])) for c in near)
        text = next((sentence for sentence in sentences if sentence), "")
        if text:
            cell["metadata"]["mystnb"] = {"image": {"alt": f"Figure. {text}"}}


def _first_sentence(markdown: str) -> str:
    """The first sentence of the first paragraph as plain words; more of them when it is short."""
    for paragraph in markdown.split("\n\n"):
        if not paragraph.lstrip().startswith(("#", "|", "-", "`", "1.")):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
            match = re.match(r".{40,}?[.:;](?=\s|$)", plain)
            return re.sub(r"[`*_$\"]", "", match.group() if match else plain)[:240]
    return ""


def _stamp(notebook: Any, name: Path, links: dict[str, str]) -> None:
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
    top = (
        f"```{{admonition}} About this page\nPixels on this page: {shown}. "
        f"Download {{download}}`the notebook <{copy}.ipynb>` "
        f"or {{download}}`its source <{copy}.py>`. "
        f"In a clone, `geostack run {name.relative_to('notebooks')}` executes it anew.\n```"
    )
    notebook["cells"].insert(1, _markdown(top, f"stamp-{name}"))
    if links:
        names = ", ".join(f"[{name}](#{target})" for name, target in links.items())
        notebook["cells"].append(_markdown(f"API on this page: {names}.", f"api-of-{name}"))


def _markdown(text: str, cell_id: str) -> dict[str, Any]:
    return {
        "cell_type": "markdown",
        "id": re.sub(r"\W+", "-", cell_id),
        "metadata": {},
        "source": text,
    }


def toc(folder: Path) -> list[dict[str, Any]]:
    """The parts of the contents in `folder`'s myst.yml, with every pattern replaced by files."""
    config = yaml.safe_load((folder / "myst.yml").read_text("utf-8"))
    parts = [_expand(entry, folder) for entry in config["project"]["toc"]]
    return [part for part in parts if "file" in part or part["children"]]


def _expand(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    children: list[dict[str, Any]] = []
    for child in entry.get("children", []):
        if "pattern" in child:
            paths = sorted(folder.glob(child["pattern"]))
            children += [_page(path, folder) for path in paths]
        else:
            children.append(_expand(child, folder))
    return {**entry, "children": children}


def _page(path: Path, folder: Path) -> dict[str, Any]:
    return {"file": str(path.relative_to(folder)), "children": []}
