"""Row filters as SQL expressions: parsed, checked node by node, and only then used.

The text never reaches a query. DuckDB's own parser turns it into a syntax tree, the tree is
walked against a list of allowed nodes, functions, types and columns, and what runs is the tree
written out again. Statements, subqueries, table and file functions, settings, window functions,
lambdas and parameters have no place in that list.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from geocatalog.errors import CatalogError

MAX_LENGTH = 10_000
"""Characters an expression may have."""


MAX_DEPTH = 100
"""Levels that an expression may nest: DuckDB and Python's JSON recurse on each."""

MAX_TEXT = 1_000_000
"""Characters that a text may grow to, a column's values being taken for `COLUMN_TEXT` long."""

COLUMN_TEXT = 1_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _words(
    """
    + - * / // % ** ^ || ~~ !~~ ~~* !~~* ~~~ like_escape not_like_escape ilike_escape
    abs ceil ceiling floor round trunc sign sqrt ln log10 log2 exp pow power greatest least isnan
    isfinite isinf
    lower upper length trim ltrim rtrim substring substr left right replace concat split_part
    contains starts_with ends_with prefix suffix strpos regexp_matches regexp_full_match
    regexp_extract
    year month day hour minute second quarter week dayofweek isodow dayofyear date_part date_trunc
    datepart datetrunc epoch strftime
    list_contains len list_value coalesce ifnull nullif
    """
)
"""Functions and operators an expression may call: pure, of their arguments only."""

TYPES = _words(
    """
    BOOLEAN BOOL TINYINT SMALLINT INTEGER INT BIGINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT REAL
    DOUBLE DECIMAL NUMERIC VARCHAR TEXT STRING DATE TIME TIMESTAMP TIMESTAMPTZ INTERVAL
    """
) | {"TIMESTAMP WITH TIME ZONE"}
"""Types an expression may cast to."""

_CLASSES = _words(
    "COMPARISON CONJUNCTION CONSTANT COLUMN_REF FUNCTION OPERATOR CAST TYPE BETWEEN CASE"
)
_OPERATORS = _words(
    """
    OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL COMPARE_IN COMPARE_NOT_IN OPERATOR_COALESCE
    OPERATOR_NULLIF
    """
)
_IDLE_PARTS = {"from_table", "select_list", "type", "cte_map", "aggregate_handling"}
_local = threading.local()


def sql_names(names: Iterable[str]) -> dict[str, str]:
    """Return names that SQL tells apart, which does not look at upper and lower case.

    Parameters
    ----------
    names
        Names of columns, each once.

    Returns
    -------
    For each name itself, or one that nothing else has where an earlier name differs by case only.

    Examples
    --------
    >>> sql_names(["Cloud", "cloud", "cloud_2"])
    {'Cloud': 'Cloud', 'cloud': 'cloud_3', 'cloud_2': 'cloud_2'}
    """
    names = list(names)
    taken = {name.lower() for name in names}
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        new, number = name or "column", 1
        while new.lower() in (seen if new == name else taken):
            number += 1
            new = f"{name or 'column'}_{number}"
        found[name] = new
        seen.add(new.lower())
        taken.add(new.lower())
    return found


