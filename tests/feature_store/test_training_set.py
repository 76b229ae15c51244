"""Training sets the whole way: artifacts materialised, labels joined, and Feast asked for the same.

`test_training_join` holds the join itself against brute force, `test_training_refusals` what is refused.
"""

from __future__ import annotations

import json
import math
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import GateClosedError
from airflow_provider_mlpipe.feature_store import materialize, open_store
from airflow_provider_mlpipe.feature_store.training import PROOF
from tests.feature_store.feature_artifacts import STAMP, VIEW, as_of, features, run_of, scores, verdict
from tests.feature_store.training_sets import BACKEND, DONE, STORE, TOP, TTL, build, feature_history, labels, small

if TYPE_CHECKING:
    from tests import servers

# ------------------------------------------------------------------ Feast's own answer


@pytest.mark.parametrize("full_names", [False, True])
def test_feast_gives_the_same(place: Storage, full_names: bool) -> None:
    """320 labels, two views, with and without TTL, ties by created_timestamp: value for value."""
    given = labels()
    wanted = [BACKEND, "team_features:size", DONE, TOP]
    made = build(place, given, wanted, full_feature_names=full_names)
    frame = given.to_pandas().reset_index(names="row")
    job = open_store(STORE, place).get_historical_features(frame, features=wanted, full_feature_names=full_names)
    theirs = pa.Table.from_pandas(job.to_df().sort_values("row"), preserve_index=False)

    ours = made.table()
    assert ours.num_rows == theirs.num_rows == 320
    views = [reference.replace(":", "__") if full_names else reference.partition(":")[2] for reference in wanted]
    assert sorted(ours.column_names) == sorted([*given.column_names, *views])
    for name in views:
        # pandas has NaN for null and floats for whole numbers with nulls; the values are the same.
        mine, its = ours[name].to_pylist(), theirs[name].to_pylist()
        assert [None if isinstance(value, float) and math.isnan(value) else value for value in its] == mine, name
        assert 0 < ours[name].null_count < 320
    for name in given.column_names:
        assert ours[name].to_pylist() == given[name].to_pylist(), name


def test_where_feast_cannot_a_feature_whose_name_ends_in_y(root: Storage) -> None:
    """Feast's DuckDB store drops columns that end in ``_y``, which it takes for its own, and then misses them."""
    table = pa.table({"user_id": ["ann"], "share_y": [0.5]})
    materialize(features(root, table), STORE, root=root)
    given = pa.table({"user_id": ["ann"], "event_timestamp": pa.array([as_of(15)], STAMP)})
    with pytest.raises(Exception, match="share_y"):
        open_store(STORE, root).get_historical_features(given.to_pandas(), features=[f"{VIEW}:share_y"]).to_df()
    assert build(root, given, [f"{VIEW}:share_y"]).table()["share_y"].to_pylist() == [0.5]


def test_a_ttl_of_a_day_and_a_half(root: Storage) -> None:
    """Ibis, to which Feast hands the TTL, takes no length of days and hours together; it gets one in seconds."""
    materialize(features(root, scores(3), feast={"ttl_seconds": 36 * 3600}), STORE, root=root)
    times = [as_of(14) + timedelta(hours=hours) for hours in (0, 36, 37)]
    given = pa.table({"user_id": ["u00001"] * 3, "event_timestamp": pa.array(times, STAMP)})
    job = open_store(STORE, root).get_historical_features(given.to_pandas(), features=[BACKEND])
    feasts = job.to_df().sort_values("event_timestamp")["skill_score_backend"]
    ours = build(root, given).table()["skill_score_backend"].to_pylist()
    value = scores(3)["skill_score_backend"][1].as_py()
    assert ours == [None if math.isnan(number) else number for number in feasts] == [value, value, None]


