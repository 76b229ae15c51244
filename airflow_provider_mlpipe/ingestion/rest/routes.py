"""By which proxy a request goes, and what is made of a proxy that does not let it through."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_mlpipe.ingestion.connection import location_of
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable

if TYPE_CHECKING:
    import ssl

    import httpx

    from airflow_provider_mlpipe.ingestion.connection import Route

__all__ = ["client", "not_through", "proxy_of"]

_REFUSED = re.compile(r"4(?!08|25|29)\d\d\b")
"""What a proxy answers that it will answer again."""


def client(route: Route, *, verify: ssl.SSLContext | bool, timeout: float) -> httpx.Client:
    """Return a client that goes that way, and follows no redirects by itself.

    Where `route` names proxies, those of the environment do not count: neither HTTPS_PROXY nor NO_PROXY.
    """
    import httpx

    if verify is True:
        verify = httpx.create_ssl_context(trust_env=route.environment)
    mounts = {
        name if "://" in name else f"{name}://": httpx.HTTPTransport(
            verify=verify,
            proxy=httpx.Proxy(url, ssl_context=verify if url.startswith("https:") else None),  # type: ignore[arg-type]
        )
        for name, url in route.proxies.items()
    }
    return httpx.Client(
        timeout=timeout,
        follow_redirects=False,
        verify=verify,
        mounts=mounts,
        trust_env=route.environment and not mounts,
    )


def proxy_of(route: Route, url: str) -> str:
    """Return the proxy that an address is asked by, without its password; empty if there is none.

    >>> from airflow_provider_mlpipe.ingestion.connection import Route
    >>> proxy_of(Route(proxies={"all": "http://ann:secret@proxy:3128"}), "https://api/x")
    'http://ann:***@proxy:3128'
    """
    split = urlsplit(url)
    names = (f"{split.scheme}://{split.hostname}", split.scheme, f"all://{split.hostname}", "all")
    return location_of(next((route.proxies[name] for name in names if name in route.proxies), ""))


def not_through(error: httpx.TransportError, proxy: str) -> Exception:
    """Return what a failed request means that went by `proxy`."""
    problem = f"by the proxy {proxy}: {error}"
    return Unreadable(problem) if _REFUSED.match(str(error)) else Overloaded(problem)
