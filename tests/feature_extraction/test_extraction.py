"""`extract`: the published artifact, its manifest, what happens to odd rows, and what is refused before computing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.engines import DuckDBSettings
from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction import extract
from tests.feature_extraction.material import (
    AS_OF,
    activity,
    bug,
    configured,
    day,
    done,
    extracted,
    published,
    rows,
    users,
)

HOUR = timedelta(hours=1)
SEED = ["skill_score_backend", "skill_score_frontend", "current_workload_hours", "tasks_completed_7d"]


def test_the_seed_configuration_runs_unchanged(root, tmp_path):
    path = tmp_path / "feature_config.yaml"
    path.write_text(
        "user_features:\n  aggregation_window: 7d\n  normalize: true\n  handle_missing: impute\n"
        f"  features: [{', '.join(SEED)}]\n",
        encoding="utf-8",
    )
    features = feature_set(path, "user_features")
    inputs = {
        "users": published(root, "users", users("bob", "ann")),
        "activity": published(
            root, "activity", activity(done("ann", HOUR, hours=2.5), done("ann", 2 * HOUR), bug("ann", 3 * HOUR))
        ),
    }
    found = extract(features, inputs, root=root, run=day(), as_of=AS_OF)
    artifact = Artifact.open(found.artifact.uri)
    table = artifact.table()
    assert table.drop_columns(["created_timestamp"]).to_pylist() == [
        {
            "user_id": "ann", "event_timestamp": AS_OF, "skill_score_backend": pytest.approx(2 / 7 * 2 / 3),
            "skill_score_frontend": 0.0, "current_workload_hours": 3.5, "tasks_completed_7d": 2,
        },
        {
            "user_id": "bob", "event_timestamp": AS_OF, "skill_score_backend": 0.0,
            "skill_score_frontend": 0.0, "current_workload_hours": 0.0, "tasks_completed_7d": 0,
        },
    ]  # fmt: skip
    stamp = pa.timestamp("us", tz="UTC")
    assert list(zip(table.schema.names, table.schema.types, strict=True)) == [
        ("user_id", pa.string()), ("event_timestamp", stamp), ("created_timestamp", stamp),
        ("skill_score_backend", pa.float64()), ("skill_score_frontend", pa.float64()),
        ("current_workload_hours", pa.float64()), ("tasks_completed_7d", pa.int64()),
    ]  # fmt: skip

    manifest = artifact.manifest
    assert (manifest.dataset, manifest.stage, manifest.partition) == ("user_features", "features", day().partition)
    assert manifest.config_hash == features.document.text_hash
    assert [(item.name, item.fingerprint) for item in manifest.inputs] == [
        ("users", inputs["users"].fingerprint),
        ("activity", inputs["activity"].fingerprint),
    ]
    details = manifest.details
    assert (details["feature_set"], details["entity"], details["as_of"]) == (
        "user_features", "user_id", AS_OF.isoformat(),
    )  # fmt: skip
    assert [item["name"] for item in details["features"]] == SEED
    assert details["features"][2] == {
        "name": "current_workload_hours",
        "description": "Hours of work that the user finished in the window.",
        "unit": "hours",
        "range": "[0, inf)",
        "formula": "sum of hours over task_completed events; 0 without any",
    }
    assert details["feast"] == {
        "view": "user_profile_features", "service": "user_profile_features_service", "ttl_seconds": 30 * 86400,
        "tags": {}, "description": "", "owner": "",
    }  # fmt: skip
    assert found.metrics == manifest.metrics
    expected = {"entities": 2, "features": 4, "events_read": 3, "missing_values": 0, "events_null_key": 0}
    assert expected.items() <= manifest.metrics.items()
    assert {"duration_seconds", "cpu_seconds", "peak_rss_bytes"} <= manifest.metrics.keys()
    assert found.normalized is not None


def test_feast_names_can_be_given(root):
    found = extracted(
        root, users("ann"), activity(), features=["bug_rate"],
        feast={"view": "people", "ttl": "2d", "owner": "team@example.org", "tags": {"tier": "gold"}},
    )  # fmt: skip
    feast = found.artifact.manifest.details["feast"]
    assert (feast["view"], feast["service"], feast["ttl_seconds"]) == ("people", "people_service", 2 * 86400)
    assert (feast["owner"], feast["tags"]) == ("team@example.org", {"tier": "gold"})
    assert found.normalized is None


def test_users_without_events_and_an_empty_activity(root):
    for table in (activity(), activity(done("ann", -HOUR))):
        found = extracted(root, users("bob", "ann"), table)
        assert rows(found, "tasks_completed_7d", "current_workload_hours", "bug_rate", "active_days") == {
            "ann": (0, 0.0, None, 0),
            "bob": (0, 0.0, None, 0),
        }
        assert found.metrics["missing_values"] == 4


def test_no_users_at_all(root):
    found = extracted(root, users(), activity(done("ann", HOUR)))
    assert found.artifact.manifest.rows == 0
    assert found.artifact.table().schema.names[0] == "user_id"
    assert found.metrics["events_unknown_entity"] == 1


def test_strangers_and_null_keys_are_left_out_and_counted(root, caplog):
    table = activity(
        done("ann", HOUR), done("stranger", HOUR), done("stranger", 2 * HOUR), done(None, HOUR),
        done("stranger", timedelta(days=8)), done(None, -HOUR),
    )  # fmt: skip
    found = extracted(root, users("ann", None, "bob", None), table)
    assert rows(found, "tasks_completed_7d") == {"ann": 1, "bob": 0}
    counted = {
        "events_read": 6,
        "events_null_key": 1,
        "events_unknown_entity": 2,
        "entities_null_key": 2,
        "entities": 2,
    }
    assert counted.items() <= found.metrics.items()
    assert "events of a user_id that 'users' does not hold are left out: 2" in caplog.text


def test_duplicate_events_count_as_often_as_they_come(root):
    # Two rows are two events: telling copies from repetitions is the work of deduplication and of unique_columns.
    table = pa.concat_tables([activity(done("ann", HOUR))] * 3)
    assert rows(extracted(root, users("ann"), table), "tasks_completed_7d") == {"ann": 3}


def test_a_user_twice_is_one_user(root):
    found = extracted(root, users("ann", "ann", "bob"), activity(done("ann", HOUR)))
    assert rows(found, "tasks_completed_7d") == {"ann": 1, "bob": 0}
    agreeing = users("ann", "ann", "bob", capacity=[40, 40, 20])
    found = extracted(
        root, agreeing, activity(done("ann", HOUR)), derived={"load": "current_workload_hours / capacity"}
    )
    assert rows(found, "load") == {"ann": 1 / 40, "bob": 0.0}


def test_a_user_twice_with_two_truths_is_refused(root):
    with pytest.raises(FeatureError) as caught:
        extracted(
            root, users("ann", "ann", "bob", capacity=[40, 20, 20]), activity(),
            derived={"load": "current_workload_hours / capacity"},
        )  # fmt: skip
    assert "load: 1 user_id stand in 'users' more than once, with different values of capacity: 'ann'" in str(
        caught.value
    )
    assert not Artifact_exists(root)


def Artifact_exists(root):  # noqa: N802 - reads as a question
    return bool(root.below(f"user_features/features/{day().partition}").read("_manifest.json"))


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64(), pa.large_string()])
def test_the_key_keeps_its_type(root, kind):
    keys = pa.array([3, 20, 1]).cast(kind)
    table = activity(done("3", HOUR), done("20", HOUR))
    table = table.set_column(1, "user_id", table.column("user_id").cast(pa.int64()).cast(
        pa.int64() if pa.types.is_integer(kind) else pa.string()))  # fmt: skip
    found = extracted(root, pa.table({"user_id": keys}), table, features=["tasks_completed_7d"])
    result = found.artifact.table()
    assert result.schema.field("user_id").type == kind
    assert result.column("user_id").to_pylist() == ([1, 3, 20] if pa.types.is_integer(kind) else ["1", "20", "3"])
    assert sum(result.column("tasks_completed_7d").to_pylist()) == 2


def test_rows_come_in_the_order_of_the_keys(root):
    keys = [f"u{n:05d}" for n in range(5000)]
    found = extracted(root, users(*reversed(keys)), activity(), features=["tasks_completed_7d"])
    assert found.artifact.table().column("user_id").to_pylist() == keys


def test_columns_are_mapped(root):
    table = activity(done("ann", HOUR, hours=3.0)).rename_columns(
        {"skill": "area", "hours": "amount", "user_id": "who", "occurred_at": "ts"}
    )
    people = users("ann").rename_columns({"user_id": "id"})
    mapping = {
        "activity": {"skill": "area", "hours": "amount", "user_id": "who", "occurred_at": "ts"},
        "users": {"user_id": "id"},
    }
    found = extracted(root, people, table, features=SEED, columns=mapping)
    assert rows(found) == {"ann": (pytest.approx(1 / 6), 0.0, 3.0, 1)}


def test_created_timestamp_does_not_count_as_content(root):
    first, second = (extracted(root, users("ann"), activity(done("ann", HOUR))).artifact for _ in range(2))
    assert first.fingerprint == second.fingerprint


def test_as_of_may_have_another_zone_or_none(root):
    inputs = {"users": published(root, "users", users("ann")), "activity": published(root, "activity", activity())}
    for as_of in (AS_OF.replace(tzinfo=None), AS_OF.astimezone(datetime.now(UTC).astimezone().tzinfo)):
        found = extract(configured(features=["bug_rate"]), inputs, root=root, run=day(), as_of=as_of)
        assert found.artifact.table().column("event_timestamp").to_pylist() == [AS_OF]


def test_a_small_memory_limit_is_enough_for_many_events(root):
    n = 400_000
    table = pa.table({
        "user_id": pa.array([f"user-{number % 50_000}" for number in range(n)]),
        "event_type": pa.array(["task_completed", "bug_reported"] * (n // 2)),
        "skill": pa.array(["backend"] * n),
        "hours": pa.array([number / 7 for number in range(n)]),
        "occurred_at": pa.array([AS_OF - timedelta(seconds=number % 600_000 + 1) for number in range(n)]),
    })  # fmt: skip
    inputs = {
        "users": published(root, "users", users(*(f"user-{number}" for number in range(50_000)))),
        "activity": published(root, "activity", table),
    }
    settings = DuckDBSettings(memory_limit="96MB", threads=2)
    found = extract(configured(), inputs, root=root, run=day(), as_of=AS_OF, engine=settings)
    assert found.artifact.manifest.rows == 50_000
    tasks = found.artifact.table(["tasks_completed_7d"]).column(0).to_pylist()
    assert sum(tasks) == n // 2


def test_features_of_the_spine_alone(root):
    found = extracted(
        root, users("ann", "bob", capacity=[40, None]), activity(done("ann", HOUR)), derived={"full": "capacity >= 40"}
    )
    assert rows(found, "full") == {"ann": 1.0, "bob": None}


# ------------------------------------------------------------------ refused before anything is computed


def refused(root, error=FeatureError, users_table=None, activity_table=None, drop=None, **body):
    inputs = {
        "users": published(root, "users", users("ann") if users_table is None else users_table),
        "activity": published(root, "activity", activity() if activity_table is None else activity_table),
    }
    if drop:
        del inputs[drop]
    with pytest.raises(error) as caught:
        extract(configured(**body), inputs, root=root, run=day(), as_of=AS_OF)
    assert not Artifact_exists(root)
    return str(caught.value)


def test_a_missing_input(root):
    message = refused(root, drop="activity")
    assert message == (
        "feature config: user_features: needs the input 'activity', which was not given; given: users.\n"
        "Hint: Pass an artifact for each of users (one row per user_id) and activity (one row per event)."
    )


def test_a_missing_column(root):
    message = refused(root, activity_table=activity().rename_columns({"hours": "hour"}), features=SEED)
    assert message == (
        "feature config: feature 'current_workload_hours' needs column 'hours' of 'activity', which has event_id, "
        "user_id, event_type, skill, hour, occurred_at. Did you mean 'hour'?\n"
        "Hint: Map the name with columns: {ours: theirs}, or take the feature out of the selection."
    )


def test_a_missing_column_names_the_line_of_the_selection(root, tmp_path):
    path = tmp_path / "features.yaml"
    path.write_text(
        "user_features:\n  features:\n    - tasks_completed_7d\n    - skill_score_devops\n", encoding="utf-8"
    )
    inputs = {
        "users": published(root, "users", users("ann")),
        "activity": published(root, "activity", activity().drop_columns(["skill"])),
    }
    with pytest.raises(FeatureError, match=rf"^{path}:4: feature 'skill_score_devops' needs column 'skill'"):
        extract(feature_set(path, "user_features"), inputs, root=root, run=day(), as_of=AS_OF)


def test_a_column_that_is_not_needed_may_be_missing_or_odd(root):
    table = activity(done("ann", HOUR)).drop_columns(["skill", "hours"])
    table = table.append_column("odd", pa.array([{"a": [1]}])).append_column("empty", pa.nulls(1))
    assert rows(extracted(root, users("ann"), table, features=["tasks_completed_7d"])) == {"ann": (1,)}


def test_types_that_cannot_be_computed_with(root):
    text = activity().set_column(4, "hours", pa.array([], pa.string()))
    assert "current_workload_hours: computes with column 'hours' of 'activity', which holds string" in refused(
        root, activity_table=text
    )
    untimed = activity().set_column(5, "occurred_at", pa.array([], pa.string()))
    assert "column 'occurred_at' of 'activity' holds string, not times" in refused(root, activity_table=untimed)
    keyed = pa.table({"user_id": pa.array([1])})
    assert "user_id is int64 in 'users' and string in 'activity'" in refused(root, users_table=keyed)
    missing = activity().drop_columns(["occurred_at"])
    assert "needs column 'occurred_at' of 'activity'" in refused(root, activity_table=missing)


def test_columns_that_differ_in_case_only(root):
    table = activity().append_column("Hours", pa.array([], pa.float64()))
    assert "which has 'hours' and 'Hours'; engines do not tell names apart" in refused(root, activity_table=table)


def test_a_declaration_that_does_not_hold(root):
    assert "no feature named 'nope'" in refused(root, ConfigError, features=["nope"])


def test_numbers_beyond_what_adds_exactly_are_an_error_not_a_wrong_sum(root):
    table = activity(done("ann", HOUR, hours=1e300))
    assert "feature config: user_features: could not be computed: " in refused(root, activity_table=table)
