"""Dags whose runs are watched: what they send to mail, chat, OpenLineage and metrics is what tests look at."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.notifications import MlpipeNotifier
from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator

DAILY = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
SOURCES = {
    "people": {
        "type": "database",
        "connection_string": "${MLPIPE_SAMPLE_DB}",
        "table": "users",
        "columns": {"person": "user_id", "mail": "email", "nickname": None},
        "incremental": {"cursor_column": "created_at", "window": "all"},
    }
}
RULES = {
    "people": {
        "required_columns": ["person", "mail"],
        "unique_columns": ["person", "mail"],
        "sensitive": ["mail"],
        "categorical_constraints": {"status": {"values": ["active", "inactive", "pending"], "severity": "WARNING"}},
    },
    "kept": {"required_columns": ["mail"], "on_failure": "quarantine", "sensitive": ["mail"]},
}


def mail(to: str) -> SmtpNotifier:
    return SmtpNotifier(to=to, from_email="airflow@example.com")


with DAG("rejected", **DAILY, on_failure_callback=MlpipeNotifier(mail("dag@example.com"))):
    people = SourceIngestOperator(
        task_id="people", source="people", config={"sources": SOURCES}, on_success_callback=MlpipeNotifier()
    )
    ValidateOperator(
        task_id="check",
        artifact=people.output,
        config=RULES,
        on_failure_callback=MlpipeNotifier(
            # Nobody listens there; the others are told all the same.
            SmtpNotifier(to="nobody@example.com", from_email="airflow@example.com", smtp_conn_id="no_such_server"),
            mail("task@example.com"),
            SlackWebhookNotifier(slack_webhook_conn_id="slack", text="{{ mlpipe.slack }}"),
        ),
    )

with DAG("kept", **DAILY, on_success_callback=MlpipeNotifier(mail("dag@example.com"))):
    people = SourceIngestOperator(task_id="people", source="people", config={"sources": SOURCES}, dataset="kept")
    ValidateOperator(
        task_id="check",
        artifact=people.output,
        config=RULES,
        on_success_callback=MlpipeNotifier(
            SmtpNotifier(
                to="task@example.com",
                from_email="airflow@example.com",
                subject="Checked: {{ mlpipe.what }}",
                html_content="<pre>{{ mlpipe.text }}</pre>",
            )
        ),
    )

with DAG("plain", **DAILY):
    SourceIngestOperator(task_id="people", source="people", config={"sources": SOURCES})

with DAG("mapped", **DAILY):
    SourceIngestOperator.partial(
        task_id="people",
        source="people",
        config={
            "sources": {
                "people": {
                    "type": "database",
                    "connection_string": "${MLPIPE_SAMPLE_DB}",
                    "query": "SELECT * FROM users WHERE status = :status",
                }
            }
        },
    ).expand(parameters=[{"status": status} for status in ("active", "inactive", "nobody")])

with DAG("absent", **DAILY):
    SourceIngestOperator(
        task_id="people",
        source="people",
        config={"sources": {"people": {**SOURCES["people"], "columns": {}, "table": "no_such_table"}}},
        on_failure_callback=MlpipeNotifier(mail("task@example.com")),
    )
