"""From a REST API and a database to task features that Feast serves, once a day: the chain in one line.

    ingest_tasks (API) ────────▶ validate_tasks ────┐
                                                    ├─▶ extract ─▶ materialize
    ingest_activity (database) ▶ validate_activity ─┘

`pipeline` makes these tasks, in a group named after the feature set. It is no other thing than the four operators of
`user_feature_pipeline`, written out; take that as a model when the chain is to have another shape. Try it::

    mlpipe sample
    cd .demo/sample/api && python -m http.server 8000 &     # or the address of a real API
    export MLPIPE_TASKS_URL=http://localhost:8000/tasks-1.json API_TOKEN=any
    airflow dags test task_feature_pipeline 2026-01-15

An API tells how things are, not how they were. Features are as of the run's moment all the same: a task that was
created later has no row, and a completion that came later has not happened. What the API has changed in place
meanwhile, a priority for example, is seen as it is now: run daily, and keep the raw artifacts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import pipeline

with DAG(
    dag_id="task_feature_pipeline",
    description="REST API + tracker database -> validated artifacts -> task features -> Feast",
    doc_md=__doc__,
    # Days with a beginning and an end; see user_feature_pipeline.
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        # On top of what the source tries by itself within a task (max_retries, Retry-After): an API that is down for
        # some minutes. A wrong token fails at once.
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=30),
        # An API without end is stopped, and leaves nothing half.
        "execution_timeout": timedelta(hours=2),
    },
    tags=["mlpipe", "features", "api"],
) as dag:
    # By role, the source that plays it. To read by an Airflow connection instead of the address in the file:
    # {"tasks": {"source": "task_data", "conn_id": "tracker_api"}, ...}
    pipeline("task_features", {"tasks": "task_data", "activity": "activity_data"})
