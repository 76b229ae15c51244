"""Makes the sample tracker and loads its tables into the PostgreSQL database that MLPIPE_SAMPLE_DB names.

Once: a sample that is there stays, so that a day computed again reads what it read before. In one transaction: whoever
reads meanwhile sees no table or all of them.
"""

# ruff: noqa: INP001 - a script beside init.sh, not a package
from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from airflow_provider_mlpipe.sample import write

logging.basicConfig(level=logging.INFO, format="%(message)s")
logger = logging.getLogger("sample")

TYPES = {"TEXT": "text", "INTEGER": "bigint", "FLOAT": "double precision", "TIMESTAMP": "timestamp with time zone"}
"""PostgreSQL's type by the one that the sample declares; its times are UTC."""


def load(source: sqlite3.Connection, target: psycopg.Connection[object], table: str) -> int:
    """Create `table` and return how many rows it has."""
    declared = {name: TYPES[kind] for _, name, kind, *_ in source.execute(f"PRAGMA table_info({table})")}
    columns = sql.SQL(", ").join(sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, kind in declared.items())
    name = sql.Identifier(table)
    target.execute(sql.SQL("CREATE TABLE {} ({})").format(name, columns))
    rows = 0
    with target.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
        for row in source.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a name from the sample's own schema
            copy.write_row(row)
            rows += 1
    return rows


def last_day() -> date:
    """Return where the sample's history ends: what the environment says, else far enough for a month of daily runs."""
    said = os.environ.get("SAMPLE_UNTIL")
    return date.fromisoformat(said) if said else datetime.now(UTC).date() + timedelta(days=30)


def main() -> None:
    """Load every table of the sample, unless it is there."""
    url = os.environ["MLPIPE_SAMPLE_DB"].replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, options="-c timezone=UTC") as target, tempfile.TemporaryDirectory() as folder:
        if target.execute("SELECT to_regclass('users')").fetchone() != (None,):
            logger.info("the sample is there")
            return
        with closing(sqlite3.connect(write(folder, until=last_day(), days=90).database)) as source:
            tables = [name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                logger.info("%s: %d rows", table, load(source, target, table))


if __name__ == "__main__":
    main()
