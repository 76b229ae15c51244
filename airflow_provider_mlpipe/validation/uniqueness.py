"""Keys: rows are grouped by a hash of the key, eight bytes each, and by the key itself only if hashes meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.samples import duplicates

if TYPE_CHECKING:
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.rules import Unique

__all__ = ["find"]


def find(frame: Frame, rule: Unique) -> Finding:
    """Return how many rows share their key with another row; rows with a null in the key do not count."""
    key = ", ".join(frame.sql(name) for name in rule.columns)
    complete = " AND ".join(f"NOT {frame.is_null(name)}" for name in rule.columns)
    ((complete_rows, groups),) = frame.query(
        f"SELECT coalesce(sum(times), 0), count(*) FROM "  # noqa: S608
        f"(SELECT count(*) AS times FROM {{rows}} WHERE {complete} GROUP BY hash({key}))"
    )
    missing = frame.rows - int(complete_rows)
    if complete_rows == groups:
        return Finding(missing=missing)
    ((shared, keys),) = frame.query(
        f"SELECT coalesce(sum(times), 0), count(*) FROM (SELECT count(*) AS times FROM {{rows}} "  # noqa: S608
        f"WHERE {complete} GROUP BY {key} HAVING count(*) > 1)"
    )
    if not shared:
        return Finding(missing=missing)
    found = duplicates(frame, rule.columns, complete)
    return Finding(missing=missing, unexpected=int(shared), samples=found, observed=int(keys))
