"""Real data: the users, tasks and activity of four open-source projects, warts included."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.run import Interval, Run
from airflow_provider_mlpipe.validation import Verdict, validate
from airflow_provider_mlpipe.validation.proposal import proposed
from airflow_provider_mlpipe.validation.stored_profile import as_text, document
from airflow_provider_mlpipe.validation.survey import survey
from tests.realdata import TRACKER, needs_tracker

pytestmark = needs_tracker

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_users_hold_their_rules(judge):
    rules = {
        "schema": {"user_id": "string", "email": "string", "weekly_capacity_hours": "int", "created_at": "timestamp"},
        "required_columns": ["user_id", "email"],
        "unique_columns": ["user_id", "email"],
        "range_constraints": {"weekly_capacity_hours": [0, 80], "utc_offset_minutes": [-720, 840]},
        "categorical_constraints": {"status": ["active", "inactive", "pending"]},
    }
    verdict = judge(pacsv.read_csv(TRACKER / "users.csv"), rules, AS_OF)
    assert verdict.passed, verdict.summary()
    assert verdict.counts["rows_validated"] == 961


def test_activity_is_fresh_and_its_hours_are_mostly_plausible(judge, result):
    rules = {
        "required_columns": ["user_id", "event_type", "occurred_at"],
        "unique_columns": ["event_id"],
        "range_constraints": {"amount": {"min": 0, "max": 24, "mostly": 0.5, "severity": "WARNING"}},
        "categorical_constraints": {"event_type": ["task_started", "task_completed", "bug_reported", "files_changed"]},
        "freshness": {"timestamp_column": "occurred_at", "max_age_hours": 24 * 365},
    }
    table = pq.read_table(TRACKER / "activity.parquet")
    verdict = judge(table, rules, AS_OF)
    assert verdict.counts["errors"] == 0, verdict.summary()
    span = result(verdict, "range.amount")
    amounts = [amount for amount in table["amount"].to_pylist() if amount is not None]
    assert (span.checked, span.unexpected) == (len(amounts), sum(not 0 <= amount <= 24 for amount in amounts))


CONFIG = """\
tasks:
  schema: {task_id: string, assignee_id: string, status: string, created_at: timestamp, completed_at: timestamp}
  required_columns: [task_id, assignee_id, created_at, completed_at]
  unique_columns: [task_id]
  pairs:
    - pair: created_at <= completed_at
      note: "Done before it was created, by a second or so: the clocks of two machines disagree."
      owner: tracker
    - {pair: created_at < completed_at, severity: WARNING, mostly: 0.9, note: "Most tasks take some time."}
  row_rules:
    - {name: small tasks change few files, rule: "priority <> 'low' OR files_changed <= 1", severity: INFO}
  range_constraints:
    estimated_hours: {max: 24, severity: WARNING, note: "A task of more than three days should be split."}
    title_length: {min: 3, max: 200, mostly: 0.999, severity: WARNING}
    dependency_count: {min: 0}
  categorical_constraints:
    status: [completed]
    priority: {values: [low, medium, high], severity: WARNING}
  freshness: {timestamp_column: created_at, max_age_hours: 48, max_future_hours: 0}

activity:
  references: {task_id: tasks.task_id}
  unique_columns:
    - event_id
    - {columns: [task_id, user_id, event_type, area, occurred_at], severity: WARNING}
  row_rules:
    - {name: hours fit into a week, rule: "amount <= 40"}
    - {name: hours fit into a week where they are hours, rule: "event_type = 'files_changed' OR amount <= 40"}
    - {name: work takes time, rule: "event_type <> 'task_started' OR amount > 0", severity: WARNING}
"""


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Judge both tables by the file as a pipeline would, and return tables and verdicts."""
    folder = tmp_path_factory.mktemp("tracker")
    config = folder / "validation_config.yaml"
    config.write_text(CONFIG)
    tables = {name: pq.read_table(TRACKER / f"{name}.parquet") for name in ("tasks", "activity")}
    verdicts: dict[str, Verdict] = {}
    for name, table in tables.items():
        described = Description(dataset=name, stage="raw", run=Run(interval=Interval(start=AS_OF - DAY, end=AS_OF)))
        with ArtifactWriter(Storage(str(folder / "artifacts")), described, table.schema) as writer:
            writer.write_all(table.to_batches())
            artifact = writer.publish()
        related = {other: verdict.artifact for other, verdict in verdicts.items()}
        verdicts[name] = validate(artifact, dataset_rules(config, name), as_of=AS_OF, related=related)
    return tables, verdicts


def failed(verdict) -> dict[str, tuple[int, int]]:
    """What failed: the broken and the checked rows, by rule."""
    return {
        f"{result.kind}:{result.text}": (result.unexpected, result.checked)
        for result in verdict.results
        if result.failed
    }


def broken(verdict, part: str) -> int:
    """How many rows broke the one failed rule whose text or id holds `part`."""
    (found,) = [result for result in verdict.results if result.failed and part in f"{result.text} {result.rule_id}."]
    return found.unexpected


