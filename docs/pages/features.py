"""docs/reference/features.md, from the built-in catalog of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY
from airflow_provider_mlpipe.feature_extraction.plan import plan
from pages.markdown import code, prose, table

if TYPE_CHECKING:
    from airflow_provider_mlpipe.feature_extraction.declaration import Domain
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["offered", "page"]

INTRODUCTION = """Name them in `features:` of a set in `feature_config.yaml`; a set that names none gets all of its
entity. Unless its name says otherwise (`_7d`), a feature looks at the set's `aggregation_window`, which ends at the
run's `as_of` (less `delay`) and does not include it.
"""


def offered(entity: str) -> Plan:
    """Return the plan of a set that selects nothing: all features of an entity."""
    name = f"{entity.removesuffix('_id')}_features"
    return plan(config.feature_set({name: {}}, name))


def page() -> str:
    """Return the page: per entity, its features and the blocks that they are built of."""
    parts = ["# Features\n", INTRODUCTION]
    for entity, domain in DOMAINS.items():
        parts += [f"## By `{entity}`\n", _inputs(entity, domain), *_features(entity), _blocks(domain)]
    return "\n".join(parts)


def _inputs(entity: str, domain: Domain) -> str:
    needed: dict[str, dict[str, None]] = {domain.spine: {entity: None}, domain.events: {entity: None}}
    for need in offered(entity).needs:
        needed[need.role][need.column] = None
    needed[domain.events][domain.timestamp] = None
    rows = [
        (code(role), ", ".join(code(column) for column in columns if column != EVENT_DAY))
        for role, columns in needed.items()
    ]
    return "What they read; map other names with `columns: {input: {ours: theirs}}`.\n\n" + table(
        ("Input", "Columns"), rows
    )


def _features(entity: str) -> list[str]:
    found = []
    for feature in offered(entity).features:
        meaning = feature.meaning
        rows = [
            ("Unit", meaning.unit), ("Range", meaning.range), ("Type", code(feature.type)),
            ("Formula", prose(meaning.formula)), ("Why so", prose(meaning.source)),
        ]  # fmt: skip
        lines = "\n".join(f"- {name}: {text}" for name, text in rows if text)
        found.append(f"### {feature.name}\n\n{prose(meaning.description)}\n\n{lines}\n")
    return found


def _blocks(domain: Domain) -> str:
    rows = [
        (
            code(name + ("_<value>" if item.aggregation.pivot else "")),
            item.meaning.unit,
            prose(item.meaning.description),
        )
        for name, item in domain.aggregations.items()
        if not item.offered
    ]
    if not rows:
        return ""
    return (
        "### Blocks\n\nWhat the features are built of. They can be selected too, and stand in `derived`.\n\n"
        + table(("Name", "Unit", "Meaning"), rows)
    )
