"""From a feature artifact to SQLite through Feast, and what it takes to do that again and again."""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import struct
import time
import warnings
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError, StoreRejectedError, StoreUnavailableError, Terminal
from airflow_provider_mlpipe.feature_store import materialize, open_store, read_online
from airflow_provider_mlpipe.run import Run
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, expected, features, online, raw, scores

REFERENCE = f"{VIEW}:skill_score_backend"
STORE = FeatureStore()


def offline_files(root: Storage) -> list[str]:
    return sorted(path.name for path in Path(root.root, "_feast/offline", VIEW).iterdir())


def test_what_the_artifact_holds_is_online_and_the_seeds_references_read_it(root: Storage) -> None:
    table = scores(300)
    done = materialize(features(root, table), STORE, root=root)

    assert (done.view, done.rows, done.rows_read_back, done.mismatches) == (VIEW, 300, 100, 0)
    assert (done.skipped, done.gate) == ("", "passed")
    assert done.metrics["rows_materialized"] == 300
    assert done.metrics["rows_read_back"] == 100
    assert done.metrics["mismatches"] == done.metrics["gate_overridden"] == done.metrics["rows_skipped"] == 0
    assert {"duration_seconds", "cpu_seconds", "peak_rss_bytes"} <= set(done.metrics)
    assert online(STORE, root, table) == expected(table)

    feast_store = open_store(STORE, root)
    answer = feast_store.get_online_features(features=[REFERENCE], entity_rows=[{"user_id": "u00007"}]).to_dict()
    assert answer == {"user_id": ["u00007"], "skill_score_backend": [table["skill_score_backend"][7].as_py()]}


def test_training_rows_see_what_was_known_at_their_time(root: Storage) -> None:
    import pandas as pd

    first, second = scores(20, seed=1), scores(20, seed=2)
    materialize(features(root, first, day=14), STORE, root=root)
    materialize(features(root, second, day=15), STORE, root=root)
    moments = {  # before, at, and after each computation, and past the ttl
        as_of(14) - timedelta(seconds=1): None,
        as_of(14): first["skill_score_backend"][3].as_py(),
        as_of(15) - timedelta(seconds=1): first["skill_score_backend"][3].as_py(),
        as_of(15): second["skill_score_backend"][3].as_py(),
        as_of(15) + timedelta(days=31): None,
    }
    entities = pd.DataFrame({"user_id": ["u00003"] * len(moments), "event_timestamp": list(moments)})

    joined = open_store(STORE, root).get_historical_features(entity_df=entities, features=[REFERENCE]).to_arrow()

    found = dict(zip(joined["event_timestamp"].to_pylist(), joined["skill_score_backend"].to_pylist(), strict=True))
    assert found == moments


def test_every_type_comes_back_as_it_went_in(root: Storage) -> None:
    table = every_type()
    done = materialize(features(root, table), FeatureStore(read_back=1000), root=root)

    assert done.rows_read_back == 40
    answer = online(STORE, root, table)
    assert answer == expected(table)
    zero = answer["ü-0"]["nan"]
    assert struct.pack("<d", zero) == struct.pack("<d", -0.0), "0.0 in place of -0.0"
    assert math.isinf(answer["ü-1"]["inf"])


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.large_string()])
def test_keys_may_be_numbers_or_text(root: Storage, kind: pa.DataType) -> None:
    keys = pa.array(range(-5, 50), pa.int64()).cast(kind)
    table = pa.table({"team_id": keys, "open_tasks": pa.array(range(55), pa.int64())})
    artifact = features(root, table, entity="team_id", feature_set="team_features")

    assert materialize(artifact, STORE, root=root).view == "team_features"

    assert online(STORE, root, table, entity="team_id", view="team_features") == expected(table, "team_id")


def test_definitions_say_what_the_manifest_says(root: Storage) -> None:
    feast = {"view": "skills", "service": "ranking", "ttl_seconds": 3600, "description": "Skills of users"}
    materialize(features(root, scores(3), feast=feast), STORE, root=root)

    feast_store = open_store(STORE, root)
    view = feast_store.get_feature_view("skills")
    assert view.ttl == timedelta(hours=1)
    assert (view.owner, view.description, view.tags["team"]) == ("ann", "Skills of users", "growth")
    assert {f.name: (f.dtype.to_value_type().name, f.description) for f in view.features} == {
        "skill_score_backend": ("DOUBLE", "The skill_score_backend [hours]"),
        "tasks_completed_7d": ("INT64", "The tasks_completed_7d [hours]"),
        "top_skill": ("STRING", "The top_skill [hours]"),
    }
    assert feast_store.get_entity("user_id").value_type.name == "STRING"
    service = feast_store.get_feature_service("ranking")
    answer = feast_store.get_online_features(features=service, entity_rows=[{"user_id": "u00001"}]).to_dict()
    assert answer["tasks_completed_7d"] == [1]


