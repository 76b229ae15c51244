"""From a project tracker's database to user features that Feast serves, once a day.

    ingest_users ─▶ validate_users ──────┐
                                         ├─▶ extract_features ─▶ materialize
    ingest_activity ─▶ validate_activity ┘

Try it without a scheduler::

    mlpipe sample                                            # a small database to run on
    airflow dags test user_feature_pipeline 2026-01-15

What is read, what must hold, and which features are computed stands in three YAML files. They are looked for beside
this file, then in ``[mlpipe] config_folder``: ``../config`` seen from here unless set, for example by
``AIRFLOW__MLPIPE__CONFIG_FOLDER=/opt/airflow/config``. Where the data goes is ``[mlpipe] artifact_root``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import (
    ExtractFeaturesOperator,
    FeastMaterializeOperator,
    SourceIngestOperator,
    ValidateOperator,
)

with DAG(
    dag_id="user_feature_pipeline",
    description="Tracker database -> validated artifacts -> user features -> Feast",
    doc_md=__doc__,
    # The run of 02:00 covers the day up to 02:00, and its features are as of that moment. A bare "0 2 * * *" would
    # not do: since Airflow 3 it makes intervals without length.
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    # Days that were missed are filled in by `airflow backfill create`, on purpose: each is computed as of its own day.
    catchup=False,
    # Days go online one after the other, so that an older one cannot overtake.
    max_active_runs=1,
    default_args={
        # For a database that is restarting or a store that is locked. Rejected data and wrong configuration fail at
        # once, whatever stands here.
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
    },
    tags=["mlpipe", "features"],
) as dag:
    # Each task returns the URI of what it published. `.output` hands it on, and is also what orders the tasks.
    # To read by an Airflow connection instead of the file's connection_string, add conn_id: "tracker" or so.
    users = SourceIngestOperator(
        task_id="ingest_users",
        source="user_data",
        config="ingestion_config.yaml",
    )
    activity = SourceIngestOperator(
        task_id="ingest_activity",
        source="activity_data",
        config="ingestion_config.yaml",
    )

    # A failed rule of severity ERROR stops the run here; the report lies beside the data.
    valid_users = ValidateOperator(
        task_id="validate_users",
        artifact=users.output,
        config="validation_config.yaml",
        dataset="user_data",
    )
    valid_activity = ValidateOperator(
        task_id="validate_activity",
        artifact=activity.output,
        config="validation_config.yaml",
        dataset="activity_data",
    )

    features = ExtractFeaturesOperator(
        task_id="extract_features",
        feature_set="user_features",
        config="feature_config.yaml",
        inputs={"users": valid_users.output, "activity": valid_activity.output},
    )

    # Goes online only what was computed from exactly the rows that passed.
    FeastMaterializeOperator(
        task_id="materialize",
        artifact=features.output,
        config="feature_config.yaml",
    )
