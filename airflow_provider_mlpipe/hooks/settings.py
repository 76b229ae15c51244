"""The ``[mlpipe]`` section of Airflow's configuration, and where YAML files are found.

Call these only while a task executes: Airflow should not look up configuration to parse a Dag file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_mlpipe.errors import ConfigError, UnknownKeyError

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.engines import DuckDBSettings, EngineSettings, SparkSettings

__all__ = ["SECTION", "artifact_conn_id", "artifact_root", "engine", "engine_named", "find_config", "spark"]

SECTION = "mlpipe"

_SPARK = {"master", "memory", "conf", "scratch"}


def artifact_root() -> str:
    """Return ``[mlpipe] artifact_root``: ``mlpipe`` below AIRFLOW_HOME unless set."""
    return _value("artifact_root") or f"{_airflow_home()}/mlpipe"


def artifact_conn_id() -> str | None:
    """Return ``[mlpipe] artifact_conn_id``, None unless set."""
    return _value("artifact_conn_id") or None


def engine() -> DuckDBSettings:
    """Return what the embedded engine may take."""
    from airflow_provider_mlpipe.engines import DuckDBSettings

    limit = _value("memory_limit")
    return DuckDBSettings(memory_limit=limit) if limit else DuckDBSettings()


def spark(overrides: Mapping[str, Any] | None = None, s3: S3Options | None = None) -> SparkSettings:
    """Return which Spark to use: ``[mlpipe] spark_master``, ``spark_memory``, ``spark_conf`` and ``spark_scratch``.

    Args:
        overrides: ``master``, ``memory``, ``conf`` and ``scratch`` as an operator was given them. Its ``conf`` is added
            to the one of the configuration.
        s3: how to reach the scratch folder, if it is a bucket.

    Raises:
        ConfigError: an unknown key, or a ``spark_conf`` that is not a JSON object.
    """
    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.engines import SparkSettings

    given = dict(overrides or {})
    unknown = sorted(given.keys() - _SPARK)
    if unknown:
        raise UnknownKeyError.among(where="operator argument", parent="spark", key=unknown[0], known=_SPARK)
    master, memory, scratch = (
        str(given.get(name) or _value(f"spark_{name}")) for name in ("master", "memory", "scratch")
    )
    return SparkSettings(
        master=master,
        memory=memory or SparkSettings.memory,
        conf={**_spark_conf(), **given.get("conf", {})},
        scratch=scratch,
        s3=s3 or S3Options(),
    )


def engine_named(
    *names: str | None, spark_overrides: Mapping[str, Any] | None = None, s3: S3Options | None = None
) -> EngineSettings:
    """Return the settings of the first engine that is named, else of ``[mlpipe] engine``, else of DuckDB.

    Raises:
        ConfigError: there is no such engine, or its settings cannot be read.
    """
    from airflow_provider_mlpipe.engines import settings_named

    name = next((name for name in (*names, _value("engine")) if name), None)
    return settings_named(name, duckdb=engine(), spark=spark(spark_overrides, s3) if name == "spark" else None)


def find_config(config: ConfigLike, dag_file: str | None) -> ConfigLike:
    """Return `config` with a relative path replaced by the place where the file is.

    A relative path is looked up as given (from the working directory), then beside the Dag file, then in
    ``[mlpipe] config_folder``. A mapping is returned as it is.

    Args:
        config: a YAML file's path, or what would stand in it.
        dag_file: the Dag's file, as far as it is known.

    Raises:
        ConfigError: the file is in none of these places.
    """
    if isinstance(config, Mapping):
        return config
    path = Path(config).expanduser()
    if path.is_absolute():
        return path
    candidates = [path]
    beside = Path(dag_file).parent if dag_file else Path()
    candidates += [beside / path, beside / (_value("config_folder") or "../config") / path]
    for candidate in candidates:
        if candidate.is_file():
            # Without symbolic links and "..": the path ends up in messages that people click on.
            return candidate.resolve()
    looked = ", ".join(dict.fromkeys(str(candidate.parent.resolve()) for candidate in candidates))
    raise ConfigError(
        f"{config}: no such file in any of: {looked}",
        hint="Set [mlpipe] config_folder (AIRFLOW__MLPIPE__CONFIG_FOLDER), or give an absolute path.",
        where=str(config),
    )


def _spark_conf() -> dict[str, str]:
    text = _value("spark_conf")
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError.invalid(
            where=f"[{SECTION}]",
            key="spark_conf",
            problem="not a JSON object",
            hint='Write {"spark.executor.memory": "4g"}.',
        )
    return {str(name): str(value) for name, value in found.items()}


def _value(option: str) -> str:
    value: str = conf.get(SECTION, option, fallback="") or ""
    # Whether a provider's default is expanded depends on who asks (a worker, the scheduler, the CLI).
    return value.strip().replace("{AIRFLOW_HOME}", _airflow_home())


def _airflow_home() -> str:
    return str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser())
