"""``mlpipe suite export`` and what ``mlpipe check`` says of rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

YAML = """\
users:
  schema: {user_id: string, age: int}
  range_constraints: {age: {min: 0, condition: "user_id is not null", severity: WARNING}}
  row_rules: [age % 2 = 0]
events:
  freshness: {timestamp_column: at, max_age_hours: 24}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(YAML)
    return path


def test_a_suite_is_written_to_a_file_or_told(config, mlpipe, tmp_path):
    target = tmp_path / "users.json"
    answer = mlpipe("suite", "export", config, "--dataset", "users", "-o", target)
    assert (answer.code, answer.out.strip()) == (0, f"{target}: 7 expectations")
    document = json.loads(target.read_text())
    assert document["name"] == "users"
    assert {each["meta"]["mlpipe"]["where"] for each in document["expectations"]} >= {f"{config}:3", f"{config}:4"}
    assert json.loads(mlpipe("suite", "export", config, "--dataset", "users").out) == document
    told = json.loads(mlpipe("suite", "export", config, "--dataset", "users", "--json").out)
    assert (told["file"], told["suite"]) == (None, document)


def test_freshness_takes_its_moment_from_as_of(config, mlpipe):
    answer = mlpipe("suite", "export", config, "--dataset", "events")
    assert answer.code == 2
    assert f"{config}:6" in answer.err
    assert "Give --as-of TIME" in answer.err
    dated = json.loads(mlpipe("suite", "export", config, "--dataset", "events", "--as-of", "2026-01-14").out)
    (fresh,) = [each for each in dated["expectations"] if each["type"] == "expect_column_to_be_fresh"]
    assert fresh["kwargs"]["reference_time"] == "2026-01-14T00:00:00+00:00"


def test_check_reads_expressions_and_patterns(config, mlpipe):
    assert mlpipe("check", config).code == 0
    config.write_text("users:\n  row_rules:\n    - age > now()\n  patterns: {email: '(?=x)'}\n")
    answer = mlpipe("check", config)
    assert answer.code == 2
    told = " ".join(answer.out.split())
    assert f"{config}:3: row_rules.0.rule: now() reads the clock" in told
    assert f"{config}:4: patterns.email: not a regular expression" in told
