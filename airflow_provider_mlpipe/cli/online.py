"""``mlpipe online``: what the online store answers, and what it held before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from airflow_provider_mlpipe.cli.options import FeastConnId, Json, Root, located, open_artifact, storage, store_of
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["add_to"]

FeatureConfig = Annotated[Path, typer.Option("--config", help="The feature file.")]

_HELP = ("-h", "--help")


class _ReadUnlessToldOtherwise(TyperGroup):
    """A group whose first command need not be named, for ``mlpipe online VIEW KEY...`` is what most ask for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's, without a public name
        if not args or args[0] not in {*self.commands, *_HELP}:
            args = ["read", *args]
        return super().parse_args(ctx, args)


def add_to(app: typer.Typer) -> None:
    """Register the group and its commands."""
    group = typer.Typer(
        name="online",
        cls=_ReadUnlessToldOtherwise,
        help="Features in the online store: read them (mlpipe online VIEW KEY...), or roll a view back.",
        subcommand_metavar="[read|rollback] VIEW ...",
    )
    group.command()(read)
    group.command()(rollback)
    app.add_typer(group)


def rollback(
    view: Annotated[str, typer.Argument(help="The Feast feature view, such as user_profile_features.")],
    to: Annotated[str, typer.Option("--to", metavar="ARTIFACT", help="The feature artifact to go back to.")],
    config: FeatureConfig = Path("config/feature_config.yaml"),
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make what a view serves exactly the rows of an earlier artifact.

    Entities that differ are written again, newer values or not; entities that the artifact does not hold are removed.
    It must have passed the gate. Offline data and training sets keep the past as it was served. The next
    materialisation of a later interval goes online as always: pause it until its cause is repaired. For SQLite and
    Redis.
    """
    from airflow_provider_mlpipe.feature_store import rollback as roll_back

    with results(as_json=as_json) as out:
        store = store_of(config, feast_conn_id)
        artifact = open_artifact(to)
        with out.progress(f"rolling {view} back"):
            done = roll_back(view, artifact, store=store, root=storage(root), dry_run=dry_run)
        counts = {
            "rewritten": done.rewritten,
            "changed": done.changed,
            "removed": done.removed,
            "unchanged": done.unchanged,
        }
        document = {
            "view": done.view,
            "artifact": artifact.uri,
            "dry_run": done.dry_run,
            **counts,
            "dropped": list(done.dropped),
            "newest_online_before": done.newest,
            "rows_read_back": done.rows_read_back,
            "gate": done.gate,
            "metrics": dict(done.metrics),
        }

        def people(console: Console) -> None:
            title = f"{done.view} -> {artifact.uri}" + (" (dry run: nothing was changed)" if done.dry_run else "")
            meanings = {
                "rewritten": "written again: values or time differ",
                "changed": "of these, other values",
                "removed": "not in the artifact",
                "unchanged": "as in the artifact",
            }
            console.print(table(title, ("entities", "", "what"), [(n, counts[n], meanings[n]) for n in meanings]))
            if done.dropped:
                console.print(f"features not served any more: {', '.join(done.dropped)}", markup=False)

        out.emit(document, people)


def read(
    view: Annotated[str, typer.Argument(help="The Feast feature view, such as user_profile_features.")],
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Entities to read, as KEY or column=KEY.")],
    config: FeatureConfig = Path("config/feature_config.yaml"),
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Only these; all if absent. May be given several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the features of entities from the online store, as a model server would.

    The word read may be left out: mlpipe online VIEW KEY...
    """
    from airflow_provider_mlpipe import feature_store

    with results(as_json=as_json) as out:
        store = store_of(config, feast_conn_id)
        entities = [_entity_row(text, config, view) for text in keys]
        with out.progress(f"reading {view}"):
            found = feature_store.read_online(
                store, root=storage(root), view=view, entity_rows=entities, features=feature or None
            )

        def people(console: Console) -> None:
            columns = list(found[0]) if found else []
            console.print(table(view, columns, [[row.get(name) for name in columns] for row in found]))

        out.emit({"view": view, "rows": found}, people)


def _entity_row(text: str, config: Path, view: str) -> dict[str, str]:
    column, equals, key = text.partition("=")
    if equals and column and key:
        return {column: key}
    return {_entity_of(config, view): text}


def _entity_of(config: Path, view: str) -> str:
    """Return the key column of the feature set that the view serves, by the file."""
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe.config.features import RESERVED

    known, config = {}, located(config)
    for name in configs.document_of(config).data:
        if name != RESERVED:
            model = configs.feature_set(config, name).model
            known[model.feast.name_for(name)] = model.entity or f"{name.removesuffix('_features')}_id"
    if view not in known:
        raise ConfigError.unknown_name(
            where=str(config), kind="feature view", name=view, known=known, hint="Or say what the key is: column=KEY."
        )
    return known[view]
