"""Which kind of entity a set is about: one of the catalog, as the set adjusts it, or one that the set declares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.feature_extraction.declaration import Borrowed, Domain, Events

if TYPE_CHECKING:
    from airflow_provider_mlpipe.config import Configured, EventSource, FeatureSet

__all__ = ["domain_of"]


def domain_of(features: Configured[FeatureSet]) -> Domain:
    """Return the domain of a set: by its `entity`, else by its name (``user_features`` -> ``user_id``).

    Raises:
        ConfigError: the catalog has no such entity, and the set does not say where to find it; or a source is declared
            twice, or borrows from columns that nobody has.
    """
    model = features.model
    entity = model.entity or f"{features.name.removesuffix('_features')}_id"
    known = DOMAINS.get(entity)
    domain = _declared(features, entity) if known is None else _adjusted(known, features)
    own = {name: _events(source, entity) for name, source in model.sources.items()}
    for name in own:
        if name in domain.sources and name != model.source:
            raise ConfigError.invalid(
                where=features.where("sources", name), key=f"sources.{name}",
                problem="the catalog has a source of this name", hint="Give it another name.",
            )  # fmt: skip
    return replace(
        domain,
        sources={**domain.sources, **own},
        since=model.since or domain.since,
        planned=(*domain.planned, *model.planned),
    )


def _declared(features: Configured[FeatureSet], entity: str) -> Domain:
    """Return the domain of an entity that the catalog does not know."""
    model = features.model
    named = model.source in model.sources
    wanted = {"spine": model.spine, "source": model.source, "timestamp": named or model.timestamp}
    missing = [key for key, value in wanted.items() if not value]
    if len(missing) == len(wanted):
        raise ConfigError.unknown_name(
            where=features.where("entity"), kind="entity", name=entity, known=DOMAINS,
            hint="Give the set's key column with entity: ..., or name the set after it: user_features -> user_id. "
            "For an entity of your own, say where it is: spine, source and timestamp.",
        )  # fmt: skip
    if missing:
        raise ConfigError.invalid(
            where=features.where(), key=features.name,
            problem=f"{entity} is not in the catalog, so the set must say {' and '.join(missing)}",
            hint="spine is the input with one row per entity, source the one with the events, timestamp their time.",
        )  # fmt: skip
    source = str(model.source)
    sources = {}
    if not named:
        sources[source] = Events(role=source, timestamp=str(model.timestamp), keys=((entity, entity),))
    return Domain(entity=entity, spine=str(model.spine), events=source, sources=sources)


def _adjusted(domain: Domain, features: Configured[FeatureSet]) -> Domain:
    """Return a domain of the catalog with the spine, the default source and its time that a set names."""
    model = features.model
    usual = domain.sources[domain.events]
    sources, events = dict(domain.sources), domain.events
    if model.source in model.sources or model.source in domain.sources:
        events = str(model.source)
    elif model.source:
        renamed = {usual.role: model.source}
        sources = {name: replace(item, role=renamed.get(item.role, item.role)) for name, item in sources.items()}
    if model.timestamp:
        if model.source in model.sources:
            raise ConfigError.invalid(
                where=features.where("timestamp"), key="timestamp", problem=f"sources.{model.source} has one already"
            )
        sources[events] = replace(sources[events], timestamp=model.timestamp)
    return replace(domain, spine=model.spine or domain.spine, sources=sources, events=events)


def _events(source: EventSource, entity: str) -> Events:
    return Events(
        role=source.input,
        timestamp=source.timestamp,
        keys=tuple(source.match.items()) or ((source.key or entity, entity),),
        borrowed=tuple(
            Borrowed(role=item.input, own=own, other=other, columns=tuple(item.columns))
            for item in source.lookup
            for own, other in item.on.items()
        ),
    )
