"""Inputs for the tests of this folder: small tables, published as real artifacts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description
from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.feature_extraction import extract
from airflow_provider_mlpipe.run import Interval, Run

AS_OF = datetime(2026, 1, 14, 2, tzinfo=UTC)
UTC_TIME = pa.timestamp("us", tz="UTC")

ACTIVITY = pa.schema([
    ("event_id", pa.int64()),
    ("user_id", pa.string()),
    ("event_type", pa.string()),
    ("skill", pa.string()),
    ("hours", pa.float64()),
    ("occurred_at", UTC_TIME),
])  # fmt: skip


def users(*keys, **columns):
    """Return a users table with those keys and further columns."""
    return pa.table({"user_id": pa.array(keys, pa.string()), **{name: pa.array(v) for name, v in columns.items()}})


def activity(*events):
    """Return an activity table; an event is (user, type, skill, hours, time before AS_OF or a datetime)."""
    rows = [
        {
            "event_id": number,
            "user_id": user,
            "event_type": kind,
            "skill": skill,
            "hours": hours,
            "occurred_at": AS_OF - when if isinstance(when, timedelta) else when,
        }
        for number, (user, kind, skill, hours, when) in enumerate(events)
    ]
    return pa.Table.from_pylist(rows, schema=ACTIVITY)


def done(user, when, *, skill="backend", hours=1.0):
    """Return a task_completed event."""
    return (user, "task_completed", skill, hours, when)


def bug(user, when, *, skill="backend"):
    """Return a bug_reported event."""
    return (user, "bug_reported", skill, None, when)


def published(root, name, table, run_id="input"):
    """Write a table as a raw artifact."""
    with ArtifactWriter(root, Description(dataset=name, stage="raw", run=Run(run_id=run_id)), table.schema) as writer:
        writer.write_all(table.to_batches(max_chunksize=1000))
        return writer.publish()


def configured(name="user_features", **body):
    """Return a feature set with that body."""
    return feature_set({name: body}, name)


def day(as_of=AS_OF):
    """Return the run of the day that ends at a moment."""
    return Run(interval=Interval(start=as_of - timedelta(days=1), end=as_of))


def extracted(root, users_table, activity_table, *, as_of=AS_OF, engine=None, **body):
    """Publish both tables, extract, and return what `extract` returns."""
    inputs = {"users": published(root, "users", users_table), "activity": published(root, "activity", activity_table)}
    return extract(configured(**body), inputs, root=root, run=day(as_of), as_of=as_of, engine=engine)


def rows(extraction, *columns):
    """Return the feature values by user: all features, or those named, as tuples (a single one bare)."""
    table = extraction.artifact.table()
    names = columns or [n for n in table.column_names if n not in ("user_id", "event_timestamp", "created_timestamp")]
    values = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    keys = table.column("user_id").to_pylist()
    return {key: value[0] if len(columns) == 1 else value for key, value in zip(keys, values, strict=True)}
