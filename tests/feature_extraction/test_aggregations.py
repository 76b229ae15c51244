"""Quantiles, first and last, rates, what entities share: against the brute-force reference, and at their edges."""

from __future__ import annotations

import tempfile
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.plan import plan
from tests.feature_extraction import reference
from tests.feature_extraction.material import AS_OF, activity, configured, done, extracted, rows, users
from tests.feature_extraction.test_windows import USERS, by_user, check, events

HOUR = timedelta(hours=1)
WINDOWS = (2, 9)
DECLARED = {
    "low": {"agg": "quantile", "column": "hours", "q": 0.25},
    "middle": {"agg": "quantile", "column": "hours", "q": 0.5},
    "high": {"agg": "quantile", "column": "hours", "q": 0.9},
    "earliest": {"agg": "first", "column": "hours"},
    "latest": {"agg": "last", "column": "hours"},
    "pace": {"agg": "rate"},
    "effort": {"agg": "rate", "column": "hours"},
    "companions": {"agg": "companions", "column": "skill"},
    "shared": {"agg": "shared", "column": "skill"},
    "twofold": {"agg": "shared", "column": "skill", "among": "event_type"},
    "spread": {"agg": "effective", "column": "skill"},
    "weighed": {"agg": "effective", "column": "skill", "weight": "hours"},
}
for declaration in DECLARED.values():
    declaration["windows"] = [f"{days}d" for days in WINDOWS]


# Shrinking would run for minutes: an example costs half a second.
FAST = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "phases": [Phase.reuse, Phase.generate]}


@settings(max_examples=8, **FAST)
@given(events=events)
def test_every_aggregation_equals_the_reference(events):
    table = activity(*events)
    with tempfile.TemporaryDirectory() as folder:
        found = by_user(extracted(Storage(folder), users(*USERS), table, aggregations=DECLARED))
    for user in USERS:
        for days in WINDOWS:
            expected = reference.aggregated(table.to_pylist(), user, AS_OF, days)
            check(found[user], {f"{name}_{days}d": value for name, value in expected.items()}, user)


def test_without_events_counts_and_rates_are_zero_and_all_else_is_null(root):
    found = extracted(root, users("ann"), activity(), aggregations=DECLARED)
    zero = {"pace", "effort", "companions", "shared", "twofold"}
    (row,) = found.artifact.table().to_pylist()
    for name in DECLARED:
        assert row[f"{name}_2d"] == (0 if name in zero else None), name


def test_of_several_values_at_one_time_the_order_of_rows_decides_nothing(root):
    declared = {"first": {"agg": "first", "column": "hours"}, "last": {"agg": "last", "column": "hours"}}
    for hours in ([3.0, 1.0, 2.0], [2.0, 3.0, 1.0]):
        table = activity(*(done("ann", HOUR, hours=value) for value in hours), done("ann", HOUR / 2, hours=None))
        assert rows(extracted(root, users("ann"), table, aggregations=declared)) == {"ann": (1.0, 3.0)}


def test_the_window_all_has_everything_before_as_of(root):
    table = activity(*(done("ann", timedelta(days=days)) for days in (1, 400, 20_000)), done("ann", -HOUR))
    found = extracted(root, users("ann"), table, aggregations={"n": {"agg": "count", "windows": ["7d", "all"]}})
    assert rows(found, "n_7d", "n_all") == {"ann": (1, 3)}


def test_a_filter_a_pivot_and_many_windows_together(root):
    table = activity(
        done("ann", HOUR, hours=1.0), done("ann", HOUR, hours=3.0), done("ann", 50 * HOUR, hours=10.0),
        done("ann", HOUR, skill="frontend", hours=5.0), ("ann", "bug_reported", "backend", 99.0, HOUR),
    )  # fmt: skip
    middle = {
        "agg": "quantile", "q": 0.5, "column": "hours", "where": "event_type = 'task_completed'",
        "windows": ["1d", "7d"], "pivot": {"column": "skill", "values": ["backend", "frontend"]},
    }  # fmt: skip
    found = extracted(root, users("ann"), table, aggregations={"mid": middle})
    assert rows(found, "mid_backend_1d", "mid_frontend_1d", "mid_backend_7d") == {"ann": (2.0, 5.0, 3.0)}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"agg": "quantile", "column": "hours"}, "agg: quantile needs q, and nothing else takes it"),
        ({"agg": "sum", "column": "hours", "q": 0.5}, "agg: quantile needs q, and nothing else takes it"),
        ({"agg": "quantile", "column": "hours", "q": 1.5}, "less than or equal to 1"),
        ({"agg": "last"}, "agg: last needs a column"),
        ({"agg": "rate", "windows": ["all"]}, "agg: rate is per day of the window"),
        ({"agg": "sum", "column": "hours", "weight": "hours"}, "agg: sum takes no weight; effective does"),
        ({"agg": "companions", "column": "skill", "among": "hours"}, "agg: companions takes no among; shared does"),
        ({"agg": "count", "windows": ["a week"]}, "not a length of time such as 7d, 24h or 30m, nor all"),
        ({"agg": "median", "column": "hours"}, "Input should be 'count', 'sum'"),
    ],
)
def test_what_an_aggregation_cannot_be(tmp_path, body, message):
    path = tmp_path / "features.yaml"
    path.write_text(f"user_features:\n  aggregations:\n    x: {body}\n".replace("'", '"'), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plan(feature_set(path, "user_features"))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:3: user_features.aggregations.x")


def test_a_rate_takes_its_days_from_the_set_and_there_must_be_some():
    with pytest.raises(ConfigError, match=r"pace_all: a rate is per day of the window, and all has no number of days"):
        plan(configured(aggregation_window="all", aggregations={"pace": {"agg": "rate"}}))
