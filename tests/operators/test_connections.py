"""Airflow connections become the settings that a stage takes, secrets kept out of sight."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy.engine import make_url

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.config.rest import BearerAuth
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.hooks.connections import mask_secrets, s3_options, source_connection
from airflow_provider_mlpipe.ingestion.connection import Certificates
from airflow_provider_mlpipe.ingestion.rest.authentication import authentication_of
from tests.servers import Answer, json_api

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[..., str]

PASSWORD = "p@ss/w:rd#1"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a connection known to Airflow and return its id."""

    def add(**fields: Any) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_THE_ONE", json.dumps(fields))
        return "the_one"

    return add


def test_postgres_keeps_what_libpq_understands(connect: Connect) -> None:
    conn_id = connect(
        conn_type="postgres", host="db", port=5433, schema="shop", login="ann", password=PASSWORD,
        extra={"sslmode": "require", "keepalives": True, "cursor": "dictcursor"},
    )  # fmt: skip

    url = make_url(source_connection(conn_id, "database").uri)

    assert (url.drivername, url.host, url.port, url.database) == ("postgresql", "db", 5433, "shop")
    assert (url.username, url.password) == ("ann", PASSWORD)
    assert url.query == {"sslmode": "require", "keepalives": "1"}


@pytest.mark.parametrize(("kind", "driver"), [("mysql", "mysql+pymysql"), ("oracle+oracledb", "oracle+oracledb")])
def test_a_database_without_its_provider_is_reached_by_the_connections_own_fields(
    connect: Connect, kind: str, driver: str
) -> None:
    conn_id = connect(conn_type=kind, host="db", port=1521, schema="shop", login="ann", password=PASSWORD)

    url = make_url(source_connection(conn_id, "database").uri)

    assert (url.drivername, url.host, url.port, url.database) == (driver, "db", 1521, "shop")
    assert (url.username, url.password) == ("ann", PASSWORD)


def test_mysql_keeps_how_it_is_secured(connect: Connect) -> None:
    extra = {"ssl": {"ca": "/etc/ca.pem"}, "ssl_mode": "VERIFY_IDENTITY", "charset": "latin1", "cursor": "sscursor"}
    conn_id = connect(conn_type="mysql", host="db", schema="shop", login="ann", password=PASSWORD, extra=extra)
    url = make_url(source_connection(conn_id, "database").uri)
    assert url.query == {"ssl_ca": "/etc/ca.pem", "ssl_mode": "VERIFY_IDENTITY"}

    conn_id = connect(conn_type="mysql", host="db", extra={"ssl_mode": "required"})
    assert make_url(source_connection(conn_id, "database").uri).query == {"ssl_mode": "REQUIRED"}

    conn_id = connect(conn_type="mysql", host="db", extra={"iam": True})
    with pytest.raises(ConfigError, match="IAM tokens for MySQL are not supported"):
        source_connection(conn_id, "database")


