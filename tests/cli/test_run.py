"""`mlpipe run` and the stages one by one: from the sample to features online, and what stops them."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from contextlib import closing

import pytest

from airflow_provider_mlpipe import sample
from tests.cli.terminal import AS_OF, CONFIG
from tests.servers import free_ports, json_api

PARTITION = "20260113T020000Z-20260114T020000Z"

CODE = """
import sys
from airflow_provider_mlpipe.cli.application import command_line
code = command_line(sys.argv[1:])
assert "airflow" not in sys.modules, "the command line needs no Airflow"
raise SystemExit(code)
"""

EXPECTED = {
    "duplicate-key": ("user_data.unique.user_id", "u_0001", "validation_config.yaml:5"),
    "null-email": ("user_data.not_null.email", "u_0003", "validation_config.yaml:4"),
    "age-200": ("user_data.range.age", "200", "validation_config.yaml:6"),
    "stale-activity": ("activity_data.fresh.occurred_at", "", "validation_config.yaml:19"),
    "missing-column": ("user_data.column.age", "", "validation_config.yaml:3"),
}
"""By flaw: the rule that stops it, something of the samples, and where the rule stands."""


def busiest(made: sample.Sample, number: int) -> list[str]:
    with closing(sqlite3.connect(made.database)) as database:
        rows = database.execute(
            """SELECT user_id FROM activity WHERE occurred_at BETWEEN '2026-01-07 02' AND '2026-01-14 02'
            GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT ?""",
            [number],
        )
        return [user for (user,) in rows]


def completed(made: sample.Sample, user: str) -> int:
    """Count the tasks that a user completed in the seven days before AS_OF, by plain SQL."""
    with closing(sqlite3.connect(made.database)) as database:
        return database.execute(
            """SELECT count(DISTINCT task_id) FROM activity WHERE user_id = ? AND event_type = 'task_completed'
            AND occurred_at >= '2026-01-07 02:00:00.000000' AND occurred_at < '2026-01-14 02:00:00.000000'""",
            [user],
        ).fetchone()[0]


def test_the_whole_way_in_processes_of_their_own(tracker, tmp_path):
    """As a user runs it; Airflow is not imported, whatever the stages import."""
    import os
    import subprocess

    root = tmp_path / "artifacts"
    environment = {**os.environ, "MLPIPE_SAMPLE_DB": tracker.url, "MLPIPE_ARTIFACT_ROOT": str(root)}

    def mlpipe(*arguments):
        return subprocess.run(
            [sys.executable, "-c", CODE, *arguments],
            capture_output=True, text=True, check=False, env=environment, cwd=CONFIG.parent,
        )  # fmt: skip

    done = mlpipe("run", "--as-of", AS_OF, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    steps = [(step["stage"], step["name"]) for step in document["steps"]]
    assert steps == [
        ("ingest", "user_data"),
        ("ingest", "activity_data"),
        ("validate", "user_data"),
        ("validate", "activity_data"),
        ("extract", "user_features"),
        ("materialize", "user_profile_features"),
    ]
    users = document["steps"][0]["rows_out"]
    assert 200 < users < 300
    assert document["steps"][-1]["rows_out"] == users
    assert document["steps"][2]["verdict"] == "passed: 0 errors, 1 warning"
    assert all(step["cpu_seconds"] >= 0 for step in document["steps"])
    assert document["view"] == "user_profile_features"
    for report in document["reports"].values():
        assert report.startswith(str(root))
        assert report.endswith("_report.html")

    three = busiest(tracker, 3)
    read = mlpipe("online", "user_profile_features", *three, "--json")
    assert read.returncode == 0, read.stderr
    rows = json.loads(read.stdout)["rows"]
    assert [row["user_id"] for row in rows] == three
    assert [row["tasks_completed_7d"] for row in rows] == [completed(tracker, user) for user in three]
    assert rows[0]["tasks_completed_7d"] > 0
    names = {"skill_score_backend", "skill_score_frontend", "current_workload_hours", "tasks_completed_7d"}
    assert names <= set(rows[0])


def test_people_see_a_table_and_the_place_of_the_reports(mlpipe, configured, tmp_path):
    answer = mlpipe("run", "--as-of", AS_OF, "--root", tmp_path)
    assert answer.code == 0
    assert re.search(r"stage +of +rows in +rows out +verdict +CPU seconds", answer.out)
    assert re.search(r"extract +user_features +3,\d{3} +26\d +4 features", answer.out)
    assert f"report user_data: {tmp_path}/user_data/raw/{PARTITION}/_report.html" in answer.out


@pytest.mark.parametrize("flaw", sorted(sample.BREAKS))
def test_bad_data_stops_the_run_before_anything_goes_online(flaw, mlpipe, configured, tmp_path, monkeypatch):
    made = sample.write(tmp_path / "sample", broken=[flaw])
    monkeypatch.setenv("MLPIPE_SAMPLE_DB", made.url)
    root = tmp_path / "artifacts"
    rule, shown, line = EXPECTED[flaw]

    answer = mlpipe("run", "--as-of", AS_OF, "--root", root)
    assert answer.code == 1
    for part in (rule, shown, f"config/{line}", "Hint: "):
        assert part in answer.err
    column = rule.rpartition(".")[2]
    assert column in answer.err
    if flaw in {"duplicate-key", "null-email", "age-200"}:
        assert re.search(r"\d of 2\d\d (rows|values)", answer.err), "how many of how many"
    assert "rejected: 1 error" in answer.out
    assert "materialize" not in answer.out
    assert not (root / "user_features").exists()
    assert not (root / "_feast").exists()
    dataset = rule.partition(".")[0]
    assert (root / dataset / "raw" / PARTITION / "_report.html").exists()


def test_stale_beats_wrong(mlpipe, configured, tracker, tmp_path, monkeypatch):
    """After a day of bad data the online store still serves the good day before."""
    user = busiest(tracker, 1)[0]
    root = tmp_path / "artifacts"
    assert mlpipe("run", "--as-of", "2026-01-13T02:00:00Z", "--root", root).code == 0
    before = mlpipe("online", "user_profile_features", user, "--root", root, "--json").document

    monkeypatch.setenv("MLPIPE_SAMPLE_DB", sample.write(tmp_path / "bad", broken=["age-200"]).url)
    rejected = mlpipe("run", "--as-of", AS_OF, "--root", root, "--json")
    assert rejected.code == 1
    assert rejected.document["error"]["code"] == "data.rejected"
    assert [step["stage"] for step in rejected.document["steps"]] == ["ingest", "ingest", "validate", "validate"]
    assert mlpipe("online", "user_profile_features", user, "--root", root, "--json").document == before

    monkeypatch.setenv("MLPIPE_SAMPLE_DB", tracker.url)
    assert mlpipe("run", "--as-of", AS_OF, "--root", root).code == 0
    assert mlpipe("online", "user_profile_features", user, "--root", root, "--json").document != before


def test_both_datasets_are_judged_before_the_run_stops(mlpipe, configured, tmp_path, monkeypatch):
    made = sample.write(tmp_path / "sample", broken=["age-200", "stale-activity"])
    monkeypatch.setenv("MLPIPE_SAMPLE_DB", made.url)
    answer = mlpipe("run", "--as-of", AS_OF, "--root", tmp_path / "artifacts")
    assert answer.code == 1
    assert "user_data.range.age" in answer.err
    assert "activity_data.fresh.occurred_at" in answer.err


def test_stage_by_stage_comes_to_the_same(mlpipe, configured, tracker, tmp_path):
    together, apart = tmp_path / "together", tmp_path / "apart"
    whole = mlpipe("run", "--as-of", AS_OF, "--root", together, "--json").document

    made = {}
    for source in ("user_data", "activity_data"):
        answer = mlpipe("ingest", source, "--as-of", AS_OF, "--root", apart, "--json")
        assert answer.code == 0
        made[source] = answer.document["artifact"]
        assert answer.document["metrics"]["records_read"] == answer.document["rows"]
        verdict = mlpipe("validate", made[source], "--json").document
        assert verdict["passed"] is True
        assert verdict["verdict"]["as_of"] == "2026-01-14T02:00:00+00:00", "the end of the artifact's own interval"
    inputs = ["--input", f"users={made['user_data']}", "--input", f"activity={made['activity_data']}"]
    features = mlpipe("extract", "user_features", *inputs, "--root", apart, "--json").document
    online = mlpipe("materialize", features["artifact"], "--root", apart, "--json").document
    assert (online["rows"], online["mismatches"]) == (features["rows"], 0)
    assert (apart / "_feast" / "online.db").exists()

    def fingerprint(uri):
        return mlpipe("artifact", uri, "--json").document["manifest"]["fingerprint"]

    assert features["fingerprint"] == fingerprint(whole["artifacts"]["user_features"])
    assert fingerprint(made["user_data"]) == fingerprint(whole["artifacts"]["user_data"])


def test_unvalidated_data_does_not_go_online(mlpipe, configured, tmp_path):
    made = [
        mlpipe("ingest", source, "--as-of", AS_OF, "--root", tmp_path, "--json").document["artifact"]
        for source in ("user_data", "activity_data")
    ]
    inputs = ["--input", f"users={made[0]}", "--input", f"activity={made[1]}"]
    features = mlpipe("extract", "user_features", *inputs, "--root", tmp_path, "--json").document["artifact"]
    answer = mlpipe("materialize", features, "--root", tmp_path)
    assert answer.code == 1
    assert "validate" in answer.err.lower()
    assert any(uri in answer.err for uri in made), "it names the input without a verdict"
    assert not (tmp_path / "_feast" / "online.db").exists(), "nothing went online"


def test_validate_exits_with_1_and_tells_machines_all(mlpipe, configured, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPIPE_SAMPLE_DB", sample.write(tmp_path / "bad", broken=["null-email"]).url)
    uri = mlpipe("ingest", "user_data", "--as-of", AS_OF, "--root", tmp_path, "--json").document["artifact"]
    machine = mlpipe("validate", uri, "--json")
    assert (machine.code, machine.document["passed"]) == (1, False)
    assert machine.document["counts"]["errors"] == 1
    assert machine.document["error"]["code"] == "data.rejected"
    people = mlpipe("validate", uri)
    assert people.code == 1
    assert "user_data.not_null.email" in people.err
    assert "u_0003" in people.err


def test_an_artifact_is_shown_with_its_verdict_and_rows(mlpipe, configured, tmp_path):
    uri = mlpipe("ingest", "user_data", "--as-of", AS_OF, "--root", tmp_path, "--json").document["artifact"]
    assert mlpipe("artifact", uri, "--verdict", "--json").document["verdict"] is None
    assert "was not validated" in mlpipe("artifact", uri, "--verdict").out
    mlpipe("validate", uri)
    document = mlpipe("artifact", uri, "--verdict", "--rows", 2, "--json").document
    assert document["verdict"]["passed"] is True
    assert [row["user_id"] for row in document["rows"]] == ["u_0001", "u_0002"]
    assert document["manifest"]["dataset"] == "user_data"
    shown = mlpipe("artifact", uri, "--verdict", "--rows", 2).out
    for part in ("user_data", "weekly_capacity_hours", "u_0002", document["manifest"]["fingerprint"]):
        assert part in shown


def test_a_wrong_line_in_the_last_file_costs_nothing(mlpipe, configured, tmp_path):
    features = tmp_path / "features.yaml"
    features.write_text("user_features:\n  features: [tasks_completed_7d]\n  agregation_window: 7d\n")
    root = tmp_path / "artifacts"
    answer = mlpipe("run", "--as-of", AS_OF, "--features", features, "--root", root)
    assert answer.code == 2
    assert f"{features}:3: unknown key 'agregation_window'" in answer.err
    assert "Did you mean 'aggregation_window'?" in answer.err
    assert not root.exists()


def test_a_dead_database_exits_with_3_and_keeps_its_password(mlpipe, tmp_path):
    [port] = free_ports()
    source = tmp_path / "i.yaml"
    source.write_text(
        f"sources: {{u: {{type: database, connection_string: 'postgresql://ann:hunter2@127.0.0.1:{port}/x', table: users}}}}\n"
    )
    arguments = ("ingest", "u", "--config", source, "--as-of", AS_OF, "--root", tmp_path / "artifacts")
    answer = mlpipe(*arguments)
    assert answer.code == 3
    assert "source 'u'" in answer.err
    assert "Hint: " in answer.err
    machine = mlpipe(*arguments, "--json")
    assert machine.document["error"]["code"] == "source.unavailable"
    assert "hunter2" not in answer.err + answer.out + machine.out + machine.err


def test_a_table_that_is_not_there_exits_with_3(mlpipe, tracker, tmp_path):
    source = tmp_path / "i.yaml"
    source.write_text(f"sources: {{u: {{type: database, connection_string: '{tracker.url}', table: user}}}}\n")
    answer = mlpipe("ingest", "u", "--config", source, "--as-of", AS_OF, "--root", tmp_path / "artifacts", "--json")
    assert answer.code == 3
    assert answer.document["error"]["code"] == "source.rejected"


def test_nothing_online_exits_with_another_code_than_0(mlpipe, configured, tmp_path):
    answer = mlpipe("online", "user_profile_features", "u_0001", "--root", tmp_path)
    assert answer.code != 0
    assert "no feature view named 'user_profile_features'" in answer.err


def test_the_files_of_the_sample_can_be_ingested(mlpipe, tracker, tmp_path):
    source = tmp_path / "i.yaml"
    source.write_text(
        f"""
