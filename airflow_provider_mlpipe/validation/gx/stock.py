"""Stock Great Expectations on pandas: for what SQL does not say, as the oracle, and for who wants nothing else.

The columns are in memory, several times over, so how many values that may be is limited.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Finding, Sample
from airflow_provider_mlpipe.validation.frame import RELATION
from airflow_provider_mlpipe.validation.rules.rows import Conditional
from airflow_provider_mlpipe.validation.samples import json_clean
from airflow_provider_mlpipe.validation.wording import number
from airflow_provider_mlpipe.wording import MAX_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.rules import Rule

__all__ = ["MAX_VALUES", "excess", "find_on_pandas", "pandas_frame", "second_opinion"]

logger = logging.getLogger(__name__)

MAX_VALUES = 50_000_000
"""How many values (rows times columns) may be held as a pandas frame: 3 to 6 GB of memory while GX works on them."""

_ON_SPARK = (
    "Great Expectations runs it on pandas, for which engine: spark does not fetch the rows. State it with a rule of "
    "ours, or judge with engine: scan"
)


def excess(rows: int, columns: int) -> str:
    """Return why so many values are too many for pandas, as a clause, or nothing."""
    if rows * columns <= MAX_VALUES:
        return ""
    return (
        f"Great Expectations runs it on pandas, which would hold {number(rows)} rows of {columns} columns in memory; "
        f"the limit is {number(MAX_VALUES)} values. State it with a rule of ours, or on fewer rows"
    )


def find_on_pandas(
    frame: Frame, rules: Sequence[Rule], names: Sequence[str], selected: Condition | None = None
) -> dict[str, Finding]:
    """Return by rule id what stock Great Expectations says of each rule.

    Args:
        frame: the rows.
        rules: what to judge; each must have an expectation that runs on pandas.
        names: the columns to load.
        selected: which rows; all if None.
    """
    from great_expectations.core.expectation_suite import ExpectationSuite

    from airflow_provider_mlpipe.validation.suite import expectation_of

    if problem := _ON_SPARK if frame.distributed else excess(frame.rows, len(names)):
        return {rule.rule_id: Finding(problem=problem) for rule in rules}
    table, found = _table(frame, names, selected), {}
    for nullable in (True, False):
        some = {rule.rule_id: rule for rule in rules if _takes_nullable(rule) is nullable}
        if not some:
            continue
        data = pandas_frame(table, nullable=nullable)
        suite = ExpectationSuite(name="rules", expectations=[expectation_of(rule) for rule in some.values()])
        for result in _run(data, suite):
            rule_id = result.expectation_config.meta["mlpipe"]["rule_id"]
            found[rule_id] = _finding(some[rule_id], result, len(data))
    return found


def _takes_nullable(rule: Rule) -> bool:
    """Whether GX gets along with pandas' nullable types; some of it asks a null whether it is true, or for a float."""
    return len(rule.columns) < 2 and rule.expectation()[0] not in {
        "expect_column_quantile_values_to_be_between",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_not_be_outliers",
    }


def second_opinion(frame: Frame, rules: Sequence[Rule], findings: Mapping[str, Finding]) -> dict[str, Finding]:
    """Return the findings of a scan, with what stock Great Expectations says in the place of what the scan counted.

    Asked are its own expectations. Those that Great Expectations does not have (logical types, freshness, drift and so
    on), rules on columns that are missing, and rules that cannot run remain as the scan found them.

    Args:
        frame: the rows.
        rules: the rules.
        findings: of the scan, by rule id.
    """
    able = [rule for rule in rules if not _is_settled(findings[rule.rule_id])]
    asked = [rule for rule in able if _is_gx(rule)]
    # An expectation by name has its condition from us: Great Expectations gets the rows that meet it, and no others.
    apart = [rule for rule in asked if rule.kind == "expectation" and isinstance(rule, Conditional) and rule.condition]
    together = [rule for rule in asked if rule not in apart]
    opinions = find_on_pandas(frame, together, list(frame.names)) if together else {}
    for rule in apart:
        opinions |= find_on_pandas(frame, [rule], list(frame.names), rule.selected(frame))
    return {rule.rule_id: _merged(rule, findings[rule.rule_id], opinions.get(rule.rule_id)) for rule in rules}


def _is_settled(found: Finding) -> bool:
    """Whether there is nothing to ask, or the answer is here already."""
    return bool(found.skipped or found.problem or found.result is not None)


def _is_gx(rule: Rule) -> bool:
    """Whether Great Expectations itself has an expectation that says the whole rule."""
    from airflow_provider_mlpipe.validation.suite import expectation_of

    expectation = expectation_of(rule)
    told = expectation.meta["mlpipe"]
    own = not type(expectation).__module__.startswith("great_expectations.")
    return not own and (rule.kind == "expectation" or not told.get("gx_ignores_condition"))


