"""Operators wired as a graph with named inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipekit.operator import Input, Node, Operator, step_repr, summarise
from pipekit.radius import radius_of


class GraphError(ValueError):
    """A graph that cannot run as it is wired.

    Examples
    --------
    >>> Graph(inputs={"x": Input("x")}, outputs={"y": Input("y")})
    Traceback (most recent call last):
    pipekit.graph.GraphError: inputs used but not declared: 'y'; declared are 'x'
    """


class Graph(Operator):
    """A pipeline that branches and joins: named inputs, named outputs, nodes between.

    Every node runs once, in an order fixed when the graph is built, and an intermediate result is
    let go after its last use. The wiring is checked when the graph is built.

    Parameters
    ----------
    inputs
        Name -> `Input`; the name is the one that a call uses.
    outputs
        Name -> the `Node` (or `Input`) whose value is returned under that name.

    Raises
    ------
    GraphError
        An input that no output needs, an input that is used but not declared, one
        declared twice, or a cycle.

    Examples
    --------
    >>> from pipekit import Lambda
    >>> red, nir = Input("red"), Input("nir")
    >>> total = Lambda(lambda a, b: a + b)(red, nir)
    >>> difference = Lambda(lambda a, b: b - a)(red, nir)
    >>> ratio = Lambda(lambda a, b: a / b)(difference, total)
    >>> index = Graph(inputs={"red": red, "nir": nir}, outputs={"ndvi": ratio, "sum": total})
    >>> index(red=1.0, nir=3.0)
    {'ndvi': 0.5, 'sum': 4.0}
    """

    _config_names = ("inputs", "nodes", "outputs")

    def __init__(self, inputs: Mapping[str, Input], outputs: Mapping[str, Node | Input]) -> None:
        self.inputs = _named("inputs", inputs)
        self.outputs = _named("outputs", outputs)
        _check_declared(self.inputs, self.outputs)
        self.nodes = tuple(_in_order(self.outputs))
        used = {s for node in self.nodes for s in node.parents}.union(self.outputs.values())
        _check_used(self.inputs, used)
        self._dropped = _last_uses(self.nodes, self.outputs)

    @property
    def radius(self) -> int | None:
        """The largest sum of radii along a path from an input to an output.

        Returns
        -------
        int or None
            In pixels; None when that of one operator is unknown.
        """
        reached: dict[Input | Node, int] = dict.fromkeys(self.inputs.values(), 0)
        for node in self.nodes:
            own = radius_of(node.operator)
            if own is None:
                return None
            reached[node] = own + max((reached[p] for p in node.parents), default=0)
        return max(reached[symbol] for symbol in self.outputs.values())

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Run on inputs given by name, or in the declared order; build a `Node` from symbols.

        Raises
        ------
        TypeError
            An input is missing, unknown or given twice.
        """
        return super().__call__(*self._bind(values, named))

    def _bind(self, values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """Put the given inputs into the declared order."""
        wanted = list(self.inputs)
        if len(values) > len(wanted):
            raise TypeError(f"this Graph takes {_names(wanted)}, got {len(values)} inputs")
        given = dict(zip(wanted, values, strict=False))
        twice = [name for name in named if name in given]
        unknown = [name for name in named if name not in self.inputs]
        missing = [name for name in wanted if name not in given and name not in named]
        faults = {"missing": missing, "unknown": unknown, "given twice:": twice}
        if missing or unknown or twice:
            told = ", ".join(f"{fault} {_names(which)}" for fault, which in faults.items() if which)
            raise TypeError(f"this Graph takes {_names(wanted)}; {told}")
        given.update(named)
        return tuple(given[name] for name in wanted)

    def _apply(self, *inputs: Any) -> dict[str, Any]:
        values: dict[Input | Node, Any] = dict(zip(self.inputs.values(), inputs, strict=True))
        del inputs
        given: list[Any] = []
        try:
            for node in self.nodes:
                given = [values[parent] for parent in node.parents]
                values[node] = node.operator(*given)
                for symbol in self._dropped[node]:
                    del values[symbol]
        except Exception as error:
            error.add_note(self._note(node, given))
            raise
        return {name: values[symbol] for name, symbol in self.outputs.items()}

    def _note(self, node: Node, given: list[Any]) -> str:
        """Say which node failed, and with which input."""
        return (
            f"failed in node {self.nodes.index(node) + 1} of {len(self.nodes)} of a Graph "
            f"({_names(list(self.inputs))} -> {_names(list(self.outputs))}):\n"
            f"  > {step_repr(node.operator)}\n"
            f"  input: {', '.join(map(summarise, given)) or 'none'}"
        )

    def _config_values(self) -> dict[str, Any]:
        """Return the wiring: a parent or output is an input's name or a node's number."""
        names: dict[Input | Node, str | int] = {x: name for name, x in self.inputs.items()}
        names |= {node: number for number, node in enumerate(self.nodes)}
        return {
            "inputs": list(self.inputs),
            "nodes": [
                {"operator": node.operator, "parents": [names[p] for p in node.parents]}
                for node in self.nodes
            ],
            "outputs": {name: names[symbol] for name, symbol in self.outputs.items()},
        }

    @classmethod
    def _from_config_values(cls, values: dict[str, Any]) -> Graph:
        inputs = {name: Input(name) for name in values["inputs"]}
        known: dict[str | int, Input | Node] = dict(inputs)
        for number, node in enumerate(values["nodes"]):
            known[number] = Node(node["operator"], [_look_up(known, p) for p in node["parents"]])
        outputs = {name: _look_up(known, ref) for name, ref in values["outputs"].items()}
        return cls(inputs, outputs)

    # A Graph travels as its wiring: pickling node by node would recurse as deep as the graph is.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._from_config_values, (self._config_values(),)

    def to_mermaid(self) -> str:
        """Return the graph as Mermaid flowchart text, one line a node and one an edge.

        Returns
        -------
        str
            Text for a Mermaid block of Markdown.
        """
        boxes = _boxes(self)
        lines = ["flowchart LR"]
        for key, box in boxes.items():
            left, right = ('["', '"]') if box.kind == "node" else ('(["', '"])')
            text = box.label.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")
            lines.append(f"    {key}{left}{text}{right}")
        edges = (f"    {source} --> {key}" for key, box in boxes.items() for source in box.sources)
        return "\n".join([*lines, *edges])

    def _repr_html_(self) -> str:
        """Return an inline SVG: inputs left, outputs right, wires around the boxes."""
        boxes = _with_wires(_boxes(self))
        width, height = _place(boxes)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="11">'
        ]
        for start, end in ((boxes[key], box) for box in boxes.values() for key in box.sources):
            x, bend = start.x + start.width, (start.x + start.width + end.x) / 2
            curve = f"{bend:.1f},{start.y:.1f} {bend:.1f},{end.y:.1f} {end.x:.1f},{end.y:.1f}"
            parts.append(_svg_line(f"M{x:.1f},{start.y:.1f} C{curve}"))
        return "".join([*parts, *map(_svg_box, boxes.values()), "</svg>"])