def compile_expression(text: str, columns: Iterable[str]) -> str:
    """Return a filter expression as canonical SQL, after checking every node of it.

    `columns` are those it may name. A name is looked for as it is written, then in any case.

    Parameters
    ----------
    text
        A condition in SQL, at most `MAX_LENGTH` characters.
    columns
        Names that it may use, or a dict of them to what is written into the SQL, which is by
        default what `sql_names` gives.

    Returns
    -------
    SQL that holds nothing but what was checked.

    Raises
    ------
    CatalogError
        For text that is not one expression, or that uses anything not on the lists of this module;
        the message says what.

    Examples
    --------
    >>> compile_expression("cloud<10 and platform like 'S2%'", ["cloud", "platform"])
    "((cloud < 10) AND (platform ~~ 'S2%'))"
    >>> compile_expression("1 = 1; DROP TABLE t", [])
    Traceback (most recent call last):
    ...
    geocatalog.errors.CatalogError: where refuses '1 = 1; DROP TABLE t': ...
    """
    if not isinstance(text, str) or not text.strip():
        raise CatalogError(f"where takes a SQL expression such as 'cloud_cover < 10', got {text!r}")
    if len(text) > MAX_LENGTH:
        raise CatalogError(f"where takes at most {MAX_LENGTH} characters, got {len(text)}")
    with explained(partial(_refusal, text)):
        parsed = _parser().execute("SELECT json_serialize_sql(?)", ["SELECT " + text]).fetchall()
    try:
        tree: dict[str, Any] = json.loads(parsed[0][0])
    except RecursionError:
        raise _refusal(text, f"it nests deeper than {MAX_DEPTH} levels") from None
    if tree.get("error"):
        raise _refusal(text, f"it does not parse ({tree.get('error_message')})")
    if len(tree["statements"]) != 1:
        raise _refusal(text, "it holds more than one statement")
    # Nothing may stand around the expression: FROM, WHERE, LIMIT, a second column, ...
    node = tree["statements"][0]["node"]
    if node["type"] != "SELECT_NODE" or len(node["select_list"]) != 1:
        raise _refusal(text, "it is not one expression")
    if node["from_table"]["type"] != "EMPTY" or node["cte_map"]["map"]:
        raise _refusal(text, "it reads from a table")
    used = [part for part, value in node.items() if value and part not in _IDLE_PARTS]
    if used or node["select_list"][0].get("alias"):
        raise _refusal(text, f"it has a clause of its own ({', '.join(used) or 'alias'})")
    _longest(text, node["select_list"][0])
    names = dict(columns) if isinstance(columns, Mapping) else sql_names(map(str, columns))
    for problem in _problems(node["select_list"][0], names):
        raise _refusal(text, problem)
    written = "SELECT json_deserialize_sql(?::JSON)"
    with explained(partial(_refusal, text)):
        rows = _parser().execute(written, [json.dumps(tree)]).fetchall()
    return str(rows[0][0]).removeprefix("SELECT ").rstrip(" ;")


def _refusal(text: str, problem: str) -> CatalogError:
    shown = text if len(text) <= 120 else text[:117] + "..."
    return CatalogError(
        f"where refuses {shown!r}: {problem}; it takes one expression over the catalog's columns"
    )


@contextmanager
def explained(explain: Callable[[str], CatalogError]) -> Iterator[None]:
    """Turn what DuckDB raises into the error that `explain` makes of its first line.

    Parameters
    ----------
    explain
        Makes the error to raise from the first line of what DuckDB said.

    Yields
    ------
    Nothing; the block runs.
    """
    try:
        yield
    except duckdb.Error as error:
        raise explain(str(error).splitlines()[0]) from error


