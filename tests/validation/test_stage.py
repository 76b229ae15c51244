"""`validate`: what it leaves beside the data, what it returns, what it raises, and what importing it costs."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.artifacts.artifact import REPORT, SUITE, VERDICT
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import DuckDBSettings
from airflow_provider_mlpipe.errors import ArtifactCorruptError, ArtifactReplacedError, DataRejectedError, PublishError
from airflow_provider_mlpipe.validation import validate

YAML = """\
data:
  required_columns: [user_id, email]
  unique_columns: [user_id]
  range_constraints:
    age: [0, 120]
    hours: {min: 0, severity: WARNING, owner: ann, note: "Time does not run backwards."}
  categorical_constraints:
    status: {values: [active], severity: INFO}
"""
BAD = {
    "user_id": ["u1", "u2", "u2", "u4"],
    "email": ["a@x.org", None, "c@x.org", "d@x.org"],
    "age": [30, 200, 40, -1],
    "hours": [1.0, -2.0, 3.0, 4.0],
    "status": ["active", "active", "gone", "active"],
}
GOOD = {
    "user_id": ["u1", "u2"], "email": ["a@x.org", "b@x.org"], "age": [30, 40], "hours": [1.0, 2.0],
    "status": ["active"] * 2,
}  # fmt: skip


@pytest.fixture
def rules(yaml_file):
    return dataset_rules(yaml_file(YAML), "data")


def test_suite_report_and_verdict_lie_beside_the_data_and_name_its_content(publish, rules, as_of):
    artifact = publish(GOOD)
    assert artifact.verdict() is None
    verdict = validate(artifact, rules, as_of=as_of)
    summary = artifact.verdict()
    assert summary is not None
    assert (summary["passed"], summary["fingerprint"], summary["dataset"]) == (True, artifact.fingerprint, "data")
    assert (summary["as_of"], summary["artifact"]) == ("2026-01-14T02:00:00+00:00", artifact.uri)
    assert summary["report"] == verdict.report == f"{artifact.uri}/{REPORT}"
    assert summary["counts"] == dict(verdict.counts)
    assert {"cpu_seconds", "duration_seconds", "peak_rss_bytes"} < verdict.counts.keys()
    for name in (SUITE, VERDICT):
        json.loads(artifact.read_beside(name), parse_constant=pytest.fail)
    assert artifact.read_beside(REPORT).startswith(b"<!doctype html>")


def test_a_verdict_is_of_one_content_only(publish, rules, as_of, root):
    from airflow_provider_mlpipe.artifacts import ArtifactWriter
    from airflow_provider_mlpipe.artifacts.writer import Description
    from airflow_provider_mlpipe.run import Run

    artifact = publish(GOOD)
    validate(artifact, rules, as_of=as_of)
    described = Description(dataset="data", stage="raw", run=Run(run_id="test-0"))
    table = pa.table(BAD)
    with ArtifactWriter(root, described, table.schema) as writer:
        writer.write_all(table.to_batches())
        again = writer.publish()
    assert again.uri == artifact.uri
    assert again.verdict() is None


def test_the_verdict_is_written_last(publish, rules, as_of, monkeypatch):
    """A process that dies while it writes leaves no verdict, so the gate stays closed."""
    written: list[str] = []
    write = Artifact.write_beside
    monkeypatch.setattr(
        Artifact, "write_beside", lambda self, name, content: (written.append(name), write(self, name, content))[1]
    )
    validate(publish(GOOD), rules, as_of=as_of)
    assert written == [SUITE, REPORT, VERDICT]


def test_counts_follow_severity(publish, rules, as_of):
    verdict = validate(publish(BAD), rules, as_of=as_of)
    assert not verdict.passed
    counts = {
        name: verdict.counts[name]
        for name in ("total_checks", "passed", "failed", "errors", "warnings", "skipped", "rows_validated")
    }
    assert counts == {
        "total_checks": 12,
        "passed": 7,
        "failed": 5,
        "errors": 3,
        "warnings": 1,
        "skipped": 0,
        "rows_validated": 4,
    }
    assert [result.severity for result in verdict.results if result.failed] == ["ERROR"] * 3 + ["WARNING", "INFO"]


def test_what_failed_is_counted_by_what_alerts_ask_for(judge):
    drifted = {"reference": {"values": ["a", "b"], "weights": [1, 1]}, "min_rows": 1}
    verdict = judge(
        {"c": ["a"] * 4, "t": [datetime(2025, 1, 1, tzinfo=UTC)] * 4},
        {
            "distribution": {"c": drifted},
            "freshness": {"timestamp_column": "t", "max_age_hours": 24},
            "row_count": [5, None],
            "required_columns": ["absent"],
        },
    )
    assert {name: verdict.counts[name] for name in ("drift_failed", "freshness_failed", "row_count_failed")} == {
        "drift_failed": 1,
        "freshness_failed": 1,
        "row_count_failed": 1,
    }
    assert verdict.counts["failed"] == 4


def test_the_error_says_rule_column_counts_share_samples_line_report_and_what_to_do(publish, rules, as_of):
    verdict = validate(publish(BAD), rules, as_of=as_of)
    with pytest.raises(DataRejectedError) as caught:
        verdict.raise_if_blocked()
    message = str(caught.value)
    path = rules.document.name
    assert f"data: 3 rules of severity ERROR failed on 4 rows of {verdict.artifact.uri}" in message
    assert "`age` is between 0 and 120. 2 of 4 values (50 %) are not." in message
    assert "samples: 200 (user_id 'u2'); -1 (user_id 'u4')" in message
    assert f"rule data.range.age at {path}:5" in message
    assert "`email` is never empty. 1 of 4 rows (25 %) is empty." in message
    assert "'u2' (2 rows)" in message
    assert f"Report: {verdict.report}" in message
    assert "Hint: " in message
    assert "hours" not in message.partition("Report:")[0]  # warnings do not block, so they are not the error's
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.exit_code, again.fields["failures"]) == (message, 1, caught.value.fields["failures"])
    json.dumps(caught.value.as_dict())


def test_the_summary_lists_what_failed_first_with_owner_and_note(publish, rules, as_of):
    summary = validate(publish(BAD), rules, as_of=as_of).summary()
    lines = summary.splitlines()
    assert lines[0] == "data: BLOCKED, 7 of 12 rules held, 3 errors, 1 warning, 0 skipped; 4 rows"
    assert summary.index("ERROR FAILED") < summary.index("WARNING FAILED") < summary.index("INFO FAILED")
    assert "owner ann" in summary
    assert "note: Time does not run backwards." in summary


def test_nothing_is_raised_for_data_that_may_pass(publish, rules, as_of):
    tolerated = GOOD | {"hours": [-1.0, 2.0], "status": ["gone", "active"]}
    verdict = validate(publish(tolerated), rules, as_of=as_of)
    verdict.raise_if_blocked()
    assert (verdict.passed, verdict.counts["failed"], verdict.counts["errors"]) == (True, 2, 0)


def test_the_same_data_gets_the_same_words_every_time(publish, rules, as_of):
    table = pa.concat_tables([pa.table(BAD)] * 50)
    artifact = publish(table)
    assert validate(artifact, rules, as_of=as_of).summary() == validate(artifact, rules, as_of=as_of).summary()


def test_several_parts_and_row_groups_are_one_table(publish, as_of, monkeypatch):
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.ROW_GROUP_ROWS", 100)
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.PART_ROWS", 300)
    table = pa.table({"n": list(range(1000)), "k": [number % 999 for number in range(1000)]})
    artifact = publish(pa.Table.from_batches(table.to_batches(max_chunksize=100)))
    assert len(artifact.paths) > 1
    rules = dataset_rules({"data": {"range_constraints": {"n": [0, 998]}, "unique_columns": ["k"]}}, "data")
    verdict = validate(artifact, rules, as_of=as_of)
    assert {result.rule_id: result.unexpected for result in verdict.results if result.failed} == {
        "data.range.n": 1,
        "data.unique.k": 2,
    }


def test_under_a_small_memory_limit_keys_spill_and_are_counted_all_the_same(publish, as_of):
    table = pa.table({"k": [f"key-{number % 299_999:060d}" for number in range(300_000)]})
    rules = dataset_rules({"data": {"unique_columns": ["k"]}}, "data")
    verdict = validate(publish(table), rules, as_of=as_of, engine=DuckDBSettings(memory_limit="100MB", threads=1))
    assert [result.unexpected for result in verdict.results if result.failed] == [2]


def test_s3_artifacts_are_judged_where_they_lie(publish, rules, as_of, s3):
    artifact = publish(BAD, Storage(f"{s3.uri}/validation", s3.options))
    verdict = validate(artifact, rules, as_of=as_of)
    assert verdict.counts["errors"] == 3
    reopened = Artifact.open(artifact.uri, s3.options)
    assert reopened.verdict()["passed"] is False
    content = reopened.read_beside(VERDICT).decode()
    assert s3.options.secret_key not in content
    local = validate(publish(BAD), rules, as_of=as_of)
    assert [result.as_dict() for result in verdict.results] == [result.as_dict() for result in local.results]


def test_data_that_is_gone_damaged_or_replaced_is_said_so(publish, rules, as_of):
    from pathlib import Path

    gone = publish(GOOD)
    Path(gone.paths[0]).unlink()
    with pytest.raises(ArtifactCorruptError, match="is missing"):
        validate(gone, rules, as_of=as_of)
    damaged = publish(GOOD)
    content = Path(damaged.paths[0]).read_bytes()
    Path(damaged.paths[0]).write_bytes(b"\0" * len(content))
    with pytest.raises(Exception, match="cannot be read") as caught:
        validate(damaged, rules, as_of=as_of)
    assert type(caught.value).__module__ == "airflow_provider_mlpipe.errors"
    assert damaged.verdict() is None


def test_a_place_that_refuses_the_verdict_is_a_publish_error(publish, rules, as_of, monkeypatch):
    artifact = publish(GOOD)

    def refuse(self, name, content):
        raise PublishError.failed(f"{self.uri}/{name}", "No space left on device")

    monkeypatch.setattr(Storage, "replace", refuse)
    with pytest.raises(PublishError, match="No space left"):
        validate(artifact, rules, as_of=as_of)


def test_a_replaced_artifact_asks_for_another_try(publish, rules, as_of, root):
    from airflow_provider_mlpipe.artifacts import ArtifactWriter
    from airflow_provider_mlpipe.artifacts.writer import Description
    from airflow_provider_mlpipe.run import Run

    old = publish(GOOD)
    table = pa.table(BAD)
    with ArtifactWriter(
        root, Description(dataset="data", stage="raw", run=Run(run_id="test-0")), table.schema
    ) as writer:
        writer.write_all(table.to_batches())
        writer.publish()
    with pytest.raises(ArtifactReplacedError):
        validate(old, rules, as_of=as_of)


def test_the_clock_plays_no_part(publish, yaml_file):
    """A backfill of an old day says what it would have said on that day."""
    path = yaml_file("data:\n  freshness: {timestamp_column: at, max_age_hours: 24}\n")
    artifact = publish({"at": pa.array([datetime(2019, 5, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))})
    assert validate(artifact, dataset_rules(path, "data"), as_of=datetime(2019, 5, 1, 12, tzinfo=UTC)).passed
    assert not validate(artifact, dataset_rules(path, "data"), as_of=datetime(2019, 5, 3, tzinfo=UTC)).passed


def test_importing_the_package_is_light():
    """Great Expectations alone costs seconds of CPU: nothing of the kind is imported before there is data to judge."""
    heavy = ["pandas", "pyarrow", "duckdb", "great_expectations", "airflow", "numpy", "ibis", "feast"]
    code = (
        "import sys; import airflow_provider_mlpipe.validation, airflow_provider_mlpipe.validation.data_validator, "
        f"airflow_provider_mlpipe.reporting; print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
