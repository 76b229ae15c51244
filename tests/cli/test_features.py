"""``mlpipe features list`` and ``explain``, and what ``mlpipe check`` says of feature sets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer

YAML = """user_features:
  aggregations:
    heavy: {agg: quantile, column: hours, q: 0.9, where: "event_type <> 'files_changed'", windows: [30d]}
  derived:
    strain: heavy / weekly_capacity_hours
  features: [strain, bug_rate]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "feature_config.yaml"
    path.write_text(YAML, encoding="utf-8")
    return path


def test_the_catalog_is_listed_with_what_a_reader_needs(mlpipe: Callable[..., Answer]) -> None:
    rows = json.loads(mlpipe("features", "list", "--json").out)["features"]
    names = {(row["set"], row["feature"]) for row in rows}
    for entity, domain in DOMAINS.items():
        assert {(f"{entity.removesuffix('_id')}_features", name) for name in domain.derived} <= names
    assert all(row["description"] and row["unit"] and row["range"] and row["cost"] for row in rows)
    assert {row["cost"] for row in rows} >= {"light", "dear", "self-join"}
    assert not any(row["feature"].startswith("window_") for row in rows)
    assert len(json.loads(mlpipe("features", "list", "--blocks", "--json").out)["features"]) > len(rows)


def test_a_file_is_listed_with_what_it_selects(mlpipe: Callable[..., Answer], config: Path) -> None:
    rows = json.loads(mlpipe("features", "list", config, "--json").out)["features"]
    assert {row["feature"] for row in rows if row["selected"]} == {"strain", "bug_rate"}
    assert next(row for row in rows if row["feature"] == "heavy_30d")["cost"] == "dear"


def test_explain_says_formula_window_lineage_and_cost(mlpipe: Callable[..., Answer], config: Path) -> None:
    document = json.loads(mlpipe("features", "explain", "strain", "--config", config, "--json").out)
    assert document["expression"] == "(c0 / weekly_capacity_hours)"
    assert document["numbers"] == [
        "c0 = quantile q 0.9 of hours in activity where (event_type <> 'files_changed'), last 30 days"
    ]
    assert document["cost"] == "dear"
    assert document["where"] == f"{config}:5"
    columns = {f"{edge['input']}.{edge['column']}": edge["kind"] for edge in document["lineage"]}
    assert columns == {
        "users.user_id": "key", "users.weekly_capacity_hours": "value", "activity.hours": "value",
        "activity.event_type": "filter", "activity.occurred_at": "time", "activity.user_id": "key",
    }  # fmt: skip
    shown = mlpipe("features", "explain", "strain", "--config", config).out
    assert "users.weekly_capacity_hours" in shown
    assert "QUANTILE_CONT" in shown


def test_every_feature_of_the_catalog_can_be_explained_and_its_sql_runs(mlpipe: Callable[..., Answer]) -> None:
    """With likely column types: on empty tables of those types the SQL is valid."""
    from airflow_provider_mlpipe.config import feature_set
    from airflow_provider_mlpipe.feature_extraction.explanation import _likely, explain
    from airflow_provider_mlpipe.feature_extraction.plan import plan
    from airflow_provider_mlpipe.run import instant

    for entity, domain in DOMAINS.items():
        name = f"{entity.removesuffix('_id')}_features"
        for feature in domain.derived:
            found = explain(feature_set({name: {}}, name), feature, as_of=instant("2026-01-01"))
            connection = duckdb.connect()
            for role, schema in _likely(plan(feature_set({name: {"features": [feature]}}, name))).items():
                connection.register(role, schema.empty_table())
            *sources, (_, rows) = found.sql
            for made, sql in sources:
                connection.execute(f"CREATE TABLE {made} AS {sql}")
            assert connection.execute(rows).fetchall() == [], feature


def test_explain_takes_the_real_types_from_artifacts(mlpipe: Callable[..., Answer], tmp_path: Path) -> None:
    table = pa.table({"user_id": pa.array([7]), "created_at": pa.array([None], pa.date32())})
    root = Storage(str(tmp_path / "artifacts"))
    with ArtifactWriter(root, Description(dataset="users", stage="raw", run=Run(run_id="x")), table.schema) as writer:
        writer.write_all(table.to_batches())
        uri = writer.publish().uri
    document = json.loads(mlpipe("features", "explain", "tenure_days", "--input", f"users={uri}", "--json").out)
    assert list(document["sql"]) == ["user_features"]
    assert 'CAST("t0"."created_at" AS TIMESTAMP)' in document["sql"]["user_features"]


def test_a_feature_that_nobody_declares(mlpipe: Callable[..., Answer], config: Path) -> None:
    answer = mlpipe("features", "explain", "strian", "--config", config)
    assert answer.code == 2
    assert "no feature named 'strian'. Did you mean 'strain'?" in answer.err


def test_a_feature_that_several_sets_have_wants_its_set(mlpipe: Callable[..., Answer]) -> None:
    answer = mlpipe("features", "explain", "collaboration_score")
    assert answer.code == 2
    assert "Write one of user_features.collaboration_score, team_features.collaboration_score." in answer.err
    document = json.loads(mlpipe("features", "explain", "team_features.collaboration_score", "--json").out)
    assert document["numbers"][0] == "c0 = shared among user_id of task_id in activity, last 7 days"


def test_check_resolves_feature_sets_as_a_run_would(mlpipe: Callable[..., Answer], tmp_path: Path) -> None:
    path = tmp_path / "features.yaml"
    path.write_text(
        "user_features:\n  columns: {activity: {hours: null}}\n"
        "project_features:\n  features: [progress]\n"
        "team_features:\n  columns: {activity: {hours: null}}\n  features: [team_size, workload_balance]\n",
        encoding="utf-8",
    )
    answer = mlpipe("check", path)
    assert answer.code == 2
    assert f"note: {path}:2: current_workload_hours is left out: columns says that there is no activity.hours" in (
        answer.out
    )
    assert f"error: {path}:4: no feature named 'progress'." in answer.out
    assert f"error: {path}:7: workload_balance: needs activity.hours, which columns says is not there" in answer.out
