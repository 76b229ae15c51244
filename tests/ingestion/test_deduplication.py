"""Keeping the latest row per key: against a model in plain Python, and with types that other systems would change."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.config import Deduplicate
from airflow_provider_mlpipe.ingestion import deduplication
from airflow_provider_mlpipe.ingestion.deduplication import Deduplicator
from tests.ingestion.support import counts, read, rows

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from airflow_provider_mlpipe.artifacts import Storage

SCHEMA = pa.schema([("key", pa.int64()), ("part", pa.string()), ("order", pa.int64()), ("tag", pa.int64())])
small = st.one_of(st.none(), st.integers(0, 3))
records = st.lists(st.tuples(small, st.sampled_from(["a", "b"]), small, st.integers(0, 5)), max_size=40)


def latest(found: list[tuple[Any, ...]], keys: list[str], order: list[str], cut: int) -> list[tuple[Any, ...]]:
    with Deduplicator(Deduplicate(keys=keys, order_by=order), SCHEMA) as deduplicator:
        for start in range(0, len(found), cut):
            some = [dict(zip(SCHEMA.names, row, strict=True)) for row in found[start : start + cut]]
            deduplicator.write(pa.RecordBatch.from_pylist(some, schema=SCHEMA))
        return [tuple(row.values()) for batch in deduplicator.kept() for row in batch.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(records, st.integers(1, 15), st.randoms(use_true_random=False))
def test_one_row_per_key_is_kept_and_it_is_the_latest(found: list[tuple[Any, ...]], cut: int, shuffle: Any) -> None:
    kept = latest(found, ["key", "part"], ["order"], cut)
    groups = defaultdict(list)
    for row in found:
        groups[row[:2]].append(row)
    assert sorted(map(repr, kept)) == sorted(repr(row) for row in kept if row in found)
    for key, group in groups.items():
        mine = [row for row in kept if row[:2] == key]
        if key[0] is None:
            assert sorted(map(repr, mine)) == sorted(map(repr, group)), "without a key nothing is a duplicate"
            continue
        [only] = mine
        highest = max((row[2] for row in group if row[2] is not None), default=None)
        assert only[2] == highest
    shuffled = list(found)
    shuffle.shuffle(shuffled)
    again = latest(shuffled, ["key", "part"], ["order"], cut + 1)
    assert sorted(map(repr, again)) == sorted(map(repr, kept)), "the order of arrival does not matter"


def test_every_type_comes_back_as_it_was(tmp_path: Path, root: Storage) -> None:
    table = pa.table(
        {
            "id": pa.array([1, 1, 2]),
            "wide": pa.array([Decimal("1e30"), Decimal("2e30"), None], pa.decimal256(50, 10)),
            "nanos": pa.array([1, 2, None], pa.timestamp("ns")),
            "zoned": pa.array([1, 2, None], pa.timestamp("us", "UTC")),
            "clock": pa.array([1, 2, None], pa.time64("us")),
            "list": pa.array([[1], [2, None], None], pa.list_(pa.int32())),
            "nothing": pa.nulls(3),
            "bytes": pa.array([b"\x00", b"\xff", None]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    source = {"type": "file", "path": str(tmp_path / "t.parquet")}
    artifact = read(source | {"deduplicate": {"keys": ["id"], "order_by": ["zoned"]}}, root)
    assert artifact.schema.types == table.schema.types
    assert artifact.table().to_pylist() == table.slice(1).to_pylist()
    assert counts(artifact) == (3, 2, 0, 1)


def test_rows_are_streamed_in_slices(tmp_path: Path, root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions and rows are merged piece by piece; the seams must not lose or double a row."""
    monkeypatch.setattr(deduplication, "ROWS_AT_A_TIME", 7)
    ids = [number // 3 for number in range(100)]
    pq.write_table(pa.table({"id": ids, "v": list(range(100))}), tmp_path / "t.parquet", row_group_size=11)
    source = {"type": "file", "path": str(tmp_path / "t.parquet"), "batch_size": 13}
    artifact = read(source | {"deduplicate": {"keys": ["id"], "order_by": ["v"]}}, root)
    assert [row["v"] for row in sorted(rows(artifact), key=lambda row: row["v"])] == [*range(2, 100, 3), 99]
