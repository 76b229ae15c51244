"""How a REST endpoint is asked: its pages, who asks, and how much of it. Part of ``ingestion_config.yaml``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, SecretStr, model_validator

from airflow_provider_mlpipe.config.section import Section

__all__ = [
    "ApiKeyAuth",
    "Auth",
    "BasicAuth",
    "BearerAuth",
    "CursorPaginator",
    "HeaderLinkPaginator",
    "JsonLinkPaginator",
    "OAuth2Auth",
    "OffsetPaginator",
    "PageNumberPaginator",
    "Paginator",
    "Rate",
    "Size",
    "Tls",
    "requests_per_second",
    "size",
]

_UNITS = {"b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def size(text: str | int) -> int:
    """Return the bytes that ``500MB``, ``2 GB`` or a bare number says.

    >>> size("1.5MB"), size(10)
    (1500000, 10)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?b)?\s*", str(text), re.IGNORECASE)
    found = 0 if match is None else int(float(match[1]) * _UNITS[(match[2] or "b").lower()])
    if found < 1:
        raise ValueError("not a number of bytes such as 500MB or 2GB")
    return found


def requests_per_second(text: str) -> float:
    """Return the rate that ``10/s``, ``600/m`` or ``5000/h`` says.

    >>> requests_per_second("600/m")
    10.0
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*([smh])\s*", text)
    if match is None or float(match[1]) == 0:
        raise ValueError("not a rate such as 10/s, 600/m or 5000/h")
    return float(match[1]) / _SECONDS[match[2]]


def _rate(text: str) -> str:
    requests_per_second(text)
    return text


Size = Annotated[int, BeforeValidator(size, json_schema_input_type=int | str)]
"""A number of bytes, as text with a unit (B, kB, MB, GB: powers of ten) or as a number."""

Rate = Annotated[str, AfterValidator(_rate)]
"""Requests per second, minute or hour, as text."""


# ------------------------------------------------------------------ pages


class SinglePage(Section):
    """One answer holds everything, whatever it says of further pages.

    Attributes:
        type: ``single_page``.
    """

    type: Literal["single_page"]


class AutoPaginator(Section):
    """Told from the first answer; an answer that says there is more, in a way that is not understood, is an error.

    Attributes:
        type: ``auto``.
    """

    type: Literal["auto"]


class JsonLinkPaginator(Section):
    """The answer holds the address of the next page.

    Attributes:
        type: ``json_link``.
        next_path: where it is, dotted: ``next``, ``links.next``.
    """

    type: Literal["json_link"]
    next_path: str = "next"


class HeaderLinkPaginator(Section):
    """The ``Link`` header holds the address of the next page (RFC 8288), as GitHub does it.

    Attributes:
        type: ``header_link``.
        rel: the relation that names it.
    """

    type: Literal["header_link"]
    rel: str = "next"


class CursorPaginator(Section):
    """The answer holds a token, which the next request sends back.

    Attributes:
        type: ``cursor``.
        cursor_path: where the token is, dotted: ``meta.next_cursor``.
        cursor_param: the query parameter that takes it.
    """

    type: Literal["cursor"]
    cursor_path: str
    cursor_param: str


class OffsetPaginator(Section):
    """Each request says how many records to pass over. It ends with an empty page, or at the total.

    The offset grows by what was received, so an endpoint that gives fewer than asked for loses nothing.

    Attributes:
        type: ``offset``.
        limit: records to ask for at a time.
        offset_param: the query parameter of the offset.
        limit_param: the query parameter of the limit.
        total_path: where the answer says how many records there are, dotted; needed for `prefetch`.
    """

    type: Literal["offset"]
    limit: PositiveInt = 100
    offset_param: str = "offset"
    limit_param: str = "limit"
    total_path: str | None = None


class PageNumberPaginator(Section):
    """Each request says which page. It ends with an empty page, a 404 after the first, or at the total.

    Attributes:
        type: ``page_number``.
        page_param: the query parameter of the page.
        first_page: the number of the first one.
        total_path: where the answer says how many pages there are, dotted.
    """

    type: Literal["page_number"]
    page_param: str = "page"
    first_page: int = Field(default=1, ge=0)
    total_path: str | None = None


def _by_name(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
    return {"type": value} if isinstance(value, str) else value


_PaginatorName = Literal["auto", "single_page", "json_link", "header_link", "offset", "page_number"]
_AnyPaginator = Annotated[
    AutoPaginator
    | SinglePage
    | JsonLinkPaginator
    | HeaderLinkPaginator
    | CursorPaginator
    | OffsetPaginator
    | PageNumberPaginator,
    Field(discriminator="type"),
]
Paginator = Annotated[_AnyPaginator, BeforeValidator(_by_name, json_schema_input_type=_PaginatorName | _AnyPaginator)]
"""How to come from one page to the next; the short form is the type alone."""


# ------------------------------------------------------------------ whom to trust


class Tls(Section):
    """Certificates, as files in PEM format, by their absolute paths.

    Attributes:
        ca_file: of the authorities to trust in place of those that everybody trusts: a private one's own.
        cert_file: the certificate that shows who asks, where the endpoint wants one; its key may be in it.
        key_file: the key of `cert_file`, if it has a file of its own.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @model_validator(mode="after")
    def _key_of_something(self) -> Tls:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file is the key of cert_file; name that too")
        return self


# ------------------------------------------------------------------ who asks


class BasicAuth(Section):
    """User and password in the ``Authorization`` header.

    Attributes:
        type: ``basic``.
        username: the connection's login if absent.
        password: the connection's password if absent.
    """

    type: Literal["basic"]
    username: str | None = None
    password: SecretStr | None = None


class BearerAuth(Section):
    """A token in the ``Authorization`` header.

    Attributes:
        type: ``bearer``.
        token: the connection's password if absent.
    """

    type: Literal["bearer"]
    token: SecretStr | None = None


class ApiKeyAuth(Section):
    """A key in a header or query parameter of the endpoint's choice.

    Attributes:
        type: ``api_key``.
        name: of the header or parameter.
        key: the connection's password if absent.
        place: ``header`` or ``query``.
    """

    type: Literal["api_key"]
    name: str = "X-API-Key"
    key: SecretStr | None = None
    place: Literal["header", "query"] = "header"


class OAuth2Auth(Section):
    """The client credentials grant (RFC 6749, section 4.4): a token is fetched, and renewed before it runs out.

    Attributes:
        type: ``oauth2_client_credentials``.
        token_url: where tokens are given out.
        client_id: the connection's login if absent.
        client_secret: the connection's password if absent.
        scope: what to ask for, separated by spaces.
        parameters: what else the token endpoint wants, e.g. ``audience``.
        credentials_in: ``header`` (HTTP basic, which every server must take) or ``body``.
    """

    type: Literal["oauth2_client_credentials"]
    token_url: str = Field(pattern=r"^https?://")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    scope: str = ""
    parameters: dict[str, str] = {}
    credentials_in: Literal["header", "body"] = "header"


Auth = Annotated[BasicAuth | BearerAuth | ApiKeyAuth | OAuth2Auth, Field(discriminator="type")]
"""Who asks."""
