"""Plugged into Feast: its PostgreSQL online store, with connections in UTC.

Feast loads this module by name (``online_store.type``), on Spark's workers too; nothing else imports it, because it
imports Feast and psycopg. The stock class hands event times to the server as UTC without a zone, for columns with one:
on a server, or for a user, of another zone they arrive hours off. Whoever compares them then takes newer rows for older
ones, or the other way round. Nor does it ever close a connection; here it goes with the store.
"""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from feast.infra.online_stores.postgres_online_store.postgres import (
    PostgreSQLOnlineStore,
    PostgreSQLOnlineStoreConfig,
)
from pydantic import field_validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feast import RepoConfig

__all__ = ["MlpipePostgresOnlineStore", "MlpipePostgresOnlineStoreConfig"]


class MlpipePostgresOnlineStoreConfig(PostgreSQLOnlineStoreConfig):  # type: ignore[misc]  # feast has no types
    """Feast's own settings; of its own type to Feast's eyes, which looks for that name here and there."""

    type: Literal["postgres"] = "postgres"

    @field_validator("type", mode="before")
    @classmethod
    def _known_to_feast(cls, _: Any) -> str:  # noqa: ANN401 - whatever Feast found the class by
        return "postgres"


class MlpipePostgresOnlineStore(PostgreSQLOnlineStore):  # type: ignore[misc]  # feast has no types
    """Feast's store over connections whose zone is UTC."""

    def __init__(self) -> None:
        super().__init__()
        self._closing: set[Any] = set()

    @contextmanager
    def _get_conn(self, config: RepoConfig, autocommit: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002
        with super()._get_conn(config, autocommit=autocommit) as connection:
            if connection.info.parameter_status("TimeZone") != "UTC":  # known to the client; it costs no question
                connection.execute("SET TIME ZONE 'UTC'")
                connection.commit()  # a rollback would take it back
            for opened in {self._conn, self._conn_pool} - {None} - self._closing:
                self._closing.add(opened)
                weakref.finalize(self, opened.close)
            yield connection
