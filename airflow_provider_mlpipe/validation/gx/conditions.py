"""GX's expectations on single rows as SQL: which rows do not count, and which of the others are unexpected.

What GX says on pandas is the measure: nulls compared with something are unexpected, two nulls are equal, and so on. An
expectation that is not here, or not for such columns, runs on pandas (`stock`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.frame import RELATION
from airflow_provider_mlpipe.validation.gx.limits import outside
from airflow_provider_mlpipe.validation.membership import LISTABLE, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition

__all__ = ["ON_ROWS", "RowTest", "ignored", "is_native", "unexpected"]

NUMBERS = frozenset({"int", "float", "decimal"})
TIMES = frozenset({"timestamp", "date"})


@dataclass(frozen=True)
class RowTest:
    """One expectation and the rows that it is to judge.

    Attributes:
        frame: the rows.
        columns: that it reads.
        arguments: as Great Expectations names them.
    """

    frame: Frame
    columns: tuple[str, ...]
    arguments: Mapping[str, Any]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The logical types of the columns."""
        return tuple(self.frame.logical(name) for name in self.columns)

    @property
    def places(self) -> tuple[str, ...]:
        """The columns as SQL."""
        return tuple(self.frame.sql(name) for name in self.columns)

    def comparable(self, position: int) -> str:
        """Return a column as SQL in a type that compares with others of its family."""
        place, kind = self.places[position], self.kinds[position]
        if kind == "null":
            return "NULL"
        return f"CAST({place} AS TIMESTAMPTZ)" if kind in TIMES else place

    @property
    def alike(self) -> bool:
        """Whether all columns are numbers, or times, or of one type; one without values is like any other."""
        kinds = set(self.kinds) - {"null"}
        return len(kinds) <= 1 or kinds <= NUMBERS or kinds <= TIMES


def is_native(name: str, test: RowTest) -> bool:
    """Whether SQL says the same of such columns as Great Expectations does on pandas."""
    found = ON_ROWS.get(name)
    return found is not None and (_has_no_values(test) or found[0](test))


def unexpected(name: str, test: RowTest) -> Condition:
    """Return the SQL condition of a row that counts and is unexpected; never null."""
    if _has_no_values(test) and name not in _EVERY_ROW:
        return "false", []  # only rows without a value, of which none counts
    return ON_ROWS[name][1](test)


def _has_no_values(test: RowTest) -> bool:
    """Whether it is about one column in which nothing ever stood, so that it has no type."""
    return test.kinds == ("null",)


def ignored(name: str, test: RowTest) -> Condition | None:
    """Return the SQL condition of a row that does not count; None if every row does."""
    if name in _EVERY_ROW:
        return None
    nulls = [test.frame.is_null(column) for column in test.columns]
    which = test.arguments.get("ignore_row_if", _IGNORED_BY_DEFAULT.get(name, "any_value_is_missing"))
    if which in {"never", "neither"}:
        return None
    joined = " AND " if which in {"all_values_are_missing", "both_values_are_missing"} else " OR "
    return joined.join(nulls), []


_EVERY_ROW = frozenset({"expect_column_values_to_be_null", "expect_column_values_to_not_be_null"})
_IGNORED_BY_DEFAULT = {
    "expect_column_pair_values_a_to_be_greater_than_b": "both_values_are_missing",
    "expect_column_pair_values_to_be_equal": "both_values_are_missing",
    "expect_column_pair_values_to_be_in_set": "both_values_are_missing",
    "expect_compound_columns_to_be_unique": "all_values_are_missing",
    "expect_multicolumn_sum_to_equal": "all_values_are_missing",
    "expect_multicolumn_values_to_be_equal": "all_values_are_missing",
    "expect_select_column_values_to_be_unique_within_record": "all_values_are_missing",
}


def _not(condition: str, parameters: list[Any]) -> Condition:
    """Return that a condition does not hold, null being no."""
    return f"(NOT coalesce(({condition}), false))", parameters


def _null(test: RowTest) -> Condition:
    return test.frame.is_null(test.columns[0]), []


def _not_null(test: RowTest) -> Condition:
    return f"(NOT {test.frame.is_null(test.columns[0])})", []


# ------------------------------------------------------------------ one column


def _bounded(test: RowTest) -> bool:
    bounds = [test.arguments.get(name) for name in ("min_value", "max_value")]
    given = [bound for bound in bounds if bound is not None]
    if test.kinds[0] in TIMES:
        return all(_is_time(bound) for bound in given)
    if test.kinds[0] in NUMBERS:
        return all(isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in given)
    return test.kinds[0] == "string" and all(isinstance(bound, str) for bound in given)


