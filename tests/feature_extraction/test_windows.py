"""The compiled result equals a brute-force reference, whatever the events are; and a window is half-open in UTC."""

from __future__ import annotations

import math
import tempfile
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.artifacts import Storage
from tests.feature_extraction import reference
from tests.feature_extraction.material import ACTIVITY, AS_OF, activity, done, extracted, published, rows, users

USERS = ["ann", "bob", "cy", "d'or\"n; --", ""]
DECLARED = {
    "delay": "6h",
    "aggregations": {
        "total": {"agg": "sum", "column": "hours", "where": "event_type in ('task_completed', 'files_changed')"},
        "middle": {"agg": "mean", "column": "hours", "where": "event_type in ('task_completed', 'files_changed')"},
        "low": {"agg": "min", "column": "hours", "where": "event_type in ('task_completed', 'files_changed')"},
        "high": {"agg": "max", "column": "hours", "where": "event_type in ('task_completed', 'files_changed')"},
        "spread": {"agg": "std", "column": "hours", "where": "event_type in ('task_completed', 'files_changed')"},
        "skills": {"agg": "distinct", "column": "skill"},
        "timed": {"agg": "count", "where": "hours > 1"},
        "by": {"agg": "count", "windows": ["9d"], "pivot": {"column": "skill", "values": ["backend", "no-such skill"]}},
    },
}
for name, declaration in DECLARED["aggregations"].items():
    if name != "by":
        declaration["windows"] = ["2d", "9d"]

# Moments on and around every edge of the windows of 2, 7 and 9 days, with and without the delay, beside arbitrary ones.
EDGES = [
    AS_OF - timedelta(hours=delay) - timedelta(days=days) + timedelta(microseconds=step)
    for delay in (0, 6)
    for days in (0, 2, 7, 9)
    for step in (-1, 0, 1)
]
moments = st.sampled_from(EDGES) | st.datetimes(
    AS_OF.replace(tzinfo=None) - timedelta(days=12),
    AS_OF.replace(tzinfo=None) + timedelta(days=2),
    timezones=st.just(UTC),
)
hours = (
    st.none()
    | st.sampled_from([0.0, -0.0, 0.1, 0.25, 1.0, 1e-9, 1e15 + 0.5, -7.5, math.nan, math.inf, -math.inf])
    | st.floats(-1e9, 1e9, allow_nan=False)
)
events = st.lists(
    st.tuples(
        st.sampled_from([*USERS, "stranger", None]),
        st.sampled_from(["task_completed", "bug_reported", "files_changed", "task_started", None]),
        st.sampled_from(["backend", "frontend", "no-such skill", "", None]),
        hours,
        moments | st.none(),
    ),
    max_size=60,
)


def check(found, expected, user):
    for name, value in expected.items():
        got = found[name]
        same = got == value or (
            got is not None and value is not None and math.isclose(got, value, rel_tol=1e-12, abs_tol=1e-12)
        )
        assert same, f"{name} of {user!r}: got {got!r}, expected {value!r}"
        assert got is None or math.isfinite(got)


def by_user(extraction):
    return {row["user_id"]: row for row in extraction.artifact.table().to_pylist()}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=events)
def test_catalog_features_equal_the_reference(events):
    table = activity(*events)
    with tempfile.TemporaryDirectory() as folder:
        found = by_user(extracted(Storage(folder), users(*USERS), table, aggregation_window="9d"))
    assert list(found) == sorted(USERS)
    for user in USERS:
        check(found[user], reference.catalog(table.to_pylist(), user, AS_OF, timedelta(days=9)), user)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=events)
def test_declared_features_equal_the_reference(events):
    table = activity(*events)
    with tempfile.TemporaryDirectory() as folder:
        found = by_user(extracted(Storage(folder), users(*USERS), table, **DECLARED))
    for user in USERS:
        expected = reference.declared(table.to_pylist(), user, AS_OF, timedelta(hours=6))
        assert set(found[user]) == {"user_id", "event_timestamp", "created_timestamp", *expected}
        check(found[user], expected, user)


