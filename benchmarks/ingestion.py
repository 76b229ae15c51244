"""A database table to parquet: `ingest` beside pandas.read_sql in chunks of 1000, as a first version would do it.

Twelve columns of mixed kinds, nulls among them. pandas does what one writes down first: the default driver, the table
by its name (so that SQLite's times and dates come as such, as ours do), text of what parquet cannot take (UUIDs, JSON),
the first chunk's schema for all others. A row of its own shows that ten times the rows take ten times the CPU and the
same memory. dlt loads the table to parquet files by its own pipeline: with the backend that
it takes unless told otherwise, and with its fastest one.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _harness import Row, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

POSTGRES_ROWS = 2_000_000
POSTGRES_FEW = 500_000
MILLION = 1_000_000
MYSQL_ROWS = 500_000
SQLITE_ROWS = 500_000
QUICK_ROWS = 5_000
CHUNK = 1_000

ROWS = [
    Row(
        work="PostgreSQL table to parquet",
        ours="postgres_ours",
        peers={
            "pandas chunks": ("postgres_pandas", 1 / 8),
            "dlt (connectorx)": ("postgres_dlt_connectorx", 1 / 2),
        },
        peak_mb=220,
    ),
    # By itself and smaller: dlt's default takes minutes for what the others read in seconds.
    Row(
        work="PostgreSQL table to parquet, 500k rows",
        ours="postgres_ours_few",
        peers={"dlt (sqlalchemy, its default)": ("postgres_dlt", 1 / 20)},
    ),
    # The peer is ours again, with a tenth of the rows: what may grow is the CPU, in step with them, and nothing else.
    Row(
        work="PostgreSQL view to parquet, 10M rows",
        ours="postgres_ours_10m",
        peers={"ours, 1M rows": ("postgres_ours_1m", 11.0)},
        peak_ratio=1.2,
    ),
    Row(
        work="MySQL table to parquet",
        ours="mysql_ours",
        peers={"pandas + pymysql chunks": ("mysql_pandas", 1 / 8)},
        why="what does not depend on the source (imports, compression, the fingerprint) is more than half of ours "
        "here; the rows alone, read by connectorx and converted by us, take 1/13 of what pandas takes.",
    ),
    # SQLite hands out one Python object per value, whoever asks: there is less to win, and nothing may be lost.
    Row(work="SQLite table to parquet", ours="sqlite_ours", peers={"pandas chunks": ("sqlite_pandas", 1.0)}),
]

POSTGRES_TABLE = """
CREATE TABLE activity AS SELECT
  n::bigint                                                            AS event_id,
  md5((n % 100000)::text)::uuid                                        AS session_id,
  (n * 7919 % 200000)::integer                                         AS user_id,
  CASE WHEN n % 10 = 0 THEN NULL ELSE (n % 300)::smallint END          AS priority,
  (ARRAY['task_started', 'task_completed', 'bug_reported'])[1 + n % 3] AS event_type,
  CASE WHEN n % 7 = 0 THEN NULL ELSE n % 97 / 8.0::float8 END          AS hours,
  (n % 100000 / 100.0)::numeric(12, 2)                                 AS cost,
  n % 2 = 0                                                            AS billable,
  timestamptz '2026-01-01 00:00Z' + n * interval '1.25 second'         AS occurred_at,
  date '2026-01-01' + (n % 365)::integer                               AS due,
  CASE WHEN n % 5 = 0 THEN NULL ELSE 'note ' || md5(n::text) END       AS note,
  jsonb_build_object('task', n % 5000, 'files', n % 9)                 AS payload
FROM generate_series(1, {rows}::bigint) AS n
"""
POSTGRES_VIEW = POSTGRES_TABLE.replace("CREATE TABLE activity", "CREATE VIEW activity_{name}")

MYSQL_TABLE = """
CREATE TABLE activity (event_id BIGINT UNSIGNED, user_id INT, priority SMALLINT, event_type VARCHAR(20),
  skill ENUM('backend', 'frontend', 'database', 'devops'), hours DOUBLE, cost DECIMAL(12, 2), billable BOOLEAN,
  occurred_at TIMESTAMP(6), due DATE, note TEXT, payload JSON) CHARACTER SET utf8mb4
