"""From the ``feature_store`` section and the artifact root to Feast's configuration, in memory."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.storage import local_path
from airflow_provider_mlpipe.errors import ConfigError, redact
from airflow_provider_mlpipe.feature_store.arrow_engine import ENGINE
from airflow_provider_mlpipe.feature_store.repository import Repository, config_of
from airflow_provider_mlpipe.feature_store.translation import at_most, hidden_values, translated

if TYPE_CHECKING:
    from pydantic import ValidationError

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["FOLDER", "OFFLINE_STORE", "SPARK_ENGINE", "WHERE", "Settings"]

FOLDER = "_feast"
"""Below the artifact root: the registry, the online store and the offline data, unless they are elsewhere."""

WHERE = "feature_store"

OFFLINE_STORE = "airflow_provider_mlpipe.feature_store.feast_offline.MlpipeOfflineStore"
SPARK_ENGINE = {"type": "spark.engine"}
"""Feast's Spark engine, as its configuration wants it: it would take any more keys for settings of Spark's."""

_SPARK_STORE = "airflow_provider_mlpipe.feature_store.feast_spark.MlpipeSparkOfflineStore"
_ONLINE_STORES = {
    "postgres": "airflow_provider_mlpipe.feature_store.feast_postgres.MlpipePostgresOnlineStore",
    "dynamodb": "airflow_provider_mlpipe.feature_store.feast_dynamodb.MlpipeDynamoDBOnlineStore",
}
"""Feast's classes where they need some help; the others are taken as they are."""
_REGISTRY_STORE = "airflow_provider_mlpipe.feature_store.feast_registry.AtomicFileRegistryStore"

_SPARK_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.parquet.mergeSchema": "true"}
"""Of a session that Feast makes, unless the settings say otherwise: a window does not move with the machine's zone, and
a feature added today does not make the past unreadable."""

SQLITE_WAIT_SECONDS = 60
"""How long a registry on SQLite waits for another writer; Feast's writes to it take milliseconds."""


