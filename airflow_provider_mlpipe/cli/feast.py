"""``mlpipe feast``: definitions for Feast, written out as a repository or put into the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_mlpipe.cli.options import FeastConnId, Json, Root, open_artifact, storage, store_of
from airflow_provider_mlpipe.cli.results import results

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["add_to"]

FeatureConfig = Annotated[Path, typer.Option("--config", help="The feature file, for its feature_store section.")]


def add_to(app: typer.Typer) -> None:
    """Register the group and its commands."""
    group = typer.Typer(name="feast", help="Feast definitions of feature artifacts.", no_args_is_help=True)
    group.command()(export)
    group.command()(apply)
    app.add_typer(group)


def export(
    artifacts: Annotated[
        list[str], typer.Argument(metavar="ARTIFACT...", help="Feature artifacts, one per feature view.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; an earlier export is replaced.")],
    config: FeatureConfig = Path("config/feature_config.yaml"),
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    as_json: Json = False,
) -> None:
    """Write a standard Feast repository, which feast apply, feast materialize and feast serve take as it is.

    Secrets are left out: ${VARIABLES} stand in their place. The repository has a registry of its own, for feast apply
    removes from a registry what the repository does not define.
    """
    from airflow_provider_mlpipe import feature_store

    with results(as_json=as_json) as out:
        store = store_of(config, feast_conn_id)
        opened = [open_artifact(uri) for uri in artifacts]
        written = feature_store.export(opened, folder, store, root=storage(root))
        document = {
            "folder": str(written.folder),
            "views": list(written.views),
            "variables": list(written.variables),
            "without_data": list(written.without_data),
        }

        def people(console: Console) -> None:
            console.print(f"{written.folder}: {', '.join(written.views)}", markup=False)
            for name in written.variables:
                console.print(f"set {name} before using it: a secret stood in its place", markup=False)
            for view in written.without_data:
                console.print(f"{view} has no offline data yet: mlpipe materialize ARTIFACT", markup=False)
            console.print(f"next: feast -c {written.folder} apply", markup=False)

        out.emit(document, people)


def apply(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="The feature artifact's URI or folder.")],
    config: FeatureConfig = Path("config/feature_config.yaml"),
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    as_json: Json = False,
) -> None:
    """Tell Feast's registry of a feature artifact's view, without putting anything online.

    Unlike feast apply this removes nothing, and it keeps what Feast knows of earlier materializations.
    """
    from airflow_provider_mlpipe import feature_store

    with results(as_json=as_json) as out:
        store = store_of(config, feast_conn_id)
        opened = open_artifact(artifact)
        with out.progress("registering"):
            done = feature_store.register(opened, store, root=storage(root))
        document = {"view": done.view, "service": done.service, "features": done.features}
        text = f"{done.view}: {len(done.features)} features known to Feast"
        out.emit(document, lambda console: console.print(text, markup=False))
