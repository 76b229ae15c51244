"""``mlpipe run``: the whole pipeline without Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_mlpipe.cli.options import (
    AsOf,
    ConnId,
    FeastConnId,
    Inputs,
    Json,
    Root,
    interval_of,
    pairs,
    storage,
)
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.errors import ConfigError, DataRejectedError

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_mlpipe.cli.pipeline import Outcome
    from airflow_provider_mlpipe.run import Interval

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(run)


def run(  # noqa: PLR0913, PLR0917 - one per option
    ingestion: Annotated[Path, typer.Option(help="The ingestion file.")] = Path("config/ingestion_config.yaml"),
    validation: Annotated[Path, typer.Option(help="The validation file.")] = Path("config/validation_config.yaml"),
    features: Annotated[Path, typer.Option(help="The feature file.")] = Path("config/feature_config.yaml"),
    feature_set: Annotated[str, typer.Option("--set", help="Which feature set of the file.")] = "user_features",
    inputs: Inputs = None,
    conn_id: ConnId = None,
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Ingest, validate, extract and materialize: one day's run, without Airflow.

    The features are those of the moment --as-of; the interval is the day before it. The inputs come from the sources
    user_data (role users) and activity_data (role activity) unless --input ROLE=SOURCE names others. Bad data stops
    the run before anything goes online, with exit code 1.
    """
    with results(as_json=as_json) as out:
        interval = _interval(as_of)
        from airflow_provider_mlpipe.cli.pipeline import Pipeline

        pipeline = Pipeline(
            ingestion=ingestion,
            validation=validation,
            features=features,
            feature_set=feature_set,
            sources=pairs(inputs, option="--input"),
            root=storage(root),
            interval=interval,
            conn_id=conn_id,
            feast_conn_id=feast_conn_id,
        )
        try:
            outcome = pipeline.run(out.progress)
        except DataRejectedError as error:
            if not as_json:
                out.emit({}, lambda console: _show(pipeline.outcome, console))
                raise
            out.emit({**pipeline.outcome.as_dict(), "error": error.as_dict()}, lambda _console: None)
            raise typer.Exit(error.exit_code) from error
        out.emit({"as_of": interval.end, **outcome.as_dict()}, lambda console: _show(outcome, console))


def _interval(as_of: str | None) -> Interval:
    interval = interval_of(as_of)
    if interval is None:
        hint = "Give --as-of 2026-01-14T02:00:00Z or so."
        raise ConfigError.invalid(where="mlpipe run", key="--as-of", problem="is missing", hint=hint)
    return interval


def _show(outcome: Outcome, console: Console) -> None:
    columns = ("stage", "of", "rows in", "rows out", "verdict", "CPU seconds")
    rows = [(s.stage, s.name, s.rows_in, s.rows_out, s.verdict, s.cpu_seconds) for s in outcome.steps]
    console.print(table("", columns, rows))
    for name, uri in outcome.reports.items():
        console.print(f"report {name}: {uri}", markup=False)
    if outcome.view:
        console.print(f"online: mlpipe online {outcome.view} KEY", markup=False)
