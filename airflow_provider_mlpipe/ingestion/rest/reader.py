"""A REST endpoint as a source: page after page of records, typed together."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config.rest import requests_per_second
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, did_you_mean
from airflow_provider_mlpipe.ingestion.connection import header_secrets, location_of, secrets_of
from airflow_provider_mlpipe.ingestion.detection import Frame, detected
from airflow_provider_mlpipe.ingestion.markers import filled, moments_of
from airflow_provider_mlpipe.ingestion.records import expected_columns, frame_of
from airflow_provider_mlpipe.ingestion.rest.authentication import MissingCredentialError, authentication_of
from airflow_provider_mlpipe.ingestion.rest.client import Ask, RestClient, same_origin
from airflow_provider_mlpipe.ingestion.rest.documents import MISSING, at, kind, matches
from airflow_provider_mlpipe.ingestion.rest.fetching import pages
from airflow_provider_mlpipe.ingestion.rest.limits import Budget, Deadline, Pace
from airflow_provider_mlpipe.ingestion.rest.pagination import pager_of
from airflow_provider_mlpipe.run import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.config import ApiSource, Configured, Source
    from airflow_provider_mlpipe.ingestion.connection import Certificates, Connection
    from airflow_provider_mlpipe.ingestion.rest.client import Answer
    from airflow_provider_mlpipe.ingestion.stream import Stream
    from airflow_provider_mlpipe.run import Run

__all__ = ["ApiReader"]


class ApiReader:
    """Reads all pages of an endpoint.

    Raises:
        ConfigError: the address or a credential is missing, or ``{start}`` stands in params and nothing says when that
            is.
    """

    def __init__(
        self,
        source: Configured[Source],
        model: ApiSource,
        connection: Connection,
        *,
        run: Run,
        as_of: datetime | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._model, self._connection = source, model, connection
        self._sleep, self._clock = sleep, clock
        moments = moments_of(run, as_of)
        params = {name: self._filled(name, value, moments) for name, value in model.params.items()}
        self._start = Ask(self._address(), params)
        try:
            self._authentication = authentication_of(model.auth, connection, clock=clock)
        except MissingCredentialError as error:
            problem = f"{error} is neither here nor in a connection"
            raise self._misconfigured(
                "auth", problem, "Write ${NAME} and set that variable, or name a conn_id."
            ) from None

    @property
    def location(self) -> str:
        """The address for people, without its query."""
        return location_of(self._start.url)

    @property
    def secrets(self) -> frozenset[str]:
        """Credentials, header values, and parameters that came from the environment."""
        found = set(self._connection.secrets | secrets_of(self._start.url)) | self._authentication.secrets
        for value in self._model.headers.values():
            found |= header_secrets(value.get_secret_value())
        hidden = {path[len(self._source.path) :] for path in self._source.document.hidden}
        found |= {str(value) for name, value in self._start.params.items() if ("params", name) in hidden}
        return frozenset(found)

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Read all pages into a temporary file, then give the records."""
        client = self._client()
        told: dict[str, Any] = {}
        with (
            client.session(),
            detected(
                self._frames(client, told),
                expected=expected_columns(self._model),
                structs=self._model.nested == "struct",
            ) as stream,
        ):
            stream.counts.update(client.counts, pages=told["pages"])
            stream.details["pagination"] = told
            yield stream

    def reach(self) -> None:
        """Ask for the first page, and look at nothing but whether the endpoint answers."""
        client = self._client()
        with client.session():
            client.reach(self._start)

    def _client(self) -> RestClient:
        model = self._model
        return RestClient(
            home=self._start.url,
            headers={
                "Accept": "application/json",
                **self._connection.headers,
                **{name: value.get_secret_value() for name, value in model.headers.items()},
            },
            authentication=self._authentication,
            timeout=self._timeout(),
            max_retries=model.max_retries,
            pace=Pace(
                None if model.rate_limit is None else requests_per_second(model.rate_limit),
                sleep=self._sleep,
                clock=self._clock,
            ),
            deadline=Deadline(duration(model.deadline).total_seconds(), model.deadline, clock=self._clock),
            budget=Budget(total=model.max_bytes, each=model.max_page_bytes),
            allowed=model.allow_origins,
            certificates=self._certificates(),
            route=self._connection.route,
            sleep=self._sleep,
        )

    def _timeout(self) -> float:
        theirs = self._connection.timeout
        said = "timeout_seconds" in self._model.model_fields_set
        return self._model.timeout_seconds if said or theirs is None else theirs

    def _certificates(self) -> Certificates:
        """Return those of the configuration, and of the connection where it names none."""
        theirs = self._connection.certificates
        given = {name: value for name, value in self._model.tls.model_dump().items() if value is not None}
        if "cert_file" in given:  # a key belongs to its own certificate
            given.setdefault("key_file", "")
        return replace(theirs, **given)

    def _frames(self, client: RestClient, told: dict[str, Any]) -> Iterator[Frame]:
        pager = pager_of(self._model, self._start, client.allows)

        def ended(number: int, reason: str) -> None:
            told.update(paginator=pager.name, pages=number, ended=reason)

        found = pages(
            client,
            pager,
            self._start,
            self._records,
            max_pages=self._model.max_pages,
            prefetch=self._model.prefetch,
            ended=ended,
        )
        for page, records in found:

            def where(position: int, page: int = page) -> str:
                return f"record {position} of page {page}"

            yield frame_of(records, where, flat=self._model.nested == "flatten")

    def _records(self, page: int, answer: Answer) -> list[Any]:
        key, document = self._model.data_key, answer.document
        if document is None:  # 204, or what Go writes for a list without items
            return []
        if key is not None and key.startswith("$"):
            return matches(key, document)
        found = document if key is None else at(document, key, missing=MISSING)
        if found is MISSING:
            names = sorted(map(str, document)) if isinstance(document, dict) else []
            shown = f"it has: {', '.join(names)}" if names else f"it is {kind(document)}"
            raise self._refused(f"page {page} has no data_key {key!r}; {shown}.{did_you_mean(str(key), names)}")
        if found is None:
            return []
        if not isinstance(found, list):
            keys = f" with the keys {', '.join(map(str, found))}" if isinstance(found, dict) else ""
            what = "the answer" if key is None else key
            raise self._refused(f"page {page}: {what} is {kind(found)}{keys}, not a list of records")
        return found

    def _address(self) -> str:
        base = self._connection.uri
        if self._model.url.startswith(("http://", "https://")):
            # Headers and password of the connection are for its own host.
            if base and not same_origin(base, self._model.url):
                raise self._misconfigured("url", "lies on another origin than its connection")
            return self._model.url
        if not base.startswith(("http://", "https://")):
            raise self._misconfigured("url", "must start with http:// or https://, or be relative to a conn_id")
        return f"{base.rstrip('/')}/{self._model.url.lstrip('/')}"

    def _filled(self, name: str, value: Any, moments: Mapping[str, datetime | None]) -> Any:  # noqa: ANN401 - any scalar
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str):
            return value
        return filled(value, moments, lambda problem: self._misconfigured(f"params.{name}", problem))

    def _misconfigured(self, key: str, problem: str, hint: str = "") -> ConfigError:
        return ConfigError.invalid(where=self._source.where(*key.split(".")), key=key, problem=problem, hint=hint)

    def _refused(self, problem: str) -> SourceRejectedError:
        hint = "Set data_key to where the list of records is, e.g. tasks or result.items."
        return SourceRejectedError.refused(source=self._source.name, location=self.location, problem=problem, hint=hint)
