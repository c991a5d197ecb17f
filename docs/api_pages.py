"""API reference pages of what the packages offer in `__all__`, one for each room of a package.

The pages are written in Sphinx's Python domain, so that other sites can refer to the names.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from docstring import to_markdown

FACES = (
    "pipekit",
    "geopatcher",
    "geocatalog",
    "geotoolz",
    "geotoolz.assess",
    "geostack",
    "geostack.serve",
)
"""The modules whose `__all__` is public, from the ground floor up."""


@dataclass(frozen=True)
class Entry:
    """A public thing: `face` is where users import it, `home` the module that defines it."""

    face: str
    name: str
    home: str
    value: Any = field(repr=False)

    @property
    def target(self) -> str:
        """Its full name, `geotoolz.NDVI`, by which pages and other sites refer to it."""
        return f"{self.face}.{self.name}"

    @property
    def page(self) -> str:
        """The room that it is described in, such as `geotoolz.indices`."""
        package = self.face.partition(".")[0]
        inner = next((face for face in FACES if "." in face and self.home.startswith(face)), None)
        room = self.home.split(".")[1] if "." in self.home else "core"
        return inner or f"{package}.{room}"

    @property
    def rank(self) -> tuple[bool, bool]:
        """What is offered comes before the functions under it, constants come last."""
        return not callable(self.value), self.face not in FACES

    @cached_property
    def line(self) -> int:
        """Where it begins in its module."""
        return _written(self.home).get(self.name, (0, ""))[0]


@cache
def entries() -> tuple[Entry, ...]:
    """All that is public, each thing once, under the lowest package that offers it."""
    found: dict[Any, Entry] = {}
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.ismodule(value):
                key = (id(value) if callable(value) else face, name)
                found.setdefault(key, Entry(face, name, _home(face, name, value), value))
    return (*found.values(), *_twins(list(found.values())))


def _home(face: str, name: str, value: Any) -> str:
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__module__
    package = face.partition(".")[0]
    holders = (m for m in sorted(sys.modules) if m.startswith(f"{package}."))
    held = (m for m in holders if vars(sys.modules[m]).get(name) is value)
    return next(m for m in held if name in _written(m))


def _twins(found: list[Entry]) -> Iterator[Entry]:
    """The pure functions under operators of the same meaning: `geotoolz.indices.ndvi`."""
    offered = {id(entry.value) for entry in found}
    for entry in found:
        if entry.face.startswith("geotoolz") and inspect.isclass(entry.value):
            for name, value in vars(sys.modules[entry.home]).items():
                same = name[0] != "_" and name.replace("_", "") == entry.name.lower().replace(
                    "_", ""
                )
                ours = inspect.isfunction(value) and value.__module__ == entry.home
                if same and ours and id(value) not in offered:
                    yield Entry(entry.home, name, entry.home, value)


@cache
def _written(module: str) -> dict[str, tuple[int, str]]:
    """Name -> (line, the text below it) of what a module defines at its top level."""
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    found: dict[str, tuple[int, str]] = {}
    for node, below in zip_longest(body, body[1:]):
        targets = getattr(node, "targets", [getattr(node, "target", node)])
        text = getattr(getattr(below, "value", None), "value", None)
        doc = text if isinstance(below, ast.Expr) and isinstance(text, str) else ""
        for target in targets:
            name = getattr(target, "id", getattr(target, "name", None))
            if name:
                found[name] = (node.lineno, doc)
    return found


def rooms() -> dict[str, list[Entry]]:
    """Page -> what is described on it, in the order of the source."""
    found: dict[str, list[Entry]] = {}
    for entry in sorted(entries(), key=lambda entry: (*entry.rank, entry.home, entry.line)):
        found.setdefault(entry.page, []).append(entry)
    return found


def about(page: str) -> str:
    """The first sentence about a room: its module's, or that of the module it stands for."""
    module = sys.modules.get(page) or sys.modules[rooms()[page][0].home]
    doc = module.__doc__ or sys.modules[rooms()[page][0].home].__doc__ or ""
    return to_markdown(doc.split("\n\n")[0].replace("\n", " "))


def write_pages(folder: Path, used: dict[str, list[tuple[str, str]]]) -> None:
    """Write a page for each room; `used` tells target -> [(title, link)] of lessons."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, listed in rooms().items():
        parts = ["---\norphan: true\n---", f"# {page}", about(page)]
        parts += [text for entry in listed for text in _described(entry, used)]
        (folder / f"{page}.md").write_text("\n\n".join(filter(None, parts)) + "\n", "utf-8")


def index() -> str:
    """The lists of the reference's first page: the rooms of each package, their names linked."""
    lines: list[str] = []
    package = ""
    for page, listed in sorted(rooms().items(), key=lambda item: _rank(item[0])):
        if page.partition(".")[0] != package:
            package = page.partition(".")[0]
            lines += ["", f"## {package}", "", to_markdown(_first(package)), ""]
        names = ", ".join(f"{{py:obj}}`{e.name} <{e.target}>`" for e in listed)
        lines.append(f"- **[{page}](api/{page}.md)** {about(page)}\\\n  {names}")
    return "\n".join(lines) + "\n"


