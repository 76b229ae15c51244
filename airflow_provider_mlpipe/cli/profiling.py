"""Looking at data before there are rules: ``profile``."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_mlpipe.cli.options import AsOf, Json, open_artifact, storage
from airflow_provider_mlpipe.cli.results import results, table
from airflow_provider_mlpipe.cli.surroundings import current
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, ConfigError, redact
from airflow_provider_mlpipe.run import Run, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.validation.survey import Survey

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(profile)


def profile(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="An artifact's URI or folder; or parquet, CSV or JSON files: a file, a folder or a glob.",
        ),
    ],
    reference_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the profile as JSON, for drift rules to refer to. Never overwritten."),
    ] = None,
    propose: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write rules that hold on this data as YAML, with the evidence; - for stdout."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What to call the data in the proposal; the artifact's dataset if absent.")
    ] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Tell no values of this column. May be given several times."),
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Look at data without rules: types, nulls, distinct values, ranges, keys, how often rows arrive.

    --as-of is the end of the artifact's own interval if absent; the freshness of the proposed rules counts from there.
    """
    from airflow_provider_mlpipe.validation import stored_profile
    from airflow_provider_mlpipe.validation.proposal import proposed
    from airflow_provider_mlpipe.validation.survey import survey

    with results(as_json=as_json) as out:
        moment = instant(as_of) if as_of is not None else None
        with out.progress(f"looking at {redact(artifact)}"), _opened(artifact, dataset) as opened:
            found = survey(opened, as_of=moment, sensitive=_known(sensitive or [], opened.schema.names))
        found = replace(found, artifact=redact(artifact), dataset=dataset or found.dataset)
        document = stored_profile.document(found)
        if reference_out is not None:
            text = stored_profile.as_text(document)
            stored_profile.write_once(reference_out, text, what="--reference-out")
        if propose is not None:
            text = proposed(found, reference=_seen_from(propose, reference_out))
            if propose == "-":
                out.emit({"proposal": text}, lambda _console: _write(out.stream, text))
                return
            stored_profile.write_once(Path(propose), text, what="--propose")
        files = {"reference": None if reference_out is None else str(reference_out), "proposal": propose}
        keys = [list(key) for key in found.keys]
        out.emit({"profile": document, "keys": keys, **files}, lambda console: _show(found, files, console))


@contextmanager
def _opened(given: str, dataset: str | None) -> Iterator[Artifact]:
    """Open an artifact, or make one of files that no stage wrote, for as long as it is looked at."""
    from airflow_provider_mlpipe.ingestion import adopt

    try:
        found = open_artifact(given)
    except ArtifactNotFoundError:
        name = dataset or re.sub(r"\W+", "_", Path(given).stem).strip("_") or "data"
        with TemporaryDirectory(prefix="mlpipe-profile-") as folder:
            place, options = storage(folder), current().s3(given)
            yield adopt(given, dataset=name, root=place, run=Run(task_id="profile"), options=options)
        return
    yield found


def _known(names: list[str], columns: list[str]) -> list[str]:
    """Return `names`; a misspelt one would tell what should not be told."""
    for name in names:
        if name not in columns:
            raise ConfigError.invalid(
                where="--sensitive", key="column", problem="the data has no such column", value=repr(name)
            )
    return names


def _seen_from(proposal: str, reference: Path | None) -> str | None:
    """Return the reference's path as the proposed YAML, in its own folder, has to write it."""
    if reference is None:
        return None
    folder = Path() if proposal == "-" else Path(proposal).parent
    return Path(os.path.relpath(reference.absolute(), folder.absolute())).as_posix()


def _write(stream: Any, text: str) -> None:  # noqa: ANN401 - a text stream
    stream.write(text)


def _show(found: Survey, files: dict[str, str | None], console: Console) -> None:
    about = "" if found.exact else "≈ "
    rows = [
        (name, column.type, column.nulls, _about(column.distinct, about), _value(found, name, "low"),
         _value(found, name, "high"))
        for name, column in found.columns.items()
    ]  # fmt: skip
    head = ("column", "type", "null", "distinct", "smallest", "greatest")
    console.print(table(f"{found.dataset} ({found.stage}): {found.rows:,} rows", head, rows))
    for key in found.keys:
        console.print(f"key: {', '.join(key)}", markup=False)
    if seen := found.cadence:
        said = f"{seen.column}: newest {seen.newest.isoformat()}, 99 % of {seen.gaps:,} gaps up to"
        console.print(f"{said} {seen.usual_hours:,.1f} h", markup=False)
    for what, path in files.items():
        if path:
            console.print(f"{what}: {path}", markup=False)


def _about(distinct: int | None, about: str) -> str | None:
    return None if distinct is None else f"{about}{distinct:,}"


def _value(found: Survey, name: str, bound: str) -> Any:  # noqa: ANN401 - a value of the data
    from airflow_provider_mlpipe.validation.samples import json_clean

    if name in found.sensitive:
        return "hidden"
    value = json_clean(getattr(found.columns[name], bound))
    return value if not isinstance(value, str) else value[:40]
