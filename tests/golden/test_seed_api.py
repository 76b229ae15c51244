"""The seed's Python API and YAML files, as the seed writes them (paths and addresses apart)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.run import instant

AS_OF = instant("2026-01-14T02:00:00Z")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return sample.write(tmp_path_factory.mktemp("sample")).url


def test_database_ingestion(database, tmp_path):
    from airflow_provider_mlpipe.ingestion import DatabaseIngestion, DataSourceType, IngestionConfig

    config = IngestionConfig(
        source_type=DataSourceType.DATABASE,
        source_config={
            "connection_string": database,
            "table": "users",
            "required_columns": ["user_id", "email"],
        },
        target_path=str(tmp_path / "raw_users.parquet"),
        batch_size=1000,
    )
    ingestion = DatabaseIngestion(config)
    metrics = ingestion.run()

    written = pq.read_table(tmp_path / "raw_users.parquet")
    assert metrics.records_read == metrics.records_written == written.num_rows > 100
    assert metrics.records_failed == 0
    assert metrics.bytes_processed > 0
    assert metrics.duration_seconds >= 0
    assert metrics.error_rate == 0.0
    assert metrics["records_read"] == metrics.records_read
    assert {"user_id", "email", "age", "status", "created_at"} <= set(written.column_names)


def test_data_validator(database):
    from airflow_provider_mlpipe.validation.data_validator import DataValidator

    data = _frame(database, "users")
    data = data[data["created_at"] < AS_OF]
    validation_config = {
        "schema": {"user_id": "string", "email": "string", "age": "int"},
        "required_columns": ["user_id", "email"],
        "unique_columns": ["user_id", "email"],
        "range_constraints": {"age": (0, 120)},
        "categorical_constraints": {"status": ["active", "inactive", "pending", "on_leave", "archived", "Active"]},
        "freshness": {"timestamp_column": "created_at", "max_age_hours": 24},
    }
    validator = DataValidator()
    passed, results = validator.validate_all(data, validation_config, as_of=AS_OF)
    assert passed, validator.generate_report()
    assert len(results) > 10

    old = data.assign(age=data["age"].where(data.index != data.index[0], 200))
    validation_config["range_constraints"] = {"age": [0, 120]}
    passed, results = validator.validate_all(old, validation_config, as_of=AS_OF)
    report = validator.generate_report()
    assert passed is False
    assert "age" in report
    assert "200" in report


def test_feature_extractor(database):
    from airflow_provider_mlpipe.feature_extraction.feature_extractor import FeatureExtractionConfig, FeatureExtractor

    user_data, activity_data = _frame(database, "users"), _frame(database, "activity")
    activity_data = activity_data[activity_data["occurred_at"] < AS_OF]
    config = FeatureExtractionConfig(
        feature_definitions={}, aggregation_window="7d", normalize=True, handle_missing="impute"
    )
    extractor = FeatureExtractor(config)
    features = extractor.extract_user_features(user_data, activity_data)

    last = activity_data["occurred_at"].max()
    week = activity_data[activity_data["occurred_at"] > last - pd.Timedelta("7d")]
    done = week[week["event_type"] == "task_completed"].groupby("user_id").size()
    counted = features.set_index("user_id")["tasks_completed_7d"]
    assert len(counted) == user_data["user_id"].nunique()
    assert counted[counted > 0].to_dict() == done[done.index.isin(counted.index)].to_dict()

    normalized = extractor.handle_missing_values(extractor.normalize_features(features))
    numbers = normalized.drop(columns="user_id")
    assert not numbers.isna().any(axis=None)
    assert numbers["tasks_completed_7d"].mean() == pytest.approx(0, abs=1e-9)
    assert numbers["tasks_completed_7d"].std(ddof=0) == pytest.approx(1, abs=1e-9)


def test_yaml_files_run_unchanged(database, tmp_path, root, monkeypatch):
    """The seed's three files, with an address for its dots, through the four stages."""
    from airflow_provider_mlpipe import config
    from airflow_provider_mlpipe.feature_extraction import extract
    from airflow_provider_mlpipe.ingestion import ingest
    from airflow_provider_mlpipe.run import Interval, Run
    from airflow_provider_mlpipe.validation import validate
    from tests.contracts.test_config import SEED_FEATURES, SEED_INGESTION, SEED_VALIDATION

    monkeypatch.delenv("API_TOKEN", raising=False)
    for name, text in (("ingestion", SEED_INGESTION), ("validation", SEED_VALIDATION), ("feature", SEED_FEATURES)):
        (tmp_path / f"{name}_config.yaml").write_text(text.replace("postgresql://...", database))
    run = Run(interval=Interval(start="2026-01-13T02:00:00Z", end=AS_OF))
    users = ingest(config.source(tmp_path / "ingestion_config.yaml", "user_data"), root=root, run=run)
    verdict = validate(users, config.dataset_rules(tmp_path / "validation_config.yaml", "user_data"), as_of=AS_OF)
    # The sample's three users of unknown status: the seed's rule has no severity, so it blocks.
    assert [result.rule_id for result in verdict.results if not result.passed] == ["user_data.in_set.status"]

    activity = ingest(
        config.source({"type": "database", "connection_string": database, "table": "activity"}, "activity_data"),
        root=root,
        run=run,
    )
    features = extract(
        config.feature_set(tmp_path / "feature_config.yaml", "user_features"),
        {"users": users, "activity": activity},
        root=root,
        run=run,
        as_of=AS_OF,
    ).artifact
    assert {
        "user_id", "event_timestamp", "skill_score_backend", "skill_score_frontend", "current_workload_hours",
        "tasks_completed_7d",
    } <= set(features.schema.names)  # fmt: skip
    assert features.manifest.rows == users.manifest.rows


def _frame(url, table):
    import sqlite3

    with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as database:
        frame = pd.read_sql_query(f"SELECT * FROM {table}", database)
    for column in ("created_at", "occurred_at"):
        if column in frame:
            frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame
