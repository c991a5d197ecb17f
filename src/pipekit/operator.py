"""The operator: a value that runs, composes, prints, compares, hashes and pickles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from inspect import CO_VARKEYWORDS
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from pipekit.config import (
    Encoder,
    NotSerializableError,
    arguments,
    by_identity,
    canonical,
    mark_nodes,
    nest,
    refuse,
)
from pipekit.describe import Description, shorten
from pipekit.radius import Local
from pipekit.tokens import redact

if TYPE_CHECKING:
    from pipekit.sequential import Sequential


class _Symbol:
    """A place in a graph, which `|` pipes into an operator."""

    __slots__ = ()

    def __or__(self, operator: Operator) -> Node:
        return Node(operator, (self,)) if isinstance(operator, Operator) else NotImplemented


class Input(_Symbol):
    """A named place in a graph that is filled when the graph is called.

    Two inputs are the same only when they are the same object, so each name is made once.

    Parameters
    ----------
    name
        The name, for messages and drawings.

    Raises
    ------
    TypeError
        For a name that is no text, or empty.

    Examples
    --------
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


class Node(_Symbol):
    """An operator applied to its parents, not yet run.

    Calling an operator on inputs or nodes is the usual way to make one. A parent that is neither
    an `Input` nor a `Node` is a constant, and becomes a `Const` node.

    Parameters
    ----------
    operator
        The operator.
    parents
        What its inputs are, in order: inputs, nodes or constants.

    Raises
    ------
    TypeError
        For parents that are no sequence.

    Examples
    --------
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


def _as_symbol(parent: Any) -> Input | Node:
    """Return an input or node itself, and any other value as a constant node."""
    if isinstance(parent, Input | Node):
        return parent
    from pipekit.blocks import Const

    return Node(Const(parent), ())


_NAMED = (FunctionType, BuiltinFunctionType, MethodType, type)
_SMALL_ARRAY = 8
_TRUTH = (bool, np.bool_)
_WHOLE = (int, np.integer)
Listener = Callable[["Operator", Any, Any], object]

# An Input, so that the test for symbols tells a call without inputs from a fast one for free.
_NOTHING: Any = Input("nothing")
_SYMBOLS = frozenset({Input, Node})
_HASH_DIGITS = 16


class _Everything:
    def __contains__(self, kind: object) -> bool:
        return True


# The number of open Spy scopes in all threads. A plain integer is read in 4 ns, a context
# variable in 40: the variable is asked only while the integer is not zero. A call asks one thing
# only, which is 7 ns of its 90: whether its input is of a class that is to be looked at.
_spying = 0
_EVERYTHING = _Everything()
_looked_at: frozenset[type] | _Everything = _SYMBOLS
listeners: ContextVar[tuple[tuple[type, Listener], ...]] = ContextVar("listeners", default=())


def count_scopes(change: int) -> None:
    """Count one open Spy scope more or less; the caller holds the lock.

    Parameters
    ----------
    change
        1 or -1.

    Examples
    --------
    >>> count_scopes(1), count_scopes(-1)
    (None, None)
    """
    global _spying, _looked_at
    _spying += change
    _looked_at = _EVERYTHING if _spying else _SYMBOLS


class Operator:
    """One step of a pipeline: a subclass stores its arguments and says what it does.

    Write `__init__`, keeping every argument under its own name, and `_apply`, which gets the
    inputs, and keyword arguments of the call where it has such parameters. Everything else follows
    from the arguments: the printed form, equality, the hash, the config, pickling.

    Raises
    ------
    TypeError
        When the config is asked for, for an argument that `__init__` does not store; it names
        the argument.
    NotImplementedError
        When it is called without an `_apply`.

    Examples
    --------
    >>> class Scale(Operator):
    ...     def __init__(self, factor):
    ...         self.factor = factor
    ...     def _apply(self, x):
    ...         return x * self.factor
    >>> double = Scale(2)
    >>> double(21), double, double == Scale(2)
    (42, Scale(factor=2), True)
    >>> (double | Scale(5))(1)
    10
    >>> class Noise(Operator):
    ...     def _apply(self, x, seed=0):
    ...         return x + np.random.default_rng(seed).integers(100)
    >>> int(Noise()(1, seed=7))
    95
    """

    forbid_in_yaml: bool = False
    """True for what lives in this process only, such as an operator that holds a function."""

    touches_files: bool = False
    """True for what reads or writes files where its arguments say; a config needs leave for it."""

    radius: Any = None
    """How many pixels away the operator looks: 0 for work pixel by pixel, None for unknown.

    Each pixel of the result is made of the pixels of the input that are up to `radius` rows and
    columns away. It is said by the class that defines `_apply`, as a number or a property, and is
    not inherited past another `_apply`. A run over chips then gives what the whole scene gives. An
    argument of that name counts where the class says a number as well.
    """

    local: Any = Local()
    """Whether `radius` is 0: each pixel is made of the same pixel of the input alone."""

    one_size: bool = False
    """True for what takes chips of one size only, such as a network."""

    takes_batches: bool | None = None
    """How it gets chips in a run with `batch_size`: True, (N, ...) at once as a carrier; None, as a
    plain array; False, one at a time, since it is a function of one raster."""

    keeps_bands: bool = False
    """True for what makes as many bands as it gets; not inherited past another `_apply`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__
        said = own.get("local")
        if isinstance(said, bool):  # the earlier way to say that the radius is 0
            del cls.local
            cls.radius = own.get("radius", 0 if said else None)
        elif "_apply" in own and "radius" not in own:
            cls.radius = None
        if "_apply" in own and "keeps_bands" not in own:
            cls.keeps_bands = False
        # Only where there is a keyword to take: an empty dict costs a plain call a tenth.
        if _takes_keywords(own.get("_apply")) and cls.__call__ is Operator.__call__:
            cls.__call__ = call_with_keywords  # type: ignore[method-assign]

    # numpy would otherwise broadcast `array | operator` over the elements.
    __array_ufunc__ = None

    def _apply(self, *inputs: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} does not say what it does; define _apply(self, *inputs)"
        )

    def __call__(self, x: Any = _NOTHING, /, *rest: Any) -> Any:
        """Run the operator on values, or build a `Node` when an input is an `Input` or `Node`."""
        if rest or x.__class__ in _looked_at:
            return self._call(() if x is _NOTHING else (x, *rest))
        return self._apply(x)

    def _call(self, inputs: tuple[Any, ...], keywords: dict[str, Any] | None = None) -> Any:
        """Run the general case: several inputs or none, symbols, open Spy scopes."""
        keywords = keywords or {}
        for x in (*inputs, *keywords.values()):
            if x.__class__ in _SYMBOLS:
                if keywords:
                    raise TypeError(
                        f"a node of a graph takes its inputs by position, got {', '.join(keywords)}"
                        f" by keyword; keep what is no input in {type(self).__name__}(...) itself"
                    )
                return Node(self, inputs)
        result = self._apply(*inputs, **keywords)
        if _spying:
            seen = inputs[0] if len(inputs) == 1 else inputs
            for kind, listener in listeners.get():
                if isinstance(self, kind):
                    listener(self, seen, result)
        return result

    def bands_made(self, count: int | None) -> int | None:
        """Return how many bands the operator makes of so many.

        It is asked before anything is read, so that an operator that takes another number of bands
        is refused then, and not with the first chip.

        Parameters
        ----------
        count
            Bands of its input, None where unknown.

        Returns
        -------
        int or None
            None where unknown.

        Raises
        ------
        Exception
            Where it takes another number of bands.

        Examples
        --------
        >>> from pipekit import Identity
        >>> Identity().bands_made(4), Operator().bands_made(4)
        (4, None)
        """
        return count if self.keeps_bands else None

    def __or__(self, other: Operator) -> Sequential:
        from pipekit.sequential import Sequential

        if not isinstance(other, Operator):
            raise TypeError(_cannot_pipe(self, other))
        return Sequential([self, other])

    def __ror__(self, other: object) -> Any:
        raise TypeError(_cannot_pipe(other, self))

    def _config_values(self) -> dict[str, Any]:
        """Return the arguments that make up the config, operators still being operators."""
        if type(self).get_config is not Operator.get_config:
            marked: dict[str, Any] = dict(mark_nodes(self.get_config()))
            return marked
        return arguments(self)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, nested operators as `{"class": ..., "config": ...}`.

        Returns
        -------
        dict
            Argument -> value, for people to read; `to_config` writes the exact form.

        Raises
        ------
        TypeError
            `__init__` did not store one of its arguments; it is named.
        """
        return {name: nest(value) for name, value in self._config_values().items()}

    def describe(self) -> Description:
        """Return the operator's steps as a table: their arguments, and how far each looks.

        Returns
        -------
        Description
            Rows `(step, operator, arguments, looks)`, printed as a table.
        """
        return Description(self, argument_repr)

    @property
    def config_hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of the canonical config, alike in any process.

        Returns
        -------
        str
            16 hex digits.

        Raises
        ------
        NotSerializableError
            The operator holds something that has no text form.
        """
        from hashlib import sha256  # here, because it costs a quarter of `import pipekit`

        text = canonical(Encoder(refuse).node(self, ""))
        return sha256(text.encode()).hexdigest()[:_HASH_DIGITS]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        encode = Encoder(by_identity)
        return canonical(encode.node(self, "")) == canonical(encode.node(other, ""))

    def __hash__(self) -> int:
        try:
            return int(self.config_hash[:15], 16)
        except NotSerializableError:
            return hash(canonical(Encoder(by_identity).node(self, "")))

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            values = self._config_values()
        except TypeError:
            return f"{name}(<arguments not stored>)"
        return f"{name}({', '.join(f'{k}={argument_repr(v)}' for k, v in values.items())})"


