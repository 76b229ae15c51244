"""The same rows from every kind of source give the same artifact: the promises that all sources keep.

CONFORMANCE.md beside this file is the table of sources and promises.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, ConfigError, SourceRejectedError
from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion import cells
from tests.ingestion.cells import promise
from tests.ingestion.places import DECLARED, NAMES, Column, Kafka, Row, contents, expected, take
from tests.ingestion.support import DAY, counts, quarantined

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage
    from tests.ingestion.places import Place

THREE: list[Row] = [
    (1, "Ann", 1.5, "2026-01-13 02:00:00"),
    (2, None, None, None),
    (3, "Zoë 日本 🚀 ' \" \\ %s :x ; --\n,", -0.25, "2026-01-14 01:59:59.999999"),
]


def test_every_source_keeps_every_promise_or_says_why_not() -> None:
    for name in cells.PROMISES:
        assert cells.tests_of(name), f"no test holds {name!r}"
        empty = [kind.__name__ for kind in cells.PLACES if not cells.held(kind.__name__, name)]
        assert all((kind, name) in cells.EXEMPT for kind in empty)
    assert cells.PAGE.read_text() == cells.table(), "run python -m tests.ingestion.cells"


def kinds(artifact: Artifact) -> list[str]:
    return [str(artifact.schema.field(name).type) for name in NAMES]


@promise("empty")
def test_no_rows_still_give_an_artifact_with_its_schema(place: Place, root: Storage) -> None:
    artifact = take(place.source([]), root, required_columns=["id", "name"], batch_size=7)
    assert counts(artifact) == (0, 0, 0, 0)
    assert {"id", "name"} <= set(artifact.schema.names)
    if type(place) in DECLARED:
        assert kinds(artifact) == ["int64", "string", "double", "timestamp[us]"]
    assert artifact.table().num_rows == 0


@promise("one row")
def test_one_row(place: Place, root: Storage) -> None:
    assert contents(take(place.source(THREE[:1]), root)) == expected(THREE[:1])


@promise("nulls, unicode")
def test_nulls_unicode_and_microseconds_arrive_unchanged(place: Place, root: Storage) -> None:
    artifact = take(place.source(THREE), root)
    assert kinds(artifact) == ["int64", "string", "double", "timestamp[us]"]
    assert contents(artifact) == expected(THREE)
    assert counts(artifact) == (3, 3, 0, 0)
    assert artifact.manifest.metrics["error_rate"] == 0
    assert artifact.manifest.metrics["bytes_processed"] > 0


@promise("many batches")
def test_many_batches_and_a_second_run_give_the_same_content(place: Place, root: Storage) -> None:
    content: list[Row] = [
        (number, None if number % 7 == 0 else f"name {number}", number / 8, f"2026-01-13 03:{number % 60:02d}:00")
        for number in range(1, 252)
    ]
    source = place.source(content)
    seen: list[int] = []
    first = take(source, root, batch_size=50, progress=seen.append)
    assert contents(first) == expected(content)
    assert seen == sorted(seen)
    assert seen[-1] == 251
    again = take(source, root, Run(dag_id="tests", interval=DAY.interval, try_number=2), batch_size=33)
    assert again.uri == first.uri
    assert again.fingerprint == first.fingerprint
    assert contents(again) == expected(content)


@promise("types")
def test_columns_are_mapped_and_added(place: Place, root: Storage) -> None:
    artifact = take(
        place.source(THREE), root, columns={"user_id": "id", "age": None}, required_columns=["user_id", "age"]
    )
    names = [name for name in artifact.schema.names if not name.startswith("_kafka_")]
    assert names == ["user_id", "name", "amount", "at", "age"]
    assert {row["user_id"] for row in contents(artifact)} == {1, 2, 3}
    assert {row["age"] for row in contents(artifact)} == {None}


@promise("types")
def test_a_missing_column_is_named_with_those_that_are_there(place: Place, root: Storage) -> None:
    with pytest.raises(
        SourceRejectedError, match=r"has no column 'amuont'. Did you mean 'amount'\? It has: .*\bid, name"
    ):
        take(place.source(THREE), root, required_columns=["id", "amuont"])
    with pytest.raises(SourceRejectedError, match="has no column 'nome'. Did you mean 'name'"):
        take(place.source(THREE), root, columns={"label": "nome"})
    with pytest.raises(ConfigError, match="has a column of that name already"):
        take(place.source(THREE), root, columns={"name": "id"})


BOUNDARY: list[Row] = [
    (1, "before", 0.0, "2026-01-13 01:59:59.999999"),
    (2, "start", 0.0, "2026-01-13 02:00:00"),
    (3, "last", 0.0, "2026-01-14 01:59:59.999999"),
    (4, "end", 0.0, "2026-01-14 02:00:00"),
    (5, "never", 0.0, None),
    (6, "long ago", 0.0, "2025-01-01 00:00:00"),
]


@promise("window")
@pytest.mark.parametrize(
    ("incremental", "wanted"),
    [
        ({}, {2, 3}),
        ({"window": "all"}, {1, 2, 3, 6}),
        ({"window": "2d"}, {1, 2, 3}),
        ({"on_null": "include"}, {2, 3, 5}),
    ],
)
def test_a_window_is_half_open(place: Place, root: Storage, incremental: dict[str, str], wanted: set[int]) -> None:
    artifact = take(place.source(BOUNDARY), root, incremental={"cursor_column": "at", **incremental})
    assert {row["id"] for row in contents(artifact)} == wanted
    assert counts(artifact) == (len(wanted), len(wanted), 0, 0)
    window = artifact.manifest.details["window"]
    assert window[1] == "2026-01-14T02:00:00+00:00"


@promise("window")
def test_a_null_time_can_be_a_failure(place: Place, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match=r"1 of \d+ rows have no time"):
        take(place.source(BOUNDARY), root, incremental={"cursor_column": "at", "on_null": "fail"})


@promise("duplicates")
def test_the_latest_row_of_a_key_is_kept(place: Place, root: Storage) -> None:
    content: list[Row] = [
        (1, "old", 1.0, "2026-01-01 00:00:00"),
        (1, "new", 1.0, "2026-01-03 00:00:00"),
        (1, "undated", 9.0, None),
        (2, "only", 1.0, "2026-01-02 00:00:00"),
        (None, "no key", 1.0, None),
        (None, "no key either", 1.0, None),
    ]
    artifact = take(place.source(content), root, deduplicate={"keys": ["id"], "order_by": ["at"]})
    assert {row["name"] for row in contents(artifact)} == {"new", "only", "no key", "no key either"}
    assert counts(artifact) == (6, 4, 0, 2)
    assert quarantined(artifact) == []


@promise("duplicates")
def test_equal_rows_are_resolved_in_the_same_way_whatever_their_order(place: Place, root: Storage) -> None:
    content: list[Row] = [(1, f"name {number}", 1.0, "2026-01-01 00:00:00") for number in range(20)]
    rule = {"keys": ["id"], "order_by": ["at"]}
    first = take(place.source(content), root, deduplicate=rule)
    second = take(place.source(content[::-1]), root, deduplicate=rule)
    assert counts(first) == counts(second) == (20, 1, 0, 19)
    assert first.fingerprint == second.fingerprint


# ------------------------------------------------------------------ again, and on


@promise("wide")
def test_400_columns(place: Place, root: Storage) -> None:
    columns = [Column(f"c{number}", ("id", "text", "number", "time")[number % 4]) for number in range(400)]
    values = {"id": 2**40, "text": "é " * 40, "number": -0.5, "time": "2026-01-13 02:00:00.000001"}
    content: list[Row] = [
        tuple(values[column.kind] for column in columns),
        tuple(None if number % 3 else values[column.kind] for number, column in enumerate(columns)),
    ]
    artifact = take(place.source(content, columns), root)
    assert contents(artifact) == expected(content, columns)
    assert [artifact.schema.field(column.name).type for column in columns] == [column.arrow for column in columns]


def many(start: int, stop: int, day: str = "2026-01-13") -> list[Row]:
    return [(number, f"name {number}", number / 8, f"{day} 03:{number % 60:02d}:00") for number in range(start, stop)]


def breaking(at: int) -> object:
    """Return a progress that fails when so many rows were read: as a task that is stopped."""

    def progress(rows: int) -> None:
        if rows >= at:
            raise InterruptedError("stopped on purpose")

    return progress


@promise("retry")
def test_a_try_that_failed_leaves_nothing_and_the_next_gives_every_row_once(
    place: Place, root: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    content = many(0, 240)
    source = place.source(content)
    rule = {"keys": ["id"], "order_by": ["at"]}
    with pytest.raises(InterruptedError):
        take(source, root, progress=breaking(100), batch_size=30, deduplicate=rule)
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/{DAY.partition}")
    fingerprints = set()
    for number in (2, 3):
        again = Run(dag_id="tests", interval=DAY.interval, try_number=number)
        artifact = take(source, root, again, batch_size=30, deduplicate=rule)
        assert contents(artifact) == expected(content)
        assert counts(artifact) == (240, 240, 0, 0)
        fingerprints.add(artifact.fingerprint)
    assert len(fingerprints) == 1
    kept = {"_manifest.json", *(part.name for part in artifact.manifest.parts)}
    assert artifact.place.names().keys() - kept <= {"_offsets.json"}  # a topic's plan
    assert not caplog.records


@promise("resume")
def test_a_run_goes_on_where_the_one_before_ended_also_after_a_failure(place: Place, root: Storage) -> None:
    """By the watermark; a topic by its offsets."""
    keys = {} if isinstance(place, Kafka) else {"incremental": {"cursor_column": "at", "window": "watermark"}}
    days = [
        Run(dag_id="tests", run_id=f"r{day}", interval=Interval(start=f"2026-01-{day}", end=f"2026-01-{day + 1}"))
        for day in (13, 14)
    ]
    first, more = many(0, 120), many(120, 300, day="2026-01-14")
    before = take(place.source(first), root, days[0], batch_size=30, **keys)
    assert contents(before) == expected(first)
    source = place.source([*first, *more])
    with pytest.raises(InterruptedError):
        take(source, root, days[1], progress=breaking(60), batch_size=30, **keys)
    after = take(source, root, days[1], batch_size=30, **keys)
    assert contents(after) == expected(more)
    assert contents(take(source, root, days[1], batch_size=30, **keys)) == expected(more)
    assert contents(Artifact.open(before.uri)) == expected(first)
