"""The Python blocks of docs/how-to run: those of Dags against Airflow, the others on real artifacts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.cli.application import command_line
from airflow_provider_mlpipe.feature_extraction import Moments, extract, submission
from tests.docs.howto import FOLDER, blocks, page
from tests.feature_extraction.material import activity, configured, day, done, published, users
from tests.operators.home import environment, python

OF_DAGS = {
    "feature-history": {"extract": {"ingest_users", "ingest_activity"}, "merge": {"extract"}},
    "ingestion-databases": {"ingest": set(), "validate": {"ingest"}},
    "observability": {"validate": {"ingest_users"}},
    "operators": {"validate": set(), "extract": {"validate"}},
    "spark": {"extract": {"ingest_users", "ingest_activity"}},
    "validation-outcomes": {"validate": {"ingest_users", "ingest_activity"}, "extract": {"validate"}},
}
"""Pages with a Dag in their last block but those below: the tasks that it makes, and what each comes after."""

OTHERS = {"feature-history", "features", "spark", "validation", "validation-outcomes"}
"""Pages with another block: `features` has a test of its own, the others are below."""

ELSEWHERE = {"dags": 4, "waiting": 3}
"""Pages whose blocks a test of their own runs, and how many they have."""

FOREIGN = "SparkSubmitOperator("
"""How a block begins whose operator is another provider's."""

AROUND = """
import json, sys
from airflow.sdk import DAG
from airflow_provider_mlpipe.operators import *

found = {}
for page, text in json.loads(sys.argv[1]).items():
    with DAG(page, schedule=None) as dag:
        users, activity = (
            SourceIngestOperator(task_id=f"ingest_{name}", source=name, config="ingestion_config.yaml")
            for name in ("users", "activity")
        )
        given = {"users": users, "activity": activity, "inputs": {"users": users.output, "activity": activity.output}}
        exec(compile(text, page, "exec"), {**globals(), **given})
    found[page] = {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks}
print("FOUND", json.dumps(found))
"""


def dag_of(name: str) -> str:
    """Return the one block of a page that makes tasks of ours."""
    (text,) = [block for block in blocks(page(name), "python") if makes_tasks(block)]
    return text


def block_of(name: str) -> str:
    """Return the one block of a page that makes none."""
    (text,) = [block for block in blocks(page(name), "python") if not makes_tasks(block)]
    return text


def makes_tasks(block: str) -> bool:
    return "Operator" in block and not block.startswith(FOREIGN)


def test_no_page_has_python_that_is_not_run() -> None:
    told = {path.stem: len(blocks(page(path.stem), "python")) for path in FOLDER.glob("*.md")}
    run = {name: (name in OF_DAGS) + (name in OTHERS) + ELSEWHERE.get(name, 0) for name in told}
    assert told == run


def test_the_dags_of_the_pages_are_wired_as_they_say(tmp_path) -> None:
    texts = {name: dag_of(name) for name in OF_DAGS}
    ran = python("-W", "error", "-c", AROUND, json.dumps(texts), env=environment(tmp_path))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.rpartition("FOUND ")[2])
    for name, tasks in OF_DAGS.items():
        after = {task: set(upstream) for task, upstream in found[name].items()}
        assert after == {"ingest_users": set(), "ingest_activity": set(), **tasks}, name


def test_a_history_is_compared_with_its_days(root, tmp_path, monkeypatch) -> None:
    as_of = datetime(2026, 1, 14, 2, tzinfo=UTC)
    moments = Moments.between(as_of - timedelta(days=2), as_of + timedelta(days=1), "1d")
    happened = activity(*(done("ann", hours * timedelta(hours=1)) for hours in range(40)))
    inputs = {"users": published(root, "users", users("ann")), "activity": published(root, "activity", happened)}
    features = configured(features=["tasks_completed_7d"])
    whole = extract(features, inputs, root=root, run=day(), as_of=moments).artifact
    days = [extract(features, inputs, root=root, run=day(at), as_of=at).artifact.uri for at in moments]
    monkeypatch.chdir(tmp_path)
    shown = "artifacts/user_features/history/..."
    text = block_of("feature-history")
    assert shown in text
    text = text.replace(shown, shown.replace("...", whole.manifest.partition))
    exec(compile(text, "feature-history.md", "exec"), {"uris_of_the_daily_runs": days})
    others = inputs | {"activity": published(root, "activity", activity(done("ann", timedelta(hours=1))), "late")}
    extract(features, others, root=root, run=day(as_of), as_of=as_of)  # the last day once more, of other events
    with pytest.raises(AssertionError):
        exec(compile(text, "feature-history.md", "exec"), {"uris_of_the_daily_runs": days})


