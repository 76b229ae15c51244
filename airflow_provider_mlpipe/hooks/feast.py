"""`FeastHook`: an Airflow connection of type ``feast`` says where Feast is, secrets and all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_mlpipe.errors import ConfigError, MlpipeError
from airflow_provider_mlpipe.hooks.connections import lookup, s3_options, unusable
from airflow_provider_mlpipe.hooks.forms import FEAST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["FeastHook", "merged"]

PLACES = frozenset({"project", "registry", "online_store", "repo"})
"""What a connection decides as a whole: which Feast it is. The rest of a ``feature_store`` section is how to use it."""

_PLAIN = ("project", "registry", "repo", "read_back")
"""Fields of the form that are settings of the section as they stand. Whether validation is required is not among them:
to switch the gate off belongs in a file that people review."""


def merged(
    section: Mapping[str, Any], connection: Mapping[str, Any] | None, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return one ``feature_store`` section of what a YAML says, a connection, and an operator's own argument.

    Later ones go before earlier ones. A connection says as a whole which Feast it is: of the YAML's section only how
    to use it remains.
    """
    decided = PLACES | {"offline_store"} if connection and connection.get("repo") else PLACES
    kept = dict(section) if connection is None else {k: v for k, v in section.items() if k not in decided}
    return {**kept, **(connection or {}), **(given or {})}