"""
MYSQL_ROWS_SQL = """
INSERT INTO activity SELECT
  seq, seq * 7919 % 200000, IF(seq % 10 = 0, NULL, seq % 300),
  ELT(1 + seq % 3, 'task_started', 'task_completed', 'bug_reported'), 1 + seq % 4,
  IF(seq % 7 = 0, NULL, seq % 97 / 8e0), seq % 100000 / 100, seq % 2 = 0,
  '2026-01-01 00:00:00' + INTERVAL seq * 1250000 MICROSECOND, '2026-01-01' + INTERVAL seq % 365 DAY,
  IF(seq % 5 = 0, NULL, CONCAT('note ', MD5(seq))), JSON_OBJECT('task', seq % 5000, 'files', seq % 9)
FROM seq_1_to_{rows}
"""

SQLITE_TABLE = """
CREATE TABLE activity (event_id INTEGER, user_id INTEGER, priority SMALLINT, event_type TEXT, skill TEXT, hours FLOAT,
  cost FLOAT, billable BOOLEAN, occurred_at TIMESTAMP, due DATE, note TEXT, payload TEXT)
"""
SQLITE_ROWS_SQL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})
INSERT INTO activity SELECT
  n, n * 7919 % 200000, CASE WHEN n % 10 = 0 THEN NULL ELSE n % 300 END,
  CASE n % 3 WHEN 0 THEN 'task_started' WHEN 1 THEN 'task_completed' ELSE 'bug_reported' END,
  CASE n % 4 WHEN 0 THEN 'backend' WHEN 1 THEN 'frontend' WHEN 2 THEN 'database' ELSE 'devops' END,
  CASE WHEN n % 7 = 0 THEN NULL ELSE n % 97 / 8.0 END, n % 100000 / 100.0, n % 2 = 0,
  strftime('%Y-%m-%d %H:%M:%S.000000', 1767225600 + n, 'unixepoch'),
  date(1767225600 + n % 365 * 86400, 'unixepoch'),
  CASE WHEN n % 5 = 0 THEN NULL ELSE 'note ' || n * 2654435761 END,
  json_object('task', n % 5000, 'files', n % 9)
FROM numbers
"""


@contextmanager
def setup(quick: bool) -> Iterator[Mapping[str, Any]]:  # noqa: FBT001 - the harness calls it
    """Fill the table in a PostgreSQL and in a SQLite of our own."""
    # The servers that the tests start; this file runs as a script, from anywhere.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import psycopg

    from tests import servers

    with (
        tempfile.TemporaryDirectory(prefix="mlpipe-bench-") as folder,
        servers.postgres() as uri,
        servers.mariadb() as mysql,
    ):
        with psycopg.connect(uri, autocommit=True) as target:
            target.execute(POSTGRES_TABLE.format(rows=QUICK_ROWS if quick else POSTGRES_ROWS).encode())
            target.execute(
                f"CREATE TABLE activity_few AS SELECT * FROM activity WHERE event_id <= {POSTGRES_FEW}".encode()
            )
            target.execute("VACUUM ANALYZE")
            # Made while they are read: the server's CPU is charged to nobody, and its disk keeps nothing.
            for name, times in (("1m", 1), ("10m", 10)):
                count = times * (QUICK_ROWS if quick else MILLION)
                target.execute(POSTGRES_VIEW.format(name=name, rows=count).encode())
        with closing(servers.mysql_connection(mysql)) as target, target.cursor() as cursor:
            cursor.execute(MYSQL_TABLE)
            cursor.execute(MYSQL_ROWS_SQL.format(rows=QUICK_ROWS if quick else MYSQL_ROWS))
        database = Path(folder) / "activity.db"
        with closing(sqlite3.connect(database)) as source, source:
            source.execute(SQLITE_TABLE)
            source.execute(SQLITE_ROWS_SQL.format(rows=QUICK_ROWS if quick else SQLITE_ROWS))
        yield {"postgres": uri, "mysql": mysql, "sqlite": f"sqlite:///{database}"}


