r"""The day's export files from a bucket: MinIO, or whatever speaks S3, by an Airflow connection.

    s3://lake/exports/2026/01/13/*.csv.gz ─▶ ingest_files ─▶ validate_files ─▶ asset mlpipe_activity

Which files a run reads is told by its data interval, not by the clock: a backfill of January reads January's folders,
and a repeated run reads what it read. Other Dags hang on the asset, whose events say where the artifact is, how many
rows it has and what the rules said. Try it::

    airflow connections add minio_default --conn-type aws --conn-login minioadmin --conn-password minioadmin \
        --conn-extra '{"endpoint_url": "http://localhost:9000", "region_name": "us-east-1"}'
    mlpipe sample
    mc alias set here http://localhost:9000 minioadmin minioadmin && mc mb here/lake
    mc cp .demo/sample/events.csv.gz here/lake/exports/2026/01/13/
    airflow dags test minio_ingest 2026-01-15

``MLPIPE_EXPORTS`` names another place than ``s3://lake/exports``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator

# By its name alone: for a URI with a scheme Airflow loads the handlers of all providers when it parses this file.
ACTIVITY = Asset(name="mlpipe_activity")

with DAG(
    dag_id="minio_ingest",
    description="Export files of the day in a bucket -> validated artifact -> asset",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True},
    tags=["mlpipe", "s3"],
) as dag:
    # conn_id stands in the file, with the path. Rows that do not fit go to the quarantine; more than one in a hundred,
    # and nothing is published.
    files = SourceIngestOperator(
        task_id="ingest_files",
        source="activity_files",
        config="ingestion_config.yaml",
    )

    ValidateOperator(
        task_id="validate_files",
        artifact=files.output,
        config="validation_config.yaml",
        dataset="activity_data",
        # An event of the asset is sent only by a task that succeeded: never for data that was refused.
        outlets=[ACTIVITY],
    )
