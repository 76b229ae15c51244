"""What comes from MySQL to exact Arrow columns, and Python values to SQL.

Drivers give either Arrow columns (connectorx) or texts (a cursor that converts nothing); both end in the same types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.conversion import ColumnType, convert_one_by_one
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.mysql.columns import Column

__all__ = ["Fitter", "literal"]


def literal(name: str, value: Any) -> str:  # noqa: ANN401 - any scalar
    """Return the SQL literal of a parameter's value.

    MySQL's text protocol has no parameters, and its drivers paste quoted text. Here text goes as hexadecimal digits,
    so that no character of it can mean anything in any ``sql_mode`` or character set.

    >>> literal("name", "it's")
    "_utf8mb4 X'69742773'"

    Raises:
        ConfigError: the value is nothing that SQL knows.
    """
    if value is None or isinstance(value, bool):
        return "NULL" if value is None else str(value).upper()
    if isinstance(value, str):
        return f"_utf8mb4 X'{value.encode().hex()}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, datetime):
        utc = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return f"TIMESTAMP'{utc.isoformat(' ', 'microseconds')}'"
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    if isinstance(value, (int, float, Decimal)) and isfinite(value):
        return f"{value:f}" if isinstance(value, Decimal) else repr(value)
    raise ConfigError.invalid(
        where="parameters", key=name, problem=f"a {type(value).__name__} cannot be a query parameter",
        hint="Give a text, finite number, boolean or time.",
    )  # fmt: skip


@dataclass
class Fitter:
    """Gives batches their exact types.

    Attributes:
        columns: what the batches hold.
        zero_dates: whether a date that is none becomes null or its row is rejected.
        nulled: how many dates became null, by column.
    """

    columns: Sequence[Column]
    zero_dates: Literal["reject", "null", "text"]
    nulled: dict[str, int] = field(default_factory=dict)

    def fit(self, batch: pa.RecordBatch) -> Chunk:
        """Return the rows of `batch` in their types, and those with a value that these cannot hold."""
        import pyarrow as pa

        found = [self._column(array, column) for column, array in zip(self.columns, batch.columns, strict=True)]
        schema = pa.schema([pa.field(column.name, column.kind) for column in self.columns])
        clean = pa.RecordBatch.from_arrays([array for array, _ in found], schema=schema)
        bad = sorted({position for _, misfits in found for position in misfits})
        if not bad:
            return Chunk(clean)
        rejected = []
        for position in bad:
            row = clean.slice(position, 1).to_pylist()[0]
            wrong = [
                (column.name, misfits[position])
                for column, (_, misfits) in zip(self.columns, found, strict=True)
                if position in misfits
            ]
            row |= {name: batch.column(name)[position].as_py() for name, _ in wrong}  # as they were sent
            rejected.append(Rejected(": ".join(wrong[0]), row))
        left_out = set(bad)
        return Chunk(clean.filter(pa.array([row not in left_out for row in range(len(clean))])), tuple(rejected))

    def _column(self, array: pa.Array, column: Column) -> tuple[pa.Array, dict[int, str]]:
        import pyarrow as pa

        kind = column.kind
        if pa.types.is_null(kind):
            return pa.nulls(len(array)), {}
        if pa.types.is_boolean(kind):
            return array.cast(pa.uint8()).cast(kind), {}
        if pa.types.is_temporal(kind):
            return self._dates(array, column)
        try:
            return array.cast(kind), {}
        except pa.ArrowInvalid:  # an expression's decimal with more digits than it was announced with
            return convert_one_by_one(ColumnType(column.name, kind), array.to_pylist())

    def _dates(self, texts: pa.Array, column: Column) -> tuple[pa.Array, dict[int, str]]:
        """Read dates and times: years 1 to 9999, of the calendar. MySQL can also hold 0000-00-00 and 2026-02-31."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            if not pc.any(pc.starts_with(texts, "0000")).as_py():
                naive = column.kind if pa.types.is_date(column.kind) else pa.timestamp("us")
                return texts.cast(naive).cast(column.kind), {}
        except pa.ArrowInvalid:
            pass
        fitted, misfits = convert_one_by_one(ColumnType(column.name, column.kind), texts.to_pylist())
        if self.zero_dates == "null" and misfits:
            self.nulled[column.name] = self.nulled.get(column.name, 0) + len(misfits)
            return fitted, {}
        return fitted, {position: f"{texts[position].as_py()!r} is no date of the calendar" for position in misfits}
