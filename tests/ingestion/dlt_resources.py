"""Resources of dlt, as a project would write them; test_dlt.py names them in its configuration."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dlt
import pyarrow as pa


@dlt.resource
def content(path: str, page: int = 40) -> Any:
    """The rows of a JSON file: some one by one, the others in pages."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        records = json.load(file)
    yield from records[:3]
    for start in range(3, len(records), page):
        yield records[start : start + page]


@dlt.resource
def parquet(path: str) -> Any:
    """The rows of a parquet file, as one table."""
    import pyarrow.parquet as pq

    yield pq.read_table(path)


@dlt.resource
def since(start: str, token: str = "") -> Any:
    yield {"start": start, "known": bool(token)}
    if token == "wrong":
        raise PermissionError(f"token {token} refused")


@dlt.resource
def cursor(at: Any = dlt.sources.incremental("at", initial_value="2026-01-13")) -> Any:  # noqa: B008 - dlt's way
    yield [{"id": 1, "at": "2026-01-12"}, {"id": 2, "at": "2026-01-13"}, {"id": 3, "at": "2026-01-14"}]


@dlt.resource
def kinds() -> Any:
    from pendulum import datetime as moment

    yield {
        "at": moment(2026, 1, 15, 10, tz="Asia/Kolkata"),
        "price": Decimal("1.10"),
        "by": {"name": "Ann"},
        "n": 2**63,
    }
    yield {"at": datetime(2026, 1, 15, tzinfo=UTC), "price": None, "by": None, "n": 1}
    yield "no record"


@dlt.resource
def tables() -> Any:
    yield pa.table({"id": pa.array([1, 2], pa.int16()), "name": ["a", None]})
    yield pa.record_batch({"name": pa.array(["c"]), "id": pa.array([3], pa.int64())})


@dlt.resource
def frames() -> Any:
    import pandas as pd

    yield pd.DataFrame({"id": [1, 2]})


@dlt.resource
def changing_tables() -> Any:
    yield pa.table({"id": [1]})
    yield pa.table({"id": ["x"]})


@dlt.resource
def tables_and_records() -> Any:
    yield pa.table({"id": [1]})
    yield {"id": 2}


@dlt.resource
def breaks(how: str) -> Any:
    yield {"id": 1}
    raise {"key": KeyError("nope"), "network": ConnectionResetError("reset by peer")}[how]


@dlt.source
def shop() -> Any:
    return tables, kinds


def plain() -> int:
    return 1
