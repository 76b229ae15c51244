"""docs/reference/features.md, from the built-in catalog of features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY
from airflow_provider_mlpipe.feature_extraction.explanation import cost_of
from airflow_provider_mlpipe.feature_extraction.lineage import lineage
from airflow_provider_mlpipe.feature_extraction.plan import plan, scope_of
from pages.markdown import code, prose, table

if TYPE_CHECKING:
    from airflow_provider_mlpipe.feature_extraction.declaration import Domain
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["named", "offered", "page"]

INTRODUCTION = """Name them in `features:` of a set in `feature_config.yaml`. A set that names none gets those of its
entity that are marked as *given without being named*. Unless its name says otherwise (`_7d`), a feature looks at the
set's `aggregation_window`, which ends at the run's `as_of` (less `delay`) and does not include it; "before as_of" in a
formula means all history.

Every number can be recomputed by hand. What to know:

- Windows are half-open, [as_of - delay - window, as_of - delay), in UTC; a day has 24 hours.
- A column that is a time at or after the end of the window is null: it has not happened yet. So "completed" and "open"
  mean what they meant then. No formula reads a status column, which knows the present only.
- Columns that are not times are taken as they stand in the input, whenever they came to be: which team a user is in, a
  task's type, priority, estimate. If they change, keep the past of them in the input, or leave such features out.
- Two rows are two events. Rows without a key or without a time are left out, and counted.
- Counts, sums and rates over no events are 0, everything else is null. A division by zero is null. NaN and infinities
  are null.
- `std` is the population's. A quantile lies on the line between its neighbours. `first` and `last` take the earliest
  and latest event that has a value, and of several at one time the smallest and the largest.
- Features are numbers. Texts (the last status, say) are inputs, not features: map them to numbers with `case`.

`mlpipe features explain NAME` shows the aggregations, the columns and the SQL behind each.
"""

_COST = {
    "light": "one pass, a few numbers per entity",
    "second look": "two passes over the events",
    "dear": "keeps every different value of the window",
    "self-join": "joins the events with themselves",
}


def named(entity: str) -> config.Configured[config.FeatureSet]:
    """Return a set of an entity that selects every feature of the catalog."""
    name = f"{entity.removesuffix('_id')}_features"
    domain = DOMAINS[entity]
    wanted = [*(key for key, item in domain.aggregations.items() if item.offered), *domain.derived]
    scope = scope_of(config.feature_set({name: {}}, name))
    names = [found.name for found in (scope.find(key, bare=True) or scope.find(key) for key in wanted) if found]
    return config.feature_set({name: {"features": names}}, name)


def offered(entity: str) -> Plan:
    """Return the plan of a set that selects nothing."""
    name = f"{entity.removesuffix('_id')}_features"
    return plan(config.feature_set({name: {}}, name))


def page() -> str:
    """Return the page: per entity, its features and the blocks that they are built of."""
    parts = ["# Features\n", INTRODUCTION]
    for entity, domain in DOMAINS.items():
        parts += [f"## By `{entity}`\n", _inputs(entity, domain), *_features(entity), _blocks(domain)]
    return "\n".join(parts)


def _inputs(entity: str, domain: Domain) -> str:
    rows = [
        (code(role), ", ".join(code(column) for column in columns if column != EVENT_DAY))
        for role, columns in plan(named(entity)).read().items()
    ]
    text = "What they read; map other names with `columns: {input: {ours: theirs}}`.\n\n" + table(
        ("Input", "Columns"), rows
    )
    sources = [
        (code(name), code(source.role), code(source.timestamp), ", ".join(code(own) for own, _ in source.keys),
         "; ".join(f"{', '.join(map(code, item.columns))} from {code(item.role)} by {code(item.own)}"
                   for item in source.borrowed))
        for name, source in domain.sources.items()
    ]  # fmt: skip
    text += "\nWhat is read as events:\n\n"
    text += table(("Source", "Input", "Time", "Belongs to", "Columns borrowed"), sources)
    if domain.since:
        text += f"\nA row is there from its {code(domain.since)} on.\n"
    return text


def _features(entity: str) -> list[str]:
    found, spec = [], plan(named(entity))
    given = {feature.name for feature in offered(entity).features}
    for feature in spec.features:
        meaning = feature.meaning
        reads = dict.fromkeys(f"{edge.role}.{edge.column}" for edge in lineage(spec) if edge.feature == feature.name)
        rows = [
            ("Unit", meaning.unit), ("Range", meaning.range), ("Type", code(feature.type)),
            ("Formula", prose(meaning.formula)), ("Why so", prose(meaning.source)),
            ("Reads", ", ".join(map(code, reads))), ("Cost", _COST[cost_of(spec, feature)]),
            ("Given without being named", "yes" if feature.name in given else "no"),
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
