"""Assets: what the event of an outlet says of the artifact, and how the Dag that it triggers finds that artifact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions._internal.mixins import ResolveMixin

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.operators.base import TaskFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.artifacts import Artifact, S3Options

__all__ = ["artifact_of", "asset_extra", "report_outlets", "resolved", "schema_hash"]

_COUNTS = (
    "total_checks", "passed", "failed", "errors", "warnings", "skipped", "rows_validated", "rows_quarantined"
)  # fmt: skip


def schema_hash(artifact: Artifact) -> str:
    """Return a digest of the columns' names, types and order: another value means that the schema has changed."""
    columns = [[column["name"], column["type"]] for column in artifact.manifest.schema]
    return "schema-" + hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]


def asset_extra(artifact: Artifact) -> dict[str, Any]:
    """Return what an asset event says of an artifact: a few small facts, and where everything else is.

    ``artifact`` (its URI), ``dataset``, ``stage``, ``partition``, ``rows``, ``fingerprint`` and ``schema_hash``; once
    exactly this content was judged, ``verdict`` (``passed`` and the counts by rule) and ``report``.
    """
    manifest = artifact.manifest
    extra: dict[str, Any] = {
        "artifact": artifact.uri,
        "dataset": manifest.dataset,
        "stage": manifest.stage,
        "partition": manifest.partition,
        "rows": manifest.rows,
        "fingerprint": artifact.fingerprint,
        "schema_hash": schema_hash(artifact),
    }
    verdict = artifact.verdict()
    if verdict is not None:
        counts = verdict.get("counts", {})
        # `passed` is also the name of the count of rules that held; here it is the verdict.
        renamed = {"passed": "rules_passed", "failed": "rules_failed"}
        known = {renamed.get(name, name): counts[name] for name in _COUNTS if name in counts}
        extra |= {"verdict": {"passed": bool(verdict["passed"]), **known}, "report": verdict.get("report", "")}
    return extra


def report_outlets(context: Context, outlets: Sequence[Any], extra: Mapping[str, Any]) -> None:
    """Put `extra` into the event of every asset among `outlets`; Airflow sends events only of tasks that succeed.

    What is there already, from a ``pre_execute`` of the author's, goes before it. An alias has no event of its own: the
    assets that ``pre_execute`` added to it get theirs; without any, the folder of the artifact's dataset is its asset.

    Args:
        context: of the task.
        outlets: of the task.
        extra: JSON values.
    """
    from airflow.providers.common.compat.sdk import AssetAlias

    events: Any = context.get("outlet_events")
    for outlet in outlets if events is not None else ():
        try:
            event = events[outlet]
        except (KeyError, TypeError):  # something that Airflow keeps no events of
            continue
        told = event.asset_alias_events if isinstance(outlet, AssetAlias) else [event]
        for each in told:
            each.extra = {**extra, **each.extra}
        if not told:
            _add_folders(event, extra)


def _add_folders(alias: Any, extra: Mapping[str, Any]) -> None:  # noqa: ANN401 - Airflow's accessor
    """Let an alias send an event for what each artifact is a partition of."""
    from airflow.providers.common.compat.sdk import Asset

    for one in extra.get("artifacts", {"": extra}).values():
        folder = one["artifact"].rpartition("/")[0]
        alias.add(Asset(folder if "://" in folder else f"file://{folder}"), extra=dict(one))


def extras_of(
    published: str | Mapping[str, str], options: S3Options, outlets: Sequence[Any]
) -> list[tuple[Sequence[Any], dict[str, Any]]]:
    """Return which outlets get which extra.

    Of several artifacts by name, an asset of that name gets its own; any other gets all of them, below ``artifacts``.
    """
    from airflow_provider_mlpipe.artifacts import Artifact

    if not isinstance(published, Mapping):
        return [(outlets, asset_extra(Artifact.open(str(published), options)))]
    extras = {name: asset_extra(Artifact.open(uri, options)) for name, uri in published.items()}
    given = [([outlet], extras[outlet.name]) for outlet in outlets if getattr(outlet, "name", None) in extras]
    others = [outlet for outlet in outlets if getattr(outlet, "name", None) not in extras]
    return [*given, (others, {"artifacts": extras})]


