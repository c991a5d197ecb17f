"""One catalog file and the DuckDB connection that can read it, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geocatalog.errors import CatalogError
from geocatalog.parquet import FileInfo, read_info

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class ParquetSource:
    """A file with the connection that reads it, shared by all catalogs cut from it."""

    info: FileInfo
    connection: duckdb.DuckDBPyConnection
    _local: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(cls, path: Any) -> ParquetSource:
        """Return a catalog file, described and connected to."""
        info = read_info(path)
        return cls(info, connect(info.path))

    def __reduce__(self) -> Any:
        # A connection belongs to its process; a copy opens the file anew.
        return ParquetSource.of, (self.info.path,)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a new cursor, for a result that is read while others are."""
        return self.connection.cursor()

    def thread_cursor(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's own cursor, for results read at once: a new one costs 3 ms."""
        found: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if found is None:
            found = self._local.cursor = self.connection.cursor()
        return found

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn what DuckDB raises, such as for a file that has gone, into a CatalogError."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise CatalogError(f"cannot read {self.info.path}: {reason}") from error

    def rows(self) -> str:
        """Return the table expression that reads the file."""
        return f"read_parquet({literal(self.info.path)})"

    def attributes(self) -> str:
        """Return a table expression without rows' geometry, for checking expressions."""
        names = [name for name in self.info.columns if name != "geometry"]
        return f"(SELECT {self.columns(names)} FROM {self.rows()})"

    def side(self, name: str) -> str:
        """Return the bbox field of that name."""
        return f"{quoted(str(self.info.covering))}.{name}"

    def time(self, name: str) -> str | None:
        """Return a time column, or None where the file has none."""
        return quoted(name) if name in self.info.types else None

    def schema(self, names: list[str]) -> pa.Schema:
        """Return the Arrow types of catalog columns, as the file holds them."""
        import pyarrow as pa

        absent = pa.timestamp("us", tz="UTC")
        fields = []
        for name in names:
            stored = self.info.geometry if name == "geometry" else name
            found = self.info.schema.field(stored) if stored in self.info.types else None
            fields.append(pa.field(name, absent if found is None else found.type))
        return pa.schema(fields)

    def columns(self, names: list[str]) -> str:
        """Return the select list for catalog columns, with NULL for absent times."""
        return ", ".join(self._column(name) for name in names)

    def _column(self, name: str) -> str:
        if name == "geometry":
            return f"{quoted(self.info.geometry)} AS geometry"
        if name in self.info.types:
            return quoted(name)
        return f"CAST(NULL AS TIMESTAMPTZ) AS {quoted(name)}"


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier.

    Examples
    --------
    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return text as an SQL string.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def connect(path: str) -> duckdb.DuckDBPyConnection:
    """Return a connection that can read `path` and nothing else, with settings locked."""
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # cursors take only what is set globally
    connection.execute("SET enable_geoparquet_conversion = false")
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_paths = [{literal(path)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