def _is_time(bound: Any) -> bool:  # noqa: ANN401 - a value of the YAML
    try:
        instant(bound)
    except (ConfigError, TypeError, AttributeError):
        return False
    return True


def _between(test: RowTest) -> Condition:
    return outside(test.comparable(0), test.arguments, time=test.kinds[0] in TIMES)


def _lengths(test: RowTest) -> Condition:
    return outside(f"length({test.places[0]})", test.arguments, time=False)


def _length(test: RowTest) -> Condition:
    return _not(f"length({test.places[0]}) = ?", [test.arguments["value"]])


def _listed(test: RowTest) -> tuple[str, list[Any]]:
    place, kind, values = listed(test.frame, test.columns[0], test.arguments["value_set"])
    return (f"{place} IN (SELECT unnest(CAST(? AS {kind}[])))", [values]) if values else ("false", [])


def _in_set(test: RowTest) -> Condition:
    return _not(*_listed(test))


def _not_in_set(test: RowTest) -> Condition:
    sql, parameters = _listed(test)
    return f"({sql})", parameters


def _patterns(test: RowTest) -> list[str]:
    given = test.arguments
    one = given.get("regex", given.get("like_pattern"))
    return [one] if one is not None else given.get("regex_list") or given.get("like_pattern_list") or []


def _matches(test: RowTest) -> tuple[str, list[Any]]:
    joined = " AND " if test.arguments.get("match_on", "any") == "all" else " OR "
    found = [f"regexp_matches({test.places[0]}, ?)" for _ in _patterns(test)]
    return joined.join(found), list(_patterns(test))


def _match(test: RowTest) -> Condition:
    return _not(*_matches(test))


def _no_match(test: RowTest) -> Condition:
    sql, parameters = _matches(test)
    return f"({sql})", parameters


def _likes(test: RowTest) -> tuple[str, list[Any]]:
    escape, given = test.arguments.get("escape"), test.arguments
    joined = " AND " if given.get("match_on", "any") == "all" else " OR "
    one = f"{test.places[0]} LIKE ?" + (" ESCAPE ?" if escape else "")
    parameters = [each for pattern in _patterns(test) for each in ([pattern, escape] if escape else [pattern])]
    return joined.join([one] * len(_patterns(test))), parameters


def _like(test: RowTest) -> Condition:
    return _not(*_likes(test))


def _unlike(test: RowTest) -> Condition:
    sql, parameters = _likes(test)
    return f"({sql})", parameters


def _z_score(test: RowTest) -> Condition:
    place, threshold = test.places[0], float(test.arguments["threshold"])
    # Infinities leave mean and deviation undefined, and an undefined score is no outlier: so says GX.
    finite = f"CASE WHEN isfinite(CAST({place} AS DOUBLE)) THEN CAST({place} AS DOUBLE) END"
    moments = f"(SELECT CASE WHEN count({place}) = count({finite}) THEN {{}} END FROM {RELATION})"  # noqa: S608
    mean, deviation = (moments.format(f"{each}({finite})") for each in ("avg", "stddev_samp"))
    score = f"(CAST({place} AS DOUBLE) - {mean}) / nullif({deviation}, 0)"
    score, threshold = (f"abs({score})", abs(threshold)) if test.arguments["double_sided"] else (score, threshold)
    return f"coalesce({score} >= ?, false)", [threshold]


# ------------------------------------------------------------------ several columns


def _greater(test: RowTest) -> Condition:
    sign = ">=" if test.arguments.get("or_equal") else ">"
    return _not(f"{test.comparable(0)} {sign} {test.comparable(1)}", [])


def _equal_pair(test: RowTest) -> Condition:
    return _not(f"{test.comparable(0)} = {test.comparable(1)}", [])


def _all_equal(test: RowTest) -> Condition:
    first = test.comparable(0)
    others = [f"{first} IS NOT DISTINCT FROM {test.comparable(place)}" for place in range(1, len(test.columns))]
    return _not(" AND ".join(others) or "true", [])


def _within_record(test: RowTest) -> Condition:
    places = [test.comparable(place) for place in range(len(test.columns))]
    pairs = [(one, other) for at, one in enumerate(places) for other in places[at + 1 :]]
    return " OR ".join(f"({one} IS NOT DISTINCT FROM {other})" for one, other in pairs) or "false", []


def _sum(test: RowTest) -> Condition:
    whole = all(kind == "int" for kind in test.kinds)
    added = " + ".join(f"CAST({place} AS {'HUGEINT' if whole else 'DOUBLE'})" for place in test.places)
    return _not(f"({added}) = ?", [test.arguments["sum_total"]])