def artifact_of(asset: Any, *, name: str | None = None, every: bool = False) -> Any:  # noqa: ANN401 - any asset
    """Return what becomes the URI of an asset's artifact when a task executes, for ``artifact=`` and ``inputs=``.

    That is what the newest of the events says that triggered the run. A run that something else triggered takes the
    asset's newest event, if the asset is among the task's ``inlets``.

    Example::

        users = Asset("users")
        with DAG("downstream", schedule=[users]):
            ValidateOperator(
                task_id="check", artifact=artifact_of(users), inlets=[users], config="validation_config.yaml"
            )

    Args:
        asset: the outlet of the task that publishes: an `Asset`, or a reference to one.
        name: which one, if that task publishes several by name (`ValidateOperator`).
        every: take all events that triggered the run, the oldest first: each artifact once, and all of them together
            count as one.
    """
    return _ArtifactOf(asset, name, every=every)


def resolved(value: Any, context: Context) -> Any:  # noqa: ANN401 - what an operator was given
    """Return `value` with the URIs in place of every `artifact_of` in it; `value` itself if it holds none.

    Raises:
        TaskFailed: one has none.
    """
    if isinstance(value, _ArtifactOf):
        return value.resolve(context)
    if type(value) not in {list, tuple, dict}:
        return value
    held = list(value.values() if isinstance(value, dict) else value)
    items = [resolved(item, context) for item in held]
    if all(item is before for item, before in zip(items, held, strict=True)):
        return value
    return dict(zip(value, items, strict=True)) if isinstance(value, dict) else type(value)(items)


class _ArtifactOf(ResolveMixin):
    """Resolved by Airflow where it renders templates."""

    def __init__(self, asset: Any, name: str | None, *, every: bool) -> None:  # noqa: ANN401 - any asset
        self._asset, self._name, self._every = asset, name, every

    def __repr__(self) -> str:
        """Return what a Dag's page shows before the task executes; the same at every parse."""
        of = getattr(self._asset, "name", None) or getattr(self._asset, "uri", "")
        return f"artifact_of({of}{f', {self._name}' if self._name else ''})"

    def iter_references(self) -> Iterable[tuple[Any, str]]:
        """Return the tasks that this depends on: none."""
        return ()

    def resolve(self, context: Context) -> str | list[str]:
        """Return the URI, or several.

        Raises:
            TaskFailed: no event of the asset names an artifact.
        """
        found = list(dict.fromkeys(filter(None, map(self._uri, self._events(context)))))
        if not found:
            raise TaskFailed(
                ConfigError.invalid(
                    where=f"task {context['ti'].task_id}",
                    key=repr(self),
                    problem="no event of this asset triggered the run, or what published it named no artifact",
                    hint="Let the asset trigger the Dag, or give the task inlets=[asset] to take the newest; and give "
                    "the asset as outlet to an operator of this package.",
                )
            )
        return found if self._every else found[-1]

    def _events(self, context: Context) -> list[Any]:
        """Return the events that triggered the run; else the newest of an inlet."""
        for events, which in (("triggering_asset_events", slice(None)), ("inlet_events", slice(-1, None))):
            accessor: Any = context.get(events, {})
            try:
                found = list(accessor[self._asset])
            except KeyError:
                continue
            if found:
                return found[which]
        return []

    def _uri(self, event: Any) -> str:  # noqa: ANN401 - Airflow's
        extra = event.extra or {}
        if self._name is not None:
            extra = extra.get("artifacts", {}).get(self._name, {})
        return str(extra.get("artifact", ""))