def test_a_service_stands_for_its_features(place: Storage) -> None:
    made = build(place, small(), f"{VIEW}_service")
    assert made.schema.names == [
        "user_id",
        "event_timestamp",
        "y",
        "skill_score_backend",
        "tasks_completed_7d",
        "top_skill",
    ]
    one = build(place, small(), [BACKEND, DONE, TOP])
    assert made.fingerprint == one.fingerprint


# ------------------------------------------------------------------ what goes in comes out


def test_labels_without_key_time_or_features_keep_their_rows(place: Storage) -> None:
    given = pa.table(
        {
            "user_id": ["u00001", None, "nobody", "u00001", "u00001"],
            "event_timestamp": pa.array([as_of(17), as_of(17), as_of(17), None, as_of(13)], STAMP),
            "y": [1, 2, 3, 4, 5],
        }
    )
    made = build(place, given, [BACKEND])
    assert made.table().select(given.column_names).equals(given)
    assert [value is None for value in made.table()["skill_score_backend"].to_pylist()] == [
        False,
        True,
        True,
        True,
        True,
    ]
    metrics = made.manifest.metrics
    assert (metrics["labels"], metrics["labels_without_features"]) == (5, 4)
    assert (metrics["labels_without_key"], metrics["labels_without_time"], metrics["pit_violations"]) == (1, 1, 0)


def test_no_labels_make_an_empty_training_set(place: Storage) -> None:
    made = build(place, small().slice(0, 0))
    assert made.manifest.rows == 0
    assert made.schema.field("skill_score_backend").type == pa.float64()


def test_columns_of_any_type_pass_through(place: Storage) -> None:
    odd = {
        "event_timestamp": pa.array([as_of(15), as_of(16)], pa.timestamp("ns", "Europe/Berlin")),
        "decimal": pa.array([1, None], pa.decimal256(60, 3)),
        "nested": pa.array([{"a": [1]}, None], pa.struct([("a", pa.list_(pa.int8()))])),
        "large": pa.array(["x", "y"], pa.large_string()),
        "Y": [3, 4],
    }
    given = small(**odd)
    made = build(place, given)
    assert made.schema.names == [*given.column_names, "skill_score_backend"]
    assert made.table().select(given.column_names).equals(given)


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("s"), pa.date32()])
def test_a_time_without_zone_is_utc_and_a_date_is_its_midnight(place: Storage, kind: pa.DataType) -> None:
    moment = as_of(16).replace(tzinfo=None, hour=0)
    made = build(place, small(event_timestamp=pa.array([moment, moment]).cast(pa.timestamp("us")).cast(kind)))
    assert made.table()["skill_score_backend"].null_count == 0
    assert json.loads(made.read_beside(PROOF) or b"")["labels"]["last"] == "2026-01-16T00:00:00+00:00"


def test_csv_keys_are_not_guessed(root: Storage, tmp_path: Path) -> None:
    """``007`` stays ``007``; a flag and a number are told from all values."""
    materialize(features(root, pa.table({"user_id": ["007", "7"], "score": [0.7, 7.0]})), STORE, root=root)
    file = tmp_path / "labels.csv"
    file.write_text(
        "user_id,event_timestamp,late,cost\n007,2026-01-15 00:00:00,true,1\n7,2026-01-15T00:00:00Z,false,1.5\n"
    )
    made = build(root, str(file), [f"{VIEW}:score"])
    assert made.table().select(["user_id", "late", "cost", "score"]).to_pylist() == [
        {"user_id": "007", "late": True, "cost": 1.0, "score": 0.7},
        {"user_id": "7", "late": False, "cost": 1.5, "score": 7.0},
    ]
    (labels_input, _) = made.manifest.inputs
    assert labels_input.fingerprint.startswith("file-")


# ------------------------------------------------------------------ proof and record