_CLIENTS = {
    "redis": (("redis",), "redis"),
    "postgres": (("psycopg", "psycopg_pool"), "postgres"),
    "dynamodb": (("boto3", "aiobotocore"), "aws"),
}
"""By kind of online store: what Feast imports for it, and the extra of Feast's that brings it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where Feast is, with nothing left open.

    Attributes:
        project: Feast's project.
        registry: a SQLAlchemy URL, or a path if `registry_is_file`.
        online: Feast's settings of the online store, complete.
        root: the artifact root, which holds the offline data.
        engine: Feast's name of the compute engine that writes online.
        spark: Feast's settings of its Spark store, if that reads the offline data; else empty.
        repository: the existing Feast repository that all this comes from, if it does.
    """

    project: str
    registry: str = field(repr=False)
    registry_is_file: bool
    online: dict[str, Any] = field(repr=False)
    root: Storage
    engine: str = ENGINE
    spark: dict[str, Any] = field(default_factory=dict, repr=False)
    repository: Repository | None = None

    @classmethod
    def of(cls, store: FeatureStore, root: Storage) -> Settings:
        """Fill in what the section leaves open.

        Raises:
            ConfigError: the artifact root is a bucket, which cannot hold a registry or an online store, and the
                section names none; or a place is named that cannot work.
        """
        engine = {"arrow": ENGINE, "stock": "local", "spark": SPARK_ENGINE["type"]}[store.engine]
        if store.repo:
            found = Repository.read(store.repo)
            return cls(
                project=found.project,
                registry=found.registry,
                registry_is_file=found.registry_is_file,
                online=found.online,
                root=root,
                engine=engine,
                repository=found,
            )
        online = _online(store, root)
        registry, is_file = _registry(store, root)
        return cls(
            project=store.project,
            registry=registry,
            registry_is_file=is_file,
            online=online,
            root=root,
            engine=engine,
            spark=_spark(store),
        )

    @property
    def by_spark(self) -> bool:
        """Whether Feast reads the offline data by Spark."""
        return bool(self.spark)

    @property
    def online_type(self) -> str:
        """Feast's name of the kind of online store."""
        return str(self.online["type"])

    @property
    def sqlite_path(self) -> Path | None:
        """The online store's file, if it is SQLite."""
        return Path(self.online["path"]) if self.online_type == "sqlite" else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not stand in a message."""
        known = {"registry": self.registry, **self.online, **self.spark.get("spark_conf", {})}
        if self.online_type == "dynamodb":  # AWS quotes the request that it refuses
            known |= {name: value for name, value in os.environ.items() if name.startswith("AWS_") and value}
        return hidden_values(known)

    def lock_for_writing(self, view: str) -> Path:
        """The lock of whoever writes online: per file for SQLite, which has one writer, else per view."""
        if self.sqlite_path is not None:
            return _beside(self.sqlite_path)
        return self._lock(f"online {self.online_type} {self.project} {view}")

    @property
    def lock_for_registry(self) -> Path:
        """The lock of whoever changes the registry: beside it, if it is a file."""
        file = Path(self.registry) if self.registry_is_file else _sqlite_file(self.registry)
        return _beside(file) if file is not None else self._lock(f"registry {self.project}")

    def _lock(self, scope: str) -> Path:
        """Return a lock for what is on a server: it keeps the processes of this machine apart, or of this folder."""
        folder = Path(self.root.path(f"{FOLDER}/locks")) if self.root.is_local else _locks_of_this_machine()
        return folder / f"{hashlib.sha256(scope.encode()).hexdigest()[:16]}.lock"

    def repo_config(self, *, writing: bool = True) -> Any:  # noqa: ANN401 - feast has no types
        """Return Feast's configuration.

        Args:
            writing: whether artifacts are to go online by it; of no account but for an existing repository, which is
                otherwise left as it is.

        Raises:
            ConfigError: Feast refuses the settings.
        """
        self.make_folders()
        if self.repository is not None:
            return self._adapted(self.repository, writing=writing)
        with translated(self.secrets, doing="read its settings", refusal=ConfigError):
            from feast import RepoConfig
            from pydantic import ValidationError

            _check_type(self.online_type)
            _check_client(self.online_type)
            try:
                config = RepoConfig(
                    project=self.project,
                    provider="local",
                    registry=self._registry_config(),
                    online_store=self._online_config(),
                    batch_engine=self._engine_config(),
                    offline_store=self._offline_config(),
                    # Short transactions leave room for readers of SQLite; larger ones only cost memory elsewhere.
                    materialization={"online_write_batch_size": 1_000 if self.online_type == "sqlite" else 10_000},
                    entity_key_serialization_version=3,
                )
                # Made when first asked for. It logs that serving while materializing is not for file registries; it is.
                with at_most(logging.ERROR):
                    _ = config.registry
            except ValidationError as error:
                raise _refused(error) from None  # its text shows the values, which may be secret
        return config

    def _adapted(self, repository: Repository, *, writing: bool) -> Any:  # noqa: ANN401 - feast has no types
        """Return the repository's own configuration; for writing with our reader, engine and care for the registry."""
        config = config_of(repository.folder)
        # Feast's PostgreSQL class keeps times as it has kept them there; our DynamoDB class keeps what Feast's does.
        config.online_config = dict(self.online) if self.online_type == "postgres" else self._online_config()
        given = config.registry_config
        registry = {"path": given} if isinstance(given, str) else dict(given)
        if repository.registry_is_file:
            registry["path"] = repository.registry
        config.registry_config = registry
        if writing:
            repository.refuse_unwritable()
            config.registry_config = {**registry, **self._registry_config()}
            config.offline_config = self._offline_config()
            config.batch_engine_config = self._engine_config()
            config.materialization_config.online_write_batch_size = 1_000 if self.online_type == "sqlite" else 10_000
        return config

    def make_folders(self) -> None:
        """Create the folders of files that Feast and SQLite do not create themselves."""
        files = [self.sqlite_path, Path(self.registry) if self.registry_is_file else _sqlite_file(self.registry)]
        for folder in {file.parent for file in files if file is not None}:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError.invalid(
                    where=WHERE,
                    key="feature_store",
                    problem=f"cannot create {folder}: {error.strerror}",
                    hint="Give registry and online_store places that can be written to.",
                ) from error

    def _online_config(self) -> dict[str, Any]:
        return {**self.online, "type": _ONLINE_STORES.get(self.online_type, self.online_type)}

    def _offline_config(self) -> dict[str, Any]:
        if self.by_spark:
            return {**self.spark, "type": _SPARK_STORE}
        return {"type": OFFLINE_STORE, "s3": self.root.options}

    def _engine_config(self) -> str | dict[str, Any]:
        return dict(SPARK_ENGINE) if self.engine == SPARK_ENGINE["type"] else self.engine

    def _registry_config(self) -> dict[str, Any]:
        # Without the last key, readers are refused for as long as a materialisation runs.
        common = {"path": self.registry, "cache_ttl_seconds": 60, "serve_features_while_materializing": True}
        if self.registry_is_file:
            return {**common, "registry_type": "file", "registry_store_type": _REGISTRY_STORE}
        from sqlalchemy.pool import NullPool

        # A registry is asked now and then; nothing stays open between, to be closed by whoever holds the store.
        engine: dict[str, Any] = {"echo": False, "poolclass": NullPool}
        if self.registry.startswith("sqlite"):
            engine["connect_args"] = {"timeout": SQLITE_WAIT_SECONDS}
        return {**common, "registry_type": "sql", "sqlalchemy_config_kwargs": engine}


