"""Places: what a data set is called in lineage, by OpenLineage's naming rules, and without anybody's password.

The same data has one name wherever it comes up, whoever names it: an artifact is named after its stage's folder, not
after the run's partition in it; a feature view as Feast's own lineage names it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from airflow_provider_mlpipe.errors import redact

if TYPE_CHECKING:
    from airflow_provider_mlpipe.ingestion import Connection
    from airflow_provider_mlpipe.lineage.queries import Query

__all__ = ["Place", "database", "place_of", "query_of", "source_places", "table_place"]

_PARTITION = re.compile(r"^(\d{8}T\d{6}Z-\d{8}T\d{6}Z|run-.+?)(-m\d{4,})?$")
_GATHERED = "-all"  # what mapped tasks published, taken as one: the same rows, named by another manifest
_MOVING = re.compile(r"[*?\[{]")
_DATABASES = {
    # SQLAlchemy's name: OpenLineage's, and the port where the URL says none
    "postgresql": ("postgres", 5432),
    "postgres": ("postgres", 5432),
    "mysql": ("mysql", 3306),
    "mariadb": ("mysql", 3306),
    "mssql": ("sqlserver", 1433),
    "oracle": ("oracle", 1521),
    "trino": ("trino", 8080),
    "redshift": ("redshift", 5439),
}
_SCHEMAS = {"postgres": "public", "redshift": "public", "sqlserver": "dbo"}


class Place(NamedTuple):
    """The name of a data set: where, and which one there."""

    namespace: str
    name: str


def place_of(uri: str) -> Place:
    """Return the place of an artifact, a file or a folder.

    >>> place_of("s3://lake/ml/users/raw/20260113T020000Z-20260114T020000Z")
    Place(namespace='s3://lake', name='ml/users/raw')
    >>> place_of("s3://lake/exports/{end:%Y}/*.csv")
    Place(namespace='s3://lake', name='exports')
    """
    scheme, _, rest = uri.rpartition("://")
    if scheme in {"", "file"}:
        return Place("file", "/" + _folder(str(Path(rest).absolute())))
    bucket, _, key = rest.partition("/")
    return Place(f"{'s3' if scheme == 's3a' else scheme}://{_host(bucket)}", _folder(key) or "/")


def _folder(path: str) -> str:
    """Return the part of a path that is the same for every run."""
    parts: list[str] = []
    for part in filter(None, path.split("/")):
        if _MOVING.search(part):
            break
        parts.append(part)
    if len(parts) > 1 and _PARTITION.match(parts[-1]):
        parts.pop()
        parts[-1] = parts[-1].removesuffix(_GATHERED)
    return redact("/".join(parts))


def source_places(model: Any, connection: Connection | None) -> tuple[Place, ...]:  # noqa: ANN401 - a Source of any type
    """Return what a source of the ingestion file reads: of a database its tables, of Kafka its topics.

    Args:
        model: the source's configuration.
        connection: the Airflow connection that it is read by, if any.
    """
    kind = model.type
    if kind == "database":
        return _tables(model, connection)
    if kind == "file":
        return (place_of(model.path),)
    if kind == "api":
        return (_endpoint(urljoin(connection.uri if connection else "", model.url)),)
    if kind == "kafka":
        servers = (connection.kafka.get("bootstrap.servers") if connection else None) or model.bootstrap_servers or ""
        first = str(servers).partition(",")[0]
        return tuple(Place(f"kafka://{first}", topic) for topic in model.topic)
    # A dlt resource has no address but its own name; a function of the Dag is the task itself.
    return (Place(kind, model.resource),) if kind == "dlt" else ()


def _endpoint(url: str) -> Place:
    split = urlsplit(url)
    return Place(f"{split.scheme}://{_host(split.netloc)}", redact(split.path) or "/")


def query_of(model: Any, connection: Connection | None) -> Query | None:  # noqa: ANN401
    """Return what a source's query says; None if it has none, or one that cannot be read."""
    if not getattr(model, "query", None):
        return None
    from airflow_provider_mlpipe.lineage.queries import Query

    return Query.read(model.query, database(_address(model, connection)).scheme)


def _tables(model: Any, connection: Connection | None) -> tuple[Place, ...]:  # noqa: ANN401
    where = database(_address(model, connection))
    if model.table:
        return (table_place(where, model.table),)
    query = query_of(model, connection)
    return tuple(table_place(where, table) for table in query.tables) if query else ()


def _address(model: Any, connection: Connection | None) -> str:  # noqa: ANN401
    if connection is not None and connection.uri:
        return connection.uri
    if model.connection_string is not None:
        return str(model.connection_string.get_secret_value())
    # A driver of DB-API has no address that could be read; its name at least tells one from another.
    driver = connection.driver.name if connection is not None and connection.driver is not None else model.driver
    return re.sub(r"\W+", "-", str(driver)) + "://"


class _Database(NamedTuple):
    scheme: str
    namespace: str
    database: str


def database(url: str) -> _Database:
    """Return the parts of a database's name that all its tables share."""
    split = urlsplit(url.replace(" ", "%20"))
    dialect = split.scheme.partition("+")[0]
    if dialect in {"sqlite", "duckdb"}:
        path = unquote(url.partition("://")[2].partition("?")[0]).removeprefix("/")
        memory = path in {"", ":memory:"}
        return _Database(dialect, f"{dialect}://{'' if memory else Path(path).absolute()}", "")
    scheme, port = _DATABASES.get(dialect, (dialect, None))
    host = _host(split.netloc).partition(",")[0] or "localhost"
    known = re.search(r":\d+$", host) or port is None
    return _Database(
        scheme, f"{scheme}://{host}{'' if known else f':{port}'}", unquote(split.path).strip("/").replace("/", ".")
    )


def table_place(where: _Database, table: str) -> Place:
    """Return the place of a table that a configuration or a query calls `table`."""
    parts = [part.strip('"`[]') for part in table.split(".")]
    if len(parts) == 1 and where.scheme in _SCHEMAS:
        parts.insert(0, _SCHEMAS[where.scheme])
    if where.scheme == "mysql" and len(parts) > 1:
        return Place(where.namespace, ".".join(parts))  # MySQL's schema is the database
    return Place(where.namespace, ".".join(filter(None, [where.database, *parts])))


def _host(netloc: str) -> str:
    """Return host and port, without who logs in."""
    return netloc.rpartition("@")[2]
