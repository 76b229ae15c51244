"""The seed's API on DataFrames: as the seed writes it, and equal to what the pipeline computes."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction.feature_extractor import FeatureExtractionConfig, FeatureExtractor
from tests.feature_extraction.material import AS_OF, activity, bug, done, extracted, users

HOUR = timedelta(hours=1)
EVENTS = activity(done("ann", HOUR, hours=2.0), done("ann", 2 * HOUR), bug("bob", HOUR), done("bob", 30 * HOUR))
NAMES = [
    "user_id", "tasks_completed_7d", "skill_score_backend", "skill_score_frontend", "skill_score_database",
    "skill_score_devops", "current_workload_hours", "avg_completion_hours", "bug_rate", "active_days",
    "tasks_completed_per_week",
]  # fmt: skip


def seed_extractor(**changes):
    settings = {"feature_definitions": {}, "aggregation_window": "7d", "normalize": True, "handle_missing": "impute"}
    return FeatureExtractor(FeatureExtractionConfig(**{**settings, **changes}))


def frames():
    return pd.DataFrame({"user_id": ["cy", "bob", "ann"], "age": [30, 40, 50]}), EVENTS.to_pandas()


def test_as_the_seed_writes_it():
    user_data, activity_data = frames()
    extractor = FeatureExtractor(
        FeatureExtractionConfig(
            feature_definitions={}, aggregation_window="7d", normalize=True, handle_missing="impute"
        )
    )
    features = extractor.extract_user_features(user_data, activity_data)
    normalized = extractor.normalize_features(features)
    complete = extractor.handle_missing_values(normalized)
    assert list(features.columns) == list(complete.columns) == NAMES
    assert features["user_id"].tolist() == ["ann", "bob", "cy"]
    assert features["tasks_completed_7d"].tolist() == [2, 1, 0]
    assert not complete.isna().any().any()
    assert complete["tasks_completed_7d"].mean() == pytest.approx(0)
    assert complete["tasks_completed_7d"].std(ddof=0) == pytest.approx(1)


def test_it_computes_what_the_pipeline_computes(root):
    user_data, activity_data = frames()
    frame = seed_extractor().extract_user_features(user_data, activity_data, as_of=AS_OF)
    table = extracted(root, users("ann", "bob", "cy"), EVENTS).artifact.table().to_pandas()
    pd.testing.assert_frame_equal(frame, table[NAMES], check_exact=True)
    assert frame.attrs["as_of"] == AS_OF.isoformat()


def test_without_as_of_the_last_event_counts(caplog):
    user_data, activity_data = frames()
    frame = seed_extractor().extract_user_features(user_data, activity_data)
    assert frame.attrs["as_of"] == (AS_OF - HOUR + timedelta(microseconds=1)).isoformat()
    assert "as_of was not given; features are as of 2026-01-14T01:00:00.000001+00:00" in caplog.text


def test_with_as_of_later_events_do_not():
    user_data, activity_data = frames()
    frame = seed_extractor().extract_user_features(user_data, activity_data, as_of="2026-01-14T00:30:00")
    assert frame["tasks_completed_7d"].tolist() == [1, 1, 0]


def test_the_inputs_are_not_changed():
    user_data, activity_data = frames()
    before = user_data.copy(), activity_data.copy()
    extractor = seed_extractor()
    features = extractor.extract_user_features(user_data, activity_data)
    kept = features.copy()
    extractor.handle_missing_values(extractor.normalize_features(features))
    pd.testing.assert_frame_equal(user_data, before[0])
    pd.testing.assert_frame_equal(activity_data, before[1])
    pd.testing.assert_frame_equal(features, kept)


def test_features_without_their_columns_are_left_out_and_named(caplog):
    user_data, activity_data = frames()
    frame = seed_extractor().extract_user_features(user_data, activity_data[["user_id", "event_type", "occurred_at"]])
    assert list(frame.columns) == [
        "user_id", "tasks_completed_7d", "bug_rate", "active_days", "tasks_completed_per_week",
    ]  # fmt: skip
    assert "there is no activity.hours, activity.skill" in caplog.text


def test_selected_features_without_their_columns_are_refused():
    user_data, activity_data = frames()
    extractor = seed_extractor(feature_definitions={"features": ["current_workload_hours"]})
    with pytest.raises(FeatureError, match="needs column 'hours' of 'activity'"):
        extractor.extract_user_features(user_data, activity_data.drop(columns="hours"))


def test_definitions_are_those_of_the_yaml():
    user_data, activity_data = frames()
    extractor = seed_extractor(
        feature_definitions={
            "columns": {"activity": {"hours": "amount"}},
            "aggregations": {"hours": {"agg": "max", "column": "hours"}},
            "derived": {"years": "age + hours"},
        }
    )
    frame = extractor.extract_user_features(user_data, activity_data.rename(columns={"hours": "amount"}))
    assert frame["years"].tolist()[:2] == [52.0, 41.0]
    assert np.isnan(frame["years"][2])


@pytest.mark.parametrize(
    "changes",
    [{"aggregation_window": "a week"}, {"handle_missing": "guess"}, {"feature_definitions": {"feature": []}}],
)
def test_a_wrong_configuration_is_refused_at_once(changes):
    with pytest.raises(ConfigError):
        seed_extractor(**changes)


@pytest.mark.parametrize(
    "events",
    [EVENTS.to_pandas().iloc[:0], pd.DataFrame(columns=EVENTS.column_names)],
    ids=["typed", "untyped"],
)
def test_no_events(events):
    frame = seed_extractor().extract_user_features(frames()[0], events)
    assert frame["tasks_completed_7d"].tolist() == [0, 0, 0]
    assert frame["bug_rate"].isna().all()


def test_pandas_types_of_every_kind():
    user_data, activity_data = frames()
    plain = seed_extractor().extract_user_features(user_data, activity_data)
    activity_data["event_type"] = activity_data["event_type"].astype("category")
    activity_data["skill"] = activity_data["skill"].astype("string")
    activity_data["occurred_at"] = (
        activity_data["occurred_at"].dt.tz_convert("Asia/Kolkata").astype("datetime64[ns, UTC]")
    )
    activity_data["hours"] = activity_data["hours"].astype("Float64")
    pd.testing.assert_frame_equal(seed_extractor().extract_user_features(user_data, activity_data), plain)


def test_frames_that_are_no_tables_are_refused():
    user_data, activity_data = frames()
    twice = pd.concat([user_data, user_data], axis=1)
    with pytest.raises(FeatureError, match="user_data: cannot be read as a table"):
        seed_extractor().extract_user_features(twice, activity_data)
    activity_data["hours"] = ["2", 1.0, None, object()]
    with pytest.raises(FeatureError, match="activity_data: cannot be read as a table"):
        seed_extractor().extract_user_features(user_data, activity_data)
    _, activity_data = frames()
    activity_data["occurred_at"] = activity_data["occurred_at"].astype(str)
    with pytest.raises(FeatureError, match="holds .*string, not times"):
        seed_extractor().extract_user_features(user_data, activity_data)


ODD = pd.DataFrame(
    {
        "user_id": [9, 7, 8],
        "name": ["x", None, "z"],
        "value": [3.0, np.nan, 1.0],
        "same": [5, 5, 5],
        "none": [np.nan] * 3,
        "flag": [True, False, True],
    },
    index=[30, 10, 20],
)


def test_normalise_and_impute_in_either_order():
    extractor = seed_extractor()
    first = extractor.handle_missing_values(extractor.normalize_features(ODD))
    second = extractor.normalize_features(extractor.handle_missing_values(ODD[["user_id", "name", "same", "flag"]]))
    assert first["value"].tolist() == [1.0, 0.0, -1.0]
    assert first["same"].tolist() == second["same"].tolist() == [0.0, 0.0, 0.0]
    assert first["none"].isna().all()
    for column in ("user_id", "name", "flag"):
        pd.testing.assert_series_equal(first[column], ODD[column])


@pytest.mark.parametrize(
    ("how", "value", "index"),
    [
        ("impute", [3.0, 2.0, 1.0], [30, 10, 20]),
        ("zero", [3.0, 0.0, 1.0], [30, 10, 20]),
        ("drop", [3.0, 1.0], [30, 20]),
    ],
)
def test_missing_values(how, value, index):
    done_ = seed_extractor(handle_missing=how).handle_missing_values(ODD.drop(columns="none"))
    assert done_["value"].tolist() == value
    assert done_.index.tolist() == index
    assert done_["same"].dtype == "int64"


def test_normalising_can_be_off():
    pd.testing.assert_frame_equal(seed_extractor(normalize=False).normalize_features(ODD), ODD)


def test_frames_without_rows_or_features():
    extractor = seed_extractor()
    for frame in (ODD.iloc[:0], ODD[["user_id", "name"]]):
        result = extractor.handle_missing_values(extractor.normalize_features(frame))
        assert result.shape == frame.shape


def test_the_last_event_counts_to_the_nanosecond():
    user_data, activity_data = frames()
    activity_data["occurred_at"] = activity_data["occurred_at"].astype("datetime64[ns, UTC]") + pd.Timedelta(999, "ns")
    frame = seed_extractor().extract_user_features(user_data, activity_data)
    assert frame["tasks_completed_7d"].tolist() == [2, 1, 0]


HOURS = pd.Timedelta(1, "h")


def tracker_frames():
    """A small tracker as of AS_OF: two projects, a team in one of them."""
    users_, activity_ = frames()
    now = pd.Timestamp(AS_OF)
    users_ = users_.assign(team_id=["red", "red", None], created_at=[now - 800 * 24 * HOURS, now - 24 * HOURS, now])
    tasks = pd.DataFrame({
        "task_id": ["t1", "t2", "t3"], "project_id": ["p", "p", "q"], "task_type": ["bug", "docs", "bug"],
        "priority": ["high", "low", "odd"], "skill": ["backend", None, "docs"], "dependency_count": [0, 1, 0],
        "estimated_hours": [4.0, 8.0, None], "created_at": [now - 96 * HOURS, now - 48 * HOURS, now + HOURS],
        "completed_at": [now - 2 * HOURS, None, None],
    })  # fmt: skip
    return {
        "users": users_,
        "activity": activity_.assign(task_id=["t1", "t1", "t2", "t2"], project_id="p"),
        "tasks": tasks,
        "teams": pd.DataFrame({"team_id": ["red"], "project_id": ["p"]}),
        "projects": pd.DataFrame({"project_id": ["p", "q"], "created_at": now - 960 * HOURS}),
    }


def test_the_twins_for_tasks_projects_and_teams():
    data = tracker_frames()
    tasks = seed_extractor().extract_task_features(data["tasks"], data["activity"], as_of=AS_OF).set_index("task_id")
    assert tasks.index.tolist() == ["t1", "t2"]  # t3 is not there yet
    assert tasks["priority_level"].tolist() == [3, 1]
    assert tasks["effort_estimate_hours"].tolist() == [1.5, 1.0]
    assert tasks["deadline_urgency"].tolist() == [0.0, 1.0]  # two days have passed, 1.4 were planned
    projects = seed_extractor().extract_project_features(
        data["projects"], data["tasks"], data["activity"], data["users"], data["teams"], as_of=AS_OF
    )
    assert projects.set_index("project_id").loc["p"].to_dict() == {
        "total_tasks": 2, "completed_tasks": 1, "blocked_tasks": 1, "progress_pct": 50.0,
        "velocity_tasks_per_week": 1.0, "risk_score": 0.8, "team_size": 2,
        "budget_utilization_pct": pytest.approx(100 * 4 / 12),
    }  # fmt: skip
    teams = seed_extractor().extract_team_features(data["teams"], data["users"], data["activity"], as_of=AS_OF)
    row = teams.iloc[0].to_dict()
    assert (row["team_size"], row["experience_junior"], row["experience_mid"]) == (2, 1, 1)


def test_twins_without_all_tables_leave_out_what_needs_them(caplog):
    data = tracker_frames()
    projects = seed_extractor().extract_project_features(data["projects"], data["tasks"], as_of=AS_OF)
    assert list(projects.columns) == [
        "project_id", "total_tasks", "completed_tasks", "blocked_tasks", "progress_pct", "velocity_tasks_per_week",
        "risk_score",
    ]  # fmt: skip
    assert "left out 'team_size', 'budget_utilization_pct': there is no activity.event_type" in caplog.text
    teams = seed_extractor().extract_team_features(data["teams"], data["users"], as_of=AS_OF)
    assert "team_size" in teams.columns
    assert "workload_balance" not in teams.columns


def test_definitions_for_projects_are_definitions():
    data = tracker_frames()
    extractor = seed_extractor(feature_definitions={"features": ["progress_pct"]})
    assert extractor.extract_project_features(data["projects"], data["tasks"], as_of=AS_OF)["progress_pct"][0] == 50.0
    with pytest.raises(ConfigError, match="no feature named 'progress_pct'"):
        extractor.extract_user_features(data["users"], data["activity"])
