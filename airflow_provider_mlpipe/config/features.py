"""``feature_config.yaml``: feature sets, and where Feast lives."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic looks them up
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, Field, PositiveInt, field_validator, model_validator

from airflow_provider_mlpipe.config.section import Length, Section
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import duration

__all__ = [
    "ALL",
    "RESERVED",
    "Aggregation",
    "EventSource",
    "FeastView",
    "FeatureSet",
    "FeatureStore",
    "Lookup",
    "MomentRange",
    "Pivot",
]

RESERVED = "feature_store"
"""The one top-level key of the file that is not a feature set."""

ALL = "all"
"""The window that has everything before as_of."""


def _window(text: str) -> str:
    if text.strip() == ALL:
        return ALL
    try:
        duration(text)
    except ConfigError as error:
        raise ValueError("not a length of time such as 7d, 24h or 30m, nor all") from error
    return text


Window = Annotated[str, AfterValidator(_window)]
"""A length of time as text, or ``all`` for everything before as_of."""

AggregationName = Literal[
    "count", "sum", "mean", "min", "max", "std", "distinct", "quantile", "first", "last", "rate",
    "companions", "shared", "effective",
]  # fmt: skip
_WITHOUT_COLUMN = ("count", "rate")


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
        agg: what to compute. ``count`` and ``rate`` (per day of the window) need no column; with one they count its
            values and add it up. ``first`` and ``last`` are the value at the earliest and latest time that has one, and
            of several at one time the smallest and the largest. ``std`` is the population's. ``companions`` are the
            other entities with an event of the same value, ``shared`` the values that another entity has too, and
            ``effective`` is the number of values that would be as diverse if all were equally common (1 / sum of
            squared shares).
        column: the event column, by our name for it.
        where: only events for which this expression holds.
        windows: lengths such as ``7d``, or ``all``; the set's `aggregation_window` if absent.
        pivot: one feature per value of a column.
        source: the events: a name of `sources`, of the catalog's sources or of an input; the set's own if absent.
        q: which quantile, from 0 to 1, for ``quantile``; linear between neighbours.
        weight: for ``effective``, the column whose sum is a value's share; without it, the number of events is.
        among: for ``shared``, a column in place of other entities: the values that two different ones of it have,
            such as tasks on which two members of a team worked.
    """

    agg: AggregationName
    column: str | None = None
    where: str | None = None
    windows: list[Window] = []
    pivot: Pivot | None = None
    source: str | None = None
    q: float | None = Field(default=None, ge=0, le=1)
    weight: str | None = None
    among: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Aggregation:
        if self.column is None and self.agg not in _WITHOUT_COLUMN:
            raise ValueError(f"agg: {self.agg} needs a column")
        if (self.q is not None) != (self.agg == "quantile"):
            raise ValueError("agg: quantile needs q, and nothing else takes it; q: 0.5 is the median")
        if self.weight is not None and self.agg != "effective":
            raise ValueError(f"agg: {self.agg} takes no weight; effective does")
        if self.among is not None and self.agg != "shared":
            raise ValueError(f"agg: {self.agg} takes no among; shared does")
        if self.agg == "rate" and ALL in self.windows:
            raise ValueError("agg: rate is per day of the window, and the window all has no number of days")
        return self


class Lookup(Section):
    """Columns that events borrow from another input, by a key: a task's type for each of its events.

    Attributes:
        input: the input to borrow from.
        on: the event column and the column of `input` that it must equal, ``{assignee_id: user_id}``.
        columns: the columns to borrow, by our names. They are taken as they stand in the input, so they should be
            what does not change; times at or after as_of are null.
    """

    input: str
    on: dict[str, str] = Field(min_length=1, max_length=1)
    columns: list[str] = Field(min_length=1)