def test_tasks_that_were_done_before_they_were_created_block_and_are_explained(tracked):
    tables, verdicts = tracked
    created, completed = (tables["tasks"][name].to_numpy() for name in ("created_at", "completed_at"))
    skewed = tables["tasks"].filter(created > completed)
    assert skewed.num_rows == 4
    (found,) = [
        result for result in verdicts["tasks"].results
        if result.failed and result.severity == "ERROR" and set(result.columns) == {"created_at", "completed_at"}
    ]  # fmt: skip
    assert (found.unexpected, found.checked) == (4, 17_562)
    assert {sample.key["task_id"] for sample in found.samples} == set(skewed["task_id"].to_pylist())
    assert (created - completed).max() == np.timedelta64(1, "s")
    said = verdicts["tasks"].summary()
    assert "4 of 17,562 rows (0.02 %)" in said
    assert "Done before it was created, by a second or so" in said
    assert "validation_config.yaml:6, owner tracker" in said
    assert not verdicts["tasks"].passed


def test_tasks_that_took_no_time_are_too_many(tracked):
    tables, verdicts = tracked
    created, completed = (tables["tasks"][name].to_numpy() for name in ("created_at", "completed_at"))
    none = int((created >= completed).sum())
    (found,) = [result for result in verdicts["tasks"].results if result.failed and "at least 90 %" in result.text]
    assert (found.unexpected, found.severity) == (none, "WARNING")
    assert none == 9_985


def test_what_is_odd_about_single_columns_is_counted_as_numpy_counts_it(tracked):
    tables, verdicts = tracked
    tasks, verdict = tables["tasks"], verdicts["tasks"]
    estimates, titles = tasks["estimated_hours"].to_numpy(), tasks["title_length"].to_numpy()
    assert broken(verdict, "`estimated_hours` is at most 24") == int((estimates > 24).sum()) == 83
    assert not any("title_length" in text for text in failed(verdict)), (
        f"{(titles > 200).sum()} of 17,562 are few enough"
    )
    critical = tasks["priority"].to_pylist().count("critical")
    assert broken(verdict, "`priority` is one of") == critical == 92
    low = np.array(tasks["priority"].to_pylist()) == "low"
    odd = int((low & (tasks["files_changed"].to_numpy() > 1)).sum())
    assert broken(verdict, "small tasks change few files") == odd


def test_the_newest_task_is_older_than_it_may_be(tracked):
    tables, verdicts = tracked
    newest = max(tables["tasks"]["created_at"].to_pylist())
    (found,) = [result for result in verdicts["tasks"].results if result.kind == "fresh"]
    assert found.failed
    assert found.observed == newest.isoformat()
    assert f"{(AS_OF - newest).total_seconds() / 3600:,.1f} h older" in found.found


def test_amounts_are_hours_only_where_the_event_says_so(tracked):
    tables, verdicts = tracked
    kinds, amounts = np.array(tables["activity"]["event_type"].to_pylist()), tables["activity"]["amount"].to_numpy()
    verdict = verdicts["activity"]
    assert broken(verdict, "hours fit into a week.") == int((amounts > 40).sum()) == 210
    assert set(kinds[amounts > 40]) == {"files_changed"}
    assert broken(verdict, "work takes time") == int(((kinds == "task_started") & (amounts == 0)).sum()) == 17_562


def test_every_event_belongs_to_a_task_that_there_is(tracked):
    tables, verdicts = tracked
    assert set(tables["activity"]["task_id"].to_pylist()) <= set(tables["tasks"]["task_id"].to_pylist())
    (found,) = [
        result for result in verdicts["activity"].results if "tasks" in result.text and "task_id" in result.columns
    ]
    assert found.passed, found


def test_activity_without_its_number_would_not_be_unique(tracked):
    tables, verdicts = tracked
    names = ["task_id", "user_id", "event_type", "area", "occurred_at"]
    keys = Counter(zip(*(tables["activity"][name].to_pylist() for name in names), strict=True))
    (found,) = [
        result for result in verdicts["activity"].results if result.kind == "unique" and len(result.columns) == 5
    ]
    assert found.unexpected == sum(times for times in keys.values() if times > 1)
    assert found.failed == (found.unexpected > 0)


def test_rules_proposed_from_the_tables_hold_on_them_and_know_their_keys(tmp_path):
    for name, key in (("tasks", "task_id"), ("activity", "event_id")):
        table = pq.read_table(TRACKER / f"{name}.parquet")
        described = Description(dataset=name, stage="raw", run=Run(interval=Interval(start=AS_OF - DAY, end=AS_OF)))
        with ArtifactWriter(Storage(str(tmp_path)), described, table.schema) as writer:
            writer.write_all(table.to_batches())
            found = survey(writer.publish())
        assert found.keys == ((key,),)
        (tmp_path / f"{name}.json").write_text(as_text(document(found)))
        (tmp_path / f"{name}.yaml").write_text(proposed(found, reference=f"{name}.json"))
        artifact = Artifact.open(found.artifact)
        verdict = validate(artifact, dataset_rules(tmp_path / f"{name}.yaml", name), as_of=AS_OF)
        assert verdict.counts["failed"] == 0, verdict.summary()
        assert verdict.counts["total_checks"] > 20


def test_the_clock_skew_and_gaps_of_tasks_are_seen(judge, result):
    table = pq.read_table(TRACKER / "tasks.parquet")
    verdict = judge(table, {"required_columns": ["completed_at", "assignee_id"], "unique_columns": ["task_id"]}, AS_OF)
    for name in ("completed_at", "assignee_id"):
        assert result(verdict, f"not_null.{name}").unexpected == table[name].null_count
    assert result(verdict, "unique.task_id").passed
