"""User features computed by a job on a Spark cluster, which spark-submit hands over.

    ingest_users ────┐
                     ├─▶ submit_features ─▶ validate_features
    ingest_activity ─┘

The job publishes the artifact that `spark_features` publishes. Without a cluster::

    pip install 'airflow-provider-mlpipe[spark]'     # and a Java, 17 or 21
    pip install --no-deps apache-airflow-providers-apache-spark
    mlpipe sample
    airflow connections add spark_default --conn-type spark --conn-host 'local[*]'
    airflow dags test spark_features_submitted 2026-01-15

Which Spark is what the connection says: ``yarn``, ``spark://host:7077``, ``k8s://...``, with ``deploy-mode`` and the
like in its extra. ``--no-deps`` because the provider asks for pyspark-client, which overwrites files of pyspark;
SparkSubmitOperator needs neither, only ``spark-submit`` on the worker's PATH. Without the provider there is no Dag in
this file.

On Databricks and EMR their own operators run the same file with the same arguments.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

import airflow_provider_mlpipe
from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator

try:
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
except ImportError:
    SparkSubmitOperator = None

CONFIG = Path(__file__).resolve().parents[1] / "config" / "feature_config.yaml"
JOB = Path(airflow_provider_mlpipe.__file__).parent / "feature_extraction" / "__main__.py"

# Where the job publishes: beside its inputs, in the folder of the run's interval.
FEATURES = (
    "{{ ti.xcom_pull('ingest_users').rsplit('/', 3)[0] }}/user_features/features/"
    "{{ data_interval_start | ts_nodash }}Z-{{ data_interval_end | ts_nodash }}Z"
)
RULES = {
    "user_features": {
        "required_columns": ["user_id", "event_timestamp"],
        "unique_columns": ["user_id"],
        "range_constraints": {"tasks_completed_7d": {"min": 0}},
    },
}

if SparkSubmitOperator:
    with DAG(
        dag_id="spark_features_submitted",
        description="Tracker database -> user features, computed by a job on a Spark cluster -> rules",
        doc_md=__doc__,
        schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
        tags=["mlpipe", "features", "spark"],
    ) as dag:
        users = SourceIngestOperator(task_id="ingest_users", source="user_data", config="ingestion_config.yaml")
        activity = SourceIngestOperator(
            task_id="ingest_activity", source="activity_data", config="ingestion_config.yaml"
        )
        submit = SparkSubmitOperator(
            task_id="submit_features",
            conn_id="spark_default",
            name="user_features",
            application=str(JOB),
            application_args=[
                *("--engine", "spark", "--config", str(CONFIG), "--set", "user_features"),
                *("--inputs", f"users={users.output}", "--inputs", f"activity={activity.output}"),
                *("--interval-start", "{{ data_interval_start.isoformat() }}"),
                *("--as-of", "{{ data_interval_end.isoformat() }}"),
                *("--dag-id", "{{ dag.dag_id }}", "--task-id", "{{ task.task_id }}", "--run-id", "{{ run_id }}"),
                *("--try-number", "{{ ti.try_number }}"),
            ],
        )
        judge = ValidateOperator(task_id="validate_features", artifact=FEATURES, config=RULES, dataset="user_features")
        [users, activity] >> submit >> judge
