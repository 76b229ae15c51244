"""Dags that something outside of Airflow starts: an asset is watched by each of our triggers that can watch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_mlpipe.operators import SourceIngestOperator
from airflow_provider_mlpipe.triggers import NewObjectsTrigger, NewRowsTrigger

CONFIG = {
    "sources": {
        "letters": {"type": "file", "format": "csv", "path": "${SYSTEM_INBOX}/*.csv", "only_new": True},
        "sales": {
            "type": "database",
            "connection_string": "${SYSTEM_DATABASE}",
            "table": "sales",
            "incremental": {"cursor_column": "sold_at", "window": "watermark", "initial": "2026-01-01"},
        },
    }
}

for source, kind in (("letters", NewObjectsTrigger), ("sales", NewRowsTrigger)):
    bell = kind(source=source, config=CONFIG, poke_interval=1)
    watched = Asset(f"watched_{source}", watchers=[AssetWatcher(name=source, trigger=bell)])

    with DAG(
        f"on_{source}",
        schedule=[watched],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
    ):

        @task
        def told(triggering_asset_events: Any = None) -> Any:
            """Return what the events say."""
            return [event.extra for events in triggering_asset_events.values() for event in events]

        told() >> SourceIngestOperator(task_id="ingest", source=source, config=CONFIG)
