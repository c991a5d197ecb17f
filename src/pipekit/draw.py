"""Pictures of pipelines: Mermaid text, and small HTML and SVG for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from pipekit.summary import step_repr

if TYPE_CHECKING:
    from pipekit.graph import Graph
    from pipekit.sequential import Sequential

_BOX_HEIGHT, _ROW, _GAP, _CHARACTER, _PADDING = 26, 44, 40, 6.6, 18
_LONGEST_LABEL = 34
_COLOURS = {"input": "#e3effb", "node": "#f6f6f6", "output": "#e6f4e3"}


def graph_mermaid(graph: Graph) -> str:
    """Return a graph as Mermaid flowchart text."""
    boxes, edges = _layout(graph)
    shapes = {"input": ('(["', '"])'), "node": ('["', '"]'), "output": ('(["', '"])')}
    lines = ["flowchart LR"]
    for box in boxes:
        left, right = shapes[box.kind]
        lines.append(f"    {box.key}{left}{_mermaid_text(box.label)}{right}")
    lines += [f"    {a} --> {b}" for a, b in edges]
    return "\n".join(lines)


def _mermaid_text(label: str) -> str:
    return label.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")


class Box(NamedTuple):
    """One box of a drawing: its key, kind, label, and column."""

    key: str
    kind: str
    label: str
    column: int


def _layout(graph: Graph) -> tuple[list[Box], list[tuple[str, str]]]:
    """Place each node one column right of its furthest parent."""
    keys = {id(x): f"i{i}" for i, x in enumerate(graph.inputs.values())}
    keys |= {id(node): f"n{i}" for i, node in enumerate(graph.nodes)}
    column = {id(x): 0 for x in graph.inputs.values()}
    boxes = [Box(f"i{i}", "input", name, 0) for i, name in enumerate(graph.inputs)]
    edges: list[tuple[str, str]] = []
    for node in graph.nodes:
        column[id(node)] = 1 + max((column[id(p)] for p in node.parents), default=0)
        label = _clip(step_repr(node.operator))
        boxes.append(Box(keys[id(node)], "node", label, column[id(node)]))
        edges += [(keys[id(p)], keys[id(node)]) for p in node.parents]
    last = 1 + max(column.values(), default=0)
    for i, (name, symbol) in enumerate(graph.outputs.items()):
        boxes.append(Box(f"o{i}", "output", name, last))
        edges.append((keys[id(symbol)], f"o{i}"))
    return boxes, edges


def _clip(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 3] + "..."


def graph_svg(graph: Graph) -> str:
    """Return a graph as an inline SVG: inputs left, outputs right."""
    boxes, edges = _layout(graph)
    places, width, height = _places(boxes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="11">'
    ]
    for a, b in edges:
        (x, y, w), (x2, y2, _) = places[a], places[b]
        bend = (x + w + x2) / 2
        parts.append(
            f'<path d="M{x + w:.1f},{y:.1f} C{bend:.1f},{y:.1f} {bend:.1f},{y2:.1f} '
            f'{x2:.1f},{y2:.1f}" fill="none" stroke="#888"/>'
        )
    for box in boxes:
        x, y, w = places[box.key]
        parts.append(
            f'<rect x="{x:.1f}" y="{y - _BOX_HEIGHT / 2:.1f}" width="{w:.1f}" '
            f'height="{_BOX_HEIGHT}" rx="{4 if box.kind == "node" else 13}" '
            f'fill="{_COLOURS[box.kind]}" stroke="#888"/>'
            f'<text x="{x + w / 2:.1f}" y="{y + 4:.1f}" text-anchor="middle" fill="#222">'
            f"{escape(box.label)}</text>"
        )
    return "".join([*parts, "</svg>"])


def _places(boxes: list[Box]) -> tuple[dict[str, tuple[float, float, float]], float, float]:
    """Return each box's left edge, centre line and width, and the drawing's size, in pixels."""
    columns: dict[int, list[Box]] = {}
    for box in boxes:
        columns.setdefault(box.column, []).append(box)
    tallest = max(map(len, columns.values()))
    places: dict[str, tuple[float, float, float]] = {}
    x = 4.0
    for index in sorted(columns):
        members = columns[index]
        width = max(len(box.label) for box in members) * _CHARACTER + _PADDING
        top = (tallest - len(members)) * _ROW / 2 + _ROW / 2
        for row, box in enumerate(members):
            places[box.key] = (x, top + row * _ROW, width)
        x += width + _GAP
    return places, x - _GAP + 4, tallest * _ROW


def sequential_html(pipeline: Sequential) -> str:
    """Return a pipeline as a row of boxes joined by arrows."""
    style = (
        "display:inline-block;padding:2px 8px;margin:2px 0;border:1px solid #888;"
        f"border-radius:4px;background:{_COLOURS['node']};color:#222"
    )
    boxes = [f'<span style="{style}">{escape(step_repr(op))}</span>' for op in pipeline.operators]
    row = " &rarr; ".join(boxes) or "(an empty pipeline: returns its input)"
    return f'<div style="font-family:monospace;font-size:12px;line-height:2">{row}</div>'
