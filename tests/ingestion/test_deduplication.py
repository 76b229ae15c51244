"""Keeping the latest row per key: against a model in plain Python, and with types that other systems would change."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.config import Deduplicate
from airflow_provider_mlpipe.engines.duckdb import DuckDBSettings
from airflow_provider_mlpipe.ingestion import deduplication
from airflow_provider_mlpipe.ingestion.deduplication import Deduplicator
from tests.ingestion.support import counts, read, rows

if TYPE_CHECKING:
    from pathlib import Path

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


def test_the_first_row_is_kept_if_that_is_wanted(tmp_path: Path, root: Storage) -> None:
    table = pa.table({"id": [1, 1, 1, 2], "at": [3, 1, None, None], "v": ["late", "early", "undated", "only"]})
    pq.write_table(table, tmp_path / "t.parquet")
    source = {"type": "file", "path": str(tmp_path / "t.parquet")}
    for keep, wanted in (("first", "early"), ("latest", "late")):
        artifact = read(source | {"deduplicate": {"keys": ["id"], "order_by": ["at"], "keep": keep}}, root)
        assert {row["v"] for row in rows(artifact)} == {wanted, "only"}


def wide(text: str, sign: str = "") -> Decimal:
    return Decimal(sign + "1" + "0" * 40 + text)


NAN = float("nan")
CLOSE = [
    # Neighbours that a system with doubles, microseconds or 128 bits takes for the same; the second is the greater one.
    pytest.param(pa.decimal256(60, 2), wide("1.00"), wide("2.00"), id="decimal256"),
    pytest.param(pa.decimal256(60, 2), wide("2.00", "-"), wide("1.00", "-"), id="negative decimal256"),
    pytest.param(pa.decimal256(60, 2), wide("1.00", "-"), Decimal("0.01"), id="decimal256 of both signs"),
    pytest.param(pa.decimal128(38, 10), Decimal("0.0000000001"), Decimal("0.0000000002"), id="decimal128"),
    pytest.param(pa.timestamp("ns"), 1, 2, id="nanoseconds"),
    pytest.param(pa.timestamp("ns", "UTC"), 1, 2, id="nanoseconds UTC"),
    pytest.param(pa.timestamp("us", "Asia/Kolkata"), -1, 1, id="microseconds zoned"),
    pytest.param(pa.timestamp("s"), -(2**40), 2**40, id="far seconds"),
    pytest.param(pa.time64("ns"), 1, 2, id="time ns"),
    pytest.param(pa.duration("ns"), -1, 1, id="duration"),
    pytest.param(pa.date32(), -(10**6), 10**6, id="far dates"),
    pytest.param(pa.int64(), 2**53, 2**53 + 1, id="int64"),
    pytest.param(pa.int64(), -(2**63), 2**63 - 1, id="ends of int64"),
    pytest.param(pa.time32("s"), 1, 2, id="time32"),
    pytest.param(pa.uint64(), 0, 2**64 - 1, id="ends of uint64"),
    pytest.param(pa.uint64(), 2**64 - 2, 2**64 - 1, id="uint64"),
    pytest.param(pa.float64(), 1.0, 1.0000000000000002, id="double"),
    pytest.param(pa.float64(), 1e308, NAN, id="NaN is the greatest"),
    pytest.param(pa.float32(), 1.0, float("inf"), id="float"),
    pytest.param(pa.large_string(), "a", "a\x00", id="NUL in text"),
    pytest.param(pa.string(), "", "\N{COMBINING ACUTE ACCENT}", id="text"),
    pytest.param(pa.large_binary(), b"\x00", b"\xff", id="bytes"),
    pytest.param(pa.bool_(), False, True, id="bool"),
    pytest.param(pa.list_(pa.int32()), [1, 2], [1, 3], id="list"),
    pytest.param(
        pa.struct([("a", pa.int8()), ("b", pa.string())]), {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, id="struct"
    ),
]


@pytest.mark.parametrize(("kind", "low", "high"), CLOSE)
def test_keys_and_order_are_compared_as_exactly_as_they_are_stored(kind: pa.DataType, low: Any, high: Any) -> None:
    """As keys two neighbours stay two rows, as order the greater one wins, and what comes back is what was given."""
    as_keys = pa.record_batch({"k": pa.array([low, high, low, None, None], kind), "n": [1, 2, 3, 4, 5]})
    kept = pa.Table.from_batches(deduplicated(as_keys, keys=["k"], order_by=["n"]))
    assert kept.column("n").to_pylist() == [2, 3, 4, 5]
    given = as_keys.take(pa.array([1, 2, 3, 4]))
    assert str(kept.to_batches()[0].column("k")) == str(given.column("k")), (
        "NaN is not equal to itself, but its text is"
    )
    for values in ([low, high, None], [None, high, low]):
        batch = pa.record_batch({"k": [1, 1, 1], "at": pa.array(values, kind)})
        for keep, wanted in (("latest", high), ("first", low)):
            [row] = deduplicated(batch, keys=["k"], order_by=["at"], keep=keep)
            assert repr(row.column("at")).partition("\n")[2] == repr(pa.array([wanted], kind)).partition("\n")[2]


def deduplicated(batch: pa.RecordBatch, **rule: Any) -> list[pa.RecordBatch]:
    with Deduplicator(Deduplicate(**rule), batch.schema) as deduplicator:
        deduplicator.write(batch)
        return list(deduplicator.kept())


def test_among_rows_of_one_key_and_time_content_decides_not_arrival() -> None:
    """Also where the rows differ only in what DuckDB would round away."""
    kinds = [pa.decimal256(60, 2), pa.timestamp("ns", "UTC"), pa.time64("ns")]
    for kind, values in zip(kinds, ([wide("1.00"), wide("2.00")], [1, 2], [1, 2]), strict=True):
        batch = pa.record_batch({"k": [1, 1], "v": pa.array(values, kind)})
        [one] = deduplicated(batch, keys=["k"])
        [other] = deduplicated(batch.take(pa.array([1, 0])), keys=["k"])
        assert one.equals(other)


def test_wide_rows_are_written_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is bounded in bytes: a million rows of a megabyte each are never together."""
    monkeypatch.setattr(deduplication, "BATCH_BYTES", 1_000_000)
    schema = pa.schema([("k", pa.int64()), ("v", pa.string())])
    with Deduplicator(Deduplicate(keys=["k"]), schema) as deduplicator:
        for number in range(20):
            deduplicator.write(pa.record_batch([[number % 15], ["x" * 300_000]], schema=schema))
        pieces = [batch.num_rows for batch in deduplicator.kept()]
    assert sum(pieces) == 15
    assert max(pieces) <= 4


def test_more_rows_than_memory_are_spilled() -> None:
    """DuckDB may hold 40 MB here; the keys and positions of these rows alone are more."""
    count, cut = 1_500_000, 150_000
    schema = pa.schema([("k", pa.string()), ("n", pa.int64())])
    settings_ = DuckDBSettings(memory_limit="40MB", threads=1)
    with Deduplicator(Deduplicate(keys=["k"], order_by=["n"]), schema, settings_) as deduplicator:
        for start in range(0, count, cut):
            numbers = pa.array(range(start, start + cut))
            keys = pc.binary_join_element_wise("key-of-some-length", pc.cast(pc.divide(numbers, 2), pa.string()), "-")
            deduplicator.write(pa.record_batch([keys, numbers], schema=schema))
        kept = pa.concat_arrays([batch.column("n") for batch in deduplicator.kept()])
    assert kept.equals(pa.array(range(1, count, 2)))
