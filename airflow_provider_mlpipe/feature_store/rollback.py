"""Online rollback: what is online becomes one artifact's rows again, and nothing else.

Entities that differ from the artifact are written again, entities that it does not hold are taken away. The past stays
as it was: the offline data, and with them every training set, keep the days that are rolled back, because those days
were served. The next materialisation of a later interval goes online as always.
"""

from __future__ import annotations

import json
import logging
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ONLINE, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.errors import ConfigError, ReadBackError, StoreRejectedError
from airflow_provider_mlpipe.feature_store import guard, read_back
from airflow_provider_mlpipe.feature_store.definitions import CREATED, Definition
from airflow_provider_mlpipe.feature_store.difference import Comparison, Difference
from airflow_provider_mlpipe.feature_store.inventory import check_kind, inventory_of
from airflow_provider_mlpipe.feature_store.materialization import alone, passage, put_online, ready, write_record
from airflow_provider_mlpipe.feature_store.online import connect
from airflow_provider_mlpipe.feature_store.repository import check as check_repository
from airflow_provider_mlpipe.feature_store.settings import WHERE, Settings
from airflow_provider_mlpipe.feature_store.translation import translated
from airflow_provider_mlpipe.observability.metrics import Metrics, Stopwatch
from airflow_provider_mlpipe.run import Run
from airflow_provider_mlpipe.wording import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["Rollback", "rollback"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """What was done, or what would be.

    Attributes:
        view: the feature view.
        rewritten: entities written again: their values or their time differed from the artifact's.
        changed: of those, how many had other values; the others had the same values at another time.
        removed: entities taken away, because the artifact does not hold them.
        unchanged: entities that were as in the artifact.
        dropped: features of the view that the artifact does not have; they are not served any more.
        newest: the newest event_timestamp that was online for an entity of the artifact; None if none was.
        rows_read_back: entities read back as a model server reads them, and compared.
        dry_run: whether nothing was done.
        gate: ``passed``, or what the gate would have refused had it not been overridden.
        metrics: all numbers, by the names of the metric registry.
    """

    view: str
    rewritten: int
    changed: int
    removed: int
    unchanged: int
    dropped: tuple[str, ...] = ()
    newest: datetime | None = None
    rows_read_back: int = 0
    dry_run: bool = False
    gate: str = "passed"
    metrics: Metrics = field(default_factory=Metrics)


def rollback(view: str, to: Artifact, *, store: FeatureStore, root: Storage, dry_run: bool = False) -> Rollback:
    """Make what `view` serves exactly the rows of an artifact, where newer rows are online too.

    The guard of newer rows is set aside on purpose. Run again after a kill, it completes; run again after that, it
    changes nothing.

    Args:
        view: the feature view.
        to: the feature artifact, which must pass the gate.
        store: where Feast is; its online store must be SQLite or Redis.
        root: the artifact root.
        dry_run: count, and change nothing.

    Raises:
        ConfigError: no such view, an artifact of another view, or another kind of online store.
        GateClosedError: an input of the artifact has no passed verdict for exactly its content.
        StoreRejectedError: the artifact has no rows, or rows that Feast cannot hold.
        StoreUnavailableError: the registry or the online store does not answer, or is locked for too long.
        ReadBackError: afterwards, what is online is not what the artifact holds.
    """
    watch = Stopwatch()
    settings = Settings.of(store, root)
    check_kind(settings)
    definition = Definition.of(to)
    _check(view, to, definition)
    gate = passage(to, store)
    facts = guard.survey(to, definition)
    if not facts.rows:
        raise StoreRejectedError(
            f"{redact(to.uri)} has no rows: a rollback to it would take every entity of {view!r} offline",
            hint="Roll back to an artifact with rows.",
            uri=redact(to.uri),
        )
    work = _Work(to, definition, facts, settings, gate)
    if dry_run:
        done = work.count()
    else:
        with alone(settings, view):
            done = work.do(count=store.read_back)
    metrics = Metrics(
        rows_materialized=done.rewritten,
        rows_removed=done.removed,
        rows_read_back=done.rows_read_back,
        mismatches=0,
        gate_overridden=int(gate != "passed"),
        **watch.readings(),
    )
    return replace(done, metrics=metrics)


def _check(view: str, to: Artifact, definition: Definition) -> None:
    if view != definition.view:
        raise ConfigError.invalid(
            where=redact(to.uri),
            key="view",
            problem=f"this artifact belongs to {definition.view!r}, not to {view!r}",
            hint=f"Give an artifact of {view!r}, or roll back {definition.view!r}.",
        )


@dataclass(frozen=True)
class _Work:
    """One rollback: to what, as what, where."""

    artifact: Artifact
    definition: Definition
    facts: guard.Survey
    settings: Settings
    gate: str

    def count(self) -> Rollback:
        """Return what would be done."""
        opened, view = self._opened()
        if (repository := self.settings.repository) is not None:
            check_repository(opened, self.definition, repository.folder, complete=True)
        with self._translated():
            if guard.has_table(self.settings, opened.project, view.name):
                found = self._comparison(opened, view).run()
            else:
                found = Difference(rewrite=self.facts.entities, changed=self.facts.entities)
        return self._result(found, self._dropped(view), dry_run=True)

    def do(self, *, count: int) -> Rollback:
        """Roll back, and prove it; the caller holds the lock.

        Args:
            count: how many entities to read back as a model server reads them.
        """
        opened, view = self._opened()
        dropped = self._dropped(view)
        with self._translated():
            # First, for afterwards the registry has forgotten them, and a kill between would leave their values behind.
            # A repository's view is not ours to change: an artifact that does not fit it is refused right below.
            ours = self.settings.repository is None
            if dropped and ours and guard.has_table(self.settings, opened.project, view.name):
                inventory_of(self.settings, opened, view).drop(dropped)
        opened = ready(self.settings, self.definition, self.artifact)
        with self._translated(), tempfile.TemporaryDirectory(prefix="mlpipe-rollback-") as folder:
            view = opened.registry.get_feature_view(self.definition.view, opened.project)
            comparison = self._comparison(opened, view)
            with self._writer(folder) as writer:
                found = comparison.run(writer)
                due = writer.publish()
            self._announce(found, dropped)
            record = _Record(self.artifact, view.name)
            record.begin(found)
            if found.rewrite:
                put_online(opened, view.name, due, self.facts.start, self.facts.end, overwrite=True)
            comparison.inventory.remove(found.excess)
            _prove(comparison)
            compared = read_back.compare(self.artifact, self.definition, opened, count=count)
        done = replace(self._result(found, dropped, dry_run=False), rows_read_back=compared)
        record.finish(done)
        return done

    def _opened(self) -> tuple[Any, Any]:
        """Return Feast's store and the view as it is registered.

        Raises:
            ConfigError: there is no such view.
        """
        opened = connect(self.settings)
        with self._translated():
            views = {found.name: found for found in opened.registry.list_feature_views(opened.project)}
        if self.definition.view not in views:
            raise ConfigError.unknown_name(
                where=WHERE,
                kind="feature view",
                name=self.definition.view,
                known=views,
                hint="Nothing of it is online, so there is nothing to roll back: mlpipe materialize ARTIFACT.",
            )
        return opened, views[self.definition.view]

    def _comparison(self, opened: Any, view: Any) -> Comparison:  # noqa: ANN401 - feast has no types
        inventory = inventory_of(self.settings, opened, view)
        return Comparison(self.artifact, self.definition, self.facts, opened, view, inventory)

    def _dropped(self, view: Any) -> tuple[str, ...]:  # noqa: ANN401 - feast has no types
        """Return the registered features that the artifact does not have."""
        return tuple(item.name for item in view.features if item.name not in self.definition.columns)

    def _writer(self, folder: str) -> ArtifactWriter:
        description = Description(dataset="due", stage="features", run=Run(), details=self.artifact.manifest.details)
        return ArtifactWriter(Storage(folder), description, self.artifact.schema, volatile=(CREATED,))

    def _announce(self, found: Difference, dropped: tuple[str, ...]) -> None:
        _log.warning(
            "ROLLBACK of %s to %s (event_timestamp %s to %s; the newest online is of %s). The guard of newer rows is "
            "set aside: %d entities are written again (%d of them have other values), %d are removed, %d stay%s",
            self.definition.view, redact(self.artifact.uri), self.facts.start, self.facts.end, found.newest,
            found.rewrite, found.changed, len(found.excess), found.unchanged,
            f"; not served any more: {', '.join(dropped)}" if dropped else "",
        )  # fmt: skip

    def _result(self, found: Difference, dropped: tuple[str, ...], *, dry_run: bool) -> Rollback:
        return Rollback(
            view=self.definition.view,
            rewritten=found.rewrite,
            changed=found.changed,
            removed=len(found.excess),
            unchanged=found.unchanged,
            dropped=dropped,
            newest=found.newest,
            dry_run=dry_run,
            gate=self.gate,
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self.settings.secrets, doing=f"roll {self.definition.view!r} back"):
            yield


def _prove(comparison: Comparison) -> None:
    """Compare all again: nothing may differ.

    Raises:
        ReadBackError: something does.
    """
    left = comparison.run()
    if left.rewrite or left.excess:
        raise ReadBackError(
            f"feature view {comparison.definition.view!r} was rolled back, and still {left.rewrite} entities differ "
            f"from {redact(comparison.artifact.uri)} and {len(left.excess)} are online that it does not hold",
            hint="Something else writes to this view: stop it, then roll back again.",
            view=comparison.definition.view,
            mismatches=left.rewrite + len(left.excess),
        )


class _Record:
    """What is left beside the artifact's data: that it was rolled back to, when, and from what.

    It is begun before anything changes, because afterwards what was online is not known any more.
    """

    def __init__(self, artifact: Artifact, view: str) -> None:
        self._artifact = artifact
        self._view = view

    def begin(self, found: Difference) -> None:
        """Write what is about to happen; after a kill, what was written before the first attempt stays."""
        before = self._read().get("rolled_back", {})
        unfinished = before and "finished_at" not in before
        if unfinished or (before and not found.rewrite and not found.excess):
            return
        newest = found.newest.isoformat() if found.newest else None
        self._write({"started_at": _now(), "from": {"newest_event_timestamp": newest}})

    def finish(self, done: Rollback) -> None:
        """Add the result, unless it was finished before and nothing was left to do."""
        facts = self._read()["rolled_back"]
        if "finished_at" in facts:
            return
        counts = {name: getattr(done, name) for name in ("rewritten", "changed", "removed", "unchanged")}
        self._write({**facts, "finished_at": _now(), **counts, "dropped": list(done.dropped), "gate": done.gate})

    def _read(self) -> dict[str, Any]:
        """Return what is there about exactly this content; the least if it is nothing that can be read."""
        try:
            found = json.loads(self._artifact.read_beside(ONLINE) or b"{}")
        except ValueError:
            found = {}
        least = {"fingerprint": self._artifact.fingerprint, "view": self._view, "metrics": {}}
        return dict(found) if found.get("fingerprint") == self._artifact.fingerprint else least

    def _write(self, facts: dict[str, Any]) -> None:
        write_record(self._artifact, {**self._read(), "rolled_back": facts})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