def _pair_set(test: RowTest) -> Condition:
    allowed, parameters = [], []
    for pair in test.arguments["value_pairs_set"]:
        sides = []
        for name, value in zip(test.columns, pair, strict=True):
            if value is None:
                sides.append(test.frame.is_null(name))
                continue
            place, kind, values = listed(test.frame, name, [value])
            sides.append(f"{place} = CAST(? AS {kind})" if values else "false")
            parameters.extend(values)
        allowed.append(f"({' AND '.join(sides)})")
    return _not(" OR ".join(allowed) or "false", parameters)


def _pairs(test: RowTest) -> bool:
    pairs = test.arguments["value_pairs_set"]
    return isinstance(pairs, list) and all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs
    ) and set(test.kinds) <= LISTABLE  # fmt: skip


def _repeated(test: RowTest) -> Condition:
    key = ", ".join(test.places)
    skipped = ignored("expect_compound_columns_to_be_unique", test)
    kept = "true" if skipped is None or len(test.columns) == 1 else f"NOT ({skipped[0]})"
    counted = f"{key} IS NOT NULL" if len(test.columns) == 1 else kept
    # One struct per key: it compares values of any type, two nulls as equal, and a single join looks it up.
    whole = "{" + ", ".join(f"'{at}': {place}" for at, place in enumerate(test.places)) + "}"
    return (
        f"({whole} IN (SELECT {whole} FROM {RELATION} WHERE {counted} "  # noqa: S608
        f"GROUP BY {key} HAVING count(*) > 1))"
    ), []


def _text(test: RowTest) -> bool:
    return test.kinds[0] == "string"


def _readable(test: RowTest) -> bool:
    return _text(test) and all(isinstance(each, str) and not _PYTHON_ONLY.search(each) for each in _patterns(test))


def _listable(test: RowTest) -> bool:
    return test.kinds[0] in LISTABLE


def _number(test: RowTest) -> bool:
    return test.kinds[0] in NUMBERS


def _numbers(test: RowTest) -> bool:
    return set(test.kinds) <= NUMBERS | {"null"}


def _ordered(test: RowTest) -> bool:
    return test.alike and set(test.kinds) <= NUMBERS | TIMES | {"string", "null"}


def _any(test: RowTest) -> bool:  # noqa: ARG001 - every column will do
    return True


def _flat(test: RowTest) -> bool:
    return test.alike and set(test.kinds) <= NUMBERS | TIMES | {"string", "bool", "null"}


_PYTHON_ONLY = re.compile(r"\(\?(?!:|P<|[ims]+\))|\\[1-9Z]|[*+?}]\+|\(\?P=")
"""What regular expressions of Python have and RE2 has not: look-around, references, atomic groups, the end as Z."""

Test = tuple["Callable[[RowTest], bool]", "Callable[[RowTest], Condition]"]

ON_ROWS: Mapping[str, Test] = {
    "expect_column_pair_values_a_to_be_greater_than_b": (_ordered, _greater),
    "expect_column_pair_values_to_be_equal": (_flat, _equal_pair),
    "expect_column_pair_values_to_be_in_set": (_pairs, _pair_set),
    "expect_column_value_lengths_to_be_between": (_text, _lengths),
    "expect_column_value_lengths_to_equal": (_text, _length),
    "expect_column_value_z_scores_to_be_less_than": (_number, _z_score),
    "expect_column_values_to_be_between": (_bounded, _between),
    "expect_column_values_to_be_in_set": (_listable, _in_set),
    "expect_column_values_to_be_null": (_any, _not_null),
    "expect_column_values_to_be_unique": (_any, _repeated),
    "expect_column_values_to_match_like_pattern": (_text, _like),
    "expect_column_values_to_match_like_pattern_list": (_text, _like),
    "expect_column_values_to_match_regex": (_readable, _match),
    "expect_column_values_to_match_regex_list": (_readable, _match),
    "expect_column_values_to_not_be_in_set": (_listable, _not_in_set),
    "expect_column_values_to_not_be_null": (_any, _null),
    "expect_column_values_to_not_match_like_pattern": (_text, _unlike),
    "expect_column_values_to_not_match_like_pattern_list": (_text, _unlike),
    "expect_column_values_to_not_match_regex": (_readable, _no_match),
    "expect_column_values_to_not_match_regex_list": (_readable, _no_match),
    "expect_compound_columns_to_be_unique": (_any, _repeated),
    "expect_multicolumn_sum_to_equal": (_numbers, _sum),
    "expect_multicolumn_values_to_be_equal": (_flat, _all_equal),
    "expect_select_column_values_to_be_unique_within_record": (_flat, _within_record),
}
"""By expectation: for which columns SQL says the same, and the SQL."""
