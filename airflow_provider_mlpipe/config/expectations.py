"""Great Expectations' core expectations by name and argument, so that a YAML can be checked without importing GX.

A test holds the catalogue to the installed Great Expectations.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from airflow_provider_mlpipe.config.rules import RowRule
from airflow_provider_mlpipe.errors import ConfigError, did_you_mean
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CATALOG", "REFUSED", "ExpectationRule", "UnknownArgumentsError", "check_expectation", "snake_case"]

_BOUNDS = "min_value max_value strict_min strict_max"
_SIGNATURES = {
    "expect_column_distinct_values_to_be_in_set": "column! value_set!",
    "expect_column_distinct_values_to_contain_set": "column! value_set!",
    "expect_column_distinct_values_to_equal_set": "column! value_set!",
    "expect_column_kl_divergence_to_be_less_than": "column! partition_object! threshold! internal_weight_holdout "
    "tail_weight_holdout bucketize_data min_value max_value",
    "expect_column_max_to_be_between": f"column! {_BOUNDS}",
    "expect_column_mean_to_be_between": f"column! {_BOUNDS}",
    "expect_column_median_to_be_between": f"column! {_BOUNDS}",
    "expect_column_min_to_be_between": f"column! {_BOUNDS}",
    "expect_column_most_common_value_to_be_in_set": "column! value_set! ties_okay",
    "expect_column_pair_values_a_to_be_greater_than_b": "column_A! column_B! mostly or_equal ignore_row_if",
    "expect_column_pair_values_to_be_equal": "column_A! column_B! mostly ignore_row_if",
    "expect_column_pair_values_to_be_in_set": "column_A! column_B! value_pairs_set! mostly ignore_row_if",
    "expect_column_proportion_of_non_null_values_to_be_between": f"column! {_BOUNDS}",
    "expect_column_proportion_of_unique_values_to_be_between": f"column! {_BOUNDS}",
    "expect_column_quantile_values_to_be_between": "column! quantile_ranges! allow_relative_error",
    "expect_column_stdev_to_be_between": f"column! {_BOUNDS}",
    "expect_column_sum_to_be_between": f"column! {_BOUNDS}",
    "expect_column_to_exist": "column! column_index",
    "expect_column_type_to_be": "column! type_!",
    "expect_column_unique_value_count_to_be_between": f"column! {_BOUNDS}",
    "expect_column_value_lengths_to_be_between": f"column! mostly {_BOUNDS}",
    "expect_column_value_lengths_to_equal": "column! value! mostly",
    "expect_column_value_z_scores_to_be_less_than": "column! threshold! double_sided! mostly",
    "expect_column_values_to_be_between": f"column! mostly {_BOUNDS}",
    "expect_column_values_to_be_dateutil_parseable": "column! mostly",
    "expect_column_values_to_be_decreasing": "column! mostly strictly",
    "expect_column_values_to_be_in_set": "column! value_set! mostly",
    "expect_column_values_to_be_in_type_list": "column! type_list! mostly",
    "expect_column_values_to_be_increasing": "column! mostly strictly",
    "expect_column_values_to_be_json_parseable": "column! mostly",
    "expect_column_values_to_be_null": "column! mostly",
    "expect_column_values_to_be_of_type": "column! type_! mostly",
    "expect_column_values_to_be_unique": "column! mostly",
    "expect_column_values_to_match_json_schema": "column! json_schema! mostly",
    "expect_column_values_to_match_like_pattern": "column! like_pattern! mostly escape",
    "expect_column_values_to_match_like_pattern_list": "column! like_pattern_list! mostly match_on escape",
    "expect_column_values_to_match_regex": "column! regex! mostly",
    "expect_column_values_to_match_regex_list": "column! regex_list! mostly match_on",
    "expect_column_values_to_match_strftime_format": "column! strftime_format! mostly",
    "expect_column_values_to_not_be_in_set": "column! value_set! mostly",
    "expect_column_values_to_not_be_null": "column! mostly",
    "expect_column_values_to_not_be_outliers": "column! mostly method multiplier",
    "expect_column_values_to_not_match_like_pattern": "column! like_pattern! mostly escape",
    "expect_column_values_to_not_match_like_pattern_list": "column! like_pattern_list! mostly escape",
    "expect_column_values_to_not_match_regex": "column! regex! mostly",
    "expect_column_values_to_not_match_regex_list": "column! regex_list! mostly",
    "expect_compound_columns_to_be_unique": "column_list! mostly ignore_row_if",
    "expect_multicolumn_sum_to_equal": "column_list! sum_total! mostly ignore_row_if",
    "expect_multicolumn_values_to_be_equal": "column_list! mostly ignore_row_if",
    "expect_select_column_values_to_be_unique_within_record": "column_list! mostly ignore_row_if",
    "expect_table_column_count_to_be_between": "min_value max_value",
    "expect_table_column_count_to_equal": "value!",
    "expect_table_columns_to_match_ordered_list": "column_list!",
    "expect_table_columns_to_match_set": "column_set! exact_match",
    "expect_table_row_count_to_be_between": _BOUNDS,
    "expect_table_row_count_to_equal": "value!",
    "unexpected_rows_expectation": "unexpected_rows_query!",
}

CATALOG: Mapping[str, Mapping[str, bool]] = {
    name: {argument.rstrip("!"): argument.endswith("!") for argument in signature.split()}
    for name, signature in _SIGNATURES.items()
}
"""By name, the arguments and whether each must be given."""

REFUSED: Mapping[str, str] = {
    "expect_multicolumn_values_to_be_unique": "Great Expectations itself cannot run it; use "
    "expect_select_column_values_to_be_unique_within_record, or unique_columns with a list",
    "expect_query_results_to_match_comparison": "it compares two SQL data sources, and an artifact is none",
    "expect_table_row_count_to_equal_other_table": "it asks a second table of a database, and an artifact has none; "
    "count the rows with expect_table_row_count_to_equal",
}
"""Core expectations that cannot run on an artifact, and what to do instead."""

_LISTS = frozenset({"value_set", "column_list", "column_set", "regex_list", "like_pattern_list", "type_list"})
_CONDITIONS = frozenset({"row_condition", "condition_parser"})


class UnknownArgumentsError(ValueError):
    """Arguments that an expectation does not have."""

    def __init__(self, unknown: list[str], known: list[str]) -> None:
        super().__init__(f"unknown arguments {', '.join(unknown)}")
        self.unknown, self.known = unknown, known


def snake_case(name: str) -> str:
    """Return the name of an expectation as GX writes it, of either spelling.

    >>> snake_case("ExpectColumnPairValuesAToBeGreaterThanB"), snake_case("expect_column_to_exist")
    ('expect_column_pair_values_a_to_be_greater_than_b', 'expect_column_to_exist')
    >>> snake_case("ExpectColumnKLDivergenceToBeLessThan"), snake_case("ExpectColumnValueZScoresToBeLessThan")
    ('expect_column_kl_divergence_to_be_less_than', 'expect_column_value_z_scores_to_be_less_than')
    """
    if name in CATALOG:
        return name
    plain = name.replace("_", "").lower()
    return next((known for known in (*CATALOG, *REFUSED) if known.replace("_", "") == plain), name)


def check_expectation(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a name or arguments that Great Expectations does not have, or that cannot work on an artifact.

    Raises:
        ValueError: why, as a clause.
        UnknownArgumentsError: which arguments are unknown.
    """
    if name in REFUSED:
        raise ValueError(f"{name} is not possible here: {REFUSED[name]}")
    if name not in CATALOG:
        raise ValueError(f"Great Expectations has no core expectation {name!r}.{did_you_mean(name, CATALOG)}")
    known = CATALOG[name]
    if _CONDITIONS & arguments.keys():
        raise ValueError("say with `condition` which rows it is about: Great Expectations' row_condition is an object")
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise UnknownArgumentsError(unknown, sorted(known))
    missing = [argument for argument, needed in known.items() if needed and arguments.get(argument) is None]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}")
    for argument in _LISTS & arguments.keys():
        if not isinstance(arguments[argument], list) or not arguments[argument]:
            raise ValueError(f"{argument} is a list of at least one value")
    _check_numbers(name, arguments)


