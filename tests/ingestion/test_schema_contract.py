"""Declared types, a schema that changes from day to day, and how many bad rows are too many."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion.casting import arrow_type, cast
from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion.support import counts, quarantined, read, rows

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage

FIRST = datetime(2026, 1, 13, 2, tzinfo=UTC)


def day(number: int, map_index: int = -1) -> Run:
    """The run of a day; the first one is 1."""
    start = FIRST + timedelta(days=number)
    return Run(interval=Interval(start=start, end=start + timedelta(days=1)), map_index=map_index)


class Lines:
    """A file of JSON lines that says something else every day."""

    def __init__(self, folder: Path, root: Storage) -> None:
        self._file, self._root = folder / "things.jsonl", root

    def give(self, run: Run, records: list[dict[str, Any]], **keys: Any) -> Artifact:
        self._file.write_text("\n".join(map(json.dumps, records)))
        return read({"type": "file", "path": str(self._file), **keys}, self._root, run)


@pytest.fixture
def lines(tmp_path: Path, root: Storage) -> Lines:
    return Lines(tmp_path, root)


def types(artifact: Artifact) -> dict[str, str]:
    return {item.name: str(item.type) for item in artifact.schema}


# ------------------------------------------------------------------ declared types


@pytest.mark.parametrize(
    ("word", "good", "held", "bad"),
    [
        ("int", ["7", "-3", 9, True], [7, -3, 9, 1], ["7.5", "x", "9223372036854775808", 0.5]),
        ("float", ["12.50", 3, 0.5], [12.5, 3.0, 0.5], ["x", 2**53 + 1]),
        ("bool", ["true", "FALSE", 1, 0], [True, False, True, False], ["perhaps", 2]),
        ("decimal(6,2)", ["12.50", 3, "0.5"], [Decimal("12.50"), Decimal("3.00"), Decimal("0.50")], ["1.005", "99999"]),
        ("timestamp", ["2026-01-13", "2026-01-13T10:00:00+02:00"],
         [datetime(2026, 1, 13, tzinfo=UTC), datetime(2026, 1, 13, 8, tzinfo=UTC)], ["soon", 1768298400]),
        ("date", ["2026-01-13", "2026-01-13T00:00:00"], [date(2026, 1, 13)] * 2, ["2026-01-13T10:00:00", 20466]),
        ("time", ["10:30:00"], [time(10, 30)], ["25:00:00"]),
        ("string", ["x", 7, 0.5, True, [1]], ["x", "7", "0.5", "true", "[1]"], []),
    ],
)  # fmt: skip
def test_a_declared_type_reads_what_is_written_and_refuses_what_does_not_fit(
    lines: Lines, word: str, good: list[Any], held: list[Any], bad: list[Any]
) -> None:
    for kind in (str, int, float, bool, list):  # each alone, as a source with one kind of values has them
        fine = [(value, wanted) for value, wanted in zip(good, held, strict=True) if type(value) is kind]
        wrong = [value for value in bad if type(value) is kind]
        if not fine and not wrong:
            continue
        records = [{"n": number, "v": value} for number, value in enumerate([value for value, _ in fine] + wrong)]
        artifact = lines.give(day(0), [*records, {"n": -1, "v": None}], types={"v": word})
        assert artifact.schema.field("v").type == arrow_type(word)
        table = sorted(artifact.table().to_pylist(), key=lambda row: row["n"])
        assert [row["v"] for row in table] == [None, *(wanted for _, wanted in fine)]
        assert [row["v"] for _, row in quarantined(artifact)] == wrong
        assert all(reason.startswith("v: ") for reason, _ in quarantined(artifact))


def test_one_bad_value_among_many_is_found_and_only_its_row_goes(lines: Lines) -> None:
    records = [{"n": number, "v": "x" if number == 777 else str(number)} for number in range(5_000)]
    artifact = lines.give(day(0), records, types={"v": "int"})
    assert counts(artifact) == (5_000, 4_999, 1, 0)
    assert quarantined(artifact) == [("v: 'x' cannot be read as int64", {"n": 777, "v": "x"})]


def test_a_type_for_a_column_that_is_not_there_or_no_type_is_refused(lines: Lines) -> None:
    with pytest.raises(SourceRejectedError, match="has no column 'w'"):
        lines.give(day(0), [{"v": 1}], types={"w": "int"})
    with pytest.raises(ConfigError, match=r"types\.v"):
        lines.give(day(0), [{"v": 1}], types={"v": "integer"})


scalars = (
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | some.text(max_size=6)
    | some.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6)
    | some.datetimes() | some.dates()
)  # fmt: skip


@given(
    some.sampled_from(["int", "float", "bool", "string", "timestamp", "date", "decimal(9,2)"]),
    some.one_of(some.lists(kind | some.none(), min_size=1, max_size=5) for kind in scalars.branches),  # type: ignore[attr-defined]
)
def test_no_cast_changes_a_value_silently(word: str, values: list[Any]) -> None:
    import pyarrow as pa

    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError):
        return  # not even a column: conversion's business
    result, bad = cast(column, arrow_type(word))
    assert result.type == arrow_type(word)
    for position, (value, held) in enumerate(zip(column.to_pylist(), result.to_pylist(), strict=True)):
        if value is None or position in bad:
            assert held is None
        elif isinstance(value, (bool, int, float, Decimal)) and word in ("int", "float", "decimal(9,2)"):
            # Between floats and decimals, the digits that the float is written with are its value.
            decimals = [Decimal(repr(one)) if isinstance(one, float) else one for one in (value, held)]
            same = decimals if isinstance(value, Decimal) or isinstance(held, Decimal) else [value, held]
            assert same[0] == same[1] or (held != held and value != value)  # noqa: PLR0124 - NaN


# ------------------------------------------------------------------ a schema that changes

WAS = [{"id": 1, "size": 10, "name": "a"}]
IS = [{"id": 2, "size": "large", "color": "red"}, {"id": 3, "size": 7, "color": None}]
"""`name` is missing, `color` is new, `size` was a whole number."""


def test_by_default_a_schema_evolves_and_says_so(lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    lines.give(day(0), WAS)
    with caplog.at_level(logging.WARNING):
        artifact = lines.give(day(1), IS)
    assert types(artifact) == {"id": "int64", "size": "string", "color": "string"}
    assert artifact.manifest.details["schema_changes"] == [
        "size is string, it was int64", "color (string) is new", "name (string) is missing"
    ]  # fmt: skip
    assert "since 20260113T020000Z-20260114T020000Z, color (string) is new" in caplog.text
    assert lines.give(day(2), IS).manifest.details["schema_changes"] == []


def test_a_frozen_schema_refuses_every_change_and_shows_them(lines: Lines) -> None:
    lines.give(day(0), WAS)
    with pytest.raises(SourceRejectedError) as caught:
        lines.give(day(1), IS, schema_contract="freeze")
    assert "not the one accepted with 20260113T020000Z-20260114T020000Z" in str(caught.value)
    for line in ("~ size: int64 -> string", "+ color: string", "- name: string"):
        assert f"\n  {line}" in str(caught.value)
    assert "schema_contract: evolve" in caught.value.hint
    assert types(lines.give(day(1), [{"id": 5, "size": 1, "name": None}], schema_contract="freeze")) == {
        "id": "int64", "size": "int64", "name": "string"
    }  # fmt: skip


def test_discarding_rows_keeps_the_accepted_schema_and_quarantines_what_breaks_it(lines: Lines) -> None:
    lines.give(day(0), WAS)
    artifact = lines.give(day(1), IS, schema_contract="discard_row")
    assert types(artifact) == {"id": "int64", "size": "int64", "name": "string"}
    assert rows(artifact) == [{"id": 3, "size": 7, "name": None}]
    [(reason, row)] = quarantined(artifact)
    assert reason == "color: a column that the schema contract does not know has a value"
    assert row == {"id": 2, "size": "large", "color": "red"}
    assert counts(artifact) == (2, 1, 1, 0)


def test_discarding_values_keeps_the_accepted_schema_and_every_row(lines: Lines) -> None:
    lines.give(day(0), WAS)
    artifact = lines.give(day(1), IS, schema_contract="discard_value")
    assert types(artifact) == {"id": "int64", "size": "int64", "name": "string"}
    assert rows(artifact) == [{"id": 2, "size": None, "name": None}, {"id": 3, "size": 7, "name": None}]
    assert artifact.manifest.details["values_discarded"] == {"size": 1}
    assert quarantined(artifact) == []


def test_each_kind_of_change_has_its_own_policy(lines: Lines) -> None:
    lines.give(day(0), WAS)
    policy = {"new_columns": "evolve", "missing_columns": "fill", "types": "discard_row"}
    artifact = lines.give(day(1), IS, schema_contract=policy)
    assert types(artifact) == {"id": "int64", "size": "int64", "color": "string", "name": "string"}
    assert rows(artifact) == [{"id": 3, "size": 7, "color": None, "name": None}]


def test_columns_that_the_configuration_names_are_wanted(lines: Lines) -> None:
    lines.give(day(0), WAS)
    keys = {"schema_contract": "discard_value", "required_columns": ["color"]}
    assert "color" in types(lines.give(day(1), IS, **keys))


def test_nulls_alone_are_no_new_type(lines: Lines) -> None:
    lines.give(day(0), WAS)
    artifact = lines.give(day(1), [{"id": 2, "size": None, "name": None}], schema_contract="freeze")
    assert types(artifact) == {"id": "int64", "size": "int64", "name": "string"}
    later = lines.give(day(2), [{"id": 2, "size": 1, "name": "x"}], schema_contract="freeze")
    assert types(later) == types(artifact)


def test_a_replay_compares_with_what_its_day_compared_with(lines: Lines) -> None:
    lines.give(day(0), WAS)
    lines.give(day(1), IS)
    lines.give(day(2), IS)
    with pytest.raises(SourceRejectedError, match="accepted with 20260113T020000Z-20260114T020000Z"):
        lines.give(day(1), IS, schema_contract="freeze")
    lines.give(day(2), IS, schema_contract="freeze")
    lines.give(day(0), IS, schema_contract="freeze")  # nothing is earlier


def test_another_part_of_the_data_has_a_schema_of_its_own(lines: Lines) -> None:
    lines.give(day(0, map_index=0), WAS)
    lines.give(day(0, map_index=1), IS)
    lines.give(day(1, map_index=1), IS, schema_contract="freeze")
    with pytest.raises(SourceRejectedError, match="Z-m0000"):
        lines.give(day(1, map_index=0), IS, schema_contract="freeze")


# ------------------------------------------------------------------ how many are too many


def test_more_bad_rows_than_allowed_publish_nothing_and_show_some(lines: Lines, root: Storage) -> None:
    records = [{"v": "x" if number % 10 == 0 else "1"} for number in range(100)]
    keys = {"types": {"v": "int"}}
    with pytest.raises(
        SourceRejectedError, match=r"10 of 100 rows do not fit, more than max_error_rate = 0.05: v: 'x'"
    ):
        lines.give(day(0), records, max_error_rate=0.05, **keys)
    assert root.read(f"things/raw/{day(0).partition}/_manifest.json") is None
    artifact = lines.give(day(0), records, max_error_rate=0.1, **keys)
    assert artifact.manifest.metrics["error_rate"] == 0.1
    place = artifact.manifest.details["quarantine"]
    first = Artifact.open(place).table().to_pylist()[0]
    assert (first["rule"], first["reason"]) == ("contract", "v: 'x' cannot be read as int64")
    with pytest.raises(ConfigError, match="max_error_rate"):
        lines.give(day(0), records, max_error_rate=1.5)