def _takes_keywords(apply: Any) -> bool:
    """Tell whether an `_apply` has parameters beyond its first input that have a name."""
    code = getattr(apply, "__code__", None)
    if code is None:
        return False
    return bool(code.co_argcount > 2 or code.co_kwonlyargcount or code.co_flags & CO_VARKEYWORDS)


def call_with_keywords(self: Operator, x: Any = _NOTHING, /, *rest: Any, **keywords: Any) -> Any:
    """Run an operator on values, or build a `Node`; keyword arguments go to `_apply`.

    It is the `__call__` of the classes whose `_apply` has further parameters.

    Parameters
    ----------
    self
        The operator.
    x, *rest
        Its inputs.
    **keywords
        Further arguments of `_apply`.

    Returns
    -------
    object
        The result, or a `Node`.
    """
    if rest or keywords or x.__class__ in _looked_at:
        return self._call(() if x is _NOTHING else (x, *rest), keywords)
    return self._apply(x)


def _cannot_pipe(left: object, right: object) -> str:
    """Say why `left | right` is refused, and how to write it."""
    shown = [step_repr(x) if isinstance(x, Operator) else summarise(x) for x in (left, right)]
    stranger = right if isinstance(left, Operator) else left
    if isinstance(stranger, type) and issubclass(stranger, Operator):
        way_out = f"{stranger.__name__} is a class: write {stranger.__name__}(...)"
    elif callable(stranger) or stranger is right:
        way_out = "wrap a function as Lambda(function), or a value as Const(value)"
    else:
        way_out = "to run an operator on a value, call it: operator(value)"
    return f"only operators can be piped with |, got {' | '.join(shown)}; {way_out}"


