"""Ten times the rows take the memory of one tenth: measured in processes of their own, not in this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.slow

MILLION = 1_000_000
RATIO = 1.2

PROGRAM = """
import sys
from pathlib import Path
Path("/proc/self/clear_refs").write_text("5")  # a process begins with the peak of the one that started it
from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.ingestion import ingest
from airflow_provider_mlpipe.run import Run
uri, table, folder, parallel = sys.argv[1:]
source = {"type": "database", "connection_string": uri, "table": table, "parallel": int(parallel)}
artifact = ingest(config.source(source, table), root=Storage(folder), run=Run())
status = Path("/proc/self/status").read_text()
peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
print(artifact.manifest.rows, peak)
"""


def peak(uri: str, rows: int, folder: Path, parallel: int) -> int:
    """Ingest a table in a new process; return its peak in KiB."""
    command = [sys.executable, "-c", PROGRAM, uri, f"memory_{rows}", str(folder / f"{rows}-{parallel}"), str(parallel)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, taken = done.stdout.split()
    assert int(found) == rows
    return int(taken)


def test_ten_million_rows_take_the_memory_of_one_million(postgres: str, tmp_path: Path) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells a process its peak")
    columns = """n AS id, n % 200000 AS user_id, (n % 100000 / 100.0)::numeric(12, 2) AS cost,
        timestamptz '2026-01-01Z' + n * interval '1 s' AS at, 'note ' || md5(n::text) AS note"""
    with psycopg.connect(postgres, autocommit=True) as connection:
        try:
            for rows in (MILLION, 10 * MILLION):
                made = f"CREATE UNLOGGED TABLE memory_{rows} AS SELECT {columns} FROM generate_series(1, {rows}) AS n"
                connection.execute(made.encode())
            for parallel in (1, 4):
                one = peak(postgres, MILLION, tmp_path, parallel)
                ten = peak(postgres, 10 * MILLION, tmp_path, parallel)
                assert ten <= RATIO * one, f"{parallel} connections: {one:,} KiB for 1M rows, {ten:,} KiB for 10M"
        finally:
            connection.execute(f"DROP TABLE IF EXISTS memory_{MILLION}, memory_{10 * MILLION}".encode())
