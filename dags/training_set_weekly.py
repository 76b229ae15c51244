"""Once a week a training set: what became of the week's tasks, with what was known of each assignee at the start.

    ingest_outcomes ─▶ validate_outcomes ─▶ training_set

The features are those that `user_feature_pipeline` has put into the feature store day by day; let it run for some days
first. Try both without a scheduler::

    mlpipe sample
    for day in 12 13 14 15 16 17; do airflow dags test user_feature_pipeline 2026-01-$day; done
    airflow dags test training_set_weekly 2026-01-18

A label is a task that was completed in the week. Its time is not when it was completed but when it was given out:
that is the moment at which a model would be asked whether it will be late, and all that it could know then. Features
from after it, such as the very task among those completed, would teach the model to look into the future.

The training set lies in ``late_tasks/training/<week>`` below ``[mlpipe] artifact_root``, and in it ``_pit_proof.json``:
how many labels found features, which files they came from, and that none was later than its label. Read it with
``pandas.read_parquet`` or ``mlpipe artifact URI --rows 5``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import FeastTrainingSetOperator, SourceIngestOperator, ValidateOperator

with DAG(
    dag_id="training_set_weekly",
    description="Tracker database -> outcomes of tasks + features as they were known -> training set",
    doc_md=__doc__,
    # Saturdays at 03:00, when the features of 02:00 are there; each run covers the seven days before.
    schedule=CronDataIntervalTimetable("0 3 * * 6", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    # Past weeks are filled in by `airflow backfill create`. Each sees only features up to its own end, so it finds
    # what the run of that week would have found.
    catchup=False,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
    },
    tags=["mlpipe", "training"],
) as dag:
    outcomes = SourceIngestOperator(
        task_id="ingest_outcomes",
        source="task_outcomes",
        config="ingestion_config.yaml",
    )

    # Wrong labels teach wrong things: labels that failed are refused by the next task, too.
    valid_outcomes = ValidateOperator(
        task_id="validate_outcomes",
        artifact=outcomes.output,
        config="validation_config.yaml",
        dataset="task_outcomes",
    )

    # Every task keeps its row; one whose assignee had no features yet gets nulls.
    FeastTrainingSetOperator(
        task_id="training_set",
        labels=valid_outcomes.output,
        # Or one by one: ["user_profile_features:skill_score_backend", ...]
        features="user_profile_features_service",
        config="feature_config.yaml",
        dataset="late_tasks",
        event_timestamp="created_at",
    )
