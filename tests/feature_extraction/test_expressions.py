"""`where` and `derived`: what they mean, and how everything else is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction.expression import parse, rendered
from airflow_provider_mlpipe.feature_extraction.plan import plan
from tests.feature_extraction.material import activity, configured, done, extracted, rows, users

ALLOWED = (
    "Hint: Allowed are literals, columns, + - * /, comparisons, and, or, not, in, between, is null, case, coalesce, "
    "least, greatest, days_since."
)
CLOCK = "Hint: Time is the run's as_of: say how far back to look with windows and delay."

# What a person reads after writing each of these as `derived: {x: ...}` on line 3 of features.yaml.
REFUSALS = {
    "now()": f"now() reads the clock, so a backfill would not get what that day's run got, got 'now()'\n{CLOCK}",
    "current_date": "CURRENT_DATE reads the clock, so a backfill would not get what that day's run got, "
    f"got 'current_date'\n{CLOCK}",
    "1 + current_timestamp": "CURRENT_TIMESTAMP reads the clock, so a backfill would not get what that day's run got, "
    f"got '1 + current_timestamp'\n{CLOCK}",
    "(select max(hours) from activity)": "a subquery is not allowed, got '(select max(hours) from activity)'\n"
    "Hint: Declare an aggregation for it and use its name.",
    "bug_rate in (select 1)": "a subquery is not allowed, got 'bug_rate in (select 1)'\n"
    "Hint: Declare an aggregation for it and use its name.",
    "sum(hours)": "SUM(hours) is an aggregation, got 'sum(hours)'\n"
    "Hint: Declare it under aggregations and use its name here.",
    "row_number() over ()": "ROW_NUMBER() OVER () is an aggregation, got 'row_number() over ()'\n"
    "Hint: Declare it under aggregations and use its name here.",
    "coalesc(bug_rate, 0)": f"there is no function 'coalesc' (Did you mean 'coalesce'?), got 'coalesc(bug_rate, 0)'\n{ALLOWED}",
    "pg_sleep(1)": f"there is no function 'pg_sleep', got 'pg_sleep(1)'\n{ALLOWED}",
    "bug_rate::int": f"CAST(bug_rate AS INT) (cast) is not allowed, got 'bug_rate::int'\n{ALLOWED}",
    "bug_rate % 2": f"bug_rate % 2 (mod) is not allowed, got 'bug_rate % 2'\n{ALLOWED}",
    "status like 'a%'": f"status LIKE 'a%' (like) is not allowed, got \"status like 'a%'\"\n{ALLOWED}",
    "users.bug_rate": "users.bug_rate names a table, got 'users.bug_rate'\n"
    "Hint: Write the column alone; a where sees the events, a derived the features.",
    "1; drop table users": f"must be one expression, got '1; drop table users'\n{ALLOWED}",
    "": f"must be one expression, got ''\n{ALLOWED}",
    "(1 +": f"cannot be read (something is missing), got '(1 +'\n{ALLOWED}",
    "bug_rate is true": f"bug_rate IS TRUE: only is null and is not null are known, got 'bug_rate is true'\n{ALLOWED}",
    "bug_rate in (1, null)": f"in (...) takes literals other than null, got 'bug_rate in (1, null)'\n{ALLOWED}",
    "1e999": f"the number 1e999 is too large, got '1e999'\n{ALLOWED}",
    "*": f"* (star) is not allowed, got '*'\n{ALLOWED}",
    "$1": f"$1 (placeholder) is not allowed, got '$1'\n{ALLOWED}",
}


@pytest.mark.parametrize("text", REFUSALS, ids=lambda text: text or "empty")
def test_refusals_read_like_a_review_comment(tmp_path, text):
    path = tmp_path / "features.yaml"
    path.write_text("user_features:\n  derived:\n    x: '" + text.replace("'", "''") + "'\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plan(feature_set(path, "user_features"))
    assert str(caught.value) == f"{path}:3: derived.x: {REFUSALS[text]}"


@pytest.mark.parametrize("text", ["(" * 3000 + "1" + ")" * 900, "(" * 500 + "1" + ")" * 500, "1" + " + 1" * 5000])
def test_monsters_are_refused_not_crashed_on(text):
    with pytest.raises(ConfigError, match=r"nests too deeply|longer than 4000 characters|cannot be read"):
        parse(text, where="x", key="y")


def test_a_where_is_checked_too_and_says_its_line(tmp_path):
    path = tmp_path / "features.yaml"
    path.write_text(
        "user_features:\n  aggregations:\n    n:\n      agg: count\n      where: occurred_at > now()\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        plan(feature_set(path, "user_features"))
    assert str(caught.value).startswith(f"{path}:5: aggregations.n.where: now() reads the clock")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a = 1 and b in ('x', 'y') or not c is not null", "(((a = 1) and in(b, 'x', 'y')) or not(not(is null(c))))"),
        ("a between 1 and 2", "((a >= 1) and (a <= 2))"),
        ("a + b * -2 / (c - 1.5)", "(a + ((b * -2) / (c - 1.5)))"),
        ("case a when 1 then 2 end", "case((a = 1), 2, null)"),
        ("case when a > 1 then 'it''s' else null end", 'case((a > 1), "it\'s", null)'),
        ('"we""ird col" <> -b', '("we""ird col" <> neg(b))'),
        ("least(a, 1, b) + greatest(a) /* why */", "(least(a, 1, b) + greatest(a))"),
        ("true", "True"),
        ("load / 2", "(load / 2)"),  # LOAD, SHOW and SET begin statements elsewhere
        ("show + set", "(show + set)"),
        ("set", "set"),
        ("days_since(created_at) > 3", "(days_since(created_at) > 3)"),
    ],
)
def test_what_is_allowed_is_understood(text, meaning):
    assert rendered(parse(text, where="", key="")) == meaning


def derived(root, text, **aggregations):
    """The value of a derived feature for a user with 2 tasks of 1.5 hours, capacity 40 and no level."""
    found = extracted(
        root,
        users("ann", capacity=[40], level=[float("nan")], team=["red"], vip=[True]),
        activity(done("ann", timedelta(hours=1), hours=1.5), done("ann", timedelta(hours=2), hours=1.5)),
        aggregations={"n": {"agg": "count"}, "h": {"agg": "sum", "column": "hours"}, **aggregations},
        derived={"x": text},
    )
    return rows(found, "x")["ann"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n / 4", 0.5),  # whole numbers divide as floats
        ("h / capacity", 3 / 40),
        ("n / 0", None),
        ("(n - 2) / (n - 2)", None),
        ("coalesce(n / 0, -1)", -1.0),
        ("n * 7 / 30.0", 2 * 7 / 30.0),
        ("0.1 + 0.2", 0.1 + 0.2),
        ("1e308 * 1e308", None),  # what is not finite is null
        ("level + 1", None),  # NaN counts as null
        ("level is null", 1.0),
        ("least(n, level, 1)", 1.0),  # nulls are passed over
        ("greatest(n, h)", 3.0),
        ("n > 1 and h < 4", 1.0),
        ("n > 1 and level > 4", None),  # unknown is not false
        ("not n = 2", 0.0),
        ("n in (1, 2)", 1.0),
        ("n between 2 and 3", 1.0),
        ("case when team = 'red' then h else 0 end", 3.0),
        ("case when vip then 1 end", 1.0),
        ("case when not vip then 1 end", None),
        ("vip", 1.0),
        ("null", None),
        ("n_7d - n", 0.0),  # the full name and the bare one
        ("-h", -3.0),
    ],
)
def test_meaning_of_derived(root, text, value):
    assert derived(root, text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("team", "x: the result is text, but a feature is a number"),
        ("team + 1", "x: + computes with text"),
        ("team > 1", "x: > compares text with number"),
        ("n and true", "x: the condition is number, not true or false"),
        ("coalesce(n, 'a')", "x: coalesce compares number with text"),
        ("case when n then 1 end", "x: the condition is number, not true or false"),
        ("vip + 1", "x: + computes with truth"),
    ],
)
def test_types_that_do_not_go_together(root, text, problem):
    with pytest.raises(FeatureError) as caught:
        derived(root, text)
    assert str(caught.value) == f"config: {problem}" or str(caught.value).endswith(problem)
    assert caught.value.fields["feature"] == "x"


def test_an_unknown_name_suggests_features_and_columns(root):
    with pytest.raises(FeatureError) as caught:
        derived(root, "capacty * 2")
    assert "feature 'x' needs column 'capacty' of 'users'" in str(caught.value)
    assert "Did you mean 'capacity'?" in str(caught.value)
    with pytest.raises(FeatureError, match="Did you mean 'tired_7d'"):
        derived(root, "tird_7d * 2", tired={"agg": "count"})


def test_where_compares_times_with_text(root):
    table = activity(done("ann", timedelta(hours=1)), done("ann", timedelta(hours=30)))
    found = extracted(
        root, users("ann"), table,
        aggregations={
            "late": {"agg": "count", "where": "occurred_at >= '2026-01-13T12:00:00Z'"},
            "early": {"agg": "count", "where": "occurred_at < '2026-01-13'"},
            "unknown": {"agg": "count", "where": "hours > null"},
        },
    )  # fmt: skip
    assert rows(found) == {"ann": (1, 1, 0)}
    with pytest.raises(FeatureError, match="'yesterday' is not a time"):
        extracted(root, users("ann"), table, aggregations={"n": {"agg": "count", "where": "occurred_at > 'yesterday'"}})


def test_hostile_names_stay_names(root):
    nasty = 'x"); DROP TABLE users; --'
    table = activity(done("ann", timedelta(hours=1), skill="a'); --")).rename_columns(
        {"skill": nasty, "hours": "select"}
    )
    found = extracted(
        root, users("ann"), table,
        columns={"activity": {"hours": "select", "skill": nasty}},
        aggregations={
            "hours": {"agg": "sum", "column": "hours", "where": "\"skill\" = 'a''); --'"},
            "per": {"agg": "count", "pivot": {"column": "skill", "values": ["a'); --"]}},
        },
    )  # fmt: skip
    assert rows(found, "hours_7d", "per_a______") == {"ann": (1.0, 1)}
    with pytest.raises(ConfigError, match="not a feature name"):
        plan(configured(derived={nasty: "1"}))
