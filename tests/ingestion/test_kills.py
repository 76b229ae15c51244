"""SIGKILL at random moments of a read, for every source: the old artifact or none, never a half; then every row once.

The moments are calls of functions, drawn from all that a read makes, and times. A topic is killed 34 times more, with
messages coming meanwhile, in test_kafka_crash.
"""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Artifact, S3Options, Storage
from airflow_provider_mlpipe.errors import ArtifactNotFoundError
from airflow_provider_mlpipe.run import Run
from tests.ingestion.cells import promise
from tests.ingestion.places import S3, Row, contents, expected, take
from tests.ingestion.support import DAY, counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ingestion.places import Place

logger = logging.getLogger(__name__)

pytestmark = pytest.mark.slow

ROWS = 3_000
BY_CALL, BY_TIME = 6, 4
"""Kills per source."""

CONTENT: list[Row] = [
    (number // 2, f"name {number * 2654435761}", number / 8, f"2026-01-13 03:{number // 60 % 60:02d}:{number % 60:02d}")
    for number in range(ROWS)
]
KEYS = {"batch_size": 250, "deduplicate": {"keys": ["id"], "order_by": ["at"]}}


class Driver:
    """The program that forks and kills."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def driver(scratch: Path) -> Iterator[Driver]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ingestion.kill_driver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, cwd=Path(__file__).parents[2], env={**os.environ, "TMPDIR": str(scratch)},
    )  # fmt: skip
    try:
        yield Driver(process)
    finally:
        process.communicate()


def state(root: Storage) -> str | None:
    """Return the fingerprint of what is published, having read all of it; None if there is nothing."""
    try:
        artifact = Artifact.open(f"{root.uri}/things/raw/{DAY.partition}", root.options)
    except ArtifactNotFoundError:
        return None
    assert artifact.table().num_rows == artifact.manifest.rows
    return artifact.fingerprint


@promise("kill")
def test_sigkill_at_random_moments(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = {**place.source(CONTENT), **KEYS}
    options: S3Options | None = source.pop("connection", None)
    base = Storage(f"{source['path']}-lake", options) if isinstance(place, S3) and options else Storage(str(tmp_path))
    request = {
        "kind": type(place).__name__, "source": source, "s3": options and asdict(options), "try": 1,
        "root": base.below("root").uri, "calls": None, "seconds": None,
    }  # fmt: skip
    root = base.below("root")
    choice = random.Random(f"{type(place).__name__} 20260117")
    killed = 0
    with driver(scratch) as driven:
        # Undisturbed, to learn what to import and what comes out; then again, to learn how many calls that makes.
        for name in ("first", "second"):
            whole = driven.ask({**request, "root": base.below(name).uri})
            assert whole["code"] == 0
        wanted = state(base.below("second"))
        moments: list[tuple[str, float]] = [("calls", choice.randrange(1, whole["calls"])) for _ in range(BY_CALL)]
        moments += [("seconds", choice.uniform(0, whole["seconds"])) for _ in range(BY_TIME)]
        # The last calls, too: the manifest is written there, and what is old is swept.
        moments += [("calls", whole["calls"] - choice.randrange(1, 300)) for _ in range(2)]
        choice.shuffle(moments)
        for number, (kind, moment) in enumerate(moments):
            answer = driven.ask({**request, kind: moment, "try": number + 1})
            assert answer["code"] in {0, -9}, "it was killed, or had ended already"
            killed += answer["killed"]
            assert state(root) in {None, wanted}, f"killed at {kind} {moment}"
        logger.info("%s: %d of %d killed", type(place).__name__, killed, len(moments))
        assert killed >= 4  # so with those of topics at least 50 over the sources, however busy the machine
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    last = Run(dag_id="tests", interval=DAY.interval, try_number=99)
    artifact = take({**source, "connection": options}, root, last)
    assert artifact.fingerprint == wanted
    assert contents(artifact) == expected(CONTENT[1::2])
    assert counts(artifact) == (ROWS, ROWS // 2, 0, ROWS // 2)
    kept = {"_manifest.json", *(part.name for part in artifact.manifest.parts)}
    assert artifact.place.names().keys() - {"_offsets.json"} == kept, "no rest of a killed attempt"
    assert list(scratch.iterdir()) == [], "no rest of one among the temporary files"