def locked_connection(*settings: str, files: Any = None) -> duckdb.DuckDBPyConnection:
    """Return a connection in memory, in UTC, with `settings` that nothing can change later.

    It reads no file but those that the settings allow, and no extension.

    Parameters
    ----------
    *settings
        Further settings, written as SQL: "name = value".
    files
        An fsspec file system for files that are not on this machine.

    Returns
    -------
    The connection.

    Examples
    --------
    >>> locked_connection().execute("SELECT current_setting('TimeZone')").fetchall()
    [('UTC',)]
    """
    connection = duckdb.connect(":memory:")
    if files is not None:
        connection.register_filesystem(files)
    for setting in (
        "TimeZone = 'UTC'",
        "python_enable_replacements = false",
        *settings,
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET GLOBAL {setting}")  # which is all that cursors take
    return connection


def _parser() -> duckdb.DuckDBPyConnection:
    """Return this thread's connection without files, extensions or changeable settings."""
    found: duckdb.DuckDBPyConnection | None = getattr(_local, "connection", None)
    if found is None:
        found = _local.connection = locked_connection("threads = 2")
    return found


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the expressions that one is made of."""
    found: list[dict[str, Any]] = []
    stack = [value for name, value in node.items() if name != "literal"]
    while stack:
        part = stack.pop()
        if isinstance(part, dict) and "class" in part:
            found.append(part)
        elif isinstance(part, dict | list):
            stack += part.values() if isinstance(part, dict) else part
    return found


def _longest(text: str, node: dict[str, Any], depth: int = 0) -> int:
    """Return how long the text that a node makes may be.

    Refuses an expression that nests too deeply, or whose texts could outgrow the memory.
    """
    if depth > MAX_DEPTH:
        raise _refusal(text, f"it nests deeper than {MAX_DEPTH} levels")
    parts = [_longest(text, child, depth + 1) for child in _children(node)]
    name, size = str(node.get("function_name", "")).lower(), max(parts, default=1)
    if node["class"] == "CONSTANT":
        size = len(str(node["literal"].get("text", "")))
    elif node["class"] == "COLUMN_REF":
        size = COLUMN_TEXT
    elif name == "replace":  # each character of one may become the whole of another
        size = math.prod(max(part, 1) for part in parts)
    elif name in ("concat", "||", "list_value"):
        size = sum(parts)
    if size > MAX_TEXT:
        raise _refusal(text, f"its text could grow beyond {MAX_TEXT:,} characters")
    return size


def _problems(node: Any, columns: dict[str, str]) -> Iterator[str]:
    """Yield what is not allowed in a syntax tree."""
    yield from _node_problems(node, columns)
    for child in _children(node):
        yield from _problems(child, columns)


def _node_problems(node: dict[str, Any], columns: dict[str, str]) -> Iterator[str]:
    kind, elsewhere = node["class"], node.get("schema") or node.get("catalog")
    if kind not in _CLASSES:
        yield f"{kind.lower().replace('_', ' ')} is not allowed"
    elif kind == "COLUMN_REF":
        path = node["column_names"]
        wanted = ".".join(path)
        alike = [name for name in columns if len(path) == 1 and name.lower() == wanted.lower()]
        if wanted in alike:
            alike = [wanted]
        if len(alike) == 1 and columns[alike[0]] != alike[0]:
            node["column_names"] = [columns[alike[0]]]
        elif len(alike) > 1:
            yield f"{wanted!r} may be any of {alike}, which differ by case only"
        elif not alike:
            known = ", ".join(sorted(columns))
            yield f"{wanted!r} is not a column that can be filtered on (these can: {known})"
    elif kind == "FUNCTION":
        name = node["function_name"]
        decorated = node.get("filter") or node.get("distinct") or node["order_bys"]["orders"]
        if name.lower() not in FUNCTIONS or elsewhere or decorated:
            yield f"the function {name!r} is not allowed"
    elif kind == "OPERATOR" and node["type"] not in _OPERATORS:
        yield f"{node['type'].lower().replace('_', ' ')} is not allowed"
    elif kind == "TYPE" and (node["type_name"].upper() not in TYPES or elsewhere):
        yield f"the type {node['type_name']!r} is not allowed"


def check_boolean(text: str, connection: duckdb.DuckDBPyConnection, sql: str, source: str) -> None:
    """Refuse an expression that is not a yes-or-no question about the rows of a table.

    Parameters
    ----------
    text
        The expression as it was written, for the message.
    connection
        Where `source` is known.
    sql
        The expression as `compile_expression` gives it.
    source
        A table expression.

    Raises
    ------
    CatalogError
        When the answers are not true or false.
    """
    with explained(partial(_refusal, text)):
        rows = connection.execute(f"DESCRIBE SELECT {sql} AS answer FROM {source}").fetchall()
    if rows[0][1] != "BOOLEAN":
        raise _refusal(text, f"it gives {rows[0][1]}, not true or false")


def matching_rows(text: str, attributes: pa.Table, rows: np.ndarray | None) -> np.ndarray:
    """Return the numbers of the rows of an Arrow table for which an expression is true.

    An unknown (NULL) answer is no.

    Parameters
    ----------
    text
        A condition over the columns.
    attributes
        The columns, without footprints.
    rows
        Sorted numbers of the rows to ask, or None for all.

    Returns
    -------
    (N,) sorted row numbers.

    Examples
    --------
    >>> import pyarrow as pa
    >>> matching_rows("cloud < 10", pa.table({"cloud": [5.0, 50.0, None]}), None)
    array([0])
    """
    names = sql_names(attributes.column_names)
    sql = compile_expression(text, names)
    asked = attributes if rows is None else attributes.take(rows)
    with _parser().cursor() as connection, explained(partial(_refusal, text)):
        connection.register("attributes", asked.rename_columns(list(names.values())))
        check_boolean(text, connection, sql, "attributes")
        found = connection.sql(f"SELECT coalesce({sql}, false) AS answer FROM attributes")
        answer = found.to_arrow_table().column("answer")
    hits = np.flatnonzero(answer.to_numpy())
    return hits if rows is None else rows[hits]