def test_a_rerun_replaces_and_tells_feast_nothing_new(root: Storage, caplog: pytest.LogCaptureFixture) -> None:
    before, after = scores(50, seed=1), scores(50, seed=2)
    materialize(features(root, before), STORE, root=root)
    told = open_store(STORE, root).get_feature_view(VIEW).last_updated_timestamp
    caplog.clear()

    done = materialize(features(root, after), STORE, root=root)  # the same interval, corrected

    assert done.rows == 50
    assert online(STORE, root, after) == expected(after)
    assert offline_files(root) == ["20260113T020000Z-20260114T020000Z.parquet"]
    assert "Changed feature view" not in caplog.text
    assert open_store(STORE, root).get_feature_view(VIEW).created_timestamp <= told


def test_an_older_interval_leaves_newer_rows_alone(root: Storage, caplog: pytest.LogCaptureFixture) -> None:
    old, new = scores(30, seed=1), scores(20, seed=2, first=15)  # users 15 to 29 are in both
    materialize(features(root, new, day=15), STORE, root=root)

    done = materialize(features(root, old, day=14), STORE, root=root)

    assert (done.rows, done.rows_skipped, done.metrics["rows_skipped"], done.skipped) == (15, 15, 15, "")
    assert "15 of 30 entities have newer values online, which stay" in caplog.text
    assert online(STORE, root, new) == expected(new)
    assert online(STORE, root, old.slice(0, 15)) == expected(old.slice(0, 15))

    again = materialize(features(root, new.slice(5), day=13), STORE, root=root)
    assert (again.rows, again.rows_read_back, again.rows_skipped) == (0, 0, 15)
    assert again.skipped == "all 15 entities have newer values online"
    assert online(STORE, root, new) == expected(new)
    assert len(offline_files(root)) == 3, "the past is kept offline, whatever is online"


def test_only_the_artifacts_own_rows_go_online_whatever_lies_in_the_same_time(root: Storage) -> None:
    mine, other = scores(5, seed=1), scores(5, seed=2, first=100)
    materialize(features(root, other, run=Run(run_id="by hand")), STORE, root=root)
    database = Path(root.root, "_feast/online.db")
    database.unlink()  # as if the other run had never been online

    assert materialize(features(root, mine), STORE, root=root).rows == 5

    assert online(STORE, root, mine) == expected(mine)
    assert all(row["skill_score_backend"] is None for row in online(STORE, root, other).values())


def test_of_two_rows_of_one_key_the_newer_goes_online(root: Storage) -> None:
    table = pa.table({"user_id": ["a", "a", "b", "a"], "score": [1.0, 3.0, 5.0, 2.0]})
    times = [as_of(14), as_of(14) + timedelta(hours=2), as_of(14), as_of(14) + timedelta(hours=1)]

    done = materialize(features(root, table, times=times), STORE, root=root)

    assert done.rows == 2
    assert online(STORE, root, table) == {"a": {"user_id": "a", "score": 3.0}, "b": {"user_id": "b", "score": 5.0}}


def test_parts_of_killed_attempts_are_not_read(root: Storage) -> None:
    table = scores(10)
    artifact = features(root, table)
    part = Path(artifact.paths[0])
    part.with_name("part-t9-killed-00000.parquet").write_bytes(b"PAR1 half a file")

    materialize(artifact, STORE, root=root)

    import pandas as pd

    entities = pd.DataFrame({"user_id": ["u00001"], "event_timestamp": [as_of(15)]})
    assert len(open_store(STORE, root).get_historical_features(entities, features=[REFERENCE]).to_df()) == 1
    assert online(STORE, root, table) == expected(table)


class TestNoRows:
    EMPTY = scores(3).slice(0, 0)

    def test_fail_by_default(self, root: Storage) -> None:
        with pytest.raises(StoreRejectedError, match="has no rows") as caught:
            materialize(features(root, self.EMPTY), STORE, root=root)
        assert isinstance(caught.value, Terminal)
        assert "on_empty" in caught.value.hint

    def test_skip_says_so(self, root: Storage) -> None:
        done = materialize(features(root, self.EMPTY), FeatureStore(on_empty="skip"), root=root)
        assert (done.rows, done.skipped) == (0, "the artifact has no rows")
        assert open_store(STORE, root).get_feature_view(VIEW).materialization_intervals == []

    def test_allow_records_the_interval_and_keeps_what_is_online(self, root: Storage) -> None:
        table = scores(5)
        materialize(features(root, table, day=13), STORE, root=root)
        done = materialize(features(root, self.EMPTY, day=14), FeatureStore(on_empty="allow"), root=root)
        assert (done.rows, done.skipped) == (0, "")
        assert open_store(STORE, root).get_feature_view(VIEW).most_recent_end_time == as_of(14)
        assert online(STORE, root, table) == expected(table)

    def test_a_rerun_without_rows_empties_its_interval_offline(self, root: Storage) -> None:
        import pyarrow.parquet as pq

        materialize(features(root, scores(5)), STORE, root=root)
        materialize(features(root, self.EMPTY), FeatureStore(on_empty="skip"), root=root)
        [name] = offline_files(root)
        assert pq.read_metadata(Path(root.root, "_feast/offline", VIEW, name)).num_rows == 0


