"""A schema registry: which Avro schema a number stands for (the API of Confluent's, which others speak too)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable

if TYPE_CHECKING:
    import httpx

    from airflow_provider_mlpipe.config.kafka import SchemaRegistry

__all__ = ["Registry", "UnknownSchema"]

MAGIC = 0
HEAD = 5
"""Bytes before a framed value: the magic byte and the schema's number, big-endian."""


class UnknownSchema(Exception):  # noqa: N818 - it never leaves the package
    """The registry has no schema of this number."""


class Registry:
    """Asks a registry, each number once.

    Args:
        settings: where it is and who asks.
    """

    def __init__(self, settings: SchemaRegistry) -> None:
        self._settings = settings
        self._known: dict[int, Any] = {}
        self._client: httpx.Client | None = None

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close()

    def schema(self, number: int) -> Any:  # noqa: ANN401 - an Avro schema is any JSON
        """Return the Avro schema of a number.

        Raises:
            UnknownSchema: there is none.
            Unreadable: the registry refuses, or the schema is not Avro.
            Overloaded: the registry does not answer now.
        """
        if number not in self._known:
            self._known[number] = self._fetched(number)
        found = self._known[number]
        if isinstance(found, UnknownSchema):
            raise found
        return found

    def latest(self, subject: str) -> int | None:
        """Return the number of a subject's newest schema; None if it has none."""
        answer = self._get(f"/subjects/{quote(subject, safe='')}/versions/latest")
        return None if answer is None else int(answer["id"])

    def _fetched(self, number: int) -> Any:  # noqa: ANN401
        answer = self._get(f"/schemas/ids/{number}")
        if answer is None:
            return UnknownSchema(f"schema {number} is not in the registry")
        kind = answer.get("schemaType", "AVRO")
        if kind != "AVRO":
            return UnknownSchema(f"schema {number} is {kind}, not Avro")
        if answer.get("references"):
            return UnknownSchema(f"schema {number} refers to other schemas, which is not supported")
        return json.loads(answer["schema"])

    def _get(self, path: str) -> dict[str, Any] | None:
        answer = self._open().get(f"{self._settings.url.rstrip('/')}{path}")
        if answer.status_code == 404:
            return None
        if answer.status_code == 429 or answer.is_server_error:
            raise Overloaded(f"the schema registry answered {answer.status_code}")
        try:
            said = answer.json()
        except ValueError:
            said = None
        if not answer.is_success or not isinstance(said, dict):
            raise Unreadable(f"the schema registry answered {answer.status_code} to GET {path}, and no schema")
        return said

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            settings = self._settings
            auth = None
            if settings.username is not None and settings.password is not None:
                auth = httpx.BasicAuth(settings.username, settings.password.get_secret_value())
            self._client = httpx.Client(auth=auth, timeout=settings.timeout_seconds, trust_env=False)
        return self._client
