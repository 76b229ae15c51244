"""Features of users: ours beside pandas, polars and a bare scan of the same file; many days at once beside day by day.

The events of sixty days lie in an artifact, in the order of time. Counted is a whole task: interpreter, imports,
reading, aggregating, and writing the result as parquet; ours also checks its inputs, adds floats exactly, proves that
it saw nothing from the future, and publishes with a fingerprint. All sides must give the same numbers.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _harness import Row, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_mlpipe.feature_extraction import Extraction, Moments

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 60
SKILLS = ("backend", "frontend", "database", "devops")
EVENTS, USERS = 10_000_000, 200_000
HISTORY_DAYS = 30

SET = {
    "aggregations": {
        "tasks": {"agg": "count", "where": "event_type = 'task_completed'", "windows": ["7d", "30d"]},
        "bugs": {"agg": "count", "where": "event_type = 'bug_reported'", "windows": ["30d"]},
        "hours": {"agg": "sum", "column": "hours", "where": "event_type = 'task_completed'", "windows": ["7d", "30d"]},
        "mean_hours": {"agg": "mean", "column": "hours", "where": "event_type = 'task_completed'", "windows": ["30d"]},
        "projects": {"agg": "distinct", "column": "project_id", "windows": ["7d", "30d"]},
        "skill_hours": {
            "agg": "mean",
            "column": "hours",
            "where": "event_type = 'task_completed'",
            "windows": ["30d"],
            "pivot": {"column": "skill", "values": list(SKILLS)},
        },
    },
    "derived": {"bug_rate": "bugs / tasks_30d"},
    "cache": False,
}
"""Thirteen features."""

ROWS = [
    Row(
        work="user features, 10M events, 200k users, 30-day windows",
        ours="ours",
        peers={"pandas": ("by_pandas", 1 / 2.5), "polars, streaming": ("by_polars", 2.5)},
        why="sums of floats that are the same in any order of rows take nearly half of the aggregation's CPU.",
    ),
    Row(
        work="the same beside a bare scan of the columns",
        ours="ours_read",
        peers={"duckdb, max of each column": ("scan", 10.0)},
    ),
    Row(
        work="30M events, 600k users, under a 512 MB limit",
        ours="ours_limited",
        peers={"pandas, without a limit": ("by_pandas_large", 1 / 2.5)},
        peak_mb=850,
    ),
    Row(
        work="30 days of 1M events, 20k users: one pass",
        ours="history",
        peers={"day by day, in one process": ("day_by_day", 1.0)},
    ),
]


@contextmanager
def setup(quick: bool) -> Iterator[Mapping[str, Any]]:  # noqa: FBT001 - the harness calls it
    """Publish users and events, in three sizes."""
    with tempfile.TemporaryDirectory(prefix="mlpipe-bench-") as folder:
        scale = 100 if quick else 1
        yield {
            "folder": folder,
            "medium": _published(Path(folder) / "medium", EVENTS // scale, USERS // scale),
            "large": _published(Path(folder) / "large", 3 * EVENTS // scale, 3 * USERS // scale),
            "small": _published(Path(folder) / "small", EVENTS // 10 // scale, USERS // 10 // scale),
        }


def _published(folder: Path, events: int, users: int) -> dict[str, str]:
    import numpy as np
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
    from airflow_provider_mlpipe.run import Run

    generator = np.random.default_rng(5)
    root = Storage(str(folder))
    people = pa.table({"user_id": [f"user-{number:07d}" for number in range(users)]})
    with ArtifactWriter(root, Description(dataset="users", stage="raw", run=Run()), people.schema) as writer:
        writer.write_all(people.to_batches())
        found = {"users": writer.publish().uri}
    start = AS_OF - timedelta(days=DAYS)
    schema = pa.schema([
        ("event_id", pa.int64()), ("user_id", pa.string()), ("project_id", pa.string()), ("event_type", pa.string()),
        ("skill", pa.string()), ("hours", pa.float64()), ("occurred_at", pa.timestamp("us", tz="UTC")),
    ])  # fmt: skip
    kinds = pa.array(["task_started", "task_completed", "bug_reported", "files_changed"])
    with ArtifactWriter(root, Description(dataset="activity", stage="raw", run=Run()), schema) as writer:
        step = DAYS * 86_400_000_000 / events
        for first in range(0, events, 500_000):
            count = min(500_000, events - first)
            when = int(start.timestamp() * 1e6) + ((first + np.arange(count)) * step).astype("int64")
            writer.write(
                pa.RecordBatch.from_arrays(
                    [
                        pa.array(np.arange(first, first + count)),
                        people.column("user_id").combine_chunks().take(pa.array(generator.integers(0, users, count))),
                        pa.array([f"project-{number:03d}" for number in range(500)]).take(
                            pa.array(generator.integers(0, 500, count))
                        ),
                        kinds.take(pa.array(generator.choice(4, count, p=[0.3, 0.4, 0.1, 0.2]))),
                        pa.array([*SKILLS, "docs"]).take(pa.array(generator.integers(0, 5, count))),
                        # Quarters of an hour, so that sums of floats are the same in any order, for all sides.
                        pa.array(generator.integers(1, 40, count) / 4.0),
                        pa.array(when, pa.timestamp("us", tz="UTC")),
                    ],
                    schema=schema,
                )
            )
        found["activity"] = writer.publish().uri
    return found


def _extracted(
    given: Mapping[str, str], folder: Path, *, as_of: datetime | Moments = AS_OF, memory: str = "1GB"
) -> Extraction:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import feature_set
    from airflow_provider_mlpipe.engines import DuckDBSettings
    from airflow_provider_mlpipe.feature_extraction import extract
    from airflow_provider_mlpipe.run import Interval, Run

    moment = as_of if isinstance(as_of, datetime) else as_of.last
    return extract(
        feature_set({"user_features": SET}, "user_features"),
        {role: Artifact.open(uri) for role, uri in given.items()},
        root=Storage(str(folder)),
        run=Run(interval=Interval(start=moment - timedelta(days=1), end=moment)),
        as_of=as_of,
        engine=DuckDBSettings(memory_limit=memory),
    )


def _answer(paths: list[str]) -> list[Any]:
    """Return rows and totals of the result, in one way for all."""
    import duckdb

    query = (
        "SELECT count(*), sum(tasks_7d), sum(tasks_30d), sum(bugs_30d), round(sum(hours_30d), 3), sum(projects_7d), "
        "sum(projects_30d), round(sum(mean_hours_30d), 3), round(sum(skill_hours_devops), 3), round(sum(bug_rate), 3) "
        "FROM read_parquet($1)"
    )
    [found] = duckdb.execute(query.replace("$1", repr(paths))).fetchall()
    return [float(value) for value in found]


def ours(given: dict[str, Any], folder: Path) -> list[Any]:
    """As a task of the pipeline does it."""
    return _answer(_extracted(given["medium"], folder).artifact.paths)


def ours_read(given: dict[str, Any], folder: Path) -> int:
    """The same; the answer is how many events there are."""
    return int(_extracted(given["medium"], folder).metrics["events_read"])


def ours_limited(given: dict[str, Any], folder: Path) -> list[Any]:
    """Three times as much in half of the memory."""
    return _answer(_extracted(given["large"], folder, memory="512MB").artifact.paths)


def scan(given: dict[str, Any], folder: Path) -> int:
    """What has to be read for any answer at all."""
    import duckdb

    from airflow_provider_mlpipe.artifacts import Artifact

    del folder
    paths = Artifact.open(given["medium"]["activity"]).paths
    columns = ("user_id", "project_id", "event_type", "skill", "hours", "occurred_at")
    listed = ", ".join(f"max({name})" for name in columns)
    [(count, *_)] = duckdb.execute(f"SELECT count(*), {listed} FROM read_parquet({paths!r})").fetchall()
    return int(count)


def by_pandas(given: dict[str, Any], folder: Path, size: str = "medium") -> list[Any]:
    """As one would write it: filter on reading, one groupby per kind of event."""
    import pandas as pd

    from airflow_provider_mlpipe.artifacts import Artifact

    people = pd.concat(pd.read_parquet(path) for path in Artifact.open(given[size]["users"]).paths)
    columns = ["user_id", "project_id", "event_type", "skill", "hours", "occurred_at"]
    start, week = pd.Timestamp(AS_OF - timedelta(days=30)), pd.Timestamp(AS_OF - timedelta(days=7))
    seen = pd.concat(
        pd.read_parquet(path, columns=columns, filters=[("occurred_at", ">=", start), ("occurred_at", "<", AS_OF)])
        for path in Artifact.open(given[size]["activity"]).paths
    )
    done = seen[seen.event_type == "task_completed"]
    by_user = done.groupby("user_id").hours
    result = pd.DataFrame(index=pd.Index(people.user_id.sort_values(), name="user_id"))
    result["tasks_7d"] = done[done.occurred_at >= week].groupby("user_id").size()
    result["tasks_30d"] = by_user.size()
    result["bugs_30d"] = seen[seen.event_type == "bug_reported"].groupby("user_id").size()
    result["hours_7d"] = done[done.occurred_at >= week].groupby("user_id").hours.sum()
    result["hours_30d"] = by_user.sum()
    result["projects_7d"] = seen[seen.occurred_at >= week].groupby("user_id").project_id.nunique()
    result["projects_30d"] = seen.groupby("user_id").project_id.nunique()
    counts = ["tasks_7d", "tasks_30d", "bugs_30d", "hours_7d", "hours_30d", "projects_7d", "projects_30d"]
    result[counts] = result[counts].fillna(0)
    result["mean_hours_30d"] = by_user.mean()
    skills = done.groupby(["user_id", "skill"]).hours.mean().unstack()
    for skill in SKILLS:
        result[f"skill_hours_{skill}"] = skills[skill]
    result["bug_rate"] = result.bugs_30d / result.tasks_30d.where(result.tasks_30d > 0)
    result["event_timestamp"] = AS_OF
    path = folder / "features.parquet"
    result.reset_index().to_parquet(path, compression="zstd", index=False)
    return _answer([str(path)])


def by_pandas_large(given: dict[str, Any], folder: Path) -> list[Any]:
    """Three times as much."""
    return by_pandas(given, folder, "large")


def by_polars(given: dict[str, Any], folder: Path) -> list[Any]:
    """One lazy query on the streaming engine."""
    import polars as pl

    from airflow_provider_mlpipe.artifacts import Artifact

    people = pl.scan_parquet(Artifact.open(given["medium"]["users"]).paths)
    seen = pl.scan_parquet(Artifact.open(given["medium"]["activity"]).paths).filter(
        pl.col("occurred_at") >= AS_OF - timedelta(days=30), pl.col("occurred_at") < AS_OF
    )
    done, week = pl.col("event_type") == "task_completed", pl.col("occurred_at") >= AS_OF - timedelta(days=7)
    hours = pl.col("hours")
    per_user = seen.group_by("user_id").agg(
        tasks_7d=(done & week).sum(),
        tasks_30d=done.sum(),
        bugs_30d=(pl.col("event_type") == "bug_reported").sum(),
        hours_7d=hours.filter(done & week).sum(),
        hours_30d=hours.filter(done).sum(),
        projects_7d=pl.col("project_id").filter(week).n_unique(),
        projects_30d=pl.col("project_id").n_unique(),
        mean_hours_30d=hours.filter(done).mean(),
        **{f"skill_hours_{skill}": hours.filter(done & (pl.col("skill") == skill)).mean() for skill in SKILLS},
    )
    counts = ["tasks_7d", "tasks_30d", "bugs_30d", "hours_7d", "hours_30d", "projects_7d", "projects_30d"]
    joined = people.join(per_user, on="user_id", how="left").with_columns(pl.col(counts).fill_null(0))
    tasks = pl.when(pl.col("tasks_30d") > 0).then(pl.col("tasks_30d"))
    path = folder / "features.parquet"
    joined.with_columns(bug_rate=pl.col("bugs_30d") / tasks, event_timestamp=pl.lit(AS_OF)).sort("user_id").collect(
        engine="streaming"
    ).write_parquet(path, compression="zstd")
    return _answer([str(path)])


def history(given: dict[str, Any], folder: Path) -> list[str]:
    """A month of days in one pass; the answer is the fingerprint of each."""
    from airflow_provider_mlpipe.feature_extraction import Moments, day_fingerprints

    days = Moments.between(AS_OF - timedelta(days=HISTORY_DAYS), AS_OF, "1d")
    found = _extracted(given["small"], folder, as_of=days).artifact
    return list(day_fingerprints(found).values())


def day_by_day(given: dict[str, Any], folder: Path) -> list[str]:
    """The same days, one after the other."""
    days = [AS_OF - timedelta(days=back) for back in range(HISTORY_DAYS, 0, -1)]
    return [_extracted(given["small"], folder, as_of=day).artifact.fingerprint for day in days]


CASES: dict[str, Callable[[dict[str, Any], Path], object]] = {
    case.__name__: case
    for case in (
        ours, ours_read, ours_limited, scan, by_pandas, by_pandas_large, by_polars, history, day_by_day,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(__file__, ROWS, CASES, setup))
