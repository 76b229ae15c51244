"""From labels and views to a training set: look, join, prove, publish."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import ConfigError, FeatureError, GateClosedError, redact
from airflow_provider_mlpipe.feature_store.online import open_store
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.training import proof
from airflow_provider_mlpipe.feature_store.training.alignment import Found, beside
from airflow_provider_mlpipe.feature_store.training.history import History
from airflow_provider_mlpipe.feature_store.training.join import Join
from airflow_provider_mlpipe.feature_store.training.labels import open_labels
from airflow_provider_mlpipe.feature_store.training.selection import select
from airflow_provider_mlpipe.feature_store.translation import translated
from airflow_provider_mlpipe.observability import Metrics, Stopwatch
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact, Input, Storage
    from airflow_provider_mlpipe.config import FeatureStore
    from airflow_provider_mlpipe.engines import DuckDBSettings
    from airflow_provider_mlpipe.feature_store.training.history import Snapshot
    from airflow_provider_mlpipe.feature_store.training.join import Match, Spine
    from airflow_provider_mlpipe.feature_store.training.labels import Labels
    from airflow_provider_mlpipe.feature_store.training.selection import Chosen
    from airflow_provider_mlpipe.run import Run

__all__ = ["training_set"]

_log = logging.getLogger(__name__)

STAGE = "training"

_CSV_TYPES = {"STRING": "VARCHAR", "INT32": "INTEGER", "INT64": "BIGINT"}


def training_set(  # noqa: PLR0913 - each is a choice of its own, by name, most with a default
    labels: Artifact | str | Path,
    *,
    store: FeatureStore,
    root: Storage,
    run: Run,
    features: Sequence[str] | str,
    dataset: str = "training_set",
    event_timestamp: str = "event_timestamp",
    full_feature_names: bool = False,
    as_of: datetime | None = None,
    engine: DuckDBSettings | None = None,
) -> Artifact:
    """Put features beside labels as they were known at each label's time, and publish that as an artifact.

    Every label stays, in its order and with its columns as they are: one without features gets nulls, as does one whose
    key or time is null; one that is there twice stays twice. What was joined, and that nothing came from later than its
    label, stands in ``_pit_proof.json`` beside the data.

    Args:
        labels: rows with the views' entity keys and a time: an artifact, its address, or a parquet or CSV file.
        store: where Feast is.
        root: the artifact root, which also holds the offline data.
        run: who computes; decides the artifact's place.
        features: ``["view:feature", ...]``, or the name of a feature service.
        dataset: the artifact's dataset name.
        event_timestamp: the labels' column of times; one without zone is UTC.
        full_feature_names: name the columns ``view__feature``, for two views with a feature of one name.
        as_of: features later than this are not seen, so that a backfill finds what the run would have found; the end
            of the run's interval if None, and if that has none, whatever there is.
        engine: what DuckDB may take.

    Raises:
        ConfigError: no such view, feature or service; the labels lack a key or a time; two columns of one name.
        SourceRejectedError: the file of labels cannot be read.
        SourceUnavailableError: the bucket that it is in does not answer.
        StoreRejectedError: a view has no offline data, or not the columns that Feast knows of.
        StoreUnavailableError: the registry, or the storage of the offline data, does not answer.
        GateClosedError: the labels failed validation, and ``require_validation`` holds.
        ArtifactReplacedError: labels or offline data were replaced meanwhile; a later try may succeed.
        FeatureError: out of memory, or the proof failed.
    """
    if as_of is None and run.interval is not None and not run.interval.empty:
        as_of = run.interval.end
    wanted = Wanted(
        dataset=dataset,
        time=event_timestamp,
        chosen=_select(store, root, features, full_names=full_feature_names),
        as_of=None if as_of is None else instant(as_of),
        require_validation=store.require_validation,
    )
    return assemble(labels, wanted, root=root, run=run, engine=engine)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the training set is to hold.

    Attributes:
        dataset: its name.
        time: the labels' column of times.
        chosen: what to take of each view.
        as_of: features later than this are not seen; None for no such cut.
        require_validation: whether labels with a failed verdict are refused. (Without a verdict they are not: the proof
            says so.)
    """

    dataset: str
    time: str
    chosen: list[Chosen]
    as_of: datetime | None = None
    require_validation: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values, for the manifest."""
        return {
            "features": {one.view: [feature.name for feature in one.features] for one in self.chosen},
            "event_timestamp": self.time,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
        }

    @property
    def keys(self) -> list[str]:
        """The labels' key columns, of all views together."""
        return list(dict.fromkeys(key for one in self.chosen for key in one.keys))

    @property
    def types(self) -> dict[str, str]:
        """The SQL types of the columns that a file of labels without types must have."""
        kinds = {key: kind for one in self.chosen for key, kind in one.types.items()}
        return {key: _CSV_TYPES[kind] for key, kind in kinds.items() if kind in _CSV_TYPES} | {self.time: "TIMESTAMPTZ"}