def _online(store: FeatureStore, root: Storage) -> dict[str, Any]:
    online = dict(store.online_store) or {"type": "sqlite"}
    kind = online.get("type")
    if not isinstance(kind, str) or not kind:
        raise ConfigError.invalid(
            where=WHERE,
            key="feature_store.online_store.type",
            problem="the kind of online store is missing",
            hint="Write {type: sqlite} or {type: redis, connection_string: 'host:port'}.",
        )
    if kind == "sqlite":
        if not online.get("path"):
            online["path"] = _below(root, "online.db", key="feature_store.online_store")
        else:
            online["path"] = local_path(str(online["path"]))
    return online


def _spark(store: FeatureStore) -> dict[str, Any]:
    if store.offline_store.get("type") != "spark":
        return {}
    given = {str(name): str(value) for name, value in (store.offline_store.get("spark_conf") or {}).items()}
    return {**store.offline_store, "spark_conf": {**_SPARK_SESSION, **given}}


def _registry(store: FeatureStore, root: Storage) -> tuple[str, bool]:
    text = store.registry.strip()
    if not text:
        return f"sqlite:///{_below(root, 'registry.db', key='feature_store.registry')}", False
    scheme, found, _ = text.partition("://")
    if not found or scheme == "file":
        return local_path(text), True
    if scheme in {"s3", "gs", "gcs", "az", "hdfs", "http", "https"}:
        raise ConfigError.invalid(
            where=WHERE,
            key="feature_store.registry",
            problem=f"a registry file on {scheme}:// loses what writers do at the same time",
            hint="Give an SQL URL such as postgresql+psycopg://user@host/feast, or a local path.",
        )
    if scheme == "postgresql":
        text = "postgresql+psycopg" + text[len(scheme) :]
    file = _sqlite_file(text)
    return (f"sqlite:///{file.absolute()}" if file is not None else text), False


def _sqlite_file(url: str) -> Path | None:
    if not url.startswith("sqlite:///") or ":memory:" in url:
        return None
    return Path(url.removeprefix("sqlite:///").partition("?")[0])


def _below(root: Storage, name: str, *, key: str) -> str:
    if root.is_local:
        return root.path(f"{FOLDER}/{name}")
    raise ConfigError.invalid(
        where=WHERE,
        key=key,
        problem=f"must be given, because the artifact root {redact(root.uri)} is a bucket, which cannot hold it",
        hint="Set feature_store.registry to an SQL URL (postgresql+psycopg://user@host/feast) or a local path, and "
        "feature_store.online_store to {type: redis, connection_string: 'host:port'} or {type: sqlite, path: ...}.",
    )


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.lock")


def _check_type(kind: str) -> None:
    from feast.repo_config import ONLINE_STORE_CLASS_FOR_TYPE

    if kind not in ONLINE_STORE_CLASS_FOR_TYPE and "." not in kind:
        raise ConfigError.unknown_name(
            where=f"{WHERE}.online_store", kind="type of online store", name=kind, known=ONLINE_STORE_CLASS_FOR_TYPE
        )


def _check_client(kind: str) -> None:
    """Refuse a store whose client is not installed: Feast would fail on the import, wherever it comes to it."""
    import importlib.util

    modules, extra = _CLIENTS.get(kind, ((), ""))
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError.invalid(
            where=WHERE,
            key="feature_store.online_store.type",
            problem=f"{kind!r} needs {', '.join(missing)}, which is not installed",
            hint=f"pip install 'feast[{extra}]'",
        )


def _refused(error: ValidationError) -> ConfigError:
    """Say what Feast refuses, without the values."""
    problems = [f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}" for item in error.errors()]
    return ConfigError.invalid(
        where=WHERE,
        key="feature_store.online_store",
        problem="; ".join(problems),
        hint="Feast's documentation of this online store lists its keys.",
    )


def _locks_of_this_machine() -> Path:
    import getpass

    return Path(tempfile.gettempdir()) / f"mlpipe-locks-{getpass.getuser()}"
