"""Docstrings as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

SECTIONS = (
    "Args|Arguments|Attributes|Example|Examples|Notes|Parameters|Raises|References|Returns|Yields"
)
HEADING = re.compile(rf"^({SECTIONS}):?$")
UNDERLINE = re.compile(r"^-{3,}$")
PARAMETER = re.compile(r"^(`?\*{0,2}\w[\w.]*`?(?:, `?\*{0,2}\w+`?)*)(?: ?: ?(.*))?$")


def to_markdown(docstring: str) -> str:
    """Return the docstring (dedented, as `ast.get_docstring` gives it) as Markdown.

    >>> print(to_markdown("Halve a*b, in [0, 1]."))
    Halve a\\*b, in \\[0, 1\\].
    """
    return "\n\n".join(block for block in _blocks(docstring.splitlines())).strip()


def _blocks(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        heading = HEADING.match(line.strip())
        if not line.strip():
            at += 1
        elif heading:
            at += 2 if at + 1 < len(lines) and UNDERLINE.match(lines[at + 1].strip()) else 1
            yield f"**{heading[1]}**"
            body, at = _section(lines, at)
            yield from _section_blocks(body)
        elif line.lstrip().startswith(">>>"):
            block, at = _until(lines, at, lambda text: not text.strip())
            yield _fence(block)
        elif line.startswith(("    ", "\t")):
            block, at = _until(lines, at, lambda text: bool(text) and not text[0].isspace())
            yield _fence(block)
        else:
            block, at = _until(lines, at, _ends_paragraph)
            yield _escape("\n".join(block))


def _ends_paragraph(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(">>>") or bool(HEADING.match(line.strip()))


def _until(lines: list[str], at: int, ends: object) -> tuple[list[str], int]:
    """The lines from `at` up to the first, after it, that `ends` is true of."""
    stop = at + 1
    while stop < len(lines) and not ends(lines[stop]):  # type: ignore[operator]
        stop += 1
    return lines[at:stop], stop


def _section(lines: list[str], at: int) -> tuple[list[str], int]:
    """The lines of a section: as far as the next heading, or the end of an indented body."""
    indented = at < len(lines) and lines[at].startswith(" ")
    stop = at
    while stop < len(lines):
        line = lines[stop]
        if HEADING.match(line.strip()):
            break
        if indented and line.strip() and not line.startswith(" "):
            break
        stop += 1
    return textwrap.dedent("\n".join(lines[at:stop])).splitlines(), stop


def _section_blocks(lines: list[str]) -> Iterator[str]:
    """Parameters as a list; all else as anywhere."""
    items: list[str] = []
    at = 0
    while at < len(lines):
        match = PARAMETER.match(lines[at])
        described = at + 1 < len(lines) and lines[at + 1].startswith(" ")
        if not match or (match[2] is None and not described):
            break
        more, at = _until(lines, at, lambda text: not text.startswith(" "))
        rest = " ".join(part.strip() for part in [match[2] or "", *more[1:]] if part.strip())
        items.append(f"- `{match[1].replace('`', '')}`: {_escape(rest)}")
    if items:
        yield "\n".join(items)
    yield from _blocks(lines[at:])


def _fence(lines: list[str]) -> str:
    body = textwrap.dedent("\n".join(lines)).strip("\n").rstrip()
    return f"```pycon\n{body}\n```" if ">>>" in body else f"```text\n{body}\n```"


def _escape(text: str) -> str:
    """Keep what only looks like markup from being read as such, outside code and emphasis."""
    parts = re.split(r"(``?[^`]+``?|(?<![\w*])\*[A-Za-z][\w ]*\*(?![\w*]))", text)
    for number in range(0, len(parts), 2):
        parts[number] = re.sub(r"([*$<@{}\[\]|])", r"\\\1", parts[number])
        parts[number] = re.sub(r"(?m)^(\s*)(#|>|\+)", r"\1\\\2", parts[number])
    return "".join(
        part.replace("``", "`") if number % 2 else part for number, part in enumerate(parts)
    )