class EventSource(Section):
    """Rows of an input, read as events: each happened at a time and belongs to an entity.

    Attributes:
        input: the input.
        timestamp: its time column; rows without a time are not events. One input can be read by several times:
            tasks by their creation and by their completion.
        key: the column that holds the entity's key; the entity's name if absent.
        match: in place of `key`, event columns and the spine columns that they must equal: each entity gets what is
            known of all that are like it, ``{task_type: task_type}``.
        lookup: columns borrowed from other inputs, which keys and conditions may use.
    """

    input: str
    timestamp: str
    key: str | None = None
    match: dict[str, str] = {}
    lookup: list[Lookup] = []

    @model_validator(mode="after")
    def _one_key(self) -> EventSource:
        if self.key and self.match:
            raise ValueError("key and match are two ways to say which entity an event belongs to; give one of them")
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

    def details(self, feature_set: str) -> dict[str, Any]:
        """Return what the manifest of the set's features says of it: enough to define it in Feast."""
        view = self.name_for(feature_set)
        return {
            "view": view,
            "service": self.service or f"{view}_service",
            "ttl_seconds": int(duration(self.ttl).total_seconds()),
            "tags": dict(self.tags),
            "description": self.description,
            "owner": self.owner,
        }


class MomentRange(Section):
    """Moments at equal distances, for a training history.

    Attributes:
        start: the first moment, in UTC.
        end: the end, which is not among them.
        every: the distance between two; a day is 24 hours.
    """

    start: datetime | date
    end: datetime | date
    every: Length = "1d"


class FeatureSet(Section):
    """Features of one entity.

    The short form names features of the built-in catalog; `aggregations` and `derived` declare more. Entities that the
    catalog does not know need `spine`, `source` and `timestamp`.

    Attributes:
        entity: the key column; told from the set's name (``user_features`` -> ``user_id``) unless given.
        spine: the input with one row per entity.
        source: the input with the events, or one of `sources`.
        timestamp: the time column of `source`.
        since: the spine's column that says from when on an entity exists; before that it has no row.
        planned: times of spine and events that speak of the future and are known before, such as due dates. All other
            times at or after as_of are null: that has not happened yet.
        sources: further events, by the name that aggregations use.
        aggregation_window: the default window.
        delay: how late events may arrive: the window ends this much before as_of.
        normalize: also write the features scaled by fitted state: ``zscore`` (to mean 0, deviation 1; what ``true``
            means), ``minmax`` (to the fitted least 0, greatest 1) or ``robust`` (to median 0, quartile distance 1).
        handle_missing: what the normalised set does with nulls: the fitted ``mean``, ``median`` (what ``impute``
            means) or ``mode``; ``zero``; or ``drop`` the row.
        as_of: compute a history of these moments, whatever the moment of the run; see the guide to histories.
        engine: what computes: ``duckdb``, embedded, or ``spark``; ``[mlpipe] engine`` if absent.
        cache: reuse a result whose inputs, definition and moment are the same instead of computing it again.
        columns: per input, mapping ``ours: theirs``; ``ours: null`` says that the input has nothing of that kind.
        aggregations: declared features by name.
        derived: expressions over other features and spine columns, by name.
        custom: functions marked with ``@feature``, as ``package.module:function``, whose features join the others.
        features: the selection; only what it needs is computed. If absent, all that are declared, or if none is, those
            of the catalog that are given without being named, less those that need a column mapped to null.
        feast: how the set appears in Feast.
    """

    entity: str | None = None
    spine: str | None = None
    source: str | None = None
    timestamp: str | None = None
    since: str | None = None
    planned: list[str] = []
    sources: dict[str, EventSource] = {}
    aggregation_window: Window = "7d"
    delay: Length = "0h"
    normalize: bool | Literal["zscore", "minmax", "robust"] = False
    handle_missing: Literal["impute", "mean", "median", "mode", "zero", "drop"] = "impute"
    as_of: MomentRange | None = None
    engine: Literal["duckdb", "spark"] | None = None
    cache: bool = True
    columns: dict[str, dict[str, str | None]] = {}
    aggregations: dict[str, Aggregation] = {}
    derived: dict[str, str] = {}
    custom: list[str] = []
    features: list[str] = []
    feast: FeastView = FeastView()


