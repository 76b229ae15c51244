"""User features judged and computed by Spark, in the tasks' own processes.

    ingest_users ─▶ validate_users ─┐
                                    ├─▶ extract_features
    ingest_activity ────────────────┘

What is published is what DuckDB would publish, so that whatever follows need not know. Without a cluster::

    pip install 'airflow-provider-mlpipe[spark]'     # and a Java, 17 or 21
    mlpipe sample
    airflow dags test spark_features 2026-01-15

Spark is all cores of the worker unless ``[mlpipe] spark_master`` (``AIRFLOW__MLPIPE__SPARK_MASTER``) names one. To hand
the work to a cluster instead, see `spark_features_submitted`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import ExtractFeaturesOperator, SourceIngestOperator, ValidateOperator

with DAG(
    dag_id="spark_features",
    description="Tracker database -> rules -> user features, judged and computed by Spark in the task",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["mlpipe", "features", "spark"],
) as dag:
    users = SourceIngestOperator(task_id="ingest_users", source="user_data", config="ingestion_config.yaml")
    activity = SourceIngestOperator(task_id="ingest_activity", source="activity_data", config="ingestion_config.yaml")

    valid = ValidateOperator(
        task_id="validate_users",
        artifact=users.output,
        config="validation_config.yaml",
        dataset="user_data",
        engine="spark",
    )
    # Only what Spark is to compute says so: what is small is faster without it.
    ExtractFeaturesOperator(
        task_id="extract_features",
        feature_set="user_features",
        config="feature_config.yaml",
        inputs={"users": valid.output, "activity": activity.output},
        engine="spark",
    )