def _look_up(known: Mapping[str | int, Input | Node], reference: Any) -> Input | Node:
    """Return the input or node that a config refers to."""
    if not isinstance(reference, str | int) or reference not in known:
        raise GraphError(
            f"a node refers to {reference!r}, which is neither an input nor an earlier node"
        )
    return known[reference]


def _in_order(outputs: Mapping[str, Node | Input]) -> list[Node]:
    """Return every node that the outputs need, parents first, without recursion."""
    done: dict[Node, None] = {}
    begun: set[Node] = set()
    stack = [symbol for symbol in reversed(list(outputs.values())) if isinstance(symbol, Node)]
    while stack:
        node = stack[-1]
        waiting = [p for p in reversed(node.parents) if isinstance(p, Node) and p not in done]
        if not waiting:
            done[stack.pop()] = None
        elif node in begun:
            raise GraphError(f"the graph has a cycle through {step_repr(node.operator)}")
        else:
            begun.add(node)
            stack.extend(waiting)
    return list(done)


def _named(argument: str, symbols: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs or outputs by name, or say how they are written."""
    if not isinstance(symbols, Mapping):
        raise TypeError(
            f"{argument} is a dictionary of names and symbols, got a {type(symbols).__name__}; "
            f"write Graph(inputs={{'x': x}}, outputs={{'y': node}})"
        )
    return dict(symbols)


def _check_declared(inputs: Mapping[str, Input], outputs: Mapping[str, Node | Input]) -> None:
    """Refuse what is no input or output, and two inputs of one name."""
    if not outputs:
        raise GraphError("a Graph needs at least one output")
    for name, symbol in inputs.items():
        if not isinstance(symbol, Input):
            raise TypeError(f"inputs[{name!r}] must be an Input, got {type(symbol).__name__}")
    for name, out in outputs.items():
        if not isinstance(out, Node | Input):
            raise TypeError(
                f"outputs[{name!r}] must be a Node or an Input, got {type(out).__name__}; "
                "call the operator on an Input to make a Node"
            )
    names = [x.name for x in inputs.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise GraphError(f"inputs named twice: {_names(twice)}; each Input needs its own name")


def _check_used(inputs: Mapping[str, Input], used: set[Node | Input]) -> None:
    """Refuse inputs that are used but not declared, and those that are declared but not used."""
    undeclared = {s.name for s in used.difference(inputs.values()) if isinstance(s, Input)}
    if undeclared:
        hint = " (a second Input of the same name is another input)"
        same_name = undeclared & {x.name for x in inputs.values()}
        raise GraphError(
            f"inputs used but not declared: {_names(sorted(undeclared))}{hint if same_name else ''}"
            f"; declared are {_names(list(inputs))}"
        )
    idle = [name for name, x in inputs.items() if x not in used]
    if idle:
        raise GraphError(f"inputs that no output depends on: {_names(idle)}; leave them out")


def _last_uses(
    nodes: tuple[Node, ...], outputs: Mapping[str, Node | Input]
) -> dict[Node, list[Node | Input]]:
    """Return for each node what may be let go after it: what no later node and no output reads."""
    last = {parent: node for node in nodes for parent in node.parents}
    dropped: dict[Node, list[Node | Input]] = {node: [] for node in nodes}
    for symbol in last.keys() - set(outputs.values()):
        dropped[last[symbol]].append(symbol)
    return dropped


_BOX_HEIGHT, _ROW, _GAP, _CHARACTER, _PADDING, _MARGIN = 26, 40, 36, 6.6, 18, 4.0
_LONGEST_LABEL = 34
_COLOURS = {"input": "#e3effb", "node": "#f6f6f6", "output": "#e6f4e3"}


@dataclass
class Box:
    """One box of a drawing: what it stands for, its text, its column, and what leads to it.

    `x` is its left edge, `y` its centre line, in pixels like its width.

    Examples
    --------
    >>> Box("input", "red", column=0, sources=[]).label
    'red'
    """

    kind: str
    label: str
    column: int
    sources: list[str]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0


def _boxes(graph: Graph) -> dict[str, Box]:
    """Give each input, node and output a box, a node one column right of its furthest parent."""
    keys: dict[Input | Node, str] = {x: f"i{i}" for i, x in enumerate(graph.inputs.values())}
    boxes = {f"i{i}": Box("input", name, 0, []) for i, name in enumerate(graph.inputs)}
    for i, node in enumerate(graph.nodes):
        sources = [keys[p] for p in node.parents]
        column = 1 + max((boxes[source].column for source in sources), default=0)
        keys[node] = f"n{i}"
        boxes[f"n{i}"] = Box("node", _label(node.operator), column, sources)
    last = 1 + max((box.column for box in boxes.values()), default=0)
    for i, (name, symbol) in enumerate(graph.outputs.items()):
        boxes[f"o{i}"] = Box("output", name, last, [keys[symbol]])
    return boxes


def _label(operator: Operator) -> str:
    """Name a node: an operator as it prints, a pipeline by its steps' classes."""
    steps = getattr(operator, "operators", None)
    label = step_repr(operator)
    if isinstance(steps, tuple) and steps:
        label = " | ".join(type(step).__name__ for step in steps)
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 3] + "..."


def _with_wires(boxes: dict[str, Box]) -> dict[str, Box]:
    """Give an edge that passes columns a wire in each of them, so that it crosses no box."""
    routed = dict(boxes)
    for box in boxes.values():
        for i, source in enumerate(box.sources):
            for column in range(boxes[source].column + 1, box.column):
                wire = f"{source}-{column}"  # edges from one box share their wire
                routed.setdefault(wire, Box("wire", "", column, [box.sources[i]]))
                box.sources[i] = wire
    return routed


def _place(boxes: dict[str, Box]) -> tuple[float, float]:
    """Place the boxes, and return the drawing's width and height, in pixels."""
    columns: dict[int, list[Box]] = {}
    for box in boxes.values():
        columns.setdefault(box.column, []).append(box)
    tallest = max(map(len, columns.values()))

    def height_of_sources(box: Box) -> float:
        return sum(boxes[key].y for key in box.sources) / max(len(box.sources), 1)

    x = _MARGIN
    for _, column in sorted(columns.items()):
        width = max(len(box.label) for box in column) * _CHARACTER + _PADDING
        top = (tallest - len(column)) * _ROW / 2 + _ROW / 2
        # A box as high as its sources on average keeps wires from crossing.
        for row, box in enumerate(sorted(column, key=height_of_sources)):
            box.x, box.y, box.width = x, top + row * _ROW, width
        x += width + _GAP
    return x - _GAP + _MARGIN, tallest * _ROW


def _svg_line(path: str) -> str:
    """Return an SVG path in the colour of the wires."""
    return f'<path d="{path}" fill="none" stroke="#888"/>'


def _svg_box(box: Box) -> str:
    """Return a box as SVG, a wire as a line through its column."""
    from html import escape  # here, because it loads the names of all entities

    x, y, width = box.x, box.y, box.width
    if box.kind == "wire":
        return _svg_line(f"M{x:.1f},{y:.1f} h{width:.1f}")
    return (
        f'<rect x="{x:.1f}" y="{y - _BOX_HEIGHT / 2:.1f}" width="{width:.1f}" '
        f'height="{_BOX_HEIGHT}" rx="{4 if box.kind == "node" else 13}" '
        f'fill="{_COLOURS[box.kind]}" stroke="#888"/>'
        f'<text x="{x + width / 2:.1f}" y="{y + 4:.1f}" text-anchor="middle" fill="#222">'
        f"{escape(box.label)}</text>"
    )


def _names(names: list[str]) -> str:
    """Write names in one line for a message."""
    return ", ".join(map(repr, names)) or "no inputs"
