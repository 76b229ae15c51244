"""Dags that use the operators in the ways that authors do. `test_operators` runs them and says what must come of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetAlias, TaskGroup, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.ingestion.watermark import AssetWatermark, advance
from airflow_provider_mlpipe.operators import (
    ExtractFeaturesOperator,
    FeastMaterializeOperator,
    MergeFeaturesOperator,
    SourceIngestOperator,
    ValidateOperator,
    artifact_of,
)

DAILY = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
EVERYTHING = {
    # No connection_string: the operator's conn_id says where.
    "people": {"type": "database", "table": "users", "incremental": {"cursor_column": "created_at", "window": "all"}},
    "today": {"type": "database", "table": "activity", "incremental": {"cursor_column": "occurred_at"}},
    "absent": {"type": "database", "table": "no_such_table"},
}
FEATURES = {"user_features": {"features": ["tasks_completed_7d", "current_workload_hours"]}}

with DAG("choices", **DAILY):
    # A mapping instead of a file, an Airflow connection, a dataset of its own, a moment of its own.
    people = SourceIngestOperator(
        task_id="people",
        source="people",
        config={"sources": EVERYTHING},
        conn_id="tracker",
        dataset="crew",
        as_of="{{ data_interval_end.subtract(days=7) }}",
        artifact_root="{{ var.value.root }}",
    )
    # What is configured here fails (nobody is above 30), and lets the run go on to the gate.
    judged = ValidateOperator(
        task_id="judged",
        artifact=people.output,
        config={"crew": {"range_constraints": {"age": [0, 30]}}},
        dataset="crew",
        fail_task=False,
    )
    today = SourceIngestOperator(task_id="today", source="today", config={"sources": EVERYTHING}, conn_id="tracker")
    features = ExtractFeaturesOperator(
        task_id="features",
        feature_set="user_features",
        config=FEATURES,
        inputs={"users": judged.output, "activity": today.output},
    )
    # The same in two mapped parts, merged elsewhere; and as of three days, in one run.
    computed = {
        "feature_set": "user_features",
        "config": FEATURES,
        "inputs": {"users": judged.output, "activity": today.output},
    }
    parts = ExtractFeaturesOperator.partial(task_id="parts", **computed).expand(
        chunk=[{"index": index, "of": 2} for index in range(2)]
    )
    MergeFeaturesOperator(
        task_id="merged",
        feature_set="user_features",
        config=FEATURES,
        chunks=parts.output,
        artifact_root="{{ var.value.root }}",
    )
    ExtractFeaturesOperator(
        task_id="history",
        as_of={
            "start": "{{ data_interval_end.subtract(days=2) }}",
            "end": "{{ data_interval_end.add(hours=1) }}",
            "every": "1d",
        },
        **computed,
    )
    FeastMaterializeOperator(task_id="gate", artifact=features.output)
    FeastMaterializeOperator(
        task_id="no_gate",
        artifact=features.output,
        store={"require_validation": False, "project": "{{ dag.dag_id }}"},
    )

with DAG("outcomes", **DAILY):
    # Two artifacts in one task: rows of one are taken out, what is passed on of both goes online.
    crew = SourceIngestOperator(task_id="people", source="people", config={"sources": EVERYTHING}, conn_id="tracker")
    events = SourceIngestOperator(task_id="today", source="today", config={"sources": EVERYTHING}, conn_id="tracker")
    checked = ValidateOperator(
        task_id="checked",
        artifact={"people": crew.output, "activity": events.output},
        config={
            "people": {
                "on_failure": "quarantine",
                "max_quarantine_share": 0.95,
                "sensitive": ["email"],
                "unique_columns": ["email"],
                "range_constraints": {"age": [0, 30]},
            },
            "events_of_today": {"freshness": {"timestamp_column": "occurred_at", "max_age_hours": 24}},
        },
        dataset={"activity": "events_of_today"},
        as_of="{{ data_interval_end }}",
        fail_task="{{ 1 == 1 }}",
    )
    of_the_clean = ExtractFeaturesOperator(
        task_id="features",
        feature_set="user_features",
        config=FEATURES,
        inputs={"users": checked.output["people"], "activity": checked.output["activity"]},
    )
    FeastMaterializeOperator(task_id="gate", artifact=of_the_clean.output, store={"project": "outcomes"})
    # A file that no task wrote, and rules that most of it breaks: nothing is taken out, the task fails.
    ValidateOperator(
        task_id="theirs",
        artifact="{{ var.value.theirs }}",
        config={"theirs": {"on_failure": "quarantine", "range_constraints": {"age": [0, 30]}, "sensitive": ["email"]}},
        dataset="theirs",
    )

with DAG("mapped", **DAILY):
    raw = SourceIngestOperator.partial(task_id="ingest", config={"sources": EVERYTHING}, conn_id="tracker").expand(
        source=["people", "today"]
    )
    ValidateOperator.partial(
        task_id="validate", config={"any": {"required_columns": ["user_id"]}}, dataset="any"
    ).expand(artifact=raw.output)

with DAG("partitions", default_args={"artifact_root": "{{ var.value.root }}/partitions"}, **DAILY):
    # One query in three parts by mapped tasks, which what follows takes as one artifact.
    everybody = SourceIngestOperator.partial(
        task_id="people",
        source="share",
        config={"sources": {"share": {"type": "database", "query": "SELECT * FROM users WHERE rowid % :of = :index"}}},
        conn_id="tracker",
        dataset="people",
    ).expand(parameters=[{"index": index, "of": 3} for index in range(3)])
    of_today = SourceIngestOperator(task_id="today", source="today", config={"sources": EVERYTHING}, conn_id="tracker")
    all_of_them = ValidateOperator(
        task_id="checked",
        artifact=everybody.output,
        config={"people": {"unique_columns": ["user_id"], "required_columns": ["user_id"]}},
        dataset="people",
    )
    ExtractFeaturesOperator(
        task_id="features",
        feature_set="user_features",
        config=FEATURES,
        inputs={"users": everybody.output, "activity": of_today.output},
    ).set_upstream(all_of_them)
    SourceIngestOperator(
        task_id="no_query", source="people", config={"sources": EVERYTHING}, conn_id="tracker", parameters={"a": 1}
    )

# A bare cron string: since Airflow 3 its intervals have no length.
with DAG("no_length", schedule="0 2 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    SourceIngestOperator(task_id="people", source="people", config={"sources": EVERYTHING}, conn_id="tracker")
    SourceIngestOperator(task_id="today", source="today", config={"sources": EVERYTHING}, conn_id="tracker", retries=2)

EVENTS = Asset("events_of_the_tracker")
SINCE = {
    "type": "database",
    "table": "activity",
    "incremental": {"cursor_column": "occurred_at", "window": "watermark"},
}

with DAG("since", schedule="0 2 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):

    @task(outlets=[EVENTS])
    def production(**context: Any) -> str:
        """Move the watermark, as a scheduled run would."""
        state = context["asset_state_store"][EVENTS]
        advance(AssetWatermark(state, "mlpipe_watermark/since"), datetime(2026, 1, 14, tzinfo=UTC))
        return str(state.get("mlpipe_watermark/since"))

    @task(outlets=[EVENTS])
    def after(**context: Any) -> str:
        return str(context["asset_state_store"][EVENTS].get("mlpipe_watermark/since"))

    reads = SourceIngestOperator(
        task_id="since", source="since", config={"sources": {"since": SINCE}}, conn_id="tracker", outlets=[EVENTS]
    )
    production() >> reads >> after()

CROWD = AssetAlias("crowd")
PEOPLE, CHECKED, BLOCKED, BOTH, TODAY = (Asset(name) for name in ("people", "checked", "blocked", "both", "today"))

with DAG("publishes", default_args={"artifact_root": "{{ var.value.root }}/assets"}, **DAILY):
    with TaskGroup("in_a_group"):
        crowd = SourceIngestOperator(
            task_id="people",
            source="people",
            config={"sources": EVERYTHING},
            conn_id="tracker",
            outlets=[PEOPLE, CROWD],
        )
        day = SourceIngestOperator(task_id="today", source="today", config={"sources": EVERYTHING}, conn_id="tracker")
    ValidateOperator(
        task_id="checked",
        artifact=crowd.output,
        config={
            "people": {
                "required_columns": ["user_id"],
                "range_constraints": {"age": {"min": 0, "max": 30, "severity": "WARNING"}},
            }
        },
        outlets=[CHECKED],
    )
    ValidateOperator(
        task_id="several",
        artifact={"people": crowd.output, "today": day.output},
        config={"people": {"required_columns": ["user_id"]}, "today": {"required_columns": ["user_id"]}},
        outlets=[BOTH, TODAY],
    )
    ValidateOperator(
        task_id="blocked",
        artifact=day.output,
        config={"today": {"required_columns": ["no_such_column"]}},
        outlets=[BLOCKED],
    )

with DAG("takes_up", schedule=[CHECKED], start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    every = [PEOPLE, CROWD, CHECKED, BLOCKED, BOTH, TODAY]

    @task(inlets=every)
    def events(**context: Any) -> dict[str, list[Any]]:
        return {asset.name: [event.extra for event in context["inlet_events"][asset]] for asset in every}

    events()
    again = {"config": {"any": {"required_columns": ["user_id"]}}, "dataset": "any"}
    ValidateOperator(task_id="newest", artifact=artifact_of(CHECKED), inlets=[CHECKED], **again)
    ValidateOperator(task_id="by_alias", artifact=artifact_of(CROWD), inlets=[CROWD], **again)
    ValidateOperator(
        task_id="by_name", artifact={"mine": artifact_of(BOTH, name="people")}, inlets=[BOTH],
        config={"mine": {"required_columns": ["user_id"]}},
    )  # fmt: skip
    ValidateOperator(task_id="nothing", artifact=artifact_of(BLOCKED), inlets=[BLOCKED], retries=2, **again)

with DAG("failures", default_args={"retries": 2}, **DAILY):
    SourceIngestOperator(
        task_id="refused", source="people", config={"sources": EVERYTHING}, conn_id="server_that_is_down"
    )
    SourceIngestOperator(task_id="no_table", source="absent", config={"sources": EVERYTHING}, conn_id="tracker")
    SourceIngestOperator(task_id="no_source", source="poeple", config={"sources": EVERYTHING})
    SourceIngestOperator(task_id="no_config", source="people", config="absent.yaml")
    SourceIngestOperator(task_id="no_connection", source="people", config={"sources": EVERYTHING}, conn_id="absent")
    ValidateOperator(task_id="no_artifact", artifact="/absent", config={"d": {}}, dataset="d")
