"""The extraction as a job: arguments to artifact, and errors to exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.engines import DuckDBSettings, SparkSettings, settings_named
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction import submission
from tests.feature_extraction.material import AS_OF, activity, done, published, users

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage

JOB = Path(submission.__file__).with_name("__main__.py")


@pytest.fixture
def arguments(root: Storage, tmp_path: Path) -> list[str]:
    """A job that works."""
    config = tmp_path / "features.yaml"
    config.write_text("user_features:\n  features: [tasks_completed_7d]\n", encoding="utf-8")
    people = published(root, "users", users("ann", "bob"))
    events = published(root, "activity", activity(*(done("ann", AS_OF.replace(day=day)) for day in (12, 13))))
    return [
        "--config", str(config), "--set", "user_features", "--as-of", AS_OF.isoformat(),
        "--inputs", f"users={people.uri}", "--inputs", f"activity={events.uri}",
        "--result", str(tmp_path / "out" / "result.json"), "--dag-id", "d", "--try-number", "3",
    ]  # fmt: skip


def test_a_job_publishes_below_its_inputs_root_and_says_where(
    root: Storage, arguments: list[str], tmp_path: Path
) -> None:
    """As a file from elsewhere, the way `spark-submit` runs it: our modules are not taken for others."""
    done = subprocess.run(
        [sys.executable, str(JOB), *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["artifact"] == f"{root.uri}/user_features/features/20260113T020000Z-20260114T020000Z"
    assert result["metrics"]["entities"] == 2
    artifact = Artifact.open(result["artifact"])
    assert artifact.table(["user_id", "tasks_completed_7d"]).to_pylist() == [
        {"user_id": "ann", "tasks_completed_7d": 2},
        {"user_id": "bob", "tasks_completed_7d": 0},
    ]
    run = artifact.manifest.run
    assert (run["dag_id"], run["task_id"], run["try_number"]) == ("d", "extract.user_features", 3)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("--set", "user_featurs"), 2, "no feature set named 'user_featurs'"),
        (("--inputs", "users"), 2, "not of the form NAME=VALUE"),
        (("--inputs", "users=/nowhere"), 3, "no artifact at /nowhere"),
        (("--as-of", "tomorrow"), 2, "not an ISO 8601 date or time"),
    ],
)
def test_an_error_is_an_exit_code_and_a_message(
    arguments: list[str], change: tuple[str, str], code: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert submission.main([*arguments, *change]) == code
    assert said in caplog.text
    assert "Traceback" not in caplog.text


def test_the_first_engine_that_is_named_decides() -> None:
    spark = SparkSettings(master="local[3]")
    assert settings_named(None, "", None) == DuckDBSettings()
    assert settings_named(None, "spark", "duckdb", spark=spark) is spark
    assert settings_named("duckdb", "spark", spark=spark) == DuckDBSettings()
    with pytest.raises(ConfigError, match="no engine named 'sparc'.*Did you mean 'spark'"):
        settings_named("sparc")
