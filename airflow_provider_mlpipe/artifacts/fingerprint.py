"""A digest of rows that does not depend on their order, nor on how they were cut into batches and files.

Databases return a table in any order, so equal content must be recognised whatever the order. Every row is hashed
to 64 bits by DuckDB's vectorised hash; the hashes are added (mod 2**128) and xored, so that a row that appears twice
counts twice. The digest also covers the schema, so a change of type alone changes it. It guards against accidents, not
against somebody who forges rows: each part of an artifact has a SHA-256 of its own for that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Fingerprint"]

_MODULUS = 1 << 128


class Fingerprint:
    """Collects record batches of one schema into one digest.

    Args:
        schema: the schema of every batch.
        volatile: columns that do not count, such as the time at which a row was computed.
    """

    def __init__(self, schema: pa.Schema, volatile: tuple[str, ...] = ()) -> None:
        import duckdb

        self._columns = [name for name in schema.names if name not in volatile]
        self._schema = "\n".join(f"{f.name}\t{f.type}" for f in schema if f.name not in volatile)
        self._connection: Any = duckdb.connect(config={"threads": 1})
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in self._columns) or "NULL"
        self._query = f"SELECT sum(h::HUGEINT), bit_xor(h) FROM (SELECT hash({quoted}) AS h FROM batch)"  # noqa: S608
        self._rows = self._sum = self._xor = 0

    def update(self, table: pa.Table) -> None:
        """Add the rows of `table`."""
        if table.num_rows == 0:
            return
        self._connection.register("batch", _hashable(table.select(self._columns)))
        [(total, xor)] = self._connection.execute(self._query).fetchall()
        self._connection.unregister("batch")
        self._rows += table.num_rows
        self._sum = (self._sum + int(total)) % _MODULUS
        self._xor ^= int(xor)

    def digest(self) -> str:
        """Return the fingerprint of all rows so far, and release what it took to compute it."""
        self._connection.close()
        text = f"{self._schema}\n{self._rows}\n{self._sum}\n{self._xor}"
        return "rows-" + hashlib.sha256(text.encode()).hexdigest()[:40]


def _hashable(table: pa.Table) -> pa.Table:
    """Give columns that DuckDB cannot take a form that it can: 256-bit decimals as text."""
    import pyarrow as pa

    for position, column in enumerate(table.schema):
        if pa.types.is_decimal256(column.type):
            table = table.set_column(position, column.name, table.column(position).cast(pa.string()))
    return table
