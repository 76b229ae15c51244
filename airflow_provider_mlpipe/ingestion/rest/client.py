"""Asking a REST endpoint: retries, waiting as long as it asks for, and never showing a credential to another origin."""

from __future__ import annotations

import codecs
import hashlib
import logging
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.connection import Certificates, Route
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable, is_transient
from airflow_provider_mlpipe.ingestion.records import parsed
from airflow_provider_mlpipe.ingestion.rest.routes import client, not_through, proxy_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx
    from tenacity import RetryCallState

    from airflow_provider_mlpipe.ingestion.rest.authentication import Authentication
    from airflow_provider_mlpipe.ingestion.rest.limits import Budget, Deadline, Pace

__all__ = ["Answer", "Ask", "NotFound", "RestClient", "retry_after", "same_origin"]

LONGEST_WAIT = 60.0
"""Seconds; also the most that a Retry-After header gets."""

MOST_REDIRECTS = 5
PIECE = 256 * 1024
_AGAIN = frozenset([408, 425, 429])
_NO_CONTENT, _UNAUTHORIZED, _NOT_FOUND = 204, 401, 404


class NotFound(Unreadable):
    """The endpoint answered 404: past the last page, some do."""


@dataclass(frozen=True)
class Ask:
    """One request: an address, and parameters beside those that it holds."""

    url: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        url: what answered, after redirects.
        document: the JSON.
        headers: of the answer.
        links: addresses by relation, from the ``Link`` header.
        digest: tells answers apart.
    """

    url: str
    document: Any
    headers: Mapping[str, str]
    links: Mapping[str, str]
    digest: bytes


@dataclass
class RestClient:
    """One session with one endpoint; several threads may use it.

    Attributes:
        home: an address of the origin that headers and credentials are for.
        headers: sent there with every request.
        authentication: signs requests to it.
        timeout: seconds, for connecting and between two pieces of an answer.
        max_retries: further tries of one request.
        pace: how fast.
        deadline: how long.
        budget: how many bytes.
        allowed: further origins that redirects may lead to.
        certificates: for https.
        route: by which proxies.
        sleep: waits between tries.
        counts: requests answered, and repeated.
    """

    home: str
    headers: Mapping[str, str] = field(repr=False)
    authentication: Authentication = field(repr=False)
    timeout: float
    max_retries: int
    pace: Pace
    deadline: Deadline
    budget: Budget
    allowed: Sequence[str] = ()
    certificates: Certificates = field(default_factory=Certificates)
    route: Route = field(default_factory=Route)
    sleep: Callable[[float], None] = time.sleep
    counts: dict[str, int] = field(default_factory=lambda: {"requests": 0, "retries": 0})
    _client: httpx.Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _asking: threading.local = field(default_factory=threading.local, repr=False)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep connections open while the context lasts."""
        # Redirects are followed here, where the origin is looked at before any header is sent.
        opened = client(self.route, verify=_tls_context(self.certificates), timeout=self.timeout)
        with self._unlogged(), opened:
            self._client = opened
            yield

    def get(self, ask: Ask) -> Answer:
        """Return what the endpoint answers.

        Raises:
            Overloaded: 429 or 5xx, still after all tries; or the deadline has passed.
            NotFound: 404.
            Unreadable: another status, a redirect to another origin, no JSON, or too long.
            httpx.HTTPError: not reachable, still after all tries.
        """
        import tenacity

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.max_retries + 1),
            retry=tenacity.retry_if_exception(lambda error: bool(is_transient(error)) and self.deadline.left > 0),
            wait=lambda state: min(_wait(state), max(self.deadline.left, 0.0)),
            sleep=self.sleep,
            before_sleep=lambda _: self._count("retries"),
            reraise=True,
        )
        self._asking.now = True
        try:
            answer: Answer = retrying(self._answer, ask)
        finally:
            self._asking.now = False
        return answer

    def reach(self, ask: Ask) -> None:
        """Ask once, and look at nothing but whether it is answered: of a good answer the body is not read.

        Raises:
            As `get`, without a second try.
        """
        self._asking.now = True
        try:
            response, content = self._followed(ask, self._complaint)
        finally:
            self._asking.now = False
        if not response.is_success:
            _judged(response, content, self._hidden)

    def allows(self, url: str) -> bool:
        """Return whether a redirect or link may lead to `url`."""
        return any(same_origin(origin, url) for origin in (self.home, *self.allowed))

    def _count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def _answer(self, ask: Ask) -> Answer:
        response, content = self._followed(ask, self._content)
        return _judged(response, content, self._hidden)

    def _followed(self, ask: Ask, read: Callable[[httpx.Response], bytes]) -> tuple[httpx.Response, bytes]:
        """Return what is answered in the end; `read` takes the content of each answer on the way."""
        import httpx

        target = httpx.URL(ask.url)
        target = target.copy_merge_params(dict(ask.params)) if ask.params else target
        for _ in range(MOST_REDIRECTS + 1):
            response, content = self._send(target, read)
            if response.next_request is None:
                return response, content
            target, origin = response.next_request.url, target
            if not same_origin(str(origin), str(target)) and not self.allows(str(target)):
                raise Unreadable(f"it redirects to another origin, {target.scheme}://{target.host}")
        raise Unreadable(f"it redirects more than {MOST_REDIRECTS} times")

    def _send(self, target: httpx.URL, read: Callable[[httpx.Response], bytes]) -> tuple[httpx.Response, bytes]:
        """Ask once, or twice if the credentials may have run out meanwhile."""
        assert self._client is not None, "session() is open"  # noqa: S101
        own = same_origin(self.home, str(target))
        while True:
            self.deadline.check()
            self.pace.wait()
            request = self._client.build_request("GET", target, headers=self.headers if own else None)
            request.headers.setdefault("Accept", "application/json")
            with self._by_proxy(str(target)):
                if own:
                    self.authentication.sign(request, self._client)
                response = self._client.send(request, stream=True)
            try:
                content = read(response)
            finally:
                response.close()
            self._count("requests")
            if response.status_code != _UNAUTHORIZED or not own or not self.authentication.refused():
                return response, content

    @contextmanager
    def _by_proxy(self, url: str) -> Iterator[None]:
        """Tell a proxy that cannot be reached, or refuses, from the endpoint itself."""
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ProxyError) as error:
            proxy = proxy_of(self.route, url)
            # What is wrong with the endpoint's certificate is none of a proxy's.
            if not proxy or not is_transient(error):
                raise
            raise not_through(error, proxy) from error

    def _complaint(self, response: httpx.Response) -> bytes:
        return b"" if response.is_success else self._content(response)

    def _content(self, response: httpx.Response) -> bytes:
        """Read the answer piece by piece: one without end, or unpacking to one, is stopped in time."""
        pieces: list[bytes] = []
        length = 0
        for piece in response.iter_bytes(PIECE):
            self.deadline.check()
            length += len(piece)
            self.budget.spend(len(piece), length)
            pieces.append(piece)
        return b"".join(pieces)

    def _hidden(self, text: str) -> str:
        """Hide the credentials of now; those of the configuration are hidden by the edge, too."""
        for secret in sorted(self.authentication.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    @contextmanager
    def _unlogged(self) -> Iterator[None]:
        """Keep httpx from logging this client's addresses: their queries may hold keys."""
        log = logging.getLogger("httpx")

        def others(_: logging.LogRecord) -> bool:
            return not getattr(self._asking, "now", False)

        log.addFilter(others)
        try:
            yield
        finally:
            log.removeFilter(others)


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


def _judged(response: httpx.Response, content: bytes, hidden: Callable[[str], str]) -> Answer:
    said = hidden(content[:4096].decode(response.encoding or "utf-8", errors="replace").strip())
    if not response.is_success:
        problem = f"it answered {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code in _AGAIN or response.is_server_error:
            raise Overloaded(problem, retry_after(response.headers))
        kind = NotFound if response.status_code == _NOT_FOUND else Unreadable
        raise kind(f"{problem}: {said[:200]!r}" if said else problem)
    try:
        document = None if response.status_code == _NO_CONTENT else parsed(_utf8(response, content))
    except ValueError as error:
        form = response.headers.get("content-type", "an unknown type").partition(";")[0]
        raise Unreadable(f"it answered {form} that is no JSON ({error}): {said[:80]!r}") from None
    links = {name: link["url"] for name, link in response.links.items() if name and link.get("url")}
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return Answer(str(response.url), document, response.headers, links, digest)


def _utf8(response: httpx.Response, content: bytes) -> bytes:
    """Return JSON in its own encoding, from one that the answer names, and without the mark that some put before it.

    Raises:
        ValueError: it is not what it is said to be.
    """
    said = response.charset_encoding or "utf-8"
    try:
        plain = codecs.lookup(said).name == "utf-8"
    except LookupError as error:
        raise ValueError(str(error)) from error
    return (content if plain else content.decode(said).encode()).removeprefix(codecs.BOM_UTF8)


def _tls_context(certificates: Certificates) -> ssl.SSLContext | bool:
    """Return what a client verifies servers by; True for what everybody trusts.

    Raises:
        Unreadable: a file is not there, or holds no certificate.
    """
    if certificates == Certificates():
        return True
    import ssl

    try:
        context = ssl.create_default_context(cafile=certificates.ca_file or None)
        if not certificates.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificates.cert_file:
            context.load_cert_chain(certificates.cert_file, certificates.key_file or None)
    except OSError as error:  # ssl.SSLError is one
        files = [certificates.ca_file, certificates.cert_file, certificates.key_file]
        names = ", ".join(filter(None, files))
        raise Unreadable(f"the certificates in {names} cannot be used: {error.strerror or error}") from error
    return context


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