class FeastHook(BaseHook):
    """Where Feast is, by an Airflow connection.

    Example::

        FeastHook("feast_production").get_conn().get_online_features(...)

    Args:
        feast_conn_id: the connection's id.
        artifact_root: below which the offline data are, and what the connection leaves open; ``[mlpipe] artifact_root``
            if None.
        artifact_conn_id: the ``aws`` connection of an artifact root on S3; ``[mlpipe] artifact_conn_id`` if None.
    """

    conn_name_attr = "feast_conn_id"
    default_conn_name = "feast_default"
    conn_type = "feast"
    hook_name = "Feast"

    def __init__(
        self,
        feast_conn_id: str = default_conn_name,
        *,
        artifact_root: str | None = None,
        artifact_conn_id: str | None = None,
    ) -> None:
        super().__init__()
        self.feast_conn_id = feast_conn_id
        self.artifact_root = artifact_root
        self.artifact_conn_id = artifact_conn_id

    def get_conn(self) -> Any:  # noqa: ANN401 - feast has no types
        """Return the `feast.FeatureStore`.

        Raises:
            ConfigError: there is no such connection, or it says nothing that Feast can use.
            StoreUnavailableError: the registry does not answer.
        """
        from airflow_provider_mlpipe.feature_store import open_store

        return open_store(self.feature_store(), self.root())

    def feature_store(self) -> FeatureStore:
        """Return the settings that the stages take.

        Raises:
            ConfigError: there is no such connection, or something in it is wrong; never shows a secret.
        """
        from airflow_provider_mlpipe.config import feature_store

        return feature_store({"feature_store": self.section()}).model

    def section(self) -> dict[str, Any]:
        """Return what the connection says, as it would stand in a YAML's ``feature_store`` section.

        Raises:
            ConfigError: as `feature_store`.
        """
        connection = lookup(self.feast_conn_id)
        if connection.conn_type not in {"feast", "", None}:
            problem = f"it is of type {connection.conn_type!r}, not 'feast'"
            raise unusable(self.feast_conn_id, problem, "Give the id of a connection of type feast.")
        extra = {name: value for name, value in connection.extra_dejson.items() if value not in (None, "")}
        known = {*FEAST["conn-fields"]}
        for name in extra:
            if name not in known:
                where = f"connection {self.feast_conn_id!r}"
                raise ConfigError.unknown_name(where=where, kind="field", name=name, known=known)
        found = {name: extra[name] for name in _PLAIN if name in extra}
        if "registry" in found and "registry_password" in extra:
            found["registry"] = _with_password(found["registry"], extra["registry_password"])
        online = self._online(extra, connection.password or "")
        if online:
            found["online_store"] = online
        self._mask(found)
        return found

    def root(self) -> Storage:
        """Return the artifact root."""
        from airflow_provider_mlpipe.artifacts import Storage
        from airflow_provider_mlpipe.hooks import settings

        place = self.artifact_root or settings.artifact_root()
        conn_id = self.artifact_conn_id or settings.artifact_conn_id()
        return Storage(place.rstrip("/"), s3_options(conn_id if place.startswith("s3://") else None))

    def test_connection(self) -> tuple[bool, str]:
        """Ask registry and online store, for the "Test" button; say what is there, or what is wrong and what to do."""
        from airflow_provider_mlpipe.feature_store import probe

        try:
            views = probe(self.feature_store(), root=self.root())
        except MlpipeError as error:
            return False, str(error)
        if not views:
            return True, "Registry and online store answer. No feature view is registered yet."
        return True, f"Registry and online store answer. Feature views: {', '.join(views)}."

    def _online(self, extra: Mapping[str, Any], password: str) -> dict[str, Any]:
        """Return Feast's settings of the online store; none if the connection leaves them open."""
        address, settings = str(extra.get("online_connection", "")), self._settings(extra.get("online_settings"))
        kind = str(extra.get("online_type") or settings.get("type") or _kind_of(address))
        if not kind:
            if address or settings or password:
                hint = "Set the online store's type: sqlite, redis, postgres, dynamodb ..."
                raise unusable(self.feast_conn_id, "it does not say of what type the online store is", hint)
            return {}
        return {"type": kind, **self._address(kind, address, password), **settings}

    def _address(self, kind: str, address: str, password: str) -> dict[str, Any]:
        if kind == "redis":
            return {"connection_string": self._redis(address, password)} if address else {}
        if kind == "sqlite":
            return {"path": address} if address else {}
        if kind == "postgres" and address:
            return _postgres(address, password)
        if address:
            problem = f"an address means nothing to an online store of type {kind!r}"
            raise unusable(self.feast_conn_id, problem, "Give Feast's settings of this store as JSON.")
        return {"password": password} if password else {}

    def _redis(self, address: str, password: str) -> str:
        from pydantic import ValidationError

        from airflow_provider_mlpipe.config import FeatureStore

        if "://" in address:
            try:
                address = FeatureStore(online_store=address).online_store["connection_string"]
            except (ValidationError, KeyError):  # its text shows the value, which may hold a password
                hint = "Write redis://user@host:6379/0 or rediss://..., the password in its own field."
                raise unusable(self.feast_conn_id, "the address is no Redis URL that Feast can use", hint) from None
        if not password:
            return address
        if "," in password:
            hint = "Choose a password without one: Feast separates its settings with commas."
            raise unusable(self.feast_conn_id, "the password holds a comma", hint)
        return f"{address},password={password}"

    def _settings(self, given: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON, or text of it
        try:
            found = json.loads(given) if isinstance(given, str) else (given or {})
        except ValueError:
            found = None
        if not isinstance(found, dict):
            hint = 'Write {"region": "eu-west-1"} or leave it empty.'
            raise unusable(self.feast_conn_id, "the online store's settings are no JSON object", hint)
        return found

    @staticmethod
    def _mask(section: Mapping[str, Any]) -> None:
        """Make Airflow mask every secret, wherever in the connection it stood."""
        from airflow_provider_mlpipe.feature_store.translation import hidden_values

        online = section.get("online_store", {})
        for secret in hidden_values({"registry": section.get("registry", ""), **online}):
            mask_secret(secret)
            mask_secret(unquote(secret))


def _kind_of(address: str) -> str:
    return {"redis": "redis", "rediss": "redis", "postgresql": "postgres", "postgres": "postgres"}.get(
        address.partition("://")[0] if "://" in address else "", ""
    )


def _with_password(url: str, password: str) -> str:
    """Return a URL with a password for its user; a path as it is."""
    parts = urlsplit(url)
    if not parts.hostname:
        return url
    place = parts.netloc.rpartition("@")[2]
    user = quote(unquote(parts.username or ""), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))


def _postgres(address: str, password: str) -> dict[str, Any]:
    parts = urlsplit(address if "://" in address else f"postgresql://{address}")
    found = {
        "host": parts.hostname,
        "port": parts.port,
        "database": unquote(parts.path.strip("/")),
        "user": unquote(parts.username or ""),
        "password": password or unquote(parts.password or ""),
    }
    return {name: value for name, value in found.items() if value}
