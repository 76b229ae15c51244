"""Pushed rows: online unless a newer row is there, offline in a file of their own, both checked."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError, GateClosedError, StoreRejectedError
from airflow_provider_mlpipe.feature_store import materialize, open_store, push, register
from tests.feature_store.feature_artifacts import (
    STAMP,
    VIEW,
    as_of,
    every_type,
    expected,
    features,
    online,
    raw,
    scores,
)

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

STORE = FeatureStore()
MINUTE = timedelta(minutes=1)


def rows(users: dict[str, float], time: datetime, *, created: datetime | None = None) -> pa.Table:
    """Return one row per user with this backend score."""
    count = len(users)
    table = pa.table(
        {
            "user_id": list(users),
            "skill_score_backend": list(users.values()),
            "tasks_completed_7d": pa.array([7] * count, pa.int64()),
            "top_skill": ["pushed"] * count,
            "event_timestamp": pa.array([time] * count, STAMP),
        }
    )
    return table if created is None else table.append_column("created_timestamp", pa.array([created] * count, STAMP))


def scores_online(root: Storage, *users: str, store: FeatureStore = STORE) -> dict[str, Any]:
    found = online(store, root, pa.table({"user_id": list(users)}))
    return {user: row["skill_score_backend"] for user, row in found.items()}


def scores_at(root: Storage, user: str, *times: datetime) -> list[float | None]:
    """Return what a training set sees at these times."""
    import pandas as pd

    asked = pd.DataFrame({"user_id": [user] * len(times), "event_timestamp": list(times)})
    reference = [f"{VIEW}:skill_score_backend"]
    joined = open_store(STORE, root).get_historical_features(entity_df=asked, features=reference).to_arrow()
    found = dict(zip(joined["event_timestamp"].to_pylist(), joined["skill_score_backend"].to_pylist(), strict=True))
    return [found[time] for time in times]


def offline_files(root: Storage) -> list[str]:
    return sorted(path.name for path in Path(root.root, "_feast/offline", VIEW).iterdir())


def intervals(root: Storage) -> int:
    return len(open_store(STORE, root).get_feature_view(VIEW).materialization_intervals)


@pytest.fixture
def day(root: Storage) -> pa.Table:
    """The features of 20 users on day 14, materialised."""
    table = scores(20)
    materialize(features(root, table, day=14), STORE, root=root)
    return table


def test_pushed_rows_are_served_and_remembered(root: Storage, day: pa.Table) -> None:
    noon = as_of(14) + 10 * 60 * MINUTE
    before = intervals(root)

    done = push(VIEW, rows({"u00003": 0.75, "new": 0.25}, noon), STORE, root=root)

    assert (done.view, done.rows, done.rows_skipped, done.rows_offline, done.rows_read_back) == (VIEW, 2, 0, 2, 2)
    assert done.metrics["rows_materialized"] == 2
    known = day["skill_score_backend"][4].as_py()
    assert scores_online(root, "u00003", "new", "u00004") == {"u00003": 0.75, "new": 0.25, "u00004": known}
    assert scores_at(root, "u00003", noon - MINUTE, noon) == [day["skill_score_backend"][3].as_py(), 0.75]
    assert intervals(root) == before


@pytest.mark.parametrize(("to", "is_online", "is_offline"), [("online", True, False), ("offline", False, True)])
def test_rows_go_where_they_are_sent(root: Storage, day: pa.Table, to: Any, is_online: bool, is_offline: bool) -> None:
    noon = as_of(14) + 60 * MINUTE
    known = day["skill_score_backend"][3].as_py()

    done = push(VIEW, rows({"u00003": 0.75}, noon), STORE, root=root, to=to)

    assert (done.rows, done.rows_offline) == (int(is_online), int(is_offline))
    assert scores_online(root, "u00003") == {"u00003": 0.75 if is_online else known}
    assert scores_at(root, "u00003", noon) == [0.75 if is_offline else known]


def test_an_older_row_stays_out_of_the_online_store_and_goes_into_the_past(root: Storage, day: pa.Table) -> None:
    early = as_of(13)

    done = push(VIEW, rows({"u00003": 0.75, "new": 0.25}, early), STORE, root=root)

    assert (done.rows, done.rows_skipped, done.rows_offline) == (1, 1, 2)
    now = day["skill_score_backend"][3].as_py()
    assert scores_online(root, "u00003", "new") == {"u00003": now, "new": 0.25}
    assert scores_at(root, "u00003", early, as_of(14)) == [0.75, now]


def test_of_several_rows_of_one_entity_the_newest_is_served(root: Storage, day: pa.Table) -> None:
    times = [as_of(15) + i * MINUTE for i in (0, 2, 1)]
    stream = pa.concat_tables([rows({"u00003": float(i)}, time) for i, time in enumerate(times)])

    done = push(VIEW, iter(stream.to_batches()), STORE, root=root)

    assert (done.rows, done.rows_offline) == (1, 3)
    assert scores_online(root, "u00003") == {"u00003": 1.0}
    assert scores_at(root, "u00003", *times) == [0.0, 1.0, 2.0]


def test_the_same_rows_twice_are_there_once(root: Storage, day: pa.Table) -> None:
    first = push(VIEW, rows({"u00003": 0.75}, as_of(15)), STORE, root=root)
    files = offline_files(root)

    second = push(VIEW, rows({"u00003": 0.75}, as_of(15)), STORE, root=root)

    assert first.file == second.file
    assert first.file in files
    assert offline_files(root) == files


def test_the_one_computed_last_wins_between_a_push_and_an_interval(root: Storage, day: pa.Table) -> None:
    """Of two rows of the same time, training sees the one with the later created_timestamp, online the one put last."""
    correction = rows({"u00003": 0.75}, as_of(14), created=as_of(14) + MINUTE)
    push(VIEW, correction, STORE, root=root)
    assert scores_online(root, "u00003") == {"u00003": 0.75}
    assert scores_at(root, "u00003", as_of(14)) == [0.75]

    stale = rows({"u00004": 0.75}, as_of(14), created=as_of(14) - MINUTE)
    push(VIEW, stale, STORE, root=root)
    assert scores_at(root, "u00004", as_of(14)) == [day["skill_score_backend"][4].as_py()]


def test_an_artifact_is_pushed_if_its_inputs_have_passed(root: Storage, day: pa.Table) -> None:
    good = features(root, scores(3, seed=5), day=15)
    assert push(VIEW, good, STORE, root=root).rows == 3
    assert online(STORE, root, scores(3)) == expected(scores(3, seed=5))

    unjudged: Artifact = features(
        root, scores(3, seed=6), day=16, inputs=(raw(root, "bare", judged=False).as_input("users"),)
    )
    with pytest.raises(GateClosedError, match="it was not validated"):
        push(VIEW, unjudged, STORE, root=root)
    assert online(STORE, root, scores(3)) == expected(scores(3, seed=5))

    let_through = push(VIEW, unjudged, FeatureStore(require_validation=False), root=root)
    assert let_through.metrics["gate_overridden"] == 1


def test_a_view_that_is_only_registered_takes_rows_of_every_type(root: Storage) -> None:
    table = every_type()
    store = FeatureStore(read_back=1000)
    register(features(root, table), store, root=root)
    stamped = table.append_column("event_timestamp", pa.array([as_of(15)] * len(table), STAMP))

    done = push(VIEW, stamped, store, root=root)

    assert (done.rows, done.rows_read_back) == (40, 40)
    assert online(store, root, table) == expected(table)


def test_redis_takes_a_correction_of_the_same_time(root: Storage, valkey: str) -> None:
    store = FeatureStore(project="push_redis", online_store={"type": "redis", "connection_string": valkey})
    materialize(features(root, scores(20), day=14), store, root=root)

    assert push(VIEW, rows({"u00003": 0.75}, as_of(14)), store, root=root).rows == 1
    assert push(VIEW, rows({"u00003": 0.5}, as_of(13)), store, root=root).rows_skipped == 1

    assert scores_online(root, "u00003", store=store) == {"u00003": 0.75}


def test_nothing_to_push_is_nothing_done(root: Storage, day: pa.Table) -> None:
    files = offline_files(root)

    done = push(VIEW, rows({}, as_of(15)), STORE, root=root)

    assert (done.rows, done.rows_offline, done.file) == (0, 0, "")
    assert offline_files(root) == files


def test_what_does_not_fit_is_refused_and_nothing_changes(root: Storage, day: pa.Table) -> None:
    good = rows({"u00003": 0.75}, as_of(15))
    files = offline_files(root)

    def refused(table: pa.Table, kind: type[Exception], match: str, **more: Any) -> None:
        with pytest.raises(kind, match=match):
            push(more.pop("view", VIEW), table, STORE, root=root, **more)

    refused(good, ConfigError, f"Did you mean '{VIEW}'", view="user_profile_feature")
    refused(good, ConfigError, "no destination named 'onlin'", to="onlin")
    refused(good.drop_columns(["top_skill"]), ConfigError, "lack 1 of .* columns: top_skill")
    refused(good.rename_columns({"top_skill": "topskill"}), ConfigError, "Did you mean 'top_skill'")
    text = good.set_column(1, "skill_score_backend", pa.array(["high"]))
    refused(text, StoreRejectedError, "'skill_score_backend' is string, which does not fit double")
    refused(
        good.set_column(0, "user_id", pa.array([None], pa.string())), StoreRejectedError, "1 of 1 rows have no user_id"
    )
    assert offline_files(root) == files
    assert scores_online(root, "u00003") == {"u00003": day["skill_score_backend"][3].as_py()}