def _rank(page: str) -> tuple[int, str]:
    return FACES.index(page.partition(".")[0]), page


def _first(package: str) -> str:
    return (sys.modules[package].__doc__ or "").split("\n\n")[0].replace("\n", " ")


def _described(entry: Entry, used: dict[str, list[tuple[str, str]]]) -> Iterator[str]:
    value = entry.value
    kind = "class" if inspect.isclass(value) else "function" if callable(value) else "data"
    if inspect.isclass(value) and issubclass(value, BaseException):
        kind = "exception"
    options = f":module: {entry.face}"
    if entry.home != entry.face:
        options += f"\n:canonical: {entry.home}.{entry.name}"
    called = signature(value) if callable(value) else ""
    yield f"::::::{{py:{kind}}} {entry.name}{called}\n{options}"
    own = getattr(value, "__name__", entry.name)
    named = [e for e in entries() if e.value is value and e.name == own != entry.name]
    if kind == "data":
        yield _value(entry)
    elif named:
        yield f"Another name of {{py:obj}}`{own} <{named[0].target}>`."
    elif entry.home.startswith("georeader"):
        yield to_markdown((inspect.getdoc(value) or "").split("\n\n")[0])
        yield "The carrier of pixels, a class of [georeader](https://spaceml-org.github.io/georeader/)."
    else:
        yield to_markdown(inspect.getdoc(value) or "")
        yield _bases(value)
        for name, member in vars(value).items() if inspect.isclass(value) else ():
            yield _member(name, member)
    pages = used.get(entry.target, [])
    if pages:
        yield "Used in " + ", ".join(f"[{title}]({link})" for title, link in pages) + "."
    yield "::::::"


def _value(entry: Entry) -> str:
    text = repr(entry.value)
    doc = inspect.cleandoc(_written(entry.home)[entry.name][1])
    return "\n\n".join(filter(None, [to_markdown(doc), f"`{text}`" if len(text) < 100 else ""]))


def _bases(value: Any) -> str:
    if not inspect.isclass(value):
        return ""
    public = {id(entry.value): entry for entry in entries() if entry.name != "Operator"}
    bases = [public[id(base)] for base in value.__bases__ if id(base) in public]
    links = ", ".join(f"{{py:class}}`{base.name} <{base.target}>`" for base in bases)
    return f"What it has from its base is described there: {links}." if links else ""


def _member(name: str, member: Any) -> str:
    wrapped = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
    wrapped = getattr(member, "func", wrapped)  # a cached property
    doc = inspect.getdoc(wrapped) if inspect.isfunction(wrapped) else None
    if name.startswith("_") or not doc:
        return ""
    kind, options = "method", ""
    if isinstance(member, classmethod | staticmethod):
        options = f":{type(member).__name__}:\n"
    elif wrapped is not member:
        kind = "property"
    called = (
        "" if kind == "property" else signature(wrapped, bound=not isinstance(member, staticmethod))
    )
    return f":::::{{py:{kind}}} {name}{called}\n{options}\n{to_markdown(doc)}\n:::::"


def signature(value: Any, bound: bool = False) -> str:
    """The parameters as one writes them, with annotations, defaults and what is returned."""
    if inspect.isclass(value) and _takes_anything(value):
        return ""
    try:
        signed = inspect.signature(value)
    except ValueError:
        return ""
    parameters = list(signed.parameters.values())[bound:]
    bare = [p.replace(annotation=p.empty, default=p.empty) for p in parameters]
    texts = str(inspect.Signature(bare))[1:-1].split(", ") if bare else []
    filled = {p.name: _parameter(p) for p in parameters}
    text = ", ".join(filled.get(part.lstrip("*"), part) for part in texts)
    returns = signed.return_annotation
    told = "" if returns is signed.empty or inspect.isclass(value) else f" -> {_type(returns)}"
    return f"({text}){told}"


def _takes_anything(kind: type) -> bool:
    if issubclass(kind, BaseException | Enum):
        return "__init__" not in vars(kind)
    return bool(getattr(kind, "_is_protocol", False)) or kind.__init__ is object.__init__


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    typed = parameter.annotation is not parameter.empty
    if typed:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        shown = re.sub(r"<class '([\w.]+)'>", r"\1", repr(parameter.default))
        shown = getattr(parameter.default, "__name__", "...") if shown.startswith("<") else shown
        text += f" = {shown}" if typed else f"={shown}"
    return text


def _type(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation.replace("'", "").replace('"', "")
    return re.sub(r"\b(?:typing|collections\.abc)\.", "", inspect.formatannotation(annotation))