def test_what_is_submitted_to_spark_is_what_the_job_takes(root, tmp_path, monkeypatch) -> None:
    """But for the engine: that of the test needs no Spark."""
    given: dict[str, list[str]] = {}
    happened = activity(done("ann", timedelta(hours=1)))
    artifacts = {"users": published(root, "users", users("ann")), "activity": published(root, "activity", happened)}
    outputs = {name: SimpleNamespace(output=artifact.uri) for name, artifact in artifacts.items()}
    exec(
        compile(block_of("spark"), "spark.md", "exec"),
        {**outputs, "SparkSubmitOperator": lambda **it: given.update(it)},
    )
    (tmp_path / "feature_config.yaml").write_text("user_features: {features: [tasks_completed_7d]}\n")
    put = {
        "spark": "duckdb",
        "/opt/airflow/config/feature_config.yaml": str(tmp_path / "feature_config.yaml"),
        "{{ data_interval_end.isoformat() }}": "2026-01-14T02:00:00+00:00",
    }
    assert set(put) < set(given["application_args"])
    result = tmp_path / "result.json"
    arguments = [*(put.get(each, each) for each in given["application_args"]), "--result", str(result)]
    assert submission.main(arguments) == 0
    assert Artifact.open(json.loads(result.read_text())["artifact"]).table().num_rows == 1


def test_a_sifted_artifact_goes_on_without_its_bad_rows(root) -> None:
    people = pa.table({"user_id": ["a", "b", "c", "d"], "age": [30, 200, 40, 50]})
    rules = config.dataset_rules(
        {"users": {"on_failure": "quarantine", "max_quarantine_share": 0.5, "range_constraints": {"age": [0, 120]}}},
        "users",
    )
    passed: dict[str, Artifact] = {}

    def next_stage(artifact: Artifact, bad_rows: Artifact) -> None:
        passed.update(good=artifact, bad=bad_rows)

    given = {"artifact": published(root, "users", people), "rules": rules, "as_of": datetime(2026, 1, 14, tzinfo=UTC)}
    exec(
        compile(block_of("validation-outcomes"), "validation-outcomes.md", "exec"), {**given, "next_stage": next_stage}
    )
    assert passed["good"].table()["user_id"].to_pylist() == ["a", "c", "d"]
    assert passed["bad"].table()["user_id"].to_pylist() == ["b"]


def test_an_exported_suite_is_loaded_by_great_expectations(tmp_path, monkeypatch) -> None:
    pytest.importorskip("great_expectations", reason="no Great Expectations: pip install great-expectations")
    from airflow_provider_mlpipe.validation.library import load_great_expectations

    load_great_expectations()
    monkeypatch.chdir(tmp_path)
    text = "users:\n  schema: {user_id: string}\n  row_rules: [age % 2 = 0]\n  required_columns: [user_id]\n"
    (tmp_path / "validation_config.yaml").write_text(text)
    command = "suite export validation_config.yaml --dataset users --as-of 2026-01-14 -o users.json"
    assert f"mlpipe {command}" in " ".join(page("validation").split())
    assert command_line(command.split()) == 0
    given: dict[str, object] = {}
    exec(compile(block_of("validation"), "validation.md", "exec"), given)
    kinds = {type(each).__name__ for each in given["suite"].expectations}
    assert {"ExpectColumnLogicalTypeToBe", "ExpectRowsToHold", "ExpectColumnValuesToNotBeNull"} <= kinds
