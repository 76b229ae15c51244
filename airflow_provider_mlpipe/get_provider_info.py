"""What Airflow's providers manager asks of this package: what it offers, its connection types, its configuration.

Airflow validates this mapping on every command and fails every command if it does not fit, so a test holds it against
Airflow's own schema. A key stands here only once the thing behind it exists.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_mlpipe.hooks.forms import FEAST

__all__ = ["get_provider_info"]

_NAME = "MLPipe"
_LINKS = "airflow_provider_mlpipe.links.report"
_OPERATORS = "airflow_provider_mlpipe.operators"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, as ``provider_info.schema.json`` of Airflow wants it."""
    return {
        "package-name": "airflow-provider-mlpipe",
        "name": _NAME,
        "description": "From databases, APIs and object storage to validated features served by Feast.",
        "integrations": [{"integration-name": _NAME, "tags": ["software"]}],
        "operators": [
            {
                "integration-name": _NAME,
                "python-modules": [
                    f"{_OPERATORS}.ingest",
                    f"{_OPERATORS}.validate",
                    f"{_OPERATORS}.extract",
                    f"{_OPERATORS}.merge",
                    f"{_OPERATORS}.materialize",
                    f"{_OPERATORS}.training_set",
                    f"{_OPERATORS}.feast_apply",
                    f"{_OPERATORS}.feast_push",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _NAME,
                "python-modules": [
                    f"airflow_provider_mlpipe.sensors.{name}"
                    for name in ("new_objects", "new_rows", "feature_freshness")
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": _NAME,
                "python-modules": [f"airflow_provider_mlpipe.triggers.{name}" for name in ("sources", "freshness")],
            }
        ],
        "hooks": [{"integration-name": _NAME, "python-modules": ["airflow_provider_mlpipe.hooks.feast"]}],
        "task-decorators": [
            {"name": f"mlpipe_{name}", "class-name": f"airflow_provider_mlpipe.decorators.{name}.mlpipe_{name}"}
            for name in ("ingest", "validate", "features")
        ],
        "connection-types": [FEAST],
        "extra-links": [f"{_LINKS}.ReportLink", f"{_LINKS}.ArtifactLink"],
        "plugins": [{"name": "mlpipe", "plugin-class": "airflow_provider_mlpipe.plugins.report.MlpipePlugin"}],
        "notifications": ["airflow_provider_mlpipe.notifications.notifier.MlpipeNotifier"],
        "cli": ["airflow_provider_mlpipe.airflow_cli.commands"],
        "config": {
            "mlpipe": {
                "description": "Where the operators of airflow-provider-mlpipe keep data and find configuration.",
                "options": _options(),
            }
        },
    }


def _options() -> dict[str, dict[str, Any]]:
    return {
        "artifact_root": _option(
            "The folder or s3:// prefix below which artifacts are published. All workers must see the same place.",
            default="{AIRFLOW_HOME}/mlpipe",
            example="s3://lake/features",
        ),
        "artifact_conn_id": _option(
            "The Airflow connection for an artifact_root on S3; the AWS_* environment variables if empty.",
            default="",
            example="minio_default",
        ),
        "config_folder": _option(
            "Where the operators look for a YAML file that is neither at the path given nor beside the Dag file. "
            "A relative path starts at the Dag file's folder.",
            default="../config",
            example="/opt/airflow/config",
        ),
        "memory_limit": _option(
            "What the embedded engine may hold in memory per task before it spills to disk, as DuckDB writes it.",
            default="1GB",
            example="4GB",
        ),
        "engine": _option(
            "What computes features that do not say so themselves: duckdb, embedded in the task, or spark.",
            default="duckdb",
            example="spark",
        ),
        "spark_master": _option(
            "The Spark that engine: spark uses, unless the task's process has a Spark session. All cores of the worker "
            "if empty.",
            default="",
            example="spark://spark-master:7077",
        ),
        "spark_memory": _option(
            "What Spark's driver may hold in memory, as Java writes it; with a local master that is all of Spark.",
            default="",
            example="4g",
        ),
        "spark_conf": _option(
            "Further settings of Spark, as a JSON object.",
            default="",
            example='{"spark.executor.memory": "4g"}',
        ),
        "spark_scratch": _option(
            "Where results pass through on their way out of a Spark cluster: a folder or s3:// prefix that the worker "
            "and all executors reach. A Spark on the worker itself needs none.",
            default="",
            example="s3://lake/scratch",
        ),
    }


def _option(description: str, *, default: str, example: str) -> dict[str, Any]:
    return {
        "description": description + "\n",
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": default,
    }
