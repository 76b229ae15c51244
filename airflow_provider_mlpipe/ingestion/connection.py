"""What a stage needs to know of a connection: plain settings, resolved from an Airflow connection or from a URI."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from airflow_provider_mlpipe.artifacts import S3Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.ingestion.dbapi import Driver

__all__ = ["Certificates", "Connection", "Route", "kafka_secrets", "location_of", "secrets_of"]


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """What https needs beside what everybody trusts: files in PEM format.

    Attributes:
        ca_file: the authorities to trust; the usual ones if empty.
        cert_file: the client's certificate.
        key_file: its key, if it is not in that file.
        verify: whether to look at the server's certificate at all.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True


@dataclass(frozen=True, kw_only=True)
class Route:
    """By which proxies requests go.

    Attributes:
        proxies: a proxy's URL by what it is for: ``http``, ``https`` or ``all``, alone or of one host
            (``https://api.example.com``).
        environment: whether HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE count where nothing else is said.
    """

    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: bool = True


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach a source, beside what its YAML says.

    Attributes:
        uri: a database's URL, or the base address of an API.
        headers: sent with every request, below those of the YAML.
        auth: user and password for HTTP basic authentication.
        s3: how to reach a bucket.
        kafka: librdkafka's properties.
        driver: a DB-API driver, for a database that has no URL.
        certificates: for https.
        route: for http and https.
        timeout: of one HTTP request in seconds, where the configuration says none.
    """

    uri: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    s3: S3Options = field(default_factory=S3Options, repr=False)
    kafka: Mapping[str, Any] = field(default_factory=dict, repr=False)
    driver: Driver | None = None
    certificates: Certificates = field(default_factory=Certificates)
    route: Route = field(default_factory=Route)
    timeout: float | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that must not appear anywhere: passwords, tokens, keys."""
        found = set(secrets_of(self.uri))
        for value in self.headers.values():
            found |= header_secrets(value)
        if self.auth is not None:
            found.add(self.auth[1])
        found |= {self.s3.secret_key, self.s3.session_token}
        found |= kafka_secrets(self.kafka)
        for url in self.route.proxies.values():
            found |= secrets_of(url)
        return frozenset(filter(None, found))


def header_secrets(value: str) -> set[str]:
    """Return a header's value and, of ``Bearer abc``, also ``abc`` alone."""
    return {value, value.rpartition(" ")[2]}


def kafka_secrets(properties: Mapping[str, Any]) -> frozenset[str]:
    """Return the values of librdkafka's properties that nobody may see.

    >>> kafka_secrets({"sasl.password": "s3cret", "security.protocol": "SASL_SSL"})
    frozenset({'s3cret'})
    """
    return frozenset(str(value) for name, value in properties.items() if value and _KAFKA_SECRET.search(name))


def secrets_of(uri: str) -> frozenset[str]:
    """Return the password in `uri`, as it stands there and decoded, and everything in its query part.

    >>> sorted(secrets_of("postgresql://ann:s%40x@db/shop"))
    ['s%40x', 's@x']
    """
    split = _split(uri)
    if split is None:
        return frozenset()
    authority = split.netloc.rpartition("@")[0]
    raw = authority.partition(":")[2]
    pairs = (pair.partition("=") for pair in split.query.split("&"))
    values = {value for name, _, value in pairs if any(word in name.lower() for word in _SECRET_WORDS)}
    found = {raw, *values}
    plain = {unquote(text) for text in found}
    return frozenset(filter(None, found | plain | {quote(text, safe="") for text in plain}))


def location_of(uri: str) -> str:
    """Return `uri` for people: without password and without its query part.

    >>> location_of("postgresql://ann:secret@db:5432/shop?sslpassword=x")
    'postgresql://ann:***@db:5432/shop'
    """
    split = _split(uri)
    if split is None:
        return uri.partition("?")[0]
    authority, at, host = split.netloc.rpartition("@")
    user, colon, _ = authority.partition(":")
    shown = f"{user}{':***' if colon else ''}{at}{host}"
    if split.netloc == "":  # sqlite:///path keeps its three slashes
        return f"{split.scheme}://{split.path}"
    return urlunsplit((split.scheme, shown, split.path, "", ""))


_KAFKA_SECRET = re.compile(r"password|secret|token|\.key(\.|$)|\.pem$|sasl\.oauthbearer\.config")
_SECRET_WORDS = ("password", "secret", "token", "key", "signature", "sig")


def _split(uri: str) -> SplitResult | None:
    try:
        split = urlsplit(uri)
    except ValueError:
        return None
    return split if split.scheme and "://" in uri else None
