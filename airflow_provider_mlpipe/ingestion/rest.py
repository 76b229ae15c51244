"""Asking a REST endpoint: retries, waiting as long as it asks for, and never showing a token to another origin."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx
    from tenacity import RetryCallState

__all__ = ["RestClient", "retry_after", "same_origin"]

LONGEST_WAIT = 60.0
"""Seconds; also the most that a Retry-After header gets."""

MOST_REDIRECTS = 5
_AGAIN = frozenset([408, 425, 429])


@dataclass
class RestClient:
    """One session with one origin.

    Attributes:
        headers: sent with every request.
        auth: for HTTP basic authentication.
        timeout: seconds, for connecting and between two pieces of an answer.
        max_retries: further tries of one request.
        sleep: waits between tries.
        counts: requests answered, and repeated.
    """

    headers: Mapping[str, str] = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)
    timeout: float
    max_retries: int
    sleep: Callable[[float], None] = time.sleep
    counts: dict[str, int] = field(default_factory=lambda: {"requests": 0, "retries": 0})
    _client: httpx.Client | None = None

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep connections open while the context lasts."""
        import httpx

        # Redirects are followed here, where the origin is looked at before any header is sent.
        client = httpx.Client(headers=self.headers, auth=self.auth, timeout=self.timeout, follow_redirects=False)
        with _unlogged(), client:
            self._client = client
            yield

    def get(self, url: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON document at `url`.

        Raises:
            Overloaded: 429 or 5xx, still after all tries.
            Unreadable: another status, a redirect to another origin, or no JSON.
            httpx.HTTPError: not reachable, still after all tries.
        """
        import httpx
        import tenacity

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.max_retries + 1),
            retry=tenacity.retry_if_exception_type((Overloaded, httpx.TransportError)),
            wait=_wait,
            sleep=self.sleep,
            before_sleep=self._count_retry,
            reraise=True,
        )
        return _document(retrying(self._answer, url, params))

    def _count_retry(self, _: RetryCallState) -> None:
        self.counts["retries"] += 1

    def _answer(self, url: str, params: Mapping[str, Any] | None) -> httpx.Response:
        import httpx

        assert self._client is not None, "session() is open"  # noqa: S101
        request = self._client.build_request("GET", httpx.URL(url, params=dict(params)) if params else url)
        for _ in range(MOST_REDIRECTS + 1):
            response = self._client.send(request)
            self.counts["requests"] += 1
            if response.next_request is None:
                return _judged(response)
            target = response.next_request.url
            if not same_origin(str(request.url), str(target)):
                raise Unreadable(f"it redirects to another origin, {target.scheme}://{target.host}")
            request = self._client.build_request("GET", target)
        raise Unreadable(f"it redirects more than {MOST_REDIRECTS} times")


def same_origin(first: str, second: str) -> bool:
    """Return whether two addresses have scheme, host and port in common, or the second is the first's HTTPS.

    >>> same_origin("http://api/x", "https://api/x"), same_origin("https://api/x", "http://api/x")
    (True, False)
    """
    import httpx

    one, other = httpx.URL(first), httpx.URL(second)
    ports = {"http": 80, "https": 443}
    mine, theirs = ((url.scheme, url.port or ports.get(url.scheme)) for url in (one, other))
    return one.host == other.host and (mine == theirs or (mine == ("http", 80) and theirs == ("https", 443)))


def _judged(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    problem = f"it answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code in _AGAIN or response.is_server_error:
        raise Overloaded(problem, retry_after(response.headers))
    raise Unreadable(f"{problem}: {response.text.strip()[:200]!r}" if response.text.strip() else problem)


def _document(response: httpx.Response) -> Any:  # noqa: ANN401 - any JSON
    import orjson

    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        kind = response.headers.get("content-type", "an unknown type").partition(";")[0]
        raise Unreadable(f"it answered {kind} instead of JSON: {response.text.strip()[:80]!r}") from None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how long the endpoint asks to wait, in seconds, at most a minute; None if it does not ask.

    >>> retry_after({"Retry-After": "7"}), retry_after({"Retry-After": "3600"}), retry_after({})
    (7.0, 60.0, None)
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
        # The endpoint's own clock if it tells it: ours may differ.
        now = parsedate_to_datetime(headers["Date"]) if "Date" in headers else datetime.now(UTC)
        return min(max((until - now) / timedelta(seconds=1), 0.0), LONGEST_WAIT)
    except (ValueError, TypeError):
        return None


def _wait(state: RetryCallState) -> float:
    """Return what the endpoint asks for and a little, else a random part of 1, 2, 4 ... seconds."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait if isinstance(error, Overloaded) else None
    if asked is not None:
        return asked + random.uniform(0, 0.25)  # noqa: S311 - spreads clients, hides nothing
    return random.uniform(0, min(2.0 ** (state.attempt_number - 1), LONGEST_WAIT))  # noqa: S311


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep httpx from logging this thread's addresses: their queries may hold keys."""
    thread = threading.get_ident()
    log = logging.getLogger("httpx")

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    log.addFilter(others)
    try:
        yield
    finally:
        log.removeFilter(others)
