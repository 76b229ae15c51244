"""PostgreSQL through ADBC: binary COPY to Arrow, in one snapshot, with every type either exact or as text.

What the driver would change is not left to it: numeric without precision, arrays (it flattens those of several
dimensions), json, uuid, ranges, enums and all that it does not know are sent as text by the server; numeric(p, s)
becomes a decimal of that size; infinite times, which Arrow cannot hold, are rejected rows.
"""

from __future__ import annotations

import re
import struct
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.duckdb import quote
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.conversion import ColumnType, convert
from airflow_provider_mlpipe.ingestion.database import DatabaseReader, named_parameters
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa


__all__ = ["PostgresReader", "libpq_uri"]

CONNECT_SECONDS = 10
BATCH_BYTES = 1024 * 1024
"""The driver's buffers grow by doubling and are held until a row group is full: small ones waste less."""
_AS_IT_IS = frozenset(
    ["bool", "bytea", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name", "date", "time",
     "timestamp", "timestamptz"]
)  # fmt: skip
_UNDEFINED_TABLE = "42P01"
_TABLES = """
    SELECT CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    ORDER BY 1 LIMIT 500"""


@dataclass(frozen=True)
class _Column:
    """One column of the result: its name, what the server is asked for, and its Arrow type."""

    name: str
    expression: str
    kind: pa.DataType


