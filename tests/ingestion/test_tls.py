"""Encrypted connections: servers whose certificate a private authority signed, for every source that has a server.

Each is read with that authority, and refused, with a message that says so and no retry, with another one or none.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion import Connection, database, ingest
from airflow_provider_mlpipe.ingestion.connection import Certificates
from airflow_provider_mlpipe.run import Run
from tests.ingestion.kafka_support import ids, run, topic, values
from tests.ingestion.kafka_support import source as kafka_source
from tests.ingestion.kafka_tls import tls_before
from tests.ingestion.support import read, rows
from tests.servers import PASSWORD, Authority, Certificate, json_api, mariadb_server, postgres_server
from tests.servers import s3 as s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.broker import KafkaBroker

__all__ = ["topic"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("others"), "others")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.issue("server")


# ------------------------------------------------------------------ PostgreSQL


@pytest.fixture(scope="module")
def secure_postgres(certificate: Certificate) -> Iterator[str]:
    with postgres_server(tls=certificate) as server:
        yield server.uri


QUERY = "SELECT ssl, version AS v FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(params=["adbc", "cursor"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "cursor":
        monkeypatch.setattr(database, "find_spec", lambda _: None)


@pytest.mark.usefixtures("way")
def test_postgres_is_verified(secure_postgres: str, authority: Authority, root: Storage) -> None:
    for options in ("sslmode=require", f"sslmode=verify-full&sslrootcert={authority.ca_file}"):
        source = {"type": "database", "connection_string": f"{secure_postgres}?{options}", "query": QUERY}
        [row] = rows(read(source, root))
        assert row["ssl"] is True
        assert row["v"].startswith("TLS")


@pytest.mark.usefixtures("way")
def test_postgres_of_another_authority_or_name_is_refused(
    secure_postgres: str, authority: Authority, other: Authority, root: Storage
) -> None:
    named = secure_postgres.replace("127.0.0.1", "localhost")
    for uri, options, message in (
        (secure_postgres, f"sslmode=verify-full&sslrootcert={other.ca_file}", "certificate verify failed"),
        (
            secure_postgres,
            "sslmode=verify-ca&sslrootcert=/nowhere.pem",
            'root certificate file "/nowhere.pem" does not',
        ),
        (named, f"sslmode=verify-full&sslrootcert={authority.ca_file}", 'does not match host name "localhost"'),
    ):
        source = {"type": "database", "connection_string": f"{uri}?{options}", "query": QUERY}
        with pytest.raises(SourceRejectedError, match=message) as caught:
            read(source, root)
        assert "certificates" in caught.value.hint
        assert PASSWORD not in str(caught.value)


# ------------------------------------------------------------------ MariaDB


@pytest.fixture(scope="module")
def secure_mariadb(certificate: Certificate) -> Iterator[str]:
    with mariadb_server(tls=certificate) as server:
        yield server.uri


CIPHER = "SELECT variable_value AS cipher FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"


@pytest.mark.parametrize("options", [
    "ssl_mode=REQUIRED", "ssl_ca={ca}", "ssl_ca={ca}&ssl_verify_cert=true&ssl_verify_identity=true",
    "ssl_ca={ca}&ssl_mode=verify_identity",
])  # fmt: skip
def test_mariadb_is_encrypted(secure_mariadb: str, authority: Authority, root: Storage, options: str) -> None:
    uri = f"{secure_mariadb}?{options.format(ca=authority.ca_file)}"
    artifact = read({"type": "database", "connection_string": uri, "query": CIPHER}, root)
    assert rows(artifact)[0]["cipher"].startswith("TLS")
    assert artifact.manifest.details["driver"] == "pymysql"  # connectorx knows no certificates


def test_mariadb_of_another_authority_or_name_is_refused(
    secure_mariadb: str, authority: Authority, other: Authority, root: Storage
) -> None:
    named = secure_mariadb.replace("127.0.0.1", "localhost")
    for uri, options, message in (
        (secure_mariadb, f"ssl_ca={other.ca_file}&ssl_mode=VERIFY_CA", "(?i)certificate.verify.failed"),
        (secure_mariadb, "ssl_mode=VERIFY_CA", "(?i)certificate.verify.failed"),  # nobody else trusts it
        (named, f"ssl_ca={authority.ca_file}&ssl_mode=VERIFY_IDENTITY", "certificate is not valid for 'localhost'"),
    ):
        with pytest.raises(SourceRejectedError, match=message) as caught:
            read({"type": "database", "connection_string": f"{uri}?{options}", "query": CIPHER}, root)
        assert "certificates" in caught.value.hint


def test_mariadb_without_tls_is_refused_where_it_is_required(mariadb: str, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match="SSL is required"):
        read({"type": "database", "connection_string": f"{mariadb}?ssl_mode=REQUIRED", "query": CIPHER}, root)
    with pytest.raises(ConfigError, match="ssl_mode"):
        read({"type": "database", "connection_string": f"{mariadb}?ssl_mode=MAYBE", "query": CIPHER}, root)


# ------------------------------------------------------------------ HTTPS


def server_context(certificate: Certificate, clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    if clients is not None:
        context.load_verify_locations(clients.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_an_endpoint_is_verified_and_another_refused_without_a_retry(
    authority: Authority, other: Authority, certificate: Certificate, root: Storage
) -> None:
    with json_api({"/": [{"a": 1}]}, server_context(certificate)) as api:
        source = {"type": "api", "url": f"{api.url}/", "max_retries": 5}
        artifact = read({**source, "tls": {"ca_file": str(authority.ca_file)}}, root)
        assert rows(artifact) == [{"a": 1}]
        for keys in ({}, {"tls": {"ca_file": str(other.ca_file)}}):
            with pytest.raises(SourceRejectedError, match="CERTIFICATE_VERIFY_FAILED") as caught:
                read({**source, **keys}, root)
            assert "certificates" in caught.value.hint
        assert len(api.requests) == 1
        for connection in (Certificates(ca_file=str(authority.ca_file)), Certificates(verify=False)):
            given = Connection(uri=api.url, certificates=connection)
            configured = config.source({"type": "api", "url": "/"}, "things")
            assert rows(ingest(configured, root=root, run=Run(), connection=given)) == [{"a": 1}]
        with pytest.raises(SourceRejectedError, match=r"/nowhere.pem cannot be used: No such file"):
            read({**source, "tls": {"ca_file": "/nowhere.pem"}}, root)


def test_an_endpoint_that_wants_to_know_its_clients(
    authority: Authority, certificate: Certificate, root: Storage
) -> None:
    own = authority.issue("client", "client.example")
    tls = {"ca_file": str(authority.ca_file), "cert_file": str(own.cert_file), "key_file": str(own.key_file)}
    with json_api({"/": [{"a": 1}]}, server_context(certificate, authority)) as api:
        source = {"type": "api", "url": f"{api.url}/", "max_retries": 0}
        assert rows(read({**source, "tls": tls}, root)) == [{"a": 1}]
        with pytest.raises(SourceRejectedError, match="(?i)certificate.required"):
            read({**source, "tls": {"ca_file": tls["ca_file"]}}, root)
    with pytest.raises(ConfigError, match="key_file is the key of cert_file"):
        config.source({**source, "tls": {"key_file": "x"}}, "things")


# ------------------------------------------------------------------ S3


def test_a_bucket_is_verified(
    authority: Authority, other: Authority, certificate: Certificate, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server(tls=(authority, certificate)) as bucket:
        place = Storage(f"{bucket.uri}/in", bucket.options)
        place.replace("t.csv", b"a\n1\n")
        assert place.create("once", b"x")
        source = {"type": "file", "path": f"{place.uri}/*.csv"}
        for keys in ({}, {"only_new": True}):
            artifact = read({**source, **keys}, root, connection=Connection(s3=bucket.options))
            assert rows(artifact) == [{"a": 1}]
        given = {name: getattr(bucket.options, name) for name in ("endpoint_url", "region", "access_key", "secret_key")}
        for options in (S3Options(**given), S3Options(**given, ca_file=str(other.ca_file))):
            with pytest.raises(SourceRejectedError, match="certificate") as caught:
                read(source, root, connection=Connection(s3=options))
            assert "certificates" in caught.value.hint
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.ca_file))
        monkeypatch.setattr("airflow_provider_mlpipe.artifacts.storage._s3.cache_clear", None, raising=False)
        options = S3Options(**{**given, "region": "eu-west-1"})  # a file system of its own
        assert rows(read(source, root, connection=Connection(s3=options))) == [{"a": 1}]


# ------------------------------------------------------------------ Kafka


def test_a_broker_is_verified(
    kafka: KafkaBroker, topic: str, authority: Authority, other: Authority, certificate: Certificate, root: Storage
) -> None:
    """The settings go through to librdkafka; the broker of the tests has no TLS, so it is put before it."""
    kafka.produce(topic, values({"id": 1}, {"id": 2}))
    client = authority.issue("consumer", "consumer.example")
    with tls_before(kafka.address, server_context(certificate, authority)) as address:
        settings = {
            "security.protocol": "SSL", "ssl.ca.location": str(authority.ca_file),
            "ssl.certificate.location": str(client.cert_file), "ssl.key.location": str(client.key_file),
        }  # fmt: skip
        source = {**kafka_source(kafka, topic), "bootstrap_servers": address}
        assert ids(read({**source, "settings": settings}, root, run("a"))) == [1, 2]
        wrong: dict[str, Any] = {**settings, "ssl.ca.location": str(other.ca_file)}
        with pytest.raises(SourceRejectedError, match="certificate verify failed"):
            read({**source, "settings": wrong, "timeout_seconds": 2}, root, run("b"))


def test_the_server_of_the_tests_speaks_tls(secure_postgres: str) -> None:
    """So that what is refused above is refused for its certificate."""
    with psycopg.connect(f"{secure_postgres}?sslmode=require") as connection:
        assert connection.pgconn.ssl_in_use
