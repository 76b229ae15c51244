"""An API behind a forward proxy, a process of its own: what an HTTP connection says of proxies is how it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.hooks.connections import source_connection
from airflow_provider_mlpipe.ingestion import Connection
from airflow_provider_mlpipe.ingestion.connection import Certificates, Route
from tests.ingestion.support import read, rows
from tests.servers import Authority, free_ports, json_api
from tests.servers.forward_proxy import ForwardProxy, forward_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

PASSWORD = "s3cret-0f-the-proxy"
THINGS = [{"id": 1}, {"id": 2}]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForwardProxy]:
    """A proxy that asks for a login."""
    with forward_proxy(tmp_path_factory.mktemp("proxy"), login=f"ann:{PASSWORD}") as running:
        yield running


def with_login(proxy: ForwardProxy, password: str = PASSWORD) -> str:
    return proxy.url.replace("://", f"://ann:{password}@")


def ask(url: str, root: Storage, route: dict[str, str], **more: Any) -> Artifact:
    connection = Connection(route=Route(proxies=route), **more)
    return read({"type": "api", "url": url, "max_retries": 0}, root, connection=connection)


def test_a_plain_request_is_passed_on(proxy: ForwardProxy, root: Storage) -> None:
    with json_api({"/things": THINGS}) as api:
        artifact = ask(f"{api.url}/things", root, {"http": with_login(proxy)})

    assert rows(artifact) == THINGS
    assert proxy.asked[-1] == f"GET {api.url}/things"
    assert "Proxy-Authorization" not in api.requests[0].headers


def test_https_goes_through_a_tunnel_and_trusts_whom_the_connection_names(
    proxy: ForwardProxy, root: Storage, tmp_path: Any
) -> None:
    authority = Authority(tmp_path)
    certificate = authority.issue("server")
    with json_api({"/things": THINGS}, tls=tls_of(certificate)) as api:
        trusted = Certificates(ca_file=str(authority.ca_file))
        artifact = ask(f"{api.url}/things", root, {"https": with_login(proxy)}, certificates=trusted)
        with pytest.raises(SourceRejectedError, match="certificate"):
            ask(f"{api.url}/things", root, {"https": with_login(proxy)})

    assert rows(artifact) == THINGS
    assert proxy.asked[-1] == f"CONNECT {api.url.removeprefix('https://')}"


def tls_of(certificate: Any) -> Any:
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    return context


def test_only_what_a_proxy_is_for_goes_by_it(
    proxy: ForwardProxy, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # of the environment: not asked where others are named
    before = len(proxy.asked)
    with json_api({"/things": THINGS}) as api:
        assert rows(ask(f"{api.url}/things", root, {"https": with_login(proxy)})) == THINGS
        assert len(proxy.asked) == before
        assert rows(ask(f"{api.url}/things", root, {"http://127.0.0.1": with_login(proxy)})) == THINGS
    assert len(proxy.asked) == before + 1


def test_the_environments_proxy_counts_unless_it_is_not_trusted(
    proxy: ForwardProxy, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", with_login(proxy))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    before = len(proxy.asked)
    with json_api({"/things": THINGS}) as api:
        source = {"type": "api", "url": f"{api.url}/things"}
        assert rows(read(source, root)) == THINGS
        assert len(proxy.asked) == before + 1
        alone = Connection(route=Route(environment=False))
        assert rows(read(source, root, connection=alone)) == THINGS
    assert len(proxy.asked) == before + 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_named_and_not_asked_again(proxy: ForwardProxy, root: Storage, scheme: str) -> None:
    with pytest.raises(SourceRejectedError, match="407 Proxy Authentication Required") as told:
        ask(f"{scheme}://api.invalid/things", root, {scheme: with_login(proxy, "wrong-password")})
    assert "wrong-password" not in str(told.value)
    with pytest.raises(SourceRejectedError, match="403"):
        ask(f"{scheme}://forbidden.invalid/things", root, {scheme: with_login(proxy)})


def test_a_proxy_that_is_down_or_reaches_nobody_is_named_and_may_be_asked_again(
    proxy: ForwardProxy, root: Storage
) -> None:
    (closed,) = free_ports()
    with pytest.raises(SourceUnavailableError, match=rf"by the proxy http://127\.0\.0\.1:{closed}: .*refused"):
        ask("https://api.invalid/things", root, {"all": f"http://127.0.0.1:{closed}"})
    with pytest.raises(SourceUnavailableError, match=r"by the proxy http://ann:\*\*\*@127.*502 Bad Gateway"):
        ask("https://127.0.0.1:1/things", root, {"all": with_login(proxy)})


# ------------------------------------------------------------------ from an Airflow connection


def connected(monkeypatch: pytest.MonkeyPatch, url: str, **extra: Any) -> Connection:
    fields = {"conn_type": "http", "host": url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_DESK", json.dumps(fields))
    return source_connection("desk", "api")


def test_an_airflow_connection_brings_its_proxy(
    proxy: ForwardProxy, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.log import redact

    with json_api({"/things": THINGS}) as api:
        connection = connected(monkeypatch, api.url, proxies={"http": with_login(proxy)}, timeout=7)
        assert rows(read({"type": "api", "url": "things"}, root, connection=connection)) == THINGS

    assert proxy.asked[-1] == f"GET {api.url}/things"
    assert connection.timeout == 7.0
    assert PASSWORD in connection.secrets
    assert PASSWORD not in repr(connection)
    assert redact(f"could not log in with {PASSWORD}") == "could not log in with ***"


@pytest.mark.parametrize(
    ("extra", "route"),
    [
        ({}, Route()),
        ({"proxies": "proxy:3128"}, Route(proxies={"all": "http://proxy:3128"})),
        ({"proxy": {"https://api": "https://proxy"}}, Route(proxies={"https://api": "https://proxy"})),
        ({"trust_env": False}, Route(environment=False)),
    ],
)
def test_what_a_connection_says_of_proxies(extra: Any, route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    assert connected(monkeypatch, "https://api", **extra).route == route


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"proxies": ["http://proxy"]}, "neither a proxy's URL nor a JSON object"),
        ({"proxies": {"no_proxy": "internal"}}, "cannot be honoured at 'no_proxy'"),
        ({"proxies": {"https": None}}, "cannot be honoured at 'https'"),
        ({"proxies": {"https": "http://proxy:port"}}, "cannot be honoured at 'https'"),
        ({"proxies": {"https": "ftp://proxy"}}, "cannot be honoured at 'https'"),
        ({"timeout": [3, 30]}, "its extra timeout is no number of seconds"),
    ],
)
def test_what_cannot_be_honoured_is_refused(extra: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=said):
        connected(monkeypatch, "https://api", **extra)


def test_socks_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.util import find_spec

    if find_spec("socksio") is not None:
        pytest.skip("socksio is installed")
    with pytest.raises(ConfigError, match="names one for SOCKS"):
        connected(monkeypatch, "https://api", proxies={"all": "socks5://proxy:1080"})
