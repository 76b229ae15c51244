"""A Dag of the feature store's operators, with Feast where a connection says. `test_feast_operators` runs it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import DAG, BaseHook, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import FeastApplyOperator, FeastMaterializeOperator, FeastPushOperator
from airflow_provider_mlpipe.sensors import FeatureFreshnessSensor

VIEW = "user_profile_features"
TODAY, TOMORROW = os.environ["FEATURES_TODAY"], os.environ["FEATURES_TOMORROW"]


@task
def tested() -> list[object]:
    """Do what the form's "Test" button does."""
    return list(BaseHook.get_connection("feast_default").test_connection())


with DAG(
    "feast",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"feast_conn_id": "{{ var.value.feast }}"},
) as dag:
    applied = FeastApplyOperator(task_id="applied", artifact=TODAY)
    # The connection says where Feast is; the file's section, which names another place, how to use it.
    materialized = FeastMaterializeOperator(
        task_id="materialized",
        artifact=TODAY,
        config={"feature_store": {"project": "elsewhere", "registry": "/nowhere/r.db", "read_back": 5}},
    )
    fresh = FeatureFreshnessSensor(
        task_id="fresh", view="{{ ti.xcom_pull('materialized', key='view') }}", max_age="1h", mode="reschedule"
    )
    # The interval ends when today's features were computed: tomorrow's, pushed later, are not its business.
    pushed = FeastPushOperator(task_id="pushed", view=VIEW, artifact=TOMORROW, to="online")
    applied >> materialized >> fresh >> pushed >> tested()
    [
        # A moment a day before the first features: there is nothing to be fresh, whatever comes later.
        FeatureFreshnessSensor(
            task_id="too_early", view=VIEW, max_age="30d", as_of="{{ data_interval_start }}", place="offline", timeout=0
        ),
        FeatureFreshnessSensor(task_id="wrong", view=VIEW, max_age="1h", place="onlin", retries=3),
        FeastPushOperator(task_id="no_view", view="user_profiles", artifact=TOMORROW, retries=3),
    ] << pushed
