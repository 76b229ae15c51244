"""Many moments in one run: every day's rows are those that the day's own run gives, bit for bit, and none sees later."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction import Moments, compare, computation, day_fingerprints, extract
from airflow_provider_mlpipe.run import Run
from tests.feature_extraction.material import AS_OF, activity, bug, configured, day, done, published, users
from tests.feature_extraction.test_windows import DECLARED, events

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WEEK = Moments.between(AS_OF - 6 * DAY, AS_OF + DAY, "1d")
PEOPLE = users("ann", "bob", "cy", None)
STEADY = activity(
    *(done("ann" if n % 3 else "bob", AS_OF - n * 5 * HOUR, skill="devops", hours=n / 7) for n in range(-9, 60)),
    *(bug("bob", AS_OF - n * 17 * HOUR) for n in range(9)), done(None, HOUR), done("stranger", HOUR),
)  # fmt: skip


def inputs_of(root, people=PEOPLE, table=STEADY):
    return {"users": published(root, "users", people), "activity": published(root, "activity", table)}


def history_and_days(root, inputs, moments=WEEK, **body):
    features = configured(**body)
    history = extract(features, inputs, root=root, run=Run(), as_of=moments)
    days = [extract(features, inputs, root=root, run=day(at), as_of=at).artifact for at in moments]
    return history, days


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=events, every=st.sampled_from(["1d", "6h", "3d", "11h"]), start=st.integers(-3, 3))
def test_each_moment_has_what_its_own_run_gives(events, every, start):
    """Any events, with a delay, every aggregation, steps that do and do not divide the windows, a broken start."""
    first = AS_OF + start * HOUR + timedelta(microseconds=start)
    moments = Moments.between(first - 2 * DAY, first + HOUR, every)
    with tempfile.TemporaryDirectory() as folder:
        root = Storage(folder)
        history, days = history_and_days(root, inputs_of(root, table=activity(*events)), moments, **DECLARED)
        assert compare(history.artifact, days) == ()
        assert compare(history.artifact, days, reread=True) == ()
        assert sum(item.manifest.rows for item in days) == history.artifact.manifest.rows


def test_a_history_is_its_days_one_after_the_other(root):
    found, days = history_and_days(root, inputs_of(root))
    artifact = found.artifact
    rows = artifact.table().drop_columns(["created_timestamp"]).to_pylist()
    assert rows == [row for item in days for row in item.table().drop_columns(["created_timestamp"]).to_pylist()]
    assert (artifact.manifest.stage, artifact.manifest.partition) == (
        "history", "20260108T020000Z-20260115T020000Z",
    )  # fmt: skip
    assert artifact.manifest.details["moments"] == {
        "start": "2026-01-08T02:00:00+00:00", "end": "2026-01-15T02:00:00+00:00", "every_seconds": 86400, "count": 7,
    }  # fmt: skip
    assert [item["rows"] for item in artifact.manifest.details["days"]] == [3] * 7
    assert (found.metrics["moments"], found.metrics["entities"]) == (7, 21)


@pytest.mark.slow
def test_thirty_days_of_backfill_equal_the_days_runs(root):
    """Each day's run knew the events so far; the history, made long after, knows all. Fingerprint for fingerprint."""
    start = AS_OF - 30 * DAY
    happened = [
        (done if n % 4 else bug)(f"u{n % 7}", start + n * timedelta(hours=7, microseconds=13)) for n in range(110)
    ]
    people, moments = users(*(f"u{n}" for n in range(8))), Moments.between(start, AS_OF, "1d")
    body = {"features": ["bug_rate", "skill_score_backend", "tasks_completed_7d"]}
    days = []
    for at in moments:
        known = inputs_of(root, people, activity(*(event for event in happened if event[4] < at)))
        days.append(extract(configured(**body), known, root=root, run=day(at), as_of=at).artifact)
    history = extract(configured(**body), inputs_of(root, people, activity(*happened)), root=root, run=Run(),
                      as_of=moments).artifact  # fmt: skip
    assert compare(history, days) == ()
    assert list(day_fingerprints(history)) == list(moments)


def test_more_moments_than_are_computed_at_once(root, monkeypatch):
    whole = extract(configured(), inputs_of(root), root=root, run=Run(), as_of=WEEK).artifact
    monkeypatch.setattr(computation, "_GROUPS_AT_ONCE", 8)  # two moments of four entities
    again = extract(configured(cache=False), inputs_of(root), root=root, run=Run(), as_of=WEEK)
    assert again.artifact.fingerprint == whole.fingerprint
    counts = ("events_used", "events_null_key", "events_unknown_entity", "entities_null_key", "events_later")
    assert {n: again.metrics[n] for n in counts} == {n: whole.manifest.metrics[n] for n in counts}
    assert json.loads(again.artifact.read_beside("_proof.json")) == json.loads(whole.read_beside("_proof.json"))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=events, later=events, cut=st.integers(0, 6))
def test_what_happens_at_or_after_a_moment_changes_no_earlier_row(events, later, cut):
    moments = list(WEEK)
    at = moments[cut]
    before = [event for event in events if event[4] is None or event[4] < at]
    after = [(*event[:4], at + abs((event[4] or at) - at)) for event in later]
    with tempfile.TemporaryDirectory() as folder:
        root = Storage(folder)
        known, all_of_it = (
            day_fingerprints(
                extract(configured(cache=False), inputs_of(root, table=activity(*table)), root=root, run=Run(),
                        as_of=WEEK).artifact
            )
            for table in (before, before + after)
        )  # fmt: skip
        assert [known[moment] for moment in moments[: cut + 1]] == [all_of_it[moment] for moment in moments[: cut + 1]]