def assemble(
    labels: Artifact | str | Path, wanted: Wanted, *, root: Storage, run: Run, engine: DuckDBSettings | None
) -> Artifact:
    """Join and publish what was looked up in Feast; the errors are those of `training_set`."""
    watch = Stopwatch()
    details = wanted.as_dict()
    with _scratch(engine) as scratch, open_labels(labels, root.options, scratch, wanted.types) as opened:
        task = _Task(opened, wanted, root, scratch)
        with _computing(wanted.dataset), DuckDBEngine.open(engine) as duck:
            joined = task.join(duck)
            description = Description(
                dataset=wanted.dataset,
                stage=STAGE,
                run=run,
                config_hash=hashlib.sha256(json.dumps(details, sort_keys=True).encode()).hexdigest()[:16],
                inputs=joined.inputs,
                details=details,
            )
            return _publish(root, description, task, joined, watch)


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """The join, ready to be read.

    Attributes:
        said: the proof's parts: of the labels, and of each view.
    """

    join: Join
    spine: Spine
    snapshots: list[Snapshot]
    matches: list[Match]
    inputs: tuple[Input, ...]
    said: tuple[dict[str, Any], list[dict[str, Any]]]


class _Task:
    """One training set: its labels and the history of its views."""

    def __init__(self, labels: Labels, wanted: Wanted, root: Storage, scratch: Path) -> None:
        self.labels, self.wanted, self.scratch = labels, wanted, scratch
        if wanted.require_validation and labels.validation == "failed":
            raise GateClosedError(
                f"the labels {labels.uri} failed validation, so no training set is made of them",
                hint="Repair them, or set feature_store.require_validation to false, which the proof will say.",
                artifact=labels.uri,
            )
        labels.check(wanted.keys, wanted.time)
        self.histories = [History(one, root.options) for one in wanted.chosen]
        self._refuse_same_names()
        self._refuse_other_keys()

    @property
    def kinds(self) -> list[list[pa.DataType]]:
        """The features' types, per view."""
        return [
            [history.schema.field(feature.column).type for feature in history.chosen.features]
            for history in self.histories
        ]

    @property
    def schema(self) -> pa.Schema:
        """The training set's columns: the labels', then the features."""
        import pyarrow as pa

        fields = [
            pa.field(feature.name, kind)
            for history, kinds in zip(self.histories, self.kinds, strict=True)
            for feature, kind in zip(history.chosen.features, kinds, strict=True)
        ]
        return pa.schema([*self.labels.schema.remove_metadata(), *fields])

    def _refuse_same_names(self) -> None:
        for history in self.histories:
            for feature in history.chosen.features:
                if feature.name in self.labels.schema.names:
                    raise ConfigError.invalid(
                        where=self.labels.uri,
                        key=repr(feature.name),
                        problem=f"is a column of the labels and a feature of {history.chosen.view!r}",
                        hint="Ask for full feature names (view__feature), or rename the labels' column.",
                    )

    def _refuse_other_keys(self) -> None:
        for history in self.histories:
            for ours, theirs in history.chosen.keys.items():
                mine, its = self.labels.schema.field(ours).type, history.schema.field(theirs).type
                if _family(mine) != _family(its):
                    raise ConfigError.invalid(
                        where=self.labels.uri,
                        key=repr(ours),
                        problem=f"is {mine}, but {its} in feature view {history.chosen.view!r}",
                        hint="Give the labels keys of the view's type.",
                    )

    def join(self, duck: DuckDBEngine) -> _Joined:
        """Join view after view, and count."""
        wanted = self.wanted
        join = Join(duck, wanted.keys, self.scratch, wanted.as_of)
        spine = join.read(self.labels, wanted.time)
        _warn(self.labels, spine, wanted.time)
        snapshots, matches = [], []
        for history in self.histories:
            start, end = join.window(history.chosen, spine)
            files = history.within(start, end) if end is not None else []
            # Without rows that can matter one file still tells the columns.
            snapshots.append(history.take(files or history.files[:1], self.scratch))
            matches.append(join.match(history.chosen, snapshots[-1], spine))
        views = zip(wanted.chosen, matches, snapshots, strict=True)
        return _Joined(
            join=join,
            spine=spine,
            snapshots=snapshots,
            matches=matches,
            inputs=(self.labels.input, *(item for snapshot in snapshots for item in snapshot.inputs)),
            said=(
                proof.of_labels(self.labels, spine, time=wanted.time, as_of=wanted.as_of),
                [proof.of_view(one, match, snapshot, spine) for one, match, snapshot in views],
            ),
        )


