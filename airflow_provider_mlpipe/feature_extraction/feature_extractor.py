"""The seed's API: features from two DataFrames, for notebooks and tests. It computes what the pipeline computes.

::

    extractor = FeatureExtractor(FeatureExtractionConfig(feature_definitions={}, aggregation_window="7d"))
    features = extractor.extract_user_features(users, activity)
    ready = extractor.handle_missing_values(extractor.normalize_features(features))
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import ConfigError, FeatureError, samples
from airflow_provider_mlpipe.feature_extraction.computation import Computation, computing
from airflow_provider_mlpipe.feature_extraction.frames import after_last, arrow, filled
from airflow_provider_mlpipe.feature_extraction.inputs import check_inputs, check_roles
from airflow_provider_mlpipe.feature_extraction.lineage import without
from airflow_provider_mlpipe.feature_extraction.normalization import fit, method_of, transform
from airflow_provider_mlpipe.feature_extraction.plan import plan
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.feature_extraction.compile import Method, Missing
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["FeatureExtractionConfig", "FeatureExtractor"]

_log = logging.getLogger(__name__)

_SETS = ("user_features", "task_features", "project_features", "team_features")
_ARGUMENTS = {
    "users": "user_data", "activity": "activity_data", "tasks": "task_data", "projects": "project_data",
    "teams": "team_data",
}  # fmt: skip
_VIEW, _ROW = "frame", "row"
_NO_EVENTS = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FeatureExtractionConfig:
    """What to extract and how.

    Attributes:
        feature_definitions: what would stand in a feature set's YAML beside the other three: ``aggregations``,
            ``derived``, ``features``, ``columns``, ``delay``. Without it, every feature of the catalog whose input
            columns are there.
        aggregation_window: the default window.
        normalize: how `normalize_features` scales: ``zscore`` (or True), ``minmax``, ``robust``; False: not at all.
        handle_missing: what `handle_missing_values` puts in place of nulls: the ``mean``, the ``median`` (or
            ``impute``), the ``mode``, ``zero``; or ``drop``: the row goes.
    """

    feature_definitions: Mapping[str, Any] = field(default_factory=dict)
    aggregation_window: str = "7d"
    normalize: bool | Literal["zscore", "minmax", "robust"] = True
    handle_missing: Literal["impute", "mean", "median", "mode", "zero", "drop"] = "impute"


class FeatureExtractor:
    """Computes features of users, tasks, projects and teams from DataFrames.

    Raises:
        ConfigError: the configuration does not hold together.
    """

    def __init__(self, config: FeatureExtractionConfig | None = None) -> None:
        self.config = config or FeatureExtractionConfig()
        self._features = self._configured(_SETS[0])
        self._refuse_nonsense()

    def extract_user_features(
        self, user_data: pd.DataFrame, activity_data: pd.DataFrame, *, as_of: datetime | str | None = None
    ) -> pd.DataFrame:
        """Return one row per user: ``user_id``, ordered by it, and the features; the moment is in ``attrs["as_of"]``.

        Args:
            user_data: one row per user.
            activity_data: one row per event; times without a zone are UTC.
            as_of: nothing at or after this moment is seen. Without it, the first microsecond after the last event, so
                that all events count; give it wherever results have to be comparable.

        Raises:
            FeatureError: a column is missing or of no use.
        """
        return self._extracted("user_features", {"users": user_data, "activity": activity_data}, as_of)

    def extract_task_features(
        self, task_data: pd.DataFrame, activity_data: pd.DataFrame, *, as_of: datetime | str | None = None
    ) -> pd.DataFrame:
        """Return one row per task that was created before `as_of`; otherwise as `extract_user_features`."""
        return self._extracted("task_features", {"tasks": task_data, "activity": activity_data}, as_of)

    def extract_project_features(
        self,
        project_data: pd.DataFrame,
        task_data: pd.DataFrame,
        activity_data: pd.DataFrame | None = None,
        user_data: pd.DataFrame | None = None,
        team_data: pd.DataFrame | None = None,
        *,
        as_of: datetime | str | None = None,
    ) -> pd.DataFrame:
        """Return one row per project; otherwise as `extract_user_features`.

        Without `activity_data` there is no budget_utilization_pct, without `user_data` and `team_data` no team_size.
        """
        frames = {
            "projects": project_data, "tasks": task_data, "activity": activity_data, "users": user_data,
            "teams": team_data,
        }  # fmt: skip
        return self._extracted("project_features", frames, as_of)

    def extract_team_features(
        self,
        team_data: pd.DataFrame,
        user_data: pd.DataFrame,
        activity_data: pd.DataFrame | None = None,
        *,
        as_of: datetime | str | None = None,
    ) -> pd.DataFrame:
        """Return one row per team; otherwise as `extract_user_features`.

        Without `activity_data` there are only features of who is in the team, not of what they did.
        """
        frames = {"teams": team_data, "users": user_data, "activity": activity_data}
        return self._extracted("team_features", frames, as_of)

    def _extracted(
        self, name: str, frames: Mapping[str, pd.DataFrame | None], as_of: datetime | str | None
    ) -> pd.DataFrame:
        tables = {role: arrow(frame, _ARGUMENTS[role]) for role, frame in frames.items() if frame is not None}
        features, spec = self._possible(self._configured(name), tables)
        tables = filled(spec, {role: tables[role] for role in spec.roles if role in tables})
        schemas = {role: table.schema for role, table in tables.items()}
        check_inputs(spec, features, schemas)
        moment = self._moment(spec, tables, as_of)
        with DuckDBEngine.open() as engine:
            for role, table in tables.items():
                engine.register(role, table)
            frame = _frame(list(Computation(spec, engine, schemas, moment).batches()), spec, schemas)
        frame.attrs["as_of"] = moment.isoformat()
        return frame

    def normalize_features(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the features scaled, by default to mean 0 and deviation 1; a constant one becomes 0, nulls stay.

        The statistics are those of the given rows, nulls left out, so it may come before or after
        `handle_missing_values`. Keys (``..._id``) and columns without numbers stay as they are.
        """
        method = method_of(self._features.model)
        if method is None:
            _log.info("normalize is off: features are returned as they are")
            return features.copy()
        return self._transformed(features, method=method, missing="keep")

    def handle_missing_values(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the features with nulls imputed from the given rows, set to 0, or their rows dropped."""
        return self._transformed(features, method=None, missing=self.config.handle_missing)

    def _configured(self, name: str, **more: Any) -> Configured[FeatureSet]:  # noqa: ANN401 - of every kind
        body = {
            "aggregation_window": self.config.aggregation_window,
            "normalize": self.config.normalize,
            "handle_missing": self.config.handle_missing,
        }
        return feature_set({name: {**self.config.feature_definitions, **body, **more}}, name)

    def _refuse_nonsense(self) -> None:
        """Definitions must make sense for users, or else for one of the other entities."""
        refusals = []
        for name in _SETS:
            try:
                plan(self._configured(name))
            except ConfigError as error:
                refusals.append(error)
            else:
                return
        raise refusals[0]

    def _possible(
        self, features: Configured[FeatureSet], tables: Mapping[str, pa.Table]
    ) -> tuple[Configured[FeatureSet], Plan]:
        """Return the configuration, and if it names no features, without those of the catalog that lack an input."""
        spec = plan(features)
        schemas = {role: table.schema for role, table in tables.items()}
        if set(spec.roles) <= set(tables):
            check_roles(spec, features, schemas)
        if any(self.config.feature_definitions.get(key) for key in ("features", "aggregations", "derived", "custom")):
            return features, spec
        missing = without(spec, {role: set(schema.names) for role, schema in schemas.items()})
        left = [feature.name for feature in spec.features if feature.name not in missing]
        if not missing:
            return features, spec
        wanted = sorted({column for columns in missing.values() for column in columns})
        if not left:
            raise FeatureError.because(
                where="feature_definitions",
                feature=features.name,
                problem=f"no feature of the catalog can be computed without {', '.join(wanted)}",
                hint="Map the names with feature_definitions={'columns': {'activity': {'skill': 'theirs'}}}.",
            )
        _log.warning("left out %s: there is no %s", samples(missing), ", ".join(wanted))
        features = self._configured(features.name, features=left)
        return features, plan(features)

    def _moment(self, spec: Plan, tables: Mapping[str, pa.Table], as_of: datetime | str | None) -> datetime:
        if as_of is not None:
            return instant(as_of)
        times = [
            after_last(tables[source.role].column(spec.theirs(source.role, source.timestamp)))
            for source in spec.sources.values()
        ]
        found = max((time for time in times if time is not None), default=None)
        if found is None:
            _log.warning("as_of was not given and there is no event: features are those of users who did nothing")
            return _NO_EVENTS
        moment = found + spec.delay
        _log.warning("as_of was not given; features are as of %s, right after the last event", moment.isoformat())
        return moment

    @staticmethod
    def _transformed(features: pd.DataFrame, *, method: Method | None, missing: Missing) -> pd.DataFrame:
        """Fit on a frame and transform it; rows are numbered on the way, as an engine keeps no order."""
        import pyarrow as pa

        table = arrow(features, "features")
        positions = [n for n, item in enumerate(table.schema) if _is_feature(item)]
        columns = [table.column(n) for n in positions]
        names = [f"f{n}" for n in positions]
        numbered = pa.table([*columns, pa.array(range(table.num_rows), pa.int64())], names=[*names, _ROW])
        with DuckDBEngine.open() as engine, computing("features", "DataFrame"):
            engine.register(_VIEW, numbered)
            statistics = fit(engine, _VIEW, numbered.schema, names)
            _log.warning("statistics are those of the %d rows given; a pipeline uses fitted state", table.num_rows)
            reader = transform(engine, _VIEW, numbered.schema, statistics, order=[_ROW], method=method, missing=missing)
            done = reader.read_all()
        result: pd.DataFrame = features.iloc[done.column(_ROW).to_numpy()].copy()
        for position, name in zip(positions, names, strict=True):
            result.isetitem(position, done.column(name).to_pandas().to_numpy())
        return result


def _is_feature(item: pa.Field) -> bool:
    import pyarrow as pa

    numeric = pa.types.is_integer(item.type) or pa.types.is_floating(item.type) or pa.types.is_decimal(item.type)
    return numeric and not item.name.endswith("_id")


def _frame(batches: list[pa.RecordBatch], spec: Plan, schemas: Mapping[str, pa.Schema]) -> pd.DataFrame:
    import pyarrow as pa

    role, entity = spec.domain.spine, spec.domain.entity
    kinds = {"int64": pa.int64(), "float64": pa.float64()}
    key = schemas[role].field(spec.theirs(role, entity)).type
    schema = pa.schema([(entity, key), *((feature.name, kinds[feature.type]) for feature in spec.features)])
    frame: pd.DataFrame = pa.Table.from_batches([batch.cast(schema) for batch in batches], schema=schema).to_pandas()
    return frame
