"""Entities of one's own, several sources, borrowed columns, groups alike; and a spine that knows when things began."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction import extract
from airflow_provider_mlpipe.feature_extraction.lineage import lineage
from airflow_provider_mlpipe.feature_extraction.plan import plan
from tests.feature_extraction.material import AS_OF, UTC_TIME, activity, configured, day, done, published, users

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TASKS = pa.schema([
    ("task_id", pa.string()), ("project_id", pa.string()), ("assignee_id", pa.string()), ("task_type", pa.string()),
    ("created_at", UTC_TIME), ("completed_at", UTC_TIME), ("due_at", UTC_TIME),
])  # fmt: skip


def tasks(*given):
    """Tasks as (id, project, assignee, type, age, time since completion or None): times before AS_OF."""
    listed = []
    for key, project, who, kind, age, over in given:
        completed = None if over is None else AS_OF - over
        due = AS_OF - age + 10 * DAY
        row = (key, project, who, kind, AS_OF - age, completed, due)
        listed.append(dict(zip(TASKS.names, row, strict=True)))
    return pa.Table.from_pylist(listed, schema=TASKS)


WORK = tasks(
    ("t1", "p", "ann", "bug", 9 * DAY, 2 * DAY),
    ("t2", "p", "bob", "bug", 8 * DAY, -DAY),  # completed tomorrow: open as of now
    ("t3", "p", "ann", "docs", 3 * DAY, None),
    ("t4", "q", "cy", "bug", HOUR, HOUR / 2),
    ("t5", "q", "cy", "bug", -HOUR, None),  # not created yet
    ("t6", None, "bob", "docs", DAY, 2 * DAY),  # completed before it was created, and without a project
)


def found(root, name, inputs, *, as_of=AS_OF, **body):
    """Extract a set and return its rows by key."""
    artifacts = {role: published(root, role, table) for role, table in inputs.items()}
    made = extract(configured(name, **body), artifacts, root=root, run=day(as_of), as_of=as_of)
    table = made.artifact.table().drop_columns(["event_timestamp", "created_timestamp"])
    return {row.pop(table.column_names[0]): row for row in table.to_pylist()}, made


def test_an_entity_of_ones_own(root):
    events = pa.table({"machine_id": ["a", "a", "x", None], "kind": ["on", "off", "on", "on"],
                       "at": pa.array([AS_OF - HOUR, AS_OF - 2 * HOUR, AS_OF - HOUR, AS_OF - HOUR])})  # fmt: skip
    result, made = found(
        root, "machines", {"machines": pa.table({"machine_id": ["a", "b"]}), "signals": events},
        entity="machine_id", spine="machines", source="signals", timestamp="at",
        aggregations={"ons": {"agg": "count", "where": "kind = 'on'"}},
    )  # fmt: skip
    assert result == {"a": {"ons_7d": 1}, "b": {"ons_7d": 0}}
    assert (made.metrics["events_null_key"], made.metrics["events_unknown_entity"]) == (1, 1)


def test_one_input_by_two_times_and_by_another_key(root):
    sources = {
        "begun": {"input": "tasks", "timestamp": "created_at", "key": "assignee_id"},
        "finished": {"input": "tasks", "timestamp": "completed_at", "key": "assignee_id"},
    }
    result, _ = found(
        root, "user_features", {"users": users("ann", "bob", "cy"), "tasks": WORK}, sources=sources,
        aggregations={
            "begun": {"agg": "count", "source": "begun", "windows": ["4d", "all"]},
            "finished": {"agg": "count", "source": "finished", "windows": ["4d"]},
        },
        derived={"open": "begun_all - finished"}, features=["begun_4d", "finished_4d", "open"],
    )  # fmt: skip
    assert result == {
        "ann": {"begun_4d": 1, "finished_4d": 1, "open": 1.0},
        "bob": {"begun_4d": 1, "finished_4d": 1, "open": 1.0},
        "cy": {"begun_4d": 1, "finished_4d": 1, "open": 0.0},
    }


def test_a_time_to_come_is_null_unless_it_is_planned(root):
    settings = {
        "aggregations": {
            "open": {"agg": "count", "where": "completed_at is null", "windows": ["all"], "source": "tasks"},
            "due_later": {"agg": "count", "where": "due_at is not null", "windows": ["all"], "source": "tasks"},
        }
    }
    projects = pa.table({"project_id": ["p", "q"], "created_at": pa.array([AS_OF - 90 * DAY] * 2, UTC_TIME)})
    inputs = {"projects": projects, "tasks": WORK}
    assert found(root, "project_features", inputs, **settings)[0] == {
        "p": {"open_all": 2, "due_later_all": 0},
        "q": {"open_all": 0, "due_later_all": 0},
    }
    assert found(root, "project_features", inputs, planned=["due_at"], **settings)[0]["p"]["due_later_all"] == 3


def test_what_is_like_an_entity_tells_of_it(root):
    sources = {"alike": {"input": "tasks", "timestamp": "completed_at", "match": {"task_type": "task_type"}}}
    result, _ = found(
        root, "task_features", {"tasks": WORK}, sources=sources,
        aggregations={"done": {"agg": "count", "source": "alike", "windows": ["all"]}},
    )  # fmt: skip
    # t5 does not exist yet; each of the others counts the finished tasks of its type, itself included.
    assert {key: row["done_all"] for key, row in result.items()} == {"t1": 2, "t2": 2, "t3": 1, "t4": 2, "t6": 1}


LOOKUP = {
    "of_team": {
        "input": "activity", "timestamp": "occurred_at", "key": "team_id",
        "lookup": [{"input": "users", "on": {"user_id": "user_id"}, "columns": ["team_id"]}],
    }
}  # fmt: skip


def test_events_borrow_the_key_from_another_input(root):
    inputs = {
        "teams": pa.table({"team_id": ["red", "blue"]}),
        "users": users("ann", "bob", "ann", "cy", team_id=["red", "red", "red", None]),
        "activity": activity(*(done(who, HOUR) for who in ("ann", "bob", "cy", "stranger", None))),
    }
    result, made = found(
        root, "team_features", inputs, sources=LOOKUP, aggregations={"n": {"agg": "count", "source": "of_team"}}
    )
    assert result == {"red": {"n_7d": 2}, "blue": {"n_7d": 0}}
    assert made.metrics["events_null_key"] == 3


def test_a_lender_with_two_answers_is_refused(root):
    inputs = {
        "teams": pa.table({"team_id": ["red"]}),
        "users": users("ann", "ann", team_id=["red", "blue"]),
        "activity": activity(done("ann", HOUR)),
    }
    with pytest.raises(FeatureError, match="1 user_id stand in 'users' more than once, with different values of team"):
        found(root, "team_features", inputs, sources=LOOKUP, aggregations={"n": {"agg": "count", "source": "of_team"}})


def test_nothing_that_comes_later_changes_any_feature_of_any_entity(root):
    """All of the catalog, with tables as they were then, and as they are a day later with everything that came since."""
    people = [("ann", "red"), ("bob", "red"), ("cy", "blue")]
    then = AS_OF - 2 * DAY

    def inputs(known):
        joined = [AS_OF - 400 * DAY, AS_OF - 20 * DAY, AS_OF - DAY]
        work = WORK.append_column("priority", pa.array(["low"] * 6)).append_column("skill", pa.array(["backend"] * 6))
        work = work.append_column("dependency_count", pa.array([1] * 6)).append_column(
            "estimated_hours", pa.array([4.0] * 6)
        )
        if known:
            late = [t is not None and t >= then for t in work.column("completed_at").to_pylist()]
            times = [None if gone else t for gone, t in zip(late, work.column("completed_at").to_pylist(), strict=True)]
            position = work.schema.get_field_index("completed_at")
            work = work.set_column(position, "completed_at", pa.array(times, UTC_TIME))
            work = work.filter(pa.array([t < then for t in work.column("created_at").to_pylist()]))
        ages = [HOUR, DAY, 3 * DAY, 5 * DAY, 5 * DAY]
        events = activity(*(done(who, age) for age, who in zip(ages, ("ann", "cy", "bob", "ann", "cy"), strict=True)))
        events = events.append_column("task_id", pa.array(["t1", "t2", "t1", "t1", "t3"]))
        events = events.append_column("project_id", pa.array(["p"] * 5))
        if known:
            events = events.filter(pa.array([t < then for t in events.column("occurred_at").to_pylist()]))
        return {
            "users": users(*(who for who, _ in people), team_id=[t for _, t in people], created_at=joined,
                           weekly_capacity_hours=[40.0] * 3),
            "teams": pa.table({"team_id": ["red", "blue"], "project_id": ["p", "q"]}),
            "projects": pa.table({"project_id": ["p", "q"], "created_at": pa.array([AS_OF - 90 * DAY, AS_OF])}),
            "tasks": work, "activity": events,
        }  # fmt: skip

    for name in ("user_features", "task_features", "project_features", "team_features"):
        live, later = (found(root, name, inputs(known=known), as_of=then)[1].artifact for known in (True, False))
        assert live.manifest.rows > 0
        assert later.fingerprint == live.fingerprint, name


def test_absent_columns_are_left_out_when_nobody_asks_for_them_and_refused_when_somebody_does(tmp_path):
    path = tmp_path / "features.yaml"
    absent = "project_features:\n  columns: {tasks: {estimated_hours: null}, activity: {hours: null}}\n"
    path.write_text(absent, encoding="utf-8")
    spec = plan(feature_set(path, "project_features"))
    assert spec.left_out == {
        "risk_score": ("tasks.estimated_hours",),
        "budget_utilization_pct": ("activity.hours", "tasks.estimated_hours"),
    }
    assert "activity" not in spec.roles
    path.write_text(absent + "  features: [total_tasks, risk_score]\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plan(feature_set(path, "project_features"))
    assert str(caught.value) == (
        f"{path}:3: risk_score: needs tasks.estimated_hours, which columns says is not there\n"
        "Hint: Map the name with columns: {input: {ours: theirs}}, or take the feature out of the selection."
    )


def test_lineage_goes_through_formulas_filters_keys_and_lenders():
    edges = [(e.role, e.column, e.kind) for e in lineage(plan(configured("team_features", features=["team_size"])))]
    assert edges == [
        ("teams", "team_id", "key"), ("users", "created_at", "time"), ("users", "team_id", "key"),
    ]  # fmt: skip
    spec = plan(
        configured(
            features=["load"], derived={"load": "current_workload_hours / capacity"},
            columns={"activity": {"hours": "amount"}},
        )
    )  # fmt: skip
    assert [(e.role, e.column, e.kind) for e in lineage(spec)] == [
        ("users", "user_id", "key"), ("users", "capacity", "value"), ("activity", "amount", "value"),
        ("activity", "event_type", "filter"), ("activity", "occurred_at", "time"), ("activity", "user_id", "key"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"entity": "machine_id", "spine": "machines"}, "the set must say source and timestamp"),
        ({"sources": {"activity": {"input": "a", "timestamp": "b"}}}, "the catalog has a source of this name"),
        (
            {"aggregations": {"n": {"agg": "count", "source": "activty"}}},
            "no source named 'activty'. Did you mean 'activity'?",
        ),
        (
            {"sources": {"x": {"input": "a", "timestamp": "b", "key": "c", "match": {"d": "e"}}}},
            "key and match are two ways to say which entity an event belongs to",
        ),
        ({"sources": {"x": {"input": "a"}}}, "the key 'timestamp' is missing"),
        ({"derived": {"x": "days_since(created_at, 1)"}}, "days_since takes one time"),
    ],
)
def test_declarations_that_do_not_hold_together(body, message):
    with pytest.raises(ConfigError) as caught:
        plan(configured(**body))
    assert message in str(caught.value)