def checked_operator(op: Any, argument: str) -> Operator:
    """Return an operator, or say which argument is none and how to make it one.

    Parameters
    ----------
    op
        What was given.
    argument
        The argument's name, for the message.

    Returns
    -------
    Operator
        `op` itself.

    Raises
    ------
    TypeError
        It is no operator.

    Examples
    --------
    >>> checked_operator(abs, "op")
    Traceback (most recent call last):
    TypeError: op must be an operator, got a builtin_function_or_method; wrap a function as ...
    """
    if isinstance(op, Operator):
        return op
    if isinstance(op, type) and issubclass(op, Operator):
        raise TypeError(f"{argument} is the class {op.__name__}; write {op.__name__}(...)")
    way_out = "wrap a function as Lambda(function)" if callable(op) else "wrap a value as Const"
    raise TypeError(f"{argument} must be an operator, got a {type(op).__name__}; {way_out}")


def checked_function(fn: Any, owner: str, argument: str = "") -> Any:
    """Return a callable that is no operator class, or say what the owner takes instead.

    Parameters
    ----------
    fn
        What was given.
    owner
        The name of what takes it, for the message.
    argument
        Of the owner, where an operator does as well.

    Returns
    -------
    callable
        `fn` itself.

    Raises
    ------
    TypeError
        It cannot be called, or is a class of operators.

    Examples
    --------
    >>> checked_function(abs, "Lambda")
    <built-in function abs>
    """
    takes = f"a function or operator as {argument}" if argument else "a function"
    if not callable(fn):
        raise TypeError(f"{owner} takes {takes}, got {fn!r}; a value is wrapped as Const(value)")
    if isinstance(fn, type) and issubclass(fn, Operator):
        way_out = f"write {fn.__name__}(...)" if argument else "use it itself"
        raise TypeError(f"{owner} takes {takes}, got the class {fn.__name__}; {way_out}")
    return fn