class FeatureStore(Section):
    """Where Feast's registry and stores are. Empty values mean: in ``_feast`` below a local artifact root.

    Attributes:
        project: Feast's project, the prefix of everything it stores.
        registry: a SQLAlchemy URL (recommended: several writers are safe) or a file path.
        online_store: Feast's own settings, ``{type: sqlite, path: ...}`` or ``{type: redis, connection_string: ...}``;
            or the URL of a Redis or Valkey, ``redis://:password@host:6379/0``, or of a PostgreSQL,
            ``postgresql://user:password@host:5432/database?options``, so that one variable can say it all.
        offline_store: who reads the past for Feast's own calls: DuckDB unless given, else Feast's settings of its Spark
            store, ``{type: spark, spark_conf: {spark.master: ...}}``. Training sets of ours are read by DuckDB anyway.
        require_validation: refuse artifacts whose inputs have no passed verdict.
        read_back: how many entities to read back and compare after writing.
        on_empty: what to do with an artifact without rows: ``fail``, ``skip`` or ``allow``.
        engine: who writes online: ``arrow``, which makes Feast's bytes at a fraction of its CPU time and leaves to
            Feast what it does not know; ``stock``, Feast's own engine for everything; or ``spark``, Feast's engine on
            Spark, with the session that `offline_store` describes.
        repo: the folder of an existing Feast repository, whose registry, project, online store and applied definitions
            are used as they are; in place of `project`, `registry`, `online_store` and `offline_store`.
    """

    project: str = Field(default="mlpipe", pattern=r"^[a-z][a-z0-9_]*$")
    registry: str = ""
    online_store: dict[str, Any] = {}
    offline_store: dict[str, Any] = {}
    require_validation: bool = True
    read_back: PositiveInt = 100
    on_empty: Literal["fail", "skip", "allow"] = "fail"
    engine: Literal["arrow", "stock", "spark"] = "arrow"
    repo: str = ""

    @model_validator(mode="after")
    def _one_feast(self) -> FeatureStore:
        both = self.model_fields_set & {"project", "registry", "online_store", "offline_store"}
        if self.repo and both:
            raise ValueError(f"repo says where Feast is, and so does {', '.join(sorted(both))}; give one of them")
        return self

    @model_validator(mode="after")
    def _readers_that_know_our_files(self) -> FeatureStore:
        kind = self.offline_store.get("type", "duckdb" if not self.offline_store else None)
        if kind not in {"duckdb", "spark"}:
            raise ValueError(
                f"offline_store: type is {kind!r}; it is duckdb or spark (or use repo, with a store of yours)"
            )
        if kind == "duckdb" and len(self.offline_store) > 1:
            raise ValueError("offline_store: duckdb has no settings here")
        if self.engine == "spark" and kind != "spark":
            raise ValueError("engine: spark needs offline_store: {type: spark, ...}, which says where Spark is")
        if self.engine == "spark" and self.online_store.get("type", "sqlite") == "sqlite":
            raise ValueError("engine: spark writes from many processes, and SQLite has one writer; give a server")
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
    if parts.hostname and parts.scheme in {"redis", "rediss"}:
        return _redis_at(parts)
    if parts.hostname and parts.scheme in {"postgresql", "postgres"}:
        return _postgres_at(parts)
    raise ValueError("neither a mapping of Feast's settings nor a redis://, rediss:// or postgresql:// URL")


def _redis_at(parts: SplitResult) -> dict[str, Any]:
    settings = {"username": parts.username, "password": parts.password, "db": parts.path.strip("/")}
    found = {name: unquote(value) for name, value in settings.items() if value}
    if any("," in value for value in found.values()):
        raise ValueError("Feast separates its settings with commas: none may stand in a user name or password")
    listed = [f"{name}={value}" for name, value in found.items()]
    listed += ["ssl=true"] if parts.scheme == "rediss" else []
    address = f"{parts.hostname}:{parts.port or 6379}"
    return {"type": "redis", "connection_string": ",".join([address, *listed])}


def _postgres_at(parts: SplitResult) -> dict[str, Any]:
    """Return Feast's settings; the options may be any of them, ``sslmode`` and ``db_schema`` above all."""
    database = unquote(parts.path.strip("/"))
    if not parts.username or not database:
        raise ValueError("a postgresql:// URL here needs a user and a database")
    return {
        "type": "postgres",
        "host": parts.hostname,
        "port": parts.port or 5432,
        "database": database,
        "user": unquote(parts.username),
        "password": unquote(parts.password or ""),
        "sslmode": "prefer",  # as libpq takes such a URL; Feast's own default is require
        **dict(parse_qsl(parts.query)),
    }
