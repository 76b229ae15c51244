"""One stage at a time: ``ingest``, ``validate``, ``extract``, ``materialize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.fitting import AsOfRange, Cache, ChunkOption, Every, chunk_of
from airflow_provider_mlpipe.cli.options import (
    AsOf,
    ConnId,
    EngineName,
    FeastConnId,
    Inputs,
    IntervalEnd,
    IntervalStart,
    Json,
    Root,
    SparkMaster,
    common_interval,
    interval_of,
    located,
    open_artifact,
    pairs,
    storage,
    store_of,
)
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.cli.surroundings import current
from airflow_provider_mlpipe.cli.validation import validate
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["add_to"]

IngestionConfig = Annotated[Path, typer.Option("--config", help="The ingestion file.")]
FeatureConfig = Annotated[Path, typer.Option("--config", help="The feature file.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(ingest)
    app.command()(validate)
    app.command()(extract)
    app.command()(materialize)


def ingest(
    source: Annotated[str, typer.Argument(help="The source's name in the file.")],
    config: IngestionConfig = Path("config/ingestion_config.yaml"),
    conn_id: ConnId = None,
    root: Root = "./artifacts",
    interval_start: IntervalStart = None,
    interval_end: IntervalEnd = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Read a source and publish its rows as a raw artifact.

    The interval is [start, end), or the day that ends at --as-of. The same interval lands in the same place again.
    """
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe import ingestion

    with results(as_json=as_json) as out:
        settings = configs.source(located(config), source)
        connection = current().connection(settings, conn_id)
        interval = interval_of(as_of, interval_start, interval_end)
        run = Run(task_id=f"ingest.{source}", interval=interval)
        with out.progress(f"ingesting {source}") as progress:
            artifact = ingestion.ingest(settings, root=storage(root), run=run, connection=connection, progress=progress)
        out.emit(_described(artifact), lambda console: _show(artifact, artifact.manifest.metrics, console))


def extract(  # noqa: PLR0913, PLR0917 - each an option
    feature_set: Annotated[str, typer.Argument(metavar="SET", help="The feature set's name in the file.")],
    config: FeatureConfig = Path("config/feature_config.yaml"),
    inputs: Inputs = None,
    root: Root = "./artifacts",
    as_of: AsOf = None,
    engine: EngineName = None,
    master: SparkMaster = "",
    as_of_range: AsOfRange = None,
    every: Every = "1d",
    chunk: ChunkOption = None,
    cache: Cache = True,
    as_json: Json = False,
) -> None:
    """Compute a feature set from validated artifacts: --input users=URI --input activity=URI.

    --as-of is the end of the inputs' interval if absent. --as-of-range computes a history of many moments in one pass.
    """
    from airflow_provider_mlpipe import config as configs
    from airflow_provider_mlpipe import feature_extraction

    with results(as_json=as_json) as out:
        settings = configs.feature_set(located(config), feature_set)
        opened = {role: open_artifact(uri) for role, uri in pairs(inputs, option="--input").items()}
        moments = feature_extraction.Moments.between(*as_of_range, every) if as_of_range else None
        many = moments is not None or settings.model.as_of is not None
        interval = None if many else interval_of(as_of) or common_interval(opened.values())
        run = Run(task_id=f"extract.{feature_set}", interval=interval)
        with out.progress(f"extracting {feature_set}"):
            chosen = current().engine(engine, settings.model.engine, master=master)
            made = feature_extraction.extract(
                settings,
                opened,
                root=storage(root),
                run=run,
                as_of=moments if interval is None else interval.end,
                engine=chosen,
                chunk=chunk_of(chunk),
                cache=None if cache else False,
            )
        normalized = made.normalized.uri if made.normalized is not None else None
        document = {**_described(made.artifact), "normalized": normalized, "metrics": dict(made.metrics)}
        out.emit(document, lambda console: _show(made.artifact, made.metrics, console))


def materialize(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="The feature artifact's URI or folder.")],
    config: FeatureConfig = Path("config/feature_config.yaml"),
    feast_conn_id: FeastConnId = None,
    root: Root = "./artifacts",
    as_json: Json = False,
) -> None:
    """Put a feature artifact online, if all that it was computed from has passed; then read back and compare."""
    from airflow_provider_mlpipe import feature_store

    with results(as_json=as_json) as out:
        store = store_of(config, feast_conn_id)
        opened = open_artifact(artifact)
        with out.progress(f"materializing {opened.manifest.dataset}"):
            done = feature_store.materialize(opened, store, root=storage(root))
        document = {
            "view": done.view,
            "rows": done.rows,
            "rows_read_back": done.rows_read_back,
            "mismatches": done.mismatches,
            "skipped": done.skipped,
            "metrics": dict(done.metrics),
            "artifact": opened.uri,
        }

        def people(console: Console) -> None:
            if done.skipped:
                console.print(f"nothing was put online: {done.skipped}", markup=False)
            found = f"{done.rows_read_back} read back, {done.mismatches} differ"
            console.print(f"{done.view}: {done.rows} rows online, {found}", markup=False)

        out.emit(document, people)


def _described(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    return {
        "artifact": artifact.uri,
        "dataset": manifest.dataset,
        "stage": manifest.stage,
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "fingerprint": manifest.fingerprint,
        "metrics": manifest.metrics,
        "details": manifest.details,
    }


def _show(artifact: Artifact, metrics: Mapping[str, Any], console: Console) -> None:
    manifest = artifact.manifest
    console.print(table(f"{manifest.dataset} ({manifest.stage})", ("metric", "value"), list(metrics.items())))
    console.print(f"artifact: {artifact.uri}", markup=False)