def test_the_proof_and_the_manifest_say_what_was_joined_with_what(place: Storage) -> None:
    made = build(place, labels(), [BACKEND, "team_features:size"])
    proof = json.loads(made.read_beside(PROOF) or b"")

    assert proof["fingerprint"] == made.fingerprint
    assert (proof["rows_in"], proof["rows_out"]) == (320, 320)
    users, teams = proof["views"]
    assert (users["view"], users["ttl_seconds"], teams["ttl_seconds"]) == (VIEW, TTL.total_seconds(), None)
    for view, column in ((users, "skill_score_backend"), (teams, "size")):
        assert view["violations"] == 0
        assert view["max_feature_minus_label_seconds"] == 0
        assert view["rows_without_match"] == made.table()[column].null_count
        assert view["rows_with_match"] == 320 - view["rows_without_match"]
    names = [item.name for item in made.manifest.inputs]
    files = sorted(Path(place.path(f"_feast/offline/{VIEW}")).glob("*.parquet"))
    assert names[:5] == ["labels", *(f"{VIEW}/{file.name}" for file in files)]
    assert len({item.fingerprint for item in made.manifest.inputs}) == len(made.manifest.inputs) == 7
    assert made.manifest.details["views"] == proof["views"]
    assert made.uri.endswith("/training/run-manual")


def test_a_backfill_sees_what_the_run_would_have_seen(place: Storage) -> None:
    """As of day 15 nothing of day 17 was known, whatever lies in the offline data by now."""
    late = small(event_timestamp=pa.array([as_of(17), as_of(15)], STAMP))
    then = build(place, late, run=run_of(15))
    now = build(place, late)
    assert then.uri.endswith("20260114T020000Z-20260115T020000Z")
    proof = json.loads(then.read_beside(PROOF) or b"")
    assert proof["labels"]["rows_after_as_of"] == 1
    assert proof["labels"]["as_of"] == "2026-01-15T02:00:00+00:00"
    assert proof["views"][0]["newest_feature"] <= "2026-01-15T02:00:00+00:00"
    assert then.table()["skill_score_backend"][0].as_py() is None  # of day 15, which is older than the TTL by then
    assert now.table()["skill_score_backend"][0].as_py() is not None


def published(root: Storage, table: pa.Table) -> Artifact:
    """Publish labels as ingestion does."""
    with ArtifactWriter(root, Description(dataset="outcomes", stage="raw", run=run_of(17)), table.schema) as writer:
        writer.write_all(table.to_batches())
        return writer.publish()


def test_labels_of_an_artifact_are_its_input_and_must_not_have_failed(place: Storage) -> None:
    outcomes = published(place, small())
    made = build(place, outcomes.uri)
    assert made.manifest.inputs[0] == outcomes.as_input("labels")
    assert made.manifest.details["labels"]["validation"] == "none"
    verdict(outcomes, passed=False)
    with pytest.raises(GateClosedError, match="failed validation"):
        build(place, outcomes)
    assert build(place, outcomes, store=FeatureStore(require_validation=False)).fingerprint == made.fingerprint


# ------------------------------------------------------------------ elsewhere


def test_labels_and_offline_data_in_a_bucket(s3: servers.Bucket, place: Storage, tmp_path: Path) -> None:
    bucket = Storage(f"{s3.uri}/{uuid.uuid4().hex}", s3.options)
    online = {"type": "sqlite", "path": str(tmp_path / "online.db")}
    store = FeatureStore(registry=f"sqlite:///{tmp_path}/registry.db", online_store=online)
    feature_history(bucket, store)
    given = labels(60)
    with bucket.filesystem.open_output_stream(bucket.path("labels/2026.parquet")) as stream:
        pq.write_table(given, stream)
    made = build(bucket, f"{bucket.uri}/labels/2026.parquet", [BACKEND, "team_features:size"], store=store)
    local = build(place, given, [BACKEND, "team_features:size"])
    # created_timestamp is the same in both histories, so even the ties are.
    assert made.table().equals(local.table())
    assert made.manifest.inputs[0].fingerprint == local.manifest.inputs[0].fingerprint
    assert all(item.uri.startswith(bucket.uri) for item in made.manifest.inputs)
