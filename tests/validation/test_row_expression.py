"""Expressions over one row: what is allowed, what is refused and how that is said, how names become columns."""

from __future__ import annotations

import pytest

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.row_expression import RowExpression

ALLOWED = [
    "completed_at >= created_at",
    "status = 'active' and (age > 17 or age is null)",
    "hours between 0 and 24",
    "lower(trim(email)) like '%@x.org'",
    "kind in ('a', 'b') and not kind = 'c'",
    "case when paid then amount > 0 else amount = 0 end",
    "coalesce(a, b, 0) % 2 = 0",
    "completed_at - interval 3 day < created_at",
    "date_diff('day', created_at, completed_at) < 30",
    "cast(created_at as date) = day",
    "extract(year from created_at) >= 2020",
    '"a name, with blanks" > 0',
    "regexp_matches(email, '^[a-z]+@')",
]

REFUSED = {
    "created_at < now()": "now",
    "created_at < current_date": "reads the clock",
    "created_at < today()": "reads the clock",
    "a > (select max(b) from t)": "a subquery is not allowed",
    "a in (select b from t)": "a subquery is not allowed",
    "sum(a) > 3": "reads more than one row",
    "a > avg(a) over ()": "reads more than one row",
    "other.a > 1": "names a table",
    "read_csv('/etc/passwd') is null": "READ_CSV('/etc/passwd') is not allowed",
    "random() < a": "not allowed",
    "lenght(a) > 3": "there is no function 'lenght'. Did you mean 'length'?",
    "a > 1; drop table t": "must be one expression",
    "a >": "something is missing",
    "1 = 1": "reads no column",
    "": "must be one expression",
    "cast(a as interval) = b": "a cast to INTERVAL is not allowed",
    " or ".join(["a > 1"] * 300): "of more than 500 parts",
    "a" * 5000 + " > 1": "longer than 4000 characters",
}


@pytest.mark.parametrize("text", ALLOWED)
def test_what_one_row_decides_is_allowed(text):
    assert RowExpression.parse(text, where="f:1", key="k").columns


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_all_else_is_refused_with_file_line_and_a_hint(text):
    with pytest.raises(ConfigError) as caught:
        RowExpression.parse(text, where="rules.yaml:7", key="row_rules.0.rule")
    message = str(caught.value)
    assert message.startswith("rules.yaml:7: row_rules.0.rule")
    assert REFUSED[text] in message
    assert caught.value.hint


def test_columns_are_listed_once_in_the_order_in_which_they_appear():
    assert RowExpression.parse('b > a and a < "c d" and b < 3', where="", key="").columns == ("b", "a", "c d")


@pytest.mark.parametrize("name", ["load", "set", "comment", "update", "copy", "desc", "values"])
def test_a_column_may_be_called_like_a_statement(name, caplog):
    assert RowExpression.parse(f"{name} <= 24 and hours > 1", where="", key="").columns == (name, "hours")
    assert caplog.messages == [], "sqlglot warns where it falls back to a command"


def test_a_strict_schema_knows_all_columns():
    with pytest.raises(ConfigError, match="there is no column 'stauts' in the schema.* Did you mean 'status'"):
        RowExpression.parse("stauts = 'x'", where="", key="", known=["status", "age"])
    with pytest.raises(ConfigError, match="Its columns: status, age"):
        RowExpression.parse('status = "active"', where="", key="", known=["status", "age"])


def test_text_is_kept_on_one_line():
    assert RowExpression.parse("a >\n   1", where="", key="").text == "a > 1"


def test_a_comment_hides_nothing_and_blanks_in_a_text_are_kept():
    expression = RowExpression.parse("a <> 'x  y' -- two blanks\n and /* also */ \"c\n\" < 2", where="", key="")
    assert expression.text == "a <> 'x  y' and \"c\n\" < 2"
    assert expression.tree().sql("duckdb") == "a <> 'x  y' AND \"c\n\" < 2"
