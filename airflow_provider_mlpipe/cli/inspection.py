"""Looking at what there is: ``artifact``, ``online``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.options import Json, Root, open_artifact, storage
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(artifact)
    app.command()(online)


def artifact(
    uri: Annotated[str, typer.Argument(help="The artifact's URI or folder.")],
    verdict: Annotated[bool, typer.Option("--verdict", help="Show the verdict on this content.")] = False,
    rows: Annotated[int, typer.Option(min=0, help="Show the first N rows.")] = 0,
    as_json: Json = False,
) -> None:
    """Show an artifact: its manifest, its verdict, its first rows."""
    with results(as_json=as_json) as out:
        opened = open_artifact(uri)
        document: dict[str, Any] = {"uri": opened.uri, "manifest": _manifest(opened)}
        if verdict:
            document["verdict"] = opened.verdict()
        if rows:
            document["rows"] = _first_rows(opened, rows)
        out.emit(document, lambda console: _show(document, console))


def _manifest(opened: Artifact) -> dict[str, Any]:
    from dataclasses import asdict

    fields = asdict(opened.manifest)
    del fields["arrow_schema"]  # the same as schema, in a form that nobody reads
    return fields


def _first_rows(opened: Artifact, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for batch in opened.batches(batch_size=min(number, 65_536)):
        found.extend(batch.slice(0, number - len(found)).to_pylist())
        if len(found) == number:
            break
    return found


def _show(document: dict[str, Any], console: Console) -> None:
    manifest = document["manifest"]
    facts = [
        (key, manifest[key]) for key in ("dataset", "stage", "partition", "rows", "bytes", "fingerprint", "created_at")
    ]
    facts.extend((f"input {item['name']}", item["uri"]) for item in manifest["inputs"])
    console.print(table(document["uri"], ("manifest", ""), [(key, str(value)) for key, value in facts]))
    fields = [(field["name"], field["type"], field["nullable"]) for field in manifest["schema"]]
    console.print(table("", ("column", "type", "nullable"), fields))
    if manifest["metrics"]:
        console.print(table("", ("metric", "value"), list(manifest["metrics"].items())))
    if "verdict" in document:
        _show_verdict(document["verdict"], console)
    if found := document.get("rows"):
        console.print(table("", list(found[0]), [list(row.values()) for row in found]))


def _show_verdict(verdict: dict[str, Any] | None, console: Console) -> None:
    if verdict is None:
        console.print("No verdict for this content: it was not validated, or it changed since.")
        return
    facts = [(key, str(value)) for key, value in verdict.items() if not isinstance(value, (dict, list))]
    facts.extend(verdict.get("counts", {}).items())
    console.print(table("", ("verdict", ""), [(key, str(value)) for key, value in facts]))


def online(
    view: Annotated[str, typer.Argument(help="The Feast feature view, such as user_profile_features.")],
    keys: Annotated[list[str], typer.Argument(metavar="KEY...", help="Entities to read, as KEY or column=KEY.")],
    config: Annotated[Path, typer.Option("--config", help="The feature file.")] = Path("config/feature_config.yaml"),
    root: Root = "./artifacts",
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Only these; all if absent. May be given several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the features of entities from the online store, as a model server would."""
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe import feature_store

    with results(as_json=as_json) as out:
        store = configs.feature_store(config).model
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

    known = {}
    for name in configs.document_of(config).data:
        if name != RESERVED:
            model = configs.feature_set(config, name).model
            known[model.feast.name_for(name)] = model.entity or f"{name.removesuffix('_features')}_id"
    if view not in known:
        raise ConfigError.unknown_name(
            where=str(config), kind="feature view", name=view, known=known, hint="Or say what the key is: column=KEY."
        )
    return known[view]