class PostgresReader(DatabaseReader):
    """Reads through ADBC."""

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Connect, tell the types, and give the rows of one snapshot."""
        import pyarrow as pa

        with _session(self._request.uri) as session:
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            session.run("SET LOCAL TimeZone = 'UTC'")
            base = self._base(session)
            columns = [_column(field) for field in self._introspect(session, base)]
            schema = pa.schema([pa.field(column.name, column.kind) for column in columns])
            if len(set(schema.names)) < len(schema.names):
                yield Stream(schema, iter(()))  # refused by the contract, with all the names
                return
            if self._request.window is not None:
                self._request.window.check(schema)
            expressions = ", ".join(column.expression for column in columns) or "1 AS nothing"
            condition = self._condition(session)
            with session.query(f"SELECT {expressions} FROM {base}{condition}") as reader:  # noqa: S608 - quoted
                yield Stream(schema, (_checked(batch, columns, schema) for batch in reader))

    def _base(self, session: _Session) -> str:
        """Return what stands behind FROM; values of parameters are bound, see `_Session.parameter`."""
        model = self._request.model
        if model.table is not None:
            schema, name = self._request.table
            return f"{quote(schema)}.{quote(name)}" if schema else quote(name)
        values = {name: session.parameter(name, value) for name, value in model.parameters.items()}
        query = named_parameters(str(model.query), values, lambda name: values[name])
        return f"(\n{query.rstrip().rstrip(';')}\n) AS mlpipe_query"

    def _introspect(self, session: _Session, base: str) -> pa.Schema:
        try:
            return session.schema(f"SELECT * FROM {base}")  # noqa: S608 - identifiers are quoted
        except Exception as error:
            if self._request.model.table is None or getattr(error, "sqlstate", None) != _UNDEFINED_TABLE:
                raise
        session.run("ROLLBACK")
        with session.query(_TABLES) as reader:
            available = [str(value) for batch in reader for value in batch.column(0).to_pylist()]
        raise self._request.no_table(available)

    def _condition(self, session: _Session) -> str:
        window = self._request.window
        if window is None:
            return ""
        column = quote(window.column)
        tests = [f"{column} < {session.parameter('end', window.end)}"]
        if window.start is not None:
            tests.append(f"{column} >= {session.parameter('start', window.start)}")
        nulls = "" if window.on_null == "exclude" else f" OR {column} IS NULL"
        return f" WHERE ({' AND '.join(tests)}){nulls}"


def libpq_uri(uri: str) -> str:
    """Return a SQLAlchemy URL as libpq wants it, with a limit to how long connecting may take.

    >>> libpq_uri("postgresql+psycopg://ann@db/shop")
    'postgresql://ann@db/shop?connect_timeout=10'
    """
    uri = re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", uri)
    if "connect_timeout=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}connect_timeout={CONNECT_SECONDS}"


class _Session:
    """One connection of the low-level ADBC interface (its DB-API imports pandas)."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - adbc has no types here
        self._connection = connection
        self._parameters = 0

    def run(self, sql: str, values: pa.RecordBatch | None = None) -> None:
        """Execute a statement whose result does not matter."""
        with self.query(sql, values) as reader:
            for _ in reader:
                pass

    def parameter(self, name: str, value: Any) -> str:  # noqa: ANN401 - any scalar
        """Bind a value, and return the expression that stands for it.

        COPY, which makes the driver fast and keeps its memory bounded, takes no parameters. So the value is bound in
        a statement of its own, to a setting of this transaction, and the query reads the setting.
        """
        import pyarrow as pa

        casts = {bool: "boolean", int: "bigint", float: "double precision", Decimal: "numeric",
                 datetime: "timestamptz", date: "date", str: "text"}  # fmt: skip
        if value is None:
            return "NULL"
        if type(value) not in casts:
            raise ConfigError.invalid(
                where="parameters", key=name, problem=f"a {type(value).__name__} cannot be a query parameter",
                hint="Give a text, number, boolean or time.",
            )  # fmt: skip
        self._parameters += 1
        setting = f"mlpipe.p{self._parameters}"
        text = value.isoformat() if isinstance(value, date) else str(value)
        # Not pa.array([text]): to take a Python value pyarrow imports pandas, 40 MB and a second of CPU.
        encoded = text.encode()
        buffers = [None, pa.py_buffer(struct.pack("=ii", 0, len(encoded))), pa.py_buffer(encoded)]
        bound = pa.record_batch([pa.Array.from_buffers(pa.string(), 1, buffers)], names=["value"])
        self.run(f"SELECT set_config('{setting}', $1, true)", bound)
        return f"(current_setting('{setting}')::{casts[type(value)]})"

    def schema(self, sql: str) -> pa.Schema:
        """Return what a query would give, with PostgreSQL's types in the fields' metadata."""
        import pyarrow as pa

        with self._statement(sql) as statement:
            handle = statement.execute_schema()  # freed with the last reference to it
            return pa.Schema._import_from_c(handle.address)  # noqa: SLF001 - the documented way

    @contextmanager
    def query(self, sql: str, values: pa.RecordBatch | None = None) -> Iterator[pa.RecordBatchReader]:
        """Execute a query and give its result as a stream."""
        import pyarrow as pa

        with self._statement(sql) as statement:
            if values is None:
                statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            else:
                statement.prepare()
                statement.bind(values)
            handle, _ = statement.execute_query()
            with pa.RecordBatchReader._import_from_c(handle.address) as reader:  # noqa: SLF001 - the documented way
                yield reader

    @contextmanager
    def _statement(self, sql: str) -> Iterator[Any]:
        from adbc_driver_manager import AdbcStatement

        statement = AdbcStatement(self._connection)
        try:
            statement.set_sql_query(sql)
            yield statement
        finally:
            statement.close()


@contextmanager
def _session(uri: str) -> Iterator[_Session]:
    import adbc_driver_postgresql
    from adbc_driver_manager import AdbcConnection, AdbcDatabase, Error

    with ExitStack() as stack:

        def closing(thing: Any) -> Any:  # noqa: ANN401 - adbc has no types here
            def close() -> None:
                with suppress(Error):  # a connection that broke cannot say good-bye
                    thing.close()

            stack.callback(close)
            return thing

        database = closing(AdbcDatabase(driver=adbc_driver_postgresql._driver_path(), uri=libpq_uri(uri)))  # noqa: SLF001
        yield _Session(closing(AdbcConnection(database)))