sources:
  events: {{type: file, path: {tracker.events}}}
  lines: {{type: file, path: {tracker.lines}}}
  tasks: {{type: file, path: {tracker.parquet}}}
"""
    )
    for name, table in (("events", "activity"), ("lines", "tasks"), ("tasks", "tasks")):
        answer = mlpipe("ingest", name, "--config", source, "--as-of", AS_OF, "--root", tmp_path, "--json")
        assert answer.code == 0, answer.out
        assert answer.document["rows"] == tracker.rows[table]


def test_the_api_pages_of_the_sample_can_be_ingested_and_their_repeats_dropped(mlpipe, tracker, tmp_path):
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in tracker.pages]
    source = tmp_path / "i.yaml"
    with json_api({"/tasks": lambda request: pages[int(request.query.get("page", 1)) - 1]}) as api:
        source.write_text(
            f"""
sources:
  tasks:
    {{type: api, url: "{api.url}/tasks", data_key: tasks, next_key: next, deduplicate: {{keys: [task_id], order_by: [updated_at]}}}}
"""
        )
        answer = mlpipe("ingest", "tasks", "--config", source, "--as-of", AS_OF, "--root", tmp_path, "--json")
    assert answer.code == 0, answer.out
    metrics = answer.document["metrics"]
    assert answer.document["rows"] == tracker.rows["tasks"]
    assert metrics["duplicates_dropped"] == sum(len(page["tasks"]) for page in pages) - tracker.rows["tasks"] > 0


def test_artifacts_lie_in_a_bucket_by_the_usual_variables(mlpipe, configured, s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.options.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.options.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.options.secret_key)
    root = f"{s3.uri}/cli"
    made = mlpipe("ingest", "user_data", "--as-of", AS_OF, "--root", root, "--json")
    assert made.code == 0, made.out
    assert made.document["artifact"] == f"{root}/user_data/raw/{PARTITION}"
    shown = mlpipe("artifact", made.document["artifact"], "--json")
    assert shown.document["manifest"]["rows"] == made.document["rows"]
    assert s3.options.secret_key not in made.out + shown.out
