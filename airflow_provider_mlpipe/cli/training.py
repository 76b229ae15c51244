"""``mlpipe training-set``: labels with the features that were known at their time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.options import (
    AsOf,
    FeastConnId,
    IntervalEnd,
    IntervalStart,
    Json,
    Root,
    interval_of,
    storage,
    store_of,
)
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("training-set")(training_set)


def training_set(  # noqa: PLR0913, PLR0917 - one per option
    labels: Annotated[
        str, typer.Argument(metavar="LABELS", help="Rows with entity keys and a time: an artifact, parquet or CSV.")
    ],
    features: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="VIEW:FEATURE", help="May be given several times; or --service."),
    ] = None,
    service: Annotated[str | None, typer.Option(help="All features of a Feast feature service.")] = None,
    config: Annotated[Path, typer.Option("--config", help="The feature file.")] = Path("config/feature_config.yaml"),
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    dataset: Annotated[str, typer.Option(help="The training set's dataset name.")] = "training_set",
    event_timestamp: Annotated[
        str, typer.Option("--time", metavar="COLUMN", help="The labels' column of times.")
    ] = "event_timestamp",
    full_names: Annotated[bool, typer.Option("--full-names", help="Name the columns view__feature.")] = False,
    interval_start: IntervalStart = None,
    interval_end: IntervalEnd = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Put features beside labels as they were known at each label's time; leaves a proof beside the data.

    Every label stays; one without features gets nulls. The interval names the artifact's place, as in the other
    commands; features later than its end are not seen.
    """
    from airflow_provider_mlpipe.feature_store import training

    if (not features) == (service is None):
        raise ConfigError.invalid(
            where="mlpipe training-set",
            key="--feature, --service",
            problem="give one or more --feature, or one --service",
        )
    with results(as_json=as_json) as out:
        store = store_of(config, feast_conn_id)
        run = Run(task_id=f"training_set.{dataset}", interval=interval_of(as_of, interval_start, interval_end))
        with out.progress(f"building {dataset}"):
            made = training.training_set(
                labels,
                store=store,
                root=storage(root),
                run=run,
                features=service if service is not None else features or [],
                dataset=dataset,
                event_timestamp=event_timestamp,
                full_feature_names=full_names,
            )
        proof = json.loads(made.read_beside(training.PROOF) or b"{}")
        document = {
            "artifact": made.uri,
            "dataset": dataset,
            "rows": made.manifest.rows,
            "fingerprint": made.fingerprint,
            "columns": made.schema.names,
            "proof": proof,
            "metrics": made.manifest.metrics,
        }
        out.emit(document, lambda console: _show(made, proof, console))


def _show(made: Artifact, proof: dict[str, Any], console: Console) -> None:
    columns = ("view", "features", "labels with features", "without", "from after the label")
    rows = [
        (
            view["view"],
            len(view["features"]),
            view["rows_with_match"],
            view["rows_without_match"],
            view["violations"],
        )
        for view in proof["views"]
    ]
    console.print(table(f"{made.manifest.dataset}: {made.manifest.rows:,} rows", columns, rows))
    console.print(f"artifact: {made.uri}", markup=False)
