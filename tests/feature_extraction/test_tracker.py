"""The real project histories: catalog features against an independent computation in pandas."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.feature_extraction import extract
from tests.feature_extraction.material import configured, day, published
from tests.realdata import TRACKER, needs_tracker

MOMENTS = ["2024-02-29T12:00:00+00:00", "2024-03-31T01:30:00+00:00", "2026-01-14T02:00:00+00:00"]
FLOATS = [
    "skill_score_backend", "skill_score_frontend", "skill_score_database", "skill_score_devops",
    "current_workload_hours", "avg_completion_hours", "bug_rate",
]  # fmt: skip
COUNTS = ["tasks_completed_7d", "active_days"]

pytestmark = needs_tracker


@pytest.fixture(scope="module")
def tracker():
    return pacsv.read_csv(TRACKER / "users.csv"), pq.read_table(TRACKER / "activity.parquet")


def by_pandas(users, events, as_of, days):
    """The catalog's formulas, written for pandas and without a look at the package's."""
    seen = events[(events.occurred_at >= as_of - timedelta(days=days)) & (events.occurred_at < as_of)]
    result = pd.DataFrame(index=pd.Index(sorted(users), name="user_id"))
    completed, bugs = (seen[seen.event_type == kind] for kind in ("task_completed", "bug_reported"))
    for skill in ("backend", "frontend", "database", "devops"):
        n = completed[completed.area == skill].groupby("user_id").size().reindex(result.index).fillna(0)
        b = bugs[bugs.area == skill].groupby("user_id").size().reindex(result.index).fillna(0)
        result[f"skill_score_{skill}"] = (n / (n + 5) * (n / (n + b))).fillna(0)
    result["current_workload_hours"] = completed.groupby("user_id").amount.sum().reindex(result.index).fillna(0)
    result["avg_completion_hours"] = completed.groupby("user_id").amount.mean().reindex(result.index)
    tasks = completed.groupby("user_id").size().reindex(result.index)
    result["bug_rate"] = bugs.groupby("user_id").size().reindex(result.index).fillna(0) / tasks
    week = completed[completed.occurred_at >= as_of - timedelta(days=7)]
    result["tasks_completed_7d"] = week.groupby("user_id").size().reindex(result.index).fillna(0)
    dates = seen.assign(date=seen.occurred_at.dt.date).groupby("user_id").date.nunique()
    result["active_days"] = dates.reindex(result.index).fillna(0)
    return result


@pytest.mark.parametrize("moment", MOMENTS)
def test_catalog_on_real_data(root, tracker, moment):
    as_of = datetime.fromisoformat(moment)
    users, activity = tracker
    inputs = {"users": published(root, "users", users), "activity": published(root, "activity", activity)}
    features = configured(aggregation_window="90d", columns={"activity": {"skill": "area", "hours": "amount"}})
    found = extract(features, inputs, root=root, run=day(as_of), as_of=as_of)
    frame = found.artifact.table().to_pandas().set_index("user_id")
    expected = by_pandas(users.column("user_id").to_pylist(), activity.to_pandas(), as_of, 90)
    assert frame.index.tolist() == expected.index.tolist()
    assert len(frame) == 961
    assert expected["current_workload_hours"].gt(0).sum() > 5  # there is something to compare
    for name in COUNTS:
        assert frame[name].tolist() == expected[name].tolist(), name
    for name in FLOATS:
        np.testing.assert_allclose(frame[name], expected[name], rtol=1e-12, atol=0, equal_nan=True, err_msg=name)
    assert found.metrics["events_read"] == activity.num_rows
    assert found.metrics["events_unknown_entity"] == found.metrics["events_null_key"] == 0
    assert found.metrics["missing_values"] == expected[["avg_completion_hours", "bug_rate"]].isna().sum().sum()
