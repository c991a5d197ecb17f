"""Pictures of pipelines: Mermaid text, and small HTML and SVG for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from pipekit.operator import step_repr

if TYPE_CHECKING:
    from pipekit.graph import Graph
    from pipekit.operator import Operator
    from pipekit.sequential import Sequential

_BOX_HEIGHT, _ROW, _GAP, _CHARACTER, _PADDING, _MARGIN = 26, 40, 36, 6.6, 18, 4.0
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
        boxes.append(Box(keys[id(node)], "node", _label(node.operator), column[id(node)]))
        edges += [(keys[id(p)], keys[id(node)]) for p in node.parents]
    last = 1 + max(column.values(), default=0)
    for i, (name, symbol) in enumerate(graph.outputs.items()):
        boxes.append(Box(f"o{i}", "output", name, last))
        edges.append((keys[id(symbol)], f"o{i}"))
    return boxes, edges


def _label(operator: Operator) -> str:
    """Name a node: an operator as it prints, a pipeline by its steps' classes."""
    steps = getattr(operator, "operators", None)
    if isinstance(steps, tuple) and steps:
        return _clip(" | ".join(type(step).__name__ for step in steps))
    return _clip(step_repr(operator))


def _clip(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 3] + "..."


def graph_svg(graph: Graph) -> str:
    """Return a graph as an inline SVG: inputs left, outputs right, wires around the boxes."""
    boxes, edges = _layout(graph)
    boxes, edges = _with_wires(boxes, edges)
    places, width, height = _places(boxes, edges)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="11">'
    ]
    parts += [_svg_edge(places[a], places[b]) for a, b in edges]
    parts += [_svg_box(box, places[box.key]) for box in boxes if box.kind != "wire"]
    parts += [_svg_wire(places[box.key]) for box in boxes if box.kind == "wire"]
    return "".join([*parts, "</svg>"])


def _svg_edge(start: Place, end: Place) -> str:
    x, y, x2, y2 = start.x + start.width, start.y, end.x, end.y
    bend = (x + x2) / 2
    return (
        f'<path d="M{x:.1f},{y:.1f} C{bend:.1f},{y:.1f} {bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}" '
        'fill="none" stroke="#888"/>'
    )


def _svg_wire(place: Place) -> str:
    x, y, width = place
    return f'<path d="M{x:.1f},{y:.1f} h{width:.1f}" fill="none" stroke="#888"/>'


def _svg_box(box: Box, place: Place) -> str:
    x, y, width = place
    return (
        f'<rect x="{x:.1f}" y="{y - _BOX_HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{_BOX_HEIGHT}" rx="{4 if box.kind == "node" else 13}" '
        f'fill="{_COLOURS[box.kind]}" stroke="#888"/>'
        f'<text x="{x + width / 2:.1f}" y="{y + 4:.1f}" text-anchor="middle" fill="#222">'
        f"{escape(box.label)}</text>"
    )


def _with_wires(
    boxes: list[Box], edges: list[tuple[str, str]]
) -> tuple[list[Box], list[tuple[str, str]]]:
    """Give an edge that passes columns a place in each of them, so that it crosses no box."""
    column = {box.key: box.column for box in boxes}
    boxes, routed = list(boxes), []
    for a, b in edges:
        last = a
        for passed in range(column[a] + 1, column[b]):
            wire = f"{a}-{passed}"  # edges from one box share their wire
            if wire not in column:
                boxes.append(Box(wire, "wire", "", passed))
                column[wire] = passed
                routed.append((last, wire))
            last = wire
        routed.append((last, b))
    return boxes, routed


class Place(NamedTuple):
    """Where a box is drawn: its left edge, centre line and width, in pixels."""

    x: float
    y: float
    width: float


def _places(
    boxes: list[Box], edges: list[tuple[str, str]]
) -> tuple[dict[str, Place], float, float]:
    """Return each box's place, and the drawing's width and height, in pixels."""
    columns: dict[int, list[Box]] = {}
    for box in boxes:
        columns.setdefault(box.column, []).append(box)
    sources: dict[str, list[str]] = {}
    for a, b in edges:
        sources.setdefault(b, []).append(a)
    tallest = max(map(len, columns.values()))
    places: dict[str, Place] = {}
    x = _MARGIN
    for index in sorted(columns):
        # A box as high as its sources on average keeps wires from crossing.
        members = sorted(columns[index], key=lambda box: _mean_height(sources.get(box.key), places))
        width = max(len(box.label) for box in members) * _CHARACTER + _PADDING
        top = (tallest - len(members)) * _ROW / 2 + _ROW / 2
        for row, box in enumerate(members):
            places[box.key] = Place(x, top + row * _ROW, width)
        x += width + _GAP
    return places, x - _GAP + _MARGIN, tallest * _ROW


def _mean_height(sources: list[str] | None, places: dict[str, Place]) -> float:
    return sum(places[key].y for key in sources) / len(sources) if sources else 0.0


def sequential_html(pipeline: Sequential) -> str:
    """Return a pipeline as a row of boxes joined by arrows."""
    style = (
        "display:inline-block;padding:2px 8px;margin:2px 0;border:1px solid #888;"
        f"border-radius:4px;background:{_COLOURS['node']};color:#222"
    )
    boxes = [f'<span style="{style}">{escape(step_repr(op))}</span>' for op in pipeline.operators]
    row = " &rarr; ".join(boxes) or "(an empty pipeline: returns its input)"
    return f'<div style="font-family:monospace;font-size:12px;line-height:2">{row}</div>'
