"""What OpenLineage's events say, and how a column is followed through them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import attr

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Column", "check_facets", "edges", "named", "only", "origins"]

Column = tuple[str, str, str]
"""Namespace, name and field."""


def named(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return namespace and name of each."""
    return [(dataset["namespace"], dataset["name"]) for dataset in datasets]


def only(datasets: list[dict[str, Any]], ending: str) -> dict[str, Any]:
    """Return the one data set whose name ends so."""
    (found,) = [dataset for dataset in datasets if dataset["name"].endswith(ending)]
    return found


def check_facets(events: Iterable[dict[str, Any]]) -> set[str]:
    """Check that every facet of a data set is what OpenLineage says it is, and return the names of all."""
    classes = _known_facets()
    checked = set()
    for event in events:
        for dataset in (*event["inputs"], *event["outputs"]):
            parts = (dataset.get(part) or {} for part in ("facets", "inputFacets", "outputFacets"))
            for name, facet in (item for part in parts for item in part.items()):
                kind = classes[facet["_schemaURL"]]
                # Refuses what it does not know, and to be without what it needs.
                kind(**{key: value for key, value in facet.items() if not key.startswith("_")})
                checked.add(name)
    return checked


def _known_facets() -> dict[str, type]:
    """OpenLineage's own classes, which are generated from its JSON schemas, by the schema that each says it is of."""
    generated = importlib.import_module("openlineage.client.generated")
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for thing in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(thing, type) and attr.has(thing) and hasattr(thing, "_get_schema"):
                found[thing._get_schema()] = thing
    return found


def edges(events: Iterable[dict[str, Any]]) -> dict[Column, set[Column]]:
    """Return which columns each column comes from, over all events."""
    found: dict[Column, set[Column]] = {}
    for event in events:
        for dataset in event["outputs"]:
            fields = dataset["facets"].get("columnLineage", {}).get("fields", {})
            for field, said in fields.items():
                came = {(one["namespace"], one["name"], one["field"]) for one in said["inputFields"]}
                found.setdefault((dataset["namespace"], dataset["name"], field), set()).update(came)
    return found


def origins(column: Column, came: dict[Column, set[Column]]) -> set[Column]:
    """Follow a column back to where nothing leads further."""
    if column not in came:
        return {column}
    return {origin for one in came[column] for origin in origins(one, came)}
