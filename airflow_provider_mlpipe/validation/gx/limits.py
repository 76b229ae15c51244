"""GX's four words for bounds: min_value, max_value, strict_min, strict_max."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.validation.measures import Condition

__all__ = ["outside"]


def outside(place: str, arguments: Mapping[str, Any], *, time: bool) -> Condition:
    """Return the SQL condition of a value beyond the bounds.

    Args:
        place: the value, as SQL.
        arguments: min_value and max_value, of which one may be missing; strict_min and strict_max.
        time: whether the bounds are instants.
    """
    sides, parameters = [], []
    for bound, strict, loose, tight in (("min_value", "strict_min", "<", "<="), ("max_value", "strict_max", ">", ">=")):
        value = arguments.get(bound)
        if value is None:
            continue
        slot = "CAST(? AS TIMESTAMPTZ)" if time else "?"
        sides.append(f"{place} {tight if arguments.get(strict) else loose} {slot}")
        parameters.append(instant(value).isoformat() if time else value)
    return f"({' OR '.join(sides)})", parameters
