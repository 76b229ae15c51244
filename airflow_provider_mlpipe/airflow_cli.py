"""``airflow mlpipe ...``: the commands of ``mlpipe``, with Airflow's connections and its ``[mlpipe]`` configuration.

Airflow calls `commands` whenever any of its own commands starts, so nothing is imported here that it does not have
already; Typer and the commands come when ``airflow mlpipe`` is what was asked for.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import REMAINDER
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.cli.surroundings import Surroundings
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from airflow.cli.cli_config import ActionCommand

    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.config import Configured, FeatureStore, Source
    from airflow_provider_mlpipe.engines import DuckDBSettings, EngineSettings, SparkSettings
    from airflow_provider_mlpipe.ingestion import Connection

__all__ = ["AirflowSurroundings", "commands"]

_DEFAULT_FOLDER = Path("config")
"""Where the commands look for a YAML file that nobody named; in Airflow that is ``[mlpipe] config_folder``."""


def commands() -> list[ActionCommand]:
    """Return what Airflow's command line adds to its own: what ``cli`` of the provider's metadata names."""
    from airflow.cli.cli_config import ActionCommand, Arg

    class Everything(Arg):
        """All that follows, options and --help too, as it stands: Typer reads it."""

        def add_to_parser(self, parser: ArgumentParser) -> None:
            parser.prefix_chars = ""  # so nothing of it looks like an option of Airflow's
            super().add_to_parser(parser)

    rest = Everything(("arguments",), help="as for mlpipe", nargs=REMAINDER)  # type: ignore[no-untyped-call]
    about = "Ingest, validate, extract and serve features: mlpipe with Airflow's connections"
    return [ActionCommand(name="mlpipe", help=about, func=run, args=(rest,))]


def run(arguments: Namespace) -> None:
    """Run one command, and leave with its exit code.

    Raises:
        SystemExit: always; see `airflow_provider_mlpipe.cli.application` for the codes.
    """
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    @providers_configuration_loaded
    def leave() -> None:
        from airflow_provider_mlpipe.cli.application import command_line

        with _as_airflows_own():
            raise SystemExit(command_line(arguments.arguments, AirflowSurroundings()))

    leave()


@contextmanager
def _as_airflows_own() -> Iterator[None]:
    """See connections as ``airflow connections get`` sees them, and let nothing but results go to stdout."""
    from airflow_provider_mlpipe.hooks import settings

    # The first makes Airflow look into its database too, the second is what --root is unless given.
    mine = {"_AIRFLOW_PROCESS_CONTEXT": "server", "MLPIPE_ARTIFACT_ROOT": settings.artifact_root()}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    _to_stderr()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _to_stderr() -> None:
    """Move Airflow's own logging off stdout, and keep all below ERROR of it to itself unless somebody debugs."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
    if os.environ.get("MLPIPE_DEBUG", "") in {"", "0"}:
        root.setLevel(logging.ERROR)


class AirflowSurroundings(Surroundings):
    """Where ``airflow mlpipe`` runs: Airflow's connections are known, and ``[mlpipe]`` says what no option says."""

    program = "airflow mlpipe"

    def s3(self, uri: str) -> S3Options:
        """Return how to reach a bucket: by ``[mlpipe] artifact_conn_id`` if it is set, else as in a shell."""
        from airflow_provider_mlpipe.hooks import connections, settings

        conn_id = settings.artifact_conn_id()
        return connections.s3_options(conn_id) if conn_id and uri.startswith("s3://") else super().s3(uri)

    def config(self, path: Path) -> Path:
        """Return where a configuration file is: where the operators of a Dag in the Dags folder would find it."""
        from airflow.providers.common.compat.sdk import conf

        from airflow_provider_mlpipe.hooks.settings import find_config

        dag_file = str(Path(conf.get("core", "dags_folder")) / "dag.py")
        try:
            found = find_config(str(path), dag_file)
        except ConfigError:
            if path.parent != _DEFAULT_FOLDER:
                raise
            found = find_config(path.name, dag_file)
        return Path(str(found))

    def connection(self, source: Configured[Source], conn_id: str | None) -> Connection | None:
        """Return the connection that was asked for, else the file's; None if the file names none."""
        from airflow_provider_mlpipe.hooks.connections import mask_secrets, source_connection

        mask_secrets(source.model)
        named = conn_id or getattr(source.model, "conn_id", None)  # a dlt resource has none
        return source_connection(named, source.model.type) if named else None

    def feature_store(self, config: Path, conn_id: str | None) -> FeatureStore:
        """Return where Feast is: by a connection of type ``feast`` if one was asked for, else by the file."""
        from airflow_provider_mlpipe.operators.feast_base import store_of

        return store_of(config, feast_conn_id=conn_id)

    def duckdb(self) -> DuckDBSettings:
        """Return what ``[mlpipe] memory_limit`` says."""
        from airflow_provider_mlpipe.hooks import settings

        return settings.engine()

    def spark(self, master: str) -> SparkSettings:
        """Return what ``[mlpipe] spark_...`` says, at the master that was asked for."""
        from airflow_provider_mlpipe.hooks import settings

        return settings.spark({"master": master} if master else None)

    def engine(self, *names: str | None, master: str = "") -> EngineSettings:
        """Return the settings of the first engine that is named, else of ``[mlpipe] engine``, else of DuckDB."""
        from airflow_provider_mlpipe.hooks import settings

        return settings.engine_named(*names, spark_overrides={"master": master} if master else None)
