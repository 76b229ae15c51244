"""The extraction as a job of its own: what `spark-submit` runs on a cluster's driver, without Airflow.

::

    spark-submit --master yarn .../airflow_provider_mlpipe/feature_extraction/__main__.py
        --config feature_config.yaml --set user_features --inputs users=s3://lake/users/raw/...
        --inputs activity=s3://lake/activity/raw/... --root s3://lake --as-of 2026-01-14T02:00:00Z --engine spark
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, MlpipeError
from airflow_provider_mlpipe.run import Interval, Run, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.engines import EngineSettings

__all__ = ["main"]

_log = logging.getLogger(__name__)

_DAY = timedelta(days=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Extract as the arguments say, and return the exit code: 0, or that of the error, which goes to the log."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    given = _parser().parse_args(arguments)
    try:
        _extract(given)
    except MlpipeError as error:
        _log.error("%s", error)
        return error.exit_code
    return 0


def _extract(given: argparse.Namespace) -> None:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import feature_set
    from airflow_provider_mlpipe.feature_extraction import extract

    features, s3 = feature_set(given.config, given.set), _s3_options()
    as_of = instant(given.as_of)
    start = instant(given.interval_start) if given.interval_start else as_of - _DAY
    inputs = {role: Artifact.open(uri, s3) for role, uri in _pairs("--inputs", given.inputs).items()}
    # An artifact lies in root/dataset/stage/partition.
    root = given.root or next(iter(inputs.values())).uri.rsplit("/", 3)[0]
    made = extract(
        features,
        inputs,
        root=Storage(root.rstrip("/") or "/", s3),
        run=Run(
            dag_id=given.dag_id,
            task_id=given.task_id or f"extract.{given.set}",
            run_id=given.run_id,
            try_number=given.try_number,
            interval=Interval(start=start, end=as_of),
        ),
        as_of=as_of,
        engine=_engine(given, features.model.engine, s3),
    )
    if given.result:
        document = {
            "artifact": made.artifact.uri,
            "normalized": made.normalized.uri if made.normalized is not None else None,
            "metrics": made.metrics,
        }
        folder, _, name = given.result.rpartition("/")
        Storage(folder or ".", s3).replace(name, json.dumps(document, default=str).encode())
    _log.info("features are at %s", made.artifact.uri)


def _engine(given: argparse.Namespace, declared: str | None, s3: S3Options) -> EngineSettings:
    from airflow_provider_mlpipe.engines import DuckDBSettings, SparkSettings, settings_named

    spark = SparkSettings(
        master=given.master,
        memory=given.memory or SparkSettings.memory,
        conf=_pairs("--conf", given.conf),
        scratch=given.scratch,
        s3=s3,
    )
    duckdb = DuckDBSettings(memory_limit=given.memory) if given.memory else None
    return settings_named(given.engine, declared, duckdb=duckdb, spark=spark)


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Return ``NAME=VALUE`` arguments as a mapping.

    Raises:
        ConfigError: one of them is not of that form.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigError.invalid(where=option, key=text, problem="not of the form NAME=VALUE")
        found[name] = value
    return found


def _s3_options() -> S3Options:
    from airflow_provider_mlpipe.artifacts import S3Options

    return S3Options(
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""),
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", ""),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_mlpipe.feature_extraction",
        description="Compute a feature set as of a moment. Errors exit as mlpipe does: 1 data, 2 use, 3 the rest.",
        allow_abbrev=False,
    )
    required: dict[str, Any] = {"required": True}
    parser.add_argument("--config", **required, help="the feature file")
    parser.add_argument("--set", **required, help="the feature set's name in the file")
    parser.add_argument("--inputs", action="append", **required, metavar="ROLE=URI", help="an artifact; several times")
    parser.add_argument("--root", default="", help="where the result goes; below the inputs' own root if absent")
    parser.add_argument("--as-of", **required, metavar="TIME", help="nothing at or after this moment is seen")
    parser.add_argument("--interval-start", metavar="TIME", help="names the partition; a day before --as-of if absent")
    parser.add_argument("--engine", choices=("duckdb", "spark"), help="what the set says if absent")
    parser.add_argument("--master", default="", help="Spark's address; under spark-submit it says so itself")
    parser.add_argument("--memory", default="", help="DuckDB's limit, or what the JVM of Spark's driver may hold")
    parser.add_argument("--conf", action="append", default=[], metavar="NAME=VALUE", help="a setting of Spark")
    parser.add_argument("--scratch", default="", help="a folder or s3:// prefix that all of a Spark cluster reaches")
    parser.add_argument(
        "--result", default="", metavar="FILE", help="where to write the artifact's URI and the metrics"
    )
    parser.add_argument("--dag-id", default="local", help="recorded in the manifest, like the next three")
    parser.add_argument("--task-id", default="")
    parser.add_argument("--run-id", default="manual")
    parser.add_argument("--try-number", type=int, default=1)
    return parser
