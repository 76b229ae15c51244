"""Killing ingestion at any moment leaves the old artifact or none, never a half; the next run repairs everything."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ArtifactNotFoundError
from tests.ingestion.support import counts, quarantined, read
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Storage

ROWS = 120_000
KILLS = 10

CHILD = """
import sys
from tests.ingestion.support import read
from airflow_provider_mlpipe.artifacts import Storage
print("begin", flush=True)
seen = lambda rows: print(rows, flush=True)
read({"type": "database", "connection_string": sys.argv[1], "table": "things", "batch_size": 10000,
      "deduplicate": {"keys": ["id"], "order_by": ["v"]}}, Storage(sys.argv[2]), progress=seen)
print("end", flush=True)
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "things.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (id INTEGER, v INTEGER, t TEXT)")
        content = ((number // 2, number if number % 1000 else "bad", f"text {number}") for number in range(ROWS))
        connection.executemany("INSERT INTO things VALUES (?, ?, ?)", content)
        connection.commit()
    return f"sqlite:///{path}"


def state(uri: str) -> str | None:
    """Return the fingerprint of what is published, having read all of it; None if there is nothing."""
    try:
        artifact = Artifact.open(uri)
    except ArtifactNotFoundError:
        return None
    assert artifact.table().num_rows == artifact.manifest.rows
    return artifact.fingerprint


def marks(folder: Path, pattern: str) -> set[tuple[str, int]]:
    """Return the files of that name with their inodes: a file that is replaced is another one."""
    found = set()
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):  # swept between the two calls
            found.add((path.name, path.stat().st_ino))
    return found


def reached(child: subprocess.Popen[str], moment: str, folder: Path) -> Callable[[], bool]:
    """Return a condition: the child has said or done what `moment` names, or has ended."""
    signs = {"a part": "part-*", "the manifest": "_manifest.json"}
    if moment in signs:
        before = marks(folder, signs[moment])
        return lambda: marks(folder, signs[moment]) != before or child.poll() is not None
    return lambda: child.stdout is not None and child.stdout.readline().strip() in {moment, ""}


def test_sigkill_at_random_moments(source: str, root: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what a killed process leaves there goes with the test
    monkeypatch.setattr(tempfile, "tempdir", None)
    uri = f"{root.uri}/things/raw/20260113T020000Z-20260114T020000Z"
    choice = random.Random(20260115)
    moments = [*(f"{choice.randrange(1, ROWS // 10_000) * 10_000}" for _ in range(KILLS - 5)), "begin", str(ROWS)]
    moments += ["a part", "the manifest", "end"]
    states: list[str | None] = []
    for moment in moments:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, source, root.uri],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert child.stdout is not None
        until(reached(child, moment, Path(uri)), f"the child's progress to {moment}")
        child.kill()
        child.wait()
        child.stdout.close()
        states.append(state(uri))
    published = {fingerprint for fingerprint in states if fingerprint is not None}
    assert states[0] is None, "killed while it read: nothing is there"
    assert len(published) == 1, "the same content, whichever attempt published it"
    artifact = read(
        {"type": "database", "connection_string": source, "table": "things",
         "deduplicate": {"keys": ["id"], "order_by": ["v"]}},
        root,
    )  # fmt: skip
    assert {artifact.fingerprint} == published
    assert counts(artifact) == (ROWS, ROWS // 2, 120, ROWS // 2 - 120)
    assert len(quarantined(artifact)) == 120
    left = {path.name for path in Path(uri).iterdir()}
    assert left == {"_manifest.json", *(part.name for part in artifact.manifest.parts)}, "no rest of a killed attempt"
