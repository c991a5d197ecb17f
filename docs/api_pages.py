"""API reference pages from the docstrings, one a module; sources are parsed, never imported."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

from docstring import to_markdown

ROOT = Path(__file__).resolve().parents[1]
Functions = dict[str, ast.FunctionDef]
PACKAGES = ("pipekit", "geopatcher", "geocatalog", "geotoolz", "geostack")


@dataclass
class Module:
    """A module with its documented public classes and functions."""

    name: str
    doc: str
    items: dict[str, ast.ClassDef | ast.FunctionDef] = field(default_factory=dict)

    @property
    def package(self) -> str:
        """The import package it belongs to."""
        return self.name.split(".")[0]

    @property
    def page(self) -> str:
        """Its page, below docs/reference/."""
        return f"api/{self.name}.md"


def modules(source: Path = ROOT / "src") -> list[Module]:
    """Every module of the five packages that documents something public."""
    found = []
    for package in PACKAGES:
        for path in sorted((source / package).rglob("*.py")):
            module = _parse(path, source)
            if module.items and not any(part.startswith("_") for part in module.name.split(".")):
                found.append(module)
    return found


def _parse(path: Path, source: Path) -> Module:
    tree = ast.parse(path.read_text("utf-8"))
    parts = path.relative_to(source).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    module = Module(name, ast.get_docstring(tree) or "")
    for node in tree.body:
        if (
            isinstance(node, ast.ClassDef | ast.FunctionDef)
            and not node.name.startswith("_")
            and ast.get_docstring(node)
        ):
            module.items[node.name] = node
    return module


def label(module: str, name: str) -> str:
    """The target of one class or function: `function-` keeps `ndvi` apart from `NDVI`."""
    kind = "class" if name[0].isupper() else "function"
    return f"{kind}-{module}-{name}".lower().replace(".", "-").replace("_", "-")


def write_pages(folder: Path, used: dict[str, list[tuple[str, str]]]) -> list[Module]:
    """Write one page a module into `folder`; `used` tells label -> [(title, link)] of notebooks."""
    folder.mkdir(parents=True, exist_ok=True)
    found = modules()
    everywhere = functions(found)
    for module in found:
        parts = [f"# {module.name}", to_markdown(module.doc)]
        known = everywhere | functions([module])
        for name, node in module.items.items():
            parts += _item(module.name, name, node, known)
            pages = used.get(label(module.name, name), [])
            if pages:
                parts.append("Used in " + ", ".join(f"[{title}]({link})" for title, link in pages))
        text = "\n\n".join(part for part in parts if part)
        (folder / f"{module.name}.md").write_text(text + "\n", "utf-8")
    return found


def index(found: list[Module]) -> str:
    """The tables of the reference's first page: module and first sentence, by package."""
    lines: list[str] = []
    for package in PACKAGES:
        lines += ["", f"## {package}", "", "| module | about |", "| --- | --- |"]
        for module in found:
            if module.package == package:
                first = to_markdown(module.doc.split("\n\n")[0].replace("\n", " "))
                lines.append(f"| [{module.name}]({module.page}) | {first} |")
    return "\n".join(lines) + "\n"


def functions(found: list[Module]) -> Functions:
    """Every documented function by its name."""
    return {
        name: node
        for module in found
        for name, node in module.items.items()
        if isinstance(node, ast.FunctionDef)
    }


def _item(
    module: str, name: str, node: ast.ClassDef | ast.FunctionDef, known: Functions | None = None
) -> list[str]:
    signature = _signature(node, functions(modules()) if known is None else known)
    parts = [f"({label(module, name)})=\n## {name}", f"```python\n{signature}\n```"]
    parts.append(to_markdown(ast.get_docstring(node) or ""))
    if isinstance(node, ast.ClassDef):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                doc = ast.get_docstring(method)
                if doc:
                    parts.append(f"**`.{' '.join(_signature(method).split())}`**")
                    parts.append(to_markdown(doc))
    return parts


def _signature(node: ast.ClassDef | ast.FunctionDef, known: Functions | None = None) -> str:
    if isinstance(node, ast.FunctionDef):
        if any(getattr(mark, "id", "") == "property" for mark in node.decorator_list):
            return node.name
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({_arguments(node.args)}){returns}"
    init = next(
        (n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None
    )
    taken = _taken(node, init, known or {})
    if taken or init:
        return f"{node.name}({_arguments(taken or init.args)})"
    fields = [
        ast.unparse(item)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and "ClassVar" not in ast.unparse(item.annotation)
    ]
    decorated = any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    is_tuple = any(ast.unparse(base) == "NamedTuple" for base in node.bases)
    return f"{node.name}({', '.join(fields)})" if decorated or is_tuple else node.name


def _taken(
    node: ast.ClassDef, init: ast.FunctionDef | None, known: Functions
) -> ast.arguments | None:
    """The arguments that an operator takes from the function it stands on, if it does.

    `@parameters_of(gamma)` on `__init__` means those of `gamma` after its first; a class with
    `formula=ndvi` has its bands as fields, then `axis`, then what else `ndvi` takes.
    """
    for mark in init.decorator_list if init else []:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "parameters_of":
            function = known.get(ast.unparse(mark.args[0]))
            return _without(function.args, 1) if function else None
    for keyword in node.keywords:
        function = known.get(ast.unparse(keyword.value))
        if keyword.arg == "formula" and function:
            bands = [
                ast.unparse(f) for f in node.body if "_idx" in ast.unparse(f).partition(":")[0]
            ]
            rest = _without(function.args, len(bands))
            text = ", ".join([*bands, "axis: int = 0", ast.unparse(rest)])
            whole = ast.parse(f"def f({text}): ...").body[0]
            assert isinstance(whole, ast.FunctionDef)
            return whole.args
    return None


def _without(arguments: ast.arguments, first: int) -> ast.arguments:
    """The arguments but the first ones."""
    parts = [*arguments.posonlyargs, *arguments.args][first:]
    return ast.arguments(
        posonlyargs=[],
        args=parts,
        vararg=arguments.vararg,
        kwonlyargs=arguments.kwonlyargs,
        kw_defaults=arguments.kw_defaults,
        kwarg=arguments.kwarg,
        defaults=arguments.defaults[-len(parts) :] if parts else [],
    )


def _arguments(arguments: ast.arguments) -> str:
    """The arguments as written, without self; each on its own line when they are long."""
    text = re.sub(r"^(self|cls)(, |$)", "", ast.unparse(arguments))
    if len(text) < 60:
        return text
    alone = ast.parse(f"def f({text}): ...").body[0]
    assert isinstance(alone, ast.FunctionDef)
    return "\n    " + ",\n    ".join(_each(alone.args)) + ",\n"


def _each(arguments: ast.arguments) -> list[str]:
    """Every argument with its annotation and default, and the bare `*` where there is one."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    lines = [_one(arg, default) for arg, default in zip(plain, defaults, strict=True)]
    if arguments.vararg:
        lines.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        lines.append("*")
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    lines += [_one(arg, default) for arg, default in pairs]
    if arguments.kwarg:
        lines.append(f"**{ast.unparse(arguments.kwarg)}")
    return lines


def _one(arg: ast.arg, default: ast.expr | None) -> str:
    equals = " = " if arg.annotation else "="
    return ast.unparse(arg) + (f"{equals}{ast.unparse(default)}" if default is not None else "")
