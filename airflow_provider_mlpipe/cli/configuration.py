"""Commands before any data: ``check``, ``schema``, ``sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from airflow_provider_mlpipe.cli.options import Json  # noqa: TC001 - Typer reads annotations at run time
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from datetime import date

    from rich.console import Console

    from airflow_provider_mlpipe.cli.overview import Overview

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(check)
    app.command()(schema)
    app.command()(sample)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML files of any kind.")],
    as_json: Json = False,
) -> int:
    """Read configuration files and say what each holds, or all that is wrong with them, with file and line."""
    from airflow_provider_mlpipe.cli.overview import overview

    with results(as_json=as_json) as out:
        found = [overview(path) for path in files]
        good = all(not item.problems for item in found)

        def people(console: Console) -> None:
            for item in found:
                _describe(item, console)

        out.emit({"ok": good, "files": [item.as_dict() for item in found]}, people)
    return 0 if good else ConfigError.exit_code


def _describe(item: Overview, console: Console) -> None:
    from rich.text import Text

    rows = [(holding.where, holding.name, holding.summary) for holding in item.holdings]
    console.print(table(f"{item.file}: {item.kind}", ("where", "name", "holds"), rows))
    for note in item.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    for problem in item.problems:
        console.print(Text(f"error: {problem}", style="red"))
    if not item.problems:
        console.print(Text("ok", style="green"))


def schema(
    kind: Annotated[Literal["ingestion", "validation", "features"], typer.Argument(help="Of which kind of file.")],
    as_json: Json = False,  # noqa: ARG001 - it is JSON either way
) -> None:
    """Print the JSON Schema of a configuration file, for editors and other tools."""
    from airflow_provider_mlpipe.config.schemas import json_schema

    with results(as_json=True) as out:
        out.emit(json_schema(kind), lambda _console: None)


def sample(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if absent; an earlier sample in it is replaced.")
    ] = Path(".demo/sample"),
    users: Annotated[int, typer.Option(help="Users at the end of the history.")] = 300,
    days: Annotated[int, typer.Option(help="Length of the history.")] = 60,
    until: Annotated[str, typer.Option(metavar="DATE", help="Its last day.")] = "2026-01-31",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    broken: Annotated[
        list[str] | None,
        typer.Option(
            "--break",
            metavar="NAME",
            help="Put in a flaw that must stop a pipeline: duplicate-key, null-email, age-200, stale-activity or "
            "missing-column. May be given several times.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a realistic sample: a project tracker as SQLite database, API pages, CSV, JSON lines and parquet."""
    from airflow_provider_mlpipe import sample as samples

    with results(as_json=as_json) as out:
        last = instant(until).date()
        with out.progress("writing the sample"):
            made = samples.write(folder, seed=seed, users=users, days=days, until=last, broken=broken or ())
        document = _sample_document(made, broken or [], last)

        def people(console: Console) -> None:
            console.print(table(f"Sample in {made.folder}", ("table", "rows"), list(made.rows.items())))
            for name in broken or []:
                console.print(f"broken on purpose: {name}: {samples.BREAKS[name]}")
            console.print(f"database: {made.url}")

        out.emit(document, people)


def _sample_document(made: Any, broken: list[str], until: date) -> dict[str, Any]:  # noqa: ANN401 - Sample, late
    return {
        "folder": str(made.folder),
        "database": made.url,
        "api": [str(path) for path in made.pages],
        "files": [str(path) for path in (made.events, made.lines, made.parquet)],
        "rows": made.rows,
        "start": made.start,
        "end": made.end,
        "until": until,
        "broken": broken,
    }
