"""``mlpipe features fit`` and ``promote``, and the options of extractions over many moments or in parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.options import Inputs, Json, Root, located, open_artifact, pairs, storage
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_provider_mlpipe.feature_extraction import Chunk

__all__ = ["AsOfRange", "Cache", "ChunkOption", "Every", "add_to", "chunk_of"]

AsOfRange = Annotated[
    tuple[str, str] | None,
    typer.Option("--as-of-range", metavar="START END", help="A history: as of START, START + every ... before END."),
]
Every = Annotated[str, typer.Option("--every", metavar="LENGTH", help="The distance between moments; a day is 24 h.")]
ChunkOption = Annotated[
    str | None, typer.Option("--chunk", metavar="INDEX/OF", help="Only one part of the entities, such as 0/4.")
]
Cache = Annotated[bool, typer.Option("--cache/--no-cache", help="Whether an unchanged result may be reused.")]

Config = Annotated[Path, typer.Option("--config", help="The feature file.")]
SetName = Annotated[str, typer.Argument(metavar="SET", help="The feature set's name in the file.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group ``features``."""
    group.command()(fit)
    group.command()(promote)


def chunk_of(text: str | None) -> Chunk | None:
    """Return the part that ``INDEX/OF`` names.

    Raises:
        ConfigError: it names none.
    """
    from airflow_provider_mlpipe.feature_extraction import Chunk

    if text is None:
        return None
    index, _, of = text.partition("/")
    return Chunk.given({"index": index, "of": of})


def fit(
    feature_set: SetName,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="The first moment to fit on.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Its end, not included.")],
    config: Config = Path("config/feature_config.yaml"),
    inputs: Inputs = None,
    root: Root = "./artifacts",
    every: Every = "1d",
    as_json: Json = False,
) -> None:
    """Fit normalisation and imputation on the features of a range of moments: --input users=URI --input activity=URI.

    Writes an immutable state and changes nothing that runs use: mlpipe features promote puts it in force.
    """
    with results(as_json=as_json) as out:
        from airflow_provider_mlpipe import config as configs
        from airflow_provider_mlpipe import feature_extraction

        settings = configs.feature_set(located(config), feature_set)
        opened = {role: open_artifact(uri) for role, uri in pairs(inputs, option="--input").items()}
        moments = feature_extraction.Moments.between(start, end, every)
        with out.progress(f"fitting {feature_set}"):
            made = feature_extraction.fit_state(
                settings, opened, root=storage(root), run=Run(task_id=f"fit.{feature_set}"), moments=moments
            )
        state = made.state
        document = {
            "fit_id": state.fit_id,
            "spec_hash": state.spec_hash,
            "fitted_on": state.fitted_on,
            "history": made.history.uri,
            "statistics": {name: vars(known) for name, known in state.statistics.items()},
        }

        def people(console: Console) -> None:
            names = ("count", "nulls", "mean", "std", "min", "median", "max")
            rows = [[name, *(_short(getattr(known, item)) for item in names)]
                    for name, known in state.statistics.items()]  # fmt: skip
            console.print(table(f"{feature_set}: fit {state.fit_id}", ("feature", *names), rows))
            console.print(f"next: mlpipe features promote {feature_set} {state.fit_id}", markup=False)

        out.emit(document, people)


def promote(
    feature_set: SetName,
    fit_id: Annotated[str, typer.Argument(metavar="FIT_ID", help="What mlpipe features fit has named.")],
    config: Config = Path("config/feature_config.yaml"),
    root: Root = "./artifacts",
    as_json: Json = False,
) -> None:
    """Put a fitted state in force: all later runs of the set normalise and impute by it."""
    with results(as_json=as_json) as out:
        from airflow_provider_mlpipe import config as configs
        from airflow_provider_mlpipe import feature_extraction

        settings = configs.feature_set(located(config), feature_set)
        by = {"command": "mlpipe features promote"}
        state = feature_extraction.promote(settings, fit_id, root=storage(root), promoted_by=by)
        document = {"feature_set": feature_set, "fit_id": state.fit_id, "spec_hash": state.spec_hash}
        text = f"{feature_set}: {state.fit_id} is in force, fitted on {state.fitted_on['rows']} rows"
        out.emit(document, lambda console: console.print(text, markup=False))


def _short(value: Any) -> str:  # noqa: ANN401 - a number or None
    return "" if value is None else f"{value:.6g}"