def checked_option(
    value: Any, name: str, accepted: Any, refusal: type[Exception] = ValueError
) -> Any:
    """Return the one of some accepted values that equals `value`, or say which they are.

    Parameters
    ----------
    value
        What was given.
    name
        The argument's name, for the message.
    accepted
        All that may be given, or a Literal type of them.
    refusal
        The class of error.

    Returns
    -------
    object
        One of those accepted; plain text for numpy's.

    Raises
    ------
    ValueError
        It is none of them. Of the class `refusal` where that is given.

    Examples
    --------
    >>> checked_option("test", "mode", ("train", "eval"))
    Traceback (most recent call last):
    ValueError: mode must be 'train' or 'eval', got 'test'
    """
    options = accepted if type(accepted) is tuple else tuple(get_args(accepted) or accepted)
    try:
        return options[options.index(value)]
    except ValueError:  # also of an array, which is no single truth value
        *most, last = map(repr, options)
    few = "one of " if len(most) > 2 else ""
    listed = f"{few}{', '.join(most)} or {last}" if most else last
    raise refusal(f"{name} must be {listed}, got {value!r}")


def checked_count(
    value: Any,
    name: str,
    least: int = 1,
    none: bool = False,
    refusal: type[Exception] = ValueError,
) -> Any:
    """Return a whole number of at least `least` (or None, where that is accepted), else raise.

    Parameters
    ----------
    value
        What was given. True is no number.
    name
        The argument's name, for the message.
    least
        The smallest number.
    none
        Whether None is accepted, too.
    refusal
        The class of error.

    Returns
    -------
    int or None
        A plain number, also of numpy's.

    Raises
    ------
    ValueError
        It is no such number. Of the class `refusal` where that is given.

    Examples
    --------
    >>> checked_count(0, "workers")
    Traceback (most recent call last):
    ValueError: workers must be a whole number of at least 1, got 0
    """
    if value is None and none:
        return None
    if isinstance(value, _WHOLE) and not isinstance(value, bool) and value >= least:
        return int(value)
    also = " or None" if none else ""
    raise refusal(f"{name} must be a whole number of at least {least}{also}, got {value!r}")


def checked_pair(value: Any, name: str, refusal: type[Exception] = ValueError) -> tuple[int, int]:
    """Return (rows, cols) of positive whole pixels from one number or a pair, else raise.

    Parameters
    ----------
    value
        What was given.
    name
        The argument's name, for the message.
    refusal
        The class of error.

    Returns
    -------
    (int, int)
        Plain numbers, also of numpy's.

    Raises
    ------
    ValueError
        It is neither. Of the class `refusal` where that is given.

    Examples
    --------
    >>> checked_pair(3, "size"), checked_pair((2, 4), "size")
    ((3, 3), (2, 4))
    """
    try:
        both = tuple(value) if hasattr(value, "__len__") else (value, value)
        rows, cols = (checked_count(each, name) for each in both)
    except (TypeError, ValueError):
        rule = "positive whole pixels, one number or (rows, cols)"
        raise refusal(f"{name} must be {rule}, got {value!r}") from None
    return rows, cols


