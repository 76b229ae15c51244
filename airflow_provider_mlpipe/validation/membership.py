"""Values of the YAML in a column's own type, so that 1 never equals '1'."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_mlpipe.validation.frame import Frame

__all__ = ["LISTABLE", "listed"]

_HUGE = 2**127


def listed(frame: Frame, name: str, values: Iterable[Any]) -> tuple[str, str, list[Any]]:
    """Return the column as SQL, the type to compare in, and those of `values` that a column of its type can hold."""
    logical = frame.logical(name)
    reader, kind = _READERS[logical], _KINDS[logical]
    if logical == "int" and frame.duckdb_type(name) in {"UBIGINT", "HUGEINT", "UHUGEINT"}:
        kind = "HUGEINT"
    limit = _HUGE if kind == "HUGEINT" else 2**63
    read = [found for value in values if (found := reader(value)) is not None]
    fitting = [found for found in read if logical != "int" or -limit <= found < limit]
    return f"CAST({frame.sql(name)} AS {kind})", kind, fitting


def _text(value: Any) -> str | None:  # noqa: ANN401 - a value of the YAML
    return value if isinstance(value, str) else None


def _integer(value: Any) -> int | None:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _real(value: Any) -> float | None:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or math.isnan(value):
        return None
    return float(value)


def _truth(value: Any) -> bool | None:  # noqa: ANN401
    return value if isinstance(value, bool) else None


def _moment(value: Any) -> str | None:  # noqa: ANN401
    if not isinstance(value, (str, date)):
        return None
    try:
        return instant(value).isoformat()
    except ConfigError:
        return None


_READERS: dict[str, Callable[[Any], Any]] = {
    "string": _text, "int": _integer, "float": _real, "decimal": _real, "bool": _truth, "timestamp": _moment,
    "date": _moment,
}  # fmt: skip
_KINDS = {
    "string": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "decimal": "DOUBLE", "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ", "date": "TIMESTAMPTZ",
}  # fmt: skip
LISTABLE = frozenset(_READERS)
"""The logical types whose values can be looked up in a list."""
