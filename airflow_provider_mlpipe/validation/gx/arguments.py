"""Arguments of GX's expectations, from the YAML to what GX takes."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["for_gx"]


def for_gx(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as GX takes them: dates as texts, and bounds that are times as aware instants.

    GX would read a time without a zone as one that cannot be compared with our columns, which are all in UTC.
    """
    given: dict[str, Any] = _plain(arguments)
    for name in {"min_value", "max_value"} & given.keys():
        given[name] = _instant(given[name])
    return given


def _instant(bound: Any) -> Any:  # noqa: ANN401 - a value of the YAML
    try:
        return instant(bound) if isinstance(bound, str) else bound
    except ConfigError:
        return bound


def _plain(thing: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    if isinstance(thing, dict):
        return {str(key): _plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_plain(value) for value in thing]
    return thing.isoformat() if isinstance(thing, (date, datetime)) else thing