def _ours(url: str, folder: Path, table: str = "activity") -> int:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import source
    from airflow_provider_mlpipe.ingestion import ingest
    from airflow_provider_mlpipe.run import Run

    declared = {"type": "database", "connection_string": url, "table": table}
    artifact = ingest(source(declared, "activity"), root=Storage(str(folder)), run=Run())
    return artifact.manifest.rows


def _pandas(url: str, folder: Path, as_text: Mapping[str, Callable[[Any], str]]) -> int:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    import sqlalchemy

    rows, writer = 0, None
    with sqlalchemy.create_engine(url).connect() as connection:
        for chunk in pd.read_sql("activity", connection, chunksize=CHUNK):
            for column, text in as_text.items():
                chunk[column] = chunk[column].map(text)
            table = pa.Table.from_pandas(chunk, schema=writer.schema if writer else None, preserve_index=False)
            writer = writer or pq.ParquetWriter(folder / "activity.parquet", table.schema)
            writer.write_table(table)
            rows += len(chunk)
    if writer:
        writer.close()
    return rows


def postgres_ours(given: dict[str, Any], folder: Path) -> int:
    return _ours(given["postgres"], folder)


def postgres_ours_few(given: dict[str, Any], folder: Path) -> int:
    return _ours(given["postgres"], folder, "activity_few")


def _grows(given: Mapping[str, Any], folder: Path, name: str, times: int) -> int:
    """Return the rows per part of ten, which is the same for both sides."""
    return _ours(given["postgres"], folder, f"activity_{name}") // times


def postgres_ours_1m(given: dict[str, Any], folder: Path) -> int:
    return _grows(given, folder, "1m", 1)


def postgres_ours_10m(given: dict[str, Any], folder: Path) -> int:
    return _grows(given, folder, "10m", 10)


def _dlt(given: Mapping[str, Any], folder: Path, table: str, options: Mapping[str, Any]) -> int:
    """Load a table to parquet files by dlt's pipeline; its state goes into the folder, and no telemetry out."""
    os.environ |= {"DLT_DATA_DIR": str(folder / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"  # it warns of every batch
    import dlt
    import pyarrow.parquet as pq
    from dlt.destinations import filesystem
    from dlt.sources.sql_database import sql_table

    url = given["postgres"].replace("postgresql://", "postgresql+psycopg://", 1)
    resource = sql_table(credentials=url, table=table, **options)
    pipeline = dlt.pipeline("bench", destination=filesystem((folder / "lake").as_uri()), dataset_name="bench")
    pipeline.run(resource, loader_file_format="parquet")
    return sum(pq.read_metadata(file).num_rows for file in (folder / "lake").rglob(f"{table}/*.parquet"))


def postgres_dlt(given: dict[str, Any], folder: Path) -> int:
    return _dlt(given, folder, "activity_few", {})


def postgres_dlt_connectorx(given: dict[str, Any], folder: Path) -> int:
    arguments = {"conn": given["postgres"], "return_type": "arrow_stream", "batch_size": 65_536}
    return _dlt(given, folder, "activity", {"backend": "connectorx", "backend_kwargs": arguments})


def postgres_pandas(given: dict[str, Any], folder: Path) -> int:
    return _pandas(given["postgres"], folder, {"session_id": str, "payload": json.dumps})


def mysql_ours(given: dict[str, Any], folder: Path) -> int:
    return _ours(given["mysql"], folder)


def mysql_pandas(given: dict[str, Any], folder: Path) -> int:
    return _pandas(given["mysql"].replace("mysql://", "mysql+pymysql://"), folder, {})


def sqlite_ours(given: dict[str, Any], folder: Path) -> int:
    return _ours(given["sqlite"], folder)


def sqlite_pandas(given: dict[str, Any], folder: Path) -> int:
    return _pandas(given["sqlite"], folder, {})


CASES = {
    case.__name__: case
    for case in (
        postgres_ours, postgres_ours_few, postgres_ours_1m, postgres_ours_10m, postgres_pandas, postgres_dlt,
        postgres_dlt_connectorx, mysql_ours, mysql_pandas, sqlite_ours, sqlite_pandas,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(__file__, ROWS, CASES, setup))
