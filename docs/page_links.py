"""A Sphinx extension: names in prose lead to the reference, and a page says what it is about."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

import api_pages
from docutils import nodes
from sphinx.addnodes import desc, pending_xref

NAME = re.compile(r"(?:[a-z_.]+\.)?([A-Za-z]\w+)(\((?:[^()]|\([^()]*\))*\))?")


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("doctree-read", title_or_container, priority=100)
    app.connect("doctree-read", link_names)
    app.connect("html-page-context", describe)
    app.connect("html-page-context", edit_where_it_was_written, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def title_or_container(app: Any, doctree: nodes.document) -> None:
    """Make containers of the sections without a title, as exercises have: code links need one."""
    for section in list(doctree.findall(nodes.section)):
        if not section.children or not isinstance(section[0], nodes.title):
            section.replace_self(nodes.container("", *section.children, **section.attributes))


def link_names(app: Any, doctree: nodes.document) -> None:
    """Make each public name that stands in prose as code a link to its entry.

    Words of one case, such as `query`, are names only when they are written with parentheses.
    """
    public = {entry.name: entry for entry in api_pages.entries() if "." not in entry.face}
    public |= {entry.name: entry for entry in api_pages.entries() if entry.name not in public}
    for literal in list(doctree.findall(nodes.literal)):
        match = NAME.fullmatch(literal.astext())
        entry = match and public.get(match[1])
        if not entry or isinstance(literal.parent, nodes.reference | nodes.title | pending_xref):
            continue
        if not (match[2] or "_" in entry.name or entry.name != entry.name.lower()):
            continue
        if (described := _described(literal)) and described.endswith(entry.name):
            continue  # an entry does not lead to itself
        link = pending_xref(
            "", refdomain="py", reftype="obj", reftarget=entry.target, refexplicit=True
        )
        link["refdoc"], link["py:module"], link["py:class"] = app.env.docname, None, None
        literal.replace_self(link)
        link += literal


def _described(node: nodes.Node) -> str:
    while node is not None and not isinstance(node, desc):
        node = node.parent
    return node[0].get("fullname", "") if node is not None else ""


def describe(app: Any, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the page the description that searches show: its first paragraph."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree else ():
        text = " ".join(paragraph.astext().split())
        if len(text) > 40 and not isinstance(paragraph.parent, nodes.Admonition):
            shown = html.escape(text[:297] + "..." if len(text) > 300 else text)
            context["metatags"] += f'\n<meta name="description" content="{shown}">'
            return


def edit_where_it_was_written(
    app: Any, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Send who edits a page to the file that it was made of."""
    source = {"index": "docs/index.md"}.get(pagename)
    if pagename.startswith("docs/reference/api/"):
        first = api_pages.rooms()[pagename.rpartition("/")[2]][0]
        source = "src/" + first.home.replace(".", "/") + ".py"
    elif pagename.startswith("notebooks/"):
        source = f"{pagename}.py"
    address = app.config.html_theme_options.get("repository_url")
    if source and address:
        context["edit_page_provider_name"] = (urlsplit(address).hostname or "").split(".")[-2]
        context["edit_page_url_template"] = f"{address}/edit/main/{source}" + "{{ file_name[:0] }}"
