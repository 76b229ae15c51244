"""``feature_config.yaml``: feature sets, and where Feast lives."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, PositiveInt, field_validator, model_validator

from airflow_provider_mlpipe.config.section import Length, Section

__all__ = ["Aggregation", "FeastView", "FeatureSet", "FeatureStore", "Pivot", "RESERVED"]  # noqa: RUF022

RESERVED = "feature_store"
"""The one top-level key of the file that is not a feature set."""

AggregationName = Literal["count", "sum", "mean", "min", "max", "std", "distinct"]


class Pivot(Section):
    """One feature per value of a column.

    Attributes:
        column: the event column, by our name for it.
        values: the values that become features, each with the value in its name.
    """

    column: str
    values: list[str] = Field(min_length=1)


class Aggregation(Section):
    """A number per entity over the events of a window.

    Attributes:
        agg: what to compute; ``count`` needs no column.
        column: the event column, by our name for it.
        where: only events for which this expression holds.
        windows: lengths such as ``7d``; the set's `aggregation_window` if absent.
        pivot: one feature per value of a column.
    """

    agg: AggregationName
    column: str | None = None
    where: str | None = None
    windows: list[Length] = []
    pivot: Pivot | None = None

    @model_validator(mode="after")
    def _column_unless_count(self) -> Aggregation:
        if self.column is None and self.agg != "count":
            raise ValueError(f"agg: {self.agg} needs a column")
        return self


class FeastView(Section):
    """How a feature set appears in Feast.

    Attributes:
        view: the FeatureView's name; for ``user_features`` it is ``user_profile_features`` unless given.
        service: the FeatureService's name; the view's name with ``_service`` unless given.
        ttl: how far back a point-in-time join looks.
        tags: labels of the view, for people who search Feast's registry.
        description: what the view is, for the same.
        owner: whom to ask about it.
    """

    view: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    service: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    ttl: Length = "30d"
    tags: dict[str, str] = {}
    description: str = ""
    owner: str = ""

    def name_for(self, feature_set: str) -> str:
        """Return the view's name: the one given, else the set's own, where ``user_features`` has a customary one."""
        return self.view or {"user_features": "user_profile_features"}.get(feature_set, feature_set)


class FeatureSet(Section):
    """Features of one entity.

    The short form names features of the built-in catalog; `aggregations` and `derived` declare more.

    Attributes:
        entity: the key column; told from the set's name (``user_features`` -> ``user_id``) unless given.
        aggregation_window: the default window.
        delay: how late events may arrive: the window ends this much before as_of.
        normalize: also write the features scaled to mean 0, deviation 1, by fitted state.
        handle_missing: what the normalised set does with nulls: ``impute`` (the fitted median), ``zero`` or ``drop``.
        columns: per input, mapping ``ours: theirs``.
        aggregations: declared features by name.
        derived: expressions over other features and spine columns, by name.
        features: the selection; only what it needs is computed. All declared ones if absent.
        feast: how the set appears in Feast.
    """

    entity: str | None = None
    aggregation_window: Length = "7d"
    delay: Length = "0h"
    normalize: bool = False
    handle_missing: Literal["impute", "zero", "drop"] = "impute"
    columns: dict[str, dict[str, str]] = {}
    aggregations: dict[str, Aggregation] = {}
    derived: dict[str, str] = {}
    features: list[str] = []
    feast: FeastView = FeastView()


class FeatureStore(Section):
    """Where Feast's registry and stores are. Empty values mean: in ``_feast`` below a local artifact root.

    Attributes:
        project: Feast's project, the prefix of everything it stores.
        registry: a SQLAlchemy URL (recommended: several writers are safe) or a file path.
        online_store: Feast's own settings, ``{type: sqlite, path: ...}`` or ``{type: redis, connection_string: ...}``;
            or the URL of a Redis or Valkey, ``redis://:password@host:6379/0``, so that one variable can say it all.
        require_validation: refuse artifacts whose inputs have no passed verdict.
        read_back: how many entities to read back and compare after writing.
        on_empty: what to do with an artifact without rows: ``fail``, ``skip`` or ``allow``.
        engine: who writes online: ``arrow``, which makes Feast's bytes at a fraction of its CPU time and leaves to
            Feast what it does not know, or ``stock``, Feast's own engine for everything.
        repo: the folder of an existing Feast repository, whose registry, project, online store and applied definitions
            are used as they are; in place of `project`, `registry` and `online_store`.
    """

    project: str = Field(default="mlpipe", pattern=r"^[a-z][a-z0-9_]*$")
    registry: str = ""
    online_store: dict[str, Any] = {}
    require_validation: bool = True
    read_back: PositiveInt = 100
    on_empty: Literal["fail", "skip", "allow"] = "fail"
    engine: Literal["arrow", "stock"] = "arrow"
    repo: str = ""

    @model_validator(mode="after")
    def _one_feast(self) -> FeatureStore:
        both = self.model_fields_set & {"project", "registry", "online_store"}
        if self.repo and both:
            raise ValueError(f"repo says where Feast is, and so does {', '.join(sorted(both))}; give one of them")
        return self

    @field_validator("online_store", mode="before", json_schema_input_type=dict[str, Any] | str)
    @classmethod
    def _from_url(cls, value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
        return _store_of(value) if isinstance(value, str) else value


def _store_of(url: str) -> dict[str, Any]:
    """Return Feast's settings for the store at `url`; none for an empty one."""
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ValueError("neither a mapping of Feast's settings nor a redis:// or rediss:// URL")
    settings = {"username": parts.username, "password": parts.password, "db": parts.path.strip("/")}
    found = {name: unquote(value) for name, value in settings.items() if value}
    if any("," in value for value in found.values()):
        raise ValueError("Feast separates its settings with commas: none may stand in a user name or password")
    listed = [f"{name}={value}" for name, value in found.items()]
    listed += ["ssl=true"] if parts.scheme == "rediss" else []
    address = f"{parts.hostname}:{parts.port or 6379}"
    return {"type": "redis", "connection_string": ",".join([address, *listed])}
