"""The read-back: what the online store answers is compared with the artifact, value by value."""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ReadBackError, Terminal
from airflow_provider_mlpipe.feature_store import materialize, open_store
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.read_back import compare, sample
from tests.feature_store.feature_artifacts import VIEW, as_of, features, scores

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage

STORE = FeatureStore(read_back=50)


def statement(root: Storage, sql: str) -> None:
    """Change the online store behind its back."""
    with contextlib.closing(sqlite3.connect(Path(root.root, "_feast/online.db"))) as connection, connection:
        connection.executescript(sql)


def test_another_writer_that_changes_a_value_is_found_out(root: Storage) -> None:
    """A trigger stands for the other writer: it puts the bytes of one feature of one user into another user's row."""
    artifact = features(root, scores(50))
    materialize(artifact, STORE, root=root)
    table = f"mlpipe_{VIEW}"
    statement(
        root,
        f"""CREATE TRIGGER meddle AFTER UPDATE ON {table} WHEN instr(new.entity_key, 'u00013') > 0
        AND new.feature_name = 'skill_score_backend' BEGIN
        UPDATE {table} SET value = (SELECT value FROM {table} WHERE instr(entity_key, 'u00014') > 0
        AND feature_name = 'skill_score_backend') WHERE entity_key = new.entity_key AND feature_name = new.feature_name;
        END;""",
    )

    with pytest.raises(ReadBackError) as caught:
        materialize(artifact, STORE, root=root)

    error = caught.value
    values = artifact.table()["skill_score_backend"].to_pylist()
    assert "1 of 50 entities read back differ" in error.message
    assert f"'u00013'.skill_score_backend: {values[13]!r} in the artifact, {values[14]!r} online" in error.message
    assert isinstance(error, Terminal)
    assert (error.fields["mismatches"], error.fields["rows_read_back"]) == (1, 50)
    assert error.fields["features"] == ["skill_score_backend"]
    assert pickle.loads(pickle.dumps(error)).fields == error.fields


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "DELETE FROM {table} WHERE feature_name = 'top_skill'",
            "top_skill: 'skill 1 of 0' in the artifact, None online",
        ),
        ("UPDATE {table} SET value = x''", "in the artifact, None online"),
        ("DELETE FROM {table}", "50 of 50 entities"),
    ],
)
def test_what_is_missing_is_found_out(root: Storage, change: str, said: str) -> None:
    artifact = features(root, scores(50))
    materialize(artifact, STORE, root=root)
    statement(root, change.format(table=f"mlpipe_{VIEW}"))
    with pytest.raises(ReadBackError) as caught:
        compare(artifact, Definition.of(artifact), open_store(STORE, root), count=50)
    assert said in caught.value.message
    assert caught.value.message.count("in the artifact") == 5, "five samples, and no more"
    assert "more" in caught.value.message


def test_a_row_that_became_newer_meanwhile_is_left_out(root: Storage) -> None:
    older, newer = features(root, scores(10, seed=1), day=14), features(root, scores(4, seed=2), day=15)
    materialize(older, STORE, root=root)
    materialize(newer, STORE, root=root)
    assert compare(older, Definition.of(older), open_store(STORE, root), count=10) == 6


def test_the_sample_is_the_same_each_time_and_spread_over_the_keys(root: Storage) -> None:
    artifact = features(root, scores(1000))
    definition = Definition.of(artifact)
    chosen = [row["user_id"] for row in sample(artifact, definition, 40)]
    assert len(set(chosen)) == 40
    assert len(sample(artifact, definition, 5000)) == 1000
    shuffled = features(root, scores(1000).take(list(reversed(range(1000)))))
    assert [row["user_id"] for row in sample(shuffled, definition, 40)] == chosen
    per_quarter = [sum(int(key[1:]) // 250 == quarter for key in chosen) for quarter in range(4)]
    assert min(per_quarter) >= 4, per_quarter


def test_the_lag_is_the_clock_minus_the_newest_row(root: Storage) -> None:
    table = pa.table({"user_id": ["a", "b"], "score": [1.0, 2.0]})
    newest = as_of(14) + timedelta(hours=2)
    before = datetime.now(UTC)
    done = materialize(features(root, table, times=[as_of(14), newest]), FeatureStore(), root=root)
    after = datetime.now(UTC)
    slack = timedelta(milliseconds=1)  # it is rounded
    assert before - newest - slack <= timedelta(seconds=done.metrics["online_lag_seconds"]) <= after - newest + slack


def test_nothing_online_has_no_lag(root: Storage) -> None:
    materialize(features(root, scores(2), day=15), FeatureStore(), root=root)
    older = materialize(features(root, scores(2), day=14), FeatureStore(), root=root)
    assert older.skipped
    assert "online_lag_seconds" not in older.metrics
