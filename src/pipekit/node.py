"""The two symbols a graph is written with: a named input, and an operator applied to parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipekit.operator import Operator


class Input:
    """A named place in a graph that is filled when the graph is called.

    Two inputs are the same only when they are the same object, so each name is made once.

    >>> from pipekit import Identity
    >>> x = Input("x")
    >>> Identity()(x)
    Node(Identity(), [Input('x')])
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"an Input is named by a non-empty string, got {name!r}")
        self.name = name

    def __repr__(self) -> str:
        return f"Input({self.name!r})"

    def __or__(self, operator: Operator) -> Node:
        return _pipe(self, operator)


class Node:
    """An operator applied to its parents, not yet run.

    Calling an operator on inputs or nodes is the usual way to make one. A parent that is neither
    an `Input` nor a `Node` is a constant, and becomes a `Const` node.

    >>> from pipekit import Identity
    >>> Node(Identity(), [Input("x")]).parents
    (Input('x'),)
    """

    __slots__ = ("operator", "parents")

    operator: Operator
    parents: tuple[Input | Node, ...]

    def __init__(self, operator: Operator, parents: Sequence[Any]) -> None:
        if isinstance(parents, Input | Node):
            raise TypeError(
                f"a Node takes a sequence of parents, got one {type(parents).__name__}; "
                "write Node(operator, [parent])"
            )
        self.operator = operator
        self.parents = tuple(_as_symbol(parent) for parent in parents)

    def __repr__(self) -> str:
        parents = [
            p if isinstance(p, Input) else f"Node({type(p.operator).__name__})"
            for p in self.parents
        ]
        return f"Node({self.operator!r}, [{', '.join(map(str, parents))}])"

    def __or__(self, operator: Operator) -> Node:
        return _pipe(self, operator)


def _as_symbol(parent: Any) -> Input | Node:
    if isinstance(parent, Input | Node):
        return parent
    from pipekit.blocks import Const

    return Node(Const(parent), ())


def _pipe(symbol: Input | Node, operator: Operator) -> Node:
    from pipekit.operator import Operator

    if not isinstance(operator, Operator):
        return NotImplemented
    return Node(operator, (symbol,))
