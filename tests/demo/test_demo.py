"""`make demo`, as a newcomer runs it, twice."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.airflow
def test_the_demo_ends_with_features_from_the_online_store(tmp_path):
    import sqlite3

    home = tmp_path / "demo"
    command = [sys.executable, REPOSITORY / "scripts" / "demo.py", "--home", home]

    first = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    second = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "metadata database" not in second.stdout

    stages = re.findall(
        r"^(ingest|validate|extract|materialize) +(\w+) +([\d,]+) +([\d,]+)", second.stdout, re.MULTILINE
    )
    assert [stage for stage, *_ in stages] == ["ingest", "ingest", "validate", "validate", "extract", "materialize"]
    assert "100 read back, 0 differ" in second.stdout
    reports = [Path(found) for found in re.findall(r"^report +(\S+_report.html)$", second.stdout, re.MULTILINE)]
    assert len(reports) == 2
    assert all("<html" in (REPOSITORY / report).read_text(encoding="utf-8") for report in reports)

    online = re.findall(r"^(u_\d+) .* (\d+) *$", second.stdout, re.MULTILINE)
    assert len(online) == 3
    with closing(sqlite3.connect(home / "sample" / "tracker.db")) as database:
        for user, completed in online:
            query = (
                "SELECT count(*) FROM activity WHERE user_id = ? AND event_type = 'task_completed' "
                "AND occurred_at >= '2026-01-07 02:00' AND occurred_at < '2026-01-14 02:00'"
            )
            assert database.execute(query, (user,)).fetchone() == (int(completed),)