def test_entities_appear_when_they_come_to_be(root):
    """Spine times, projects' tasks and borrowed columns follow each moment, as in a day's own run."""
    people = users("ann", "bob", "cy", created_at=[AS_OF - 3 * DAY, AS_OF - 30 * DAY, AS_OF + DAY])
    found, days = history_and_days(root, inputs_of(root, people), since="created_at")
    assert compare(found.artifact, days) == ()
    assert [item["rows"] for item in found.artifact.manifest.details["days"]] == [1, 1, 1, 1, 2, 2, 2]


def test_days_are_utc_days_whatever_clocks_do():
    assert list(Moments.between(date(2026, 3, 28), date(2026, 3, 31), "1d")) == [
        datetime(2026, 3, day, tzinfo=UTC) for day in (28, 29, 30)
    ]
    assert [item.count for item in WEEK.split(3)] == [3, 3, 1]
    assert [at for some in WEEK.split(3) for at in some] == list(WEEK)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start": "2026-01-02", "end": "2026-01-02"}, "holds no moment"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "holds no moment"),
        ({"start": "2026-01-01", "end": "2026-01-02", "every": "0d"}, "longer than zero"),
        ({"start": "2000-01-01", "end": "2026-01-01", "every": "1s"}, "in one run are more than"),
        ({"start": "2026-01-01"}, "takes start, end and every"),
        ({"start": "2026-01-01", "end": "2026-01-02", "step": "1d"}, "takes start, end and every"),
    ],
)
def test_ranges_that_are_none(given, problem):
    with pytest.raises(ConfigError, match=problem):
        Moments.of(given)


def test_a_set_may_declare_its_history(root):
    declared = configured(as_of={"start": date(2026, 1, 8), "end": date(2026, 1, 10)})
    found = extract(declared, inputs_of(root), root=root, run=day(), as_of=AS_OF)
    assert [item["as_of"][:10] for item in found.artifact.manifest.details["days"]] == ["2026-01-08", "2026-01-09"]
    with pytest.raises(ConfigError, match="no moment was given"):
        extract(configured(), inputs_of(root), root=root, run=day(), as_of=None)


def test_a_day_that_differs_is_named(root):
    inputs = inputs_of(root)
    found, days = history_and_days(root, inputs)
    more = inputs_of(root, table=activity(done("ann", AS_OF - HOUR), done("ann", AS_OF - 2 * DAY)))
    other = extract(configured(), more, root=root, run=day(), as_of=AS_OF).artifact
    [difference] = compare(found.artifact, [*days[:-1], other])
    assert (difference.as_of, difference.run, difference.uri) == (AS_OF, other.fingerprint, other.uri)
    with pytest.raises(FeatureError, match="another definition"):
        compare(found.artifact, [extract(configured(features=["bug_rate"]), more, root=root, run=day(),
                                         as_of=AS_OF).artifact])  # fmt: skip
    with pytest.raises(FeatureError, match="is not a history"):
        day_fingerprints(other)


def test_the_proof_names_the_latest_event_of_each_feature(root):
    table = activity(
        done("ann", HOUR, skill="devops"), done("ann", 3 * HOUR, skill="backend"), bug("bob", 2 * HOUR),
        done("ann", -HOUR), done("ann", timedelta(0)), done("bob", 30 * DAY), ("ann", "task_started", None, None, None),
    )  # fmt: skip
    features = ["skill_score_backend", "skill_score_devops", "skill_score_frontend", "tasks_completed_7d"]
    found = extract(configured(features=features), inputs_of(root, table=table), root=root, run=day(), as_of=AS_OF)
    proof = json.loads(found.artifact.read_beside("_proof.json"))
    assert (proof["violations"], proof["fingerprint"]) == (0, found.artifact.fingerprint)
    latest = {name: seen["latest_input"] for name, seen in proof["features"].items()}
    assert latest == {
        "skill_score_backend": (AS_OF - 2 * HOUR).isoformat(),  # a bug lowers it
        "skill_score_devops": (AS_OF - HOUR).isoformat(),
        "skill_score_frontend": None,
        "tasks_completed_7d": (AS_OF - HOUR).isoformat(),
    }
    assert proof["features"]["skill_score_devops"]["seconds_before_end"] == 3600
    assert {"events_used": 3, "events_later": 2, "events_without_time": 1}.items() <= found.metrics.items()
    summary = {"latest_input": (AS_OF - HOUR).isoformat(), "violations": 0}
    assert Artifact.open(found.artifact.uri).manifest.details["proof"] == summary


def test_a_filter_that_lets_the_future_in_is_found_out(root, monkeypatch):
    """The proof is computed from what was aggregated: with the filter broken, nothing is published."""
    from airflow_provider_mlpipe.feature_extraction.compile import events as compiled

    real = compiled.in_window

    def broken(plan, source, tables, extent):
        return real(plan, source, tables, type(extent)(plan, extent.moments.last + DAY, extent.chunk))

    monkeypatch.setattr(compiled, "in_window", broken)
    with pytest.raises(FeatureError, match=r"2 entities counted an event from outside of the window"):
        extract(configured(features=["tasks_completed_7d"]), inputs_of(root), root=root, run=day(), as_of=AS_OF)
    assert root.below(f"user_features/features/{day().partition}").read("_manifest.json") is None
