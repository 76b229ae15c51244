"""From an Airflow connection to the plain settings that a stage takes.

The providers' own hooks read the connection, so that what works with their operators works here: extras, IAM tokens,
assumed roles. Call these only while a task executes; Airflow masks the secrets it hands out, and this module masks
those that stand in a configuration file.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.config import Source
    from airflow_provider_mlpipe.ingestion import Connection
    from airflow_provider_mlpipe.ingestion.connection import Certificates, Route
    from airflow_provider_mlpipe.ingestion.dbapi import Driver

__all__ = ["hook_driver", "lookup", "mask_secrets", "s3_options", "source_connection", "unusable"]

_SECRET_HEADER = re.compile("auth|token|key|secret|cookie|session|signature", re.IGNORECASE)
_PROXIES = {"http", "https", "socks5", "socks5h"}
_SQLALCHEMY = {"postgres": "postgresql", "mysql": "mysql+pymysql"}
"""Airflow's connection types whose SQLAlchemy name differs."""


def source_connection(conn_id: str, source_type: str) -> Connection:
    """Return the settings of an Airflow connection for a source.

    Args:
        conn_id: the connection's id.
        source_type: ``database``, ``api``, ``file`` or ``kafka``, as in the configuration file.

    Raises:
        ConfigError: there is no such connection, or it cannot serve such a source.
    """
    from airflow_provider_mlpipe.ingestion import Connection

    if source_type == "file":
        return Connection(s3=s3_options(conn_id))
    if source_type == "api":
        return _http(conn_id)
    if source_type == "kafka":
        from airflow_provider_mlpipe.hooks.kafka import kafka_connection

        return kafka_connection(conn_id)
    return _database(conn_id)


def s3_options(conn_id: str | None) -> S3Options:
    """Return how to reach S3 by an ``aws`` connection; what the environment says if `conn_id` is None.

    Raises:
        ConfigError: there is no such connection, or it gives no credentials.
    """
    from airflow_provider_mlpipe.artifacts import S3Options

    if not conn_id:
        return S3Options()
    lookup(conn_id)
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    hook = S3Hook(aws_conn_id=conn_id)
    try:
        credentials = hook.get_credentials()
    except AttributeError as error:  # botocore found none and the hook froze None
        raise unusable(conn_id, "it gives no AWS credentials", "Set login and password, or a role.") from error
    return S3Options(
        endpoint_url=hook.conn_config.get_service_endpoint_url("s3") or "",
        region=hook.region_name or "",
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        session_token=credentials.token or "",
        ca_file=_authorities(conn_id, hook.verify),
    )


def _authorities(conn_id: str, verify: object) -> str:
    """Return the file of certificates that an ``aws`` connection names as its extra ``verify``."""
    if verify is False:
        raise unusable(
            conn_id, "its extra verify is false, but certificates are always verified", "Give the path of the CA file."
        )
    return verify if isinstance(verify, str) else ""


def mask_secrets(source: Source) -> None:
    """Make Airflow mask the secrets of a source's configuration wherever they might come up in a log."""
    url: SecretStr | None = getattr(source, "connection_string", None)
    headers: dict[str, SecretStr] = getattr(source, "headers", {})
    auth = getattr(source, "auth", None)
    kafka: dict[str, SecretStr] = getattr(source, "settings", {})
    registry: SecretStr | None = getattr(getattr(source, "schema_registry", None), "password", None)
    for value in [*_secret_settings(kafka), *([] if registry is None else [registry.get_secret_value()])]:
        mask_secret(value)
    for arguments in (getattr(source, "arguments", {}), getattr(source, "connect", {})):
        mask_secret(arguments)  # those under a name such as password or token
    if url is not None:
        _mask_password(url.get_secret_value())
    _mask_headers({name: value.get_secret_value() for name, value in headers.items()})
    for name in ("password", "token", "key", "client_secret"):
        secret: SecretStr | None = getattr(auth, name, None)
        if secret is not None:
            mask_secret(secret.get_secret_value())


def _secret_settings(settings: Mapping[str, SecretStr]) -> frozenset[str]:
    from airflow_provider_mlpipe.ingestion.connection import kafka_secrets

    return kafka_secrets({name: value.get_secret_value() for name, value in settings.items()})