@pytest.mark.parametrize(
    ("moment", "seen"),
    [
        (AS_OF - timedelta(days=7), True),
        (AS_OF - timedelta(days=7, microseconds=1), False),
        (AS_OF - timedelta(microseconds=1), True),
        (AS_OF, False),
        (AS_OF + timedelta(days=1), False),
    ],
    ids=["start", "before start", "just before as_of", "as_of", "later"],
)
def test_a_window_has_its_start_and_not_its_end(root, moment, seen):
    found = rows(extracted(root, users("ann"), activity(done("ann", moment)), features=["tasks_completed_7d"]))
    assert found == {"ann": (int(seen),)}


def test_delay_moves_the_whole_window_back(root):
    table = activity(*(done("ann", timedelta(hours=age), hours=float(age)) for age in (1, 3, 23, 24, 26, 27, 28)))
    found = extracted(
        root, users("ann"), table, delay="3h", aggregation_window="1d",
        aggregations={"hours": {"agg": "sum", "column": "hours"}, "age": {"agg": "min", "column": "hours"}},
    )  # fmt: skip
    assert rows(found) == {"ann": (23.0 + 24 + 26 + 27, 23.0)}
    assert found.artifact.manifest.details["events"] == {
        "from": "2026-01-12T23:00:00+00:00",
        "to": "2026-01-13T23:00:00+00:00",
    }


NAIVE = [datetime.fromisoformat("2026-01-14T01:59:00"), datetime.fromisoformat("2026-01-14T02:00:00")]


def times(kind, *moments):
    """One completed task of ann per moment, with the time column in an Arrow type."""
    table = activity(*(done("ann", AS_OF) for _ in moments))
    position = table.schema.get_field_index("occurred_at")
    return table.set_column(position, "occurred_at", pa.array(moments, kind))


@pytest.mark.parametrize(
    ("kind", "moments", "count"),
    [
        (pa.timestamp("us"), NAIVE, 1),
        (pa.timestamp("ns"), NAIVE, 1),
        (pa.timestamp("ns", tz="UTC"), [AS_OF - timedelta(microseconds=1), AS_OF], 1),
        (pa.timestamp("s", tz="UTC"), [datetime(2026, 1, 14, 1, 59, tzinfo=UTC), AS_OF], 1),
        # 21:00 in New York is 02:00 UTC: exactly as_of.
        (pa.timestamp("us", tz="America/New_York"), [AS_OF - timedelta(microseconds=1), AS_OF], 1),
        # A date is its midnight UTC: the 7th's lies before the window's start at 02:00, the 14th's before its end.
        (pa.date32(), [date(2026, 1, 7), date(2026, 1, 8), date(2026, 1, 14), date(2026, 1, 15)], 2),
    ],
    ids=["naive is UTC", "nanoseconds", "nanoseconds in a zone", "seconds", "another zone", "date"],
)
def test_times_of_any_type(root, kind, moments, count):
    assert rows(extracted(root, users("ann"), times(kind, *moments), features=["tasks_completed_7d"])) == {
        "ann": (count,)
    }


def test_a_day_is_24_hours_across_a_change_of_clocks(root):
    # Europe and America change clocks in these weeks; in UTC nothing happens.
    as_of = datetime(2026, 3, 30, tzinfo=UTC)
    stamps = [as_of - timedelta(hours=hours) for hours in (24, 23, 25)]
    table = times(pa.timestamp("us", tz="Europe/Berlin"), *stamps)
    found = extracted(
        root, users("ann"), table, as_of=as_of, aggregation_window="1d", aggregations={"n": {"agg": "count"}}
    )
    assert rows(found) == {"ann": (2,)}


def test_leap_day(root):
    as_of = datetime(2024, 3, 1, tzinfo=UTC)
    stamps = [datetime(2024, 2, 29, 12, tzinfo=UTC), datetime(2024, 2, 28, 12, tzinfo=UTC)]
    found = extracted(
        root, users("ann"), times(ACTIVITY.field("occurred_at").type, *stamps), as_of=as_of,
        aggregations={"n": {"agg": "count", "windows": ["1d", "2d"]}},
    )  # fmt: skip
    assert rows(found) == {"ann": (1, 2)}


