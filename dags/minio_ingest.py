r"""The day's export files from a bucket, by an Airflow connection, and a Dag that follows whenever there are any.

    minio_ingest       s3://lake/exports/2026/01/13/*.csv.gz ─▶ ingest_files ─▶ validate_files ─▶ asset mlpipe_activity
    minio_follow_up    asset mlpipe_activity ─▶ hours_in_files

Which files a run reads is told by its data interval, not by the clock: a backfill of January reads January's folders,
and a repeated run reads what it read. If they are late the task waits, and holds no worker meanwhile. An event of the
asset says where the artifact is, how many rows it has and what the rules said. Try it with MinIO, or whatever speaks
S3::

    airflow connections add minio_default --conn-type aws --conn-login minioadmin --conn-password minioadmin \
        --conn-extra '{"endpoint_url": "http://localhost:9000", "region_name": "us-east-1"}'
    mlpipe sample
    mc alias set here http://localhost:9000 minioadmin minioadmin && mc mb here/lake
    mc cp .demo/sample/events.csv.gz here/lake/exports/2026/01/13/
    airflow dags test minio_ingest 2026-01-15
    airflow dags test minio_follow_up

``MLPIPE_EXPORTS`` names another place than ``s3://lake/exports``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator, artifact_of

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

# By its name alone: for a URI with a scheme Airflow loads the handlers of all providers when it parses this file.
ACTIVITY = Asset(name="mlpipe_activity")

COMMON: dict[str, Any] = {
    "doc_md": __doc__,
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "default_args": {"retries": 3, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True},
    "tags": ["mlpipe", "s3"],
}

with DAG(
    dag_id="minio_ingest",
    description="Export files of the day in a bucket -> validated artifact -> asset",
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    **COMMON,
) as dag:
    # conn_id stands in the file, with the path. Rows that do not fit go to the quarantine; more than one in a hundred,
    # and nothing is published.
    files = SourceIngestOperator(
        task_id="ingest_files",
        source="activity_files",
        config="ingestion_config.yaml",
        deferrable=True,
        poke_interval=30,
        timeout=timedelta(hours=6),
    )

    ValidateOperator(
        task_id="validate_files",
        artifact=files.output,
        config="validation_config.yaml",
        dataset="activity_data",
        # An event of the asset is sent only by a task that succeeded: never for data that was refused.
        outlets=[ACTIVITY],
    )


@task.mlpipe_features(config={"entity": "user_id"}, inlets=[ACTIVITY])
def hours_in_files(activity: Artifact) -> pa.Table:
    """Return a table with the key and a column per feature; each row is stamped with the run's moment."""
    found = activity.table(["user_id", "hours"]).group_by("user_id").aggregate([("hours", "sum")])
    return found.rename_columns(["user_id", "hours_in_files"])


with DAG(
    dag_id="minio_follow_up",
    description="Asset of the day's activity -> hours of each user, whenever there is news",
    schedule=[ACTIVITY],
    **COMMON,
) as follow_up:
    # The artifact that the event names; for a run by hand, thanks to `inlets`, that of the newest event.
    hours_in_files(artifact_of(ACTIVITY))