class TestWhatCannotGoOnline:
    def test_rows_without_a_key(self, root: Storage) -> None:
        table = pa.table({"user_id": ["a", None, "b", None], "score": [1.0] * 4})
        with pytest.raises(StoreRejectedError, match="2 of 4 rows have no user_id"):
            materialize(features(root, table), STORE, root=root)

    def test_whole_numbers_that_feast_would_round(self, root: Storage) -> None:
        table = pa.table({"user_id": ["a", "b"], "n": pa.array([2**60 + 1, None], pa.int64())})
        with pytest.raises(StoreRejectedError, match="n: whole numbers beyond 2\\^53"):
            materialize(features(root, table), STORE, root=root)

    @pytest.mark.parametrize("kind", [pa.date32(), pa.decimal128(9, 2), pa.struct([("a", pa.int8())]), pa.uint64()])
    def test_types_that_feast_does_not_hold(self, root: Storage, kind: pa.DataType) -> None:
        table = pa.table({"user_id": ["a"], "odd": pa.array([None], kind)})
        with pytest.raises(StoreRejectedError, match="column 'odd' is .*which Feast cannot hold exactly"):
            materialize(features(root, table), STORE, root=root)

    def test_an_artifact_that_holds_no_features(self, root: Storage) -> None:
        with pytest.raises(ConfigError, match="is not a feature artifact.*stage 'raw'"):
            materialize(raw(root), STORE, root=root)

    def test_keys_of_another_type_than_those_of_another_view(self, root: Storage) -> None:
        materialize(features(root, scores(3)), STORE, root=root)
        numbers = pa.table({"user_id": pa.array([1, 2], pa.int64()), "n": [1.0, 2.0]})
        other = features(root, numbers, feature_set="more_features")
        with pytest.raises(StoreRejectedError, match="'user_id' are INT64 here and STRING in 'user_profile_features'"):
            materialize(other, STORE, root=root)


def test_a_changed_schema_is_served_and_the_past_stays_readable(root: Storage) -> None:
    import pandas as pd

    materialize(
        features(root, {"user_id": ["a", "b"], "kept": [1, 2], "dropped": [1.0, 2.0]}, day=13), STORE, root=root
    )
    table = pa.table({"user_id": ["a"], "kept": [1.5], "added": ["new"]})
    materialize(features(root, table, day=14), STORE, root=root)

    assert online(STORE, root, table) == expected(table)
    with pytest.raises(ConfigError, match="no feature named 'dropped'"):
        read_online(STORE, root=root, view=VIEW, entity_rows=[{"user_id": "a"}], features=["dropped"])
    entities = pd.DataFrame({"user_id": ["b", "a"], "event_timestamp": [as_of(14), as_of(14)]})
    wanted = [f"{VIEW}:kept", f"{VIEW}:added"]
    joined = open_store(STORE, root).get_historical_features(entities, features=wanted).to_arrow().to_pylist()
    rows = {row["user_id"]: (row["kept"], row["added"]) for row in joined}
    assert rows == {"a": (1.5, "new"), "b": (2.0, None)}


def test_two_sets_are_two_views_of_one_entity(root: Storage) -> None:
    one, two = scores(5), pa.table({"user_id": ["u00001"], "visits": [4]})
    materialize(features(root, one), STORE, root=root)
    materialize(features(root, two, feature_set="visits"), STORE, root=root)

    both = open_store(STORE, root).get_online_features(
        features=[REFERENCE, "visits:visits"], entity_rows=[{"user_id": "u00001"}]
    )
    assert both.to_dict()["visits"] == [4]
    assert both.to_dict()["skill_score_backend"] == [one["skill_score_backend"][1].as_py()]


