"""Declared SQL types, as SQLAlchemy reflects them, to Arrow types that hold every value of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_type"]


def arrow_type(declared: Any) -> pa.DataType | None:  # noqa: ANN401 - sqlalchemy.types.TypeEngine
    """Return the Arrow type, or None if the declaration does not tell: then the values do.

    Numbers with declared precision and scale become decimals; NUMERIC without them has no exact Arrow type.
    """
    import pyarrow as pa
    from sqlalchemy import types

    if isinstance(declared, types.Integer):
        return pa.uint64() if getattr(declared, "unsigned", False) else pa.int64()
    if isinstance(declared, types.DateTime):
        return pa.timestamp("us", "UTC" if declared.timezone else None)
    if isinstance(declared, types.Time):
        return None if declared.timezone else pa.time64("us")
    if isinstance(declared, (types.Float, types.Numeric)):
        return _number(declared)
    table = (
        (types.Boolean, pa.bool_()),
        (types.Date, pa.date32()),
        (types._Binary, pa.binary()),  # noqa: SLF001 - the common base of BLOB, BYTEA, VARBINARY has no public name
        ((types.String, types.Enum, types.Uuid, types.JSON), pa.string()),
    )
    return next((kind for family, kind in table if isinstance(declared, family)), None)


def _number(declared: Any) -> pa.DataType | None:  # noqa: ANN401
    import pyarrow as pa
    from sqlalchemy import types

    if isinstance(declared, types.Float):
        return pa.float64()
    precision, scale = declared.precision, declared.scale
    if precision is None or scale is None or not 0 <= scale <= precision <= 76:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
