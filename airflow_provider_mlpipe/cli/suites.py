"""``mlpipe suite``: rules as Great Expectations has them."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_mlpipe.cli.options import AsOf, Json, located
from airflow_provider_mlpipe.cli.results import results
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the group and its command."""
    group = typer.Typer(name="suite", help="Rules as Great Expectations suites.", no_args_is_help=True)
    group.callback()(_group)
    group.command()(export)
    app.add_typer(group)


def _group() -> None:
    """Rules as Great Expectations suites."""


def export(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The validation file.")],
    dataset: Annotated[str, typer.Option(help="Whose rules, by their name in the file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; stdout if absent.")
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Write a dataset's rules as a suite that Great Expectations loads and runs, on pandas too.

    Import airflow_provider_mlpipe.validation.expectations before loading it: that registers the few classes that Great
    Expectations does not have.
    """
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe.validation.suite_file import suite_file

    with results(as_json=as_json) as out:
        rules = configs.dataset_rules(located(config), dataset)
        moment = None if as_of is None else instant(as_of)
        with out.progress("asking Great Expectations"):
            document, text = suite_file(rules, as_of=moment)
        if output is not None:
            output.write_bytes(text + b"\n")
        counted = f"{len(document['expectations'])} expectations"

        def people(console: Console) -> None:
            if output is None:
                out.stream.write(text.decode() + "\n")
            else:
                console.print(f"{output}: {counted}", markup=False)

        out.emit({"file": None if output is None else str(output), "suite": document}, people)
