"""Fitting on a stated range, promoting explicitly, and every way to scale and to fill."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_provider_mlpipe.errors import FeatureError
from airflow_provider_mlpipe.feature_extraction import Moments, extract, fit_state, promote
from airflow_provider_mlpipe.feature_extraction.state import FittedState, StateStore, Statistics
from airflow_provider_mlpipe.run import Run
from tests.feature_extraction.material import AS_OF, activity, configured, day, done, extracted, published, users

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PEOPLE = users("ann", "bob", "cy", "di", "ed")
HOURS = {"ann": 1.0, "bob": 2.0, "cy": 2.0, "di": 7.0}
EVENTS = activity(*(done(user, HOUR, hours=value) for user, value in HOURS.items()))
RANGE = Moments.between(AS_OF - 2 * DAY, AS_OF + DAY, "1d")
BY = {"who": "test"}


def inputs_of(root, table=EVENTS):
    return {"users": published(root, "users", PEOPLE), "activity": published(root, "activity", table)}


def values(found, name="avg_completion_hours"):
    return found.normalized.table().column(name).to_pylist()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("zscore", lambda v: (v - 3.0) / statistics.pstdev([1, 2, 2, 7])),
        ("minmax", lambda v: (v - 1.0) / 6.0),
        ("robust", lambda v: (v - 2.0) / 1.5),  # quartiles 1.75 and 3.25
    ],
)
def test_methods(root, method, expected):
    body = {"features": ["avg_completion_hours"], "normalize": method, "handle_missing": "zero"}
    found = extracted(root, PEOPLE, EVENTS, **body)
    assert values(found) == pytest.approx([expected(value) for value in (*HOURS.values(), 0.0)])
    known = found.normalized.manifest.details["normalization"]["avg_completion_hours"]
    assert (known["method"], known["fill"], known["fitted_min"], known["fitted_max"]) == (method, 0.0, 1.0, 7.0)
    assert expected(3.3) == pytest.approx((3.3 - known["center"]) / known["scale"])
    metrics = found.normalized.manifest.metrics
    assert (metrics["values_imputed"], metrics["missing_values"], metrics["rows_dropped"]) == (1, 0, 0)


@pytest.mark.parametrize(("missing", "filled"), [("mean", 3.0), ("median", 2.0), ("mode", 2.0), ("impute", 2.0)])
def test_fills(root, missing, filled):
    found = extracted(root, PEOPLE, EVENTS, features=["avg_completion_hours"], handle_missing=missing)
    assert values(found) == [*HOURS.values(), filled]


def test_the_mode_of_several_is_the_least_and_dropped_rows_are_counted(root):
    events = activity(*(done(user, HOUR, hours=value) for user, value in zip("abcd", (5, 3, 5, 3), strict=True)))
    people = users("a", "b", "c", "d", "e")
    found = extracted(root, people, events, features=["avg_completion_hours"], handle_missing="mode")
    assert values(found)[-1] == 3.0
    found = extracted(root, people, events, features=["avg_completion_hours"], handle_missing="drop")
    assert found.normalized.manifest.metrics["rows_dropped"] == 1


def test_meeting_quartiles_move_the_centre_only(root):
    events = activity(*(done(f"u{n}", HOUR, hours=5.0 if n else 50.0) for n in range(9)))
    found = extracted(root, users(*(f"u{n}" for n in range(9))), events, features=["avg_completion_hours"],
                      normalize="robust")  # fmt: skip
    assert values(found) == [45.0] + [0.0] * 8


def test_a_fit_changes_nothing_until_it_is_promoted(root):
    features = configured(features=["avg_completion_hours"], normalize=True)
    first = extract(features, inputs_of(root), root=root, run=day(), as_of=AS_OF)
    made = fit_state(features, inputs_of(root), root=root, run=Run(), moments=RANGE)
    state = made.state
    assert made.history.manifest.rows == 15
    assert state.fitted_on == {
        "start": (AS_OF - 2 * DAY).isoformat(), "end": (AS_OF + DAY).isoformat(), "every_seconds": 86400, "count": 3,
        "as_of": AS_OF.isoformat(), "rows": 15, "fingerprint": made.history.fingerprint,
        "events_from": (AS_OF - 9 * DAY).isoformat(), "events_to": AS_OF.isoformat(),
    }  # fmt: skip
    assert state.statistics["avg_completion_hours"].count == 4  # only the last day has events
    assert state.fitted_by.keys() == {"engine", "airflow-provider-mlpipe", "duckdb"}

    def used():
        found = extract(features, inputs_of(root), root=root, run=day(), as_of=AS_OF)
        return found.normalized.manifest.details["fit_id"]

    before = first.normalized.manifest.details["fit_id"]
    assert used() == before != state.fit_id
    assert promote(features, state.fit_id, root=root, promoted_by=BY) == state
    assert used() == state.fit_id
    assert promote(features, before, root=root, promoted_by=BY).fit_id == before  # and back
    assert used() == before
    # The same range fitted again is the same state.
    assert fit_state(features, inputs_of(root), root=root, run=Run(), moments=RANGE).state.fit_id == state.fit_id


def test_only_a_fit_of_this_definition_can_be_promoted(root):
    made = fit_state(configured(features=["bug_rate"]), inputs_of(root), root=root, run=Run(), moments=RANGE)
    fit_id = made.state.fit_id
    with pytest.raises(FeatureError, match=f"there is no fit '{fit_id}' of its definition") as caught:
        promote(configured(features=["active_days"]), fit_id, root=root, promoted_by=BY)
    assert "mlpipe features fit user_features" in caught.value.hint
    with pytest.raises(FeatureError, match=f"there are: {fit_id}"):
        promote(configured(features=["bug_rate"]), "nonesuch", root=root, promoted_by=BY)


def test_values_beyond_what_the_fit_has_seen_are_counted(root):
    features = configured(features=["avg_completion_hours"], normalize="minmax")
    extract(features, inputs_of(root), root=root, run=day(), as_of=AS_OF)
    later = activity(done("ann", -HOUR, hours=70.0), done("bob", -HOUR, hours=0.5), done("cy", -HOUR, hours=3.0))
    found = extract(features, inputs_of(root, later), root=root, run=day(AS_OF + DAY), as_of=AS_OF + DAY)
    assert found.normalized.manifest.metrics["values_out_of_range"] == 2
    assert max(value for value in values(found) if value is not None) > 1  # not cut off


def test_a_state_without_quartiles_is_refused_for_robust(root):
    features = configured(features=["avg_completion_hours"], normalize="robust")
    spec = extract(configured(features=["avg_completion_hours"]), inputs_of(root), root=root, run=day(), as_of=AS_OF)
    old = FittedState(
        feature_set="user_features", spec_hash=spec.artifact.manifest.details["spec_hash"], fitted_on={},
        statistics={"avg_completion_hours": Statistics(count=3, nulls=0, mean=1, std=1, min=0, max=2, median=1)},
    )  # fmt: skip
    StateStore(root, "user_features").promote_first(old, BY, where="")
    with pytest.raises(FeatureError, match="comes from an earlier release and lacks quartiles and modes"):
        extract(features, inputs_of(root), root=root, run=day(), as_of=AS_OF)


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_of_many_first_runs_at_once_one_decides(root, where, request):
    if where == "bucket":
        s3 = request.getfixturevalue("s3")
        root = type(root)(f"s3://{s3.bucket}/first-runs", s3.options)
    states = StateStore(root, "user_features")
    template = FittedState(feature_set="user_features", spec_hash="x", fitted_on={}, statistics={})
    own = [replace(template, fitted_on={"rows": number}) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda state: states.promote_first(state, BY, where=""), own))
    assert len({state.fit_id for state in used}) == 1
    assert states.current("x", where="") == used[0]