def test_a_large_artifact_of_several_parts_is_one_file_offline(root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.ROW_GROUP_ROWS", 4)
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.PART_ROWS", 4)
    table = scores(10)
    batches = pa.Table.from_batches([table.slice(i, 2).combine_chunks().to_batches()[0] for i in range(0, 10, 2)])
    artifact = features(root, batches)
    assert len(artifact.paths) > 1

    assert materialize(artifact, STORE, root=root).rows == 10

    assert len(offline_files(root)) == 1
    assert online(STORE, root, table) == expected(table)


def test_the_machines_zone_changes_nothing(root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Feast filters its source by casting to local time; between 18:00 and 02:00 that would lose the rows."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        old, new = scores(20, seed=1), scores(10, seed=2)
        materialize(features(root, new, day=15), STORE, root=root)
        done = materialize(features(root, old, day=14), STORE, root=root)
        assert (done.rows, done.metrics["rows_skipped"]) == (10, 10)
        assert online(STORE, root, new) == expected(new)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_nothing_but_our_own_log_is_heard(
    root: Storage, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="airflow_provider_mlpipe")  # the command line sets another
    filters = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        materialize(features(root, scores(5)), STORE, root=root)
        read_online(STORE, root=root, view=VIEW, entity_rows=[{"user_id": "u00001"}])

    assert warnings.filters == filters
    assert capfd.readouterr() == ("", "")
    assert {record.name.partition(".")[0] for record in caplog.records} == {"airflow_provider_mlpipe"}


@pytest.mark.parametrize("state", ["MATERIALIZING", "GENERATED"])
def test_a_view_that_a_killed_run_left_behind_is_freed(
    root: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """Feast serves no view in these states; its registry file keeps them when a process is killed."""
    from feast.feature_view import FeatureViewState

    store = FeatureStore(registry=str(tmp_path / "registry.pb"), on_empty="skip")
    table = scores(3)
    materialize(features(root, table), store, root=root)
    feast_store = open_store(store, root)
    view = feast_store.get_feature_view(VIEW)
    view.state = FeatureViewState[state]
    feast_store.registry.apply_feature_view(view, feast_store.project)
    if state == "GENERATED":
        with pytest.raises(StoreRejectedError, match="is in state 'GENERATED' and cannot serve"):
            online(store, root, table)

    materialize(features(root, table.slice(0, 0), day=15), store, root=root)  # even if there is nothing to write

    assert f"was left as {state} by a run that was killed; it is freed" in caplog.text
    assert open_store(store, root).get_feature_view(VIEW).state.name == "AVAILABLE_ONLINE"
    assert online(store, root, table) == expected(table)


def test_an_online_store_locked_by_somebody_else_can_be_tried_again(root: Storage) -> None:
    artifact = features(root, scores(3))
    materialize(artifact, STORE, root=root)
    with contextlib.closing(sqlite3.connect(Path(root.root, "_feast/online.db"))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="database is locked"):
            materialize(artifact, STORE, root=root)
    assert materialize(artifact, STORE, root=root).rows == 3


class TestReadOnline:
    @pytest.fixture
    def root(self, root: Storage) -> Storage:
        materialize(features(root, scores(5)), STORE, root=root)
        return root

    def test_rows_come_in_the_order_asked_and_an_unknown_entity_has_nothing(self, root: Storage) -> None:
        rows = [{"user_id": "u00004"}, {"user_id": "nobody"}, {"user_id": "u00001"}]
        answer = read_online(STORE, root=root, view=VIEW, entity_rows=rows, features=["tasks_completed_7d"])
        assert answer == [
            {"user_id": "u00004", "tasks_completed_7d": 4},
            {"user_id": "nobody", "tasks_completed_7d": None},
            {"user_id": "u00001", "tasks_completed_7d": 1},
        ]
        assert read_online(STORE, root=root, view=VIEW, entity_rows=[]) == []

    def test_what_is_not_there_is_named_with_what_is(self, root: Storage) -> None:
        with pytest.raises(ConfigError, match="no feature view named 'user_profil_features'. Did you mean 'user_pro"):
            read_online(STORE, root=root, view="user_profil_features", entity_rows=[])
        with pytest.raises(ConfigError, match="no feature named 'top_skil'. Did you mean 'top_skill'"):
            read_online(STORE, root=root, view=VIEW, entity_rows=[], features=["top_skil"])
        with pytest.raises(ConfigError, match="no entity key named 'userid'. Did you mean 'user_id'"):
            read_online(STORE, root=root, view=VIEW, entity_rows=[{"userid": "a"}])
        with pytest.raises(ConfigError, match="a row has no 'user_id'"):
            read_online(STORE, root=root, view=VIEW, entity_rows=[{}])


def test_an_artifact_opened_again_by_its_uri_is_the_same(root: Storage) -> None:
    artifact = Artifact.open(features(root, scores(5)).uri)
    assert materialize(artifact, STORE, root=root).rows == 5
