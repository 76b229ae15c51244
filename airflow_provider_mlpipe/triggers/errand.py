"""What a look at a source needs to know, as plain values: stored with a trigger, resolved where the look is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Interval, Run, instant

if TYPE_CHECKING:
    from airflow_provider_mlpipe.config import ConfigLike, Configured, Source
    from airflow_provider_mlpipe.ingestion.arrival import Visit

__all__ = ["Errand", "configured_source", "plain"]

WATCHER = Run(dag_id="watcher", task_id="watcher", run_id="watcher")
"""Who looks when no run does. No artifact is ever published by it."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """Which source is looked at, and for whom. Connections and ``${NAME}`` are resolved by `visit`, never stored.

    Attributes:
        source: the source's name in `config`.
        config: a YAML file's path, or a mapping.
        conn_id: the Airflow connection, in place of the file's.
        dataset: the artifact's dataset name, in place of the file's.
        parameters: values of a query's ``:name``.
        artifact_root: where it stands what was read before; ``[mlpipe] artifact_root`` if None.
        artifact_conn_id: the connection for an artifact root on S3.
        as_of: the moment that the run is about, ISO 8601; None if there is no run.
        run: who waits, as `Run.as_dict` gives it; None if there is no run.
    """

    source: str
    config: ConfigLike
    conn_id: str | None = None
    dataset: str | None = None
    parameters: Mapping[str, Any] | None = None
    artifact_root: str | None = None
    artifact_conn_id: str | None = None
    as_of: str | None = None
    run: Mapping[str, Any] | None = None

    def stored(self) -> dict[str, Any]:
        """Return the arguments to store: of a mapping only the part of this source."""
        return {
            "source": self.source,
            "config": _only(self.config, self.source),
            "conn_id": self.conn_id,
            "dataset": self.dataset,
            "parameters": plain(self.parameters),
            "artifact_root": self.artifact_root,
            "artifact_conn_id": self.artifact_conn_id,
            "as_of": self.as_of,
            "run": plain(self.run),
        }

    def configured(self) -> Configured[Source]:
        """Return the source's configuration.

        Raises:
            ConfigError: it is wrong, or cannot be found.
        """
        from airflow_provider_mlpipe.hooks.settings import find_config

        return configured_source(find_config(self.config, None), self.source, self.dataset, self.parameters)

    def visit(self) -> Visit:
        """Resolve everything: the configuration, the connections, the environment.

        Raises:
            ConfigError: something in them is wrong or missing.
        """
        from airflow_provider_mlpipe.artifacts import Storage
        from airflow_provider_mlpipe.hooks import settings
        from airflow_provider_mlpipe.hooks.connections import mask_secrets, s3_options, source_connection
        from airflow_provider_mlpipe.ingestion import Connection
        from airflow_provider_mlpipe.ingestion.arrival import Visit

        found = self.configured()
        mask_secrets(found.model)
        conn_id = self.conn_id or getattr(found.model, "conn_id", None)
        root = self.artifact_root or settings.artifact_root()
        root_conn_id = self.artifact_conn_id or settings.artifact_conn_id()
        return Visit(
            source=found,
            root=Storage(root.rstrip("/"), s3_options(root_conn_id if root.startswith("s3://") else None)),
            run=WATCHER if self.run is None else _run(self.run),
            as_of=None if self.as_of is None else instant(self.as_of),
            connection=source_connection(conn_id, found.model.type) if conn_id else Connection(),
        )


def configured_source(
    config: ConfigLike,
    source: str,
    dataset: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    where: str = "arguments",
) -> Configured[Source]:
    """Return a source's configuration with what an operator was given in place of it.

    Args:
        config: an ingestion YAML, found already, or a mapping.
        source: the name in it.
        dataset: in place of the configuration's.
        parameters: beside and before those of the configuration.
        where: who gave them, for messages.

    Raises:
        ConfigError: the configuration is wrong, or there are parameters and no query.
    """
    from airflow_provider_mlpipe import config as configuration

    found = configuration.source(config, source)
    changes: dict[str, Any] = {"dataset": dataset} if dataset else {}
    if parameters:
        if getattr(found.model, "query", None) is None:
            raise ConfigError.invalid(
                where=where, key="parameters",
                problem=f"source {source!r} has no query that they could be values of",
                hint="Give the source a query with :name where each value goes.",
            )  # fmt: skip
        changes["parameters"] = {**getattr(found.model, "parameters", {}), **parameters}
    return replace(found, model=found.model.model_copy(update=changes)) if changes else found


def _only(config: ConfigLike, source: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return a path as text, and of a mapping the part that says where `source` is."""
    if not isinstance(config, Mapping):
        return str(config)
    sources = config.get("sources")
    if isinstance(sources, Mapping) and source in sources and "type" not in config:
        config = {"sources": {source: sources[source]}}
    return plain(config)


def _run(said: Mapping[str, Any]) -> Run:
    interval = said["interval"]
    return Run(**{**said, "interval": None if interval is None else Interval(start=interval[0], end=interval[1])})


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return mappings and sequences of whatever kind as dicts and lists, which is what Airflow stores."""
    if isinstance(value, Mapping):
        return {str(key): plain(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(below) for below in value]
    return value