def _merged(rule: Rule, found: Finding, opinion: Finding | None) -> Finding:
    if opinion is None or "No provider found" in opinion.problem:
        return found
    if opinion.problem:
        return opinion
    counts = (found.missing, found.unexpected) != (opinion.missing, opinion.unexpected)
    if rule.by_row and counts:
        logger.warning(
            "%s: Great Expectations counts %d unexpected and %d missing, a scan %d and %d; its word counts",
            rule.rule_id, opinion.unexpected, opinion.missing, found.unexpected, found.missing,
        )  # fmt: skip
    return replace(
        found, selected=opinion.selected, missing=opinion.missing, unexpected=opinion.unexpected, result=opinion.result
    )


def _table(frame: Frame, names: Sequence[str], selected: Condition | None) -> pa.Table:
    """Return columns in the order of the rows, which some expectations are about."""
    import pyarrow as pa

    where, parameters = selected or ("true", [])
    columns = ", ".join(frame.sql(name) for name in names)
    connection = frame.embedded.connection
    connection.execute("SET preserve_insertion_order = true")
    try:
        query = f"SELECT {columns or '1'} FROM {RELATION} WHERE {where}"  # noqa: S608
        table: pa.Table = connection.sql(query, params=parameters).to_arrow_table()
    finally:
        connection.execute("SET preserve_insertion_order = false")
    return table.rename_columns(list(names)) if names else pa.table({"": pa.nulls(table.num_rows)}).select([])


def pandas_frame(table: pa.Table, *, nullable: bool = True) -> pd.DataFrame:
    """Return a table as pandas holds it best.

    A time without a zone, and a date, is in UTC, as for all rules.

    Args:
        table: the rows.
        nullable: whether integers and truths with nulls stay what they are, in pandas' nullable types.
    """
    import pandas as pd
    import pyarrow as pa

    fields = []
    for field in table.schema:
        kind = field.type
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            kind = pa.timestamp(kind.unit if pa.types.is_timestamp(kind) else "us", "UTC")
        fields.append(pa.field(field.name, kind))
    names = table.schema.names
    holes = {names[at]: nullable and table.column(at).null_count > 0 for at in range(table.num_columns)}
    data: pd.DataFrame = table.cast(pa.schema(fields)).to_pandas(ignore_metadata=True)
    for field in fields:
        if holes[field.name] and pa.types.is_integer(field.type):
            column = table.column(field.name)
            data[field.name] = pd.array(column.to_pylist(), dtype=_NULLABLE[str(field.type)])
        elif holes[field.name] and pa.types.is_boolean(field.type):
            data[field.name] = data[field.name].astype("boolean")
    return data


_NULLABLE = {f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _run(data: pd.DataFrame, suite: Any) -> Iterable[Any]:  # noqa: ANN401 - GX has no types
    """Validate as Great Expectations does it by itself: no progress bars, no files, nothing sent anywhere."""
    import great_expectations as gx
    import numpy as np

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": data})
    form = {"result_format": "SUMMARY", "partial_unexpected_count": MAX_SAMPLES}
    # Infinities make numpy warn of what it computes from them, and where warnings are errors, so would a rule be.
    with np.errstate(all="ignore"):
        results: Iterable[Any] = batch.validate(suite, result_format=form).results
    return results


def _finding(rule: Rule, result: Any, rows: int) -> Finding:  # noqa: ANN401
    """Return what GX found in our words; its own result goes with it."""
    if problem := _problem(result.exception_info):
        return Finding(problem=problem)
    said: Mapping[str, Any] = result.to_json_dict()["result"]
    found = Finding(
        selected=rows, observed=said.get("observed_value"), unexpected=int(not result.success), result=result
    )
    if not rule.by_row:
        return found
    checked = said.get("element_count", rows) - said.get("missing_count", 0)
    return replace(
        found, observed=None, missing=rows - checked, unexpected=said.get("unexpected_count", 0),
        samples=tuple(_sample(rule, value) for value in said.get("partial_unexpected_list", ()))
    )  # fmt: skip


def _sample(rule: Rule, value: Any) -> Sample:  # noqa: ANN401
    if isinstance(value, dict) and set(value) <= set(rule.columns):
        return Sample(values={name: json_clean(each) for name, each in value.items()})
    values = value if isinstance(value, (list, tuple)) and len(value) == len(rule.columns) > 1 else [value]
    return Sample(values=dict(zip(rule.columns, map(json_clean, values), strict=False)))


def _problem(info: Mapping[str, Any]) -> str:
    """Return what GX raised as a clause of one line, or nothing."""
    entries = [info, *(entry for entry in info.values() if isinstance(entry, dict))]
    raised = [entry for entry in entries if entry.get("raised_exception")]
    if not raised:
        return ""
    lines = str(raised[0].get("exception_message") or "").strip().splitlines() or ["no reason given"]
    return f"Great Expectations says: {lines[0].strip().rstrip('.')[:300]}"
