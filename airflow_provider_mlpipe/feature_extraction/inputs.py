"""Checking the inputs before anything is computed: are they there, do they have the columns, are these of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import FeatureError, did_you_mean
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.feature_extraction.declaration import Events
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["check_inputs", "check_roles"]


def check_inputs(plan: Plan, features: Configured[FeatureSet], schemas: Mapping[str, pa.Schema]) -> None:
    """Compare what a plan needs with the schemas of the inputs.

    Raises:
        FeatureError: an input or a column is missing, or a column is of a type that cannot be computed with.
    """
    check_roles(plan, features, schemas)
    for need in plan.needs:
        if need.source and need.column == EVENT_DAY:
            continue
        kind = _require(plan, schemas, need.role, need.column, need.where, need.feature)
        if need.number and not _is_number(kind):
            raise FeatureError.because(
                where=need.where,
                feature=need.feature,
                problem=f"computes with column {need.column!r} of {need.role!r}, which holds {kind}, not numbers",
                hint="Give the column a numeric type at ingestion, or aggregate it by count or distinct.",
            )
    for source in plan.sources.values():
        _check_keys(plan, source, features, schemas)
        _check_time(plan, source.role, source.timestamp, features, schemas)
    if plan.domain.since:
        _check_time(plan, plan.domain.spine, plan.domain.since, features, schemas)


def check_roles(plan: Plan, features: Configured[FeatureSet], schemas: Mapping[str, pa.Schema]) -> None:
    """Check that every input is given, and has the columns that all features stand on: key and time.

    Raises:
        FeatureError: one is missing.
    """
    domain = plan.domain
    for role in plan.roles:
        if role not in schemas:
            events = {source.role for source in plan.sources.values()}
            others = [f"{name} (one row per event)" if name in events else name for name in plan.roles[1:]]
            raise FeatureError.because(
                where=features.where(),
                feature=plan.name,
                problem=f"needs the input {role!r}, which was not given; given: {', '.join(sorted(schemas)) or 'none'}."
                f"{did_you_mean(role, schemas)}",
                hint=f"Pass an artifact for each of {domain.spine} (one row per {domain.entity}) and "
                f"{' and '.join(others)}.",
            )
    structure = [(domain.spine, column) for column in (domain.entity, domain.since) if column]
    for source in plan.sources.values():
        structure += source.structure()
    for role, column in dict.fromkeys(structure):
        _require(plan, schemas, role, column, features.where(), plan.name)


def _require(
    plan: Plan, schemas: Mapping[str, pa.Schema], role: str, column: str, where: str, feature: str
) -> pa.DataType:
    """Return the type of a column, or say that it is missing or cannot be told from another."""
    schema, theirs = schemas[role], plan.theirs(role, column)
    if theirs not in schema.names:
        others = [item.name for item in plan.features if item.name != feature]
        guess = "" if role != plan.domain.spine else did_you_mean(column, [*schema.names, *others])
        error = FeatureError.missing_input(
            where=where, feature=feature, column=theirs, source=role, available=list(schema.names)
        )
        if guess and guess not in error.message:
            raise FeatureError.because(where=where, feature=feature, problem=_after_name(error, guess), hint=error.hint)
        raise error
    twins = [name for name in schema.names if name.lower() == theirs.lower()]
    if len(twins) > 1:
        raise FeatureError.because(
            where=where,
            feature=feature,
            problem=f"reads column {theirs!r} of {role!r}, which has {' and '.join(map(repr, twins))}; engines do not "
            "tell names apart that differ in case only",
            hint="Rename one of them at ingestion.",
        )
    return schema.field(theirs).type


def _after_name(error: FeatureError, guess: str) -> str:
    """Return what `missing_input` says after the feature's name, with a guess that also knows the other features."""
    return error.message.split(f"feature {error.fields['feature']!r} ", 1)[1] + guess


def _check_keys(plan: Plan, source: Events, features: Configured[FeatureSet], schemas: Mapping[str, pa.Schema]) -> None:
    """Check that what is compared for equality can be: keys of events and spine, and of lenders."""
    spine = plan.domain.spine
    pairs = [((found.role, found.other), (source.role, found.own)) for found in source.borrowed]
    for column, other in source.keys:
        lender = source.lender(column)
        pairs.append(((spine, other), (lender.role if lender else source.role, column)))
    for left, right in pairs:
        kinds = [schemas[role].field(plan.theirs(role, column)).type for role, column in (left, right)]
        families = [_key_family(kind) for kind in kinds]
        if families[0] != families[1] or not families[0]:
            raise FeatureError.because(
                where=features.where(),
                feature=plan.name,
                problem=f"{left[1]} is {kinds[0]} in {left[0]!r} and {kinds[1]} in {right[0]!r}; "
                "keys must be text in both or whole numbers in both",
                hint="Give both columns one type at ingestion.",
            )


def _check_time(
    plan: Plan, role: str, name: str, features: Configured[FeatureSet], schemas: Mapping[str, pa.Schema]
) -> None:
    import pyarrow as pa

    column = plan.theirs(role, name)
    kind = schemas[role].field(column).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise FeatureError.because(
            where=features.where(),
            feature=plan.name,
            problem=f"column {column!r} of {role!r} holds {kind}, not times",
            hint="Let ingestion read the column as a timestamp, or map the right one with "
            f"columns: {{{role}: {{{name}: theirs}}}}.",
        )


def _key_family(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    return "whole number" if pa.types.is_integer(kind) else ""


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )
