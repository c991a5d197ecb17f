"""The house keeps its shape: no circle of imports but the named ones, no god file, no long function."""

import ast
import importlib
from functools import cache
from pathlib import Path

import pytest
from net_lines import PACKAGES, SRC, long_functions, net_lines

FILES = sorted(path for package in PACKAGES for path in (SRC / package).rglob("*.py"))

# Sugar, explained in docs/design.md: `a | b`, and constants among steps.
NAMED_CIRCLES = [{f"pipekit.{name}" for name in ("operator", "sequential", "blocks")}]


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(module: str) -> set[str]:
    """The modules of ours that a module imports anywhere, in functions and for types too.

    A package's `__init__` only hands on names, so a name taken from it counts for its own module.
    """
    found = set()
    path = MODULES[module]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")
                up = node.level - (path.name == "__init__.py")
                base = ".".join([*parent[: len(parent) - up], *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return {name for name in found if name in MODULES and name != module}


@cache
def reachable(module: str) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imports_of(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return frozenset(seen)


@cache
def imports_of(module: str) -> frozenset[str]:
    if MODULES[module].name == "__init__.py":
        return frozenset()
    return frozenset(imports(module))


def circles() -> list[set[str]]:
    in_one = [m for m in MODULES if m in reachable(m)]
    found: list[set[str]] = []
    for module in in_one:
        ring = {m for m in in_one if m in reachable(module) and module in reachable(m)}
        if ring not in found:
            found.append(ring)
    return found


def test_there_are_modules_and_arrows():
    assert len(MODULES) > 100
    assert "pipekit.operator" in reachable("pipekit.control")


def test_no_circle_of_imports_but_the_named_ones():
    unnamed = [sorted(ring) for ring in circles() if not any(ring <= c for c in NAMED_CIRCLES)]
    assert unnamed == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_is_one_concept_of_a_readable_size(path):
    text = path.read_text("utf-8")
    assert len(net_lines(text)) <= 500
    assert list(long_functions(text, 60)) == []


def test_a_package_face_holds_names_only():
    for package in PACKAGES:
        tree = ast.parse((SRC / package / "__init__.py").read_text("utf-8"))
        kinds = {type(node) for node in tree.body}
        assert ast.ClassDef not in kinds, package


def test_no_module_is_named_as_what_its_package_offers():
    """Who imports such a module first gets it in place of the function."""
    for module, path in MODULES.items():
        if path.name == "__init__.py":
            offered = set(getattr(importlib.import_module(module), "__all__", ()))
            assert not offered & {other.stem for other in path.parent.glob("*.py")}, module


def test_no_drawer_for_odds_and_ends():
    odd = {"utils", "helpers", "common", "base", "misc", "_src"}
    assert [module for module in MODULES if set(module.split(".")) & odd] == []
