"""From a feature artifact to the online store: gate, definitions, offline data, guard, write, read back."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ONLINE, Storage
from airflow_provider_mlpipe.errors import GateClosedError, MlpipeError, StoreRejectedError
from airflow_provider_mlpipe.feature_store import gate, guard, read_back, repository
from airflow_provider_mlpipe.feature_store.definitions import Definition, apply
from airflow_provider_mlpipe.feature_store.intervals import forget_superseded
from airflow_provider_mlpipe.feature_store.locks import held, remove_leftovers
from airflow_provider_mlpipe.feature_store.offline import OfflineData
from airflow_provider_mlpipe.feature_store.online import connect
from airflow_provider_mlpipe.feature_store.settings import SPARK_ENGINE, Settings
from airflow_provider_mlpipe.feature_store.translation import translated, unprinted
from airflow_provider_mlpipe.observability.metrics import Metrics, Stopwatch
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["Materialization", "alone", "materialize", "passage", "put_online", "ready", "write_record"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Materialization:
    """What was done.

    Attributes:
        view: the feature view.
        rows: entities written online.
        rows_read_back: entities read back and compared.
        mismatches: of those, how many differ; always 0, for a difference raises.
        metrics: all numbers, by the names of the metric registry.
        skipped: why nothing at all was written; empty otherwise.
        rows_skipped: entities left alone because newer values of theirs are online; the log names some.
        gate: ``passed``, or what the gate would have refused had it not been overridden.
    """

    view: str
    rows: int
    rows_read_back: int
    mismatches: int
    metrics: Metrics
    skipped: str = ""
    rows_skipped: int = 0
    gate: str = "passed"


def materialize(artifact: Artifact, store: FeatureStore, *, root: Storage) -> Materialization:
    """Put a feature artifact online, and check that it is there.

    A rerun, a clear or a retry after a kill ends in the same state. Entities with newer rows online keep those.

    Args:
        artifact: what `feature_extraction.extract` published.
        store: where Feast is, and how strict to be.
        root: the artifact root: Feast's offline data live below it, and its registry and online store unless `store`
            says otherwise.

    Raises:
        ConfigError: this is no feature artifact, or the settings are wrong.
        GateClosedError: an input has no passed verdict for exactly its content.
        StoreRejectedError: no rows and ``on_empty: fail``, or rows that Feast cannot hold.
        StoreUnavailableError: the registry or the online store does not answer, or is locked for too long.
        ReadBackError: the online store does not answer with what was written.
    """
    watch = Stopwatch()
    settings = Settings.of(store, root)
    definition = Definition.of(artifact)
    passed = passage(artifact, store)
    facts = guard.survey(artifact, definition)
    if facts.rows == 0 and store.on_empty == "fail":
        raise StoreRejectedError(
            f"{artifact.uri} has no rows, so nothing would go online",
            hint="Look at its inputs; or set feature_store.on_empty to skip or allow, if that can be.",
            uri=artifact.uri,
        )
    with alone(settings, definition.view):
        opened = ready(settings, definition, artifact)
        OfflineData(root, definition.view).publish(artifact)
        with translated(settings.secrets, doing=f"materialize {definition.view!r}"):
            outcome = _write(artifact, definition, facts, opened=opened, settings=settings, store=store)
    done = Materialization(
        view=definition.view,
        rows=outcome.written,
        rows_read_back=outcome.compared,
        mismatches=0,
        metrics=Metrics(
            rows_materialized=outcome.written,
            rows_skipped=outcome.skipped,
            rows_read_back=outcome.compared,
            mismatches=0,
            gate_overridden=int(passed != "passed"),
            **_lag(facts, outcome),
            **watch.readings(),
        ),
        skipped=outcome.why,
        rows_skipped=outcome.skipped,
        gate=passed,
    )
    _record(artifact, done)
    return done


def _record(artifact: Artifact, done: Materialization) -> None:
    """Leave beside the data what was done with it: with what result, and, above all, past which gate."""
    record = {
        "fingerprint": artifact.fingerprint,
        "view": done.view,
        "gate": done.gate,
        "skipped": done.skipped,
        "metrics": dict(done.metrics),
    }
    write_record(artifact, record)


def write_record(artifact: Artifact, record: dict[str, Any]) -> None:
    """Write ``_online.json`` beside an artifact's data."""
    remove_leftovers(artifact.place, ONLINE)
    artifact.write_beside(ONLINE, json.dumps(record, indent=2).encode())


@dataclass(frozen=True)
class _Outcome:
    written: int = 0
    skipped: int = 0
    compared: int = 0
    why: str = ""


def _lag(facts: guard.Survey, outcome: _Outcome) -> dict[str, float]:
    """Return how far behind the clock the newest of the artifact's rows is: to be watched, it decides nothing."""
    if facts.end is None or not outcome.written:
        return {}
    return {"online_lag_seconds": round((datetime.now(UTC) - facts.end).total_seconds(), 3)}


