"""The small Python API: one source to one parquet file, as the project's description writes it."""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, UnknownKeyError
from airflow_provider_mlpipe.ingestion import (
    APIIngestion,
    DatabaseIngestion,
    DataSourceType,
    FileIngestion,
    IngestionConfig,
)
from tests.servers import PASSWORD, json_api

if TYPE_CHECKING:
    from pathlib import Path

SEED_METRICS = (
    "records_read",
    "records_written",
    "records_failed",
    "bytes_processed",
    "duration_seconds",
    "error_rate",
)


@pytest.fixture
def database(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE users (user_id TEXT, email TEXT, age INTEGER)")
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", [(f"u{n}", f"u{n}@x.y", n) for n in range(2500)])
        connection.execute("INSERT INTO users VALUES ('u-', 'u@x.y', 'old')")
        connection.commit()
    return f"sqlite:///{tmp_path}/shop.db"


def test_a_table_to_a_parquet_file(database: str, tmp_path: Path) -> None:
    config = IngestionConfig(
        source_type=DataSourceType.DATABASE,
        source_config={"connection_string": database, "table": "users", "required_columns": ["user_id", "email"]},
        target_path=str(tmp_path / "data" / "raw_users.parquet"),
        batch_size=1000,
    )
    metrics = DatabaseIngestion(config).run()
    assert (metrics.records_read, metrics.records_written, metrics.records_failed) == (2501, 2500, 1)
    assert metrics["error_rate"] == metrics.error_rate == pytest.approx(1 / 2501)
    for name in SEED_METRICS:
        assert getattr(metrics, name) == metrics[name]
    assert pickle.loads(pickle.dumps(metrics)) == metrics
    with pytest.raises(AttributeError):
        _ = metrics.records_lost
    assert pq.read_table(tmp_path / "data" / "raw_users.parquet").num_rows == 2500
    quarantine = pq.read_table(tmp_path / "data" / "raw_users.quarantine.parquet").to_pylist()
    assert [row["reason"] for row in quarantine] == ["age: 'old' does not fit as int64"]


def test_a_failed_run_leaves_the_file_that_was_there(database: str, tmp_path: Path) -> None:
    target = tmp_path / "raw_users.parquet"
    good = {"connection_string": database, "table": "users"}
    make = lambda source: IngestionConfig(source_type=DataSourceType.DATABASE, source_config=source, target_path=target)  # noqa: E731
    DatabaseIngestion(make(good)).run()
    before = target.read_bytes()
    with pytest.raises(SourceRejectedError):
        DatabaseIngestion(make(good | {"required_columns": ["phone"]})).run()
    assert target.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"shop.db", target.name, "raw_users.quarantine.parquet"}


def test_an_endpoint_and_files_work_alike(tmp_path: Path) -> None:
    with json_api({"/tasks": {"tasks": [{"id": 1}, {"id": 2}]}}) as api:
        config = IngestionConfig(
            source_type=DataSourceType.API,
            source_config={"url": api.url + "/tasks", "data_key": "tasks"},
            target_path=tmp_path / "tasks.parquet",
        )
        assert APIIngestion(config).run().records_written == 2
    config = IngestionConfig(
        source_type=DataSourceType.FILE,
        source_config={"path": str(tmp_path / "tasks.parquet")},
        target_path=tmp_path / "copy.parquet",
    )
    assert FileIngestion(config).run().records_written == 2
    assert pq.read_table(tmp_path / "copy.parquet") == pq.read_table(tmp_path / "tasks.parquet")


def test_an_interval_bounds_an_incremental_source(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,at\n1,2026-01-13\n2,2026-01-14\n")
    config = IngestionConfig(
        source_type=DataSourceType.FILE,
        source_config={"path": str(tmp_path / "t.csv"), "incremental": {"cursor_column": "at"}},
        target_path=tmp_path / "t.parquet",
        interval=("2026-01-13", "2026-01-14"),
    )
    assert FileIngestion(config).run().records_written == 1


def test_wrong_use_is_explained_without_secrets(tmp_path: Path) -> None:
    source = {"connection_string": f"postgresql://shop:{PASSWORD}@db/shop", "tabel": "users"}
    config = IngestionConfig(
        source_type=DataSourceType.DATABASE, source_config=source, target_path=tmp_path / "x.parquet"
    )
    assert PASSWORD not in repr(config)
    with pytest.raises(UnknownKeyError, match="Did you mean 'table'") as caught:
        DatabaseIngestion(config).run()
    assert PASSWORD not in str(caught.value)
    with pytest.raises(ConfigError, match="APIIngestion reads 'api' sources"):
        APIIngestion(config)


def test_importing_the_room_is_light() -> None:
    heavy = ["pandas", "pyarrow", "duckdb", "ibis", "sqlalchemy", "httpx", "airflow", "adbc_driver_manager", "psycopg"]
    code = f"""
import sys
import airflow_provider_mlpipe.ingestion as room
for name in room.__all__: getattr(room, name)
print([name for name in {heavy!r} if name in sys.modules])"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
