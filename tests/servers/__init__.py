"""Real servers for tests: PostgreSQL, MariaDB, S3, Valkey, and a small JSON API, each on free ports of 127.0.0.1.

Every one is a context manager that starts one process (or thread) and stops exactly that one. What is not installed
is skipped with the reason. They can be used outside pytest too: ``with postgres() as uri: ...``.
"""

from __future__ import annotations

from tests.servers.certificates import Authority, Certificate
from tests.servers.databases import (
    MariadbServer,
    PostgresServer,
    mariadb,
    mariadb_server,
    mysql_connection,
    postgres,
    postgres_server,
)
from tests.servers.json_apis import Answer, Api, Request, json_api
from tests.servers.processes import PASSWORD, answers, free_ports, process, until
from tests.servers.silence import Silence, silence
from tests.servers.stores import Bucket, s3, valkey

__all__ = [
    "PASSWORD",
    "Answer",
    "Api",
    "Authority",
    "Bucket",
    "Certificate",
    "MariadbServer",
    "PostgresServer",
    "Request",
    "Silence",
    "answers",
    "free_ports",
    "json_api",
    "mariadb",
    "mariadb_server",
    "mysql_connection",
    "postgres",
    "postgres_server",
    "process",
    "s3",
    "silence",
    "until",
    "valkey",
]