def passage(artifact: Artifact, store: FeatureStore) -> str:
    """Return ``passed``, or what an overridden gate says."""
    try:
        gate.check(artifact)
    except GateClosedError as error:
        if store.require_validation:
            raise
        complaint = error.message
    except MlpipeError as error:
        if store.require_validation:
            raise
        complaint = f"the gate could not look: {error.message}"
    else:
        return "passed"
    _log.warning("GATE OVERRIDDEN by feature_store.require_validation: false. Without it: %s", complaint)
    return f"overridden: {complaint}"


@contextmanager
def alone(settings: Settings, view: str) -> Iterator[None]:
    """Keep other writers of this machine out: of what this one writes, and of a registry file altogether.

    Feast reads a registry file, changes it and writes it as a whole, so one that writes meanwhile loses its change. An
    SQL registry takes care of itself once its tables are there.
    """
    with held(settings.lock_for_writing(view), what=f"the online store for {view}"):
        if not settings.registry_is_file:
            yield
            return
        with held(settings.lock_for_registry, what="the registry file"):
            file = Path(settings.registry)
            remove_leftovers(Storage(str(file.parent)), file.name)
            yield


def ready(settings: Settings, definition: Definition, artifact: Artifact) -> Any:  # noqa: ANN401 - feast has no types
    """Return Feast's store, told of the view and fit to be written to."""
    pattern = OfflineData(settings.root, definition.view).pattern

    def prepare() -> Any:  # noqa: ANN401
        opened = connect(settings)
        with translated(settings.secrets, doing=f"register {definition.view!r}, made from {artifact.uri}"):
            complete = guard.has_table(settings, opened.project, definition.view)
            if settings.repository is None:
                apply(opened, definition, pattern, complete=complete, by_spark=settings.by_spark)
            else:
                repository.check(opened, definition, settings.repository.folder, complete=complete)
            _heal(opened, definition.view)
        return opened

    if settings.registry_is_file:
        return prepare()
    with held(settings.lock_for_registry, what="the registry"):
        return prepare()


def _heal(opened: Any, view: str) -> None:  # noqa: ANN401 - feast has no types
    """Free a view that a killed materialisation left as MATERIALIZING, or a failed one after it as GENERATED.

    Feast refuses to serve such a view. We hold the lock, so nobody is at work on it; what is online is what was online
    before, in parts already replaced.
    """
    from feast.feature_view import FeatureViewState

    found = opened.registry.get_feature_view(view, opened.project)
    if found.state in {FeatureViewState.MATERIALIZING, FeatureViewState.GENERATED}:
        _log.warning("Feature view %s was left as %s by a run that was killed; it is freed", view, found.state.name)
        found.state = FeatureViewState.AVAILABLE_ONLINE
        opened.registry.apply_feature_view(found, opened.project, commit=True)


def _write(
    artifact: Artifact,
    definition: Definition,
    facts: guard.Survey,
    *,
    opened: Any,  # noqa: ANN401 - feast has no types
    settings: Settings,
    store: FeatureStore,
) -> _Outcome:
    if facts.start is None or facts.end is None:
        if store.on_empty == "skip":
            return _Outcome(why="the artifact has no rows")
        as_of = instant(artifact.manifest.details["as_of"])
        put_online(opened, definition.view, artifact, as_of, as_of, overwrite=False)
        return _Outcome()
    with guard.due(artifact, definition, facts, store=opened, settings=settings) as due:
        written = facts.entities - due.skipped
        if written == 0:
            return _Outcome(skipped=due.skipped, why=f"all {facts.entities} entities have newer values online")
        put_online(opened, definition.view, due.artifact, facts.start, facts.end, overwrite=due.again)
        compared = read_back.compare(due.artifact, definition, opened, count=store.read_back)
    return _Outcome(written, due.skipped, compared)


def put_online(
    opened: Any,  # noqa: ANN401 - feast has no types
    view: str,
    rows: Artifact,
    start: Any,  # noqa: ANN401
    end: Any,  # noqa: ANN401
    *,
    overwrite: bool,
) -> None:
    """Let Feast write exactly `rows`.

    Both ends of its window are inclusive. Its `materialize_incremental` would start from the wall clock, so that no run
    could be repeated.
    """
    config = opened.config
    config.offline_store.only = rows
    if config.online_store.type == "redis":
        # Its store skips rows whose time is online already, so that corrected values of a rerun would not arrive.
        config.online_store.skip_dedup = overwrite
    if config.batch_engine_config == SPARK_ENGINE:
        _start_spark(config)
    try:
        with unprinted():
            opened.materialize(start, end, feature_views=[view])
    finally:
        config.offline_store.only = None
    opened.refresh_registry()
    forget_superseded(opened, view)


def _start_spark(config: Any) -> None:  # noqa: ANN401 - feast has no types
    """Make the session of the offline store's settings the active one, which Feast's engine takes.

    By itself the engine would hand its own configuration to Spark as it is, and end up on a Spark of this machine.
    """
    from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
        get_spark_session_or_start_new_with_repoconfig,
    )

    get_spark_session_or_start_new_with_repoconfig(config.offline_store)
