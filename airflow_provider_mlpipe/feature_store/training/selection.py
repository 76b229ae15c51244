"""Which features of which views: from names, as Feast writes them, to columns of offline data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

__all__ = ["Chosen", "Feature", "select"]

WHERE = "training set"


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column of the training set.

    Attributes:
        name: as it will be called there.
        column: as the offline data calls it.
    """

    name: str
    column: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What to take from one feature view.

    Attributes:
        view: its name.
        keys: the offline data's key columns, by the labels' names for them.
        types: Feast's type of each key, by the labels' name for it.
        features: what to take.
        ttl: how old a row may be; None for no limit.
        timestamp: the column of the rows' time.
        created: the column that says when a row was written; empty if there is none.
        path: the files, as Feast's FileSource names them.
    """

    view: str
    keys: dict[str, str]
    types: dict[str, str]
    features: tuple[Feature, ...]
    ttl: timedelta | None
    timestamp: str
    created: str
    path: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the offline data must have."""
        return (*self.keys.values(), self.timestamp, *(feature.column for feature in self.features))


def select(opened: Any, features: Sequence[str] | str, *, full_names: bool) -> list[Chosen]:  # noqa: ANN401 - feast has no types
    """Look the names up in Feast's registry.

    Args:
        opened: a `feast.FeatureStore`.
        features: ``view:feature`` references, or the name of a feature service.
        full_names: call the columns ``view__feature`` in place of ``feature``.

    Raises:
        ConfigError: there is no such view, feature or service, or two columns would have one name.
    """
    if isinstance(features, str) and ":" not in features:
        wanted = _of_service(opened, features)
    else:
        wanted = _of_references(opened, [features] if isinstance(features, str) else list(features))
    chosen = [_chosen(opened, view, projection, names, full_names=full_names) for view, projection, names in wanted]
    _refuse_same_names(chosen)
    return chosen


def _of_service(opened: Any, name: str) -> list[tuple[Any, Any, list[str]]]:  # noqa: ANN401
    services = {service.name: service for service in opened.registry.list_feature_services(opened.project)}
    if name not in services:
        raise ConfigError.unknown_name(
            where=WHERE,
            kind="feature service",
            name=name,
            known=services,
            hint="Or list features one by one: view:feature.",
        )
    projections = services[name].feature_view_projections
    return [(_view(opened, p.name), p, [field.name for field in p.features]) for p in projections]


def _of_references(opened: Any, references: list[str]) -> list[tuple[Any, Any, list[str]]]:  # noqa: ANN401
    if not references:
        raise ConfigError.invalid(
            where=WHERE, key="features", problem="is empty", hint="List view:feature, or name a feature service."
        )
    grouped: dict[str, list[str]] = {}
    for reference in references:
        view, colon, feature = reference.partition(":")
        if not (view and colon and feature) or ":" in feature:
            raise ConfigError.invalid(
                where=WHERE,
                key="features",
                problem="not of the form view:feature",
                value=repr(reference),
                hint="A feature service is named alone, not in a list.",
            )
        if feature in grouped.setdefault(view, []):
            raise ConfigError.invalid(where=WHERE, key="features", problem="given twice", value=repr(reference))
        grouped[view].append(feature)
    found = [(_view(opened, name), names) for name, names in grouped.items()]
    return [(view, view.projection, names) for view, names in found]


def _view(opened: Any, name: str) -> Any:  # noqa: ANN401
    registry, project = opened.registry, opened.project
    views = {v.name: v for v in (*registry.list_feature_views(project), *registry.list_stream_feature_views(project))}
    if name in views:
        return views[name]
    if name in {view.name for view in registry.list_on_demand_feature_views(project)}:
        raise ConfigError.invalid(
            where=WHERE,
            key=repr(name),
            problem="is an on-demand view: its features are computed when they are asked for and are not stored",
            hint="Take the features that it is made of, and compute the rest from the training set.",
        )
    raise ConfigError.unknown_name(
        where=WHERE,
        kind="feature view",
        name=name,
        known=views,
        hint="Materialize a feature artifact first: mlpipe materialize ARTIFACT.",
    )


def _chosen(opened: Any, view: Any, projection: Any, names: list[str], *, full_names: bool) -> Chosen:  # noqa: ANN401
    known = [feature.name for feature in view.features]
    for name in names:
        if name not in known:
            raise ConfigError.unknown_name(where=view.name, kind="feature", name=name, known=known)
    source = view.batch_source
    path = getattr(source, "path", "")
    if not path:
        raise ConfigError.invalid(
            where=view.name,
            key="source",
            problem=f"its offline data is a {type(source).__name__}, not files",
            hint="Training sets are made from parquet files; for other stores use Feast's get_historical_features.",
        )
    if "://" not in path and not path.startswith("/"):
        path = str(opened.repo_path / path)
    theirs = {ours: theirs for theirs, ours in source.field_mapping.items()}
    renamed = projection.join_key_map or {}
    prefix = f"{projection.name_alias or view.name}__" if full_names else ""
    keys = {renamed.get(field.name, field.name): field for field in view.entity_columns}
    return Chosen(
        view=view.name,
        keys={label: theirs.get(field.name, field.name) for label, field in keys.items()},
        types={label: field.dtype.to_value_type().name for label, field in keys.items()},
        features=tuple(Feature(name=prefix + name, column=theirs.get(name, name)) for name in names),
        ttl=view.ttl or None,
        timestamp=source.timestamp_field,
        created=source.created_timestamp_column or "",
        path=path,
    )


def _refuse_same_names(chosen: list[Chosen]) -> None:
    counts = Counter(feature.name for one in chosen for feature in one.features)
    for name, count in counts.items():
        if count > 1:
            views = [one.view for one in chosen if name in {feature.name for feature in one.features}]
            raise ConfigError.invalid(
                where=WHERE,
                key=repr(name),
                problem=f"a feature of {' and of '.join(views)}, and a table has no two columns of one name",
                hint="Ask for full feature names: view__feature.",
            )
