"""A command that waits for MariaDB is interrupted, or killed: the server works for it no longer.

connectorx waits with Python's lock in its hands, and a killed process can tell nobody anything.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.servers import mariadb, mysql_connection, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

QUERIES = {
    "sleep": "SELECT 1 AS id, SLEEP(900) AS nothing",
    "join": "SELECT a.seq AS id FROM seq_1_to_100000 a, seq_1_to_100000 b WHERE a.seq * b.seq < 0",
    "stream": "SELECT seq AS id, IF(seq > 200000, SLEEP(1), 0) AS nothing FROM seq_1_to_900000",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """MariaDB's address."""
    with mariadb() as uri:
        yield uri


def running(uri: str) -> list[str]:
    """Return the statements of ours that the server executes."""
    with closing(mysql_connection(uri)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT info FROM information_schema.processlist WHERE id <> CONNECTION_ID()")
        return [text for (text,) in cursor.fetchall() if text and "/* mlpipe " in text]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
@pytest.mark.parametrize("driver", ["connectorx", "cursor"])
@pytest.mark.parametrize("query", QUERIES)
def test_nobody_works_for_a_command_that_is_gone(
    server: str, query: str, driver: str, number: signal.Signals, tmp_path: Path
) -> None:
    config, root = tmp_path / "sources.yaml", tmp_path / "artifacts"
    uri = server if driver == "connectorx" else f"{server}?read_ahead=false"
    source = {"type": "database", "connection_string": uri, "query": QUERIES[query]}
    config.write_text(json.dumps({"sources": {"orders": source}}))
    command = [sys.executable, "-m", "airflow_provider_mlpipe.cli", "ingest", "orders", "--config", str(config)]
    process = subprocess.Popen(
        [*command, "--root", str(root), "--as-of", "2026-01-14T02:00:00Z"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(lambda: process.poll() is not None or any("mlpipe_query" in text for text in running(server)), "it reads")
        process.send_signal(number)
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()

    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), output
    until(lambda: not running(server), "the server is free again", 60)
    assert list(root.rglob("_manifest.json")) == []
    if number == signal.SIGINT:
        assert [path for path in root.rglob("*") if path.is_file()] == []