def _mask_password(url: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        password = make_url(url).password
    except ArgumentError:  # not a URL; the stage says so
        return
    if password:
        mask_secret(str(password))


def _mask_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        # Not every header: "Accept: application/json" masked would blacken innocent lines.
        if _SECRET_HEADER.search(name):
            mask_secret(value.rsplit(" ", 1)[-1])  # the token of "Bearer token"


def lookup(conn_id: str) -> Any:  # noqa: ANN401 - a different class in each Airflow
    """Return an Airflow connection.

    Raises:
        ConfigError: there is none of this name.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise ConfigError(
            f"there is no Airflow connection named {conn_id!r}.",
            hint=f"airflow connections add {conn_id} ..., or the environment variable AIRFLOW_CONN_{conn_id.upper()}.",
            conn_id=conn_id,
        ) from error


def unusable(conn_id: str, problem: str, hint: str) -> ConfigError:
    """Return the error for a connection that is there, and does not serve."""
    return ConfigError(f"the Airflow connection {conn_id!r} cannot be used: {problem}.", hint=hint, conn_id=conn_id)


def _http(conn_id: str) -> Connection:
    from airflow.providers.http.hooks.http import HttpHook
    from requests.utils import default_headers

    from airflow_provider_mlpipe.ingestion import Connection

    connection = lookup(conn_id)
    password = connection.password
    hook = HttpHook(http_conn_id=conn_id)
    try:
        session = hook.get_conn()  # opens nothing yet: a session with headers and authorisation
    except ValueError as error:
        raise unusable(conn_id, "its host is not a URL", "Set host to https://api.example.com.") from error
    usual = default_headers()
    headers = {name: str(value) for name, value in session.headers.items() if usual.get(name) != value}
    _mask_headers(headers)
    # A password without a login is a token: the hook makes nothing of it, `auth: {type: bearer}` and its like do.
    login, secret = getattr(session.auth, "username", ""), getattr(session.auth, "password", "")
    return Connection(
        uri=hook.base_url,
        headers=headers,
        auth=(login, secret or "") if login else ("", password) if password else None,
        certificates=_certificates(session),
        route=_route(conn_id, session),
        timeout=_timeout(conn_id, connection.extra_dejson.get("timeout")),
    )


def _route(conn_id: str, session: Any) -> Route:  # noqa: ANN401 - requests has no types here
    """Return what the extras ``proxies`` (or ``proxy``) and ``trust_env`` of an HTTP connection say.

    Raises:
        ConfigError: they cannot be honoured.
    """
    from airflow_provider_mlpipe.ingestion.connection import Route

    said = session.proxies or {}
    said = {"all": said} if isinstance(said, str) else said
    hint = 'Write {"https": "http://proxy.example.com:3128"}; further keys are "http", "all" and "https://one-host".'
    if not isinstance(said, dict):
        raise unusable(conn_id, "its extra proxies is neither a proxy's URL nor a JSON object", hint)
    proxies = {name: _proxy(conn_id, name, url, hint) for name, url in said.items()}
    for url in proxies.values():
        _mask_password(url)
    return Route(proxies=proxies, environment=bool(session.trust_env))


def _proxy(conn_id: str, name: str, url: object, hint: str) -> str:
    """Return the URL of one proxy; one without a scheme is asked by http, as `requests` has it."""
    found = str(url) if "://" in str(url) else f"http://{url}"
    try:
        split = urlsplit(found)
        usable = bool(split.hostname and split.port != 0) and split.scheme in _PROXIES
    except ValueError:  # the port is no number
        usable = False
    if not (isinstance(url, str) and usable) or name.partition("://")[0] not in {"http", "https", "all"}:
        raise unusable(conn_id, f"its extra proxies cannot be honoured at {name!r}", hint)
    if split.scheme.startswith("socks") and find_spec("socksio") is None:
        raise unusable(conn_id, "its extra proxies names one for SOCKS", "Install httpx[socks].")
    return found


def _timeout(conn_id: str, said: object) -> float | None:
    if said is None:
        return None
    try:
        found = float(str(said))
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise unusable(conn_id, "its extra timeout is no number of seconds", 'Write {"timeout": 30}.')
    return found


def _certificates(session: Any) -> Certificates:  # noqa: ANN401 - requests has no types here
    """Return what the extras ``verify`` and ``cert`` of an HTTP connection say, as `requests` understands them."""
    from airflow_provider_mlpipe.ingestion.connection import Certificates

    own = session.cert or ("", "")
    cert, key = (own, "") if isinstance(own, str) else (str(own[0]), str(own[1]))
    authorities = session.verify if isinstance(session.verify, str) else ""
    return Certificates(ca_file=authorities, cert_file=cert, key_file=key, verify=session.verify is not False)


def _database(conn_id: str) -> Connection:
    """Return a SQLAlchemy URL if that leads there, else the driver of the provider's hook.

    The URL is the hook's if its provider is installed, else made of the connection's own fields.
    """
    from sqlalchemy.engine import URL

    from airflow_provider_mlpipe.ingestion import Connection

    connection = lookup(conn_id)
    kind = str(connection.conn_type or "").lower()
    if kind == "postgres":
        return Connection(uri=_postgres_url(conn_id))
    fields = URL.create(
        _SQLALCHEMY.get(kind, kind.replace("-", "+")),
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
    )
    if kind == "sqlite":
        fields = URL.create("sqlite", database=connection.host)
    if kind == "mysql":
        fields = fields.update_query_dict(_mysql_options(conn_id, connection.extra_dejson))
    hook = None if kind in {"sqlite", "mysql"} else _hook(connection)
    url = fields if hook is None else _hooks_url(hook) or fields
    if hook is not None and not _has_dialect(url):
        return Connection(driver=hook_driver(hook, conn_id, connection.password))
    return Connection(uri=cast("str", url.render_as_string(hide_password=False)))


def _hook(connection: Any) -> Any:  # noqa: ANN401 - any provider's
    """Return the connection's hook; None without its provider, or if it is no database's."""
    try:
        hook = connection.get_hook()
    except Exception:  # noqa: BLE001 - no provider for this type: any class of error
        return None
    return hook if hasattr(hook, "get_conn") else None


def _hooks_url(hook: Any) -> Any:  # noqa: ANN401 - a sqlalchemy URL
    try:
        return hook.sqlalchemy_url
    except Exception:  # noqa: BLE001 - a hook without such a URL: any class of error
        return None


def _has_dialect(url: Any) -> bool:  # noqa: ANN401 - a sqlalchemy URL
    """Return whether SQLAlchemy and the URL's driver are there for it."""
    from sqlalchemy.exc import ArgumentError

    try:
        url.get_dialect().import_dbapi()
    except (ArgumentError, ImportError):  # NoSuchModuleError is an ArgumentError
        return False
    return True


def hook_driver(hook: Any, conn_id: str, password: str | None) -> Driver:  # noqa: ANN401 - any DbApiHook
    """Return the driver behind a ``DbApiHook``: its own connections, so that every extra of it is honoured."""
    from airflow_provider_mlpipe.ingestion.dbapi import Driver

    style = {"?": "qmark", "%s": "format"}.get(str(getattr(hook, "placeholder", "%s")), "format")
    quotes = str(getattr(hook, "escape_word_format", '"{}"'))
    return Driver(
        name=f"Airflow connection {conn_id}",
        connect=hook.get_conn,
        paramstyle=style,
        quote=quotes[0] if quotes[:1] in {'"', "`"} else '"',
        secrets=frozenset(filter(None, [password])),
    )


def _mysql_options(conn_id: str, extras: Mapping[str, Any]) -> dict[str, str]:
    """Return what an Airflow connection to MySQL says beside its fields, as options of a URL.

    Raises:
        ConfigError: it asks for more than a connection without the MySQL provider can do.
    """
    found = {name: str(extras[name]) for name in ("unix_socket", "connect_timeout", "read_timeout") if extras.get(name)}
    secure = extras.get("ssl") or {}
    try:
        secure = json.loads(secure) if isinstance(secure, str) else secure
        found |= {f"ssl_{name}": str(secure[name]) for name in ("ca", "cert", "key") if secure.get(name)}
    except (ValueError, AttributeError) as error:
        raise unusable(conn_id, "its extra ssl is no JSON object", 'Write {"ca": "/path/ca.pem"}.') from error
    mode = str(extras.get("ssl_mode", "")).upper()
    if mode:
        found["ssl_mode"] = mode
    if extras.get("iam"):
        raise unusable(conn_id, "IAM tokens for MySQL are not supported", "Set login and password.")
    return found


def _postgres_url(conn_id: str) -> str:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook(postgres_conn_id=conn_id)
    extras = hook.get_connection(conn_id).extra_dejson
    # The hook's URL leaves out what its own connections use (sslmode, keepalives ...); libpq takes it as parameters.
    query = {
        name: str(int(value)) if isinstance(value, bool) else str(value)
        for name, value in extras.items()
        if name not in hook.ignored_extra_options and isinstance(value, str | int)
    }
    url = hook.sqlalchemy_url.update_query_dict(query).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