def test_a_type_without_a_dialect_is_reached_by_its_hook(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hook:
        """As a provider that is not installed here would bring it: a DbApiHook of a database without a dialect."""

        placeholder = "?"
        sqlalchemy_url = make_url("nodialect://db/shop")

        def get_conn(self) -> str:
            return "opened"

    conn_id = connect(conn_type="nodialect", host="db", password=PASSWORD)
    monkeypatch.setattr("airflow.sdk.Connection.get_hook", lambda _: Hook(), raising=True)
    connection = source_connection(conn_id, "database")
    assert connection.uri == ""
    assert connection.driver is not None
    assert (connection.driver.connect(), connection.driver.paramstyle) == ("opened", "qmark")
    assert PASSWORD in connection.driver.secrets


def test_sqlite_is_a_file(connect: Connect) -> None:
    assert source_connection(connect(conn_type="sqlite", host="/data/t.db"), "database").uri == "sqlite:////data/t.db"


def test_http_brings_host_headers_and_login(connect: Connect) -> None:
    conn_id = connect(
        conn_type="http", schema="https", host="api.example.com", port=8443, login="ann", password=PASSWORD,
        extra={"X-Team": "data", "X-Shard": 7, "timeout": 30},
    )  # fmt: skip

    connection = source_connection(conn_id, "api")

    assert connection.uri == "https://api.example.com:8443"
    assert connection.headers == {"X-Team": "data", "X-Shard": "7"}
    assert connection.auth == ("ann", PASSWORD)


def test_the_password_alone_is_the_token(connect: Connect) -> None:
    connection = source_connection(connect(conn_type="http", host="https://api", password=PASSWORD), "api")

    for auth, signed in ((BearerAuth(type="bearer"), f"Bearer {PASSWORD}"), (None, None)):
        request = httpx.Request("GET", "https://api")
        with httpx.Client() as client:
            authentication_of(auth, connection).sign(request, client)
        assert request.headers.get("Authorization") == signed


def test_aws_brings_endpoint_region_and_keys(connect: Connect) -> None:
    conn_id = connect(
        conn_type="aws", login="key-id", password=PASSWORD,
        extra={"endpoint_url": "http://127.0.0.1:9000", "region_name": "eu-west-1"},
    )  # fmt: skip

    options = s3_options(conn_id)

    assert source_connection(conn_id, "file").s3 == options
    assert (options.endpoint_url, options.region) == ("http://127.0.0.1:9000", "eu-west-1")
    assert (options.access_key, options.secret_key, options.session_token) == ("key-id", PASSWORD, "")


def test_http_brings_certificates(connect: Connect) -> None:
    fields = {"conn_type": "http", "schema": "https", "host": "api.example.com"}
    for extra, wanted in (
        ({}, Certificates()),
        ({"verify": "/etc/ca.pem"}, Certificates(ca_file="/etc/ca.pem")),
        ({"verify": False}, Certificates(verify=False)),
        ({"cert": "/etc/me.pem"}, Certificates(cert_file="/etc/me.pem")),
        ({"cert": ["/etc/me.pem", "/etc/me.key"]}, Certificates(cert_file="/etc/me.pem", key_file="/etc/me.key")),
    ):
        connection = source_connection(connect(**fields, extra=extra), "api")
        assert connection.certificates == wanted
        assert connection.headers == {}


def test_aws_brings_the_authority_of_its_endpoint(connect: Connect) -> None:
    keys = {"conn_type": "aws", "login": "key-id", "password": PASSWORD}
    assert s3_options(connect(**keys, extra={"verify": "/etc/ca.pem"})).ca_file == "/etc/ca.pem"
    assert s3_options(connect(**keys)).ca_file == ""
    with pytest.raises(ConfigError, match="its extra verify is false"):
        s3_options(connect(**keys, extra={"verify": False}))


def test_an_assumed_role_is_whom_the_bucket_sees(connect: Connect) -> None:
    """The hook asks the token service, and what that gives goes to the bucket."""
    given = "<AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>of-the-role</SecretAccessKey><SessionToken>t0ken</SessionToken>"
    answer = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
        {given}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
    with json_api({"/": Answer(answer, headers={"Content-Type": "text/xml"})}) as service:
        conn_id = connect(
            conn_type="aws", login="key-id", password=PASSWORD,
            extra={
                "role_arn": "arn:aws:iam::123456789012:role/reader", "region_name": "eu-west-1",
                "service_config": {"sts": {"endpoint_url": service.url}},
            },
        )  # fmt: skip
        options = s3_options(conn_id)
    assert service.requests[0].form["RoleArn"] == "arn:aws:iam::123456789012:role/reader"
    assert (options.access_key, options.secret_key, options.session_token) == ("ROLE", "of-the-role", "t0ken")
    assert "t0ken" not in repr(options)


def test_without_a_connection_s3_is_up_to_the_environment() -> None:
    assert s3_options(None).access_key == ""


@pytest.mark.parametrize("source_type", ["database", "api", "file"])
def test_a_connection_that_is_not_there_is_named(source_type: str) -> None:
    with pytest.raises(ConfigError, match="no Airflow connection named 'absent'") as caught:
        source_connection("absent", source_type)

    assert "AIRFLOW_CONN_ABSENT" in caught.value.hint


def test_a_connection_does_not_show_its_secrets(connect: Connect) -> None:
    conn_id = connect(conn_type="http", host="https://api", login="ann", password=PASSWORD,
                      extra={"Authorization": "Bearer tok-4711-abc"})  # fmt: skip
    shown = repr(source_connection(conn_id, "api"))

    assert PASSWORD not in shown
    assert "tok-4711" not in shown


def test_secrets_of_the_file_are_masked_in_airflows_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.log import redact

    monkeypatch.setenv("TRACKER_TOKEN", "tok-0815-xyz")
    database = {"type": "database", "connection_string": "postgresql://ann:verysecret99@db/shop", "table": "users"}
    api = {"type": "api", "url": "https://api", "headers": {
        "Authorization": "Bearer ${TRACKER_TOKEN}", "Accept": "application/json"}}  # fmt: skip

    mask_secrets(config.source(database, "a").model)
    mask_secrets(config.source(api, "b").model)

    assert redact("could not log in with verysecret99") == "could not log in with ***"
    assert redact("refused tok-0815-xyz") == "refused ***"
    assert redact("Accept: application/json") == "Accept: application/json"
