"""Functions as a user writes them, for `test_custom`."""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction import feature

SEEN = []
"""What `watching` was told, newest last."""


@feature(
    entity="user_id", inputs={"activity": ["hours"]}, window="30d", features=["big_tasks", "mean_hours"],
    description="Tasks of more than an hour.", unit="tasks",
)  # fmt: skip
def big(tables, context):
    activity = tables["activity"]
    return activity.group_by(context.entity).aggregate(
        big_tasks=(activity.hours > 1).sum(), mean_hours=activity.hours.mean()
    )


@feature(entity="user_id", inputs=["activity", "users"], window="30d", pandas=True)
def latest_age(tables, context):
    """Days since the latest event, by pandas."""
    SEEN.append((context, tables))
    activity = tables["activity"]
    latest = activity.groupby("user_id")["occurred_at"].max()
    return ((context.as_of.replace(tzinfo=None) - latest).dt.days).rename("latest_age").reset_index()


@feature(entity="user_id", inputs=["activity"], window="30d")
def broken(tables, context):
    return tables["activity"].no_such_column


@feature(entity="user_id", inputs=["activity"], window="30d")
def not_a_table(tables, context):
    return 7


@feature(entity="user_id", inputs=["activity"], window="30d")
def not_named(tables, context):
    return tables["activity"].select("user_id", other="hours")


@feature(entity="user_id", inputs=["activity"], window="30d")
def not_unique(tables, context):
    return tables["activity"].select("user_id", not_unique="hours")


@feature(entity="user_id", inputs=["activity"], window="30d")
def not_numbers(tables, context):
    return tables["activity"].select("user_id", not_numbers="skill").distinct()


@feature(entity="project_id", inputs=["tasks"], window="30d")
def of_projects(tables, context):
    return tables["tasks"]


@feature(entity="user_id", inputs=["invoices"], window="30d")
def of_invoices(tables, context):
    return tables["invoices"]


def unmarked(tables, context):
    return tables