def _check_bounds(bounds: list[Any]) -> None:
    for bound in bounds:
        if isinstance(bound, bool) or not isinstance(bound, (int, float, str, date)):
            raise ValueError("min_value and max_value are numbers or times")  # noqa: TRY004 - pydantic reads it
        if isinstance(bound, str):
            try:
                instant(bound)
            except ConfigError:
                raise ValueError(f"{bound!r} is neither a number nor an ISO 8601 time") from None


def _check_numbers(name: str, arguments: Mapping[str, Any]) -> None:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if {"min_value", "max_value"} <= CATALOG[name].keys() and not name.startswith("expect_column_kl"):
        if low is None and high is None:
            raise ValueError(f"{name} needs min_value, max_value or both")
        _check_bounds([bound for bound in (low, high) if bound is not None])
        numbers = all(isinstance(bound, (int, float)) for bound in (low, high))
        if numbers and low > high:  # type: ignore[operator] # both are numbers
            raise ValueError("min_value is greater than max_value")
    mostly = arguments.get("mostly", 1.0)
    if isinstance(mostly, bool) or not isinstance(mostly, (int, float)) or not 0 < mostly <= 1:
        raise ValueError("mostly is a share: more than 0, at most 1")


_Name = Annotated[str, WithJsonSchema({"anyOf": [{"enum": list(CATALOG)}, {"type": "string", "pattern": "^[EU]"}]})]


class ExpectationRule(RowRule):
    """A core expectation of Great Expectations, by its own name and arguments.

    Attributes:
        type: its name, as ``expect_column_mean_to_be_between`` or ``ExpectColumnMeanToBeBetween``. All other keys are
            its arguments, as Great Expectations names them: ``column``, ``min_value``, ``mostly`` and so on.
    """

    model_config = ConfigDict(extra="allow")

    type: _Name

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
        """Here every expectation has keys of its own."""
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            return data
        name = snake_case(data["type"])
        arguments = {key: value for key, value in data.items() if key not in cls.model_fields}
        try:
            check_expectation(name, arguments)
        except UnknownArgumentsError as error:
            known = sorted({*error.known, *cls.model_fields})
            facts = {"unknown": error.unknown, "known": known}
            raise PydanticCustomError("unknown_keys", "unknown keys", facts) from None
        return {**data, "type": name}