def test_a_sum_is_exact_and_does_not_depend_on_the_order(root):
    values = [1e15, 0.1, -1e15, 0.2, 1e-12, 3.3] * 50
    stamped = [done("ann", timedelta(minutes=n), hours=value) for n, value in enumerate(values, 1)]
    first = extracted(root, users("ann"), activity(*stamped), features=["current_workload_hours"])
    assert rows(first, "current_workload_hours")["ann"] == reference.exact(values)
    table = activity(*sorted(stamped, key=lambda event: event[3]))
    assert extracted(root, users("ann"), table, features=["current_workload_hours"]).artifact.fingerprint == (
        first.artifact.fingerprint
    )


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=events, later=events, data=st.data())
def test_nothing_at_or_after_as_of_is_seen(events, later, data):
    """Whatever is added at or after as_of, and in whatever order all of it comes, the content stays the same."""
    before = [event for event in events if event[4] is None or event[4] < AS_OF]
    after = [(*event[:4], AS_OF + abs((event[4] or AS_OF) - AS_OF)) for event in later]
    mixed = data.draw(st.permutations(before + after))
    with tempfile.TemporaryDirectory() as folder:
        root = Storage(folder)
        live = extracted(root, users(*USERS), activity(*before)).artifact
        backfill = extracted(root, users(*reversed(USERS)), activity(*mixed)).artifact
        assert backfill.fingerprint == live.fingerprint


def test_a_backfill_equals_the_live_run(root):
    """The live run of each day knows the events so far; a backfill long after knows all. Both publish the same."""
    history = [
        done("ann" if n % 3 else "bob", AS_OF - timedelta(hours=5 * n), skill="devops", hours=n / 7) for n in range(60)
    ]
    people = users("ann", "bob", "cy")
    for back in range(5):
        as_of = AS_OF - timedelta(days=back)
        known = activity(*(event for event in history if event[4] < as_of))
        live = extracted(root, people, known, as_of=as_of).artifact
        again = extracted(root, people, activity(*history), as_of=as_of).artifact
        assert again.fingerprint == live.fingerprint
        assert again.uri == live.uri


def test_integer_and_decimal_columns_are_added_as_they_are(root):
    base = activity(*(done("ann", timedelta(hours=n)) for n in (1, 2, 3)))
    position = base.schema.get_field_index("hours")
    for kind, values in (
        (pa.int64(), [2**53, 1, 1]),
        (pa.decimal128(20, 4), ["0.1000", "0.2000", "0.3000"]),
        (pa.bool_(), [True, True, None]),
        (pa.uint8(), [255, 255, 1]),
    ):
        column = pa.array(values, pa.string()).cast(kind) if pa.types.is_decimal(kind) else pa.array(values, kind)
        table = base.set_column(position, "hours", column)
        exact = reference.exact([value for value in values if value is not None])
        found = extracted(root, users("ann"), table, features=["current_workload_hours"])
        assert rows(found, "current_workload_hours")["ann"] == pytest.approx(exact, rel=1e-15), kind


def test_inputs_may_be_published_in_many_parts(root):
    table = pa.concat_tables([activity(done("ann", timedelta(hours=1)))] * 2500)
    assert published(root, "activity", table).manifest.rows == 2500
    assert rows(extracted(root, users("ann"), table, features=["tasks_completed_7d"])) == {"ann": (2500,)}


def test_nanoseconds_never_leak_the_future_and_never_count_twice(root):
    """Times count in whole microseconds: an event next to as_of belongs to one side of it, whatever is rounded."""
    nanoseconds = int(AS_OF.timestamp()) * 10**9
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", tz="UTC")):
        for offset, today in ((-1, 0), (-1000, 1), (0, 0), (1, 0), (499, 0)):
            table = activity(done("ann", AS_OF))
            position = table.schema.get_field_index("occurred_at")
            table = table.set_column(position, "occurred_at", pa.array([nanoseconds + offset], kind))
            counts = [
                rows(
                    extracted(
                        root, users("ann"), table, as_of=as_of, aggregations={"n": {"agg": "count", "windows": ["1d"]}}
                    )
                )
                for as_of in (AS_OF, AS_OF + timedelta(days=1))
            ]
            assert counts == [{"ann": (today,)}, {"ann": (1 - today,)}]
