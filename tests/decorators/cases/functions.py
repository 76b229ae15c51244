"""Dags of decorated functions and of pipelines. `test_runs` runs them and says what must come of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task, task_group
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.decorators import mlpipe_validate
from airflow_provider_mlpipe.operators import FeastMaterializeOperator, pipeline

DAILY: dict[str, Any] = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
USERS = {
    "required_columns": ["user_id"],
    "types": {"age": "int", "created_at": "timestamp"},
    "deduplicate": {"keys": ["user_id"], "order_by": ["created_at"]},
}


@task.mlpipe_ingest(source="crew", config=USERS)
def people(who: str, data_interval_end: Any = None):
    """Three users; one comes twice, one has an age that is none."""
    born = data_interval_end - timedelta(days=10)
    yield {"user_id": who, "age": "41", "created_at": born}
    yield [
        {"user_id": "ben", "age": 30, "created_at": born},
        {"user_id": "ben", "age": 31, "created_at": born + timedelta(days=1)},
        {"user_id": "cleo", "age": "old", "created_at": born},
    ]


@task.mlpipe_ingest
def activity(data_interval_end: Any = None):
    """A table, with a schema of its own."""
    import pyarrow as pa

    times = pa.array([data_interval_end - timedelta(hours=hours) for hours in (1, 2, 30)], pa.timestamp("us", "UTC"))
    more = {"task_id": ["t1", "t2", "t3"], "skill": ["backend"] * 3, "hours": [1.0, 2.0, 3.0]}
    return pa.table(
        {"user_id": ["ann", "ben", "ann"], "event_type": ["task_completed"] * 3, "occurred_at": times, **more}
    )


@mlpipe_validate  # the same, imported
def check(crew: Any, most: int = 40) -> dict[str, Any]:
    """Rules that go by what is in the artifact."""
    assert crew.schema.names[0] == "user_id"
    return {"unique_columns": ["user_id"], "range_constraints": {"age": {"max": most, "severity": "WARNING"}}}


@task.mlpipe_validate(dataset="events")
def check_activity(events: Any, crew: Any):
    assert crew.manifest.rows == 2
    return {"references": {"user_id": {"dataset": "crew", "column": "user_id"}}}


@task.mlpipe_features(config={"entity": "user_id", "feast": {"tags": {"team": "growth"}}})
def crew_features(users: Any, activity: Any, window: str = "7d"):
    return {"features": [f"tasks_completed_{window}"], "aggregation_window": window}


@task.mlpipe_features(config={"entity": "user_id", "feast": {"view": "scores"}})
def scores(users: Any):
    """What a model would say of each."""
    frame = users.table().to_pandas()[["user_id", "age"]]
    frame["score"] = frame.pop("age") / 100
    return frame


with DAG("functions", **DAILY):
    raw = people("{{ 'ann' if ds else '' }}")
    checked = check(raw)
    events = check_activity(activity(), checked)
    declared = crew_features(users=checked, activity=events)
    FeastMaterializeOperator(task_id="online", artifact=declared, config={})
    computed = scores(checked)
    FeastMaterializeOperator(task_id="scores_online", artifact=computed, config={})


@task.mlpipe_ingest(config={"required_columns": ["user_id"]})
def table_of(table: str, limit: int):
    """A source, which is then read."""
    return {
        "type": "database",
        "connection_string": "${MLPIPE_SAMPLE_DB}",
        "query": f"SELECT * FROM {table} ORDER BY user_id LIMIT :most",
        "parameters": {"most": limit},
    }


@task.mlpipe_validate
def check_any(anything: Any, most: int = 0):
    return {"required_columns": ["user_id"], "row_count": {"max": most}}


with DAG("mapped_functions", **DAILY):
    tables = table_of.override(task_id="tables").partial(limit=3).expand(table=["users", "activity"])
    check_any.override(task_id="each").partial(most=3).expand(anything=tables)
    # What mapped tasks published is one artifact for who takes it as it is.
    parts = table_of.override(task_id="parts", source="parts").partial(table="users").expand(limit=[2, 3])
    check_any.override(task_id="together")(parts, most=5)


@task.mlpipe_ingest
def nothing():
    pass


@task.mlpipe_ingest
def a_path():
    return "users.csv"


@task.mlpipe_ingest
def one_row():
    return {"user_id": "ann"}


@task.mlpipe_ingest(config={"type": "database", "table": "users", "connection_string": "sqlite://"})
def rows_for_a_database():
    yield {"user_id": "ann"}


@task.mlpipe_ingest(retries=1)
def broken():
    yield {"user_id": "ann"}
    raise LookupError("page 2 is gone")


@task.mlpipe_validate
def no_rules(crew: Any):
    return ["user_id"]


@task.mlpipe_features
def user_numbers(users: Any):
    return 3


@task.mlpipe_features(config={"entity": "user_id"})
def twice(users: Any):
    import pyarrow as pa

    return pa.table({"user_id": ["ann", "ben", "ann"], "score": [1, 2, 3]})


@task.mlpipe_features(config={"entity": "user_id"})
def user_stamped(users: Any):
    import pyarrow as pa

    return pa.table({"user_id": ["ann"], "event_timestamp": [1], "score": [1]})


@task.mlpipe_features(config={"aggregation_window": "7d"})
def user_windowed(users: Any):
    import pyarrow as pa

    return pa.table({"user_id": ["ann"], "score": [1]})


@task.mlpipe_ingest
def wrong_source():
    return {"type": "database", "connection_string": "sqlite://", "tabel": "users"}


@task.mlpipe_ingest(config={"required_column": ["user_id"]})
def wrong_options():
    yield {"user_id": "ann"}


@task.mlpipe_validate
def wrong_rules(crew: Any):
    return {"range_constraints": {"age": {"most": 40}}}


@task.mlpipe_validate
def broken_rules(crew: Any):
    return {"range_constraints": {"age": {"max": 40}}}


@task.mlpipe_features
def wrong_features(users: Any):
    return {"entity": "user_id", "features": ["tasks_completd_7d"]}


with DAG("refused_functions", **DAILY):
    nothing()
    a_path()
    one_row()
    rows_for_a_database()
    broken()
    given = people("ann")
    no_rules(given)
    check.override(task_id="no_artifact")(3)
    user_numbers(given)
    twice(given)
    user_stamped(given)
    user_windowed(given)
    wrong_source()
    wrong_options()
    wrong_rules(given)
    broken_rules(given)
    wrong_features(given)


BY_TEAM = {
    "sources": {
        "members": {
            "type": "database",
            "connection_string": "${MLPIPE_SAMPLE_DB}",
            "query": "SELECT * FROM users WHERE team_id = :team",
            "parameters": {"team": ""},
        },
        "work": {
            "type": "database",
            "connection_string": "${MLPIPE_SAMPLE_DB}",
            "table": "activity",
            "incremental": {"cursor_column": "occurred_at", "window": "31d"},
        },
    }
}
RULES = {"members": {"required_columns": ["user_id"]}, "work": {"required_columns": ["user_id"]}}
SETS = {
    "user_features": {"features": ["tasks_completed_7d"]},
    "user_loads": {"entity": "user_id", "features": ["current_workload_hours"], "spine": "users"},
}

with DAG("pipelines", **DAILY):
    first = pipeline("user_features", {"users": "user_data", "activity": "activity_data"}, retries=1)

    @task_group
    def more():
        """In a group of another, from what the first has."""
        pipeline(
            "user_loads",
            first.inputs,
            features={"user_loads": {"entity": "user_id", "features": ["current_workload_hours"]}},
        )

    first >> more()

with DAG("mapped_pipelines", **DAILY):

    @task_group
    def of_team(team: str):
        pipeline(
            "user_features",
            {
                "users": {"source": "members", "parameters": {"team": team}},
                "activity": {"source": "work", "dataset": "work"},
            },
            ingestion=BY_TEAM,
            validation=RULES,
            features=SETS,
            online=False,
        )

    of_team.expand(team=["atlas-backend", "cobalt-devops"])
