"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_mlpipe.cli.surroundings import current
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Interval, instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = [
    "AsOf",
    "ConnId",
    "EngineName",
    "FeastConnId",
    "Inputs",
    "IntervalEnd",
    "IntervalStart",
    "Json",
    "Root",
    "SparkMaster",
    "common_interval",
    "interval_of",
    "located",
    "open_artifact",
    "pairs",
    "storage",
    "store_of",
]

Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout, and nothing else.")]
Root = Annotated[
    str,
    typer.Option(
        "--root",
        envvar="MLPIPE_ARTIFACT_ROOT",
        help="Where artifacts lie: a folder or s3://bucket/prefix (AWS_* variables apply, AWS_ENDPOINT_URL too).",
    ),
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="The run's moment: what came later is not seen. ISO 8601, UTC."),
]
IntervalStart = Annotated[str | None, typer.Option("--interval-start", metavar="TIME", help="Start of the interval.")]
IntervalEnd = Annotated[
    str | None, typer.Option("--interval-end", metavar="TIME", help="End of the interval, not included.")
]
Inputs = Annotated[list[str] | None, typer.Option("--input", metavar="ROLE=WHAT", help="May be given several times.")]

ConnId = Annotated[
    str | None,
    typer.Option(
        "--conn-id",
        metavar="ID",
        help="The Airflow connection to read by, in place of the file's; airflow mlpipe only.",
    ),
]
FeastConnId = Annotated[
    str | None,
    typer.Option(
        "--feast-conn-id",
        metavar="ID",
        help="The Airflow connection that says where Feast is, in place of the file; airflow mlpipe only.",
    ),
]
EngineName = Annotated[
    str | None, typer.Option("--engine", metavar="NAME", help="duckdb or spark; what the set says if absent.")
]
SparkMaster = Annotated[
    str, typer.Option("--master", metavar="URL", help="Spark's address; all cores of this machine if absent.")
]

DAY = timedelta(days=1)


def interval_of(as_of: str | None, start: str | None = None, end: str | None = None) -> Interval | None:
    """Return the run's interval: [start, end), or the day that ends at `as_of`.

    Raises:
        ConfigError: not a time, only one end, or as_of beside an end that differs.
    """
    if as_of is None and start is None and end is None:
        return None
    last = end if end is not None else as_of
    if last is None or (as_of is None and start is None):
        raise ConfigError.invalid(
            where="--interval-start, --interval-end",
            key="interval",
            problem="one end is missing",
            hint="Give both, or --as-of for the day that ends there.",
        )
    if as_of is not None and instant(as_of) != instant(last):
        raise ConfigError.invalid(
            where="--as-of", key="interval", problem="differs from --interval-end", hint="Give one of the two."
        )
    return Interval(start=instant(start) if start is not None else instant(last) - DAY, end=instant(last))


def common_interval(artifacts: Iterable[Artifact]) -> Interval:
    """Return the interval that the artifacts have in common.

    Raises:
        ConfigError: they have none, or not the same.
    """
    found = {tuple(artifact.manifest.run.get("interval") or ()) for artifact in artifacts}
    if len(found) != 1 or not (ends := found.pop()):
        problem = "the artifacts come from different intervals" if len(found) > 1 else "the artifact tells no interval"
        raise ConfigError.invalid(where="--as-of", key="as_of", problem=problem, hint="Give --as-of TIME.")
    return Interval(start=ends[0], end=ends[1])


def pairs(given: Sequence[str] | None, *, option: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` arguments as a mapping.

    Raises:
        ConfigError: no equals sign, an empty side, or a name given twice.
    """
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value) or name in found:
            problem = "given twice" if name in found else "not of the form NAME=VALUE"
            raise ConfigError.invalid(where=option, key=name or text, problem=problem)
        found[name] = value
    return found


def located(path: Path) -> Path:
    """Return where a configuration file is, by its path as it was given."""
    return current().config(path)


def store_of(config: Path, conn_id: str | None = None) -> FeatureStore:
    """Return where Feast is, by a feature file, or by an Airflow connection."""
    return current().feature_store(located(config), conn_id)


def storage(root: str) -> Storage:
    """Return the artifact root."""
    from airflow_provider_mlpipe.artifacts import Storage

    return Storage(root.rstrip("/") or "/", current().s3(root))


def open_artifact(uri: str) -> Artifact:
    """Open an artifact by its URI, or by a path relative to the current folder."""
    from airflow_provider_mlpipe.artifacts import Artifact

    return Artifact.open(uri if "://" in uri else str(Path(uri)), current().s3(uri))