def checked_number(
    value: Any,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    inside: bool = False,
    unit: str = "",
    refusal: type[Exception] = ValueError,
) -> Any:
    """Return a finite number from `low` to `high`, else raise.

    Parameters
    ----------
    value
        What was given. True and NaN are no numbers.
    name
        The argument's name, for the message.
    low, high
        The ends.
    inside
        Whether the ends themselves are refused.
    unit
        What follows the interval in the message, such as `" pixels"`.
    refusal
        The class of error.

    Returns
    -------
    float
        `value` itself.

    Raises
    ------
    ValueError
        It is no such number. Of the class `refusal` where that is given.

    Examples
    --------
    >>> checked_number(1.5, "alpha", 0, 1)
    Traceback (most recent call last):
    ValueError: alpha must be 0 to 1, got 1.5
    >>> checked_number(0, "gain", 0, inside=True)
    Traceback (most recent call last):
    ValueError: gain must be a finite number above 0, got 0
    """
    try:
        fits = math.isfinite(value) and not isinstance(value, _TRUTH)
        if fits and (low < value < high if inside else low <= value <= high):
            return value
    except (TypeError, ValueError, OverflowError):  # of a text, of an array of several
        pass
    if high < math.inf:
        rule = f"between {low} and {high}" if inside else f"{low} to {high}"
    else:
        end = f" {'above' if inside else 'of at least'} {low}" if low > -math.inf else ""
        rule = f"a finite number{end}"
    raise refusal(f"{name} must be {rule}{unit}, got {value!r}")


def summarise(value: Any) -> str:
    """Describe a value in one line: its type, shape, dtype and CRS, as far as it has them.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> import numpy as np
    >>> summarise(np.zeros((4, 2), "float32"))
    'ndarray (4, 2) float32'
    >>> summarise(3), summarise([1, 2]), summarise({"ndvi": 1, "ndwi": 2})
    ('int 3', 'list of 2', 'dict of 2: ndvi, ndwi')
    """
    name = type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        crs = getattr(value, "crs", None)
        return f"{name} {shape} {dtype}" + ("" if crs is None else f" {crs}")
    if isinstance(value, bool | int | float | complex | str):
        return f"{name} {shorten(repr(value))}"
    if isinstance(value, dict):
        return f"dict of {len(value)}: {shorten(', '.join(map(str, value)))}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"{name} of {len(value)}"
    return name


def argument_repr(value: Any) -> str:
    """Write one argument of an operator as in source code, without memory addresses.

    Parameters
    ----------
    value
        Any argument.

    Returns
    -------
    str
        A text that is alike in any process.

    Examples
    --------
    >>> import numpy as np
    >>> argument_repr([1, (2,), "a"]), argument_repr(len), argument_repr(np.zeros((9, 9)))
    ("[1, (2,), 'a']", 'len', 'array(shape=(9, 9), dtype=float64)')
    """
    if isinstance(value, list):
        return f"[{', '.join(map(argument_repr, value))}]"
    if isinstance(value, tuple):
        inside = ", ".join(map(argument_repr, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        pairs = (f"{k!r}: {argument_repr(v)}" for k, v in value.items())
        return f"{{{', '.join(pairs)}}}"
    if type(value) in (set, frozenset) and value:
        members = f"{{{', '.join(sorted(map(argument_repr, value)))}}}"  # in no other order
        return members if type(value) is set else f"frozenset({members})"
    if isinstance(value, _NAMED):
        return value.__qualname__.rpartition("<locals>.")[2]
    if isinstance(value, np.ndarray) and value.size > _SMALL_ARRAY:
        return f"array(shape={value.shape}, dtype={value.dtype})"
    if getattr(type(value), "__repr__", None) is object.__repr__:
        return f"<{type(value).__name__}>"
    text = repr(value)
    return redact(text) if "://" in text else text


def step_repr(operator: object) -> str:
    """Write an operator in one line that is never long and never raises.

    It is used inside error notes, where a second error would hide the first.

    Parameters
    ----------
    operator
        An operator; anything else is written by its `repr`.

    Returns
    -------
    str
        At most 60 characters, or the class's name where `repr` fails.

    Examples
    --------
    >>> from pipekit import Const
    >>> step_repr(Const("a" * 200))
    "Const(value='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        return shorten(repr(operator))
    except Exception:
        return f"{type(operator).__name__}(...)"
