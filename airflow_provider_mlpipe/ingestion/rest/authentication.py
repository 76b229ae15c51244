"""Who asks: credentials from the YAML, or from the connection where the YAML leaves them out."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus

from airflow_provider_mlpipe.config.rest import ApiKeyAuth, BasicAuth, BearerAuth, OAuth2Auth
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from pydantic import SecretStr

    from airflow_provider_mlpipe.config.rest import Auth
    from airflow_provider_mlpipe.ingestion.connection import Connection

__all__ = ["Authentication", "MissingCredentialError", "authentication_of"]

RENEW_BEFORE = 30.0
"""Seconds before a token runs out in which it is not used any more: the request has to arrive, too."""

LIFE_UNLESS_TOLD = 300.0
"""Seconds that a token is used if its server does not say; ``expires_in`` is only recommended (RFC 6749, 5.1)."""


class MissingCredentialError(Exception):
    """Neither the YAML nor the connection has it; the argument is its key."""


class Authentication(Protocol):
    """Puts credentials on requests."""

    @property
    def secrets(self) -> set[str]:
        """Texts that no message may hold, as of now."""

    def sign(self, request: httpx.Request, client: httpx.Client) -> None:
        """Add the credentials to a request to the endpoint's own origin."""

    def refused(self) -> bool:
        """Take note of a 401; return whether asking once more may help."""


@dataclass
class _Static:
    """Credentials that are known beforehand.

    Attributes:
        add: puts them on a request.
    """

    add: Callable[[httpx.Request], None]
    secrets: set[str] = field(default_factory=set, repr=False)

    def sign(self, request: httpx.Request, client: httpx.Client) -> None:  # noqa: ARG002 - the protocol's
        self.add(request)

    def refused(self) -> bool:
        return False


def authentication_of(
    auth: Auth | None, connection: Connection, *, clock: Callable[[], float] = time.monotonic
) -> Authentication:
    """Return what signs the requests of a source.

    Raises:
        MissingCredentialError: a credential is neither in the YAML nor in the connection.
    """
    login, password = connection.auth or ("", "")
    if isinstance(auth, OAuth2Auth):
        return _ClientCredentials(
            settings=auth,
            client_id=_given(auth.client_id, login, "client_id"),
            client_secret=_given(auth.client_secret, password, "client_secret"),
            clock=clock,
        )
    if isinstance(auth, BearerAuth):
        return _header("Authorization", _given(auth.token, password, "token"), "Bearer ")
    if isinstance(auth, ApiKeyAuth):
        key = _given(auth.key, password, "key")
        return _header(auth.name, key) if auth.place == "header" else _parameter(auth.name, key)
    if isinstance(auth, BasicAuth):
        return _basic(_given(auth.username, login, "username"), _given(auth.password, password, "password"))
    return _basic(login, password) if login else _Static(lambda _: None)


def _given(stated: str | SecretStr | None, otherwise: str, key: str) -> str:
    value = otherwise if stated is None else stated if isinstance(stated, str) else stated.get_secret_value()
    if not value:
        raise MissingCredentialError(key)
    return value


def _header(name: str, value: str, prefix: str = "") -> _Static:
    def add(request: httpx.Request) -> None:
        request.headers[name] = f"{prefix}{value}"

    return _Static(add, {value})


def _parameter(name: str, value: str) -> _Static:
    def add(request: httpx.Request) -> None:
        request.url = request.url.copy_set_param(name, value)

    return _Static(add, {value})


def _basic(username: str, password: str) -> _Static:
    value = _basic_value(username, password)
    static = _header("Authorization", value)
    static.secrets |= {password, value.partition(" ")[2]}
    return static


def _basic_value(username: str, password: str) -> str:
    """Return the header of HTTP basic authentication (RFC 7617)."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


@dataclass
class _ClientCredentials:
    """OAuth 2.0 client credentials grant, RFC 6749 section 4.4; the pair is form-encoded first, as its 2.3.1 says."""

    settings: OAuth2Auth
    client_id: str
    client_secret: str = field(repr=False)
    clock: Callable[[], float] = time.monotonic
    _token: str = field(default="", repr=False)
    _until: float = 0.0
    _seen: set[str] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _renewals: int = 0

    @property
    def secrets(self) -> set[str]:
        return {self.client_secret, *self._seen}

    def sign(self, request: httpx.Request, client: httpx.Client) -> None:
        with self._lock:
            if self.clock() >= self._until:
                self._fetch(client)
            request.headers["Authorization"] = f"Bearer {self._token}"

    def refused(self) -> bool:
        """Drop a token that was good by its own word; a fresh one that is refused will not get better."""
        with self._lock:
            fresh, self._until = self._renewals == 0, 0.0
            self._renewals += 1
        return fresh

    def _fetch(self, client: httpx.Client) -> None:
        form = {"grant_type": "client_credentials", **self.settings.parameters}
        if self.settings.scope:
            form["scope"] = self.settings.scope
        headers = {"Accept": "application/json"}
        if self.settings.credentials_in == "header":
            headers["Authorization"] = _basic_value(quote_plus(self.client_id), quote_plus(self.client_secret))
        else:
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
        answer = client.post(self.settings.token_url, data=form, headers=headers)
        self._token, lasts = _token_of(answer)
        self._seen.add(self._token)
        self._until = self.clock() + max(lasts - RENEW_BEFORE, 1.0)


def _token_of(answer: httpx.Response) -> tuple[str, float]:
    """Return the token and how long it lasts, in seconds."""
    said: Any = None
    try:
        said = answer.json()
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    token, lasts = said.get("access_token"), said.get("expires_in")
    if answer.is_success and isinstance(token, str) and token:
        # Some servers send the number as a text.
        number = str(lasts) if isinstance(lasts, (int, str)) and not isinstance(lasts, bool) else ""
        return token, float(number) if number.isdigit() else LIFE_UNLESS_TOLD
    # Only the error code of RFC 6749, section 5.2: a token endpoint's page may repeat what it was sent.
    code = said.get("error")
    reason = f" ({code})" if isinstance(code, str) and code.replace("_", "").isalnum() else ""
    problem = f"the token endpoint answered {answer.status_code}{reason} and no token"
    raise (Overloaded if answer.is_server_error or answer.status_code == 429 else Unreadable)(problem)
