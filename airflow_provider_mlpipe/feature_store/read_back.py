"""The read-back: entities of the artifact, asked of the online store, must answer with the artifact's values."""

from __future__ import annotations

import logging
import math
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBEngine, quote
from airflow_provider_mlpipe.errors import ReadBackError
from airflow_provider_mlpipe.feature_store.definitions import CREATED, TIMESTAMP
from airflow_provider_mlpipe.wording import MAX_SAMPLES

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.feature_store.definitions import Definition

__all__ = ["Difference", "compare", "same", "sample"]

_log = logging.getLogger(__name__)

CHUNK = 500
"""Entities asked for at once."""


@dataclass(frozen=True)
class Difference:
    """One value that is not online as it is in the artifact."""

    entity: Any
    feature: str
    expected: Any
    online: Any

    def __str__(self) -> str:
        return f"{self.entity!r}.{self.feature}: {self.expected!r} in the artifact, {self.online!r} online"


def compare(artifact: Artifact, definition: Definition, store: Any, *, count: int) -> int:  # noqa: ANN401 - feast has no types
    """Ask the store for `count` entities and compare bit by bit; return how many were compared.

    NaN counts as null, because that is what Feast makes of it, and times count to the second, because that is what it
    keeps. An entity whose row became newer meanwhile (somebody pushed one) is left out.

    Raises:
        ReadBackError: at least one differs.
    """
    rows = sample(artifact, definition, count)
    compared = 0
    differing: dict[Any, list[Difference]] = {}
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        keys = [{definition.entity: row[definition.entity]} for row in chunk]
        answer = store.get_online_features(features=definition.references, entity_rows=keys).to_dict(
            include_event_timestamps=True
        )
        for position, row in enumerate(chunk):
            if _is_newer(answer, position, definition, row[TIMESTAMP]):
                continue
            compared += 1
            found = _differences(answer, position, definition, row)
            if found:
                differing[row[definition.entity]] = found
    if differing:
        raise _mismatch(definition, compared, differing)
    return compared


def sample(artifact: Artifact, definition: Definition, count: int) -> list[dict[str, Any]]:
    """Return the newest rows of `count` entities: the same for the same keys, spread over all of them."""
    key = quote(definition.entity)
    order = f"{quote(TIMESTAMP)} DESC" + (f", {quote(CREATED)} DESC" if definition.created else "")
    names = (*definition.columns, TIMESTAMP)
    columns = ", ".join(quote(name) for name in names)
    with DuckDBEngine.open() as engine:
        engine.view("features", artifact)
        query = (
            f"WITH chosen AS (SELECT DISTINCT {key} FROM features ORDER BY md5({key}::VARCHAR), {key} LIMIT {count}) "  # noqa: S608
            f"SELECT {columns} FROM features SEMI JOIN chosen USING ({key}) "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1 ORDER BY {key}"
        )
        return [dict(zip(names, row, strict=True)) for row in engine.rows(query)]


def _is_newer(answer: dict[str, list[Any]], position: int, definition: Definition, time: datetime) -> bool:
    online = max(answer[f"{name}__ts"][position] for name in definition.features)
    return int(online) > math.floor(time.timestamp())


def _differences(
    answer: dict[str, list[Any]], position: int, definition: Definition, row: dict[str, Any]
) -> list[Difference]:
    found = []
    for name in definition.features:
        expected, online = _plain(row[name]), _plain(answer[name][position])
        if _bits(expected) != _bits(online):
            found.append(Difference(row[definition.entity], name, expected, online))
    return found


def same(expected: Any, online: Any) -> bool:  # noqa: ANN401 - any value
    """Whether a value that Feast's online store answers with is the artifact's, as far as Feast can hold it."""
    return bool(_bits(_plain(expected)) == _bits(_plain(online)))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a value as Feast can hold it."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, datetime):
        time = value if value.tzinfo else value.replace(tzinfo=UTC)
        return time.astimezone(UTC).replace(microsecond=0)
    return value


def _bits(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a value for comparison: floats by their bits, so that 0.0 is not -0.0 and 1 is not 1.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, list):
        return [_bits(item) for item in value]
    return (type(value).__name__, value)


def _mismatch(definition: Definition, compared: int, differing: dict[Any, list[Difference]]) -> ReadBackError:
    listed = [difference for found in differing.values() for difference in found]
    shown = "\n".join(f"  {difference}" for difference in listed[:MAX_SAMPLES])
    more = f"\n  ... {len(listed) - MAX_SAMPLES} more" if len(listed) > MAX_SAMPLES else ""
    return ReadBackError(
        f"feature view {definition.view!r}: {len(differing)} of {compared} entities read back differ from the "
        f"artifact:\n{shown}{more}",
        hint="Something else writes to this online store, or it lost data. Materialise again; find the other writer.",
        view=definition.view,
        rows_read_back=compared,
        mismatches=len(differing),
        features=sorted({difference.feature for difference in listed}),
    )