def _column(field: pa.Field) -> _Column:
    """Decide how one column of the result is asked for."""
    import pyarrow as pa

    metadata = field.metadata or {}
    name, quoted = field.name, quote(field.name)
    declared = (metadata.get(b"POSTGRESQL:type") or metadata.get(b"ADBC:postgresql:typname") or b"").decode()
    if declared in _AS_IT_IS:
        return _Column(name, quoted, field.type)
    if declared == "oid":
        return _Column(name, f"{quoted}::bigint AS {quoted}", pa.int64())
    if declared == "numeric" and (decimal := _decimal_type(int(metadata.get(b"POSTGRESQL:typmod", b"-1")))):
        return _Column(name, quoted, decimal)
    expression = f"to_json({quoted})::text" if declared.startswith("_") else f"{quoted}::text"
    return _Column(name, f"{expression} AS {quoted}", pa.string())


def _decimal_type(typmod: int) -> pa.DataType | None:
    """Return the decimal of a numeric(p, s), None if it has no such bounds."""
    import pyarrow as pa

    if typmod < 4:
        return None
    precision, scale = ((typmod - 4) >> 16) & 0xFFFF, (typmod - 4) & 0x7FF
    if scale > precision or precision > 76:  # scales may also be negative, which shows as a large one
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _checked(batch: pa.RecordBatch, columns: list[_Column], schema: pa.Schema) -> Chunk:
    """Give a batch its exact types; rows with a value that these cannot hold are rejected."""
    import pyarrow as pa

    arrays = []
    bad: dict[int, str] = {}
    for column, array in zip(columns, batch.columns, strict=True):
        plain = array.storage if isinstance(array, pa.ExtensionArray) else array
        if pa.types.is_decimal(column.kind):
            plain, failures = _decimals(plain, column)
        else:
            failures = _unbounded_times(plain)
        arrays.append(plain)
        for position, reason in failures.items():
            bad.setdefault(position, f"{column.name}: {reason}")
    clean = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if not bad:
        return Chunk(clean)
    rejected = tuple(Rejected(reason, _row(batch, position)) for position, reason in sorted(bad.items()))
    return Chunk(clean.filter(pa.array([position not in bad for position in range(len(clean))])), rejected)


def _decimals(texts: pa.Array, column: _Column) -> tuple[pa.Array, dict[int, str]]:
    import pyarrow as pa

    try:
        return texts.cast(column.kind), {}
    except pa.ArrowInvalid:  # NaN, which numeric(p, s) may hold
        values = texts.to_pylist()
    good = convert([ColumnType(column.name, column.kind)], {column.name: values}, len(values))
    bad = {}
    for position, value in enumerate(values):
        if value is not None and not Decimal(value).is_finite():
            bad[position] = f"{value} does not fit as {column.kind}"
    if len(good.rejected) != len(bad):
        raise pa.ArrowInvalid(f"column {column.name!r}: {good.rejected[0].reason}")
    kept = [None if position in bad else Decimal(value) if value is not None else None
            for position, value in enumerate(values)]  # fmt: skip
    return pa.array(kept, column.kind), bad


_LOW = {"date32[day]": -719_162, "timestamp[us]": -62_135_596_800_000_000}
_HIGH = {"date32[day]": 2_932_896, "timestamp[us]": 253_402_300_799_999_999}
"""The years 1 to 9999. Infinite times arrive as numbers far outside."""


def _unbounded_times(array: pa.Array) -> dict[int, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_timestamp(array.type) or pa.types.is_date32(array.type)):
        return {}
    name = "date32[day]" if pa.types.is_date32(array.type) else "timestamp[us]"
    numbers = array.view(pa.int32() if name == "date32[day]" else pa.int64())
    bounds = pc.min_max(numbers).as_py()
    # Two numbers to look at; and no Arrow value is made of a Python one here, for which pyarrow would import pandas.
    if bounds["min"] is None or (bounds["min"] >= _LOW[name] and bounds["max"] <= _HIGH[name]):
        return {}
    outside = pc.or_(pc.less(numbers, _LOW[name]), pc.greater(numbers, _HIGH[name]))
    positions = pc.indices_nonzero(outside).to_pylist()
    return dict.fromkeys(positions, "an infinite time, or one outside the years 1 to 9999")


def _row(batch: pa.RecordBatch, position: int) -> dict[str, Any]:
    """Return one row as Python values; a time that Python cannot hold as the number that the server sent."""
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[position].as_py()
        except (OverflowError, ValueError):
            row[name] = f"unbounded ({column[position].value})"
    return row
