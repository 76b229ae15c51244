"""User features computed by Spark: in the task's own process, or handed to a cluster by spark-submit.

    ingest_users ────▶ validate_users ─┐
                                       ├─▶ extract_features            spark_features
    ingest_activity ───────────────────┘

    ingest_users ────┐
                     ├─▶ submit_features             spark_features_submitted
    ingest_activity ─┘

Both publish the artifact that DuckDB would publish, so that whatever follows need not know. Try it without a cluster::

    pip install 'airflow-provider-mlpipe[spark]'     # and a Java 17
    mlpipe sample
    airflow dags test spark_features 2026-01-15

The Spark is all cores of the worker unless ``[mlpipe] spark_master`` (``AIRFLOW__MLPIPE__SPARK_MASTER``) names one; the
second Dag takes ``MLPIPE_SPARK_MASTER``. On Databricks, EMR and Kubernetes their own operators run the same file with
the same arguments; so does SparkSubmitOperator, on workers without pyspark: its provider brings another package of that
name.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

import airflow_provider_mlpipe
from airflow_provider_mlpipe.operators import ExtractFeaturesOperator, SourceIngestOperator, ValidateOperator

CONFIG = Path(__file__).resolve().parents[1] / "config" / "feature_config.yaml"
JOB = Path(airflow_provider_mlpipe.__file__).parent / "feature_extraction" / "__main__.py"


def ingestion() -> tuple[SourceIngestOperator, SourceIngestOperator]:
    """Return the tasks that bring in users and activity."""
    users, activity = (
        SourceIngestOperator(task_id=f"ingest_{role}", source=source, config="ingestion_config.yaml")
        for role, source in (("users", "user_data"), ("activity", "activity_data"))
    )
    return users, activity


with DAG(
    dag_id="spark_features",
    description="Tracker database -> rules -> user features, judged and computed by Spark in the task",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["mlpipe", "features", "spark"],
) as in_process:
    users, activity = ingestion()
    valid = ValidateOperator(
        task_id="validate_users",
        artifact=users.output,
        config="validation_config.yaml",
        dataset="user_data",
        runner="spark",
    )
    ExtractFeaturesOperator(
        task_id="extract_features",
        feature_set="user_features",
        config="feature_config.yaml",
        inputs={"users": valid.output, "activity": activity.output},
        engine="spark",
    )

with DAG(
    dag_id="spark_features_submitted",
    description="Tracker database -> user features, computed by a job on a Spark cluster",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["mlpipe", "features", "spark"],
) as submitted:
    users, activity = ingestion()
    submit = BashOperator(
        task_id="submit_features",
        # The task returns the artifact's URI, like ExtractFeaturesOperator.
        bash_command=f"""
            spark-submit --master "${{MLPIPE_SPARK_MASTER:-local[*]}}" "{JOB}" \
              --engine spark --config "{CONFIG}" --set user_features \
              --inputs "users={{{{ ti.xcom_pull('ingest_users') }}}}" \
              --inputs "activity={{{{ ti.xcom_pull('ingest_activity') }}}}" \
              --interval-start "{{{{ data_interval_start.isoformat() }}}}" \
              --as-of "{{{{ data_interval_end.isoformat() }}}}" \
              --dag-id "{{{{ dag.dag_id }}}}" --task-id "{{{{ task.task_id }}}}" --run-id "{{{{ run_id }}}}" \
              --try-number "{{{{ ti.try_number }}}}" --result result.json \
            && cat result.json
        """,
        output_processor=lambda line: json.loads(line)["artifact"],
        # Of this environment, where both Spark and this package are.
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}", "PYSPARK_PYTHON": sys.executable},
        append_env=True,
    )
    [users, activity] >> submit
