"""A REST endpoint as a source: page after page of records, typed together."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, did_you_mean
from airflow_provider_mlpipe.ingestion.connection import header_secrets, location_of, secrets_of
from airflow_provider_mlpipe.ingestion.detection import Frame, detected
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.records import expected_columns, frame_of
from airflow_provider_mlpipe.ingestion.rest import RestClient, same_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from airflow_provider_mlpipe.config import ApiSource, Configured, Source
    from airflow_provider_mlpipe.ingestion.connection import Connection
    from airflow_provider_mlpipe.ingestion.stream import Stream
    from airflow_provider_mlpipe.run import Run

__all__ = ["ApiReader"]


class ApiReader:
    """Reads all pages of an endpoint.

    Raises:
        ConfigError: the address is incomplete, or ``{start}`` stands in params and nothing says when that is.
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
    ) -> None:
        self._source, self._model, self._connection = source, model, connection
        self._sleep = sleep
        self._url = self._address()
        self._params = {name: self._filled(name, value, run, as_of) for name, value in model.params.items()}

    @property
    def location(self) -> str:
        """The address for people, without its query."""
        return location_of(self._url)

    @property
    def secrets(self) -> frozenset[str]:
        """Header values, passwords, and parameters that came from the environment."""
        found = set(self._connection.secrets | secrets_of(self._url))
        for value in self._model.headers.values():
            found |= header_secrets(value.get_secret_value())
        hidden = {path[len(self._source.path) :] for path in self._source.document.hidden}
        found |= {str(value) for name, value in self._params.items() if ("params", name) in hidden}
        return frozenset(found)

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Read all pages into a temporary file, then give the records."""
        headers = {"Accept": "application/json", **self._connection.headers}
        headers |= {name: value.get_secret_value() for name, value in self._model.headers.items()}
        client = RestClient(
            headers=headers,
            auth=self._connection.auth,
            timeout=self._model.timeout_seconds,
            max_retries=self._model.max_retries,
            sleep=self._sleep,
        )
        with client.session(), detected(self._frames(client), expected=expected_columns(self._model)) as stream:
            stream.counts.update(client.counts)
            yield stream

    def _frames(self, client: RestClient) -> Iterator[Frame]:
        for page, document in self._pages(client):

            def where(position: int, page: int = page) -> str:
                return f"record {position} of page {page}"

            yield frame_of(self._records(document, page), where)

    def _pages(self, client: RestClient) -> Iterator[tuple[int, Any]]:
        url, params = self._url, dict(self._params)
        seen: set[str] = set()
        for page in range(1, self._model.max_pages + 1):
            document = client.get(url, params)
            yield page, document
            following = self._following(document)
            if following is None:
                return
            if following in seen:
                raise Unreadable(f"page {page} points to a page that was read already, so it would never end")
            seen.add(following)
            url, params = self._step(url, following, params)
        raise self._refused(
            f"there are more than max_pages = {self._model.max_pages} pages",
            "Raise max_pages, or narrow the request with params.",
        )

    def _following(self, document: Any) -> str | None:  # noqa: ANN401 - any JSON
        """Return the link or token of the next page."""
        if self._model.next_key is None:
            return None
        value = _at(document, self._model.next_key)
        return None if value is None or value is False or value == "" else str(value)

    def _step(self, url: str, following: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        link = following.startswith(("http://", "https://"))
        if self._model.next_param is not None and not link:
            return self._url, {**params, self._model.next_param: following}
        target = urljoin(url, following)
        if not same_origin(self._url, target):
            raise Unreadable(f"its next page lies on another origin, {location_of(target)}")
        return target, {}

    def _records(self, document: Any, page: int) -> list[Any]:  # noqa: ANN401 - any JSON
        key = self._model.data_key
        if key is not None and key.startswith("$"):
            return _matches(key, document)
        found = document if key is None else _at(document, key, missing=_MISSING)
        if found is _MISSING:
            names = sorted(map(str, document)) if isinstance(document, dict) else []
            shown = f"it has: {', '.join(names)}" if names else f"it is {_kind(document)}"
            raise self._refused(
                f"page {page} has no data_key {key!r}; {shown}.{did_you_mean(str(key), names)}",
                "Set data_key to where the list of records is, e.g. tasks or result.items.",
            )
        if found is None:
            return []
        if not isinstance(found, list):
            keys = f" with the keys {', '.join(map(str, found))}" if isinstance(found, dict) else ""
            raise self._refused(
                f"page {page}: {'the answer' if key is None else key} is {_kind(found)}{keys}, not a list of records",
                "Set data_key to where the list of records is, e.g. tasks or result.items.",
            )
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

    def _filled(self, name: str, value: Any, run: Run, as_of: datetime | None) -> Any:  # noqa: ANN401 - any scalar
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str):
            return value
        interval = run.interval
        bounds = {
            "start": None if interval is None else interval.start,
            "end": as_of if as_of is not None or interval is None else interval.end,
        }
        for word, moment in bounds.items():
            marker = "{" + word + "}"
            if marker not in value:
                continue
            if moment is None:
                raise self._misconfigured(f"params.{name}", f"{marker} needs a data interval; this run has none")
            value = value.replace(marker, moment.isoformat())
        return value

    def _misconfigured(self, key: str, problem: str) -> ConfigError:
        return ConfigError.invalid(where=self._source.where(*key.split(".")), key=key, problem=problem)

    def _refused(self, problem: str, hint: str) -> SourceRejectedError:
        return SourceRejectedError.refused(source=self._source.name, location=self.location, problem=problem, hint=hint)


_MISSING = object()


def _at(document: Any, path: str, missing: Any = None) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at a dotted path; a key that itself holds dots comes first."""
    if isinstance(document, dict) and path in document:
        return document[path]
    for step in path.split("."):
        if not isinstance(document, dict) or step not in document:
            return missing
        document = document[step]
    return document


def _matches(path: str, document: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    from jsonpath_ng import parse
    from jsonpath_ng.exceptions import JSONPathError

    try:
        found = [match.value for match in parse(path).find(document)]
    except JSONPathError as error:
        raise Unreadable(f"data_key {path!r} is no JSONPath: {error}") from None
    if not found:
        raise Unreadable(f"data_key {path!r} matches nothing in the answer, which is {_kind(document)}")
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
