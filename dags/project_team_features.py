"""Features of projects and of teams, read project by project: dynamic task mapping over what the data says.

    projects ─▶ projects_of ─▶ ingest_activity[p] ─▶ validate_activity ─┐
    teams, tasks, users ────────────────────────────────────────────────┴─▶ extract[set] ─▶ materialize[set]

How many projects there are is found out by each run. Each is read by a mapped task of its own: in parallel, retried
alone, with an artifact of its own. What follows takes all of them as one. Both feature sets are then computed and
served by mapped tasks, too. Try it::

    mlpipe sample
    airflow dags test project_team_features 2026-01-15
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import (
    ExtractFeaturesOperator,
    FeastMaterializeOperator,
    SourceIngestOperator,
    ValidateOperator,
)

WHOLE = {
    "projects": ("project_data", "project_data"),
    "teams": ("team_data", "team_data"),
    "tasks": ("project_tasks", "task_data"),
    "users": ("user_data", "user_data"),
}
"""What is read as a whole: by role, the source and the rules."""


@task
def projects_of(uri: str) -> list[dict[str, str]]:
    """Return the parameters of each mapped task. Stages are imported where they are used, not by the parser."""
    from airflow_provider_mlpipe.artifacts import Artifact

    return [{"project": name} for name in sorted(Artifact.open(uri).table(["project_id"])["project_id"].to_pylist())]


with DAG(
    dag_id="project_team_features",
    description="Tracker database, project by project -> project and team features -> Feast",
    doc_md=__doc__,
    # Days with a beginning and an end; see user_feature_pipeline.
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": True},
    tags=["mlpipe", "features", "mapping"],
) as dag:
    valid: dict[str, Any] = {}
    for role, (source, rules) in WHOLE.items():
        raw = SourceIngestOperator(task_id=f"ingest_{role}", source=source, config="ingestion_config.yaml")
        valid[role] = ValidateOperator(
            task_id=f"validate_{role}",
            artifact=raw.output,
            config="validation_config.yaml",
            dataset=rules,
        ).output

    # One mapped task per project; the query's :project is bound by the database.
    activity = SourceIngestOperator.partial(
        task_id="ingest_activity",
        source="project_activity",
        config="ingestion_config.yaml",
        max_active_tis_per_dagrun=4,  # what the database may be asked at a time
    ).expand(parameters=projects_of(valid["projects"]))

    # The output of mapped tasks counts as one artifact. It is judged as such: that an event comes once holds of all
    # projects together, or not at all, and the feature store asks for a verdict on exactly what the features saw.
    valid_activity = ValidateOperator(
        task_id="validate_activity",
        artifact=activity.output,
        config="validation_config.yaml",
        dataset="activity_data",
    )

    features = ExtractFeaturesOperator.partial(
        task_id="extract",
        config="feature_config.yaml",
        inputs={**valid, "activity": valid_activity.output},
    ).expand(feature_set=["project_features", "team_features"])

    FeastMaterializeOperator.partial(
        task_id="materialize",
        config="feature_config.yaml",
    ).expand(artifact=features.output)
