"""Looking at what there is: ``artifact``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.options import Json, open_artifact
from airflow_provider_mlpipe.cli.results import results, table

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(artifact)


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