def _publish(root: Storage, description: Description, task: _Task, joined: _Joined, watch: Stopwatch) -> Artifact:
    labels, views = joined.said
    with ArtifactWriter(root, description, task.schema) as writer:
        found = [Found(joined.join.rows(number), kinds) for number, kinds in enumerate(task.kinds)]
        writer.write_all(beside(task.labels.batches(), found, task.schema))
        task.labels.check_unchanged()
        proof.check(description.dataset, writer.rows, labels, views, [rows.finish() for rows in found])
        for history, snapshot in zip(task.histories, joined.snapshots, strict=True):
            history.check_unchanged(snapshot)
        metrics = Metrics(**_counts(joined), **watch.readings())
        artifact = writer.publish(metrics, {"labels": labels, "views": views})
    document = {
        "fingerprint": artifact.fingerprint,
        "dataset": description.dataset,
        "rows_in": labels["rows"],
        "rows_out": artifact.manifest.rows,
        "tie_break": proof.TIE_BREAK,
        "labels": labels,
        "views": views,
    }
    artifact.write_beside(proof.PROOF, json.dumps(document, indent=2).encode())
    return artifact


def _counts(joined: _Joined) -> dict[str, float]:
    return {
        "labels": joined.spine.rows,
        "labels_without_features": joined.join.unmatched(),
        "labels_without_key": joined.spine.without_key,
        "labels_without_time": joined.spine.without_time,
        "pit_violations": sum(match.violations for match in joined.matches),
    }


def _warn(labels: Labels, spine: Spine, time: str) -> None:
    if spine.rows == 0:
        _log.warning("%s: there are no labels, so the training set is empty", labels.uri)
    if spine.without_time:
        _log.warning(
            "%s: %d of %d labels have no %s and get no features", labels.uri, spine.without_time, spine.rows, time
        )
    if spine.after_as_of:
        _log.warning(
            "%s: %d of %d labels are later than the run; they get the features known at its moment",
            labels.uri,
            spine.after_as_of,
            spine.rows,
        )


def _select(store: FeatureStore, root: Storage, features: Sequence[str] | str, *, full_names: bool) -> list[Chosen]:
    settings = Settings.of(store, root)
    opened = open_store(store, root)
    with translated(settings.secrets, doing="look features up"):
        return select(opened, features, full_names=full_names)


def _family(kind: pa.DataType) -> str:
    """Return what keys can be compared by: all texts are one kind, all whole numbers another."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    return "whole number" if pa.types.is_integer(kind) else str(kind)


@contextmanager
def _scratch(engine: DuckDBSettings | None) -> Iterator[Path]:
    """Give a folder for copies, where the engine spills to."""
    folder = engine.temp_directory if engine is not None else None
    with tempfile.TemporaryDirectory(prefix="mlpipe-training-", dir=folder) as scratch:
        yield Path(scratch)


@contextmanager
def _computing(dataset: str) -> Iterator[None]:
    """Turn what the engine says into a FeatureError."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise FeatureError.because(
            where=dataset,
            feature="point-in-time join",
            problem=f"ran out of memory: {_first_line(error)}",
            hint="Raise memory_limit of the engine, or give it a temp_directory with more room to spill to.",
        ) from error
    except duckdb.Error as error:
        raise FeatureError.because(
            where=dataset,
            feature="point-in-time join",
            problem=f"could not be computed: {_first_line(error)}",
            hint="The engine refused the data; nothing was published.",
        ) from error


def _first_line(error: Exception) -> str:
    return redact(str(error).partition("\n")[0])
